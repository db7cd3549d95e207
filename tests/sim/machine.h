/* The machine that a broker with a data directory runs on: it loses its power now and then, in the
 * middle of anything, and comes back with what a disk may have kept by then, to be recovered from
 * by a new broker with another number of workers.
 *
 * The store is stepped: it gets its turns, and its applier, in the world's time. */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include "store/durable.h"
#include "support/sim_disk.h"
#include "support/sim_ground.h"
#include "world.h"

enum { SIM_WORKERS_MAX = 4 };

struct sim_machine {
    struct sim_world *world;
    const struct gnt_config *config;
    struct sim_disk *disk;
    struct sim_soil *soil;
    struct gnt_store_time time;
    struct gnt_durable_options options;
    struct gnt_store *store; /* the broker's; NULL: it is not running */
    struct gnt_timer turn, apply, crash, start;
    unsigned workers;     /* 0: another number each time */
    bool faults;          /* the disk fails for a while now and then */
    bool calm;            /* the power stays */
    uint64_t crash_every; /* on the average; ns */
    uint64_t turn_max, apply_max;
    unsigned crashes, interrupted; /* recoveries that were */
    /* Told when a broker has recovered; or NULL. */
    void (*recovered)(void *context);
    void *context;
};

/* CONFIG is lent. */
void sim_machine_init(struct sim_machine *m, struct sim_world *w, const struct gnt_config *config);
void sim_machine_fini(struct sim_machine *m);

/* The broker starts for the first time, instead of by sim_world_start(). */
void sim_machine_start(struct sim_machine *m);

/* From now on the power stays; a broker that is down comes back in a few seconds. */
void sim_machine_calm(struct sim_machine *m);

/* The broker ends in order, instead of by sim_world_stop(). */
void sim_machine_stop(struct sim_machine *m);

/* How many records and entries are in the store, and which, in the trace; while the broker does not
 * run. */
size_t sim_machine_left(struct sim_machine *m);

#endif
