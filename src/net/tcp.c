#include "net/tcp.h"

#include "base/assert.h"
#include "base/log.h"
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

enum {
    ACCEPTS_A_TURN = 64,
    PAUSE_MS = 100,
    DRAIN_SIZE = 1 << 20, /* what a close throws away of unread input, at most */
};

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
    struct sockaddr peer[]; /* one, of address_size */
};

/* Registered once for everything, edge-triggered: what the owner wants at the moment changes
 * stream->want, and costs no system call. */
static const uint32_t tcp_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

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
    .untaken = tcp_untaken,
};

/* Of the families that gnt_tcp_address_text knows; what others have in front. */
static size_t address_size(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

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

gnt_err gnt_tcp_stream(struct gnt_loop *loop, int fd, struct gnt_stream **out)
{
    struct sockaddr_storage peer = {0};
    (void)getpeername(fd, (struct sockaddr *)&peer, &(socklen_t){sizeof peer});
    struct tcp *t;
    gnt_err err = tcp_new(loop, fd, (struct sockaddr *)&peer, &t);
    if (err)
        return err;
    *out = &t->stream;
    return GNT_OK;
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
        t->failure = (int16_t)gnt_err_from_errno(number);
        /* EAGAIN is no "not yet" here: the machine has no port left to connect from. */
        if (t->failure == GNT_MORE)
            t->failure = GNT_IO;
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

struct gnt_acceptor {
    struct gnt_watch watch;
    struct gnt_task task;   /* to accept at the end of the turn: not within the poller's wait */
    struct gnt_timer pause; /* while it is set, the fd is not in the poller */
    struct gnt_loop *loop;
    int fd;
    bool *freed; /* where accept_some wants to know of a free; NULL while it does not run */
    void (*on_accept)(void *context, struct gnt_stream *s);
    void *context;
};

/* Level-triggered, so that what a turn leaves is told again; exclusive, so that a connection does
 * not wake every loop that listens. */
static gnt_err start_accepting(struct gnt_acceptor *a)
{
    return gnt_epoll_add(a->loop->poller, a->fd, EPOLLIN | EPOLLEXCLUSIVE, &a->watch);
}

/* errno says why. */
static void pause_accepting(struct gnt_acceptor *a)
{
    gnt_log_limited(GNT_LOG_WARNING, NULL, "accept_paused",
                    GNT_F_STR("reason", strerrordesc_np(errno)), GNT_F_NUM("pause_ms", PAUSE_MS));
    /* Without memory for the timer it goes on trying each turn, which is only less polite. */
    uint64_t deadline = gnt_deadline(a->loop->now, PAUSE_MS * GNT_NS_PER_MS);
    if (!gnt_loop_set_timer(a->loop, &a->pause, deadline))
        gnt_epoll_remove(a->loop->poller, a->fd);
}

static void pause_over(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_acceptor *a = GNT_CONTAINER(timer, struct gnt_acceptor, pause);
    if (!start_accepting(a))
        return;
    /* A timer that has just fired has left its place free, so setting it again cannot fail. */
    gnt_err err = gnt_loop_set_timer(a->loop, timer, gnt_deadline(now, PAUSE_MS * GNT_NS_PER_MS));
    GNT_ASSERT(!err);
}

/* What accept(2) says about one connection, not about this process: the next may be fine. */
static bool of_one_connection(int number)
{
    static const int numbers[] = {
        EINTR,     ECONNABORTED, EPERM,        EPROTO,     ENOPROTOOPT, ENETDOWN,
        EHOSTDOWN, ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

/* GNT_MORE: nobody is waiting. */
static gnt_err accept_one(struct gnt_acceptor *a, struct gnt_stream **out)
{
    struct sockaddr_storage peer = {0};
    int fd;
    do
        fd = accept4(a->fd, (struct sockaddr *)&peer, &(socklen_t){sizeof peer},
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && of_one_connection(errno));
    if (fd < 0)
        return gnt_err_from_errno(errno);
    struct tcp *t;
    gnt_err err = tcp_new(a->loop, fd, (struct sockaddr *)&peer, &t);
    if (err)
        return err;
    *out = &t->stream;
    return GNT_OK;
}

static void accept_some(struct gnt_task *task)
{
    struct gnt_acceptor *a = GNT_CONTAINER(task, struct gnt_acceptor, task);
    bool freed = false;
    a->freed = &freed;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct gnt_stream *s = NULL;
        gnt_err err = accept_one(a, &s);
        if (err) {
            if (err != GNT_MORE)
                pause_accepting(a);
            break;
        }
        a->on_accept(a->context, s);
        if (freed)
            return;
    }
    a->freed = NULL;
}

static void acceptor_on_events(struct gnt_watch *watch, uint32_t events)
{
    (void)events;
    struct gnt_acceptor *a = GNT_CONTAINER(watch, struct gnt_acceptor, watch);
    gnt_loop_at_end(a->loop, &a->task);
}

gnt_err gnt_acceptor_new(struct gnt_loop *loop, int fd,
                         void (*on_accept)(void *context, struct gnt_stream *s), void *context,
                         struct gnt_acceptor **out)
{
    struct gnt_acceptor *a = malloc(sizeof *a);
    if (!a)
        return GNT_NOMEM;
    *a = (struct gnt_acceptor){
        .watch.on_events = acceptor_on_events,
        .pause.fire = pause_over,
        .loop = loop,
        .fd = fd,
        .on_accept = on_accept,
        .context = context,
    };
    gnt_task_init(&a->task, accept_some);
    gnt_err err = start_accepting(a);
    if (err) {
        free(a);
        return err;
    }
    *out = a;
    return GNT_OK;
}

void gnt_acceptor_free(struct gnt_acceptor **a)
{
    struct gnt_acceptor *acceptor = *a;
    *a = NULL;
    if (!acceptor)
        return;
    if (gnt_timer_is_set(&acceptor->pause))
        gnt_timer_cancel(&acceptor->loop->timers, &acceptor->pause);
    else
        gnt_epoll_remove(acceptor->loop->poller, acceptor->fd);
    gnt_task_cancel(&acceptor->task);
    if (acceptor->freed)
        *acceptor->freed = true;
    free(acceptor);
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
    default: snprintf(out, cap, "unknown");
    }
}
