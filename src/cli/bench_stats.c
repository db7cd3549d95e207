#include "cli/bench_stats.h"

#include <stdlib.h>
#include <string.h>

/* ---- The histogram: the first two times GNT_HISTOGRAM_STEPS values have a cell each; from there
 * on each power of two has GNT_HISTOGRAM_STEPS. */

static const unsigned step_bits = 7;

static size_t cell_of(uint64_t value)
{
    if (value < GNT_HISTOGRAM_STEPS)
        return (size_t)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - step_bits;
    return (size_t)(shift + 1) * GNT_HISTOGRAM_STEPS +
           (size_t)(value >> shift & (GNT_HISTOGRAM_STEPS - 1));
}

/* The middle of what falls into CELL. */
static uint64_t value_of(size_t cell)
{
    if (cell < GNT_HISTOGRAM_STEPS)
        return cell;
    unsigned shift = (unsigned)(cell / GNT_HISTOGRAM_STEPS) - 1;
    uint64_t low = (uint64_t)(GNT_HISTOGRAM_STEPS + cell % GNT_HISTOGRAM_STEPS) << shift;
    return low + ((UINT64_C(1) << shift) >> 1);
}

void gnt_histogram_add(struct gnt_histogram *h, uint64_t value)
{
    h->cells[cell_of(value)]++;
    h->count++;
    if (value > h->max)
        h->max = value;
}

uint64_t gnt_histogram_quantile(const struct gnt_histogram *h, double quantile)
{
    if (h->count == 0)
        return 0;
    double wanted = quantile * (double)h->count;
    uint64_t sum = 0;
    for (size_t i = 0; i < GNT_HISTOGRAM_CELLS; i++) {
        sum += h->cells[i];
        if (h->cells[i] && (double)sum >= wanted) {
            uint64_t value = value_of(i);
            return value < h->max ? value : h->max;
        }
    }
    return h->max;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double gnt_median(double *values, size_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* ---- What has been seen */

gnt_err gnt_seen_init(struct gnt_seen_rows *s, size_t rows, size_t words)
{
    *s = (struct gnt_seen_rows){.rows = rows, .words = words};
    if (rows > SIZE_MAX / sizeof *s->bits / words)
        return GNT_NOMEM;
    s->highest = calloc(rows ? rows : 1, sizeof *s->highest);
    s->bits = calloc(rows ? rows * words : 1, sizeof *s->bits);
    if (s->highest && s->bits)
        return GNT_OK;
    gnt_seen_fini(s);
    return GNT_NOMEM;
}

void gnt_seen_fini(struct gnt_seen_rows *s)
{
    free(s->highest);
    free(s->bits);
    *s = (struct gnt_seen_rows){0};
}

/* The numbers between FROM and TO become part of the window: they have not come yet. */
static void forget_between(uint64_t *bits, size_t words, uint32_t from, uint32_t to)
{
    const uint32_t window = (uint32_t)words * 64;
    if (to - from >= window) {
        memset(bits, 0, words * sizeof *bits);
        return;
    }
    for (uint32_t n = from + 1; n != to; n++)
        bits[n % window / 64] &= ~(UINT64_C(1) << n % 64);
}

enum gnt_seen gnt_seen_note(struct gnt_seen_rows *s, size_t row, uint32_t number)
{
    const uint32_t window = (uint32_t)s->words * 64;
    uint64_t *bits = s->bits + row * s->words;
    uint64_t *word = &bits[number % window / 64], bit = UINT64_C(1) << number % 64;
    uint32_t *highest = &s->highest[row];
    if (number > *highest) {
        forget_between(bits, s->words, *highest, number);
        *word |= bit;
        *highest = number;
        return GNT_SEEN_NEW;
    }
    if (*highest - number >= window || *word & bit)
        return GNT_SEEN_AGAIN;
    *word |= bit;
    return GNT_SEEN_LATE;
}
