/* What becomes of what was delivered: outcomes, locks and what is said too late, expiry. */
#include "support/unit.h"

#include "unit/core/three_homes.h"

/* What failed too often, or is rejected, is a dead letter, with why; from there it is dropped. */
static void dead_letters(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_deliveries = 2;
    uint64_t q = queue_id(&w, "q", &o);
    queue_send_words(&w, q, "a b c", false);
    struct queue_reader r = {.count = 0}, d = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 100, false);
    world_settle(&w);
    queue_settle_one(&r, "b",
                     &(struct gnt_settling){.outcome = GNT_SETTLE_REJECT,
                                            .tell = true,
                                            .reason = gnt_slice_str("ugly"),
                                            .description = gnt_slice_str("I do not like it")});
    for (int i = 0; i < 2; i++) {
        queue_settle_one(&r, "a",
                         &(struct gnt_settling){.outcome = GNT_SETTLE_MODIFY, .failed = true});
        world_settle(&w);
    }
    assert_string_equal(queue_text(&r), "a b c a ");
    assert_true(r.settled == 1 && r.settled_result == GNT_QUEUE_DONE);
    struct gnt_queue_facts f = queue_facts(&w, "q");
    assert_true(f.dead_letters == 2 && f.held == 1 && f.ready == 0);
    assert_counted(&w, GNT_COUNT_DEAD_LETTERED, 2);

    uint64_t dead = queue_facts(&w, "q/$DeadLetterQueue").id;
    queue_open(&w, 2, dead, GNT_CONSUME_LOCK, &d);
    queue_credit(&d, 100, false);
    world_settle(&w);
    assert_string_equal(queue_text(&d), "b a ");
    assert_string_equal(d.held[0].reason, "ugly");
    assert_string_equal(d.held[0].description, "I do not like it");
    assert_string_equal(d.held[0].source, "q");
    assert_int_equal(d.held[0].source_sequence, 2);
    assert_string_equal(d.held[1].reason, "MaxDeliveryCountExceeded");
    assert_int_equal(d.held[1].failed, 2);
    queue_settle(&d, GNT_SETTLE_REJECT);
    queue_settle(&d, GNT_SETTLE_ACCEPT);
    world_settle(&w);
    assert_counted(&w, GNT_COUNT_DROPPED_REFUSED, 1);
    queue_close(&r, false);
    queue_close(&d, false);
    queue_forget(&r);
    queue_forget(&d);
}

static void annotations(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    queue_send_words(&w, q, "a", false);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 10, false);
    world_settle(&w);
    assert_string_equal(r.held[0].annotations, "");
    queue_settle_one(&r, "a",
                     &(struct gnt_settling){.outcome = GNT_SETTLE_MODIFY,
                                            .annotations = gnt_slice_str("once")});
    world_settle(&w);
    assert_string_equal(r.held[0].annotations, "once");
    assert_int_equal(r.held[0].failed, 0);
    queue_settle(&r, GNT_SETTLE_RELEASE);
    world_settle(&w);
    assert_string_equal(r.held[0].annotations, "once");
    queue_close(&r, false);
    queue_forget(&r);
}

/* Who does not want a message any more does not get it, and does not hold up others. */
static void undeliverable_here(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    queue_send_words(&w, q, "a b", false);
    struct queue_reader r = {.count = 0}, s = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 10, false);
    world_settle(&w);
    queue_settle_one(&r, "a",
                     &(struct gnt_settling){.outcome = GNT_SETTLE_MODIFY, .elsewhere = true});
    world_settle(&w);
    queue_send_words(&w, q, "c", false);
    assert_string_equal(queue_text(&r), "a b c ");
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &s);
    queue_credit(&s, 10, false);
    world_settle(&w);
    assert_string_equal(queue_text(&s), "a ");
    queue_settle(&s, GNT_SETTLE_RELEASE);
    world_settle(&w);
    assert_string_equal(queue_text(&s), "a a ");
    assert_string_equal(queue_text(&r), "a b c ");
    queue_close(&r, false);
    queue_close(&s, false);
    queue_forget(&r);
    queue_forget(&s);
}

static void locks(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.lock_ms = 10000;
    uint64_t q = queue_id(&w, "q", &o);
    queue_send_words(&w, q, "a b", false);
    struct queue_reader r = {.count = 0}, s = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 2, false);
    world_settle(&w);
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &s);
    queue_credit(&s, 9, false);
    world_pass(&w, 6);
    queue_settle_one(&r, "b", &(struct gnt_settling){.outcome = GNT_SETTLE_RENEW, .tell = true});
    world_settle(&w);
    world_pass(&w, 6);
    assert_string_equal(queue_text(&s), "a ");
    assert_int_equal(s.held[0].failed, 1);
    queue_settle_one(&r, "a", &(struct gnt_settling){.tell = true});
    world_settle(&w);
    assert_true(r.settled == 2 && r.settled_result == GNT_QUEUE_LOCK_LOST);
    queue_settle_one(&r, "b", &(struct gnt_settling){.tell = true});
    world_settle(&w);
    assert_true(r.settled == 3 && r.settled_result == GNT_QUEUE_DONE);
    queue_settle(&s, GNT_SETTLE_ACCEPT);
    queue_close(&r, false);
    queue_close(&s, false);
    queue_forget(&r);
    queue_forget(&s);
}

/* Whose lock expires, on a message that nobody else is to get, can hold another one. */
static void lock_of_a_dead_letter(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.lock_ms = 10000;
    o.max_deliveries = 1;
    uint64_t q = queue_id(&w, "q", &o);
    queue_send_words(&w, q, "a b", false);
    struct queue_reader r = {.c.held_max = 1};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 2, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a ");
    world_pass(&w, 12);
    assert_string_equal(queue_text(&r), "a b ");
    queue_close(&r, false);
    queue_forget(&r);
}

static void expiry(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.ttl_ms = 20000;
    uint64_t q = queue_id(&w, "q", NULL), t = queue_id(&w, "t", &o);
    o.dead_letter_on_expiry = 1;
    uint64_t d = queue_id(&w, "d", &o);
    uint64_t soon = w.now + 10 * GNT_NS_PER_S;
    for (int i = 0; i < 3; i++) {
        uint64_t to = i == 0 ? q : i == 1 ? t : d;
        queue_send_with(&w, 0, to, "a", false, 4, NULL, soon, NULL);
        queue_send_with(&w, 0, to, "b", false, 4, NULL, GNT_NEVER, NULL);
    }
    world_settle(&w);
    world_pass(&w, 11);
    assert_int_equal(queue_facts(&w, "q").ready, 1);
    assert_int_equal(queue_facts(&w, "t").ready, 1);
    assert_int_equal(queue_facts(&w, "d").dead_letters, 1);
    world_pass(&w, 10);
    assert_int_equal(queue_facts(&w, "q").ready, 1);
    assert_int_equal(queue_facts(&w, "t").ready, 0);
    assert_int_equal(queue_facts(&w, "d").dead_letters, 2);
    assert_counted(&w, GNT_COUNT_EXPIRED, 3);
    world_pass(&w, 100);
    assert_int_equal(queue_facts(&w, "d").dead_letters, 2);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 0, queue_facts(&w, "d/$DeadLetterQueue").id, GNT_CONSUME_TAKE, &r);
    queue_credit(&r, 9, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a b ");
    assert_string_equal(r.held[0].reason, "TTLExpiredException");
    queue_close(&r, false);
    queue_forget(&r);
}

/* ---- Locks */

static struct gnt_queue_options locked_for(uint64_t s)
{
    struct gnt_queue_options o = gnt_queue_options_default();
    o.lock_ms = s * 1000;
    return o;
}

/* What a receiver says of a delivery whose lock has ended is not for the next one of the same
 * message, which it has as well. */
static void too_late(void **state)
{
    (void)state;
    struct gnt_queue_options o = locked_for(10);
    uint64_t q = queue_id(&w, "q", &o);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 9, false);
    queue_send_words(&w, q, "a", false);
    world_pass(&w, 11);
    assert_string_equal(queue_text(&r), "a a ");
    assert_true(r.held[0].sequence == r.held[1].sequence);
    queue_settle_one(&r, "a", &(struct gnt_settling){.tell = true});
    world_settle(&w);
    assert_true(r.settled == 1 && r.settled_result == GNT_QUEUE_LOCK_LOST);
    assert_int_equal(queue_facts(&w, "q").held, 1);
    queue_settle_one(&r, "a", &(struct gnt_settling){.tell = true});
    world_settle(&w);
    assert_true(r.settled == 2 && r.settled_result == GNT_QUEUE_DONE);
    queue_close(&r, false);
    queue_forget(&r);
}

/* A shorter lock holds for what is held already, too, so that who has the later lock never ends
 * before who has the earlier one. */
static void shorter(void **state)
{
    (void)state;
    struct gnt_queue_options o = locked_for(1000), less = locked_for(10);
    uint64_t q = queue_id(&w, "q", &o);
    struct queue_reader r = {.count = 0}, s = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 2, false);
    queue_send_words(&w, q, "a", false);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_UPDATE, "q", &less, NULL), GNT_QUEUE_DONE);
    queue_send_words(&w, q, "b", false);
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &s);
    queue_credit(&s, 2, false);
    world_pass(&w, 9);
    assert_string_equal(queue_text(&s), "");
    world_pass(&w, 2);
    assert_string_equal(queue_text(&s), "a b ");
    queue_close(&r, false);
    queue_close(&s, false);
    queue_forget(&r);
    queue_forget(&s);
}

/* Who decides nothing keeps what it has as long as it is there. */
static void endless(void **state)
{
    (void)state;
    struct gnt_queue_options o = locked_for(10);
    uint64_t q = queue_id(&w, "q", &o);
    struct queue_reader r = {.c.endless = true};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 9, false);
    queue_send_words(&w, q, "a b", false);
    world_pass(&w, 100);
    assert_string_equal(queue_text(&r), "a b ");
    assert_true(r.held[0].locked_until == GNT_NEVER);
    queue_close(&r, false);
    queue_forget(&r);
    assert_string_equal(queue_take_all(&w, "q"), "a b ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(dead_letters),
        TEST(annotations),
        TEST(undeliverable_here),
        TEST(locks),
        TEST(lock_of_a_dead_letter),
        TEST(expiry),
        TEST(too_late),
        TEST(shorter),
        TEST(endless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
