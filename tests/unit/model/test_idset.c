#include "model/idset.h"

#include "base/random.h"
#include "support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add_has_remove(void **state)
{
    (void)state;
    struct gnt_idset s = {0};
    static const uint16_t ids[] = {1, 63, 64, 4095, 4096, 40000, 65535};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        assert_false(gnt_idset_has(&s, ids[i]));
        assert_int_equal(gnt_idset_add(&s, ids[i]), GNT_OK);
        assert_int_equal(gnt_idset_add(&s, ids[i]), GNT_OK); /* twice is once */
        assert_true(gnt_idset_has(&s, ids[i]));
        assert_int_equal(gnt_idset_count(&s), i + 1);
    }
    uint16_t id = gnt_idset_next(&s, 0);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        assert_int_equal(id, ids[i]);
        id = ids[i] == 65535 ? 0 : gnt_idset_next(&s, (uint16_t)(ids[i] + 1));
    }
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        assert_true(gnt_idset_remove(&s, ids[i]));
        assert_false(gnt_idset_remove(&s, ids[i]));
        assert_false(gnt_idset_has(&s, ids[i]));
    }
    assert_int_equal(gnt_idset_count(&s), 0);
    assert_int_equal(gnt_idset_next(&s, 1), 0);
    gnt_idset_fini(&s);
}

static void id_zero_is_none(void **state)
{
    (void)state;
    struct gnt_idset s = {0};
    assert_int_equal(gnt_idset_add(&s, 0), GNT_INVALID);
    assert_int_equal(gnt_idset_add(&s, 1), GNT_OK);
    assert_false(gnt_idset_has(&s, 0));
    assert_false(gnt_idset_remove(&s, 0));
    gnt_idset_fini(&s);
}

static void all_ids_fit(void **state)
{
    (void)state;
    struct gnt_idset s = {0};
    for (uint32_t id = 1; id <= 65535; id++)
        assert_int_equal(gnt_idset_add(&s, (uint16_t)id), GNT_OK);
    assert_int_equal(gnt_idset_count(&s), 65535);
    uint32_t seen = 0;
    for (uint16_t id = gnt_idset_next(&s, 1); id; seen++)
        id = id == 65535 ? 0 : gnt_idset_next(&s, (uint16_t)(id + 1));
    assert_int_equal(seen, 65535);
    gnt_idset_fini(&s);
    assert_int_equal(gnt_idset_count(&s), 0);
}

/* A client that counts its ids round and round must not make the set grow. */
static void a_page_left_behind_moves(void **state)
{
    (void)state;
    struct gnt_idset s = {0};
    assert_int_equal(gnt_idset_add(&s, 65535), GNT_OK); /* is never released */
    assert_int_equal(gnt_idset_add(&s, 1), GNT_OK);
    assert_true(gnt_idset_remove(&s, 1));
    gnt_alloc_fail_at(0);
    for (uint32_t n = 0; n < 3 * 65534; n++) {
        uint16_t id = (uint16_t)(n % 65534 + 1);
        assert_int_equal(gnt_idset_add(&s, id), GNT_OK);
        assert_true(gnt_idset_remove(&s, id));
    }
    assert_false(gnt_alloc_failed());
    gnt_alloc_fail_at(-1);
    assert_true(gnt_idset_remove(&s, 65535));
    assert_null(s.pages); /* an empty set holds no memory */
    gnt_idset_fini(&s);
}

static void no_memory(void **state)
{
    (void)state;
    struct gnt_idset s = {0};
    for (int i = 0; i < 2; i++) { /* the first id takes memory twice */
        gnt_alloc_fail_at(i);
        assert_int_equal(gnt_idset_add(&s, 5), GNT_NOMEM);
        assert_true(gnt_alloc_failed());
        gnt_alloc_fail_at(-1);
        assert_false(gnt_idset_has(&s, 5));
        assert_null(s.pages);
    }
    assert_int_equal(gnt_idset_add(&s, 5), GNT_OK);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_idset_add(&s, 5000), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_int_equal(gnt_idset_count(&s), 1);
    assert_false(gnt_idset_has(&s, 5000));
    assert_true(gnt_idset_has(&s, 5));
    gnt_idset_fini(&s);
}

static void random_against_an_array(void **state)
{
    (void)state;
    static bool have[65536];
    memset(have, 0, sizeof have);
    struct gnt_seeded g;
    const char *given = getenv("GNATTER_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 20221122;
    print_message("seed %llu\n", (unsigned long long)seed);
    gnt_seeded_init(&g, seed);
    struct gnt_idset s = {0};
    uint32_t count = 0;
    for (int step = 0; step < 300000; step++) {
        uint64_t r = gnt_seeded_next(&g);
        /* Sometimes crowded into a few ids, sometimes all over. */
        uint16_t id = (uint16_t)((r >> 8) % (step % 1000 < 500 ? 65535 : 200) + 1);
        if (r & 1) {
            assert_int_equal(gnt_idset_add(&s, id), GNT_OK);
            count += !have[id];
            have[id] = true;
        } else {
            assert_int_equal(gnt_idset_remove(&s, id), have[id]);
            count -= have[id];
            have[id] = false;
        }
        assert_int_equal(gnt_idset_count(&s), count);
        if (step % 500)
            continue;
        uint32_t want = id;
        while (want <= 65535 && !have[want])
            want++;
        assert_int_equal(gnt_idset_next(&s, id), want <= 65535 ? want : 0);
    }
    for (uint32_t id = 0; id <= 65535; id++)
        assert_int_equal(gnt_idset_has(&s, (uint16_t)id), have[id]);
    gnt_idset_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_has_remove), cmocka_unit_test(id_zero_is_none),
        cmocka_unit_test(all_ids_fit),    cmocka_unit_test(a_page_left_behind_moves),
        cmocka_unit_test(no_memory),      cmocka_unit_test(random_against_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
