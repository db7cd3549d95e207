/* The inside of a transaction: transaction.c at its home, transaction_queue.c at those of queues.
 */
#ifndef GNT_CORE_TRANSACTION_PRIVATE_H
#define GNT_CORE_TRANSACTION_PRIVATE_H

#include "core/note.h"
#include "core/record.h"
#include "core/transaction.h"

/* A message that is posted, or a delivery that is retired. */
struct gnt_part {
    struct gnt_list link; /* in share->parts */
    struct gnt_transaction *transaction;
    /* Posted: */
    uint64_t queue;
    struct gnt_message *message; /* NULL: it is retired */
    struct gnt_slice group;
    uint8_t priority;
    bool durable;
    /* Retired: */
    struct gnt_retiring retiring; /* consumer, over: NULL after gnt_part_leave */
    struct gnt_note *note;        /* what is left with it */
    /* Prepared, at the queue's home: */
    struct gnt_list posted, retired; /* struct gnt_entry, one or none: a queue that ends takes them
                                        along */
    bool posts, dead,
        kept; /* the first was there; the queue is one of dead letters; log is valid */
    struct gnt_record_log log; /* into which is posted */
};

/* What is to be done at one home. */
struct gnt_share {
    struct gnt_errand errand;
    struct gnt_transaction *transaction;
    struct gnt_list parts; /* in order */
    struct gnt_batch batch;
    enum gnt_queue_result result;
};

/* ---- transaction_queue.c, at the home that runs it.  DONE: *share is prepared; else nothing is.
 */
enum gnt_queue_result gnt_share_prepare(struct gnt_home *home, struct gnt_share *share);
void gnt_share_cancel(struct gnt_share *share);
void gnt_share_apply(struct gnt_home *home, struct gnt_share *share);

#endif
