/* The limits on what waits in the whole broker (core/total.h), and what the queues make of them. */
#include "core/total.h"

#include "store/memory.h"
#include "support/alloc_fault.h"
#include "support/core_world.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIMIT = 4, WAIT_S = 10, PUBLICATIONS = 64 };

/* Two clients, at the first home and at the last, each subscribed to a topic of its own, "0" and
 * "1", and both to "both"; a publisher at the first home. */
struct scene {
    struct world w;
    struct world_client c[2];
    char id[2][16];
    struct world_publication sent[PUBLICATIONS];
    unsigned count;
};

static struct gnt_core_config limited(unsigned homes, enum gnt_overflow overflow)
{
    struct gnt_core_config config = world_config(homes);
    config.queued_max = LIMIT;
    config.hold_ms = WAIT_S * 1000;
    config.overflow = overflow;
    return config;
}

static void open_with(struct scene *s, const struct gnt_core_config *config, const char *prefix)
{
    *s = (struct scene){0};
    world_init(&s->w, config->homes, config);
    for (unsigned i = 0; i < 2; i++) {
        char filter[32];
        world_id_at(&s->w, i ? config->homes - 1 : 0, i + 1, s->id[i]);
        s->c[i].id = s->id[i];
        assert_true(world_connect(&s->w, &s->c[i], true, 1000));
        snprintf(filter, sizeof filter, "%s%u", prefix, i);
        assert_int_equal(world_subscribe(&s->c[i], filter, 1), GNT_DONE);
        assert_int_equal(world_subscribe(&s->c[i], "both", 1), GNT_DONE);
    }
}

static void open_scene(struct scene *s, unsigned homes, enum gnt_overflow overflow)
{
    struct gnt_core_config config = limited(homes, overflow);
    open_with(s, &config, "");
}

static void close_scene(struct scene *s)
{
    for (unsigned i = 0; i < 2; i++) {
        if (s->c[i].session)
            gnt_session_close(s->c[i].session, GNT_PARTING_CLEAN, 0);
        world_client_fini(&s->c[i]);
    }
    world_fini(&s->w);
}

static void both_cut(struct scene *s)
{
    world_cut(&s->c[0]);
    world_cut(&s->c[1]);
    world_settle(&s->w);
}

/* The next number, at QoS 1, and all that comes of it but what is held. */
static enum gnt_outcome publish(struct scene *s, const char *topic)
{
    struct world_publication *p = &s->sent[s->count++];
    char payload[8];
    snprintf(payload, sizeof payload, "%u", s->count);
    world_publish_waiting(&s->w, 0, topic, payload, 1, p);
    world_settle(&s->w);
    return p->outcome;
}

static unsigned count_of(const struct scene *s, enum gnt_outcome outcome)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->count; i++)
        n += s->sent[i].outcome == outcome;
    return n;
}

static void takes(struct scene *s, unsigned i)
{
    s->c[i].busy = false;
    gnt_session_ready(s->c[i].session);
    world_settle(&s->w);
}

/* What the sessions were sent, when they have come again. */
static void assert_kept(struct scene *s, const char *first, const char *second)
{
    const char *expected[] = {first, second};
    for (unsigned i = 0; i < 2; i++) {
        size_t from = s->c[i].count;
        assert_true(world_connect(&s->w, &s->c[i], false, 1000));
        assert_string_equal(world_payloads(&s->c[i], from), expected[i]);
    }
}

/* ---- Receivers that are away */

static void what_is_too_much_in_all_is_dropped_and_its_publisher_told(void **state)
{
    (void)state;
    for (unsigned homes = 1; homes <= 2; homes++) {
        struct scene s;
        open_scene(&s, homes, GNT_OVERFLOW_DROP_NEWEST);
        both_cut(&s);
        for (unsigned i = 0; i < LIMIT; i++)
            assert_int_equal(publish(&s, i % 2 ? "1" : "0"), GNT_DONE);
        publish(&s, "0");
        publish(&s, "1");
        publish(&s, "both");
        assert_int_equal(count_of(&s, GNT_QUOTA), 3);
        assert_counted(&s.w, GNT_COUNT_QUEUED, LIMIT);
        assert_counted(&s.w, GNT_COUNT_DROPPED_BROKER_FULL, 4);
        assert_counted(&s.w, GNT_COUNT_DROPPED_QUEUE_FULL, 0);
        assert_ledger(&s.w);
        assert_kept(&s, "1 3 ", "2 4 ");
        close_scene(&s);
    }
}

/* Each pays for itself: who has nothing to drop does not take from others. */
static void the_oldest_of_the_same_queue_makes_room(void **state)
{
    (void)state;
    for (unsigned homes = 1; homes <= 2; homes++) {
        struct scene s;
        open_scene(&s, homes, GNT_OVERFLOW_DROP_OLDEST);
        both_cut(&s);
        for (unsigned i = 0; i < LIMIT; i++)
            assert_int_equal(publish(&s, "1"), GNT_DONE);
        assert_int_equal(publish(&s, "1"), GNT_DONE);
        assert_int_equal(publish(&s, "0"), GNT_QUOTA);
        assert_counted(&s.w, GNT_COUNT_DROPPED_BROKER_FULL, 2);
        assert_kept(&s, "", "2 3 4 5 ");
        close_scene(&s);
    }
}

/* A limit that has come down far below what waits costs a queue no more than what comes to it. */
static void one_goes_for_one_that_comes(void **state)
{
    (void)state;
    struct scene s;
    struct gnt_core_config config = limited(1, GNT_OVERFLOW_DROP_OLDEST);
    config.queued_max = 0;
    open_with(&s, &config, "");
    both_cut(&s);
    for (unsigned i = 0; i < 6; i++)
        publish(&s, "0");
    config.queued_max = 2;
    gnt_home_configure(&s.w.core->homes[0], &config);
    assert_int_equal(publish(&s, "0"), GNT_DONE);
    assert_counted(&s.w, GNT_COUNT_QUEUED, 6);
    assert_kept(&s, "2 3 4 5 6 7 ", "");
    close_scene(&s);
}

static void bytes_are_limited_too(void **state)
{
    (void)state;
    for (int policy = 0; policy < 2; policy++) {
        struct scene s;
        struct gnt_core_config config =
            limited(2, policy ? GNT_OVERFLOW_DROP_OLDEST : GNT_OVERFLOW_DROP_NEWEST);
        config.queued_max = 0;
        config.queued_bytes_max = LIMIT;
        open_with(&s, &config, "");
        both_cut(&s);
        for (unsigned i = 0; i < LIMIT; i++)
            assert_int_equal(publish(&s, "1"), GNT_DONE);
        assert_int_equal(publish(&s, "1"), policy ? GNT_DONE : GNT_QUOTA);
        assert_counted(&s.w, GNT_COUNT_QUEUED_BYTES, LIMIT);
        assert_counted(&s.w, GNT_COUNT_DROPPED_BROKER_FULL, 1);
        assert_kept(&s, "", policy ? "2 3 4 5 " : "1 2 3 4 ");
        close_scene(&s);
    }
}

/* Who comes pays with as many bytes as it brings. */
static void several_go_for_a_large_one(void **state)
{
    (void)state;
    struct scene s;
    struct gnt_core_config config = limited(1, GNT_OVERFLOW_DROP_OLDEST);
    config.queued_max = 0;
    config.queued_bytes_max = LIMIT;
    open_with(&s, &config, "");
    both_cut(&s);
    for (unsigned i = 0; i < LIMIT; i++)
        publish(&s, "0");
    assert_int_equal(world_publish(&s.w, 0, "0", "xxx", 1, false), GNT_DONE);
    assert_counted(&s.w, GNT_COUNT_QUEUED_BYTES, LIMIT);
    assert_counted(&s.w, GNT_COUNT_DROPPED_BROKER_FULL, 3);
    assert_kept(&s, "4 xxx ", "");
    close_scene(&s);
}

/* Whose own queue is full, too, is counted as that. */
static void the_nearer_limit_is_the_reason(void **state)
{
    (void)state;
    struct scene s;
    struct gnt_core_config config = limited(1, GNT_OVERFLOW_DROP_NEWEST);
    config.queued_per_session = 2;
    open_with(&s, &config, "");
    both_cut(&s);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(publish(&s, "0"), GNT_DONE); /* as ever: the policy of its receiver */
    assert_counted(&s.w, GNT_COUNT_DROPPED_QUEUE_FULL, 1);
    assert_counted(&s.w, GNT_COUNT_DROPPED_BROKER_FULL, 0);
    close_scene(&s);
}

/* ---- Receivers that are there */

static void who_takes_it_at_once_is_none_the_worse(void **state)
{
    (void)state;
    struct scene s;
    open_scene(&s, 2, GNT_OVERFLOW_DROP_NEWEST);
    world_cut(&s.c[1]);
    for (unsigned i = 0; i < LIMIT + 2; i++)
        publish(&s, "1");
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(publish(&s, "0"), GNT_DONE);
    assert_int_equal(s.c[0].count, 3);
    assert_counted(&s.w, GNT_COUNT_QUEUED, LIMIT + 3);
    close_scene(&s);
}

/* Until its own queue has given it out, however full the broker is; or until there is room again,
 * which another home has made. */
static void a_connected_receiver_is_waited_for(void **state)
{
    (void)state;
    for (unsigned homes = 1; homes <= 2; homes++) {
        for (unsigned who = 0; who < 2; who++) {
            struct scene s;
            open_scene(&s, homes, GNT_OVERFLOW_DROP_NEWEST);
            s.c[0].busy = s.c[1].busy = true;
            for (unsigned i = 0; i < LIMIT; i++)
                assert_int_equal(publish(&s, "1"), GNT_DONE);
            assert_int_equal(publish(&s, "0"), GNT_WITHHELD);
            assert_counted(&s.w, GNT_COUNT_QUEUED, LIMIT + 1);
            assert_ledger(&s.w);
            takes(&s, who);
            if (who == 1) {
                assert_int_equal(world_answer(&s.c[1]), LIMIT);
                world_settle(&s.w);
                s.w.now += 20 * GNT_NS_PER_MS; /* the home that waits is idle, but looks */
                world_settle(&s.w);
            }
            assert_int_equal(s.sent[LIMIT].outcome, GNT_DONE);
            assert_counted(&s.w, GNT_COUNT_DROPPED_BROKER_FULL, 0);
            close_scene(&s);
        }
    }
}

/* A queue that has given one out is no reason to answer while the broker is as full as before. */
static void who_waits_for_the_broker_waits_for_its_room(void **state)
{
    (void)state;
    struct scene s;
    open_scene(&s, 1, GNT_OVERFLOW_DROP_NEWEST);
    world_cut(&s.c[1]);
    s.c[1].receive_max = 1;
    assert_true(world_connect(&s.w, &s.c[1], false, 1000));
    for (unsigned n = 0; n < LIMIT + 2; n++)
        publish(&s, "1");
    for (unsigned n = 0; n < 2; n++) {
        assert_int_equal(count_of(&s, GNT_WITHHELD), 2);
        assert_true(gnt_session_acknowledged(s.c[1].session, s.c[1].got[n].id, NULL));
        world_settle(&s.w);
    }
    assert_int_equal(count_of(&s, GNT_WITHHELD), 0);
    assert_counted(&s.w, GNT_COUNT_DROPPED_BROKER_FULL, 0);
    close_scene(&s);
}

static void nobody_waits_for_ever(void **state)
{
    (void)state;
    static const struct {
        enum gnt_overflow overflow;
        enum gnt_outcome held;
        const char *kept;
        unsigned closed;
    } rows[] = {{GNT_OVERFLOW_DROP_NEWEST, GNT_QUOTA, "1 2 3 4 ", 0},
                {GNT_OVERFLOW_DROP_OLDEST, GNT_DONE, "3 4 5 6 ", 0},
                {GNT_OVERFLOW_DISCONNECT, GNT_QUOTA, "1 2 3 4 ", 1}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scene s;
        open_scene(&s, 2, rows[i].overflow);
        s.c[1].busy = true;
        for (unsigned n = 0; n < LIMIT + 2; n++)
            publish(&s, "1");
        assert_int_equal(count_of(&s, GNT_WITHHELD), 2);
        world_pass(&s.w, WAIT_S - 1);
        assert_int_equal(count_of(&s, GNT_WITHHELD), 2);
        world_pass(&s.w, 2);
        assert_int_equal(count_of(&s, GNT_WITHHELD), 0);
        assert_int_equal(s.sent[LIMIT].outcome, rows[i].held);
        assert_int_equal(s.sent[LIMIT + 1].outcome, rows[i].held);
        assert_counted(&s.w, GNT_COUNT_DROPPED_BROKER_FULL, 2);
        assert_int_equal(s.c[1].closed, rows[i].closed);
        if (rows[i].closed)
            assert_true(world_connect(&s.w, &s.c[1], false, 1000));
        takes(&s, 1);
        assert_string_equal(world_payloads(&s.c[1], 0), rows[i].kept);
        close_scene(&s);
    }
}

/* Once it has been given up it is dropped for at once, until it takes something. */
static void who_was_given_up_is_not_waited_for(void **state)
{
    (void)state;
    struct scene s;
    open_scene(&s, 2, GNT_OVERFLOW_DROP_NEWEST);
    s.c[0].busy = s.c[1].busy = true;
    for (unsigned n = 0; n < LIMIT + 1; n++)
        publish(&s, "1");
    world_pass(&s.w, WAIT_S + 1);
    assert_int_equal(publish(&s, "1"), GNT_QUOTA);
    takes(&s, 1);
    s.c[1].busy = true; /* in flight it counts as well, so that the broker is full still */
    assert_int_equal(publish(&s, "1"), GNT_WITHHELD);
    close_scene(&s);
}

/* Not for one that it has taken while the broker is as full as before. */
static void who_was_given_up_stays_so_while_the_broker_is_full(void **state)
{
    (void)state;
    struct scene s;
    open_scene(&s, 2, GNT_OVERFLOW_DROP_NEWEST);
    world_cut(&s.c[1]);
    s.c[1].receive_max = 1;
    assert_true(world_connect(&s.w, &s.c[1], false, 1000));
    s.c[0].busy = true;
    for (unsigned n = 0; n < LIMIT + 1; n++)
        publish(&s, "1");
    world_pass(&s.w, WAIT_S + 1);
    assert_int_equal(count_of(&s, GNT_QUOTA), 1);
    for (unsigned n = 0; n < 2; n++)
        assert_int_equal(publish(&s, "0"), GNT_WITHHELD);
    assert_true(gnt_session_acknowledged(s.c[1].session, s.c[1].got[0].id, NULL));
    world_settle(&s.w);
    assert_int_equal(publish(&s, "1"), GNT_QUOTA);
    close_scene(&s);
}

static void a_shared_group_is_waited_for(void **state)
{
    (void)state;
    for (unsigned homes = 1; homes <= 2; homes++) {
        struct scene s;
        struct gnt_core_config config = limited(homes, GNT_OVERFLOW_DROP_NEWEST);
        open_with(&s, &config, "$share/g/");
        s.c[1].busy = true;
        for (unsigned n = 0; n < LIMIT + 2; n++)
            publish(&s, "1");
        assert_int_equal(count_of(&s, GNT_WITHHELD), 2);
        takes(&s, 1);
        assert_int_equal(count_of(&s, GNT_DONE), LIMIT + 2);
        assert_string_equal(world_payloads(&s.c[1], 0), "1 2 3 4 5 6 ");
        world_answer(&s.c[1]);
        world_settle(&s.w);
        for (unsigned i = 0; i < homes; i++)
            assert_int_equal(atomic_load(&s.w.core->homes[i].full), 0);
        world_cut(&s.c[1]);
        world_settle(&s.w);
        for (unsigned n = 0; n < LIMIT + 2; n++)
            publish(&s, "1");
        assert_int_equal(count_of(&s, GNT_QUOTA), 2);
        assert_counted(&s.w, GNT_COUNT_DROPPED_BROKER_FULL, 2);
        assert_ledger(&s.w);
        close_scene(&s);
    }
}

/* ---- The sum */

static void a_reload_lifts_the_limit(void **state)
{
    (void)state;
    struct scene s;
    struct gnt_core_config config = limited(1, GNT_OVERFLOW_DROP_NEWEST);
    open_with(&s, &config, "");
    s.c[1].busy = true;
    for (unsigned n = 0; n < LIMIT + 2; n++)
        publish(&s, "1");
    assert_int_equal(count_of(&s, GNT_WITHHELD), 2);
    config.queued_max = LIMIT + 2;
    gnt_home_configure(&s.w.core->homes[0], &config);
    world_settle(&s.w);
    assert_int_equal(count_of(&s, GNT_DONE), LIMIT + 2);
    assert_int_equal(publish(&s, "1"), GNT_WITHHELD);
    config.queued_max = 0;
    gnt_home_configure(&s.w.core->homes[0], &config);
    world_settle(&s.w);
    assert_int_equal(count_of(&s, GNT_DONE), LIMIT + 3);
    assert_int_equal(atomic_load(&s.w.core->homes[0].full), 0);
    close_scene(&s);
}

/* Within one turn a home does not see what the others take in, but for what it saw when it first
 * looked; in the next one it does. */
static void what_one_turn_takes_in_may_be_too_much(void **state)
{
    (void)state;
    struct scene s;
    open_scene(&s, 2, GNT_OVERFLOW_DROP_NEWEST);
    both_cut(&s);
    struct gnt_home *homes = s.w.core->homes;
    for (unsigned i = 0; i < LIMIT; i++)
        for (unsigned home = 0; home < 2; home++)
            world_publish(&s.w, home, home ? "1" : "0", "x", 1, false);
    assert_counted(&s.w, GNT_COUNT_QUEUED, 2 * LIMIT - 1);
    assert_counted(&s.w, GNT_COUNT_DROPPED_BROKER_FULL, 1);
    assert_false(gnt_total_exceeds(&homes[0], 0, 0));
    s.w.now++;
    assert_true(gnt_total_exceeds(&homes[0], 0, 0));
    world_publish(&s.w, 0, "0", "x", 1, false);
    world_publish(&s.w, 1, "1", "x", 1, false);
    assert_counted(&s.w, GNT_COUNT_DROPPED_BROKER_FULL, 3);
    close_scene(&s);
}

/* What was on its way when the process ended has been acknowledged: it is taken in, whatever the
 * limit is now. */
static void what_was_acknowledged_before_a_restart_is_taken_in(void **state)
{
    (void)state;
    struct gnt_store *store;
    struct world w;
    char id[16];
    struct world_client c = {.id = id};
    struct gnt_core_config config = limited(2, GNT_OVERFLOW_DROP_NEWEST);
    assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
    world_init_kept(&w, 2, &config, store);
    world_id_at(&w, 1, 0, id);
    assert_true(world_connect(&w, &c, true, 1000));
    assert_int_equal(world_subscribe(&c, "t", 1), GNT_DONE);
    world_disconnect(&c);
    world_settle(&w);
    for (int i = 0; i < LIMIT; i++)
        world_publish(&w, 0, "t", "x", 1, false);
    world_commit(&w); /* and is with neither home any more */
    config.queued_max = 1;
    world_crash(&w, NULL, 0);
    world_init_kept(&w, 2, &config, store);
    assert_counted(&w, GNT_COUNT_QUEUED, LIMIT);
    assert_counted(&w, GNT_COUNT_DROPPED_BROKER_FULL, 0);
    world_fini(&w);
    world_client_fini(&c);
    gnt_store_close(&store);
}

/* Whatever allocation fails: each publisher is answered once, and the ledger adds up. */
static void memory_may_end_anywhere(void **state)
{
    (void)state;
    for (long fail = 0; fail < 60; fail++) {
        struct scene s;
        open_scene(&s, 2, GNT_OVERFLOW_DROP_NEWEST);
        s.c[0].busy = s.c[1].busy = true;
        for (unsigned i = 0; i < LIMIT; i++)
            publish(&s, "1");
        gnt_alloc_fail_at(fail);
        for (int i = 0; i < 4; i++)
            publish(&s, "both");
        gnt_alloc_fail_at(-1);
        assert_ledger(&s.w);
        takes(&s, 0);
        takes(&s, 1);
        assert_int_equal(count_of(&s, GNT_WITHHELD), 0);
        close_scene(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_too_much_in_all_is_dropped_and_its_publisher_told),
        cmocka_unit_test(the_oldest_of_the_same_queue_makes_room),
        cmocka_unit_test(one_goes_for_one_that_comes),
        cmocka_unit_test(bytes_are_limited_too),
        cmocka_unit_test(several_go_for_a_large_one),
        cmocka_unit_test(the_nearer_limit_is_the_reason),
        cmocka_unit_test(who_takes_it_at_once_is_none_the_worse),
        cmocka_unit_test(a_connected_receiver_is_waited_for),
        cmocka_unit_test(who_waits_for_the_broker_waits_for_its_room),
        cmocka_unit_test(nobody_waits_for_ever),
        cmocka_unit_test(who_was_given_up_is_not_waited_for),
        cmocka_unit_test(who_was_given_up_stays_so_while_the_broker_is_full),
        cmocka_unit_test(a_shared_group_is_waited_for),
        cmocka_unit_test(a_reload_lifts_the_limit),
        cmocka_unit_test(what_one_turn_takes_in_may_be_too_much),
        cmocka_unit_test(what_was_acknowledged_before_a_restart_is_taken_in),
        cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
