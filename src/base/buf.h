/* An owned, growing run of bytes that is filled at the back and taken from at the front.
 *
 * Invariant: start <= end <= cap, and cap == 0 exactly if data is NULL.  Growth doubles (from 256
 * bytes), so appending costs amortised O(1).  Not thread-safe.  A zeroed gnt_buf is an empty one.
 */
#ifndef GNT_BASE_BUF_H
#define GNT_BASE_BUF_H

#include "base/err.h"
#include "base/slice.h"

struct gnt_buf {
    uint8_t *data;
    uint32_t start; /* first byte that has not been taken */
    uint32_t end;   /* one past the last byte that was put */
    uint32_t cap;
};

/* Frees the bytes; the buf is empty and usable again. */
void gnt_buf_fini(struct gnt_buf *b);

/* Makes room for N more bytes at the back: GNT_NOMEM leaves the buf as it was.  It holds 2 GiB at
 * most. */
GNT_MUST gnt_err gnt_buf_reserve(struct gnt_buf *b, size_t n);

GNT_MUST gnt_err gnt_buf_put(struct gnt_buf *b, struct gnt_slice bytes);

/* What has been put and not taken; valid until the buf is changed. */
static inline struct gnt_slice gnt_buf_slice(const struct gnt_buf *b)
{
    return gnt_slice(b->data ? b->data + b->start : NULL, b->end - b->start);
}

static inline size_t gnt_buf_size(const struct gnt_buf *b)
{
    return b->end - b->start;
}

/* Where the next bytes go; as many as were reserved may be written, then counted with _wrote. */
static inline uint8_t *gnt_buf_tail(const struct gnt_buf *b)
{
    return b->data + b->end;
}

static inline void gnt_buf_wrote(struct gnt_buf *b, size_t n)
{
    b->end += (uint32_t)n;
}

/* Takes N bytes (at most gnt_buf_size) off the front. */
static inline void gnt_buf_take(struct gnt_buf *b, size_t n)
{
    b->start += (uint32_t)n;
    if (b->start == b->end)
        b->start = b->end = 0;
}

/* Takes back what was put behind the first SIZE bytes (at most gnt_buf_size). */
static inline void gnt_buf_cut(struct gnt_buf *b, size_t size)
{
    b->end = b->start + (uint32_t)size;
}

static inline void gnt_buf_clear(struct gnt_buf *b)
{
    b->start = b->end = 0;
}

#endif
