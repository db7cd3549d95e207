#include "support/alloc_fault.h"
#include "support/unit.h"

#include "base/list.h"
#include "base/random.h"
#include "base/timers.h"

#include <stdlib.h>
#include <string.h>

enum { TIMERS = 60 };

/* One timer and what the model knows of it. */
struct item {
    struct gnt_timer timer;
    struct world *world;
    uint64_t deadline; /* GNT_NEVER: not set */
};

struct world {
    struct gnt_timers timers;
    struct item items[TIMERS];
    struct gnt_seeded g;
    uint64_t last; /* the deadline that fired last in this run */
    bool meddling; /* whether a fire sets and cancels others */
    size_t fired;
};

static void set(struct item *item, uint64_t deadline)
{
    assert_int_equal(gnt_timer_set(&item->world->timers, &item->timer, deadline), GNT_OK);
    item->deadline = deadline;
    assert_int_equal(gnt_timer_is_set(&item->timer), deadline != GNT_NEVER);
}

static struct item *some_item(struct world *w)
{
    return &w->items[gnt_random_below(&w->g.door, TIMERS)];
}

static uint64_t model_next(const struct world *w)
{
    uint64_t next = GNT_NEVER;
    for (int i = 0; i < TIMERS; i++)
        if (w->items[i].deadline < next)
            next = w->items[i].deadline;
    return next;
}

static void fire(struct gnt_timer *timer, uint64_t now)
{
    struct item *item = GNT_CONTAINER(timer, struct item, timer);
    struct world *w = item->world;
    assert_false(gnt_timer_is_set(timer));
    assert_true(item->deadline <= now);
    assert_true(item->deadline >= w->last);
    assert_true(item->deadline == model_next(w));
    w->last = item->deadline;
    item->deadline = GNT_NEVER;
    w->fired++;
    if (w->meddling) {
        set(item, now + 1 + gnt_random_below(&w->g.door, 50));
        struct item *other = some_item(w);
        gnt_timer_cancel(&w->timers, &other->timer);
        other->deadline = GNT_NEVER;
    }
}

static void world_init(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    gnt_seeded_init(&w->g, seed);
    for (int i = 0; i < TIMERS; i++) {
        w->items[i].timer.fire = fire;
        w->items[i].world = w;
        w->items[i].deadline = GNT_NEVER;
    }
}

static void random_life(uint64_t seed)
{
    struct world w;
    world_init(&w, seed);
    uint64_t now = 1;
    for (int turn = 0; turn < 3000; turn++) {
        struct item *item = some_item(&w);
        switch (gnt_random_below(&w.g.door, 4)) {
        case 0:
        case 1: set(item, now + gnt_random_below(&w.g.door, 100)); break;
        case 2:
            gnt_timer_cancel(&w.timers, &item->timer);
            item->deadline = GNT_NEVER;
            break;
        default:
            now += gnt_random_below(&w.g.door, 30);
            w.last = 0;
            w.meddling = gnt_random_below(&w.g.door, 2);
            w.fired = 0;
            size_t fired = gnt_timers_run(&w.timers, now);
            assert_int_equal(fired, w.fired);
            assert_true(model_next(&w) > now);
        }
        assert_true(gnt_timers_next(&w.timers) == model_next(&w));
    }
    gnt_timers_fini(&w.timers);
}

static void test_against_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        random_life(seed);
    }
}

static void test_never_cancels(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 1);
    assert_true(gnt_timers_next(&w.timers) == GNT_NEVER);
    set(&w.items[0], GNT_NEVER);
    set(&w.items[0], 5);
    assert_true(gnt_timers_next(&w.timers) == 5);
    set(&w.items[0], GNT_NEVER);
    assert_true(gnt_timers_next(&w.timers) == GNT_NEVER);
    gnt_timer_cancel(&w.timers, &w.items[0].timer);
    assert_int_equal(gnt_timers_run(&w.timers, 10), 0);
    gnt_timers_fini(&w.timers);
}

/* A timer that sets itself again and again for now or before. */
struct eager {
    struct gnt_timer timer;
    struct gnt_timers *timers;
    uint64_t again;
    int fired;
};

static void fire_eager(struct gnt_timer *timer, uint64_t now)
{
    struct eager *e = GNT_CONTAINER(timer, struct eager, timer);
    (void)now;
    e->fired++;
    assert_int_equal(gnt_timer_set(e->timers, timer, e->again), GNT_OK);
}

static void test_eager_timer_waits_for_the_next_run(void **state)
{
    (void)state;
    struct gnt_timers timers = {0};
    struct eager eager[3] = {{.again = 10}, {.again = 3}, {.again = 0}};
    struct eager late[20];
    for (int i = 0; i < 3; i++) {
        eager[i].timer = (struct gnt_timer){.fire = fire_eager};
        eager[i].timers = &timers;
        assert_int_equal(gnt_timer_set(&timers, &eager[i].timer, 5), GNT_OK);
    }
    for (int i = 0; i < 20; i++) { /* others that are not due give no one more turns */
        late[i].timer = (struct gnt_timer){.fire = fire_eager};
        assert_int_equal(gnt_timer_set(&timers, &late[i].timer, 1000), GNT_OK);
    }
    for (int run = 1; run <= 4; run++) {
        uint64_t now = 9 + (uint64_t)run;
        assert_int_equal(gnt_timers_run(&timers, now), 3);
        for (int i = 0; i < 3; i++)
            assert_int_equal(eager[i].fired, run);
        assert_true(gnt_timers_next(&timers) <= now + 1);
    }
    gnt_timers_fini(&timers);
}

static void fire_free(struct gnt_timer *timer, uint64_t now)
{
    (void)now;
    free(timer);
}

static void test_fire_may_free(void **state)
{
    (void)state;
    struct gnt_timers timers = {0};
    for (uint64_t i = 0; i < 10; i++) {
        struct gnt_timer *timer = calloc(1, sizeof *timer);
        assert_non_null(timer);
        timer->fire = fire_free;
        assert_int_equal(gnt_timer_set(&timers, timer, 10 - i), GNT_OK);
    }
    assert_int_equal(gnt_timers_run(&timers, 4), 4);
    assert_int_equal(gnt_timers_run(&timers, 100), 6);
    gnt_timers_fini(&timers);
}

static void test_allocation_failure_changes_nothing(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 1);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_timer_set(&w.timers, &w.items[0].timer, 5), GNT_NOMEM);
    assert_false(gnt_timer_is_set(&w.items[0].timer));
    gnt_alloc_fail_at(-1);
    int i = 0;
    for (; w.timers.count < 16; i++)
        set(&w.items[i], 100 - (uint64_t)i);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_timer_set(&w.timers, &w.items[i].timer, 1), GNT_NOMEM);
    assert_false(gnt_timer_is_set(&w.items[i].timer));
    gnt_alloc_fail_at(0);
    set(&w.items[3], 2); /* moving one that is set cannot fail */
    assert_false(gnt_alloc_failed());
    gnt_alloc_fail_at(-1);
    assert_true(gnt_timers_next(&w.timers) == 2);
    assert_int_equal(gnt_timers_run(&w.timers, 100), 16);
    gnt_timers_fini(&w.timers);
}

static void test_deadline_arithmetic(void **state)
{
    (void)state;
    assert_true(gnt_deadline(5, 7) == 12);
    assert_true(gnt_deadline(5, GNT_NEVER) == GNT_NEVER);
    assert_true(gnt_deadline(GNT_NEVER, 1) == GNT_NEVER);
    assert_true(gnt_deadline(GNT_NEVER - 1, 1) == GNT_NEVER);
    assert_true(gnt_deadline(GNT_NEVER - 2, 1) == GNT_NEVER - 1);
}

static void test_system_clock(void **state)
{
    (void)state;
    uint64_t a = gnt_now(&gnt_clock_system), b = gnt_now(&gnt_clock_system);
    assert_true(a > 0 && b >= a);
    assert_true(gnt_wall_ms(&gnt_clock_system) > UINT64_C(1600000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_never_cancels),
        cmocka_unit_test(test_eager_timer_waits_for_the_next_run),
        cmocka_unit_test(test_fire_may_free),
        cmocka_unit_test(test_allocation_failure_changes_nothing),
        cmocka_unit_test(test_deadline_arithmetic),
        cmocka_unit_test(test_system_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
