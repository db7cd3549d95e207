/* The inside of recovering, for the recover*.c files:
 *   recover.c          in which order, and what is nobody's alone: homes, groups, mail, retained
 *   recover_session.c  sessions, and what is theirs
 *   recover_queue.c    queues
 *   recover_read.c     reads that are waited for */
#ifndef GNT_CORE_RECOVER_PRIVATE_H
#define GNT_CORE_RECOVER_PRIVATE_H

#include "core/record.h"
#include "core/recover.h"

#include <pthread.h>

struct gnt_returning;

/* One recovery. */
struct gnt_recover {
    struct gnt_core *core;
    const struct gnt_recovery *how;
    struct gnt_recovered *result;
    struct gnt_map sessions; /* struct gnt_returning */
    struct gnt_map queues;   /* struct gnt_queue, by number */
    struct gnt_homes_record before;
    uint64_t last_number;
    gnt_err err; /* of what a record led to */

    /* While the log of a session or of a group is read: */
    struct gnt_returning *filling;
    struct gnt_group *group;
    struct gnt_store_log log;
    uint64_t placed;     /* entries that went into the window, into memory, or on */
    uint64_t plain_from; /* where the rest begins, 0: not known yet */
    uint32_t released;   /* so many of its released ones are in the window */

    /* Of the first messages of a queue: `placed` of them, */
    struct gnt_sampled {
        uint64_t bytes;
        bool mortal;
    } sampled;

    /* While the log of one home's mail for another is read: */
    uint32_t from, to;
};

/* Reads of the store, one after the other. */
struct gnt_reading {
    struct gnt_store_read read;
    struct gnt_recover *recover;
    void (*record)(struct gnt_recover *r, const struct gnt_store_record *record);
    struct gnt_record_key last; /* of a table */
    uint64_t last_sequence;
    /* Guards `arrived`: set by the store's thread, once, when the result is there. */
    pthread_mutex_t lock;
    pthread_cond_t there;
    bool arrived;
    gnt_err result;
};

void gnt_reading_begin(struct gnt_reading *reading, struct gnt_recover *r,
                       void (*record)(struct gnt_recover *r,
                                      const struct gnt_store_record *record));
void gnt_reading_end(struct gnt_reading *reading);

/* All records of TABLE, in order. */
GNT_MUST gnt_err gnt_recover_each(struct gnt_recover *r, const char *table,
                                  void (*record)(struct gnt_recover *r,
                                                 const struct gnt_store_record *record));

/* The first MOST entries of LOG from FROM on; *reading says what else there is to know. */
GNT_MUST gnt_err gnt_recover_log(struct gnt_recover *r, struct gnt_record_log log, uint64_t from,
                                 uint32_t most, struct gnt_reading *reading);

/* What there is to know of LOG before it is read, in R. */
GNT_MUST gnt_err gnt_recover_look_at(struct gnt_recover *r, struct gnt_record_log log,
                                     struct gnt_reading *reading);

/* Then reads it from the first on, until r->plain_from says where the rest begins, which stays in
 * the store.  r->placed is counted by who gets the records. */
GNT_MUST gnt_err gnt_recover_front(struct gnt_recover *r, struct gnt_record_log log,
                                   struct gnt_reading *reading);

/* All of LOG has been read that was to be read: counts what is due, and what should be there and is
 * not. */
void gnt_recover_add_up(struct gnt_recover *r);

/* RECORD, of TABLE, has no use any more.  If there is no memory for that, it has none next time. */
void gnt_recover_take_out(struct gnt_home *home, const char *table,
                          const struct gnt_store_record *record);

/* An entry of a log that has a message; false: it says nothing, which is counted, or there is no
 * memory (r->err). */
bool gnt_recover_entry(struct gnt_recover *r, const struct gnt_store_record *record,
                       struct gnt_entry_record *entry);

/* ---- recover_session.c */

/* Who there is; what is theirs, for which the groups must be there. */
GNT_MUST gnt_err gnt_recover_sessions(struct gnt_recover *r);
GNT_MUST gnt_err gnt_recover_of_sessions(struct gnt_recover *r);

/* From now on what happens to the sessions is written. */
void gnt_recover_keep_sessions(struct gnt_recover *r);

/* Frees what was only for recovering them. */
void gnt_recover_sessions_end(struct gnt_recover *r);

/* ---- recover_queue.c */

/* Which there are; what is in them, for which all numbers must be known. */
GNT_MUST gnt_err gnt_recover_queues(struct gnt_recover *r);
GNT_MUST gnt_err gnt_recover_of_queues(struct gnt_recover *r);
void gnt_recover_queues_end(struct gnt_recover *r);

/* Whether from SEQUENCE on nothing is missing. */
static inline bool gnt_recover_is_whole(const struct gnt_recover *r, uint64_t sequence)
{
    return r->log.last - sequence + 1 == r->log.count - r->placed;
}

#endif
