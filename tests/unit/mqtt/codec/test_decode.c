#include "support/unit.h"

#include "support/mqtt_packet.h"

/* Versions of a row, as bits. */
enum { V31 = 1 << GNT_MQTT_3_1, V311 = 1 << GNT_MQTT_3_1_1, V5 = 1 << GNT_MQTT_5 };
enum { V3X = V31 | V311, ANY = V31 | V311 | V5 };

/* Who sends it. */
enum { C = 1 << GNT_MQTT_FROM_CLIENT, S = 1 << GNT_MQTT_FROM_SERVER };

/* Whether the packet's one encoding is not these bytes: it has flags or a form that is not chosen.
 */
enum { CANONICAL, OTHER };

struct row {
    int versions, senders, form;
    const char *bytes, *tells;
};

/* clang-format off */
static const struct row rows[] = {
    /* CONNECT, whose version does not depend on the connection's */
    {ANY, C, CANONICAL, "10 | ['MQIsdp'] 03 02 003c ['c']", "CONNECT v3 clean keep=60 id='c'"},
    {ANY, C, CANONICAL, "10 | ['MQTT'] 04 00 0000 []", "CONNECT v4 keep=0 id=''"},
    {ANY, C, CANONICAL, "10 | ['MQTT'] 05 02 ffff () []", "CONNECT v5 clean keep=65535 id=''"},
    {ANY, C, OTHER, "10 | ['MQIsdp'] 83 02 003c ['c']", "CONNECT v3 clean keep=60 id='c'"},
    {ANY, C, OTHER, "10 | ['MQTT'] 84 02 003c ['c']", "CONNECT v4 clean keep=60 id='c'"},
    {ANY, C, CANONICAL, "10 | ['MQTT'] 04 c2 000a ['c'] ['user'] [00ff]",
     "CONNECT v4 clean keep=10 id='c' user='user' password='\\x00\\xff'"},
    {ANY, C, CANONICAL, "10 | ['MQTT'] 04 80 000a ['c'] []", "CONNECT v4 keep=10 id='c' user=''"},
    {ANY, C, CANONICAL, "10 | ['MQTT'] 04 06 000a ['c'] ['w'] [00ff]",
     "CONNECT v4 clean keep=10 id='c' will(qos=0 topic='w' payload='\\x00\\xff')"},
    {ANY, C, CANONICAL, "10 | ['MQTT'] 04 36 000a ['c'] ['w'] []",
     "CONNECT v4 clean keep=10 id='c' will(qos=2 retain topic='w' payload='')"},
    {ANY, C, CANONICAL, "10 | ['MQIsdp'] 03 ee 0001 ['c'] ['w'] ['p'] ['u'] ['x']",
     "CONNECT v3 clean keep=1 id='c' will(qos=1 retain topic='w' payload='p') user='u' password='x'"},
    {ANY, C, CANONICAL, "10 | ['MQTT'] 05 40 000a () ['c'] ['secret']",
     "CONNECT v5 keep=10 id='c' password='secret'"},
    {ANY, C, CANONICAL,
     "10 | ['MQTT'] 05 ce 001e (11 0000000a 21 0014 27 00001000 22 000a 19 01 17 00 26['k']['v']"
     " 15['SCRAM'] 16[01]) ['c'] (18 00000005 01 01 02 0000003c 03['t'] 08['r'] 09[00] 26['a']['b'])"
     " ['w'] ['p'] ['u'] ['x']",
     "CONNECT v5 clean keep=30 id='c' will(qos=1 topic='w' payload='p' {will-delay=5"
     " payload-format=1 message-expiry=60 content-type='t' response-topic='r'"
     " correlation-data='\\x00' user-property='a'='b'}) user='u' password='x' {session-expiry=10"
     " receive-maximum=20 maximum-packet-size=4096 topic-alias-maximum=10 request-response-info=1"
     " request-problem-info=0 user-property='k'='v' auth-method='SCRAM' auth-data='\\x01'}"},
    /* what 3.1 leaves open: reserved bits, and names that are announced and not there */
    {ANY, C, OTHER, "10 | ['MQIsdp'] 03 03 003c ['c']", "CONNECT v3 clean keep=60 id='c'"},
    {ANY, C, OTHER, "10 | ['MQIsdp'] 03 2a 003c ['c']", "CONNECT v3 clean keep=60 id='c'"},
    {ANY, C, OTHER, "10 | ['MQIsdp'] 03 82 003c ['c']", "CONNECT v3 clean keep=60 id='c'"},
    {ANY, C, OTHER, "10 | ['MQIsdp'] 03 c2 003c ['c']", "CONNECT v3 clean keep=60 id='c'"},
    {ANY, C, OTHER, "10 | ['MQIsdp'] 03 c2 003c ['c'] ['u']", "CONNECT v3 clean keep=60 id='c' user='u'"},

    {V3X, S, CANONICAL, "20 | 00 00", "CONNACK code=00"},
    {V3X, S, CANONICAL, "20 | 00 05", "CONNACK code=05"},
    {V311, S, CANONICAL, "20 | 01 00", "CONNACK present code=00"},
    {V31, S, OTHER, "20 | 01 00", "CONNACK code=00"},
    {V31, S, OTHER, "20 | ff 02", "CONNACK code=02"},
    {V5, S, CANONICAL, "20 | 01 00 ()", "CONNACK present code=00"},
    {V5, S, CANONICAL, "20 | 00 87 (1f['no'])", "CONNACK code=87 {reason-string='no'}"},
    {V5, S, OTHER, "20 | 00 01", "CONNACK code=84"},
    {V5, S, CANONICAL,
     "20 | 00 00 (11 00000001 21 0001 24 01 25 00 27 00000001 12['id'] 22 0000 28 00 29 01 2a 00"
     " 13 0005 1a['i'] 1c['s'] 15['m'] 16[] 26[][])",
     "CONNACK code=00 {session-expiry=1 receive-maximum=1 maximum-qos=1 retain-available=0"
     " maximum-packet-size=1 assigned-client-id='id' topic-alias-maximum=0 wildcard-available=0"
     " subscription-id-available=1 shared-available=0 server-keep-alive=5 response-info='i'"
     " server-reference='s' auth-method='m' auth-data='' user-property=''=''}"},

    {V3X, C | S, CANONICAL, "30 | ['a/b'] 'hello'", "PUBLISH qos=0 id=0 topic='a/b' payload='hello'"},
    {V3X, C | S, CANONICAL, "31 | ['a']", "PUBLISH qos=0 retain id=0 topic='a' payload=''"},
    {V3X, C | S, CANONICAL, "32 | ['a'] 0007 00", "PUBLISH qos=1 id=7 topic='a' payload='\\x00'"},
    {V3X, C | S, CANONICAL, "3d | ['a'] ffff 'x'", "PUBLISH qos=2 dup retain id=65535 topic='a' payload='x'"},
    {V31, C | S, OTHER, "38 | ['a'] 'x'", "PUBLISH qos=0 id=0 topic='a' payload='x'"},
    {V5, C | S, CANONICAL, "30 | ['a/b'] () 'hello'", "PUBLISH qos=0 id=0 topic='a/b' payload='hello'"},
    {V5, C | S, CANONICAL, "30 | [] ()", "PUBLISH qos=0 id=0 topic='' payload=''"},
    {V5, C | S, CANONICAL, "3a | ['a'] 0102 ()", "PUBLISH qos=1 dup id=258 topic='a' payload=''"},
    {V5, C | S, CANONICAL, "34 | [] 0001 (23 0001 01 01) c3a4",
     "PUBLISH qos=2 id=1 topic='' payload='\\xc3\\xa4' {topic-alias=1 payload-format=1}"},
    {V5, C | S, CANONICAL, "30 | ['a'] (02 00000000 08['r'] 09[ff] 03['t'] 26['1']['2'] 26['1']['2']) 'p'",
     "PUBLISH qos=0 id=0 topic='a' payload='p' {message-expiry=0 response-topic='r'"
     " correlation-data='\\xff' content-type='t' user-property='1'='2' user-property='1'='2'}"},
    {V5, S, CANONICAL, "30 | ['a'] (0b 01 0b ffffff7f 0b 8001)",
     "PUBLISH qos=0 id=0 topic='a' payload='' {subscription-id=1 subscription-id=268435455"
     " subscription-id=128}"},
    {V3X, C | S, CANONICAL, "32 | [c3a4 'b' e282ac f09f9880] 0001",
     "PUBLISH qos=1 id=1 topic='\\xc3\\xa4b\\xe2\\x82\\xac\\xf0\\x9f\\x98\\x80' payload=''"},

    {V3X, C | S, CANONICAL, "40 | 0001", "PUBACK id=1 code=00"},
    {V3X, C | S, CANONICAL, "50 | ffff", "PUBREC id=65535 code=00"},
    {V3X, C | S, CANONICAL, "62 | 0001", "PUBREL id=1 code=00"},
    {V31, C | S, OTHER, "6a | 0001", "PUBREL id=1 code=00"},
    {V3X, C | S, CANONICAL, "70 | 0001", "PUBCOMP id=1 code=00"},
    {V5, C | S, CANONICAL, "40 | 0001", "PUBACK id=1 code=00"},
    {V5, C | S, OTHER, "40 | 0001 00", "PUBACK id=1 code=00"},
    {V5, C | S, OTHER, "40 | 0001 00 ()", "PUBACK id=1 code=00"},
    {V5, C | S, CANONICAL, "40 | 0001 10", "PUBACK id=1 code=10"},
    {V5, C | S, OTHER, "40 | 0001 10 ()", "PUBACK id=1 code=10"},
    {V5, C | S, CANONICAL, "40 | 0001 97 (1f['full'] 26['a']['b'])",
     "PUBACK id=1 code=97 {reason-string='full' user-property='a'='b'}"},
    {V5, C | S, CANONICAL, "50 | 0001 00 (26['a']['b'])", "PUBREC id=1 code=00 {user-property='a'='b'}"},
    {V5, C | S, CANONICAL, "62 | 0001 92", "PUBREL id=1 code=92"},
    {V5, C | S, CANONICAL, "70 | 0001 92 (1f[])", "PUBCOMP id=1 code=92 {reason-string=''}"},

    {V3X, C, CANONICAL, "82 | 0001 ['a/b'] 01 ['#'] 02", "SUBSCRIBE id=1 'a/b'=1 '#'=2"},
    {V31, C, OTHER, "8a | 0001 ['a'] 00", "SUBSCRIBE id=1 'a'=0"},
    {V31, C, OTHER, "82 | 0001 ['a'] fd", "SUBSCRIBE id=1 'a'=1"},
    {V5, C, CANONICAL, "82 | 0001 () ['a'] 00", "SUBSCRIBE id=1 'a'=0"},
    {V5, C, CANONICAL, "82 | 0009 (0b 8001 26['k']['v']) ['a'] 2e ['b'] 11 [] 04",
     "SUBSCRIBE id=9 'a'=2 no-local as-published handling=2 'b'=1 handling=1 ''=0 no-local"
     " {subscription-id=128 user-property='k'='v'}"},
    {V3X, S, CANONICAL, "90 | 0001 00 01 02 80", "SUBACK id=1 00 01 02 80"},
    {V5, S, CANONICAL, "90 | 0001 () 02", "SUBACK id=1 02"},
    {V5, S, CANONICAL, "90 | 0001 (1f['x']) 00 87 9e", "SUBACK id=1 00 87 9e {reason-string='x'}"},
    {V3X, C, CANONICAL, "a2 | 0001 ['a'] ['b/+']", "UNSUBSCRIBE id=1 'a' 'b/+'"},
    {V31, C, OTHER, "aa | 0001 ['a']", "UNSUBSCRIBE id=1 'a'"},
    {V5, C, CANONICAL, "a2 | 0001 (26['k']['v']) ['a']", "UNSUBSCRIBE id=1 'a' {user-property='k'='v'}"},
    {V3X, S, CANONICAL, "b0 | 0001", "UNSUBACK id=1"},
    {V5, S, CANONICAL, "b0 | 0001 () 00 11", "UNSUBACK id=1 00 11"},
    {V5, S, CANONICAL, "b0 | 0001 (1f['x']) 8f", "UNSUBACK id=1 8f {reason-string='x'}"},

    {ANY, C, CANONICAL, "c0 00", "PINGREQ"},
    {ANY, S, CANONICAL, "d0 00", "PINGRESP"},
    {ANY, C, CANONICAL, "e0 00", "DISCONNECT code=00"},
    {V5, S, CANONICAL, "e0 00", "DISCONNECT code=00"},
    {V5, C, CANONICAL, "e0 | 04", "DISCONNECT code=04"},
    {V5, S, CANONICAL, "e0 | 8e", "DISCONNECT code=8e"},
    {V5, C | S, OTHER, "e0 | 00", "DISCONNECT code=00"},
    {V5, C | S, OTHER, "e0 | 81 ()", "DISCONNECT code=81"},
    {V5, C, CANONICAL, "e0 | 00 (11 00000000)", "DISCONNECT code=00 {session-expiry=0}"},
    {V5, S, CANONICAL, "e0 | 9d (1c['other'] 1f['moved'])",
     "DISCONNECT code=9d {server-reference='other' reason-string='moved'}"},
    {V5, S, CANONICAL, "f0 00", "AUTH code=00"},
    {V5, S, OTHER, "f0 | 00 ()", "AUTH code=00"},
    {V5, C | S, CANONICAL, "f0 | 18 (15['m'] 16[00ff])", "AUTH code=18 {auth-method='m' auth-data='\\x00\\xff'}"},
    {V5, C, CANONICAL, "f0 | 19 (15['m'])", "AUTH code=19 {auth-method='m'}"},
};
/* clang-format on */

typedef void visit(const struct row *row, struct gnt_slice bytes, enum gnt_mqtt_version version,
                   enum gnt_mqtt_sender sender);

/* Calls VISIT for each row in each of its versions and from each of its senders. */
static void each(visit *f)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice bytes = gnt_test_bytes(rows[i].bytes);
        for (int version = GNT_MQTT_3_1; version <= GNT_MQTT_5; version++)
            for (int sender = GNT_MQTT_FROM_CLIENT; sender <= GNT_MQTT_FROM_SERVER; sender++)
                if (rows[i].versions >> version & 1 && rows[i].senders >> sender & 1)
                    f(&rows[i], bytes, (enum gnt_mqtt_version)version,
                      (enum gnt_mqtt_sender)sender);
        gnt_test_free(bytes);
    }
}

/* Decodes the one packet in BYTES; *OUT starts as noise, so that a field that is not set shows. */
static gnt_err decode(struct gnt_slice bytes, enum gnt_mqtt_version version,
                      enum gnt_mqtt_sender sender, struct gnt_mqtt_packet *out, uint8_t *reason)
{
    struct gnt_mqtt_frame frame;
    memset(out, 0xa5, sizeof *out);
    assert_int_equal(gnt_mqtt_frame(bytes, bytes.size, &frame), GNT_OK);
    assert_int_equal(frame.size, bytes.size);
    return gnt_mqtt_decode(&frame, version, sender, out, reason);
}

static enum gnt_mqtt_version version_of(const struct gnt_mqtt_packet *packet,
                                        enum gnt_mqtt_version version)
{
    return packet->type == GNT_MQTT_CONNECT ? packet->connect.version : version;
}

static void check_told(const struct row *row, struct gnt_slice bytes, enum gnt_mqtt_version version,
                       enum gnt_mqtt_sender sender)
{
    struct gnt_mqtt_packet packet;
    uint8_t reason;
    if (decode(bytes, version, sender, &packet, &reason) != GNT_OK)
        fail_msg("%s in version %d: reason %#x", row->bytes, version, reason);
    assert_int_equal(reason, 0);
    char *told = gnt_test_tell(&packet, version_of(&packet, version));
    if (strcmp(told, row->tells) != 0)
        fail_msg("%s in version %d tells\n  %s\nnot\n  %s", row->bytes, version, told, row->tells);
    free(told);
}

static void test_good_packets(void **state)
{
    (void)state;
    each(check_told);
}

/* The properties of P as a list, ended by the count. */
static size_t list_props(const struct gnt_mqtt_props *p, struct gnt_mqtt_prop *list)
{
    struct gnt_slice raw = p->raw;
    size_t count = 0;
    while (gnt_mqtt_prop_next(&raw, &list[count]))
        count++;
    return count;
}

static void check_round_trip(const struct row *row, struct gnt_slice bytes,
                             enum gnt_mqtt_version version, enum gnt_mqtt_sender sender)
{
    struct gnt_mqtt_packet packet, again;
    uint8_t reason;
    assert_int_equal(decode(bytes, version, sender, &packet, &reason), GNT_OK);
    struct gnt_slice out = gnt_test_encode(&packet, version_of(&packet, version));
    if (row->form == CANONICAL && !gnt_slice_eq(out, bytes))
        fail_msg("%s in version %d: encoded otherwise", row->bytes, version);
    assert_int_equal(decode(out, version, sender, &again, &reason), GNT_OK);
    char *told = gnt_test_tell(&again, version_of(&again, version));
    assert_string_equal(told, row->tells);
    free(told);

    /* The same with the properties as a list. */
    struct gnt_mqtt_prop own[32], of_will[32];
    const struct gnt_mqtt_proplist props = {own, list_props(&packet.props, own), {NULL, 0}};
    struct gnt_mqtt_proplist will = {of_will, 0, {NULL, 0}};
    if (packet.type == GNT_MQTT_CONNECT)
        will.count = list_props(&packet.connect.will.props, of_will);
    struct gnt_slice listed =
        gnt_test_encode_with(&packet, version_of(&packet, version), &props, &will);
    assert_true(gnt_slice_eq(listed, out));
    gnt_test_free(listed);
    gnt_test_free(out);
}

static void test_round_trips(void **state)
{
    (void)state;
    each(check_round_trip);
}

static void check_cut_stream(const struct row *row, struct gnt_slice bytes,
                             enum gnt_mqtt_version version, enum gnt_mqtt_sender sender)
{
    (void)row, (void)version, (void)sender;
    for (size_t cut = 0; cut < bytes.size; cut++) {
        struct gnt_slice part = gnt_test_copy(bytes, cut);
        struct gnt_mqtt_frame frame;
        assert_int_equal(gnt_mqtt_frame(part, bytes.size, &frame), GNT_MORE);
        gnt_test_free(part);
    }
}

static void test_cut_in_the_stream(void **state)
{
    (void)state;
    each(check_cut_stream);
}

/* Whether a body that ends after CUT bytes at a filter's end still is a list of filters. */
static bool filter_ends(const struct gnt_mqtt_packet *p, const uint8_t *at)
{
    struct gnt_slice list = p->filters.list, filter;
    struct gnt_mqtt_subscription s;
    while (p->type == GNT_MQTT_SUBSCRIBE ? gnt_mqtt_next_subscription(&list, GNT_MQTT_5, &s)
                                         : gnt_mqtt_next_filter(&list, &filter))
        if (list.data == at)
            return true;
    return false;
}

/* Whether P, cut at AT after SIZE bytes of its body, still is a packet: what stands last in it may
 * be shorter, or be left out. */
static bool may_end(const struct gnt_mqtt_packet *p, enum gnt_mqtt_version version,
                    enum gnt_mqtt_sender sender, const uint8_t *at, size_t size)
{
    const bool v5 = version_of(p, version) == GNT_MQTT_5;
    switch ((enum gnt_mqtt_type)p->type) {
    case GNT_MQTT_CONNECT: /* 3.1 without user name, without password */
        return p->connect.version == GNT_MQTT_3_1 &&
               (at + 2 == p->connect.username.data || at + 2 == p->connect.password.data);
    case GNT_MQTT_PUBLISH: return at >= p->publish.payload.data;
    case GNT_MQTT_PUBACK:
    case GNT_MQTT_PUBREC:
    case GNT_MQTT_PUBREL:
    case GNT_MQTT_PUBCOMP: return v5 && (size == 2 || size == 3);
    case GNT_MQTT_SUBSCRIBE:
    case GNT_MQTT_UNSUBSCRIBE: return filter_ends(p, at);
    case GNT_MQTT_SUBACK:
    case GNT_MQTT_UNSUBACK: return p->codes.codes.size && at > p->codes.codes.data;
    case GNT_MQTT_DISCONNECT: return v5 && size <= 1;
    case GNT_MQTT_AUTH: return size == 0 && sender == GNT_MQTT_FROM_SERVER;
    case GNT_MQTT_CONNACK:
    case GNT_MQTT_PINGREQ:
    case GNT_MQTT_PINGRESP: break;
    }
    return false;
}

/* The body cut at every byte, with a remaining length to match, in a block of just that size. */
static void check_cut_body(const struct row *row, struct gnt_slice bytes,
                           enum gnt_mqtt_version version, enum gnt_mqtt_sender sender)
{
    struct gnt_mqtt_frame frame;
    struct gnt_mqtt_packet whole, packet;
    uint8_t reason;
    assert_int_equal(decode(bytes, version, sender, &whole, &reason), GNT_OK);
    assert_int_equal(gnt_mqtt_frame(bytes, bytes.size, &frame), GNT_OK);
    const struct gnt_slice body = frame.body;
    for (size_t cut = 0; cut < body.size; cut++) {
        frame.body = gnt_test_copy(body, cut);
        gnt_err err = gnt_mqtt_decode(&frame, version, sender, &packet, &reason);
        bool good = may_end(&whole, version, sender, body.data + cut, cut);
        if (good != (err == GNT_OK) || err > 0)
            fail_msg("%s in version %d cut after %zu: %d", row->bytes, version, cut, err);
        if (good)
            free(gnt_test_tell(&packet, version_of(&packet, version)));
        gnt_test_free(frame.body);
    }
}

static void test_cut_in_the_body(void **state)
{
    (void)state;
    each(check_cut_body);
}

static void check_longer(const struct row *row, struct gnt_slice bytes,
                         enum gnt_mqtt_version version, enum gnt_mqtt_sender sender)
{
    struct gnt_mqtt_frame frame;
    struct gnt_mqtt_packet packet;
    uint8_t body[1024], reason;
    assert_int_equal(gnt_mqtt_frame(bytes, bytes.size, &frame), GNT_OK);
    if (frame.body.size)
        memcpy(body, frame.body.data, frame.body.size);
    body[frame.body.size] = 0xff; /* no length, no code and no text goes on like this */
    frame.body = gnt_test_copy(gnt_slice(body, sizeof body), frame.body.size + 1);
    gnt_err err = gnt_mqtt_decode(&frame, version, sender, &packet, &reason);
    if (frame.type == GNT_MQTT_PUBLISH ? err != GNT_OK : err >= 0)
        fail_msg("%s in version %d with a byte more: %d", row->bytes, version, err);
    gnt_test_free(frame.body);
}

static void test_a_byte_more(void **state)
{
    (void)state;
    each(check_longer);
}

static void test_subscription_walk_stops(void **state)
{
    (void)state;
    struct gnt_slice list = gnt_test_bytes("['a'] 3d"), rest = list, filter;
    struct gnt_mqtt_subscription s;
    assert_true(gnt_mqtt_next_subscription(&rest, GNT_MQTT_3_1_1, &s));
    assert_int_equal(s.qos, 1);
    assert_false(s.no_local || s.retain_as_published || s.retain_handling);
    assert_false(gnt_mqtt_next_subscription(&rest, GNT_MQTT_3_1_1, &s));
    assert_false(gnt_mqtt_next_filter(&rest, &filter));
    rest = gnt_slice(NULL, 0);
    assert_false(gnt_mqtt_next_filter(&rest, &filter));
    gnt_test_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_packets),      cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_cut_in_the_stream), cmocka_unit_test(test_cut_in_the_body),
        cmocka_unit_test(test_a_byte_more),       cmocka_unit_test(test_subscription_walk_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
