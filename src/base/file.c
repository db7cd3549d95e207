#include "base/file.h"

#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* For the whole file and for finding its end. */
static size_t first_room(int fd, size_t max)
{
    enum { CHUNK = 16 * 1024 };
    struct stat status;
    off_t size = fstat(fd, &status) == 0 ? status.st_size : 0;
    if (size < CHUNK)
        return CHUNK;
    return (uint64_t)size > max ? max + 1 : (size_t)size + 1;
}

gnt_err gnt_file_read(int fd, size_t max, struct gnt_buf *out)
{
    size_t left = max + 1, room = first_room(fd, max);
    for (ssize_t n = 1; left && n > 0;) {
        if (gnt_buf_reserve(out, room))
            return GNT_NOMEM;
        room = 1;
        size_t cap = out->cap - out->end;
        n = read(fd, gnt_buf_tail(out), cap < left ? cap : left);
        if (n < 0 && errno != EINTR)
            return GNT_IO;
        size_t got = n < 0 ? 0 : (size_t)n;
        gnt_buf_wrote(out, got);
        left -= got;
        n = n < 0 ? 1 : n;
    }
    return GNT_OK;
}

gnt_err gnt_file_write(int fd, struct gnt_slice bytes)
{
    while (bytes.size) {
        ssize_t n = write(fd, bytes.data, bytes.size);
        if (n < 0 && errno != EINTR)
            return GNT_IO;
        bytes = gnt_slice_skip(bytes, n < 0 ? 0 : (size_t)n);
    }
    return fsync(fd) == 0 ? GNT_OK : GNT_IO;
}

int gnt_file_beside(const char *path, mode_t mode, char *fresh, size_t cap)
{
    enum { TRIES = 100 };
    int fd = -1;
    errno = EEXIST;
    for (int i = 0; i < TRIES && fd < 0 && errno == EEXIST; i++) {
        uint32_t number = (uint32_t)gnt_random_u64(&gnt_random_system);
        int size = snprintf(fresh, cap, "%s.%08x", path, (unsigned)number);
        if (size < 0 || (size_t)size >= cap) {
            errno = ENAMETOOLONG;
            return -1;
        }
        fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    }
    return fd;
}

int gnt_file_open_directory(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int size = slash ? (int)(slash - path) + 1 : 1;
    (void)snprintf(directory, sizeof directory, "%.*s", size, slash ? path : ".");
    return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

gnt_err gnt_file_sync_name(const char *path)
{
    int fd = gnt_file_open_directory(path);
    if (fd < 0)
        return GNT_IO;
    bool synced = fsync(fd) == 0 || errno == EINVAL;
    int number = errno;
    close(fd);
    errno = number;
    return synced ? GNT_OK : GNT_IO;
}

void gnt_file_stamp(const char *path, struct gnt_file_stamp *out)
{
    struct stat found;
    memset(out, 0, sizeof *out);
    if (!path || stat(path, &found) < 0)
        return;
    out->device = found.st_dev;
    out->inode = found.st_ino;
    out->size = found.st_size;
    out->modified = found.st_mtim;
}
