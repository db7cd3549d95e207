#include "support/unit.h"

#include "base/crc32c.h"
#include "store/journal_format.h"
#include "support/alloc_fault.h"
#include "support/journal_world.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = GNT_JOURNAL_BLOCK };

static struct journal_world w;

static void write_safe(size_t size)
{
    assert_int_equal(journal_world_write(&w, size), GNT_OK);
    assert_int_equal(journal_world_sync(&w), GNT_OK);
}

static void prepare_all(void)
{
    gnt_err err;
    while ((err = gnt_journal_prepare(w.journal)) == GNT_MORE)
        ;
    assert_int_equal(err, GNT_OK);
}

static void begin(uint64_t segment_size, unsigned spare)
{
    journal_world_begin(&w, segment_size, spare);
    assert_int_equal(journal_world_open(&w), GNT_OK);
}

static void expect_replay(uint64_t records, uint64_t damaged, bool is_torn)
{
    assert_int_equal(journal_world_replay(&w), GNT_OK);
    assert_int_equal(w.report.records, records);
    assert_int_equal(w.report.damaged, damaged);
    assert_int_equal(w.report.torn, is_torn);
}

/* ---- Good */

static void what_is_written_comes_back(void **state)
{
    (void)state;
    begin(4 * BLOCK, 1);
    expect_replay(0, 0, false);
    static const size_t sizes[] = {16, 17, 23, 24, 100, 4064, 4065, 5000, 8000, 16};
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        write_safe(sizes[i]);
    struct sim_disk_counts before = *sim_disk_counts(w.disk);
    expect_replay(COUNT_OF(sizes), 0, false);
    const struct sim_disk_counts *after = sim_disk_counts(w.disk);
    assert_int_equal(before.writes + before.syncs + before.removes + before.name_syncs,
                     after->writes + after->syncs + after->removes + after->name_syncs);
    journal_world_end(&w);
}

static void several_records_before_one_sync(void **state)
{
    (void)state;
    begin(4 * BLOCK, 1);
    for (int i = 0; i < 20; i++) {
        for (size_t n = 0; n < 5; n++)
            assert_int_equal(journal_world_write(&w, 100 + 300 * n), GNT_OK);
        assert_int_equal(journal_world_sync(&w), GNT_OK);
    }
    expect_replay(100, 0, false);
    journal_world_end(&w);
}

static gnt_err take_one(void *context, uint64_t number, struct gnt_slice bytes)
{
    struct gnt_slice *wanted = context;
    assert_int_equal(number, 1);
    assert_int_equal(bytes.size, wanted->size);
    assert_memory_equal(bytes.data, wanted->data, bytes.size);
    return GNT_OK;
}

static void many_parts(void **state)
{
    (void)state;
    static uint8_t bytes[1000];
    static struct gnt_slice parts[500];
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        bytes[2 * i] = (uint8_t)i;
        parts[i] = gnt_slice(bytes + 2 * i, 2);
    }
    for (size_t count = 1; count <= COUNT_OF(parts); count++) {
        begin(4 * BLOCK, 0);
        uint64_t number;
        assert_int_equal(gnt_journal_write(w.journal, parts, count, &number), GNT_OK);
        struct gnt_slice all = gnt_slice(bytes, 2 * count);
        struct gnt_journal_report report;
        assert_int_equal(gnt_journal_replay(w.options.disk, 0, take_one, &all, &report), GNT_OK);
        assert_int_equal(report.records, 1);
        assert_int_equal(report.bytes, all.size);
        journal_world_end(&w);
    }
}

static void one_that_is_too_large_changes_nothing(void **state)
{
    (void)state;
    begin(4 * BLOCK, 0);
    assert_int_equal(journal_world_write(&w, 100), GNT_OK);
    uint64_t number;
    struct gnt_slice parts[] = {{NULL, GNT_JOURNAL_RECORD_MAX}, {NULL, 1}};
    assert_int_equal(gnt_journal_write(w.journal, parts, 2, &number), GNT_TOOBIG);
    assert_int_equal(journal_world_sync(&w), GNT_OK);
    expect_replay(1, 0, false);
    journal_world_end(&w);
}

static gnt_err refuse(void *context, uint64_t number, struct gnt_slice bytes)
{
    (void)context;
    (void)bytes;
    return number == 3 ? GNT_DENIED : GNT_OK;
}

static void who_gets_the_records_can_stop(void **state)
{
    (void)state;
    begin(4 * BLOCK, 0);
    for (int i = 0; i < 5; i++)
        write_safe(100);
    struct gnt_journal_report report;
    assert_int_equal(gnt_journal_replay(w.options.disk, 0, refuse, NULL, &report), GNT_DENIED);
    assert_int_equal(report.last, 2);
    journal_world_end(&w);
}

static void replay_begins_behind_what_is_applied(void **state)
{
    (void)state;
    begin(4 * BLOCK, 1);
    for (int i = 0; i < 20; i++)
        write_safe(1000);
    for (w.applied = 0; w.applied <= 20; w.applied++)
        expect_replay(20 - w.applied, 0, false);
    journal_world_end(&w);
}

/* ---- Room */

static void files_are_used_again(void **state)
{
    (void)state;
    begin(8 * BLOCK, 2);
    prepare_all();
    uint64_t made = sim_disk_used(w.disk), opened = sim_disk_counts(w.disk)->name_syncs;
    assert_int_equal(made, 2 * 8 * BLOCK);
    for (unsigned i = 0; i < 3000; i++) {
        write_safe(16 + i * 37 % 6000);
        assert_true(gnt_journal_used(w.journal) <= 7 * BLOCK);
        if (i % 3 == 2)
            journal_world_release(&w, w.safe);
        assert_true(sim_disk_used(w.disk) <= 4 * 8 * BLOCK);
    }
    assert_in_range(sim_disk_counts(w.disk)->name_syncs - opened, 0, 2);
    assert_int_equal(gnt_journal_used(w.journal), 0);
    expect_replay(0, 0, false);
    journal_world_end(&w);
}

static void fill_three_segments(bool prepared)
{
    for (int i = 0; i < 9; i++) {
        if (prepared)
            prepare_all();
        write_safe(BLOCK - GNT_JOURNAL_RECORD_SIZE);
    }
    journal_world_release(&w, w.safe);
}

static void more_may_be_kept_than_are_made_beforehand(void **state)
{
    (void)state;
    journal_world_begin(&w, 4 * BLOCK, 1);
    w.options.keep = 3;
    assert_int_equal(journal_world_open(&w), GNT_OK);
    fill_three_segments(true);
    uint64_t opened = sim_disk_counts(w.disk)->name_syncs;
    for (int i = 0; i < 5; i++)
        fill_three_segments(false);
    assert_int_equal(sim_disk_counts(w.disk)->name_syncs, opened);
    assert_true(sim_disk_used(w.disk) <= 4 * 4 * BLOCK);
    journal_world_end(&w);
}

static void what_is_used_goes_down_by_what_is_released(void **state)
{
    (void)state;
    begin(4 * BLOCK, 1);
    for (int i = 0; i < 30; i++)
        write_safe(BLOCK - GNT_JOURNAL_RECORD_SIZE);
    for (uint64_t up_to = 0; up_to <= 30; up_to++) {
        journal_world_release(&w, up_to);
        assert_int_equal(gnt_journal_used(w.journal), (30 - up_to) * BLOCK);
    }
    assert_true(sim_disk_used(w.disk) <= 2 * 4 * BLOCK);
    journal_world_end(&w);
}

static void a_large_record_has_a_segment_that_is_not_kept(void **state)
{
    (void)state;
    begin(4 * BLOCK, 1);
    prepare_all();
    write_safe(100);
    write_safe(100000);
    write_safe(100);
    expect_replay(3, 0, false);
    assert_true(sim_disk_used(w.disk) > 100000);
    journal_world_release(&w, 3);
    write_safe(100);
    assert_true(sim_disk_used(w.disk) <= 3 * 4 * BLOCK);
    expect_replay(1, 0, false);
    journal_world_end(&w);
}

static void opening_keeps_what_fits(void **state)
{
    (void)state;
    begin(4 * BLOCK, 2);
    prepare_all();
    for (int i = 0; i < 20; i++)
        write_safe(3000);
    uint64_t names = sim_disk_counts(w.disk)->name_syncs;
    for (int i = 0; i < 10; i++) {
        journal_world_replay(&w);
        journal_world_apply(&w);
        assert_int_equal(journal_world_open(&w), GNT_OK);
        write_safe(50000);
        assert_true(sim_disk_used(w.disk) <= 2 * 4 * BLOCK + 60000);
    }
    assert_int_equal(sim_disk_counts(w.disk)->name_syncs, names + 20); /* one for each opening */
    w.options.segment_size = 6 * BLOCK; /* configured anew: the old ones fit no more */
    journal_world_replay(&w);
    journal_world_apply(&w);
    assert_int_equal(journal_world_open(&w), GNT_OK);
    write_safe(100);
    assert_true(sim_disk_used(w.disk) <= 6 * BLOCK); /* it grows ahead */
    journal_world_end(&w);
}

static void a_full_disk_that_has_room_again(void **state)
{
    (void)state;
    begin(4 * BLOCK, 1);
    write_safe(100);
    sim_disk_room(w.disk, sim_disk_used(w.disk) + 5 * BLOCK);
    gnt_err err = GNT_OK;
    int written = 0;
    for (; !err; written++) {
        err = journal_world_write(&w, 3000);
        err = err ? err : journal_world_sync(&w);
    }
    assert_int_equal(err, GNT_FULL);
    assert_in_range(written, 3, 10);
    uint64_t used = sim_disk_used(w.disk);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(journal_world_write(&w, 30000), GNT_FULL);
        assert_true(sim_disk_used(w.disk) <= used + 5 * BLOCK);
        assert_int_equal(gnt_journal_prepare(w.journal), GNT_FULL);
    }
    sim_disk_room(w.disk, 1 << 20);
    write_safe(30000);
    sim_disk_cut(w.disk, 5);
    gnt_journal_close(&w.journal);
    sim_disk_restart(w.disk);
    expect_replay((uint64_t)written + 1, 0, false);
    journal_world_end(&w);
}

/* ---- Damage */

static void file_name(uint64_t id, char out[GNT_DISK_NAME_MAX])
{
    gnt_journal_file_name(id, out);
    size_t size;
    assert_non_null(sim_disk_bytes(w.disk, out, &size));
}

/* Three segments, with 1 to 3, 4 and 5, 6 and 7; 2 and 3 were written before one sync. */
enum { SMALL_SEGMENT = 3 * BLOCK, SMALL_SEGMENTS = 3, SMALL_RECORDS = 7 };
static const uint64_t small_first[SMALL_SEGMENTS + 1] = {1, 4, 6, 8};

static void small_journal(bool marked)
{
    begin(SMALL_SEGMENT, SMALL_SEGMENTS);
    prepare_all();
    write_safe(100);
    assert_int_equal(journal_world_write(&w, 24), GNT_OK);
    write_safe(333);
    write_safe(16);
    write_safe(40);
    write_safe(400);
    write_safe(200);
    if (marked)
        gnt_journal_mark(w.journal);
    gnt_journal_close(&w.journal);
    expect_replay(SMALL_RECORDS, 0, false);
}

static void cut_at_every_byte(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= SMALL_SEGMENTS; id++) {
        char name[GNT_DISK_NAME_MAX];
        uint64_t first = small_first[id - 1], end = small_first[id], had = SMALL_RECORDS;
        small_journal(false);
        file_name(id, name);
        for (size_t size = SMALL_SEGMENT; size-- > 0;) {
            if (size % BLOCK > 600 && size % 64) /* nothing there */
                continue;
            sim_disk_truncate(w.disk, name, size);
            assert_int_equal(journal_world_replay(&w), GNT_OK);
            assert_in_range(w.report.records, SMALL_RECORDS - (end - first), had);
            had = w.report.records;
            if (id < SMALL_SEGMENTS) /* what is missing is missed, and the others are there */
                assert_int_equal(had + w.report.damaged, SMALL_RECORDS);
            else
                assert_int_equal(w.report.last, had);
            if (size >= GNT_JOURNAL_HEADER_SIZE)
                assert_true(w.report.damaged || w.report.torn || w.report.cut);
        }
        assert_int_equal(had, SMALL_RECORDS - (end - first));
        journal_world_end(&w);
    }
}

/* A segment that was not made beforehand has no size that it should have, but whole blocks. */
static void what_grows_is_cut(void **state)
{
    (void)state;
    char name[GNT_DISK_NAME_MAX];
    begin(16 * BLOCK, 1);
    for (int i = 0; i < 3; i++)
        write_safe(100);
    gnt_journal_close(&w.journal);
    expect_replay(3, 0, false);
    assert_false(w.report.cut);
    file_name(1, name);
    sim_disk_truncate(w.disk, name, 2 * BLOCK + 1000); /* between two records */
    assert_int_equal(journal_world_replay(&w), GNT_OK);
    assert_int_equal(w.report.records, 2);
    assert_true(w.report.cut);
    journal_world_end(&w);
}

static void one_is_missing(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= SMALL_SEGMENTS; id++) {
        char name[GNT_DISK_NAME_MAX];
        uint64_t lost = small_first[id] - small_first[id - 1];
        small_journal(false);
        file_name(id, name);
        assert_int_equal(w.options.disk->ops->remove(w.options.disk, name), GNT_OK);
        expect_replay(SMALL_RECORDS - lost, id < SMALL_SEGMENTS ? lost : 0, false);
        journal_world_end(&w);
    }
}

enum { MARK = 99 };

/* Which record a place in a segment belongs to, 0: none, or MARK. */
static uint64_t record_at(const uint8_t *bytes, size_t place)
{
    struct gnt_journal_header h;
    assert_int_equal(gnt_journal_header_read(bytes, BLOCK, &h), GNT_OK);
    uint64_t expected = h.first;
    for (size_t at = BLOCK; at <= place; at += GNT_JOURNAL_STEP) {
        struct gnt_journal_record r;
        if (gnt_journal_record_read(bytes + at, h.stamp, expected, &r) != GNT_JOURNAL_RECORD)
            continue;
        if (place < at + gnt_journal_room(r.size))
            return r.size ? r.number : MARK;
        at += gnt_journal_room(r.size) - GNT_JOURNAL_STEP;
        expected = r.number + 1;
    }
    return 0;
}

static void flip(uint8_t *bytes, size_t place, int bit, uint64_t hit, bool marked)
{
    bytes[place] ^= (uint8_t)(1 << bit);
    assert_int_equal(journal_world_replay(&w), GNT_OK);
    bytes[place] ^= (uint8_t)(1 << bit);
    bool last = hit == SMALL_RECORDS && !marked, none = hit == 0 || hit == MARK;
    assert_int_equal(w.report.records, none ? SMALL_RECORDS : SMALL_RECORDS - 1);
    assert_int_equal(w.report.damaged, !none && !last);
    if (hit != MARK)
        assert_int_equal(w.report.torn, last);
}

static void flip_every_bit(bool marked)
{
    small_journal(marked);
    for (uint64_t id = 1; id <= SMALL_SEGMENTS; id++) {
        char name[GNT_DISK_NAME_MAX];
        size_t size;
        file_name(id, name);
        uint8_t *bytes = sim_disk_bytes(w.disk, name, &size);
        for (size_t place = 0; place < size; place++) {
            uint64_t hit = record_at(bytes, place);
            bool empty = !hit && bytes[place] == 0;
            if (empty && place % 16)
                continue;
            for (int bit = empty ? (int)(place / 16 % 8) : 0; bit < 8; bit += empty ? 8 : 1)
                flip(bytes, place, bit, hit, marked);
        }
    }
    journal_world_end(&w);
}

/* The last record is told from one that was being written by the mark behind it only. */
static void every_bit_flipped(void **state)
{
    (void)state;
    flip_every_bit(false);
    flip_every_bit(true);
}

/* Whatever becomes of the last record, sector by sector. */
static void a_marked_record_is_missed(void **state)
{
    (void)state;
    begin(4 * BLOCK, 1);
    prepare_all();
    write_safe(100);
    write_safe(3000);
    gnt_journal_mark(w.journal);
    size_t size;
    uint8_t *bytes = sim_disk_bytes(w.disk, "journal-00000001", &size), kept[512];
    for (size_t at = 2 * BLOCK; at < 2 * BLOCK + 3000; at += sizeof kept) {
        memcpy(kept, bytes + at, sizeof kept);
        memset(bytes + at, 0, sizeof kept);
        expect_replay(1, 1, false);
        if (at > 2 * BLOCK) /* its header is there */
            assert_string_equal(w.report.where, "journal-00000001 at 8,192");
        memcpy(bytes + at, kept, sizeof kept);
    }
    memset(bytes + BLOCK, 0, 3 * BLOCK); /* the mark, too: nothing tells that there was anything */
    expect_replay(0, 0, false);
    journal_world_end(&w);
}

static void a_mark_takes_no_room_and_is_not_written_twice(void **state)
{
    (void)state;
    begin(4 * BLOCK, 1);
    prepare_all();
    gnt_journal_mark(w.journal); /* of nothing */
    uint64_t used = sim_disk_used(w.disk);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(journal_world_write(&w, BLOCK - GNT_JOURNAL_RECORD_SIZE), GNT_OK);
        uint64_t before = sim_disk_counts(w.disk)->writes;
        gnt_journal_mark(w.journal); /* it is not safe yet */
        assert_int_equal(sim_disk_counts(w.disk)->writes, before);
        assert_int_equal(journal_world_sync(&w), GNT_OK);
        gnt_journal_mark(w.journal);
        gnt_journal_mark(w.journal);
        assert_int_equal(sim_disk_counts(w.disk)->writes, before + 1);
        expect_replay((uint64_t)i, 0, false);
    }
    assert_int_equal(sim_disk_used(w.disk), used + GNT_JOURNAL_RECORD_SIZE); /* behind the end */
    size_t size;
    sim_disk_bytes(w.disk, "journal-00000001", &size)[3 * BLOCK + 50] ^= 1;
    expect_replay(2, 1, false);
    journal_world_end(&w);
}

/* The power is cut while a record is written over a mark. */
static void a_torn_record_in_the_place_of_a_mark(void **state)
{
    (void)state;
    bool torn = false;
    for (uint64_t seed = 0; seed < 200; seed++) {
        begin(4 * BLOCK, 1);
        prepare_all();
        write_safe(100);
        gnt_journal_mark(w.journal);
        assert_int_equal(journal_world_write(&w, 3000), GNT_OK);
        sim_disk_cut(w.disk, seed);
        gnt_journal_close(&w.journal);
        sim_disk_restart(w.disk);
        assert_int_equal(journal_world_replay(&w), GNT_OK);
        assert_int_equal(w.report.damaged, 0);
        assert_in_range(w.report.last, 1, 2);
        torn |= w.report.torn;
        journal_world_end(&w);
    }
    assert_true(torn);
}

static void a_whole_block_is_gone(void **state)
{
    (void)state;
    small_journal(false);
    for (uint64_t id = 1; id <= SMALL_SEGMENTS; id++) {
        char name[GNT_DISK_NAME_MAX];
        size_t size;
        file_name(id, name);
        uint8_t *bytes = sim_disk_bytes(w.disk, name, &size), kept[BLOCK];
        for (size_t at = 0; at < size; at += BLOCK) {
            memcpy(kept, bytes + at, BLOCK);
            for (int with = 0; with < 256; with += 255) {
                memset(bytes + at, with, BLOCK);
                assert_int_equal(journal_world_replay(&w), GNT_OK);
                if (id < SMALL_SEGMENTS)
                    assert_int_equal(w.report.records + w.report.damaged, SMALL_RECORDS);
            }
            memcpy(bytes + at, kept, BLOCK);
        }
    }
    journal_world_end(&w);
}

static void a_newer_format_is_refused(void **state)
{
    (void)state;
    small_journal(false);
    uint8_t block[BLOCK];
    gnt_journal_header_write(&(struct gnt_journal_header){9, 9, 9, 0}, block);
    block[8] = GNT_JOURNAL_FORMAT + 1;
    uint32_t check = gnt_crc32c(0, gnt_slice(block, 12));
    check = gnt_crc32c(check, gnt_slice(block + 16, GNT_JOURNAL_HEADER_SIZE - 16));
    for (int i = 0; i < 4; i++)
        block[12 + i] = (uint8_t)(check >> 8 * i);
    assert_true(sim_disk_put(w.disk, "journal-00000007", gnt_slice(block, sizeof block)));
    assert_int_equal(journal_world_replay(&w), GNT_UNSUPPORTED);
    assert_int_equal(journal_world_open(&w), GNT_UNSUPPORTED);
    assert_null(w.journal);
    journal_world_end(&w);
}

static void other_files_do_not_matter(void **state)
{
    (void)state;
    small_journal(false);
    static const char *const names[] = {"journal-1",         "journal-0000000x", "journal-",
                                        "journal-000000003", "data.mdb",         "journal-00000000",
                                        "journal-00000001~"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_true(sim_disk_put(w.disk, names[i], LITERAL("nothing of ours")));
    expect_replay(SMALL_RECORDS, 0, false);
    assert_true(sim_disk_put(w.disk, "journal-00000009", LITERAL("looks like ours")));
    expect_replay(SMALL_RECORDS, 0, true);
    assert_string_equal(w.report.where, "journal-00000009 at 0");
    journal_world_end(&w);
}

static void where_it_is_damaged(void **state)
{
    (void)state;
    small_journal(false);
    size_t size;
    sim_disk_bytes(w.disk, "journal-00000001", &size)[BLOCK + 40] ^= 1;
    expect_replay(SMALL_RECORDS - 1, 1, false);
    assert_string_equal(w.report.where, "journal-00000001 at 4,096");
    journal_world_end(&w);
}

/* ---- Failures */

/* A life with all that a journal does; what fails is done again later. */
static void busy_life(void)
{
    for (unsigned i = 0; i < 24; i++) {
        gnt_err err = journal_world_write(&w, 16 + i * 777 % 5000);
        if (!err && i % 3 != 1)
            err = journal_world_sync(&w);
        (void)err;
        if (i % 8 == 7)
            journal_world_release(&w, w.safe);
        if (i % 4 == 3)
            gnt_journal_mark(w.journal);
        (void)!gnt_journal_prepare(w.journal);
    }
}

static void cut_and_check(uint64_t seed)
{
    sim_disk_cut(w.disk, seed);
    gnt_journal_close(&w.journal);
    sim_disk_restart(w.disk);
    assert_int_equal(journal_world_replay(&w), GNT_OK);
    assert_int_equal(w.report.damaged, 0);
    assert_true(w.report.last >= w.safe);
}

static void one_call_fails(void **state)
{
    (void)state;
    for (int full = 0; full < 2; full++) {
        uint64_t calls = 1;
        for (uint64_t k = 1; k <= calls; k++) {
            begin(4 * BLOCK, 1);
            uint64_t before = sim_disk_counts(w.disk)->calls;
            sim_disk_fail(w.disk, k, 1, full ? GNT_FULL : GNT_IO);
            busy_life();
            calls = sim_disk_counts(w.disk)->calls - before;
            assert_true(w.safe >= 10);
            write_safe(100);
            cut_and_check(k);
            journal_world_end(&w);
        }
    }
}

static void all_calls_fail_for_a_while(void **state)
{
    (void)state;
    for (uint64_t k = 1; k < 120; k++) {
        begin(4 * BLOCK, 1);
        sim_disk_fail(w.disk, k, UINT64_MAX, k % 2 ? GNT_FULL : GNT_IO);
        busy_life();
        sim_disk_fail(w.disk, 0, 0, GNT_OK);
        busy_life();
        write_safe(100);
        cut_and_check(k);
        journal_world_end(&w);
    }
}

static void recovery_that_fails(void **state)
{
    (void)state;
    small_journal(false);
    for (uint64_t k = 1;; k++) {
        sim_disk_fail(w.disk, k, 1, GNT_IO);
        if (journal_world_replay(&w) == GNT_OK)
            break;
    }
    for (uint64_t k = 1;; k++) {
        sim_disk_fail(w.disk, k, 1, GNT_IO);
        if (journal_world_open(&w) == GNT_OK)
            break;
        assert_null(w.journal);
    }
    journal_world_end(&w);
}

static void no_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        begin(4 * BLOCK, 1);
        gnt_alloc_fail_at(n);
        busy_life();
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        write_safe(100);
        cut_and_check((uint64_t)n);
        uint64_t last = w.report.last;
        for (long m = 0; m < 100; m++) {
            gnt_alloc_fail_at(m);
            gnt_err err = journal_world_replay(&w);
            gnt_alloc_fail_at(-1);
            if (err == GNT_OK)
                break;
            assert_int_equal(err, GNT_NOMEM);
        }
        assert_int_equal(w.report.last, last);
        journal_world_apply(&w);
        for (long m = 0; m < 100; m++) {
            gnt_alloc_fail_at(m);
            gnt_err err = journal_world_open(&w);
            gnt_alloc_fail_at(-1);
            if (err == GNT_OK)
                break;
            assert_int_equal(err, GNT_NOMEM);
        }
        assert_non_null(w.journal);
        journal_world_end(&w);
    }
}

/* What failed was told to have failed; once what came in its place is safe, it never comes. */
static void what_is_void_stays_void(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        begin(8 * BLOCK, (unsigned)(seed % 3));
        write_safe(100);
        for (int i = 0; i < 3; i++)
            assert_int_equal(journal_world_write(&w, 1000), GNT_OK);
        sim_disk_fail(w.disk, 1, 1, GNT_IO);
        assert_int_equal(journal_world_sync(&w), GNT_IO);
        write_safe(500); /* 2 again; 3 and 4 of the old segment do not count */
        if (seed % 2) {  /* nor when the segment that says so is gone */
            journal_world_release(&w, 2);
            write_safe(40000);
            journal_world_release(&w, 3);
            (void)journal_world_write(&w, 200);
        }
        uint64_t safe = w.safe;
        cut_and_check(seed);
        assert_true(w.report.last == safe || (seed % 2 && w.report.last == safe + 1));
        if (w.report.last > safe)
            assert_int_equal(w.report.bytes, 200);
        journal_world_end(&w);
    }
}

/* ---- Lives from a seed */

static uint64_t below(struct gnt_seeded *g, uint64_t n)
{
    return gnt_random_below(&g->door, n);
}

static void random_faults(struct gnt_seeded *g)
{
    if (below(g, 30) == 0)
        sim_disk_fail(w.disk, 1 + below(g, 6), 1 + below(g, 3), below(g, 2) ? GNT_IO : GNT_FULL);
}

static void random_life(struct gnt_seeded *g)
{
    uint64_t steps = below(g, 60), sync_one_of = 1 + below(g, 4);
    if (below(g, 4))
        sim_disk_cut_at(w.disk, 1 + below(g, 150), gnt_seeded_next(g));
    for (uint64_t i = 0; i < steps && !sim_disk_is_cut(w.disk); i++) {
        random_faults(g);
        size_t size = below(g, 20) ? (size_t)(16 + below(g, 3000)) : (size_t)(16 + below(g, 30000));
        (void)journal_world_write(&w, size);
        if (below(g, sync_one_of) == 0)
            (void)journal_world_sync(&w);
        if (below(g, 6) == 0 && w.safe > w.applied)
            journal_world_release(&w, w.applied + 1 + below(g, w.safe - w.applied));
        if (below(g, 3) == 0)
            (void)!gnt_journal_prepare(w.journal);
        if (below(g, 3) == 0)
            gnt_journal_mark(w.journal);
    }
    sim_disk_fail(w.disk, 0, 0, GNT_OK);
}

static void end_life(struct gnt_seeded *g)
{
    bool killed = !sim_disk_is_cut(w.disk) && below(g, 3) == 0; /* the power stays */
    if (!killed && !sim_disk_is_cut(w.disk))
        sim_disk_cut(w.disk, gnt_seeded_next(g));
    sim_disk_cut_at(w.disk, 0, 0);
    gnt_journal_close(&w.journal);
    if (!killed)
        sim_disk_restart(w.disk);
}

static void recover(struct gnt_seeded *g)
{
    assert_int_equal(journal_world_replay(&w), GNT_OK);
    assert_int_equal(w.report.damaged, 0);
    assert_true(w.report.last >= w.safe);
    if (below(g, 4) == 0) { /* interrupted: some of it has been applied */
        w.safe = w.report.last;
        w.applied += below(g, w.safe - w.applied + 1);
        uint64_t last = w.report.last;
        assert_int_equal(journal_world_replay(&w), GNT_OK);
        assert_int_equal(w.report.last, last);
    }
    journal_world_apply(&w);
}

static uint64_t current_seed;

static int say_seed(void **state)
{
    (void)state;
    if (current_seed)
        print_message("seed %llu\n", (unsigned long long)current_seed);
    return 0;
}

static void lives_from_a_seed(void **state)
{
    (void)state;
    const char *given = getenv("GNATTER_SEED"), *times = getenv("GNATTER_TIMES");
    uint64_t first = given ? strtoull(given, NULL, 0) : 1;
    uint64_t count = given ? 1 : times ? strtoull(times, NULL, 0) : 3000;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct gnt_seeded g;
        gnt_seeded_init(&g, seed);
        current_seed = seed;
        journal_world_begin(&w, (2 + below(&g, 6)) * BLOCK, (unsigned)below(&g, 4));
        gnt_seeded_init(&w.random, seed);
        uint64_t lives = 1 + below(&g, 6);
        for (uint64_t i = 0; i < lives; i++) {
            assert_int_equal(journal_world_open(&w), GNT_OK);
            random_life(&g);
            end_life(&g);
            recover(&g);
        }
        journal_world_end(&w);
        current_seed = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_comes_back),
        cmocka_unit_test(several_records_before_one_sync),
        cmocka_unit_test(many_parts),
        cmocka_unit_test(one_that_is_too_large_changes_nothing),
        cmocka_unit_test(who_gets_the_records_can_stop),
        cmocka_unit_test(replay_begins_behind_what_is_applied),
        cmocka_unit_test(files_are_used_again),
        cmocka_unit_test(more_may_be_kept_than_are_made_beforehand),
        cmocka_unit_test(what_is_used_goes_down_by_what_is_released),
        cmocka_unit_test(a_large_record_has_a_segment_that_is_not_kept),
        cmocka_unit_test(opening_keeps_what_fits),
        cmocka_unit_test(a_full_disk_that_has_room_again),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(what_grows_is_cut),
        cmocka_unit_test(one_is_missing),
        cmocka_unit_test(every_bit_flipped),
        cmocka_unit_test(a_marked_record_is_missed),
        cmocka_unit_test(a_mark_takes_no_room_and_is_not_written_twice),
        cmocka_unit_test(a_torn_record_in_the_place_of_a_mark),
        cmocka_unit_test(a_whole_block_is_gone),
        cmocka_unit_test(a_newer_format_is_refused),
        cmocka_unit_test(other_files_do_not_matter),
        cmocka_unit_test(where_it_is_damaged),
        cmocka_unit_test(one_call_fails),
        cmocka_unit_test(all_calls_fail_for_a_while),
        cmocka_unit_test(recovery_that_fails),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(what_is_void_stays_void),
        cmocka_unit_test_teardown(lives_from_a_seed, say_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
