/* The URLs of listeners and brokers: SCHEME://HOST:PORT/PATH.
 *
 *     mqtt://127.0.0.1:1883    mqtt://[::1]    mqtt://broker.example    mqtt://:1883
 *     http://127.0.0.1:8080 for a listener, ws://127.0.0.1:8080/mqtt for a client of it
 *     amqp://127.0.0.1:5672
 *     mqtts, amqps, https and wss: the same over TLS
 *     unix:///run/gnatter/mqtt.sock, MQTT over the Unix socket of that path, which is taken as it
 *     stands there: nothing in it is escaped; a client may speak AMQP there, too
 *     amqp+unix:///run/gnatter/amqp.sock, AMQP likewise
 *
 * Nothing is allocated; any thread. */
#ifndef GNT_CONF_URL_H
#define GNT_CONF_URL_H

#include "conf/text.h"

enum gnt_url_kind {
    GNT_URL_MQTT,      /* listeners and clients */
    GNT_URL_AMQP,      /* the same */
    GNT_URL_HTTP,      /* listeners */
    GNT_URL_WEBSOCKET, /* clients */
};

struct gnt_url_scheme {
    const char *name;
    uint16_t port; /* where the URL names none */
    bool path;     /* whether a path means something */
    bool tls;
    bool file; /* the path is that of a Unix socket, and there is no host */
    enum gnt_url_kind kind;
};

struct gnt_url {
    const struct gnt_url_scheme *scheme;
    char host[256];   /* a name or an address, IPv6 without brackets; "" is every address */
    bool ipv6;        /* the host stood in brackets */
    uint16_t port;    /* 0: any free one */
    const char *path; /* "" or from its "/" on; borrows from the text that was read */
};

/* Reads TEXT.  GNT_INVALID: *url unchanged, WHY tells what is wrong and what was expected. */
GNT_MUST gnt_err gnt_url_parse(const char *text, struct gnt_url *url, struct gnt_why *why);

enum { GNT_URL_HOST_MAX = 272 };

/* HOST:PORT as a request names it: without the port where it is the scheme's, and IPv6 in brackets.
 */
void gnt_url_host_text(const struct gnt_url *url, char out[GNT_URL_HOST_MAX]);

/* The path of a WebSocket: MQTT's usual one if the URL has none. */
const char *gnt_url_websocket_path(const struct gnt_url *url);

/* Whether a client of KIND, MQTT or AMQP, can go there: the scheme is one of its, and it says
 * where. */
bool gnt_url_is_peer(const struct gnt_url *url, enum gnt_url_kind kind);

/* Whether only this machine can reach it: 127.0.0.0/8, ::1, the name localhost, or a Unix socket.
 */
bool gnt_url_is_loopback(const struct gnt_url *url);

#endif
