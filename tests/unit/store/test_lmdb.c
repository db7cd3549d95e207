#include "support/unit.h"

#include "base/list.h"
#include "store/lmdb_file.h"
#include "support/ground_contract.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/dev/shm/gnatter-lmdb-XXXXXX"; /* in memory: nobody cuts the power here */
static size_t map_size;                             /* 0: as usual */

static const char *file_in(const char *name)
{
    static char path[sizeof dir + 32];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void wipe(void)
{
    unlink(file_in("data.mdb"));
    unlink(file_in("data.mdb.new"));
    unlink(file_in("lock.mdb"));
}

static char why[GNT_LMDB_WHY_MAX];

static gnt_err open_lmdb(const struct gnt_store_time *time, struct gnt_ground **out)
{
    const struct gnt_lmdb_options options = {.map_size = map_size};
    return gnt_lmdb_open(dir, time, &options, out, why);
}

static const struct ground_under_test lmdb = {"lmdb", wipe, open_lmdb};
/* So small that the map has to grow again and again. */
static const struct ground_under_test small = {"lmdb, a small map", wipe, open_lmdb};

static struct ground_fixture fixture;

static int set_up(void **state)
{
    *state = &fixture;
    return ground_fixture_init(&fixture, &lmdb);
}

static int tear_down(void **state)
{
    ground_fixture_fini(*state);
    return 0;
}

/* --- failures of the system, which LMDB calls: these stand before libc's --- */

static int sync_fails, write_fails; /* an errno: the next call fails, and this is 0 again */

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    if (sync_fails) {
        errno = sync_fails;
        sync_fails = 0;
        return -1;
    }
    (void)fd;
    return 0; /* what has been written outlives a process, and a test that waits for disks is slow
               */
}

/* LMDB is built with one or the other name of it, by machine and release. */
__attribute__((visibility("default"))) ssize_t any_pwrite(int fd, const void *from, size_t size,
                                                          off_t at) __asm__("pwrite");
__attribute__((visibility("default"))) ssize_t any_pwrite64(int fd, const void *from, size_t size,
                                                            off_t at) __asm__("pwrite64");

ssize_t any_pwrite64(int fd, const void *from, size_t size, off_t at)
{
    if (write_fails) {
        errno = write_fails;
        write_fails = 0;
        return -1;
    }
    if (lseek(fd, at, SEEK_SET) < 0)
        return -1;
    return write(fd, from, size);
}

ssize_t any_pwrite(int fd, const void *from, size_t size, off_t at)
{
    return any_pwrite64(fd, from, size, at);
}

static void test_a_failed_sync(void **state)
{
    struct ground_fixture *f = *state;
    ground_fixture_fill(f, 3);
    for (int i = 0; i < 10; i++) {
        struct gnt_ground_mark before, after;
        f->ground->ops->mark(f->ground, &before);
        ground_twin_write(&f->twin, &f->random, 50);
        *(i % 2 ? &sync_fails : &write_fails) = i % 3 ? EIO : ENOSPC;
        assert_int_equal(ground_twin_apply(&f->twin, f->ground), i % 3 ? GNT_IO : GNT_FULL);
        assert_true(sync_fails == 0 && write_fails == 0);
        f->ground->ops->mark(f->ground, &after);
        assert_int_equal(before.applied, after.applied);
        assert_int_equal(ground_twin_apply(&f->twin, f->ground), GNT_OK);
        ground_twin_compare(&f->twin, f->ground);
    }
}

/* --- formats --- */

static gnt_err open_as(const struct gnt_lmdb_options *options, struct gnt_ground **out)
{
    return gnt_lmdb_open(dir, &fixture.time, options, out, why);
}

static size_t read_file(uint8_t **out)
{
    struct stat st;
    int fd = open(file_in("data.mdb"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    *out = malloc((size_t)st.st_size);
    assert_non_null(*out);
    assert_int_equal(pread(fd, *out, (size_t)st.st_size, 0), st.st_size);
    close(fd);
    return (size_t)st.st_size;
}

static void write_file(const uint8_t *bytes, size_t size)
{
    int fd = open(file_in("data.mdb"), O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

static void test_a_newer_format_is_not_touched(void **state)
{
    struct ground_fixture *f = *state;
    uint8_t *before, *after;
    ground_fixture_close(f);
    wipe();
    assert_int_equal(open_as(&(struct gnt_lmdb_options){.format = 2}, &f->ground), GNT_OK);
    ground_fixture_close(f);
    size_t size = read_file(&before);
    assert_int_equal(open_lmdb(&fixture.time, &f->ground), GNT_UNSUPPORTED);
    assert_non_null(strstr(why, "format 2"));
    assert_int_equal(read_file(&after), size);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
}

static gnt_err step_one(struct MDB_txn *txn)
{
    MDB_dbi db;
    MDB_val key = gnt_lmdb_val(LITERAL("old")), value = gnt_lmdb_val(LITERAL("one"));
    int rc = mdb_dbi_open(txn, "meta", 0, &db);
    return rc ? GNT_IO : gnt_lmdb_err(mdb_put(txn, db, &key, &value, 0));
}

static gnt_err step_two(struct MDB_txn *txn)
{
    MDB_dbi db;
    MDB_val key = gnt_lmdb_val(LITERAL("old")), value;
    if (mdb_dbi_open(txn, "meta", 0, &db) || mdb_get(txn, db, &key, &value))
        return GNT_IO; /* step one comes first */
    return gnt_lmdb_err(mdb_del(txn, db, &key, NULL));
}

static gnt_err step_that_fails(struct MDB_txn *txn)
{
    gnt_err err = step_one(txn);
    return err ? err : GNT_FULL;
}

static void test_an_older_format_is_brought_up(void **state)
{
    struct ground_fixture *f = *state;
    const struct gnt_lmdb_upgrade good[] = {{2, step_two}, {1, step_one}};
    const struct gnt_lmdb_upgrade bad[] = {{1, step_one}, {2, step_that_fails}};
    ground_fixture_fill(f, 5);
    ground_fixture_close(f);
    struct gnt_lmdb_options options = {.format = 3, .upgrades = bad, .upgrade_count = 2};
    assert_int_equal(open_as(&options, &f->ground), GNT_FULL);
    options.upgrade_count = 1;
    assert_int_equal(open_as(&options, &f->ground), GNT_UNSUPPORTED);
    assert_int_equal(open_lmdb(&fixture.time, &f->ground), GNT_OK); /* it is as it was */
    ground_twin_compare(&f->twin, f->ground);
    ground_fixture_close(f);
    options.upgrades = good;
    options.upgrade_count = 2;
    assert_int_equal(open_as(&options, &f->ground), GNT_OK);
    ground_twin_compare(&f->twin, f->ground);
    ground_fixture_close(f);
    assert_int_equal(open_lmdb(&fixture.time, &f->ground), GNT_UNSUPPORTED);
}

/* --- killed in the middle of an apply, many times --- */

/* Applies memtables that put N everywhere, until it is killed. */
__attribute__((noreturn)) static void apply_for_ever(int ready)
{
    struct gnt_ground *g;
    struct gnt_ground_mark mark;
    if (open_lmdb(&fixture.time, &g))
        _exit(1);
    g->ops->mark(g, &mark);
    for (;;) {
        struct gnt_memtable t;
        struct gnt_batch b = {0};
        mark.applied++;
        gnt_memtable_init(&t, true);
        for (unsigned i = 0; i < 40; i++) {
            char name[8];
            snprintf(name, sizeof name, "n%u", i);
            gnt_batch_put(&b, LITERAL("t"), gnt_slice_str(name),
                          gnt_slice(&mark.applied, sizeof mark.applied), NULL);
            gnt_batch_append(&b, gnt_slice_str(name), mark.applied,
                             gnt_slice(&mark.applied, sizeof mark.applied), NULL);
            if (mark.applied > 5)
                gnt_batch_trim(&b, gnt_slice_str(name), mark.applied - 5);
        }
        ground_do(&t, &b);
        if (g->ops->apply(g, &t, &mark) ||
            write(ready, &mark.applied, sizeof mark.applied) != sizeof mark.applied)
            _exit(1);
        gnt_memtable_fini(&t);
    }
}

static void check_after_kill(uint64_t told)
{
    struct gnt_ground *g;
    struct gnt_ground_mark mark;
    assert_int_equal(open_lmdb(&fixture.time, &g), GNT_OK);
    g->ops->mark(g, &mark);
    assert_true(mark.applied >= told);
    for (unsigned i = 0; i < 40; i++) {
        char name[8];
        struct gnt_record *r = NULL;
        struct gnt_ground_log log;
        snprintf(name, sizeof name, "n%u", i);
        assert_int_equal(g->ops->get(g, LITERAL("t"), gnt_slice_str(name), &r), GNT_OK);
        assert_non_null(r);
        assert_memory_equal(r->record.value.data, &mark.applied, sizeof mark.applied);
        gnt_record_unref(&r);
        assert_int_equal(g->ops->log(g, gnt_slice_str(name), &log), GNT_OK);
        assert_int_equal(log.last, mark.applied);
        assert_int_equal(log.count, mark.applied < 5 ? mark.applied : 5);
        uint32_t count = 0;
        assert_int_equal(g->ops->read(g, gnt_slice_str(name), 0, 1, &r, &count), GNT_OK);
        assert_int_equal(count, 1);
        assert_int_equal(r->record.sequence, mark.applied < 5 ? 1 : mark.applied - 4);
        gnt_record_unref(&r);
    }
    assert_int_equal(g->ops->damaged(g), 0);
    g->ops->close(g);
}

static void test_killed_while_it_applies(void **state)
{
    struct ground_fixture *f = *state;
    uint64_t told = 0;
    ground_fixture_close(f);
    for (int round = 0; round < 60; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            apply_for_ever(ends[1]);
        close(ends[1]);
        for (uint64_t k = 0; k < 1 + gnt_random_below(&f->random.door, 4); k++)
            assert_int_equal(read(ends[0], &told, sizeof told), sizeof told);
        usleep((useconds_t)gnt_random_below(&f->random.door, 3000));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        while (read(ends[0], &told, sizeof told) == sizeof told)
            continue;
        close(ends[0]);
        check_after_kill(told);
    }
}

/* --- damage --- */

static gnt_err run_check(struct gnt_lmdb_report *report)
{
    return gnt_lmdb_check(dir, report);
}

/* Records of one table and one log, each value with a pattern that is found in the file. */
static void fill_with_patterns(struct ground_fixture *f, unsigned count)
{
    struct gnt_memtable t;
    struct gnt_batch b = {0};
    gnt_memtable_init(&t, true);
    for (unsigned i = 0; i < count; i++) {
        char key[16], value[32];
        snprintf(key, sizeof key, "key%06u", i);
        snprintf(value, sizeof value, "<pattern %06u>", i);
        gnt_batch_put(&b, LITERAL("t"), gnt_slice_str(key), gnt_slice_str(value), NULL);
        gnt_batch_append(&b, LITERAL("l"), i + 1, gnt_slice_str(value), NULL);
    }
    ground_do(&t, &b);
    assert_int_equal(f->ground->ops->apply(f->ground, &t, &(struct gnt_ground_mark){.applied = 1}),
                     GNT_OK);
    gnt_memtable_fini(&t);
}

/* Reads all of it: whatever is handed out is right. */
static unsigned count_right(struct gnt_ground *g)
{
    struct gnt_record *out[100] = {NULL};
    uint64_t from = 0;
    uint32_t count;
    unsigned right = 0;
    do {
        if (g->ops->read(g, LITERAL("l"), from, COUNT_OF(out), out, &count))
            return right;
        for (uint32_t i = 0; i < count; i++) {
            char value[32];
            snprintf(value, sizeof value, "<pattern %06u>", (unsigned)out[i]->record.sequence - 1);
            assert_true(gnt_slice_eq_str(out[i]->record.value, value));
            from = out[i]->record.sequence + 1;
            gnt_record_unref(&out[i]);
            right++;
        }
    } while (count == COUNT_OF(out));
    return right;
}

static void test_flipped_bits_in_values(void **state)
{
    struct ground_fixture *f = *state;
    enum { RECORDS = 500, FLIPS = 20 };
    uint8_t *bytes;
    fill_with_patterns(f, RECORDS);
    ground_fixture_close(f);
    size_t size = read_file(&bytes);
    for (int i = 0; i < FLIPS; i++) {
        uint8_t *at = NULL;
        size_t from = gnt_random_below(&f->random.door, size);
        for (size_t k = 0; !at; k++)
            at = memmem(bytes + (from + k * 4096) % size, size - (from + k * 4096) % size,
                        "<pattern ", 9);
        at += gnt_random_below(&f->random.door, 16);
        uint8_t bit = (uint8_t)(1 << gnt_random_below(&f->random.door, 8));
        *at ^= bit;
        write_file(bytes, size);
        *at ^= bit;
        struct gnt_lmdb_report report;
        assert_int_equal(run_check(&report), GNT_OK);
        assert_int_equal(report.damaged, 1);
        assert_int_equal(report.good, 2 * RECORDS + 1 - 1);
        assert_true(report.where[0] != '\0');
        assert_int_equal(open_lmdb(&fixture.time, &f->ground), GNT_OK);
        unsigned right = count_right(f->ground);
        assert_int_equal(right + f->ground->ops->damaged(f->ground), RECORDS);
        ground_fixture_close(f);
        /* What is left after a repair is all good, and one less. */
        assert_int_equal(gnt_lmdb_compact(dir, &report), GNT_OK);
        assert_int_equal(report.damaged, 1);
        assert_int_equal(run_check(&report), GNT_OK);
        assert_int_equal(report.damaged + report.unreadable, 0);
        assert_int_equal(report.good, 2 * RECORDS + 1 - 1);
    }
    free(bytes);
}

/* Anywhere: the file may be refused, records may be missing, but what comes is right.  In a child,
 * because LMDB does not survive everything. */
static void test_flipped_bits_anywhere(void **state)
{
    struct ground_fixture *f = *state;
    uint8_t *bytes;
    unsigned found = 0, died = 0, wrong = 0;
    fill_with_patterns(f, 500);
    ground_fixture_close(f);
    size_t size = read_file(&bytes);
    for (int i = 0; i < 100; i++) {
        size_t at = gnt_random_below(&f->random.door, size);
        bytes[at] ^= (uint8_t)(1 << i % 8);
        write_file(bytes, size);
        bytes[at] ^= (uint8_t)(1 << i % 8);
        struct gnt_lmdb_report report;
        gnt_err err = run_check(&report);
        found += err || report.damaged || report.misplaced || report.unreadable;
        pid_t pid = fork();
        if (pid == 0) {
            if (open_lmdb(&fixture.time, &f->ground) == GNT_OK)
                count_right(f->ground);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        died += WIFSIGNALED(status);
        wrong += WIFEXITED(status) && WEXITSTATUS(status) != 0;
        if (!err && gnt_lmdb_compact(dir, &report) == GNT_OK) {
            assert_int_equal(run_check(&report), GNT_OK);
            assert_int_equal(report.damaged + report.misplaced + report.unreadable, 0);
        }
    }
    print_message("100 flips: check found %u, LMDB died of %u\n", found, died);
    assert_int_equal(wrong, 0);
    free(bytes);
}

static void test_a_truncated_file(void **state)
{
    struct ground_fixture *f = *state;
    uint8_t *bytes;
    fill_with_patterns(f, 2000);
    ground_fixture_close(f);
    size_t size = read_file(&bytes);
    for (size_t cut = 0; cut < size; cut += cut < 8192 ? 512 : 4096 * 9) {
        struct gnt_lmdb_report report;
        write_file(bytes, cut);
        gnt_err err = open_lmdb(&fixture.time, &f->ground);
        assert_true(err == GNT_MALFORMED);
        assert_true(strstr(why, "cut short") || strstr(why, "empty") || cut < 8192);
        err = run_check(&report);
        assert_true(err || report.unreadable || report.damaged);
    }
    /* Without its directory or its file there is nothing to check. */
    wipe();
    struct gnt_lmdb_report report;
    assert_int_equal(run_check(&report), GNT_NOTFOUND);
    free(bytes);
}

static void test_compact_keeps_everything(void **state)
{
    struct ground_fixture *f = *state;
    struct gnt_lmdb_report report, after;
    for (int i = 0; i < 10; i++) {
        ground_fixture_fill(f, 10);
        ground_twin_compare(&f->twin, f->ground);
        assert_int_equal(run_check(&report), GNT_OK); /* beside an open ground */
        ground_fixture_close(f);
        assert_int_equal(gnt_lmdb_compact(dir, &report), GNT_OK);
        assert_int_equal(report.damaged + report.unreadable, 0);
        assert_int_equal(run_check(&after), GNT_OK);
        assert_int_equal(report.good, after.good);
        assert_int_equal(after.mark.applied, f->twin.number);
        assert_true(after.size <= report.size);
        assert_int_equal(open_lmdb(&fixture.time, &f->ground), GNT_OK);
        ground_twin_compare(&f->twin, f->ground);
    }
}

/* What is deleted makes room for what comes: a log that is as long as ever does not grow. */
static void test_space_is_used_again(void **state)
{
    struct ground_fixture *f = *state;
    struct gnt_lmdb_report report;
    uint64_t early = 0;
    for (uint64_t i = 0; i < 200; i++) {
        struct gnt_memtable t;
        struct gnt_batch b = {0};
        gnt_memtable_init(&t, true);
        for (uint64_t k = 1; k <= 200; k++)
            gnt_batch_append(&b, LITERAL("l"), i * 200 + k, LITERAL("some bytes in each"), NULL);
        gnt_batch_trim(&b, LITERAL("l"), i * 200);
        ground_do(&t, &b);
        assert_int_equal(f->ground->ops->apply(f->ground, &t, &(struct gnt_ground_mark){i, 0, 0}),
                         GNT_OK);
        gnt_memtable_fini(&t);
        if (i != 20 && i != 199)
            continue;
        assert_int_equal(run_check(&report), GNT_OK);
        assert_true(i == 20 || report.size <= early);
        early = report.size;
    }
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_failed_sync, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_newer_format_is_not_touched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_older_format_is_brought_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_killed_while_it_applies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flipped_bits_in_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flipped_bits_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_truncated_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_compact_keeps_everything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_space_is_used_again, set_up, tear_down),
    };
    int failed = ground_contract(&lmdb);
    map_size = 128 * 1024;
    failed += ground_contract(&small);
    map_size = 0;
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    wipe();
    rmdir(dir);
    return failed;
}
