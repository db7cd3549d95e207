/* TCP: connecting, listening, streams; and the same over Unix sockets (net/unix.h), where a stream
 * is not another one.  Addresses are numeric here; names are net/resolve.h's. */
#ifndef GNT_NET_TCP_H
#define GNT_NET_TCP_H

#include "net/loop.h"

#include <sys/socket.h>

/* A stream over a connected, non-blocking socket, which it owns (on failure too).  PEER is who is
 * told to be at the other end.  TCP_NODELAY is set: the broker batches by itself, and one message
 * in flight must not wait for an acknowledgement.  LOOP, here and below, is one whose poller is of
 * net/epoll.h. */
GNT_MUST gnt_err gnt_tcp_stream(struct gnt_loop *loop, int fd, const struct sockaddr *peer,
                                struct gnt_stream **out);

/* Begins to connect.  The stream is usable at once; it becomes writable when it is connected, and
 * the first write or read says GNT_REFUSED, GNT_TIMEOUT, ... if that failed (so does every further
 * one).  An error here is one of this machine: no memory, no descriptor left. */
GNT_MUST gnt_err gnt_tcp_connect(struct gnt_loop *loop, const struct sockaddr *address,
                                 socklen_t size, struct gnt_stream **out);

/* A listening socket, non-blocking, not in any loop: *fd is the caller's.  BACKLOG as for
 * listen(2).  An IPv6 address listens for IPv6 only.  GNT_BUSY: the address is in use; errno says
 * more about any failure.  *bound (may be NULL) gets the address with the port that was chosen
 * where 0 was asked. */
GNT_MUST gnt_err gnt_tcp_listen(const struct sockaddr *address, socklen_t size, int backlog,
                                int *fd, struct sockaddr_storage *bound);

/* "127.0.0.1:1883", "[::1]:1883"; "unix", or "unknown" for other families.  48 + 9 bytes are
 * enough. */
void gnt_tcp_address_text(const struct sockaddr *address, char *out, size_t cap);

/* Whether only this machine has that address: 127.x.y.z, ::1.  False of other families. */
bool gnt_tcp_is_loopback(const struct sockaddr *address);

#endif
