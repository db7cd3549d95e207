/* Whole messages from the peer: sent to a queue, published to a topic, posted in a transaction or
 * asked of $management, and settled when they are safe. */

#include "auth/rights.h"
#include "base/spare.h"
#include "front/amqp/envelope.h"
#include "front/amqp/incoming.h"
#include "front/amqp/management.h"
#include "front/amqp/verdict.h"
#include "mapping/mapping.h"
#include "model/topic.h"

#include <stdio.h>

static const struct gnt_verdict
    malformed = {false, GNT_AMQP_DECODE_ERROR, "not a message of AMQP 1.0"},
    no_request = {false, GNT_AMQP_INVALID_FIELD, "a request needs a reply-to that names a queue"},
    unknown_format = {false, GNT_AMQP_NOT_IMPLEMENTED, "not a message format that is known here"},
    names_nothing = {false, GNT_AMQP_NOT_FOUND, "properties.to names nothing to send to"},
    no_transaction = {false, GNT_AMQP_TRANSACTION_UNKNOWN_ID, "there is no such transaction here"},
    no_part = {false, GNT_AMQP_NOT_IMPLEMENTED, "requests are no part of transactions"};

/* ---- A message on its way */

static size_t coming_size(const struct gnt_incoming *in)
{
    bool more = in->kind == GNT_ADDRESS_ANONYMOUS || in->kind == GNT_ADDRESS_TOPIC;
    return more ? sizeof(struct gnt_coming) : offsetof(struct gnt_coming, asking);
}

static struct gnt_coming *coming_new(struct gnt_incoming *in, struct gnt_amqp_delivery *delivery)
{
    struct gnt_coming *c = gnt_spare_get(coming_size(in));
    if (!c)
        return NULL;
    memset(c, 0, coming_size(in));
    c->in = in;
    c->delivery = delivery;
    if (delivery)
        delivery->context = c;
    gnt_list_push_back(&in->coming, &c->link);
    in->unsettled++;
    gnt_terminus_owe(&in->t);
    return c;
}

/* TXN: it is about a message that is posted in that one; 0: it is not. */
static void settle(struct gnt_incoming *in, struct gnt_amqp_delivery *delivery, uint32_t txn,
                   const struct gnt_verdict *verdict)
{
    uint8_t bytes[GNT_LINK_STATE_SIZE];
    if (verdict->condition)
        gnt_count(&in->t.front->home->counters, GNT_COUNT_AMQP_REJECTED, 1);
    if (!delivery)
        return;
    struct gnt_slice state =
        verdict->accepted && txn ? gnt_txn_accepted(txn, bytes) : gnt_verdict_state(verdict, bytes);
    gnt_err err = gnt_amqp_delivery_settle(delivery, state, true);
    if (err && err != GNT_STATE)
        gnt_amqp_peer_broke(in->t.peer, err);
    else
        gnt_amqp_peer_dirty(in->t.peer);
}

static void coming_end_in(struct gnt_coming *c, uint32_t txn, const struct gnt_verdict *verdict)
{
    struct gnt_incoming *in = c->in;
    uint8_t bytes[GNT_LINK_STATE_SIZE];
    settle(in, c->delivery, txn, verdict);
    if (c->remembered)
        gnt_outcome_decide(c->remembered, gnt_verdict_state(verdict, bytes), &in->outcomes);
    gnt_message_unref(&c->sending.message);
    gnt_list_remove(&c->link);
    gnt_spare_put(c, coming_size(in));
    in->unsettled--;
    gnt_incoming_give_credit(in);
    gnt_terminus_paid(&in->t);
}

static void coming_end(struct gnt_coming *c, const struct gnt_verdict *verdict)
{
    coming_end_in(c, 0, verdict);
}

/* ---- To queues */

static void on_sent(struct gnt_home *home, struct gnt_sending *sending,
                    enum gnt_queue_result result)
{
    struct gnt_coming *c = GNT_CONTAINER(sending, struct gnt_coming, sending);
    struct gnt_incoming *in = c->in;
    (void)home;
    if (sending->full && in->kind != GNT_ADDRESS_ANONYMOUS)
        gnt_incoming_await_room(in);
    gnt_terminus_owe(&in->t);
    coming_end(c, gnt_verdict_of_queue(result));
    if (result == GNT_QUEUE_NOT_FOUND && in->t.peer && in->kind != GNT_ADDRESS_ANONYMOUS)
        gnt_terminus_end(&in->t, GNT_AMQP_RESOURCE_DELETED, "the queue has been deleted");
    gnt_terminus_paid(&in->t);
}

static void post_found(struct gnt_coming *c, enum gnt_queue_result result)
{
    struct gnt_txn *txn = c->txn;
    const struct gnt_verdict *verdict = gnt_verdict_of_queue(result);
    if (result == GNT_QUEUE_DONE)
        verdict = gnt_verdict_of_post(gnt_txn_post(txn, c->asking.facts.id, &c->sending));
    if (!verdict->accepted && !c->delivery)
        gnt_txn_spoil(txn);
    coming_end_in(c, gnt_txn_id(txn), verdict);
    gnt_txn_awaited(txn);
}

static void on_found(struct gnt_home *home, struct gnt_entity_asking *asking,
                     enum gnt_queue_result result)
{
    struct gnt_coming *c = GNT_CONTAINER(asking, struct gnt_coming, asking);
    if (c->txn)
        post_found(c, result);
    else if (result == GNT_QUEUE_DONE)
        gnt_queue_send(home, asking->facts.id, &c->sending);
    else
        coming_end(c, gnt_verdict_of_queue(result));
}

static void look_for_queue(struct gnt_coming *c)
{
    const struct gnt_amqp_front *front = c->in->t.front;
    c->asking = (struct gnt_entity_asking){
        .done = on_found,
        .verb = gnt_entity_verb_for(front->home),
        .name = gnt_slice_skip(c->sending.message->topic, sizeof GNT_MAPPING_QUEUE - 1),
    };
    gnt_entity_ask(front->home, &c->asking);
}

/* ---- To topics */

static void topic_end(struct gnt_coming *c)
{
    coming_end(c, gnt_verdict_of_topic(c->outcome));
}

static void on_safe(struct gnt_home *home, struct gnt_kept *kept)
{
    (void)home;
    topic_end(GNT_CONTAINER(kept, struct gnt_coming, kept));
}

/* Everybody has it, or will: it is settled when what has been written because of it is safe. */
static void published(struct gnt_coming *c)
{
    struct gnt_home *home = c->in->t.front->home;
    uint64_t batch = gnt_keep_mark(home) != c->mark ? gnt_keep_pending(home) : 0;
    if (!batch) {
        topic_end(c);
        return;
    }
    gnt_keep_hurry(home);
    gnt_keep_wait(home, &c->kept, batch);
}

static void on_receipt(struct gnt_home *home, struct gnt_work *work)
{
    struct gnt_coming *c = GNT_CONTAINER(work, struct gnt_coming, receipt.settled);
    (void)home;
    c->outcome = c->receipt.outcome;
    published(c);
}

static void publish(struct gnt_coming *c)
{
    struct gnt_home *home = c->in->t.front->home;
    bool waits = c->sending.message->qos > 0;
    gnt_list_init(&c->kept.link);
    c->kept.safe = on_safe;
    gnt_work_init(&c->receipt.settled, on_receipt);
    c->mark = gnt_keep_mark(home);
    c->outcome = gnt_publish(home, c->sending.message, waits ? &c->receipt : NULL);
    if (c->outcome != GNT_WITHHELD)
        published(c);
}

/* ---- Whole messages */

/* Where a message goes. */
struct where {
    bool topic;
    struct gnt_slice name; /* the address without what stands around it */
    char text[sizeof GNT_MAPPING_QUEUE + GNT_ENTITY_NAME_MAX + sizeof("/" GNT_DEAD_LETTERS)];
    struct gnt_slice topic_name; /* the name in MQTT's words; in `text`, or the link's */
};

/* Of an ANONYMOUS link its messages say it. */
static bool find_target(const struct gnt_incoming *in, const struct gnt_envelope *e,
                        struct where *w)
{
    struct gnt_address address;
    if (gnt_address_parse(gnt_envelope_to(e), &address))
        return false;
    w->name = w->topic_name = address.entity;
    w->topic = address.kind == GNT_ADDRESS_TOPIC;
    if (w->topic)
        return gnt_topic_name_valid(w->name, in->t.front->home->config.topic_levels);
    if ((address.kind != GNT_ADDRESS_ENTITY && address.kind != GNT_ADDRESS_QUEUE) ||
        w->name.size > GNT_ENTITY_NAME_MAX)
        return false;
    int size =
        snprintf(w->text, sizeof w->text, GNT_MAPPING_QUEUE "%.*s%s", (int)w->name.size,
                 (const char *)w->name.data, address.dead_letter ? "/" GNT_DEAD_LETTERS : "");
    w->topic_name = gnt_slice(w->text, (size_t)size);
    w->name = gnt_slice_skip(w->topic_name, sizeof GNT_MAPPING_QUEUE - 1);
    return true;
}

static bool find(const struct gnt_incoming *in, const struct gnt_envelope *e, struct where *w)
{
    if (in->kind == GNT_ADDRESS_ANONYMOUS)
        return find_target(in, e, w);
    w->topic = in->kind == GNT_ADDRESS_TOPIC;
    w->name = w->topic_name = gnt_slice_str(in->name);
    return true;
}

/* Links to queues were asked when they were attached. */
static bool may(struct gnt_incoming *in, const struct where *w)
{
    if (w->topic)
        return gnt_amqp_peer_may(in->t.peer, GNT_VERB_PUBLISH, w->name);
    return in->kind != GNT_ADDRESS_ANONYMOUS ||
           gnt_amqp_peer_may(in->t.peer, GNT_VERB_SEND, w->name);
}

static void send(struct gnt_coming *c, bool topic)
{
    if (topic)
        publish(c);
    else if (c->in->kind == GNT_ADDRESS_ANONYMOUS)
        look_for_queue(c);
    else
        gnt_queue_send(c->in->t.front->home, c->in->queue, &c->sending);
}

static gnt_err seal(struct gnt_incoming *in, const struct gnt_envelope *e, const struct where *w,
                    struct gnt_sending *out)
{
    const struct gnt_loop *loop = in->t.front->loop;
    struct gnt_seal seal = {.topic = w->topic_name,
                            .publisher = gnt_amqp_peer_publisher(in->t.peer),
                            .expires = gnt_envelope_expires(e, loop->now, loop->clock)};
    gnt_mapping_wishes(&e->sections, e->header.durable, &seal.qos, &seal.retain);
    seal.retain = seal.retain && w->topic;
    size_t group_at = e->group.size ? (size_t)(e->group.data - e->sections.lasting.data) : 0;
    gnt_err err =
        gnt_envelope_seal(e, &seal, in->partial.data ? &in->partial : NULL, &out->message);
    if (err)
        return err;
    out->durable = e->header.durable;
    out->priority = e->header.priority;
    if (e->group.size)
        out->group = gnt_slice(out->message->payload.data + group_at, e->group.size);
    return GNT_OK;
}

/* ---- To $management */

static void on_managed(struct gnt_home *home, void *context)
{
    (void)home;
    coming_end(context, gnt_verdict_of_queue(GNT_QUEUE_DONE));
}

static const struct gnt_verdict *manage(struct gnt_incoming *in, struct gnt_slice request,
                                        struct gnt_amqp_delivery *delivery)
{
    struct gnt_coming *c = coming_new(in, delivery);
    if (!c)
        return &gnt_verdict_no_memory;
    gnt_err err =
        gnt_manage(in->t.front->home, request, gnt_amqp_peer_rights(in->t.peer), on_managed, c);
    if (err)
        coming_end(c, err == GNT_INVALID     ? &no_request
                      : err == GNT_MALFORMED ? &malformed
                                             : &gnt_verdict_no_memory);
    return NULL;
}

/* ---- Which way it goes */

/* Into TXN.  NULL: its queue is looked for. */
static const struct gnt_verdict *post(struct gnt_incoming *in, struct gnt_txn *txn,
                                      struct gnt_sending *sending, bool topic,
                                      struct gnt_amqp_delivery *delivery)
{
    if (topic)
        return gnt_verdict_of_post(gnt_txn_publish(txn, &sending->message));
    if (in->kind != GNT_ADDRESS_ANONYMOUS)
        return gnt_verdict_of_post(gnt_txn_post(txn, in->queue, sending));
    struct gnt_coming *c = coming_new(in, delivery);
    if (!c)
        return &gnt_verdict_no_memory;
    c->sending = *sending;
    sending->message = NULL;
    c->txn = txn;
    gnt_txn_await(txn);
    look_for_queue(c);
    return NULL;
}

static const struct gnt_verdict *pass_on(struct gnt_incoming *in, struct gnt_sending *sending,
                                         bool topic, struct gnt_amqp_delivery *delivery)
{
    struct gnt_txn *txn = in->txn ? gnt_txn_find(in->t.peer, in->txn) : NULL;
    if (in->txn)
        return txn ? post(in, txn, sending, topic, delivery) : &no_transaction;
    struct gnt_coming *c = coming_new(in, delivery);
    if (!c)
        return &gnt_verdict_no_memory;
    c->sending = *sending;
    sending->message = NULL;
    send(c, topic);
    return NULL;
}

/* NULL: it is on its way. */
static const struct gnt_verdict *take(struct gnt_incoming *in, struct gnt_slice encoded,
                                      struct gnt_amqp_delivery *delivery, bool unsettled)
{
    struct gnt_envelope e;
    struct where where;
    struct gnt_sending sending = {.done = on_sent};
    if (delivery->format != 0)
        return &unknown_format;
    if (in->kind == GNT_ADDRESS_MANAGEMENT)
        return in->txn ? &no_part : manage(in, encoded, unsettled ? delivery : NULL);
    if (gnt_envelope_read(encoded, &e))
        return &malformed;
    if (!find(in, &e, &where))
        return &names_nothing;
    if (!may(in, &where))
        return gnt_verdict_of_topic(GNT_NOT_ALLOWED);
    const struct gnt_verdict *verdict = &gnt_verdict_no_memory;
    if (!seal(in, &e, &where, &sending))
        verdict = pass_on(in, &sending, where.topic, unsettled ? delivery : NULL);
    gnt_message_unref(&sending.message);
    return verdict;
}

/* The outcome of what has just come.  Where it is part of a transaction and has no outcome that
 * could be told, that is told when the transaction is discharged. */
static void settle_now(struct gnt_incoming *in, struct gnt_amqp_delivery *delivery,
                       const struct gnt_verdict *verdict)
{
    struct gnt_txn *txn = in->txn ? gnt_txn_find(in->t.peer, in->txn) : NULL;
    settle(in, delivery, in->txn, verdict);
    if (!in->txn || delivery || verdict->accepted)
        return;
    if (txn)
        gnt_txn_spoil(txn);
    else
        gnt_terminus_end(&in->t, no_transaction.condition, no_transaction.text);
}

void gnt_incoming_take(struct gnt_incoming *in, struct gnt_slice encoded,
                       struct gnt_amqp_delivery *delivery, bool unsettled)
{
    const struct gnt_verdict *verdict = take(in, encoded, delivery, unsettled);
    gnt_count(&in->t.front->home->counters, GNT_COUNT_AMQP_RECEIVED, 1);
    if (verdict)
        settle_now(in, unsettled ? delivery : NULL, verdict);
}
