/* The topic tree: the lock-free match. */
#include "core/tree_node.h"

/* ---- A topic name, taken apart */

void gnt_tree_topic_init(struct gnt_tree_topic *t, struct gnt_slice name)
{
    t->name = name;
    t->count = 0;
    for (size_t at = 0; at <= name.size && t->count < GNT_TREE_TOPIC_LEVELS; t->count++) {
        struct gnt_slice level = gnt_tree_level_at(name, at);
        t->level[t->count].hash = gnt_hash(level);
        t->level[t->count].start = (uint32_t)at;
        at += level.size + 1;
        t->level[t->count].end = (uint32_t)at - 1;
    }
}

/* ---- Fetching ahead
 *
 * What a match looks at in a large tree is not in the cache, and where it is, a match sees only one
 * step ahead.  But the places of the exact levels follow from the name alone: so they are fetched
 * all at once, and then their nodes. */

static const struct gnt_tree_table *table_of(const struct gnt_tree *tree)
{
    return atomic_load_explicit(&tree->table, memory_order_acquire);
}

static void fetch_node(const struct gnt_tree_node *node)
{
    __builtin_prefetch(&node->parent);
    __builtin_prefetch(&node->level);
}

void gnt_tree_fetch_places(const struct gnt_tree *tree, const struct gnt_tree_topic *t)
{
    const struct gnt_tree_table *table = table_of(tree);
    if (!gnt_tree_table_large(table))
        return;
    uint32_t key = tree->root->key;
    for (uint32_t i = 0; i < t->count; i++) {
        key = gnt_tree_key(key, t->level[i].hash);
        gnt_tree_table_fetch(table, key);
    }
}

void gnt_tree_fetch_nodes(const struct gnt_tree *tree, const struct gnt_tree_topic *t)
{
    const struct gnt_tree_table *table = table_of(tree);
    if (!gnt_tree_table_large(table))
        return;
    uint32_t key = tree->root->key;
    for (uint32_t i = 0; i < t->count; i++) {
        key = gnt_tree_key(key, t->level[i].hash);
        const struct gnt_tree_node *node = gnt_tree_table_guess(table, key);
        if (!node)
            break;
        fetch_node(node);
    }
}

/* ---- Matching */

struct match {
    const struct gnt_tree *tree;
    const struct gnt_tree_table *table;
    const struct gnt_tree_topic *topic;
    const struct gnt_tree_node *node;
    size_t depth; /* of NODE: levels that were taken */
    size_t at;    /* where the level after NODE's starts; size + 1: all levels were taken */
    bool large;
    bool hidden; /* from wildcards in the first level [MQTT-4.7.2-1] */
    void (*found)(void *context, uint64_t sink, const struct gnt_sub_options *options);
    void *context;
};

/* The level after NODE's, which exists. */
static struct gnt_slice next_level(const struct match *m, uint64_t *hash)
{
    const struct gnt_tree_topic *t = m->topic;
    struct gnt_slice level;
    if (m->depth < t->count) {
        *hash = t->level[m->depth].hash;
        return gnt_slice(t->name.data + m->at, t->level[m->depth].end - m->at);
    }
    level = gnt_tree_level_at(t->name, m->at);
    *hash = gnt_hash(level);
    return level;
}

/* NODE's `+` will be looked at after what is below its other child: time enough to fetch it, and
 * the place of the child that it may have. */
static void fetch_beside(const struct match *m, const struct gnt_tree_node *plus)
{
    fetch_node(plus);
    if (m->depth + 1 < m->topic->count) {
        uint32_t key = gnt_tree_key(m->node->key, GNT_TREE_PLUS);
        gnt_tree_table_fetch(m->table, gnt_tree_key(key, m->topic->level[m->depth + 1].hash));
    }
}

static const struct gnt_tree_node *named_child(const struct match *m, struct gnt_slice level,
                                               uint64_t hash)
{
    if (!gnt_tree_named(m->node))
        return NULL;
    return gnt_tree_table_find(m->table, gnt_tree_key(m->node->key, hash), m->node, level);
}

/* From NODE, where it has just arrived, down to a child that matches the next level; false if there
 * is none.  What is subscribed to NODE, if it is the topic's last level, and to NODE/# is told:
 * "sport/#" matches "sport" too [MQTT5 4.7.1.2]. */
static bool down(struct match *m)
{
    const struct gnt_tree_node *node = m->node, *hash = NULL, *plus = NULL;
    if (m->depth || !m->hidden)
        hash = gnt_tree_wild(node, &plus);
    if (plus && m->large)
        fetch_beside(m, plus);
    if (hash)
        gnt_tree_subs_each(hash, m->found, m->context);
    if (m->at > m->topic->name.size) {
        gnt_tree_subs_each(node, m->found, m->context);
        return false;
    }
    uint64_t level_hash;
    struct gnt_slice level = next_level(m, &level_hash);
    const struct gnt_tree_node *child = named_child(m, level, level_hash);
    if (!child)
        child = plus;
    if (!child)
        return false;
    m->node = child;
    m->depth++;
    m->at += level.size + 1;
    return true;
}

/* Where the level starts by which the name led to NODE. */
static size_t level_start(const struct match *m)
{
    if (m->depth <= m->topic->count)
        return m->topic->level[m->depth - 1].start;
    return gnt_tree_level_start(m->topic->name, m->at - 1);
}

/* From NODE, done with, up until there is a `+` beside the way it came; false if there is none. */
static bool up(struct match *m)
{
    for (const struct gnt_tree_node *parent; (parent = m->node->parent); m->node = parent) {
        const struct gnt_tree_node *plus;
        bool was_plus = gnt_tree_is(gnt_tree_node_level(m->node), '+');
        if (!was_plus && (parent->parent || !m->hidden)) {
            (void)gnt_tree_wild(parent, &plus);
            if (plus) {
                m->node = plus;
                return true;
            }
        }
        m->at = level_start(m);
        m->depth--;
    }
    return false;
}

/* Depth first.  The way back is in the nodes and in the topic, so that any number of levels needs
 * no memory. */
void gnt_tree_match_topic(const struct gnt_tree *tree, const struct gnt_tree_topic *topic,
                          void (*found)(void *context, uint64_t sink,
                                        const struct gnt_sub_options *options),
                          void *context)
{
    struct match m = {
        .tree = tree,
        .table = table_of(tree),
        .topic = topic,
        .node = tree->root,
        .hidden = topic->name.size && topic->name.data[0] == '$',
        .found = found,
        .context = context,
    };
    m.large = gnt_tree_table_large(m.table);
    while (down(&m) || up(&m))
        ;
}

void gnt_tree_match(const struct gnt_tree *tree, struct gnt_slice topic,
                    void (*found)(void *context, uint64_t sink,
                                  const struct gnt_sub_options *options),
                    void *context)
{
    struct gnt_tree_topic t;
    gnt_tree_topic_init(&t, topic);
    gnt_tree_fetch_places(tree, &t);
    gnt_tree_fetch_nodes(tree, &t);
    gnt_tree_match_topic(tree, &t, found, context);
}
