#include "base/file.h"

#include <errno.h>
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
