#include "net/acceptor.h"

#include "base/assert.h"
#include "base/log.h"
#include "net/epoll.h"
#include "net/proxy.h"
#include "net/tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ACCEPTS_A_TURN = 64,
    PAUSE_MS = 100,
    ARRIVALS_MAX = 1000,
};

struct gnt_acceptor {
    struct gnt_watch watch;
    struct gnt_task task;   /* to accept at the end of the turn: not within the poller's wait */
    struct gnt_timer pause; /* while it is set, the fd is not in the poller */
    struct gnt_loop *loop;
    int fd;
    bool *freed; /* where a task of it wants to know of a free; NULL while none runs */
    void (*on_accept)(void *context, struct gnt_stream *s);
    void *context;
    struct gnt_proxies proxies;
    struct gnt_list arrivals; /* the oldest first, */
    struct gnt_list told;     /* and those of them that may have all of their header */
    struct gnt_task hear;     /* of those */
    unsigned arrival_count;
};

/* A connection of a proxy's, until its header is there.  What has come of it the kernel keeps: it
 * is looked at, and taken off as a whole. */
struct arrival {
    struct gnt_list link; /* in arrivals */
    struct gnt_list told; /* in told */
    struct gnt_watch watch;
    struct gnt_timer timer;
    struct gnt_acceptor *acceptor;
    int fd;
    bool ended; /* nothing more will come */
    struct sockaddr_storage proxy;
};

/* ---- Accepting or not */

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

/* ---- Who has come */

static const struct sockaddr *plain(const struct sockaddr_storage *address)
{
    return (const struct sockaddr *)address;
}

/* Takes FD. */
static gnt_err hand_on(struct gnt_acceptor *a, int fd, const struct sockaddr_storage *peer)
{
    struct gnt_stream *s;
    gnt_err err = gnt_tcp_stream(a->loop, fd, plain(peer), &s);
    if (!err)
        a->on_accept(a->context, s);
    return err;
}

static void count_refused(struct gnt_acceptor *a, const struct sockaddr_storage *proxy, gnt_err err)
{
    struct gnt_counters *counters = a->proxies.counters;
    bool ended = err == GNT_CLOSED; /* as by who only looks whether somebody listens */
    char from[64];
    gnt_count(counters, GNT_COUNT_CONNECTIONS_ACCEPTED, 1);
    gnt_count(counters, GNT_COUNT_CONNECTIONS_REFUSED, 1);
    if (err == GNT_PROTOCOL || err == GNT_MALFORMED || err == GNT_TOOBIG)
        gnt_count(counters, GNT_COUNT_PROTOCOL_ERRORS, 1);
    gnt_tcp_address_text(plain(proxy), from, sizeof from);
    gnt_log_limited(ended ? GNT_LOG_INFO : GNT_LOG_WARNING, NULL, "refuse",
                    GNT_F_STR("reason", gnt_proxy_text(err)), GNT_F_STR("from", from));
}

/* GNT_MORE: not all of it has come.  Nothing behind the header is touched. */
static gnt_err take_header(int fd, struct gnt_proxy_header *out)
{
    uint8_t bytes[GNT_PROXY_HEADER_MAX];
    ssize_t n;
    do
        n = recv(fd, bytes, sizeof bytes, MSG_PEEK);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n ? gnt_err_from_errno(errno) : GNT_CLOSED;
    gnt_err err = gnt_proxy_read(gnt_slice(bytes, (size_t)n), out);
    if (err)
        return err;
    /* All of it is there, so nothing interrupts this. */
    return recv(fd, bytes, out->size, 0) == (ssize_t)out->size ? GNT_OK : GNT_IO;
}

/* ERR: of take_header.  Takes FD. */
static void settle(struct gnt_acceptor *a, int fd, const struct sockaddr_storage *proxy,
                   gnt_err err, const struct gnt_proxy_header *header)
{
    if (err)
        close(fd);
    else
        err = hand_on(a, fd, header->client.ss_family == AF_UNSPEC ? proxy : &header->client);
    if (err)
        count_refused(a, proxy, err);
}

/* ---- Proxies whose header has not come */

/* Its fd is the caller's. */
static void arrival_free(struct arrival *arrival)
{
    struct gnt_acceptor *a = arrival->acceptor;
    gnt_epoll_remove(a->loop->poller, arrival->fd);
    gnt_timer_cancel(&a->loop->timers, &arrival->timer);
    gnt_list_remove(&arrival->link);
    gnt_list_remove(&arrival->told);
    a->arrival_count--;
    free(arrival);
}

static void give_up(struct arrival *arrival)
{
    struct gnt_acceptor *a = arrival->acceptor;
    int fd = arrival->fd;
    struct sockaddr_storage proxy = arrival->proxy;
    arrival_free(arrival);
    settle(a, fd, &proxy, GNT_TIMEOUT, NULL);
}

static void arrival_late(struct gnt_timer *timer, uint64_t now)
{
    (void)now;
    give_up(GNT_CONTAINER(timer, struct arrival, timer));
}

static void arrival_on_events(struct gnt_watch *watch, uint32_t events)
{
    struct arrival *arrival = GNT_CONTAINER(watch, struct arrival, watch);
    struct gnt_acceptor *a = arrival->acceptor;
    arrival->ended = arrival->ended || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
    if (!gnt_list_linked(&arrival->told))
        gnt_list_push_back(&a->told, &arrival->told);
    gnt_loop_at_end(a->loop, &a->hear);
}

static void look_again(struct arrival *arrival)
{
    struct gnt_acceptor *a = arrival->acceptor;
    struct gnt_proxy_header header;
    int fd = arrival->fd;
    struct sockaddr_storage proxy = arrival->proxy;
    gnt_err err = take_header(fd, &header);
    if (err == GNT_MORE && !arrival->ended)
        return;
    arrival_free(arrival);
    settle(a, fd, &proxy, err == GNT_MORE ? GNT_CLOSED : err, &header);
}

static void hear(struct gnt_task *task)
{
    struct gnt_acceptor *a = GNT_CONTAINER(task, struct gnt_acceptor, hear);
    bool freed = false;
    a->freed = &freed;
    for (struct gnt_list *node; (node = gnt_list_pop_front(&a->told));) {
        look_again(GNT_CONTAINER(node, struct arrival, told));
        if (freed)
            return;
    }
    a->freed = NULL;
}

/* Takes FD. */
static gnt_err await_header(struct gnt_acceptor *a, int fd, const struct sockaddr_storage *proxy)
{
    static const uint32_t any = EPOLLIN | EPOLLRDHUP | EPOLLET;
    uint64_t deadline =
        gnt_deadline(a->loop->now, (uint64_t)*a->proxies.timeout_ms * GNT_NS_PER_MS);
    struct arrival *arrival = malloc(sizeof *arrival);
    gnt_err err = GNT_NOMEM;
    if (!arrival)
        goto out;
    *arrival = (struct arrival){.watch.on_events = arrival_on_events,
                                .timer.fire = arrival_late,
                                .acceptor = a,
                                .fd = fd,
                                .proxy = *proxy};
    gnt_list_init(&arrival->link);
    gnt_list_init(&arrival->told);
    err = gnt_loop_set_timer(a->loop, &arrival->timer, deadline);
    if (err)
        goto out;
    err = gnt_epoll_add(a->loop->poller, fd, any, &arrival->watch);
    if (err) {
        gnt_timer_cancel(&a->loop->timers, &arrival->timer);
        goto out;
    }
    if (a->arrival_count == ARRIVALS_MAX)
        give_up(GNT_CONTAINER(a->arrivals.next, struct arrival, link));
    gnt_list_push_back(&a->arrivals, &arrival->link);
    a->arrival_count++;
    return GNT_OK;
out:
    free(arrival);
    close(fd);
    return err;
}

/* ---- Accepting */

/* Takes FD. */
static gnt_err welcome(struct gnt_acceptor *a, int fd, const struct sockaddr_storage *peer)
{
    struct gnt_proxy_header header;
    if (!a->proxies.from || !gnt_networks_have(a->proxies.from, plain(peer)))
        return hand_on(a, fd, peer);
    gnt_err err = take_header(fd, &header); /* most have sent it by now */
    if (err == GNT_MORE)
        return await_header(a, fd, peer);
    settle(a, fd, peer, err, &header);
    return GNT_OK;
}

/* GNT_MORE: nobody is waiting. */
static gnt_err accept_one(struct gnt_acceptor *a)
{
    struct sockaddr_storage peer = {0};
    int fd;
    do
        fd = accept4(a->fd, (struct sockaddr *)&peer, &(socklen_t){sizeof peer},
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && of_one_connection(errno));
    return fd < 0 ? gnt_err_from_errno(errno) : welcome(a, fd, &peer);
}

static void accept_some(struct gnt_task *task)
{
    struct gnt_acceptor *a = GNT_CONTAINER(task, struct gnt_acceptor, task);
    bool freed = false;
    a->freed = &freed;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        gnt_err err = accept_one(a);
        if (freed)
            return;
        if (err) {
            if (err != GNT_MORE)
                pause_accepting(a);
            break;
        }
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
    gnt_list_init(&a->arrivals);
    gnt_list_init(&a->told);
    gnt_task_init(&a->task, accept_some);
    gnt_task_init(&a->hear, hear);
    gnt_err err = start_accepting(a);
    if (err) {
        free(a);
        return err;
    }
    *out = a;
    return GNT_OK;
}

void gnt_acceptor_expect(struct gnt_acceptor *a, const struct gnt_proxies *proxies)
{
    a->proxies = *proxies;
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
    gnt_task_cancel(&acceptor->hear);
    while (!gnt_list_empty(&acceptor->arrivals)) {
        struct arrival *arrival = GNT_CONTAINER(acceptor->arrivals.next, struct arrival, link);
        int fd = arrival->fd;
        arrival_free(arrival);
        close(fd);
    }
    if (acceptor->freed)
        *acceptor->freed = true;
    free(acceptor);
}
