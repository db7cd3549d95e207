/* Transactions: messages into queues, outcomes of deliveries and publications that happen together
 * or not at all [AMQP 4].
 *
 * A transaction lives at the home of whoever works with it, and holds what is posted: nobody else
 * knows of it, and it has no sequence number.  What is retired stays held, under its lock.  With
 * the commit each home that has something to do with it is asked, by errand, to prepare its share:
 *
 *   open        _post, _publish, _retire              preparing, or rolled back
 *   preparing   each home looks whether it can: the queue is there and has room, the delivery is
 *               still held by its consumer; gives out the sequence numbers, and makes a batch of
 *               what has to be written       committing; or, if one cannot, cancelling
 *   committing  the batches of all are one, in that of the turn at the transaction's home; what is
 *               published is published in the same turn, so that it is in there as well.  When that
 *               is safe each home has its share happen, which cannot fail              over
 *   cancelling  each home that has prepared its share gives it back                    over
 *
 * So a crash finds all of it or nothing, and nobody sees anything of it in a queue before it is
 * safe.  Meanwhile what is posted keeps its number at its queue, in memory, and others may pass it
 * (core/queue_commit.c).
 *
 * What makes it fail: a queue that has gone, or is full (unless it drops its oldest); a delivery
 * that is not held any more; the store, or memory.  Publications do not: what a session or a queue
 * that is bound to a topic has no room for goes by its policy, as ever.  A message that is given
 * back with `modified` is so when everything else is safe: a crash just then may find it ready as
 * it was, and not counted as failed.
 *
 * Threads  the home's. */
#ifndef GNT_CORE_TRANSACTION_H
#define GNT_CORE_TRANSACTION_H

#include "core/queue.h"

struct gnt_transaction;
struct gnt_part;

/* Of HOME, empty.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_transaction_new(struct gnt_home *home, struct gnt_transaction **out);

/* ---- While it is open.  GNT_NOMEM: as it was. */

/* What *sending says goes into QUEUE; its message is taken (NULL afterwards). */
GNT_MUST gnt_err gnt_transaction_post(struct gnt_transaction *t, uint64_t queue,
                                      struct gnt_sending *sending);

/* *MESSAGE, which is taken, is published. */
GNT_MUST gnt_err gnt_transaction_publish(struct gnt_transaction *t, struct gnt_message **message);

struct gnt_retiring {
    struct gnt_consumer *consumer; /* of the transaction's home */
    struct gnt_settling settling;  /* copied; `tell` means nothing, and it is no RENEW */
    /* Called once when it has been APPLIED, or has not and the delivery is held as before; not any
     * more after gnt_part_leave. */
    void (*over)(void *context, bool applied);
    void *context;
};

/* GNT_TOOBIG besides: what is to be left with the message. */
GNT_MUST gnt_err gnt_transaction_retire(struct gnt_transaction *t,
                                        const struct gnt_retiring *retiring, struct gnt_part **out);

/* The consumer of PART, which is retired and not over, is about to be closed: if the commit has not
 * begun there will be none. */
void gnt_part_leave(struct gnt_part *part);

/* How much there is in it: posts, publications and outcomes, and their bytes. */
uint32_t gnt_transaction_count(const struct gnt_transaction *t);
size_t gnt_transaction_bytes(const struct gnt_transaction *t);

/* ---- Its end */

/* DONE is called later, behind what is `over`: with GNT_QUEUE_DONE everything has happened and is
 * safe, else nothing has: NOT_FOUND, FULL, LOCK_LOST, NO_MEMORY, NO_STORE.  T is gone then. */
void gnt_transaction_commit(struct gnt_transaction *t,
                            void (*done)(struct gnt_home *home, void *context,
                                         enum gnt_queue_result result),
                            void *context);

/* It is open; *t is NULL afterwards.  What is retired is `over`. */
void gnt_transaction_roll_back(struct gnt_transaction **t);

#endif
