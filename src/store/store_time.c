#include "store/store_time.h"

/* Nothing real comes near: sums of two such times stay in range whatever is read from a disk. */
#define FURTHEST_MS (INT64_MAX / 4)

static int64_t bounded(uint64_t ms)
{
    return ms < (uint64_t)FURTHEST_MS ? (int64_t)ms : FURTHEST_MS;
}

static int64_t bounded_skew(int64_t ms)
{
    return ms > FURTHEST_MS ? FURTHEST_MS : ms < -FURTHEST_MS ? -FURTHEST_MS : ms;
}

static int64_t monotonic_ms(const struct gnt_store_time *t)
{
    return (int64_t)(gnt_now(t->clock) / GNT_NS_PER_MS);
}

void gnt_store_time_init(struct gnt_store_time *t, const struct gnt_clock *clock, int64_t skew_ms,
                         uint64_t at_ms)
{
    t->clock = clock;
    int64_t now = bounded(gnt_wall_ms(clock)) + bounded_skew(skew_ms);
    if (now < bounded(at_ms)) /* the wall clock was set back while nobody looked */
        now = bounded(at_ms);
    t->base_ms = now - monotonic_ms(t);
}

uint64_t gnt_store_time_ms(const struct gnt_store_time *t)
{
    return (uint64_t)(monotonic_ms(t) + t->base_ms);
}

int64_t gnt_store_time_skew(const struct gnt_store_time *t)
{
    return bounded((uint64_t)(monotonic_ms(t) + t->base_ms)) - bounded(gnt_wall_ms(t->clock));
}

uint64_t gnt_store_time_from(const struct gnt_store_time *t, uint64_t monotonic_ns)
{
    if (monotonic_ns == GNT_NEVER)
        return UINT64_MAX;
    /* Rounded up: nothing expires early for having been written. */
    uint64_t ms = monotonic_ns / GNT_NS_PER_MS + (monotonic_ns % GNT_NS_PER_MS != 0);
    int64_t store_ms = (int64_t)ms + t->base_ms;
    return store_ms > 0 ? (uint64_t)store_ms : 0;
}

uint64_t gnt_store_time_to(const struct gnt_store_time *t, uint64_t store_ms)
{
    if (store_ms == UINT64_MAX)
        return GNT_NEVER;
    int64_t ms = bounded(store_ms) - t->base_ms;
    if (ms <= 0)
        return 1;
    return (uint64_t)ms < GNT_FAR / GNT_NS_PER_MS ? (uint64_t)ms * GNT_NS_PER_MS : GNT_FAR;
}
