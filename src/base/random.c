#include "base/random.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static void system_fill(void *self, void *out, size_t size)
{
    (void)self;
    for (size_t done = 0; done < size;) {
        ssize_t n = getrandom((char *)out + done, size - done, 0);
        GNT_ASSERT(n > 0 || errno == EINTR); /* cannot fail once the kernel's pool is filled */
        if (n > 0)
            done += (size_t)n;
    }
}

const struct gnt_random gnt_random_system = {system_fill, NULL};

static void seeded_fill(void *self, void *out, size_t size)
{
    for (size_t done = 0; done < size;) {
        uint64_t v = gnt_seeded_next(self);
        size_t n = size - done < sizeof v ? size - done : sizeof v;
        memcpy((char *)out + done, &v, n);
        done += n;
    }
}

void gnt_seeded_init(struct gnt_seeded *g, uint64_t seed)
{
    g->state = seed;
    g->door = (struct gnt_random){seeded_fill, g};
}

uint64_t gnt_seeded_next(struct gnt_seeded *g)
{
    uint64_t z = g->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
