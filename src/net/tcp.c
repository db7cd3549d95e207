#include "net/tcp.h"

#include "base/assert.h"
#include "net/epoll.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { DRAIN_SIZE = 1 << 20 }; /* what a close throws away of unread input, at most */

union address {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct tcp {
    struct gnt_stream stream;
    struct gnt_watch watch;
    int fd;
    bool connecting;
    bool hung_up;    /* the end or an error has been notified: the kernel notifies it only once */
    int16_t failure; /* a gnt_err: of the connect */
    struct sockaddr peer[]; /* one, address_size of it */
};

/* Registered once for everything, edge-triggered: what the owner wants at the moment changes
 * stream->want, and costs no system call. */
static const uint32_t tcp_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

/* What there is to know of an address; of other families that is the family alone. */
static size_t address_size(const struct sockaddr *address)
{
    switch (address->sa_family) {
    case AF_INET: return sizeof(struct sockaddr_in);
    case AF_INET6: return sizeof(struct sockaddr_in6);
    default: return sizeof address->sa_family;
    }
}

static struct tcp *tcp_of(struct gnt_stream *s)
{
    return GNT_CONTAINER(s, struct tcp, stream);
}

static void tcp_on_events(struct gnt_watch *watch, uint32_t events)
{
    struct tcp *t = GNT_CONTAINER(watch, struct tcp, watch);
    uint8_t possible = 0;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        possible |= GNT_READABLE;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        possible |= GNT_WRITABLE;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        t->hung_up = true;
    gnt_stream_notify(&t->stream, possible);
}

/* GNT_OK: connected, read and write.  The result of a connect is in SO_ERROR once the socket has
 * become writable, and there only once. */
static gnt_err connected(struct tcp *t)
{
    if (t->failure || !t->connecting)
        return (gnt_err)t->failure;
    if (!(t->stream.events & GNT_WRITABLE))
        return GNT_MORE;
    int number = 0;
    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &number, &(socklen_t){sizeof number}))
        number = errno;
    t->connecting = false;
    if (number)
        t->failure = (int16_t)gnt_err_from_errno(number);
    return (gnt_err)t->failure;
}

static gnt_err tcp_read(struct gnt_stream *s, void *to, size_t cap, size_t *n)
{
    struct tcp *t = tcp_of(s);
    gnt_err err = connected(t);
    if (err)
        return err;
    ssize_t got;
    do
        got = recv(t->fd, to, cap, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return gnt_err_from_errno(errno);
    if (got == 0)
        return GNT_CLOSED;
    *n = (size_t)got;
    /* A short read has emptied the socket, and what comes later is a new edge.  An end that was
     * notified already is not: the next read has to find it. */
    if (*n < cap && !t->hung_up)
        s->events &= (uint8_t)~GNT_READABLE;
    return GNT_OK;
}

/* One piece, which is what there is most often, takes the kernel less as it is. */
static ssize_t put(int fd, const struct iovec *iov, int count)
{
    if (count == 1)
        return send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
    /* sendmsg(2) only reads what msg_iov points to, its type does not say so. */
    struct msghdr message = {.msg_iovlen = (size_t)count};
    memcpy(&message.msg_iov, &iov, sizeof iov);
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static gnt_err tcp_writev(struct gnt_stream *s, const struct iovec *iov, int count, size_t *n)
{
    struct tcp *t = tcp_of(s);
    gnt_err err = connected(t);
    if (err)
        return err;
    ssize_t sent;
    do
        sent = put(t->fd, iov, count);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return gnt_err_from_errno(errno);
    *n = (size_t)sent;
    return GNT_OK;
}

static void tcp_finish(struct gnt_stream *s)
{
    /* Fails only if the connection is gone, which the next read tells. */
    (void)shutdown(tcp_of(s)->fd, SHUT_WR);
}

static void tcp_close(struct gnt_stream *s)
{
    struct tcp *t = tcp_of(s);
    if (s->loop)
        gnt_epoll_remove(s->loop->poller, t->fd);
    /* Closing a socket with unread input resets the connection, and the reset may overtake what was
     * written last: a refusal's reason would be lost.  MSG_TRUNC throws the input away unread. */
    (void)shutdown(t->fd, SHUT_WR);
    (void)recv(t->fd, NULL, DRAIN_SIZE, MSG_TRUNC | MSG_DONTWAIT);
    close(t->fd);
    free(t);
}

static gnt_err tcp_move(struct gnt_stream *s, struct gnt_loop *loop)
{
    struct tcp *t = tcp_of(s);
    if (loop)
        return gnt_epoll_add(loop->poller, t->fd, tcp_events, &t->watch);
    if (s->loop)
        gnt_epoll_remove(s->loop->poller, t->fd);
    return GNT_OK;
}

static void tcp_peer(const struct gnt_stream *s, char *out, size_t cap)
{
    const void *t = (const char *)s - offsetof(struct tcp, stream);
    gnt_tcp_address_text(((const struct tcp *)t)->peer, out, cap);
}

static void tcp_address(const struct gnt_stream *s, struct sockaddr_storage *out)
{
    const void *t = (const char *)s - offsetof(struct tcp, stream);
    const struct sockaddr *peer = ((const struct tcp *)t)->peer;
    memcpy(out, peer, address_size(peer));
}

/* The kernel takes much more than the peer: writing goes on when a third of its buffer is free
 * again, which to a slow peer may be minutes. */
static size_t tcp_untaken(const struct gnt_stream *s)
{
    const void *t = (const char *)s - offsetof(struct tcp, stream);
    int size = 0;
    return ioctl(((const struct tcp *)t)->fd, SIOCOUTQ, &size) || size < 0 ? 0 : (size_t)size;
}

static const struct gnt_stream_ops tcp_ops = {
    .read = tcp_read,
    .writev = tcp_writev,
    .finish = tcp_finish,
    .close = tcp_close,
    .move = tcp_move,
    .peer = tcp_peer,
    .address = tcp_address,
    .untaken = tcp_untaken,
};

/* Takes FD, on failure too.  PEER is copied. */
static gnt_err tcp_new(struct gnt_loop *loop, int fd, const struct sockaddr *peer, struct tcp **out)
{
    size_t size = address_size(peer);
    struct tcp *t = malloc(sizeof *t + size);
    if (!t) {
        close(fd);
        return GNT_NOMEM;
    }
    *t = (struct tcp){.fd = fd, .watch.on_events = tcp_on_events};
    gnt_stream_init(&t->stream, &tcp_ops, loop);
    memcpy(t->peer, peer, size);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    gnt_err err = gnt_epoll_add(loop->poller, fd, tcp_events, &t->watch);
    if (err) {
        close(fd);
        free(t);
        return err;
    }
    *out = t;
    return GNT_OK;
}

gnt_err gnt_tcp_stream(struct gnt_loop *loop, int fd, const struct sockaddr *peer,
                       struct gnt_stream **out)
{
    struct tcp *t;
    gnt_err err = tcp_new(loop, fd, peer, &t);
    if (err)
        return err;
    *out = &t->stream;
    return GNT_OK;
}

/* What connect(2) says at once, in the terms of a connection. */
static gnt_err from_connect(int number, int family)
{
    switch (number) {
    case EAGAIN: /* no "not yet": as many wait as may, or the machine has no port left */
        return family == AF_UNIX ? GNT_BUSY : GNT_IO;
    case EACCES: /* a Unix socket that may not be written, */
    case EPERM: /* or a rule of the machine's own */ return GNT_REFUSED;
    default: return gnt_err_from_errno(number);
    }
}

gnt_err gnt_tcp_connect(struct gnt_loop *loop, const struct sockaddr *address, socklen_t size,
                        struct gnt_stream **out)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return gnt_err_from_errno(errno);
    /* Before it is in the loop: epoll reports a socket that was never connected as hung up. */
    int number = connect(fd, address, size) ? errno : 0;
    struct tcp *t;
    gnt_err err = tcp_new(loop, fd, address, &t);
    if (err)
        return err;
    t->connecting = true;
    if (number && number != EINPROGRESS) {
        t->connecting = false;
        t->failure = (int16_t)from_connect(number, address->sa_family);
        gnt_stream_notify(&t->stream, GNT_READABLE | GNT_WRITABLE);
    }
    *out = &t->stream;
    return GNT_OK;
}

static gnt_err listen_on(int fd, const struct sockaddr *address, socklen_t size, int backlog,
                         struct sockaddr_storage *bound)
{
    int on = 1;
    /* A broker that comes back must not wait for the last one's connections to fade away. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on))
        return gnt_err_from_errno(errno);
    /* Inherited by what is accepted: a peer that has vanished without a word, and that nothing is
     * sent to, is found out in the end, as the machine's settings say. */
    if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on))
        return gnt_err_from_errno(errno);
    if (address->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on))
        return gnt_err_from_errno(errno);
    if (bind(fd, address, size) || listen(fd, backlog))
        return gnt_err_from_errno(errno);
    if (bound && getsockname(fd, (struct sockaddr *)bound, &(socklen_t){sizeof *bound}))
        return gnt_err_from_errno(errno);
    return GNT_OK;
}

gnt_err gnt_tcp_listen(const struct sockaddr *address, socklen_t size, int backlog, int *fd,
                       struct sockaddr_storage *bound)
{
    int s = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0)
        return gnt_err_from_errno(errno);
    gnt_err err = listen_on(s, address, size, backlog, bound);
    if (err) {
        int number = errno;
        close(s);
        errno = number;
        return err;
    }
    *fd = s;
    return GNT_OK;
}

void gnt_tcp_address_text(const struct sockaddr *address, char *out, size_t cap)
{
    char host[INET6_ADDRSTRLEN];
    union address a;
    switch (address->sa_family) {
    case AF_INET:
        memcpy(&a.v4, address, sizeof a.v4);
        inet_ntop(AF_INET, &a.v4.sin_addr, host, sizeof host);
        snprintf(out, cap, "%s:%u", host, (unsigned)ntohs(a.v4.sin_port));
        return;
    case AF_INET6:
        memcpy(&a.v6, address, sizeof a.v6);
        inet_ntop(AF_INET6, &a.v6.sin6_addr, host, sizeof host);
        snprintf(out, cap, "[%s]:%u", host, (unsigned)ntohs(a.v6.sin6_port));
        return;
    case AF_UNIX: snprintf(out, cap, "unix"); return;
    default: snprintf(out, cap, "unknown");
    }
}

bool gnt_tcp_is_loopback(const struct sockaddr *address)
{
    union address a;
    switch (address->sa_family) {
    case AF_INET:
        memcpy(&a.v4, address, sizeof a.v4);
        return ntohl(a.v4.sin_addr.s_addr) >> 24 == 127;
    case AF_INET6:
        memcpy(&a.v6, address, sizeof a.v6);
        return IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr);
    default: return false;
    }
}
