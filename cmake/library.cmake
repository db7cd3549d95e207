# libgnatter (static and shared), the gnatter command, and what `cmake --install` puts where.

set(GNATTER_LIBS PkgConfig::URCU PkgConfig::YAML Threads::Threads)
gnatter_room_objects(library_objects EXCEPT room_cli room_sensor)

add_library(gnatter_shared SHARED ${library_objects})
add_library(gnatter_static STATIC ${library_objects})
foreach(library gnatter_shared gnatter_static)
    set_target_properties(${library} PROPERTIES OUTPUT_NAME gnatter LINKER_LANGUAGE C)
    target_link_libraries(${library} PRIVATE gnatter_flags PUBLIC ${GNATTER_LIBS})
endforeach()
set_target_properties(gnatter_shared PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})

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
endif()
