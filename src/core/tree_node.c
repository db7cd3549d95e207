/* The topic tree's nodes: made, found, and taken out again when nothing uses them. */
#include "core/tree_node.h"

#include "base/slab.h"
#include "model/topic.h"

#include <stdlib.h>

/* ---- Memory
 *
 * Of a small tree each node is an allocation; in a large one new nodes come from slabs, by size. */

enum {
    SLAB_NODES = 1 << 16, /* that a tree has before it uses slabs */
    SLAB_STEP = 16,
    SLAB_CLASSES = 8,
    SLAB_MAX = SLAB_STEP * 12
};

static struct gnt_slabs slabs[SLAB_CLASSES] = {
    GNT_SLABS_INIT(SLAB_STEP * 5),  GNT_SLABS_INIT(SLAB_STEP * 6),  GNT_SLABS_INIT(SLAB_STEP * 7),
    GNT_SLABS_INIT(SLAB_STEP * 8),  GNT_SLABS_INIT(SLAB_STEP * 9),  GNT_SLABS_INIT(SLAB_STEP * 10),
    GNT_SLABS_INIT(SLAB_STEP * 11), GNT_SLABS_INIT(SLAB_STEP * 12),
};

/* Room for a node of SIZE bytes, zeroed. */
static struct gnt_tree_node *node_room(const struct gnt_tree *tree, size_t size)
{
    if (size > SLAB_MAX || tree->nodes < SLAB_NODES)
        return calloc(1, size);
    size_t class = size <= slabs[0].item ? 0 : (size - slabs[0].item + SLAB_STEP - 1) / SLAB_STEP;
    struct gnt_tree_node *node = gnt_slab_get(&slabs[class]);
    if (node) {
        memset(node, 0, size);
        node->in_slab = true;
    }
    return node;
}

static void node_release(struct gnt_tree_node *node)
{
    if (node->in_slab)
        gnt_slab_put(node);
    else
        free(node);
}

static struct gnt_tree_node *node_new(struct gnt_tree *tree, struct gnt_tree_node *parent,
                                      struct gnt_slice level, uint32_t key)
{
    size_t size = offsetof(struct gnt_tree_node, level) + level.size;
    struct gnt_tree_node *node = node_room(tree, size > sizeof *node ? size : sizeof *node);
    if (!node)
        return NULL;
    tree->nodes++;
    node->parent = parent;
    node->key = key;
    node->level_size = (uint16_t)level.size;
    if (level.size)
        memcpy(node->level, level.data, level.size);
    return node;
}

static void node_free(struct gnt_tree_node *node)
{
    gnt_tree_subs_free(node);
    gnt_message_unref(&node->retained);
    node_release(node);
}

static void reclaim(struct gnt_rcu_head *head)
{
    node_release(GNT_CONTAINER(head, struct gnt_tree_node, rcu));
}

gnt_err gnt_tree_root_new(struct gnt_tree *tree)
{
    tree->root = node_new(tree, NULL, gnt_slice(NULL, 0), 0);
    if (!tree->root)
        return GNT_NOMEM;
    tree->root->reach = 1;
    return GNT_OK;
}

/* ---- Nodes that are reached by wildcards */

static struct gnt_tree_node *wild_of(const struct gnt_tree_node *node)
{
    return atomic_load_explicit(&node->wild, memory_order_relaxed);
}

/* A node, the `#` or `+` below it, the `+` beside that `#`, what is below that `+`, and so on: all
 * that is reached by wildcards alone is one chain. */
static void free_chain(struct gnt_tree_node *node)
{
    while (node) {
        struct gnt_tree_node *next = wild_of(node);
        node_free(node);
        node = next;
    }
}

void gnt_tree_nodes_free(struct gnt_tree *tree)
{
    gnt_tree_table_each(atomic_load_explicit(&tree->table, memory_order_relaxed), free_chain);
    free_chain(tree->root);
}

/* ---- Children */

static uint32_t key_of(const struct gnt_tree_node *parent, struct gnt_slice level)
{
    return gnt_tree_key(parent->key, gnt_tree_is_wild(level) ? GNT_TREE_PLUS : gnt_hash(level));
}

/* KEY is the child's. */
static struct gnt_tree_node *find_child(const struct gnt_tree *tree, struct gnt_tree_node *parent,
                                        struct gnt_slice level, uint32_t key)
{
    if (!gnt_tree_is_wild(level))
        return gnt_tree_table_find(atomic_load_explicit(&tree->table, memory_order_relaxed), key,
                                   parent, level);
    struct gnt_tree_node *w = wild_of(parent);
    if (w && w->level[0] != level.data[0])
        w = w->level[0] == '#' ? wild_of(w) : NULL;
    return w;
}

struct gnt_tree_node *gnt_tree_node_child(const struct gnt_tree *tree, struct gnt_tree_node *parent,
                                          struct gnt_slice level)
{
    return find_child(tree, parent, level, key_of(parent, level));
}

/* Where the pointer to the child `+` of PARENT is: beside `#` if that exists. */
static _Atomic(struct gnt_tree_node *) *plus_place(struct gnt_tree_node *parent)
{
    struct gnt_tree_node *w = wild_of(parent);
    return w && w->level[0] == '#' ? &w->wild : &parent->wild;
}

static void link_wild(struct gnt_tree_node *node)
{
    _Atomic(struct gnt_tree_node *) *place = &node->parent->wild;
    if (node->level[0] == '#')
        atomic_store_explicit(&node->wild, wild_of(node->parent), memory_order_relaxed);
    else
        place = plus_place(node->parent);
    atomic_store_explicit(place, node, memory_order_release);
}

/* A `#` that is taken out still points to the `+` beside it, for readers that are on their way. */
static void unlink_wild(struct gnt_tree_node *node)
{
    if (node->level[0] == '#')
        atomic_store_explicit(&node->parent->wild, wild_of(node), memory_order_release);
    else
        atomic_store_explicit(plus_place(node->parent), NULL, memory_order_release);
}

static void count_named(struct gnt_tree_node *parent, int n)
{
    atomic_store_explicit(&parent->named, gnt_tree_named(parent) + (uint32_t)n,
                          memory_order_relaxed);
}

static struct gnt_tree_node *add_child(struct gnt_tree *tree, struct gnt_tree_node *parent,
                                       struct gnt_slice level, uint32_t key)
{
    bool wild = gnt_tree_is_wild(level);
    if (!wild && gnt_tree_table_reserve(&tree->table, key) != GNT_OK)
        return NULL;
    struct gnt_tree_node *node = node_new(tree, parent, level, key);
    if (!node)
        return NULL;
    if (wild) {
        link_wild(node);
    } else {
        gnt_tree_table_insert(atomic_load_explicit(&tree->table, memory_order_relaxed), node);
        count_named(parent, 1);
    }
    return node;
}

static void take_out(struct gnt_tree *tree, struct gnt_tree_node *node)
{
    if (gnt_tree_is_wild(gnt_tree_node_level(node))) {
        unlink_wild(node);
    } else {
        gnt_tree_table_remove(&tree->table, node);
        count_named(node->parent, -1);
    }
    tree->nodes--;
    gnt_rcu_defer(&node->rcu, reclaim);
}

/* ---- Paths */

/* A way down: REST is what is left of it below NODE, at DEPTH. */
struct way {
    struct gnt_tree_path path;
    struct gnt_slice rest;
    struct gnt_tree_node *node;
    uint32_t depth;
};

static uint32_t next_key(const struct way *w, struct gnt_slice level)
{
    return w->depth < w->path.count ? w->path.key[w->depth] : key_of(w->node, level);
}

static void go_on(struct way *w, struct gnt_tree_node *child, struct gnt_slice rest)
{
    w->node = child;
    w->rest = rest;
    w->depth++;
}

/* As far as there are nodes. */
static void follow(const struct gnt_tree *tree, struct gnt_slice filter, struct way *w)
{
    w->rest = filter;
    w->node = tree->root;
    w->depth = 0;
    gnt_tree_path_init(&w->path, tree, filter);
    struct gnt_slice level, rest = filter;
    while (gnt_topic_next_level(&rest, &level)) {
        struct gnt_tree_node *child = find_child(tree, w->node, level, next_key(w, level));
        if (!child)
            break;
        go_on(w, child, rest);
    }
}

struct gnt_tree_node *gnt_tree_node_find(const struct gnt_tree *tree, struct gnt_slice filter)
{
    struct way w;
    follow(tree, filter, &w);
    return w.rest.data ? NULL : w.node;
}

static uint32_t count_levels(struct gnt_slice filter)
{
    uint32_t levels = 1;
    for (size_t at = 0; at < filter.size; at++)
        levels += filter.data[at] == '/';
    return levels;
}

/* Filters without a `+`, and short ones, cannot multiply each other beyond measure. */
static bool is_harmless(struct gnt_slice filter, uint32_t levels)
{
    return levels <= GNT_TREE_SHORT || !memchr(filter.data, '+', filter.size);
}

static bool allowed(const struct gnt_tree *tree, const struct gnt_tree_node *node,
                    struct gnt_slice filter, struct gnt_slice rest)
{
    if (!tree->reach_max || is_harmless(filter, count_levels(filter)))
        return true;
    struct gnt_slice first = gnt_tree_level_at(rest, 0);
    return gnt_tree_reach_allows(tree, node, gnt_tree_is_wild(first), count_levels(rest));
}

gnt_err gnt_tree_node_make(struct gnt_tree *tree, struct gnt_slice filter,
                           struct gnt_tree_node **out)
{
    struct way w;
    follow(tree, filter, &w);
    if (w.rest.data && !allowed(tree, w.node, filter, w.rest))
        return GNT_FULL;
    const struct gnt_tree_node *found = w.node;
    struct gnt_slice rest = w.rest, level;
    while (gnt_topic_next_level(&rest, &level)) {
        struct gnt_tree_node *child = add_child(tree, w.node, level, next_key(&w, level));
        if (!child)
            break;
        go_on(&w, child, rest);
    }
    if (w.node != found)
        gnt_tree_reach_added(w.node);
    if (w.rest.data) {
        gnt_tree_node_settle(tree, w.node);
        return GNT_NOMEM;
    }
    *out = w.node;
    return GNT_OK;
}

/* ---- The trail */

bool gnt_tree_node_marked(const struct gnt_tree_node *node)
{
    return node->trail.prev || node->trail.next || node->parent->trail.first == node;
}

void gnt_tree_node_mark(struct gnt_tree_node *node)
{
    for (; node->parent && !gnt_tree_node_marked(node); node = node->parent) {
        struct gnt_tree_node **first = &node->parent->trail.first;
        node->trail.next = *first;
        if (*first)
            (*first)->trail.prev = node;
        *first = node;
    }
}

static void unmark(struct gnt_tree_node *node)
{
    struct gnt_tree_node *next = node->trail.next, *prev = node->trail.prev;
    if (prev)
        prev->trail.next = next;
    else
        node->parent->trail.first = next;
    if (next)
        next->trail.prev = prev;
    node->trail.next = node->trail.prev = NULL;
}

/* What is taken out is NODE and, one after the other, ancestors of it: only what the last of them
 * reached was counted by one that stays. */
void gnt_tree_node_settle(struct gnt_tree *tree, struct gnt_tree_node *node)
{
    struct gnt_tree_node *last_out = NULL;
    while (node->parent && !node->pins && !node->retained && !node->trail.first) {
        struct gnt_tree_node *parent = node->parent;
        bool marked = gnt_tree_node_marked(node);
        bool used = gnt_tree_has_children(node) || gnt_tree_subs_any(node);
        if (marked)
            unmark(node);
        if (!used) {
            take_out(tree, node);
            last_out = node;
        }
        if (!marked && used)
            break;
        node = parent;
    }
    if (last_out)
        gnt_tree_reach_removed(last_out);
}
