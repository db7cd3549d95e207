#include "store/lmdb_walk.h"

#include "base/assert.h"
#include "store/bytes.h"

enum {
    PAGE = 4096, /* at least; what is on one page is not looked up for each key */
    LEAF = 2,    /* flags of a page with records, as LMDB 0.9 writes them */
};

/* Those of this thread that are open. */
static _Thread_local MDB_cursor *cursors[4];

int gnt_lmdb_cursor_open(MDB_txn *txn, MDB_dbi db, MDB_cursor **out)
{
    size_t i = 0;
    while (cursors[i])
        GNT_ASSERT(++i < sizeof cursors / sizeof cursors[0]);
    int rc = mdb_cursor_open(txn, db, out);
    cursors[i] = rc ? NULL : *out;
    return rc;
}

void gnt_lmdb_cursor_close(MDB_cursor *cursor)
{
    size_t i = 0;
    while (cursors[i] != cursor)
        i++;
    cursors[i] = NULL;
    mdb_cursor_close(cursor);
}

void gnt_lmdb_cursors_left(bool close)
{
    for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
        if (cursors[i] && close)
            mdb_cursor_close(cursors[i]);
        cursors[i] = NULL;
    }
}

struct gnt_lmdb_walk gnt_lmdb_walk(struct gnt_lmdb *l, MDB_cursor *cursor,
                                   enum gnt_lmdb_database database, const struct gnt_lmdb_key *at,
                                   struct gnt_slice common)
{
    return (struct gnt_lmdb_walk){.l = l,
                                  .cursor = cursor,
                                  .database = database,
                                  .common = common,
                                  .at = *at,
                                  .itself = true};
}

static struct gnt_slice at(const struct gnt_lmdb_walk *w)
{
    return gnt_slice(w->at.bytes, w->at.size);
}

/* KEY: of a record that is whole. */
static bool is_behind(const struct gnt_lmdb_walk *w, const MDB_val *key)
{
    int order = gnt_ordered_compare(gnt_lmdb_slice(key), at(w));
    return w->itself ? order >= 0 : order > 0;
}

/* Nothing is written with a longer key than W has room for. */
static bool is_whole(struct gnt_lmdb_walk *w, const MDB_val *key, const MDB_val *value)
{
    return key->mv_size <= sizeof w->at.bytes &&
           gnt_lmdb_unseal(&w->l->file, w->database, key, value, &w->body);
}

/* What VALUE makes resident: itself, and around it, unless it is near the one before. */
static void touch(struct gnt_lmdb_walk *w, const MDB_val *value)
{
    enum { AROUND = 64 * 1024 };
    uintptr_t place = (uintptr_t)value->mv_data / AROUND;
    size_t bytes = (place == w->near ? 0 : AROUND) + value->mv_size / AROUND * AROUND;
    w->near = place;
    gnt_lmdb_file_touched(&w->l->file, bytes);
}

/* Back to the first record that is whole and not behind W. */
static int step_back(struct gnt_lmdb_walk *w, MDB_cursor_op first)
{
    int rc = mdb_cursor_get(w->cursor, &w->key, &w->value, first);
    for (; !rc; rc = mdb_cursor_get(w->cursor, &w->key, &w->value, MDB_PREV)) {
        bool whole = is_whole(w, &w->key, &w->value);
        if (whole && !is_behind(w, &w->key))
            break;
        w->strayed |= whole;
        touch(w, &w->value);
    }
    return rc;
}

/* Goes to where the first record may be.  Where LMDB cannot go back it is believed. */
static int begin(struct gnt_lmdb_walk *w)
{
    struct gnt_lmdb_key from = w->at;
    w->key = (MDB_val){from.size, from.bytes};
    int rc = mdb_cursor_get(w->cursor, &w->key, &w->value, MDB_SET_RANGE);
    if (rc && rc != MDB_NOTFOUND)
        return rc;
    if (!rc && gnt_slice_eq(gnt_lmdb_slice(&w->key), at(w)))
        return w->itself ? 0 : mdb_cursor_get(w->cursor, &w->key, &w->value, MDB_NEXT);
    rc = step_back(w, rc ? MDB_LAST : MDB_PREV);
    if (!rc)
        return mdb_cursor_get(w->cursor, &w->key, &w->value, MDB_NEXT);
    if (rc == MDB_NOTFOUND)
        return mdb_cursor_get(w->cursor, &w->key, &w->value, MDB_FIRST);
    w->key = (MDB_val){from.size, from.bytes};
    return mdb_cursor_get(w->cursor, &w->key, &w->value, MDB_SET_RANGE);
}

/* Whether a log's next number stands there: nothing can be between. */
static bool is_adjacent(const struct gnt_lmdb_walk *w)
{
    uint64_t before, now;
    struct gnt_slice key = gnt_lmdb_slice(&w->key);
    if (w->database != GNT_LMDB_ENTRIES || !gnt_slice_starts(key, w->common))
        return false;
    gnt_lmdb_key_sequence(at(w), &before);
    gnt_lmdb_key_sequence(key, &now);
    return now == before + !w->itself;
}

/* From where ASIDE stands back to the first record that is whole and before KEY. */
static int find_before(struct gnt_lmdb_walk *w, MDB_cursor *aside, const MDB_val *key,
                       MDB_val *before)
{
    struct gnt_slice limit = gnt_lmdb_slice(key), body = w->body;
    MDB_val value;
    int rc;
    do
        rc = mdb_cursor_get(aside, before, &value, MDB_PREV);
    while (!rc && (!is_whole(w, before, &value) ||
                   gnt_ordered_compare(gnt_lmdb_slice(before), limit) >= 0));
    w->body = body;
    return rc;
}

/* Whether the record, which is whole and behind W, is the first such one where LMDB looks for it,
 * too.  The order of what was looked over is known. */
static bool is_next(struct gnt_lmdb_walk *w)
{
    MDB_cursor *aside;
    MDB_val key = w->key, before;
    if (is_adjacent(w) || (w->database != GNT_LMDB_ENTRIES && !w->l->doubtful[w->database]))
        return true;
    if (gnt_lmdb_cursor_open(mdb_cursor_txn(w->cursor), mdb_cursor_dbi(w->cursor), &aside))
        return true;
    int rc = mdb_cursor_get(aside, &key, NULL, MDB_SET_KEY);
    if (!rc)
        rc = find_before(w, aside, &w->key, &before);
    gnt_lmdb_cursor_close(aside);
    return rc || !is_behind(w, &before);
}

static void go_on_behind(struct gnt_lmdb_walk *w)
{
    w->itself = false;
    w->at.size = w->key.mv_size;
    memcpy(w->at.bytes, w->key.mv_data, w->at.size);
}

/* Whether the record that the cursor stands at is handed out; *end: it is behind all that are. */
static bool is_meant(struct gnt_lmdb_walk *w, bool *end)
{
    w->whole = is_whole(w, &w->key, &w->value);
    w->damaged += !w->whole;
    if (!w->whole)
        return gnt_lmdb_file_holds(&w->l->file, &w->key) &&
               gnt_slice_starts(gnt_lmdb_slice(&w->key), w->common);
    bool next = is_behind(w, &w->key) && is_next(w);
    w->strayed |= !next;
    *end = next && !gnt_slice_starts(gnt_lmdb_slice(&w->key), w->common);
    if (next && !*end)
        go_on_behind(w);
    return next && !*end;
}

int gnt_lmdb_walk_next(struct gnt_lmdb_walk *w)
{
    bool end = false;
    int rc = w->begun ? mdb_cursor_get(w->cursor, &w->key, &w->value, MDB_NEXT) : begin(w);
    w->begun = true;
    while (!rc && !end) {
        touch(w, &w->value);
        if (is_meant(w, &end))
            return 0;
        if (!end)
            rc = mdb_cursor_get(w->cursor, &w->key, &w->value, MDB_NEXT);
    }
    return end ? MDB_NOTFOUND : rc;
}

int gnt_lmdb_look_for(struct gnt_lmdb *l, MDB_cursor *cursor, enum gnt_lmdb_database database,
                      struct gnt_slice key, MDB_val *value)
{
    struct gnt_lmdb_key from = {.size = key.size};
    MDB_val k = gnt_lmdb_val(key);
    int rc = mdb_cursor_get(cursor, &k, value, MDB_SET_KEY);
    if (rc != MDB_NOTFOUND)
        return rc;
    GNT_ASSERT(key.size <= sizeof from.bytes);
    memcpy(from.bytes, key.data, key.size);
    struct gnt_lmdb_walk w = gnt_lmdb_walk(l, cursor, database, &from, key);
    do
        rc = gnt_lmdb_walk_next(&w);
    while (!rc && !w.whole);
    *value = w.value;
    return !rc && w.key.mv_size != key.size ? MDB_NOTFOUND : rc;
}

/* Whether LMDB, looking for what stands at KEY, in the map, comes to KEY.  A cursor that stands
 * somewhere would look on its own page first. */
static bool leads_to(MDB_cursor *aside, const MDB_val *key)
{
    MDB_val found = *key;
    return mdb_cursor_renew(mdb_cursor_txn(aside), aside) == 0 &&
           mdb_cursor_get(aside, &found, NULL, MDB_SET_KEY) == 0 && found.mv_data == key->mv_data;
}

/* Whether the page that KEY lies on says that it is one with records, and nothing else: LMDB reads
 * others, too, but once it has changed them it writes more than them, or nothing.  A page begins
 * with its number, and two bytes that are not used. */
static bool on_leaf(MDB_cursor *cursor, const MDB_val *key)
{
    MDB_stat stat;
    const uint8_t *at = key->mv_data;
    uint16_t flags;
    if (mdb_stat(mdb_cursor_txn(cursor), mdb_cursor_dbi(cursor), &stat))
        return false;
    memcpy(&flags, at - (uintptr_t)at % stat.ms_psize + sizeof(size_t) + 2, sizeof flags);
    return flags == LEAF;
}

bool gnt_lmdb_is_in_place(MDB_cursor *aside, const MDB_val *key, bool backward,
                          struct gnt_lmdb_key *last)
{
    struct gnt_slice now = gnt_lmdb_slice(key);
    if (now.size > sizeof last->bytes)
        return false;
    int order = gnt_ordered_compare(gnt_slice(last->bytes, last->size), now);
    bool in_order = last->size == 0 || (backward ? order > 0 : order < 0);
    memcpy(last->bytes, now.data, now.size);
    last->size = now.size;
    return in_order && on_leaf(aside, key) && leads_to(aside, key);
}

/* Two keys that stand one behind the other. */
static bool pair_in_order(struct gnt_lmdb *l, MDB_cursor *aside, const MDB_val *before,
                          const MDB_val *key)
{
    if (!gnt_lmdb_file_holds(&l->file, key) ||
        gnt_ordered_compare(gnt_lmdb_slice(before), gnt_lmdb_slice(key)) >= 0)
        return false;
    bool same_page = (uintptr_t)before->mv_data / PAGE == (uintptr_t)key->mv_data / PAGE;
    return same_page || (leads_to(aside, before) && leads_to(aside, key));
}

gnt_err gnt_lmdb_look_over(struct gnt_lmdb *l, MDB_txn *txn, enum gnt_lmdb_database database,
                           uint64_t *wrong, bool *in_order)
{
    MDB_dbi db = l->file.db[database];
    MDB_cursor *cursor, *aside;
    MDB_stat stat;
    MDB_val key, before;
    uint64_t found = 0;
    int rc = mdb_stat(txn, db, &stat);
    if (!rc)
        rc = gnt_lmdb_cursor_open(txn, db, &cursor);
    if (rc)
        return gnt_lmdb_err(rc);
    *in_order = true;
    rc = gnt_lmdb_cursor_open(txn, db, &aside);
    for (; !rc && !mdb_cursor_get(cursor, &key, NULL, MDB_NEXT); found++, before = key)
        *in_order = *in_order && (found == 0 || pair_in_order(l, aside, &before, &key));
    *wrong = found < stat.ms_entries ? stat.ms_entries - found : found - stat.ms_entries;
    if (!rc)
        gnt_lmdb_cursor_close(aside);
    gnt_lmdb_cursor_close(cursor);
    return gnt_lmdb_err(rc);
}

/* --- numbers of logs --- */

/* The numbers of a log as its entries show them. */
static gnt_err survey(struct gnt_lmdb *l, MDB_txn *txn, struct gnt_slice name,
                      struct gnt_lmdb_log *out)
{
    struct gnt_lmdb_key start = gnt_lmdb_entry_key(name, 0);
    MDB_cursor *cursor;
    int rc = gnt_lmdb_cursor_open(txn, l->file.db[GNT_LMDB_ENTRIES], &cursor);
    if (rc)
        return gnt_lmdb_err(rc);
    struct gnt_lmdb_walk w =
        gnt_lmdb_walk(l, cursor, GNT_LMDB_ENTRIES, &start, gnt_slice(start.bytes, start.common));
    *out = (struct gnt_lmdb_log){0};
    for (; !(rc = gnt_lmdb_walk_next(&w)); out->count++)
        if (w.whole)
            gnt_lmdb_key_sequence(gnt_lmdb_slice(&w.key), &out->last);
    gnt_lmdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? GNT_OK : gnt_lmdb_err(rc);
}

/* As gnt_lmdb_log_get, wherever they stand. */
static gnt_err find_numbers(struct gnt_lmdb *l, MDB_txn *txn, struct gnt_slice name,
                            struct gnt_lmdb_log *out)
{
    MDB_cursor *cursor;
    MDB_val key = gnt_lmdb_val(name), value;
    struct gnt_slice body;
    int rc = gnt_lmdb_cursor_open(txn, l->file.db[GNT_LMDB_LOGS], &cursor);
    if (rc)
        return gnt_lmdb_err(rc);
    rc = gnt_lmdb_look_for(l, cursor, GNT_LMDB_LOGS, name, &value);
    gnt_lmdb_cursor_close(cursor);
    if (rc)
        return gnt_lmdb_err(rc);
    return gnt_lmdb_unseal(&l->file, GNT_LMDB_LOGS, &key, &value, &body) &&
                   gnt_lmdb_log_read(body, out)
               ? GNT_OK
               : GNT_MALFORMED;
}

gnt_err gnt_lmdb_log_find(struct gnt_lmdb *l, MDB_txn *txn, struct gnt_slice name,
                          struct gnt_lmdb_log *out)
{
    *out = (struct gnt_lmdb_log){0};
    gnt_err err = find_numbers(l, txn, name, out);
    if (err != GNT_MALFORMED && !(err == GNT_NOTFOUND && l->doubtful[GNT_LMDB_LOGS]))
        return err;
    gnt_err failed = survey(l, txn, name, out);
    bool lost = err == GNT_MALFORMED || out->count;
    atomic_fetch_add(&l->damaged, lost);
    return failed || lost ? failed : err;
}
