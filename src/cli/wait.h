/* What the main thread of a command waits for: signals, a wake-up from another thread, a file, a
 * time.  Signals come by a file descriptor, so that nothing happens inside a handler.
 *
 * Ownership  gnt_wait_init() to gnt_wait_fini().
 * Threads    the main thread; gnt_wait_wake from any. */
#ifndef GNT_CLI_WAIT_H
#define GNT_CLI_WAIT_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct gnt_wait {
    int signals, wake; /* file descriptors */
};

/* Blocks SIGINT, SIGTERM and SIGHUP, here and in every thread that is started afterwards, and
 * ignores SIGPIPE. */
GNT_MUST gnt_err gnt_wait_init(struct gnt_wait *w);
void gnt_wait_fini(struct gnt_wait *w);

enum gnt_wait_reason {
    GNT_WAIT_TIME,   /* it is UNTIL */
    GNT_WAIT_SIGNAL, /* *signal came */
    GNT_WAIT_WOKEN,  /* gnt_wait_wake was called since the last time */
    GNT_WAIT_FILE,   /* FILE is ready, has ended or is broken */
};

/* Waits until the monotonic time UNTIL (GNT_NEVER: for ever) for the first of these; FILE (-1:
 * none) for poll(2)'s EVENTS, or with 0 for its end and breakage alone. */
enum gnt_wait_reason gnt_wait(struct gnt_wait *w, uint64_t until, int file, short events,
                              int *signal);

void gnt_wait_wake(struct gnt_wait *w);

/* From now on a further SIGINT or SIGTERM ends the process at once, whatever it is doing. */
void gnt_wait_impatient(void);

#endif
