# ARMv7-A with floating point, as Debian's armhf is: a Raspberry Pi 2 and what came after it.
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(GNATTER_ARCH armhf)
set(GNATTER_TRIPLET arm-linux-gnueabihf)
set(GNATTER_QEMU qemu-arm)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
