/* A group: the batches that are committed together, as one record of the journal.
 *
 *   head       version u8, generation u64, store time u64 and its skew i64, see store/store_time.h
 *   writes     to the end of the record, each
 *     verb     u8: enum gnt_store_verb in bits 0 to 3; in bit 4 whether there is a message, in bit
 * 5 whether its bytes are here name     u8 size, bytes key      u16 size, bytes: of put and delete
 *     sequence u64: of append, remove and trim
 *     value    u32 size, bytes: of put and append
 *     message  number u64; and if they are here, u32 size, bytes (store/message_codec.h)
 *
 * All integers are big-endian.  A message's bytes are in one record of its generation; later writes
 * of the same generation name its number.  A generation is what one memtable has collected, so that
 * what the memtable forgets the reader can forget too.  It is in every record: if one is lost, the
 * next cannot be taken for part of another generation. */
#ifndef GNT_STORE_GROUP_H
#define GNT_STORE_GROUP_H

#include "store/memtable.h"
#include "store/store_time.h"

enum { GNT_GROUP_VERSION = 1 };

struct gnt_group_head {
    uint64_t generation;
    uint64_t at_ms; /* store time, and its skew, when this was written */
    int64_t skew_ms;
};

/* Begins a record in TO, which is emptied.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_group_begin(struct gnt_buf *to, const struct gnt_group_head *head);

/* Appends what P does.  Payloads whose bytes it takes are `written` from now on.  On failure
 * (GNT_NOMEM, GNT_TOOBIG) TO and the payloads are as they were. */
GNT_MUST gnt_err gnt_group_add(struct gnt_buf *to, struct gnt_prepared *p,
                               const struct gnt_store_time *time);

/* The record that P was added to has come to nothing: what it brought has not been written. */
void gnt_group_void(struct gnt_prepared *p);

/* The messages of the generation that is being read.  Zeroed it has none, and but for _fini is
 * nobody else's business. */
struct gnt_group_reader {
    struct gnt_map payloads;
    uint64_t generation;
};

/* Appends the writes of RECORD to BATCH.  GNT_UNSUPPORTED: of a newer version; GNT_MALFORMED: no
 * record that was ever written, or one that needs another that was lost; GNT_NOMEM.  On failure
 * BATCH may have some of the writes, and *head is what RECORD says if it begins with one. */
GNT_MUST gnt_err gnt_group_read(struct gnt_group_reader *r, struct gnt_slice record,
                                const struct gnt_store_time *time, struct gnt_group_head *head,
                                struct gnt_batch *batch);
void gnt_group_reader_fini(struct gnt_group_reader *r);

#endif
