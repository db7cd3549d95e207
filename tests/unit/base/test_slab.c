#include "support/unit.h"

#include "base/slab.h"

#include "base/rcu.h"
#include "support/rcu_group.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ITEM = 112, MANY = 50000 /* more than two slabs */ };

static struct gnt_slabs slabs = GNT_SLABS_INIT(ITEM);

static int by_address(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

/* Every item is there for itself, and keeps what is written to it. */
static void items_apart(void **state)
{
    (void)state;
    static unsigned char *items[MANY];
    static uintptr_t sorted[MANY];
    for (size_t i = 0; i < MANY; i++) {
        items[i] = gnt_slab_get(&slabs);
        assert_non_null(items[i]);
        assert_int_equal((uintptr_t)items[i] % 16, 0);
        memset(items[i], (int)(i % 251), ITEM);
        sorted[i] = (uintptr_t)items[i];
        if (i % 1000 == 0)
            gnt_rcu_quiescent();
    }
    qsort(sorted, MANY, sizeof sorted[0], by_address);
    for (size_t i = 1; i < MANY; i++)
        assert_true(sorted[i] - sorted[i - 1] >= ITEM);
    for (size_t i = 0; i < MANY; i++)
        for (size_t n = 0; n < ITEM; n++)
            assert_int_equal(items[i][n], i % 251);
    for (size_t i = 0; i < MANY; i++)
        gnt_slab_put(items[i * 7919 % MANY]);
}

/* What is put back is had again, and a spare slab that has been made is used. */
static void again_and_again(void **state)
{
    (void)state;
    static void *items[MANY];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY; i++) {
            items[i] = gnt_slab_get(&slabs);
            assert_non_null(items[i]);
            memset(items[i], round, ITEM);
            if (i == MANY / 3)
                gnt_rcu_barrier(); /* the spare one is there now */
        }
        for (size_t i = 0; i < MANY; i++)
            gnt_slab_put(items[i]);
    }
    for (int i = 0; i < 1000; i++)
        gnt_slab_put(gnt_slab_get(&slabs));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_apart),
        cmocka_unit_test(again_and_again),
    };
    return cmocka_run_group_tests(tests, rcu_group_begin, rcu_group_end);
}
