/* From what a program says about its server to a byte stream: names looked up, addresses tried one
 * after the other, TLS and WebSocket put on; or a transport of the program's own.
 *
 * Ownership  _init to _fini, in its owner's memory.
 * Threads    the client's own, but for _init, _fini and the READY of a transport.  The lock of a
 *            lookup, which is held for moments, is the only one here. */
#ifndef GNT_CLIENT_BASE_LINK_H
#define GNT_CLIENT_BASE_LINK_H

#include "client/base/tls.h"
#include "conf/url.h"
#include "net/loop.h"

#include <gnatter/transport.h>

#include <netdb.h>
#include <stdatomic.h>

struct gnt_lookup;

/*   state      what it waits for                                     next states              */
enum gnt_link_state {
    GNT_LINK_DOWN, /* somebody to want a connection                 RESOLVING, OPENING, WAITING */
    GNT_LINK_WAITING,   /* the next attempt's time                       RESOLVING, OPENING, DOWN */
    GNT_LINK_RESOLVING, /* addresses                                     OPENING, WAITING, DOWN   */
    GNT_LINK_OPENING,   /* the transport to become writable              UP, WAITING, DOWN        */
    GNT_LINK_UP,        /* the engine to end                             CLOSING, OPENING         */
    GNT_LINK_CLOSING,   /* the last output to be written                 WAITING, DOWN            */
};

/* Where to, as the program says it; lent for the call. */
struct gnt_link_target {
    const char *url;        /* NULL: host and port */
    enum gnt_url_kind kind; /* what is spoken there */
    const char *protocol;   /* of a WebSocket; "/" and this is its usual path */
    const char *host;
    uint16_t port;
    const struct gnatter_tls_options *tls; /* `on` where there is no URL */
    const struct gnatter_transport *transport;
    gnatter_on_trace *on_trace; /* NULL: nobody looks */
    void *context;              /* of on_trace */
};

struct gnt_link {
    struct gnt_loop *loop;
    char *host; /* owned, as the next two */
    char *path; /* of a WebSocket; NULL: none */
    char *websocket_host;
    const char *protocol;
    uint16_t port;
    bool file;     /* host is the path of a Unix socket */
    bool loopback; /* only this machine can be there */
    struct gnatter_transport own;
    gnatter_on_trace *on_trace;
    void *context;
    struct gnt_client_tls *tls; /* NULL: there is none */

    struct gnt_stream *stream;    /* NULL: none is open */
    struct gnt_stream *transport; /* the program's, which is `stream` or below it; NULL: none */
    struct gnt_lookup *lookup;
    struct addrinfo *addresses, *next_address;
    atomic_bool ready; /* set by any thread: gnatter_ready was called */
};

/* GNT_INVALID: it cannot be gone to, or does not go together; GNT_NOMEM.  In both cases nothing is
 * left. */
GNT_MUST gnt_err gnt_link_init(struct gnt_link *l, struct gnt_loop *loop,
                               const struct gnt_link_target *target);

/* Instead of _init: STREAM, in LOOP, is what there is. */
void gnt_link_adopt(struct gnt_link *l, struct gnt_loop *loop, struct gnt_stream **stream);

void gnt_link_fini(struct gnt_link *l); /* after _abandon */

/* Reads files, where that is to be done; without the client's lock. */
GNT_MUST gnt_err gnt_link_prepare(struct gnt_link *l);

/* Begins an attempt.  GNT_OK: there is a stream, which connects; GNT_MORE: addresses are looked up.
 */
GNT_MUST gnt_err gnt_link_open(struct gnt_link *l);

/* Whether the lookup is done, and then with what; and the stream to the next address, or
 * GNT_NOTFOUND: there is none. */
bool gnt_link_resolved(struct gnt_link *l, gnt_err *err);
GNT_MUST gnt_err gnt_link_next_address(struct gnt_link *l);

/* In each turn: what a transport of the program's has told is passed on. */
void gnt_link_look(struct gnt_link *l);

/* Whether the stream is open.  GNT_MORE: not yet. */
GNT_MUST gnt_err gnt_link_opened(struct gnt_link *l);

/* gnt_stream_read and _writev of its stream, for all that the protocol says. */
GNT_MUST gnt_err gnt_link_read(struct gnt_link *l, void *to, size_t cap, size_t *n);
GNT_MUST gnt_err gnt_link_writev(struct gnt_link *l, const struct iovec *iov, int count, size_t *n);

/* All has been written: says the end of ours, so that the last of it arrives whatever the peer is
 * sending meanwhile, and throws that away; true: it has ended as well.  A transport of the
 * program's has no half-way, and is at its end at once. */
bool gnt_link_finish(struct gnt_link *l);

/* Why an attempt or a connection has ended. */
struct gnt_link_trouble {
    gnt_err err;
    bool tls, lasting; /* it is TLS' trouble; it would be met again */
    char words[sizeof((struct gnt_client_tls_trouble *)0)->words]; /* "": there is none */
};

/* ERR is what the stream, or opening it, has said; before the stream is closed. */
void gnt_link_trouble(const struct gnt_link *l, gnt_err err, struct gnt_link_trouble *out);

/* Closes the stream, keeps the addresses; _abandon lets go of everything. */
void gnt_link_close(struct gnt_link *l);
void gnt_link_abandon(struct gnt_link *l);

/* own.c: a transport of the program's as a stream. */
GNT_MUST gnt_err gnt_link_own_open(struct gnt_link *l);

#endif
