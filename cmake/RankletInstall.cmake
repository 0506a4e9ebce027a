# The install: headers, the CMake package and the pkg-config file.
# Nothing in them depends on the machine, so they go to share/.
include(CMakePackageConfigHelpers)

set(ranklet_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/ranklet)

install(DIRECTORY include/ranklet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(FILES cmake/compiled.cpp DESTINATION ${CMAKE_INSTALL_DATADIR}/ranklet)
install(TARGETS ranklet ranklet_compiled EXPORT ranklet)
install(EXPORT ranklet NAMESPACE ranklet:: FILE rankletTargets.cmake DESTINATION ${ranklet_package_dir})

configure_package_config_file(cmake/rankletConfig.cmake.in ${PROJECT_BINARY_DIR}/rankletConfig.cmake
    INSTALL_DESTINATION ${ranklet_package_dir} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/rankletConfigVersion.cmake
    COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/rankletConfig.cmake ${PROJECT_BINARY_DIR}/rankletConfigVersion.cmake
    cmake/RankletDependencies.cmake DESTINATION ${ranklet_package_dir})

# A path relative to the file itself, so that the installed folder can be moved.
file(RELATIVE_PATH ranklet_pc_to_prefix /prefix/${CMAKE_INSTALL_DATADIR}/pkgconfig /prefix)
configure_file(cmake/ranklet.pc.in ${PROJECT_BINARY_DIR}/ranklet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ranklet.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
