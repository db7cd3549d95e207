#include "support/unit.h"

#include "support/mqtt_packet.h"

/* Compares what was written, in a block of exactly the announced size, with NOTATION; frees it. */
static void check(uint8_t *written, size_t size, const uint8_t *end, const char *notation)
{
    struct gnt_slice wanted = gnt_test_bytes(notation);
    if (size != wanted.size || end != written + size || memcmp(written, wanted.data, size) != 0)
        fail_msg("not %s", notation);
    gnt_test_free(wanted);
    free(written);
}

static uint8_t *room(size_t size)
{
    assert_true(size > 0);
    return malloc(size);
}

static void test_connect(void **state)
{
    (void)state;
    const struct gnt_mqtt_prop expiry = {.row = GNT_PROP_SESSION_EXPIRY, .number = 1};
    const struct gnt_mqtt_prop delay = {.row = GNT_PROP_WILL_DELAY, .number = 2};
    const struct gnt_mqtt_proplist props = {&expiry, 1, {NULL, 0}}, will = {&delay, 1, {NULL, 0}};
    struct gnt_mqtt_connect c = {.version = GNT_MQTT_5,
                                 .clean_start = true,
                                 .has_will = true,
                                 .has_username = true,
                                 .has_password = true,
                                 .keep_alive_s = 60,
                                 .client_id = LITERAL("c"),
                                 .username = LITERAL("u"),
                                 .password = LITERAL("\0p"),
                                 .will = {.qos = 2, .retain = true, .topic = LITERAL("w")}};
    static const struct {
        uint8_t version;
        const char *bytes;
    } rows[] = {
        {GNT_MQTT_5, "10 | ['MQTT'] 05 f6 003c (11 00000001) ['c'] (18 00000002) ['w'] [] ['u']"
                     " [00 'p']"},
        {GNT_MQTT_3_1_1, "10 | ['MQTT'] 04 f6 003c ['c'] ['w'] [] ['u'] [00 'p']"},
        {GNT_MQTT_3_1, "10 | ['MQIsdp'] 03 f6 003c ['c'] ['w'] [] ['u'] [00 'p']"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        c.version = rows[i].version;
        size_t size = gnt_mqtt_connect_size(&c, &props, &will);
        uint8_t *out = room(size);
        check(out, size, gnt_mqtt_connect_write(out, &c, &props, &will), rows[i].bytes);
    }
    /* What is not announced is not written, whatever the struct holds. */
    c.version = GNT_MQTT_5;
    c.has_will = c.has_username = c.has_password = c.clean_start = false;
    size_t size = gnt_mqtt_connect_size(&c, NULL, NULL);
    uint8_t *out = room(size);
    check(out, size, gnt_mqtt_connect_write(out, &c, NULL, NULL),
          "10 | ['MQTT'] 05 00 003c () ['c']");
}

static void test_connack(void **state)
{
    (void)state;
    const struct gnt_mqtt_connack c = {true, 0};
    static const char *const bytes[] = {[GNT_MQTT_3_1] = "20 | 00 00",
                                        [GNT_MQTT_3_1_1] = "20 | 01 00",
                                        [GNT_MQTT_5] = "20 | 01 00 ()"};
    for (int version = GNT_MQTT_3_1; version <= GNT_MQTT_5; version++) {
        const enum gnt_mqtt_version v = (enum gnt_mqtt_version)version;
        size_t size = gnt_mqtt_connack_size(&c, v, NULL);
        uint8_t *out = room(size);
        check(out, size, gnt_mqtt_connack_write(out, &c, v, NULL), bytes[version]);
    }
}

static void test_publish(void **state)
{
    (void)state;
    const struct gnt_mqtt_prop alias = {.row = GNT_PROP_TOPIC_ALIAS, .number = 3};
    const struct gnt_mqtt_proplist props = {&alias, 1, {NULL, 0}};
    static const struct {
        struct gnt_mqtt_publish p;
        enum gnt_mqtt_version version;
        bool with_props;
        const char *head; /* the remaining length counts a payload of two bytes */
    } rows[] = {
        {{.topic = {(const uint8_t *)"a", 1}}, GNT_MQTT_3_1_1, false, "30 05 ['a']"},
        {{.topic = {(const uint8_t *)"a", 1}}, GNT_MQTT_3_1_1, true, "30 05 ['a']"},
        {{.topic = {(const uint8_t *)"a", 1}}, GNT_MQTT_5, false, "30 06 ['a'] ()"},
        {{.topic = {(const uint8_t *)"a", 1}, .id = 9, .dup = true, .retain = true},
         GNT_MQTT_5,
         false,
         "31 06 ['a'] ()"}, /* neither id nor DUP at QoS 0 */
        {{.topic = {(const uint8_t *)"a", 1}, .qos = 1, .id = 9, .dup = true},
         GNT_MQTT_3_1,
         false,
         "3a 07 ['a'] 0009"},
        {{.qos = 2, .id = 0xfffe, .retain = true}, GNT_MQTT_5, true, "35 0a [] fffe (23 0003)"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_mqtt_publish p = rows[i].p;
        p.payload = gnt_slice("xy", 2);
        const struct gnt_mqtt_proplist *with = rows[i].with_props ? &props : NULL;
        size_t total, size = gnt_mqtt_publish_head_size(&p, rows[i].version, with, &total);
        assert_int_equal(total, size + 2);
        assert_int_equal(gnt_mqtt_publish_head_size(&p, rows[i].version, with, NULL), size);
        uint8_t *out = room(size);
        check(out, size, gnt_mqtt_publish_head_write(out, &p, rows[i].version, with), rows[i].head);
    }
}

static void test_acks(void **state)
{
    (void)state;
    const struct gnt_mqtt_prop why = {.row = GNT_PROP_REASON_STRING, .text = LITERAL("x")};
    const struct gnt_mqtt_proplist props = {&why, 1, {NULL, 0}}, empty = {NULL, 0, {NULL, 0}};
    const struct {
        enum gnt_mqtt_type type;
        uint8_t code;
        enum gnt_mqtt_version version;
        const struct gnt_mqtt_proplist *props;
        const char *bytes;
    } rows[] = {
        {GNT_MQTT_PUBACK, 0, GNT_MQTT_3_1_1, NULL, "40 02 0102"},
        {GNT_MQTT_PUBREC, 0x87, GNT_MQTT_3_1, &props, "50 02 0102"},
        {GNT_MQTT_PUBREL, 0, GNT_MQTT_3_1, NULL, "62 02 0102"},
        {GNT_MQTT_PUBREL, 0, GNT_MQTT_5, &empty, "62 02 0102"},
        {GNT_MQTT_PUBCOMP, 0x92, GNT_MQTT_5, NULL, "70 03 0102 92"},
        {GNT_MQTT_PUBACK, 0x10, GNT_MQTT_5, &empty, "40 03 0102 10"},
        {GNT_MQTT_PUBACK, 0, GNT_MQTT_5, &props, "40 | 0102 00 (1f['x'])"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct gnt_mqtt_ack ack = {0x0102, rows[i].code};
        size_t size = gnt_mqtt_ack_size(rows[i].type, &ack, rows[i].version, rows[i].props);
        uint8_t *out = room(size);
        check(out, size,
              gnt_mqtt_ack_write(out, rows[i].type, &ack, rows[i].version, rows[i].props),
              rows[i].bytes);
    }
}

static void test_subscribe(void **state)
{
    (void)state;
    const struct gnt_mqtt_subscription list[] = {
        {.filter = LITERAL("a"),
         .qos = 1,
         .no_local = true,
         .retain_as_published = true,
         .retain_handling = 2},
        {.filter = LITERAL("b/#"), .retain_handling = 1},
    };
    size_t size = gnt_mqtt_subscribe_size(7, list, 2, GNT_MQTT_5, NULL);
    uint8_t *out = room(size);
    check(out, size, gnt_mqtt_subscribe_write(out, 7, list, 2, GNT_MQTT_5, NULL),
          "82 | 0007 () ['a'] 2d ['b/#'] 10");
    size = gnt_mqtt_subscribe_size(7, list, 2, GNT_MQTT_3_1, NULL);
    out = room(size);
    check(out, size, gnt_mqtt_subscribe_write(out, 7, list, 2, GNT_MQTT_3_1, NULL),
          "82 | 0007 ['a'] 01 ['b/#'] 00");
}

static void test_unsubscribe_and_codes(void **state)
{
    (void)state;
    const struct gnt_slice filters[] = {LITERAL("a"), LITERAL("b")};
    size_t size = gnt_mqtt_unsubscribe_size(7, filters, 2, GNT_MQTT_5, NULL);
    uint8_t *out = room(size);
    check(out, size, gnt_mqtt_unsubscribe_write(out, 7, filters, 2, GNT_MQTT_5, NULL),
          "a2 | 0007 () ['a'] ['b']");

    const struct gnt_mqtt_codes codes = {7, LITERAL("\x01\x80")};
    static const struct {
        enum gnt_mqtt_type type;
        enum gnt_mqtt_version version;
        const char *bytes;
    } rows[] = {
        {GNT_MQTT_SUBACK, GNT_MQTT_3_1_1, "90 | 0007 01 80"},
        {GNT_MQTT_SUBACK, GNT_MQTT_5, "90 | 0007 () 01 80"},
        {GNT_MQTT_UNSUBACK, GNT_MQTT_5, "b0 | 0007 () 01 80"},
        {GNT_MQTT_UNSUBACK, GNT_MQTT_3_1, "b0 | 0007"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size = gnt_mqtt_codes_size(rows[i].type, &codes, rows[i].version, NULL);
        out = room(size);
        check(out, size, gnt_mqtt_codes_write(out, rows[i].type, &codes, rows[i].version, NULL),
              rows[i].bytes);
    }
}

static void test_close_and_ping(void **state)
{
    (void)state;
    const struct gnt_mqtt_prop method = {.row = GNT_PROP_AUTH_METHOD, .text = LITERAL("m")};
    const struct gnt_mqtt_proplist props = {&method, 1, {NULL, 0}}, empty = {NULL, 0, {NULL, 0}};
    const struct {
        enum gnt_mqtt_type type;
        uint8_t code;
        enum gnt_mqtt_version version;
        const struct gnt_mqtt_proplist *props;
        const char *bytes;
    } rows[] = {
        {GNT_MQTT_DISCONNECT, 0, GNT_MQTT_3_1, NULL, "e0 00"},
        {GNT_MQTT_DISCONNECT, 0x8e, GNT_MQTT_3_1_1, &props, "e0 00"},
        {GNT_MQTT_DISCONNECT, 0, GNT_MQTT_5, &empty, "e0 00"},
        {GNT_MQTT_DISCONNECT, 0x8e, GNT_MQTT_5, &empty, "e0 01 8e"},
        {GNT_MQTT_AUTH, 0, GNT_MQTT_5, NULL, "f0 00"},
        {GNT_MQTT_AUTH, 0x18, GNT_MQTT_5, NULL, "f0 02 18 00"},
        {GNT_MQTT_AUTH, 0x18, GNT_MQTT_5, &empty, "f0 02 18 00"},
        {GNT_MQTT_AUTH, 0x19, GNT_MQTT_5, &props, "f0 | 19 (15['m'])"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct gnt_mqtt_close c = {rows[i].code};
        size_t size = gnt_mqtt_close_size(rows[i].type, &c, rows[i].version, rows[i].props);
        uint8_t *out = room(size);
        check(out, size,
              gnt_mqtt_close_write(out, rows[i].type, &c, rows[i].version, rows[i].props),
              rows[i].bytes);
    }
    uint8_t *out = room(GNT_MQTT_PING_SIZE);
    check(out, GNT_MQTT_PING_SIZE, gnt_mqtt_ping_write(out, GNT_MQTT_PINGREQ), "c0 00");
    out = room(GNT_MQTT_PING_SIZE);
    check(out, GNT_MQTT_PING_SIZE, gnt_mqtt_ping_write(out, GNT_MQTT_PINGRESP), "d0 00");
}

/* Sizes only: the bytes behind these slices are never read. */
static size_t publish_size(size_t topic, size_t payload, uint8_t qos, enum gnt_mqtt_version version)
{
    const struct gnt_mqtt_publish p = {.qos = qos,
                                       .topic = gnt_slice("", topic),
                                       .payload = gnt_slice("", payload)};
    size_t total;
    size_t head = gnt_mqtt_publish_head_size(&p, version, NULL, &total);
    assert_int_equal(head, total ? total - payload : 0);
    return total;
}

static void test_remaining_length(void **state)
{
    (void)state;
    static const struct {
        size_t remaining, header;
    } rows[] = {{127, 2},     {128, 3},     {16383, 3},    {16384, 4},
                {2097151, 4}, {2097152, 5}, {268435455, 5}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(publish_size(8, rows[i].remaining - 10, 0, GNT_MQTT_3_1_1),
                         rows[i].remaining + rows[i].header);
    assert_int_equal(publish_size(8, 268435456 - 10, 0, GNT_MQTT_3_1_1), 0);
    assert_int_equal(publish_size(8, 268435455 - 10, 0, GNT_MQTT_5), 0); /* the property length */
    assert_int_equal(publish_size(8, 268435455 - 10, 1, GNT_MQTT_3_1_1), 0); /* the id */
    assert_int_equal(publish_size(8, SIZE_MAX, 0, GNT_MQTT_3_1_1), 0);
}

static void test_publish_that_cannot_be_written(void **state)
{
    (void)state;
    assert_int_equal(publish_size(65535, 0, 0, GNT_MQTT_3_1_1), 65537 + 4);
    assert_int_equal(publish_size(65536, 0, 0, GNT_MQTT_3_1_1), 0);
    assert_int_equal(publish_size(1, 0, 2, GNT_MQTT_5), 8);
    assert_int_equal(publish_size(1, 0, 3, GNT_MQTT_5), 0);
    const struct gnt_mqtt_prop bad = {.row = GNT_PROP_TOPIC_ALIAS, .number = 0};
    const struct gnt_mqtt_proplist props = {&bad, 1, {NULL, 0}};
    const struct gnt_mqtt_publish p = {.topic = LITERAL("a")};
    assert_int_equal(gnt_mqtt_publish_head_size(&p, GNT_MQTT_5, &props, NULL), 0);
    assert_int_equal(gnt_mqtt_publish_head_size(&p, GNT_MQTT_3_1, &props, NULL), 5);
}

static void test_connect_that_cannot_be_written(void **state)
{
    (void)state;
    const struct gnt_slice too_long = gnt_slice("", 65536);
    const struct gnt_mqtt_connect good = {
        .version = GNT_MQTT_3_1_1, .has_will = true, .has_username = true, .has_password = true};
    assert_int_equal(gnt_mqtt_connect_size(&good, NULL, NULL), 2 + 10 + 5 * 2);
    struct gnt_mqtt_connect bad[6] = {good, good, good, good, good, good};
    bad[0].client_id = too_long;
    bad[1].username = too_long;
    bad[2].password = too_long;
    bad[3].will.topic = too_long;
    bad[4].will.payload = too_long;
    bad[5].will.qos = 3;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(gnt_mqtt_connect_size(&bad[i], NULL, NULL), 0);

    struct gnt_mqtt_connect only_password = {.version = GNT_MQTT_5, .has_password = true};
    assert_int_equal(gnt_mqtt_connect_size(&only_password, NULL, NULL), 2 + 10 + 1 + 2 * 2);
    only_password.version = GNT_MQTT_3_1_1; /* [MQTT-3.1.2-22] */
    assert_int_equal(gnt_mqtt_connect_size(&only_password, NULL, NULL), 0);
}

static void test_others_that_cannot_be_written(void **state)
{
    (void)state;
    const struct gnt_slice too_long = gnt_slice("", 65536);
    struct gnt_mqtt_subscription s = {.filter = LITERAL("a")};
    assert_int_equal(gnt_mqtt_subscribe_size(1, &s, 1, GNT_MQTT_5, NULL), 9);
    assert_int_equal(gnt_mqtt_subscribe_size(1, &s, 0, GNT_MQTT_5, NULL), 0);
    s.qos = 3;
    assert_int_equal(gnt_mqtt_subscribe_size(1, &s, 1, GNT_MQTT_5, NULL), 0);
    s = (struct gnt_mqtt_subscription){.filter = LITERAL("a"), .retain_handling = 3};
    assert_int_equal(gnt_mqtt_subscribe_size(1, &s, 1, GNT_MQTT_5, NULL), 0);
    s = (struct gnt_mqtt_subscription){.filter = too_long};
    assert_int_equal(gnt_mqtt_subscribe_size(1, &s, 1, GNT_MQTT_5, NULL), 0);
    assert_int_equal(gnt_mqtt_unsubscribe_size(1, &too_long, 1, GNT_MQTT_5, NULL), 0);
    assert_int_equal(gnt_mqtt_unsubscribe_size(1, NULL, 0, GNT_MQTT_5, NULL), 0);

    const struct gnt_mqtt_close bye = {0};
    assert_int_equal(gnt_mqtt_close_size(GNT_MQTT_AUTH, &bye, GNT_MQTT_3_1_1, NULL), 0);
    const struct gnt_mqtt_codes codes = {1, gnt_slice("", 268435455)};
    assert_int_equal(gnt_mqtt_codes_size(GNT_MQTT_SUBACK, &codes, GNT_MQTT_3_1_1, NULL), 0);
    const struct gnt_mqtt_prop bad = {.row = GNT_PROP_REASON_STRING, .text = too_long};
    const struct gnt_mqtt_proplist props = {&bad, 1, {NULL, 0}};
    const struct gnt_mqtt_ack ack = {1, 0};
    const struct gnt_mqtt_connack connack = {false, 0};
    assert_int_equal(gnt_mqtt_ack_size(GNT_MQTT_PUBACK, &ack, GNT_MQTT_5, &props), 0);
    assert_int_equal(gnt_mqtt_connack_size(&connack, GNT_MQTT_5, &props), 0);
    assert_int_equal(gnt_mqtt_close_size(GNT_MQTT_DISCONNECT, &bye, GNT_MQTT_5, &props), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_connack),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_acks),
        cmocka_unit_test(test_subscribe),
        cmocka_unit_test(test_unsubscribe_and_codes),
        cmocka_unit_test(test_close_and_ping),
        cmocka_unit_test(test_remaining_length),
        cmocka_unit_test(test_publish_that_cannot_be_written),
        cmocka_unit_test(test_connect_that_cannot_be_written),
        cmocka_unit_test(test_others_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
