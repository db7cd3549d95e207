/* A session that ends with much waiting for it holds nobody up: what one turn does about it is
 * counted, not how long that takes. */
#include "core/clearing.h"

#include "base/rcu.h"
#include "core/pending.h"
#include "core/session_private.h"
#include "support/alloc_fault.h"
#include "support/core_world.h"
#include "support/unit.h"

enum { MANY = 10 * GNT_CLEARING_SLICE + 7 };

/* A client that is away, with MANY times the same message waiting for it, and a bystander. */
struct scene {
    struct world w;
    struct world_client c, bystander;
    struct gnt_message *message;
};

static uint32_t waiting(const struct scene *s)
{
    return atomic_load(&s->message->refs) - 1;
}

static void open_scene(struct scene *s)
{
    struct gnt_core_config config = world_config(1);
    config.queued_per_session = 0;
    *s = (struct scene){.c = {.id = "c"}, .bystander = {.id = "bystander"}};
    world_init(&s->w, 1, &config);
    assert_true(world_connect(&s->w, &s->c, true, 100));
    assert_int_equal(world_subscribe(&s->c, "t", 1), GNT_DONE);
    world_cut(&s->c);
    assert_true(world_connect(&s->w, &s->bystander, true, 0));
    assert_int_equal(world_subscribe(&s->bystander, "b", 0), GNT_DONE);
    world_settle(&s->w);
    s->message = world_message("t", "x", 1, false);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(gnt_publish(&s->w.core->homes[0], s->message, NULL), GNT_DONE);
    assert_int_equal(waiting(s), MANY);
}

static void close_scene(struct scene *s)
{
    assert_int_equal(waiting(s), 0);
    gnt_message_unref(&s->message);
    world_disconnect(&s->bystander);
    world_client_fini(&s->bystander);
    if (s->c.session)
        world_disconnect(&s->c);
    world_client_fini(&s->c);
    world_fini(&s->w);
}

/* Turn after turn a part of it goes, and the bystander gets what comes for it. */
static void goes_in_parts(struct scene *s)
{
    assert_counted(&s->w, GNT_COUNT_DROPPED_SESSION_END, MANY); /* at once */
    assert_counted(&s->w, GNT_COUNT_QUEUED, 0);
    assert_counted(&s->w, GNT_COUNT_QUEUED_BYTES, 0);
    unsigned turns = 0;
    for (uint32_t before = waiting(s); before; turns++) {
        size_t got = s->bystander.count;
        world_publish(&s->w, 0, "b", "y", 0, false);
        assert_int_equal(s->bystander.count, got + 1);
        s->w.now++;
        gnt_timers_run(&s->w.timers[0], s->w.now);
        assert_in_range(before - waiting(s), 1, GNT_CLEARING_SLICE);
        before = waiting(s);
    }
    assert_int_equal(turns, MANY / GNT_CLEARING_SLICE + 1);
}

static void by_clean_start(struct scene *s)
{
    assert_true(world_connect(&s->w, &s->c, true, 0));
}

static void by_expiry(struct scene *s)
{
    s->w.now += 101 * GNT_NS_PER_S;
    gnt_timers_run(&s->w.timers[0], s->w.now);
}

static void by_take_over(struct scene *s)
{
    struct world_client first = {.id = "c", .busy = true};
    assert_true(world_connect(&s->w, &first, false, 100));
    by_clean_start(s);
    assert_int_equal(first.closed, 1);
    world_client_fini(&first);
}

static void by_disconnect(struct scene *s)
{
    s->c.busy = true;
    assert_true(world_connect(&s->w, &s->c, false, 100));
    gnt_session_close(s->c.session, GNT_PARTING_CLEAN, 0);
    s->c.session = NULL;
}

static void an_end_is_nobodys_pause(void **state)
{
    (void)state;
    static void (*const ends[])(struct scene * s) = {by_clean_start, by_expiry, by_take_over,
                                                     by_disconnect};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct scene s;
        open_scene(&s);
        ends[i](&s);
        assert_in_range(waiting(&s), MANY - GNT_CLEARING_SLICE, MANY);
        goes_in_parts(&s);
        close_scene(&s);
    }
}

/* Whoever has more than can be counted one by one ends as fast. */
static void what_is_in_the_store_is_only_a_number(void **state)
{
    (void)state;
    const uint64_t count = UINT64_C(1) << 60;
    static const struct gnt_pending_ops none;
    struct world w;
    world_init(&w, 1, NULL);
    struct gnt_home *home = &w.core->homes[0];
    struct gnt_ledger ledger = {0};
    struct gnt_pending q;
    gnt_pending_init(&q, home, &ledger, &none);
    q.stored = (struct gnt_stored){.first = 1, .count = count};
    gnt_ledger_recover(home, &ledger, count);
    gnt_pending_fini(&q, GNT_COUNT_DROPPED_SESSION_END);
    assert_int_equal(gnt_ledger_queued(&ledger), 0);
    assert_counted(&w, GNT_COUNT_QUEUED, 0);
    assert_counted(&w, GNT_COUNT_DROPPED_SESSION_END, (int64_t)count);
    world_fini(&w);
}

/* A broker that ends, or has no memory to put it off, does it at once. */
static void nothing_is_left(void **state)
{
    (void)state;
    for (int end = 0; end < 2; end++) {
        struct scene s;
        open_scene(&s);
        if (end == 0)
            gnt_alloc_fail_at(0);
        by_expiry(&s);
        gnt_alloc_fail_at(-1);
        if (end == 0)
            assert_int_equal(waiting(&s), 0);
        world_disconnect(&s.bystander);
        world_client_fini(&s.bystander);
        world_client_fini(&s.c);
        world_commit(&s.w);
        gnt_core_free(&s.w.core);
        assert_int_equal(waiting(&s), 0);
        gnt_message_unref(&s.message);
        gnt_timers_fini(&s.w.timers[0]);
        gnt_rcu_unregister();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_is_nobodys_pause),
        cmocka_unit_test(what_is_in_the_store_is_only_a_number),
        cmocka_unit_test(nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
