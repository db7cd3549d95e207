/* The AMQP connection of a command: the options that say where to and as whom, and a client that
 * tells its user what becomes of it.
 *
 * Ownership  gnt_dial_open() to gnt_dial_close().
 * Threads    the main thread, but for the callbacks, which are the client's. */
#ifndef GNT_CLI_DIAL_H
#define GNT_CLI_DIAL_H

#include "cli/place.h"
#include "cli/run.h"
#include "cli/trace.h"

#include <gnatter/amqp.h>

/* The values of GNT_DIAL_ROWS. */
struct gnt_dial_options {
    struct gnt_place place;
    char *container_id;
    uint32_t mechanism; /* what gnt_dial_mechanisms has */
    uint32_t idle_s;
};

extern const struct gnt_option_word gnt_dial_mechanisms[];

/* A URL that a client of AMQP can go to. */
GNT_MUST gnt_err gnt_dial_check_url(const char *text, struct gnt_why *why);

/* The rows of an option table whose struct TYPE has a struct gnt_dial_options named `dial`. */
/* clang-format off */
#define GNT_DIAL_ROWS(type) \
    GNT_PLACE_WHERE_ROWS(type, dial.place, "5672, with TLS 5671", \
        "amqp://HOST:PORT, or ws://HOST:PORT/amqp for AMQP over WebSocket; amqps://HOST:PORT and " \
        "wss://HOST:PORT/amqp for TLS; unix:///PATH for the Unix socket of that path, which the broker has as amqp+unix.", \
        gnt_dial_check_url), \
    {.flag = "id", .letter = 'i', .kind = GNT_OPTION_STRING, .group = "Connection", \
     GNT_OPTION_FIELD(type, dial.container_id), .metavar = "ID", .max = 255, \
     .help = "The container id; without one, a random one."}, \
    GNT_PLACE_WHO_ROWS(type, dial.place), \
    {.flag = "auth-method", .kind = GNT_OPTION_WORD, .group = "Connection", \
     GNT_OPTION_FIELD(type, dial.mechanism), .fallback = "auto", .metavar = "METHOD", \
     .words = gnt_dial_mechanisms, \
     .help = "The SASL mechanism: EXTERNAL, SCRAM-SHA-512, SCRAM-SHA-256, PLAIN, ANONYMOUS, or none " \
             "at all; auto is the best that the broker offers, and PLAIN only over TLS or to this " \
             "machine."}, \
    {.flag = "keepalive", .letter = 'k', .kind = GNT_OPTION_INTEGER, .group = "Connection", \
     GNT_OPTION_FIELD(type, dial.idle_s), .fallback = "60", .max = 86400, .metavar = "SECONDS", \
     .help = "A broker that is silent for so long is gone; 0: never."}, \
    GNT_PLACE_TELL_ROWS(type, dial.place, "frame")
/* clang-format on */

struct gnt_dial {
    /* Set before gnt_dial_open: */
    const char *command;
    const struct gnt_dial_options *options;
    uint32_t queue_messages; /* that are sent and not settled; 0: the library's default */
    uint64_t message_max;    /* 0: likewise */
    bool once;               /* a connection that breaks is the end */

    /* Its own: */
    struct gnt_run run;
    struct gnt_trace trace;
    gnatter_amqp *amqp;
    atomic_bool connected_once; /* set, with a wake-up, by the client's thread */
    bool told;                  /* the client's thread: an absence has been told */
};

/* Says what in the options does not go together.  False: there is something. */
GNT_MUST bool gnt_dial_check(const char *command, const struct gnt_dial_options *options);

/* Asks for a pass-phrase where one is needed, blocks the signals, and makes the client without
 * connecting it.  Returns an exit code; what went wrong has been said. */
GNT_MUST int gnt_dial_open(struct gnt_dial *dial);
GNT_MUST int gnt_dial_start(struct gnt_dial *dial);

/* Disconnects, and waits for what is outstanding, a few seconds at most.  A signal meanwhile ends
 * the process.  Returns the exit code. */
int gnt_dial_close(struct gnt_dial *dial);

/* The exit code for what a broker says is wrong: a refused link, an outcome, an ending. */
int gnt_dial_code(const struct gnatter_amqp_error *why);

/* "amqp:not-found: no such queue", for people: OUT. */
enum { GNT_DIAL_WHY_MAX = 800 };
const char *gnt_dial_why(const struct gnatter_amqp_error *why, char out[GNT_DIAL_WHY_MAX]);

/* The link has been refused or ended: says so, and ends the command.  VERB is "send to". */
void gnt_dial_detached(struct gnt_dial *dial, const char *verb, const char *address, int error,
                       const struct gnatter_amqp_error *why);

#endif
