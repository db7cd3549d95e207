#include "auth/guess.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct entry {
    struct gnt_map_node node;
    struct gnt_list by_age; /* in `used`, the latest failure at the back; else in `unused` */
    struct gnt_guess_source source;
    uint32_t failures;
    uint64_t until; /* the window, or the block, ends */
    bool blocked;
};

struct gnt_guess {
    pthread_mutex_t mutex; /* Guards all but `count`, for a few instructions; the innermost lock. */
    struct gnt_guess_limits limits;
    struct gnt_map map;
    struct gnt_list used, unused;
    _Atomic uint32_t count; /* in `used`; changed under the lock, read without it */
    struct entry entries[GNT_GUESS_SOURCES];
};

/* ---- Sources */

static struct gnt_guess_source source_of_v4(const uint8_t address[4])
{
    struct gnt_guess_source s = {.family = 4, .loopback = address[0] == 127};
    memcpy(s.bytes, address, 4);
    return s;
}

static struct gnt_guess_source source_of_v6(const struct in6_addr *address)
{
    if (IN6_IS_ADDR_V4MAPPED(address))
        return source_of_v4(address->s6_addr + 12);
    struct gnt_guess_source s = {.family = 6, .loopback = IN6_IS_ADDR_LOOPBACK(address)};
    memcpy(s.bytes, address->s6_addr, sizeof s.bytes);
    return s;
}

struct gnt_guess_source gnt_guess_source(const struct sockaddr *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    switch (address->sa_family) {
    case AF_INET: memcpy(&v4, address, sizeof v4); return source_of_v4((uint8_t *)&v4.sin_addr);
    case AF_INET6: memcpy(&v6, address, sizeof v6); return source_of_v6(&v6.sin6_addr);
    default: return (struct gnt_guess_source){.family = 0};
    }
}

static bool same(const struct gnt_guess_source *a, const struct gnt_guess_source *b)
{
    return a->family == b->family && a->loopback == b->loopback &&
           memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static uint64_t hash_of(const struct gnt_guess_source *s)
{
    return gnt_hash_mix(gnt_hash(gnt_slice(s->bytes, sizeof s->bytes)),
                        (uint64_t)s->family << 1 | s->loopback);
}

/* ---- The table; all with the lock */

static struct entry *find(const struct gnt_guess *g, const struct gnt_guess_source *source)
{
    struct gnt_map_node *node = gnt_map_first(&g->map, hash_of(source));
    for (; node; node = gnt_map_next(node)) {
        struct entry *e = GNT_CONTAINER(node, struct entry, node);
        if (same(&e->source, source))
            return e;
    }
    return NULL;
}

static void forget(struct gnt_guess *g, struct entry *e)
{
    gnt_map_remove(&g->map, &e->node);
    gnt_list_remove(&e->by_age);
    gnt_list_push_back(&g->unused, &e->by_age);
    atomic_fetch_sub(&g->count, 1);
}

/* NULL: out of memory. */
static struct entry *remember(struct gnt_guess *g, const struct gnt_guess_source *source,
                              uint64_t now)
{
    if (gnt_list_empty(&g->unused))
        forget(g, GNT_CONTAINER(g->used.next, struct entry, by_age));
    struct entry *e = GNT_CONTAINER(g->unused.next, struct entry, by_age);
    e->source = *source;
    e->failures = 0;
    e->blocked = false;
    e->until = gnt_deadline(now, g->limits.window_ns);
    if (gnt_map_insert(&g->map, &e->node, hash_of(source)))
        return NULL;
    gnt_list_remove(&e->by_age);
    gnt_list_push_back(&g->used, &e->by_age);
    atomic_fetch_add(&g->count, 1);
    return e;
}

/* The entry of SOURCE, unless its time is over. */
static struct entry *current(struct gnt_guess *g, const struct gnt_guess_source *source,
                             uint64_t now)
{
    struct entry *e = find(g, source);
    if (e && e->until <= now) {
        forget(g, e);
        return NULL;
    }
    return e;
}

static uint64_t delay_of(const struct gnt_guess_limits *l, uint32_t failures)
{
    if (failures <= l->free)
        return 0;
    uint64_t delay = l->delay_ns;
    for (uint32_t n = failures - l->free; n > 1 && delay < l->delay_most_ns; n--)
        delay = delay > UINT64_MAX / 2 ? UINT64_MAX : delay * 2;
    return delay < l->delay_most_ns ? delay : l->delay_most_ns;
}

/* Whether it has been blocked by this failure. */
static bool count(struct gnt_guess *g, struct entry *e, uint64_t now)
{
    if (e->failures < UINT32_MAX)
        e->failures++;
    gnt_list_remove(&e->by_age);
    gnt_list_push_back(&g->used, &e->by_age);
    if (e->blocked || e->source.loopback || !g->limits.most || e->failures < g->limits.most)
        return false;
    e->blocked = true;
    e->until = gnt_deadline(now, g->limits.block_ns);
    return true;
}

/* ---- From outside */

gnt_err gnt_guess_new(const struct gnt_guess_limits *limits, struct gnt_guess **out)
{
    struct gnt_guess *g = calloc(1, sizeof *g);
    if (!g)
        return GNT_NOMEM;
    pthread_mutex_init(&g->mutex, NULL);
    g->limits = *limits;
    gnt_list_init(&g->used);
    gnt_list_init(&g->unused);
    for (size_t i = 0; i < GNT_GUESS_SOURCES; i++)
        gnt_list_push_back(&g->unused, &g->entries[i].by_age);
    *out = g;
    return GNT_OK;
}

void gnt_guess_free(struct gnt_guess **guess)
{
    struct gnt_guess *g = *guess;
    *guess = NULL;
    if (!g)
        return;
    gnt_map_fini(&g->map);
    pthread_mutex_destroy(&g->mutex);
    free(g);
}

void gnt_guess_limit(struct gnt_guess *guess, const struct gnt_guess_limits *limits)
{
    pthread_mutex_lock(&guess->mutex);
    guess->limits = *limits;
    pthread_mutex_unlock(&guess->mutex);
}

uint64_t gnt_guess_blocked(struct gnt_guess *guess, const struct gnt_guess_source *source,
                           uint64_t now)
{
    uint64_t left = 0;
    if (!source->family || atomic_load_explicit(&guess->count, memory_order_relaxed) == 0)
        return 0;
    pthread_mutex_lock(&guess->mutex);
    const struct entry *e = current(guess, source, now);
    if (e && e->blocked && guess->limits.most)
        left = e->until - now;
    pthread_mutex_unlock(&guess->mutex);
    return left;
}

bool gnt_guess_failed(struct gnt_guess *guess, const struct gnt_guess_source *source, uint64_t now,
                      uint64_t *delay_ns)
{
    *delay_ns = 0;
    if (!source->family)
        return false;
    pthread_mutex_lock(&guess->mutex);
    struct entry *e = current(guess, source, now);
    if (!e)
        e = remember(guess, source, now);
    bool blocked = e && count(guess, e, now);
    if (e)
        *delay_ns = delay_of(&guess->limits, e->failures);
    pthread_mutex_unlock(&guess->mutex);
    return blocked;
}
