/* The access list of a life: none, one from its beginning to its end, or one after the other.  What
 * it denies are some topics, to everybody, so that every filter of the oracle's is still granted:
 * who has subscribed is given what is permitted of it, and nothing else. */
#ifndef SIM_PERMITS_H
#define SIM_PERMITS_H

#include "oracle.h"

struct sim_permits {
    struct sim_world *world;
    struct sim_oracle *oracle;
    struct gnt_seeded chance; /* of its own: lives without a list are what they were */
    struct gnt_timer turn;    /* when the list changes; of those lives where it does */
};

/* Before the broker starts, which has the first list from then on. */
void sim_permits_init(struct sim_permits *p, struct sim_world *w, struct sim_oracle *o);

/* It does not change any more. */
void sim_permits_calm(struct sim_permits *p);
void sim_permits_fini(struct sim_permits *p);

#endif
