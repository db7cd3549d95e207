#include "model/message.h"

#include "support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct gnt_message_init example(void)
{
    return (struct gnt_message_init){
        .topic = gnt_slice_str("a/b"),
        .payload = gnt_slice("21\0.5", 5),
        .extras = gnt_slice("\x01\x01", 2),
        .format = GNT_EXTRAS_MQTT5,
        .qos = 2,
        .retain = true,
        .publisher = 77,
        .expires = 1000,
    };
}

static void check_example(const struct gnt_message *m)
{
    struct gnt_message_init want = example();
    assert_true(gnt_slice_eq(m->topic, want.topic));
    assert_true(gnt_slice_eq(m->payload, want.payload));
    assert_true(gnt_slice_eq(m->extras, want.extras));
    assert_int_equal(m->format, GNT_EXTRAS_MQTT5);
    assert_int_equal(m->qos, 2);
    assert_true(m->retain);
    assert_int_equal(m->publisher, 77);
    assert_int_equal(m->expires, 1000);
}

static void new_copies_everything(void **state)
{
    (void)state;
    char bytes[] = "a/b21\0.5\x01\x01";
    struct gnt_message_init init = example();
    init.topic = gnt_slice(bytes, 3);
    init.payload = gnt_slice(bytes + 3, 5);
    init.extras = gnt_slice(bytes + 8, 2);
    struct gnt_message *m = NULL;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    memset(bytes, 'x', sizeof bytes);
    check_example(m);
    gnt_message_unref(&m);
    assert_null(m);
}

static void empty_slices_are_fine(void **state)
{
    (void)state;
    struct gnt_message_init init = {.topic = gnt_slice_str("t"), .expires = GNT_NEVER};
    struct gnt_message *m = NULL;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    assert_int_equal(m->payload.size, 0);
    assert_int_equal(m->extras.size, 0);
    assert_int_equal(m->format, GNT_EXTRAS_NONE);
    gnt_message_unref(&m);
    gnt_message_unref(&m); /* of NULL */
}

static void adopt_takes_the_buffer(void **state)
{
    (void)state;
    uint8_t *buffer = malloc(10), *bytes = buffer;
    assert_non_null(buffer);
    memcpy(buffer, "a/b21\0.5\x01\x01", 10);
    struct gnt_message_init init = example();
    init.topic = gnt_slice(buffer, 3);
    init.payload = gnt_slice(buffer + 3, 5);
    init.extras = gnt_slice(buffer + 8, 2);
    struct gnt_message *m = NULL;

    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_message_adopt(&buffer, &init, &m), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_ptr_equal(buffer, bytes); /* still ours */
    assert_null(m);

    assert_int_equal(gnt_message_adopt(&buffer, &init, &m), GNT_OK);
    assert_null(buffer);
    check_example(m);
    assert_ptr_equal(m->payload.data, bytes + 3); /* not copied */
    gnt_message_unref(&m);
}

static void the_last_reference_frees(void **state)
{
    (void)state;
    struct gnt_message_init init = example();
    struct gnt_message *m = NULL;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    struct gnt_message *other = gnt_message_ref(m);
    assert_ptr_equal(other, m);
    gnt_message_unref(&m);
    check_example(other); /* the address sanitizer says if it was freed too early, or never */
    gnt_message_unref(&other);
}

static void no_memory(void **state)
{
    (void)state;
    struct gnt_message_init init = example();
    struct gnt_message *m = NULL;
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_message_new(&init, &m), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_null(m);
}

static void impossible_size(void **state)
{
    (void)state;
    struct gnt_message_init init = example();
    init.payload.size = SIZE_MAX;
    struct gnt_message *m = NULL;
    assert_int_equal(gnt_message_new(&init, &m), GNT_NOMEM);
}

static void expiry(void **state)
{
    (void)state;
    static const struct {
        uint64_t expires, now;
        bool expired;
        uint32_t left_s;
    } rows[] = {
        {10 * GNT_NS_PER_S, 0, false, 10},
        {10 * GNT_NS_PER_S, 1, false, 10},
        {10 * GNT_NS_PER_S, 9 * GNT_NS_PER_S, false, 1},
        {10 * GNT_NS_PER_S, 9 * GNT_NS_PER_S + 1, false, 1},
        {10 * GNT_NS_PER_S, 10 * GNT_NS_PER_S - 1, false, 1},
        {10 * GNT_NS_PER_S, 10 * GNT_NS_PER_S, true, 0},
        {10 * GNT_NS_PER_S, 11 * GNT_NS_PER_S, true, 0},
        {GNT_NEVER, GNT_NEVER - 1, false, 1},
        {GNT_NEVER, 5, false, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gnt_message m = {.expires = rows[i].expires};
        assert_int_equal(gnt_message_expired(&m, rows[i].now), rows[i].expired);
        assert_int_equal(gnt_message_left_s(&m, rows[i].now), rows[i].left_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_copies_everything),
        cmocka_unit_test(empty_slices_are_fine),
        cmocka_unit_test(adopt_takes_the_buffer),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(impossible_size),
        cmocka_unit_test(expiry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
