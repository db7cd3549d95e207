#include "support/unit.h"

#include "store/store_time.h"

/* A machine whose clocks the test sets. */
struct machine {
    uint64_t ns, wall_ms;
    struct gnt_clock clock;
};

static uint64_t machine_ns(void *self)
{
    return ((struct machine *)self)->ns;
}

static uint64_t machine_wall(void *self)
{
    return ((struct machine *)self)->wall_ms;
}

static void machine_init(struct machine *m, uint64_t ns, uint64_t wall_ms)
{
    *m = (struct machine){ns, wall_ms, {machine_ns, machine_wall, m}};
}

static void machine_pass(struct machine *m, uint64_t ms)
{
    m->ns += ms * GNT_NS_PER_MS;
    m->wall_ms += ms;
}

#define START_MS UINT64_C(1700000000000)

/* What is kept on disk, and the next start. */
static void restart(struct machine *m, struct gnt_store_time *t, uint64_t uptime_ns,
                    uint64_t wall_ms)
{
    int64_t skew = gnt_store_time_skew(t);
    uint64_t at = gnt_store_time_ms(t);
    machine_init(m, uptime_ns, wall_ms);
    gnt_store_time_init(t, &m->clock, skew, at);
}

static void test_a_new_store_has_wall_time(void **state)
{
    (void)state;
    struct machine m;
    struct gnt_store_time t;
    machine_init(&m, 5 * GNT_NS_PER_S, START_MS);
    gnt_store_time_init(&t, &m.clock, 0, 0);
    assert_int_equal(gnt_store_time_ms(&t), START_MS);
    assert_int_equal(gnt_store_time_skew(&t), 0);
    machine_pass(&m, 1234);
    assert_int_equal(gnt_store_time_ms(&t), START_MS + 1234);
    assert_int_equal(gnt_store_time_skew(&t), 0);
}

/* The wall clock is set while the broker runs: forwards by years, and back. */
static void test_a_jump_of_the_wall_clock_moves_nothing(void **state)
{
    (void)state;
    const int64_t jumps[] = {1000, -1000, INT64_C(50) * 365 * 86400000, -INT64_C(1600000000000)};
    for (size_t i = 0; i < COUNT_OF(jumps); i++) {
        struct machine m;
        struct gnt_store_time t;
        machine_init(&m, 7 * GNT_NS_PER_S, START_MS);
        gnt_store_time_init(&t, &m.clock, 0, 0);
        uint64_t expires = m.ns + 60 * GNT_NS_PER_S;
        uint64_t kept = gnt_store_time_from(&t, expires);
        m.wall_ms = (uint64_t)((int64_t)m.wall_ms + jumps[i]);
        assert_int_equal(gnt_store_time_ms(&t), START_MS);
        assert_int_equal(gnt_store_time_skew(&t), -jumps[i]);
        assert_int_equal(gnt_store_time_from(&t, expires), kept);
        /* 20 s go by while it is down, and the machine begins anew */
        restart(&m, &t, 3 * GNT_NS_PER_S, m.wall_ms + 20000);
        assert_int_equal(gnt_store_time_ms(&t), START_MS + 20000);
        assert_int_equal(gnt_store_time_to(&t, kept), 43 * GNT_NS_PER_S);
    }
}

/* The wall clock is set back while nothing runs: store time goes on from where it was. */
static void test_store_time_never_goes_back(void **state)
{
    (void)state;
    struct machine m;
    struct gnt_store_time t;
    machine_init(&m, 7 * GNT_NS_PER_S, START_MS);
    gnt_store_time_init(&t, &m.clock, 0, 0);
    machine_pass(&m, 5000);
    restart(&m, &t, 1, 0); /* a board without a battery */
    assert_int_equal(gnt_store_time_ms(&t), START_MS + 5000);
    machine_pass(&m, 1000);
    m.wall_ms = START_MS + 3600000; /* the time server answers */
    assert_int_equal(gnt_store_time_ms(&t), START_MS + 6000);
    restart(&m, &t, 1, m.wall_ms + 10);
    assert_int_equal(gnt_store_time_ms(&t), START_MS + 6010);
}

static void test_times_come_back(void **state)
{
    (void)state;
    struct machine m;
    struct gnt_store_time t;
    machine_init(&m, 100 * GNT_NS_PER_S, START_MS);
    gnt_store_time_init(&t, &m.clock, 0, 0);
    assert_true(gnt_store_time_from(&t, GNT_NEVER) == UINT64_MAX);
    assert_true(gnt_store_time_to(&t, UINT64_MAX) == GNT_NEVER);
    assert_int_equal(gnt_store_time_from(&t, 101 * GNT_NS_PER_S), START_MS + 1000);
    assert_int_equal(gnt_store_time_to(&t, START_MS + 1000), 101 * GNT_NS_PER_S);
    assert_int_equal(gnt_store_time_from(&t, 101 * GNT_NS_PER_S + 1), START_MS + 1001);
    assert_int_equal(gnt_store_time_to(&t, START_MS - 100000), 1); /* the moment of the start */
    assert_int_equal(gnt_store_time_to(&t, 0), 1);
    assert_true(gnt_store_time_to(&t, UINT64_MAX - 1) == GNT_FAR);
    assert_true(gnt_store_time_to(&t, START_MS + UINT64_C(18446744073709)) == GNT_FAR);
    assert_true(gnt_store_time_from(&t, GNT_FAR) < UINT64_MAX);
    assert_int_equal(gnt_store_time_from(&t, 1), START_MS - 100000 + 1);
}

/* What a disk says may be anything. */
static void test_nothing_overflows(void **state)
{
    (void)state;
    const int64_t skews[] = {INT64_MIN, -(int64_t)START_MS, -1, 0, 1, INT64_MAX};
    const uint64_t times[] = {0, 1, START_MS, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
    for (size_t s = 0; s < COUNT_OF(skews); s++) {
        for (size_t i = 0; i < COUNT_OF(times); i++) {
            struct machine m;
            struct gnt_store_time t;
            machine_init(&m, GNT_NS_PER_S, times[(i + s) % COUNT_OF(times)]);
            gnt_store_time_init(&t, &m.clock, skews[s], times[i]);
            assert_true(gnt_store_time_ms(&t) <= INT64_MAX);
            assert_true(times[i] > INT64_MAX / 4 || gnt_store_time_ms(&t) >= times[i]);
            (void)gnt_store_time_skew(&t);
            for (size_t k = 0; k < COUNT_OF(times); k++)
                assert_true(gnt_store_time_to(&t, gnt_store_time_from(&t, times[k])) > 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_store_has_wall_time),
        cmocka_unit_test(test_a_jump_of_the_wall_clock_moves_nothing),
        cmocka_unit_test(test_store_time_never_goes_back),
        cmocka_unit_test(test_times_come_back),
        cmocka_unit_test(test_nothing_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
