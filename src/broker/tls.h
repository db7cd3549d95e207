/* What the TLS connections of a listener agree to, from the files that the configuration names, and
 * again from them at each reload.
 *
 * Ownership  gnt_listener_tls_open() to _close(), after which a zeroed one is left.
 * Threads    one opens, reloads and closes; any may take. */
#ifndef GNT_BROKER_TLS_H
#define GNT_BROKER_TLS_H

#include "broker/tls_choice.h"
#include "conf/config.h"
#include "conf/url.h"

#include <pthread.h>

struct gnt_listener_tls {
    char *url;                       /* of the configuration's listener; NULL: it is without TLS */
    enum gnt_url_kind kind;          /* MQTT, AMQP or HTTP */
    bool by_header;                  /* who asks for it by AMQP's header has it, and others not */
    bool needed;                     /* nothing but certificates keeps other machines out */
    pthread_mutex_t lock;            /* guards `context`, taken last, held for taking a reference */
    struct gnt_tls_context *context; /* for the connections to come */
    const struct gnt_callback_tls *program; /* set before _open, and stays; NULL: it has no say */
    struct gnt_tls_choices *choices;        /* of the program; NULL: it makes none */
};

/* Reads the files of LISTENER, of CONFIG, if it has any: TLS is a zeroed struct but for `program`.
 * A certificate that is out of its time, and a revocation list that is out of date, are told in the
 * log: a small machine may not know the time yet.  GNT_INVALID, GNT_NOMEM: PROBLEM says what is
 * wrong and with which file; what is there already is closed by _close. */
GNT_MUST gnt_err gnt_listener_tls_open(struct gnt_listener_tls *tls,
                                       const struct gnt_config *config,
                                       const struct gnt_config_listener *listener, char *problem,
                                       size_t cap);

/* The same for what CONFIG says now about the listener with that URL, for connections to come.
 * Where something is wrong that is logged, and all stays as it is; so it does where clients would
 * no more have to show a certificate, and that is all that kept other machines out. */
void gnt_listener_tls_reload(struct gnt_listener_tls *tls, const struct gnt_config *config);

/* A reference to what they agree to; NULL: it is without TLS. */
struct gnt_tls_context *gnt_listener_tls_take(struct gnt_listener_tls *tls);

void gnt_listener_tls_close(struct gnt_listener_tls *tls);

#endif
