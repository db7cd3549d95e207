#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t system_now_ns(void *self)
{
    (void)self;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * GNT_NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t system_wall_ms(void *self)
{
    (void)self;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / GNT_NS_PER_MS;
}

const struct gnt_clock gnt_clock_system = {system_now_ns, system_wall_ms, NULL};
