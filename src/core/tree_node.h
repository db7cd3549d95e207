/* Inside the topic tree: its nodes, their subscriptions, and the table of all nodes.
 *
 * A node is one level of a filter or of a retained message's topic.  Readers reach it from the root
 * without a lock, so what they read is immutable once the node is published, or atomic; all else is
 * the writers', under the tree's mutex.  A node that was taken out keeps what readers may still
 * look at, its parent too, until a grace period has passed. */
#ifndef GNT_CORE_TREE_NODE_H
#define GNT_CORE_TREE_NODE_H

#include "base/hash.h"
#include "base/list.h"
#include "base/rcu.h"
#include "core/tree.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- Subscriptions of a node (tree_subs.c) */

/* Slots are used once: a subscription is appended, and when it ends its sink becomes 0.  So a
 * reader never sees one sink with the options of another.  A new array takes over when this one is
 * full, or mostly empty. */
struct gnt_tree_slot {
    _Atomic uint64_t sink;
    _Atomic uint32_t options;
};

struct gnt_tree_subs {
    struct gnt_rcu_head rcu;
    _Atomic uint32_t count; /* slots in use, ended ones included */
    uint32_t cap;
    uint32_t live;
    uint32_t index_mask; /* 0: few enough slots to look through */
    struct gnt_tree_slot slots[];
    /* after the slots, if index_mask is not 0: uint32_t index[index_mask + 1], the writers' hash
     * table from a sink to 1 + its slot */
};

/* ---- Nodes (tree_node.c) */

struct gnt_tree_node {
    /* First what only writers look at, the walks' part together: what a match reads comes behind
     * it, together with the level. */

    /* How many nodes of this one's subtree, itself included, one topic name can lead to at most:
     * see gnt_tree_limit.  Of the children in the table only the one that adds most counts; those
     * that add more than a few are counted, so that it is known when the last of them is gone. */
    uint32_t reach;
    uint32_t pins; /* by cursors that stand here */
    struct gnt_message *retained;
    union {
        /* The children by which retained messages are reached, or where a cursor stands: what a
         * walk goes along.  New ones come to the front, so that a walk ends. */
        struct {
            struct gnt_tree_node *first; /* of this node's children */
            struct gnt_tree_node *next, *prev;
        } trail;
        struct gnt_rcu_head rcu; /* once it was taken out */
    };

    struct gnt_tree_node *parent; /* NULL: the root */

    /* The children `+` and `#`, which matching needs at each step, hang here and not in the table:
     * `#` if it exists, else `+`.  Nothing follows `#`, so its own `wild` is free to point to the
     * `+` beside it. */
    _Atomic(struct gnt_tree_node *) wild;

    /* Most filters have one subscriber ever: it needs no array.  Used once, as any slot. */
    _Atomic uint64_t first_sink;
    _Atomic(struct gnt_tree_subs *) subs; /* the other ones; NULL: there are none */
    _Atomic uint32_t first_options;

    /* Children in the table.  A match looks at it before it looks for one: most nodes with a
     * wildcard below them have none.  Changed by writers only. */
    _Atomic uint32_t named;
    uint32_t key;  /* of the path from the root to here */
    uint32_t wide; /* the writers', with `reach` */

    uint16_t level_size;
    bool first_used : 1; /* the writers' */
    bool in_slab : 1;    /* constant */
    uint8_t level[];
};

static inline uint32_t gnt_tree_named(const struct gnt_tree_node *node)
{
    return atomic_load_explicit(&node->named, memory_order_relaxed);
}

/* Of any kind; by writers. */
static inline bool gnt_tree_has_children(const struct gnt_tree_node *node)
{
    bool hash = node->level_size == 1 && node->level[0] == '#'; /* its `wild` is no child */
    return gnt_tree_named(node) ||
           (!hash && atomic_load_explicit(&node->wild, memory_order_relaxed));
}

struct gnt_tree_table;

struct gnt_tree {
    _Atomic(struct gnt_tree_table *) table;
    struct gnt_tree_node *root;
    _Atomic uint64_t generation;
    _Atomic uint64_t retained;

    /* Guards every change of the tree.  Innermost lock.  Held for one change, or for one slice of a
     * walk. */
    _Alignas(64) pthread_mutex_t lock;
    size_t nodes;
    uint32_t reach_max; /* 0: no limit */
    struct gnt_tree_cursor sweep;
    uint64_t retained_of_clients;
};

/* What is in a topic from AT up to the next slash; AT is at most its size. */
static inline struct gnt_slice gnt_tree_level_at(struct gnt_slice topic, size_t at)
{
    struct gnt_slice rest = gnt_slice_skip(topic, at);
    const uint8_t *slash = rest.size ? memchr(rest.data, '/', rest.size) : NULL;
    return gnt_slice(rest.data, slash ? (size_t)(slash - rest.data) : rest.size);
}

/* Where the level starts that ends at END. */
static inline size_t gnt_tree_level_start(struct gnt_slice topic, size_t end)
{
    const uint8_t *slash = end ? memrchr(topic.data, '/', end) : NULL;
    return slash ? (size_t)(slash - topic.data) + 1 : 0;
}

static inline struct gnt_slice gnt_tree_node_level(const struct gnt_tree_node *node)
{
    return gnt_slice(node->level, node->level_size);
}

static inline bool gnt_tree_is(struct gnt_slice level, char wildcard)
{
    return level.size == 1 && level.data[0] == (uint8_t)wildcard;
}

static inline bool gnt_tree_is_wild(struct gnt_slice level)
{
    return gnt_tree_is(level, '+') || gnt_tree_is(level, '#');
}

/* The child `#` or NULL, and by way of it the child `+` or NULL.  For readers too. */
static inline const struct gnt_tree_node *gnt_tree_wild(const struct gnt_tree_node *node,
                                                        const struct gnt_tree_node **plus)
{
    const struct gnt_tree_node *w = atomic_load_explicit(&node->wild, memory_order_acquire);
    if (!w || w->level[0] == '+') {
        *plus = w;
        return NULL;
    }
    *plus = atomic_load_explicit(&w->wild, memory_order_acquire);
    return w;
}

GNT_MUST gnt_err gnt_tree_root_new(struct gnt_tree *tree);

/* The key of a path is made of its levels' hashes one after the other, so that those of all levels
 * of a topic name are known before the first node is looked at.  Two paths may have the same. */
static inline uint32_t gnt_tree_key(uint32_t parent, uint64_t level_hash)
{
    return (uint32_t)(gnt_hash_mix(level_hash, parent) >> 32);
}

/* What stands for the hash of `+`: it need not be a secret. */
#define GNT_TREE_PLUS UINT64_C(0x9e3779b97f4a7c15)

/* Frees all nodes, at once. */
void gnt_tree_nodes_free(struct gnt_tree *tree);

struct gnt_tree_node *gnt_tree_node_child(const struct gnt_tree *tree, struct gnt_tree_node *parent,
                                          struct gnt_slice level);

/* The keys of the first levels of FILTER, and if the tree is large, what the way leads along is
 * being fetched into the cache (tree_match.c). */
enum { GNT_TREE_PATH = 24 };
struct gnt_tree_path {
    uint32_t count;
    uint32_t key[GNT_TREE_PATH];
};
void gnt_tree_path_init(struct gnt_tree_path *path, const struct gnt_tree *tree,
                        struct gnt_slice filter);

/* The node of a filter or topic, NULL if there is none. */
struct gnt_tree_node *gnt_tree_node_find(const struct gnt_tree *tree, struct gnt_slice filter);

/* The same, made if there is none; whoever has no use for it in the end calls _settle.  GNT_NOMEM;
 * GNT_FULL if it would be over the tree's limit. */
GNT_MUST gnt_err gnt_tree_node_make(struct gnt_tree *tree, struct gnt_slice filter,
                                    struct gnt_tree_node **out);

/* To be called when NODE may have lost its last use, or its place on the trail: takes it out, and
 * what of its ancestors has no use without it. */
void gnt_tree_node_settle(struct gnt_tree *tree, struct gnt_tree_node *node);

/* Puts NODE, which now has a retained message or a pin, on the trail, with its ancestors. */
void gnt_tree_node_mark(struct gnt_tree_node *node);
bool gnt_tree_node_marked(const struct gnt_tree_node *node);

/* ---- Subscriptions (tree_subs.c) */

/* Adds or changes; *changed: a reader can see the difference. */
GNT_MUST gnt_err gnt_tree_subs_put(struct gnt_tree_node *node, uint64_t sink, uint32_t options,
                                   bool *existed, bool *changed);
void gnt_tree_subs_remove(struct gnt_tree_node *node, uint64_t sink); /* which is there */
bool gnt_tree_subs_any(const struct gnt_tree_node *node);
void gnt_tree_subs_free(struct gnt_tree_node *node); /* at once */

/* For readers. */
void gnt_tree_subs_each(const struct gnt_tree_node *node,
                        void (*found)(void *context, uint64_t sink,
                                      const struct gnt_sub_options *options),
                        void *context);

/* ---- How far one topic name reaches (tree_reach.c) */

/* Whether LEVELS new nodes may be made below NODE, the first of them a wildcard or not. */
bool gnt_tree_reach_allows(const struct gnt_tree *tree, const struct gnt_tree_node *node, bool wild,
                           uint32_t levels);

/* NODE has been added, perhaps with ancestors that have not been counted yet; or it is being taken
 * out, and is no child of its parent any more. */
void gnt_tree_reach_added(struct gnt_tree_node *node);
void gnt_tree_reach_removed(struct gnt_tree_node *node);

/* ---- The table of all nodes without a wildcard, by their keys (tree_table.c) */

GNT_MUST gnt_err gnt_tree_table_new(struct gnt_tree_table **out);
void gnt_tree_table_free(struct gnt_tree_table *table); /* at once */

/* For readers. */
struct gnt_tree_node *gnt_tree_table_find(const struct gnt_tree_table *table, uint32_t key,
                                          const struct gnt_tree_node *parent,
                                          struct gnt_slice level);

/* Whether it is much larger than a core's cache: then fetching ahead is worth its price. */
enum { GNT_TREE_LARGE_BITS = 5 };
bool gnt_tree_table_large(const struct gnt_tree_table *table);

/* For readers of a large table: has the place of KEY fetched into the cache, without waiting for
 * it; and what is probably its node, to be fetched only, NULL: there seems to be none. */
void gnt_tree_table_fetch(const struct gnt_tree_table *table, uint32_t key);
void gnt_tree_table_fetch_count(const struct gnt_tree_table *table, uint32_t key); /* to add one */
const struct gnt_tree_node *gnt_tree_table_guess(const struct gnt_tree_table *table, uint32_t key);

/* Makes room for one more node with KEY; the table may be another one afterwards. */
GNT_MUST gnt_err gnt_tree_table_reserve(_Atomic(struct gnt_tree_table *) *table, uint32_t key);
void gnt_tree_table_insert(struct gnt_tree_table *table, struct gnt_tree_node *node);

/* Never fails; the table may be another one afterwards. */
void gnt_tree_table_remove(_Atomic(struct gnt_tree_table *) *table, struct gnt_tree_node *node);

/* Calls EACH for all nodes, which it may free. */
void gnt_tree_table_each(const struct gnt_tree_table *table,
                         void (*each)(struct gnt_tree_node *node));

#endif
