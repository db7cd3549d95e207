#include "net/unix.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 100, LOCK_PAUSE_MS = 10 };

gnt_err gnt_unix_address(const char *path, struct sockaddr_un *out)
{
    size_t size = strlen(path);
    if (size > GNT_UNIX_PATH_MAX)
        return GNT_TOOBIG;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, path, size);
    return GNT_OK;
}

static int socket_new(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* errno stays. */
static void close_quietly(int fd)
{
    int number = errno;
    close(fd);
    errno = number;
}

/* Of two brokers that start at once one would find the other's socket between its bind(2) and its
 * listen(2), and take it for one that was left.  So each has the directory for itself meanwhile.
 * Returns a descriptor, or -1 and errno. */
static int lock_directory(const char *path)
{
    static const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
    int fd = gnt_file_open_directory(path);
    for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB); i++) {
        if (i == LOCK_TRIES || (errno != EWOULDBLOCK && errno != EINTR)) {
            close_quietly(fd);
            return -1;
        }
        nanosleep(&pause, NULL);
    }
    return fd;
}

/* What an earlier broker has left is removed. */
static gnt_err make_room(const struct sockaddr_un *address)
{
    struct stat there;
    if (lstat(address->sun_path, &there))
        return errno == ENOENT ? GNT_OK : gnt_err_from_errno(errno);
    if (!S_ISSOCK(there.st_mode))
        return GNT_EXISTS;
    int fd = socket_new();
    if (fd < 0)
        return gnt_err_from_errno(errno);
    errno = 0;
    (void)connect(fd, (const struct sockaddr *)address, sizeof *address);
    close_quietly(fd);
    if (errno == EACCES || errno == EPERM)
        return GNT_DENIED;
    if (errno != ECONNREFUSED) /* full, or of another kind: somebody's all the same */
        return GNT_BUSY;
    return unlink(address->sun_path) ? gnt_err_from_errno(errno) : GNT_OK;
}

/* Nobody can connect before listen(2), whatever the mode is until then. */
static gnt_err bind_and_listen(int fd, const struct sockaddr_un *address, mode_t mode, int backlog,
                               struct gnt_unix_file *file)
{
    struct stat there;
    if (bind(fd, (const struct sockaddr *)address, sizeof *address))
        return gnt_err_from_errno(errno);
    if (!chmod(address->sun_path, mode) && !lstat(address->sun_path, &there) &&
        !listen(fd, backlog)) {
        *file = (struct gnt_unix_file){there.st_dev, there.st_ino};
        return GNT_OK;
    }
    int number = errno;
    (void)unlink(address->sun_path);
    errno = number;
    return gnt_err_from_errno(number);
}

static gnt_err listen_at(const struct sockaddr_un *address, mode_t mode, int backlog, int *fd,
                         struct gnt_unix_file *file)
{
    gnt_err err = make_room(address);
    if (err)
        return err;
    int s = socket_new();
    if (s < 0)
        return gnt_err_from_errno(errno);
    err = bind_and_listen(s, address, mode, backlog, file);
    if (err)
        close_quietly(s);
    else
        *fd = s;
    return err;
}

gnt_err gnt_unix_listen(const char *path, mode_t mode, int backlog, int *fd,
                        struct gnt_unix_file *file)
{
    struct sockaddr_un address;
    gnt_err err = gnt_unix_address(path, &address);
    if (err)
        return err;
    int lock = lock_directory(path);
    if (lock < 0)
        return errno == EWOULDBLOCK ? GNT_BUSY : gnt_err_from_errno(errno);
    err = listen_at(&address, mode, backlog, fd, file);
    close_quietly(lock);
    return err;
}

void gnt_unix_remove(const char *path, const struct gnt_unix_file *file)
{
    struct stat there;
    if (!lstat(path, &there) && there.st_dev == file->device && there.st_ino == file->inode)
        (void)unlink(path);
}
