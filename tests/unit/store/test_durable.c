#include "support/alloc_fault.h"
#include "support/store_contract.h"
#include "support/store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- the contract of every engine --- */

static struct store_world world;
static bool world_is_made;
static uint64_t interval_ns;
static size_t memory_max;

static gnt_err open_world(struct gnt_store **out)
{
    if (world_is_made)
        store_world_fini(&world);
    store_world_init(&world, 1);
    world_is_made = true;
    world.options.sync_interval_ns = interval_ns;
    world.options.memory_max = memory_max;
    gnt_err err = store_world_open(&world);
    *out = world.store;
    world.store = NULL; /* the contract closes it */
    return err;
}

/* A turn; the applier is slower, but works when it is waited for.  Time passes, so that trouble is
 * looked at again. */
static void run(struct gnt_store *s)
{
    static unsigned count;
    struct gnt_durable_status after;
    store_world_pass(&world, 2 * GNT_NS_PER_S);
    gnt_durable_turn(s);
    gnt_durable_status(s, &after);
    if (++count % 5 && after.memory < world.options.memory_max)
        return;
    gnt_durable_apply(s);
    gnt_durable_turn(s);
}

static int contract(const char *name, uint64_t interval, size_t memory)
{
    const struct store_under_test durable = {.name = name, .open = open_world, .run = run};
    interval_ns = interval;
    memory_max = memory;
    int failed = store_contract(&durable);
    store_world_fini(&world);
    world_is_made = false;
    return failed;
}

/* --- trouble, one commit at a time --- */

/* Its completion serves commits as well. */
struct result {
    struct gnt_store_read read;
    unsigned done, records;
    gnt_err err;
};

static void done(struct gnt_completion *c, gnt_err err)
{
    struct gnt_store_read *read = GNT_CONTAINER(c, struct gnt_store_read, completion);
    struct result *r = GNT_CONTAINER(read, struct result, read);
    r->done++;
    r->err = err;
}

static void record(struct gnt_store_read *read, const struct gnt_store_record *found)
{
    if (found->message) /* else it is an entry without one */
        assert_memory_equal(found->message->payload.data, &found->sequence, sizeof found->sequence);
    GNT_CONTAINER(read, struct result, read)->records++;
}

static void result_init(struct result *r)
{
    *r = (struct result){.read = {.record = record}};
    r->read.completion.done = done;
    r->read.completion.deliver = gnt_store_deliver_here;
}

/* To be unref'ed. */
static struct gnt_message *message_of(uint64_t number)
{
    uint8_t payload[300] = {0};
    memcpy(payload, &number, sizeof number); /* so that it is known again */
    struct gnt_message_init init = {.topic = gnt_slice_str("t"),
                                    .payload = gnt_slice(payload, sizeof payload),
                                    .expires = GNT_NEVER};
    struct gnt_message *m = NULL;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

static void start_append_of(struct store_world *w, uint64_t number, struct gnt_message *m,
                            struct result *r)
{
    struct gnt_batch batch = {0};
    result_init(r);
    gnt_batch_append(&batch, gnt_slice_str("l"), number, gnt_slice(NULL, 0), m);
    gnt_store_commit(w->store, &batch, &r->read.completion);
}

static void start_append(struct store_world *w, uint64_t number, struct result *r)
{
    struct gnt_message *m = message_of(number);
    start_append_of(w, number, m, r);
    gnt_message_unref(&m);
}

/* Whether it has completed by now, in one turn. */
static bool append(struct store_world *w, uint64_t number, gnt_err *err)
{
    static struct result r; /* until it completes, which may be later */
    start_append(w, number, &r);
    gnt_durable_turn(w->store);
    *err = r.err;
    return r.done;
}

static gnt_err append_now(struct store_world *w, uint64_t number)
{
    gnt_err err;
    assert_true(append(w, number, &err));
    return err;
}

static void start_take(struct store_world *w, uint64_t number, struct result *r)
{
    struct gnt_batch batch = {0};
    result_init(r);
    gnt_batch_remove(&batch, gnt_slice_str("l"), number);
    batch.lazy = true;
    gnt_store_commit(w->store, &batch, &r->read.completion);
}

static gnt_err take_now(struct store_world *w, uint64_t number)
{
    struct result r;
    start_take(w, number, &r);
    while (gnt_durable_turn(w->store)) { /* once more, where the first time found no room */
    }
    assert_int_equal(r.done, 1);
    return r.err;
}

/* Whether there is an entry numbered NUMBER or higher. */
static bool is_there(struct store_world *w, uint64_t number)
{
    struct result r;
    result_init(&r);
    gnt_store_read(w->store, gnt_slice_str("l"), number, 1, &r.read);
    gnt_durable_turn(w->store);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.err, GNT_OK);
    return r.records;
}

static gnt_err state_of(struct store_world *w)
{
    struct gnt_durable_status status;
    gnt_durable_status(w->store, &status);
    return status.state;
}

static struct store_world *opened(uint64_t seed)
{
    static struct store_world w;
    store_world_init(&w, seed);
    assert_int_equal(store_world_open(&w), GNT_OK);
    store_world_work(&w);
    return &w;
}

enum { APPENDS = 60 };

struct faults {
    uint64_t disk_at; /* 0: none */
    uint64_t count;   /* so many calls */
    long ground_at;   /* -1: none */
    gnt_err err;
};

/* Commits while something fails; then all is well again; then the power is cut.  Nothing is
 * completed before it is safe, nothing is given up, the order stays, and the store goes on by
 * itself.  Returns how often it failed. */
static uint64_t with_faults(const struct faults *f)
{
    struct store_world *w = opened(f->disk_at);
    static struct result r[APPENDS + 1];
    struct gnt_durable_status status;
    sim_disk_fail(w->disk, f->disk_at ? f->disk_at : 1, f->disk_at ? f->count : 0, f->err);
    sim_ground_fail_at(w->soil, f->ground_at, f->err, f->count > 10);
    for (uint64_t i = 1; i <= APPENDS; i++) {
        start_append(w, i, &r[i]);
        gnt_durable_turn(w->store);
        assert_int_equal(state_of(w), gnt_store_trouble(w->store));
        gnt_durable_apply(w->store);
        store_world_pass(w, 50 * GNT_NS_PER_MS);
    }
    sim_disk_fail(w->disk, 0, 0, GNT_OK);
    sim_ground_fail_at(w->soil, -1, GNT_OK, false);
    for (unsigned i = 0; i < 3; i++) {
        store_world_pass(w, 2 * GNT_NS_PER_S);
        store_world_work(w);
    }
    gnt_durable_status(w->store, &status);
    assert_int_equal(status.state, GNT_OK);
    for (uint64_t i = 1; i <= APPENDS; i++)
        assert_true(r[i].done == 1 && r[i].err == GNT_OK);
    store_world_crash(w, f->disk_at);
    assert_int_equal(store_world_open(w), GNT_OK);
    assert_int_equal(w->report.journal.damaged + w->report.unreadable, 0);
    result_init(&r[0]);
    gnt_store_read(w->store, gnt_slice_str("l"), 1, APPENDS + 1, &r[0].read);
    gnt_durable_turn(w->store);
    assert_int_equal(r[0].records, APPENDS);
    store_world_fini(w);
    return status.failures;
}

static void faults_of_the_disk(void **state)
{
    (void)state;
    uint64_t failed = 0;
    static const gnt_err errs[] = {GNT_IO, GNT_FULL};
    for (unsigned e = 0; e < 2; e++) {
        for (uint64_t k = 1; k < 200; k++) {
            failed += with_faults(&(struct faults){k, 1, -1, errs[e]});
            failed += with_faults(&(struct faults){k, 30, -1, errs[e]});
        }
    }
    assert_in_range(failed, 500, 100000);
}

static void faults_of_the_ground(void **state)
{
    (void)state;
    static const gnt_err errs[] = {GNT_IO, GNT_FULL, GNT_NOMEM};
    for (unsigned e = 0; e < 3; e++) {
        for (long k = 0; k < 2; k++) {
            with_faults(&(struct faults){0, 1, k, errs[e]});
            with_faults(&(struct faults){0, 1000, k, errs[e]});
        }
    }
}

/* No room: it says so, what was asked for and what takes away has the reserve's, and it ends when
 * there is room again. */
static void a_full_disk(void **state)
{
    (void)state;
    struct store_world *w = opened(1);
    gnt_store_close(&w->store);
    w->options.reserve_size = 128 << 10; /* a record takes a block of 4 KiB */
    assert_int_equal(store_world_open(w), GNT_OK);
    store_world_work(w);
    uint64_t next = 0;
    sim_disk_room(w->disk, sim_disk_used(w->disk) + (40 << 10));
    while (!gnt_store_trouble(w->store)) { /* the ground takes nothing */
        struct result added;
        assert_in_range(next, 0, 10000);
        start_append(w, ++next, &added);
        while (gnt_durable_turn(w->store)) { /* once more, where the first time found no room */
        }
        assert_int_equal(added.done, 1);
        assert_int_equal(added.err, GNT_OK);
    }
    assert_int_equal(state_of(w), GNT_FULL);
    assert_in_range(next, 4, 10000);
    for (uint64_t i = 1; i < next; i++) {
        assert_int_equal(take_now(w, i), GNT_OK);
        assert_true(is_there(w, i + 1));
        store_world_pass(w, GNT_NS_PER_S / 2);
    }
    assert_int_equal(state_of(w), GNT_FULL);
    sim_disk_room(w->disk, UINT64_MAX);
    store_world_pass(w, 2 * GNT_NS_PER_S);
    gnt_durable_turn(w->store);
    assert_int_equal(state_of(w), GNT_OK);
    assert_int_equal(gnt_store_trouble(w->store), GNT_OK);
    assert_int_equal(append_now(w, ++next), GNT_OK);
    store_world_crash(w, 1);
    assert_int_equal(store_world_open(w), GNT_OK);
    assert_false(is_there(w, next + 1));
    assert_true(is_there(w, next));
    store_world_fini(w);
}

/* Who closes it in the middle of trouble is told what has not become safe. */
static void closed_in_trouble(void **state)
{
    (void)state;
    struct store_world *w = opened(3);
    struct result r;
    sim_disk_fail(w->disk, 1, 1000, GNT_IO);
    start_append(w, 1, &r);
    gnt_durable_turn(w->store);
    assert_int_equal(r.done, 0);
    gnt_store_close(&w->store);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.err, GNT_IO);
    sim_disk_fail(w->disk, 0, 0, GNT_OK);
    store_world_fini(w);
}

/* While the ground is slow, memory stays bounded: commits wait, and nothing fails. */
static void commits_wait_for_the_ground(void **state)
{
    (void)state;
    struct store_world *w = opened(1);
    struct gnt_durable_status status;
    struct result *r = calloc(1000, sizeof *r);
    assert_non_null(r);
    uint64_t next = 0;
    do {
        start_append(w, next + 1, &r[next]);
        gnt_durable_turn(w->store);
        assert_int_equal(r[next].err, GNT_OK);
    } while (r[next++].done && next < 1000);
    assert_in_range(next, 20, 900);
    gnt_durable_status(w->store, &status);
    assert_in_range(status.memory, 8 << 10, 40 << 10);
    assert_int_equal(status.state, GNT_OK);
    assert_false(gnt_durable_turn(w->store));
    assert_int_equal(r[next - 1].done, 0);
    assert_true(gnt_durable_apply(w->store));
    gnt_durable_turn(w->store);
    assert_int_equal(r[next - 1].done, 1);
    assert_int_equal(r[next - 1].err, GNT_OK);
    store_world_fini(w);
    free(r);
}

/* --- in intervals --- */

static struct store_world *opened_in_intervals(void)
{
    static struct store_world w;
    store_world_init(&w, 7);
    w.options.sync_interval_ns = 200 * GNT_NS_PER_MS;
    assert_int_equal(store_world_open(&w), GNT_OK);
    store_world_work(&w);
    return &w;
}

static uint64_t syncs_of(struct store_world *w)
{
    struct gnt_durable_status status;
    gnt_durable_status(w->store, &status);
    return status.syncs;
}

/* A second after the last sync, and then nothing is. */
static void only_the_mark_is_due(struct store_world *w)
{
    assert_int_equal(gnt_durable_due(w->store), w->now_ns + GNT_NS_PER_S);
    store_world_pass(w, GNT_NS_PER_S);
    gnt_durable_turn(w->store);
    assert_int_equal(gnt_durable_due(w->store), GNT_NEVER);
}

static void a_sync_follows_within_the_interval(void **state)
{
    (void)state;
    struct store_world *w = opened_in_intervals();
    uint64_t begun = w->now_ns, syncs = syncs_of(w);
    assert_int_equal(append_now(w, 1), GNT_OK);
    store_world_pass(w, 100 * GNT_NS_PER_MS);
    assert_int_equal(append_now(w, 2), GNT_OK);
    assert_int_equal(syncs_of(w), syncs);
    assert_int_equal(gnt_durable_due(w->store), begun + w->options.sync_interval_ns);
    store_world_pass(w, 100 * GNT_NS_PER_MS); /* and nothing else comes */
    gnt_durable_turn(w->store);
    assert_int_equal(syncs_of(w), syncs + 1);
    only_the_mark_is_due(w);
    store_world_crash(w, 3);
    assert_int_equal(store_world_open(w), GNT_OK);
    assert_true(is_there(w, 2));
    assert_int_equal(append_now(w, 3), GNT_OK);
    gnt_store_close(&w->store); /* syncs */
    store_world_crash(w, 4);
    assert_int_equal(store_world_open(w), GNT_OK);
    assert_true(is_there(w, 3));
    store_world_fini(w);
}

/* --- one group behind the other --- */

struct behind {
    struct store_world *w;
    struct gnt_message *message; /* NULL: its own */
    struct result result;
    bool begun;
};

/* What another store thread does meanwhile: makes the next group ready. */
static void make_ready(void *context)
{
    struct behind *b = context;
    if (b->begun)
        return;
    b->begun = true;
    if (b->message)
        start_append_of(b->w, 3, b->message, &b->result);
    else
        start_append(b->w, 3, &b->result);
    gnt_durable_turn(b->w->store);
}

static void a_group_behind_one_that_fails(void **state)
{
    (void)state;
    struct store_world w;
    struct behind b = {.w = &w};
    struct result first;
    store_world_init(&w, 10);
    assert_int_equal(store_world_open(&w), GNT_OK);
    assert_int_equal(append_now(&w, 1), GNT_OK);
    store_world_work(&w);
    uint64_t writes = sim_disk_counts(w.disk)->writes;
    sim_disk_during(w.disk, make_ready, &b);
    start_append(&w, 2, &first);
    sim_disk_fail(w.disk, 2, 1, GNT_IO); /* the sync */
    gnt_durable_turn(w.store);
    assert_true(b.begun && !first.done && !b.result.done);
    assert_int_equal(sim_disk_counts(w.disk)->writes, writes + 1); /* nothing behind it */
    store_world_pass(&w, 2 * GNT_NS_PER_S);
    store_world_work(&w);
    assert_true(first.done && b.result.done && !first.err && !b.result.err);
    store_world_crash(&w, 1);
    assert_int_equal(store_world_open(&w), GNT_OK);
    assert_int_equal(w.report.unreadable + w.report.journal.damaged, 0);
    result_init(&first);
    gnt_store_read(w.store, gnt_slice_str("l"), 1, 10, &first.read);
    gnt_durable_turn(w.store);
    assert_int_equal(first.records, 3);
    store_world_fini(&w);
}

/* A group fails behind the one that has its message, which then goes to the ground; the power is
 * cut before the journal is written again.  Whether what had failed has come back. */
static bool comes_back_without_its_message(uint64_t seed)
{
    struct store_world w;
    struct behind b = {.w = &w, .message = message_of(1)};
    struct result first;
    store_world_init(&w, seed);
    sim_disk_cut(w.disk, seed); /* what is left of a failed sync is drawn from this, too */
    sim_disk_restart(w.disk);
    w.options.journal_max = 300; /* so much is one group, and then the memtable is frozen */
    assert_int_equal(store_world_open(&w), GNT_OK);
    store_world_work(&w);
    sim_disk_during(w.disk, make_ready, &b);
    sim_disk_fail(w.disk, 6, 1,
                  GNT_IO); /* the sync behind a file, its header, record, sync, record */
    start_append_of(&w, 1, b.message, &first);
    gnt_durable_turn(w.store);
    assert_true(first.done && !first.err && b.begun && !b.result.done);
    assert_true(gnt_durable_apply(w.store));
    gnt_durable_turn(w.store);
    gnt_message_unref(&b.message);
    store_world_crash(&w, seed);
    assert_int_equal(store_world_open(&w), GNT_OK);
    assert_int_equal(w.report.unreadable + w.report.journal.damaged, 0);
    assert_true(is_there(&w, 1));
    bool back = w.report.journal.records > 0;
    store_world_fini(&w);
    return back;
}

static void what_was_undone_is_not_missed(void **state)
{
    (void)state;
    unsigned back = 0;
    for (uint64_t seed = 1; seed <= 20; seed++)
        back += comes_back_without_its_message(seed);
    assert_in_range(back, 1, 19);
}

/* What was ready already waits, too, when a late sync fails: on disk it would be there without what
 * came before it. */
static void a_group_behind_a_late_sync_that_fails(void **state)
{
    (void)state;
    struct store_world *w = opened_in_intervals();
    struct result r;
    assert_int_equal(append_now(w, 1), GNT_OK);
    store_world_pass(w, GNT_NS_PER_S);
    start_append(w, 2, &r);
    uint64_t writes = sim_disk_counts(w->disk)->writes;
    sim_disk_fail(w->disk, 1, 1, GNT_IO);
    gnt_durable_turn(w->store);
    assert_int_equal(r.done, 0);
    assert_int_equal(sim_disk_counts(w->disk)->writes, writes);
    store_world_pass(w, GNT_NS_PER_S);
    store_world_work(w);
    assert_true(r.done && !r.err);
    store_world_crash(w, 5);
    assert_int_equal(store_world_open(w), GNT_OK);
    assert_true(is_there(w, 1));
    store_world_fini(w);
}

/* --- resting --- */

struct resting {
    struct store_world *w;
    unsigned times;
};

/* The other store thread has nothing to do before this one is back. */
static void rest(void *context)
{
    struct resting *r = context;
    gnt_durable_turn(r->w->store);
    assert_int_equal(gnt_durable_due(r->w->store), GNT_NEVER);
    r->times++;
}

static void nobody_wakes_for_what_another_does(void **state)
{
    (void)state;
    struct store_world *w = opened_in_intervals();
    struct resting r = {.w = w};
    assert_int_equal(append_now(w, 1), GNT_OK);
    store_world_pass(w, GNT_NS_PER_S);
    sim_disk_during(w->disk, rest, &r);
    gnt_durable_turn(w->store); /* syncs */
    assert_true(r.times > 0);
    sim_disk_during(w->disk, NULL, NULL);
    store_world_fini(w);
}

static void nobody_wakes_while_the_ground_is_waited_for(void **state)
{
    (void)state;
    struct store_world *w = opened_in_intervals();
    struct result r;
    assert_int_equal(append_now(w, 1), GNT_OK);
    sim_disk_fail(w->disk, 1, 1, GNT_IO);
    store_world_pass(w, GNT_NS_PER_S);
    gnt_durable_turn(w->store);
    start_append(w, 2, &r);
    store_world_pass(w, 150 * GNT_NS_PER_MS); /* so that the journal could be tried again */
    gnt_durable_turn(w->store);
    assert_int_equal(r.done, 0);
    assert_true(gnt_durable_due(w->store) > w->now_ns);
    store_world_work(w);
    assert_int_equal(r.done, 1);
    store_world_fini(w);
}

/* --- patience --- */

static void what_is_lazy_waits_for_company(void **state)
{
    (void)state;
    struct store_world w;
    struct result first, second;
    store_world_init(&w, 9);
    w.options.patience_ns = 10 * GNT_NS_PER_MS;
    assert_int_equal(store_world_open(&w), GNT_OK);
    store_world_work(&w);
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(append_now(&w, i), GNT_OK);
    uint64_t syncs = syncs_of(&w), due = w.now_ns + w.options.patience_ns;
    start_take(&w, 1, &first);
    gnt_durable_turn(w.store);
    store_world_pass(&w, 4 * GNT_NS_PER_MS);
    start_take(&w, 2, &second);
    gnt_durable_turn(w.store);
    assert_false(first.done || second.done);
    assert_int_equal(gnt_durable_due(w.store), due);
    assert_int_equal(append_now(&w, 5), GNT_OK); /* that is company */
    assert_true(first.done && second.done);
    assert_int_equal(syncs_of(&w), syncs + 1);
    only_the_mark_is_due(&w);

    start_take(&w, 3, &first);
    gnt_durable_turn(w.store);
    store_world_pass(&w, w.options.patience_ns); /* none comes */
    store_world_work(&w);
    assert_true(first.done);
    assert_int_equal(syncs_of(&w), syncs + 2);
    start_take(&w, 4, &second);
    gnt_durable_turn(w.store);
    assert_false(second.done);
    gnt_store_close(&w.store);
    assert_true(second.done);
    store_world_crash(&w, 1);
    assert_int_equal(store_world_open(&w), GNT_OK);
    result_init(&first);
    gnt_store_read(w.store, gnt_slice_str("l"), 1, 10, &first.read);
    gnt_durable_turn(w.store);
    assert_int_equal(first.records, 1);
    store_world_fini(&w);
}

/* What was completed and could not be synced is saved through the ground; until then nothing new
 * completes. */
static void a_late_sync_that_fails(void **state)
{
    (void)state;
    struct store_world *w = opened_in_intervals();
    struct result r;
    assert_int_equal(append_now(w, 1), GNT_OK);
    assert_int_equal(append_now(w, 2), GNT_OK);
    sim_disk_fail(w->disk, 1, 1, GNT_IO);
    store_world_pass(w, GNT_NS_PER_S);
    gnt_durable_turn(w->store);
    assert_int_equal(state_of(w), GNT_IO);
    start_append(w, 3, &r);
    gnt_durable_turn(w->store);
    assert_int_equal(r.done, 0);
    assert_true(is_there(w, 1));
    store_world_pass(w, 150 * GNT_NS_PER_MS); /* so that the journal is tried again */
    assert_true(gnt_durable_apply(w->store));
    gnt_durable_turn(w->store);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.err, GNT_OK);
    store_world_crash(w, 5);
    assert_int_equal(store_world_open(w), GNT_OK);
    assert_true(is_there(w, 2));
    store_world_fini(w);
}

/* The ground has it, then, though nobody waited for the interval's end. */
static void what_was_told_is_saved_when_the_last_sync_fails(void **state)
{
    (void)state;
    struct store_world *w = opened_in_intervals();
    assert_int_equal(append_now(w, 1), GNT_OK);
    sim_disk_fail(w->disk, 1, UINT64_MAX, GNT_IO);
    gnt_store_close(&w->store);
    store_world_crash(w, 5);
    assert_int_equal(store_world_open(w), GNT_OK);
    assert_true(is_there(w, 1));
    store_world_fini(w);
}

/* --- damage --- */

struct name {
    char text[GNT_DISK_NAME_MAX];
    size_t size; /* the largest file's */
    struct store_world *w;
};

static void find_journal(void *context, const char *name)
{
    struct name *n = context;
    size_t size = 0;
    if (strncmp(name, "journal", 7) != 0 || !sim_disk_bytes(n->w->disk, name, &size))
        return;
    if (size > n->size)
        snprintf(n->text, sizeof n->text, "%s", name);
    n->size = size > n->size ? size : n->size;
}

/* A journal with a byte changed: it is told, and what is there is right.  Of a store that was
 * closed nothing is missing that could be taken for a write that was not finished. */
static bool with_damage(size_t at, bool closed)
{
    struct store_world *w = opened(1);
    struct name journal = {.w = w};
    struct gnt_disk *door = sim_disk_door(w->disk);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(append_now(w, i), GNT_OK);
    if (closed)
        gnt_store_close(&w->store);
    else
        store_world_crash(w, 1);
    assert_int_equal(door->ops->list(door, find_journal, &journal), GNT_OK);
    uint8_t *bytes = sim_disk_bytes(w->disk, journal.text, &journal.size);
    bool inside = at < journal.size;
    bytes[inside ? at : 0] ^= inside ? 0x10 : 0;
    assert_int_equal(store_world_open(w), GNT_OK);
    struct result r;
    result_init(&r);
    gnt_store_read(w->store, gnt_slice_str("l"), 1, 9, &r.read);
    gnt_durable_turn(w->store);
    assert_int_equal(r.err, GNT_OK);
    const struct gnt_journal_report *found = &w->report.journal;
    assert_true(r.records == 3 || found->damaged || (found->torn && !closed));
    assert_int_equal(append_now(w, 4), GNT_OK);
    store_world_fini(w);
    return inside;
}

static void a_changed_byte(void **state)
{
    (void)state;
    for (int closed = 0; closed < 2; closed++) {
        size_t at = 0;
        while (with_damage(at, closed))
            at += at % 4096 < 700 ? 1 : 97;
        assert_in_range(at, 3 * 4096, 1 << 20); /* there was a journal */
    }
}

/* --- no memory --- */

static void no_memory_for_opening(void **state)
{
    (void)state;
    struct store_world *w = opened(1);
    bool failed = true;
    for (uint64_t i = 1; i < 40; i++) {
        assert_int_equal(append_now(w, i), GNT_OK);
        gnt_durable_apply(w->store);
    }
    store_world_crash(w, 1);
    for (long n = 0; failed; n++) { /* and each time a little of it may have been recovered */
        gnt_alloc_fail_at(n);
        gnt_err err = store_world_open(w);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_true(!err || failed);
        assert_true(!err || err == GNT_NOMEM);
        if (err)
            continue;
        assert_true(is_there(w, 39));
        store_world_crash(w, 1);
    }
    assert_int_equal(store_world_open(w), GNT_OK);
    assert_int_equal(append_now(w, 40), GNT_OK);
    store_world_fini(w);
}

/* Whether the failure has happened. */
static bool work_with_failure(long n)
{
    struct store_world *w = opened(1);
    struct result r, there;
    for (uint64_t i = 1; i < 30; i++)
        assert_int_equal(append_now(w, i), GNT_OK);
    result_init(&there);
    struct gnt_batch batch = {0};
    gnt_alloc_fail_at(n);
    for (uint64_t i = 30; i < 60; i++)
        gnt_batch_append(&batch, gnt_slice_str("l"), i, gnt_slice_str("v"), NULL);
    result_init(&r);
    gnt_store_commit(w->store, &batch, &r.read.completion);
    gnt_durable_turn(w->store);
    gnt_durable_apply(w->store);
    gnt_store_read(w->store, gnt_slice_str("l"), 30, 100, &there.read);
    gnt_durable_turn(w->store);
    bool failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    assert_true(there.done);
    assert_true(there.err == GNT_OK || there.err == GNT_NOMEM);
    assert_int_equal(is_there(w, 30), r.done && !r.err);
    store_world_pass(w, 2 * GNT_NS_PER_S);
    store_world_work(w);
    assert_true(r.done);
    assert_true(r.err == GNT_OK || r.err == GNT_NOMEM); /* of the batch itself */
    assert_true(failed || !r.err);
    assert_int_equal(is_there(w, 30), !r.err);
    assert_int_equal(state_of(w), GNT_OK);
    assert_int_equal(append_now(w, 60), GNT_OK);
    store_world_crash(w, 1);
    assert_int_equal(store_world_open(w), GNT_OK);
    result_init(&there);
    gnt_store_read(w->store, gnt_slice_str("l"), 30, 100, &there.read);
    gnt_durable_turn(w->store);
    assert_int_equal(there.records, r.err ? 1 : 31);
    store_world_fini(w);
    return failed;
}

static void no_memory_for_working(void **state)
{
    (void)state;
    long n = 0;
    while (work_with_failure(n))
        n++;
    assert_in_range(n, 40, 1000);
}

/* Where what comes goes again, an eighth of the journal is enough. */
static void a_worn_journal_is_not_filled(void **state)
{
    (void)state;
    struct store_world w;
    struct gnt_durable_status status = {.applied = 0};
    store_world_init(&w, 1);
    w.options.journal_max = 1 << 20; /* of which an eighth is 1 << 17 */
    w.options.memory_max = 1 << 20;
    assert_int_equal(store_world_open(&w), GNT_OK);
    uint64_t applied = 0;
    do {
        applied++;
        gnt_durable_status(w.store, &status);
        assert_int_equal(append_now(&w, applied), GNT_OK);
        assert_int_equal(take_now(&w, applied), GNT_OK);
    } while (!gnt_durable_apply(w.store));
    assert_in_range(status.journal_used, (1 << 17) - (1 << 14), (1 << 17) + (1 << 14));
    gnt_durable_turn(w.store);
    gnt_durable_status(w.store, &status);
    for (uint64_t number = applied + 1; status.journal_used < 1 << 18; number++) { /* which stays */
        assert_int_equal(append_now(&w, number), GNT_OK);
        gnt_durable_status(w.store, &status);
        assert_false(gnt_durable_apply(w.store));
    }
    store_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_of_the_disk),
        cmocka_unit_test(faults_of_the_ground),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(closed_in_trouble),
        cmocka_unit_test(commits_wait_for_the_ground),
        cmocka_unit_test(a_sync_follows_within_the_interval),
        cmocka_unit_test(a_late_sync_that_fails),
        cmocka_unit_test(a_group_behind_one_that_fails),
        cmocka_unit_test(what_was_undone_is_not_missed),
        cmocka_unit_test(a_group_behind_a_late_sync_that_fails),
        cmocka_unit_test(what_was_told_is_saved_when_the_last_sync_fails),
        cmocka_unit_test(nobody_wakes_for_what_another_does),
        cmocka_unit_test(nobody_wakes_while_the_ground_is_waited_for),
        cmocka_unit_test(what_is_lazy_waits_for_company),
        cmocka_unit_test(a_changed_byte),
        cmocka_unit_test(no_memory_for_opening),
        cmocka_unit_test(no_memory_for_working),
        cmocka_unit_test(a_worn_journal_is_not_filled),
    };
    int failed = contract("durable", 0, 0);
    failed += contract("durable, with small memtables", 0, 1 << 10);
    failed += contract("durable, in intervals", GNT_NS_PER_S / 5, 2 << 10);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
