/* Two streams that are each other's peer, in memory, for tests: what is written to one is read from
 * the other.  Both may be in one loop or in two loops of one thread.
 *
 * They end like TCP: after gnt_stream_finish or _close of one, the other reads what was written and
 * then GNT_CLOSED; writing to a closed peer is GNT_CLOSED at once.  Each is closed by itself. */
#ifndef GNT_NET_PAIR_H
#define GNT_NET_PAIR_H

#include "net/loop.h"

/* CAPACITY bytes, at least 1, fit into each direction before a writer has to wait. */
GNT_MUST gnt_err gnt_pair_new(struct gnt_loop *a_loop, struct gnt_loop *b_loop, size_t capacity,
                              struct gnt_stream **a, struct gnt_stream **b);

/* S, one of the two, takes its peer to be at ADDRESS from here on; before, at none that is known.
 */
void gnt_pair_come_from(struct gnt_stream *s, const struct sockaddr_storage *address);

#endif
