#include "support/unit.h"

#include "core/tree.h"

#include "support/rcu_group.h"
#include "model/topic.h"
#include "support/alloc_fault.h"
#include "tree_check.h"

#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = 20, STEPS = 1500, MANY = 3000 };

/* Retains PAYLOAD at TOPIC, "" to clear it; returns the change. */
static int retain_until(struct gnt_tree *tree, struct gnt_slice topic, const char *payload,
                        uint64_t expires)
{
    struct gnt_message_init init = {
        .topic = topic, .payload = gnt_slice_str(payload), .retain = true, .expires = expires};
    struct gnt_message *message;
    int change = 99;
    assert_int_equal(gnt_message_new(&init, &message), GNT_OK);
    assert_int_equal(gnt_tree_retain(tree, message, 0, &change), GNT_OK);
    gnt_message_unref(&message);
    return change;
}

/* The same for a client's message, where there may be MAX of those. */
static gnt_err retain_within(struct gnt_tree *tree, const char *topic, const char *payload,
                             uint64_t publisher, uint64_t max)
{
    struct gnt_message_init init = {.topic = gnt_slice_str(topic),
                                    .payload = gnt_slice_str(payload),
                                    .retain = true,
                                    .publisher = publisher,
                                    .expires = GNT_NEVER};
    struct gnt_message *message;
    int change;
    assert_int_equal(gnt_message_new(&init, &message), GNT_OK);
    gnt_err err = gnt_tree_retain(tree, message, max, &change);
    gnt_message_unref(&message);
    return err;
}

static int retain(struct gnt_tree *tree, const char *topic, const char *payload)
{
    return retain_until(tree, gnt_slice_str(topic), payload, GNT_NEVER);
}

/* All that FILTER finds, at most MAX a call, handed to EACH. */
static size_t walk(struct gnt_tree *tree, struct gnt_slice filter, size_t max,
                   void (*each)(void *context, const struct gnt_message *message), void *context)
{
    struct gnt_tree_cursor cursor = {0};
    struct gnt_message *out[16];
    size_t total = 0, count;
    for (;;) {
        gnt_err err = gnt_tree_retained(tree, filter, &cursor, max, out, &count);
        assert_true(err == GNT_OK || (err == GNT_MORE && count == 0));
        assert_true(count <= max);
        if (err == GNT_OK && count == 0)
            break;
        for (size_t i = 0; i < count; i++) {
            if (each)
                each(context, out[i]);
            gnt_message_unref(&out[i]);
        }
        total += count;
    }
    assert_null(cursor.at);
    assert_int_equal(gnt_tree_retained(tree, filter, &cursor, max, out, &count), GNT_OK);
    assert_int_equal(count, 0); /* over is over */
    return total;
}

static size_t find(struct gnt_tree *tree, const char *filter)
{
    return walk(tree, gnt_slice_str(filter), 3, NULL, NULL);
}

static void check_payload(void *context, const struct gnt_message *message)
{
    assert_true(gnt_slice_eq_str(message->payload, context));
}

/* What the broker or its program retains does not count, and is not held up. */
static void no_more_than_there_may_be(void **state)
{
    (void)state;
    struct gnt_tree *tree = tree_new();
    assert_int_equal(retain_within(tree, "$SYS/a", "own", 0, 2), GNT_OK);
    assert_int_equal(retain_within(tree, "$SYS/b", "own", 0, 2), GNT_OK);
    assert_int_equal(retain_within(tree, "one", "x", 7, 2), GNT_OK);
    assert_int_equal(retain_within(tree, "two", "x", 8, 2), GNT_OK);
    assert_int_equal(retain_within(tree, "three", "x", 7, 2), GNT_FULL);
    assert_int_equal(gnt_tree_retained_count(tree), 4);
    assert_int_equal(retain_within(tree, "$SYS/c", "own", 0, 2), GNT_OK);
    assert_int_equal(retain_within(tree, "two", "y", 7, 2), GNT_OK); /* replaced */
    assert_int_equal(retain_within(tree, "$SYS/a", "y", 7, 2), GNT_FULL);
    assert_int_equal(retain_within(tree, "none", "", 7, 2), GNT_OK);
    assert_int_equal(retain_within(tree, "one", "", 7, 2), GNT_OK); /* removed */
    assert_int_equal(retain_within(tree, "three", "x", 7, 2), GNT_OK);
    assert_int_equal(retain_within(tree, "one", "x", 7, 2), GNT_FULL);
    assert_int_equal(retain_within(tree, "one", "x", 7, 3), GNT_OK);
    assert_int_equal(retain_within(tree, "four", "x", 7, 2), GNT_FULL); /* it has been lowered */
    assert_int_equal(gnt_tree_retained_count(tree), 6);
    (void)check_tree(tree);
    gnt_tree_free(&tree);
}

static void replaced_and_cleared(void **state)
{
    (void)state;
    struct gnt_tree *tree = tree_new();
    assert_int_equal(retain(tree, "a/b", ""), 0); /* nothing to clear, and nothing is made */
    assert_int_equal(check_tree(tree), 0);
    assert_int_equal(retain(tree, "a/b", "1"), 1);
    assert_int_equal(retain(tree, "a/b", "2"), 0);
    assert_int_equal(gnt_tree_retained_count(tree), 1);
    char expected[] = "2";
    assert_int_equal(walk(tree, gnt_slice_str("a/b"), 1, check_payload, expected), 1);
    assert_int_equal(retain(tree, "a", ""), 0); /* a level on the way has no message */
    assert_int_equal(retain(tree, "a", "x"), 1);
    assert_int_equal(retain(tree, "a/b", ""), -1);
    assert_int_equal(check_tree(tree), 1);
    assert_int_equal(retain(tree, "a", ""), -1);
    assert_int_equal(gnt_tree_retained_count(tree), 0);
    assert_int_equal(check_tree(tree), 0);
    gnt_tree_free(&tree);
}

static void filters(void **state)
{
    (void)state;
    static const char *const topics[] = {"a",     "a/b",  "a/b/c",  "a/$x", "/",    "/a",
                                         "b/b/c", "$SYS", "$SYS/a", "c//",  "c//d", "z/y/x/w"};
    static const struct {
        const char *filter;
        size_t count;
    } rows[] = {
        {"a", 1},     {"b", 0},       {"#", 10},    {"+", 1},         {"+/+", 4},  {"a/#", 4},
        {"a/+", 2},   {"+/b/c", 2},   {"+/b/#", 3}, {"$SYS/#", 2},    {"$SYS", 1}, {"$SYS/+", 1},
        {"+/a", 1},   {"/+", 2},      {"/", 1},     {"c/+/+", 2},     {"c//+", 2}, {"z/+/x/#", 1},
        {"z/y/#", 1}, {"+/+/+/+", 1}, {"+/#", 10},  {"+/+/+/+/#", 1}, {"q/#", 0},  {"a/b/c/d", 0},
    };
    struct gnt_tree *tree = tree_new();
    for (size_t i = 0; i < COUNT_OF(topics); i++)
        assert_int_equal(retain(tree, topics[i], "x"), 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (find(tree, rows[i].filter) != rows[i].count)
            fail_msg("\"%s\": %zu", rows[i].filter, find(tree, rows[i].filter));

    /* Subscriptions share the nodes and are none of a walk's business. */
    bool existed;
    struct gnt_sub_options options = {0};
    assert_int_equal(gnt_tree_subscribe(tree, gnt_slice_str("q/+/#"), 1, &options, &existed, NULL),
                     GNT_OK);
    assert_int_equal(
        gnt_tree_subscribe(tree, gnt_slice_str("a/b/c/d"), 1, &options, &existed, NULL), GNT_OK);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(find(tree, rows[i].filter), rows[i].count);
    check_tree(tree);
    gnt_tree_free(&tree);
}

/* ---- Against a list */

struct model {
    struct {
        char topic[64];
        size_t size;
        bool seen;
    } kept[256];
    size_t count;
};

static size_t model_find(const struct model *m, struct gnt_slice topic)
{
    size_t i = 0;
    while (i < m->count && !gnt_slice_eq(topic, gnt_slice(m->kept[i].topic, m->kept[i].size)))
        i++;
    return i;
}

static void model_see(void *context, const struct gnt_message *message)
{
    struct model *m = context;
    size_t i = model_find(m, message->topic);
    assert_true(i < m->count);
    assert_false(m->kept[i].seen);
    m->kept[i].seen = true;
}

static void compare(struct gnt_tree *tree, struct model *m, struct gnt_slice filter, size_t max)
{
    for (size_t i = 0; i < m->count; i++)
        m->kept[i].seen = false;
    walk(tree, filter, max, model_see, m);
    for (size_t i = 0; i < m->count; i++)
        if (m->kept[i].seen !=
            gnt_topic_matches(filter, gnt_slice(m->kept[i].topic, m->kept[i].size)))
            fail_msg("\"%.*s\" and \"%.*s\"", (int)filter.size, (const char *)filter.data,
                     (int)m->kept[i].size, m->kept[i].topic);
}

static void model_change(struct gnt_tree *tree, struct model *m, struct gnt_seeded *g, bool grows)
{
    char text[64];
    struct gnt_slice topic = random_topic(g, false, text);
    size_t i = model_find(m, topic);
    bool had = i < m->count;
    int change = retain_until(tree, topic, grows ? "x" : "", GNT_NEVER);
    assert_int_equal(change, (int)grows - (int)had);
    if (grows && !had) {
        assert_true(i < COUNT_OF(m->kept));
        memcpy(m->kept[i].topic, text, topic.size);
        m->kept[i].size = topic.size;
        m->count++;
    } else if (!grows && had) {
        m->kept[i] = m->kept[--m->count];
    }
    assert_int_equal(gnt_tree_retained_count(tree), m->count);
}

static void random_life(uint64_t seed)
{
    static struct model model;
    model.count = 0;
    struct gnt_seeded g;
    gnt_seeded_init(&g, seed);
    struct gnt_tree *tree = tree_new();
    for (int step = 0; step < STEPS; step++) {
        bool grows = gnt_seeded_next(&g) % 10 < (step / 300 % 2 ? 3 : 7) && model.count < 250;
        model_change(tree, &model, &g, grows);
        char text[64];
        compare(tree, &model, random_topic(&g, true, text), 1 + gnt_seeded_next(&g) % 16);
        if (step % 50 == 0)
            check_tree(tree);
    }
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

/* ---- Slices */

static struct gnt_slice numbered(char text[32], unsigned i)
{
    return gnt_slice(text, (size_t)snprintf(text, 32, "t/%u/%u/x", i % 50, i));
}

/* Calls until there are messages or the end; marks those that stay as seen. */
static size_t next_slice(struct gnt_tree *tree, struct gnt_slice filter,
                         struct gnt_tree_cursor *cursor, unsigned *seen)
{
    struct gnt_message *out[7];
    size_t count;
    while (gnt_tree_retained(tree, filter, cursor, COUNT_OF(out), out, &count) == GNT_MORE)
        ;
    for (size_t i = 0; i < count; i++) {
        char text[32];
        unsigned a, b;
        snprintf(text, sizeof text, "%.*s", (int)out[i]->topic.size,
                 (const char *)out[i]->topic.data);
        assert_int_equal(sscanf(text, "t/%u/%u/x", &a, &b), 2);
        seen[b]++;
        gnt_message_unref(&out[i]);
    }
    return count;
}

/* While a walk is under way half of the messages come and go, and every node near the cursor with
 * them: each that stays is seen once, and at the end nothing is left behind. */
static void changes_during_a_walk(void **state)
{
    (void)state;
    static const char *const walks[] = {"#", "t/+/+/x", "t/#", "+/+/#"};
    struct gnt_seeded g;
    gnt_seeded_init(&g, 11);
    char text[32];
    for (size_t w = 0; w < COUNT_OF(walks); w++) {
        struct gnt_tree *tree = tree_new();
        unsigned *seen = calloc(MANY, sizeof *seen);
        assert_non_null(seen);
        for (unsigned i = 0; i < MANY; i++)
            retain_until(tree, numbered(text, i), "x", GNT_NEVER);
        struct gnt_tree_cursor cursor = {0};
        while (next_slice(tree, gnt_slice_str(walks[w]), &cursor, seen) > 0) {
            for (int k = 0; k < 40; k++) { /* the odd ones come and go; so do the levels t/1/... */
                unsigned i = (unsigned)(gnt_seeded_next(&g) % MANY) | 1;
                retain_until(tree, numbered(text, i), gnt_seeded_next(&g) % 4 ? "" : "y",
                             GNT_NEVER);
            }
            check_tree(tree);
        }
        for (unsigned i = 0; i < MANY; i += 2)
            assert_int_equal(seen[i], 1);
        free(seen);
        for (unsigned i = 0; i < MANY; i++)
            retain_until(tree, numbered(text, i), "", GNT_NEVER);
        assert_int_equal(check_tree(tree), 0);
        gnt_tree_free(&tree);
    }
}

/* All is removed under a cursor; what it stands on goes when the cursor does. */
static void walks_left_early(void **state)
{
    (void)state;
    struct gnt_tree *tree = tree_new();
    char text[32];
    unsigned *seen = calloc(MANY, sizeof *seen);
    assert_non_null(seen);
    for (unsigned i = 0; i < MANY; i++)
        retain_until(tree, numbered(text, i), "x", GNT_NEVER);
    struct gnt_tree_cursor cursors[3] = {0};
    for (size_t i = 0; i < COUNT_OF(cursors); i++)
        for (size_t k = 0; k <= i; k++)
            assert_true(next_slice(tree, gnt_slice_str("t/#"), &cursors[i], seen) > 0);
    for (unsigned i = 0; i < MANY; i++)
        retain_until(tree, numbered(text, i), "", GNT_NEVER);
    size_t nodes = check_tree(tree);
    assert_in_range(nodes, 4, 1 + 3 * 3);
    assert_int_equal(next_slice(tree, gnt_slice_str("t/#"), &cursors[0], seen), 0);
    gnt_tree_cursor_fini(tree, &cursors[0]); /* after the end too */
    gnt_tree_cursor_fini(tree, &cursors[1]);
    assert_in_range(check_tree(tree), 4, 4);
    gnt_tree_cursor_fini(tree, &cursors[2]);
    gnt_tree_cursor_fini(tree, &cursors[2]);
    assert_int_equal(check_tree(tree), 0);
    free(seen);
    gnt_tree_free(&tree);
}

/* A walk through nodes without a match does not hold the lock until it finds one. */
static void slices_are_bounded(void **state)
{
    (void)state;
    struct gnt_tree *tree = tree_new();
    char text[32];
    for (unsigned i = 0; i < MANY; i++)
        retain_until(tree, numbered(text, i), "x", GNT_NEVER);
    struct gnt_tree_cursor cursor = {0};
    struct gnt_message *out;
    size_t count, more = 0;
    while (gnt_tree_retained(tree, gnt_slice_str("t/+/+/y"), &cursor, 1, &out, &count) == GNT_MORE)
        more++;
    assert_int_equal(count, 0);
    assert_in_range(more, 3, MANY);
    gnt_tree_free(&tree);
}

static void deep(void **state)
{
    (void)state;
    enum { LEVELS = 10000 };
    static char topic[2 * LEVELS], filter[2 * LEVELS];
    for (size_t i = 0; i < sizeof topic; i++) {
        topic[i] = i % 2 ? '/' : 'a';
        filter[i] = i % 2 ? '/' : '+';
    }
    struct gnt_tree *tree = tree_new();
    struct gnt_slice name = gnt_slice(topic, sizeof topic - 1);
    assert_int_equal(retain_until(tree, name, "x", GNT_NEVER), 1);
    assert_int_equal(walk(tree, name, 1, NULL, NULL), 1);
    assert_int_equal(walk(tree, gnt_slice(filter, sizeof filter - 1), 1, NULL, NULL), 1);
    assert_int_equal(walk(tree, gnt_slice(filter, sizeof filter - 3), 1, NULL, NULL), 0);
    assert_int_equal(find(tree, "#"), 1);
    assert_int_equal(find(tree, "a/+/#"), 1);
    assert_int_equal(retain_until(tree, name, "", GNT_NEVER), -1);
    assert_int_equal(check_tree(tree), 0);
    gnt_tree_free(&tree);
}

/* ---- Expiry */

static size_t sweep(struct gnt_tree *tree, uint64_t now)
{
    struct gnt_message *gone[512];
    size_t count = gnt_tree_sweep(tree, now, gone, COUNT_OF(gone));
    for (size_t i = 0; i < count; i++) {
        assert_true(gnt_message_expired(gone[i], now));
        gnt_message_unref(&gone[i]);
    }
    return count;
}

static void swept(void **state)
{
    (void)state;
    struct gnt_tree *tree = tree_new();
    char text[32];
    for (unsigned i = 0; i < MANY; i++)
        retain_until(tree, numbered(text, i), "x", i % 3 == 0 ? 100 : i % 3 == 1 ? 200 : GNT_NEVER);
    retain_until(tree, gnt_slice_str("$SYS/x"), "x", 100);
    static const struct {
        uint64_t now;
        size_t dropped;
    } rows[] = {{99, 0}, {100, MANY / 3 + 1}, {199, 0}, {500, MANY / 3}, {GNT_NEVER - 1, 0}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t dropped = 0, calls = 0;
        for (; calls < 40; calls++) { /* several rounds, and each call does a part of one */
            size_t now = sweep(tree, rows[i].now);
            assert_true(now < MANY / 3);
            dropped += now;
            check_tree(tree);
        }
        assert_int_equal(dropped, rows[i].dropped);
    }
    assert_int_equal(gnt_tree_retained_count(tree), MANY / 3);
    assert_int_equal(find(tree, "#"), MANY / 3);
    assert_int_equal(find(tree, "$SYS/x"), 0);
    for (unsigned i = 0; i < MANY; i++)
        retain_until(tree, numbered(text, i), "", GNT_NEVER);
    sweep(tree, 0); /* which takes its pin along to the end */
    assert_int_equal(check_tree(tree), 0);
    assert_int_equal(sweep(tree, 0), 0);
    gnt_tree_free(&tree);
}

/* All of a level expires at once: the sweep goes on past what it empties. */
static void swept_to_the_last(void **state)
{
    (void)state;
    struct gnt_tree *tree = tree_new();
    char text[32];
    for (unsigned i = 0; i < MANY; i++)
        retain_until(tree, numbered(text, i), "x", 5);
    size_t dropped = 0;
    for (int i = 0; i < 20; i++)
        dropped += sweep(tree, 5);
    assert_int_equal(dropped, MANY);
    assert_int_equal(gnt_tree_retained_count(tree), 0);
    assert_int_equal(check_tree(tree), 0);
    gnt_tree_free(&tree);
}

/* No more than there is room for, and the rest next time. */
static void swept_in_parts(void **state)
{
    (void)state;
    struct gnt_tree *tree = tree_new();
    struct gnt_message *gone[3];
    char text[32];
    for (unsigned i = 0; i < 10; i++)
        retain_until(tree, numbered(text, i), "x", 5);
    size_t dropped = 0;
    for (int calls = 0; calls < 5; calls++) {
        size_t count = gnt_tree_sweep(tree, 5, gone, COUNT_OF(gone));
        assert_true(count == (calls < 3 ? 3 : calls == 3));
        for (size_t i = 0; i < count; i++)
            gnt_message_unref(&gone[i]);
        dropped += count;
    }
    assert_int_equal(dropped, 10);
    assert_int_equal(check_tree(tree), 0);
    gnt_tree_free(&tree);
}

/* ---- No memory */

static void no_memory(void **state)
{
    (void)state;
    struct gnt_message_init init = {.topic = gnt_slice_str("a/b/c/d"),
                                    .payload = gnt_slice_str("x"),
                                    .expires = GNT_NEVER};
    struct gnt_message *message;
    assert_int_equal(gnt_message_new(&init, &message), GNT_OK);
    struct gnt_tree *tree = tree_new();
    retain(tree, "a/b", "x");
    long n = 0;
    for (;; n++) {
        int change;
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_tree_retain(tree, message, 0, &change);
        gnt_alloc_fail_at(-1);
        if (err == GNT_OK)
            break;
        assert_int_equal(err, GNT_NOMEM);
        assert_int_equal(gnt_tree_retained_count(tree), 1);
        assert_int_equal(check_tree(tree), 2);
    }
    assert_int_equal(n, 2); /* two levels were missing */
    gnt_alloc_fail_at(0);   /* walks, clearing and sweeps want none */
    assert_int_equal(find(tree, "#"), 2);
    sweep(tree, 0);
    gnt_alloc_fail_at(-1);
    retain(tree, "a/b", "");
    gnt_message_unref(&message);
    gnt_tree_free(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaced_and_cleared),
        cmocka_unit_test(no_more_than_there_may_be),
        cmocka_unit_test(filters),
        cmocka_unit_test(random_lives),
        cmocka_unit_test(changes_during_a_walk),
        cmocka_unit_test(walks_left_early),
        cmocka_unit_test(slices_are_bounded),
        cmocka_unit_test(deep),
        cmocka_unit_test(swept),
        cmocka_unit_test(swept_to_the_last),
        cmocka_unit_test(swept_in_parts),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, rcu_group_begin, rcu_group_end);
}
