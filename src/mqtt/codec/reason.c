#include "mqtt/codec/reason.h"

enum { UNKNOWN_V3 = 3 }; /* "server unavailable" [MQTT3.1.1 3.2.2.3] */

struct row {
    const char *text; /* NULL: the standard does not have this code */
    uint32_t in;
    uint8_t v3;
};

static const struct row rows[256] = {
#define REASON_ROW(code, name, in, v3, text) [code] = {text, in, v3},
    GNT_MQTT_REASONS(REASON_ROW)
#undef REASON_ROW
};

const char *gnt_mqtt_reason_text(uint8_t code)
{
    return rows[code].text ? rows[code].text : "unknown reason";
}

bool gnt_mqtt_reason_allowed(uint8_t code, uint32_t where)
{
    return (rows[code].in & where) != 0;
}

uint8_t gnt_mqtt_reason_to_v3_connack(uint8_t code)
{
    return rows[code].text ? rows[code].v3 : UNKNOWN_V3;
}
