#include "cli/format.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT_PROP(row, string)                                              \
    {                                                                       \
        GNT_PROP_##row, 0, {(const uint8_t *)(string), sizeof(string) - 1}, \
        {                                                                   \
            NULL, 0                                                         \
        }                                                                   \
    }
#define NUMBER_PROP(row, value)             \
    {                                       \
        GNT_PROP_##row, (value), {NULL, 0}, \
        {                                   \
            NULL, 0                         \
        }                                   \
    }
#define USER_PROP(name, text)                                                   \
    {                                                                           \
        GNT_PROP_USER_PROPERTY, 0, {(const uint8_t *)(name), sizeof(name) - 1}, \
        {                                                                       \
            (const uint8_t *)(text), sizeof(text) - 1                           \
        }                                                                       \
    }

static const struct gnt_mqtt_prop some_props[] = {
    NUMBER_PROP(SUBSCRIPTION_ID, 7),       USER_PROP("k", "1"),
    TEXT_PROP(CONTENT_TYPE, "text/plain"), USER_PROP("k", "2"),
    TEXT_PROP(CORRELATION_DATA, "a b"),    NUMBER_PROP(PAYLOAD_FORMAT, 1),
    TEXT_PROP(RESPONSE_TOPIC, "re/sp"),    NUMBER_PROP(MESSAGE_EXPIRY, 60),
};

/* 2026-11-22T10:00:00.123456789Z */
static const struct timespec then = {1795341600, 123456789};

static struct gnt_format_message full(void)
{
    return (struct gnt_format_message){
        .topic = LITERAL("a/bcd"),
        .payload = LITERAL("hello \"w\"\u00e9"),
        .qos = 1,
        .id = 3,
        .props = some_props,
        .prop_count = COUNT_OF(some_props),
        .time = then,
    };
}

static struct gnt_format_message bare(struct gnt_slice payload)
{
    return (struct gnt_format_message){
        .topic = LITERAL("a/bcd"), .payload = payload, .retain = true, .time = then};
}

/* Every allocation fails once on the way. */
static void shows(const struct gnt_format_message *m, const char *format, struct gnt_slice expected)
{
    struct gnt_why why = {""};
    assert_int_equal(gnt_format_check(format, &why), GNT_OK);
    for (long n = 0;; n++) {
        struct gnt_buf out = {NULL, 0, 0, 0};
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_format_put(format, m, &out);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        struct gnt_slice text = gnt_buf_slice(&out);
        if (failed && err) { /* strftime and its like may do without */
            assert_int_equal(text.size, 0);
        } else if (!failed) {
            assert_int_equal(err, GNT_OK);
            if (!gnt_slice_eq(text, expected))
                print_error("%s: '%.*s', expected '%s'\n", format, (int)text.size, text.data,
                            expected.data);
            assert_true(gnt_slice_eq(text, expected));
        }
        gnt_buf_fini(&out);
        if (!failed)
            return;
    }
}

static void all_sequences(void **state)
{
    (void)state;
    struct gnt_format_message m = full();
    static const struct {
        const char *format, *out;
    } vectors[] = {
        {"", ""},
        {"plain", "plain"},
        {"%t %p", "a/bcd hello \"w\"\u00e9"},
        {"%%|%q|%r|%m|%l", "%|1|0|3|11"},
        {"%x", "68656c6c6f20227722c3a9"},
        {"%X", "68656C6C6F20227722C3A9"},
        {"%A|%C|%D|%E|%F|%R|%S", "|text/plain|a b|60|1|re/sp|7"},
        {"%P", "k:1 k:2"},
        {"%U", "1795341600.123456789"},
        {"%I", "2026-11-22T10:00:00+0000"},
        {"@Y-@m-@d @@ @N", "2026-11-22 @ 123456789"},
        {"%j", "{\"tst\":\"2026-11-22T10:00:00.123456+0000\",\"topic\":\"a/bcd\",\"qos\":1,"
               "\"retain\":0,\"payloadlen\":11,\"mid\":3,\"properties\":{\"subscription-"
               "identifier\":7,\"user-properties\":{\"k\":\"1\",\"k\":\"2\"},\"content-type\":"
               "\"text/plain\",\"correlation-data\":\"a b\",\"payload-format-indicator\":1,"
               "\"response-topic\":\"re/sp\",\"message-expiry-interval\":60},\"payload\":\"hello "
               "\\\"w\\\"\u00e9\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(vectors); i++)
        shows(&m, vectors[i].format, gnt_slice_str(vectors[i].out));
    shows(&m, "\\\\\\0\\a\\e\\n\\r\\t\\v", LITERAL("\\\0\a\x1b\n\r\t\v"));
}

static void widths(void **state)
{
    (void)state;
    struct gnt_format_message m = full(), nothing = bare(LITERAL("ab"));
    static const struct {
        const char *format, *out;
    } of_full[] = {
        {"%3t|%8t|%-8t|%.2t|%6.2t|%-6.2t|", "a/bcd|   a/bcd|a/bcd   |a/|    a/|a/    |"},
        {"%5l|%05l|%-5l|%-05l|", "   11|00011|11   |11   |"},
        {"%5m|%03E|%2S", "    3|060| 7"},
        {"%12C|%-12R|%.4C|", "  text/plain|re/sp       |text|"},
        {"%013p|%13p|%-13p|%5p|", "00hello \"w\"\u00e9|  hello \"w\"\u00e9|hello \"w\"\u00e9  |"
                                  "hello \"w\"\u00e9|"},
        {"%24x|%-24x|%024x|%4x", "  68656c6c6f20227722c3a9|68656c6c6f20227722c3a9  |"
                                 "0068656c6c6f20227722c3a9|68656c6c6f20227722c3a9"},
    };
    for (size_t i = 0; i < COUNT_OF(of_full); i++)
        shows(&m, of_full[i].format, gnt_slice_str(of_full[i].out));
    static const struct {
        const char *format, *out;
    } of_nothing[] = {
        {"%3A|%03E|%-3S|%3C|%3R|%3F|", "   |000|   |   |   |   |"},
        {"%r%q%m", "100"},
        {"%D%P.", "."},
    };
    for (size_t i = 0; i < COUNT_OF(of_nothing); i++)
        shows(&nothing, of_nothing[i].format, gnt_slice_str(of_nothing[i].out));
}

#define HEAD(length)                                                                           \
    "{\"tst\":\"2026-11-22T10:00:00.123456+0000\",\"topic\":\"a/bcd\",\"qos\":0,\"retain\":1," \
    "\"payloadlen\":" length ",\"payload\":"

static void json_payloads(void **state)
{
    (void)state;
    struct gnt_format_message m = bare(LITERAL("{\"t\": 27.0, \"h\":\n57}"));
    shows(&m, "%J", LITERAL(HEAD("20") "{\"t\":27.0,\"h\":57}}"));
    m = bare(LITERAL(""));
    shows(&m, "%j", LITERAL(HEAD("0") "null}"));
    shows(&m, "%J", LITERAL(HEAD("0") "null}"));
    m = bare(LITERAL("\xff\x01"));
    shows(&m, "%j", LITERAL(HEAD("2") "[255,1]}"));

    struct gnt_buf out = {NULL, 0, 0, 0};
    assert_int_equal(gnt_buf_put(&out, LITERAL("before")), GNT_OK);
    m = bare(LITERAL("not json"));
    assert_int_equal(gnt_format_put("x %J", &m, &out), GNT_INVALID);
    assert_slice(gnt_buf_slice(&out), "before");
    gnt_buf_fini(&out);
}

static void bad_formats(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "%",   "abc%", "@",   "abc@",  "\\",    "\\q",     "%z",
        "%5",  "%-",   "%5.", "%..3t", "%5q%y", "%10001t", "%99999999999999999999t",
        "%t %"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct gnt_why why = {""};
        assert_int_equal(gnt_format_check(bad[i], &why), GNT_INVALID);
        assert_non_null(strstr(why.text, "is no sequence of a format; expected"));
    }
    struct gnt_why why;
    assert_int_equal(gnt_format_check("%t %5z", &why), GNT_INVALID);
    assert_memory_equal(why.text, "'%5z' is no", 11);
}

static int fixed_zone(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sequences),
        cmocka_unit_test(widths),
        cmocka_unit_test(json_payloads),
        cmocka_unit_test(bad_formats),
    };
    return cmocka_run_group_tests(tests, fixed_zone, NULL);
}
