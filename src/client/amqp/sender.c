/* Senders, and messages on their way.  A message waits in `waiting` until the engine has taken all
 * of it, then in `flying` until it has an outcome; a connection's end puts what flies back to the
 * front of what waits. */
#include "client/amqp/client.h"

#include <stdlib.h>

static struct gnt_sending *sending_in(struct gnt_list *node)
{
    return GNT_CONTAINER(node, struct gnt_sending, in_sender);
}

static void unref(void *context)
{
    struct gnt_sending *sending = context;
    if (--sending->references)
        return;
    free(sending->why);
    free(sending);
}

static void ref(void *context)
{
    ((struct gnt_sending *)context)->references++;
}

/* ---- Outcomes */

static void keep_why(struct gnt_sending *sending, struct gnt_slice error)
{
    sending->why = sending->why || !error.size ? sending->why : malloc(sizeof *sending->why);
    if (sending->why && error.size)
        gnt_amqp_client_keep_error(error, sending->why);
}

/* It is told, and forgotten then. */
static void decided(struct gnt_sending *sending)
{
    gnatter_amqp *c = sending->sender->end.amqp;
    if (sending->delivery)
        sending->delivery->context = NULL;
    sending->delivery = NULL;
    gnt_list_remove(&sending->in_sender);
    gnt_amqp_client_news(c, &sending->news, GNT_NEWS_OUTCOME);
}

static void fail(struct gnt_sending *sending, int error, const struct gnatter_amqp_error *why)
{
    sending->error = error;
    sending->outcome = GNATTER_AMQP_NO_STATE;
    if (why && !sending->why && (sending->why = malloc(sizeof *why)))
        *sending->why = *why;
    decided(sending);
}

static void keep_modified(struct gnt_sending *sending, const struct gnt_amqp_modified *modified)
{
    sending->delivery_failed = modified->delivery_failed;
    sending->undeliverable_here = modified->undeliverable_here;
}

static void keep_declared(struct gnt_sending *sending, struct gnt_slice id)
{
    struct gnt_waiter *w = sending->waiter;
    if (!w || id.size > sizeof w->declared)
        return;
    memcpy(w->declared, id.data, id.size);
    w->declared_size = id.size;
}

/* Whether STATE is an outcome, which is kept. */
static bool keep_state(struct gnt_sending *sending, struct gnt_slice state)
{
    struct gnt_amqp_composite s;
    if (!state.size || gnt_amqp_decode(state, &s))
        return false;
    sending->error = GNT_REFUSED;
    switch ((int)s.code) {
    case GNT_AMQP_DECLARED: keep_declared(sending, s.declared.txn_id); __attribute__((fallthrough));
    case GNT_AMQP_ACCEPTED:
        sending->outcome = GNATTER_AMQP_ACCEPTED;
        sending->error = GNT_OK;
        return true;
    case GNT_AMQP_REJECTED:
        sending->outcome = GNATTER_AMQP_REJECTED;
        if (s.rejected.has.error)
            keep_why(sending, s.rejected.error.encoded);
        return true;
    case GNT_AMQP_RELEASED: sending->outcome = GNATTER_AMQP_RELEASED; return true;
    case GNT_AMQP_MODIFIED:
        sending->outcome = GNATTER_AMQP_MODIFIED;
        keep_modified(sending, &s.modified);
        return true;
    default: sending->error = GNT_OK; return false;
    }
}

/* One that is part of a transaction has its outcome within. */
static struct gnt_slice inner_state(struct gnt_slice state)
{
    struct gnt_amqp_transactional_state t;
    if (state.size && gnt_amqp_code_of(state) == GNT_AMQP_TRANSACTIONAL_STATE &&
        !gnt_amqp_decode_transactional_state(state, &t))
        return t.has.outcome ? t.outcome.encoded : (struct gnt_slice){0};
    return state;
}

/* The peer's view has changed.  One that is not whole yet is sent to its end all the same. */
void gnt_sender_outcome(struct gnt_sending *sending, const struct gnt_amqp_event *event)
{
    struct gnt_amqp_delivery *d = event->delivery;
    bool outcome = keep_state(sending, inner_state(event->state.encoded));
    if (!outcome && !event->settled)
        return;
    sending->decided = true;
    if (!d->whole)
        return;
    decided(sending);
    if (!event->settled)
        (void)!gnt_amqp_delivery_settle(d, (struct gnt_slice){0}, true);
}

void gnt_sender_tell(gnatter_amqp *c, struct gnt_sending *sending)
{
    gnatter_amqp_sender *s = sending->sender;
    struct gnatter_amqp_outcome told = {
        .error = sending->error,
        .state = (enum gnatter_amqp_state)sending->outcome,
        .delivery_failed = sending->delivery_failed,
        .undeliverable_here = sending->undeliverable_here,
    };
    if (sending->why)
        told.why = *sending->why;
    if (sending->waiter) {
        sending->waiter->outcome = told;
        sending->waiter->done = true;
    }
    if (sending->transaction) {
        sending->transaction->posting--;
        sending->transaction->broken = sending->transaction->broken || sending->error;
    }
    c->queued_messages--;
    c->queued_bytes -= sending->size;
    if (sending->done) {
        pthread_mutex_unlock(&c->thread->lock);
        sending->done(s, &told, sending->context);
        pthread_mutex_lock(&c->thread->lock);
    }
    s->count--;
    pthread_cond_broadcast(&c->thread->changed);
    unref(sending);
}

void gnt_sender_fail_all(gnatter_amqp_sender *s, int error, const struct gnatter_amqp_error *why)
{
    gnt_list_splice_back(&s->flying, &s->waiting);
    while (!gnt_list_empty(&s->flying))
        fail(sending_in(s->flying.next), error, why);
}

/* The peer is to forget it as well: what is not whole keeps its link from sending anything else. */
static void give_up(struct gnt_amqp_delivery *d)
{
    if (d->whole)
        (void)!gnt_amqp_delivery_settle(d, (struct gnt_slice){0}, true);
    else
        (void)!gnt_amqp_delivery_abort(d);
}

static void forget(struct gnt_list *list, gnatter_amqp_transaction *t)
{
    gnt_list_each_safe (node, list) {
        struct gnt_sending *sending = sending_in(node);
        struct gnt_amqp_delivery *d = sending->delivery;
        if (sending->transaction != t)
            continue;
        sending->transaction = NULL;
        fail(sending, GNT_CLOSED, NULL);
        if (d)
            give_up(d);
    }
}

void gnt_sender_forget(gnatter_amqp_transaction *t)
{
    gnt_list_each (node, &t->session->ends) {
        struct gnt_end *e = GNT_CONTAINER(node, struct gnt_end, in_session);
        if (!e->sender)
            continue;
        forget(&gnt_sender_of(e)->waiting, t);
        forget(&gnt_sender_of(e)->flying, t);
    }
    gnt_list_each (node, &t->session->amqp->news) {
        struct gnt_news *news = GNT_CONTAINER(node, struct gnt_news, in);
        struct gnt_sending *sending = GNT_CONTAINER(news, struct gnt_sending, news);
        if (news->kind == GNT_NEWS_OUTCOME && sending->transaction == t)
            sending->transaction = NULL;
    }
    gnt_amqp_client_wake(t->session->amqp);
}

/* The connection is gone, or the link: what was on its way begins anew.  What has its outcome, or
 * was a part of a transaction, ends here. */
void gnt_sender_detached(gnatter_amqp_sender *s)
{
    gnt_list_splice_back(&s->flying, &s->waiting);
    gnt_list_splice_back(&s->waiting, &s->flying);
    gnt_list_each_safe (node, &s->waiting) {
        struct gnt_sending *sending = sending_in(node);
        sending->delivery = NULL;
        sending->sent = 0;
        if (sending->decided)
            decided(sending);
        else if (sending->transaction || s->end.coordinates)
            fail(sending, GNT_CLOSED, NULL);
    }
}

/* ---- Sending */

static gnt_err send_one(gnatter_amqp_sender *s, struct gnt_sending *sending)
{
    struct gnt_buf state = {0};
    uint8_t tag[8];
    for (int i = 0; i < 8; i++)
        tag[i] = (uint8_t)(sending->tag >> (56 - 8 * i));
    gnt_err err = GNT_OK;
    if (sending->transaction)
        err = gnt_transaction_state(sending->transaction, (struct gnt_slice){0}, &state);
    const struct gnt_amqp_sending how = {.tag = gnt_slice(tag, sizeof tag),
                                         .format = sending->format,
                                         .state = gnt_buf_slice(&state),
                                         .settled = s->end.settle == GNATTER_AMQP_SETTLED};
    const struct gnt_amqp_piece piece = {.bytes = gnt_slice(sending->payload + sending->sent,
                                                            sending->size - sending->sent),
                                         .keep = ref,
                                         .release = unref,
                                         .context = sending};
    size_t taken = 0;
    if (!err && s->end.coordinates) /* what has been retired is said before the discharge */
        err = gnt_amqp_connection_flush(&s->end.amqp->engine, gnt_now(&gnt_clock_system));
    if (!err)
        err = gnt_amqp_link_send(s->end.engine, &how, &piece, 1, &taken, &sending->delivery);
    gnt_buf_fini(&state);
    sending->sent += taken;
    if (sending->delivery)
        sending->delivery->context = sending;
    return err;
}

/* All of it has gone. */
static void sent(gnatter_amqp_sender *s, struct gnt_sending *sending)
{
    bool settled = s->end.settle == GNATTER_AMQP_SETTLED;
    struct gnt_amqp_delivery *d = sending->delivery;
    if (settled || sending->decided) {
        bool open = !settled && d && !d->settled;
        sending->delivery = NULL; /* settled and whole, it has ended */
        if (open)
            d->context = NULL;
        decided(sending);
        if (open)
            (void)!gnt_amqp_delivery_settle(d, (struct gnt_slice){0}, true);
        return;
    }
    gnt_list_remove(&sending->in_sender);
    gnt_list_push_back(&s->flying, &sending->in_sender);
}

gnt_err gnt_sender_work(gnatter_amqp_sender *s)
{
    while (!gnt_list_empty(&s->waiting)) {
        struct gnt_sending *sending = sending_in(s->waiting.next);
        gnt_err err = send_one(s, sending);
        if (err == GNT_OK)
            sent(s, sending);
        else if (err == GNT_TOOBIG || err == GNT_INVALID)
            fail(sending, err, NULL);
        else
            return err == GNT_NOMEM ? err : GNT_OK; /* later: MORE, FULL, STATE */
    }
    if (!gnt_list_linked(&s->wanted_news.in)) /* else the program has not been asked yet */
        gnt_amqp_link_drained(s->end.engine);
    return GNT_OK;
}

/* ---- For the program */

static gnt_err room_for(const gnatter_amqp *c, size_t size)
{
    bool fits = c->queued_messages < c->options.queue_messages &&
                size <= c->options.queue_bytes - c->queued_bytes;
    return fits ? GNT_OK : GNT_FULL;
}

gnt_err gnt_sender_queue(gnatter_amqp_sender *s, const gnatter_amqp_message *m,
                         const struct gnt_send_request *request, struct gnt_sending **out)
{
    gnatter_amqp *c = s->end.amqp;
    const size_t size = gnt_client_message_size(m);
    gnt_err err = gnt_client_message_failure(m);
    if (!err && size == 0)
        err = GNT_INVALID;
    if (!err && (c->dialer.quit || s->end.leaving))
        err = GNT_STATE;
    if (!err && s->end.state == GNT_END_ENDED)
        err = GNT_REFUSED;
    if (!err && request->transaction && request->transaction->lost)
        err = GNT_CLOSED;
    if (!err)
        err = room_for(c, size);
    if (err)
        return err;
    struct gnt_sending *sending = malloc(sizeof *sending + size);
    if (!sending)
        return GNT_NOMEM;
    *sending = (struct gnt_sending){.sender = s,
                                    .transaction = request->transaction,
                                    .done = request->done,
                                    .context = request->context,
                                    .waiter = request->waiter,
                                    .tag = ++s->tags,
                                    .references = 1,
                                    .format = gnatter_amqp_format(m),
                                    .size = size};
    gnt_client_message_write(m, sending->payload);
    gnt_list_init(&sending->in_sender);
    gnt_list_init(&sending->news.in);
    gnt_list_push_back(&s->waiting, &sending->in_sender);
    s->count++;
    c->queued_messages++;
    c->queued_bytes += size;
    gnt_amqp_client_touch(c);
    *out = sending;
    return GNT_OK;
}

/* While nobody wants a connection, no outcome will come. */
int gnt_sender_wait(gnatter_amqp_sender *s, struct gnt_sending *sending, struct gnt_waiter *w,
                    uint64_t deadline)
{
    gnatter_amqp *c = s->end.amqp;
    bool late = false;
    while (!w->done && !late && !gnt_dialer_at_rest(&c->dialer))
        late = !gnt_thread_wait(c->thread, deadline);
    if (w->done)
        return w->outcome.error;
    sending->waiter = NULL; /* the message goes on without us */
    return late ? GNT_TIMEOUT : gnt_dialer_why(&c->dialer);
}

void gnt_sender_init(gnatter_amqp_sender *s)
{
    gnt_list_init(&s->waiting);
    gnt_list_init(&s->flying);
    gnt_list_init(&s->wanted_news.in);
}

void gnt_sender_free(gnatter_amqp_sender *s)
{
    gnt_list_remove(&s->wanted_news.in);
    free(s->reply_to);
    free(s);
}

static gnt_err sender_new(gnatter_amqp *c, const struct gnatter_amqp_link *link,
                          gnatter_amqp_sender **out)
{
    gnatter_amqp_sender *s = calloc(1, sizeof *s);
    if (!s)
        return GNT_NOMEM;
    gnt_sender_init(s);
    gnt_err err = gnt_end_init(&s->end, c, link, true);
    if (err) {
        gnt_end_fini(&s->end);
        free(s);
        return err;
    }
    *out = s;
    return GNT_OK;
}

int gnatter_amqp_sender_new(gnatter_amqp *c, const struct gnatter_amqp_link *link,
                            gnatter_amqp_sender **out)
{
    pthread_mutex_lock(&c->thread->lock);
    gnt_err err = sender_new(c, link, out);
    pthread_mutex_unlock(&c->thread->lock);
    return err;
}

void gnatter_amqp_sender_free(gnatter_amqp_sender *s)
{
    if (s)
        gnt_end_leave(&s->end);
}

int gnatter_amqp_sender_ready(gnatter_amqp_sender *s, uint32_t timeout_ms)
{
    return gnt_end_ready(&s->end, timeout_ms);
}

void gnatter_amqp_sender_get_info(gnatter_amqp_sender *s, struct gnatter_amqp_link_info *out)
{
    pthread_mutex_lock(&s->end.amqp->thread->lock);
    gnt_end_info(&s->end, out);
    out->waiting = s->count;
    pthread_mutex_unlock(&s->end.amqp->thread->lock);
}

int gnatter_amqp_send(gnatter_amqp_sender *s, const gnatter_amqp_message *m,
                      gnatter_amqp_on_outcome *done, void *context)
{
    const struct gnt_send_request request = {.done = done, .context = context};
    struct gnt_sending *sending;
    pthread_mutex_lock(&s->end.amqp->thread->lock);
    gnt_err err = gnt_sender_queue(s, m, &request, &sending);
    pthread_mutex_unlock(&s->end.amqp->thread->lock);
    return err;
}

int gnatter_amqp_send_wait(gnatter_amqp_sender *s, const gnatter_amqp_message *m,
                           uint32_t timeout_ms, struct gnatter_amqp_outcome *outcome)
{
    const uint64_t deadline = gnt_thread_wait_deadline(timeout_ms);
    gnatter_amqp *c = s->end.amqp;
    struct gnt_waiter w = {.done = false};
    const struct gnt_send_request request = {.waiter = &w};
    struct gnt_sending *sending;
    if (gnt_thread_in_callback(c->thread))
        return GNT_STATE;
    pthread_mutex_lock(&c->thread->lock);
    int err = gnt_sender_queue(s, m, &request, &sending);
    if (err == GNT_REFUSED)
        w.outcome.why = s->end.why;
    if (!err)
        err = gnt_sender_wait(s, sending, &w, deadline);
    pthread_mutex_unlock(&c->thread->lock);
    w.outcome.error = err;
    if (outcome)
        *outcome = w.outcome;
    return err;
}

int gnatter_amqp_sender_flush(gnatter_amqp_sender *s, uint32_t timeout_ms)
{
    const uint64_t deadline = gnt_thread_wait_deadline(timeout_ms);
    gnatter_amqp *c = s->end.amqp;
    int err = GNT_OK;
    if (gnt_thread_in_callback(c->thread))
        return GNT_STATE;
    pthread_mutex_lock(&c->thread->lock);
    while (s->count && !err) {
        if (gnt_dialer_at_rest(&c->dialer))
            err = gnt_dialer_why(&c->dialer);
        else if (!gnt_thread_wait(c->thread, deadline))
            err = GNT_TIMEOUT;
    }
    pthread_mutex_unlock(&c->thread->lock);
    return err;
}
