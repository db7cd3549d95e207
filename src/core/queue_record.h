/* What of queues is in the store, as bytes and back; on the terms of core/record.h. */
#ifndef GNT_CORE_QUEUE_RECORD_H
#define GNT_CORE_QUEUE_RECORD_H

#include "core/note.h"
#include "core/record.h"
#include "model/queue_options.h"

/* In the table "queue". */
struct gnt_queue_record {
    uint64_t number; /* of its logs */
    uint64_t parent; /* the queue whose dead letters these are, 0: it is none */
    uint16_t lanes;  /* a bit for each priority that has a log */
    struct gnt_queue_options options;
    struct gnt_slice name;
    struct gnt_slice bindings; /* each as two bytes of size, and the filter */
};
GNT_MUST gnt_err gnt_queue_record_write(const struct gnt_queue_record *r, struct gnt_buf *to);
bool gnt_queue_record_read(struct gnt_slice value, struct gnt_queue_record *out);

/* A message in a queue's log, besides itself; and in the table "queued", where of that only how
 * often it has failed and the note count, instead of those in the log. */
struct gnt_queued_record {
    bool durable;
    uint32_t failed;
    uint64_t enqueued_ms;
    struct gnt_note note; /* borrowed */
};
GNT_MUST gnt_err gnt_queued_record_write(const struct gnt_queued_record *r,
                                         const struct gnt_note *note, struct gnt_buf *to);
bool gnt_queued_record_read(struct gnt_slice value, struct gnt_queued_record *out);

/* The log of one priority of a queue. */
struct gnt_record_log gnt_queue_log(uint64_t number, unsigned lane);

#endif
