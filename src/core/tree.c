/* The topic tree: subscribing. */
#include "core/tree.h"

#include "base/assert.h"
#include "core/tree_node.h"

#include <stdlib.h>

gnt_err gnt_tree_new(struct gnt_tree **out)
{
    struct gnt_tree *tree = aligned_alloc(_Alignof(struct gnt_tree), sizeof *tree);
    if (!tree)
        return GNT_NOMEM;
    *tree = (struct gnt_tree){.lock = PTHREAD_MUTEX_INITIALIZER};
    struct gnt_tree_table *table;
    if (gnt_tree_table_new(&table) != GNT_OK)
        goto no_table;
    atomic_store_explicit(&tree->table, table, memory_order_relaxed);
    if (gnt_tree_root_new(tree) != GNT_OK)
        goto no_root;
    *out = tree;
    return GNT_OK;

no_root:
    gnt_tree_table_free(table);
no_table:
    free(tree);
    return GNT_NOMEM;
}

void gnt_tree_free(struct gnt_tree **tree)
{
    struct gnt_tree *t = *tree;
    if (!t)
        return;
    *tree = NULL;
    gnt_tree_nodes_free(t);
    gnt_tree_table_free(atomic_load_explicit(&t->table, memory_order_relaxed));
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* ---- Generation
 *
 * A change is made first and counted after, with release.  A reader loads the generation, with
 * acquire, and then matches: it sees every change that was counted up to that number, because
 * writers follow each other through the mutex.  A change that it did not see, or saw only in part,
 * is counted later, so what the reader remembers is found stale when it next compares. */

static void changed(struct gnt_tree *tree)
{
    uint64_t generation = atomic_load_explicit(&tree->generation, memory_order_relaxed);
    atomic_store_explicit(&tree->generation, generation + 1, memory_order_release);
}

void gnt_tree_limit(struct gnt_tree *tree, uint32_t reach_max)
{
    pthread_mutex_lock(&tree->lock);
    tree->reach_max = reach_max;
    pthread_mutex_unlock(&tree->lock);
}

uint64_t gnt_tree_generation(const struct gnt_tree *tree)
{
    return atomic_load_explicit(&tree->generation, memory_order_acquire);
}

/* ---- Subscribing */

static gnt_err subscribe(struct gnt_tree *tree, struct gnt_slice filter, uint64_t sink,
                         uint32_t options, bool *existed, struct gnt_tree_node **node)
{
    gnt_err err = gnt_tree_node_make(tree, filter, node);
    if (err != GNT_OK)
        return err;
    bool differs;
    err = gnt_tree_subs_put(*node, sink, options, existed, &differs);
    if (err != GNT_OK)
        gnt_tree_node_settle(tree, *node);
    else if (differs)
        changed(tree);
    return err;
}

gnt_err gnt_tree_subscribe(struct gnt_tree *tree, struct gnt_slice filter, uint64_t sink,
                           const struct gnt_sub_options *options, bool *existed,
                           struct gnt_tree_node **node)
{
    struct gnt_tree_node *made;
    bool had;
    GNT_ASSERT(sink != 0);
    pthread_mutex_lock(&tree->lock);
    gnt_err err = subscribe(tree, filter, sink, gnt_tree_options_pack(options), &had, &made);
    pthread_mutex_unlock(&tree->lock);
    if (err != GNT_OK)
        return err;
    *existed = had;
    if (node)
        *node = made;
    return GNT_OK;
}

void gnt_tree_unsubscribe(struct gnt_tree *tree, struct gnt_tree_node *node, uint64_t sink)
{
    pthread_mutex_lock(&tree->lock);
    gnt_tree_subs_remove(node, sink);
    gnt_tree_node_settle(tree, node);
    changed(tree);
    pthread_mutex_unlock(&tree->lock);
}

struct gnt_tree_node *gnt_tree_find(struct gnt_tree *tree, struct gnt_slice filter)
{
    pthread_mutex_lock(&tree->lock);
    struct gnt_tree_node *node = gnt_tree_node_find(tree, filter);
    if (node && !gnt_tree_subs_any(node))
        node = NULL;
    pthread_mutex_unlock(&tree->lock);
    return node;
}

size_t gnt_tree_filter(const struct gnt_tree_node *node, char *out, size_t cap)
{
    size_t size = 0;
    for (const struct gnt_tree_node *n = node; n->parent; n = n->parent)
        size += n->level_size + (n->parent->parent ? 1u : 0u);
    if (size > cap)
        return 0;
    size_t at = size;
    for (const struct gnt_tree_node *n = node; n->parent; n = n->parent) {
        at -= n->level_size;
        memcpy(out + at, n->level, n->level_size);
        if (n->parent->parent)
            out[--at] = '/';
    }
    return size;
}
