#include "store/memory.h"

#include "support/alloc_fault.h"
#include "support/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static gnt_err open_at_once(struct gnt_store **out)
{
    return gnt_store_memory_open(NULL, out);
}

static gnt_err open_delayed(struct gnt_store **out)
{
    return gnt_store_memory_open(&(struct gnt_store_memory_options){.delayed = true}, out);
}

static void run(struct gnt_store *s)
{
    gnt_store_memory_run(s);
}

struct result {
    struct gnt_store_read read; /* its completion serves commits as well */
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
    (void)found;
    GNT_CONTAINER(read, struct result, read)->records++;
}

static void result_init(struct result *r)
{
    *r = (struct result){.read = {.record = record}};
    r->read.completion.done = done;
    r->read.completion.deliver = gnt_store_deliver_here;
}

static struct gnt_slice str(const char *text)
{
    return gnt_slice_str(text);
}

static struct gnt_store *opened(gnt_err (*open)(struct gnt_store **out))
{
    struct gnt_store *s = NULL;
    assert_int_equal(open(&s), GNT_OK);
    return s;
}

static void at_once_is_before_commit_returns(void **state)
{
    (void)state;
    struct gnt_store *s = opened(open_at_once);
    struct result r;
    struct gnt_batch batch = {0};
    result_init(&r);
    gnt_batch_put(&batch, str("t"), str("k"), str("v"), NULL);
    gnt_store_commit(s, &batch, &r.read.completion);
    assert_int_equal(r.done, 1);
    assert_int_equal(gnt_store_memory_run(s), 0);
    gnt_store_close(&s);
}

static void delayed_waits_for_run(void **state)
{
    (void)state;
    struct gnt_store *s = opened(open_delayed);
    struct result written, before, after;
    struct gnt_batch batch = {0};
    result_init(&written);
    result_init(&before);
    result_init(&after);
    gnt_batch_put(&batch, str("t"), str("k"), str("v"), NULL);
    gnt_store_commit(s, &batch, &written.read.completion);
    gnt_store_get(s, str("t"), str("k"), &before.read);
    assert_int_equal(written.done + before.done, 0);
    assert_int_equal(gnt_store_memory_run(s), 2);
    assert_int_equal(written.done, 1);
    assert_int_equal(before.err, GNT_NOTFOUND); /* was asked too early */
    gnt_store_get(s, str("t"), str("k"), &after.read);
    gnt_store_close(&s); /* completes what is waiting */
    assert_int_equal(after.done, 1);
    assert_int_equal(after.records, 1);
}

static void fill(struct gnt_batch *batch, struct gnt_message *m)
{
    gnt_batch_put(batch, str("t"), str("k"), str("v"), m);
    gnt_batch_delete(batch, str("t"), str("old"));
    gnt_batch_append(batch, str("l"), 1, str("v"), m);
    gnt_batch_append(batch, str("l"), 2, str("v"), m);
    gnt_batch_append(batch, str("m"), 1, str("v"), NULL);
    gnt_batch_trim(batch, str("l"), 1);
    for (int i = 0; i < 10; i++) /* more than the first room of a batch */
        gnt_batch_put(batch, str("u"), str("k"), str("v"), NULL);
}

static unsigned found_in(struct gnt_store *s, const char *table, const char *log)
{
    struct result r;
    result_init(&r);
    if (table)
        gnt_store_scan(s, str(table), str(""), str(""), 9, &r.read);
    else
        gnt_store_read(s, str(log), 1, 9, &r.read);
    gnt_store_memory_run(s);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.err, GNT_OK);
    return r.records;
}

static bool write_with_failure(gnt_err (*open)(struct gnt_store **out), long n,
                               struct gnt_message *m)
{
    struct gnt_store *s = opened(open);
    struct result r;
    struct gnt_batch batch = {0};
    result_init(&r);
    gnt_batch_put(&batch, str("t"), str("old"), str(""), NULL);
    gnt_store_commit(s, &batch, &r.read.completion);
    gnt_store_memory_run(s);
    result_init(&r);
    gnt_alloc_fail_at(n);
    fill(&batch, m);
    gnt_store_commit(s, &batch, &r.read.completion);
    gnt_store_memory_run(s);
    bool failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.err, failed ? GNT_NOMEM : GNT_OK);
    assert_int_equal(found_in(s, "t", NULL), 1);
    assert_int_equal(found_in(s, "u", NULL), !failed);
    assert_int_equal(found_in(s, NULL, "l"), !failed);
    assert_int_equal(found_in(s, NULL, "m"), !failed);
    gnt_store_close(&s);
    assert_int_equal(m->refs, 1);
    return failed;
}

static void no_memory_for_writing(void **state)
{
    (void)state;
    struct gnt_message_init init = {.topic = str("t"), .expires = GNT_NEVER};
    struct gnt_message *m = NULL;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    long n = 0;
    while (write_with_failure(open_at_once, n, m))
        n++;
    assert_true(n > 15);
    for (n = 0; write_with_failure(open_delayed, n, m);)
        n++;
    assert_true(n > 16);
    gnt_message_unref(&m);
}

static void no_memory_for_opening_and_reading(void **state)
{
    (void)state;
    struct gnt_store *s = NULL;
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_store_memory_open(NULL, &s), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_null(s);
    gnt_store_close(&s); /* of nothing */
    s = opened(open_at_once);
    struct result r;
    result_init(&r);
    gnt_alloc_fail_at(0);
    gnt_store_read(s, str("l"), 1, 9, &r.read);
    gnt_alloc_fail_at(-1);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.err, GNT_NOMEM);
    gnt_store_close(&s);
}

/* What was read stays whole although its record is replaced before it is handed over. */
static void a_read_outlives_the_record(void **state)
{
    (void)state;
    struct gnt_store *s = opened(open_delayed);
    struct result r[3];
    struct gnt_batch batch = {0};
    for (int i = 0; i < 3; i++)
        result_init(&r[i]);
    gnt_batch_put(&batch, str("t"), str("k"), str("v"), NULL);
    gnt_store_commit(s, &batch, &r[0].read.completion);
    gnt_store_memory_run(s);
    gnt_batch_delete(&batch, str("t"), str("k"));
    gnt_store_commit(s, &batch, &r[1].read.completion);
    gnt_store_get(s, str("t"), str("k"), &r[2].read);
    gnt_store_memory_run(s);
    assert_int_equal(r[1].done, 1);
    assert_int_equal(r[2].records, 1);
    assert_int_equal(found_in(s, "t", NULL), 0);
    gnt_store_close(&s);
}

int main(void)
{
    static const struct store_under_test at_once = {
        .name = "memory, at once",
        .open = open_at_once,
        .fail_next = gnt_store_memory_fail_next,
    };
    static const struct store_under_test delayed = {
        .name = "memory, delayed",
        .open = open_delayed,
        .run = run,
        .fail_next = gnt_store_memory_fail_next,
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_once_is_before_commit_returns),
        cmocka_unit_test(delayed_waits_for_run),
        cmocka_unit_test(no_memory_for_writing),
        cmocka_unit_test(no_memory_for_opening_and_reading),
        cmocka_unit_test(a_read_outlives_the_record),
    };
    int failed = store_contract(&at_once);
    failed += store_contract(&delayed);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
