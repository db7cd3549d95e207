#include "support/unit.h"

#include "core/tree.h"

#include "base/rcu.h"
#include "support/rcu_group.h"
#include "tree_check.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    WRITERS = 2,
    READERS = 2,
    CHANGES = 20000,
    SINKS = 40,   /* of each writer */
    FILTERS = 60, /* from which it chooses */
    FIXED = 5     /* subscriptions that stay */
};

static const char *const fixed_filters[FIXED] = {"#", "a/+", "+/b", "a/b", "+/#"};
static const char fixed_topic[] = "a/b";
static const uint64_t fixed_sink = 1000000; /* and those after it */

static struct gnt_tree *tree;
static atomic_bool stop;
static _Atomic uint32_t latest; /* the identifier that the first fixed subscription has at least */

/* Sinks and identifiers agree, so that one with the options of another is seen. */
static struct gnt_sub_options options_of(uint64_t sink)
{
    return (struct gnt_sub_options){.id = (uint32_t)sink, .qos = (uint8_t)(sink % 3)};
}

/* ---- Writers: what a thread found wrong it counts, since only the main one may fail the test */

struct writer {
    unsigned number;
    unsigned long wrong;
    struct gnt_seeded random;
    struct gnt_tree_node *at[SINKS][FILTERS];
};

static void toggle(struct writer *w)
{
    size_t s = (size_t)(gnt_seeded_next(&w->random) % SINKS);
    size_t f = (size_t)(gnt_seeded_next(&w->random) % FILTERS);
    uint64_t sink = 1 + w->number * SINKS + s;
    if (w->at[s][f]) {
        gnt_tree_unsubscribe(tree, w->at[s][f], sink);
        w->at[s][f] = NULL;
        return;
    }
    char text[64];
    struct gnt_seeded choice;
    gnt_seeded_init(&choice, f % 40); /* some numbers mean one filter */
    struct gnt_slice filter = random_topic(&choice, true, text);
    struct gnt_sub_options options = options_of(sink);
    bool existed;
    struct gnt_tree_node *node;
    w->wrong += gnt_tree_subscribe(tree, filter, sink, &options, &existed, &node) != GNT_OK;
    if (existed)
        return;
    w->at[s][f] = node;
    char back[64];
    size_t size = gnt_tree_filter(node, back, sizeof back);
    w->wrong += !gnt_slice_eq(gnt_slice(back, size), filter);
}

static void retain(struct writer *w)
{
    char text[64];
    struct gnt_message_init init = {
        .topic = random_topic(&w->random, false, text),
        .payload = gnt_slice("x", gnt_seeded_next(&w->random) % 2),
        .expires = gnt_seeded_next(&w->random) % 4,
    };
    struct gnt_message *message;
    int change;
    if (gnt_message_new(&init, &message) != GNT_OK) {
        w->wrong++;
        return;
    }
    w->wrong += gnt_tree_retain(tree, message, 0, &change) != GNT_OK;
    gnt_message_unref(&message);
}

static void look_around(struct writer *w)
{
    char text[64];
    struct gnt_slice filter = random_topic(&w->random, true, text);
    struct gnt_tree_cursor cursor = {0};
    struct gnt_message *out[2];
    size_t count = 0;
    for (int calls = 0; calls < 3; calls++) {
        w->wrong += gnt_tree_retained(tree, filter, &cursor, 2, out, &count) < 0;
        for (size_t i = 0; i < count; i++)
            gnt_message_unref(&out[i]);
    }
    gnt_tree_cursor_fini(tree, &cursor);
    count = gnt_tree_sweep(tree, gnt_seeded_next(&w->random) % 3, out, 2);
    for (size_t i = 0; i < count; i++)
        gnt_message_unref(&out[i]);
}

/* The first writer also raises an identifier step by step, and says so when it is done. */
static void raise_id(struct writer *w, uint32_t id)
{
    struct gnt_sub_options options = {.id = id};
    bool existed = false;
    w->wrong += gnt_tree_subscribe(tree, gnt_slice_str(fixed_filters[0]), fixed_sink, &options,
                                   &existed, NULL) != GNT_OK;
    w->wrong += !existed;
    atomic_store_explicit(&latest, id, memory_order_release);
}

static void *write_on(void *context)
{
    struct writer *w = context;
    gnt_rcu_register();
    for (uint32_t i = 1; i <= CHANGES; i++) {
        toggle(w);
        if (i % 4 == 0)
            retain(w);
        if (i % 16 == 0)
            look_around(w);
        if (w->number == 0)
            raise_id(w, i);
        gnt_rcu_quiescent();
    }
    for (size_t s = 0; s < SINKS; s++)
        for (size_t f = 0; f < FILTERS; f++)
            if (w->at[s][f])
                gnt_tree_unsubscribe(tree, w->at[s][f], 1 + w->number * SINKS + s);
    gnt_rcu_unregister();
    return NULL;
}

/* ---- Readers */

struct reader {
    unsigned long wrong, turns;
    unsigned fixed_seen[FIXED];
    uint32_t id; /* of the first fixed subscription */
    struct gnt_seeded random;
};

static void check_found(void *context, uint64_t sink, const struct gnt_sub_options *options)
{
    struct reader *r = context;
    if (sink >= fixed_sink) {
        r->wrong += sink >= fixed_sink + FIXED;
        r->fixed_seen[(sink - fixed_sink) % FIXED]++;
        if (sink == fixed_sink)
            r->id = options->id;
        return;
    }
    struct gnt_sub_options expected = options_of(sink);
    r->wrong += sink == 0 || sink > WRITERS * SINKS || options->id != expected.id ||
                options->qos != expected.qos || options->no_local || options->retain_as_published;
}

/* What was found before is good while the generation stands. */
static void match_if_stale(struct reader *r, uint64_t *generation)
{
    uint32_t floor = atomic_load_explicit(&latest, memory_order_acquire);
    uint64_t now = gnt_tree_generation(tree);
    if (now != *generation) {
        *generation = now;
        memset(r->fixed_seen, 0, sizeof r->fixed_seen);
        gnt_tree_match(tree, gnt_slice_str(fixed_topic), check_found, r);
        for (int i = 0; i < FIXED; i++)
            r->wrong += r->fixed_seen[i] != 1;
    }
    r->wrong += r->id < floor;
}

static void *read_on(void *context)
{
    struct reader *r = context;
    uint64_t generation = UINT64_MAX;
    gnt_rcu_register();
    for (; !atomic_load(&stop); r->turns++) {
        match_if_stale(r, &generation);
        uint32_t id = r->id;
        char text[64];
        gnt_tree_match(tree, random_topic(&r->random, false, text), check_found, r);
        r->id = id;
        (void)gnt_tree_retained_count(tree);
        if (r->turns % 8 == 0)
            gnt_rcu_quiescent();
    }
    gnt_rcu_unregister();
    return NULL;
}

static void readers_and_writers(void **state)
{
    (void)state;
    static struct writer writers[WRITERS];
    static struct reader readers[READERS];
    pthread_t writing[WRITERS], reading[READERS];
    assert_int_equal(gnt_tree_new(&tree), GNT_OK);
    for (unsigned i = 0; i < FIXED; i++) {
        struct gnt_sub_options options = {0};
        bool existed;
        assert_int_equal(gnt_tree_subscribe(tree, gnt_slice_str(fixed_filters[i]), fixed_sink + i,
                                            &options, &existed, NULL),
                         GNT_OK);
    }
    for (unsigned i = 0; i < READERS; i++) {
        gnt_seeded_init(&readers[i].random, 100 + i);
        assert_int_equal(pthread_create(&reading[i], NULL, read_on, &readers[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i].number = i;
        gnt_seeded_init(&writers[i].random, 200 + i);
        assert_int_equal(pthread_create(&writing[i], NULL, write_on, &writers[i]), 0);
    }
    gnt_rcu_offline();
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writing[i], NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(reading[i], NULL);
    gnt_rcu_online();

    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(writers[i].wrong, 0);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(readers[i].wrong, 0);
        assert_true(readers[i].turns > 0);
    }
    struct reader last = {0};
    gnt_tree_match(tree, gnt_slice_str(fixed_topic), check_found, &last);
    for (int i = 0; i < FIXED; i++)
        assert_int_equal(last.fixed_seen[i], 1);
    assert_int_equal(last.id, CHANGES);
    check_tree(tree);
    gnt_tree_free(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(readers_and_writers)};
    return cmocka_run_group_tests(tests, rcu_group_begin, rcu_group_end);
}
