#include "amqp/codec/put.h"

#include "amqp/codec/form.h"

enum {
    HEAD8 = 3,  /* constructor, size and count of a short compound */
    HEAD32 = 9, /* of a long one */
    SHORT_MAX = UINT8_MAX,
};

/* Counts N more bytes; where they go if they fit. */
static uint8_t *room(struct gnt_amqp_writer *w, size_t n)
{
    const size_t at = w->size;
    w->size = n > SIZE_MAX - at ? SIZE_MAX : at + n;
    return w->size <= w->capacity ? w->data + at : NULL;
}

static void store_u32(uint8_t *at, uint32_t number)
{
    at[0] = (uint8_t)(number >> 24);
    at[1] = (uint8_t)(number >> 16);
    at[2] = (uint8_t)(number >> 8);
    at[3] = (uint8_t)number;
}

static void put_u8(struct gnt_amqp_writer *w, unsigned number)
{
    uint8_t *at = room(w, 1);
    if (at)
        *at = (uint8_t)number;
}

/* The WIDTH low bytes of NUMBER. */
static void put_number(struct gnt_amqp_writer *w, unsigned width, uint64_t number)
{
    uint8_t *at = room(w, width);
    for (unsigned i = at ? width : 0; i > 0; i--, number >>= 8)
        at[i - 1] = (uint8_t)number;
}

static void put_fixed(struct gnt_amqp_writer *w, uint8_t form, unsigned width, uint64_t number)
{
    uint8_t *at = room(w, 1 + width);
    if (!at)
        return;
    *at = form;
    for (unsigned i = width; i > 0; i--, number >>= 8)
        at[i] = (uint8_t)number;
}

void gnt_amqp_put_raw(struct gnt_amqp_writer *w, struct gnt_slice bytes)
{
    if (bytes.size == 0)
        return;
    uint8_t *at = room(w, bytes.size);
    if (at)
        memcpy(at, bytes.data, bytes.size);
}

/* ---- Primitive values */

void gnt_amqp_put_null(struct gnt_amqp_writer *w)
{
    put_u8(w, GNT_AMQP_FORM_NULL);
}

void gnt_amqp_put_boolean(struct gnt_amqp_writer *w, bool truth)
{
    put_u8(w, truth ? GNT_AMQP_FORM_TRUE : GNT_AMQP_FORM_FALSE);
}

void gnt_amqp_put_ubyte(struct gnt_amqp_writer *w, uint8_t number)
{
    put_fixed(w, GNT_AMQP_FORM_UBYTE, 1, number);
}

void gnt_amqp_put_ushort(struct gnt_amqp_writer *w, uint16_t number)
{
    put_fixed(w, GNT_AMQP_FORM_USHORT, 2, number);
}

void gnt_amqp_put_uint(struct gnt_amqp_writer *w, uint32_t number)
{
    if (number == 0)
        put_u8(w, GNT_AMQP_FORM_UINT0);
    else if (number <= UINT8_MAX)
        put_fixed(w, GNT_AMQP_FORM_SMALLUINT, 1, number);
    else
        put_fixed(w, GNT_AMQP_FORM_UINT, 4, number);
}

void gnt_amqp_put_ulong(struct gnt_amqp_writer *w, uint64_t number)
{
    if (number == 0)
        put_u8(w, GNT_AMQP_FORM_ULONG0);
    else if (number <= UINT8_MAX)
        put_fixed(w, GNT_AMQP_FORM_SMALLULONG, 1, number);
    else
        put_fixed(w, GNT_AMQP_FORM_ULONG, 8, number);
}

static bool is_small(int64_t number)
{
    return number >= INT8_MIN && number <= INT8_MAX;
}

void gnt_amqp_put_int(struct gnt_amqp_writer *w, int32_t number)
{
    if (is_small(number))
        put_fixed(w, GNT_AMQP_FORM_SMALLINT, 1, (uint64_t)number);
    else
        put_fixed(w, GNT_AMQP_FORM_INT, 4, (uint64_t)number);
}

void gnt_amqp_put_long(struct gnt_amqp_writer *w, int64_t number)
{
    if (is_small(number))
        put_fixed(w, GNT_AMQP_FORM_SMALLLONG, 1, (uint64_t)number);
    else
        put_fixed(w, GNT_AMQP_FORM_LONG, 8, (uint64_t)number);
}

void gnt_amqp_put_timestamp(struct gnt_amqp_writer *w, int64_t unix_ms)
{
    put_fixed(w, GNT_AMQP_FORM_TIMESTAMP, 8, (uint64_t)unix_ms);
}

void gnt_amqp_put_uuid(struct gnt_amqp_writer *w, const uint8_t uuid[16])
{
    put_u8(w, GNT_AMQP_FORM_UUID);
    gnt_amqp_put_raw(w, gnt_slice(uuid, 16));
}

/* A size in the width that FORM says. */
static void put_size(struct gnt_amqp_writer *w, uint8_t form, size_t size)
{
    const bool wide = form & GNT_AMQP_WIDE;
    if (size > (wide ? UINT32_MAX : UINT8_MAX)) {
        w->size = SIZE_MAX;
        return;
    }
    uint8_t *at = room(w, wide ? 4 : 1);
    if (at && wide)
        store_u32(at, (uint32_t)size);
    else if (at)
        *at = (uint8_t)size;
}

/* What is in front of text; FORM8 is the short constructor. */
static void put_head(struct gnt_amqp_writer *w, uint8_t form8, size_t size)
{
    if (size <= SHORT_MAX)
        put_fixed(w, form8, 1, size);
    else if (size <= UINT32_MAX)
        put_fixed(w, form8 | GNT_AMQP_WIDE, 4, size);
    else
        w->size = SIZE_MAX;
}

static void put_text(struct gnt_amqp_writer *w, uint8_t form8, struct gnt_slice text)
{
    put_head(w, form8, text.size);
    gnt_amqp_put_raw(w, text);
}

void gnt_amqp_put_binary_head(struct gnt_amqp_writer *w, size_t size)
{
    put_head(w, GNT_AMQP_FORM_BINARY8, size);
}

void gnt_amqp_put_binary(struct gnt_amqp_writer *w, struct gnt_slice bytes)
{
    put_text(w, GNT_AMQP_FORM_BINARY8, bytes);
}

void gnt_amqp_put_string(struct gnt_amqp_writer *w, struct gnt_slice utf8)
{
    put_text(w, GNT_AMQP_FORM_STRING8, utf8);
}

void gnt_amqp_put_symbol(struct gnt_amqp_writer *w, struct gnt_slice ascii)
{
    put_text(w, GNT_AMQP_FORM_SYMBOL8, ascii);
}

void gnt_amqp_put_descriptor(struct gnt_amqp_writer *w, uint64_t code)
{
    put_u8(w, GNT_AMQP_FORM_DESCRIBED);
    gnt_amqp_put_ulong(w, code);
}

/* ---- Compounds */

static size_t begin(struct gnt_amqp_writer *w)
{
    const size_t mark = w->size;
    (void)room(w, HEAD8);
    return mark;
}

/* Puts the head of the compound at MARK in its place: FORM8 is the short constructor, and the long
 * one is the next digit up. */
static void end(struct gnt_amqp_writer *w, size_t mark, uint8_t form8, uint32_t count)
{
    if (w->size == SIZE_MAX)
        return;
    const size_t inside = w->size - mark - HEAD8;
    const bool wide = inside + 1 > SHORT_MAX || count > SHORT_MAX;
    if (wide && inside + 4 > UINT32_MAX) {
        w->size = SIZE_MAX;
        return;
    }
    if (wide)
        (void)room(w, HEAD32 - HEAD8);
    if (w->size > w->capacity)
        return;
    uint8_t *at = w->data + mark;
    if (wide) {
        memmove(at + HEAD32, at + HEAD8, inside);
        at[0] = form8 | GNT_AMQP_WIDE;
        store_u32(at + 1, (uint32_t)inside + 4);
        store_u32(at + 5, count);
    } else {
        at[0] = form8;
        at[1] = (uint8_t)(inside + 1);
        at[2] = (uint8_t)count;
    }
}

size_t gnt_amqp_begin_list(struct gnt_amqp_writer *w)
{
    return begin(w);
}

void gnt_amqp_end_list(struct gnt_amqp_writer *w, size_t mark, uint32_t count)
{
    if (count > 0 || w->size == SIZE_MAX) {
        end(w, mark, GNT_AMQP_FORM_LIST8, count);
        return;
    }
    w->size = mark;
    put_u8(w, GNT_AMQP_FORM_LIST0);
}

size_t gnt_amqp_begin_map(struct gnt_amqp_writer *w)
{
    return begin(w);
}

void gnt_amqp_end_map(struct gnt_amqp_writer *w, size_t mark, uint32_t count)
{
    end(w, mark, GNT_AMQP_FORM_MAP8, count);
}

size_t gnt_amqp_begin_array(struct gnt_amqp_writer *w, struct gnt_slice descriptor,
                            enum gnt_amqp_form form)
{
    const size_t mark = begin(w);
    gnt_amqp_put_raw(w, descriptor);
    put_u8(w, form);
    return mark;
}

void gnt_amqp_end_array(struct gnt_amqp_writer *w, size_t mark, uint32_t count)
{
    end(w, mark, GNT_AMQP_FORM_ARRAY8, count);
}

/* ---- Any value */

/* The constructor of each type that takes the most numbers, the short one of those with a size. */
static const uint8_t usual_form[GNT_AMQP_TYPE_COUNT] = {
    [GNT_AMQP_NULL] = GNT_AMQP_FORM_NULL,
    [GNT_AMQP_BOOLEAN] = GNT_AMQP_FORM_BOOLEAN,
    [GNT_AMQP_UBYTE] = GNT_AMQP_FORM_UBYTE,
    [GNT_AMQP_USHORT] = GNT_AMQP_FORM_USHORT,
    [GNT_AMQP_UINT] = GNT_AMQP_FORM_UINT,
    [GNT_AMQP_ULONG] = GNT_AMQP_FORM_ULONG,
    [GNT_AMQP_BYTE] = GNT_AMQP_FORM_BYTE,
    [GNT_AMQP_SHORT] = GNT_AMQP_FORM_SHORT,
    [GNT_AMQP_INT] = GNT_AMQP_FORM_INT,
    [GNT_AMQP_LONG] = GNT_AMQP_FORM_LONG,
    [GNT_AMQP_FLOAT] = GNT_AMQP_FORM_FLOAT,
    [GNT_AMQP_DOUBLE] = GNT_AMQP_FORM_DOUBLE,
    [GNT_AMQP_DECIMAL32] = GNT_AMQP_FORM_DECIMAL32,
    [GNT_AMQP_DECIMAL64] = GNT_AMQP_FORM_DECIMAL64,
    [GNT_AMQP_DECIMAL128] = GNT_AMQP_FORM_DECIMAL128,
    [GNT_AMQP_CHAR] = GNT_AMQP_FORM_CHAR,
    [GNT_AMQP_TIMESTAMP] = GNT_AMQP_FORM_TIMESTAMP,
    [GNT_AMQP_UUID] = GNT_AMQP_FORM_UUID,
    [GNT_AMQP_BINARY] = GNT_AMQP_FORM_BINARY8,
    [GNT_AMQP_STRING] = GNT_AMQP_FORM_STRING8,
    [GNT_AMQP_SYMBOL] = GNT_AMQP_FORM_SYMBOL8,
    [GNT_AMQP_LIST] = GNT_AMQP_FORM_LIST8,
    [GNT_AMQP_MAP] = GNT_AMQP_FORM_MAP8,
    [GNT_AMQP_ARRAY] = GNT_AMQP_FORM_ARRAY8,
    [GNT_AMQP_DESCRIBED] = GNT_AMQP_FORM_DESCRIBED,
};

enum gnt_amqp_form gnt_amqp_widest_form(enum gnt_amqp_type type)
{
    const uint8_t form = usual_form[type];
    return (enum gnt_amqp_form)(form >= GNT_AMQP_FORM_BINARY8 ? form | GNT_AMQP_WIDE : form);
}

static bool is_raw(uint8_t form)
{
    return form == GNT_AMQP_FORM_UUID || form == GNT_AMQP_FORM_DECIMAL32 ||
           form == GNT_AMQP_FORM_DECIMAL64 || form == GNT_AMQP_FORM_DECIMAL128 ||
           form == GNT_AMQP_FORM_DESCRIBED;
}

/* What stands behind the constructor FORM. */
static void put_body(struct gnt_amqp_writer *w, uint8_t form, const struct gnt_amqp_value *v)
{
    if (form >= GNT_AMQP_FORM_LIST8) {
        put_size(w, form, v->bytes.size + (form & GNT_AMQP_WIDE ? 4 : 1));
        put_size(w, form, v->count);
        gnt_amqp_put_raw(w, v->bytes);
    } else if (form >= GNT_AMQP_FORM_BINARY8) {
        put_size(w, form, v->bytes.size);
        gnt_amqp_put_raw(w, v->bytes);
    } else if (is_raw(form)) {
        gnt_amqp_put_raw(w, v->bytes);
    } else {
        put_number(w, gnt_amqp_width_of_form[form >> 4], v->number);
    }
}

/* The short or the long constructor, as the size of V asks for. */
static uint8_t form_of(const struct gnt_amqp_value *v)
{
    const uint8_t form = usual_form[v->type];
    const bool counted = form >= GNT_AMQP_FORM_LIST8;
    if (form >= GNT_AMQP_FORM_BINARY8 &&
        (v->bytes.size + counted > SHORT_MAX || v->count > SHORT_MAX))
        return form | GNT_AMQP_WIDE;
    return form;
}

static void put_smallest(struct gnt_amqp_writer *w, const struct gnt_amqp_value *v)
{
    if (v->type == GNT_AMQP_BOOLEAN) {
        gnt_amqp_put_boolean(w, v->number != 0);
    } else if (v->type == GNT_AMQP_UINT) {
        gnt_amqp_put_uint(w, (uint32_t)v->number);
    } else if (v->type == GNT_AMQP_ULONG) {
        gnt_amqp_put_ulong(w, v->number);
    } else if (v->type == GNT_AMQP_INT) {
        gnt_amqp_put_int(w, (int32_t)v->integer);
    } else if (v->type == GNT_AMQP_LONG) {
        gnt_amqp_put_long(w, v->integer);
    } else if (v->type == GNT_AMQP_LIST && v->count == 0) {
        put_u8(w, GNT_AMQP_FORM_LIST0);
    } else {
        const uint8_t form = form_of(v);
        put_u8(w, form);
        put_body(w, form, v);
    }
}

void gnt_amqp_put_value(struct gnt_amqp_writer *w, const struct gnt_amqp_value *value)
{
    if (value->encoded.size > 0)
        gnt_amqp_put_raw(w, value->encoded);
    else
        put_smallest(w, value);
}

void gnt_amqp_put_element(struct gnt_amqp_writer *w, enum gnt_amqp_form form,
                          const struct gnt_amqp_value *element)
{
    put_body(w, (uint8_t)form, element);
}

void gnt_amqp_put_symbols(struct gnt_amqp_writer *w, const struct gnt_slice *symbols,
                          uint32_t count)
{
    enum gnt_amqp_form form = GNT_AMQP_FORM_SYMBOL8;
    for (uint32_t i = 0; i < count; i++)
        if (symbols[i].size > SHORT_MAX)
            form = GNT_AMQP_FORM_SYMBOL32;
    const size_t mark = gnt_amqp_begin_array(w, gnt_slice(NULL, 0), form);
    for (uint32_t i = 0; i < count; i++) {
        const struct gnt_amqp_value symbol = gnt_amqp_bytes(GNT_AMQP_SYMBOL, symbols[i]);
        gnt_amqp_put_element(w, form, &symbol);
    }
    gnt_amqp_end_array(w, mark, count);
}
