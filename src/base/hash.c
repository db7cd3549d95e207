#include "base/hash.h"

#include "base/assert.h"

#include <stdlib.h>

enum { FIRST_BUCKETS = 2, MASK_MAX = INT32_MAX };

static uint64_t key[2] = {UINT64_C(0x676e617474657221), UINT64_C(0x6d7174742b616d71)};

void gnt_hash_seed(const struct gnt_random *random)
{
    key[0] = gnt_random_u64(random);
    key[1] = gnt_random_u64(random);
}

static inline uint64_t rotl(uint64_t x, int b)
{
    return x << b | x >> (64 - b);
}

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1, s->v1 = rotl(s->v1, 13) ^ s->v0, s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3, s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3, s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1, s->v1 = rotl(s->v1, 17) ^ s->v2, s->v2 = rotl(s->v2, 32);
}

static inline uint64_t hash(uint64_t k0, uint64_t k1, struct gnt_slice bytes)
{
    struct sip s = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
                    k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
    const uint8_t *p = bytes.data;
    size_t left = bytes.size;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t m;
        memcpy(&m, p, 8);
        s.v3 ^= m;
        sip_round(&s);
        s.v0 ^= m;
    }
    uint64_t last = (uint64_t)bytes.size << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)p[i] << (8 * i);
    s.v3 ^= last;
    sip_round(&s);
    s.v0 ^= last;
    s.v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t gnt_hash(struct gnt_slice bytes)
{
    return hash(key[0], key[1], bytes);
}

uint64_t gnt_hash_with(const uint64_t own_key[2], struct gnt_slice bytes)
{
    return hash(own_key[0], own_key[1], bytes);
}

void gnt_map_fini(struct gnt_map *m)
{
    free(m->buckets);
    *m = (struct gnt_map){0};
}

static void grow(struct gnt_map *m)
{
    size_t size = m->buckets ? ((size_t)m->mask + 1) * 2 : FIRST_BUCKETS;
    struct gnt_map_node **buckets = m->mask < MASK_MAX ? calloc(size, sizeof *buckets) : NULL;
    if (!buckets)
        return;
    for (size_t i = 0; m->buckets && i <= m->mask; i++) {
        for (struct gnt_map_node *node = m->buckets[i], *next; node; node = next) {
            next = node->next;
            struct gnt_map_node **head = &buckets[node->hash & (size - 1)];
            node->next = *head;
            *head = node;
        }
    }
    free(m->buckets);
    m->buckets = buckets;
    m->mask = (uint32_t)(size - 1);
}

gnt_err gnt_map_insert(struct gnt_map *m, struct gnt_map_node *node, uint64_t hash)
{
    if (m->count == UINT32_MAX)
        return GNT_FULL;
    if (!m->buckets || m->count > m->mask)
        grow(m);
    if (!m->buckets)
        return GNT_NOMEM;
    struct gnt_map_node **head = &m->buckets[hash & m->mask];
    node->hash = hash;
    node->next = *head;
    *head = node;
    m->count++;
    return GNT_OK;
}

void gnt_map_remove(struct gnt_map *m, struct gnt_map_node *node)
{
    struct gnt_map_node **at = &m->buckets[node->hash & m->mask];
    while (*at != node) {
        GNT_ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    m->count--;
}

static struct gnt_map_node *with_hash(struct gnt_map_node *node, uint64_t hash)
{
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct gnt_map_node *gnt_map_first(const struct gnt_map *m, uint64_t hash)
{
    return m->buckets ? with_hash(m->buckets[hash & m->mask], hash) : NULL;
}

struct gnt_map_node *gnt_map_next(const struct gnt_map_node *node)
{
    return with_hash(node->next, node->hash);
}

struct gnt_map_node *gnt_map_walk(const struct gnt_map *m, struct gnt_map_cursor *cursor)
{
    while (!cursor->next) {
        if (!m->buckets || cursor->bucket > m->mask)
            return NULL;
        cursor->next = m->buckets[cursor->bucket++];
    }
    struct gnt_map_node *node = cursor->next;
    cursor->next = node->next;
    return node;
}
