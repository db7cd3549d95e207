/* What the files of the durable engine share.  See store/durable.h. */
#ifndef GNT_STORE_DURABLE_PRIVATE_H
#define GNT_STORE_DURABLE_PRIVATE_H

#include "store/durable.h"
#include "store/found.h"
#include "store/group.h"

#include <pthread.h>

#define GNT_DURABLE_RESERVE "reserve" /* the name of a file */

struct gnt_durable;

/* One computes while the other waits for the disk; which one is which changes all the time. */
enum { GNT_STORE_THREADS = 2 };

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

/* A group of batches on its way into the journal, and how far it is. */
enum gnt_flight_state {
    GNT_FLIGHT_READY,   /* takes more; next: WRITING, or undone with one before it */
    GNT_FLIGHT_WRITING, /* whoever has the disk works on it, nobody else; next: WRITTEN */
    GNT_FLIGHT_WRITTEN, /* or failed, see `err`; next: done, or undone */
};

struct gnt_flight {
    enum gnt_flight_state state;
    struct gnt_list requests;
    struct gnt_buf record; /* as it is written */
    uint32_t writes;       /* 0: nothing has to be written */
    uint64_t number;       /* of the journal's record */
    gnt_err err;
};

enum { GNT_FLIGHTS = 2 };

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
    pthread_t store_threads[GNT_STORE_THREADS], applier;

    /* Guards what follows; nothing is taken inside, and it is held for a moment only, never during
     * I/O or a callback. */
    pthread_mutex_t lock;
    pthread_cond_t asked_for;    /* wakes a store thread */
    pthread_cond_t apply_wanted; /* wakes the applier */
    struct gnt_list asked;       /* requests */
    unsigned looking;            /* store threads that will look at all this before they rest */
    bool nudged;                 /* one of those that rest is to look */
    enum gnt_frozen frozen_is;
    gnt_err apply_result; /* when DONE */
    bool stop, stop_applier;
    struct gnt_durable_status shown;

    /* A store thread's turn: guards all that follows, but for what is said to be someone's.  Held
     * for computing, for reads from the ground, and for what is done in trouble; not while the
     * journal writes, nor during a callback.  `lock` is taken inside. */
    pthread_mutex_t turn;
    bool closing; /* a store thread has seen `stop` */
    /* Who works on the journal has it, with the flight that is WRITING, and without `turn`. */
    bool disk_busy;
    struct gnt_journal *journal;
    uint64_t released;     /* what it was told last */
    uint64_t release_to;   /* what it is to be told */
    uint64_t journal_used; /* as it was left */
    struct gnt_flight flights[GNT_FLIGHTS];
    unsigned oldest, flying;   /* flights[oldest] and those behind it; never two that are WRITING */
    struct gnt_list completed; /* requests whose results are to be told, in order */
    bool telling;              /* a store thread does, without `turn` */
    /* The applier reads `frozen` and its mark while it is WANTED. */
    struct gnt_memtable memtables[2];
    struct gnt_memtable *active, *frozen; /* frozen: NULL when it is NONE */
    struct gnt_ground_mark frozen_mark;
    uint64_t generation;      /* of the active one */
    struct gnt_list waiting;  /* commits that were asked for, in order */
    uint64_t commit_due;      /* for the most urgent of them; GNT_NEVER: none waits */
    bool patient;             /* they wait for company, until then */
    uint64_t written, synced; /* numbers of the journal's records, of flights that are done */
    uint64_t sync_due;        /* GNT_NEVER: all is synced, but for what is flying */
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

/* The Ith of those that fly, or the one that may come behind them. */
static inline struct gnt_flight *gnt_durable_flight(struct gnt_durable *d, unsigned i)
{
    return &d->flights[(d->oldest + i) % GNT_FLIGHTS];
}

/* The result of Q is to be told, behind those before it. */
void gnt_durable_complete(struct gnt_durable *d, struct gnt_request *q);

/* Tells what is to be told, without `turn` meanwhile; or leaves it to who is doing that. */
void gnt_durable_tell(struct gnt_durable *d);

/* --- durable_commit.c --- */

/* Q waits to be committed. */
void gnt_durable_queue(struct gnt_durable *d, struct gnt_request *q);

/* Makes a flight of what waits, or adds it to one that is READY, unless that can wait, or has to
 * wait; whether it did, or could try again at once. */
bool gnt_durable_gather(struct gnt_durable *d);

/* Whether _gather would do something. */
bool gnt_durable_can_gather(const struct gnt_durable *d);

/* When _gather would do something, if nothing happens before; GNT_NEVER: only then. */
uint64_t gnt_durable_gather_at(const struct gnt_durable *d);

/* Does what flights brought that are WRITTEN, or undoes them. */
void gnt_durable_finish(struct gnt_durable *d);

/* ERR came from the journal: nothing of what is flying has happened.  It waits again, before all
 * others.  While nobody has the disk, or by who has it. */
void gnt_durable_undo(struct gnt_durable *d, gnt_err err);

/* --- durable_disk.c --- */

/* Does what the journal has to do now, if nobody does, without `turn` meanwhile; whether there may
 * be more to do at once. */
bool gnt_durable_use_disk(struct gnt_durable *d);

/* --- durable_upkeep.c --- */

/* Nothing is written for a moment, because of ERR, and then tried again. */
void gnt_durable_in_trouble(struct gnt_durable *d, gnt_err err);

/* ERR came from the journal: what was not synced is void. */
void gnt_durable_failed(struct gnt_durable *d, gnt_err err);

/* Whether something that has been told is not safe yet, and is about to be: what is synced later,
 * or what the ground is to save instead; not if that fails, too. */
bool gnt_durable_owes(const struct gnt_durable *d);

/* The journal has synced all that is written. */
void gnt_durable_synced(struct gnt_durable *d);

/* Takes note of what the applier has done. */
void gnt_durable_applied(struct gnt_durable *d);

/* Whether the active memtable has to be frozen before anything else goes into it. */
bool gnt_durable_should_freeze(const struct gnt_durable *d);

/* Freezes, syncs, tries again: what is due. */
void gnt_durable_upkeep(struct gnt_durable *d);

/* Makes the reserve if it is not there, and looks whether the trouble is over: not everything that
 * could be tried is, while there is trouble.  While nobody has the disk. */
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
