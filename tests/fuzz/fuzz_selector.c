/* A selector, up to the first zero byte, and behind it bytes from which the fields of a message are
 * made.  Nothing may crash; what is refused has words that can be shown; what is taken means the
 * same in brackets, and the opposite behind NOT. */
#include "fuzz.h"

#include "base/assert.h"
#include "base/utf8.h"
#include "filter/expression.h"

#include <stdio.h>

/* A field's value, the same each time: its kind and bytes come from where its name leads in FIELDS.
 */
static bool lookup(void *context, const struct gnt_filter_name *name, struct gnt_filter_value *out)
{
    const struct gnt_slice fields = *(const struct gnt_slice *)context;
    if (fields.size == 0)
        return false;
    struct gnt_slice rest =
        gnt_slice_skip(fields, (name->text.size * 7 + name->text.data[0]) % fields.size);
    uint64_t number = 0;
    memcpy(&number, rest.data, rest.size < sizeof number ? rest.size : sizeof number);
    *out = (struct gnt_filter_value){.kind = rest.data[0] % (GNT_FILTER_OTHER + 1)};
    if (out->kind == GNT_FILTER_STRING || out->kind == GNT_FILTER_BINARY)
        out->bytes = gnt_slice_skip(rest, 1);
    else if (out->kind == GNT_FILTER_BOOLEAN)
        out->boolean = number & 256;
    else
        memcpy(&out->unsign, &number, sizeof number);
    return true;
}

static void check_words(struct gnt_slice text, const struct gnt_expression_error *error)
{
    GNT_ASSERT(error->text[0]);
    GNT_ASSERT(gnt_utf8_valid(gnt_slice_str(error->text)));
    GNT_ASSERT(error->column <= text.size + 1);
    for (const char *c = error->text; *c; c++)
        GNT_ASSERT((uint8_t)*c >= ' ' && *c != 0x7f);
}

/* What FRONT TEXT BACK says; UNKNOWN, and *fits false, if that is no selector. */
static enum gnt_truth asked(const char *front, struct gnt_slice text, const char *back,
                            struct gnt_slice fields, bool *fits)
{
    static char whole[GNT_EXPRESSION_TEXT_MAX + 64];
    struct gnt_expression *made = NULL;
    struct gnt_expression_error error = {0, ""};
    *fits = false;
    if (text.size > GNT_EXPRESSION_TEXT_MAX)
        return GNT_UNKNOWN;
    int size = snprintf(whole, sizeof whole, "%s%.*s%s", front, (int)text.size,
                        (const char *)text.data, back);
    struct gnt_slice put = gnt_slice(whole, (size_t)size);
    gnt_err err = gnt_expression_compile(put, &gnt_dialect_jms, &made, &error);
    if (err) {
        GNT_ASSERT(err == GNT_INVALID);
        check_words(put, &error);
        return GNT_UNKNOWN;
    }
    *fits = true;
    enum gnt_truth is = gnt_expression_evaluate(made, lookup, &fields);
    GNT_ASSERT(gnt_expression_evaluate(made, lookup, &fields) == is);
    gnt_expression_unref(&made);
    return is;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum gnt_truth opposite[] = {
        [GNT_FALSE] = GNT_TRUE, [GNT_TRUE] = GNT_FALSE, [GNT_UNKNOWN] = GNT_UNKNOWN};
    const uint8_t *split = size ? memchr(data, 0, size) : NULL;
    struct gnt_slice text = gnt_slice(data, split ? (size_t)(split - data) : size);
    struct gnt_slice fields = gnt_slice(NULL, 0);
    bool fits, more;
    if (split)
        fields = gnt_slice(split + 1, size - text.size - 1);
    enum gnt_truth is = asked("", text, "", fields, &fits);
    if (!fits)
        return 0;
    enum gnt_truth same = asked("(", text, ") AND TRUE", fields, &more);
    GNT_ASSERT(!more || same == is);
    enum gnt_truth negated = asked("NOT(", text, ")", fields, &more);
    GNT_ASSERT(!more || negated == opposite[is]);
    return 0;
}
