/* While the store, or memory, is in trouble: what has to wait is tried again by itself. */
#include "support/unit.h"

#include "core/queue_private.h"
#include "store/memory.h"
#include "support/alloc_fault.h"
#include "support/queue_world.h"

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

/* What is to be a dead letter when it expires is not dropped, however long it cannot be one. */
static void overdue(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.dead_letter_on_expiry = 1;
    o.ttl_ms = 10000;
    o.groups = 1;
    uint64_t q = queue_id(&w, "q", &o);
    struct queue_reader r = {.count = 0}, s = {.count = 0}, b = {.count = 0};
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 1, false);
    queue_send_with(&w, 0, q, "held", true, 4, "g", GNT_NEVER, NULL);
    queue_send_with(&w, 0, q, "parked", true, 4, "g", GNT_NEVER, NULL);
    queue_send_words(&w, q, "a b c", true);
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &s);
    queue_credit(&s, 1, false);
    world_settle(&w);
    assert_string_equal(queue_text(&s), "a ");
    atomic_store(&store->trouble, GNT_FULL);
    world_pass(&w, 11);
    struct gnt_queue_facts f = queue_facts(&w, "q");
    assert_true(f.ready == 3 && f.held == 2 && f.dead_letters == 0);
    assert_true(world_counted(&w, GNT_COUNT_QUEUE_OVERDUE) > 0);
    queue_credit(&s, 9, true);
    queue_open(&w, 1, q, GNT_CONSUME_BROWSE, &b);
    queue_credit(&b, 9, true);
    world_settle(&w);
    assert_true(s.drained == 1 && b.drained == 1);
    assert_string_equal(queue_text(&s), "a ");
    atomic_store(&store->trouble, GNT_OK);
    world_pass(&w, 1);
    f = queue_facts(&w, "q");
    assert_true(f.ready == 0 && f.held == 2 && f.dead_letters == 3);
    assert_counted(&w, GNT_COUNT_EXPIRED, 0);
    queue_close(&b, false);
    queue_close(&s, false);
    queue_close(&r, false);
    queue_forget(&b);
    queue_forget(&s);
    queue_forget(&r);
    assert_int_equal(queue_facts(&w, "q").dead_letters, 5);
}

/* What is overdue may be purged, and goes with its queue. */
static void overdue_and_unwanted(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.dead_letter_on_expiry = 1;
    o.ttl_ms = 10000;
    const enum gnt_entity_verb verbs[] = {GNT_ENTITY_PURGE, GNT_ENTITY_DELETE};
    for (int i = 0; i < 2; i++) {
        queue_send_words(&w, queue_id(&w, "q", &o), "a b", true);
        atomic_store(&store->trouble, GNT_FULL);
        world_pass(&w, 11);
        assert_int_equal(queue_facts(&w, "q").ready, 2);
        assert_int_equal(queue_ask(&w, 0, verbs[i], "q", NULL, NULL), GNT_QUEUE_DONE);
        atomic_store(&store->trouble, GNT_OK);
    }
    assert_counted(&w, GNT_COUNT_DROPPED_DELETED, 4);
}

static bool from_e_on(struct gnt_consumer_filter *filter, const struct gnt_message *m)
{
    (void)filter;
    return m->payload.data[0] >= 'e';
}

/* Each read finds no memory once, and what was to be read comes all the same, with nothing more
 * said. */
static void reads_are_tried_again(void **state)
{
    (void)state;
    static struct gnt_consumer_filter filter = {from_e_on, queue_filter_unref};
    struct gnt_core_config config = world_config(HOMES);
    config.queue_window = 2;
    bool failed = true;
    for (long n = 0; failed; n++) {
        world_crash(&w, NULL, 0);
        world_init_kept(&w, HOMES, &config, store);
        queue_send_words(&w, queue_id(&w, "q", NULL), "a b c d e f", true);
        world_crash(&w, NULL, 0);
        world_init_kept(&w, HOMES, &config, store);
        struct queue_reader r = {.c.filter = n % 2 ? &filter : NULL};
        queue_open(&w, 0, queue_facts(&w, "q").id, GNT_CONSUME_LOCK, &r);
        world_settle(&w);
        if (r.result == GNT_QUEUE_DONE)
            queue_credit(&r, 6, false);
        gnt_alloc_fail_at(n / 2);
        world_settle(&w);
        failed = gnt_alloc_failed() || n % 2 == 0;
        gnt_alloc_fail_at(-1);
        world_pass(&w, 1);
        assert_string_equal(queue_text(&r), n % 2 ? "e f " : "a b c d e f ");
        while (r.count)
            queue_settle(&r, GNT_SETTLE_ACCEPT);
        queue_close(&r, false);
        queue_forget(&r);
        assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_PURGE, "q", NULL, NULL), GNT_QUEUE_DONE);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(overdue),
        TEST(overdue_and_unwanted),
        TEST(reads_are_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
