/* Receipts: a publisher's acknowledgement that waits for somebody's queue.
 *
 * Where a session or a shared group is connected and its queue is full, what comes for it at QoS 1
 * and 2 is taken in over the limit, but held (core/pending.h): its publisher is not acknowledged
 * before the queue has gone down, and so comes to a halt when its window is full.  What is held is
 * bounded by the windows of the publishers, and held for `hold_ms` at most.
 *
 * The publisher owns the receipt and hands it to gnt_publish, which answers GNT_WITHHELD if
 * somebody holds it; then `settled` is called later, once, on the thread of the publisher's home,
 * from its timers, and the receipt must live until then.  If it is not held, nothing remembers it.
 *
 * To other homes a message goes without a receipt, and is acknowledged at once, unless that home
 * says that a queue of its is full (gnt_home.full): then with a slip, which comes back by mail when
 * nobody there holds it any more.  What was already on its way when the queue became full is taken
 * in over the limit. */
#ifndef GNT_CORE_RECEIPT_H
#define GNT_CORE_RECEIPT_H

#include "core/home.h"
#include "model/message.h"
#include "model/outcome.h"

struct gnt_receipt {
    struct gnt_work settled;  /* its `run` is the publisher's, gnt_work_init'ed by it */
    enum gnt_outcome outcome; /* of the publication, when it has been settled */
    uint32_t outstanding;     /* who holds it */
    bool given; /* its publisher could have waited, and did not have to: nobody holds it, and only
                   who delivers the message sees the outcome */
};

static inline void gnt_receipt_hold(struct gnt_receipt *r)
{
    r->outstanding++;
}

/* What it is for has not been done, and has to be published again.  RECEIPT may be NULL. */
static inline void gnt_receipt_fail(struct gnt_receipt *r)
{
    if (r)
        r->outcome = GNT_FAILED;
}

/* What it is for has been turned down; likewise. */
static inline void gnt_receipt_refuse(struct gnt_receipt *r)
{
    if (r && r->outcome != GNT_FAILED)
        r->outcome = GNT_QUOTA;
}

/* One holds it no longer. */
void gnt_receipt_release(struct gnt_home *home, struct gnt_receipt *r);

/* A message's way from one home to another, and what it is to be called for there. */
struct gnt_passing {
    struct gnt_message *message;
    unsigned from;
    uint64_t sequence; /* in the log of what FROM has for the other (core/keep.h), 0: not in it */
};

/* Mails *passing (its message is lent) to the home TO with a slip for RECEIPT; on arrival DELIVER
 * is called with the slip's own receipt, which it may have held. GNT_NOMEM: nothing has been sent.
 */
GNT_MUST gnt_err gnt_slip_mail(struct gnt_home *home, unsigned to,
                               const struct gnt_passing *passing, struct gnt_receipt *receipt,
                               void (*deliver)(struct gnt_home *home,
                                               const struct gnt_passing *passing,
                                               struct gnt_receipt *receipt));

/* Gives back the slips that are left at HOME, which ends, without mail: no home runs. */
void gnt_slips_free(struct gnt_home *home);

#endif
