#include "client/amqp/value.h"

#include "amqp/codec/print.h"

#include <stdio.h>

#define SAME(name) \
    _Static_assert((int)GNATTER_AMQP_##name == (int)GNT_AMQP_##name, "types go through unchanged")
SAME(NULL);
SAME(ULONG);
SAME(LONG);
SAME(DECIMAL32);
SAME(UUID);
SAME(DESCRIBED);

/* Bits of the integer types; 0: it is none. */
static const uint8_t widths[GNT_AMQP_TYPE_COUNT] = {
    [GNT_AMQP_BOOLEAN] = 1, [GNT_AMQP_UBYTE] = 8, [GNT_AMQP_USHORT] = 16, [GNT_AMQP_UINT] = 32,
    [GNT_AMQP_ULONG] = 64,  [GNT_AMQP_BYTE] = 8,  [GNT_AMQP_SHORT] = 16,  [GNT_AMQP_INT] = 32,
    [GNT_AMQP_LONG] = 64,   [GNT_AMQP_CHAR] = 32,
};

static bool is_signed(enum gnt_amqp_type type)
{
    return type >= GNT_AMQP_BYTE && type <= GNT_AMQP_LONG;
}

static bool in_range(const struct gnatter_amqp_value *v)
{
    unsigned width = widths[v->type];
    if (width == 0 || width == 64)
        return true;
    if (!is_signed((enum gnt_amqp_type)v->type))
        return v->number >> width == 0;
    int64_t most = (INT64_C(1) << (width - 1)) - 1;
    return v->integer <= most && v->integer >= -most - 1;
}

/* An element of an array has no `encoded`. */
static struct gnt_amqp_value compound(const struct gnatter_amqp_value *v)
{
    return (struct gnt_amqp_value){.type = (enum gnt_amqp_type)v->type,
                                   .count = v->count,
                                   .bytes = gnt_slice_of(v->bytes),
                                   .encoded = gnt_slice_of(v->encoded)};
}

gnt_err gnt_value_in(const struct gnatter_amqp_value *v, struct gnt_amqp_value *out)
{
    if ((unsigned)v->type >= GNT_AMQP_TYPE_COUNT || !in_range(v))
        return GNT_INVALID;
    enum gnt_amqp_type type = (enum gnt_amqp_type)v->type;
    if (type == GNT_AMQP_FLOAT)
        *out = gnt_amqp_float((float)v->real);
    else if (type == GNT_AMQP_DOUBLE)
        *out = gnt_amqp_double(v->real);
    else if (type >= GNT_AMQP_LIST)
        *out = compound(v);
    else if (widths[type] && !is_signed(type))
        *out = gnt_amqp_number(type, v->number);
    else if (widths[type] || type == GNT_AMQP_TIMESTAMP)
        *out = gnt_amqp_integer(type, v->integer);
    else if (type == GNT_AMQP_NULL)
        *out = (struct gnt_amqp_value){.type = GNT_AMQP_NULL};
    else
        *out = gnt_amqp_bytes(type, gnt_slice_of(v->bytes));
    return GNT_OK;
}

struct gnatter_amqp_value gnt_value_out(const struct gnt_amqp_value *v)
{
    enum gnatter_amqp_type type = (enum gnatter_amqp_type)v->type;
    if (v->type == GNT_AMQP_FLOAT)
        return gnatter_amqp_real(type, (double)gnt_amqp_as_float(v));
    if (v->type == GNT_AMQP_DOUBLE)
        return gnatter_amqp_real(type, gnt_amqp_as_double(v));
    if (widths[v->type] && !is_signed(v->type))
        return gnatter_amqp_number(type, v->number);
    if (widths[v->type] || v->type == GNT_AMQP_TIMESTAMP)
        return gnatter_amqp_integer(type, v->integer);
    if (v->type == GNT_AMQP_NULL)
        return gnatter_amqp_null();
    struct gnatter_amqp_value out = gnatter_amqp_bytes(type, v->bytes.data, v->bytes.size);
    if (v->type >= GNT_AMQP_LIST) {
        out.count = v->count;
        out.encoded = gnt_bytes_of(v->encoded);
    }
    return out;
}

gnt_err gnt_put_into(struct gnt_buf *out,
                     void (*put)(struct gnt_amqp_writer *w, const void *context),
                     const void *context)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(NULL, 0);
    put(&w, context);
    if (w.size == SIZE_MAX)
        return GNT_TOOBIG;
    size_t size = w.size;
    gnt_err err = gnt_buf_reserve(out, size);
    if (err)
        return err;
    w = gnt_amqp_writer(gnt_buf_tail(out), size);
    put(&w, context);
    gnt_buf_wrote(out, w.size);
    return GNT_OK;
}

static void put_value(struct gnt_amqp_writer *w, const void *value)
{
    gnt_amqp_put_value(w, value);
}

gnt_err gnt_value_encode(const struct gnatter_amqp_value *v, struct gnt_buf *out)
{
    struct gnt_amqp_value value;
    const size_t before = gnt_buf_size(out);
    gnt_err err = gnt_value_in(v, &value);
    if (!err)
        err = gnt_put_into(out, put_value, &value);
    if (err)
        return err;
    struct gnt_slice encoded = gnt_slice_skip(gnt_buf_slice(out), before);
    struct gnt_amqp_value back;
    if (gnt_amqp_valid(encoded) && !gnt_amqp_parse(encoded, &back) &&
        back.type == (enum gnt_amqp_type)v->type)
        return GNT_OK;
    gnt_buf_cut(out, before);
    return GNT_INVALID;
}

/* ---- The public functions */

const char *gnatter_amqp_type_name(enum gnatter_amqp_type type)
{
    bool known = (unsigned)type < GNT_AMQP_TYPE_COUNT;
    return known ? gnt_amqp_type_name((enum gnt_amqp_type)type) : "unknown";
}

/* A described value is walked as the two values that stand behind its first byte. */
struct gnatter_amqp_walk gnatter_amqp_items(const struct gnatter_amqp_value *value)
{
    struct gnatter_amqp_walk out;
    memset(&out, 0, sizeof out);
    if (value->type < GNATTER_AMQP_LIST)
        return out;
    const struct gnt_amqp_value v = compound(value);
    struct gnt_amqp_items items = gnt_amqp_items(&v);
    if (v.type == GNT_AMQP_DESCRIBED) {
        items.in = gnt_reader(v.bytes);
        items.left = 2;
    }
    out.at = items.in.at;
    out.end = items.in.end;
    out.descriptor = gnt_bytes_of(items.descriptor);
    out.left = items.left;
    out.form = items.form;
    return out;
}

bool gnatter_amqp_next(struct gnatter_amqp_walk *items, struct gnatter_amqp_value *out)
{
    struct gnt_amqp_value v;
    struct gnt_amqp_items in = {.in = {items->at, items->end, false},
                                .left = items->left,
                                .form = items->form,
                                .descriptor = gnt_slice_of(items->descriptor)};
    *out = gnatter_amqp_null();
    if (!items->left || !gnt_amqp_items_next(&in, &v)) {
        items->left = 0;
        return false;
    }
    items->at = in.in.at;
    items->left = in.left;
    *out = gnt_value_out(&v);
    return true;
}

bool gnatter_amqp_find(const struct gnatter_amqp_value *map, const char *key,
                       struct gnatter_amqp_value *out)
{
    const struct gnt_amqp_value m = compound(map);
    struct gnt_amqp_value found;
    *out = gnatter_amqp_null();
    if (map->type != GNATTER_AMQP_MAP || !gnt_amqp_find(&m, gnt_slice_str(key), &found))
        return false;
    *out = gnt_value_out(&found);
    return true;
}

bool gnatter_amqp_is(const struct gnatter_amqp_value *value, const char *text)
{
    return value->type >= GNATTER_AMQP_BINARY && value->type <= GNATTER_AMQP_SYMBOL &&
           gnt_slice_eq_str(gnt_slice_of(value->bytes), text);
}

char *gnatter_amqp_show(const struct gnatter_amqp_value *value, char *out, size_t cap)
{
    struct gnt_buf encoded = {0}, text = {0};
    gnt_err err = gnt_value_encode(value, &encoded);
    if (!err)
        err = gnt_amqp_print_value(&text, cap - 1, gnt_buf_slice(&encoded));
    struct gnt_slice shown = err ? gnt_slice_str("...") : gnt_buf_slice(&text);
    (void)snprintf(out, cap, "%.*s", (int)shown.size, (const char *)shown.data);
    gnt_buf_fini(&encoded);
    gnt_buf_fini(&text);
    return out;
}
