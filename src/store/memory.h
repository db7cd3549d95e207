/* The memory engine: nothing outlives the process.  It is what `--data none` means, and what tests
 * and simulations use.
 *
 * A message is kept as a reference.  One mutex guards everything; it is held while a batch is
 * applied or a read collects its records, never while a callback runs.  Memory is bounded by what
 * the callers keep in it. */
#ifndef GNT_STORE_MEMORY_H
#define GNT_STORE_MEMORY_H

#include "store/store.h"

struct gnt_store_memory_options {
    /* Completions wait for gnt_store_memory_run(), and so do the batches themselves: a read sees
     * nothing of a batch that has not been run. */
    bool delayed;
};

/* OPTIONS may be NULL.  Close it with gnt_store_close(). */
GNT_MUST gnt_err gnt_store_memory_open(const struct gnt_store_memory_options *options,
                                       struct gnt_store **out);

/* Does what was waiting when it was called; any thread, but one at a time.  Returns how many
 * completions it delivered. */
size_t gnt_store_memory_run(struct gnt_store *s);

/* The first of that only; whether there was one. */
bool gnt_store_memory_step(struct gnt_store *s);

/* For tests: the next batch to be applied fails with ERR (GNT_IO, GNT_FULL), once. */
void gnt_store_memory_fail_next(struct gnt_store *s, gnt_err err);

#endif
