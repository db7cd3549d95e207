/* Transactions over queues at several homes: all of it or nothing, whatever happens meanwhile. */
#include "support/unit.h"

#include "core/queue_private.h"
#include "core/transaction.h"
#include "support/alloc_fault.h"
#include "support/held_store.h"
#include "support/queue_world.h"

#include <stdio.h>
#include <string.h>

enum { HOMES = 3 };

static struct world w;
static struct held_store held;
static bool has_store;
static char names[HOMES][16]; /* of queues, each at the home of its number */

/* ---- What is done */

struct ending {
    bool done;
    enum gnt_queue_result result;
    int applied, not_applied;
};

static void on_done(struct gnt_home *home, void *context, enum gnt_queue_result result)
{
    struct ending *e = context;
    (void)home;
    assert_false(e->done);
    e->done = true;
    e->result = result;
}

static void on_over(void *context, bool applied)
{
    struct ending *e = context;
    assert_false(e->done);
    *(applied ? &e->applied : &e->not_applied) += 1;
}

static struct gnt_transaction *open(unsigned home)
{
    struct gnt_transaction *t = NULL;
    if (gnt_transaction_new(&w.core->homes[home], &t))
        return NULL;
    return t;
}

static gnt_err post(struct gnt_transaction *t, uint64_t queue, const char *payload, bool durable)
{
    struct gnt_sending s = {.durable = durable, .priority = GNT_QUEUE_PRIORITY_DEFAULT};
    s.message = world_message("q", payload, durable, false);
    gnt_err err = s.message ? gnt_transaction_post(t, queue, &s) : GNT_NOMEM;
    assert_true(err || !s.message);
    gnt_message_unref(&s.message);
    return err;
}

static gnt_err publish(struct gnt_transaction *t, const char *topic, const char *payload)
{
    struct gnt_message *m = world_message(topic, payload, 1, false);
    gnt_err err = m ? gnt_transaction_publish(t, &m) : GNT_NOMEM;
    gnt_message_unref(&m);
    return err;
}

/* The first that R holds. */
static gnt_err retire(struct gnt_transaction *t, struct queue_reader *r, enum gnt_settle outcome,
                      struct ending *e, struct gnt_part **part)
{
    struct gnt_part *none;
    assert_true(r->count > 0);
    const struct gnt_retiring retiring = {.consumer = &r->c,
                                          .settling = {.delivery = r->held[0].delivery,
                                                       .outcome = outcome,
                                                       .failed = true,
                                                       .reason = gnt_slice_str("why")},
                                          .over = on_over,
                                          .context = e};
    return gnt_transaction_retire(t, &retiring, part ? part : &none);
}

static void commit(struct gnt_transaction *t, struct ending *e)
{
    gnt_transaction_commit(t, on_done, e);
    assert_false(e->done);
}

static struct ending commit_now(struct gnt_transaction *t)
{
    struct ending e = {.done = false};
    commit(t, &e);
    world_settle(&w);
    assert_true(e.done);
    return e;
}

static uint64_t id(unsigned home)
{
    return queue_facts(&w, names[home]).id;
}

/* R has the first message of the queue at HOME. */
static void hold_one(unsigned home, struct queue_reader *r)
{
    queue_open(&w, 0, id(home), GNT_CONSUME_LOCK, r);
    queue_credit(r, 1, false);
    world_settle(&w);
    assert_int_equal(r->count, 1);
}

/* ---- The worlds */

static void make_queues(const struct gnt_queue_options *options)
{
    unsigned found = 0;
    for (int i = 0; found < HOMES; i++) {
        char name[16];
        struct gnt_queue_facts f;
        (void)snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_CREATE, name, options, &f), GNT_QUEUE_DONE);
        unsigned home = gnt_sink_home(f.id);
        if (names[home][0]) {
            queue_ask(&w, 0, GNT_ENTITY_DELETE, name, NULL, NULL);
            continue;
        }
        memcpy(names[home], name, sizeof name);
        found++;
    }
}

static void begin_with(bool kept, const struct gnt_core_config *config)
{
    if (kept)
        held_store_open(&held);
    has_store = kept;
    memset(names, 0, sizeof names);
    world_init_kept(&w, HOMES, config, kept ? &held.store : NULL);
}

static int in_memory(void **state)
{
    (void)state;
    begin_with(false, NULL);
    make_queues(NULL);
    return 0;
}

static int kept(void **state)
{
    (void)state;
    begin_with(true, NULL);
    make_queues(NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_fini(&w);
    if (has_store)
        held_store_close(&held);
    return 0;
}

static void again(void)
{
    world_crash(&w, NULL, 0);
    held_store_forget(&held);
    world_init_kept(&w, HOMES, NULL, &held.store);
}

/* ---- All of it */

static void what_is_committed_happens_at_all_homes(void **state)
{
    (void)state;
    struct queue_reader r[HOMES] = {{.count = 0}};
    struct world_client c = {.id = "c"};
    assert_true(world_connect(&w, &c, true, 0));
    world_subscribe(&c, "topic", 1);
    for (unsigned i = 0; i < HOMES; i++) {
        queue_send_words(&w, id(i), "old", true);
        hold_one(i, &r[i]);
    }
    struct ending e = {.done = false};
    struct gnt_transaction *t = open(1);
    for (unsigned i = 0; i < HOMES; i++) {
        assert_int_equal(post(t, id(i), "a", true), GNT_OK);
        assert_int_equal(post(t, id(i), "b", false), GNT_OK);
        assert_int_equal(retire(t, &r[i], GNT_SETTLE_ACCEPT, &e, NULL), GNT_OK);
    }
    assert_int_equal(publish(t, "topic", "said"), GNT_OK);
    assert_int_equal(gnt_transaction_count(t), 3 * HOMES + 1);
    world_settle(&w);
    for (unsigned i = 0; i < HOMES; i++)
        assert_true(queue_facts(&w, names[i]).ready == 0 && queue_facts(&w, names[i]).held == 1);
    assert_int_equal(c.count, 0);
    commit(t, &e);
    world_settle(&w);
    assert_true(e.done && e.result == GNT_QUEUE_DONE && e.applied == HOMES && !e.not_applied);
    assert_string_equal(world_payloads(&c, 0), "said ");
    for (unsigned i = 0; i < HOMES; i++) {
        assert_int_equal(queue_facts(&w, names[i]).held, 0);
        assert_string_equal(queue_take_all(&w, names[i]), "a b ");
        queue_close(&r[i], false);
        queue_forget(&r[i]);
    }
    world_answer(&c);
    world_disconnect(&c);
    world_client_fini(&c);
}

static void what_is_committed_outlives_a_crash(void **state)
{
    (void)state;
    struct queue_reader r = {.count = 0};
    queue_send_words(&w, id(2), "old", true);
    hold_one(2, &r);
    struct ending e = {.done = false};
    struct gnt_transaction *t = open(0);
    for (unsigned i = 0; i < HOMES; i++)
        assert_int_equal(post(t, id(i), "a", true), GNT_OK);
    assert_int_equal(retire(t, &r, GNT_SETTLE_REJECT, &e, NULL), GNT_OK);
    commit(t, &e);
    world_settle(&w);
    assert_true(e.done && e.result == GNT_QUEUE_DONE);
    queue_forget(&r);
    again();
    char dead[64];
    (void)snprintf(dead, sizeof dead, "%s/" GNT_DEAD_LETTERS, names[2]);
    for (unsigned i = 0; i < HOMES; i++)
        assert_string_equal(queue_take_all(&w, names[i]), "a ");
    assert_string_equal(queue_take_all(&w, dead), "old ");
}

static void each_outcome_has_its_effect(void **state)
{
    static const struct {
        enum gnt_settle outcome;
        const char *ready, *dead;
    } rows[] = {{GNT_SETTLE_ACCEPT, "", ""},
                {GNT_SETTLE_RELEASE, "m ", ""},
                {GNT_SETTLE_MODIFY, "m ", ""},
                {GNT_SETTLE_REJECT, "", "m "}};
    (void)state;
    char dead[64];
    (void)snprintf(dead, sizeof dead, "%s/" GNT_DEAD_LETTERS, names[1]);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct queue_reader r = {.count = 0};
        struct ending e = {.done = false};
        queue_send_words(&w, id(1), "m", true);
        hold_one(1, &r);
        struct gnt_transaction *t = open(0);
        assert_int_equal(retire(t, &r, rows[i].outcome, &e, NULL), GNT_OK);
        commit(t, &e);
        world_settle(&w);
        assert_true(e.done && e.result == GNT_QUEUE_DONE && e.applied == 1);
        queue_close(&r, false);
        queue_forget(&r);
        assert_string_equal(queue_take_all(&w, names[1]), rows[i].ready);
        assert_string_equal(queue_take_all(&w, dead), rows[i].dead);
    }
}

static void an_empty_one_is_done(void **state)
{
    (void)state;
    assert_int_equal(commit_now(open(0)).result, GNT_QUEUE_DONE);
}

/* ---- Nothing */

static void what_is_rolled_back_never_was(void **state)
{
    (void)state;
    struct queue_reader r = {.count = 0};
    struct ending e = {.done = false};
    queue_send_words(&w, id(0), "old", true);
    hold_one(0, &r);
    struct gnt_transaction *t = open(2);
    assert_int_equal(post(t, id(1), "a", true), GNT_OK);
    assert_int_equal(retire(t, &r, GNT_SETTLE_ACCEPT, &e, NULL), GNT_OK);
    gnt_transaction_roll_back(&t);
    assert_true(!t && e.not_applied == 1 && !e.applied);
    world_settle(&w);
    assert_string_equal(queue_take_all(&w, names[1]), "");
    assert_int_equal(queue_facts(&w, names[0]).held, 1);
    queue_settle(&r, GNT_SETTLE_RELEASE); /* it is its own still */
    world_settle(&w);
    queue_close(&r, false);
    queue_forget(&r);
    assert_string_equal(queue_take_all(&w, names[0]), "old ");
}

/* Everything but what is refused is prepared by then. */
static void refused_as(enum gnt_queue_result result, struct gnt_transaction *t,
                       struct queue_reader *r)
{
    struct ending e = {.done = false};
    for (unsigned i = 0; i < HOMES; i++)
        assert_int_equal(post(t, id(i), "a", true), GNT_OK);
    assert_int_equal(retire(t, r, GNT_SETTLE_ACCEPT, &e, NULL), GNT_OK);
    commit(t, &e);
    world_settle(&w);
    assert_true(e.done && e.result == result && e.not_applied == 1 && !e.applied);
    for (unsigned i = 0; i < HOMES; i++)
        assert_int_equal(queue_inside(&w, names[i])->posted, 0);
    assert_ledger(&w);
}

static void one_that_cannot_keeps_all_others_from_it(void **state)
{
    (void)state;
    struct queue_reader r = {.count = 0}, late = {.count = 0};
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_messages = 1;
    uint64_t full = queue_id(&w, "full", &o), gone = queue_id(&w, "gone", NULL);
    queue_send_words(&w, full, "x", true);
    queue_send_words(&w, id(0), "old", true);
    hold_one(0, &r);
    struct gnt_transaction *t = open(1);
    assert_int_equal(post(t, full, "a", true), GNT_OK);
    refused_as(GNT_QUEUE_FULL, t, &r);

    t = open(1);
    assert_int_equal(post(t, gone, "a", true), GNT_OK);
    queue_ask(&w, 0, GNT_ENTITY_DELETE, "gone", NULL, NULL);
    refused_as(GNT_QUEUE_NOT_FOUND, t, &r);

    o.max_messages = 0;
    o.lock_ms = 1000;
    uint64_t locks = queue_id(&w, "locks", &o);
    queue_send_words(&w, locks, "l", true);
    queue_open(&w, 1, locks, GNT_CONSUME_LOCK, &late);
    queue_credit(&late, 1, false);
    world_settle(&w);
    t = open(1);
    struct ending lost = {.done = false};
    assert_int_equal(retire(t, &late, GNT_SETTLE_ACCEPT, &lost, NULL), GNT_OK);
    world_pass(&w, 2);
    refused_as(GNT_QUEUE_LOCK_LOST, t, &r);
    assert_int_equal(lost.not_applied, 1);
    queue_close(&late, false);
    queue_forget(&late);

    t = open(1);
    assert_int_equal(commit_now(t).result, GNT_QUEUE_DONE);
    queue_close(&r, false);
    queue_forget(&r);
    assert_string_equal(queue_take_all(&w, names[0]), "old ");
    for (unsigned i = 1; i < HOMES; i++)
        assert_string_equal(queue_take_all(&w, names[i]), "");
    assert_string_equal(queue_take_all(&w, "locks"), "l ");
    assert_string_equal(queue_take_all(&w, "full"), "x ");
}

static void a_consumer_that_leaves_takes_its_part_along(void **state)
{
    (void)state;
    struct queue_reader r = {.count = 0};
    struct gnt_part *part;
    struct ending e = {.done = false};
    queue_send_words(&w, id(0), "old", true);
    hold_one(0, &r);
    struct gnt_transaction *t = open(1);
    assert_int_equal(retire(t, &r, GNT_SETTLE_ACCEPT, &e, &part), GNT_OK);
    assert_int_equal(post(t, id(1), "a", true), GNT_OK);
    gnt_part_leave(part);
    queue_close(&r, false);
    queue_forget(&r);
    commit(t, &e);
    world_settle(&w);
    assert_true(e.result == GNT_QUEUE_LOCK_LOST && !e.applied && !e.not_applied);
    assert_string_equal(queue_take_all(&w, names[0]), "old ");
    assert_string_equal(queue_take_all(&w, names[1]), "");
}

/* ---- Meanwhile */

/* From now on nothing becomes safe; and what was to be is. */
static void hold(void)
{
    held.holds = true;
}

static void let_go(void)
{
    held.holds = false;
    while (held_store_step(&held)) {
    }
    world_settle(&w);
}

/* Up to where it is prepared, and its batch on the way. */
static void commit_held(struct gnt_transaction *t, struct ending *e)
{
    hold();
    commit(t, e);
    world_settle(&w);
    assert_false(e->done);
}

static void what_is_sent_meanwhile_may_pass_it(void **state)
{
    (void)state;
    struct queue_sent sent;
    struct queue_reader r = {.count = 0}, browser = {.count = 0};
    struct ending e = {.done = false};
    struct gnt_transaction *t = open(0);
    assert_int_equal(post(t, id(1), "posted", true), GNT_OK);
    queue_open(&w, 1, id(1), GNT_CONSUME_LOCK, &r);
    queue_open(&w, 1, id(1), GNT_CONSUME_BROWSE, &browser);
    queue_credit(&r, 9, false);
    queue_credit(&browser, 9, false);
    commit_held(t, &e);
    queue_send(&w, 0, id(1), "behind", true, &sent);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "behind ");
    assert_string_equal(queue_text(&browser), "");
    let_go();
    assert_true(e.done && e.result == GNT_QUEUE_DONE && sent.sequence == 2);
    assert_string_equal(queue_text(&r), "behind posted ");
    assert_string_equal(queue_text(&browser), "posted behind ");
    queue_close(&r, false);
    queue_close(&browser, false);
    queue_forget(&r);
    queue_forget(&browser);
}

/* One message held by R, and a transaction that posts another one and retires that. */
static void begin_both(struct queue_reader *r, struct ending *e, struct gnt_part **part)
{
    queue_send_words(&w, id(1), "old", true);
    hold_one(1, r);
    struct gnt_transaction *t = open(2);
    assert_int_equal(post(t, id(1), "posted", true), GNT_OK);
    assert_int_equal(retire(t, r, GNT_SETTLE_ACCEPT, e, part), GNT_OK);
    commit_held(t, e);
    assert_int_equal(queue_inside(&w, names[1])->posted, 1);
}

static void a_queue_that_ends_takes_along_what_is_posted_and_retired(void **state)
{
    struct queue_reader r = {.count = 0};
    struct ending e = {.done = false};
    (void)state;
    begin_both(&r, &e, NULL);
    queue_ask(&w, 0, GNT_ENTITY_DELETE, names[1], NULL, NULL);
    let_go();
    assert_true(e.done && e.result == GNT_QUEUE_DONE && r.ended);
    queue_close(&r, false);
    queue_forget(&r);
    assert_counted(&w, GNT_COUNT_DROPPED_DELETED, 2);
    again();
    assert_int_equal(w.recovered.deliveries, 0);
}

static void who_holds_it_may_go_meanwhile(void **state)
{
    struct queue_reader r = {.count = 0};
    struct ending e = {.done = false};
    struct gnt_part *part;
    (void)state;
    begin_both(&r, &e, &part);
    gnt_part_leave(part);
    queue_close(&r, true);
    queue_forget(&r);
    assert_false(e.done);
    assert_int_equal(queue_inside(&w, names[1])->ready, 0);
    let_go();
    assert_true(e.done && e.result == GNT_QUEUE_DONE && !e.applied);
    assert_counted(&w, GNT_COUNT_DELIVERED, 1);
    assert_string_equal(queue_take_all(&w, names[1]), "posted ");
}

static void who_holds_it_has_no_say_meanwhile(void **state)
{
    struct queue_reader r = {.count = 0};
    struct ending e = {.done = false};
    (void)state;
    begin_both(&r, &e, NULL);
    queue_settle_one(&r, "old",
                     &(struct gnt_settling){.outcome = GNT_SETTLE_RELEASE, .tell = true});
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_PURGE, names[1], NULL, NULL), GNT_QUEUE_DONE);
    assert_counted(&w, GNT_COUNT_DROPPED_DELETED, 0);
    let_go();
    assert_int_equal(r.settled_result, GNT_QUEUE_LOCK_LOST);
    assert_true(e.done && e.applied == 1);
    queue_close(&r, true);
    queue_forget(&r);
    assert_string_equal(queue_take_all(&w, names[1]), "posted ");
}

/* Behind so many that they are in the store only; and with a window that they have just filled. */
static void however_long_the_queue_is(void **state)
{
    enum { WINDOW = 4 };
    (void)state;
    struct gnt_core_config config = world_config(HOMES);
    config.queue_window = WINDOW;
    for (unsigned n = 0; n < 6 * WINDOW; n++) {
        unsigned before = n / 2, behind = n % 2 * WINDOW;
        struct ending e = {.done = false};
        char all[256] = "", word[16];
        size_t size = 0;
        begin_with(true, &config);
        make_queues(NULL);
        for (unsigned i = 0; i < before; i++) {
            (void)snprintf(word, sizeof word, "%u", i);
            queue_send_words(&w, id(1), word, true);
            size += (size_t)snprintf(all + size, sizeof all - size, "%u ", i);
        }
        struct gnt_transaction *t = open(0);
        assert_int_equal(post(t, id(1), "posted", false), GNT_OK);
        assert_int_equal(post(t, id(1), "twice", true), GNT_OK);
        commit_held(t, &e);
        for (unsigned i = 0; i < behind; i++)
            queue_send(&w, 0, id(1), "behind", true, NULL);
        let_go();
        (void)snprintf(all + size, sizeof all - size, "posted twice %s",
                       behind ? "behind behind behind behind " : "");
        assert_true(e.done && e.result == GNT_QUEUE_DONE);
        assert_true(queue_in_memory(queue_inside(&w, names[1])) <= WINDOW + 2);
        struct queue_reader browser = {.count = 0};
        queue_open(&w, 0, id(1), GNT_CONSUME_BROWSE, &browser);
        queue_credit(&browser, 99, false);
        world_settle(&w);
        assert_string_equal(queue_text(&browser), all);
        queue_close(&browser, false);
        queue_forget(&browser);
        assert_string_equal(queue_take_all(&w, names[1]), all);
        end(NULL);
    }
}

/* ---- Crashes */

/* What the queue at HOME has: of the transaction, and of before. */
static unsigned found(unsigned home)
{
    const char *all = queue_take_all(&w, names[home]);
    return (strstr(all, "a ") ? 1u : 0u) | (strstr(all, "old ") ? 2u : 0u);
}

/* After STEPS.  True: it was told as done. */
static bool crash_after(int steps)
{
    struct queue_reader r[HOMES] = {{.count = 0}};
    struct ending e = {.done = false};
    begin_with(true, NULL);
    make_queues(NULL);
    for (unsigned i = 0; i < HOMES; i++) {
        queue_send_words(&w, id(i), "old", true);
        hold_one(i, &r[i]);
    }
    struct gnt_transaction *t = open(0);
    for (unsigned i = 0; i < HOMES; i++) {
        assert_int_equal(post(t, id(i), "a", true), GNT_OK);
        assert_int_equal(retire(t, &r[i], GNT_SETTLE_ACCEPT, &e, NULL), GNT_OK);
    }
    commit(t, &e);
    int done = 0;
    for (bool any = true; any && done < steps;) {
        any = false;
        for (unsigned from = 0; from < HOMES && done < steps; from++)
            for (unsigned to = 0; to < HOMES && done < steps; to++)
                if (world_mail_one(&w, from, to)) {
                    any = true;
                    done++;
                    gnt_keep_commit(&w.core->homes[to]);
                }
        w.now++;
        for (unsigned h = 0; h < HOMES && done < steps; h++) {
            done++;
            any |= gnt_timers_run(&w.timers[h], w.now) > 0;
            gnt_keep_commit(&w.core->homes[h]);
        }
        any |= !e.done;
    }
    bool told = e.done;
    for (unsigned i = 0; i < HOMES; i++)
        queue_forget(&r[i]);
    again();
    unsigned first = found(0);
    assert_true(first == 1 || first == 2);
    for (unsigned i = 1; i < HOMES; i++)
        assert_int_equal(found(i), first);
    assert_true(!told || first == 1);
    end(NULL);
    return told;
}

static void a_crash_leaves_all_or_nothing(void **state)
{
    (void)state;
    int steps = 0;
    while (!crash_after(steps))
        assert_true(++steps < 1000);
    assert_true(steps > 5);
}

/* ---- Memory */

/* Everything but the transaction has been made before.  False: nothing failed any more. */
static bool life(long n, bool keeps)
{
    struct queue_reader r[HOMES] = {{.count = 0}};
    struct ending e = {.done = false};
    begin_with(keeps, NULL);
    make_queues(NULL);
    for (unsigned i = 0; i < HOMES; i++) {
        queue_send_words(&w, id(i), "old", true);
        hold_one(i, &r[i]);
    }
    uint64_t ids[HOMES] = {id(0), id(1), id(2)};
    gnt_alloc_fail_at(n);
    struct gnt_transaction *t = open(0);
    bool whole = t != NULL;
    for (unsigned i = 0; whole && i < HOMES; i++)
        whole = !post(t, ids[i], "a", true) && !retire(t, &r[i], GNT_SETTLE_REJECT, &e, NULL);
    if (whole)
        commit(t, &e);
    else if (t)
        gnt_transaction_roll_back(&t);
    world_settle(&w);
    bool failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    world_settle(&w);
    bool lost = false;
    for (unsigned i = 0; i < HOMES; i++)
        lost |= w.core->homes[i].keep.lost;
    if (lost) { /* the engine had none */
        for (unsigned i = 0; i < HOMES; i++)
            queue_forget(&r[i]);
        world_crash(&w, NULL, 0);
        held_store_close(&held);
        return true;
    }
    assert_true(!whole || e.done);
    assert_ledger(&w);
    bool happened = whole && e.result == GNT_QUEUE_DONE;
    assert_int_equal(e.applied, happened ? HOMES : 0);
    for (unsigned i = 0; i < HOMES; i++) {
        assert_int_equal(queue_inside(&w, names[i])->posted, 0);
        queue_close(&r[i], false);
        queue_forget(&r[i]);
        assert_string_equal(queue_take_all(&w, names[i]), happened ? "a " : "old ");
    }
    end(NULL);
    return failed;
}

static void without_memory_nothing_happens(void **state)
{
    (void)state;
    long n = 0;
    while (life(n, false))
        assert_true(++n < 1000);
    assert_true(n > 10);
    for (n = 0; life(n, true);)
        assert_true(++n < 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_committed_happens_at_all_homes, in_memory, end),
        cmocka_unit_test_setup_teardown(what_is_committed_happens_at_all_homes, kept, end),
        cmocka_unit_test_setup_teardown(what_is_committed_outlives_a_crash, kept, end),
        cmocka_unit_test_setup_teardown(each_outcome_has_its_effect, in_memory, end),
        cmocka_unit_test_setup_teardown(each_outcome_has_its_effect, kept, end),
        cmocka_unit_test_setup_teardown(an_empty_one_is_done, kept, end),
        cmocka_unit_test_setup_teardown(what_is_rolled_back_never_was, kept, end),
        cmocka_unit_test_setup_teardown(one_that_cannot_keeps_all_others_from_it, in_memory, end),
        cmocka_unit_test_setup_teardown(one_that_cannot_keeps_all_others_from_it, kept, end),
        cmocka_unit_test_setup_teardown(a_consumer_that_leaves_takes_its_part_along, kept, end),
        cmocka_unit_test_setup_teardown(what_is_sent_meanwhile_may_pass_it, kept, end),
        cmocka_unit_test_setup_teardown(a_queue_that_ends_takes_along_what_is_posted_and_retired,
                                        kept, end),
        cmocka_unit_test_setup_teardown(who_holds_it_may_go_meanwhile, kept, end),
        cmocka_unit_test_setup_teardown(who_holds_it_has_no_say_meanwhile, kept, end),
        cmocka_unit_test(however_long_the_queue_is),
        cmocka_unit_test(a_crash_leaves_all_or_nothing),
        cmocka_unit_test(without_memory_nothing_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
