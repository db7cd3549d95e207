/* What the broker says to what a client says, byte by byte: the standards' rules through engine,
 * front and core together. */
#include "support/script_client.h"
#include "support/unit.h"

#include <stdio.h>

#define CONNECT4(id) "10 | ['MQTT'] 04 02 003c ['" id "']"
#define KEEP4(id)    "10 | ['MQTT'] 04 00 003c ['" id "']"
#define KEEP5(id)    "10 | ['MQTT'] 05 00 003c (11 ffffffff) ['" id "']"
#define CONNACK4     "20 02 00 00"
#define CONNACK5     "20 | 00 00 (22 000a)"

static struct script_client *connect4(struct script *s, unsigned worker, const char *id)
{
    struct script_client *c = script_open(s, worker);
    script_sendf(c, "10 | ['MQTT'] 04 02 003c ['%s']", id);
    script_expect(c, CONNACK4);
    return c;
}

static struct script_client *connect5(struct script *s, unsigned worker, const char *id)
{
    struct script_client *c = script_open(s, worker);
    script_sendf(c, "10 | ['MQTT'] 05 02 003c () ['%s']", id);
    script_expect(c, CONNACK5);
    return c;
}

static void subscribe4(struct script_client *c, const char *filter, unsigned qos)
{
    script_sendf(c, "82 | 0001 ['%s'] %02x", filter, qos);
    script_expectf(c, "90 | 0001 %02x", qos);
}

static void subscribe5(struct script_client *c, const char *filter, unsigned options)
{
    script_sendf(c, "82 | 0001 () ['%s'] %02x", filter, options);
    script_expectf(c, "90 | 0001 () %02x", options & 3);
}

/* ---- Publishing, three qualities, both versions, from each worker to each */

static void publish_reaches_subscribers(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct script s;
        script_init(&s, workers, NULL);
        char id[16];
        struct script_client *from = connect4(&s, 0, script_id_at(&s, workers - 1, 0, id));
        struct script_client *to4 = connect4(&s, 0, script_id_at(&s, 0, 1, id));
        struct script_client *to5 = connect5(&s, workers - 1, script_id_at(&s, workers / 2, 2, id));
        subscribe4(to4, "a/+", 2);
        subscribe5(to5, "a/#", 1);
        script_send(from, "30 | ['a/b'] 'zero'");
        script_expect(to4, "30 | ['a/b'] 'zero'");
        script_expect(to5, "30 | ['a/b'] () 'zero'");
        script_send(from, "32 | ['a/b'] 0007 'one'");
        script_expect(from, "40 02 0007");
        script_expect(to4, "32 | ['a/b'] 0001 'one'");
        script_send(to4, "40 02 0001");
        script_expect(to5, "32 | ['a/b'] 0001 () 'one'");
        script_send(to5, "40 02 0001");
        script_send(from, "34 | ['a/b'] 0007 'two'");
        script_expect(from, "50 02 0007");
        script_send(from, "62 02 0007");
        script_expect(from, "70 02 0007");
        script_expect(to4, "34 | ['a/b'] 0002 'two'");
        script_send(to4, "50 02 0002");
        script_expect(to4, "62 02 0002");
        script_send(to4, "70 02 0002");
        script_expect(to5, "32 | ['a/b'] 0002 () 'two'"); /* the lower quality */
        script_send(to5, "40 | 0002 00 ()");
        script_settle(&s);
        assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 0);
        script_fini(&s);
    }
}

static void acknowledgements_tell_more_in_mqtt5(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *c = connect5(&s, 0, "c");
    script_send(c, "32 | ['nobody'] 0001 () 'x'");
    script_expect(c, "40 03 0001 10");
    script_send(c, "34 | ['nobody'] 0002 () 'x'");
    script_expect(c, "50 03 0002 10");
    script_send(c, "62 02 0002");
    script_expect(c, "70 02 0002");
    script_send(c, "62 02 0002");
    script_expect(c, "70 03 0002 92");
    script_send(c, "50 02 0009");
    script_expect(c, "62 03 0009 92");
    script_send(c, "40 02 0009; 70 02 0009");
    script_send(c, "32 | ['$SYS/broker/uptime'] 0003 () 'x'");
    script_expect(c, "40 03 0003 87");
    script_send(c, "34 | ['$SYS/broker/uptime'] 0004 () 'x'");
    script_expect(c, "50 03 0004 87");
    script_send(c, "34 | ['fine'] 0004 () 'x'"); /* the refusal has freed the id */
    script_expect(c, "50 03 0004 10");
    script_send(c, "30 | ['$SYS'] () 'x'");
    script_send(c, "a2 | 0005 () ['none']");
    script_expect(c, "b0 | 0005 () 11");
    script_send(c, "82 | 0006 () ['a/#/b'] 00 ['ok'] 02 ['$share//x'] 00 ['$share/g'] 01");
    script_expect(c, "90 | 0006 () 8f 02 8f 8f");
    script_fini(&s);
}

static void properties_pass_through(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *c = connect5(&s, 0, "c");
    subscribe5(c, "t", 0);
    const char *props = "26 ['k'] ['1'] 01 01 03 ['text/plain'] 26 ['k'] ['1'] 26 ['a'] [] "
                        "08 ['answer'] 09 [00ff]";
    script_sendf(c, "30 | ['t'] (%s) 'x'", props);
    script_expectf(c, "30 | ['t'] (%s) 'x'", props);
    script_send(c, "30 | ['t'] (26 ['k'] ['1'] 02 0000000a 26 ['k'] ['2']) 'x'");
    script_expect(c, "30 | ['t'] (02 0000000a 26 ['k'] ['1'] 26 ['k'] ['2']) 'x'");
    struct script_client *old = connect4(&s, 0, "old");
    subscribe4(old, "t", 0);
    script_send(c, "30 | ['t'] (26 ['k'] ['1']) 'x'");
    script_expect(old, "30 | ['t'] 'x'");
    script_expect(c, "30 | ['t'] (26 ['k'] ['1']) 'x'");
    script_fini(&s);
}

/* ---- Topic aliases */

static void aliases_of_the_client(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, NULL);
    struct script_client *c = connect5(&s, 0, "c");
    struct script_client *to = connect4(&s, 0, "to");
    subscribe4(to, "#", 0);
    script_send(c, "30 | ['one'] (23 0001) 'x'; 30 | [] (23 0001) 'y'");
    script_expect(to, "30 | ['one'] 'x'; 30 | ['one'] 'y'");
    script_send(c, "30 | ['ten'] (23 000a) 'x'; 30 | ['two'] (23 0001) 'y'; 30 | [] (23 000a) 'z'");
    script_expect(to, "30 | ['ten'] 'x'; 30 | ['two'] 'y'; 30 | ['ten'] 'z'");
    script_send(c, "30 | [] (23 0001 08 ['bad/#']) 'x'");
    script_expect(c, "e0 | 82 (1f ['protocol error'])");
    script_expect_close(c);
    script_fini(&s);
}

static void aliases_towards_the_client(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *from = connect4(&s, 0, "from");
    struct script_client *c =
        script_connect(&s, 0, "10 | ['MQTT'] 05 02 003c (22 0001) ['c']", CONNACK5);
    subscribe5(c, "#", 0);
    script_send(from, "30 | ['topic/1'] 'a'; 30 | ['topic/1'] 'b'; 30 | ['topic/2'] 'c'");
    script_expect(c,
                  "30 | ['topic/1'] (23 0001) 'a'; 30 | [] (23 0001) 'b'; 30 | ['topic/2'] () 'c'");
    script_close(c);
    c = script_connect(&s, 0, "10 | ['MQTT'] 05 02 003c (22 0001) ['c']", CONNACK5);
    subscribe5(c, "#", 0);
    script_send(from, "30 | ['topic/2'] 'a'"); /* a new connection knows no alias */
    script_expect(c, "30 | ['topic/2'] (23 0001) 'a'");
    script_fini(&s);
}

/* ---- Subscriptions */

static void subscription_options(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, NULL);
    struct script_client *c = connect5(&s, 0, "c"), *other = connect4(&s, 0, "other");
    subscribe5(c, "own", 0x04);  /* no local */
    subscribe5(c, "asis", 0x08); /* retain as published */
    subscribe5(c, "live", 0x00);
    script_send(c, "30 | ['own'] () 'mine'");
    script_expect_silence(c);
    script_send(other, "30 | ['own'] 'theirs'; 31 | ['asis'] 'r'; 31 | ['live'] 'r'");
    script_expect(c, "30 | ['own'] () 'theirs'; 31 | ['asis'] () 'r'; 30 | ['live'] () 'r'");
    subscribe5(c, "live", 0x10); /* only if new: it is not */
    script_expect_silence(c);
    subscribe5(c, "live", 0x20); /* never */
    script_expect_silence(c);
    subscribe5(c, "live", 0x00);
    script_expect(c, "31 | ['live'] () 'r'");
    script_send(c, "a2 | 0002 () ['live'] ['own']");
    script_expect(c, "b0 | 0002 () 00 00");
    subscribe5(c, "live", 0x10);
    script_expect(c, "31 | ['live'] () 'r'");
    script_fini(&s);
}

/* [MQTT-3.3.4-3, -4]: one copy, the highest quality, all identifiers. */
static void overlapping_subscriptions_are_one_delivery(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *c = connect5(&s, 0, "c");
    script_send(c, "82 | 0001 (0b 01) ['a/#'] 00; 82 | 0002 (0b ff7f) ['a/b'] 01");
    script_expect(c, "90 | 0001 () 00; 90 | 0002 () 01");
    script_send(c, "32 | ['a/b'] 0001 () 'x'");
    script_settle(&s);
    assert_true(c->in_size > 11);
    script_expectf(c, "32 | ['a/b'] 0001 (%s) 'x'; 40 02 0001",
                   c->in[11] == 1 ? "0b 01 0b ff7f" : "0b ff7f 0b 01");
    script_send(c, "40 02 0001");
    script_fini(&s);
}

static void shared_subscriptions(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct script s;
        script_init(&s, workers, NULL);
        char id[16];
        struct script_client *from = connect4(&s, 0, "from");
        struct script_client *a = connect4(&s, 0, script_id_at(&s, 0, 1, id));
        struct script_client *b = connect4(&s, 0, script_id_at(&s, workers - 1, 2, id));
        subscribe4(a, "$share/g/t", 1);
        subscribe4(b, "$share/g/t", 1);
        for (int i = 0; i < 4; i++)
            script_send(from, "32 | ['t'] 0001 'x'");
        script_expect(from, "40 02 0001; 40 02 0001; 40 02 0001; 40 02 0001");
        script_expect(a, "32 | ['t'] 0001 'x'; 32 | ['t'] 0002 'x'");
        script_expect(b, "32 | ['t'] 0001 'x'; 32 | ['t'] 0002 'x'");
        script_send(a, "40 02 0001; 40 02 0002; 40 02 0001");
        script_close(b); /* what it has not acknowledged goes to the other [MQTT-4.8.2-6] */
        script_expect(a, "32 | ['t'] 0003 'x'; 32 | ['t'] 0004 'x'");
        script_send(a, "40 02 0003; 40 02 0004");
        script_fini(&s);
    }
}

/* The group lives elsewhere; the connection that waits for its answer goes meanwhile. */
static void a_connection_ends_while_its_subscribe_waits(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, NULL);
    for (unsigned i = 0; i < 16; i++) {
        char id[16];
        struct script_client *c = connect4(&s, 1, script_id_at(&s, 1, i, id));
        script_sendf(c, "82 | 0001 ['$share/g%u/t'] 01 %s", i, i % 2 ? "e000" : "");
        script_turn(&s, 1);
        script_close(c);
        script_turn(&s, 1);
        script_settle(&s);
    }
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTED), 0);
    assert_int_equal(script_counted(&s, GNT_COUNT_SUBSCRIPTIONS), 0);
    script_fini(&s);
}

/* ---- Retained, expiry, wills */

static void retained_messages(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, NULL);
    struct script_client *c = connect5(&s, 0, "c");
    script_send(
        c,
        "31 | ['r/1'] (02 0000003c) 'keep'; 31 | ['r/2'] () 'x'; 31 | ['r/2'] (); 31 | ['r/3'] ()");
    script_settle(&s);
    assert_int_equal(script_counted(&s, GNT_COUNT_RETAINED), 1);
    script_pass(&s, 20000);
    subscribe5(c, "r/+", 0);
    script_expect(c, "31 | ['r/1'] (02 00000028) 'keep'"); /* what is left [MQTT-3.3.2-6] */
    script_pass(&s, 41000);
    subscribe5(c, "r/#", 0);
    script_expect_silence(c);
    assert_int_equal(script_counted(&s, GNT_COUNT_RETAINED), 0);
    script_fini(&s);
}

#define WILL5(id, flags, props)                                                             \
    "10 | ['MQTT'] 05 " flags " 003c (11 00000064) ['" id "'] (" props ") ['will/" id "'] " \
    "['gone']"

static void wills(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 3, NULL);
    struct script_client *watcher = connect5(&s, 0, "watcher");
    subscribe5(watcher, "will/#", 2);

    struct script_client *c =
        script_connect(&s, 1, WILL5("a", "0e", "03 ['t'] 26 ['k'] ['v']"), CONNACK5);
    script_close(c); /* it broke */
    script_expect(watcher, "32 | ['will/a'] 0001 (03 ['t'] 26 ['k'] ['v']) 'gone'");
    script_send(watcher, "40 02 0001");

    c = script_connect(&s, 1, WILL5("b", "06", ""), CONNACK5);
    script_send(c, "e000"); /* in peace */
    script_expect_close(c);
    script_expect_silence(watcher);

    c = script_connect(&s, 1, WILL5("c", "06", ""), CONNACK5);
    script_send(c, "e0 | 04 ()"); /* in peace, but with the will */
    script_expect(watcher, "30 | ['will/c'] () 'gone'");
    script_expect_close(c);

    c = script_connect(&s, 1, WILL5("d", "06", "18 0000000a 02 00000005"), CONNACK5);
    script_close(c);
    script_pass(&s, 9000);
    script_expect_silence(watcher);
    script_pass(&s, 1500);
    script_expect(watcher, "30 | ['will/d'] (02 00000005) 'gone'");

    c = script_connect(&s, 1, WILL5("e", "06", "18 0000000a"), CONNACK5);
    script_close(c);
    script_pass(&s, 5000);
    c = script_connect(&s, 2, KEEP5("e"), "20 | 01 00 (22 000a)"); /* back in time */
    script_pass(&s, 10000);
    script_expect_silence(watcher);

    c = script_connect(&s, 1, WILL5("f", "26", ""), CONNACK5); /* retained */
    script_send(c, "30 | [] () 'x'");
    script_expect(c, "e0 | 82 (1f ['protocol error'])");
    script_expect_close(c);
    script_expect(watcher, "30 | ['will/f'] () 'gone'");
    struct script_client *late = connect4(&s, 0, "late");
    subscribe4(late, "will/f", 0);
    script_expect(late, "31 | ['will/f'] 'gone'");
    script_fini(&s);
}

/* ---- Sessions */

static void a_session_waits_for_its_client(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct script s;
        script_init(&s, workers, NULL);
        struct script_client *from = connect4(&s, 0, "from");
        struct script_client *c = script_connect(&s, workers - 1, KEEP4("c"), CONNACK4);
        subscribe4(c, "t", 2);
        script_send(from, "32 | ['t'] 0001 'm1'; 34 | ['t'] 0002 'm2'");
        script_expect(from, "40 02 0001; 50 02 0002");
        script_expect(c, "32 | ['t'] 0001 'm1'; 34 | ['t'] 0002 'm2'");
        script_send(c, "50 02 0002");
        script_expect(c, "62 02 0002");
        script_close(c);
        script_send(from, "62 02 0002; 32 | ['t'] 0003 'm3'; 30 | ['t'] 'm0'");
        script_expect(from, "70 02 0002; 40 02 0003");
        c = script_connect(&s, 0, KEEP4("c"), "20 02 01 00");
        script_expect(c, "3a | ['t'] 0001 'm1'; 62 02 0002; 32 | ['t'] 0003 'm3'");
        script_send(c, "40 02 0001; 70 02 0002; 40 02 0003; e000");
        script_expect_close(c);
        c = script_connect(&s, 0, CONNECT4("c"), CONNACK4); /* clean: nothing is left */
        script_send(from, "30 | ['t'] 'm4'");
        script_expect_silence(c);
        script_fini(&s);
    }
}

/* Exactly once, though the client's connection breaks between PUBLISH and PUBREC. */
static void exactly_once_across_a_break(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, NULL);
    struct script_client *to = connect4(&s, 0, "to");
    subscribe4(to, "t", 0);
    struct script_client *c = script_connect(&s, 0, KEEP5("c"), CONNACK5);
    script_send(c, "34 | ['t'] 0001 () 'once'");
    script_expect(c, "50 02 0001");
    script_close(c);
    c = script_connect(&s, 0, KEEP5("c"), "20 | 01 00 (22 000a)");
    script_send(c, "3c | ['t'] 0001 () 'once'");
    script_expect(c, "50 02 0001");
    script_send(c, "62 02 0001");
    script_expect(c, "70 02 0001");
    script_expect(to, "30 | ['t'] 'once'");
    script_expect_silence(to);
    script_fini(&s);
}

static void session_expiry(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, "limits.session_expiry=20s", NULL);
    struct script_client *c =
        script_connect(&s, 0, "10 | ['MQTT'] 05 00 003c (11 0000000a) ['c']", CONNACK5);
    script_send(c, "e0 | 00 (11 00000014)"); /* changed at the end [MQTT5 3.14.2.2.2] */
    script_expect_close(c);
    script_pass(&s, 19000);
    c = script_connect(&s, 0, KEEP5("c"),
                       "20 | 01 00 (11 00000014 22 000a)"); /* capped, and told */
    script_close(c);
    script_pass(&s, 20500);
    assert_int_equal(script_counted(&s, GNT_COUNT_SESSIONS_EXPIRED), 1);
    c = script_connect(&s, 0, "10 | ['MQTT'] 05 00 003c () ['c']", CONNACK5);
    script_close(c); /* no interval: it ends with the connection */
    script_settle(&s);
    assert_int_equal(script_counted(&s, GNT_COUNT_SESSIONS), 0);
    script_fini(&s);
}

/* A client says DISCONNECT and connects again at once; whichever worker hears what first, it has
 * left in good order, and its will is not published. */
static void what_was_said_before_is_heard_before(void **state)
{
    (void)state;
    for (unsigned home = 0; home < 3; home++) {
        struct script s;
        char id[16], connect[128];
        script_init(&s, 3, NULL);
        struct script_client *watcher = connect4(&s, 0, "watcher");
        subscribe4(watcher, "will/#", 0);
        script_id_at(&s, home, 0, id);
        snprintf(connect, sizeof connect, WILL5("%s", "04", ""), id, id);
        struct script_client *old = script_connect(&s, 0, connect, CONNACK5);
        struct script_client *new = script_open(&s, 1);
        script_send(old, "e0 |");
        script_close(old);
        script_send(new, connect);
        script_turn(&s, 1); /* accepts, and mails it home */
        script_expect(new, "20 | 01 00 (22 000a)");
        script_expect_silence(watcher);
        assert_int_equal(script_counted(&s, GNT_COUNT_TAKE_OVERS), 0);
        script_fini(&s);
    }
}

static void take_over(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 3, NULL);
    struct script_client *watcher = connect4(&s, 0, "watcher");
    subscribe4(watcher, "will/#", 0);
    struct script_client *old = script_connect(&s, 0, WILL5("c", "06", ""), CONNACK5);
    struct script_client *new = script_connect(&s, 1, CONNECT4("c"), CONNACK4);
    script_expect(old, "e0 | 8e (1f ['session taken over'])");
    script_expect_close(old);
    script_expect(watcher, "30 | ['will/c'] 'gone'");
    /* Two at once, from different workers; the first lingers when the next one comes. */
    struct script_client *race[3];
    for (unsigned i = 0; i < 3; i++) {
        race[i] = script_open(&s, i);
        script_send(race[i], CONNECT4("c"));
    }
    script_settle(&s);
    unsigned standing = 0;
    for (unsigned i = 0; i < 3; i++) {
        script_expect(race[i], CONNACK4);
        standing += !race[i]->ended;
    }
    assert_int_equal(standing, 1);
    script_expect_close(new); /* 3.1.1 has no DISCONNECT from a server */
    assert_int_equal(script_counted(&s, GNT_COUNT_TAKE_OVERS), 4 - 0);
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTED), 2);
    for (unsigned i = 0; i < 3; i++)
        script_close(race[i]);
    script_fini(&s);
}

/* ---- Flow */

static void receive_maximum_both_ways(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, "limits.receive_maximum=2", NULL);
    struct script_client *from = connect4(&s, 0, "from");
    struct script_client *c = script_connect(&s, 0, "10 | ['MQTT'] 05 02 003c (21 0002) ['c']",
                                             "20 | 00 00 (21 0002 22 000a)");
    subscribe5(c, "t", 2);
    script_send(from,
                "32 | ['t'] 0001 'a'; 34 | ['t'] 0002 'b'; 32 | ['t'] 0003 'c'; 30 | ['t'] 'd'");
    script_expect(from, "40 02 0001; 50 02 0002; 40 02 0003");
    script_expect(c, "32 | ['t'] 0001 () 'a'; 34 | ['t'] 0002 () 'b'");
    script_send(c, "50 02 0002"); /* still open [MQTT5 4.9] */
    script_expect(c, "62 02 0002");
    script_send(c, "40 02 0001");
    script_expect(c, "32 | ['t'] 0003 () 'c'; 30 | ['t'] () 'd'");
    script_send(c, "70 02 0002; 40 02 0003");

    script_send(c, "34 | ['n'] 0001 (); 34 | ['n'] 0002 (); 3c | ['n'] 0002 ()");
    script_expect(c, "50 03 0001 10; 50 03 0002 10; 50 02 0002");
    script_send(c, "34 | ['n'] 0003 ()"); /* one too many */
    script_expect(c, "e0 | 93 (1f ['receive maximum exceeded'])");
    script_expect_close(c);
    script_send(from, "62 02 0002");
    script_expect(from, "70 02 0002");
    script_fini(&s);
}

/* What an earlier connection left open does not count for this one. */
static void receive_maximum_begins_anew(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, "limits.receive_maximum=2", NULL);
    struct script_client *c = script_connect(&s, 0, KEEP5("c"), "20 | 00 00 (21 0002 22 000a)");
    script_send(c, "34 | ['n'] 0001 (); 34 | ['n'] 0002 ()");
    script_expect(c, "50 03 0001 10; 50 03 0002 10");
    script_close(c);
    c = script_connect(&s, 0, KEEP5("c"), "20 | 01 00 (21 0002 22 000a)");
    script_send(c, "34 | ['n'] 0003 (); 34 | ['n'] 0004 (); 62 02 0001; 62 02 0002; 62 02 0003");
    script_expect(c, "50 03 0003 10; 50 03 0004 10; 70 02 0001; 70 02 0002; 70 02 0003");
    script_fini(&s);
}

static void maximum_packet_size_both_ways(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *from = connect4(&s, 0, "from");
    struct script_client *c =
        script_connect(&s, 0, "10 | ['MQTT'] 05 02 003c (27 00000014 22 0005) ['c']", CONNACK5);
    subscribe5(c, "#", 1);
    script_send(from, "32 | ['t'] 0001 '0123456789012'; 32 | ['t'] 0002 '012345678901'; 30 | "
                      "['alias1'] '012345678'");
    script_expect(from, "40 02 0001; 40 02 0002");
    /* the first one is over 20 bytes, and counts as delivered [MQTT-3.1.2-25]; the third would be
     * with an alias */
    script_expect(c, "32 | ['t'] 0002 () '012345678901'; 30 | ['alias1'] () '012345678'");
    script_send(c, "40 02 0002");
    script_settle(&s);
    assert_int_equal(script_counted(&s, GNT_COUNT_DROPPED_TOO_LARGE), 1);
    assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 0);
    /* An answer cannot be left out. */
    script_send(c,
                "82 | 0001 () ['0'] 00 ['1'] 00 ['2'] 00 ['3'] 00 ['4'] 00 ['5'] 00 ['6'] 00 "
                "['7'] 00 ['8'] 00 ['9'] 00 ['a'] 00 ['b'] 00 ['c'] 00 ['d'] 00 ['e'] 00 ['f'] 00");
    script_expect(c, "e0 | 95");
    script_expect_close(c);
    script_fini(&s);
}

static void full_queues(void **state)
{
    (void)state;
    static const struct {
        const char *policy, *left;
    } rows[] = {{"queue_full=drop_newest", "32 | ['t'] 0001 '1'; 32 | ['t'] 0002 '2'"},
                {"queue_full=drop_oldest", "32 | ['t'] 0001 '2'; 32 | ['t'] 0002 '3'"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct script s;
        script_init(&s, 1, rows[i].policy, "limits.queued_per_session=2", NULL);
        struct script_client *from = connect4(&s, 0, "from");
        struct script_client *c = script_connect(&s, 0, KEEP4("c"), CONNACK4);
        subscribe4(c, "t", 1);
        script_close(c);
        script_send(from, "32 | ['t'] 0001 '1'; 32 | ['t'] 0002 '2'; 32 | ['t'] 0003 '3'");
        script_expect(from, "40 02 0001; 40 02 0002; 40 02 0003");
        c = script_connect(&s, 0, KEEP4("c"), "20 02 01 00");
        script_expect(c, rows[i].left);
        assert_int_equal(script_counted(&s, GNT_COUNT_DROPPED_QUEUE_FULL), 1);
        script_fini(&s);
    }
}

static void a_full_queue_may_end_the_connection(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, "queue_full=disconnect", "queue_full_wait=0", "limits.queued_per_session=2",
                NULL);
    struct script_client *from = connect4(&s, 0, "from");
    struct script_client *c =
        script_connect(&s, 0, "10 | ['MQTT'] 05 02 003c (21 0001) ['c']", CONNACK5);
    subscribe5(c, "t", 1);
    for (int i = 0; i < 4; i++)
        script_send(from, "32 | ['t'] 0001 'x'");
    script_expect(from, "40 02 0001; 40 02 0001; 40 02 0001; 40 02 0001");
    script_expect(c, "32 | ['t'] 0001 () 'x'; e0 | 97 (1f ['quota exceeded'])");
    script_expect_close(c);
    script_fini(&s);
}

/* ---- $SYS */

static void sys_topics(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, "sys_interval=10s", NULL);
    script_settle(&s);
    struct script_client *c = connect4(&s, 0, "c");
    subscribe4(c, "$SYS/broker/version", 0);
    script_expectf(c, "31 | ['$SYS/broker/version'] 'gnatter version %s'", GNATTER_VERSION);
    subscribe4(c, "$SYS/broker/uptime", 0);
    script_expect(c, "31 | ['$SYS/broker/uptime'] '0 seconds'");
    subscribe4(c, "$SYS/broker/clients/connected", 0);
    script_expect(c, "31 | ['$SYS/broker/clients/connected'] '0'");
    struct script_client *all = connect4(&s, 1, "all");
    subscribe4(all, "#", 0);
    script_expect_silence(all); /* [MQTT-4.7.2-1] */
    script_pass(&s, 10200);
    script_expect(c, "30 | ['$SYS/broker/uptime'] '10 seconds'; "
                     "30 | ['$SYS/broker/clients/connected'] '2'");
    subscribe4(c, "$SYS/broker/load/sockets/1min", 0);
    script_settle(&s);
    assert_true(c->in_size > 30);
    script_skip(c);
    script_send(c, "31 | ['$SYS/broker/version'] 'forged'");
    subscribe4(c, "$SYS/broker/version", 0);
    script_expectf(c, "31 | ['$SYS/broker/version'] 'gnatter version %s'", GNATTER_VERSION);
    script_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publish_reaches_subscribers),
        cmocka_unit_test(acknowledgements_tell_more_in_mqtt5),
        cmocka_unit_test(properties_pass_through),
        cmocka_unit_test(aliases_of_the_client),
        cmocka_unit_test(aliases_towards_the_client),
        cmocka_unit_test(subscription_options),
        cmocka_unit_test(overlapping_subscriptions_are_one_delivery),
        cmocka_unit_test(shared_subscriptions),
        cmocka_unit_test(a_connection_ends_while_its_subscribe_waits),
        cmocka_unit_test(retained_messages),
        cmocka_unit_test(wills),
        cmocka_unit_test(a_session_waits_for_its_client),
        cmocka_unit_test(exactly_once_across_a_break),
        cmocka_unit_test(session_expiry),
        cmocka_unit_test(what_was_said_before_is_heard_before),
        cmocka_unit_test(take_over),
        cmocka_unit_test(receive_maximum_both_ways),
        cmocka_unit_test(receive_maximum_begins_anew),
        cmocka_unit_test(maximum_packet_size_both_ways),
        cmocka_unit_test(full_queues),
        cmocka_unit_test(a_full_queue_may_end_the_connection),
        cmocka_unit_test(sys_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
