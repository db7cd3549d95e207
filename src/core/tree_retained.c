/* The topic tree's retained messages: kept in the nodes of their topics, found by a walk along the
 * trail of nodes that lead to one.  All under the tree's mutex. */
#include "core/tree.h"

#include "base/assert.h"
#include "core/tree_node.h"

enum {
    SLICE_NODES = 24, /* that one call of _retained visits: a session makes 64 calls in a row */
    SWEEP_NODES = 512 /* and one of _sweep */
};

static bool of_client(const struct gnt_message *message)
{
    return message && message->publisher;
}

/* Sets NODE's message, NULL for none; returns the old one, which is the caller's now. */
static struct gnt_message *exchange(struct gnt_tree *tree, struct gnt_tree_node *node,
                                    struct gnt_message *message, int *change)
{
    struct gnt_message *old = node->retained;
    node->retained = message;
    *change = (message != NULL) - (old != NULL);
    tree->retained_of_clients += of_client(message);
    tree->retained_of_clients -= of_client(old);
    uint64_t count = atomic_load_explicit(&tree->retained, memory_order_relaxed);
    atomic_store_explicit(&tree->retained, count + (uint64_t)(int64_t)*change,
                          memory_order_relaxed);
    return old;
}

/* What is replaced needs no place. */
static bool is_full(struct gnt_tree *tree, const struct gnt_message *message, uint64_t max)
{
    if (max == 0 || tree->retained_of_clients < max || !of_client(message))
        return false;
    const struct gnt_tree_node *node = gnt_tree_node_find(tree, message->topic);
    return !node || !of_client(node->retained);
}

static gnt_err keep(struct gnt_tree *tree, struct gnt_message *message, uint64_t max,
                    struct gnt_message **old, int *change)
{
    struct gnt_tree_node *node;
    if (is_full(tree, message, max))
        return GNT_FULL;
    gnt_err err = gnt_tree_node_make(tree, message->topic, &node);
    if (err != GNT_OK)
        return err;
    *old = exchange(tree, node, gnt_message_ref(message), change);
    gnt_tree_node_mark(node);
    return GNT_OK;
}

static void clear(struct gnt_tree *tree, struct gnt_slice topic, struct gnt_message **old,
                  int *change)
{
    *change = 0;
    struct gnt_tree_node *node = gnt_tree_node_find(tree, topic);
    if (!node)
        return;
    *old = exchange(tree, node, NULL, change);
    gnt_tree_node_settle(tree, node);
}

gnt_err gnt_tree_retain(struct gnt_tree *tree, struct gnt_message *message, uint64_t max,
                        int *change)
{
    gnt_err err = GNT_OK;
    struct gnt_message *old = NULL;
    pthread_mutex_lock(&tree->lock);
    if (message->payload.size)
        err = keep(tree, message, max, &old, change);
    else
        clear(tree, message->topic, &old, change);
    pthread_mutex_unlock(&tree->lock);
    gnt_message_unref(&old);
    return err;
}

struct gnt_message *gnt_tree_retained_at(struct gnt_tree *tree, struct gnt_slice topic)
{
    pthread_mutex_lock(&tree->lock);
    const struct gnt_tree_node *node = gnt_tree_node_find(tree, topic);
    struct gnt_message *message = node && node->retained ? gnt_message_ref(node->retained) : NULL;
    pthread_mutex_unlock(&tree->lock);
    return message;
}

uint64_t gnt_tree_retained_count(const struct gnt_tree *tree)
{
    return atomic_load_explicit(&tree->retained, memory_order_relaxed);
}

/* ---- The walk: the nodes on the trail that a filter leads to, parents before their children */

struct walk {
    const struct gnt_tree *tree;
    struct gnt_slice filter;
    bool hides; /* the filter begins with a wildcard, so not for `$` [MQTT-4.7.2-1] */
    struct gnt_tree_node *node;
    size_t at;    /* where the level of NODE's children starts; size + 1: no level is left */
    size_t below; /* levels below the one at which `#` stands; AT stays at it */
};

static struct gnt_slice level_of(const struct walk *w)
{
    return w->at > w->filter.size ? gnt_slice(NULL, 0) : gnt_tree_level_at(w->filter, w->at);
}

static void walk_down(struct walk *w, struct gnt_tree_node *child)
{
    struct gnt_slice level = level_of(w);
    w->node = child;
    if (gnt_tree_is(level, '#'))
        w->below++;
    else
        w->at += level.size + 1;
}

static void walk_up(struct walk *w)
{
    w->node = w->node->parent;
    if (w->below)
        w->below--;
    else
        w->at = gnt_tree_level_start(w->filter, w->at - 1);
}

/* NODE is where the walk stands; its place in the filter follows from its depth. */
static struct walk walk_at(const struct gnt_tree *tree, struct gnt_slice filter, bool hides,
                           struct gnt_tree_node *node)
{
    struct walk w = {.tree = tree, .filter = filter, .hides = hides, .node = node};
    size_t depth = 0;
    for (const struct gnt_tree_node *n = node; n->parent; n = n->parent)
        depth++;
    for (; depth; depth--)
        walk_down(&w, node);
    GNT_ASSERT(w.at <= filter.size + 1);
    return w;
}

static bool is_hidden(const struct walk *w)
{
    const struct gnt_tree_node *n = w->node;
    return w->hides && n->parent && !n->parent->parent && n->level_size && n->level[0] == '$';
}

static struct gnt_tree_node *first_child(const struct walk *w)
{
    if (w->at > w->filter.size || is_hidden(w))
        return NULL;
    struct gnt_slice level = level_of(w);
    if (gnt_tree_is_wild(level))
        return w->node->trail.first;
    struct gnt_tree_node *child = gnt_tree_node_child(w->tree, w->node, level);
    return child && gnt_tree_node_marked(child) ? child : NULL;
}

/* On to the next node; false at the end. */
static bool walk_on(struct walk *w)
{
    struct gnt_tree_node *next = first_child(w);
    while (!next) {
        if (!w->node->parent)
            return false;
        next = w->node->trail.next;
        walk_up(w);
        if (!gnt_tree_is_wild(level_of(w)))
            next = NULL; /* a sibling, but the filter names another level */
    }
    walk_down(w, next);
    return true;
}

/* The filter ends at NODE, or by `#` at it or above. */
static bool walk_matches(const struct walk *w)
{
    return !is_hidden(w) && (w->at > w->filter.size || gnt_tree_is(level_of(w), '#'));
}

static struct gnt_tree_node *start_of(struct gnt_tree *tree, struct gnt_tree_cursor *cursor)
{
    if (cursor->started)
        return cursor->at;
    cursor->started = true;
    return tree->root;
}

/* Moves the pin to NODE, NULL for the end: it stays on the trail, and with it its ancestors, so
 * that the walk goes on from there whatever happens meanwhile. */
static void pin(struct gnt_tree *tree, struct gnt_tree_cursor *cursor, struct gnt_tree_node *node)
{
    struct gnt_tree_node *old = cursor->at;
    cursor->at = node;
    if (node) {
        node->pins++;
        gnt_tree_node_mark(node);
    }
    if (old) {
        old->pins--;
        gnt_tree_node_settle(tree, old);
    }
}

/* What the walk will come to is fetched ahead, as in a large tree it would wait for each: messages
 * one sibling before, nodes, which lead to them, three.  To learn where each is, only nodes are
 * looked at that were fetched a sibling ago or more, so that no fetching waits either.
 * Inlined, because gcc takes a function that only fetches for one that does nothing. */
__attribute__((always_inline)) static inline void fetch_message(const struct gnt_message *message)
{
    if (!message)
        return;
    __builtin_prefetch(message);
    __builtin_prefetch(&message->refs);
}

__attribute__((always_inline)) static inline void fetch_node(const struct gnt_tree_node *node)
{
    __builtin_prefetch(node);
    __builtin_prefetch(&node->parent);
}

__attribute__((always_inline)) static inline void fetch_ahead(const struct gnt_tree_node *node)
{
    const struct gnt_tree_node *below = node->trail.first, *next = node->trail.next;
    if (below && below->trail.next)
        fetch_node(below->trail.next);
    if (!next)
        return;
    fetch_message((next->trail.first ? next->trail.first : next)->retained);
    const struct gnt_tree_node *after = next->trail.next, *last = after ? after->trail.next : NULL;
    if (last && last->trail.first)
        fetch_node(last->trail.first);
    if (last && last->trail.next)
        fetch_node(last->trail.next);
}

static gnt_err slice(struct gnt_tree *tree, struct walk *w, struct gnt_tree_cursor *cursor,
                     size_t max, struct gnt_message **out, size_t *count)
{
    for (int visits = 0; visits < SLICE_NODES && *count < max; visits++) {
        if (!walk_on(w)) {
            pin(tree, cursor, NULL);
            return GNT_OK;
        }
        fetch_ahead(w->node);
        if (w->node->retained && walk_matches(w))
            out[(*count)++] = gnt_message_ref(w->node->retained);
    }
    pin(tree, cursor, w->node);
    return *count ? GNT_OK : GNT_MORE;
}

gnt_err gnt_tree_retained(struct gnt_tree *tree, struct gnt_slice filter,
                          struct gnt_tree_cursor *cursor, size_t max, struct gnt_message **out,
                          size_t *count)
{
    gnt_err err = GNT_OK;
    *count = 0;
    pthread_mutex_lock(&tree->lock);
    struct gnt_tree_node *start = start_of(tree, cursor);
    if (start) {
        bool hides = gnt_tree_is_wild(gnt_tree_level_at(filter, 0));
        struct walk w = walk_at(tree, filter, hides, start);
        err = slice(tree, &w, cursor, max, out, count);
    }
    pthread_mutex_unlock(&tree->lock);
    return err;
}

void gnt_tree_cursor_fini(struct gnt_tree *tree, struct gnt_tree_cursor *cursor)
{
    pthread_mutex_lock(&tree->lock);
    pin(tree, cursor, NULL);
    pthread_mutex_unlock(&tree->lock);
    *cursor = (struct gnt_tree_cursor){0};
}

/* ---- Expiry */

static bool drop_expired(struct gnt_tree *tree, struct gnt_tree_node *node, uint64_t now,
                         struct gnt_message **out)
{
    if (!node->retained || !gnt_message_expired(node->retained, now))
        return false;
    int change;
    *out = exchange(tree, node, NULL, &change);
    return true;
}

/* A node is settled once the walk has left it: what comes after it is never one of its ancestors,
 * and is on the trail by itself. */
static size_t sweep(struct gnt_tree *tree, struct walk *w, uint64_t now, struct gnt_message **out,
                    size_t max)
{
    size_t dropped = 0;
    for (int visits = 0; visits < SWEEP_NODES && dropped < max; visits++) {
        struct gnt_tree_node *left = w->node;
        bool more = walk_on(w);
        gnt_tree_node_settle(tree, left);
        if (!more) {
            pin(tree, &tree->sweep, NULL);
            tree->sweep = (struct gnt_tree_cursor){0};
            return dropped;
        }
        fetch_ahead(w->node);
        dropped += drop_expired(tree, w->node, now, &out[dropped]);
    }
    pin(tree, &tree->sweep, w->node);
    return dropped;
}

size_t gnt_tree_sweep(struct gnt_tree *tree, uint64_t now, struct gnt_message **out, size_t max)
{
    pthread_mutex_lock(&tree->lock);
    struct gnt_tree_node *start = start_of(tree, &tree->sweep);
    struct walk w = walk_at(tree, gnt_slice_str("#"), false, start);
    size_t dropped = sweep(tree, &w, now, out, max);
    pthread_mutex_unlock(&tree->lock);
    return dropped;
}
