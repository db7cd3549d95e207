/* What the topic tree costs for each item, small and large: ten thousand and a million
 * subscriptions or retained messages, topics of one level and of a hundred, and filters that are
 * made to hurt.  In process, on the real core; prints one JSON object a row, for script/growth.
 *
 * Costs are CPU time of this thread.  A small and a large tree exist side by side and are measured
 * in turns, a chunk each, so that both meet the same noise; the median of the chunks counts. */
#include "base/rcu.h"
#include "core/tree.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    SMALL = 10000,
    LARGE = 1000000,
    CHUNK = 20000, /* operations between two looks at the clock */
    CHUNKS = 31,
    WALK_SLICE = 64,
    NAME_MAX_BYTES = 1024
};

static void need(bool good)
{
    if (!good) {
        fputs("growth: failed\n", stderr);
        exit(1);
    }
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Resident memory, after what is free was given back. */
static size_t memory_bytes(void)
{
    unsigned long size, resident;
    malloc_trim(0);
    FILE *f = fopen("/proc/self/statm", "r");
    need(f && fscanf(f, "%lu %lu", &size, &resident) == 2);
    fclose(f);
    return resident * 4096;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

static void row(const char *name, double small, double large)
{
    printf("{\"row\": \"%s\", \"small\": %.2f, \"large\": %.2f}\n", name, small, large);
    fflush(stdout);
}

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 32) * n >> 32);
}

/* ---- Shapes of filters, and the names that match them: one filter each */

static size_t put(char *out, const char *format, uint32_t i)
{
    return (size_t)snprintf(out, NAME_MAX_BYTES, format, i / 1000, i % 1000, i);
}

struct shape {
    const char *name, *filter, *topic;
};

static const struct shape shapes[] = {
    {"exact", "site/%1$u/device/%2$u/state", "site/%1$u/device/%2$u/state"},
    {"wild", "+/%1$u/+/%2$u/#", "site/%1$u/device/%2$u/state"},
};

/* Numbers below N in an order that jumps about: 7919 divides no power of ten. */
static uint32_t shuffled(uint32_t i, uint32_t n)
{
    return (uint32_t)((uint64_t)i * 7919 % n);
}

struct world {
    const struct shape *shape;
    struct gnt_tree *tree;
    uint32_t count;
    struct gnt_tree_node **nodes;
    double bytes_each, subscribe_ns, slowest_us;
};

static struct gnt_slice filter_of(const struct world *w, uint32_t i, char *out)
{
    return gnt_slice(out, put(out, w->shape->filter, i));
}

/* In steps of STEP: their median is not disturbed by what came between, and the slowest one shows
 * what a single subscription may have had to wait for. */
enum {
    STEP = 50,
    /* Clients subscribe more slowly than this loop: in the time that these take them, the thread
     * that reclaims has long done its work. */
    BREATH = 5000
};

static void world_subscribe(struct world *w)
{
    char text[NAME_MAX_BYTES];
    const struct gnt_sub_options options = {.qos = 1};
    uint64_t total = 0, slowest = 0;
    size_t before = memory_bytes();
    for (uint32_t i = 0; i < w->count; i += STEP) {
        uint64_t start = cpu_ns();
        for (uint32_t n = i; n < i + STEP; n++) {
            uint32_t k = shuffled(n, w->count);
            struct gnt_slice filter = filter_of(w, k, text);
            bool existed;
            need(gnt_tree_subscribe(w->tree, filter, k + 1, &options, &existed, &w->nodes[k]) ==
                 GNT_OK);
        }
        uint64_t took = cpu_ns() - start;
        total += took;
        slowest = took > slowest ? took : slowest;
        gnt_rcu_quiescent();
        if (i % BREATH == 0)
            gnt_rcu_barrier();
    }
    gnt_rcu_barrier();
    w->bytes_each = ((double)memory_bytes() - (double)before) / w->count;
    w->subscribe_ns = (double)total / w->count;
    w->slowest_us = (double)slowest / 1e3;
}

static struct world *world_new(const struct shape *shape, uint32_t count)
{
    struct world *w = calloc(1, sizeof *w);
    need(w != NULL);
    w->shape = shape;
    w->count = count;
    w->nodes = calloc(count, sizeof *w->nodes);
    need(w->nodes && gnt_tree_new(&w->tree) == GNT_OK);
    memset(w->nodes, 1, count * sizeof *w->nodes);
    world_subscribe(w);
    return w;
}

/* The CPU time that each unsubscribing took. */
static double world_free(struct world *w)
{
    uint64_t start = cpu_ns();
    for (uint32_t i = 0; i < w->count; i++) {
        uint32_t k = shuffled(i, w->count);
        gnt_tree_unsubscribe(w->tree, w->nodes[k], k + 1);
        if (i % 64 == 0)
            gnt_rcu_quiescent();
    }
    double each = (double)(cpu_ns() - start) / w->count;
    gnt_rcu_barrier();
    gnt_tree_free(&w->tree);
    free(w->nodes);
    free(w);
    return each;
}

/* ---- Matching */

static uint64_t hits;

static void on_found(void *context, uint64_t sink, const struct gnt_sub_options *options)
{
    (void)context, (void)sink, (void)options;
    hits++;
}

/* Names of one chunk, written before the clock is looked at. */
static char names[CHUNK][48];
static struct gnt_slice topics[CHUNK];

static void choose_names(const struct world *w, uint32_t among)
{
    for (uint32_t i = 0; i < CHUNK; i++) {
        uint32_t k = shuffled(random_below(among), w->count);
        topics[i] = gnt_slice(names[i], put(names[i], w->shape->topic, k));
    }
}

static void match_alone(const struct world *w)
{
    for (uint32_t i = 0; i < CHUNK; i++)
        gnt_tree_match(w->tree, topics[i], on_found, NULL);
}

static void on_found_many(void *context, unsigned name, uint64_t sink,
                          const struct gnt_sub_options *options)
{
    (void)name;
    on_found(context, sink, options);
}

static void match_many(const struct world *w)
{
    for (uint32_t i = 0; i < CHUNK; i += GNT_TREE_MANY)
        gnt_tree_match_many(w->tree, topics + i, GNT_TREE_MANY, on_found_many, NULL);
}

static double match_chunk(const struct world *w, uint32_t among, void (*run)(const struct world *w))
{
    choose_names(w, among);
    hits = 0;
    uint64_t start = cpu_ns();
    run(w);
    double each = (double)(cpu_ns() - start) / CHUNK;
    need(hits == CHUNK);
    return each;
}

static void measure_matching(const char *what, const struct world *small, const struct world *large,
                             uint32_t among_large, void (*run)(const struct world *w))
{
    double a[CHUNKS], b[CHUNKS];
    char name[64];
    for (int i = 0; i < CHUNKS; i++) {
        if (i % 8 == 0) { /* and let both into the cache again, as far as they go */
            (void)match_chunk(small, SMALL, run);
        }
        a[i] = match_chunk(small, SMALL, run);
        b[i] = match_chunk(large, among_large, run);
    }
    snprintf(name, sizeof name, "%s %s", what, small->shape->name);
    row(name, median(a, CHUNKS), median(b, CHUNKS));
}

static void subscriptions(void)
{
    char name[64];
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        enum { TIMES = 9 };
        double subscribe[TIMES], unsubscribe[TIMES], slowest = 0;
        struct world *small = NULL, *large = world_new(&shapes[s], LARGE);
        for (int i = 0; i < TIMES; i++) {
            small = world_new(&shapes[s], SMALL);
            subscribe[i] = small->subscribe_ns;
            slowest = small->slowest_us;
            unsubscribe[i] = world_free(small);
        }
        small = world_new(&shapes[s], SMALL);
        snprintf(name, sizeof name, "subscribe %s", shapes[s].name);
        row(name, median(subscribe, TIMES), large->subscribe_ns);
        snprintf(name, sizeof name, "slowest subscribe %s", shapes[s].name);
        row(name, slowest, large->slowest_us);
        snprintf(name, sizeof name, "bytes %s", shapes[s].name);
        row(name, small->bytes_each, large->bytes_each);
        measure_matching("match same set", small, large, SMALL, match_alone);
        measure_matching("match many", small, large, LARGE, match_many);
        measure_matching("match alone", small, large, LARGE, match_alone);
        (void)world_free(small);
        double each = world_free(large);
        snprintf(name, sizeof name, "unsubscribe %s", shapes[s].name);
        row(name, median(unsubscribe, TIMES), each);
    }
}

/* ---- Retained messages */

struct retained {
    double store_ns, bytes_each, replace_ns, walk_ns, slice_us, other_slice_us;
};

static void retain(struct gnt_tree *tree, uint32_t k)
{
    char text[NAME_MAX_BYTES];
    int change;
    struct gnt_message *message;
    struct gnt_message_init init = {
        .topic = gnt_slice(text, put(text, shapes[0].topic, k)),
        .payload = gnt_slice_str("21.5"),
        .retain = true,
        .expires = UINT64_MAX,
    };
    need(gnt_message_new(&init, &message) == GNT_OK);
    need(gnt_tree_retain(tree, message, 0, &change) == GNT_OK);
    gnt_message_unref(&message);
}

/* Walks as a session does; returns how many were found.  *slowest_ns: the longest slice. */
static uint64_t walk(struct gnt_tree *tree, const char *filter, uint64_t *slowest_ns)
{
    struct gnt_tree_cursor cursor = {0};
    uint64_t found = 0;
    for (bool over = false; !over;) {
        uint64_t start = cpu_ns();
        for (int steps = 0; steps < WALK_SLICE && !over; steps++) {
            struct gnt_message *message;
            size_t count;
            gnt_err err =
                gnt_tree_retained(tree, gnt_slice_str(filter), &cursor, 1, &message, &count);
            over = err == GNT_OK && count == 0;
            found += count;
            if (count)
                gnt_message_unref(&message);
        }
        uint64_t took = cpu_ns() - start;
        *slowest_ns = took > *slowest_ns ? took : *slowest_ns;
        gnt_rcu_quiescent();
    }
    return found;
}

static void measure_retained(uint32_t count, struct retained *r)
{
    struct gnt_tree *tree;
    need(gnt_tree_new(&tree) == GNT_OK);
    size_t before = memory_bytes();
    uint64_t start = cpu_ns(), slowest = 0;
    for (uint32_t i = 0; i < count; i++) {
        retain(tree, shuffled(i, count));
        gnt_rcu_quiescent();
    }
    r->store_ns = (double)(cpu_ns() - start) / count;
    r->bytes_each = ((double)memory_bytes() - (double)before) / count;
    start = cpu_ns();
    for (uint32_t i = 0; i < count; i++)
        retain(tree, shuffled(i, count));
    r->replace_ns = (double)(cpu_ns() - start) / count;
    start = cpu_ns();
    need(walk(tree, "site/#", &slowest) == count);
    r->walk_ns = (double)(cpu_ns() - start) / count;
    r->slice_us = (double)slowest / 1e3;
    slowest = 0;
    need(walk(tree, "+/+/+/+/other", &slowest) == 0);
    r->other_slice_us = (double)slowest / 1e3;
    gnt_tree_free(&tree);
    gnt_rcu_barrier();
}

#define RETAINED_ROW(title, field)                 \
    do {                                           \
        double v[TIMES];                           \
        for (int n = 0; n < TIMES; n++)            \
            v[n] = small[n].field;                 \
        row(title, median(v, TIMES), large.field); \
    } while (0)

static void retained_messages(void)
{
    enum { TIMES = 9 };
    struct retained first, small[TIMES], large;
    measure_retained(SMALL, &first); /* before there are spare blocks, which take no new memory */
    measure_retained(LARGE, &large);
    for (int i = 0; i < TIMES; i++)
        measure_retained(SMALL, &small[i]);
    RETAINED_ROW("retain new", store_ns);
    RETAINED_ROW("retain again", replace_ns);
    RETAINED_ROW("retained walk", walk_ns);
    row("retained bytes", first.bytes_each, large.bytes_each);
    RETAINED_ROW("retained slowest slice", slice_us);
    RETAINED_ROW("retained slowest slice, no match", other_slice_us);
}

/* ---- Depth */

static struct gnt_slice levels(char *out, const char *level, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += (size_t)snprintf(out + size, NAME_MAX_BYTES - size, "%s%s", i ? "/" : "", level);
    return gnt_slice(out, size);
}

/* Per level: subscribing and unsubscribing, matching, bytes. */
static void measure_depth(const char *level, int depth, double *subscribe, double *match,
                          double *bytes)
{
    enum { TIMES = 2000, FILTERS = 50 };
    char text[NAME_MAX_BYTES], topic[NAME_MAX_BYTES];
    struct gnt_tree *tree;
    need(gnt_tree_new(&tree) == GNT_OK);
    const struct gnt_sub_options options = {0};
    bool existed;
    struct gnt_slice filter = levels(text, level, depth), name = levels(topic, "level", depth);
    struct gnt_tree_node *node;
    size_t before = heap_bytes();
    need(gnt_tree_subscribe(tree, filter, 1, &options, &existed, &node) == GNT_OK);
    *bytes = (double)(heap_bytes() - before) / depth;
    uint64_t start = cpu_ns();
    for (int i = 0; i < TIMES; i++)
        gnt_tree_match(tree, name, on_found, NULL);
    *match = (double)(cpu_ns() - start) / TIMES / depth;
    gnt_tree_unsubscribe(tree, node, 1);
    gnt_rcu_barrier();
    start = cpu_ns();
    for (int i = 0; i < FILTERS; i++) {
        need(gnt_tree_subscribe(tree, filter, 1, &options, &existed, &node) == GNT_OK);
        gnt_tree_unsubscribe(tree, node, 1);
        gnt_rcu_quiescent();
    }
    *subscribe = (double)(cpu_ns() - start) / FILTERS / depth;
    gnt_tree_free(&tree);
    gnt_rcu_barrier();
}

static void depths(void)
{
    static const char *const kinds[] = {"level", "+"};
    for (int k = 0; k < 2; k++) {
        double v[2][3][CHUNKS], once[3];
        char name[64];
        for (int i = 0; i < CHUNKS; i++)
            for (int large = 0; large < 2; large++) {
                measure_depth(kinds[k], large ? 100 : 1, &once[0], &once[1], &once[2]);
                for (int f = 0; f < 3; f++)
                    v[large][f][i] = once[f];
            }
        static const char *const figures[] = {"depth subscribe", "depth match", "depth bytes"};
        for (int f = 0; f < 3; f++) {
            snprintf(name, sizeof name, "%s %s", figures[f], k ? "wild" : "exact");
            row(name, median(v[0][f], CHUNKS), median(v[1][f], CHUNKS));
        }
    }
}

/* ---- Filters that are made to hurt: most nodes reached, nothing matched */

struct hostile {
    const char *name;
    int depth;
    /* The level for the bit of NUMBER; and the last one, which the topic does not have. */
    const char *zero, *one, *last;
};

static const struct hostile hostiles[] = {
    {"all of {a,+}/.../x, 8 levels", 7, "a", "+", "x"},
    {"all of {a,+}/.../x, 12 levels", 11, "a", "+", "x"},
    {"all of {a,+}/.../x, 17 levels", 16, "a", "+", "x"},
    {"all of {a,+}/.../x/#, 17 levels", 16, "a", "+", "x/#"},
};

static double measure_hostile(const struct hostile *h, uint32_t limit, double *refused)
{
    struct gnt_tree *tree;
    need(gnt_tree_new(&tree) == GNT_OK);
    gnt_tree_limit(tree, limit);
    const struct gnt_sub_options options = {0};
    char text[NAME_MAX_BYTES];
    uint32_t all = 1u << h->depth, full = 0;
    for (uint32_t n = 0; n < all; n++) {
        size_t size = 0;
        for (int i = 0; i < h->depth; i++)
            size += (size_t)snprintf(text + size, sizeof text - size, "%s/",
                                     n >> i & 1 ? h->one : h->zero);
        size += (size_t)snprintf(text + size, sizeof text - size, "%s", h->last);
        bool existed;
        gnt_err err = gnt_tree_subscribe(tree, gnt_slice(text, size), 1, &options, &existed, NULL);
        need(err == GNT_OK || err == GNT_FULL);
        full += err == GNT_FULL;
        gnt_rcu_quiescent();
    }
    *refused = (double)full * 100 / all;
    double v[CHUNKS];
    struct gnt_slice name = levels(text, "a", h->depth + 1);
    hits = 0;
    for (int i = 0; i < CHUNKS; i++) {
        uint64_t start = cpu_ns();
        gnt_tree_match(tree, name, on_found, NULL);
        v[i] = (double)(cpu_ns() - start) / 1e3;
    }
    need(hits == 0);
    gnt_tree_free(&tree);
    gnt_rcu_barrier();
    return median(v, CHUNKS);
}

static void hostile_filters(uint32_t limit)
{
    for (size_t i = 0; i < sizeof hostiles / sizeof hostiles[0]; i++) {
        double refused[2];
        double without = measure_hostile(&hostiles[i], 0, &refused[0]);
        double with = measure_hostile(&hostiles[i], limit, &refused[1]);
        printf("{\"hostile\": \"%s\", \"unlimited_us\": %.1f, \"limited_us\": %.1f, "
               "\"refused_percent\": %.1f}\n",
               hostiles[i].name, without, with, refused[1]);
        fflush(stdout);
    }
}

/* Memory that the system has never given to anybody costs more when it is first touched, in a
 * virtual machine most of all: that is not to be counted as the tree's. */
static void touch_memory(void)
{
    size_t size = (size_t)768 << 20;
    void *memory = malloc(size);
    need(memory != NULL);
    memset(memory, 1, size);
    __asm__ volatile("" : : "r"(memory) : "memory");
    free(memory);
}

int main(int argc, char **argv)
{
    touch_memory();
    const char *only = argc > 1 ? argv[1] : "";
    uint32_t limit = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 2000;
    gnt_rcu_register();
    if (!*only || strchr(only, 's'))
        subscriptions();
    if (!*only || strchr(only, 'r'))
        retained_messages();
    if (!*only || strchr(only, 'd'))
        depths();
    if (!*only || strchr(only, 'h'))
        hostile_filters(limit);
    gnt_rcu_unregister();
    return 0;
}
