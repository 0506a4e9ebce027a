# What ranklet::ranklet stands on, as imported targets: ranklet::eigen, ranklet::xsimd, ranklet::threads.
# Read by the build and by the installed package alike, so that both find things the same way.
#
# Each library is looked for as a CMake package, then as a header on the include path; -DEigen3_DIR=, -Dxsimd_DIR= or
# -DRANKLET_EIGEN_INCLUDE_DIR=, -DRANKLET_XSIMD_INCLUDE_DIR= say where. Only the include directory of a package is
# taken: both libraries are headers alone, and some xsimd packages name a library that does not exist.
# Sets RANKLET_DEPENDENCIES_ERROR to a sentence where something is missing; the includer decides what to do.

set(RANKLET_DEPENDENCIES_ERROR "")

# ranklet_find_headers(NAME PACKAGE TARGET HEADER SUFFIX VERSION): makes ranklet::NAME.
macro(ranklet_find_headers name package target header suffix minimum)
    string(TOUPPER ${name} ranklet_upper)
    if(NOT TARGET ranklet::${name})
        set(ranklet_found_version "")
        if(NOT RANKLET_${ranklet_upper}_INCLUDE_DIR)
            # The version is compared here, not by the package: a newer major version is welcome.
            find_package(${package} CONFIG QUIET)
            if(TARGET ${target})
                get_target_property(ranklet_include ${target} INTERFACE_INCLUDE_DIRECTORIES)
                set(ranklet_found_version ${${package}_VERSION})
            else()
                find_path(RANKLET_${ranklet_upper}_INCLUDE_DIR ${header} PATH_SUFFIXES ${suffix})
            endif()
        endif()
        if(RANKLET_${ranklet_upper}_INCLUDE_DIR)
            set(ranklet_include ${RANKLET_${ranklet_upper}_INCLUDE_DIR})
        endif()
        if(NOT ranklet_include)
            string(APPEND RANKLET_DEPENDENCIES_ERROR
                "ranklet needs ${package} ${minimum} or newer (no ${header} found; set "
                "RANKLET_${ranklet_upper}_INCLUDE_DIR to the folder that holds it). ")
        elseif(ranklet_found_version AND ranklet_found_version VERSION_LESS ${minimum})
            string(APPEND RANKLET_DEPENDENCIES_ERROR
                "ranklet needs ${package} ${minimum} or newer, found ${ranklet_found_version} in ${ranklet_include}. ")
        else()
            add_library(ranklet::${name} INTERFACE IMPORTED GLOBAL)
            target_include_directories(ranklet::${name} SYSTEM INTERFACE ${ranklet_include})
        endif()
        unset(ranklet_include)
        unset(ranklet_found_version)
    endif()
    unset(ranklet_upper)
endmacro()

ranklet_find_headers(eigen Eigen3 Eigen3::Eigen Eigen/Core eigen3 3.4)
ranklet_find_headers(xsimd xsimd xsimd xsimd/xsimd.hpp "" 8.1)

# OpenMP is the user's choice at the time of use: the headers work with and without it.
if(NOT TARGET ranklet::threads)
    add_library(ranklet::threads INTERFACE IMPORTED GLOBAL)
    if(RANKLET_OPENMP)
        set(ranklet_had_openmp FALSE)
        if(TARGET OpenMP::OpenMP_CXX)
            set(ranklet_had_openmp TRUE)
        endif()
        find_package(OpenMP QUIET COMPONENTS CXX)
        if(OpenMP_CXX_FOUND)
            if(NOT ranklet_had_openmp)
                set_target_properties(OpenMP::OpenMP_CXX PROPERTIES IMPORTED_GLOBAL TRUE)
            endif()
            target_link_libraries(ranklet::threads INTERFACE OpenMP::OpenMP_CXX)
        endif()
        unset(ranklet_had_openmp)
    endif()
endif()

# A host without a build type gets code without optimisation, of headers alone a hundred times slower: told once.
if(NOT DEFINED RANKLET_WARN_BUILD_TYPE)
    set(RANKLET_WARN_BUILD_TYPE ON)
endif()
get_property(ranklet_told GLOBAL PROPERTY RANKLET_TOLD_BUILD_TYPE)
if(RANKLET_WARN_BUILD_TYPE AND NOT ranklet_told AND NOT ranklet_is_top_level AND NOT ranklet_FIND_QUIETLY AND NOT CMAKE_BUILD_TYPE
   AND NOT CMAKE_CONFIGURATION_TYPES AND NOT CMAKE_CXX_FLAGS MATCHES "(^| )-O")
    message(WARNING "No CMAKE_BUILD_TYPE: ranklet would be compiled without optimisation, a hundred times slower. Configure with "
        "-DCMAKE_BUILD_TYPE=Release (or Debug, on purpose); -DRANKLET_WARN_BUILD_TYPE=OFF leaves this out.")
    set_property(GLOBAL PROPERTY RANKLET_TOLD_BUILD_TYPE TRUE)
endif()
unset(ranklet_told)
