#include "support/unit.h"

#include "core/routes.h"

#include "base/rcu.h"
#include "support/rcu_group.h"
#include "support/alloc_fault.h"

#include <stdio.h>

enum { HERE = 1, THERE = 2, NAMES = GNT_TREE_MANY };

struct fixture {
    struct gnt_tree *tree;
    struct gnt_routes routes;
    char text[NAMES][16];
    struct gnt_slice names[NAMES];
};

static struct gnt_tree_node *subscribe(struct fixture *f, const char *filter, unsigned home,
                                       uint32_t slot)
{
    const struct gnt_sub_options options = {.id = slot, .qos = 1};
    struct gnt_tree_node *node;
    bool existed;
    assert_int_equal(gnt_tree_subscribe(f->tree, gnt_slice_str(filter), gnt_sink_id(home, slot, 1),
                                        &options, &existed, &node),
                     GNT_OK);
    return node;
}

/* Topics t/0 to t/7, with a filter each. */
static void start(struct fixture *f)
{
    *f = (struct fixture){0};
    assert_int_equal(gnt_tree_new(&f->tree), GNT_OK);
    for (uint32_t i = 0; i < NAMES; i++) {
        int size = snprintf(f->text[i], sizeof f->text[i], "t/%u", i);
        f->names[i] = gnt_slice(f->text[i], (size_t)size);
        subscribe(f, f->text[i], HERE, 10 + i);
    }
}

static void finish(struct fixture *f)
{
    gnt_routes_fini(&f->routes);
    gnt_tree_free(&f->tree);
    gnt_rcu_barrier();
}

static void look_ahead(struct fixture *f)
{
    gnt_routes_ahead(&f->routes, f->tree, HERE, f->names, NAMES);
}

/* The route of TOPIC; whether it was there before it was asked for: after a look-up in a tree as
 * small as this one it is not `cold`. */
static struct gnt_route *route(struct fixture *f, struct gnt_slice topic, bool *was_there)
{
    struct gnt_route *r;
    bool owned;
    f->routes.cold = true;
    assert_int_equal(gnt_routes_find(&f->routes, f->tree, HERE, topic, &r, &owned), GNT_OK);
    assert_false(owned);
    *was_there = f->routes.cold;
    return r;
}

static void what_was_found_ahead_is_taken(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    subscribe(&f, "t/+", HERE, 5);
    subscribe(&f, "+/3", THERE, 6);
    look_ahead(&f);
    assert_true(f.routes.cold);
    for (uint32_t i = 0; i < NAMES; i++) {
        bool there;
        const struct gnt_route *r = route(&f, f.names[i], &there);
        assert_true(there);
        assert_int_equal(r->count, 2);
        assert_true(r->targets[0].sink == gnt_sink_id(HERE, 5, 1));
        assert_true(r->targets[1].sink == gnt_sink_id(HERE, 10 + i, 1));
        assert_int_equal(r->targets[1].match.ids.one, 10 + i);
        assert_true(r->elsewhere.homes == (i == 3 ? UINT64_C(1) << THERE : 0));
    }
    finish(&f);
}

static void assert_elsewhere(const struct gnt_elsewhere *e, uint64_t homes, uint32_t slot)
{
    assert_true(e->homes == homes);
    assert_true(e->sink == (slot ? gnt_sink_id(THERE, slot, 1) : 0));
    if (slot)
        assert_int_equal(e->options.id, slot);
}

/* Looked up ahead, by itself, and remembered. */
static void the_only_subscription_elsewhere_is_named(void **state)
{
    (void)state;
    enum { OVER = 3 };
    const uint64_t there = UINT64_C(1) << THERE, both = there | UINT64_C(1) << OVER;
    struct fixture f;
    bool was_there;
    start(&f);
    subscribe(&f, "+/1", THERE, 6);
    subscribe(&f, "+/2", THERE, 6);
    subscribe(&f, "t/2/#", THERE, 7);
    subscribe(&f, "+/3", THERE, 6);
    subscribe(&f, "t/3/#", THERE, 6);
    subscribe(&f, "+/4", THERE, 6);
    subscribe(&f, "t/4/#", OVER, 6);
    for (int time = 0; time < 2; time++) { /* twice in the same memory */
        look_ahead(&f);
        memset(f.routes.seen, 0, sizeof f.routes.seen);
    }
    for (int time = 0; time < 4; time++) {
        assert_elsewhere(&route(&f, f.names[0], &was_there)->elsewhere, 0, 0);
        assert_int_equal(was_there, time == 0 || time == 3);
        assert_elsewhere(&route(&f, f.names[1], &was_there)->elsewhere, there, 6);
        assert_elsewhere(&route(&f, f.names[2], &was_there)->elsewhere, there, 0);
        assert_elsewhere(&route(&f, f.names[3], &was_there)->elsewhere, there, 0);
        assert_elsewhere(&route(&f, f.names[4], &was_there)->elsewhere, both, 0);
    }
    finish(&f);
}

static void find_new(struct fixture *f, unsigned number)
{
    char text[16];
    bool was_there;
    int size = snprintf(text, sizeof text, "new/%u", number);
    assert_int_equal(route(f, gnt_slice(text, (size_t)size), &was_there)->count, 0);
}

static size_t remembered(struct fixture *f)
{
    bool was_there;
    for (int time = 0; time < 3; time++)
        for (uint32_t i = 0; i < NAMES; i++)
            assert_int_equal(route(f, f->names[i], &was_there)->count, 1);
    return f->routes.by_topic.count;
}

/* Where there are too many topics, until it is worth another try. */
static void nothing_is_remembered_where_it_does_not_pay(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    unsigned number = 0;
    assert_int_equal(remembered(&f), NAMES);
    while (f.routes.looked_up < GNT_ROUTES_TRIAL)
        find_new(&f, number++);
    assert_true(f.routes.by_topic.count >= NAMES);
    find_new(&f, number++);
    assert_int_equal(f.routes.by_topic.count, 0);
    assert_int_equal(f.routes.resting, GNT_ROUTES_REST);
    assert_int_equal(remembered(&f), 0);
    assert_int_equal(f.routes.resting, GNT_ROUTES_REST - 3 * NAMES);
    f.routes.resting = 1;
    find_new(&f, number++);
    assert_int_equal(remembered(&f), NAMES);
    finish(&f);
}

static void remembering_pays_if_it_spares_half(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    assert_int_equal(remembered(&f), NAMES);
    f.routes.looked_up = GNT_ROUTES_TRIAL;
    f.routes.spared = GNT_ROUTES_TRIAL;
    assert_int_equal(remembered(&f), NAMES);
    assert_int_equal(f.routes.looked_up, 0);
    f.routes.looked_up = GNT_ROUTES_TRIAL;
    f.routes.spared = GNT_ROUTES_TRIAL - 1;
    assert_int_equal(remembered(&f), 0);
    finish(&f);
}

static void a_change_of_the_tree_is_seen(void **state)
{
    (void)state;
    struct fixture f;
    bool there;
    start(&f);
    struct gnt_tree_node *node = subscribe(&f, "t/2", HERE, 5);
    look_ahead(&f);
    assert_int_equal(route(&f, f.names[0], &there)->count, 1);
    assert_true(there);
    subscribe(&f, "t/1", HERE, 7);
    assert_int_equal(route(&f, f.names[1], &there)->count, 2);
    assert_false(there);
    look_ahead(&f);
    gnt_tree_unsubscribe(f.tree, node, gnt_sink_id(HERE, 5, 1));
    assert_int_equal(route(&f, f.names[2], &there)->count, 1);
    assert_false(there);
    finish(&f);
}

/* As they come when packets between them are refused, or another connection is read. */
static void another_order_only_costs_time(void **state)
{
    (void)state;
    struct fixture f;
    bool there;
    start(&f);
    look_ahead(&f);
    for (uint32_t i = NAMES; i-- > 0;) {
        const struct gnt_route *r = route(&f, f.names[i], &there);
        assert_int_equal(there, i == 0);
        assert_int_equal(r->count, 1);
        assert_true(r->targets[0].sink == gnt_sink_id(HERE, 10 + i, 1));
    }
    finish(&f);
}

static void topics_that_come_again_are_remembered(void **state)
{
    (void)state;
    struct fixture f;
    bool there;
    start(&f);
    for (int time = 0; time < 3; time++) {
        look_ahead(&f);
        assert_int_equal(f.routes.cold, time == 0);
        for (uint32_t i = 0; i < NAMES; i++)
            assert_int_equal(route(&f, f.names[i], &there)->count, 1);
        assert_int_equal(f.routes.by_topic.count, time ? NAMES : 0);
    }
    f.names[1] = f.names[0] = gnt_slice_str("t/new");
    subscribe(&f, "t/new", HERE, 5);
    look_ahead(&f); /* the same name twice */
    assert_int_equal(route(&f, f.names[0], &there)->count, 1);
    assert_true(there);
    assert_int_equal(route(&f, f.names[1], &there)->count, 1);
    assert_false(there);
    assert_int_equal(f.routes.by_topic.count, 1);
    finish(&f);
}

static void what_is_long_or_has_many_is_left_out(void **state)
{
    (void)state;
    struct fixture f;
    bool there;
    start(&f);
    char text[400];
    memset(text, 'x', sizeof text);
    enum { MANY = 40 };
    for (uint32_t i = 0; i < MANY; i++)
        subscribe(&f, "t/0", HERE, 100 + i);
    f.names[1] = gnt_slice(text, sizeof text);
    look_ahead(&f);
    assert_int_equal(route(&f, f.names[0], &there)->count, MANY + 1);
    assert_false(there);
    assert_int_equal(route(&f, f.names[1], &there)->count, 0);
    assert_false(there);
    assert_int_equal(route(&f, f.names[2], &there)->count, 1);
    assert_true(there);
    finish(&f);
}

static void without_memory_nothing_is_looked_up_ahead(void **state)
{
    (void)state;
    struct fixture f;
    bool there;
    start(&f);
    gnt_alloc_fail_at(0);
    look_ahead(&f);
    assert_true(gnt_alloc_failed());
    gnt_alloc_fail_at(-1);
    assert_int_equal(route(&f, f.names[0], &there)->count, 1);
    assert_false(there);
    gnt_routes_fini(&f.routes);
    f.routes = (struct gnt_routes){.cold = true};
    look_ahead(&f);
    struct gnt_route *r;
    bool owned;
    gnt_alloc_fail_at(0); /* for the targets */
    assert_int_equal(gnt_routes_find(&f.routes, f.tree, HERE, f.names[0], &r, &owned), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_int_equal(route(&f, f.names[0], &there)->count, 1);
    finish(&f);
}

static void only_a_large_tree_wants_it(void **state)
{
    (void)state;
    enum { FILTERS = 60000 };
    struct fixture f;
    struct gnt_route *r;
    bool owned;
    start(&f);
    assert_int_equal(gnt_routes_find(&f.routes, f.tree, HERE, f.names[0], &r, &owned), GNT_OK);
    assert_false(f.routes.cold);
    for (uint32_t i = 0; i < FILTERS; i++) {
        char text[16];
        snprintf(text, sizeof text, "large/%u", i);
        subscribe(&f, text, HERE, i);
    }
    assert_int_equal(gnt_routes_find(&f.routes, f.tree, HERE, f.names[1], &r, &owned), GNT_OK);
    assert_true(f.routes.cold);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_found_ahead_is_taken),
        cmocka_unit_test(the_only_subscription_elsewhere_is_named),
        cmocka_unit_test(nothing_is_remembered_where_it_does_not_pay),
        cmocka_unit_test(remembering_pays_if_it_spares_half),
        cmocka_unit_test(a_change_of_the_tree_is_seen),
        cmocka_unit_test(another_order_only_costs_time),
        cmocka_unit_test(topics_that_come_again_are_remembered),
        cmocka_unit_test(what_is_long_or_has_many_is_left_out),
        cmocka_unit_test(without_memory_nothing_is_looked_up_ahead),
        cmocka_unit_test(only_a_large_tree_wants_it),
    };
    return cmocka_run_group_tests(tests, rcu_group_begin, rcu_group_end);
}
