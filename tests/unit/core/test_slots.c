#include "support/unit.h"

#include "core/slots.h"

#include "support/alloc_fault.h"

static void ids_find_their_sinks(void **state)
{
    (void)state;
    struct gnt_slots s = {0};
    struct gnt_sink sinks[200] = {{0}};
    for (size_t i = 0; i < COUNT_OF(sinks); i++) {
        assert_int_equal(gnt_slots_add(&s, 3, &sinks[i]), GNT_OK);
        assert_int_equal(gnt_sink_home(sinks[i].id), 3);
        assert_true(sinks[i].id != 0);
    }
    for (size_t i = 0; i < COUNT_OF(sinks); i++)
        assert_ptr_equal(gnt_slots_find(&s, sinks[i].id), &sinks[i]);
    assert_null(gnt_slots_find(&s, 0));
    assert_null(gnt_slots_find(&s, gnt_sink_id(3, 200, 1)));
    assert_null(gnt_slots_find(&s, gnt_sink_id(3, 0, 2)));
    gnt_slots_fini(&s);
}

static void a_slot_is_used_again_under_another_id(void **state)
{
    (void)state;
    struct gnt_slots s = {0};
    struct gnt_sink a = {0}, b = {0}, c = {0};
    assert_int_equal(gnt_slots_add(&s, 0, &a), GNT_OK);
    assert_int_equal(gnt_slots_add(&s, 0, &b), GNT_OK);
    uint64_t old = a.id;
    gnt_slots_remove(&s, &a);
    assert_int_equal(a.id, 0);
    assert_null(gnt_slots_find(&s, old));
    assert_int_equal(gnt_slots_add(&s, 0, &c), GNT_OK);
    assert_int_equal(gnt_sink_slot(c.id), gnt_sink_slot(old));
    assert_true(c.id != old);
    assert_null(gnt_slots_find(&s, old));
    assert_ptr_equal(gnt_slots_find(&s, c.id), &c);
    assert_ptr_equal(gnt_slots_find(&s, b.id), &b);
    gnt_slots_fini(&s);
}

static void out_of_memory_changes_nothing(void **state)
{
    (void)state;
    struct gnt_slots s = {0};
    struct gnt_sink sinks[65] = {{0}};
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_slots_add(&s, 0, &sinks[0]), GNT_NOMEM);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(gnt_slots_add(&s, 0, &sinks[i]), GNT_OK);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_slots_add(&s, 0, &sinks[64]), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_int_equal(sinks[64].id, 0);
    for (size_t i = 0; i < 64; i++)
        assert_ptr_equal(gnt_slots_find(&s, sinks[i].id), &sinks[i]);
    gnt_slots_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_find_their_sinks),
        cmocka_unit_test(a_slot_is_used_again_under_another_id),
        cmocka_unit_test(out_of_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
