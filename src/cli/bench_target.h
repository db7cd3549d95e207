/* The brokers that gnatter bench is about: from a word, [NAME=]URL[,pid=PID], to an address. */
#ifndef GNT_CLI_BENCH_TARGET_H
#define GNT_CLI_BENCH_TARGET_H

#include "cli/bench_options.h"

/* Of an option; GNT_INVALID. */
GNT_MUST gnt_err gnt_bench_target_check(const char *text, struct gnt_why *why);

/* How many there are: without a target, that of --host and --port. */
size_t gnt_bench_target_count(const struct gnt_bench_options *o);

/* Fills in TARGETS, zeroed, so many; their hosts are looked for.  *tls, NULL before, is that of all
 * that have any.  Returns an exit code; what went wrong has been said.  In any case _fini frees
 * what they have. */
int gnt_bench_targets_find(const struct gnt_bench_options *o, struct gnt_bench_target *targets,
                           struct gnt_tls_context **tls);
void gnt_bench_targets_fini(struct gnt_bench_target *targets, size_t count,
                            struct gnt_tls_context **tls);

#endif
