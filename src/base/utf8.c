#include "base/utf8.h"

#include <stdio.h>

/* The length of the well-formed sequence at the front of the N > 0 bytes at P, or 0. */
static size_t sequence(const uint8_t *p, size_t n)
{
    uint8_t lead = p[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    size_t size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (n < size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (lead == 0xe0 && p[1] < 0xa0) || (lead == 0xf0 && p[1] < 0x90);
    bool surrogate = lead == 0xed && p[1] > 0x9f;
    bool beyond = lead == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : size;
}

bool gnt_utf8_valid(struct gnt_slice text)
{
    const uint8_t *p = text.data;
    size_t left = text.size;
    while (left) {
        if (left >= 8) { /* eight plain ASCII bytes at once: none is zero, none has the high bit */
            uint64_t w;
            memcpy(&w, p, 8);
            const uint64_t high = UINT64_C(0x8080808080808080), ones = UINT64_C(0x0101010101010101);
            if (((w | (w - ones)) & high) == 0) {
                p += 8;
                left -= 8;
                continue;
            }
        }
        size_t size = *p < 0x80 ? 1 : sequence(p, left);
        if (size == 0 || *p == 0)
            return false;
        p += size;
        left -= size;
    }
    return true;
}

char *gnt_utf8_printable(struct gnt_slice text, char *out, size_t cap)
{
    size_t used = 0, cut = 0; /* where the dots go if not all fits */
    for (size_t i = 0; i < text.size;) {
        const uint8_t *p = text.data + i;
        size_t size = sequence(p, text.size - i);
        bool escape = size == 0 || *p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0);
        size_t need = escape ? 4 : size;
        if (used + sizeof "..." <= cap)
            cut = used;
        if (used + need >= cap) {
            memcpy(out + cut, "...", sizeof "...");
            return out;
        }
        if (escape)
            snprintf(out + used, 5, "\\x%02x", *p);
        else
            memcpy(out + used, p, size);
        used += need;
        i += escape ? 1 : size;
    }
    out[used] = '\0';
    return out;
}
