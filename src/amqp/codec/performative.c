#include "amqp/codec/performative.h"

#include "amqp/codec/composite.h"
#include "amqp/codec/form.h"
#include "base/assert.h"

/* Where the structs of all composites lie in a struct gnt_amqp_composite. */
enum { UNION = offsetof(struct gnt_amqp_composite, open) };

/* ---- Tables */

#define MUST true
#define MAY  false
#define FIELD(kind, field, need, absent) \
    {#field, (absent), offsetof(struct_of, field), GNT_AMQP_KIND_##kind, (need)},
#define COMPOSITE_ROW(NAME, name, code, symbol, FIELDS)                                   \
    case GNT_AMQP_##NAME: {                                                               \
        typedef struct gnt_amqp_##name struct_of;                                         \
        static const struct gnt_amqp_field fields[] = {FIELDS(FIELD)};                    \
        _Static_assert(sizeof(((struct_of *)0)->has) == sizeof fields / sizeof fields[0], \
                       "`has` is an array of bool");                                      \
        static const struct gnt_amqp_row row = {(symbol), fields, sizeof(struct_of),      \
                                                sizeof fields / sizeof fields[0], false}; \
        return &row;                                                                      \
    }
#define FIELDLESS_ROW(NAME, name, code, symbol)                               \
    case GNT_AMQP_##NAME: {                                                   \
        static const struct gnt_amqp_row row = {(symbol), NULL, 0, 0, false}; \
        return &row;                                                          \
    }
#define SECTION_ROW(NAME, name, code, symbol)                                \
    case GNT_AMQP_##NAME: {                                                  \
        static const struct gnt_amqp_row row = {(symbol), NULL, 0, 0, true}; \
        return &row;                                                         \
    }

const struct gnt_amqp_row *gnt_amqp_row(uint64_t code)
{
    switch (code) {
        GNT_AMQP_COMPOSITES(COMPOSITE_ROW)
        GNT_AMQP_FIELDLESS(FIELDLESS_ROW)
        GNT_AMQP_SECTIONS(SECTION_ROW)
    default: return NULL; /* a number from the wire */
    }
}

static const struct {
    uint8_t type, size, choices;
} kinds[GNT_AMQP_KIND_COUNT] = {
#define KIND_ROW(KIND, in_c, type, choices) \
    [GNT_AMQP_KIND_##KIND] = {GNT_AMQP_##type, sizeof(in_c), (choices)},
    GNT_AMQP_KINDS(KIND_ROW)
#undef KIND_ROW
};

enum gnt_amqp_type gnt_amqp_kind_type(enum gnt_amqp_kind kind)
{
    return (enum gnt_amqp_type)kinds[kind].type;
}

/* "amqp:open:list": what is between the colons. */
struct gnt_slice gnt_amqp_descriptor_name(uint64_t code)
{
    const struct gnt_amqp_row *row = gnt_amqp_row(code);
    if (!row)
        return gnt_slice(NULL, 0);
    const char *name = strchr(row->symbol, ':') + 1;
    return gnt_slice(name, strcspn(name, ":"));
}

/* ---- Descriptors */

static uint64_t code_of_symbol(struct gnt_slice symbol)
{
    for (uint64_t code = 1; code < GNT_AMQP_DESCRIPTOR_END; code++) {
        const struct gnt_amqp_row *row = gnt_amqp_row(code);
        if (row && gnt_slice_eq_str(symbol, row->symbol))
            return code;
    }
    return 0;
}

__attribute__((noinline)) static uint64_t read_any_descriptor(struct gnt_reader *in)
{
    struct gnt_amqp_value descriptor = {0};
    if (gnt_read_u8(in) == GNT_AMQP_FORM_DESCRIBED)
        gnt_amqp_read(in, &descriptor);
    if (descriptor.type == GNT_AMQP_ULONG)
        return descriptor.number;
    if (descriptor.type == GNT_AMQP_SYMBOL)
        return code_of_symbol(descriptor.bytes);
    in->bad = true;
    return 0;
}

uint64_t gnt_amqp_read_descriptor(struct gnt_reader *in)
{
    const uint8_t *at = in->at;
    if (gnt_read_left(in) < 3 || at[0] != GNT_AMQP_FORM_DESCRIBED ||
        at[1] != GNT_AMQP_FORM_SMALLULONG) /* as nearly everybody writes it */
        return read_any_descriptor(in);
    in->at = at + 3;
    return at[2];
}

enum gnt_amqp_descriptor gnt_amqp_code_of(struct gnt_slice encoded)
{
    struct gnt_reader in = gnt_reader(encoded);
    const uint64_t code = gnt_amqp_read_descriptor(&in);
    return !in.bad && gnt_amqp_row(code) ? (enum gnt_amqp_descriptor)code : 0;
}

/* ---- Decoding */

/* One symbol or an array of them [AMQP 1.4]; or a list, as qpid-proton writes what its Python users
 * have given it. */
static bool symbols_valid(const struct gnt_amqp_value *v)
{
    if (v->type != GNT_AMQP_SYMBOL && v->type != GNT_AMQP_ARRAY && v->type != GNT_AMQP_LIST)
        return false;
    struct gnt_amqp_items items = gnt_amqp_symbols(v);
    struct gnt_amqp_value symbol;
    while (gnt_amqp_items_next(&items, &symbol))
        if (symbol.type != GNT_AMQP_SYMBOL || !gnt_amqp_ascii_valid(symbol.bytes))
            return false;
    return !items.in.bad;
}

static bool is_message_id(const struct gnt_amqp_value *v)
{
    return v->type == GNT_AMQP_ULONG || v->type == GNT_AMQP_UUID || v->type == GNT_AMQP_BINARY ||
           (v->type == GNT_AMQP_STRING && gnt_amqp_text_valid(v->bytes));
}

/* Numbers in a struct have one, two, four or eight bytes, in the machine's order. */
static void store_number(uint8_t *at, unsigned size, uint64_t number)
{
    switch (size) {
    case 1: *at = (uint8_t)number; break;
    case 2: memcpy(at, &(uint16_t){(uint16_t)number}, 2); break;
    case 4: memcpy(at, &(uint32_t){(uint32_t)number}, 4); break;
    default: memcpy(at, &number, 8); break;
    }
}

/* A number of FORM, whose bytes have been seen to be there. */
static bool take_number(struct gnt_reader *in, uint8_t form, enum gnt_amqp_kind kind, uint8_t *to)
{
    const unsigned width = gnt_amqp_width_of_form[form >> 4];
    const uint64_t number = gnt_amqp_unsigned(in->at, width) + (form == GNT_AMQP_FORM_TRUE);
    const unsigned choices = kinds[kind].choices;
    in->at += width;
    store_number(to, kinds[kind].size, number);
    return choices == 0 || number < choices;
}

static bool take_text(struct gnt_reader *in, uint8_t form, enum gnt_amqp_kind kind, uint8_t *to)
{
    const size_t size = gnt_amqp_size_at(in->at, form);
    in->at += gnt_amqp_size_bytes(form);
    if (gnt_read_left(in) < size)
        return false;
    const struct gnt_slice text = gnt_slice(in->at, size);
    in->at += size;
    memcpy(to, &text, sizeof text);
    return kind == GNT_AMQP_KIND_STRING   ? gnt_amqp_text_valid(text)
           : kind == GNT_AMQP_KIND_SYMBOL ? gnt_amqp_ascii_valid(text)
                                          : true;
}

static bool value_valid(enum gnt_amqp_kind kind, const struct gnt_amqp_value *v)
{
    if (kind == GNT_AMQP_KIND_SYMBOLS)
        return symbols_valid(v);
    if (kind == GNT_AMQP_KIND_MESSAGE_ID)
        return is_message_id(v);
    if (kind == GNT_AMQP_KIND_COMPOSITE)
        return v->type == GNT_AMQP_DESCRIBED;
    return (kind == GNT_AMQP_KIND_ANY || v->type == GNT_AMQP_MAP) && gnt_amqp_valid(v->encoded);
}

static bool take_value(struct gnt_reader *in, enum gnt_amqp_kind kind, uint8_t *to)
{
    struct gnt_amqp_value v;
    gnt_amqp_read(in, &v);
    memcpy(to, &v, sizeof v);
    return !in->bad && value_valid(kind, &v);
}

/* Takes a value that is not null off the front into the struct; false if it is none for KIND. */
static bool take_field(struct gnt_reader *in, enum gnt_amqp_kind kind, uint8_t *to)
{
    const uint8_t type = kinds[kind].type;
    if (kinds[kind].size == sizeof(struct gnt_amqp_value))
        return take_value(in, kind, to);
    const uint8_t form = *in->at++;
    if (gnt_amqp_type_of_form[form] != type + 1 ||
        gnt_read_left(in) < gnt_amqp_width_of_form[form >> 4])
        return false;
    return form >= GNT_AMQP_FORM_BINARY8 ? take_text(in, form, kind, to)
                                         : take_number(in, form, kind, to);
}

/* Reads the fields of ROW that LIST has into OUT. */
static bool take_present(const struct gnt_amqp_row *row, const struct gnt_amqp_value *list,
                         uint8_t *out)
{
    struct gnt_reader in = gnt_reader(list->bytes);
    bool *has = (bool *)out;
    for (unsigned i = 0; i < list->count; i++) {
        if (gnt_read_left(&in) == 0)
            return false;
        if (*in.at == GNT_AMQP_FORM_NULL) {
            in.at++;
            continue;
        }
        const struct gnt_amqp_field *f = &row->fields[i];
        has[i] = true;
        if (!take_field(&in, (enum gnt_amqp_kind)f->kind, out + f->offset))
            return false;
    }
    return gnt_read_left(&in) == 0;
}

/* Gives the fields that were absent their defaults; false if one of them is mandatory. */
static bool take_defaults(const struct gnt_amqp_row *row, uint8_t *out)
{
    const bool *has = (const bool *)out;
    bool complete = true;
    for (unsigned i = 0; i < row->count; i++) {
        const struct gnt_amqp_field *f = &row->fields[i];
        if (has[i])
            continue;
        complete &= !f->must;
        if (f->absent)
            store_number(out + f->offset, kinds[f->kind].size, f->absent);
    }
    return complete;
}

static gnt_err take_fields(const struct gnt_amqp_row *row, const struct gnt_amqp_value *list,
                           uint8_t *out)
{
    if (list->type != GNT_AMQP_LIST || list->count > row->count)
        return GNT_MALFORMED;
    memset(out, 0, row->size);
    if (!take_present(row, list, out))
        return GNT_MALFORMED;
    return take_defaults(row, out) ? GNT_OK : GNT_PROTOCOL;
}

gnt_err gnt_amqp_read_composite(struct gnt_reader *in, struct gnt_amqp_composite *out)
{
    out->code = gnt_amqp_read_descriptor(in);
    struct gnt_amqp_value list;
    gnt_amqp_read(in, &list);
    if (in->bad)
        return GNT_MALFORMED;
    const struct gnt_amqp_row *row = gnt_amqp_row(out->code);
    gnt_err err =
        !row || row->section ? GNT_UNSUPPORTED : take_fields(row, &list, (uint8_t *)out + UNION);
    in->bad = err != GNT_OK;
    return err;
}

gnt_err gnt_amqp_decode(struct gnt_slice encoded, struct gnt_amqp_composite *out)
{
    struct gnt_reader in = gnt_reader(encoded);
    gnt_err err = gnt_amqp_read_composite(&in, out);
    return err == GNT_OK && gnt_read_left(&in) > 0 ? GNT_MALFORMED : err;
}

gnt_err gnt_amqp_decode_as(enum gnt_amqp_descriptor code, struct gnt_slice encoded, void *out)
{
    const struct gnt_amqp_row *row = gnt_amqp_row(code);
    GNT_ASSERT(row && row->fields);
    struct gnt_reader in = gnt_reader(encoded);
    const uint64_t found = gnt_amqp_read_descriptor(&in);
    struct gnt_amqp_value list;
    gnt_amqp_read(&in, &list);
    if (in.bad || gnt_read_left(&in) > 0 || found != code)
        return GNT_MALFORMED;
    return take_fields(row, &list, out);
}

/* ---- Encoding */

static uint64_t load_number(const uint8_t *at, unsigned size)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (size) {
    case 1: return *at;
    case 2: memcpy(&two, at, 2); return two;
    case 4: memcpy(&four, at, 4); return four;
    default: memcpy(&eight, at, 8); return eight;
    }
}

static void put_field(struct gnt_amqp_writer *w, enum gnt_amqp_kind kind, const uint8_t *from)
{
    const unsigned size = kinds[kind].size;
    struct gnt_amqp_value v = {.type = gnt_amqp_kind_type(kind)};
    if (size == sizeof v)
        memcpy(&v, from, sizeof v);
    else if (size == sizeof v.bytes)
        memcpy(&v.bytes, from, sizeof v.bytes);
    else
        v.number = load_number(from, size);
    gnt_amqp_put_value(w, &v);
}

void gnt_amqp_put_as(struct gnt_amqp_writer *w, enum gnt_amqp_descriptor code,
                     const void *composite)
{
    const struct gnt_amqp_row *row = gnt_amqp_row(code);
    GNT_ASSERT(row && !row->section);
    const uint8_t *from = composite;
    const bool *has = composite;
    uint32_t count = row->count;
    while (count > 0 && !has[count - 1])
        count--;
    gnt_amqp_put_descriptor(w, code);
    const size_t mark = gnt_amqp_begin_list(w);
    for (unsigned i = 0; i < count; i++) {
        if (has[i])
            put_field(w, (enum gnt_amqp_kind)row->fields[i].kind, from + row->fields[i].offset);
        else
            gnt_amqp_put_null(w);
    }
    gnt_amqp_end_list(w, mark, count);
}

void gnt_amqp_put_composite(struct gnt_amqp_writer *w, const struct gnt_amqp_composite *composite)
{
    gnt_amqp_put_as(w, (enum gnt_amqp_descriptor)composite->code,
                    (const uint8_t *)composite + UNION);
}

struct gnt_amqp_value gnt_amqp_encoded(struct gnt_slice encoded)
{
    struct gnt_amqp_value value;
    gnt_err err = gnt_amqp_parse(encoded, &value);
    GNT_ASSERT(err == GNT_OK);
    return value;
}

struct gnt_amqp_value gnt_amqp_fieldless(enum gnt_amqp_descriptor code)
{
#define FIELDLESS_BYTES(NAME, name, wire, symbol)                                            \
    [(wire)-GNT_AMQP_ACCEPTED] = {GNT_AMQP_FORM_DESCRIBED, GNT_AMQP_FORM_SMALLULONG, (wire), \
                                  GNT_AMQP_FORM_LIST0},
    static const uint8_t encodings[][4] = {GNT_AMQP_FIELDLESS(FIELDLESS_BYTES)};
    const struct gnt_amqp_row *row = gnt_amqp_row(code);
    GNT_ASSERT(row && !row->section && row->count == 0);
    const uint8_t *encoding = encodings[code - GNT_AMQP_ACCEPTED];
    return (struct gnt_amqp_value){.type = GNT_AMQP_DESCRIBED,
                                   .bytes = gnt_slice(encoding + 1, sizeof encodings[0] - 1),
                                   .encoded = gnt_slice(encoding, sizeof encodings[0])};
}
