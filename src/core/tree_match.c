/* The topic tree: the lock-free match. */
#include "base/assert.h"
#include "core/tree_node.h"
#include "model/topic.h"

/* ---- A topic name, taken apart */

enum { LEVELS = 24 }; /* that are taken apart once; further ones whenever they are needed */

struct topic {
    struct gnt_slice name;
    uint32_t count;
    struct {
        uint64_t hash;
        uint32_t start, end;
    } level[LEVELS];
};

static void topic_init(struct topic *t, struct gnt_slice name)
{
    t->name = name;
    t->count = 0;
    for (size_t at = 0; at <= name.size && t->count < LEVELS; t->count++) {
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

/* Inlined, because gcc takes a function that only fetches for one that does nothing. */
__attribute__((always_inline)) static inline void fetch_node(const struct gnt_tree_node *node)
{
    __builtin_prefetch(&node->parent);
    __builtin_prefetch(&node->level);
}

static void fetch_path(const struct gnt_tree_table *table, const uint32_t *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        gnt_tree_table_fetch(table, keys[i]);
    for (uint32_t i = 0; i < count; i++) {
        const struct gnt_tree_node *node = gnt_tree_table_guess(table, keys[i]);
        if (node)
            fetch_node(node);
    }
}

static void fetch_exact(const struct gnt_tree_table *table, const struct topic *t)
{
    uint32_t keys[LEVELS], key = 0;
    for (uint32_t i = 0; i < t->count; i++)
        keys[i] = key = gnt_tree_key(key, t->level[i].hash);
    fetch_path(table, keys, t->count);
}

void gnt_tree_path_init(struct gnt_tree_path *path, const struct gnt_tree *tree,
                        struct gnt_slice filter)
{
    struct gnt_slice level;
    uint32_t key = 0, in_table[GNT_TREE_PATH], count = 0;
    for (path->count = 0; path->count < GNT_TREE_PATH && gnt_topic_next_level(&filter, &level);) {
        bool wild = gnt_tree_is_wild(level);
        key = gnt_tree_key(key, wild ? GNT_TREE_PLUS : gnt_hash(level));
        path->key[path->count++] = in_table[count] = key;
        count += !wild;
    }
    const struct gnt_tree_table *table = table_of(tree);
    if (!count || !gnt_tree_table_large(table))
        return;
    gnt_tree_table_fetch_count(table, in_table[count - 1]);
    fetch_path(table, in_table, count);
}

/* ---- Matching */

struct match {
    const struct gnt_tree_table *table;
    const struct topic *topic;
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
    const struct topic *t = m->topic;
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

static void match_init(struct match *m, const struct gnt_tree *tree, const struct topic *topic)
{
    *m = (struct match){
        .table = table_of(tree),
        .topic = topic,
        .node = tree->root,
        .hidden = topic->name.size && topic->name.data[0] == '$',
    };
    m->large = gnt_tree_table_large(m->table);
}

/* Depth first.  The way back is in the nodes and in the topic, so that any number of levels needs
 * no memory. */
void gnt_tree_match(const struct gnt_tree *tree, struct gnt_slice topic,
                    void (*found)(void *context, uint64_t sink,
                                  const struct gnt_sub_options *options),
                    void *context)
{
    struct topic t;
    struct match m;
    topic_init(&t, topic);
    match_init(&m, tree, &t);
    m.found = found;
    m.context = context;
    if (m.large)
        fetch_exact(m.table, &t);
    while (down(&m) || up(&m))
        ;
}

/* ---- Several at once
 *
 * Each match goes on until the next thing that it looks at is probably not in the cache; it has
 * that fetched, and meanwhile the others go on. */

enum stage {
    ARRIVES,  /* at NODE, which has been fetched */
    BRANCHES, /* what it has of wildcards has been fetched, and the place of its named child */
    CHOOSES,  /* what is probably the named child has been fetched */
    ENDS
};

struct search {
    struct topic topic;
    struct match match;
    enum stage stage;
    const struct gnt_tree_node *plus; /* of NODE; once it has branched */
    void (*found)(void *context, unsigned name, uint64_t sink,
                  const struct gnt_sub_options *options);
    void *context;
    unsigned name;
};

static void tell(void *context, uint64_t sink, const struct gnt_sub_options *options)
{
    const struct search *s = context;
    s->found(s->context, s->name, sink, options);
}

static enum stage back(struct match *m)
{
    return up(m) ? ARRIVES : ENDS;
}

static uint32_t child_key(const struct match *m)
{
    uint64_t hash;
    (void)next_level(m, &hash);
    return gnt_tree_key(m->node->key, hash);
}

static enum stage arrive(struct search *s)
{
    const struct match *m = &s->match;
    const struct gnt_tree_node *w = atomic_load_explicit(&m->node->wild, memory_order_acquire);
    if (w)
        fetch_node(w);
    if (m->at <= m->topic->name.size && gnt_tree_named(m->node))
        gnt_tree_table_fetch(m->table, child_key(m));
    return BRANCHES;
}

static enum stage branch(struct search *s)
{
    struct match *m = &s->match;
    const struct gnt_tree_node *hash = NULL;
    s->plus = NULL;
    if (m->depth || !m->hidden)
        hash = gnt_tree_wild(m->node, &s->plus);
    if (hash)
        gnt_tree_subs_each(hash, m->found, m->context);
    if (m->at > m->topic->name.size) {
        gnt_tree_subs_each(m->node, m->found, m->context);
        return back(m);
    }
    if (hash && s->plus)
        fetch_node(s->plus);
    const struct gnt_tree_node *child =
        gnt_tree_named(m->node) ? gnt_tree_table_guess(m->table, child_key(m)) : NULL;
    if (child)
        fetch_node(child);
    return CHOOSES;
}

static enum stage choose(struct search *s)
{
    struct match *m = &s->match;
    uint64_t hash;
    struct gnt_slice level = next_level(m, &hash);
    const struct gnt_tree_node *child = named_child(m, level, hash);
    if (!child)
        child = s->plus;
    if (!child)
        return back(m);
    m->node = child;
    m->depth++;
    m->at += level.size + 1;
    return ARRIVES;
}

static void step(struct search *s)
{
    if (s->stage == CHOOSES)
        s->stage = choose(s);
    if (s->stage == ARRIVES)
        s->stage = arrive(s);
    else if (s->stage == BRANCHES)
        s->stage = branch(s);
}

void gnt_tree_match_many(const struct gnt_tree *tree, const struct gnt_slice *names, unsigned count,
                         void (*found)(void *context, unsigned name, uint64_t sink,
                                       const struct gnt_sub_options *options),
                         void *context)
{
    struct search searches[GNT_TREE_MANY], *going[GNT_TREE_MANY];
    GNT_ASSERT(count <= GNT_TREE_MANY);
    for (unsigned i = 0; i < count; i++) {
        struct search *s = going[i] = &searches[i];
        topic_init(&s->topic, names[i]);
        match_init(&s->match, tree, &s->topic);
        s->match.found = tell;
        s->match.context = s;
        s->stage = ARRIVES;
        s->found = found;
        s->context = context;
        s->name = i;
    }
    for (unsigned left = count; left;) {
        for (unsigned i = 0; i < left;) {
            step(going[i]);
            if (going[i]->stage == ENDS)
                going[i] = going[--left];
            else
                i++;
        }
    }
}

bool gnt_tree_large(const struct gnt_tree *tree)
{
    return gnt_tree_table_large(table_of(tree));
}
