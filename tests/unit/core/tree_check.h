/* What the tests of the topic tree share: its invariants, and random topics. */
#ifndef GNT_TESTS_TREE_CHECK_H
#define GNT_TESTS_TREE_CHECK_H

#include "support/unit.h"

#include "base/random.h"
#include "core/tree_node.h"

static inline struct gnt_tree *tree_new(void)
{
    struct gnt_tree *tree;
    assert_int_equal(gnt_tree_new(&tree), GNT_OK);
    return tree;
}

/* ---- Invariants */

static size_t nodes_checked;

/* Each node has a reason to be there, and is on the trail if and only if it leads somewhere. */
static inline void check_node(struct gnt_tree_node *node)
{
    nodes_checked++;
    bool leads = node->retained || node->pins || node->trail.first;
    assert_true(leads || gnt_tree_has_children(node) || gnt_tree_subs_any(node));
    assert_int_equal(gnt_tree_node_marked(node), leads);
    uint32_t marked = 0;
    for (const struct gnt_tree_node *child = node->trail.first; child; child = child->trail.next) {
        assert_ptr_equal(child->parent, node);
        marked++;
    }
    assert_true(marked <= gnt_tree_named(node));
}

static inline uint32_t reach_of(const struct gnt_tree_node *node)
{
    return node ? node->reach : 0;
}

/* What its parent counts of it is not too little. */
static inline void check_reach(const struct gnt_tree_node *node)
{
    struct gnt_tree_node *parent = node->parent;
    const struct gnt_tree_node *plus, *hash = gnt_tree_wild(parent, &plus);
    uint32_t least = 1 + reach_of(plus) + reach_of(hash);
    if (node != plus && node != hash)
        least += node->reach;
    assert_true(node->reach > 0);
    assert_true(parent->reach >= least);
    if (!gnt_tree_named(parent))
        assert_int_equal(parent->reach, least);
}

/* NODE and all that is reached from it by wildcards alone. */
static inline void check_chain(struct gnt_tree_node *node)
{
    for (; node; node = atomic_load(&node->wild)) {
        if (node->parent) {
            check_node(node);
            check_reach(node);
        }
    }
}

/* Returns how many nodes there are without the root. */
static inline size_t check_tree(struct gnt_tree *tree)
{
    nodes_checked = 0;
    gnt_tree_table_each(atomic_load(&tree->table), check_chain);
    check_chain(tree->root);
    return nodes_checked;
}

/* ---- Random topics */

/* A topic name of one to four levels from few words, or a filter: so that many match. */
static inline struct gnt_slice random_topic(struct gnt_seeded *g, bool filter, char out[64])
{
    static const char *const words[] = {"a", "b", "", "$s", "longer level", "+", "+", "#"};
    size_t levels = 1 + gnt_seeded_next(g) % 4, size = 0;
    for (size_t i = 0; i < levels; i++) {
        const char *word = words[gnt_seeded_next(g) % (filter ? COUNT_OF(words) : 5)];
        if (i)
            out[size++] = '/';
        size_t length = strlen(word);
        memcpy(out + size, word, length);
        size += length;
        if (word[0] == '#')
            break;
    }
    if (size == 0)
        out[size++] = '/'; /* an empty topic is none */
    return gnt_slice(out, size);
}

/* ---- Matching */

struct hit {
    uint64_t sink;
    struct gnt_sub_options options;
};

struct hits {
    struct hit *all;
    size_t count, cap;
};

static inline void found(void *context, uint64_t sink, const struct gnt_sub_options *options)
{
    struct hits *h = context;
    assert_true(h->count < h->cap);
    h->all[h->count++] = (struct hit){sink, *options};
}

static inline size_t matches(const struct gnt_tree *tree, struct gnt_slice topic)
{
    struct hit all[16];
    struct hits hits = {.all = all, .cap = COUNT_OF(all)};
    gnt_tree_match(tree, topic, found, &hits);
    return hits.count;
}

static inline struct gnt_tree_node *subscribe(struct gnt_tree *tree, struct gnt_slice filter,
                                              uint64_t sink)
{
    bool existed = true;
    struct gnt_tree_node *node = NULL;
    struct gnt_sub_options options = {0};
    assert_int_equal(gnt_tree_subscribe(tree, filter, sink, &options, &existed, &node), GNT_OK);
    assert_false(existed);
    return node;
}

#endif
