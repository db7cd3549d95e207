#include "mqtt/engine/server.h"

#include "base/assert.h"
#include "mqtt/engine/server_alias.h"
#include "model/topic.h"

#include <stdlib.h>

static void move(struct gnt_mqtt_server *s, enum gnt_mqtt_server_state to)
{
    static const uint8_t allowed[] = {
        [GNT_MQTT_AWAITS_CONNECT] = 1u << GNT_MQTT_DECIDES | 1u << GNT_MQTT_ENDED,
        [GNT_MQTT_DECIDES] =
            1u << GNT_MQTT_OPEN | 1u << GNT_MQTT_AUTHENTICATES | 1u << GNT_MQTT_ENDED,
        [GNT_MQTT_AUTHENTICATES] = 1u << GNT_MQTT_DECIDES | 1u << GNT_MQTT_ENDED,
        [GNT_MQTT_OPEN] = 1u << GNT_MQTT_ENDED,
        [GNT_MQTT_ENDED] = 1u << GNT_MQTT_ENDED,
    };
    GNT_ASSERT(allowed[s->state] >> to & 1);
    s->state = (uint8_t)to;
}

void gnt_mqtt_server_init(struct gnt_mqtt_server *s, struct gnt_outq *out, uint64_t now)
{
    *s = (struct gnt_mqtt_server){.out = out,
                                  .since = now,
                                  .packet_max_out = UINT32_MAX,
                                  .version = GNT_MQTT_3_1_1,
                                  .problem_information = true};
}

void gnt_mqtt_server_fini(struct gnt_mqtt_server *s)
{
    gnt_mqtt_aliases_fini(s);
}

void gnt_mqtt_server_lives(struct gnt_mqtt_server *s, uint64_t now)
{
    if (s->state == GNT_MQTT_OPEN)
        s->since = now;
}

void gnt_mqtt_server_settle(struct gnt_mqtt_server *s,
                            const struct gnt_mqtt_server_options *options)
{
    s->options = options;
}

void gnt_mqtt_server_rewind(struct gnt_mqtt_server *s)
{
    GNT_ASSERT(s->state == GNT_MQTT_DECIDES);
    gnt_count(s->options->counters, GNT_COUNT_PACKETS_RECEIVED, -1);
    s->state = GNT_MQTT_AWAITS_CONNECT;
    s->auth = GNT_MQTT_AUTH_NONE;
}

void gnt_mqtt_server_recall(const struct gnt_mqtt_server *s, struct gnt_slice bytes,
                            struct gnt_mqtt_packet *out)
{
    struct gnt_mqtt_frame frame;
    uint8_t reason;
    gnt_err err = gnt_mqtt_frame(bytes, SIZE_MAX, &frame);
    if (!err)
        err = gnt_mqtt_decode(&frame, s->version, GNT_MQTT_FROM_CLIENT, out, &reason);
    GNT_ASSERT(err == GNT_OK && out->type == GNT_MQTT_CONNECT);
}

uint64_t gnt_mqtt_server_deadline(const struct gnt_mqtt_server *s)
{
    switch ((enum gnt_mqtt_server_state)s->state) {
    case GNT_MQTT_AWAITS_CONNECT:
    case GNT_MQTT_DECIDES:
    case GNT_MQTT_AUTHENTICATES:
        return gnt_deadline(s->since, s->options->connect_timeout_ms * GNT_NS_PER_MS);
    case GNT_MQTT_OPEN:
        if (s->keep_alive_s == 0)
            return GNT_NEVER;
        return gnt_deadline(s->since, s->keep_alive_s * GNT_NS_PER_S * 3 / 2);
    case GNT_MQTT_ENDED: break;
    }
    return GNT_NEVER;
}

/* ---- In */

static gnt_err fail(struct gnt_mqtt_server *s, gnt_err err, uint8_t reason)
{
    s->reason = reason;
    return err;
}

/* [MQTT5 3.3.2.3.5]: no wildcards, as in a topic name. */
static gnt_err check_response_topic(struct gnt_mqtt_server *s, const struct gnt_mqtt_props *props)
{
    if (!gnt_mqtt_has(props, GNT_PROP_RESPONSE_TOPIC) ||
        gnt_topic_name_valid(gnt_mqtt_text(props, GNT_PROP_RESPONSE_TOPIC), 0))
        return GNT_OK;
    return fail(s, GNT_PROTOCOL, GNT_REASON_PROTOCOL_ERROR);
}

/* Why a PUBLISH or a will like this is not taken, GNT_REASON_SUCCESS if it is.  3.x has no words
 * for it: to close is its way to say no [MQTT-3.3.5-2 of 3.1.1]. */
static uint8_t not_supported(const struct gnt_mqtt_server *s, uint8_t qos, bool retain)
{
    if (qos > s->options->qos_max)
        return GNT_REASON_QOS_NOT_SUPPORTED; /* [MQTT-3.2.2-11, MQTT-3.2.2-12] */
    if (retain && s->options->without & GNT_MQTT_WITHOUT_RETAIN)
        return GNT_REASON_RETAIN_NOT_SUPPORTED; /* [MQTT-3.2.2-13, MQTT-3.2.2-14] */
    return GNT_REASON_SUCCESS;
}

/* What is passed on with each copy of a message, and kept with it, has a bound of its own. */
static gnt_err check_props(struct gnt_mqtt_server *s, const struct gnt_mqtt_props *props)
{
    bool over = s->options->props_max && props->raw.size > s->options->props_max;
    return over ? fail(s, GNT_TOOBIG, GNT_REASON_QUOTA_EXCEEDED) : GNT_OK;
}

static bool topic_too_long(const struct gnt_mqtt_server *s, struct gnt_slice topic)
{
    return s->options->topic_max && topic.size > s->options->topic_max;
}

static bool topic_valid(const struct gnt_mqtt_server *s, struct gnt_slice topic)
{
    return !topic_too_long(s, topic) && gnt_topic_name_valid(topic, s->options->topic_levels);
}

static gnt_err on_publish(struct gnt_mqtt_server *s, struct gnt_mqtt_packet *p)
{
    struct gnt_mqtt_publish *publish = &p->publish;
    gnt_count(s->options->counters, GNT_COUNT_PUBLISH_RECEIVED, 1);
    gnt_count(s->options->counters, GNT_COUNT_PUBLISH_BYTES_RECEIVED,
              (int64_t)publish->payload.size);
    uint8_t no = not_supported(s, publish->qos, publish->retain);
    if (no != GNT_REASON_SUCCESS)
        return fail(s, GNT_PROTOCOL, no);
    if (check_props(s, &p->props))
        return GNT_TOOBIG;
    bool aliased = p->props.present != 0 && gnt_mqtt_has(&p->props, GNT_PROP_TOPIC_ALIAS);
    if (publish->topic.size == 0) {
        if (!aliased) /* [MQTT5 3.3.2.1]; in 3.x the name is just not valid */
            return fail(s, GNT_PROTOCOL, GNT_REASON_PROTOCOL_ERROR);
        gnt_err err = gnt_mqtt_alias_recall(s, p);
        return err ? err : check_response_topic(s, &p->props);
    }
    if (!topic_valid(s, publish->topic))
        return fail(s, GNT_PROTOCOL, GNT_REASON_TOPIC_NAME_INVALID);
    gnt_err err = aliased ? gnt_mqtt_alias_learn(s, p) : GNT_OK;
    return err ? err : check_response_topic(s, &p->props);
}

static bool is_shared(struct gnt_slice filter)
{
    return gnt_slice_starts(filter, gnt_slice_str("$share/"));
}

uint8_t gnt_mqtt_server_objection(const struct gnt_mqtt_server *s, struct gnt_slice filter)
{
    uint8_t without = s->options->without;
    if (topic_too_long(s, filter))
        return GNT_REASON_TOPIC_FILTER_INVALID;
    if (without & GNT_MQTT_WITHOUT_SHARED && is_shared(filter))
        return GNT_REASON_SHARED_NOT_SUPPORTED;
    if (without & GNT_MQTT_WITHOUT_WILDCARDS && gnt_topic_has_wildcard(filter))
        return GNT_REASON_WILDCARD_NOT_SUPPORTED;
    return GNT_REASON_SUCCESS;
}

/* [MQTT5 3.2.2.3.12], [MQTT-3.8.3-4] */
static gnt_err on_subscribe(struct gnt_mqtt_server *s, const struct gnt_mqtt_packet *p)
{
    if (check_props(s, &p->props))
        return GNT_TOOBIG;
    if (s->options->without & GNT_MQTT_WITHOUT_SUBSCRIPTION_IDS &&
        gnt_mqtt_has(&p->props, GNT_PROP_SUBSCRIPTION_ID))
        return fail(s, GNT_PROTOCOL, GNT_REASON_SUBSCRIPTION_ID_NOT_SUPPORTED);
    struct gnt_slice list = p->filters.list;
    struct gnt_mqtt_subscription sub;
    while (gnt_mqtt_next_subscription(&list, s->version, &sub))
        if (sub.no_local && is_shared(sub.filter))
            return fail(s, GNT_PROTOCOL, GNT_REASON_PROTOCOL_ERROR);
    return GNT_OK;
}

static gnt_err check_will(struct gnt_mqtt_server *s, const struct gnt_mqtt_will *will)
{
    uint8_t no = not_supported(s, will->qos, will->retain);
    if (no != GNT_REASON_SUCCESS)
        return fail(s, GNT_PROTOCOL, no);
    if (!topic_valid(s, will->topic))
        return fail(s, GNT_PROTOCOL, GNT_REASON_TOPIC_NAME_INVALID);
    if (check_props(s, &will->props))
        return GNT_TOOBIG;
    return check_response_topic(s, &will->props);
}

static gnt_err on_connect(struct gnt_mqtt_server *s, const struct gnt_mqtt_packet *p)
{
    const struct gnt_mqtt_connect *c = &p->connect;
    s->version = c->version;
    s->keep_alive_s = c->keep_alive_s;
    move(s, GNT_MQTT_DECIDES);
    if (s->version == GNT_MQTT_5) {
        if (gnt_mqtt_has(&p->props, GNT_PROP_AUTH_METHOD))
            s->auth = GNT_MQTT_AUTH_OWNERS;
        s->packet_max_out = gnt_mqtt_number(&p->props, GNT_PROP_MAXIMUM_PACKET_SIZE, UINT32_MAX);
        s->problem_information = gnt_mqtt_number(&p->props, GNT_PROP_REQUEST_PROBLEM_INFO, 1) != 0;
        uint32_t most = gnt_mqtt_number(&p->props, GNT_PROP_TOPIC_ALIAS_MAXIMUM, 0);
        s->aliases_out_count =
            (uint16_t)(most < s->options->aliases_out ? most : s->options->aliases_out);
    }
    if (check_props(s, &p->props))
        return GNT_TOOBIG;
    return c->has_will ? check_will(s, &c->will) : GNT_OK;
}

/* 0x19 begins an exchange and 0x18 goes on with one: each only where there is none, or one whose
 * turn is the client's [MQTT5 4.12, 4.12.1]. */
static gnt_err on_auth(struct gnt_mqtt_server *s, const struct gnt_mqtt_packet *p)
{
    bool again = p->close.code == GNT_REASON_RE_AUTHENTICATE;
    if (s->auth != (again ? GNT_MQTT_AUTH_IDLE : GNT_MQTT_AUTH_CLIENTS))
        return fail(s, GNT_PROTOCOL, GNT_REASON_PROTOCOL_ERROR);
    s->auth = GNT_MQTT_AUTH_OWNERS;
    if (s->state == GNT_MQTT_AUTHENTICATES)
        move(s, GNT_MQTT_DECIDES);
    return GNT_OK;
}

/* A version that is not spoken here is answered in words of 3.1.1, which all clients know; another
 * protocol is not answered [MQTT-3.1.2-1, MQTT-3.1.2-2]. */
static gnt_err on_other_version(struct gnt_mqtt_server *s, const struct gnt_mqtt_packet *p)
{
    if (p->connect.version == 0)
        return fail(s, GNT_PROTOCOL, GNT_REASON_PROTOCOL_ERROR);
    move(s, GNT_MQTT_DECIDES);
    s->version = GNT_MQTT_3_1_1;
    return fail(s, GNT_UNSUPPORTED, GNT_REASON_UNSUPPORTED_VERSION);
}

/* Whether a packet of TYPE may come now. */
static bool may_come(const struct gnt_mqtt_server *s, uint8_t type)
{
    if (s->state == GNT_MQTT_AUTHENTICATES) /* [MQTT-3.1.2-30] */
        return type == GNT_MQTT_AUTH || type == GNT_MQTT_DISCONNECT;
    bool first = s->state == GNT_MQTT_AWAITS_CONNECT; /* [MQTT-3.1.0-1, MQTT-3.1.0-2] */
    return (type == GNT_MQTT_CONNECT) == first;
}

/* One packet has been framed: *acted is false if it was one for the engine alone. */
static gnt_err on_frame(struct gnt_mqtt_server *s, const struct gnt_mqtt_frame *frame,
                        struct gnt_mqtt_packet *out, bool *acted)
{
    if (!may_come(s, frame->type))
        return fail(s, GNT_PROTOCOL, GNT_REASON_PROTOCOL_ERROR);
    gnt_err err = gnt_mqtt_decode(frame, s->version, GNT_MQTT_FROM_CLIENT, out, &s->reason);
    if (err == GNT_UNSUPPORTED)
        return on_other_version(s, out);
    if (err)
        return err;
    *acted = true;
    switch ((enum gnt_mqtt_type)frame->type) {
    case GNT_MQTT_CONNECT: return on_connect(s, out);
    case GNT_MQTT_PUBLISH: return on_publish(s, out);
    case GNT_MQTT_SUBSCRIBE: return on_subscribe(s, out);
    case GNT_MQTT_AUTH: return on_auth(s, out);
    case GNT_MQTT_PINGREQ: {
        *acted = false;
        uint8_t *at;
        err = gnt_outq_reserve(s->out, GNT_MQTT_PING_SIZE, &at);
        if (err)
            return fail(s, err, GNT_REASON_UNSPECIFIED_ERROR);
        gnt_mqtt_ping_write(at, GNT_MQTT_PINGRESP);
        gnt_outq_wrote(s->out, GNT_MQTT_PING_SIZE);
        gnt_count(s->options->counters, GNT_COUNT_PACKETS_SENT, 1);
        return GNT_OK;
    }
    default:
        return check_props(
            s, &out->props); /* the decoder lets no packet through that a client must not send */
    }
}

/* Where MQTT's own limit is the only one the client is told of none, and the fixed header comes on
 * top. */
static size_t packet_max(const struct gnt_mqtt_server *s)
{
    /* Twice what all fields of a CONNECT come to: nobody knows its sender yet. */
    enum { CONNECT_MAX = 1 << 20 };
    size_t max =
        s->options->packet_max < GNT_MQTT_REMAINING_MAX ? s->options->packet_max : SIZE_MAX;
    return s->state != GNT_MQTT_OPEN && max > CONNECT_MAX ? CONNECT_MAX : max;
}

gnt_err gnt_mqtt_server_next(struct gnt_mqtt_server *s, struct gnt_slice *in, uint64_t now,
                             struct gnt_mqtt_packet *out, size_t *need)
{
    GNT_ASSERT(s->state != GNT_MQTT_DECIDES && s->state != GNT_MQTT_ENDED);
    for (bool acted = false; !acted;) {
        struct gnt_mqtt_frame frame;
        /* Whoever speaks another protocol need not finish what would be a packet. */
        if (s->state != GNT_MQTT_OPEN && in->size && !may_come(s, in->data[0] >> 4))
            return fail(s, GNT_PROTOCOL, GNT_REASON_PROTOCOL_ERROR);
        gnt_err err = gnt_mqtt_frame(*in, packet_max(s), &frame);
        if (err == GNT_MORE) {
            if (need)
                *need = frame.size;
            return GNT_MORE;
        }
        if (err)
            return fail(s, err,
                        err == GNT_TOOBIG ? GNT_REASON_PACKET_TOO_LARGE
                                          : GNT_REASON_MALFORMED_PACKET);
        gnt_mqtt_server_lives(s, now);
        gnt_count(s->options->counters, GNT_COUNT_PACKETS_RECEIVED, 1);
        *in = gnt_slice_skip(*in, frame.size);
        err = on_frame(s, &frame, out, &acted);
        if (err)
            return err;
    }
    return GNT_OK;
}

unsigned gnt_mqtt_server_ahead(const struct gnt_mqtt_server *s, struct gnt_slice in,
                               struct gnt_slice *topics, unsigned max, size_t *left)
{
    enum { OTHERS_MAX = 8 }; /* packets between them, so that a call stays short */
    unsigned count = 0, others = 0;
    struct gnt_mqtt_frame frame;
    while (s->state == GNT_MQTT_OPEN && count < max && others < OTHERS_MAX &&
           gnt_mqtt_frame(in, packet_max(s), &frame) == GNT_OK) {
        struct gnt_mqtt_packet packet;
        uint8_t reason;
        in = gnt_slice_skip(in, frame.size);
        if (frame.type == GNT_MQTT_PUBLISH &&
            gnt_mqtt_decode(&frame, s->version, GNT_MQTT_FROM_CLIENT, &packet, &reason) == GNT_OK &&
            packet.publish.topic.size)
            topics[count++] = packet.publish.topic;
        else
            others++;
    }
    *left = in.size;
    return count;
}
