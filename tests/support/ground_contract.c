#include "support/unit.h"

#include "support/ground_contract.h"

#include "base/list.h"
#include "support/alloc_fault.h"

#include <stdio.h>
#include <stdlib.h>

static const struct ground_under_test *under_test;

/* --- a machine --- */

static uint64_t clock_ns = 1000 * GNT_NS_PER_S, clock_wall = 1700000000000;

static uint64_t now_ns(void *self)
{
    (void)self;
    return clock_ns;
}

static uint64_t wall_ms(void *self)
{
    (void)self;
    return clock_wall;
}

static const struct gnt_clock machine = {now_ns, wall_ms, NULL};
static struct gnt_store_time store_time;

static struct gnt_ground *open_ground(void)
{
    struct gnt_ground *g = NULL;
    struct gnt_ground_mark mark;
    assert_int_equal(under_test->open(&store_time, &g), GNT_OK);
    g->ops->mark(g, &mark);
    gnt_store_time_init(&store_time, &machine, mark.skew_ms, mark.at_ms);
    return g;
}

static struct gnt_ground *empty_ground(void)
{
    under_test->wipe();
    return open_ground();
}

static struct gnt_message *message(const char *topic, size_t payload_size, uint64_t expires)
{
    static const uint8_t zeros[70000];
    struct gnt_message *m = NULL;
    const struct gnt_message_init init = {.topic = gnt_slice_str(topic),
                                          .payload = gnt_slice(zeros, payload_size),
                                          .qos = 1,
                                          .expires = expires};
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

/* --- twins --- */

void ground_do(struct gnt_memtable *t, struct gnt_batch *batch)
{
    struct gnt_prepared p;
    assert_int_equal(batch->err, GNT_OK);
    assert_int_equal(gnt_memtable_prepare(t, batch, &p), GNT_OK);
    gnt_memtable_done(t, &p);
    gnt_batch_fini(batch);
}

void ground_twin_init(struct ground_twin *t)
{
    gnt_memtable_init(&t->above, true);
    gnt_memtable_init(&t->model, false);
    t->number = 0;
}

void ground_twin_fini(struct ground_twin *t)
{
    gnt_memtable_fini(&t->above);
    gnt_memtable_fini(&t->model);
}

static const char *const tables[] = {"a", "sessions", "b"};
static const char *const logs[] = {"queue/1", "queue/2", "q", "another log"};

static uint64_t last_of(const struct gnt_memtable *t, struct gnt_slice log)
{
    const struct gnt_memtable_log *found = gnt_memtable_log(t, log);
    return found ? found->last : 0;
}

/* How often each verb comes: put, delete, append, remove, trim, drop. */
static const char odds[] =
    "pppppppppppppppppppppppppppppppppppppppp"
    "dddddddddddddddddddd"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "rrrrrrrrrrrrrrrrttttttttx";

/* LAST: the highest number of each log, with what the batch at hand has appended. */
static void write_one(struct gnt_batch *b, struct gnt_seeded *random, struct gnt_message *shared,
                      uint64_t last[COUNT_OF(logs)])
{
    const struct gnt_random *r = &random->door;
    char key[16];
    uint8_t value[300] = {0};
    snprintf(key, sizeof key, "%x", (unsigned)gnt_random_below(r, 200));
    struct gnt_slice k = gnt_slice_str(key), v = gnt_slice(value, gnt_random_below(r, 300));
    if (v.size)
        value[0] = (uint8_t)gnt_random_u64(r);
    struct gnt_slice table = gnt_slice_str(tables[gnt_random_below(r, COUNT_OF(tables))]);
    size_t l = gnt_random_below(r, COUNT_OF(logs));
    struct gnt_slice log = gnt_slice_str(logs[l]);
    struct gnt_message *own = NULL, *m = NULL;
    if (gnt_random_below(r, 3) == 0)
        m = own = message(key, gnt_random_below(r, 40) ? 10 : 70000, GNT_NEVER);
    else if (gnt_random_below(r, 2))
        m = shared;
    switch (odds[gnt_random_below(r, sizeof odds - 1)]) {
    case 'p': gnt_batch_put(b, table, k, v, m); break;
    case 'd': gnt_batch_delete(b, table, k); break;
    case 'a':
        last[l] += 1 + gnt_random_below(r, 3);
        gnt_batch_append(b, log, last[l], v, m);
        break;
    case 'r': gnt_batch_remove(b, log, 1 + gnt_random_below(r, last[l] + 1)); break;
    case 't': gnt_batch_trim(b, log, gnt_random_below(r, last[l] + 1)); break;
    default:
        gnt_batch_drop(b, log);
        last[l] = 0;
        break;
    }
    gnt_message_unref(&own);
}

void ground_twin_write(struct ground_twin *t, struct gnt_seeded *random, unsigned count)
{
    uint64_t last[COUNT_OF(logs)];
    uint64_t seed = random->state;
    for (size_t i = 0; i < COUNT_OF(logs); i++)
        last[i] = last_of(&t->model, gnt_slice_str(logs[i]));
    struct gnt_message *shared = message("shared", 100, GNT_NEVER);
    struct gnt_memtable *both[] = {&t->above, &t->model};
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct gnt_batch batch = {0};
        uint64_t own_last[COUNT_OF(logs)];
        memcpy(own_last, last, sizeof last);
        random->state = seed;
        for (unsigned k = 0; k < count; k++)
            write_one(&batch, random, shared, own_last);
        ground_do(both[i], &batch);
    }
    gnt_message_unref(&shared);
}

gnt_err ground_twin_apply(struct ground_twin *t, struct gnt_ground *g)
{
    const struct gnt_ground_mark mark = {.applied = t->number + 1,
                                         .skew_ms = -(int64_t)t->number,
                                         .at_ms = clock_wall};
    gnt_err err = g->ops->apply(g, &t->above, &mark);
    if (err)
        return err;
    t->number++;
    gnt_memtable_fini(&t->above);
    gnt_memtable_init(&t->above, true);
    return GNT_OK;
}

static void compare_records(const struct gnt_record *expected, const struct gnt_record *found)
{
    const struct gnt_store_record *e = &expected->record, *f = &found->record;
    assert_true(gnt_slice_eq(e->key, f->key));
    assert_int_equal(e->sequence, f->sequence);
    assert_true(gnt_slice_eq(e->value, f->value));
    assert_int_equal(e->message != NULL, f->message != NULL);
    if (!e->message)
        return;
    assert_true(gnt_slice_eq(e->message->topic, f->message->topic));
    assert_true(gnt_slice_eq(e->message->payload, f->message->payload));
}

static void compare_table(struct ground_twin *t, struct gnt_ground *g, struct gnt_slice table)
{
    enum { SLICE = 7 };
    struct gnt_record *out[SLICE] = {NULL};
    struct gnt_slice none = {NULL, 0}, after = none;
    uint8_t cursor[GNT_STORE_KEY_MAX];
    uint32_t count;
    do {
        assert_int_equal(g->ops->scan(g, table, none, after, SLICE, out, &count), GNT_OK);
        for (uint32_t i = 0; i < count; i++) {
            struct gnt_record *expected = gnt_memtable_after(&t->model, table, none, after);
            assert_non_null(expected);
            compare_records(expected, out[i]);
            struct gnt_record *got = NULL;
            assert_int_equal(g->ops->get(g, table, out[i]->record.key, &got), GNT_OK);
            assert_non_null(got);
            compare_records(expected, got);
            gnt_record_unref(&got);
            after = gnt_slice(cursor, out[i]->record.key.size);
            memcpy(cursor, out[i]->record.key.data, after.size);
            gnt_record_unref(&out[i]);
        }
    } while (count == SLICE);
    assert_null(gnt_memtable_after(&t->model, table, none, after));
}

static void compare_log(struct ground_twin *t, struct gnt_ground *g, struct gnt_slice name)
{
    enum { SLICE = 9 };
    const struct gnt_memtable_log *log = gnt_memtable_log(&t->model, name);
    struct gnt_record *out[SLICE] = {NULL};
    struct gnt_ground_log found;
    uint64_t from = 0;
    uint32_t count, at = log ? log->first : 0;
    assert_int_equal(g->ops->log(g, name, &found), GNT_OK);
    assert_int_equal(found.last, log ? log->last : 0);
    assert_int_equal(found.count, log ? log->count : 0);
    do {
        assert_int_equal(g->ops->read(g, name, from, SLICE, out, &count), GNT_OK);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(log && at < log->first + log->count);
            compare_records(log->entries[at++].record, out[i]);
            from = out[i]->record.sequence + 1;
            gnt_record_unref(&out[i]);
        }
    } while (count == SLICE);
    assert_true(!log || at == log->first + log->count);
}

void ground_twin_compare(struct ground_twin *t, struct gnt_ground *g)
{
    struct gnt_ground_mark mark;
    g->ops->mark(g, &mark);
    assert_int_equal(mark.applied, t->number);
    assert_int_equal(mark.skew_ms, t->number ? -(int64_t)(t->number - 1) : 0);
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        compare_table(t, g, gnt_slice_str(tables[i]));
    for (size_t i = 0; i < COUNT_OF(logs); i++)
        compare_log(t, g, gnt_slice_str(logs[i]));
    assert_int_equal(g->ops->damaged(g), 0);
}

/* --- the tests --- */

static void apply(struct gnt_ground *g, struct gnt_batch *batch)
{
    struct gnt_memtable t;
    gnt_memtable_init(&t, true);
    ground_do(&t, batch);
    assert_int_equal(g->ops->apply(g, &t, &(struct gnt_ground_mark){.applied = 1}), GNT_OK);
    gnt_memtable_fini(&t);
}

static void test_an_empty_ground(void **state)
{
    (void)state;
    struct gnt_ground *g = empty_ground();
    struct gnt_ground_mark mark = {1, 1, 1};
    struct gnt_ground_log log = {1, 1};
    struct gnt_record *r = NULL;
    uint32_t count = 1;
    g->ops->mark(g, &mark);
    assert_true(mark.applied == 0 && mark.skew_ms == 0 && mark.at_ms == 0);
    assert_int_equal(g->ops->get(g, LITERAL("t"), LITERAL("k"), &r), GNT_OK);
    assert_null(r);
    assert_int_equal(g->ops->scan(g, LITERAL("t"), LITERAL(""), LITERAL(""), 1, &r, &count),
                     GNT_OK);
    assert_int_equal(count, 0);
    assert_int_equal(g->ops->read(g, LITERAL("l"), 0, 1, &r, &count), GNT_OK);
    assert_int_equal(count, 0);
    assert_int_equal(g->ops->log(g, LITERAL("l"), &log), GNT_OK);
    assert_true(log.last == 0 && log.count == 0);
    g->ops->close(g);
}

static void test_limits_of_keys(void **state)
{
    (void)state;
    struct gnt_ground *g = empty_ground();
    uint8_t bytes[GNT_STORE_KEY_MAX];
    memset(bytes, 0xff, sizeof bytes);
    struct gnt_slice name = gnt_slice(bytes, GNT_STORE_NAME_MAX),
                     key = gnt_slice(bytes, GNT_STORE_KEY_MAX);
    uint8_t *value = calloc(1, GNT_STORE_VALUE_MAX);
    assert_non_null(value);
    struct gnt_batch b = {0};
    gnt_batch_put(&b, name, key, gnt_slice(value, GNT_STORE_VALUE_MAX), NULL);
    gnt_batch_append(&b, name, UINT64_MAX, LITERAL("v"), NULL);
    apply(g, &b);
    struct gnt_record *r = NULL;
    assert_int_equal(g->ops->get(g, name, key, &r), GNT_OK);
    assert_non_null(r);
    assert_int_equal(r->record.value.size, GNT_STORE_VALUE_MAX);
    gnt_record_unref(&r);
    uint32_t count;
    assert_int_equal(g->ops->read(g, name, UINT64_MAX, 1, &r, &count), GNT_OK);
    assert_int_equal(count, 1);
    assert_true(r->record.sequence == UINT64_MAX);
    gnt_record_unref(&r);
    free(value);
    g->ops->close(g);
}

static void check_scan(struct gnt_ground *g, const char *prefix, const char *after,
                       const char *expected)
{
    struct gnt_record *out[16] = {NULL};
    char found[64] = "";
    uint32_t count;
    assert_int_equal(g->ops->scan(g, LITERAL("t"), gnt_slice_str(prefix), gnt_slice_str(after),
                                  COUNT_OF(out), out, &count),
                     GNT_OK);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(found + strlen(found), sizeof found - strlen(found), "%.*s ",
                 (int)out[i]->record.key.size, (const char *)out[i]->record.key.data);
        gnt_record_unref(&out[i]);
    }
    assert_string_equal(found, expected);
}

static void test_prefix_and_cursor(void **state)
{
    (void)state;
    struct gnt_ground *g = empty_ground();
    struct gnt_batch b = {0};
    static const char *const keys[] = {"a", "aa", "ab", "abc", "b", "ba", "c"};
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        gnt_batch_put(&b, LITERAL("t"), gnt_slice_str(keys[i]), LITERAL("v"), NULL);
    gnt_batch_put(&b, LITERAL("s"), LITERAL("az"), LITERAL("v"), NULL);
    gnt_batch_put(&b, LITERAL("u"), LITERAL("a"), LITERAL("v"), NULL);
    apply(g, &b);
    check_scan(g, "", "", "a aa ab abc b ba c ");
    check_scan(g, "a", "", "a aa ab abc ");
    check_scan(g, "a", "a", "aa ab abc ");
    check_scan(g, "a", "ab", "abc ");
    check_scan(g, "a", "aab", "ab abc ");
    check_scan(g, "a", "abc", "");
    check_scan(g, "a", "b", "");
    check_scan(g, "b", "a", "b ba ");
    check_scan(g, "", "c", "");
    check_scan(g, "bb", "", "");
    g->ops->close(g);
}

/* One payload, four records in two tables and two logs: it is there for the last of them. */
static void test_a_shared_payload(void **state)
{
    (void)state;
    struct gnt_ground *g = empty_ground();
    struct gnt_batch b = {0};
    struct gnt_message *m = message("site/a", 5000, GNT_NEVER);
    gnt_batch_put(&b, LITERAL("t"), LITERAL("1"), LITERAL(""), m);
    gnt_batch_put(&b, LITERAL("t"), LITERAL("2"), LITERAL(""), m);
    gnt_batch_append(&b, LITERAL("l"), 1, LITERAL(""), m);
    gnt_batch_append(&b, LITERAL("k"), 1, LITERAL("x"), m);
    apply(g, &b);
    gnt_message_unref(&m);
    gnt_batch_delete(&b, LITERAL("t"), LITERAL("1"));
    apply(g, &b);
    gnt_batch_put(&b, LITERAL("t"), LITERAL("2"), LITERAL("another"), NULL);
    gnt_batch_trim(&b, LITERAL("l"), 1);
    apply(g, &b);
    struct gnt_record *r = NULL;
    uint32_t count;
    assert_int_equal(g->ops->read(g, LITERAL("k"), 0, 1, &r, &count), GNT_OK);
    assert_int_equal(count, 1);
    assert_slice(r->record.message->topic, "site/a");
    assert_int_equal(r->record.message->payload.size, 5000);
    gnt_record_unref(&r);
    gnt_batch_remove(&b, LITERAL("k"), 1);
    apply(g, &b);
    assert_int_equal(g->ops->damaged(g), 0);
    g->ops->close(g);
}

/* What is applied again, as after a failure that was none, changes nothing. */
static void test_an_apply_may_be_repeated(void **state)
{
    (void)state;
    struct gnt_ground *g = empty_ground();
    struct ground_twin twin;
    struct gnt_seeded random;
    gnt_seeded_init(&random, 99);
    ground_twin_init(&twin);
    for (int i = 0; i < 30; i++) {
        const struct gnt_ground_mark mark = {.applied = 7};
        ground_twin_write(&twin, &random, 100);
        assert_int_equal(g->ops->apply(g, &twin.above, &mark), GNT_OK);
        assert_int_equal(ground_twin_apply(&twin, g), GNT_OK);
        ground_twin_compare(&twin, g);
    }
    ground_twin_fini(&twin);
    g->ops->close(g);
}

static void test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct gnt_ground *g = empty_ground();
        struct ground_twin twin;
        struct gnt_seeded random;
        gnt_seeded_init(&random, seed);
        ground_twin_init(&twin);
        for (int i = 0; i < 40; i++) {
            unsigned batches = (unsigned)gnt_random_below(&random.door, 5);
            while (batches--)
                ground_twin_write(&twin, &random, 1 + (unsigned)gnt_random_below(&random.door, 60));
            assert_int_equal(ground_twin_apply(&twin, g), GNT_OK);
            if (gnt_random_below(&random.door, 5) == 0) {
                g->ops->close(g);
                g = open_ground();
            }
            ground_twin_compare(&twin, g);
        }
        ground_twin_fini(&twin);
        g->ops->close(g);
    }
}

/* A message that expires in a minute, a restart that takes 20 s, other clocks. */
static void test_expiry_survives(void **state)
{
    (void)state;
    struct gnt_ground *g = empty_ground();
    struct gnt_memtable t;
    struct gnt_batch b = {0};
    struct gnt_message *m = message("t", 1, clock_ns + 60 * GNT_NS_PER_S);
    gnt_memtable_init(&t, true);
    gnt_batch_append(&b, LITERAL("l"), 1, LITERAL(""), m);
    gnt_message_unref(&m);
    ground_do(&t, &b);
    clock_wall += 5000000; /* the wall clock is set */
    const struct gnt_ground_mark mark = {1, gnt_store_time_skew(&store_time),
                                         gnt_store_time_ms(&store_time)};
    assert_int_equal(g->ops->apply(g, &t, &mark), GNT_OK);
    gnt_memtable_fini(&t);
    g->ops->close(g);
    clock_ns = 5 * GNT_NS_PER_S;
    clock_wall += 20000;
    g = open_ground();
    struct gnt_record *r = NULL;
    uint32_t count;
    assert_int_equal(g->ops->read(g, LITERAL("l"), 0, 1, &r, &count), GNT_OK);
    assert_int_equal(count, 1);
    assert_int_equal(r->record.message->expires, 45 * GNT_NS_PER_S);
    gnt_record_unref(&r);
    g->ops->close(g);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    struct gnt_ground *g = empty_ground();
    struct ground_twin twin;
    struct gnt_seeded random;
    gnt_seeded_init(&random, 5);
    ground_twin_init(&twin);
    for (int i = 0; i < 3; i++) {
        struct gnt_ground_mark before, mark;
        gnt_err err = GNT_NOMEM;
        ground_twin_write(&twin, &random, 60);
        for (long n = 0; err; n++) {
            g->ops->mark(g, &before);
            gnt_alloc_fail_at(n);
            err = ground_twin_apply(&twin, g);
            gnt_alloc_fail_at(-1);
            g->ops->mark(g, &mark);
            assert_true(!err || (err == GNT_NOMEM && mark.applied == before.applied));
        }
        ground_twin_compare(&twin, g);
    }
    struct gnt_record *out[64] = {NULL};
    uint32_t count = 0;
    gnt_err err = GNT_NOMEM;
    for (long n = 0; err; n++) {
        gnt_alloc_fail_at(n);
        err = g->ops->read(g, gnt_slice_str(logs[0]), 0, COUNT_OF(out), out, &count);
        gnt_alloc_fail_at(-1);
        assert_true(!err || (err == GNT_NOMEM && count == 0));
    }
    while (count)
        gnt_record_unref(&out[--count]);
    assert_int_equal(g->ops->damaged(g), 0);
    ground_twin_fini(&twin);
    g->ops->close(g);
}

/* --- beyond the contract --- */

static uint64_t one(void *self)
{
    (void)self;
    return 1;
}

int ground_fixture_init(struct ground_fixture *f, const struct ground_under_test *ground)
{
    static const struct gnt_clock still = {one, one, NULL};
    ground->wipe();
    gnt_store_time_init(&f->time, &still, 0, 0);
    gnt_seeded_init(&f->random, 1);
    ground_twin_init(&f->twin);
    return ground->open(&f->time, &f->ground);
}

void ground_fixture_close(struct ground_fixture *f)
{
    if (f->ground)
        f->ground->ops->close(f->ground);
    f->ground = NULL;
}

void ground_fixture_fini(struct ground_fixture *f)
{
    ground_twin_fini(&f->twin);
    ground_fixture_close(f);
}

void ground_fixture_fill(struct ground_fixture *f, int count)
{
    for (int i = 0; i < count; i++) {
        ground_twin_write(&f->twin, &f->random, 200);
        assert_int_equal(ground_twin_apply(&f->twin, f->ground), GNT_OK);
    }
}

int ground_contract(const struct ground_under_test *ground)
{
    under_test = ground;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_ground),
        cmocka_unit_test(test_limits_of_keys),
        cmocka_unit_test(test_prefix_and_cursor),
        cmocka_unit_test(test_a_shared_payload),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_an_apply_may_be_repeated),
        cmocka_unit_test(test_expiry_survives),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests_name(ground->name, tests, NULL, NULL);
}
