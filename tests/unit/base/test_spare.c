#include "base/spare.h"
#include "base/asan.h"
#include "support/unit.h"

#include <pthread.h>
#include <string.h>

enum { MANY = 100 };

static const size_t sizes[] = {1,    16,   1023, 1024, 1025, 1279, 1280,  1281,
                               1536, 2048, 3841, 4095, 4096, 4097, 100000};

/* Blocks have room for what they were got for, and are nobody else's meanwhile. */
static void use(void)
{
    unsigned char *got[MANY];
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < MANY; i++) {
                got[i] = gnt_spare_get(sizes[s]);
                assert_non_null(got[i]);
                memset(got[i], i, sizes[s]);
            }
            for (int i = 0; i < MANY; i++) {
                assert_int_equal(got[i][0], i);
                assert_int_equal(got[i][sizes[s] - 1], i);
                gnt_spare_put(got[i], sizes[s]);
            }
        }
    }
    gnt_spare_put(NULL, 2000);
}

static void blocks_are_whole_and_apart(void **state)
{
    (void)state;
    use();
}

/* The sizes of one step share their blocks. */
static void a_block_is_used_again(void **state)
{
    (void)state;
#if !GNT_ASAN
    void *first = gnt_spare_get(1300), *larger = gnt_spare_get(1800);
    gnt_spare_put(first, 1300);
    gnt_spare_put(larger, 1800);
    void *again = gnt_spare_get(1500);
    assert_ptr_equal(again, first);
    gnt_spare_put(again, 1500);
#endif
}

static void *run(void *context)
{
    use();
    gnt_spare_put(context, 1500); /* another thread's */
    return NULL;
}

/* Which the address sanitizer, and valgrind, see to. */
static void what_a_thread_keeps_goes_with_it(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, gnt_spare_get(1500)), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_whole_and_apart),
        cmocka_unit_test(a_block_is_used_again),
        cmocka_unit_test(what_a_thread_keeps_goes_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
