/* Queues in memory: who gets what, and what comes of it; with homes apart and together. */
#include "support/unit.h"

#include "unit/core/three_homes.h"

#include <stdio.h>
#include <stdlib.h>

/* Wherever it asks from, the same queue answers; case does not matter. */
static void names(void **state)
{
    (void)state;
    struct gnt_queue_facts a, b;
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_FIND, "orders", NULL, NULL), GNT_QUEUE_NOT_FOUND);
    assert_int_equal(queue_ask(&w, 1, GNT_ENTITY_CREATE, "Orders", NULL, &a), GNT_QUEUE_DONE);
    assert_true(a.created);
    for (unsigned from = 0; from < HOMES; from++) {
        assert_int_equal(queue_ask(&w, from, GNT_ENTITY_FIND, "oRDERS", NULL, &b), GNT_QUEUE_DONE);
        assert_true(a.id == b.id && !b.created);
    }
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_CREATE, "orders", NULL, &b), GNT_QUEUE_EXISTS);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_CREATE, "", NULL, NULL), GNT_QUEUE_BAD_NAME);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_CREATE, "a\nb", NULL, NULL), GNT_QUEUE_BAD_NAME);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_FIND_OR_CREATE, "x/$DeadLetterQueue", NULL, NULL),
                     GNT_QUEUE_NOT_FOUND);
    struct gnt_queue_facts dead;
    assert_int_equal(queue_ask(&w, 2, GNT_ENTITY_FIND, "orders/$deadletterQUEUE", NULL, &dead),
                     GNT_QUEUE_DONE);
    assert_true(dead.id && dead.id != a.id);
    assert_int_equal(queue_ask(&w, 2, GNT_ENTITY_DELETE, "ORDERS", NULL, NULL), GNT_QUEUE_DONE);
    assert_int_equal(queue_ask(&w, 1, GNT_ENTITY_FIND, "orders", NULL, NULL), GNT_QUEUE_NOT_FOUND);
}

/* What no plain address reaches cannot be made; what is there from an earlier version could still
 * be found. */
static void names_that_cannot_be(void **state)
{
    (void)state;
    const char *const rows[] = {"/orders", "$orders", "queue://orders", "a/Partitions/0"};
    const enum gnt_entity_verb verbs[] = {GNT_ENTITY_CREATE, GNT_ENTITY_FIND_OR_CREATE,
                                          GNT_ENTITY_DECLARE, GNT_ENTITY_FIND};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t v = 0; v < COUNT_OF(verbs); v++)
            assert_int_equal(queue_ask(&w, 0, verbs[v], rows[i], NULL, NULL), GNT_QUEUE_BAD_NAME);
}

static void on_dead_letter(struct gnt_home *home, struct gnt_sending *s,
                           enum gnt_queue_result result)
{
    (void)home, (void)s;
    assert_int_equal(result, GNT_QUEUE_READ_ONLY);
}

static void nobody_sends_dead_letters(void **state)
{
    (void)state;
    struct gnt_queue_facts dead;
    queue_id(&w, "q", NULL);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_FIND, "Q/$deadletterqueue", NULL, &dead),
                     GNT_QUEUE_DONE);
    for (unsigned from = 0; from < HOMES; from++) {
        const struct gnt_message_init init = {.topic = LITERAL("t"),
                                              .payload = LITERAL("x"),
                                              .expires = GNT_NEVER};
        struct gnt_sending s = {.done = on_dead_letter};
        assert_int_equal(gnt_message_new(&init, &s.message), GNT_OK);
        gnt_queue_send(&w.core->homes[from], dead.id, &s);
        world_settle(&w);
        assert_null(s.message);
    }
    assert_int_equal(queue_facts(&w, "q").dead_letters, 0);
}

static void bad_options(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_deliveries = 2000000;
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_CREATE, "q", &o, NULL), GNT_QUEUE_BAD_OPTION);
    assert_int_equal(queue_ask_bound(&w, "q", "a/#/b", NULL), GNT_QUEUE_BAD_OPTION);
    assert_int_equal(queue_ask_bound(&w, "q", "a/#", NULL), GNT_QUEUE_DONE);
}

/* What would have to be put into the store, or taken out of it, with all that is there. */
static void durable_is_fixed(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    queue_id(&w, "q", &o);
    o.durable = GNT_QUEUE_ALWAYS;
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_UPDATE, "q", &o, NULL), GNT_QUEUE_DONE);
    o.durable = GNT_QUEUE_NEVER;
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_UPDATE, "q", &o, NULL), GNT_QUEUE_FIXED);
    assert_int_equal(queue_facts(&w, "q").options.durable, GNT_QUEUE_ALWAYS);
    queue_id(&w, "never", &o);
    o.durable = GNT_QUEUE_AS_SENT;
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_DECLARE, "never", &o, NULL), GNT_QUEUE_FIXED);
}

static void listing_done(struct gnt_home *home, struct gnt_entity_listing *l,
                         enum gnt_queue_result result)
{
    (void)home;
    assert_int_equal(result, GNT_QUEUE_DONE);
    assert_int_equal(l->count, 20);
}

static void listing(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "q%d", i);
        queue_id(&w, name, NULL);
    }
    struct gnt_entity_listing l = {.done = listing_done};
    gnt_entity_list(&w.core->homes[1], &l);
    world_settle(&w);
    assert_int_equal(l.count, 20);
    assert_false(l.more);
    gnt_entity_listing_fini(&l);
    l.most = 20;
    gnt_entity_list(&w.core->homes[1], &l);
    world_settle(&w);
    gnt_entity_listing_fini(&l);
}

/* A sender, a queue and a receiver, each wherever. */
static void through(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    for (unsigned from = 0; from < HOMES; from++) {
        for (unsigned to = 0; to < HOMES; to++) {
            struct queue_reader r = {.count = 0};
            struct queue_sent s[3];
            queue_open(&w, to, q, GNT_CONSUME_LOCK, &r);
            queue_credit(&r, 2, false);
            queue_send(&w, from, q, "a", false, &s[0]);
            queue_send(&w, from, q, "b", true, &s[1]);
            queue_send(&w, from, q, "c", false, &s[2]);
            assert_false(s[0].done); /* not from within */
            world_settle(&w);
            for (int i = 0; i < 3; i++)
                assert_true(s[i].done && s[i].result == GNT_QUEUE_DONE && s[i].sequence);
            assert_string_equal(queue_text(&r), "a b ");
            queue_settle(&r, GNT_SETTLE_ACCEPT);
            uint64_t delivery = r.held[0].delivery;
            queue_settle_one(&r, "b", &(struct gnt_settling){.tell = true});
            queue_credit(&r, 1, false);
            world_settle(&w);
            assert_string_equal(queue_text(&r), "a b c ");
            assert_true(r.settled == 1 && r.settled_result == GNT_QUEUE_DONE);
            assert_true(r.settled_delivery == delivery);
            queue_settle(&r, GNT_SETTLE_ACCEPT);
            queue_close(&r, false);
            queue_forget(&r);
            struct gnt_queue_facts f = queue_facts(&w, "q");
            assert_true(f.ready == 0 && f.held == 0 && f.bytes == 0 && f.consumers == 0);
        }
    }
    assert_counted(&w, GNT_COUNT_DELIVERED, 3 * HOMES * HOMES);
}

/* What is not settled is there again when its receiver goes, at its place. */
static void comes_back(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    queue_send_words(&w, q, "a b c d e f", false);
    struct queue_reader r = {.count = 0}, s = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 4, false);
    world_settle(&w);
    queue_settle_one(&r, "b", &(struct gnt_settling){.outcome = GNT_SETTLE_ACCEPT});
    queue_close(&r, false);
    queue_open(&w, 2, q, GNT_CONSUME_LOCK, &s);
    queue_credit(&s, 10, false);
    world_settle(&w);
    assert_string_equal(queue_text(&s), "a c d e f ");
    assert_true(s.held[0].acquired && s.held[0].failed == 0 && !s.held[3].acquired);
    queue_settle_one(&s, "d", &(struct gnt_settling){.outcome = GNT_SETTLE_RELEASE});
    queue_settle_one(&s, "c", &(struct gnt_settling){.outcome = GNT_SETTLE_MODIFY, .failed = true});
    world_settle(&w);
    assert_string_equal(queue_text(&s), "a c d e f c d ");
    assert_int_equal(s.held[s.count - 2].failed, 1);
    queue_close(&s, true);
    assert_int_equal(queue_facts(&w, "q").ready, 5);
    queue_forget(&r);
    queue_forget(&s);
}

static void takes_for_good(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    queue_send_words(&w, q, "a b c", false);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 0, q, GNT_CONSUME_TAKE, &r);
    queue_credit(&r, 2, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a b ");
    assert_int_equal(queue_facts(&w, "q").ready, 1);
    assert_counted(&w, GNT_COUNT_DELIVERED, 2);
    queue_close(&r, false);
    queue_forget(&r);
}

/* Those with credit take turns; who is of a higher priority has them first. */
static void turns(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    struct queue_reader r[4] = {{.count = 0}};
    r[3].c.priority = 1;
    for (unsigned i = 0; i < 4; i++) {
        queue_open(&w, i % HOMES, q, GNT_CONSUME_TAKE, &r[i]);
        queue_credit(&r[i], i == 3 ? 2 : 100, false);
        world_settle(&w);
    }
    queue_send_words(&w, q, "a b c d e f g h", false);
    assert_string_equal(queue_text(&r[3]), "a b ");
    assert_string_equal(queue_text(&r[0]), "c f ");
    assert_string_equal(queue_text(&r[1]), "d g ");
    assert_string_equal(queue_text(&r[2]), "e h ");
    for (unsigned i = 0; i < 4; i++) {
        queue_close(&r[i], false);
        queue_forget(&r[i]);
    }
}

static void exclusive(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    struct queue_reader a = {.c.exclusive = true}, b = {.count = 0}, browser = {.count = 0};
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &a);
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &b);
    queue_open(&w, 0, q, GNT_CONSUME_BROWSE, &browser);
    world_settle(&w);
    assert_true(a.opened && a.result == GNT_QUEUE_DONE);
    assert_true(b.opened && b.result == GNT_QUEUE_IN_USE);
    assert_true(browser.result == GNT_QUEUE_DONE);
    queue_close(&b, false);
    queue_close(&a, false);
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &b);
    world_settle(&w);
    assert_true(b.result == GNT_QUEUE_DONE);
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &a);
    world_settle(&w);
    assert_true(a.result == GNT_QUEUE_IN_USE); /* somebody is there */
    queue_close(&a, false);
    queue_close(&b, false);
    queue_close(&browser, false);
}

static void priorities(void **state)
{
    (void)state;
    struct gnt_queue_options flat = gnt_queue_options_default();
    flat.priority = 0;
    uint64_t q = queue_id(&w, "q", NULL), p = queue_id(&w, "p", &flat);
    const char *words[] = {"c", "a", "d", "b"};
    const uint8_t priority[] = {4, 200, 0, 9};
    for (int i = 0; i < 4; i++) {
        queue_send_with(&w, 0, q, words[i], false, priority[i], NULL, GNT_NEVER, NULL);
        queue_send_with(&w, 0, p, words[i], false, priority[i], NULL, GNT_NEVER, NULL);
    }
    world_settle(&w);
    struct queue_reader r = {.count = 0}, s = {.count = 0};
    queue_open(&w, 0, q, GNT_CONSUME_TAKE, &r);
    queue_credit(&r, 10, false);
    queue_open(&w, 0, p, GNT_CONSUME_TAKE, &s);
    queue_credit(&s, 10, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a b c d ");
    assert_string_equal(queue_text(&s), "c a d b ");
    queue_close(&r, false);
    queue_close(&s, false);
    queue_forget(&r);
    queue_forget(&s);
}

static void draining(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    queue_send_words(&w, q, "a b", false);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 5, true);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a b ");
    assert_true(r.drained == 1 && r.drained_upto == 5);
    queue_send_words(&w, q, "c", false);
    assert_string_equal(queue_text(&r), "a b "); /* its credit is used up */
    queue_credit(&r, 0, true);
    world_settle(&w);
    assert_int_equal(r.drained, 2);
    queue_credit(&r, 1, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a b c ");
    assert_int_equal(r.drained, 2);
    queue_close(&r, false);
    queue_forget(&r);
}

/* Credit that is taken back is not used; options that change hold for those who are there. */
static void changes(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    struct queue_reader r = {.count = 0}, s = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 9, false);
    world_settle(&w);
    queue_send_words(&w, q, "a b", false);
    r.credit = 1; /* less than has been delivered */
    gnt_consumer_credit(&r.c, 1, false);
    world_settle(&w);
    queue_send_words(&w, q, "c", false);
    assert_string_equal(queue_text(&r), "a b ");
    r.credit = 3;
    gnt_consumer_credit(&r.c, 3, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a b c ");
    struct gnt_queue_options o = gnt_queue_options_default();
    o.groups = 1;
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_DECLARE, "q", &o, NULL), GNT_QUEUE_DONE);
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &s);
    queue_credit(&s, 9, false);
    queue_credit(&r, 9, false);
    world_settle(&w);
    for (int i = 0; i < 4; i++)
        queue_send_with(&w, 0, q, "g", false, 4, "g", GNT_NEVER, NULL);
    world_settle(&w);
    assert_true(r.count == 3 + 4 || s.count == 4);
    queue_close(&r, false);
    queue_close(&s, false);
    queue_forget(&r);
    queue_forget(&s);
}

static void held_max(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    queue_send_words(&w, q, "a b c d", false);
    struct queue_reader r = {.c.held_max = 2};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 100, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a b ");
    queue_settle(&r, GNT_SETTLE_ACCEPT);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a b c ");
    queue_close(&r, false);
    queue_forget(&r);
}

/* ---- Ends */

static void deleted(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    queue_send_words(&w, q, "a b c", false);
    struct queue_reader r = {.count = 0};
    struct queue_sent sent;
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 1, false);
    world_settle(&w);
    queue_ask(&w, 0, GNT_ENTITY_DELETE, "q", NULL, NULL);
    assert_true(r.ended && r.result == GNT_QUEUE_NOT_FOUND);
    queue_settle_one(&r, "a", &(struct gnt_settling){.tell = true});
    queue_credit(&r, 5, true);
    queue_send(&w, 2, q, "d", false, &sent);
    world_settle(&w);
    assert_true(r.settled == 1 && r.settled_result == GNT_QUEUE_LOCK_LOST);
    assert_int_equal(sent.result, GNT_QUEUE_NOT_FOUND);
    queue_close(&r, false);
    queue_forget(&r);
    assert_counted(&w, GNT_COUNT_DROPPED_DELETED, 3);
}

static void purged(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    queue_send_words(&w, q, "a b c", false);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 1, false);
    world_settle(&w);
    struct gnt_queue_facts f;
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_PURGE, "q", NULL, &f), GNT_QUEUE_DONE);
    assert_true(f.ready == 0 && f.held == 1);
    queue_close(&r, false);
    assert_int_equal(queue_facts(&w, "q").ready, 1);
    queue_forget(&r);
}

/* Closed and settled in one breath, and closed before it is open. */
static void in_one_breath(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    queue_send_words(&w, q, "a b", false);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 9, false);
    queue_close(&r, false);
    assert_false(r.opened);
    assert_int_equal(queue_facts(&w, "q").ready, 2);
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 9, false);
    world_settle(&w);
    queue_settle_one(&r, "a", &(struct gnt_settling){.tell = true});
    queue_settle_one(&r, "b", &(struct gnt_settling){.tell = false});
    queue_close(&r, false);
    assert_int_equal(r.settled, 1);
    assert_int_equal(queue_facts(&w, "q").ready, 0);
    queue_forget(&r);
}

static void idle(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.auto_delete_ms = 10000;
    uint64_t q = queue_id(&w, "q", &o);
    world_pass(&w, 6);
    queue_send_words(&w, q, "a", false);
    world_pass(&w, 6);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    world_settle(&w);
    world_pass(&w, 30);
    assert_false(r.ended);
    queue_close(&r, false);
    world_pass(&w, 9);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_FIND, "q", NULL, NULL), GNT_QUEUE_DONE);
    world_pass(&w, 11);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_FIND, "q", NULL, NULL), GNT_QUEUE_NOT_FOUND);
    assert_counted(&w, GNT_COUNT_DROPPED_DELETED, 1);
}

/* ---- Topics */

static void bound(void **state)
{
    (void)state;
    assert_int_equal(queue_ask_bound(&w, "q", "site/+/t", NULL), GNT_QUEUE_DONE);
    for (unsigned from = 0; from < HOMES; from++) {
        assert_int_equal(world_publish(&w, from, "site/1/t", "a", 1, false), GNT_DONE);
        world_publish(&w, from, "site/1/x", "b", 1, false);
    }
    world_settle(&w);
    assert_int_equal(queue_facts(&w, "q").ready, HOMES);
    assert_int_equal(queue_ask_bound(&w, "q", "site/1/x", NULL), GNT_QUEUE_DONE);
    world_publish(&w, 0, "site/1/t", "a", 1, false);
    world_publish(&w, 0, "site/1/x", "c", 0, false);
    world_settle(&w);
    assert_int_equal(queue_facts(&w, "q").ready, HOMES + 1);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 1, queue_id(&w, "q", NULL), GNT_CONSUME_TAKE, &r);
    queue_credit(&r, 9, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a a a c ");
    queue_close(&r, false);
    queue_forget(&r);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(names),
        TEST(names_that_cannot_be),
        TEST(nobody_sends_dead_letters),
        TEST(bad_options),
        TEST(durable_is_fixed),
        TEST(listing),
        TEST(through),
        TEST(comes_back),
        TEST(takes_for_good),
        TEST(turns),
        TEST(exclusive),
        TEST(priorities),
        TEST(draining),
        TEST(changes),
        TEST(held_max),
        TEST(deleted),
        TEST(purged),
        TEST(in_one_breath),
        TEST(idle),
        TEST(bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
