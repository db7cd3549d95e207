/* The store: what has to outlive a connection or a process.  Tables (small records by key) and logs
 * (numbered entries in order), the same for every engine.
 *
 * Writing    collect a batch, commit it.  A batch happens as a whole or not at all; its completion
 *            with GNT_OK means that it is as safe as the engine makes anything.  A batch is
 *            visible to reads by then at the latest; one that failed never was and never will be.
 *            What one thread commits happens in the order in which it was committed.
 * Reading    a bounded number of records, handed to a callback; go on behind the last one.
 * Completion comes once for each commit and each read, before the call returns or later: callers
 *            bear both.  Where it runs is the caller's choice, see struct gnt_completion.
 * Threads    a store is used by any number of threads at once; a batch or a read by one.
 * Payloads   records and entries may refer to a message; however many refer to it, an engine
 *            writes the bytes of one message once, and drops them with the last reference.  What
 *            means something to one process only is not kept as it is: `expires` is written as
 *            wall-clock time, `publisher` comes back as 0.  Never the reference itself: what is
 *            read may be another struct with the same contents.
 * Numbers    a log's entries are numbered by whoever appends.  A log has one home, so the number
 *            is known before the commit and entries can be appended, referred to and removed
 *            without waiting for each other.  Each number is appended once; what is appended may
 *            be below what was (a batch that had to wait), and stands where its number says.  The
 *            alternative, numbers given by the store, cannot work where a shared stream holds many
 *            logs and numbers all of its messages alike: JetStream does.  Gaps are fine.  The last
 *            number outlives the entries, until the log is dropped.
 * Listing    there is none: who needs to find its logs again keeps them in a table.
 */
#ifndef GNT_STORE_STORE_H
#define GNT_STORE_STORE_H

#include "base/buf.h"
#include "base/list.h"
#include "model/message.h"

enum {
    GNT_STORE_NAME_MAX = 64, /* of a table or a log; at least 1 */
    GNT_STORE_KEY_MAX = 400, /* at least 1; longer names of peers' are shortened by a digest, with
                                the whole in the value: engines have pages and subjects to fit */
    GNT_STORE_VALUE_MAX = 256 * 1024, /* what may be large is a message */
    GNT_STORE_READ_MAX = 1024,        /* records in one read */
    GNT_BATCH_ROOM = 256,
};

/* Where one result arrives.  Part of an object of the caller's, which lives until `done`. */
struct gnt_completion {
    /* On the terms of `deliver`.  RESULT of a commit: GNT_OK; GNT_INVALID or GNT_TOOBIG over a
     * limit above; GNT_NOMEM from the batch itself; GNT_FULL (disk full), GNT_IO, GNT_NOMEM only
     * where the store is closed before it has succeeded (gnt_store_trouble).  Of a read: GNT_OK,
     * GNT_NOTFOUND (of _get), GNT_INVALID, GNT_TOOBIG, GNT_NOMEM, GNT_IO. */
    void (*done)(struct gnt_completion *c, gnt_err result);
    /* Sees to it that gnt_store_complete(c) is called once on the thread that C belongs to: mails
     * it there (c->link is free for that), or calls it if this is the thread.  Called by the
     * engine on any thread and without any lock; must not fail. */
    void (*deliver)(void *context, struct gnt_completion *c);
    void *context;
    /* the engine's; after it has called `deliver`, `link` is the caller's */
    struct gnt_list link;
    gnt_err result;
    void (*hand)(struct gnt_completion *c); /* gives what was read to the reader; or NULL */
    void *held;
};

/* Hands over what was read, then calls done.  C may be gone afterwards. */
void gnt_store_complete(struct gnt_completion *c);

/* A `deliver` for completions that may run wherever the engine is. */
void gnt_store_deliver_here(void *context, struct gnt_completion *c);

/* Writes that are committed together.  A zeroed batch is an empty one.  Everything is copied, but
 * messages get a reference.  A failure sticks, and becomes the result of the commit; the writes are
 * done in order, so that the last one wins. */
struct gnt_batch {
    struct gnt_batch_entry *entries;
    uint32_t count, cap;
    struct gnt_buf bytes;
    void *room; /* GNT_BATCH_ROOM bytes for the engine, from malloc, once something is reserved */
    size_t payload; /* of the messages, one that is in writes that follow each other once */
    gnt_err err;
    bool lazy; /* set by who commits: nobody is about to wait for it, so it may wait for company */
};

void gnt_batch_fini(struct gnt_batch *b);

/* Room for WRITES more, with SIZE bytes of names, keys and values: these, and the commit, cannot
 * fail for want of memory.  GNT_NOMEM: the batch is as it was. */
GNT_MUST gnt_err gnt_batch_reserve(struct gnt_batch *b, uint32_t writes, size_t size);

/* Moves the writes of FROM, which is empty afterwards, behind those of B.  GNT_NOMEM: both are as
 * they were. */
GNT_MUST gnt_err gnt_batch_join(struct gnt_batch *b, struct gnt_batch *from);

/* MESSAGE may be NULL. */
void gnt_batch_put(struct gnt_batch *b, struct gnt_slice table, struct gnt_slice key,
                   struct gnt_slice value, struct gnt_message *message);
void gnt_batch_delete(struct gnt_batch *b, struct gnt_slice table, struct gnt_slice key);

/* SEQUENCE is at least 1 and no earlier one of this log. */
void gnt_batch_append(struct gnt_batch *b, struct gnt_slice log, uint64_t sequence,
                      struct gnt_slice value, struct gnt_message *message);
void gnt_batch_remove(struct gnt_batch *b, struct gnt_slice log, uint64_t sequence);
void gnt_batch_trim(struct gnt_batch *b, struct gnt_slice log, uint64_t up_to); /* inclusive */
void gnt_batch_drop(struct gnt_batch *b, struct gnt_slice log); /* and forgets the last number */

/* For engines: the writes, one by one. */
enum gnt_store_verb {
    GNT_STORE_PUT,
    GNT_STORE_DELETE,
    GNT_STORE_APPEND,
    GNT_STORE_REMOVE,
    GNT_STORE_TRIM,
    GNT_STORE_DROP,
};
struct gnt_store_write {
    enum gnt_store_verb verb;
    struct gnt_slice name, key, value;
    uint64_t sequence;
    struct gnt_message *message; /* the batch's reference, or NULL */
};
struct gnt_store_write gnt_batch_write(const struct gnt_batch *b, uint32_t i); /* i < b->count */

/* One record of a table or one entry of a log, lent to a `record` callback. */
struct gnt_store_record {
    struct gnt_slice key; /* tables only */
    uint64_t sequence;    /* logs only */
    struct gnt_slice value;
    struct gnt_message *message; /* take a reference to keep it; or NULL */
};

/* `first` and `count` are told only if no entries are asked for: where much is being removed it
 * takes long to find out what is left. */
struct gnt_store_log {
    uint64_t last;         /* the highest number ever appended, 0: none */
    uint64_t first, count; /* 0: it has no entries */
};

struct gnt_store_read {
    struct gnt_completion completion; /* done comes after the last record */
    /* May commit and start other reads. */
    void (*record)(struct gnt_store_read *r, const struct gnt_store_record *record);
    /* set before the first record */
    bool more; /* there is something behind the last record: an engine may hand over fewer
                  records than were asked for, but not none if there are some */
    struct gnt_store_log log; /* of a log */
};

struct gnt_store {
    const struct gnt_store_engine *engine;
    _Atomic int trouble; /* gnt_err: see gnt_store_trouble */
};

/* An engine: the functions below, with limits checked before.  Slices are lent for the call. */
struct gnt_store_engine {
    void (*commit)(struct gnt_store *s, struct gnt_batch *batch, struct gnt_completion *c);
    void (*get)(struct gnt_store *s, struct gnt_slice table, struct gnt_slice key,
                struct gnt_store_read *r);
    void (*scan)(struct gnt_store *s, struct gnt_slice table, struct gnt_slice prefix,
                 struct gnt_slice after, uint32_t most, struct gnt_store_read *r);
    void (*read)(struct gnt_store *s, struct gnt_slice log, uint64_t from, uint32_t most,
                 struct gnt_store_read *r);
    void (*close)(struct gnt_store *s);
};

/* Why the engine cannot write now (GNT_FULL: disk full, GNT_IO), or GNT_OK.  It goes on trying, in
 * order, and what it was asked for completes when it has succeeded; whoever has a choice asks for
 * nothing new meanwhile, but for what makes room.  Any thread; a moment's state. */
static inline gnt_err gnt_store_trouble(const struct gnt_store *s)
{
    return (gnt_err)atomic_load_explicit(&s->trouble, memory_order_relaxed);
}

/* Takes what is in BATCH, which is empty afterwards.  An empty batch completes after all that this
 * thread committed before. */
void gnt_store_commit(struct gnt_store *s, struct gnt_batch *batch, struct gnt_completion *c);

void gnt_store_get(struct gnt_store *s, struct gnt_slice table, struct gnt_slice key,
                   struct gnt_store_read *r);

/* At most MOST (1 to GNT_STORE_READ_MAX) records, in the order of their keys, whose key begins with
 * PREFIX and is behind AFTER; either may be empty.  The last key is the cursor: what changes
 * between two slices is seen or not, what does not change is seen exactly once. */
void gnt_store_scan(struct gnt_store *s, struct gnt_slice table, struct gnt_slice prefix,
                    struct gnt_slice after, uint32_t most, struct gnt_store_read *r);

/* At most MOST (0 for `log` alone, to GNT_STORE_READ_MAX) entries numbered FROM or higher. */
void gnt_store_read(struct gnt_store *s, struct gnt_slice log, uint64_t from, uint32_t most,
                    struct gnt_store_read *r);

/* Completes all that was asked for, then closes; waits meanwhile.  No other thread uses S then;
 * *s is NULL afterwards, NULL is fine. */
void gnt_store_close(struct gnt_store **s);

#endif
