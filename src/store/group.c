#include "store/group.h"

#include "base/assert.h"
#include "store/bytes.h"
#include "store/message_codec.h"

#include <stdlib.h>

enum {
    VERB = 0x0f,
    MESSAGE = 0x10,
    BYTES = 0x20,
    HEAD_SIZE = 1 + 3 * 8,
    WRITE_SIZE = 1 + 1 + 8 + 4 + 8 + 4, /* at most, besides name, key, value and message */
};

/* Which parts a verb has. */
static const struct {
    bool key, sequence, value;
} parts[] = {
    [GNT_STORE_PUT] = {.key = true, .value = true},
    [GNT_STORE_DELETE] = {.key = true},
    [GNT_STORE_APPEND] = {.sequence = true, .value = true},
    [GNT_STORE_REMOVE] = {.sequence = true},
    [GNT_STORE_TRIM] = {.sequence = true},
    [GNT_STORE_DROP] = {0},
};

enum { VERBS = sizeof parts / sizeof *parts };

/* --- writing, into room that has been reserved --- */

gnt_err gnt_group_begin(struct gnt_buf *to, const struct gnt_group_head *head)
{
    gnt_buf_clear(to);
    gnt_err err = gnt_buf_reserve(to, HEAD_SIZE);
    if (err)
        return err;
    gnt_bytes_number(to, GNT_GROUP_VERSION, 1);
    gnt_bytes_number(to, head->generation, 8);
    gnt_bytes_number(to, head->at_ms, 8);
    gnt_bytes_number(to, (uint64_t)head->skew_ms, 8);
    return GNT_OK;
}

static gnt_err add_write(struct gnt_buf *to, const struct gnt_store_write *w,
                         struct gnt_prepared_write *p, const struct gnt_store_time *time)
{
    struct gnt_payload *payload = p->payload;
    bool bytes = payload && !payload->written;
    size_t message_size = bytes ? gnt_message_encoded_size(payload->message) : 0;
    if (message_size > UINT32_MAX)
        return GNT_TOOBIG;
    gnt_err err =
        gnt_buf_reserve(to, WRITE_SIZE + w->name.size + w->key.size + w->value.size + message_size);
    if (err)
        return err;
    gnt_bytes_number(to, w->verb | (payload ? MESSAGE : 0u) | (bytes ? BYTES : 0u), 1);
    gnt_bytes_number(to, w->name.size, 1);
    gnt_bytes_slice(to, w->name);
    if (parts[w->verb].key) {
        gnt_bytes_number(to, w->key.size, 2);
        gnt_bytes_slice(to, w->key);
    }
    if (parts[w->verb].sequence)
        gnt_bytes_number(to, w->sequence, 8);
    if (parts[w->verb].value) {
        gnt_bytes_number(to, w->value.size, 4);
        gnt_bytes_slice(to, w->value);
    }
    if (payload)
        gnt_bytes_number(to, payload->number, 8);
    if (!bytes)
        return GNT_OK;
    gnt_bytes_number(to, message_size, 4);
    err = gnt_message_encode(payload->message, time, to);
    payload->written = p->writes_payload = !err;
    return err;
}

gnt_err gnt_group_add(struct gnt_buf *to, struct gnt_prepared *p, const struct gnt_store_time *time)
{
    size_t before = gnt_buf_size(to);
    gnt_err err = GNT_OK;
    for (uint32_t i = 0; i < p->count && !err; i++) {
        const struct gnt_store_write w = gnt_batch_write(p->batch, i);
        err = add_write(to, &w, &p->writes[i], time);
    }
    if (err) {
        gnt_group_void(p);
        gnt_buf_cut(to, before);
    }
    return err;
}

void gnt_group_void(struct gnt_prepared *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->writes[i].writes_payload)
            p->writes[i].payload->written = false;
        p->writes[i].writes_payload = false;
    }
}

/* --- reading --- */

struct known {
    struct gnt_map_node by_number;
    uint64_t number;
    struct gnt_message *message;
};

static struct gnt_message *known_message(const struct gnt_group_reader *r, uint64_t number)
{
    struct gnt_map_node *node = gnt_map_first(&r->payloads, gnt_hash_mix(0, number));
    for (; node; node = gnt_map_next(node)) {
        struct known *k = GNT_CONTAINER(node, struct known, by_number);
        if (k->number == number)
            return k->message;
    }
    return NULL;
}

/* Takes *m's reference if it returns GNT_OK. */
static gnt_err know(struct gnt_group_reader *r, uint64_t number, struct gnt_message *m)
{
    struct known *k = malloc(sizeof *k);
    if (!k)
        return GNT_NOMEM;
    if (gnt_map_insert(&r->payloads, &k->by_number, gnt_hash_mix(0, number))) {
        free(k);
        return GNT_NOMEM;
    }
    k->number = number;
    k->message = m;
    return GNT_OK;
}

void gnt_group_reader_fini(struct gnt_group_reader *r)
{
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&r->payloads, &cursor));) {
        struct known *k = GNT_CONTAINER(node, struct known, by_number);
        gnt_message_unref(&k->message);
        free(k);
    }
    gnt_map_fini(&r->payloads);
}

/* The message of a write, lent. */
static gnt_err read_message(struct gnt_group_reader *r, struct gnt_reader *in, bool bytes,
                            const struct gnt_store_time *time, struct gnt_message **out)
{
    uint64_t number = gnt_read_u64(in);
    *out = known_message(r, number);
    if (!bytes)
        return *out ? GNT_OK : GNT_MALFORMED;
    struct gnt_slice encoded = gnt_read_bytes(in, gnt_read_u32(in));
    if (in->bad || *out)
        return GNT_MALFORMED;
    gnt_err err = gnt_message_decode(encoded, time, out);
    if (err)
        return err;
    err = know(r, number, *out);
    if (err)
        gnt_message_unref(out);
    return err;
}

static gnt_err read_write(struct gnt_group_reader *r, struct gnt_reader *in,
                          const struct gnt_store_time *time, struct gnt_store_write *out)
{
    uint8_t kind = gnt_read_u8(in);
    if ((kind & VERB) >= VERBS || kind & ~(VERB | MESSAGE | BYTES))
        return GNT_MALFORMED;
    out->verb = (enum gnt_store_verb)(kind & VERB);
    if (kind & (MESSAGE | BYTES) && (!parts[out->verb].value || !(kind & MESSAGE)))
        return GNT_MALFORMED;
    out->name = gnt_read_bytes(in, gnt_read_u8(in));
    if (parts[out->verb].key)
        out->key = gnt_read_bytes(in, gnt_read_u16(in));
    if (parts[out->verb].sequence)
        out->sequence = gnt_read_u64(in);
    if (parts[out->verb].value)
        out->value = gnt_read_bytes(in, gnt_read_u32(in));
    if (in->bad)
        return GNT_MALFORMED;
    return kind & MESSAGE ? read_message(r, in, kind & BYTES, time, &out->message) : GNT_OK;
}

static void add_to_batch(struct gnt_batch *b, const struct gnt_store_write *w)
{
    switch (w->verb) {
    case GNT_STORE_PUT: gnt_batch_put(b, w->name, w->key, w->value, w->message); break;
    case GNT_STORE_DELETE: gnt_batch_delete(b, w->name, w->key); break;
    case GNT_STORE_APPEND: gnt_batch_append(b, w->name, w->sequence, w->value, w->message); break;
    case GNT_STORE_REMOVE: gnt_batch_remove(b, w->name, w->sequence); break;
    case GNT_STORE_TRIM: gnt_batch_trim(b, w->name, w->sequence); break;
    case GNT_STORE_DROP: gnt_batch_drop(b, w->name); break;
    }
}

gnt_err gnt_group_read(struct gnt_group_reader *r, struct gnt_slice record,
                       const struct gnt_store_time *time, struct gnt_group_head *head,
                       struct gnt_batch *batch)
{
    struct gnt_reader in = gnt_reader(record);
    uint8_t version = gnt_read_u8(&in);
    if (version > GNT_GROUP_VERSION)
        return GNT_UNSUPPORTED;
    const struct gnt_group_head read = {
        .generation = gnt_read_u64(&in),
        .at_ms = gnt_read_u64(&in),
        .skew_ms = (int64_t)gnt_read_u64(&in),
    };
    if (in.bad || version == 0)
        return GNT_MALFORMED;
    *head = read;
    if (head->generation != r->generation) {
        gnt_group_reader_fini(r);
        r->generation = head->generation;
    }
    while (gnt_read_left(&in) > 0) {
        struct gnt_store_write write = {0};
        gnt_err err = read_write(r, &in, time, &write);
        if (!err)
            add_to_batch(batch, &write);
        if (!err && batch->err)
            err = batch->err == GNT_NOMEM ? GNT_NOMEM : GNT_MALFORMED;
        if (err)
            return err;
    }
    return GNT_OK;
}
