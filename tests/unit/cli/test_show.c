/* Messages as gnatter receive prints them. */
#include "support/unit.h"

#include "cli/show.h"
#include "support/alloc_fault.h"

static gnatter_amqp_message *decoded(const void *bytes, size_t size)
{
    gnatter_amqp_message *m;
    assert_int_equal(gnatter_amqp_decode(bytes, size, &m), 0);
    return m;
}

typedef gnt_err show(struct gnt_buf *out, const gnatter_amqp_message *m);

static void assert_shown(show *how, const gnatter_amqp_message *m, const char *text, size_t size)
{
    struct gnt_buf out = {NULL, 0, 0, 0};
    assert_int_equal(how(&out, m), GNT_OK);
    struct gnt_slice shown = gnt_buf_slice(&out);
    if (shown.size != size || (size && memcmp(shown.data, text, size) != 0))
        fail_msg("'%.*s' instead of '%s'", (int)shown.size, (const char *)shown.data, text);
    gnt_buf_fini(&out);
}

#define SHOWS(how, bytes, text)                                       \
    do {                                                              \
        gnatter_amqp_message *m_ = decoded(bytes, sizeof(bytes) - 1); \
        assert_shown(how, m_, text, strlen(text));                    \
        gnatter_amqp_message_free(m_);                                \
    } while (0)

#define VALUE "\x00\x53\x77"

/* The value's JSON is what stands behind this. */
#define HEAD                                                                                   \
    "{\"header\":{},\"delivery-annotations\":{},\"message-annotations\":{},\"properties\":{}," \
    "\"application-properties\":{},\"footer\":{},"

static void values(void **state)
{
    (void)state;
    SHOWS(gnt_show_body, VALUE "\x40", "null");
    SHOWS(gnt_show_body, VALUE "\x41", "true");
    SHOWS(gnt_show_body, VALUE "\x50\xff", "255");
    SHOWS(gnt_show_body, VALUE "\x54\xff", "-1");
    SHOWS(gnt_show_body, VALUE "\x80\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615");
    SHOWS(gnt_show_body, VALUE "\x82\x3f\xb9\x99\x99\x99\x99\x99\x9a", "0.10000000000000001");
    SHOWS(gnt_show_body, VALUE "\x72\x7f\xc0\x00\x00", "\"NaN\"");
    SHOWS(gnt_show_body, VALUE "\x72\xff\x80\x00\x00", "\"-inf\"");
    SHOWS(gnt_show_body, VALUE "\x83\x00\x00\x00\x00\x00\x00\x03\xe8",
          "\"1970-01-01T00:00:01.000Z\"");
    SHOWS(gnt_show_body, VALUE "\x83\x7f\xff\xff\xff\xff\xff\xff\xff", "9223372036854775807");
    SHOWS(gnt_show_body, VALUE "\xa1\x02\"\n", "\"\n"); /* text: as it is */
    SHOWS(gnt_show_body, VALUE "\x45", "[]");
    SHOWS(gnt_show_body, VALUE "\xc1\x01\x00", "{}");
}

static void compounds(void **state)
{
    (void)state;
    SHOWS(gnt_show_body, VALUE "\xc0\x07\x02\xa1\x01\"\xa0\x01\xff", "[\"\\\"\",[255]]");
    SHOWS(gnt_show_body, VALUE "\xc1\x09\x04\xa3\x01k\x54\x01\x54\x02\x45",
          "{\"k\":1,\"int 2\":[]}");
    SHOWS(gnt_show_body, VALUE "\xe0\x04\x02\x50\x01\x02", "[1,2]");
    SHOWS(gnt_show_body,
          VALUE "\x00\xa3\x01"
                "d\x54\x05",
          "5");
}

static void bodies(void **state)
{
    (void)state;
    SHOWS(gnt_show_json, "\x00\x53\x75\xa0\x01x", HEAD "\"body-type\":\"data\",\"body\":\"x\"}");
    SHOWS(gnt_show_json, "\x00\x53\x75\xa0\x01x\x00\x53\x75\xa0\x01\xff",
          HEAD "\"body-type\":\"data\",\"body\":[\"x\",[255]]}");
    SHOWS(gnt_show_body, "\x00\x53\x75\xa0\x01x\x00\x53\x75\xa0\x01\xff", "x\xff");
    SHOWS(gnt_show_json, "\x00\x53\x76\xc0\x03\x01\x54\x01",
          HEAD "\"body-type\":\"sequence\",\"body\":[1]}");
    SHOWS(gnt_show_json, VALUE "\x41", HEAD "\"body-type\":\"value\",\"body\":true}");
    SHOWS(gnt_show_json, "", HEAD "\"body-type\":\"none\",\"body\":null}");
    SHOWS(gnt_show_body, "", "");
}

/* What a peer sends cannot move a terminal. */
static void heads(void **state)
{
    (void)state;
    SHOWS(gnt_show_head,
          "\x00\x53\x70\xc0\x04\x02\x41\x50\x07"
          "\x00\x53\x73\xc0\x0b\x04\x40\x40\x40\xa1\x05"
          "a\n\x1b[b"
          "\x00\x53\x74\xc1\x07\x02\xa1\x02k\x1b\x54\x01",
          "durable: true\npriority: ubyte 7\nsubject: a\\x0a\\x1b[b\nk\\x1b: int 1\n");
}

static void out_of_memory(void **state)
{
    (void)state;
    static const char bytes[] = "\x00\x53\x70\xc0\x02\x01\x41\x00\x53\x75\xa0\x01x";
    gnatter_amqp_message *m = decoded(bytes, sizeof bytes - 1);
    for (long n = 0;; n++) {
        struct gnt_buf out = {NULL, 0, 0, 0};
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_show_json(&out, m);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        gnt_buf_fini(&out);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        if (!failed)
            break;
    }
    gnatter_amqp_message_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values), cmocka_unit_test(compounds),     cmocka_unit_test(bodies),
        cmocka_unit_test(heads),  cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
