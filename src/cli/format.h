/* How gnatter sub prints a message: mosquitto_sub's formats, as the OUTPUT FORMAT chapter of its
 * manual page describes them, in %, @ and \ sequences.
 *
 * Where mosquitto_sub 2.0 does otherwise than its manual, the manual is followed: a field width
 * never cuts a payload, it counts the digits of %x and %X, an absent %R is padded like an absent
 * %C, and the time in JSON is an ISO 8601 time.
 *
 * Pure functions; any thread. */
#ifndef GNT_CLI_FORMAT_H
#define GNT_CLI_FORMAT_H

#include "conf/text.h"
#include "mqtt/codec/prop.h"

#include <time.h>

/* A message to be shown; everything is borrowed. */
struct gnt_format_message {
    struct gnt_slice topic, payload;
    uint8_t qos;
    bool retain;
    uint16_t id; /* 0 at QoS 0 */
    const struct gnt_mqtt_prop *props;
    size_t prop_count;
    struct timespec time; /* of day, when it came */
};

/* GNT_INVALID: WHY tells what in FORMAT is wrong, and what was expected. */
GNT_MUST gnt_err gnt_format_check(const char *format, struct gnt_why *why);

/* Appends MESSAGE by FORMAT, which has passed gnt_format_check.  GNT_INVALID: %J, and the payload
 * is not JSON; OUT is as it was. */
GNT_MUST gnt_err gnt_format_put(const char *format, const struct gnt_format_message *message,
                                struct gnt_buf *out);

#endif
