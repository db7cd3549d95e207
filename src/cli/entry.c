#include "cli/entry.h"
#include "base/utf8.h"
#include "conf/scalar.h"

#include <stdlib.h>

struct type;
typedef gnt_err reader(const struct type *type, struct gnt_slice text, struct gnt_entry *out);

struct type {
    const char *word;
    enum gnatter_amqp_type type;
    reader *read;
    uint64_t max; /* of numbers; those with a sign go down to -max - 1 */
    const char *expected;
};

/* ---- Kinds of values: GNT_INVALID if TEXT is none */

static gnt_err read_null(const struct type *type, struct gnt_slice text, struct gnt_entry *out)
{
    (void)type;
    out->value = gnatter_amqp_null();
    return text.size ? GNT_INVALID : GNT_OK;
}

static gnt_err read_boolean(const struct type *type, struct gnt_slice text, struct gnt_entry *out)
{
    bool truth = false;
    (void)type;
    gnt_err err = gnt_scalar_bool(text, &truth);
    out->value = gnatter_amqp_boolean(truth);
    return err;
}

static gnt_err read_unsigned(const struct type *type, struct gnt_slice text, struct gnt_entry *out)
{
    uint64_t number = 0;
    gnt_err err = gnt_scalar_number(text, gnt_units_none, &number);
    out->value = gnatter_amqp_number(type->type, number);
    return err || number > type->max ? GNT_INVALID : GNT_OK;
}

static gnt_err read_signed(const struct type *type, struct gnt_slice text, struct gnt_entry *out)
{
    uint64_t number = 0;
    bool minus = text.size && text.data[0] == '-';
    gnt_err err = gnt_scalar_number(gnt_slice_skip(text, minus), gnt_units_none, &number);
    if (err || number > type->max + minus)
        return GNT_INVALID;
    out->value = gnatter_amqp_integer(type->type, (int64_t)(minus ? 0 - number : number));
    return GNT_OK;
}

static gnt_err read_real(const struct type *type, struct gnt_slice text, struct gnt_entry *out)
{
    char *end = NULL;
    double real = text.size ? strtod((const char *)text.data, &end) : 0;
    if (!text.size || end != (const char *)text.data + text.size)
        return GNT_INVALID;
    out->value = gnatter_amqp_real(type->type, real);
    return GNT_OK;
}

static gnt_err read_text(const struct type *type, struct gnt_slice text, struct gnt_entry *out)
{
    out->value = gnatter_amqp_bytes(type->type, text.data, text.size);
    return gnt_utf8_valid(text) ? GNT_OK : GNT_INVALID;
}

static int digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Hex digits; a uuid may have dashes between them. */
static gnt_err read_hex(const struct type *type, struct gnt_slice text, struct gnt_entry *out)
{
    bool uuid = type->type == GNATTER_AMQP_UUID;
    size_t digits = 0;
    gnt_err err = gnt_buf_reserve(&out->bytes, text.size / 2 + 1);
    for (size_t i = 0; !err && i < text.size; i++) {
        int value = digit(text.data[i]);
        uint8_t *at = gnt_buf_tail(&out->bytes) + digits / 2;
        if (value < 0 && !(uuid && text.data[i] == '-'))
            return GNT_INVALID;
        if (value < 0)
            continue;
        *at = (uint8_t)(digits % 2 ? *at << 4 | value : value);
        digits++;
    }
    if (err || digits % 2 || (uuid && digits != 32))
        return err ? err : GNT_INVALID;
    gnt_buf_wrote(&out->bytes, digits / 2);
    out->value = gnatter_amqp_bytes(type->type, out->bytes.data, digits / 2);
    return GNT_OK;
}

static const struct type types[] = {
    {"string", GNATTER_AMQP_STRING, read_text, 0, "text in UTF-8"},
    {"symbol", GNATTER_AMQP_SYMBOL, read_text, 0, "text in ASCII"},
    {"boolean", GNATTER_AMQP_BOOLEAN, read_boolean, 0, "true or false"},
    {"ubyte", GNATTER_AMQP_UBYTE, read_unsigned, UINT8_MAX, "a number of 8 bits without a sign"},
    {"ushort", GNATTER_AMQP_USHORT, read_unsigned, UINT16_MAX,
     "a number of 16 bits without a sign"},
    {"uint", GNATTER_AMQP_UINT, read_unsigned, UINT32_MAX, "a number of 32 bits without a sign"},
    {"ulong", GNATTER_AMQP_ULONG, read_unsigned, UINT64_MAX, "a number of 64 bits without a sign"},
    {"byte", GNATTER_AMQP_BYTE, read_signed, INT8_MAX, "a number of 8 bits"},
    {"short", GNATTER_AMQP_SHORT, read_signed, INT16_MAX, "a number of 16 bits"},
    {"int", GNATTER_AMQP_INT, read_signed, INT32_MAX, "a number of 32 bits"},
    {"long", GNATTER_AMQP_LONG, read_signed, INT64_MAX, "a number of 64 bits"},
    {"timestamp", GNATTER_AMQP_TIMESTAMP, read_signed, INT64_MAX, "milliseconds since 1970"},
    {"float", GNATTER_AMQP_FLOAT, read_real, 0, "a number such as 21.5"},
    {"double", GNATTER_AMQP_DOUBLE, read_real, 0, "a number such as 21.5"},
    {"uuid", GNATTER_AMQP_UUID, read_hex, 0, "32 hex digits"},
    {"binary", GNATTER_AMQP_BINARY, read_hex, 0, "hex digits, two for each byte"},
    {"null", GNATTER_AMQP_NULL, read_null, 0, "nothing"},
};

static const struct type *find_type(struct gnt_slice word)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (gnt_slice_eq_str(word, types[i].word))
            return &types[i];
    }
    return NULL;
}

/* A colon that no type stands behind is one of the name. */
static const struct type *split_type(struct gnt_slice *name)
{
    const uint8_t *colon = name->size ? memrchr(name->data, ':', name->size) : NULL;
    size_t before = colon ? (size_t)(colon - name->data) : name->size;
    const struct type *type = colon ? find_type(gnt_slice_skip(*name, before + 1)) : NULL;
    if (type)
        name->size = before;
    return type ? type : &types[0];
}

gnt_err gnt_entry_read(const char *text, struct gnt_entry *out, struct gnt_why *why)
{
    const char *equals = strchr(text, '=');
    struct gnt_slice name = gnt_slice(text, equals ? (size_t)(equals - text) : 0);
    const struct type *type = split_type(&name);
    *out = (struct gnt_entry){.name = ""};
    if (!name.size || name.size > GNT_ENTRY_NAME_MAX || !gnt_utf8_valid(name)) {
        gnt_why_set(why, "expected NAME=VALUE, or NAME:TYPE=VALUE such as level:int=3");
        return GNT_INVALID;
    }
    memcpy(out->name, name.data, name.size);
    gnt_err err = type->read(type, gnt_slice_str(equals + 1), out);
    if (err == GNT_INVALID)
        gnt_why_set(why, "expected %s as the %s %s", type->expected, type->word, out->name);
    if (err)
        gnt_entry_fini(out);
    return err;
}

gnt_err gnt_entry_check(const char *text, struct gnt_why *why)
{
    struct gnt_entry entry;
    gnt_err err = gnt_entry_read(text, &entry, why);
    if (!err)
        gnt_entry_fini(&entry);
    return err;
}

void gnt_entry_fini(struct gnt_entry *entry)
{
    gnt_buf_fini(&entry->bytes);
}
