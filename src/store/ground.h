/* The ground: what lies below the memtables of the durable engine.  Records of tables and entries
 * of logs on disk, in one ordered place, changed by whole memtables at a time.
 *
 * It knows which record of the journal it holds: `mark.applied` is changed in the same transaction
 * as all that came up to there, so that recovery knows where to go on.
 *
 * Payloads   a message with one record in the memtable is written with it; one with several has a
 *            place of its own, once, with the number of records that refer to it, and goes with the
 *            last of them.
 * Damage     what is read is checked (CRC-32C over key and value); a record that fails is left
 *            out, counted, and never handed out.
 * Threads    _apply by one thread; the others by one thread too, at the same time as _apply: a read
 *            shows what was there before it, or after it, as a whole. */
#ifndef GNT_STORE_GROUND_H
#define GNT_STORE_GROUND_H

#include "store/memtable.h"

enum { GNT_GROUND_FORMAT = 1 };

/* What is changed with every _apply. */
struct gnt_ground_mark {
    uint64_t applied; /* the last journal record that is in it */
    int64_t skew_ms;  /* store time less wall time, see store/store_time.h */
    uint64_t at_ms;   /* store time of this mark */
};

struct gnt_ground_log {
    uint64_t last, count; /* as in struct gnt_store_read; both 0: there is no such log */
};

struct gnt_ground {
    const struct gnt_ground_ops *ops;
};

/* Times in messages are store time (milliseconds since 1970, UINT64_MAX: never) on disk and
 * monotonic ns in memory; TIME, handed in when a ground is made, converts. */
struct gnt_ground_ops {
    /* As of the last _apply; an empty ground has all 0. */
    void (*mark)(struct gnt_ground *g, struct gnt_ground_mark *out);
    /* Puts all of TABLE in, and MARK, in one transaction that is safe when it returns; a failure
     * (GNT_FULL, GNT_IO, GNT_NOMEM) changes nothing and may be tried again. */
    gnt_err (*apply)(struct gnt_ground *g, const struct gnt_memtable *table,
                     const struct gnt_ground_mark *mark);
    /* *out: a reference, NULL where there is none. */
    gnt_err (*get)(struct gnt_ground *g, struct gnt_slice table, struct gnt_slice key,
                   struct gnt_record **out);
    /* At most MOST records whose keys begin with PREFIX and are behind AFTER, in order, references;
     * *count of them.  Fewer than MOST: there are no more.  Damaged ones are left out. */
    gnt_err (*scan)(struct gnt_ground *g, struct gnt_slice table, struct gnt_slice prefix,
                    struct gnt_slice after, uint32_t most, struct gnt_record **out,
                    uint32_t *count);
    /* Likewise entries numbered FROM or higher. */
    gnt_err (*read)(struct gnt_ground *g, struct gnt_slice log, uint64_t from, uint32_t most,
                    struct gnt_record **out, uint32_t *count);
    gnt_err (*log)(struct gnt_ground *g, struct gnt_slice log, struct gnt_ground_log *out);
    /* Records that were left out, and reads that failed, so far. */
    uint64_t (*damaged)(struct gnt_ground *g);
    void (*close)(struct gnt_ground *g);
};

#endif
