/* What a message is made of, for commands that send some: a text, a file, or the standard input.
 * The main thread. */
#ifndef GNT_CLI_BODY_H
#define GNT_CLI_BODY_H

#include "cli/input.h"
#include "conf/option.h"

struct gnt_body {
    char *message, *file;
    bool empty, lines, all;
};

/* The rows of an option table whose struct TYPE has a struct gnt_body named AT; GROUP is their
 * heading. */
/* clang-format off */
#define GNT_BODY_ROWS(type, at, heading, bytes_max) \
    {.flag = "message", .letter = 'm', .kind = GNT_OPTION_STRING, .group = (heading), \
     GNT_OPTION_FIELD(type, at.message), .max = (bytes_max), .metavar = "TEXT", .help = "This text."}, \
    {.flag = "file", .letter = 'f', .kind = GNT_OPTION_STRING, .group = (heading), \
     GNT_OPTION_FIELD(type, at.file), .metavar = "FILE", .help = "The contents of a file."}, \
    {.flag = "stdin-line", .letter = 'l', .kind = GNT_OPTION_BOOL, .group = (heading), \
     GNT_OPTION_FIELD(type, at.lines), \
     .help = "Each line of the standard input, without its line end, as a message of its own."}, \
    {.flag = "stdin-file", .letter = 's', .kind = GNT_OPTION_BOOL, .group = (heading), \
     GNT_OPTION_FIELD(type, at.all), .help = "All of the standard input as one message."}, \
    {.flag = "null-message", .letter = 'n', .kind = GNT_OPTION_BOOL, .group = (heading), \
     GNT_OPTION_FIELD(type, at.empty), .help = "An empty message."}
/* clang-format on */

/* How many of them were given: just one is right. */
int gnt_body_kinds(const struct gnt_body *body);

/* Reads all of what -s or -f name into *in, which is made here and is the caller's to end; of the
 * other kinds there is nothing to read.  At most MAX bytes, which is more than MOST can be ("an
 * MQTT message").  What went wrong has been said. */
GNT_MUST gnt_err gnt_body_load(const char *command, const struct gnt_body *body, size_t max,
                               const char *most, struct gnt_input *in);

/* What is to be sent, of all kinds but lines; borrows from both. */
struct gnt_slice gnt_body_bytes(const struct gnt_body *body, const struct gnt_input *in);

#endif
