/* An MQTT message as AMQP and back, lossless; docs/mapping.md has the tables.
 *
 * Whatever the way back would not give by itself travels in a reserved field: a user property whose
 * name begins with x-opt-amqp-, or an annotation whose name begins with x-opt-mqtt-.  A reserved
 * field is believed only if what comes of believing it, converted again, is the very message in
 * which it stands: who copies fields and changes one of them gets what is seen.
 *
 * A message of AMQP (GNT_EXTRAS_AMQP, model/message.h) has as its topic the address that it was
 * sent to in MQTT's words: a topic name, or "$queue/NAME" for a queue; as its extras the header
 * section as it came, or nothing; as its payload all that is behind header and delivery
 * annotations, bit for bit, which must be good down to its leaves (gnt_amqp_message_valid). */
#ifndef GNT_MAPPING_MAPPING_H
#define GNT_MAPPING_MAPPING_H

#include "amqp/codec/message.h"
#include "model/message.h"
#include "model/topic.h"

/* Before the name of a queue, in topics. */
#define GNT_MAPPING_QUEUE GNT_TOPIC_QUEUE
/* Before a topic, in addresses. */
#define GNT_MAPPING_TOPIC "topic://"

/* *out has one reference, and the same publisher and expiry.  GNT_NOMEM.  GNT_TOOBIG: what it would
 * become has no room in a message of the other protocol.  GNT_MALFORMED: AMQP's payload is not as
 * above. */
GNT_MUST gnt_err gnt_mapping_to_amqp(const struct gnt_message *mqtt, struct gnt_message **out);
GNT_MUST gnt_err gnt_mapping_to_mqtt(const struct gnt_message *amqp, struct gnt_message **out);

/* MESSAGE in the words of the protocol: itself, if it came by that, or else what it becomes, which
 * is made by the first who asks, on any thread, and kept with it.  Lent as long as MESSAGE is. */
GNT_MUST gnt_err gnt_mapping_as_amqp(struct gnt_message *message, struct gnt_message **out);
GNT_MUST gnt_err gnt_mapping_as_mqtt(struct gnt_message *message, struct gnt_message **out);

/* What a message of AMQP, DURABLE or not by its header, asks for in MQTT's terms. */
void gnt_mapping_wishes(const struct gnt_amqp_message *m, bool durable, uint8_t *qos, bool *retain);

#endif
