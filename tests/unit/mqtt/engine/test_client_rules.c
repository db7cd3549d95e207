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

static void connect_with(struct script *s, const struct gnt_mqtt_prop *connack, size_t count)
{
    assert_int_equal(gnt_client_connect(s->c, s->now), GNT_OK);
    serve_connack_with(s, false, 0, connack, count);
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
        const struct gnt_mqtt_prop connack[] = {most, method};
        connect_with(&s, connack, 2);
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
    connect_with(&s, &most, 1);
    assert_int_equal(gnt_client_auth(s.c, 0x19, &with_method), GNT_INVALID);
    expect_output(&s, "");
    script_free(&s);
}

/* ---- Enhanced authentication [MQTT5 4.12] */

static const struct gnt_mqtt_prop right[] = {
    {.row = GNT_PROP_AUTH_METHOD, .text = {(const uint8_t *)"m", 1}},
    {.row = GNT_PROP_AUTH_DATA, .text = {(const uint8_t *)"data", 4}}};
static const struct gnt_mqtt_prop other = {.row = GNT_PROP_AUTH_METHOD,
                                           .text = {(const uint8_t *)"n", 1}};
static const struct gnt_mqtt_proplist right_list = {.list = right, .count = 2};
static const struct gnt_mqtt_proplist other_list = {.list = &other, .count = 1};

static void auth_begin(struct script *s)
{
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    const struct gnt_mqtt_proplist method = {.list = right, .count = 1};
    o.props = &method;
    script_new(s, &o);
    assert_int_equal(gnt_client_connect(s->c, s->now), GNT_OK);
    output_text(s);
}

static void auth_up(struct script *s)
{
    auth_begin(s);
    serve_connack_with(s, false, 0, right, 2);
    expect_events(s, "connected new");
}

/* [MQTT-4.12.0-5], [MQTT-4.12.0-6] */
static void the_server_keeps_to_the_method(void **state)
{
    (void)state;
    struct script s;
    auth_begin(&s);
    serve_close(&s, GNT_MQTT_AUTH, 0x18, &other, 1);
    expect_events(&s, "closed PROTOCOL !82");
    script_free(&s);
    auth_begin(&s);
    serve_connack_with(&s, false, 0, &other, 1);
    expect_events(&s, "closed PROTOCOL !82");
    script_free(&s);
    auth_begin(&s);
    serve_connack(&s, false, 0);
    expect_events(&s, "closed PROTOCOL !82");
    script_free(&s);
    auth_begin(&s); /* but a refusal need not name it */
    serve_connack(&s, false, 0x8c);
    expect_events(&s, "closed REFUSED !8c");
    script_free(&s);
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    script_new(&s, &o);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    serve_connack_with(&s, false, 0, right, 1);
    expect_events(&s, "closed PROTOCOL !82");
    script_free(&s);
}

/* Before the CONNACK the server asks and the client goes on. */
static void auth_before_connack(void **state)
{
    (void)state;
    struct script s;
    auth_begin(&s);
    assert_int_equal(gnt_client_auth(s.c, 0x19, &right_list), GNT_STATE);
    assert_int_equal(gnt_client_auth(s.c, 0x18, &other_list), GNT_INVALID);
    assert_int_equal(gnt_client_auth(s.c, 0x18, NULL), GNT_INVALID);
    expect_output(&s, "");
    serve_close(&s, GNT_MQTT_AUTH, 0x18, right, 2);
    expect_events(&s, "auth !18");
    assert_int_equal(gnt_client_auth(s.c, 0x18, &right_list), GNT_OK);
    expect_output(&s, "AUTH !18");
    serve_close(&s, GNT_MQTT_AUTH, 0x00, right, 1); /* which is the CONNACK's to say */
    expect_events(&s, "closed PROTOCOL !82");
    script_free(&s);
}

/* [MQTT-4.12.1-1] */
static void auth_again(void **state)
{
    (void)state;
    struct script s;
    auth_up(&s);
    assert_int_equal(gnt_client_auth(s.c, 0x18, &right_list), GNT_STATE);
    assert_int_equal(gnt_client_auth(s.c, 0x19, &other_list), GNT_INVALID);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(gnt_client_auth(s.c, 0x19, &right_list), GNT_OK);
        assert_int_equal(gnt_client_auth(s.c, 0x19, &right_list), GNT_STATE);
        expect_output(&s, "AUTH !19");
        serve_close(&s, GNT_MQTT_AUTH, 0x18, right, 2);
        expect_events(&s, "auth !18");
        assert_int_equal(gnt_client_auth(s.c, 0x18, &right_list), GNT_OK);
        expect_output(&s, "AUTH !18");
        serve_close(&s, GNT_MQTT_AUTH, 0x00, right, i); /* it may say nothing else at all */
        expect_events(&s, "auth");
    }
    serve_close(&s, GNT_MQTT_AUTH, 0x18, right, 2); /* nobody has asked */
    expect_events(&s, "closed PROTOCOL !82");
    script_free(&s);
}

/* [MQTT-4.12.1-2] */
static void who_does_not_believe_the_server_leaves(void **state)
{
    (void)state;
    struct script s;
    auth_up(&s);
    gnt_client_reject(s.c, GNT_DENIED, 0x80);
    expect_output(&s, "DISCONNECT !80");
    expect_events(&s, "closed DENIED !80");
    gnt_client_reject(s.c, GNT_DENIED, 0x80); /* there is nothing any more */
    expect_events(&s, "");
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    output_text(&s);
    gnt_client_reject(s.c, GNT_DENIED, 0x80);
    expect_output(&s, ""); /* before the CONNACK there are no words for it */
    expect_events(&s, "closed DENIED !80");
    script_free(&s);
}

static void each_connect_has_its_own_data(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    const struct gnt_mqtt_proplist method = {.list = right, .count = 1};
    for (int named = 0; named < 3; named++) {
        o.props = named == 0 ? NULL : named == 1 ? &method : &right_list;
        script_new(&s, &o);
        gnt_err err = gnt_client_connect_with(s.c, gnt_slice_str("first"), s.now);
        assert_int_equal(err, named == 1 ? GNT_OK : GNT_INVALID);
        if (named == 1) {
            take_output(&s);
            struct gnt_mqtt_packet p;
            size_t size;
            assert_true(next_output(&s, &p, &size));
            assert_true(gnt_slice_eq_str(gnt_mqtt_text(&p.props, GNT_PROP_AUTH_DATA), "first"));
            assert_true(gnt_slice_eq_str(gnt_mqtt_text(&p.props, GNT_PROP_AUTH_METHOD), "m"));
            gnt_buf_clear(&s.said);
        }
        script_free(&s);
    }
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
    connect_with(&s, &one, 1);
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
        cmocka_unit_test(the_server_keeps_to_the_method),
        cmocka_unit_test(auth_before_connack),
        cmocka_unit_test(auth_again),
        cmocka_unit_test(who_does_not_believe_the_server_leaves),
        cmocka_unit_test(each_connect_has_its_own_data),
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
