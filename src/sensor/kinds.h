/* The kinds of sensors, one open function each: the rows of sensor.c's table. */
#ifndef GNT_SENSOR_KINDS_H
#define GNT_SENSOR_KINDS_H

#include "sensor/sensor.h"

/* Where a reason goes that a person reads; text may be NULL. */
struct gnt_sensor_text {
    char *text;
    size_t size;
};

/* Makes a sensor of REST, what stands behind the colon of the spec, and touches no device.
 * Failure has put the reason into WHY.  name and problem of *out need not be filled. */
typedef gnt_err gnt_sensor_kind_open(struct gnt_slice rest,
                                     const struct gnt_sensor_options *options,
                                     struct gnt_sensor **out, struct gnt_sensor_text why);

gnt_sensor_kind_open gnt_sensor_tmp102_open;
gnt_sensor_kind_open gnt_sensor_hwmon_open;
gnt_sensor_kind_open gnt_sensor_thermal_open;
gnt_sensor_kind_open gnt_sensor_sim_open;

/* Puts the formatted reason where it goes, and returns ERR. */
__attribute__((format(printf, 3, 4))) gnt_err gnt_sensor_say(struct gnt_sensor_text why,
                                                             gnt_err err, const char *format, ...);

/* The same for a read of SENSOR: into sensor->problem. */
static inline struct gnt_sensor_text gnt_sensor_why(struct gnt_sensor *sensor)
{
    return (struct gnt_sensor_text){sensor->problem, sizeof sensor->problem};
}

/* The whole of TEXT as an unsigned number, decimal or 0x hexadecimal, at most MAX. */
GNT_MUST gnt_err gnt_sensor_number(struct gnt_slice text, uint64_t max, uint64_t *out);

#endif
