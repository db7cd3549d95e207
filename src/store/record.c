#include "store/memtable.h"

#include <stdlib.h>

struct gnt_record *gnt_record_new(struct gnt_slice key, uint64_t sequence, struct gnt_slice value,
                                  struct gnt_message *message)
{
    struct gnt_record *r = malloc(sizeof *r + key.size + value.size);
    if (!r) {
        gnt_message_unref(&message);
        return NULL;
    }
    if (key.size)
        memcpy(r->bytes, key.data, key.size);
    if (value.size)
        memcpy(r->bytes + key.size, value.data, value.size);
    r->node = (struct gnt_ordered_node){.key = gnt_slice(r->bytes, key.size)};
    r->record = (struct gnt_store_record){
        .key = r->node.key,
        .sequence = sequence,
        .value = gnt_slice(r->bytes + key.size, value.size),
        .message = message,
    };
    r->payload = NULL;
    r->mark = false;
    atomic_init(&r->refs, 1);
    return r;
}

struct gnt_record *gnt_record_ref(struct gnt_record *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void gnt_record_unref(struct gnt_record **r)
{
    struct gnt_record *record = *r;
    *r = NULL;
    if (!record || atomic_fetch_sub_explicit(&record->refs, 1, memory_order_acq_rel) > 1)
        return;
    gnt_message_unref(&record->record.message);
    free(record);
}
