#include "support/sim_disk.h"
#include "support/unit.h"

#include <stdio.h>

/* The simulated disk itself: a disk that is too kind would find nothing, one that breaks its word
 * would blame the innocent. */

enum { SECTOR = 512, SEEDS = 400 };

static struct sim_disk *disk;
static struct gnt_disk *door;

static int set_up(void **state)
{
    (void)state;
    disk = sim_disk_new();
    assert_non_null(disk);
    door = sim_disk_door(disk);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sim_disk_free(disk);
    return 0;
}

static struct gnt_disk_file *create(const char *name)
{
    struct gnt_disk_file *f;
    assert_int_equal(door->ops->open(door, name, true, &f), GNT_OK);
    return f;
}

static gnt_err put(struct gnt_disk_file *f, uint64_t at, int with, size_t size)
{
    uint8_t bytes[8 * SECTOR];
    memset(bytes, with, sizeof bytes);
    return f->ops->write(f, at, &(struct gnt_slice){bytes, size}, 1);
}

static void restart(uint64_t seed)
{
    sim_disk_cut(disk, seed);
    sim_disk_restart(disk);
}

/* What is left of a file that had 4 sectors of 1, synced, and then 8 of 2 and 2 of 3 on it. */
struct left {
    bool old, new, torn, longer, reordered;
};

static void look(struct left *left)
{
    size_t size;
    const uint8_t *bytes = sim_disk_bytes(disk, "a", &size);
    assert_non_null(bytes);
    assert_in_range(size, 4 * SECTOR, 8 * SECTOR);
    for (size_t i = 0; i < size; i++) {
        assert_in_range(bytes[i], i < 4 * SECTOR ? 1 : 0, i < 2 * SECTOR ? 3 : 2);
        if (i % SECTOR) /* sectors are never torn */
            assert_true(bytes[i] == bytes[i - 1] || i >= 4 * SECTOR);
    }
    left->old |= size == 4 * SECTOR && bytes[0] == 1 && bytes[3 * SECTOR] == 1;
    left->new |= size == 8 * SECTOR &&bytes[0] == 3 && bytes[7 * SECTOR] == 2;
    left->torn |= bytes[2 * SECTOR] != bytes[3 * SECTOR];
    left->longer |= size > 4 * SECTOR;
    left->reordered |= bytes[0] == 3 && bytes[3 * SECTOR] == 1;
}

static void all_that_a_cut_may_leave(void **state)
{
    (void)state;
    struct left left = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct gnt_disk_file *f = create("a");
        assert_int_equal(put(f, 0, 1, 4 * SECTOR), GNT_OK);
        assert_int_equal(f->ops->sync(f), GNT_OK);
        assert_int_equal(door->ops->sync_names(door), GNT_OK);
        assert_int_equal(put(f, 0, 2, 8 * SECTOR), GNT_OK);
        assert_int_equal(put(f, 0, 3, 2 * SECTOR), GNT_OK);
        sim_disk_cut(disk, seed);
        assert_int_equal(put(f, 0, 4, 1), GNT_IO);
        assert_int_equal(f->ops->sync(f), GNT_IO);
        f->ops->close(f);
        sim_disk_restart(disk);
        look(&left);
        assert_int_equal(door->ops->remove(door, "a"), GNT_OK);
        assert_int_equal(door->ops->sync_names(door), GNT_OK);
    }
    assert_true(left.old && left.new &&left.torn &&left.longer &&left.reordered);
}

static void what_is_synced_stays(void **state)
{
    (void)state;
    struct gnt_disk_file *f = create("a");
    assert_int_equal(door->ops->sync_names(door), GNT_OK);
    for (int i = 1; i < 100; i++) {
        assert_int_equal(put(f, (uint64_t)i * 100, i, 700), GNT_OK);
        assert_int_equal(f->ops->sync(f), GNT_OK);
        restart((uint64_t)i);
        size_t size;
        const uint8_t *bytes = sim_disk_bytes(disk, "a", &size);
        assert_int_equal(size, (size_t)i * 100 + 700);
        assert_int_equal(bytes[size - 1], i);
        assert_int_equal(bytes[(size_t)i * 100], i);
    }
    f->ops->close(f);
}

/* A file that was synced without its name may be gone, a removed one may be back. */
static void names_that_are_not_synced(void **state)
{
    (void)state;
    int created = 0, back = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        size_t size;
        assert_true(sim_disk_put(disk, "old", LITERAL("old")));
        struct gnt_disk_file *f = create("new");
        assert_int_equal(put(f, 0, 1, 1), GNT_OK);
        assert_int_equal(f->ops->sync(f), GNT_OK);
        f->ops->close(f);
        assert_int_equal(door->ops->remove(door, "old"), GNT_OK);
        assert_null(sim_disk_bytes(disk, "old", &size));
        restart(seed);
        created += sim_disk_bytes(disk, "new", &size) != NULL;
        back += sim_disk_bytes(disk, "old", &size) != NULL;
        (void)door->ops->remove(door, "new");
        (void)door->ops->remove(door, "old");
        assert_int_equal(door->ops->sync_names(door), GNT_OK);
        restart(seed);
        assert_int_equal(sim_disk_used(disk), 0);
    }
    assert_in_range(created, SEEDS / 4, SEEDS * 3 / 4);
    assert_in_range(back, SEEDS / 4, SEEDS * 3 / 4);
}

/* The next sync does not make up for one that failed. */
static void a_failed_sync_is_not_made_up_for(void **state)
{
    (void)state;
    int lost = 0, kept = 0;
    struct gnt_disk_file *f = create("a");
    assert_int_equal(door->ops->sync_names(door), GNT_OK);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        assert_int_equal(put(f, 0, 1, SECTOR), GNT_OK);
        assert_int_equal(f->ops->sync(f), GNT_OK);
        assert_int_equal(put(f, 0, 2, SECTOR), GNT_OK);
        sim_disk_fail(disk, 1, 1, GNT_IO);
        assert_int_equal(f->ops->sync(f), GNT_IO);
        assert_int_equal(f->ops->sync(f), GNT_OK);
        uint8_t byte;
        size_t size;
        assert_int_equal(f->ops->read(f, 0, &byte, 1, &size), GNT_OK);
        assert_int_equal(byte, 2);
        restart(seed);
        byte = *sim_disk_bytes(disk, "a", &size);
        assert_in_range(byte, 1, 2);
        lost += byte == 1;
        kept += byte == 2;
    }
    assert_true(lost > SEEDS / 10 && kept > SEEDS / 10);
    f->ops->close(f);
}

static void calls_that_fail(void **state)
{
    (void)state;
    struct gnt_disk_file *f = create("a");
    sim_disk_fail(disk, 2, 2, GNT_FULL);
    assert_int_equal(put(f, 0, 1, 600), GNT_OK);
    assert_int_equal(put(f, 0, 2, 600), GNT_FULL);
    assert_int_equal(f->ops->sync(f), GNT_OK); /* needs no room */
    assert_int_equal(put(f, 0, 3, 600), GNT_OK);
    assert_int_equal(sim_disk_counts(disk)->writes, 3);
    assert_int_equal(sim_disk_counts(disk)->syncs, 1);
    sim_disk_fail(disk, 1, UINT64_MAX, GNT_IO);
    for (int i = 0; i < 5; i++)
        assert_int_equal(f->ops->sync(f), GNT_IO);
    sim_disk_fail(disk, 0, 0, GNT_OK);
    assert_int_equal(f->ops->sync(f), GNT_OK);
    f->ops->close(f);
}

static void room_that_ends(void **state)
{
    (void)state;
    struct gnt_disk_file *f = create("a"), *g = create("b");
    sim_disk_room(disk, 1000);
    assert_int_equal(put(f, 0, 1, 600), GNT_OK);
    assert_int_equal(put(g, 0, 1, 600), GNT_FULL);
    assert_int_equal(sim_disk_used(disk), 1000); /* a part of it is there */
    assert_int_equal(put(f, 0, 2, 600), GNT_OK); /* in place */
    assert_int_equal(door->ops->remove(door, "a"), GNT_OK);
    assert_int_equal(put(g, 0, 1, 600), GNT_OK);
    f->ops->close(f);
    g->ops->close(g);
}

static void a_cut_in_the_middle_of_a_call(void **state)
{
    (void)state;
    int parts = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct gnt_disk_file *f = create("a");
        assert_int_equal(door->ops->sync_names(door), GNT_OK);
        sim_disk_cut_at(disk, 2, seed);
        assert_int_equal(f->ops->sync(f), GNT_OK);
        assert_false(sim_disk_is_cut(disk));
        assert_int_equal(put(f, 0, 1, 4 * SECTOR), GNT_IO);
        assert_true(sim_disk_is_cut(disk));
        f->ops->close(f);
        sim_disk_restart(disk);
        uint64_t used = sim_disk_used(disk);
        assert_in_range(used, 0, 4 * SECTOR);
        parts += used > 0 && used < 4 * SECTOR;
        assert_int_equal(door->ops->remove(door, "a"), GNT_OK);
        assert_int_equal(door->ops->sync_names(door), GNT_OK);
    }
    assert_true(parts > SEEDS / 20);
}

#define WITH_DISK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DISK(all_that_a_cut_may_leave),
        WITH_DISK(what_is_synced_stays),
        WITH_DISK(names_that_are_not_synced),
        WITH_DISK(a_failed_sync_is_not_made_up_for),
        WITH_DISK(calls_that_fail),
        WITH_DISK(room_that_ends),
        WITH_DISK(a_cut_in_the_middle_of_a_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
