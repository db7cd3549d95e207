#include "model/window.h"

#include "base/assert.h"

#include <stdlib.h>

enum {
    IDS = 65535,   /* 1 to 65535; sequence number 0 is id 1 */
    FIRST_CAP = 8, /* slots */
    KEPT_CAP = 64, /* an empty window gives a larger ring back */
};

#define TO(state) (1u << GNT_FLIGHT_##state)

/* The allowed moves: a row for each state, a bit for each state that may follow. */
static const uint8_t next_states[] = {
    [GNT_FLIGHT_NONE] = TO(PUBLISHED) | TO(REQUESTED) | TO(RELEASED),
    [GNT_FLIGHT_PUBLISHED] = TO(RELEASED) | TO(NONE),
    [GNT_FLIGHT_RELEASED] = TO(NONE),
    [GNT_FLIGHT_REQUESTED] = TO(NONE),
};

static struct gnt_flight *slot(const struct gnt_window *w, uint64_t sequence)
{
    return &w->ring[sequence & (w->cap - 1)];
}

static uint16_t id_of(uint64_t sequence)
{
    return (uint16_t)(sequence % IDS + 1);
}

/* The first sequence number at or over FROM that has the id ID. */
static uint64_t sequence_of(uint16_t id, uint64_t from)
{
    return from + (id - 1u + IDS - from % IDS) % IDS;
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
    GNT_ASSERT(w->head <= w->tail && w->tail - w->head <= IDS);
    GNT_ASSERT(w->count <= w->tail - w->head && w->tail - w->head <= w->cap);
    GNT_ASSERT((w->count == 0) == (w->head == w->tail));
    if (w->count == 0)
        return;
    GNT_ASSERT(slot(w, w->head)->state != GNT_FLIGHT_NONE);
    GNT_ASSERT(slot(w, w->head)->id == id_of(w->head));
}

void gnt_window_init(struct gnt_window *w)
{
    *w = (struct gnt_window){0};
}

void gnt_window_fini(struct gnt_window *w)
{
    for (uint64_t i = w->head; i != w->tail; i++) {
        gnt_message_unref(&slot(w, i)->message);
        gnt_sub_ids_fini(&slot(w, i)->ids);
    }
    free(w->ring);
    gnt_window_init(w);
}

/* Makes the ring at least SPAN slots; what is in flight keeps its sequence numbers. */
static gnt_err reserve(struct gnt_window *w, uint64_t span)
{
    if (span <= w->cap)
        return GNT_OK;
    uint32_t cap = w->cap ? w->cap : FIRST_CAP;
    while (cap < span)
        cap *= 2;
    struct gnt_flight *ring = calloc(cap, sizeof *ring);
    if (!ring)
        return GNT_NOMEM;
    for (uint64_t i = w->head; i != w->tail; i++)
        ring[i & (cap - 1)] = *slot(w, i);
    free(w->ring);
    w->ring = ring;
    w->cap = cap;
    return GNT_OK;
}

/* Puts *flight where SEQUENCE says, which is at the tail or beyond it, over holes. */
static gnt_err put(struct gnt_window *w, struct gnt_flight *flight, enum gnt_flight_state state,
                   uint64_t sequence)
{
    uint64_t head = w->count ? w->head : sequence;
    gnt_err err = reserve(w, sequence + 1 - head);
    if (err)
        return err;
    if (w->count == 0)
        w->tail = sequence;
    w->head = head;
    /* A slot of the ring may still hold what was there a round ago. */
    for (; w->tail <= sequence; w->tail++)
        *slot(w, w->tail) = (struct gnt_flight){.id = id_of(w->tail)};
    struct gnt_flight *to = slot(w, sequence);
    *to = *flight;
    to->id = id_of(sequence);
    to->state = GNT_FLIGHT_NONE;
    move(to, state);
    w->count++;
    check(w);
    flight->message = NULL;
    flight->ids = (struct gnt_sub_ids){0};
    return GNT_OK;
}

gnt_err gnt_window_add(struct gnt_window *w, struct gnt_flight *flight, enum gnt_flight_state state,
                       struct gnt_flight **out)
{
    GNT_ASSERT(state == GNT_FLIGHT_PUBLISHED || state == GNT_FLIGHT_REQUESTED);
    if (w->tail - w->head == IDS)
        return GNT_FULL;
    gnt_err err = put(w, flight, state, w->tail);
    if (!err)
        *out = slot(w, w->tail - 1);
    return err;
}

gnt_err gnt_window_restore(struct gnt_window *w, struct gnt_flight *flight,
                           enum gnt_flight_state state)
{
    GNT_ASSERT(state != GNT_FLIGHT_NONE);
    if (flight->id == 0)
        return GNT_INVALID;
    uint64_t sequence = sequence_of(flight->id, w->tail);
    if (w->count && sequence - w->head >= IDS)
        return GNT_INVALID;
    return put(w, flight, state, sequence);
}

struct gnt_flight *gnt_window_find(struct gnt_window *w, uint16_t id)
{
    if (id == 0)
        return NULL;
    uint64_t sequence = sequence_of(id, w->head);
    if (sequence >= w->tail)
        return NULL;
    struct gnt_flight *flight = slot(w, sequence);
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
    while (w->head != w->tail && slot(w, w->head)->state == GNT_FLIGHT_NONE)
        w->head++;
    if (w->count == 0 && w->cap > KEPT_CAP) {
        free(w->ring);
        w->ring = NULL;
        w->cap = 0;
    }
    check(w);
}

struct gnt_flight *gnt_window_next(struct gnt_window *w, const struct gnt_flight *after)
{
    if (w->count == 0)
        return NULL; /* the ring, and AFTER with it, may be gone */
    uint64_t i = w->head;
    /* A hole keeps its id; if the head has passed it, the same id comes after the tail only. */
    if (after && sequence_of(after->id, w->head) < w->tail)
        i = sequence_of(after->id, w->head) + 1;
    for (; i < w->tail; i++)
        if (slot(w, i)->state != GNT_FLIGHT_NONE)
            return slot(w, i);
    return NULL;
}
