/* Input of several parts, a line each. */
#ifndef GNT_TESTS_FUZZ_LINES_H
#define GNT_TESTS_FUZZ_LINES_H

#include "base/slice.h"

/* The next line, without its end, which is taken off *rest with it; what is left at last is one. */
static inline struct gnt_slice take_line(struct gnt_slice *rest)
{
    const uint8_t *newline = rest->size ? memchr(rest->data, '\n', rest->size) : NULL;
    size_t size = newline ? (size_t)(newline - rest->data) : rest->size;
    struct gnt_slice line = gnt_slice(rest->data, size);
    *rest = gnt_slice_skip(*rest, newline ? size + 1 : size);
    return line;
}

/* Whether a line has an iteration count that would take long. */
static inline bool is_slow(struct gnt_slice line)
{
    size_t digits = 0;
    for (size_t i = 0; i < line.size && digits < 5; i++)
        digits = line.data[i] >= '0' && line.data[i] <= '9' ? digits + 1 : 0;
    return digits == 5;
}

#endif
