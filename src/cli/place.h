/* Options that all commands have which connect to a server: where it is, who one is, what is told
 * on stderr; and cli/tls.h's. */
#ifndef GNT_CLI_PLACE_H
#define GNT_CLI_PLACE_H

#include "cli/tls.h"

struct gnt_place {
    char *host;
    uint16_t port; /* 0: the protocol's usual one */
    char *url;     /* instead of these two */
    char *username, *password;
    struct gnt_cli_tls tls;
    bool debug, quiet, trace;
};

enum { GNT_PLACE_TEXT_MAX = 1100 };

/* The server, for people: the URL, or host and PORT.  Gives OUT. */
const char *gnt_place_text(const struct gnt_place *place, uint16_t port,
                           char out[GNT_PLACE_TEXT_MAX]);

/* What the end of a connection or an attempt means, and what to do about it. */
struct gnt_place_failure {
    int error; /* GNATTER_E* */
    bool was_connected;
    int code;           /* to exit with */
    const char *text;   /* the server is put in front of it */
    const char *advice; /* "" for none */
};

/* The row of ROWS (COUNT of them) for that, or else the one that all protocols have; NULL. */
const struct gnt_place_failure *gnt_place_failure(const struct gnt_place_failure *rows,
                                                  size_t count, int error, bool was_connected);

/* The rows of an option table whose struct TYPE has a struct gnt_place named AT: first where, then
 * who, then what is told.  PORTS and URLS are for people, CHECK is for the URL. */
/* clang-format off */
#define GNT_PLACE_WHERE_ROWS(type, at, ports, urls, check_url) \
    {.flag = "host", .letter = 'h', .kind = GNT_OPTION_STRING, .group = "Connection", \
     GNT_OPTION_FIELD(type, at.host), .fallback = "localhost", .metavar = "HOST", .max = 255, \
     .help = "The broker's host name or address."}, \
    {.flag = "port", .letter = 'p', .kind = GNT_OPTION_INTEGER, .group = "Connection", \
     GNT_OPTION_FIELD(type, at.port), .fallback = "auto", .min = 1, .max = 65535, .metavar = "PORT", \
     .words = gnt_cli_ports, .help = "The broker's port; auto is " ports "."}, \
    {.flag = "url", .kind = GNT_OPTION_STRING, .group = "Connection", .check = (check_url), \
     GNT_OPTION_FIELD(type, at.url), .metavar = "URL", .max = 1024, \
     .help = "Instead of --host and --port: " urls}

#define GNT_PLACE_WHO_ROWS(type, at) \
    {.flag = "username", .letter = 'u', .kind = GNT_OPTION_STRING, .group = "Connection", \
     GNT_OPTION_FIELD(type, at.username), .metavar = "NAME", .max = 65535, \
     .help = "The user name."}, \
    {.flag = "pw", .letter = 'P', .kind = GNT_OPTION_STRING, .group = "Connection", \
     GNT_OPTION_FIELD(type, at.password), .metavar = "PASSWORD", .max = 65535, \
     .help = "The password."}

#define GNT_PLACE_TELL_ROWS(type, at, units) \
    {.flag = "debug", .letter = 'd', .kind = GNT_OPTION_BOOL, .group = "Connection", \
     GNT_OPTION_FIELD(type, at.debug), .help = "Tells on stderr what happens."}, \
    {.flag = "trace", .kind = GNT_OPTION_BOOL, .group = "Connection", \
     GNT_OPTION_FIELD(type, at.trace), \
     .help = "Shows each " units " on stderr, as gnatter decode does: -> before what is sent, <- " \
             "before what comes. Of TLS and WebSocket it is what is inside; passwords are not " \
             "shown."}, \
    {.flag = "quiet", .kind = GNT_OPTION_BOOL, .group = "Connection", \
     GNT_OPTION_FIELD(type, at.quiet), .help = "Tells no errors of the connection."}, \
    GNT_CLI_TLS_ROWS(type, at.tls)
/* clang-format on */

#endif
