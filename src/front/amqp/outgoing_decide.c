/* What the peer says about the messages of a queue that it has: it settles them there, at once or
 * with a transaction, and the peer is told when that is safe. */

#include "front/amqp/coordinator.h"
#include "front/amqp/outgoing.h"

/* ---- At once */

gnt_err gnt_outgoing_await(struct gnt_outgoing *out, struct gnt_held *h, struct gnt_slice state)
{
    gnt_err err = gnt_buf_put(&h->state, state);
    if (!err)
        err = gnt_map_insert(&out->deciding, &h->node, gnt_hash_mix(0, h->number));
    h->deciding = !err;
    return err;
}

/* The peer has no more to say about it; what has not been sent of it goes after it. */
static void end(struct gnt_held *h)
{
    if (h->going.delivery->whole)
        gnt_held_free(h);
    else
        h->going.over = true;
}

gnt_err gnt_outgoing_outcome(struct gnt_outgoing *out, const struct gnt_held *h,
                             const struct gnt_amqp_event *event, struct gnt_settling *settling)
{
    struct gnt_buf *scratch = &out->o.t.front->scratch;
    gnt_buf_clear(scratch);
    gnt_err err = gnt_delivery_outcome(&event->state, h->going.said, gnt_buf_slice(&h->annotations),
                                       scratch, settling);
    if (err != GNT_MORE || !event->settled)
        return err;
    settling->outcome = out->by_default.outcome;
    settling->failed = out->by_default.failed;
    settling->elsewhere = out->by_default.elsewhere;
    return GNT_OK;
}

/* The peer does not wait for what comes of its outcome. */
static void leave_alone(struct gnt_outgoing *out, struct gnt_held *h)
{
    if (!h->part) {
        gnt_held_free(h);
        return;
    }
    h->alone = true;
    h->going.delivery = NULL;
    gnt_list_remove(&h->going.link);
    gnt_list_push_back(&out->retired, &h->going.link);
}

/* GNT_MORE: that is for later. */
static gnt_err decide(struct gnt_outgoing *out, struct gnt_held *h,
                      const struct gnt_amqp_event *event)
{
    struct gnt_settling settling = {.delivery = h->number, .tell = !event->settled};
    if (h->deciding || h->part) { /* it has said so before */
        if (event->settled)
            leave_alone(out, h);
        return GNT_MORE;
    }
    gnt_err err = gnt_outgoing_outcome(out, h, event, &settling);
    if (err == GNT_MORE || (!event->settled && !h->going.delivery->whole))
        return GNT_MORE;
    if (!err && !event->settled && out->consumer.mode == GNT_CONSUME_BROWSE) {
        err = gnt_amqp_delivery_settle(h->going.delivery, gnt_delivery_echo(&event->state), true);
        gnt_held_free(h);
        return err == GNT_STATE ? GNT_OK : err;
    }
    if (!err && !event->settled)
        err = gnt_outgoing_await(out, h, gnt_delivery_echo(&event->state));
    if (!err)
        gnt_outgoing_settle(out, &settling);
    if (event->settled && out->o.t.peer)
        end(h);
    return err;
}

void gnt_outgoing_tell(struct gnt_outgoing *out, struct gnt_held *h, struct gnt_slice state)
{
    gnt_err err = gnt_amqp_delivery_settle(h->going.delivery, state, true);
    gnt_held_free(h);
    if (err && err != GNT_STATE)
        gnt_amqp_peer_broke(out->o.t.peer, err);
    else
        gnt_amqp_peer_dirty(out->o.t.peer);
}

/* ---- Within a transaction */

static void on_retired(void *context, bool applied)
{
    struct gnt_held *h = context;
    struct gnt_outgoing *out = gnt_outgoing_of_outlet(h->going.outlet);
    const struct gnt_settling release = {.delivery = h->number, .outcome = GNT_SETTLE_RELEASE};
    h->part = NULL;
    if (applied && !h->alone)
        gnt_outgoing_tell(out, h, gnt_buf_slice(&h->state));
    else if (applied)
        gnt_held_free(h);
    else if (!h->alone)
        gnt_buf_fini(&h->state); /* it is the peer's as before */
    else if (gnt_consumer_settle(&out->consumer, &release) == GNT_OK)
        gnt_held_free(h); /* without memory it is held until the link ends */
}

/* GNT_STATE, GNT_FULL: TXN does not take it. */
static gnt_err retire(struct gnt_outgoing *out, struct gnt_held *h, struct gnt_txn *txn,
                      const struct gnt_amqp_value *outcome)
{
    struct gnt_buf *scratch = &out->o.t.front->scratch;
    struct gnt_retiring retiring = {.consumer = &out->consumer,
                                    .settling = {.delivery = h->number},
                                    .over = on_retired,
                                    .context = h};
    gnt_buf_clear(scratch);
    gnt_err err = gnt_delivery_outcome(outcome, h->going.said, gnt_buf_slice(&h->annotations),
                                       scratch, &retiring.settling);
    if (!err)
        err = gnt_buf_put(&h->state, gnt_delivery_echo(outcome));
    if (!err)
        err = gnt_txn_retire(txn, &retiring, &h->part);
    if (err)
        gnt_buf_fini(&h->state);
    else
        h->txn = gnt_txn_id(txn);
    return err;
}

/* Whether H can be retired: it is whole, and nothing has been said of it. */
static bool is_open(const struct gnt_held *h)
{
    return !h->deciding && !h->part && h->going.delivery->whole &&
           h->going.delivery->resume == GNT_AMQP_RESUME_NONE;
}

/* What cannot be retired, as what has been resumed, is the peer's still, or released if it does not
 * wait for it. */
static gnt_err retire_or_not(struct gnt_outgoing *out, struct gnt_held *h, struct gnt_txn *txn,
                             const struct gnt_amqp_event *event,
                             const struct gnt_amqp_value *outcome)
{
    gnt_err err = !txn ? GNT_NOTFOUND : is_open(h) ? retire(out, h, txn, outcome) : GNT_FULL;
    if (err == GNT_FULL)
        gnt_txn_spoil(txn);
    if (event->settled && !err) {
        leave_alone(out, h);
    } else if (event->settled) {
        struct gnt_amqp_event nothing = *event;
        nothing.state = (struct gnt_amqp_value){.type = GNT_AMQP_NULL};
        gnt_err released = decide(out, h, &nothing);
        err = err == GNT_FULL || err == GNT_STATE ? released : err;
    } else if (err == GNT_FULL || err == GNT_STATE) {
        err = GNT_MORE;
    }
    return err;
}

/* What is looked at is no part of a transaction; what is retired may be settled within it. */
static gnt_err decide_or_retire(struct gnt_outgoing *out, struct gnt_held *h,
                                const struct gnt_amqp_event *event)
{
    struct gnt_amqp_event plain = *event;
    uint32_t id = gnt_txn_said(&event->state, &plain.state);
    if (id && !(h->part && h->txn == id) && out->consumer.mode != GNT_CONSUME_BROWSE)
        return retire_or_not(out, h, gnt_txn_find(out->o.t.peer, id), event, &plain.state);
    return decide(out, h, &plain);
}

void gnt_outgoing_untie(struct gnt_outgoing *out)
{
    gnt_list_each (link, &out->o.sent) {
        struct gnt_held *h = gnt_held_of(GNT_CONTAINER(link, struct gnt_going, link));
        if (!h->part)
            continue;
        gnt_part_leave(h->part);
        h->part = NULL;
        gnt_buf_fini(&h->state);
    }
    gnt_list_each_safe (link, &out->retired) {
        struct gnt_held *h = gnt_held_of(GNT_CONTAINER(link, struct gnt_going, link));
        const struct gnt_settling release = {.delivery = h->number, .outcome = GNT_SETTLE_RELEASE};
        (void)!gnt_consumer_settle(&out->consumer, &release); /* else with the others */
        gnt_held_free(h);
    }
}

/* ---- Both */

void gnt_outgoing_disposition(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    struct gnt_outgoing *out = gnt_outgoing_of(t);
    if (!event->delivery->context)
        return;
    gnt_terminus_owe(t); /* it may end meanwhile */
    gnt_err err = decide_or_retire(out, gnt_held_of(event->delivery->context), event);
    if (t->peer && err == GNT_NOMEM)
        gnt_amqp_peer_broke(t->peer, err);
    else if (t->peer && err == GNT_NOTFOUND)
        gnt_terminus_end(t, GNT_AMQP_TRANSACTION_UNKNOWN_ID, "there is no such transaction here");
    else if (t->peer && err < 0)
        gnt_terminus_end(t, GNT_AMQP_INVALID_FIELD, "no outcome of AMQP 1.0, or too large");
    gnt_terminus_paid(t);
}
