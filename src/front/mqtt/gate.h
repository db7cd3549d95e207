/* Output that has to wait until what it says is safe (core/keep.h).
 *
 * An acknowledgement is put into the connection's output like everything else, but behind a gate:
 * it, and what comes after it, is not written before all that its home had written by then is safe.
 * So nothing is remembered for each acknowledgement, and the order stays.
 *
 * A connection has a gate for each batch that something in its output waits for, in order; none
 * while nothing does. */
#ifndef GNT_FRONT_MQTT_GATE_H
#define GNT_FRONT_MQTT_GATE_H

#include "front/mqtt/connection.h"

/* What is put into the output from now on waits for what has been written until now; if that is
 * safe already, for nothing.  GNT_NOMEM: do not put it there. */
GNT_MUST gnt_err gnt_gate_close(struct gnt_mqtt_connection *c);

/* So many bytes may be written now. */
size_t gnt_gate_passes(const struct gnt_mqtt_connection *c);

/* N bytes have been taken off the front of the output. */
void gnt_gate_wrote(struct gnt_mqtt_connection *c, size_t n);

/* C leaves its front. */
void gnt_gate_drop(struct gnt_mqtt_connection *c);

#endif
