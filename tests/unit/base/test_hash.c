#include "support/alloc_fault.h"
#include "support/unit.h"

#include "base/hash.h"
#include "base/list.h"

#include <stdlib.h>

static void fill_zero(void *self, void *out, size_t size)
{
    (void)self;
    memset(out, 0, size);
}

/* SipHash-1-3 under the zero key, as CPython 3.11 computes it with PYTHONHASHSEED=0. */
static void test_siphash_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t hash;
    } rows[] = {
        {"a", UINT64_C(0x407448d2b89b1813)},
        {"1234567", UINT64_C(0xa33d651594fdae81)},
        {"12345678", UINT64_C(0x3489982430560a87)},
        {"123456789", UINT64_C(0x0fbc0f0007965fcf)},
        {"devices/42/telemetry", UINT64_C(0x4e23e3a4853f3588)},
    };
    const struct gnt_random zero = {fill_zero, NULL};
    gnt_hash_seed(&zero);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_true(gnt_hash(gnt_slice_str(rows[i].text)) == rows[i].hash);
}

static void test_key_and_length_matter(void **state)
{
    (void)state;
    struct gnt_seeded g;
    gnt_seeded_init(&g, 1);
    gnt_hash_seed(&g.door);
    uint64_t hash = gnt_hash(LITERAL("sensor"));
    assert_true(hash == gnt_hash(LITERAL("sensor")));
    assert_true(hash != gnt_hash(LITERAL("sensor\0")));
    assert_true(gnt_hash(gnt_slice(NULL, 0)) != gnt_hash(LITERAL("\0")));
    gnt_hash_seed(&g.door);
    assert_true(hash != gnt_hash(LITERAL("sensor")));
}

static void test_mix(void **state)
{
    (void)state;
    assert_true(gnt_hash_mix(1, 2) == gnt_hash_mix(1, 2));
    assert_true(gnt_hash_mix(1, 2) != gnt_hash_mix(1, 3));
    assert_true(gnt_hash_mix(1, 2) != gnt_hash_mix(2, 2));
}

struct item {
    struct gnt_map_node node;
    int key;
    bool in;
};

static struct item *item_of(struct gnt_map_node *node)
{
    return GNT_CONTAINER(node, struct item, node);
}

static struct item *find(const struct gnt_map *m, int key, uint64_t hash)
{
    struct gnt_map_node *node = gnt_map_first(m, hash);
    while (node && item_of(node)->key != key)
        node = gnt_map_next(node);
    return node ? item_of(node) : NULL;
}

static void test_empty_map(void **state)
{
    (void)state;
    struct gnt_map m = {0};
    struct gnt_map_cursor cursor = {0};
    assert_null(gnt_map_first(&m, 1));
    assert_null(gnt_map_walk(&m, &cursor));
    gnt_map_fini(&m);
}

static void test_same_hash(void **state)
{
    (void)state;
    struct gnt_map m = {0};
    struct item items[40];
    for (int i = 0; i < 40; i++) {
        items[i].key = i;
        assert_int_equal(gnt_map_insert(&m, &items[i].node, 5 + 64 * (uint64_t)(i % 2)), GNT_OK);
    }
    for (int i = 0; i < 40; i++) {
        assert_ptr_equal(find(&m, i, 5 + 64 * (uint64_t)(i % 2)), &items[i]);
        assert_null(find(&m, i, 5 + 64 * (uint64_t)(1 - i % 2)));
    }
    gnt_map_fini(&m);
}

enum { KEYS = 500 };

/* How many items a walk meets, each once; every third is removed from under it. */
static size_t walk(struct gnt_map *m, bool removing)
{
    static int met[KEYS];
    memset(met, 0, sizeof met);
    size_t count = 0;
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(m, &cursor)); count++) {
        struct item *item = item_of(node);
        assert_true(item->in);
        assert_int_equal(met[item->key]++, 0);
        if (removing && item->key % 3 == 0) {
            gnt_map_remove(m, node);
            item->in = false;
        }
    }
    return count;
}

/* Random insertions and removals against an array that knows who is in.  Few different hashes, so
 * that chains are long and hashes collide. */
static void test_against_model(void **state)
{
    (void)state;
    static struct item items[KEYS];
    struct gnt_map m = {0};
    struct gnt_seeded g;
    size_t in = 0;
    gnt_seeded_init(&g, 3);
    for (int turn = 0; turn < 40000; turn++) {
        int key = (int)gnt_random_below(&g.door, KEYS);
        uint64_t hash = gnt_hash_mix(0, (uint64_t)key % 97);
        struct item *item = &items[key];
        assert_ptr_equal(find(&m, key, hash), item->in ? item : NULL);
        if (item->in) {
            gnt_map_remove(&m, &item->node);
            in--;
        } else {
            item->key = key;
            assert_int_equal(gnt_map_insert(&m, &item->node, hash), GNT_OK);
            in++;
        }
        item->in = !item->in;
        assert_int_equal(m.count, in);
        if (turn % 1000 == 0) {
            assert_int_equal(walk(&m, true), in);
            in = walk(&m, false);
        }
    }
    gnt_map_fini(&m);
}

/* The first buckets are needed; later a table that cannot grow is only slower. */
static void test_allocation_failure(void **state)
{
    (void)state;
    struct gnt_map m = {0};
    struct item items[100];
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_map_insert(&m, &items[0].node, 0), GNT_NOMEM);
    assert_int_equal(m.count, 0);
    for (int i = 0; i < 100; i++) {
        items[i].key = i;
        gnt_alloc_fail_at(i < 99 && i > 0 ? 0 : -1);
        assert_int_equal(gnt_map_insert(&m, &items[i].node, gnt_hash_mix(0, (uint64_t)i)), GNT_OK);
        gnt_alloc_fail_at(-1);
    }
    assert_int_equal(m.count, 100);
    for (int i = 0; i < 100; i++)
        assert_ptr_equal(find(&m, i, gnt_hash_mix(0, (uint64_t)i)), &items[i]);
    gnt_map_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash_vectors),
        cmocka_unit_test(test_key_and_length_matter),
        cmocka_unit_test(test_mix),
        cmocka_unit_test(test_empty_map),
        cmocka_unit_test(test_same_hash),
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
