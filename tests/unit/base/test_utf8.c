#include "support/unit.h"

#include "base/random.h"
#include "base/utf8.h"

#include <stdlib.h>

struct row {
    const char *bytes;
    size_t size;
};
#define ROW(text)                \
    {                            \
        (text), sizeof(text) - 1 \
    }

static const struct row good[] = {
    ROW(""),
    ROW("a"),
    ROW("/pi2mqtt/temp"),
    ROW("\x01\x1f\x7f"), /* control characters: allowed, if not wise [MQTT5 1.5.4] */
    ROW("\xc2\x80"),
    ROW("\xdf\xbf"),
    ROW("\xe0\xa0\x80"),
    ROW("\xed\x9f\xbf"), /* U+D7FF, the last before the surrogates */
    ROW("\xee\x80\x80"), /* U+E000, the first after them */
    ROW("\xef\xbf\xbf"), /* U+FFFF: a non-character may be there [MQTT5 1.5.4] */
    ROW("\xef\xbb\xbf"), /* U+FEFF is a character wherever it stands [MQTT-1.5.4-3] */
    ROW("\xf0\x90\x80\x80"),
    ROW("\xf4\x8f\xbf\xbf"),  /* U+10FFFF, the last of all */
    ROW("A\xf0\xaa\x9b\x94"), /* the standard's own example [MQTT5 1.5.4] */
    ROW("twelve bytes\xc3\xa9 and twelve more"),
};

static const struct row bad[] = {
    ROW("\0"), /* U+0000 [MQTT-1.5.4-2] */
    ROW("eight ch\0r"),
    ROW("1234567\0"),
    ROW("\x80"), /* continuation without a lead */
    ROW("\xbf"),
    ROW("a\xffz"),
    ROW("\xfe"),
    ROW("\xc0\x80"), /* overlong U+0000 */
    ROW("\xc1\xbf"),
    ROW("\xe0\x9f\xbf"),
    ROW("\xf0\x8f\xbf\xbf"),
    ROW("\xed\xa0\x80"),             /* U+D800 [MQTT-1.5.4-1] */
    ROW("\xed\xbf\xbf"),             /* U+DFFF */
    ROW("\xed\xa0\x80\xed\xb0\x80"), /* a pair of them is no better */
    ROW("\xf4\x90\x80\x80"),         /* U+110000 */
    ROW("\xf5\x80\x80\x80"),
    ROW("\xf8\x88\x80\x80\x80"),
    ROW("\xc3("), /* the second byte is none */
    ROW("\xe2\x82("),
    ROW("\xe2(\xa1"),
    ROW("\xf0\x90\x80("),
    ROW("\xf0\x90(\x80"),
    ROW("12345678\xff"),
    ROW("1234567\xff"),
};

/* In memory of exactly that size, so that the sanitizer sees a read past the end. */
static bool valid(const char *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    bool result = gnt_utf8_valid(gnt_slice(copy, size));
    free(copy);
    return result;
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!valid(good[i].bytes, good[i].size))
            fail_msg("good row %zu refused", i);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (valid(bad[i].bytes, bad[i].size))
            fail_msg("bad row %zu taken", i);
    assert_true(gnt_utf8_valid(gnt_slice(NULL, 0)));
}

/* Each row behind 0 to 16 plain bytes and before as many, so that words of eight meet it anywhere.
 */
static void test_anywhere_in_a_word(void **state)
{
    (void)state;
    char text[64];
    for (size_t before = 0; before <= 16; before++) {
        memset(text, 'x', sizeof text);
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
            memset(text, 'x', sizeof text);
            memcpy(text + before, bad[i].bytes, bad[i].size);
            assert_false(valid(text, before + bad[i].size));
            assert_false(valid(text, before + bad[i].size + before));
        }
        for (size_t i = 0; i < COUNT_OF(good) - 1; i++) {
            memset(text, 'x', sizeof text);
            memcpy(text + before, good[i].bytes, good[i].size);
            assert_true(valid(text, before + good[i].size + before));
        }
    }
}

/* Encodes CODE as RFC 3629's table says, surrogates too. */
static size_t encode(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(leads[size] | code);
    return size;
}

static void test_every_code_point_cut_at_every_byte(void **state)
{
    (void)state;
    char bytes[4];
    for (uint32_t code = 1; code <= 0x10ffff; code++) {
        size_t size = encode(code, bytes);
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        if (gnt_utf8_valid(gnt_slice(bytes, size)) == surrogate)
            fail_msg("U+%04X", (unsigned)code);
        for (size_t cut = 1; cut < size; cut++)
            if (gnt_utf8_valid(gnt_slice(bytes, cut)))
                fail_msg("U+%04X cut after %zu bytes", (unsigned)code, cut);
    }
}

static void test_printable(void **state)
{
    (void)state;
    static const struct {
        struct row in;
        const char *out;
    } rows[] = {
        {ROW(""), ""},
        {ROW("plain text"), "plain text"},
        {ROW("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f"},
        {ROW("a\nb\x1b[31m"), "a\\x0ab\\x1b[31m"},
        {ROW("\0\x7f"), "\\x00\\x7f"},
        {ROW("\xc2\x9b"), "\\xc2\\x9b"}, /* a control character of two bytes (CSI) */
        {ROW("\xc2\xa0"), "\xc2\xa0"},
        {ROW("\xff\xc3"), "\\xff\\xc3"},
        {ROW("\xed\xa0\x80"), "\\xed\\xa0\\x80"},
    };
    char out[64];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice in = gnt_slice(rows[i].in.bytes, rows[i].in.size);
        assert_ptr_equal(gnt_utf8_printable(in, out, sizeof out), out);
        assert_string_equal(out, rows[i].out);
    }
}

static void test_printable_that_does_not_fit(void **state)
{
    (void)state;
    char out[8];
    static const char *const rows[][2] = {
        {"1234567", "1234567"},
        {"12345678", "1234..."},
        {"123\n", "123\\x0a"},
        {"1234\n", "1234..."},
        {"123\n5", "123..."},
        {"abc\xc3\xa9"
         "de",
         "abc\xc3\xa9"
         "de"},
        {"abc\xc3\xa9"
         "def",
         "abc..."},
        {"\n\n", "\\x0a..."},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        memset(out, 'Z', sizeof out);
        assert_string_equal(gnt_utf8_printable(gnt_slice_str(rows[i][0]), out, sizeof out),
                            rows[i][1]);
    }
}

/* Whatever goes in: what comes out is terminated, in its bounds, valid and without controls. */
static void test_printable_is_always_printable(void **state)
{
    (void)state;
    struct gnt_seeded g;
    gnt_seeded_init(&g, 5);
    for (int turn = 0; turn < 20000; turn++) {
        uint8_t in[40];
        size_t size = (size_t)gnt_random_below(&g.door, sizeof in);
        size_t cap = 8 + (size_t)gnt_random_below(&g.door, 60);
        g.door.fill(g.door.self, in, size);
        char *out = malloc(cap);
        assert_non_null(out);
        gnt_utf8_printable(gnt_slice(in, size), out, cap);
        assert_true(strnlen(out, cap) < cap);
        assert_true(gnt_utf8_valid(gnt_slice_str(out)));
        for (const char *p = out; *p; p++)
            assert_false((unsigned char)*p < 0x20 || *p == 0x7f);
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_anywhere_in_a_word),
        cmocka_unit_test(test_every_code_point_cut_at_every_byte),
        cmocka_unit_test(test_printable),
        cmocka_unit_test(test_printable_that_does_not_fit),
        cmocka_unit_test(test_printable_is_always_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
