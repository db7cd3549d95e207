#include "support/unit.h"

#include "base/list.h"

struct item {
    char name;
    struct gnt_list link;
};

static char *names(struct gnt_list *list, char *out)
{
    size_t n = 0;
    gnt_list_each (node, list)
        out[n++] = GNT_CONTAINER(node, struct item, link)->name;
    size_t back = n;
    for (struct gnt_list *node = list->prev; node != list; node = node->prev)
        assert_int_equal(out[--back], GNT_CONTAINER(node, struct item, link)->name);
    assert_int_equal(back, 0);
    out[n] = '\0';
    return out;
}

static void items_init(struct item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        items[i].name = (char)('a' + i);
        gnt_list_init(&items[i].link);
    }
}

static void test_order(void **state)
{
    (void)state;
    struct gnt_list list;
    struct item items[4];
    char text[8];
    gnt_list_init(&list);
    items_init(items, 4);
    assert_true(gnt_list_empty(&list));
    assert_null(gnt_list_pop_front(&list));
    gnt_list_push_back(&list, &items[1].link);
    gnt_list_push_back(&list, &items[3].link);
    gnt_list_push_front(&list, &items[0].link);
    gnt_list_insert_before(&items[3].link, &items[2].link);
    assert_string_equal(names(&list, text), "abcd");
    assert_ptr_equal(gnt_list_pop_front(&list), &items[0].link);
    assert_false(gnt_list_linked(&items[0].link));
    assert_string_equal(names(&list, text), "bcd");
}

static void test_removing_twice_is_harmless(void **state)
{
    (void)state;
    struct gnt_list list;
    struct item items[3];
    char text[8];
    gnt_list_init(&list);
    items_init(items, 3);
    for (int i = 0; i < 3; i++)
        gnt_list_push_back(&list, &items[i].link);
    assert_true(gnt_list_linked(&items[1].link));
    gnt_list_remove(&items[1].link);
    gnt_list_remove(&items[1].link);
    assert_false(gnt_list_linked(&items[1].link));
    assert_string_equal(names(&list, text), "ac");
}

static void test_splice(void **state)
{
    (void)state;
    struct gnt_list to, from;
    struct item items[4];
    char text[8];
    gnt_list_init(&to);
    gnt_list_init(&from);
    items_init(items, 4);
    gnt_list_splice_back(&to, &from);
    assert_true(gnt_list_empty(&to));
    gnt_list_push_back(&from, &items[0].link);
    gnt_list_push_back(&from, &items[1].link);
    gnt_list_splice_back(&to, &from);
    assert_true(gnt_list_empty(&from));
    gnt_list_push_back(&from, &items[2].link);
    gnt_list_push_back(&from, &items[3].link);
    gnt_list_splice_back(&to, &from);
    gnt_list_splice_back(&to, &from);
    assert_string_equal(names(&to, text), "abcd");
    assert_string_equal(names(&from, text), "");
}

static void test_remove_while_walking(void **state)
{
    (void)state;
    struct gnt_list list;
    struct item items[5];
    char text[8];
    gnt_list_init(&list);
    items_init(items, 5);
    for (int i = 0; i < 5; i++)
        gnt_list_push_back(&list, &items[i].link);
    gnt_list_each_safe (node, &list)
        if (GNT_CONTAINER(node, struct item, link)->name != 'c')
            gnt_list_remove(node);
    assert_string_equal(names(&list, text), "c");
}

static void test_ring(void **state)
{
    (void)state;
    struct gnt_ring ring = {0};
    struct item items[3];
    items_init(items, 3);
    for (int i = 0; i < 3; i++)
        gnt_ring_push_back(&ring, &items[i].link);
    assert_ptr_equal(ring.first, &items[0].link);
    gnt_ring_remove(&ring, &items[1].link); /* from the middle */
    assert_ptr_equal(ring.first, &items[0].link);
    assert_ptr_equal(ring.first->next, &items[2].link);
    gnt_ring_push_back(&ring, &items[1].link);
    gnt_ring_remove(&ring, &items[0].link); /* the first: the next one is */
    assert_ptr_equal(ring.first, &items[2].link);
    assert_ptr_equal(ring.first->next, &items[1].link);
    gnt_ring_remove(&ring, &items[1].link); /* the last */
    assert_ptr_equal(ring.first, &items[2].link);
    gnt_ring_remove(&ring, &items[2].link);
    assert_null(ring.first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),  cmocka_unit_test(test_removing_twice_is_harmless),
        cmocka_unit_test(test_splice), cmocka_unit_test(test_remove_while_walking),
        cmocka_unit_test(test_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
