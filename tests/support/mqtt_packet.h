/* For tests of the MQTT codec and what stands on it: packets written as short text, and decoded
 * packets told as text or encoded again.  Everything returned is the caller's to free().
 *
 * A packet's bytes are written as hexadecimal digits with
 *     'text'   the characters themselves
 *     [ ... ]  a two-byte length in front of what is between
 *     ( ... )  a variable byte integer with the length in front of what is between
 *     |        the same for all that follows: the remaining length
 * so that a CONNECT of MQTT 5 is "10 | ['MQTT'] 05 02 003c (21 0014) ['client']". */
#ifndef GNT_TESTS_MQTT_PACKET_H
#define GNT_TESTS_MQTT_PACKET_H

#include "base/assert.h"
#include "mqtt/codec/packet.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Notation to bytes */

struct gnt_test_notation {
    const char *at;
    uint8_t bytes[8192];
    size_t size;
};

static inline void gnt_test_prefix(struct gnt_test_notation *n, size_t start, const uint8_t *prefix,
                                   size_t size)
{
    GNT_ASSERT(n->size + size <= sizeof n->bytes);
    memmove(n->bytes + start + size, n->bytes + start, n->size - start);
    memcpy(n->bytes + start, prefix, size);
    n->size += size;
}

static inline void gnt_test_byte(struct gnt_test_notation *n, unsigned byte)
{
    GNT_ASSERT(n->size < sizeof n->bytes);
    n->bytes[n->size++] = (uint8_t)byte;
}

static inline void gnt_test_parse(struct gnt_test_notation *n, char until);

/* What stands between brackets, then its length in front of it. */
static inline void gnt_test_nested(struct gnt_test_notation *n, char close)
{
    const size_t start = n->size;
    uint8_t prefix[4];
    n->at++;
    gnt_test_parse(n, close);
    const size_t size = n->size - start;
    if (close == ']') {
        prefix[0] = (uint8_t)(size >> 8);
        prefix[1] = (uint8_t)size;
        gnt_test_prefix(n, start, prefix, 2);
    } else {
        gnt_test_prefix(n, start, prefix,
                        (size_t)(gnt_mqtt_vbi_write(prefix, (uint32_t)size) - prefix));
    }
}

static inline void gnt_test_parse(struct gnt_test_notation *n, char until)
{
    while (*n->at != until) {
        unsigned byte;
        switch (*n->at) {
        case ' ': n->at++; break;
        case '[': gnt_test_nested(n, ']'); break;
        case '(': gnt_test_nested(n, ')'); break;
        case '|':
            gnt_test_nested(n, '\0');
            n->at--; /* the end belongs to the caller, too */
            break;
        case '\'':
            for (n->at++; *n->at != '\''; n->at++)
                gnt_test_byte(n, (uint8_t)*n->at);
            n->at++;
            break;
        default:
            GNT_ASSERT(sscanf(n->at, "%2x", &byte) == 1);
            gnt_test_byte(n, byte);
            n->at += 2;
        }
    }
    n->at++;
}

/* The bytes that NOTATION stands for, in a block of exactly their size. */
static inline struct gnt_slice gnt_test_bytes(const char *notation)
{
    struct gnt_test_notation n;
    n.at = notation;
    n.size = 0;
    gnt_test_parse(&n, '\0');
    uint8_t *exact = malloc(n.size ? n.size : 1);
    GNT_ASSERT(exact != NULL);
    memcpy(exact, n.bytes, n.size);
    return gnt_slice(exact, n.size);
}

/* The first SIZE bytes of IN in a block of their own, so that the sanitizers see a read past them.
 */
static inline struct gnt_slice gnt_test_copy(struct gnt_slice in, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    GNT_ASSERT(exact != NULL && size <= in.size);
    if (size)
        memcpy(exact, in.data, size);
    return gnt_slice(exact, size);
}

static inline void gnt_test_free(struct gnt_slice bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

/* ---- Packet to text */

static inline void gnt_test_tell_text(FILE *f, const char *name, struct gnt_slice text)
{
    fprintf(f, "%s'", name);
    for (size_t i = 0; i < text.size; i++)
        fprintf(f, text.data[i] < 0x20 || text.data[i] > 0x7e ? "\\x%02x" : "%c", text.data[i]);
    fputc('\'', f);
}

static inline bool gnt_test_is_number(enum gnt_mqtt_prop_row row)
{
    return gnt_mqtt_prop_wire(row) < GNT_WIRE_STR;
}

/* All properties in their order; what the struct says of each row's first one must be the same. */
static inline void gnt_test_tell_props(FILE *f, const struct gnt_mqtt_props *props)
{
    struct gnt_slice raw = props->raw;
    struct gnt_mqtt_prop prop;
    uint32_t seen = 0;
    const char *gap = " {";
    while (gnt_mqtt_prop_next(&raw, &prop)) {
        fprintf(f, "%s%s", gap, gnt_mqtt_prop_name(prop.row));
        gap = " ";
        bool first = !(seen >> prop.row & 1);
        seen |= 1u << prop.row;
        if (gnt_test_is_number(prop.row)) {
            GNT_ASSERT(!first || gnt_mqtt_number(props, prop.row, ~prop.number) == prop.number);
            fprintf(f, "=%u", prop.number);
            continue;
        }
        GNT_ASSERT(!first || gnt_slice_eq(gnt_mqtt_text(props, prop.row), prop.text));
        gnt_test_tell_text(f, "=", prop.text);
        if (gnt_mqtt_prop_wire(prop.row) == GNT_WIRE_PAIR)
            gnt_test_tell_text(f, "=", prop.value);
    }
    GNT_ASSERT(raw.size == 0 && seen == props->present);
    if (seen)
        fputc('}', f);
}

static inline void gnt_test_tell_connect(FILE *f, const struct gnt_mqtt_connect *c)
{
    fprintf(f, " v%u%s keep=%u", c->version, c->clean_start ? " clean" : "", c->keep_alive_s);
    gnt_test_tell_text(f, " id=", c->client_id);
    if (c->has_will) {
        fprintf(f, " will(qos=%u%s", c->will.qos, c->will.retain ? " retain" : "");
        gnt_test_tell_text(f, " topic=", c->will.topic);
        gnt_test_tell_text(f, " payload=", c->will.payload);
        gnt_test_tell_props(f, &c->will.props);
        fputc(')', f);
    }
    GNT_ASSERT(c->has_will || (c->will.qos == 0 && !c->will.retain && c->will.topic.size == 0 &&
                               c->will.payload.size == 0 && c->will.props.present == 0));
    GNT_ASSERT((c->has_username || !c->username.size) && (c->has_password || !c->password.size));
    if (c->has_username)
        gnt_test_tell_text(f, " user=", c->username);
    if (c->has_password)
        gnt_test_tell_text(f, " password=", c->password);
}

static inline void gnt_test_tell_filters(FILE *f, const struct gnt_mqtt_packet *p,
                                         enum gnt_mqtt_version version)
{
    struct gnt_slice list = p->filters.list, filter;
    struct gnt_mqtt_subscription s;
    uint32_t count = 0;
    fprintf(f, " id=%u", p->filters.id);
    if (p->type == GNT_MQTT_SUBSCRIBE)
        for (; gnt_mqtt_next_subscription(&list, version, &s); count++) {
            gnt_test_tell_text(f, " ", s.filter);
            fprintf(f, "=%u%s%s", s.qos, s.no_local ? " no-local" : "",
                    s.retain_as_published ? " as-published" : "");
            if (s.retain_handling)
                fprintf(f, " handling=%u", s.retain_handling);
        }
    else
        for (; gnt_mqtt_next_filter(&list, &filter); count++)
            gnt_test_tell_text(f, " ", filter);
    GNT_ASSERT(list.size == 0 && count == p->filters.count);
}

static inline void gnt_test_tell_publish(FILE *f, const struct gnt_mqtt_publish *p)
{
    fprintf(f, " qos=%u%s%s id=%u", p->qos, p->dup ? " dup" : "", p->retain ? " retain" : "",
            p->id);
    gnt_test_tell_text(f, " topic=", p->topic);
    gnt_test_tell_text(f, " payload=", p->payload);
}

/* All that P says, as one line: two packets are the same if their lines are. */
static inline char *gnt_test_tell(const struct gnt_mqtt_packet *p, enum gnt_mqtt_version version)
{
    char *line = NULL;
    size_t size;
    FILE *f = open_memstream(&line, &size);
    GNT_ASSERT(f != NULL);
    fputs(gnt_mqtt_type_name(p->type), f);
    switch ((enum gnt_mqtt_type)p->type) {
    case GNT_MQTT_CONNECT: gnt_test_tell_connect(f, &p->connect); break;
    case GNT_MQTT_CONNACK:
        fprintf(f, "%s code=%02x", p->connack.session_present ? " present" : "", p->connack.code);
        break;
    case GNT_MQTT_PUBLISH: gnt_test_tell_publish(f, &p->publish); break;
    case GNT_MQTT_PUBACK:
    case GNT_MQTT_PUBREC:
    case GNT_MQTT_PUBREL:
    case GNT_MQTT_PUBCOMP: fprintf(f, " id=%u code=%02x", p->ack.id, p->ack.code); break;
    case GNT_MQTT_SUBSCRIBE:
    case GNT_MQTT_UNSUBSCRIBE: gnt_test_tell_filters(f, p, version); break;
    case GNT_MQTT_SUBACK:
    case GNT_MQTT_UNSUBACK:
        fprintf(f, " id=%u", p->codes.id);
        for (size_t i = 0; i < p->codes.codes.size; i++)
            fprintf(f, " %02x", p->codes.codes.data[i]);
        break;
    case GNT_MQTT_DISCONNECT:
    case GNT_MQTT_AUTH: fprintf(f, " code=%02x", p->close.code); break;
    case GNT_MQTT_PINGREQ:
    case GNT_MQTT_PINGRESP: break;
    }
    gnt_test_tell_props(f, &p->props);
    fclose(f);
    return line;
}

/* ---- Packet to bytes */

struct gnt_test_out {
    uint8_t *data;
    size_t size;
};

static inline uint8_t *gnt_test_room(struct gnt_test_out *out, size_t size)
{
    GNT_ASSERT(size > 0);
    out->size = size;
    out->data = malloc(size);
    GNT_ASSERT(out->data != NULL);
    return out->data;
}

static inline uint8_t *gnt_test_encode_subscribe(struct gnt_test_out *out,
                                                 const struct gnt_mqtt_filters *p,
                                                 enum gnt_mqtt_version v,
                                                 const struct gnt_mqtt_proplist *l)
{
    struct gnt_mqtt_subscription *list = calloc(p->count, sizeof *list);
    GNT_ASSERT(list != NULL);
    struct gnt_slice rest = p->list;
    for (size_t i = 0; i < p->count; i++)
        GNT_ASSERT(gnt_mqtt_next_subscription(&rest, v, &list[i]));
    uint8_t *at = gnt_test_room(out, gnt_mqtt_subscribe_size(p->id, list, p->count, v, l));
    at = gnt_mqtt_subscribe_write(at, p->id, list, p->count, v, l);
    free(list);
    return at;
}

static inline uint8_t *gnt_test_encode_unsubscribe(struct gnt_test_out *out,
                                                   const struct gnt_mqtt_filters *p,
                                                   enum gnt_mqtt_version v,
                                                   const struct gnt_mqtt_proplist *l)
{
    struct gnt_slice *list = calloc(p->count, sizeof *list), rest = p->list;
    GNT_ASSERT(list != NULL);
    for (size_t i = 0; i < p->count; i++)
        GNT_ASSERT(gnt_mqtt_next_filter(&rest, &list[i]));
    uint8_t *at = gnt_test_room(out, gnt_mqtt_unsubscribe_size(p->id, list, p->count, v, l));
    at = gnt_mqtt_unsubscribe_write(at, p->id, list, p->count, v, l);
    free(list);
    return at;
}

static inline uint8_t *gnt_test_encode_publish(struct gnt_test_out *out,
                                               const struct gnt_mqtt_publish *p,
                                               enum gnt_mqtt_version v,
                                               const struct gnt_mqtt_proplist *l)
{
    size_t total, head = gnt_mqtt_publish_head_size(p, v, l, &total);
    uint8_t *at = gnt_test_room(out, total);
    GNT_ASSERT(total == head + p->payload.size);
    at = gnt_mqtt_publish_head_write(at, p, v, l);
    if (p->payload.size)
        memcpy(at, p->payload.data, p->payload.size);
    return at + p->payload.size;
}

/* A decoded packet as bytes again, in a block of exactly the size that was announced; WITH and
 * WILL_WITH are its properties. */
static inline struct gnt_slice gnt_test_encode_with(const struct gnt_mqtt_packet *p,
                                                    enum gnt_mqtt_version v,
                                                    const struct gnt_mqtt_proplist *with,
                                                    const struct gnt_mqtt_proplist *will_with)
{
    struct gnt_test_out o = {NULL, 0};
    uint8_t *at = NULL;
    const enum gnt_mqtt_type type = p->type;
    switch (type) {
    case GNT_MQTT_CONNECT:
        at = gnt_test_room(&o, gnt_mqtt_connect_size(&p->connect, with, will_with));
        at = gnt_mqtt_connect_write(at, &p->connect, with, will_with);
        break;
    case GNT_MQTT_CONNACK:
        at = gnt_test_room(&o, gnt_mqtt_connack_size(&p->connack, v, with));
        at = gnt_mqtt_connack_write(at, &p->connack, v, with);
        break;
    case GNT_MQTT_PUBLISH: at = gnt_test_encode_publish(&o, &p->publish, v, with); break;
    case GNT_MQTT_PUBACK:
    case GNT_MQTT_PUBREC:
    case GNT_MQTT_PUBREL:
    case GNT_MQTT_PUBCOMP:
        at = gnt_test_room(&o, gnt_mqtt_ack_size(type, &p->ack, v, with));
        at = gnt_mqtt_ack_write(at, type, &p->ack, v, with);
        break;
    case GNT_MQTT_SUBSCRIBE: at = gnt_test_encode_subscribe(&o, &p->filters, v, with); break;
    case GNT_MQTT_UNSUBSCRIBE: at = gnt_test_encode_unsubscribe(&o, &p->filters, v, with); break;
    case GNT_MQTT_SUBACK:
    case GNT_MQTT_UNSUBACK:
        at = gnt_test_room(&o, gnt_mqtt_codes_size(type, &p->codes, v, with));
        at = gnt_mqtt_codes_write(at, type, &p->codes, v, with);
        break;
    case GNT_MQTT_DISCONNECT:
    case GNT_MQTT_AUTH:
        at = gnt_test_room(&o, gnt_mqtt_close_size(type, &p->close, v, with));
        at = gnt_mqtt_close_write(at, type, &p->close, v, with);
        break;
    case GNT_MQTT_PINGREQ:
    case GNT_MQTT_PINGRESP:
        at = gnt_mqtt_ping_write(gnt_test_room(&o, GNT_MQTT_PING_SIZE), type);
        break;
    }
    GNT_ASSERT(at == o.data + o.size);
    return gnt_slice(o.data, o.size);
}

/* The same with the properties passed on as they came. */
static inline struct gnt_slice gnt_test_encode(const struct gnt_mqtt_packet *p,
                                               enum gnt_mqtt_version version)
{
    const struct gnt_mqtt_proplist own = {.raw = p->props.raw};
    struct gnt_mqtt_proplist will = {.count = 0};
    if (p->type == GNT_MQTT_CONNECT && p->connect.has_will)
        will.raw = p->connect.will.props.raw;
    return gnt_test_encode_with(p, version, &own, &will);
}

#endif
