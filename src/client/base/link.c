#include "client/base/link.h"

#include "base/random.h"
#include "callback/tls_client.h"
#include "net/resolve.h"
#include "net/tcp.h"
#include "net/unix.h"
#include "net/websocket.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Looking a name up, on a thread that may outlive the client. */

struct gnt_lookup {
    pthread_mutex_t lock;  /* guards all of it; held for moments, taken inside the client's */
    struct gnt_loop *loop; /* NULL: abandoned */
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
    bool abandoned = !l->loop;
    if (!abandoned)
        l->loop->poller->wake(l->loop->poller);
    pthread_mutex_unlock(&l->lock);
    if (abandoned)
        lookup_free(l);
}

static gnt_err lookup_start(struct gnt_link *l)
{
    struct gnt_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        return GNT_NOMEM;
    pthread_mutex_init(&lookup->lock, NULL);
    lookup->loop = l->loop;
    l->lookup = lookup;
    gnt_err err = gnt_resolve_start(l->host, l->port, lookup_done, lookup);
    if (err) {
        l->lookup = NULL;
        lookup_free(lookup);
    }
    return err;
}

static void lookup_abandon(struct gnt_link *l)
{
    struct gnt_lookup *lookup = l->lookup;
    l->lookup = NULL;
    if (!lookup)
        return;
    pthread_mutex_lock(&lookup->lock);
    bool done = lookup->done;
    lookup->loop = NULL;
    pthread_mutex_unlock(&lookup->lock);
    if (done)
        lookup_free(lookup);
}

bool gnt_link_resolved(struct gnt_link *l, gnt_err *err)
{
    struct gnt_lookup *lookup = l->lookup;
    pthread_mutex_lock(&lookup->lock);
    bool done = lookup->done;
    pthread_mutex_unlock(&lookup->lock);
    if (!done)
        return false;
    *err = lookup->err;
    l->addresses = l->next_address = lookup->list;
    lookup->list = NULL;
    l->lookup = NULL;
    lookup_free(lookup);
    return true;
}

/* ---- Where to */

static gnt_err set_host(struct gnt_link *l, const char *host, uint16_t port)
{
    l->port = port;
    l->host = strdup(host);
    return l->host ? GNT_OK : GNT_NOMEM;
}

static gnt_err set_tls(struct gnt_link *l, const struct gnt_link_target *target, bool on)
{
    if (gnt_tls_client_mistake(target->tls, on))
        return GNT_INVALID;
    return on ? gnt_client_tls_new(target->tls, l->host, &l->tls) : GNT_OK;
}

static gnt_err set_websocket(struct gnt_link *l, const struct gnt_url *url)
{
    char text[GNT_URL_HOST_MAX], path[32];
    gnt_url_host_text(url, text);
    (void)snprintf(path, sizeof path, "/%s", l->protocol);
    l->websocket_host = strdup(text);
    l->path = strdup(*url->path ? url->path : path);
    return l->path && l->websocket_host ? GNT_OK : GNT_NOMEM;
}

static gnt_err set_target(struct gnt_link *l, const struct gnt_link_target *target)
{
    struct gnt_url url;
    struct gnt_why why;
    if (!target->url) {
        gnt_err err = set_host(l, target->host, target->port);
        return err ? err : set_tls(l, target, target->tls->on);
    }
    if (gnt_url_parse(target->url, &url, &why) || !gnt_url_is_peer(&url, target->kind))
        return GNT_INVALID;
    l->file = url.scheme->file;
    l->loopback = gnt_url_is_loopback(&url);
    gnt_err err = set_host(l, l->file ? url.path : url.host, url.port);
    if (!err)
        err = set_tls(l, target, url.scheme->tls);
    if (!err && url.scheme->kind == GNT_URL_WEBSOCKET)
        err = set_websocket(l, &url);
    return err;
}

gnt_err gnt_link_init(struct gnt_link *l, struct gnt_loop *loop,
                      const struct gnt_link_target *target)
{
    const struct gnatter_transport *t = target->transport;
    bool whole = t->open && t->read && t->write && t->close;
    bool none = !t->open && !t->read && !t->write && !t->close;
    *l = (struct gnt_link){.loop = loop,
                           .protocol = target->protocol,
                           .own = *t,
                           .on_trace = target->on_trace,
                           .context = target->context};
    atomic_init(&l->ready, false);
    gnt_err err = whole || none ? set_target(l, target) : GNT_INVALID;
    if (err)
        gnt_link_fini(l);
    return err;
}

void gnt_link_fini(struct gnt_link *l)
{
    gnt_client_tls_free(&l->tls);
    free(l->host);
    free(l->path);
    free(l->websocket_host);
    *l = (struct gnt_link){.loop = NULL};
}

/* ---- Opening and closing */

/* The thread looks at the stream in every turn: being woken is all that is needed. */
static void on_ready(struct gnt_stream *s)
{
    (void)s;
}

static void trace(const struct gnt_link *l, enum gnatter_trace what, const void *bytes, size_t size)
{
    if (l->on_trace)
        l->on_trace(what, bytes, size, l->context);
}

/* l->stream has been opened, or begun to: what is spoken over it stands on that. */
static gnt_err stand(struct gnt_link *l)
{
    const struct gnt_websocket_request request = {.host = l->websocket_host,
                                                  .path = l->path,
                                                  .protocol = l->protocol,
                                                  .random = &gnt_random_system};
    gnt_err err = l->tls ? gnt_client_tls_put_on(l->tls, &l->stream) : GNT_OK;
    if (!err && l->path)
        err = gnt_websocket_connect(&l->stream, &request, &l->stream);
    if (err) {
        gnt_link_close(l);
        return err;
    }
    l->stream->owner = l;
    l->stream->on_ready = on_ready;
    gnt_stream_want(l->stream, GNT_WRITABLE);
    trace(l, GNATTER_TRACE_OPENED, NULL, 0);
    return GNT_OK;
}

void gnt_link_adopt(struct gnt_link *l, struct gnt_loop *loop, struct gnt_stream **stream)
{
    *l = (struct gnt_link){.loop = loop, .stream = *stream};
    *stream = NULL;
    atomic_init(&l->ready, false);
    l->stream->owner = l;
    l->stream->on_ready = on_ready;
}

gnt_err gnt_link_next_address(struct gnt_link *l)
{
    gnt_err err = GNT_NOTFOUND;
    while (l->next_address) {
        const struct addrinfo *a = l->next_address;
        l->next_address = a->ai_next;
        err = gnt_tcp_connect(l->loop, a->ai_addr, a->ai_addrlen, &l->stream);
        if (!err)
            err = stand(l);
        if (!err)
            return GNT_OK;
    }
    return err;
}

gnt_err gnt_link_prepare(struct gnt_link *l)
{
    return l->tls ? gnt_client_tls_prepare(l->tls) : GNT_OK;
}

static gnt_err file_open(struct gnt_link *l)
{
    struct sockaddr_un address;
    gnt_err err = gnt_unix_address(l->host, &address);
    if (err)
        return err;
    return gnt_tcp_connect(l->loop, (const struct sockaddr *)&address, sizeof address, &l->stream);
}

gnt_err gnt_link_open(struct gnt_link *l)
{
    gnt_err err;
    gnt_link_abandon(l);
    if (l->own.open)
        err = gnt_link_own_open(l);
    else if (l->file)
        err = file_open(l);
    else
        return (err = lookup_start(l)) ? err : GNT_MORE;
    return err ? err : stand(l);
}

void gnt_link_look(struct gnt_link *l)
{
    if (atomic_exchange(&l->ready, false) && l->transport)
        gnt_stream_notify(l->transport, GNT_READABLE | GNT_WRITABLE);
}

/* Writable: connected, or failed, which a read tells.  A server does not speak first. */
gnt_err gnt_link_opened(struct gnt_link *l)
{
    uint8_t byte;
    size_t n = 0;
    if (!(l->stream->events & GNT_WRITABLE))
        return GNT_MORE;
    gnt_err err = gnt_stream_read(l->stream, &byte, 1, &n);
    if (err == GNT_MORE)
        return GNT_OK;
    return err == GNT_OK ? GNT_PROTOCOL : err;
}

gnt_err gnt_link_read(struct gnt_link *l, void *to, size_t cap, size_t *n)
{
    gnt_err err = gnt_stream_read(l->stream, to, cap, n);
    if (!err)
        trace(l, GNATTER_TRACE_RECEIVED, to, *n);
    return err;
}

gnt_err gnt_link_writev(struct gnt_link *l, const struct iovec *iov, int count, size_t *n)
{
    gnt_err err = gnt_stream_writev(l->stream, iov, count, n);
    size_t left = err ? 0 : *n;
    for (int i = 0; left && i < count; i++) {
        size_t size = left < iov[i].iov_len ? left : iov[i].iov_len;
        if (size)
            trace(l, GNATTER_TRACE_SENT, iov[i].iov_base, size);
        left -= size;
    }
    return err;
}

void gnt_link_trouble(const struct gnt_link *l, gnt_err err, struct gnt_link_trouble *out)
{
    struct gnt_client_tls_trouble tls = {.err = err};
    if (l->tls && err)
        gnt_client_tls_trouble(l->tls, l->stream, err, &tls);
    *out = (struct gnt_link_trouble){.err = tls.err, .tls = tls.tls, .lasting = tls.lasting};
    const char *words = "";
    if (tls.tls)
        words = tls.words;
    else if (l->path && l->stream)
        words = gnt_websocket_words(l->stream);
    (void)snprintf(out->words, sizeof out->words, "%s", words);
}

bool gnt_link_finish(struct gnt_link *l)
{
    uint8_t rest[1024];
    size_t n;
    if (l->own.open)
        return true;
    gnt_stream_finish(l->stream);
    gnt_err err;
    do
        err = gnt_stream_read(l->stream, rest, sizeof rest, &n);
    while (!err);
    return err < 0;
}

void gnt_link_close(struct gnt_link *l)
{
    gnt_stream_close(&l->stream);
    l->transport = NULL;
}

void gnt_link_abandon(struct gnt_link *l)
{
    gnt_link_close(l);
    lookup_abandon(l);
    if (l->addresses)
        freeaddrinfo(l->addresses);
    l->addresses = l->next_address = NULL;
}
