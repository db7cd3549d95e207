# The rooms of tools/layers.txt as CMake targets: room "mqtt/codec" with sources in src/mqtt/codec
# becomes the object library room_mqtt_codec.  Nothing else in the build names a room, so a new
# room needs a directory and, if the house does not have it yet, a line in layers.txt.

file(STRINGS ${CMAKE_SOURCE_DIR}/tools/layers.txt layer_lines REGEX "^[a-z]")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/layers.txt)

set(GNATTER_ROOMS "")
foreach(line IN LISTS layer_lines)
    string(REGEX REPLACE ":.*" "" room "${line}")
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${room}/*.c)
    if(sources)
        string(REPLACE "/" "_" name "room_${room}")
        add_library(${name} OBJECT ${sources})
        target_link_libraries(${name} PRIVATE gnatter_flags)
        list(APPEND GNATTER_ROOMS ${name})
    endif()
endforeach()

# gnatter_room_objects(OUT [EXCEPT room...]): the objects of all rooms but those.
function(gnatter_room_objects out)
    cmake_parse_arguments(arg "" "" "EXCEPT" ${ARGN})
    set(objects "")
    foreach(name IN LISTS GNATTER_ROOMS)
        if(NOT name IN_LIST arg_EXCEPT)
            list(APPEND objects $<TARGET_OBJECTS:${name}>)
        endif()
    endforeach()
    set(${out} ${objects} PARENT_SCOPE)
endfunction()
