/* Ends of links that live on while no connection has them [AMQP 2.6.4, 3.5.3].  Whoever attaches a
 * link of the same name and role to the same node, from a container of the same id and as the same
 * user, gets what was unsettled.
 *
 * A terminus is suspended by the front that had it last, and stays with it: until the core owes it
 * nothing any more it is not ready, and who claims it waits; when its time is over that front ends
 * it.  Who claims it takes it to his own front.  What a live connection has is never taken from it:
 * clients that use one id for many containers would take it from each other.
 *
 * Bounds   so many in all (limits.suspended), of one container half as many, and of their
 *          deliveries no more than one connection may have unsettled.
 * Threads  any front's; all are behind one lock. */
#ifndef GNT_FRONT_AMQP_SUSPENDED_H
#define GNT_FRONT_AMQP_SUSPENDED_H

#include "core/errand.h"

#include <pthread.h>

struct gnt_amqp_front;
struct gnt_amqp_peer;
struct gnt_terminus;

/* ---- How long a terminus lives [AMQP 3.5.6] */

enum gnt_expiry {
    GNT_EXPIRES_WITH_LINK, /* its time begins when the link is detached, */
    GNT_EXPIRES_WITH_SESSION,
    GNT_EXPIRES_WITH_CONNECTION,
};

struct gnt_life {
    enum gnt_expiry expiry;
    uint32_t timeout_s;
};

/* What POLICY (a symbol, empty: none) and TIMEOUT_S come to here: of what may not live for ever the
 * time, MOST_S, begins with the connection's end; of what has some time, not before the session's.
 */
struct gnt_life gnt_life_of(struct gnt_slice policy, uint32_t timeout_s, uint32_t most_s);
struct gnt_slice gnt_life_policy(struct gnt_life life);

/* ---- Suspended ones */

/* What all fronts of a broker share. */
struct gnt_suspended_all {
    pthread_mutex_t mutex; /* Guards all but `count`, for a walk over the list when a link comes or
                              goes; the innermost lock. */
    struct gnt_list list;  /* struct gnt_suspended */
    _Atomic uint32_t count;
    uint64_t deliveries;
};

void gnt_suspended_init(struct gnt_suspended_all *all);

/* What finds one again; lent. */
struct gnt_suspended_key {
    struct gnt_slice user, container, name, node;
    bool sender; /* this side is */
};

struct gnt_suspended_claim;

/* Where a terminus is while it is suspended: terminus->away. */
struct gnt_suspended {
    struct gnt_list link; /* in all->list */
    struct gnt_terminus *terminus;
    struct gnt_amqp_front *front;      /* who ends it */
    const struct gnt_amqp_peer *bound; /* while this connection lives it does not expire */
    struct gnt_suspended_claim *claim; /* who waits until it is ready */
    uint64_t deadline;
    uint64_t hash, container; /* of its key, and of who may have half of them */
    uint32_t deliveries, timeout_s;
    bool ready;
    struct gnt_suspended_key key; /* behind the struct */
};

/* T, which leaves its peer, is suspended with so many DELIVERIES: as long as BOUND lives (NULL: no
 * longer than this), and then for its time.  It is not ready.  GNT_FULL, GNT_NOMEM: it is not. */
GNT_MUST gnt_err gnt_suspended_put(struct gnt_terminus *t, const struct gnt_suspended_key *key,
                                   uint32_t deliveries, const struct gnt_amqp_peer *bound);

/* The core owes T nothing: it is somebody else's, now or later. */
void gnt_suspended_ready(struct gnt_terminus *t);

/* T, which was claimed, is not wanted: it is as before. */
void gnt_suspended_put_back(struct gnt_terminus *t);

/* T, which was claimed, has a link again. */
void gnt_suspended_over(struct gnt_terminus *t);

/* Whether there are any. */
static inline bool gnt_suspended_any(const struct gnt_suspended_all *all)
{
    return atomic_load_explicit(&all->count, memory_order_relaxed) > 0;
}

/* Asks for the one of KEY.  The claim lives until `done`, which is called at FRONT's home, later.
 */
struct gnt_suspended_claim {
    void (*done)(struct gnt_home *home, struct gnt_suspended_claim *claim);
    struct gnt_terminus *found; /* the claimer's from now on; NULL: there is none */
    /* private */
    struct gnt_errand errand;
    struct gnt_amqp_front *front;
};
void gnt_suspended_ask(struct gnt_amqp_front *front, const struct gnt_suspended_key *key,
                       struct gnt_suspended_claim *claim);

/* The connection P has ended: the time of those that were bound to it begins. */
void gnt_suspended_unbind(struct gnt_amqp_front *front, const struct gnt_amqp_peer *p);

/* front->suspended_due */
void gnt_suspended_on_time(struct gnt_timer *timer, uint64_t now);

/* FRONT ends: frees those that are its. */
void gnt_suspended_drop(struct gnt_amqp_front *front);

#endif
