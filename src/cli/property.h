/* -D COMMAND NAME VALUE: MQTT 5 properties on the command line, under the names of mosquitto_pub
 * and mosquitto_sub, which are the standard's with '-' between the words. */
#ifndef GNT_CLI_PROPERTY_H
#define GNT_CLI_PROPERTY_H

#include "conf/option.h"
#include "mqtt/codec/prop.h"

#include <gnatter/mqtt_types.h>

enum { GNT_PROPERTIES_MAX = 64 };

/* What was given.  Texts borrow from the command line, which stays as long as the process. */
struct gnt_properties {
    size_t count;
    uint32_t where[GNT_PROPERTIES_MAX]; /* the packet: GNT_IN_CONNECT, GNT_IN_WILL, ... */
    struct gnatter_property items[GNT_PROPERTIES_MAX];
};

/* A row's `take`: its field is a struct gnt_properties. */
int gnt_property_take(const struct gnt_option *row, void *values, int count, char *const *words,
                      struct gnt_why *why);

/* Copies those for the packet WHERE to LIST, in their order, and returns how many they are. */
size_t gnt_properties_of(const struct gnt_properties *all, uint32_t where,
                         struct gnatter_property list[GNT_PROPERTIES_MAX]);

/* Takes the first property ID for the packet WHERE out, where something else than the list of
 * properties has to know it.  False: it is not there. */
bool gnt_properties_pull(struct gnt_properties *all, uint32_t where, uint8_t id, uint32_t *number);

/* "message-expiry-interval" */
const char *gnt_property_name(enum gnt_mqtt_prop_row row);

/* One that has come, for showing it.  False: an identifier that the standard does not have. */
bool gnt_property_row(const struct gnatter_property *property, struct gnt_mqtt_prop *out);

#endif
