#include "store/memtable.h"

#include "base/random.h"
#include "support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct gnt_slice str(const char *text)
{
    return gnt_slice_str(text);
}

static struct gnt_message *message(void)
{
    struct gnt_message_init init = {.topic = str("t"), .payload = str("p"), .expires = GNT_NEVER};
    struct gnt_message *m = NULL;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

/* Does BATCH, and empties it. */
static void apply(struct gnt_memtable *t, struct gnt_batch *batch)
{
    struct gnt_prepared prepared;
    assert_int_equal(gnt_memtable_prepare(t, batch, &prepared), GNT_OK);
    gnt_memtable_done(t, &prepared);
    assert_null(prepared.writes);
    gnt_batch_fini(batch);
}

/* --- what is in it, as text: "t:k=v t:-k" for tables, "l:7=v l:-8" for logs --- */

struct text {
    char *at;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at, t->size, format, args);
    va_end(args);
    assert_in_range(n, 0, t->size - 1);
    t->at += n;
    t->size -= (size_t)n;
}

static void say_table(struct text *out, const struct gnt_memtable *t, const char *name)
{
    struct gnt_record *r = gnt_memtable_after(t, str(name), str(""), str(""));
    for (; r; r = gnt_memtable_after(t, str(name), str(""), r->record.key)) {
        assert_ptr_equal(gnt_memtable_get(t, str(name), r->record.key), r);
        say(out, "%s%.*s", r->mark ? "-" : "", (int)r->record.key.size, r->record.key.data);
        say(out, "=%.*s ", (int)r->record.value.size, r->record.value.data);
    }
}

static void say_log(struct text *out, const struct gnt_memtable *t, const char *name)
{
    const struct gnt_memtable_log *log = gnt_memtable_log(t, str(name));
    if (!log)
        return;
    say(out, "%s%llu/%llu: ", log->dropped ? "dropped " : "", (unsigned long long)log->trimmed,
        (unsigned long long)log->last);
    uint32_t live = 0;
    for (uint32_t i = log->first; i < log->first + log->count; i++) {
        const struct gnt_record *r = log->entries[i].record;
        assert_true(i == log->first || r->record.sequence > log->entries[i - 1].sequence);
        assert_int_equal(gnt_memtable_from(log, r->record.sequence), i);
        assert_int_equal(log->entries[i].sequence, r->record.sequence);
        live += !r->mark;
        say(out, "%s%llu ", r->mark ? "-" : "", (unsigned long long)r->record.sequence);
    }
    assert_int_equal(live, log->live);
}

static const char *contents(const struct gnt_memtable *t)
{
    static char buffer[1 << 16];
    struct text out = {buffer, sizeof buffer};
    buffer[0] = '\0';
    say_table(&out, t, "t");
    say_log(&out, t, "l");
    return buffer;
}

/* --- marks --- */

static void only_what_may_lie_below_is_marked(void **state)
{
    (void)state;
    struct gnt_memtable t;
    struct gnt_batch b = {0};
    gnt_memtable_init(&t, true);
    gnt_batch_put(&b, str("t"), str("a"), str("1"), NULL);
    gnt_batch_delete(&b, str("t"), str("a"));
    gnt_batch_delete(&b, str("t"), str("b"));
    gnt_batch_put(&b, str("t"), str("b"), str("2"), NULL);
    apply(&t, &b);
    assert_string_equal(contents(&t), "-a= b=2 ");
    for (uint64_t i = 10; i < 14; i++)
        gnt_batch_append(&b, str("l"), i, str(""), NULL);
    gnt_batch_remove(&b, str("l"), 12); /* was appended here */
    gnt_batch_remove(&b, str("l"), 7);
    gnt_batch_remove(&b, str("l"), 7);
    apply(&t, &b);
    gnt_batch_remove(&b, str("l"), 11);
    gnt_batch_remove(&b, str("l"), 8);
    apply(&t, &b);
    assert_string_equal(contents(&t), "-a= b=2 0/13: -7 -8 10 13 ");
    gnt_memtable_fini(&t);
    gnt_memtable_init(&t, true);
    gnt_batch_trim(&b, str("l"), 7);
    gnt_batch_remove(&b, str("l"), 6); /* trimmed anyway */
    gnt_batch_append(&b, str("l"), 5, str(""), NULL);
    gnt_batch_remove(&b, str("l"), 9);
    apply(&t, &b);
    assert_string_equal(contents(&t), "7/5: 5 -9 ");
    gnt_batch_trim(&b, str("l"), 3);
    apply(&t, &b);
    assert_string_equal(contents(&t), "7/5: 5 -9 ");
    gnt_batch_drop(&b, str("l"));
    gnt_batch_remove(&b, str("l"), 20); /* dropped anyway */
    gnt_batch_append(&b, str("l"), 1, str(""), NULL);
    gnt_batch_append(&b, str("l"), 2, str(""), NULL);
    gnt_batch_trim(&b, str("l"), 1);
    apply(&t, &b);
    assert_string_equal(contents(&t), "dropped 0/2: 2 ");
    gnt_memtable_fini(&t);
}

static void the_only_layer_has_no_marks(void **state)
{
    (void)state;
    struct gnt_memtable t;
    struct gnt_batch b = {0};
    gnt_memtable_init(&t, false);
    gnt_batch_delete(&b, str("t"), str("k"));
    gnt_batch_remove(&b, str("l"), 7);
    gnt_batch_trim(&b, str("l"), 7);
    gnt_batch_drop(&b, str("l"));
    apply(&t, &b);
    assert_int_equal(t.bytes, 0);
    gnt_batch_put(&b, str("t"), str("k"), str("v"), NULL);
    gnt_batch_append(&b, str("l"), 7, str("v"), NULL);
    apply(&t, &b);
    assert_string_equal(contents(&t), "k=v 0/7: 7 ");
    gnt_batch_delete(&b, str("t"), str("k"));
    gnt_batch_trim(&b, str("l"), 7);
    apply(&t, &b);
    assert_string_equal(contents(&t), "0/7: ");
    gnt_batch_drop(&b, str("l"));
    apply(&t, &b);
    assert_int_equal(t.bytes, 0);
    assert_int_equal(t.tables.count + t.logs.count, 0);
    gnt_memtable_fini(&t);
}

/* --- payloads --- */

static void a_message_is_one_payload(void **state)
{
    (void)state;
    struct gnt_memtable t;
    struct gnt_batch first = {0}, second = {0}, third = {0};
    struct gnt_prepared one, two, three;
    struct gnt_message *m = message(), *n = message();
    gnt_memtable_init(&t, true);
    gnt_batch_append(&first, str("a"), 1, str(""), m);
    gnt_batch_put(&first, str("t"), str("k"), str(""), m);
    gnt_batch_append(&second, str("b"), 1, str(""), m);
    gnt_batch_append(&third, str("b"), 2, str(""), n);
    assert_int_equal(gnt_memtable_prepare(&t, &first, &one), GNT_OK);
    assert_int_equal(gnt_memtable_prepare(&t, &second, &two), GNT_OK);
    assert_int_equal(gnt_memtable_prepare(&t, &third, &three), GNT_OK);
    struct gnt_payload *payload = one.writes[0].payload;
    assert_ptr_equal(payload, one.writes[1].payload);
    assert_ptr_equal(payload, two.writes[0].payload);
    assert_int_equal(payload->number, 1);
    assert_int_equal(three.writes[0].payload->number, 2);
    assert_int_equal(payload->refs, 3);
    gnt_memtable_drop(&t, &one);
    assert_int_equal(payload->refs, 1);
    gnt_memtable_done(&t, &two);
    gnt_memtable_done(&t, &three);
    gnt_batch_fini(&first);
    gnt_batch_fini(&second);
    gnt_batch_fini(&third);
    assert_null(gnt_memtable_log(&t, str("a")));
    gnt_batch_remove(&first, str("b"), 1);
    apply(&t, &first);
    assert_int_equal(t.payloads.count, 1);
    assert_int_equal(m->refs, 1);
    gnt_batch_append(&first, str("b"), 3, str(""), m);
    apply(&t, &first);
    const struct gnt_memtable_log *b = gnt_memtable_log(&t, str("b"));
    assert_int_equal(b->entries[b->first + 1].record->payload->number,
                     3); /* no number comes twice */
    gnt_memtable_fini(&t);
    assert_int_equal(m->refs + n->refs, 2);
    gnt_message_unref(&m);
    gnt_message_unref(&n);
}

static void a_record_outlives_its_memtable(void **state)
{
    (void)state;
    struct gnt_memtable t;
    struct gnt_batch b = {0};
    struct gnt_message *m = message();
    gnt_memtable_init(&t, false);
    gnt_batch_put(&b, str("t"), str("k"), str("v"), m);
    apply(&t, &b);
    struct gnt_record *r = gnt_record_ref(gnt_memtable_get(&t, str("t"), str("k")));
    gnt_memtable_fini(&t);
    assert_int_equal(m->refs, 2);
    assert_memory_equal(r->record.key.data, "k", 1);
    assert_memory_equal(r->record.value.data, "v", 1);
    gnt_record_unref(&r);
    assert_null(r);
    assert_int_equal(m->refs, 1);
    gnt_message_unref(&m);
}

/* --- layers: what is in the upper one, put into the lower one, gives what one alone has --- */

static void pour_log(const struct gnt_memtable_log *log, struct gnt_batch *b)
{
    struct gnt_slice name = gnt_slice(log->name, log->name_size);
    if (log->dropped)
        gnt_batch_drop(b, name);
    if (log->trimmed)
        gnt_batch_trim(b, name, log->trimmed);
    if (log->last) { /* it outlives its entry */
        gnt_batch_append(b, name, log->last, str(""), NULL);
        gnt_batch_remove(b, name, log->last);
    }
    for (uint32_t i = log->first; i < log->first + log->count; i++) {
        const struct gnt_store_record *r = &log->entries[i].record->record;
        if (log->entries[i].record->mark)
            gnt_batch_remove(b, name, r->sequence);
        else
            gnt_batch_append(b, name, r->sequence, r->value, r->message);
    }
}

static void pour(struct gnt_memtable *from, struct gnt_memtable *to)
{
    struct gnt_batch b = {0};
    struct gnt_record *r = gnt_memtable_after(from, str("t"), str(""), str(""));
    for (; r; r = gnt_memtable_after(from, str("t"), str(""), r->record.key)) {
        if (r->mark)
            gnt_batch_delete(&b, str("t"), r->record.key);
        else
            gnt_batch_put(&b, str("t"), r->record.key, r->record.value, r->record.message);
    }
    struct gnt_map_cursor logs = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&from->logs, &logs));)
        pour_log(GNT_CONTAINER(node, struct gnt_memtable_log, by_name), &b);
    apply(to, &b);
    gnt_memtable_fini(from);
    gnt_memtable_init(from, true);
}

enum { NUMBERS = 200, MESSAGES = 3 };

struct life {
    struct gnt_seeded random;
    struct gnt_message *messages[MESSAGES];
    bool used[NUMBERS + 1]; /* a number of the log "l" */
};

static void random_write(struct life *l, struct gnt_batch *b)
{
    uint64_t r = gnt_seeded_next(&l->random), at = 1 + (r >> 16) % NUMBERS;
    char key[8], value[8];
    snprintf(key, sizeof key, "k%02u", (unsigned)(r >> 8) % 30);
    snprintf(value, sizeof value, "%u", (unsigned)(r >> 40) % 1000);
    struct gnt_message *m = (r >> 50) % 2 ? l->messages[(r >> 51) % MESSAGES] : NULL;
    switch (r % 8) {
    case 0: gnt_batch_put(b, str("t"), str(key), str(value), m); return;
    case 1: gnt_batch_delete(b, str("t"), str(key)); return;
    case 2:
    case 3: gnt_batch_remove(b, str("l"), at); return;
    case 4:
        if ((r >> 32) % 8 == 0)
            gnt_batch_trim(b, str("l"), at / 2);
        return;
    default:
        if (!l->used[at])
            gnt_batch_append(b, str("l"), at, str(value), m);
        l->used[at] = true;
        if ((r >> 32) % 100 == 0) {
            gnt_batch_drop(b, str("l"));
            memset(l->used, 0, sizeof l->used);
        }
    }
}

static void layers_are_as_one(void **state)
{
    (void)state;
    const char *given = getenv("GNATTER_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 815;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct life l = {0};
    gnt_seeded_init(&l.random, seed);
    for (size_t i = 0; i < MESSAGES; i++)
        l.messages[i] = message();
    struct gnt_memtable one, lower, upper;
    gnt_memtable_init(&one, false);
    gnt_memtable_init(&lower, false);
    gnt_memtable_init(&upper, true);
    for (unsigned step = 0; step < 20000; step++) {
        struct gnt_batch b = {0};
        struct gnt_prepared a, dropped, again;
        for (uint64_t left = gnt_seeded_next(&l.random) % 6; left > 0; left--)
            random_write(&l, &b);
        assert_int_equal(gnt_memtable_prepare(&one, &b, &a), GNT_OK);
        gnt_memtable_done(&one, &a);
        /* one that fails on the way changes nothing */
        assert_int_equal(gnt_memtable_prepare(&upper, &b, &dropped), GNT_OK);
        assert_int_equal(gnt_memtable_prepare(&upper, &b, &again), GNT_OK);
        gnt_memtable_drop(&upper, &dropped);
        gnt_memtable_done(&upper, &again);
        gnt_batch_fini(&b);
        if (gnt_seeded_next(&l.random) % 30)
            continue;
        pour(&upper, &lower);
        char *want = strdup(contents(&one));
        assert_string_equal(contents(&lower), want);
        free(want);
    }
    gnt_memtable_fini(&one);
    gnt_memtable_fini(&lower);
    gnt_memtable_fini(&upper);
    for (size_t i = 0; i < MESSAGES; i++) {
        assert_int_equal(l.messages[i]->refs, 1);
        gnt_message_unref(&l.messages[i]);
    }
}

/* A long log: filled, emptied from the front, and from the middle; it gives its memory back. */
static void a_long_log(void **state)
{
    (void)state;
    enum { LONG = 20000 };
    struct gnt_memtable t;
    gnt_memtable_init(&t, false);
    size_t most = 0;
    for (uint64_t i = 1; i <= 5 * LONG; i++) {
        struct gnt_batch b = {0};
        gnt_batch_append(&b, str("l"), i, str(""), NULL);
        if (i > LONG) /* it stays as long as it is, one in 16 is taken a little out of order */
            gnt_batch_remove(&b, str("l"), (i - LONG) ^ (i / 16 % 2));
        apply(&t, &b);
        if (i == LONG)
            most = t.bytes;
    }
    const struct gnt_memtable_log *log = gnt_memtable_log(&t, str("l"));
    assert_int_equal(log->count, LONG);
    assert_in_range(t.bytes, 0, most + most / 4);
    for (uint64_t i = 5 * LONG; i > 4 * LONG + 3; i--) {
        struct gnt_batch b = {0};
        gnt_batch_remove(&b, str("l"), i);
        apply(&t, &b);
    }
    assert_int_equal(log->count, 3);
    assert_in_range(log->cap, 3, 64);
    gnt_memtable_fini(&t);
}

/* --- no memory --- */

static bool prepare_with_failure(long n, bool layered, struct gnt_message *m)
{
    struct gnt_memtable t;
    struct gnt_batch b = {0};
    struct gnt_prepared prepared;
    gnt_memtable_init(&t, layered);
    gnt_batch_put(&b, str("t"), str("old"), str("1"), NULL);
    gnt_batch_append(&b, str("l"), 4, str(""), NULL);
    apply(&t, &b);
    char *before = strdup(contents(&t));
    gnt_batch_put(&b, str("t"), str("k"), str("v"), m);
    gnt_batch_delete(&b, str("t"), str("old"));
    gnt_batch_delete(&b, str("u"), str("k"));
    for (uint64_t i = 5; i < 12; i++)
        gnt_batch_append(&b, str("l"), i, str("v"), m);
    gnt_batch_remove(&b, str("l"), 2);
    gnt_batch_remove(&b, str("m"), 2);
    gnt_batch_append(&b, str("n"), 2, str(""), NULL);
    gnt_batch_drop(&b, str("o"));
    gnt_alloc_fail_at(n);
    gnt_err err = gnt_memtable_prepare(&t, &b, &prepared);
    bool failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    if (failed && err) {
        assert_int_equal(err, GNT_NOMEM);
        assert_int_equal(t.payloads.count + t.tables.count + t.logs.count, 2);
    } else {
        assert_int_equal(err, GNT_OK);
        gnt_memtable_drop(&t, &prepared);
    }
    assert_string_equal(contents(&t), before);
    free(before);
    gnt_batch_fini(&b);
    gnt_memtable_fini(&t);
    assert_int_equal(m->refs, 1);
    return failed;
}

static void no_memory(void **state)
{
    (void)state;
    struct gnt_message *m = message();
    for (int layered = 0; layered < 2; layered++) {
        long n = 0;
        while (prepare_with_failure(n, layered, m))
            n++;
        assert_in_range(n, 15, 60);
    }
    gnt_message_unref(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_may_lie_below_is_marked),
        cmocka_unit_test(the_only_layer_has_no_marks),
        cmocka_unit_test(a_message_is_one_payload),
        cmocka_unit_test(a_record_outlives_its_memtable),
        cmocka_unit_test(layers_are_as_one),
        cmocka_unit_test(a_long_log),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
