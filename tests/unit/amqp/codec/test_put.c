#include "support/unit.h"

#include "support/alloc_fault.h"
#include "support/amqp_value.h"

enum { BYTES_MAX = 1024 };

/* Several things in one another, over the limits of the short heads: 300 bytes of text, 300 items.
 */
static void put_much(struct gnt_amqp_writer *w)
{
    static const char text[300] = {0};
    static const uint8_t uuid[16] = {1, 2, 3};
    const struct gnt_slice symbols[] = {gnt_slice_str("PLAIN"), gnt_slice_str("ANONYMOUS")};
    const size_t list = gnt_amqp_begin_list(w);
    gnt_amqp_put_descriptor(w, 0x77);
    const size_t map = gnt_amqp_begin_map(w);
    gnt_amqp_put_symbol(w, gnt_slice_str("long"));
    gnt_amqp_put_binary(w, gnt_slice(text, sizeof text));
    gnt_amqp_end_map(w, map, 2);
    const size_t inner = gnt_amqp_begin_list(w);
    for (unsigned i = 0; i < 300; i++)
        gnt_amqp_put_null(w);
    gnt_amqp_end_list(w, inner, 300);
    gnt_amqp_put_uuid(w, uuid);
    gnt_amqp_put_symbols(w, symbols, 2);
    gnt_amqp_end_list(w, list, 4);
}

static void test_sized_first(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    struct gnt_amqp_writer sizing = gnt_amqp_writer(NULL, 0);
    put_much(&sizing);
    assert_false(gnt_amqp_fits(&sizing));
    for (size_t capacity = 0; capacity <= sizing.size; capacity++) {
        memset(bytes, 0xee, sizeof bytes);
        struct gnt_amqp_writer w = gnt_amqp_writer(bytes, capacity);
        gnt_alloc_fail_at(0);
        put_much(&w);
        assert_false(gnt_alloc_failed());
        gnt_alloc_fail_at(-1);
        assert_int_equal(w.size, sizing.size);
        assert_int_equal(gnt_amqp_fits(&w), capacity == sizing.size);
        for (size_t i = capacity; i < sizeof bytes; i++)
            assert_int_equal(bytes[i], 0xee);
    }
    const struct gnt_slice whole = gnt_slice(bytes, sizing.size);
    assert_true(gnt_amqp_valid(whole));
    struct gnt_slice smallest = gnt_test_amqp_smallest(whole);
    assert_true(gnt_slice_eq(smallest, whole));
    gnt_test_amqp_free(smallest);
}

static void check(const struct gnt_amqp_writer *w, const char *notation)
{
    struct gnt_slice expected = gnt_test_amqp_bytes(notation);
    if (!gnt_amqp_fits(w) || !gnt_slice_eq(gnt_amqp_written(w), expected))
        fail_msg("not %s", notation);
    gnt_test_amqp_free(expected);
}

/* Where the short forms end. */
static void test_limits(void **state)
{
    (void)state;
    static const char text[256] = {0};
    static const struct {
        size_t inside;
        uint8_t head[9];
        size_t head_size;
    } rows[] = {
        {254, {0xc1, 255, 2}, 3},
        {255, {0xd1, 0, 0, 1, 3, 0, 0, 0, 2}, 9},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t bytes[BYTES_MAX];
        struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
        const size_t mark = gnt_amqp_begin_map(&w);
        gnt_amqp_put_null(&w);
        gnt_amqp_put_binary(&w, gnt_slice(text, rows[i].inside - 3));
        gnt_amqp_end_map(&w, mark, 2);
        assert_int_equal(w.size, rows[i].head_size + rows[i].inside);
        assert_memory_equal(bytes, rows[i].head, rows[i].head_size);
        assert_true(gnt_amqp_valid(gnt_amqp_written(&w)));
    }
    for (uint32_t count = 255; count <= 256; count++) {
        uint8_t bytes[BYTES_MAX];
        struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
        const size_t mark =
            gnt_amqp_begin_array(&w, gnt_slice(NULL, 0), GNT_AMQP_FORM_NULL); /* no bytes each */
        gnt_amqp_end_array(&w, mark, count);
        assert_int_equal(bytes[0], count == 255 ? GNT_AMQP_FORM_ARRAY8 : GNT_AMQP_FORM_ARRAY32);
        assert_true(gnt_amqp_valid(gnt_amqp_written(&w)));
    }
    for (size_t size = 255; size <= 256; size++) {
        uint8_t bytes[BYTES_MAX];
        struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
        gnt_amqp_put_string(&w, gnt_slice(text, size));
        assert_int_equal(w.size, size == 255 ? 2 + 255 : 5 + 256);
        w.size = 0;
        gnt_amqp_put_binary_head(&w, size);
        assert_int_equal(w.size, size == 255 ? 2 : 5);
        w.size = 0;
        const struct gnt_slice symbols[] = {gnt_slice(text, 1), gnt_slice(text, size)};
        gnt_amqp_put_symbols(&w, symbols, 2);
        struct gnt_amqp_value array;
        assert_int_equal(gnt_amqp_parse(gnt_amqp_written(&w), &array), GNT_OK);
        struct gnt_amqp_items items = gnt_amqp_symbols(&array);
        struct gnt_slice symbol;
        assert_true(gnt_amqp_next_symbol(&items, &symbol) && symbol.size == 1);
        assert_true(gnt_amqp_next_symbol(&items, &symbol) && symbol.size == size);
        assert_false(gnt_amqp_next_symbol(&items, &symbol) || items.in.bad);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    gnt_amqp_put_ubyte(&w, 255);
    gnt_amqp_put_ushort(&w, 0x1234);
    gnt_amqp_put_int(&w, INT32_MIN);
    gnt_amqp_put_int(&w, -128);
    gnt_amqp_put_int(&w, 128);
    gnt_amqp_put_long(&w, -129);
    gnt_amqp_put_long(&w, 127);
    gnt_amqp_put_timestamp(&w, -1);
    gnt_amqp_put_boolean(&w, true);
    check(&w, "50ff 601234 7180000000 5480 7100000080 81ffffffffffffff7f 557f"
              "83ffffffffffffffff 41");
}

/* Values that were made, not read. */
static void test_values(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    const struct gnt_amqp_value values[] = {
        {0},
        gnt_amqp_number(GNT_AMQP_BOOLEAN, 1),
        gnt_amqp_number(GNT_AMQP_ULONG, 7),
        gnt_amqp_integer(GNT_AMQP_BYTE, -2),
        gnt_amqp_integer(GNT_AMQP_SHORT, -2),
        gnt_amqp_integer(GNT_AMQP_LONG, -2),
        gnt_amqp_float(-0.0f),
        gnt_amqp_double(1.5),
        gnt_amqp_number(GNT_AMQP_CHAR, 0x1f600),
        gnt_amqp_bytes(GNT_AMQP_DECIMAL32, LITERAL("\1\2\3\4")),
        gnt_amqp_bytes(GNT_AMQP_STRING, LITERAL("ab")),
        {.type = GNT_AMQP_LIST},
        {.type = GNT_AMQP_LIST, .count = 1, .bytes = LITERAL("\x40")},
        {.type = GNT_AMQP_MAP, .count = 2, .bytes = LITERAL("\x43\x41")},
        {.type = GNT_AMQP_ARRAY, .count = 2, .bytes = LITERAL("\x50\1\2")},
    };
    for (size_t i = 0; i < COUNT_OF(values); i++)
        gnt_amqp_put_value(&w, &values[i]);
    check(&w, "40 41 5307 51fe 61fffe 55fe 7280000000 823ff8000000000000 730001f600 7401020304"
              "a102'ab' 45 c00201 40 c1030243 41 e00402500102");
    assert_true(gnt_amqp_as_double(&values[7]) == 1.5);
    assert_true(gnt_amqp_as_float(&values[6]) == 0.0f);
}

/* What is beyond counting, or what AMQP has no form for, never fits, and stays so. */
static void test_impossible(void **state)
{
    (void)state;
    uint8_t bytes[16];
    for (unsigned way = 0; way < 2; way++) {
        struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
        const size_t mark = gnt_amqp_begin_list(&w);
        if (way == 0)
            gnt_amqp_put_raw(&w, gnt_slice(bytes, SIZE_MAX));
        else if (SIZE_MAX > UINT32_MAX)
            gnt_amqp_put_binary_head(&w, SIZE_MAX);
        else
            return;
        gnt_amqp_put_null(&w);
        gnt_amqp_end_list(&w, mark, 0);
        assert_false(gnt_amqp_fits(&w));
        assert_int_equal(w.size, SIZE_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sized_first), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_numbers),     cmocka_unit_test(test_values),
        cmocka_unit_test(test_impossible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
