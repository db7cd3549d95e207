#include "mqtt/codec/reason.h"

enum { UNKNOWN_V3 = 3 }; /* "server unavailable" [MQTT3.1.1 3.2.2.3] */

/* The standard's codes are 0x00 to 0x19 and 0x80 to 0xa2: without the hole between them the tables
 * are short, of which a small device carries the first.  The last place has no code. */
#define PLACE(code) ((code) < 0x80 ? (code) : (code)-0x80 + 0x1a)
enum { NO_PLACE = PLACE(GNT_REASON_WILDCARD_NOT_SUPPORTED) + 1 };

static const uint16_t allowed_in[NO_PLACE + 1] = {
#define REASON_IN(code, name, in, v3, text) [PLACE(code)] = (in),
    GNT_MQTT_REASONS(REASON_IN)
#undef REASON_IN
};

static const uint8_t in_v3[NO_PLACE + 1] = {
#define REASON_V3(code, name, in, v3, text) [PLACE(code)] = (v3),
    GNT_MQTT_REASONS(REASON_V3)
#undef REASON_V3
};

static const char *const texts[NO_PLACE + 1] = {
#define REASON_TEXT(code, name, in, v3, text) [PLACE(code)] = (text),
    GNT_MQTT_REASONS(REASON_TEXT)
#undef REASON_TEXT
};

static unsigned place(uint8_t code)
{
    if (code >= 0x1a && code < 0x80)
        return NO_PLACE;
    return PLACE(code) < NO_PLACE ? (unsigned)PLACE(code) : NO_PLACE;
}

const char *gnt_mqtt_reason_text(uint8_t code)
{
    const char *text = texts[place(code)];
    return text ? text : "unknown reason";
}

bool gnt_mqtt_reason_allowed(uint8_t code, uint32_t where)
{
    return (allowed_in[place(code)] & where) != 0;
}

uint8_t gnt_mqtt_reason_to_v3_connack(uint8_t code)
{
    return allowed_in[place(code)] ? in_v3[place(code)] : UNKNOWN_V3;
}
