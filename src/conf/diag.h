/* Mistakes in what a person wrote, gathered so that several can be shown in one go.
 *
 * Ownership  gnt_diag_init() or a zeroed struct, to gnt_diag_fini(); the lines belong to it.
 * Bounds     at most GNT_DIAG_LINES lines are kept; `mistakes` counts all of them.
 * Threads    one at a time. */
#ifndef GNT_CONF_DIAG_H
#define GNT_CONF_DIAG_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { GNT_DIAG_LINES = 20 };

struct gnt_diag {
    char *lines[GNT_DIAG_LINES]; /* without newlines */
    size_t count;                /* lines that are there */
    size_t mistakes;             /* lines that were added, kept or not */
    bool nomem;                  /* a line could not be kept for want of memory */
};

void gnt_diag_init(struct gnt_diag *diag);
void gnt_diag_fini(struct gnt_diag *diag);

/* Adds one line. */
__attribute__((format(printf, 2, 3))) void gnt_diag_add(struct gnt_diag *diag, const char *format,
                                                        ...);

/* What the work that added the lines comes to: GNT_OK without a mistake, GNT_NOMEM where memory
 * ran out while telling one, else GNT_INVALID. */
GNT_MUST gnt_err gnt_diag_result(const struct gnt_diag *diag);

#endif
