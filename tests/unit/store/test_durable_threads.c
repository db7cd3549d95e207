#include "support/store_contract.h"
#include "support/store_world.h"
#include "support/unit.h"

#include <semaphore.h>

static struct store_world world;
static bool made;
static uint64_t interval_ns;

/* With real time, and memtables so small that the applier is always at work. */
static gnt_err open_world(struct gnt_store **out)
{
    if (made)
        store_world_fini(&world);
    store_world_init(&world, 1);
    made = true;
    world.options.stepped = false;
    world.options.clock = &gnt_clock_system;
    world.options.memory_max = 4 << 10;
    world.options.sync_interval_ns = interval_ns;
    gnt_err err = store_world_open(&world);
    *out = world.store;
    world.store = NULL;
    return err;
}

/* --- closing --- */

enum { MANY = 8, LARGE = 8 << 10 };

/* A commit or a read, which completes on a thread of the store's. */
struct result {
    struct gnt_store_read read;
    unsigned records;
    gnt_err err;
    sem_t done;
};

static void on_done(struct gnt_completion *c, gnt_err err)
{
    struct gnt_store_read *read = GNT_CONTAINER(c, struct gnt_store_read, completion);
    struct result *r = GNT_CONTAINER(read, struct result, read);
    r->err = err;
    sem_post(&r->done);
}

static void on_record(struct gnt_store_read *read, const struct gnt_store_record *record)
{
    (void)record;
    GNT_CONTAINER(read, struct result, read)->records++;
}

static void result_init(struct result *r)
{
    *r = (struct result){.read = {.record = on_record}};
    r->read.completion =
        (struct gnt_completion){.done = on_done, .deliver = gnt_store_deliver_here};
    sem_init(&r->done, 0, 0);
}

static void await(struct result *r)
{
    assert_int_equal(sem_wait(&r->done), 0);
    assert_int_equal(r->err, GNT_OK);
    sem_destroy(&r->done);
}

/* What the disk and the ground do from now on, of whatever thread. */
struct failing {
    struct sim_disk *disk;
    _Atomic bool fails;
    sem_t failed;
};

static void fail_the_disk(void *context)
{
    struct failing *f = context;
    if (!f->fails)
        return;
    sim_disk_fail(f->disk, 1, UINT64_MAX, GNT_IO);
    sem_post(&f->failed);
}

/* The ground is at work when the sync fails, so that what is to be saved has to wait for it. */
static void wait_for_failure(void *context)
{
    struct failing *f = context;
    sem_wait(&f->failed);
    sem_post(&f->failed);
}

/* Much is told, then the store is closed, and its last sync fails; and so does the ground, maybe.
 * How much of it the next one has. */
static unsigned saved_when_closed(uint64_t seed, bool ground_fails)
{
    static const uint8_t value[LARGE];
    struct store_world w;
    struct result r;
    store_world_init(&w, seed);
    struct failing f = {.disk = w.disk};
    sem_init(&f.failed, 0, 0);
    w.options.stepped = false;
    w.options.clock = &gnt_clock_system;
    w.options.memory_max = seed % 2 ? LARGE : 2 * LARGE; /* the first one freezes a memtable */
    w.options.sync_interval_ns = 60 * GNT_NS_PER_S;
    sim_disk_during(w.disk, fail_the_disk, &f);
    assert_int_equal(store_world_open(&w), GNT_OK);
    sim_ground_during(w.soil, wait_for_failure, &f);
    for (uint64_t i = 1; i <= MANY; i++) {
        struct gnt_batch batch = {0};
        result_init(&r);
        gnt_batch_append(&batch, gnt_slice_str("l"), i, gnt_slice(value, i == 1 ? LARGE : 1), NULL);
        gnt_store_commit(w.store, &batch, &r.read.completion);
        await(&r);
    }
    if (ground_fails)
        sim_ground_fail_at(w.soil, 0, GNT_IO, true);
    f.fails = true;
    gnt_store_close(&w.store);
    sim_disk_during(w.disk, NULL, NULL);
    sim_ground_during(w.soil, NULL, NULL);
    store_world_crash(&w, seed);
    assert_int_equal(store_world_open(&w), GNT_OK);
    result_init(&r);
    gnt_store_read(w.store, gnt_slice_str("l"), 1, 2 * MANY, &r.read);
    await(&r);
    store_world_fini(&w);
    sem_destroy(&f.failed);
    return r.records;
}

static void closing_waits_for_what_is_saved(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        assert_int_equal(saved_when_closed(seed, false), MANY);
}

static void closing_does_not_wait_where_nothing_can_be_saved(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        assert_in_range(saved_when_closed(seed, true), 0, MANY);
}

int main(void)
{
    const struct CMUnitTest closing[] = {
        cmocka_unit_test(closing_waits_for_what_is_saved),
        cmocka_unit_test(closing_does_not_wait_where_nothing_can_be_saved),
    };
    static const struct store_under_test durable = {.name = "durable", .open = open_world};
    int failed = store_contract(&durable);
    failed += store_contract_threads(&durable);
    interval_ns = 10 * GNT_NS_PER_MS;
    failed += store_contract_threads(&durable);
    store_world_fini(&world);
    return failed + cmocka_run_group_tests_name("closing", closing, NULL, NULL);
}
