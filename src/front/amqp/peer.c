#include "front/amqp/peer.h"
#include "front/amqp/link.h"

#include "auth/access.h"
#include "auth/rights.h"
#include "base/assert.h"
#include "base/log.h"
#include "net/tls_context.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LINGER_S = 5,
    WRITES_A_TURN = 64,
    INCOMING_WINDOW = 2048, /* transfer frames that a session may send ahead */
    LINK_NAME_MAX = 4096,
    REFUSED_LINKS = 64, /* that have been refused, and have not gone yet */
    PROPERTIES_MAX = 16 * 1024,
};

static void on_ready(struct gnt_stream *stream);
static void on_timer(struct gnt_timer *timer, uint64_t now);

static void move_state(struct gnt_amqp_peer *p, enum gnt_amqp_peer_state to)
{
    static const uint8_t allowed[] = {
        [GNT_PEER_OPEN] = 1u << GNT_PEER_ENDING | 1u << GNT_PEER_DEAD,
        [GNT_PEER_ENDING] = 1u << GNT_PEER_LINGERS | 1u << GNT_PEER_DEAD,
        [GNT_PEER_LINGERS] = 1u << GNT_PEER_DEAD,
        [GNT_PEER_DEAD] = 1u << GNT_PEER_DEAD,
    };
    GNT_ASSERT(allowed[p->state] >> to & 1);
    p->state = to & 3;
}

static uint32_t in_ms(const struct gnt_amqp_peer *p)
{
    return (uint32_t)(p->front->loop->now / GNT_NS_PER_MS);
}

const char *gnt_amqp_peer_name(const struct gnt_amqp_peer *p, char out[GNT_PEER_NAME_SIZE])
{
    snprintf(out, GNT_PEER_NAME_SIZE, "c%" PRIu32, p->number);
    return out;
}

struct gnt_visitor gnt_amqp_peer_visitor(const struct gnt_amqp_peer *p,
                                         char name[GNT_PEER_NAME_SIZE])
{
    return (struct gnt_visitor){.lobby = p->front->shared->lobby,
                                .loop = p->front->loop,
                                .counters = gnt_amqp_peer_counters(p),
                                .stream = p->stream,
                                .name = gnt_amqp_peer_name(p, name)};
}

/* ---- Terms */

static struct gnt_amqp_options options_of(const struct gnt_amqp_limits *l)
{
    return (struct gnt_amqp_options){
        .container_id = gnt_slice_str("gnatter"),
        .max_frame_size = l->frame_max,
        .idle_timeout_ms = l->idle_ms,
        .open_timeout_ms = l->connect_timeout_ms,
        .sessions_max = l->sessions,
        .links_max = l->links + REFUSED_LINKS,
        .unsettled_max = l->unsettled,
        .incoming_window = INCOMING_WINDOW,
        .properties_max = PROPERTIES_MAX,
        .link_name_max = LINK_NAME_MAX,
    };
}

/* The terms of FRONT, which one more peer has; NULL: no memory. */
static struct gnt_amqp_terms *terms_take(struct gnt_amqp_front *front)
{
    if (!front->terms) {
        front->terms = malloc(sizeof *front->terms);
        if (!front->terms)
            return NULL;
        *front->terms = (struct gnt_amqp_terms){.options = options_of(&front->limits)};
    }
    front->terms->peers++;
    return front->terms;
}

static void terms_leave(struct gnt_amqp_front *front, struct gnt_amqp_terms *t)
{
    if (--t->peers)
        return;
    if (front->terms == t)
        front->terms = NULL;
    free(t);
}

/* ---- Beginning and end */

static void set_timer(struct gnt_amqp_peer *p, uint64_t deadline)
{
    gnt_err err =
        gnt_loop_set_timer(p->front->loop, &p->timer, deadline < GNT_FAR ? deadline : GNT_FAR);
    GNT_ASSERT(err == GNT_OK); /* it is always set, so that moving it needs no memory */
}

static bool is_in(const struct gnt_amqp_peer *p)
{
    return p->opened;
}

static struct gnt_guest guest_of(const struct gnt_amqp_peer *p)
{
    return (struct gnt_guest){.protocol = "amqp", .client = p->container, .user = p->user};
}

/* To the program, of who had come in. */
static void tell_went(struct gnt_amqp_peer *p, const char *reason)
{
    char name[GNT_PEER_NAME_SIZE];
    const struct gnt_visitor visitor = gnt_amqp_peer_visitor(p, name);
    if (is_in(p))
        gnt_lobby_went(&visitor, guest_of(p), reason);
}

static void tell_end(struct gnt_amqp_peer *p, const char *reason)
{
    char peer[64], name[GNT_PEER_NAME_SIZE];
    tell_went(p, reason);
    if (!is_in(p))
        gnt_count(gnt_amqp_peer_counters(p), GNT_COUNT_CONNECTIONS_REFUSED, 1);
    if (!gnt_log_enabled(GNT_LOG_INFO))
        return;
    gnt_stream_peer(p->stream, peer, sizeof peer);
    gnt_log_limited(GNT_LOG_INFO, gnt_amqp_peer_name(p, name), is_in(p) ? "disconnect" : "refuse",
                    GNT_F_STR("reason", reason), GNT_F_STR("from", peer));
}

static void peer_free(struct gnt_amqp_peer *p)
{
    struct gnt_amqp_front *front = p->front;
    struct gnt_amqp_terms *terms =
        GNT_CONTAINER((uintptr_t)p->engine.options, struct gnt_amqp_terms, options);
    gnt_list_remove(&p->link);
    gnt_list_remove(&p->paused);
    gnt_list_remove(&p->dirty);
    gnt_timer_cancel(&front->loop->timers, &p->timer);
    atomic_fetch_sub_explicit(&front->shared->lobby->connections, 1, memory_order_relaxed);
    gnt_amqp_login_free(&p->login);
    gnt_stream_close(&p->stream);
    gnt_amqp_connection_fini(&p->engine);
    terms_leave(front, terms);
    gnt_outq_fini(&p->out);
    gnt_buf_fini(&p->in);
    gnt_rights_unref(&p->rights);
    gnt_access_unref(&p->access);
    free(p->container);
    free(p->user);
    free(p);
}

static void reap(struct gnt_amqp_peer *p)
{
    if (p->state == GNT_PEER_DEAD)
        peer_free(p);
}

static struct gnt_amqp_peer *peer_new(struct gnt_amqp_front *front, struct gnt_stream *stream)
{
    struct gnt_amqp_peer *p = calloc(1, sizeof *p);
    struct gnt_amqp_terms *terms = p ? terms_take(front) : NULL;
    if (!terms) {
        free(p);
        return NULL;
    }
    p->front = front;
    p->timer.fire = on_timer;
    if (gnt_loop_set_timer(front->loop, &p->timer, GNT_FAR)) {
        terms_leave(front, terms);
        free(p);
        return NULL;
    }
    p->stream = stream;
    stream->owner = p;
    stream->on_ready = on_ready;
    gnt_list_init(&p->paused);
    gnt_list_init(&p->dirty);
    gnt_list_init(&p->termini);
    gnt_list_init(&p->waiting);
    gnt_list_init(&p->coordinators);
    gnt_list_push_back(&front->peers, &p->link);
    gnt_outq_init(&p->out);
    gnt_amqp_connection_init(&p->engine, GNT_AMQP_SERVER, &terms->options, &p->out,
                             front->loop->now);
    p->engine.context = p;
    p->reviewed = front->review_round;
    p->number =
        atomic_fetch_add_explicit(&front->shared->lobby->next_number, 1, memory_order_relaxed);
    return p;
}

static void turn_away(struct gnt_amqp_front *front, struct gnt_stream *stream,
                      struct gnt_tls_context **tls, const char *why)
{
    gnt_count(&front->home->counters, GNT_COUNT_CONNECTIONS_REFUSED, 1);
    gnt_log_limited(GNT_LOG_WARNING, NULL, "turn away connection", GNT_F_STR("reason", why));
    gnt_tls_context_unref(tls);
    gnt_stream_close(&stream);
}

void gnt_amqp_front_accept(struct gnt_amqp_front *front, struct gnt_stream *stream,
                           struct gnt_tls_context **tls)
{
    _Atomic uint32_t *connections = &front->shared->lobby->connections;
    const char *why = front->stopping ? "shutting down" : NULL;
    gnt_count(&front->home->counters, GNT_COUNT_CONNECTIONS_ACCEPTED, 1);
    if (why) {
        turn_away(front, stream, tls, why);
        return;
    }
    uint32_t before = atomic_fetch_add_explicit(connections, 1, memory_order_relaxed);
    if (before >= front->limits.connections_max)
        why = "limits.connections";
    struct gnt_amqp_peer *p = why ? NULL : peer_new(front, stream);
    if (!p) {
        atomic_fetch_sub_explicit(connections, 1, memory_order_relaxed);
        turn_away(front, stream, tls, why ? why : gnt_err_text(GNT_NOMEM));
        return;
    }
    gnt_err err = gnt_amqp_login_offer(p, tls);
    if (err) {
        tell_end(p, err == GNT_DENIED ? "its certificate names nobody" : gnt_err_text(err));
        peer_free(p);
        return;
    }
    gnt_amqp_peer_keep_time(p);
    gnt_amqp_peer_want(p);
}

/* ---- The peer's end */

void gnt_amqp_peer_lost(struct gnt_amqp_peer *p, const char *reason)
{
    if (p->state == GNT_PEER_OPEN) {
        tell_end(p, reason);
        gnt_links_drop(p, true);
    }
    move_state(p, GNT_PEER_DEAD);
    gnt_amqp_peer_dirty(p);
}

void gnt_amqp_peer_end(struct gnt_amqp_peer *p, const char *why)
{
    if (p->state != GNT_PEER_OPEN)
        return;
    tell_end(p, why);
    gnt_links_drop(p, false);
    move_state(p, GNT_PEER_ENDING);
    set_timer(p, gnt_deadline(p->front->loop->now, LINGER_S * GNT_NS_PER_S));
    gnt_amqp_peer_dirty(p);
}

void gnt_amqp_peer_fail(struct gnt_amqp_peer *p, enum gnt_amqp_condition condition,
                        const char *text)
{
    struct gnt_amqp_error error = {.condition = gnt_slice(NULL, 0)};
    if (p->state != GNT_PEER_OPEN)
        return;
    GNT_AMQP_SET(&error, condition, gnt_amqp_condition_symbol(condition));
    GNT_AMQP_SET(&error, description, gnt_slice_str(text));
    if (gnt_amqp_connection_close(&p->engine, &error))
        gnt_amqp_peer_lost(p, text);
    else
        gnt_amqp_peer_end(p, text);
}

void gnt_amqp_peer_broke(struct gnt_amqp_peer *p, gnt_err err)
{
    if (p->state != GNT_PEER_OPEN)
        return;
    const char *why = p->engine.why ? p->engine.why : gnt_err_text(err);
    if (p->engine.state != GNT_AMQP_ENDED) {
        gnt_amqp_peer_fail(p, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, why);
        return;
    }
    if (err != GNT_NOMEM)
        gnt_count(gnt_amqp_peer_counters(p), GNT_COUNT_PROTOCOL_ERRORS, 1);
    gnt_amqp_peer_end(p, why);
}

/* It may have closed one direction only, and wait for answers. */
void gnt_amqp_peer_input_ended(struct gnt_amqp_peer *p, gnt_err err)
{
    if (err != GNT_CLOSED || p->out.size == 0)
        gnt_amqp_peer_lost(p, gnt_err_text(err));
    else
        gnt_amqp_peer_end(p, gnt_err_text(err));
}

void gnt_amqp_peer_shut_down(struct gnt_amqp_peer *p)
{
    gnt_amqp_peer_fail(p, GNT_AMQP_CONNECTION_FORCED, "the broker is shutting down");
}

void gnt_amqp_peer_drop(struct gnt_amqp_peer *p)
{
    if (p->state == GNT_PEER_OPEN) {
        tell_went(p, "the broker has ended");
        gnt_links_drop(p, false);
    }
    peer_free(p);
}

/* ---- Writing */

static void finish(struct gnt_amqp_peer *p)
{
    gnt_stream_finish(p->stream);
    gnt_buf_fini(&p->in);
    move_state(p, GNT_PEER_LINGERS);
    set_timer(p, gnt_deadline(p->front->loop->now, LINGER_S * GNT_NS_PER_S));
}

static uint64_t write_deadline(const struct gnt_amqp_peer *p)
{
    uint32_t timeout_ms = p->front->limits.write_timeout_ms;
    if (!p->stalled || !timeout_ms)
        return GNT_NEVER;
    uint32_t passed = in_ms(p) - p->took_ms;
    uint64_t left_ms = passed < timeout_ms ? timeout_ms - passed : 0;
    return gnt_deadline(p->front->loop->now, left_ms * GNT_NS_PER_MS);
}

/* Nothing could be written, but the kernel may have got rid of something meanwhile.  What it had
 * when the stall began is not known: a stall is over only at the second look. */
static bool still_takes(struct gnt_amqp_peer *p)
{
    size_t untaken = gnt_stream_untaken(p->stream);
    bool takes = untaken < p->untaken;
    p->untaken = untaken < UINT32_MAX ? (uint32_t)untaken : UINT32_MAX;
    if (takes)
        p->took_ms = in_ms(p);
    return takes;
}

/* After writing: a stall begins, or is over.  While it goes on the timer finds out about progress
 * when it fires. */
static void watch_stall(struct gnt_amqp_peer *p)
{
    bool was = p->stalled;
    p->stalled = p->out.size > 0;
    if (was || !p->stalled)
        return;
    p->took_ms = in_ms(p);
    p->untaken = UINT32_MAX;
    if (p->state == GNT_PEER_OPEN && write_deadline(p) < p->timer.deadline)
        set_timer(p, write_deadline(p));
}

static gnt_err write_out(struct gnt_amqp_peer *p)
{
    while (p->out.size) {
        struct iovec iov[GNT_STREAM_IOV_MAX];
        int count = gnt_outq_iov(&p->out, iov, GNT_STREAM_IOV_MAX);
        size_t n;
        gnt_err err = gnt_stream_writev(p->stream, iov, count, &n);
        if (err == GNT_MORE)
            break;
        if (err)
            return err;
        gnt_outq_take(&p->out, n);
        p->took_ms = in_ms(p);
        p->untaken = UINT32_MAX;
        gnt_count(gnt_amqp_peer_counters(p), GNT_COUNT_BYTES_SENT, (int64_t)n);
        if (!(p->stream->events & GNT_WRITABLE))
            break;
    }
    return GNT_OK;
}

static void flush(struct gnt_amqp_peer *p)
{
    if (p->state == GNT_PEER_LINGERS || p->state == GNT_PEER_DEAD)
        return;
    gnt_err err = GNT_OK;
    if (p->state == GNT_PEER_OPEN)
        err = gnt_amqp_connection_flush(&p->engine, p->front->loop->now);
    if (!err)
        err = write_out(p);
    if (err) {
        gnt_amqp_peer_lost(p, gnt_err_text(err));
        return;
    }
    watch_stall(p);
    if (p->state == GNT_PEER_OPEN && p->out.size <= p->front->limits.output_max / 2)
        gnt_links_go_on(p);
    if (p->state == GNT_PEER_ENDING && p->out.size == 0)
        finish(p);
    gnt_amqp_peer_secure(p);
    if (p->unread)
        gnt_amqp_peer_unpause(p);
    else
        gnt_amqp_peer_want(p);
}

void gnt_amqp_peer_flush(struct gnt_task *task)
{
    struct gnt_amqp_front *front = GNT_CONTAINER(task, struct gnt_amqp_front, flush);
    for (int i = 0; i < WRITES_A_TURN; i++) {
        struct gnt_list *link = gnt_list_pop_front(&front->dirty);
        if (!link)
            return;
        struct gnt_amqp_peer *p = GNT_CONTAINER(link, struct gnt_amqp_peer, dirty);
        flush(p);
        reap(p);
    }
}

void gnt_amqp_peer_dirty(struct gnt_amqp_peer *p)
{
    if (gnt_list_linked(&p->dirty))
        return;
    gnt_list_push_back(&p->front->dirty, &p->dirty);
    gnt_loop_at_end(p->front->loop, &p->front->flush);
}

static void on_ready(struct gnt_stream *stream)
{
    struct gnt_amqp_peer *p = stream->owner;
    if (gnt_amqp_peer_shakes_hands(p)) {
        gnt_amqp_peer_shook_hands(p);
        return;
    }
    if ((stream->events & stream->want & GNT_WRITABLE) != 0)
        gnt_amqp_peer_dirty(p);
    if ((stream->events & stream->want & GNT_READABLE) == 0) {
        gnt_amqp_peer_want(p);
    } else if (p->state == GNT_PEER_LINGERS) {
        if (gnt_amqp_peer_discard(p))
            move_state(p, GNT_PEER_DEAD);
        reap(p);
    } else {
        gnt_amqp_peer_read(p);
    }
}

/* ---- Time */

static uint64_t deadline_of(const struct gnt_amqp_peer *p)
{
    uint64_t engine = gnt_amqp_connection_deadline(&p->engine);
    uint64_t write = write_deadline(p), held = gnt_amqp_login_held_until(p);
    uint64_t first = engine < write ? engine : write;
    return first < held ? first : held;
}

void gnt_amqp_peer_keep_time(struct gnt_amqp_peer *p)
{
    set_timer(p, deadline_of(p));
}

/* Silence of who is not listened to is none. */
static void tick(struct gnt_amqp_peer *p, uint64_t now)
{
    if (gnt_amqp_peer_is_unheard(p))
        gnt_amqp_connection_lives(&p->engine, now);
    bool shakes = gnt_amqp_peer_shakes_hands(p);
    gnt_err err = gnt_amqp_connection_tick(&p->engine, now);
    gnt_amqp_peer_dirty(p);
    if (!err) {
        gnt_amqp_peer_keep_time(p);
    } else if (shakes) {
        gnt_amqp_peer_unsecured(p, "no TLS handshake in time");
    } else if (err == GNT_TIMEOUT) {
        if (is_in(p))
            gnt_count(gnt_amqp_peer_counters(p), GNT_COUNT_KEEP_ALIVE_TIMEOUTS, 1);
        gnt_amqp_peer_end(p, is_in(p) ? "nothing was heard in time" : "not opened in time");
    } else {
        gnt_amqp_peer_broke(p, err);
    }
}

static void on_timer(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_amqp_peer *p = GNT_CONTAINER(timer, struct gnt_amqp_peer, timer);
    set_timer(p, GNT_FAR); /* first of all, while there is surely room for it */
    if (p->state != GNT_PEER_OPEN) {
        move_state(p, GNT_PEER_DEAD);
        reap(p);
    } else if (gnt_amqp_login_held_until(p) <= now) {
        gnt_amqp_login_tell(p);
    } else if (write_deadline(p) <= now && !still_takes(p)) {
        gnt_count(gnt_amqp_peer_counters(p), GNT_COUNT_WRITE_TIMEOUTS, 1);
        gnt_amqp_peer_lost(p, "nothing was taken in time");
    } else if (gnt_amqp_connection_deadline(&p->engine) <= now) {
        tick(p, now);
    } else {
        gnt_amqp_peer_keep_time(p);
    }
}

/* ---- Events */

static void log_connect(const struct gnt_amqp_peer *p)
{
    char peer[64], name[GNT_PEER_NAME_SIZE];
    if (!gnt_log_enabled(GNT_LOG_INFO))
        return;
    gnt_stream_peer(p->stream, peer, sizeof peer);
    gnt_log_limited(GNT_LOG_INFO, gnt_amqp_peer_name(p, name), "connect",
                    GNT_F_TEXT("container", gnt_slice_str(p->container)),
                    GNT_F_STR("user", p->user ? p->user : "anonymous"), GNT_F_STR("by", p->by),
                    GNT_F_STR("protocol", "amqp"), GNT_F_STR("from", peer));
}

static void refuse_open(struct gnt_amqp_peer *p, gnt_err why)
{
    if (why == GNT_DENIED)
        gnt_amqp_peer_fail(p, GNT_AMQP_UNAUTHORIZED_ACCESS, "peers have to say who they are");
    else if (why == GNT_BUSY)
        gnt_amqp_peer_fail(p, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, "too many clients come at once");
    else
        gnt_amqp_peer_broke(p, why);
}

void gnt_amqp_peer_opens(struct gnt_amqp_peer *p, gnt_err may)
{
    char name[GNT_PEER_NAME_SIZE];
    const struct gnt_visitor visitor = gnt_amqp_peer_visitor(p, name);
    gnt_err err = may ? may : gnt_amqp_login_end(p);
    if (!err)
        err = gnt_amqp_peer_open(p);
    if (err) {
        refuse_open(p, err);
        return;
    }
    p->opened = true;
    gnt_count(gnt_amqp_peer_counters(p), GNT_COUNT_CONNECTS, 1);
    gnt_amqp_peer_keep_time(p);
    gnt_amqp_peer_dirty(p);
    log_connect(p);
    gnt_lobby_came(&visitor, guest_of(p));
}

static void on_open(struct gnt_amqp_peer *p, const struct gnt_amqp_open *open)
{
    struct gnt_slice id = open->container_id;
    p->container = strndup(id.data ? (const char *)id.data : "", id.size);
    gnt_err may = p->container ? gnt_amqp_login_at_open(p) : GNT_NOMEM;
    if (may != GNT_MORE)
        gnt_amqp_peer_opens(p, may);
}

void gnt_amqp_peer_on_event(struct gnt_amqp_peer *p, const struct gnt_amqp_event *event)
{
    switch (event->type) {
    case GNT_AMQP_EVENT_SASL_INIT:
    case GNT_AMQP_EVENT_SASL_RESPONSE: gnt_amqp_login_on_event(p, event); break;
    case GNT_AMQP_EVENT_OPEN: on_open(p, &event->performative.open); break;
    case GNT_AMQP_EVENT_CLOSE: gnt_amqp_peer_end(p, "by the peer"); break;
    default: gnt_link_on_event(p, event);
    }
}
