/* Between the words of the public headers and those of the engine.  The public ones are made for
 * programs (text with a zero at its end, the standard's numbers), the engine's for packets. */
#ifndef GNT_CLIENT_MQTT_CONVERT_H
#define GNT_CLIENT_MQTT_CONVERT_H

#include "mqtt/engine/client.h"

#include <gnatter/mqtt_engine.h>

/* An engine for these options; options->client_id may be replaced by CLIENT_ID (NULL: not). */
GNT_MUST gnt_err gnt_convert_new(const struct gnatter_mqtt_options *options, const char *client_id,
                                 struct gnt_client **out);

/* LIST (NULL is none) for the codec; free props->list afterwards.  GNT_INVALID: a property that
 * MQTT does not have. */
GNT_MUST gnt_err gnt_convert_props(const struct gnatter_property_list *list,
                                   struct gnt_mqtt_proplist *props);
void gnt_convert_props_fini(struct gnt_mqtt_proplist *props);

struct gnatter_properties gnt_convert_raw(const struct gnt_mqtt_props *props);
void gnt_convert_event(const struct gnt_client_event *event, struct gnatter_engine_event *out);

/* The requests, from their public form. */
GNT_MUST gnt_err gnt_convert_publish(struct gnt_client *c, const struct gnatter_message *message,
                                     void *user, uint64_t now, uint64_t *token);
GNT_MUST gnt_err gnt_convert_subscribe(struct gnt_client *c,
                                       const struct gnatter_subscription *list, size_t count,
                                       const struct gnatter_property_list *properties, void *user,
                                       uint64_t *token);
GNT_MUST gnt_err gnt_convert_unsubscribe(struct gnt_client *c, const char *const *filters,
                                         size_t count,
                                         const struct gnatter_property_list *properties, void *user,
                                         uint64_t *token);
GNT_MUST gnt_err gnt_convert_disconnect(struct gnt_client *c, uint8_t reason,
                                        const struct gnatter_property_list *properties);
GNT_MUST gnt_err gnt_convert_auth(struct gnt_client *c, uint8_t reason,
                                  const struct gnatter_property_list *properties);

#endif
