/* MQTT 5 properties [MQTT5 2.2.2]: one table, from which decoder, encoder and checks are made. */
#ifndef GNT_MQTT_CODEC_PROP_H
#define GNT_MQTT_CODEC_PROP_H

#include "base/err.h"
#include "base/slice.h"

/* Where a property may stand: a bit per packet type (1 << type), and WILL for a CONNECT's will. */
#define GNT_IN_CONNECT     (1u << 1)
#define GNT_IN_CONNACK     (1u << 2)
#define GNT_IN_PUBLISH     (1u << 3)
#define GNT_IN_PUBACK      (1u << 4)
#define GNT_IN_PUBREC      (1u << 5)
#define GNT_IN_PUBREL      (1u << 6)
#define GNT_IN_PUBCOMP     (1u << 7)
#define GNT_IN_SUBSCRIBE   (1u << 8)
#define GNT_IN_SUBACK      (1u << 9)
#define GNT_IN_UNSUBSCRIBE (1u << 10)
#define GNT_IN_UNSUBACK    (1u << 11)
#define GNT_IN_DISCONNECT  (1u << 14)
#define GNT_IN_AUTH        (1u << 15)
#define GNT_IN_WILL        (1u << 16)
#define GNT_IN_ACKS                                                                   \
    (GNT_IN_PUBACK | GNT_IN_PUBREC | GNT_IN_PUBREL | GNT_IN_PUBCOMP | GNT_IN_SUBACK | \
     GNT_IN_UNSUBACK)
#define GNT_IN_ALL                                                                       \
    (GNT_IN_CONNECT | GNT_IN_CONNACK | GNT_IN_PUBLISH | GNT_IN_ACKS | GNT_IN_SUBSCRIBE | \
     GNT_IN_UNSUBSCRIBE | GNT_IN_DISCONNECT | GNT_IN_AUTH | GNT_IN_WILL)

enum gnt_mqtt_wire {
    GNT_WIRE_U8,
    GNT_WIRE_U16,
    GNT_WIRE_U32,
    GNT_WIRE_VBI,  /* variable byte integer [MQTT5 1.5.5] */
    GNT_WIRE_STR,  /* UTF-8 string */
    GNT_WIRE_BIN,  /* binary data */
    GNT_WIRE_PAIR, /* UTF-8 string pair */
};

/* clang-format off */
/*    id    NAME                     wire  lowest highest     allowed in                        may repeat in */
#define GNT_MQTT_PROPS(X) \
    X(0x01, PAYLOAD_FORMAT,          U8,   0, 1,              GNT_IN_PUBLISH | GNT_IN_WILL,       0) \
    X(0x02, MESSAGE_EXPIRY,          U32,  0, UINT32_MAX,     GNT_IN_PUBLISH | GNT_IN_WILL,       0) \
    X(0x03, CONTENT_TYPE,            STR,  0, 0,              GNT_IN_PUBLISH | GNT_IN_WILL,       0) \
    X(0x08, RESPONSE_TOPIC,          STR,  0, 0,              GNT_IN_PUBLISH | GNT_IN_WILL,       0) \
    X(0x09, CORRELATION_DATA,        BIN,  0, 0,              GNT_IN_PUBLISH | GNT_IN_WILL,       0) \
    X(0x0b, SUBSCRIPTION_ID,         VBI,  1, 0xfffffff,      GNT_IN_PUBLISH | GNT_IN_SUBSCRIBE,  GNT_IN_PUBLISH) \
    X(0x11, SESSION_EXPIRY,          U32,  0, UINT32_MAX,     GNT_IN_CONNECT | GNT_IN_CONNACK | GNT_IN_DISCONNECT, 0) \
    X(0x12, ASSIGNED_CLIENT_ID,      STR,  0, 0,              GNT_IN_CONNACK,                     0) \
    X(0x13, SERVER_KEEP_ALIVE,       U16,  0, UINT16_MAX,     GNT_IN_CONNACK,                     0) \
    X(0x15, AUTH_METHOD,             STR,  0, 0,              GNT_IN_CONNECT | GNT_IN_CONNACK | GNT_IN_AUTH, 0) \
    X(0x16, AUTH_DATA,               BIN,  0, 0,              GNT_IN_CONNECT | GNT_IN_CONNACK | GNT_IN_AUTH, 0) \
    X(0x17, REQUEST_PROBLEM_INFO,    U8,   0, 1,              GNT_IN_CONNECT,                     0) \
    X(0x18, WILL_DELAY,              U32,  0, UINT32_MAX,     GNT_IN_WILL,                        0) \
    X(0x19, REQUEST_RESPONSE_INFO,   U8,   0, 1,              GNT_IN_CONNECT,                     0) \
    X(0x1a, RESPONSE_INFO,           STR,  0, 0,              GNT_IN_CONNACK,                     0) \
    X(0x1c, SERVER_REFERENCE,        STR,  0, 0,              GNT_IN_CONNACK | GNT_IN_DISCONNECT, 0) \
    X(0x1f, REASON_STRING,           STR,  0, 0,              GNT_IN_CONNACK | GNT_IN_ACKS | GNT_IN_DISCONNECT | GNT_IN_AUTH, 0) \
    X(0x21, RECEIVE_MAXIMUM,         U16,  1, UINT16_MAX,     GNT_IN_CONNECT | GNT_IN_CONNACK,    0) \
    X(0x22, TOPIC_ALIAS_MAXIMUM,     U16,  0, UINT16_MAX,     GNT_IN_CONNECT | GNT_IN_CONNACK,    0) \
    X(0x23, TOPIC_ALIAS,             U16,  1, UINT16_MAX,     GNT_IN_PUBLISH,                     0) \
    X(0x24, MAXIMUM_QOS,             U8,   0, 1,              GNT_IN_CONNACK,                     0) \
    X(0x25, RETAIN_AVAILABLE,        U8,   0, 1,              GNT_IN_CONNACK,                     0) \
    X(0x26, USER_PROPERTY,           PAIR, 0, 0,              GNT_IN_ALL,                         GNT_IN_ALL) \
    X(0x27, MAXIMUM_PACKET_SIZE,     U32,  1, UINT32_MAX,     GNT_IN_CONNECT | GNT_IN_CONNACK,    0) \
    X(0x28, WILDCARD_AVAILABLE,      U8,   0, 1,              GNT_IN_CONNACK,                     0) \
    X(0x29, SUBSCRIPTION_ID_AVAILABLE, U8, 0, 1,              GNT_IN_CONNACK,                     0) \
    X(0x2a, SHARED_AVAILABLE,        U8,   0, 1,              GNT_IN_CONNACK,                     0)
/* clang-format on */

/* The rows' order; the wire's identifier of a row is gnt_mqtt_prop_id(row). */
enum gnt_mqtt_prop_row {
#define GNT_PROP_ENUM(id, name, wire, lowest, highest, in, repeats) GNT_PROP_##name,
    GNT_MQTT_PROPS(GNT_PROP_ENUM)
#undef GNT_PROP_ENUM
        GNT_PROP_ROWS
};

/* ROW is a row of the table, never GNT_PROP_ROWS. */
uint8_t gnt_mqtt_prop_id(enum gnt_mqtt_prop_row row);
enum gnt_mqtt_wire gnt_mqtt_prop_wire(enum gnt_mqtt_prop_row row);
const char *gnt_mqtt_prop_name(enum gnt_mqtt_prop_row row); /* "message-expiry": for people */

/* One property, in or out. */
struct gnt_mqtt_prop {
    enum gnt_mqtt_prop_row row;
    uint32_t number;        /* U8, U16, U32, VBI */
    struct gnt_slice text;  /* STR, BIN; a PAIR's name */
    struct gnt_slice value; /* a PAIR's value */
};

/* The decoded properties of one packet.  A row's number or text is set only if its bit is in
 * `present`; ask with the functions below.  Rows that repeat keep their first value here; walk the
 * rest with gnt_mqtt_prop_next over `raw`. */
struct gnt_mqtt_props {
    uint32_t present;     /* 1 << row */
    struct gnt_slice raw; /* the section as it came, without its length */
    uint32_t number[GNT_PROP_ROWS];
    struct gnt_slice text[GNT_PROP_ROWS];
};

static inline bool gnt_mqtt_has(const struct gnt_mqtt_props *p, enum gnt_mqtt_prop_row row)
{
    return (p->present >> row & 1) != 0;
}

static inline uint32_t gnt_mqtt_number(const struct gnt_mqtt_props *p, enum gnt_mqtt_prop_row row,
                                       uint32_t otherwise)
{
    return gnt_mqtt_has(p, row) ? p->number[row] : otherwise;
}

/* Empty if it is not there. */
static inline struct gnt_slice gnt_mqtt_text(const struct gnt_mqtt_props *p,
                                             enum gnt_mqtt_prop_row row)
{
    return gnt_mqtt_has(p, row) ? p->text[row] : gnt_slice(NULL, 0);
}

/* Takes the next property off *raw; false at the end.  *raw has passed gnt_mqtt_props_decode. */
bool gnt_mqtt_prop_next(struct gnt_slice *raw, struct gnt_mqtt_prop *out);

/* Reads a property section (length and all) for a packet of the kind WHERE, one of GNT_IN_*.
 *   GNT_OK         *out filled, borrowing from the reader's bytes, which stand behind the section.
 *   GNT_MALFORMED  *reason 0x81: an identifier that the table does not have or does not allow there
 *                  [MQTT5 2.2.2.2], a value that is cut or not UTF-8, an integer longer than it
 *                  needs to be [MQTT-1.5.5-1].
 *   GNT_PROTOCOL   *reason 0x82: a property twice or a number out of its range; 0x94 for a topic
 *                  alias of 0.
 * On failure *out is not to be used; a section that runs over its packet sets r->bad. */
GNT_MUST gnt_err gnt_mqtt_props_decode(struct gnt_reader *r, uint32_t where,
                                       struct gnt_mqtt_props *out, uint8_t *reason);

/* Properties to be written: a list, then RAW bytes that are passed on as they came. */
struct gnt_mqtt_proplist {
    const struct gnt_mqtt_prop *list;
    size_t count;
    struct gnt_slice raw;
};

/* The section's size with its length prefix (one byte for none, or for NULL); 0 if it cannot be
 * encoded: a text over 65,535 bytes, a number out of its row's range, over GNT_MQTT_REMAINING_MAX
 * bytes in all. _write may be called only after _size has given more than 0. */
size_t gnt_mqtt_proplist_size(const struct gnt_mqtt_proplist *props);
uint8_t *gnt_mqtt_proplist_write(uint8_t *at, const struct gnt_mqtt_proplist *props);

/* Variable byte integers, for the encoders of this room. */
size_t gnt_mqtt_vbi_size(uint32_t value);
uint8_t *gnt_mqtt_vbi_write(uint8_t *at, uint32_t value);
uint32_t gnt_mqtt_vbi_read(struct gnt_reader *r); /* sets r->bad if it is not one */

#endif
