/* Packets as text: rows of bytes and what is shown of them. */
#include "../../../support/unit.h"

#include "../../../support/alloc_fault.h"
#include "mqtt/codec/print.h"

static const struct {
    enum gnt_mqtt_version version;
    enum gnt_mqtt_sender sender;
    uint8_t first;
    struct gnt_slice body; /* behind the length */
    const char *text;
} rows[] = {
#define BYTES(literal)                                  \
    {                                                   \
        (const uint8_t *)(literal), sizeof(literal) - 1 \
    }
    {GNT_MQTT_5, GNT_MQTT_FROM_CLIENT, 0x10,
     BYTES("\0\4MQTT\5\xee\0\x3c\3\x21\0\x14\0\1c\5\x18\0\0\0\1\0\1t\0\1w\0\1u\0\6secret"),
     "CONNECT version=5.0 client-id=\"c\" clean-start keep-alive=60 username=\"u\" "
     "password=(6 bytes) will=(qos=1 retain topic=\"t\" will-delay=1 payload=b\"w\") "
     "receive-maximum=20"},
    {GNT_MQTT_3_1_1, GNT_MQTT_FROM_CLIENT, 0x10, BYTES("\0\4MQTT\4\2\0\x0a\0\1c"),
     "CONNECT version=3.1.1 client-id=\"c\" clean-session keep-alive=10"},
    {GNT_MQTT_5, GNT_MQTT_FROM_SERVER, 0x20, BYTES("\1\0\0"),
     "CONNACK code=0x00 (success) session-present"},
    {GNT_MQTT_3_1_1, GNT_MQTT_FROM_SERVER, 0x20, BYTES("\0\5"),
     "CONNACK code=0x05 (not authorized)"},
    {GNT_MQTT_5, GNT_MQTT_FROM_CLIENT, 0x3b, BYTES("\0\3a/b\0\7\x07\x26\0\1k\0\1v\xffp\""),
     "PUBLISH qos=1 id=7 dup retain topic=\"a/b\" user-property=\"k\":\"v\" "
     "payload=b\"\\xffp\\\"\""},
    {GNT_MQTT_5, GNT_MQTT_FROM_SERVER, 0x40, BYTES("\0\7"), "PUBACK id=7"},
    {GNT_MQTT_5, GNT_MQTT_FROM_SERVER, 0x50, BYTES("\0\7\x97"),
     "PUBREC id=7 code=0x97 (quota exceeded)"},
    {GNT_MQTT_5, GNT_MQTT_FROM_CLIENT, 0x82, BYTES("\0\1\0\0\1a\x2e\0\1#\1"),
     "SUBSCRIBE id=1 filter=\"a\"(qos=2 no-local retain-as-published retain-handling=2) "
     "filter=\"#\"(qos=1)"},
    {GNT_MQTT_5, GNT_MQTT_FROM_CLIENT, 0xa2, BYTES("\0\1\0\0\1a"), "UNSUBSCRIBE id=1 filter=\"a\""},
    {GNT_MQTT_5, GNT_MQTT_FROM_SERVER, 0x90, BYTES("\0\1\0\1\x87"),
     "SUBACK id=1 code=0x01 (granted QoS 1) code=0x87 (not authorized)"},
    {GNT_MQTT_5, GNT_MQTT_FROM_CLIENT, 0xc0, BYTES(""), "PINGREQ"},
    {GNT_MQTT_3_1_1, GNT_MQTT_FROM_CLIENT, 0xe0, BYTES(""), "DISCONNECT"},
    {GNT_MQTT_5, GNT_MQTT_FROM_CLIENT, 0xe0, BYTES("\4"),
     "DISCONNECT code=0x04 (disconnect with will message)"},
    {GNT_MQTT_5, GNT_MQTT_FROM_CLIENT, 0xf0, BYTES("\x18\x0a\x15\0\1m\x16\0\3pwd"),
     "AUTH code=0x18 (continue authentication) auth-method=\"m\" auth-data=(3 bytes)"},
};

static void decode(size_t row, struct gnt_mqtt_packet *out)
{
    static uint8_t bytes[128];
    const struct gnt_slice body = rows[row].body;
    bytes[0] = rows[row].first;
    bytes[1] = (uint8_t)body.size; /* under 128, so one byte says it */
    memcpy(bytes + 2, body.data, body.size);
    struct gnt_mqtt_frame frame;
    uint8_t reason;
    assert_int_equal(gnt_mqtt_frame(gnt_slice(bytes, 2 + body.size), 1000, &frame), GNT_OK);
    assert_int_equal(gnt_mqtt_decode(&frame, rows[row].version, rows[row].sender, out, &reason),
                     GNT_OK);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_mqtt_packet packet;
        struct gnt_buf out = {0};
        decode(i, &packet);
        assert_int_equal(gnt_mqtt_print(&out, 1000, &packet, rows[i].version), GNT_OK);
        assert_int_equal(gnt_buf_put(&out, gnt_slice("", 1)), GNT_OK);
        assert_string_equal((const char *)gnt_buf_slice(&out).data, rows[i].text);
        gnt_buf_fini(&out);
    }
}

/* Whatever the bound, it is kept, and what was there before stays. */
static void test_bounds(void **state)
{
    (void)state;
    struct gnt_mqtt_packet packet;
    decode(0, &packet);
    for (size_t max = 0; max < 200; max++) {
        struct gnt_buf out = {0};
        assert_int_equal(gnt_buf_put(&out, LITERAL("> ")), GNT_OK);
        assert_int_equal(gnt_mqtt_print(&out, max, &packet, GNT_MQTT_5), GNT_OK);
        const size_t whole = strlen(rows[0].text), shown = whole < max ? whole : max;
        assert_int_equal(gnt_buf_size(&out), 2 + shown);
        if (max >= 3 && max < whole)
            assert_memory_equal(gnt_buf_slice(&out).data + 2 + max - 3, "...", 3);
        gnt_buf_fini(&out);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    struct gnt_mqtt_packet packet;
    decode(0, &packet);
    gnt_err err = GNT_NOMEM;
    for (long n = 0; err; n++) {
        struct gnt_buf out = {0};
        gnt_alloc_fail_at(n);
        err = gnt_mqtt_print(&out, 1000, &packet, GNT_MQTT_5);
        assert_int_equal(gnt_buf_size(&out), err ? 0 : strlen(rows[0].text));
        gnt_buf_fini(&out);
    }
    gnt_alloc_fail_at(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_bounds),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
