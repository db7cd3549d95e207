#include "conf/scalar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const struct gnt_unit *units;
        gnt_err err;
        uint64_t value;
    } rows[] = {
        {"0", gnt_units_none, GNT_OK, 0},
        {"1000", gnt_units_none, GNT_OK, 1000},
        {"007", gnt_units_none, GNT_OK, 7},
        {"18446744073709551615", gnt_units_none, GNT_OK, UINT64_MAX},
        {"18446744073709551616", gnt_units_none, GNT_TOOBIG, 0},
        {"99999999999999999999999", gnt_units_none, GNT_TOOBIG, 0},
        {"", gnt_units_none, GNT_INVALID, 0},
        {"-1", gnt_units_none, GNT_INVALID, 0},
        {"+1", gnt_units_none, GNT_INVALID, 0},
        {" 1", gnt_units_none, GNT_INVALID, 0},
        {"1 ", gnt_units_none, GNT_INVALID, 0},
        {"1.5", gnt_units_none, GNT_INVALID, 0},
        {"0x10", gnt_units_none, GNT_INVALID, 0},
        {"1KiB", gnt_units_none, GNT_INVALID, 0},
        {"64KiB", gnt_units_size, GNT_OK, 65536},
        {"64B", gnt_units_size, GNT_OK, 64},
        {"64", gnt_units_size, GNT_OK, 64},
        {"1MiB", gnt_units_size, GNT_OK, 1048576},
        {"2GiB", gnt_units_size, GNT_OK, UINT64_C(2) << 30},
        {"1KB", gnt_units_size, GNT_INVALID, 0},
        {"1 MiB", gnt_units_size, GNT_INVALID, 0},
        {"12 parrots", gnt_units_size, GNT_INVALID, 0},
        {"17179869184GiB", gnt_units_size, GNT_TOOBIG, 0},
        {"500ms", gnt_units_duration, GNT_OK, 500},
        {"10s", gnt_units_duration, GNT_OK, 10000},
        {"5m", gnt_units_duration, GNT_OK, 300000},
        {"2h", gnt_units_duration, GNT_OK, 7200000},
        {"7d", gnt_units_duration, GNT_OK, 604800000},
        {"0", gnt_units_duration, GNT_OK, 0},
        {"10", gnt_units_duration, GNT_INVALID, 0},
        {"1y", gnt_units_duration, GNT_INVALID, 0},
        {"10s", gnt_units_seconds, GNT_OK, 10},
        {"1d", gnt_units_seconds, GNT_OK, 86400},
        {"500ms", gnt_units_seconds, GNT_INVALID, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = 4711;
        gnt_err err = gnt_scalar_number(gnt_slice_str(rows[i].text), rows[i].units, &value);
        assert_int_equal(err, rows[i].err);
        assert_int_equal(value, err ? 4711 : rows[i].value);
    }
}

static void truths(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "yes", "on", "True", "ON"};
    static const char *const no[] = {"false", "no", "off", "FALSE"};
    static const char *const neither[] = {"", "1", "0", "y", "tru", "truee", "none"};
    bool value;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        assert_int_equal(gnt_scalar_bool(gnt_slice_str(yes[i]), &value), GNT_OK);
        assert_true(value);
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        assert_int_equal(gnt_scalar_bool(gnt_slice_str(no[i]), &value), GNT_OK);
        assert_false(value);
    }
    for (size_t i = 0; i < sizeof neither / sizeof neither[0]; i++)
        assert_int_equal(gnt_scalar_bool(gnt_slice_str(neither[i]), &value), GNT_INVALID);
}

static void printed_as_read(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const struct gnt_unit *units;
        const char *text;
    } rows[] = {
        {0, gnt_units_duration, "0"},
        {0, gnt_units_size, "0"},
        {1000, gnt_units_none, "1000"},
        {1048576, gnt_units_size, "1MiB"},
        {268435455, gnt_units_size, "268435455"},
        {1536, gnt_units_size, "1536"},
        {UINT64_C(1) << 40, gnt_units_size, "1024GiB"},
        {90000, gnt_units_duration, "90s"},
        {86400000, gnt_units_duration, "1d"},
        {1500, gnt_units_duration, "1500ms"},
        {3600, gnt_units_seconds, "1h"},
        {UINT64_MAX, gnt_units_none, "18446744073709551615"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[GNT_SCALAR_CHARS];
        uint64_t value;
        assert_string_equal(gnt_scalar_print(rows[i].value, rows[i].units, text), rows[i].text);
        assert_int_equal(gnt_scalar_number(gnt_slice_str(text), rows[i].units, &value), GNT_OK);
        assert_int_equal(value, rows[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(truths),
        cmocka_unit_test(printed_as_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
