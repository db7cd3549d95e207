# Compiler and linker flags that every gnatter target shares (target gnatter_flags).

add_library(gnatter_flags INTERFACE)
target_compile_features(gnatter_flags INTERFACE c_std_17)
target_include_directories(gnatter_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
target_compile_definitions(gnatter_flags INTERFACE _GNU_SOURCE GNATTER_VERSION="${PROJECT_VERSION}"
    _FILE_OFFSET_BITS=64 _TIME_BITS=64) # 32-bit machines: large files and inodes, years after 2038
target_compile_options(gnatter_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wwrite-strings -Wcast-qual -Wformat=2 -fvisibility=hidden -fno-common
    -fno-strict-aliasing)
if(GNATTER_WERROR)
    target_compile_options(gnatter_flags INTERFACE -Werror)
endif()

if(GNATTER_SANITIZE)
    target_compile_options(gnatter_flags INTERFACE
        -fsanitize=${GNATTER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -O1)
    target_link_options(gnatter_flags INTERFACE -fsanitize=${GNATTER_SANITIZE})
else()
    # Hardening: bounds-checked libc calls, stack canaries and clash guards, full RELRO.
    target_compile_options(gnatter_flags INTERFACE -fstack-protector-strong -fstack-clash-protection)
    if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
        target_compile_options(gnatter_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    endif()
    target_link_options(gnatter_flags INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()
if(GNATTER_FUZZ)
    target_compile_options(gnatter_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(GNATTER_COVERAGE)
    target_compile_options(gnatter_flags INTERFACE --coverage)
    target_link_options(gnatter_flags INTERFACE --coverage)
endif()

# The same flags for tools/check_headers.sh, which compiles each header alone with either compiler.
file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/header_flags.txt CONTENT
"-I$<JOIN:$<TARGET_PROPERTY:gnatter_flags,INTERFACE_INCLUDE_DIRECTORIES>,\n-I>
$<JOIN:$<FILTER:$<TARGET_PROPERTY:gnatter_flags,INTERFACE_COMPILE_OPTIONS>,INCLUDE,^-W>,\n>
")
