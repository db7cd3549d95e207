/* The core's receiver: from the session to the client. */

#include "base/log.h"
#include "front/mqtt/gate.h"
#include "mapping/mapping.h"

static struct gnt_mqtt_connection *connection_of(struct gnt_receiver *r)
{
    return GNT_CONTAINER(r, struct gnt_mqtt_connection, receiver);
}

static bool receiver_ready(struct gnt_receiver *r)
{
    struct gnt_mqtt_connection *c = connection_of(r);
    if (c->out.size < c->front->limits.output_max)
        return true;
    c->blocked = true;
    return false;
}

static gnt_err receiver_deliver(struct gnt_receiver *r, const struct gnt_delivery *delivery)
{
    struct gnt_mqtt_connection *c = connection_of(r);
    gnt_connection_dirty(c);
    /* What is to come exactly once must not come again because it was forgotten. */
    if (delivery->qos == 2 && gnt_session_is_kept(c->session) && gnt_gate_close(c))
        return GNT_NOMEM;
    struct gnt_delivery said = *delivery;
    gnt_err err = gnt_mapping_as_mqtt(delivery->message, &said.message);
    if (err)
        return err == GNT_NOMEM ? err : GNT_TOOBIG; /* no PUBLISH can say it */
    return gnt_mqtt_server_publish(&c->engine, &said, c->front->loop->now);
}

static gnt_err receiver_release(struct gnt_receiver *r, uint16_t id)
{
    struct gnt_mqtt_connection *c = connection_of(r);
    gnt_connection_dirty(c);
    if (gnt_session_is_kept(c->session) && gnt_gate_close(c))
        return GNT_NOMEM;
    return gnt_mqtt_server_ack(&c->engine, GNT_MQTT_PUBREL, id, GNT_REASON_SUCCESS);
}

static void receiver_closed(struct gnt_receiver *r, enum gnt_close_reason why)
{
    static const uint8_t reasons[] = {
        [GNT_CLOSE_TAKEN_OVER] = GNT_REASON_SESSION_TAKEN_OVER,
        [GNT_CLOSE_QUEUE_FULL] = GNT_REASON_QUOTA_EXCEEDED,
        [GNT_CLOSE_NO_MEMORY] = GNT_REASON_SERVER_BUSY,
        [GNT_CLOSE_SHUTDOWN] = GNT_REASON_SERVER_SHUTTING_DOWN,
        [GNT_CLOSE_ADMINISTRATIVE] = GNT_REASON_ADMINISTRATIVE_ACTION,
    };
    struct gnt_mqtt_connection *c = connection_of(r);
    c->session = NULL;
    gnt_connection_fail(c, reasons[why], NULL);
}

const struct gnt_receiver_ops gnt_connection_receiver_ops = {receiver_ready, receiver_deliver,
                                                             receiver_release, receiver_closed};
