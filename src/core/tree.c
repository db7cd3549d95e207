/* The topic tree: subscribing, and the lock-free match. */
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
    if (gnt_tree_root_new(&tree->root) != GNT_OK)
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

/* ---- Matching */

struct match {
    const struct gnt_tree_table *table;
    struct gnt_slice topic;
    const struct gnt_tree_node *node;
    size_t at;   /* where the level after NODE's starts; size + 1: all levels were taken */
    bool hidden; /* from wildcards in the first level [MQTT-4.7.2-1] */
    void (*found)(void *context, uint64_t sink, const struct gnt_sub_options *options);
    void *context;
};

static bool sees_wildcards(const struct match *m, const struct gnt_tree_node *parent)
{
    return parent->parent || !m->hidden;
}

/* From NODE, where it has just arrived, down to a child that matches the next level; false if there
 * is none.  What is subscribed to NODE, if it is the topic's last level, and to NODE/# is told:
 * "sport/#" matches "sport" too [MQTT5 4.7.1.2]. */
static bool down(struct match *m)
{
    const struct gnt_tree_node *plus, *hash = gnt_tree_wild(m->node, &plus);
    bool wildcards = sees_wildcards(m, m->node);
    if (hash && wildcards)
        gnt_tree_subs_each(hash, m->found, m->context);
    if (m->at > m->topic.size) {
        gnt_tree_subs_each(m->node, m->found, m->context);
        return false;
    }
    struct gnt_slice level = gnt_tree_level_at(m->topic, m->at);
    const struct gnt_tree_node *child = NULL;
    if (gnt_tree_named(m->node))
        child = gnt_tree_table_find(m->table, m->node, level);
    if (!child && wildcards)
        child = plus;
    if (!child)
        return false;
    m->node = child;
    m->at += level.size + 1;
    return true;
}

/* From NODE, done with, up until there is a `+` beside the way it came; false if there is none. */
static bool up(struct match *m)
{
    for (const struct gnt_tree_node *parent; (parent = m->node->parent); m->node = parent) {
        const struct gnt_tree_node *plus;
        bool was_plus = gnt_tree_is(gnt_tree_node_level(m->node), '+');
        if (!was_plus && sees_wildcards(m, parent)) {
            (void)gnt_tree_wild(parent, &plus);
            if (plus) {
                m->node = plus;
                return true;
            }
        }
        m->at = gnt_tree_level_start(m->topic, m->at - 1);
    }
    return false;
}

/* Depth first.  The way back is in the nodes and in the topic, so that any number of levels needs
 * no memory. */
void gnt_tree_match(const struct gnt_tree *tree, struct gnt_slice topic,
                    void (*found)(void *context, uint64_t sink,
                                  const struct gnt_sub_options *options),
                    void *context)
{
    struct match m = {
        .table = atomic_load_explicit(&tree->table, memory_order_acquire),
        .topic = topic,
        .node = tree->root,
        .hidden = topic.size && topic.data[0] == '$',
        .found = found,
        .context = context,
    };
    while (down(&m) || up(&m))
        ;
}
