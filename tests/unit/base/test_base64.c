#include "support/unit.h"

#include "base/base64.h"

static const struct {
    const char *bytes, *text;
} good[] = {
    /* [RFC 4648 10] */
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xff\xef\xbe", "/+++"},
};

static const char *const bad[] = {
    "Z",        "Zg",   "Zg=",    "Zg===",    "=",    "====", "Z===", "Zh==", "Zm9=",
    "Zm8=Zm8=", "Zm 9", "Zm9v\n", "Zg==Zg==", "Zm-v", "Zm_v", "Z=9v", "Zm=v", "\xc3\xa9vv",
};

static void writes_and_reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct gnt_slice bytes = gnt_slice_str(good[i].bytes);
        uint8_t text[16], back[16];
        size_t size = strlen(good[i].text);
        assert_int_equal(GNT_BASE64_SIZE(bytes.size), size);
        assert_ptr_equal(gnt_base64_write(text, bytes), text + size);
        assert_memory_equal(text, good[i].text, size);
        size_t n = 99;
        assert_int_equal(gnt_base64_read(gnt_slice(text, size), back, bytes.size, &n), GNT_OK);
        assert_int_equal(n, bytes.size);
        assert_memory_equal(back, bytes.data, n);
    }
}

static void has_one_text_for_a_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint8_t out[16];
        size_t n;
        if (gnt_base64_read(gnt_slice_str(bad[i]), out, sizeof out, &n) != GNT_MALFORMED)
            fail_msg("taken: %s", bad[i]);
    }
}

static void stays_within_its_room(void **state)
{
    (void)state;
    uint8_t out[5];
    size_t n;
    assert_int_equal(gnt_base64_read(LITERAL("Zm9vYmE="), out, 5, &n), GNT_OK);
    assert_int_equal(gnt_base64_read(LITERAL("Zm9vYmE="), out, 4, &n), GNT_MALFORMED);
    assert_int_equal(gnt_base64_read(LITERAL("Zm9vYmFy"), out, 5, &n), GNT_MALFORMED);
    assert_int_equal(gnt_base64_read(LITERAL("Zg=="), out, 0, &n), GNT_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads),
        cmocka_unit_test(has_one_text_for_a_value),
        cmocka_unit_test(stays_within_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
