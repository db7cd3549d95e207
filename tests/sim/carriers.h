/* The carriers of a life, the queues that they are at, and who purges these and deletes them. */
#ifndef SIM_CARRIERS_H
#define SIM_CARRIERS_H

#include "carrier.h"
#include "core/entity.h"

struct sim_carriers {
    struct sim_world *world;
    struct sim_stock stock;
    struct sim_carrier carrier[SIM_CARRIERS_MAX];
    unsigned count; /* 0: there are no queues in this life */
    struct gnt_seeded chance;
    struct gnt_timer purge;
    struct gnt_entity_asking asking;
    enum sim_queue queue; /* that it is about */
    bool asked;           /* not answered yet */
};

/* Half of the lives have some: before the broker starts, whose CONFIG it adds the queues to; NULL:
 * this one has none, as where allocations fail, since a peer that breaks for want of memory is told
 * so late. */
void sim_carriers_init(struct sim_carriers *c, struct sim_world *w, struct gnt_config *config);
void sim_carriers_fini(struct sim_carriers *c);

/* A broker runs, the first time or after a crash. */
void sim_carriers_started(struct sim_carriers *c, const struct gnt_config *config);

void sim_carriers_calm(struct sim_carriers *c);
bool sim_carriers_settled(const struct sim_carriers *c); /* and all has been delivered */
void sim_carriers_tell(const struct sim_carriers *c);    /* who is not */

/* When all is settled: the audit; then they leave, and the queues are deleted. */
void sim_carriers_end(struct sim_carriers *c);

#endif
