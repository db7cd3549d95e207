#include "support/alloc_fault.h"
#include "support/unit.h"

#include "base/buf.h"
#include "base/random.h"

#include <stdlib.h>

static void check_invariant(const struct gnt_buf *b)
{
    assert_true(b->start <= b->end);
    assert_true(b->end <= b->cap);
    assert_int_equal(b->cap == 0, b->data == NULL);
}

static void test_empty(void **state)
{
    (void)state;
    struct gnt_buf b = {0};
    check_invariant(&b);
    assert_slice(gnt_buf_slice(&b), "");
    assert_int_equal(gnt_buf_put(&b, gnt_slice(NULL, 0)), GNT_OK);
    assert_null(b.data);
    gnt_buf_take(&b, 0);
    gnt_buf_clear(&b);
    gnt_buf_fini(&b);
    check_invariant(&b);
}

static void test_put_and_take(void **state)
{
    (void)state;
    struct gnt_buf b = {0};
    assert_int_equal(gnt_buf_put(&b, LITERAL("hello ")), GNT_OK);
    assert_int_equal(gnt_buf_put(&b, LITERAL("world")), GNT_OK);
    assert_slice(gnt_buf_slice(&b), "hello world");
    gnt_buf_take(&b, 6);
    assert_slice(gnt_buf_slice(&b), "world");
    gnt_buf_take(&b, 5);
    assert_int_equal(gnt_buf_size(&b), 0);
    assert_int_equal(b.start, 0);
    assert_int_equal(gnt_buf_put(&b, LITERAL("x")), GNT_OK);
    gnt_buf_clear(&b);
    assert_slice(gnt_buf_slice(&b), "");
    gnt_buf_fini(&b);
}

static void test_reserve_and_write(void **state)
{
    (void)state;
    struct gnt_buf b = {0};
    assert_int_equal(gnt_buf_reserve(&b, 1000), GNT_OK);
    assert_true(b.cap >= 1000);
    memset(gnt_buf_tail(&b), 'x', 1000);
    gnt_buf_wrote(&b, 3);
    assert_slice(gnt_buf_slice(&b), "xxx");
    check_invariant(&b);
    gnt_buf_fini(&b);
}

static void test_first_capacity(void **state)
{
    (void)state;
    struct gnt_buf b = {0};
    assert_int_equal(gnt_buf_put(&b, LITERAL("x")), GNT_OK);
    assert_int_equal(b.cap, 256);
    assert_int_equal(gnt_buf_reserve(&b, 256), GNT_OK);
    assert_int_equal(b.cap, 512);
    gnt_buf_fini(&b);
}

/* Moving what is there to the front is for when it frees at least half of the buffer. */
static void test_slides_or_grows(void **state)
{
    (void)state;
    struct gnt_buf b = {0};
    uint8_t full[256];
    memset(full, 'f', sizeof full);
    assert_int_equal(gnt_buf_put(&b, gnt_slice(full, sizeof full)), GNT_OK);
    gnt_buf_take(&b, 128);
    assert_int_equal(gnt_buf_reserve(&b, 128), GNT_OK);
    assert_int_equal(b.cap, 256);
    assert_int_equal(b.start, 0);
    assert_int_equal(gnt_buf_put(&b, gnt_slice(full, 128)), GNT_OK);
    gnt_buf_take(&b, 127);
    assert_int_equal(gnt_buf_reserve(&b, 1), GNT_OK);
    assert_int_equal(b.cap, 512);
    assert_int_equal(gnt_buf_size(&b), 129);
    gnt_buf_fini(&b);
}

static void test_absurd_size(void **state)
{
    (void)state;
    struct gnt_buf b = {0};
    assert_int_equal(gnt_buf_put(&b, LITERAL("kept")), GNT_OK);
    assert_int_equal(gnt_buf_reserve(&b, SIZE_MAX), GNT_NOMEM);
    assert_int_equal(gnt_buf_reserve(&b, SIZE_MAX / 2), GNT_NOMEM);
    assert_slice(gnt_buf_slice(&b), "kept");
    gnt_buf_fini(&b);
}

static void test_allocation_failure_changes_nothing(void **state)
{
    (void)state;
    uint8_t large[5000];
    memset(large, 'y', sizeof large);
    for (long n = 0;; n++) {
        struct gnt_buf b = {0};
        gnt_alloc_fail_at(n);
        gnt_err first = gnt_buf_put(&b, LITERAL("kept"));
        gnt_err second = gnt_buf_put(&b, gnt_slice(large, sizeof large));
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        check_invariant(&b);
        assert_int_equal(gnt_buf_size(&b), (first ? 0 : 4) + (second ? 0 : sizeof large));
        assert_int_equal(failed, first || second);
        gnt_buf_fini(&b);
        if (!failed) {
            assert_int_equal(n, 2);
            return;
        }
    }
}

/* A long random life against two counters: byte number I of the stream is I's low byte. */
static void test_random_stream(void **state)
{
    (void)state;
    struct gnt_buf b = {0};
    struct gnt_seeded g;
    gnt_seeded_init(&g, 7);
    uint64_t in = 0, out = 0;
    for (int turn = 0; turn < 20000; turn++) {
        uint8_t piece[700];
        size_t n = (size_t)gnt_random_below(&g.door, sizeof piece);
        if (gnt_random_below(&g.door, 2)) {
            for (size_t i = 0; i < n; i++)
                piece[i] = (uint8_t)(in + i);
            assert_int_equal(gnt_buf_put(&b, gnt_slice(piece, n)), GNT_OK);
            in += n;
        } else {
            n = n < gnt_buf_size(&b) ? n : gnt_buf_size(&b);
            struct gnt_slice s = gnt_buf_slice(&b);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(s.data[i], (uint8_t)(out + i));
            gnt_buf_take(&b, n);
            out += n;
        }
        assert_int_equal(gnt_buf_size(&b), in - out);
        check_invariant(&b);
    }
    gnt_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_put_and_take),
        cmocka_unit_test(test_reserve_and_write),
        cmocka_unit_test(test_first_capacity),
        cmocka_unit_test(test_slides_or_grows),
        cmocka_unit_test(test_absurd_size),
        cmocka_unit_test(test_allocation_failure_changes_nothing),
        cmocka_unit_test(test_random_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
