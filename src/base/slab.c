#include "base/slab.h"

#include "base/asan.h"
#include "base/list.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HEADER = 64 };

struct item {
    struct item *next;
};

struct gnt_slab {
    struct gnt_slabs *owner;
    struct gnt_slab *next, *prev; /* among those with room */
    struct item *free;
    size_t live;
    size_t fresh; /* where the part begins that has never been used */
};

_Static_assert(sizeof(struct gnt_slab) <= HEADER, "the items begin behind the header");

static struct gnt_slab *slab_of(void *item)
{
    uintptr_t inside = (uintptr_t)item & (GNT_SLAB_SIZE - 1);
    return (struct gnt_slab *)(void *)((char *)item - inside);
}

static bool has_room(const struct gnt_slab *s)
{
    return s->free || s->fresh + s->owner->item <= GNT_SLAB_SIZE;
}

static void link_in(struct gnt_slab *s)
{
    struct gnt_slabs *o = s->owner;
    s->prev = NULL;
    s->next = o->partial;
    if (o->partial)
        o->partial->prev = s;
    o->partial = s;
}

static void take_out(struct gnt_slab *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        s->owner->partial = s->next;
    if (s->next)
        s->next->prev = s->prev;
}

/* 2 MiB at a multiple of it, zeroed; NULL: no memory. */
static void *map_slab(void)
{
    char *all = mmap(NULL, 2 * (size_t)GNT_SLAB_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        return NULL;
    size_t before = GNT_SLAB_SIZE - ((uintptr_t)all & (GNT_SLAB_SIZE - 1));
    (void)munmap(all, before);
    (void)munmap(all + before + GNT_SLAB_SIZE, GNT_SLAB_SIZE - before);
    return all + before;
}

/* On the thread that reclaims. */
static void make_spare(struct gnt_rcu_head *head)
{
    struct gnt_slabs *slabs = GNT_CONTAINER(head, struct gnt_slabs, order);
    void *spare = map_slab();
    if (spare) {
        (void)madvise(spare, GNT_SLAB_SIZE, MADV_HUGEPAGE); /* without it is slower, not wrong */
        memset(spare, 0, GNT_SLAB_SIZE);
    }
    pthread_mutex_lock(&slabs->lock);
    slabs->spare = spare;
    slabs->ordered = false;
    pthread_mutex_unlock(&slabs->lock);
}

static struct gnt_slab *slab_new(struct gnt_slabs *slabs)
{
    struct gnt_slab *s = slabs->spare ? slabs->spare : map_slab();
    if (!s)
        return NULL;
    slabs->spare = NULL;
    if (!slabs->ordered) {
        slabs->ordered = true;
        gnt_rcu_defer(&slabs->order, make_spare);
    }
    *s = (struct gnt_slab){.owner = slabs, .fresh = HEADER};
    link_in(s);
    return s;
}

/* The item that is got next has probably been in no cache of this core. */
__attribute__((always_inline)) static inline void fetch_next(const struct gnt_slab *s)
{
    const char *next = s->free ? (const char *)s->free : (const char *)s + s->fresh;
    __builtin_prefetch(next, 1);
    __builtin_prefetch(next + 64, 1);
}

static void *get_from(struct gnt_slab *s)
{
    struct item *item = s->free;
    if (item) {
        s->free = item->next;
    } else {
        item = (struct item *)(void *)((char *)s + s->fresh);
        s->fresh += s->owner->item;
    }
    s->live++;
    if (!has_room(s))
        take_out(s);
    fetch_next(s);
    return item;
}

void *gnt_slab_get(struct gnt_slabs *slabs)
{
    if (GNT_ASAN)
        return aligned_alloc(HEADER, (slabs->item + HEADER - 1) / HEADER * HEADER);
    pthread_mutex_lock(&slabs->lock);
    struct gnt_slab *s = slabs->partial ? slabs->partial : slab_new(slabs);
    void *item = s ? get_from(s) : NULL;
    pthread_mutex_unlock(&slabs->lock);
    return item;
}

/* One empty slab stays if it is the only one with room: else one item that comes and goes would be
 * a slab that comes and goes. */
void gnt_slab_put(void *freed)
{
    if (GNT_ASAN) {
        free(freed);
        return;
    }
    struct gnt_slab *s = slab_of(freed);
    struct gnt_slabs *slabs = s->owner;
    struct item *item = freed;
    pthread_mutex_lock(&slabs->lock);
    if (!has_room(s))
        link_in(s);
    item->next = s->free;
    s->free = item;
    bool empty = --s->live == 0 && (s->next || s->prev);
    if (empty)
        take_out(s);
    pthread_mutex_unlock(&slabs->lock);
    if (empty)
        (void)munmap(s, GNT_SLAB_SIZE);
}
