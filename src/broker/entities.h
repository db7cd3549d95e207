/* The entities that the configuration declares. */
#ifndef GNT_BROKER_ENTITIES_H
#define GNT_BROKER_ENTITIES_H

#include "broker/workers.h"

/* Has them made, or given their options, soon; from any thread that is no worker, at the start and
 * at each reload.  What cannot be done is logged.  GNT_NOMEM: some have not been
 * declared; say it again. */
GNT_MUST gnt_err gnt_entities_declare(struct gnt_workers *w, const struct gnt_config *config);

#endif
