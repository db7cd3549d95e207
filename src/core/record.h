/* What the core writes into the store, as bytes and back.  Integers are big-endian; each value
 * begins with its version.  A value of a newer version, or one that is none, is told by false: it
 * comes from a later gnatter, or is damaged, and what it says is not guessed. */
#ifndef GNT_CORE_RECORD_H
#define GNT_CORE_RECORD_H

#include "base/buf.h"
#include "core/tree.h"
#include "model/sub_ids.h"
#include "store/store.h"

/* A key.  Text may be longer than a key: then its SHA-256 stands there, and the whole in the value.
 */
struct gnt_record_key {
    uint8_t bytes[GNT_STORE_KEY_MAX];
    size_t size;
};

static inline struct gnt_slice gnt_record_key_slice(const struct gnt_record_key *k)
{
    return gnt_slice(k->bytes, k->size);
}

struct gnt_record_key gnt_record_key_number(uint64_t number);
struct gnt_record_key gnt_record_key_numbers(uint64_t number, uint64_t second);
struct gnt_record_key gnt_record_key_text(uint64_t prefix, struct gnt_slice text);

/* What a key of _numbers says. */
bool gnt_record_numbers(struct gnt_slice key, uint64_t *number, uint64_t *second);

/* "s" and the session's number; "g" and the group's; "h", from and to. */
struct gnt_record_log {
    uint8_t bytes[16];
    size_t size;
};
struct gnt_record_log gnt_record_log(char kind, uint64_t number);

static inline struct gnt_slice gnt_record_log_slice(const struct gnt_record_log *l)
{
    return gnt_slice(l->bytes, l->size);
}

struct gnt_session_record {
    uint64_t number;    /* of its subscriptions, its log and so on */
    uint64_t parted_ms; /* store time; UINT64_MAX: it is connected */
    uint32_t expiry_s;
    uint32_t will_delay_s, will_expiry_s; /* of the record's message, if it has one */
    struct gnt_slice client_id;
    struct gnt_slice user; /* empty: anonymous, or kept before there was a user in it */
};
GNT_MUST gnt_err gnt_session_record_write(const struct gnt_session_record *r, struct gnt_buf *to);
bool gnt_session_record_read(struct gnt_slice value, struct gnt_session_record *out);

struct gnt_sub_record {
    uint64_t session;
    struct gnt_sub_options options;
    bool retained_due; /* it has not got all retained messages yet; false in records of before */
    struct gnt_slice filter; /* with "$share/..." */
};
GNT_MUST gnt_err gnt_sub_record_write(const struct gnt_sub_record *r, struct gnt_buf *to);
bool gnt_sub_record_read(struct gnt_slice value, struct gnt_sub_record *out);

/* A delivery in a session's log, besides its message. */
struct gnt_entry_record {
    uint8_t qos;
    bool retain;
    struct gnt_sub_ids ids; /* borrowed by _write; of _read: the caller's to end */
};
size_t gnt_entry_record_size(const struct gnt_entry_record *r);
GNT_MUST gnt_err gnt_entry_record_write(const struct gnt_entry_record *r, struct gnt_buf *to);
/* GNT_NOMEM; GNT_MALFORMED: as false of the others. */
GNT_MUST gnt_err gnt_entry_record_read(struct gnt_slice value, struct gnt_entry_record *out);

/* A shared group that is kept. */
struct gnt_group_record {
    uint64_t number; /* of its log */
    struct gnt_slice name, filter;
};
GNT_MUST gnt_err gnt_group_record_write(const struct gnt_group_record *r, struct gnt_buf *to);
bool gnt_group_record_read(struct gnt_slice value, struct gnt_group_record *out);

/* How clients are spread over homes. */
struct gnt_homes_record {
    uint64_t key[2];
    uint32_t homes;
};
GNT_MUST gnt_err gnt_homes_record_write(const struct gnt_homes_record *r, struct gnt_buf *to);
bool gnt_homes_record_read(struct gnt_slice value, struct gnt_homes_record *out);

#endif
