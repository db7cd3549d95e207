#include "support/alloc_fault.h"
#include "support/unit.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX = 100 * 1000 };

static uint8_t bytes[MAX + 10];

/* A file of the first SIZE bytes, to be read from its beginning. */
static int open_file_of(size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int fd = dup(fileno(file));
    assert_true(fd >= 0);
    fclose(file);
    assert_int_equal(gnt_file_write(fd, gnt_slice(bytes, size)), GNT_OK);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static int fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    return 0;
}

static void assert_read(int fd, size_t max, size_t expected)
{
    struct gnt_buf out = {0};
    assert_int_equal(gnt_file_read(fd, max, &out), GNT_OK);
    assert_int_equal(gnt_buf_size(&out), expected);
    if (expected)
        assert_memory_equal(gnt_buf_slice(&out).data, bytes, expected);
    gnt_buf_fini(&out);
    close(fd);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, MAX - 1, MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_read(open_file_of(sizes[i]), MAX, sizes[i]);
}

static void of_more_than_the_maximum_comes_one_byte_more(void **state)
{
    (void)state;
    assert_read(open_file_of(MAX + 1), MAX, MAX + 1);
    assert_read(open_file_of(MAX + 10), MAX, MAX + 1);
    assert_read(open_file_of(10), 5, 6);
    assert_read(open_file_of(10), 0, 1);
}

/* What was there stays in front, and the position of the descriptor counts. */
static void is_appended_from_here_on(void **state)
{
    (void)state;
    struct gnt_buf out = {0};
    int fd = open_file_of(10);
    assert_int_equal(gnt_buf_put(&out, gnt_slice(bytes, 4)), GNT_OK);
    assert_int_equal(lseek(fd, 4, SEEK_SET), 4);
    assert_int_equal(gnt_file_read(fd, MAX, &out), GNT_OK);
    assert_int_equal(gnt_buf_size(&out), 10);
    assert_memory_equal(gnt_buf_slice(&out).data, bytes, 10);
    gnt_buf_fini(&out);
    close(fd);
}

/* A pipe tells nothing about its size and comes in parts. */
static void a_pipe_is_read_to_its_end(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], bytes, 40 * 1000), 40 * 1000);
    close(ends[1]);
    assert_read(ends[0], MAX, 40 * 1000);
}

/* The address stays: nothing was left behind by growing. */
static void a_file_is_read_without_growing(void **state)
{
    (void)state;
    struct gnt_buf out = {0};
    int fd = open_file_of(MAX);
    gnt_alloc_fail_at(1);
    assert_int_equal(gnt_file_read(fd, MAX, &out), GNT_OK);
    assert_false(gnt_alloc_failed());
    gnt_alloc_fail_at(-1);
    assert_int_equal(gnt_buf_size(&out), MAX);
    gnt_buf_fini(&out);
    close(fd);
}

static void failures_are_told(void **state)
{
    (void)state;
    struct gnt_buf out = {0};
    int fd = open_file_of(10);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_file_read(fd, MAX, &out), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    close(fd);

    assert_int_equal(gnt_file_read(fd, MAX, &out), GNT_IO);
    assert_int_equal(errno, EBADF);
    assert_int_equal(gnt_file_write(fd, gnt_slice(bytes, 1)), GNT_IO);
    assert_int_equal(errno, EBADF);
    gnt_buf_fini(&out);
}

static void files_are_made_beside_others(void **state)
{
    (void)state;
    char folder[] = "/tmp/gnatter-file-XXXXXX", path[64], first[80], second[80];
    struct stat status;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/name", folder);
    int one = gnt_file_beside(path, 0640, first, sizeof first);
    int two = gnt_file_beside(path, 0600, second, sizeof second);
    assert_true(one >= 0 && two >= 0);
    assert_string_not_equal(first, second);
    assert_int_equal(strncmp(first, path, strlen(path)), 0);
    assert_int_equal(gnt_file_write(two, gnt_slice(bytes, 10)), GNT_OK);
    assert_int_equal(stat(second, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_size, 10);
    close(one);
    close(two);
    unlink(first);
    unlink(second);
    assert_int_equal(gnt_file_beside(path, 0600, first, strlen(path) + 9), -1);
    assert_int_equal(errno, ENAMETOOLONG);
    rmdir(folder); /* there is nothing else in it */
    assert_int_equal(gnt_file_beside(path, 0600, first, sizeof first), -1);
    assert_int_equal(errno, ENOENT);
}

static void names_are_synced(void **state)
{
    (void)state;
    assert_int_equal(gnt_file_sync_name("a file of here"), GNT_OK);
    assert_int_equal(gnt_file_sync_name("./a file of here"), GNT_OK);
    assert_int_equal(gnt_file_sync_name("/tmp/a file"), GNT_OK);
    assert_int_equal(gnt_file_sync_name("/a file"), GNT_OK);
    assert_int_equal(gnt_file_sync_name("/proc/a file system that syncs no directories"), GNT_OK);
    assert_int_equal(gnt_file_sync_name("not here/a file"), GNT_IO);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(gnt_file_sync_name("/proc/self/stat/a file"), GNT_IO);
    assert_int_equal(errno, ENOTDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(of_more_than_the_maximum_comes_one_byte_more),
        cmocka_unit_test(is_appended_from_here_on),
        cmocka_unit_test(a_pipe_is_read_to_its_end),
        cmocka_unit_test(a_file_is_read_without_growing),
        cmocka_unit_test(failures_are_told),
        cmocka_unit_test(files_are_made_beside_others),
        cmocka_unit_test(names_are_synced),
    };
    return cmocka_run_group_tests_name("file", tests, fill, NULL);
}
