#include "front/mqtt/connection.h"
#include "front/mqtt/gate.h"
#include "front/mqtt/withhold.h"

#include "base/assert.h"
#include "base/log.h"
#include "net/post.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LINGER_S = 5,
    SURPLUS_MAX = 1024, /* connections beyond the limit that wait to be told where to go */
    /* One turn's writing, to those who are told little, and as much to the others: */
    WRITES_A_TURN = 32,
    WRITE_A_TURN = 256 * 1024,
};

static void on_ready(struct gnt_stream *stream);
static void on_timer(struct gnt_timer *timer, uint64_t now);

static void move_state(struct gnt_mqtt_connection *c, enum gnt_connection_state to)
{
    static const uint8_t allowed[] = {
        [GNT_CONNECTION_OPEN] = 1u << GNT_CONNECTION_ENDING | 1u << GNT_CONNECTION_DEAD,
        [GNT_CONNECTION_ENDING] = 1u << GNT_CONNECTION_LINGERS | 1u << GNT_CONNECTION_DEAD,
        [GNT_CONNECTION_LINGERS] = 1u << GNT_CONNECTION_DEAD,
        [GNT_CONNECTION_DEAD] = 1u << GNT_CONNECTION_DEAD,
    };
    GNT_ASSERT(allowed[c->state] >> to & 1);
    c->state = to & 3;
}

/* ---- Beginning and end */

static void set_timer(struct gnt_mqtt_connection *c, uint64_t deadline)
{
    gnt_err err =
        gnt_loop_set_timer(c->front->loop, &c->timer, deadline < GNT_FAR ? deadline : GNT_FAR);
    GNT_ASSERT(err == GNT_OK); /* it is always set, so that moving it needs no memory */
}

/* The terms of its front are C's from here on. */
static gnt_err terms_take(struct gnt_mqtt_connection *c)
{
    struct gnt_mqtt_front *front = c->front;
    if (!front->terms) {
        front->terms = malloc(sizeof *front->terms);
        if (!front->terms)
            return GNT_NOMEM;
        *front->terms = (struct gnt_mqtt_terms){.options = front->limits.engine};
        front->terms->options.counters = &front->home->counters;
    }
    front->terms->connections++;
    gnt_mqtt_server_settle(&c->engine, &front->terms->options);
    return GNT_OK;
}

static void terms_leave(struct gnt_mqtt_connection *c)
{
    struct gnt_mqtt_terms *t =
        GNT_CONTAINER((uintptr_t)c->engine.options, struct gnt_mqtt_terms, options);
    gnt_mqtt_server_settle(&c->engine, NULL);
    if (--t->connections)
        return;
    if (c->front->terms == t)
        c->front->terms = NULL;
    free(t);
}

/* Ties the connection to FRONT, whose worker has its stream now. */
static gnt_err enter(struct gnt_mqtt_connection *c, struct gnt_mqtt_front *front)
{
    c->front = front;
    gnt_err err = gnt_loop_set_timer(front->loop, &c->timer, GNT_FAR);
    if (err)
        return err;
    err = terms_take(c);
    if (err) {
        gnt_timer_cancel(&front->loop->timers, &c->timer);
        return err;
    }
    gnt_list_push_back(&front->connections, &c->link);
    set_timer(c, gnt_mqtt_server_deadline(&c->engine));
    gnt_stream_want(c->stream, GNT_READABLE);
    return GNT_OK;
}

static void leave(struct gnt_mqtt_connection *c)
{
    gnt_list_remove(&c->link);
    gnt_list_remove(&c->paused);
    gnt_list_remove(&c->dirty);
    gnt_timer_cancel(&c->front->loop->timers, &c->timer);
    terms_leave(c);
}

/* A connection that ends before CONNACK has said yes counts as refused, once. */
static void count_end(struct gnt_mqtt_connection *c)
{
    if (c->engine.state != GNT_MQTT_OPEN && c->engine.state != GNT_MQTT_ENDED)
        gnt_count(gnt_connection_counters(c), GNT_COUNT_CONNECTIONS_REFUSED, 1);
}

const char *gnt_connection_name(const struct gnt_mqtt_connection *c, char out[GNT_NAME_SIZE])
{
    snprintf(out, GNT_NAME_SIZE, "c%" PRIu32, c->number);
    return out;
}

struct gnt_visitor gnt_connection_visitor(const struct gnt_mqtt_connection *c,
                                          char name[GNT_NAME_SIZE])
{
    return (struct gnt_visitor){.lobby = c->front->shared->lobby,
                                .loop = c->front->loop,
                                .counters = gnt_connection_counters(c),
                                .stream = c->stream,
                                .name = gnt_connection_name(c, name)};
}

/* Before the engine is told: its state says how far the client had come. */
static void tell_end(struct gnt_mqtt_connection *c, const char *reason)
{
    char peer[64], name[GNT_NAME_SIZE];
    gnt_login_went(c, reason);
    if (!gnt_log_enabled(GNT_LOG_INFO))
        return;
    gnt_stream_peer(c->stream, peer, sizeof peer);
    gnt_log_limited(GNT_LOG_INFO, gnt_connection_name(c, name),
                    c->engine.state == GNT_MQTT_OPEN ? "disconnect" : "refuse",
                    GNT_F_STR("reason", reason), GNT_F_STR("from", peer));
}

static void connection_free(struct gnt_mqtt_connection *c)
{
    GNT_ASSERT(c->session == NULL);
    atomic_fetch_sub_explicit(&c->front->shared->lobby->connections, 1, memory_order_relaxed);
    gnt_login_free(
        &c->login); /* first: nobody is to be asked about a client that has seen its end */
    gnt_stream_close(&c->stream);
    gnt_connection_drop_subscribing(c);
    gnt_gate_drop(c);
    gnt_mqtt_server_fini(&c->engine);
    gnt_outq_fini(&c->out);
    gnt_buf_fini(&c->in);
    free(c);
}

static void reap(struct gnt_mqtt_connection *c)
{
    if (c->state != GNT_CONNECTION_DEAD)
        return;
    leave(c);
    connection_free(c);
}

static struct gnt_mqtt_connection *connection_new(struct gnt_mqtt_front *front,
                                                  struct gnt_stream *stream)
{
    struct gnt_mqtt_connection *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->receiver.ops = &gnt_connection_receiver_ops;
    c->front = front;
    c->stream = stream;
    stream->owner = c;
    stream->on_ready = on_ready;
    c->timer.fire = on_timer;
    gnt_list_init(&c->link);
    gnt_list_init(&c->paused);
    gnt_outq_init(&c->out);
    gnt_list_init(&c->dirty);
    gnt_mqtt_server_init(&c->engine, &c->out, front->loop->now);
    c->number =
        atomic_fetch_add_explicit(&front->shared->lobby->next_number, 1, memory_order_relaxed);
    return c;
}

static void turn_away(struct gnt_mqtt_front *front, struct gnt_stream *stream, const char *why)
{
    gnt_count(&front->home->counters, GNT_COUNT_CONNECTIONS_REFUSED, 1);
    gnt_log_limited(GNT_LOG_WARNING, NULL, "turn away connection", GNT_F_STR("reason", why));
    gnt_stream_close(&stream);
}

void gnt_mqtt_front_accept(struct gnt_mqtt_front *front, struct gnt_stream *stream)
{
    struct gnt_lobby *lobby = front->shared->lobby;
    gnt_count(&front->home->counters, GNT_COUNT_CONNECTIONS_ACCEPTED, 1);
    if (front->stopping) {
        turn_away(front, stream, "shutting down");
        return;
    }
    uint32_t most = front->limits.connections_max;
    uint32_t before = atomic_fetch_add_explicit(&lobby->connections, 1, memory_order_relaxed);
    bool told = front->limits.moved.to[0] && before - most < SURPLUS_MAX;
    if (before >= most && !told) {
        atomic_fetch_sub_explicit(&lobby->connections, 1, memory_order_relaxed);
        turn_away(front, stream, "limits.connections");
        return;
    }
    struct gnt_mqtt_connection *c = connection_new(front, stream);
    if (c)
        c->surplus = before >= most;
    if (c && enter(c, front) == GNT_OK)
        return;
    atomic_fetch_sub_explicit(&lobby->connections, 1, memory_order_relaxed);
    free(c);
    turn_away(front, stream, gnt_err_text(GNT_NOMEM));
}

/* ---- Moving home */

static void on_arrival(const struct gnt_mail *mail);

bool gnt_connection_move(struct gnt_mqtt_connection *c, unsigned home, struct gnt_slice left)
{
    struct gnt_mqtt_front *from = c->front, *to = &from->shared->fronts[home];
    struct gnt_buf in = {0};
    gnt_err err = gnt_buf_put(&in, left); /* LEFT may lie in c->in */
    if (!err)
        err = gnt_stream_move(c->stream, NULL);
    if (err) {
        gnt_buf_fini(&in);
        gnt_connection_fail(c, GNT_REASON_SERVER_BUSY, NULL);
        return false;
    }
    gnt_buf_fini(&c->in);
    c->in = in;
    gnt_mqtt_server_rewind(&c->engine);
    leave(c);
    const struct gnt_mail mail = {.run = on_arrival, .to = to, .object = c};
    if (gnt_post_send(from->loop->post, from->loop->address, home, &mail)) {
        gnt_count(&from->home->counters, GNT_COUNT_CONNECTIONS_REFUSED, 1);
        connection_free(c); /* out of memory: the close has to say it */
    }
    return true;
}

static void lost(struct gnt_mqtt_connection *c, const char *reason);

static void on_arrival(const struct gnt_mail *mail)
{
    struct gnt_mqtt_front *front = mail->to;
    struct gnt_mqtt_connection *c = mail->object;
    c->front = front;
    if (gnt_stream_move(c->stream, front->loop) || enter(c, front)) {
        count_end(c);
        connection_free(c);
        return;
    }
    if (front->stopping)
        lost(c, gnt_mqtt_reason_text(GNT_REASON_SERVER_SHUTTING_DOWN));
    else
        gnt_connection_read(c);
}

/* ---- The peer's end */

/* Nothing more can be written. */
static void lost(struct gnt_mqtt_connection *c, const char *reason)
{
    if (c->state == GNT_CONNECTION_OPEN) {
        tell_end(c, reason);
        count_end(c);
    }
    if (c->session) {
        struct gnt_session *s = c->session;
        c->session = NULL;
        gnt_session_close(s, GNT_PARTING_WITH_WILL, gnt_session_expiry(s));
    }
    gnt_withhold_end(c);
    move_state(c, GNT_CONNECTION_DEAD);
    gnt_connection_dirty(c);
}

/* It may have closed one direction only, and wait for answers. */
void gnt_connection_input_ended(struct gnt_mqtt_connection *c, gnt_err err)
{
    if (err != GNT_CLOSED || c->out.size == 0) {
        lost(c, gnt_err_text(err));
        return;
    }
    tell_end(c, gnt_err_text(err));
    gnt_connection_end(c, GNT_PARTING_WITH_WILL, c->session ? gnt_session_expiry(c->session) : 0);
}

/* ---- Writing */

static void finish(struct gnt_mqtt_connection *c)
{
    gnt_stream_finish(c->stream);
    gnt_buf_fini(&c->in);
    move_state(c, GNT_CONNECTION_LINGERS);
    set_timer(c, gnt_deadline(c->front->loop->now, LINGER_S * GNT_NS_PER_S));
}

static uint64_t write_deadline(const struct gnt_mqtt_connection *c)
{
    uint32_t timeout_ms = c->front->limits.write_timeout_ms;
    if (!c->stalled || !timeout_ms)
        return GNT_NEVER;
    uint32_t passed = gnt_connection_ms(c) - c->took_ms;
    uint64_t left_ms = passed < timeout_ms ? timeout_ms - passed : 0;
    return gnt_deadline(c->front->loop->now, left_ms * GNT_NS_PER_MS);
}

/* Nothing could be written, but the kernel may have got rid of something meanwhile.  What it had
 * when the stall began is not known: a stall is over only at the second look. */
static bool still_takes(struct gnt_mqtt_connection *c)
{
    size_t untaken = gnt_stream_untaken(c->stream);
    bool takes = untaken < c->untaken;
    c->untaken = untaken < UINT32_MAX ? (uint32_t)untaken : UINT32_MAX;
    if (takes)
        c->took_ms = gnt_connection_ms(c);
    return takes;
}

/* After writing: a stall begins, or is over.  While it goes on the timer finds out about progress
 * when it fires. */
static void watch_stall(struct gnt_mqtt_connection *c)
{
    bool was = c->stalled;
    c->stalled = gnt_gate_passes(c) > 0;
    if (was || !c->stalled)
        return;
    c->took_ms = gnt_connection_ms(c);
    c->untaken = UINT32_MAX;
    if (c->state == GNT_CONNECTION_OPEN && write_deadline(c) < c->timer.deadline)
        set_timer(c, write_deadline(c));
}

static void flush(struct gnt_mqtt_connection *c)
{
    if (c->state == GNT_CONNECTION_LINGERS || c->state == GNT_CONNECTION_DEAD)
        return;
    gnt_err err = gnt_connection_write(c);
    if (err) {
        lost(c, gnt_err_text(err));
        return;
    }
    watch_stall(c);
    if (c->blocked && c->session && c->out.size <= c->front->limits.output_max / 2) {
        c->blocked = false;
        gnt_session_ready(c->session);
        gnt_list_remove(&c->dirty); /* the next turn writes it, after others had theirs */
    }
    if (c->state == GNT_CONNECTION_ENDING && c->out.size == 0 && !c->gated)
        finish(c);
    if (c->unread)
        gnt_connection_unpause(c);
    else
        gnt_connection_want(c);
}

/* To those of LIST who have waited longest. */
static void flush_some(struct gnt_list *list)
{
    size_t size = 0;
    for (int i = 0; i < WRITES_A_TURN && size < WRITE_A_TURN; i++) {
        struct gnt_list *link = gnt_list_pop_front(list);
        if (!link)
            return;
        struct gnt_mqtt_connection *c = GNT_CONTAINER(link, struct gnt_mqtt_connection, dirty);
        size += c->out.size;
        flush(c);
        reap(c);
    }
}

void gnt_connection_flush(struct gnt_task *task)
{
    struct gnt_mqtt_front *front = GNT_CONTAINER(task, struct gnt_mqtt_front, flush);
    flush_some(&front->dirty);
    flush_some(&front->bulk);
}

void gnt_connection_dirty(struct gnt_mqtt_connection *c)
{
    if (gnt_list_linked(&c->dirty))
        return;
    gnt_list_push_back(c->bulky ? &c->front->bulk : &c->front->dirty, &c->dirty);
    gnt_loop_at_end(c->front->loop, &c->front->flush);
}

static void on_ready(struct gnt_stream *stream)
{
    struct gnt_mqtt_connection *c = stream->owner;
    if ((stream->events & stream->want & GNT_WRITABLE) != 0)
        gnt_connection_dirty(c);
    if ((stream->events & stream->want & GNT_READABLE) == 0) {
        gnt_connection_want(c);
        return;
    }
    if (c->state == GNT_CONNECTION_LINGERS) {
        if (gnt_connection_discard(c))
            move_state(c, GNT_CONNECTION_DEAD);
        reap(c);
    } else if (gnt_login_held_until(c)) {
        gnt_login_listen(c);
    } else {
        gnt_connection_read(c);
    }
}

/* ---- Time */

static void on_timer(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_mqtt_connection *c = GNT_CONTAINER(timer, struct gnt_mqtt_connection, timer);
    set_timer(c, GNT_FAR); /* first of all, while there is surely room for it */
    if (c->state != GNT_CONNECTION_OPEN) {
        move_state(c, GNT_CONNECTION_DEAD);
        reap(c);
        return;
    }
    uint64_t held = gnt_login_held_until(c);
    if (held) { /* before that nothing else ends it */
        if (held > now)
            set_timer(c, held);
        else
            gnt_login_tell(c);
        return;
    }
    uint64_t silence = gnt_mqtt_server_deadline(&c->engine), write = write_deadline(c);
    uint64_t deadline = silence < write ? silence : write;
    if (deadline > now) {
        set_timer(c, deadline);
    } else if (write <= now && still_takes(c)) {
        set_timer(c, write_deadline(c) < silence ? write_deadline(c) : silence);
    } else if (write <= now) { /* it could not be told anything, either */
        gnt_count(gnt_connection_counters(c), GNT_COUNT_WRITE_TIMEOUTS, 1);
        lost(c, "nothing was taken in time");
    } else if (gnt_connection_is_unheard(c)) {
        /* who is not listened to cannot be heard */
        set_timer(c, gnt_deadline(now, GNT_NS_PER_S));
    } else if (c->engine.state == GNT_MQTT_OPEN) {
        gnt_count(gnt_connection_counters(c), GNT_COUNT_KEEP_ALIVE_TIMEOUTS, 1);
        gnt_connection_fail(c, GNT_REASON_KEEP_ALIVE_TIMEOUT, NULL);
    } else {
        lost(c, c->login ? "not logged in in time" : "no CONNECT in time");
    }
}

void gnt_connection_keep_time(struct gnt_mqtt_connection *c)
{
    uint64_t held = gnt_login_held_until(c);
    set_timer(c, held ? held : gnt_mqtt_server_deadline(&c->engine));
}

/* ---- Ending */

void gnt_connection_end(struct gnt_mqtt_connection *c, enum gnt_parting how, uint32_t expiry_s)
{
    if (c->state != GNT_CONNECTION_OPEN)
        return;
    count_end(c);
    struct gnt_session *s = c->session;
    bool session_ends = s && gnt_session_is_kept(s) && expiry_s == 0;
    c->session = NULL;
    if (s)
        gnt_session_close(s, how, expiry_s);
    /* The end of the connection is all that the client is told about the end of its session: it
     * waits until that is safe, if there is memory for waiting. */
    if (session_ends && gnt_gate_close(c))
        gnt_count(gnt_connection_counters(c), GNT_COUNT_KEEP_FAILURES, 1);
    gnt_withhold_end(c);
    gnt_connection_drop_subscribing(c);
    move_state(c, GNT_CONNECTION_ENDING);
    set_timer(c, gnt_deadline(c->front->loop->now, LINGER_S * GNT_NS_PER_S));
    gnt_connection_dirty(c);
}

/* REFERENCE: where the client is to go, NULL if it need not go anywhere. */
static void part(struct gnt_mqtt_connection *c, uint8_t reason, const char *text,
                 const char *reference)
{
    if (c->state != GNT_CONNECTION_OPEN)
        return;
    text = text ? text : gnt_mqtt_reason_text(reason);
    tell_end(c, text);
    count_end(c);
    /* The will of a client that was not let in is nobody's. */
    bool open = c->engine.state == GNT_MQTT_OPEN;
    if (reference)
        gnt_mqtt_server_refer(&c->engine, reason, reference);
    else if (open)
        gnt_mqtt_server_disconnect(&c->engine, reason, text);
    else
        gnt_mqtt_server_refuse(&c->engine, reason, text);
    gnt_connection_end(c, open ? GNT_PARTING_WITH_WILL : GNT_PARTING_CLEAN,
                       c->session ? gnt_session_expiry(c->session) : 0);
}

void gnt_connection_fail(struct gnt_mqtt_connection *c, uint8_t reason, const char *text)
{
    part(c, reason, text, NULL);
}

void gnt_connection_refer(struct gnt_mqtt_connection *c)
{
    const struct gnt_mqtt_moved *moved = &c->front->limits.moved;
    bool for_good = moved->all && moved->permanent;
    part(c, for_good ? GNT_REASON_SERVER_MOVED : GNT_REASON_USE_ANOTHER_SERVER, NULL, moved->to);
}

void gnt_connection_broke(struct gnt_mqtt_connection *c, uint8_t reason, const char *text)
{
    if (c->state != GNT_CONNECTION_OPEN)
        return;
    gnt_count(gnt_connection_counters(c), GNT_COUNT_PROTOCOL_ERRORS, 1);
    gnt_connection_fail(c, reason, text);
}

void gnt_connection_unanswered(struct gnt_mqtt_connection *c, gnt_err err)
{
    uint8_t reason = err == GNT_TOOBIG ? GNT_REASON_PACKET_TOO_LARGE
                     : err == GNT_FULL ? GNT_REASON_QUOTA_EXCEEDED
                     : err == GNT_IO   ? GNT_REASON_SERVER_UNAVAILABLE
                                       : GNT_REASON_SERVER_BUSY;
    gnt_connection_fail(c, reason, err == GNT_NOMEM ? gnt_err_text(err) : NULL);
}

void gnt_connection_shut_down(struct gnt_mqtt_connection *c)
{
    if (c->state != GNT_CONNECTION_OPEN)
        return;
    uint8_t reason = GNT_REASON_SERVER_SHUTTING_DOWN;
    gnt_login_went(c, gnt_mqtt_reason_text(reason));
    count_end(c);
    gnt_mqtt_server_disconnect(&c->engine, reason, gnt_mqtt_reason_text(reason));
    gnt_connection_end(c, GNT_PARTING_CLEAN, c->session ? gnt_session_expiry(c->session) : 0);
}

void gnt_connection_drop(struct gnt_mqtt_connection *c)
{
    if (c->session)
        gnt_session_close(c->session, GNT_PARTING_CLEAN, gnt_session_expiry(c->session));
    c->session = NULL;
    gnt_login_went(c, gnt_mqtt_reason_text(GNT_REASON_SERVER_SHUTTING_DOWN));
    gnt_withhold_end(c);
    leave(c);
    connection_free(c);
}
