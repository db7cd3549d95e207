#include "support/unit.h"

#include "base/random.h"

#include <string.h>

/* SplitMix64's published numbers for these seeds. */
static void test_vectors(void **state)
{
    (void)state;
    static const uint64_t zero[] = {UINT64_C(0xe220a8397b1dcdaf), UINT64_C(0x6e789e6aa1b965f4),
                                    UINT64_C(0x06c45d188009454f)};
    static const uint64_t other[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                     UINT64_C(9817491932198370423)};
    struct gnt_seeded a, b;
    gnt_seeded_init(&a, 0);
    gnt_seeded_init(&b, 1234567);
    for (size_t i = 0; i < 3; i++) {
        assert_true(gnt_seeded_next(&a) == zero[i]);
        assert_true(gnt_random_u64(&b.door) == other[i]);
    }
}

static void test_fill_writes_exactly(void **state)
{
    (void)state;
    struct gnt_seeded g;
    const struct gnt_random *doors[] = {&g.door, &gnt_random_system};
    for (size_t d = 0; d < COUNT_OF(doors); d++) {
        for (size_t size = 0; size <= 33; size++) {
            uint8_t seen[40] = {0};
            for (int turn = 0; turn < 64; turn++) { /* each byte is not 0 at least once */
                uint8_t out[40];
                memset(out, 0xa5, sizeof out);
                gnt_seeded_init(&g, (uint64_t)turn);
                doors[d]->fill(doors[d]->self, out, size);
                for (size_t i = 0; i < sizeof out; i++)
                    if (i < size)
                        seen[i] |= out[i];
                    else
                        assert_int_equal(out[i], 0xa5);
            }
            for (size_t i = 0; i < size; i++)
                assert_int_not_equal(seen[i], 0);
        }
    }
}

static void test_below(void **state)
{
    (void)state;
    struct gnt_seeded g;
    gnt_seeded_init(&g, 9);
    int seen[7] = {0};
    for (int i = 0; i < 7000; i++)
        seen[gnt_random_below(&g.door, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_int_equal(gnt_random_below(&g.door, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_fill_writes_exactly),
        cmocka_unit_test(test_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
