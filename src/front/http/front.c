#include "front/http/front.h"

#include "base/log.h"
#include "front/http/answer.h"
#include "net/websocket.h"

#include <stdlib.h>

enum {
    MANY = 1000,
    HEAD_S = 10,
    ANSWER_S = 10,
    DISCARD_SIZE = 4096,
    DISCARDS_A_CALL = 16,
};

/*   state      what goes on                                          next states */
enum state {
    STATE_HEAD,    /* a request comes                                 ANSWER, gone */
    STATE_ANSWER,  /* the answer is written                           LINGERS, gone: a WebSocket */
    STATE_LINGERS, /* input is thrown away until the peer ends, so that it can read the answer
                                                                      gone */
};

struct connection {
    struct gnt_list link; /* in front->connections, or ->ending */
    struct gnt_http_front *front;
    struct gnt_stream *stream;
    const struct gnt_http_origins *origins;
    struct gnt_timer timer;
    struct gnt_http_head head;
    struct gnt_buf out;
    const struct gnt_http_path *path; /* where the connection goes with its answer; NULL: nowhere */
    enum state state;
};

/* ---- The end of a connection */

static void connection_free(struct connection *c)
{
    --*(c->state == STATE_HEAD ? &c->front->waiting : &c->front->answered);
    gnt_list_remove(&c->link);
    gnt_timer_cancel(&c->front->loop->timers, &c->timer);
    gnt_stream_close(&c->stream);
    gnt_http_head_fini(&c->head);
    gnt_buf_fini(&c->out);
    free(c);
}

/* Who was told that it is refused has been counted. */
static void refuse(struct connection *c)
{
    if (c->state == STATE_HEAD || c->path)
        gnt_count(c->front->counters, GNT_COUNT_CONNECTIONS_REFUSED, 1);
    connection_free(c);
}

static void on_timer(struct gnt_timer *timer, uint64_t now)
{
    (void)now;
    refuse(GNT_CONTAINER(timer, struct connection, timer));
}

/* One more than COUNT comes to LIST. */
static void make_room(struct gnt_list *list, unsigned count)
{
    if (count == MANY)
        refuse(GNT_CONTAINER(list->next, struct connection, link));
}

/* ---- Answering */

/* The answer has been written: the connection is somebody else's now. */
static void hand_on(struct connection *c)
{
    const struct gnt_http_path *path = c->path;
    struct gnt_http_front *front = c->front;
    struct gnt_stream *websocket = NULL;
    if (gnt_websocket_serve(&c->stream, gnt_http_head_rest(&c->head), &websocket)) {
        refuse(c);
        return;
    }
    connection_free(c);
    path->open(front->context, websocket);
}

static void linger(struct connection *c)
{
    gnt_stream_finish(c->stream);
    gnt_http_head_fini(&c->head);
    gnt_buf_fini(&c->out);
    c->state = STATE_LINGERS;
    gnt_stream_want(c->stream, GNT_READABLE);
}

static void write_answer(struct connection *c)
{
    while (gnt_buf_size(&c->out)) {
        struct gnt_slice left = gnt_buf_slice(&c->out);
        /* iovec's base is not const, though writev only reads. */
        const struct iovec iov = {(void *)(uintptr_t)left.data, left.size};
        size_t n;
        gnt_err err = gnt_stream_writev(c->stream, &iov, 1, &n);
        if (err == GNT_MORE)
            return;
        if (err) {
            connection_free(c);
            return;
        }
        gnt_buf_take(&c->out, n);
    }
    if (c->path)
        hand_on(c);
    else
        linger(c);
}

/* READ: what reading the head has come to. */
static void begin_answer(struct connection *c, gnt_err read)
{
    struct gnt_http_front *front = c->front;
    struct gnt_http_answer answer;
    gnt_http_decide(&c->head, read, front->paths, c->origins, &answer);
    c->path = answer.path;
    make_room(&front->ending, front->answered);
    c->state = STATE_ANSWER;
    front->waiting--;
    front->answered++;
    gnt_list_remove(&c->link);
    gnt_list_push_back(&front->ending, &c->link);
    if (!c->path)
        gnt_count(front->counters, GNT_COUNT_CONNECTIONS_REFUSED, 1);
    uint64_t deadline = gnt_deadline(front->loop->now, ANSWER_S * GNT_NS_PER_S);
    /* Moving a timer that is set cannot fail. */
    if (gnt_http_put_answer(&c->out, &answer, &c->head) ||
        gnt_loop_set_timer(front->loop, &c->timer, deadline)) {
        refuse(c);
        return;
    }
    gnt_stream_want(c->stream, GNT_WRITABLE);
    write_answer(c);
}

/* ---- Reading */

/* It would not understand an answer [RFC 8446 5.1]. */
static bool speaks_tls(const struct connection *c)
{
    struct gnt_slice in = gnt_buf_slice(&c->head.in);
    return in.size > 1 && in.data[0] == 0x16 && in.data[1] == 3;
}

static void refuse_tls(struct connection *c)
{
    char peer[64];
    gnt_stream_peer(c->stream, peer, sizeof peer);
    gnt_log_limited(GNT_LOG_INFO, NULL, "refuse",
                    GNT_F_STR("reason", "the client speaks TLS, which this listener does not"),
                    GNT_F_STR("from", peer));
    refuse(c);
}

static void read_head(struct connection *c)
{
    gnt_err err;
    do {
        uint8_t *at;
        size_t cap, n;
        err = gnt_http_head_room(&c->head, &at, &cap);
        if (!err) {
            err = gnt_stream_read(c->stream, at, cap, &n);
            if (err == GNT_MORE)
                return;
            if (err) { /* it has gone, before it has said what it wants */
                connection_free(c);
                return;
            }
            err = gnt_http_head_took(&c->head, n);
        }
    } while (err == GNT_MORE);
    if (err == GNT_MALFORMED && speaks_tls(c))
        refuse_tls(c);
    else
        begin_answer(c, err);
}

static void discard(struct connection *c)
{
    uint8_t nowhere[DISCARD_SIZE];
    gnt_err err = GNT_OK;
    size_t n;
    for (int i = 0; i < DISCARDS_A_CALL && !err; i++)
        err = gnt_stream_read(c->stream, nowhere, sizeof nowhere, &n);
    if (err < 0)
        connection_free(c);
}

static void on_ready(struct gnt_stream *stream)
{
    struct connection *c = stream->owner;
    switch (c->state) {
    case STATE_HEAD: read_head(c); break;
    case STATE_ANSWER: write_answer(c); break;
    case STATE_LINGERS: discard(c); break;
    }
}

/* ---- The front */

void gnt_http_front_init(struct gnt_http_front *front, struct gnt_loop *loop,
                         struct gnt_counters *counters, const struct gnt_http_path *paths,
                         void *context)
{
    *front = (struct gnt_http_front){
        .loop = loop, .counters = counters, .paths = paths, .context = context};
    gnt_list_init(&front->connections);
    gnt_list_init(&front->ending);
}

static void close_all(struct gnt_list *list)
{
    gnt_list_each_safe (link, list)
        connection_free(GNT_CONTAINER(link, struct connection, link));
}

void gnt_http_front_fini(struct gnt_http_front *front)
{
    close_all(&front->connections);
    close_all(&front->ending);
}

void gnt_http_front_accept(struct gnt_http_front *front, struct gnt_stream *stream,
                           const struct gnt_http_origins *origins)
{
    struct connection *c = front->stopping ? NULL : calloc(1, sizeof *c);
    uint64_t deadline = gnt_deadline(front->loop->now, HEAD_S * GNT_NS_PER_S);
    if (c)
        c->timer.fire = on_timer;
    if (!c || gnt_loop_set_timer(front->loop, &c->timer, deadline)) {
        gnt_count(front->counters, GNT_COUNT_CONNECTIONS_REFUSED, 1);
        gnt_stream_close(&stream);
        free(c);
        return;
    }
    make_room(&front->connections, front->waiting);
    c->front = front;
    c->stream = stream;
    c->origins = origins;
    gnt_http_head_init(&c->head, HTTP_REQUEST);
    gnt_list_init(&c->link);
    gnt_list_push_back(&front->connections, &c->link);
    front->waiting++;
    stream->owner = c;
    stream->on_ready = on_ready;
    gnt_stream_want(stream, GNT_READABLE);
}

void gnt_http_front_stop(struct gnt_http_front *front)
{
    front->stopping = true;
    close_all(&front->connections);
}

bool gnt_http_front_idle(const struct gnt_http_front *front)
{
    return gnt_list_empty(&front->connections) && gnt_list_empty(&front->ending);
}
