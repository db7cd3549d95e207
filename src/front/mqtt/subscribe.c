/* SUBSCRIBE and UNSUBSCRIBE, in slices: a packet may have a hundred thousand filters, and a client
 * may send as many packets, but others of the same worker wait for one slice at most. */

#include "auth/rights.h"
#include "base/log.h"
#include "front/mqtt/gate.h"
#include "model/topic.h"

#include <stdlib.h>

/* Filters of one turn; one that is to be compared with many rules counts for several. */
enum { SLICE = 256, RULES = 16 };

struct subscribing_one {
    struct gnt_subscribing request;
    struct subscribing *all;
    uint8_t qos; /* that is granted */
};

/* A SUBSCRIBE or UNSUBSCRIBE that is being worked on, all its filters. */
struct subscribing {
    struct gnt_list link; /* in connection->subscribing */
    struct gnt_mqtt_connection *connection;
    enum gnt_mqtt_type answer; /* GNT_MQTT_SUBACK or GNT_MQTT_UNSUBACK */
    uint16_t id;
    uint32_t subscription_id;
    uint32_t count, done, outstanding; /* filters: all, those seen to, those not answered */
    struct gnt_slice left;             /* of the list of filters */
    uint8_t *kept;                     /* which it lies in, once its packet has gone; else NULL */
    uint8_t *codes;                    /* behind the filters */
    struct subscribing_one one[];      /* of SUBSCRIBE */
};

static void subscribing_free(struct subscribing *s)
{
    gnt_ring_remove(&s->connection->subscribing, &s->link);
    free(s->kept);
    free(s);
}

void gnt_connection_drop_subscribing(struct gnt_mqtt_connection *c)
{
    while (c->subscribing.first)
        subscribing_free(GNT_CONTAINER(c->subscribing.first, struct subscribing, link));
}

static bool is_complete(const struct subscribing *s)
{
    return s->done == s->count && s->outstanding == 0;
}

/* Whether anything has been done, or had been before. */
static bool grants(const struct subscribing *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->codes[i] < 0x80)
            return true;
    return false;
}

static void answer(struct subscribing *s)
{
    struct gnt_mqtt_connection *c = s->connection;
    bool waits = gnt_session_is_kept(c->session) && grants(s);
    gnt_err err = waits ? gnt_gate_close(c) : GNT_OK;
    if (!err)
        err = gnt_mqtt_server_codes(&c->engine, s->answer, s->id, s->codes, s->count);
    subscribing_free(s);
    if (err)
        gnt_connection_unanswered(c, err);
    else
        gnt_connection_dirty(c);
}

/* ---- One filter */

/* A client of 3.1 cannot be told that it may not have it: it is answered as if it had, and gets
 * nothing. */
static uint8_t granted(const struct gnt_mqtt_connection *c, enum gnt_outcome outcome, uint8_t qos)
{
    bool told_nothing = outcome == GNT_NOT_ALLOWED && c->engine.version == GNT_MQTT_3_1;
    return outcome == GNT_DONE || told_nothing ? qos : gnt_connection_reason(outcome);
}

static void log_denied(const struct gnt_mqtt_connection *c, struct gnt_slice filter)
{
    char name[GNT_NAME_SIZE];
    gnt_log_limited(GNT_LOG_INFO, gnt_connection_name(c, name), "subscribe denied",
                    GNT_F_TEXT("filter", filter));
}

static void on_subscribed(struct gnt_subscribing *request, enum gnt_outcome outcome)
{
    struct subscribing_one *one = GNT_CONTAINER(request, struct subscribing_one, request);
    struct subscribing *s = one->all;
    s->codes[one - s->one] = granted(s->connection, outcome, one->qos);
    s->outstanding--;
    if (is_complete(s))
        answer(s);
}

static void subscribe_one(struct subscribing *s, uint32_t i,
                          const struct gnt_mqtt_subscription *wanted)
{
    uint8_t objection = gnt_mqtt_server_objection(&s->connection->engine, wanted->filter);
    if (objection != GNT_REASON_SUCCESS) {
        s->codes[i] = objection;
        return;
    }
    uint8_t most = s->connection->engine.options->qos_max; /* [MQTT-3.2.2-10] */
    struct gnt_slice queue;
    if (most > 1 && gnt_topic_queue(wanted->filter, &queue)) /* what comes back may go elsewhere */
        most = 1;
    uint8_t qos = wanted->qos < most ? wanted->qos : most;
    struct gnt_sub_options options = {.id = s->subscription_id,
                                      .qos = qos,
                                      .no_local = wanted->no_local,
                                      .retain_as_published = wanted->retain_as_published};
    s->one[i] = (struct subscribing_one){{on_subscribed}, s, qos};
    enum gnt_outcome outcome;
    if (!gnt_session_subscribe(s->connection->session, wanted->filter, &options,
                               (enum gnt_retain_handling)wanted->retain_handling,
                               &s->one[i].request, &outcome)) {
        s->outstanding++;
        return;
    }
    if (outcome == GNT_NOT_ALLOWED)
        log_denied(s->connection, wanted->filter);
    s->codes[i] = granted(s->connection, outcome, qos);
}

static void unsubscribe_one(struct subscribing *s, uint32_t i, struct gnt_slice filter)
{
    bool there = gnt_session_unsubscribe(s->connection->session, filter) == GNT_DONE;
    s->codes[i] = there ? GNT_REASON_SUCCESS : GNT_REASON_NO_SUBSCRIPTION_EXISTED;
}

/* ---- Slices */

/* One filter has been seen to. */
static void count_filter(const struct subscribing *s)
{
    uint32_t *left = &s->connection->front->filters_left;
    size_t cost = 1;
    if (s->answer == GNT_MQTT_SUBACK)
        cost += gnt_rights_size(gnt_session_rights(s->connection->session)) / RULES;
    *left -= cost < *left ? (uint32_t)cost : *left;
}

/* Goes on as far as this turn allows; S is gone if that was all, and all has been answered. */
static void go_on(struct subscribing *s)
{
    struct gnt_mqtt_connection *c = s->connection;
    for (; s->done < s->count && c->front->filters_left; count_filter(s)) {
        struct gnt_mqtt_subscription wanted = {.qos = 0};
        if (s->answer == GNT_MQTT_SUBACK) {
            gnt_mqtt_next_subscription(&s->left, c->engine.version, &wanted);
            subscribe_one(s, s->done++, &wanted);
        } else {
            gnt_mqtt_next_filter(&s->left, &wanted.filter);
            unsubscribe_one(s, s->done++, wanted.filter);
        }
    }
    if (is_complete(s))
        answer(s);
}

/* The one that is still being worked on, which is the last that came; NULL: none is. */
static struct subscribing *unfinished(const struct gnt_mqtt_connection *c)
{
    if (!c->subscribing.first)
        return NULL;
    struct subscribing *last = GNT_CONTAINER(c->subscribing.first->prev, struct subscribing, link);
    return last->done < last->count ? last : NULL;
}

/* Nothing more is read before the rest is done: it comes first [MQTT5 4.6]. */
static void wait_for_turn(struct gnt_mqtt_connection *c)
{
    gnt_list_push_back(&c->front->working, &c->paused);
    gnt_home_later(gnt_connection_home(c), &c->front->work);
}

static void resume(struct gnt_mqtt_connection *c)
{
    struct subscribing *s = c->state == GNT_CONNECTION_OPEN ? unfinished(c) : NULL;
    if (s)
        go_on(s);
    if (c->state == GNT_CONNECTION_OPEN && unfinished(c))
        wait_for_turn(c);
    else
        gnt_connection_unpause(c);
}

void gnt_connection_work(struct gnt_home *home, struct gnt_work *work)
{
    struct gnt_mqtt_front *front = GNT_CONTAINER(work, struct gnt_mqtt_front, work);
    struct gnt_list todo;
    gnt_list_init(&todo);
    gnt_list_splice_back(&todo, &front->working);
    front->filters_left = SLICE;
    for (struct gnt_list *link; front->filters_left && (link = gnt_list_pop_front(&todo));)
        resume(GNT_CONTAINER(link, struct gnt_mqtt_connection, paused));
    gnt_list_splice_back(&todo, &front->working); /* those that have had their part, behind */
    gnt_list_splice_back(&front->working, &todo);
    if (!gnt_list_empty(&front->working))
        gnt_home_later(home, work);
}

void gnt_connection_new_slice(struct gnt_mqtt_front *front)
{
    front->filters_left = SLICE;
}

/* ---- The packets */

static struct subscribing *subscribing_new(struct gnt_mqtt_connection *c, enum gnt_mqtt_type answer,
                                           const struct gnt_mqtt_filters *filters)
{
    size_t ones = answer == GNT_MQTT_SUBACK ? filters->count : 0;
    size_t fixed = sizeof(struct subscribing) + ones * sizeof(struct subscribing_one);
    struct subscribing *s = malloc(fixed + filters->count);
    if (!s)
        return NULL;
    *s = (struct subscribing){.connection = c,
                              .answer = answer,
                              .id = filters->id,
                              .count = filters->count,
                              .left = filters->list};
    s->codes = (uint8_t *)s + fixed;
    gnt_ring_push_back(&c->subscribing, &s->link);
    return s;
}

/* What is left of a packet that does not stay. */
static gnt_err keep_rest(struct subscribing *s)
{
    s->kept = malloc(s->left.size);
    if (!s->kept)
        return GNT_NOMEM;
    memcpy(s->kept, s->left.data, s->left.size);
    s->left.data = s->kept;
    return GNT_OK;
}

void gnt_connection_on_filters(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet)
{
    if (packet->filters.count > gnt_connection_home(c)->config.subscriptions_per_session) {
        gnt_connection_fail(c, GNT_REASON_QUOTA_EXCEEDED, NULL);
        return;
    }
    bool subscribes = packet->type == GNT_MQTT_SUBSCRIBE;
    struct subscribing *s =
        subscribing_new(c, subscribes ? GNT_MQTT_SUBACK : GNT_MQTT_UNSUBACK, &packet->filters);
    if (!s) {
        gnt_connection_unanswered(c, GNT_NOMEM);
        return;
    }
    s->subscription_id = gnt_mqtt_number(&packet->props, GNT_PROP_SUBSCRIPTION_ID, 0);
    go_on(s);
    s = unfinished(c);
    if (!s || c->state != GNT_CONNECTION_OPEN)
        return;
    if (keep_rest(s))
        gnt_connection_unanswered(c, GNT_NOMEM);
    else
        wait_for_turn(c);
}
