/* Connections of the client engine: how they begin, live and end. */
#include "unit/mqtt/engine/client_script.h"

#define NUMBER(name, value) ((struct gnt_mqtt_prop){.row = GNT_PROP_##name, .number = (value)})
#define TEXT(name, value) \
    ((struct gnt_mqtt_prop){.row = GNT_PROP_##name, .text = gnt_slice_str(value)})

static const enum gnt_mqtt_version versions[] = {GNT_MQTT_3_1, GNT_MQTT_3_1_1, GNT_MQTT_5};

static void connects_in_every_version(void **state)
{
    (void)state;
    static const char *const wanted[] = {"CONNECT v3 clean id=me", "CONNECT v4 clean id=me",
                                         "CONNECT v5 clean id=me"};
    for (int i = 0; i < 3; i++) {
        struct script s;
        struct gnt_client_options o = script_options(versions[i]);
        script_new(&s, &o);
        assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
        assert_int_equal(gnt_client_connect(s.c, s.now), GNT_STATE);
        expect_output(&s, wanted[i]);
        serve_connack(&s, false, 0);
        expect_events(&s, "connected new");
        struct gnt_client_status status;
        gnt_client_status(s.c, &status);
        assert_true(status.connected && !status.session_present);
        assert_true(gnt_slice_eq_str(status.client_id, "me"));
        assert_int_equal(gnt_client_disconnect(s.c, 0, NULL), GNT_OK);
        expect_events(&s, "closed ok");
        expect_output(&s, "DISCONNECT");
        assert_int_equal(gnt_client_disconnect(s.c, 0, NULL), GNT_STATE);
        script_free(&s);
    }
}

static void says_everything_in_connect(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    const struct gnt_mqtt_prop delay = NUMBER(WILL_DELAY, 7);
    const struct gnt_mqtt_proplist will_props = {.list = &delay, .count = 1};
    WITH_PROPS(o, NUMBER(SESSION_EXPIRY, 60), TEXT(AUTH_METHOD, "plain"));
    o.connect.has_will = true;
    o.connect.will.topic = gnt_slice_str("gone");
    o.connect.will.payload = gnt_slice_str("bye");
    o.connect.will.qos = 2;
    o.connect.will.retain = true;
    o.will_props = &will_props;
    o.connect.has_username = o.connect.has_password = true;
    o.connect.username = gnt_slice_str("user");
    o.connect.password = gnt_slice_str("secret");
    script_new(&s, &o);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    take_output(&s);
    struct gnt_mqtt_packet p;
    size_t size;
    assert_true(next_output(&s, &p, &size));
    assert_int_equal(gnt_mqtt_number(&p.props, GNT_PROP_SESSION_EXPIRY, 0), 60);
    assert_int_equal(gnt_mqtt_number(&p.connect.will.props, GNT_PROP_WILL_DELAY, 0), 7);
    assert_true(gnt_slice_eq_str(p.connect.will.payload, "bye"));
    assert_int_equal(p.connect.will.qos, 2);
    assert_true(p.connect.will.retain);
    assert_true(gnt_slice_eq_str(p.connect.username, "user"));
    assert_true(gnt_slice_eq_str(p.connect.password, "secret"));
    gnt_buf_clear(&s.said);
    /* Enhanced authentication, before the CONNACK. */
    const struct gnt_mqtt_prop method = TEXT(AUTH_METHOD, "plain");
    const struct gnt_mqtt_proplist answer = {.list = &method, .count = 1};
    serve_close(&s, GNT_MQTT_AUTH, 0x18, &method, 1);
    expect_events(&s, "auth !18");
    assert_int_equal(gnt_client_auth(s.c, 0x00, &answer), GNT_INVALID);
    assert_int_equal(gnt_client_auth(s.c, 0x18, &answer), GNT_OK);
    expect_output(&s, "AUTH !18");
    serve_connack_with(&s, false, 0, &method, 1);
    expect_events(&s, "connected new");
    script_free(&s);
}

static void refuses_options_that_cannot_be(void **state)
{
    (void)state;
    struct gnt_client *c = NULL;
    struct gnt_client_options o = script_options(GNT_MQTT_3_1);
    o.connect.client_id = gnt_slice(NULL, 0);
    assert_int_equal(gnt_client_new(&o, &c), GNT_INVALID);
    o.connect.version = GNT_MQTT_3_1_1;
    o.connect.clean_start = false;
    assert_int_equal(gnt_client_new(&o, &c), GNT_INVALID);
    o.connect.version = 6;
    assert_int_equal(gnt_client_new(&o, &c), GNT_INVALID);
    o = script_options(GNT_MQTT_5);
    o.connect.client_id = gnt_slice_str("\xff");
    assert_int_equal(gnt_client_new(&o, &c), GNT_INVALID);
    o = script_options(GNT_MQTT_5);
    o.connect.has_will = true;
    o.connect.will.topic = gnt_slice_str("a/#");
    assert_int_equal(gnt_client_new(&o, &c), GNT_INVALID);
    o = script_options(GNT_MQTT_3_1_1);
    o.connect.has_password = true;
    assert_int_equal(gnt_client_new(&o, &c), GNT_INVALID);
    o = script_options(GNT_MQTT_5);
    WITH_PROPS(o, NUMBER(TOPIC_ALIAS, 1));
    assert_int_equal(gnt_client_new(&o, &c), GNT_INVALID);
    o = script_options(GNT_MQTT_5);
    o.packet_max = 0;
    assert_int_equal(gnt_client_new(&o, &c), GNT_INVALID);
    assert_null(c);
}

static void refusals_have_one_vocabulary(void **state)
{
    (void)state;
    static const char *const wanted[] = {"closed REFUSED !84", "closed REFUSED !85",
                                         "closed REFUSED !88", "closed REFUSED !86",
                                         "closed REFUSED !87"};
    for (uint8_t code = 1; code <= 5; code++) {
        struct script s;
        struct gnt_client_options o = script_options(GNT_MQTT_3_1_1);
        script_new(&s, &o);
        assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
        serve_connack(&s, false, code);
        expect_events(&s, wanted[code - 1]);
        script_free(&s);
    }
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    script_new(&s, &o);
    const struct gnt_mqtt_prop why = TEXT(REASON_STRING, "not today");
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    serve_connack_with(&s, false, 0x87, &why, 1);
    struct gnt_client_event e;
    assert_true(gnt_client_event(s.c, s.now, &e));
    assert_int_equal(e.type, GNT_CLIENT_CLOSED);
    assert_int_equal(e.code, 0x87);
    assert_true(gnt_slice_eq_str(gnt_mqtt_text(e.props, GNT_PROP_REASON_STRING), "not today"));
    expect_events(&s, "");
    script_free(&s);
}

static void session_present_must_fit(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    script_new(&s, &o);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    serve_connack(&s, true, 0);
    expect_events(&s, "closed PROTOCOL !82");
    script_free(&s);
}

static void clean_start_is_for_the_first_connection(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    WITH_PROPS(o, NUMBER(SESSION_EXPIRY, 60));
    script_new(&s, &o);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    expect_output(&s, "CONNECT v5 clean id=me");
    script_lost(&s);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK); /* nothing came of the first */
    expect_output(&s, "CONNECT v5 clean id=me");
    serve_connack(&s, false, 0);
    expect_events(&s, "connected new");
    script_lost(&s);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    expect_output(&s, "CONNECT v5 go id=me");
    serve_connack(&s, true, 0);
    expect_events(&s, "connected again");
    script_free(&s);
}

static void assigned_id_and_keep_alive_are_kept(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    o.connect.client_id = gnt_slice(NULL, 0);
    script_new(&s, &o);
    const struct gnt_mqtt_prop props[] = {TEXT(ASSIGNED_CLIENT_ID, "auto-1"),
                                          NUMBER(SERVER_KEEP_ALIVE, 5)};
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    expect_output(&s, "CONNECT v5 clean id=");
    serve_connack_with(&s, false, 0, props, 2);
    expect_events(&s, "connected new");
    assert_int_equal(gnt_client_deadline(s.c), s.now + 5 * GNT_NS_PER_S);
    struct gnt_client_status status;
    gnt_client_status(s.c, &status);
    assert_true(gnt_slice_eq_str(status.client_id, "auto-1"));
    assert_int_equal(status.keep_alive_s, 5);
    script_lost(&s);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    expect_output(&s, "CONNECT v5 clean id=auto-1");
    script_free(&s);
}

static void pings_only_when_idle(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_3_1_1);
    o.connect.keep_alive_s = 10;
    o.ping_timeout_ms = 3000;
    script_new(&s, &o);
    script_up(&s);
    s.now += 9 * GNT_NS_PER_S;
    publish(&s, 0, "t", "x");
    expect_events(&s, "done publish #1 ok");
    expect_output(&s, "PUBLISH q0 t=x");
    s.now += 9 * GNT_NS_PER_S;
    expect_events(&s, "");
    expect_output(&s, "");
    s.now += GNT_NS_PER_S;
    assert_int_equal(gnt_client_deadline(s.c), s.now);
    expect_events(&s, "");
    expect_output(&s, "PINGREQ");
    s.now += 2 * GNT_NS_PER_S;
    serve_pong(&s);
    expect_events(&s, "");
    s.now += 8 * GNT_NS_PER_S;
    expect_events(&s, "");
    expect_output(&s, "PINGREQ");
    /* Half a packet shows that the server lives. */
    s.now += 2 * GNT_NS_PER_S;
    serve(&s, "\x30\x05", 2);
    s.now += 2 * GNT_NS_PER_S;
    expect_events(&s, "");
    s.now += GNT_NS_PER_S;
    expect_events(&s, "closed TIMEOUT");
    expect_output(&s, "");
    assert_int_equal(gnt_client_deadline(s.c), GNT_NEVER);
    script_free(&s);
}

static void waits_so_long_for_connack(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    o.connect_timeout_ms = 500;
    script_new(&s, &o);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    s.now += 499 * GNT_NS_PER_MS;
    expect_events(&s, "");
    assert_int_equal(gnt_client_deadline(s.c), s.now + GNT_NS_PER_MS);
    s.now += GNT_NS_PER_MS;
    expect_events(&s, "closed TIMEOUT");
    script_free(&s);
}

static void server_says_disconnect(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    script_new(&s, &o);
    script_up(&s);
    const struct gnt_mqtt_prop why = TEXT(SERVER_REFERENCE, "elsewhere");
    serve_close(&s, GNT_MQTT_DISCONNECT, 0x8e, &why, 1);
    struct gnt_client_event e;
    assert_true(gnt_client_event(s.c, s.now, &e));
    assert_int_equal(e.err, GNT_CLOSED);
    assert_int_equal(e.code, 0x8e);
    assert_true(gnt_slice_eq_str(gnt_mqtt_text(e.props, GNT_PROP_SERVER_REFERENCE), "elsewhere"));
    assert_int_equal(gnt_client_receive(s.c, gnt_slice("x", 1), s.now), GNT_STATE);
    script_free(&s);
}

static void leaves_with_its_will(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    const struct gnt_mqtt_prop expiry = NUMBER(SESSION_EXPIRY, 9), wrong = NUMBER(TOPIC_ALIAS, 1);
    struct gnt_mqtt_proplist props = {.list = &expiry, .count = 1};
    script_new(&s, &o);
    script_up(&s);
    assert_int_equal(gnt_client_disconnect(s.c, 0x8e, NULL), GNT_INVALID); /* a server's word */
    props.list = &wrong;
    assert_int_equal(gnt_client_disconnect(s.c, 0, &props), GNT_INVALID);
    expect_output(&s, "");
    props.list = &expiry;
    assert_int_equal(gnt_client_disconnect(s.c, 0x04, &props), GNT_OK);
    expect_events(&s, "closed ok !04");
    expect_output(&s, "DISCONNECT !04");
    script_free(&s);

    o = script_options(GNT_MQTT_3_1_1);
    script_new(&s, &o);
    script_up(&s);
    assert_int_equal(gnt_client_disconnect(s.c, 0x04, NULL), GNT_OK);
    expect_events(&s, "closed ok !04");
    expect_output(&s, ""); /* without a word */
    script_free(&s);
}

/* What a server must not send, and what the client says to it. */
static const struct hostile {
    enum gnt_mqtt_version version;
    const char *bytes;
    size_t size;
    const char *event, *output;
} hostile[] = {
#define BYTES(text) text, sizeof(text) - 1
    {GNT_MQTT_5, BYTES("\x00\x00"), "closed MALFORMED !81", "DISCONNECT !81"},
    {GNT_MQTT_5, BYTES("\x30\x80\x80\x80\x80\x01"), "closed MALFORMED !81", "DISCONNECT !81"},
    {GNT_MQTT_5, BYTES("\x30\xff\xff\xff\x7f"), "closed TOOBIG !95", "DISCONNECT !95"},
    {GNT_MQTT_3_1_1, BYTES("\x30\xff\xff\xff\x7f"), "closed TOOBIG !95", ""},
    {GNT_MQTT_5, BYTES("\x20\x03\x00\x00\x00"), "closed PROTOCOL !82", "DISCONNECT !82"},
    {GNT_MQTT_5, BYTES("\x10\x00"), "closed PROTOCOL !82", "DISCONNECT !82"},
    {GNT_MQTT_5, BYTES("\xc0\x00"), "closed PROTOCOL !82", "DISCONNECT !82"},
    {GNT_MQTT_5, BYTES("\x82\x06\x00\x01\x00\x00\x01#\x00"), "closed PROTOCOL !82",
     "DISCONNECT !82"},
    {GNT_MQTT_5, BYTES("\x30\x03\x00\x00\x00"), "closed PROTOCOL !82", "DISCONNECT !82"},
    {GNT_MQTT_5, BYTES("\x30\x04\x00\x01#\x00"), "closed PROTOCOL !90", "DISCONNECT !90"},
    {GNT_MQTT_5, BYTES("\x30\x05\x00\x02\xc3\x28\x00"), "closed MALFORMED !81", "DISCONNECT !81"},
    {GNT_MQTT_5, BYTES("\x36\x06\x00\x01t\x00\x01\x00"), "closed MALFORMED !81", "DISCONNECT !81"},
    {GNT_MQTT_5, BYTES("\x32\x06\x00\x01t\x00\x00\x00"), "closed PROTOCOL !82", "DISCONNECT !82"},
    {GNT_MQTT_5, BYTES("\x30\x07\x00\x01t\x03\x23\x00\x01"), "closed PROTOCOL !94",
     "DISCONNECT !94"},
    {GNT_MQTT_5, BYTES("\x30\x08\x00\x01t\x04\x08\x00\x01#"), "closed PROTOCOL !82",
     "DISCONNECT !82"},
    {GNT_MQTT_5, BYTES("\xf0\x00"), "closed PROTOCOL !82", "DISCONNECT !82"},
    {GNT_MQTT_3_1_1, BYTES("\xf0\x00"), "closed MALFORMED !81", ""},
    {GNT_MQTT_3_1_1, BYTES("\xe0\x00"), "closed PROTOCOL !82", ""},
#undef BYTES
};

static void hostile_packets_end_the_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        struct script s;
        struct gnt_client_options o = script_options(hostile[i].version);
        script_new(&s, &o);
        script_up(&s);
        for (size_t n = 0; n < hostile[i].size; n++) /* byte by byte: the same answer */
            if (gnt_client_receive(s.c, gnt_slice(hostile[i].bytes + n, 1), s.now) == GNT_OK)
                if (events_text(&s)[0])
                    break;
        assert_string_equal(s.text, hostile[i].event);
        expect_output(&s, hostile[i].output);
        script_free(&s);
    }
}

static void nothing_comes_before_connack(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    script_new(&s, &o);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    output_text(&s);
    serve_publish(&s, 0, 0, "t", "x");
    expect_events(&s, "closed PROTOCOL !82");
    expect_output(&s, ""); /* no DISCONNECT before CONNACK */
    script_free(&s);
}

static void large_packets_are_bounded(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    o.packet_max = 20;
    script_new(&s, &o);
    script_up(&s);
    serve_publish(&s, 0, 0, "t", "fourteen bytes");
    expect_events(&s, "message q0 t=fourteen bytes");
    serve_publish(&s, 0, 0, "t", "fifteen bytes..");
    expect_events(&s, "closed TOOBIG !95");
    script_free(&s);
}

/* The owner has to fetch events before it may go on feeding. */
static void input_is_bounded_by_fetching(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    o.packet_max = 20;
    script_new(&s, &o);
    script_up(&s);
    serve_publish(&s, 0, 0, "t", "fourteen bytes");
    assert_false(gnt_client_hungry(s.c));
    assert_int_equal(gnt_client_receive(s.c, gnt_slice("\xd0", 1), s.now), GNT_FULL);
    struct gnt_client_event e;
    assert_true(gnt_client_event(s.c, s.now, &e));
    assert_int_equal(gnt_client_receive(s.c, gnt_slice("\xd0", 1), s.now), GNT_FULL); /* lent */
    assert_false(gnt_client_event(s.c, s.now, &e));
    assert_int_equal(gnt_client_receive(s.c, gnt_slice("\xd0", 1), s.now), GNT_OK);
    script_free(&s);
}

/* A whole conversation, cut in two at every byte. */
static void cut_anywhere_it_is_the_same(void **state)
{
    (void)state;
    static const uint8_t talk[] = "\x20\x03\x00\x00\x00"                       /* CONNACK */
                                  "\x30\x05\x00\x01t\x00x"                     /* QoS 0 */
                                  "\x34\x08\x00\x01u\x00\x07\x00yz"            /* QoS 2 */
                                  "\x62\x02\x00\x07"                           /* PUBREL */
                                  "\x30\x0a\x00\x01t\x05\x26\x00\x00\x00\x00w" /* user property */
                                  "\xe0\x02\x8b\x00";                          /* DISCONNECT */
    const size_t size = sizeof talk - 1;
    for (size_t cut = 0; cut <= size; cut++) {
        struct script s;
        char all[512] = "";
        struct gnt_client_options o = script_options(GNT_MQTT_5);
        script_new(&s, &o);
        assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
        output_text(&s);
        serve(&s, talk, cut);
        strcat(all, events_text(&s));
        if (cut > 0 && cut < size) {
            serve(&s, talk + cut, size - cut);
            if (s.text[0])
                strcat(all, "|");
        } else if (cut == 0) {
            serve(&s, talk, size);
        }
        strcat(all, events_text(&s));
        assert_string_equal(all, "connected new|message q0 t=x|message q2 u=yz|message q0 t=w|"
                                 "closed CLOSED !8b");
        expect_output(&s, "PUBREC #7|PUBCOMP #7");
        script_free(&s);
    }
}

/* The output that the transport does not take holds the input up, and nothing grows. */
static void slow_writing_stops_reading(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_3_1_1);
    script_new(&s, &o);
    script_up(&s);
    static const uint8_t pubrel[] = "\x62\x02\x00\x01";
    struct gnt_client_event e;
    size_t fed = 0;
    while (gnt_client_hungry(s.c)) {
        serve(&s, pubrel, 4);
        fed++;
        assert_false(gnt_client_event(s.c, s.now, &e));
        assert_in_range(fed, 1, 1 << 17);
    }
    assert_int_equal(gnt_client_output(s.c).size, fed * 4);
    assert_int_equal(gnt_client_receive(s.c, gnt_slice(pubrel, 4), s.now), GNT_FULL);
    gnt_client_sent(s.c, fed * 4, s.now);
    assert_true(gnt_client_hungry(s.c));
    script_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects_in_every_version),
        cmocka_unit_test(says_everything_in_connect),
        cmocka_unit_test(refuses_options_that_cannot_be),
        cmocka_unit_test(refusals_have_one_vocabulary),
        cmocka_unit_test(session_present_must_fit),
        cmocka_unit_test(clean_start_is_for_the_first_connection),
        cmocka_unit_test(assigned_id_and_keep_alive_are_kept),
        cmocka_unit_test(pings_only_when_idle),
        cmocka_unit_test(waits_so_long_for_connack),
        cmocka_unit_test(server_says_disconnect),
        cmocka_unit_test(leaves_with_its_will),
        cmocka_unit_test(hostile_packets_end_the_connection),
        cmocka_unit_test(nothing_comes_before_connack),
        cmocka_unit_test(large_packets_are_bounded),
        cmocka_unit_test(input_is_bounded_by_fetching),
        cmocka_unit_test(cut_anywhere_it_is_the_same),
        cmocka_unit_test(slow_writing_stops_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
