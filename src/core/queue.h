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
 * acknowledged while it was on its way (gnt_receipt_given) is taken in over the limit.
 *
 * Deliveries have been counted in before they come (core/ledger.h); what is dropped here is counted
 * out here.  One thread, the home's. */
#ifndef GNT_CORE_QUEUE_H
#define GNT_CORE_QUEUE_H

#include "core/backlog.h"
#include "core/ledger.h"
#include "core/receipt.h"

struct gnt_queue {
    struct gnt_backlog backlog;
    struct gnt_home *home;
    struct gnt_ledger *ledger;                   /* of the one whose queue it is */
    void (*disconnect)(struct gnt_queue *queue); /* soon, not now; NULL: nobody to disconnect */
    struct gnt_list holds;                       /* struct hold, first in, first out */
    uint64_t taken, taken_bytes;                 /* so many have been taken out */
    bool full;                                   /* is counted in home->full: what comes is held */
    bool given_up;
};

void gnt_queue_init(struct gnt_queue *q, struct gnt_home *home, struct gnt_ledger *ledger,
                    void (*disconnect)(struct gnt_queue *queue));

/* Counts all that is left out as WHY; who still waits is answered. */
void gnt_queue_fini(struct gnt_queue *q, enum gnt_counter why);

/* Takes what *w holds, or drops it; CONNECTED: whether there is a receiver to wait for.  RECEIPT is
 * its publisher's, or NULL. */
void gnt_queue_put(struct gnt_queue *q, struct gnt_waiting *w, bool connected,
                   struct gnt_receipt *receipt);

/* The first one that has not expired; what has is dropped.  NULL if there is none. */
struct gnt_waiting *gnt_queue_first(struct gnt_queue *q);

/* Hands the first one out; only after gnt_queue_first had one. */
void gnt_queue_pop(struct gnt_queue *q, struct gnt_waiting *out);

/* There is no receiver any more: who waits is answered, and the policy applies to what is over the
 * limit. */
void gnt_queue_away(struct gnt_queue *q);

static inline bool gnt_queue_empty(const struct gnt_queue *q)
{
    return q->backlog.count == 0;
}

/* The timer of HOME: what has been held too long. */
void gnt_queues_give_up(struct gnt_home *home, uint64_t now);

/* The limits of HOME have changed: who waits is looked at again. */
void gnt_queues_review(struct gnt_home *home, uint64_t now);

#endif
