/* Ways to records that do not rely on LMDB's order.
 *
 * LMDB finds a key by going down from page to page, and has no checksums: a bit that flips in a key
 * or in the number of a page makes look-ups come out too early or too late, and pages show up where
 * they do not belong, with records that are whole.  Each record's own checksum is over its key too,
 * so the whole ones say where one is.  A walk begins behind one that is whole and before what is
 * looked for, hands out only what is behind what it has handed out, and leaves out what is not its
 * next one when looked up by its key.  It may miss records then, but tells.
 *
 * Where nothing is damaged it goes the way of LMDB's cursor; it takes a step or a look-up more
 * where the key to begin with is not there, and at gaps and at the end of a log.
 *
 * Within gnt_lmdb_guard, as all that calls LMDB. */
#ifndef GNT_STORE_LMDB_WALK_H
#define GNT_STORE_LMDB_WALK_H

#include "store/lmdb_ground.h"

/* As LMDB's own, at most four at once in a thread; and what becomes of those that are open when
 * LMDB has stopped in the middle of something.  One that writes cannot be closed any more. */
int gnt_lmdb_cursor_open(MDB_txn *txn, MDB_dbi db, MDB_cursor **out);
void gnt_lmdb_cursor_close(MDB_cursor *cursor);
void gnt_lmdb_cursors_left(bool close);

struct gnt_lmdb_walk {
    struct gnt_lmdb *l;
    MDB_cursor *cursor; /* lent, of DATABASE */
    enum gnt_lmdb_database database;
    struct gnt_slice common; /* what the keys begin with, lent */
    struct gnt_lmdb_key at;  /* what comes is behind this key, */
    bool itself;             /* or there */
    bool begun;
    bool strayed;     /* something whole was out of its place */
    uint64_t damaged; /* records that were not whole */
    uintptr_t near;   /* what is resident because of it, about */
    /* Of the record handed out last: */
    MDB_val key, value; /* in the map */
    bool whole;
    struct gnt_slice body; /* if it is: what gnt_lmdb_unseal says */
};

/* From AT on.  CURSOR and what COMMON lies in stay as long as the walk. */
struct gnt_lmdb_walk gnt_lmdb_walk(struct gnt_lmdb *l, MDB_cursor *cursor,
                                   enum gnt_lmdb_database database, const struct gnt_lmdb_key *at,
                                   struct gnt_slice common);

/* The next record, which the cursor stands at and may delete; also one that is not whole, in
 * between, if its key begins with what is common.  MDB_NOTFOUND: there are no more; or LMDB's
 * error.
 */
int gnt_lmdb_walk_next(struct gnt_lmdb_walk *w);

/* The record at KEY, if need be by a walk: as mdb_cursor_get with MDB_SET_KEY. */
int gnt_lmdb_look_for(struct gnt_lmdb *l, MDB_cursor *cursor, enum gnt_lmdb_database database,
                      struct gnt_slice key, MDB_val *value);

/* Whether KEY, in the map, of a record that is whole, is behind *last, which it becomes, or
 * BACKWARD before it; and LMDB, looking for it, comes there, to a page that is sound by its header.
 * *last of size 0: it is the first. ASIDE: a cursor of a transaction that does not write, which
 * nobody needs where it is. */
bool gnt_lmdb_is_in_place(MDB_cursor *aside, const MDB_val *key, bool backward,
                          struct gnt_lmdb_key *last);

/* Looks over all of DATABASE: how many records are missing, or too many; and *in_order: they stand
 * in the order of their keys and are found by them.  Values are not looked at. */
GNT_MUST gnt_err gnt_lmdb_look_over(struct gnt_lmdb *l, MDB_txn *txn,
                                    enum gnt_lmdb_database database, uint64_t *wrong,
                                    bool *in_order);

/* The log's state as it is written or, if that is damaged, as its entries show. */
GNT_MUST gnt_err gnt_lmdb_log_find(struct gnt_lmdb *l, MDB_txn *txn, struct gnt_slice name,
                                   struct gnt_lmdb_log *out);

#endif
