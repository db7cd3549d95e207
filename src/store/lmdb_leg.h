/* One way through one database of a file that may be damaged, in a child process: where LMDB dies
 * of what it finds there, the parent knows how far the child has come.
 *
 * Any thread; it waits for the child. */
#ifndef GNT_STORE_LMDB_LEG_H
#define GNT_STORE_LMDB_LEG_H

#include "store/lmdb_file.h"

/* What parent and child both see: how far the child has come stands there when it has died. */
struct gnt_lmdb_shared {
    struct gnt_lmdb_report report;
    struct gnt_lmdb_mark mark;
    gnt_err err;
    uint64_t expected; /* records in the database */
    uint64_t steps;    /* of this leg */
    size_t map_size;   /* for a copy */
};

/* From one end of DATABASE on, until there are no more or MOST have been visited. */
struct gnt_lmdb_leg {
    const char *path;
    const char *copy; /* file that what is good is put into, or NULL: it is only looked at */
    enum gnt_lmdb_database database;
    bool backward;
    uint64_t most; /* records */
    struct gnt_lmdb_shared *shared;
};

/* Zeroed; NULL: no memory. */
struct gnt_lmdb_shared *gnt_lmdb_shared_new(void);
void gnt_lmdb_shared_free(struct gnt_lmdb_shared *shared);

/* Goes it; what has been found is in leg->shared.  *died: it has not come to its end.
 * GNT_MALFORMED, GNT_UNSUPPORTED: there is no way into the file; or GNT_NOMEM, GNT_IO and the
 * like. */
GNT_MUST gnt_err gnt_lmdb_leg_run(const struct gnt_lmdb_leg *leg, bool *died);

#endif
