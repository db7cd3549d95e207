/* One life of a broker, from a seed: made, used and misused, left in peace, looked at, ended. */
#ifndef SIM_LIFE_H
#define SIM_LIFE_H

#include <stdbool.h>
#include <stdint.h>

struct sim_life_options {
    uint64_t seed;
    unsigned workers; /* 0: as the seed says, 1 to 4 */
    bool trace;
    bool crashes;     /* the broker keeps what it should, and its machine loses its power */
    bool disk_faults; /* and its disk fails for a while now and then */
    bool faults;      /* allocations fail now and then: nothing is demanded but that it goes on */
};

struct sim_life_report {
    uint64_t messages, deliveries, digest;
    uint64_t queued, taken;        /* messages of queues: sent, and settled for good */
    uint64_t unsure;               /* lives of which not all could be said */
    uint64_t crashes, interrupted; /* of the broker; in its recovery */
};

/* Ends the program where a promise is broken. */
void sim_life(const struct sim_life_options *options, struct sim_life_report *report);

#endif
