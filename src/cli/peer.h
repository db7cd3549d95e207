/* The connection of a command to its broker: the options that all of them share, and a client that
 * tells its user what becomes of it.
 *
 * Ownership  gnt_peer_open() to gnt_peer_close().
 * Threads    the main thread, but for the callbacks, which are the client's. */
#ifndef GNT_CLI_PEER_H
#define GNT_CLI_PEER_H

#include "cli/place.h"
#include "cli/property.h"
#include "cli/run.h"
#include "cli/trace.h"

#include <gnatter/mqtt.h>
#include <stdatomic.h>

/* The values of GNT_PEER_ROWS. */
struct gnt_peer_options {
    struct gnt_place place;
    char *id, *id_prefix;
    uint32_t auth_method; /* enum gnt_peer_method */
    uint32_t version;     /* enum gnatter_mqtt_version */
    uint16_t keep_alive_s;
    bool keep_session;
    uint64_t session_expiry_s; /* UINT64_MAX: not given */
    char *will_topic, *will_payload;
    uint8_t will_qos;
    bool will_retain;
};

/* What gnt_peer_methods has, in its order. */
enum gnt_peer_method { GNT_PEER_PLAIN, GNT_PEER_SCRAM_256, GNT_PEER_SCRAM_512 };

extern const struct gnt_option_word gnt_peer_versions[], gnt_peer_expiries[], gnt_peer_methods[];

/* A URL that a client can go to. */
GNT_MUST gnt_err gnt_peer_check_url(const char *text, struct gnt_why *why);

/* The rows of an option table whose struct TYPE has a struct gnt_peer_options named `peer`. */
/* clang-format off */
#define GNT_PEER_ROWS(type) \
    GNT_PLACE_WHERE_ROWS(type, peer.place, "1883, with TLS 8883", \
        "mqtt://HOST:PORT, or ws://HOST:PORT/mqtt for MQTT over WebSocket; mqtts://HOST:PORT and " \
        "wss://HOST:PORT/mqtt for TLS; unix:///PATH for the Unix socket of that path.", \
        gnt_peer_check_url), \
    {.flag = "id", .letter = 'i', .kind = GNT_OPTION_STRING, .group = "Connection", \
     GNT_OPTION_FIELD(type, peer.id), .metavar = "ID", .max = 65535, \
     .help = "The client id; without one, a random one, in MQTT 5 one that the broker gives."}, \
    {.flag = "id-prefix", .letter = 'I', .kind = GNT_OPTION_STRING, .group = "Connection", \
     GNT_OPTION_FIELD(type, peer.id_prefix), .metavar = "PREFIX", .max = 255, \
     .help = "The client id is PREFIX-PID."}, \
    GNT_PLACE_WHO_ROWS(type, peer.place), \
    {.flag = "auth-method", .kind = GNT_OPTION_WORD, .group = "Connection", \
     GNT_OPTION_FIELD(type, peer.auth_method), .fallback = "none", .metavar = "METHOD", \
     .words = gnt_peer_methods, \
     .help = "SCRAM-SHA-256, SCRAM-SHA-512: the password is not sent, but client and broker prove " \
             "to each other that they know it. Connects by MQTT 5."}, \
    {.flag = "keepalive", .letter = 'k', .kind = GNT_OPTION_INTEGER, .group = "Connection", \
     GNT_OPTION_FIELD(type, peer.keep_alive_s), .fallback = "60", .max = 65535, .metavar = "SECONDS", \
     .help = "The keep alive; 0: none."}, \
    {.flag = "protocol-version", .letter = 'V', .kind = GNT_OPTION_WORD, .group = "Connection", \
     GNT_OPTION_FIELD(type, peer.version), .fallback = "mqttv311", .metavar = "VERSION", \
     .words = gnt_peer_versions, \
     .help = "mqttv31, mqttv311 or mqttv5; also 31, 311 and 5."}, \
    {.flag = "disable-clean-session", .letter = 'c', .kind = GNT_OPTION_BOOL, .group = "Connection", \
     GNT_OPTION_FIELD(type, peer.keep_session), \
     .help = "Goes on with the session that the broker keeps for this client id, and leaves it " \
             "there: subscriptions, and messages of QoS 1 and 2 that come meanwhile. Needs --id."}, \
    {.flag = "session-expiry-interval", .letter = 'x', .kind = GNT_OPTION_INTEGER, \
     .group = "Connection", GNT_OPTION_FIELD(type, peer.session_expiry_s), .fallback = "auto", \
     .max = UINT32_MAX, .metavar = "SECONDS", .words = gnt_peer_expiries, \
     .help = "MQTT 5: how long the broker keeps the session after the end of the connection; -1: " \
             "for ever. Without it: for ever with -c, else not at all."}, \
    GNT_PLACE_TELL_ROWS(type, peer.place, "packet")

#define GNT_PEER_WILL_ROWS(type) \
    {.flag = "will-topic", .kind = GNT_OPTION_STRING, .group = "Will", \
     GNT_OPTION_FIELD(type, peer.will_topic), .metavar = "TOPIC", .max = 65535, \
     .help = "The broker publishes a will to this topic if the connection breaks."}, \
    {.flag = "will-payload", .kind = GNT_OPTION_STRING, .group = "Will", \
     GNT_OPTION_FIELD(type, peer.will_payload), .metavar = "TEXT", .max = 65535, \
     .help = "The will's payload; without one it is empty."}, \
    {.flag = "will-qos", .kind = GNT_OPTION_INTEGER, .group = "Will", \
     GNT_OPTION_FIELD(type, peer.will_qos), .fallback = "0", .max = 2, .metavar = "QOS", \
     .help = "The will's QoS."}, \
    {.flag = "will-retain", .kind = GNT_OPTION_BOOL, .group = "Will", \
     GNT_OPTION_FIELD(type, peer.will_retain), .help = "The will is retained."}
/* clang-format on */

struct gnt_peer {
    /* Set before gnt_peer_open: */
    const char *command;
    const struct gnt_peer_options *options;
    struct gnt_properties *properties; /* of -D, or NULL; those of the connection are taken out */
    bool patient; /* tries until it is connected; else the first failure is the end */
    gnatter_on_message *on_message;
    void *context;                                   /* of on_message */
    void (*adjust)(struct gnatter_client_options *); /* further options; may be NULL */

    /* Its own: */
    struct gnt_run run;
    struct gnt_trace trace;
    gnatter_client *client;
    atomic_bool connected_once; /* set, with a wake-up, by the client's thread */
    bool told;                  /* the client's thread: an absence has been told */
};

/* Says what in the options does not go together.  False: there is something. */
GNT_MUST bool gnt_peer_check(const char *command, const struct gnt_peer_options *options,
                             const struct gnt_properties *properties);

/* Asks for a pass-phrase where one is needed, blocks the signals, and makes the client without
 * connecting it.  Returns an exit code; what went
 * wrong has been said. */
GNT_MUST int gnt_peer_open(struct gnt_peer *peer);
GNT_MUST int gnt_peer_start(struct gnt_peer *peer);

/* Disconnects; where there is a connection, waits for what is outstanding, a few seconds at most. A
 * signal meanwhile ends the process.  Returns the exit code. */
int gnt_peer_close(struct gnt_peer *peer);

/* The exit code for a request that failed, and the words for it: "refused: not authorized". */
int gnt_peer_result_code(const struct gnatter_result *result);
const char *gnt_peer_result_text(const struct gnatter_result *result, char *text, size_t size);

#endif
