#include "support/unit.h"

#include "core/backlog.h"

#include "support/alloc_fault.h"

static struct gnt_message *message(size_t size, uint8_t qos)
{
    static const char bytes[256];
    struct gnt_message_init init = {
        .topic = LITERAL("t"), .payload = gnt_slice(bytes, size), .qos = qos, .expires = GNT_NEVER};
    struct gnt_message *m;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

static void push(struct gnt_backlog *b, size_t size)
{
    struct gnt_waiting w = {.message = message(size, 1), .qos = 1, .retain = size % 2};
    assert_int_equal(gnt_backlog_push(b, &w), GNT_OK);
    assert_null(w.message);
}

static void pop(struct gnt_backlog *b, size_t size)
{
    struct gnt_waiting w;
    assert_int_equal(gnt_backlog_first(b)->message->payload.size, size);
    gnt_backlog_pop(b, &w);
    assert_int_equal(w.message->payload.size, size);
    assert_int_equal(w.retain, size % 2);
    gnt_waiting_fini(&w);
}

static void first_in_first_out_through_growth(void **state)
{
    (void)state;
    struct gnt_backlog b = {0};
    size_t in = 0, out = 0, bytes = 0;
    assert_null(gnt_backlog_first(&b));
    for (int round = 0; round < 60; round++) { /* three in, one out: the ring grows while wrapped */
        for (int i = 0; i < 3; i++, bytes += in, in++)
            push(&b, in);
        bytes -= out;
        pop(&b, out++);
        assert_int_equal(b.count, in - out);
        assert_int_equal(b.bytes, bytes);
    }
    while (out < in)
        pop(&b, out++);
    assert_int_equal(b.bytes, 0);
    assert_null(b.ring); /* an empty one holds no memory */
    gnt_backlog_fini(&b);
}

static void any_one_can_be_taken(void **state)
{
    (void)state;
    for (size_t at = 0; at < 6; at++) {
        struct gnt_backlog b = {0};
        for (size_t i = 0; i < 9; i++) { /* the ring is wrapped */
            push(&b, i);
            if (i < 3)
                pop(&b, i);
        }
        struct gnt_waiting w;
        assert_int_equal(gnt_backlog_at(&b, at)->message->payload.size, 3 + at);
        gnt_backlog_take(&b, at, &w);
        assert_int_equal(w.message->payload.size, 3 + at);
        gnt_waiting_fini(&w);
        for (size_t i = 0; i < 6; i++)
            if (i != at)
                pop(&b, 3 + i);
        assert_int_equal(b.bytes, 0);
        gnt_backlog_fini(&b);
    }
}

static void what_is_left_is_freed_with_its_ids(void **state)
{
    (void)state;
    struct gnt_backlog b = {0};
    uint32_t ids[] = {1, 2, 3};
    struct gnt_waiting w = {.message = message(5, 2), .qos = 2};
    assert_int_equal(gnt_sub_ids_copy(&w.ids, &(struct gnt_sub_ids){.count = 3, .many = ids}),
                     GNT_OK);
    assert_int_equal(gnt_backlog_push(&b, &w), GNT_OK);
    assert_int_equal(w.ids.count, 0);
    gnt_backlog_fini(&b);
    assert_int_equal(b.count, 0);
}

static void one_can_be_put_between(void **state)
{
    (void)state;
    for (size_t at = 0; at <= 10; at++) {
        struct gnt_backlog b = {0};
        for (size_t i = 0; i < 15; i++)
            push(&b, i);
        for (size_t i = 0; i < 5; i++) /* so that the ring is wrapped */
            pop(&b, i);
        struct gnt_waiting w = {.message = message(100, 1)};
        assert_int_equal(gnt_backlog_insert(&b, at, &w), GNT_OK);
        for (size_t i = 0; i < 11; i++)
            pop(&b, i == at ? 100 : 5 + i - (i > at));
        gnt_backlog_fini(&b);
    }
}

static void out_of_memory_takes_nothing(void **state)
{
    (void)state;
    struct gnt_backlog b = {0};
    for (size_t i = 0; i < 8; i++)
        push(&b, i);
    struct gnt_waiting w = {.message = message(9, 1)};
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_backlog_push(&b, &w), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_non_null(w.message);
    assert_int_equal(b.count, 8);
    gnt_waiting_fini(&w);
    pop(&b, 0);
    gnt_backlog_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_in_first_out_through_growth),
        cmocka_unit_test(any_one_can_be_taken),
        cmocka_unit_test(what_is_left_is_freed_with_its_ids),
        cmocka_unit_test(one_can_be_put_between),
        cmocka_unit_test(out_of_memory_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
