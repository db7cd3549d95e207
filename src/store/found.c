#include "store/found.h"

#include <stdlib.h>

struct found {
    uint32_t count, most;
    struct gnt_record *records[];
};

static void hand(struct gnt_completion *c)
{
    struct gnt_store_read *r = GNT_CONTAINER(c, struct gnt_store_read, completion);
    struct found *found = c->held;
    c->held = NULL;
    for (uint32_t i = 0; i < found->count; i++) {
        r->record(r, &found->records[i]->record);
        gnt_record_unref(&found->records[i]);
    }
    free(found);
}

gnt_err gnt_found_begin(struct gnt_store_read *r, uint32_t most)
{
    struct found *found = malloc(sizeof *found + most * sizeof(struct gnt_record *));
    if (!found)
        return GNT_NOMEM;
    found->count = 0;
    found->most = most;
    r->completion.held = found;
    r->completion.hand = hand;
    return GNT_OK;
}

bool gnt_found_add(struct gnt_store_read *r, struct gnt_record *record)
{
    struct found *found = r->completion.held;
    if (found->count == found->most)
        return false;
    found->records[found->count++] = gnt_record_ref(record);
    return true;
}

void gnt_found_drop(struct gnt_store_read *r)
{
    struct found *found = r->completion.held;
    while (found->count > 0)
        gnt_record_unref(&found->records[--found->count]);
}
