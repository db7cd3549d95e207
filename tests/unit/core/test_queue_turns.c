/* However much is to be done for one queue, a turn does a part of it. */
#include "support/unit.h"

#include "core/queue_private.h"
#include "support/queue_world.h"

enum { COUNT = 60000, MUCH = 40000 };

static struct world w;

static int setup(void **state)
{
    (void)state;
    world_init(&w, 1, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

static void a_turn(void)
{
    w.now++;
    gnt_timers_run(&w.timers[0], w.now);
}

static uint64_t full_queue(const struct gnt_queue_options *o)
{
    uint64_t q = queue_id(&w, "q", o);
    for (int i = 0; i < COUNT; i++)
        queue_send(&w, 0, q, "x", false, NULL);
    world_settle(&w);
    return q;
}

static void on_purged(struct gnt_home *home, struct gnt_entity_asking *asking,
                      enum gnt_queue_result result)
{
    (void)home, (void)asking;
    assert_int_equal(result, GNT_QUEUE_DONE);
}

/* What comes meanwhile stays, and each request is told what it has dropped. */
static void purged(void **state)
{
    (void)state;
    uint64_t id = full_queue(NULL);
    struct gnt_entity_asking a[2];
    for (int i = 0; i < 2; i++) {
        a[i] = (struct gnt_entity_asking){.done = on_purged,
                                          .verb = GNT_ENTITY_PURGE,
                                          .name = gnt_slice_str("q")};
        gnt_entity_ask(&w.core->homes[0], &a[i]);
    }
    a_turn();
    uint64_t left = queue_inside(&w, "q")->ready;
    assert_true(left < COUNT && left > COUNT - MUCH);
    queue_send(&w, 0, id, "y", false, NULL);
    a_turn();
    queue_send(&w, 0, id, "z", false, NULL);
    world_settle(&w);
    assert_int_equal(a[0].purged, COUNT);
    assert_int_equal(a[1].purged, 2);
    assert_int_equal(queue_facts(&w, "q").ready, 0);
    queue_send(&w, 0, id, "y", false, NULL);
    assert_string_equal(queue_take_all(&w, "q"), "y ");
}

/* The queue is out of reach at once; what it had is freed behind its back, also if the core ends
 * meanwhile. */
static void deleted(void **state)
{
    (void)state;
    uint64_t id = full_queue(NULL);
    struct gnt_queue *q = queue_inside(&w, "q");
    struct gnt_entity_asking a = {.done = on_purged,
                                  .verb = GNT_ENTITY_DELETE,
                                  .name = gnt_slice_str("q")};
    gnt_entity_ask(&w.core->homes[0], &a);
    a_turn();
    assert_null(queue_inside(&w, "q"));
    assert_true(queue_in_memory(q) > COUNT - MUCH);
    assert_ledger(&w);
    struct queue_sent sent;
    queue_send(&w, 0, id, "x", false, &sent);
    a_turn();
    assert_int_equal(sent.result, GNT_QUEUE_NOT_FOUND);
    assert_string_equal((queue_id(&w, "q", NULL), queue_take_all(&w, "q")), "");
}

static void deleted_at_last(void **state)
{
    (void)state;
    full_queue(NULL);
    struct gnt_entity_asking a = {.done = on_purged,
                                  .verb = GNT_ENTITY_DELETE,
                                  .name = gnt_slice_str("q")};
    gnt_entity_ask(&w.core->homes[0], &a);
    a_turn();
}

static size_t looks;

static bool nothing(struct gnt_consumer_filter *filter, const struct gnt_message *m)
{
    (void)filter, (void)m;
    looks++;
    return false;
}

/* Others are served meanwhile, and those who drain are told when all has been looked at. */
static void looked_at(void **state)
{
    (void)state;
    static struct gnt_consumer_filter filter = {nothing, queue_filter_unref};
    uint64_t id = full_queue(NULL);
    const enum gnt_consume modes[] = {GNT_CONSUME_LOCK, GNT_CONSUME_BROWSE};
    for (int i = 0; i < 2; i++) {
        struct queue_reader r = {.c.filter = &filter}, plain = {.count = 0};
        looks = 0;
        queue_open(&w, 0, id, modes[i], &r);
        queue_credit(&r, 1, true);
        queue_open(&w, 0, id, GNT_CONSUME_LOCK, &plain);
        queue_credit(&plain, 100, false);
        a_turn();
        assert_true(looks > 0 && looks < MUCH);
        assert_true(r.drained == 0 && plain.count == 100);
        world_settle(&w);
        assert_true(r.drained == 1 && looks >= COUNT - 200 && looks <= COUNT);
        queue_close(&r, false);
        queue_close(&plain, false);
        queue_forget(&plain);
    }
}

static void browsed(void **state)
{
    (void)state;
    uint64_t id = full_queue(NULL);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 0, id, GNT_CONSUME_BROWSE, &r);
    queue_credit(&r, COUNT, false);
    a_turn();
    assert_true(r.count < MUCH);
    world_settle(&w);
    assert_int_equal(r.count, COUNT);
    queue_close(&r, false);
    queue_forget(&r);
}

static void expired(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.ttl_ms = 10000;
    full_queue(&o);
    w.now += 11 * GNT_NS_PER_S;
    a_turn(); /* the timers fire */
    a_turn();
    uint64_t left = queue_inside(&w, "q")->ready;
    assert_true(left < COUNT && left > COUNT - MUCH);
    world_settle(&w);
    assert_int_equal(queue_facts(&w, "q").ready, 0);
    assert_counted(&w, GNT_COUNT_EXPIRED, COUNT);
}

static void dropped(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.overflow = GNT_QUEUE_DROP_OLDEST;
    full_queue(&o);
    o.max_messages = 10;
    struct gnt_entity_asking a = {
        .done = on_purged, .verb = GNT_ENTITY_UPDATE, .name = gnt_slice_str("q"), .options = &o};
    gnt_entity_ask(&w.core->homes[0], &a);
    a_turn();
    uint64_t left = queue_inside(&w, "q")->ready;
    assert_true(left < COUNT && left > COUNT - MUCH);
    world_settle(&w);
    assert_int_equal(queue_facts(&w, "q").ready, 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(purged),  TEST(deleted), TEST(deleted_at_last), TEST(looked_at),
        TEST(browsed), TEST(expired), TEST(dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
