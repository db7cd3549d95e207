/* Where connections to TLS listeners stay until their handshake is over.  One belongs to each
 * worker and its thread.
 *
 * A handshake is much work, and anybody may ask for it: so a turn begins one at most, and whoever
 * has said hello meanwhile stands in line, the first first.
 *
 * Bounds   the connect timeout for all of it; of a thousand handshakes that have begun the oldest
 *          has to go for the next one; and as many may come at a time as connections are served. */
#ifndef GNT_BROKER_PORCH_H
#define GNT_BROKER_PORCH_H

#include "base/counters.h"
#include "front/mqtt/front.h"
#include "net/tls.h"

struct gnt_porch {
    struct gnt_loop *loop;
    struct gnt_counters *counters;
    const struct gnt_mqtt_limits *limits;
    struct gnt_list waiting; /* who have not said anything yet, */
    struct gnt_list line;    /* who have, and wait until it is theirs, */
    struct gnt_list shaking; /* and whose handshake has begun: the first of each comes first */
    unsigned count;          /* of all of them, */
    unsigned shaking_count;  /* and of `shaking` */
    struct gnt_timer next;   /* due while somebody is in line */
    bool stopping;
};

/* What is handed in stays as long as the porch; LIMITS may change.  GNT_NOMEM: nothing has been
 * done. */
GNT_MUST gnt_err gnt_porch_init(struct gnt_porch *porch, struct gnt_loop *loop,
                                struct gnt_counters *counters,
                                const struct gnt_mqtt_limits *limits);

/* Closes who is still there. */
void gnt_porch_fini(struct gnt_porch *porch);

/* Takes a connection that is through, a stream in the porch's loop. */
typedef void gnt_porch_open(void *context, struct gnt_stream *stream);

/* A stream, in the porch's loop, that was accepted at listener URL, which stays; the porch owns it.
 * Takes the reference to TLS.  OPEN gets it when the handshake is over; where it fails that is
 * logged and counted. */
void gnt_porch_accept(struct gnt_porch *porch, struct gnt_stream *stream,
                      struct gnt_tls_context **tls, const char *url, gnt_porch_open *open,
                      void *context);

/* Closes who is there, and from now on who comes. */
void gnt_porch_stop(struct gnt_porch *porch);

#endif
