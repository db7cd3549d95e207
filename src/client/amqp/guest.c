/* A container's thread, and the connection of one peer. */
#include "client/amqp/container.h"

#include "base/random.h"
#include "net/tls.h"

#include <stdlib.h>

/* ---- Who is due */

void gnt_guest_due(struct gnt_guest *g)
{
    if (!gnt_list_linked(&g->in_due))
        gnt_list_push_back(&g->container->due, &g->in_due);
}

static void due_unlocked(struct gnt_guest *g)
{
    pthread_mutex_lock(&g->container->thread.lock);
    gnt_guest_due(g);
    pthread_mutex_unlock(&g->container->thread.lock);
}

static void on_ready(struct gnt_stream *s)
{
    struct gnt_link *link = s->owner;
    struct gnt_dialer *dialer = GNT_CONTAINER(link, struct gnt_dialer, link);
    due_unlocked(GNT_CONTAINER(dialer, struct gnt_guest, amqp.dialer));
}

static void on_time(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_guest *g = GNT_CONTAINER(timer, struct gnt_guest, timer);
    (void)now;
    (void)!gnt_loop_set_timer(&g->container->thread.loop, timer, GNT_FAR); /* its place is kept */
    due_unlocked(g);
}

/* ---- Birth and end */

static void set_options(struct gnt_guest *g)
{
    const struct gnatter_amqp_container_options *o = &g->container->options;
    g->amqp.options = (struct gnatter_amqp_options){.queue_messages = o->queue_messages,
                                                    .queue_bytes = o->queue_bytes,
                                                    .message_max = o->message_max};
    g->amqp.terms = g->container->terms;
}

static void begin(struct gnt_guest *g, struct gnt_stream **stream)
{
    struct gnatter_amqp_container *k = g->container;
    gnatter_amqp *c = &g->amqp;
    c->thread = &k->thread;
    c->guest = g;
    set_options(g);
    gnt_list_init(&c->sessions);
    gnt_list_init(&c->deliveries);
    gnt_list_init(&c->news);
    gnt_list_init(&c->connected_news.in);
    gnt_list_init(&c->disconnected_news.in);
    gnt_list_init(&g->in_due);
    gnt_list_init(&g->in_container);
    gnt_outq_init(&c->out);
    gnt_dialer_adopt(&c->dialer, &gnt_amqp_client_dialing, c->thread, stream,
                     k->options.login_timeout_ms);
    c->dialer.link.stream->on_ready = on_ready;
    gnt_amqp_connection_init(&c->engine, GNT_AMQP_SERVER, &c->terms, &c->out,
                             gnt_now(&gnt_clock_system));
    c->has_engine = true;
    gnt_list_push_back(&k->guests, &g->in_container);
    k->guest_count++;
    gnt_guest_due(g);
}

/* Takes the stream if it succeeds, or has put TLS on it. */
static gnt_err guest_new(const struct gnt_inlet *inlet, struct gnt_stream **stream)
{
    struct gnatter_amqp_container *k = inlet->container;
    if (k->quit || k->guest_count >= k->options.connections)
        return GNT_FULL;
    gnt_err err = inlet->tls ? gnt_tls_new(stream, k->tls, NULL, stream) : GNT_OK;
    if (err)
        return err;
    struct gnt_guest *g = calloc(1, sizeof *g);
    if (!g)
        return GNT_NOMEM;
    g->container = k;
    g->inlet = inlet;
    g->timer.fire = on_time;
    err = gnt_loop_set_timer(&k->thread.loop, &g->timer, GNT_FAR);
    if (err)
        free(g);
    else
        begin(g, stream);
    return err;
}

void gnt_guest_accept(void *context, struct gnt_stream *stream)
{
    const struct gnt_inlet *inlet = context;
    pthread_mutex_lock(&inlet->container->thread.lock);
    gnt_err err = guest_new(inlet, &stream);
    pthread_mutex_unlock(&inlet->container->thread.lock);
    if (err)
        gnt_stream_close(&stream);
}

/* What the program still has of it outlives it. */
static void leave_orphans(struct gnt_guest *g)
{
    gnt_list_each (node, &g->amqp.deliveries) {
        gnatter_amqp_delivery *d = GNT_CONTAINER(node, struct gnatter_amqp_delivery, in_amqp);
        d->amqp = NULL;
        d->receiver = NULL;
        d->engine = NULL;
    }
    gnt_list_splice_back(&g->container->orphans, &g->amqp.deliveries);
}

static void guest_free(struct gnt_guest *g)
{
    gnatter_amqp *c = &g->amqp;
    while (!gnt_list_empty(&c->sessions))
        gnt_amqp_client_free_session(
            GNT_CONTAINER(c->sessions.next, struct gnatter_amqp_session, in_amqp));
    leave_orphans(g);
    gnt_timer_cancel(&g->container->thread.loop.timers, &g->timer);
    gnt_list_remove(&g->in_due);
    gnt_list_remove(&g->in_container);
    g->container->guest_count--;
    gnt_sasl_server_fini(&g->login);
    gnt_buf_fini(&g->certificate);
    gnt_outq_fini(&c->out);
    gnt_buf_fini(&c->in);
    gnt_dialer_fini(&c->dialer);
    free(g);
}

void gnt_guest_ended(struct gnt_guest *g)
{
    gnt_list_each (node, &g->amqp.sessions) {
        gnatter_amqp_session *s = GNT_CONTAINER(node, struct gnatter_amqp_session, in_amqp);
        gnt_list_each (at, &s->ends) {
            struct gnt_end *e = GNT_CONTAINER(at, struct gnt_end, in_session);
            if (e->sender)
                gnt_sender_fail_all(gnt_sender_of(e), GNT_CLOSED, NULL);
            gnt_end_ended(e, (struct gnt_slice){0});
        }
    }
}

/* ---- Logging in */

static void offer(struct gnt_guest *g)
{
    uint32_t count = 0;
    for (unsigned m = GNT_SASL_MECHANISMS; m-- > 0;) {
        if (g->offered & GNT_SASL_BIT(m))
            g->names[count++] = gnt_slice_str(gnt_sasl_name((enum gnt_sasl_mechanism)m));
    }
    gnt_amqp_connection_sasl_offer(&g->amqp.engine, g->names, count, !g->inlet->anonymous);
    g->greeted = true;
}

gnt_err gnt_guest_greet(struct gnt_guest *g)
{
    gnt_err err = GNT_OK;
    if (g->greeted)
        return GNT_OK;
    if (g->inlet->tls) {
        const struct gnt_stream *tls = gnt_tls_of(g->amqp.dialer.link.stream);
        err = gnt_tls_handshake(tls);
        if (!err && gnt_tls_peer_name(tls, &g->certificate) == GNT_NOMEM)
            err = GNT_NOMEM;
    }
    if (err)
        return err;
    g->offered = gnt_sasl_offer(g->inlet->mechanisms, gnt_buf_slice(&g->certificate), NULL, false);
    offer(g);
    return GNT_OK;
}

/* The lock is let go of while the program is asked. */
static bool is_password(struct gnt_guest *g)
{
    const struct gnatter_amqp_container_options *o = &g->container->options;
    const struct gnt_slice said = g->login.password;
    char *password = malloc(said.size + 1);
    if (!password || (said.size && memchr(said.data, 0, said.size))) {
        free(password);
        return false;
    }
    if (said.size)
        memcpy(password, said.data, said.size);
    password[said.size] = '\0';
    pthread_mutex_unlock(&g->container->thread.lock);
    bool good = o->on_login(g->login.user, password, o->context);
    pthread_mutex_lock(&g->container->thread.lock);
    gnt_scram_wipe((uint8_t *)password, said.size);
    free(password);
    return good;
}

static gnt_err decide(struct gnt_guest *g, enum gnt_sasl_state state, struct gnt_slice out)
{
    static const uint8_t codes[] = {
        [GNT_SASL_ACCEPTED] = GNT_AMQP_SASL_OK,
        [GNT_SASL_REFUSED] = GNT_AMQP_SASL_AUTH,
        [GNT_SASL_UNOFFERED] = GNT_AMQP_SASL_AUTH,
        [GNT_SASL_UNAVAILABLE] = GNT_AMQP_SASL_SYS_TEMP,
    };
    if (state == GNT_SASL_ASKS)
        return gnt_amqp_connection_sasl_challenge(&g->amqp.engine, out);
    gnt_err err = gnt_amqp_connection_sasl_outcome(&g->amqp.engine, codes[state], out);
    return !err && state != GNT_SASL_ACCEPTED ? GNT_DENIED : err;
}

gnt_err gnt_guest_login(struct gnt_guest *g, const struct gnt_amqp_event *event)
{
    const struct gnt_sasl_terms terms = {.offered = g->offered,
                                         .external = gnt_buf_slice(&g->certificate),
                                         .random = &gnt_random_system};
    const struct gnt_amqp_composite *p = &event->performative;
    struct gnt_buf out = {0};
    struct gnt_slice said;
    enum gnt_sasl_state state;
    if (event->type == GNT_AMQP_EVENT_SASL_INIT) {
        said = p->sasl_init.initial_response;
        state = gnt_sasl_server_begin(&g->login, &terms, p->sasl_init.mechanism, said, &out);
    } else if (event->type == GNT_AMQP_EVENT_SASL_RESPONSE) {
        said = p->sasl_response.response;
        state = gnt_sasl_server_step(&g->login, &terms, said, &out);
    } else {
        return GNT_PROTOCOL;
    }
    if (state == GNT_SASL_CHECKS)
        state = gnt_sasl_server_checked(&g->login, is_password(g) ? GNT_OK : GNT_DENIED);
    if (said.size) /* in our own buffer, and read */
        gnt_scram_wipe((uint8_t *)(uintptr_t)said.data, said.size);
    gnt_err err = decide(g, state, gnt_buf_slice(&out));
    gnt_buf_fini(&out);
    return err;
}

/* ---- The thread */

static uint64_t next_time(const struct gnt_guest *g)
{
    uint64_t next = gnt_dialer_deadline(&g->amqp.dialer, gnt_amqp_client_deadline(&g->amqp));
    return next < GNT_FAR ? next : GNT_FAR;
}

/* A session is over when the peer has ended it, and with it its links. */
static void drop_sessions(struct gnt_guest *g)
{
    gnt_list_each_safe (node, &g->amqp.sessions) {
        gnatter_amqp_session *s = GNT_CONTAINER(node, struct gnatter_amqp_session, in_amqp);
        if (!s->engine && gnt_list_empty(&s->ends))
            gnt_amqp_client_free_session(s);
    }
}

static void serve(struct gnt_guest *g)
{
    gnatter_amqp *c = &g->amqp;
    gnt_dialer_step(&c->dialer);
    gnt_amqp_client_tell(c);
    if (gnt_dialer_at_rest(&c->dialer)) {
        guest_free(g);
        return;
    }
    drop_sessions(g);
    gnt_dialer_want(&c->dialer, c->out.size > 0 || !g->greeted, true);
    (void)!gnt_loop_set_timer(&c->thread->loop, &g->timer, next_time(g)); /* it is set */
}

static void serve_due(struct gnatter_amqp_container *k)
{
    struct gnt_list now, *node;
    gnt_list_init(&now);
    gnt_list_splice_back(&now, &k->due);
    while ((node = gnt_list_pop_front(&now)))
        serve(GNT_CONTAINER(node, struct gnt_guest, in_due));
}

static void send_away(struct gnatter_amqp_container *k)
{
    gnt_inlets_shut(k);
    gnt_list_each (node, &k->guests) {
        struct gnt_guest *g = GNT_CONTAINER(node, struct gnt_guest, in_container);
        if (!g->amqp.dialer.quit) {
            gnt_dialer_stop(&g->amqp.dialer, true);
            gnt_guest_due(g);
        }
    }
}

void *gnt_container_run(void *container)
{
    struct gnatter_amqp_container *k = container;
    gnt_thread_enter(&k->thread);
    pthread_mutex_lock(&k->thread.lock);
    for (;;) {
        k->thread.asked = false; /* callbacks let go of the lock: what is asked comes next turn */
        if (k->quit)
            send_away(k);
        serve_due(k);
        if (k->quit && gnt_list_empty(&k->guests))
            break;
        bool more = k->thread.asked || !gnt_list_empty(&k->due);
        gnt_thread_turn(&k->thread, more ? 0 : GNT_NEVER);
    }
    pthread_mutex_unlock(&k->thread.lock);
    return NULL;
}
