/* Each allocation fails once, in memory and with a store: nothing that was accepted is lost or
 * there twice, and the ledger adds up. */
#include "support/unit.h"

#include "store/memory.h"
#include "support/alloc_fault.h"
#include "support/queue_world.h"

#include <stdio.h>

enum { HOMES = 2, MESSAGES = 6 };

static struct world w;

static bool no_c(struct gnt_consumer_filter *filter, const struct gnt_message *m)
{
    (void)filter;
    return m->payload.size && m->payload.data[0] != 'c';
}

static void settle(struct queue_reader *r, size_t i, struct gnt_settling s, bool *asked)
{
    if (i >= r->count)
        return;
    s.delivery = r->held[i].delivery;
    unsigned which = (unsigned)(r->held[i].payload[0] - 'a');
    if (gnt_consumer_settle(&r->c, &s) == GNT_OK && s.outcome == GNT_SETTLE_ACCEPT)
        asked[which] = true;
}

/* All that is left in the queue NAME is counted. */
static void look_at_all(const char *name, unsigned *seen)
{
    struct queue_reader r = {.count = 0};
    struct gnt_queue_facts facts;
    if (queue_ask(&w, 0, GNT_ENTITY_FIND, name, NULL, &facts) != GNT_QUEUE_DONE)
        return;
    queue_open(&w, 0, facts.id, GNT_CONSUME_TAKE, &r);
    queue_credit(&r, 100, true);
    world_settle(&w);
    assert_int_equal(r.drained, 1);
    for (size_t i = 0; i < r.count; i++)
        seen[r.held[i].payload[0] - 'a']++;
    queue_close(&r, false);
    queue_forget(&r);
}

static void check(const struct queue_sent *sent, const bool *asked, unsigned *seen)
{
    look_at_all("q", seen);
    look_at_all("q/" GNT_DEAD_LETTERS, seen);
    for (int i = 0; i < MESSAGES; i++) {
        assert_true(sent[i].done);
        assert_true(seen[i] <= 1);
        assert_true(!asked[i] || seen[i] == 0);
        if (sent[i].result == GNT_QUEUE_DONE && !asked[i])
            assert_int_equal(seen[i], 1);
        else if (sent[i].result != GNT_QUEUE_DONE)
            assert_int_equal(seen[i], 0);
    }
}

/* What happens while an allocation fails; what was asked to be accepted is in ASKED. */
static void events(uint64_t q, struct queue_reader *r, struct queue_sent *sent, bool *asked)
{
    static struct gnt_consumer_filter filter = {no_c, queue_filter_unref};
    r[1].c.filter = &filter;
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &r[0]);
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r[1]);
    queue_credit(&r[0], 2, false);
    queue_credit(&r[1], 2, false);
    for (int i = 0; i < MESSAGES; i++) {
        char payload[2] = {(char)('a' + i), 0};
        queue_send_with(&w, (unsigned)i % HOMES, q, payload, i % 3 != 1, (uint8_t)(i % 2 ? 4 : 7),
                        i % 2 ? "g" : NULL, GNT_NEVER, &sent[i]);
    }
    world_settle(&w);
    for (int i = 0; i < 2; i++) {
        settle(&r[i], 0, (struct gnt_settling){.tell = true}, asked);
        settle(&r[i], 1,
               (struct gnt_settling){.outcome = i ? GNT_SETTLE_REJECT : GNT_SETTLE_MODIFY,
                                     .failed = true,
                                     .elsewhere = true,
                                     .annotations = gnt_slice_str("annotations"),
                                     .reason = gnt_slice_str("reason")},
               asked);
        queue_credit(&r[i], 5, true);
    }
    world_settle(&w);
    world_publish(&w, 0, "t", "x", 1, false);
    queue_ask(&w, 1, GNT_ENTITY_CREATE, "other", NULL, NULL);
    queue_ask_bound(&w, "other", "t/#", NULL);
}

/* False: nothing failed any more. */
static bool life(long n, bool kept)
{
    struct gnt_store *store = NULL;
    struct queue_reader r[2] = {{.count = 0}};
    struct queue_sent sent[MESSAGES] = {{.done = false}};
    bool asked[MESSAGES] = {false};
    unsigned seen[MESSAGES + 20] = {0};
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_deliveries = 1;
    o.groups = 1;
    o.lock_ms = 10000;
    if (kept)
        assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
    world_init_kept(&w, HOMES, NULL, store);
    uint64_t q = queue_id(&w, "q", &o);
    gnt_alloc_fail_at(n);
    events(q, r, sent, asked);
    bool failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    world_settle(&w);
    if (w.core->homes[0].keep.lost || w.core->homes[1].keep.lost) { /* the engine had none */
        world_crash(&w, NULL, 0);
        queue_forget(&r[0]);
        queue_forget(&r[1]);
        gnt_store_close(&store);
        return true;
    }
    assert_ledger(&w);
    for (int i = 0; i < 2; i++) {
        queue_close(&r[i], false);
        queue_forget(&r[i]);
    }
    check(sent, asked, seen);
    world_fini(&w);
    if (store)
        gnt_store_close(&store);
    return failed;
}

static void in_memory(void **state)
{
    (void)state;
    long n = 0;
    while (life(n, false))
        n++;
    assert_true(n > 20);
}

static void with_a_store(void **state)
{
    (void)state;
    long n = 0;
    while (life(n, true))
        n++;
    assert_true(n > 40);
}

/* Coming back. */
static void recovery(void **state)
{
    (void)state;
    long n = 0;
    for (bool failed = true; failed; n++) {
        struct gnt_store *store;
        unsigned seen[MESSAGES] = {0};
        assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
        world_init_kept(&w, HOMES, NULL, store);
        uint64_t q = queue_id(&w, "q", NULL);
        assert_int_equal(queue_ask_bound(&w, "q", "t/#", NULL), GNT_QUEUE_DONE);
        struct queue_reader r = {.count = 0};
        queue_open(&w, 0, q, GNT_CONSUME_LOCK, &r);
        queue_credit(&r, 2, false);
        for (int i = 0; i < MESSAGES; i++) {
            char payload[2] = {(char)('a' + i), 0};
            queue_send(&w, 0, q, payload, true, NULL);
        }
        world_settle(&w);
        bool none[MESSAGES] = {false};
        settle(&r, 0, (struct gnt_settling){.outcome = GNT_SETTLE_REJECT}, none);
        settle(&r, 1, (struct gnt_settling){.outcome = GNT_SETTLE_MODIFY, .failed = true}, none);
        world_settle(&w);
        world_crash(&w, NULL, 0);
        queue_forget(&r);
        gnt_err err = world_try_kept(&w, HOMES, store, n);
        failed = err != GNT_OK;
        if (failed)
            world_init_kept(&w, HOMES, NULL, store);
        look_at_all("q", seen);
        look_at_all("q/" GNT_DEAD_LETTERS, seen);
        for (int i = 0; i < MESSAGES; i++)
            assert_int_equal(seen[i], 1);
        world_fini(&w);
        gnt_store_close(&store);
    }
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_memory),
        cmocka_unit_test(with_a_store),
        cmocka_unit_test(recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
