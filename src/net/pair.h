/* Two streams that are each other's peer, in memory, for tests: what is written to one is read from
 * the other.  Both may be in one loop or in two loops of one thread. */
#ifndef GNT_NET_PAIR_H
#define GNT_NET_PAIR_H

#include "net/loop.h"

/* CAPACITY bytes fit into each direction before a writer has to wait. */
GNT_MUST gnt_err gnt_pair_new(struct gnt_loop *a_loop, struct gnt_loop *b_loop, size_t capacity,
                              struct gnt_stream **a, struct gnt_stream **b);

#endif
