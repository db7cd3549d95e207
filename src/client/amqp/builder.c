/* Lists, maps, arrays and described values, made of their parts. */
#include "client/amqp/value.h"

#include <stdlib.h>

struct open_one {
    enum gnatter_amqp_type type;
    uint32_t count;
    size_t at; /* where its inside begins */
};

struct gnatter_amqp_builder {
    gnt_err err;
    bool finished; /* `bytes` has been handed out: what comes begins anew */
    unsigned depth;
    struct gnt_buf bytes; /* values one after the other, those that are open without a head */
    struct open_one open[GNT_AMQP_DEPTH_MAX + 1]; /* the first is no value, but where all stand */
};

int gnatter_amqp_builder_new(gnatter_amqp_builder **out)
{
    gnatter_amqp_builder *b = calloc(1, sizeof *b);
    if (!b)
        return GNT_NOMEM;
    *out = b;
    return GNT_OK;
}

void gnatter_amqp_builder_free(gnatter_amqp_builder *b)
{
    if (!b)
        return;
    gnt_buf_fini(&b->bytes);
    free(b);
}

static void begin_anew(gnatter_amqp_builder *b)
{
    gnt_buf_clear(&b->bytes);
    b->err = GNT_OK;
    b->depth = 0;
    b->open[0].count = 0;
    b->finished = false;
}

static void fail(gnatter_amqp_builder *b, gnt_err err)
{
    if (!b->err)
        b->err = err;
}

void gnatter_amqp_begin(gnatter_amqp_builder *b, enum gnatter_amqp_type type)
{
    if (b->finished)
        begin_anew(b);
    if (type < GNATTER_AMQP_LIST || type > GNATTER_AMQP_DESCRIBED || b->depth == GNT_AMQP_DEPTH_MAX)
        fail(b, GNT_INVALID);
    if (b->err)
        return;
    b->open[++b->depth] = (struct open_one){type, 0, gnt_buf_size(&b->bytes)};
}

void gnatter_amqp_add(gnatter_amqp_builder *b, struct gnatter_amqp_value value)
{
    if (b->finished)
        begin_anew(b);
    if (!b->err)
        b->err = gnt_value_encode(&value, &b->bytes);
    b->open[b->depth].count++;
}

/* ---- The head of what ends is chosen when its inside is known */

struct inside {
    const struct open_one *one;
    struct gnt_slice bytes;
};

/* All of one type, which is not described: *type; null if there is none. */
static bool one_type(struct gnt_slice bytes, enum gnt_amqp_type *type)
{
    struct gnt_reader in = gnt_reader(bytes);
    struct gnt_amqp_value v;
    *type = GNT_AMQP_NULL;
    for (bool first = true; gnt_read_left(&in); first = false) {
        gnt_amqp_read(&in, &v);
        if (in.bad || v.type == GNT_AMQP_DESCRIBED || (!first && v.type != *type))
            return false;
        *type = v.type;
    }
    return true;
}

static void put_array(struct gnt_amqp_writer *w, const struct inside *inside)
{
    struct gnt_reader in = gnt_reader(inside->bytes);
    struct gnt_amqp_value v;
    enum gnt_amqp_type type;
    (void)one_type(inside->bytes, &type);
    size_t mark = gnt_amqp_begin_array(w, (struct gnt_slice){0}, gnt_amqp_widest_form(type));
    while (gnt_read_left(&in)) {
        gnt_amqp_read(&in, &v);
        gnt_amqp_put_element(w, gnt_amqp_widest_form(type), &v);
    }
    gnt_amqp_end_array(w, mark, inside->one->count);
}

static void put_compound(struct gnt_amqp_writer *w, const void *context)
{
    const struct inside *inside = context;
    size_t mark;
    switch ((int)inside->one->type) {
    case GNATTER_AMQP_LIST:
        mark = gnt_amqp_begin_list(w);
        gnt_amqp_put_raw(w, inside->bytes);
        gnt_amqp_end_list(w, mark, inside->one->count);
        break;
    case GNATTER_AMQP_MAP:
        mark = gnt_amqp_begin_map(w);
        gnt_amqp_put_raw(w, inside->bytes);
        gnt_amqp_end_map(w, mark, inside->one->count);
        break;
    case GNATTER_AMQP_ARRAY: put_array(w, inside); break;
    default: {
        const uint8_t zero = GNT_AMQP_FORM_DESCRIBED;
        gnt_amqp_put_raw(w, gnt_slice(&zero, 1));
        gnt_amqp_put_raw(w, inside->bytes);
    }
    }
}

static bool can_end(const struct inside *inside)
{
    enum gnt_amqp_type type;
    switch ((int)inside->one->type) {
    case GNATTER_AMQP_MAP: return inside->one->count % 2 == 0;
    case GNATTER_AMQP_ARRAY: return one_type(inside->bytes, &type);
    case GNATTER_AMQP_DESCRIBED: return inside->one->count == 2;
    default: return true;
    }
}

void gnatter_amqp_end(gnatter_amqp_builder *b)
{
    struct gnt_buf whole = {0};
    if (b->finished || b->depth == 0)
        fail(b, GNT_INVALID);
    if (b->err)
        return;
    struct open_one *one = &b->open[b->depth];
    const struct inside inside = {one, gnt_slice_skip(gnt_buf_slice(&b->bytes), one->at)};
    if (!can_end(&inside))
        fail(b, GNT_INVALID);
    if (!b->err)
        b->err = gnt_put_into(&whole, put_compound, &inside);
    gnt_buf_cut(&b->bytes, one->at);
    if (!b->err)
        b->err = gnt_buf_put(&b->bytes, gnt_buf_slice(&whole));
    gnt_buf_fini(&whole);
    b->open[--b->depth].count++;
}

int gnatter_amqp_built(gnatter_amqp_builder *b, struct gnatter_amqp_value *out)
{
    struct gnt_amqp_value value;
    struct gnt_slice bytes = gnt_buf_slice(&b->bytes);
    gnt_err err = b->err;
    if (!err && (b->finished || b->depth || b->open[0].count != 1 || !gnt_amqp_valid(bytes)))
        err = GNT_INVALID;
    if (!err)
        err = gnt_amqp_parse(bytes, &value);
    if (!err)
        *out = gnt_value_out(&value);
    b->finished = true;
    return err;
}
