/* Fields of a line: what stands up to a mark, and decimal numbers.  Pure functions. */
#ifndef GNT_AUTH_FIELD_H
#define GNT_AUTH_FIELD_H

#include "base/slice.h"

/* The part of *rest in front of MARK, which is taken off with it.  False: there is no MARK, and
 * nothing has changed. */
static inline bool gnt_field_until(struct gnt_slice *rest, char mark, struct gnt_slice *part)
{
    const uint8_t *at = rest->size ? memchr(rest->data, mark, rest->size) : NULL;
    if (!at)
        return false;
    *part = gnt_slice(rest->data, (size_t)(at - rest->data));
    *rest = gnt_slice_skip(*rest, part->size + 1);
    return true;
}

/* A number from MIN, at least 1, to MAX, written without signs and zeros in front; 0 for anything
 * else. */
static inline uint32_t gnt_field_number(struct gnt_slice text, uint32_t min, uint32_t max)
{
    uint64_t n = 0;
    if (text.size == 0 || text.size > 10 || text.data[0] == '0')
        return 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return 0;
        n = n * 10 + (uint64_t)(text.data[i] - '0');
    }
    return n >= min && n <= max ? (uint32_t)n : 0;
}

#endif
