/* What lies in data.mdb, and how it is opened: shared by the parts of the ground on LMDB. */
#ifndef GNT_STORE_LMDB_FILE_H
#define GNT_STORE_LMDB_FILE_H

#include "base/buf.h"
#include "store/lmdb.h"

#include <lmdb.h>

enum gnt_lmdb_database {
    GNT_LMDB_META,
    GNT_LMDB_TABLES,
    GNT_LMDB_ENTRIES,
    GNT_LMDB_LOGS,
    GNT_LMDB_PAYLOADS,
    GNT_LMDB_DATABASES,
};

/* A file that is open.  One thread at a time, but for _touched. */
struct gnt_lmdb_file {
    MDB_env *env; /* NULL: it is not open */
    MDB_dbi db[GNT_LMDB_DATABASES];
    uint8_t *map; /* where the file is mapped, NULL: not known */
    size_t map_size;
    _Atomic size_t touched; /* bytes of the map, about, since they were given back */
};

gnt_err
gnt_lmdb_err(int rc); /* of what LMDB returns; not for MDB_NOTFOUND, which is GNT_NOTFOUND */

/* Writes the sentence that FORMAT makes to WHY, and returns ERR. */
__attribute__((format(printf, 3, 4))) gnt_err gnt_lmdb_why(char why[GNT_LMDB_WHY_MAX], gnt_err err,
                                                           const char *format, ...);

/* --- the file --- */

/* FLAGS: of mdb_env_open.  MAP_SIZE: less if the system has not that much.  Databases: see
 * _databases. */
GNT_MUST gnt_err gnt_lmdb_file_open(struct gnt_lmdb_file *f, const char *path, unsigned flags,
                                    size_t map_size, char why[GNT_LMDB_WHY_MAX]);
void gnt_lmdb_file_close(struct gnt_lmdb_file *f);

/* The numbers of the databases; made where FLAGS says MDB_CREATE. */
GNT_MUST gnt_err gnt_lmdb_file_databases(struct gnt_lmdb_file *f, MDB_txn *txn, unsigned flags);

/* The same of what is there, without a transaction to go on with; the numbers are those of a single
 * transaction, until one that found them is committed. */
GNT_MUST gnt_err gnt_lmdb_file_find_databases(struct gnt_lmdb_file *f);

/* Makes an empty file of FORMAT, named FILE, which is safe, but not its name. */
GNT_MUST gnt_err gnt_lmdb_file_make(const char *file, uint32_t format, char why[GNT_LMDB_WHY_MAX]);

/* The file DIR/NAME; NULL: no memory.  To be freed. */
char *gnt_lmdb_file_name(const char *dir, const char *name);

/* FROM becomes TO, in the directory DIR, safely. */
GNT_MUST gnt_err gnt_lmdb_file_rename(const char *dir, const char *from, const char *to);

/* Finds the map, in which INSIDE lies. */
void gnt_lmdb_file_locate(struct gnt_lmdb_file *f, const void *inside);

/* BYTES of the map have been touched, at least: enough of them are given back.  Any thread. */
void gnt_lmdb_file_touched(struct gnt_lmdb_file *f, size_t bytes);

/* Whether all of VALUE lies in the file, or is no larger than what fits in a page of a transaction
 * that writes.  A size that damage has changed must not be believed. */
bool gnt_lmdb_file_holds(const struct gnt_lmdb_file *f, const MDB_val *value);

/* --- what lies in it --- */

struct gnt_lmdb_key {
    uint8_t bytes[1 + GNT_STORE_NAME_MAX + GNT_STORE_KEY_MAX];
    size_t common, size; /* common: what all keys of the same table or log begin with */
};

struct gnt_lmdb_key gnt_lmdb_key(struct gnt_slice name, struct gnt_slice key);
struct gnt_lmdb_key gnt_lmdb_entry_key(struct gnt_slice log, uint64_t sequence);
struct gnt_slice gnt_lmdb_key_sequence(struct gnt_slice key, uint64_t *sequence); /* the log */

static inline MDB_val gnt_lmdb_val(struct gnt_slice s)
{
    union { /* LMDB does not write there */
        const void *from;
        void *to;
    } data = {.from = s.data};
    return (MDB_val){s.size, data.to};
}

static inline struct gnt_slice gnt_lmdb_slice(const MDB_val *v)
{
    return gnt_slice(v->mv_data, v->mv_size);
}

/* Begins what stands at KEY of DATABASE: room for the checksum, and the format.  Put the rest, then
 * _seal. */
GNT_MUST gnt_err gnt_lmdb_begin(struct gnt_buf *b, size_t size);
void gnt_lmdb_seal(struct gnt_buf *b, enum gnt_lmdb_database database, struct gnt_slice key);

/* What stands behind checksum and format; false if it is not what was written. */
bool gnt_lmdb_unseal(const struct gnt_lmdb_file *f, enum gnt_lmdb_database database,
                     const MDB_val *key, const MDB_val *value, struct gnt_slice *out);

/* A record of a table, an entry of a log. */
enum gnt_lmdb_carries { GNT_LMDB_NOTHING, GNT_LMDB_MESSAGE, GNT_LMDB_PAYLOAD };
struct gnt_lmdb_record {
    enum gnt_lmdb_carries carries;
    struct gnt_slice value, message;
    uint64_t payload;
};
GNT_MUST gnt_err gnt_lmdb_record_put(struct gnt_buf *b, enum gnt_lmdb_database database,
                                     struct gnt_slice key, const struct gnt_lmdb_record *r);
bool gnt_lmdb_record_get(const struct gnt_lmdb_file *f, enum gnt_lmdb_database database,
                         const MDB_val *key, const MDB_val *value, struct gnt_lmdb_record *out);
/* The same of what gnt_lmdb_unseal has said already. */
bool gnt_lmdb_record_read(struct gnt_slice body, struct gnt_lmdb_record *out);

/* A log's last number and count. */
struct gnt_lmdb_log {
    uint64_t last, count;
};
bool gnt_lmdb_log_read(struct gnt_slice body, struct gnt_lmdb_log *out);
GNT_MUST gnt_err gnt_lmdb_log_put(struct gnt_lmdb_file *f, MDB_txn *txn, struct gnt_slice name,
                                  const struct gnt_lmdb_log *log);
/* GNT_NOTFOUND, GNT_MALFORMED (damaged). */
GNT_MUST gnt_err gnt_lmdb_log_get(struct gnt_lmdb_file *f, MDB_txn *txn, struct gnt_slice name,
                                  struct gnt_lmdb_log *out);

/* Payloads: part 0 is the number of references, part 1 the message. */
struct gnt_lmdb_payload_key {
    uint8_t bytes[9];
};
struct gnt_lmdb_payload_key gnt_lmdb_payload_key(uint64_t number, uint8_t part);
GNT_MUST gnt_err gnt_lmdb_refs_put(struct gnt_lmdb_file *f, MDB_txn *txn, uint64_t number,
                                   uint32_t refs);
GNT_MUST gnt_err gnt_lmdb_refs_get(struct gnt_lmdb_file *f, MDB_txn *txn, uint64_t number,
                                   uint32_t *refs);
GNT_MUST gnt_err gnt_lmdb_payload_put(struct gnt_lmdb_file *f, MDB_txn *txn, uint64_t number,
                                      struct gnt_slice message, struct gnt_buf *scratch);
/* *message lies in the map. */
GNT_MUST gnt_err gnt_lmdb_payload_get(struct gnt_lmdb_file *f, MDB_txn *txn, uint64_t number,
                                      struct gnt_slice *message);

/* Meta. */
struct gnt_lmdb_mark {
    struct gnt_ground_mark mark;
    uint64_t next_payload; /* no number is used twice */
};
GNT_MUST gnt_err gnt_lmdb_mark_put(struct gnt_lmdb_file *f, MDB_txn *txn,
                                   const struct gnt_lmdb_mark *mark);
GNT_MUST gnt_err gnt_lmdb_mark_get(struct gnt_lmdb_file *f, MDB_txn *txn,
                                   struct gnt_lmdb_mark *out);
GNT_MUST gnt_err gnt_lmdb_format_put(struct gnt_lmdb_file *f, MDB_txn *txn, uint32_t format);
/* Locates the map, too. */
GNT_MUST gnt_err gnt_lmdb_format_get(struct gnt_lmdb_file *f, MDB_txn *txn, uint32_t *format);

#endif
