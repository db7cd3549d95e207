/* Receivers: what comes, how much may come, and what becomes of it. */
#include "client/amqp/container.h"

#include <stdlib.h>

enum { CREDIT = 100 };

/* ---- Deliveries */

/* What the program has never seen did not use up the credit that it gave by hand. */
static void give_credit_back(gnatter_amqp_receiver *r)
{
    r->left += r->manual && r->left < INT32_MAX;
}

/* It is nobody's any more. */
void gnt_delivery_end(gnatter_amqp_delivery *d)
{
    gnatter_amqp_receiver *r = d->receiver;
    if (d->engine)
        d->engine->context = NULL;
    if (r && gnt_list_linked(&d->in_waiting))
        r->waiting_count--;
    if (r && r->partial == d)
        r->partial = NULL;
    if (r)
        r->held--;
    if (r && !d->taken)
        give_credit_back(r);
    gnt_list_remove(&d->in_waiting);
    gnt_list_remove(&d->in_amqp);
    gnt_list_remove(&d->news.in);
    gnatter_amqp_message_free(d->message);
    gnt_buf_fini(&d->bytes);
    free(d);
}

static gnatter_amqp_delivery *delivery_new(gnatter_amqp_receiver *r,
                                           const struct gnt_amqp_delivery *engine)
{
    gnatter_amqp_delivery *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->thread = r->end.amqp->thread;
    d->amqp = r->end.amqp;
    d->receiver = r;
    d->second = r->end.settle == GNATTER_AMQP_SECOND;
    d->tag_size = engine->tag_size;
    memcpy(d->tag, engine->tag, engine->tag_size);
    gnt_list_init(&d->in_waiting);
    gnt_list_init(&d->news.in);
    gnt_list_init(&d->in_amqp);
    gnt_list_push_back(&d->amqp->deliveries, &d->in_amqp);
    r->held++;
    return d;
}

/* A message that cannot be read is invalid for good. */
static void reject_malformed(struct gnt_amqp_delivery *engine)
{
    uint8_t bytes[128], state[160];
    struct gnt_amqp_error error = {0};
    struct gnt_amqp_rejected rejected = {0};
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    GNT_AMQP_SET(&error, condition, gnt_amqp_condition_symbol(GNT_AMQP_DECODE_ERROR));
    gnt_amqp_put_error(&w, &error);
    GNT_AMQP_SET(&rejected, error, gnt_amqp_encoded(gnt_amqp_written(&w)));
    w = gnt_amqp_writer(state, sizeof state);
    gnt_amqp_put_rejected(&w, &rejected);
    (void)!gnt_amqp_delivery_settle(engine, gnt_amqp_written(&w), true);
}

/* The bytes of D as one allocation that a message can take. */
static gnt_err read_message(gnatter_amqp_delivery *d, uint32_t format)
{
    struct gnt_slice all = gnt_buf_slice(&d->bytes);
    uint8_t *bytes = d->bytes.data;
    if (!bytes)
        return GNT_MALFORMED;
    d->bytes =
        (struct gnt_buf){0}; /* nothing was taken off its front: it begins where `all` does */
    gnt_err err = gnt_client_message_received(&bytes, all.size, format, &d->message);
    free(bytes);
    return err;
}

static void whole(gnatter_amqp_receiver *r, gnatter_amqp_delivery *d,
                  const struct gnt_amqp_event *event)
{
    struct gnt_amqp_delivery *engine = event->delivery;
    r->partial = NULL;
    d->settled = event->settled;
    if (event->settled)
        d->engine = NULL;
    if (read_message(d, engine->format)) {
        gnt_delivery_end(d);
        if (!event->settled)
            reject_malformed(engine);
        return;
    }
    if (r->on_message || r->end.node) {
        gnt_amqp_client_news(r->end.amqp, &d->news, GNT_NEWS_MESSAGE);
        return;
    }
    gnt_list_push_back(&r->waiting, &d->in_waiting);
    r->waiting_count++;
    pthread_cond_broadcast(&r->end.amqp->thread->changed);
}

/* Without memory the delivery is given back. */
static void give_up(gnatter_amqp_receiver *r, struct gnt_amqp_delivery *engine)
{
    if (r->partial)
        gnt_delivery_end(r->partial);
    else
        give_credit_back(r);
    engine->context = NULL;
    struct gnt_amqp_value released = gnt_amqp_fieldless(GNT_AMQP_RELEASED);
    (void)!gnt_amqp_delivery_settle(engine, released.encoded, true);
}

void gnt_receiver_transfer(gnatter_amqp_receiver *r, const struct gnt_amqp_event *event)
{
    struct gnt_amqp_delivery *engine = event->delivery;
    if (event->first) {
        r->left -= r->left ? 1 : 0;
        r->partial = delivery_new(r, engine);
        engine->context = r->partial;
        if (r->partial)
            r->partial->engine = engine;
    }
    gnatter_amqp_delivery *d = engine->context;
    if (event->aborted) {
        if (d)
            gnt_delivery_end(d);
    } else if (!d || gnt_buf_put(&d->bytes, event->payload)) {
        give_up(r, engine);
    } else if (event->last) {
        whole(r, d, event);
    }
}

void gnt_receiver_tell(gnatter_amqp *c, gnatter_amqp_delivery *d)
{
    gnatter_amqp_receiver *r = d->receiver;
    gnatter_amqp_on_message *on_message = r->on_message;
    void *context = r->end.context;
    d->taken = true;
    if (r->end.node) {
        gnt_guest_given(d);
        return;
    }
    pthread_mutex_unlock(&c->thread->lock);
    on_message(r, d, context);
    pthread_mutex_lock(&c->thread->lock);
}

/* ---- Credit */

static uint32_t wanted(const gnatter_amqp_receiver *r)
{
    if (r->manual)
        return r->left;
    return r->target > r->held ? r->target - r->held : 0;
}

static void drained(gnatter_amqp_receiver *r)
{
    r->draining = false;
    r->left = r->target = 0;
    pthread_cond_broadcast(&r->end.amqp->thread->changed);
}

/* Asked for once, until all of the credit is gone. */
static void drain(gnatter_amqp_receiver *r)
{
    struct gnt_amqp_link *link = r->end.engine;
    const uint32_t credit = link->credit ? link->credit : wanted(r);
    const bool asked = r->drain_asked && link->drain; /* and not what is left of the last time */
    if (credit == 0 || (asked && link->credit == 0)) {
        drained(r);
    } else if (!asked) {
        gnt_amqp_link_credit(link, credit, true);
        r->drain_asked = true;
    }
}

/* Credit is given again when half of it has been used, as each time takes a frame. */
void gnt_receiver_work(gnatter_amqp_receiver *r)
{
    struct gnt_amqp_link *link = r->end.engine;
    if (r->draining && r->end.state == GNT_END_ATTACHED)
        drain(r);
    if (r->draining)
        return;
    const uint32_t want = wanted(r), have = link->credit;
    const uint32_t step = r->manual ? 1 : r->target / 2;
    bool more = want > have && (have == 0 || want - have >= step);
    if (want < have || more || link->drain)
        gnt_amqp_link_credit(link, want, false);
}

/* ---- The end of a connection, and of a receiver */

/* What nobody has taken yet comes again, unless it came settled. */
void gnt_receiver_detached(gnatter_amqp_receiver *r)
{
    gnatter_amqp *c = r->end.amqp;
    gnt_list_each_safe (node, &c->deliveries) {
        gnatter_amqp_delivery *d = GNT_CONTAINER(node, struct gnatter_amqp_delivery, in_amqp);
        bool untaken = gnt_list_linked(&d->in_waiting) || gnt_list_linked(&d->news.in);
        if (d->receiver != r)
            continue;
        d->engine = NULL;
        if (d == r->partial || (untaken && !d->settled))
            gnt_delivery_end(d);
    }
}

void gnt_receiver_left(gnatter_amqp_receiver *r)
{
    gnatter_amqp *c = r->end.amqp;
    gnt_list_each_safe (node, &c->deliveries) {
        gnatter_amqp_delivery *d = GNT_CONTAINER(node, struct gnatter_amqp_delivery, in_amqp);
        if (d->receiver != r)
            continue;
        if (gnt_list_linked(&d->in_waiting) || gnt_list_linked(&d->news.in))
            gnt_delivery_end(d);
        else
            d->receiver = NULL;
    }
}

/* ---- Settling */

int gnt_delivery_settle(gnatter_amqp_delivery *d, struct gnt_slice state)
{
    gnatter_amqp *c = d->amqp;
    struct gnt_amqp_delivery *engine = d->engine;
    bool settled = d->settled, second = d->second;
    gnt_delivery_end(d);
    if (c)
        gnt_amqp_client_wake(c);
    if (settled)
        return GNT_OK;
    if (!engine)
        return GNT_CLOSED;
    gnt_err err = gnt_amqp_delivery_settle(engine, state, !second);
    return err == GNT_STATE ? GNT_CLOSED : err;
}

static int settle(gnatter_amqp_delivery *d, struct gnt_slice state)
{
    struct gnt_thread *t = d->thread;
    pthread_mutex_lock(&t->lock);
    int err = gnt_delivery_settle(d, state);
    pthread_mutex_unlock(&t->lock);
    return err;
}

int gnatter_amqp_accept(gnatter_amqp_delivery *d)
{
    return settle(d, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded);
}

int gnatter_amqp_release(gnatter_amqp_delivery *d)
{
    return settle(d, gnt_amqp_fieldless(GNT_AMQP_RELEASED).encoded);
}

static void put_error(struct gnt_amqp_writer *w, const void *context)
{
    gnt_amqp_put_error(w, context);
}

static void put_rejected(struct gnt_amqp_writer *w, const void *context)
{
    gnt_amqp_put_rejected(w, context);
}

static void put_modified(struct gnt_amqp_writer *w, const void *context)
{
    gnt_amqp_put_modified(w, context);
}

/* With STATE if it could be made, else given back. */
static int settle_with(gnatter_amqp_delivery *d, gnt_err err, const struct gnt_buf *state)
{
    int settled = err ? gnatter_amqp_release(d) : settle(d, gnt_buf_slice(state));
    return err ? (int)err : settled;
}

int gnatter_amqp_reject(gnatter_amqp_delivery *d, const char *condition, const char *description)
{
    struct gnt_amqp_error error = {0};
    struct gnt_amqp_rejected rejected = {0};
    struct gnt_buf bytes = {0}, state = {0};
    gnt_err err = GNT_OK;
    if (condition || description) {
        struct gnt_slice unnamed = gnt_amqp_condition_symbol(GNT_AMQP_PRECONDITION_FAILED);
        GNT_AMQP_SET(&error, condition, condition ? gnt_slice_str(condition) : unnamed);
        if (description)
            GNT_AMQP_SET(&error, description, gnt_slice_str(description));
        err = gnt_put_into(&bytes, put_error, &error);
        GNT_AMQP_SET(&rejected, error, gnt_amqp_encoded(gnt_buf_slice(&bytes)));
    }
    if (!err && rejected.has.error && !gnt_amqp_valid(gnt_buf_slice(&bytes)))
        err = GNT_INVALID;
    if (!err)
        err = gnt_put_into(&state, put_rejected, &rejected);
    int result = settle_with(d, err, &state);
    gnt_buf_fini(&bytes);
    gnt_buf_fini(&state);
    return result;
}

int gnatter_amqp_modify(gnatter_amqp_delivery *d, bool failed, bool undeliverable_here,
                        const struct gnatter_amqp_value *annotations)
{
    struct gnt_amqp_modified modified = {0};
    struct gnt_buf map = {0}, state = {0};
    gnt_err err = GNT_OK;
    if (failed)
        GNT_AMQP_SET(&modified, delivery_failed, true);
    if (undeliverable_here)
        GNT_AMQP_SET(&modified, undeliverable_here, true);
    if (annotations) {
        err = annotations->type == GNATTER_AMQP_MAP ? gnt_value_encode(annotations, &map)
                                                    : GNT_INVALID;
        GNT_AMQP_SET(&modified, message_annotations, gnt_amqp_encoded(gnt_buf_slice(&map)));
    }
    if (!err)
        err = gnt_put_into(&state, put_modified, &modified);
    int result = settle_with(d, err, &state);
    gnt_buf_fini(&map);
    gnt_buf_fini(&state);
    return result;
}

void gnatter_amqp_delivery_free(gnatter_amqp_delivery *d)
{
    if (!d)
        return;
    struct gnt_thread *t = d->thread;
    pthread_mutex_lock(&t->lock);
    gnatter_amqp *c = d->amqp;
    gnt_delivery_end(d);
    if (c)
        gnt_amqp_client_wake(c);
    pthread_mutex_unlock(&t->lock);
}

gnatter_amqp_message *gnatter_amqp_delivery_message(gnatter_amqp_delivery *d)
{
    return d->message;
}

void gnatter_amqp_delivery_get_info(gnatter_amqp_delivery *d,
                                    struct gnatter_amqp_delivery_info *out)
{
    pthread_mutex_lock(&d->thread->lock);
    *out = (struct gnatter_amqp_delivery_info){.receiver = d->receiver,
                                               .tag = {d->tag, d->tag_size},
                                               .settled = d->settled};
    pthread_mutex_unlock(&d->thread->lock);
}

/* ---- For the program */

static gnt_err receiver_new(gnatter_amqp *c, const struct gnatter_amqp_link *link,
                            gnatter_amqp_receiver **out)
{
    gnatter_amqp_receiver *r = calloc(1, sizeof *r);
    if (!r)
        return GNT_NOMEM;
    gnt_list_init(&r->waiting);
    r->on_message = link->on_message;
    r->manual = link->manual;
    r->target = link->credit ? link->credit : CREDIT;
    gnt_err err = gnt_end_init(&r->end, c, link, false);
    if (err) {
        gnt_end_fini(&r->end);
        free(r);
        return err;
    }
    *out = r;
    return GNT_OK;
}

int gnatter_amqp_receiver_new(gnatter_amqp *c, const struct gnatter_amqp_link *link,
                              gnatter_amqp_receiver **out)
{
    pthread_mutex_lock(&c->thread->lock);
    gnt_err err = receiver_new(c, link, out);
    pthread_mutex_unlock(&c->thread->lock);
    return err;
}

void gnatter_amqp_receiver_free(gnatter_amqp_receiver *r)
{
    if (r)
        gnt_end_leave(&r->end);
}

int gnatter_amqp_receiver_ready(gnatter_amqp_receiver *r, uint32_t timeout_ms)
{
    return gnt_end_ready(&r->end, timeout_ms);
}

void gnatter_amqp_receiver_get_info(gnatter_amqp_receiver *r, struct gnatter_amqp_link_info *out)
{
    pthread_mutex_lock(&r->end.amqp->thread->lock);
    gnt_end_info(&r->end, out);
    out->waiting = r->waiting_count;
    pthread_mutex_unlock(&r->end.amqp->thread->lock);
}

/* Why nothing will come, if that is so. */
static int hopeless(const gnatter_amqp_receiver *r)
{
    const gnatter_amqp *c = r->end.amqp;
    if (r->end.state == GNT_END_ENDED)
        return r->end.error;
    if (gnt_dialer_at_rest(&c->dialer))
        return gnt_dialer_why(&c->dialer);
    return GNT_OK;
}

int gnatter_amqp_receive(gnatter_amqp_receiver *r, uint32_t timeout_ms, gnatter_amqp_delivery **out)
{
    const uint64_t deadline = gnt_thread_wait_deadline(timeout_ms);
    gnatter_amqp *c = r->end.amqp;
    int err = GNT_OK;
    if (r->on_message)
        return GNT_INVALID;
    if (gnt_thread_in_callback(c->thread))
        return GNT_STATE;
    pthread_mutex_lock(&c->thread->lock);
    while (gnt_list_empty(&r->waiting) && !err) {
        err = hopeless(r);
        if (!err && !gnt_thread_wait(c->thread, deadline))
            err = GNT_TIMEOUT;
    }
    struct gnt_list *node = gnt_list_pop_front(&r->waiting);
    if (node) {
        r->waiting_count--;
        *out = GNT_CONTAINER(node, struct gnatter_amqp_delivery, in_waiting);
        (*out)->taken = true;
        err = GNT_OK;
    }
    pthread_mutex_unlock(&c->thread->lock);
    return err;
}

int gnatter_amqp_receiver_credit(gnatter_amqp_receiver *r, uint32_t credit)
{
    gnatter_amqp *c = r->end.amqp;
    pthread_mutex_lock(&c->thread->lock);
    bool fits = credit <= INT32_MAX && r->left <= INT32_MAX - credit;
    if (fits && r->manual)
        r->left += credit;
    else if (fits)
        r->target = credit;
    r->draining = r->draining && !fits;
    gnt_amqp_client_touch(c);
    pthread_mutex_unlock(&c->thread->lock);
    return fits ? GNT_OK : GNT_INVALID;
}

int gnatter_amqp_receiver_drain(gnatter_amqp_receiver *r, uint32_t timeout_ms)
{
    const uint64_t deadline = gnt_thread_wait_deadline(timeout_ms);
    gnatter_amqp *c = r->end.amqp;
    int err = GNT_OK;
    if (gnt_thread_in_callback(c->thread))
        return GNT_STATE;
    pthread_mutex_lock(&c->thread->lock);
    r->draining = true;
    r->drain_asked = false;
    gnt_amqp_client_touch(c);
    while (r->draining && !err) {
        err = hopeless(r);
        if (!err && !gnt_thread_wait(c->thread, deadline))
            err = GNT_TIMEOUT;
    }
    pthread_mutex_unlock(&c->thread->lock);
    return err;
}
