/* What happens at the bounds of a queue and of the broker, and while the store is in trouble. */
#include "support/unit.h"

#include "store/memory.h"
#include "unit/core/three_homes.h"

static void blocks(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_messages = 3;
    uint64_t q = queue_id(&w, "q", &o);
    struct queue_sent s[4];
    for (int i = 0; i < 4; i++)
        queue_send(&w, 1, q, "x", false, &s[i]);
    world_settle(&w);
    assert_true(!s[1].full && s[2].full && s[3].full);
    assert_int_equal(s[3].result, GNT_QUEUE_DONE); /* it was under way */
    struct queue_room r = {.times = 0}, gone = {.times = 0};
    queue_await(&w, 1, q, &r);
    queue_await(&w, 2, q, &gone);
    world_settle(&w);
    assert_true(r.times == 0 && gone.times == 0);
    gnt_queue_await_cancel(&w.core->homes[2], &gone.room);
    world_settle(&w);
    assert_true(gone.times == 1 && gone.result == GNT_QUEUE_CANCELLED);
    struct queue_reader reader = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_TAKE, &reader);
    queue_credit(&reader, 1, false);
    world_settle(&w);
    assert_int_equal(r.times, 0);
    queue_credit(&reader, 1, false);
    world_settle(&w);
    assert_true(r.times == 1 && r.result == GNT_QUEUE_DONE && gone.times == 1);
    queue_await(&w, 1, q, &r);
    world_settle(&w);
    assert_true(r.times == 2 && r.result == GNT_QUEUE_DONE); /* at once */
    queue_send(&w, 1, q, "x", false, NULL);
    queue_await(&w, 1, q, &r);
    queue_close(&reader, false);
    queue_ask(&w, 0, GNT_ENTITY_DELETE, "q", NULL, NULL);
    assert_true(r.times == 3 && r.result == GNT_QUEUE_NOT_FOUND);
    queue_forget(&reader);
}

static void rejects_and_drops(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_bytes = 3;
    o.overflow = GNT_QUEUE_REJECT;
    uint64_t q = queue_id(&w, "q", &o);
    o.overflow = GNT_QUEUE_DROP_OLDEST;
    uint64_t d = queue_id(&w, "d", &o);
    struct queue_sent s[4], t[4];
    const char *words[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        queue_send(&w, 1, q, words[i], false, &s[i]);
        queue_send(&w, 1, d, words[i], false, &t[i]);
    }
    world_settle(&w);
    assert_int_equal(s[2].result, GNT_QUEUE_DONE);
    assert_int_equal(s[3].result, GNT_QUEUE_FULL);
    assert_false(s[3].sequence);
    assert_int_equal(t[3].result, GNT_QUEUE_DONE);
    assert_counted(&w, GNT_COUNT_DROPPED_QUEUE_FULL, 1);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 0, d, GNT_CONSUME_TAKE, &r);
    queue_credit(&r, 9, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "b c d ");
    queue_close(&r, false);
    queue_forget(&r);
}

/* Publishers of MQTT wait for their acknowledgement while the queue is full. */
static void withholds(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_messages = 1;
    assert_int_equal(queue_ask_bound(&w, "q", "t", &o), GNT_QUEUE_DONE);
    uint64_t q = queue_id(&w, "q", NULL);
    unsigned own = gnt_sink_home(q);
    struct world_publication p[3] = {{.outcome = GNT_FAILED}};
    for (int i = 0; i < 2; i++) {
        world_publish_waiting(&w, own, "t", "a", 1, &p[i]);
        world_settle(&w);
    }
    assert_int_equal(p[0].outcome, GNT_DONE);
    assert_int_equal(p[1].outcome, GNT_WITHHELD);
    world_publish_waiting(&w, (own + 1) % HOMES, "t", "b", 1, &p[2]);
    world_publish(&w, own, "t", "nobody waits", 0, false);
    world_settle(&w);
    assert_int_equal(p[2].outcome, GNT_WITHHELD);
    assert_counted(&w, GNT_COUNT_DROPPED_QUEUE_FULL, 1);
    struct queue_reader r = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_TAKE, &r);
    queue_credit(&r, 9, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a a b ");
    assert_int_equal(p[1].outcome, GNT_DONE);
    assert_int_equal(p[2].outcome, GNT_DONE);
    queue_close(&r, false);
    queue_forget(&r);
}

/* Nobody has said that there is room in this queue: it was another one that was in the way. */
static void waits_for_the_whole_broker(void **state)
{
    (void)state;
    world_fini(&w);
    struct gnt_core_config config = world_config(HOMES);
    config.queued_max = 3;
    world_init(&w, HOMES, &config);
    uint64_t q = queue_id(&w, "q", NULL), other = queue_id(&w, "other", NULL);
    for (int i = 0; i < 3; i++)
        queue_send(&w, 0, other, "x", false, NULL);
    world_settle(&w);
    assert_true(queue_facts(&w, "q").full);
    struct queue_room r = {.times = 0};
    queue_await(&w, 1, q, &r);
    world_pass(&w, 1);
    assert_int_equal(r.times, 0);
    struct queue_reader reader = {.count = 0};
    queue_open(&w, 1, other, GNT_CONSUME_TAKE, &reader);
    queue_credit(&reader, 3, false);
    world_settle(&w);
    world_pass(&w, 1);
    assert_true(r.times == 1 && r.result == GNT_QUEUE_DONE);
    queue_close(&reader, false);
    queue_forget(&reader);
}

/* What has to be safe is not taken while nothing can be made safe; the rest is. */
static void while_the_store_is_in_trouble(void **state)
{
    (void)state;
    struct gnt_store *store;
    world_fini(&w);
    assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
    world_init_kept(&w, HOMES, NULL, store);
    uint64_t q = queue_id(&w, "q", NULL);
    atomic_store(&store->trouble, GNT_FULL);
    struct queue_sent durable, other, after;
    queue_send(&w, 1, q, "a", true, &durable);
    queue_send(&w, 1, q, "b", false, &other);
    world_settle(&w);
    assert_int_equal(durable.result, GNT_QUEUE_NO_STORE);
    assert_int_equal(other.result, GNT_QUEUE_DONE);
    assert_int_equal(queue_ask(&w, 1, GNT_ENTITY_CREATE, "new", NULL, NULL), GNT_QUEUE_NO_STORE);
    atomic_store(&store->trouble, GNT_OK);
    queue_send(&w, 1, q, "c", true, &after);
    world_settle(&w);
    assert_int_equal(after.result, GNT_QUEUE_DONE);
    world_fini(&w);
    gnt_store_close(&store);
    world_init(&w, HOMES, NULL);
}

static void as_many_queues_as_there_may_be(void **state)
{
    (void)state;
    world_fini(&w);
    struct gnt_core_config config = world_config(1);
    config.queues_max = 2;
    world_init(&w, 1, &config);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_CREATE, "a", NULL, NULL), GNT_QUEUE_DONE);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_CREATE, "b", NULL, NULL), GNT_QUEUE_DONE);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_CREATE, "c", NULL, NULL), GNT_QUEUE_LIMIT);
    assert_counted(&w, GNT_COUNT_QUEUES, 2);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_DELETE, "b", NULL, NULL), GNT_QUEUE_DONE);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_CREATE, "c", NULL, NULL), GNT_QUEUE_DONE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(blocks),
        TEST(rejects_and_drops),
        TEST(withholds),
        TEST(waits_for_the_whole_broker),
        TEST(while_the_store_is_in_trouble),
        TEST(as_many_queues_as_there_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
