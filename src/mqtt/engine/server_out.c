/* What the server's side of a connection sends. */

#include "base/assert.h"
#include "base/utf8.h"
#include "model/topic.h"
#include "mqtt/engine/server.h"
#include "mqtt/engine/server_alias.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Payloads up to here are copied behind their headers; larger ones are linked. */
enum { COPY_MAX = 4096 };

enum { PROPS_MAX = 16 + GNT_MQTT_WELCOME_USER_MAX };

/* Properties on their way; at most PROPS_MAX. */
struct props {
    struct gnt_mqtt_prop list[PROPS_MAX];
    struct gnt_mqtt_proplist out;
};

static void props_init(struct props *p)
{
    p->out = (struct gnt_mqtt_proplist){.list = p->list};
}

static void add_number(struct props *p, enum gnt_mqtt_prop_row row, uint32_t number)
{
    GNT_ASSERT(p->out.count < PROPS_MAX);
    p->list[p->out.count++] = (struct gnt_mqtt_prop){.row = row, .number = number};
}

static void add_text(struct props *p, enum gnt_mqtt_prop_row row, struct gnt_slice text)
{
    GNT_ASSERT(p->out.count < PROPS_MAX);
    if (text.size)
        p->list[p->out.count++] = (struct gnt_mqtt_prop){.row = row, .text = text};
}

/* [MQTT-3.1.2-29] */
static void add_reason(const struct gnt_mqtt_server *s, struct props *p, const char *text)
{
    if (text && s->problem_information)
        add_text(p, GNT_PROP_REASON_STRING, gnt_slice_str(text));
}

static void sent(struct gnt_mqtt_server *s, size_t size)
{
    gnt_outq_wrote(s->out, size);
    gnt_count(s->options->counters, GNT_COUNT_PACKETS_SENT, 1);
}

/* *at: room for a packet of SIZE bytes. */
static gnt_err room(struct gnt_mqtt_server *s, size_t size, uint8_t **at)
{
    if (size == 0 || size > s->packet_max_out)
        return GNT_TOOBIG;
    return gnt_outq_reserve(s->out, size, at);
}

/* ---- CONNACK and DISCONNECT */

static gnt_err connack(struct gnt_mqtt_server *s, const struct gnt_mqtt_connack *p,
                       const struct gnt_mqtt_proplist *props)
{
    size_t size = gnt_mqtt_connack_size(p, s->version, props);
    uint8_t *at;
    gnt_err err = room(s, size, &at);
    if (err)
        return err;
    gnt_mqtt_connack_write(at, p, s->version, props);
    sent(s, size);
    return GNT_OK;
}

/* What the server does without; nothing is said of what it can [MQTT5 3.2.2.3]. */
static void announce_missing(const struct gnt_mqtt_server_options *o, struct props *p)
{
    enum { QOS_MAX = 2 };
    static const struct {
        uint8_t without, row;
    } missing[] = {
        {GNT_MQTT_WITHOUT_RETAIN, GNT_PROP_RETAIN_AVAILABLE},
        {GNT_MQTT_WITHOUT_WILDCARDS, GNT_PROP_WILDCARD_AVAILABLE},
        {GNT_MQTT_WITHOUT_SUBSCRIPTION_IDS, GNT_PROP_SUBSCRIPTION_ID_AVAILABLE},
        {GNT_MQTT_WITHOUT_SHARED, GNT_PROP_SHARED_AVAILABLE},
    };
    if (o->qos_max < QOS_MAX) /* [MQTT-3.2.2-9] */
        add_number(p, GNT_PROP_MAXIMUM_QOS, o->qos_max);
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
        if (o->without & missing[i].without)
            add_number(p, missing[i].row, 0);
}

static void announce(struct gnt_mqtt_server *s, const struct gnt_mqtt_packet *connect,
                     const struct gnt_mqtt_welcome *w, struct props *p)
{
    const struct gnt_mqtt_server_options *o = s->options;
    if (w->session_expiry_s != gnt_mqtt_number(&connect->props, GNT_PROP_SESSION_EXPIRY, 0))
        add_number(p, GNT_PROP_SESSION_EXPIRY, w->session_expiry_s);
    if (o->receive_max < UINT16_MAX)
        add_number(p, GNT_PROP_RECEIVE_MAXIMUM, o->receive_max);
    if (o->packet_max < GNT_MQTT_REMAINING_MAX)
        add_number(p, GNT_PROP_MAXIMUM_PACKET_SIZE, (uint32_t)o->packet_max);
    if (o->aliases_in)
        add_number(p, GNT_PROP_TOPIC_ALIAS_MAXIMUM, o->aliases_in);
    announce_missing(o, p);
    add_text(p, GNT_PROP_ASSIGNED_CLIENT_ID, w->assigned_id);
    add_text(p, GNT_PROP_RESPONSE_INFO, w->response_info);
    add_text(p, GNT_PROP_AUTH_METHOD, w->auth_method);
    add_text(p, GNT_PROP_AUTH_DATA, w->auth_data);
}

/* How many properties there were before. */
static size_t add_user(struct props *p, const struct gnt_mqtt_welcome *w)
{
    size_t before = p->out.count;
    GNT_ASSERT(w->user_count <= GNT_MQTT_WELCOME_USER_MAX);
    for (size_t i = 0; i < w->user_count; i++)
        p->list[p->out.count++] = w->user[i];
    return before;
}

gnt_err gnt_mqtt_server_accept(struct gnt_mqtt_server *s, const struct gnt_mqtt_packet *connect,
                               const struct gnt_mqtt_welcome *welcome, uint64_t now)
{
    GNT_ASSERT(s->state == GNT_MQTT_DECIDES);
    const struct gnt_mqtt_connack p = {
        /* MQTT 3.1 has no such flag: the byte is reserved there */
        .session_present = welcome->session_present && s->version != GNT_MQTT_3_1,
    };
    struct props props;
    props_init(&props);
    size_t needed = 0;
    if (s->version == GNT_MQTT_5) {
        announce(s, connect, welcome, &props);
        uint32_t most = s->options->keep_alive_max_s;
        if (most && (s->keep_alive_s == 0 || s->keep_alive_s > most)) { /* [MQTT5 3.2.2.3.14] */
            s->keep_alive_s = most;
            add_number(&props, GNT_PROP_SERVER_KEEP_ALIVE, most);
        }
        needed = add_user(&props, welcome);
    }
    gnt_err err = connack(s, &p, &props.out);
    if (err == GNT_TOOBIG && props.out.count > needed) { /* [MQTT-3.2.2-20] */
        props.out.count = needed;
        err = connack(s, &p, &props.out);
    }
    if (err)
        return err;
    s->state = GNT_MQTT_OPEN;
    s->since = now;
    if (s->auth != GNT_MQTT_AUTH_NONE)
        s->auth = GNT_MQTT_AUTH_IDLE;
    return GNT_OK;
}

/* ---- AUTH */

gnt_err gnt_mqtt_server_auth(struct gnt_mqtt_server *s, uint8_t code, struct gnt_slice method,
                             struct gnt_slice data)
{
    bool goes_on = code == GNT_REASON_CONTINUE_AUTHENTICATION;
    GNT_ASSERT(s->auth == GNT_MQTT_AUTH_OWNERS && (goes_on || s->state == GNT_MQTT_OPEN));
    const struct gnt_mqtt_close p = {.code = code};
    struct props props;
    props_init(&props);
    add_text(&props, GNT_PROP_AUTH_METHOD, method);
    add_text(&props, GNT_PROP_AUTH_DATA, data);
    size_t size = gnt_mqtt_close_size(GNT_MQTT_AUTH, &p, s->version, &props.out);
    uint8_t *at;
    gnt_err err = room(s, size, &at);
    if (err)
        return err;
    gnt_mqtt_close_write(at, GNT_MQTT_AUTH, &p, s->version, &props.out);
    sent(s, size);
    s->auth = goes_on ? GNT_MQTT_AUTH_CLIENTS : GNT_MQTT_AUTH_IDLE;
    if (s->state == GNT_MQTT_DECIDES)
        s->state = GNT_MQTT_AUTHENTICATES;
    return GNT_OK;
}

/* The return codes of 3.x have none for a client's mistake [MQTT-3.2.2-6 of 3.1.1]; "unavailable"
 * would ask it to come again with the same. */
static bool has_words_for(const struct gnt_mqtt_server *s, uint8_t reason)
{
    if (s->version == GNT_MQTT_5)
        return true;
    switch (reason) {
    case GNT_REASON_TOPIC_NAME_INVALID:
    case GNT_REASON_PROTOCOL_ERROR:
    case GNT_REASON_QOS_NOT_SUPPORTED:
    case GNT_REASON_RETAIN_NOT_SUPPORTED: return false;
    default: return true;
    }
}

/* PROPS are left out where the client takes no packet of that size. */
static void refuse(struct gnt_mqtt_server *s, uint8_t reason, struct props *props)
{
    bool heard = s->state == GNT_MQTT_DECIDES || s->state == GNT_MQTT_AUTHENTICATES;
    if (heard && has_words_for(s, reason)) {
        struct gnt_mqtt_connack p = {
            .code = s->version == GNT_MQTT_5 ? reason : gnt_mqtt_reason_to_v3_connack(reason)};
        /* Out of memory: the close has to say it. */
        if (connack(s, &p, &props->out) == GNT_TOOBIG) {
            props_init(props);
            (void)!connack(s, &p, &props->out);
        }
    }
    s->state = GNT_MQTT_ENDED;
}

static void disconnect(struct gnt_mqtt_server *s, uint8_t reason, struct props *props)
{
    bool tell = s->state == GNT_MQTT_OPEN && s->version == GNT_MQTT_5;
    s->state = GNT_MQTT_ENDED;
    if (!tell)
        return;
    const struct gnt_mqtt_close p = {.code = reason};
    size_t size = gnt_mqtt_close_size(GNT_MQTT_DISCONNECT, &p, s->version, &props->out);
    if (size > s->packet_max_out) { /* [MQTT-3.14.2-3] */
        props_init(props);
        size = gnt_mqtt_close_size(GNT_MQTT_DISCONNECT, &p, s->version, &props->out);
    }
    uint8_t *at;
    if (room(s, size, &at))
        return;
    gnt_mqtt_close_write(at, GNT_MQTT_DISCONNECT, &p, s->version, &props->out);
    sent(s, size);
}

void gnt_mqtt_server_refuse(struct gnt_mqtt_server *s, uint8_t reason, const char *text)
{
    struct props props;
    props_init(&props);
    add_reason(s, &props, text);
    refuse(s, reason, &props);
}

void gnt_mqtt_server_disconnect(struct gnt_mqtt_server *s, uint8_t reason, const char *text)
{
    struct props props;
    props_init(&props);
    add_reason(s, &props, text);
    disconnect(s, reason, &props);
}

/* [MQTT5 3.2.2.3.16], [MQTT5 3.14.2.2.5] */
void gnt_mqtt_server_refer(struct gnt_mqtt_server *s, uint8_t reason, const char *reference)
{
    struct props props;
    props_init(&props);
    add_text(&props, GNT_PROP_SERVER_REFERENCE, gnt_slice_str(reference));
    if (s->state == GNT_MQTT_OPEN)
        disconnect(s, reason, &props);
    else
        refuse(s, reason, &props);
}

/* ---- Acknowledgements */

gnt_err gnt_mqtt_server_ack(struct gnt_mqtt_server *s, enum gnt_mqtt_type type, uint16_t id,
                            uint8_t reason)
{
    const struct gnt_mqtt_ack p = {id, s->version == GNT_MQTT_5 ? reason : 0};
    size_t size = gnt_mqtt_ack_size(type, &p, s->version, NULL);
    uint8_t *at;
    gnt_err err = room(s, size, &at);
    if (err)
        return err;
    gnt_mqtt_ack_write(at, type, &p, s->version, NULL);
    sent(s, size);
    return GNT_OK;
}

gnt_err gnt_mqtt_server_codes(struct gnt_mqtt_server *s, enum gnt_mqtt_type type, uint16_t id,
                              uint8_t *codes, size_t count)
{
    if (s->version != GNT_MQTT_5) /* 3.1.1 has one failure, 0x80 [MQTT-3.9.3-2] */
        for (size_t i = 0; i < count; i++)
            codes[i] = codes[i] >= 0x80 ? 0x80 : codes[i];
    const struct gnt_mqtt_codes p = {id, gnt_slice(codes, count)};
    size_t size = gnt_mqtt_codes_size(type, &p, s->version, NULL);
    uint8_t *at;
    gnt_err err = room(s, size, &at);
    if (err)
        return err;
    gnt_mqtt_codes_write(at, type, &p, s->version, NULL);
    sent(s, size);
    return GNT_OK;
}

/* ---- PUBLISH */

static void release_message(void *message)
{
    struct gnt_message *m = message;
    gnt_message_unref(&m);
}

static gnt_err put_publish(struct gnt_mqtt_server *s, const struct gnt_mqtt_publish *p,
                           const struct gnt_mqtt_proplist *props, struct gnt_message *message)
{
    size_t total, head = gnt_mqtt_publish_head_size(p, s->version, props, &total);
    if (head == 0 || total > s->packet_max_out)
        return GNT_TOOBIG;
    bool copied = p->payload.size <= COPY_MAX;
    uint8_t *at;
    gnt_err err = gnt_outq_reserve(s->out, copied ? total : head, &at);
    if (err)
        return err;
    uint8_t *payload = gnt_mqtt_publish_head_write(at, p, s->version, props);
    if (copied) {
        if (p->payload.size)
            memcpy(payload, p->payload.data, p->payload.size);
        gnt_outq_wrote(s->out, total);
    } else {
        err = gnt_outq_wrote_ref(s->out, head, p->payload, release_message, message);
        if (err)
            return err;
        gnt_message_ref(message);
    }
    gnt_count(s->options->counters, GNT_COUNT_PACKETS_SENT, 1);
    gnt_count(s->options->counters, GNT_COUNT_PUBLISH_SENT, 1);
    gnt_count(s->options->counters, GNT_COUNT_PUBLISH_BYTES_SENT, (int64_t)p->payload.size);
    return GNT_OK;
}

/* What of a message that comes from a queue no field of MQTT says: user properties, with the names
 * that they have as annotations of AMQP (docs/mapping.md). */
enum { DRAWN_PROPS = 5 };

static size_t tell_drawn(const struct gnt_delivery *d, struct gnt_mqtt_prop *list, char number[12])
{
    const struct gnt_drawn *drawn = d->drawn;
    struct gnt_slice name;
    bool published = !gnt_topic_queue(d->message->topic, &name);
    int digits = drawn->failed ? snprintf(number, 12, "%" PRIu32, drawn->failed) : 0;
    const struct {
        const char *name;
        struct gnt_slice value;
    } rows[DRAWN_PROPS] = {
        {"x-opt-topic", published ? d->message->topic : gnt_slice(NULL, 0)},
        {"x-opt-delivery-count", gnt_slice(number, (size_t)digits)},
        {"DeadLetterReason", drawn->reason},
        {"DeadLetterErrorDescription", drawn->description},
        {"x-opt-deadletter-source", drawn->source},
    };
    size_t count = 0;
    for (size_t i = 0; i < DRAWN_PROPS; i++)
        if (rows[i].value.size && gnt_utf8_valid(rows[i].value))
            list[count++] = (struct gnt_mqtt_prop){.row = GNT_PROP_USER_PROPERTY,
                                                   .text = gnt_slice_str(rows[i].name),
                                                   .value = rows[i].value};
    return count;
}

static gnt_err publish_v5(struct gnt_mqtt_server *s, struct gnt_mqtt_publish *p,
                          const struct gnt_delivery *d, uint64_t now)
{
    const struct gnt_message *m = d->message;
    struct gnt_mqtt_prop few[4 + DRAWN_PROPS], *list = few;
    struct gnt_mqtt_prop *many = NULL;
    if (d->ids.count > 2) {
        many = malloc((d->ids.count + 2 + DRAWN_PROPS) * sizeof *many);
        if (!many)
            return GNT_NOMEM;
        list = many;
    }
    struct gnt_mqtt_proplist props = {.list = list};
    if (m->format == GNT_EXTRAS_MQTT5)
        props.raw = m->extras;
    if (m->expires != GNT_NEVER) /* what is left of it [MQTT-3.3.2-6] */
        list[props.count++] = (struct gnt_mqtt_prop){.row = GNT_PROP_MESSAGE_EXPIRY,
                                                     .number = gnt_message_left_s(m, now)};
    for (uint32_t i = 0; i < d->ids.count; i++)
        list[props.count++] = (struct gnt_mqtt_prop){.row = GNT_PROP_SUBSCRIPTION_ID,
                                                     .number = gnt_sub_ids_list(&d->ids)[i]};
    char number[12];
    if (d->drawn)
        props.count += tell_drawn(d, list + props.count, number);
    bool known;
    uint16_t alias = gnt_mqtt_alias_for(s, p->topic, &known);
    if (alias)
        list[props.count++] = (struct gnt_mqtt_prop){.row = GNT_PROP_TOPIC_ALIAS, .number = alias};
    if (known)
        p->topic = gnt_slice(NULL, 0);
    gnt_err err = put_publish(s, p, &props, d->message);
    if (!err && alias && !known)
        gnt_mqtt_alias_sent(s, alias);
    if (err == GNT_TOOBIG && alias && !known) { /* a new alias makes it longer */
        props.count--;
        err = put_publish(s, p, &props, d->message);
    }
    free(many);
    return err;
}

gnt_err gnt_mqtt_server_publish(struct gnt_mqtt_server *s, const struct gnt_delivery *d,
                                uint64_t now)
{
    struct gnt_mqtt_publish p = {.dup = d->dup,
                                 .retain = d->retain,
                                 .qos = d->qos,
                                 .id = d->id,
                                 .topic = d->drawn ? d->drawn->topic : d->message->topic,
                                 .payload = d->message->payload};
    if (s->version == GNT_MQTT_5)
        return publish_v5(s, &p, d, now);
    return put_publish(s, &p, NULL, d->message);
}
