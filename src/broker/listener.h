/* The broker's listening sockets, from the URLs of its configuration. */
#ifndef GNT_BROKER_LISTENER_H
#define GNT_BROKER_LISTENER_H

#include "broker/tls.h"
#include "conf/config.h"
#include "conf/url.h"
#include "front/http/front.h"
#include "net/acceptor.h"
#include "net/unix.h"

/* What the sockets of one of the configuration's listeners share. */
struct gnt_listener_terms {
    struct gnt_strings origins;
    struct gnt_networks proxies;
    struct gnt_listener_tls tls;
};

struct gnt_listener {
    int fd;                           /* -1 once it is shut */
    char url[128];                    /* "mqtt://127.0.0.1:1883", the port as it was bound */
    enum gnt_url_kind kind;           /* MQTT, AMQP or HTTP */
    struct gnt_listener_terms *terms; /* lent by gnt_listeners, */
    struct gnt_http_origins origins;  /* and so is this list */
    struct gnt_unix_file file;        /* that the URL names; inode 0: none */
};

struct gnt_listeners {
    struct gnt_listener *item;
    size_t count;
    struct gnt_listener_terms *terms; /* of each of the configuration's listeners */
    size_t term_count;
    const struct gnt_callback_tls *program; /* set before _open, and stays; NULL: it has no say */
};

/* Resolves and binds all of CONFIG's listeners: a name that has several addresses is several
 * sockets. One that is optional may be left out, with a line in the log. On failure PROBLEM says
 * what is wrong, and what is open is closed by _close. */
GNT_MUST gnt_err gnt_listeners_open(struct gnt_listeners *l, const struct gnt_config *config,
                                    char *problem, size_t cap);
void gnt_listeners_close(struct gnt_listeners *l);

/* gnt_listener_tls_reload for each. */
void gnt_listeners_reload(struct gnt_listeners *l, const struct gnt_config *config);

/* Nobody can connect any more; what they were stays to be told. */
void gnt_listeners_shut(struct gnt_listeners *l);

#endif
