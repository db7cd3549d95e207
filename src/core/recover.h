/* What an earlier process kept, back in its place.
 *
 * Sessions come back with their subscriptions, packet ids and wills, and find a new home if there
 * are more or fewer of them now; what waits for them stays in the store until they need it.  Who
 * was connected when the process ended is taken for one whose connection broke just now.
 * Publications that were on their way from one home to another go on to who has not got them.
 * Queues come back with what waits in them, which likewise stays in the store.
 *
 * The time it takes, and the memory, grow with the number of sessions, subscriptions, retained
 * messages and queues, not with what waits. */
#ifndef GNT_CORE_RECOVER_H
#define GNT_CORE_RECOVER_H

#include "base/random.h"
#include "core/core.h"

struct gnt_recovery {
    struct gnt_store *store; /* lent for the life of the core */
    const struct gnt_store_time *time;
    const struct gnt_random *random;
    /* Lets a store without threads of its own work; NULL: it has some. */
    void (*run)(void *context);
    void *context;
    /* Told now and then how far it has come: "sessions", 10,000.  May be NULL. */
    void (*progress)(void *context, const char *what, uint64_t count);
};

struct gnt_recovered {
    uint64_t sessions, subscriptions, retained, deliveries;
    uint64_t queues;  /* without those of dead letters */
    uint64_t damaged; /* records that say nothing */
};

/* Of a new core, whose homes are attached, and before anything else is done with it.  GNT_NOMEM;
 * GNT_IO and so on from the store. */
GNT_MUST gnt_err gnt_core_recover(struct gnt_core *core, const struct gnt_recovery *recovery,
                                  struct gnt_recovered *recovered);

#endif
