/* Values, builders and messages of gnatter/amqp_types.h. */
#include "support/alloc_fault.h"
#include "support/unit.h"

#include <gnatter/amqp_types.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char sixteen[] = "0123456789abcdef";

/* Through a message and back. */
static struct gnatter_amqp_value back(gnatter_amqp_message *m, struct gnatter_amqp_value v)
{
    struct gnatter_amqp_value out;
    assert_int_equal(gnatter_amqp_set_value(m, v), 0);
    assert_int_equal(gnatter_amqp_body(m), GNATTER_AMQP_VALUE);
    assert_true(gnatter_amqp_body_at(m, 0, &out));
    assert_false(gnatter_amqp_body_at(m, 1, &(struct gnatter_amqp_value){.count = 0}));
    assert_int_equal(out.type, v.type);
    return out;
}

static void every_type(void **state)
{
    (void)state;
    gnatter_amqp_message *m;
    assert_int_equal(gnatter_amqp_message_new(&m), 0);
    static const struct {
        enum gnatter_amqp_type type;
        uint64_t number;
    } numbers[] = {
        {GNATTER_AMQP_BOOLEAN, 0},        {GNATTER_AMQP_BOOLEAN, 1},
        {GNATTER_AMQP_UBYTE, UINT8_MAX},  {GNATTER_AMQP_USHORT, UINT16_MAX},
        {GNATTER_AMQP_UINT, UINT32_MAX},  {GNATTER_AMQP_UINT, 0},
        {GNATTER_AMQP_ULONG, UINT64_MAX}, {GNATTER_AMQP_ULONG, 7},
        {GNATTER_AMQP_CHAR, 0x1f40b},
    };
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct gnatter_amqp_value v =
            back(m, gnatter_amqp_number(numbers[i].type, numbers[i].number));
        assert_true(v.number == numbers[i].number);
    }
    static const struct {
        enum gnatter_amqp_type type;
        int64_t integer;
    } integers[] = {
        {GNATTER_AMQP_BYTE, INT8_MIN}, {GNATTER_AMQP_SHORT, INT16_MIN},
        {GNATTER_AMQP_INT, INT32_MIN}, {GNATTER_AMQP_LONG, INT64_MIN},
        {GNATTER_AMQP_INT, -1},        {GNATTER_AMQP_TIMESTAMP, -5},
    };
    for (size_t i = 0; i < COUNT_OF(integers); i++) {
        struct gnatter_amqp_value v =
            back(m, gnatter_amqp_integer(integers[i].type, integers[i].integer));
        assert_true(v.integer == integers[i].integer);
    }
    static const struct {
        enum gnatter_amqp_type type;
        size_t size;
    } bytes[] = {
        {GNATTER_AMQP_DECIMAL32, 4}, {GNATTER_AMQP_DECIMAL64, 8}, {GNATTER_AMQP_DECIMAL128, 16},
        {GNATTER_AMQP_UUID, 16},     {GNATTER_AMQP_BINARY, 0},    {GNATTER_AMQP_STRING, 5},
        {GNATTER_AMQP_SYMBOL, 16},
    };
    for (size_t i = 0; i < COUNT_OF(bytes); i++) {
        struct gnatter_amqp_value v =
            back(m, gnatter_amqp_bytes(bytes[i].type, sixteen, bytes[i].size));
        assert_int_equal(v.bytes.size, bytes[i].size);
        if (v.bytes.size)
            assert_memory_equal(v.bytes.data, sixteen, v.bytes.size);
    }
    assert_true(back(m, gnatter_amqp_double(-2.5)).real < -2.4);
    assert_true(back(m, gnatter_amqp_real(GNATTER_AMQP_FLOAT, 0.5)).real > 0.4);
    assert_true(isnan(back(m, gnatter_amqp_double((double)NAN)).real));
    back(m, gnatter_amqp_null());
    gnatter_amqp_message_free(m);
}

static void what_is_no_value(void **state)
{
    (void)state;
    const struct gnatter_amqp_value bad[] = {
        gnatter_amqp_number(GNATTER_AMQP_UBYTE, 256),
        gnatter_amqp_number(GNATTER_AMQP_BOOLEAN, 2),
        gnatter_amqp_number(GNATTER_AMQP_CHAR, 0xd800),
        gnatter_amqp_integer(GNATTER_AMQP_BYTE, 128),
        gnatter_amqp_integer(GNATTER_AMQP_SHORT, -32769),
        gnatter_amqp_bytes(GNATTER_AMQP_UUID, sixteen, 15),
        gnatter_amqp_bytes(GNATTER_AMQP_STRING, "\xff", 1),
        gnatter_amqp_bytes(GNATTER_AMQP_SYMBOL, "\xc3\xa4", 2),
        gnatter_amqp_number((enum gnatter_amqp_type)99, 1),
        {.type = GNATTER_AMQP_DESCRIBED},
        {.type = GNATTER_AMQP_LIST, .encoded = {"\xc0\x05", 2}},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        gnatter_amqp_message *m;
        size_t size;
        char out[64];
        assert_int_equal(gnatter_amqp_message_new(&m), 0);
        assert_int_equal(gnatter_amqp_set_value(m, bad[i]), GNATTER_EINVALID);
        assert_int_equal(gnatter_amqp_add_data(m, "x", 1), 0); /* it remembers */
        assert_int_equal(gnatter_amqp_encode(m, out, sizeof out, &size), GNATTER_EINVALID);
        gnatter_amqp_message_free(m);
    }
}

/* {'list': [1, null, "two"], 'array': @[3, 4], 'described': ('of': -5)} */
static int build(gnatter_amqp_builder *b, struct gnatter_amqp_value *out)
{
    gnatter_amqp_begin(b, GNATTER_AMQP_MAP);
    gnatter_amqp_add(b, gnatter_amqp_symbol("list"));
    gnatter_amqp_begin(b, GNATTER_AMQP_LIST);
    gnatter_amqp_add(b, gnatter_amqp_int(1));
    gnatter_amqp_add(b, gnatter_amqp_null());
    gnatter_amqp_add(b, gnatter_amqp_string("two"));
    gnatter_amqp_end(b);
    gnatter_amqp_add(b, gnatter_amqp_symbol("array"));
    gnatter_amqp_begin(b, GNATTER_AMQP_ARRAY);
    gnatter_amqp_add(b, gnatter_amqp_uint(3));
    gnatter_amqp_add(b, gnatter_amqp_uint(4000000000));
    gnatter_amqp_end(b);
    gnatter_amqp_add(b, gnatter_amqp_symbol("described"));
    gnatter_amqp_begin(b, GNATTER_AMQP_DESCRIBED);
    gnatter_amqp_add(b, gnatter_amqp_symbol("of"));
    gnatter_amqp_add(b, gnatter_amqp_long(-5));
    gnatter_amqp_end(b);
    gnatter_amqp_end(b);
    return gnatter_amqp_built(b, out);
}

static void nested_values(void **state)
{
    (void)state;
    gnatter_amqp_builder *b;
    struct gnatter_amqp_value map, v, item;
    char shown[256];
    assert_int_equal(gnatter_amqp_builder_new(&b), 0);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(build(b, &map), 0);
        assert_int_equal(map.type, GNATTER_AMQP_MAP);
        assert_int_equal(map.count, 6);
    }
    assert_true(gnatter_amqp_find(&map, "list", &v));
    struct gnatter_amqp_walk items = gnatter_amqp_items(&v);
    assert_true(gnatter_amqp_next(&items, &item) && item.integer == 1);
    assert_true(gnatter_amqp_next(&items, &item) && item.type == GNATTER_AMQP_NULL);
    assert_true(gnatter_amqp_next(&items, &item) && gnatter_amqp_is(&item, "two"));
    assert_false(gnatter_amqp_next(&items, &item));
    assert_true(gnatter_amqp_find(&map, "array", &v));
    items = gnatter_amqp_items(&v);
    assert_true(gnatter_amqp_next(&items, &item) && item.number == 3);
    assert_true(gnatter_amqp_next(&items, &item) && item.number == 4000000000);
    assert_false(gnatter_amqp_next(&items, &item));
    assert_true(gnatter_amqp_find(&map, "described", &v));
    items = gnatter_amqp_items(&v);
    assert_true(gnatter_amqp_next(&items, &item) && gnatter_amqp_is(&item, "of"));
    assert_true(gnatter_amqp_next(&items, &item) && item.integer == -5);
    assert_false(gnatter_amqp_next(&items, &item));
    assert_false(gnatter_amqp_find(&map, "none", &v));
    assert_string_equal(gnatter_amqp_show(&map, shown, 8) + 4, "...");
    assert_non_null(strstr(gnatter_amqp_show(&map, shown, sizeof shown), "\"two\""));
    gnatter_amqp_builder_free(b);
}

/* An element of an array of lists has no head of its own, and can be walked and sent all the same.
 */
static void lists_in_an_array(void **state)
{
    (void)state;
    gnatter_amqp_builder *b;
    gnatter_amqp_message *m;
    struct gnatter_amqp_value array, element, item;
    assert_int_equal(gnatter_amqp_builder_new(&b), 0);
    gnatter_amqp_begin(b, GNATTER_AMQP_ARRAY);
    for (int i = 0; i < 2; i++) {
        gnatter_amqp_begin(b, GNATTER_AMQP_LIST);
        gnatter_amqp_add(b, gnatter_amqp_int(i));
        gnatter_amqp_end(b);
    }
    gnatter_amqp_end(b);
    assert_int_equal(gnatter_amqp_built(b, &array), 0);
    struct gnatter_amqp_walk items = gnatter_amqp_items(&array);
    assert_true(gnatter_amqp_next(&items, &element) && gnatter_amqp_next(&items, &element));
    assert_int_equal(gnatter_amqp_message_new(&m), 0);
    assert_int_equal(gnatter_amqp_add_sequence(m, element), 0);
    assert_true(gnatter_amqp_body_at(m, 0, &element));
    items = gnatter_amqp_items(&element);
    assert_true(gnatter_amqp_next(&items, &item) && item.integer == 1);
    gnatter_amqp_message_free(m);
    gnatter_amqp_builder_free(b);
}

static void what_cannot_be_built(void **state)
{
    (void)state;
    gnatter_amqp_builder *b;
    struct gnatter_amqp_value v;
    assert_int_equal(gnatter_amqp_builder_new(&b), 0);
    assert_int_equal(gnatter_amqp_built(b, &v), GNATTER_EINVALID); /* nothing */
    gnatter_amqp_begin(b, GNATTER_AMQP_MAP);
    gnatter_amqp_add(b, gnatter_amqp_int(1));
    gnatter_amqp_end(b);
    assert_int_equal(gnatter_amqp_built(b, &v), GNATTER_EINVALID); /* a key too few */
    gnatter_amqp_begin(b, GNATTER_AMQP_ARRAY);
    gnatter_amqp_add(b, gnatter_amqp_int(1));
    gnatter_amqp_add(b, gnatter_amqp_long(1));
    gnatter_amqp_end(b);
    assert_int_equal(gnatter_amqp_built(b, &v), GNATTER_EINVALID); /* two types */
    gnatter_amqp_begin(b, GNATTER_AMQP_LIST);
    assert_int_equal(gnatter_amqp_built(b, &v), GNATTER_EINVALID); /* open */
    gnatter_amqp_end(b);
    assert_int_equal(gnatter_amqp_built(b, &v), GNATTER_EINVALID); /* not open */
    for (int i = 0; i < 40; i++)
        gnatter_amqp_begin(b, GNATTER_AMQP_LIST);
    assert_int_equal(gnatter_amqp_built(b, &v), GNATTER_EINVALID); /* too deep */
    gnatter_amqp_add(b, gnatter_amqp_int(1));
    gnatter_amqp_add(b, gnatter_amqp_int(2));
    assert_int_equal(gnatter_amqp_built(b, &v), GNATTER_EINVALID); /* two */
    gnatter_amqp_add(b, gnatter_amqp_int(1));
    assert_int_equal(gnatter_amqp_built(b, &v), 0);
    gnatter_amqp_builder_free(b);
}

static void fields(void **state)
{
    (void)state;
    gnatter_amqp_message *m;
    struct gnatter_amqp_value v;
    assert_int_equal(gnatter_amqp_message_new(&m), 0);
    assert_false(gnatter_amqp_get(m, GNATTER_AMQP_SUBJECT, &v));
    assert_int_equal(gnatter_amqp_set(m, GNATTER_AMQP_SUBJECT, gnatter_amqp_string("s")), 0);
    assert_int_equal(gnatter_amqp_set(m, GNATTER_AMQP_GROUP_SEQUENCE, gnatter_amqp_int(9)), 0);
    assert_int_equal(gnatter_amqp_set(m, GNATTER_AMQP_CONTENT_TYPE, gnatter_amqp_string("a/b")), 0);
    assert_int_equal(gnatter_amqp_set(m, GNATTER_AMQP_MESSAGE_ID,
                                      gnatter_amqp_bytes(GNATTER_AMQP_UUID, sixteen, 16)),
                     0);
    assert_int_equal(gnatter_amqp_set(m, GNATTER_AMQP_DURABLE, gnatter_amqp_boolean(true)), 0);
    assert_int_equal(gnatter_amqp_set(m, GNATTER_AMQP_PRIORITY, gnatter_amqp_int(9)), 0);
    assert_true(gnatter_amqp_get(m, GNATTER_AMQP_SUBJECT, &v) && gnatter_amqp_is(&v, "s"));
    assert_true(gnatter_amqp_get(m, GNATTER_AMQP_GROUP_SEQUENCE, &v));
    assert_true(v.type == GNATTER_AMQP_UINT && v.number == 9);
    assert_true(gnatter_amqp_get(m, GNATTER_AMQP_CONTENT_TYPE, &v));
    assert_true(v.type == GNATTER_AMQP_SYMBOL && gnatter_amqp_is(&v, "a/b"));
    assert_true(gnatter_amqp_get(m, GNATTER_AMQP_PRIORITY, &v) && v.type == GNATTER_AMQP_UBYTE);
    assert_false(gnatter_amqp_get(m, GNATTER_AMQP_TO, &v));
    assert_int_equal(gnatter_amqp_set(m, GNATTER_AMQP_GROUP_SEQUENCE, gnatter_amqp_null()), 0);
    assert_int_equal(gnatter_amqp_set(m, GNATTER_AMQP_CONTENT_TYPE, gnatter_amqp_null()), 0);
    assert_int_equal(gnatter_amqp_set(m, GNATTER_AMQP_SUBJECT, gnatter_amqp_null()), 0);
    assert_int_equal(gnatter_amqp_set(m, GNATTER_AMQP_MESSAGE_ID, gnatter_amqp_null()), 0);
    assert_int_equal(gnatter_amqp_set(m, GNATTER_AMQP_PRIORITY, gnatter_amqp_null()), 0);

    char wire[64];
    size_t size;
    assert_int_equal(gnatter_amqp_add_data(m, "x", 1), 0);
    assert_int_equal(gnatter_amqp_encode(m, wire, sizeof wire, &size), 0);
    static const char expected[] = "\0\x53\x70\xc0\2\1\x41\0\x53\x75\xa0\1x";
    assert_int_equal(size, sizeof expected - 1);
    assert_memory_equal(wire, expected, size);
    assert_int_equal(gnatter_amqp_encode(m, wire, size - 1, &size), GNATTER_ETOOBIG);
    gnatter_amqp_message_free(m);
}

static void fields_that_cannot_be(void **state)
{
    (void)state;
    const struct {
        enum gnatter_amqp_field field;
        struct gnatter_amqp_value value;
    } rows[] = {
        {GNATTER_AMQP_SUBJECT, gnatter_amqp_symbol("s")},
        {GNATTER_AMQP_PRIORITY, gnatter_amqp_int(256)},
        {GNATTER_AMQP_TTL, gnatter_amqp_long(-1)},
        {GNATTER_AMQP_MESSAGE_ID, gnatter_amqp_uint(1)},
        {GNATTER_AMQP_DURABLE, gnatter_amqp_int(1)},
        {(enum gnatter_amqp_field)99, gnatter_amqp_int(1)},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        gnatter_amqp_message *m, *copy;
        assert_int_equal(gnatter_amqp_message_new(&m), 0);
        assert_int_equal(gnatter_amqp_set(m, rows[i].field, rows[i].value), GNATTER_EINVALID);
        assert_int_equal(gnatter_amqp_message_copy(m, &copy), GNATTER_EINVALID);
        gnatter_amqp_message_free(m);
    }
}

static void sections(void **state)
{
    (void)state;
    const enum gnatter_amqp_section ap = GNATTER_AMQP_APPLICATION_PROPERTIES;
    gnatter_amqp_message *m;
    gnatter_amqp_builder *b;
    struct gnatter_amqp_value v, map;
    assert_int_equal(gnatter_amqp_message_new(&m), 0);
    assert_int_equal(gnatter_amqp_put(m, ap, "a", gnatter_amqp_int(1)), 0);
    assert_int_equal(gnatter_amqp_put(m, ap, "b", gnatter_amqp_string("two")), 0);
    assert_int_equal(gnatter_amqp_put(m, ap, "a", gnatter_amqp_int(3)), 0);
    map = gnatter_amqp_all(m, ap);
    assert_int_equal(map.count, 4);
    assert_true(gnatter_amqp_look(m, ap, "a", &v) && v.integer == 3);
    assert_int_equal(gnatter_amqp_remove(m, ap, "a"), 0);
    assert_int_equal(gnatter_amqp_remove(m, ap, "not there"), 0);
    assert_false(gnatter_amqp_look(m, ap, "a", &v));
    assert_true(gnatter_amqp_look(m, ap, "b", &v) && gnatter_amqp_is(&v, "two"));
    assert_int_equal(gnatter_amqp_builder_new(&b), 0);
    assert_int_equal(build(b, &map), 0);
    assert_int_equal(gnatter_amqp_put_all(m, GNATTER_AMQP_MESSAGE_ANNOTATIONS, map), 0);
    assert_int_equal(gnatter_amqp_put(m, GNATTER_AMQP_FOOTER, "f", map), 0);
    assert_true(gnatter_amqp_look(m, GNATTER_AMQP_MESSAGE_ANNOTATIONS, "described", &v));
    assert_int_equal(gnatter_amqp_put_all(m, GNATTER_AMQP_FOOTER, gnatter_amqp_null()), 0);
    assert_int_equal(gnatter_amqp_all(m, GNATTER_AMQP_FOOTER).type, GNATTER_AMQP_NULL);
    assert_int_equal(gnatter_amqp_put(m, ap, "c", map), GNATTER_EINVALID); /* a compound there */
    assert_int_equal(gnatter_amqp_all(m, ap).count, 2);
    gnatter_amqp_builder_free(b);
    gnatter_amqp_message_free(m);
}

static void bodies(void **state)
{
    (void)state;
    gnatter_amqp_message *m;
    struct gnatter_amqp_value v;
    assert_int_equal(gnatter_amqp_message_new(&m), 0);
    assert_int_equal(gnatter_amqp_body(m), GNATTER_AMQP_NO_BODY);
    assert_false(gnatter_amqp_body_at(m, 0, &v));
    assert_int_equal(gnatter_amqp_add_data(m, "one", 3), 0);
    assert_int_equal(gnatter_amqp_add_data(m, "", 0), 0);
    assert_int_equal(gnatter_amqp_body(m), GNATTER_AMQP_DATA);
    assert_true(gnatter_amqp_body_at(m, 0, &v) && gnatter_amqp_is(&v, "one"));
    assert_true(gnatter_amqp_body_at(m, 1, &v) && v.bytes.size == 0);
    assert_false(gnatter_amqp_body_at(m, 2, &v));
    assert_int_equal(gnatter_amqp_body_bytes(m).size, 3);
    assert_int_equal(gnatter_amqp_set_value(m, gnatter_amqp_string("v")), 0);
    assert_int_equal(gnatter_amqp_body_bytes(m).size, 1);
    assert_int_equal(gnatter_amqp_set_value(m, gnatter_amqp_int(1)), 0);
    assert_int_equal(gnatter_amqp_body_bytes(m).size, 0);
    assert_false(gnatter_amqp_body_at(m, 1, &v));
    assert_int_equal(gnatter_amqp_add_sequence(m, gnatter_amqp_int(1)), GNATTER_EINVALID);
    assert_int_equal(gnatter_amqp_clear_body(m), 0);
    assert_int_equal(gnatter_amqp_body(m), GNATTER_AMQP_NO_BODY);
    gnatter_amqp_message_free(m);
}

/* What was not touched stays as it came, wide forms and all. */
static void decoded(void **state)
{
    (void)state;
    static const char wire[] = "\0\x80\0\0\0\0\0\0\0\x70\xd0\0\0\0\5\0\0\0\1\x41"
                               "\0\x53\x74\xd1\0\0\0\x0c\0\0\0\2\xa1\1k\x71\0\0\0\1"
                               "\0\x53\x75\xb0\0\0\0\1x";
    gnatter_amqp_message *m, *copy;
    struct gnatter_amqp_value v;
    char out[sizeof wire + 32];
    size_t size;
    assert_int_equal(gnatter_amqp_decode(wire, sizeof wire - 1, &m), 0);
    assert_true(gnatter_amqp_look(m, GNATTER_AMQP_APPLICATION_PROPERTIES, "k", &v));
    assert_int_equal(v.integer, 1);
    assert_int_equal(gnatter_amqp_message_copy(m, &copy), 0);
    gnatter_amqp_message_free(m);
    assert_int_equal(gnatter_amqp_encode(copy, out, sizeof out, &size), 0);
    assert_int_equal(size, sizeof wire - 1);
    assert_memory_equal(out, wire, size);
    assert_int_equal(gnatter_amqp_set(copy, GNATTER_AMQP_TTL, gnatter_amqp_uint(5)), 0);
    assert_true(gnatter_amqp_get(copy, GNATTER_AMQP_DURABLE, &v) && v.number == 1);
    assert_int_equal(gnatter_amqp_body_bytes(copy).size, 1);
    gnatter_amqp_message_free(copy);
    for (size_t cut = 1; cut < sizeof wire - 1; cut++) {
        if (!gnatter_amqp_decode(wire, cut, &m)) /* between two sections */
            gnatter_amqp_message_free(m);
    }
    assert_int_equal(gnatter_amqp_decode("\0\x53\x75\x41", 4, &m), GNATTER_EMALFORMED);
}

/* ---- Without memory */

static int all_of_it(void)
{
    gnatter_amqp_builder *b = NULL;
    gnatter_amqp_message *m = NULL, *copy = NULL;
    struct gnatter_amqp_value map;
    int err = gnatter_amqp_builder_new(&b);
    if (!err)
        err = build(b, &map);
    if (!err)
        err = gnatter_amqp_message_new(&m);
    if (!err)
        err = gnatter_amqp_put(m, GNATTER_AMQP_FOOTER, "f", map);
    if (!err)
        err = gnatter_amqp_put_all(m, GNATTER_AMQP_MESSAGE_ANNOTATIONS, map);
    if (!err)
        err = gnatter_amqp_set(m, GNATTER_AMQP_SUBJECT, gnatter_amqp_string("s"));
    if (!err)
        err = gnatter_amqp_add_data(m, "x", 1);
    if (!err)
        err = gnatter_amqp_message_copy(m, &copy);
    gnatter_amqp_message_free(copy);
    gnatter_amqp_message_free(m);
    gnatter_amqp_builder_free(b);
    return err;
}

static void without_memory(void **state)
{
    (void)state;
    long n = 0;
    while (gnt_alloc_fail_at(n), all_of_it() != 0) {
        assert_true(gnt_alloc_failed());
        n++;
    }
    gnt_alloc_fail_at(-1);
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type),
        cmocka_unit_test(what_is_no_value),
        cmocka_unit_test(nested_values),
        cmocka_unit_test(lists_in_an_array),
        cmocka_unit_test(what_cannot_be_built),
        cmocka_unit_test(fields),
        cmocka_unit_test(fields_that_cannot_be),
        cmocka_unit_test(sections),
        cmocka_unit_test(bodies),
        cmocka_unit_test(decoded),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
