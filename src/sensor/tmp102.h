/* TMP102, Texas Instruments' digital thermometer on I2C.  [TMP102 n] is a section of its data sheet
 * SBOS397, revision I, June 2024.
 *
 * Nothing here sleeps.  A conversion takes up to 35 ms [TMP102 5.5]; what is not there yet is
 * GNT_MORE, with the time to ask again in ready_ns.
 *
 * Ownership  the caller's struct; the bus is borrowed until it is no longer used.
 * Threads    one at a time.
 * Units      milli-degrees Celsius (_milli), nanoseconds of the monotonic clock (now, _ns).
 * Errors     besides those named: what the bus's transfer returns. */
#ifndef GNT_SENSOR_TMP102_H
#define GNT_SENSOR_TMP102_H

#include "sensor/i2c.h"

/* The four registers, 16 bits each, most significant byte first.  The pointer register, the first
 * byte written, selects one [TMP102 6.5.1].
 *    name         pointer  reset   place */
#define GNT_TMP102_REGISTERS(X)                          \
    X(TEMPERATURE, 0, 0x0000) /* [TMP102 6.5.2] */       \
    X(CONFIG, 1, 0x60a0)      /* [TMP102 6.5.3] */       \
    X(T_LOW, 2, 0x4b00)       /* [TMP102 6.5.4], 75 C */ \
    X(T_HIGH, 3, 0x5000)      /* [TMP102 6.5.4], 80 C */

enum gnt_tmp102_register {
#define GNT_TMP102_ENUM(name, pointer, reset) GNT_TMP102_##name = (pointer),
    GNT_TMP102_REGISTERS(GNT_TMP102_ENUM)
#undef GNT_TMP102_ENUM
};

/* The fields of the configuration register.
 *    name  shift width place and meaning */
#define GNT_TMP102_FIELDS(X)                                                              \
    X(OS, 15, 1)  /* [TMP102 6.5.3.6] write 1 in shutdown: convert; reads 1: converted */ \
    X(R, 13, 2)   /* [TMP102 6.5.3.5] converter resolution, reads 11, read-only */        \
    X(F, 11, 2)   /* [TMP102 6.5.3.4] consecutive faults that make an alert */            \
    X(POL, 10, 1) /* [TMP102 6.5.3.3] 1: the ALERT pin is active high */                  \
    X(TM, 9, 1)   /* [TMP102 6.5.3.2] 0: comparator mode, 1: interrupt mode */            \
    X(SD, 8, 1)   /* [TMP102 6.5.3.1] 1: shutdown, conversions one by one */              \
    X(CR, 6, 2)   /* [TMP102 6.5.3.9] conversion rate */                                  \
    X(AL, 5, 1)   /* [TMP102 6.5.3.8] comparator mode's alert: active if equal to POL */  \
    X(EM, 4, 1)   /* [TMP102 6.5.3.7] 1: extended mode, 13 bits */

enum gnt_tmp102_field {
#define GNT_TMP102_ENUM(name, shift, width) \
    GNT_TMP102_##name##_SHIFT = (shift), GNT_TMP102_##name = ((1 << (width)) - 1) << (shift),
    GNT_TMP102_FIELDS(GNT_TMP102_ENUM)
#undef GNT_TMP102_ENUM
};

/* Where ADD0 is tied, and the address that makes [TMP102 6.3.4].
 *    pin   address */
#define GNT_TMP102_ADDRESSES(X) \
    X("GND", 0x48)              \
    X("V+", 0x49)               \
    X("SDA", 0x4a)              \
    X("SCL", 0x4b)

enum { GNT_TMP102_ADDRESS_DEFAULT = 0x48 };

/* What ADD0 is tied to for ADDRESS: "GND", "V+", "SDA" or "SCL"; NULL if no TMP102 can have it. */
const char *gnt_tmp102_add0(uint64_t address);

/* [TMP102 6.5.3.9] and, as the number of conversions compared, [TMP102 6.5.3.4]; the values are
 * those of the fields CR and F. */
enum gnt_tmp102_rate { GNT_TMP102_QUARTER_HZ, GNT_TMP102_1_HZ, GNT_TMP102_4_HZ, GNT_TMP102_8_HZ };
enum gnt_tmp102_faults {
    GNT_TMP102_1_FAULT,
    GNT_TMP102_2_FAULTS,
    GNT_TMP102_4_FAULTS,
    GNT_TMP102_6_FAULTS
};

/* Time from one conversion's start to the next. */
uint64_t gnt_tmp102_period_ns(enum gnt_tmp102_rate rate);

/* All that the chip can be told. */
struct gnt_tmp102_config {
    bool extended;    /* 13 bits, up to 150 C; without: 12 bits, up to 127.9375 C */
    bool shutdown;    /* measures only when asked: gnt_tmp102_start */
    bool interrupt;   /* ALERT pulls once per crossing, until any register is read */
    bool active_high; /* ALERT pin */
    enum gnt_tmp102_faults faults;
    enum gnt_tmp102_rate rate;
    int32_t low_milli, high_milli; /* alert at or above high, until below low */
};

/* What a chip that was just given power has. */
extern const struct gnt_tmp102_config gnt_tmp102_power_up;

/* Pure conversions.  A code is the number as the data sheet's tables print it [TMP102 6.5.2]: 12
 * bits, or 13 if EXTENDED, two's complement, 0.0625 C each, at the right; the bits above are
 * ignored. Halves of a milli-degree round away from zero, so milli -> code gives the code back. A
 * temperature outside the format's range gives its end, as the converter does. */
int32_t gnt_tmp102_milli(uint16_t code, bool extended);
uint16_t gnt_tmp102_code(int32_t milli, bool extended);

/* The configuration register's writable bits for CONFIG; OS, R and AL are 0. */
uint16_t gnt_tmp102_bits(const struct gnt_tmp102_config *config);

struct gnt_tmp102 {
    const struct gnt_i2c *bus;
    uint8_t address;
    bool extended, shutdown;
    uint16_t bits;        /* what the configuration register must read, but for OS, R and AL */
    uint64_t ready_ns;    /* gnt_tmp102_read makes no sense before */
    uint64_t deadline_ns; /* and a one-shot conversion must have ended by then */
};

/* Only remembers; the chip is not touched.  ADDRESS is one that gnt_tmp102_add0 knows.  The next
 * call must be gnt_tmp102_configure. */
void gnt_tmp102_init(struct gnt_tmp102 *dev, const struct gnt_i2c *bus, uint8_t address);

/* Tells the chip everything in CONFIG.  Afterwards a reading is there no later than ready_ns: one
 * conversion from now, or, if the number of bits changes, one period and one conversion, because
 * the temperature register keeps the old format until the next conversion ends.
 *   GNT_INVALID  low_milli is above high_milli, or one is outside the format's range. */
GNT_MUST gnt_err gnt_tmp102_configure(struct gnt_tmp102 *dev,
                                      const struct gnt_tmp102_config *config, uint64_t now);

/* T_LOW and T_HIGH alone; errors as above. */
GNT_MUST gnt_err gnt_tmp102_set_limits(struct gnt_tmp102 *dev, int32_t low_milli,
                                       int32_t high_milli);

/* Starts one conversion of a chip in shutdown [TMP102 6.4.4]; gnt_tmp102_read fetches the result.
 *   GNT_STATE  the chip is not configured for shutdown. */
GNT_MUST gnt_err gnt_tmp102_start(struct gnt_tmp102 *dev, uint64_t now);

/* The latest conversion's result.
 *   GNT_MORE     no conversion has ended since it was configured or started: ask at ready_ns
 *   GNT_TIMEOUT  a one-shot conversion does not end
 *   GNT_STATE    the chip is not configured as it was told: it lost power or was reset. Configure
 *                it again.  (One whose configuration is the power-up one cannot show it.) */
GNT_MUST gnt_err gnt_tmp102_read(struct gnt_tmp102 *dev, uint64_t now, int32_t *milli);

/* Whether the temperature has been at or above high_milli, and not below low_milli since, each for
 * the configured number of conversions; interrupt mode or not.  Reading anything from a chip in
 * interrupt mode releases its ALERT pin. */
GNT_MUST gnt_err gnt_tmp102_alert(struct gnt_tmp102 *dev, bool *active);

#endif
