#include "net/pair.h"

#include "support/alloc_fault.h"
#include "support/unit.h"
#include "unit/net/fake_loop.h"

#include <string.h>

static struct fake_loop fake_a, fake_b;
static struct gnt_stream *a, *b;

enum { CAPACITY = 8 };

static int setup(void **state)
{
    (void)state;
    fake_loop_init(&fake_a);
    fake_loop_init(&fake_b);
    assert_int_equal(gnt_pair_new(&fake_a.loop, &fake_b.loop, CAPACITY, &a, &b), GNT_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gnt_stream_close(&a);
    gnt_stream_close(&b);
    gnt_loop_fini(&fake_a.loop);
    gnt_loop_fini(&fake_b.loop);
    return 0;
}

static gnt_err write_text(struct gnt_stream *s, const char *text, size_t *n)
{
    /* In two pieces, as an output queue would hand it over. */
    char copy[64];
    size_t size = strlen(text);
    memcpy(copy, text, size);
    struct iovec iov[] = {{copy, size / 2}, {copy + size / 2, size - size / 2}};
    return gnt_stream_writev(s, iov, 2, n);
}

static void assert_written(struct gnt_stream *s, const char *text, size_t expected)
{
    size_t n;
    assert_int_equal(write_text(s, text, &n), GNT_OK);
    assert_int_equal(n, expected);
}

static void assert_read(struct gnt_stream *s, size_t cap, const char *expected)
{
    char got[64];
    size_t n;
    assert_int_equal(gnt_stream_read(s, got, cap, &n), GNT_OK);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(got, expected, n);
}

static void assert_read_says(struct gnt_stream *s, gnt_err expected)
{
    char got[4];
    size_t n;
    assert_int_equal(gnt_stream_read(s, got, sizeof got, &n), expected);
    assert_int_equal(n, 0);
}

static void test_bytes_arrive_in_order(void **state)
{
    (void)state;
    assert_int_equal(a->events, GNT_WRITABLE);
    assert_written(a, "abcdef", 6);
    assert_int_equal(b->events, GNT_READABLE | GNT_WRITABLE);
    assert_read(b, 4, "abcd");
    assert_true(b->events & GNT_READABLE); /* two are left */
    assert_written(a, "ghijkl", 6);        /* around the end of the ring */
    assert_read(b, 64, "efghijkl");
    assert_true(b->events & GNT_READABLE); /* until a read finds nothing */
    assert_read_says(b, GNT_MORE);
    assert_false(b->events & GNT_READABLE);
    assert_written(b, "the other way", CAPACITY);
    assert_read(a, 64, "the othe");
}

static void test_a_full_ring_makes_the_writer_wait(void **state)
{
    (void)state;
    assert_written(a, "0123456789", CAPACITY);
    assert_false(a->events & GNT_WRITABLE);
    size_t n;
    assert_int_equal(write_text(a, "more", &n), GNT_MORE);
    assert_int_equal(n, 0);
    assert_read(b, 3, "012");
    assert_true(a->events & GNT_WRITABLE);
    assert_written(a, "abcdef", 3);
    assert_read(b, 64, "34567abc");
}

static void on_ready(struct gnt_stream *s)
{
    (void)s;
}

static void test_each_end_is_ready_in_its_own_loop(void **state)
{
    (void)state;
    b->on_ready = on_ready;
    gnt_stream_want(b, GNT_READABLE);
    assert_true(gnt_list_empty(&fake_b.loop.ready));
    assert_written(a, "x", 1);
    assert_false(gnt_list_empty(&fake_b.loop.ready));
    assert_true(gnt_list_empty(&fake_a.loop.ready));
    assert_read(b, 64, "x");
    assert_read_says(b, GNT_MORE);
    assert_true(gnt_list_empty(&fake_b.loop.ready));
}

static void test_finish_is_seen_after_the_data(void **state)
{
    (void)state;
    assert_written(a, "last", 4);
    gnt_stream_finish(a);
    assert_read(b, 2, "la");
    assert_read(b, 64, "st");
    assert_read_says(b, GNT_CLOSED);
    assert_true(b->events & GNT_READABLE); /* the end stays to be seen */
    size_t n;
    assert_int_equal(write_text(a, "no", &n), GNT_CLOSED);
    assert_written(b, "still", 5); /* the other direction is open */
    assert_read(a, 64, "still");
    assert_read_says(a, GNT_MORE);
}

static void test_close_is_seen_after_the_data(void **state)
{
    (void)state;
    assert_written(a, "01234567", CAPACITY);
    assert_written(b, "01234567", CAPACITY);
    assert_int_equal(b->events & GNT_WRITABLE, GNT_WRITABLE);
    gnt_stream_close(&a);
    assert_null(a);
    assert_int_equal(b->events, GNT_READABLE | GNT_WRITABLE);
    size_t n;
    assert_int_equal(write_text(b, "x", &n), GNT_CLOSED);
    assert_read(b, 64, "01234567");
    assert_read_says(b, GNT_CLOSED);
    gnt_stream_finish(b);
}

static void test_moves_with_what_was_not_read(void **state)
{
    (void)state;
    b->on_ready = on_ready;
    gnt_stream_want(b, GNT_READABLE);
    assert_written(a, "xyz", 3);
    assert_int_equal(gnt_stream_move(b, NULL), GNT_OK);
    assert_true(gnt_list_empty(&fake_b.loop.ready));
    assert_written(a, "!", 1); /* while it is on its way */
    assert_int_equal(gnt_stream_move(b, &fake_a.loop), GNT_OK);
    assert_ptr_equal(b->loop, &fake_a.loop);
    assert_false(gnt_list_empty(&fake_a.loop.ready));
    assert_read(b, 64, "xyz!");
    char peer[16];
    gnt_stream_peer(b, peer, sizeof peer);
    assert_string_equal(peer, "pair");
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct gnt_stream *c, *d;
    assert_int_equal(gnt_pair_new(&fake_a.loop, &fake_b.loop, 0, &c, &d), GNT_INVALID);
    assert_int_equal(gnt_pair_new(&fake_a.loop, &fake_b.loop, SIZE_MAX, &c, &d), GNT_NOMEM);
    for (long n = 0;; n++) {
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_pair_new(&fake_a.loop, &fake_b.loop, 16, &c, &d);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        if (!failed)
            break;
    }
    gnt_stream_close(&c);
    gnt_stream_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes_arrive_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_ring_makes_the_writer_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_end_is_ready_in_its_own_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finish_is_seen_after_the_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_is_seen_after_the_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_moves_with_what_was_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
