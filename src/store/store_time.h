/* Store time: a calendar time for what has to be right after a restart, and does not jump.
 *
 * What expires is kept in memory in monotonic time, which begins anew with each start of the
 * machine, and on disk in wall time, which somebody may set.  Store time is wall time as it was
 * when the store was first opened, and from then on goes as the monotonic clock does: a clock that
 * is set while the broker runs (a board without a battery that finds a time server) makes nothing
 * expire early or late.  The difference to wall time is kept on disk, so that store time goes on
 * after a restart by as much wall time as has passed; and it never goes back.
 *
 * Any thread may convert; one thread, the store's, observes and reads the skew. */
#ifndef GNT_STORE_STORE_TIME_H
#define GNT_STORE_STORE_TIME_H

#include "base/clock.h"

struct gnt_store_time {
    const struct gnt_clock *clock;
    int64_t base_ms; /* store time less monotonic time; does not change after _init */
};

/* SKEW_MS and AT_MS as they were kept last (0, 0 for a new store): store time is wall time plus the
 * skew now, and at least AT_MS. */
void gnt_store_time_init(struct gnt_store_time *t, const struct gnt_clock *clock, int64_t skew_ms,
                         uint64_t at_ms);

uint64_t gnt_store_time_ms(const struct gnt_store_time *t);  /* now */
int64_t gnt_store_time_skew(const struct gnt_store_time *t); /* to be kept, with the time */

/* GNT_NEVER becomes UINT64_MAX and back.  What is long past becomes 1 ns, never 0. */
uint64_t gnt_store_time_from(const struct gnt_store_time *t, uint64_t monotonic_ns);
uint64_t gnt_store_time_to(const struct gnt_store_time *t, uint64_t store_ms);

#endif
