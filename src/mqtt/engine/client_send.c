#include "mqtt/engine/client_state.h"

#include "base/assert.h"
#include "model/topic.h"

#include <stdlib.h>

/* ---- Topic aliases, outbound: the first topics get one each, then the aliases go round. */

struct alias {
    uint16_t number; /* 0: none */
    bool known;      /* the server knows it: the topic can be left out */
};

static struct alias choose_alias(const struct gnt_client *c, struct gnt_slice topic)
{
    if (c->limits.alias_max == 0 || !c->aliases_out)
        return (struct alias){0, false};
    for (uint16_t i = 0; i < c->limits.alias_max && c->aliases_out[i].data; i++)
        if (gnt_slice_eq(c->aliases_out[i], topic))
            return (struct alias){(uint16_t)(i + 1), true};
    return (struct alias){(uint16_t)(c->next_alias % c->limits.alias_max + 1), false};
}

/* The packet that says what ALIAS stands for has been written. */
static void keep_alias(struct gnt_client *c, struct alias alias, uint8_t *copy, size_t size)
{
    struct gnt_slice *slot = &c->aliases_out[alias.number - 1];
    free((void *)(uintptr_t)slot->data);
    *slot = gnt_slice(copy, size);
    c->next_alias = alias.number % c->limits.alias_max;
}

/* ---- PUBLISH */

static gnt_err put_publish(struct gnt_client *c, const struct gnt_mqtt_publish *p,
                           const struct gnt_mqtt_proplist *props)
{
    size_t total;
    size_t head = gnt_mqtt_publish_head_size(p, c->version, props, &total);
    if (head == 0 || total > c->limits.packet_max) /* [MQTT-3.2.2-15] */
        return GNT_TOOBIG;
    gnt_err err = gnt_buf_reserve(&c->out, total);
    if (err)
        return err;
    uint8_t *at = gnt_mqtt_publish_head_write(gnt_buf_tail(&c->out), p, c->version, props);
    if (p->payload.size)
        memcpy(at, p->payload.data, p->payload.size);
    gnt_buf_wrote(&c->out, total);
    return GNT_OK;
}

static gnt_err write_publish(struct gnt_client *c, const struct gnt_client_request *r, bool dup,
                             uint64_t now)
{
    const struct gnt_message *m = r->message;
    struct gnt_mqtt_prop list[2];
    struct gnt_mqtt_proplist props = {.list = list, .raw = m->extras};
    struct gnt_mqtt_publish p = {
        .dup = dup,
        .retain = m->retain,
        .qos = m->qos,
        .id = r->id,
        .topic = m->topic,
        .payload = m->payload,
    };
    if (m->expires != GNT_NEVER)
        list[props.count++] = (struct gnt_mqtt_prop){.row = GNT_PROP_MESSAGE_EXPIRY,
                                                     .number = gnt_message_left_s(m, now)};
    if (c->limits.alias_max && !c->aliases_out)
        c->aliases_out = calloc(c->options.aliases_max, sizeof *c->aliases_out);
    struct alias alias = choose_alias(c, m->topic);
    uint8_t *copy = NULL;
    if (alias.number && !alias.known) {
        copy = malloc(m->topic.size);
        if (!copy)
            alias.number = 0; /* it goes without */
        else
            memcpy(copy, m->topic.data, m->topic.size);
    }
    if (alias.number)
        list[props.count++] =
            (struct gnt_mqtt_prop){.row = GNT_PROP_TOPIC_ALIAS, .number = alias.number};
    if (alias.known)
        p.topic = gnt_slice(NULL, 0);
    gnt_err err = put_publish(c, &p, &props);
    if (!err && copy)
        keep_alias(c, alias, copy, m->topic.size);
    else
        free(copy);
    return err;
}

/* ---- What the server has said that it does not do */

static bool filters_refused(const struct gnt_client *c, const struct gnt_client_request *r)
{
    const struct gnt_client_limits *l = &c->limits;
    struct gnt_slice list = r->list;
    struct gnt_mqtt_subscription s;
    struct gnt_share share;
    if (l->no_subscription_ids && r->subscription_id)
        return true;
    while (gnt_mqtt_next_subscription(&list, c->version, &s))
        if ((l->no_wildcards && gnt_topic_has_wildcard(s.filter)) ||
            (l->no_shared && gnt_topic_share(s.filter, &share) == GNT_OK))
            return true;
    return false;
}

static bool refused(const struct gnt_client *c, const struct gnt_client_request *r)
{
    if (r->type == GNT_MQTT_PUBLISH) /* [MQTT-3.2.2-11, MQTT-3.2.2-14] */
        return r->message->qos > c->limits.qos_max || (r->message->retain && c->limits.no_retain);
    return r->type == GNT_MQTT_SUBSCRIBE && filters_refused(c, r);
}

/* ---- Requests about the same filter go one after the other
 *
 * A server may answer out of order, and what is not answered when the connection ends is asked
 * again.  Were the later of two requests answered and the earlier one asked again, the earlier one
 * would have the last word. */

static bool is_asked(const struct gnt_client *c, const struct gnt_client_filter *f)
{
    struct gnt_map_node *node = gnt_map_first(&c->asked, gnt_hash(f->text));
    for (; node; node = gnt_map_next(node))
        if (gnt_slice_eq(GNT_CONTAINER(node, struct gnt_client_filter, by_text)->text, f->text))
            return true;
    return false;
}

/* Whether some answer has to come before R can be sent. */
static bool comes_too_early(const struct gnt_client *c, const struct gnt_client_request *r)
{
    for (uint32_t i = 0; r->filters && i < r->count; i++)
        if (is_asked(c, &r->filters[i]))
            return true;
    return false;
}

static gnt_err note_asked(struct gnt_client *c, struct gnt_client_request *r)
{
    gnt_err err = GNT_OK;
    uint32_t n = 0;
    for (; r->filters && n < r->count && !err; n += !err)
        err = gnt_map_insert(&c->asked, &r->filters[n].by_text, gnt_hash(r->filters[n].text));
    r->asked = !err;
    while (err && n > 0)
        gnt_map_remove(&c->asked, &r->filters[--n].by_text);
    return err;
}

void gnt_client_not_asked(struct gnt_client *c, struct gnt_client_request *r)
{
    for (uint32_t i = 0; r->filters && r->asked && i < r->count; i++)
        gnt_map_remove(&c->asked, &r->filters[i].by_text);
    r->asked = false;
}

/* ---- From the lists to the output.  GNT_MORE: nothing can be sent now. */

static gnt_err write_request(struct gnt_client *c, const struct gnt_client_request *r)
{
    if (r->size > c->limits.packet_max)
        return GNT_TOOBIG;
    gnt_err err = gnt_buf_put(&c->out, gnt_slice(r->bytes, r->size));
    if (err)
        return err;
    /* The packet id stands right behind the fixed header [MQTT5 3.8.2, 3.10.2]. */
    uint8_t *at = gnt_buf_tail(&c->out) - r->size + 1;
    while (*at++ & 0x80)
        ;
    at[0] = (uint8_t)(r->id >> 8);
    at[1] = (uint8_t)r->id;
    return GNT_OK;
}

static gnt_err write_any(struct gnt_client *c, const struct gnt_client_request *r, bool dup,
                         uint64_t now)
{
    if (r->type != GNT_MQTT_PUBLISH)
        return write_request(c, r);
    return r->message ? write_publish(c, r, dup, now)
                      : gnt_client_write_ack(c, GNT_MQTT_PUBREL, r->id, 0);
}

static bool window_open(const struct gnt_client *c)
{
    return c->flying_publishes < c->limits.receive_max;
}

static gnt_err take_id(struct gnt_client *c, struct gnt_client_request *r)
{
    struct gnt_flight *out, flight = {.owner = r};
    enum gnt_flight_state state = GNT_FLIGHT_REQUESTED;
    if (r->type == GNT_MQTT_PUBLISH) {
        flight.message = gnt_message_ref(r->message);
        flight.qos = r->message->qos;
        flight.retain = r->message->retain;
        state = GNT_FLIGHT_PUBLISHED;
    }
    gnt_err err = gnt_window_add(&c->window, &flight, state, &out);
    gnt_message_unref(&flight.message);
    if (err)
        return err == GNT_FULL ? GNT_MORE : err;
    r->id = out->id;
    return GNT_OK;
}

static void took_off(struct gnt_client *c, struct gnt_client_request *r, uint64_t now)
{
    gnt_list_remove(&r->link);
    gnt_list_push_back(&c->flying, &r->link);
    c->flying_publishes += r->type == GNT_MQTT_PUBLISH;
    r->sent_at = now;
    r->flying = true;
}

/* What was in flight before goes first and in its order [MQTT-4.6.0-1]. */
static gnt_err resend_one(struct gnt_client *c, struct gnt_client_request *r, uint64_t now)
{
    if (r->message && !window_open(c))
        return GNT_MORE;
    gnt_err err = r->message && refused(c, r) ? GNT_UNSUPPORTED : write_any(c, r, true, now);
    if (err == GNT_TOOBIG || err == GNT_UNSUPPORTED) {
        gnt_client_request_done(c, r, err, 0);
        return GNT_OK;
    }
    if (!err)
        took_off(c, r, now);
    return err;
}

static gnt_err send_one(struct gnt_client *c, struct gnt_client_request *r, uint64_t now)
{
    const uint8_t qos = r->type == GNT_MQTT_PUBLISH ? r->message->qos : 0;
    gnt_err err = GNT_OK;
    if (r->message && gnt_message_expired(r->message, now))
        err = GNT_TIMEOUT;
    else if (refused(c, r))
        err = GNT_UNSUPPORTED;
    else if ((qos && !window_open(c)) || comes_too_early(c, r))
        return GNT_MORE;
    else if (qos || r->type != GNT_MQTT_PUBLISH)
        err = take_id(c, r);
    if (!err)
        err = note_asked(c, r);
    if (!err)
        err = write_any(c, r, false, now);
    if (!err && r->id) {
        took_off(c, r, now);
        return GNT_OK;
    }
    if (err == GNT_NOMEM || err == GNT_MORE) {
        gnt_client_request_forget_id(c, r);
        return err;
    }
    gnt_client_request_forget_id(c, r);
    gnt_client_request_done(c, r, err, 0);
    return GNT_OK;
}

/* The first SUBSCRIBE or UNSUBSCRIBE that is pending; NULL. */
static struct gnt_client_request *first_that_is_no_publish(const struct gnt_client *c)
{
    if (c->outstanding == c->queued_messages)
        return NULL;
    gnt_list_each (link, &c->pending) {
        struct gnt_client_request *r = GNT_CONTAINER(link, struct gnt_client_request, link);
        if (r->type != GNT_MQTT_PUBLISH)
            return r;
    }
    return NULL;
}

static gnt_err pump_one(struct gnt_client *c, uint64_t now)
{
    bool again = !gnt_list_empty(&c->resend);
    struct gnt_list *link = again ? c->resend.next : c->pending.next;
    if (link == &c->pending)
        return GNT_MORE;
    struct gnt_client_request *r = GNT_CONTAINER(link, struct gnt_client_request, link);
    gnt_err err = again ? resend_one(c, r, now) : send_one(c, r, now);
    if (err != GNT_MORE)
        return err;
    r = first_that_is_no_publish(c); /* only publishes wait for the quota [MQTT-3.3.4-8] */
    return r ? send_one(c, r, now) : GNT_MORE;
}

void gnt_client_pump(struct gnt_client *c, uint64_t now)
{
    gnt_err err = GNT_OK;
    while (!err && gnt_buf_size(&c->out) < GNT_CLIENT_OUT_HIGH)
        err = pump_one(c, now);
    c->stalled |= !err;
    if (err < 0)
        gnt_client_fail(c, err, GNT_REASON_UNSPECIFIED_ERROR);
}

/* ---- Retrying on a live connection, as MQTT 3.1 did [MQTT3.1 4.2] */

static bool retries(const struct gnt_client *c)
{
    return c->options.retry_ms && c->version < GNT_MQTT_5;
}

static uint64_t due(const struct gnt_client *c, const struct gnt_client_request *r)
{
    return r->type == GNT_MQTT_PUBLISH
               ? gnt_deadline(r->sent_at, c->options.retry_ms * GNT_NS_PER_MS)
               : GNT_NEVER;
}

uint64_t gnt_client_retry_deadline(const struct gnt_client *c)
{
    uint64_t next = GNT_NEVER;
    if (!retries(c))
        return next;
    gnt_list_each (link, &c->flying) {
        uint64_t when = due(c, GNT_CONTAINER(link, struct gnt_client_request, link));
        next = when < next ? when : next;
    }
    return next;
}

void gnt_client_retry(struct gnt_client *c, uint64_t now)
{
    gnt_err err = GNT_OK;
    if (!retries(c))
        return;
    gnt_list_each_safe (link, &c->flying) {
        struct gnt_client_request *r = GNT_CONTAINER(link, struct gnt_client_request, link);
        if (err || due(c, r) > now)
            continue;
        if (r->attempts++ >= c->options.retry_attempts) {
            gnt_client_request_done(c, r, GNT_TIMEOUT, 0);
            continue;
        }
        r->sent_at = now;
        err = write_any(c, r, true, now);
    }
    if (err)
        gnt_client_fail(c, err, GNT_REASON_UNSPECIFIED_ERROR);
}
