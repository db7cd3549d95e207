/* Errands: what one home has done at another one, or at itself, in order and many at a time.
 *
 * An errand lives inside what it is about.  It is sent, `run` is called at the home TO, by which it
 * may be sent on or back.  Those that one home sends to another in one turn are one mail; those
 * that a home sends to itself take the same way without the mail.  So it makes no difference to the
 * order of events where somebody lives, and nothing is run from within the call that sends it: an
 * errand runs from the home's mail or its timers (gnt_home_later), in the same turn if it goes to
 * the own home.
 *
 * Order    those of one home to one other arrive in the order in which they were sent.
 * Memory   none is needed to send one; if mailing fails for want of memory, it is tried again.
 * Threads  the sending home's to send, the other's to run. */
#ifndef GNT_CORE_ERRAND_H
#define GNT_CORE_ERRAND_H

#include "core/home.h"

struct gnt_errand {
    struct gnt_kept kept; /* its link is the errand's; free for _when_safe */
    void (*run)(struct gnt_home *home, struct gnt_errand *errand);
    unsigned from, to;
    bool lost; /* it waited until something is safe, and that never will be: the core ends */
};

struct gnt_core;

/* Of HOME, which is new.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_errands_new(struct gnt_home *home);

/* The core ends.  Runs what is under way, wherever to, until nothing is: no home runs any more, and
 * all mail has been run.  What waits for the store is `lost`. */
void gnt_errands_finish(struct gnt_core *core);
void gnt_errands_free(struct gnt_home *home); /* there are none */

/* Has RUN called at the home TO. */
void gnt_errand_send(struct gnt_home *home, unsigned to, struct gnt_errand *errand,
                     void (*run)(struct gnt_home *home, struct gnt_errand *errand));

/* The same when all that HOME has written until now is safe (core/keep.h); at once if it is. */
void gnt_errand_send_safe(struct gnt_home *home, unsigned to, struct gnt_errand *errand,
                          void (*run)(struct gnt_home *home, struct gnt_errand *errand));

/* Calls RUN at the end of what is going on at HOME, after the errands that have come. */
struct gnt_chore {
    struct gnt_list link;
    void (*run)(struct gnt_home *home, struct gnt_chore *chore);
};
void gnt_chore_init(struct gnt_chore *chore,
                    void (*run)(struct gnt_home *home, struct gnt_chore *chore));
void gnt_errand_chore(struct gnt_home *home, struct gnt_chore *chore);
void gnt_chore_cancel(struct gnt_chore *chore);

#endif
