#include "amqp/codec/value.h"

#include "base/utf8.h"

enum {
    SCALAR_MAX = 0x10ffff,
    SURROGATE_FIRST = 0xd800,
    SURROGATE_LAST = 0xdfff,

    /* The bit that a constructor with a size of four bytes has, and the one of the same type with a
     * size of one byte has not [AMQP 1.2]. */
    WIDE = 0x10,
};

static const char *const type_names[GNT_AMQP_TYPE_COUNT] = {
#define TYPE_NAME(name, text) [GNT_AMQP_##name] = (text),
    GNT_AMQP_TYPES(TYPE_NAME)
#undef TYPE_NAME
};

/* The type of each constructor plus one, 0 where there is none. */
static const uint8_t type_of_form[256] = {
#define FORM_TYPE(code, name, type) [code] = GNT_AMQP_##type + 1,
    GNT_AMQP_FORMS(FORM_TYPE)
#undef FORM_TYPE
};

/* The bytes that a value takes behind its constructor, by the constructor's high digit; of those
 * with a size, the fewest. */
static const uint8_t width_of_form[16] = {
    [5] = 1,   [6] = 2,   [7] = 4,   [8] = 8,   [9] = 16,  [0xa] = 1,
    [0xb] = 4, [0xc] = 2, [0xd] = 8, [0xe] = 2, [0xf] = 8,
};

const char *gnt_amqp_type_name(enum gnt_amqp_type type)
{
    return type_names[type];
}

struct gnt_amqp_value gnt_amqp_float(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return gnt_amqp_number(GNT_AMQP_FLOAT, bits);
}

struct gnt_amqp_value gnt_amqp_double(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return gnt_amqp_number(GNT_AMQP_DOUBLE, bits);
}

float gnt_amqp_as_float(const struct gnt_amqp_value *v)
{
    const uint32_t bits = (uint32_t)v->number;
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

double gnt_amqp_as_double(const struct gnt_amqp_value *v)
{
    double number;
    memcpy(&number, &v->number, sizeof number);
    return number;
}

/* ---- Reading */

static uint64_t read_u64(struct gnt_reader *in)
{
    const uint64_t high = gnt_read_u32(in);
    return high << 32 | gnt_read_u32(in);
}

/* A size of one or four bytes, as the form says: those of the lower kind have an even high digit.
 */
static uint32_t read_size(struct gnt_reader *in, uint8_t form)
{
    const bool wide = form & 0x10;
    return wide ? gnt_read_u32(in) : gnt_read_u8(in);
}

/* Jumps over what is behind the constructor FORM. */
static void skip_body(struct gnt_reader *in, uint8_t form)
{
    if (type_of_form[form] == 0)
        in->bad = true;
    else
        (void)gnt_read_bytes(in, form >= GNT_AMQP_FORM_BINARY8 ? read_size(in, form)
                                                               : width_of_form[form >> 4]);
}

/* A description is a descriptor and a value, either of which may be described again: as many values
 * are still to come as there are descriptions that have been begun and not ended. */
void gnt_amqp_skip(struct gnt_reader *in)
{
    for (unsigned left = 1; left > 0 && !in->bad;) {
        const uint8_t form = gnt_read_u8(in);
        if (form == GNT_AMQP_FORM_DESCRIBED) {
            if (++left > GNT_AMQP_DEPTH_MAX)
                in->bad = true;
        } else {
            skip_body(in, form);
            left--;
        }
    }
}

/* Takes the constructor of an array's elements off the front. */
static uint8_t read_constructor(struct gnt_reader *in, struct gnt_slice *descriptor)
{
    const uint8_t *start = in->at;
    for (unsigned depth = 0; depth < GNT_AMQP_DEPTH_MAX; depth++) {
        const uint8_t *end = in->at;
        const uint8_t form = gnt_read_u8(in);
        if (form != GNT_AMQP_FORM_DESCRIBED) {
            *descriptor = gnt_slice(start, (size_t)(end - start));
            in->bad |= type_of_form[form] == 0;
            return form;
        }
        gnt_amqp_skip(in);
    }
    in->bad = true;
    return 0;
}

/* Whether COUNT elements of FORM can be in LEFT bytes. */
static bool room_for(uint32_t count, uint8_t form, size_t left)
{
    const uint8_t width = width_of_form[form >> 4];
    if (width == 0)
        return left == 0 && count <= GNT_AMQP_WIDTHLESS_MAX;
    if (form < GNT_AMQP_FORM_BINARY8)
        return left == (uint64_t)count * width;
    return left >= (uint64_t)count * width;
}

/* An array of none may go without a constructor: not by the standard, but some write it so. */
static bool array_possible(const struct gnt_amqp_value *v)
{
    if (v->bytes.size == 0)
        return v->count == 0;
    struct gnt_reader in = gnt_reader(v->bytes);
    struct gnt_slice descriptor;
    const uint8_t form = read_constructor(&in, &descriptor);
    return !in.bad && room_for(v->count, form, gnt_read_left(&in));
}

/* LIST, MAP or ARRAY: a size, a count, and the rest of that many bytes. */
static void read_compound(struct gnt_reader *in, uint8_t form, struct gnt_amqp_value *out)
{
    struct gnt_reader inside = gnt_reader(gnt_read_bytes(in, read_size(in, form)));
    out->count = read_size(&inside, form);
    out->bytes = gnt_slice(inside.at, gnt_read_left(&inside));
    bool good = !inside.bad;
    if (out->type == GNT_AMQP_ARRAY)
        good = good && array_possible(out);
    else
        good = good && out->count <= out->bytes.size && (out->count > 0 || out->bytes.size == 0);
    if (!good || (out->type == GNT_AMQP_MAP && out->count % 2 != 0))
        in->bad = true;
}

static void read_boolean(struct gnt_reader *in, struct gnt_amqp_value *out)
{
    out->number = gnt_read_u8(in);
    if (out->number > 1)
        in->bad = true;
}

/* What is behind the constructor FORM, which is one of the table. */
static void read_body(struct gnt_reader *in, uint8_t form, struct gnt_amqp_value *out)
{
    out->type = (enum gnt_amqp_type)(type_of_form[form] - 1);
    out->count = 0;
    out->bytes = gnt_slice(NULL, 0);
    out->encoded = gnt_slice(NULL, 0);
    switch ((enum gnt_amqp_form)form) {
    case GNT_AMQP_FORM_NULL:
    case GNT_AMQP_FORM_FALSE:
    case GNT_AMQP_FORM_UINT0:
    case GNT_AMQP_FORM_ULONG0:
    case GNT_AMQP_FORM_LIST0: break;
    case GNT_AMQP_FORM_TRUE: out->number = 1; break;
    case GNT_AMQP_FORM_BOOLEAN: read_boolean(in, out); break;
    case GNT_AMQP_FORM_UBYTE:
    case GNT_AMQP_FORM_SMALLUINT:
    case GNT_AMQP_FORM_SMALLULONG: out->number = gnt_read_u8(in); break;
    case GNT_AMQP_FORM_BYTE:
    case GNT_AMQP_FORM_SMALLINT:
    case GNT_AMQP_FORM_SMALLLONG: out->integer = (int8_t)gnt_read_u8(in); break;
    case GNT_AMQP_FORM_USHORT: out->number = gnt_read_u16(in); break;
    case GNT_AMQP_FORM_SHORT: out->integer = (int16_t)gnt_read_u16(in); break;
    case GNT_AMQP_FORM_UINT:
    case GNT_AMQP_FORM_FLOAT:
    case GNT_AMQP_FORM_CHAR: out->number = gnt_read_u32(in); break;
    case GNT_AMQP_FORM_INT: out->integer = (int32_t)gnt_read_u32(in); break;
    case GNT_AMQP_FORM_ULONG:
    case GNT_AMQP_FORM_DOUBLE: out->number = read_u64(in); break;
    case GNT_AMQP_FORM_LONG:
    case GNT_AMQP_FORM_TIMESTAMP: out->integer = (int64_t)read_u64(in); break;
    case GNT_AMQP_FORM_DECIMAL32:
    case GNT_AMQP_FORM_DECIMAL64:
    case GNT_AMQP_FORM_DECIMAL128:
    case GNT_AMQP_FORM_UUID: out->bytes = gnt_read_bytes(in, width_of_form[form >> 4]); break;
    case GNT_AMQP_FORM_BINARY8:
    case GNT_AMQP_FORM_STRING8:
    case GNT_AMQP_FORM_SYMBOL8:
    case GNT_AMQP_FORM_BINARY32:
    case GNT_AMQP_FORM_STRING32:
    case GNT_AMQP_FORM_SYMBOL32: out->bytes = gnt_read_bytes(in, read_size(in, form)); break;
    case GNT_AMQP_FORM_LIST8:
    case GNT_AMQP_FORM_MAP8:
    case GNT_AMQP_FORM_LIST32:
    case GNT_AMQP_FORM_MAP32:
    case GNT_AMQP_FORM_ARRAY8:
    case GNT_AMQP_FORM_ARRAY32: read_compound(in, form, out); break;
    case GNT_AMQP_FORM_DESCRIBED: break; /* not in the table */
    }
}

static void read_described(struct gnt_reader *in, const uint8_t *start, struct gnt_amqp_value *out)
{
    in->at = start;
    gnt_amqp_skip(in);
    *out = (struct gnt_amqp_value){.type = GNT_AMQP_DESCRIBED};
    out->bytes = gnt_slice(start + 1, (size_t)(in->at - start) - 1);
}

void gnt_amqp_read(struct gnt_reader *in, struct gnt_amqp_value *out)
{
    const uint8_t *start = in->at;
    const uint8_t form = gnt_read_u8(in);
    if (type_of_form[form] != 0)
        read_body(in, form, out);
    else if (form == GNT_AMQP_FORM_DESCRIBED && !in->bad)
        read_described(in, start, out);
    else
        in->bad = true;
    if (in->bad)
        *out = (struct gnt_amqp_value){0};
    else
        out->encoded = gnt_slice(start, (size_t)(in->at - start));
}

gnt_err gnt_amqp_parse(struct gnt_slice encoded, struct gnt_amqp_value *out)
{
    struct gnt_reader in = gnt_reader(encoded);
    gnt_amqp_read(&in, out);
    if (!in.bad && gnt_read_left(&in) == 0)
        return GNT_OK;
    *out = (struct gnt_amqp_value){0};
    return GNT_MALFORMED;
}

bool gnt_amqp_described(const struct gnt_amqp_value *value, struct gnt_amqp_value *descriptor,
                        struct gnt_amqp_value *inner)
{
    *descriptor = *inner = (struct gnt_amqp_value){0};
    if (value->type != GNT_AMQP_DESCRIBED)
        return false;
    struct gnt_reader in = gnt_reader(value->bytes);
    gnt_amqp_read(&in, descriptor);
    gnt_amqp_read(&in, inner);
    if (!in.bad && gnt_read_left(&in) == 0)
        return true;
    *descriptor = *inner = (struct gnt_amqp_value){0};
    return false;
}

/* ---- Walking */

struct gnt_amqp_items gnt_amqp_items(const struct gnt_amqp_value *value)
{
    struct gnt_amqp_items items = {.in = gnt_reader(gnt_slice(NULL, 0))};
    const enum gnt_amqp_type type = value->type;
    if (type != GNT_AMQP_LIST && type != GNT_AMQP_MAP && type != GNT_AMQP_ARRAY)
        return items;
    items.in = gnt_reader(value->bytes);
    items.left = value->count;
    if (type == GNT_AMQP_ARRAY && value->bytes.size > 0)
        items.form = read_constructor(&items.in, &items.descriptor);
    return items;
}

bool gnt_amqp_items_next(struct gnt_amqp_items *items, struct gnt_amqp_value *out)
{
    if (items->left == 0) {
        items->in.bad |= gnt_read_left(&items->in) > 0;
        return false;
    }
    items->left--;
    if (items->form == 0)
        gnt_amqp_read(&items->in, out);
    else
        read_body(&items->in, items->form, out);
    return !items->in.bad;
}

bool gnt_amqp_items_pair(struct gnt_amqp_items *items, struct gnt_amqp_value *key,
                         struct gnt_amqp_value *value)
{
    return gnt_amqp_items_next(items, key) && gnt_amqp_items_next(items, value);
}

struct gnt_amqp_items gnt_amqp_symbols(const struct gnt_amqp_value *value)
{
    if (value->type == GNT_AMQP_SYMBOL)
        return (struct gnt_amqp_items){.in = gnt_reader(value->encoded), .left = 1};
    return gnt_amqp_items(value);
}

bool gnt_amqp_next_symbol(struct gnt_amqp_items *symbols, struct gnt_slice *out)
{
    struct gnt_amqp_value value;
    if (!gnt_amqp_items_next(symbols, &value))
        return false;
    *out = value.type == GNT_AMQP_SYMBOL ? value.bytes : gnt_slice(NULL, 0);
    return true;
}

bool gnt_amqp_find(const struct gnt_amqp_value *map, struct gnt_slice name,
                   struct gnt_amqp_value *out)
{
    *out = (struct gnt_amqp_value){0};
    if (map->type != GNT_AMQP_MAP)
        return false;
    struct gnt_reader in = gnt_reader(map->bytes);
    for (uint32_t left = map->count; left > 1 && !in.bad; left -= 2) {
        struct gnt_amqp_value key;
        gnt_amqp_read(&in, &key);
        const bool text = key.type == GNT_AMQP_SYMBOL || key.type == GNT_AMQP_STRING;
        if (text && gnt_slice_eq(key.bytes, name)) {
            gnt_amqp_read(&in, out);
            return !in.bad;
        }
        gnt_amqp_skip(&in);
    }
    return false;
}

/* ---- Checking */

bool gnt_amqp_text_valid(struct gnt_slice text)
{
    while (!gnt_utf8_valid(text)) {
        const uint8_t *zero = memchr(text.data, 0, text.size);
        if (!zero)
            return false;
        const size_t before = (size_t)(zero - text.data);
        if (!gnt_utf8_valid(gnt_slice(text.data, before)))
            return false;
        text = gnt_slice_skip(text, before + 1);
    }
    return true;
}

bool gnt_amqp_ascii_valid(struct gnt_slice text)
{
    uint8_t high = 0;
    for (size_t i = 0; i < text.size; i++)
        high |= text.data[i];
    return high < 0x80;
}

static bool is_scalar(uint64_t code_point)
{
    return code_point <= SCALAR_MAX &&
           !(code_point >= SURROGATE_FIRST && code_point <= SURROGATE_LAST);
}

static bool all_valid(struct gnt_reader *in, unsigned count, unsigned depth);

/* The descriptors in front of the elements of an array. */
static bool descriptors_valid(struct gnt_slice descriptor, unsigned depth)
{
    struct gnt_reader in = gnt_reader(descriptor);
    while (gnt_read_left(&in) > 0) {
        (void)gnt_read_u8(&in);
        if (!all_valid(&in, 1, depth))
            return false;
    }
    return true;
}

static bool items_valid(const struct gnt_amqp_value *value, unsigned depth);

static bool value_valid(const struct gnt_amqp_value *v, unsigned depth)
{
    switch (v->type) {
    case GNT_AMQP_STRING: return gnt_amqp_text_valid(v->bytes);
    case GNT_AMQP_SYMBOL: return gnt_amqp_ascii_valid(v->bytes);
    case GNT_AMQP_CHAR: return is_scalar(v->number);
    case GNT_AMQP_LIST:
    case GNT_AMQP_MAP:
    case GNT_AMQP_ARRAY: return depth < GNT_AMQP_DEPTH_MAX && items_valid(v, depth + 1);
    case GNT_AMQP_DESCRIBED: {
        struct gnt_reader in = gnt_reader(v->bytes);
        return depth < GNT_AMQP_DEPTH_MAX && all_valid(&in, 2, depth + 1);
    }
    case GNT_AMQP_NULL:
    case GNT_AMQP_BOOLEAN:
    case GNT_AMQP_UBYTE:
    case GNT_AMQP_USHORT:
    case GNT_AMQP_UINT:
    case GNT_AMQP_ULONG:
    case GNT_AMQP_BYTE:
    case GNT_AMQP_SHORT:
    case GNT_AMQP_INT:
    case GNT_AMQP_LONG:
    case GNT_AMQP_FLOAT:
    case GNT_AMQP_DOUBLE:
    case GNT_AMQP_DECIMAL32:
    case GNT_AMQP_DECIMAL64:
    case GNT_AMQP_DECIMAL128:
    case GNT_AMQP_TIMESTAMP:
    case GNT_AMQP_UUID:
    case GNT_AMQP_BINARY:
    case GNT_AMQP_TYPE_COUNT: return true;
    }
    return false;
}

static bool items_valid(const struct gnt_amqp_value *value, unsigned depth)
{
    struct gnt_amqp_items items = gnt_amqp_items(value);
    if (!descriptors_valid(items.descriptor, depth))
        return false;
    struct gnt_amqp_value item;
    while (gnt_amqp_items_next(&items, &item))
        if (!value_valid(&item, depth))
            return false;
    return !items.in.bad;
}

static bool all_valid(struct gnt_reader *in, unsigned count, unsigned depth)
{
    for (; count > 0; count--) {
        struct gnt_amqp_value v;
        gnt_amqp_read(in, &v);
        if (in->bad || !value_valid(&v, depth))
            return false;
    }
    return true;
}

bool gnt_amqp_valid(struct gnt_slice encoded)
{
    struct gnt_reader in = gnt_reader(encoded);
    return all_valid(&in, 1, 0) && gnt_read_left(&in) == 0;
}
