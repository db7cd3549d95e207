#include "core/session_puller.h"

#include "base/assert.h"

#include <stdlib.h>

/* A client that says nothing of how much it takes has so many at most, so that others have some,
 * too. */
enum { HELD_MAX = 128 };

/* What could not be sent at once. */
struct arrived {
    struct gnt_list link; /* in puller->arrived */
    struct gnt_queued queued;
};

/* ---- What it has of the queue */

static uint32_t most_held(const struct gnt_session *s)
{
    return s->receive_max < HELD_MAX ? s->receive_max : HELD_MAX;
}

/* In large steps, but while nothing is left at once. */
static void give_credit(struct gnt_puller *p)
{
    struct gnt_session *s = p->session;
    if (p->state != GNT_PULLER_OPEN || !p->sub)
        return;
    if (s->queue) { /* its own goes first, and what comes now would wait */
        s->consuming->hungry = true;
        return;
    }
    uint32_t most = most_held(s);
    uint64_t upto = p->came + (p->held < most ? most - p->held : 0);
    bool enough = p->upto > p->came && (upto < p->upto || upto - p->upto <= most / 2);
    if (enough || upto <= p->upto)
        return;
    p->upto = upto;
    gnt_consumer_credit(&p->consumer, upto, false);
}

/* GNT_NOMEM: nothing has happened. */
static gnt_err settle(struct gnt_puller *p, const struct gnt_settling *settling)
{
    gnt_err err =
        p->state == GNT_PULLER_OPEN ? gnt_consumer_settle(&p->consumer, settling) : GNT_OK;
    if (!err)
        p->held--;
    return err;
}

void gnt_puller_close(struct gnt_puller *p, bool failed)
{
    gnt_list_remove(&p->link);
    p->session = NULL;
    p->sub = NULL;
    if (p->state == GNT_PULLER_ASKS)
        return; /* it is freed when the directory has answered */
    p->state = GNT_PULLER_CLOSES;
    gnt_consumer_close(&p->consumer, failed);
}

void gnt_puller_go_on(struct gnt_puller *p)
{
    if (!p->session)
        return;
    if (!p->sub && !p->held && p->state >= GNT_PULLER_OPEN)
        gnt_puller_close(p, false);
    else
        give_credit(p);
}

static void settle_surely(struct gnt_puller *p, const struct gnt_settling *settling)
{
    if (settle(p, settling))
        gnt_session_close_later(p->session, GNT_CLOSE_NO_MEMORY); /* and it goes back with that */
    else
        gnt_puller_go_on(p);
}

static void release(struct gnt_puller *p, uint64_t delivery)
{
    const struct gnt_settling back = {.delivery = delivery, .outcome = GNT_SETTLE_RELEASE};
    settle_surely(p, &back);
}

/* ---- Sending */

/* What could not be sent to this client ever is for others. */
static void not_sent(struct gnt_puller *p, uint64_t delivery, gnt_err err)
{
    const struct gnt_settling elsewhere = {
        .delivery = delivery, .outcome = GNT_SETTLE_MODIFY, .failed = true, .elsewhere = true};
    if (err == GNT_TOOBIG) {
        settle_surely(p, &elsewhere);
        return;
    }
    gnt_session_close_later(p->session, GNT_CLOSE_NO_MEMORY);
    release(p, delivery);
}

/* At most once: it is the client's with that. */
static void send_once(struct gnt_puller *p, uint64_t delivery, const struct gnt_delivery *d)
{
    const struct gnt_settling accept = {.delivery = delivery, .outcome = GNT_SETTLE_ACCEPT};
    gnt_err err = p->session->receiver->ops->deliver(p->session->receiver, d);
    if (err)
        not_sent(p, delivery, err);
    else
        settle_surely(p, &accept);
}

static void send_flight(struct gnt_puller *p, uint64_t delivery, struct gnt_delivery *d)
{
    struct gnt_session *s = p->session;
    struct gnt_flight like = {.message = gnt_message_ref(d->message),
                              .ids = d->ids,
                              .cookie = (uint64_t)(uintptr_t)p,
                              .number = delivery,
                              .qos = d->qos,
                              .drawn = true};
    struct gnt_flight *flight;
    gnt_err err = gnt_session_place_unkept(s, &like, &flight);
    if (err) {
        gnt_message_unref(&like.message);
        not_sent(p, delivery, GNT_NOMEM);
        return;
    }
    d->id = flight->id;
    err = s->receiver->ops->deliver(s->receiver, d);
    if (err) {
        gnt_window_remove(&s->window, flight);
        not_sent(p, delivery, err);
        return;
    }
    flight->owner = s;
    s->unsettled++;
}

static void send(struct gnt_puller *p, const struct gnt_queued *q)
{
    const struct gnt_drawn drawn = {.topic = p->key,
                                    .failed = q->failed,
                                    .reason = q->reason,
                                    .description = q->description,
                                    .source = q->source};
    struct gnt_delivery d = {.message = q->message,
                             .ids = {.count = p->options.id != 0, .one = p->options.id},
                             .qos = p->options.qos,
                             .drawn = &drawn};
    uint64_t now = *p->session->home->now;
    if (q->locked_until <= now || gnt_message_expired(q->message, now))
        release(p, q->delivery); /* the queue knows what becomes of it */
    else if (d.qos == 0)
        send_once(p, q->delivery, &d);
    else
        send_flight(p, q->delivery, &d);
}

static struct gnt_slice copy(uint8_t **at, struct gnt_slice text)
{
    struct gnt_slice out = gnt_slice(*at, text.size);
    if (text.size)
        memcpy(*at, text.data, text.size);
    *at += text.size;
    return out;
}

static gnt_err keep_arrived(struct gnt_puller *p, const struct gnt_queued *q)
{
    struct arrived *a = malloc(sizeof *a + q->reason.size + q->description.size + q->source.size);
    if (!a)
        return GNT_NOMEM;
    uint8_t *at = (uint8_t *)(a + 1);
    a->queued = *q;
    a->queued.message = gnt_message_ref(q->message);
    a->queued.reason = copy(&at, q->reason);
    a->queued.description = copy(&at, q->description);
    a->queued.source = copy(&at, q->source);
    gnt_list_push_back(&p->arrived, &a->link);
    if (!gnt_list_linked(&p->loaded))
        gnt_list_push_back(&p->session->consuming->loaded, &p->loaded);
    return GNT_OK;
}

/* The first that P has waiting, which is yours; then it is the others' turn. */
static struct arrived *take_arrived(struct gnt_puller *p)
{
    struct gnt_list *link = gnt_list_pop_front(&p->arrived);
    gnt_list_remove(&p->loaded);
    if (!gnt_list_empty(&p->arrived))
        gnt_list_push_back(&p->session->consuming->loaded, &p->loaded);
    return GNT_CONTAINER(link, struct arrived, link);
}

static void arrived_free(struct arrived *a)
{
    gnt_message_unref(&a->queued.message);
    free(a);
}

gnt_err gnt_puller_give_back(struct gnt_puller *p)
{
    gnt_err err = GNT_OK;
    while (!gnt_list_empty(&p->arrived)) {
        struct arrived *a = take_arrived(p);
        const struct gnt_settling back = {.delivery = a->queued.delivery,
                                          .outcome = GNT_SETTLE_RELEASE};
        gnt_err one = settle(p, &back);
        err = err ? err : one;
        arrived_free(a);
    }
    return err;
}

void gnt_puller_give_back_surely(struct gnt_puller *p)
{
    if (gnt_puller_give_back(p))
        gnt_session_close_later(p->session, GNT_CLOSE_NO_MEMORY);
}

static struct gnt_puller *first_loaded(const struct gnt_consuming *all)
{
    return gnt_list_empty(&all->loaded)
               ? NULL
               : GNT_CONTAINER(all->loaded.next, struct gnt_puller, loaded);
}

void gnt_session_consume_on(struct gnt_session *s)
{
    struct gnt_consuming *all = s->consuming;
    if (!all)
        return;
    for (struct gnt_puller *p; s->queue && (p = first_loaded(all));) {
        gnt_puller_give_back_surely(p);
        give_credit(p); /* when the queue of S has gone */
    }
    if (all->hungry && !s->queue) {
        all->hungry = false;
        gnt_list_each (link, &all->pullers)
            give_credit(GNT_CONTAINER(link, struct gnt_puller, link));
    }
    for (struct gnt_puller *p;
         (p = first_loaded(all)) && gnt_session_can_send(s, p->options.qos);) {
        struct arrived *a = take_arrived(p);
        send(p, &a->queued);
        arrived_free(a);
    }
}

void gnt_puller_deliver(struct gnt_home *home, struct gnt_consumer *c, const struct gnt_queued *q)
{
    struct gnt_puller *p = gnt_puller_of(c);
    struct gnt_session *s = p->session;
    (void)home;
    p->came++;
    p->held++;
    if (!p->sub || s->queue)
        release(p, q->delivery);
    else if (gnt_list_empty(&s->consuming->loaded) && gnt_session_can_send(s, p->options.qos))
        send(p, q);
    else if (keep_arrived(p, q))
        not_sent(p, q->delivery, GNT_NOMEM);
    if (p->came == p->upto) /* what was settled meanwhile was too little for another step */
        give_credit(p);
}

/* ---- What the client says */

gnt_err gnt_session_consumed(const struct gnt_flight *flight, const struct gnt_refusal *refusal)
{
    struct gnt_puller *p = (struct gnt_puller *)(uintptr_t)flight->cookie;
    struct gnt_settling settling = {.delivery = flight->number, .outcome = GNT_SETTLE_ACCEPT};
    if (refusal && refusal->again) {
        settling.outcome = GNT_SETTLE_MODIFY;
        settling.failed = true;
    } else if (refusal) {
        settling.outcome = GNT_SETTLE_REJECT;
        settling.reason = refusal->reason;
        settling.description = refusal->description;
    }
    gnt_err err = settle(p, &settling);
    if (!err)
        gnt_puller_go_on(p);
    return err;
}
