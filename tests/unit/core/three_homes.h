/* A world of three homes for each test of queues, with `w` for all of the file. */
#ifndef GNT_TESTS_THREE_HOMES_H
#define GNT_TESTS_THREE_HOMES_H

#include "support/queue_world.h"

enum { HOMES = 3 };

static struct world w;

static inline int setup(void **state)
{
    (void)state;
    world_init(&w, HOMES, NULL);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

#endif
