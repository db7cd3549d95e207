# ARMv8-A, 64 bits: a Raspberry Pi 3 or later with a 64-bit system, and servers.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(GNATTER_ARCH arm64)
set(GNATTER_TRIPLET aarch64-linux-gnu)
set(GNATTER_QEMU qemu-aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
