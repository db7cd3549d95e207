/* The command line by an option table, GNU fashion: --port=1883, --port 1883, -p 1883, -p1883;
 * "--" ends the options; words that are no options may stand anywhere.  Rows without a flag do not
 * exist here; rows without a path exist only here.
 *
 * --help and --version are always there, and -h, unless a row has that letter. */
#ifndef GNT_CONF_ARGS_H
#define GNT_CONF_ARGS_H

#include "conf/diag.h"
#include "conf/option.h"

struct gnt_args {
    const char
        *usage; /* "gnatter pub [OPTION]... -t TOPIC -m MESSAGE"; more lines are more forms */
    const char *about;  /* what the command does, full sentences; newlines are kept */
    const char *footer; /* examples and the like behind the options; NULL: none */
    struct gnt_option_table table;
    size_t words_min, words_max; /* how many words that are no options it takes */
};

struct gnt_args_result {
    bool help, version; /* asked for; reading ended there, nothing else was checked */
    char **words;       /* those that are no options: the front of argv, reordered */
    size_t word_count;
};

/* Reads argv[0] to argv[argc - 1], which do not hold the program's or command's name, into VALUES
 * (initialised).  The first flag of a list replaces what the list held, further ones add to it.
 * GNT_INVALID: DIAG says what is wrong, several mistakes in one go.  Any failure leaves VALUES
 * sound, but with what was read up to there. */
GNT_MUST gnt_err gnt_args_parse(const struct gnt_args *args, int argc, char **argv, void *values,
                                struct gnt_args_result *result, struct gnt_diag *diag);

/* Appends the --help text in lines of at most WIDTH (at least 40) columns. */
GNT_MUST gnt_err gnt_args_help(const struct gnt_args *args, size_t width, struct gnt_buf *out);

#endif
