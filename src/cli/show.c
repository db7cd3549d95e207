#include "cli/show.h"
#include "base/date.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "cli/json.h"
#include "conf/text.h"

#include <math.h>
#include <stdio.h>

enum { TEXT_MAX = 4096 };

static gnt_err put(struct gnt_buf *out, const char *text)
{
    return gnt_buf_put(out, gnt_slice_str(text));
}

static struct gnt_slice slice_of(struct gnatter_bytes bytes)
{
    return gnt_slice(bytes.data, bytes.size);
}

/* ---- Values */

static gnt_err put_real(struct gnt_buf *out, const struct gnatter_amqp_value *v)
{
    int digits = v->type == GNATTER_AMQP_FLOAT ? 9 : 17; /* so many tell any two apart */
    if (!isfinite(v->real))
        return gnt_text_put(out, "\"%s\"", isnan(v->real) ? "NaN" : v->real > 0 ? "inf" : "-inf");
    return gnt_text_put(out, "%.*g", digits, v->real);
}

static gnt_err put_date(struct gnt_buf *out, int64_t unix_ms)
{
    char date[GNT_DATE_SIZE];
    if (gnt_date_print(unix_ms, date))
        return gnt_text_put(out, "\"%s\"", date);
    return gnt_text_put(out, "%lld", (long long)unix_ms);
}

static gnt_err put_uuid(struct gnt_buf *out, struct gnt_slice bytes)
{
    char text[GNT_UUID_TEXT];
    gnt_uuid_text(bytes.data, text);
    return gnt_text_put(out, "\"%s\"", text);
}

/* As gnatter_amqp_show says it, in quotes: what JSON has no word for. */
static gnt_err put_shown(struct gnt_buf *out, const struct gnatter_amqp_value *v)
{
    char text[TEXT_MAX];
    return gnt_json_put_text(out, gnt_slice_str(gnatter_amqp_show(v, text, sizeof text)));
}

static gnt_err put_key(struct gnt_buf *out, const struct gnatter_amqp_value *key)
{
    bool text = key->type == GNATTER_AMQP_STRING || key->type == GNATTER_AMQP_SYMBOL;
    if (text && gnt_utf8_valid(slice_of(key->bytes)))
        return gnt_json_put_text(out, slice_of(key->bytes));
    return put_shown(out, key);
}

static gnt_err put_items(struct gnt_buf *out, const struct gnatter_amqp_value *list)
{
    struct gnatter_amqp_walk items = gnatter_amqp_items(list);
    struct gnatter_amqp_value item;
    const char *before = "[";
    gnt_err err = list->count ? GNT_OK : put(out, "[");
    for (; !err && gnatter_amqp_next(&items, &item); before = ",") {
        err = put(out, before);
        if (!err)
            err = gnt_show_value(out, &item);
    }
    return err ? err : put(out, "]");
}

static gnt_err put_map(struct gnt_buf *out, const struct gnatter_amqp_value *map)
{
    struct gnatter_amqp_walk items = gnatter_amqp_items(map);
    struct gnatter_amqp_value key, value;
    const char *before = "{";
    gnt_err err = map->count ? GNT_OK : put(out, "{");
    for (; !err && gnatter_amqp_next(&items, &key) && gnatter_amqp_next(&items, &value);
         before = ",") {
        err = put(out, before);
        if (!err)
            err = put_key(out, &key);
        if (!err)
            err = put(out, ":");
        if (!err)
            err = gnt_show_value(out, &value);
    }
    return err ? err : put(out, "}");
}

static gnt_err put_described(struct gnt_buf *out, const struct gnatter_amqp_value *v)
{
    struct gnatter_amqp_walk items = gnatter_amqp_items(v);
    struct gnatter_amqp_value descriptor, value;
    if (gnatter_amqp_next(&items, &descriptor) && gnatter_amqp_next(&items, &value))
        return gnt_show_value(out, &value);
    return put(out, "null");
}

/* Values are nested 32 deep at most, which is looked at when a message comes. */
gnt_err gnt_show_value(struct gnt_buf *out, const struct gnatter_amqp_value *v)
{
    switch (v->type) {
    case GNATTER_AMQP_NULL: return put(out, "null");
    case GNATTER_AMQP_BOOLEAN: return put(out, v->number ? "true" : "false");
    case GNATTER_AMQP_UBYTE:
    case GNATTER_AMQP_USHORT:
    case GNATTER_AMQP_UINT:
    case GNATTER_AMQP_ULONG: return gnt_text_put(out, "%llu", (unsigned long long)v->number);
    case GNATTER_AMQP_BYTE:
    case GNATTER_AMQP_SHORT:
    case GNATTER_AMQP_INT:
    case GNATTER_AMQP_LONG: return gnt_text_put(out, "%lld", (long long)v->integer);
    case GNATTER_AMQP_FLOAT:
    case GNATTER_AMQP_DOUBLE: return put_real(out, v);
    case GNATTER_AMQP_TIMESTAMP: return put_date(out, v->integer);
    case GNATTER_AMQP_UUID: return put_uuid(out, slice_of(v->bytes));
    case GNATTER_AMQP_BINARY:
    case GNATTER_AMQP_STRING:
    case GNATTER_AMQP_SYMBOL: return gnt_json_put_bytes(out, slice_of(v->bytes));
    case GNATTER_AMQP_LIST:
    case GNATTER_AMQP_ARRAY: return put_items(out, v);
    case GNATTER_AMQP_MAP: return put_map(out, v);
    case GNATTER_AMQP_DESCRIBED: return put_described(out, v);
    case GNATTER_AMQP_CHAR:
    case GNATTER_AMQP_DECIMAL32:
    case GNATTER_AMQP_DECIMAL64:
    case GNATTER_AMQP_DECIMAL128: return put_shown(out, v);
    }
    return put(out, "null");
}

/* ---- Sections */

static const char *const fields[] = {
    [GNATTER_AMQP_DURABLE] = "durable",
    [GNATTER_AMQP_PRIORITY] = "priority",
    [GNATTER_AMQP_TTL] = "ttl",
    [GNATTER_AMQP_FIRST_ACQUIRER] = "first-acquirer",
    [GNATTER_AMQP_DELIVERY_COUNT] = "delivery-count",
    [GNATTER_AMQP_MESSAGE_ID] = "message-id",
    [GNATTER_AMQP_USER_ID] = "user-id",
    [GNATTER_AMQP_TO] = "to",
    [GNATTER_AMQP_SUBJECT] = "subject",
    [GNATTER_AMQP_REPLY_TO] = "reply-to",
    [GNATTER_AMQP_CORRELATION_ID] = "correlation-id",
    [GNATTER_AMQP_CONTENT_TYPE] = "content-type",
    [GNATTER_AMQP_CONTENT_ENCODING] = "content-encoding",
    [GNATTER_AMQP_ABSOLUTE_EXPIRY_TIME] = "absolute-expiry-time",
    [GNATTER_AMQP_CREATION_TIME] = "creation-time",
    [GNATTER_AMQP_GROUP_ID] = "group-id",
    [GNATTER_AMQP_GROUP_SEQUENCE] = "group-sequence",
    [GNATTER_AMQP_REPLY_TO_GROUP_ID] = "reply-to-group-id",
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

/* A section of JSON that has a name. */
static const struct part {
    const char *name;
    unsigned first, last; /* fields; or with last 0: */
    enum gnatter_amqp_section section;
} parts[] = {
    {"header", GNATTER_AMQP_DURABLE, GNATTER_AMQP_DELIVERY_COUNT, 0},
    {"delivery-annotations", 0, 0, GNATTER_AMQP_DELIVERY_ANNOTATIONS},
    {"message-annotations", 0, 0, GNATTER_AMQP_MESSAGE_ANNOTATIONS},
    {"properties", GNATTER_AMQP_MESSAGE_ID, GNATTER_AMQP_REPLY_TO_GROUP_ID, 0},
    {"application-properties", 0, 0, GNATTER_AMQP_APPLICATION_PROPERTIES},
    {"footer", 0, 0, GNATTER_AMQP_FOOTER},
};

enum { PARTS = sizeof parts / sizeof parts[0] };

static gnt_err put_fields(struct gnt_buf *out, const gnatter_amqp_message *m, const struct part *p)
{
    const char *before = "{";
    gnt_err err = GNT_OK;
    for (unsigned f = p->first; !err && f <= p->last; f++) {
        struct gnatter_amqp_value value;
        if (!gnatter_amqp_get(m, (enum gnatter_amqp_field)f, &value))
            continue;
        err = gnt_text_put(out, "%s\"%s\":", before, fields[f]);
        if (!err)
            err = gnt_show_value(out, &value);
        before = ",";
    }
    return err ? err : put(out, *before == '{' ? "{}" : "}");
}

static gnt_err put_part(struct gnt_buf *out, const gnatter_amqp_message *m, const struct part *p)
{
    const struct gnatter_amqp_value map = gnatter_amqp_all(m, p->section);
    gnt_err err = gnt_text_put(out, "\"%s\":", p->name);
    if (err || p->last)
        return err ? err : put_fields(out, m, p);
    return map.type == GNATTER_AMQP_MAP ? put_map(out, &map) : put(out, "{}");
}

static const char *const kinds[] = {
    [GNATTER_AMQP_NO_BODY] = "none",
    [GNATTER_AMQP_DATA] = "data",
    [GNATTER_AMQP_SEQUENCE] = "sequence",
    [GNATTER_AMQP_VALUE] = "value",
};

/* One section as it is; several as an array. */
static gnt_err put_body(struct gnt_buf *out, const gnatter_amqp_message *m)
{
    struct gnatter_amqp_value section, second;
    if (!gnatter_amqp_body_at(m, 0, &section))
        return put(out, "null");
    if (!gnatter_amqp_body_at(m, 1, &second))
        return gnt_show_value(out, &section);
    gnt_err err = put(out, "[");
    for (size_t i = 0; !err && gnatter_amqp_body_at(m, i, &section); i++) {
        err = put(out, i ? "," : "");
        if (!err)
            err = gnt_show_value(out, &section);
    }
    return err ? err : put(out, "]");
}

gnt_err gnt_show_json(struct gnt_buf *out, const gnatter_amqp_message *m)
{
    gnt_err err = GNT_OK;
    for (size_t i = 0; !err && i < PARTS; i++) {
        err = put(out, i ? "," : "{");
        if (!err)
            err = put_part(out, m, &parts[i]);
    }
    if (!err)
        err = gnt_text_put(out, ",\"body-type\":\"%s\",\"body\":", kinds[gnatter_amqp_body(m)]);
    if (!err)
        err = put_body(out, m);
    return err ? err : put(out, "}");
}

gnt_err gnt_show_body(struct gnt_buf *out, const gnatter_amqp_message *m)
{
    struct gnatter_amqp_value section;
    gnt_err err = GNT_OK;
    if (gnatter_amqp_body(m) != GNATTER_AMQP_DATA) {
        struct gnt_slice text = slice_of(gnatter_amqp_body_bytes(m));
        bool none = !gnatter_amqp_body_at(m, 0, &section);
        return text.data || none ? gnt_buf_put(out, text) : put_body(out, m);
    }
    for (size_t i = 0; !err && gnatter_amqp_body_at(m, i, &section); i++)
        err = gnt_buf_put(out, slice_of(section.bytes));
    return err;
}

/* ---- Lines for people */

static gnt_err put_line(struct gnt_buf *out, struct gnt_slice name,
                        const struct gnatter_amqp_value *value)
{
    char shown[256], text[TEXT_MAX];
    bool plain = value->type == GNATTER_AMQP_STRING || value->type == GNATTER_AMQP_SYMBOL;
    gnt_utf8_printable(name, shown, sizeof shown);
    if (plain)
        gnt_utf8_printable(slice_of(value->bytes), text, sizeof text);
    else
        gnatter_amqp_show(value, text, sizeof text);
    return gnt_text_put(out, "%s: %s\n", shown, text);
}

static gnt_err put_entries(struct gnt_buf *out, const gnatter_amqp_message *m,
                           enum gnatter_amqp_section section)
{
    const struct gnatter_amqp_value map = gnatter_amqp_all(m, section);
    struct gnatter_amqp_walk items = gnatter_amqp_items(&map);
    struct gnatter_amqp_value key, value;
    gnt_err err = GNT_OK;
    while (!err && gnatter_amqp_next(&items, &key) && gnatter_amqp_next(&items, &value)) {
        char text[TEXT_MAX];
        bool plain = key.type == GNATTER_AMQP_STRING || key.type == GNATTER_AMQP_SYMBOL;
        err = put_line(out,
                       plain ? slice_of(key.bytes)
                             : gnt_slice_str(gnatter_amqp_show(&key, text, sizeof text)),
                       &value);
    }
    return err;
}

gnt_err gnt_show_head(struct gnt_buf *out, const gnatter_amqp_message *m)
{
    static const enum gnatter_amqp_section sections[] = {GNATTER_AMQP_DELIVERY_ANNOTATIONS,
                                                         GNATTER_AMQP_MESSAGE_ANNOTATIONS,
                                                         GNATTER_AMQP_APPLICATION_PROPERTIES,
                                                         GNATTER_AMQP_FOOTER};
    gnt_err err = GNT_OK;
    for (unsigned f = 0; !err && f < FIELDS; f++) {
        struct gnatter_amqp_value value;
        if (gnatter_amqp_get(m, (enum gnatter_amqp_field)f, &value))
            err = put_line(out, gnt_slice_str(fields[f]), &value);
    }
    for (size_t i = 0; !err && i < sizeof sections / sizeof sections[0]; i++)
        err = put_entries(out, m, sections[i]);
    return err;
}
