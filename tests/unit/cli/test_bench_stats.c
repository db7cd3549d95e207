#include "cli/bench_stats.h"
#include "base/random.h"
#include "support/unit.h"

#include <string.h>

static void an_empty_histogram_has_no_values(void **state)
{
    (void)state;
    static const struct gnt_histogram empty;
    assert_true(gnt_histogram_quantile(&empty, 0.5) == 0);
    assert_true(gnt_histogram_quantile(&empty, 1) == 0);
}

/* Every value, however large, is shown at most 0.8 % off and never above the largest. */
static void values_are_shown_nearly_as_they_are(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 64; shift++)
        for (uint64_t extra = 0; extra < 3; extra++) {
            static struct gnt_histogram h;
            uint64_t value = (UINT64_C(1) << shift) + (extra << shift >> 2);
            memset(&h, 0, sizeof h);
            gnt_histogram_add(&h, value);
            uint64_t shown = gnt_histogram_quantile(&h, 0.5);
            assert_true(shown <= value);
            assert_true(value - shown <= value / 128);
        }
    static struct gnt_histogram h;
    gnt_histogram_add(&h, UINT64_MAX);
    assert_true(UINT64_MAX - gnt_histogram_quantile(&h, 1) <= UINT64_MAX / 128);
}

static void quantiles_count_from_below(void **state)
{
    (void)state;
    static struct gnt_histogram h;
    for (uint64_t i = 1; i <= 100; i++)
        gnt_histogram_add(&h, i);
    assert_true(gnt_histogram_quantile(&h, 0) == 1);
    assert_true(gnt_histogram_quantile(&h, 0.5) == 50);
    assert_true(gnt_histogram_quantile(&h, 0.99) == 99);
    assert_true(gnt_histogram_quantile(&h, 1) == 100);
    assert_true(h.count == 100 && h.max == 100);
}

static void medians(void **state)
{
    (void)state;
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7};
    assert_true(gnt_median(odd, 3) == 2);
    assert_true(gnt_median(even, 4) == 2.5);
    assert_true(gnt_median(one, 1) == 7);
    assert_true(gnt_median(one, 0) == 0);
}

static void messages_come_new_late_and_again(void **state)
{
    (void)state;
    static const struct {
        uint32_t number;
        enum gnt_seen seen;
    } steps[] = {
        {1, GNT_SEEN_NEW},     {1, GNT_SEEN_AGAIN},    {2, GNT_SEEN_NEW},    {5, GNT_SEEN_NEW},
        {4, GNT_SEEN_LATE},    {4, GNT_SEEN_AGAIN},    {3, GNT_SEEN_LATE},   {5, GNT_SEEN_AGAIN},
        {68, GNT_SEEN_NEW},    {5, GNT_SEEN_AGAIN},    {6, GNT_SEEN_LATE},   {4, GNT_SEEN_AGAIN},
        {1000, GNT_SEEN_NEW},  {1000, GNT_SEEN_AGAIN}, {999, GNT_SEEN_LATE}, {937, GNT_SEEN_LATE},
        {936, GNT_SEEN_AGAIN}, /* beyond the window */
    };
    struct gnt_seen_rows s;
    assert_int_equal(gnt_seen_init(&s, 2, 1), GNT_OK);
    for (size_t i = 0; i < COUNT_OF(steps); i++)
        assert_int_equal(gnt_seen_note(&s, 1, steps[i].number), steps[i].seen);
    assert_int_equal(gnt_seen_note(&s, 0, 1), GNT_SEEN_NEW); /* rows are apart */
    gnt_seen_fini(&s);
    gnt_seen_fini(&s);
}

/* Any order of numbers, against a table of what came. */
static void a_wide_window_knows_what_came(void **state)
{
    (void)state;
    enum { NUMBERS = 2000, WORDS = 4, WINDOW = WORDS * 64 };
    struct gnt_seeded dice;
    struct gnt_seen_rows s;
    bool came[NUMBERS + 2 * WINDOW] = {false};
    uint32_t highest = 0;
    gnt_seeded_init(&dice, 7);
    assert_int_equal(gnt_seen_init(&s, 1, WORDS), GNT_OK);
    for (uint32_t i = 1; i < NUMBERS; i++) {
        uint32_t number = i + (uint32_t)(gnt_seeded_next(&dice) % (WINDOW * 3 / 2));
        enum gnt_seen wanted = number > highest                             ? GNT_SEEN_NEW
                               : came[number] || highest - number >= WINDOW ? GNT_SEEN_AGAIN
                                                                            : GNT_SEEN_LATE;
        assert_int_equal(gnt_seen_note(&s, 0, number), wanted);
        came[number] = true;
        highest = number > highest ? number : highest;
    }
    gnt_seen_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_histogram_has_no_values),
        cmocka_unit_test(values_are_shown_nearly_as_they_are),
        cmocka_unit_test(quantiles_count_from_below),
        cmocka_unit_test(medians),
        cmocka_unit_test(messages_come_new_late_and_again),
        cmocka_unit_test(a_wide_window_knows_what_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
