/* The table that finds a node's child by its level.
 *
 * One table for the whole tree, open addressed in buckets of one cache line: a child that exists
 * costs one line here, one that does not costs no more.  An entry that finds its bucket full goes
 * into a later one, and is counted in each that it passed: a search ends at the first bucket that
 * nobody passed.  So removing needs no marks, and an entry never moves while its table lives. */
#include "core/tree_node.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdlib.h>

enum {
    BUCKET_ENTRIES = 5,
    FULL = 4, /* entries per bucket on average at which the table doubles */
    MIN_BUCKETS = 8,
    SPARSE = 2 /* buckets per entry at which it shrinks */
};

struct bucket {
    _Atomic uint32_t passed;
    _Atomic uint32_t hash[BUCKET_ENTRIES]; /* 0: free */
    _Atomic(struct gnt_tree_node *) node[BUCKET_ENTRIES];
};

_Static_assert(sizeof(struct bucket) == 64 || sizeof(void *) != 8, "one cache line");

struct gnt_tree_table {
    struct gnt_rcu_head rcu;
    size_t mask; /* buckets - 1, a power of two less one */
    size_t count;
    _Alignas(64) struct bucket buckets[];
};

static uint32_t hash_of(const struct gnt_tree_node *parent, struct gnt_slice level)
{
    uint32_t hash = (uint32_t)(gnt_hash_mix(gnt_hash(level), (uintptr_t)parent) >> 16);
    return hash ? hash : 1;
}

static struct gnt_tree_table *table_new(size_t buckets)
{
    size_t size = sizeof(struct gnt_tree_table) + buckets * sizeof(struct bucket);
    struct gnt_tree_table *table = aligned_alloc(64, size);
    if (!table)
        return NULL;
    memset(table, 0, size);
    table->mask = buckets - 1;
    return table;
}

gnt_err gnt_tree_table_new(struct gnt_tree_table **out)
{
    *out = table_new(MIN_BUCKETS);
    return *out ? GNT_OK : GNT_NOMEM;
}

void gnt_tree_table_free(struct gnt_tree_table *table)
{
    free(table);
}

/* Order: an entry's node is stored before its hash, and the buckets that it passes are counted
 * before both.  A reader that sees the hash of an entry which is just being replaced may then get
 * the newer node; comparing the keys tells. */
struct gnt_tree_node *gnt_tree_table_find(const struct gnt_tree_table *table,
                                          const struct gnt_tree_node *parent,
                                          struct gnt_slice level)
{
    uint32_t hash = hash_of(parent, level);
    for (size_t n = 0; n <= table->mask; n++) {
        const struct bucket *b = &table->buckets[(hash + n) & table->mask];
        for (int i = 0; i < BUCKET_ENTRIES; i++) {
            if (atomic_load_explicit(&b->hash[i], memory_order_acquire) != hash)
                continue;
            struct gnt_tree_node *node = atomic_load_explicit(&b->node[i], memory_order_acquire);
            if (node->parent == parent && gnt_slice_eq(gnt_tree_node_level(node), level))
                return node;
        }
        if (atomic_load_explicit(&b->passed, memory_order_acquire) == 0)
            break;
    }
    return NULL;
}

static int free_entry(const struct bucket *b)
{
    for (int i = 0; i < BUCKET_ENTRIES; i++)
        if (atomic_load_explicit(&b->hash[i], memory_order_relaxed) == 0)
            return i;
    return -1;
}

static void count_passed(struct bucket *b, int n)
{
    uint32_t passed = atomic_load_explicit(&b->passed, memory_order_relaxed);
    atomic_store_explicit(&b->passed, passed + (uint32_t)n, memory_order_release);
}

static void insert(struct gnt_tree_table *table, struct gnt_tree_node *node, uint32_t hash)
{
    size_t at = hash & table->mask;
    int i;
    while ((i = free_entry(&table->buckets[at])) < 0) {
        count_passed(&table->buckets[at], 1);
        at = (at + 1) & table->mask;
    }
    struct bucket *b = &table->buckets[at];
    atomic_store_explicit(&b->node[i], node, memory_order_release);
    atomic_store_explicit(&b->hash[i], hash, memory_order_release);
    table->count++;
}

void gnt_tree_table_insert(struct gnt_tree_table *table, struct gnt_tree_node *node)
{
    insert(table, node, hash_of(node->parent, gnt_tree_node_level(node)));
}

static void reclaim(struct gnt_rcu_head *head)
{
    free(GNT_CONTAINER(head, struct gnt_tree_table, rcu));
}

/* A copy with another number of buckets takes TABLE's place; false: no memory. */
static bool replace(_Atomic(struct gnt_tree_table *) *table, size_t buckets)
{
    struct gnt_tree_table *old = atomic_load_explicit(table, memory_order_relaxed);
    struct gnt_tree_table *new = table_new(buckets);
    if (!new)
        return false;
    for (size_t at = 0; at <= old->mask; at++) {
        struct bucket *b = &old->buckets[at];
        for (int i = 0; i < BUCKET_ENTRIES; i++) {
            uint32_t hash = atomic_load_explicit(&b->hash[i], memory_order_relaxed);
            if (hash)
                insert(new, atomic_load_explicit(&b->node[i], memory_order_relaxed), hash);
        }
    }
    atomic_store_explicit(table, new, memory_order_release);
    gnt_rcu_defer(&old->rcu, reclaim);
    return true;
}

gnt_err gnt_tree_table_reserve(_Atomic(struct gnt_tree_table *) *table)
{
    struct gnt_tree_table *t = atomic_load_explicit(table, memory_order_relaxed);
    size_t buckets = t->mask + 1;
    if (t->count < buckets * FULL)
        return GNT_OK;
    return replace(table, buckets * 2) ? GNT_OK : GNT_NOMEM;
}

/* Whether NODE was in B, from which it is taken.  Its pointer stays: readers that have just seen
 * the hash go on to it. */
static bool take_from(struct bucket *b, const struct gnt_tree_node *node)
{
    for (int i = 0; i < BUCKET_ENTRIES; i++) {
        if (atomic_load_explicit(&b->hash[i], memory_order_relaxed) == 0 ||
            atomic_load_explicit(&b->node[i], memory_order_relaxed) != node)
            continue;
        atomic_store_explicit(&b->hash[i], 0, memory_order_release);
        return true;
    }
    return false;
}

void gnt_tree_table_remove(_Atomic(struct gnt_tree_table *) *table, struct gnt_tree_node *node)
{
    struct gnt_tree_table *t = atomic_load_explicit(table, memory_order_relaxed);
    size_t first = hash_of(node->parent, gnt_tree_node_level(node)) & t->mask;
    size_t at = first;
    while (!take_from(&t->buckets[at], node)) {
        GNT_ASSERT(atomic_load_explicit(&t->buckets[at].passed, memory_order_relaxed) > 0);
        at = (at + 1) & t->mask;
    }
    for (; first != at; first = (first + 1) & t->mask)
        count_passed(&t->buckets[first], -1);
    t->count--;

    /* If there is no memory for a smaller one, the large one stays. */
    size_t buckets = t->mask + 1;
    if (buckets > MIN_BUCKETS && t->count * SPARSE < buckets)
        (void)replace(table, buckets / 4 > MIN_BUCKETS ? buckets / 4 : MIN_BUCKETS);
}

void gnt_tree_table_each(const struct gnt_tree_table *table,
                         void (*each)(struct gnt_tree_node *node))
{
    for (size_t at = 0; at <= table->mask; at++) {
        const struct bucket *b = &table->buckets[at];
        for (int i = 0; i < BUCKET_ENTRIES; i++)
            if (atomic_load_explicit(&b->hash[i], memory_order_relaxed))
                each(atomic_load_explicit(&b->node[i], memory_order_relaxed));
    }
}
