/* Topic names and topic filters [MQTT5 4.7]: levels between slashes, `+` for one level, `#` for all
 * that follow, "$share/GROUP/FILTER" for a shared subscription [MQTT5 4.8.2].  Topics that
 * begin with `$` are not matched by a wildcard in the first level [MQTT-4.7.2-1]. */
#ifndef GNT_MODEL_TOPIC_H
#define GNT_MODEL_TOPIC_H

#include "base/err.h"
#include "base/slice.h"

enum { GNT_TOPIC_MAX = 65535 };

/* UTF-8 without U+0000, 1 to 65,535 bytes, no wildcard, at most MAX_LEVELS levels (0: any number).
 */
bool gnt_topic_name_valid(struct gnt_slice name, size_t max_levels);

/* As above, wildcards only as whole levels, `#` only as the last. */
bool gnt_topic_filter_valid(struct gnt_slice filter, size_t max_levels);

bool gnt_topic_has_wildcard(struct gnt_slice filter);

/* Whether FILTER (valid, not shared) matches NAME (valid). */
bool gnt_topic_matches(struct gnt_slice filter, struct gnt_slice name);

/* Takes the first level off *rest.  Every topic has at least one level, "/" has two empty ones:
 * after the last one rest->data is NULL and the next call returns false. */
bool gnt_topic_next_level(struct gnt_slice *rest, struct gnt_slice *level);

struct gnt_share {
    struct gnt_slice group, filter;
};

/* Splits "$share/GROUP/FILTER".
 *   GNT_OK        *out filled, borrowing; the inner filter has still to be checked.
 *   GNT_NOTFOUND  not a shared subscription
 *   GNT_INVALID   begins with "$share/" but is none: empty group, wildcard in it, no filter */
GNT_MUST gnt_err gnt_topic_share(struct gnt_slice filter, struct gnt_share *out);

/* "$queue/NAME" is the queue NAME: published to, it gets the message; subscribed to, it gives them.
 * *name borrows; false: the topic is not of that kind. */
#define GNT_TOPIC_QUEUE "$queue/"
bool gnt_topic_queue(struct gnt_slice topic, struct gnt_slice *name);

#endif
