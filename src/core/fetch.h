/* Deliveries of a queue that are in the store only (struct gnt_stored), on their way back into
 * memory when there is room for them.  One thread, the home's. */
#ifndef GNT_CORE_FETCH_H
#define GNT_CORE_FETCH_H

#include "core/pending.h"
#include "core/record.h"

struct gnt_fetch;

struct gnt_fetch_for {
    struct gnt_home *home;
    struct gnt_record_log log;
    void *owner;
    struct gnt_pending *(*queue)(void *owner); /* NULL: there is none any more */
    /* What could be fetched is in the queue; an error is the store's.  May fetch again. */
    void (*fetched)(void *owner, gnt_err err);
};

/* Gets what the owner's queue wants, which is something.  *slot, NULL before, is the owner's until
 * `fetched` is called, and NULL then.  GNT_NOMEM: nothing has begun. */
GNT_MUST gnt_err gnt_fetch_begin(struct gnt_fetch **slot, const struct gnt_fetch_for *whom);

/* The owner goes; NULL is fine. */
void gnt_fetch_drop(struct gnt_fetch **slot);

#endif
