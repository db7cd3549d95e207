/* Files of keys and certificates: read within bounds, and written so that each is there whole or as
 * it was before.
 *
 *     struct gnt_files files = {.replace = force};
 *     err = gnt_files_add(&files, "pki/ca.key", GNT_FILES_SECRET, bytes, &why);  any number of
 * times if (!err) err = gnt_files_commit(&files, &why); gnt_files_fini(&files);
 *
 * A file is written beside its place under another name, synced, and takes its place in one step;
 * nothing takes its place before all of them are written.  A secret one is created 0600 and is
 * never anything else; others 0644 less the umask.  What was at the place, a symbolic link too, is
 * replaced or stays: it is never written to.
 *
 * Threads  one at a time for each set. */
#ifndef GNT_PKI_FILES_H
#define GNT_PKI_FILES_H

#include "base/buf.h"
#include "pki/why.h"

#include <sys/types.h>

enum {
    GNT_FILES_READ_MAX = 4 * 1024 * 1024, /* bytes; a revocation list may be long */
    GNT_FILES_SET_MAX = 16,
    GNT_FILES_SECRET = 0600,
    GNT_FILES_PUBLIC = 0644,
};

struct gnt_files {
    bool replace; /* what is there already; else it is refused */
    size_t count;
    struct gnt_files_item {
        char *path, *fresh;
        bool replace, placed;
    } items[GNT_FILES_SET_MAX];
};

/* Writes BYTES beside PATH.  GNT_EXISTS: there is something at PATH, and it is not to be replaced.
 */
GNT_MUST gnt_err gnt_files_add(struct gnt_files *files, const char *path, mode_t mode,
                               struct gnt_slice bytes, struct gnt_pki_why *why);

/* The same for a file that is a newer state of itself: it replaces what is there in any case. */
GNT_MUST gnt_err gnt_files_update(struct gnt_files *files, const char *path, mode_t mode,
                                  struct gnt_slice bytes, struct gnt_pki_why *why);

/* Puts all of them in place, in the order in which they were added.  If one fails, those that are
 * in place and have replaced nothing are taken away again. */
GNT_MUST gnt_err gnt_files_commit(struct gnt_files *files, struct gnt_pki_why *why);

/* Removes what was written and not put in place. */
void gnt_files_fini(struct gnt_files *files);

/* Appends the content of the regular file, pipe or device PATH.  GNT_TOOBIG: over
 * GNT_FILES_READ_MAX.  A failure leaves what OUT held, but there may be more behind it that is to
 * be wiped where it is secret. */
GNT_MUST gnt_err gnt_files_read(const char *path, struct gnt_buf *out, struct gnt_pki_why *why);

/* Makes the directory PATH, 0700, unless it is there; its parent has to be. */
GNT_MUST gnt_err gnt_files_directory(const char *path, struct gnt_pki_why *why);

/* Waits for the lock of directory PATH, which is on it until *fd is closed. */
GNT_MUST gnt_err gnt_files_lock(const char *path, int *fd, struct gnt_pki_why *why);

/* gnt_buf_fini for what is secret: the bytes are overwritten first. */
void gnt_files_wipe(struct gnt_buf *secret);

#endif
