#include "support/unit.h"

#include "store/disk.h"
#include "support/alloc_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- What the system says, if a test wants it to say something else */

static struct {
    size_t most;       /* bytes of one write, 0: all */
    int interruptions; /* so many calls end with EINTR */
    int error;         /* then this one, once */
    int writes, syncs;
} kernel;

static int refused(void)
{
    if (kernel.interruptions > 0) {
        kernel.interruptions--;
        errno = EINTR;
        return -1;
    }
    if (kernel.error) {
        errno = kernel.error;
        kernel.error = 0;
        return -1;
    }
    return 0;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    size_t left = kernel.most ? kernel.most : SIZE_MAX;
    ssize_t done = 0;
    kernel.writes++;
    if (refused())
        return -1;
    for (int i = 0; i < count && left; i++) {
        size_t size = parts[i].iov_len < left ? parts[i].iov_len : left;
        ssize_t n = pwrite(fd, parts[i].iov_base, size, at + done);
        if (n < 0)
            return -1;
        done += n;
        left -= size;
    }
    return done;
}

int fdatasync(int fd)
{
    kernel.syncs++;
    return refused() ? -1 : fsync(fd);
}

/* ---- A directory */

static char path[64];
static struct gnt_disk *disk;
static struct gnt_disk_file *file;

static int set_up(void **state)
{
    (void)state;
    memset(&kernel, 0, sizeof kernel);
    snprintf(path, sizeof path, "/tmp/gnatter-disk-XXXXXX");
    assert_non_null(mkdtemp(path));
    assert_int_equal(gnt_disk_open(path, &disk), GNT_OK);
    assert_int_equal(disk->ops->open(disk, "a", true, &file), GNT_OK);
    return 0;
}

static void remove_it(void *context, const char *name)
{
    (void)context;
    assert_int_equal(disk->ops->remove(disk, name), GNT_OK);
}

static int tear_down(void **state)
{
    (void)state;
    file->ops->close(file);
    assert_int_equal(disk->ops->list(disk, remove_it, NULL), GNT_OK);
    disk->ops->free(disk);
    return rmdir(path);
}

static void full_path(const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", path, name);
}

static void expect_file(const char *wanted, size_t size)
{
    uint8_t bytes[4096];
    uint64_t is;
    size_t got;
    assert_int_equal(file->ops->size(file, &is), GNT_OK);
    assert_int_equal(is, size);
    assert_int_equal(file->ops->read(file, 0, bytes, sizeof bytes, &got), GNT_OK);
    assert_int_equal(got, size);
    assert_memory_equal(bytes, wanted, size);
}

static void written_parts_are_read_back(void **state)
{
    (void)state;
    struct gnt_slice parts[] = {LITERAL("one"), {NULL, 0}, LITERAL("two"), LITERAL("three")};
    assert_int_equal(file->ops->write(file, 0, parts, COUNT_OF(parts)), GNT_OK);
    expect_file("onetwothree", 11);
    assert_int_equal(file->ops->write(file, 3, &parts[0], 1), GNT_OK); /* in place */
    expect_file("oneonethree", 11);
    assert_int_equal(file->ops->write(file, 13, &parts[0], 1), GNT_OK); /* behind the end */
    expect_file("oneonethree\0\0one", 16);
    assert_int_equal(file->ops->write(file, 16, NULL, 0), GNT_OK);
    assert_int_equal(file->ops->sync(file), GNT_OK);
    char bytes[4];
    size_t got;
    assert_int_equal(file->ops->read(file, 14, bytes, sizeof bytes, &got), GNT_OK);
    assert_int_equal(got, 2);
    assert_int_equal(file->ops->read(file, 99, bytes, sizeof bytes, &got), GNT_OK);
    assert_int_equal(got, 0);
}

/* However the system cuts it, and with more parts than one call takes. */
static void short_writes_and_interruptions(void **state)
{
    (void)state;
    static char bytes[1000];
    static struct gnt_slice parts[400];
    size_t count = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7);
    for (size_t at = 0, size = 0; at < sizeof bytes; at += parts[count++].size, size++)
        parts[count] = gnt_slice(bytes + at, size % 7 < sizeof bytes - at ? size % 7 : 1);
    for (kernel.most = 0; kernel.most <= 20; kernel.most++) {
        kernel.interruptions = 3;
        kernel.writes = 0;
        assert_int_equal(file->ops->write(file, 0, parts, count), GNT_OK);
        assert_true(kernel.writes > 3);
        expect_file(bytes, sizeof bytes);
        bytes[kernel.most] ^= 1;
    }
    kernel.interruptions = 2;
    assert_int_equal(file->ops->sync(file), GNT_OK);
    assert_int_equal(kernel.syncs, 3);
}

static const struct {
    int error;
    gnt_err err;
} failures[] = {
    {ENOSPC, GNT_FULL},  {EDQUOT, GNT_FULL},  {EIO, GNT_IO},
    {EROFS, GNT_DENIED}, {ENOMEM, GNT_NOMEM}, {EAGAIN, GNT_IO},
};

static void failures_of_write_and_sync(void **state)
{
    (void)state;
    struct gnt_slice some = LITERAL("x");
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        kernel.error = failures[i].error;
        assert_int_equal(file->ops->write(file, 0, &some, 1), failures[i].err);
        kernel.error = failures[i].error;
        assert_int_equal(file->ops->sync(file), failures[i].err);
        assert_int_equal(kernel.syncs, (int)i + 1); /* not tried again */
    }
}

static void count_it(void *context, const char *name)
{
    ++*(int *)context;
    assert_true(strcmp(name, "a") == 0 || strcmp(name, "b") == 0);
}

static void names(void **state)
{
    (void)state;
    struct gnt_disk_file *other;
    struct gnt_slice kept = LITERAL("kept");
    char name[128];
    assert_int_equal(disk->ops->open(disk, "b", false, &other), GNT_NOTFOUND);
    assert_int_equal(disk->ops->open(disk, "b", true, &other), GNT_OK);
    other->ops->close(other);
    full_path("d", name);
    assert_int_equal(mkdir(name, 0700), 0);
    full_path("l", name);
    assert_int_equal(symlink("a", name), 0);
    assert_int_equal(disk->ops->open(disk, "l", false, &other), GNT_IO);
    int count = 0;
    assert_int_equal(disk->ops->list(disk, count_it, &count), GNT_OK);
    assert_int_equal(count, 2);
    assert_int_equal(unlink(name), 0);
    full_path("d", name);
    assert_int_equal(rmdir(name), 0);
    assert_int_equal(file->ops->write(file, 0, &kept, 1), GNT_OK);
    assert_int_equal(disk->ops->open(disk, "a", true, &other), GNT_OK); /* is as it was */
    other->ops->close(other);
    expect_file("kept", 4);
    struct stat st;
    full_path("a", name);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    assert_int_equal(disk->ops->sync_names(disk), GNT_OK);
    assert_int_equal(disk->ops->remove(disk, "b"), GNT_OK);
    assert_int_equal(disk->ops->remove(disk, "b"), GNT_NOTFOUND);
}

static void directories_that_are_none(void **state)
{
    (void)state;
    struct gnt_disk *other;
    char name[128];
    full_path("none", name);
    assert_int_equal(gnt_disk_open(name, &other), GNT_NOTFOUND);
    full_path("a", name);
    assert_int_equal(gnt_disk_open(name, &other), GNT_IO);
}

static void no_memory(void **state)
{
    (void)state;
    struct gnt_disk *other;
    struct gnt_disk_file *f;
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_disk_open(path, &other), GNT_NOMEM);
    gnt_alloc_fail_at(0);
    assert_int_equal(disk->ops->open(disk, "a", false, &f), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(written_parts_are_read_back), WITH_DIRECTORY(short_writes_and_interruptions),
        WITH_DIRECTORY(failures_of_write_and_sync),  WITH_DIRECTORY(names),
        WITH_DIRECTORY(directories_that_are_none),   WITH_DIRECTORY(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
