/* What an open connection does with each packet. */

#include "front/mqtt/gate.h"
#include "front/mqtt/withhold.h"

#include "auth/rights.h"
#include "base/assert.h"
#include "base/log.h"
#include "core/ledger.h"
#include "core/publish.h"
#include "model/topic.h"

#include <stdlib.h>

uint8_t gnt_connection_reason(enum gnt_outcome outcome)
{
    static const uint8_t reasons[] = {
        [GNT_DONE] = GNT_REASON_SUCCESS,
        [GNT_DONE_NO_MATCH] = GNT_REASON_NO_MATCHING_SUBSCRIBERS,
        [GNT_FAILED] = GNT_REASON_UNSPECIFIED_ERROR,
        [GNT_NO_ROOM] = GNT_REASON_QUOTA_EXCEEDED,
        [GNT_FILTER_INVALID] = GNT_REASON_TOPIC_FILTER_INVALID,
        [GNT_TOPIC_INVALID] = GNT_REASON_TOPIC_NAME_INVALID,
        [GNT_NOT_ALLOWED] = GNT_REASON_NOT_AUTHORIZED,
        [GNT_QUOTA] = GNT_REASON_QUOTA_EXCEEDED,
    };
    return reasons[outcome];
}

static void answer(struct gnt_mqtt_connection *c, enum gnt_mqtt_type type, uint16_t id,
                   uint8_t reason)
{
    gnt_err err = gnt_mqtt_server_ack(&c->engine, type, id, reason);
    if (err)
        gnt_connection_unanswered(c, err);
    else
        gnt_connection_dirty(c);
}

/* The same for what is said about what a session of the client's own keeps. */
static void answer_kept(struct gnt_mqtt_connection *c, enum gnt_mqtt_type type, uint16_t id,
                        uint8_t reason)
{
    gnt_err err = gnt_session_is_kept(c->session) ? gnt_gate_close(c) : GNT_OK;
    if (err)
        gnt_connection_unanswered(c, err);
    else
        answer(c, type, id, reason);
}

/* ---- Messages */

bool gnt_mqtt_topic_reserved(struct gnt_slice topic)
{
    return gnt_slice_starts(topic, gnt_slice_str("$SYS/")) || gnt_slice_eq_str(topic, "$SYS");
}

/* Properties that belong to one hop, or change on the way: the message does not keep them. */
static const uint32_t not_kept = 1u << GNT_PROP_MESSAGE_EXPIRY | 1u << GNT_PROP_TOPIC_ALIAS |
                                 1u << GNT_PROP_SUBSCRIPTION_ID | 1u << GNT_PROP_WILL_DELAY;

/* *out: PROPS as they came, less those; in the front's scratch buffer if something is left out. */
static gnt_err kept_props(struct gnt_mqtt_front *front, const struct gnt_mqtt_props *props,
                          struct gnt_slice *out)
{
    *out = gnt_slice(NULL, 0);
    if (props->present == 0)
        return GNT_OK;
    *out = props->raw;
    if ((props->present & not_kept) == 0)
        return GNT_OK;
    gnt_buf_clear(&front->extras);
    struct gnt_slice raw = props->raw;
    struct gnt_mqtt_prop prop;
    for (const uint8_t *at = raw.data; gnt_mqtt_prop_next(&raw, &prop); at = raw.data) {
        if (not_kept >> prop.row & 1)
            continue;
        gnt_err err = gnt_buf_put(&front->extras, gnt_slice(at, (size_t)(raw.data - at)));
        if (err)
            return err;
    }
    *out = gnt_buf_slice(&front->extras);
    return GNT_OK;
}

/* A large payload that fills most of a buffer keeps that buffer, and is not copied. */
static bool may_adopt(const struct gnt_mqtt_connection *c, const struct gnt_message_init *init)
{
    enum { WORTH_IT = 32 * 1024 };
    const uint8_t *begin = c->in.data, *end = begin ? begin + c->in.end : NULL;
    const uint8_t *last = init->payload.data + init->payload.size;
    bool extras_there =
        init->extras.size == 0 || (init->extras.data > begin && init->extras.data < end);
    bool topic_there = init->topic.data > begin && init->topic.data < end;
    bool fills_it = init->payload.size >= c->in.cap / 4; /* what it keeps, it keeps for long */
    return init->payload.size >= WORTH_IT && begin && last == end && fills_it && topic_there &&
           extras_there;
}

gnt_err gnt_connection_message(struct gnt_mqtt_connection *c, const struct gnt_publication *p,
                               struct gnt_message **out)
{
    struct gnt_message_init init = {.topic = p->topic,
                                    .payload = p->payload,
                                    .qos = p->qos,
                                    .retain = p->retain,
                                    .publisher = p->publisher,
                                    .expires = GNT_NEVER};
    if (p->expiry_s != GNT_EXPIRY_NEVER)
        init.expires = gnt_deadline(c->front->loop->now, p->expiry_s * GNT_NS_PER_S);
    gnt_err err = kept_props(c->front, p->props, &init.extras);
    if (err)
        return err;
    if (init.extras.size)
        init.format = GNT_EXTRAS_MQTT5;
    if (!may_adopt(c, &init))
        return gnt_message_new(&init, out);
    err = gnt_message_adopt(&c->in.data, &init, out);
    if (!err)
        c->in = (struct gnt_buf){0};
    return err;
}

/* ---- PUBLISH */

/* The id of an exactly-once message is free again. */
static gnt_err released(struct gnt_mqtt_connection *c, uint16_t id)
{
    gnt_err err = gnt_session_released(c->session, id);
    if (!err && c->unreleased) /* one of an earlier connection does not count here */
        c->unreleased--;
    return err;
}

/* Answers a PUBLISH of QoS 1 or 2.  3.x has no way to say no: what is not allowed is acknowledged
 * and goes nowhere [MQTT-3.3.5-2], and what failed is not acknowledged: it comes again. */
void gnt_connection_answer_publish(struct gnt_mqtt_connection *c, uint8_t qos, uint16_t id,
                                   enum gnt_outcome outcome, uint64_t before)
{
    uint8_t reason = gnt_connection_reason(outcome);
    bool failed = outcome == GNT_FAILED || outcome == GNT_NO_ROOM;
    bool v5 = c->engine.version == GNT_MQTT_5;
    gnt_err err = GNT_OK;
    if (qos == 2 && reason >= 0x80)
        err = released(c, id); /* that ends it [MQTT5 4.3.3]; 3.x does not know, nor need to */
    if (qos == 0)
        return;
    if (gnt_keep_mark(gnt_connection_home(c)) != before && gnt_gate_close(c))
        err = GNT_NOMEM;
    if (err == GNT_NOMEM)
        gnt_connection_unanswered(c, err);
    else if (failed && !v5)
        gnt_connection_unanswered(c, outcome == GNT_NO_ROOM ? GNT_IO : GNT_NOMEM);
    else
        answer(c, qos == 1 ? GNT_MQTT_PUBACK : GNT_MQTT_PUBREC, id, reason);
}

/* Whether a PUBLISH of QoS 2 is new; if not, or if it cannot be, it has been dealt with. */
static bool received_once(struct gnt_mqtt_connection *c, const struct gnt_mqtt_publish *p)
{
    struct gnt_slice queue;
    gnt_err err = gnt_topic_queue(p->topic, &queue) ? gnt_session_receive_unsafe(c->session, p->id)
                                                    : gnt_session_receive_once(c->session, p->id);
    if (err == GNT_EXISTS) {
        if (!gnt_withholds(c, p->id))
            answer_kept(c, GNT_MQTT_PUBREC, p->id, GNT_REASON_SUCCESS);
    } else if (err == GNT_IO && c->engine.version == GNT_MQTT_5) {
        answer(c, GNT_MQTT_PUBREC, p->id, GNT_REASON_QUOTA_EXCEEDED);
    } else if (err) {
        gnt_connection_unanswered(c, err);
    } else {
        c->unreleased++;
        return true;
    }
    return false;
}

/* Whether the client keeps to its Receive Maximum with P [MQTT5 3.3.4]; clients of 3.x have not
 * been told of any. */
static bool within_receive_max(struct gnt_mqtt_connection *c, const struct gnt_mqtt_publish *p)
{
    if (c->engine.version != GNT_MQTT_5 || p->qos == 0)
        return true;
    uint32_t unanswered = gnt_withheld_once(c) + c->unreleased + (p->qos == 1);
    if (unanswered <= c->engine.options->receive_max)
        return true;
    if (p->qos == 2 && released(c, p->id))
        gnt_count(gnt_connection_counters(c), GNT_COUNT_KEEP_FAILURES, 1);
    gnt_connection_broke(c, GNT_REASON_RECEIVE_MAXIMUM_EXCEEDED, NULL);
    return false;
}

/* Whether the access list permits it. */
static bool may_publish(struct gnt_mqtt_connection *c, struct gnt_slice topic)
{
    const struct gnt_rights *rights = gnt_session_rights(c->session);
    if (!rights || gnt_rights_may_publish(rights, topic))
        return true;
    char name[GNT_NAME_SIZE];
    gnt_count(gnt_connection_counters(c), GNT_COUNT_PUBLISH_DENIED, 1);
    gnt_log_limited(GNT_LOG_INFO, gnt_connection_name(c, name), "publish denied",
                    GNT_F_TEXT("topic", topic));
    return false;
}

static void on_publish(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet)
{
    const struct gnt_mqtt_publish *p = &packet->publish;
    uint64_t before = gnt_keep_mark(gnt_connection_home(c));
    if ((p->qos == 2 && !received_once(c, p)) || !within_receive_max(c, p))
        return;
    if (gnt_mqtt_topic_reserved(p->topic) || !may_publish(c, p->topic)) {
        gnt_connection_answer_publish(c, p->qos, p->id, GNT_NOT_ALLOWED, before);
        return;
    }
    const struct gnt_publication publication = {
        .topic = p->topic,
        .payload = p->payload,
        .props = &packet->props,
        .qos = p->qos,
        .retain = p->retain,
        .publisher = gnt_session_sink(c->session),
        .expiry_s = gnt_mqtt_number(&packet->props, GNT_PROP_MESSAGE_EXPIRY, GNT_EXPIRY_NEVER),
    };
    struct gnt_message *message;
    struct gnt_receipt *receipt;
    gnt_err err = gnt_withhold_receipt(c, p, &receipt);
    if (!err)
        err = gnt_connection_message(c, &publication, &message);
    if (err) {
        if (p->qos == 0)
            gnt_ledger_pass(gnt_connection_home(c), NULL, GNT_COUNT_DROPPED_NO_MEMORY);
        gnt_connection_answer_publish(c, p->qos, p->id, GNT_FAILED, before);
        return;
    }
    size_t size = message->payload.size;
    enum gnt_outcome outcome = gnt_publish(gnt_connection_home(c), message, receipt);
    gnt_message_unref(&message);
    if (gnt_withhold_wants(c, p, outcome))
        gnt_withhold(c, p, size, outcome);
    else
        gnt_connection_answer_publish(c, p->qos, p->id, outcome, before);
}

/* ---- Acknowledgements */

/* Whether a PUBACK with CODE says that the message is no good, and not that this is no time for it.
 */
static bool is_about_message(uint8_t code)
{
    switch (code) {
    case GNT_REASON_IMPLEMENTATION_SPECIFIC:
    case GNT_REASON_NOT_AUTHORIZED:
    case GNT_REASON_TOPIC_NAME_INVALID:
    case GNT_REASON_PAYLOAD_FORMAT_INVALID: return true;
    default: return false;
    }
}

static void on_puback(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet)
{
    uint8_t code = packet->ack.code;
    const struct gnt_refusal refusal = {
        .again = !is_about_message(code),
        .reason = gnt_slice_str(gnt_mqtt_reason_text(code)),
        .description = gnt_mqtt_text(&packet->props, GNT_PROP_REASON_STRING),
    };
    /* an unknown id harms nobody */
    gnt_session_acknowledged(c->session, packet->ack.id, code >= 0x80 ? &refusal : NULL);
}

static void on_pubrec(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet)
{
    bool refused = packet->ack.code >= 0x80;
    gnt_err err = gnt_session_received(c->session, packet->ack.id, refused);
    if (err == GNT_NOMEM)
        gnt_connection_unanswered(c, err);
    else if (!refused)
        answer_kept(c, GNT_MQTT_PUBREL, packet->ack.id,
                    err ? GNT_REASON_PACKET_ID_NOT_FOUND : GNT_REASON_SUCCESS);
}

static void on_pubrel(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet)
{
    gnt_err err = released(c, packet->ack.id);
    gnt_withhold_released(c, packet->ack.id);
    if (err == GNT_NOMEM)
        gnt_connection_unanswered(c, err);
    else
        answer_kept(c, GNT_MQTT_PUBCOMP, packet->ack.id,
                    err ? GNT_REASON_PACKET_ID_NOT_FOUND : GNT_REASON_SUCCESS);
}

static void on_pubcomp(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet)
{
    gnt_session_completed(c->session, packet->ack.id);
}

/* ---- DISCONNECT and AUTH */

static void on_disconnect(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet)
{
    if (!c->session) { /* it has given up authenticating */
        gnt_connection_end(c, GNT_PARTING_CLEAN, 0);
        return;
    }
    uint32_t expiry = gnt_session_expiry(c->session);
    uint32_t wanted = gnt_mqtt_number(&packet->props, GNT_PROP_SESSION_EXPIRY, expiry);
    if (expiry == 0 && wanted != 0) { /* [MQTT5 3.14.2.2.2] */
        gnt_connection_broke(c, GNT_REASON_PROTOCOL_ERROR, "session expiry was 0");
        return;
    }
    bool clean = packet->close.code == GNT_REASON_NORMAL_DISCONNECTION; /* [MQTT-3.14.4-3] */
    char name[GNT_NAME_SIZE];
    gnt_log_limited(GNT_LOG_INFO, gnt_connection_name(c, name), "disconnect",
                    GNT_F_STR("reason", "by the client"), GNT_F_NUM("code", packet->close.code));
    gnt_login_went(c, "by the client");
    gnt_connection_end(c, clean ? GNT_PARTING_CLEAN : GNT_PARTING_WITH_WILL, wanted);
}

static void on_auth(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet)
{
    gnt_login_on_auth(c, packet);
}

void gnt_connection_on_packet(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet)
{
    static void (*const act[])(struct gnt_mqtt_connection *, const struct gnt_mqtt_packet *) = {
        [GNT_MQTT_PUBLISH] = on_publish,
        [GNT_MQTT_PUBACK] = on_puback,
        [GNT_MQTT_PUBREC] = on_pubrec,
        [GNT_MQTT_PUBREL] = on_pubrel,
        [GNT_MQTT_PUBCOMP] = on_pubcomp,
        [GNT_MQTT_SUBSCRIBE] = gnt_connection_on_filters,
        [GNT_MQTT_UNSUBSCRIBE] = gnt_connection_on_filters,
        [GNT_MQTT_DISCONNECT] = on_disconnect,
        [GNT_MQTT_AUTH] = on_auth,
    };
    GNT_ASSERT(packet->type < sizeof act / sizeof act[0] && act[packet->type]);
    act[packet->type](c, packet);
}
