/* Transactions [AMQP 4]: a sender to the peer's coordinator, whose messages declare and discharge
 * them. */
#include "client/amqp/client.h"

#include <stdlib.h>

/* ---- States of deliveries that are part of one */

struct state {
    const gnatter_amqp_transaction *transaction;
    struct gnt_slice outcome;
};

static void put_state(struct gnt_amqp_writer *w, const void *context)
{
    const struct state *s = context;
    struct gnt_amqp_transactional_state frame = {0};
    GNT_AMQP_SET(&frame, txn_id, gnt_slice(s->transaction->id, s->transaction->id_size));
    if (s->outcome.size)
        GNT_AMQP_SET(&frame, outcome, gnt_amqp_encoded(s->outcome));
    gnt_amqp_put_transactional_state(w, &frame);
}

gnt_err gnt_transaction_state(const gnatter_amqp_transaction *t, struct gnt_slice outcome,
                              struct gnt_buf *out)
{
    const struct state s = {t, outcome};
    return gnt_put_into(out, put_state, &s);
}

void gnt_transactions_lost(gnatter_amqp_session *session)
{
    gnt_list_each (node, &session->transactions)
        GNT_CONTAINER(node, struct gnatter_amqp_transaction, in_session)->lost = true;
}

void gnt_transaction_free(gnatter_amqp_transaction *t)
{
    gnt_list_remove(&t->in_session);
    free(t);
}

/* ---- What is said to the coordinator: a value that is a composite */

static void put_declare(struct gnt_amqp_writer *w, const void *context)
{
    (void)context;
    gnt_amqp_put_descriptor(w, GNT_AMQP_VALUE);
    gnt_amqp_put_declare(w, &(struct gnt_amqp_declare){0});
}

static void put_discharge(struct gnt_amqp_writer *w, const void *context)
{
    gnt_amqp_put_descriptor(w, GNT_AMQP_VALUE);
    gnt_amqp_put_discharge(w, context);
}

static gnt_err new_coordinator(gnatter_amqp *c, gnatter_amqp_session *session)
{
    const struct gnatter_amqp_link link = {.session = session};
    gnatter_amqp_sender *s = calloc(1, sizeof *s);
    if (!s)
        return GNT_NOMEM;
    gnt_sender_init(s);
    s->end.coordinates = true;
    gnt_err err = gnt_end_init(&s->end, c, &link, true);
    if (err) {
        gnt_end_fini(&s->end);
        free(s);
        return err;
    }
    session->coordinator = s;
    return GNT_OK;
}

/* With the lock: says what PUT puts, and waits for the answer. */
static int ask(gnatter_amqp_session *session,
               void (*put)(struct gnt_amqp_writer *w, const void *context), const void *context,
               struct gnt_waiter *w, uint64_t deadline)
{
    const struct gnt_send_request request = {.waiter = w};
    struct gnt_buf bytes = {0};
    gnatter_amqp_message *m = NULL;
    struct gnt_sending *sending = NULL;
    int err = gnt_put_into(&bytes, put, context);
    if (!err)
        err = gnatter_amqp_decode(gnt_buf_slice(&bytes).data, gnt_buf_size(&bytes), &m);
    if (!err)
        err = gnt_sender_queue(session->coordinator, m, &request, &sending);
    if (!err)
        err = gnt_sender_wait(session->coordinator, sending, w, deadline);
    gnatter_amqp_message_free(m);
    gnt_buf_fini(&bytes);
    return err;
}

/* ---- The public functions */

static gnt_err transaction_new(gnatter_amqp_session *session, const struct gnt_waiter *w,
                               gnatter_amqp_transaction **out)
{
    gnatter_amqp_transaction *t = calloc(1, sizeof *t);
    if (!t)
        return GNT_NOMEM;
    t->session = session;
    t->id_size = (uint8_t)w->declared_size;
    memcpy(t->id, w->declared, w->declared_size);
    gnt_list_init(&t->in_session);
    gnt_list_push_back(&session->transactions, &t->in_session);
    *out = t;
    return GNT_OK;
}

static int declare(gnatter_amqp *c, gnatter_amqp_session *session, uint64_t deadline,
                   struct gnt_waiter *w, gnatter_amqp_transaction **out)
{
    int err = gnt_amqp_client_session(c, &session);
    if (!err && session->coordinator && session->coordinator->end.state == GNT_END_ENDED)
        session->coordinator = NULL; /* refused once: it is freed with the connection */
    if (!err && !session->coordinator)
        err = new_coordinator(c, session);
    if (!err)
        err = ask(session, put_declare, NULL, w, deadline);
    if (!err && !w->declared_size)
        err = GNT_PROTOCOL;
    return err ? err : transaction_new(session, w, out);
}

int gnatter_amqp_declare(gnatter_amqp *c, gnatter_amqp_session *session, uint32_t timeout_ms,
                         gnatter_amqp_transaction **out, struct gnatter_amqp_error *why)
{
    const uint64_t deadline = gnt_thread_wait_deadline(timeout_ms);
    struct gnt_waiter w = {.done = false};
    if (gnt_thread_in_callback(c->thread))
        return GNT_STATE;
    pthread_mutex_lock(&c->thread->lock);
    int err = declare(c, session, deadline, &w, out);
    pthread_mutex_unlock(&c->thread->lock);
    if (why)
        *why = w.outcome.why;
    return err;
}

int gnatter_amqp_post(gnatter_amqp_transaction *t, gnatter_amqp_sender *s,
                      const gnatter_amqp_message *m, gnatter_amqp_on_outcome *done, void *context)
{
    const struct gnt_send_request request = {.transaction = t, .done = done, .context = context};
    struct gnt_sending *sending;
    pthread_mutex_lock(&s->end.amqp->thread->lock);
    gnt_err err =
        s->end.session == t->session ? gnt_sender_queue(s, m, &request, &sending) : GNT_INVALID;
    t->posting += !err;
    pthread_mutex_unlock(&s->end.amqp->thread->lock);
    return err;
}

int gnatter_amqp_retire(gnatter_amqp_delivery *d, gnatter_amqp_transaction *t)
{
    struct gnt_thread *thread = d->thread;
    struct gnt_buf state = {0};
    pthread_mutex_lock(&thread->lock);
    gnt_err err = t->lost ? GNT_CLOSED : GNT_OK;
    if (!err)
        err = gnt_transaction_state(t, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded, &state);
    if (err)
        gnt_delivery_end(d);
    else
        err = (gnt_err)gnt_delivery_settle(d, gnt_buf_slice(&state));
    t->broken = t->broken || err;
    pthread_mutex_unlock(&thread->lock);
    gnt_buf_fini(&state);
    return err;
}

/* With the lock: waits until all that was posted has its outcome. */
static int settle_posts(gnatter_amqp_transaction *t, uint64_t deadline)
{
    gnatter_amqp *c = t->session->amqp;
    while (t->posting && !t->lost) {
        if (!gnt_thread_wait(c->thread, deadline))
            return GNT_TIMEOUT;
    }
    return t->lost ? GNT_CLOSED : GNT_OK;
}

/* With the lock. */
static int discharge(gnatter_amqp_transaction *t, bool roll_back, uint64_t deadline,
                     struct gnt_waiter *w)
{
    int err = settle_posts(t, deadline);
    if (err == GNT_CLOSED)
        return err;
    bool fail = roll_back || err || t->broken;
    struct gnt_amqp_discharge said = {0};
    GNT_AMQP_SET(&said, txn_id, gnt_slice(t->id, t->id_size));
    GNT_AMQP_SET(&said, fail, fail);
    int asked = ask(t->session, put_discharge, &said, w, deadline);
    if (!err)
        err = asked;
    return !err && fail && !roll_back ? GNT_REFUSED : err;
}

int gnatter_amqp_discharge(gnatter_amqp_transaction *t, bool roll_back, uint32_t timeout_ms,
                           struct gnatter_amqp_error *why)
{
    const uint64_t deadline = gnt_thread_wait_deadline(timeout_ms);
    gnatter_amqp *c = t->session->amqp;
    struct gnt_waiter w = {.done = false};
    if (gnt_thread_in_callback(c->thread))
        return GNT_STATE;
    pthread_mutex_lock(&c->thread->lock);
    int err = discharge(t, roll_back, deadline, &w);
    gnt_sender_forget(t);
    gnt_transaction_free(t);
    pthread_mutex_unlock(&c->thread->lock);
    if (why)
        *why = w.outcome.why;
    return err;
}
