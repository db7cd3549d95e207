/* Any bytes as a stream of control packets.  The first byte chooses version and sender.  A packet
 * that decodes must come out of its own encoding unchanged, and the stream's cuts must not matter.
 */
#include "fuzz.h"

#include "../support/mqtt_packet.h"

enum { PACKET_MAX = 65536 };

/* Encoded again and decoded again, the packet tells the same, and its second encoding is the first.
 */
static void check_round_trip(const struct gnt_mqtt_packet *packet, enum gnt_mqtt_version version,
                             enum gnt_mqtt_sender sender)
{
    if (packet->type == GNT_MQTT_CONNECT)
        version = packet->connect.version;
    struct gnt_slice bytes = gnt_test_encode(packet, version);
    struct gnt_mqtt_frame frame;
    struct gnt_mqtt_packet again;
    uint8_t reason;
    GNT_ASSERT(gnt_mqtt_frame(bytes, bytes.size, &frame) == GNT_OK && frame.size == bytes.size);
    GNT_ASSERT(gnt_mqtt_decode(&frame, version, sender, &again, &reason) == GNT_OK);
    char *first = gnt_test_tell(packet, version), *second = gnt_test_tell(&again, version);
    GNT_ASSERT(strcmp(first, second) == 0);
    struct gnt_slice same = gnt_test_encode(&again, version);
    GNT_ASSERT(gnt_slice_eq(bytes, same));
    free(first);
    free(second);
    gnt_test_free(bytes);
    gnt_test_free(same);
}

/* A part of a packet is never a packet, and never another verdict. */
static void check_cuts(struct gnt_slice in, size_t size)
{
    struct gnt_mqtt_frame frame;
    for (size_t cut = 0; cut < size; cut += cut < 8 ? 1 : 1 + size / 8)
        GNT_ASSERT(gnt_mqtt_frame(gnt_slice(in.data, cut), PACKET_MAX, &frame) == GNT_MORE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    static const enum gnt_mqtt_version versions[] = {GNT_MQTT_3_1, GNT_MQTT_3_1_1, GNT_MQTT_5};
    const enum gnt_mqtt_version version = versions[data[0] % 3];
    const enum gnt_mqtt_sender sender =
        data[0] & 0x80 ? GNT_MQTT_FROM_SERVER : GNT_MQTT_FROM_CLIENT;
    struct gnt_slice in = gnt_slice(data + 1, size - 1);
    struct gnt_mqtt_frame frame;
    while (gnt_mqtt_frame(in, PACKET_MAX, &frame) == GNT_OK) {
        struct gnt_mqtt_packet packet;
        uint8_t reason;
        check_cuts(in, frame.size);
        gnt_err err = gnt_mqtt_decode(&frame, version, sender, &packet, &reason);
        GNT_ASSERT(err <= 0 && (err == GNT_OK) == (reason == GNT_REASON_SUCCESS));
        GNT_ASSERT(err == GNT_OK || gnt_mqtt_reason_allowed(reason, GNT_IN_CONNACK) ||
                   gnt_mqtt_reason_allowed(reason, GNT_IN_DISCONNECT));
        if (err == GNT_OK)
            check_round_trip(&packet, version, sender);
        in = gnt_slice_skip(in, frame.size);
    }
    return 0;
}
