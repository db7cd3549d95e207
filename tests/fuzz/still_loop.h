/* A loop in which time stands still and nothing is waited for: for streams that a target moves by
 * itself.  The loop is ended by gnt_loop_fini. */
#ifndef GNT_TESTS_STILL_LOOP_H
#define GNT_TESTS_STILL_LOOP_H

#include "base/assert.h"
#include "net/loop.h"

static void still_wait(struct gnt_poller *p, uint64_t timeout_ns)
{
    (void)p;
    (void)timeout_ns;
}

static void still_nothing(struct gnt_poller *p)
{
    (void)p;
}

static uint64_t still_now(void *self)
{
    (void)self;
    return 1;
}

static inline void still_loop_init(struct gnt_loop *loop)
{
    static const struct gnt_clock clock = {.now_ns = still_now, .wall_ms = still_now};
    static struct gnt_poller poller = {.wait = still_wait,
                                       .wake = still_nothing,
                                       .free = still_nothing};
    struct gnt_poller *p = &poller;
    gnt_err err = gnt_loop_init(loop, &clock, &p);
    GNT_ASSERT(!err);
}

#endif
