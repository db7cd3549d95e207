/* TCP: connecting, listening, streams.  Addresses are numeric here; names are net/resolve.h's. */
#ifndef GNT_NET_TCP_H
#define GNT_NET_TCP_H

#include "net/loop.h"

#include <sys/socket.h>

/* A stream over a connected, non-blocking socket, which it owns (on failure too).  TCP_NODELAY is
 * set: the broker batches by itself, and one message in flight must not wait for an
 * acknowledgement.  LOOP, here and below, is one whose poller is of net/epoll.h. */
GNT_MUST gnt_err gnt_tcp_stream(struct gnt_loop *loop, int fd, struct gnt_stream **out);

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

struct gnt_acceptor;

/* Accepts what comes in on FD (shared: each of several loops may have an acceptor on the same fd,
 * and one of them gets each connection), at the end of a turn, a bounded number each.  on_accept
 * gets a stream that is in LOOP already and owns it; it may free the acceptor.  Out of file
 * descriptors or memory: pauses for 100 ms, says so in the log (rate limited), and goes on. */
GNT_MUST gnt_err gnt_acceptor_new(struct gnt_loop *loop, int fd,
                                  void (*on_accept)(void *context, struct gnt_stream *s),
                                  void *context, struct gnt_acceptor **out);

/* By the loop's thread; FD stays open, it is the caller's.  NULL is fine. */
void gnt_acceptor_free(struct gnt_acceptor **a);

/* "127.0.0.1:1883", "[::1]:1883"; "unknown" for other families.  48 + 9 bytes are enough. */
void gnt_tcp_address_text(const struct sockaddr *address, char *out, size_t cap);

#endif
