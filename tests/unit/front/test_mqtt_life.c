/* The life of connections: moving home, back-pressure, slow readers, time, the end. */
#include "front/mqtt/connection.h"
#include "support/alloc_fault.h"
#include "support/script_client.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#define CONNACK4 "20 02 00 00"
#define CONNACK5 "20 | 00 00 (22 000a)"

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

/* A PUBLISH of QoS 1 with id 1 to 't', SIZE bytes of payload, in a block to be freed. */
static struct gnt_slice large_publish(size_t size)
{
    enum { HEAD = 10 };
    size_t remaining = 2 + 1 + 2 + size;
    uint8_t *bytes = malloc(HEAD + size), *at = bytes;
    assert_non_null(bytes);
    *at++ = 0x32;
    for (; remaining > 0x7f; remaining >>= 7)
        *at++ = (uint8_t)(remaining | 0x80);
    *at++ = (uint8_t)remaining;
    memcpy(at, "\0\1t\0\1", 5);
    at += 5;
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(i * 2654435761u >> 24);
    return gnt_slice(bytes, (size_t)(at - bytes) + size);
}

#define CONVERSATION                                                  \
    "10 | ['MQTT'] 05 06 003c (22 000a) ['%s'] () ['w'] ['x'];"       \
    "82 | 0001 () ['topic/+'] 02;"                                    \
    "34 | ['topic/1'] 0001 (23 0001 26 ['a'] ['b']) 'x'; 62 02 0001;" \
    "30 | [] (23 0001) 'y'; c000; a2 | 0002 () ['topic/+']; e000"

static const char answers[] =
    CONNACK5 "; 90 | 0001 () 02;"
             "34 | ['topic/1'] 0001 (23 0001 26 ['a'] ['b']) 'x'; 50 02 0001; 70 02 0001;"
             "30 | [] (23 0001) 'y'; d000; b0 | 0002 () 00";

/* The same bytes, the same answers, however the stream is cut and wherever the client's home is:
 * with the first cut the connection moves with anything from nothing to all of the rest unread. */
static void cuts_make_no_difference(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        for (size_t cut = 1, size = 2; cut < size; cut++) {
            struct script s;
            char id[16], text[1024];
            script_init(&s, workers, NULL);
            struct script_client *c = script_open(&s, 0);
            snprintf(text, sizeof text, CONVERSATION, script_id_at(&s, workers - 1, 0, id));
            struct gnt_slice bytes = script_bytes(text);
            size = bytes.size;
            script_send_bytes(c, gnt_slice(bytes.data, cut));
            script_settle(&s);
            script_send_bytes(c, gnt_slice_skip(bytes, cut));
            script_expect(c, answers);
            script_expect_close(c);
            assert_int_equal(script_counted(&s, GNT_COUNT_PACKETS_RECEIVED), 8);
            assert_int_equal(script_counted(&s, GNT_COUNT_PACKETS_SENT), 8);
            free((void *)(uintptr_t)bytes.data);
            script_fini(&s);
        }
    }
}

static void byte_by_byte(void **state)
{
    (void)state;
    struct script s;
    char id[16], text[1024];
    script_init(&s, 3, NULL);
    struct script_client *c = script_open(&s, 0);
    snprintf(text, sizeof text, CONVERSATION, script_id_at(&s, 2, 0, id));
    struct gnt_slice bytes = script_bytes(text);
    for (size_t i = 0; i < bytes.size; i++) {
        script_send_bytes(c, gnt_slice(bytes.data + i, 1));
        script_settle(&s);
    }
    script_expect(c, answers);
    script_expect_close(c);
    free((void *)(uintptr_t)bytes.data);
    script_fini(&s);
}

static void a_large_payload_goes_through(void **state)
{
    (void)state;
    enum { SIZE = 10 << 20 };
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct script s;
        script_init(&s, workers, NULL);
        s.input_max = SIZE + 1024;
        char id[16];
        struct script_client *from = connect4(&s, 0, script_id_at(&s, 0, 0, id));
        struct script_client *to = connect4(&s, 0, script_id_at(&s, workers - 1, 1, id));
        subscribe4(to, "t", 1);
        struct gnt_slice bytes = large_publish(SIZE);
        for (int i = 0; i < 3; i++) {
            script_send_bytes(from, bytes);
            script_expect(from, "40 02 0001");
            assert_int_equal(to->in_size, bytes.size);
            to->in[bytes.size - SIZE - 1] = 1; /* their packet ids are 1, 2, 3 */
            assert_memory_equal(to->in, bytes.data, bytes.size);
            script_skip(to);
            script_sendf(to, "40 02 %04x", i + 1);
        }
        free((void *)(uintptr_t)bytes.data);
        script_fini(&s);
    }
}

/* What a client announces is not believed before it comes. */
static void an_announcement_takes_no_memory(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *c = connect4(&s, 0, "c");
    script_send(c, "30 ffffff7f 0001 'x'");
    script_settle(&s);
    struct gnt_list *first = s.workers->mqtt.fronts[0].connections.next;
    const struct gnt_mqtt_connection *connection =
        GNT_CONTAINER(first, struct gnt_mqtt_connection, link);
    assert_in_range(connection->in.cap, 1, 256 * 1024);
    script_fini(&s);
}

/* ---- The end */

/* A refusal can be read before the close though the client goes on sending; who never ends is cut
 * off after a while. */
static void a_refusal_can_be_read(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *c = script_open(&s, 0);
    c->deaf = true;
    script_send(c, "10 | ['MQTT'] 04 00 003c []; 82 | 0001 ['t'] 00; 30 | ['t'] 'x'");
    script_settle(&s);
    script_send(c, "30 | ['t'] 'y'");
    script_pass(&s, 1000);
    script_send(c, "30 | ['t'] 'y'");
    assert_int_equal(s.workers->lobby.connections, 1);
    c->deaf = false;
    script_expect(c, "20 02 00 02");
    script_settle(&s);
    assert_true(c->ended);
    script_pass(&s, 5000);
    assert_int_equal(s.workers->lobby.connections, 0);
    script_expect_close(c);
    assert_int_equal(script_counted(&s, GNT_COUNT_PUBLISH_RECEIVED), 0);
    script_fini(&s);
}

/* A client that has closed its direction may still wait for answers. */
static void a_half_closed_client_gets_its_answers(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, NULL);
    struct script_client *c = script_open(&s, 0);
    script_send(c, "10 | ['MQTT'] 04 02 003c ['c']; 32 | ['t'] 0001 'x'; c000");
    gnt_stream_finish(c->stream);
    script_expect(c, CONNACK4 "; 40 02 0001; d000");
    script_expect_close(c);
    assert_int_equal(s.workers->lobby.connections, 0);
    script_fini(&s);
}

static void connections_that_never_speak(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, "limits.connect_timeout=5s", NULL);
    struct script_client *silent = script_open(&s, 0), *slow = script_open(&s, 1);
    struct script_client *gone = script_open(&s, 0);
    script_close(gone); /* a port probe */
    script_send(slow, "10 20 0004 'MQ'");
    script_pass(&s, 4900);
    script_expect_silence(silent);
    script_expect_silence(slow);
    script_pass(&s, 200);
    script_expect_close(silent);
    script_expect_close(slow);
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTIONS_REFUSED), 3);
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTIONS_ACCEPTED), 3);
    assert_int_equal(s.workers->lobby.connections, 0);
    script_fini(&s);
}

/* [MQTT-3.1.2-22]: one and a half times the keep alive; any packet counts. */
static void keep_alive(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *c = script_open(&s, 0), *forever = script_open(&s, 0);
    script_send(c, "10 | ['MQTT'] 04 02 000a ['c']");
    script_send(forever, "10 | ['MQTT'] 04 02 0000 ['forever']");
    script_expect(c, CONNACK4);
    script_expect(forever, CONNACK4);
    script_pass(&s, 14900);
    script_send(c, "40 02 0001");
    script_pass(&s, 14900);
    script_expect_silence(c);
    script_send(c, "c0"); /* a part is not a packet */
    script_pass(&s, 200);
    script_expect_close(c);
    assert_int_equal(script_counted(&s, GNT_COUNT_KEEP_ALIVE_TIMEOUTS), 1);
    script_pass(&s, 3600 * 1000);
    script_send(forever, "c000");
    script_expect(forever, "d000");
    script_fini(&s);
}

static void too_many_connections(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, "limits.connections=2", NULL);
    struct script_client *a = connect4(&s, 0, "a");
    connect4(&s, 1, "b");
    struct script_client *c = script_open(&s, 1);
    script_expect_close(c);
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTIONS_REFUSED), 1);
    script_close(a);
    script_settle(&s);
    connect4(&s, 1, "c");
    script_fini(&s);
}

static void good_bye(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, NULL);
    struct script_client *c5 =
        script_connect(&s, 0, "10 | ['MQTT'] 05 06 003c () ['c5'] () ['w'] ['x']", CONNACK5);
    struct script_client *c4 = connect4(&s, 0, "c4"), *fresh = script_open(&s, 0);
    subscribe4(c4, "#", 0);
    char id[16];
    struct script_client *moving = script_open(&s, 0); /* in the mail when the other one stops */
    script_sendf(moving, "10 | ['MQTT'] 04 02 003c ['%s']", script_id_at(&s, 1, 7, id));
    script_turn(&s, 0);
    for (unsigned i = 0; i < 2; i++)
        gnt_worker_stop(&s.workers->worker[i]);
    script_expect(c5, "e0 | 8b (1f ['server shutting down'])");
    script_expect_close(c5);
    script_expect_close(c4);
    script_expect_close(fresh);
    script_expect_close(moving);
    script_expect_close(script_open(&s, 0));
    assert_true(gnt_worker_idle(&s.workers->worker[0]));
    assert_true(gnt_worker_idle(&s.workers->worker[1]));
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTIONS_REFUSED), 3);
    script_fini(&s);
}

/* Everything may be under way when the workers are freed. */
static void freed_in_the_middle_of_things(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 12; turns++) {
        struct script s;
        script_init(&s, 3, NULL);
        for (unsigned i = 0; i < 6; i++) {
            struct script_client *c = script_open(&s, i % 3);
            c->careless = true;
            script_sendf(c,
                         "10 | ['MQTT'] 04 00 003c ['c%u']; 82 | 0001 ['#'] 01 ['$share/g/#'] 01;"
                         "32 | ['t'] 0001 'x'; 31 | ['r'] 'x'",
                         i);
        }
        for (unsigned i = 0; i < turns; i++)
            script_turn(&s, (i * 7) % 3);
        for (size_t i = 0; i < s.count; i++) {
            script_close(&s.client[i]);
            free(s.client[i].in);
        }
        s.count = 0;
        gnt_workers_free(&s.workers);
        gnt_config_fini(&s.config);
        gnt_rcu_unregister();
        gnt_rcu_barrier();
    }
}

/* ---- Slow readers and back-pressure */

/* A client that does not read holds a bounded part of memory, and nobody up. */
static void a_slow_reader_holds_nobody_up(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, "limits.output_per_connection=64KiB", "limits.queued_per_session=100", NULL);
    s.capacity = 4096;
    struct script_client *slow = connect4(&s, 0, "slow");
    struct script_client *from = connect4(&s, 1, "from"), *to = connect4(&s, 0, "to");
    subscribe4(slow, "t", 0);
    subscribe4(to, "t", 0);
    slow->deaf = true;
    enum { COUNT = 400, SIZE = 1000 };
    char payload[SIZE + 1];
    memset(payload, 'x', SIZE);
    payload[SIZE] = '\0';
    for (int i = 0; i < COUNT; i++) {
        script_sendf(from, "30 | ['t'] '%s'", payload);
        script_expectf(to, "30 | ['t'] '%s'", payload);
    }
    int64_t dropped = script_counted(&s, GNT_COUNT_DROPPED_QUEUE_FULL);
    assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 100);
    assert_in_range(dropped, COUNT - 100 - 80, COUNT - 100 - 60);
    slow->deaf = false; /* what was kept arrives, in order and to the end */
    for (int64_t i = dropped; i < COUNT; i++)
        script_expectf(slow, "30 | ['t'] '%s'", payload);
    assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 0);
    script_fini(&s);
}

/* A client that does not read its answers is not read either. */
static void unread_answers_are_bounded(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    s.capacity = 64 * 1024;
    s.input_max = 4 << 20;
    struct script_client *c = connect4(&s, 0, "c");
    c->deaf = true;
    static uint8_t pings[64 * 1024];
    for (size_t i = 0; i < sizeof pings; i += 2)
        pings[i] = 0xc0;
    size_t sent = 0;
    for (int i = 0; i < 100; i++) {
        size_t n;
        const struct iovec piece = {pings, sizeof pings};
        if (gnt_stream_writev(c->stream, &piece, 1, &n) == GNT_OK)
            sent += n;
        script_settle(&s);
    }
    assert_in_range(sent, 1 << 20, 2 << 20);
    c->deaf = false;
    size_t got = 0;
    for (int i = 0; i < 100; i++, script_skip(c)) {
        script_settle(&s);
        got += c->in_size;
    }
    assert_int_equal(got, sent / 2 * 2);
    script_fini(&s);
}

/* Who reads slowly is not ended for a silence that is not its own. */
static void a_slow_reader_is_not_silent(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    s.capacity = 64 * 1024;
    s.input_max = 4 << 20;
    struct script_client *c = script_open(&s, 0);
    script_send(c, "10 | ['MQTT'] 04 02 000a ['c']");
    script_expect(c, CONNACK4);
    subscribe4(c, "t", 1);
    c->deaf = true;
    struct script_client *from = script_open(&s, 0);
    script_send(from, "10 | ['MQTT'] 04 02 0000 ['from']");
    script_expect(from, CONNACK4);
    struct gnt_slice bytes = large_publish(3 << 20);
    script_send_bytes(from, bytes);
    script_expect(from, "40 02 0001");
    size_t got = 0;
    for (int i = 0; i < 20; i++) { /* 64 KiB each 10 seconds: the ping behind them stays unread */
        script_send(c, "c000");
        script_pass(&s, 10000);
        c->deaf = false;
        script_read(c);
        c->deaf = true;
        got += c->in_size;
        script_skip(c);
    }
    assert_in_range(got, 1 << 20, 2 << 20);
    assert_int_equal(script_counted(&s, GNT_COUNT_KEEP_ALIVE_TIMEOUTS), 0);
    script_pass(&s, 16000); /* now it takes nothing more */
    script_pass(&s, 16000);
    assert_int_equal(script_counted(&s, GNT_COUNT_KEEP_ALIVE_TIMEOUTS), 1);
    free((void *)(uintptr_t)bytes.data);
    c->deaf = false;
    c->careless = true;
    script_fini(&s);
}

/* Worker 0 does not come to its turn: worker 1 piles up mail for it, reads nobody any more who has
 * much to say, but hears the others and who comes, and forgets none of it. */
static void back_pressure_between_workers(void **state)
{
    (void)state;
    enum { RING = 4096, COUNT = RING + 20000 };
    struct script s;
    script_init(&s, 3, "limits.queued_per_session=1000000", NULL);
    s.input_max = 8 << 20;
    char id[16];
    struct script_client *to = connect4(&s, 0, script_id_at(&s, 0, 0, id));
    struct script_client *from = connect4(&s, 1, script_id_at(&s, 1, 1, id));
    subscribe4(to, "t", 0);
    size_t sent = 0;
    uint8_t publish[] = {0x30, 4, 0, 1, 't', 'x'};
    static uint8_t many[1000 * sizeof publish];
    for (size_t i = 0; i < sizeof many; i += sizeof publish)
        memcpy(many + i, publish, sizeof publish);
    size_t part = 0;
    for (int i = 0; i < 300; i++) {
        size_t n;
        const struct iovec piece = {many + part, sizeof many - part};
        if (gnt_stream_writev(from->stream, &piece, 1, &n) == GNT_OK) {
            sent += n;
            part = (part + n) % sizeof many;
        }
        script_turn(&s, 1);
    }
    size_t read =
        (size_t)gnt_counted(&s.workers->core->homes[1].counters, GNT_COUNT_PUBLISH_RECEIVED);
    assert_in_range(read, RING, COUNT); /* bounded by the ring and one turn */
    assert_false(gnt_list_empty(&s.workers->mqtt.fronts[1].paused));
    /* One more client of worker 1, by worker 2. */
    struct script_client *late = script_open(&s, 2);
    script_sendf(late, "10 | ['MQTT'] 04 02 003c ['%s']; c000", script_id_at(&s, 1, 2, id));
    script_turn(&s, 2);
    script_turn(&s, 1);
    script_read(late);
    assert_int_equal(late->in_size, 6); /* CONNACK and PINGRESP */
    script_skip(late);
    assert_false(gnt_list_empty(&s.workers->mqtt.fronts[1].paused));
    script_settle(&s);
    assert_int_equal(to->in_size, sent / sizeof publish * sizeof publish);
    script_skip(to);
    script_fini(&s);
}

/* Writes as much of the same PUBLISH, again and again, as the connection takes; *part: how much of
 * the last one it took. */
static void flood(struct script_client *c, const uint8_t *publish, size_t size, size_t *part)
{
    size_t n = 0;
    for (gnt_err err = GNT_OK; !err; *part = (*part + (err ? 0 : n)) % size) {
        const struct iovec rest = {(void *)(uintptr_t)(publish + *part), size - *part};
        err = gnt_stream_writev(c->stream, &rest, 1, &n);
    }
}

/* What one client says in a turn, and what comes of it, does not keep the others waiting. */
static void a_turn_is_shared(void **state)
{
    (void)state;
    enum { SUBSCRIBERS = 20, MESSAGES = 1000, A_TURN = 12 * 1024 };
    static const uint8_t publish[] = {0x30, 4, 0, 1, 't', 'x'};
    struct script s;
    script_init(&s, 1, NULL);
    char id[16];
    struct script_client *from = connect4(&s, 0, "from"), *other = connect4(&s, 0, "other");
    struct script_client *to[SUBSCRIBERS];
    for (int i = 0; i < SUBSCRIBERS; i++) {
        snprintf(id, sizeof id, "to%d", i);
        to[i] = connect4(&s, 0, id);
        subscribe4(to[i], "t", 0);
    }
    static uint8_t all[MESSAGES * sizeof publish];
    for (size_t i = 0; i < sizeof all; i += sizeof publish)
        memcpy(all + i, publish, sizeof publish);
    script_send_bytes(from, gnt_slice(all, sizeof all));
    int64_t most = 0;
    for (int64_t before = 0; before < (int64_t)MESSAGES * SUBSCRIBERS;) {
        script_send(other, "c000");
        script_turn(&s, 0);
        script_read(other);
        assert_int_equal(other->in_size, 2);
        script_skip(other);
        int64_t now = script_counted(&s, GNT_COUNT_DUE);
        most = now - before > most ? now - before : most;
        before = now;
    }
    assert_in_range(most, 1, A_TURN);
    script_settle(&s);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        assert_int_equal(to[i]->in_size, MESSAGES * sizeof publish);
        script_skip(to[i]);
    }
    script_fini(&s);
}

/* A message for many is written to some of them in each turn, to all in the end. */
static void a_turn_writes_to_some(void **state)
{
    (void)state;
    enum { SUBSCRIBERS = 80, A_TURN = 32 };
    struct script s;
    script_init(&s, 1, NULL);
    char id[16];
    struct script_client *from = connect4(&s, 0, "from"), *to[SUBSCRIBERS];
    for (int i = 0; i < SUBSCRIBERS; i++) {
        snprintf(id, sizeof id, "to%d", i);
        to[i] = connect4(&s, 0, id);
        subscribe4(to[i], "t", 0);
    }
    script_send(from, "30 | ['t'] 'x'");
    for (int turn = 1, told = 0; told < SUBSCRIBERS; turn++) {
        script_turn(&s, 0);
        for (told = 0; told < SUBSCRIBERS && (script_read(to[told]), to[told]->in_size); told++)
            ;
        assert_in_range(told, 1, turn * A_TURN);
    }
    for (int i = 0; i < SUBSCRIBERS; i++)
        script_expect(to[i], "30 | ['t'] 'x'");
    script_fini(&s);
}

/* Two clients of worker 1 write to worker 0, where there is never room for what one of them alone
 * has to say: the other comes to its turn all the same. */
static void back_pressure_is_shared(void **state)
{
    (void)state;
    static const uint8_t publish[] = {0x30, 4, 0, 1, 't', 'x'};
    struct script s;
    script_init(&s, 2, NULL);
    s.input_max = 8 << 20;
    char id[16];
    struct script_client *to = connect4(&s, 0, script_id_at(&s, 0, 0, id));
    subscribe4(to, "t", 0);
    struct script_client *other = connect4(&s, 0, script_id_at(&s, 0, 1, id));
    subscribe4(other, "u", 0);
    struct script_client *busy = connect4(&s, 1, script_id_at(&s, 1, 2, id));
    struct script_client *calm = connect4(&s, 1, script_id_at(&s, 1, 3, id));
    size_t part = 0;
    int turns = 0;
    for (; turns < 20 && !other->in_size; turns++) {
        flood(busy, publish, sizeof publish, &part);
        if (turns == 2)
            script_send(calm, "30 | ['u'] 'y'");
        script_turn(&s, 1);
        script_turn(&s, 0);
        script_read(other);
    }
    assert_in_range(turns, 3, 10);
    script_expect(other, "30 | ['u'] 'y'");
    script_settle(&s);
    script_skip(to);
    script_fini(&s);
}

/* ---- Reload */

static void reload_changes_limits(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, "limits.packet=1KiB", "limits.receive_maximum=10", NULL);
    struct script_client *old = script_connect(&s, 0, "10 | ['MQTT'] 05 02 003c () ['old']",
                                               "20 | 00 00 (21 000a 27 00000400 22 000a)");
    script_send(old, "30 | ['topic'] (23 000a) 'x'");
    script_set(&s, "limits.packet=2KiB");
    script_set(&s, "limits.receive_maximum=65535");
    script_set(&s, "limits.topic_alias_maximum=2");
    script_set(&s, "limits.topic_levels=3");
    script_set(&s, "limits.subscriptions_per_session=1");
    script_set(&s, "limits.connections=2");
    script_set(&s, "limits.queued_per_session=1");
    script_set(&s, "queue_full=drop_oldest");
    script_set(&s, "queue_full_wait=0");
    script_set(&s, "sys_interval=10s");
    assert_int_equal(gnt_workers_reload(s.workers, &s.config), GNT_OK);
    script_settle(&s);
    /* Who has been told a limit keeps it. */
    script_send(old, "30 | ['a/b/c/d'] () 'x'; 30 | [] (23 000a) 'x'");
    script_expect_silence(old);
    for (unsigned i = 0; i < 2; i++) { /* each worker has heard of it */
        char id[16];
        struct script_client *c = script_open(&s, 0);
        script_sendf(c, "10 | ['MQTT'] 05 02 003c (11 0000003c 21 0001) ['%s']",
                     script_id_at(&s, i, i, id));
        script_expect(c, "20 | 00 00 (27 00000800 22 0002)");
        script_send(c, "82 | 0001 () ['a/b/c/d'] 00");
        script_expect(c, "90 | 0001 () 8f");
        script_send(c, "82 | 0001 () ['t'] 01; 82 | 0002 () ['u'] 01");
        script_expect(c, "90 | 0001 () 01; 90 | 0002 () 97");
        script_expect_close(script_open(&s, 1));
        script_send(old, "30 | ['t'] () '0'; 32 | ['t'] 0001 () '1'; 32 | ['t'] 0001 () '2'; 32 | "
                         "['t'] 0001 () '3'");
        script_expect(old, "40 02 0001; 40 02 0001; 40 02 0001");
        script_expect(c, "30 | ['t'] () '0'; 32 | ['t'] 0001 () '1'");
        script_send(c, "40 02 0001");
        script_expect(c, "32 | ['t'] 0002 () '3'");
        script_send(c, "40 02 0002; e000");
        script_expect_close(c);
    }
    script_send(old, "82 | 0001 () ['$SYS/broker/uptime'] 00");
    script_expect(old, "90 | 0001 () 00");
    script_pass(&s, 10500);
    script_expect(old, "30 | ['$SYS/broker/uptime'] () '10 seconds'");
    script_fini(&s);
}

/* Whoever was told what there is keeps to it, and may; the others are told anew. */
static void reload_takes_away(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct script_client *old =
        script_connect(&s, 0, "10 | ['MQTT'] 05 02 0000 () ['old']", "20 | 00 00 (22 000a)");
    script_send(old, "82 | 0001 (0b 01) ['#'] 02");
    script_expect(old, "90 | 0001 () 02");
    script_set(&s, "limits.maximum_qos=1");
    script_set(&s, "limits.retain_available=false");
    script_set(&s, "limits.wildcard_available=false");
    script_set(&s, "limits.shared_available=false");
    script_set(&s, "limits.subscription_ids_available=false");
    assert_int_equal(gnt_workers_reload(s.workers, &s.config), GNT_OK);
    script_settle(&s);
    struct script_client *c = script_connect(&s, 0, "10 | ['MQTT'] 05 02 0000 () ['new']",
                                             "20 | 00 00 (22 000a 24 01 25 00 28 00 29 00 2a 00)");
    script_send(old, "35 | ['t'] 0001 () 'x'");
    script_expect(old, "34 | ['t'] 0001 (0b 01) 'x'; 50 | 0001");
    script_send(old, "50 02 0001; 62 02 0001");
    script_expect(old, "62 | 0001; 70 | 0001");
    script_send(old, "70 02 0001");
    script_send(c, "82 | 0001 () ['t'] 02 ['+'] 00 ['$share/g/t'] 00");
    script_expect(c, "90 | 0001 () 01 a2 9e; 33 | ['t'] 0001 () 'x'"); /* what is there stays */
    script_send(c, "40 02 0001");
    script_send(c, "34 | ['u'] 0001 () 'x'");
    script_expect(c, "e0 | 9b (1f ['QoS not supported'])");
    script_expect_close(c);
    script_fini(&s);
}

static void a_reload_nobody_took_is_freed(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 3, NULL);
    long n = 0;
    for (gnt_err err = GNT_NOMEM; err; n++) {
        gnt_alloc_fail_at(n);
        err = gnt_workers_reload(s.workers, &s.config);
        gnt_alloc_fail_at(-1);
    }
    assert_true(n > 1);
    script_turn(&s, 0);
    assert_int_equal(gnt_workers_reload(s.workers, &s.config), GNT_OK);
    script_fini(&s);
}

/* ---- Out of memory */

static void workers_without_memory(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    struct gnt_workers *w;
    const struct gnt_door door = script_door(&s);
    gnt_err err = GNT_NOMEM;
    for (long n = 0; err; n++) {
        gnt_alloc_fail_at(n);
        err = gnt_workers_new(&s.config, 2, &door, &w);
        gnt_alloc_fail_at(-1);
        assert_true(!err || err == GNT_NOMEM);
    }
    gnt_workers_free(&w);
    script_fini(&s);
}

static const char *const needy[] = {
    "10 | ['MQTT'] 05 06 003c (11 00000064 22 000a 19 01) ['a'] (18 00000001) ['w'] ['x'];"
    "82 | 0001 (0b 01) ['topic/+'] 02 ['topic/#'] 01 ['$share/g/topic/#'] 01;"
    "32 | ['topic/1'] 0001 (23 0001 02 0000003c) 'x'; 34 | [] 0002 (23 0001) 'y'; 62 02 0002;"
    "31 | ['topic/2'] () 'z'; a2 | 0003 () ['topic/+']; c000",
    "10 | ['MQTT'] 04 02 003c ['b']; 82 | 0001 ['#'] 02; 34 | ['topic/1'] 0001 'x'; 62 02 0001",
};

/* Whatever allocation fails, the broker stands, serves others, and gives all memory back. */
static void clients_without_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct script s;
        script_init(&s, 2, NULL);
        struct script_client *other = connect4(&s, 0, "other");
        subscribe4(other, "other", 0);
        struct script_client *c[COUNT_OF(needy)];
        for (unsigned i = 0; i < COUNT_OF(needy); i++) {
            c[i] = script_open(&s, i);
            c[i]->careless = true;
        }
        gnt_alloc_fail_at(n);
        for (unsigned i = 0; i < COUNT_OF(needy); i++) {
            script_send(c[i], needy[i]);
            script_settle(&s);
        }
        script_pass(&s, 200);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        script_send(other, "30 | ['other'] 'x'; c000");
        script_expect(other, "30 | ['other'] 'x'; d000");
        for (unsigned i = 0; i < COUNT_OF(needy); i++)
            script_close(c[i]);
        script_pass(&s, 6000);
        assert_int_equal(s.workers->lobby.connections, 1);
        assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTED), 1);
        script_fini(&s);
    }
}

/* Exactly once whatever allocation fails: what is not acknowledged comes again, and is not taken
 * for the one that failed. */
static void exactly_once_without_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct script s;
        script_init(&s, 1, NULL);
        struct script_client *to = connect4(&s, 0, "to"), *c = script_open(&s, 0);
        subscribe4(to, "t", 0);
        script_send(c, "10 | ['MQTT'] 04 00 003c ['c']");
        script_expect(c, CONNACK4);
        gnt_alloc_fail_at(n);
        script_send(c, "34 | ['t'] 0001 'x'");
        script_settle(&s);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        if (c->ended) {
            script_expect_close(c);
            c = script_open(&s, 0);
            script_send(c, "10 | ['MQTT'] 04 00 003c ['c']; 3c | ['t'] 0001 'x'");
            script_expect(c, "20 02 01 00");
        }
        script_expect(c, "50 02 0001");
        if (n == 0)
            assert_true(failed);
        /* It has come, or what was dropped was counted. */
        assert_true(to->in_size == 6 || script_counted(&s, GNT_COUNT_DROPPED_NO_MEMORY) == 1);
        script_skip(to);
        script_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_make_no_difference),
        cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(a_large_payload_goes_through),
        cmocka_unit_test(an_announcement_takes_no_memory),
        cmocka_unit_test(a_refusal_can_be_read),
        cmocka_unit_test(a_half_closed_client_gets_its_answers),
        cmocka_unit_test(connections_that_never_speak),
        cmocka_unit_test(keep_alive),
        cmocka_unit_test(too_many_connections),
        cmocka_unit_test(good_bye),
        cmocka_unit_test(freed_in_the_middle_of_things),
        cmocka_unit_test(a_slow_reader_holds_nobody_up),
        cmocka_unit_test(unread_answers_are_bounded),
        cmocka_unit_test(a_slow_reader_is_not_silent),
        cmocka_unit_test(back_pressure_between_workers),
        cmocka_unit_test(a_turn_is_shared),
        cmocka_unit_test(a_turn_writes_to_some),
        cmocka_unit_test(back_pressure_is_shared),
        cmocka_unit_test(reload_changes_limits),
        cmocka_unit_test(reload_takes_away),
        cmocka_unit_test(a_reload_nobody_took_is_freed),
        cmocka_unit_test(workers_without_memory),
        cmocka_unit_test(clients_without_memory),
        cmocka_unit_test(exactly_once_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
