/* What senders and receivers have in common: a link that is attached on each connection anew. */
#include "client/amqp/container.h"

#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- The attach that is said, encoded once */

struct plan {
    const struct gnt_end *e;
    const struct gnatter_amqp_link *link;
    struct gnt_slice capabilities, filter, properties; /* encoded; empty: none */
    struct gnt_slice source, target;
    uint64_t message_max;
};

static void set(struct gnt_slice encoded, bool *has, struct gnt_amqp_value *value)
{
    *has = encoded.size != 0;
    if (*has)
        *value = gnt_amqp_encoded(encoded);
}

static void put_capabilities(struct gnt_amqp_writer *w, const void *context)
{
    const struct gnatter_amqp_link *link = context;
    size_t mark = gnt_amqp_begin_array(w, (struct gnt_slice){0}, GNT_AMQP_FORM_SYMBOL32);
    for (size_t i = 0; i < link->capability_count; i++) {
        struct gnt_amqp_value v =
            gnt_amqp_bytes(GNT_AMQP_SYMBOL, gnt_slice_str(link->capabilities[i]));
        gnt_amqp_put_element(w, GNT_AMQP_FORM_SYMBOL32, &v);
    }
    gnt_amqp_end_array(w, mark, (uint32_t)link->capability_count);
}

static void put_filter(struct gnt_amqp_writer *w, const char *key, const char *descriptor)
{
    const uint8_t zero = GNT_AMQP_FORM_DESCRIBED;
    gnt_amqp_put_symbol(w, gnt_slice_str(key));
    gnt_amqp_put_raw(w, gnt_slice(&zero, 1));
    gnt_amqp_put_symbol(w, gnt_slice_str(descriptor));
}

/* The program's own filters, and those that have a field of their own in the header. */
static void put_filters(struct gnt_amqp_writer *w, const void *context)
{
    const struct gnatter_amqp_link *link = context;
    uint32_t count = 0;
    size_t mark = gnt_amqp_begin_map(w);
    if (link->filters) {
        struct gnt_slice inside = gnt_slice_of(link->filters->bytes);
        gnt_amqp_put_raw(w, inside);
        count += link->filters->count;
    }
    if (link->selector) {
        put_filter(w, "selector", "apache.org:selector-filter:string");
        gnt_amqp_put_string(w, gnt_slice_str(link->selector));
        count += 2;
    }
    if (link->no_local) {
        put_filter(w, "no-local", "apache.org:no-local-filter:list");
        gnt_amqp_end_list(w, gnt_amqp_begin_list(w), 0);
        count += 2;
    }
    gnt_amqp_end_map(w, mark, count);
}

static void fill_source(const struct plan *p, struct gnt_amqp_source *source)
{
    const struct gnatter_amqp_link *link = p->link;
    if (link->address)
        GNT_AMQP_SET(source, address, gnt_slice_str(link->address));
    if (link->dynamic)
        GNT_AMQP_SET(source, dynamic, true);
    if (link->durable) {
        GNT_AMQP_SET(source, durable, GNT_AMQP_DURABLE_UNSETTLED_STATE);
        GNT_AMQP_SET(source, expiry_policy, gnt_slice_str("never"));
    }
    if (link->browse)
        GNT_AMQP_SET(source, distribution_mode, gnt_slice_str("copy"));
    set(p->filter, &source->has.filter, &source->filter);
    set(p->capabilities, &source->has.capabilities, &source->capabilities);
}

static void put_source(struct gnt_amqp_writer *w, const void *context)
{
    gnt_amqp_put_source(w, context);
}

static void put_target(struct gnt_amqp_writer *w, const void *context)
{
    gnt_amqp_put_target(w, context);
}

static void put_coordinator(struct gnt_amqp_writer *w, const void *context)
{
    (void)context;
    gnt_amqp_put_coordinator(w, &(struct gnt_amqp_coordinator){0});
}

/* All outcomes are fine: none is named, as there are peers that refuse names they do not know. */
static gnt_err make_source(const struct plan *p, struct gnt_buf *out)
{
    struct gnt_amqp_source source = {0};
    if (!p->e->sender)
        fill_source(p, &source);
    return gnt_put_into(out, put_source, &source);
}

static gnt_err make_target(const struct plan *p, struct gnt_buf *out)
{
    struct gnt_amqp_target target = {0};
    if (p->e->coordinates)
        return gnt_put_into(out, put_coordinator, NULL);
    if (p->e->sender && p->link->address)
        GNT_AMQP_SET(&target, address, gnt_slice_str(p->link->address));
    if (p->e->sender)
        set(p->capabilities, &target.has.capabilities, &target.capabilities);
    return gnt_put_into(out, put_target, &target);
}

static void put_attach(struct gnt_amqp_writer *w, const void *context)
{
    const struct plan *p = context;
    struct gnt_amqp_attach attach = {0};
    const bool settled = p->e->settle == GNATTER_AMQP_SETTLED;
    GNT_AMQP_SET(&attach, name, gnt_slice_str(p->e->name));
    GNT_AMQP_SET(&attach, handle, 0);
    GNT_AMQP_SET(&attach, role, p->e->sender ? GNT_AMQP_SENDER : GNT_AMQP_RECEIVER);
    GNT_AMQP_SET(&attach, snd_settle_mode,
                 settled ? GNT_AMQP_SENDER_SETTLED : GNT_AMQP_SENDER_UNSETTLED);
    GNT_AMQP_SET(&attach, rcv_settle_mode,
                 p->e->settle == GNATTER_AMQP_SECOND ? GNT_AMQP_RECEIVER_SECOND
                                                     : GNT_AMQP_RECEIVER_FIRST);
    GNT_AMQP_SET(&attach, source, gnt_amqp_encoded(p->source));
    GNT_AMQP_SET(&attach, target, gnt_amqp_encoded(p->target));
    if (p->e->sender)
        GNT_AMQP_SET(&attach, initial_delivery_count, 0);
    if (!p->e->sender && p->message_max)
        GNT_AMQP_SET(&attach, max_message_size, p->message_max);
    set(p->properties, &attach.has.properties, &attach.properties);
    gnt_amqp_put_attach(w, &attach);
}

/* Checked by being read: what a program names may be too long, or no text. */
static gnt_err make_attach(struct gnt_end *e, struct plan *p)
{
    struct gnt_amqp_attach back;
    struct gnt_buf source = {0}, target = {0};
    gnt_err err = make_source(p, &source);
    if (!err)
        err = make_target(p, &target);
    p->source = gnt_buf_slice(&source);
    p->target = gnt_buf_slice(&target);
    if (!err && (!gnt_amqp_valid(p->source) || !gnt_amqp_valid(p->target)))
        err = GNT_INVALID;
    if (!err)
        err = gnt_put_into(&e->attach, put_attach, p);
    if (!err && gnt_amqp_decode_attach(gnt_buf_slice(&e->attach), &back))
        err = GNT_INVALID;
    gnt_buf_fini(&source);
    gnt_buf_fini(&target);
    return err;
}

static gnt_err plan_attach(struct gnt_end *e, const struct gnatter_amqp_link *link)
{
    struct plan p = {.e = e, .link = link, .message_max = e->amqp->options.message_max};
    struct gnt_buf capabilities = {0}, filters = {0}, properties = {0};
    gnt_err err = GNT_OK;
    if (link->capability_count)
        err = gnt_put_into(&capabilities, put_capabilities, link);
    if (!err && (link->filters || link->selector || link->no_local))
        err = gnt_put_into(&filters, put_filters, link);
    if (!err && link->properties)
        err = gnt_value_encode(link->properties, &properties);
    p.capabilities = gnt_buf_slice(&capabilities);
    p.filter = gnt_buf_slice(&filters);
    p.properties = gnt_buf_slice(&properties);
    if (!err)
        err = make_attach(e, &p);
    gnt_buf_fini(&capabilities);
    gnt_buf_fini(&filters);
    gnt_buf_fini(&properties);
    return err;
}

/* ---- Birth and end */

static bool is_map(const struct gnatter_amqp_value *v)
{
    return !v || v->type == GNATTER_AMQP_MAP;
}

static bool good_link(const struct gnatter_amqp_link *l, bool sender)
{
    bool place = sender ? !l->dynamic : l->dynamic != (l->address != NULL);
    return place && (unsigned)l->settle <= GNATTER_AMQP_SECOND && is_map(l->filters) &&
           is_map(l->properties) && (!l->durable || l->name) && (!l->name || *l->name);
}

static gnt_err name_it(struct gnt_end *e, const char *name)
{
    char made[64];
    (void)snprintf(made, sizeof made, "%016llx-%llu",
                   (unsigned long long)gnt_random_u64(&gnt_random_system),
                   (unsigned long long)++e->amqp->names);
    e->name = strdup(name ? name : made);
    return e->name ? GNT_OK : GNT_NOMEM;
}

static bool name_taken(const struct gnt_end *e)
{
    gnt_list_each (node, &e->session->ends) {
        const struct gnt_end *other = GNT_CONTAINER(node, struct gnt_end, in_session);
        if (other->sender == e->sender && !other->leaving && strcmp(other->name, e->name) == 0)
            return true;
    }
    return false;
}

void gnt_end_zero(struct gnt_end *e, gnatter_amqp *c, bool sender)
{
    e->amqp = c;
    e->sender = sender;
    gnt_list_init(&e->in_session);
    gnt_list_init(&e->attached_news.in);
    gnt_list_init(&e->detached_news.in);
    gnt_list_init(&e->left_news.in);
}

gnt_err gnt_end_init(struct gnt_end *e, gnatter_amqp *c, const struct gnatter_amqp_link *link,
                     bool sender)
{
    gnt_end_zero(e, c, sender);
    e->session = link->session;
    e->settle = link->settle;
    e->on_attached = link->on_attached;
    e->on_detached = link->on_detached;
    e->context = link->context;
    if (!good_link(link, sender))
        return GNT_INVALID;
    if (c->dialer.quit)
        return GNT_STATE;
    gnt_err err = gnt_amqp_client_session(c, &e->session);
    if (!err && e->session->error)
        err = GNT_REFUSED;
    if (!err)
        err = name_it(e, link->name);
    if (!err && name_taken(e))
        err = GNT_EXISTS;
    if (!err)
        err = plan_attach(e, link);
    if (err)
        return err;
    gnt_list_push_back(&e->session->ends, &e->in_session);
    gnt_amqp_client_touch(c);
    return GNT_OK;
}

void gnt_end_fini(struct gnt_end *e)
{
    gnt_list_remove(&e->in_session);
    gnt_list_remove(&e->attached_news.in);
    gnt_list_remove(&e->detached_news.in);
    gnt_list_remove(&e->left_news.in);
    gnt_buf_fini(&e->attach);
    free(e->name);
    free(e->address);
}

/* The engine's link is nobody's any more, and is to be closed. */
static void let_go(struct gnt_end *e)
{
    struct gnt_amqp_link *link = e->engine;
    gnt_end_detached(e);
    if (link && e->amqp->has_engine)
        (void)!gnt_amqp_link_detach(link, true, NULL);
}

/* What it has to tell comes first. */
static void leave_locked(struct gnt_end *e)
{
    let_go(e);
    e->leaving = true;
    e->state = GNT_END_ENDED;
    if (e->sender)
        gnt_sender_fail_all(gnt_sender_of(e), GNT_CLOSED, NULL);
    else
        gnt_receiver_left(gnt_receiver_of(e));
    gnt_amqp_client_news(e->amqp, &e->left_news, GNT_NEWS_LEFT);
    gnt_amqp_client_wake(e->amqp);
}

void gnt_end_leave(struct gnt_end *e)
{
    struct gnt_thread *t = e->amqp->thread; /* which outlives the connection of a guest */
    bool left = false;
    pthread_mutex_lock(&t->lock);
    if (!gnt_thread_in_callback(t))
        e->left = &left;
    else
        left = true;
    leave_locked(e);
    while (!left)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

void gnt_end_free(struct gnt_end *e)
{
    gnatter_amqp *c = e->amqp;
    bool *left = e->left;
    if (e->session && e->sender && e->session->coordinator == gnt_sender_of(e))
        e->session->coordinator = NULL;
    if (!e->sender)
        gnt_receiver_left(gnt_receiver_of(e));
    gnt_end_fini(e);
    gnt_node_unref(e->node);
    if (e->sender)
        gnt_sender_free(gnt_sender_of(e));
    else
        free(gnt_receiver_of(e));
    if (left)
        *left = true;
    pthread_cond_broadcast(&c->thread->changed);
}

/* ---- Life */

void gnt_end_detached(struct gnt_end *e)
{
    if (e->engine) {
        e->engine->context = NULL;
        gnt_list_each (node, &e->engine->deliveries)
            GNT_CONTAINER(node, struct gnt_amqp_delivery, in_link)->context = NULL;
    }
    e->engine = NULL;
    e->refused = false;
    if (e->state != GNT_END_ENDED)
        e->state = GNT_END_DETACHED;
    if (e->sender)
        gnt_sender_detached(gnt_sender_of(e));
    else
        gnt_receiver_detached(gnt_receiver_of(e));
}

void gnt_end_ended(struct gnt_end *e, struct gnt_slice error)
{
    if (e->state == GNT_END_ENDED)
        return;
    e->state = GNT_END_ENDED;
    e->error = GNT_REFUSED;
    if (error.size)
        gnt_amqp_client_keep_error(error, &e->why);
    if (e->sender)
        gnt_sender_fail_all(gnt_sender_of(e), GNT_REFUSED, &e->why);
    gnt_amqp_client_news(e->amqp, &e->detached_news, GNT_NEWS_DETACHED);
}

static gnt_err attach(struct gnt_end *e)
{
    struct gnt_amqp_attach frame;
    gnt_err err = gnt_amqp_decode_attach(gnt_buf_slice(&e->attach), &frame);
    if (!err)
        err = gnt_amqp_link_attach(e->session->engine, &frame, NULL, 0, &e->engine);
    if (err == GNT_FULL || err == GNT_TOOBIG || err == GNT_EXISTS) {
        gnt_end_ended(e, (struct gnt_slice){0});
        return GNT_OK;
    }
    if (err)
        return err == GNT_STATE ? GNT_OK : err;
    e->engine->context = e;
    e->state = GNT_END_ATTACHING;
    return GNT_OK;
}

static gnt_err work(struct gnt_end *e)
{
    gnt_err err = GNT_OK;
    if (e->state == GNT_END_DETACHED)
        err = attach(e);
    if (!err && e->state == GNT_END_ATTACHED && e->sender)
        err = gnt_sender_work(gnt_sender_of(e));
    else if (!err && e->engine && !e->sender)
        gnt_receiver_work(gnt_receiver_of(e));
    return err;
}

/* One too many for the peer is as good as ended by it. */
static gnt_err begin(gnatter_amqp_session *s)
{
    if (s->engine || s->error || gnt_list_empty(&s->ends))
        return GNT_OK;
    gnt_err err = gnt_amqp_session_begin(&s->amqp->engine, &s->engine);
    if (!err)
        s->engine->context = s;
    if (err != GNT_FULL)
        return err == GNT_STATE ? GNT_OK : err;
    s->error = GNT_REFUSED;
    gnt_list_each (end, &s->ends)
        gnt_end_ended(GNT_CONTAINER(end, struct gnt_end, in_session), (struct gnt_slice){0});
    return GNT_OK;
}

gnt_err gnt_amqp_client_work(gnatter_amqp *c)
{
    gnt_err err = GNT_OK;
    gnt_list_each (node, &c->sessions) {
        gnatter_amqp_session *s = GNT_CONTAINER(node, struct gnatter_amqp_session, in_amqp);
        err = begin(s);
        if (err)
            return err;
        gnt_list_each (end, &s->ends) {
            err = s->engine ? work(GNT_CONTAINER(end, struct gnt_end, in_session)) : GNT_OK;
            if (err)
                return err;
        }
    }
    return err;
}

/* ---- For the program */

int gnt_end_ready(struct gnt_end *e, uint32_t timeout_ms)
{
    const uint64_t deadline = gnt_thread_wait_deadline(timeout_ms);
    gnatter_amqp *c = e->amqp;
    int err = GNT_OK;
    if (gnt_thread_in_callback(c->thread))
        return GNT_STATE;
    pthread_mutex_lock(&c->thread->lock);
    while (e->state != GNT_END_ATTACHED && !err) {
        if (e->state == GNT_END_ENDED)
            err = e->error;
        else if (gnt_dialer_at_rest(&c->dialer))
            err = gnt_dialer_why(&c->dialer);
        else if (!gnt_thread_wait(c->thread, deadline))
            err = GNT_TIMEOUT;
    }
    pthread_mutex_unlock(&c->thread->lock);
    return err;
}

void gnt_end_info(struct gnt_end *e, struct gnatter_amqp_link_info *out)
{
    *out = (struct gnatter_amqp_link_info){.attached = e->state == GNT_END_ATTACHED,
                                           .error = e->error,
                                           .why = e->why};
    if (out->attached && e->address)
        gnt_amqp_client_keep_text(gnt_slice_str(e->address), out->address, sizeof out->address);
    if (e->engine) {
        out->message_max = e->engine->max_message_size;
        out->credit = e->engine->credit;
    }
}
