/* Consumers that are suspended: what they hold waits for the one who takes it over, and nothing
 * else does. */
#include "support/unit.h"

#include "core/queue_private.h"
#include "core/transaction.h"
#include "support/alloc_fault.h"
#include "support/queue_world.h"

enum { HOMES = 3 };

static struct world w;

static int begin(void **state)
{
    (void)state;
    world_init(&w, HOMES, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

/* R has all of WORDS, which are all there is in "q". */
static void hold(struct queue_reader *r, const char *words)
{
    uint64_t id = queue_id(&w, "q", NULL);
    queue_send_words(&w, id, words, false);
    queue_open(&w, 1, id, GNT_CONSUME_LOCK, r);
    queue_credit(r, 9, false);
    world_settle(&w);
    assert_string_equal(queue_text(r), words);
}

/* R is suspended, and has seen no more than its first COUNT. */
static void suspend(struct queue_reader *r, size_t count)
{
    gnt_consumer_suspend(&r->c, r->held[count - 1].delivery);
    world_settle(&w);
    assert_true(r->closed);
}

static void assert_queue(uint64_t ready, uint64_t held)
{
    struct gnt_queue_facts f = queue_facts(&w, "q");
    assert_int_equal(f.ready, ready);
    assert_int_equal(f.held, held);
}

/* R takes over what it had, and gives it back. */
static void take_over(struct queue_reader *r, unsigned home)
{
    queue_open(&w, home, queue_id(&w, "q", NULL), GNT_CONSUME_LOCK, r);
    world_settle(&w);
    assert_true(r->opened && r->result == GNT_QUEUE_DONE && r->c.resumed);
    queue_close(r, false);
    queue_forget(r);
}

static void what_was_under_way_is_ready_again(void **state)
{
    struct queue_reader r = {.count = 0};
    (void)state;
    hold(&r, "a b c d ");
    suspend(&r, 2);
    assert_queue(2, 2);
    take_over(&r, 2);
    assert_string_equal(queue_take_all(&w, "q"), "a b c d ");
}

/* ---- Transactions of what it had */

struct ending {
    bool done;
    enum gnt_queue_result result;
};

static void on_done(struct gnt_home *home, void *context, enum gnt_queue_result result)
{
    (void)home;
    *(struct ending *)context = (struct ending){true, result};
}

static void on_over(void *context, bool applied)
{
    (void)context, (void)applied;
}

/* The first that R holds is accepted within the transaction *out. */
static struct gnt_part *retire(struct queue_reader *r, struct gnt_transaction **out)
{
    struct gnt_part *part;
    const struct gnt_retiring retiring = {.consumer = &r->c,
                                          .settling = {.delivery = r->held[0].delivery,
                                                       .outcome = GNT_SETTLE_ACCEPT},
                                          .over = on_over};
    assert_int_equal(gnt_transaction_new(&w.core->homes[r->home], out), GNT_OK);
    assert_int_equal(gnt_transaction_retire(*out, &retiring, &part), GNT_OK);
    return part;
}

/* Something of it that is refused. */
static void spoil(struct gnt_transaction *t)
{
    struct gnt_sending s = {.message = world_message("q", "x", 0, false)};
    struct gnt_queue_facts gone;
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_CREATE, "gone", NULL, &gone), GNT_QUEUE_DONE);
    assert_int_equal(gnt_transaction_post(t, gone.id, &s), GNT_OK);
    queue_ask(&w, 0, GNT_ENTITY_DELETE, "gone", NULL, NULL);
}

/* What has been given back to it stands behind what came later: that is not what it has seen. */
static void after_a_transaction_that_failed(void **state)
{
    struct queue_reader r = {.count = 0};
    struct ending e = {.done = false};
    struct gnt_transaction *t;
    (void)state;
    hold(&r, "a b c ");
    (void)retire(&r, &t);
    spoil(t);
    gnt_transaction_commit(t, on_done, &e);
    world_settle(&w);
    assert_true(e.done && e.result == GNT_QUEUE_NOT_FOUND);
    assert_queue(0, 3);
    suspend(&r, 2);
    assert_queue(1, 2);
    take_over(&r, 0);
    assert_string_equal(queue_take_all(&w, "q"), "a b c ");
}

/* Nobody would ask for it any more, if the transaction gave it back to what is suspended. */
static void during_a_transaction(void **state)
{
    (void)state;
    for (unsigned fails = 0; fails < 2; fails++) {
        struct queue_reader r = {.count = 0};
        struct ending e = {.done = false};
        struct gnt_transaction *t;
        hold(&r, "a b ");
        struct gnt_part *part = retire(&r, &t);
        if (fails)
            spoil(t);
        gnt_transaction_commit(t, on_done, &e);
        gnt_part_leave(part);
        suspend(&r, 2);
        assert_true(e.done && (e.result != GNT_QUEUE_DONE) == fails);
        assert_queue(fails, 1);
        assert_int_equal(
            GNT_CONTAINER(queue_inside(&w, "q")->takers.next, struct gnt_taker, link)->held_count,
            1);
        take_over(&r, 2);
        assert_string_equal(queue_take_all(&w, "q"), fails ? "a b " : "b ");
    }
}

/* ---- Memory */

static bool matches(struct gnt_consumer_filter *filter, const struct gnt_message *message)
{
    (void)filter, (void)message;
    return true;
}

/* Who takes it over may have none: then its end gives it back. */
static void without_memory_nothing_is_held_for_ever(void **state)
{
    static struct gnt_consumer_filter filter = {matches, queue_filter_unref};
    bool failed = true;
    (void)state;
    for (long n = 0; failed; n++) {
        struct queue_reader r = {.count = 0};
        hold(&r, "a b ");
        suspend(&r, 2);
        r.c.filter = &filter;
        uint64_t id = queue_id(&w, "q", NULL);
        gnt_alloc_fail_at(n);
        queue_open(&w, 2, id, GNT_CONSUME_LOCK, &r);
        world_settle(&w);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        world_settle(&w);
        assert_true(r.opened);
        queue_close(&r, false);
        queue_forget(&r);
        assert_string_equal(queue_take_all(&w, "q"), "a b ");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_under_way_is_ready_again, begin, end),
        cmocka_unit_test_setup_teardown(after_a_transaction_that_failed, begin, end),
        cmocka_unit_test_setup_teardown(during_a_transaction, begin, end),
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_held_for_ever, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
