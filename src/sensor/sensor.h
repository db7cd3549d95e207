/* Sensors: whatever can tell a temperature, opened by a spec that a person types.
 *
 *     tmp102:/dev/i2c-1@0x48   a TMP102 on an I2C bus; without @ADDRESS at 0x48
 *     hwmon:coretemp           the chip that the kernel's hwmon calls so, its first temperature;
 *     hwmon:coretemp/2         its second
 *     thermal:0                the kernel's thermal zone 0
 *     sim, sim:SEED            a made-up room of about 21 C; the same seed, the same room
 *
 * A sensor may disappear at any time: reads fail, with the reason in words, until it is back; each
 * read tries anew, nothing has to be opened again.
 *
 * Ownership  gnt_sensor_open to gnt_sensor_close.
 * Threads    one at a time.
 * Units      milli-degrees Celsius; `now` in nanoseconds of the monotonic clock.
 * Memory     reading allocates nothing, unless a hwmon chip has to be looked for again.
 * Time       reading does not sleep; it takes as long as its few system calls do. */
#ifndef GNT_SENSOR_SENSOR_H
#define GNT_SENSOR_SENSOR_H

#include "base/err.h"
#include "base/random.h"
#include "sensor/i2c.h"

enum { GNT_SENSOR_SPEC_MAX = 256, GNT_SENSOR_PROBLEM_MAX = 512 };

struct gnt_reading {
    int32_t milli;    /* the value in thousandths of `unit` */
    const char *unit; /* "C"; static */
};

struct gnt_sensor;
struct gnt_tmp102_config;

/* What the kinds of sensors differ in. */
struct gnt_sensor_ops {
    /* As gnt_sensor_read; a failure has put the reason into sensor->problem. */
    gnt_err (*read)(struct gnt_sensor *sensor, uint64_t now, struct gnt_reading *out);
    /* Frees the sensor with all it holds. */
    void (*close)(struct gnt_sensor *sensor);
};

struct gnt_sensor {
    const struct gnt_sensor_ops *ops;
    uint64_t ready_ns;                    /* when to ask again after GNT_MORE */
    char name[GNT_SENSOR_SPEC_MAX];       /* the spec that it was opened by */
    char problem[GNT_SENSOR_PROBLEM_MAX]; /* why the last read that failed did, for a person */
};

/* All zero (or no options at all) is the real world. */
struct gnt_sensor_options {
    const char *sysfs_root; /* instead of "/sys"; copied */
    const struct gnt_random
        *random;               /* where "sim" takes its seed; NULL: the system's; used in open */
    const struct gnt_i2c *i2c; /* instead of the bus a spec names; outlives the sensor */
    const struct gnt_tmp102_config *tmp102; /* NULL: 12 bits, 1 Hz, power-up limits; copied */
    bool absent_ok; /* open what is not there (yet): only a spec that cannot be right fails then */
};

/* Opens what SPEC names and sees whether it is there.  Failure leaves *out alone and puts what to
 * do about it into TEXT (TEXT_SIZE bytes, cut if it must be; NULL and 0: not wanted).
 *   GNT_INVALID  SPEC is not one
 *   others       the sensor is not there or does not work; not with absent_ok, but GNT_NOMEM */
GNT_MUST gnt_err gnt_sensor_open(const char *spec, const struct gnt_sensor_options *options,
                                 uint64_t now, struct gnt_sensor **out, char *text,
                                 size_t text_size);

/* Closes *SENSOR and leaves NULL; NULL is fine. */
void gnt_sensor_close(struct gnt_sensor **sensor);

/* The temperature now.
 *   GNT_OK    *out filled
 *   GNT_MORE  the sensor is measuring: ask again at sensor->ready_ns
 *   < 0       not this time, sensor->problem says why; *out is as it was */
GNT_MUST gnt_err gnt_sensor_read(struct gnt_sensor *sensor, uint64_t now, struct gnt_reading *out);

/* The forms of specs as one line, for help texts. */
const char *gnt_sensor_forms(void);

#endif
