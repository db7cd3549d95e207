#include "store/ordered.h"

#include "base/assert.h"
#include "base/hash.h"

int gnt_ordered_compare(struct gnt_slice a, struct gnt_slice b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Cuts TREE into what is before KEY and what is behind it; KEY itself is not in it. */
static void split(struct gnt_ordered_node *tree, struct gnt_slice key,
                  struct gnt_ordered_node **before, struct gnt_ordered_node **behind)
{
    while (tree) {
        if (gnt_ordered_compare(tree->key, key) < 0) {
            *before = tree;
            before = &tree->child[1];
            tree = tree->child[1];
        } else {
            *behind = tree;
            behind = &tree->child[0];
            tree = tree->child[0];
        }
    }
    *before = *behind = NULL;
}

/* Joins two trees, all of BEFORE being before all of BEHIND, at *link. */
static void join(struct gnt_ordered_node **link, struct gnt_ordered_node *before,
                 struct gnt_ordered_node *behind)
{
    while (before && behind) {
        if (before->priority > behind->priority) {
            *link = before;
            link = &before->child[1];
            before = before->child[1];
        } else {
            *link = behind;
            link = &behind->child[0];
            behind = behind->child[0];
        }
    }
    *link = before ? before : behind;
}

/* The link that leads to KEY, or the empty one where it would hang if there were no priorities. */
static struct gnt_ordered_node **link_to(struct gnt_ordered *o, struct gnt_slice key)
{
    struct gnt_ordered_node **link = &o->root;
    for (int order; *link && (order = gnt_ordered_compare(key, (*link)->key)) != 0;)
        link = &(*link)->child[order > 0];
    return link;
}

struct gnt_ordered_node *gnt_ordered_insert(struct gnt_ordered *o, struct gnt_ordered_node *node)
{
    struct gnt_ordered_node **link = link_to(o, node->key), *old = *link;
    if (old) {
        node->priority = old->priority;
        node->child[0] = old->child[0];
        node->child[1] = old->child[1];
        *link = node;
        return old;
    }
    node->priority = gnt_hash(node->key);
    link = &o->root;
    while (*link && (*link)->priority >= node->priority)
        link = &(*link)->child[gnt_ordered_compare(node->key, (*link)->key) > 0];
    split(*link, node->key, &node->child[0], &node->child[1]);
    *link = node;
    o->count++;
    return NULL;
}

void gnt_ordered_remove(struct gnt_ordered *o, struct gnt_ordered_node *node)
{
    struct gnt_ordered_node **link = link_to(o, node->key);
    GNT_ASSERT(*link == node);
    join(link, node->child[0], node->child[1]);
    o->count--;
}

struct gnt_ordered_node *gnt_ordered_find(const struct gnt_ordered *o, struct gnt_slice key)
{
    struct gnt_ordered_node *node = o->root;
    for (int order; node && (order = gnt_ordered_compare(key, node->key)) != 0;)
        node = node->child[order > 0];
    return node;
}

/* The first node at KEY or behind it, or strictly BEHIND it. */
static struct gnt_ordered_node *bound(const struct gnt_ordered *o, struct gnt_slice key,
                                      bool behind)
{
    struct gnt_ordered_node *best = NULL;
    for (struct gnt_ordered_node *node = o->root; node;) {
        int order = gnt_ordered_compare(node->key, key);
        bool enough = order > 0 || (order == 0 && !behind);
        if (enough)
            best = node;
        node = node->child[!enough];
    }
    return best;
}

struct gnt_ordered_node *gnt_ordered_from(const struct gnt_ordered *o, struct gnt_slice key)
{
    return bound(o, key, false);
}

struct gnt_ordered_node *gnt_ordered_after(const struct gnt_ordered *o, struct gnt_slice key)
{
    return bound(o, key, true);
}
