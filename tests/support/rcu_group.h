/* For groups of tests that read what RCU guards: their thread is a reader, and at the end
 * everything that was to be freed is, so that what is left is a leak.
 *
 *     return cmocka_run_group_tests(tests, rcu_group_begin, rcu_group_end); */
#ifndef GNT_TESTS_RCU_GROUP_H
#define GNT_TESTS_RCU_GROUP_H

#include "base/rcu.h"

static inline int rcu_group_begin(void **state)
{
    (void)state;
    gnt_rcu_register();
    return 0;
}

static inline int rcu_group_end(void **state)
{
    (void)state;
    gnt_rcu_barrier();
    gnt_rcu_unregister();
    return 0;
}

#endif
