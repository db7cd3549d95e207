/* Where connections stay until their TLS handshake is over. */
#include "base/log.h"
#include "broker/porch.h"
#include "support/alloc_fault.h"
#include "unit/net/tls_world.h"

enum { MANY = 1000, SMALL = 4096 };

static struct gnt_porch porch;
static struct gnt_counters counters;
static struct gnt_mqtt_limits limits;
static struct gnt_stream *inside[8]; /* who has come through */
static unsigned through;

static void open_door(void *context, struct gnt_stream *stream)
{
    assert_ptr_equal(context, &through);
    assert_int_equal(stream->want, 0);
    stream->on_ready = quiet;
    inside[through++ % COUNT_OF(inside)] = stream;
}

static int open_porch(void **state)
{
    setup(state);
    gnt_log_configure(GNT_LOG_ERROR, GNT_LOG_TEXT);
    counters = (struct gnt_counters){0};
    limits = (struct gnt_mqtt_limits){.connections_max = 2000, .engine.connect_timeout_ms = 1000};
    through = 0;
    agree(CLIENT);
    agree(SERVER);
    assert_int_equal(gnt_porch_init(&porch, &fake.loop, &counters, &limits), GNT_OK);
    return 0;
}

static int close_porch(void **state)
{
    for (unsigned i = 0; i < COUNT_OF(inside); i++)
        gnt_stream_close(&inside[i]);
    gnt_porch_fini(&porch);
    gnt_porch_fini(&porch); /* nothing is left */
    return teardown(state);
}

/* Somebody comes: their end of the wire. */
static struct gnt_stream *come(size_t room)
{
    struct gnt_stream *own, *other;
    struct gnt_tls_context *tls = gnt_tls_context_ref(contexts[SERVER]);
    assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, room, &own, &other), GNT_OK);
    gnt_porch_accept(&porch, other, &tls, "mqtts://127.0.0.1:8883", open_door, &through);
    assert_null(tls);
    return own;
}

static void come_as_client(void)
{
    struct gnt_stream *wire = come(ROOM);
    gnt_stream_close(&ends[CLIENT]);
    put_on(&wire, CLIENT);
}

/* Turns, in each of which it is a little later. */
static void pass(unsigned times)
{
    while (times--) {
        fake.now++;
        turn(1);
    }
}

static uint64_t failures(void)
{
    uint64_t n = gnt_counted(&counters, GNT_COUNT_TLS_FAILURES);
    assert_true(gnt_counted(&counters, GNT_COUNT_CONNECTIONS_REFUSED) >= n);
    return n;
}

static void test_through(void **state)
{
    (void)state;
    come_as_client();
    assert_int_equal(porch.count, 1);
    pass(10);
    assert_int_equal(through, 1);
    assert_int_equal(porch.count, 0);
    assert_int_equal(porch.shaking_count, 0);
    assert_int_equal(put(ends[CLIENT], "hello"), GNT_OK);
    assert_reads(inside[0], "hello");
    fake.now += 10 * GNT_NS_PER_S; /* its time does not run any more */
    pass(2);
    assert_int_equal(put(inside[0], "still here"), GNT_OK);
    assert_reads(ends[CLIENT], "still here");
    assert_int_equal(failures(), 0);
}

static void test_fails(void **state)
{
    (void)state;
    terms[SERVER].ask = GNT_TLS_REQUIRED;
    agree(SERVER);
    come_as_client();
    pass(10);
    assert_int_equal(through, 0);
    assert_int_equal(porch.count, 0);
    assert_int_equal(failures(), 1);
    assert_int_equal(read_says(ends[CLIENT]), GNT_REFUSED);
    assert_words(ends[CLIENT], "the server wants a client certificate");
}

/* Who comes with a hello at once stands in line; each turn one handshake begins. */
static void test_one_a_turn(void **state)
{
    (void)state;
    struct gnt_stream *wires[5];
    const struct iovec hello = {(void *)(uintptr_t) "\x16\3\1", 3};
    size_t n;
    for (size_t i = 0; i < COUNT_OF(wires); i++) {
        wires[i] = come(SMALL);
        assert_int_equal(gnt_stream_writev(wires[i], &hello, 1, &n), GNT_OK);
    }
    for (unsigned i = 1; i <= COUNT_OF(wires); i++) {
        pass(1);
        assert_int_equal(porch.shaking_count, i);
    }
    pass(2);
    gnt_loop_turn(&fake.loop, GNT_NEVER);
    assert_true(fake.waited > 0); /* nobody is in line: the loop sleeps */
    for (size_t i = 0; i < COUNT_OF(wires); i++)
        gnt_stream_close(&wires[i]);
    pass(5);
    assert_int_equal(porch.count, 0);
    assert_int_equal(failures(), COUNT_OF(wires));
}

/* Of two that say nothing, and half of a hello. */
static void test_time_is_up(void **state)
{
    (void)state;
    struct gnt_stream *silent = come(SMALL), *half = come(SMALL);
    const struct iovec hello = {(void *)(uintptr_t) "\x16\3\1", 3};
    size_t n;
    assert_int_equal(gnt_stream_writev(half, &hello, 1, &n), GNT_OK);
    pass(3);
    fake.now += 999 * GNT_NS_PER_MS;
    pass(1);
    assert_int_equal(porch.count, 2);
    fake.now += 2 * GNT_NS_PER_MS;
    pass(1);
    assert_int_equal(porch.count, 0);
    assert_int_equal(failures(), 2);
    assert_int_equal(read_says(silent), GNT_CLOSED);
    gnt_stream_close(&silent);
    gnt_stream_close(&half);
}

static void test_no_more_than_are_served(void **state)
{
    (void)state;
    limits.connections_max = 1;
    struct gnt_stream *first = come(SMALL), *second = come(SMALL);
    assert_int_equal(porch.count, 1);
    assert_int_equal(read_says(second), GNT_CLOSED);
    assert_int_equal(read_says(first), GNT_MORE);
    assert_int_equal(gnt_counted(&counters, GNT_COUNT_CONNECTIONS_REFUSED), 1);
    assert_int_equal(failures(), 0);
    gnt_stream_close(&first);
    gnt_stream_close(&second);
}

/* The oldest handshake goes for the next one, and whoever has not begun stays. */
static void test_many_that_stall(void **state)
{
    (void)state;
    static struct gnt_stream *wires[MANY + 1];
    const struct iovec hello = {(void *)(uintptr_t) "\x16\3\1", 3};
    size_t n;
    struct gnt_stream *silent = come(16);
    for (size_t i = 0; i < COUNT_OF(wires); i++) {
        wires[i] = come(16);
        assert_int_equal(gnt_stream_writev(wires[i], &hello, 1, &n), GNT_OK);
    }
    pass(MANY);
    assert_int_equal(porch.shaking_count, MANY);
    assert_int_equal(porch.count, MANY + 2);
    pass(1);
    assert_int_equal(porch.shaking_count, MANY);
    assert_int_equal(porch.count, MANY + 1);
    assert_int_equal(read_says(wires[0]), GNT_CLOSED);
    assert_int_equal(read_says(wires[1]), GNT_MORE);
    assert_int_equal(read_says(silent), GNT_MORE);
    for (size_t i = 0; i < COUNT_OF(wires); i++)
        gnt_stream_close(&wires[i]);
    gnt_stream_close(&silent);
}

static void test_stops(void **state)
{
    (void)state;
    struct gnt_stream *silent = come(SMALL), *shaking = come(SMALL), *in_line = come(SMALL);
    const struct iovec hello = {(void *)(uintptr_t) "\x16\3\1", 3};
    size_t n;
    assert_int_equal(gnt_stream_writev(shaking, &hello, 1, &n), GNT_OK);
    assert_int_equal(gnt_stream_writev(in_line, &hello, 1, &n), GNT_OK);
    pass(1);
    assert_int_equal(porch.count, 3);
    gnt_porch_stop(&porch);
    assert_int_equal(porch.count, 0);
    struct gnt_stream *late = come(SMALL);
    assert_int_equal(porch.count, 0);
    struct gnt_stream *all[] = {silent, shaking, in_line, late};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        while (read_says(all[i]) == GNT_OK)
            ; /* an alert, perhaps */
        assert_int_equal(read_says(all[i]), GNT_CLOSED);
        gnt_stream_close(&all[i]);
    }
}

/* Whoever cannot be taken is closed, and nothing is left behind. */
static void test_out_of_memory(void **state)
{
    (void)state;
    struct gnt_stream *own, *other;
    unsigned came = 0;
    for (long at = 0; !came; at++) {
        struct gnt_tls_context *tls = gnt_tls_context_ref(contexts[SERVER]);
        assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, ROOM, &own, &other), GNT_OK);
        put_on(&own, CLIENT);
        gnt_alloc_fail_at(at);
        gnt_porch_accept(&porch, other, &tls, "", open_door, &through);
        pass(20);
        gnt_alloc_fail_at(-1);
        came = through;
        assert_int_equal(porch.count, 0);
        gnt_stream_close(&ends[CLIENT]);
    }
    for (unsigned i = 0; i < COUNT_OF(inside); i++)
        gnt_stream_close(&inside[i]);
    gnt_porch_fini(&porch);
    gnt_loop_fini(&fake.loop);
    fake_loop_init(&fake);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_porch_init(&porch, &fake.loop, &counters, &limits), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, open_porch, close_porch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_through),
        T(test_fails),
        T(test_one_a_turn),
        T(test_time_is_up),
        T(test_no_more_than_are_served),
        T(test_many_that_stall),
        T(test_stops),
        T(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_pki, free_pki);
}
