#include "support/unit.h"

#include "base/random.h"
#include "store/message_codec.h"
#include "support/alloc_fault.h"

#include <stdlib.h>

static uint64_t fixed_ns(void *self)
{
    (void)self;
    return 1000 * GNT_NS_PER_S;
}

static uint64_t fixed_wall(void *self)
{
    (void)self;
    return 1700000000000;
}

static const struct gnt_clock fixed = {fixed_ns, fixed_wall, NULL};
static struct gnt_store_time store_time;

static int set_up(void **state)
{
    (void)state;
    gnt_store_time_init(&store_time, &fixed, 0, 0);
    return 0;
}

/* A PUBLISH with everything, and one with nothing. */
static const struct gnt_message_init full = {
    .topic = {(const uint8_t *)"site/a", 6},
    .payload = {(const uint8_t *)"21.5", 4},
    .extras = {(const uint8_t *)"\x01\x01", 2},
    .format = GNT_EXTRAS_MQTT5,
    .qos = 2,
    .retain = true,
    .publisher = 77,
    .expires = UINT64_C(1060) * 1000000000,
};
static const struct gnt_message_init bare = {
    .topic = {(const uint8_t *)"t", 1},
    .expires = GNT_NEVER,
};

static struct gnt_buf encode(const struct gnt_message_init *init)
{
    struct gnt_message *m = NULL;
    struct gnt_buf buf = {0};
    assert_int_equal(gnt_message_new(init, &m), GNT_OK);
    assert_int_equal(gnt_message_encode(m, &store_time, &buf), GNT_OK);
    assert_int_equal(gnt_buf_size(&buf), gnt_message_encoded_size(m));
    gnt_message_unref(&m);
    return buf;
}

static void check_round_trip(const struct gnt_message_init *init)
{
    struct gnt_buf buf = encode(init);
    struct gnt_message *m = NULL;
    assert_int_equal(gnt_message_decode(gnt_buf_slice(&buf), &store_time, &m), GNT_OK);
    assert_true(gnt_slice_eq(m->topic, init->topic));
    assert_true(gnt_slice_eq(m->payload, init->payload));
    assert_true(gnt_slice_eq(m->extras, init->extras));
    assert_int_equal(m->format, init->format);
    assert_int_equal(m->qos, init->qos);
    assert_int_equal(m->retain, init->retain);
    assert_true(m->expires == init->expires);
    assert_int_equal(m->publisher, 0);
    gnt_message_unref(&m);
    gnt_buf_fini(&buf);
}

static void test_a_message_comes_back(void **state)
{
    (void)state;
    check_round_trip(&full);
    check_round_trip(&bare);
}

/* The format, byte for byte: what is on disk has to be read by all later versions. */
static void test_the_bytes(void **state)
{
    (void)state;
    struct gnt_buf buf = encode(&full);
    /* 1700000060000 ms is 0x18bcfe65260 */
    assert_slice(gnt_buf_slice(&buf), "\x01\x0e\x01\x00\x00\x01\x8b\xcf\xe6\x52\x60"
                                      "\x00\x00\x00\x06\x00\x00\x00\x02site/a\x01\x01"
                                      "21.5");
    gnt_buf_fini(&buf);
    buf = encode(&bare);
    assert_slice(gnt_buf_slice(&buf), "\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00t");
    gnt_buf_fini(&buf);
}

static void test_it_is_appended(void **state)
{
    (void)state;
    struct gnt_message *m = NULL;
    struct gnt_buf buf = {0};
    assert_int_equal(gnt_message_new(&bare, &m), GNT_OK);
    assert_int_equal(gnt_buf_put(&buf, LITERAL("before")), GNT_OK);
    assert_int_equal(gnt_message_encode(m, &store_time, &buf), GNT_OK);
    assert_int_equal(gnt_buf_size(&buf), 6 + gnt_message_encoded_size(m));
    assert_true(gnt_slice_starts(gnt_buf_slice(&buf), LITERAL("before\x01")));
    gnt_buf_fini(&buf);
    gnt_message_unref(&m);
}

/* A part of a message is none, until only the payload is cut short. */
static void test_cut_at_every_byte(void **state)
{
    (void)state;
    struct gnt_buf buf = encode(&full);
    size_t size = gnt_buf_size(&buf), head = size - full.payload.size;
    for (size_t n = 0; n < head; n++) {
        struct gnt_message *m = NULL;
        uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees a read behind the end */
        assert_non_null(exact);
        memcpy(exact, gnt_buf_slice(&buf).data, n);
        assert_int_equal(gnt_message_decode(gnt_slice(exact, n), &store_time, &m), GNT_MALFORMED);
        assert_null(m);
        free(exact);
    }
    gnt_buf_fini(&buf);
}

static gnt_err decode(const char *bytes, size_t size)
{
    struct gnt_message *m = NULL;
    gnt_err err = gnt_message_decode(gnt_slice(bytes, size), &store_time, &m);
    gnt_message_unref(&m);
    return err;
}

static void test_bad_bytes(void **state)
{
    (void)state;
    const struct {
        const char *bytes;
        gnt_err err;
    } rows[] = {
        {"\x01\x00\x00\0\0\0\x01\0\0\0\x00t", GNT_OK},
        {"\x02\x00\x00\0\0\0\x01\0\0\0\x00t", GNT_UNSUPPORTED},
        {"\x00\x00\x00\0\0\0\x01\0\0\0\x00t", GNT_MALFORMED},
        {"\x01\x03\x00\0\0\0\x01\0\0\0\x00t", GNT_MALFORMED}, /* QoS 3 */
        {"\x01\x10\x00\0\0\0\x01\0\0\0\x00t", GNT_MALFORMED}, /* a flag of no meaning */
        {"\x01\x00\x03\0\0\0\x01\0\0\0\x00t", GNT_MALFORMED}, /* a format of no meaning */
        {"\x01\x00\x00\0\0\0\x02\0\0\0\x00t", GNT_MALFORMED}, /* the topic is longer */
        {"\x01\x00\x00\0\0\0\x01\0\0\0\x01t", GNT_MALFORMED}, /* the extras are */
        {"\x01\x00\x00\xff\xff\xff\xff\0\0\0\x00t", GNT_MALFORMED},
        {"\x01\x00\x00\0\0\0\x01\xff\xff\xff\xfft", GNT_MALFORMED},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(decode(rows[i].bytes, 12), rows[i].err);
}

static void test_random_bytes(void **state)
{
    (void)state;
    struct gnt_seeded random;
    gnt_seeded_init(&random, 4711);
    for (int i = 0; i < 100000; i++) {
        uint8_t bytes[48];
        random.door.fill(random.door.self, bytes, sizeof bytes);
        bytes[0] = 1;
        bytes[1] &= 0x0f;
        bytes[2] &= 1;
        bytes[3] = bytes[4] = bytes[5] = bytes[7] = bytes[8] = bytes[9] = 0;
        size_t size = gnt_random_below(&random.door, sizeof bytes + 1);
        (void)decode((const char *)bytes, size);
    }
}

static void test_allocation_failures(void **state)
{
    (void)state;
    struct gnt_message *m = NULL, *back = NULL;
    struct gnt_buf buf = {0};
    assert_int_equal(gnt_message_new(&full, &m), GNT_OK);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_message_encode(m, &store_time, &buf), GNT_NOMEM);
    assert_int_equal(gnt_buf_size(&buf), 0);
    gnt_alloc_fail_at(-1);
    assert_int_equal(gnt_message_encode(m, &store_time, &buf), GNT_OK);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_message_decode(gnt_buf_slice(&buf), &store_time, &back), GNT_NOMEM);
    assert_null(back);
    gnt_alloc_fail_at(-1);
    gnt_buf_fini(&buf);
    gnt_message_unref(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_comes_back),
        cmocka_unit_test(test_the_bytes),
        cmocka_unit_test(test_it_is_appended),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_bad_bytes),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
