#include "base/hex.h"

static char *put(char *to, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    *to++ = digits[byte >> 4];
    *to++ = digits[byte & 15];
    return to;
}

size_t gnt_hex_text(struct gnt_slice bytes, char *out)
{
    char *to = out;
    for (size_t i = 0; i < bytes.size; i++)
        to = put(to, bytes.data[i]);
    *to = '\0';
    return (size_t)(to - out);
}

size_t gnt_uuid_text(const uint8_t uuid[GNT_UUID_BYTES], char out[GNT_UUID_TEXT])
{
    char *to = out;
    for (size_t i = 0; i < GNT_UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        to = put(to, uuid[i]);
    }
    *to = '\0';
    return (size_t)(to - out);
}
