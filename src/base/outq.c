#include "base/outq.h"

#include "base/assert.h"
#include "base/spare.h"

/* A queue starts with a small chunk, because most turns have one small answer for a connection, and
 * goes on with larger ones.  With what is in front of the bytes, and the allocator's, they are 1
 * and 16 KiB. */
enum { FIRST_CHUNK = 1024 - 72, NEXT_CHUNK = 16 * 1024 - 72 };

struct chunk {
    struct gnt_list link;
    const uint8_t *data;    /* own bytes, or what is linked */
    size_t start, end, cap; /* cap 0: linked */
    void (*release)(void *context);
    void *context;
    uint8_t own[];
};

void gnt_outq_init(struct gnt_outq *q)
{
    *q = (struct gnt_outq){0};
}

/* NULL: the queue is empty. */
static struct chunk *first_chunk(const struct gnt_outq *q)
{
    return q->chunks.first ? GNT_CONTAINER(q->chunks.first, struct chunk, link) : NULL;
}

static struct chunk *last_chunk(const struct gnt_outq *q)
{
    return q->chunks.first ? GNT_CONTAINER(q->chunks.first->prev, struct chunk, link) : NULL;
}

static void chunk_free(struct gnt_outq *q, struct chunk *c)
{
    gnt_ring_remove(&q->chunks, &c->link);
    if (c->release)
        c->release(c->context);
    gnt_spare_put(c, sizeof *c + c->cap);
}

void gnt_outq_fini(struct gnt_outq *q)
{
    for (struct chunk *c; (c = first_chunk(q));)
        chunk_free(q, c);
    q->size = 0;
}

static struct chunk *chunk_new(struct gnt_outq *q, size_t cap)
{
    struct chunk *c = gnt_spare_get(sizeof *c + cap);
    if (!c)
        return NULL;
    *c = (struct chunk){.data = c->own, .cap = cap};
    gnt_ring_push_back(&q->chunks, &c->link);
    return c;
}

gnt_err gnt_outq_reserve(struct gnt_outq *q, size_t n, uint8_t **at)
{
    struct chunk *c = last_chunk(q);
    if (!c || c->cap - c->end < n || c->cap == 0) {
        size_t usual = c ? NEXT_CHUNK : FIRST_CHUNK;
        c = chunk_new(q, n > usual ? n : usual);
        if (!c)
            return GNT_NOMEM;
    }
    *at = c->own + c->end;
    return GNT_OK;
}

void gnt_outq_wrote(struct gnt_outq *q, size_t n)
{
    struct chunk *c = last_chunk(q);
    GNT_ASSERT(c && n <= c->cap - c->end);
    c->end += n;
    q->size += n;
    if (c->start == c->end) /* nothing was written after all */
        chunk_free(q, c);
}

gnt_err gnt_outq_put(struct gnt_outq *q, struct gnt_slice bytes)
{
    uint8_t *at;
    if (bytes.size == 0)
        return GNT_OK;
    gnt_err err = gnt_outq_reserve(q, bytes.size, &at);
    if (err)
        return err;
    memcpy(at, bytes.data, bytes.size);
    gnt_outq_wrote(q, bytes.size);
    return GNT_OK;
}

gnt_err gnt_outq_wrote_ref(struct gnt_outq *q, size_t n, struct gnt_slice bytes,
                           void (*release)(void *context), void *context)
{
    if (bytes.size == 0) { /* an empty queue holds no memory, so nothing empty is kept */
        if (n)
            gnt_outq_wrote(q, n);
        if (release)
            release(context);
        return GNT_OK;
    }
    struct chunk *head = last_chunk(q), *c = chunk_new(q, 0);
    if (!c)
        return GNT_NOMEM;
    if (n) {
        GNT_ASSERT(head && n <= head->cap - head->end);
        head->end += n;
    }
    c->data = bytes.data;
    c->end = bytes.size;
    c->release = release;
    c->context = context;
    q->size += n + bytes.size;
    return GNT_OK;
}

/* NULL behind the last one. */
static const struct chunk *next_chunk(const struct gnt_outq *q, const struct chunk *c)
{
    return c->link.next == q->chunks.first ? NULL : GNT_CONTAINER(c->link.next, struct chunk, link);
}

int gnt_outq_iov(const struct gnt_outq *q, struct iovec *iov, int max)
{
    int n = 0;
    for (const struct chunk *c = first_chunk(q); c && n < max; c = next_chunk(q, c))
        if (c->end > c->start) /* iovec's base is not const, though writev only reads */
            iov[n++] = (struct iovec){(void *)(uintptr_t)(c->data + c->start), c->end - c->start};
    return n;
}

void gnt_outq_take(struct gnt_outq *q, size_t n)
{
    GNT_ASSERT(n <= q->size);
    q->size -= n;
    for (struct chunk *c; (c = first_chunk(q));) {
        size_t here = c->end - c->start < n ? c->end - c->start : n;
        c->start += here;
        n -= here;
        if (c->start < c->end)
            return;
        chunk_free(q, c);
    }
}
