/* Batches: when they are written, who is told that they are safe, and how far ahead of that a home
 * may go (core/keep.h). */
#include "core/keep.h"

#include "store/memory.h"
#include "support/alloc_fault.h"
#include "support/core_world.h"
#include "support/unit.h"

#include <stdio.h>

/* What the store was asked to commit last. */
static struct {
    const struct gnt_store_engine *engine;
    unsigned commits;
    bool lazy;
    bool starved; /* an allocation had failed before */
} seen;

static void see(struct gnt_store *s, struct gnt_batch *batch, struct gnt_completion *c)
{
    seen.commits++;
    seen.lazy = batch->lazy;
    seen.starved = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    seen.engine->commit(s, batch, c);
}

/* A home; that a batch is safe is mail to it. */
struct fixture {
    struct gnt_store *store;
    struct gnt_store_engine seeing;
    struct world w;
    struct gnt_home *home;
};

static void begin(struct fixture *f)
{
    assert_int_equal(gnt_store_memory_open(NULL, &f->store), GNT_OK);
    world_init_kept(&f->w, 1, NULL, f->store);
    world_settle(&f->w);
    f->home = &f->w.core->homes[0];
    f->seeing = *f->store->engine;
    f->seeing.commit = see;
    seen.engine = f->store->engine;
    seen.commits = 0;
    f->store->engine = &f->seeing;
}

static void finish(struct fixture *f)
{
    world_fini(&f->w);
    gnt_store_close(&f->store);
}

static void write_with(struct fixture *f, struct gnt_message *message)
{
    static const struct gnt_slice nothing;
    assert_int_equal(gnt_keep_reserve(f->home, 1, 2), GNT_OK);
    gnt_batch_put(gnt_keep_batch(f->home), LITERAL("t"), LITERAL("k"), nothing, message);
}

static uint64_t write_one(struct fixture *f)
{
    write_with(f, NULL);
    return gnt_keep_pending(f->home);
}

static void the_next_is_safe(struct fixture *f)
{
    assert_true(world_mail_one(&f->w, 0, 0));
}

/* ---- Who waits */

struct waiter {
    struct gnt_kept kept;
    unsigned place; /* among those who have been told, from 1; 0: it has not */
};

static unsigned told;

static void on_safe(struct gnt_home *home, struct gnt_kept *kept)
{
    struct waiter *w = GNT_CONTAINER(kept, struct waiter, kept);
    assert_true(home->keep.safe >= kept->batch);
    assert_int_equal(w->place, 0);
    w->place = ++told;
}

static void wait_for(struct fixture *f, struct waiter *w, uint64_t batch)
{
    *w = (struct waiter){.kept.safe = on_safe};
    gnt_list_init(&w->kept.link);
    gnt_keep_wait(f->home, &w->kept, batch);
}

/* However late they come: each for its own batch, no earlier and no later. */
static void each_is_told_with_its_own_batch(void **state)
{
    (void)state;
    struct fixture f;
    struct waiter w[5];
    uint64_t batch[3];
    begin(&f);
    told = 0;
    for (int i = 0; i < 3; i++) {
        batch[i] = write_one(&f);
        gnt_keep_commit(f.home);
        assert_int_equal(gnt_keep_pending(f.home), batch[i]);
    }
    static const struct {
        unsigned batch, place;
    } rows[] = {{0, 1}, {2, 5}, {1, 3}, {0, 2}, {1, 4}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        wait_for(&f, &w[i], batch[rows[i].batch]);
    for (unsigned safe = 0; safe < 3; safe++) {
        the_next_is_safe(&f);
        for (size_t i = 0; i < COUNT_OF(rows); i++)
            assert_int_equal(w[i].place, rows[i].batch <= safe ? rows[i].place : 0);
    }
    assert_int_equal(gnt_keep_pending(f.home), 0);
    finish(&f);
}

static void who_does_not_want_to_know_is_not_told(void **state)
{
    (void)state;
    struct fixture f;
    struct waiter w[2];
    begin(&f);
    for (int i = 0; i < 2; i++)
        wait_for(&f, &w[i], write_one(&f));
    gnt_keep_cancel(&w[0].kept);
    world_settle(&f.w);
    assert_int_equal(w[0].place, 0);
    assert_true(w[1].place > 0);
    finish(&f);
}

/* What is retained is in the batch when that is committed, and is waited for before. */
static void what_is_only_retained_is_waited_for(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    uint64_t mark = gnt_keep_mark(f.home);
    world_publish(&f.w, 0, "r", "x", 1, true);
    assert_int_not_equal(gnt_keep_mark(f.home), mark);
    assert_int_not_equal(gnt_keep_pending(f.home), 0);
    gnt_keep_commit(f.home);
    assert_int_not_equal(gnt_keep_pending(f.home), 0);
    world_settle(&f.w);
    assert_int_equal(gnt_keep_pending(f.home), 0);
    finish(&f);
}

/* There is room for all of it when it is written. */
static void what_is_retained_needs_no_memory_when_it_is_committed(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    for (int i = 0; i < 20; i++) {
        char topic[8];
        snprintf(topic, sizeof topic, "r/%d", i);
        world_publish(&f.w, 0, topic, "x", 1, true);
    }
    write_one(&f);
    gnt_alloc_fail_at(0);
    gnt_keep_commit(f.home);
    assert_int_equal(seen.commits, 1);
    assert_false(seen.starved);
    assert_int_equal(f.home->keep.retained_size, 0);
    finish(&f);
}

/* ---- Hurry */

static bool committed_lazily(struct fixture *f)
{
    unsigned before = seen.commits;
    gnt_keep_commit(f->home);
    assert_int_equal(seen.commits, before + 1);
    return seen.lazy;
}

static void a_batch_is_lazy_unless_somebody_waits_for_it(void **state)
{
    (void)state;
    struct fixture f;
    struct waiter w[2];
    begin(&f);
    uint64_t first = write_one(&f);
    assert_true(committed_lazily(&f));
    write_one(&f);
    wait_for(&f, &w[0], first);
    assert_true(committed_lazily(&f));
    wait_for(&f, &w[1], write_one(&f));
    assert_false(committed_lazily(&f));
    write_one(&f);
    assert_true(committed_lazily(&f));
    write_one(&f);
    gnt_keep_hurry(f.home);
    assert_false(committed_lazily(&f));
    write_one(&f);
    assert_true(committed_lazily(&f));
    finish(&f);
}

/* ---- How far ahead */

enum { PAYLOAD = 1024 * 1024 };

static struct gnt_message *large_message(void)
{
    static const uint8_t payload[PAYLOAD];
    const struct gnt_message_init init = {.topic = LITERAL("t"),
                                          .payload = gnt_slice(payload, PAYLOAD),
                                          .expires = GNT_NEVER};
    struct gnt_message *m;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

/* What is written in this turn, and what is on its way. */
static void a_home_knows_when_it_is_behind(void **state)
{
    (void)state;
    enum { MOST = GNT_KEEP_AHEAD_MAX / PAYLOAD };
    for (int committed = 0; committed < 2; committed++) {
        struct fixture f;
        begin(&f);
        for (unsigned count = 0; count < MOST; count++) {
            assert_false(gnt_keep_is_behind(f.home));
            struct gnt_message *m = large_message();
            write_with(&f, m);
            gnt_message_unref(&m);
            if (committed)
                gnt_keep_commit(f.home);
        }
        assert_true(gnt_keep_is_behind(f.home)); /* with what belongs to each */
        gnt_keep_commit(f.home);
        assert_true(gnt_keep_is_behind(f.home));
        the_next_is_safe(&f);
        assert_false(gnt_keep_is_behind(f.home));
        world_settle(&f.w);
        assert_int_equal(f.home->keep.under_way, 0);
        finish(&f);
    }
}

/* ---- When it is lost */

static void after_a_loss_nobody_is_told_and_nothing_is_written(void **state)
{
    (void)state;
    struct fixture f;
    struct waiter w[2];
    begin(&f);
    gnt_store_memory_fail_next(f.store, GNT_IO);
    for (int i = 0; i < 2; i++) {
        wait_for(&f, &w[i], write_one(&f));
        gnt_keep_commit(f.home);
    }
    world_settle(&f.w);
    assert_int_equal(w[0].place + w[1].place, 0);
    assert_int_equal(seen.commits, 2);
    write_one(&f);
    world_publish(&f.w, 0, "r", "x", 1, true);
    gnt_keep_commit(f.home);
    assert_int_equal(seen.commits, 2);
    for (int i = 0; i < 2; i++)
        gnt_keep_cancel(&w[i].kept);
    finish(&f);
}

static void who_gives_up_writes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    write_one(&f);
    gnt_keep_give_up(f.home);
    gnt_keep_commit(f.home);
    assert_int_equal(seen.commits, 0);
    finish(&f);
}

/* ---- Numbers */

static void no_two_homes_give_the_same_number(void **state)
{
    (void)state;
    enum { HOMES = 3, MANY = 20 };
    struct gnt_store *store;
    struct world w;
    bool given[HOMES * MANY + HOMES] = {false};
    assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
    world_init_kept(&w, HOMES, NULL, store);
    for (unsigned i = 0; i < HOMES * MANY; i++) {
        uint64_t number = gnt_keep_number(&w.core->homes[i % HOMES]);
        assert_in_range(number, 1, COUNT_OF(given) - 1);
        assert_false(given[number]);
        given[number] = true;
    }
    world_fini(&w);
    gnt_store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_told_with_its_own_batch),
        cmocka_unit_test(who_does_not_want_to_know_is_not_told),
        cmocka_unit_test(what_is_only_retained_is_waited_for),
        cmocka_unit_test(what_is_retained_needs_no_memory_when_it_is_committed),
        cmocka_unit_test(a_batch_is_lazy_unless_somebody_waits_for_it),
        cmocka_unit_test(a_home_knows_when_it_is_behind),
        cmocka_unit_test(after_a_loss_nobody_is_told_and_nothing_is_written),
        cmocka_unit_test(who_gives_up_writes_nothing),
        cmocka_unit_test(no_two_homes_give_the_same_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
