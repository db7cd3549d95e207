/* Damage that leaves records whole, but out of their places: keys and page numbers by which LMDB
 * finds its way, and what it does with them while it believes them. */
#include "support/unit.h"

#include "base/list.h"
#include "store/lmdb_ground.h"
#include "support/ground_contract.h"
#include "support/place.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    BRANCH = 1,
    LEAF = 2,
    FLAGS_AT = 10,
    LOWER_AT = 12,
    POINTERS_AT = 16,
    KEY_SIZE_AT = 6, /* in a node */
    KEY_AT = 8,
    ENTRIES = 400, /* of each log */
    RECORDS = 400, /* of the table */
    SLICE = 65,    /* what one read asks for: less than many pages have */
};

/* What LMDB held when it stopped is not given back: see gnt_lmdb_guard(). */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static struct ground_fixture fixture;
static struct place *place;
static int fd = -1; /* the file */

static void wipe(void)
{
    assert_int_equal(mkdir(place->path, 0700), 0);
}

static gnt_err open_lmdb(const struct gnt_store_time *time, struct gnt_ground **out)
{
    char why[GNT_LMDB_WHY_MAX];
    const struct gnt_lmdb_options options = {.map_size = 16 << 20};
    return gnt_lmdb_open(place->path, time, &options, out, why);
}

static const struct ground_under_test lmdb = {"lmdb", wipe, open_lmdb};

/* ---- What is in it */

static const char *const logs[] = {"k", "l", "m"};

static struct gnt_slice text(char out[128], const char *of, unsigned number, const char *state)
{
    int size = snprintf(out, 128, "%s %06u, %-80s", of, number, state);
    return gnt_slice((const uint8_t *)out, (size_t)size);
}

static struct gnt_slice key_of(char out[16], unsigned number)
{
    snprintf(out, 16, "key%06u", number);
    return gnt_slice_str(out);
}

static void apply(struct gnt_batch *b)
{
    struct gnt_memtable t;
    gnt_memtable_init(&t, true);
    ground_do(&t, b);
    struct gnt_ground *g = fixture.ground;
    assert_int_equal(g->ops->apply(g, &t, &(struct gnt_ground_mark){.applied = 1}), GNT_OK);
    gnt_memtable_fini(&t);
}

static void put_table(struct gnt_batch *b, const char *state)
{
    char value[128], key[16];
    for (unsigned i = 1; i <= RECORDS; i++)
        gnt_batch_put(b, LITERAL("t"), key_of(key, i), text(value, "t", i, state), NULL);
}

static int set_up(void **state)
{
    char value[128], file[160];
    struct gnt_batch b = {0};
    if (place_setup(state))
        return -1;
    place = *state;
    if (ground_fixture_init(&fixture, &lmdb))
        return -1;
    for (size_t l = 0; l < COUNT_OF(logs); l++)
        for (unsigned i = 1; i <= ENTRIES; i++)
            gnt_batch_append(&b, gnt_slice_str(logs[l]), i, text(value, logs[l], i, "old"), NULL);
    put_table(&b, "old");
    apply(&b);
    ground_fixture_close(&fixture);
    /* The handlers of cmocka and of a sanitizer would stay, and LMDB's faults end the test. */
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
    snprintf(file, sizeof file, "%s/data.mdb", place->path);
    fd = open(file, O_RDWR | O_CLOEXEC);
    return fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    close(fd);
    ground_fixture_fini(&fixture);
    return place_teardown(state);
}

/* ---- Reading all of it: whatever is handed out is right, comes once, in order, and ends */

struct seen {
    unsigned entries, records;
    bool failed, told;
};

/* *told: there should be more in the log than there was. */
static unsigned read_log(const char *log, bool *failed, bool *told)
{
    struct gnt_ground *g = fixture.ground;
    struct gnt_record *out[SLICE] = {NULL};
    struct gnt_ground_log said;
    char value[128];
    unsigned right = 0;
    uint32_t count;
    uint64_t from = 1;
    do {
        if (g->ops->read(g, gnt_slice_str(log), from, SLICE, out, &count)) {
            *failed = true;
            return right;
        }
        for (uint32_t i = 0; i < count; i++, right++) {
            uint64_t sequence = out[i]->record.sequence;
            assert_true(sequence >= from && sequence <= ENTRIES);
            assert_true(
                gnt_slice_eq(out[i]->record.value, text(value, log, (unsigned)sequence, "old")));
            from = sequence + 1;
            gnt_record_unref(&out[i]);
        }
    } while (count == SLICE);
    if (g->ops->log(g, gnt_slice_str(log), &said))
        *failed = true;
    else
        *told |= said.count > right;
    return right;
}

static unsigned read_table(const char *state, bool *failed)
{
    static const struct gnt_slice none;
    struct gnt_ground *g = fixture.ground;
    struct gnt_record *out[SLICE] = {NULL};
    char value[128], key[16], after[16] = "";
    unsigned right = 0;
    uint32_t count;
    do {
        if (g->ops->scan(g, LITERAL("t"), none, gnt_slice_str(after), SLICE, out, &count)) {
            *failed = true;
            return right;
        }
        for (uint32_t i = 0; i < count; i++, right++) {
            unsigned number = 0;
            snprintf(key, sizeof key, "%.*s", (int)out[i]->record.key.size,
                     (const char *)out[i]->record.key.data);
            assert_int_equal(sscanf(key, "key%u", &number), 1);
            assert_true(strcmp(key, after) > 0);
            assert_true(gnt_slice_eq(out[i]->record.value, text(value, "t", number, state)));
            memcpy(after, key, sizeof after);
            gnt_record_unref(&out[i]);
        }
    } while (count == SLICE);
    return right;
}

static struct seen read_all(void)
{
    struct seen seen = {0};
    for (size_t l = 0; l < COUNT_OF(logs); l++)
        seen.entries += read_log(logs[l], &seen.failed, &seen.told);
    seen.records = read_table("old", &seen.failed);
    return seen;
}

/* ---- Damaging it */

struct node {
    uint8_t page[PAGE];
    off_t at;                   /* of the page */
    unsigned index, count, pos; /* of the node; where in the page it stands */
};

static unsigned get16(const uint8_t *at)
{
    return at[0] | (unsigned)at[1] << 8;
}

static void put16(uint8_t *at, unsigned n)
{
    at[0] = (uint8_t)n;
    at[1] = (uint8_t)(n >> 8);
}

static void write_page(const struct node *n)
{
    assert_int_equal(pwrite(fd, n->page, PAGE, n->at), PAGE);
}

/* Calls TRY for each node of each page of this KIND, with the file as it was.  The first node of a
 * branch page has no key. */
static void each_node(unsigned kind, void (*try)(struct node *n))
{
    struct node n;
    unsigned pages = 0;
    for (n.at = 2 * PAGE; pread(fd, n.page, PAGE, n.at) == PAGE; n.at += PAGE) {
        n.count = (get16(n.page + LOWER_AT) - POINTERS_AT) / 2;
        if (n.page[FLAGS_AT] != kind || n.count < 2 || n.count > PAGE / 2)
            continue;
        pages++;
        for (n.index = 0; n.index < n.count; n.index++) {
            n.pos = get16(n.page + POINTERS_AT + 2 * n.index);
            if (n.pos + KEY_AT <= PAGE)
                try(&n);
        }
    }
    assert_true(pages > 0);
}

/* How often something was lost, and all was there. */
static unsigned lost_some, lost_none;

/* With the file as it has been made: what is there is right, and what is missing is told. */
static struct seen look(void)
{
    struct seen seen = {.failed = true};
    if (open_lmdb(&fixture.time, &fixture.ground))
        return seen;
    seen = read_all();
    bool all = seen.entries == ENTRIES * COUNT_OF(logs) && seen.records == RECORDS;
    lost_none += all;
    lost_some += !all;
    assert_true(all || seen.told || fixture.ground->ops->damaged(fixture.ground) > 0);
    ground_fixture_close(&fixture);
    return seen;
}

/* Each byte of the key, with one bit flipped, another one each time. */
static void flip_separator(struct node *n)
{
    unsigned size = get16(n->page + n->pos + KEY_SIZE_AT);
    for (unsigned i = 0; i < size; i++) {
        uint8_t bit = (uint8_t)(1u << ((i + n->index) % 8));
        n->page[n->pos + KEY_AT + i] ^= bit;
        write_page(n);
        struct seen seen = look();
        n->page[n->pos + KEY_AT + i] ^= bit;
        assert_int_equal(seen.entries, ENTRIES * COUNT_OF(logs));
        assert_int_equal(seen.records, RECORDS);
    }
    write_page(n);
}

/* A key on the way to records may lead too far to the left or to the right. */
static void keys_on_the_way(void **state)
{
    (void)state;
    lost_some = lost_none = 0;
    each_node(BRANCH, flip_separator);
    assert_int_equal(lost_some, 0);
    assert_true(lost_none > 100);
}

/* Leads past the records of a page, for which a check tells so; a copy finds them all. */
static void check_separator(struct node *n)
{
    struct gnt_lmdb_report report;
    unsigned size = get16(n->page + n->pos + KEY_SIZE_AT);
    if (n->index == 0 || n->index % 6)
        return;
    uint8_t *byte = n->page + n->pos + KEY_AT + size - 2;
    *byte ^= 1;
    write_page(n);
    assert_int_equal(gnt_lmdb_check(place->path, &report), GNT_OK);
    *byte ^= 1;
    write_page(n);
    assert_int_equal(report.damaged + report.unreadable, 0);
    assert_true(report.misplaced > 0 && report.where[0]);
}

/* LMDB reads a page that says, too, that it is part of a large value; but writes that much. */
static unsigned strange_pages;

static void check_flags(struct node *n)
{
    struct gnt_lmdb_report report;
    if (n->index || n->count < 8)
        return;
    n->page[FLAGS_AT] ^= 4;
    write_page(n);
    assert_int_equal(gnt_lmdb_check(place->path, &report), GNT_OK);
    n->page[FLAGS_AT] ^= 4;
    write_page(n);
    assert_true(report.misplaced == n->count || report.misplaced == 0); /* nobody uses the page */
    strange_pages += report.misplaced > 0;
}

static void flags_of_pages_are_checked(void **state)
{
    (void)state;
    strange_pages = 0;
    each_node(LEAF, check_flags);
    assert_true(strange_pages > 40);
}

static void keys_on_the_way_are_checked(void **state)
{
    (void)state;
    struct gnt_lmdb_report report;
    assert_int_equal(gnt_lmdb_check(place->path, &report), GNT_OK);
    assert_int_equal(report.misplaced, 0);
    each_node(BRANCH, check_separator);
}

static void flip_key(struct node *n)
{
    if (n->index % 12 != 0 || n->count < 8) /* the names of the databases */
        return;
    unsigned size = get16(n->page + n->pos + KEY_SIZE_AT);
    for (unsigned i = 0; i < size; i++) {
        uint8_t bit = (uint8_t)(1u << ((i + n->index) % 8));
        n->page[n->pos + KEY_AT + i] ^= bit;
        write_page(n);
        struct seen seen = look();
        n->page[n->pos + KEY_AT + i] ^= bit;
        bool ours = seen.entries + seen.records < ENTRIES * COUNT_OF(logs) + RECORDS;
        /* Not more than the record itself: also where it looks like one of another log. */
        assert_int_equal(seen.entries + seen.records,
                         ENTRIES * COUNT_OF(logs) + RECORDS - (unsigned)ours);
    }
    write_page(n);
}

static void keys_of_records(void **state)
{
    (void)state;
    lost_some = lost_none = 0;
    each_node(LEAF, flip_key);
    assert_true(lost_some > 100);
}

/* Another page, or none: what is missing then may be much. */
static void flip_number(struct node *n)
{
    for (unsigned bit = 0; bit < 8; bit++) {
        n->page[n->pos] ^= (uint8_t)(1u << bit);
        write_page(n);
        look();
        n->page[n->pos] ^= (uint8_t)(1u << bit);
    }
    write_page(n);
}

static void numbers_of_pages(void **state)
{
    (void)state;
    lost_some = lost_none = 0;
    each_node(BRANCH, flip_number);
    assert_true(lost_some > 10);
}

/* A page stands where another one should: its records are there twice, or too early, and nothing
 * but those of the other one is lost. */
static void another_page(struct node *n)
{
    unsigned at_first = lost_some;
    for (unsigned other = 0; other < n->count; other++) {
        uint8_t *number = n->page + n->pos, was[2] = {number[0], number[1]};
        unsigned from = get16(n->page + POINTERS_AT + 2 * other);
        memcpy(number, n->page + from, 2);
        write_page(n);
        struct seen seen = look();
        memcpy(number, was, 2);
        assert_true(other == n->index || lost_some > at_first);
        assert_true(seen.entries + seen.records + 60 > ENTRIES * COUNT_OF(logs) + RECORDS);
    }
    write_page(n);
}

static void pages_in_the_place_of_others(void **state)
{
    (void)state;
    lost_some = lost_none = 0;
    each_node(BRANCH, another_page);
}

/* Two that have changed places, and one that is there twice. */
static void pointers(struct node *n)
{
    uint8_t *here = n->page + POINTERS_AT + 2 * n->index;
    if (n->index % 6)
        return;
    for (unsigned other = n->index % 7; other < n->count; other += 16) {
        uint8_t *there = n->page + POINTERS_AT + 2 * other;
        unsigned a = get16(here), b = get16(there);
        put16(here, b);
        write_page(n);
        look();
        put16(there, a);
        write_page(n);
        look();
        put16(here, a);
        put16(there, b);
    }
    write_page(n);
}

static void records_that_changed_places(void **state)
{
    (void)state;
    lost_some = lost_none = 0;
    each_node(LEAF, pointers);
    assert_true(lost_some > 100);
}

/* A page that cannot be gone through is no reason not to read the others. */
static unsigned failed_reads;

static void spoil_page(struct node *n)
{
    enum { NEITHER = 4, OTHERS = 2 }; /* what stands on one page is of two logs, at most */
    bool told = false;
    unsigned whole = 0;
    if (n->index || n->count < 8)
        return;
    n->page[FLAGS_AT] = NEITHER;
    write_page(n);
    n->page[FLAGS_AT] = LEAF;
    if (open_lmdb(&fixture.time, &fixture.ground) == GNT_OK) {
        for (int twice = 0; twice < 2; twice++) {
            whole = 0;
            for (size_t l = 0; l < COUNT_OF(logs); l++) {
                bool failed = false;
                whole += read_log(logs[l], &failed, &told) == ENTRIES;
                failed_reads += failed;
            }
        }
        assert_true(whole + OTHERS >= COUNT_OF(logs));
        assert_false(GNT_CONTAINER(fixture.ground, struct gnt_lmdb, ground)->stopped);
        ground_fixture_close(&fixture);
    }
    write_page(n);
}

static void pages_that_are_none(void **state)
{
    (void)state;
    failed_reads = 0;
    each_node(LEAF, spoil_page);
    assert_true(failed_reads > 40);
}

/* ---- Messages of several records */

static struct gnt_message *message(unsigned number)
{
    char payload[128];
    struct gnt_message *m = NULL;
    const struct gnt_message_init init = {.topic = LITERAL("t"),
                                          .payload = text(payload, "m", number, ""),
                                          .qos = 1};
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

static unsigned leads_to_messages;

/* The number of one page of messages, which is nowhere. */
static void lose_messages(struct node *n)
{
    enum { NUMBER_AND_PART = 9 };
    if (n->index != 2 || get16(n->page + n->pos + KEY_SIZE_AT) != NUMBER_AND_PART)
        return;
    n->page[n->pos + 3] ^= 1;
    write_page(n);
    leads_to_messages++;
}

static void a_page_of_messages_costs_these(void **state)
{
    (void)state;
    enum { PER_PAGE = PAGE / 100 };
    struct gnt_batch b = {0};
    struct gnt_lmdb_report report;
    assert_int_equal(open_lmdb(&fixture.time, &fixture.ground), GNT_OK);
    for (unsigned i = 1; i <= ENTRIES; i++) {
        struct gnt_message *m = message(i);
        gnt_batch_append(&b, LITERAL("x"), i, LITERAL(""), m);
        gnt_batch_append(&b, LITERAL("y"), i, LITERAL(""), m);
        gnt_message_unref(&m);
    }
    apply(&b);
    ground_fixture_close(&fixture);
    leads_to_messages = 0;
    each_node(BRANCH, lose_messages);
    assert_int_equal(leads_to_messages, 1);
    assert_int_equal(gnt_lmdb_compact(place->path, &report), GNT_OK);
    assert_int_equal(gnt_lmdb_check(place->path, &report), GNT_OK);
    assert_int_equal(report.damaged + report.misplaced + report.unreadable, 0);
    uint64_t all = (COUNT_OF(logs) + 2) * ENTRIES + RECORDS + COUNT_OF(logs) + 2;
    assert_in_range(report.good, all - 2 * PER_PAGE, all - 2);
}

/* ---- Changing what is damaged */

/* A key in the middle of the page, where look-ups begin, becomes too low, or too high. */
static void break_separator(struct node *n, uint8_t to)
{
    unsigned size = get16(n->page + n->pos + KEY_SIZE_AT);
    if (n->index != n->count / 2)
        return;
    memset(n->page + n->pos + KEY_AT + size - 2, to, 2);
    write_page(n);
}

static void lower_separator(struct node *n)
{
    break_separator(n, 0);
}

static void raise_separator(struct node *n)
{
    break_separator(n, 0xff);
}

static void remove_with(void (*damage)(struct node *n))
{
    bool failed = false, told = false;
    each_node(BRANCH, damage);
    assert_int_equal(open_lmdb(&fixture.time, &fixture.ground), GNT_OK);
    uint64_t damaged = fixture.ground->ops->damaged(fixture.ground);
    assert_int_equal(read_log("l", &failed, &told), ENTRIES);
    assert_true(fixture.ground->ops->damaged(fixture.ground) > damaged);
    struct gnt_batch b = {0};
    for (unsigned i = 1; i <= ENTRIES; i++)
        if (i % 3)
            gnt_batch_remove(&b, LITERAL("l"), i);
    gnt_batch_trim(&b, LITERAL("k"), ENTRIES - 10);
    gnt_batch_drop(&b, LITERAL("m"));
    apply(&b);
    ground_fixture_close(&fixture);
    struct gnt_lmdb_report report;
    assert_int_equal(gnt_lmdb_compact(place->path, &report), GNT_OK);
    assert_int_equal(open_lmdb(&fixture.time, &fixture.ground), GNT_OK);
    assert_int_equal(read_log("l", &failed, &told), ENTRIES / 3);
    assert_int_equal(read_log("k", &failed, &told), 10);
    assert_int_equal(read_log("m", &failed, &told), 0);
    assert_false(failed || told);
}

static void what_is_removed_is_gone(void **state)
{
    (void)state;
    remove_with(lower_separator);
}

static void what_is_removed_is_gone_here_too(void **state)
{
    (void)state;
    remove_with(raise_separator);
}

static void replace_with(void (*damage)(struct node *n))
{
    each_node(BRANCH, damage);
    assert_int_equal(open_lmdb(&fixture.time, &fixture.ground), GNT_OK);
    assert_true(fixture.ground->ops->damaged(fixture.ground) > 0);
    struct gnt_batch b = {0};
    put_table(&b, "new");
    apply(&b);
    bool failed = false;
    assert_int_equal(read_table("new", &failed), RECORDS);
    ground_fixture_close(&fixture);
    struct gnt_lmdb_report report;
    assert_int_equal(gnt_lmdb_compact(place->path, &report), GNT_OK);
    assert_int_equal(open_lmdb(&fixture.time, &fixture.ground), GNT_OK);
    assert_int_equal(read_table("new", &failed), RECORDS);
    assert_false(failed);
}

static void what_is_replaced_is_there_once(void **state)
{
    (void)state;
    replace_with(lower_separator);
}

static void what_is_replaced_is_there_once_here_too(void **state)
{
    (void)state;
    replace_with(raise_separator);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_on_the_way),
        TEST(keys_on_the_way_are_checked),
        TEST(flags_of_pages_are_checked),
        TEST(keys_of_records),
        TEST(numbers_of_pages),
        TEST(pages_in_the_place_of_others),
        TEST(records_that_changed_places),
        TEST(pages_that_are_none),
        TEST(a_page_of_messages_costs_these),
        TEST(what_is_removed_is_gone),
        TEST(what_is_removed_is_gone_here_too),
        TEST(what_is_replaced_is_there_once),
        TEST(what_is_replaced_is_there_once_here_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
