#include "store/lmdb_leg.h"

#include "store/bytes.h"
#include "store/lmdb_walk.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    COMMIT_EVERY = 4096, /* records; what a transaction of a copy needs memory for */
    TOUCH_NEXT = 1024,
    STOPPED = 42, /* exit code: LMDB has found that it cannot go on */
};

/* The child's. */
struct walker {
    const struct gnt_lmdb_leg *leg;
    struct gnt_lmdb_file from, to;
    MDB_txn *reading, *writing;
    MDB_txn *looking; /* for payloads: after an error a transaction finds nothing any more */
    struct gnt_buf scratch;
    struct gnt_slice log_name; /* entries of this log have been copied, and are not counted yet */
    struct gnt_lmdb_log log;
    uint8_t log_bytes[GNT_STORE_NAME_MAX];
    MDB_cursor *aside;        /* while it is only looked at */
    struct gnt_lmdb_key last; /* the last good one */
};

/* --- looking at one record --- */

static bool log_is_good(struct walker *w, const MDB_val *key, const MDB_val *value)
{
    struct gnt_slice body;
    return gnt_lmdb_unseal(&w->from, GNT_LMDB_LOGS, key, value, &body) && body.size == 16 &&
           key->mv_size <= GNT_STORE_NAME_MAX;
}

static bool payload_is_good(struct walker *w, const MDB_val *key, const MDB_val *value)
{
    struct gnt_slice body;
    return gnt_lmdb_unseal(&w->from, GNT_LMDB_PAYLOADS, key, value, &body);
}

/* Whether the record is whole, its message too. */
static bool record_is_good(struct walker *w, const MDB_val *key, const MDB_val *value,
                           struct gnt_lmdb_record *r)
{
    if (!gnt_lmdb_record_get(&w->from, w->leg->database, key, value, r))
        return false;
    if (r->carries != GNT_LMDB_PAYLOAD ||
        gnt_lmdb_payload_get(&w->from, w->looking, r->payload, &r->message) == GNT_OK)
        return true;
    mdb_txn_reset(w->looking);
    (void)!mdb_txn_renew(w->looking);
    return false;
}

static void set_name(struct gnt_lmdb_damage *d, struct gnt_slice name)
{
    if (name.size == 0 || name.size > sizeof d->name)
        return;
    d->name_size = name.size;
    memcpy(d->name, name.data, name.size);
}

/* Of a table: the size of its name, the name, the key. */
static void set_table(struct gnt_lmdb_damage *d, struct gnt_slice key)
{
    if (key.size == 0 || key.data[0] >= key.size)
        return;
    set_name(d, gnt_slice(key.data + 1, key.data[0]));
    struct gnt_slice rest = gnt_slice_skip(key, 1 + (size_t)key.data[0]);
    if (rest.size > sizeof d->key)
        return;
    d->key_size = rest.size;
    memcpy(d->key, rest.data, rest.size);
}

/* Keeps which record is damaged, if there is room for it. */
static void keep_name(struct walker *w, const MDB_val *key)
{
    struct gnt_lmdb_report *report = &w->leg->shared->report;
    if (report->named_count == GNT_LMDB_NAMED_MAX)
        return;
    static const enum gnt_lmdb_kind kinds[GNT_LMDB_DATABASES] = {
        [GNT_LMDB_TABLES] = GNT_LMDB_OF_TABLE,
        [GNT_LMDB_ENTRIES] = GNT_LMDB_OF_LOG,
        [GNT_LMDB_LOGS] = GNT_LMDB_OF_NUMBERS,
        [GNT_LMDB_PAYLOADS] = GNT_LMDB_OF_PAYLOAD,
    };
    struct gnt_lmdb_damage *d = &report->named[report->named_count++];
    *d = (struct gnt_lmdb_damage){.kind = kinds[w->leg->database],
                                  .place = w->leg->shared->steps + 1};
    if (!gnt_lmdb_file_holds(&w->from, key))
        return;
    struct gnt_slice bytes = gnt_lmdb_slice(key);
    struct gnt_reader reader = gnt_reader(bytes);
    switch (d->kind) {
    case GNT_LMDB_OF_TABLE: set_table(d, bytes); break;
    case GNT_LMDB_OF_LOG: set_name(d, gnt_lmdb_key_sequence(bytes, &d->sequence)); break;
    case GNT_LMDB_OF_NUMBERS: set_name(d, bytes); break;
    case GNT_LMDB_OF_PAYLOAD: d->sequence = gnt_read_u64(&reader); break;
    }
}

static void note(struct walker *w, bool good, const MDB_val *key)
{
    struct gnt_lmdb_report *report = &w->leg->shared->report;
    static const char *const what[GNT_LMDB_DATABASES] = {"meta", "table", "log", "log's numbers",
                                                         "payload"};
    bool in_place = !good || gnt_lmdb_is_in_place(w->aside, key, w->leg->backward, &w->last);
    /* Payloads are no records: those that need a damaged one are. */
    report->good += good && w->leg->database != GNT_LMDB_PAYLOADS;
    report->damaged += !good;
    report->misplaced += !in_place;
    if (!good)
        keep_name(w, key);
    if ((good && in_place) || report->where[0])
        return;
    int printed = snprintf(report->where, sizeof report->where, "%s, record %ju, %skey ",
                           what[w->leg->database], (uintmax_t)w->leg->shared->steps + 1,
                           good ? "not in its place, " : "");
    const uint8_t *bytes = key->mv_data;
    bool readable = gnt_lmdb_file_holds(&w->from, key);
    for (size_t i = 0; readable && i < key->mv_size && i < 64 && printed > 0; i++)
        printed +=
            snprintf(report->where + printed, sizeof report->where - (size_t)printed,
                     bytes[i] >= ' ' && bytes[i] < 0x7f && bytes[i] != '\\' ? "%c" : "\\%02x",
                     bytes[i]);
}

/* --- copying it --- */

static gnt_err copy_payload(struct walker *w, const struct gnt_lmdb_record *r)
{
    uint32_t refs;
    gnt_err err = gnt_lmdb_refs_get(&w->to, w->writing, r->payload, &refs);
    if (err == GNT_NOTFOUND) {
        refs = 0;
        err = gnt_lmdb_payload_put(&w->to, w->writing, r->payload, r->message, &w->scratch);
    }
    return err ? err : gnt_lmdb_refs_put(&w->to, w->writing, r->payload, refs + 1);
}

/* Adds what has been copied of a log to its numbers. */
static gnt_err flush_log(struct walker *w)
{
    struct gnt_lmdb_log log;
    if (w->log_name.size == 0)
        return GNT_OK;
    gnt_err err = gnt_lmdb_log_get(&w->to, w->writing, w->log_name, &log);
    if (err && err != GNT_NOTFOUND)
        return err;
    log.count += w->log.count;
    if (log.last < w->log.last)
        log.last = w->log.last;
    err = gnt_lmdb_log_put(&w->to, w->writing, w->log_name, &log);
    w->log_name.size = 0;
    return err;
}

static gnt_err count_entry(struct walker *w, const MDB_val *key)
{
    uint64_t sequence;
    struct gnt_slice name = gnt_lmdb_key_sequence(gnt_lmdb_slice(key), &sequence);
    if (name.size > sizeof w->log_bytes)
        return GNT_MALFORMED;
    if (!gnt_slice_eq(name, w->log_name)) {
        gnt_err err = flush_log(w);
        if (err)
            return err;
        memcpy(w->log_bytes, name.data, name.size);
        w->log_name = gnt_slice(w->log_bytes, name.size);
        w->log = (struct gnt_lmdb_log){0};
    }
    w->log.count++;
    if (w->log.last < sequence)
        w->log.last = sequence;
    return GNT_OK;
}

/* Behind all others if it can be, which fills the pages; what is there already stays. */
static gnt_err copy_record(struct walker *w, const MDB_val *key, const MDB_val *value,
                           const struct gnt_lmdb_record *r)
{
    MDB_dbi db = w->to.db[w->leg->database];
    MDB_val k = *key, v = *value;
    int rc = w->leg->backward ? MDB_KEYEXIST : mdb_put(w->writing, db, &k, &v, MDB_APPEND);
    if (rc == MDB_KEYEXIST)
        rc = mdb_put(w->writing, db, &k, &v, MDB_NOOVERWRITE);
    if (rc)
        return rc == MDB_KEYEXIST ? GNT_OK : gnt_lmdb_err(rc);
    gnt_err err = r->carries == GNT_LMDB_PAYLOAD ? copy_payload(w, r) : GNT_OK;
    return err || w->leg->database != GNT_LMDB_ENTRIES ? err : count_entry(w, key);
}

/* The numbers of a log; its entries have been counted. */
static gnt_err copy_log(struct walker *w, const MDB_val *key)
{
    struct gnt_lmdb_log old, log;
    struct gnt_slice name = gnt_lmdb_slice(key);
    gnt_err err = gnt_lmdb_log_get(&w->from, w->reading, name, &old);
    if (err)
        return err;
    err = gnt_lmdb_log_get(&w->to, w->writing, name, &log);
    if (err && err != GNT_NOTFOUND)
        return err;
    log.last = old.last > log.last ? old.last : log.last;
    return gnt_lmdb_log_put(&w->to, w->writing, name, &log);
}

static gnt_err begin_copy(struct walker *w)
{
    return gnt_lmdb_err(mdb_txn_begin(w->to.env, NULL, 0, &w->writing));
}

static gnt_err commit_copy(struct walker *w)
{
    gnt_err err = flush_log(w);
    return err ? err : gnt_lmdb_err(mdb_txn_commit(w->writing));
}

/* --- one way --- */

static gnt_err visit(struct walker *w, const MDB_val *key, const MDB_val *value)
{
    struct gnt_lmdb_record r;
    gnt_err err = GNT_OK;
    bool good;
    switch (w->leg->database) {
    case GNT_LMDB_LOGS: good = log_is_good(w, key, value); break;
    case GNT_LMDB_PAYLOADS: good = payload_is_good(w, key, value); break;
    default: good = record_is_good(w, key, value, &r); break;
    }
    if (!w->leg->copy)
        note(w, good, key);
    else if (good && w->leg->database == GNT_LMDB_LOGS)
        err = copy_log(w, key);
    else if (good)
        err = copy_record(w, key, value, &r);
    gnt_lmdb_file_touched(&w->from, TOUCH_NEXT + (good ? value->mv_size : 0));
    if (!err && w->leg->copy && ++w->leg->shared->steps % COMMIT_EVERY == 0) {
        err = commit_copy(w);
        return err ? err : begin_copy(w);
    }
    w->leg->shared->steps += !w->leg->copy;
    return err;
}

static gnt_err walk(struct walker *w)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_cursor_op first = w->leg->backward ? MDB_LAST : MDB_FIRST;
    MDB_cursor_op next = w->leg->backward ? MDB_PREV : MDB_NEXT;
    MDB_dbi db = w->from.db[w->leg->database];
    int rc = mdb_cursor_open(w->reading, db, &cursor);
    if (!rc && (rc = mdb_cursor_open(w->reading, db, &w->aside)))
        mdb_cursor_close(cursor);
    if (rc)
        return gnt_lmdb_err(rc);
    gnt_err err = GNT_OK;
    for (uint64_t i = 0; !rc && !err && i < w->leg->most; i++) {
        rc = mdb_cursor_get(cursor, &key, &value, i ? next : first);
        if (!rc)
            err = visit(w, &key, &value);
    }
    mdb_cursor_close(w->aside);
    mdb_cursor_close(cursor);
    /* What LMDB notices ends this leg, and the records that it did not come to are missed. */
    return err;
}

static gnt_err count_spare(struct walker *w)
{
    MDB_stat stat;
    MDB_cursor *cursor;
    MDB_val key, value;
    struct gnt_lmdb_shared *s = w->leg->shared;
    int rc = mdb_env_stat(w->from.env, &stat);
    if (!rc)
        rc = mdb_cursor_open(w->reading, 0, &cursor); /* LMDB's list of free pages */
    if (rc)
        return gnt_lmdb_err(rc);
    s->report.spare = 0;
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        size_t pages = 0;
        if (value.mv_size >= sizeof pages && gnt_lmdb_file_holds(&w->from, &value))
            memcpy(&pages, value.mv_data, sizeof pages);
        s->report.spare += (uint64_t)pages * stat.ms_psize;
    }
    mdb_cursor_close(cursor);
    return GNT_OK;
}

static gnt_err begin_reading(struct walker *w)
{
    int rc = mdb_txn_begin(w->from.env, NULL, MDB_RDONLY, &w->reading);
    return gnt_lmdb_err(rc ? rc : mdb_txn_begin(w->from.env, NULL, MDB_RDONLY, &w->looking));
}

/* Format, mark, and how many records there should be. */
static gnt_err look_at_meta(struct walker *w)
{
    struct gnt_lmdb_shared *s = w->leg->shared;
    uint32_t format;
    MDB_stat stat;
    char *why = s->report.where;
    gnt_err err = gnt_lmdb_file_find_databases(&w->from);
    if (!err)
        err = begin_reading(w);
    if (!err)
        err = gnt_lmdb_format_get(&w->from, w->reading, &format);
    if (err)
        return gnt_lmdb_why(why, GNT_MALFORMED, "data.mdb in %s is damaged: no format",
                            w->leg->path);
    if (format != GNT_GROUND_FORMAT)
        return gnt_lmdb_why(why, GNT_UNSUPPORTED, "data.mdb in %s has format %u", w->leg->path,
                            (unsigned)format);
    err = gnt_lmdb_mark_get(&w->from, w->reading, &s->mark);
    if (err)
        return gnt_lmdb_why(why, GNT_MALFORMED, "data.mdb in %s is damaged: no mark", w->leg->path);
    s->report.mark = s->mark.mark;
    int rc = mdb_stat(w->reading, w->from.db[w->leg->database], &stat);
    s->expected = rc ? 0 : stat.ms_entries;
    return gnt_lmdb_err(rc);
}

__attribute__((noreturn)) static void stop(MDB_env *env, const char *text)
{
    (void)env;
    (void)text;
    _exit(STOPPED);
}

static gnt_err run_leg(struct walker *w)
{
    struct gnt_lmdb_shared *s = w->leg->shared;
    gnt_err err =
        gnt_lmdb_file_open(&w->from, w->leg->path, MDB_RDONLY, s->map_size, s->report.where);
    if (err)
        return err;
    mdb_env_set_assert(w->from.env, stop);
    err = look_at_meta(w);
    if (err || !w->leg->copy)
        return err ? err : (err = count_spare(w)) ? err : walk(w);
    err = gnt_lmdb_file_open(&w->to, w->leg->copy, MDB_NOSUBDIR | MDB_NOLOCK, s->map_size,
                             s->report.where);
    if (!err)
        err = begin_copy(w);
    if (!err)
        err = gnt_lmdb_file_databases(&w->to, w->writing, 0);
    if (!err)
        err = gnt_lmdb_mark_put(&w->to, w->writing, &s->mark);
    if (!err)
        err = walk(w);
    return err ? err : commit_copy(w);
}

/* The child of a process with other threads: it takes no lock that another one could have held,
 * other than malloc's, which fork sees to.  What it leaves open is its own. */
__attribute__((noreturn)) static void child(const struct gnt_lmdb_leg *leg)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
        signal(crashes[i], SIG_DFL);
    struct walker w = {.leg = leg};
    leg->shared->err = run_leg(&w);
    mdb_txn_abort(w.looking); /* their places as readers would keep pages from being reused */
    mdb_txn_abort(w.reading);
    _exit(0);
}

gnt_err gnt_lmdb_leg_run(const struct gnt_lmdb_leg *leg, bool *died)
{
    int status = 0;
    leg->shared->steps = 0;
    leg->shared->err = GNT_OK;
    pid_t pid = fork();
    if (pid < 0)
        return gnt_err_from_errno(errno) == GNT_MORE ? GNT_NOMEM : gnt_err_from_errno(errno);
    if (pid == 0)
        child(leg);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return GNT_IO;
    *died = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    return leg->shared->err;
}

struct gnt_lmdb_shared *gnt_lmdb_shared_new(void)
{
    void *at = mmap(NULL, sizeof(struct gnt_lmdb_shared), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

void gnt_lmdb_shared_free(struct gnt_lmdb_shared *shared)
{
    munmap(shared, sizeof *shared);
}
