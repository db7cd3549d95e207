#include "store/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct directory {
    struct gnt_disk disk;
    int fd;
};

struct file {
    struct gnt_disk_file file;
    int fd;
};

static struct directory *directory_of(struct gnt_disk *d)
{
    return (struct directory *)d;
}

static struct file *file_of(struct gnt_disk_file *f)
{
    return (struct file *)f;
}

static gnt_err failure(void)
{
    switch (errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return GNT_FULL;
    case ENOENT: return GNT_NOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS: return GNT_DENIED;
    case ENOMEM: return GNT_NOMEM;
    default: return GNT_IO;
    }
}

/* ---- The directory */

static bool is_plain(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static gnt_err list(struct gnt_disk *d, void (*found)(void *context, const char *name),
                    void *context)
{
    int fd = openat(directory_of(d)->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        gnt_err err = failure();
        if (fd >= 0)
            (void)close(fd);
        return err;
    }
    errno = 0;
    for (struct dirent *entry; (entry = readdir(dir)); errno = 0)
        if (is_plain(fd, entry->d_name))
            found(context, entry->d_name);
    gnt_err err = errno ? failure() : GNT_OK;
    (void)closedir(dir);
    return err;
}

static gnt_err remove_file(struct gnt_disk *d, const char *name)
{
    return unlinkat(directory_of(d)->fd, name, 0) == 0 ? GNT_OK : failure();
}

static gnt_err sync_names(struct gnt_disk *d)
{
    int result;
    do
        result = fsync(directory_of(d)->fd);
    while (result != 0 && errno == EINTR);
    return result == 0 ? GNT_OK : failure();
}

static void free_directory(struct gnt_disk *d)
{
    (void)close(directory_of(d)->fd);
    free(directory_of(d));
}

/* ---- Its files */

static gnt_err size_of_file(struct gnt_disk_file *f, uint64_t *out)
{
    struct stat st;
    if (fstat(file_of(f)->fd, &st) != 0)
        return failure();
    *out = (uint64_t)st.st_size;
    return GNT_OK;
}

static gnt_err read_file(struct gnt_disk_file *f, uint64_t at, void *to, size_t size, size_t *got)
{
    *got = 0;
    while (*got < size) {
        ssize_t n = pread(file_of(f)->fd, (uint8_t *)to + *got, size - *got, (off_t)(at + *got));
        if (n == 0)
            break;
        if (n > 0)
            *got += (size_t)n;
        else if (errno != EINTR)
            return failure();
    }
    return GNT_OK;
}

enum { PARTS_A_CALL = 64 };

/* The first of PARTS as the system wants them, without their first SKIP bytes, which are fewer than
 * the first part has. */
static int to_vector(const struct gnt_slice *parts, size_t count, size_t skip, struct iovec *out)
{
    size_t n = count < PARTS_A_CALL ? count : PARTS_A_CALL;
    for (size_t i = 0; i < n; i++, skip = 0) {
        struct gnt_slice rest = gnt_slice_skip(parts[i], skip);
        out[i] = (struct iovec){(void *)(uintptr_t)rest.data, rest.size};
    }
    return (int)n;
}

static gnt_err write_file(struct gnt_disk_file *f, uint64_t at, const struct gnt_slice *parts,
                          size_t count)
{
    size_t skip = 0; /* bytes of parts[0] that are written */
    for (;;) {
        for (; count > 0 && skip >= parts[0].size; parts++, count--)
            skip -= parts[0].size;
        if (count == 0)
            return GNT_OK;
        struct iovec vector[PARTS_A_CALL];
        int n = to_vector(parts, count, skip, vector);
        ssize_t wrote = pwritev(file_of(f)->fd, vector, n, (off_t)at);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) /* a regular file that takes nothing and says nothing is broken */
            return wrote < 0 ? failure() : GNT_IO;
        at += (uint64_t)wrote;
        skip += (size_t)wrote;
    }
}

static gnt_err sync_file(struct gnt_disk_file *f)
{
    int result;
    do
        result = fdatasync(file_of(f)->fd);
    while (result != 0 && errno == EINTR);
    return result == 0 ? GNT_OK : failure();
}

static void close_file(struct gnt_disk_file *f)
{
    (void)close(file_of(f)->fd);
    free(file_of(f));
}

static gnt_err open_file(struct gnt_disk *d, const char *name, bool create,
                         struct gnt_disk_file **out)
{
    struct file *f = malloc(sizeof *f);
    if (!f)
        return GNT_NOMEM;
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0);
    *f = (struct file){{d->ops}, openat(directory_of(d)->fd, name, flags, 0600)};
    if (f->fd < 0) {
        gnt_err err = failure();
        free(f);
        return err;
    }
    *out = &f->file;
    return GNT_OK;
}

gnt_err gnt_disk_open(const char *path, struct gnt_disk **out)
{
    static const struct gnt_disk_ops ops = {
        .list = list,
        .open = open_file,
        .size = size_of_file,
        .read = read_file,
        .write = write_file,
        .sync = sync_file,
        .close = close_file,
        .remove = remove_file,
        .sync_names = sync_names,
        .free = free_directory,
    };
    struct directory *d = malloc(sizeof *d);
    if (!d)
        return GNT_NOMEM;
    *d = (struct directory){{&ops}, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (d->fd < 0) {
        gnt_err err = failure();
        free(d);
        return err;
    }
    *out = &d->disk;
    return GNT_OK;
}
