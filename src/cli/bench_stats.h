/* What gnatter bench counts with: a histogram of times, and which messages have been seen.  One
 * thread. */
#ifndef GNT_CLI_BENCH_STATS_H
#define GNT_CLI_BENCH_STATS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 128 linear steps for each power of two: a value is shown at most 0.8 % off, whatever its size. */
enum { GNT_HISTOGRAM_STEPS = 128, GNT_HISTOGRAM_CELLS = 58 * GNT_HISTOGRAM_STEPS };

/* Zeroed, it is empty. */
struct gnt_histogram {
    uint64_t count, max;
    uint64_t cells[GNT_HISTOGRAM_CELLS];
};

void gnt_histogram_add(struct gnt_histogram *h, uint64_t value);

/* The value that QUANTILE (0 to 1) of all values are not above; 0 if there is none. */
uint64_t gnt_histogram_quantile(const struct gnt_histogram *h, double quantile);

/* The middle one of COUNT values, the mean of the two middle ones; 0 for none.  Sorts them. */
double gnt_median(double *values, size_t count);

enum gnt_seen {
    GNT_SEEN_NEW,   /* above all that were seen */
    GNT_SEEN_LATE,  /* not seen before, but a higher one was */
    GNT_SEEN_AGAIN, /* seen before; or so far below the highest that it is taken to be */
};

/* Which numbers of each of several rows of messages 1, 2, 3, ... have come.  Each row remembers a
 * window of 64 * words numbers below its highest. */
struct gnt_seen_rows {
    uint32_t *highest;
    uint64_t *bits; /* `words` for each row: number n is bit n % window */
    size_t rows, words;
};

/* GNT_NOMEM; the memory of a row is touched when its first number comes. */
GNT_MUST gnt_err gnt_seen_init(struct gnt_seen_rows *s, size_t rows, size_t words);
void gnt_seen_fini(struct gnt_seen_rows *s); /* a zeroed one may be given too */

/* NUMBER, at least 1, has come in ROW. */
enum gnt_seen gnt_seen_note(struct gnt_seen_rows *s, size_t row, uint32_t number);

#endif
