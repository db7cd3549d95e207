/* Acknowledgements that are withheld while the queue of a connected receiver is full. */
#include "support/alloc_fault.h"
#include "support/script_client.h"
#include "support/unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNACK4 "20 02 00 00"

enum { LIMIT = 2, WAIT_MS = 5000 };

/* A receiver of 't' that takes one message at a time, and publishers. */
struct scene {
    struct script s;
    struct script_client *slow;
    unsigned workers;
    unsigned home;  /* of the publishers; the receiver's is the last */
    unsigned sent;  /* messages to 't', whose payloads are their numbers, from 1 */
    unsigned taken; /* by the receiver */
};

static struct script_client *connect4(struct scene *sc, unsigned worker, const char *id, bool clean)
{
    struct script_client *c = script_open(&sc->s, worker);
    script_sendf(c, "10 | ['MQTT'] 04 %02x 0000 ['%s']", clean ? 2u : 0u, id);
    return c;
}

/* A publisher: connects where its session lives, with number NUMBER. */
static struct script_client *publisher(struct scene *sc, unsigned number, unsigned version,
                                       bool clean)
{
    char id[16];
    script_id_at(&sc->s, sc->home, number, id);
    struct script_client *c;
    if (version == 4) {
        c = connect4(sc, sc->home, id, clean);
    } else {
        c = script_open(&sc->s, sc->home);
        script_sendf(c, "10 | ['MQTT'] 05 %02x 0000 (11 0000003c) ['%s']", clean ? 2u : 0u, id);
    }
    script_settle(&sc->s);
    script_read(c);
    assert_true(c->in_size >= 4 && c->in[0] == 0x20 && c->in[3] == 0);
    script_skip(c);
    return c;
}

static void connect_slow(struct scene *sc, const char *filter)
{
    char id[16];
    unsigned home = sc->workers - 1;
    sc->slow = script_open(&sc->s, home);
    script_sendf(sc->slow, "10 | ['MQTT'] 05 02 0000 (11 0000003c 21 0001) ['%s']",
                 script_id_at(&sc->s, home, 99, id));
    script_settle(&sc->s);
    script_read(sc->slow);
    assert_true(sc->slow->in_size > 4);
    script_skip(sc->slow);
    script_sendf(sc->slow, "82 | 0001 () ['%s'] 01", filter);
    script_expect(sc->slow, "90 | 0001 () 01");
}

static void open_scene_with(struct scene *sc, unsigned workers, const char *filter,
                            va_list settings)
{
    *sc = (struct scene){.workers = workers};
    script_init(&sc->s, workers, "limits.queued_per_session=2", "queue_full_wait=5s", NULL);
    for (const char *one; (one = va_arg(settings, const char *));)
        script_set(&sc->s, one);
    assert_int_equal(gnt_workers_reload(sc->s.workers, &sc->s.config), GNT_OK);
    script_settle(&sc->s);
    connect_slow(sc, filter);
}

/* Settings as of script_init, then NULL. */
static void open_scene(struct scene *sc, unsigned workers, ...)
{
    va_list settings;
    va_start(settings, workers);
    open_scene_with(sc, workers, "t", settings);
    va_end(settings);
}

static void open_shared(struct scene *sc, unsigned workers, ...)
{
    va_list settings;
    va_start(settings, workers);
    open_scene_with(sc, workers, "$share/g/t", settings);
    va_end(settings);
}

static void close_scene(struct scene *sc)
{
    sc->slow->careless = true;
    script_fini(&sc->s);
}

/* The next message from C, with this QOS and ID; VERSION 5 has no properties to say. */
static void publish(struct scene *sc, struct script_client *c, unsigned version, unsigned qos,
                    unsigned id)
{
    const char *props = version == 5 ? "()" : "";
    sc->sent++;
    if (qos)
        script_sendf(c, "%02x | ['t'] %04x %s '%u'", 0x30 | qos << 1, id, props, sc->sent);
    else
        script_sendf(c, "30 | ['t'] %s '%u'", props, sc->sent);
}

static void expect_answer(struct script_client *c, unsigned qos, unsigned id)
{
    script_expectf(c, "%02x 02 %04x", qos == 1 ? 0x40 : 0x50, id);
}

/* What the receiver's queue holds without anybody's waiting: acknowledged at once. */
static void fill(struct scene *sc)
{
    struct script_client *c = publisher(sc, 900, 4, true);
    unsigned surplus = sc->home + 1 < sc->workers; /* is on its way when the queue becomes full */
    for (unsigned i = 0; i < 1 + LIMIT + surplus; i++) {
        publish(sc, c, 4, 1, 1);
        expect_answer(c, 1, 1);
    }
    script_close(c);
    script_settle(&sc->s);
}

static void take_one(struct scene *sc)
{
    script_settle(&sc->s);
    script_read(sc->slow);
    assert_true(sc->slow->in_size > 7);
    sc->taken++;
    unsigned id = (unsigned)(sc->slow->in[5] << 8 | sc->slow->in[6]);
    script_expectf(sc->slow, "32 | ['t'] %04x () '%u'", id, sc->taken);
    script_sendf(sc->slow, "40 02 %04x", id);
    script_settle(&sc->s);
}

/* All that were sent arrive, once and in order. */
static void take_all(struct scene *sc)
{
    while (sc->taken < sc->sent)
        take_one(sc);
    script_expect_silence(sc->slow);
}

static void assert_dropped(const struct scene *sc, int64_t full)
{
    assert_int_equal(script_counted(&sc->s, GNT_COUNT_DROPPED_QUEUE_FULL), full);
}

/* ---- Withheld and given */

static void answers_wait_for_room(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        for (unsigned version = 4; version <= 5; version++) {
            for (unsigned qos = 1; qos <= 2; qos++) {
                struct scene sc;
                open_scene(&sc, workers, NULL);
                fill(&sc);
                struct script_client *c = publisher(&sc, 1, version, true);
                for (unsigned id = 1; id <= 3; id++) {
                    publish(&sc, c, version, qos, id);
                    script_expect_silence(c);
                }
                script_send(c, "c000");
                script_expect(c, "d000");
                if (workers == 2) /* what was on its way has its room first */
                    take_one(&sc);
                for (unsigned id = 1; id <= 3; id++) {
                    script_expect_silence(c);
                    take_one(&sc);
                    expect_answer(c, qos, id);
                }
                for (unsigned id = 1; id <= 3 && qos == 2; id++) {
                    script_sendf(c, "62 02 %04x", id);
                    script_expectf(c, "70 02 %04x", id);
                }
                take_all(&sc);
                assert_dropped(&sc, 0);
                close_scene(&sc);
            }
        }
    }
}

/* After its time the receiver is given up: who waited is answered, and nobody waits any more. */
static void nobody_waits_longer(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct scene sc;
        open_scene(&sc, workers, NULL);
        fill(&sc);
        unsigned kept = 1 + LIMIT;
        struct script_client *c = publisher(&sc, 1, 4, true);
        publish(&sc, c, 4, 1, 1);
        publish(&sc, c, 4, 2, 2);
        script_pass(&sc.s, WAIT_MS - 500);
        script_expect_silence(c);
        script_pass(&sc.s, 1000);
        script_expect(c, "40 02 0001; 50 02 0002");
        publish(&sc, c, 4, 1, 3);
        script_expect(c, "40 02 0003");
        assert_dropped(&sc, (int64_t)(sc.sent - kept));
        sc.sent = kept;
        take_all(&sc);
        close_scene(&sc);
    }
}

/* ---- The same message again */

static void again_on_the_same_connection(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct scene sc;
        open_scene(&sc, workers, NULL);
        fill(&sc);
        struct script_client *c = publisher(&sc, 1, 4, true);
        publish(&sc, c, 4, 2, 7);
        for (int i = 0; i < 3; i++) {
            script_sendf(c, "3c | ['t'] 0007 '%u'", sc.sent);
            script_expect_silence(c);
        }
        take_all(&sc);
        script_expect(c, "50 02 0007");
        script_sendf(c, "3c | ['t'] 0007 '%u'", sc.sent); /* now it can be told again */
        script_expect(c, "50 02 0007");
        script_send(c, "62 02 0007");
        script_expect(c, "70 02 0007");
        take_all(&sc);
        close_scene(&sc);
    }
}

/* The connection is closed by the client, or taken over; the session stays. */
static void again_after_a_reconnect(void **state)
{
    (void)state;
    for (int how = 0; how < 8; how++) {
        bool taken_over = how & 1, says_again = how & 2, twice = how & 4;
        struct scene sc;
        open_scene(&sc, 1 + (how & 1), NULL);
        fill(&sc);
        struct script_client *c = publisher(&sc, 1, 4, false), *old;
        publish(&sc, c, 4, 2, 7);
        publish(&sc, c, 4, 1, 8); /* its answer is nobody's on another connection */
        script_expect_silence(c);
        for (int i = 0; i <= twice; i++) {
            old = c;
            old->careless = true;
            if (!taken_over)
                script_close(old);
            c = publisher(&sc, 1, 4, false);
            script_close(old);
            if (says_again) {
                script_sendf(c, "3c | ['t'] 0007 '%u'; c000", sc.sent - 1);
                script_expect(c, "d000");
            }
        }
        script_expect_silence(c);
        take_all(&sc);
        if (says_again)
            script_expect(c, "50 02 0007");
        script_expect_silence(c);
        script_sendf(c, "3c | ['t'] 0007 '%u'", sc.sent - 1);
        script_expect(c, "50 02 0007");
        script_send(c, "62 02 0007");
        script_expect(c, "70 02 0007");
        take_all(&sc);
        close_scene(&sc);
    }
}

static void retained_messages_wait_each_for_its_room(void **state)
{
    (void)state;
    struct scene sc;
    open_scene(&sc, 1, NULL);
    fill(&sc);
    struct script_client *c = publisher(&sc, 1, 4, true);
    for (unsigned id = 1; id <= 3; id++)
        script_sendf(c, "33 | ['t'] %04x '%u'", id, ++sc.sent);
    for (unsigned id = 1; id <= 3; id++) {
        script_expect_silence(c);
        take_one(&sc);
        expect_answer(c, 1, id);
    }
    take_all(&sc);
    close_scene(&sc);
}

/* Who was told of the later one of two retained messages, and not of the earlier one, would send
 * that again, and it would replace the later one. */
static void retained_messages_are_answered_in_order(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 4; how++) {
        bool cut = how & 1;
        unsigned version = 4 + (how >> 1);
        const char *props = version == 5 ? "()" : "";
        struct scene sc;
        open_scene(&sc, 1, NULL);
        fill(&sc);
        struct script_client *c = publisher(&sc, 1, version, false);
        script_sendf(c, "33 | ['t'] 0001 %s 'old'", props);
        script_expect_silence(c);
        script_sendf(sc.slow, "a2 | 0002 () ['t']"); /* what it has already it keeps */
        script_expect(sc.slow, "32 | ['t'] 0001 () '1'; b0 | 0002 () 00");
        script_sendf(c, "33 | ['t'] 0002 %s 'new'; 32 | ['x'] 0003 %s 'x'", props, props);
        script_expect(c, version == 5 ? "40 03 0003 10" : "40 02 0003"); /* that one overtakes */
        script_expect_silence(c);
        if (cut) {
            script_close(c);
            c = publisher(&sc, 1, version, false);
            script_sendf(c, "3b | ['t'] 0001 %s 'old'; 3b | ['t'] 0002 %s 'new'", props, props);
            script_expect_silence(c);
        }
        script_send(sc.slow, "40 02 0001");
        script_expect(c, version == 4 ? "40 02 0001; 40 02 0002"
                         : cut        ? "40 03 0001 10; 40 03 0002 10"
                                      : "40 02 0001; 40 03 0002 10");
        struct script_client *late =
            script_connect(&sc.s, 0, "10 | ['MQTT'] 04 02 0000 ['late']", "20 02 00 00");
        script_send(late, "82 | 0001 ['t'] 00");
        script_expect(late, "90 | 0001 00; 31 | ['t'] 'new'");
        close_scene(&sc);
    }
}

/* A session that begins anew knows nothing of the old one's ids. */
static void a_new_session_has_its_own_ids(void **state)
{
    (void)state;
    struct scene sc;
    open_scene(&sc, 1, NULL);
    fill(&sc);
    struct script_client *c = publisher(&sc, 1, 4, false);
    publish(&sc, c, 4, 2, 7);
    script_expect_silence(c);
    script_close(c);
    c = publisher(&sc, 1, 4, true);
    publish(&sc, c, 4, 2, 7);
    script_expect_silence(c);
    take_one(&sc); /* the old one's */
    script_expect_silence(c);
    take_one(&sc);
    script_expect(c, "50 02 0007");
    take_all(&sc);
    close_scene(&sc);
}

/* A client that releases what it has not been told of is done with it: it is told nothing more, and
 * the next message with this id waits for its own turn. */
static void a_release_before_its_time(void **state)
{
    (void)state;
    for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
        struct scene sc;
        open_scene(&sc, 1, NULL);
        fill(&sc);
        struct script_client *c = publisher(&sc, 1, 4, false);
        publish(&sc, c, 4, 2, 7);
        script_expect_silence(c);
        if (elsewhere) {
            script_close(c);
            c = publisher(&sc, 1, 4, false);
        }
        script_send(c, "62 02 0007");
        script_expect(c, "70 02 0007");
        publish(&sc, c, 4, 2, 7);
        script_expect_silence(c);
        take_one(&sc); /* has room for the first of them */
        script_expect_silence(c);
        take_one(&sc);
        script_expect(c, "50 02 0007");
        take_all(&sc);
        close_scene(&sc);
    }
}

/* ---- Who goes beyond their window */

static void five_is_thrown_out(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        for (unsigned qos = 1; qos <= 2; qos++) {
            struct scene sc;
            open_scene(&sc, workers, "limits.receive_maximum=3", NULL);
            fill(&sc);
            struct script_client *c = publisher(&sc, 1, 5, true);
            publish(&sc, c, 5, 1, 1);
            publish(&sc, c, 5, 2, 2);
            publish(&sc, c, 5, qos, 3);
            script_send(c, "c000"); /* it may be at its maximum */
            script_expect(c, "d000");
            publish(&sc, c, 5, qos, 4);
            sc.sent--;
            script_expect(c, "e0 | 93 (1f ['receive maximum exceeded'])");
            script_expect_close(c);
            take_all(&sc);
            close_scene(&sc);
        }
    }
}

static void three_is_not_read(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        for (unsigned qos = 1; qos <= 2; qos++) {
            struct scene sc;
            open_scene(&sc, workers, "limits.receive_maximum=2", NULL);
            fill(&sc);
            struct script_client *c = publisher(&sc, 1, 4, true);
            publish(&sc, c, 4, qos, 1);
            script_send(c, "c000");
            script_expect(c, "d000");
            publish(&sc, c, 4, qos, 2);
            script_settle(&sc.s);
            publish(&sc, c, 4, qos, 3);
            script_send(c, "c000");
            script_expect_silence(c);
            if (workers == 2)
                take_one(&sc);
            script_expect_silence(c);
            take_one(&sc);
            expect_answer(c, qos, 1);
            script_expect(c, "d000");
            take_one(&sc);
            expect_answer(c, qos, 2);
            take_all(&sc);
            expect_answer(c, qos, 3);
            close_scene(&sc);
        }
    }
}

/* A packet that is worked on in slices stands between: what came behind it in the same read must
 * not be forgotten when the client is read again. */
static void what_was_read_already_is_not_forgotten(void **state)
{
    (void)state;
    enum { FILTERS = 600 };
    static char text[FILTERS * 16];
    size_t size = (size_t)snprintf(text, sizeof text, "82 | 0009");
    for (int i = 0; i < FILTERS; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "['f%d']00", i);
    struct scene sc;
    open_scene(&sc, 1, "limits.receive_maximum=2", NULL);
    fill(&sc);
    struct script_client *c = publisher(&sc, 1, 4, true);
    publish(&sc, c, 4, 1, 1);
    publish(&sc, c, 4, 1, 2);
    script_send(c, text);
    script_send(c, "c000");
    script_settle(&sc.s);
    script_read(c);
    assert_true(c->in_size > FILTERS && c->in[0] == 0x90);
    script_skip(c);
    take_all(&sc);
    script_expect(c, "40 02 0001; d000; 40 02 0002");
    close_scene(&sc);
}

static void bytes_are_bounded(void **state)
{
    (void)state;
    enum { SIZE = 2500 };
    char payload[SIZE + 1];
    memset(payload, 'x', SIZE);
    payload[SIZE] = '\0';
    for (unsigned version = 4; version <= 5; version++) {
        struct scene sc;
        open_scene(&sc, 1, "limits.output_per_connection=4096", NULL);
        fill(&sc);
        struct script_client *c = publisher(&sc, 1, version, true);
        for (unsigned id = 1; id <= 2; id++) {
            script_sendf(c, "32 | ['t'] %04x %s '%s'; c000", id, version == 5 ? "()" : "", payload);
            script_expect(c, "d000");
        }
        script_sendf(c, "32 | ['t'] 0003 %s 'z'; c000", version == 5 ? "()" : "");
        script_expect_silence(c);
        take_one(&sc);
        script_expect(c, "40 02 0001; d000");
        take_one(&sc);
        script_expect(c, "40 02 0002");
        take_one(&sc);
        script_expect(c, "40 02 0003");
        close_scene(&sc);
    }
}

/* What is withheld already counts on the session's next connection. */
static void a_reconnect_makes_no_room(void **state)
{
    (void)state;
    struct scene sc;
    open_scene(&sc, 1, "limits.receive_maximum=2", NULL);
    fill(&sc);
    struct script_client *c = publisher(&sc, 1, 4, false);
    publish(&sc, c, 4, 1, 1);
    publish(&sc, c, 4, 2, 2);
    script_settle(&sc.s);
    script_close(c);
    c = publisher(&sc, 1, 4, false);
    publish(&sc, c, 4, 1, 1);
    script_send(c, "c000");
    script_expect_silence(c);
    assert_int_equal(script_counted(&sc.s, GNT_COUNT_QUEUED), sc.sent - 1);
    take_one(&sc); /* nobody's answer, but it is read again */
    script_expect(c, "d000");
    take_all(&sc);
    script_expect(c, "40 02 0001");
    close_scene(&sc);
}

/* But those that nobody is answered any more are not of its Receive Maximum [MQTT5 4.9]. */
static void a_reconnect_has_its_own_window(void **state)
{
    (void)state;
    struct scene sc;
    open_scene(&sc, 1, "limits.receive_maximum=2", NULL);
    fill(&sc);
    struct script_client *c = publisher(&sc, 1, 5, false);
    for (int again = 0; again < 2; again++) {
        if (again) {
            script_close(c);
            c = publisher(&sc, 1, 5, false);
        }
        publish(&sc, c, 5, 1, 1);
        publish(&sc, c, 5, 1, 2);
        script_send(c, "c000");
        script_expect(c, "d000");
    }
    take_all(&sc);
    script_expect(c, "40 02 0001; 40 02 0002");
    close_scene(&sc);
}

/* Each is answered when its own bytes have room, whoever stands behind it. */
static void bytes_are_waited_for_in_order(void **state)
{
    (void)state;
    struct scene sc;
    open_scene(&sc, 1, "limits.queued_per_session=1000", "limits.queued_bytes_per_session=2", NULL);
    fill(&sc);
    struct script_client *c = publisher(&sc, 1, 4, true);
    for (unsigned id = 1; id <= 4; id++) {
        publish(&sc, c, 4, 1, id);
        script_expect_silence(c);
    }
    for (unsigned id = 1; id <= 4; id++) {
        take_one(&sc);
        script_expectf(c, "40 02 %04x", id);
        script_expect_silence(c);
    }
    take_all(&sc);
    close_scene(&sc);
}

/* ---- QoS 0 */

static void qos_0_is_dropped_by_default(void **state)
{
    (void)state;
    struct scene sc;
    open_scene(&sc, 1, NULL);
    fill(&sc);
    struct script_client *c = publisher(&sc, 1, 4, true);
    script_send(c, "30 | ['t'] 'x'; c000");
    script_expect(c, "d000");
    assert_dropped(&sc, 1);
    take_all(&sc);
    close_scene(&sc);
}

/* In order with QoS 0, in which there is nothing to acknowledge. */
static void take_all_as(struct scene *sc, unsigned qos0_from)
{
    while (sc->taken < sc->sent && sc->taken + 1 < qos0_from)
        take_one(sc);
    for (; sc->taken < sc->sent; sc->taken++)
        script_expectf(sc->slow, "30 | ['t'] () '%u'", sc->taken + 1);
    script_expect_silence(sc->slow);
}

static void qos_0_holds_its_publisher_back(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct scene sc;
        open_scene(&sc, workers, "queue_full_qos0=wait", NULL);
        fill(&sc);
        unsigned first = sc.sent + 1;
        struct script_client *c = publisher(&sc, 1, 4, true);
        publish(&sc, c, 4, 0, 0);
        script_settle(&sc.s);
        for (int i = 0; i < 20; i++)
            publish(&sc, c, 4, 0, 0);
        script_send(c, "c000");
        script_expect_silence(c);
        take_all_as(&sc, first);
        script_expect(c, "d000");
        assert_dropped(&sc, 0);
        close_scene(&sc);
    }
}

static void qos_0_is_not_held_for_ever(void **state)
{
    (void)state;
    struct scene sc;
    open_scene(&sc, 1, "queue_full_qos0=wait", NULL);
    fill(&sc);
    unsigned kept = sc.sent;
    struct script_client *c = publisher(&sc, 1, 4, true);
    publish(&sc, c, 4, 0, 0);
    script_settle(&sc.s);
    publish(&sc, c, 4, 0, 0);
    script_send(c, "c000");
    script_pass(&sc.s, WAIT_MS - 500);
    script_expect_silence(c);
    script_pass(&sc.s, 1000);
    script_expect(c, "d000");
    assert_dropped(&sc, 2);
    sc.sent = kept;
    take_all(&sc);
    close_scene(&sc);
}

/* ---- Keep alive */

/* Who is not read is not ended for its silence; who says nothing afterwards, is. */
static void who_is_not_read_is_not_missed(void **state)
{
    (void)state;
    struct scene sc;
    open_scene(&sc, 1, "limits.receive_maximum=1", "queue_full_wait=20s", NULL);
    fill(&sc);
    struct script_client *c = script_open(&sc.s, 0);
    script_send(c, "10 | ['MQTT'] 04 02 0002 ['alive']");
    script_expect(c, CONNACK4);
    publish(&sc, c, 4, 1, 1);
    script_pass(&sc.s, 15000);
    script_expect_silence(c);
    take_all(&sc);
    script_expect(c, "40 02 0001");
    script_pass(&sc.s, 1500); /* its time begins anew */
    script_expect_silence(c);
    script_send(c, "c000");
    script_expect(c, "d000");
    script_pass(&sc.s, 5000);
    script_expect_close(c);
    assert_int_equal(script_counted(&sc.s, GNT_COUNT_KEEP_ALIVE_TIMEOUTS), 1);
    close_scene(&sc);
}

/* ---- Ends */

static void its_publisher_goes(void **state)
{
    (void)state;
    for (int how = 0; how < 6; how++) {
        bool clean = how & 1;
        struct scene sc;
        open_scene(&sc, 1 + (how & 1), NULL);
        fill(&sc);
        struct script_client *c = publisher(&sc, 1, 4, clean);
        c->careless = true;
        publish(&sc, c, 4, 2, 1);
        publish(&sc, c, 4, 1, 2);
        script_settle(&sc.s);
        if (how / 2 == 0)
            script_close(c);
        else if (how / 2 == 1)
            script_send(c, "e000");
        else
            script_send(c, "ff");
        script_settle(&sc.s);
        script_close(c);
        take_all(&sc);
        assert_dropped(&sc, 0);
        close_scene(&sc);
    }
}

static void the_server_stops(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 4; how++) {
        struct scene sc;
        bool politely = how & 1;
        open_scene(&sc, 1 + how / 2, "queue_full_qos0=wait", NULL);
        fill(&sc);
        struct script_client *c = publisher(&sc, 1, 4, false), *d = publisher(&sc, 2, 4, true);
        c->careless = d->careless = true;
        publish(&sc, c, 4, 2, 1);
        publish(&sc, c, 4, 1, 2);
        publish(&sc, d, 4, 0, 0);
        script_settle(&sc.s);
        for (unsigned i = 0; politely && i < sc.workers; i++)
            gnt_worker_stop(&sc.s.workers->worker[i]);
        close_scene(&sc);
    }
}

/* The receiver goes: nobody waits, the policy applies. */
static void its_receiver_goes(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 6; how++) {
        struct scene sc;
        open_scene(&sc, 1 + (how & 1), NULL);
        fill(&sc);
        struct script_client *c = publisher(&sc, 1, 5, true);
        publish(&sc, c, 5, 1, 1);
        publish(&sc, c, 5, 2, 2);
        script_expect_silence(c);
        sc.slow->careless = true;
        if (how / 2 == 0)
            script_close(sc.slow);
        else if (how / 2 == 1)
            script_send(sc.slow, "e0 | 00 (11 00000000)"); /* and its session with it */
        else
            script_send(sc.slow, "a2 | 0002 () ['t']; e0 | 00 (11 00000000)");
        script_expect(c, "40 02 0001; 50 02 0002");
        script_pass(&sc.s, 61000);
        assert_int_equal(script_counted(&sc.s, GNT_COUNT_SESSIONS), 1);
        assert_int_equal(script_counted(&sc.s, GNT_COUNT_QUEUED), 0);
        publish(&sc, c, 5, 1, 3);
        script_expect(c, "40 03 0003 10");
        close_scene(&sc);
    }
}

/* ---- Oneself */

/* The client's acknowledgements stand in its stream behind what it publishes: it has to be read on
 * for room to come. */
static void who_publishes_to_itself_is_read_on(void **state)
{
    (void)state;
    for (int qos0 = 0; qos0 < 2; qos0++) {
        struct scene sc;
        open_scene(&sc, 1, "limits.receive_maximum=3", "limits.inflight_per_session=1",
                   "queue_full_qos0=wait", NULL);
        struct script_client *c = publisher(&sc, 1, 4, true);
        script_send(c, "82 | 0001 ['own'] 01");
        script_expect(c, "90 03 0001 01");
        for (unsigned i = 1; i <= 10; i++) {
            script_sendf(c, "32 | ['own'] %04x '%02u'", i, i);
            script_settle(&sc.s);
        }
        if (qos0) {
            script_send(c, "30 | ['own'] '11'");
            script_settle(&sc.s);
        }
        script_read(c);
        /* The first one, and what its queue has room for. */
        script_expect(c, "32 | ['own'] 0001 '01'; 40 02 0001; 40 02 0002; 40 02 0003");
        for (unsigned i = 1; i <= 10; i++) {
            script_sendf(c, "40 02 %04x", i);
            script_settle(&sc.s);
            script_read(c);
            if (i < 10)
                script_expectf(c, "32 | ['own'] %04x '%02u'", i + 1, i + 1);
            else if (qos0)
                script_expect(c, "30 | ['own'] '11'");
            if (i <= 7)
                script_expectf(c, "40 02 %04x", i + 3);
        }
        script_send(c, "c000");
        script_expect(c, "d000");
        assert_dropped(&sc, 0);
        close_scene(&sc);
    }
}

/* ---- What nobody waits for */

static void wills_are_dropped(void **state)
{
    (void)state;
    struct scene sc;
    open_scene(&sc, 1, NULL);
    fill(&sc);
    struct script_client *c = script_open(&sc.s, 0);
    script_send(c, "10 | ['MQTT'] 04 16 0000 ['willing'] ['t'] ['w']");
    script_expect(c, CONNACK4);
    script_close(c);
    script_settle(&sc.s);
    assert_dropped(&sc, 1);
    take_all(&sc);
    close_scene(&sc);
}

static void sys_topics_are_dropped(void **state)
{
    (void)state;
    struct scene sc;
    open_scene(&sc, 1, "sys_interval=1s", NULL);
    script_send(sc.slow, "82 | 0002 () ['$SYS/broker/ledger/#'] 01");
    script_settle(&sc.s);
    fill(&sc);
    script_pass(&sc.s, 3000);
    assert_true(script_counted(&sc.s, GNT_COUNT_DROPPED_QUEUE_FULL) > 0);
    close_scene(&sc);
}

/* ---- Reload */

static void reload(struct scene *sc, const char *setting)
{
    script_set(&sc->s, setting);
    assert_int_equal(gnt_workers_reload(sc->s.workers, &sc->s.config), GNT_OK);
    script_settle(&sc->s);
}

/* The new time counts for those who wait already. */
static void the_wait_is_changed(void **state)
{
    (void)state;
    struct scene sc;
    open_scene(&sc, 2, "queue_full_wait=1h", NULL);
    fill(&sc);
    struct script_client *c = publisher(&sc, 1, 4, true);
    publish(&sc, c, 4, 1, 1);
    publish(&sc, c, 4, 2, 2);
    script_pass(&sc.s, 3000);
    reload(&sc, "queue_full_wait=4s");
    script_expect_silence(c);
    script_pass(&sc.s, 1500);
    script_expect(c, "40 02 0001; 50 02 0002");
    sc.sent = 1 + LIMIT;
    take_all(&sc);
    fill(&sc);
    sc.taken = sc.sent - (1 + LIMIT + 1);
    close_scene(&sc);
}

static void the_wait_is_ended(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct scene sc;
        open_scene(&sc, workers, "queue_full_wait=1h", NULL);
        fill(&sc);
        struct script_client *c = publisher(&sc, 1, 4, true);
        publish(&sc, c, 4, 1, 1);
        script_expect_silence(c);
        reload(&sc, "queue_full_wait=0s");
        script_expect(c, "40 02 0001");
        publish(&sc, c, 4, 1, 2);
        script_expect(c, "40 02 0002");
        close_scene(&sc);
    }
}

/* More room answers who waits; what is over less room stays, and its publisher waits longer. */
static void the_limit_is_changed(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        for (int more = 0; more < 2; more++) {
            struct scene sc;
            open_scene(&sc, workers, NULL);
            fill(&sc);
            struct script_client *c = publisher(&sc, 1, 4, true);
            publish(&sc, c, 4, 1, 1);
            script_expect_silence(c);
            reload(&sc, more ? "limits.queued_per_session=100" : "limits.queued_per_session=1");
            if (more)
                script_expect(c, "40 02 0001");
            publish(&sc, c, 4, 1, 2);
            if (more)
                script_expect(c, "40 02 0002");
            if (workers == 2)
                take_one(&sc);
            for (unsigned id = 1; id <= 2 && !more; id++) {
                take_one(&sc);
                if (id == 1) {
                    script_expect_silence(c);
                    take_one(&sc);
                }
                expect_answer(c, 1, id);
            }
            take_all(&sc);
            assert_dropped(&sc, 0);
            close_scene(&sc);
        }
    }
}

/* ---- Shared groups */

static void groups_are_waited_for(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        for (unsigned qos = 1; qos <= 2; qos++) {
            struct scene sc;
            open_shared(&sc, workers, NULL);
            struct script_client *c = publisher(&sc, 1, 4, true);
            for (unsigned id = 1; id <= 9; id++) {
                publish(&sc, c, 4, qos, id);
                script_settle(&sc.s);
            }
            script_read(c);
            assert_in_range(c->in_size, 4, 8 * 4);
            take_all(&sc);
            script_read(c);
            assert_int_equal(c->in_size, 9 * 4);
            for (unsigned id = 1; id <= 9; id++)
                expect_answer(c, qos, id);
            assert_dropped(&sc, 0);
            close_scene(&sc);
        }
    }
}

/* Its only member goes, with its session or without: nobody waits for the group. */
static void groups_without_members_are_not(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 8; how++) {
        struct scene sc;
        unsigned qos = 1 + how / 4; /* what it has in flight comes back, or stays with it */
        open_shared(&sc, 1 + (how >> 1 & 1), NULL);
        script_sendf(sc.slow, "82 | 0002 () ['$share/g/t'] %02x", qos);
        script_expectf(sc.slow, "90 | 0002 () %02x", qos);
        struct script_client *c = publisher(&sc, 1, 4, true);
        for (unsigned id = 1; id <= 9; id++) {
            publish(&sc, c, 4, qos, id);
            script_settle(&sc.s);
        }
        script_read(c);
        assert_in_range(c->in_size, 4, 8 * 4);
        sc.slow->careless = true;
        if (how & 1)
            script_send(sc.slow, "e0 | 00 (11 00000000)");
        else
            script_close(sc.slow);
        for (unsigned id = 1; id <= 9; id++)
            expect_answer(c, qos, id);
        close_scene(&sc);
    }
}

/* ---- Memory */

static void take_what_there_is(struct scene *sc)
{
    for (;;) {
        script_settle(&sc->s);
        script_read(sc->slow);
        if (sc->slow->in_size < 7)
            return;
        script_sendf(sc->slow, "40 02 %02x%02x", sc->slow->in[5], sc->slow->in[6]);
        script_skip(sc->slow);
    }
}

/* Whatever allocation fails: nobody is answered twice, nothing that was acknowledged is missing but
 * what is counted for lack of memory, and the ledger adds up. */
static void memory_may_end_anywhere(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 8; how++) {
        unsigned workers = 1 + (how & 1), qos = 1 + (how >> 1 & 1);
        bool comes_again = how & 4;
        bool failed = true;
        for (long n = 0; failed; n++) {
            struct scene sc;
            open_scene(&sc, workers, NULL);
            fill(&sc);
            struct script_client *c = publisher(&sc, 1, 4, false), *bystander;
            bystander = publisher(&sc, 2, 4, true);
            c->careless = true;
            sc.slow->careless = true;
            char text[160];
            snprintf(text, sizeof text,
                     "%02x | ['t'] 0001 'a'; %02x | ['t'] 0002 'b'; %02x | ['t'] 0001 'a'",
                     0x30 | qos << 1, 0x30 | qos << 1, 0x38 | qos << 1);
            struct gnt_slice bytes = script_bytes(text);
            struct script_client *later = comes_again ? script_open(&sc.s, 0) : NULL;
            char id[16];
            script_id_at(&sc.s, 0, 1, id);
            snprintf(text, sizeof text, "10 | ['MQTT'] 04 00 0000 ['%s']; %02x | ['t'] 0001 'a'",
                     id, 0x38 | qos << 1);
            struct gnt_slice again = script_bytes(text);
            gnt_alloc_fail_at(n);
            script_send_bytes(c, bytes);
            script_settle(&sc.s);
            if (later) {
                later->careless = true;
                script_send_bytes(later, again);
                script_settle(&sc.s);
            }
            failed = gnt_alloc_failed();
            gnt_alloc_fail_at(-1);
            take_what_there_is(&sc);
            script_read(c);
            assert_int_equal(c->in_size % 4, 0);
            script_send(bystander, "c000");
            script_expect(bystander, "d000");
            free((void *)(uintptr_t)bytes.data);
            free((void *)(uintptr_t)again.data);
            close_scene(&sc);
        }
    }
}

/* Some queue at HOME, of 'u'. */
static void make_full(struct scene *sc, unsigned home)
{
    char id[16];
    struct script_client *c = script_open(&sc->s, home), *from;
    script_sendf(c, "10 | ['MQTT'] 05 02 0000 (21 0001) ['%s']; 82 | 0001 () ['u'] 01",
                 script_id_at(&sc->s, home, 50, id));
    c->careless = true;
    from = publisher(sc, 901, 4, true);
    for (unsigned i = 1; i <= 1 + LIMIT + 1; i++)
        script_sendf(from, "32 | ['u'] %04x 'u'", i);
    script_settle(&sc->s);
    script_close(from);
    assert_int_equal(atomic_load(&sc->s.workers->core->homes[home].full), 1);
}

/* It is held at home and could not be sent elsewhere, and then its connection has gone: when it
 * comes again it is not acknowledged as if it had arrived everywhere. */
static void what_failed_comes_again(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct scene sc;
        char id[16];
        open_scene(&sc, 2, NULL);
        sc.home = 1;
        fill(&sc);
        struct script_client *other = connect4(&sc, 0, script_id_at(&sc.s, 0, 7, id), true);
        script_expect(other, CONNACK4);
        script_send(other, "82 | 0001 ['t'] 01");
        script_expect(other, "90 03 0001 01");
        make_full(&sc, 0);
        struct script_client *c = publisher(&sc, 1, 4, false);
        publish(&sc, c, 4, 2, 7);
        gnt_alloc_fail_at(n);
        script_turn(&sc.s, 1);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        script_settle(&sc.s);
        script_close(c);
        script_settle(&sc.s);
        take_what_there_is(&sc);
        c = publisher(&sc, 1, 4, false);
        script_sendf(c, "3c | ['t'] 0007 '%u'", sc.sent);
        take_what_there_is(&sc);
        script_expect(c, "50 02 0007");
        script_read(other);
        assert_true(other->in_size >= 8); /* it has got it, perhaps twice */
        other->careless = true;
        close_scene(&sc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_wait_for_room),
        cmocka_unit_test(nobody_waits_longer),
        cmocka_unit_test(again_on_the_same_connection),
        cmocka_unit_test(again_after_a_reconnect),
        cmocka_unit_test(retained_messages_wait_each_for_its_room),
        cmocka_unit_test(retained_messages_are_answered_in_order),
        cmocka_unit_test(a_new_session_has_its_own_ids),
        cmocka_unit_test(a_release_before_its_time),
        cmocka_unit_test(five_is_thrown_out),
        cmocka_unit_test(three_is_not_read),
        cmocka_unit_test(what_was_read_already_is_not_forgotten),
        cmocka_unit_test(bytes_are_bounded),
        cmocka_unit_test(a_reconnect_makes_no_room),
        cmocka_unit_test(a_reconnect_has_its_own_window),
        cmocka_unit_test(bytes_are_waited_for_in_order),
        cmocka_unit_test(qos_0_is_dropped_by_default),
        cmocka_unit_test(qos_0_holds_its_publisher_back),
        cmocka_unit_test(qos_0_is_not_held_for_ever),
        cmocka_unit_test(who_is_not_read_is_not_missed),
        cmocka_unit_test(its_publisher_goes),
        cmocka_unit_test(the_server_stops),
        cmocka_unit_test(its_receiver_goes),
        cmocka_unit_test(who_publishes_to_itself_is_read_on),
        cmocka_unit_test(wills_are_dropped),
        cmocka_unit_test(sys_topics_are_dropped),
        cmocka_unit_test(the_wait_is_changed),
        cmocka_unit_test(the_wait_is_ended),
        cmocka_unit_test(the_limit_is_changed),
        cmocka_unit_test(groups_are_waited_for),
        cmocka_unit_test(groups_without_members_are_not),
        cmocka_unit_test(memory_may_end_anywhere),
        cmocka_unit_test(what_failed_comes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
