/* Deliveries that wait for their receiver: a bounded queue, first in, first out.  One thread. */
#ifndef GNT_CORE_BACKLOG_H
#define GNT_CORE_BACKLOG_H

#include "model/message.h"
#include "model/sub_ids.h"

struct gnt_waiting {
    struct gnt_message *message; /* a reference */
    struct gnt_sub_ids ids;      /* owned */
    uint8_t qos;
    bool retain;
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

/* The same with the last one. */
void gnt_backlog_pop_last(struct gnt_backlog *b, struct gnt_waiting *out);

/* The first one, NULL if there is none. */
struct gnt_waiting *gnt_backlog_first(const struct gnt_backlog *b);

/* Whether one more of SIZE payload bytes would be over COUNT_MAX deliveries or BYTES_MAX bytes (0:
 * no such limit).  An empty queue takes a message of any size. */
bool gnt_backlog_full(const struct gnt_backlog *b, size_t size, size_t count_max, size_t bytes_max);

void gnt_waiting_fini(struct gnt_waiting *w);

#endif
