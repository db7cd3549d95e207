/* What a command that works with a server has from its beginning to its end: what its main thread
 * waits for, what it says, and what it will exit with.
 *
 * Ownership  gnt_run_init() to gnt_run_fini().
 * Threads    the main thread; _end, _say, _debug and _goes_on any. */
#ifndef GNT_CLI_RUN_H
#define GNT_CLI_RUN_H

#include "cli/wait.h"

#include <stdatomic.h>

struct gnt_run {
    /* Set before gnt_run_init: */
    const char *command;
    bool is_loud, is_mute; /* --debug, --quiet */
    /* Its own: */
    struct gnt_wait wait;
    atomic_int code; /* what to exit with; under 0 until gnt_run_end was called */
};

/* Blocks the signals: nobody is to be asked for a pass-phrase any more.  Returns an exit code; what
 * went wrong has been said. */
GNT_MUST int gnt_run_init(struct gnt_run *run);
void gnt_run_fini(struct gnt_run *run);

/* Asks the main thread to end the command; the first CODE counts. */
void gnt_run_end(struct gnt_run *run, int code);
bool gnt_run_goes_on(const struct gnt_run *run);

/* What it was ended with; 0: it was not. */
int gnt_run_code(const struct gnt_run *run);

/* Waits until UNTIL for FILE as gnt_wait does; *ready: it is FILE.  False: the command is to end.
 */
bool gnt_run_wait(struct gnt_run *run, uint64_t until, int file, short events, bool *ready);

/* gnt_say, with --debug only; and unless --quiet. */
__attribute__((format(printf, 2, 3))) void gnt_run_debug(const struct gnt_run *run,
                                                         const char *format, ...);
__attribute__((format(printf, 2, 3))) void gnt_run_say(const struct gnt_run *run,
                                                       const char *format, ...);

#endif
