#include "support/unit.h"

#include "core/tree.h"

#include "support/rcu_group.h"
#include "tree_check.h"
#include "model/topic.h"
#include "support/alloc_fault.h"

#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = 20, STEPS = 3000, SUBS_MAX = 256 };

/* ---- Rows */

static void vectors(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *topic;
        bool matches;
    } rows[] = {
        {"sport", "sport", true},
        {"sport", "sports", false},
        {"sport", "/sport", false},
        {"sport", "sport/", false},
        {"/", "/", true},
        {"/", "//", false},
        {"sport/tennis/player1/#", "sport/tennis/player1", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"sport/tennis/player1/#", "sport/tennis", false},
        {"sport/#", "sport", true},
        {"#", "sport", true},
        {"#", "/", true},
        {"#", "a/b/c/d/e", true},
        {"sport/tennis/+", "sport/tennis/player1", true},
        {"sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"sport/+", "sport", false},
        {"sport/+", "sport/", true},
        {"+", "sport", true},
        {"+", "/sport", false},
        {"+/+", "/finance", true},
        {"/+", "/finance", true},
        {"+", "/finance", false},
        {"+/tennis/#", "sport/tennis", true},
        {"+/tennis/#", "sport/tennis/x/y", true},
        {"+/#", "sport", true},
        {"+/#", "sport/x", true},
        {"+/+/#", "sport", false},
        {"+/b/+", "a/b/c", true},
        {"+/b/+", "a/c/c", false},
        {"#", "$SYS/x", false},
        {"#", "$SYS", false},
        {"+", "$SYS", false},
        {"+/monitor/Clients", "$SYS/monitor/Clients", false},
        {"+/#", "$SYS", false},
        {"$SYS/#", "$SYS/x", true},
        {"$SYS/#", "$SYS", true},
        {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
        {"a/+", "a/$b", true},
        {"a/#", "a/$b/c", true},
    };
    struct gnt_tree *all = tree_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice filter = gnt_slice_str(rows[i].filter);
        struct gnt_slice topic = gnt_slice_str(rows[i].topic);
        struct gnt_tree *tree = tree_new();
        struct gnt_tree_node *node = subscribe(tree, filter, 7);
        if (matches(tree, topic) != rows[i].matches)
            fail_msg("\"%s\" and \"%s\"", rows[i].filter, rows[i].topic);
        gnt_tree_unsubscribe(tree, node, 7);
        assert_int_equal(matches(tree, topic), 0);
        assert_int_equal(check_tree(tree), 0);
        gnt_tree_free(&tree);
        assert_null(tree);
        subscribe(all, filter, 1000 + i); /* freed with all that is in it */
    }
    gnt_tree_free(&all);
    gnt_tree_free(&all);
}

static void one_sink_by_several_filters(void **state)
{
    (void)state;
    struct gnt_tree *tree = tree_new();
    static const char *const filters[] = {"a/b", "a/+", "+/b", "+/+", "#", "a/#", "+/#", "a/b/#"};
    for (size_t i = 0; i < COUNT_OF(filters); i++)
        subscribe(tree, gnt_slice_str(filters[i]), 9);
    assert_int_equal(matches(tree, gnt_slice_str("a/b")), COUNT_OF(filters));
    assert_int_equal(matches(tree, gnt_slice_str("x/y")), 3);
    gnt_tree_free(&tree);
}

/* `#` and `+` hang beside each other: each comes and goes with and without the other. */
static void wildcards_beside_each_other(void **state)
{
    (void)state;
    static const char *const filters[] = {"a/+", "a/#"};
    struct gnt_tree *tree = tree_new();
    for (int first_in = 0; first_in < 2; first_in++) {
        for (int first_out = 0; first_out < 2; first_out++) {
            struct gnt_tree_node *node[2];
            node[first_in] = subscribe(tree, gnt_slice_str(filters[first_in]), 1);
            assert_int_equal(matches(tree, gnt_slice_str("a/b")), 1);
            node[!first_in] = subscribe(tree, gnt_slice_str(filters[!first_in]), 2);
            assert_int_equal(matches(tree, gnt_slice_str("a/b")), 2);
            assert_int_equal(matches(tree, gnt_slice_str("a")), 1);
            for (int i = 0; i < 2; i++)
                assert_ptr_equal(gnt_tree_find(tree, gnt_slice_str(filters[i])), node[i]);
            gnt_tree_unsubscribe(tree, node[first_out], first_out == first_in ? 1 : 2);
            assert_int_equal(matches(tree, gnt_slice_str("a/b")), 1);
            assert_int_equal(matches(tree, gnt_slice_str("a")), first_out == 0 ? 1 : 0);
            gnt_tree_unsubscribe(tree, node[!first_out], first_out == first_in ? 2 : 1);
            assert_int_equal(check_tree(tree), 0);
        }
    }
    gnt_tree_free(&tree);
}

static void options_change(void **state)
{
    (void)state;
    struct gnt_tree *tree = tree_new();
    struct gnt_slice filter = gnt_slice_str("a/+");
    const struct gnt_sub_options steps[] = {
        {.id = 1, .qos = 2},
        {.id = 0xfffffff, .qos = 1, .no_local = true},
        {.id = 0, .qos = 0, .retain_as_published = true},
        {.id = 5, .qos = 2, .no_local = true, .retain_as_published = true},
    };
    for (uint64_t sink = 1; sink <= 2; sink++) { /* the first one is kept apart from the others */
        for (size_t i = 0; i < COUNT_OF(steps); i++) {
            bool existed;
            uint64_t before = gnt_tree_generation(tree);
            assert_int_equal(gnt_tree_subscribe(tree, filter, sink, &steps[i], &existed, NULL), 0);
            assert_int_equal(existed, i > 0);
            uint64_t after = gnt_tree_generation(tree);
            assert_true(after > before);
            struct hit all[2];
            struct hits hits = {.all = all, .cap = 2};
            gnt_tree_match(tree, gnt_slice_str("a/x"), found, &hits);
            assert_int_equal(hits.count, sink);
            const struct gnt_sub_options *o = &all[sink - 1].options;
            assert_int_equal(o->id, steps[i].id);
            assert_int_equal(o->qos, steps[i].qos);
            assert_int_equal(o->no_local, steps[i].no_local);
            assert_int_equal(o->retain_as_published, steps[i].retain_as_published);

            /* Asked for once more, nothing changes. */
            assert_int_equal(gnt_tree_subscribe(tree, filter, sink, &steps[i], &existed, NULL), 0);
            assert_true(existed);
            assert_int_equal(gnt_tree_generation(tree), after);
        }
    }
    struct gnt_tree_node *node = gnt_tree_find(tree, filter);
    uint64_t before = gnt_tree_generation(tree);
    gnt_tree_unsubscribe(tree, node, 1);
    assert_true(gnt_tree_generation(tree) > before);
    gnt_tree_free(&tree);
}

static void places(void **state)
{
    (void)state;
    static const char *const filters[] = {"a",     "/", "/a",   "a/", "a/b/c",
                                          "+/x/#", "#", "a//b", "//"};
    struct gnt_tree *tree = tree_new();
    for (size_t i = 0; i < COUNT_OF(filters); i++) {
        struct gnt_slice filter = gnt_slice_str(filters[i]);
        struct gnt_tree_node *node = subscribe(tree, filter, 3);
        char text[16];
        size_t size = gnt_tree_filter(node, text, sizeof text);
        assert_true(gnt_slice_eq(gnt_slice(text, size), filter));
        assert_int_equal(gnt_tree_filter(node, text, filter.size), filter.size);
        assert_int_equal(gnt_tree_filter(node, text, filter.size - 1), 0);
        assert_ptr_equal(gnt_tree_find(tree, filter), node);
    }
    assert_null(gnt_tree_find(tree, gnt_slice_str("a/b"))); /* exists, without a subscription */
    assert_null(gnt_tree_find(tree, gnt_slice_str("a/b/c/d")));
    assert_null(gnt_tree_find(tree, gnt_slice_str("+")));
    gnt_tree_free(&tree);
}

static void sink_ids(void **state)
{
    (void)state;
    uint64_t id = gnt_sink_id(255, 0xfffffff, 0xabcdef1);
    assert_int_equal(gnt_sink_home(id), 127);
    assert_int_equal(gnt_sink_slot(id), 0xfffffff);
    assert_int_equal(gnt_sink_generation(id), 0xabcdef1);
}

/* ---- Many subscriptions of one filter */

/* Each of sinks 1 to COUNT is found exactly if present[sink]. */
static void check_crowd(struct gnt_tree *tree, const bool *present, size_t count)
{
    struct hit *all = malloc((count + 1) * sizeof *all);
    bool *seen = calloc(count + 1, sizeof *seen);
    assert_non_null(all);
    assert_non_null(seen);
    struct hits hits = {.all = all, .cap = count + 1};
    gnt_tree_match(tree, gnt_slice_str("crowd"), found, &hits);
    for (size_t i = 0; i < hits.count; i++) {
        assert_in_range(all[i].sink, 1, count);
        assert_int_equal(all[i].options.id, all[i].sink);
        assert_false(seen[all[i].sink]);
        seen[all[i].sink] = true;
    }
    for (size_t i = 1; i <= count; i++)
        assert_int_equal(seen[i], present[i]);
    free(all);
    free(seen);
}

static void crowd(void **state)
{
    (void)state;
    enum { CROWD = 3000, ROUNDS = 8 };
    static bool present[CROWD + 1];
    struct gnt_seeded g;
    gnt_seeded_init(&g, 3);
    struct gnt_tree *tree = tree_new();
    struct gnt_slice filter = gnt_slice_str("crowd");
    for (int round = 0; round < ROUNDS; round++) {
        bool joining = round % 2 == 0;
        for (int i = 0; i < 4 * CROWD; i++) {
            size_t sink = 1 + (size_t)(gnt_seeded_next(&g) % CROWD);
            if (joining) {
                bool existed;
                struct gnt_sub_options options = {.id = (uint32_t)sink};
                assert_int_equal(gnt_tree_subscribe(tree, filter, sink, &options, &existed, NULL),
                                 GNT_OK);
                assert_int_equal(existed, present[sink]);
            } else if (present[sink]) {
                gnt_tree_unsubscribe(tree, gnt_tree_find(tree, filter), sink);
            }
            present[sink] = joining;
            if (i % 1000 == 0)
                check_crowd(tree, present, CROWD);
        }
        for (size_t sink = 1; !joining && sink <= CROWD; sink++) {
            if (present[sink])
                gnt_tree_unsubscribe(tree, gnt_tree_find(tree, filter), sink);
            present[sink] = false;
        }
        check_crowd(tree, present, CROWD);
    }
    assert_int_equal(check_tree(tree), 0);
    gnt_tree_free(&tree);
}

/* One that comes and goes leaves nothing behind, however often. */
static void coming_and_going(void **state)
{
    (void)state;
    struct gnt_tree *tree = tree_new();
    struct gnt_slice filter = gnt_slice_str("door");
    struct gnt_tree_node *node = subscribe(tree, filter, 1);
    for (uint64_t sink = 2; sink < 5000; sink++) {
        assert_ptr_equal(subscribe(tree, filter, sink), node);
        gnt_tree_unsubscribe(tree, node, sink == 2000 ? 1 : sink - (sink > 2000));
        const struct gnt_tree_subs *subs = atomic_load(&node->subs);
        assert_true(!subs || subs->cap <= 8);
        assert_int_equal(matches(tree, filter), 1);
    }
    gnt_tree_free(&tree);
}

/* ---- Deep topics */

static char *repeated(const char *level, size_t levels, const char *last, size_t *size)
{
    size_t length = strlen(level) + 1;
    char *text = malloc(levels * length + strlen(last) + 1);
    assert_non_null(text);
    for (size_t i = 0; i < levels; i++) {
        memcpy(text + i * length, level, length - 1);
        text[(i + 1) * length - 1] = '/';
    }
    memcpy(text + levels * length, last, strlen(last) + 1);
    *size = levels * length + strlen(last);
    return text;
}

static void deep(void **state)
{
    (void)state;
    enum { LEVELS = 10000 };
    static const struct {
        const char *level, *last;
        size_t levels;
        bool matches;
    } filters[] = {{"a", "b", LEVELS, true},     {"+", "+", LEVELS, true},
                   {"+", "#", LEVELS, true},     {"a", "#", LEVELS / 2, true},
                   {"+", "b", LEVELS, true},     {"+", "b", LEVELS - 1, false},
                   {"a", "b/#", LEVELS, true},   {"+", "b/+", LEVELS, false},
                   {"a", "c", LEVELS, false},    {"a", "+", LEVELS + 1, false},
                   {"a", "+", LEVELS - 1, false}};
    struct gnt_tree *tree = tree_new();
    struct gnt_tree_node *nodes[COUNT_OF(filters)];
    size_t expected = 0, size;
    static char text[GNT_TOPIC_MAX];
    for (size_t i = 0; i < COUNT_OF(filters); i++) {
        char *filter = repeated(filters[i].level, filters[i].levels, filters[i].last, &size);
        nodes[i] = subscribe(tree, gnt_slice(filter, size), 1 + i);
        assert_int_equal(gnt_tree_filter(nodes[i], text, sizeof text), size);
        assert_memory_equal(text, filter, size);
        expected += filters[i].matches;
        free(filter);
    }
    char *topic = repeated("a", LEVELS, "b", &size);
    assert_int_equal(matches(tree, gnt_slice(topic, size)), expected);
    free(topic);
    for (size_t i = 0; i < COUNT_OF(filters); i++)
        gnt_tree_unsubscribe(tree, nodes[i], 1 + i);
    assert_int_equal(check_tree(tree), 0);

    /* As deep as a topic can be, all levels empty, and the longest level. */
    memset(text, '/', sizeof text);
    struct gnt_tree_node *node = subscribe(tree, gnt_slice(text, sizeof text), 1);
    assert_int_equal(matches(tree, gnt_slice(text, sizeof text)), 1);
    assert_int_equal(matches(tree, gnt_slice(text, sizeof text - 1)), 0);
    gnt_tree_unsubscribe(tree, node, 1);
    memset(text, 'x', sizeof text);
    subscribe(tree, gnt_slice(text, sizeof text), 1);
    assert_int_equal(matches(tree, gnt_slice(text, sizeof text)), 1);
    gnt_tree_free(&tree);
}

/* ---- Against a list of filters that are matched one by one */

struct model {
    struct {
        char filter[64];
        size_t size;
        uint64_t sink;
        struct gnt_sub_options options;
        struct gnt_tree_node *node;
    } subs[SUBS_MAX];
    size_t count;
};

static void compare(const struct gnt_tree *tree, const struct model *model, struct gnt_slice topic)
{
    struct hit all[SUBS_MAX];
    struct hits hits = {.all = all, .cap = SUBS_MAX};
    gnt_tree_match(tree, topic, found, &hits);
    for (size_t i = 0; i < model->count; i++) {
        if (!gnt_topic_matches(gnt_slice(model->subs[i].filter, model->subs[i].size), topic))
            continue;
        size_t at = 0;
        while (at < hits.count && (all[at].sink != model->subs[i].sink ||
                                   all[at].options.id != model->subs[i].options.id ||
                                   all[at].options.qos != model->subs[i].options.qos))
            at++;
        assert_true(at < hits.count);
        all[at] = all[--hits.count];
    }
    assert_int_equal(hits.count, 0);
}

static void model_subscribe(struct gnt_tree *tree, struct model *model, struct gnt_seeded *g)
{
    char text[64];
    struct gnt_slice filter = random_topic(g, true, text);
    uint64_t sink = 1 + gnt_seeded_next(g) % 50;
    size_t i = 0;
    while (i < model->count &&
           (model->subs[i].sink != sink ||
            !gnt_slice_eq(filter, gnt_slice(model->subs[i].filter, model->subs[i].size))))
        i++;
    if (i == SUBS_MAX)
        return;
    struct gnt_sub_options options = {.id = (uint32_t)gnt_seeded_next(g) & 0xff,
                                      .qos = (uint8_t)(gnt_seeded_next(g) % 3)};
    bool existed;
    struct gnt_tree_node *node;
    assert_int_equal(gnt_tree_subscribe(tree, filter, sink, &options, &existed, &node), GNT_OK);
    assert_int_equal(existed, i < model->count);
    memcpy(model->subs[i].filter, text, filter.size);
    model->subs[i].size = filter.size;
    model->subs[i].sink = sink;
    model->subs[i].options = options;
    model->subs[i].node = node;
    model->count += !existed;
}

static void model_unsubscribe(struct gnt_tree *tree, struct model *model, size_t i)
{
    gnt_tree_unsubscribe(tree, model->subs[i].node, model->subs[i].sink);
    model->subs[i] = model->subs[--model->count];
}

static void random_life(uint64_t seed)
{
    static struct model model;
    model.count = 0;
    struct gnt_seeded g;
    gnt_seeded_init(&g, seed);
    struct gnt_tree *tree = tree_new();
    for (int step = 0; step < STEPS; step++) {
        /* Phases in which the tree grows and in which it shrinks. */
        bool grows = gnt_seeded_next(&g) % 10 < (step / 500 % 2 ? 3 : 7);
        if (grows)
            model_subscribe(tree, &model, &g);
        else if (model.count)
            model_unsubscribe(tree, &model, (size_t)(gnt_seeded_next(&g) % model.count));
        char text[64];
        compare(tree, &model, random_topic(&g, false, text));
        if (step % 100 == 0)
            check_tree(tree);
    }
    while (model.count)
        model_unsubscribe(tree, &model, model.count - 1);
    assert_int_equal(check_tree(tree), 0);
    gnt_tree_free(&tree);
}

static void random_lives(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        random_life(seed);
    }
}

/* ---- Several names at once find what each finds alone */

struct many {
    uint64_t sum[GNT_TREE_MANY];
    size_t count[GNT_TREE_MANY];
};

static void found_many(void *context, unsigned name, uint64_t sink,
                       const struct gnt_sub_options *options)
{
    struct many *m = context;
    m->sum[name] += sink * 1000 + options->id;
    m->count[name]++;
}

static void compare_many(const struct gnt_tree *tree, struct gnt_seeded *g)
{
    char text[GNT_TREE_MANY][64];
    struct gnt_slice names[GNT_TREE_MANY];
    unsigned count = (unsigned)(gnt_seeded_next(g) % (GNT_TREE_MANY + 1));
    for (unsigned i = 0; i < count; i++)
        names[i] = random_topic(g, false, text[i]);
    struct many together = {0};
    gnt_tree_match_many(tree, names, count, found_many, &together);
    for (unsigned i = 0; i < count; i++) {
        struct many alone = {0};
        struct hit all[SUBS_MAX];
        struct hits hits = {.all = all, .cap = SUBS_MAX};
        gnt_tree_match(tree, names[i], found, &hits);
        for (size_t n = 0; n < hits.count; n++)
            found_many(&alone, i, all[n].sink, &all[n].options);
        assert_int_equal(together.count[i], alone.count[i]);
        assert_true(together.sum[i] == alone.sum[i]);
    }
}

static void many_at_once(void **state)
{
    (void)state;
    static struct model model;
    struct gnt_seeded g;
    gnt_seeded_init(&g, 4711);
    struct gnt_tree *tree = tree_new();
    model.count = 0;
    for (int step = 0; step < 300; step++) {
        model_subscribe(tree, &model, &g);
        compare_many(tree, &g);
    }
    char *deep_name, *deep_filter;
    size_t size, filter_size;
    deep_name = repeated("a", 300, "b", &size);
    deep_filter = repeated("+", 300, "b", &filter_size);
    subscribe(tree, gnt_slice(deep_filter, filter_size), 77);
    struct gnt_slice name = gnt_slice(deep_name, size);
    struct many many = {0};
    gnt_tree_match_many(tree, &name, 1, found_many, &many);
    struct hit all[SUBS_MAX];
    struct hits hits = {.all = all, .cap = SUBS_MAX};
    gnt_tree_match(tree, name, found, &hits);
    assert_true(hits.count > 0);
    assert_int_equal(many.count[0], hits.count);
    free(deep_name);
    free(deep_filter);
    gnt_tree_free(&tree);
}

/* ---- Filters that multiply each other */

/* The NUMBERth of {a,+}/{a,+}/.../x with DEPTH levels before the x. */
static struct gnt_slice multiplying(char *out, unsigned number, unsigned depth)
{
    size_t size = 0;
    for (unsigned i = 0; i < depth; i++) {
        out[size++] = number >> i & 1 ? '+' : 'a';
        out[size++] = '/';
    }
    out[size++] = 'x';
    return gnt_slice(out, size);
}

static gnt_err try_subscribe(struct gnt_tree *tree, struct gnt_slice filter,
                             struct gnt_tree_node **node)
{
    bool existed;
    return gnt_tree_subscribe(tree, filter, 1, &(struct gnt_sub_options){0}, &existed, node);
}

static void limited(void **state)
{
    (void)state;
    enum { DEPTH = 10, LIMIT = 500 };
    static struct gnt_tree_node *nodes[1 << DEPTH];
    struct gnt_tree *tree = tree_new();
    char text[64];
    size_t refused = 0, accepted = 0, before;
    gnt_tree_limit(tree, LIMIT);
    for (unsigned i = 0; i < 1 << DEPTH; i++) {
        before = check_tree(tree);
        gnt_err err = try_subscribe(tree, multiplying(text, i, DEPTH), &nodes[i]);
        assert_true(err == GNT_OK || err == GNT_FULL);
        if (err == GNT_OK) {
            accepted++;
            continue;
        }
        refused++;
        nodes[i] = NULL;
        assert_int_equal(check_tree(tree), before); /* nothing was made */
        assert_int_equal(try_subscribe(tree, multiplying(text, i, DEPTH), &nodes[i]), GNT_FULL);
        nodes[i] = NULL;
    }
    assert_true(accepted > LIMIT / 16 && refused > 0);
    assert_true(tree->root->reach <= LIMIT);

    /* Others are not concerned: elsewhere, without `+`, or short; nor who has the filter already.
     */
    struct gnt_tree_node *others[6];
    static const char *const filters[] = {"other/+/a/+/a/+/a/+/a/+/a",
                                          "a/a/a/a/a/a/a/a/a/a/y",
                                          "a/a/a/a/a/a/a/a/a/a/a/a/a/#",
                                          "+/+/+/+/+/+/+/a",
                                          "#",
                                          "+/+/a/+/+/a/+/#"};
    for (size_t i = 0; i < COUNT_OF(filters); i++)
        assert_int_equal(try_subscribe(tree, gnt_slice_str(filters[i]), &others[i]), GNT_OK);
    check_tree(tree);
    bool existed;
    assert_int_equal(gnt_tree_subscribe(tree, multiplying(text, 0, DEPTH), 2,
                                        &(struct gnt_sub_options){0}, &existed, NULL),
                     GNT_OK);
    gnt_tree_unsubscribe(tree, gnt_tree_find(tree, multiplying(text, 0, DEPTH)), 2);

    /* And when they have gone there is room again. */
    for (size_t i = 0; i < COUNT_OF(filters); i++)
        gnt_tree_unsubscribe(tree, others[i], 1);
    for (unsigned i = 0; i < 1 << DEPTH; i++)
        if (nodes[i])
            gnt_tree_unsubscribe(tree, nodes[i], 1);
    assert_int_equal(check_tree(tree), 0);
    assert_int_equal(tree->root->reach, 1);
    assert_int_equal(tree->root->wide, 0);
    assert_int_equal(try_subscribe(tree, multiplying(text, (1 << DEPTH) - 1, DEPTH), &nodes[0]),
                     GNT_OK);
    gnt_tree_limit(tree, 1); /* what is there stays */
    assert_int_equal(check_tree(tree), DEPTH + 1);
    gnt_tree_free(&tree);
}

/* So many nodes that the table grows and shrinks several times; none is lost on the way. */
static void many_nodes(void **state)
{
    (void)state;
    enum { NODES = 50000 };
    struct gnt_tree *tree = tree_new();
    static struct gnt_tree_node *nodes[NODES];
    char text[32];
    for (int i = 0; i < NODES; i++) {
        int size = snprintf(text, sizeof text, "d/%d/t", i);
        nodes[i] = subscribe(tree, gnt_slice(text, (size_t)size), 1);
    }
    assert_int_equal(check_tree(tree), 2 * NODES + 1);
    for (int i = 0; i < NODES; i++) {
        int size = snprintf(text, sizeof text, "d/%d/t", i);
        assert_int_equal(matches(tree, gnt_slice(text, (size_t)size)), 1);
        gnt_tree_unsubscribe(tree, nodes[i], 1);
        assert_int_equal(matches(tree, gnt_slice(text, (size_t)size)), 0);
    }
    assert_int_equal(check_tree(tree), 0);
    gnt_tree_free(&tree);
}

/* ---- No memory */

/* Subscribes until all is there; returns false if an allocation failed, and then nothing has
 * changed. */
static bool subscribes_all(struct gnt_tree *tree, bool *done)
{
    for (int i = 0; i < 64; i++) {
        if (done[i])
            continue;
        char text[32];
        int size = i < 40 ? snprintf(text, sizeof text, "one/filter")
                          : snprintf(text, sizeof text, "n%d/+/x/#", i);
        bool existed = true;
        struct gnt_tree_node *node = NULL;
        gnt_err err = gnt_tree_subscribe(tree, gnt_slice(text, (size_t)size), (uint64_t)i + 1,
                                         &(struct gnt_sub_options){0}, &existed, &node);
        if (err != GNT_OK) {
            assert_int_equal(err, GNT_NOMEM);
            assert_null(node);
            assert_true(existed);
            return false;
        }
        done[i] = true;
    }
    return true;
}

static void no_memory(void **state)
{
    (void)state;
    struct gnt_tree *tree = NULL;
    long n = 0;
    for (;; n++) {
        gnt_alloc_fail_at(n);
        if (gnt_tree_new(&tree) == GNT_OK)
            break;
        assert_null(tree);
    }
    gnt_alloc_fail_at(-1);
    assert_int_equal(n, 4);
    gnt_tree_free(&tree);

    for (n = 0;; n++) {
        bool done[64] = {false};
        tree = tree_new();
        gnt_alloc_fail_at(n);
        bool all = subscribes_all(tree, done);
        uint64_t generation = gnt_tree_generation(tree);
        size_t nodes = check_tree(tree);
        gnt_alloc_fail_at(0);
        bool existed;
        assert_int_equal(gnt_tree_subscribe(tree, gnt_slice_str("not/here"), 1,
                                            &(struct gnt_sub_options){0}, &existed, NULL),
                         GNT_NOMEM);
        assert_int_equal(check_tree(tree), nodes);
        assert_int_equal(gnt_tree_generation(tree), generation);
        gnt_alloc_fail_at(-1);
        assert_true(subscribes_all(tree, done)); /* what failed can be had later */
        assert_int_equal(check_tree(tree), 2 + 24 * 4);
        gnt_tree_free(&tree);
        if (all)
            break;
    }
    assert_true(n > 24 * 4);
}

/* To end a subscription needs no memory, though it would like some to move into less. */
static void unsubscribe_without_memory(void **state)
{
    (void)state;
    enum { CROWD = 1000 };
    struct gnt_tree *tree = tree_new();
    struct gnt_slice filter = gnt_slice_str("crowd");
    struct gnt_tree_node *node = NULL, *nodes[CROWD];
    char text[32];
    for (unsigned i = 0; i < CROWD; i++) {
        node = subscribe(tree, filter, 1 + i);
        nodes[i] =
            subscribe(tree, gnt_slice(text, (size_t)snprintf(text, sizeof text, "n%u", i)), 1);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        gnt_alloc_fail_at(0);
        gnt_tree_unsubscribe(tree, node, 1 + i);
        gnt_alloc_fail_at(0);
        gnt_tree_unsubscribe(tree, nodes[i], 1);
    }
    gnt_alloc_fail_at(-1);
    assert_int_equal(check_tree(tree), 0);
    gnt_tree_free(&tree);
}

/* Whichever allocation fails while the table becomes smaller: what is left is found. */
static void shrink_without_memory(void **state)
{
    (void)state;
    enum { FILTERS = 3000, LEFT = 20 };
    struct gnt_tree_node *nodes[FILTERS];
    char text[16];
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct gnt_tree *tree = tree_new();
        for (size_t i = 0; i < FILTERS; i++)
            nodes[i] = subscribe(tree, gnt_slice(text, (size_t)sprintf(text, "%zu", i)), 1);
        gnt_alloc_fail_at(n);
        for (size_t i = LEFT; i < FILTERS; i++)
            gnt_tree_unsubscribe(tree, nodes[i], 1);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        for (size_t i = 0; i < LEFT; i++)
            assert_int_equal(matches(tree, gnt_slice(text, (size_t)sprintf(text, "%zu", i))), 1);
        assert_int_equal(check_tree(tree), LEFT);
        gnt_tree_free(&tree);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(one_sink_by_several_filters),
        cmocka_unit_test(wildcards_beside_each_other),
        cmocka_unit_test(options_change),
        cmocka_unit_test(places),
        cmocka_unit_test(sink_ids),
        cmocka_unit_test(crowd),
        cmocka_unit_test(coming_and_going),
        cmocka_unit_test(deep),
        cmocka_unit_test(random_lives),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(limited),
        cmocka_unit_test(many_nodes),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(unsubscribe_without_memory),
        cmocka_unit_test(shrink_without_memory),
    };
    return cmocka_run_group_tests(tests, rcu_group_begin, rcu_group_end);
}
