/* A data directory: the durable store on the disk and the clock of the real machine.
 *
 *   lock         whoever has the directory holds an flock on it; its process id is inside
 *   journal-*    store/journal.h
 *   data.mdb     the ground, store/lmdb.h
 *   reserve      store/durable.h */
#ifndef GNT_STORE_DIRECTORY_H
#define GNT_STORE_DIRECTORY_H

#include "store/durable.h"

enum { GNT_DIRECTORY_WHY_MAX = 512 };

struct gnt_directory_report {
    struct gnt_durable_report recovery;
    /* When it fails: what is wrong, in words, a phrase without a capital or a full stop. */
    char why[GNT_DIRECTORY_WHY_MAX];
};

/* Opens the store in PATH, which is made if only its last part is missing.  Of OPTIONS, disk,
 * ground and time are not looked at.  GNT_BUSY: another process has it; GNT_UNSUPPORTED: a newer
 * version wrote it; GNT_MALFORMED: damaged beyond recovery; GNT_NOTFOUND, GNT_DENIED, GNT_FULL,
 * GNT_IO, GNT_NOMEM.  *report is filled in, whatever comes out.  Close it with gnt_store_close().
 */
GNT_MUST gnt_err gnt_directory_open(const char *path, const struct gnt_durable_options *options,
                                    struct gnt_directory_report *report, struct gnt_store **out);

/* Takes the directory's lock, as for opening it, for whoever looks at it or changes it otherwise;
 * *fd is closed to give it back.  WHY has GNT_DIRECTORY_WHY_MAX bytes. */
GNT_MUST gnt_err gnt_directory_lock(const char *path, int *fd, char *why);

#endif
