/* A map in key order, of nodes that live inside what they index.
 *
 * A treap whose priorities are the keyed hashes of the keys, so that its shape follows from what is
 * in it and nobody can choose keys that make it deep: all calls take O(log n) and none allocates.
 * Keys compare as bytes, a prefix before what it begins.  Owns nothing.  One thread.  A zeroed map
 * is an empty one. */
#ifndef GNT_STORE_ORDERED_H
#define GNT_STORE_ORDERED_H

#include "base/slice.h"

struct gnt_ordered_node {
    struct gnt_slice key; /* filled in before _insert; lives as long as the node is in the map */
    /* private */
    uint64_t priority;
    struct gnt_ordered_node *child[2];
};

struct gnt_ordered {
    struct gnt_ordered_node *root;
    size_t count;
};

/* The order of keys: below, at or over 0. */
int gnt_ordered_compare(struct gnt_slice a, struct gnt_slice b);

/* Puts NODE in; returns the node with the same key that it has pushed out, or NULL. */
struct gnt_ordered_node *gnt_ordered_insert(struct gnt_ordered *o, struct gnt_ordered_node *node);

/* NODE must be in O. */
void gnt_ordered_remove(struct gnt_ordered *o, struct gnt_ordered_node *node);

struct gnt_ordered_node *gnt_ordered_find(const struct gnt_ordered *o, struct gnt_slice key);

/* The first node at or behind KEY, the first one behind it; NULL if there is none. */
struct gnt_ordered_node *gnt_ordered_from(const struct gnt_ordered *o, struct gnt_slice key);
struct gnt_ordered_node *gnt_ordered_after(const struct gnt_ordered *o, struct gnt_slice key);

#endif
