/* Deliveries that are held: their locks, and what is said of them too late. */
#include "support/unit.h"

#include "support/queue_world.h"

enum { HOMES = 2 };

static struct world w;

static int setup(void **state)
{
    (void)state;
    world_init(&w, HOMES, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

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
        TEST(too_late),
        TEST(shorter),
        TEST(endless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
