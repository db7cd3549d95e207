#include "core/slots.h"

#include "base/assert.h"

#include <stdlib.h>

enum { SLOTS_MAX = 1 << 28, GENERATION_MASK = (1 << 28) - 1 };

struct gnt_slot {
    struct gnt_sink *sink; /* NULL: free */
    uint32_t generation;   /* of the sink that is or was here; starts at 1, so that no id is 0 */
    uint32_t next_free;    /* 1 + slot, while free */
};

void gnt_slots_fini(struct gnt_slots *s)
{
    free(s->slot);
    *s = (struct gnt_slots){0};
}

static gnt_err grow(struct gnt_slots *s)
{
    uint32_t cap = s->cap ? s->cap * 2 : 64;
    if (cap > SLOTS_MAX)
        return GNT_FULL;
    struct gnt_slot *slot = realloc(s->slot, cap * sizeof *slot);
    if (!slot)
        return GNT_NOMEM;
    s->slot = slot;
    s->cap = cap;
    return GNT_OK;
}

gnt_err gnt_slots_add(struct gnt_slots *s, unsigned home, struct gnt_sink *sink)
{
    uint32_t i;
    if (s->free) {
        i = s->free - 1;
        s->free = s->slot[i].next_free;
    } else {
        if (s->count == s->cap) {
            gnt_err err = grow(s);
            if (err)
                return err;
        }
        i = s->count++;
        s->slot[i].generation = 0;
    }
    uint32_t generation = (s->slot[i].generation + 1) & GENERATION_MASK;
    s->slot[i].generation = generation ? generation : 1;
    s->slot[i].sink = sink;
    sink->id = gnt_sink_id(home, i, s->slot[i].generation);
    return GNT_OK;
}

void gnt_slots_remove(struct gnt_slots *s, struct gnt_sink *sink)
{
    uint32_t i = gnt_sink_slot(sink->id);
    GNT_ASSERT(i < s->count && s->slot[i].sink == sink);
    s->slot[i].sink = NULL;
    s->slot[i].next_free = s->free;
    s->free = i + 1;
    sink->id = 0;
}

struct gnt_sink *gnt_slots_find(const struct gnt_slots *s, uint64_t id)
{
    uint32_t i = gnt_sink_slot(id);
    if (i >= s->count || s->slot[i].generation != gnt_sink_generation(id))
        return NULL;
    return s->slot[i].sink;
}

struct gnt_sink *gnt_slots_next(const struct gnt_slots *s, uint32_t *at)
{
    while (*at < s->count) {
        struct gnt_sink *sink = s->slot[(*at)++].sink;
        if (sink)
            return sink;
    }
    return NULL;
}
