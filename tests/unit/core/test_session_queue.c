/* What a session queues, and what it is sent that was retained. */
#include "support/unit.h"

#include "core/session.h"

#include "one_session.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Queues */

static void publish_numbers(struct world *w, int from, int to, uint8_t qos)
{
    for (int i = from; i <= to; i++) {
        char payload[8];
        snprintf(payload, sizeof payload, "%d", i);
        publish(w, payload, qos);
    }
}

static void a_full_queue_drops_as_configured(void **state)
{
    (void)state;
    static const struct {
        enum gnt_overflow overflow;
        size_t count, bytes;
        const char *kept;
        int64_t dropped;
    } rows[] = {
        {GNT_OVERFLOW_DROP_NEWEST, 3, 0, "1 2 3 ", 2},
        {GNT_OVERFLOW_DROP_OLDEST, 3, 0, "3 4 5 ", 2},
        {GNT_OVERFLOW_DISCONNECT, 3, 0, "1 2 3 ", 2},
        {GNT_OVERFLOW_DROP_NEWEST, 0, 2, "1 2 ", 3},
        {GNT_OVERFLOW_DROP_OLDEST, 0, 2, "4 5 ", 3},
        {GNT_OVERFLOW_DROP_OLDEST, 1, 1, "5 ", 4},
        {GNT_OVERFLOW_DROP_OLDEST, 0, 0, "1 2 3 4 5 ", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_core_config config = world_config(1);
        config.overflow = rows[i].overflow;
        config.queued_per_session = rows[i].count;
        config.queued_bytes_per_session = rows[i].bytes;
        struct world w;
        struct world_client c = {.id = "c"};
        world_init(&w, 1, &config);
        assert_true(world_connect(&w, &c, true, 100));
        assert_int_equal(world_subscribe(&c, "t", 1), GNT_DONE);
        world_cut(&c);
        publish_numbers(&w, 1, 5, 1);
        assert_counted(&w, GNT_COUNT_DROPPED_QUEUE_FULL, rows[i].dropped);
        assert_counted(&w, GNT_COUNT_QUEUED, 5 - rows[i].dropped);
        assert_true(world_connect(&w, &c, false, 100));
        assert_string_equal(world_payloads(&c, 0), rows[i].kept);
        close_one(&w, &c);
    }
}

static void a_full_queue_may_disconnect(void **state)
{
    (void)state;
    struct gnt_core_config config = world_config(1);
    config.overflow = GNT_OVERFLOW_DISCONNECT;
    config.queued_per_session = 2;
    struct world w;
    struct world_client c = {.id = "c", .receive_max = 1}, watcher = {.id = "w"};
    world_init(&w, 1, &config);
    assert_true(world_connect(&w, &watcher, true, 0));
    assert_int_equal(world_subscribe(&watcher, "will", 0), GNT_DONE);
    c.will = world_message("will", "x", 0, false);
    assert_true(world_connect(&w, &c, true, 100));
    assert_int_equal(world_subscribe(&c, "t", 1), GNT_DONE);
    publish_numbers(&w, 1, 5, 1);
    assert_int_equal(c.closed, 0); /* not in the middle of a publication */
    world_settle(&w);
    assert_int_equal(c.closed, 1);
    assert_int_equal(c.why, GNT_CLOSE_QUEUE_FULL);
    assert_int_equal(watcher.count, 1);
    assert_counted(&w, GNT_COUNT_DROPPED_QUEUE_FULL, 2);
    assert_true(world_connect(&w, &c, false, 100));
    while (world_answer(&c))
        ;
    assert_string_equal(world_payloads(&c, 0), "1 1 2 3 ");
    world_settle(&w);
    assert_int_equal(c.closed, 1);
    world_disconnect(&watcher);
    world_client_fini(&watcher);
    close_one(&w, &c);
}

/* A session without expiry ends with the connection that a full queue closes. */
static void a_full_queue_may_end_the_session(void **state)
{
    (void)state;
    struct gnt_core_config config = world_config(1);
    config.overflow = GNT_OVERFLOW_DISCONNECT;
    config.queued_per_session = 1;
    struct world w;
    struct world_client c = {.id = "c", .busy = true};
    world_init(&w, 1, &config);
    assert_true(world_connect(&w, &c, true, 0));
    assert_int_equal(world_subscribe(&c, "t", 1), GNT_DONE);
    publish_numbers(&w, 1, 3, 1);
    world_settle(&w);
    assert_int_equal(c.closed, 1);
    assert_counted(&w, GNT_COUNT_SESSIONS, 0);
    assert_counted(&w, GNT_COUNT_DROPPED_SESSION_END, 1);
    close_one(&w, &c);
}

static void publish_for(struct world *w, const char *payload, uint32_t seconds, bool retain)
{
    struct gnt_message *m = world_message("t", payload, 1, retain);
    m->expires = w->now + seconds * GNT_NS_PER_S;
    assert_int_equal(gnt_publish(&w->core->homes[0], m, NULL), GNT_DONE);
    gnt_message_unref(&m);
}

/* [MQTT-3.3.2-5] */
static void messages_expire_in_the_queue(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    open_one(&w, &c, 1000);
    world_cut(&c);
    publish_for(&w, "1", 10, false);
    publish_for(&w, "2", 100, false);
    publish_for(&w, "3", 10, false);
    world_pass(&w, 50);
    assert_true(world_connect(&w, &c, false, 1000));
    assert_string_equal(world_payloads(&c, 0), "2 ");
    assert_counted(&w, GNT_COUNT_EXPIRED, 2);
    world_pass(&w, 100); /* what was sent does not expire any more */
    again(&w, &c);
    assert_int_equal(c.count, 2);
    close_one(&w, &c);
}

static void expired_messages_make_room(void **state)
{
    (void)state;
    struct gnt_core_config config = world_config(1);
    config.queued_per_session = 2;
    struct world w;
    struct world_client c = {.id = "c"};
    world_init(&w, 1, &config);
    assert_true(world_connect(&w, &c, true, 1000));
    assert_int_equal(world_subscribe(&c, "t", 1), GNT_DONE);
    world_cut(&c);
    publish_for(&w, "1", 10, false);
    publish_for(&w, "2", 10, false);
    world_pass(&w, 20);
    publish(&w, "3", 1);
    assert_counted(&w, GNT_COUNT_DROPPED_QUEUE_FULL, 0);
    assert_counted(&w, GNT_COUNT_EXPIRED, 1);
    assert_true(world_connect(&w, &c, false, 1000));
    assert_string_equal(world_payloads(&c, 0), "3 ");
    close_one(&w, &c);
}

static void what_is_dropped_is_counted(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c", .receive_max = 1};
    open_one(&w, &c, 10);
    publish_numbers(&w, 1, 4, 1);
    world_cut(&c);
    publish(&w, "5", 0);
    assert_counted(&w, GNT_COUNT_DROPPED_AWAY, 1);
    assert_counted(&w, GNT_COUNT_QUEUED, 4);
    assert_counted(&w, GNT_COUNT_QUEUED_BYTES, 4);
    world_pass(&w, 11);
    assert_counted(&w, GNT_COUNT_DROPPED_SESSION_END, 4);
    close_one(&w, &c);
}

/* ---- Subscriptions and retained messages */

static void filters_are_checked_and_counted(void **state)
{
    (void)state;
    static const char *const bad[] = {"",          "a/#/b",       "a+",
                                      "a#",        "$share/g",    "$share//a",
                                      "$share/g/", "$share/g/a+", "$share/+/a"};
    struct gnt_core_config config = world_config(2);
    config.subscriptions_per_session = 3;
    config.topic_levels = 4;
    struct world w;
    struct world_client c = {.id = "c"};
    world_init(&w, 2, &config);
    assert_true(world_connect(&w, &c, true, 0));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(world_subscribe(&c, bad[i], 0), GNT_FILTER_INVALID);
    assert_int_equal(world_subscribe(&c, "1/2/3/4/5", 0), GNT_FILTER_INVALID);
    assert_int_equal(world_subscribe(&c, "a", 0), GNT_DONE);
    assert_int_equal(world_subscribe(&c, "$share/g/a", 0), GNT_DONE);
    assert_int_equal(world_subscribe(&c, "b", 0), GNT_DONE);
    assert_int_equal(world_subscribe(&c, "c", 0), GNT_QUOTA);
    assert_int_equal(world_subscribe(&c, "$share/h/a", 0), GNT_QUOTA);
    assert_int_equal(world_subscribe(&c, "a", 1), GNT_DONE); /* there already */
    assert_int_equal(world_subscribe(&c, "$share/g/a", 1), GNT_DONE);
    assert_counted(&w, GNT_COUNT_SUBSCRIPTIONS, 3);
    assert_int_equal(gnt_session_unsubscribe(c.session, LITERAL("x")), GNT_DONE_NO_MATCH);
    assert_int_equal(gnt_session_unsubscribe(c.session, LITERAL("$share/x/a")), GNT_DONE_NO_MATCH);
    assert_int_equal(gnt_session_unsubscribe(c.session, LITERAL("$share/g/a")), GNT_DONE);
    assert_int_equal(gnt_session_unsubscribe(c.session, LITERAL("a")), GNT_DONE);
    assert_int_equal(gnt_session_unsubscribe(c.session, LITERAL("a")), GNT_DONE_NO_MATCH);
    assert_counted(&w, GNT_COUNT_SUBSCRIPTIONS, 1);
    assert_counted(&w, GNT_COUNT_SHARED_SUBSCRIPTIONS, 0);
    close_one(&w, &c);
}

static void retain_some(struct world *w, int count)
{
    for (int i = 0; i < count; i++) {
        char topic[16], payload[16];
        snprintf(topic, sizeof topic, "r/%d", i);
        snprintf(payload, sizeof payload, "%d", i);
        assert_int_not_equal(world_publish(w, 0, topic, payload, 1, true), GNT_FAILED);
    }
}

/* [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11] */
static void retain_handling(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    struct gnt_sub_options o = {.qos = 1, .id = 5};
    open_one(&w, &c, 100);
    retain_some(&w, 3);
    assert_int_equal(world_subscribe_with(&c, "r/+", &o, GNT_RETAIN_DO_NOT_SEND), GNT_DONE);
    assert_int_equal(c.count, 0);
    assert_int_equal(world_subscribe_with(&c, "r/+", &o, GNT_RETAIN_SEND_IF_NEW), GNT_DONE);
    assert_int_equal(c.count, 0);
    assert_int_equal(world_subscribe_with(&c, "r/+", &o, GNT_RETAIN_SEND), GNT_DONE);
    assert_int_equal(c.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(c.got[i].retain && c.got[i].qos == 1 && c.got[i].ids[0] == 5);
    assert_int_equal(world_subscribe_with(&c, "r/#", &o, GNT_RETAIN_SEND_IF_NEW), GNT_DONE);
    assert_int_equal(c.count, 6);
    assert_int_equal(world_subscribe(&c, "$share/g/r/#", 1), GNT_DONE);
    assert_int_equal(c.count, 6); /* nothing for shared ones [MQTT5 4.8.2] */
    close_one(&w, &c);
}

static void expired_and_own_retained_messages_are_not_sent(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    open_one(&w, &c, 100);
    assert_int_equal(gnt_session_unsubscribe(c.session, LITERAL("t")), GNT_DONE);
    struct gnt_message *own = world_message("r/own", "own", 1, true);
    own->publisher = gnt_session_sink(c.session);
    assert_int_equal(gnt_publish(&w.core->homes[0], own, NULL), GNT_DONE_NO_MATCH);
    gnt_message_unref(&own);
    struct gnt_message *short_lived = world_message("r/short", "short", 1, true);
    short_lived->expires = w.now + GNT_NS_PER_S;
    assert_int_equal(gnt_publish(&w.core->homes[0], short_lived, NULL), GNT_DONE_NO_MATCH);
    gnt_message_unref(&short_lived);
    assert_counted(&w, GNT_COUNT_RETAINED, 2);
    w.now += 2 * GNT_NS_PER_S; /* not swept yet */
    struct gnt_sub_options o = {.qos = 1, .no_local = true};
    assert_int_equal(world_subscribe_with(&c, "r/#", &o, GNT_RETAIN_SEND), GNT_DONE);
    assert_int_equal(c.count, 0);
    for (int i = 0; i < 5; i++)
        world_pass(&w, 1);
    assert_counted(&w, GNT_COUNT_RETAINED, 1); /* swept */
    close_one(&w, &c);
}

/* However many they are, they push nothing out of the queue, and all arrive. */
static void more_retained_messages_than_the_queue_takes(void **state)
{
    (void)state;
    enum { RETAINED = 500 };
    for (int policy = GNT_OVERFLOW_DROP_NEWEST; policy <= GNT_OVERFLOW_DISCONNECT; policy++) {
        for (size_t limit = 1; limit < 30; limit += 14) {
            struct gnt_core_config config = world_config(1);
            config.queued_per_session = limit;
            config.queued_bytes_per_session = 4;
            config.overflow = (enum gnt_overflow)policy;
            struct world w;
            struct world_client c = {.id = "c", .receive_max = 7};
            world_init(&w, 1, &config);
            retain_some(&w, RETAINED);
            assert_counted(&w, GNT_COUNT_RETAINED, RETAINED);
            assert_true(world_connect(&w, &c, true, 100));
            assert_int_equal(world_subscribe(&c, "r/#", 1), GNT_DONE);
            assert_int_equal(c.count, 7);
            for (int i = 0; world_answer(&c); i++) {
                world_settle(&w);
                if (i == 3) { /* the walk waits for its client */
                    world_cut(&c);
                    world_settle(&w);
                    assert_true(world_connect(&w, &c, false, 100));
                    world_settle(&w);
                }
            }
            bool seen[RETAINED] = {false};
            for (size_t i = 0; i < c.count; i++)
                seen[atoi(c.got[i].payload)] = true;
            for (int i = 0; i < RETAINED; i++)
                assert_true(seen[i]);
            assert_counted(&w, GNT_COUNT_DROPPED_QUEUE_FULL, 0);
            assert_int_equal(c.closed, 0);
            close_one(&w, &c);
        }
    }
}

static void a_busy_receiver_pauses_the_walk_and_unsubscribing_ends_it(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    open_one(&w, &c, 100);
    retain_some(&w, 200);
    c.busy = true;
    assert_int_equal(world_subscribe(&c, "r/#", 0), GNT_DONE);
    for (int i = 0; i < 10; i++) /* again and again: one walk, not many */
        assert_int_equal(world_subscribe(&c, "r/#", 0), GNT_DONE);
    assert_counted(&w, GNT_COUNT_QUEUED, 1);
    c.busy = false;
    gnt_session_ready(c.session);
    world_settle(&w);
    assert_int_equal(c.count, 201); /* the queued one, and all */
    c.busy = true;
    assert_int_equal(world_subscribe(&c, "r/#", 0), GNT_DONE);
    assert_int_equal(gnt_session_unsubscribe(c.session, LITERAL("r/#")), GNT_DONE);
    c.busy = false;
    gnt_session_ready(c.session);
    world_settle(&w);
    assert_int_equal(c.count, 202); /* what was queued already, and no more [MQTT-3.10.4-2] */
    close_one(&w, &c);
}

static void new_options_replace_old_ones(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    open_one(&w, &c, 0);
    struct gnt_sub_options o = {.qos = 0, .id = 9};
    assert_int_equal(world_subscribe_with(&c, "t", &o, GNT_RETAIN_SEND), GNT_DONE);
    publish(&w, "1", 2);
    assert_int_equal(c.count, 1);
    assert_int_equal(c.got[0].qos, 0);
    assert_int_equal(c.got[0].ids[0], 9);
    close_one(&w, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_drops_as_configured),
        cmocka_unit_test(a_full_queue_may_disconnect),
        cmocka_unit_test(a_full_queue_may_end_the_session),
        cmocka_unit_test(messages_expire_in_the_queue),
        cmocka_unit_test(expired_messages_make_room),
        cmocka_unit_test(what_is_dropped_is_counted),
        cmocka_unit_test(filters_are_checked_and_counted),
        cmocka_unit_test(retain_handling),
        cmocka_unit_test(expired_and_own_retained_messages_are_not_sent),
        cmocka_unit_test(more_retained_messages_than_the_queue_takes),
        cmocka_unit_test(a_busy_receiver_pauses_the_walk_and_unsubscribing_ends_it),
        cmocka_unit_test(new_options_replace_old_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
