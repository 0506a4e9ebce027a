# What ranklet's own tests, examples and benchmarks share. Nothing here reaches a program that uses the library.

# ranklet_flags(TARGET): links the headers, with the project's warnings, RANKLET_WERROR and RANKLET_NATIVE.
function(ranklet_flags target)
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

# ranklet_program(TARGET [HEADER_ONLY]): the same, with the library compiled once for all of these programs; HEADER_ONLY:
# by headers alone.
function(ranklet_program target)
    ranklet_flags(${target})
    if("HEADER_ONLY" IN_LIST ARGN)
        return()
    endif()
    if(NOT TARGET ranklet_compiled_once)
        # What ranklet::compiled does for one target, once for many: they have the same flags.
        add_library(ranklet_compiled_once OBJECT ${PROJECT_SOURCE_DIR}/cmake/compiled.cpp)
        ranklet_flags(ranklet_compiled_once)
        target_compile_definitions(ranklet_compiled_once PUBLIC RANKLET_COMPILED PRIVATE RANKLET_COMPILED_FIT)
    endif()
    target_link_libraries(${target} PRIVATE ranklet_compiled_once)
endfunction()

# ranklet_share_headers(TARGET OWNER HEADER...): precompiles headers for OWNER and takes them for TARGET, which has the
# same flags. -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON does without.
function(ranklet_share_headers target owner)
    if(target STREQUAL owner)
        target_precompile_headers(${target} PRIVATE ${ARGN})
    else()
        target_precompile_headers(${target} REUSE_FROM ${owner})
    endif()
endfunction()
