/* A reading as gnatter thermometer publishes it, and when it is too warm. */
#ifndef GNT_CLI_READING_H
#define GNT_CLI_READING_H

#include "base/buf.h"
#include "sensor/sensor.h"

/* Too warm at or above high_milli, and from then on until below low_milli: as a TMP102's comparator
 * decides [TMP102 6.4.5].  Without `limited`, never. */
struct gnt_alert {
    bool limited;
    int32_t high_milli, low_milli; /* high >= low */
    bool active, known;            /* known: there has been a reading */
};

/* Takes a reading in; true if it changed `active`, or is the first. */
bool gnt_alert_update(struct gnt_alert *alert, int32_t milli);

/* Appends, without a newline,
 *   {"value":21.375,"unit":"C","time":"2026-11-22T10:00:00.123Z","sensor":"sim"}
 * and with a limited ALERT the member "alert", true or false. */
GNT_MUST gnt_err gnt_reading_json(const struct gnt_reading *reading, const char *sensor,
                                  uint64_t wall_ms, const struct gnt_alert *alert,
                                  struct gnt_buf *out);

#endif
