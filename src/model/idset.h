/* A set of packet ids: which exactly-once messages have arrived and are not released yet.  All
 * 65,535 fit; memory is taken in pages of 4,096 ids as they come into use, and an empty set holds
 * none: most sessions never have an id.  A zeroed set is an empty one. */
#ifndef GNT_MODEL_IDSET_H
#define GNT_MODEL_IDSET_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct gnt_idset_pages;

struct gnt_idset {
    struct gnt_idset_pages *pages; /* NULL: the set is empty */
};

void gnt_idset_fini(struct gnt_idset *s);

/* Adding twice is fine.  GNT_INVALID: ID is 0. */
GNT_MUST gnt_err gnt_idset_add(struct gnt_idset *s, uint16_t id);

uint32_t gnt_idset_count(const struct gnt_idset *s);
bool gnt_idset_has(const struct gnt_idset *s, uint16_t id);
bool gnt_idset_remove(struct gnt_idset *s, uint16_t id); /* whether it was there */

/* The smallest id at or over FROM, 0 if there is none: for saving a set. */
uint16_t gnt_idset_next(const struct gnt_idset *s, uint16_t from);

#endif
