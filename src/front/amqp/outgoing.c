/* Messages to the peer, from a queue: its consumer gives them.
 *
 * Credit   the consumer has what the link has, but never more than AHEAD for what has not been
 *          sent; so what waits here is bounded whatever a peer allows, and nothing is kept from
 *          others for a peer that does not read.
 *
 * A link that is sent settled messages holds them like any other until they are sent, so that those
 * that were not, when it ends, are not lost. */

#include "front/amqp/outgoing.h"

#include "base/spare.h"
#include "core/transaction.h"

#include <stdlib.h>

enum { AHEAD = 256 };

static struct gnt_outgoing *of_consumer(struct gnt_consumer *c)
{
    return GNT_CONTAINER(c, struct gnt_outgoing, consumer);
}

void gnt_held_free(struct gnt_held *h)
{
    if (h->deciding)
        gnt_map_remove(&gnt_outgoing_of_outlet(h->going.outlet)->deciding, &h->node);
    if (h->part)
        gnt_part_leave(h->part);
    gnt_going_fini(&h->going);
    gnt_buf_fini(&h->annotations);
    gnt_buf_fini(&h->state);
    gnt_spare_put(h, sizeof *h);
}

/* ---- Credit */

static void give_credit(struct gnt_outgoing *out)
{
    const struct gnt_amqp_link *link = out->o.t.link;
    if (!out->opened || out->o.t.resting)
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
static void end_drain(struct gnt_outgoing *out)
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

void gnt_outgoing_settle(struct gnt_outgoing *out, const struct gnt_settling *settling)
{
    if (out->consumer.mode == GNT_CONSUME_BROWSE)
        return;
    if (gnt_consumer_settle(&out->consumer, settling) && out->o.t.peer)
        gnt_amqp_peer_broke(out->o.t.peer, GNT_NOMEM);
}

static void on_sent(struct gnt_outlet *o, struct gnt_going *g, bool settled)
{
    struct gnt_held *h = gnt_held_of(g);
    const struct gnt_settling accept = {.delivery = h->number, .outcome = GNT_SETTLE_ACCEPT};
    if (o->presettled)
        gnt_outgoing_settle(gnt_outgoing_of_outlet(o), &accept);
    if (settled)
        gnt_held_free(h);
}

/* This peer cannot be given it. */
static void settle_elsewhere(struct gnt_outgoing *out, uint64_t number)
{
    const struct gnt_settling elsewhere = {
        .delivery = number, .outcome = GNT_SETTLE_MODIFY, .failed = true, .elsewhere = true};
    gnt_outgoing_settle(out, &elsewhere);
}

static void on_too_large(struct gnt_outlet *o, struct gnt_going *g)
{
    settle_elsewhere(gnt_outgoing_of_outlet(o), gnt_held_of(g)->number);
    gnt_held_free(gnt_held_of(g));
}

/* The peer has taken credit back: others may have what waits for it. */
static void give_back(struct gnt_outgoing *out)
{
    while (out->o.t.peer && out->o.unsent_count - out->o.begun > out->o.t.link->credit) {
        struct gnt_going *last = GNT_CONTAINER(out->o.unsent.prev, struct gnt_going, link);
        if (last->delivery)
            return; /* it is resumed, and waits for credit */
        const struct gnt_settling release = {.delivery = gnt_held_of(last)->number,
                                             .outcome = GNT_SETTLE_RELEASE};
        gnt_outgoing_settle(out, &release);
        out->o.unsent_count--;
        gnt_held_free(gnt_held_of(last));
    }
}

/* What comes of it comes later. */
static bool on_room(struct gnt_outlet *o)
{
    give_back(gnt_outgoing_of_outlet(o));
    if (o->t.peer) {
        end_drain(gnt_outgoing_of_outlet(o));
        give_credit(gnt_outgoing_of_outlet(o));
    }
    return false;
}

static const struct gnt_outlet_ops outlet_ops = {.sent = on_sent,
                                                 .too_large = on_too_large,
                                                 .room = on_room};

/* ---- What the queue says */

static void on_opened(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result result)
{
    struct gnt_outgoing *out = of_consumer(c);
    (void)home;
    if (out->waking)
        gnt_outgoing_reopened(out, result);
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
static void not_put(struct gnt_outgoing *out, struct gnt_held *h, uint64_t number, gnt_err err)
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
    struct gnt_outgoing *out = of_consumer(c);
    struct gnt_envelope_hop hop = {.failed = d->failed,
                                   .acquired = d->acquired,
                                   .annotations = d->annotations,
                                   .reason = d->reason,
                                   .description = d->description,
                                   .source = d->source};
    struct gnt_held *h = gnt_spare_get(sizeof *h);
    gnt_err err = GNT_NOMEM;
    if (h) {
        *h = (struct gnt_held){.number = d->delivery};
        err = gnt_buf_put(&h->annotations, d->annotations);
    }
    (void)home;
    out->used++;
    if (!err)
        err = gnt_outlet_put(&out->o, &h->going, d->message, &hop);
    out->seen = d->delivery;
    if (err)
        not_put(out, h, d->delivery, err);
    else
        gnt_outlet_flow(&out->o.t);
}

static void on_drained(struct gnt_home *home, struct gnt_consumer *c, uint64_t upto)
{
    struct gnt_outgoing *out = of_consumer(c);
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
    struct gnt_outgoing *out = of_consumer(c);
    uint8_t bytes[GNT_LINK_STATE_SIZE];
    (void)home;
    struct gnt_map_node *node = gnt_map_first(&out->deciding, gnt_hash_mix(0, number));
    while (node && GNT_CONTAINER(node, struct gnt_held, node)->number != number)
        node = gnt_map_next(node);
    if (!node)
        return; /* its link has gone */
    struct gnt_held *h = GNT_CONTAINER(node, struct gnt_held, node);
    if (out->waking) {
        gnt_outgoing_renewed(out, h, result);
        return;
    }
    if (h->going.delivery->resume != GNT_AMQP_RESUME_NONE) {
        gnt_outgoing_say(out, h);
        return;
    }
    struct gnt_slice state =
        result == GNT_QUEUE_DONE
            ? gnt_buf_slice(&h->state)
            : gnt_link_rejected(GNT_AMQP_PRECONDITION_FAILED, gnt_queue_result_text(result), bytes);
    gnt_outgoing_tell(out, h, state);
}

static void on_ended(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result why)
{
    struct gnt_outgoing *out = of_consumer(c);
    (void)home;
    out->reopened = why; /* while it is woken, that is what its link is told first */
    if (out->o.t.peer)
        gnt_terminus_end(&out->o.t,
                         why == GNT_QUEUE_NOT_FOUND ? GNT_AMQP_RESOURCE_DELETED
                                                    : gnt_attach_condition(why),
                         gnt_queue_result_text(why));
}

static void on_closed(struct gnt_home *home, struct gnt_consumer *c)
{
    (void)home;
    of_consumer(c)->consuming = false;
    gnt_terminus_paid(&of_consumer(c)->o.t);
}

static const struct gnt_consumer_ops consumer_ops = {
    on_opened, on_deliver, on_drained, on_settled, on_ended, on_closed,
};

/* ---- Its life */

static void free_all(struct gnt_list *list)
{
    gnt_list_each_safe (link, list)
        gnt_held_free(gnt_held_of(GNT_CONTAINER(link, struct gnt_going, link)));
}

/* What was sent and not decided about comes to what the source says, if that is final [AMQP 3.5.3].
 */
static void decide_by_default(struct gnt_outgoing *out)
{
    struct gnt_settling settling = out->by_default;
    if (settling.outcome != GNT_SETTLE_ACCEPT && settling.outcome != GNT_SETTLE_REJECT)
        return; /* closing the consumer says it of all of them */
    gnt_list_each (link, &out->o.sent) {
        settling.delivery = gnt_held_of(GNT_CONTAINER(link, struct gnt_going, link))->number;
        if (gnt_consumer_settle(&out->consumer, &settling))
            return; /* the others are ready again */
    }
}

static void outgoing_leave(struct gnt_terminus *t, bool failed)
{
    struct gnt_outgoing *out = gnt_outgoing_of(t);
    gnt_outgoing_release_unsent(out);
    gnt_outgoing_untie(out);
    if (!failed)
        decide_by_default(out);
    free_all(&out->o.unsent);
    free_all(&out->o.sent);
    gnt_consumer_close(&out->consumer, failed || out->by_default.failed);
}

static void outgoing_free(struct gnt_terminus *t)
{
    struct gnt_outgoing *out = gnt_outgoing_of(t);
    free_all(&out->o.unsent);
    free_all(&out->o.sent);
    gnt_map_fini(&out->deciding);
    gnt_buf_fini(&out->in_force);
    free(out);
}

static const struct gnt_terminus_kind outgoing_kind = {
    .flow = gnt_outlet_flow,
    .disposition = gnt_outgoing_disposition,
    .go_on = gnt_outlet_flow,
    .leave = outgoing_leave,
    .keeps = gnt_outgoing_keeps,
    .rest = gnt_outgoing_rest,
    .suspend = gnt_outgoing_suspend,
    .wake = gnt_outgoing_wake,
    .resumed = gnt_outgoing_resumed,
    .expire = gnt_outgoing_expire,
    .free = outgoing_free,
};

void gnt_outgoing_open(struct gnt_outgoing *out, uint64_t queue)
{
    gnt_terminus_owe(&out->o.t);
    out->consuming = true;
    gnt_consumer_open(out->o.t.front->home, queue, &out->consumer);
}

/* The filters that are understood are the consumer's, and told. */
static gnt_err answer(struct gnt_outgoing *out, struct gnt_amqp_peer *p, struct gnt_wanted *wanted)
{
    struct gnt_buf in_force = {0};
    gnt_err err = gnt_select_new(&wanted->source.filter, gnt_amqp_peer_publisher(p), &in_force,
                                 &out->consumer.filter, wanted->why);
    if (!err)
        err = gnt_attach_answer(p, wanted, gnt_buf_slice(&in_force));
    if (err && out->consumer.filter)
        out->consumer.filter->unref(out->consumer.filter);
    gnt_buf_fini(&in_force);
    return err;
}

static struct gnt_outgoing *outgoing_new(const struct gnt_amqp_peer *p,
                                         const struct gnt_wanted *wanted)
{
    struct gnt_slice name = wanted->queue;
    struct gnt_outgoing *out = calloc(1, sizeof *out + name.size);
    if (!out)
        return NULL;
    memcpy(out->name, name.data, name.size);
    out->o.t.node = gnt_slice(out->name, name.size);
    bool copies = gnt_slice_eq_str(wanted->source.distribution_mode, "copy");
    gnt_list_init(&out->retired);
    out->consumer.ops = &consumer_ops;
    out->consumer.mode = copies ? GNT_CONSUME_BROWSE : GNT_CONSUME_LOCK;
    out->consumer.held_max = p->front->limits.unsettled;
    out->consumer.endless = wanted->snd_settle_mode == GNT_AMQP_SENDER_SETTLED;
    gnt_outlet_init(&out->o, &outlet_ops, false, p->front->shared->random);
    return out;
}

/* What WANTED says that may be another time as well. */
static void take_wishes(struct gnt_outgoing *out, const struct gnt_wanted *wanted)
{
    out->o.presettled = wanted->snd_settle_mode == GNT_AMQP_SENDER_SETTLED;
    out->o.t.life = wanted->life;
    gnt_delivery_default(&wanted->source.default_outcome, &out->by_default);
}

static gnt_err begin(struct gnt_outgoing *out, struct gnt_amqp_peer *p, struct gnt_wanted *wanted)
{
    gnt_err err = answer(out, p, wanted);
    if (err)
        return err;
    take_wishes(out, wanted);
    gnt_terminus_init(&out->o.t, &outgoing_kind, p, wanted->link);
    gnt_outgoing_open(out, wanted->facts->id);
    return GNT_OK;
}

/* One that was suspended goes on. */
static gnt_err go_on(struct gnt_outgoing *out, struct gnt_amqp_peer *p, struct gnt_wanted *wanted)
{
    gnt_err err = gnt_outgoing_answer_again(out, p, wanted);
    if (err)
        return err;
    take_wishes(out, wanted);
    gnt_terminus_init(&out->o.t, &outgoing_kind, p, wanted->link);
    gnt_suspended_over(&out->o.t);
    gnt_count(gnt_amqp_peer_counters(p), GNT_COUNT_AMQP_RESUMED, 1);
    if (out->reopened != GNT_QUEUE_DONE)
        gnt_terminus_end(&out->o.t, gnt_attach_condition(out->reopened),
                         gnt_queue_result_text(out->reopened));
    return out->reopened == GNT_QUEUE_DONE ? GNT_OK : GNT_STATE;
}

gnt_err gnt_outgoing_new(struct gnt_amqp_peer *p, struct gnt_wanted *wanted,
                         struct gnt_terminus **out)
{
    const struct gnt_amqp_source *source = &wanted->source;
    wanted->life =
        gnt_life_of(source->expiry_policy, source->timeout, p->front->limits.suspended_s);
    if (wanted->resumed) {
        *out = wanted->resumed;
        return go_on(gnt_outgoing_of(wanted->resumed), p, wanted);
    }
    struct gnt_outgoing *new = outgoing_new(p, wanted);
    gnt_err err = new ? begin(new, p, wanted) : GNT_NOMEM;
    if (err)
        free(new);
    else
        *out = &new->o.t;
    return err;
}
