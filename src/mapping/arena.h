/* Memory for one conversion: many small pieces, freed together.  One thread. */
#ifndef GNT_MAPPING_ARENA_H
#define GNT_MAPPING_ARENA_H

#include <stddef.h>

struct gnt_arena_chunk;

/* A zeroed one is empty. */
struct gnt_arena {
    struct gnt_arena_chunk *chunks;
    size_t left; /* of the first */
};

/* SIZE bytes, aligned for anything; NULL: no memory. */
void *gnt_arena_get(struct gnt_arena *a, size_t size);
void gnt_arena_fini(struct gnt_arena *a);

#endif
