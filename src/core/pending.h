/* The bounded queue of a session or a shared group, and what happens at its bound.
 *
 *   receiver           what comes to a full queue
 *   not connected      is dropped by the policy (gnt_overflow), counted
 *   connected          is taken in over the limit and held: its publisher's receipt is not given
 *                      back before the queue has gone down (core/receipt.h)
 *   connected, but a publisher has waited for hold_ms: the queue is given up.  Who waits is
 *                      answered, what is over the limit and what comes is dropped by the policy,
 *                      until half of the queue has been taken
 *
 * What comes without a receipt has nobody who waits: the policy applies at once.  What was
 * acknowledged while it was on its way (receipt->given) is taken in over the limit.
 *
 * While as much waits in the whole broker as may (core/total.h) all queues are full, empty ones
 * too; who could be sent something at once has no queue, and is none the worse.  Drop-oldest then
 * drops as much of the same queue as comes, so that nobody pays for another.  Who waits because of
 * that is released when the queue has given out what was held, or when there is room again; and
 * what is dropped because of it is not acknowledged as done: its receipt says GNT_QUOTA.
 *
 * What is kept (core/keep.h) need not be in memory as well: of a long queue, and of all that waits
 * for somebody who is not connected, only the numbers are.  These deliveries stand behind those in
 * memory, and are fetched when their turn comes.
 *
 * Deliveries have been counted in before they come (core/ledger.h); what is dropped here is counted
 * out here.  One thread, the home's. */
#ifndef GNT_CORE_PENDING_H
#define GNT_CORE_PENDING_H

#include "core/backlog.h"
#include "core/ledger.h"
#include "core/receipt.h"

struct gnt_pending;

struct gnt_pending_ops {
    void (*disconnect)(struct gnt_pending *queue); /* soon, not now; NULL: nobody to disconnect */
    void (*forget)(struct gnt_pending *queue, uint64_t sequence); /* it was kept, and is dropped */
};

/* Deliveries that are in the store only: COUNT of them, numbered from FIRST on without a gap. */
struct gnt_stored {
    uint64_t first, count;
    uint64_t bytes; /* of payload, of those that this process has seen */
    uint64_t again; /* so many of them may have been sent before */
};

struct gnt_pending {
    struct gnt_backlog backlog;
    struct gnt_stored stored;
    struct gnt_home *home;
    struct gnt_ledger *ledger; /* of the one whose queue it is */
    const struct gnt_pending_ops *ops;
    struct gnt_list holds;       /* struct hold, first in, first out */
    uint64_t taken, taken_bytes; /* so many have been taken out */
    bool full;                   /* is counted in home->full: what comes is held */
    bool given_up;
};

void gnt_pending_init(struct gnt_pending *q, struct gnt_home *home, struct gnt_ledger *ledger,
                      const struct gnt_pending_ops *ops);

/* Counts all that is left out as WHY; who still waits is answered.  What is kept stays, or goes
 * with its session.  Takes no longer where much is left: the memory of that is freed later. */
void gnt_pending_fini(struct gnt_pending *q, enum gnt_counter why);

/* Whether *w is taken in, and will be put; else it has been dropped.  CONNECTED: whether there is a
 * receiver to wait for.  RECEIPT is its publisher's, or NULL. */
bool gnt_pending_admits(struct gnt_pending *q, struct gnt_waiting *w, bool connected,
                        struct gnt_receipt *receipt);

/* Takes what *w holds; what is kept may be left to the store. */
void gnt_pending_put(struct gnt_pending *q, struct gnt_waiting *w, bool connected);

/* There is room in memory for so many more of q->stored. */
uint64_t gnt_pending_wants(const struct gnt_pending *q);

/* The first of q->stored has been fetched: takes what *w holds.  GNT_NOMEM: it stays where it was.
 * _lost: it is not there. */
GNT_MUST gnt_err gnt_pending_fetched(struct gnt_pending *q, struct gnt_waiting *w);
void gnt_pending_lost(struct gnt_pending *q);

/* The first one that has not expired; what has is dropped.  NULL if there is none. */
struct gnt_waiting *gnt_pending_first(struct gnt_pending *q);

/* Hands the first one out; only after gnt_pending_first had one. */
void gnt_pending_pop(struct gnt_pending *q, struct gnt_waiting *out);

/* What was handed out has come back, and is the first again: takes what *w holds. */
GNT_MUST gnt_err gnt_pending_return(struct gnt_pending *q, struct gnt_waiting *w);

/* Drops the first one. */
void gnt_pending_drop_first(struct gnt_pending *q, enum gnt_counter why);

/* There is no receiver any more: who waits is answered, and the policy applies to what is over the
 * limit. */
void gnt_pending_away(struct gnt_pending *q);

static inline bool gnt_pending_empty(const struct gnt_pending *q)
{
    return q->backlog.count == 0 && q->stored.count == 0;
}

static inline uint64_t gnt_pending_count(const struct gnt_pending *q)
{
    return q->backlog.count + q->stored.count;
}

/* The timer of HOME: what has been held too long. */
void gnt_pending_give_up(struct gnt_home *home, uint64_t now);

/* The limits of HOME have changed: who waits is looked at again. */
void gnt_pending_review(struct gnt_home *home, uint64_t now);

#endif
