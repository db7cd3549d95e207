#include "front/amqp/coordinator.h"

#include "amqp/codec/message.h"
#include "base/assert.h"

#include <stdlib.h>

enum { WINDOW = 32, REQUEST_MAX = 4096 };

/* An id that no transaction has, nor 0. */
#define NOBODYS UINT32_MAX

struct coordinator {
    struct gnt_terminus t;
    struct gnt_list in_peer;      /* in peer->coordinators */
    struct gnt_list transactions; /* struct gnt_txn */
    struct gnt_buf partial;       /* of a request whose frames are coming */
    bool rejects;                 /* the peer can be told by an outcome what is wrong */
};

/* A transaction, until it is discharged and the core is done with it. */
struct gnt_txn {
    struct gnt_list link; /* in coordinator->transactions */
    struct coordinator *at;
    struct gnt_transaction *open; /* NULL: it is over, or being committed */
    struct gnt_timer due;
    struct gnt_amqp_delivery *discharge; /* that wants to be told what came of it; or NULL */
    enum gnt_amqp_condition doom;        /* why it cannot be committed; NO_CONDITION: it can */
    uint32_t id;
    uint32_t awaited; /* posts */
    bool discharged;
    bool committing; /* the core is */
};

static struct coordinator *coordinator_of(struct gnt_terminus *t)
{
    return GNT_CONTAINER(t, struct coordinator, t);
}

static struct gnt_txn *txn_at(struct gnt_list *link)
{
    return GNT_CONTAINER(link, struct gnt_txn, link);
}

/* ---- Telling */

static void settle(struct coordinator *c, struct gnt_amqp_delivery *delivery,
                   struct gnt_slice state)
{
    gnt_err err = gnt_amqp_delivery_settle(delivery, state, true);
    if (err && err != GNT_STATE)
        gnt_amqp_peer_broke(c->t.peer, err);
    else
        gnt_amqp_peer_dirty(c->t.peer);
}

static const char *text_of(enum gnt_amqp_condition condition)
{
    switch ((int)condition) {
    case GNT_AMQP_TRANSACTION_UNKNOWN_ID: return "there is no such transaction here";
    case GNT_AMQP_TRANSACTION_TIMEOUT: return "it was not discharged in time";
    case GNT_AMQP_TRANSACTION_ROLLBACK: return "a part of it was refused";
    case GNT_AMQP_RESOURCE_LIMIT_EXCEEDED: return "limits.transactions, or out of memory";
    case GNT_AMQP_NOT_IMPLEMENTED: return "transactions are local";
    default: return "neither declare nor discharge";
    }
}

/* By the outcome, or where the peer knows none for it by the end of the link [AMQP 4.2.1]. */
static void reject(struct coordinator *c, struct gnt_amqp_delivery *delivery,
                   enum gnt_amqp_condition condition, const char *text)
{
    uint8_t bytes[GNT_LINK_STATE_SIZE];
    gnt_count(gnt_amqp_peer_counters(c->t.peer), GNT_COUNT_AMQP_REJECTED, 1);
    if (c->rejects && delivery)
        settle(c, delivery, gnt_link_rejected(condition, text, bytes));
    else
        gnt_terminus_end(&c->t, condition, text);
}

/* ---- Transactions */

static struct gnt_timers *timers_of(const struct coordinator *c)
{
    return &c->t.front->loop->timers;
}

static void txn_free(struct gnt_txn *txn)
{
    struct coordinator *c = txn->at;
    GNT_ASSERT(!txn->open && !txn->committing && !txn->awaited);
    gnt_timer_cancel(timers_of(c), &txn->due);
    gnt_list_remove(&txn->link);
    free(txn);
    gnt_terminus_paid(&c->t);
}

/* It is discharged, and nothing of it is under way: RESULT of the commit, or of none. */
static void txn_end(struct gnt_txn *txn, enum gnt_amqp_condition condition, const char *text)
{
    struct coordinator *c = txn->at;
    struct gnt_amqp_delivery *delivery = txn->discharge;
    gnt_terminus_owe(&c->t); /* what follows may end it */
    txn_free(txn);
    if (delivery && condition)
        reject(c, delivery, condition, text);
    else if (delivery)
        settle(c, delivery, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded);
    gnt_terminus_paid(&c->t);
}

static void on_committed(struct gnt_home *home, void *context, enum gnt_queue_result result)
{
    struct gnt_txn *txn = context;
    (void)home;
    txn->committing = false;
    txn_end(txn, result ? GNT_AMQP_TRANSACTION_ROLLBACK : GNT_AMQP_NO_CONDITION,
            gnt_queue_result_text(result));
}

static void roll_back(struct gnt_txn *txn)
{
    gnt_timer_cancel(timers_of(txn->at), &txn->due);
    if (txn->open)
        gnt_transaction_roll_back(&txn->open);
}

static void doom(struct gnt_txn *txn, enum gnt_amqp_condition why)
{
    if (!txn->doom)
        txn->doom = why;
    roll_back(txn);
}

/* Once it is discharged and nothing is to come any more. */
static void conclude(struct gnt_txn *txn)
{
    struct gnt_transaction *open = txn->open;
    if (!txn->discharged || txn->awaited || txn->committing)
        return;
    if (!open) {
        txn_end(txn, txn->doom, text_of(txn->doom));
        return;
    }
    gnt_timer_cancel(timers_of(txn->at), &txn->due);
    txn->open = NULL;
    txn->committing = true;
    gnt_transaction_commit(open, on_committed, txn);
}

static void on_due(struct gnt_timer *timer, uint64_t now)
{
    (void)now;
    doom(GNT_CONTAINER(timer, struct gnt_txn, due), GNT_AMQP_TRANSACTION_TIMEOUT);
}

struct sum {
    uint32_t transactions, parts;
    size_t bytes;
};

static struct sum sum_of(const struct gnt_amqp_peer *p)
{
    struct sum sum = {.bytes = 0};
    gnt_list_each (at, &p->coordinators) {
        struct coordinator *c = GNT_CONTAINER(at, struct coordinator, in_peer);
        gnt_list_each (link, &c->transactions) {
            const struct gnt_txn *txn = txn_at(link);
            sum.transactions++;
            sum.parts += txn->open ? gnt_transaction_count(txn->open) : 0;
            sum.bytes += txn->open ? gnt_transaction_bytes(txn->open) : 0;
        }
    }
    return sum;
}

static struct gnt_txn *txn_new(struct coordinator *c)
{
    struct gnt_amqp_front *front = c->t.front;
    const struct gnt_amqp_limits *l = &front->limits;
    struct gnt_txn *txn = calloc(1, sizeof *txn);
    if (!txn)
        return NULL;
    uint64_t due =
        gnt_deadline(front->loop->now, (uint64_t)l->transaction_timeout_ms * GNT_NS_PER_MS);
    txn->due.fire = on_due;
    if (gnt_transaction_new(front->home, &txn->open) ||
        (l->transaction_timeout_ms && gnt_loop_set_timer(front->loop, &txn->due, due))) {
        if (txn->open)
            gnt_transaction_roll_back(&txn->open);
        free(txn);
        return NULL;
    }
    if (++front->transactions == NOBODYS)
        front->transactions = 1;
    txn->id = front->transactions;
    txn->at = c;
    gnt_list_push_back(&c->transactions, &txn->link);
    gnt_terminus_owe(&c->t);
    return txn;
}

/* ---- Requests */

static struct gnt_slice put_id(uint32_t id, uint8_t bytes[GNT_TXN_ID_SIZE])
{
    for (int i = 0; i < GNT_TXN_ID_SIZE; i++)
        bytes[i] = (uint8_t)(id >> (8 * (GNT_TXN_ID_SIZE - 1 - i)));
    return gnt_slice(bytes, GNT_TXN_ID_SIZE);
}

static void declare(struct coordinator *c, struct gnt_amqp_delivery *delivery,
                    struct gnt_slice encoded)
{
    struct gnt_amqp_declare said;
    struct gnt_amqp_declared declared = {.has.txn_id = true};
    uint8_t bytes[GNT_TXN_STATE_SIZE], id[GNT_TXN_ID_SIZE];
    if (gnt_amqp_decode_declare(encoded, &said)) {
        reject(c, delivery, GNT_AMQP_DECODE_ERROR, text_of(GNT_AMQP_DECODE_ERROR));
        return;
    }
    if (said.has.global_id) {
        reject(c, delivery, GNT_AMQP_NOT_IMPLEMENTED, text_of(GNT_AMQP_NOT_IMPLEMENTED));
        return;
    }
    bool room = sum_of(c->t.peer).transactions < c->t.front->limits.transactions;
    struct gnt_txn *txn = room ? txn_new(c) : NULL;
    if (!txn) {
        reject(c, delivery, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
               text_of(GNT_AMQP_RESOURCE_LIMIT_EXCEEDED));
        return;
    }
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    declared.txn_id = put_id(txn->id, id);
    gnt_amqp_put_declared(&w, &declared);
    settle(c, delivery, gnt_amqp_written(&w));
}

static struct gnt_txn *find(const struct coordinator *c, uint32_t id)
{
    gnt_list_each (link, &c->transactions) {
        struct gnt_txn *txn = txn_at(link);
        if (txn->id == id)
            return txn;
    }
    return NULL;
}

/* Whatever is none of ours is NOBODYS. */
static uint32_t read_id(struct gnt_slice bytes)
{
    struct gnt_reader r = gnt_reader(bytes);
    uint32_t id = gnt_read_u32(&r);
    return bytes.size == GNT_TXN_ID_SIZE && id ? id : NOBODYS;
}

static void discharge(struct coordinator *c, struct gnt_amqp_delivery *delivery, bool settled,
                      struct gnt_slice encoded)
{
    struct gnt_amqp_discharge said;
    if (gnt_amqp_decode_discharge(encoded, &said)) {
        reject(c, settled ? NULL : delivery, GNT_AMQP_DECODE_ERROR, text_of(GNT_AMQP_DECODE_ERROR));
        return;
    }
    struct gnt_txn *txn = find(c, read_id(said.txn_id));
    if (!txn || txn->discharged) {
        reject(c, settled ? NULL : delivery, GNT_AMQP_TRANSACTION_UNKNOWN_ID,
               text_of(GNT_AMQP_TRANSACTION_UNKNOWN_ID));
        return;
    }
    txn->discharged = true;
    txn->discharge = settled ? NULL : delivery;
    if (!settled)
        delivery->context = txn;
    if (said.fail) {
        roll_back(txn);
        txn->doom = GNT_AMQP_NO_CONDITION; /* that is what is wanted */
    }
    conclude(txn);
}

static void act(struct coordinator *c, struct gnt_amqp_delivery *delivery, bool settled,
                struct gnt_slice encoded)
{
    struct gnt_amqp_message m;
    struct gnt_amqp_value value = {.type = GNT_AMQP_NULL};
    bool read = !gnt_amqp_message_split(encoded, &m) && m.body_kind == GNT_AMQP_VALUE &&
                gnt_amqp_section(m.body, &value);
    enum gnt_amqp_descriptor code = read ? gnt_amqp_code_of(value.encoded) : 0;
    if (code == GNT_AMQP_DISCHARGE)
        discharge(c, delivery, settled, value.encoded);
    else if (code != GNT_AMQP_DECLARE)
        reject(c, settled ? NULL : delivery, GNT_AMQP_DECODE_ERROR, text_of(GNT_AMQP_DECODE_ERROR));
    else if (settled) /* [AMQP 4.5.2] */
        gnt_terminus_end(&c->t, GNT_AMQP_NOT_ALLOWED, "a declare that came settled has no answer");
    else
        declare(c, delivery, value.encoded);
}

static void give_credit(struct coordinator *c)
{
    if (!c->t.link || c->t.link->credit > WINDOW / 2)
        return;
    gnt_amqp_link_credit(c->t.link, WINDOW, false);
    gnt_amqp_peer_dirty(c->t.peer);
}

static void coordinator_transfer(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    struct coordinator *c = coordinator_of(t);
    if (event->first || event->aborted)
        gnt_buf_clear(&c->partial);
    if (event->aborted)
        return;
    if (gnt_buf_size(&c->partial) + event->payload.size > REQUEST_MAX) {
        gnt_terminus_end(t, GNT_AMQP_LINK_MESSAGE_SIZE_EXCEEDED, "no request is that long");
        return;
    }
    if (gnt_buf_put(&c->partial, event->payload)) {
        gnt_amqp_peer_broke(t->peer, GNT_NOMEM);
        return;
    }
    if (!event->last)
        return;
    gnt_terminus_owe(t);
    act(c, event->delivery, event->delivery->settled || event->settled, gnt_buf_slice(&c->partial));
    gnt_buf_fini(&c->partial);
    give_credit(c);
    gnt_terminus_paid(t);
}

/* The peer does not wait for the outcome any more. */
static void coordinator_disposition(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    struct gnt_txn *txn = event->delivery->context;
    (void)t;
    if (txn && event->settled)
        txn->discharge = NULL;
}

/* ---- Its life */

/* What is not discharged is rolled back [AMQP 4.3]; who asked is not told any more. */
static void coordinator_leave(struct gnt_terminus *t, bool failed)
{
    struct coordinator *c = coordinator_of(t);
    (void)failed;
    gnt_list_remove(&c->in_peer);
    gnt_list_each_safe (link, &c->transactions) {
        struct gnt_txn *txn = txn_at(link);
        txn->discharge = NULL;
        if (!txn->discharged)
            roll_back(txn);
        txn->discharged = true;
        conclude(txn);
    }
}

static void coordinator_free(struct gnt_terminus *t)
{
    struct coordinator *c = coordinator_of(t);
    gnt_buf_fini(&c->partial);
    free(c);
}

static const struct gnt_terminus_kind coordinator_kind = {
    .transfer = coordinator_transfer,
    .disposition = coordinator_disposition,
    .leave = coordinator_leave,
    .free = coordinator_free,
};

/* A source that names its outcomes, and not this one, knows none but those. */
static bool knows_rejected(const struct gnt_wanted *wanted)
{
    struct gnt_amqp_source source;
    if (!wanted->source_bytes.size || gnt_amqp_decode_source(wanted->source_bytes, &source) ||
        !source.has.outcomes)
        return true;
    struct gnt_amqp_items symbols = gnt_amqp_symbols(&source.outcomes);
    for (struct gnt_slice one; gnt_amqp_next_symbol(&symbols, &one);)
        if (gnt_slice_eq_str(one, "amqp:rejected:list"))
            return true;
    return false;
}

gnt_err gnt_coordinator_new(struct gnt_amqp_peer *p, struct gnt_wanted *wanted,
                            struct gnt_terminus **out)
{
    struct coordinator *c = calloc(1, sizeof *c);
    if (!c)
        return GNT_NOMEM;
    wanted->coordinator = true;
    gnt_list_init(&c->transactions);
    c->rejects = knows_rejected(wanted);
    gnt_err err = gnt_attach_answer(p, wanted, gnt_slice(NULL, 0));
    if (err) {
        free(c);
        return err;
    }
    gnt_terminus_init(&c->t, &coordinator_kind, p, wanted->link);
    gnt_list_push_back(&p->coordinators, &c->in_peer);
    give_credit(c);
    *out = &c->t;
    return GNT_OK;
}

/* ---- What links have to do with them */

uint32_t gnt_txn_said(const struct gnt_amqp_value *state, struct gnt_amqp_value *outcome)
{
    struct gnt_amqp_transactional_state said;
    if (state->type == GNT_AMQP_NULL ||
        gnt_amqp_code_of(state->encoded) != GNT_AMQP_TRANSACTIONAL_STATE)
        return 0;
    if (gnt_amqp_decode_transactional_state(state->encoded, &said))
        return NOBODYS;
    if (outcome)
        *outcome = said.outcome;
    return read_id(said.txn_id);
}

struct gnt_txn *gnt_txn_find(const struct gnt_amqp_peer *p, uint32_t id)
{
    struct gnt_txn *txn = NULL;
    gnt_list_each (at, &p->coordinators)
        if ((txn = find(GNT_CONTAINER(at, struct coordinator, in_peer), id)))
            break;
    return txn && !txn->discharged ? txn : NULL;
}

struct gnt_slice gnt_txn_accepted(uint32_t id, uint8_t bytes[GNT_TXN_STATE_SIZE])
{
    uint8_t id_bytes[GNT_TXN_ID_SIZE];
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, GNT_TXN_STATE_SIZE);
    struct gnt_amqp_transactional_state state = {.txn_id = put_id(id, id_bytes)};
    state.has.txn_id = true;
    GNT_AMQP_SET(&state, outcome, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED));
    gnt_amqp_put_transactional_state(&w, &state);
    GNT_ASSERT(gnt_amqp_fits(&w));
    return gnt_amqp_written(&w);
}

/* Whether there may be one more, with SIZE bytes. */
static gnt_err may_grow(const struct gnt_txn *txn, size_t size)
{
    const struct gnt_amqp_limits *l = &txn->at->t.front->limits;
    if (!txn->open || !txn->at->t.peer)
        return GNT_STATE;
    struct sum sum = sum_of(txn->at->t.peer);
    return sum.parts >= l->transaction_parts || sum.bytes + size > l->transaction_bytes ? GNT_FULL
                                                                                        : GNT_OK;
}

gnt_err gnt_txn_post(struct gnt_txn *txn, uint64_t queue, struct gnt_sending *sending)
{
    gnt_err err = may_grow(txn, sending->message->payload.size);
    return err ? err : gnt_transaction_post(txn->open, queue, sending);
}

gnt_err gnt_txn_publish(struct gnt_txn *txn, struct gnt_message **message)
{
    gnt_err err = may_grow(txn, (*message)->payload.size);
    return err ? err : gnt_transaction_publish(txn->open, message);
}

gnt_err gnt_txn_retire(struct gnt_txn *txn, const struct gnt_retiring *retiring,
                       struct gnt_part **out)
{
    gnt_err err = may_grow(txn, retiring->settling.annotations.size);
    return err ? err : gnt_transaction_retire(txn->open, retiring, out);
}

void gnt_txn_spoil(struct gnt_txn *txn)
{
    doom(txn, GNT_AMQP_TRANSACTION_ROLLBACK);
}

void gnt_txn_await(struct gnt_txn *txn)
{
    txn->awaited++;
}

void gnt_txn_awaited(struct gnt_txn *txn)
{
    txn->awaited--;
    conclude(txn);
}

uint32_t gnt_txn_id(const struct gnt_txn *txn)
{
    return txn->id;
}
