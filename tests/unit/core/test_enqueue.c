/* What MQTT publishes to "$queue/NAME". */
#include "core/enqueue.h"

#include "support/alloc_fault.h"
#include "support/queue_world.h"
#include "support/unit.h"

enum { HOMES = 3 };

static struct world w;

static int setup(void **state)
{
    (void)state;
    struct gnt_core_config config = world_config(HOMES);
    config.auto_create = true;
    world_init(&w, HOMES, &config);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

/* All that is in the queue NAME. */
static const char *all_of(const char *name, struct queue_reader *r)
{
    queue_open(&w, 0, queue_id(&w, name, NULL), GNT_CONSUME_TAKE, r);
    queue_credit(r, 100, false);
    world_settle(&w);
    return queue_text(r);
}

static void done_with(struct queue_reader *r)
{
    queue_close(r, false);
    queue_forget(r);
}

static void in_order(void **state)
{
    (void)state;
    struct world_publication p[3] = {{.outcome = GNT_WITHHELD}};
    for (unsigned home = 0; home < HOMES; home++) {
        const char *words[] = {"a", "b", "c"};
        char topic[] = "$queue/Orders?";
        topic[sizeof topic - 2] = (char)('0' + home);
        for (int i = 0; i < 3; i++) /* the directory has not answered, or has */
            assert_int_equal(world_publish_waiting(&w, home, topic, words[i], 1, &p[i]),
                             GNT_WITHHELD);
        world_settle(&w);
        for (int i = 0; i < 3; i++)
            assert_int_equal(p[i].outcome, GNT_DONE);
        topic[7] = 'o'; /* names compare without case */
        struct queue_reader r = {.count = 0};
        assert_string_equal(all_of(topic + 7, &r), "a b c ");
        done_with(&r);
    }
}

/* While one is under way the way is known, and what comes next goes behind it. */
static void behind_each_other(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_messages = 1;
    queue_id(&w, "q", &o);
    struct world_publication p[3] = {{.outcome = GNT_WITHHELD}};
    for (int i = 0; i < 3; i++) {
        world_publish_waiting(&w, 1, "$queue/q", "x", 1, &p[i]);
        world_settle(&w);
    }
    assert_int_equal(p[0].outcome, GNT_WITHHELD); /* it is in the queue, which is full */
    assert_int_equal(p[2].outcome, GNT_WITHHELD);
    assert_int_equal(queue_facts(&w, "q").ready, 3);
    assert_int_equal(world_publish(&w, 1, "$queue/q", "nobody waits", 0, false), GNT_DONE);
    world_settle(&w);
    assert_counted(&w, GNT_COUNT_DROPPED_QUEUE_FULL, 1);
    struct queue_reader r = {.count = 0};
    assert_string_equal(all_of("q", &r), "x x x ");
    for (int i = 0; i < 3; i++)
        assert_int_equal(p[i].outcome, GNT_DONE);
    done_with(&r);
}

static void room_never_comes(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_messages = 1;
    queue_id(&w, "q", &o);
    struct world_publication p = {.outcome = GNT_WITHHELD};
    world_publish_waiting(&w, 1, "$queue/q", "x", 1, &p);
    world_settle(&w);
    assert_int_equal(p.outcome, GNT_WITHHELD);
    queue_ask(&w, 0, GNT_ENTITY_DELETE, "q", NULL, NULL);
    assert_int_equal(p.outcome, GNT_DONE); /* it was in the queue */
}

static void refused(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_messages = 1;
    o.overflow = GNT_QUEUE_REJECT;
    queue_id(&w, "q", &o);
    struct world_publication p = {.outcome = GNT_WITHHELD};
    world_publish_waiting(&w, 1, "$queue/q", "x", 1, &p);
    world_settle(&w);
    assert_int_equal(p.outcome, GNT_DONE);
    world_publish_waiting(&w, 1, "$queue/q", "y", 2, &p);
    world_settle(&w);
    assert_int_equal(p.outcome, GNT_QUOTA);
    assert_counted(&w, GNT_COUNT_DROPPED_QUEUE_FULL, 1);
    world_publish_waiting(&w, 1, "$queue/\x01", "x", 1, &p); /* no name of a queue */
    world_settle(&w);
    assert_int_equal(p.outcome, GNT_TOPIC_INVALID);
    for (unsigned i = 0; i < HOMES; i++)
        w.core->homes[i].config.auto_create = false;
    world_publish_waiting(&w, 1, "$queue/none", "x", 1, &p);
    world_settle(&w);
    assert_int_equal(p.outcome, GNT_TOPIC_INVALID);
    queue_ask(&w, 0, GNT_ENTITY_CREATE, "none", NULL, NULL); /* and this is seen */
    world_publish_waiting(&w, 1, "$queue/none", "x", 1, &p);
    world_settle(&w);
    assert_int_equal(p.outcome, GNT_DONE);
}

static void is_no_topic(void **state)
{
    (void)state;
    struct world_client c = {.id = "c"};
    assert_true(world_connect(&w, &c, true, 0));
    assert_int_equal(world_subscribe(&c, "$queue", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&c, "#", 1), GNT_DONE);
    world_publish(&w, 0, "$queue/q", "to the queue", 1, true);
    world_publish(&w, 0, "$queue", "to the topic", 1, false);
    world_publish(&w, 0, "$queue/", "to nobody", 1, false);
    world_settle(&w);
    assert_string_equal(world_payloads(&c, 0), "to the topic ");
    assert_int_equal(world_subscribe(&c, "other", 1), GNT_DONE);
    world_answer(&c);
    world_disconnect(&c);
    world_client_fini(&c);
    struct queue_reader r = {.count = 0};
    assert_string_equal(all_of("q", &r), "to the queue ");
    done_with(&r);
    assert_counted(&w, GNT_COUNT_RETAINED, 0);
}

static void will(void **state)
{
    (void)state;
    struct world_client c = {.id = "c", .will = world_message("$queue/q", "gone", 1, false)};
    assert_true(world_connect(&w, &c, true, 0));
    world_cut(&c);
    world_settle(&w);
    struct queue_reader r = {.count = 0};
    assert_string_equal(all_of("q", &r), "gone ");
    done_with(&r);
    world_client_fini(&c);
}

/* Whoever waits is told; what nobody waited for is counted. */
static void no_memory(void **state)
{
    (void)state;
    bool done = false;
    queue_id(&w, "q", NULL);
    for (long n = 0; !done; n++) {
        struct world_publication p = {.outcome = GNT_WITHHELD};
        gnt_alloc_fail_at(n);
        enum gnt_outcome outcome = world_publish_waiting(&w, 1, "$queue/q", "x", 1, &p);
        world_settle(&w);
        done = !gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        if (outcome == GNT_WITHHELD)
            outcome = p.outcome;
        assert_true(outcome == GNT_FAILED || outcome == GNT_DONE);
        assert_true(!done || outcome == GNT_DONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(behind_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(room_never_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(refused, setup, teardown),
        cmocka_unit_test_setup_teardown(is_no_topic, setup, teardown),
        cmocka_unit_test_setup_teardown(will, setup, teardown),
        cmocka_unit_test_setup_teardown(no_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
