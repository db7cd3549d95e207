#include "support/unit.h"

#include "base/crc32c.h"
#include "base/random.h"

static const uint8_t zeros[32];
static const uint8_t read_command[48] = {
    0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02};
static uint8_t ones[32], rising[32], falling[32];

/* [RFC 3720 B.4], and the check value of the catalogues. */
static const struct {
    struct gnt_slice bytes;
    uint32_t crc;
} vectors[] = {
    {{NULL, 0}, 0},
    {{zeros, 32}, 0x8a9136aa},
    {{ones, 32}, 0x62a8ab43},
    {{rising, 32}, 0x46dd794e},
    {{falling, 32}, 0x113fdb5c},
    {{read_command, 48}, 0xd9963a56},
    {{(const uint8_t *)"123456789", 9}, 0xe3069283},
};

static void vectors_of_the_standard(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < 32; i++) {
        ones[i] = 0xff;
        rising[i] = i;
        falling[i] = (uint8_t)(31 - i);
    }
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        assert_int_equal(gnt_crc32c(0, vectors[i].bytes), vectors[i].crc);
        assert_int_equal(gnt_crc32c_portable(0, vectors[i].bytes), vectors[i].crc);
    }
}

/* Every length and every alignment, whole and in two pieces. */
static void the_same_both_ways_and_in_pieces(void **state)
{
    (void)state;
    struct gnt_seeded g;
    gnt_seeded_init(&g, 1);
    uint8_t bytes[100];
    g.door.fill(g.door.self, bytes, sizeof bytes);
    for (size_t from = 0; from < 9; from++) {
        for (size_t size = 0; size <= sizeof bytes - from; size++) {
            struct gnt_slice all = gnt_slice(bytes + from, size);
            uint32_t crc = gnt_crc32c_portable(0, all);
            assert_int_equal(gnt_crc32c(0, all), crc);
            struct gnt_slice front = gnt_slice(all.data, size / 3);
            struct gnt_slice back = gnt_slice_skip(all, size / 3);
            assert_int_equal(gnt_crc32c(gnt_crc32c(0, front), back), crc);
            assert_int_equal(gnt_crc32c_portable(gnt_crc32c_portable(0, front), back), crc);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_standard),
        cmocka_unit_test(the_same_both_ways_and_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
