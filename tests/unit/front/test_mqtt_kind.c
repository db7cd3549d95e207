/* Old clients are met kindly, and what brought an older broker down does not come back: regular
 * expressions for filters, queues that were emptied on close, a dictionary that changed while it
 * was walked, one stalled client before whom all others waited. */
#include "support/script_client.h"
#include "support/unit.h"

#include <stdio.h>

#define CONNACK4 "20 02 00 00"

static struct script_client *connect4(struct script *s, unsigned worker, const char *id)
{
    struct script_client *c = script_open(s, worker);
    script_sendf(c, "10 | ['MQTT'] 04 02 003c ['%s']", id);
    script_expect(c, CONNACK4);
    return c;
}

static void subscribe4(struct script_client *c, const char *filter, unsigned qos)
{
    script_sendf(c, "82 | 0001 ['%s'] %02x", filter, qos);
    script_expectf(c, "90 | 0001 %02x", qos);
}

/* ---- Filters */

static void filters_are_no_regular_expressions(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *matches, *not ;
    } rows[] = {
        {"a(b", "a(b", "ab"},
        {"a[b", "a[b", "a"},
        {"a.b", "a.b", "axb"},
        {"a$b", "a$b", "a"},
        {"a*", "a*", "aa"},
        {"^a", "^a", "a"},
        {"a\\\\d", "a\\\\d", "a1"},
        {"a|b", "a|b", "a"},
        {"a/+/c", "a/x/c", "a/x/y/c"},
        {"exact", "exact", "exact/no"},
        {"tail", "tail", "no/tail"},
        {"x/#", "x", "xx"},
        {"y/#", "y/", "yy/y"},
        {"b/+/c", "b//c", "b/c"},
        {"#", "any/thing", "$any/x"},
        {"+/+", "/", "$any/x"},
        {"$any/#", "$any/x", "any/x"},
        {"/", "/", "//"},
    };
    struct script s;
    script_init(&s, 2, NULL);
    s.input_max = 4096;
    struct script_client *from = connect4(&s, 0, "from");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char id[16];
        struct script_client *c = connect4(&s, 0, script_id_at(&s, i % 2, 1, id));
        subscribe4(c, rows[i].filter, 0);
        script_sendf(from, "30 | ['%s'] 'no'; 30 | ['%s'] 'yes'", rows[i].not, rows[i].matches);
        script_expectf(c, "30 | ['%s'] 'yes'", rows[i].matches);
        script_send(c, "e000");
        script_expect_close(c);
    }
    script_fini(&s);
}

static void a_second_subscribe_changes_the_quality(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *c = connect4(&s, 0, "c");
    subscribe4(c, "t", 0);
    subscribe4(c, "t", 1);
    script_send(c, "32 | ['t'] 0001 'x'");
    script_expect(c, "32 | ['t'] 0001 'x'; 40 02 0001");
    script_send(c, "40 02 0001");
    subscribe4(c, "t", 0);
    script_send(c, "32 | ['t'] 0001 'y'");
    script_expect(c, "30 | ['t'] 'y'; 40 02 0001");
    script_fini(&s);
}

static void quality_three_is_not_granted(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *c = connect4(&s, 0, "c");
    script_send(c, "82 | 0001 ['t'] 03");
    script_expect_close(c);
    script_fini(&s);
}

/* ---- Publishing and going */

static void publish_and_disconnect_loses_nothing(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct script s;
        script_init(&s, workers, NULL);
        char id[16];
        struct script_client *to = connect4(&s, 0, script_id_at(&s, workers - 1, 0, id));
        subscribe4(to, "t", 0);
        struct script_client *from = script_open(&s, 0);
        script_send(from, "10 | ['MQTT'] 04 02 003c ['from']");
        for (int i = 0; i < COUNT; i++)
            script_sendf(from, "30 | ['t'] %04x", i);
        script_send(from, "e000");
        script_close(from);
        for (int i = 0; i < COUNT; i++)
            script_expectf(to, "30 | ['t'] %04x", i);
        script_fini(&s);
    }
}

static void retain_is_for_new_subscribers(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, NULL);
    struct script_client *c = connect4(&s, 0, "c");
    subscribe4(c, "r/#", 0);
    script_send(c, "31 | ['r/1'] 'x'; 31 | ['r/2']"); /* the second clears what is not there */
    script_expect(c, "30 | ['r/1'] 'x'; 30 | ['r/2']");
    subscribe4(c, "r/+", 0);
    script_expect(c, "31 | ['r/1'] 'x'");
    assert_int_equal(script_counted(&s, GNT_COUNT_RETAINED), 1);
    script_fini(&s);
}

static void every_queued_message_is_delivered(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, NULL);
    struct script_client *from = connect4(&s, 0, "from");
    struct script_client *c = script_connect(&s, 1, "10 | ['MQTT'] 04 00 003c ['c']", CONNACK4);
    subscribe4(c, "t", 1);
    for (int round = 0; round < 20; round++) {
        script_close(c);
        for (int i = 1; i <= 3; i++)
            script_sendf(from, "32 | ['t'] 0001 'm%u'", i);
        script_expect(from, "40 02 0001; 40 02 0001; 40 02 0001");
        c = script_connect(&s, (unsigned)round % 2, "10 | ['MQTT'] 04 00 003c ['c']",
                           "20 02 01 00");
        for (int i = 1; i <= 3; i++) {
            int id = round * 3 + i;
            script_expectf(c, "32 | ['t'] %04x 'm%u'", id, i);
            script_sendf(c, "40 02 %04x", id);
        }
    }
    script_fini(&s);
}

/* ---- Many, and rude ones */

static void a_hundred_come_while_others_subscribe(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    struct script s;
    script_init(&s, 3, NULL);
    s.input_max = 8192;
    struct script_client *c[COUNT];
    for (unsigned i = 0; i < COUNT; i++) { /* all at once, nobody waits for an answer */
        c[i] = script_open(&s, i % 3);
        script_sendf(c[i], "10 | ['MQTT'] 04 02 003c ['c%u']; 82 | 0001 ['all'] 00 ['one/%u'] 01",
                     i, i);
        if (i % 7 == 0)
            script_turn(&s, i % 3);
    }
    for (unsigned i = 0; i < COUNT; i++)
        script_expect(c[i], CONNACK4 "; 90 | 0001 00 01");
    script_send(c[0], "30 | ['all'] 'x'");
    for (unsigned i = 0; i < COUNT; i++) {
        script_expect(c[i], "30 | ['all'] 'x'");
        script_sendf(c[i], "30 | ['one/%u'] 'y'", (i + 1) % COUNT);
    }
    for (unsigned i = 0; i < COUNT; i++)
        script_expectf(c[i], "30 | ['one/%u'] 'y'", i);
    script_fini(&s);
}

/* A port probe, one that publishes and goes, one that stalls in its first packet. */
static void nobody_waits_for_a_rude_one(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    script_close(script_open(&s, 0));
    struct script_client *c = script_open(&s, 0), *stalled = script_open(&s, 0);
    script_send(stalled, "10 13 0004 'MQ'");
    script_send(c, "10 | ['MQTT'] 04 02 003c ['c']; 30 | ['t'] 'x'; e000");
    script_close(c);
    c = connect4(&s, 0, "next");
    subscribe4(c, "t", 0);
    script_send(c, "30 | ['t'] 'x'");
    script_expect(c, "30 | ['t'] 'x'");
    script_send(stalled, "'TT' 04 02 003c ['stalled']");
    script_expect(stalled, CONNACK4);
    script_fini(&s);
}

/* ---- Clients of MQTT 3.1's time */

/* The same PUBLISH with DUP on a live connection, and its companions. */
static void repeated_packets(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *to = connect4(&s, 0, "to");
    subscribe4(to, "t", 2);
    struct script_client *c = script_connect(
        &s, 0, "10 | ['MQIsdp'] 03 02 003c ['a client id of more than 23 characters']", CONNACK4);
    script_send(c, "34 | ['t'] 0001 'x'; 3c | ['t'] 0001 'x'; 3c | ['t'] 0001 'x'");
    script_expect(c, "50 02 0001; 50 02 0001; 50 02 0001");
    script_send(c, "62 02 0001; 6a 02 0001");
    script_expect(c, "70 02 0001; 70 02 0001");
    script_expect(to, "34 | ['t'] 0001 'x'");
    script_send(to, "50 02 0001; 50 02 0001");
    script_expect(to, "62 02 0001; 62 02 0001");
    script_send(to, "70 02 0001; 70 02 0001; 40 02 0001");
    script_expect_silence(to);
    script_send(c, "32 | ['t'] 0002 'y'; 3a | ['t'] 0002 'y'"); /* at least once */
    script_expect(c, "40 02 0002; 40 02 0002");
    script_expect(to, "32 | ['t'] 0002 'y'; 32 | ['t'] 0003 'y'");
    script_send(to, "40 02 0003; 40 02 0002"); /* in any order */
    script_send(to, "8a | 0004 ['u'] 01");     /* DUP on SUBSCRIBE is 3.1's */
    script_expect_close(to);
    script_send(c, "8a | 0004 ['u'] 01; aa | 0005 ['u']");
    script_expect(c, "90 | 0004 01; b0 | 0005");
    script_fini(&s);
}

static void a_thousand_unreleased_messages(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    struct script s;
    script_init(&s, 2, "limits.receive_maximum=20", NULL); /* of which 3.1.1 is not told */
    struct script_client *to = connect4(&s, 0, "to"), *c = connect4(&s, 1, "c");
    subscribe4(to, "t", 0);
    for (int i = 1; i <= COUNT; i++)
        script_sendf(c, "34 | ['t'] %04x 'x'", i);
    for (int i = 1; i <= COUNT; i++)
        script_expectf(c, "50 02 %04x", i);
    for (int i = COUNT; i >= 1; i--)
        script_sendf(c, "62 02 %04x", i);
    for (int i = COUNT; i >= 1; i--)
        script_expectf(c, "70 02 %04x", i);
    for (int i = 1; i <= COUNT; i++)
        script_expect(to, "30 | ['t'] 'x'");
    script_fini(&s);
}

static void order_over_a_thousand_messages(void **state)
{
    (void)state;
    enum { COUNT = 1000, WINDOW = 10 };
    for (unsigned qos = 0; qos <= 2; qos++) {
        struct script s;
        script_init(&s, 3, "limits.inflight_per_session=10", "limits.queued_per_session=1000",
                    NULL);
        char id[16];
        struct script_client *to = connect4(&s, 0, script_id_at(&s, 2, 0, id));
        struct script_client *from = connect4(&s, 0, script_id_at(&s, 1, 1, id));
        subscribe4(to, "t", qos);
        for (unsigned i = 0; i < COUNT; i++)
            script_sendf(from, "34 | ['t'] %04x '%u'", i + 1, i);
        script_settle(&s);
        script_skip(from);
        for (unsigned i = 0; i < COUNT; i++) {
            if (qos == 2 && i >= WINDOW)
                script_expectf(to, "62 02 %04x", i - WINDOW + 1);
            if (qos == 0)
                script_expectf(to, "30 | ['t'] '%u'", i);
            else
                script_expectf(to, "%x | ['t'] %04x '%u'", 0x30 + 2 * qos, i + 1, i);
            if (qos == 1)
                script_sendf(to, "40 02 %04x", i + 1);
            if (qos == 2)
                script_sendf(to, "50 02 %04x; 70 02 %04x", i + 1, i + 1);
        }
        for (unsigned i = COUNT - WINDOW; i < COUNT && qos == 2; i++)
            script_expectf(to, "62 02 %04x", i + 1);
        script_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_are_no_regular_expressions),
        cmocka_unit_test(a_second_subscribe_changes_the_quality),
        cmocka_unit_test(quality_three_is_not_granted),
        cmocka_unit_test(publish_and_disconnect_loses_nothing),
        cmocka_unit_test(retain_is_for_new_subscribers),
        cmocka_unit_test(every_queued_message_is_delivered),
        cmocka_unit_test(a_hundred_come_while_others_subscribe),
        cmocka_unit_test(nobody_waits_for_a_rude_one),
        cmocka_unit_test(repeated_packets),
        cmocka_unit_test(a_thousand_unreleased_messages),
        cmocka_unit_test(order_over_a_thousand_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
