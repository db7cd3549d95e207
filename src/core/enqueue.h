/* What MQTT publishes to "$queue/NAME": it goes into the queue NAME, as if AMQP had sent it, and to
 * nobody else.
 *
 * A message of QoS 1 or 2 is durable, all have the default priority, and none is in a group.  It is
 * not retained: the queue keeps it anyway.  Who has a receipt is told what came of it when it is
 * safe in the queue, and while that is full and blocks (core/queue.h) when there is room; of what
 * has none the queue takes only what there is room for.
 *
 * Order: what is published at one home to one name goes into the queue in that order.  As long as
 * any of it is under way the home remembers where the queue is; else it asks the directory. */
#ifndef GNT_CORE_ENQUEUE_H
#define GNT_CORE_ENQUEUE_H

#include "core/entity.h"
#include "core/receipt.h"

/* Publishes MESSAGE, which is lent, to the queue NAME, as gnt_publish: GNT_WITHHELD where there is
 * a receipt, GNT_DONE where there is none.  GNT_FAILED: out of memory. */
enum gnt_outcome gnt_enqueue(struct gnt_home *home, struct gnt_slice name,
                             struct gnt_message *message, struct gnt_receipt *receipt);

/* What a queue's answer is in the words of topics: NOT_FOUND and what is no name is
 * GNT_TOPIC_INVALID. */
enum gnt_outcome gnt_enqueue_outcome(enum gnt_queue_result result);

#endif
