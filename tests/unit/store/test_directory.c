#include "store/directory.h"

#include "support/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct gnt_durable_options options = {
    .clock = &gnt_clock_system,
    .memory_max = 64 << 10,
    .segment_size = 256 << 10,
    .reserve_size = 256 << 10,
    .stepped = true,
};

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
    assert_memory_equal(found->value.data, "value", found->value.size);
    GNT_CONTAINER(read, struct result, read)->records++;
}

static void result_init(struct result *r)
{
    *r = (struct result){.read = {.record = record}};
    r->read.completion.done = done;
    r->read.completion.deliver = gnt_store_deliver_here;
}

static struct gnt_store *opened(const char *path)
{
    struct gnt_directory_report report;
    struct gnt_store *s = NULL;
    gnt_err err = gnt_directory_open(path, &options, &report, &s);
    if (err)
        fail_msg("%s: %s", gnt_err_text(err), report.why);
    return s;
}

static void refuses(const char *path, gnt_err err, const char *word)
{
    struct gnt_directory_report report;
    struct gnt_store *s = NULL;
    assert_int_equal(gnt_directory_open(path, &options, &report, &s), err);
    assert_null(s);
    if (!strstr(report.why, word))
        fail_msg("\"%s\" does not say \"%s\"", report.why, word);
}

static void append(struct gnt_store *s, uint64_t from, uint64_t count)
{
    struct result r;
    struct gnt_batch batch = {0};
    result_init(&r);
    for (uint64_t i = 0; i < count; i++)
        gnt_batch_append(&batch, gnt_slice_str("l"), from + i, gnt_slice_str("value"), NULL);
    gnt_store_commit(s, &batch, &r.read.completion);
    gnt_durable_turn(s);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.err, GNT_OK);
}

static void what_was_written_is_there_again(void **state)
{
    struct place *p = *state;
    struct result r;
    for (uint64_t round = 0; round < 5; round++) { /* through the journal, and the ground */
        struct gnt_store *s = opened(p->path);
        result_init(&r);
        gnt_store_read(s, gnt_slice_str("l"), 1, 0, &r.read);
        gnt_durable_turn(s);
        assert_int_equal(r.read.log.count, round * 2000);
        for (uint64_t i = 0; i < 4; i++) {
            append(s, 1 + round * 2000 + i * 500, 500);
            if (i == 2)
                gnt_durable_apply(s);
        }
        gnt_store_close(&s);
    }
}

static void one_at_a_time(void **state)
{
    struct place *p = *state;
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    struct gnt_store *s = opened(p->path);
    refuses(p->path, GNT_BUSY, pid);
    gnt_store_close(&s);
    s = opened(p->path);
    gnt_store_close(&s);
}

static void says_what_is_wrong(void **state)
{
    struct place *p = *state;
    char path[160];
    snprintf(path, sizeof path, "%s/missing", p->path);
    refuses(path, GNT_NOTFOUND, "missing");
    snprintf(path, sizeof path, "%s/file", p->base);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    refuses(path, GNT_NOTFOUND, "no directory");
    if (geteuid() != 0) {
        assert_int_equal(mkdir(p->path, 0500), 0);
        refuses(p->path, GNT_DENIED, p->path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_there_again, place_setup,
                                        place_teardown),
        cmocka_unit_test_setup_teardown(one_at_a_time, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(says_what_is_wrong, place_setup, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
