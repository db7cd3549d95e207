#include "support/unit.h"

#include "support/alloc_fault.h"
#include "support/amqp_value.h"

/* Each encoding of each type [AMQP 1.6], what it is, and the smallest encoding of the same value.
 */
static const struct {
    const char *bytes, *told, *smallest; /* NULL: the same */
} good[] = {
    {"40", "null", NULL},
    {"41", "true", NULL},
    {"42", "false", NULL},
    {"5601", "true", "41"},
    {"5600", "false", "42"},
    {"5000", "ubyte 0", NULL},
    {"50ff", "ubyte 255", NULL},
    {"600000", "ushort 0", NULL},
    {"60ffff", "ushort 65535", NULL},
    {"43", "uint 0", NULL},
    {"5200", "uint 0", "43"},
    {"5201", "uint 1", NULL},
    {"52ff", "uint 255", NULL},
    {"7000000000", "uint 0", "43"},
    {"70000000ff", "uint 255", "52ff"},
    {"7000000100", "uint 256", NULL},
    {"70ffffffff", "uint 4294967295", NULL},
    {"44", "ulong 0", NULL},
    {"5300", "ulong 0", "44"},
    {"53ff", "ulong 255", NULL},
    {"800000000000000000", "ulong 0", "44"},
    {"8000000000000000ff", "ulong 255", "53ff"},
    {"800000000000000100", "ulong 256", NULL},
    {"80ffffffffffffffff", "ulong 18446744073709551615", NULL},
    {"5180", "byte -128", NULL},
    {"517f", "byte 127", NULL},
    {"618000", "short -32768", NULL},
    {"617fff", "short 32767", NULL},
    {"5480", "int -128", NULL},
    {"547f", "int 127", NULL},
    {"7100000000", "int 0", "5400"},
    {"71ffffff80", "int -128", "5480"},
    {"71ffffff7f", "int -129", NULL},
    {"7100000080", "int 128", NULL},
    {"7180000000", "int -2147483648", NULL},
    {"717fffffff", "int 2147483647", NULL},
    {"5580", "long -128", NULL},
    {"810000000000000001", "long 1", "5501"},
    {"81ffffffffffffff7f", "long -129", NULL},
    {"810000000000000080", "long 128", NULL},
    {"818000000000000000", "long -9223372036854775808", NULL},
    {"817fffffffffffffff", "long 9223372036854775807", NULL},
    {"7200000000", "float 0", NULL},
    {"7280000000", "float -0", NULL},
    {"723f800000", "float 1", NULL},
    {"723dcccccd", "float 0.100000001", NULL},
    {"727f800000", "float inf", NULL},
    {"72ff800000", "float -inf", NULL},
    {"727fc00000", "float nan(0x7fc00000)", NULL},
    {"72ffa00001", "float nan(0xffa00001)", NULL}, /* signalling, and with something to tell */
    {"820000000000000000", "double 0", NULL},
    {"823fb999999999999a", "double 0.10000000000000001", NULL},
    {"82000000 0000000001", "double 4.9406564584124654e-324", NULL},
    {"827ff0000000000000", "double inf", NULL},
    {"827ff4000000000001", "double nan(0x7ff4000000000001)", NULL},
    {"7422500000", "decimal32 0x22500000", NULL},
    {"842238000000000001", "decimal64 0x2238000000000001", NULL},
    {"9422080000000000000000000000000001", "decimal128 0x22080000000000000000000000000001", NULL},
    {"7300000000", "char U+0000", NULL},
    {"730001f600", "char U+1F600", NULL},
    {"730010ffff", "char U+10FFFF", NULL},
    {"730000d7ff", "char U+D7FF", NULL},
    {"730000e000", "char U+E000", NULL},
    {"83 0000000000000000", "1970-01-01T00:00:00.000Z", NULL},
    {"83 ffffffffffffffff", "1969-12-31T23:59:59.999Z", NULL},
    {"83 000000dc6acfac00", "2000-01-01T00:00:00.000Z", NULL},
    {"83 000000dd9fcd3bff", "2000-02-29T23:59:59.999Z", NULL},
    {"83 7fffffffffffffff", "timestamp 9223372036854775807", NULL},
    {"83 8000000000000000", "timestamp -9223372036854775808", NULL},
    {"98 00112233445566778899aabbccddeeff", "00112233-4455-6677-8899-aabbccddeeff", NULL},
    {"a0 00", "b\"\"", NULL},
    {"a0 03 00 41 ff", "b\"\\x00A\\xff\"", NULL},
    {"b0 00000001 41", "b\"A\"", "a0 01 41"},
    {"a1 00", "\"\"", NULL},
    {"a1 03 'a\"\\'", "\"a\\\"\\\\\"", NULL},
    {"a1 02 c3a9", "\"\xc3\xa9\"", NULL},
    {"a1 03 'a' 00 'b'", "\"a\\x00b\"", NULL}, /* U+0000 is a character as any other */
    {"a1 02 c285", "\"\\xc2\\x85\"", NULL},    /* one that a terminal would act on */
    {"b1 00000002 'ab'", "\"ab\"", "a1 02 'ab'"},
    {"a3 00", "''", NULL},
    {"a3 0b 'amqp:accept'", "'amqp:accept'", NULL},
    {"b3 00000001 'x'", "'x'", "a3 01 'x'"},
    {"45", "[]", NULL},
    {"c0 01 00", "[]", "45"},
    {"d0 00000004 00000000", "[]", "45"},
    {"c0 02 01 40", "[null]", NULL},
    {"c0 05 02 5207 a100", "[uint 7, \"\"]", NULL},
    {"d0 00000006 00000001 54ff", "[int -1]", "c0 03 01 54ff"},
    {"c0 07 01 c0 04 01 c0 01 00", "[[[]]]", "c0 05 01 c0 02 01 45"},
    {"c1 01 00", "{}", NULL},
    {"d1 00000004 00000000", "{}", "c1 01 00"},
    {"c1 07 02 a3 01 'a' a1 01 'b'", "{'a': \"b\"}", NULL},
    {"d1 00000009 00000002 a3 01 'a' 5501", "{'a': long 1}", "c1 06 02 a3 01 'a' 5501"},
    {"c1 05 04 43 41 43 42", "{uint 0: true, uint 0: false}", NULL}, /* one key twice */
    {"c1 07 04 45 45 c1 01 00 40", "{[]: [], {}: null}", NULL},      /* any key */
    {"e0 04 02 50 01 02", "array[ubyte 1, ubyte 2]", NULL},
    {"f0 00000007 00000002 50 01 02", "array[ubyte 1, ubyte 2]", "e0 04 02 50 01 02"},
    {"e0 02 00 71", "array[]", NULL},
    {"e0 06 02 a3 01 'a' 01 'b'", "array['a', 'b']", NULL},
    {"e0 0c 02 b3 00000001 'a' 00000001 'b'", "array['a', 'b']", NULL},
    {"e0 05 03 56 00 01 01", "array[false, true, true]", NULL},
    {"e0 04 02 54 ff 7f", "array[int -1, int 127]", NULL},
    {"e0 0a 02 71 ffffffff 0000007f", "array[int -1, int 127]", NULL},
    {"e0 02 03 40", "array[null, null, null]", NULL}, /* elements without a byte */
    {"e0 02 02 41", "array[true, true]", NULL},
    {"e0 02 02 45", "array[[], []]", NULL},
    {"e0 09 02 c0 02 01 40 03 02 41 42", "array[[null], [true, false]]", NULL},
    {"e0 06 01 c1 03 02 41 42", "array[{true: false}]", NULL},
    {"e0 0a 02 e0 03 01 50 01 03 01 51 02", "array[array[ubyte 1], array[byte 2]]", NULL},
    {"e0 08 02 00 a3 01 'x' 53 01 02", "array@'x' [ulong 1, ulong 2]", NULL},
    {"e0 09 01 00 53 07 00 53 08 52 01", "array@ulong 7 @ulong 8 [uint 1]", NULL},
    {"00 a3 01 'x' 40", "@'x' null", NULL},
    {"00 53 ff a1 01 'A'", "@0xff \"A\"", NULL},
    {"00 80 0000468c00000004 a1 01 'A'", "@0x468c00000004 \"A\"", NULL},
    {"00 00 53 01 40 a3 01 'x'", "@@0x1 null 'x'", NULL}, /* a descriptor described itself */
    {"00 53 01 00 53 02 40", "@0x1 @0x2 null", NULL},
    {"00 53 24 45", "accepted", NULL},
    {"00 80 0000000000000024 c0 01 00", "accepted", "00 53 24 45"},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct gnt_slice bytes = gnt_test_amqp_bytes(good[i].bytes);
        struct gnt_slice smallest =
            gnt_test_amqp_bytes(good[i].smallest ? good[i].smallest : good[i].bytes);
        struct gnt_amqp_value value;
        assert_int_equal(gnt_amqp_parse(bytes, &value), GNT_OK);
        if (!gnt_amqp_valid(bytes))
            fail_msg("not valid: %s", good[i].bytes);
        assert_ptr_equal(value.encoded.data, bytes.data);
        assert_int_equal(value.encoded.size, bytes.size);
        char *told = gnt_test_amqp_tell(bytes);
        assert_string_equal(told, good[i].told);
        struct gnt_slice rebuilt = gnt_test_amqp_smallest(bytes);
        if (!gnt_slice_eq(rebuilt, smallest))
            fail_msg("not the smallest: %s", good[i].bytes);
        free(told);
        gnt_test_amqp_free(rebuilt);
        gnt_test_amqp_free(smallest);
        gnt_test_amqp_free(bytes);
    }
}

/* Cut anywhere, a value is none, and reading it goes not past the cut; with a byte more it is not
 * one. */
static void test_cut_everywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct gnt_slice whole = gnt_test_amqp_bytes(good[i].bytes);
        for (size_t cut = 0; cut < whole.size; cut++) {
            struct gnt_slice part = gnt_test_amqp_copy(whole, cut);
            struct gnt_amqp_value value;
            assert_int_equal(gnt_amqp_parse(part, &value), GNT_MALFORMED);
            assert_int_equal(value.type, GNT_AMQP_NULL);
            assert_false(gnt_amqp_valid(part));
            struct gnt_reader in = gnt_reader(part);
            gnt_amqp_skip(&in);
            assert_true(in.bad);
            gnt_test_amqp_free(part);
        }
        uint8_t longer[64];
        memcpy(longer, whole.data, whole.size);
        longer[whole.size] = GNT_AMQP_FORM_NULL;
        assert_false(gnt_amqp_valid(gnt_slice(longer, whole.size + 1)));
        gnt_test_amqp_free(whole);
    }
}

/* What is no value at all, as its frame shows. */
static const char *const unreadable[] = {
    "",
    "01",
    "3f",
    "46",
    "57 00",
    "62 0000",
    "75 00000000",
    "85 0000000000000000",
    "95 00000000000000000000000000000000",
    "a2 00",
    "b2 00000000",
    "c2 01 00",
    "d2 00000004 00000000",
    "e1 02 00 40",
    "f1 00000005 00000000 40",
    "ff",
    "56 02", /* a boolean that is neither */
    "56 ff",
    "c0 00",                      /* a size that leaves no room for the count */
    "d0 00000003 000000",         /* the same */
    "c0 01 01",                   /* an item that cannot be there */
    "c0 02 02 40",                /* two in one byte */
    "c0 02 00 40",                /* none, and a byte of it */
    "d0 00000005 ffffffff 40",    /* four thousand million in a byte */
    "c1 02 01 40",                /* a key without a value */
    "c1 04 03 404040",            /* the same */
    "e0 01 01",                   /* an array of one without a constructor */
    "e0 02 01 3f",                /* with one that does not exist */
    "e0 03 02 50 01",             /* elements too few */
    "e0 05 02 50 01 02 03",       /* bytes too many */
    "f0 00000005 00000101 43",    /* more elements without a byte than are let through */
    "f0 00000005 ffffffff 40",    /* far more */
    "f0 00000005 ffffffff 45",    /* the same of empty lists */
    "f0 00000005 ffffffff 41",    /* of true */
    "f0 00000006 80000000 60 00", /* and of two bytes each */
    "e0 03 01 40 00",             /* a byte behind an element that has none */
    "e0 03 02 a3 00",             /* one size for two */
    "e0 02 01 00",                /* a descriptor that is not there */
    "e0 04 01 00 53 01",          /* a descriptor and no constructor */
    "00",
    "00 53 01", /* a descriptor and no value */
    "00 3f 40",
};

/* What is broken only inside. */
static const char *const invalid[] = {
    "a1 01 ff",                            /* no UTF-8 */
    "a1 02 c080",                          /* U+0000 in two bytes */
    "a1 03 eda080",                        /* a surrogate */
    "a1 04 'a' 00 'b' ff",                 /* behind a zero */
    "a1 03 ff 00 'a'",                     /* before one */
    "a3 01 80",                            /* no ASCII */
    "a3 09 '12345678' c3",                 /* in the ninth place */
    "73 0000d800",                         /* half a surrogate pair */
    "73 0000dfff",                         /* the other half */
    "73 00110000",                         /* beyond Unicode */
    "73 ffffffff",                         /* far beyond */
    "c0 06 01 c0 03 01 c0 01",             /* a list that ends before its own */
    "c0 06 01 c0 03 01 c0 00",             /* in one another */
    "c0 03 01 4040",                       /* an item too many for the count */
    "c0 03 02 5201",                       /* one too few */
    "c1 05 02 a3 01 'a' 53",               /* a value that is cut */
    "c1 05 02 a3 01 80 40",                /* a key that is no text */
    "e0 06 02 a3 01 'a' 02 'b'",           /* an element that is cut */
    "e0 04 02 56 00 02",                   /* a boolean that is neither */
    "e0 06 01 73 00110000",                /* a char that is none */
    "e0 06 01 00 a3 01 80 40",             /* a descriptor that is no text */
    "00 a3 01 80 40",                      /* the same of a value */
    "00 53 01 a1 01 ff",                   /* a described string */
    "e0 09 02 c0 02 01 40 03 02 41 00",    /* a list in an array */
    "e0 0a 02 e0 03 01 50 01 03 01 3f 02", /* an array in one */
};

static void test_unreadable(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(unreadable); i++) {
        struct gnt_slice bytes = gnt_test_amqp_bytes(unreadable[i]);
        struct gnt_reader in = gnt_reader(bytes);
        struct gnt_amqp_value value;
        gnt_amqp_read(&in, &value);
        if (!in.bad || value.type != GNT_AMQP_NULL || value.encoded.size != 0)
            fail_msg("read: %s", unreadable[i]);
        gnt_amqp_read(&in, &value); /* it stays bad */
        assert_true(in.bad);
        assert_false(gnt_amqp_valid(bytes));
        gnt_test_amqp_free(bytes);
    }
}

static void test_invalid(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(invalid); i++) {
        struct gnt_slice bytes = gnt_test_amqp_bytes(invalid[i]);
        struct gnt_amqp_value value;
        if (gnt_amqp_parse(bytes, &value) != GNT_OK)
            fail_msg("not read: %s", invalid[i]);
        if (gnt_amqp_valid(bytes))
            fail_msg("valid: %s", invalid[i]);
        gnt_test_amqp_free(bytes);
    }
}

/* DEPTH lists (or descriptions) in one another around null. */
static bool nested_valid(uint8_t form, unsigned depth)
{
    uint8_t bytes[4096];
    size_t size = 0;
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    size_t marks[64];
    for (unsigned i = 0; i < depth; i++) {
        if (form == GNT_AMQP_FORM_DESCRIBED)
            gnt_amqp_put_descriptor(&w, 1);
        else
            marks[i] = gnt_amqp_begin_list(&w);
    }
    gnt_amqp_put_null(&w);
    for (unsigned i = depth; i > 0 && form != GNT_AMQP_FORM_DESCRIBED; i--)
        gnt_amqp_end_list(&w, marks[i - 1], 1);
    size = w.size;
    assert_true(gnt_amqp_fits(&w));
    return gnt_amqp_valid(gnt_slice(bytes, size));
}

static void test_nesting(void **state)
{
    (void)state;
    assert_true(nested_valid(GNT_AMQP_FORM_LIST8, GNT_AMQP_DEPTH_MAX));
    assert_false(nested_valid(GNT_AMQP_FORM_LIST8, GNT_AMQP_DEPTH_MAX + 1));
    assert_true(nested_valid(GNT_AMQP_FORM_DESCRIBED, GNT_AMQP_DEPTH_MAX - 1));
    assert_false(nested_valid(GNT_AMQP_FORM_DESCRIBED, GNT_AMQP_DEPTH_MAX + 1));

    /* Descriptions in the place of descriptors: N of them begin, then N + 1 nulls. */
    for (unsigned n = GNT_AMQP_DEPTH_MAX - 1; n <= GNT_AMQP_DEPTH_MAX; n++) {
        uint8_t bytes[2 * GNT_AMQP_DEPTH_MAX + 1] = {0};
        memset(bytes + n, GNT_AMQP_FORM_NULL, n + 1);
        struct gnt_amqp_value value;
        assert_int_equal(gnt_amqp_parse(gnt_slice(bytes, 2 * n + 1), &value),
                         n < GNT_AMQP_DEPTH_MAX ? GNT_OK : GNT_MALFORMED);
    }
}

/* An array of described values whose descriptor is such an array, and so on: reading the outermost
 * looks into none of the others, and checking all of them ends at the bound. */
static void test_nested_descriptors(void **state)
{
    (void)state;
    enum { LEVELS = 100000, HEAD = 10, TAIL = 1 };
    const size_t size = LEVELS * (size_t)(HEAD + TAIL) + 1;
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < LEVELS; i++) {
        uint8_t *at = bytes + i * HEAD;
        const size_t inside = size - i * (HEAD + TAIL) - 5; /* behind constructor and size */
        const uint8_t head[HEAD] = {0xf0,
                                    (uint8_t)(inside >> 24),
                                    (uint8_t)(inside >> 16),
                                    (uint8_t)(inside >> 8),
                                    (uint8_t)inside,
                                    0,
                                    0,
                                    0,
                                    0,
                                    0};
        memcpy(at, head, HEAD);
    }
    memset(bytes + LEVELS * HEAD, GNT_AMQP_FORM_NULL, LEVELS * TAIL + 1);
    struct gnt_amqp_value value;
    assert_int_equal(gnt_amqp_parse(gnt_slice(bytes, size), &value), GNT_OK);
    assert_int_equal(value.type, GNT_AMQP_ARRAY);
    assert_false(gnt_amqp_valid(gnt_slice(bytes, size)));
    free(gnt_test_amqp_tell(gnt_slice(bytes, size)));
    free(bytes);
}

/* A list of many arrays whose elements take no bytes: the check ends, and in time. */
static void test_cost(void **state)
{
    (void)state;
    const uint32_t arrays = 20000;
    const size_t capacity = 16 + (size_t)arrays * 10;
    uint8_t *bytes = malloc(capacity);
    assert_non_null(bytes);
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, capacity);
    const size_t mark = gnt_amqp_begin_list(&w);
    for (uint32_t i = 0; i < arrays; i++) {
        static const uint8_t array[] = {0xf0, 0, 0, 0, 5, 0, 0, 1, 0, 0x45};
        gnt_amqp_put_raw(&w, gnt_slice(array, sizeof array));
    }
    gnt_amqp_end_list(&w, mark, arrays);
    assert_true(gnt_amqp_fits(&w));
    assert_true(gnt_amqp_valid(gnt_amqp_written(&w)));
    free(bytes);
}

static void test_find(void **state)
{
    (void)state;
    struct gnt_slice bytes =
        gnt_test_amqp_bytes("c1 12 08 43 41 a3 01 'a' 5501 a1 02 'bc' 5502 a3 01 'a' 42");
    struct gnt_amqp_value map, found;
    assert_int_equal(gnt_amqp_parse(bytes, &map), GNT_OK);
    assert_true(gnt_amqp_find(&map, gnt_slice_str("a"), &found)); /* the first */
    assert_int_equal(found.integer, 1);
    assert_true(gnt_amqp_find(&map, gnt_slice_str("bc"), &found));
    assert_int_equal(found.integer, 2);
    assert_false(gnt_amqp_find(&map, gnt_slice_str("b"), &found));
    assert_int_equal(found.type, GNT_AMQP_NULL);
    assert_false(gnt_amqp_find(&map, gnt_slice_str(""), &found));
    map.type = GNT_AMQP_LIST;
    assert_false(gnt_amqp_find(&map, gnt_slice_str("a"), &found));
    gnt_test_amqp_free(bytes);

    bytes = gnt_test_amqp_bytes("c1 08 04 a3 01 'a' 40 3f 40 40");
    assert_int_equal(gnt_amqp_parse(bytes, &map), GNT_OK);
    assert_true(gnt_amqp_find(&map, gnt_slice_str("a"), &found));
    assert_false(gnt_amqp_find(&map, gnt_slice_str("b"), &found)); /* broken before it */
    gnt_test_amqp_free(bytes);
}

static void test_symbols(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        unsigned count;
    } rows[] = {{"40", 0}, {"a3 01 'a'", 1}, {"e0 02 00 a3", 0}, {"e0 06 02 a3 01 'a' 01 'b'", 2}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice bytes = gnt_test_amqp_bytes(rows[i].bytes), symbol;
        struct gnt_amqp_value value;
        assert_int_equal(gnt_amqp_parse(bytes, &value), GNT_OK);
        struct gnt_amqp_items items = gnt_amqp_symbols(&value);
        unsigned count = 0;
        while (gnt_amqp_next_symbol(&items, &symbol))
            assert_int_equal(symbol.data[0], 'a' + count++);
        assert_false(items.in.bad);
        assert_int_equal(count, rows[i].count);
        gnt_test_amqp_free(bytes);
    }
}

/* Reading and checking ask for no memory. */
static void test_no_allocation(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct gnt_slice bytes = gnt_test_amqp_bytes(good[i].bytes);
        struct gnt_amqp_value value, item;
        gnt_alloc_fail_at(0);
        assert_int_equal(gnt_amqp_parse(bytes, &value), GNT_OK);
        assert_true(gnt_amqp_valid(bytes));
        struct gnt_amqp_items items = gnt_amqp_items(&value);
        while (gnt_amqp_items_next(&items, &item))
            continue;
        assert_false(gnt_alloc_failed());
        gnt_alloc_fail_at(-1);
        gnt_test_amqp_free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_unreadable), cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_nesting),    cmocka_unit_test(test_nested_descriptors),
        cmocka_unit_test(test_cost),       cmocka_unit_test(test_find),
        cmocka_unit_test(test_symbols),    cmocka_unit_test(test_no_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
