#include "store/ordered.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void order_of_keys(void **state)
{
    (void)state;
    static const char *const rising[] = {"", "a", "a/", "aa", "b", "\x7f", "\x80", "\xff"};
    size_t count = sizeof rising / sizeof *rising;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            int order = gnt_ordered_compare(gnt_slice_str(rising[i]), gnt_slice_str(rising[k]));
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    }
}

enum { KEYS = 500 };

/* A node for each key that there may be. */
static struct {
    struct gnt_ordered_node node[2]; /* two, so that one can push the other out */
    char key[8];
    int in; /* 0: not in the map, else 1 + which of the two */
} keys[KEYS];

static struct gnt_ordered_node *expect(size_t from)
{
    for (size_t i = from; i < KEYS; i++)
        if (keys[i].in)
            return &keys[i].node[keys[i].in - 1];
    return NULL;
}

static void toggle(struct gnt_ordered *o, size_t i, uint64_t r)
{
    if (keys[i].in && r & 1) {
        gnt_ordered_remove(o, &keys[i].node[keys[i].in - 1]);
        keys[i].in = 0;
        return;
    }
    int other = keys[i].in == 1;
    struct gnt_ordered_node *old = keys[i].in ? &keys[i].node[keys[i].in - 1] : NULL;
    assert_ptr_equal(gnt_ordered_insert(o, &keys[i].node[other]), old);
    keys[i].in = other + 1;
}

static size_t depth(const struct gnt_ordered_node *node)
{
    if (!node)
        return 0;
    for (int i = 0; i < 2; i++)
        assert_true(!node->child[i] || node->child[i]->priority <= node->priority);
    size_t left = depth(node->child[0]), right = depth(node->child[1]);
    return 1 + (left > right ? left : right);
}

static void random_against_an_array(void **state)
{
    (void)state;
    const char *given = getenv("GNATTER_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 99;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct gnt_seeded g;
    gnt_seeded_init(&g, seed);
    struct gnt_ordered o = {0};
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(keys[i].key, sizeof keys[i].key, "%05zu", i);
        keys[i].node[0].key = keys[i].node[1].key = gnt_slice_str(keys[i].key);
    }
    for (int step = 0; step < 50000; step++) {
        uint64_t r = gnt_seeded_next(&g);
        toggle(&o, (size_t)((r >> 8) % KEYS), r);
        size_t at = (size_t)((r >> 32) % KEYS);
        struct gnt_slice key = gnt_slice_str(keys[at].key);
        struct gnt_ordered_node *here = keys[at].in ? expect(at) : NULL;
        assert_ptr_equal(gnt_ordered_find(&o, key), here);
        assert_ptr_equal(gnt_ordered_from(&o, key), expect(at));
        assert_ptr_equal(gnt_ordered_after(&o, key), expect(at + 1));
    }
    size_t count = 0;
    for (size_t i = 0; i < KEYS; i++)
        count += keys[i].in != 0;
    assert_int_equal(o.count, count);
    assert_ptr_equal(gnt_ordered_from(&o, gnt_slice(NULL, 0)), expect(0));
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].in)
            gnt_ordered_remove(&o, &keys[i].node[keys[i].in - 1]);
    assert_null(o.root);
}

/* Keys that come in order must not make a list. */
static void rising_keys_stay_shallow(void **state)
{
    (void)state;
    struct gnt_ordered o = {0};
    for (size_t i = 0; i < KEYS; i++)
        gnt_ordered_insert(&o, &keys[i].node[0]);
    assert_in_range(depth(o.root), 9, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_keys),
        cmocka_unit_test(random_against_an_array),
        cmocka_unit_test(rising_keys_stay_shallow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
