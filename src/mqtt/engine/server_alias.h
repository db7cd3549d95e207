/* Topic aliases of one server connection [MQTT5 3.3.2.3.4], for server*.c only. */
#ifndef GNT_MQTT_ENGINE_SERVER_ALIAS_H
#define GNT_MQTT_ENGINE_SERVER_ALIAS_H

#include "mqtt/engine/server.h"

void gnt_mqtt_aliases_fini(struct gnt_mqtt_server *s);

/* A PUBLISH with topic and alias: the alias means that topic from now on. */
GNT_MUST gnt_err gnt_mqtt_alias_learn(struct gnt_mqtt_server *s, const struct gnt_mqtt_packet *p);

/* A PUBLISH with an alias only: gets its topic. */
GNT_MUST gnt_err gnt_mqtt_alias_recall(struct gnt_mqtt_server *s, struct gnt_mqtt_packet *p);

/* The alias to send TOPIC with, 0 if none; *known: the client has it already.  One that it does not
 * have is taken into use by gnt_mqtt_alias_sent, once the PUBLISH is in the queue. */
uint16_t gnt_mqtt_alias_for(struct gnt_mqtt_server *s, struct gnt_slice topic, bool *known);
void gnt_mqtt_alias_sent(struct gnt_mqtt_server *s, uint16_t alias);

#endif
