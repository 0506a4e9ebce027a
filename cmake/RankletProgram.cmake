# What ranklet's own tests, examples and benchmarks share. Nothing here reaches a program that uses the library.

# ranklet_program(TARGET): links the library, with the project's warnings, RANKLET_WERROR and RANKLET_NATIVE.
function(ranklet_program target)
    target_link_libraries(${target} PRIVATE ranklet::ranklet)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow
        $<$<BOOL:${RANKLET_WERROR}>:-Werror>
        $<$<BOOL:${RANKLET_NATIVE}>:-march=native>)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
        # Warnings that depend on what was inlined and are wrong there: of every "literal" + std::string
        # (gcc.gnu.org/PR105651), inside its own AVX-512 headers (PR105593), and of blocks whose size it thinks it knows.
        target_compile_options(${target} PRIVATE -Wno-restrict -Wno-uninitialized -Wno-maybe-uninitialized
            -Wno-array-bounds -Wno-stringop-overflow)
    endif()
    set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()

# ranklet_compiled_recommender(TARGET): Recommender is compiled once and linked in, not by each translation unit anew.
function(ranklet_compiled_recommender target)
    if(NOT TARGET ranklet_recommender)
        add_library(ranklet_recommender OBJECT ${PROJECT_SOURCE_DIR}/cmake/recommender.cpp)
        ranklet_program(ranklet_recommender)
        target_compile_definitions(ranklet_recommender INTERFACE RANKLET_EXTERN_RECOMMENDER)
    endif()
    target_link_libraries(${target} PRIVATE ranklet_recommender)
endfunction()
