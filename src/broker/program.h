/* What a program has its say in (gnatter/broker.h), as the rooms of the broker ask for it.
 *
 * Ownership  gnt_program_init() fills it, and it stays where it is as long as the broker.
 * Threads    constant from then on. */
#ifndef GNT_BROKER_PROGRAM_H
#define GNT_BROKER_PROGRAM_H

#include "broker/broker.h"

#include <gnatter/broker.h>

struct gnt_program {
    struct gnatter_broker_options options; /* of which only the callbacks are looked at */
    struct gnt_hooks hooks;
    struct gnt_callback_tls tls;
    struct gnt_broker_program
        broker; /* for gnt_broker_new: the others, where there is a callback */
};

void gnt_program_init(struct gnt_program *p, const struct gnatter_broker_options *options);

#endif
