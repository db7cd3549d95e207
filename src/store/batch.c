#include "store/store.h"

#include "store/bytes.h"

#include <stdlib.h>

struct gnt_batch_entry {
    uint64_t sequence;
    struct gnt_message *message;
    size_t at; /* name, key and value stand in the batch's bytes from here */
    uint32_t value_size;
    uint16_t key_size;
    uint8_t name_size;
    uint8_t verb; /* enum gnt_store_verb */
};

void gnt_batch_fini(struct gnt_batch *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        gnt_message_unref(&b->entries[i].message);
    free(b->entries);
    free(b->room);
    gnt_buf_fini(&b->bytes);
    *b = (struct gnt_batch){0};
}

/* Which verbs have a key, and which a sequence number. */
static bool has_key(enum gnt_store_verb verb)
{
    return verb == GNT_STORE_PUT || verb == GNT_STORE_DELETE;
}

static gnt_err check(const struct gnt_store_write *w)
{
    if (w->name.size == 0 || (has_key(w->verb) && w->key.size == 0))
        return GNT_INVALID;
    if (w->verb == GNT_STORE_APPEND && w->sequence == 0)
        return GNT_INVALID;
    bool too_big = w->name.size > GNT_STORE_NAME_MAX || w->key.size > GNT_STORE_KEY_MAX ||
                   w->value.size > GNT_STORE_VALUE_MAX;
    return too_big ? GNT_TOOBIG : GNT_OK;
}

static gnt_err make_room(struct gnt_batch *b, uint32_t writes, size_t size)
{
    if (writes > UINT32_MAX - b->count)
        return GNT_NOMEM;
    uint32_t need = b->count + writes, cap = b->cap ? b->cap : 8;
    while (cap < need && cap <= UINT32_MAX / 2)
        cap *= 2;
    if (cap > b->cap) {
        struct gnt_batch_entry *entries =
            cap < need ? NULL : realloc(b->entries, cap * sizeof *entries);
        if (!entries)
            return GNT_NOMEM;
        b->entries = entries;
        b->cap = cap;
    }
    return gnt_buf_reserve(&b->bytes, size);
}

gnt_err gnt_batch_reserve(struct gnt_batch *b, uint32_t writes, size_t size)
{
    if (!b->room)
        b->room = malloc(GNT_BATCH_ROOM);
    return b->room ? make_room(b, writes, size) : GNT_NOMEM;
}

static void add(struct gnt_batch *b, const struct gnt_store_write *w)
{
    if (!b->err)
        b->err = check(w);
    if (!b->err)
        b->err = make_room(b, 1, w->name.size + w->key.size + w->value.size);
    if (b->err)
        return;
    bool same = b->count && b->entries[b->count - 1].message == w->message;
    if (w->message && !same)
        b->payload += w->message->payload.size;
    b->entries[b->count++] = (struct gnt_batch_entry){
        .sequence = w->sequence,
        .message = w->message ? gnt_message_ref(w->message) : NULL,
        .at = gnt_buf_size(&b->bytes),
        .value_size = (uint32_t)w->value.size,
        .key_size = (uint16_t)w->key.size,
        .name_size = (uint8_t)w->name.size,
        .verb = (uint8_t)w->verb,
    };
    gnt_bytes_slice(&b->bytes, w->name);
    gnt_bytes_slice(&b->bytes, w->key);
    gnt_bytes_slice(&b->bytes, w->value);
}

gnt_err gnt_batch_join(struct gnt_batch *b, struct gnt_batch *from)
{
    struct gnt_slice bytes = gnt_buf_slice(&from->bytes);
    gnt_err err = gnt_batch_reserve(b, from->count, bytes.size);
    if (err)
        return err;
    size_t before = gnt_buf_size(&b->bytes);
    for (uint32_t i = 0; i < from->count; i++) {
        b->entries[b->count] = from->entries[i];
        b->entries[b->count++].at += before;
        from->entries[i].message = NULL;
    }
    gnt_bytes_slice(&b->bytes, bytes);
    b->payload += from->payload;
    gnt_batch_fini(from);
    return GNT_OK;
}

struct gnt_store_write gnt_batch_write(const struct gnt_batch *b, uint32_t i)
{
    const struct gnt_batch_entry *e = &b->entries[i];
    const uint8_t *at = gnt_buf_slice(&b->bytes).data + e->at;
    return (struct gnt_store_write){
        .verb = (enum gnt_store_verb)e->verb,
        .name = gnt_slice(at, e->name_size),
        .key = gnt_slice(at + e->name_size, e->key_size),
        .value = gnt_slice(at + e->name_size + e->key_size, e->value_size),
        .sequence = e->sequence,
        .message = e->message,
    };
}

void gnt_batch_put(struct gnt_batch *b, struct gnt_slice table, struct gnt_slice key,
                   struct gnt_slice value, struct gnt_message *message)
{
    add(b, &(struct gnt_store_write){GNT_STORE_PUT, table, key, value, 0, message});
}

void gnt_batch_delete(struct gnt_batch *b, struct gnt_slice table, struct gnt_slice key)
{
    add(b, &(struct gnt_store_write){.verb = GNT_STORE_DELETE, .name = table, .key = key});
}

void gnt_batch_append(struct gnt_batch *b, struct gnt_slice log, uint64_t sequence,
                      struct gnt_slice value, struct gnt_message *message)
{
    const struct gnt_slice no_key = {NULL, 0};
    add(b, &(struct gnt_store_write){GNT_STORE_APPEND, log, no_key, value, sequence, message});
}

void gnt_batch_remove(struct gnt_batch *b, struct gnt_slice log, uint64_t sequence)
{
    add(b, &(struct gnt_store_write){.verb = GNT_STORE_REMOVE, .name = log, .sequence = sequence});
}

void gnt_batch_trim(struct gnt_batch *b, struct gnt_slice log, uint64_t up_to)
{
    add(b, &(struct gnt_store_write){.verb = GNT_STORE_TRIM, .name = log, .sequence = up_to});
}

void gnt_batch_drop(struct gnt_batch *b, struct gnt_slice log)
{
    add(b, &(struct gnt_store_write){.verb = GNT_STORE_DROP, .name = log});
}
