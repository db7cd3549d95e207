/* Messages to the peer, from a queue: its consumer gives them, and what the peer says about each
 * settles it there.
 *
 * Credit   the consumer has what the link has, but never more than AHEAD for what has not been
 *          sent; so what waits here is bounded whatever a peer allows, and nothing is kept from
 *          others for a peer that does not read.
 *
 * A link that is sent settled messages holds them like any other until they are sent, so that those
 * that were not, when it ends, are not lost. */

#include "base/spare.h"
#include "front/amqp/delivery.h"
#include "front/amqp/outlet.h"

#include <stdlib.h>

enum { AHEAD = 256 };

struct outgoing {
    struct gnt_outlet o;
    struct gnt_consumer consumer;
    struct gnt_map deciding; /* messages of o.sent, by delivery: their outcome is made safe */
    uint64_t used, upto;     /* of the consumer's credit: deliveries, and what it was told */
    bool opened;
    bool failed_by_default; /* what the peer does not decide about counts as a failed delivery */
    bool draining;          /* the consumer was told */
    bool dry;               /* and has nothing left */
};

struct held {
    struct gnt_going going;
    struct gnt_map_node node; /* in out->deciding, if it is */
    uint64_t number;          /* of the delivery, at the queue */
    bool deciding;
    struct gnt_buf annotations; /* what it has instead of the message's own; empty: these */
    struct gnt_buf state;       /* what the peer is told when its outcome is safe */
};

static struct outgoing *outgoing_of(struct gnt_terminus *t)
{
    return GNT_CONTAINER(t, struct outgoing, o.t);
}

static struct outgoing *of_outlet(struct gnt_outlet *o)
{
    return GNT_CONTAINER(o, struct outgoing, o);
}

static struct outgoing *of_consumer(struct gnt_consumer *c)
{
    return GNT_CONTAINER(c, struct outgoing, consumer);
}

static struct held *held_of(struct gnt_going *g)
{
    return GNT_CONTAINER(g, struct held, going);
}

static void held_free(struct held *h)
{
    if (h->deciding)
        gnt_map_remove(&of_outlet(h->going.outlet)->deciding, &h->node);
    gnt_going_fini(&h->going);
    gnt_buf_fini(&h->annotations);
    gnt_buf_fini(&h->state);
    gnt_spare_put(h, sizeof *h);
}

/* ---- Credit */

static void give_credit(struct outgoing *out)
{
    const struct gnt_amqp_link *link = out->o.t.link;
    if (!out->opened)
        return;
    uint32_t credit = gnt_outlet_credit(&out->o), ahead = out->o.unsent_count;
    uint32_t most = ahead < AHEAD ? AHEAD - ahead : 0;
    uint64_t upto = out->used + (credit < most ? credit : most);
    bool drain = link->drain && link->credit && !out->draining;
    /* It is told in large steps, but at once that the peer has taken some back. */
    bool enough = upto >= out->upto && (upto == out->upto || out->upto > out->used + AHEAD / 2);
    if (enough && !drain)
        return;
    out->upto = upto;
    out->draining = link->drain;
    out->dry = false;
    gnt_consumer_credit(&out->consumer, upto, link->drain);
}

/* There is nothing more for the credit that is left, and all there was has been sent. */
static void end_drain(struct outgoing *out)
{
    if (!out->dry || out->o.unsent_count)
        return;
    out->dry = out->draining = false;
    if (!out->o.t.link->drain || !out->o.t.link->credit)
        return;
    gnt_amqp_link_drained(out->o.t.link);
    gnt_amqp_peer_dirty(out->o.t.peer);
}

/* ---- Settling */

static void settle(struct outgoing *out, const struct gnt_settling *settling)
{
    if (out->consumer.mode == GNT_CONSUME_BROWSE)
        return;
    if (gnt_consumer_settle(&out->consumer, settling) && out->o.t.peer)
        gnt_amqp_peer_broke(out->o.t.peer, GNT_NOMEM);
}

static void on_sent(struct gnt_outlet *o, struct gnt_going *g, bool settled)
{
    struct held *h = held_of(g);
    const struct gnt_settling accept = {.delivery = h->number, .outcome = GNT_SETTLE_ACCEPT};
    if (o->presettled)
        settle(of_outlet(o), &accept);
    if (settled)
        held_free(h);
}

/* This peer cannot be given it. */
static void settle_elsewhere(struct outgoing *out, uint64_t number)
{
    const struct gnt_settling elsewhere = {
        .delivery = number, .outcome = GNT_SETTLE_MODIFY, .failed = true, .elsewhere = true};
    settle(out, &elsewhere);
}

static void on_too_large(struct gnt_outlet *o, struct gnt_going *g)
{
    settle_elsewhere(of_outlet(o), held_of(g)->number);
    held_free(held_of(g));
}

/* The peer has taken credit back: others may have what waits for it. */
static void give_back(struct outgoing *out)
{
    while (out->o.t.peer && out->o.unsent_count - out->o.begun > out->o.t.link->credit) {
        struct gnt_going *last = GNT_CONTAINER(out->o.unsent.prev, struct gnt_going, link);
        const struct gnt_settling release = {.delivery = held_of(last)->number,
                                             .outcome = GNT_SETTLE_RELEASE};
        settle(out, &release);
        out->o.unsent_count--;
        held_free(held_of(last));
    }
}

/* What comes of it comes later. */
static bool on_room(struct gnt_outlet *o)
{
    give_back(of_outlet(o));
    if (o->t.peer) {
        end_drain(of_outlet(o));
        give_credit(of_outlet(o));
    }
    return false;
}

static const struct gnt_outlet_ops outlet_ops = {on_sent, on_too_large, on_room};

/* ---- What the peer says */

static gnt_err await_decision(struct outgoing *out, struct held *h, struct gnt_slice state)
{
    gnt_err err = gnt_buf_put(&h->state, state);
    if (!err)
        err = gnt_map_insert(&out->deciding, &h->node, gnt_hash_mix(0, h->number));
    h->deciding = !err;
    return err;
}

/* The peer has no more to say about it; what has not been sent of it goes after it. */
static void end(struct held *h)
{
    if (h->going.delivery->whole)
        held_free(h);
    else
        h->going.over = true;
}

/* The outcome, or what comes of none.  GNT_MORE: there is nothing to do. */
static gnt_err read_outcome(struct outgoing *out, const struct held *h,
                            const struct gnt_amqp_event *event, struct gnt_settling *settling)
{
    struct gnt_buf *scratch = &out->o.t.front->scratch;
    gnt_buf_clear(scratch);
    gnt_err err = gnt_delivery_outcome(&event->state, h->going.said, gnt_buf_slice(&h->annotations),
                                       scratch, settling);
    if (err != GNT_MORE || !event->settled)
        return err;
    settling->outcome = out->failed_by_default ? GNT_SETTLE_MODIFY : GNT_SETTLE_RELEASE;
    settling->failed = out->failed_by_default;
    return GNT_OK;
}

/* GNT_MORE: that is for later. */
static gnt_err decide(struct outgoing *out, struct held *h, const struct gnt_amqp_event *event)
{
    struct gnt_settling settling = {.delivery = h->number, .tell = !event->settled};
    if (h->deciding) { /* it has said so before */
        if (event->settled)
            held_free(h);
        return GNT_MORE;
    }
    gnt_err err = read_outcome(out, h, event, &settling);
    if (err == GNT_MORE || (!event->settled && !h->going.delivery->whole))
        return GNT_MORE;
    if (!err && !event->settled && out->consumer.mode == GNT_CONSUME_BROWSE) {
        err = gnt_amqp_delivery_settle(h->going.delivery, gnt_delivery_echo(&event->state), true);
        held_free(h);
        return err == GNT_STATE ? GNT_OK : err;
    }
    if (!err && !event->settled)
        err = await_decision(out, h, gnt_delivery_echo(&event->state));
    if (!err)
        settle(out, &settling);
    if (event->settled)
        end(h);
    return err;
}

static void outgoing_disposition(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    struct outgoing *out = outgoing_of(t);
    if (!event->delivery->context)
        return;
    gnt_terminus_owe(t); /* it may end meanwhile */
    gnt_err err = decide(out, held_of(event->delivery->context), event);
    if (t->peer && err == GNT_NOMEM)
        gnt_amqp_peer_broke(t->peer, err);
    else if (t->peer && err == GNT_UNSUPPORTED)
        gnt_terminus_end(t, GNT_AMQP_NOT_IMPLEMENTED, "there are no transactions here");
    else if (t->peer && err < 0)
        gnt_terminus_end(t, GNT_AMQP_INVALID_FIELD, "no outcome of AMQP 1.0, or too large");
    gnt_terminus_paid(t);
}

/* ---- What the queue says */

static void on_opened(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result result)
{
    struct outgoing *out = of_consumer(c);
    (void)home;
    if (!out->o.t.peer)
        return;
    if (result != GNT_QUEUE_DONE) {
        gnt_terminus_end(&out->o.t, gnt_attach_condition(result), gnt_queue_result_text(result));
        return;
    }
    out->opened = true;
    give_credit(out);
}

/* H, NULL without memory, has no place in the outlet. */
static void not_put(struct outgoing *out, struct held *h, uint64_t number, gnt_err err)
{
    if (h)
        gnt_buf_fini(&h->annotations);
    gnt_spare_put(h, sizeof *h);
    if (err == GNT_TOOBIG)
        settle_elsewhere(out, number);
    else
        gnt_amqp_peer_broke(out->o.t.peer, GNT_NOMEM); /* it goes back with the others */
}

static void on_deliver(struct gnt_home *home, struct gnt_consumer *c, const struct gnt_queued *d)
{
    struct outgoing *out = of_consumer(c);
    struct gnt_envelope_hop hop = {.failed = d->failed,
                                   .acquired = d->acquired,
                                   .annotations = d->annotations,
                                   .reason = d->reason,
                                   .description = d->description,
                                   .source = d->source};
    struct held *h = gnt_spare_get(sizeof *h);
    gnt_err err = GNT_NOMEM;
    if (h) {
        *h = (struct held){.number = d->delivery};
        err = gnt_buf_put(&h->annotations, d->annotations);
    }
    (void)home;
    out->used++;
    if (!err)
        err = gnt_outlet_put(&out->o, &h->going, d->message, &hop);
    if (err) {
        not_put(out, h, d->delivery, err);
        return;
    }
    gnt_terminus_owe(&out->o.t);
    gnt_outlet_go_on(&out->o);
    gnt_terminus_paid(&out->o.t);
}

static void on_drained(struct gnt_home *home, struct gnt_consumer *c, uint64_t upto)
{
    struct outgoing *out = of_consumer(c);
    (void)home;
    if (upto > out->used)
        out->used = upto;
    if (!out->o.t.peer)
        return;
    out->dry = true;
    (void)on_room(&out->o);
}

static void on_settled(struct gnt_home *home, struct gnt_consumer *c, uint64_t number,
                       enum gnt_queue_result result)
{
    struct outgoing *out = of_consumer(c);
    uint8_t bytes[GNT_LINK_STATE_SIZE];
    (void)home;
    struct gnt_map_node *node = gnt_map_first(&out->deciding, gnt_hash_mix(0, number));
    while (node && GNT_CONTAINER(node, struct held, node)->number != number)
        node = gnt_map_next(node);
    if (!node)
        return; /* its link has gone */
    struct held *h = GNT_CONTAINER(node, struct held, node);
    struct gnt_slice state =
        result == GNT_QUEUE_DONE
            ? gnt_buf_slice(&h->state)
            : gnt_link_rejected(GNT_AMQP_PRECONDITION_FAILED, gnt_queue_result_text(result), bytes);
    gnt_err err = gnt_amqp_delivery_settle(h->going.delivery, state, true);
    held_free(h);
    if (err && err != GNT_STATE)
        gnt_amqp_peer_broke(out->o.t.peer, err);
    else
        gnt_amqp_peer_dirty(out->o.t.peer);
}

static void on_ended(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result why)
{
    struct outgoing *out = of_consumer(c);
    (void)home;
    if (out->o.t.peer)
        gnt_terminus_end(&out->o.t,
                         why == GNT_QUEUE_NOT_FOUND ? GNT_AMQP_RESOURCE_DELETED
                                                    : gnt_attach_condition(why),
                         gnt_queue_result_text(why));
}

static void on_closed(struct gnt_home *home, struct gnt_consumer *c)
{
    (void)home;
    gnt_terminus_paid(&of_consumer(c)->o.t);
}

static const struct gnt_consumer_ops consumer_ops = {
    on_opened, on_deliver, on_drained, on_settled, on_ended, on_closed,
};

/* ---- Its life */

static void outgoing_flow(struct gnt_terminus *t)
{
    gnt_terminus_owe(t);
    gnt_outlet_go_on(&outgoing_of(t)->o);
    gnt_terminus_paid(t);
}

static void free_all(struct gnt_list *list)
{
    gnt_list_each_safe (link, list)
        held_free(held_of(GNT_CONTAINER(link, struct gnt_going, link)));
}

/* What has not been begun has not failed. */
static void release_unsent(struct outgoing *out)
{
    gnt_list_each (link, &out->o.unsent) {
        struct gnt_going *g = GNT_CONTAINER(link, struct gnt_going, link);
        const struct gnt_settling release = {.delivery = held_of(g)->number,
                                             .outcome = GNT_SETTLE_RELEASE};
        if (!g->delivery && gnt_consumer_settle(&out->consumer, &release))
            return; /* they go back with the others */
    }
}

static void outgoing_leave(struct gnt_terminus *t, bool failed)
{
    struct outgoing *out = outgoing_of(t);
    if (out->consumer.mode != GNT_CONSUME_BROWSE)
        release_unsent(out);
    free_all(&out->o.unsent);
    free_all(&out->o.sent);
    gnt_consumer_close(&out->consumer, failed || out->failed_by_default);
}

static void outgoing_free(struct gnt_terminus *t)
{
    struct outgoing *out = outgoing_of(t);
    gnt_map_fini(&out->deciding);
    free(out);
}

static const struct gnt_terminus_kind outgoing_kind = {
    .flow = outgoing_flow,
    .disposition = outgoing_disposition,
    .go_on = outgoing_flow,
    .leave = outgoing_leave,
    .free = outgoing_free,
};

/* The filters that are understood are the consumer's, and told. */
static gnt_err answer(struct outgoing *out, struct gnt_amqp_peer *p, struct gnt_wanted *wanted)
{
    struct gnt_buf in_force = {0};
    gnt_err err =
        gnt_select_new(&wanted->source.filter, &in_force, &out->consumer.filter, wanted->why);
    if (!err)
        err = gnt_attach_answer(p, wanted, gnt_buf_slice(&in_force));
    if (err && out->consumer.filter)
        out->consumer.filter->unref(out->consumer.filter);
    gnt_buf_fini(&in_force);
    return err;
}

gnt_err gnt_outgoing_new(struct gnt_amqp_peer *p, struct gnt_wanted *wanted,
                         struct gnt_terminus **out)
{
    struct outgoing *new = calloc(1, sizeof *new);
    gnt_err err = new ? answer(new, p, wanted) : GNT_NOMEM;
    if (err) {
        free(new);
        return err;
    }
    bool copies = gnt_slice_eq_str(wanted->source.distribution_mode, "copy");
    new->consumer.ops = &consumer_ops;
    new->consumer.mode = copies ? GNT_CONSUME_BROWSE : GNT_CONSUME_LOCK;
    new->consumer.held_max = p->front->limits.unsettled;
    new->consumer.endless = wanted->snd_settle_mode == GNT_AMQP_SENDER_SETTLED;
    new->failed_by_default = gnt_delivery_failed_by_default(&wanted->source.default_outcome);
    gnt_outlet_init(&new->o, &outlet_ops, wanted->snd_settle_mode == GNT_AMQP_SENDER_SETTLED,
                    p->front->shared->random);
    gnt_terminus_init(&new->o.t, &outgoing_kind, p, wanted->link);
    gnt_terminus_owe(&new->o.t); /* until the consumer is closed */
    gnt_consumer_open(gnt_amqp_peer_home(p), wanted->facts->id, &new->consumer);
    *out = &new->o.t;
    return GNT_OK;
}
