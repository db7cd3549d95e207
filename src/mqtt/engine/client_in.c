#include "mqtt/engine/client_state.h"

#include "base/assert.h"
#include "model/topic.h"

#include <stdlib.h>

/* Each handler: GNT_OK and *out is an event, GNT_MORE: handled, no event; or the failure that ends
 * the connection, with *code if the one that failure_code has for it will not do. */
typedef gnt_err handler(struct gnt_client *c, struct gnt_client_event *out, uint8_t *code);

gnt_err gnt_client_write_ack(struct gnt_client *c, enum gnt_mqtt_type type, uint16_t id,
                             uint8_t code)
{
    const struct gnt_mqtt_ack p = {id, code};
    size_t size = gnt_mqtt_ack_size(type, &p, c->version, NULL);
    gnt_err err = gnt_buf_reserve(&c->out, size);
    if (err)
        return err;
    gnt_mqtt_ack_write(gnt_buf_tail(&c->out), type, &p, c->version, NULL);
    gnt_buf_wrote(&c->out, size);
    bool settled = type == GNT_MQTT_PUBACK || type == GNT_MQTT_PUBCOMP ||
                   (type == GNT_MQTT_PUBREC && code >= 0x80);
    if (settled && c->inbound > 0)
        c->inbound--;
    return GNT_OK;
}

/* As _write_ack, for a handler. */
static gnt_err answer(struct gnt_client *c, enum gnt_mqtt_type type, uint16_t id, uint8_t code)
{
    gnt_err err = gnt_client_write_ack(c, type, id, code);
    return err ? err : GNT_MORE;
}

/* ---- CONNACK */

static gnt_err keep_client_id(struct gnt_client *c, struct gnt_slice id)
{
    if (id.size == 0)
        return GNT_OK;
    uint8_t *copy = malloc(id.size);
    if (!copy)
        return GNT_NOMEM;
    memcpy(copy, id.data, id.size);
    free(c->client_id);
    c->client_id = copy;
    c->client_id_size = id.size;
    return GNT_OK;
}

/* What the server allows, and what it assumes when it does not say [MQTT5 3.2.2.3]. */
static void read_limits(struct gnt_client *c, const struct gnt_mqtt_props *p)
{
    struct gnt_client_limits *l = &c->limits;
    if (c->version == GNT_MQTT_5) {
        l->packet_max = gnt_mqtt_number(p, GNT_PROP_MAXIMUM_PACKET_SIZE, UINT32_MAX);
        l->receive_max = (uint16_t)gnt_mqtt_number(p, GNT_PROP_RECEIVE_MAXIMUM, UINT16_MAX);
        l->alias_max = (uint16_t)gnt_mqtt_number(p, GNT_PROP_TOPIC_ALIAS_MAXIMUM, 0);
        l->keep_alive_s = (uint16_t)gnt_mqtt_number(p, GNT_PROP_SERVER_KEEP_ALIVE, c->keep_alive_s);
        l->qos_max = (uint8_t)gnt_mqtt_number(p, GNT_PROP_MAXIMUM_QOS, 2);
        l->no_retain = !gnt_mqtt_number(p, GNT_PROP_RETAIN_AVAILABLE, 1);
        l->no_wildcards = !gnt_mqtt_number(p, GNT_PROP_WILDCARD_AVAILABLE, 1);
        l->no_subscription_ids = !gnt_mqtt_number(p, GNT_PROP_SUBSCRIPTION_ID_AVAILABLE, 1);
        l->no_shared = !gnt_mqtt_number(p, GNT_PROP_SHARED_AVAILABLE, 1);
    }
    uint16_t own = c->options.in_flight_max;
    if (own && (own < l->receive_max || c->version < GNT_MQTT_5))
        l->receive_max = own;
    if (l->alias_max > c->options.aliases_max)
        l->alias_max = c->options.aliases_max;
}

/* The server knows nothing of what was in flight: publishes go again as new ones, in their order
 * and before the others.  What had its PUBREC was the server's already. */
static void session_lost(struct gnt_client *c)
{
    struct gnt_list again;
    gnt_list_init(&again);
    gnt_idset_fini(&c->received);
    gnt_list_each_safe (link, &c->resend) {
        struct gnt_client_request *r = GNT_CONTAINER(link, struct gnt_client_request, link);
        if (!r->message) {
            gnt_client_request_done(c, r, GNT_OK, 0);
        } else if (c->options.drop_in_flight) {
            gnt_client_request_done(c, r, GNT_CLOSED, 0);
        } else {
            gnt_list_remove(link);
            gnt_client_request_forget_id(c, r);
            gnt_list_push_back(&again, link);
        }
    }
    gnt_list_splice_back(&again, &c->pending);
    gnt_list_splice_back(&c->pending, &again);
}

static uint8_t connack_code(const struct gnt_client *c, uint8_t code)
{
    static const uint8_t of_3[] = {
        GNT_REASON_SUCCESS,
        GNT_REASON_UNSUPPORTED_VERSION,
        GNT_REASON_CLIENT_ID_NOT_VALID,
        GNT_REASON_SERVER_UNAVAILABLE,
        GNT_REASON_BAD_USER_OR_PASSWORD,
        GNT_REASON_NOT_AUTHORIZED,
    };
    return c->version == GNT_MQTT_5 || code >= sizeof of_3 ? code : of_3[code];
}

static gnt_err on_connack(struct gnt_client *c, struct gnt_client_event *out, uint8_t *code)
{
    const struct gnt_mqtt_connack *p = &c->packet.connack;
    (void)code;
    if (p->code) {
        c->end_props = true;
        gnt_client_end(c, GNT_REFUSED, connack_code(c, p->code));
        return GNT_MORE;
    }
    if (p->session_present && c->clean_sent) /* [MQTT-3.2.2-2] */
        return GNT_PROTOCOL;
    bool named = gnt_client_method(c).data != NULL; /* [MQTT-4.12.0-5, MQTT-4.12.0-6] */
    if (named ? !gnt_client_method_is(c, &c->packet.props)
              : gnt_mqtt_has(&c->packet.props, GNT_PROP_AUTH_METHOD))
        return GNT_PROTOCOL;
    gnt_err err = keep_client_id(c, gnt_mqtt_text(&c->packet.props, GNT_PROP_ASSIGNED_CLIENT_ID));
    if (err)
        return err;
    read_limits(c, &c->packet.props);
    c->resumed = true;
    c->session_present = p->session_present;
    /* MQTT 3.1 cannot say whether there is a session: what was not cleaned is taken to be there,
     * and subscribing twice does no harm. */
    bool present = c->version == GNT_MQTT_3_1 ? !c->clean_sent : p->session_present;
    if (!present)
        session_lost(c);
    c->owes_subscriptions |= !p->session_present;
    err = c->owes_subscriptions ? gnt_client_resubscribe(c) : GNT_OK;
    if (err)
        return err;
    gnt_client_move(c, GNT_CLIENT_UP);
    *out = (struct gnt_client_event){
        .type = GNT_CLIENT_CONNECTED,
        .session_present = p->session_present,
        .props = &c->packet.props,
    };
    return GNT_OK;
}

/* ---- PUBLISH and PUBREL */

void gnt_client_aliases_fini(struct gnt_slice **aliases, size_t count)
{
    for (size_t i = 0; *aliases && i < count; i++)
        free((void *)(uintptr_t)(*aliases)[i].data);
    free(*aliases);
    *aliases = NULL;
}

/* The topic that ALIAS stands for, or stands for from now on [MQTT5 3.3.2.3.4]. */
static gnt_err resolve_alias(struct gnt_client *c, uint32_t alias, struct gnt_slice *topic)
{
    if (!c->aliases_in)
        c->aliases_in = calloc(c->alias_in_max, sizeof *c->aliases_in);
    if (!c->aliases_in)
        return GNT_NOMEM;
    struct gnt_slice *known = &c->aliases_in[alias - 1];
    if (topic->size == 0) {
        *topic = *known;
        return known->data ? GNT_OK : GNT_PROTOCOL;
    }
    uint8_t *copy = malloc(topic->size + 1);
    if (!copy)
        return GNT_NOMEM;
    memcpy(copy, topic->data, topic->size);
    copy[topic->size] = 0;
    free((void *)(uintptr_t)known->data);
    *known = gnt_slice(copy, topic->size);
    *topic = *known;
    return GNT_OK;
}

/* Moves the topic over its own length bytes, so that there is room for a zero behind it: a PUBLISH
 * has the topic at its front, and `in` is ours. */
static void terminate(struct gnt_client *c, struct gnt_slice *topic)
{
    size_t at = (size_t)(topic->data - c->in.data) - 1;
    memmove(c->in.data + at, topic->data, topic->size);
    c->in.data[at + topic->size] = 0;
    topic->data = c->in.data + at;
}

static gnt_err find_topic(struct gnt_client *c, struct gnt_mqtt_publish *p, uint8_t *code)
{
    uint32_t alias = gnt_mqtt_number(&c->packet.props, GNT_PROP_TOPIC_ALIAS, 0);
    if (alias > c->alias_in_max) { /* [MQTT-3.3.2-9] */
        *code = GNT_REASON_TOPIC_ALIAS_INVALID;
        return GNT_PROTOCOL;
    }
    if (p->topic.size == 0 && !alias)
        return GNT_PROTOCOL;
    if (p->topic.size && !gnt_topic_name_valid(p->topic, 0)) { /* [MQTT-3.3.2-2] */
        *code = GNT_REASON_TOPIC_NAME_INVALID;
        return GNT_PROTOCOL;
    }
    struct gnt_slice response = gnt_mqtt_text(&c->packet.props, GNT_PROP_RESPONSE_TOPIC);
    if (gnt_topic_has_wildcard(response)) /* [MQTT-3.3.2-14] */
        return GNT_PROTOCOL;
    if (alias)
        return resolve_alias(c, alias, &p->topic);
    terminate(c, &p->topic);
    return GNT_OK;
}

/* Whether this publish of QoS 1 or 2 is new (GNT_OK) or here already (GNT_MORE); a QoS 2 id is
 * noted before the message is shown, so that it is shown once. */
static gnt_err admit(struct gnt_client *c, const struct gnt_mqtt_publish *p, uint8_t *code)
{
    if (gnt_idset_has(&c->unacked, p->id)) /* repeated while its owner has it */
        return GNT_MORE;
    if (p->qos == 2 && gnt_idset_has(&c->received, p->id)) {
        /* Sent again in a new connection it counts, as there it will be settled; see _write_ack. */
        c->inbound++;
        return answer(c, GNT_MQTT_PUBREC, p->id, 0);
    }
    if (c->version == GNT_MQTT_5 && c->inbound >= c->receive_max) { /* [MQTT-3.3.4-9] */
        *code = GNT_REASON_RECEIVE_MAXIMUM_EXCEEDED;
        return GNT_PROTOCOL;
    }
    gnt_err err = p->qos == 2 ? gnt_idset_add(&c->received, p->id) : GNT_OK;
    if (!err && c->options.manual_ack) {
        err = gnt_idset_add(&c->unacked, p->id);
        if (err)
            gnt_idset_remove(&c->received, p->id);
    }
    if (!err)
        c->inbound++;
    return err;
}

static gnt_err on_publish(struct gnt_client *c, struct gnt_client_event *out, uint8_t *code)
{
    struct gnt_mqtt_publish *p = &c->packet.publish;
    gnt_err err = find_topic(c, p, code);
    if (!err && p->qos)
        err = admit(c, p, code);
    if (err)
        return err;
    *out = (struct gnt_client_event){
        .type = GNT_CLIENT_MESSAGE,
        .publish = p,
        .props = &c->packet.props,
    };
    if (p->qos && c->options.manual_ack) {
        out->ack = (uint64_t)c->generation << 32 | (uint64_t)p->qos << 16 | p->id;
    } else if (p->qos) {
        c->lent_ack = p->id;
        c->lent_qos = p->qos;
    }
    return GNT_OK;
}

gnt_err gnt_client_ack(struct gnt_client *c, uint64_t ack, uint8_t code)
{
    uint16_t id = (uint16_t)ack;
    if (ack >> 32 != c->generation || c->state != GNT_CLIENT_UP)
        return GNT_STATE;
    if (!gnt_idset_has(&c->unacked, id))
        return GNT_NOTFOUND;
    enum gnt_mqtt_type type = (ack >> 16 & 3) == 1 ? GNT_MQTT_PUBACK : GNT_MQTT_PUBREC;
    if (!gnt_mqtt_reason_allowed(code, 1u << type))
        return GNT_INVALID;
    gnt_err err = gnt_client_write_ack(c, type, id, c->version == GNT_MQTT_5 ? code : 0);
    if (err)
        return err;
    gnt_idset_remove(&c->unacked, id);
    if (c->version == GNT_MQTT_5 && code >= 0x80)
        gnt_idset_remove(&c->received, id);
    return GNT_OK;
}

/* A second PUBREL, or one for an id of which nothing is known, is answered all the same: else its
 * sender would wait for ever. */
static gnt_err on_pubrel(struct gnt_client *c, struct gnt_client_event *out, uint8_t *code)
{
    const uint16_t id = c->packet.ack.id;
    (void)out;
    (void)code;
    bool known = gnt_idset_remove(&c->received, id);
    gnt_idset_remove(&c->unacked, id);
    uint8_t answer_code =
        known || c->version < GNT_MQTT_5 ? GNT_REASON_SUCCESS : GNT_REASON_PACKET_ID_NOT_FOUND;
    return answer(c, GNT_MQTT_PUBCOMP, id, answer_code);
}

/* ---- Acknowledgements of our requests */

static struct gnt_client_request *request_of(struct gnt_client *c, uint16_t id)
{
    struct gnt_flight *flight = gnt_window_find(&c->window, id);
    return flight ? flight->owner : NULL;
}

/* R is settled by the packet that has just come: its event shows that packet's properties. */
static gnt_err settled(struct gnt_client *c, struct gnt_client_request *r, uint8_t code,
                       struct gnt_client_event *out)
{
    gnt_client_request_done(c, r, code >= 0x80 ? GNT_REFUSED : GNT_OK, code);
    gnt_list_remove(&r->link);
    gnt_client_request_event(c, r, out);
    out->props = &c->packet.props;
    return GNT_OK;
}

/* An acknowledgement of what is settled already (a retry was acknowledged twice) is ignored. */
static gnt_err on_puback(struct gnt_client *c, struct gnt_client_event *out, uint8_t *code)
{
    (void)code;
    struct gnt_client_request *r = request_of(c, c->packet.ack.id);
    if (!r)
        return GNT_MORE;
    if (r->type != GNT_MQTT_PUBLISH || !r->message || r->message->qos != 1)
        return GNT_PROTOCOL;
    return settled(c, r, c->packet.ack.code, out);
}

static gnt_err on_pubrec(struct gnt_client *c, struct gnt_client_event *out, uint8_t *code)
{
    const struct gnt_mqtt_ack *p = &c->packet.ack;
    (void)code;
    struct gnt_client_request *r = request_of(c, p->id);
    if (!r) { /* [MQTT5 4.3.3]; 3.x has no code for it */
        bool five = c->version == GNT_MQTT_5;
        if (p->code >= 0x80)
            return GNT_MORE;
        return answer(c, GNT_MQTT_PUBREL, p->id, five ? GNT_REASON_PACKET_ID_NOT_FOUND : 0);
    }
    if (r->type != GNT_MQTT_PUBLISH || (r->message && r->message->qos != 2))
        return GNT_PROTOCOL;
    if (p->code >= 0x80 && r->message)
        return settled(c, r, p->code, out);
    gnt_err err = answer(c, GNT_MQTT_PUBREL, p->id, 0);
    if (err == GNT_MORE && r->message) { /* else it is the second PUBREC */
        gnt_window_release(&c->window, gnt_window_find(&c->window, p->id));
        gnt_message_unref(&r->message);
        r->attempts = 0;
    }
    return err;
}

static gnt_err on_pubcomp(struct gnt_client *c, struct gnt_client_event *out, uint8_t *code)
{
    (void)code;
    struct gnt_client_request *r = request_of(c, c->packet.ack.id);
    if (!r)
        return GNT_MORE;
    if (r->type != GNT_MQTT_PUBLISH || r->message)
        return GNT_PROTOCOL;
    gnt_err err = settled(c, r, c->packet.ack.code, out);
    out->err = GNT_OK; /* "packet id not found": the server has released it before */
    return err;
}

static gnt_err on_suback(struct gnt_client *c, struct gnt_client_event *out, uint8_t *code)
{
    const struct gnt_mqtt_codes *p = &c->packet.codes;
    (void)code;
    struct gnt_client_request *r = request_of(c, p->id);
    if (!r)
        return GNT_MORE;
    if (r->type != GNT_MQTT_SUBSCRIBE || p->codes.size != r->count) /* [MQTT-3.8.4-6] */
        return GNT_PROTOCOL;
    struct gnt_slice list = r->list;
    struct gnt_mqtt_subscription s;
    uint8_t worst = 0;
    for (size_t i = 0; gnt_mqtt_next_subscription(&list, c->version, &s); i++) {
        uint8_t granted = p->codes.data[i];
        worst = granted > worst ? granted : worst;
        if (granted >= 0x80) {
            gnt_client_forget(c, s.filter);
        } else if (!c->options.no_resubscribe) {
            gnt_err err = gnt_client_remember(c, &s, r->subscription_id);
            if (err)
                return err;
        }
    }
    gnt_err err = settled(c, r, worst, out);
    out->codes = p->codes;
    return err;
}

static gnt_err on_unsuback(struct gnt_client *c, struct gnt_client_event *out, uint8_t *code)
{
    const struct gnt_mqtt_codes *p = &c->packet.codes;
    (void)code;
    struct gnt_client_request *r = request_of(c, p->id);
    if (!r)
        return GNT_MORE;
    if (r->type != GNT_MQTT_UNSUBSCRIBE ||
        (c->version == GNT_MQTT_5 && p->codes.size != r->count)) /* [MQTT-3.10.4-5] */
        return GNT_PROTOCOL;
    struct gnt_slice list = r->list, filter;
    uint8_t worst = 0;
    for (size_t i = 0; gnt_mqtt_next_filter(&list, &filter); i++) {
        uint8_t told = i < p->codes.size ? p->codes.data[i] : 0;
        worst = told > worst ? told : worst;
        if (told < 0x80)
            gnt_client_forget(c, filter);
    }
    gnt_err err = settled(c, r, worst, out);
    out->codes = p->codes;
    return err;
}

/* ---- The others */

static gnt_err on_pingresp(struct gnt_client *c, struct gnt_client_event *out, uint8_t *code)
{
    (void)out;
    (void)code;
    c->ping_waits = false;
    return GNT_MORE;
}

static gnt_err on_disconnect(struct gnt_client *c, struct gnt_client_event *out, uint8_t *code)
{
    (void)out;
    (void)code;
    c->end_props = true;
    gnt_client_end(c, GNT_CLOSED, c->packet.close.code);
    return GNT_MORE;
}

/* The CONNECT is kept as bytes, so that is where it stands. */
struct gnt_slice gnt_client_method(const struct gnt_client *c)
{
    if (c->version < GNT_MQTT_5)
        return gnt_slice(NULL, 0);
    struct gnt_reader r = gnt_reader(gnt_slice(c->connect, c->connect_size));
    gnt_read_u8(&r);
    gnt_mqtt_vbi_read(&r);
    gnt_read_str16(&r);
    gnt_read_bytes(&r, 4); /* level, flags, keep alive */
    struct gnt_slice raw = gnt_read_bytes(&r, gnt_mqtt_vbi_read(&r));
    struct gnt_mqtt_prop prop = {.row = GNT_PROP_ROWS};
    while (prop.row != GNT_PROP_AUTH_METHOD && gnt_mqtt_prop_next(&raw, &prop))
        ;
    return prop.row == GNT_PROP_AUTH_METHOD ? prop.text : gnt_slice(NULL, 0);
}

bool gnt_client_method_is(const struct gnt_client *c, const struct gnt_mqtt_props *props)
{
    return gnt_mqtt_has(props, GNT_PROP_AUTH_METHOD) &&
           gnt_slice_eq(gnt_mqtt_text(props, GNT_PROP_AUTH_METHOD), gnt_client_method(c));
}

/* Only who has named a method in its CONNECT may be asked [MQTT5 4.12]: before the CONNACK, and
 * when it has begun anew, which a success ends.  All of them name that method [MQTT-4.12.0-5]. */
static gnt_err on_auth(struct gnt_client *c, struct gnt_client_event *out, uint8_t *code)
{
    const struct gnt_mqtt_props *props = &c->packet.props;
    bool done = c->packet.close.code == GNT_REASON_SUCCESS;
    bool in_turn = c->state == GNT_CLIENT_CONNECTING ? !done : c->reauth;
    bool bare = done && props->present == 0;
    (void)code;
    if (!gnt_client_method(c).data || !in_turn || (!bare && !gnt_client_method_is(c, props)))
        return GNT_PROTOCOL;
    if (done)
        c->reauth = false;
    *out = (struct gnt_client_event){
        .type = GNT_CLIENT_AUTH,
        .code = c->packet.close.code,
        .props = &c->packet.props,
    };
    return GNT_OK;
}

#define IN(state) (1u << GNT_CLIENT_##state)

/* What a server may send, and when. */
static const struct {
    handler *handle;
    uint8_t states;
} kinds[16] = {
    [GNT_MQTT_CONNACK] = {on_connack, IN(CONNECTING)},
    [GNT_MQTT_PUBLISH] = {on_publish, IN(UP)},
    [GNT_MQTT_PUBACK] = {on_puback, IN(UP)},
    [GNT_MQTT_PUBREC] = {on_pubrec, IN(UP)},
    [GNT_MQTT_PUBREL] = {on_pubrel, IN(UP)},
    [GNT_MQTT_PUBCOMP] = {on_pubcomp, IN(UP)},
    [GNT_MQTT_SUBACK] = {on_suback, IN(UP)},
    [GNT_MQTT_UNSUBACK] = {on_unsuback, IN(UP)},
    [GNT_MQTT_PINGRESP] = {on_pingresp, IN(UP)},
    [GNT_MQTT_DISCONNECT] = {on_disconnect, IN(UP)},
    [GNT_MQTT_AUTH] = {on_auth, IN(CONNECTING) | IN(UP)},
};

static uint8_t failure_code(gnt_err err)
{
    static const struct {
        gnt_err err;
        uint8_t code;
    } rows[] = {
        {GNT_MALFORMED, GNT_REASON_MALFORMED_PACKET},
        {GNT_PROTOCOL, GNT_REASON_PROTOCOL_ERROR},
        {GNT_TOOBIG, GNT_REASON_PACKET_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].err == err)
            return rows[i].code;
    return GNT_REASON_UNSPECIFIED_ERROR;
}

static gnt_err handle(struct gnt_client *c, const struct gnt_mqtt_frame *frame,
                      struct gnt_client_event *out, uint8_t *code)
{
    gnt_err err = gnt_mqtt_decode(frame, c->version, GNT_MQTT_FROM_SERVER, &c->packet, code);
    if (err)
        return err;
    if (!(kinds[frame->type].states & 1u << c->state))
        return GNT_PROTOCOL;
    return kinds[frame->type].handle(c, out, code);
}

gnt_err gnt_client_next_packet(struct gnt_client *c, struct gnt_client_event *out)
{
    while (c->state == GNT_CLIENT_CONNECTING || c->state == GNT_CLIENT_UP) {
        struct gnt_mqtt_frame frame;
        uint8_t code = 0;
        gnt_err err = gnt_mqtt_frame(gnt_buf_slice(&c->in), c->options.packet_max, &frame);
        if (err == GNT_MORE)
            return GNT_MORE;
        if (!err)
            err = handle(c, &frame, out, &code);
        if (err == GNT_OK) {
            c->consume = frame.size;
            return GNT_OK;
        }
        if (err < 0)
            gnt_client_fail(c, err, code ? code : failure_code(err));
        else if (c->state != GNT_CLIENT_ENDED) /* else CLOSED shows the packet's properties */
            gnt_buf_take(&c->in, frame.size);
    }
    return GNT_MORE;
}
