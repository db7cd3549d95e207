#include "net/websocket.h"

#include "base/assert.h"
#include "base/utf8.h"
#include "net/loop.h"
#include "net/ws_frame.h"
#include "net/ws_opening.h"

#include <stdlib.h>

enum {
    MESSAGE_MAX = 256 * 1024, /* so that no peer has to collect more to have one */
    MASKED_MAX = 16 * 1024,   /* the same from a client, which copies it */
    READS_A_CALL = 8,         /* that bring nothing for the owner */
};

/* On its way out is, in this order: `own`, the rest of `head`, `owed` bytes that the owner brings.
 * Something is put into `own` only while the other two are empty, that is, between two messages;
 * what comes up meanwhile is remembered, and due. */
struct websocket {
    struct gnt_stream stream;
    struct gnt_stream *inner;       /* owned */
    const struct gnt_random *masks; /* of a client; NULL: a server */
    struct gnt_ws_opening *opening; /* until the server has agreed, or for ever if it has not */
    struct gnt_ws_reader reader;
    struct gnt_buf early;          /* input that came with the handshake */
    struct gnt_buf own;            /* frames that are the connection's own, or masked */
    struct gnt_buf ping;           /* the payload of the one that has to be answered */
    size_t owed;                   /* payload that `head` has promised */
    uint8_t head[GNT_WS_HEAD_MAX]; /* of the message that is being written */
    uint8_t head_at, head_size;    /* what of it has been written */
    int16_t failure;               /* a gnt_err that every read tells */
    uint16_t status;               /* of the Close that is due */
    bool ping_due, close_due;
    bool again;   /* nothing came of several reads, and there may be more */
    bool closing; /* Close has been put into `own`, or is due: nothing is written any more */
};

static struct websocket *websocket_of(struct gnt_stream *s)
{
    return GNT_CONTAINER(s, struct websocket, stream);
}

/* ---- Frames of its own */

static bool within_message(const struct websocket *w)
{
    return w->owed || w->head_at < w->head_size;
}

static bool has_own(const struct websocket *w)
{
    return gnt_buf_size(&w->own) || w->ping_due || w->close_due;
}

static gnt_err put_control(struct websocket *w, enum gnt_ws_opcode opcode, struct gnt_slice payload)
{
    const struct iovec iov = {(void *)(uintptr_t)payload.data, payload.size};
    return gnt_ws_put(&w->own, w->masks, opcode, &iov, payload.size);
}

/* Between two messages: what is due goes into `own`. */
static gnt_err put_due(struct websocket *w)
{
    gnt_err err = GNT_OK;
    if (w->ping_due)
        err = put_control(w, GNT_WS_PONG, gnt_buf_slice(&w->ping));
    if (err)
        return err;
    if (w->ping_due)
        gnt_buf_fini(&w->ping);
    w->ping_due = false;
    if (w->close_due) {
        const uint8_t status[] = {(uint8_t)(w->status >> 8), (uint8_t)w->status};
        err = put_control(w, GNT_WS_CLOSE, gnt_slice(status, w->status ? sizeof status : 0));
        w->close_due = err != GNT_OK;
    }
    return err;
}

/* Takes what has been written off `own`, and an empty one holds no memory. */
static size_t take_own(struct websocket *w, size_t n)
{
    size_t here = gnt_buf_size(&w->own) < n ? gnt_buf_size(&w->own) : n;
    gnt_buf_take(&w->own, here);
    if (gnt_buf_size(&w->own) == 0)
        gnt_buf_fini(&w->own);
    return n - here;
}

/* Between two messages: writes what can be written without the owner.  GNT_MORE: some is left. */
static gnt_err write_own(struct websocket *w)
{
    while (has_own(w)) {
        gnt_err err = gnt_buf_size(&w->own) ? GNT_OK : put_due(w);
        struct gnt_slice own = gnt_buf_slice(&w->own);
        const struct iovec iov = {(void *)(uintptr_t)own.data, own.size};
        size_t n = 0;
        if (!err)
            err = gnt_stream_writev(w->inner, &iov, 1, &n);
        if (err)
            return err;
        take_own(w, n);
    }
    return GNT_OK;
}

/* What the stream below has to wake it for when its owner would not. */
static void want_inner(struct websocket *w)
{
    bool waits = has_own(w) && !within_message(w);
    gnt_stream_want(w->inner,
                    (uint8_t)((waits ? GNT_WRITABLE : 0) | (w->again ? GNT_READABLE : 0)));
}

/* A ping or a Close may have come up: does what can be done about it. */
static gnt_err settle_own(struct websocket *w)
{
    gnt_err err = within_message(w) ? GNT_OK : write_own(w);
    want_inner(w);
    return err == GNT_MORE ? GNT_OK : err;
}

static void close_with(struct websocket *w, enum gnt_ws_status status)
{
    if (w->closing)
        return;
    w->closing = w->close_due = true;
    w->status = (uint16_t)status;
}

/* ---- Reading */

/* Those that may stand in a Close [RFC 6455 7.4]. */
static bool status_valid(unsigned status)
{
    static const struct {
        uint16_t first, last;
    } valid[] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};
    for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++)
        if (status >= valid[i].first && status <= valid[i].last)
            return true;
    return false;
}

/* The peer's Close: answered with its own status [RFC 6455 5.5.1]. */
static void on_close(struct websocket *w, struct gnt_slice payload)
{
    struct gnt_reader r = gnt_reader(payload);
    unsigned status = payload.size ? gnt_read_u16(&r) : GNT_WS_NO_STATUS;
    w->failure = GNT_CLOSED;
    if (payload.size && (r.bad || !status_valid(status)))
        close_with(w, GNT_WS_PROTOCOL_ERROR);
    else if (!gnt_utf8_valid(gnt_read_bytes(&r, gnt_read_left(&r))))
        close_with(w, GNT_WS_INVALID_PAYLOAD);
    else
        close_with(w, (enum gnt_ws_status)status);
}

static gnt_err on_ping(struct websocket *w, struct gnt_slice payload)
{
    gnt_buf_clear(&w->ping);
    w->ping_due = !w->closing;
    return payload.size ? gnt_buf_put(&w->ping, payload) : GNT_OK;
}

/* Unpacks WIRE, which lies at TO, to there: payload is never ahead of the frames that it comes
 * from.  What goes wrong is w->failure. */
static void unpack(struct websocket *w, struct gnt_slice wire, uint8_t *to, size_t *n)
{
    struct gnt_ws_piece piece;
    enum gnt_ws_status status;
    gnt_err err = GNT_OK;
    while (!err && !w->failure) {
        err = gnt_ws_read(&w->reader, &wire, &piece, &status);
        if (err == GNT_PROTOCOL)
            close_with(w, status);
        if (err)
            break;
        if (piece.opcode == GNT_WS_PING) {
            err = on_ping(w, piece.bytes);
        } else if (piece.opcode == GNT_WS_CLOSE) {
            on_close(w, piece.bytes);
        } else if (piece.opcode == GNT_WS_BINARY && piece.bytes.size) {
            memcpy(to + *n, piece.bytes.data, piece.bytes.size);
            *n += piece.bytes.size;
        }
    }
    gnt_err settled = settle_own(w);
    if (!w->failure)
        w->failure = (int16_t)(err < 0 ? err : settled);
}

/* The next bytes from below: *size of them. */
static gnt_err fetch(struct websocket *w, uint8_t *to, size_t cap, size_t *size)
{
    size_t left = gnt_buf_size(&w->early);
    *size = cap < left ? cap : left;
    if (!left)
        return gnt_stream_read(w->inner, to, cap, size);
    memcpy(to, gnt_buf_slice(&w->early).data, *size);
    gnt_buf_take(&w->early, *size);
    if (gnt_buf_size(&w->early) == 0)
        gnt_buf_fini(&w->early);
    return GNT_OK;
}

/* One read from below, which may bring nothing for the owner. */
static gnt_err read_once(struct websocket *w, uint8_t *to, size_t cap, size_t *n)
{
    size_t size = 0;
    if (w->failure || w->opening)
        return w->failure ? (gnt_err)w->failure : GNT_MORE;
    gnt_err err = gnt_ws_reader_ready(&w->reader);
    if (err)
        return err;
    err = fetch(w, to, cap, &size);
    unpack(w, gnt_slice(to, size), to, n); /* if there is nothing, the framer is given back */
    return err == GNT_MORE && w->failure ? (gnt_err)w->failure : err;
}

static gnt_err ws_read(struct gnt_stream *s, void *to, size_t cap, size_t *n)
{
    struct websocket *w = websocket_of(s);
    for (int left = READS_A_CALL; left && !*n; left -= gnt_buf_size(&w->early) == 0) {
        gnt_err err = read_once(w, to, cap, n);
        if (err)
            return err;
    }
    if (!*n) { /* others have their turn, too */
        w->again = true;
        want_inner(w);
        return GNT_MORE;
    }
    if (!w->failure && !gnt_buf_size(&w->early) && !(w->inner->events & GNT_READABLE))
        s->events &= (uint8_t)~GNT_READABLE;
    return GNT_OK;
}

/* ---- Writing */

/* What is left to write of an owner's pieces. */
struct pieces {
    struct iovec iov[GNT_STREAM_IOV_MAX];
    int first, count;
};

static void skip(struct pieces *p, size_t n)
{
    while (p->first < p->count && n >= p->iov[p->first].iov_len)
        n -= p->iov[p->first++].iov_len;
    if (!n)
        return;
    struct iovec *v = &p->iov[p->first];
    *v = (struct iovec){(uint8_t *)v->iov_base + n, v->iov_len - n};
}

/* Of the first COUNT pieces, MOST at most. */
static size_t size_of(const struct pieces *p, int count, size_t most)
{
    size_t size = 0;
    for (int i = p->first; i < p->count && i < p->first + count && size < most; i++)
        size += p->iov[i].iov_len;
    return size < most ? size : most;
}

/* A message with SIZE bytes begins. */
static gnt_err begin_message(struct websocket *w, size_t size)
{
    size_t head_size;
    gnt_err err = gnt_buf_size(&w->own) ? GNT_OK : put_due(w);
    if (!err)
        err = gnt_ws_head(GNT_WS_BINARY, size, w->head, &head_size);
    if (err)
        return err;
    w->head_at = 0;
    w->head_size = (uint8_t)head_size;
    w->owed = size;
    return GNT_OK;
}

/* Nothing of it has been written, so something else may come first. */
static void take_back_message(struct websocket *w)
{
    w->head_at = w->head_size = 0;
    w->owed = 0;
}

/* What comes before the payload; returns how many pieces. */
static int put_front(const struct websocket *w, struct iovec *iov)
{
    struct gnt_slice own = gnt_buf_slice(&w->own);
    int n = 0;
    if (own.size)
        iov[n++] = (struct iovec){(void *)(uintptr_t)own.data, own.size};
    if (w->head_at < w->head_size)
        iov[n++] = (struct iovec){(void *)(uintptr_t)(w->head + w->head_at),
                                  (size_t)(w->head_size - w->head_at)};
    return n;
}

/* *n bytes of P have been written. */
static gnt_err write_message(struct websocket *w, const struct pieces *p, size_t *n)
{
    struct iovec iov[GNT_STREAM_IOV_MAX];
    int count = put_front(w, iov);
    size_t owed = w->owed, written;
    for (int i = p->first; i < p->count && count < GNT_STREAM_IOV_MAX && owed; i++) {
        iov[count] = p->iov[i];
        if (iov[count].iov_len > owed)
            iov[count].iov_len = owed;
        owed -= iov[count++].iov_len;
    }
    gnt_err err = gnt_stream_writev(w->inner, iov, count, &written);
    if (err)
        return err;
    written = take_own(w, written);
    size_t head = (size_t)(w->head_size - w->head_at);
    head = head < written ? head : written;
    w->head_at = (uint8_t)(w->head_at + head);
    *n = written - head;
    w->owed -= *n;
    return GNT_OK;
}

static gnt_err write_plain(struct websocket *w, struct pieces *p, size_t *n)
{
    size_t size;
    while ((size = size_of(p, GNT_STREAM_IOV_MAX - 2, MESSAGE_MAX)) > 0) {
        size_t written = 0;
        gnt_err err = within_message(w) ? GNT_OK : begin_message(w, size);
        if (!err)
            err = write_message(w, p, &written);
        if (w->head_at == 0)
            take_back_message(w);
        if (err)
            return err;
        *n += written;
        skip(p, written);
        if (!(w->inner->events & GNT_WRITABLE))
            return GNT_MORE;
    }
    return GNT_OK;
}

/* What has been masked counts as written. */
static gnt_err write_masked(struct websocket *w, struct pieces *p, size_t *n)
{
    size_t size;
    gnt_err err = write_own(w);
    while (!err && (size = size_of(p, GNT_STREAM_IOV_MAX, MASKED_MAX)) > 0) {
        err = gnt_ws_put(&w->own, w->masks, GNT_WS_BINARY, p->iov + p->first, size);
        if (err)
            return err;
        *n += size;
        skip(p, size);
        err = write_own(w);
    }
    return err;
}

static gnt_err ws_writev(struct gnt_stream *s, const struct iovec *iov, int count, size_t *n)
{
    struct websocket *w = websocket_of(s);
    struct pieces p = {.count = count};
    if (w->opening && !w->failure)
        return GNT_MORE;
    if (w->failure || w->closing)
        return w->failure ? (gnt_err)w->failure : GNT_CLOSED;
    memcpy(p.iov, iov, (size_t)count * sizeof *iov);
    gnt_err err = w->masks ? write_masked(w, &p, n) : write_plain(w, &p, n);
    if (err >= 0) {
        gnt_err settled = settle_own(w);
        err = settled ? settled : err;
    }
    return *n && err >= 0 ? GNT_OK : err;
}

/* ---- The rest of a stream */

static void ws_finish(struct gnt_stream *s)
{
    struct websocket *w = websocket_of(s);
    close_with(w, GNT_WS_NORMAL);
    (void)settle_own(w); /* what is wrong is found by the next read */
}

static void ws_close(struct gnt_stream *s)
{
    struct websocket *w = websocket_of(s);
    if (!w->opening) {
        close_with(w, GNT_WS_GOING_AWAY);
        (void)settle_own(w);
    }
    gnt_stream_close(&w->inner);
    gnt_ws_opening_free(&w->opening);
    gnt_ws_reader_fini(&w->reader);
    gnt_buf_fini(&w->early);
    gnt_buf_fini(&w->own);
    gnt_buf_fini(&w->ping);
    free(w);
}

static gnt_err ws_move(struct gnt_stream *s, struct gnt_loop *loop)
{
    return gnt_stream_move(websocket_of(s)->inner, loop);
}

static const struct websocket *const_websocket_of(const struct gnt_stream *s)
{
    const void *w = (const char *)s - offsetof(struct websocket, stream);
    return w;
}

static size_t ws_untaken(const struct gnt_stream *s)
{
    const struct websocket *w = const_websocket_of(s);
    return gnt_stream_untaken(w->inner) + gnt_buf_size(&w->own);
}

static const struct gnt_stream *ws_below(const struct gnt_stream *s)
{
    return const_websocket_of(s)->inner;
}

static const struct gnt_stream_ops websocket_ops = {
    .read = ws_read,
    .writev = ws_writev,
    .finish = ws_finish,
    .close = ws_close,
    .move = ws_move,
    .untaken = ws_untaken,
    .below = ws_below,
};

/* ---- Opening, and what happens without the owner */

static void fail(struct websocket *w, gnt_err err)
{
    w->failure = (int16_t)err;
    gnt_stream_want(w->inner, 0);
    gnt_stream_notify(&w->stream, GNT_READABLE | GNT_WRITABLE);
}

/* The handshake is over. */
static gnt_err open_up(struct websocket *w, struct gnt_slice early)
{
    gnt_err err = early.size ? gnt_buf_put(&w->early, early) : GNT_OK;
    if (err)
        return err;
    gnt_stream_want(w->inner, 0);
    gnt_stream_stand_on(&w->stream, w->inner);
    if (early.size)
        gnt_stream_notify(&w->stream, GNT_READABLE);
    return GNT_OK;
}

static void go_on_opening(struct websocket *w)
{
    uint8_t want;
    gnt_err err = gnt_ws_opening_step(w->opening, w->inner, &want);
    if (err == GNT_MORE) {
        gnt_stream_want(w->inner, want);
        return;
    }
    if (!err)
        err = open_up(w, gnt_http_head_rest(&w->opening->answer));
    if (err)
        fail(w, err);
    else
        gnt_ws_opening_free(&w->opening);
}

static void on_inner_ready(struct gnt_stream *inner)
{
    struct websocket *w = websocket_of(inner->owner);
    if (w->opening) {
        go_on_opening(w);
        return;
    }
    if (w->again)
        gnt_stream_notify(&w->stream, GNT_READABLE);
    w->again = false;
    gnt_err err = settle_own(w);
    if (err)
        fail(w, err);
}

static struct websocket *websocket_new(struct gnt_stream *inner)
{
    struct websocket *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->inner = inner;
    gnt_stream_init(&w->stream, &websocket_ops, inner->loop);
    return w;
}

static void take_inner(struct websocket *w, struct gnt_stream **inner, struct gnt_stream **out)
{
    *inner = NULL;
    w->inner->owner = &w->stream;
    w->inner->on_ready = on_inner_ready;
    *out = &w->stream;
}

gnt_err gnt_websocket_serve(struct gnt_stream **inner, struct gnt_slice early,
                            struct gnt_stream **out)
{
    struct websocket *w = websocket_new(*inner);
    if (!w)
        return GNT_NOMEM;
    w->reader.masked = true;
    gnt_err err = open_up(w, early);
    if (err) {
        free(w);
        return err;
    }
    take_inner(w, inner, out);
    return GNT_OK;
}

gnt_err gnt_websocket_connect(struct gnt_stream **inner,
                              const struct gnt_websocket_request *request, struct gnt_stream **out)
{
    struct websocket *w = websocket_new(*inner);
    gnt_err err = w ? gnt_ws_opening_new(request, &w->opening) : GNT_NOMEM;
    if (err) {
        free(w);
        return err;
    }
    w->masks = request->random;
    take_inner(w, inner, out);
    gnt_stream_want(w->inner, GNT_WRITABLE);
    return GNT_OK;
}

const char *gnt_websocket_words(const struct gnt_stream *s)
{
    const struct gnt_ws_opening *o = const_websocket_of(s)->opening;
    return o ? o->words : "";
}
