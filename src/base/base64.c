#include "base/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

uint8_t *gnt_base64_write(uint8_t *at, struct gnt_slice bytes)
{
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t three = (uint32_t)bytes.data[i] << 16;
        three |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        three |= left > 2 ? bytes.data[i + 2] : 0;
        *at++ = (uint8_t)letters[three >> 18];
        *at++ = (uint8_t)letters[three >> 12 & 63];
        *at++ = left > 1 ? (uint8_t)letters[three >> 6 & 63] : '=';
        *at++ = left > 2 ? (uint8_t)letters[three & 63] : '=';
    }
    return at;
}

/* 0 to 63, or 64 for what is no letter. */
static uint32_t value_of(uint8_t letter)
{
    const char *found = letter ? memchr(letters, letter, 64) : NULL;
    return found ? (uint32_t)(found - letters) : 64;
}

/* Four letters without padding; false: they are not four letters. */
static bool read_four(const uint8_t *at, uint32_t *three)
{
    uint32_t bad = 0;
    *three = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t value = value_of(at[i]);
        bad |= value & 64;
        *three = *three << 6 | (value & 63);
    }
    return !bad;
}

gnt_err gnt_base64_read(struct gnt_slice text, uint8_t *out, size_t cap, size_t *size)
{
    if (text.size % 4)
        return GNT_MALFORMED;
    size_t n = 0;
    for (size_t i = 0; i < text.size; i += 4) {
        uint8_t four[4] = {text.data[i], text.data[i + 1], text.data[i + 2], text.data[i + 3]};
        size_t count = 3;
        uint32_t three;
        if (i + 4 == text.size && four[3] == '=') {
            count = four[2] == '=' ? 1 : 2;
            memset(four + count + 1, 'A', 3 - count);
        }
        if (!read_four(four, &three) || cap - n < count ||
            (three & (0xffffffu >> 8 * count & 0xffffffu))) /* bits that mean nothing */
            return GNT_MALFORMED;
        for (size_t k = 0; k < count; k++)
            out[n++] = (uint8_t)(three >> (16 - 8 * k));
    }
    *size = n;
    return GNT_OK;
}
