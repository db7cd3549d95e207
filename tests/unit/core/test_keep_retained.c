/* Retained messages that a kept subscription still has to get when the process ends. */
#include "core/keep.h"

#include "core/record.h"
#include "store/memory.h"
#include "support/core_world.h"
#include "support/unit.h"

#include <stdio.h>

struct fixture {
    struct gnt_store *store;
    struct world w;
    struct world_client c;
};

/* Besides those in flight one waits in the queue, which is what the rest waits for. */
enum { RETAINED = 6, AT_A_TIME = 2, IN_LOG = AT_A_TIME + 1 };

/* r/0 to r/5 are retained, and a client that takes two at a time is connected. */
static void begin(struct fixture *f)
{
    *f = (struct fixture){.c = {.id = "c", .receive_max = AT_A_TIME}};
    assert_int_equal(gnt_store_memory_open(NULL, &f->store), GNT_OK);
    world_init_kept(&f->w, 1, NULL, f->store);
    for (int i = 0; i < RETAINED; i++) {
        char topic[8], payload[8];
        snprintf(topic, sizeof topic, "r/%d", i);
        snprintf(payload, sizeof payload, "%d", i);
        assert_true(world_publish(&f->w, 0, topic, payload, 2, true) <= GNT_DONE_NO_MATCH);
    }
    world_settle(&f->w);
    assert_true(world_connect(&f->w, &f->c, false, 1000));
}

static void finish(struct fixture *f)
{
    world_fini(&f->w);
    world_client_fini(&f->c);
    gnt_store_close(&f->store);
}

/* The process ends, and the client comes back to the next one, where what it gets is counted anew.
 */
static void crash(struct fixture *f)
{
    struct world_client *clients[] = {&f->c};
    world_crash(&f->w, clients, 1);
    world_init_kept(&f->w, 1, NULL, f->store);
    f->c.count = f->c.answered = 0;
    assert_true(world_connect(&f->w, &f->c, false, 1000));
    assert_true(f->c.present);
    world_settle(&f->w);
}

/* Until nothing comes any more. */
static void take_all(struct fixture *f)
{
    do
        world_settle(&f->w);
    while (world_answer(&f->c));
}

/* How often the message with PAYLOAD came, not counting what is sent again. */
static unsigned times(const struct fixture *f, int payload)
{
    unsigned count = 0;
    for (size_t i = 0; i < f->c.count; i++)
        count += f->c.got[i].payload[0] == '0' + payload && !f->c.got[i].dup;
    return count;
}

struct found {
    struct gnt_store_read read;
    struct gnt_sub_record sub;
    unsigned count;
};

static void on_sub(struct gnt_store_read *read, const struct gnt_store_record *record)
{
    struct found *found = GNT_CONTAINER(read, struct found, read);
    assert_true(gnt_sub_record_read(record->value, &found->sub));
    found->count++;
}

static void ignore(struct gnt_completion *c, gnt_err result)
{
    (void)c;
    assert_int_equal(result, GNT_OK);
}

/* Whether the only subscription in the store still has to get retained messages. */
static bool is_due(struct fixture *f)
{
    static const struct gnt_slice all;
    struct found found = {.read = {.record = on_sub}};
    found.read.completion =
        (struct gnt_completion){.done = ignore, .deliver = gnt_store_deliver_here};
    gnt_store_scan(f->store, gnt_slice_str("sub"), all, all, GNT_STORE_READ_MAX, &found.read);
    assert_int_equal(found.count, 1);
    return found.sub.retained_due;
}

static void the_rest_comes_after_a_crash(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(world_subscribe(&f.c, "r/+", 2), GNT_DONE);
    assert_int_equal(f.c.count, AT_A_TIME);
    assert_true(is_due(&f));
    crash(&f); /* twice: it is still due in a process in which nothing came of it */
    assert_int_equal(f.c.count, AT_A_TIME);
    assert_true(f.c.got[0].dup && f.c.got[1].dup);
    crash(&f);
    take_all(&f);
    for (int i = 0; i < RETAINED; i++)
        assert_int_equal(times(&f, i), 1); /* those that are sent again besides */
    assert_int_equal(f.c.count, RETAINED + IN_LOG);
    for (size_t i = 0; i < f.c.count; i++)
        assert_true(f.c.got[i].retain);
    assert_false(is_due(&f));
    assert_ledger(&f.w);
    finish(&f);
}

static void what_has_come_does_not_come_again(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(world_subscribe(&f.c, "r/+", 1), GNT_DONE);
    take_all(&f);
    assert_int_equal(f.c.count, RETAINED);
    assert_false(is_due(&f));
    crash(&f);
    take_all(&f);
    assert_int_equal(f.c.count, 0);
    finish(&f);
}

/* Nothing is written twice where nothing is retained, or nothing promised. */
static void only_what_is_due_is_noted(void **state)
{
    (void)state;
    static const struct {
        const char *filter;
        struct gnt_sub_options options;
        enum gnt_retain_handling retained;
    } rows[] = {
        {"none/+", {.qos = 2}, GNT_RETAIN_SEND},
        {"r/+", {.qos = 0}, GNT_RETAIN_SEND},
        {"r/+", {.qos = 2}, GNT_RETAIN_DO_NOT_SEND},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        begin(&f);
        f.c.busy = true;
        assert_int_equal(world_subscribe_with(&f.c, rows[i].filter, &rows[i].options,
                                              rows[i].retained),
                         GNT_DONE);
        assert_false(is_due(&f));
        finish(&f);
    }
}

/* A subscription that is made again while it is still getting them, without asking for more. */
static void new_options_hold_for_the_rest(void **state)
{
    (void)state;
    struct fixture f;
    const struct gnt_sub_options again = {.qos = 1, .id = 7};
    begin(&f);
    assert_int_equal(world_subscribe(&f.c, "r/+", 2), GNT_DONE);
    assert_int_equal(world_subscribe_with(&f.c, "r/+", &again, GNT_RETAIN_DO_NOT_SEND), GNT_DONE);
    assert_true(is_due(&f));
    crash(&f);
    take_all(&f);
    for (int i = 0; i < RETAINED; i++)
        assert_int_equal(times(&f, i), 1);
    for (size_t i = IN_LOG; i < f.c.count; i++) {
        assert_int_equal(f.c.got[i].qos, 1);
        assert_int_equal(f.c.got[i].ids[0], 7);
    }
    assert_false(is_due(&f));
    crash(&f); /* and they are in the record that says so */
    assert_true(world_publish(&f.w, 0, "r/0", "new", 2, false) == GNT_DONE);
    world_settle(&f.w);
    assert_int_equal(f.c.got[0].qos, 1);
    assert_int_equal(f.c.got[0].ids[0], 7);
    finish(&f);
}

/* At QoS 0 nothing outlives the process; what is sent with the new options does. */
static void the_rest_is_due_at_a_higher_qos(void **state)
{
    (void)state;
    static const struct gnt_sub_options at_once = {.qos = 0}, surely = {.qos = 1};
    struct fixture f;
    begin(&f);
    f.c.busy = true; /* so that all but the first waits */
    assert_int_equal(world_subscribe_with(&f.c, "r/+", &at_once, GNT_RETAIN_SEND), GNT_DONE);
    assert_false(is_due(&f));
    assert_int_equal(world_subscribe_with(&f.c, "r/+", &surely, GNT_RETAIN_DO_NOT_SEND), GNT_DONE);
    assert_true(is_due(&f));
    f.c.busy = false;
    crash(&f);
    take_all(&f);
    for (int i = 0; i < RETAINED; i++)
        assert_int_equal(times(&f, i), 1);
    assert_false(is_due(&f));
    finish(&f);
}

static void nothing_is_due_to_who_has_unsubscribed(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    assert_int_equal(world_subscribe(&f.c, "r/+", 1), GNT_DONE);
    assert_int_equal(gnt_session_unsubscribe(f.c.session, gnt_slice_str("r/+")), GNT_DONE);
    world_settle(&f.w);
    crash(&f);
    take_all(&f);
    assert_int_equal(f.c.count, IN_LOG); /* what had been taken in before that */
    finish(&f);
}

/* As it is written since the first release, and with the bit that says that messages are due. */
static void records_of_before_are_read(void **state)
{
    (void)state;
    uint8_t bytes[] = {1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 7, 2, 3, 'a', '/', '+'};
    struct gnt_sub_record sub;
    enum { FLAGS = 14 };
    assert_true(gnt_sub_record_read(gnt_slice(bytes, sizeof bytes), &sub));
    assert_int_equal(sub.session, 9);
    assert_int_equal(sub.options.id, 7);
    assert_int_equal(sub.options.qos, 2);
    assert_true(sub.options.no_local && sub.options.retain_as_published && !sub.retained_due);
    assert_true(gnt_slice_eq(sub.filter, gnt_slice_str("a/+")));
    struct gnt_buf written = {0};
    sub.retained_due = true;
    assert_int_equal(gnt_sub_record_write(&sub, &written), GNT_OK);
    bytes[FLAGS] |= 4;
    assert_true(gnt_slice_eq(gnt_buf_slice(&written), gnt_slice(bytes, sizeof bytes)));
    assert_true(gnt_sub_record_read(gnt_buf_slice(&written), &sub) && sub.retained_due);
    gnt_buf_fini(&written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rest_comes_after_a_crash),
        cmocka_unit_test(what_has_come_does_not_come_again),
        cmocka_unit_test(only_what_is_due_is_noted),
        cmocka_unit_test(new_options_hold_for_the_rest),
        cmocka_unit_test(the_rest_is_due_at_a_higher_qos),
        cmocka_unit_test(nothing_is_due_to_who_has_unsubscribed),
        cmocka_unit_test(records_of_before_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
