/* Single statements of the standard about a client that no other test of the engine shows. */
#include "unit/mqtt/engine/client_script.h"

#define NUMBER(name, value) ((struct gnt_mqtt_prop){.row = GNT_PROP_##name, .number = (value)})

static uint64_t next_ack(struct script *s)
{
    struct gnt_client_event e;
    assert_true(gnt_client_event(s->c, s->now, &e));
    assert_int_equal(e.type, GNT_CLIENT_MESSAGE);
    return e.ack;
}

static void connect_with(struct script *s, const struct gnt_mqtt_prop *connack)
{
    assert_int_equal(gnt_client_connect(s->c, s->now), GNT_OK);
    serve_connack_with(s, false, 0, connack, 1);
    expect_events(s, "connected new");
    output_text(s);
}

/* [MQTT-3.14.2-3, MQTT-3.14.2-4, MQTT-3.15.2-2, MQTT-3.15.2-3] */
static void properties_do_not_make_a_packet_too_large(void **state)
{
    (void)state;
    static const struct gnt_mqtt_prop texts[] = {
        {.row = GNT_PROP_REASON_STRING, .text = {(const uint8_t *)"why it ends", 11}},
        {.row = GNT_PROP_USER_PROPERTY,
         .text = {(const uint8_t *)"why", 3},
         .value = {(const uint8_t *)"it ends", 7}},
    };
    const struct gnt_mqtt_prop most = NUMBER(MAXIMUM_PACKET_SIZE, 16);
    for (size_t i = 0; i < 2; i++) {
        struct script s;
        struct gnt_client_options o = script_options(GNT_MQTT_5);
        const struct gnt_mqtt_prop method = {.row = GNT_PROP_AUTH_METHOD,
                                             .text = gnt_slice_str("m")};
        const struct gnt_mqtt_prop with_method[] = {method, texts[i]};
        const struct gnt_mqtt_proplist one = {.list = &texts[i], .count = 1};
        const struct gnt_mqtt_proplist two = {.list = with_method, .count = 2};
        const struct gnt_mqtt_proplist in_connect = {.list = &method, .count = 1};
        o.props = &in_connect;
        script_new(&s, &o);
        connect_with(&s, &most);
        assert_int_equal(gnt_client_auth(s.c, 0x19, &two), GNT_TOOBIG);
        assert_int_equal(gnt_client_disconnect(s.c, 0, &one), GNT_TOOBIG);
        expect_output(&s, "");
        assert_int_equal(gnt_client_disconnect(s.c, 0, NULL), GNT_OK);
        expect_output(&s, "DISCONNECT");
        script_free(&s);
    }
}

/* [MQTT-4.12.0-7] */
static void no_auth_without_a_method(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    const struct gnt_mqtt_prop method = {.row = GNT_PROP_AUTH_METHOD, .text = gnt_slice_str("m")};
    const struct gnt_mqtt_proplist with_method = {.list = &method, .count = 1};
    const struct gnt_mqtt_prop most = NUMBER(MAXIMUM_PACKET_SIZE, 100);
    script_new(&s, &o);
    connect_with(&s, &most);
    assert_int_equal(gnt_client_auth(s.c, 0x19, &with_method), GNT_INVALID);
    expect_output(&s, "");
    script_free(&s);
}

/* [MQTT-4.6.0-4] */
static void pubrels_follow_the_pubrecs(void **state)
{
    (void)state;
    for (int v = GNT_MQTT_3_1; v <= GNT_MQTT_5; v++) {
        struct script s;
        struct gnt_client_options o = script_options((enum gnt_mqtt_version)v);
        script_new(&s, &o);
        script_up(&s);
        for (int i = 0; i < 3; i++)
            publish(&s, 2, "t", "x");
        expect_events(&s, "");
        output_text(&s);
        serve_ack(&s, GNT_MQTT_PUBREC, 2, 0);
        serve_ack(&s, GNT_MQTT_PUBREC, 3, 0);
        serve_ack(&s, GNT_MQTT_PUBREC, 1, 0);
        expect_events(&s, "");
        expect_output(&s, "PUBREL #2|PUBREL #3|PUBREL #1");
        script_free(&s);
    }
}

/* [MQTT-4.3.3-9] */
static void a_refused_id_is_free_again(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    o.manual_ack = true;
    script_new(&s, &o);
    script_up(&s);
    serve_publish(&s, 2, 7, "t", "no");
    assert_int_equal(gnt_client_ack(s.c, next_ack(&s), 0x83), GNT_OK);
    expect_events(&s, "");
    expect_output(&s, "PUBREC #7 !83");
    serve_publish(&s, 2, 7, "t", "new");
    expect_events(&s, "message q2 t=new");
    script_free(&s);
}

/* [MQTT-4.3.3-7, MQTT-4.3.3-13] */
static void expiry_leaves_handshakes_alone(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    const struct gnt_mqtt_prop session = NUMBER(SESSION_EXPIRY, 3600);
    const struct gnt_mqtt_prop second = NUMBER(MESSAGE_EXPIRY, 1);
    const struct gnt_mqtt_proplist props = {.list = &session, .count = 1};
    const struct gnt_client_publish p = {
        .topic = gnt_slice_str("t"), .qos = 2, .props = &second, .prop_count = 1};
    o.props = &props;
    o.connect.keep_alive_s = 0;
    script_new(&s, &o);
    script_up(&s);
    assert_int_equal(gnt_client_publish(s.c, &p, NULL, s.now, NULL), GNT_OK);
    expect_events(&s, "");
    expect_output(&s, "PUBLISH q2 #1 t= expiry=1");
    const struct gnt_mqtt_publish theirs = {.qos = 2, .id = 9, .topic = gnt_slice_str("t")};
    serve_publish_with(&s, &theirs, &second, 1);
    expect_events(&s, "message q2 t=");
    expect_output(&s, "PUBREC #9");
    s.now += 5 * GNT_NS_PER_S;
    expect_events(&s, "");
    serve_ack(&s, GNT_MQTT_PUBREL, 9, 0);
    expect_events(&s, "");
    expect_output(&s, "PUBCOMP #9");
    script_lost(&s);
    script_connect(&s, true);
    expect_events(&s, "connected again");
    const char *again = output_text(&s);
    assert_memory_equal(again, "PUBLISH q2 #1 dup t=", 20);
    serve_ack(&s, GNT_MQTT_PUBREC, 1, 0);
    serve_ack(&s, GNT_MQTT_PUBCOMP, 1, 0);
    expect_events(&s, "done publish #1 ok");
    expect_output(&s, "PUBREL #1");
    script_free(&s);
}

/* [MQTT-3.3.4-8, MQTT-4.9.0-3] */
static void nothing_else_waits_for_the_quota(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    const struct gnt_mqtt_prop one = NUMBER(RECEIVE_MAXIMUM, 1);
    o.connect.keep_alive_s = 10;
    script_new(&s, &o);
    connect_with(&s, &one);
    publish(&s, 1, "t", "a");
    publish(&s, 1, "t", "b");
    subscribe(&s, "f", 1);
    expect_events(&s, "");
    expect_output(&s, "PUBLISH q1 #1 t=a|SUBSCRIBE #2 f:1");
    serve_publish(&s, 1, 9, "t", "x");
    expect_events(&s, "message q1 t=x");
    expect_output(&s, "PUBACK #9");
    s.now += 10 * GNT_NS_PER_S;
    expect_events(&s, "");
    expect_output(&s, "PINGREQ");
    script_free(&s);
}

/* [MQTT-1.5.4-3] */
static void a_byte_order_mark_stays(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    script_new(&s, &o);
    script_up(&s);
    serve_publish(&s, 0, 0, "\xef\xbb\xbft", "x");
    expect_events(&s, "message q0 \xef\xbb\xbft=x");
    publish(&s, 0, "\xef\xbb\xbft", "x");
    expect_events(&s, "done publish #1 ok");
    expect_output(&s, "PUBLISH q0 \xef\xbb\xbft=x");
    script_free(&s);
}

/* [MQTT-1.5.4-1, MQTT-1.5.4-2, MQTT-3.1.3-4, MQTT-3.1.3-11, MQTT-3.1.3-12] */
static void text_in_connect_is_utf8(void **state)
{
    (void)state;
    static const struct gnt_slice bad[] = {{(const uint8_t *)"\xff", 1},
                                           {(const uint8_t *)"a\0b", 3},
                                           {(const uint8_t *)"\xed\xa0\x80", 3}};
    for (int v = GNT_MQTT_3_1; v <= GNT_MQTT_5; v++)
        for (size_t i = 0; i < 3; i++) {
            struct gnt_client *c = NULL;
            struct gnt_client_options id = script_options((enum gnt_mqtt_version)v), user = id,
                                      will = id;
            id.connect.client_id = bad[i];
            user.connect.has_username = true;
            user.connect.username = bad[i];
            will.connect.has_will = true;
            will.connect.will.topic = bad[i];
            assert_int_equal(gnt_client_new(&id, &c), GNT_INVALID);
            assert_int_equal(gnt_client_new(&user, &c), GNT_INVALID);
            assert_int_equal(gnt_client_new(&will, &c), GNT_INVALID);
        }
}

/* [MQTT-1.5.4-1, MQTT-1.5.7-1, MQTT-3.3.2-13, MQTT-3.3.2-19, MQTT-3.8.3-1, MQTT-3.10.3-1] */
static void text_in_requests_is_utf8(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    const struct gnt_slice bad = gnt_slice("a\xff", 2), good = gnt_slice("a", 1);
    const struct gnt_mqtt_prop props[] = {
        {.row = GNT_PROP_RESPONSE_TOPIC, .text = bad},
        {.row = GNT_PROP_CONTENT_TYPE, .text = bad},
        {.row = GNT_PROP_USER_PROPERTY, .text = bad, .value = good},
        {.row = GNT_PROP_USER_PROPERTY, .text = good, .value = bad},
    };
    script_new(&s, &o);
    for (size_t i = 0; i < 4; i++) {
        const struct gnt_client_publish p = {.topic = gnt_slice_str("t"),
                                             .props = &props[i],
                                             .prop_count = 1};
        assert_int_equal(gnt_client_publish(s.c, &p, NULL, s.now, NULL), GNT_INVALID);
    }
    const struct gnt_mqtt_subscription sub = {.filter = bad};
    assert_int_equal(gnt_client_subscribe(s.c, &sub, 1, NULL, NULL, NULL), GNT_INVALID);
    assert_int_equal(gnt_client_unsubscribe(s.c, &bad, 1, NULL, NULL, NULL), GNT_INVALID);
    assert_int_equal(gnt_client_unsubscribe(s.c, &bad, 0, NULL, NULL, NULL), GNT_INVALID);
    script_free(&s);
}

/* [MQTT-2.1.3-1, MQTT-3.6.1-1, MQTT-3.14.1-1, MQTT-3.15.1-1] */
static void reserved_flags_end_it(void **state)
{
    (void)state;
    static const uint8_t first[] = {0x41, 0x52, 0x60, 0x63, 0x6a, 0x71, 0x92,
                                    0xb1, 0xd1, 0xe1, 0xe2, 0xf1, 0xf8};
    for (int v = GNT_MQTT_3_1_1; v <= GNT_MQTT_5; v++)
        for (size_t i = 0; i < sizeof first; i++) {
            struct script s;
            struct gnt_client_options o = script_options((enum gnt_mqtt_version)v);
            const uint8_t bytes[] = {first[i], 2, 0, 1};
            script_new(&s, &o);
            script_up(&s);
            serve(&s, bytes, sizeof bytes);
            expect_events(&s, "closed MALFORMED !81");
            script_free(&s);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_do_not_make_a_packet_too_large),
        cmocka_unit_test(no_auth_without_a_method),
        cmocka_unit_test(pubrels_follow_the_pubrecs),
        cmocka_unit_test(a_refused_id_is_free_again),
        cmocka_unit_test(expiry_leaves_handshakes_alone),
        cmocka_unit_test(nothing_else_waits_for_the_quota),
        cmocka_unit_test(a_byte_order_mark_stays),
        cmocka_unit_test(text_in_connect_is_utf8),
        cmocka_unit_test(text_in_requests_is_utf8),
        cmocka_unit_test(reserved_flags_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
