/* Publishing and receiving by the client engine: acknowledgements, flow control, aliases, the
 * queue, and what survives the loss of a connection. */
#include "unit/mqtt/engine/client_script.h"

#define NUMBER(name, value) ((struct gnt_mqtt_prop){.row = GNT_PROP_##name, .number = (value)})

/* An engine whose session outlives its connections. */
static struct gnt_client_options lasting(enum gnt_mqtt_version version)
{
    static const struct gnt_mqtt_prop expiry = {.row = GNT_PROP_SESSION_EXPIRY, .number = 3600};
    static const struct gnt_mqtt_proplist props = {.list = &expiry, .count = 1};
    struct gnt_client_options o = script_options(version);
    o.connect.clean_start = version == GNT_MQTT_5;
    o.props = &props;
    return o;
}

static void back(struct script *s, bool present)
{
    script_connect(s, present);
    expect_events(s, present ? "connected again" : "connected new");
}

static void qos_flows(void **state)
{
    (void)state;
    for (int v = GNT_MQTT_3_1; v <= GNT_MQTT_5; v++) {
        struct script s;
        struct gnt_client_options o = script_options((enum gnt_mqtt_version)v);
        script_new(&s, &o);
        script_up(&s);
        publish(&s, 0, "t", "a");
        publish(&s, 1, "t", "b");
        publish(&s, 2, "t", "c");
        expect_events(&s, "done publish #1 ok");
        expect_output(&s, "PUBLISH q0 t=a|PUBLISH q1 #1 t=b|PUBLISH q2 #2 t=c");
        serve_ack(&s, GNT_MQTT_PUBREC, 2, 0);
        serve_ack(&s, GNT_MQTT_PUBREC, 2, 0); /* twice: answered twice */
        expect_events(&s, "");
        expect_output(&s, "PUBREL #2|PUBREL #2");
        serve_ack(&s, GNT_MQTT_PUBCOMP, 2, 0); /* before the older PUBACK */
        expect_events(&s, "done publish #3 ok");
        serve_ack(&s, GNT_MQTT_PUBACK, 1, 0);
        serve_ack(&s, GNT_MQTT_PUBACK, 1, 0); /* orphans are dropped */
        serve_ack(&s, GNT_MQTT_PUBCOMP, 2, 0);
        expect_events(&s, "done publish #2 ok");
        expect_output(&s, "");
        script_free(&s);
    }
}

static void receives_each_once(void **state)
{
    (void)state;
    for (int v = GNT_MQTT_3_1; v <= GNT_MQTT_5; v++) {
        struct script s;
        struct gnt_client_options o = lasting((enum gnt_mqtt_version)v);
        script_new(&s, &o);
        script_up(&s);
        serve_publish(&s, 0, 0, "t", "a");
        serve_publish(&s, 1, 9, "t", "b");
        serve_publish(&s, 2, 65535, "t", "");
        serve_publish(&s, 2, 65535, "t", ""); /* repeated on a live connection */
        expect_events(&s, "message q0 t=a|message q1 t=b|message q2 t=");
        expect_output(&s, "PUBACK #9|PUBREC #65535|PUBREC #65535");
        script_lost(&s);
        back(&s, v != GNT_MQTT_3_1);
        serve_publish(&s, 2, 65535, "t", "");
        serve_ack(&s, GNT_MQTT_PUBREL, 65535, 0);
        serve_ack(&s, GNT_MQTT_PUBREL, 65535, 0);
        expect_events(&s, "");
        expect_output(&s, v == GNT_MQTT_5 ? "PUBREC #65535|PUBCOMP #65535|PUBCOMP #65535 !92"
                                          : "PUBREC #65535|PUBCOMP #65535|PUBCOMP #65535");
        serve_publish(&s, 2, 65535, "t", "new"); /* the id is free again */
        expect_events(&s, "message q2 t=new");
        script_free(&s);
    }
}

/* The acknowledgement follows the owner's being done with the message, not its arrival. */
static void acknowledges_after_the_event(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_event e;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    script_new(&s, &o);
    script_up(&s);
    serve_publish(&s, 1, 9, "t", "b");
    assert_true(gnt_client_event(s.c, s.now, &e));
    expect_output(&s, "");
    assert_false(gnt_client_event(s.c, s.now, &e));
    expect_output(&s, "PUBACK #9");
    serve_publish(&s, 1, 10, "t", "b");
    assert_true(gnt_client_event(s.c, s.now, &e));
    gnt_client_lost(s.c, GNT_IO);
    expect_events(&s, "closed IO");
    expect_output(&s, "");
    script_free(&s);
}

static void refused_publishes_are_told(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    script_new(&s, &o);
    script_up(&s);
    publish(&s, 1, "t", "a");
    publish(&s, 2, "t", "b");
    publish(&s, 1, "t", "c");
    expect_events(&s, "");
    serve_ack(&s, GNT_MQTT_PUBACK, 1, 0x87);
    serve_ack(&s, GNT_MQTT_PUBREC, 2, 0x97);
    serve_ack(&s, GNT_MQTT_PUBACK, 3, 0x10); /* nobody subscribed: not a failure */
    expect_events(&s, "done publish #1 REFUSED !87|done publish #2 REFUSED !97|"
                      "done publish #3 ok !10");
    serve_ack(&s, GNT_MQTT_PUBREC, 77, 0); /* never heard of */
    expect_events(&s, "");
    expect_output(&s, "PUBLISH q1 #1 t=a|PUBLISH q2 #2 t=b|PUBLISH q1 #3 t=c|PUBREL #77 !92");
    script_free(&s);
}

static void wrong_acknowledgements_end_it(void **state)
{
    (void)state;
    static const struct {
        uint8_t qos;
        enum gnt_mqtt_type type;
    } rows[] = {
        {2, GNT_MQTT_PUBACK}, {1, GNT_MQTT_PUBREC}, {1, GNT_MQTT_PUBCOMP}, {2, GNT_MQTT_PUBCOMP}};
    for (size_t i = 0; i < 4; i++) {
        struct script s;
        struct gnt_client_options o = script_options(GNT_MQTT_5);
        script_new(&s, &o);
        script_up(&s);
        publish(&s, rows[i].qos, "t", "a");
        expect_events(&s, "");
        serve_ack(&s, rows[i].type, 1, 0);
        expect_events(&s, "closed PROTOCOL !82");
        script_free(&s);
    }
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    script_new(&s, &o);
    script_up(&s);
    subscribe(&s, "a", 1);
    expect_events(&s, "");
    serve_codes(&s, GNT_MQTT_SUBACK, 1, "\0\0", 2); /* two codes for one filter */
    expect_events(&s, "closed PROTOCOL !82");
    script_free(&s);
}

static void sends_again_in_order(void **state)
{
    (void)state;
    for (int v = GNT_MQTT_3_1; v <= GNT_MQTT_5; v++) {
        struct script s;
        struct gnt_client_options o = lasting((enum gnt_mqtt_version)v);
        script_new(&s, &o);
        script_up(&s);
        publish(&s, 1, "t", "a");
        publish(&s, 2, "t", "b");
        publish(&s, 1, "t", "c");
        expect_events(&s, "");
        serve_ack(&s, GNT_MQTT_PUBREC, 2, 0);
        expect_events(&s, "");
        script_lost(&s);
        publish(&s, 1, "t", "d"); /* while offline */
        back(&s, v != GNT_MQTT_3_1);
        expect_output(&s, "PUBLISH q1 #1 dup t=a|PUBREL #2|PUBLISH q1 #3 dup t=c|"
                          "PUBLISH q1 #4 t=d");
        serve_ack(&s, GNT_MQTT_PUBACK, 1, 0);
        script_lost(&s); /* with an acknowledgement unread: it is lost too */
        back(&s, v != GNT_MQTT_3_1);
        expect_output(&s, "PUBLISH q1 #1 dup t=a|PUBREL #2|PUBLISH q1 #3 dup t=c|"
                          "PUBLISH q1 #4 dup t=d");
        script_free(&s);
    }
}

static void session_lost_sends_as_new(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = lasting(GNT_MQTT_3_1_1);
    script_new(&s, &o);
    script_up(&s);
    publish(&s, 1, "t", "a");
    publish(&s, 2, "t", "b");
    publish(&s, 2, "t", "c");
    expect_events(&s, "");
    serve_ack(&s, GNT_MQTT_PUBREC, 2, 0);
    serve_publish(&s, 2, 5, "t", "theirs");
    expect_events(&s, "message q2 t=theirs");
    script_lost(&s);
    publish(&s, 1, "t", "d");
    script_connect(&s, false);
    expect_events(&s, "connected new|done publish #2 ok"); /* the server has had it */
    expect_output(&s, "PUBLISH q1 #4 t=a|PUBLISH q2 #5 t=c|PUBLISH q1 #6 t=d");
    serve_publish(&s, 2, 5, "t", "another"); /* a new session: a new message */
    expect_events(&s, "message q2 t=another");
    script_free(&s);

    o.drop_in_flight = true;
    script_new(&s, &o);
    script_up(&s);
    publish(&s, 1, "t", "a");
    expect_events(&s, "");
    script_lost(&s);
    publish(&s, 1, "t", "b");
    script_connect(&s, false);
    expect_events(&s, "connected new|done publish #1 CLOSED");
    expect_output(&s, "PUBLISH q1 #2 t=b");
    script_free(&s);
}

static void receive_maximum_stalls_and_resumes(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = lasting(GNT_MQTT_5);
    const struct gnt_mqtt_prop two = NUMBER(RECEIVE_MAXIMUM, 2), one = NUMBER(RECEIVE_MAXIMUM, 1);
    script_new(&s, &o);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    serve_connack_with(&s, false, 0, &two, 1);
    expect_events(&s, "connected new");
    output_text(&s);
    publish(&s, 1, "t", "a");
    publish(&s, 2, "t", "b");
    publish(&s, 1, "t", "c");
    publish(&s, 0, "t", "d"); /* behind it, to keep the order */
    expect_events(&s, "");
    expect_output(&s, "PUBLISH q1 #1 t=a|PUBLISH q2 #2 t=b");
    serve_ack(&s, GNT_MQTT_PUBREC, 2, 0); /* still in flight */
    expect_events(&s, "");
    expect_output(&s, "PUBREL #2");
    serve_ack(&s, GNT_MQTT_PUBACK, 1, 0);
    expect_events(&s, "done publish #1 ok|done publish #4 ok");
    expect_output(&s, "PUBLISH q1 #3 t=c|PUBLISH q0 t=d");
    script_lost(&s);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK); /* now less is allowed */
    output_text(&s);
    serve_connack_with(&s, true, 0, &one, 1);
    publish(&s, 1, "t", "e");
    expect_events(&s, "connected again");
    expect_output(&s, "PUBREL #2");
    serve_ack(&s, GNT_MQTT_PUBCOMP, 2, 0);
    expect_events(&s, "done publish #2 ok");
    expect_output(&s, "PUBLISH q1 #3 dup t=c");
    serve_ack(&s, GNT_MQTT_PUBACK, 3, 0);
    expect_events(&s, "done publish #3 ok");
    expect_output(&s, "PUBLISH q1 #4 t=e");
    script_free(&s);
}

static void old_servers_get_twenty_at_once(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_3_1_1);
    for (int own = 0; own < 2; own++) {
        int sent = 0;
        o.in_flight_max = own ? 1000 : 0;
        script_new(&s, &o);
        script_up(&s);
        for (int i = 0; i < 1000; i++)
            publish(&s, 2, "t", "x");
        expect_events(&s, "");
        struct gnt_mqtt_packet p;
        size_t size;
        for (; next_output(&s, &p, &size); sent++)
            gnt_buf_take(&s.said, size);
        assert_int_equal(sent, own ? 1000 : 20);
        script_free(&s);
    }
}

static void our_receive_maximum_is_enforced(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    WITH_PROPS(o, NUMBER(RECEIVE_MAXIMUM, 2));
    script_new(&s, &o);
    script_up(&s);
    serve_publish(&s, 2, 1, "t", "a");
    serve_publish(&s, 2, 2, "t", "b");
    expect_events(&s, "message q2 t=a|message q2 t=b");
    serve_ack(&s, GNT_MQTT_PUBREL, 1, 0);
    serve_publish(&s, 1, 3, "t", "c"); /* acknowledged at once */
    serve_publish(&s, 2, 4, "t", "d");
    serve_publish(&s, 2, 5, "t", "e");
    expect_events(&s, "message q1 t=c|message q2 t=d|closed PROTOCOL !93");
    script_free(&s);
}

static void aliases_come_in(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    WITH_PROPS(o, NUMBER(TOPIC_ALIAS_MAXIMUM, 2));
    script_new(&s, &o);
    script_up(&s);
    const struct gnt_mqtt_prop first = NUMBER(TOPIC_ALIAS, 1), second = NUMBER(TOPIC_ALIAS, 2);
    const struct gnt_mqtt_publish named = {.topic = gnt_slice_str("long/topic")};
    const struct gnt_mqtt_publish other = {.topic = gnt_slice_str("o")};
    const struct gnt_mqtt_publish bare = {.payload = gnt_slice_str("x")};
    serve_publish_with(&s, &named, &first, 1);
    serve_publish_with(&s, &bare, &first, 1);
    serve_publish_with(&s, &other, &first, 1); /* means something else from now on */
    serve_publish_with(&s, &bare, &first, 1);
    expect_events(&s, "message q0 long/topic=|message q0 long/topic=x|message q0 o=|"
                      "message q0 o=x");
    serve_publish_with(&s, &bare, &second, 1); /* means nothing */
    expect_events(&s, "closed PROTOCOL !82");
    script_up(&s); /* and nothing is remembered */
    serve_publish_with(&s, &bare, &first, 1);
    expect_events(&s, "closed PROTOCOL !82");
    script_free(&s);
}

static void aliases_go_out(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = lasting(GNT_MQTT_5);
    const struct gnt_mqtt_prop two = NUMBER(TOPIC_ALIAS_MAXIMUM, 2);
    o.aliases_max = 10;
    script_new(&s, &o);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    serve_connack_with(&s, false, 0, &two, 1);
    expect_events(&s, "connected new");
    output_text(&s);
    static const char *const topics[] = {"a", "b", "a", "b", "c", "b", "a"};
    for (size_t i = 0; i < 7; i++)
        publish(&s, 1, topics[i], "");
    expect_events(&s, "");
    expect_output(&s, "PUBLISH q1 #1 a= alias=1|PUBLISH q1 #2 b= alias=2|"
                      "PUBLISH q1 #3 = alias=1|PUBLISH q1 #4 = alias=2|"
                      "PUBLISH q1 #5 c= alias=1|PUBLISH q1 #6 = alias=2|"
                      "PUBLISH q1 #7 a= alias=2");
    script_lost(&s);
    back(&s, true); /* this server has no aliases */
    output_text(&s);
    assert_string_equal(strstr(s.text, "#3"), "#3 dup a=|PUBLISH q1 #4 dup b=|"
                                              "PUBLISH q1 #5 dup c=|PUBLISH q1 #6 dup b=|"
                                              "PUBLISH q1 #7 dup a=");
    script_free(&s);
}

static void subscribes(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = lasting(GNT_MQTT_5);
    script_new(&s, &o);
    const struct gnt_mqtt_subscription two[] = {{.filter = gnt_slice_str("a/+"), .qos = 1},
                                                {.filter = gnt_slice_str("b/#"), .qos = 2}};
    const struct gnt_mqtt_prop id = NUMBER(SUBSCRIPTION_ID, 7);
    const struct gnt_mqtt_proplist props = {.list = &id, .count = 1};
    uint64_t token;
    assert_int_equal(gnt_client_subscribe(s.c, two, 2, &props, NULL, &token), GNT_OK);
    subscribe(&s, "c", 0);
    subscribe(&s, "d", 0);
    script_up(&s);
    assert_string_equal(s.text, "SUBSCRIBE #1 a/+:1 b/#:2 id=7|SUBSCRIBE #2 c:0|SUBSCRIBE #3 d:0");
    serve_codes(&s, GNT_MQTT_SUBACK, 1, "\x01\x87", 2);
    serve_codes(&s, GNT_MQTT_SUBACK, 3, "\x00", 1);
    expect_events(&s, "done subscribe #1 REFUSED 01 87 !87|done subscribe #3 ok 00");
    const struct gnt_slice d = gnt_slice_str("d");
    assert_int_equal(gnt_client_unsubscribe(s.c, &d, 1, NULL, NULL, NULL), GNT_OK);
    expect_events(&s, "");
    expect_output(&s, "UNSUBSCRIBE #4 d");
    serve_codes(&s, GNT_MQTT_UNSUBACK, 4, "\x00", 1);
    expect_events(&s, "done unsubscribe #4 ok 00");

    /* Without an answer a request is made again; what was granted is asked for again only if the
     * server has lost it; what was refused or given up is not. */
    script_lost(&s);
    back(&s, true);
    expect_output(&s, "SUBSCRIBE #5 c:0");
    script_lost(&s);
    back(&s, false);
    expect_output(&s, "SUBSCRIBE #6 a/+:1 id=7|SUBSCRIBE #7 c:0");
    serve_codes(&s, GNT_MQTT_SUBACK, 7, "\x00", 1);
    expect_events(&s, "done subscribe #2 ok 00");
    script_lost(&s);
    back(&s, true); /* a session, but not yet with all subscriptions */
    expect_output(&s, "SUBSCRIBE #8 a/+:1 id=7|SUBSCRIBE #9 c:0");
    serve_codes(&s, GNT_MQTT_SUBACK, 8, "\x01", 1);
    serve_codes(&s, GNT_MQTT_SUBACK, 9, "\x00", 1);
    expect_events(&s, "done subscribe #0 ok 01 !01|done subscribe #0 ok 00");
    script_lost(&s);
    back(&s, true);
    expect_output(&s, "");
    script_free(&s);
}

/* A subscription that is refused at another time is not asked for again. */
static void refused_later_is_forgotten(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_3_1_1);
    script_new(&s, &o);
    subscribe(&s, "a", 1);
    script_up(&s);
    serve_codes(&s, GNT_MQTT_SUBACK, 1, "\x01", 1);
    events_text(&s);
    script_lost(&s);
    back(&s, false);
    expect_output(&s, "SUBSCRIBE #2 a:1");
    serve_codes(&s, GNT_MQTT_SUBACK, 2, "\x80", 1);
    expect_events(&s, "done subscribe #0 REFUSED 80 !80");
    script_lost(&s);
    back(&s, false);
    expect_output(&s, "");
    script_free(&s);
}

static void subscribes_again_in_packets(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_3_1_1);
    script_new(&s, &o);
    script_up(&s);
    char filter[8], all[256] = "";
    for (uint16_t i = 1; i <= 10; i++) {
        snprintf(filter, sizeof filter, "f%d", i);
        subscribe(&s, filter, 0);
        expect_events(&s, "");
        serve_codes(&s, GNT_MQTT_SUBACK, i, "\0", 1);
        events_text(&s);
        say(all, i == 1 ? "SUBSCRIBE #11 %s:0" : i == 9 ? "|SUBSCRIBE #12 %s:0" : " %s:0", filter);
    }
    script_lost(&s);
    back(&s, false);
    expect_output(&s, all);
    script_free(&s);
}

static void refuses_what_cannot_be(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    script_new(&s, &o);
    const struct gnt_mqtt_prop alias = NUMBER(TOPIC_ALIAS, 1), id = NUMBER(SUBSCRIPTION_ID, 1);
    const struct gnt_mqtt_prop response = {.row = GNT_PROP_RESPONSE_TOPIC,
                                           .text = gnt_slice_str("a/+")};
    const struct gnt_client_publish bad[] = {
        {.topic = gnt_slice_str("a/#")},
        {.topic = gnt_slice_str("")},
        {.topic = gnt_slice_str("\xc3\x28")},
        {.topic = gnt_slice_str("a"), .qos = 3},
        {.topic = gnt_slice_str("a"), .props = &alias, .prop_count = 1},
        {.topic = gnt_slice_str("a"), .props = &id, .prop_count = 1},
        {.topic = gnt_slice_str("a"), .props = &response, .prop_count = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(gnt_client_publish(s.c, &bad[i], NULL, s.now, NULL), GNT_INVALID);
    const struct gnt_mqtt_subscription subs[] = {
        {.filter = gnt_slice_str("a/#/b")},
        {.filter = gnt_slice_str("")},
        {.filter = gnt_slice_str("$share//x")},
        {.filter = gnt_slice_str("$share/g/x"), .no_local = true},
        {.filter = gnt_slice_str("a"), .qos = 3},
        {.filter = gnt_slice_str("a"), .retain_handling = 3},
    };
    for (size_t i = 0; i < sizeof subs / sizeof subs[0]; i++)
        assert_int_equal(gnt_client_subscribe(s.c, &subs[i], 1, NULL, NULL, NULL), GNT_INVALID);
    assert_int_equal(gnt_client_subscribe(s.c, subs, 0, NULL, NULL, NULL), GNT_INVALID);
    const struct gnt_slice filter = gnt_slice_str("a#");
    assert_int_equal(gnt_client_unsubscribe(s.c, &filter, 1, NULL, NULL, NULL), GNT_INVALID);
    struct gnt_client_status status;
    gnt_client_status(s.c, &status);
    assert_int_equal(status.outstanding, 0);
    script_free(&s);
}

static void honours_what_the_server_does_not_do(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    const struct gnt_mqtt_prop limits[] = {
        NUMBER(MAXIMUM_QOS, 1),          NUMBER(RETAIN_AVAILABLE, 0),
        NUMBER(MAXIMUM_PACKET_SIZE, 20), NUMBER(WILDCARD_AVAILABLE, 0),
        NUMBER(SHARED_AVAILABLE, 0),     NUMBER(SUBSCRIPTION_ID_AVAILABLE, 0)};
    script_new(&s, &o);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    serve_connack_with(&s, false, 0, limits, 6);
    expect_events(&s, "connected new");
    output_text(&s);
    publish(&s, 2, "t", "a");
    const struct gnt_client_publish retained = {.topic = gnt_slice_str("t"), .retain = true};
    assert_int_equal(gnt_client_publish(s.c, &retained, NULL, s.now, NULL), GNT_OK);
    publish(&s, 1, "t", "twelve bytes");
    publish(&s, 1, "t", "thirteen byte");
    subscribe(&s, "a/+", 0);
    subscribe(&s, "$share/g/a", 0);
    expect_events(&s, "done publish #1 UNSUPPORTED|done publish #2 UNSUPPORTED|"
                      "done publish #4 TOOBIG|done subscribe #5 UNSUPPORTED|"
                      "done subscribe #6 UNSUPPORTED");
    expect_output(&s, "PUBLISH q1 #1 t=twelve bytes");
    script_free(&s);
}

static void expiry_counts_down_in_the_queue(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    const struct gnt_mqtt_prop props[] = {
        {.row = GNT_PROP_USER_PROPERTY, .text = gnt_slice_str("k"), .value = gnt_slice_str("v")},
        NUMBER(MESSAGE_EXPIRY, 10),
    };
    const struct gnt_client_publish p = {
        .topic = gnt_slice_str("t"), .qos = 1, .props = props, .prop_count = 2};
    script_new(&s, &o);
    assert_int_equal(gnt_client_publish(s.c, &p, NULL, s.now, NULL), GNT_OK);
    s.now += 4 * GNT_NS_PER_S;
    assert_int_equal(gnt_client_publish(s.c, &p, NULL, s.now, NULL), GNT_OK);
    s.now += 6 * GNT_NS_PER_S;
    script_connect(&s, false);
    expect_events(&s, "connected new|done publish #1 TIMEOUT");
    expect_output(&s, "PUBLISH q1 #1 t= expiry=4 user=k");
    script_free(&s);
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_status status;
    struct gnt_client_options o = script_options(GNT_MQTT_3_1_1);
    const struct gnt_client_publish five = {.topic = gnt_slice_str("t"),
                                            .payload = gnt_slice_str("4444")};
    o.queue_messages = 3;
    o.queue_bytes = 12;
    script_new(&s, &o);
    publish(&s, 0, "t", "1");
    publish(&s, 0, "t", "1");
    publish(&s, 0, "t", "1");
    assert_int_equal(gnt_client_publish(s.c, &five, NULL, s.now, NULL), GNT_FULL); /* a fourth */
    gnt_client_status(s.c, &status);
    assert_int_equal(status.refused, 1);
    assert_int_equal(status.queued_messages, 3);
    assert_int_equal(status.queued_bytes, 6);
    script_free(&s);

    o.drop_oldest = true;
    script_new(&s, &o);
    for (int i = 0; i < 3; i++)
        assert_int_equal(gnt_client_publish(s.c, &five, NULL, s.now, NULL), GNT_OK);
    expect_events(&s, "done publish #1 FULL");
    publish(&s, 0, "t", "1");
    publish(&s, 0, "t", "1");
    expect_events(&s, "done publish #2 FULL");
    const struct gnt_client_publish huge = {.topic = gnt_slice_str("t"),
                                            .payload = gnt_slice_str("twelve bytes")};
    assert_int_equal(gnt_client_publish(s.c, &huge, NULL, s.now, NULL), GNT_FULL);
    gnt_client_status(s.c, &status);
    assert_int_equal(status.dropped, 2);
    assert_int_equal(status.refused, 1);
    assert_int_equal(status.queued_bytes, 9);
    script_connect(&s, false);
    expect_events(&s, "connected new|done publish #3 ok|done publish #4 ok|done publish #5 ok");
    gnt_client_status(s.c, &status);
    assert_int_equal(status.queued_bytes, 0);
    assert_int_equal(status.outstanding, 0);
    script_free(&s);
}

static void retries_as_of_old(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_3_1);
    o.connect.keep_alive_s = 0;
    o.retry_ms = 1000;
    o.retry_attempts = 2;
    script_new(&s, &o);
    script_up(&s);
    publish(&s, 1, "t", "a");
    expect_events(&s, "");
    expect_output(&s, "PUBLISH q1 #1 t=a");
    s.now += GNT_NS_PER_S / 2;
    publish(&s, 2, "t", "b");
    expect_events(&s, "");
    serve_ack(&s, GNT_MQTT_PUBREC, 2, 0);
    expect_events(&s, "");
    expect_output(&s, "PUBLISH q2 #2 t=b|PUBREL #2");
    for (int i = 0; i < 2; i++) {
        s.now += GNT_NS_PER_S / 2;
        assert_int_equal(gnt_client_deadline(s.c), s.now);
        expect_events(&s, "");
        expect_output(&s, "PUBLISH q1 #1 dup t=a");
        s.now += GNT_NS_PER_S / 2;
        expect_events(&s, "");
        expect_output(&s, "PUBREL #2");
    }
    s.now += GNT_NS_PER_S / 2;
    expect_events(&s, "done publish #1 TIMEOUT");
    serve_ack(&s, GNT_MQTT_PUBACK, 1, 0); /* too late */
    serve_ack(&s, GNT_MQTT_PUBCOMP, 2, 0);
    expect_events(&s, "done publish #2 ok");
    assert_int_equal(gnt_client_deadline(s.c), GNT_NEVER);
    script_free(&s);
}

static uint64_t next_ack(struct script *s)
{
    struct gnt_client_event e;
    assert_true(gnt_client_event(s->c, s->now, &e));
    assert_int_equal(e.type, GNT_CLIENT_MESSAGE);
    assert_true(e.ack != 0);
    return e.ack;
}

static void acknowledges_by_hand(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = lasting(GNT_MQTT_5);
    o.manual_ack = true;
    script_new(&s, &o);
    script_up(&s);
    serve_publish(&s, 1, 1, "t", "a");
    serve_publish(&s, 2, 2, "t", "b");
    serve_publish(&s, 2, 3, "t", "c");
    uint64_t a = next_ack(&s), b = next_ack(&s), c = next_ack(&s);
    expect_events(&s, "");
    serve_publish(&s, 2, 2, "t", "b"); /* again, while its owner has it */
    expect_events(&s, "");
    expect_output(&s, "");
    assert_int_equal(gnt_client_ack(s.c, b, 0), GNT_OK);
    assert_int_equal(gnt_client_ack(s.c, b, 0), GNT_NOTFOUND);
    assert_int_equal(gnt_client_ack(s.c, a, 0x04), GNT_INVALID);
    assert_int_equal(gnt_client_ack(s.c, a, 0x83), GNT_OK);
    expect_output(&s, "PUBREC #2|PUBACK #1 !83");
    script_lost(&s);
    assert_int_equal(gnt_client_ack(s.c, c, 0), GNT_STATE);
    back(&s, true);
    assert_int_equal(gnt_client_ack(s.c, c, 0), GNT_STATE);
    serve_publish(&s, 2, 3, "t", "c"); /* not acknowledged: it gets through again */
    serve_publish(&s, 2, 2, "t", "b"); /* acknowledged: it does not */
    expect_events(&s, "message q2 t=c");
    expect_output(&s, "PUBREC #2");
    script_free(&s);
}

static void gives_up_on_request(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_options o = lasting(GNT_MQTT_5);
    script_new(&s, &o);
    script_up(&s);
    publish(&s, 1, "t", "a");
    subscribe(&s, "a", 0);
    expect_events(&s, "");
    assert_int_equal(gnt_client_cancel(s.c), GNT_STATE);
    script_lost(&s);
    publish(&s, 0, "t", "b");
    assert_int_equal(gnt_client_cancel(s.c), GNT_OK);
    expect_events(&s, "done publish #1 CLOSED|done subscribe #2 CLOSED|done publish #3 CLOSED");
    script_free(&s);
}

/* Much more than fits into the output at once goes out in order, and in bounded pieces. */
static void large_queues_go_out_in_pieces(void **state)
{
    (void)state;
    struct script s;
    struct gnt_client_event e;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    static uint8_t kilobytes[10000];
    script_new(&s, &o);
    for (int i = 0; i < 100; i++) {
        const struct gnt_client_publish p = {.topic = gnt_slice_str("t"),
                                             .payload = gnt_slice(kilobytes, sizeof kilobytes)};
        assert_int_equal(gnt_client_publish(s.c, &p, NULL, s.now, NULL), GNT_OK);
    }
    script_connect(&s, false);
    uint64_t done = 0;
    do {
        while (gnt_client_event(s.c, s.now, &e))
            if (e.type == GNT_CLIENT_DONE)
                assert_int_equal(e.token, ++done);
        size_t size = gnt_client_output(s.c).size;
        assert_in_range(size, 1, 80 * 1024);
        gnt_client_sent(s.c, size, s.now);
    } while (gnt_client_deadline(s.c) == 0);
    assert_int_equal(done, 100);
    script_free(&s);
}

/* ---- A connection that is lost after any packet, in either direction, once or twice: what QoS 2
 * carries arrives exactly once, what QoS 1 carries at least once, both ways. */

enum { MESSAGES = 3 };

struct server {
    struct script s;
    long left;           /* packets until the connection is cut */
    bool in_received[8]; /* QoS 2 ids between PUBLISH and PUBREL */
    int got[2 * MESSAGES], to_client[2 * MESSAGES], done;
    /* To the client: state of message i, whose id is i + 1. */
    enum { UNSENT, SENT, RELEASED, SETTLED } out[2 * MESSAGES];
    bool session;
};

static uint8_t qos_of(int i)
{
    return i < MESSAGES ? 2 : 1;
}

static bool passes(struct server *v)
{
    return v->left-- != 0;
}

static bool serve_out(struct server *v, bool again)
{
    for (int i = 0; i < 2 * MESSAGES; i++) {
        if (v->out[i] == SETTLED || (!again && v->out[i] != UNSENT))
            continue;
        if (!passes(v))
            return false;
        char payload[2] = {(char)('0' + i), 0};
        const struct gnt_mqtt_publish p = {.qos = qos_of(i),
                                           .dup = v->out[i] == SENT,
                                           .id = (uint16_t)(i + 1),
                                           .topic = gnt_slice_str("down"),
                                           .payload = gnt_slice_str(payload)};
        if (v->out[i] == RELEASED) {
            serve_ack(&v->s, GNT_MQTT_PUBREL, p.id, 0);
        } else {
            serve_publish_with(&v->s, &p, NULL, 0);
            v->out[i] = SENT;
        }
    }
    return true;
}

static bool answer(struct server *v, enum gnt_mqtt_type type, uint16_t id)
{
    if (!passes(v))
        return false;
    serve_ack(&v->s, type, id, 0);
    return true;
}

/* What the server does with one packet of the client's; false: the connection is cut. */
static bool server_takes(struct server *v, const struct gnt_mqtt_packet *p)
{
    int i;
    switch (p->type) {
    case GNT_MQTT_CONNECT:
        if (!passes(v))
            return false;
        serve_connack(&v->s, v->session, 0);
        v->session = true;
        return serve_out(v, true);
    case GNT_MQTT_PUBLISH:
        i = p->publish.payload.data[0] - '0';
        if (p->publish.qos == 1) {
            v->got[i]++;
            return answer(v, GNT_MQTT_PUBACK, p->publish.id);
        }
        v->got[i] += !v->in_received[p->publish.id];
        v->in_received[p->publish.id] = true;
        return answer(v, GNT_MQTT_PUBREC, p->publish.id);
    case GNT_MQTT_PUBREL:
        v->in_received[p->ack.id] = false;
        return answer(v, GNT_MQTT_PUBCOMP, p->ack.id);
    case GNT_MQTT_PUBREC:
        v->out[p->ack.id - 1] = RELEASED;
        return answer(v, GNT_MQTT_PUBREL, p->ack.id);
    case GNT_MQTT_PUBACK:
    case GNT_MQTT_PUBCOMP: v->out[p->ack.id - 1] = SETTLED; return true;
    default: return false;
    }
}

static void client_takes(struct server *v)
{
    struct gnt_client_event e;
    while (gnt_client_event(v->s.c, v->s.now, &e)) {
        if (e.type == GNT_CLIENT_MESSAGE)
            v->to_client[e.publish->payload.data[0] - '0']++;
        if (e.type == GNT_CLIENT_DONE) {
            assert_int_equal(e.err, GNT_OK);
            v->done++;
        }
    }
}

/* Until nothing is said any more; false: cut. */
static bool converse(struct server *v)
{
    struct gnt_mqtt_packet p;
    size_t size;
    for (;;) {
        client_takes(v);
        take_output(&v->s);
        if (!next_output(&v->s, &p, &size))
            return true;
        if (!passes(v) || !server_takes(v, &p))
            return false;
        gnt_buf_take(&v->s.said, size);
    }
}

static void connection_lives(struct server *v, long packets)
{
    v->left = packets;
    assert_int_equal(gnt_client_connect(v->s.c, v->s.now), GNT_OK);
    if (!converse(v)) {
        gnt_client_lost(v->s.c, GNT_CLOSED);
        client_takes(v);
        gnt_buf_clear(&v->s.said);
    }
}

static void one_life(enum gnt_mqtt_version version, long first, long second)
{
    struct server v = {0};
    struct gnt_client_options o = lasting(version);
    o.connect.clean_start = false;
    script_new(&v.s, &o);
    for (int i = 0; i < 2 * MESSAGES; i++) {
        char payload[2] = {(char)('0' + i), 0};
        publish(&v.s, qos_of(i), "up", payload);
    }
    /* In 3.1 nobody says whether there is a session: let it be there from the beginning. */
    v.session = version == GNT_MQTT_3_1;
    connection_lives(&v, first);
    if (gnt_client_connect(v.s.c, v.s.now) == GNT_OK) {
        gnt_client_lost(v.s.c, GNT_CLOSED);
        client_takes(&v);
        connection_lives(&v, second);
    }
    struct gnt_client_status status;
    gnt_client_status(v.s.c, &status);
    if (!status.connected)
        connection_lives(&v, 100000);
    assert_int_equal(v.done, 2 * MESSAGES);
    for (int i = 0; i < 2 * MESSAGES; i++) {
        if (qos_of(i) == 2) {
            assert_int_equal(v.got[i], 1);
            assert_int_equal(v.to_client[i], 1);
        }
        assert_true(v.got[i] >= 1 && v.to_client[i] >= 1);
        assert_int_equal(v.out[i], SETTLED);
    }
    script_free(&v.s);
}

static void exactly_once_whenever_it_is_cut(void **state)
{
    (void)state;
    for (int version = GNT_MQTT_3_1; version <= GNT_MQTT_5; version++)
        for (long first = 0; first < 60; first++)
            for (long second = 0; second < 60; second++)
                one_life((enum gnt_mqtt_version)version, first, second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qos_flows),
        cmocka_unit_test(receives_each_once),
        cmocka_unit_test(acknowledges_after_the_event),
        cmocka_unit_test(refused_publishes_are_told),
        cmocka_unit_test(wrong_acknowledgements_end_it),
        cmocka_unit_test(sends_again_in_order),
        cmocka_unit_test(session_lost_sends_as_new),
        cmocka_unit_test(receive_maximum_stalls_and_resumes),
        cmocka_unit_test(old_servers_get_twenty_at_once),
        cmocka_unit_test(our_receive_maximum_is_enforced),
        cmocka_unit_test(aliases_come_in),
        cmocka_unit_test(aliases_go_out),
        cmocka_unit_test(subscribes),
        cmocka_unit_test(refused_later_is_forgotten),
        cmocka_unit_test(subscribes_again_in_packets),
        cmocka_unit_test(refuses_what_cannot_be),
        cmocka_unit_test(honours_what_the_server_does_not_do),
        cmocka_unit_test(expiry_counts_down_in_the_queue),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(retries_as_of_old),
        cmocka_unit_test(acknowledges_by_hand),
        cmocka_unit_test(gives_up_on_request),
        cmocka_unit_test(large_queues_go_out_in_pieces),
        cmocka_unit_test(exactly_once_whenever_it_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
