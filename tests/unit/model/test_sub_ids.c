#include "model/sub_ids.h"

#include "support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void none_and_one_need_no_memory(void **state)
{
    (void)state;
    struct gnt_sub_ids none = {0}, one = {.count = 1, .one = 7}, copy = {.count = 1, .one = 1};
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_sub_ids_copy(&copy, &none), GNT_OK);
    assert_int_equal(copy.count, 0);
    assert_int_equal(gnt_sub_ids_copy(&copy, &one), GNT_OK);
    gnt_alloc_fail_at(-1);
    assert_int_equal(copy.count, 1);
    assert_int_equal(gnt_sub_ids_list(&copy)[0], 7);
    gnt_sub_ids_fini(&copy);
    assert_int_equal(copy.count, 0);
}

static void many_are_copied(void **state)
{
    (void)state;
    uint32_t ids[] = {3, 1, 0xfffffff};
    struct gnt_sub_ids from = {.count = 3, .many = ids}, copy = {0};
    assert_int_equal(gnt_sub_ids_copy(&copy, &from), GNT_OK);
    ids[0] = ids[1] = ids[2] = 9;
    assert_int_equal(copy.count, 3);
    assert_int_equal(gnt_sub_ids_list(&copy)[0], 3);
    assert_int_equal(gnt_sub_ids_list(&copy)[1], 1);
    assert_int_equal(gnt_sub_ids_list(&copy)[2], 0xfffffff);
    gnt_sub_ids_fini(&copy);
    assert_int_equal(copy.count, 0);
    assert_null(copy.many);
    gnt_sub_ids_fini(&copy); /* twice is fine */
}

/* Not inlined: a compiler that sees both ends of it leaves the allocation out. */
__attribute__((noinline)) static gnt_err copy_ids(struct gnt_sub_ids *to,
                                                  const struct gnt_sub_ids *from)
{
    return gnt_sub_ids_copy(to, from);
}

static void no_memory_leaves_the_target(void **state)
{
    (void)state;
    uint32_t ids[] = {3, 1};
    struct gnt_sub_ids from = {.count = 2, .many = ids}, copy = {.count = 1, .one = 5};
    gnt_alloc_fail_at(0);
    assert_int_equal(copy_ids(&copy, &from), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_int_equal(copy.count, 1);
    assert_int_equal(copy.one, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_and_one_need_no_memory),
        cmocka_unit_test(many_are_copied),
        cmocka_unit_test(no_memory_leaves_the_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
