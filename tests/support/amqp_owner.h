/* An owner of an AMQP engine that says yes to everything: opens, answers, gives credit, accepts
 * what comes and sends what it may.  What it does follows from the events alone, so the same bytes
 * have the same consequences; what it was told is added up in a hash. */
#ifndef GNT_TESTS_AMQP_OWNER_H
#define GNT_TESTS_AMQP_OWNER_H

#include "amqp/engine/link.h"

struct amqp_owner {
    struct gnt_amqp_connection *c;
    uint64_t told; /* a hash of all events */
    unsigned events;
    unsigned sent;      /* deliveries begun */
    unsigned unsettled; /* deliveries that it knows */
};

/* How a connection begins. */
enum {
    OWNER_CLIENT = 1,
    OWNER_SASL = 2,     /* a server offers it, a client uses it */
    OWNER_REQUIRED = 4, /* a server insists on it */
    OWNER_TLS = 8,      /* a server lets itself be asked for it, a client asks */
};

/* A connection that has been initialised for that role; a client says its first words: open if
 * there is nothing before it, with a session and two links behind it. */
gnt_err amqp_owner_init(struct amqp_owner *o, struct gnt_amqp_connection *c, unsigned how);

/* Takes all that IN has, and flushes behind each event; what _next, or a call that failed for lack
 * of memory, has said at last. */
gnt_err amqp_owner_take(struct amqp_owner *o, struct gnt_slice *in, uint64_t now);

/* Before _fini: forgets what it knows of deliveries. */
void amqp_owner_fini(struct amqp_owner *o);

#endif
