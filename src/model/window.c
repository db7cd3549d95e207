#include "model/window.h"

#include "base/assert.h"

#include <stdlib.h>

enum {
    IDS = 65535,   /* 1 to 65535 */
    FIRST_CAP = 8, /* slots */
};

#define TO(state) (1u << GNT_FLIGHT_##state)

/* The allowed moves: a row for each state, a bit for each state that may follow. */
static const uint8_t next_states[] = {
    [GNT_FLIGHT_NONE] = TO(PUBLISHED) | TO(REQUESTED) | TO(RELEASED),
    [GNT_FLIGHT_PUBLISHED] = TO(RELEASED) | TO(NONE),
    [GNT_FLIGHT_RELEASED] = TO(NONE),
    [GNT_FLIGHT_REQUESTED] = TO(NONE),
};

/* Ids are reckoned modulo 65536.  0, which is none, is a hole that never fills. */

static struct gnt_flight *slot(const struct gnt_window *w, uint16_t id)
{
    return &w->ring[id & w->mask];
}

static uint16_t id_after(uint16_t id)
{
    return id == IDS ? 1 : (uint16_t)(id + 1);
}

/* How far ID is behind the first in flight. */
static uint16_t distance(const struct gnt_window *w, uint16_t id)
{
    return (uint16_t)(id - w->first);
}

/* From the first in flight to the last id, holes included. */
static bool in_stretch(const struct gnt_window *w, uint16_t id)
{
    return w->count && distance(w, id) <= distance(w, w->last);
}

/* The one mover.  A message is there exactly while the flight is PUBLISHED. */
static void move(struct gnt_flight *flight, enum gnt_flight_state to)
{
    GNT_ASSERT(next_states[flight->state] & 1u << to);
    flight->state = (uint8_t)to;
    if (to != GNT_FLIGHT_PUBLISHED && to != GNT_FLIGHT_REQUESTED) {
        gnt_message_unref(&flight->message);
        gnt_sub_ids_fini(&flight->ids);
    }
    GNT_ASSERT((flight->message != NULL) == (to == GNT_FLIGHT_PUBLISHED));
}

/* What holds between calls. */
static void check(const struct gnt_window *w)
{
    GNT_ASSERT((w->count == 0) == (w->ring == NULL));
    if (w->count == 0)
        return;
    GNT_ASSERT(distance(w, w->last) <= w->mask && w->count <= distance(w, w->last) + 1);
    GNT_ASSERT(slot(w, w->first)->state != GNT_FLIGHT_NONE);
    GNT_ASSERT(slot(w, w->first)->id == w->first);
}

void gnt_window_init(struct gnt_window *w)
{
    *w = (struct gnt_window){0};
}

void gnt_window_fini(struct gnt_window *w)
{
    for (struct gnt_flight *f = NULL; (f = gnt_window_next(w, f));) {
        gnt_message_unref(&f->message);
        gnt_sub_ids_fini(&f->ids);
    }
    free(w->ring);
    gnt_window_init(w);
}

/* Makes the ring at least SPAN slots; what is in flight keeps its place by its id. */
static gnt_err reserve(struct gnt_window *w, uint32_t span)
{
    uint32_t cap = w->ring ? w->mask + 1u : FIRST_CAP;
    if (w->ring && span <= cap)
        return GNT_OK;
    while (cap < span)
        cap *= 2;
    struct gnt_flight *ring = malloc(cap * sizeof *ring);
    if (!ring)
        return GNT_NOMEM;
    for (uint32_t i = 0; w->count && i <= distance(w, w->last); i++) {
        uint16_t id = (uint16_t)(w->first + i);
        ring[id & (cap - 1)] = *slot(w, id);
    }
    free(w->ring);
    w->ring = ring;
    w->mask = (uint16_t)(cap - 1);
    return GNT_OK;
}

/* Puts *flight at ID, which is behind the last one, over holes. */
static gnt_err put(struct gnt_window *w, struct gnt_flight *flight, enum gnt_flight_state state,
                   uint16_t id)
{
    gnt_err err = reserve(w, w->count ? distance(w, id) + 1u : 1);
    if (err)
        return err;
    if (w->count == 0) {
        w->first = id;
        w->last = (uint16_t)(id - 1);
    }
    while (w->last != id) { /* a slot may still hold what was there a round ago */
        w->last++;
        *slot(w, w->last) = (struct gnt_flight){.id = w->last};
    }
    struct gnt_flight *to = slot(w, id);
    *to = *flight;
    to->id = id;
    to->state = GNT_FLIGHT_NONE;
    move(to, state);
    w->count++;
    check(w);
    flight->message = NULL;
    flight->ids = (struct gnt_sub_ids){0};
    return GNT_OK;
}

bool gnt_window_full(const struct gnt_window *w)
{
    return w->count && id_after(w->last) == w->first;
}

gnt_err gnt_window_add(struct gnt_window *w, struct gnt_flight *flight, enum gnt_flight_state state,
                       struct gnt_flight **out)
{
    GNT_ASSERT(state == GNT_FLIGHT_PUBLISHED || state == GNT_FLIGHT_REQUESTED);
    if (gnt_window_full(w))
        return GNT_FULL;
    gnt_err err = put(w, flight, state, id_after(w->last));
    if (!err)
        *out = slot(w, w->last);
    return err;
}

bool gnt_window_takes(const struct gnt_window *w, uint16_t id)
{
    return id && !in_stretch(w, id);
}

gnt_err gnt_window_restore(struct gnt_window *w, struct gnt_flight *flight,
                           enum gnt_flight_state state)
{
    GNT_ASSERT(state != GNT_FLIGHT_NONE);
    if (!gnt_window_takes(w, flight->id))
        return GNT_INVALID;
    return put(w, flight, state, flight->id);
}

struct gnt_flight *gnt_window_find(struct gnt_window *w, uint16_t id)
{
    if (!in_stretch(w, id))
        return NULL;
    struct gnt_flight *flight = slot(w, id);
    return flight->state == GNT_FLIGHT_NONE ? NULL : flight;
}

void gnt_window_release(struct gnt_window *w, struct gnt_flight *flight)
{
    GNT_ASSERT(flight == gnt_window_find(w, flight->id));
    move(flight, GNT_FLIGHT_RELEASED);
}

void gnt_window_remove(struct gnt_window *w, struct gnt_flight *flight)
{
    GNT_ASSERT(flight == gnt_window_find(w, flight->id));
    move(flight, GNT_FLIGHT_NONE);
    w->count--;
    while (w->count && slot(w, w->first)->state == GNT_FLIGHT_NONE)
        w->first++;
    if (w->count == 0) {
        free(w->ring);
        w->ring = NULL;
    }
    check(w);
}

struct gnt_flight *gnt_window_next(struct gnt_window *w, const struct gnt_flight *after)
{
    if (w->count == 0)
        return NULL; /* the ring, and AFTER with it, may be gone */
    uint32_t i = 0;
    /* A hole keeps its id; one that is not in the stretch any more is before its first. */
    if (after && in_stretch(w, after->id))
        i = distance(w, after->id) + 1u;
    for (; i <= distance(w, w->last); i++) {
        struct gnt_flight *flight = slot(w, (uint16_t)(w->first + i));
        if (flight->state != GNT_FLIGHT_NONE)
            return flight;
    }
    return NULL;
}
