#include "sensor/i2c_linux.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { I2C_LINUX_MAGIC = 0x12c11e8 };

static void shut(struct gnt_i2c_linux *i2c)
{
    if (i2c->fd >= 0)
        close(i2c->fd);
    i2c->fd = -1;
}

/* The kernel's adapter drivers do not agree on one errno for a missing acknowledgement: ENXIO is
 * the documented one, EREMOTEIO is what many of them (the Raspberry Pi's too) return. */
static gnt_err transfer_error(int error_number)
{
    switch (error_number) {
    case ENXIO:
    case EREMOTEIO: return GNT_REFUSED;
    case ENODEV: return GNT_NOTFOUND;
    case ENOTTY: /* a file, but not an I2C bus */
    case EOPNOTSUPP: return GNT_UNSUPPORTED;
    case EAGAIN: return GNT_BUSY; /* another master won the arbitration */
    case EINTR: return GNT_IO;    /* the bus may have stopped half-way, so it is not a "not yet" */
    }
    return gnt_err_from_errno(error_number);
}

static gnt_err open_bus(struct gnt_i2c_linux *i2c)
{
    if (i2c->fd >= 0)
        return GNT_OK;
    i2c->fd = open(i2c->path, O_RDWR | O_CLOEXEC);
    if (i2c->fd >= 0)
        return GNT_OK;
    /* ENXIO from open(2): the device node stands there, but the bus behind it does not. */
    return errno == ENXIO || errno == ENODEV ? GNT_NOTFOUND : transfer_error(errno);
}

static gnt_err linux_transfer(void *self, uint8_t address, struct gnt_slice out, void *in,
                              size_t in_size)
{
    struct gnt_i2c_linux *i2c = self;
    GNT_CHECK_MAGIC(i2c, I2C_LINUX_MAGIC);
    GNT_ASSERT(out.size <= UINT16_MAX && in_size <= UINT16_MAX);
    gnt_err err = open_bus(i2c);
    if (err)
        return err;
    struct i2c_msg messages[2];
    uint32_t count = 0;
    if (out.size)
        messages[count++] = (struct i2c_msg){.addr = address,
                                             .len = (uint16_t)out.size,
                                             .buf = (uint8_t *)(uintptr_t)out.data};
    if (in_size)
        messages[count++] = (struct i2c_msg){
            .addr = address, .flags = I2C_M_RD, .len = (uint16_t)in_size, .buf = in};
    struct i2c_rdwr_ioctl_data transfer = {messages, count};
    if (ioctl(i2c->fd, I2C_RDWR, &transfer) >= 0)
        return GNT_OK;
    err = transfer_error(errno);
    if (err != GNT_REFUSED)
        shut(i2c);
    return err;
}

gnt_err gnt_i2c_linux_init(struct gnt_i2c_linux *i2c, struct gnt_slice path)
{
    if (path.size == 0 || path.size >= sizeof i2c->path)
        return GNT_INVALID;
    i2c->magic = I2C_LINUX_MAGIC;
    i2c->fd = -1;
    memcpy(i2c->path, path.data, path.size);
    i2c->path[path.size] = '\0';
    i2c->bus = (struct gnt_i2c){linux_transfer, i2c};
    return GNT_OK;
}

void gnt_i2c_linux_fini(struct gnt_i2c_linux *i2c)
{
    shut(i2c);
}
