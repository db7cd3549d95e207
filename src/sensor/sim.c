/* "sim": a room that does not exist.  Its temperature walks at random, four small steps a second,
 * and is drawn back to 21 C, so it stays within a degree or so for as long as anybody looks. */
#include "sensor/kinds.h"

#include "base/clock.h"

#include <stdlib.h>

#define STEP_NS (250 * GNT_NS_PER_MS)

enum {
    MEAN_MICRO = 21000000,
    STEP_MICRO = 40000,  /* at most, either way */
    PULL = 256,          /* the part of the distance from the mean that each step takes back */
    STEPS_A_READ = 4096, /* a walk forgets where it was long before that */
};

struct sim {
    struct gnt_sensor sensor;
    struct gnt_seeded walk;
    uint64_t stepped_ns; /* 0: not yet */
    int32_t micro;
};

static void step(struct sim *sim)
{
    int32_t by = (int32_t)gnt_random_below(&sim->walk.door, 2 * STEP_MICRO + 1) - STEP_MICRO;
    sim->micro += by + (MEAN_MICRO - sim->micro) / PULL;
}

static gnt_err sim_read(struct gnt_sensor *sensor, uint64_t now, struct gnt_reading *out)
{
    struct sim *sim = (struct sim *)sensor;
    if (sim->stepped_ns == 0)
        sim->stepped_ns = now;
    uint64_t steps = now > sim->stepped_ns ? (now - sim->stepped_ns) / STEP_NS : 0;
    sim->stepped_ns += steps * STEP_NS;
    for (uint64_t i = 0; i < steps && i < STEPS_A_READ; i++)
        step(sim);
    *out = (struct gnt_reading){sim->micro / 1000, "C"};
    return GNT_OK;
}

static void sim_close(struct gnt_sensor *sensor)
{
    free(sensor);
}

static const struct gnt_sensor_ops sim_ops = {sim_read, sim_close};

gnt_err gnt_sensor_sim_open(struct gnt_slice rest, const struct gnt_sensor_options *options,
                            struct gnt_sensor **out, struct gnt_sensor_text why)
{
    uint64_t seed;
    if (rest.size == 0)
        seed = gnt_random_u64(options->random ? options->random : &gnt_random_system);
    else if (gnt_sensor_number(rest, UINT64_MAX, &seed))
        return gnt_sensor_say(why, GNT_INVALID,
                              "\"sim:%.*s\": the seed must be a number, as in sim:42",
                              (int)rest.size, (const char *)rest.data);
    struct sim *sim = calloc(1, sizeof *sim);
    if (!sim)
        return GNT_NOMEM;
    sim->sensor.ops = &sim_ops;
    sim->micro = MEAN_MICRO;
    gnt_seeded_init(&sim->walk, seed);
    *out = &sim->sensor;
    return GNT_OK;
}
