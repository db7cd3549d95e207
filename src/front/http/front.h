/* HTTP's front: reads the head of a request, and answers it, or hands the connection on as a
 * WebSocket to whom the table of paths names.  A front belongs to one worker and its thread.
 *
 * A connection has one request: with its answer it is closed, so that nothing waits behind
 * anything.  What comes behind a request that is not a WebSocket's is thrown away.
 *
 * Bounds   a head has 8 KiB and 10 s, after which nobody is told anything any more; an answer has
 *          as long to be taken.  Of a thousand connections without a whole head the oldest has to
 *          go for the next one; and of a thousand that have been answered and stay. */
#ifndef GNT_FRONT_HTTP_FRONT_H
#define GNT_FRONT_HTTP_FRONT_H

#include "base/counters.h"
#include "net/loop.h"

/* What is where: a table ends with a NULL path. */
struct gnt_http_path {
    const char *path;
    const char *const *protocols; /* that its WebSockets speak, the best first; ends with NULL */
    void (*open)(void *context, struct gnt_stream *websocket);
};

/* Whose pages a listener's WebSockets are for.  A browser lets any page connect anywhere, with the
 * rights that its user's machine has, and says in Origin whose page it is [RFC 6455 10.2]; others
 * send none, and are free to send anything.  Without a list it is for pages of the same origin. */
struct gnt_http_origins {
    char *const *items; /* "https://example.com", "null", or "*" for any; lent */
    size_t count;
    bool loopback; /* nobody else's name may stand for this machine */
};

struct gnt_http_front {
    struct gnt_loop *loop;
    struct gnt_counters *counters;
    const struct gnt_http_path *paths;
    void *context;               /* of their `open` */
    struct gnt_list connections; /* the oldest first, */
    struct gnt_list ending;      /* and those that have been answered */
    unsigned waiting, answered;  /* in `connections`, and in `ending` */
    bool stopping;
};

void gnt_http_front_init(struct gnt_http_front *front, struct gnt_loop *loop,
                         struct gnt_counters *counters, const struct gnt_http_path *paths,
                         void *context);

/* Closes what is still open. */
void gnt_http_front_fini(struct gnt_http_front *front);

/* A stream, in the front's loop, that was accepted where ORIGINS, which stay, are permitted; the
 * front owns it. */
void gnt_http_front_accept(struct gnt_http_front *front, struct gnt_stream *stream,
                           const struct gnt_http_origins *origins);

/* Closes whose request has not come; connections that are accepted later are closed at once.  Done
 * when gnt_http_front_idle is true. */
void gnt_http_front_stop(struct gnt_http_front *front);
bool gnt_http_front_idle(const struct gnt_http_front *front);

#endif
