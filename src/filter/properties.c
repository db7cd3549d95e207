#include "filter/properties.h"

#include <stdatomic.h>
#include <stdlib.h>

enum match { MATCH_EQUAL, MATCH_PREFIX, MATCH_SUFFIX, MATCH_PRESENT };

struct condition {
    struct condition *next;
    enum match match;
    struct gnt_filter_name name;
    struct gnt_filter_value expected;
    uint8_t bytes[]; /* of name and expected */
};

struct gnt_properties_filter {
    atomic_uint refs;
    unsigned count;
    size_t bytes;
    struct condition *first, **last;
};

gnt_err gnt_properties_filter_new(struct gnt_properties_filter **out)
{
    struct gnt_properties_filter *f = calloc(1, sizeof *f);
    if (!f)
        return GNT_NOMEM;
    f->refs = 1;
    f->last = &f->first;
    *out = f;
    return GNT_OK;
}

struct gnt_properties_filter *gnt_properties_filter_ref(struct gnt_properties_filter *filter)
{
    if (filter)
        atomic_fetch_add_explicit(&filter->refs, 1, memory_order_relaxed);
    return filter;
}

void gnt_properties_filter_unref(struct gnt_properties_filter **filter)
{
    struct gnt_properties_filter *gone = *filter;
    *filter = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (struct condition *c = gone->first, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(gone);
}

static bool has_bytes(const struct gnt_filter_value *v)
{
    return v->kind == GNT_FILTER_STRING || v->kind == GNT_FILTER_BINARY;
}

/* Takes the modifier off the front of a string. */
static gnt_err take_modifier(struct gnt_slice *text, enum match *match)
{
    static const struct {
        const char *words;
        size_t size; /* of what is taken off */
        enum match match;
    } rows[] = {{"&p:", 3, MATCH_PREFIX}, {"&s:", 3, MATCH_SUFFIX}, {"&&", 1, MATCH_EQUAL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (gnt_slice_starts(*text, gnt_slice_str(rows[i].words))) {
            *text = gnt_slice_skip(*text, rows[i].size);
            *match = rows[i].match;
            return GNT_OK;
        }
    }
    return text->size && text->data[0] == '&' ? GNT_INVALID : GNT_OK;
}

static struct gnt_slice copy(uint8_t *to, struct gnt_slice from)
{
    if (from.size)
        memcpy(to, from.data, from.size);
    return gnt_slice(to, from.size);
}

gnt_err gnt_properties_filter_add(struct gnt_properties_filter *filter, struct gnt_filter_name name,
                                  const struct gnt_filter_value *expected)
{
    enum match match = expected->kind == GNT_FILTER_NULL ? MATCH_PRESENT : MATCH_EQUAL;
    struct gnt_slice bytes = has_bytes(expected) ? expected->bytes : gnt_slice(NULL, 0);
    if (expected->kind == GNT_FILTER_OTHER)
        return GNT_INVALID;
    if (expected->kind == GNT_FILTER_STRING && take_modifier(&bytes, &match))
        return GNT_INVALID;
    size_t left = GNT_PROPERTIES_FILTER_BYTES_MAX - filter->bytes;
    if (filter->count == GNT_PROPERTIES_FILTER_MAX || name.text.size > left ||
        bytes.size > left - name.text.size)
        return GNT_TOOBIG;
    struct condition *c = malloc(sizeof *c + name.text.size + bytes.size);
    if (!c)
        return GNT_NOMEM;
    c->next = NULL;
    c->match = match;
    c->name = (struct gnt_filter_name){copy(c->bytes, name.text), name.tag};
    c->expected = *expected;
    if (has_bytes(expected))
        c->expected.bytes = copy(c->bytes + name.text.size, bytes);
    filter->count++;
    filter->bytes += name.text.size + bytes.size;
    *filter->last = c;
    filter->last = &c->next;
    return GNT_OK;
}

static bool ends(struct gnt_slice text, struct gnt_slice end)
{
    return text.size >= end.size && gnt_slice_eq(gnt_slice_skip(text, text.size - end.size), end);
}

static bool fits(const struct condition *c, const struct gnt_filter_value *v)
{
    switch (c->match) {
    case MATCH_EQUAL:
        if (has_bytes(v) && has_bytes(&c->expected))
            return gnt_slice_eq(v->bytes, c->expected.bytes);
        return gnt_filter_compare(v, &c->expected) == GNT_ORDER_EQUAL;
    case MATCH_PREFIX:
        return v->kind == GNT_FILTER_STRING && gnt_slice_starts(v->bytes, c->expected.bytes);
    case MATCH_SUFFIX: return v->kind == GNT_FILTER_STRING && ends(v->bytes, c->expected.bytes);
    case MATCH_PRESENT: break;
    }
    return true;
}

bool gnt_properties_filter_matches(const struct gnt_properties_filter *filter,
                                   gnt_filter_lookup *lookup, void *context)
{
    for (const struct condition *c = filter->first; c; c = c->next) {
        struct gnt_filter_value v;
        if (!lookup(context, &c->name, &v) || !fits(c, &v))
            return false;
    }
    return true;
}
