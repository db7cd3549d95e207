/* A memtable: the writes of many batches, in memory, as a store would show them: records of tables
 * in the order of their keys, entries of logs in the order of their numbers.
 *
 * It is the whole of the memory engine, and the upper layers of the durable one: there a delete, a
 * removal, a trim or a drop may be about something that lies in a layer below, so a memtable that
 * has layers below it keeps them as marks.  What is put and deleted within one memtable leaves at
 * most a mark behind.
 *
 * Payloads   a message that several records refer to is one payload with one number, as long as any
 *            of them is there; a journal and a store below write its bytes once.
 * Batches    are prepared first, which is all that can fail, and then done or dropped.
 * Threads    one at a time; one that is not changed any more may be read by several. */
#ifndef GNT_STORE_MEMTABLE_H
#define GNT_STORE_MEMTABLE_H

#include "base/hash.h"
#include "store/ordered.h"
#include "store/store.h"

/* A message in a memtable. */
struct gnt_payload {
    struct gnt_map_node by_message;
    struct gnt_message *message; /* a reference */
    uint64_t number;             /* its own among all that this memtable ever had, from 1 */
    uint32_t refs;               /* records and entries of the memtable, and prepared ones */
    bool written;                /* for the user of the memtable: its bytes are in the journal */
};

/* A record of a table or an entry of a log.  Counted (any thread may hold and release it) and, once
 * it is in a table, not changed. */
struct gnt_record {
    struct gnt_ordered_node node;   /* of tables */
    struct gnt_store_record record; /* as it is lent to readers; message: its own reference */
    struct gnt_payload *payload;    /* NULL: no message.  Only while it is in a memtable */
    bool mark;                      /* what is below, if anything, is deleted; no value */
    _Atomic uint32_t refs;
    uint8_t bytes[];
};

struct gnt_record *gnt_record_ref(struct gnt_record *r);
void gnt_record_unref(struct gnt_record **r);

/* A record as a layer below makes them for readers; KEY (tables) and VALUE are copied, MESSAGE's
 * reference (or NULL) is taken whatever happens.  NULL: no memory. */
struct gnt_record *gnt_record_new(struct gnt_slice key, uint64_t sequence, struct gnt_slice value,
                                  struct gnt_message *message);

/* The number stands here once more, so that looking for one touches no records. */
struct gnt_memtable_entry {
    uint64_t sequence;
    struct gnt_record *record;
};

struct gnt_memtable_log {
    struct gnt_map_node by_name;
    struct gnt_memtable_entry *entries; /* in the order of their numbers; some are marks */
    uint32_t first, count, cap;         /* entries[first .. first + count) */
    uint32_t live;                      /* of them, those that are no marks */
    uint64_t last;                      /* the highest number appended here, 0: none */
    uint64_t trimmed;                   /* below lies nothing up to this number, 0: it may */
    uint32_t pending;                   /* prepared writes; there is room for an entry of each */
    bool dropped;                       /* below lies nothing at all, not even a last number */
    uint8_t name_size;
    uint8_t name[GNT_STORE_NAME_MAX];
};

struct gnt_memtable_table {
    struct gnt_map_node by_name;
    struct gnt_ordered records; /* struct gnt_record.node; some are marks */
    uint32_t pending;           /* prepared writes */
    uint8_t name_size;
    uint8_t name[GNT_STORE_NAME_MAX];
};

struct gnt_memtable {
    bool layered;          /* something lies below: marks are kept */
    struct gnt_map tables; /* struct gnt_memtable_table */
    struct gnt_map logs;   /* struct gnt_memtable_log */
    struct gnt_map payloads;
    uint64_t next_payload;
    size_t bytes; /* that it takes, about, payloads included */
};

void gnt_memtable_init(struct gnt_memtable *t, bool layered);
void gnt_memtable_fini(struct gnt_memtable *t);

/* One write of a batch that is about to be done. */
struct gnt_prepared_write {
    struct gnt_record *record; /* of PUT and APPEND; of DELETE and REMOVE: the mark, if one may be
                                  needed; else NULL */
    struct gnt_memtable_table *table;
    struct gnt_memtable_log *log;
    struct gnt_payload *payload;
    bool writes_payload; /* for the user of the memtable: this write takes the payload's bytes */
};

struct gnt_prepared {
    const struct gnt_batch *batch;
    struct gnt_prepared_write *writes; /* one for each of the batch's */
    uint32_t count;
};

/* Makes all that doing BATCH needs.  BATCH stays the caller's, and as it is until _done or _drop.
 * GNT_NOMEM: nothing has happened.  Several may be prepared before they are done, in order; each
 * sees the payloads of those before. */
GNT_MUST gnt_err gnt_memtable_prepare(struct gnt_memtable *t, const struct gnt_batch *batch,
                                      struct gnt_prepared *out);

/* Does what was prepared, or drops it, with what only it needed; *p is empty afterwards. */
void gnt_memtable_done(struct gnt_memtable *t, struct gnt_prepared *p);
void gnt_memtable_drop(struct gnt_memtable *t, struct gnt_prepared *p);

/* The record of KEY, which may be a mark; NULL: this memtable knows nothing about it. */
struct gnt_record *gnt_memtable_get(const struct gnt_memtable *t, struct gnt_slice table,
                                    struct gnt_slice key);

/* The first record, or mark, of TABLE whose key begins with PREFIX and is behind AFTER. */
struct gnt_record *gnt_memtable_after(const struct gnt_memtable *t, struct gnt_slice table,
                                      struct gnt_slice prefix, struct gnt_slice after);

/* NULL: this memtable knows nothing about it. */
const struct gnt_memtable_log *gnt_memtable_log(const struct gnt_memtable *t,
                                                struct gnt_slice name);

/* The place in LOG's entries, from log->first on, of the first numbered FROM or higher;
 * log->first + log->count if there is none. */
uint32_t gnt_memtable_from(const struct gnt_memtable_log *log, uint64_t from);

#endif
