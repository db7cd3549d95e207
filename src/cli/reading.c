#include "cli/reading.h"
#include "cli/json.h"
#include "cli/number.h"
#include "conf/text.h"

#include <time.h>

bool gnt_alert_update(struct gnt_alert *alert, int32_t milli)
{
    bool active = alert->limited && milli >= (alert->active ? alert->low_milli : alert->high_milli);
    bool changed = active != alert->active || !alert->known;
    alert->active = active;
    alert->known = true;
    return changed;
}

/* "2026-11-22T10:00:00" */
static size_t put_second(uint64_t wall_ms, char *out, size_t size)
{
    time_t second = (time_t)(wall_ms / 1000);
    struct tm utc;
    return gmtime_r(&second, &utc) ? strftime(out, size, "%FT%T", &utc) : 0;
}

gnt_err gnt_reading_json(const struct gnt_reading *reading, const char *sensor, uint64_t wall_ms,
                         const struct gnt_alert *alert, struct gnt_buf *out)
{
    char value[GNT_NUMBER_CHARS], second[64];
    size_t size = put_second(wall_ms, second, sizeof second);
    gnt_err err =
        gnt_text_put(out, "{\"value\":%s,\"unit\":", gnt_number_print_milli(reading->milli, value));
    if (!err)
        err = gnt_json_put_bytes(out, gnt_slice_str(reading->unit));
    if (!err)
        err = gnt_text_put(out, ",\"time\":\"%.*s.%03uZ\",\"sensor\":", (int)size, second,
                           (unsigned)(wall_ms % 1000));
    if (!err)
        err = gnt_json_put_bytes(out, gnt_slice_str(sensor));
    if (!err && alert->limited)
        err = gnt_text_put(out, ",\"alert\":%s", alert->active ? "true" : "false");
    return err ? err : gnt_buf_put(out, gnt_slice_str("}"));
}
