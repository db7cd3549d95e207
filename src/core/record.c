#include "core/record.h"

#include "store/bytes.h"

#include <openssl/sha.h>

/* SESSION_WITH_USER differs from VERSION in a session's record only, and is written only where
 * there is a user: so what an earlier gnatter can say, it can read. */
enum { VERSION = 1, SESSION_WITH_USER = 2 };

/* ---- Writing: what is reserved first cannot fail */

static gnt_err begin_as(struct gnt_buf *to, unsigned version, size_t size)
{
    gnt_buf_clear(to);
    gnt_err err = gnt_buf_reserve(to, 1 + size);
    if (!err)
        gnt_bytes_number(to, version, 1);
    return err;
}

static gnt_err begin(struct gnt_buf *to, size_t size)
{
    return begin_as(to, VERSION, size);
}

/* ---- Reading */

static bool began(struct gnt_reader *r)
{
    return gnt_read_u8(r) == VERSION;
}

static bool ended(const struct gnt_reader *r)
{
    return !r->bad && gnt_read_left(r) == 0;
}

/* ---- Keys and names */

static void key_number(struct gnt_record_key *k, uint64_t v)
{
    gnt_put_u64(k->bytes + k->size, v);
    k->size += sizeof v;
}

struct gnt_record_key gnt_record_key_number(uint64_t number)
{
    struct gnt_record_key k = {.size = 0};
    key_number(&k, number);
    return k;
}

struct gnt_record_key gnt_record_key_numbers(uint64_t number, uint64_t second)
{
    struct gnt_record_key k = gnt_record_key_number(number);
    key_number(&k, second);
    return k;
}

struct gnt_record_key gnt_record_key_text(uint64_t prefix, struct gnt_slice text)
{
    struct gnt_record_key k = gnt_record_key_number(prefix);
    bool fits = text.size <= sizeof k.bytes - k.size - 1;
    k.bytes[k.size++] = !fits;
    if (!fits)
        SHA256(text.data, text.size, k.bytes + k.size);
    else if (text.size)
        memcpy(k.bytes + k.size, text.data, text.size);
    k.size += fits ? text.size : SHA256_DIGEST_LENGTH;
    return k;
}

bool gnt_record_numbers(struct gnt_slice key, uint64_t *number, uint64_t *second)
{
    struct gnt_reader r = gnt_reader(key);
    *number = gnt_read_u64(&r);
    *second = gnt_read_u64(&r);
    return ended(&r);
}

struct gnt_record_log gnt_record_log(char kind, uint64_t number)
{
    struct gnt_record_log l = {.bytes = {(uint8_t)kind}, .size = 1 + sizeof number};
    gnt_put_u64(l.bytes + 1, number);
    return l;
}

/* ---- Values */

gnt_err gnt_session_record_write(const struct gnt_session_record *r, struct gnt_buf *to)
{
    bool with_user = r->user.size != 0;
    gnt_err err = begin_as(to, with_user ? SESSION_WITH_USER : VERSION,
                           8 + 8 + 4 + 4 + 4 + 2 + r->client_id.size + r->user.size);
    if (err)
        return err;
    gnt_bytes_number(to, r->number, 8);
    gnt_bytes_number(to, r->parted_ms, 8);
    gnt_bytes_number(to, r->expiry_s, 4);
    gnt_bytes_number(to, r->will_delay_s, 4);
    gnt_bytes_number(to, r->will_expiry_s, 4);
    if (with_user) {
        gnt_bytes_number(to, r->user.size, 2);
        gnt_bytes_slice(to, r->user);
    }
    gnt_bytes_slice(to, r->client_id);
    return GNT_OK;
}

bool gnt_session_record_read(struct gnt_slice value, struct gnt_session_record *out)
{
    struct gnt_reader r = gnt_reader(value);
    uint8_t version = gnt_read_u8(&r);
    if (version != VERSION && version != SESSION_WITH_USER)
        return false;
    *out = (struct gnt_session_record){.number = gnt_read_u64(&r)};
    out->parted_ms = gnt_read_u64(&r);
    out->expiry_s = gnt_read_u32(&r);
    out->will_delay_s = gnt_read_u32(&r);
    out->will_expiry_s = gnt_read_u32(&r);
    if (version == SESSION_WITH_USER)
        out->user = gnt_read_bytes(&r, gnt_read_u16(&r));
    out->client_id = gnt_read_bytes(&r, gnt_read_left(&r));
    return !r.bad && out->number && out->client_id.size && out->client_id.size <= UINT16_MAX;
}

enum { SUB_NO_LOCAL = 1, SUB_AS_PUBLISHED = 2, SUB_RETAINED_DUE = 4 };

gnt_err gnt_sub_record_write(const struct gnt_sub_record *r, struct gnt_buf *to)
{
    gnt_err err = begin(to, 8 + 4 + 1 + 1 + r->filter.size);
    if (err)
        return err;
    unsigned flags = (r->options.no_local ? SUB_NO_LOCAL : 0u) |
                     (r->options.retain_as_published ? SUB_AS_PUBLISHED : 0u) |
                     (r->retained_due ? SUB_RETAINED_DUE : 0u);
    gnt_bytes_number(to, r->session, 8);
    gnt_bytes_number(to, r->options.id, 4);
    gnt_bytes_number(to, r->options.qos, 1);
    gnt_bytes_number(to, flags, 1);
    gnt_bytes_slice(to, r->filter);
    return GNT_OK;
}

bool gnt_sub_record_read(struct gnt_slice value, struct gnt_sub_record *out)
{
    struct gnt_reader r = gnt_reader(value);
    if (!began(&r))
        return false;
    *out = (struct gnt_sub_record){.session = gnt_read_u64(&r)};
    out->options.id = gnt_read_u32(&r);
    out->options.qos = gnt_read_u8(&r);
    uint8_t flags = gnt_read_u8(&r);
    out->options.no_local = flags & SUB_NO_LOCAL;
    out->options.retain_as_published = flags & SUB_AS_PUBLISHED;
    out->retained_due = flags & SUB_RETAINED_DUE;
    out->filter = gnt_read_bytes(&r, gnt_read_left(&r));
    return !r.bad && out->options.qos <= 2 && out->options.id <= 0xfffffff && out->filter.size;
}

enum { ENTRY_QOS = 3, ENTRY_RETAIN = 4 };

size_t gnt_entry_record_size(const struct gnt_entry_record *r)
{
    return 1 + 1 + 4 * (size_t)r->ids.count;
}

gnt_err gnt_entry_record_write(const struct gnt_entry_record *r, struct gnt_buf *to)
{
    gnt_err err = begin(to, gnt_entry_record_size(r));
    if (err)
        return err;
    gnt_bytes_number(to, r->qos | (r->retain ? ENTRY_RETAIN : 0u), 1);
    const uint32_t *ids = gnt_sub_ids_list(&r->ids);
    for (uint32_t i = 0; i < r->ids.count; i++)
        gnt_bytes_number(to, ids[i], 4);
    return GNT_OK;
}

gnt_err gnt_entry_record_read(struct gnt_slice value, struct gnt_entry_record *out)
{
    struct gnt_reader r = gnt_reader(value);
    bool known = began(&r);
    uint8_t flags = gnt_read_u8(&r);
    size_t left = gnt_read_left(&r);
    *out = (struct gnt_entry_record){.qos = flags & ENTRY_QOS, .retain = flags & ENTRY_RETAIN};
    if (!known || r.bad || left % 4 || (out->qos != 1 && out->qos != 2))
        return GNT_MALFORMED;
    uint32_t count = (uint32_t)(left / 4), *ids = &out->ids.one;
    if (count > 1 && !(ids = out->ids.many = malloc(count * sizeof *ids)))
        return GNT_NOMEM;
    out->ids.count = count;
    for (uint32_t i = 0; i < count; i++)
        ids[i] = gnt_read_u32(&r);
    return GNT_OK;
}

gnt_err gnt_group_record_write(const struct gnt_group_record *r, struct gnt_buf *to)
{
    gnt_err err = begin(to, 8 + 2 + r->name.size + r->filter.size);
    if (err)
        return err;
    gnt_bytes_number(to, r->number, 8);
    gnt_bytes_number(to, r->name.size, 2);
    gnt_bytes_slice(to, r->name);
    gnt_bytes_slice(to, r->filter);
    return GNT_OK;
}

bool gnt_group_record_read(struct gnt_slice value, struct gnt_group_record *out)
{
    struct gnt_reader r = gnt_reader(value);
    if (!began(&r))
        return false;
    *out = (struct gnt_group_record){.number = gnt_read_u64(&r)};
    out->name = gnt_read_bytes(&r, gnt_read_u16(&r));
    out->filter = gnt_read_bytes(&r, gnt_read_left(&r));
    return !r.bad && out->number && out->name.size && out->filter.size;
}

gnt_err gnt_homes_record_write(const struct gnt_homes_record *r, struct gnt_buf *to)
{
    gnt_err err = begin(to, 8 + 8 + 4);
    if (err)
        return err;
    gnt_bytes_number(to, r->key[0], 8);
    gnt_bytes_number(to, r->key[1], 8);
    gnt_bytes_number(to, r->homes, 4);
    return GNT_OK;
}

bool gnt_homes_record_read(struct gnt_slice value, struct gnt_homes_record *out)
{
    struct gnt_reader r = gnt_reader(value);
    if (!began(&r))
        return false;
    out->key[0] = gnt_read_u64(&r);
    out->key[1] = gnt_read_u64(&r);
    out->homes = gnt_read_u32(&r);
    return ended(&r) && out->homes;
}
