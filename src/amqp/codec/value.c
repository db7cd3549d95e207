#include "amqp/codec/value.h"

#include "amqp/codec/form.h"
#include "base/utf8.h"

enum {
    SCALAR_MAX = 0x10ffff,
    SURROGATE_FIRST = 0xd800,
    SURROGATE_LAST = 0xdfff,
};

static const char *const type_names[GNT_AMQP_TYPE_COUNT] = {
#define TYPE_NAME(name, text) [GNT_AMQP_##name] = (text),
    GNT_AMQP_TYPES(TYPE_NAME)
#undef TYPE_NAME
};

const uint8_t gnt_amqp_type_of_form[256] = {
#define FORM_TYPE(code, name, type) [code] = GNT_AMQP_##type + 1,
    GNT_AMQP_FORMS(FORM_TYPE)
#undef FORM_TYPE
};

const uint8_t gnt_amqp_width_of_form[16] = {
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

static void fail(struct gnt_reader *in)
{
    in->at = in->end;
    in->bad = true;
}

/* Where what is behind the constructor FORM ends, NULL if it does not. */
static const uint8_t *end_of_body(const uint8_t *at, const uint8_t *end, uint8_t form)
{
    size_t size = gnt_amqp_width_of_form[form >> 4];
    if (gnt_amqp_type_of_form[form] == 0 || (size_t)(end - at) < size)
        return NULL;
    if (form >= GNT_AMQP_FORM_BINARY8)
        size = gnt_amqp_size_bytes(form) + gnt_amqp_size_at(at, form);
    return (size_t)(end - at) < size ? NULL : at + size;
}

/* A description is a descriptor and a value, either of which may be described again: as many values
 * are still to come as there are descriptions that have been begun and not ended. */
void gnt_amqp_skip(struct gnt_reader *in)
{
    for (unsigned left = 1; left > 0 && !in->bad;) {
        const uint8_t form = gnt_read_u8(in);
        if (form == GNT_AMQP_FORM_DESCRIBED) {
            if (++left > GNT_AMQP_DEPTH_MAX)
                fail(in);
            continue;
        }
        in->at = end_of_body(in->at, in->end, form);
        if (!in->at)
            fail(in);
        left--;
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
            in->bad |= gnt_amqp_type_of_form[form] == 0;
            return form;
        }
        gnt_amqp_skip(in);
    }
    in->bad = true;
    return 0;
}

/* Types whose bytes are handed on as they are. */
static bool is_opaque(enum gnt_amqp_type type)
{
    return (type >= GNT_AMQP_DECIMAL32 && type <= GNT_AMQP_DECIMAL128) || type == GNT_AMQP_UUID;
}

/* Whether COUNT elements of FORM can be in LEFT bytes. */
static bool room_for(uint32_t count, uint8_t form, size_t left)
{
    const uint8_t width = gnt_amqp_width_of_form[form >> 4];
    if (width == 0)
        return left == 0 && count <= GNT_AMQP_WIDTHLESS_MAX;
    if (form < GNT_AMQP_FORM_BINARY8)
        return left == (uint64_t)count * width;
    return left >= (uint64_t)count * width;
}

/* An array of none may go without a constructor: not by the standard, but some write it so. */
__attribute__((noinline)) static bool array_possible(const struct gnt_amqp_value *v)
{
    if (v->bytes.size == 0)
        return v->count == 0;
    struct gnt_reader in = gnt_reader(v->bytes);
    struct gnt_slice descriptor;
    const uint8_t form = read_constructor(&in, &descriptor);
    return !in.bad && room_for(v->count, form, gnt_read_left(&in));
}

/* LIST, MAP or ARRAY: a count and the items in the SIZE bytes at AT. */
static bool read_inside(const uint8_t *at, size_t size, uint8_t form, struct gnt_amqp_value *out)
{
    const size_t count_size = gnt_amqp_size_bytes(form);
    if (size < count_size)
        return false;
    out->count = (uint32_t)gnt_amqp_size_at(at, form);
    out->bytes = gnt_slice(at + count_size, size - count_size);
    if (out->type == GNT_AMQP_ARRAY)
        return array_possible(out);
    return out->count <= out->bytes.size && (out->count > 0 || out->bytes.size == 0) &&
           (out->type == GNT_AMQP_LIST || out->count % 2 == 0);
}

/* A number of WIDTH bytes, or what has none to be read; those of two's complement, whose types are
 * BYTE to LONG, keep their sign. */
static bool read_number(const uint8_t *at, unsigned width, uint8_t form, struct gnt_amqp_value *out)
{
    out->number = gnt_amqp_unsigned(at, width);
    if (out->type >= GNT_AMQP_BYTE && out->type <= GNT_AMQP_LONG) {
        const unsigned unused = 64 - 8 * width;
        out->integer = (int64_t)(out->number << unused) >> unused;
    }
    if (form == GNT_AMQP_FORM_TRUE)
        out->number = 1;
    return out->type != GNT_AMQP_BOOLEAN || out->number <= 1;
}

/* Reads what is behind the constructor FORM; where it ends, or NULL if it is broken.  Inline, for
 * there is nothing that is done more often. */
__attribute__((always_inline)) static inline const uint8_t *
read_body(const uint8_t *at, const uint8_t *end, uint8_t form, struct gnt_amqp_value *out)
{
    const unsigned type = gnt_amqp_type_of_form[form];
    size_t size = gnt_amqp_width_of_form[form >> 4];
    if (type == 0 || (size_t)(end - at) < size)
        return NULL;
    out->type = (enum gnt_amqp_type)(type - 1);
    out->count = 0;
    if (form < GNT_AMQP_FORM_BINARY8) {
        out->bytes = gnt_slice(at, size);
        if (!is_opaque(out->type) && !read_number(at, (unsigned)size, form, out))
            return NULL;
        return at + size;
    }
    size = gnt_amqp_size_at(at, form);
    at += gnt_amqp_size_bytes(form);
    if ((size_t)(end - at) < size)
        return NULL;
    out->bytes = gnt_slice(at, size);
    if (form >= GNT_AMQP_FORM_LIST8 && !read_inside(at, size, form, out))
        return NULL;
    return at + size;
}

__attribute__((noinline)) static const uint8_t *
read_described(const uint8_t *start, const uint8_t *end, struct gnt_amqp_value *out)
{
    struct gnt_reader in = gnt_reader(gnt_slice(start, (size_t)(end - start)));
    gnt_amqp_skip(&in);
    out->type = GNT_AMQP_DESCRIBED;
    out->count = 0;
    out->bytes = gnt_slice(start + 1, (size_t)(in.at - start) - 1);
    return in.bad ? NULL : in.at;
}

void gnt_amqp_read(struct gnt_reader *in, struct gnt_amqp_value *out)
{
    const uint8_t *start = in->at, *end = NULL;
    if (!in->bad && start != in->end)
        end = *start == GNT_AMQP_FORM_DESCRIBED ? read_described(start, in->end, out)
                                                : read_body(start + 1, in->end, *start, out);
    if (end) {
        out->encoded = gnt_slice(start, (size_t)(end - start));
        in->at = end;
    } else {
        fail(in);
        *out = (struct gnt_amqp_value){0};
    }
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

static void read_element(struct gnt_reader *in, uint8_t form, struct gnt_amqp_value *out)
{
    const uint8_t *end = in->bad ? NULL : read_body(in->at, in->end, form, out);
    if (!end) {
        fail(in);
        return;
    }
    out->encoded = gnt_slice(NULL, 0);
    in->at = end;
}

/* At the end nothing may be left over. */
static bool no_more(struct gnt_amqp_items *items)
{
    items->in.bad |= gnt_read_left(&items->in) > 0;
    return false;
}

bool gnt_amqp_items_next(struct gnt_amqp_items *items, struct gnt_amqp_value *out)
{
    if (items->left == 0)
        return no_more(items);
    items->left--;
    if (items->form == 0)
        gnt_amqp_read(&items->in, out);
    else
        read_element(&items->in, items->form, out);
    return !items->in.bad;
}

bool gnt_amqp_items_pair(struct gnt_amqp_items *items, struct gnt_amqp_value *key,
                         struct gnt_amqp_value *value)
{
    if (items->left < 2)
        return no_more(items);
    items->left -= 2;
    gnt_amqp_read(&items->in, key);
    gnt_amqp_read(&items->in, value);
    return !items->in.bad;
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

/* What lies between the zeros has to be what MQTT would take. */
__attribute__((noinline)) static bool pieces_valid(struct gnt_slice text)
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

bool gnt_amqp_text_valid(struct gnt_slice text)
{
    return gnt_utf8_valid(text) || pieces_valid(text);
}

bool gnt_amqp_ascii_valid(struct gnt_slice text)
{
    uint64_t all = 0, word;
    for (; text.size >= sizeof word; text = gnt_slice_skip(text, sizeof word)) {
        memcpy(&word, text.data, sizeof word);
        all |= word;
    }
    for (size_t i = 0; i < text.size; i++)
        all |= text.data[i];
    return (all & UINT64_C(0x8080808080808080)) == 0;
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
