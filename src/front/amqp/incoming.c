/* Messages from the peer: put together from their frames, sent to a queue or published to a topic,
 * and settled when they are safe.
 *
 * Credit   a window, less what has come and is not settled yet.  A full queue withholds it.
 * Bounds   of a peer's messages that have come in part no more is held than one may have. */

#include "auth/rights.h"
#include "base/spare.h"
#include "core/publish.h"
#include "front/amqp/coordinator.h"
#include "front/amqp/envelope.h"
#include "front/amqp/link.h"
#include "front/amqp/management.h"
#include "front/amqp/outcomes.h"
#include "mapping/mapping.h"
#include "model/topic.h"

#include <stdio.h>
#include <stdlib.h>

enum { WINDOW = 1000, REQUESTS = 8 };

struct incoming {
    struct gnt_terminus t;
    enum gnt_address_kind kind; /* ENTITY, QUEUE and DYNAMIC are all a queue; TOPIC; ANONYMOUS;
                                   MANAGEMENT */
    uint64_t queue;             /* of a queue, */
    char *name;                 /* and its name in MQTT's words; of a topic, its name */
    struct gnt_buf partial;     /* of a message whose frames are coming */
    uint32_t window, unsettled;
    uint32_t txn;             /* that the message whose frames are coming is posted in; 0: none */
    struct gnt_list coming;   /* struct coming */
    struct gnt_list outcomes; /* struct gnt_outcome_kept: of a link before this one */
    struct gnt_room room;
    bool full; /* waits for `room` */
};

/* A message on its way. */
struct coming {
    struct gnt_list link; /* in in->coming */
    struct incoming *in;
    struct gnt_amqp_delivery *delivery;  /* NULL: nobody waits for its outcome */
    struct gnt_outcome_kept *remembered; /* that somebody may ask for later; NULL: nobody does */
    struct gnt_sending sending;
    /* What goes to the queue of its link has no more than this: coming_size. */
    union {
        struct { /* ANONYMOUS: while its queue is looked for */
            struct gnt_entity_asking asking;
            struct gnt_txn *txn; /* that it is posted in; NULL: none */
        };
        struct { /* to a topic */
            struct gnt_receipt receipt;
            struct gnt_kept kept;
            enum gnt_outcome outcome;
            uint64_t mark; /* of the store before it was published */
        };
    };
};

static struct incoming *incoming_of(struct gnt_terminus *t)
{
    return GNT_CONTAINER(t, struct incoming, t);
}

static size_t coming_size(const struct incoming *in)
{
    bool more = in->kind == GNT_ADDRESS_ANONYMOUS || in->kind == GNT_ADDRESS_TOPIC;
    return more ? sizeof(struct coming) : offsetof(struct coming, asking);
}

/* ---- Credit */

static void give_credit(struct incoming *in)
{
    if (!in->t.link || in->t.resting || in->full)
        return;
    uint32_t room = in->unsettled < in->window ? in->window - in->unsettled : 0;
    uint32_t credit = in->t.link->credit;
    if (room <= credit || room - credit < (in->window + 3) / 4)
        return;
    gnt_amqp_link_credit(in->t.link, room, false);
    gnt_amqp_peer_dirty(in->t.peer);
}

static void on_room(struct gnt_home *home, struct gnt_room *room, enum gnt_queue_result result)
{
    struct incoming *in = GNT_CONTAINER(room, struct incoming, room);
    (void)home;
    in->full = false;
    if (in->t.peer && result == GNT_QUEUE_NOT_FOUND)
        gnt_terminus_end(&in->t, GNT_AMQP_RESOURCE_DELETED, "the queue has been deleted");
    else
        give_credit(in);
    gnt_terminus_paid(&in->t);
}

static void wait_for_room(struct incoming *in)
{
    if (in->full || !in->t.peer)
        return;
    in->full = true;
    in->room = (struct gnt_room){.done = on_room};
    gnt_terminus_owe(&in->t);
    gnt_queue_await_room(in->t.front->home, in->queue, &in->room);
}

/* ---- Outcomes */

/* NO_CONDITION: released, to be sent again; accepted has a row of its own. */
static const struct verdict {
    bool accepted;
    enum gnt_amqp_condition condition;
    const char *text;
} of_queues[] =
    {
        [GNT_QUEUE_DONE] = {.accepted = true},
        [GNT_QUEUE_NOT_FOUND] = {false, GNT_AMQP_NOT_FOUND, "no such queue"},
        [GNT_QUEUE_BAD_NAME] = {false, GNT_AMQP_NOT_FOUND, "not a name of a queue"},
        [GNT_QUEUE_LIMIT] = {false, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, "too many queues"},
        [GNT_QUEUE_FULL] = {false, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, "the queue is full"},
        [GNT_QUEUE_TOO_LARGE] = {false, GNT_AMQP_LINK_MESSAGE_SIZE_EXCEEDED,
                                 "larger than the queue may be"},
        [GNT_QUEUE_NO_MEMORY] = {false, GNT_AMQP_NO_CONDITION, NULL},
        [GNT_QUEUE_NO_STORE] = {false, GNT_AMQP_NO_CONDITION, NULL},
        [GNT_QUEUE_READ_ONLY] = {false, GNT_AMQP_NOT_ALLOWED,
                                 "dead letters can only be received and browsed"},
},
  of_topics[] =
      {
          [GNT_DONE] = {.accepted = true},
          [GNT_DONE_NO_MATCH] = {.accepted = true},
          [GNT_FAILED] = {false, GNT_AMQP_NO_CONDITION, NULL},
          [GNT_NO_ROOM] = {false, GNT_AMQP_NO_CONDITION, NULL},
          [GNT_TOPIC_INVALID] = {false, GNT_AMQP_INVALID_FIELD, "not a topic name"},
          [GNT_NOT_ALLOWED] = {false, GNT_AMQP_UNAUTHORIZED_ACCESS, "not permitted"},
          [GNT_QUOTA] = {false, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, "a queue is full"},
},
  malformed = {false, GNT_AMQP_DECODE_ERROR, "not a message of AMQP 1.0"},
  no_request = {false, GNT_AMQP_INVALID_FIELD, "a request needs a reply-to that names a queue"},
  unknown_format = {false, GNT_AMQP_NOT_IMPLEMENTED, "not a message format that is known here"},
  names_nothing = {false, GNT_AMQP_NOT_FOUND, "properties.to names nothing to send to"},
  no_memory = {false, GNT_AMQP_NO_CONDITION, NULL},
  no_transaction = {false, GNT_AMQP_TRANSACTION_UNKNOWN_ID, "there is no such transaction here"},
  too_late = {false, GNT_AMQP_TRANSACTION_ROLLBACK, "the transaction cannot be committed any more"},
  too_much = {false, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, "as much is in transactions as may be"},
  no_part = {false, GNT_AMQP_NOT_IMPLEMENTED, "requests are no part of transactions"};

static struct gnt_slice state_of(const struct verdict *verdict, uint8_t bytes[GNT_LINK_STATE_SIZE])
{
    if (verdict->condition)
        return gnt_link_rejected(verdict->condition, verdict->text, bytes);
    return gnt_amqp_fieldless(verdict->accepted ? GNT_AMQP_ACCEPTED : GNT_AMQP_RELEASED).encoded;
}

/* TXN: it is about a message that is posted in that one; 0: it is not. */
static void settle(struct incoming *in, struct gnt_amqp_delivery *delivery, uint32_t txn,
                   const struct verdict *verdict)
{
    uint8_t bytes[GNT_LINK_STATE_SIZE];
    if (verdict->condition)
        gnt_count(&in->t.front->home->counters, GNT_COUNT_AMQP_REJECTED, 1);
    if (!delivery)
        return;
    struct gnt_slice state =
        verdict->accepted && txn ? gnt_txn_accepted(txn, bytes) : state_of(verdict, bytes);
    gnt_err err = gnt_amqp_delivery_settle(delivery, state, true);
    if (err && err != GNT_STATE)
        gnt_amqp_peer_broke(in->t.peer, err);
    else
        gnt_amqp_peer_dirty(in->t.peer);
}

static void coming_end_in(struct coming *c, uint32_t txn, const struct verdict *verdict)
{
    struct incoming *in = c->in;
    uint8_t bytes[GNT_LINK_STATE_SIZE];
    settle(in, c->delivery, txn, verdict);
    if (c->remembered)
        gnt_outcome_decide(c->remembered, state_of(verdict, bytes), &in->outcomes);
    gnt_message_unref(&c->sending.message);
    gnt_list_remove(&c->link);
    gnt_spare_put(c, coming_size(in));
    in->unsettled--;
    give_credit(in);
    gnt_terminus_paid(&in->t);
}

/* What comes of a post, by what gnt_txn_post has said. */
static const struct verdict *posted(gnt_err err)
{
    switch ((int)err) {
    case GNT_OK: return &of_queues[GNT_QUEUE_DONE];
    case GNT_FULL: return &too_much;
    case GNT_STATE: return &too_late;
    default: return &no_memory;
    }
}

static void coming_end(struct coming *c, const struct verdict *verdict)
{
    coming_end_in(c, 0, verdict);
}

/* ---- To queues */

static void on_sent(struct gnt_home *home, struct gnt_sending *sending,
                    enum gnt_queue_result result)
{
    struct coming *c = GNT_CONTAINER(sending, struct coming, sending);
    struct incoming *in = c->in;
    size_t rows = sizeof of_queues / sizeof of_queues[0];
    (void)home;
    if (sending->full && in->kind != GNT_ADDRESS_ANONYMOUS)
        wait_for_room(in);
    gnt_terminus_owe(&in->t);
    coming_end(c, result < rows ? &of_queues[result] : &no_memory);
    if (result == GNT_QUEUE_NOT_FOUND && in->t.peer && in->kind != GNT_ADDRESS_ANONYMOUS)
        gnt_terminus_end(&in->t, GNT_AMQP_RESOURCE_DELETED, "the queue has been deleted");
    gnt_terminus_paid(&in->t);
}

static const struct verdict *verdict_of(enum gnt_queue_result result)
{
    size_t rows = sizeof of_queues / sizeof of_queues[0];
    return result < rows ? &of_queues[result] : &no_memory;
}

static void post_found(struct coming *c, enum gnt_queue_result result)
{
    struct gnt_txn *txn = c->txn;
    const struct verdict *verdict = verdict_of(result);
    if (result == GNT_QUEUE_DONE)
        verdict = posted(gnt_txn_post(txn, c->asking.facts.id, &c->sending));
    if (!verdict->accepted && !c->delivery)
        gnt_txn_spoil(txn);
    coming_end_in(c, gnt_txn_id(txn), verdict);
    gnt_txn_awaited(txn);
}

static void on_found(struct gnt_home *home, struct gnt_entity_asking *asking,
                     enum gnt_queue_result result)
{
    struct coming *c = GNT_CONTAINER(asking, struct coming, asking);
    if (c->txn)
        post_found(c, result);
    else if (result == GNT_QUEUE_DONE)
        gnt_queue_send(home, asking->facts.id, &c->sending);
    else
        coming_end(c, verdict_of(result));
}

static void look_for_queue(struct coming *c)
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

static void topic_end(struct coming *c)
{
    coming_end(c, &of_topics[c->outcome]);
}

static void on_safe(struct gnt_home *home, struct gnt_kept *kept)
{
    (void)home;
    topic_end(GNT_CONTAINER(kept, struct coming, kept));
}

/* Everybody has it, or will: it is settled when what has been written because of it is safe. */
static void published(struct coming *c)
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
    struct coming *c = GNT_CONTAINER(work, struct coming, receipt.settled);
    (void)home;
    c->outcome = c->receipt.outcome;
    published(c);
}

static void publish(struct coming *c)
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
static bool find_target(const struct incoming *in, const struct gnt_envelope *e, struct where *w)
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

static bool find(const struct incoming *in, const struct gnt_envelope *e, struct where *w)
{
    if (in->kind == GNT_ADDRESS_ANONYMOUS)
        return find_target(in, e, w);
    w->topic = in->kind == GNT_ADDRESS_TOPIC;
    w->name = w->topic_name = gnt_slice_str(in->name);
    return true;
}

/* Links to queues were asked when they were attached. */
static bool may(struct incoming *in, const struct where *w)
{
    if (w->topic)
        return gnt_amqp_peer_may(in->t.peer, GNT_VERB_PUBLISH, w->name);
    return in->kind != GNT_ADDRESS_ANONYMOUS ||
           gnt_amqp_peer_may(in->t.peer, GNT_VERB_SEND, w->name);
}

static struct coming *coming_new(struct incoming *in, struct gnt_amqp_delivery *delivery)
{
    struct coming *c = gnt_spare_get(coming_size(in));
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

static void send(struct coming *c, bool topic)
{
    if (topic)
        publish(c);
    else if (c->in->kind == GNT_ADDRESS_ANONYMOUS)
        look_for_queue(c);
    else
        gnt_queue_send(c->in->t.front->home, c->in->queue, &c->sending);
}

static gnt_err seal(struct incoming *in, const struct gnt_envelope *e, const struct where *w,
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
    coming_end(context, &of_queues[GNT_QUEUE_DONE]);
}

static const struct verdict *manage(struct incoming *in, struct gnt_slice request,
                                    struct gnt_amqp_delivery *delivery)
{
    struct coming *c = coming_new(in, delivery);
    if (!c)
        return &no_memory;
    gnt_err err =
        gnt_manage(in->t.front->home, request, gnt_amqp_peer_rights(in->t.peer), on_managed, c);
    if (err)
        coming_end(c, err == GNT_INVALID     ? &no_request
                      : err == GNT_MALFORMED ? &malformed
                                             : &no_memory);
    return NULL;
}

/* Into TXN.  NULL: its queue is looked for. */
static const struct verdict *post(struct incoming *in, struct gnt_txn *txn,
                                  struct gnt_sending *sending, bool topic,
                                  struct gnt_amqp_delivery *delivery)
{
    if (topic)
        return posted(gnt_txn_publish(txn, &sending->message));
    if (in->kind != GNT_ADDRESS_ANONYMOUS)
        return posted(gnt_txn_post(txn, in->queue, sending));
    struct coming *c = coming_new(in, delivery);
    if (!c)
        return &no_memory;
    c->sending = *sending;
    sending->message = NULL;
    c->txn = txn;
    gnt_txn_await(txn);
    look_for_queue(c);
    return NULL;
}

static const struct verdict *pass_on(struct incoming *in, struct gnt_sending *sending, bool topic,
                                     struct gnt_amqp_delivery *delivery)
{
    struct gnt_txn *txn = in->txn ? gnt_txn_find(in->t.peer, in->txn) : NULL;
    if (in->txn)
        return txn ? post(in, txn, sending, topic, delivery) : &no_transaction;
    struct coming *c = coming_new(in, delivery);
    if (!c)
        return &no_memory;
    c->sending = *sending;
    sending->message = NULL;
    send(c, topic);
    return NULL;
}

/* NULL: it is on its way. */
static const struct verdict *take(struct incoming *in, struct gnt_slice encoded,
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
        return &of_topics[GNT_NOT_ALLOWED];
    const struct verdict *verdict = &no_memory;
    if (!seal(in, &e, &where, &sending))
        verdict = pass_on(in, &sending, where.topic, unsettled ? delivery : NULL);
    gnt_message_unref(&sending.message);
    return verdict;
}

/* The outcome of what has just come.  Where it is part of a transaction and has no outcome that
 * could be told, that is told when the transaction is discharged. */
static void settle_now(struct incoming *in, struct gnt_amqp_delivery *delivery,
                       const struct verdict *verdict)
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

/* ---- Frames */

static void forget_partial(struct incoming *in)
{
    if (in->t.peer)
        in->t.peer->assembled -= gnt_buf_size(&in->partial);
    gnt_buf_fini(&in->partial);
}

/* What was taken off by the message that was made of it, too. */
static void end_partial(struct incoming *in, size_t size)
{
    if (in->t.peer)
        in->t.peer->assembled -= size;
    gnt_buf_fini(&in->partial);
}

static bool fits(const struct incoming *in, size_t more)
{
    return in->t.peer->assembled + more <= in->t.front->limits.message_max;
}

static void add(struct incoming *in, struct gnt_slice payload)
{
    struct gnt_amqp_peer *p = in->t.peer;
    bool alone = p->assembled == gnt_buf_size(&in->partial);
    if (!fits(in, payload.size)) {
        gnt_terminus_end(&in->t,
                         alone ? GNT_AMQP_LINK_MESSAGE_SIZE_EXCEEDED
                               : GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
                         alone ? "the message is over limits.packet"
                               : "messages that have come in part are over limits.packet");
        return;
    }
    if (gnt_buf_put(&in->partial, payload)) {
        gnt_terminus_end(&in->t, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, gnt_err_text(GNT_NOMEM));
        return;
    }
    p->assembled += payload.size;
}

/* A delivery whose outcome was kept: whatever comes of it again, that is what it is. */
static void go_on(struct incoming *in, const struct gnt_amqp_event *event)
{
    struct gnt_outcome_kept *o = event->delivery->context;
    gnt_err err = GNT_OK;
    if (!event->last)
        return;
    if (event->settled || event->aborted)
        gnt_outcome_free(o);
    else
        err = gnt_outcome_tell(o, event->delivery);
    if (err)
        gnt_amqp_peer_broke(in->t.peer, err);
    else
        give_credit(in);
}

static void incoming_transfer(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    struct incoming *in = incoming_of(t);
    struct gnt_slice whole = event->payload;
    if (event->delivery->context) {
        go_on(in, event);
        return;
    }
    if (event->first || event->state.type != GNT_AMQP_NULL)
        in->txn = gnt_txn_said(&event->state, NULL);
    if (event->aborted) {
        forget_partial(in);
        give_credit(in);
        return;
    }
    if (!event->first || !event->last || !fits(in, event->payload.size)) {
        gnt_terminus_owe(t); /* it may end meanwhile */
        add(in, event->payload);
        bool over = !t->peer;
        gnt_terminus_paid(t);
        if (over || !event->last)
            return;
        whole = gnt_buf_slice(&in->partial);
    }
    size_t assembled = gnt_buf_size(&in->partial);
    bool unsettled = !event->delivery->settled && !event->settled;
    gnt_terminus_owe(t);
    const struct verdict *verdict = take(in, whole, event->delivery, unsettled);
    gnt_count(&t->front->home->counters, GNT_COUNT_AMQP_RECEIVED, 1);
    if (verdict)
        settle_now(in, unsettled ? event->delivery : NULL, verdict);
    end_partial(in, assembled);
    give_credit(in);
    gnt_terminus_paid(t);
}

/* The sender does not wait for the outcome any more. */
static void incoming_disposition(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    struct coming *c = event->delivery->context;
    (void)t;
    if (c && event->settled && event->delivery->whole) /* else it is one whose outcome was kept */
        c->delivery = NULL;
}

/* ---- Its life */

static void incoming_leave(struct gnt_terminus *t, bool failed)
{
    struct incoming *in = incoming_of(t);
    (void)failed;
    forget_partial(in);
    gnt_list_each (link, &in->coming)
        GNT_CONTAINER(link, struct coming, link)->delivery = NULL;
    gnt_outcomes_free(&in->outcomes);
    if (in->full)
        gnt_queue_await_cancel(t->front->home, &in->room);
}

/* ---- Its life after that
 *
 * What came and is not settled here when the link is detached, or breaks: its outcome is kept. What
 * has been settled is forgotten, as rcv-settle-mode first has it: of that the sender has heard, or
 * sends it again. */

static uint32_t incoming_keeps(const struct gnt_terminus *t)
{
    const struct incoming *in = GNT_CONTAINER((uintptr_t)t, struct incoming, t);
    uint32_t count = 0;
    if (!in->queue)
        return 0;
    gnt_list_each (link, &in->coming)
        count += GNT_CONTAINER(link, struct coming, link)->delivery != NULL;
    gnt_list_each (link, &in->outcomes)
        count++;
    return count;
}

static void incoming_rest(struct gnt_terminus *t)
{
    forget_partial(incoming_of(t));
}

static void incoming_suspend(struct gnt_terminus *t, bool failed)
{
    struct incoming *in = incoming_of(t);
    (void)failed;
    forget_partial(in);
    gnt_list_each (link, &in->coming) {
        struct coming *c = GNT_CONTAINER(link, struct coming, link);
        if (c->delivery)
            c->remembered = gnt_outcome_new(c->delivery); /* else it may be sent again */
        c->delivery = NULL;
    }
    if (in->full)
        gnt_queue_await_cancel(t->front->home, &in->room);
}

static gnt_err incoming_wake(struct gnt_terminus *t, struct gnt_wanted *wanted,
                             struct gnt_waking *waking)
{
    (void)wanted;
    waking->done(t->front->home, waking);
    return GNT_OK;
}

static void incoming_resumed(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    (void)t;
    if (event->resume == GNT_AMQP_RESUME_FORGET)
        gnt_outcome_free(event->delivery->context);
}

static void incoming_expire(struct gnt_terminus *t)
{
    gnt_outcomes_free(&incoming_of(t)->outcomes);
}

static void incoming_free(struct gnt_terminus *t)
{
    struct incoming *in = incoming_of(t);
    gnt_buf_fini(&in->partial);
    gnt_outcomes_free(&in->outcomes);
    free(in->name);
    free(in);
}

static const struct gnt_terminus_kind incoming_kind = {
    .transfer = incoming_transfer,
    .disposition = incoming_disposition,
    .leave = incoming_leave,
    .keeps = incoming_keeps,
    .rest = incoming_rest,
    .suspend = incoming_suspend,
    .wake = incoming_wake,
    .resumed = incoming_resumed,
    .expire = incoming_expire,
    .free = incoming_free,
};

static char *name_of(struct gnt_slice name, bool queue)
{
    const char *front = queue ? GNT_MAPPING_QUEUE : "";
    size_t size = strlen(front);
    char *text = malloc(size + name.size + 1);
    if (!text)
        return NULL;
    memcpy(text, front, size);
    if (name.size)
        memcpy(text + size, name.data, name.size);
    text[size + name.size] = '\0';
    return text;
}

static struct incoming *incoming_new(const struct gnt_amqp_peer *p, const struct gnt_wanted *wanted,
                                     enum gnt_address_kind kind)
{
    struct incoming *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    gnt_list_init(&in->coming);
    gnt_list_init(&in->outcomes);
    in->kind = kind;
    uint32_t most = kind == GNT_ADDRESS_MANAGEMENT ? REQUESTS : WINDOW;
    in->window = p->front->limits.unsettled < most ? p->front->limits.unsettled : most;
    in->name = name_of(wanted->facts ? wanted->queue : wanted->name, wanted->facts != NULL);
    in->t.front = p->front;
    if (!in->name) {
        incoming_free(&in->t);
        return NULL;
    }
    if (wanted->facts)
        in->t.node = gnt_slice_skip(gnt_slice_str(in->name), sizeof GNT_MAPPING_QUEUE - 1);
    return in;
}

gnt_err gnt_incoming_new(struct gnt_amqp_peer *p, struct gnt_wanted *wanted,
                         enum gnt_address_kind kind, struct gnt_terminus **out)
{
    const struct gnt_amqp_target *target = &wanted->target;
    struct incoming *in =
        wanted->resumed ? incoming_of(wanted->resumed) : incoming_new(p, wanted, kind);
    if (!in)
        return GNT_NOMEM;
    wanted->life =
        gnt_life_of(target->expiry_policy, target->timeout, p->front->limits.suspended_s);
    gnt_err err = gnt_outcomes_answer(&in->outcomes, p, wanted);
    if (err) {
        if (!wanted->resumed)
            incoming_free(&in->t);
        return err;
    }
    gnt_terminus_init(&in->t, &incoming_kind, p, wanted->link);
    if (wanted->resumed) {
        gnt_suspended_over(&in->t);
        gnt_count(gnt_amqp_peer_counters(p), GNT_COUNT_AMQP_RESUMED, 1);
    }
    in->t.life = wanted->life;
    in->queue = wanted->facts ? wanted->facts->id : 0;
    if (wanted->facts && wanted->facts->full && wanted->facts->options.overflow == GNT_QUEUE_BLOCK)
        wait_for_room(in);
    give_credit(in);
    *out = &in->t;
    return GNT_OK;
}
