#include "net/epoll.h"

#include "base/assert.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_A_WAIT = 1024 };

struct epoll {
    struct gnt_poller poller;
    int fd;
    int wake_fd;
    struct gnt_poller *host; /* NULL: waits by itself */
    struct gnt_watch watch;  /* in the host: this one has something */
    bool told;               /* by the watch, since the last wait */
    struct epoll_event events[EVENTS_A_WAIT];
};

static void epoll_wake(struct gnt_poller *p)
{
    struct epoll *e = GNT_CONTAINER(p, struct epoll, poller);
    /* Cannot fail short of 2^64 wakes. */
    (void)!write(e->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
}

/* Whole milliseconds, rounded up: a loop that wakes just before its timer would turn in vain until
 * the timer is due. */
static int timeout_ms(uint64_t timeout_ns)
{
    if (timeout_ns == GNT_NEVER)
        return -1;
    uint64_t ms = timeout_ns / GNT_NS_PER_MS + (timeout_ns % GNT_NS_PER_MS != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void epoll_sleep(struct gnt_poller *p, uint64_t timeout_ns)
{
    struct epoll *e = GNT_CONTAINER(p, struct epoll, poller);
    if (e->host && !e->told)
        return;
    e->told = false;
    int n = epoll_wait(e->fd, e->events, EVENTS_A_WAIT, timeout_ms(timeout_ns));
    /* A signal ends the wait early, which gives the owner of the loop a look at what it set. */
    GNT_ASSERT(n >= 0 || errno == EINTR);
    for (int i = 0; i < n; i++) {
        struct gnt_watch *watch = e->events[i].data.ptr;
        if (watch)
            watch->on_events(watch, e->events[i].events);
    }
}

static void host_on_events(struct gnt_watch *watch, uint32_t events)
{
    (void)events;
    GNT_CONTAINER(watch, struct epoll, watch)->told = true;
}

/* An epoll descriptor is readable while one of its own is ready, so what a wait has left is told
 * again. */
static gnt_err epoll_join(struct gnt_poller *p, struct gnt_poller *host)
{
    struct epoll *e = GNT_CONTAINER(p, struct epoll, poller);
    if (host) {
        gnt_err err = gnt_epoll_add(host, e->fd, EPOLLIN, &e->watch);
        if (err)
            return err;
    } else {
        gnt_epoll_remove(e->host, e->fd);
    }
    e->host = host;
    e->told = false;
    return GNT_OK;
}

static void epoll_free(struct gnt_poller *p)
{
    struct epoll *e = GNT_CONTAINER(p, struct epoll, poller);
    if (e->wake_fd >= 0)
        close(e->wake_fd);
    if (e->fd >= 0)
        close(e->fd);
    free(e);
}

gnt_err gnt_epoll_new(struct gnt_poller **out)
{
    struct epoll *e = malloc(sizeof *e);
    if (!e)
        return GNT_NOMEM;
    e->poller = (struct gnt_poller){epoll_sleep, epoll_wake, epoll_free, epoll_join};
    e->host = NULL;
    e->watch.on_events = host_on_events;
    e->fd = epoll_create1(EPOLL_CLOEXEC);
    e->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    /* Edge-triggered, every write to the eventfd is an event by itself: it need not be read. */
    struct epoll_event wake = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    if (e->fd < 0 || e->wake_fd < 0 || epoll_ctl(e->fd, EPOLL_CTL_ADD, e->wake_fd, &wake)) {
        gnt_err err = gnt_err_from_errno(errno);
        epoll_free(&e->poller);
        return err;
    }
    *out = &e->poller;
    return GNT_OK;
}

static struct epoll *as_epoll(struct gnt_poller *p)
{
    GNT_ASSERT(p->wait == epoll_sleep);
    return GNT_CONTAINER(p, struct epoll, poller);
}

gnt_err gnt_epoll_add(struct gnt_poller *p, int fd, uint32_t events, struct gnt_watch *watch)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(as_epoll(p)->fd, EPOLL_CTL_ADD, fd, &event))
        return gnt_err_from_errno(errno);
    return GNT_OK;
}

void gnt_epoll_remove(struct gnt_poller *p, int fd)
{
    int failed = epoll_ctl(as_epoll(p)->fd, EPOLL_CTL_DEL, fd, NULL);
    GNT_ASSERT(!failed);
}
