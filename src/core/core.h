/* The core: sessions, routing, retained messages, shared groups.  It knows neither sockets nor
 * protocols: fronts hand it receivers, the broker hands it a way to post mail.
 *
 * The core is divided into homes (core/home.h), one for each worker; only the topic tree is shared.
 */
#ifndef GNT_CORE_CORE_H
#define GNT_CORE_CORE_H

#include "core/home.h"

struct gnt_core {
    unsigned count;
    struct gnt_tree *tree;
    struct gnt_home *homes; /* count of them */
};

/* CONFIG is copied. */
GNT_MUST gnt_err gnt_core_new(const struct gnt_core_config *config, struct gnt_core **out);

/* Frees all sessions without publishing wills.  The homes' threads have stopped, all mail has been
 * run, the receivers are gone, the timers are still there; nothing is mailed any more.  Whoever has
 * sent something to a queue, or has a consumer there (core/queue.h), is still there and is told
 * that it has gone.  The calling thread is a registered RCU reader. */
void gnt_core_free(struct gnt_core **core);

#endif
