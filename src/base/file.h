/* Whole files, by their descriptors, and their names: these wait for the disk, so no event loop
 * calls them.
 *
 * Threads  any, each with a descriptor of its own. */
#ifndef GNT_BASE_FILE_H
#define GNT_BASE_FILE_H

#include "base/buf.h"

#include <sys/types.h>
#include <time.h>

/* Appends what FD has from here on, a regular file, a pipe or a device: MAX bytes at most, and one
 * more if it has more than that.  Room for a regular file is made at once: an OUT that was empty
 * does not grow while one is read, which would leave what it held, which may be secret, in memory
 * that nobody wipes.  GNT_NOMEM; GNT_IO: errno says why.  What had been read is in OUT then. */
GNT_MUST gnt_err gnt_file_read(int fd, size_t max, struct gnt_buf *out);

/* Writes all of BYTES, and syncs.  GNT_IO: errno says why. */
GNT_MUST gnt_err gnt_file_write(int fd, struct gnt_slice bytes);

/* Creates a file beside PATH, to be renamed to it, and opens it for writing: FRESH, of CAP bytes,
 * gets its name, which is PATH with a random number behind it.  -1: errno says why. */
GNT_MUST int gnt_file_beside(const char *path, mode_t mode, char *fresh, size_t cap);

/* Opens the directory that PATH is in, by its text.  -1: errno says why. */
GNT_MUST int gnt_file_open_directory(const char *path);

/* That PATH names what it does now survives a crash, too: syncs its directory, where the file
 * system knows such a thing.  GNT_IO: errno says why. */
GNT_MUST gnt_err gnt_file_sync_name(const char *path);

/* What a file looks like from outside, which changes when it is written or replaced; compares by
 * its bytes. */
struct gnt_file_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

/* Zeros: PATH is NULL, or not there. */
void gnt_file_stamp(const char *path, struct gnt_file_stamp *out);

#endif
