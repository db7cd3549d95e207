#include "store/directory.h"

#include "store/lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What lives as long as the store. */
struct directory {
    int lock;
    struct gnt_store_time time;
};

static gnt_err from_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT ? GNT_FULL : gnt_err_from_errno(errno);
}

static gnt_err failed(char *why, const char *what, const char *path, gnt_err err)
{
    const char *reason = err == GNT_FULL ? "no space left on its disk" : gnt_err_text(err);
    snprintf(why, GNT_DIRECTORY_WHY_MAX, "%s %s: %s", what, path, reason);
    return err;
}

/* Somebody else has the lock. */
static gnt_err busy(int fd, const char *path, char *why)
{
    char pid[16] = "";
    ssize_t got = pread(fd, pid, sizeof pid - 1, 0);
    long number = got > 0 ? strtol(pid, NULL, 10) : 0;
    if (number > 0)
        snprintf(why, GNT_DIRECTORY_WHY_MAX, "another process, %ld, has %s", number, path);
    else
        snprintf(why, GNT_DIRECTORY_WHY_MAX, "another process has %s", path);
    return GNT_BUSY;
}

/* Says who has the lock: only for people, so it may fail. */
static void sign(int fd)
{
    char pid[16];
    int size = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)size, 0) != size)
        (void)!ftruncate(fd, 0);
}

/* That there is a directory at PATH is safe, too; where the one above may not be opened, whoever
 * made it has to see to that.  Each time, as an earlier start may have come to its end in between.
 */
static gnt_err sync_name(const char *path)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int above = dir < 0 ? -1 : openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    gnt_err err = above >= 0 && fsync(above) != 0 && errno != EINVAL ? from_errno() : GNT_OK;
    if (above >= 0)
        close(above);
    if (dir >= 0)
        close(dir);
    return err;
}

gnt_err gnt_directory_lock(const char *path, int *out, char *why)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 && errno == ENOTDIR) {
        snprintf(why, GNT_DIRECTORY_WHY_MAX, "%s is no directory", path);
        return GNT_NOTFOUND;
    }
    if (dir < 0)
        return failed(why, "cannot open", path, from_errno());
    int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    gnt_err err = fd < 0 ? from_errno() : GNT_OK;
    close(dir);
    if (err)
        return failed(why, "cannot make a lock in", path, err);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        sign(fd);
        *out = fd;
        return GNT_OK;
    }
    err =
        errno == EWOULDBLOCK ? busy(fd, path, why) : failed(why, "cannot lock", path, from_errno());
    close(fd);
    return err;
}

static void directory_free(void *context)
{
    struct directory *d = context;
    close(d->lock);
    free(d);
}

static gnt_err directory_new(const char *path, char *why, struct directory **out)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return failed(why, "cannot make", path, from_errno());
    gnt_err err = sync_name(path);
    if (err)
        return failed(why, "cannot sync what is above", path, err);
    struct directory *d = calloc(1, sizeof *d);
    if (!d)
        return failed(why, "cannot open", path, GNT_NOMEM);
    err = gnt_directory_lock(path, &d->lock, why);
    if (err)
        free(d);
    else
        *out = d;
    return err;
}

/* LMDB does not always say that it is its pages, and not the disk. */
static bool is_damaged(const char *path, struct gnt_ground *ground)
{
    struct gnt_lmdb_report found;
    return ground->ops->damaged(ground) > 0 ||
           (gnt_lmdb_check(path, &found) == GNT_OK &&
            found.damaged + found.misplaced + found.unreadable > 0);
}

/* On the journal and the ground, both of which are open. */
static gnt_err open_store(const char *path, struct gnt_durable_options *o,
                          struct gnt_directory_report *report, struct gnt_store **out)
{
    gnt_err err = gnt_durable_open(o, &report->recovery, out);
    if (err == GNT_UNSUPPORTED)
        snprintf(report->why, sizeof report->why, "a newer version has written the journal in %s",
                 path);
    else if (err == GNT_IO && is_damaged(path, o->ground)) {
        err = GNT_MALFORMED;
        snprintf(report->why, sizeof report->why, "data.mdb in %s is damaged", path);
    } else if (err)
        failed(report->why, "cannot recover", path, err);
    return err;
}

static gnt_err open_parts(const char *path, struct gnt_durable_options *o,
                          struct gnt_directory_report *report, struct gnt_store **out)
{
    char why[GNT_LMDB_WHY_MAX] = "";
    gnt_err err = gnt_disk_open(path, &o->disk);
    if (err)
        return failed(report->why, "cannot open", path, err);
    err = gnt_lmdb_open(path, o->time, NULL, &o->ground, why);
    if (err) {
        snprintf(report->why, sizeof report->why, "%s: %s", path, why);
    } else {
        err = open_store(path, o, report, out);
        if (err)
            o->ground->ops->close(o->ground);
    }
    if (err)
        o->disk->ops->free(o->disk);
    return err;
}

gnt_err gnt_directory_open(const char *path, const struct gnt_durable_options *options,
                           struct gnt_directory_report *report, struct gnt_store **out)
{
    struct gnt_durable_options o = *options;
    struct directory *d = NULL;
    *report = (struct gnt_directory_report){0};
    gnt_err err = directory_new(path, report->why, &d);
    if (err)
        return err;
    o.time = &d->time;
    o.closed = directory_free;
    o.closed_context = d;
    err = open_parts(path, &o, report, out);
    if (err)
        directory_free(d);
    return err;
}
