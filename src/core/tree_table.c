/* The table that finds a node by its key.
 *
 * One table for the whole tree, in segments of a bounded size: a directory is indexed by the first
 * bits of a key.  A segment that is full is followed by two of the same size, each with half of its
 * entries, and the directory by one of twice the size when a segment needs one bit more than it
 * has.  So growing never means to copy all nodes at once, whoever waits for it, and what the table
 * takes for each node does not depend on how many there are.
 *
 * A segment is open addressed in buckets of one cache line: a node that exists costs one line here,
 * one that does not costs no more.  An entry that finds its bucket full goes into a later one, and
 * is counted in each that it passed: a search ends at the first bucket that nobody passed.  So
 * removing needs no marks, and an entry never moves while its segment lives. */
#include "core/tree_node.h"

#include "base/assert.h"
#include "base/slab.h"

#include <stdlib.h>

enum {
    BUCKET_ENTRIES = 5,
    FULL = 4, /* entries per bucket on average at which a segment is followed by larger ones */
    MIN_BUCKETS = 8,
    MAX_BUCKETS = 256, /* of a segment, 16 KiB */
    SPARSE = 2,        /* buckets per entry at which a segment shrinks */
    BUCKET_BITS = 8,   /* of a tag: which bucket of a segment of the largest size */
    MAX_BITS = 32 - BUCKET_BITS,
    SLAB_BITS = 5 /* of segments that come from slabs: 64 of them are half a slab */
};

_Static_assert(1 << BUCKET_BITS == MAX_BUCKETS, "the directory and the buckets use different bits");

struct bucket {
    _Atomic uint32_t passed;
    _Atomic uint32_t tag[BUCKET_ENTRIES]; /* 0: free */
    _Atomic(struct gnt_tree_node *) node[BUCKET_ENTRIES];
};

_Static_assert(sizeof(struct bucket) == 64 || sizeof(void *) != 8, "one cache line");

struct segment {
    struct gnt_rcu_head rcu;
    uint32_t mask;  /* buckets - 1, a power of two less one */
    uint32_t count; /* of entries */
    unsigned bits;  /* the first ones of the tag, in which all its entries agree */
    _Alignas(64) struct bucket buckets[];
};

/* The directory. */
struct gnt_tree_table {
    struct gnt_rcu_head rcu;
    unsigned bits;    /* of a tag, by which it is indexed */
    uint32_t deepest; /* segments that need all of them */
    _Atomic(struct segment *)
        segment[]; /* 1 << bits; segments that need less are there repeatedly */
};

/* Never 0. */
static uint32_t tag_of(uint32_t key)
{
    return key ? key : 1;
}

static size_t first_bits(uint32_t tag, unsigned bits)
{
    return (size_t)((uint64_t)tag >> (32 - bits));
}

static struct segment *segment_of(const struct gnt_tree_table *table, uint32_t tag)
{
    return atomic_load_explicit(&table->segment[first_bits(tag, table->bits)],
                                memory_order_acquire);
}

/* Buckets - 1.  Where the directory has several entries, all segments are of the largest size, and
 * S, which may not be in the cache, is not asked. */
static uint32_t mask_of(const struct gnt_tree_table *table, const struct segment *s)
{
    return table->bits ? MAX_BUCKETS - 1 : s->mask;
}

/* Segments of the largest size, of large tables. */
static struct gnt_slabs slabs =
    GNT_SLABS_INIT(sizeof(struct segment) + MAX_BUCKETS * sizeof(struct bucket));

static struct segment *segment_new(uint32_t buckets, unsigned bits)
{
    size_t size = sizeof(struct segment) + buckets * sizeof(struct bucket);
    struct segment *s = bits > SLAB_BITS ? gnt_slab_get(&slabs) : aligned_alloc(64, size);
    if (!s)
        return NULL;
    memset(s, 0, size);
    s->mask = buckets - 1;
    s->bits = bits;
    return s;
}

static void segment_free(struct segment *s)
{
    if (s && s->bits > SLAB_BITS)
        gnt_slab_put(s);
    else
        free(s);
}

static struct gnt_tree_table *directory_new(unsigned bits)
{
    struct gnt_tree_table *table = malloc(sizeof *table + (sizeof table->segment[0] << bits));
    if (table)
        *table = (struct gnt_tree_table){.bits = bits};
    return table;
}

gnt_err gnt_tree_table_new(struct gnt_tree_table **out)
{
    struct segment *s = segment_new(MIN_BUCKETS, 0);
    struct gnt_tree_table *table = s ? directory_new(0) : NULL;
    if (!table) {
        free(s);
        return GNT_NOMEM;
    }
    table->deepest = 1;
    atomic_init(&table->segment[0], s);
    *out = table;
    return GNT_OK;
}

/* Calls EACH once for each segment. */
static void each_segment(const struct gnt_tree_table *table,
                         void (*each)(struct segment *s, void *context), void *context)
{
    for (size_t i = 0; i < (size_t)1 << table->bits;) {
        struct segment *s = atomic_load_explicit(&table->segment[i], memory_order_relaxed);
        i += (size_t)1 << (table->bits - s->bits);
        each(s, context);
    }
}

static void free_segment(struct segment *s, void *context)
{
    (void)context;
    segment_free(s);
}

void gnt_tree_table_free(struct gnt_tree_table *table)
{
    each_segment(table, free_segment, NULL);
    free(table);
}

bool gnt_tree_table_large(const struct gnt_tree_table *table)
{
    return table->bits >= GNT_TREE_LARGE_BITS;
}

/* ---- Finding */

void gnt_tree_table_fetch(const struct gnt_tree_table *table, uint32_t key)
{
    uint32_t tag = tag_of(key);
    const struct segment *s = segment_of(table, tag);
    __builtin_prefetch(&s->buckets[tag & mask_of(table, s)]);
}

void gnt_tree_table_fetch_count(const struct gnt_tree_table *table, uint32_t key)
{
    __builtin_prefetch(segment_of(table, tag_of(key)), 1);
}

const struct gnt_tree_node *gnt_tree_table_guess(const struct gnt_tree_table *table, uint32_t key)
{
    uint32_t tag = tag_of(key);
    const struct segment *s = segment_of(table, tag);
    const struct bucket *b = &s->buckets[tag & mask_of(table, s)];
    for (int i = 0; i < BUCKET_ENTRIES; i++)
        if (atomic_load_explicit(&b->tag[i], memory_order_acquire) == tag)
            return atomic_load_explicit(&b->node[i], memory_order_acquire);
    return NULL;
}

/* Order: an entry's node is stored before its tag, and the buckets that it passes are counted
 * before both.  A reader that sees the tag of an entry which is just being replaced may then get
 * the newer node; comparing tells. */
struct gnt_tree_node *gnt_tree_table_find(const struct gnt_tree_table *table, uint32_t key,
                                          const struct gnt_tree_node *parent,
                                          struct gnt_slice level)
{
    uint32_t tag = tag_of(key);
    const struct segment *s = segment_of(table, tag);
    uint32_t mask = mask_of(table, s);
    for (uint32_t n = 0; n <= mask; n++) {
        const struct bucket *b = &s->buckets[(tag + n) & mask];
        for (int i = 0; i < BUCKET_ENTRIES; i++) {
            if (atomic_load_explicit(&b->tag[i], memory_order_acquire) != tag)
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

/* ---- Adding */

static int free_entry(const struct bucket *b)
{
    for (int i = 0; i < BUCKET_ENTRIES; i++)
        if (atomic_load_explicit(&b->tag[i], memory_order_relaxed) == 0)
            return i;
    return -1;
}

static void count_passed(struct bucket *b, int n)
{
    uint32_t passed = atomic_load_explicit(&b->passed, memory_order_relaxed);
    atomic_store_explicit(&b->passed, passed + (uint32_t)n, memory_order_release);
}

static void insert(struct segment *s, struct gnt_tree_node *node, uint32_t tag)
{
    uint32_t at = tag & s->mask;
    int i;
    while ((i = free_entry(&s->buckets[at])) < 0) {
        count_passed(&s->buckets[at], 1);
        at = (at + 1) & s->mask;
    }
    struct bucket *b = &s->buckets[at];
    atomic_store_explicit(&b->node[i], node, memory_order_release);
    atomic_store_explicit(&b->tag[i], tag, memory_order_release);
    s->count++;
}

void gnt_tree_table_insert(struct gnt_tree_table *table, struct gnt_tree_node *node)
{
    uint32_t tag = tag_of(node->key);
    insert(segment_of(table, tag), node, tag);
}

/* Those entries of FROM whose tag has the bits WANTED, of those that MASK has. */
static void copy(struct segment *to, const struct segment *from, uint32_t mask, uint32_t wanted)
{
    for (uint32_t at = 0; at <= from->mask; at++) {
        const struct bucket *b = &from->buckets[at];
        for (int i = 0; i < BUCKET_ENTRIES; i++) {
            uint32_t tag = atomic_load_explicit(&b->tag[i], memory_order_relaxed);
            if (tag && (tag & mask) == wanted)
                insert(to, atomic_load_explicit(&b->node[i], memory_order_relaxed), tag);
        }
    }
}

static void reclaim_segment(struct gnt_rcu_head *head)
{
    segment_free(GNT_CONTAINER(head, struct segment, rcu));
}

static void reclaim_directory(struct gnt_rcu_head *head)
{
    free(GNT_CONTAINER(head, struct gnt_tree_table, rcu));
}

/* S is where TAG belongs from now on, wherever its bits say so. */
static void put_segment(struct gnt_tree_table *table, struct segment *s, uint32_t tag)
{
    size_t times = (size_t)1 << (table->bits - s->bits);
    size_t first = first_bits(tag, table->bits) & ~(times - 1);
    for (size_t i = first; i < first + times; i++)
        atomic_store_explicit(&table->segment[i], s, memory_order_release);
}

/* A directory indexed by one bit more or less takes TABLE's place. */
static struct gnt_tree_table *redirect(_Atomic(struct gnt_tree_table *) *table, unsigned bits)
{
    struct gnt_tree_table *old = atomic_load_explicit(table, memory_order_relaxed);
    struct gnt_tree_table *new = directory_new(bits);
    if (!new)
        return NULL;
    for (size_t i = 0; i < (size_t)1 << bits; i++) {
        size_t from = bits > old->bits ? i >> 1 : i << 1;
        struct segment *s = atomic_load_explicit(&old->segment[from], memory_order_relaxed);
        atomic_init(&new->segment[i], s);
        new->deepest += s->bits == bits;
    }
    atomic_store_explicit(table, new, memory_order_release);
    gnt_rcu_defer(&old->rcu, reclaim_directory);
    return new;
}

/* A segment of another size takes the place of the only one. */
static gnt_err resize(struct gnt_tree_table *table, struct segment *old, uint32_t buckets)
{
    struct segment *s = segment_new(buckets, old->bits);
    if (!s)
        return GNT_NOMEM;
    copy(s, old, 0, 0);
    put_segment(table, s, 0);
    gnt_rcu_defer(&old->rcu, reclaim_segment);
    return GNT_OK;
}

/* Two segments take the place of OLD, to which TAG belongs. */
static gnt_err split(_Atomic(struct gnt_tree_table *) *place, struct segment *old, uint32_t tag)
{
    struct gnt_tree_table *table = atomic_load_explicit(place, memory_order_relaxed);
    unsigned bits = old->bits + 1;
    if (bits > MAX_BITS)
        return GNT_NOMEM;
    struct segment *low = segment_new(MAX_BUCKETS, bits), *high = segment_new(MAX_BUCKETS, bits);
    if (low && high && bits > table->bits)
        table = redirect(place, bits);
    if (!low || !high || !table) {
        segment_free(low);
        segment_free(high);
        return GNT_NOMEM;
    }
    uint32_t bit = UINT32_C(1) << (32 - bits);
    copy(low, old, bit, 0);
    copy(high, old, bit, bit);
    put_segment(table, low, tag & ~bit);
    put_segment(table, high, tag | bit);
    if (bits == table->bits)
        table->deepest += 2;
    gnt_rcu_defer(&old->rcu, reclaim_segment);
    return GNT_OK;
}

gnt_err gnt_tree_table_reserve(_Atomic(struct gnt_tree_table *) *place, uint32_t key)
{
    uint32_t tag = tag_of(key);
    for (;;) {
        struct gnt_tree_table *table = atomic_load_explicit(place, memory_order_relaxed);
        struct segment *s = segment_of(table, tag);
        uint32_t buckets = s->mask + 1;
        if (s->count < buckets * FULL)
            return GNT_OK;
        gnt_err err = buckets < MAX_BUCKETS ? resize(table, s, buckets * 2) : split(place, s, tag);
        if (err)
            return err;
    }
}

/* ---- Removing */

/* Whether NODE was in B, from which it is taken.  Its pointer stays: readers that have just seen
 * the tag go on to it. */
static bool take_from(struct bucket *b, const struct gnt_tree_node *node)
{
    for (int i = 0; i < BUCKET_ENTRIES; i++) {
        if (atomic_load_explicit(&b->tag[i], memory_order_relaxed) == 0 ||
            atomic_load_explicit(&b->node[i], memory_order_relaxed) != node)
            continue;
        atomic_store_explicit(&b->tag[i], 0, memory_order_release);
        return true;
    }
    return false;
}

/* One segment takes the place of S and the one that it was split from, if both are sparse; then the
 * directory may need less bits.  If there is no memory for what is smaller, what is larger stays.
 */
static void join(_Atomic(struct gnt_tree_table *) *place, struct segment *s, uint32_t tag)
{
    struct gnt_tree_table *table = atomic_load_explicit(place, memory_order_relaxed);
    uint32_t bit = UINT32_C(1) << (32 - s->bits);
    struct segment *other = segment_of(table, tag ^ bit);
    if (other->bits != s->bits || (s->count + other->count) * SPARSE > MAX_BUCKETS)
        return;
    struct segment *joined = segment_new(MAX_BUCKETS, s->bits - 1);
    if (!joined)
        return;
    copy(joined, s, 0, 0);
    copy(joined, other, 0, 0);
    put_segment(table, joined, tag);
    if (s->bits == table->bits)
        table->deepest -= 2;
    if (table->deepest == 0)
        (void)redirect(place, table->bits - 1);
    gnt_rcu_defer(&s->rcu, reclaim_segment);
    gnt_rcu_defer(&other->rcu, reclaim_segment);
}

void gnt_tree_table_remove(_Atomic(struct gnt_tree_table *) *place, struct gnt_tree_node *node)
{
    struct gnt_tree_table *table = atomic_load_explicit(place, memory_order_relaxed);
    uint32_t tag = tag_of(node->key);
    struct segment *s = segment_of(table, tag);
    uint32_t first = tag & s->mask, at = first;
    while (!take_from(&s->buckets[at], node)) {
        GNT_ASSERT(atomic_load_explicit(&s->buckets[at].passed, memory_order_relaxed) > 0);
        at = (at + 1) & s->mask;
    }
    for (; first != at; first = (first + 1) & s->mask)
        count_passed(&s->buckets[first], -1);
    s->count--;

    uint32_t buckets = s->mask + 1;
    if (s->count * SPARSE > buckets)
        return;
    if (s->bits)
        join(place, s, tag);
    else if (buckets > MIN_BUCKETS && table->bits == 0)
        (void)resize(table, s, buckets / 4 > MIN_BUCKETS ? buckets / 4 : MIN_BUCKETS);
}

/* ---- All */

static void each_node(struct segment *s, void *context)
{
    void (*const *each)(struct gnt_tree_node * node) = context;
    for (uint32_t at = 0; at <= s->mask; at++) {
        const struct bucket *b = &s->buckets[at];
        for (int i = 0; i < BUCKET_ENTRIES; i++)
            if (atomic_load_explicit(&b->tag[i], memory_order_relaxed))
                (*each)(atomic_load_explicit(&b->node[i], memory_order_relaxed));
    }
}

void gnt_tree_table_each(const struct gnt_tree_table *table,
                         void (*each)(struct gnt_tree_node *node))
{
    each_segment(table, each_node, &each);
}
