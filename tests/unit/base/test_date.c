#include "../../support/unit.h"
#include "base/date.h"

#include <time.h>

static void test_rows(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
        {INT64_C(4107542400000), "2100-03-01T00:00:00.000Z"},
        {INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z"},
        {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
    };
    char out[GNT_DATE_SIZE];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(gnt_date_print(rows[i].ms, out), GNT_DATE_SIZE - 1);
        assert_string_equal(out, rows[i].text);
    }
    assert_int_equal(gnt_date_print(rows[4].ms - 1, out), 0);
    assert_int_equal(gnt_date_print(rows[5].ms + 1, out), 0);
    assert_int_equal(gnt_date_print(INT64_MIN, out), 0);
    assert_int_equal(gnt_date_print(INT64_MAX, out), 0);
}

/* Every day of four hundred years, as the C library has it. */
static void test_days(void **state)
{
    (void)state;
    for (time_t day = -146097; day < 2 * 146097; day++) {
        char out[GNT_DATE_SIZE], expected[GNT_DATE_SIZE];
        const time_t seconds = day * 86400;
        struct tm tm;
        gmtime_r(&seconds, &tm);
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
        gnt_date_print(seconds * 1000, out);
        assert_string_equal(out, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_days)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
