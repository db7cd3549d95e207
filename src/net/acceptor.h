/* Accepts connections: of one listening socket, in one loop. */
#ifndef GNT_NET_ACCEPTOR_H
#define GNT_NET_ACCEPTOR_H

#include "base/counters.h"
#include "base/network.h"
#include "net/loop.h"

struct gnt_acceptor;

/* Accepts what comes in on FD (shared: each of several loops may have an acceptor on the same fd,
 * and one of them gets each connection), at the end of a turn, a bounded number each.  on_accept
 * gets a stream that is in LOOP already and owns it; it may free the acceptor.  Out of file
 * descriptors or memory: pauses for 100 ms, says so in the log (rate limited), and goes on. */
GNT_MUST gnt_err gnt_acceptor_new(struct gnt_loop *loop, int fd,
                                  void (*on_accept)(void *context, struct gnt_stream *s),
                                  void *context, struct gnt_acceptor **out);

/* Who passes on what others say, and what is expected of them.  All is lent, and constant but for
 * what the loop's own thread changes. */
struct gnt_proxies {
    const struct gnt_networks *from;
    const uint32_t *timeout_ms;    /* for their header */
    struct gnt_counters *counters; /* where those are counted who send none */
};

/* From now on connections from PROXIES have to begin with a header of the PROXY protocol
 * (net/proxy.h): on_accept gets them when it has come and been taken off, and their address is the
 * one that it names.  A stream has no trace of the proxy then, and costs nothing for it.  With a
 * header that is not right, or late, they are closed, counted and logged.  Others are not looked at
 * for one.
 *
 * As many as 1,000 wait for their header, without memory for it: beyond that the one that has
 * waited longest has to go. */
void gnt_acceptor_expect(struct gnt_acceptor *a, const struct gnt_proxies *proxies);

/* By the loop's thread; FD stays open, it is the caller's.  NULL is fine. */
void gnt_acceptor_free(struct gnt_acceptor **a);

#endif
