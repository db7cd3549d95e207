/* The randomness door.  The system's source is the kernel's; a seeded one gives simulations and
 * tests the same numbers again.  A seeded source is not for secrets. */
#ifndef GNT_BASE_RANDOM_H
#define GNT_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct gnt_random {
    void (*fill)(void *self, void *out, size_t size);
    void *self;
};

/* getrandom(2); any thread. */
extern const struct gnt_random gnt_random_system;

/* A seeded generator (SplitMix64); one thread.  Give &g->door to whoever wants a gnt_random. */
struct gnt_seeded {
    uint64_t state;
    struct gnt_random door;
};

void gnt_seeded_init(struct gnt_seeded *g, uint64_t seed);
uint64_t gnt_seeded_next(struct gnt_seeded *g);

static inline uint64_t gnt_random_u64(const struct gnt_random *r)
{
    uint64_t v;
    r->fill(r->self, &v, sizeof v);
    return v;
}

/* Uniform enough in [0, n); n > 0. */
static inline uint64_t gnt_random_below(const struct gnt_random *r, uint64_t n)
{
    return gnt_random_u64(r) % n;
}

#endif
