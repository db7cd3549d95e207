/* Damage makes LMDB read where there is nothing: that ends its work, not the process. */
#include "support/unit.h"

#include "store/lmdb_ground.h"
#include "support/ground_contract.h"
#include "support/place.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, BRANCH = 1, FLAGS_AT = 10, LOWER_AT = 12, POINTERS_AT = 16 };

/* What LMDB held when it stopped is not given back: see gnt_lmdb_guard(). */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static struct ground_fixture fixture;
static struct place *place;

static void wipe(void)
{
    assert_int_equal(mkdir(place->path, 0700), 0);
}

static gnt_err open_lmdb(const struct gnt_store_time *time, struct gnt_ground **out)
{
    char why[GNT_LMDB_WHY_MAX];
    return gnt_lmdb_open(place->path, time, NULL, out, why);
}

static const struct ground_under_test lmdb = {"lmdb", wipe, open_lmdb};

static int set_up(void **state)
{
    if (place_setup(state))
        return -1;
    place = *state;
    return ground_fixture_init(&fixture, &lmdb);
}

/* With something in it.  The handlers of cmocka and of a sanitizer, which would stay, are taken
 * away for the rest of the test. */
static struct gnt_ground *guarded(void)
{
    ground_fixture_fill(&fixture, 30);
    ground_fixture_close(&fixture);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
    assert_int_equal(open_lmdb(&fixture.time, &fixture.ground), GNT_OK);
    return fixture.ground;
}

static int tear_down(void **state)
{
    ground_fixture_fini(&fixture);
    return place_teardown(state);
}

static struct gnt_lmdb *lmdb_of(struct gnt_ground *g)
{
    return GNT_CONTAINER(g, struct gnt_lmdb, ground);
}

static int open_file(void)
{
    char file[160];
    snprintf(file, sizeof file, "%s/data.mdb", place->path);
    int fd = open(file, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* All that stands in the tables; they are in no order that helps. */
static gnt_err read_all(struct gnt_ground *g)
{
    static const struct gnt_slice none;
    struct gnt_record *out[64];
    uint32_t count = 0;
    gnt_err err = GNT_OK;
    for (char table = 'a'; table <= 'z' && !err; table++) {
        err = g->ops->scan(g, gnt_slice(&table, 1), none, none, 64, out, &count);
        while (count)
            gnt_record_unref(&out[--count]);
    }
    return err;
}

static void expect_stopped(struct gnt_ground *g)
{
    uint64_t damaged = g->ops->damaged(g);
    assert_true(damaged > 0);
    assert_int_equal(read_all(g), GNT_IO); /* and it is not called again */
    assert_true(g->ops->damaged(g) > damaged);
    assert_int_equal(ground_twin_apply(&fixture.twin, g), GNT_IO);
}

static void a_file_that_is_cut_while_it_is_mapped(void **state)
{
    (void)state;
    struct gnt_ground *g = guarded();
    int fd = open_file();
    assert_int_equal(read_all(g), GNT_OK);
    assert_int_equal(ftruncate(fd, 2 * PAGE), 0); /* SIGBUS behind that */
    close(fd);
    assert_int_equal(read_all(g), GNT_IO);
    expect_stopped(g);
}

static void put16(uint8_t *at, unsigned n)
{
    at[0] = (uint8_t)n;
    at[1] = (uint8_t)(n >> 8);
}

/* Calls CHANGE for each node of each branch page; returns how many there were. */
static unsigned each_branch(void (*change)(uint8_t *page, unsigned node))
{
    uint8_t page[PAGE];
    unsigned count = 0;
    int fd = open_file();
    for (off_t at = 2 * PAGE; pread(fd, page, PAGE, at) == PAGE; at += PAGE) {
        unsigned lower = page[LOWER_AT] | (unsigned)page[LOWER_AT + 1] << 8;
        if (page[FLAGS_AT] != BRANCH || lower > PAGE)
            continue;
        for (unsigned i = POINTERS_AT; i < lower; i += 2, count++)
            change(page, i);
        assert_int_equal(pwrite(fd, page, PAGE, at), PAGE);
    }
    close(fd);
    return count;
}

/* A node begins with the number of its page, of 48 bits. */
static void point_far_away(uint8_t *page, unsigned node)
{
    unsigned at = (unsigned)page[node] | (unsigned)page[node + 1] << 8;
    if (at + 6 <= PAGE)
        memset(page + at, 0x7f, 6);
}

static void a_page_that_there_is_not(void **state)
{
    (void)state;
    struct gnt_ground *g = guarded();
    assert_true(each_branch(point_far_away) > 0);
    assert_int_equal(read_all(g), GNT_IO);
    assert_true(g->ops->damaged(g) > 0);
}

/* Nodes that are not within their page. */
static void stand_outside(uint8_t *page, unsigned node)
{
    put16(page + node, 0xffff);
}

static void nodes_that_are_nowhere(void **state)
{
    (void)state;
    struct gnt_ground *g = guarded();
    assert_true(each_branch(stand_outside) > 0);
    gnt_err err = read_all(g);
    assert_true(err == GNT_OK || err == GNT_IO); /* what LMDB makes of it, and the test goes on */
}

/* How many records stand in the tables, as far as they can be read. */
static uint32_t count_all(struct gnt_ground *g)
{
    enum { MOST = 4096 };
    static struct gnt_record *out[MOST];
    static const struct gnt_slice none;
    uint32_t all = 0, count = 0;
    for (char table = 'a'; table <= 'z'; table++) {
        if (g->ops->scan(g, gnt_slice(&table, 1), none, none, MOST, out, &count))
            continue;
        all += count;
        while (count)
            gnt_record_unref(&out[--count]);
    }
    return all;
}

/* A page that has lost its keys looks like one without any. */
static void pages_that_look_empty(void **state)
{
    (void)state;
    enum { LEAF = 2 };
    struct gnt_ground *g = guarded();
    uint8_t page[PAGE];
    uint32_t had = count_all(g);
    unsigned missed = 0;
    assert_true(had > 0 && g->ops->damaged(g) == 0);
    ground_fixture_close(&fixture);
    int fd = open_file();
    for (off_t at = 2 * PAGE; pread(fd, page, PAGE, at) == PAGE; at += PAGE) {
        uint8_t lower[2] = {page[LOWER_AT], page[LOWER_AT + 1]};
        if (page[FLAGS_AT] != LEAF)
            continue;
        put16(page + LOWER_AT, POINTERS_AT);
        assert_int_equal(pwrite(fd, page, PAGE, at), PAGE);
        if (open_lmdb(&fixture.time, &fixture.ground) == GNT_OK) {
            uint32_t has = count_all(fixture.ground);
            uint64_t damaged = fixture.ground->ops->damaged(fixture.ground);
            assert_true(has == had || damaged > 0);
            missed += has < had;
            ground_fixture_close(&fixture);
        }
        memcpy(page + LOWER_AT, lower, sizeof lower);
        assert_int_equal(pwrite(fd, page, PAGE, at), PAGE);
    }
    close(fd);
    assert_true(missed > 0);
    assert_int_equal(open_lmdb(&fixture.time, &fixture.ground), GNT_OK);
}

static gnt_err touch(struct gnt_lmdb *l, void *of)
{
    (void)l;
    *(volatile char *)of = 1;
    return GNT_OK;
}

static void an_address_that_there_is_not(void **state)
{
    (void)state;
    void *nothing = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char there;
    assert_true(nothing != MAP_FAILED);
    struct gnt_lmdb *l = lmdb_of(guarded());
    assert_int_equal(gnt_lmdb_guard(l, touch, &there), GNT_OK);
    assert_int_equal(gnt_lmdb_guard(l, touch, nothing), GNT_IO);
    assert_int_equal(gnt_lmdb_guard(l, touch, &there), GNT_IO);
    munmap(nothing, PAGE);
}

/* What a child that calls RUN dies of. */
static int dies_of(void (*run)(void))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void touch_nothing(void)
{
    void *nothing = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)!touch(NULL, nothing);
}

static void touch_nothing_after_a_stop(void)
{
    void *nothing = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)!gnt_lmdb_guard(lmdb_of(fixture.ground), touch, nothing);
    touch_nothing();
}

/* Faults of all others end the process as they always did. */
static void a_fault_elsewhere(void **state)
{
    (void)state;
    (void)guarded();
    assert_int_equal(dies_of(touch_nothing), SIGSEGV);
    assert_int_equal(dies_of(touch_nothing_after_a_stop), SIGSEGV);
}

static void handler(int signum)
{
    (void)signum;
}

static void handlers_of_the_program_stay(void **state)
{
    (void)state;
    struct sigaction now;
    ground_fixture_close(&fixture);
    (void)signal(SIGSEGV, handler);
    assert_int_equal(open_lmdb(&fixture.time, &fixture.ground), GNT_OK);
    assert_int_equal(sigaction(SIGSEGV, NULL, &now), 0);
    assert_true(now.sa_handler == handler);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_is_cut_while_it_is_mapped),
        TEST(a_page_that_there_is_not),
        TEST(nodes_that_are_nowhere),
        TEST(pages_that_look_empty),
        TEST(an_address_that_there_is_not),
        TEST(a_fault_elsewhere),
        TEST(handlers_of_the_program_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
