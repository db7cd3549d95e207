/* The subscription identifiers that go with one delivery: usually none or one, so those need no
 * memory of their own. */
#ifndef GNT_MODEL_SUB_IDS_H
#define GNT_MODEL_SUB_IDS_H

#include "base/err.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct gnt_sub_ids {
    uint32_t count;
    uint32_t one;   /* if count is 1 */
    uint32_t *many; /* if count is more; from malloc */
};

static inline const uint32_t *gnt_sub_ids_list(const struct gnt_sub_ids *ids)
{
    return ids->count > 1 ? ids->many : &ids->one;
}

/* *to gets its own copy of FROM. */
GNT_MUST static inline gnt_err gnt_sub_ids_copy(struct gnt_sub_ids *to,
                                                const struct gnt_sub_ids *from)
{
    struct gnt_sub_ids copy = *from;
    if (from->count > 1) {
        copy.many = malloc(from->count * sizeof *copy.many);
        if (!copy.many)
            return GNT_NOMEM;
        memcpy(copy.many, from->many, from->count * sizeof *copy.many);
    }
    *to = copy;
    return GNT_OK;
}

static inline void gnt_sub_ids_fini(struct gnt_sub_ids *ids)
{
    if (ids->count > 1)
        free(ids->many);
    *ids = (struct gnt_sub_ids){0};
}

#endif
