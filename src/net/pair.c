#include "net/pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* One of the two, with the ring of bytes that its peer has written and it has not read. */
struct end {
    struct gnt_stream stream;
    struct end *peer; /* NULL once that is closed */
    bool finished;    /* writes no more */
    bool ended;       /* nothing comes after what is in `bytes` */
    size_t first, count, cap;
    struct sockaddr_storage address; /* of the peer, as far as anybody knows */
    uint8_t bytes[];
};

static struct end *end_of(struct gnt_stream *s)
{
    return GNT_CONTAINER(s, struct end, stream);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static gnt_err pair_read(struct gnt_stream *s, void *to, size_t cap, size_t *n)
{
    struct end *e = end_of(s);
    if (!e->count)
        return e->ended ? GNT_CLOSED : GNT_MORE;
    *n = least(cap, e->count);
    size_t before_wrap = least(*n, e->cap - e->first);
    memcpy(to, e->bytes + e->first, before_wrap);
    memcpy((uint8_t *)to + before_wrap, e->bytes, *n - before_wrap);
    e->first = (e->first + *n) % e->cap;
    e->count -= *n;
    if (e->peer)
        gnt_stream_notify(&e->peer->stream, GNT_WRITABLE);
    return GNT_OK;
}

static size_t put(struct end *e, const uint8_t *from, size_t size)
{
    size_t n = least(size, e->cap - e->count);
    size_t at = (e->first + e->count) % e->cap;
    size_t before_wrap = least(n, e->cap - at);
    memcpy(e->bytes + at, from, before_wrap);
    memcpy(e->bytes, from + before_wrap, n - before_wrap);
    e->count += n;
    return n;
}

static gnt_err pair_writev(struct gnt_stream *s, const struct iovec *iov, int count, size_t *n)
{
    struct end *e = end_of(s);
    if (e->finished || !e->peer)
        return GNT_CLOSED;
    if (e->peer->count == e->peer->cap)
        return GNT_MORE;
    for (int i = 0; i < count; i++)
        if (iov[i].iov_len)
            *n += put(e->peer, iov[i].iov_base, iov[i].iov_len);
    if (*n)
        gnt_stream_notify(&e->peer->stream, GNT_READABLE);
    return GNT_OK;
}

static void pair_finish(struct gnt_stream *s)
{
    struct end *e = end_of(s);
    e->finished = true;
    if (!e->peer)
        return;
    e->peer->ended = true;
    gnt_stream_notify(&e->peer->stream, GNT_READABLE);
}

static void pair_close(struct gnt_stream *s)
{
    struct end *e = end_of(s);
    if (e->peer) {
        e->peer->ended = true;
        e->peer->peer = NULL;
        gnt_stream_notify(&e->peer->stream, GNT_READABLE | GNT_WRITABLE);
    }
    free(e);
}

static gnt_err pair_move(struct gnt_stream *s, struct gnt_loop *loop)
{
    (void)s;
    (void)loop;
    return GNT_OK;
}

static void pair_peer(const struct gnt_stream *s, char *out, size_t cap)
{
    (void)s;
    snprintf(out, cap, "pair");
}

static void pair_address(const struct gnt_stream *s, struct sockaddr_storage *out)
{
    const void *e = (const char *)s - offsetof(struct end, stream);
    *out = ((const struct end *)e)->address;
}

static const struct gnt_stream_ops pair_ops = {
    .read = pair_read,
    .writev = pair_writev,
    .finish = pair_finish,
    .close = pair_close,
    .move = pair_move,
    .peer = pair_peer,
    .address = pair_address,
};

static struct end *end_new(struct gnt_loop *loop, size_t capacity)
{
    struct end *e = capacity > SIZE_MAX - sizeof *e ? NULL : malloc(sizeof *e + capacity);
    if (!e)
        return NULL;
    *e = (struct end){.cap = capacity};
    gnt_stream_init(&e->stream, &pair_ops, loop);
    e->stream.events = GNT_WRITABLE;
    return e;
}

gnt_err gnt_pair_new(struct gnt_loop *a_loop, struct gnt_loop *b_loop, size_t capacity,
                     struct gnt_stream **a, struct gnt_stream **b)
{
    if (!capacity)
        return GNT_INVALID;
    struct end *one = end_new(a_loop, capacity);
    struct end *other = end_new(b_loop, capacity);
    if (!one || !other) {
        free(one);
        free(other);
        return GNT_NOMEM;
    }
    one->peer = other;
    other->peer = one;
    *a = &one->stream;
    *b = &other->stream;
    return GNT_OK;
}

void gnt_pair_come_from(struct gnt_stream *s, const struct sockaddr_storage *address)
{
    end_of(s)->address = *address;
}
