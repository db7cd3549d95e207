#include "cli/number.h"
#include "support/unit.h"

static void decimal_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned decimals;
        int64_t value;
    } good[] = {
        {"0", 3, 0},           {"21", 3, 21000},      {"21.5", 3, 21500},
        {"-12.25", 3, -12250}, {".5", 3, 500},        {"5.", 3, 5000},
        {"1.23456", 3, 1234},  {"7.9", 0, 7},         {"-0.001", 3, -1},
        {"007", 1, 70},        {"0.1", 9, 100000000}, {"9223372036854775807", 0, INT64_MAX},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        int64_t value = -7;
        assert_int_equal(gnt_number_decimal(good[i].text, good[i].decimals, &value), GNT_OK);
        assert_true(value == good[i].value);
    }
    static const char *const bad[] = {"",
                                      "-",
                                      ".",
                                      "-.",
                                      "1.2.3",
                                      "1,5",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1e3",
                                      "0x1",
                                      "nan",
                                      "--1",
                                      "28C",
                                      "9223372036854775808",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int64_t value = -7;
        assert_int_equal(gnt_number_decimal(bad[i], 0, &value), GNT_INVALID);
        assert_int_equal(value, -7);
    }
    int64_t value;
    assert_int_equal(gnt_number_decimal("9223372036854775807", 3, &value), GNT_INVALID);
}

struct values {
    uint64_t span_ns;
    struct gnt_number_celsius celsius;
};

static const struct gnt_option rows[] = {
    {.flag = "span", .metavar = "SECONDS", GNT_OPTION_FIELD(struct values, span_ns)},
    {.flag = "above", .metavar = "C", GNT_OPTION_FIELD(struct values, celsius)},
};

static void options_take_them(void **state)
{
    (void)state;
    struct values values = {0};
    struct gnt_why why = {""};
    char half[] = "0.5", cold[] = "-12.5", hot[] = "150.001", negative[] = "-1", word[] = "warm";
    char *words[] = {half};
    assert_int_equal(gnt_number_take_seconds(&rows[0], &values, 1, words, &why), 1);
    assert_true(values.span_ns == 500000000);
    words[0] = negative;
    assert_int_equal(gnt_number_take_seconds(&rows[0], &values, 1, words, &why), GNT_INVALID);
    assert_string_equal(why.text, "expected seconds such as 2 or 0.5, got '-1'");
    assert_int_equal(gnt_number_take_seconds(&rows[0], &values, 0, words, &why), GNT_INVALID);
    assert_string_equal(why.text, "a value is missing: --span SECONDS");
    assert_true(values.span_ns == 500000000);

    assert_false(values.celsius.given);
    words[0] = cold;
    assert_int_equal(gnt_number_take_celsius(&rows[1], &values, 1, words, &why), 1);
    assert_true(values.celsius.given);
    assert_int_equal(values.celsius.milli, -12500);
    words[0] = hot;
    assert_int_equal(gnt_number_take_celsius(&rows[1], &values, 1, words, &why), GNT_INVALID);
    words[0] = word;
    assert_int_equal(gnt_number_take_celsius(&rows[1], &values, 1, words, &why), GNT_INVALID);
    assert_string_equal(why.text,
                        "expected degrees Celsius from -55 to 150, such as 28.5, got 'warm'");
    assert_int_equal(values.celsius.milli, -12500);
}

static void thousandths_are_printed(void **state)
{
    (void)state;
    static const struct {
        int32_t milli;
        const char *text;
    } vectors[] = {
        {0, "0.0"},
        {21375, "21.375"},
        {21000, "21.0"},
        {-500, "-0.5"},
        {-55000, "-55.0"},
        {63, "0.063"},
        {-1, "-0.001"},
        {100, "0.1"},
        {INT32_MAX, "2147483.647"},
        {INT32_MIN, "-2147483.648"},
    };
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        char text[GNT_NUMBER_CHARS];
        assert_string_equal(gnt_number_print_milli(vectors[i].milli, text), vectors[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimal_numbers),
        cmocka_unit_test(options_take_them),
        cmocka_unit_test(thousandths_are_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
