#include "mqtt/codec/prop.h"

#include "base/utf8.h"
#include "mqtt/codec/reason.h"

enum {
    IDS = 64, /* identifiers are below this; the highest in the standard is 0x2a */
    TEXT_MAX = UINT16_MAX,
    VBI_MAX = 0xfffffff,
    VBI_BYTES_MAX = 4,
};

struct row {
    uint32_t in : 17, id : 6, lowest : 1; /* small, for small devices */
    enum gnt_mqtt_wire wire : 3;
    uint32_t highest; /* of the number types, as is lowest */
    uint32_t repeats;
};

static const struct row rows[GNT_PROP_ROWS] = {
#define PROP_ROW(id, name, wire, lowest, highest, in, repeats) \
    [GNT_PROP_##name] = {in, id, lowest, GNT_WIRE_##wire, highest, repeats},
    GNT_MQTT_PROPS(PROP_ROW)
#undef PROP_ROW
};

/* Row + 1 of each identifier on the wire, 0 where there is none. */
static const uint8_t row_of_id[IDS] = {
#define PROP_ID(id, name, wire, lowest, highest, in, repeats) [id] = GNT_PROP_##name + 1,
    GNT_MQTT_PROPS(PROP_ID)
#undef PROP_ID
};

_Static_assert(GNT_PROP_ROWS <= 32, "gnt_mqtt_props.present has a bit for each row");

static const char *const names[GNT_PROP_ROWS] = {
    [GNT_PROP_PAYLOAD_FORMAT] = "payload-format",
    [GNT_PROP_MESSAGE_EXPIRY] = "message-expiry",
    [GNT_PROP_CONTENT_TYPE] = "content-type",
    [GNT_PROP_RESPONSE_TOPIC] = "response-topic",
    [GNT_PROP_CORRELATION_DATA] = "correlation-data",
    [GNT_PROP_SUBSCRIPTION_ID] = "subscription-id",
    [GNT_PROP_SESSION_EXPIRY] = "session-expiry",
    [GNT_PROP_ASSIGNED_CLIENT_ID] = "assigned-client-id",
    [GNT_PROP_SERVER_KEEP_ALIVE] = "server-keep-alive",
    [GNT_PROP_AUTH_METHOD] = "auth-method",
    [GNT_PROP_AUTH_DATA] = "auth-data",
    [GNT_PROP_REQUEST_PROBLEM_INFO] = "request-problem-info",
    [GNT_PROP_WILL_DELAY] = "will-delay",
    [GNT_PROP_REQUEST_RESPONSE_INFO] = "request-response-info",
    [GNT_PROP_RESPONSE_INFO] = "response-info",
    [GNT_PROP_SERVER_REFERENCE] = "server-reference",
    [GNT_PROP_REASON_STRING] = "reason-string",
    [GNT_PROP_RECEIVE_MAXIMUM] = "receive-maximum",
    [GNT_PROP_TOPIC_ALIAS_MAXIMUM] = "topic-alias-maximum",
    [GNT_PROP_TOPIC_ALIAS] = "topic-alias",
    [GNT_PROP_MAXIMUM_QOS] = "maximum-qos",
    [GNT_PROP_RETAIN_AVAILABLE] = "retain-available",
    [GNT_PROP_USER_PROPERTY] = "user-property",
    [GNT_PROP_MAXIMUM_PACKET_SIZE] = "maximum-packet-size",
    [GNT_PROP_WILDCARD_AVAILABLE] = "wildcard-available",
    [GNT_PROP_SUBSCRIPTION_ID_AVAILABLE] = "subscription-id-available",
    [GNT_PROP_SHARED_AVAILABLE] = "shared-available",
};

uint8_t gnt_mqtt_prop_id(enum gnt_mqtt_prop_row row)
{
    return rows[row].id;
}

enum gnt_mqtt_wire gnt_mqtt_prop_wire(enum gnt_mqtt_prop_row row)
{
    return rows[row].wire;
}

const char *gnt_mqtt_prop_name(enum gnt_mqtt_prop_row row)
{
    return names[row];
}

size_t gnt_mqtt_vbi_size(uint32_t value)
{
    return value < 1u << 7 ? 1 : value < 1u << 14 ? 2 : value < 1u << 21 ? 3 : 4;
}

uint8_t *gnt_mqtt_vbi_write(uint8_t *at, uint32_t value)
{
    for (; value > 0x7f; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

/* At most four bytes, and not one more than the value needs [MQTT-1.5.5-1]. */
uint32_t gnt_mqtt_vbi_read(struct gnt_reader *r)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < VBI_BYTES_MAX; i++) {
        uint8_t byte = gnt_read_u8(r);
        value |= (uint32_t)(byte & 0x7f) << 7 * i;
        if (!(byte & 0x80)) {
            if (byte == 0 && i > 0)
                r->bad = true;
            return r->bad ? 0 : value;
        }
    }
    r->bad = true;
    return 0;
}

/* Reads identifier and value into *OUT; false, with r->bad, for an identifier that does not exist
 * or a value that is cut.  What the value may be is the caller's to check. */
static bool read_prop(struct gnt_reader *r, struct gnt_mqtt_prop *out)
{
    uint32_t id = gnt_mqtt_vbi_read(r);
    if (r->bad || id >= IDS || row_of_id[id] == 0) {
        r->bad = true;
        return false;
    }
    *out = (struct gnt_mqtt_prop){.row = (enum gnt_mqtt_prop_row)(row_of_id[id] - 1)};
    switch (rows[out->row].wire) {
    case GNT_WIRE_U8: out->number = gnt_read_u8(r); break;
    case GNT_WIRE_U16: out->number = gnt_read_u16(r); break;
    case GNT_WIRE_U32: out->number = gnt_read_u32(r); break;
    case GNT_WIRE_VBI: out->number = gnt_mqtt_vbi_read(r); break;
    case GNT_WIRE_STR:
    case GNT_WIRE_BIN: out->text = gnt_read_str16(r); break;
    case GNT_WIRE_PAIR:
        out->text = gnt_read_str16(r);
        out->value = gnt_read_str16(r);
        break;
    }
    return !r->bad;
}

bool gnt_mqtt_prop_next(struct gnt_slice *raw, struct gnt_mqtt_prop *out)
{
    if (raw->size == 0)
        return false;
    struct gnt_reader r = gnt_reader(*raw);
    if (!read_prop(&r, out))
        return false;
    *raw = gnt_slice(r.at, gnt_read_left(&r));
    return true;
}

static bool is_text(enum gnt_mqtt_wire wire)
{
    return wire == GNT_WIRE_STR || wire == GNT_WIRE_PAIR;
}

static bool in_range(const struct gnt_mqtt_prop *prop)
{
    const struct row *row = &rows[prop->row];
    return row->wire >= GNT_WIRE_STR ||
           (prop->number >= row->lowest && prop->number <= row->highest);
}

/* Checks PROP as it stands in a packet of the kind WHERE and notes it in *OUT; 0 or the reason code
 * against it. */
static uint8_t take_prop(const struct gnt_mqtt_prop *prop, uint32_t where,
                         struct gnt_mqtt_props *out)
{
    const struct row *row = &rows[prop->row];
    const uint32_t bit = 1u << prop->row;
    if (!(row->in & where)) /* [MQTT5 2.2.2.2] */
        return GNT_REASON_MALFORMED_PACKET;
    if (is_text(row->wire) && !(gnt_utf8_valid(prop->text) && gnt_utf8_valid(prop->value)))
        return GNT_REASON_MALFORMED_PACKET; /* [MQTT-1.5.4-1, MQTT-1.5.4-2] */
    if (!in_range(prop))
        return prop->row == GNT_PROP_TOPIC_ALIAS ? GNT_REASON_TOPIC_ALIAS_INVALID
                                                 : GNT_REASON_PROTOCOL_ERROR;
    if (out->present & bit)
        return row->repeats & where ? 0 : GNT_REASON_PROTOCOL_ERROR;
    out->present |= bit;
    out->number[prop->row] = prop->number;
    out->text[prop->row] = prop->text;
    return 0;
}

gnt_err gnt_mqtt_props_decode(struct gnt_reader *r, uint32_t where, struct gnt_mqtt_props *out,
                              uint8_t *reason)
{
    out->present = 0;
    out->raw = gnt_read_bytes(r, gnt_mqtt_vbi_read(r));
    *reason = GNT_REASON_MALFORMED_PACKET;
    if (r->bad)
        return GNT_MALFORMED;

    struct gnt_reader section = gnt_reader(out->raw);
    struct gnt_mqtt_prop prop;
    while (gnt_read_left(&section) > 0) {
        if (!read_prop(&section, &prop))
            return GNT_MALFORMED;
        uint8_t against = take_prop(&prop, where, out);
        if (against) {
            *reason = against;
            return against == GNT_REASON_MALFORMED_PACKET ? GNT_MALFORMED : GNT_PROTOCOL;
        }
    }
    *reason = GNT_REASON_SUCCESS;
    return GNT_OK;
}

/* The bytes of PROP with its identifier (one byte for each that exists), 0 if it cannot be
 * encoded. */
static size_t prop_size(const struct gnt_mqtt_prop *prop)
{
    if (!in_range(prop))
        return 0;
    switch (rows[prop->row].wire) {
    case GNT_WIRE_U8: return 2;
    case GNT_WIRE_U16: return 3;
    case GNT_WIRE_U32: return 5;
    case GNT_WIRE_VBI: return 1 + gnt_mqtt_vbi_size(prop->number);
    case GNT_WIRE_STR:
    case GNT_WIRE_BIN: return prop->text.size > TEXT_MAX ? 0 : 3 + prop->text.size;
    case GNT_WIRE_PAIR: break;
    }
    if (prop->text.size > TEXT_MAX || prop->value.size > TEXT_MAX)
        return 0;
    return 5 + prop->text.size + prop->value.size;
}

/* The section without its length prefix; over VBI_MAX if it cannot be encoded. */
static size_t section_size(const struct gnt_mqtt_proplist *props)
{
    size_t total = props->raw.size;
    for (size_t i = 0; i < props->count && total <= VBI_MAX; i++) {
        size_t size = prop_size(&props->list[i]);
        if (size == 0)
            return SIZE_MAX;
        total += size;
    }
    return total;
}

size_t gnt_mqtt_proplist_size(const struct gnt_mqtt_proplist *props)
{
    if (!props)
        return 1;
    size_t section = section_size(props);
    return section > VBI_MAX ? 0 : gnt_mqtt_vbi_size((uint32_t)section) + section;
}

static uint8_t *write_number(uint8_t *at, uint32_t number, unsigned bytes)
{
    while (bytes-- > 0)
        *at++ = (uint8_t)(number >> 8 * bytes);
    return at;
}

static uint8_t *write_text(uint8_t *at, struct gnt_slice text)
{
    at = write_number(at, (uint32_t)text.size, 2);
    if (text.size)
        memcpy(at, text.data, text.size);
    return at + text.size;
}

static uint8_t *write_prop(uint8_t *at, const struct gnt_mqtt_prop *prop)
{
    *at++ = rows[prop->row].id;
    switch (rows[prop->row].wire) {
    case GNT_WIRE_U8: return write_number(at, prop->number, 1);
    case GNT_WIRE_U16: return write_number(at, prop->number, 2);
    case GNT_WIRE_U32: return write_number(at, prop->number, 4);
    case GNT_WIRE_VBI: return gnt_mqtt_vbi_write(at, prop->number);
    case GNT_WIRE_STR:
    case GNT_WIRE_BIN: return write_text(at, prop->text);
    case GNT_WIRE_PAIR: break;
    }
    return write_text(write_text(at, prop->text), prop->value);
}

uint8_t *gnt_mqtt_proplist_write(uint8_t *at, const struct gnt_mqtt_proplist *props)
{
    if (!props) {
        *at = 0;
        return at + 1;
    }
    at = gnt_mqtt_vbi_write(at, (uint32_t)section_size(props));
    for (size_t i = 0; i < props->count; i++)
        at = write_prop(at, &props->list[i]);
    if (props->raw.size)
        memcpy(at, props->raw.data, props->raw.size);
    return at + props->raw.size;
}
