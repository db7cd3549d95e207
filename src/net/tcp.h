/* TCP: connecting, listening, streams.  Addresses are numeric here; names are net/resolve.h's. */
#ifndef GNT_NET_TCP_H
#define GNT_NET_TCP_H

#include "net/loop.h"

#include <sys/socket.h>

/* A stream over a connected, non-blocking socket, which it owns (on failure too).  TCP_NODELAY is
 * set: the broker batches by itself, and one message in flight must not wait for an
 * acknowledgement. */
GNT_MUST gnt_err gnt_tcp_stream(struct gnt_loop *loop, int fd, struct gnt_stream **out);

/* Begins to connect.  The stream is usable at once; it becomes writable when it is connected, and
 * the first write or read says GNT_REFUSED, GNT_TIMEOUT, ... if that failed. */
GNT_MUST gnt_err gnt_tcp_connect(struct gnt_loop *loop, const struct sockaddr *address,
                                 socklen_t size, struct gnt_stream **out);

/* A listening socket, non-blocking, not in any loop: *fd is the caller's.  BACKLOG as for
 * listen(2). GNT_BUSY: the address is in use.  *bound (may be NULL) gets the address with the port
 * that was chosen where 0 was asked. */
GNT_MUST gnt_err gnt_tcp_listen(const struct sockaddr *address, socklen_t size, int backlog,
                                int *fd, struct sockaddr_storage *bound);

struct gnt_acceptor;

/* Accepts what comes in on FD (shared: each of several loops may have an acceptor on the same fd,
 * and one of them gets each connection).  on_accept gets a stream that is in LOOP already and owns
 * it. Out of file descriptors: pauses for 100 ms, says so in the log (rate limited), and goes on.
 */
GNT_MUST gnt_err gnt_acceptor_new(struct gnt_loop *loop, int fd,
                                  void (*on_accept)(void *context, struct gnt_stream *s),
                                  void *context, struct gnt_acceptor **out);
void gnt_acceptor_free(struct gnt_acceptor **a);

/* "127.0.0.1:1883", "[::1]:1883". */
void gnt_tcp_address_text(const struct sockaddr *address, char *out, size_t cap);

#endif
