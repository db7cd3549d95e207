#include "amqp/codec/print.h"

#include "amqp/codec/composite.h"
#include "amqp/codec/message.h"
#include "base/date.h"
#include "base/hex.h"
#include "base/printer.h"

#include <inttypes.h>

enum { DEPTH_MAX = GNT_AMQP_DEPTH_MAX };

static const char more[] = "...", broken[] = "(malformed)";

/* ---- Leaves */

/* Of a decimal. */
static void print_hex(struct gnt_printer *p, struct gnt_slice bytes)
{
    char text[2 * 16 + 1];
    gnt_hex_text(bytes, text);
    gnt_printer_say(p, text);
}

static void print_uuid(struct gnt_printer *p, struct gnt_slice bytes)
{
    char text[GNT_UUID_TEXT];
    gnt_uuid_text(bytes.data, text);
    gnt_printer_say(p, text);
}

static void print_timestamp(struct gnt_printer *p, int64_t unix_ms)
{
    char date[GNT_DATE_SIZE];
    if (gnt_date_print(unix_ms, date))
        gnt_printer_say(p, date);
    else
        gnt_printer_tell(p, "timestamp %" PRId64, unix_ms);
}

/* A number of floating point so that reading it gives the same bits; of a NaN the bits themselves.
 */
static void print_real(struct gnt_printer *p, const struct gnt_amqp_value *v)
{
    const bool single = v->type == GNT_AMQP_FLOAT;
    const double real = single ? (double)gnt_amqp_as_float(v) : gnt_amqp_as_double(v);
    if (real != real)
        gnt_printer_tell(p, "nan(0x%0*" PRIx64 ")", single ? 8 : 16, v->number);
    else
        gnt_printer_tell(p, "%.*g", single ? 9 : 17, real);
}

static void print_value(struct gnt_printer *p, const struct gnt_amqp_value *v, unsigned depth);
static void print_described(struct gnt_printer *p, const struct gnt_amqp_value *v, unsigned depth);

static void print_items(struct gnt_printer *p, const struct gnt_amqp_value *v, unsigned depth)
{
    struct gnt_amqp_items items = gnt_amqp_items(v);
    struct gnt_amqp_value item;
    struct gnt_reader descriptors = gnt_reader(items.descriptor);
    while (gnt_read_left(&descriptors) > 0 && !p->full) {
        (void)gnt_read_u8(&descriptors);
        gnt_amqp_read(&descriptors, &item);
        gnt_printer_say(p, "@");
        print_value(p, &item, depth + 1);
        gnt_printer_say(p, " ");
    }
    gnt_printer_say(p, v->type == GNT_AMQP_MAP ? "{" : "[");
    for (uint32_t i = 0; !p->full && gnt_amqp_items_next(&items, &item); i++) {
        if (i > 0)
            gnt_printer_say(p, v->type == GNT_AMQP_MAP && i % 2 == 1 ? ": " : ", ");
        print_value(p, &item, depth + 1);
    }
    if (items.in.bad)
        gnt_printer_say(p, broken);
    gnt_printer_say(p, v->type == GNT_AMQP_MAP ? "}" : "]");
}

static void print_value(struct gnt_printer *p, const struct gnt_amqp_value *v, unsigned depth)
{
    if (depth > DEPTH_MAX) {
        gnt_printer_say(p, more);
        return;
    }
    switch (v->type) {
    case GNT_AMQP_NULL: gnt_printer_say(p, "null"); break;
    case GNT_AMQP_BOOLEAN: gnt_printer_say(p, v->number ? "true" : "false"); break;
    case GNT_AMQP_UBYTE:
    case GNT_AMQP_USHORT:
    case GNT_AMQP_UINT:
    case GNT_AMQP_ULONG:
        gnt_printer_tell(p, "%s %" PRIu64, gnt_amqp_type_name(v->type), v->number);
        break;
    case GNT_AMQP_BYTE:
    case GNT_AMQP_SHORT:
    case GNT_AMQP_INT:
    case GNT_AMQP_LONG:
        gnt_printer_tell(p, "%s %" PRId64, gnt_amqp_type_name(v->type), v->integer);
        break;
    case GNT_AMQP_FLOAT:
    case GNT_AMQP_DOUBLE:
        gnt_printer_tell(p, "%s ", gnt_amqp_type_name(v->type));
        print_real(p, v);
        break;
    case GNT_AMQP_DECIMAL32:
    case GNT_AMQP_DECIMAL64:
    case GNT_AMQP_DECIMAL128:
        gnt_printer_tell(p, "%s 0x", gnt_amqp_type_name(v->type));
        print_hex(p, v->bytes);
        break;
    case GNT_AMQP_CHAR: gnt_printer_tell(p, "char U+%04" PRIX64, v->number); break;
    case GNT_AMQP_TIMESTAMP: print_timestamp(p, v->integer); break;
    case GNT_AMQP_UUID: print_uuid(p, v->bytes); break;
    case GNT_AMQP_BINARY:
        gnt_printer_say(p, "b");
        gnt_printer_bytes(p, v->bytes, '"');
        break;
    case GNT_AMQP_STRING: gnt_printer_text(p, v->bytes, '"'); break;
    case GNT_AMQP_SYMBOL: gnt_printer_bytes(p, v->bytes, '\''); break;
    case GNT_AMQP_LIST: print_items(p, v, depth); break;
    case GNT_AMQP_MAP: print_items(p, v, depth); break;
    case GNT_AMQP_ARRAY:
        gnt_printer_say(p, "array");
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

static void print_field(struct gnt_printer *p, enum gnt_amqp_kind kind,
                        const struct gnt_amqp_value *v, unsigned depth)
{
    const bool known = v->type == gnt_amqp_kind_type(kind);
    if (known && choices[kind][0] && v->number < sizeof choices[0] / sizeof choices[0][0] &&
        choices[kind][v->number])
        gnt_printer_say(p, choices[kind][v->number]);
    else if (known && kind == GNT_AMQP_KIND_SECRET)
        gnt_printer_tell(p, "(%zu bytes)", v->bytes.size);
    else if (known && v->type >= GNT_AMQP_UBYTE && v->type <= GNT_AMQP_ULONG)
        gnt_printer_tell(p, "%" PRIu64, v->number);
    else
        print_value(p, v, depth + 1);
}

/* The fields that are there, each as name=value with a blank between them.  What is behind the last
 * field of the table is shown without a name. */
static void print_fields(struct gnt_printer *p, const struct gnt_amqp_row *row,
                         const struct gnt_amqp_value *list, unsigned depth)
{
    struct gnt_amqp_items items = gnt_amqp_items(list);
    struct gnt_amqp_value v;
    const char *blank = "";
    for (uint32_t i = 0; !p->full && gnt_amqp_items_next(&items, &v); i++) {
        if (v.type == GNT_AMQP_NULL)
            continue;
        gnt_printer_say(p, blank);
        blank = " ";
        if (i >= row->count) {
            gnt_printer_say(p, "?=");
            print_value(p, &v, depth + 1);
            continue;
        }
        for (const char *c = row->fields[i].name; *c; c++)
            gnt_printer_tell(p, "%c", *c == '_' ? '-' : *c);
        gnt_printer_say(p, "=");
        print_field(p, (enum gnt_amqp_kind)row->fields[i].kind, &v, depth);
    }
    if (items.in.bad)
        gnt_printer_say(p, broken);
}

/* A composite by its name, with its fields in brackets if it has any; a described value of another
 * kind with its descriptor. */
static void print_described(struct gnt_printer *p, const struct gnt_amqp_value *v, unsigned depth)
{
    struct gnt_amqp_value descriptor, inner;
    if (!gnt_amqp_described(v, &descriptor, &inner)) {
        gnt_printer_say(p, broken);
        return;
    }
    const struct gnt_amqp_row *row = gnt_amqp_row(gnt_amqp_code_of(v->encoded));
    if (row && !row->section && inner.type == GNT_AMQP_LIST) {
        gnt_printer_put(p, gnt_amqp_descriptor_name(gnt_amqp_code_of(v->encoded)));
        if (inner.count > 0) {
            gnt_printer_say(p, "(");
            print_fields(p, row, &inner, depth);
            gnt_printer_say(p, ")");
        }
        return;
    }
    gnt_printer_say(p, "@");
    if (descriptor.type == GNT_AMQP_ULONG)
        gnt_printer_tell(p, "0x%" PRIx64, descriptor.number);
    else
        print_value(p, &descriptor, depth + 1);
    gnt_printer_say(p, " ");
    print_value(p, &inner, depth + 1);
}

/* Takes a composite or a section off the front and prints its name and what is in it. */
static void print_named(struct gnt_printer *p, struct gnt_reader *in)
{
    struct gnt_amqp_value v, descriptor, inner;
    gnt_amqp_read(in, &v);
    const uint64_t code = gnt_amqp_code_of(v.encoded);
    const struct gnt_amqp_row *row = gnt_amqp_row(code);
    if (in->bad || !row || !gnt_amqp_described(&v, &descriptor, &inner)) {
        if (in->bad)
            gnt_printer_say(p, broken);
        else
            print_value(p, &v, 0);
        return;
    }
    gnt_printer_put(p, gnt_amqp_descriptor_name(code));
    if (!row->section && inner.type == GNT_AMQP_LIST && inner.count == 0)
        return;
    gnt_printer_say(p, " ");
    if (!row->section && inner.type == GNT_AMQP_LIST)
        print_fields(p, row, &inner, 0);
    else
        print_value(p, &inner, 0);
}

/* ---- What print.h promises */

gnt_err gnt_amqp_print_value(struct gnt_buf *out, size_t max, struct gnt_slice encoded)
{
    struct gnt_printer p = gnt_printer(out, max);
    struct gnt_amqp_value v;
    if (gnt_amqp_parse(encoded, &v) == GNT_OK)
        print_value(&p, &v, 0);
    else
        gnt_printer_say(&p, broken);
    return gnt_printer_finish(&p);
}

gnt_err gnt_amqp_print_frame(struct gnt_buf *out, size_t max, const struct gnt_amqp_frame *frame)
{
    struct gnt_printer p = gnt_printer(out, max);
    struct gnt_reader in = gnt_reader(frame->body);
    if (frame->type == GNT_AMQP_FRAME_AMQP)
        gnt_printer_tell(&p, "%u ", frame->channel);
    if (frame->body.size == 0)
        gnt_printer_say(&p, "(empty)");
    else
        print_named(&p, &in);
    if (!in.bad && gnt_read_left(&in) > 0)
        gnt_printer_tell(&p, " (payload %zu bytes)", gnt_read_left(&in));
    return gnt_printer_finish(&p);
}

gnt_err gnt_amqp_print_message(struct gnt_buf *out, size_t max, struct gnt_slice message)
{
    struct gnt_printer p = gnt_printer(out, max);
    struct gnt_reader in = gnt_reader(message);
    while (gnt_read_left(&in) > 0 && !p.full) {
        print_named(&p, &in);
        if (gnt_read_left(&in) > 0)
            gnt_printer_say(&p, "; ");
    }
    return gnt_printer_finish(&p);
}

gnt_err gnt_amqp_print_protocol(struct gnt_buf *out, size_t max,
                                const struct gnt_amqp_protocol *protocol)
{
    static const char *const names[] = {
        [GNT_AMQP_PROTOCOL_AMQP] = "AMQP",
        [GNT_AMQP_PROTOCOL_TLS] = "TLS",
        [GNT_AMQP_PROTOCOL_SASL] = "SASL",
    };
    struct gnt_printer p = gnt_printer(out, max);
    if (protocol->id < sizeof names / sizeof names[0] && names[protocol->id])
        gnt_printer_say(&p, names[protocol->id]);
    else
        gnt_printer_tell(&p, "AMQP protocol %u version", protocol->id);
    gnt_printer_tell(&p, " %u.%u.%u", protocol->major, protocol->minor, protocol->revision);
    return gnt_printer_finish(&p);
}
