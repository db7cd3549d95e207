/* The disk door: the journal reaches its directory only through this struct, so that a simulation
 * can hand in a disk that loses what was not synced, tears what was being written, and refuses.
 *
 * A disk is one directory of plain files.  Its files are written in place, never truncated by a
 * write, and are as large as the furthest write.  What was written is safe after _sync of its file
 * and, if the file was created or removed since, _sync_names.  One thread at a time for each file.
 *
 * Errors  GNT_FULL: no space, or quota; GNT_IO: anything else that the system says; GNT_NOTFOUND;
 *         GNT_DENIED; GNT_NOMEM.  A write that failed may have been done in part.  A sync that
 *         failed says nothing about what is safe, and nor does the next one that succeeds: the
 *         system may have forgotten what it could not write.  Whoever needs it writes it again,
 *         elsewhere. */
#ifndef GNT_STORE_DISK_H
#define GNT_STORE_DISK_H

#include "base/err.h"
#include "base/slice.h"

enum { GNT_DISK_NAME_MAX = 64 };

struct gnt_disk {
    const struct gnt_disk_ops *ops;
};

struct gnt_disk_file {
    const struct gnt_disk_ops *ops;
};

struct gnt_disk_ops {
    /* Hands the name of each plain file to FOUND, in no order. */
    gnt_err (*list)(struct gnt_disk *d, void (*found)(void *context, const char *name),
                    void *context);
    /* CREATE: an empty file, if there is none of that name. */
    gnt_err (*open)(struct gnt_disk *d, const char *name, bool create, struct gnt_disk_file **out);
    gnt_err (*size)(struct gnt_disk_file *f, uint64_t *out);
    /* *got is less than SIZE only at the end of the file. */
    gnt_err (*read)(struct gnt_disk_file *f, uint64_t at, void *to, size_t size, size_t *got);
    /* All of PARTS, one behind the other, from AT. */
    gnt_err (*write)(struct gnt_disk_file *f, uint64_t at, const struct gnt_slice *parts,
                     size_t count);
    gnt_err (*sync)(struct gnt_disk_file *f); /* what was written, and the file's size */
    void (*close)(struct gnt_disk_file *f);   /* without _sync */
    gnt_err (*remove)(struct gnt_disk *d, const char *name);
    gnt_err (*sync_names)(struct gnt_disk *d); /* what was created and removed */
    void (*free)(struct gnt_disk *d);
};

/* The directory PATH, which exists. */
GNT_MUST gnt_err gnt_disk_open(const char *path, struct gnt_disk **out);

#endif
