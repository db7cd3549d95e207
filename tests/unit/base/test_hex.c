#include "base/hex.h"
#include "support/unit.h"

static void bytes(void **state)
{
    (void)state;
    static const uint8_t data[] = {0x00, 0x0f, 0xa5, 0xff};
    char text[2 * sizeof data + 1];
    assert_int_equal(gnt_hex_text(gnt_slice(data, sizeof data), text), 8);
    assert_string_equal(text, "000fa5ff");
    assert_int_equal(gnt_hex_text(gnt_slice(NULL, 0), text), 0);
    assert_string_equal(text, "");
}

static void uuids(void **state)
{
    (void)state;
    static const uint8_t uuid[GNT_UUID_BYTES] = {0xf8, 0x1d, 0x4f, 0xae, 0x7d, 0xec, 0x11, 0xd0,
                                                 0xa7, 0x65, 0x00, 0xa0, 0xc9, 0x1e, 0x6b, 0xf6};
    char text[GNT_UUID_TEXT];
    assert_int_equal(gnt_uuid_text(uuid, text), GNT_UUID_TEXT - 1);
    assert_string_equal(text, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bytes), cmocka_unit_test(uuids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
