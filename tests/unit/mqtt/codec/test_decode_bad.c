#include "support/unit.h"

#include "support/mqtt_packet.h"

/* Versions of a row, as bits. */
enum { V31 = 1 << GNT_MQTT_3_1, V311 = 1 << GNT_MQTT_3_1_1, V5 = 1 << GNT_MQTT_5 };
enum { V3X = V31 | V311, NEW = V311 | V5, ANY = V31 | V311 | V5 };

/* Who sends it. */
enum { C = 1 << GNT_MQTT_FROM_CLIENT, S = 1 << GNT_MQTT_FROM_SERVER, CS = C | S };

/* What is said against it. */
enum { M = 0x81, P = 0x82, U = 0x84, A = 0x94 };

/* clang-format off */
static const struct row {
    int versions, senders;
    uint8_t reason;
    const char *bytes;
} rows[] = {
    /* flags of the first byte [MQTT5 2.1.3] */
    {ANY, C, M, "11 | ['MQTT'] 04 02 003c ['c']"},
    {ANY, C, M, "18 | ['MQTT'] 05 02 003c () ['c']"},
    {ANY, C, M, "12 | ['MQIsdp'] 03 02 003c ['c']"},
    {V3X, S, M, "21 | 00 00"}, {V5, S, M, "22 | 00 00 ()"},
    {ANY, CS, M, "41 | 0001"}, {ANY, CS, M, "42 | 0001"}, {ANY, CS, M, "48 | 0001"},
    {ANY, CS, M, "51 | 0001"}, {ANY, CS, M, "52 | 0001"}, {ANY, CS, M, "58 | 0001"},
    {ANY, CS, M, "60 | 0001"}, {ANY, CS, M, "61 | 0001"}, {ANY, CS, M, "63 | 0001"},
    {ANY, CS, M, "66 | 0001"}, {NEW, CS, M, "6a | 0001"}, {V31, CS, M, "68 | 0001"},
    {ANY, CS, M, "71 | 0001"}, {ANY, CS, M, "72 | 0001"},
    {V3X, C, M, "80 | 0001 ['a'] 00"}, {V5, C, M, "80 | 0001 () ['a'] 00"},
    {V3X, C, M, "83 | 0001 ['a'] 00"}, {V311, C, M, "8a | 0001 ['a'] 00"},
    {V5, C, M, "8a | 0001 () ['a'] 00"}, {V31, C, M, "88 | 0001 ['a'] 00"},
    {V3X, S, M, "92 | 0001 00"}, {V5, S, M, "91 | 0001 () 00"},
    {V3X, C, M, "a0 | 0001 ['a']"}, {V311, C, M, "aa | 0001 ['a']"}, {V5, C, M, "a0 | 0001 () ['a']"},
    {V3X, S, M, "b2 | 0001"}, {V5, S, M, "b2 | 0001 () 00"},
    {ANY, C, M, "c1 00"}, {ANY, C, M, "c8 00"}, {ANY, S, M, "d2 00"},
    {ANY, C, M, "e1 00"}, {V5, S, M, "e2 00"}, {V5, S, M, "f1 00"},

    /* packets that the sender has no business with */
    {ANY, S, P, "10 | ['MQTT'] 04 02 003c ['c']"}, {ANY, S, P, "10 | ['MQTT'] 05 02 003c () ['c']"},
    {V3X, C, P, "20 | 00 00"}, {V5, C, P, "20 | 00 00 ()"},
    {V3X, S, P, "82 | 0001 ['a'] 00"}, {V5, S, P, "82 | 0001 () ['a'] 00"},
    {V3X, C, P, "90 | 0001 00"}, {V5, C, P, "90 | 0001 () 00"},
    {V3X, S, P, "a2 | 0001 ['a']"}, {V5, S, P, "a2 | 0001 () ['a']"},
    {V3X, C, P, "b0 | 0001"}, {V5, C, P, "b0 | 0001 () 00"},
    {ANY, S, P, "c0 00"}, {ANY, C, P, "d0 00"}, {V3X, S, P, "e0 00"},
    {V3X, CS, M, "f0 00"}, {V3X, CS, M, "f0 | 18 (15['m'])"}, /* 15 is no type of 3.x */

    /* CONNECT: name, level [MQTT5 3.1.2.1, 3.1.2.2] */
    {ANY, C, M, "10 00"}, {ANY, C, M, "10 | 00"}, {ANY, C, M, "10 | ffff 'MQTT'"},
    {ANY, C, M, "10 | [ff] 04 02 003c ['c']"}, {ANY, C, M, "10 | ['MQT'00] 04 02 003c ['c']"},
    {ANY, C, M, "10 | ['MQTT']"},
    {ANY, C, U, "10 | ['MQTT'] 03 02 003c ['c']"}, {ANY, C, U, "10 | ['MQTT'] 06 02 003c () ['c']"},
    {ANY, C, U, "10 | ['MQTT'] 00 02 003c ['c']"}, {ANY, C, U, "10 | ['MQTT'] 85 02 003c () ['c']"},
    {ANY, C, U, "10 | ['MQTT'] ff"}, {ANY, C, U, "10 | ['MQIsdp'] 04 02 003c ['c']"},
    {ANY, C, U, "10 | ['MQIsdp'] 05 02 003c () ['c']"}, {ANY, C, U, "10 | ['mqtt'] 04 02 003c ['c']"},
    {ANY, C, U, "10 | ['HTTP'] 04 02 003c ['c']"}, {ANY, C, U, "10 | [] 04 02 003c ['c']"},
    {ANY, C, U, "10 | ['MQTTT'] 04"},
    /* its flags */
    {ANY, C, M, "10 | ['MQTT'] 04 03 003c ['c']"}, {ANY, C, M, "10 | ['MQTT'] 05 01 003c () ['c']"},
    {ANY, C, M, "10 | ['MQTT'] 04 0a 003c ['c']"}, {ANY, C, M, "10 | ['MQTT'] 05 10 003c () ['c']"},
    {ANY, C, M, "10 | ['MQTT'] 04 22 003c ['c']"}, {ANY, C, M, "10 | ['MQTT'] 05 20 003c () ['c']"},
    {ANY, C, M, "10 | ['MQTT'] 04 1e 003c ['c'] ['w'] ['p']"},
    {ANY, C, M, "10 | ['MQTT'] 05 1e 003c () ['c'] () ['w'] ['p']"},
    {ANY, C, M, "10 | ['MQIsdp'] 03 1e 003c ['c'] ['w'] ['p']"},
    {ANY, C, P, "10 | ['MQTT'] 04 42 003c ['c'] ['x']"},
    {ANY, C, P, "10 | ['MQIsdp'] 03 42 003c ['c'] ['x']"},
    /* its text */
    {ANY, C, M, "10 | ['MQTT'] 04 02 003c [ff]"}, {ANY, C, M, "10 | ['MQTT'] 05 02 003c () [00]"},
    {ANY, C, M, "10 | ['MQTT'] 04 06 003c ['c'] [c0] ['p']"},
    {ANY, C, M, "10 | ['MQTT'] 05 06 003c () ['c'] () ['a'00] ['p']"},
    {ANY, C, M, "10 | ['MQTT'] 04 82 003c ['c'] [80]"}, {ANY, C, M, "10 | ['MQTT'] 05 82 003c () ['c'] [00]"},
    {ANY, C, M, "10 | ['MQIsdp'] 03 02 003c [ed a0 80]"},
    /* what is announced and not there, there and not announced */
    {ANY, C, M, "10 | ['MQTT'] 04 82 003c ['c']"}, {ANY, C, M, "10 | ['MQTT'] 04 c2 003c ['c'] ['u']"},
    {ANY, C, M, "10 | ['MQTT'] 05 42 003c () ['c']"}, {ANY, C, M, "10 | ['MQTT'] 04 06 003c ['c'] ['w']"},
    {ANY, C, M, "10 | ['MQTT'] 05 06 003c () ['c'] ['w'] ['p']"},
    {ANY, C, M, "10 | ['MQTT'] 04 02 003c ['c'] ['u']"}, {ANY, C, M, "10 | ['MQTT'] 05 02 003c ['c']"},
    {ANY, C, M, "10 | ['MQIsdp'] 03 06 003c ['c'] ['w']"}, {ANY, C, M, "10 | ['MQIsdp'] 03 82 003c ['c'] 00"},
    {ANY, C, M, "10 | ['MQTT'] 04 02 003c ['c'] 00"}, {ANY, C, M, "10 | ['MQTT'] 05 02 003c () ['c'] 00"},
    /* its properties */
    {ANY, C, M, "10 | ['MQTT'] 05 02 003c (01 00) ['c']"}, {ANY, C, M, "10 | ['MQTT'] 05 02 003c (7f) ['c']"},
    {ANY, C, P, "10 | ['MQTT'] 05 02 003c (21 0000) ['c']"}, {ANY, C, P, "10 | ['MQTT'] 05 02 003c (27 00000000) ['c']"},
    {ANY, C, P, "10 | ['MQTT'] 05 02 003c (17 02) ['c']"}, {ANY, C, P, "10 | ['MQTT'] 05 02 003c (19 02) ['c']"},
    {ANY, C, P, "10 | ['MQTT'] 05 02 003c (11 00000000 11 00000000) ['c']"},
    {ANY, C, P, "10 | ['MQTT'] 05 02 003c (16[00]) ['c']"}, /* data, but no method */
    {ANY, C, M, "10 | ['MQTT'] 05 02 003c ff 21 0001 ['c']"}, {ANY, C, M, "10 | ['MQTT'] 05 02 003c 8000 ['c']"},
    {ANY, C, M, "10 | ['MQTT'] 05 06 003c () ['c'] (21 0001) ['w'] ['p']"},
    {ANY, C, M, "10 | ['MQTT'] 05 06 003c () ['c'] (23 0001) ['w'] ['p']"},
    {ANY, C, P, "10 | ['MQTT'] 05 06 003c () ['c'] (01 02) ['w'] ['p']"},
    {ANY, C, P, "10 | ['MQTT'] 05 06 003c () ['c'] (18 00000000 18 00000000) ['w'] ['p']"},

    /* CONNACK [MQTT5 3.2] */
    {ANY, S, M, "20 00"}, {ANY, S, M, "20 | 00"}, {V3X, S, M, "20 | 00 00 00"}, {V5, S, M, "20 | 00 00"},
    {V5, S, M, "20 | 01 01"}, {V5, S, M, "20 | 00 02"}, {V311, S, M, "20 | 02 00"}, {V5, S, M, "20 | 80 00 ()"},
    {V3X, S, P, "20 | 00 06"}, {V3X, S, P, "20 | 00 80"}, {V5, S, P, "20 | 00 01 ()"}, {V5, S, P, "20 | 00 8e ()"},
    {V5, S, P, "20 | 00 ff ()"}, {V311, S, P, "20 | 01 05"}, {V5, S, P, "20 | 01 87 ()"},
    {V5, S, P, "20 | 00 00 (24 02)"}, {V5, S, P, "20 | 00 00 (21 0000)"}, {V5, S, P, "20 | 00 00 (16[00])"},
    {V5, S, P, "20 | 00 00 (2a 02)"}, {V5, S, M, "20 | 00 00 (17 00)"}, {V5, S, M, "20 | 00 00 () 00"},

    /* PUBLISH [MQTT5 3.3] */
    {ANY, CS, M, "30 00"}, {ANY, CS, M, "30 | 00"}, {V3X, CS, M, "30 | 0001"}, {V5, CS, M, "30 | 0001 'a'"},
    {ANY, CS, M, "30 | ffff 'a'"}, {ANY, CS, M, "32 | ['a']"}, {ANY, CS, M, "32 | ['a'] 00"},
    {V5, CS, M, "32 | ['a'] 0001"}, {ANY, CS, M, "36 | ['a'] 0001 00"}, {ANY, CS, M, "3e | ['a'] 0001 00"},
    {ANY, CS, M, "37 | ['a'] 0001 00"}, {NEW, CS, M, "38 | ['a'] 00"}, {NEW, CS, M, "39 | ['a'] 00"},
    {ANY, CS, M, "30 | [ff] 00"}, {ANY, CS, M, "30 | ['a'00'b'] 00"}, {ANY, CS, M, "30 | ['abcdefghijk'c3] 00"},
    {ANY, CS, M, "34 | [00] 0001 00"}, {ANY, CS, M, "30 | [f4 90 80 80] 00"},
    {ANY, CS, P, "32 | ['a'] 0000 00"}, {ANY, CS, P, "34 | ['a'] 0000 00"},
    {V5, CS, A, "30 | ['a'] (23 0000) 'p'"}, {V5, CS, P, "30 | ['a'] (23 0001 23 0001) 'p'"},
    {V5, C, P, "30 | ['a'] (0b 01) 'p'"}, {V5, CS, P, "30 | ['a'] (0b 00) 'p'"}, {V5, CS, P, "30 | ['a'] (01 02) 'p'"},
    {V5, CS, M, "30 | ['a'] (11 00000000) 'p'"}, {V5, CS, M, "30 | ['a'] (18 00000000) 'p'"},
    {V5, CS, M, "30 | ['a'] 05 01 00"}, {V5, CS, M, "30 | ['a'] ff"}, {V5, CS, M, "30 | ['a'] 8000 'p'"},
    {V5, CS, M, "30 | ['a'] (03[ff]) 'p'"}, {V5, CS, M, "30 | ['a'] (00) 'p'"}, {V5, CS, M, "30 | ['a'] (01) 'p'"},

    /* PUBACK to PUBCOMP [MQTT5 3.4 to 3.7] */
    {ANY, CS, M, "40 00"}, {ANY, CS, M, "50 | 00"}, {ANY, CS, M, "62 | 01"}, {V3X, CS, M, "40 | 0001 00"},
    {V3X, CS, M, "70 | 0001 00 00"}, {ANY, CS, P, "40 | 0000"}, {ANY, CS, P, "50 | 0000"},
    {ANY, CS, P, "62 | 0000"}, {ANY, CS, P, "70 | 0000"}, {V5, CS, P, "40 | 0001 92"}, {V5, CS, P, "50 | 0001 01"},
    {V5, CS, P, "62 | 0001 10"}, {V5, CS, P, "70 | 0001 80"}, {V5, CS, P, "40 | 0001 ff ()"},
    {V5, CS, M, "40 | 0001 00 () 00"}, {V5, CS, M, "40 | 0001 00 01"}, {V5, CS, M, "40 | 0001 00 (01 00)"},
    {V5, CS, P, "50 | 0001 00 (1f[] 1f[])"}, {V5, CS, M, "62 | 0001 00 (1f[80])"}, {V5, CS, M, "70 | 0001 00 80"},

    /* SUBSCRIBE [MQTT5 3.8] */
    {ANY, C, M, "82 00"}, {ANY, C, M, "82 | 00"}, {V5, C, M, "82 | 0001"}, {V3X, C, P, "82 | 0001"},
    {V5, C, P, "82 | 0001 ()"}, {V3X, C, P, "82 | 0000 ['a'] 00"}, {V5, C, P, "82 | 0000 () ['a'] 00"},
    {V3X, C, M, "82 | 0001 ['a']"}, {V3X, C, M, "82 | 0001 ['a'] 03"}, {V311, C, M, "82 | 0001 ['a'] 04"},
    {V311, C, M, "82 | 0001 ['a'] 80"}, {V311, C, M, "82 | 0001 ['a'] 10"}, {V31, C, M, "82 | 0001 ['a'] ff"},
    {V5, C, M, "82 | 0001 () ['a'] 40"}, {V5, C, M, "82 | 0001 () ['a'] 80"}, {V5, C, M, "82 | 0001 () ['a'] c3"},
    {V5, C, P, "82 | 0001 () ['a'] 03"}, {V5, C, P, "82 | 0001 () ['a'] 30"}, {V5, C, P, "82 | 0001 () ['a'] 00 ['b'] 32"},
    {V3X, C, M, "82 | 0001 [ff] 00"}, {V3X, C, M, "82 | 0001 ['a'] 00 [00] 00"}, {V5, C, M, "82 | 0001 () [c0af] 00"},
    {V3X, C, M, "82 | 0001 ['a'] 00 00"}, {V3X, C, M, "82 | 0001 ['a'] 00 0005 'b'"},
    {V5, C, P, "82 | 0001 (0b 00) ['a'] 00"}, {V5, C, P, "82 | 0001 (0b 01 0b 01) ['a'] 00"},
    {V5, C, M, "82 | 0001 (1f['x']) ['a'] 00"}, {V5, C, M, "82 | 0001 (01 00) ['a'] 00"},

    /* SUBACK [MQTT5 3.9], UNSUBACK [MQTT5 3.11] */
    {ANY, S, M, "90 00"}, {V3X, S, P, "90 | 0001"}, {V5, S, P, "90 | 0001 ()"}, {V5, S, M, "90 | 0001"},
    {V3X, S, P, "90 | 0000 00"}, {V5, S, P, "90 | 0000 () 00"}, {V3X, S, P, "90 | 0001 03"},
    {V3X, S, P, "90 | 0001 00 81"}, {V5, S, P, "90 | 0001 () 03"}, {V5, S, P, "90 | 0001 () 00 11"},
    {V5, S, M, "90 | 0001 (0b 01) 00"}, {ANY, S, M, "b0 00"}, {V3X, S, M, "b0 | 0001 00"},
    {ANY, S, M, "b0 | 00"}, {V3X, S, P, "b0 | 0000"}, {V5, S, P, "b0 | 0001 ()"}, {V5, S, M, "b0 | 0001"},
    {V5, S, P, "b0 | 0001 () 01"}, {V5, S, P, "b0 | 0000 () 00"}, {V5, S, P, "b0 | 0001 () 00 97"},

    /* UNSUBSCRIBE [MQTT5 3.10] */
    {ANY, C, M, "a2 00"}, {V3X, C, P, "a2 | 0001"}, {V5, C, P, "a2 | 0001 ()"}, {V3X, C, P, "a2 | 0000 ['a']"},
    {V5, C, P, "a2 | 0000 () ['a']"}, {V3X, C, M, "a2 | 0001 0002 'a'"}, {V3X, C, M, "a2 | 0001 ['a'] 00"},
    {V3X, C, M, "a2 | 0001 [ff]"}, {V5, C, M, "a2 | 0001 () ['a'] [00]"}, {V5, C, M, "a2 | 0001 (0b 01) ['a']"},

    /* PINGREQ, PINGRESP, DISCONNECT, AUTH [MQTT5 3.12 to 3.15] */
    {ANY, C, M, "c0 | 00"}, {ANY, S, M, "d0 | 00"}, {V3X, C, M, "e0 | 00"}, {V3X, C, M, "e0 | 00 ()"},
    {V5, C, P, "e0 | 01"}, {V5, CS, P, "e0 | 84"}, {V5, CS, P, "e0 | ff"}, {V5, C, P, "e0 | 8b"},
    {V5, C, P, "e0 | 8e ()"}, {V5, C, P, "e0 | 9d"}, {V5, C, P, "e0 | a2"}, {V5, S, P, "e0 | 04"},
    {V5, S, P, "e0 | 00 (11 00000000)"}, {V5, C, P, "e0 | 00 (11 00000000 11 00000000)"},
    {V5, CS, M, "e0 | 00 () 00"}, {V5, CS, M, "e0 | 00 05"}, {V5, CS, M, "e0 | 00 (12['c'])"},
    {V5, C, P, "f0 00"}, {V5, CS, M, "f0 | 18"}, {V5, CS, P, "f0 | 18 ()"}, {V5, CS, P, "f0 | 18 (16[00])"},
    {V5, CS, P, "f0 | 18 (26['k']['v'])"}, {V5, S, P, "f0 | 00 (26['k']['v'])"}, {V5, S, M, "f0 | 00"},
    {V5, S, P, "f0 | 19 (15['m'])"}, {V5, C, P, "f0 | 00 (15['m'])"}, {V5, CS, P, "f0 | 01 (15['m'])"},
    {V5, CS, P, "f0 | 80 (15['m'])"}, {V5, CS, P, "f0 | 18 (15['m'] 15['m'])"}, {V5, CS, M, "f0 | 18 (15['m']) 00"},
    {V5, CS, M, "f0 | 18 (15[ff])"}, {V5, CS, M, "f0 | 18 (15['m'] 11 00000000)"},
};
/* clang-format on */

static gnt_err decode(const char *notation, enum gnt_mqtt_version version,
                      enum gnt_mqtt_sender sender, uint8_t *reason)
{
    struct gnt_slice bytes = gnt_test_bytes(notation);
    struct gnt_mqtt_frame frame;
    struct gnt_mqtt_packet packet;
    assert_int_equal(gnt_mqtt_frame(bytes, bytes.size, &frame), GNT_OK);
    assert_int_equal(frame.size, bytes.size);
    gnt_err err = gnt_mqtt_decode(&frame, version, sender, &packet, reason);
    gnt_test_free(bytes);
    return err;
}

static gnt_err error_of(uint8_t reason)
{
    switch (reason) {
    case 0: return GNT_OK;
    case M: return GNT_MALFORMED;
    case U: return GNT_UNSUPPORTED;
    default: return GNT_PROTOCOL;
    }
}

static void expect(const char *notation, enum gnt_mqtt_version version, enum gnt_mqtt_sender sender,
                   uint8_t reason)
{
    uint8_t got = 0xff;
    gnt_err err = decode(notation, version, sender, &got);
    if (err != error_of(reason) || got != reason)
        fail_msg("%s in version %d from %s: error %d, reason %#x, not %#x", notation, version,
                 sender == GNT_MQTT_FROM_CLIENT ? "client" : "server", err, got, reason);
}

static void test_bad_packets(void **state)
{
    (void)state;
    assert_true(COUNT_OF(rows) >= 150);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (int version = GNT_MQTT_3_1; version <= GNT_MQTT_5; version++)
            for (int sender = GNT_MQTT_FROM_CLIENT; sender <= GNT_MQTT_FROM_SERVER; sender++)
                if (rows[i].versions >> version & 1 && rows[i].senders >> sender & 1)
                    expect(rows[i].bytes, (enum gnt_mqtt_version)version,
                           (enum gnt_mqtt_sender)sender, rows[i].reason);
}

static void test_other_versions_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint8_t version;
    } connects[] = {
        {"10 | ['MQTT'] 06 02 003c () ['c']", 6},    {"10 | ['MQTT'] 03 02 003c ['c']", 3},
        {"10 | ['MQTT'] 85 02 003c () ['c']", 0x85}, {"10 | ['MQIsdp'] 04 02 003c ['c']", 4},
        {"10 | ['MQTTX'] 05 02 003c () ['c']", 0},
    };
    for (size_t i = 0; i < COUNT_OF(connects); i++) {
        struct gnt_slice bytes = gnt_test_bytes(connects[i].bytes);
        struct gnt_mqtt_frame frame;
        struct gnt_mqtt_packet packet;
        uint8_t reason;
        assert_int_equal(gnt_mqtt_frame(bytes, bytes.size, &frame), GNT_OK);
        assert_int_equal(gnt_mqtt_decode(&frame, GNT_MQTT_5, GNT_MQTT_FROM_CLIENT, &packet,
                                         &reason),
                         GNT_UNSUPPORTED);
        assert_int_equal(packet.connect.version, connects[i].version);
        gnt_test_free(bytes);
    }
}

/* Each packet with a place for properties, as it stands in the standard.  AUTH has a method
 * already. */
static const struct {
    uint32_t where;
    enum gnt_mqtt_sender sender;
    const char *before, *after;
} places[] = {
    {GNT_IN_CONNECT, GNT_MQTT_FROM_CLIENT, "10 | ['MQTT'] 05 02 003c (", ") ['c']"},
    {GNT_IN_WILL, GNT_MQTT_FROM_CLIENT, "10 | ['MQTT'] 05 06 003c () ['c'] (", ") ['w'] ['p']"},
    {GNT_IN_CONNACK, GNT_MQTT_FROM_SERVER, "20 | 00 00 (", ")"},
    {GNT_IN_PUBLISH, GNT_MQTT_FROM_CLIENT, "32 | ['a'] 0001 (", ") 'p'"},
    {GNT_IN_PUBLISH, GNT_MQTT_FROM_SERVER, "30 | ['a'] (", ") 'p'"},
    {GNT_IN_PUBACK, GNT_MQTT_FROM_CLIENT, "40 | 0001 00 (", ")"},
    {GNT_IN_PUBREC, GNT_MQTT_FROM_SERVER, "50 | 0001 00 (", ")"},
    {GNT_IN_PUBREL, GNT_MQTT_FROM_CLIENT, "62 | 0001 00 (", ")"},
    {GNT_IN_PUBCOMP, GNT_MQTT_FROM_SERVER, "70 | 0001 00 (", ")"},
    {GNT_IN_SUBSCRIBE, GNT_MQTT_FROM_CLIENT, "82 | 0001 (", ") ['a'] 00"},
    {GNT_IN_SUBACK, GNT_MQTT_FROM_SERVER, "90 | 0001 (", ") 00"},
    {GNT_IN_UNSUBSCRIBE, GNT_MQTT_FROM_CLIENT, "a2 | 0001 (", ") ['a']"},
    {GNT_IN_UNSUBACK, GNT_MQTT_FROM_SERVER, "b0 | 0001 (", ") 00"},
    {GNT_IN_DISCONNECT, GNT_MQTT_FROM_CLIENT, "e0 | 00 (", ")"},
    {GNT_IN_DISCONNECT, GNT_MQTT_FROM_SERVER, "e0 | 00 (", ")"},
    {GNT_IN_AUTH, GNT_MQTT_FROM_CLIENT, "f0 | 18 (15['m'] ", ")"},
};

#define PROP(id, name, wire, lowest, highest, in, repeats) {#id, GNT_PROP_##name, in, repeats},
static const struct {
    const char *id; /* 0x.. */
    enum gnt_mqtt_prop_row row;
    uint32_t in, repeats;
} props[] = {GNT_MQTT_PROPS(PROP)};
#undef PROP

static const char *const values[] = {
    [GNT_WIRE_U8] = "01",           [GNT_WIRE_U16] = "0001",  [GNT_WIRE_U32] = "00000001",
    [GNT_WIRE_VBI] = "01",          [GNT_WIRE_STR] = "['t']", [GNT_WIRE_BIN] = "[00ff]",
    [GNT_WIRE_PAIR] = "['n']['v']",
};

/* What is said against the property ROW, TIMES over, in a packet of the kind places[p]. */
static uint8_t verdict(size_t row, size_t p, int times)
{
    const uint32_t where = places[p].where;
    const bool client = places[p].sender == GNT_MQTT_FROM_CLIENT;
    if (!(props[row].in & where))
        return M;
    if (times > 1 && !(props[row].repeats & where))
        return P;
    switch (props[row].row) {
    case GNT_PROP_AUTH_METHOD: return where == GNT_IN_AUTH ? P : 0; /* its second one */
    case GNT_PROP_AUTH_DATA: return where == GNT_IN_AUTH ? 0 : P;   /* no method */
    case GNT_PROP_SUBSCRIPTION_ID: return where == GNT_IN_PUBLISH && client ? P : 0;
    case GNT_PROP_SESSION_EXPIRY: return where == GNT_IN_DISCONNECT && !client ? P : 0;
    default: return 0;
    }
}

static void test_every_property_in_every_packet(void **state)
{
    (void)state;
    for (size_t row = 0; row < COUNT_OF(props); row++)
        for (size_t p = 0; p < COUNT_OF(places); p++)
            for (int times = 1; times <= 2; times++) {
                char one[32], packet[160];
                snprintf(one, sizeof one, "%s %s ", props[row].id + 2,
                         values[gnt_mqtt_prop_wire(props[row].row)]);
                snprintf(packet, sizeof packet, "%s%s%s%s", places[p].before, one,
                         times > 1 ? one : "", places[p].after);
                expect(packet, GNT_MQTT_5, places[p].sender, verdict(row, p, times));
            }
}

/* Every reason code in every packet that has one, from its only or its more liberal sender. */
static void test_every_reason_code(void **state)
{
    (void)state;
    static const struct {
        uint32_t where;
        const char *before, *after;
    } packets[] = {
        {GNT_IN_CONNACK, "20 | 00 ", " ()"},    {GNT_IN_PUBACK, "40 | 0001 ", ""},
        {GNT_IN_PUBREC, "50 | 0001 ", ""},      {GNT_IN_PUBREL, "62 | 0001 ", ""},
        {GNT_IN_PUBCOMP, "70 | 0001 ", ""},     {GNT_IN_SUBACK, "90 | 0001 () ", ""},
        {GNT_IN_UNSUBACK, "b0 | 0001 () ", ""}, {GNT_IN_DISCONNECT, "e0 | ", ""},
        {GNT_IN_AUTH, "f0 | ", " (15['m'])"},
    };
    for (size_t i = 0; i < COUNT_OF(packets); i++)
        for (unsigned code = 0; code < 256; code++) {
            char packet[64];
            bool allowed = gnt_mqtt_reason_allowed((uint8_t)code, packets[i].where);
            bool clients_only = (packets[i].where == GNT_IN_DISCONNECT && code == 0x04) ||
                                (packets[i].where == GNT_IN_AUTH && code == 0x19);
            snprintf(packet, sizeof packet, "%s%02x%s", packets[i].before, code, packets[i].after);
            expect(packet, GNT_MQTT_5, GNT_MQTT_FROM_SERVER, allowed && !clients_only ? 0 : P);
        }
}

/* [MQTT5 3.14.2.1], the codes that a client may send. */
static void test_reason_codes_of_a_clients_disconnect(void **state)
{
    (void)state;
    static const char allowed[] = "00 04 80 81 82 83 90 93 94 95 96 97 98 99";
    for (unsigned code = 0; code < 256; code++) {
        char hex[3], packet[16];
        snprintf(hex, sizeof hex, "%02x", code);
        snprintf(packet, sizeof packet, "e0 | %s", hex);
        expect(packet, GNT_MQTT_5, GNT_MQTT_FROM_CLIENT, strstr(allowed, hex) ? 0 : P);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_packets),
        cmocka_unit_test(test_other_versions_are_named),
        cmocka_unit_test(test_every_property_in_every_packet),
        cmocka_unit_test(test_every_reason_code),
        cmocka_unit_test(test_reason_codes_of_a_clients_disconnect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
