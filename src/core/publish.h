/* A message to everybody it is for.
 *
 * A message for sinks elsewhere is mailed once to each home, which looks up its own; so a fan-out
 * is shared out among the workers, and mail stays small. */
#ifndef GNT_CORE_PUBLISH_H
#define GNT_CORE_PUBLISH_H

#include "core/receipt.h"

/* Retains MESSAGE if it says so, and hands it to every sink that matches, here and elsewhere; what
 * is published to "$queue/NAME" goes into that queue, and nowhere else (core/enqueue.h).
 * MESSAGE is lent.  RECEIPT is for who can wait (core/receipt.h); NULL: nobody can, and where a
 * queue is full the message is dropped by its policy at once.
 *   GNT_DONE, GNT_DONE_NO_MATCH; with RECEIPT queues have others (gnt_enqueue_outcome)
 *   GNT_NO_ROOM   it would have to be kept, and the store takes nothing now; nothing has happened
 *   GNT_FAILED    out of memory before the message was safe with everyone; it may have reached
 * some. With RECEIPT and QoS 1 or 2 the caller has its publisher send it again; else what it has
 * not reached is lost, and has been counted as dropped GNT_WITHHELD  only with RECEIPT: it says
 * later what came of it
 *
 * What of it is kept has been written when this returns, and is safe when HOME's writes until now
 * are (gnt_keep_pending): before that nobody is to be told. */
enum gnt_outcome gnt_publish(struct gnt_home *home, struct gnt_message *message,
                             struct gnt_receipt *receipt);

/* That part of it which retains MESSAGE: GNT_DONE, GNT_FAILED, or GNT_QUOTA if there are too many.
 */
enum gnt_outcome gnt_publish_retained(struct gnt_home *home, struct gnt_message *message);

/* MESSAGE, which is taken, has expired, and is not retained any more: nor is it kept. */
void gnt_publish_retained_gone(struct gnt_home *home, struct gnt_message **message);

/* Messages with these topics, at most GNT_PUBLISH_AHEAD, are about to be published at HOME: lets it
 * look up several at once where that is faster.  Nothing comes of it but time. */
enum { GNT_PUBLISH_AHEAD = GNT_TREE_MANY };
static inline bool gnt_publish_wants_ahead(const struct gnt_home *home)
{
    return home->routes.cold;
}
void gnt_publish_ahead(struct gnt_home *home, const struct gnt_slice *topics, unsigned count);

#endif
