#include "support/unit.h"

#include "base/slice.h"

#include <stdlib.h>

static void test_equality(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal, starts;
    } rows[] = {
        {"", "", true, true},
        {NULL, "", true, true},
        {"", NULL, true, true},
        {NULL, NULL, true, true},
        {"a", "a", true, true},
        {"a", "b", false, false},
        {"ab", "a", false, true},
        {"a", "ab", false, false},
        {"a", "", false, true},
        {"abc", "bc", false, false},
        {"topic/a", "topic/", false, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice a = gnt_slice_str(rows[i].a), b = gnt_slice_str(rows[i].b);
        assert_int_equal(gnt_slice_eq(a, b), rows[i].equal);
        assert_int_equal(gnt_slice_eq_str(a, rows[i].b), rows[i].equal);
        assert_int_equal(gnt_slice_starts(a, b), rows[i].starts);
    }
    assert_false(gnt_slice_eq(LITERAL("a\0b"), LITERAL("a\0c")));
}

static void test_skip(void **state)
{
    (void)state;
    assert_slice(gnt_slice_skip(LITERAL("abc"), 0), "abc");
    assert_slice(gnt_slice_skip(LITERAL("abc"), 2), "c");
    assert_slice(gnt_slice_skip(LITERAL("abc"), 3), "");
    assert_slice(gnt_slice_skip(gnt_slice(NULL, 0), 0), "");
}

static void test_integers_are_big_endian(void **state)
{
    (void)state;
    struct gnt_reader r = gnt_reader(LITERAL("\xff\x80\x01\xfe\xdc\xba\x98\x00\x02hi!"));
    assert_int_equal(gnt_read_u8(&r), 0xff);
    assert_int_equal(gnt_read_u16(&r), 0x8001);
    assert_int_equal(gnt_read_u32(&r), 0xfedcba98);
    assert_slice(gnt_read_str16(&r), "hi");
    assert_int_equal(gnt_read_left(&r), 1);
    assert_slice(gnt_read_bytes(&r, 1), "!");
    assert_false(r.bad);
    assert_int_equal(gnt_read_left(&r), 0);
}

static void test_empty_reads(void **state)
{
    (void)state;
    struct gnt_reader r = gnt_reader(gnt_slice(NULL, 0));
    assert_int_equal(gnt_read_bytes(&r, 0).size, 0);
    assert_false(r.bad);
    assert_int_equal(gnt_read_u8(&r), 0);
    assert_true(r.bad);
}

/* Reads one of everything; what a good reader has left tells how far it came. */
static void read_all(struct gnt_reader *r)
{
    gnt_read_u8(r);
    gnt_read_u16(r);
    gnt_read_u32(r);
    gnt_read_str16(r);
    gnt_read_bytes(r, 3);
}

static void test_cut_at_every_byte(void **state)
{
    (void)state;
    static const char whole[] = "\x01\x02\x03\x04\x05\x06\x07\x00\x04nameend";
    const size_t size = sizeof whole - 1;
    for (size_t cut = 0; cut <= size; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1); /* of exactly that size, for the sanitizer */
        assert_non_null(copy);
        memcpy(copy, whole, cut);
        struct gnt_reader r = gnt_reader(gnt_slice(copy, cut));
        read_all(&r);
        assert_int_equal(r.bad, cut < size);
        assert_int_equal(gnt_read_left(&r), 0);
        free(copy);
    }
}

static void test_error_sticks(void **state)
{
    (void)state;
    struct gnt_reader r = gnt_reader(LITERAL("\x00\x09short"));
    struct gnt_slice s = gnt_read_str16(&r);
    assert_int_equal(s.size, 0);
    assert_true(r.bad);
    assert_int_equal(gnt_read_u8(&r), 0);
    assert_int_equal(gnt_read_u16(&r), 0);
    assert_int_equal(gnt_read_u32(&r), 0);
    assert_int_equal(gnt_read_bytes(&r, 0).size, 0);
    assert_true(r.bad);
}

static void test_huge_length(void **state)
{
    (void)state;
    struct gnt_reader r = gnt_reader(LITERAL("abc"));
    assert_int_equal(gnt_read_bytes(&r, SIZE_MAX).size, 0);
    assert_true(r.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_integers_are_big_endian),
        cmocka_unit_test(test_empty_reads),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_error_sticks),
        cmocka_unit_test(test_huge_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
