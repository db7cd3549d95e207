/* A transport of the program's as a stream. */
#include "client/base/link.h"

#include "net/epoll.h"

#include <stdlib.h>

struct own_stream {
    struct gnt_stream stream;
    struct gnt_watch watch;
    const struct gnatter_transport *transport;
    int fd; /* -1: its READY is called instead */
};

static struct own_stream *own_of(struct gnt_stream *s)
{
    return GNT_CONTAINER(s, struct own_stream, stream);
}

/* Whatever it was, trying costs less than to tell the cases apart. */
static void own_on_events(struct gnt_watch *watch, uint32_t events)
{
    (void)events;
    gnt_stream_notify(&GNT_CONTAINER(watch, struct own_stream, watch)->stream,
                      GNT_READABLE | GNT_WRITABLE);
}

/* What a transport says is its author's word: no more bytes than there was room for, and no success
 * without a byte. */
static gnt_err own_result(int err, size_t n, size_t cap)
{
    if (err > 0)
        return GNT_MORE;
    if (err < 0)
        return (gnt_err)err;
    return n == 0 || n > cap ? GNT_IO : GNT_OK;
}

static gnt_err own_read(struct gnt_stream *s, void *to, size_t cap, size_t *n)
{
    const struct gnatter_transport *t = own_of(s)->transport;
    size_t got = 0;
    int result = t->read(t->self, to, cap, &got);
    gnt_err err = own_result(result, got, cap);
    *n = err ? 0 : got;
    return err;
}

static gnt_err own_writev(struct gnt_stream *s, const struct iovec *iov, int count, size_t *n)
{
    const struct gnatter_transport *t = own_of(s)->transport;
    size_t written = 0;
    (void)count; /* one piece after the other */
    int result = t->write(t->self, iov->iov_base, iov->iov_len, &written);
    gnt_err err = own_result(result, written, iov->iov_len);
    *n = err ? 0 : written;
    return err;
}

static void own_finish(struct gnt_stream *s)
{
    (void)s;
}

static void own_close(struct gnt_stream *s)
{
    struct own_stream *o = own_of(s);
    if (o->fd >= 0)
        gnt_epoll_remove(s->loop->poller, o->fd);
    o->transport->close(o->transport->self);
    free(o);
}

static gnt_err own_move(struct gnt_stream *s, struct gnt_loop *loop)
{
    (void)s;
    (void)loop;
    return GNT_UNSUPPORTED;
}

static void own_peer(const struct gnt_stream *s, char *out, size_t cap)
{
    (void)s;
    if (cap)
        out[0] = '\0';
}

static const struct gnt_stream_ops own_ops = {.read = own_read,
                                              .writev = own_writev,
                                              .finish = own_finish,
                                              .close = own_close,
                                              .move = own_move,
                                              .peer = own_peer};

static void own_ready(void *context)
{
    struct gnt_link *l = context;
    atomic_store(&l->ready, true);
    l->loop->poller->wake(l->loop->poller);
}

gnt_err gnt_link_own_open(struct gnt_link *l)
{
    const struct gnatter_transport *t = &l->own;
    struct own_stream *o = calloc(1, sizeof *o);
    if (!o)
        return GNT_NOMEM;
    int err = t->open(t->self, l->host, l->port, own_ready, l);
    if (err) {
        free(o);
        return err < 0 ? (gnt_err)err : GNT_IO;
    }
    *o = (struct own_stream){.watch.on_events = own_on_events, .transport = t};
    gnt_stream_init(&o->stream, &own_ops, l->loop);
    o->fd = t->fd ? t->fd(t->self) : -1;
    gnt_err added = GNT_OK;
    if (o->fd >= 0)
        added = gnt_epoll_add(l->loop->poller, o->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                              &o->watch);
    if (added) {
        t->close(t->self);
        free(o);
        return added;
    }
    gnt_stream_notify(&o->stream, GNT_READABLE | GNT_WRITABLE);
    l->stream = l->transport = &o->stream;
    return GNT_OK;
}
