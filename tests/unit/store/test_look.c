/* A data directory that is only looked at shows what the store that was there would. */
#include "store/look.h"

#include "store/directory.h"
#include "support/alloc_fault.h"
#include "support/place.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORDS = 3000, ENTRIES = 2000, KEPT_FROM = 500 };

struct result {
    struct gnt_store_read read; /* its completion serves commits as well */
    unsigned done, records, messages;
    uint8_t last[GNT_STORE_KEY_MAX];
    size_t last_size;
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
    struct result *r = GNT_CONTAINER(read, struct result, read);
    assert_true(gnt_slice_eq_str(found->value, "value"));
    r->records++;
    r->messages += found->message && gnt_slice_eq_str(found->message->payload, "payload");
    r->last_size = found->key.size;
    if (found->key.size)
        memcpy(r->last, found->key.data, found->key.size);
}

static void result_init(struct result *r)
{
    *r = (struct result){.read = {.record = record}};
    r->read.completion.done = done;
    r->read.completion.deliver = gnt_store_deliver_here;
}

static struct gnt_slice key_of(unsigned i, char key[16])
{
    snprintf(key, 16, "key %05u", i);
    return gnt_slice_str(key);
}

static void commit(struct gnt_store *s, struct gnt_batch *batch)
{
    struct result r;
    result_init(&r);
    gnt_store_commit(s, batch, &r.read.completion);
    while (gnt_durable_turn(s), !r.done)
        gnt_durable_apply(s); /* what it has to wait for */
    assert_int_equal(r.err, GNT_OK);
}

/* Every second record has a message; of the log the first ones are gone.  Some of it is in the
 * ground by then, some in the journal alone. */
static void fill(const char *path)
{
    const struct gnt_durable_options options = {
        .clock = &gnt_clock_system,
        .memory_max = 64 << 10,
        .segment_size = 256 << 10,
        .reserve_size = 64 << 10,
        .stepped = true,
    };
    const struct gnt_message_init init = {.topic = gnt_slice_str("topic"),
                                          .payload = gnt_slice_str("payload"),
                                          .expires = GNT_NEVER};
    struct gnt_directory_report report;
    struct gnt_message *message;
    struct gnt_store *s;
    char key[16];
    assert_int_equal(gnt_message_new(&init, &message), GNT_OK);
    assert_int_equal(gnt_directory_open(path, &options, &report, &s), GNT_OK);
    struct gnt_batch batch = {0};
    for (unsigned i = 0; i < RECORDS; i++) {
        gnt_batch_put(&batch, gnt_slice_str("t"), key_of(i, key), gnt_slice_str("value"),
                      i % 2 ? message : NULL);
        if (i < ENTRIES)
            gnt_batch_append(&batch, gnt_slice_str("l"), i + 1, gnt_slice_str("value"), NULL);
        if (i % 20 == 19)
            commit(s, &batch);
    }
    gnt_batch_trim(&batch, gnt_slice_str("l"), KEPT_FROM - 1);
    gnt_batch_delete(&batch, gnt_slice_str("t"), key_of(1, key));
    commit(s, &batch);
    gnt_message_unref(&message);
    gnt_store_close(&s);
}

static void check(struct gnt_store *s)
{
    struct result r;
    struct gnt_slice all = {NULL, 0};
    char key[16];
    result_init(&r);
    do {
        uint8_t last[GNT_STORE_KEY_MAX];
        memcpy(last, r.last, r.last_size);
        gnt_store_scan(s, gnt_slice_str("t"), all, gnt_slice(last, r.last_size), 1000, &r.read);
        assert_int_equal(r.err, GNT_OK);
    } while (r.read.more);
    assert_int_equal(r.records, RECORDS - 1);
    assert_int_equal(r.messages, RECORDS / 2 - 1);
    gnt_store_get(s, gnt_slice_str("t"), key_of(1, key), &r.read);
    assert_int_equal(r.err, GNT_NOTFOUND);
    gnt_store_get(s, gnt_slice_str("t"), key_of(2, key), &r.read);
    assert_int_equal(r.err, GNT_OK);
    gnt_store_read(s, gnt_slice_str("l"), 0, 0, &r.read);
    assert_int_equal(r.read.log.first, KEPT_FROM);
    assert_int_equal(r.read.log.last, ENTRIES);
    assert_int_equal(r.read.log.count, ENTRIES - KEPT_FROM + 1);
}

static void shows_what_was_there(void **state)
{
    struct place *p = *state;
    struct gnt_look_report report;
    struct gnt_store *s;
    fill(p->path);
    for (int i = 0; i < 2; i++) { /* looking has changed nothing */
        assert_int_equal(gnt_look_open(p->path, &report, &s), GNT_OK);
        assert_true(report.mark.applied > 0);
        assert_true(report.recovery.journal.records > 0);
        assert_int_equal(report.recovery.journal.damaged + report.recovery.unreadable, 0);
        check(s);
        gnt_store_close(&s);
    }
}

static void cannot_be_written(void **state)
{
    struct place *p = *state;
    struct gnt_look_report report;
    struct gnt_store *s;
    struct result r;
    struct gnt_batch batch = {0};
    fill(p->path);
    assert_int_equal(gnt_look_open(p->path, &report, &s), GNT_OK);
    result_init(&r);
    gnt_batch_drop(&batch, gnt_slice_str("l"));
    gnt_store_commit(s, &batch, &r.read.completion);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.err, GNT_UNSUPPORTED);
    check(s);
    gnt_store_close(&s);
}

static void says_that_there_is_none(void **state)
{
    struct place *p = *state;
    struct gnt_look_report report;
    struct gnt_store *s = NULL;
    struct stat st;
    char file[160];
    assert_int_equal(gnt_look_open(p->path, &report, &s), GNT_NOTFOUND);
    assert_int_equal(mkdir(p->path, 0700), 0);
    assert_int_equal(gnt_look_open(p->path, &report, &s), GNT_NOTFOUND);
    assert_non_null(strstr(report.why, "there is no store in"));
    assert_null(s);
    snprintf(file, sizeof file, "%s/data.mdb", p->path);
    assert_int_equal(stat(file, &st), -1); /* and none is made */
}

static void without_memory(void **state)
{
    struct place *p = *state;
    struct gnt_look_report report;
    struct gnt_store *s;
    fill(p->path);
    unsigned failures = 0;
    for (long n = 0;; n += n < 200 ? 1 : 997) { /* each record of the journal takes some */
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_look_open(p->path, &report, &s);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        if (err) {
            assert_int_equal(err, GNT_NOMEM);
            failures++;
            continue;
        }
        check(s);
        gnt_store_close(&s);
        if (!failed)
            break;
    }
    assert_true(failures > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shows_what_was_there, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(cannot_be_written, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(says_that_there_is_none, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(without_memory, place_setup, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
