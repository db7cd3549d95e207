/* A library to preload that sees what a program does to one directory: it writes down each write,
 * change of a name and sync, in order and with the data, and makes chosen calls fail.
 *
 *   GNATTER_FAULT_DIR      the directory; what is outside is left alone
 *   GNATTER_FAULT_TRACE    where to append what happens, see below; must be outside
 *   GNATTER_FAULT_SYNC_US  each sync takes so much longer, in microseconds
 *   GNATTER_FAULT_KIND     enospc, eio or short (half of a write is done): which failure
 *   GNATTER_FAULT_CALL     write, sync or open: which calls are counted and fail; all by default
 *   GNATTER_FAULT_AT       the number, from 1 on, of the call that fails
 *   GNATTER_FAULT_UNTIL    a file: instead of one call all from _AT on fail, while it exists
 *
 * Order    a call and its record are one step (`lock`), and a record is one write to the end of the
 *          trace, so the trace is in the order of what happened.  A sync has a record before it
 *          and one behind it: it makes safe what stands before the first.  Whoever wants to know
 *          what was safe when something happened elsewhere, in another process, too, appends a
 *          mark to the trace when it knows of it: whatever had led to it stands before the mark.
 * Record   struct record, the name, the data; states.py reads them.
 * Unseen   writes to shared mappings (that there is one is written down), copy_file_range() and its
 *          kin, duplicates of descriptors.  Whoever uses a trace compares what it leads to with the
 *          directory as it is.
 *
 * 64-bit Linux only: system calls are made directly, so that nothing depends on which of the names
 * of a function the program uses. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(long) == 8, "offsets are handed over in one register");

enum kind {
    OPEN = 1, /* a name that was there; DIRECTORY */
    CREATE,   /* a new, empty file */
    WRITE,    /* data, at; SAFE */
    TRUNCATE, /* length */
    ALLOCATE, /* at, length; mode is fallocate's */
    RENAME,   /* the data is the new name */
    UNLINK,
    MKDIR,
    SYNC_BEGIN, /* at: a number that SYNC_END has, too */
    SYNC_END,   /* FAILED */
    FAULT,      /* the call that comes was made to fail */
    MARK,       /* not written here: data is anything */
    MAPPED,     /* is mapped shared and writable */
};

enum flag { DIRECTORY = 1, SAFE = 1, FAILED = 1 };

/* Little-endian, as the machine is; then name_size and data_size bytes. */
struct record {
    uint32_t data_size;
    uint16_t name_size;
    uint8_t kind, flags;
    uint64_t file; /* inode number */
    uint64_t at, length;
};

enum { FD_MAX = 65536 };

enum { OURS_NOT, OURS_FILE, OURS_DIRECTORY };

/* What a descriptor stands for; `kind` is read without the lock. */
static struct {
    _Atomic uint8_t kind; /* OURS_... */
    bool safe;            /* O_SYNC or O_DSYNC */
    bool append;          /* O_APPEND: at the end, whatever place was asked for */
    uint64_t file;
} fds[FD_MAX];

enum call { CALL_WRITE = 1, CALL_SYNC = 2, CALL_OPEN = 4 };

enum { SHORT = -1 }; /* beside error numbers */

/* Guards all that follows but what the constructor sets, and is held during each call that changes
 * the directory except syncs. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[4096];
static size_t folder_size; /* 0: do nothing at all */
static int trace = -1;
static uint8_t *line; /* the record that is being made */
static size_t line_size;
static uint64_t syncs;
static struct {
    int error; /* SHORT: half a write; 0: none */
    unsigned calls;
    uint64_t at, count;
    const char *until;
} fault;
static useconds_t sync_us;

static void die(const char *what)
{
    fprintf(stderr, "fault shim: %s: %s\n", what, strerror(errno));
    abort();
}

/* --- the trace --- */

static void emit(struct record r, const char *name, const struct iovec *parts, size_t size)
{
    if (trace < 0)
        return;
    r.name_size = (uint16_t)strlen(name);
    r.data_size = (uint32_t)size;
    size_t need = sizeof r + r.name_size + size;
    if (need > line_size) {
        line = realloc(line, need);
        if (!line)
            die("no memory");
        line_size = need;
    }
    memcpy(line, &r, sizeof r);
    memcpy(line + sizeof r, name, r.name_size);
    for (size_t at = sizeof r + r.name_size; size > 0; parts++) {
        size_t n = parts->iov_len < size ? parts->iov_len : size;
        memcpy(line + at, parts->iov_base, n);
        at += n;
        size -= n;
    }
    if (syscall(SYS_write, trace, line, need) != (long)need)
        die("trace");
}

static void emit_name(enum kind kind, uint64_t file, const char *name)
{
    emit((struct record){.kind = (uint8_t)kind, .file = file}, name, NULL, 0);
}

/* --- names and descriptors --- */

static uint8_t ours(int fd)
{
    return fd >= 0 && fd < FD_MAX ? atomic_load_explicit(&fds[fd].kind, memory_order_relaxed) : 0;
}

/* PATH as a name within the directory ("" for itself) into NAME; false: it is elsewhere. */
static bool resolve(int at, const char *path, char name[4096])
{
    if (folder_size == 0 || !path)
        return false;
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    if (strcmp(last, "..") == 0) /* nothing that we have is above something else of ours */
        return false;
    if (strcmp(last, ".") == 0)
        last++;
    char parent[4096], link[64], full[4096];
    size_t size = slash ? (size_t)(slash - path) : 0;
    if (size >= sizeof parent)
        return false;
    memcpy(parent, path, size);
    parent[size] = 0;
    int fd = (int)syscall(SYS_openat, at,
                          size    ? parent
                          : slash ? "/"
                                  : ".",
                          O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, full, sizeof full - 1);
    syscall(SYS_close, fd);
    if (n < 0 || (size_t)n + strlen(last) + 2 > sizeof full)
        return false;
    full[n] = 0;
    if (*last) {
        full[n] = '/';
        strcpy(full + n + 1, last);
    }
    if (strncmp(full, folder, folder_size) != 0 || (full[folder_size] && full[folder_size] != '/'))
        return false;
    strcpy(name, full[folder_size] ? full + folder_size + 1 : "");
    return true;
}

static void remember(int fd, int flags, const struct stat *st)
{
    if (fd >= FD_MAX)
        die("descriptor");
    fds[fd].file = st->st_ino;
    fds[fd].safe = (flags & (O_SYNC | O_DSYNC)) != 0;
    fds[fd].append = (flags & O_APPEND) != 0;
    fds[fd].kind = S_ISDIR(st->st_mode) ? OURS_DIRECTORY : OURS_FILE;
}

/* --- failures --- */

/* What is to become of a call: 0 all is well, an error number, or SHORT.  With the lock held. */
static int verdict(enum call call, size_t size)
{
    if (fault.error == 0 || !(fault.calls & call) || (fault.error == SHORT && size < 2))
        return 0;
    fault.count++;
    bool now = fault.until ? fault.count >= fault.at && access(fault.until, F_OK) == 0
                           : fault.count == fault.at;
    if (!now)
        return 0;
    emit((struct record){.kind = FAULT, .at = fault.count}, "", NULL, 0);
    return fault.error;
}

/* The same for calls that are done or not: true, and errno, if they fail. */
static bool refused(enum call call)
{
    int error = verdict(call, 0);
    if (error)
        errno = error;
    return error != 0;
}

static unsigned calls_of(const char *word)
{
    static const struct {
        const char *word;
        unsigned calls;
    } rows[] = {{"write", CALL_WRITE}, {"sync", CALL_SYNC}, {"open", CALL_OPEN}};
    for (size_t i = 0; word && i < sizeof rows / sizeof *rows; i++)
        if (strcmp(word, rows[i].word) == 0)
            return rows[i].calls;
    return CALL_WRITE | CALL_SYNC | CALL_OPEN;
}

static int error_of(const char *word)
{
    static const struct {
        const char *word;
        int error;
    } rows[] = {{"enospc", ENOSPC}, {"eio", EIO}, {"short", SHORT}};
    for (size_t i = 0; word && i < sizeof rows / sizeof *rows; i++)
        if (strcmp(word, rows[i].word) == 0)
            return rows[i].error;
    return 0;
}

__attribute__((constructor)) static void start(void)
{
    const char *where = getenv("GNATTER_FAULT_DIR");
    if (!where || !realpath(where, folder))
        return;
    folder_size = strlen(folder);
    const char *path = getenv("GNATTER_FAULT_TRACE");
    if (path) {
        trace = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                             0600);
        if (trace < 0)
            die(path);
    }
    const char *at = getenv("GNATTER_FAULT_AT"), *us = getenv("GNATTER_FAULT_SYNC_US");
    fault.error = error_of(getenv("GNATTER_FAULT_KIND"));
    fault.calls = calls_of(getenv("GNATTER_FAULT_CALL"));
    fault.at = at ? strtoull(at, NULL, 10) : 1;
    fault.until = getenv("GNATTER_FAULT_UNTIL");
    sync_us = us ? (useconds_t)strtoul(us, NULL, 10) : 0;
}

/* --- opening and closing --- */

static int open_ours(int at, const char *path, int flags, mode_t mode, const char *name)
{
    struct stat st;
    bool was = fstatat(at, path, &st, 0) == 0;
    if ((flags & (O_CREAT | O_TRUNC)) && refused(CALL_OPEN))
        return -1;
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd < 0 || (flags & O_PATH))
        return fd;
    if (fstat(fd, &st) != 0)
        die(path);
    remember(fd, flags, &st);
    emit((struct record){.kind = was ? OPEN : CREATE,
                         .flags = S_ISDIR(st.st_mode) ? DIRECTORY : 0,
                         .file = st.st_ino},
         name, NULL, 0);
    if (was && (flags & O_TRUNC))
        emit((struct record){.kind = TRUNCATE, .file = st.st_ino}, "", NULL, 0);
    return fd;
}

static int open_any(int at, const char *path, int flags, mode_t mode)
{
    char name[4096];
    if (!resolve(at, path, name))
        return (int)syscall(SYS_openat, at, path, flags, mode);
    pthread_mutex_lock(&lock);
    int fd = open_ours(at, path, flags, mode, name);
    pthread_mutex_unlock(&lock);
    return fd;
}

static mode_t mode_of(int flags, va_list words)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(words, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list words;
    va_start(words, flags);
    mode_t mode = mode_of(flags, words);
    va_end(words);
    return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
    va_list words;
    va_start(words, flags);
    mode_t mode = mode_of(flags, words);
    va_end(words);
    return open_any(at, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
    return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* What _FORTIFY_SOURCE makes of an open without mode. */
int __open_2(const char *path, int flags);
int __openat_2(int at, const char *path, int flags);

int __open_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

int __openat_2(int at, const char *path, int flags)
{
    return open_any(at, path, flags, 0);
}

int close(int fd)
{
    if (!ours(fd))
        return (int)syscall(SYS_close, fd);
    pthread_mutex_lock(&lock);
    fds[fd].kind = OURS_NOT;
    int code = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return code;
}

/* --- writing --- */

enum { PARTS_MAX = 1024 };

/* SIZE bytes of PARTS at AT, or behind what was written last (AT < 0). */
static ssize_t write_now(int fd, const struct iovec *parts, size_t size, off_t at, int flags)
{
    struct iovec some[PARTS_MAX];
    int n = 0;
    for (; n < PARTS_MAX && size > 0; n++) {
        some[n] = parts[n];
        if (some[n].iov_len > size)
            some[n].iov_len = size;
        size -= some[n].iov_len;
    }
    return at < 0 ? syscall(SYS_writev, fd, some, n)
                  : syscall(SYS_pwritev2, fd, some, n, at, 0L, flags);
}

/* Where the N bytes that were just written to AT are. */
static off_t place_of(int fd, off_t at, ssize_t n)
{
    struct stat st;
    if (fds[fd].append && fstat(fd, &st) == 0)
        return st.st_size - n;
    return at < 0 ? lseek(fd, 0, SEEK_CUR) - n : at;
}

static ssize_t write_ours(int fd, const struct iovec *parts, size_t size, off_t at, int flags)
{
    int error = verdict(CALL_WRITE, size);
    if (error > 0) {
        errno = error;
        return -1;
    }
    ssize_t n = write_now(fd, parts, error == SHORT ? size / 2 : size, at, flags);
    if (n <= 0)
        return n;
    bool safe = fds[fd].safe || (flags & (RWF_SYNC | RWF_DSYNC));
    emit((struct record){.kind = WRITE,
                         .flags = safe ? SAFE : 0,
                         .file = fds[fd].file,
                         .at = (uint64_t)place_of(fd, at, n),
                         .length = (uint64_t)n},
         "", parts, (size_t)n);
    return n;
}

static ssize_t write_any(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
    if (ours(fd) != OURS_FILE)
        return at < 0 ? syscall(SYS_writev, fd, parts, count)
                      : syscall(SYS_pwritev2, fd, parts, count, at, 0L, flags);
    size_t size = 0;
    for (int i = 0; i < count && i < PARTS_MAX; i++)
        size += parts[i].iov_len;
    pthread_mutex_lock(&lock);
    ssize_t n = write_ours(fd, parts, size, at, flags);
    pthread_mutex_unlock(&lock);
    return n;
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (ours(fd) != OURS_FILE)
        return syscall(SYS_write, fd, data, size);
    return write_any(fd, &(struct iovec){(void *)(uintptr_t)data, size}, 1, -1, 0);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    if (ours(fd) != OURS_FILE)
        return syscall(SYS_pwrite64, fd, data, size, at);
    return write_any(fd, &(struct iovec){(void *)(uintptr_t)data, size}, 1, at, 0);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return write_any(fd, parts, count, -1, 0);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    return write_any(fd, parts, count, at, 0);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
    return write_any(fd, parts, count, at, flags);
}

int ftruncate(int fd, off_t length)
{
    if (ours(fd) != OURS_FILE)
        return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    int code = refused(CALL_WRITE) ? -1 : (int)syscall(SYS_ftruncate, fd, length);
    if (code == 0)
        emit((struct record){.kind = TRUNCATE, .file = fds[fd].file, .length = (uint64_t)length},
             "", NULL, 0);
    pthread_mutex_unlock(&lock);
    return code;
}

int fallocate(int fd, int mode, off_t at, off_t length)
{
    if (ours(fd) != OURS_FILE)
        return (int)syscall(SYS_fallocate, fd, mode, at, length);
    pthread_mutex_lock(&lock);
    int code = refused(CALL_WRITE) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, length);
    if (code == 0)
        emit((struct record){.kind = ALLOCATE,
                             .flags = (uint8_t)mode,
                             .file = fds[fd].file,
                             .at = (uint64_t)at,
                             .length = (uint64_t)length},
             "", NULL, 0);
    pthread_mutex_unlock(&lock);
    return code;
}

int posix_fallocate(int fd, off_t at, off_t length)
{
    int before = errno;
    int code = fallocate(fd, 0, at, length) == 0 ? 0 : errno;
    errno = before;
    return code;
}

void *mmap(void *where, size_t size, int protection, int flags, int fd, off_t at)
{
    if (ours(fd) == OURS_FILE && (protection & PROT_WRITE) && (flags & MAP_TYPE) != MAP_PRIVATE) {
        pthread_mutex_lock(&lock);
        emit((struct record){.kind = MAPPED, .file = fds[fd].file}, "", NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    long place = syscall(SYS_mmap, where, size, protection, flags, fd, at);
    return (void *)(intptr_t)place; /* -1 is MAP_FAILED */
}

/* --- syncs --- */

static int sync_ours(int fd, long number)
{
    pthread_mutex_lock(&lock);
    struct record r = {.kind = SYNC_BEGIN, .file = fds[fd].file, .at = ++syncs};
    emit(r, "", NULL, 0);
    bool fails = refused(CALL_SYNC);
    pthread_mutex_unlock(&lock);

    if (sync_us)
        usleep(sync_us);
    int code = fails ? -1 : (int)syscall(number, fd);
    int error = errno;

    pthread_mutex_lock(&lock);
    r.kind = SYNC_END;
    r.flags = code == 0 ? 0 : FAILED;
    emit(r, "", NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return code;
}

int fsync(int fd)
{
    return ours(fd) ? sync_ours(fd, SYS_fsync) : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return ours(fd) ? sync_ours(fd, SYS_fdatasync) : (int)syscall(SYS_fdatasync, fd);
}

/* --- names --- */

static int rename_any(int old_at, const char *old_path, int new_at, const char *new_path,
                      unsigned flags)
{
    char old_name[4096], new_name[4096];
    bool from = resolve(old_at, old_path, old_name), to = resolve(new_at, new_path, new_name);
    pthread_mutex_lock(&lock);
    int code = (int)syscall(SYS_renameat2, old_at, old_path, new_at, new_path, flags);
    if (code == 0 && from != to)
        die("a rename into or out of the directory");
    if (code == 0 && from) {
        size_t size = strlen(new_name);
        emit((struct record){.kind = RENAME}, old_name, &(struct iovec){new_name, size}, size);
    }
    pthread_mutex_unlock(&lock);
    return code;
}

int rename(const char *old_path, const char *new_path)
{
    return rename_any(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}

int renameat(int old_at, const char *old_path, int new_at, const char *new_path)
{
    return rename_any(old_at, old_path, new_at, new_path, 0);
}

int renameat2(int old_at, const char *old_path, int new_at, const char *new_path, unsigned flags)
{
    return rename_any(old_at, old_path, new_at, new_path, flags);
}

int unlinkat(int at, const char *path, int flags)
{
    char name[4096];
    bool here = resolve(at, path, name);
    pthread_mutex_lock(&lock);
    int code = (int)syscall(SYS_unlinkat, at, path, flags);
    if (code == 0 && here)
        emit_name(UNLINK, 0, name);
    pthread_mutex_unlock(&lock);
    return code;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int at, const char *path, mode_t mode)
{
    char name[4096];
    bool here = resolve(at, path, name);
    pthread_mutex_lock(&lock);
    int code = (int)syscall(SYS_mkdirat, at, path, mode);
    if (code == 0 && here)
        emit_name(MKDIR, 0, name);
    pthread_mutex_unlock(&lock);
    return code;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

/* --- the other names of the same functions --- */

#define ALIAS(of) __attribute__((alias(#of)))
int open64(const char *path, int flags, ...) ALIAS(open);
int openat64(int at, const char *path, int flags, ...) ALIAS(openat);
int creat64(const char *path, mode_t mode) ALIAS(creat);
int __open64_2(const char *path, int flags) ALIAS(__open_2);
int __openat64_2(int at, const char *path, int flags) ALIAS(__openat_2);
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) ALIAS(pwrite);
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) ALIAS(pwritev);
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t at, int flags)
    ALIAS(pwritev2);
int ftruncate64(int fd, off64_t length) ALIAS(ftruncate);
int fallocate64(int fd, int mode, off64_t at, off64_t length) ALIAS(fallocate);
int posix_fallocate64(int fd, off64_t at, off64_t length) ALIAS(posix_fallocate);
void *mmap64(void *where, size_t size, int protection, int flags, int fd, off64_t at) ALIAS(mmap);
