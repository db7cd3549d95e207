#include "mqtt/codec/packet.h"

enum { LENGTH_BYTES_MAX = 4 }; /* [MQTT5 1.5.5] */

gnt_err gnt_mqtt_frame(struct gnt_slice in, size_t max, struct gnt_mqtt_frame *out)
{
    *out = (struct gnt_mqtt_frame){0};
    if (in.size == 0)
        return GNT_MORE;
    out->type = in.data[0] >> 4;
    out->flags = in.data[0] & 0x0f;
    if (out->type == 0) /* reserved [MQTT5 2.1.2] */
        return GNT_MALFORMED;

    size_t remaining = 0, header = 1;
    for (uint8_t byte = 0x80; byte & 0x80; header++) {
        if (header > LENGTH_BYTES_MAX)
            return GNT_MALFORMED;
        if (header == in.size)
            return GNT_MORE;
        byte = in.data[header];
        if (byte == 0 && header > 1) /* more bytes than it needs [MQTT-1.5.5-1] */
            return GNT_MALFORMED;
        remaining |= (size_t)(byte & 0x7f) << 7 * (header - 1);
    }
    out->size = header + remaining;
    if (out->size > max)
        return GNT_TOOBIG;
    if (out->size > in.size)
        return GNT_MORE;
    out->body = gnt_slice(in.data + header, remaining);
    return GNT_OK;
}

const char *gnt_mqtt_type_name(uint8_t type)
{
    static const char *const names[] = {
        [GNT_MQTT_CONNECT] = "CONNECT",   [GNT_MQTT_CONNACK] = "CONNACK",
        [GNT_MQTT_PUBLISH] = "PUBLISH",   [GNT_MQTT_PUBACK] = "PUBACK",
        [GNT_MQTT_PUBREC] = "PUBREC",     [GNT_MQTT_PUBREL] = "PUBREL",
        [GNT_MQTT_PUBCOMP] = "PUBCOMP",   [GNT_MQTT_SUBSCRIBE] = "SUBSCRIBE",
        [GNT_MQTT_SUBACK] = "SUBACK",     [GNT_MQTT_UNSUBSCRIBE] = "UNSUBSCRIBE",
        [GNT_MQTT_UNSUBACK] = "UNSUBACK", [GNT_MQTT_PINGREQ] = "PINGREQ",
        [GNT_MQTT_PINGRESP] = "PINGRESP", [GNT_MQTT_DISCONNECT] = "DISCONNECT",
        [GNT_MQTT_AUTH] = "AUTH",
    };
    return type >= GNT_MQTT_CONNECT && type <= GNT_MQTT_AUTH ? names[type] : "?";
}
