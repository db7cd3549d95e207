/* The I2C bus of a Linux machine, /dev/i2c-N, by the kernel's i2c-dev interface: each transfer is
 * one ioctl(I2C_RDWR).
 *
 * The device is opened by the first transfer, and again after any failure but a missing
 * acknowledgement, so a bus that comes late, or goes and comes back (a USB adapter), needs nothing
 * from its user but another try. */
#ifndef GNT_SENSOR_I2C_LINUX_H
#define GNT_SENSOR_I2C_LINUX_H

#include "sensor/i2c.h"

enum { GNT_I2C_PATH_MAX = 256 };

struct gnt_i2c_linux {
    unsigned magic;
    int fd; /* -1: not open */
    char path[GNT_I2C_PATH_MAX];
    struct gnt_i2c bus; /* what a driver borrows; valid until _fini, and while this does not move */
};

/* PATH names the device and is copied; nothing is opened yet.  GNT_INVALID: PATH is empty or
 * GNT_I2C_PATH_MAX bytes or longer. */
GNT_MUST gnt_err gnt_i2c_linux_init(struct gnt_i2c_linux *i2c, struct gnt_slice path);

void gnt_i2c_linux_fini(struct gnt_i2c_linux *i2c);

#endif
