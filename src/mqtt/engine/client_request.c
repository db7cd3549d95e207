#include "mqtt/engine/client_state.h"

#include "base/assert.h"
#include "model/topic.h"

#include <stdlib.h>

enum {
    SUBSCRIPTIONS_A_PACKET = 8, /* when subscribing again */
    REQUESTS_MAX = 65535,       /* SUBSCRIBEs and UNSUBSCRIBEs that are outstanding */
};

void gnt_client_request_free(struct gnt_client_request *r)
{
    gnt_message_unref(&r->message);
    free(r->filters);
    free(r);
}

void gnt_client_request_forget_id(struct gnt_client *c, struct gnt_client_request *r)
{
    struct gnt_flight *flight = gnt_window_find(&c->window, r->id);
    if (flight)
        gnt_window_remove(&c->window, flight);
    gnt_client_not_asked(c, r);
    r->id = 0;
    r->attempts = 0;
}

void gnt_client_request_done(struct gnt_client *c, struct gnt_client_request *r, gnt_err err,
                             uint8_t code)
{
    gnt_list_remove(&r->link);
    gnt_client_request_forget_id(c, r);
    if (r->type == GNT_MQTT_PUBLISH) {
        c->flying_publishes -= r->flying;
        c->queued_messages--;
        c->queued_bytes -= r->cost;
    } else if (!r->token && c->own_requests > 0 && --c->own_requests == 0) {
        c->owes_subscriptions = false;
    }
    c->outstanding--;
    r->err = err;
    r->code = code;
    gnt_list_push_back(&c->done, &r->link);
}

void gnt_client_request_event(struct gnt_client *c, struct gnt_client_request *r,
                              struct gnt_client_event *out)
{
    GNT_ASSERT(!c->lent);
    c->lent = r;
    *out = (struct gnt_client_event){
        .type = GNT_CLIENT_DONE,
        .err = r->err,
        .code = r->code,
        .request = r->type,
        .token = r->token,
        .user = r->user,
    };
}

static gnt_err request_new(uint8_t type, struct gnt_client_request **out)
{
    struct gnt_client_request *r = calloc(1, sizeof *r);
    if (!r)
        return GNT_NOMEM;
    gnt_list_init(&r->link);
    r->type = type;
    *out = r;
    return GNT_OK;
}

static void accept(struct gnt_client *c, struct gnt_client_request *r, void *user, uint64_t *token)
{
    r->user = user;
    r->token = c->next_token++;
    if (token)
        *token = r->token;
}

/* ---- PUBLISH */

static struct gnt_client_request *oldest_waiting_publish(const struct gnt_client *c)
{
    gnt_list_each (link, &c->pending) {
        struct gnt_client_request *r = GNT_CONTAINER(link, struct gnt_client_request, link);
        if (r->type == GNT_MQTT_PUBLISH)
            return r;
    }
    return NULL;
}

static bool fits(const struct gnt_client *c, size_t cost)
{
    return c->queued_messages < c->options.queue_messages && cost <= c->options.queue_bytes &&
           c->queued_bytes <= c->options.queue_bytes - cost;
}

/* Whether there is room for COST bytes, made by letting older ones go if that is the policy. */
static bool make_room(struct gnt_client *c, size_t cost)
{
    struct gnt_client_request *oldest;
    while (!fits(c, cost)) {
        if (!c->options.drop_oldest || cost > c->options.queue_bytes ||
            !(oldest = oldest_waiting_publish(c)))
            return false;
        c->dropped++;
        gnt_client_request_done(c, oldest, GNT_FULL, 0);
    }
    return true;
}

gnt_err gnt_client_queue(struct gnt_client *c, struct gnt_message **m,
                         struct gnt_client_request **out)
{
    const size_t cost = m ? (*m)->topic.size + (*m)->payload.size + (*m)->extras.size : 0;
    gnt_err err = request_new(GNT_MQTT_PUBLISH, out);
    if (err)
        return err;
    if (!make_room(c, cost)) {
        c->refused++;
        gnt_client_request_free(*out);
        return GNT_FULL;
    }
    struct gnt_client_request *r = *out;
    if (m) {
        r->message = *m;
        *m = NULL;
    }
    r->cost = cost;
    c->queued_messages++;
    c->queued_bytes += cost;
    c->outstanding++;
    gnt_list_push_back(&c->pending, &r->link);
    return GNT_OK;
}

gnt_err gnt_client_read_extras(struct gnt_reader *r, struct gnt_slice *extras)
{
    struct gnt_mqtt_props props;
    uint8_t reason;
    gnt_err err = gnt_mqtt_props_decode(r, GNT_IN_PUBLISH, &props, &reason);
    if (err || r->bad || gnt_mqtt_has(&props, GNT_PROP_TOPIC_ALIAS) ||
        gnt_mqtt_has(&props, GNT_PROP_SUBSCRIPTION_ID)) /* [MQTT-3.3.4-6] */
        return GNT_INVALID;
    *extras = props.raw;
    struct gnt_slice response = gnt_mqtt_text(&props, GNT_PROP_RESPONSE_TOPIC);
    return gnt_topic_has_wildcard(response) ? GNT_INVALID : GNT_OK; /* [MQTT-3.3.2-14] */
}

/* The properties as a message keeps them: encoded, the expiry apart.  *buffer is to be freed. */
static gnt_err encode_extras(const struct gnt_client_publish *p, uint8_t **buffer,
                             struct gnt_slice *extras, uint32_t *expiry_s, bool *expires)
{
    size_t kept = 0;
    gnt_err err = GNT_NOMEM;
    struct gnt_mqtt_prop *list = calloc(p->prop_count, sizeof *list);
    if (!list)
        return GNT_NOMEM;
    for (size_t i = 0; i < p->prop_count; i++) {
        if (p->props[i].row == GNT_PROP_MESSAGE_EXPIRY) {
            *expires = true;
            *expiry_s = p->props[i].number;
        } else {
            list[kept++] = p->props[i];
        }
    }
    const struct gnt_mqtt_proplist props = {.list = list, .count = kept};
    size_t size = gnt_mqtt_proplist_size(&props);
    if (size == 0) {
        err = GNT_INVALID;
        goto out;
    }
    *buffer = malloc(size);
    if (!*buffer)
        goto out;
    gnt_mqtt_proplist_write(*buffer, &props);
    struct gnt_reader r = gnt_reader(gnt_slice(*buffer, size));
    err = gnt_client_read_extras(&r, extras);
out:
    free(list);
    return err;
}

static gnt_err message_of(const struct gnt_client *c, const struct gnt_client_publish *p,
                          uint64_t now, struct gnt_message **out)
{
    struct gnt_message_init init = {
        .topic = p->topic,
        .payload = p->payload,
        .qos = p->qos,
        .retain = p->retain,
        .expires = GNT_NEVER,
    };
    uint8_t *buffer = NULL;
    uint32_t expiry_s = 0;
    bool expires = false;
    gnt_err err = GNT_OK;
    if (p->prop_count)
        err = encode_extras(p, &buffer, &init.extras, &expiry_s, &expires);
    if (expires)
        init.expires = gnt_deadline(now, expiry_s * GNT_NS_PER_S);
    if (c->version < GNT_MQTT_5)
        init.extras = gnt_slice(NULL, 0);
    if (init.extras.size)
        init.format = GNT_EXTRAS_MQTT5;
    if (!err)
        err = gnt_message_new(&init, out);
    free(buffer);
    return err;
}

gnt_err gnt_client_publish(struct gnt_client *c, const struct gnt_client_publish *p, void *user,
                           uint64_t now, uint64_t *token)
{
    if (p->qos > 2 || !gnt_topic_name_valid(p->topic, 0))
        return GNT_INVALID;
    if (p->payload.size > GNT_MQTT_REMAINING_MAX)
        return GNT_TOOBIG;
    struct gnt_message *m = NULL;
    gnt_err err = message_of(c, p, now, &m);
    if (err)
        return err;
    struct gnt_client_request *r;
    err = gnt_client_queue(c, &m, &r);
    gnt_message_unref(&m);
    if (!err)
        accept(c, r, user, token);
    return err;
}

/* ---- SUBSCRIBE and UNSUBSCRIBE */

bool gnt_client_filter_valid(struct gnt_slice filter, bool no_local)
{
    struct gnt_share share;
    gnt_err err = gnt_topic_share(filter, &share);
    if (err == GNT_NOTFOUND)
        return gnt_topic_filter_valid(filter, 0);
    return !err && !no_local && gnt_topic_filter_valid(share.filter, 0); /* [MQTT-3.8.3-4] */
}

/* Reads the packet in R back: what it may have the codec knows, and where the filters stand. */
static gnt_err read_back(struct gnt_client *c, struct gnt_client_request *r)
{
    struct gnt_mqtt_packet packet;
    gnt_err err = gnt_client_read_own(c, gnt_slice(r->bytes, r->size), &packet);
    if (err)
        return err;
    if (packet.filters.count != r->count)
        return GNT_INVALID;
    struct gnt_slice rest = r->list = packet.filters.list;
    struct gnt_mqtt_subscription s;
    for (uint32_t i = 0; i < r->count; i++) {
        bool more = r->type == GNT_MQTT_SUBSCRIBE
                        ? gnt_mqtt_next_subscription(&rest, c->version, &s)
                        : gnt_mqtt_next_filter(&rest, &s.filter);
        GNT_ASSERT(more);
        r->filters[i].text = s.filter;
    }
    r->subscription_id = gnt_mqtt_number(&packet.props, GNT_PROP_SUBSCRIPTION_ID, 0);
    return GNT_OK;
}

/* *out: a request with room for an encoded packet of SIZE bytes with COUNT filters. */
static gnt_err packet_new(uint8_t type, size_t size, size_t count, struct gnt_client_request **out)
{
    struct gnt_client_request *r;
    if (size == 0) /* which also bounds COUNT: each filter takes bytes */
        return GNT_INVALID;
    gnt_err err = request_new(type, &r);
    if (err)
        return err;
    r->size = size;
    r->count = (uint32_t)count;
    r->filters = malloc(count * sizeof *r->filters + size);
    if (!r->filters) {
        gnt_client_request_free(r);
        return GNT_NOMEM;
    }
    r->bytes = (uint8_t *)(r->filters + count);
    *out = r;
    return GNT_OK;
}

static bool may_ask(const struct gnt_client *c)
{
    return c->outstanding - c->queued_messages < REQUESTS_MAX;
}

static void ask(struct gnt_client *c, struct gnt_client_request *r)
{
    c->outstanding++;
    gnt_list_push_back(&c->pending, &r->link);
}

enum { SOME_ID = 1 }; /* until the request is sent */

static gnt_err subscribe_new(struct gnt_client *c, const struct gnt_mqtt_subscription *list,
                             size_t count, const struct gnt_mqtt_proplist *props,
                             struct gnt_client_request **out)
{
    size_t size = gnt_mqtt_subscribe_size(SOME_ID, list, count, c->version, props);
    gnt_err err = packet_new(GNT_MQTT_SUBSCRIBE, size, count, out);
    if (err)
        return err;
    gnt_mqtt_subscribe_write((*out)->bytes, SOME_ID, list, count, c->version, props);
    err = read_back(c, *out);
    if (err)
        gnt_client_request_free(*out);
    return err;
}

gnt_err gnt_client_subscribe(struct gnt_client *c, const struct gnt_mqtt_subscription *list,
                             size_t count, const struct gnt_mqtt_proplist *props, void *user,
                             uint64_t *token)
{
    struct gnt_client_request *r;
    for (size_t i = 0; i < count; i++)
        if (!gnt_client_filter_valid(list[i].filter, list[i].no_local))
            return GNT_INVALID;
    if (count == 0)
        return GNT_INVALID;
    gnt_err err = may_ask(c) ? subscribe_new(c, list, count, props, &r) : GNT_FULL;
    if (err)
        return err;
    accept(c, r, user, token);
    ask(c, r);
    return GNT_OK;
}

gnt_err gnt_client_unsubscribe(struct gnt_client *c, const struct gnt_slice *filters, size_t count,
                               const struct gnt_mqtt_proplist *props, void *user, uint64_t *token)
{
    struct gnt_client_request *r;
    for (size_t i = 0; i < count; i++)
        if (!gnt_client_filter_valid(filters[i], false))
            return GNT_INVALID;
    if (count == 0)
        return GNT_INVALID;
    if (!may_ask(c))
        return GNT_FULL;
    size_t size = gnt_mqtt_unsubscribe_size(SOME_ID, filters, count, c->version, props);
    gnt_err err = packet_new(GNT_MQTT_UNSUBSCRIBE, size, count, &r);
    if (err)
        return err;
    gnt_mqtt_unsubscribe_write(r->bytes, SOME_ID, filters, count, c->version, props);
    err = read_back(c, r);
    if (err) {
        gnt_client_request_free(r);
        return err;
    }
    accept(c, r, user, token);
    ask(c, r);
    return GNT_OK;
}

/* ---- Subscriptions that were granted */

static struct gnt_client_kept *find_kept(const struct gnt_client *c, struct gnt_slice filter)
{
    gnt_list_each (link, &c->kept) {
        struct gnt_client_kept *k = GNT_CONTAINER(link, struct gnt_client_kept, link);
        if (gnt_slice_eq(k->subscription.filter, filter))
            return k;
    }
    return NULL;
}

gnt_err gnt_client_remember(struct gnt_client *c, const struct gnt_mqtt_subscription *s,
                            uint32_t subscription_id)
{
    struct gnt_client_kept *k = find_kept(c, s->filter);
    if (!k) {
        k = malloc(sizeof *k + s->filter.size);
        if (!k)
            return GNT_NOMEM;
        gnt_list_init(&k->link);
        gnt_list_push_back(&c->kept, &k->link);
        memcpy(k->filter, s->filter.data, s->filter.size);
    }
    k->subscription = *s;
    k->subscription.filter = gnt_slice(k->filter, s->filter.size);
    k->subscription_id = subscription_id;
    return GNT_OK;
}

void gnt_client_forget(struct gnt_client *c, struct gnt_slice filter)
{
    struct gnt_client_kept *k = find_kept(c, filter);
    if (!k)
        return;
    gnt_list_remove(&k->link);
    free(k);
}

static gnt_err subscribe_again(struct gnt_client *c, const struct gnt_mqtt_subscription *list,
                               size_t count, uint32_t subscription_id, struct gnt_list *to)
{
    const struct gnt_mqtt_prop id = {.row = GNT_PROP_SUBSCRIPTION_ID, .number = subscription_id};
    const struct gnt_mqtt_proplist props = {.list = &id, .count = subscription_id ? 1 : 0};
    struct gnt_client_request *r;
    gnt_err err = subscribe_new(c, list, count, &props, &r);
    if (err)
        return err;
    c->outstanding++;
    c->own_requests++;
    gnt_list_push_back(to, &r->link);
    return GNT_OK;
}

/* Neighbours with the same identifier go into one packet. */
gnt_err gnt_client_resubscribe(struct gnt_client *c)
{
    struct gnt_list again;
    struct gnt_mqtt_subscription some[SUBSCRIPTIONS_A_PACKET];
    size_t count = 0;
    uint32_t id = 0;
    gnt_err err = GNT_OK;
    gnt_list_init(&again);
    gnt_list_each (link, &c->kept) {
        const struct gnt_client_kept *k = GNT_CONTAINER(link, struct gnt_client_kept, link);
        if (count && (k->subscription_id != id || count == SUBSCRIPTIONS_A_PACKET)) {
            err = subscribe_again(c, some, count, id, &again);
            if (err)
                break;
            count = 0;
        }
        id = k->subscription_id;
        some[count++] = k->subscription;
    }
    if (!err && count)
        err = subscribe_again(c, some, count, id, &again);
    /* On failure the connection ends, and with it those that were made. */
    gnt_list_splice_back(&again, &c->pending);
    gnt_list_splice_back(&c->pending, &again);
    c->owes_subscriptions = err || c->own_requests > 0;
    return err;
}

/* ---- Giving up */

static void cancel_all(struct gnt_client *c, struct gnt_list *list)
{
    gnt_list_each_safe (link, list)
        gnt_client_request_done(c, GNT_CONTAINER(link, struct gnt_client_request, link), GNT_CLOSED,
                                0);
}

gnt_err gnt_client_cancel(struct gnt_client *c)
{
    if (c->state != GNT_CLIENT_IDLE)
        return GNT_STATE;
    cancel_all(c, &c->resend);
    cancel_all(c, &c->pending);
    return GNT_OK;
}
