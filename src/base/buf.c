#include "base/buf.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 256 };

#define CAPACITY_MAX (UINT32_C(1) << 31)

void gnt_buf_fini(struct gnt_buf *b)
{
    free(b->data);
    *b = (struct gnt_buf){0};
}

gnt_err gnt_buf_reserve(struct gnt_buf *b, size_t n)
{
    size_t used = gnt_buf_size(b);
    if (n <= b->cap - b->end)
        return GNT_OK;
    if (n > CAPACITY_MAX - used)
        return GNT_NOMEM;
    if (used + n <= b->cap && b->start >= b->cap / 2) { /* sliding is cheaper than growing */
        memmove(b->data, b->data + b->start, used);
    } else {
        uint32_t cap = b->cap ? b->cap : FIRST_CAPACITY / 2;
        cap = cap < CAPACITY_MAX ? cap * 2 : cap;
        while (cap < used + n)
            cap *= 2;
        uint8_t *data = malloc(cap);
        if (!data)
            return GNT_NOMEM;
        if (used)
            memcpy(data, b->data + b->start, used);
        free(b->data);
        b->data = data;
        b->cap = cap;
    }
    b->start = 0;
    b->end = (uint32_t)used;
    return GNT_OK;
}

gnt_err gnt_buf_put(struct gnt_buf *b, struct gnt_slice bytes)
{
    gnt_err err = gnt_buf_reserve(b, bytes.size);
    if (err)
        return err;
    if (bytes.size)
        memcpy(gnt_buf_tail(b), bytes.data, bytes.size);
    gnt_buf_wrote(b, bytes.size);
    return GNT_OK;
}
