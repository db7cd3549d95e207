/* What gnatter bench says: the live line, the summary of a run, the comparison of targets, JSON. */
#ifndef GNT_CLI_BENCH_REPORT_H
#define GNT_CLI_BENCH_REPORT_H

#include "base/buf.h"
#include "cli/bench_load.h"

/* The figures of a run that a target is compared by. */
enum gnt_bench_figure {
    GNT_BENCH_RATE, /* deliveries a second */
    GNT_BENCH_P50,  /* microseconds */
    GNT_BENCH_P99,
    GNT_BENCH_P999,
    GNT_BENCH_BROKER_CPU, /* microseconds a delivery; 0: not known */
    GNT_BENCH_BROKER_RSS, /* bytes a client, of idle ones only */
    GNT_BENCH_FIGURES,
};

/* The figures of RESULT into FIGURES; they are 0 where it failed or has none. */
void gnt_bench_figures(const struct gnt_bench_result *result, double figures[GNT_BENCH_FIGURES]);

/* Appends one line, without a newline, of less than 120 columns. */
GNT_MUST gnt_err gnt_bench_put_live(struct gnt_buf *out, const struct gnt_bench_progress *p);

/* Appends the summary of one run, for people. */
GNT_MUST gnt_err gnt_bench_put_summary(struct gnt_buf *out, const struct gnt_bench_plan *plan,
                                       const struct gnt_bench_target *target,
                                       const struct gnt_bench_result *result);

/* Appends the same as a JSON object on one line, without a newline. */
GNT_MUST gnt_err gnt_bench_put_json(struct gnt_buf *out, const struct gnt_bench_plan *plan,
                                    const struct gnt_bench_target *target, unsigned round,
                                    const struct gnt_bench_result *result);

/* Appends the table of one shape: for each figure the medians over ROUNDS of each of COUNT targets,
 * and the median of its ratios to the first target, taken within a round.  FIGURES is
 * [round][target][figure].  As a JSON object where JSON is set. */
GNT_MUST gnt_err gnt_bench_put_comparison(struct gnt_buf *out, enum gnt_bench_shape shape,
                                          const struct gnt_bench_target *targets, size_t count,
                                          const double *figures, size_t rounds, bool json);

#endif
