/* From a host name, or a transport of the user's, to a byte stream. */
#include "client/mqtt/client.h"
#include "client/mqtt/tls.h"

#include "base/assert.h"
#include "base/random.h"
#include "net/epoll.h"
#include "net/resolve.h"
#include "net/tcp.h"
#include "net/unix.h"
#include "net/websocket.h"

#include <stdlib.h>

/* ---- Looking a name up, on a thread that may outlive the client. */

struct gnt_lookup {
    pthread_mutex_t lock;   /* guards all of it; held for moments, taken inside the client's */
    gnatter_client *client; /* NULL: abandoned */
    bool done;
    gnt_err err;
    struct addrinfo *list;
};

static void lookup_free(struct gnt_lookup *l)
{
    if (l->list)
        freeaddrinfo(l->list);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* On the resolving thread.  The client cannot go while the lock is held: it abandons first. */
static void lookup_done(void *context, gnt_err err, struct addrinfo *list)
{
    struct gnt_lookup *l = context;
    pthread_mutex_lock(&l->lock);
    l->done = true;
    l->err = err;
    l->list = list;
    bool abandoned = !l->client;
    if (!abandoned)
        l->client->loop.poller->wake(l->client->loop.poller);
    pthread_mutex_unlock(&l->lock);
    if (abandoned)
        lookup_free(l);
}

static gnt_err lookup_start(gnatter_client *c)
{
    struct gnt_lookup *l = calloc(1, sizeof *l);
    if (!l)
        return GNT_NOMEM;
    pthread_mutex_init(&l->lock, NULL);
    l->client = c;
    c->lookup = l;
    gnt_err err = gnt_resolve_start(c->options.host, c->options.port, lookup_done, l);
    if (err) {
        c->lookup = NULL;
        lookup_free(l);
    }
    return err;
}

static void lookup_abandon(gnatter_client *c)
{
    struct gnt_lookup *l = c->lookup;
    c->lookup = NULL;
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    bool done = l->done;
    l->client = NULL;
    pthread_mutex_unlock(&l->lock);
    if (done)
        lookup_free(l);
}

bool gnt_link_resolved(gnatter_client *c, gnt_err *err)
{
    struct gnt_lookup *l = c->lookup;
    pthread_mutex_lock(&l->lock);
    bool done = l->done;
    pthread_mutex_unlock(&l->lock);
    if (!done)
        return false;
    *err = l->err;
    c->addresses = c->next_address = l->list;
    l->list = NULL;
    c->lookup = NULL;
    lookup_free(l);
    return true;
}

/* ---- A transport of the user's as a stream. */

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
    (void)count; /* the engine's output is one piece */
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
    gnatter_client *c = context;
    atomic_store(&c->transport_ready, true);
    c->loop.poller->wake(c->loop.poller);
}

static gnt_err own_open(gnatter_client *c)
{
    const struct gnatter_transport *t = &c->options.transport;
    struct own_stream *o = calloc(1, sizeof *o);
    if (!o)
        return GNT_NOMEM;
    int err = t->open(t->self, c->options.host, c->options.port, own_ready, c);
    if (err) {
        free(o);
        return err < 0 ? (gnt_err)err : GNT_IO;
    }
    *o = (struct own_stream){.watch.on_events = own_on_events, .transport = t};
    gnt_stream_init(&o->stream, &own_ops, &c->loop);
    o->fd = t->fd ? t->fd(t->self) : -1;
    gnt_err added = GNT_OK;
    if (o->fd >= 0)
        added = gnt_epoll_add(c->loop.poller, o->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                              &o->watch);
    if (added) {
        t->close(t->self);
        free(o);
        return added;
    }
    gnt_stream_notify(&o->stream, GNT_READABLE | GNT_WRITABLE);
    c->stream = c->transport = &o->stream;
    return GNT_OK;
}

/* ---- Opening and closing */

/* The thread looks at the stream in every turn: being woken is all that is needed. */
static void on_ready(struct gnt_stream *s)
{
    (void)s;
}

/* C->stream has been opened, or begun to: what MQTT goes over stands on it. */
static gnt_err opened(gnatter_client *c)
{
    const struct gnt_websocket_request request = {.host = c->websocket_host,
                                                  .path = c->path,
                                                  .protocol = "mqtt",
                                                  .random = &gnt_random_system};
    gnt_err err = c->tls ? gnt_client_tls_put_on(c->tls, &c->stream) : GNT_OK;
    if (!err && c->path)
        err = gnt_websocket_connect(&c->stream, &request, &c->stream);
    if (err) {
        gnt_link_close(c);
        return err;
    }
    c->state = GNT_LINK_OPENING;
    c->was_connected = c->heard = c->broken = false;
    c->stream->owner = c;
    c->stream->on_ready = on_ready;
    gnt_stream_want(c->stream, GNT_WRITABLE);
    return GNT_OK;
}

static void put_words(struct gnt_link_trouble *trouble, const char *words)
{
    uint8_t *out = trouble->property;
    size_t size = strlen(words);
    if (!size || size > sizeof trouble->property - 3)
        return;
    out[0] = GNATTER_REASON_STRING;
    out[1] = (uint8_t)(size >> 8);
    out[2] = (uint8_t)size;
    memcpy(out + 3, words, size);
    trouble->words = (struct gnatter_properties){out, 3 + size};
}

void gnt_link_trouble(const gnatter_client *c, gnt_err err, struct gnt_link_trouble *out)
{
    struct gnt_client_tls_trouble tls = {.err = err};
    if (c->tls && err)
        gnt_client_tls_trouble(c->tls, c->stream, err, &tls);
    out->err = tls.err;
    out->tls = tls.tls;
    out->lasting = tls.lasting;
    out->words = (struct gnatter_properties){NULL, 0};
    if (tls.tls)
        put_words(out, tls.words);
    else if (c->path && c->stream)
        put_words(out, gnt_websocket_words(c->stream));
}

gnt_err gnt_link_next_address(gnatter_client *c)
{
    gnt_err err = GNT_NOTFOUND;
    while (c->next_address) {
        const struct addrinfo *a = c->next_address;
        c->next_address = a->ai_next;
        err = gnt_tcp_connect(&c->loop, a->ai_addr, a->ai_addrlen, &c->stream);
        if (!err)
            err = opened(c);
        if (!err)
            return GNT_OK;
    }
    return err;
}

/* What is asked for meanwhile the thread sees afterwards: the state is not DOWN any more. */
static gnt_err prepare_tls(gnatter_client *c)
{
    if (!c->tls)
        return GNT_OK;
    pthread_mutex_unlock(&c->lock);
    gnt_err err = gnt_client_tls_prepare(c->tls);
    pthread_mutex_lock(&c->lock);
    return err;
}

static gnt_err file_open(gnatter_client *c)
{
    struct sockaddr_un address;
    gnt_err err = gnt_unix_address(c->options.host, &address);
    if (err)
        return err;
    return gnt_tcp_connect(&c->loop, (const struct sockaddr *)&address, sizeof address, &c->stream);
}

gnt_err gnt_link_open(gnatter_client *c)
{
    const bool own = c->options.transport.open != NULL;
    gnt_link_abandon(c);
    const bool at_once = own || c->file;
    gnt_err err = at_once ? GNT_OK : lookup_start(c);
    if (err)
        return err;
    c->state = at_once ? GNT_LINK_OPENING : GNT_LINK_RESOLVING;
    err = prepare_tls(c);
    if (!err && at_once)
        err = own ? own_open(c) : file_open(c);
    if (!err && at_once)
        err = opened(c);
    return err;
}

void gnt_link_close(gnatter_client *c)
{
    gnt_stream_close(&c->stream);
    c->transport = NULL;
}

void gnt_link_abandon(gnatter_client *c)
{
    gnt_link_close(c);
    lookup_abandon(c);
    if (c->addresses)
        freeaddrinfo(c->addresses);
    c->addresses = c->next_address = NULL;
}
