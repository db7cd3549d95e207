#include "support/unit.h"

#include "base/counters.h"

#include <string.h>

static void test_counting(void **state)
{
    (void)state;
    struct gnt_counters c = {0};
    gnt_count(&c, GNT_COUNT_BYTES_SENT, 5);
    gnt_count(&c, GNT_COUNT_BYTES_SENT, 7);
    gnt_count(&c, GNT_COUNT_CONNECTED, 2);
    gnt_count(&c, GNT_COUNT_CONNECTED, -1);
    assert_int_equal(gnt_counted(&c, GNT_COUNT_BYTES_SENT), 12);
    assert_int_equal(gnt_counted(&c, GNT_COUNT_CONNECTED), 1);
    assert_int_equal(gnt_counted(&c, GNT_COUNT_BYTES_RECEIVED), 0);
}

/* A gauge may be raised by one worker and lowered by another: only the sum means something. */
static void test_gauges_add_up_over_workers(void **state)
{
    (void)state;
    struct gnt_counters a = {0}, b = {0};
    gnt_count(&a, GNT_COUNT_SESSIONS, 3);
    gnt_count(&b, GNT_COUNT_SESSIONS, -2);
    assert_int_equal(gnt_counted(&a, GNT_COUNT_SESSIONS) + gnt_counted(&b, GNT_COUNT_SESSIONS), 1);
}

static void test_topics_differ(void **state)
{
    (void)state;
    static const char *const topics[] = {
#define ROW(name, topic, help) topic,
        GNT_COUNTERS(ROW) GNT_GAUGES(ROW)
#undef ROW
    };
    assert_int_equal(COUNT_OF(topics), GNT_COUNTER_COUNT);
    for (size_t i = 0; i < COUNT_OF(topics); i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(topics[i], topics[j]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counting),
        cmocka_unit_test(test_gauges_add_up_over_workers),
        cmocka_unit_test(test_topics_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
