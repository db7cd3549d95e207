/* How many nodes one topic name can lead to at most, kept up to date with every change.
 *
 * From a node a name leads on to `+`, to `#`, and to one of the other children.  So a node reaches
 * itself, what its `+` and `#` reach, and the most that one other child does: an upper bound, since
 * the levels of a name cannot always be chosen for all places at once.  It may be too high for a
 * while after children have gone, never too low. */
#include "core/tree_node.h"

enum { WIDE = 32 }; /* a child that reaches more is counted in its parent */

static bool is_wild(const struct gnt_tree_node *node)
{
    return gnt_tree_is_wild(gnt_tree_node_level(node));
}

/* NODE itself and what its wildcards reach. */
static uint32_t without_named(const struct gnt_tree_node *node)
{
    const struct gnt_tree_node *plus, *hash = gnt_tree_wild(node, &plus);
    return 1 + (plus ? plus->reach : 0) + (hash ? hash->reach : 0);
}

/* What NODE reaches once a child of it reaches TO instead of FROM. */
static uint32_t raised(const struct gnt_tree_node *node, bool wild, uint32_t from, uint32_t to)
{
    uint32_t now = node->reach ? node->reach : 1; /* 0: not counted yet */
    if (wild)
        return now + (to - from);
    uint32_t by_child = without_named(node) + to;
    return by_child > now ? by_child : now;
}

bool gnt_tree_reach_allows(const struct gnt_tree *tree, const struct gnt_tree_node *node, bool wild,
                           uint32_t levels)
{
    uint32_t from = 0, to = levels;
    for (; node; node = node->parent) {
        uint32_t more = raised(node, wild, from, to);
        if (more == node->reach)
            return true;
        from = node->reach;
        to = more;
        wild = is_wild(node);
    }
    return to <= tree->reach_max;
}

void gnt_tree_reach_added(struct gnt_tree_node *node)
{
    uint32_t from = 0, to = 1;
    for (struct gnt_tree_node *parent; (parent = node->parent); node = parent) {
        node->reach = to;
        bool wild = is_wild(node);
        parent->wide += !wild && from <= WIDE && to > WIDE;
        uint32_t more = raised(parent, wild, from, to);
        if (more == parent->reach)
            return;
        from = parent->reach;
        to = more;
    }
    node->reach = to;
}

/* What NODE reaches now that a child without a wildcard reaches TO, which is less than before. */
static uint32_t lowered(const struct gnt_tree_node *node, uint32_t to)
{
    uint32_t rest = without_named(node);
    if (gnt_tree_named(node) == (to != 0))
        return rest + to; /* there is no other one */
    if (node->wide == 0 && node->reach > rest + WIDE)
        return rest + WIDE;
    return node->reach;
}

void gnt_tree_reach_removed(struct gnt_tree_node *node)
{
    uint32_t from = node->reach, to = 0;
    for (struct gnt_tree_node *parent; (parent = node->parent); node = parent) {
        bool wild = is_wild(node);
        parent->wide -= !wild && from > WIDE && to <= WIDE;
        uint32_t less = wild ? parent->reach - (from - to) : lowered(parent, to);
        if (less == parent->reach)
            return;
        from = parent->reach;
        to = parent->reach = less;
    }
}
