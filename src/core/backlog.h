/* Deliveries that wait for their receiver: a bounded queue, first in, first out.  One thread. */
#ifndef GNT_CORE_BACKLOG_H
#define GNT_CORE_BACKLOG_H

#include "model/message.h"
#include "model/sub_ids.h"

struct gnt_waiting {
    struct gnt_message *message; /* a reference */
    struct gnt_sub_ids ids;      /* owned */
    uint64_t sequence;           /* in its session's log, 0: it is not kept */
    uint8_t qos;
    bool retain;
    bool again; /* may have been sent before, in an earlier process */
};

struct gnt_backlog {
    struct gnt_waiting *ring; /* cap entries, a power of two */
    size_t cap, head, count;
    size_t bytes; /* of payload */
};

void gnt_backlog_fini(struct gnt_backlog *b);

/* Takes what *w holds (its message is NULL afterwards).  GNT_NOMEM: *w is as it was. */
GNT_MUST gnt_err gnt_backlog_push(struct gnt_backlog *b, struct gnt_waiting *w);

/* The same at place AT, from 0 to count, before what is there; those behind it are moved. */
GNT_MUST gnt_err gnt_backlog_insert(struct gnt_backlog *b, size_t at, struct gnt_waiting *w);

/* Hands the first one out; only if count > 0. */
void gnt_backlog_pop(struct gnt_backlog *b, struct gnt_waiting *out);

/* The same with the one at place AT, less than count; those before it are moved. */
void gnt_backlog_take(struct gnt_backlog *b, size_t at, struct gnt_waiting *out);

/* The same with the last one. */
void gnt_backlog_pop_last(struct gnt_backlog *b, struct gnt_waiting *out);

/* The one at place AT, less than count; the first one and the last one, NULL if there is none. */
struct gnt_waiting *gnt_backlog_at(const struct gnt_backlog *b, size_t at);
struct gnt_waiting *gnt_backlog_first(const struct gnt_backlog *b);
struct gnt_waiting *gnt_backlog_last(const struct gnt_backlog *b);

void gnt_waiting_fini(struct gnt_waiting *w);

#endif
