/* The poller of real life: epoll, edge-triggered, one eventfd to be woken by. */
#ifndef GNT_NET_EPOLL_H
#define GNT_NET_EPOLL_H

#include "net/loop.h"

GNT_MUST gnt_err gnt_epoll_new(struct gnt_poller **out);

/* For streams over file descriptors of this room: P is a poller of gnt_epoll_new.  From now on what
 * becomes possible on FD is notified to S. */
GNT_MUST gnt_err gnt_epoll_add(struct gnt_poller *p, int fd, struct gnt_stream *s);
void gnt_epoll_remove(struct gnt_poller *p, int fd);

#endif
