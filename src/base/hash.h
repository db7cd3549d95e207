/* Keyed hashing, and a hash table of nodes that live inside what they index.
 *
 * Keys come from peers (client ids, topic names), so the hash is SipHash-1-3 under a random key:
 * who does not know the key cannot aim at one chain.  gnt_hash_seed() sets it once, before any
 * table is used; without it the key is fixed, which tests and simulations want. */
#ifndef GNT_BASE_HASH_H
#define GNT_BASE_HASH_H

#include "base/err.h"
#include "base/random.h"
#include "base/slice.h"

void gnt_hash_seed(const struct gnt_random *random);
uint64_t gnt_hash(struct gnt_slice bytes);

/* Under a key of its own, for what has to be the same in the next process; read and written as
 * little-endian. */
uint64_t gnt_hash_with(const uint64_t own_key[2], struct gnt_slice bytes);

/* Mixes a number into a hash, for keys of several parts and for integer keys. */
static inline uint64_t gnt_hash_mix(uint64_t hash, uint64_t value)
{
    uint64_t z = (hash ^ value) * UINT64_C(0xff51afd7ed558ccd);
    z = (z ^ (z >> 32)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return z ^ (z >> 32);
}

struct gnt_map_node {
    struct gnt_map_node *next;
    uint64_t hash;
};

/* Chained; doubles at one node a bucket.  Owns the buckets, never the nodes.  One thread.  A zeroed
 * gnt_map is an empty one.  If growing fails for lack of memory the table stays slower, not wrong.
 */
struct gnt_map {
    struct gnt_map_node **buckets;
    uint32_t mask; /* buckets - 1, a power of two less one; meaningless while buckets is NULL */
    uint32_t count;
};

void gnt_map_fini(struct gnt_map *m);

/* GNT_NOMEM only for the very first buckets; GNT_FULL: there are 2^32 - 1 nodes. */
GNT_MUST gnt_err gnt_map_insert(struct gnt_map *m, struct gnt_map_node *node, uint64_t hash);

/* NODE must be in M. */
void gnt_map_remove(struct gnt_map *m, struct gnt_map_node *node);

/* The first node with HASH at or after NODE's place in the chain: start with gnt_map_first, go on
 * with gnt_map_next, and compare the keys yourself. */
struct gnt_map_node *gnt_map_first(const struct gnt_map *m, uint64_t hash);
struct gnt_map_node *gnt_map_next(const struct gnt_map_node *node);

/* Some order over all nodes: start with a zeroed cursor; NULL at the end.  No insertion in between;
 * the node that was returned last may be removed. */
struct gnt_map_cursor {
    size_t bucket;
    struct gnt_map_node *next;
};
struct gnt_map_node *gnt_map_walk(const struct gnt_map *m, struct gnt_map_cursor *cursor);

#endif
