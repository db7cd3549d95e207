#include "store/lmdb_walk.h"

#include "base/assert.h"
#include "base/list.h"
#include "store/message_codec.h"

#include <stdlib.h>

enum {
    TOUCH = 128 * 1024,    /* as in lmdb.c */
    TOUCH_NEXT = 2 * 1024, /* where what comes next is near what was before */
    /* LMDB keeps the memory of the pages of its largest transaction: over this, the file is opened
     * anew, which gives it back. */
    DIRTY_MAX = 8 << 20,
};

/* One transaction, and what it works with. */
struct applying {
    struct gnt_lmdb *l;
    const struct gnt_memtable *table;
    struct gnt_lmdb_mark mark; /* as it will be */
    const struct gnt_memtable_table **tables;
    const struct gnt_memtable_log **logs;
    const struct gnt_payload **payloads; /* of several records, by number */
    uint32_t table_count, log_count, payload_count;
    MDB_txn *txn;
    MDB_cursor *cursor;
    struct gnt_lmdb_key last; /* nothing in the cursor's database is behind it */
    size_t dirty;             /* bytes of pages, about */
    bool failed_for_good;     /* LMDB wants the file to be opened anew */
};

/* --- the order in which things are done: that of the keys --- */

static int compare_names(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    if (a_size != b_size)
        return a_size < b_size ? -1 : 1;
    return memcmp(a, b, a_size);
}

static int compare_tables(const void *a, const void *b)
{
    const struct gnt_memtable_table *s = *(const struct gnt_memtable_table *const *)a,
                                    *t = *(const struct gnt_memtable_table *const *)b;
    return compare_names(s->name, s->name_size, t->name, t->name_size);
}

static int compare_logs(const void *a, const void *b)
{
    const struct gnt_memtable_log *s = *(const struct gnt_memtable_log *const *)a,
                                  *t = *(const struct gnt_memtable_log *const *)b;
    return compare_names(s->name, s->name_size, t->name, t->name_size);
}

static int compare_payloads(const void *a, const void *b)
{
    const struct gnt_payload *p = *(const struct gnt_payload *const *)a,
                             *q = *(const struct gnt_payload *const *)b;
    return p->number < q->number ? -1 : p->number > q->number;
}

static bool shared(const struct gnt_payload *p)
{
    return p && p->refs > 1;
}

static gnt_err put_in_order(struct applying *a)
{
    struct gnt_map_cursor cursor = {0};
    struct gnt_map_node *node;
    a->tables = calloc((size_t)a->table->tables.count + 1, sizeof(void *));
    a->logs = calloc((size_t)a->table->logs.count + 1, sizeof(void *));
    a->payloads = calloc((size_t)a->table->payloads.count + 1, sizeof(void *));
    if (!a->tables || !a->logs || !a->payloads)
        return GNT_NOMEM;
    while ((node = gnt_map_walk(&a->table->tables, &cursor)))
        a->tables[a->table_count++] = GNT_CONTAINER(node, struct gnt_memtable_table, by_name);
    cursor = (struct gnt_map_cursor){0};
    while ((node = gnt_map_walk(&a->table->logs, &cursor)))
        a->logs[a->log_count++] = GNT_CONTAINER(node, struct gnt_memtable_log, by_name);
    cursor = (struct gnt_map_cursor){0};
    while ((node = gnt_map_walk(&a->table->payloads, &cursor))) {
        const struct gnt_payload *p = GNT_CONTAINER(node, struct gnt_payload, by_message);
        if (shared(p))
            a->payloads[a->payload_count++] = p;
    }
    qsort(a->tables, a->table_count, sizeof(void *), compare_tables);
    qsort(a->logs, a->log_count, sizeof(void *), compare_logs);
    qsort(a->payloads, a->payload_count, sizeof(void *), compare_payloads);
    return GNT_OK;
}

/* --- payloads --- */

/* Numbers of payloads begin behind all that were ever used here. */
static uint64_t number_of(const struct applying *a, const struct gnt_payload *p)
{
    return a->l->mark.next_payload + p->number;
}

static gnt_err encode(struct applying *a, const struct gnt_message *m)
{
    gnt_buf_clear(&a->l->message);
    return gnt_message_encode(m, a->l->time, &a->l->message);
}

static gnt_err put_payloads(struct applying *a)
{
    gnt_err err = GNT_OK;
    for (uint32_t i = 0; i < a->payload_count && !err; i++) {
        const struct gnt_payload *p = a->payloads[i];
        uint64_t number = number_of(a, p);
        err = encode(a, p->message);
        if (!err)
            err = gnt_lmdb_refs_put(&a->l->file, a->txn, number, p->refs);
        if (!err)
            err = gnt_lmdb_payload_put(&a->l->file, a->txn, number, gnt_buf_slice(&a->l->message),
                                       &a->l->value);
    }
    a->mark.next_payload += a->table->next_payload;
    return err;
}

static gnt_err delete_payload(struct applying *a, uint64_t number)
{
    int rc = 0;
    for (uint8_t part = 0; part < 2 && (rc == 0 || rc == MDB_NOTFOUND); part++) {
        struct gnt_lmdb_payload_key key = gnt_lmdb_payload_key(number, part);
        MDB_val k = {sizeof key.bytes, key.bytes};
        rc = mdb_del(a->txn, a->l->file.db[GNT_LMDB_PAYLOADS], &k, NULL);
    }
    return rc == MDB_NOTFOUND ? GNT_OK : gnt_lmdb_err(rc);
}

/* The record at KEY goes: one reference less to its payload.  Of a record that is damaged nobody
 * knows whether it had one; what then stays behind is found by gnt_lmdb_compact. */
static gnt_err release(struct applying *a, enum gnt_lmdb_database database, const MDB_val *key,
                       const MDB_val *value)
{
    struct gnt_lmdb_record r;
    uint32_t refs;
    if (!gnt_lmdb_record_get(&a->l->file, database, key, value, &r) ||
        r.carries != GNT_LMDB_PAYLOAD)
        return GNT_OK;
    gnt_lmdb_file_touched(&a->l->file, TOUCH_NEXT);
    gnt_err err = gnt_lmdb_refs_get(&a->l->file, a->txn, r.payload, &refs);
    if (err == GNT_NOTFOUND || err == GNT_MALFORMED)
        return GNT_OK;
    if (err)
        return err;
    return refs > 1 ? gnt_lmdb_refs_put(&a->l->file, a->txn, r.payload, refs - 1)
                    : delete_payload(a, r.payload);
}

/* --- records --- */

static gnt_err open_cursor(struct applying *a, enum gnt_lmdb_database database)
{
    MDB_val key, value;
    int rc = mdb_cursor_open(a->txn, a->l->file.db[database], &a->cursor);
    if (rc)
        return gnt_lmdb_err(rc);
    a->last.size = 0;
    rc = mdb_cursor_get(a->cursor, &key, &value, MDB_LAST);
    if (!rc && key.mv_size > sizeof a->last.bytes)
        return GNT_IO;
    if (!rc) {
        memcpy(a->last.bytes, key.mv_data, key.mv_size);
        a->last.size = key.mv_size;
    }
    return rc == MDB_NOTFOUND ? GNT_OK : gnt_lmdb_err(rc);
}

/* Whether KEY is behind all others: LMDB then fills its pages from front to back. */
static bool is_last(struct applying *a, const struct gnt_lmdb_key *key)
{
    if (gnt_ordered_compare(gnt_slice(key->bytes, key->size),
                            gnt_slice(a->last.bytes, a->last.size)) <= 0)
        return false;
    a->last = *key;
    return true;
}

/* Puts *value at KEY unless there is something: MDB_KEYEXIST, *value is that, and *flags are for
 * putting over it. */
static int put_fresh(struct applying *a, enum gnt_lmdb_database database, MDB_val *key,
                     bool is_last_key, MDB_val *value, unsigned *flags)
{
    MDB_val old;
    *flags = 0;
    if (a->l->doubtful[database]) { /* it may stand where LMDB would not look for it */
        int rc = gnt_lmdb_look_for(a->l, a->cursor, database, gnt_lmdb_slice(key), &old);
        if (rc == 0) {
            *value = old;
            *flags = MDB_CURRENT;
            return MDB_KEYEXIST;
        }
        if (rc != MDB_NOTFOUND)
            return rc;
    }
    return mdb_cursor_put(a->cursor, key, value, is_last_key ? MDB_APPEND : MDB_NOOVERWRITE);
}

/* Puts what l->value holds at KEY; *fresh: there was nothing. */
static gnt_err put_value(struct applying *a, enum gnt_lmdb_database database,
                         struct gnt_lmdb_key *key, bool *fresh)
{
    struct gnt_slice bytes = gnt_buf_slice(&a->l->value);
    MDB_val k = {key->size, key->bytes}, v = gnt_lmdb_val(bytes);
    unsigned flags;
    int rc = put_fresh(a, database, &k, is_last(a, key), &v, &flags);
    *fresh = rc == 0;
    if (rc != MDB_KEYEXIST)
        return gnt_lmdb_err(rc);
    gnt_err err = release(a, database, &k, &v);
    if (err)
        return err;
    k = (MDB_val){key->size, key->bytes};
    v = gnt_lmdb_val(bytes);
    return gnt_lmdb_err(mdb_cursor_put(a->cursor, &k, &v, flags));
}

static gnt_err put_record(struct applying *a, enum gnt_lmdb_database database,
                          struct gnt_lmdb_key *key, const struct gnt_record *r, bool *fresh)
{
    struct gnt_lmdb_record record = {.value = r->record.value};
    if (shared(r->payload)) {
        record.carries = GNT_LMDB_PAYLOAD;
        record.payload = number_of(a, r->payload);
    } else if (r->record.message) {
        gnt_err err = encode(a, r->record.message);
        if (err)
            return err;
        record.carries = GNT_LMDB_MESSAGE;
        record.message = gnt_buf_slice(&a->l->message);
    }
    gnt_err err =
        gnt_lmdb_record_put(&a->l->value, database, gnt_slice(key->bytes, key->size), &record);
    return err ? err : put_value(a, database, key, fresh);
}

/* Deletes the record at KEY, if there is one. */
static gnt_err delete_record(struct applying *a, enum gnt_lmdb_database database,
                             struct gnt_lmdb_key *key, bool *found)
{
    MDB_val k = {key->size, key->bytes}, v;
    int rc = gnt_lmdb_look_for(a->l, a->cursor, database, gnt_lmdb_slice(&k), &v);
    *found = rc == 0;
    if (rc)
        return rc == MDB_NOTFOUND ? GNT_OK : gnt_lmdb_err(rc);
    gnt_err err = release(a, database, &k, &v);
    return err ? err : gnt_lmdb_err(mdb_cursor_del(a->cursor, 0));
}

static void touched(struct applying *a, size_t bytes)
{
    a->dirty += bytes;
    gnt_lmdb_file_touched(&a->l->file, bytes);
}

/* --- tables --- */

static gnt_err apply_table(struct applying *a, const struct gnt_memtable_table *t)
{
    const struct gnt_slice none = {NULL, 0}, name = gnt_slice(t->name, t->name_size);
    gnt_err err = GNT_OK;
    bool ignored;
    struct gnt_ordered_node *node = gnt_ordered_from(&t->records, none);
    for (; node && !err; node = gnt_ordered_after(&t->records, node->key)) {
        const struct gnt_record *r = GNT_CONTAINER(node, struct gnt_record, node);
        struct gnt_lmdb_key key = gnt_lmdb_key(name, node->key);
        err = r->mark ? delete_record(a, GNT_LMDB_TABLES, &key, &ignored)
                      : put_record(a, GNT_LMDB_TABLES, &key, r, &ignored);
        touched(a, 4096 + r->record.value.size);
        gnt_lmdb_file_touched(&a->l->file, TOUCH / 2);
    }
    return err;
}

/* --- logs --- */

static gnt_err trim(struct applying *a, struct gnt_slice name, uint64_t up_to,
                    struct gnt_lmdb_log *log)
{
    struct gnt_lmdb_key start = gnt_lmdb_entry_key(name, 0);
    struct gnt_lmdb_walk w = gnt_lmdb_walk(a->l, a->cursor, GNT_LMDB_ENTRIES, &start,
                                           gnt_slice(start.bytes, start.common));
    int rc;
    while (!(rc = gnt_lmdb_walk_next(&w))) {
        uint64_t sequence;
        gnt_lmdb_key_sequence(gnt_lmdb_slice(&w.key), &sequence);
        if (sequence > up_to && w.whole)
            return GNT_OK;
        if (sequence > up_to)
            continue;
        gnt_lmdb_file_touched(&a->l->file, TOUCH_NEXT + w.value.mv_size);
        gnt_err err = release(a, GNT_LMDB_ENTRIES, &w.key, &w.value);
        if (!err)
            err = gnt_lmdb_err(mdb_cursor_del(a->cursor, 0));
        if (err)
            return err;
        log->count -= log->count > 0;
    }
    return rc == MDB_NOTFOUND ? GNT_OK : gnt_lmdb_err(rc);
}

static gnt_err apply_entries(struct applying *a, const struct gnt_memtable_log *from,
                             struct gnt_slice name, struct gnt_lmdb_log *log)
{
    gnt_err err = GNT_OK;
    for (uint32_t i = 0; i < from->count && !err; i++) {
        const struct gnt_record *r = from->entries[from->first + i].record;
        struct gnt_lmdb_key key = gnt_lmdb_entry_key(name, r->record.sequence);
        bool found;
        if (r->mark) {
            err = delete_record(a, GNT_LMDB_ENTRIES, &key, &found);
            log->count -= !err && found && log->count > 0;
        } else {
            err = put_record(a, GNT_LMDB_ENTRIES, &key, r, &found);
            log->count += !err && found; /* there was none */
        }
        touched(a, TOUCH_NEXT / 8 + gnt_buf_size(&a->l->value));
    }
    return err;
}

static gnt_err put_log(struct applying *a, struct gnt_slice name, bool there,
                       const struct gnt_lmdb_log *before, const struct gnt_lmdb_log *log)
{
    if (log->last || log->count)
        return there && before->last == log->last && before->count == log->count
                   ? GNT_OK
                   : gnt_lmdb_log_put(&a->l->file, a->txn, name, log);
    MDB_val key = gnt_lmdb_val(name);
    int rc = there ? mdb_del(a->txn, a->l->file.db[GNT_LMDB_LOGS], &key, NULL) : 0;
    return rc == MDB_NOTFOUND ? GNT_OK : gnt_lmdb_err(rc);
}

static gnt_err apply_log(struct applying *a, const struct gnt_memtable_log *from)
{
    struct gnt_slice name = gnt_slice(from->name, from->name_size);
    struct gnt_lmdb_log log = {0};
    gnt_err err = gnt_lmdb_log_find(a->l, a->txn, name, &log);
    bool there = err != GNT_NOTFOUND;
    const struct gnt_lmdb_log before = log;
    if (err && there)
        return err;
    err = GNT_OK;
    if (there && (from->dropped || from->trimmed))
        err = trim(a, name, from->dropped ? UINT64_MAX : from->trimmed, &log);
    if (from->dropped)
        log = (struct gnt_lmdb_log){0};
    if (from->last > log.last)
        log.last = from->last;
    if (!err)
        err = apply_entries(a, from, name, &log);
    touched(a, 2 * 4096);
    gnt_lmdb_file_touched(&a->l->file, TOUCH);
    return err ? err : put_log(a, name, there, &before, &log);
}

/* --- all of it --- */

static gnt_err apply_tables(struct applying *a)
{
    gnt_err err = a->table_count ? open_cursor(a, GNT_LMDB_TABLES) : GNT_OK;
    for (uint32_t i = 0; i < a->table_count && !err; i++)
        err = apply_table(a, a->tables[i]);
    if (a->cursor)
        mdb_cursor_close(a->cursor);
    a->cursor = NULL;
    return err;
}

static gnt_err apply_logs(struct applying *a)
{
    gnt_err err = a->log_count ? open_cursor(a, GNT_LMDB_ENTRIES) : GNT_OK;
    for (uint32_t i = 0; i < a->log_count && !err; i++)
        err = apply_log(a, a->logs[i]);
    if (a->cursor)
        mdb_cursor_close(a->cursor);
    a->cursor = NULL;
    return err;
}

/* One transaction, done or not.  GNT_TOOBIG: the map is too small for it. */
static gnt_err transact(struct gnt_lmdb *l, void *of)
{
    struct applying *a = of;
    int dead, rc = mdb_reader_check(l->file.env, &dead); /* checks that died keep no pages */
    a->dirty = 0;
    if (!rc)
        rc = mdb_txn_begin(l->file.env, NULL, 0, &a->txn);
    a->failed_for_good = rc == MDB_PANIC;
    if (rc)
        return gnt_lmdb_err(rc);
    gnt_err err = put_payloads(a);
    if (!err)
        err = apply_tables(a);
    if (!err)
        err = apply_logs(a);
    if (!err)
        err = gnt_lmdb_mark_put(&l->file, a->txn, &a->mark);
    if (err) {
        mdb_txn_abort(a->txn);
        return err;
    }
    rc = mdb_txn_commit(a->txn);
    /* If the meta page could not be written, LMDB does not know what is on the disk. */
    a->failed_for_good = rc != 0 && rc != MDB_MAP_FULL;
    return gnt_lmdb_err(rc);
}

/* Whether the map is larger now. */
static bool grown(struct gnt_lmdb *l)
{
    MDB_envinfo before, after;
    if (mdb_env_info(l->file.env, &before) || before.me_mapsize > SIZE_MAX / 2)
        return false;
    return !gnt_lmdb_reopen(l, before.me_mapsize * 2) && !mdb_env_info(l->file.env, &after) &&
           after.me_mapsize > before.me_mapsize;
}

static gnt_err apply(struct applying *a)
{
    struct gnt_lmdb *l = a->l;
    gnt_err err;
    do {
        a->mark.next_payload = l->mark.next_payload;
        err = gnt_lmdb_guard(l, transact, a);
    } while (err == GNT_TOOBIG && grown(l));
    return err;
}

/* For who is above: what is damaged cannot be written to, and a map that cannot grow is full. */
static gnt_err as_promised(gnt_err err)
{
    return !err || err == GNT_NOMEM || err == GNT_FULL ? err
           : err == GNT_TOOBIG                         ? GNT_FULL
                                                       : GNT_IO;
}

gnt_err gnt_lmdb_apply(struct gnt_ground *ground, const struct gnt_memtable *table,
                       const struct gnt_ground_mark *mark)
{
    struct gnt_lmdb *l = GNT_CONTAINER(ground, struct gnt_lmdb, ground);
    struct applying a = {.l = l, .table = table, .mark = {.mark = *mark}};
    if (atomic_load(&l->stopped))
        return GNT_IO;
    gnt_err err = l->file.env ? GNT_OK : gnt_lmdb_reopen(l, l->map_size);
    if (!err)
        err = put_in_order(&a);
    if (!err)
        err = apply(&a);
    free(a.tables);
    free(a.logs);
    free(a.payloads);
    if (!err) {
        pthread_mutex_lock(&l->reading);
        l->mark = a.mark;
        pthread_mutex_unlock(&l->reading);
    }
    gnt_buf_fini(&l->message);
    gnt_buf_fini(&l->value);
    if (err == GNT_MALFORMED || atomic_load(&l->stopped)) /* it is not the disk that failed */
        atomic_fetch_add(&l->damaged, 1);
    /* It is safe already: should the file not open now, the next one who needs it tries again. */
    if (a.failed_for_good || a.dirty > DIRTY_MAX)
        (void)!gnt_lmdb_reopen(l, l->map_size);
    return as_promised(err);
}
