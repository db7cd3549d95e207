/* Mail between loops: bounded lock-free rings, one for each pair of loops, written and read without
 * locks; a sleeping receiver is woken once.
 *
 * A full ring is back-pressure, not loss, and never a wait: the rest stays in the sender's outbox,
 * in order, and gnt_post_backlog tells the sender to stop reading what feeds it.  A sender that
 * sleeps on a backlog is woken when its receiver has made room.  Mail of one sender to one receiver
 * arrives in order.  What was sent in a turn becomes visible at gnt_post_flush.
 *
 * A mail may mean much work for its receiver, such as a message for thousands.  It then takes a
 * part of a ring in one turn, and where more than as much again is left, that is back-pressure,
 * too: the sender has a backlog until it is less. */
#ifndef GNT_NET_POST_H
#define GNT_NET_POST_H

#include "base/err.h"
#include "base/mail.h"

#include <stdbool.h>
#include <stddef.h>

struct gnt_loop;
struct gnt_post;

/* For COUNT loops, addresses 0 to COUNT - 1, each ring of RING_SIZE mails (a power of two). */
GNT_MUST gnt_err gnt_post_new(unsigned count, size_t ring_size, struct gnt_post **out);

/* Mail that nobody has taken is dropped without being run: stop the loops in order first. */
void gnt_post_free(struct gnt_post **post);

/* Ties ADDRESS to LOOP (sets loop->post and loop->address).  Before the loops run.  LOOP must stay
 * until nobody sends to it, and nobody to whom it sent receives, any more: each may wake it. */
void gnt_post_attach(struct gnt_post *post, unsigned address, struct gnt_loop *loop);

/* From the loop at FROM (by its thread) to the one at TO; to itself is allowed, and delivered in
 * the next turn.  The mail is copied.  GNT_NOMEM only if the ring is full and the outbox cannot
 * grow; then nothing has been sent. */
GNT_MUST gnt_err gnt_post_send(struct gnt_post *post, unsigned from, unsigned to,
                               const struct gnt_mail *mail);

/* From any thread that is no loop of this post; under a mutex.  Visible at once, in order, and
 * bounded by memory only: for what is rare. */
GNT_MUST gnt_err gnt_post_send_outside(struct gnt_post *post, unsigned to,
                                       const struct gnt_mail *mail);

/* By the loop at ADDRESS: runs what has come, at most a ring of each sender, of that at least one
 * mail and no more after GNT_POST_WORK of loop->work, and what came from outside until now; returns
 * how many.  Mail is dead once its `run` has returned. */
enum { GNT_POST_WORK = 2 * 1024 };
size_t gnt_post_receive(struct gnt_post *post, unsigned address);

/* By the loop at ADDRESS: moves the outboxes into the rings, makes all visible, wakes sleepers. */
void gnt_post_flush(struct gnt_post *post, unsigned address);

/* By the loop at ADDRESS: whether some outbox of it is not empty, or some receiver far behind. */
bool gnt_post_backlog(struct gnt_post *post, unsigned address);

/* By the loop at ADDRESS: how many mails are in its outboxes.  What is little may still be sent
 * while there is a backlog, but not without bounds. */
size_t gnt_post_unsent(const struct gnt_post *post, unsigned address);

/* By the loop at ADDRESS: before a wait, says that it is about to sleep; false if there is
 * something to do after all: mail has come, has not been flushed, or a backlog can move on (do not
 * sleep).  _woke must follow a true. */
bool gnt_post_may_sleep(struct gnt_post *post, unsigned address);
void gnt_post_woke(struct gnt_post *post, unsigned address);

#endif
