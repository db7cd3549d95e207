/* Deadlines: a binary heap of nodes that live inside what waits.  One thread; O(log n) to set and
 * to cancel.  A node must stay at its address while it is set. */
#ifndef GNT_BASE_TIMERS_H
#define GNT_BASE_TIMERS_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct gnt_timer {
    uint64_t deadline;
    size_t place; /* 1 + index in the heap, 0 while not set */
    void (*fire)(struct gnt_timer *timer, uint64_t now);
};

struct gnt_timers {
    struct gnt_timer **heap;
    size_t count, cap;
    uint64_t earliest; /* while a run goes on: one past its now; else 0 */
};

void gnt_timers_fini(struct gnt_timers *t);

/* Sets TIMER (again) to fire at DEADLINE; GNT_NEVER cancels.  Moving a timer that is set cannot
 * fail.  `fire` must be filled in.  */
GNT_MUST gnt_err gnt_timer_set(struct gnt_timers *t, struct gnt_timer *timer, uint64_t deadline);
void gnt_timer_cancel(struct gnt_timers *t, struct gnt_timer *timer);

static inline bool gnt_timer_is_set(const struct gnt_timer *timer)
{
    return timer->place != 0;
}

/* The next deadline, GNT_NEVER if none is set. */
static inline uint64_t gnt_timers_next(const struct gnt_timers *t)
{
    return t->count ? t->heap[0]->deadline : GNT_NEVER;
}

/* Fires all that is due, earliest first; a timer is no longer set when its `fire` is called, and
 * may be set again or freed by it.  What a `fire` sets for NOW or before becomes due at NOW + 1, so
 * that it waits for the next run.  Returns how many fired. */
size_t gnt_timers_run(struct gnt_timers *t, uint64_t now);

#endif
