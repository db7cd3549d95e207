#include "mqtt/codec/print.h"

#include "base/printer.h"

static void print_name(struct gnt_printer *p, const char *name)
{
    gnt_printer_tell(p, " %s=", name);
}

static void print_text(struct gnt_printer *p, const char *name, struct gnt_slice text)
{
    print_name(p, name);
    gnt_printer_text(p, text, '"');
}

static void print_bytes(struct gnt_printer *p, const char *name, struct gnt_slice bytes)
{
    print_name(p, name);
    gnt_printer_say(p, "b");
    gnt_printer_bytes(p, bytes, '"');
}

static void print_number(struct gnt_printer *p, const char *name, uint32_t number)
{
    gnt_printer_tell(p, " %s=%u", name, number);
}

static void print_flag(struct gnt_printer *p, const char *name, bool set)
{
    if (set)
        gnt_printer_tell(p, " %s", name);
}

/* ---- Properties */

static void print_prop(struct gnt_printer *p, const struct gnt_mqtt_prop *prop)
{
    const char *name = gnt_mqtt_prop_name(prop->row);
    switch (gnt_mqtt_prop_wire(prop->row)) {
    case GNT_WIRE_U8:
    case GNT_WIRE_U16:
    case GNT_WIRE_U32:
    case GNT_WIRE_VBI: print_number(p, name, prop->number); break;
    case GNT_WIRE_STR: print_text(p, name, prop->text); break;
    case GNT_WIRE_BIN:
        if (prop->row == GNT_PROP_AUTH_DATA)
            gnt_printer_tell(p, " %s=(%zu bytes)", name, prop->text.size);
        else
            print_bytes(p, name, prop->text);
        break;
    case GNT_WIRE_PAIR:
        print_text(p, name, prop->text);
        gnt_printer_say(p, ":");
        gnt_printer_text(p, prop->value, '"');
        break;
    }
}

static void print_props(struct gnt_printer *p, const struct gnt_mqtt_props *props)
{
    struct gnt_slice raw = props->present ? props->raw : gnt_slice(NULL, 0);
    struct gnt_mqtt_prop prop;
    while (!p->full && gnt_mqtt_prop_next(&raw, &prop))
        print_prop(p, &prop);
}

/* ---- Packets */

static void print_connect(struct gnt_printer *p, const struct gnt_mqtt_connect *c)
{
    static const char *const versions[] = {
        [GNT_MQTT_3_1] = "3.1", [GNT_MQTT_3_1_1] = "3.1.1", [GNT_MQTT_5] = "5.0"};
    gnt_printer_tell(p, " version=%s", versions[c->version]);
    print_text(p, "client-id", c->client_id);
    print_flag(p, c->version == GNT_MQTT_5 ? "clean-start" : "clean-session", c->clean_start);
    print_number(p, "keep-alive", c->keep_alive_s);
    if (c->has_username)
        print_text(p, "username", c->username);
    if (c->has_password)
        gnt_printer_tell(p, " password=(%zu bytes)", c->password.size);
    if (!c->has_will)
        return;
    gnt_printer_say(p, " will=(");
    gnt_printer_tell(p, "qos=%u", c->will.qos);
    print_flag(p, "retain", c->will.retain);
    print_text(p, "topic", c->will.topic);
    print_props(p, &c->will.props);
    print_bytes(p, "payload", c->will.payload);
    gnt_printer_say(p, ")");
}

static void print_code(struct gnt_printer *p, uint8_t code, enum gnt_mqtt_version version)
{
    static const char *const v3[] = {
        "accepted",           "unacceptable protocol version", "identifier rejected",
        "server unavailable", "bad user name or password",     "not authorized"};
    const char *text = version == GNT_MQTT_5             ? gnt_mqtt_reason_text(code)
                       : code < sizeof v3 / sizeof v3[0] ? v3[code]
                                                         : "unknown";
    gnt_printer_tell(p, " code=0x%02x (%s)", code, text);
}

static void print_publish_head(struct gnt_printer *p, const struct gnt_mqtt_publish *publish)
{
    print_number(p, "qos", publish->qos);
    if (publish->qos)
        print_number(p, "id", publish->id);
    print_flag(p, "dup", publish->dup);
    print_flag(p, "retain", publish->retain);
    print_text(p, "topic", publish->topic);
}

static void print_ack(struct gnt_printer *p, const struct gnt_mqtt_ack *ack)
{
    print_number(p, "id", ack->id);
    if (ack->code)
        print_code(p, ack->code, GNT_MQTT_5);
}

static void print_subscriptions(struct gnt_printer *p, const struct gnt_mqtt_filters *filters,
                                enum gnt_mqtt_version version)
{
    struct gnt_slice list = filters->list;
    struct gnt_mqtt_subscription s;
    print_number(p, "id", filters->id);
    while (!p->full && gnt_mqtt_next_subscription(&list, version, &s)) {
        print_text(p, "filter", s.filter);
        gnt_printer_tell(p, "(qos=%u", s.qos);
        print_flag(p, "no-local", s.no_local);
        print_flag(p, "retain-as-published", s.retain_as_published);
        if (s.retain_handling)
            print_number(p, "retain-handling", s.retain_handling);
        gnt_printer_say(p, ")");
    }
}

static void print_filters(struct gnt_printer *p, const struct gnt_mqtt_filters *filters)
{
    struct gnt_slice list = filters->list, filter;
    print_number(p, "id", filters->id);
    while (!p->full && gnt_mqtt_next_filter(&list, &filter))
        print_text(p, "filter", filter);
}

static void print_codes(struct gnt_printer *p, const struct gnt_mqtt_codes *codes)
{
    print_number(p, "id", codes->id);
    for (size_t i = 0; i < codes->codes.size && !p->full; i++)
        print_code(p, codes->codes.data[i], GNT_MQTT_5);
}

static void print_packet(struct gnt_printer *p, const struct gnt_mqtt_packet *packet,
                         enum gnt_mqtt_version version)
{
    switch ((enum gnt_mqtt_type)packet->type) {
    case GNT_MQTT_CONNECT: print_connect(p, &packet->connect); break;
    case GNT_MQTT_CONNACK:
        print_code(p, packet->connack.code, version);
        print_flag(p, "session-present", packet->connack.session_present);
        break;
    case GNT_MQTT_PUBLISH: print_publish_head(p, &packet->publish); break;
    case GNT_MQTT_PUBACK:
    case GNT_MQTT_PUBREC:
    case GNT_MQTT_PUBREL:
    case GNT_MQTT_PUBCOMP: print_ack(p, &packet->ack); break;
    case GNT_MQTT_SUBSCRIBE: print_subscriptions(p, &packet->filters, version); break;
    case GNT_MQTT_UNSUBSCRIBE: print_filters(p, &packet->filters); break;
    case GNT_MQTT_SUBACK:
    case GNT_MQTT_UNSUBACK: print_codes(p, &packet->codes); break;
    case GNT_MQTT_DISCONNECT:
    case GNT_MQTT_AUTH:
        if (version == GNT_MQTT_5)
            print_code(p, packet->close.code, version);
        break;
    case GNT_MQTT_PINGREQ:
    case GNT_MQTT_PINGRESP: break;
    }
    print_props(p, &packet->props);
    if (packet->type == GNT_MQTT_PUBLISH)
        print_bytes(p, "payload", packet->publish.payload);
}

gnt_err gnt_mqtt_print(struct gnt_buf *out, size_t max, const struct gnt_mqtt_packet *packet,
                       enum gnt_mqtt_version version)
{
    struct gnt_printer p = gnt_printer(out, max);
    gnt_printer_say(&p, gnt_mqtt_type_name(packet->type));
    print_packet(&p, packet, version);
    return gnt_printer_finish(&p);
}
