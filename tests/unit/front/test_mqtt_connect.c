/* CONNECT, its answers, and what ends a connection: the standards' rules through engine, front and
 * core together, byte by byte. */
#include "support/script_client.h"
#include "support/unit.h"

#include <stdio.h>

#define CONNECT3(id) "10 | ['MQIsdp'] 03 02 003c ['" id "']"
#define CONNECT4(id) "10 | ['MQTT'] 04 02 003c ['" id "']"
#define CONNECT5(id) "10 | ['MQTT'] 05 02 003c () ['" id "']"
#define CONNACK4     "20 02 00 00"
#define CONNACK5     "20 | 00 00 (22 000a)"

/* ---- Connecting */

static void three_versions_connect(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    script_connect(&s, 0, CONNECT3("a"), CONNACK4);
    script_connect(&s, 0, CONNECT4("b"), CONNACK4);
    script_connect(&s, 0, CONNECT5("c"), CONNACK5);
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTED), 3);
    script_fini(&s);
}

/* [MQTT5 3.2.2.3]: whatever differs from the default or from what the client asked for is told. */
static void connack_tells_what_the_client_cannot_know(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, "limits.receive_maximum=20", "limits.packet=1KiB",
                "limits.topic_alias_maximum=0", "limits.session_expiry=1h",
                "limits.keep_alive_max=30s", NULL);
    struct script_client *c = script_open(&s, 0);
    script_send(c, "10 | ['MQTT'] 05 02 003c (11 00015180 19 01) []");
    script_settle(&s);
    assert_true(c->in_size > 40);
    char id[24];
    const uint8_t *assigned = memchr(c->in, 0x12, c->in_size);
    assert_non_null(assigned);
    assert_int_equal(assigned[2], 21);
    snprintf(id, sizeof id, "%.21s", (const char *)assigned + 3);
    script_expectf(c,
                   "20 | 00 00 (11 00000e10  21 0014  27 00000400  12 ['%s']"
                   " 1a ['response/%s']  13 001e)",
                   id, id);
    script_pass(&s, 44000);
    script_send(c, "c000");
    script_expect(c, "d000");
    script_pass(&s, 45500);
    script_expect(c, "e0 | 8d (1f ['keep alive timeout'])");
    script_expect_close(c);
    script_fini(&s);
}

/* A CONNECT, and what is said to it before the connection is closed. */
static void refusals_have_their_reason(void **state)
{
    (void)state;
    static const struct {
        const char *connect, *connack;
    } rows[] = {
        /* 3.x has five reasons [MQTT3.1.1 3.2.2.3] */
        {"10 | ['MQTT'] 04 00 003c []", "20 02 00 02"},   /* [MQTT-3.1.3-8] */
        {"10 | ['MQIsdp'] 03 02 003c []", "20 02 00 02"}, /* 3.1 knows no empty id */
        {"10 | ['MQTT'] 06 02 003c ['a']", "20 02 00 01"},
        {"10 | ['MQTT'] 03 02 003c ['a']", "20 02 00 01"},
        {"10 | ['MQIsdp'] 04 02 003c ['a']", "20 02 00 01"},
        {"10 | ['MQTT'] 04 06 003c ['a'] ['$SYS/x'] ['x']", "20 02 00 05"},
        {"10 | ['MQTT'] 05 06 003c () ['a'] () ['$SYS/x'] ['x']",
         "20 | 00 87 (1f ['not authorized'])"},
        {"10 | ['MQTT'] 05 06 003c () ['a'] () ['w/#'] ['x']",
         "20 | 00 90 (1f ['topic name invalid'])"},
        {"10 | ['MQTT'] 05 06 003c () ['a'] (08 ['r/#']) ['w'] ['x']",
         "20 | 00 82 (1f ['protocol error'])"},
        {"10 | ['MQTT'] 05 02 003c (15 ['SCRAM-SHA-1']) ['a']",
         "20 | 00 8c (1f ['bad authentication method'])"},
        /* without request problem information [MQTT-3.1.2-29] */
        {"10 | ['MQTT'] 05 02 003c (17 00 15 ['x']) ['a']", "20 | 00 8c ()"},
        /* the text does not fit into what the client takes [MQTT-3.2.2-19] */
        {"10 | ['MQTT'] 05 02 003c (27 0000000a 15 ['x']) ['a']", "20 | 00 8c ()"},
        /* nothing can be said to these */
        {"10 | ['MQTT'] 05 02 003c (27 00000004 15 ['x']) ['a']", ""},
        {"10 | ['MQTT'] 04 06 003c ['a'] ['w/+'] ['x']", ""}, /* [MQTT-3.2.2-6] of 3.1.1 */
        {"10 | ['HTTP'] 04 02 003c ['a']", ""},
        {"10 | ['MQTT'] 04 03 003c ['a']", ""}, /* the reserved flag [MQTT-3.1.2-3] */
        {"10 | ['MQTT'] 04 02 003c ['a'] 00", ""},
        {"10 | ['MQTT'] 04 02 003c [ff]", ""},
        {"30 | ['t'] 'x'", ""}, /* [MQTT-3.1.0-1] */
        {"c000", ""},
        {"0000", ""},
        {"10 ffffffffff", ""},
        {"'GET / HTTP/1.1'", ""},
    };
    struct script s;
    script_init(&s, 2, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct script_client *c = script_open(&s, (unsigned)i % 2);
        script_send(c, rows[i].connect);
        script_expect(c, rows[i].connack);
        script_expect_close(c);
        assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTIONS_REFUSED), i + 1);
    }
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTED), 0);
    assert_int_equal(script_counted(&s, GNT_COUNT_SESSIONS), 0);
    script_fini(&s);
}

static void without_anonymous_nobody_comes_in(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {CONNECT4("a"), "20 02 00 05"},
        {"10 | ['MQTT'] 04 c2 003c ['a'] ['user'] ['secret']", "20 02 00 04"},
        {CONNECT5("a"), "20 | 00 87 (1f ['not authorized'])"},
        {"10 | ['MQTT'] 05 c2 003c () ['a'] ['user'] ['secret']",
         "20 | 00 86 (1f ['bad user name or password'])"},
    };
    struct script s;
    script_init(&s, 1, "allow_anonymous=false", NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        script_expect_close(script_connect(&s, 0, rows[i][0], rows[i][1]));
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTIONS_REFUSED), COUNT_OF(rows));
    script_fini(&s);
}

/* The CONNACK of a client that takes less than it needs cannot be sent [MQTT-3.1.2-24]; the will of
 * a client that was not let in is not published. */
static void a_client_too_small_for_its_connack(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *watcher = script_connect(&s, 0, CONNECT4("watcher"), CONNACK4);
    script_send(watcher, "82 | 0001 ['#'] 00");
    script_expect(watcher, "90 | 0001 00");
    struct script_client *c = script_open(&s, 0);
    script_send(c, "10 | ['MQTT'] 05 06 003c (27 00000007) ['a'] () ['w'] ['x']");
    script_expect(c, "20 | 00 95 ()");
    script_expect_close(c);
    script_expect_silence(watcher);
    assert_int_equal(script_counted(&s, GNT_COUNT_SESSIONS), 1);
    script_fini(&s);
}

/* ---- What breaks the protocol on an open connection */

static void mistakes_cost_their_sender_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *disconnect; /* in MQTT 5 */
    } rows[] = {
        {CONNECT5("again"), "82 (1f ['protocol error'])"}, /* [MQTT-3.1.0-2] */
        {"30 | [] () 'x'", "82 (1f ['protocol error'])"},
        {"30 | ['a/+'] () 'x'", "90 (1f ['topic name invalid'])"},
        {"30 | ['a/#'] () 'x'", "90 (1f ['topic name invalid'])"},
        {"30 | ['a/b/c/d'] () 'x'", "90 (1f ['topic name invalid'])"},
        {"30 | ['a'] (08 ['b/+']) 'x'", "82 (1f ['protocol error'])"},
        {"30 | ['a'] (23 0000) 'x'", "94 (1f ['topic alias invalid'])"},
        {"30 | ['a'] (23 000b) 'x'", "94 (1f ['topic alias invalid'])"},
        {"30 | [] (23 0001) 'x'", "82 (1f ['protocol error'])"},
        {"30 | ['a'] (0b 01) 'x'", "82 (1f ['protocol error'])"},   /* [MQTT-3.3.4-6] */
        {"36 | ['a'] 0001 () 'x'", "81 (1f ['malformed packet'])"}, /* [MQTT-3.3.1-4] */
        {"32 | ['a'] 0000 () 'x'", "82 (1f ['protocol error'])"},   /* [MQTT-2.2.1-3] */
        {"30 | [c080] () 'x'", "81 (1f ['malformed packet'])"},
        {"82 | 0001 () ['$share/g/t'] 04", "82 (1f ['protocol error'])"}, /* [MQTT-3.8.3-4] */
        {"82 | 0001 ()", "82 (1f ['protocol error'])"},                   /* [MQTT-3.8.3-2] */
        {"82 | 0001 () ['t'] 03", "82 (1f ['protocol error'])"},
        {"80 | 0001 () ['t'] 00", "81 (1f ['malformed packet'])"}, /* [MQTT-3.8.1-1] */
        {"20 | 00 00 ()", "82 (1f ['protocol error'])"},
        {"d000", "82 (1f ['protocol error'])"},
        {"f0 | 18 (15 ['x'])", "82 (1f ['protocol error'])"},
        {"e0 | 00 (11 00000001)", "82 (1f ['session expiry was 0'])"}, /* [MQTT-3.14.2.2.2] */
        {"30 ff7f", "95 (1f ['packet too large'])"},
    };
    struct script s;
    script_init(&s, 2, "limits.packet=1KiB", "limits.topic_levels=3", NULL);
    struct script_client *other = script_connect(&s, 0, CONNECT4("other"), CONNACK4);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct script_client *c = script_open(&s, 0);
        script_send(c, CONNECT5("c"));
        script_expect(c, "20 | 00 00 (27 00000400 22 000a)");
        script_send(c, rows[i].bytes);
        script_settle(&s);
        if (c->in_size == 0 || c->in[0] != 0xe0)
            print_error("row %zu: %s\n", i, rows[i].bytes);
        script_expectf(c, "e0 | %s", rows[i].disconnect);
        script_expect_close(c);
        assert_int_equal(script_counted(&s, GNT_COUNT_PROTOCOL_ERRORS), i + 1);
    }
    script_expect_silence(other);
    script_send(other, "30 | ['a/#'] 'x'"); /* in 3.1.1 the close has to say it */
    script_expect_close(other);
    script_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_versions_connect),
        cmocka_unit_test(connack_tells_what_the_client_cannot_know),
        cmocka_unit_test(refusals_have_their_reason),
        cmocka_unit_test(without_anonymous_nobody_comes_in),
        cmocka_unit_test(a_client_too_small_for_its_connack),
        cmocka_unit_test(mistakes_cost_their_sender_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
