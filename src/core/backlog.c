#include "core/backlog.h"

#include "base/assert.h"

#include <stdlib.h>

void gnt_waiting_fini(struct gnt_waiting *w)
{
    gnt_message_unref(&w->message);
    gnt_sub_ids_fini(&w->ids);
}

void gnt_backlog_fini(struct gnt_backlog *b)
{
    while (b->count) {
        struct gnt_waiting w;
        gnt_backlog_pop(b, &w);
        gnt_waiting_fini(&w);
    }
    free(b->ring);
    *b = (struct gnt_backlog){0};
}

static struct gnt_waiting *place(const struct gnt_backlog *b, size_t at)
{
    return &b->ring[(b->head + at) & (b->cap - 1)];
}

static gnt_err grow(struct gnt_backlog *b)
{
    size_t cap = b->cap ? b->cap * 2 : 8;
    struct gnt_waiting *ring = malloc(cap * sizeof *ring);
    if (!ring)
        return GNT_NOMEM;
    for (size_t i = 0; i < b->count; i++)
        ring[i] = *place(b, i);
    free(b->ring);
    b->ring = ring;
    b->cap = cap;
    b->head = 0;
    return GNT_OK;
}

gnt_err gnt_backlog_push(struct gnt_backlog *b, struct gnt_waiting *w)
{
    return gnt_backlog_insert(b, b->count, w);
}

gnt_err gnt_backlog_insert(struct gnt_backlog *b, size_t at, struct gnt_waiting *w)
{
    GNT_ASSERT(at <= b->count);
    if (b->count == b->cap) {
        gnt_err err = grow(b);
        if (err)
            return err;
    }
    for (size_t i = b->count++; i > at; i--)
        *place(b, i) = *place(b, i - 1);
    *place(b, at) = *w;
    b->bytes += w->message->payload.size;
    w->message = NULL;
    w->ids = (struct gnt_sub_ids){0};
    return GNT_OK;
}

/* OUT has been taken. */
static void gone(struct gnt_backlog *b, const struct gnt_waiting *out)
{
    b->count--;
    b->bytes -= out->message->payload.size;
    if (b->count == 0) { /* an idle session holds no memory for a queue */
        free(b->ring);
        b->ring = NULL;
        b->cap = b->head = 0;
    }
}

void gnt_backlog_pop(struct gnt_backlog *b, struct gnt_waiting *out)
{
    GNT_ASSERT(b->count > 0);
    *out = b->ring[b->head];
    b->head = (b->head + 1) & (b->cap - 1);
    gone(b, out);
}

void gnt_backlog_take(struct gnt_backlog *b, size_t at, struct gnt_waiting *out)
{
    GNT_ASSERT(at < b->count);
    struct gnt_waiting taken = *place(b, at);
    for (size_t i = at; i > 0; i--)
        *place(b, i) = *place(b, i - 1);
    *place(b, 0) = taken;
    gnt_backlog_pop(b, out);
}

void gnt_backlog_pop_last(struct gnt_backlog *b, struct gnt_waiting *out)
{
    GNT_ASSERT(b->count > 0);
    *out = *place(b, b->count - 1);
    gone(b, out);
}

struct gnt_waiting *gnt_backlog_at(const struct gnt_backlog *b, size_t at)
{
    GNT_ASSERT(at < b->count);
    return place(b, at);
}

struct gnt_waiting *gnt_backlog_first(const struct gnt_backlog *b)
{
    return b->count ? &b->ring[b->head] : NULL;
}

struct gnt_waiting *gnt_backlog_last(const struct gnt_backlog *b)
{
    return b->count ? place(b, b->count - 1) : NULL;
}
