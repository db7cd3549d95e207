/* Acknowledgements that are withheld, because a message waits at somebody's full queue
 * (core/receipt.h).  A client that has too many of them is not read until some have been given, so
 * that what it can make the broker hold is bounded:
 *
 *   MQTT 5      by its Receive Maximum, which the client was told
 *   3.x         by the same number, from which on it is not read
 *   any         by limits.output_per_connection, in bytes of payload and of our own records
 *   QoS 0       there is nothing to withhold; with queue_full_qos0: wait the client is not read
 *
 * A client that has deliveries to acknowledge is read on up to the bound in bytes, since what
 * others, or it itself, wait for may stand behind what it publishes.
 *
 * What is withheld outlives its connection, and counts for the next one of its session.  An
 * exactly-once message that the client sends again there is not acknowledged early either.
 *
 * Answers may overtake each other, as nobody waits for a queue that is not his; but not those to
 * retained messages of QoS 1.  A client that had been told of the later one only would send the
 * earlier one again after a reconnect, and it would replace the later one. */
#ifndef GNT_FRONT_MQTT_WITHHOLD_H
#define GNT_FRONT_MQTT_WITHHOLD_H

#include "core/receipt.h"
#include "front/mqtt/connection.h"

/* The receipt for P, which is about to be published: *out, NULL for one that nobody would wait for.
 * Good for one gnt_publish. */
GNT_MUST gnt_err gnt_withhold_receipt(struct gnt_mqtt_connection *c,
                                      const struct gnt_mqtt_publish *p, struct gnt_receipt **out);

/* Whether the answer to P, about which gnt_publish has said OUTCOME, is not to be given yet. */
bool gnt_withhold_wants(const struct gnt_mqtt_connection *c, const struct gnt_mqtt_publish *p,
                        enum gnt_outcome outcome);

/* The PUBLISH, of SIZE bytes, is answered later, by gnt_connection_answer_publish. */
void gnt_withhold(struct gnt_mqtt_connection *c, const struct gnt_mqtt_publish *p, size_t size,
                  enum gnt_outcome outcome);

/* Whether the answer to the exactly-once message ID of this client is withheld; it goes to this
 * connection, then. */
bool gnt_withholds(struct gnt_mqtt_connection *c, uint16_t id);

/* The client has released the exactly-once message ID: it is not answered any more, and what comes
 * with this id is another message. */
void gnt_withhold_released(struct gnt_mqtt_connection *c, uint16_t id);

/* How many messages of QoS 1 of this connection are withheld. */
uint32_t gnt_withheld_once(const struct gnt_mqtt_connection *c);

/* Whether the connection is not to be read for now. */
bool gnt_withholds_too_much(const struct gnt_mqtt_connection *c);

/* The connection has its session from now on; has none any more. */
void gnt_withhold_begin(struct gnt_mqtt_connection *c);
void gnt_withhold_end(struct gnt_mqtt_connection *c);

/* FRONT, whose connections have gone, ends; records that are still held go with the core. */
void gnt_withhold_fini(struct gnt_mqtt_front *front);

#endif
