/* Greedy, stuck and surplus clients: slices, stalled writes, connect rate, another server. */
#include "support/alloc_fault.h"
#include "support/script_client.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#define CONNACK5 "20 | 00 00 (22 000a)"

enum { FILTERS = 700 };

static struct script_client *open5(struct script *s, unsigned worker, const char *id)
{
    struct script_client *c = script_open(s, worker);
    script_sendf(c, "10 | ['MQTT'] 05 02 0000 () ['%s']", id);
    return c;
}

static struct script_client *connect5(struct script *s, unsigned worker, const char *id)
{
    struct script_client *c = open5(s, worker, id);
    script_expect(c, CONNACK5);
    return c;
}

/* A packet in notation: HEAD, then "['f0'] TAIL ['f1'] TAIL ...", or TAIL alone. */
static const char *many(const char *head, bool names, const char *tail)
{
    static char text[FILTERS * 32];
    size_t size = (size_t)snprintf(text, sizeof text, "%s", head);
    for (int i = 0; i < FILTERS; i++) {
        if (names)
            size += (size_t)snprintf(text + size, sizeof text - size, "['f%d']", i);
        size += (size_t)snprintf(text + size, sizeof text - size, " %s", tail);
    }
    return text;
}

static void send_subscribe(struct script_client *c)
{
    script_send(c, many("82 | 0001 () ", true, "00"));
}

static void send_unsubscribe(struct script_client *c)
{
    script_send(c, many("a2 | 0002 () ", true, ""));
}

/* ---- Slices */

/* A bystander is answered before a packet with many filters is, and what stands behind that packet
 * is acted on after it. */
static void many_filters_wait_for_others(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *greedy = connect5(&s, 0, "greedy"), *other = connect5(&s, 0, "other");
    for (int round = 0; round < 2; round++) {
        if (round == 0)
            send_subscribe(greedy);
        else
            send_unsubscribe(greedy);
        script_send(greedy, "c000");
        script_send(other, "c000");
        script_turn(&s, 0);
        script_read(greedy);
        script_read(other);
        assert_int_equal(greedy->in_size, 0);
        assert_int_equal(other->in_size, 2);
        script_expect(other, "d000");
        script_expect(greedy, round == 0 ? many("90 | 0001 () ", false, "00")
                                         : many("b0 | 0002 () ", false, "00"));
        script_expect(greedy, "d000");
        assert_int_equal(script_counted(&s, GNT_COUNT_SUBSCRIPTIONS), round == 0 ? FILTERS : 0);
    }
    script_fini(&s);
}

/* Several greedy ones take turns, each keeps its order, and messages come in between. */
static void greedy_clients_take_turns(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, NULL);
    struct script_client *c[5];
    struct script_client *from = connect5(&s, 0, "from");
    char id[16];
    for (unsigned i = 0; i < COUNT_OF(c); i++)
        c[i] = connect5(&s, i % 2, script_id_at(&s, i % 2, i, id));
    for (unsigned i = 0; i < COUNT_OF(c); i++) {
        send_subscribe(c[i]);
        script_send(c[i], "c000; 82 | 0003 () ['x'] 00; c000");
    }
    script_settle(&s);
    for (unsigned i = 0; i < COUNT_OF(c); i++) {
        script_expect(c[i], many("90 | 0001 () ", false, "00"));
        script_expect(c[i], "d000; 90 | 0003 () 00; d000");
    }
    script_send(from, "30 | ['f699'] () 'm'");
    for (unsigned i = 0; i < COUNT_OF(c); i++)
        script_expect(c[i], "30 | ['f699'] () 'm'");
    script_fini(&s);
}

/* It ends in the middle: by the client, by a take-over, with the broker. */
static void ends_between_slices(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        struct script s;
        script_init(&s, 1, NULL);
        struct script_client *greedy = connect5(&s, 0, "greedy"), *other = connect5(&s, 0, "other");
        greedy->careless = true;
        send_subscribe(greedy);
        script_turn(&s, 0);
        if (how == 0)
            script_close(greedy);
        else if (how == 1)
            connect5(&s, 0, "greedy");
        else if (how == 2)
            gnt_worker_stop(&s.workers->worker[0]);
        if (how < 2) {
            script_send(other, "c000");
            script_expect(other, "d000");
            assert_int_equal(script_counted(&s, GNT_COUNT_SUBSCRIPTIONS), 0);
        }
        other->careless = true;
        s.hasty = how == 3;
        script_fini(&s);
    }
}

/* A session ends at once, what it leaves in the tree is cleared away later, and is nobody's. */
static void many_subscriptions_end(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) {
        struct script s;
        script_init(&s, 1, NULL);
        struct script_client *greedy = connect5(&s, 0, "greedy"), *other = connect5(&s, 0, "other");
        send_subscribe(greedy);
        script_expect(greedy, many("90 | 0001 () ", false, "00"));
        script_close(greedy);
        script_send(other, "c000");
        script_turn(&s, 0);
        script_read(other);
        assert_int_equal(other->in_size, 2);
        assert_int_equal(script_counted(&s, GNT_COUNT_SESSIONS), 1);
        assert_in_range(script_counted(&s, GNT_COUNT_SUBSCRIPTIONS), 1, FILTERS);
        script_skip(other);
        if (!early) {
            greedy = open5(&s, 0, "greedy");
            script_send(greedy, "82 | 0001 () ['f1'] 00; 30 | ['f1'] () 'x'");
            script_expect(greedy, CONNACK5 "; 90 | 0001 () 00; 30 | ['f1'] () 'x'");
            assert_int_equal(script_counted(&s, GNT_COUNT_SUBSCRIPTIONS), 1);
            script_send(other, "32 | ['f2'] 0001 () 'x'");
            script_expect(other, "40 | 0001 10");
        }
        script_fini(&s);
    }
}

static void more_filters_than_there_may_be(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, "limits.subscriptions_per_session=699", NULL);
    struct script_client *c = connect5(&s, 0, "c");
    send_unsubscribe(c);
    script_expect(c, "e0 | 97 (1f ['quota exceeded'])");
    script_expect_close(c);
    script_fini(&s);
}

static void slices_without_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n += 1 + n / 8) {
        struct script s;
        script_init(&s, 1, NULL);
        struct script_client *other = connect5(&s, 0, "other"), *c = connect5(&s, 0, "c");
        c->careless = true;
        struct gnt_slice subscribe = script_bytes(many("82 | 0001 () ", true, "00"));
        struct gnt_slice unsubscribe = script_bytes(many("a2 | 0002 () ", true, ""));
        gnt_alloc_fail_at(n);
        script_send_bytes(c, subscribe);
        script_send_bytes(c, unsubscribe);
        script_settle(&s);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        script_send(other, "c000");
        script_expect(other, "d000");
        script_close(c);
        script_settle(&s);
        assert_int_equal(script_counted(&s, GNT_COUNT_SUBSCRIPTIONS), 0);
        free((void *)(uintptr_t)subscribe.data);
        free((void *)(uintptr_t)unsubscribe.data);
        script_fini(&s);
    }
}

/* ---- Stalled writes */

/* Who takes nothing for a second is closed, though it goes on talking; who takes a little each
 * half second is not; its session keeps what it is due. */
static void nothing_is_taken(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, "limits.write_timeout=1s", NULL);
    s.capacity = 256;
    struct script_client *from = connect5(&s, 0, "from"), *slow = connect5(&s, 0, "slow");
    struct script_client *deaf = script_open(&s, 0);
    script_send(deaf, "10 | ['MQTT'] 05 02 0000 (11 0000003c) ['deaf']");
    script_expect(deaf, CONNACK5);
    script_send(deaf, "82 | 0001 () ['t'] 01");
    script_expect(deaf, "90 | 0001 () 01");
    script_send(slow, "82 | 0001 () ['t'] 00");
    script_expect(slow, "90 | 0001 () 00");
    deaf->deaf = slow->deaf = deaf->careless = slow->careless = true;
    for (int i = 0; i < 40; i++) {
        script_send(from, "32 | ['t'] 0001 () '0123456789012345678901234567890123456789'");
        script_expect(from, "40 02 0001");
    }
    for (int i = 0; i < 6; i++) {
        script_send(deaf, "c000");
        slow->deaf = false;
        script_read(slow);
        slow->deaf = true;
        script_skip(slow);
        script_pass(&s, 400);
    }
    assert_int_equal(script_counted(&s, GNT_COUNT_WRITE_TIMEOUTS), 1);
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTED), 2);
    assert_int_equal(script_counted(&s, GNT_COUNT_SESSIONS), 3);
    script_close(deaf);
    script_fini(&s);
}

/* ---- Connect rate */

/* As many as the rate at once, then one for each part of a second. */
static void connects_take_their_time(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, "limits.connect_rate=4", NULL);
    char id[16];
    for (unsigned i = 0; i < 4; i++)
        connect5(&s, i % 2, script_id_at(&s, i / 2, i, id));
    for (unsigned round = 0; round < 3; round++) {
        struct script_client *c = open5(&s, 0, "over");
        script_expect(c, "20 | 00 9f (1f ['connection rate exceeded'])");
        script_expect_close(c);
        script_pass(&s, 300);
        script_close(connect5(&s, 1, script_id_at(&s, 0, 9, id)));
    }
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTIONS_REFUSED), 3);
    script_set(&s, "limits.connect_rate=0");
    assert_int_equal(gnt_workers_reload(s.workers, &s.config), GNT_OK);
    for (unsigned i = 0; i < 20; i++)
        connect5(&s, i % 2, script_id_at(&s, i % 2, 10 + i, id));
    script_fini(&s);
}

/* ---- Another server */

/* A reload tells those that are connected, in the words that their version has, and their wills are
 * published: it was not they who went. */
static void a_reload_sends_all_elsewhere(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, NULL);
    char id[16];
    struct script_client *five = connect5(&s, 0, script_id_at(&s, 0, 1, id));
    struct script_client *other = connect5(&s, 0, script_id_at(&s, 1, 1, id));
    struct script_client *silent = script_open(&s, 0), *old = script_open(&s, 1);
    script_send(old, "10 | ['MQTT'] 04 06 0000 ['old'] ['will'] ['gone']");
    script_expect(old, "20 02 00 00");
    script_send(five, "a2 | 0001 () ['x']");
    script_expect(five, "b0 | 0001 () 11");
    script_set(&s, "moved.to=b.example:1883");
    script_set(&s, "moved.permanent=true");
    assert_int_equal(gnt_workers_reload(s.workers, &s.config), GNT_OK);
    script_expect(five, "e0 | 9d (1c ['b.example:1883'])");
    script_expect_close(five);
    script_expect(other, "e0 | 9d (1c ['b.example:1883'])");
    script_expect_close(other);
    script_expect_close(old);
    script_send(silent, "10 | ['MQTT'] 05 02 0000 () ['late']");
    script_expect(silent, "20 | 00 9d (1c ['b.example:1883'])");
    script_expect_close(silent);
    script_set(&s, "moved.to=none");
    assert_int_equal(gnt_workers_reload(s.workers, &s.config), GNT_OK);
    connect5(&s, 0, "again");
    script_fini(&s);
}

/* The surplus is sent elsewhere, and whoever has room stays. */
static void the_surplus_is_sent_elsewhere(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, "limits.connections=1", "moved.to=b:1", "moved.clients=surplus", NULL);
    struct script_client *c = connect5(&s, 0, "c"), *one, *two;
    one = script_open(&s, 1);
    two = script_open(&s, 0);
    script_send(two, "10 | ['MQTT'] 04 02 0000 ['two']");
    script_expect(two, "20 02 00 03");
    script_expect_close(two);
    assert_int_equal(gnt_workers_reload(s.workers, &s.config), GNT_OK);
    script_expect_silence(c);
    script_send(one, "10 | ['MQTT'] 05 02 0000 () ['one']");
    script_expect(one, "20 | 00 9c (1c ['b:1'])");
    script_expect_close(one);
    one = script_open(&s, 1); /* and there is no other server any more when it speaks */
    script_settle(&s);
    script_set(&s, "moved.to=none");
    assert_int_equal(gnt_workers_reload(s.workers, &s.config), GNT_OK);
    script_settle(&s);
    script_send(one, "10 | ['MQTT'] 05 02 0000 () ['one']");
    script_expect(one, "20 | 00 97 (1f ['quota exceeded'])");
    script_expect_close(one);
    script_expect_close(script_open(&s, 0));
    script_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_filters_wait_for_others),
        cmocka_unit_test(greedy_clients_take_turns),
        cmocka_unit_test(ends_between_slices),
        cmocka_unit_test(many_subscriptions_end),
        cmocka_unit_test(more_filters_than_there_may_be),
        cmocka_unit_test(slices_without_memory),
        cmocka_unit_test(nothing_is_taken),
        cmocka_unit_test(connects_take_their_time),
        cmocka_unit_test(a_reload_sends_all_elsewhere),
        cmocka_unit_test(the_surplus_is_sent_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
