/* What the files of the durable engine share.  See store/durable.h. */
#ifndef GNT_STORE_DURABLE_PRIVATE_H
#define GNT_STORE_DURABLE_PRIVATE_H

#include "store/durable.h"
#include "store/found.h"
#include "store/group.h"

#include <pthread.h>

#define GNT_DURABLE_RESERVE "reserve" /* the name of a file */

struct gnt_durable;

/* What has been asked for, until the store thread has done it. */
struct gnt_request {
    struct gnt_list link;
    struct gnt_completion *completion;
    /* Of a commit NULL. */
    void (*read)(struct gnt_durable *d, struct gnt_request *request, struct gnt_store_read *r);
    struct gnt_batch batch;
    struct gnt_prepared prepared;
    struct gnt_slice name, key, after; /* copies, in bytes; key: or prefix */
    uint64_t from;
    uint32_t most;
    uint8_t bytes[];
};

/* What becomes of the frozen memtable. */
enum gnt_frozen {
    GNT_FROZEN_NONE,    /* there is none; next: WANTED */
    GNT_FROZEN_WANTED,  /* the applier is to take it; next: DONE */
    GNT_FROZEN_DONE,    /* it has, or has failed; next: NONE, or RESTING */
    GNT_FROZEN_RESTING, /* it failed, and is tried again after a while; next: WANTED */
};

_Static_assert(sizeof(struct gnt_request) <= GNT_BATCH_ROOM, "commits need no memory of their own");

struct gnt_durable {
    struct gnt_store store;
    uint32_t magic;
    struct gnt_durable_options options; /* for life */
    struct gnt_ground *ground;
    pthread_t store_thread, applier;

    /* Guards what follows; nothing is taken inside, and it is held for a moment only, never during
     * I/O or a callback. */
    pthread_mutex_t lock;
    pthread_cond_t asked_for;    /* wakes the store thread */
    pthread_cond_t apply_wanted; /* wakes the applier */
    struct gnt_list asked;       /* requests */
    enum gnt_frozen frozen_is;
    gnt_err apply_result; /* when DONE */
    bool stop, stop_applier;
    struct gnt_durable_status shown;

    bool closing; /* the store thread has seen `stop` */
    /* The store thread's.  The applier reads `frozen` and its mark while it is WANTED. */
    struct gnt_journal *journal;
    struct gnt_memtable memtables[2];
    struct gnt_memtable *active, *frozen; /* frozen: NULL when it is NONE */
    struct gnt_ground_mark frozen_mark;
    uint64_t generation;      /* of the active one */
    struct gnt_list waiting;  /* commits that were asked for, in order */
    uint64_t commit_due;      /* for the most urgent of them; GNT_NEVER: none waits */
    bool patient;             /* they wait for company, until then */
    struct gnt_buf record;    /* the group at hand, as it is written */
    uint64_t written, synced; /* numbers of the journal's records */
    uint64_t sync_due;        /* GNT_NEVER: all is synced */
    uint64_t mark_at;         /* nobody has written for a while: GNT_NEVER: or the mark is there */
    gnt_err trouble;          /* of the journal */
    gnt_err apply_trouble;    /* of the ground */
    bool voided;   /* what the active memtable has is not all in the journal: it has to be frozen */
    bool rescuing; /* the frozen one is not all in the journal: commits wait until it is applied */
    bool reserved; /* the reserve is there */
    uint64_t retry_at, apply_at; /* after trouble */
    uint64_t mend_at;
    struct gnt_durable_status status;
};

/* Hands out the result, and frees the request. */
void gnt_durable_complete(struct gnt_request *q);

/* --- durable_commit.c --- */

/* Q waits to be committed. */
void gnt_durable_queue(struct gnt_durable *d, struct gnt_request *q);

/* Commits one group of what waits, unless that can wait, or has to wait for the applier; whether it
 * did. */
bool gnt_durable_commit_group(struct gnt_durable *d);

/* --- durable_upkeep.c --- */

/* Nothing is written for a moment, because of ERR, and then tried again. */
void gnt_durable_in_trouble(struct gnt_durable *d, gnt_err err);

/* ERR came from the journal: what was not synced is void. */
void gnt_durable_failed(struct gnt_durable *d, gnt_err err);

/* Syncs the journal, if there is something to be synced.  A failure has been noted. */
gnt_err gnt_durable_sync(struct gnt_durable *d);

/* Takes note of what the applier has done. */
void gnt_durable_applied(struct gnt_durable *d);

/* Freezes, syncs, tries again: what is due. */
void gnt_durable_upkeep(struct gnt_durable *d);

/* Makes a part of what the journal will need, while nobody waits; whether there is more to make. */
bool gnt_durable_prepare(struct gnt_durable *d);

/* Makes the reserve if it is not there, and looks whether the trouble is over: not everything that
 * could be tried is, while there is trouble. */
void gnt_durable_mend(struct gnt_durable *d);

/* --- durable_read.c: as gnt_request.read --- */

void gnt_durable_get(struct gnt_durable *d, struct gnt_request *q, struct gnt_store_read *r);
void gnt_durable_scan(struct gnt_durable *d, struct gnt_request *q, struct gnt_store_read *r);
void gnt_durable_read(struct gnt_durable *d, struct gnt_request *q, struct gnt_store_read *r);

/* --- durable_recover.c --- */

/* Puts what the journal has into the ground, whose mark is *mark then; fills in options->time. */
GNT_MUST gnt_err gnt_durable_recover(const struct gnt_durable_options *options,
                                     struct gnt_durable_report *report,
                                     struct gnt_ground_mark *mark);

#endif
