/* Lives of a durable store from a seed: random batches, a disk that fails now and then, and power
 * cuts anywhere, recovery included, beside a model that knows what must be there, and what may be.
 * Some of them sync in intervals: of what has completed a power cut may take the end. */
#include "support/store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SEEDS = 1500, CUTS = 4, STEPS = 60, KEYS = 8, LOGS = 3, NUMBERS = 24, IN_FLIGHT = 64 };

/* What the store holds: for each place the number of the write that is there, 0: nothing. */
struct contents {
    unsigned keys[KEYS];
    unsigned entries[LOGS][NUMBERS + 1];
    unsigned last[LOGS];
};

/* A batch that was committed, and what the store holds after it, if all before it happen. */
struct flight {
    struct gnt_completion completion;
    struct life *life;
    struct contents after;
};

struct life {
    struct store_world w;
    struct gnt_seeded g;
    struct contents safe;             /* after the last batch that is known to be safe */
    struct contents seen;             /* after the last batch that has completed */
    struct flight flights[IN_FLIGHT]; /* committed since it was safe, in order */
    unsigned first, count, done;      /* done: so many of them have completed */
    unsigned writes;                  /* so far: each has a number of its own */
    struct gnt_message *message;
    unsigned message_number; /* its first write */
    bool used[LOGS][NUMBERS + 1];
    bool fails;   /* the disk does, now and then */
    bool off;     /* the power is */
    bool looking; /* nothing is committed meanwhile */
    uint64_t seed;
};

static unsigned below(struct life *l, unsigned n)
{
    return (unsigned)(gnt_seeded_next(&l->g) % n);
}

static void text_of(char out[16], const char *what, unsigned number)
{
    snprintf(out, 16, "%s%u", what, number);
}

/* Of three writes the first two share a message, the third has none. */
static unsigned message_number(unsigned write)
{
    return write % 3 ? write - write % 3 + 1 : 0;
}

/* The message of the write at hand, lent. */
static struct gnt_message *message_of(struct life *l)
{
    char text[16];
    unsigned number = message_number(l->writes);
    if (number == l->message_number || number == 0)
        return number ? l->message : NULL;
    gnt_message_unref(&l->message);
    text_of(text, "m", number);
    struct gnt_message_init init = {.topic = gnt_slice_str("t"),
                                    .payload = gnt_slice_str(text),
                                    .qos = 1,
                                    .expires = GNT_NEVER};
    assert_int_equal(gnt_message_new(&init, &l->message), GNT_OK);
    l->message_number = number;
    return l->message;
}

static struct contents *newest(struct life *l)
{
    return l->count ? &l->flights[(l->first + l->count - 1) % IN_FLIGHT].after : &l->safe;
}

static void random_write(struct life *l, struct contents *c, struct gnt_batch *b)
{
    char name[16], key[16], value[16];
    unsigned log = below(l, LOGS), n = 1 + below(l, NUMBERS), k = below(l, KEYS);
    text_of(name, "log", log);
    text_of(key, "k", k);
    text_of(value, "v", ++l->writes);
    struct gnt_message *m = message_of(l);
    switch (below(l, 9)) {
    case 0:
    case 1:
        gnt_batch_put(b, gnt_slice_str("t"), gnt_slice_str(key), gnt_slice_str(value), m);
        c->keys[k] = l->writes;
        break;
    case 2:
        gnt_batch_delete(b, gnt_slice_str("t"), gnt_slice_str(key));
        c->keys[k] = 0;
        break;
    case 3:
        gnt_batch_remove(b, gnt_slice_str(name), n);
        c->entries[log][n] = 0;
        break;
    case 4:
        gnt_batch_trim(b, gnt_slice_str(name), n / 2);
        memset(c->entries[log], 0, (n / 2 + 1) * sizeof c->entries[log][0]);
        break;
    case 5:
        if (below(l, 3))
            break;
        gnt_batch_drop(b, gnt_slice_str(name));
        memset(c->entries[log], 0, sizeof c->entries[log]);
        memset(l->used[log], 0, sizeof l->used[log]);
        c->last[log] = 0;
        break;
    default:
        if (l->used[log][n])
            break;
        gnt_batch_append(b, gnt_slice_str(name), n, gnt_slice_str(value), m);
        l->used[log][n] = true;
        c->entries[log][n] = l->writes;
        if (n > c->last[log])
            c->last[log] = n;
    }
}

static void committed(struct gnt_completion *completion, gnt_err result)
{
    struct flight *f = GNT_CONTAINER(completion, struct flight, completion);
    struct life *l = f->life;
    if (l->off || sim_disk_is_cut(l->w.disk))
        return; /* nobody is there to hear it */
    assert_ptr_equal(f, &l->flights[(l->first + l->done) % IN_FLIGHT]);
    assert_int_equal(result, GNT_OK);
    l->seen = f->after;
    l->done++;
    if (l->w.options.sync_interval_ns)
        return;
    l->safe = f->after;
    l->first = (l->first + 1) % IN_FLIGHT;
    l->count--;
    l->done--;
}

static void commit(struct life *l)
{
    struct gnt_batch batch = {0};
    if (l->count == IN_FLIGHT)
        return;
    struct flight *f = &l->flights[(l->first + l->count) % IN_FLIGHT];
    struct contents after = *newest(l);
    for (unsigned left = below(l, 6); left > 0; left--)
        random_write(l, &after, &batch);
    *f = (struct flight){.life = l, .after = after};
    f->completion.done = committed;
    f->completion.deliver = gnt_store_deliver_here;
    l->count++;
    gnt_store_commit(l->w.store, &batch, &f->completion);
}

/* --- what is there --- */

struct reading {
    struct gnt_store_read read;
    struct contents *to;
    unsigned log;
    char cursor[16]; /* the last key */
    uint64_t from;
    bool done;
};

static unsigned number_in(struct gnt_slice text, char kind)
{
    assert_true(text.size > 1 && text.data[0] == kind);
    unsigned n = 0;
    for (size_t i = 1; i < text.size; i++)
        n = n * 10 + (unsigned)(text.data[i] - '0');
    return n;
}

static void record_read(struct gnt_store_read *read, const struct gnt_store_record *record)
{
    struct reading *r = GNT_CONTAINER(read, struct reading, read);
    unsigned write = number_in(record->value, 'v');
    struct gnt_message *m = record->message;
    assert_int_equal(m ? number_in(m->payload, 'm') : 0, message_number(write));
    if (record->key.size) {
        snprintf(r->cursor, sizeof r->cursor, "%.*s", (int)record->key.size, record->key.data);
        r->to->keys[number_in(record->key, 'k')] = write;
        return;
    }
    assert_in_range(record->sequence, 1, NUMBERS);
    r->to->entries[r->log][record->sequence] = write;
    r->from = record->sequence + 1;
}

static void reading_done(struct gnt_completion *c, gnt_err result)
{
    struct gnt_store_read *read = GNT_CONTAINER(c, struct gnt_store_read, completion);
    assert_int_equal(result, GNT_OK);
    GNT_CONTAINER(read, struct reading, read)->done = true;
}

static void reading_begin(struct reading *r)
{
    r->done = false;
    r->read = (struct gnt_store_read){.record = record_read};
    r->read.completion.done = reading_done;
    r->read.completion.deliver = gnt_store_deliver_here;
}

static void read_table(struct life *l, struct contents *to)
{
    struct reading r = {.to = to};
    do {
        char after[16];
        memcpy(after, r.cursor, sizeof after);
        reading_begin(&r);
        gnt_store_scan(l->w.store, gnt_slice_str("t"), gnt_slice(NULL, 0), gnt_slice_str(after),
                       1 + below(l, KEYS), &r.read);
        gnt_durable_turn(l->w.store);
        assert_true(r.done);
    } while (r.read.more);
}

static void read_log(struct life *l, struct contents *to, unsigned log)
{
    struct reading r = {.to = to, .log = log};
    char name[16];
    unsigned count = 0, first = 0;
    text_of(name, "log", log);
    do {
        reading_begin(&r);
        gnt_store_read(l->w.store, gnt_slice_str(name), r.from, 1 + below(l, NUMBERS), &r.read);
        gnt_durable_turn(l->w.store);
        assert_true(r.done);
    } while (r.read.more);
    to->last[log] = (unsigned)r.read.log.last;
    for (unsigned i = NUMBERS; i > 0; i--) {
        count += to->entries[log][i] > 0;
        first = to->entries[log][i] ? i : first;
    }
    reading_begin(&r);
    gnt_store_read(l->w.store, gnt_slice_str(name), 0, 0, &r.read);
    gnt_durable_turn(l->w.store);
    assert_int_equal(r.read.log.count, count);
    assert_int_equal(r.read.log.first, first);
}

static struct contents read_all(struct life *l)
{
    struct contents c = {0};
    read_table(l, &c);
    for (unsigned i = 0; i < LOGS; i++)
        read_log(l, &c, i);
    return c;
}

/* --- lives --- */

/* The power has been cut: what was committed and not completed has happened up to some batch, and
 * then no more. */
static void check_recovered(struct life *l)
{
    struct contents found = read_all(l);
    unsigned happened = 0;
    while (happened <= l->count) {
        const struct contents *may =
            happened ? &l->flights[(l->first + happened - 1) % IN_FLIGHT].after : &l->safe;
        if (memcmp(&found, may, sizeof found) == 0)
            break;
        happened++;
    }
    if (happened > l->count)
        fail_msg("seed %llu: something else was recovered than was committed",
                 (unsigned long long)l->seed);
    l->safe = l->seen = found;
    l->first = l->count = l->done = 0;
    for (unsigned log = 0; log < LOGS; log++) {
        bool ever = false; /* numbers up to the last may have been used */
        for (unsigned i = NUMBERS; i > 0; i--) {
            ever = ever || l->safe.last[log] == i;
            l->used[log][i] = ever;
        }
    }
}

/* What has completed is what is seen, while nothing else is on its way. */
static void look(void *context)
{
    struct life *l = context;
    if (l->count > l->done || l->off)
        return;
    l->looking = true;
    struct contents found = read_all(l);
    l->looking = false;
    assert_memory_equal(&found, &l->seen, sizeof found);
}

/* Now and then the power is cut while it is at it, or just after. */
static void apply(struct life *l)
{
    bool crash = below(l, 10) == 0;
    if (crash)
        sim_ground_crash_at(l->w.soil, 0, below(l, 2));
    if (below(l, 2)) /* as if by another thread */
        sim_ground_during(l->w.soil, look, l);
    bool applied = gnt_durable_apply(l->w.store);
    sim_ground_during(l->w.soil, NULL, NULL);
    if (crash && applied)
        sim_disk_cut(l->w.disk, gnt_seeded_next(&l->g));
    sim_ground_crash_at(l->w.soil, -1, false);
}

/* As if by the other store thread, and by whoever writes. */
static void while_the_disk_works(void *context)
{
    struct life *l = context;
    if (l->looking || below(l, 2))
        return;
    if (below(l, 2))
        commit(l);
    gnt_durable_turn(l->w.store);
}

static void have_it_fail(struct life *l)
{
    if (l->fails)
        sim_disk_fail(l->w.disk, 1 + below(l, 8), 1 + below(l, 3), below(l, 2) ? GNT_IO : GNT_FULL);
}

static void step(struct life *l)
{
    switch (below(l, 10)) {
    case 9: have_it_fail(l); break;
    case 8: look(l); break;
    case 0:
    case 1:
    case 2: commit(l); break;
    case 3:
    case 4:
    case 5: gnt_durable_turn(l->w.store); break;
    case 6: apply(l); break;
    default: store_world_pass(&l->w, below(l, 300) * GNT_NS_PER_MS);
    }
}

/* Recovery is cut as well, now and then. */
static void recover(struct life *l)
{
    for (;;) {
        if (below(l, 3) == 0)
            sim_disk_cut_at(l->w.disk, 1 + below(l, 40), gnt_seeded_next(&l->g));
        if (below(l, 4) == 0)
            sim_ground_crash_at(l->w.soil, below(l, 3), below(l, 2));
        gnt_err err = store_world_open(&l->w);
        if (!err && !sim_disk_is_cut(l->w.disk))
            break;
        store_world_crash(&l->w, gnt_seeded_next(&l->g));
    }
    assert_int_equal(l->w.report.journal.damaged, 0);
    if (!l->fails) /* else what is void may come back without what it builds on */
        assert_int_equal(l->w.report.unreadable, 0);
    sim_ground_crash_at(l->w.soil, -1, false);
    l->off = false;
}

static void live(uint64_t seed)
{
    static struct life life;
    struct life *l = &life;
    *l = (struct life){.seed = seed};
    gnt_seeded_init(&l->g, seed);
    store_world_init(&l->w, seed);
    l->w.options.memory_max = 1 << (9 + below(l, 5));
    l->w.options.journal_max = 1 << (12 + below(l, 4));
    l->w.options.sync_interval_ns = below(l, 3) ? 0 : 200 * GNT_NS_PER_MS;
    l->fails = below(l, 2);
    for (unsigned cut = 0; cut < CUTS; cut++) {
        recover(l);
        check_recovered(l);
        sim_disk_during(l->w.disk, while_the_disk_works, l);
        if (below(l, 2))
            sim_disk_cut_at(l->w.disk, 1 + below(l, 60), gnt_seeded_next(&l->g));
        for (unsigned i = below(l, STEPS); i > 0 && !sim_disk_is_cut(l->w.disk); i--)
            step(l);
        sim_disk_during(l->w.disk, NULL, NULL);
        l->off = true;
        store_world_crash(&l->w, gnt_seeded_next(&l->g));
    }
    recover(l);
    check_recovered(l);
    store_world_work(&l->w);
    store_world_fini(&l->w);
    gnt_message_unref(&l->message);
}

static void what_was_completed_is_there(void **state)
{
    (void)state;
    const char *given = getenv("GNATTER_SEED"), *seeds = getenv("GNATTER_SEEDS");
    uint64_t first = given ? strtoull(given, NULL, 0) : 1;
    uint64_t count = seeds ? strtoull(seeds, NULL, 0) : given ? 1 : SEEDS;
    for (uint64_t seed = first; seed < first + count; seed++) {
        live(seed);
        if (seed % 10000 == 0)
            print_message("%llu lives\n", (unsigned long long)seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_completed_is_there)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
