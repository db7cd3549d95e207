/* What a command says to its user: help, version, mistakes, errors.  The main thread, and any other
 * for gnt_say (a line is one write). */
#ifndef GNT_CLI_SAY_H
#define GNT_CLI_SAY_H

#include "base/slice.h"
#include "conf/args.h"

/* "gnatter COMMAND: ..." and a newline on stderr; too long a line is cut.  What a peer sent goes
 * through gnt_utf8_printable first. */
__attribute__((format(printf, 2, 3))) void gnt_say(const char *command, const char *format, ...);

/* Every line of DIAG as gnt_say does it, and how many more there were. */
void gnt_say_mistakes(const char *command, const struct gnt_diag *diag);

/* --help, in the width of the terminal, and --version, on stdout.  Return the exit code. */
int gnt_say_help(const struct gnt_args *args);
int gnt_say_version(void);

/* Reads the words of COMMAND into VALUES, which is initialised here.  True: go on, and give VALUES
 * to gnt_options_fini() in the end; ARGV holds the words that are no options, and a NULL behind
 * them. False: *code is what to exit with: help or version were shown, or mistakes; VALUES is
 * zeroed. */
GNT_MUST bool gnt_say_args(const char *command, const struct gnt_args *args, int argc, char **argv,
                           void *values, int *code);

#endif
