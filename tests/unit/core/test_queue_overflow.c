/* Bounds that hold: whether anybody receives or not, whoever sends, and whatever else is full. */
#include "support/unit.h"

#include "core/queue_private.h"
#include "store/memory.h"
#include "support/queue_world.h"

#include <stdio.h>
#include <stdlib.h>

enum { HOMES = 2 };

static struct world w;
static struct gnt_store *store;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
    world_init_kept(&w, HOMES, NULL, store);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_fini(&w);
    gnt_store_close(&store);
    return 0;
}

static void with(const struct gnt_core_config *config)
{
    world_fini(&w);
    world_init_kept(&w, HOMES, config, store);
}

static void again(void)
{
    world_crash(&w, NULL, 0);
    world_init_kept(&w, HOMES, NULL, store);
}

static uint64_t make(const char *name, enum gnt_queue_overflow overflow, uint64_t max_messages)
{
    struct gnt_queue_options o = gnt_queue_options_default();
    o.overflow = overflow;
    o.max_messages = max_messages;
    return queue_id(&w, name, &o);
}

/* COUNT messages, "0" and so on. */
static void send_numbers(uint64_t q, int count, bool durable)
{
    char text[16];
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%d", i);
        queue_send(&w, 0, q, text, durable, NULL);
    }
    world_settle(&w);
}

/* The first of them that is there: what nobody is there for is dropped all the same. */
static void the_oldest_goes(void **state)
{
    (void)state;
    uint64_t q = make("q", GNT_QUEUE_DROP_OLDEST, 100);
    send_numbers(q, 5000, true);
    assert_int_equal(queue_facts(&w, "q").ready, 100);
    assert_counted(&w, GNT_COUNT_DROPPED_QUEUE_FULL, 4900);
    again();
    send_numbers(queue_facts(&w, "q").id, 10, true);
    assert_int_equal(queue_facts(&w, "q").ready, 100);
    assert_int_equal(atoi(queue_take_all(&w, "q")), 4910);
}

static void less_than_before(void **state)
{
    (void)state;
    uint64_t q = make("q", GNT_QUEUE_DROP_OLDEST, 0);
    send_numbers(q, 5000, true);
    struct gnt_queue_options o = gnt_queue_options_default();
    o.overflow = GNT_QUEUE_DROP_OLDEST;
    o.max_messages = 10;
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_UPDATE, "q", &o, NULL), GNT_QUEUE_DONE);
    assert_int_equal(queue_facts(&w, "q").ready, 10);
    assert_int_equal(atoi(queue_take_all(&w, "q")), 4990);
}

static void dead_letters_too(void **state)
{
    (void)state;
    uint64_t q = make("q", GNT_QUEUE_BLOCK, 50);
    for (int round = 0; round < 10; round++) {
        struct queue_reader r = {.count = 0};
        send_numbers(q, 50, true);
        queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
        queue_credit(&r, 50, false);
        world_settle(&w);
        while (r.count)
            queue_settle(&r, GNT_SETTLE_REJECT);
        queue_close(&r, false);
        queue_forget(&r);
    }
    assert_int_equal(queue_facts(&w, "q").dead_letters, 50);
}

/* What expires goes, however much it is, though nobody receives; and senders may go on. */
static void what_expires_goes(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_messages = 500;
    uint64_t own = queue_id(&w, "own", &o);
    o.ttl_ms = 10000;
    uint64_t q = queue_id(&w, "q", &o);
    struct queue_room r = {.times = 0};
    send_numbers(q, 500, true);
    for (int i = 0; i < 500; i++)
        queue_send_with(&w, 0, own, "x", true, 4, NULL, w.now + 10 * GNT_NS_PER_S, NULL);
    queue_await(&w, 0, q, &r);
    world_settle(&w);
    assert_int_equal(queue_facts(&w, "own").ready, 500);
    assert_int_equal(r.times, 0);
    world_pass(&w, 11);
    assert_int_equal(queue_facts(&w, "q").ready, 0);
    assert_int_equal(queue_facts(&w, "own").ready, 0);
    assert_int_equal(r.times, 1);
    assert_counted(&w, GNT_COUNT_EXPIRED, 1000);
}

/* Also what an earlier process has left. */
static void what_has_expired_meanwhile_goes(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    uint64_t own = queue_id(&w, "own", &o);
    o.ttl_ms = 10000;
    send_numbers(queue_id(&w, "q", &o), 500, true);
    for (int i = 0; i < 500; i++)
        queue_send_with(&w, 0, own, "x", true, 4, NULL, w.now + 10 * GNT_NS_PER_S, NULL);
    world_settle(&w);
    again();
    world_pass(&w, 1);
    assert_int_equal(queue_facts(&w, "own").ready, 500);
    world_pass(&w, 11);
    assert_int_equal(queue_facts(&w, "q").ready, 0);
    assert_int_equal(queue_facts(&w, "own").ready, 0);
}

/* Those who do not care for credit come to an end. */
static void blocking_has_an_end(void **state)
{
    (void)state;
    enum { COUNT = GNT_QUEUE_SLACK + 10 };
    uint64_t q = make("q", GNT_QUEUE_BLOCK, 1);
    struct queue_sent last = {.done = false};
    for (int i = 0; i < COUNT; i++)
        queue_send(&w, 0, q, "x", false, i + 1 < COUNT ? NULL : &last);
    world_settle(&w);
    assert_int_equal(last.result, GNT_QUEUE_FULL);
    assert_int_equal(queue_facts(&w, "q").ready, GNT_QUEUE_SLACK + 1);
    assert_counted(&w, GNT_COUNT_QUEUE_REFUSED, 9);
}

static void publishers_come_to_an_end(void **state)
{
    (void)state;
    enum { COUNT = GNT_QUEUE_SLACK + 10 };
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_messages = 1;
    assert_int_equal(queue_ask_bound(&w, "q", "t", &o), GNT_QUEUE_DONE);
    unsigned own = gnt_sink_home(queue_facts(&w, "q").id);
    struct world_publication *p = calloc(COUNT, sizeof *p);
    assert_non_null(p);
    for (int i = 0; i < COUNT; i++)
        world_publish_waiting(&w, own, "t", "a", 1, &p[i]);
    world_settle(&w);
    assert_int_equal(p[0].outcome, GNT_DONE);
    assert_int_equal(p[COUNT - 10].outcome, GNT_WITHHELD);
    assert_int_equal(p[COUNT - 9].outcome, GNT_QUOTA);
    assert_counted(&w, GNT_COUNT_DROPPED_QUEUE_FULL, 9);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_PURGE, "q", NULL, NULL), GNT_QUEUE_DONE);
    assert_int_equal(p[COUNT - 10].outcome, GNT_DONE);
    free(p);
}

/* What another queue has is no reason to drop what is here; nor to keep dead letters out, of which
 * there are no more than before. */
static void others_are_full(void **state)
{
    (void)state;
    struct gnt_core_config config = world_config(HOMES);
    config.queued_max = 8;
    with(&config);
    uint64_t d = make("d", GNT_QUEUE_DROP_OLDEST, 10), q = make("q", GNT_QUEUE_BLOCK, 0);
    queue_send_words(&w, d, "a b c", true);
    send_numbers(q, GNT_QUEUE_SLACK + 10, false); /* more than all that */
    assert_int_equal(queue_facts(&w, "q").ready, GNT_QUEUE_SLACK + 5);
    struct queue_sent sent;
    queue_send(&w, 0, d, "x", true, &sent);
    world_settle(&w);
    assert_int_equal(sent.result, GNT_QUEUE_FULL);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 2, false);
    world_settle(&w);
    queue_settle(&r, GNT_SETTLE_REJECT);
    queue_settle(&r, GNT_SETTLE_REJECT);
    queue_close(&r, false);
    queue_forget(&r);
    assert_int_equal(queue_facts(&w, "q").dead_letters, 2);
    assert_string_equal(queue_take_all(&w, "d"), "a b c ");
    assert_string_equal(queue_take_all(&w, "q/" GNT_DEAD_LETTERS), "0 1 ");
}

static void refuse(struct queue_reader *r)
{
    const struct gnt_settling elsewhere = {.outcome = GNT_SETTLE_MODIFY, .elsewhere = true};
    queue_settle_one(r, NULL, &elsewhere);
}

/* Who wants nothing of all there is does not have all of it read into memory; and goes on when
 * others have taken what he did not want. */
static void nothing_is_wanted(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    uint64_t q = queue_id(&w, "q", NULL);
    send_numbers(q, COUNT, true);
    struct queue_reader r = {.c.held_max = 100, .on_delivered = refuse}, s = {.count = 0};
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, COUNT, false);
    world_settle(&w);
    assert_int_equal(queue_facts(&w, "q").ready, COUNT);
    assert_true(queue_in_memory(queue_inside(&w, "q")) < COUNT / 2);
    assert_true(r.delivered >= GNT_QUEUE_BARS_MAX && r.delivered < COUNT / 2);
    size_t before = r.delivered;
    queue_open(&w, 1, q, GNT_CONSUME_TAKE, &s);
    queue_credit(&s, 100, false);
    world_settle(&w);
    assert_int_equal(atoi(s.held[99].payload), 99);
    assert_int_equal(r.delivered, before + 100);
    queue_credit(&s, COUNT, false);
    world_settle(&w);
    assert_int_equal(s.count, COUNT);
    queue_close(&r, false);
    queue_close(&s, false);
    queue_forget(&r);
    queue_forget(&s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_oldest_goes),
        TEST(less_than_before),
        TEST(dead_letters_too),
        TEST(what_expires_goes),
        TEST(what_has_expired_meanwhile_goes),
        TEST(blocking_has_an_end),
        TEST(publishers_come_to_an_end),
        TEST(others_are_full),
        TEST(nothing_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
