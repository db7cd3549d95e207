/* The durable engine: what is committed survives the process and the machine's power.
 *
 *   journal    a commit is safe when the journal has it.  All batches that wait are written as one
 *              record and synced once; only then they are done, and completed.
 *   memtables  what the journal has and the ground has not.  The active one takes what is done;
 *              when it is full it is frozen, and a new one begins.
 *   ground     takes the frozen memtable, as a whole and in the background; then the journal does
 *              not need its records any more.  What was deleted by then never gets there.
 *
 * Threads    two store threads do the same: take requests, read, make a group of batches ready,
 * write and sync it, tell what came of it.  One at a time computes; the other waits for the disk
 * meanwhile, or rests.  So the next group is made ready while one is synced, and a lone batch is
 * handed from thread to thread no more often than with one.  One applier puts frozen memtables into
 * the ground.  Stepped, for simulations, there is no thread: whoever has the store calls
 * gnt_durable_turn(), also while its disk is at work, as the other thread would, and
 * gnt_durable_apply(). Memory     two memtables of `memory_max` and one that is being freed, two
 * groups of batches, and what waits to be committed: while the ground is slower than the writers,
 * commits wait. Patience   a batch that nobody is about to wait for (gnt_batch.lazy) waits
 * `patience_ns` for company. Trouble    a write or sync that fails is tried again, with all that
 * waits, a few times a second until it succeeds; nothing is completed before, and the order stays:
 * a group that was made ready meanwhile is undone with it.  Reading goes on.  gnt_store_trouble
 * says it, so that nothing is asked for that could be refused.  If the store is closed meanwhile,
 *            what waits fails.
 * Disk full  there is a file, `reserve`, that only takes room.  It is removed when there is none
 *            left, for what has been asked for already, and for what only takes away: that is what
 *            makes room.  The trouble is over when the reserve could be made again.
 * Interval   with `sync_interval_ns` a commit completes when it is written; it is safe that much
 *            later at the latest.  If that sync fails, what the power cut would lose is put into
 * the ground instead, and commits wait until it is there. */
#ifndef GNT_STORE_DURABLE_H
#define GNT_STORE_DURABLE_H

#include "store/ground.h"
#include "store/journal.h"
#include "store/store_time.h"

enum {
    GNT_DURABLE_MEMORY_MAX = 8 << 20, /* defaults */
    GNT_DURABLE_JOURNAL_MAX = 64 << 20,
    GNT_DURABLE_SEGMENT_SIZE = 8 << 20,
    GNT_DURABLE_RESERVE_SIZE = 16 << 20,
};

/* What recovery found. */
struct gnt_durable_report {
    struct gnt_journal_report journal;
    uint64_t unreadable; /* records of the journal that are whole, but no groups */
    uint64_t applied;    /* times that a memtable was put into the ground */
};

struct gnt_durable_options {
    struct gnt_disk *disk;
    struct gnt_ground *ground;
    struct gnt_store_time *time; /* the same that the ground has; filled in by _open */
    const struct gnt_clock *clock;
    const struct gnt_random *random; /* of the journal; NULL: the system's */
    uint64_t sync_interval_ns;       /* 0: a commit completes when it is synced */
    uint64_t patience_ns;            /* 0: none */
    /* 0: as above */
    size_t memory_max;     /* bytes of a memtable */
    uint64_t journal_max;  /* bytes of records that the ground has not yet */
    uint64_t segment_size; /* of the journal */
    uint64_t reserve_size;
    bool stepped;
    /* Called now and then during recovery; or NULL. */
    void (*progress)(void *context, const struct gnt_durable_report *so_far);
    void *context;
    /* Called at the very end of _close, to free what only the store needed; or NULL. */
    void (*closed)(void *closed_context);
    void *closed_context;
};

/* Recovers, then opens; *report is filled in, whatever comes out.  Once it is open the store owns
 * disk and ground.  Recovery can be interrupted anywhere and begun again.  GNT_UNSUPPORTED: a newer
 * version wrote it; GNT_FULL, GNT_IO, GNT_NOMEM.  Close it with gnt_store_close(). */
GNT_MUST gnt_err gnt_durable_open(const struct gnt_durable_options *options,
                                  struct gnt_durable_report *report, struct gnt_store **out);

/* The time by which what S keeps expires; as long as S. */
const struct gnt_store_time *gnt_durable_time(const struct gnt_store *s);

struct gnt_durable_status {
    gnt_err state; /* GNT_OK; GNT_FULL: there is no room; GNT_IO; GNT_NOMEM: the last try failed */
    uint64_t commits, batches; /* records written to the journal, and the batches in them */
    uint64_t failures;         /* times that a group could not be written */
    uint64_t syncs, bytes;     /* of the journal */
    uint64_t journal_used;     /* bytes that the ground has not yet */
    uint64_t memory;           /* bytes of the memtables, about */
    uint64_t applied;          /* memtables put into the ground */
    uint64_t damaged;          /* records that were found broken since _open, and left out */
};

/* As of the last turn; any thread.  False: S is another engine's. */
bool gnt_durable_status(struct gnt_store *s, struct gnt_durable_status *out);

/* gnt_durable_status.state in words: "ok", "no space", ... */
const char *gnt_durable_state(gnt_err state);

/* For a stepped store.  _turn does what a store thread would do now, and returns whether there is
 * more to do at once; _apply does what the applier would, and returns whether there was something.
 * _due: when the next turn is needed if nothing is asked before, GNT_NEVER: then only. */
bool gnt_durable_turn(struct gnt_store *s);
bool gnt_durable_apply(struct gnt_store *s);
uint64_t gnt_durable_due(struct gnt_store *s);

#endif
