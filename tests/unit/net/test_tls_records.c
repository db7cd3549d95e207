/* Records of TLS 1.3: the example of RFC 8448, what a peer may send, and what it may not. */
#include "net/tls_records.h"
#include "net/tls_words.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

enum { HEADER = 5, TAG = 16, BIGGEST = 1 << 16, LAST_OF_A_KEY = 1 << 24, SILENT_MAX = 32 };

static const uint16_t ids[] = {0x1301, 0x1302, 0x1303};
static const uint8_t sizes[] = {32, 48, 32};

static struct gnt_tls_records *here, *there;
static uint8_t wire[BIGGEST];
static size_t wire_size;

static struct gnt_tls_secret secret(uint8_t size, char fill, uint64_t records)
{
    struct gnt_tls_secret s = {.size = size, .records = records};
    memset(s.bytes, fill, size);
    return s;
}

/* Two that are each other's peer, after so many RECORDS in both directions. */
static void meet(unsigned suite, uint64_t records)
{
    struct gnt_tls_secret a = secret(sizes[suite], 'a', records),
                          b = secret(sizes[suite], 'b', records);
    gnt_tls_records_free(&here);
    gnt_tls_records_free(&there);
    assert_int_equal(gnt_tls_records_new(ids[suite], &a, &b, &here), GNT_OK);
    assert_int_equal(gnt_tls_records_new(ids[suite], &b, &a, &there), GNT_OK);
    wire_size = 0;
}

static int setup(void **state)
{
    (void)state;
    meet(0, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gnt_tls_records_free(&here);
    gnt_tls_records_free(&there);
    return 0;
}

static void say(struct gnt_tls_records *r, unsigned type, struct gnt_slice content)
{
    size_t n = gnt_tls_records_seal(r, (enum gnt_tls_content)type, content, wire + wire_size);
    assert_true(n > 0);
    wire_size += n;
}

/* Takes the first record of the wire. */
static gnt_err hear(struct gnt_tls_records *r, struct gnt_slice *data)
{
    static uint8_t bytes[BIGGEST];
    size_t used;
    memcpy(bytes, wire, wire_size);
    gnt_err err = gnt_tls_records_open(r, bytes, wire_size, &used, data);
    memmove(wire, wire + used, wire_size - used);
    wire_size -= used;
    return err;
}

#define assert_hears(r, text)                        \
    do {                                             \
        struct gnt_slice data_;                      \
        assert_int_equal(hear((r), &data_), GNT_OK); \
        assert_slice(data_, text);                   \
    } while (0)

/* ---- What is right */

/* [RFC 8448 3]: what the client sends under its first key. */
static void test_example_of_the_rfc(void **state)
{
    (void)state;
    static const uint8_t bytes[32] = {0x9e, 0x40, 0x64, 0x6c, 0xe7, 0x9a, 0x7f, 0x9d,
                                      0xc0, 0x5a, 0xf8, 0x88, 0x9b, 0xce, 0x65, 0x52,
                                      0x87, 0x5a, 0xfa, 0x0b, 0x06, 0xdf, 0x00, 0x87,
                                      0xf7, 0x92, 0xeb, 0xb7, 0xc1, 0x75, 0x04, 0xa5};
    static const uint8_t record[] = {
        0x17, 0x03, 0x03, 0x00, 0x43, 0xa2, 0x3f, 0x70, 0x54, 0xb6, 0x2c, 0x94, 0xd0, 0xaf, 0xfa,
        0xfe, 0x82, 0x28, 0xba, 0x55, 0xcb, 0xef, 0xac, 0xea, 0x42, 0xf9, 0x14, 0xaa, 0x66, 0xbc,
        0xab, 0x3f, 0x2b, 0x98, 0x19, 0xa8, 0xa5, 0xb4, 0x6b, 0x39, 0x5b, 0xd5, 0x4a, 0x9a, 0x20,
        0x44, 0x1e, 0x2b, 0x62, 0x97, 0x4e, 0x1f, 0x5a, 0x62, 0x92, 0xa2, 0x97, 0x70, 0x14, 0xbd,
        0x1e, 0x3d, 0xea, 0xe6, 0x3a, 0xee, 0xbb, 0x21, 0x69, 0x49, 0x15, 0xe4};
    uint8_t said[50];
    struct gnt_slice data;
    struct gnt_tls_secret s = secret(32, 0, 0);
    for (uint8_t i = 0; i < sizeof said; i++)
        said[i] = i;
    memcpy(s.bytes, bytes, sizeof bytes);
    teardown(NULL);
    assert_int_equal(gnt_tls_records_new(0x1301, &s, &s, &here), GNT_OK);
    say(here, GNT_TLS_DATA, gnt_slice(said, sizeof said));
    assert_int_equal(wire_size, sizeof record);
    assert_memory_equal(wire, record, sizeof record);
    assert_int_equal(hear(here, &data), GNT_OK);
    assert_int_equal(data.size, sizeof said);
    assert_memory_equal(data.data, said, sizeof said);
}

static void test_every_suite_and_size(void **state)
{
    (void)state;
    static const size_t of[] = {1, 15, 16, 17, 1000, GNT_TLS_PLAIN_MAX};
    static uint8_t said[GNT_TLS_PLAIN_MAX];
    struct gnt_slice data;
    memset(said, 'x', sizeof said);
    for (unsigned suite = 0; suite < COUNT_OF(ids); suite++) {
        meet(suite, 0);
        for (size_t i = 0; i < 2 * COUNT_OF(of); i++) {
            size_t size = of[i / 2];
            say(i % 2 ? here : there, GNT_TLS_DATA, gnt_slice(said, size));
            assert_int_equal(wire_size, HEADER + size + 1 + TAG);
            assert_int_equal(hear(i % 2 ? there : here, &data), GNT_OK);
            assert_int_equal(data.size, size);
            assert_memory_equal(data.data, said, size);
        }
    }
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    struct gnt_slice data;
    say(there, GNT_TLS_DATA, LITERAL("hello"));
    size_t whole = wire_size;
    for (wire_size = 0; wire_size < whole; wire_size++) {
        assert_false(gnt_tls_records_whole(gnt_slice(wire, wire_size)));
        assert_int_equal(hear(here, &data), GNT_MORE);
        assert_int_equal(data.size, 0);
    }
    assert_true(gnt_tls_records_whole(gnt_slice(wire, wire_size)));
    assert_hears(here, "hello");
}

/* The type is behind the content, and zeros may be behind the type. */
static void test_padding(void **state)
{
    (void)state;
    say(there, 0, LITERAL("padded\x17\0\0\0"));
    say(there, 0, LITERAL("\x17"));
    say(there, GNT_TLS_DATA, LITERAL("zeros\0\0"));
    assert_hears(here, "padded");
    assert_hears(here, "");
    assert_hears(here, "zeros\0\0");
}

static void test_the_end(void **state)
{
    (void)state;
    struct gnt_slice data;
    say(there, GNT_TLS_ALERT, LITERAL("\1\x5a")); /* user_canceled, before the end */
    say(there, GNT_TLS_ALERT, LITERAL("\1\0"));
    assert_hears(here, "");
    assert_int_equal(hear(here, &data), GNT_CLOSED);
    assert_int_equal(wire_size, 0);
}

/* ---- New keys */

/* A peer that asks is answered once, in front of what is said next. */
static void test_new_keys_on_request(void **state)
{
    (void)state;
    for (unsigned suite = 0; suite < COUNT_OF(ids); suite++) {
        meet(suite, 0);
        say(there, GNT_TLS_HANDSHAKE, LITERAL("\x18\0\0\1\1"));
        assert_hears(here, "");
        say(here, GNT_TLS_DATA, LITERAL("answer"));
        assert_hears(there, "");
        assert_hears(there, "answer");
        say(here, GNT_TLS_DATA, LITERAL("more"));
        assert_hears(there, "more");
    }
}

static void test_new_keys_without_a_request(void **state)
{
    (void)state;
    say(there, GNT_TLS_HANDSHAKE, LITERAL("\x18\0"));
    say(there, GNT_TLS_HANDSHAKE, LITERAL("\0\1\0"));
    assert_hears(here, "");
    assert_hears(here, "");
    say(here, GNT_TLS_DATA, LITERAL("no answer"));
    assert_hears(there, "no answer");
    /* What follows under the old key is not understood any more. */
    struct gnt_slice data;
    say(there, GNT_TLS_DATA, LITERAL("old"));
    assert_int_equal(hear(here, &data), GNT_PROTOCOL);
}

/* A key is not used for more than it is good for. */
static void test_new_keys_in_time(void **state)
{
    (void)state;
    for (unsigned suite = 0; suite < COUNT_OF(ids); suite++) {
        meet(suite, LAST_OF_A_KEY - 1);
        say(here, GNT_TLS_DATA, LITERAL("last"));
        assert_hears(there, "last");
        assert_int_equal(wire_size, 0);
        say(here, GNT_TLS_DATA, LITERAL("first"));
        assert_hears(there, "");
        assert_hears(there, "first");
        say(there, GNT_TLS_DATA, LITERAL("last"));
        say(there, GNT_TLS_DATA, LITERAL("first"));
        assert_hears(here, "last");
        assert_hears(here, "");
        assert_hears(here, "first");
    }
}

/* ---- What is wrong */

static void test_wrong_content(void **state)
{
    (void)state;
    const struct {
        unsigned type;
        struct gnt_slice content;
        gnt_err err;
        uint8_t alert;
        int reason;
    } rows[] = {
        {0, LITERAL("\0"), GNT_PROTOCOL, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_BAD_RECORD_TYPE},
        {20, LITERAL("\1"), GNT_PROTOCOL, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_RECORD},
        {24, LITERAL("x"), GNT_PROTOCOL, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_RECORD},
        {21, LITERAL("\1"), GNT_PROTOCOL, SSL_AD_DECODE_ERROR, SSL_R_INVALID_ALERT},
        {21, LITERAL("\1\0\1\0"), GNT_PROTOCOL, SSL_AD_DECODE_ERROR, SSL_R_INVALID_ALERT},
        {0, LITERAL("\x15"), GNT_PROTOCOL, SSL_AD_DECODE_ERROR, SSL_R_INVALID_ALERT},
        {21, LITERAL("\1\x14"), GNT_REFUSED, 0, SSL_AD_REASON_OFFSET + 20},
        {21, LITERAL("\2\x50"), GNT_REFUSED, 0, SSL_AD_REASON_OFFSET + 80},
        {0, LITERAL("\x16"), GNT_PROTOCOL, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_MESSAGE},
        {22, LITERAL("\1\0\0\1\0"), GNT_PROTOCOL, SSL_AD_UNEXPECTED_MESSAGE,
         SSL_R_UNEXPECTED_MESSAGE},
        {22, LITERAL("\x18\0\0\2\0"), GNT_PROTOCOL, SSL_AD_UNEXPECTED_MESSAGE,
         SSL_R_UNEXPECTED_MESSAGE},
        {22, LITERAL("\x18\0\0\1\0\x18"), GNT_PROTOCOL, SSL_AD_UNEXPECTED_MESSAGE,
         SSL_R_UNEXPECTED_MESSAGE},
        {22, LITERAL("\x18\0\0\1\2"), GNT_PROTOCOL, SSL_AD_ILLEGAL_PARAMETER, SSL_R_BAD_KEY_UPDATE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice data;
        uint8_t alert;
        meet(0, 0);
        say(there, rows[i].type, rows[i].content);
        assert_int_equal(hear(here, &data), rows[i].err);
        assert_int_equal(data.size, 0);
        assert_int_equal(ERR_GET_REASON(gnt_tls_records_why(here, &alert)), rows[i].reason);
        assert_int_equal(alert, rows[i].alert);
        assert_int_equal(gnt_tls_meaning(gnt_tls_records_why(here, &alert)), rows[i].err);
    }
}

/* Some records may say nothing, many may not; new keys are among the tests of the stream. */
static void test_many_that_say_nothing(void **state)
{
    (void)state;
    const struct {
        unsigned type;
        struct gnt_slice content;
        int reason;
    } rows[] = {
        {0, LITERAL("\x17"), SSL_R_RECORD_TOO_SMALL},
        {GNT_TLS_ALERT, LITERAL("\1\x5a"), SSL_R_TOO_MANY_WARN_ALERTS},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice data;
        uint8_t alert;
        meet(0, 0);
        for (int at = 0; at < 2 * SILENT_MAX; at++) {
            say(there, rows[i].type, rows[i].content);
            assert_hears(here, "");
            if (at != SILENT_MAX - 1)
                continue;
            say(there, GNT_TLS_DATA, LITERAL("x"));
            assert_hears(here, "x");
        }
        say(there, rows[i].type, rows[i].content);
        assert_int_equal(hear(here, &data), GNT_PROTOCOL);
        assert_int_equal(ERR_GET_REASON(gnt_tls_records_why(here, &alert)), rows[i].reason);
        assert_int_equal(alert, SSL_AD_UNEXPECTED_MESSAGE);
    }
}

/* A message that is cut goes on at once. */
static void test_nothing_inside_a_message(void **state)
{
    (void)state;
    struct gnt_slice data;
    say(there, GNT_TLS_HANDSHAKE, LITERAL("\x18\0"));
    say(there, GNT_TLS_DATA, LITERAL("x"));
    assert_hears(here, "");
    assert_int_equal(hear(here, &data), GNT_PROTOCOL);
}

static void test_changed_anywhere(void **state)
{
    (void)state;
    struct gnt_slice data;
    uint8_t alert;
    for (unsigned suite = 0; suite < COUNT_OF(ids); suite++)
        for (size_t at = HEADER; at < HEADER + 6 + TAG; at++) {
            meet(suite, 0);
            say(there, GNT_TLS_DATA, LITERAL("hello"));
            wire[at] ^= 4;
            assert_int_equal(hear(here, &data), GNT_PROTOCOL);
            (void)gnt_tls_records_why(here, &alert);
            assert_int_equal(alert, SSL_AD_BAD_RECORD_MAC);
        }
}

static void test_not_twice_and_in_order(void **state)
{
    (void)state;
    struct gnt_slice data;
    say(there, GNT_TLS_DATA, LITERAL("once"));
    size_t one = wire_size;
    memcpy(wire + one, wire, one);
    wire_size = 2 * one;
    assert_hears(here, "once");
    assert_int_equal(hear(here, &data), GNT_PROTOCOL);
    meet(0, 0);
    say(there, GNT_TLS_DATA, LITERAL("1"));
    wire_size = 0;
    say(there, GNT_TLS_DATA, LITERAL("2"));
    assert_int_equal(hear(here, &data), GNT_PROTOCOL);
}

/* Told by five bytes, without waiting for what they announce. */
static void test_wrong_header(void **state)
{
    (void)state;
    static const struct {
        uint8_t header[HEADER];
        uint8_t alert;
    } rows[] = {
        {{20, 3, 3, 0, 1}, SSL_AD_UNEXPECTED_MESSAGE},
        {{22, 3, 3, 0, 40}, SSL_AD_UNEXPECTED_MESSAGE},
        {{'G', 'E', 'T', ' ', '/'}, SSL_AD_UNEXPECTED_MESSAGE},
        {{23, 3, 3, 0x41, 1}, SSL_AD_RECORD_OVERFLOW},
        {{23, 3, 3, 0xff, 0xff}, SSL_AD_RECORD_OVERFLOW},
        {{23, 3, 3, 0, 0}, SSL_AD_DECODE_ERROR},
        {{23, 3, 3, 0, TAG}, SSL_AD_DECODE_ERROR},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice data;
        uint8_t alert;
        meet(0, 0);
        memcpy(wire, rows[i].header, HEADER);
        wire_size = HEADER;
        assert_int_equal(hear(here, &data), GNT_PROTOCOL);
        (void)gnt_tls_records_why(here, &alert);
        assert_int_equal(alert, rows[i].alert);
        wire_size += TAG;
        assert_true(gnt_tls_records_whole(gnt_slice(wire, wire_size)));
    }
    memcpy(wire, (uint8_t[]){23, 3, 3, 0x41, 0}, HEADER); /* the longest */
    assert_false(gnt_tls_records_whole(gnt_slice(wire, GNT_TLS_RECORD_MAX - 1)));
    assert_true(gnt_tls_records_whole(gnt_slice(wire, GNT_TLS_RECORD_MAX)));
}

static void test_unknown_suite(void **state)
{
    (void)state;
    struct gnt_tls_secret s32 = secret(32, 'a', 0), s48 = secret(48, 'a', 0), none = {0};
    struct gnt_tls_records *r = NULL;
    assert_int_equal(gnt_tls_records_new(0x1304, &s32, &s32, &r), GNT_UNSUPPORTED);
    assert_int_equal(gnt_tls_records_new(0xc02b, &s32, &s32, &r), GNT_UNSUPPORTED);
    assert_int_equal(gnt_tls_records_new(0x1301, &s48, &s32, &r), GNT_UNSUPPORTED);
    assert_int_equal(gnt_tls_records_new(0x1302, &s48, &s32, &r), GNT_UNSUPPORTED);
    assert_int_equal(gnt_tls_records_new(0x1301, &s32, &none, &r), GNT_UNSUPPORTED);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_tls_records_new(0x1301, &s32, &s32, &r), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_null(r);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_example_of_the_rfc),
        T(test_every_suite_and_size),
        T(test_cut_anywhere),
        T(test_padding),
        T(test_the_end),
        T(test_new_keys_on_request),
        T(test_new_keys_without_a_request),
        T(test_new_keys_in_time),
        T(test_wrong_content),
        T(test_many_that_say_nothing),
        T(test_nothing_inside_a_message),
        T(test_changed_anywhere),
        T(test_not_twice_and_in_order),
        T(test_wrong_header),
        T(test_unknown_suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
