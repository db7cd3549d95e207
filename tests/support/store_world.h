/* What a durable store stands on, simulated: a disk, the soil of its ground, clocks, all of which
 * outlive the store as a machine outlives a program. */
#ifndef GNT_TESTS_STORE_WORLD_H
#define GNT_TESTS_STORE_WORLD_H

#include "store/durable.h"
#include "support/sim_disk.h"
#include "support/sim_ground.h"

struct store_world {
    struct sim_disk *disk;
    struct sim_soil *soil;
    uint64_t now_ns, wall_ms; /* its own; store_world_pass() moves both */
    struct gnt_clock clock;
    struct gnt_seeded random;
    struct gnt_store_time time;
    struct gnt_durable_options options; /* to be changed before _open */
    struct gnt_durable_report report;
    struct gnt_store *store; /* NULL: none is open */
};

/* A new machine: a stepped store with small bounds. */
void store_world_init(struct store_world *w, uint64_t seed);
void store_world_fini(struct store_world *w); /* closes as well */

gnt_err store_world_open(struct store_world *w);
void store_world_pass(struct store_world *w, uint64_t ns);

/* Turns and applies until there is nothing to do now. */
void store_world_work(struct store_world *w);

/* The power is cut: what the store still says does not count.  The next _open is after a restart.
 */
void store_world_crash(struct store_world *w, uint64_t seed);

#endif
