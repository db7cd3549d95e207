/* The ground on LMDB, as its two halves see it: lmdb.c opens and reads, lmdb_apply.c writes. */
#ifndef GNT_STORE_LMDB_GROUND_H
#define GNT_STORE_LMDB_GROUND_H

#include "store/lmdb_file.h"

#include <pthread.h>

struct gnt_lmdb {
    struct gnt_ground ground;
    uint32_t magic;
    const struct gnt_store_time *time;
    char *path;
    size_t map_size;
    /* Held for one read, and by the thread that applies while it changes what reads use: the mark,
     * and the map when it grows or the file is opened anew.  Nothing is taken inside. */
    pthread_mutex_t reading;
    struct gnt_lmdb_file file;
    MDB_txn *reader; /* reset, so that it keeps no page, unless something is read right now */
    struct gnt_lmdb_mark mark;
    _Atomic uint64_t damaged;          /* records left out, and reads that failed */
    bool doubtful[GNT_LMDB_DATABASES]; /* when it was opened their records were not all there, in
                                          order and found by their keys; of tables and logs */
    _Atomic bool stopped; /* LMDB has stopped in the middle of something: it is not called again */
    struct gnt_buf message, value; /* of _apply */
};

/* Calls WORK, which calls LMDB; GNT_IO if LMDB has stopped, then or before. */
GNT_MUST gnt_err gnt_lmdb_guard(struct gnt_lmdb *l, gnt_err (*work)(struct gnt_lmdb *l, void *of),
                                void *of);

/* Opens the file anew, with MAP_SIZE, and nobody reading. */
GNT_MUST gnt_err gnt_lmdb_reopen(struct gnt_lmdb *l, size_t map_size);

gnt_err gnt_lmdb_apply(struct gnt_ground *ground, const struct gnt_memtable *table,
                       const struct gnt_ground_mark *mark);

#endif
