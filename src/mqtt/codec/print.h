/* A control packet as text for people: what `gnatter decode mqtt` and `--trace` show.
 *
 * One line without a line break at its end: the packet's name, then what it says, as name=value
 * with a blank between them.  Text is in "", binary data b"" with \xNN, and nothing in it can move
 * a terminal; of a password the size is shown. */
#ifndef GNT_MQTT_CODEC_PRINT_H
#define GNT_MQTT_CODEC_PRINT_H

#include "base/buf.h"
#include "mqtt/codec/packet.h"

/* Appends at most MAX bytes to OUT; what does not fit ends in "...".
 *   PUBLISH qos=1 id=7 topic="a/b" content-type="text/plain" payload=b"hello"
 * GNT_NOMEM: OUT is as it was. */
GNT_MUST gnt_err gnt_mqtt_print(struct gnt_buf *out, size_t max,
                                const struct gnt_mqtt_packet *packet,
                                enum gnt_mqtt_version version);

#endif
