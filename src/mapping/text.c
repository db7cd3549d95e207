#include "mapping/text.h"

#include "base/base64.h"
#include "base/date.h"
#include "base/hex.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHORT_MAX = 64 }; /* of the texts of everything but strings, symbols and binaries */

static size_t put_unsigned(char *to, const struct gnt_amqp_value *v)
{
    return (size_t)snprintf(to, SHORT_MAX, "%" PRIu64, v->number);
}

static size_t put_signed(char *to, const struct gnt_amqp_value *v)
{
    return (size_t)snprintf(to, SHORT_MAX, "%" PRId64, v->integer);
}

static size_t put_null(char *to, const struct gnt_amqp_value *v)
{
    (void)v;
    return (size_t)snprintf(to, SHORT_MAX, "null");
}

static size_t put_boolean(char *to, const struct gnt_amqp_value *v)
{
    return (size_t)snprintf(to, SHORT_MAX, "%s", v->number ? "true" : "false");
}

/* As few digits as give the same number again; MOST always do. */
static size_t put_real(char *to, double number, int most, bool single)
{
    if (isnan(number))
        return (size_t)snprintf(to, SHORT_MAX, "nan");
    if (isinf(number))
        return (size_t)snprintf(to, SHORT_MAX, number < 0 ? "-inf" : "inf");
    for (int digits = 1;; digits++) {
        const int size = snprintf(to, SHORT_MAX, "%.*g", digits, number);
        const bool same = single ? strtof(to, NULL) == (float)number : strtod(to, NULL) == number;
        if (same || digits == most)
            return (size_t)size;
    }
}

static size_t put_float(char *to, const struct gnt_amqp_value *v)
{
    return put_real(to, (double)gnt_amqp_as_float(v), 9, true);
}

static size_t put_double(char *to, const struct gnt_amqp_value *v)
{
    return put_real(to, gnt_amqp_as_double(v), 17, false);
}

static size_t put_hex(char *to, const struct gnt_amqp_value *v)
{
    return gnt_hex_text(v->bytes, to);
}

static size_t put_uuid(char *to, const struct gnt_amqp_value *v)
{
    return gnt_uuid_text(v->bytes.data, to);
}

/* A code point, in UTF-8 [RFC 3629]. */
static size_t put_char(char *to, const struct gnt_amqp_value *v)
{
    const uint32_t c = (uint32_t)v->number;
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    const size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    to[0] = (char)(lead[size] | c >> 6 * (size - 1));
    for (size_t i = 1; i < size; i++)
        to[i] = (char)(0x80 | (c >> 6 * (size - 1 - i) & 0x3f));
    return size;
}

/* Milliseconds, where there is no date. */
static size_t put_timestamp(char *to, const struct gnt_amqp_value *v)
{
    const size_t size = gnt_date_print(v->integer, to);
    return size ? size : put_signed(to, v);
}

static size_t (*const put[GNT_AMQP_TYPE_COUNT])(char *to, const struct gnt_amqp_value *v) = {
    [GNT_AMQP_NULL] = put_null,           [GNT_AMQP_BOOLEAN] = put_boolean,
    [GNT_AMQP_UBYTE] = put_unsigned,      [GNT_AMQP_USHORT] = put_unsigned,
    [GNT_AMQP_UINT] = put_unsigned,       [GNT_AMQP_ULONG] = put_unsigned,
    [GNT_AMQP_BYTE] = put_signed,         [GNT_AMQP_SHORT] = put_signed,
    [GNT_AMQP_INT] = put_signed,          [GNT_AMQP_LONG] = put_signed,
    [GNT_AMQP_FLOAT] = put_float,         [GNT_AMQP_DOUBLE] = put_double,
    [GNT_AMQP_DECIMAL32] = put_hex,       [GNT_AMQP_DECIMAL64] = put_hex,
    [GNT_AMQP_DECIMAL128] = put_hex,      [GNT_AMQP_CHAR] = put_char,
    [GNT_AMQP_TIMESTAMP] = put_timestamp, [GNT_AMQP_UUID] = put_uuid,
};

gnt_err gnt_mapping_text(struct gnt_arena *a, const struct gnt_amqp_value *value,
                         struct gnt_slice *out)
{
    if (value->type == GNT_AMQP_STRING || value->type == GNT_AMQP_SYMBOL) {
        *out = value->bytes;
        return GNT_OK;
    }
    const bool binary = value->type == GNT_AMQP_BINARY;
    if (!binary && !put[value->type])
        return GNT_UNSUPPORTED;
    uint8_t *at = gnt_arena_get(a, binary ? GNT_BASE64_SIZE(value->bytes.size) : SHORT_MAX);
    if (!at)
        return GNT_NOMEM;
    const size_t size = binary ? (size_t)(gnt_base64_write(at, value->bytes) - at)
                               : put[value->type]((char *)at, value);
    *out = gnt_slice(at, size);
    return GNT_OK;
}
