/* The clock door: time reaches the broker only through this struct, so that a simulation can hand
 * in its own.  Absolute times are nanoseconds of the monotonic clock; the wall clock is asked only
 * for what people or other machines read. */
#ifndef GNT_BASE_CLOCK_H
#define GNT_BASE_CLOCK_H

#include <stdint.h>

#define GNT_NS_PER_US UINT64_C(1000)
#define GNT_NS_PER_MS UINT64_C(1000000)
#define GNT_NS_PER_S  UINT64_C(1000000000)

#define GNT_NEVER UINT64_MAX       /* a deadline that does not come */
#define GNT_FAR   (UINT64_MAX - 1) /* nor does this one; but a timer that is set for it stays set */

struct gnt_clock {
    uint64_t (*now_ns)(void *self);  /* monotonic, never 0 */
    uint64_t (*wall_ms)(void *self); /* milliseconds since 1970, UTC */
    void *self;
};

/* The machine's clocks. */
extern const struct gnt_clock gnt_clock_system;

static inline uint64_t gnt_now(const struct gnt_clock *clock)
{
    return clock->now_ns(clock->self);
}

static inline uint64_t gnt_wall_ms(const struct gnt_clock *clock)
{
    return clock->wall_ms(clock->self);
}

/* NOW plus SPAN, GNT_NEVER where that is past the end of time. */
static inline uint64_t gnt_deadline(uint64_t now, uint64_t span_ns)
{
    return span_ns > GNT_NEVER - now ? GNT_NEVER : now + span_ns;
}

#endif
