/* Bytes on their way to one peer: a chain of chunks that one writev takes.
 *
 * Small things are copied into the last chunk; large ones are linked by reference and released when
 * they have been written or the queue is freed.  An empty queue holds no memory.  One thread. */
#ifndef GNT_BASE_OUTQ_H
#define GNT_BASE_OUTQ_H

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"

#include <sys/uio.h>

struct gnt_outq {
    struct gnt_ring chunks;
    size_t size; /* bytes not taken yet */
};

void gnt_outq_init(struct gnt_outq *q);

/* Releases what is left. */
void gnt_outq_fini(struct gnt_outq *q);

/* *at: room for N contiguous bytes at the back, to be written before any other call and then
 * counted with gnt_outq_wrote (which may count fewer).  GNT_NOMEM: nothing has changed. */
GNT_MUST gnt_err gnt_outq_reserve(struct gnt_outq *q, size_t n, uint8_t **at);
void gnt_outq_wrote(struct gnt_outq *q, size_t n);

GNT_MUST gnt_err gnt_outq_put(struct gnt_outq *q, struct gnt_slice bytes);

/* Counts N bytes as gnt_outq_wrote does and links BYTES behind them, which must stay until
 * release(context) is called.  On failure neither is done. */
GNT_MUST gnt_err gnt_outq_wrote_ref(struct gnt_outq *q, size_t n, struct gnt_slice bytes,
                                    void (*release)(void *context), void *context);

/* Up to MAX pieces from the front; returns how many.  Valid until the queue changes. */
int gnt_outq_iov(const struct gnt_outq *q, struct iovec *iov, int max);

/* Takes N bytes, at most q->size, off the front. */
void gnt_outq_take(struct gnt_outq *q, size_t n);

#endif
