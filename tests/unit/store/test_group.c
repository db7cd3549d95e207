#include "store/group.h"

#include "base/random.h"
#include "support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct gnt_slice str(const char *text)
{
    return gnt_slice_str(text);
}

static const struct gnt_store_time time_as_it_is = {.clock = &gnt_clock_system, .base_ms = 0};

static struct gnt_message *message(const char *payload)
{
    struct gnt_message_init init = {
        .topic = str("t"), .payload = str(payload), .qos = 1, .expires = 5 * GNT_NS_PER_S};
    struct gnt_message *m = NULL;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

static void fill(struct gnt_batch *b, struct gnt_message *m)
{
    gnt_batch_put(b, str("table"), str("key"), str("value"), m);
    gnt_batch_delete(b, str("table"), str("other key"));
    gnt_batch_append(b, str("log"), UINT64_MAX, str(""), m);
    gnt_batch_append(b, str("log"), 7, str("v"), NULL);
    gnt_batch_remove(b, str("log"), UINT64_C(0x123456789a));
    gnt_batch_trim(b, str("log"), 9);
    gnt_batch_drop(b, str("another log"));
    gnt_batch_put(b, str("table"), str("key"), str(""), NULL);
}

static void assert_same(const struct gnt_batch *a, const struct gnt_batch *b)
{
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        struct gnt_store_write x = gnt_batch_write(a, i), y = gnt_batch_write(b, i);
        assert_int_equal(x.verb, y.verb);
        assert_true(gnt_slice_eq(x.name, y.name));
        assert_true(gnt_slice_eq(x.key, y.key));
        assert_true(gnt_slice_eq(x.value, y.value));
        assert_int_equal(x.sequence, y.sequence);
        assert_true(!x.message == !y.message);
        if (x.message) {
            assert_true(gnt_slice_eq(x.message->payload, y.message->payload));
            assert_int_equal(x.message->expires, y.message->expires);
        }
    }
}

/* A memtable with two batches that share a message, and their records. */
struct two {
    struct gnt_memtable memtable;
    struct gnt_batch batch[2];
    struct gnt_prepared prepared[2];
    struct gnt_buf record[2];
    struct gnt_message *message;
};

static const struct gnt_group_head head = {.generation = 77, .at_ms = 123456, .skew_ms = -5};

static void two_init(struct two *t)
{
    *t = (struct two){.message = message("payload")};
    gnt_memtable_init(&t->memtable, true);
    for (unsigned i = 0; i < 2; i++) {
        fill(&t->batch[i], t->message);
        assert_int_equal(gnt_memtable_prepare(&t->memtable, &t->batch[i], &t->prepared[i]), GNT_OK);
        assert_int_equal(gnt_group_begin(&t->record[i], &head), GNT_OK);
        assert_int_equal(gnt_group_add(&t->record[i], &t->prepared[i], &time_as_it_is), GNT_OK);
    }
}

static void two_fini(struct two *t)
{
    for (unsigned i = 0; i < 2; i++) {
        if (t->prepared[i].writes)
            gnt_memtable_drop(&t->memtable, &t->prepared[i]);
        gnt_batch_fini(&t->batch[i]);
        gnt_buf_fini(&t->record[i]);
    }
    gnt_memtable_fini(&t->memtable);
    assert_int_equal(t->message->refs, 1);
    gnt_message_unref(&t->message);
}

static gnt_err read_record(struct gnt_group_reader *r, struct gnt_slice bytes,
                           struct gnt_group_head *out, struct gnt_batch *batch)
{
    *batch = (struct gnt_batch){0};
    return gnt_group_read(r, bytes, &time_as_it_is, out, batch);
}

static void there_and_back(void **state)
{
    (void)state;
    struct two t;
    struct gnt_group_reader r = {0};
    struct gnt_group_head got;
    struct gnt_batch batch;
    two_init(&t);
    /* the second names the message, and does not bring it */
    assert_in_range(gnt_buf_size(&t.record[1]), 1, gnt_buf_size(&t.record[0]) - 20);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(read_record(&r, gnt_buf_slice(&t.record[i]), &got, &batch), GNT_OK);
        assert_int_equal(got.generation, head.generation);
        assert_int_equal(got.at_ms, head.at_ms);
        assert_int_equal(got.skew_ms, head.skew_ms);
        assert_same(&t.batch[i], &batch);
        gnt_batch_fini(&batch);
    }
    gnt_group_reader_fini(&r);
    two_fini(&t);
}

/* Without the record that has the message, or in another generation, nobody takes one for it. */
static void a_message_that_was_lost(void **state)
{
    (void)state;
    struct two t;
    struct gnt_group_reader r = {0};
    struct gnt_group_head got;
    struct gnt_batch batch;
    two_init(&t);
    assert_int_equal(read_record(&r, gnt_buf_slice(&t.record[1]), &got, &batch), GNT_MALFORMED);
    gnt_batch_fini(&batch);
    assert_int_equal(read_record(&r, gnt_buf_slice(&t.record[0]), &got, &batch), GNT_OK);
    gnt_batch_fini(&batch);
    t.record[1].data[8]++; /* the generation */
    assert_int_equal(read_record(&r, gnt_buf_slice(&t.record[1]), &got, &batch), GNT_MALFORMED);
    gnt_batch_fini(&batch);
    gnt_group_reader_fini(&r);
    two_fini(&t);
}

static void what_came_to_nothing_is_written_again(void **state)
{
    (void)state;
    struct two t;
    two_init(&t);
    size_t with = gnt_buf_size(&t.record[0]);
    gnt_group_void(&t.prepared[0]);
    gnt_memtable_drop(&t.memtable, &t.prepared[0]);
    assert_int_equal(gnt_group_begin(&t.record[1], &head), GNT_OK);
    assert_int_equal(gnt_group_add(&t.record[1], &t.prepared[1], &time_as_it_is), GNT_OK);
    assert_int_equal(gnt_buf_size(&t.record[1]), with);
    two_fini(&t);
}

/* Cut at every byte, and with every byte changed: an answer, and no more memory than that. */
static void hostile_bytes(void **state)
{
    (void)state;
    struct two t;
    struct gnt_group_head got;
    struct gnt_batch batch;
    two_init(&t);
    struct gnt_slice all = gnt_buf_slice(&t.record[0]);
    unsigned good = 0;
    for (size_t size = 0; size < all.size; size++) {
        struct gnt_group_reader r = {0};
        uint8_t *copy = malloc(size + 1); /* so that a sanitizer sees the end */
        assert_non_null(copy);
        memcpy(copy, all.data, size);
        gnt_err err = read_record(&r, gnt_slice(copy, size), &got, &batch);
        assert_true(err == GNT_OK || err == GNT_MALFORMED);
        good += !err;
        gnt_batch_fini(&batch);
        gnt_group_reader_fini(&r);
        free(copy);
    }
    assert_int_equal(good, 8); /* between its eight writes */
    for (size_t at = 0; at < all.size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct gnt_group_reader r = {0};
            t.record[0].data[at] ^= (uint8_t)(1u << bit);
            gnt_err err = read_record(&r, all, &got, &batch);
            assert_true(err == GNT_OK || err == GNT_MALFORMED || err == GNT_UNSUPPORTED);
            gnt_batch_fini(&batch);
            gnt_group_reader_fini(&r);
            t.record[0].data[at] ^= (uint8_t)(1u << bit);
        }
    }
    two_fini(&t);
}

static void no_memory(void **state)
{
    (void)state;
    struct two t;
    struct gnt_group_head got;
    struct gnt_batch batch;
    bool failed = true;
    two_init(&t);
    for (long n = 0; failed; n++) {
        struct gnt_group_reader r = {0};
        gnt_alloc_fail_at(n);
        gnt_err err = read_record(&r, gnt_buf_slice(&t.record[0]), &got, &batch);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        gnt_batch_fini(&batch);
        gnt_group_reader_fini(&r);
    }
    struct gnt_buf to = {0};
    gnt_group_void(&t.prepared[0]);
    assert_int_equal(gnt_group_begin(&to, &head), GNT_OK);
    gnt_buf_fini(&to);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_group_add(&to, &t.prepared[0], &time_as_it_is), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_int_equal(gnt_buf_size(&to), 0);
    assert_false(t.prepared[0].writes[0].payload->written);
    gnt_buf_fini(&to);
    two_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(a_message_that_was_lost),
        cmocka_unit_test(what_came_to_nothing_is_written_again),
        cmocka_unit_test(hostile_bytes),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
