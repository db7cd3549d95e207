#include "support/unit.h"

#include "core/publish.h"

#include "support/alloc_fault.h"
#include "support/core_world.h"

#include <stdio.h>

/* A client at HOME, its id in a buffer of its own. */
struct at {
    char id[16];
    struct world_client c;
};

static void join(struct world *w, struct at *a, unsigned home, unsigned number)
{
    *a = (struct at){0};
    world_id_at(w, home, number, a->id);
    a->c.id = a->id;
    assert_true(world_connect(w, &a->c, true, 0));
}

static void subscribe(struct world_client *c, const char *filter, uint32_t id, uint8_t qos,
                      bool no_local, bool retain_as_published)
{
    struct gnt_sub_options o = {
        .id = id, .qos = qos, .no_local = no_local, .retain_as_published = retain_as_published};
    assert_int_equal(world_subscribe_with(c, filter, &o, GNT_RETAIN_DO_NOT_SEND), GNT_DONE);
}

static bool has_id(const struct world_delivery *d, uint32_t id)
{
    for (uint32_t i = 0; i < d->id_count; i++)
        if (d->ids[i] == id)
            return true;
    return false;
}

/* [MQTT5 3.3.4], [MQTT-3.3.4-2] to [MQTT-3.3.4-5] */
static void overlapping_subscriptions_are_one_delivery(void **state)
{
    (void)state;
    for (unsigned homes = 1; homes <= WORLD_HOMES_MAX; homes++) {
        struct world w;
        struct at a;
        world_init(&w, homes, NULL);
        join(&w, &a, homes - 1, 1);
        subscribe(&a.c, "a/#", 7, 0, false, false);
        subscribe(&a.c, "a/+", 9, 2, false, false);
        subscribe(&a.c, "a/b", 0, 1, false, false);
        subscribe(&a.c, "#", 8, 1, false, false);
        assert_int_equal(world_publish(&w, 0, "a/b", "x", 2, false), GNT_DONE);
        assert_int_equal(world_publish(&w, 0, "a/b", "y", 1, false), GNT_DONE);
        world_settle(&w);
        assert_int_equal(a.c.count, 2);
        assert_int_equal(a.c.got[0].qos, 2); /* the highest that matches */
        assert_int_equal(a.c.got[1].qos, 1); /* but not over the message's */
        assert_int_equal(a.c.got[0].id_count, 3);
        assert_true(has_id(&a.c.got[0], 7) && has_id(&a.c.got[0], 8) && has_id(&a.c.got[0], 9));
        world_client_fini(&a.c);
        world_fini(&w);
    }
}

static void one_identifier_comes_alone(void **state)
{
    (void)state;
    struct world w;
    struct at a;
    world_init(&w, 1, NULL);
    join(&w, &a, 0, 1);
    subscribe(&a.c, "a/#", 0, 0, false, false);
    subscribe(&a.c, "a/b", 5, 0, false, false);
    assert_int_equal(world_publish(&w, 0, "a/b", "x", 0, false), GNT_DONE);
    assert_int_equal(world_publish(&w, 0, "a/c", "x", 0, false), GNT_DONE);
    assert_int_equal(a.c.got[0].id_count, 1);
    assert_int_equal(a.c.got[0].ids[0], 5);
    assert_int_equal(a.c.got[1].id_count, 0);
    world_client_fini(&a.c);
    world_fini(&w);
}

static void publish_own(struct world_client *c, const char *topic)
{
    struct gnt_message *m = world_message(topic, "own", 1, false);
    m->publisher = gnt_session_sink(c->session);
    assert_int_equal(gnt_publish(world_home(c), m, NULL), GNT_DONE);
    gnt_message_unref(&m);
    world_settle(c->world);
}

/* [MQTT-3.8.3-3] */
static void no_local_keeps_ones_own_messages_away(void **state)
{
    (void)state;
    struct world w;
    struct at a, b;
    world_init(&w, 2, NULL);
    join(&w, &a, 0, 1);
    join(&w, &b, 1, 2);
    subscribe(&a.c, "t", 1, 2, true, false);
    subscribe(&b.c, "t", 1, 2, true, false);
    publish_own(&a.c, "t");
    assert_int_equal(a.c.count, 0);
    assert_int_equal(b.c.count, 1);
    subscribe(&a.c, "+", 2, 0, false, false); /* only this one lets it through, as it is */
    publish_own(&a.c, "t");
    assert_int_equal(a.c.count, 1);
    assert_int_equal(a.c.got[0].qos, 0);
    assert_int_equal(a.c.got[0].id_count, 1);
    assert_int_equal(a.c.got[0].ids[0], 2);
    world_publish(&w, 1, "t", "of somebody else", 2, false);
    world_settle(&w);
    assert_int_equal(a.c.got[1].qos, 2);
    assert_int_equal(a.c.got[1].id_count, 2);
    world_client_fini(&a.c);
    world_client_fini(&b.c);
    world_fini(&w);
}

/* [MQTT-3.3.1-12], [MQTT-3.3.1-13] */
static void retain_as_published(void **state)
{
    (void)state;
    struct world w;
    struct at a, b;
    world_init(&w, 2, NULL);
    join(&w, &a, 0, 1);
    join(&w, &b, 1, 2);
    subscribe(&a.c, "t", 0, 0, false, true);
    subscribe(&b.c, "t", 0, 0, false, false);
    world_publish(&w, 0, "t", "x", 0, true);
    world_publish(&w, 0, "t", "y", 0, false);
    world_settle(&w);
    assert_true(a.c.got[0].retain);
    assert_false(a.c.got[1].retain);
    assert_false(b.c.got[0].retain);
    assert_counted(&w, GNT_COUNT_RETAINED, 1);
    world_publish(&w, 1, "t", "", 0, true);
    world_settle(&w);
    assert_counted(&w, GNT_COUNT_RETAINED, 0);
    world_client_fini(&a.c);
    world_client_fini(&b.c);
    world_fini(&w);
}

/* What a home remembers of a topic must not outlive a change of any subscription. */
static void remembered_routes_follow_the_tree(void **state)
{
    (void)state;
    for (unsigned homes = 1; homes <= WORLD_HOMES_MAX; homes++) {
        struct world w;
        struct at a, b;
        world_init(&w, homes, NULL);
        join(&w, &a, homes - 1, 1);
        assert_int_equal(world_publish(&w, 0, "t", "0", 0, false), GNT_DONE_NO_MATCH);
        subscribe(&a.c, "t", 0, 0, false, false);
        assert_int_equal(world_publish(&w, 0, "t", "1", 0, false), GNT_DONE);
        assert_int_equal(world_publish(&w, 0, "t", "2", 0, false), GNT_DONE);
        world_settle(&w);
        join(&w, &b, 0, 2);
        subscribe(&b.c, "+", 0, 0, false, false);
        assert_int_equal(world_publish(&w, 0, "t", "3", 0, false), GNT_DONE);
        world_settle(&w);
        world_disconnect(&b.c);
        assert_int_equal(world_publish(&w, 0, "t", "4", 0, false), GNT_DONE);
        world_settle(&w);
        assert_int_equal(gnt_session_unsubscribe(a.c.session, LITERAL("t")), GNT_DONE);
        assert_int_equal(world_publish(&w, 0, "t", "5", 0, false), GNT_DONE_NO_MATCH);
        world_settle(&w);
        assert_string_equal(world_payloads(&a.c, 0), "1 2 3 4 ");
        assert_string_equal(world_payloads(&b.c, 0), "3 ");
        world_client_fini(&a.c);
        world_client_fini(&b.c);
        world_fini(&w);
    }
}

/* Where every message has a topic of its own, nothing is gained by remembering. */
static void a_topic_is_remembered_when_it_comes_again(void **state)
{
    (void)state;
    struct world w;
    struct at a, b;
    world_init(&w, 1, NULL);
    join(&w, &a, 0, 1);
    join(&w, &b, 0, 2);
    subscribe(&a.c, "#", 0, 1, false, false);
    subscribe(&a.c, "+", 0, 2, false, false);
    subscribe(&b.c, "t", 0, 0, false, false);
    const struct gnt_map *remembered = &w.core->homes[0].routes.by_topic;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(world_publish(&w, 0, "t", "x", 0, false), GNT_DONE);
        assert_int_equal(remembered->count, i == 0 ? 0 : i == 3 ? 2 : 1);
        assert_int_equal(world_publish(&w, 0, i % 2 ? "odd" : "even", "y", 0, false), GNT_DONE);
        assert_int_equal(remembered->count, i); /* "t", then "even", then "odd" */
    }
    assert_string_equal(world_payloads(&a.c, 0), "x y x y x y x y ");
    assert_string_equal(world_payloads(&b.c, 0), "x x x x ");
    world_client_fini(&a.c);
    world_client_fini(&b.c);
    world_fini(&w);
}

static void many_topics_are_not_all_remembered(void **state)
{
    (void)state;
    struct world w;
    struct at a;
    world_init(&w, 1, NULL);
    join(&w, &a, 0, 1);
    subscribe(&a.c, "#", 0, 0, false, false);
    for (int i = 0; i < 18000; i++) { /* each twice: once alone is not remembered */
        char topic[16];
        snprintf(topic, sizeof topic, "t/%d", i / 2);
        assert_int_equal(world_publish(&w, 0, topic, "x", 0, false), GNT_DONE);
    }
    assert_int_equal(a.c.count, 18000);
    assert_true(w.core->homes[0].routes.by_topic.count > 100);
    assert_true(w.core->homes[0].routes.by_topic.count <= 8192);
    static char deep[60001]; /* nor are long ones kept without end */
    memset(deep, 'a', 60000);
    for (int i = 0; i < 800; i++) {
        deep[i / 2] = 'b';
        assert_int_equal(world_publish(&w, 0, deep, "x", 0, false), GNT_DONE);
    }
    assert_true(w.core->homes[0].routes.cost <= 1 << 24);
    world_client_fini(&a.c);
    world_fini(&w);
}

/* Each other home gets a message once, however many of its sinks match. */
static void each_home_gets_it_once(void **state)
{
    (void)state;
    struct world w;
    struct at a[8];
    world_init(&w, 4, NULL);
    for (unsigned i = 0; i < COUNT_OF(a); i++) {
        join(&w, &a[i], i % 4, i);
        subscribe(&a[i].c, i % 2 ? "t" : "#", 0, 1, false, false);
    }
    world_publish(&w, 0, "t", "x", 1, false);
    for (unsigned to = 1; to < 4; to++) {
        assert_true(world_mail_one(&w, 0, to));
        assert_false(world_mail_one(&w, 0, to));
    }
    assert_false(world_mail_one(&w, 0, 0));
    for (unsigned i = 0; i < COUNT_OF(a); i++) {
        assert_int_equal(a[i].c.count, 1);
        world_client_fini(&a[i].c);
    }
    world_fini(&w);
}

static uint64_t looked_up(const struct world *w, unsigned home)
{
    return w->core->homes[home].routes.looked_up;
}

/* Its home is told what the subscription asks for; several are looked up. */
static void one_subscription_elsewhere_is_not_looked_up_again(void **state)
{
    (void)state;
    struct world w;
    struct at a, b;
    world_init(&w, 2, NULL);
    join(&w, &a, 1, 1);
    join(&w, &b, 1, 2);
    subscribe(&a.c, "+", 0xfffffff, 1, true, true);
    for (int time = 0; time < 3; time++) {
        world_publish(&w, 0, "t", "x", 2, true);
        world_settle(&w);
        const struct world_delivery *d = &a.c.got[a.c.count - 1];
        assert_int_equal(a.c.count, time + 1);
        assert_int_equal(d->qos, 1);
        assert_true(d->retain);
        assert_int_equal(d->id_count, 1);
        assert_int_equal(d->ids[0], 0xfffffff);
    }
    assert_true(looked_up(&w, 1) == 0);
    subscribe(&b.c, "t/#", 0, 2, false, false);
    world_publish(&w, 0, "t", "x", 2, false);
    world_settle(&w);
    assert_true(looked_up(&w, 1) == 1);
    assert_int_equal(a.c.count, 4);
    assert_int_equal(b.c.count, 1);
    assert_int_equal(b.c.got[0].qos, 2);
    assert_int_equal(b.c.got[0].id_count, 0);
    world_client_fini(&a.c);
    world_client_fini(&b.c);
    world_fini(&w);
}

/* [MQTT-3.10.4-2]: what changes while a message is on its way is seen on arrival. */
static void a_change_overtakes_what_was_mailed(void **state)
{
    (void)state;
    struct world w;
    struct at a, b;
    struct gnt_tree_node *node;
    bool existed;
    world_init(&w, 2, NULL);
    join(&w, &a, 1, 1);
    join(&w, &b, 1, 2);
    struct gnt_tree *tree = w.core->homes[1].tree;
    uint64_t sink = gnt_session_sink(b.c.session);
    subscribe(&a.c, "t", 0, 2, false, false);
    world_publish(&w, 0, "t", "1", 2, false);
    assert_int_equal(gnt_session_unsubscribe(a.c.session, LITERAL("t")), GNT_DONE);
    assert_int_equal(gnt_tree_subscribe(tree, LITERAL("t"), sink,
                                        &(struct gnt_sub_options){.qos = 2}, &existed, &node),
                     GNT_OK);
    world_settle(&w);
    world_publish(&w, 0, "t", "2", 2, false);
    assert_int_equal(gnt_tree_subscribe(tree, LITERAL("t"), sink,
                                        &(struct gnt_sub_options){.qos = 1}, &existed, &node),
                     GNT_OK);
    world_settle(&w);
    world_publish(&w, 0, "t", "3", 2, false);
    world_settle(&w);
    assert_int_equal(a.c.count, 0);
    assert_string_equal(world_payloads(&b.c, 0), "1 2 3 ");
    assert_int_equal(b.c.got[0].qos, 2);
    assert_int_equal(b.c.got[1].qos, 1);
    assert_true(looked_up(&w, 1) == 2);
    gnt_tree_unsubscribe(tree, node, sink);
    world_client_fini(&a.c);
    world_client_fini(&b.c);
    world_fini(&w);
}

static void lack_of_memory_is_counted(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct world w;
        struct at a, b;
        world_init(&w, 2, NULL);
        join(&w, &a, 0, 1);
        join(&w, &b, 1, 2);
        for (uint32_t i = 1; i < 4; i++) {
            const char *const filters[] = {"t", "+", "#"};
            subscribe(&a.c, filters[i - 1], i, 1, i == 1, false);
            subscribe(&b.c, filters[i - 1], i, 1, false, false);
        }
        struct gnt_message *m = world_message("t", "x", 1, true);
        gnt_alloc_fail_at(n);
        enum gnt_outcome outcome = gnt_publish(&w.core->homes[0], m, NULL);
        gnt_message_unref(&m);
        world_settle(&w);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        if (a.c.count + b.c.count < 2) /* nobody sends it again */
            assert_true(world_counted(&w, GNT_COUNT_DROPPED_NO_MEMORY) > 0);
        assert_true(failed || outcome == GNT_DONE);
        if (!failed)
            assert_int_equal(a.c.count + b.c.count, 2);
        world_client_fini(&a.c);
        world_client_fini(&b.c);
        world_fini(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlapping_subscriptions_are_one_delivery),
        cmocka_unit_test(one_identifier_comes_alone),
        cmocka_unit_test(no_local_keeps_ones_own_messages_away),
        cmocka_unit_test(retain_as_published),
        cmocka_unit_test(remembered_routes_follow_the_tree),
        cmocka_unit_test(a_topic_is_remembered_when_it_comes_again),
        cmocka_unit_test(many_topics_are_not_all_remembered),
        cmocka_unit_test(each_home_gets_it_once),
        cmocka_unit_test(one_subscription_elsewhere_is_not_looked_up_again),
        cmocka_unit_test(a_change_overtakes_what_was_mailed),
        cmocka_unit_test(lack_of_memory_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
