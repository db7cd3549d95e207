#include "mqtt/codec/packet.h"

/* Sizes add up in size_t; a packet that cannot be encoded has the size IMPOSSIBLE from the part on
 * that breaks it. */
enum { IMPOSSIBLE = GNT_MQTT_REMAINING_MAX + 1, TEXT_MAX = UINT16_MAX };

static size_t plus(size_t a, size_t b)
{
    return a >= IMPOSSIBLE || b >= IMPOSSIBLE ? IMPOSSIBLE : a + b;
}

static size_t text_size(struct gnt_slice text)
{
    return text.size > TEXT_MAX ? IMPOSSIBLE : 2 + text.size;
}

static size_t props_size(enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props)
{
    if (version < GNT_MQTT_5)
        return 0;
    size_t size = gnt_mqtt_proplist_size(props);
    return size ? size : IMPOSSIBLE;
}

/* The packet's size with its fixed header, 0 if it cannot be encoded. */
static size_t whole(size_t body)
{
    return body >= IMPOSSIBLE ? 0 : 1 + gnt_mqtt_vbi_size((uint32_t)body) + body;
}

static uint8_t *put_u8(uint8_t *at, unsigned value)
{
    *at = (uint8_t)value;
    return at + 1;
}

static uint8_t *put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static uint8_t *put_bytes(uint8_t *at, struct gnt_slice bytes)
{
    if (bytes.size)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static uint8_t *put_text(uint8_t *at, struct gnt_slice text)
{
    return put_bytes(put_u16(at, (uint16_t)text.size), text);
}

static uint8_t *put_props(uint8_t *at, enum gnt_mqtt_version version,
                          const struct gnt_mqtt_proplist *props)
{
    return version < GNT_MQTT_5 ? at : gnt_mqtt_proplist_write(at, props);
}

/* The fixed header [MQTT5 2.1]. */
static uint8_t *put_head(uint8_t *at, enum gnt_mqtt_type type, unsigned flags, size_t body)
{
    return gnt_mqtt_vbi_write(put_u8(at, (unsigned)type << 4 | flags), (uint32_t)body);
}

/* ---- CONNECT [MQTT5 3.1] */

static size_t connect_body(const struct gnt_mqtt_connect *p, const struct gnt_mqtt_proplist *props,
                           const struct gnt_mqtt_proplist *will_props)
{
    if (p->version < GNT_MQTT_5 && p->has_password && !p->has_username)
        return IMPOSSIBLE;
    size_t name = p->version == GNT_MQTT_3_1 ? sizeof "MQIsdp" - 1 : sizeof "MQTT" - 1;
    size_t body = 2 + name + 1 + 1 + 2; /* name, level, flags, keep alive */
    body = plus(body, props_size(p->version, props));
    body = plus(body, text_size(p->client_id));
    if (p->has_will) {
        if (p->will.qos > 2)
            return IMPOSSIBLE;
        body = plus(body, props_size(p->version, will_props));
        body = plus(body, text_size(p->will.topic));
        body = plus(body, text_size(p->will.payload));
    }
    if (p->has_username)
        body = plus(body, text_size(p->username));
    if (p->has_password)
        body = plus(body, text_size(p->password));
    return body;
}

size_t gnt_mqtt_connect_size(const struct gnt_mqtt_connect *p,
                             const struct gnt_mqtt_proplist *props,
                             const struct gnt_mqtt_proplist *will_props)
{
    return whole(connect_body(p, props, will_props));
}

static unsigned connect_flags(const struct gnt_mqtt_connect *p)
{
    unsigned flags = (unsigned)p->has_username << 7 | (unsigned)p->has_password << 6 |
                     (unsigned)p->clean_start << 1;
    if (p->has_will)
        flags |= (unsigned)p->will.retain << 5 | (unsigned)p->will.qos << 3 | 1u << 2;
    return flags;
}

uint8_t *gnt_mqtt_connect_write(uint8_t *at, const struct gnt_mqtt_connect *p,
                                const struct gnt_mqtt_proplist *props,
                                const struct gnt_mqtt_proplist *will_props)
{
    at = put_head(at, GNT_MQTT_CONNECT, 0, connect_body(p, props, will_props));
    at = put_text(at, gnt_slice_str(p->version == GNT_MQTT_3_1 ? "MQIsdp" : "MQTT"));
    at = put_u8(at, p->version);
    at = put_u8(at, connect_flags(p));
    at = put_u16(at, p->keep_alive_s);
    at = put_props(at, p->version, props);
    at = put_text(at, p->client_id);
    if (p->has_will) {
        at = put_props(at, p->version, will_props);
        at = put_text(at, p->will.topic);
        at = put_text(at, p->will.payload);
    }
    if (p->has_username)
        at = put_text(at, p->username);
    return p->has_password ? put_text(at, p->password) : at;
}

/* ---- CONNACK [MQTT5 3.2] */

static size_t connack_body(enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props)
{
    return plus(2, props_size(version, props));
}

size_t gnt_mqtt_connack_size(const struct gnt_mqtt_connack *p, enum gnt_mqtt_version version,
                             const struct gnt_mqtt_proplist *props)
{
    (void)p;
    return whole(connack_body(version, props));
}

uint8_t *gnt_mqtt_connack_write(uint8_t *at, const struct gnt_mqtt_connack *p,
                                enum gnt_mqtt_version version,
                                const struct gnt_mqtt_proplist *props)
{
    at = put_head(at, GNT_MQTT_CONNACK, 0, connack_body(version, props));
    at = put_u8(at, p->session_present && version > GNT_MQTT_3_1);
    at = put_u8(at, p->code);
    return put_props(at, version, props);
}

/* ---- PUBLISH [MQTT5 3.3] */

static size_t publish_body(const struct gnt_mqtt_publish *p, enum gnt_mqtt_version version,
                           const struct gnt_mqtt_proplist *props)
{
    if (p->qos > 2)
        return IMPOSSIBLE;
    size_t body = plus(text_size(p->topic), p->qos ? 2 : 0);
    return plus(plus(body, props_size(version, props)), p->payload.size);
}

size_t gnt_mqtt_publish_head_size(const struct gnt_mqtt_publish *p, enum gnt_mqtt_version version,
                                  const struct gnt_mqtt_proplist *props, size_t *total)
{
    size_t size = whole(publish_body(p, version, props));
    if (total)
        *total = size;
    return size ? size - p->payload.size : 0;
}

uint8_t *gnt_mqtt_publish_head_write(uint8_t *at, const struct gnt_mqtt_publish *p,
                                     enum gnt_mqtt_version version,
                                     const struct gnt_mqtt_proplist *props)
{
    const bool dup = p->dup && p->qos > 0; /* [MQTT-3.3.1-2] */
    const unsigned flags = (unsigned)dup << 3 | (unsigned)p->qos << 1 | (unsigned)p->retain;
    at = put_head(at, GNT_MQTT_PUBLISH, flags, publish_body(p, version, props));
    at = put_text(at, p->topic);
    if (p->qos)
        at = put_u16(at, p->id);
    return put_props(at, version, props);
}

/* ---- PUBACK, PUBREC, PUBREL, PUBCOMP [MQTT5 3.4 to 3.7] */

/* What stands behind an optional reason code: nothing, the code alone, or the properties too. */
static size_t code_and_props(uint8_t code, enum gnt_mqtt_version version,
                             const struct gnt_mqtt_proplist *props)
{
    size_t size = props_size(version, props);
    if (size <= 1) /* 3.x, or an empty section */
        return version == GNT_MQTT_5 && code != 0 ? 1 : 0;
    return plus(1, size);
}

static uint8_t *put_code_and_props(uint8_t *at, size_t size, uint8_t code,
                                   const struct gnt_mqtt_proplist *props)
{
    if (size > 0)
        at = put_u8(at, code);
    return size > 1 ? gnt_mqtt_proplist_write(at, props) : at;
}

size_t gnt_mqtt_ack_size(enum gnt_mqtt_type type, const struct gnt_mqtt_ack *p,
                         enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props)
{
    (void)type;
    return whole(plus(2, code_and_props(p->code, version, props)));
}

uint8_t *gnt_mqtt_ack_write(uint8_t *at, enum gnt_mqtt_type type, const struct gnt_mqtt_ack *p,
                            enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props)
{
    const size_t rest = code_and_props(p->code, version, props);
    at = put_head(at, type, type == GNT_MQTT_PUBREL ? 2 : 0, 2 + rest); /* [MQTT-3.6.1-1] */
    return put_code_and_props(put_u16(at, p->id), rest, p->code, props);
}

/* ---- SUBSCRIBE and UNSUBSCRIBE [MQTT5 3.8, 3.10] */

static size_t subscribe_body(const struct gnt_mqtt_subscription *subscriptions, size_t count,
                             enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props)
{
    size_t body = plus(2, props_size(version, props));
    for (size_t i = 0; i < count; i++) {
        const struct gnt_mqtt_subscription *s = &subscriptions[i];
        if (s->qos > 2 || s->retain_handling > 2)
            return IMPOSSIBLE;
        body = plus(plus(body, text_size(s->filter)), 1);
    }
    return count ? body : IMPOSSIBLE; /* [MQTT-3.8.3-2] */
}

size_t gnt_mqtt_subscribe_size(uint16_t id, const struct gnt_mqtt_subscription *subscriptions,
                               size_t count, enum gnt_mqtt_version version,
                               const struct gnt_mqtt_proplist *props)
{
    (void)id;
    return whole(subscribe_body(subscriptions, count, version, props));
}

static unsigned options(const struct gnt_mqtt_subscription *s, enum gnt_mqtt_version version)
{
    if (version < GNT_MQTT_5)
        return s->qos;
    return s->qos | (unsigned)s->no_local << 2 | (unsigned)s->retain_as_published << 3 |
           (unsigned)s->retain_handling << 4;
}

uint8_t *gnt_mqtt_subscribe_write(uint8_t *at, uint16_t id,
                                  const struct gnt_mqtt_subscription *subscriptions, size_t count,
                                  enum gnt_mqtt_version version,
                                  const struct gnt_mqtt_proplist *props)
{
    const size_t body = subscribe_body(subscriptions, count, version, props);
    at = put_head(at, GNT_MQTT_SUBSCRIBE, 2, body); /* [MQTT-3.8.1-1] */
    at = put_props(put_u16(at, id), version, props);
    for (size_t i = 0; i < count; i++) {
        at = put_text(at, subscriptions[i].filter);
        at = put_u8(at, options(&subscriptions[i], version));
    }
    return at;
}

static size_t unsubscribe_body(const struct gnt_slice *filters, size_t count,
                               enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props)
{
    size_t body = plus(2, props_size(version, props));
    for (size_t i = 0; i < count; i++)
        body = plus(body, text_size(filters[i]));
    return count ? body : IMPOSSIBLE; /* [MQTT-3.10.3-2] */
}

size_t gnt_mqtt_unsubscribe_size(uint16_t id, const struct gnt_slice *filters, size_t count,
                                 enum gnt_mqtt_version version,
                                 const struct gnt_mqtt_proplist *props)
{
    (void)id;
    return whole(unsubscribe_body(filters, count, version, props));
}

uint8_t *gnt_mqtt_unsubscribe_write(uint8_t *at, uint16_t id, const struct gnt_slice *filters,
                                    size_t count, enum gnt_mqtt_version version,
                                    const struct gnt_mqtt_proplist *props)
{
    const size_t body = unsubscribe_body(filters, count, version, props);
    at = put_head(at, GNT_MQTT_UNSUBSCRIBE, 2, body); /* [MQTT-3.10.1-1] */
    at = put_props(put_u16(at, id), version, props);
    for (size_t i = 0; i < count; i++)
        at = put_text(at, filters[i]);
    return at;
}

/* ---- SUBACK and UNSUBACK [MQTT5 3.9, 3.11] */

static bool has_codes(enum gnt_mqtt_type type, enum gnt_mqtt_version version)
{
    return type == GNT_MQTT_SUBACK || version == GNT_MQTT_5;
}

static size_t codes_body(enum gnt_mqtt_type type, const struct gnt_mqtt_codes *p,
                         enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props)
{
    size_t body = plus(2, props_size(version, props));
    return has_codes(type, version) ? plus(body, p->codes.size) : body;
}

size_t gnt_mqtt_codes_size(enum gnt_mqtt_type type, const struct gnt_mqtt_codes *p,
                           enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props)
{
    return whole(codes_body(type, p, version, props));
}

uint8_t *gnt_mqtt_codes_write(uint8_t *at, enum gnt_mqtt_type type, const struct gnt_mqtt_codes *p,
                              enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props)
{
    at = put_head(at, type, 0, codes_body(type, p, version, props));
    at = put_props(put_u16(at, p->id), version, props);
    return has_codes(type, version) ? put_bytes(at, p->codes) : at;
}

/* ---- DISCONNECT, AUTH, PINGREQ, PINGRESP [MQTT5 3.12 to 3.15] */

/* An AUTH may leave out its code only together with its property length [MQTT5 3.15.2.1]. */
static size_t close_body(enum gnt_mqtt_type type, const struct gnt_mqtt_close *p,
                         enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props)
{
    if (type == GNT_MQTT_AUTH && version < GNT_MQTT_5)
        return IMPOSSIBLE;
    size_t body = code_and_props(p->code, version, props);
    return type == GNT_MQTT_AUTH && body == 1 ? 2 : body;
}

size_t gnt_mqtt_close_size(enum gnt_mqtt_type type, const struct gnt_mqtt_close *p,
                           enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props)
{
    return whole(close_body(type, p, version, props));
}

uint8_t *gnt_mqtt_close_write(uint8_t *at, enum gnt_mqtt_type type, const struct gnt_mqtt_close *p,
                              enum gnt_mqtt_version version, const struct gnt_mqtt_proplist *props)
{
    const size_t body = close_body(type, p, version, props);
    return put_code_and_props(put_head(at, type, 0, body), body, p->code, props);
}

uint8_t *gnt_mqtt_ping_write(uint8_t *at, enum gnt_mqtt_type type)
{
    return put_head(at, type, 0, 0);
}
