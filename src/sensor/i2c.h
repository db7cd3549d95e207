/* An I2C bus behind an interface, so that a chip's driver neither knows nor cares whether a wire or
 * a model of the chip is at the other end.
 *
 * Ownership  whoever made the bus closes it; a driver borrows it.
 * Threads    one at a time per bus struct.  Two processes or structs may share one Linux bus: the
 *            kernel does not mix their transfers. */
#ifndef GNT_SENSOR_I2C_H
#define GNT_SENSOR_I2C_H

#include "base/err.h"
#include "base/slice.h"

struct gnt_i2c {
    /* One transfer to the 7-bit ADDRESS: START, the bytes of OUT, then, if IN_SIZE is not 0, a
     * repeated START and IN_SIZE bytes read into IN, STOP.  OUT may be empty; not both.
     *   GNT_REFUSED      nobody acknowledged: the chip is not there, or not at this address
     *   GNT_NOTFOUND     the bus does not exist
     *   GNT_DENIED       this user may not use the bus
     *   GNT_UNSUPPORTED  the bus, or what is in its place, cannot do such a transfer
     *   others           the transfer failed; the next one may succeed */
    gnt_err (*transfer)(void *self, uint8_t address, struct gnt_slice out, void *in,
                        size_t in_size);
    void *self;
};

static inline GNT_MUST gnt_err gnt_i2c_transfer(const struct gnt_i2c *bus, uint8_t address,
                                                struct gnt_slice out, void *in, size_t in_size)
{
    return bus->transfer(bus->self, address, out, in, in_size);
}

#endif
