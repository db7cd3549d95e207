# The common part of the toolchain files of the presets `armhf` and `arm64`: Debian's cross compiler,
# its multiarch libraries, and qemu's user emulation, under which ctest runs what was built.
#
# In: GNATTER_ARCH (Debian's name), GNATTER_TRIPLET, CMAKE_SYSTEM_PROCESSOR, GNATTER_QEMU.
# The libraries come from build/sysroot/ARCH if script/cross has made that, else from the system, on
# which then `dpkg --add-architecture ARCH` and the -dev packages for it have to be installed.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${GNATTER_TRIPLET}-gcc)
set(CMAKE_CXX_COMPILER ${GNATTER_TRIPLET}-g++)
set(CMAKE_LIBRARY_ARCHITECTURE ${GNATTER_TRIPLET})

set(GNATTER_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../build/sysroot/${GNATTER_ARCH})
set(emulator ${GNATTER_QEMU})
set(root "")
if(EXISTS ${GNATTER_SYSROOT})
    file(REAL_PATH ${GNATTER_SYSROOT} root)
    set(CMAKE_SYSROOT ${root})
    set(ENV{PKG_CONFIG_SYSROOT_DIR} ${root})
    list(APPEND emulator -L ${root})
endif()
set(CMAKE_CROSSCOMPILING_EMULATOR ${emulator})
set(ENV{PKG_CONFIG_LIBDIR} ${root}/usr/lib/${GNATTER_TRIPLET}/pkgconfig:${root}/usr/share/pkgconfig)

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
