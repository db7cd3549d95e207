#include "support/alloc_fault.h"
#include "support/unit.h"

#include "auth/guess.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define S GNT_NS_PER_S

static const struct gnt_guess_limits limits = {
    .free = 3,
    .most = 8,
    .window_ns = 60 * S,
    .delay_ns = S,
    .delay_most_ns = 5 * S,
    .block_ns = 300 * S,
};

static struct gnt_guess_source source(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = 7};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = 7};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return gnt_guess_source((struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return gnt_guess_source((struct sockaddr *)&v6);
}

static bool fail_at(struct gnt_guess *g, const char *from, uint64_t now, uint64_t *delay)
{
    struct gnt_guess_source s = source(from);
    return gnt_guess_failed(g, &s, now, delay);
}

static uint64_t blocked(struct gnt_guess *g, const char *from, uint64_t now)
{
    struct gnt_guess_source s = source(from);
    return gnt_guess_blocked(g, &s, now);
}

static struct gnt_guess *start(const struct gnt_guess_limits *l)
{
    struct gnt_guess *g;
    assert_int_equal(gnt_guess_new(l, &g), GNT_OK);
    return g;
}

static void delays_then_blocks(void **state)
{
    (void)state;
    static const uint64_t delays[] = {0, 0, 0, 1, 2, 4, 5, 5};
    struct gnt_guess *g = start(&limits);
    uint64_t delay, now = 1000 * S;
    for (size_t i = 0; i < COUNT_OF(delays); i++) {
        assert_int_equal(blocked(g, "192.0.2.1", now), 0);
        bool last = i + 1 == COUNT_OF(delays);
        assert_int_equal(fail_at(g, "192.0.2.1", now, &delay), last);
        assert_int_equal(delay, delays[i] * S);
        now += S;
    }
    now -= S;
    assert_int_equal(blocked(g, "192.0.2.1", now), 300 * S);
    assert_int_equal(blocked(g, "192.0.2.1", now + 299 * S), S);
    assert_int_equal(blocked(g, "192.0.2.2", now), 0);
    assert_false(fail_at(g, "192.0.2.1", now + S, &delay)); /* what was on its way */
    assert_int_equal(delay, 5 * S);
    assert_int_equal(blocked(g, "192.0.2.1", now + S), 299 * S); /* makes it no longer */
    assert_int_equal(blocked(g, "192.0.2.1", now + 300 * S), 0);
    assert_false(fail_at(g, "192.0.2.1", now + 300 * S, &delay)); /* from the beginning */
    assert_int_equal(delay, 0);
    gnt_guess_free(&g);
    assert_null(g);
    gnt_guess_free(&g);
}

static void a_window_passes(void **state)
{
    (void)state;
    struct gnt_guess *g = start(&limits);
    uint64_t delay, now = S;
    for (int i = 0; i < 4; i++)
        assert_false(fail_at(g, "192.0.2.1", now, &delay));
    assert_int_equal(delay, S);
    assert_false(fail_at(g, "192.0.2.1", now + 60 * S - 1, &delay));
    assert_int_equal(delay, 2 * S);
    assert_false(fail_at(g, "192.0.2.1", now + 60 * S, &delay));
    assert_int_equal(delay, 0);
    /* seven in each window, for ever */
    for (uint64_t t = now + 200 * S; t < now + 2000 * S; t += 60 * S)
        for (int i = 0; i < 7; i++)
            assert_false(fail_at(g, "192.0.2.1", t, &delay));
    gnt_guess_free(&g);
}

static void who_is_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", true},
        {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
        {"::1", "::2", false}, /* the same 64 bits, but loopback */
        {"192.0.2.1", "c000:201::", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_guess *g = start(&limits);
        uint64_t delay;
        for (int n = 0; n < 3; n++)
            assert_false(fail_at(g, rows[i].a, S, &delay));
        assert_false(fail_at(g, rows[i].b, S, &delay));
        assert_int_equal(delay != 0, rows[i].same);
        gnt_guess_free(&g);
    }
}

static void loopback_is_delayed_only(void **state)
{
    (void)state;
    static const char *const loopback[] = {"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"};
    for (size_t i = 0; i < COUNT_OF(loopback); i++) {
        struct gnt_guess *g = start(&limits);
        uint64_t delay = 0;
        for (int n = 0; n < 100; n++)
            assert_false(fail_at(g, loopback[i], S, &delay));
        assert_int_equal(delay, 5 * S);
        assert_int_equal(blocked(g, loopback[i], S), 0);
        gnt_guess_free(&g);
    }
}

static void without_an_address_there_is_no_limit(void **state)
{
    (void)state;
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct gnt_guess_source s = gnt_guess_source((struct sockaddr *)&local);
    struct gnt_guess *g = start(&limits);
    uint64_t delay = 1;
    for (int n = 0; n < 100; n++)
        assert_false(gnt_guess_failed(g, &s, S, &delay));
    assert_int_equal(delay, 0);
    assert_int_equal(gnt_guess_blocked(g, &s, S), 0);
    gnt_guess_free(&g);
}

/* The table has room for so many; the one that failed longest ago goes. */
static void forgets_the_oldest(void **state)
{
    (void)state;
    struct gnt_guess *g = start(&limits);
    uint64_t delay, now = S;
    char text[32];
    for (int i = 0; i < 8; i++)
        fail_at(g, "192.0.2.1", now, &delay);
    for (int i = 0; i < 3; i++)
        fail_at(g, "192.0.2.2", now, &delay);
    for (int i = 2; i < GNT_GUESS_SOURCES; i++) {
        snprintf(text, sizeof text, "10.0.%d.%d", i / 256, i % 256);
        assert_false(fail_at(g, text, now, &delay));
    }
    assert_int_equal(blocked(g, "192.0.2.1", now), 300 * S); /* all of them have room */
    assert_false(fail_at(g, "192.0.2.2", now, &delay));      /* is the youngest now */
    assert_int_equal(delay, S);
    assert_false(fail_at(g, "198.51.100.1", now, &delay));
    assert_int_equal(blocked(g, "192.0.2.1", now), 0);
    assert_false(fail_at(g, "192.0.2.2", now, &delay));
    assert_int_equal(delay, 2 * S);
    gnt_guess_free(&g);
}

static void limits_can_change(void **state)
{
    (void)state;
    struct gnt_guess_limits other = limits;
    struct gnt_guess *g = start(&limits);
    uint64_t delay;
    other.free = 0;
    other.most = 0;
    other.delay_ns = UINT64_MAX / 2 + 1;
    other.delay_most_ns = UINT64_MAX;
    fail_at(g, "192.0.2.1", S, &delay);
    gnt_guess_limit(g, &other);
    assert_false(fail_at(g, "192.0.2.1", S, &delay));
    assert_true(delay == UINT64_MAX); /* no overflow */
    for (int i = 0; i < 100; i++)
        assert_false(fail_at(g, "192.0.2.1", S, &delay)); /* never blocked */
    gnt_guess_free(&g);
}

static void bears_a_lack_of_memory(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        struct gnt_guess *g = NULL;
        uint64_t delay = 1;
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_guess_new(&limits, &g);
        for (int i = 0; !err && i < 40; i++) {
            char text[32];
            snprintf(text, sizeof text, "10.0.0.%d", i);
            assert_false(fail_at(g, text, S, &delay));
        }
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, n == 0 ? GNT_NOMEM : GNT_OK);
        if (g) /* it works again */
            for (int i = 0; i < 4; i++)
                fail_at(g, "192.0.2.1", S, &delay);
        assert_int_equal(delay, g ? S : 1);
        gnt_guess_free(&g);
        if (!failed)
            break;
    }
}

static void nobody_stays_blocked_where_nobody_is(void **state)
{
    (void)state;
    struct gnt_guess_limits l = limits;
    uint64_t delay;
    l.most = 1;
    struct gnt_guess *g = start(&l);
    assert_true(fail_at(g, "192.0.2.1", S, &delay));
    l.most = 0;
    gnt_guess_limit(g, &l);
    assert_int_equal(blocked(g, "192.0.2.1", S), 0);
    assert_false(fail_at(g, "192.0.2.1", S, &delay));
    gnt_guess_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_then_blocks),
        cmocka_unit_test(a_window_passes),
        cmocka_unit_test(who_is_the_same),
        cmocka_unit_test(loopback_is_delayed_only),
        cmocka_unit_test(without_an_address_there_is_no_limit),
        cmocka_unit_test(forgets_the_oldest),
        cmocka_unit_test(limits_can_change),
        cmocka_unit_test(nobody_stays_blocked_where_nobody_is),
        cmocka_unit_test(bears_a_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
