/* The connection's thread: carries bytes between link and engine, calls back, connects again. */
#include "client/amqp/container.h"

#include "base/assert.h"

#include <stdio.h>

enum {
    CHUNK = 16 * 1024,
    READS_A_TURN = 16,
    WRITE_PIECES = GNT_STREAM_IOV_MAX,
    CLOSE_MS = 2000, /* for the peer's answer to close */
};

/* ---- Telling */

static void tell_detached(struct gnt_end *e)
{
    const struct gnatter_amqp_error why = e->why;
    if (e->node) {
        gnt_guest_unwanted(e);
        return;
    }
    if (!e->on_detached || e->leaving)
        return;
    pthread_mutex_unlock(&e->amqp->thread->lock);
    e->on_detached(e->error, &why, e->context);
    pthread_mutex_lock(&e->amqp->thread->lock);
}

/* A text of our own, as the lock is not held. */
static void tell_attached(struct gnt_end *e)
{
    char address[1024];
    if (!e->on_attached || e->leaving)
        return;
    gnt_amqp_client_keep_text(gnt_slice_str(e->address), address, sizeof address);
    pthread_mutex_unlock(&e->amqp->thread->lock);
    e->on_attached(address, e->context);
    pthread_mutex_lock(&e->amqp->thread->lock);
}

static void tell_connected(gnatter_amqp *c)
{
    if (!c->options.on_connected)
        return;
    pthread_mutex_unlock(&c->thread->lock);
    c->options.on_connected(c, c->options.context);
    pthread_mutex_lock(&c->thread->lock);
}

static void tell_disconnected(gnatter_amqp *c)
{
    const struct gnatter_amqp_disconnected told = c->disconnected;
    if (!c->options.on_disconnected)
        return;
    pthread_mutex_unlock(&c->thread->lock);
    c->options.on_disconnected(c, &told, c->options.context);
    pthread_mutex_lock(&c->thread->lock);
}

static void tell_one(gnatter_amqp *c, struct gnt_list *node)
{
    struct gnt_news *news = GNT_CONTAINER(node, struct gnt_news, in);
    switch ((enum gnt_news_kind)news->kind) {
    case GNT_NEWS_CONNECTED: tell_connected(c); break;
    case GNT_NEWS_DISCONNECTED: tell_disconnected(c); break;
    case GNT_NEWS_ATTACHED:
        tell_attached(GNT_CONTAINER(news, struct gnt_end, attached_news));
        break;
    case GNT_NEWS_DETACHED:
        tell_detached(GNT_CONTAINER(news, struct gnt_end, detached_news));
        break;
    case GNT_NEWS_WANTED:
        gnt_guest_wanted(GNT_CONTAINER(news, struct gnatter_amqp_sender, wanted_news));
        break;
    case GNT_NEWS_LEFT: gnt_end_free(GNT_CONTAINER(news, struct gnt_end, left_news)); break;
    case GNT_NEWS_OUTCOME: gnt_sender_tell(c, GNT_CONTAINER(news, struct gnt_sending, news)); break;
    case GNT_NEWS_MESSAGE:
        gnt_receiver_tell(c, GNT_CONTAINER(news, struct gnatter_amqp_delivery, news));
        break;
    }
}

void gnt_amqp_client_tell(gnatter_amqp *c)
{
    struct gnt_list *node;
    while ((node = gnt_list_pop_front(&c->news)))
        tell_one(c, node);
}

/* ---- The end of a connection or an attempt */

struct ending {
    int error;
    bool lasting; /* the next attempt would only meet the same */
    struct gnatter_amqp_error why;
};

/* Else there is nobody to tell. */
static bool lingers(int error)
{
    return error == 0 || error == GNT_PROTOCOL || error == GNT_MALFORMED || error == GNT_TOOBIG ||
           error == GNT_TIMEOUT || error == GNT_REFUSED;
}

static gnatter_amqp *client_of(struct gnt_dialer *d)
{
    return GNT_CONTAINER(d, struct gnatter_amqp, dialer);
}

static void drop_output(gnatter_amqp *c)
{
    gnt_outq_fini(&c->out);
    gnt_outq_init(&c->out);
}

/* What is in the queue stays for CLOSING, if there is still somebody to write it to. */
static void end_engine(gnatter_amqp *c)
{
    gnt_amqp_client_detach_all(c);
    if (c->has_engine)
        gnt_amqp_connection_fini(&c->engine);
    c->has_engine = false;
    gnt_buf_fini(&c->in);
}

static void ended(gnatter_amqp *c, const struct ending *e)
{
    c->disconnected = (struct gnatter_amqp_disconnected){.error = e->error,
                                                         .why = e->why,
                                                         .was_connected = c->dialer.connected};
    c->why = e->why;
    const struct gnt_retry retry =
        gnt_dialer_ended(&c->dialer,
                         &(struct gnt_ending){e->error, e->lasting ? GNT_LASTS : GNT_LASTS_NOT,
                                              c->guest || lingers(e->error)});
    c->disconnected.will_reconnect = retry.again;
    c->disconnected.retry_in_ms = retry.in_ms;
    end_engine(c);
    if (c->guest)
        gnt_guest_ended(c->guest);
    if (!c->dialer.link.stream)
        drop_output(c);
    gnt_amqp_client_news(c, &c->disconnected_news, GNT_NEWS_DISCONNECTED);
}

static void failed(struct gnt_dialer *d, const struct gnt_link_trouble *trouble)
{
    struct ending e = {.error = trouble->err, .lasting = trouble->lasting};
    gnt_amqp_client_keep_text(gnt_slice_str(trouble->words), e.why.description,
                              sizeof e.why.description);
    ended(client_of(d), &e);
}

/* Conditions of a peer's close that the next attempt would only meet again. */
static bool lasting_condition(const char *condition)
{
    static const enum gnt_amqp_condition list[] = {
        GNT_AMQP_UNAUTHORIZED_ACCESS, GNT_AMQP_NOT_ALLOWED,         GNT_AMQP_NOT_FOUND,
        GNT_AMQP_INVALID_FIELD,       GNT_AMQP_CONNECTION_REDIRECT, GNT_AMQP_NOT_IMPLEMENTED,
    };
    enum gnt_amqp_condition is = gnt_amqp_condition_of(gnt_slice_str(condition));
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        if (list[i] == is)
            return true;
    }
    return false;
}

/* The transport has failed, or the engine has. */
static void broke(gnatter_amqp *c, gnt_err err)
{
    struct gnt_link_trouble trouble;
    struct ending e = {0};
    gnt_link_trouble(&c->dialer.link, err, &trouble);
    if (gnt_dialer_next_address(&c->dialer, &trouble))
        return;
    const char *words = trouble.words[0] || !c->engine.why ? trouble.words : c->engine.why;
    e.error = c->dialer.wanted ? trouble.err : GNT_OK;
    e.lasting = trouble.lasting || err == GNT_DENIED || err == GNT_UNSUPPORTED;
    gnt_amqp_client_keep_text(gnt_slice_str(words), e.why.description, sizeof e.why.description);
    if (c->engine.condition)
        gnt_amqp_client_keep_text(gnt_amqp_condition_symbol(
                                      (enum gnt_amqp_condition)c->engine.condition),
                                  e.why.condition, sizeof e.why.condition);
    ended(c, &e);
}

/* The peer's close, or its answer to ours. */
static void on_close(gnatter_amqp *c, const struct gnt_amqp_event *event)
{
    struct ending e = {0};
    if (event->performative.code == GNT_AMQP_CLOSE && event->performative.close.has.error)
        gnt_amqp_client_keep_error(event->performative.close.error.encoded, &e.why);
    e.lasting = lasting_condition(e.why.condition);
    if (e.lasting || c->dialer.wanted)
        e.error = e.lasting ? GNT_REFUSED : GNT_CLOSED;
    ended(c, &e);
}

/* ---- Bytes */

/* Writes what the engine has; GNT_MORE: some is left. */
static gnt_err write_out(gnatter_amqp *c)
{
    while (c->out.size) {
        struct iovec iov[WRITE_PIECES];
        int count = gnt_outq_iov(&c->out, iov, WRITE_PIECES);
        size_t n = 0;
        gnt_err err = gnt_link_writev(&c->dialer.link, iov, count, &n);
        if (err)
            return err;
        gnt_outq_take(&c->out, n);
    }
    return GNT_OK;
}

static gnt_err read_in(gnatter_amqp *c)
{
    size_t n = 0;
    gnt_err err = gnt_buf_reserve(&c->in, CHUNK);
    if (err)
        return err;
    err = gnt_link_read(&c->dialer.link, gnt_buf_tail(&c->in), CHUNK, &n);
    if (err)
        return err;
    gnt_buf_wrote(&c->in, n);
    c->dialer.heard = true;
    gnt_amqp_connection_lives(&c->engine, gnt_now(&gnt_clock_system));
    return GNT_OK;
}

static gnt_err on_open(gnatter_amqp *c, const struct gnt_amqp_event *event)
{
    gnt_amqp_client_keep_text(event->performative.open.container_id, c->peer, sizeof c->peer);
    c->why = (struct gnatter_amqp_error){{0}, {0}};
    gnt_dialer_connected(&c->dialer);
    if (c->guest)
        return gnt_amqp_connection_open(&c->engine, &(struct gnt_amqp_open){0});
    gnt_amqp_client_news(c, &c->connected_news, GNT_NEWS_CONNECTED);
    return GNT_OK;
}

/* GNT_CLOSED: the connection has ended, and that has been told. */
static gnt_err act(gnatter_amqp *c, const struct gnt_amqp_event *event)
{
    switch (event->type) {
    case GNT_AMQP_EVENT_OPEN: return on_open(c, event);
    case GNT_AMQP_EVENT_CLOSE: on_close(c, event); return GNT_CLOSED;
    case GNT_AMQP_EVENT_NOTHING: return GNT_OK;
    case GNT_AMQP_EVENT_TLS:
    case GNT_AMQP_EVENT_SASL_MECHANISMS:
    case GNT_AMQP_EVENT_SASL_INIT:
    case GNT_AMQP_EVENT_SASL_CHALLENGE:
    case GNT_AMQP_EVENT_SASL_RESPONSE:
    case GNT_AMQP_EVENT_SASL_OUTCOME: {
        gnt_err err = c->guest ? gnt_guest_login(c->guest, event) : gnt_amqp_login_event(c, event);
        if (err)
            broke(c, err);
        return err ? GNT_CLOSED : GNT_OK;
    }
    case GNT_AMQP_EVENT_BEGIN:
    case GNT_AMQP_EVENT_ATTACH:
    case GNT_AMQP_EVENT_RESUME:
    case GNT_AMQP_EVENT_FLOW:
    case GNT_AMQP_EVENT_TRANSFER:
    case GNT_AMQP_EVENT_DISPOSITION:
    case GNT_AMQP_EVENT_DETACH:
    case GNT_AMQP_EVENT_END: gnt_amqp_client_event(c, event); return GNT_OK;
    }
    return GNT_OK;
}

/* All that has come.  GNT_CLOSED: the connection has ended. */
static gnt_err take_events(gnatter_amqp *c)
{
    struct gnt_slice in = gnt_buf_slice(&c->in);
    const size_t size = in.size;
    for (;;) {
        struct gnt_amqp_event event;
        gnt_err err =
            gnt_amqp_connection_next(&c->engine, &in, gnt_now(&gnt_clock_system), &event, NULL);
        if (err == GNT_MORE) {
            gnt_buf_take(&c->in, size - in.size);
            if (gnt_buf_size(&c->in) == 0)
                gnt_buf_fini(&c->in);
            return GNT_OK;
        }
        if (err < 0) {
            broke(c, err);
            return GNT_CLOSED;
        }
        if (act(c, &event))
            return GNT_CLOSED;
    }
}

/* What there is to say, and out with it. */
static gnt_err say(gnatter_amqp *c)
{
    const uint64_t now = gnt_now(&gnt_clock_system);
    gnt_err err = c->dialer.connected && c->engine.state == GNT_AMQP_OPENED
                      ? gnt_amqp_client_work(c)
                      : GNT_OK;
    if (!err && gnt_amqp_connection_deadline(&c->engine) <= now)
        err = gnt_amqp_connection_tick(&c->engine, now);
    if (!err)
        err = gnt_amqp_connection_flush(&c->engine, now);
    if (!err)
        err = write_out(c);
    return err == GNT_MORE ? GNT_OK : err;
}

/* Writing has failed: what the peer has said before it closed is worth more than that it has. */
static void give_up(gnatter_amqp *c, gnt_err out)
{
    gnt_err in;
    while (!(in = read_in(c))) {
        if (take_events(c))
            return;
    }
    broke(c, in < 0 ? in : out);
}

/* While the engine lives: in, act, out, until nothing more is possible now. */
static void carry(gnatter_amqp *c)
{
    gnt_err in = GNT_OK;
    for (int i = 0; i < READS_A_TURN && c->dialer.state == GNT_LINK_UP && !in; i++) {
        in = read_in(c);
        if (!in && take_events(c))
            return;
        gnt_err out = in < 0 ? GNT_OK : say(c);
        if (in < 0)
            broke(c, in);
        else if (out < 0)
            give_up(c, out);
    }
}

/* ---- The dialer's part, and the thread */

static gnt_err opened(struct gnt_dialer *d)
{
    gnatter_amqp *c = client_of(d);
    if (c->has_engine) /* another address was tried before */
        end_engine(c);
    drop_output(c);
    gnt_amqp_connection_init(&c->engine, GNT_AMQP_CLIENT, &c->terms, &c->out,
                             gnt_now(&gnt_clock_system));
    c->has_engine = true;
    return gnt_amqp_login_begin(c);
}

static void carry_on(struct gnt_dialer *d)
{
    gnatter_amqp *c = client_of(d);
    gnt_err err = c->guest ? gnt_guest_greet(c->guest) : GNT_OK;
    if (err < 0)
        broke(c, err);
    else if (!err)
        carry(c);
}

static void leave(struct gnt_dialer *d)
{
    gnatter_amqp *c = client_of(d);
    if (!d->connected) {
        gnt_dialer_failed(d, GNT_OK);
    } else if (c->engine.state == GNT_AMQP_OPENED) {
        d->deadline = gnt_deadline(gnt_now(&gnt_clock_system), CLOSE_MS * GNT_NS_PER_MS);
        gnt_amqp_client_detach_all(c);
        (void)!gnt_amqp_connection_close(&c->engine, NULL);
    }
}

static gnt_err write_rest(struct gnt_dialer *d)
{
    return write_out(client_of(d));
}

const struct gnt_dialer_ops gnt_amqp_client_dialing = {
    .opened = opened, .carry = carry_on, .leave = leave, .write = write_rest, .failed = failed};

uint64_t gnt_amqp_client_deadline(const gnatter_amqp *c)
{
    return c->dialer.state == GNT_LINK_UP ? gnt_amqp_connection_deadline(&c->engine) : GNT_NEVER;
}

/* Nobody is left to ask for more: what is outstanding has no outcome. */
static void fail_all(gnatter_amqp *c)
{
    gnt_list_each (node, &c->sessions) {
        gnatter_amqp_session *s = GNT_CONTAINER(node, struct gnatter_amqp_session, in_amqp);
        gnt_list_each (end, &s->ends) {
            struct gnt_end *e = GNT_CONTAINER(end, struct gnt_end, in_session);
            if (e->sender)
                gnt_sender_fail_all(gnt_sender_of(e), GNT_CLOSED, NULL);
        }
    }
    gnt_amqp_client_tell(c);
}

void *gnt_amqp_client_run(void *client)
{
    gnatter_amqp *c = client;
    gnt_thread_enter(c->thread);
    pthread_mutex_lock(&c->thread->lock);
    for (;;) {
        c->thread->asked = false; /* callbacks let go of the lock: what is asked comes next turn */
        gnt_dialer_step(&c->dialer);
        gnt_amqp_client_tell(c);
        if (c->dialer.quit && gnt_dialer_at_rest(&c->dialer))
            break;
        gnt_dialer_want(&c->dialer, c->out.size > 0, true);
        gnt_thread_turn(c->thread, gnt_dialer_wait_ns(&c->dialer, gnt_amqp_client_deadline(c)));
    }
    fail_all(c);
    pthread_mutex_unlock(&c->thread->lock);
    return NULL;
}
