/* A loop without a kernel: time stands still until it is set, a wait only tells what it was asked.
 */
#ifndef GNT_TESTS_UNIT_NET_FAKE_LOOP_H
#define GNT_TESTS_UNIT_NET_FAKE_LOOP_H

#include "net/loop.h"

#include <stdbool.h>

struct fake_loop {
    struct gnt_loop loop;
    struct gnt_clock clock;
    struct gnt_poller poller;
    uint64_t now;
    uint64_t waited;                      /* what the last wait was asked for */
    unsigned waits, wakes;                /* how often */
    void (*in_wait)(struct fake_loop *f); /* what happens meanwhile; may be NULL */
    bool freed;                           /* the poller */
};

static inline uint64_t fake_now(void *self)
{
    return *(uint64_t *)self;
}

static inline void fake_wait(struct gnt_poller *p, uint64_t timeout_ns)
{
    struct fake_loop *f = GNT_CONTAINER(p, struct fake_loop, poller);
    f->waited = timeout_ns;
    f->waits++;
    if (f->in_wait)
        f->in_wait(f);
}

static inline void fake_wake(struct gnt_poller *p)
{
    GNT_CONTAINER(p, struct fake_loop, poller)->wakes++;
}

static inline void fake_free(struct gnt_poller *p)
{
    GNT_CONTAINER(p, struct fake_loop, poller)->freed = true;
}

static inline void fake_loop_init(struct fake_loop *f)
{
    *f = (struct fake_loop){
        .now = 1000,
        .clock = {.now_ns = fake_now, .wall_ms = fake_now, .self = &f->now},
        .poller = {.wait = fake_wait, .wake = fake_wake, .free = fake_free},
    };
    struct gnt_poller *poller = &f->poller;
    gnt_err err = gnt_loop_init(&f->loop, &f->clock, &poller);
    (void)err; /* cannot fail with a poller at hand */
}

#endif
