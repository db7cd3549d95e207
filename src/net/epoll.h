/* The poller of real life: epoll, and one eventfd to be woken by. */
#ifndef GNT_NET_EPOLL_H
#define GNT_NET_EPOLL_H

#include "net/loop.h"

#include <sys/epoll.h>

GNT_MUST gnt_err gnt_epoll_new(struct gnt_poller **out);

/* What hears of one file descriptor; lives inside what owns the descriptor. */
struct gnt_watch {
    /* EVENTS: EPOLLIN, EPOLLHUP, ...  Takes note and no more (gnt_stream_notify, gnt_loop_at_end):
     * nothing may be closed or freed here, because later events of the same wait point to it. */
    void (*on_events)(struct gnt_watch *watch, uint32_t events);
};

/* For what stands on file descriptors in this room: P is a poller of gnt_epoll_new.  EVENTS as for
 * epoll_ctl(2), EPOLLET and EPOLLEXCLUSIVE included.  What is possible at once is told by the next
 * wait, so a descriptor that moves from loop to loop loses nothing. */
GNT_MUST gnt_err gnt_epoll_add(struct gnt_poller *p, int fd, uint32_t events,
                               struct gnt_watch *watch);

/* Before FD is closed. */
void gnt_epoll_remove(struct gnt_poller *p, int fd);

#endif
