#include "store/lmdb_file.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "store/bytes.h"

enum {
    HEAD = 4 + 1,            /* checksum, format */
    RECORD_HEAD = 1 + 4,     /* what it carries, size of the value */
    SMALL_MAX = HEAD + 4 * 8 /* of what is not a record or a message */
};

static const char format_key[] = "format", mark_key[] = "mark";

struct gnt_lmdb_key gnt_lmdb_key(struct gnt_slice name, struct gnt_slice key)
{
    struct gnt_lmdb_key k;
    GNT_ASSERT(name.size <= GNT_STORE_NAME_MAX && key.size <= GNT_STORE_KEY_MAX);
    k.bytes[0] = (uint8_t)name.size;
    uint8_t *behind = gnt_put_bytes(k.bytes + 1, name);
    k.common = (size_t)(behind - k.bytes);
    k.size = (size_t)(gnt_put_bytes(behind, key) - k.bytes);
    return k;
}

struct gnt_lmdb_key gnt_lmdb_entry_key(struct gnt_slice log, uint64_t sequence)
{
    uint8_t number[8];
    gnt_put_u64(number, sequence);
    return gnt_lmdb_key(log, gnt_slice(number, sizeof number));
}

struct gnt_slice gnt_lmdb_key_sequence(struct gnt_slice key, uint64_t *sequence)
{
    struct gnt_reader r = gnt_reader(key);
    struct gnt_slice name = gnt_read_bytes(&r, gnt_read_u8(&r));
    *sequence = gnt_read_u64(&r);
    return r.bad || gnt_read_left(&r) ? gnt_slice(NULL, 0) : name;
}

static uint32_t sum(enum gnt_lmdb_database database, struct gnt_slice key, struct gnt_slice rest)
{
    const uint8_t kind = (uint8_t)database;
    uint32_t crc = gnt_crc32c(0, gnt_slice(&kind, 1));
    return gnt_crc32c(gnt_crc32c(crc, key), rest);
}

gnt_err gnt_lmdb_begin(struct gnt_buf *b, size_t size)
{
    gnt_buf_clear(b);
    gnt_err err = gnt_buf_reserve(b, HEAD + size);
    if (err)
        return err;
    uint8_t *at = gnt_buf_tail(b);
    *gnt_put_u32(at, 0) = GNT_GROUND_FORMAT;
    gnt_buf_wrote(b, HEAD);
    return GNT_OK;
}

void gnt_lmdb_seal(struct gnt_buf *b, enum gnt_lmdb_database database, struct gnt_slice key)
{
    struct gnt_slice all = gnt_buf_slice(b);
    gnt_put_u32(b->data + b->start, sum(database, key, gnt_slice_skip(all, 4)));
}

bool gnt_lmdb_unseal(const struct gnt_lmdb_file *f, enum gnt_lmdb_database database,
                     const MDB_val *key, const MDB_val *value, struct gnt_slice *out)
{
    if (value->mv_size < HEAD || !gnt_lmdb_file_holds(f, key) || !gnt_lmdb_file_holds(f, value))
        return false;
    struct gnt_reader r = gnt_reader(gnt_lmdb_slice(value));
    uint32_t crc = gnt_read_u32(&r);
    struct gnt_slice rest = gnt_slice(r.at, gnt_read_left(&r));
    *out = gnt_slice_skip(rest, 1);
    return crc == sum(database, gnt_lmdb_slice(key), rest) && rest.data[0] == GNT_GROUND_FORMAT;
}

gnt_err gnt_lmdb_record_put(struct gnt_buf *b, enum gnt_lmdb_database database,
                            struct gnt_slice key, const struct gnt_lmdb_record *r)
{
    gnt_err err = gnt_lmdb_begin(b, RECORD_HEAD + r->value.size + r->message.size + 8);
    if (err)
        return err;
    uint8_t *at = gnt_buf_tail(b);
    *at++ = (uint8_t)r->carries;
    at = gnt_put_u32(at, (uint32_t)r->value.size);
    at = gnt_put_bytes(at, r->value);
    if (r->carries == GNT_LMDB_MESSAGE)
        at = gnt_put_bytes(at, r->message);
    if (r->carries == GNT_LMDB_PAYLOAD)
        at = gnt_put_u64(at, r->payload);
    gnt_buf_wrote(b, (size_t)(at - gnt_buf_tail(b)));
    gnt_lmdb_seal(b, database, key);
    return GNT_OK;
}

bool gnt_lmdb_record_read(struct gnt_slice body, struct gnt_lmdb_record *out)
{
    struct gnt_reader r = gnt_reader(body);
    uint8_t carries = gnt_read_u8(&r);
    *out = (struct gnt_lmdb_record){.carries = (enum gnt_lmdb_carries)carries};
    uint32_t size = gnt_read_u32(&r);
    out->value = gnt_read_bytes(&r, size);
    if (carries == GNT_LMDB_MESSAGE)
        out->message = gnt_read_bytes(&r, gnt_read_left(&r));
    if (carries == GNT_LMDB_PAYLOAD)
        out->payload = gnt_read_u64(&r);
    return carries <= GNT_LMDB_PAYLOAD && !r.bad && gnt_read_left(&r) == 0;
}

bool gnt_lmdb_record_get(const struct gnt_lmdb_file *f, enum gnt_lmdb_database database,
                         const MDB_val *key, const MDB_val *value, struct gnt_lmdb_record *out)
{
    struct gnt_slice body;
    return gnt_lmdb_unseal(f, database, key, value, &body) && gnt_lmdb_record_read(body, out);
}

/* --- small things of a few numbers --- */

static gnt_err put_numbers(struct gnt_lmdb_file *f, MDB_txn *txn, enum gnt_lmdb_database database,
                           struct gnt_slice key, const uint64_t *numbers, size_t count)
{
    uint8_t bytes[SMALL_MAX] = {0};
    GNT_ASSERT(HEAD + count * 8 <= sizeof bytes);
    uint8_t *at = bytes + 4;
    *at++ = GNT_GROUND_FORMAT;
    for (size_t i = 0; i < count; i++)
        at = gnt_put_u64(at, numbers[i]);
    size_t size = (size_t)(at - bytes);
    gnt_put_u32(bytes, sum(database, key, gnt_slice(bytes + 4, size - 4)));
    MDB_val k = gnt_lmdb_val(key), v = {size, bytes};
    return gnt_lmdb_err(mdb_put(txn, f->db[database], &k, &v, 0));
}

static bool read_numbers(struct gnt_slice body, uint64_t *numbers, size_t count)
{
    struct gnt_reader r = gnt_reader(body);
    for (size_t i = 0; i < count; i++)
        numbers[i] = gnt_read_u64(&r);
    return body.size == count * 8;
}

static gnt_err get_numbers(struct gnt_lmdb_file *f, MDB_txn *txn, enum gnt_lmdb_database database,
                           struct gnt_slice key, uint64_t *numbers, size_t count)
{
    MDB_val k = gnt_lmdb_val(key), v;
    int rc = mdb_get(txn, f->db[database], &k, &v);
    if (rc)
        return gnt_lmdb_err(rc);
    struct gnt_slice body;
    return gnt_lmdb_unseal(f, database, &k, &v, &body) && read_numbers(body, numbers, count)
               ? GNT_OK
               : GNT_MALFORMED;
}

gnt_err gnt_lmdb_log_put(struct gnt_lmdb_file *f, MDB_txn *txn, struct gnt_slice name,
                         const struct gnt_lmdb_log *log)
{
    const uint64_t numbers[] = {log->last, log->count};
    return put_numbers(f, txn, GNT_LMDB_LOGS, name, numbers, 2);
}

bool gnt_lmdb_log_read(struct gnt_slice body, struct gnt_lmdb_log *out)
{
    uint64_t numbers[2] = {0};
    bool good = read_numbers(body, numbers, 2);
    *out = (struct gnt_lmdb_log){.last = numbers[0], .count = numbers[1]};
    return good;
}

gnt_err gnt_lmdb_log_get(struct gnt_lmdb_file *f, MDB_txn *txn, struct gnt_slice name,
                         struct gnt_lmdb_log *out)
{
    uint64_t numbers[2] = {0};
    gnt_err err = get_numbers(f, txn, GNT_LMDB_LOGS, name, numbers, 2);
    *out = (struct gnt_lmdb_log){.last = numbers[0], .count = numbers[1]};
    return err;
}

struct gnt_lmdb_payload_key gnt_lmdb_payload_key(uint64_t number, uint8_t part)
{
    struct gnt_lmdb_payload_key key;
    *gnt_put_u64(key.bytes, number) = part;
    return key;
}

gnt_err gnt_lmdb_refs_put(struct gnt_lmdb_file *f, MDB_txn *txn, uint64_t number, uint32_t refs)
{
    struct gnt_lmdb_payload_key key = gnt_lmdb_payload_key(number, 0);
    const uint64_t numbers[] = {refs};
    return put_numbers(f, txn, GNT_LMDB_PAYLOADS, gnt_slice(key.bytes, sizeof key.bytes), numbers,
                       1);
}

gnt_err gnt_lmdb_refs_get(struct gnt_lmdb_file *f, MDB_txn *txn, uint64_t number, uint32_t *refs)
{
    struct gnt_lmdb_payload_key key = gnt_lmdb_payload_key(number, 0);
    uint64_t numbers[1] = {0};
    gnt_err err =
        get_numbers(f, txn, GNT_LMDB_PAYLOADS, gnt_slice(key.bytes, sizeof key.bytes), numbers, 1);
    *refs = (uint32_t)numbers[0];
    return err;
}

gnt_err gnt_lmdb_payload_put(struct gnt_lmdb_file *f, MDB_txn *txn, uint64_t number,
                             struct gnt_slice message, struct gnt_buf *scratch)
{
    struct gnt_lmdb_payload_key key = gnt_lmdb_payload_key(number, 1);
    struct gnt_slice at = gnt_slice(key.bytes, sizeof key.bytes);
    gnt_err err = gnt_lmdb_begin(scratch, message.size);
    if (err)
        return err;
    gnt_put_bytes(gnt_buf_tail(scratch), message);
    gnt_buf_wrote(scratch, message.size);
    gnt_lmdb_seal(scratch, GNT_LMDB_PAYLOADS, at);
    MDB_val k = gnt_lmdb_val(at), v = gnt_lmdb_val(gnt_buf_slice(scratch));
    return gnt_lmdb_err(mdb_put(txn, f->db[GNT_LMDB_PAYLOADS], &k, &v, 0));
}

gnt_err gnt_lmdb_payload_get(struct gnt_lmdb_file *f, MDB_txn *txn, uint64_t number,
                             struct gnt_slice *message)
{
    struct gnt_lmdb_payload_key key = gnt_lmdb_payload_key(number, 1);
    MDB_val k = {sizeof key.bytes, key.bytes}, v;
    int rc = mdb_get(txn, f->db[GNT_LMDB_PAYLOADS], &k, &v);
    if (rc)
        return gnt_lmdb_err(rc);
    return gnt_lmdb_unseal(f, GNT_LMDB_PAYLOADS, &k, &v, message) ? GNT_OK : GNT_MALFORMED;
}

gnt_err gnt_lmdb_mark_put(struct gnt_lmdb_file *f, MDB_txn *txn, const struct gnt_lmdb_mark *mark)
{
    const uint64_t numbers[] = {mark->mark.applied, (uint64_t)mark->mark.skew_ms, mark->mark.at_ms,
                                mark->next_payload};
    return put_numbers(f, txn, GNT_LMDB_META, gnt_slice_str(mark_key), numbers, 4);
}

gnt_err gnt_lmdb_mark_get(struct gnt_lmdb_file *f, MDB_txn *txn, struct gnt_lmdb_mark *out)
{
    uint64_t numbers[4] = {0};
    gnt_err err = get_numbers(f, txn, GNT_LMDB_META, gnt_slice_str(mark_key), numbers, 4);
    out->mark = (struct gnt_ground_mark){numbers[0], (int64_t)numbers[1], numbers[2]};
    out->next_payload = numbers[3];
    return err;
}

/* The format is read before anything else is known: it has no format byte that may change. */
gnt_err gnt_lmdb_format_put(struct gnt_lmdb_file *f, MDB_txn *txn, uint32_t format)
{
    uint8_t bytes[8];
    gnt_put_u32(bytes + 4, format);
    struct gnt_slice key = gnt_slice_str(format_key);
    gnt_put_u32(bytes, sum(GNT_LMDB_META, key, gnt_slice(bytes + 4, 4)));
    MDB_val k = gnt_lmdb_val(key), v = {sizeof bytes, bytes};
    return gnt_lmdb_err(mdb_put(txn, f->db[GNT_LMDB_META], &k, &v, 0));
}

gnt_err gnt_lmdb_format_get(struct gnt_lmdb_file *f, MDB_txn *txn, uint32_t *format)
{
    struct gnt_slice key = gnt_slice_str(format_key);
    MDB_val k = gnt_lmdb_val(key), v;
    int rc = mdb_get(txn, f->db[GNT_LMDB_META], &k, &v);
    if (rc)
        return gnt_lmdb_err(rc);
    if (v.mv_size != 8)
        return GNT_MALFORMED;
    gnt_lmdb_file_locate(f, v.mv_data);
    struct gnt_reader r = gnt_reader(gnt_lmdb_slice(&v));
    uint32_t crc = gnt_read_u32(&r);
    if (crc != sum(GNT_LMDB_META, key, gnt_slice(r.at, 4)))
        return GNT_MALFORMED;
    *format = gnt_read_u32(&r);
    return GNT_OK;
}
