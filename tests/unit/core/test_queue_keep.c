/* Queues that outlive the process. */
#include "support/unit.h"

#include "core/queue_private.h"
#include "store/memory.h"
#include "support/queue_world.h"

#include <stdio.h>
#include <stdlib.h>

enum { HOMES = 2 };

static struct world w;
static struct gnt_store *store;

static void begin(unsigned homes)
{
    world_init_kept(&w, homes, NULL, store);
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
    begin(HOMES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_fini(&w);
    gnt_store_close(&store);
    return 0;
}

static void again(unsigned homes)
{
    world_crash(&w, NULL, 0);
    begin(homes);
}

/* ---- Coming back */

static void a_queue_comes_back(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_deliveries = 7;
    o.lock_ms = 1234;
    uint64_t q = queue_id(&w, "Orders", &o);
    queue_send_words(&w, q, "a b c", true);
    queue_send_words(&w, q, "x y", false);
    again(HOMES);
    assert_int_equal(w.recovered.queues, 1);
    assert_int_equal(w.recovered.deliveries, 3);
    struct gnt_queue_facts f = queue_facts(&w, "orders");
    assert_true(f.ready == 3 && f.options.max_deliveries == 7 && f.options.lock_ms == 1234);
    assert_int_equal(f.last_sequence, 3);
    assert_int_equal(f.bytes, 3);
    assert_string_equal(queue_take_all(&w, "orders"), "a b c ");
    again(1);
    assert_string_equal(queue_take_all(&w, "orders"), "");
    queue_send_words(&w, queue_facts(&w, "orders").id, "d", true);
    again(3); /* homes may be more or fewer */
    assert_string_equal(queue_take_all(&w, "ORDERS"), "d ");
}

static void what_is_done_with_is_gone(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 3, false);
    queue_send_words(&w, q, "a b c d e", true);
    queue_settle_one(&r, "b", &(struct gnt_settling){.outcome = GNT_SETTLE_ACCEPT, .tell = true});
    queue_settle_one(&r, "c",
                     &(struct gnt_settling){.outcome = GNT_SETTLE_MODIFY,
                                            .failed = true,
                                            .annotations = gnt_slice_str("noted")});
    world_settle(&w);
    assert_int_equal(r.settled, 1);
    assert_int_equal(queue_records(store, "queued"), 1);
    again(HOMES); /* r knows nothing of that */
    queue_forget(&r);
    struct queue_reader s = {.count = 0};
    queue_open(&w, 1, queue_facts(&w, "q").id, GNT_CONSUME_LOCK, &s);
    queue_credit(&s, 9, false);
    world_settle(&w);
    assert_string_equal(queue_text(&s), "a c d e ");
    assert_int_equal(s.held[0].failed, 0);
    assert_int_equal(s.held[1].failed, 1);
    assert_int_equal(s.held[1].sequence, 3);
    assert_true(s.held[1].durable);
    assert_string_equal(s.held[1].annotations, "noted");
    while (s.count)
        queue_settle(&s, GNT_SETTLE_ACCEPT);
    queue_close(&s, false);
    assert_int_equal(queue_records(store, "queued"), 0);
    queue_forget(&s);
}

static void dead_letters_come_back(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 9, false);
    queue_send_words(&w, q, "a b c", true);
    queue_settle_one(&r, "b",
                     &(struct gnt_settling){.outcome = GNT_SETTLE_REJECT,
                                            .reason = gnt_slice_str("why"),
                                            .description = gnt_slice_str("because")});
    world_settle(&w);
    again(HOMES);
    queue_forget(&r);
    struct gnt_queue_facts f = queue_facts(&w, "q");
    assert_true(f.ready == 2 && f.dead_letters == 1);
    queue_open(&w, 0, queue_facts(&w, "q/" GNT_DEAD_LETTERS).id, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 9, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "b ");
    assert_string_equal(r.held[0].reason, "why");
    assert_string_equal(r.held[0].description, "because");
    assert_string_equal(r.held[0].source, "q");
    assert_int_equal(r.held[0].source_sequence, 2);
    queue_close(&r, false);
    queue_forget(&r);
    assert_string_equal(queue_take_all(&w, "q"), "a c ");
}

static void what_is_deleted_stays_away(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    queue_send_words(&w, q, "a b", true);
    queue_facts(&w, "q/" GNT_DEAD_LETTERS);
    assert_int_equal(queue_records(store, "queue"), 2);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_DELETE, "q", NULL, NULL), GNT_QUEUE_DONE);
    assert_int_equal(queue_records(store, "queue"), 0);
    queue_id(&w, "q", NULL);
    again(HOMES);
    assert_string_equal(queue_take_all(&w, "q"), "");
    queue_send_words(&w, queue_facts(&w, "q").id, "c", true);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_PURGE, "q", NULL, NULL), GNT_QUEUE_DONE);
    again(HOMES);
    assert_string_equal(queue_take_all(&w, "q"), "");
}

static void what_is_not_to_be_kept(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.durable = GNT_QUEUE_NEVER;
    queue_send_words(&w, queue_id(&w, "never", &o), "a", true);
    o.durable = GNT_QUEUE_ALWAYS;
    queue_send_words(&w, queue_id(&w, "always", &o), "a", false);
    again(HOMES);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_FIND, "never", NULL, NULL), GNT_QUEUE_NOT_FOUND);
    assert_string_equal(queue_take_all(&w, "always"), "a ");
}

static void priorities_and_groups_come_back(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.groups = 1;
    uint64_t q = queue_id(&w, "q", &o);
    const char *const words[] = {"c", "a", "d", "b"};
    const uint8_t priority[] = {4, 9, 0, 8};
    for (int i = 0; i < 4; i++)
        queue_send_with(&w, 0, q, words[i], true, priority[i], i ? "g" : NULL, GNT_NEVER, NULL);
    world_settle(&w);
    again(HOMES);
    struct queue_reader r = {.count = 0}, s = {.count = 0};
    q = queue_facts(&w, "q").id;
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 1, false);
    world_settle(&w);
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &s);
    queue_credit(&s, 9, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a ");
    assert_string_equal(queue_text(&s), "c ");
    queue_close(&s, false);
    queue_close(&r, false);
    queue_forget(&r);
    queue_forget(&s);
    assert_string_equal(queue_take_all(&w, "q"), "a b c d ");
}

/* Who only looks is told what an earlier process has learned of them. */
static void browsers_are_told_the_counts(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 9, false);
    queue_send_words(&w, q, "a b", true);
    const struct gnt_settling s = {.outcome = GNT_SETTLE_MODIFY,
                                   .failed = true,
                                   .annotations = gnt_slice_str("noted")};
    queue_settle_one(&r, "b", &s);
    world_settle(&w);
    again(HOMES);
    queue_forget(&r);
    r = (struct queue_reader){.count = 0};
    queue_open(&w, 1, queue_facts(&w, "q").id, GNT_CONSUME_BROWSE, &r);
    queue_credit(&r, 9, true);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a b ");
    assert_true(r.held[0].failed == 0 && !r.held[0].acquired);
    assert_true(r.held[1].failed == 1 && r.held[1].acquired);
    assert_string_equal(r.held[1].annotations, "noted");
    queue_close(&r, false);
    queue_forget(&r);
}

/* What is known of messages goes with them, also of those that nobody has read since. */
static void states_go_with_messages(void **state)
{
    (void)state;
    for (int crash = 0; crash < 2; crash++) {
        uint64_t q = queue_id(&w, "q", NULL);
        struct queue_reader r = {.count = 0};
        queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
        queue_credit(&r, 9, false);
        queue_send_words(&w, q, "a b", true);
        queue_settle_one(&r, "b",
                         &(struct gnt_settling){.outcome = GNT_SETTLE_MODIFY, .failed = true});
        world_settle(&w);
        assert_int_equal(queue_records(store, "queued"), 1);
        if (crash)
            again(HOMES);
        else
            queue_close(&r, false);
        queue_forget(&r);
        assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_PURGE, "q", NULL, NULL), GNT_QUEUE_DONE);
        assert_int_equal(queue_records(store, "queued"), 0);
    }
}

static void dead_letters_have_their_queues_options(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    queue_id(&w, "q", &o);
    queue_facts(&w, "q/" GNT_DEAD_LETTERS);
    o.max_messages = 77;
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_UPDATE, "q", &o, NULL), GNT_QUEUE_DONE);
    again(HOMES);
    struct gnt_queue_options dead = queue_facts(&w, "q/" GNT_DEAD_LETTERS).options;
    assert_true(dead.max_messages == 77 && dead.overflow == GNT_QUEUE_DROP_OLDEST);
}

/* ---- Safe before it is said */

static void a_turn(unsigned home)
{
    w.now++;
    gnt_timers_run(&w.timers[home], w.now);
}

static void accepted_when_safe(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    unsigned home = gnt_sink_home(q);
    struct queue_sent durable, other;
    queue_send(&w, home, q, "a", true, &durable);
    queue_send(&w, home, q, "b", false, &other);
    for (int i = 0; i < 5; i++)
        a_turn(home);
    assert_true(other.done && !durable.done);
    assert_int_equal(queue_inside(&w, "q")->ready, 2);
    again(HOMES);
    assert_string_equal(queue_take_all(&w, "q"), "");
    q = queue_facts(&w, "q").id;
    queue_send(&w, home, q, "c", true, &durable);
    a_turn(home);
    gnt_keep_commit(&w.core->homes[home]);
    assert_false(durable.done);
    while (world_mail_one(&w, home, home))
        a_turn(home);
    assert_true(durable.done && durable.result == GNT_QUEUE_DONE);
    again(HOMES);
    assert_string_equal(queue_take_all(&w, "q"), "c ");
}

/* The same of what is settled. */
static void settled_when_safe(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    unsigned home = gnt_sink_home(q);
    struct queue_reader r = {.count = 0};
    queue_open(&w, home, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 9, false);
    queue_send_words(&w, q, "a", true);
    queue_settle_one(&r, "a", &(struct gnt_settling){.tell = true});
    for (int i = 0; i < 5; i++)
        a_turn(home);
    assert_int_equal(r.settled, 0);
    world_settle(&w);
    assert_int_equal(r.settled, 1);
    queue_close(&r, false);
    queue_forget(&r);
    again(HOMES);
    assert_string_equal(queue_take_all(&w, "q"), "");
}

/* ---- Long queues */

static void long_queues_are_not_in_memory(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    uint64_t q = queue_id(&w, "q", NULL);
    char text[16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "%d", i);
        queue_send(&w, 0, q, text, i % 3 != 0, NULL);
        if (i % 1000 == 0)
            world_settle(&w);
    }
    world_settle(&w);
    assert_true(queue_in_memory(queue_inside(&w, "q")) <= GNT_QUEUE_WINDOW_AWAY);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    for (int i = 0; i < COUNT / 2; i += 100) {
        queue_credit(&r, 100, false);
        world_settle(&w);
        assert_int_equal(r.count, 100);
        assert_true(queue_in_memory(queue_inside(&w, "q")) <= 2 * GNT_QUEUE_WINDOW);
        for (int k = 0; k < 100; k++) {
            assert_int_equal(atoi(r.held[0].payload), i + k);
            queue_settle(&r, GNT_SETTLE_ACCEPT);
        }
    }
    queue_credit(&r, 10, false);
    world_settle(&w);
    queue_close(&r, false);
    assert_true(queue_in_memory(queue_inside(&w, "q")) <= 10 + GNT_QUEUE_WINDOW_AWAY);
    queue_forget(&r);
    again(HOMES);
    struct gnt_queue_facts f = queue_facts(&w, "q");
    assert_int_equal(f.ready, COUNT / 2);
    assert_int_equal(f.bytes, COUNT / 2 * 5); /* as the first ones have */
    assert_int_equal(queue_in_memory(queue_inside(&w, "q")), 0);
    queue_open(&w, 1, queue_facts(&w, "q").id, GNT_CONSUME_TAKE, &r);
    queue_credit(&r, COUNT, true);
    world_settle(&w);
    assert_int_equal(r.count, COUNT / 2);
    for (int i = 0; i < COUNT / 2; i++)
        assert_int_equal(atoi(r.held[i].payload), COUNT / 2 + i);
    assert_true(r.drained == 1 && r.drained_upto == COUNT);
    queue_close(&r, false);
    queue_forget(&r);
    assert_counted(&w, GNT_COUNT_QUEUED_BYTES, 0);
}

/* ---- Those who look, far behind what is in memory */

static bool ends_in_77(struct gnt_consumer_filter *filter, const struct gnt_message *m)
{
    (void)filter;
    return m->payload.size >= 2 && memcmp(m->payload.data + m->payload.size - 2, "77", 2) == 0;
}

enum { LONG = 20000 };

static uint64_t long_queue(void)
{
    uint64_t q = queue_id(&w, "q", NULL);
    char text[16];
    for (int i = 0; i < LONG; i++) {
        snprintf(text, sizeof text, "%d", i);
        queue_send(&w, 0, q, text, true, NULL);
    }
    world_settle(&w);
    return q;
}

static void filters_see_all_of_it(void **state)
{
    (void)state;
    static struct gnt_consumer_filter filter = {ends_in_77, queue_filter_unref};
    uint64_t q = long_queue();
    struct queue_reader r = {.c.filter = &filter}, plain = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 100, false);
    world_settle(&w);
    assert_int_equal(r.count, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(atoi(r.held[i].payload), 100 * i + 77);
    assert_true(queue_in_memory(queue_inside(&w, "q")) <= 100 + 256 + GNT_QUEUE_WINDOW);
    for (int i = 0; i < 50; i++)
        queue_settle(&r, GNT_SETTLE_ACCEPT);
    queue_credit(&r, 1000, true);
    world_settle(&w);
    assert_int_equal(r.count, 50 + 100);
    assert_int_equal(r.drained, 1);
    while (r.count > 10)
        queue_settle(&r, GNT_SETTLE_ACCEPT);
    world_settle(&w);
    queue_send(&w, 0, q, "100077", true, NULL);
    queue_credit(&r, 1, false);
    world_settle(&w);
    assert_string_equal(r.held[10].payload, "100077");
    queue_settle_one(&r, "100077", &(struct gnt_settling){.outcome = GNT_SETTLE_ACCEPT});
    queue_close(&r, false); /* ten come back, to their places */
    queue_forget(&r);
    queue_open(&w, 0, q, GNT_CONSUME_TAKE, &plain);
    queue_credit(&plain, LONG, true);
    world_settle(&w);
    assert_int_equal(plain.count, LONG - 190);
    int before = -1;
    for (size_t i = 0; i < plain.count; i++) {
        int n = atoi(plain.held[i].payload);
        assert_true(n > before && (n % 100 != 77 || n >= LONG - 1000));
        before = n;
    }
    queue_close(&plain, false);
    queue_forget(&plain);
    assert_counted(&w, GNT_COUNT_QUEUED_BYTES, 0);
    again(HOMES);
    assert_string_equal(queue_take_all(&w, "q"), "");
}

static void browsers_see_all_of_it(void **state)
{
    (void)state;
    uint64_t q = long_queue();
    struct queue_reader b = {.count = 0}, from = {.c.browse_from = LONG - 4}, r = {.count = 0};
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 5, false);
    queue_open(&w, 1, q, GNT_CONSUME_BROWSE, &b);
    queue_open(&w, 1, q, GNT_CONSUME_BROWSE, &from);
    queue_credit(&from, 100, true);
    for (int i = 0; i < LONG; i += 1000) {
        queue_credit(&b, 1000, false);
        world_settle(&w);
        assert_int_equal(b.count, i + 1000);
        assert_true(queue_in_memory(queue_inside(&w, "q")) <= 2 * GNT_QUEUE_WINDOW);
    }
    for (int i = 0; i < LONG; i++)
        assert_int_equal(atoi(b.held[i].payload), i);
    queue_credit(&b, 10, true);
    world_settle(&w);
    assert_true(b.drained == 1 && b.count == LONG && from.drained == 1);
    assert_string_equal(queue_text(&from), "19995 19996 19997 19998 19999 ");
    queue_close(&b, false);
    queue_close(&from, false);
    queue_close(&r, false);
    queue_forget(&b);
    queue_forget(&from);
    queue_forget(&r);
    assert_int_equal(queue_facts(&w, "q").ready, LONG);
}

static void a_long_queue_is_purged(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    for (int i = 0; i < 5000; i++)
        queue_send(&w, 0, q, "x", true, NULL);
    world_settle(&w);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 2, false);
    world_settle(&w);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_PURGE, "q", NULL, NULL), GNT_QUEUE_DONE);
    struct gnt_queue_facts f = queue_facts(&w, "q");
    assert_true(f.ready == 0 && f.held == 2);
    queue_send(&w, 0, q, "y", true, NULL);
    world_settle(&w);
    again(HOMES);
    queue_forget(&r);
    assert_string_equal(queue_take_all(&w, "q"), "x x y ");
    q = queue_facts(&w, "q").id;
    for (int i = 0; i < 5000; i++)
        queue_send(&w, 0, q, "x", true, NULL);
    world_settle(&w);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_PURGE, "q", NULL, NULL), GNT_QUEUE_DONE);
    queue_send(&w, 0, q, "z", true, NULL);
    world_settle(&w);
    again(HOMES);
    assert_string_equal(queue_take_all(&w, "q"), "z ");
}

/* ---- Topics */

/* From a home to the queue's, a crash at each step on the way: once, and there. */
static void publications_arrive(void **state)
{
    (void)state;
    assert_int_equal(queue_ask_bound(&w, "q", "t/#", NULL), GNT_QUEUE_DONE);
    for (int steps = 0; steps < 6; steps++) {
        unsigned from = queue_inside(&w, "q")->home->index ? 0 : 1;
        char payload[8];
        snprintf(payload, sizeof payload, "%d", steps);
        assert_int_equal(world_publish(&w, from, "t/1", payload, 1, false), GNT_DONE);
        for (int i = 0; i < steps; i++) {
            if (i % 2)
                world_mail_one(&w, from, !from);
            else
                gnt_keep_commit(&w.core->homes[i / 2 % 2 ? !from : from]);
        }
        bool written = steps > 0;
        while (!written && world_mail_one(&w, from, !from)) {
        }
        again(HOMES);
        char expected[16] = "";
        if (written)
            snprintf(expected, sizeof expected, "%d ", steps);
        assert_string_equal(queue_take_all(&w, "q"), expected);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_queue_comes_back),
        TEST(what_is_done_with_is_gone),
        TEST(dead_letters_come_back),
        TEST(what_is_deleted_stays_away),
        TEST(what_is_not_to_be_kept),
        TEST(priorities_and_groups_come_back),
        TEST(browsers_are_told_the_counts),
        TEST(states_go_with_messages),
        TEST(dead_letters_have_their_queues_options),
        TEST(accepted_when_safe),
        TEST(settled_when_safe),
        TEST(long_queues_are_not_in_memory),
        TEST(filters_see_all_of_it),
        TEST(browsers_see_all_of_it),
        TEST(a_long_queue_is_purged),
        TEST(publications_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
