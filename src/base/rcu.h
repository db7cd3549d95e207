/* Read-copy-update by liburcu, QSBR flavour: readers pay nothing, and are quiescent once per loop
 * turn.  What a reader found stays valid until that thread's next gnt_rcu_quiescent() or
 * _offline().
 *
 * A thread that reads, or defers, is registered and online meanwhile.  A thread that is about to
 * sleep goes offline first, or nobody's memory is ever freed.  Grace periods are annotated, so that
 * the thread sanitizer understands them. */
#ifndef GNT_BASE_RCU_H
#define GNT_BASE_RCU_H

#include <urcu-qsbr.h>

struct gnt_rcu_head {
    struct rcu_head head;
    void (*reclaim)(struct gnt_rcu_head *head);
};

void gnt_rcu_register(void); /* this thread, which is then online; nests */
void gnt_rcu_unregister(void);

void gnt_rcu_quiescent(void);
void gnt_rcu_offline(void);
void gnt_rcu_online(void);

/* Calls reclaim(head), on a thread of liburcu's, once no reader can hold what HEAD lives in.  HEAD
 * must be unreachable for new readers. */
void gnt_rcu_defer(struct gnt_rcu_head *head, void (*reclaim)(struct gnt_rcu_head *head));

/* Waits until all that was deferred before has been reclaimed; this thread is offline meanwhile.
 * Not on an event loop. */
void gnt_rcu_barrier(void);

#endif
