/* The data directory that the configuration names: opened when a broker starts, and what is said
 * about it to people. */
#ifndef GNT_BROKER_DATA_H
#define GNT_BROKER_DATA_H

#include "broker/workers.h"
#include "store/store.h"

/* The directory for a CONFIG that names none: /var/lib/gnatter for root, for others gnatter in
 * $XDG_STATE_HOME or ~/.local/state.  Its parents are made.  GNT_NOTFOUND: the environment does not
 * say where; GNT_NOMEM.  On failure PROBLEM is a line for people. */
GNT_MUST gnt_err gnt_data_choose(struct gnt_config *config, char *problem, size_t cap);

/* Opens CONFIG's data directory; *out is NULL where it names none.  While it takes longer than
 * a second, the log says how far it has come.  On failure PROBLEM is a line for people. */
GNT_MUST gnt_err gnt_data_open(const struct gnt_config *config, char *problem, size_t cap,
                               struct gnt_store **out);

/* Has WORKERS, which have not run yet, find their places again in the store *store, and keep what
 * they have in it: takes *store, whatever comes out.  NULL: nothing is kept. */
GNT_MUST gnt_err gnt_data_recover(struct gnt_workers *workers, struct gnt_store **store,
                                  char *problem, size_t cap);

enum { GNT_DATA_LOSS_WINDOW_MAX = 32 };

/* What a power cut could take of what was acknowledged, in words: "none", "200 ms", "everything:
 * memory only". */
void gnt_data_loss_window(bool kept, uint64_t sync_ms, char out[GNT_DATA_LOSS_WINDOW_MAX]);

#endif
