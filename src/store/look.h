/* A data directory as it lies there: what a store that recovers from it would have, while nothing
 * in it is changed.
 *
 * It is a store that can only be read: gnt_store_get, _scan and _read complete before they return.
 * Whoever looks has the directory's lock (store/directory.h), so that nobody writes meanwhile.
 *
 * Memory  as much as the journal has that the ground has not. */
#ifndef GNT_STORE_LOOK_H
#define GNT_STORE_LOOK_H

#include "store/durable.h"
#include "store/lmdb.h"

/* As gnt_durable_open finds things, but for `applied`, which is 0. */
struct gnt_look_report {
    struct gnt_durable_report recovery;
    struct gnt_ground_mark mark; /* of the ground */
    char why[GNT_LMDB_WHY_MAX];  /* when it fails: what is wrong, in words */
};

/* GNT_NOTFOUND: there is no store in PATH; otherwise as gnt_directory_open.  Close it with
 * gnt_store_close(). */
GNT_MUST gnt_err gnt_look_open(const char *path, struct gnt_look_report *report,
                               struct gnt_store **out);

#endif
