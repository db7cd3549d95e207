/* The connection's thread: carries bytes between link and engine, calls back, connects again. */
#include "client/amqp/client.h"

#include "base/assert.h"

#include <stdio.h>

enum {
    CHUNK = 16 * 1024,
    READS_A_TURN = 16,
    WRITE_PIECES = GNT_STREAM_IOV_MAX,
    FLUSH_MS = 2000,  /* for the last output of a connection, close and all */
    STEADY_MS = 5000, /* a connection that lasted so long was a success */
};

/* ---- Telling */

static void tell_detached(struct gnt_end *e)
{
    const struct gnatter_amqp_error why = e->why;
    if (!e->on_detached || e->leaving)
        return;
    pthread_mutex_unlock(&e->amqp->thread.lock);
    e->on_detached(e->error, &why, e->context);
    pthread_mutex_lock(&e->amqp->thread.lock);
}

/* A text of our own, as the lock is not held. */
static void tell_attached(struct gnt_end *e)
{
    char address[1024];
    if (!e->on_attached || e->leaving)
        return;
    gnt_amqp_client_keep_text(gnt_slice_str(e->address), address, sizeof address);
    pthread_mutex_unlock(&e->amqp->thread.lock);
    e->on_attached(address, e->context);
    pthread_mutex_lock(&e->amqp->thread.lock);
}

static void tell_connected(gnatter_amqp *c)
{
    if (!c->options.on_connected)
        return;
    pthread_mutex_unlock(&c->thread.lock);
    c->options.on_connected(c, c->options.context);
    pthread_mutex_lock(&c->thread.lock);
}

static void tell_disconnected(gnatter_amqp *c)
{
    const struct gnatter_amqp_disconnected told = c->disconnected;
    if (!c->options.on_disconnected)
        return;
    pthread_mutex_unlock(&c->thread.lock);
    c->options.on_disconnected(c, &told, c->options.context);
    pthread_mutex_lock(&c->thread.lock);
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
    case GNT_NEWS_LEFT: gnt_end_free(GNT_CONTAINER(news, struct gnt_end, left_news)); break;
    case GNT_NEWS_OUTCOME: gnt_sender_tell(c, GNT_CONTAINER(news, struct gnt_sending, news)); break;
    case GNT_NEWS_MESSAGE:
        gnt_receiver_tell(c, GNT_CONTAINER(news, struct gnatter_amqp_delivery, news));
        break;
    }
}

static void tell(gnatter_amqp *c)
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

static bool will_reconnect(const gnatter_amqp *c, const struct ending *e)
{
    return e->error && c->wanted && !c->once && !c->options.no_reconnect &&
           (c->options.reconnect_on_refusal || !e->lasting);
}

static uint32_t back_off_ms(gnatter_amqp *c)
{
    return gnt_back_off_ms(c->options.reconnect_min_ms, c->options.reconnect_max_ms, c->failures++);
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
    const uint64_t now = gnt_now(&gnt_clock_system);
    if (c->connected && now - c->connected_at >= STEADY_MS * GNT_NS_PER_MS)
        c->failures = 0;
    const bool again = will_reconnect(c, e);
    c->disconnected = (struct gnatter_amqp_disconnected){
        .error = e->error,
        .why = e->why,
        .was_connected = c->connected,
        .will_reconnect = again,
        .retry_in_ms = again ? back_off_ms(c) : 0,
    };
    c->error = e->error;
    c->why = e->why;
    if (!again && e->error)
        c->wanted = false;
    c->once = c->connected = false;
    c->deadline =
        again ? gnt_deadline(now, c->disconnected.retry_in_ms * GNT_NS_PER_MS) : GNT_NEVER;
    c->flush_from = now;
    end_engine(c);
    c->state = c->link.stream ? GNT_LINK_CLOSING : again ? GNT_LINK_WAITING : GNT_LINK_DOWN;
    c->endings++;
    gnt_amqp_client_news(c, &c->disconnected_news, GNT_NEWS_DISCONNECTED);
}

static void drop_output(gnatter_amqp *c)
{
    gnt_outq_fini(&c->out);
    gnt_outq_init(&c->out);
}

/* There is nobody to say anything to. */
static void attempt_failed(gnatter_amqp *c, gnt_err err)
{
    struct gnt_link_trouble trouble;
    struct ending e = {0};
    gnt_link_trouble(&c->link, err, &trouble);
    gnt_link_abandon(&c->link);
    drop_output(c);
    e.error = trouble.err;
    e.lasting = trouble.lasting;
    gnt_amqp_client_keep_text(gnt_slice_str(trouble.words), e.why.description,
                              sizeof e.why.description);
    ended(c, &e);
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

/* A host has several addresses, and this one has not said a word: the next one may. */
static bool try_next_address(gnatter_amqp *c, const struct gnt_link_trouble *trouble)
{
    bool mute = trouble->err && !trouble->tls && !c->heard && c->wanted && c->link.next_address;
    if (!mute)
        return false;
    end_engine(c);
    drop_output(c);
    gnt_link_close(&c->link);
    if (gnt_link_next_address(&c->link))
        return false;
    c->state = GNT_LINK_OPENING;
    return true;
}

/* The transport has failed, or the engine has. */
static void broke(gnatter_amqp *c, gnt_err err)
{
    struct gnt_link_trouble trouble;
    struct ending e = {0};
    gnt_link_trouble(&c->link, err, &trouble);
    if (try_next_address(c, &trouble))
        return;
    const char *words = trouble.words[0] || !c->engine.why ? trouble.words : c->engine.why;
    e.error = c->wanted ? trouble.err : GNT_OK;
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
    if (e.lasting || c->wanted)
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
        gnt_err err = gnt_link_writev(&c->link, iov, count, &n);
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
    err = gnt_link_read(&c->link, gnt_buf_tail(&c->in), CHUNK, &n);
    if (err)
        return err;
    gnt_buf_wrote(&c->in, n);
    c->heard = true;
    gnt_amqp_connection_lives(&c->engine, gnt_now(&gnt_clock_system));
    return GNT_OK;
}

static gnt_err on_open(gnatter_amqp *c, const struct gnt_amqp_event *event)
{
    gnt_amqp_client_keep_text(event->performative.open.container_id, c->peer, sizeof c->peer);
    c->connected = true;
    c->connected_at = gnt_now(&gnt_clock_system);
    c->connections++;
    c->once = false;
    c->error = 0;
    c->why = (struct gnatter_amqp_error){{0}, {0}};
    c->deadline = GNT_NEVER;
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
        gnt_err err = gnt_amqp_login_event(c, event);
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
    gnt_err err =
        c->connected && c->engine.state == GNT_AMQP_OPENED ? gnt_amqp_client_work(c) : GNT_OK;
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
    for (int i = 0; i < READS_A_TURN && c->state == GNT_LINK_UP && !in; i++) {
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

/* ---- States */

static void begin(gnatter_amqp *c, uint64_t now)
{
    c->deadline = gnt_deadline(now, c->options.connect_timeout_ms * GNT_NS_PER_MS);
    c->heard = false;
    c->state = GNT_LINK_RESOLVING; /* what is asked for meanwhile is seen afterwards */
    pthread_mutex_unlock(&c->thread.lock);
    gnt_err err = gnt_link_prepare(&c->link);
    pthread_mutex_lock(&c->thread.lock);
    if (!err)
        err = gnt_link_open(&c->link);
    if (!err)
        c->state = GNT_LINK_OPENING;
    else if (err < 0)
        attempt_failed(c, err);
}

static void resolving(gnatter_amqp *c)
{
    gnt_err err;
    if (!gnt_link_resolved(&c->link, &err))
        return;
    if (!err)
        err = gnt_link_next_address(&c->link);
    if (err)
        attempt_failed(c, err == GNT_NOTFOUND ? GNT_RESOLVE : err);
    else
        c->state = GNT_LINK_OPENING;
}

static void opening(gnatter_amqp *c)
{
    struct gnt_link_trouble trouble;
    gnt_err err = gnt_link_opened(&c->link);
    if (err == GNT_MORE)
        return;
    if (!err) {
        gnt_amqp_connection_init(&c->engine, GNT_AMQP_CLIENT, &c->terms, &c->out,
                                 gnt_now(&gnt_clock_system));
        c->has_engine = true;
        err = gnt_amqp_login_begin(c);
    }
    if (!err) {
        c->state = GNT_LINK_UP;
        return;
    }
    gnt_link_trouble(&c->link, err, &trouble);
    if (!try_next_address(c, &trouble))
        attempt_failed(c, err);
}

static void closing(gnatter_amqp *c)
{
    bool wait = c->error == 0 || c->error == GNT_PROTOCOL || c->error == GNT_MALFORMED ||
                c->error == GNT_TOOBIG || c->error == GNT_TIMEOUT || c->error == GNT_REFUSED;
    uint64_t flush_until = gnt_deadline(c->flush_from, FLUSH_MS * GNT_NS_PER_MS);
    if (wait && gnt_now(&gnt_clock_system) < flush_until &&
        (write_out(c) == GNT_MORE || !gnt_link_finish(&c->link)))
        return;
    gnt_link_abandon(&c->link);
    drop_output(c);
    c->state = c->deadline == GNT_NEVER ? GNT_LINK_DOWN : GNT_LINK_WAITING;
    pthread_cond_broadcast(&c->thread.changed);
}

static void not_wanted(gnatter_amqp *c, uint64_t now)
{
    bool silent = c->state == GNT_LINK_UP && !c->connected;
    if (c->state == GNT_LINK_WAITING) {
        c->state = GNT_LINK_DOWN;
        pthread_cond_broadcast(&c->thread.changed);
    } else if (c->state == GNT_LINK_RESOLVING || c->state == GNT_LINK_OPENING || silent) {
        attempt_failed(c, GNT_OK);
    } else if (c->state == GNT_LINK_UP && c->engine.state == GNT_AMQP_OPENED) {
        c->deadline = gnt_deadline(now, FLUSH_MS * GNT_NS_PER_MS);
        gnt_amqp_client_detach_all(c);
        (void)!gnt_amqp_connection_close(&c->engine, NULL);
    }
}

static void step(gnatter_amqp *c)
{
    uint64_t now = gnt_now(&gnt_clock_system);
    gnt_link_look(&c->link);
    if (!c->wanted)
        not_wanted(c, now);
    bool late = c->deadline <= now;
    if (c->state == GNT_LINK_DOWN && c->wanted)
        begin(c, now);
    else if (c->state == GNT_LINK_WAITING && late)
        begin(c, now);
    else if (late && c->state != GNT_LINK_DOWN && c->state != GNT_LINK_CLOSING)
        attempt_failed(c, c->wanted ? GNT_TIMEOUT : GNT_OK);
    if (c->state == GNT_LINK_RESOLVING)
        resolving(c);
    if (c->state == GNT_LINK_OPENING)
        opening(c);
    if (c->state == GNT_LINK_UP)
        carry(c);
    if (c->state == GNT_LINK_CLOSING)
        closing(c);
}

/* What the stream has to wake us for. */
static void want(gnatter_amqp *c)
{
    if (!c->link.stream)
        return;
    unsigned events = 0;
    if (c->state == GNT_LINK_OPENING || c->out.size)
        events |= GNT_WRITABLE;
    if (c->state == GNT_LINK_CLOSING || c->state == GNT_LINK_UP)
        events |= GNT_READABLE;
    gnt_stream_want(c->link.stream, (uint8_t)events);
}

static uint64_t wait_ns(const gnatter_amqp *c)
{
    uint64_t next = c->deadline;
    if (c->state == GNT_LINK_UP && gnt_amqp_connection_deadline(&c->engine) < next)
        next = gnt_amqp_connection_deadline(&c->engine);
    if (c->state == GNT_LINK_CLOSING)
        next = gnt_deadline(c->flush_from, FLUSH_MS * GNT_NS_PER_MS);
    if (next == GNT_NEVER)
        return GNT_NEVER;
    uint64_t now = gnt_now(&gnt_clock_system);
    return next > now ? next - now : 0;
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
    tell(c);
}

void *gnt_amqp_client_run(void *client)
{
    gnatter_amqp *c = client;
    gnt_thread_enter(&c->thread);
    pthread_mutex_lock(&c->thread.lock);
    for (;;) {
        c->thread.asked = false; /* callbacks let go of the lock: what is asked comes next turn */
        step(c);
        tell(c);
        if (c->quit && gnt_amqp_client_at_rest(c))
            break;
        want(c);
        bool more = c->thread.asked || (c->state == GNT_LINK_DOWN && c->wanted);
        gnt_thread_turn(&c->thread, more ? 0 : wait_ns(c));
    }
    fail_all(c);
    pthread_mutex_unlock(&c->thread.lock);
    return NULL;
}
