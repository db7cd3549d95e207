#include "amqp/codec/print.h"

#include "amqp/codec/composite.h"
#include "amqp/codec/message.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { DEPTH_MAX = GNT_AMQP_DEPTH_MAX, WORD_MAX = 96 };

/* Milliseconds since 1970 of the years 0 to 9999, and days of the Gregorian calendar. */
#define DATE_FIRST   INT64_C(-62167219200000)
#define DATE_LAST    INT64_C(253402300799999)
#define DAY_MS       INT64_C(86400000)
#define DAYS_TO_1970 719468 /* from the first of March of the year 0 */
#define DAYS_400Y    146097
#define DAYS_153     153 /* of five months from March on, which repeat */

static const char more[] = "...", broken[] = "(malformed)";

struct printer {
    struct gnt_buf *out;
    size_t start; /* of what is printed, in out */
    size_t max;
    bool full; /* nothing more is to be printed */
    gnt_err err;
};

static struct printer printer(struct gnt_buf *out, size_t max)
{
    return (struct printer){.out = out, .start = gnt_buf_size(out), .max = max};
}

/* On failure OUT is as it was. */
static gnt_err finish(const struct printer *p)
{
    if (p->err)
        gnt_buf_cut(p->out, p->start);
    return p->err;
}

/* Cuts what is there so that the dots fit behind it, between two characters. */
static void fill_up(struct printer *p)
{
    p->full = true;
    const size_t dots = p->max < sizeof more - 1 ? p->max : sizeof more - 1;
    size_t size = gnt_buf_size(p->out) - p->start;
    const uint8_t *text = gnt_buf_slice(p->out).data;
    while (size > p->max - dots || (size > 0 && size < gnt_buf_size(p->out) - p->start &&
                                    (text[p->start + size] & 0xc0) == 0x80))
        size--;
    gnt_buf_cut(p->out, p->start + size);
    p->err = gnt_buf_put(p->out, gnt_slice(more, dots));
}

static void put(struct printer *p, struct gnt_slice text)
{
    if (p->full)
        return;
    const size_t left = p->max - (gnt_buf_size(p->out) - p->start);
    const bool fits = text.size <= left;
    p->err = gnt_buf_put(p->out, fits ? text : gnt_slice(text.data, left));
    if (p->err)
        p->full = true;
    else if (!fits)
        fill_up(p);
}

static void say(struct printer *p, const char *text)
{
    put(p, gnt_slice_str(text));
}

/* At most WORD_MAX characters. */
__attribute__((format(printf, 2, 3))) static void tell(struct printer *p, const char *format, ...)
{
    char word[WORD_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(word, sizeof word, format, args);
    va_end(args);
    say(p, word);
}

/* ---- Leaves */

/* The character at the front of TEXT, as many bytes as are shown as they are; 0: the first byte is
 * to be escaped. */
static size_t plain(struct gnt_slice text, char quote)
{
    const uint8_t lead = text.data[0];
    if (lead < 0x80)
        return lead >= 0x20 && lead < 0x7f && lead != (uint8_t)quote && lead != '\\';
    const size_t size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const bool control = lead == 0xc2 && text.size > 1 && text.data[1] < 0xa0;
    return size <= text.size && !control && gnt_utf8_valid(gnt_slice(text.data, size)) ? size : 0;
}

static void print_text(struct printer *p, struct gnt_slice text, char quote, bool bytes)
{
    tell(p, "%c", quote);
    while (text.size > 0 && !p->full) {
        size_t run = 0; /* what is shown as it is */
        while (run < text.size) {
            const size_t size = plain(gnt_slice_skip(text, run), quote);
            if (size == 0 || (bytes && size > 1))
                break;
            run += size;
        }
        put(p, gnt_slice(text.data, run));
        text = gnt_slice_skip(text, run);
        if (text.size == 0)
            break;
        const char escaped = text.data[0] == (uint8_t)quote || text.data[0] == '\\';
        tell(p, escaped ? "\\%c" : "\\x%02x", text.data[0]);
        text = gnt_slice_skip(text, 1);
    }
    tell(p, "%c", quote);
}

static void print_hex(struct printer *p, struct gnt_slice bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        tell(p, "%02x", bytes.data[i]);
}

/* 8-4-4-4-12 digits [AMQP 1.6.18]. */
static void print_uuid(struct printer *p, struct gnt_slice bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        tell(p, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", bytes.data[i]);
}

/* Years are counted from March on, so that the day that is not in every year comes last. */
static void print_date(struct printer *p, int64_t day)
{
    day += DAYS_TO_1970;
    const int64_t era = (day < 0 ? day - (DAYS_400Y - 1) : day) / DAYS_400Y;
    const int64_t in_era = day - era * DAYS_400Y;
    const int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / (DAYS_400Y - 1)) / 365;
    const int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    const int64_t month = (5 * in_year + 2) / DAYS_153; /* 0 is March */
    const int64_t in_month = in_year - (DAYS_153 * month + 2) / 5 + 1;
    tell(p, "%04d-%02d-%02d", (int)(year + era * 400 + (month > 9)),
         (int)(month > 9 ? month - 9 : month + 3), (int)in_month);
}

static void print_timestamp(struct printer *p, int64_t unix_ms)
{
    if (unix_ms < DATE_FIRST || unix_ms > DATE_LAST) {
        tell(p, "timestamp %" PRId64, unix_ms);
        return;
    }
    const int ms = (int)((unix_ms % DAY_MS + DAY_MS) % DAY_MS);
    print_date(p, (unix_ms - ms) / DAY_MS);
    tell(p, "T%02d:%02d:%02d.%03dZ", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

/* A number of floating point so that reading it gives the same bits; of a NaN the bits themselves.
 */
static void print_real(struct printer *p, const struct gnt_amqp_value *v)
{
    const bool single = v->type == GNT_AMQP_FLOAT;
    const double real = single ? (double)gnt_amqp_as_float(v) : gnt_amqp_as_double(v);
    if (real != real)
        tell(p, "nan(0x%0*" PRIx64 ")", single ? 8 : 16, v->number);
    else
        tell(p, "%.*g", single ? 9 : 17, real);
}

static void print_value(struct printer *p, const struct gnt_amqp_value *v, unsigned depth);
static void print_described(struct printer *p, const struct gnt_amqp_value *v, unsigned depth);

static void print_items(struct printer *p, const struct gnt_amqp_value *v, unsigned depth)
{
    struct gnt_amqp_items items = gnt_amqp_items(v);
    struct gnt_amqp_value item;
    struct gnt_reader descriptors = gnt_reader(items.descriptor);
    while (gnt_read_left(&descriptors) > 0 && !p->full) {
        (void)gnt_read_u8(&descriptors);
        gnt_amqp_read(&descriptors, &item);
        say(p, "@");
        print_value(p, &item, depth + 1);
        say(p, " ");
    }
    say(p, v->type == GNT_AMQP_MAP ? "{" : "[");
    for (uint32_t i = 0; !p->full && gnt_amqp_items_next(&items, &item); i++) {
        if (i > 0)
            say(p, v->type == GNT_AMQP_MAP && i % 2 == 1 ? ": " : ", ");
        print_value(p, &item, depth + 1);
    }
    if (items.in.bad)
        say(p, broken);
    say(p, v->type == GNT_AMQP_MAP ? "}" : "]");
}

static void print_value(struct printer *p, const struct gnt_amqp_value *v, unsigned depth)
{
    if (depth > DEPTH_MAX) {
        say(p, more);
        return;
    }
    switch (v->type) {
    case GNT_AMQP_NULL: say(p, "null"); break;
    case GNT_AMQP_BOOLEAN: say(p, v->number ? "true" : "false"); break;
    case GNT_AMQP_UBYTE:
    case GNT_AMQP_USHORT:
    case GNT_AMQP_UINT:
    case GNT_AMQP_ULONG: tell(p, "%s %" PRIu64, gnt_amqp_type_name(v->type), v->number); break;
    case GNT_AMQP_BYTE:
    case GNT_AMQP_SHORT:
    case GNT_AMQP_INT:
    case GNT_AMQP_LONG: tell(p, "%s %" PRId64, gnt_amqp_type_name(v->type), v->integer); break;
    case GNT_AMQP_FLOAT:
    case GNT_AMQP_DOUBLE:
        tell(p, "%s ", gnt_amqp_type_name(v->type));
        print_real(p, v);
        break;
    case GNT_AMQP_DECIMAL32:
    case GNT_AMQP_DECIMAL64:
    case GNT_AMQP_DECIMAL128:
        tell(p, "%s 0x", gnt_amqp_type_name(v->type));
        print_hex(p, v->bytes);
        break;
    case GNT_AMQP_CHAR: tell(p, "char U+%04" PRIX64, v->number); break;
    case GNT_AMQP_TIMESTAMP: print_timestamp(p, v->integer); break;
    case GNT_AMQP_UUID: print_uuid(p, v->bytes); break;
    case GNT_AMQP_BINARY:
        say(p, "b");
        print_text(p, v->bytes, '"', true);
        break;
    case GNT_AMQP_STRING: print_text(p, v->bytes, '"', false); break;
    case GNT_AMQP_SYMBOL: print_text(p, v->bytes, '\'', true); break;
    case GNT_AMQP_LIST: print_items(p, v, depth); break;
    case GNT_AMQP_MAP: print_items(p, v, depth); break;
    case GNT_AMQP_ARRAY:
        say(p, "array");
        print_items(p, v, depth);
        break;
    case GNT_AMQP_DESCRIBED: print_described(p, v, depth); break;
    case GNT_AMQP_TYPE_COUNT: break;
    }
}

/* ---- Composites */

/* The words for the values of the kinds that have choices. */
static const char *const choices[GNT_AMQP_KIND_COUNT][5] = {
    [GNT_AMQP_KIND_ROLE] = {"sender", "receiver"},
    [GNT_AMQP_KIND_SENDER_MODE] = {"unsettled", "settled", "mixed"},
    [GNT_AMQP_KIND_RECEIVER_MODE] = {"first", "second"},
    [GNT_AMQP_KIND_DURABILITY] = {"none", "configuration", "unsettled-state"},
    [GNT_AMQP_KIND_SASL_CODE] = {"ok", "auth", "sys", "sys-perm", "sys-temp"},
};

static void print_field(struct printer *p, enum gnt_amqp_kind kind, const struct gnt_amqp_value *v,
                        unsigned depth)
{
    const bool known = v->type == gnt_amqp_kind_type(kind);
    if (known && choices[kind][0] && v->number < sizeof choices[0] / sizeof choices[0][0] &&
        choices[kind][v->number])
        say(p, choices[kind][v->number]);
    else if (known && kind == GNT_AMQP_KIND_SECRET)
        tell(p, "(%zu bytes)", v->bytes.size);
    else if (known && v->type >= GNT_AMQP_UBYTE && v->type <= GNT_AMQP_ULONG)
        tell(p, "%" PRIu64, v->number);
    else
        print_value(p, v, depth + 1);
}

/* The fields that are there, each as name=value with a blank between them.  What is behind the last
 * field of the table is shown without a name. */
static void print_fields(struct printer *p, const struct gnt_amqp_row *row,
                         const struct gnt_amqp_value *list, unsigned depth)
{
    struct gnt_amqp_items items = gnt_amqp_items(list);
    struct gnt_amqp_value v;
    const char *blank = "";
    for (uint32_t i = 0; !p->full && gnt_amqp_items_next(&items, &v); i++) {
        if (v.type == GNT_AMQP_NULL)
            continue;
        say(p, blank);
        blank = " ";
        if (i >= row->count) {
            say(p, "?=");
            print_value(p, &v, depth + 1);
            continue;
        }
        for (const char *c = row->fields[i].name; *c; c++)
            tell(p, "%c", *c == '_' ? '-' : *c);
        say(p, "=");
        print_field(p, (enum gnt_amqp_kind)row->fields[i].kind, &v, depth);
    }
    if (items.in.bad)
        say(p, broken);
}

/* A composite by its name, with its fields in brackets if it has any; a described value of another
 * kind with its descriptor. */
static void print_described(struct printer *p, const struct gnt_amqp_value *v, unsigned depth)
{
    struct gnt_amqp_value descriptor, inner;
    if (!gnt_amqp_described(v, &descriptor, &inner)) {
        say(p, broken);
        return;
    }
    const struct gnt_amqp_row *row = gnt_amqp_row(gnt_amqp_code_of(v->encoded));
    if (row && !row->section && inner.type == GNT_AMQP_LIST) {
        put(p, gnt_amqp_descriptor_name(gnt_amqp_code_of(v->encoded)));
        if (inner.count > 0) {
            say(p, "(");
            print_fields(p, row, &inner, depth);
            say(p, ")");
        }
        return;
    }
    say(p, "@");
    if (descriptor.type == GNT_AMQP_ULONG)
        tell(p, "0x%" PRIx64, descriptor.number);
    else
        print_value(p, &descriptor, depth + 1);
    say(p, " ");
    print_value(p, &inner, depth + 1);
}

/* Takes a composite or a section off the front and prints its name and what is in it. */
static void print_named(struct printer *p, struct gnt_reader *in)
{
    struct gnt_amqp_value v, descriptor, inner;
    gnt_amqp_read(in, &v);
    const uint64_t code = gnt_amqp_code_of(v.encoded);
    const struct gnt_amqp_row *row = gnt_amqp_row(code);
    if (in->bad || !row || !gnt_amqp_described(&v, &descriptor, &inner)) {
        if (in->bad)
            say(p, broken);
        else
            print_value(p, &v, 0);
        return;
    }
    put(p, gnt_amqp_descriptor_name(code));
    if (!row->section && inner.type == GNT_AMQP_LIST && inner.count == 0)
        return;
    say(p, " ");
    if (!row->section && inner.type == GNT_AMQP_LIST)
        print_fields(p, row, &inner, 0);
    else
        print_value(p, &inner, 0);
}

/* ---- What print.h promises */

gnt_err gnt_amqp_print_value(struct gnt_buf *out, size_t max, struct gnt_slice encoded)
{
    struct printer p = printer(out, max);
    struct gnt_amqp_value v;
    if (gnt_amqp_parse(encoded, &v) == GNT_OK)
        print_value(&p, &v, 0);
    else
        say(&p, broken);
    return finish(&p);
}

gnt_err gnt_amqp_print_frame(struct gnt_buf *out, size_t max, const struct gnt_amqp_frame *frame)
{
    struct printer p = printer(out, max);
    struct gnt_reader in = gnt_reader(frame->body);
    if (frame->type == GNT_AMQP_FRAME_AMQP)
        tell(&p, "%u ", frame->channel);
    if (frame->body.size == 0)
        say(&p, "(empty)");
    else
        print_named(&p, &in);
    if (!in.bad && gnt_read_left(&in) > 0)
        tell(&p, " (payload %zu bytes)", gnt_read_left(&in));
    return finish(&p);
}

gnt_err gnt_amqp_print_message(struct gnt_buf *out, size_t max, struct gnt_slice message)
{
    struct printer p = printer(out, max);
    struct gnt_reader in = gnt_reader(message);
    while (gnt_read_left(&in) > 0 && !p.full) {
        print_named(&p, &in);
        if (gnt_read_left(&in) > 0)
            say(&p, "; ");
    }
    return finish(&p);
}

gnt_err gnt_amqp_print_protocol(struct gnt_buf *out, size_t max,
                                const struct gnt_amqp_protocol *protocol)
{
    static const char *const names[] = {
        [GNT_AMQP_PROTOCOL_AMQP] = "AMQP",
        [GNT_AMQP_PROTOCOL_TLS] = "TLS",
        [GNT_AMQP_PROTOCOL_SASL] = "SASL",
    };
    struct printer p = printer(out, max);
    if (protocol->id < sizeof names / sizeof names[0] && names[protocol->id])
        say(&p, names[protocol->id]);
    else
        tell(&p, "AMQP protocol %u version", protocol->id);
    tell(&p, " %u.%u.%u", protocol->major, protocol->minor, protocol->revision);
    return finish(&p);
}
