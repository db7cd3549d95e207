# libgnatter (static and shared), the gnatter command, and what `cmake --install` puts where.

set(GNATTER_LIBS PkgConfig::URCU PkgConfig::YAML PkgConfig::CRYPTO PkgConfig::LMDB wslay http_parser
    Threads::Threads m)
gnatter_room_objects(library_objects EXCEPT room_cli room_sensor)

add_library(gnatter_shared SHARED ${library_objects})
add_library(gnatter_static STATIC ${library_objects})
foreach(library gnatter_shared gnatter_static)
    set_target_properties(${library} PROPERTIES OUTPUT_NAME gnatter LINKER_LANGUAGE C)
    target_link_libraries(${library} PRIVATE $<BUILD_INTERFACE:gnatter_flags>)
    target_include_directories(${library} INTERFACE
        $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
# What the library needs is its own affair, unless it is linked into the program.
target_link_libraries(gnatter_shared PRIVATE ${GNATTER_LIBS})
target_link_libraries(gnatter_static PUBLIC ${GNATTER_LIBS})
if(NOT GNATTER_SANITIZE) # whose runtime is in the program only
    target_link_options(gnatter_shared PRIVATE -Wl,-z,defs)
endif()
set_target_properties(gnatter_shared PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} EXPORT_NAME gnatter)
set_target_properties(gnatter_static PROPERTIES EXPORT_NAME static)

# Everything, inner symbols included: what the unit tests and fuzz targets link.
gnatter_room_objects(all_objects EXCEPT room_cli)
add_library(gnatter_inside STATIC ${all_objects})
set_target_properties(gnatter_inside PROPERTIES LINKER_LANGUAGE C)
target_link_libraries(gnatter_inside PUBLIC gnatter_flags ${GNATTER_LIBS} PkgConfig::JANSSON)

if(TARGET room_cli)
    add_executable(gnatter $<TARGET_OBJECTS:room_cli>)
    set_target_properties(gnatter PROPERTIES LINKER_LANGUAGE C)
    target_link_libraries(gnatter PRIVATE gnatter_inside)
    install(TARGETS gnatter)

    # The service goes among the documents, unless the package has a place for it.
    set(GNATTER_SYSTEMD_DIR "" CACHE STRING
        "Where gnatter.service is installed, such as lib/systemd/system")
    configure_file(${CMAKE_SOURCE_DIR}/packaging/gnatter.service.in gnatter.service @ONLY)
    set(service_dir ${CMAKE_INSTALL_DOCDIR})
    if(GNATTER_SYSTEMD_DIR)
        set(service_dir ${GNATTER_SYSTEMD_DIR})
    endif()
    install(FILES ${CMAKE_BINARY_DIR}/gnatter.service DESTINATION ${service_dir})
    install(FILES ${CMAKE_SOURCE_DIR}/packaging/gnatter.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()

# pkg-config gnatter, and find_package(gnatter) with gnatter::gnatter (shared) and gnatter::static.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/gnatter)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/gnatter
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS gnatter_shared gnatter_static EXPORT gnatter-targets)
install(EXPORT gnatter-targets NAMESPACE gnatter:: DESTINATION ${package_dir})
configure_file(${CMAKE_SOURCE_DIR}/cmake/gnatter-config.cmake.in gnatter-config.cmake @ONLY)
write_basic_package_version_file(gnatter-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/gnatter-config.cmake ${CMAKE_BINARY_DIR}/gnatter-config-version.cmake
    DESTINATION ${package_dir})
# The prefix is known only when installing: gnatter.pc finds it from its own place.
file(RELATIVE_PATH GNATTER_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" GNATTER_PC_TO_PREFIX ${GNATTER_PC_TO_PREFIX})
configure_file(${CMAKE_SOURCE_DIR}/cmake/gnatter.pc.in gnatter.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/gnatter.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
