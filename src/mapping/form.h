/* The two forms of a message that the conversions work on, for this room only:
 *   view.c      MQTT's: message to view and back
 *   form.c      AMQP's: from a view
 *   to_amqp.c   from MQTT
 *   to_mqtt.c   from AMQP
 * Slices are borrowed: from the message that is converted, or from the conversion's arena. */
#ifndef GNT_MAPPING_FORM_H
#define GNT_MAPPING_FORM_H

#include "mapping/arena.h"
#include "mapping/mapping.h"
#include "mqtt/codec/prop.h"

/* ---- Names */

/* User properties for what MQTT has no counterpart of.
 *    NAME                    name                                  of a section: its descriptor */
#define GNT_MAPPING_RESERVED(X)                                                            \
    X(PROPERTIES, "x-opt-amqp-properties", GNT_AMQP_PROPERTIES)                            \
    X(APPLICATION_PROPERTIES, "x-opt-amqp-application-properties",                         \
      GNT_AMQP_APPLICATION_PROPERTIES)                                                     \
    X(MESSAGE_ANNOTATIONS, "x-opt-amqp-message-annotations", GNT_AMQP_MESSAGE_ANNOTATIONS) \
    X(FOOTER, "x-opt-amqp-footer", GNT_AMQP_FOOTER)                                        \
    X(BODY, "x-opt-amqp-body", 0)                                                          \
    X(PRIORITY, "x-opt-amqp-priority", 0)
#define GNT_MAPPING_RESERVED_PREFIX "x-opt-amqp-"

enum gnt_mapping_row {
#define GNT_MAPPING_ENUM(name, text, code) GNT_MAPPING_##name,
    GNT_MAPPING_RESERVED(GNT_MAPPING_ENUM)
#undef GNT_MAPPING_ENUM
        GNT_MAPPING_ROWS
};
extern const char *const gnt_mapping_names[GNT_MAPPING_ROWS];
extern const uint8_t gnt_mapping_codes[GNT_MAPPING_ROWS];

/* Annotations for what AMQP has none of. */
#define GNT_MAPPING_RETAIN "x-opt-retain-message"
#define GNT_MAPPING_QOS    "x-opt-mqtt-qos"
#define GNT_MAPPING_FORMAT "x-opt-mqtt-payload-format"
#define GNT_MAPPING_TYPE   "x-opt-mqtt-content-type"
#define GNT_MAPPING_USER   "x-opt-mqtt-user-properties"

/* ---- MQTT's */

struct gnt_mapping_pair {
    struct gnt_slice name, value;
};

struct gnt_mapping_text {
    bool there;
    struct gnt_slice text;
};

struct gnt_mapping_view {
    struct gnt_slice topic, payload;
    struct gnt_mapping_text type, response, correlation;
    int format; /* payload format indicator; -1: none */
    uint8_t qos;
    bool retain;
    struct gnt_mapping_pair *user; /* the message's own, without the reserved ones */
    size_t user_count;
};

/* What the reserved user properties say: a section, encoded, or text. */
struct gnt_mapping_reserved {
    struct gnt_mapping_text row[GNT_MAPPING_ROWS];
};

/* M's view; the reserved ones are among the others.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_mapping_view(struct gnt_arena *a, const struct gnt_message *m,
                                  struct gnt_mapping_view *out);

/* Whether NAME is kept for reserved ones. */
bool gnt_mapping_is_reserved(struct gnt_slice name);

/* Takes the reserved ones out of view->user.  GNT_MALFORMED: they are none that we have written,
 * and VIEW is as it was.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_mapping_view_split(struct gnt_arena *a, struct gnt_mapping_view *view,
                                        struct gnt_mapping_reserved *reserved);

bool gnt_mapping_view_same(const struct gnt_mapping_view *a, const struct gnt_mapping_view *b);

/* A message of it, with the reserved ones behind the others, and ORIGIN's publisher and expiry. */
GNT_MUST gnt_err gnt_mapping_view_message(struct gnt_arena *a, const struct gnt_mapping_view *view,
                                          const struct gnt_mapping_reserved *reserved,
                                          const struct gnt_message *origin,
                                          struct gnt_message **out);

/* ---- AMQP's */

/* Sections as they will stand in the message, one behind the other. */
struct gnt_mapping_form {
    struct gnt_slice header;
    struct gnt_slice message_annotations, properties, application_properties;
    struct gnt_slice body_head, body;
    struct gnt_slice footer;
};

/* GNT_MALFORMED: RESERVED does not go with VIEW. */
GNT_MUST gnt_err gnt_mapping_form(struct gnt_arena *a, const struct gnt_mapping_view *view,
                                  const struct gnt_mapping_reserved *reserved,
                                  struct gnt_mapping_form *out);

#endif
