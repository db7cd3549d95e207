/* The first byte says where to cut the rest in two and how large the log's field is. */
#include "fuzz.h"

#include "base/assert.h"
#include "base/utf8.h"

#include <stdlib.h>

/* A copy of exactly that size, so that a read past its end is seen. */
static bool valid(struct gnt_slice text)
{
    uint8_t *copy = malloc(text.size ? text.size : 1);
    GNT_ASSERT(copy != NULL);
    if (text.size)
        memcpy(copy, text.data, text.size);
    bool result = gnt_utf8_valid(gnt_slice(copy, text.size));
    free(copy);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct gnt_slice text = gnt_slice(data + 1, size - 1);
    size_t cut = data[0] < text.size ? data[0] : text.size;
    struct gnt_slice front = gnt_slice(text.data, cut), back = gnt_slice_skip(text, cut);

    /* Two good halves make a good whole; if the whole and one half are good, so is the other. */
    bool whole = valid(text), first = valid(front), second = valid(back);
    GNT_ASSERT(whole == (first && second) || (whole && !first && !second));

    size_t cap = 8 + (size_t)data[0];
    char *out = malloc(cap);
    GNT_ASSERT(out != NULL);
    gnt_utf8_printable(text, out, cap);
    struct gnt_slice shown = gnt_slice(out, strnlen(out, cap));
    GNT_ASSERT(shown.size < cap);
    GNT_ASSERT(gnt_utf8_valid(shown));
    free(out);
    return 0;
}
