#include "base/spare.h"
#include "base/asan.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 100 };

static const size_t sizes[] = {1,    16,   24,   25,   56,   57,    1016,  1017,  1024,  1272,
                               1273, 2048, 4087, 4088, 4089, 16375, 16376, 16377, 100000};

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

/* ---- From thread to thread */

/* Without the failures that tests ask for: those of malloc show what was at hand. */
void *__real_gnt_spare_get(size_t size);

enum { MOST = 4096 };

struct blocks {
    void *of[MOST];
    unsigned count;
    size_t size;
};

static void *put_all(void *context)
{
    struct blocks *b = context;
    while (b->count)
        gnt_spare_put(b->of[--b->count], b->size);
    return NULL;
}

/* COUNT blocks of SIZE go by way of another thread; how many are at hand here then.  It has kept
 * nothing, for it has ended. */
static unsigned come_back(size_t size, unsigned count)
{
    static struct blocks b;
    b = (struct blocks){.size = size};
    for (; b.count < count; b.count++) {
        b.of[b.count] = __real_gnt_spare_get(size);
        assert_non_null(b.of[b.count]);
    }
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, put_all, &b), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    gnt_alloc_fail_at(0);
    for (void *p; (p = __real_gnt_spare_get(size)) != NULL; gnt_alloc_fail_at(0))
        b.of[b.count++] = p;
    gnt_alloc_fail_at(-1);
    unsigned back = b.count;
    while (b.count)
        free(b.of[--b.count]);
    return back;
}

static void what_one_frees_another_gets(void **state)
{
    (void)state;
    if (GNT_ASAN)
        return;
    enum { BATCH = 32 };
    assert_int_equal(come_back(3000, 2 * BATCH), 0); /* which that thread keeps */
    assert_int_equal(come_back(3000, 3 * BATCH + 1), 2 * BATCH);
    assert_int_equal(come_back(200, 10 * BATCH), 8 * BATCH);
    assert_int_equal(come_back(16000, 12), 4);
    assert_int_equal(come_back(16000, 100), 92);
}

/* And what has been passed on before, and nobody wants, gives way. */
static void what_is_passed_on_is_bounded(void **state)
{
    (void)state;
    if (GNT_ASAN)
        return;
    enum { PASSED_ON_MAX = 2 << 20, BATCH = 32 };
    assert_in_range(come_back(4088, MOST), PASSED_ON_MAX / 4088 - BATCH, PASSED_ON_MAX / 4088);
    assert_in_range(come_back(16376, 1000), PASSED_ON_MAX / 16376 - BATCH, PASSED_ON_MAX / 16376);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_frees_another_gets), /* before anything else is passed on */
        cmocka_unit_test(blocks_are_whole_and_apart),
        cmocka_unit_test(a_block_is_used_again),
        cmocka_unit_test(what_a_thread_keeps_goes_with_it),
        cmocka_unit_test(what_is_passed_on_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
