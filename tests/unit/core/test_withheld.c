/* Acknowledgements that wait for a full queue (core/pending.h, core/receipt.h). */
#include "store/memory.h"
#include "support/alloc_fault.h"
#include "support/core_world.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIMIT = 3, WAIT_S = 10, PUBLISHERS = 64 };

/* A world where the client is subscribed to "t" and takes nothing. */
struct scene {
    struct world w;
    struct world_client c;
    char id[16];
    struct world_publication sent[PUBLISHERS];
    unsigned count;
    unsigned home; /* the publisher's */
};

static struct gnt_core_config short_queues(unsigned homes, enum gnt_overflow overflow)
{
    struct gnt_core_config config = world_config(homes);
    config.queued_per_session = LIMIT;
    config.hold_ms = WAIT_S * 1000;
    config.overflow = overflow;
    return config;
}

static void open_scene_with(struct scene *s, unsigned homes, const struct gnt_core_config *config,
                            const char *filter)
{
    *s = (struct scene){.home = 0};
    world_init(&s->w, homes, config);
    world_id_at(&s->w, homes - 1, 1, s->id);
    s->c.id = s->id;
    assert_true(world_connect(&s->w, &s->c, true, 1000));
    assert_int_equal(world_subscribe(&s->c, filter, 1), GNT_DONE);
    s->c.busy = true;
}

static void open_scene(struct scene *s, unsigned homes, enum gnt_overflow overflow)
{
    struct gnt_core_config config = short_queues(homes, overflow);
    open_scene_with(s, homes, &config, "t");
}

static void close_scene(struct scene *s)
{
    if (s->c.session)
        gnt_session_close(s->c.session, GNT_PARTING_CLEAN, 0);
    world_fini(&s->w);
    world_client_fini(&s->c);
}

/* Publishes the next number from home s->home; what comes of it at once. */
static struct world_publication *publish(struct scene *s, uint8_t qos)
{
    struct world_publication *p = &s->sent[s->count++];
    char payload[8];
    snprintf(payload, sizeof payload, "%u", s->count);
    world_publish_waiting(&s->w, s->home, "t", payload, qos, p);
    return p;
}

/* N publications of QoS 1, with all mail delivered in between; how many are withheld. */
static unsigned publish_many(struct scene *s, unsigned n)
{
    unsigned withheld = 0;
    for (unsigned i = 0; i < n; i++) {
        struct world_publication *p = publish(s, 1);
        world_settle(&s->w);
        withheld += p->outcome == GNT_WITHHELD;
    }
    return withheld;
}

static unsigned still_withheld(const struct scene *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->count; i++)
        n += s->sent[i].outcome == GNT_WITHHELD;
    return n;
}

static void take_all(struct scene *s)
{
    s->c.busy = false;
    gnt_session_ready(s->c.session);
    world_settle(&s->w);
}

static void acknowledge(struct scene *s, unsigned delivery)
{
    assert_true(gnt_session_acknowledged(s->c.session, s->c.got[delivery].id, NULL));
    world_settle(&s->w);
}

static uint32_t full_queues(const struct scene *s)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < s->w.homes; i++)
        n += atomic_load(&s->w.core->homes[i].full);
    return n;
}

static void a_connected_receiver_is_waited_for(void **state)
{
    (void)state;
    for (unsigned homes = 1; homes <= 2; homes++) {
        struct scene s;
        open_scene(&s, homes, GNT_OVERFLOW_DROP_NEWEST);
        assert_int_equal(publish_many(&s, LIMIT), 0);
        /* The home of the publisher only knows when the first one over the limit is there. */
        assert_int_equal(publish_many(&s, 4), homes == 1 ? 4 : 3);
        assert_int_equal(full_queues(&s), 1);
        assert_counted(&s.w, GNT_COUNT_QUEUED, LIMIT + 4);
        assert_ledger(&s.w);
        take_all(&s);
        assert_int_equal(still_withheld(&s), 0);
        assert_int_equal(full_queues(&s), 0);
        for (unsigned i = 0; i < s.count; i++)
            assert_int_equal(s.sent[i].outcome, GNT_DONE);
        assert_string_equal(world_payloads(&s.c, 0), "1 2 3 4 5 6 7 ");
        assert_counted(&s.w, GNT_COUNT_DROPPED_QUEUE_FULL, 0);
        assert_int_equal(world_answer(&s.c), LIMIT + 4);
        assert_counted(&s.w, GNT_COUNT_DELIVERED, LIMIT + 4);
        close_scene(&s);
    }
}

/* Receipts come back one by one, in order, as the queue goes down. */
static void who_came_first_is_answered_first(void **state)
{
    (void)state;
    struct scene s;
    struct gnt_core_config config = short_queues(1, GNT_OVERFLOW_DROP_NEWEST);
    config.inflight_per_session = 1;
    open_scene_with(&s, 1, &config, "t");
    s.c.busy = false; /* its window of one is what holds it up */
    assert_int_equal(publish_many(&s, 1 + LIMIT + 2), 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(s.sent[1 + LIMIT + i].outcome, GNT_WITHHELD);
        acknowledge(&s, i);
        assert_int_equal(s.sent[1 + LIMIT + i].outcome, GNT_DONE);
    }
    close_scene(&s);
}

static void bytes_are_waited_for_too(void **state)
{
    (void)state;
    struct scene s;
    struct gnt_core_config config = short_queues(1, GNT_OVERFLOW_DROP_NEWEST);
    config.queued_per_session = 0;
    config.queued_bytes_per_session = 4;
    open_scene_with(&s, 1, &config, "t");
    assert_int_equal(publish_many(&s, 6), 2); /* of one byte each */
    take_all(&s);
    assert_int_equal(still_withheld(&s), 0);
    assert_string_equal(world_payloads(&s.c, 0), "1 2 3 4 5 6 ");
    close_scene(&s);
}

static struct world_publication *publish_text(struct scene *s, const char *payload)
{
    struct world_publication *p = &s->sent[s->count++];
    world_publish_waiting(&s->w, s->home, "t", payload, 1, p);
    world_settle(&s->w);
    return p;
}

/* Whoever comes to an empty queue, or is the first of it, need not wait: it would for ever. */
static void an_empty_queue_takes_any_size(void **state)
{
    (void)state;
    static const char large[] = "0123456789";
    struct scene s;
    struct gnt_core_config config = short_queues(1, GNT_OVERFLOW_DROP_NEWEST);
    config.queued_per_session = 0;
    config.queued_bytes_per_session = 4;
    open_scene_with(&s, 1, &config, "t");
    assert_int_equal(publish_text(&s, large)->outcome, GNT_DONE);
    world_cut(&s.c);
    world_settle(&s.w);
    assert_counted(&s.w, GNT_COUNT_DROPPED_QUEUE_FULL, 0);
    assert_counted(&s.w, GNT_COUNT_QUEUED, 1);
    close_scene(&s);

    config.inflight_per_session = 1;
    open_scene_with(&s, 1, &config, "t");
    s.c.busy = false;
    publish_many(&s, 2);
    struct world_publication *p = publish_text(&s, large);
    assert_int_equal(p->outcome, GNT_WITHHELD);
    acknowledge(&s, 0);
    assert_int_equal(p->outcome, GNT_DONE);
    close_scene(&s);
}

static void nobody_waits_for_ever(void **state)
{
    (void)state;
    static const struct {
        enum gnt_overflow overflow;
        const char *kept;
        unsigned closed;
    } rows[] = {{GNT_OVERFLOW_DROP_NEWEST, "1 2 3 ", 0},
                {GNT_OVERFLOW_DROP_OLDEST, "5 6 7 ", 0},
                {GNT_OVERFLOW_DISCONNECT, "1 2 3 ", 1}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scene s;
        open_scene(&s, 1, rows[i].overflow);
        assert_int_equal(publish_many(&s, LIMIT + 4), 4);
        world_pass(&s.w, WAIT_S - 1);
        assert_int_equal(still_withheld(&s), 4);
        world_pass(&s.w, 2);
        assert_int_equal(still_withheld(&s), 0);
        assert_int_equal(full_queues(&s), 0);
        assert_counted(&s.w, GNT_COUNT_DROPPED_QUEUE_FULL, 4);
        assert_int_equal(s.c.closed, rows[i].closed);
        if (rows[i].closed)
            assert_true(world_connect(&s.w, &s.c, false, 1000));
        take_all(&s);
        assert_string_equal(world_payloads(&s.c, 0), rows[i].kept);
        close_scene(&s);
    }
}

/* A receiver that has been given up costs its publishers no more time, until it takes again. */
static void who_was_given_up_is_not_waited_for(void **state)
{
    (void)state;
    struct scene s;
    open_scene(&s, 2, GNT_OVERFLOW_DROP_NEWEST);
    publish_many(&s, LIMIT + 4);
    world_pass(&s.w, WAIT_S + 1);
    assert_int_equal(publish_many(&s, 3), 0);
    assert_counted(&s.w, GNT_COUNT_DROPPED_QUEUE_FULL, 4 + 3);
    take_all(&s);
    world_answer(&s.c);
    s.c.busy = true;
    assert_int_equal(publish_many(&s, LIMIT + 3), 2);
    take_all(&s);
    assert_int_equal(still_withheld(&s), 0);
    assert_counted(&s.w, GNT_COUNT_DROPPED_QUEUE_FULL, 4 + 3);
    close_scene(&s);
}

/* Not for one that it takes: half of the queue has to be empty. */
static void who_was_given_up_has_to_take_half(void **state)
{
    (void)state;
    for (int by_bytes = 0; by_bytes < 2; by_bytes++) {
        struct scene s;
        struct gnt_core_config config = short_queues(1, GNT_OVERFLOW_DROP_NEWEST);
        config.queued_per_session = by_bytes ? 0 : LIMIT;
        config.queued_bytes_per_session = by_bytes ? LIMIT : 0; /* payloads of one byte */
        config.inflight_per_session = 1;
        open_scene_with(&s, 1, &config, "t");
        s.c.busy = false;
        assert_int_equal(publish_many(&s, 1 + LIMIT + 1), 1);
        world_pass(&s.w, WAIT_S + 1);
        acknowledge(&s, 0);
        assert_int_equal(publish_many(&s, 2), 0); /* there is room for one */
        acknowledge(&s, 1);
        acknowledge(&s, 2);
        assert_int_equal(publish_many(&s, 3), 1);
        close_scene(&s);
    }
}

static void a_receiver_that_goes_is_not_waited_for(void **state)
{
    (void)state;
    struct scene s;
    open_scene(&s, 2, GNT_OVERFLOW_DROP_NEWEST);
    publish_many(&s, LIMIT + 4);
    world_cut(&s.c);
    world_settle(&s.w);
    assert_int_equal(still_withheld(&s), 0);
    assert_counted(&s.w, GNT_COUNT_QUEUED, LIMIT);
    assert_int_equal(publish_many(&s, 1), 0);
    assert_counted(&s.w, GNT_COUNT_DROPPED_QUEUE_FULL, 5);
    close_scene(&s);
}

static void nobody_waits_where_there_is_no_time(void **state)
{
    (void)state;
    struct scene s;
    struct gnt_core_config config = short_queues(1, GNT_OVERFLOW_DROP_NEWEST);
    config.hold_ms = 0;
    open_scene_with(&s, 1, &config, "t");
    for (unsigned i = 0; i < LIMIT + 2; i++)
        assert_int_equal(publish(&s, 1)->outcome, GNT_DONE);
    assert_counted(&s.w, GNT_COUNT_DROPPED_QUEUE_FULL, 2);
    take_all(&s);
    assert_string_equal(world_payloads(&s.c, 0), "1 2 3 ");
    close_scene(&s);
}

/* What is kept may be safe already, and its publisher is about to be told so; whether it is too
 * much for its queue or for the whole broker. */
static void what_is_kept_is_not_taken_back(void **state)
{
    (void)state;
    for (int in_all = 0; in_all < 2; in_all++) {
        struct scene s = {.home = 0};
        struct gnt_store *store;
        struct gnt_core_config config = short_queues(1, GNT_OVERFLOW_DROP_NEWEST);
        config.queued_per_session = in_all ? 0 : LIMIT;
        config.queued_max = in_all ? LIMIT : 0;
        assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
        world_init_kept(&s.w, 1, &config, store);
        s.c.id = "kept";
        assert_true(world_connect(&s.w, &s.c, true, 1000));
        assert_int_equal(world_subscribe(&s.c, "t", 1), GNT_DONE);
        s.c.busy = true;
        assert_int_equal(publish_many(&s, LIMIT + 2), 2);
        world_cut(&s.c);
        world_settle(&s.w);
        for (unsigned i = 0; i < LIMIT + 2; i++)
            assert_int_equal(s.sent[i].outcome, GNT_DONE);
        assert_counted(&s.w, GNT_COUNT_QUEUED, LIMIT + 2);
        publish_many(&s, 1);
        assert_counted(&s.w, GNT_COUNT_QUEUED, LIMIT + 2);
        close_scene(&s);
        gnt_store_close(&store);
    }
}

/* QoS 0 without a receipt, and whatever has no publisher who could wait, follows the policy; but
 * nothing that was acknowledged makes room for it. */
static void what_cannot_wait_is_dropped(void **state)
{
    (void)state;
    for (int policy = 0; policy < 2; policy++) {
        struct scene s;
        open_scene(&s, 1, policy ? GNT_OVERFLOW_DROP_OLDEST : GNT_OVERFLOW_DROP_NEWEST);
        publish_many(&s, LIMIT);
        world_publish(&s.w, 0, "t", "x", 0, false);
        world_publish(&s.w, 0, "t", "y", 1, false);
        assert_counted(&s.w, GNT_COUNT_DROPPED_QUEUE_FULL, 2);
        take_all(&s);
        assert_string_equal(world_payloads(&s.c, 0), "1 2 3 ");
        close_scene(&s);
    }
}

static void qos_0_waits_if_its_publisher_can(void **state)
{
    (void)state;
    struct scene s;
    open_scene(&s, 1, GNT_OVERFLOW_DROP_NEWEST);
    publish_many(&s, LIMIT);
    assert_int_equal(publish(&s, 0)->outcome, GNT_WITHHELD);
    take_all(&s);
    assert_int_equal(still_withheld(&s), 0);
    assert_string_equal(world_payloads(&s.c, 0), "1 2 3 4 ");
    close_scene(&s);
}

/* With a message on its way to the other home when the queue becomes full there. */
static void what_was_acknowledged_on_its_way_is_kept(void **state)
{
    (void)state;
    struct scene s;
    open_scene(&s, 2, GNT_OVERFLOW_DROP_NEWEST);
    for (int i = 0; i < 2 * LIMIT; i++) /* all mailed before any has arrived */
        assert_int_equal(publish(&s, 1)->outcome, GNT_DONE);
    world_settle(&s.w);
    assert_counted(&s.w, GNT_COUNT_QUEUED, 2 * LIMIT);
    take_all(&s);
    assert_string_equal(world_payloads(&s.c, 0), "1 2 3 4 5 6 ");
    close_scene(&s);
}

static void a_shared_group_is_waited_for(void **state)
{
    (void)state;
    for (unsigned homes = 1; homes <= 2; homes++) {
        struct scene s;
        struct gnt_core_config config = short_queues(homes, GNT_OVERFLOW_DROP_NEWEST);
        open_scene_with(&s, homes, &config, "$share/g/t");
        unsigned withheld = publish_many(&s, LIMIT + 4);
        assert_in_range(withheld, 3, 4);
        assert_ledger(&s.w);
        take_all(&s);
        assert_int_equal(still_withheld(&s), 0);
        assert_string_equal(world_payloads(&s.c, 0), "1 2 3 4 5 6 7 ");
        assert_counted(&s.w, GNT_COUNT_DROPPED_QUEUE_FULL, 0);
        world_answer(&s.c);
        assert_ledger(&s.w);

        s.c.busy = true;
        publish_many(&s, LIMIT + 2);
        world_pass(&s.w, WAIT_S + 1);
        assert_int_equal(still_withheld(&s), 0);
        assert_ledger(&s.w);
        close_scene(&s);
    }
}

/* One message, held by two sessions at two homes: the slower one decides. */
static void all_who_hold_it_are_waited_for(void **state)
{
    (void)state;
    struct scene s;
    open_scene(&s, 2, GNT_OVERFLOW_DROP_NEWEST);
    struct world_client near = {.busy = true};
    char id[16];
    world_id_at(&s.w, 0, 2, id);
    near.id = id;
    assert_true(world_connect(&s.w, &near, true, 0));
    assert_int_equal(world_subscribe(&near, "t", 1), GNT_DONE);
    near.busy = true;
    publish_many(&s, LIMIT + 1);
    struct world_publication *p = publish(&s, 1);
    world_settle(&s.w);
    assert_int_equal(p->outcome, GNT_WITHHELD);
    take_all(&s);
    assert_int_equal(p->outcome, GNT_WITHHELD);
    near.busy = false;
    gnt_session_ready(near.session);
    world_settle(&s.w);
    assert_int_equal(p->outcome, GNT_DONE);
    world_disconnect(&near);
    world_client_fini(&near);
    close_scene(&s);
}

/* Receipts that are still held when the core ends are given, here and at other homes. */
static void receipts_end_with_the_core(void **state)
{
    (void)state;
    struct scene s;
    struct gnt_core_config config = short_queues(2, GNT_OVERFLOW_DROP_NEWEST);
    open_scene_with(&s, 2, &config, "$share/g/t");
    publish_many(&s, LIMIT + 4);
    assert_true(still_withheld(&s) > 0);
    s.c.receiver.ops = NULL; /* it is not called any more */
    world_fini(&s.w);
    assert_int_equal(still_withheld(&s), 0);
    world_client_fini(&s.c);
}

/* Whatever allocation fails: each publisher is answered once, and the ledger adds up. */
static void memory_may_end_anywhere(void **state)
{
    (void)state;
    for (long fail = 0; fail < 60; fail++) {
        struct scene s;
        open_scene(&s, 2, GNT_OVERFLOW_DROP_NEWEST);
        s.home = (unsigned)fail & 1;
        publish_many(&s, LIMIT);
        gnt_alloc_fail_at(fail / 2);
        for (int i = 0; i < 4; i++) {
            publish(&s, 1);
            world_settle(&s.w);
        }
        gnt_alloc_fail_at(-1);
        assert_ledger(&s.w);
        take_all(&s);
        assert_int_equal(still_withheld(&s), 0);
        close_scene(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connected_receiver_is_waited_for),
        cmocka_unit_test(who_came_first_is_answered_first),
        cmocka_unit_test(bytes_are_waited_for_too),
        cmocka_unit_test(an_empty_queue_takes_any_size),
        cmocka_unit_test(nobody_waits_for_ever),
        cmocka_unit_test(who_was_given_up_is_not_waited_for),
        cmocka_unit_test(who_was_given_up_has_to_take_half),
        cmocka_unit_test(a_receiver_that_goes_is_not_waited_for),
        cmocka_unit_test(nobody_waits_where_there_is_no_time),
        cmocka_unit_test(what_is_kept_is_not_taken_back),
        cmocka_unit_test(what_cannot_wait_is_dropped),
        cmocka_unit_test(qos_0_waits_if_its_publisher_can),
        cmocka_unit_test(what_was_acknowledged_on_its_way_is_kept),
        cmocka_unit_test(a_shared_group_is_waited_for),
        cmocka_unit_test(all_who_hold_it_are_waited_for),
        cmocka_unit_test(receipts_end_with_the_core),
        cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
