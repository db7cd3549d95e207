/* AMQP values as text, and whether two of them are the same. */
#include "../../support/unit.h"
#include "amqp/codec/put.h"
#include "mapping/same.h"
#include "mapping/text.h"

#define BYTES(t, literal)                                                        \
    {                                                                            \
        .type = (t), .bytes = {(const uint8_t *)(literal), sizeof(literal) - 1 } \
    }

static const struct {
    struct gnt_amqp_value value;
    const char *text;
} rows[] = {
    {{.type = GNT_AMQP_NULL}, "null"},
    {{.type = GNT_AMQP_BOOLEAN, .number = 1}, "true"},
    {{.type = GNT_AMQP_BOOLEAN}, "false"},
    {{.type = GNT_AMQP_UBYTE, .number = 255}, "255"},
    {{.type = GNT_AMQP_ULONG, .number = UINT64_MAX}, "18446744073709551615"},
    {{.type = GNT_AMQP_BYTE, .integer = -128}, "-128"},
    {{.type = GNT_AMQP_LONG, .integer = INT64_MIN}, "-9223372036854775808"},
    {{.type = GNT_AMQP_FLOAT, .number = 0x3dcccccd}, "0.1"},
    {{.type = GNT_AMQP_FLOAT, .number = 0x7f7fffff}, "3.4028235e+38"},
    {{.type = GNT_AMQP_FLOAT, .number = 0xff800000}, "-inf"},
    {{.type = GNT_AMQP_DOUBLE, .number = UINT64_C(0x3fb999999999999a)}, "0.1"},
    {{.type = GNT_AMQP_DOUBLE, .number = UINT64_C(0x8000000000000000)}, "-0"},
    {{.type = GNT_AMQP_DOUBLE, .number = UINT64_C(0x7ff8000000000000)}, "nan"},
    {{.type = GNT_AMQP_DOUBLE, .number = UINT64_C(0x7ff0000000000000)}, "inf"},
    {BYTES(GNT_AMQP_DECIMAL32, "\x22\x50\x00\x01"), "22500001"},
    {{.type = GNT_AMQP_CHAR, .number = 'a'}, "a"},
    {{.type = GNT_AMQP_CHAR, .number = 0xe9}, "\xc3\xa9"},
    {{.type = GNT_AMQP_CHAR, .number = 0x20ac}, "\xe2\x82\xac"},
    {{.type = GNT_AMQP_CHAR, .number = 0x1f600}, "\xf0\x9f\x98\x80"},
    {{.type = GNT_AMQP_TIMESTAMP, .integer = 0}, "1970-01-01T00:00:00.000Z"},
    {{.type = GNT_AMQP_TIMESTAMP, .integer = -1}, "1969-12-31T23:59:59.999Z"},
    {{.type = GNT_AMQP_TIMESTAMP, .integer = INT64_C(1763869500123)}, "2025-11-23T03:45:00.123Z"},
    {{.type = GNT_AMQP_TIMESTAMP, .integer = INT64_MAX}, "9223372036854775807"},
    {BYTES(GNT_AMQP_UUID, "\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x14\x17\x40\x00"),
     "123e4567-e89b-12d3-a456-426614174000"},
    {BYTES(GNT_AMQP_BINARY, "\x00\xff"), "AP8="},
    {BYTES(GNT_AMQP_STRING, "t"), "t"},
    {BYTES(GNT_AMQP_SYMBOL, "s"), "s"},
};

static void test_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_arena a = {0};
        struct gnt_slice text;
        assert_int_equal(gnt_mapping_text(&a, &rows[i].value, &text), GNT_OK);
        char copy[64] = {0};
        assert_true(text.size < sizeof copy);
        if (text.size)
            memcpy(copy, text.data, text.size);
        assert_string_equal(copy, rows[i].text);
        gnt_arena_fini(&a);
    }
}

static void test_no_text(void **state)
{
    (void)state;
    struct gnt_arena a = {0};
    struct gnt_slice text;
    const enum gnt_amqp_type types[] = {GNT_AMQP_LIST, GNT_AMQP_MAP, GNT_AMQP_ARRAY,
                                        GNT_AMQP_DESCRIBED};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        const struct gnt_amqp_value v = {.type = types[i]};
        assert_int_equal(gnt_mapping_text(&a, &v, &text), GNT_UNSUPPORTED);
    }
}

static struct gnt_amqp_value parsed(struct gnt_slice encoded)
{
    struct gnt_amqp_value v;
    assert_true(gnt_amqp_valid(encoded));
    assert_int_equal(gnt_amqp_parse(encoded, &v), GNT_OK);
    return v;
}

/* Pairs that say the same, and each of which says something else than all others. */
static const struct {
    struct gnt_slice a, b;
} pairs[] = {
#define PAIR(x, y)                              \
    {                                           \
        {(const uint8_t *)(x), sizeof(x) - 1},  \
        {                                       \
            (const uint8_t *)(y), sizeof(y) - 1 \
        }                                       \
    }
    PAIR("\x40", "\x40"),
    PAIR("\x41", "\x56\x01"),
    PAIR("\x43", "\x70\0\0\0\0"),
    PAIR("\x44", "\x80\0\0\0\0\0\0\0\0"),
    PAIR("\x54\xff", "\x71\xff\xff\xff\xff"),
    PAIR("\xa1\x01s", "\xb1\0\0\0\x01s"),
    PAIR("\xa3\x01s", "\xb3\0\0\0\x01s"),
    PAIR("\xa0\x01s", "\xb0\0\0\0\x01s"),
    PAIR("\x45", "\xc0\x01\x00"),
    PAIR("\xc0\x03\x02\x41\x40", "\xd0\0\0\0\x07\0\0\0\x02\x56\x01\x40"),
    PAIR("\xc1\x05\x02\x44\xa3\x01s", "\xd1\0\0\0\x0c\0\0\0\x02\x53\x00\xb3\0\0\0\x01s"),
    PAIR("\xe0\x04\x02\x50\x01\x02", "\xf0\0\0\0\x07\0\0\0\x02\x50\x01\x02"),
    PAIR("\x00\x53\x24\x45", "\x00\x80\0\0\0\0\0\0\0\x24\xc0\x01\x00"),
    PAIR("\x72\x7f\xc0\0\0", "\x72\x7f\xc0\0\0"),
};

static void test_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        const struct gnt_amqp_value a = parsed(pairs[i].a), b = parsed(pairs[i].b);
        assert_true(gnt_mapping_same(&a, &b));
        for (size_t j = 0; j < COUNT_OF(pairs); j++) {
            const struct gnt_amqp_value other = parsed(pairs[j].a);
            assert_int_equal(gnt_mapping_same(&a, &other), i == j);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_no_text),
                                       cmocka_unit_test(test_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
