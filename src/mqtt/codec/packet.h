/* MQTT control packets of 3.1, 3.1.1 and 5.0: bytes to structs and back.
 *
 * Pure functions: no state, no allocation, no I/O.  A decoded packet borrows every slice from the
 * bytes it was decoded from.  The codec checks what concerns one packet by itself (lengths, flags,
 * UTF-8, which properties and reason codes are allowed where); what concerns a connection (order of
 * packets, ids, aliases, topic syntax) is the engine's. */
#ifndef GNT_MQTT_CODEC_PACKET_H
#define GNT_MQTT_CODEC_PACKET_H

#include "base/err.h"
#include "base/slice.h"
#include "mqtt/codec/prop.h"
#include "mqtt/codec/reason.h"

enum gnt_mqtt_version {
    GNT_MQTT_3_1 = 3,   /* "MQIsdp", level 3 */
    GNT_MQTT_3_1_1 = 4, /* "MQTT", level 4 */
    GNT_MQTT_5 = 5,     /* "MQTT", level 5 */
};

/* Control packet types [MQTT5 2.1.2]; GNT_IN_* in prop.h are the same as bits. */
enum gnt_mqtt_type {
    GNT_MQTT_CONNECT = 1,
    GNT_MQTT_CONNACK,
    GNT_MQTT_PUBLISH,
    GNT_MQTT_PUBACK,
    GNT_MQTT_PUBREC,
    GNT_MQTT_PUBREL,
    GNT_MQTT_PUBCOMP,
    GNT_MQTT_SUBSCRIBE,
    GNT_MQTT_SUBACK,
    GNT_MQTT_UNSUBSCRIBE,
    GNT_MQTT_UNSUBACK,
    GNT_MQTT_PINGREQ,
    GNT_MQTT_PINGRESP,
    GNT_MQTT_DISCONNECT,
    GNT_MQTT_AUTH, /* MQTT 5 only */
};

enum { GNT_MQTT_REMAINING_MAX = 268435455 }; /* [MQTT5 1.5.5] */

struct gnt_mqtt_frame {
    uint8_t type;  /* enum gnt_mqtt_type, 0 is reserved and malformed */
    uint8_t flags; /* the low nibble of the first byte */
    size_t size;   /* of the whole packet with its fixed header */
    struct gnt_slice body;
};

/* Looks at the front of IN for one whole control packet.
 *   GNT_OK         *out filled; the caller drops out->size bytes and calls again.
 *   GNT_MORE       IN holds only a part; nothing consumed, call again with more.  out->size is the
 *                  whole packet's size if the fixed header has come, else 0.
 *   GNT_TOOBIG     the packet would be over MAX bytes; told as soon as the header shows it.
 *                  out->size is the packet's, the body is empty.
 *   GNT_MALFORMED  a broken header (type 0, a length of five bytes or of more bytes than it needs
 *                  [MQTT-1.5.5-1]); the connection is lost.
 * Same bytes, same answer, however the stream is cut.  out->body borrows from IN. */
GNT_MUST gnt_err gnt_mqtt_frame(struct gnt_slice in, size_t max, struct gnt_mqtt_frame *out);

struct gnt_mqtt_will {
    uint8_t qos;
    bool retain;
    struct gnt_slice topic, payload;
    struct gnt_mqtt_props props;
};

struct gnt_mqtt_connect {
    uint8_t version; /* enum gnt_mqtt_version; a 3.x bridge's mark 0x80 is stripped */
    bool clean_start;
    bool has_will, has_username, has_password;
    uint16_t keep_alive_s;
    struct gnt_slice client_id, username, password;
    struct gnt_mqtt_will will;
};

struct gnt_mqtt_connack {
    bool session_present;
    uint8_t code; /* a reason code in MQTT 5, a return code 0..5 in 3.x */
};

struct gnt_mqtt_publish {
    bool dup, retain;
    uint8_t qos;
    uint16_t id; /* 0 at QoS 0 */
    struct gnt_slice topic, payload;
};

/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
struct gnt_mqtt_ack {
    uint16_t id;
    uint8_t code; /* 0 in 3.x */
};

/* SUBSCRIBE and UNSUBSCRIBE: their filters are read one by one from `list`, which has been
 * checked. */
struct gnt_mqtt_filters {
    uint16_t id;
    uint32_t count; /* at least 1 */
    struct gnt_slice list;
};

struct gnt_mqtt_subscription {
    struct gnt_slice filter;
    uint8_t qos;
    bool no_local, retain_as_published;
    uint8_t retain_handling; /* 0 send, 1 send if new, 2 do not [MQTT5 3.8.3.1] */
};

/* SUBACK and UNSUBACK: one code a filter; an UNSUBACK of 3.x has none. */
struct gnt_mqtt_codes {
    uint16_t id;
    struct gnt_slice codes;
};

/* DISCONNECT and AUTH; code 0 in 3.x. */
struct gnt_mqtt_close {
    uint8_t code;
};

struct gnt_mqtt_packet {
    uint8_t type; /* enum gnt_mqtt_type: says which member is set */
    union {
        struct gnt_mqtt_connect connect;
        struct gnt_mqtt_connack connack;
        struct gnt_mqtt_publish publish;
        struct gnt_mqtt_ack ack;
        struct gnt_mqtt_filters filters;
        struct gnt_mqtt_codes codes;
        struct gnt_mqtt_close close;
    };
    struct gnt_mqtt_props props; /* present == 0 in 3.x */
};

/* Who sent the bytes: some packets, flags and properties are only a client's or only a server's. */
enum gnt_mqtt_sender { GNT_MQTT_FROM_CLIENT, GNT_MQTT_FROM_SERVER };

/* Decodes FRAME.  VERSION is the connection's; a CONNECT brings its own.
 *   GNT_OK           *out filled, borrowing from the frame.  Fields that the packet did not bring
 *                    are 0 or empty; of the properties only those that are `present` are set.
 *   GNT_MALFORMED    bytes that cannot be this packet [MQTT5 4.13.1]
 *   GNT_PROTOCOL     well-formed, but with data that the protocol does not allow [MQTT5 1.2]: a
 *                    packet or property that is not the SENDER's to send, a property twice, an id
 *                    of 0, a reason code that its packet does not have, ...
 *   GNT_UNSUPPORTED  a CONNECT of another version or protocol: out->connect.version is the level
 *                    byte, or 0 for another protocol's name, and nothing else is set.
 * On failure *reason is the MQTT 5 reason code that says it best: 0x81 malformed packet, 0x82
 * protocol error, 0x84 unsupported version, 0x94 topic alias invalid.
 *
 * Lenient towards MQTT 3.1, whose text leaves these open: DUP on SUBSCRIBE, UNSUBSCRIBE, PUBREL and
 * on a PUBLISH of QoS 0 (where it is ignored), unused flag bits in CONNECT, CONNACK and in a
 * subscription's QoS byte, a user name or password that is announced and not there.  And towards a
 * 3.x server that refuses an MQTT 5 CONNECT with its own CONNACK of two bytes and return code 1: it
 * is told as 0x84. */
GNT_MUST gnt_err gnt_mqtt_decode(const struct gnt_mqtt_frame *frame, enum gnt_mqtt_version version,
                                 enum gnt_mqtt_sender sender, struct gnt_mqtt_packet *out,
                                 uint8_t *reason);

/* Takes the next filter off *list (of a SUBSCRIBE or an UNSUBSCRIBE of VERSION); false at the end.
 * The list has passed gnt_mqtt_decode. */
bool gnt_mqtt_next_subscription(struct gnt_slice *list, enum gnt_mqtt_version version,
                                struct gnt_mqtt_subscription *out);
bool gnt_mqtt_next_filter(struct gnt_slice *list, struct gnt_slice *filter);

/* ---- Encoding.  Each _size call gives the exact number of bytes of the packet, 0 if it cannot be
 * encoded (over GNT_MQTT_REMAINING_MAX, a string over 65,535 bytes, QoS 3, properties that
 * gnt_mqtt_proplist_size refuses, a packet that VERSION does not have); the matching _write call
 * writes that many and returns the end, and may be called only when _size gave more than 0.
 * Properties are ignored for 3.x; NULL means none.  What the caller vouches for is not checked:
 * that text is UTF-8, that ids are not 0, that reason codes and properties belong to the packet. */

/* A password without a user name cannot be encoded for 3.x [MQTT-3.1.2-22]. p->will.props is not
 * looked at: WILL_PROPS is what is written. */
size_t gnt_mqtt_connect_size(const struct gnt_mqtt_connect *p,
                             const struct gnt_mqtt_proplist *props,
                             const struct gnt_mqtt_proplist *will_props);
uint8_t *gnt_mqtt_connect_write(uint8_t *at, const struct gnt_mqtt_connect *p,
                                const struct gnt_mqtt_proplist *props,
                                const struct gnt_mqtt_proplist *will_props);

size_t gnt_mqtt_connack_size(const struct gnt_mqtt_connack *p, enum gnt_mqtt_version version,
                             const struct gnt_mqtt_proplist *props);
uint8_t *gnt_mqtt_connack_write(uint8_t *at, const struct gnt_mqtt_connack *p,
                                enum gnt_mqtt_version version,
                                const struct gnt_mqtt_proplist *props);

/* All of a PUBLISH but its payload, which follows right behind; *total (may be NULL) gets the size
 * with the payload, 0 together with a return of 0. */
size_t gnt_mqtt_publish_head_size(const struct gnt_mqtt_publish *p, enum gnt_mqtt_version version,
                                  const struct gnt_mqtt_proplist *props, size_t *total);
uint8_t *gnt_mqtt_publish_head_write(uint8_t *at, const struct gnt_mqtt_publish *p,
                                     enum gnt_mqtt_version version,
                                     const struct gnt_mqtt_proplist *props);

/* TYPE is PUBACK, PUBREC, PUBREL or PUBCOMP. The shortest form is chosen: no code if it is 0 and
 * there are no properties [MQTT5 3.4.2.1]. */
size_t gnt_mqtt_ack_size(enum gnt_mqtt_type type, const struct gnt_mqtt_ack *p,
                         enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props);
uint8_t *gnt_mqtt_ack_write(uint8_t *at, enum gnt_mqtt_type type, const struct gnt_mqtt_ack *p,
                            enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props);

size_t gnt_mqtt_subscribe_size(uint16_t id, const struct gnt_mqtt_subscription *subscriptions,
                               size_t count, enum gnt_mqtt_version version,
                               const struct gnt_mqtt_proplist *props);
uint8_t *gnt_mqtt_subscribe_write(uint8_t *at, uint16_t id,
                                  const struct gnt_mqtt_subscription *subscriptions, size_t count,
                                  enum gnt_mqtt_version version,
                                  const struct gnt_mqtt_proplist *props);

size_t gnt_mqtt_unsubscribe_size(uint16_t id, const struct gnt_slice *filters, size_t count,
                                 enum gnt_mqtt_version version,
                                 const struct gnt_mqtt_proplist *props);
uint8_t *gnt_mqtt_unsubscribe_write(uint8_t *at, uint16_t id, const struct gnt_slice *filters,
                                    size_t count, enum gnt_mqtt_version version,
                                    const struct gnt_mqtt_proplist *props);

/* TYPE is SUBACK or UNSUBACK; for an UNSUBACK of 3.x the codes are left out.  For a SUBACK of 3.x
 * the caller has brought them down to 0, 1, 2 and 0x80 [MQTT3.1.1 3.9.3]. */
size_t gnt_mqtt_codes_size(enum gnt_mqtt_type type, const struct gnt_mqtt_codes *p,
                           enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props);
uint8_t *gnt_mqtt_codes_write(uint8_t *at, enum gnt_mqtt_type type, const struct gnt_mqtt_codes *p,
                              enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props);

/* TYPE is DISCONNECT or AUTH, in their shortest form [MQTT5 3.14.2.1, 3.15.2.1]. */
size_t gnt_mqtt_close_size(enum gnt_mqtt_type type, const struct gnt_mqtt_close *p,
                           enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props);
uint8_t *gnt_mqtt_close_write(uint8_t *at, enum gnt_mqtt_type type, const struct gnt_mqtt_close *p,
                              enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props);

/* TYPE is PINGREQ or PINGRESP: two bytes, the same in every version. */
enum { GNT_MQTT_PING_SIZE = 2 };
uint8_t *gnt_mqtt_ping_write(uint8_t *at, enum gnt_mqtt_type type);

/* "CONNECT", ...; "?" for none. */
const char *gnt_mqtt_type_name(uint8_t type);

#endif
