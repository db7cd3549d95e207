#include "store/lmdb_walk.h"

#include "base/assert.h"
#include "base/list.h"
#include "store/message_codec.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAGIC = 0x6c6d6462,
    /* What one look-up makes resident: the kernel maps the pages around each that is touched. */
    TOUCH = 128 * 1024,
};

/* Address space, not memory.  64-bit machines have at least 39 bits of it. */
#define MAP_SIZE (sizeof(void *) > 4 ? (size_t)UINT64_C(1) << 36 : (size_t)1 << 28)

static struct gnt_lmdb *lmdb_of(struct gnt_ground *g)
{
    struct gnt_lmdb *l = GNT_CONTAINER(g, struct gnt_lmdb, ground);
    GNT_CHECK_MAGIC(l, MAGIC);
    return l;
}

/* --- when LMDB stops --- */

/* Where this thread goes on if LMDB finds its pages impossible, and why it does. */
static _Thread_local sigjmp_buf *escape;
enum { ASSERTED = 1, FAULTED };

__attribute__((noreturn)) static void stop(MDB_env *env, const char *text)
{
    (void)env;
    (void)text;
    GNT_ASSERT(escape);
    siglongjmp(*escape, ASSERTED);
}

/* Damaged pages may also lead LMDB to addresses that there are none.  All others than its faults
 * come again when this returns, and end the process as they would have. */
static void on_fault(int signum)
{
    if (escape)
        siglongjmp(*escape, FAULTED);
    (void)signal(signum, SIG_DFL);
}

/* If the program has handlers of its own they stay. */
static void catch_faults(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS};
    const struct sigaction ours = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    struct sigaction now;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        if (sigaction(faults[i], NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
            now.sa_handler == SIG_DFL)
            (void)sigaction(faults[i], &ours, NULL);
}

/* 0: WORK has come to its end, *err is what it said; else why it has not. */
static int run(struct gnt_lmdb *l, gnt_err (*work)(struct gnt_lmdb *l, void *of), void *of,
               gnt_err *err)
{
    sigjmp_buf here;
    int why = sigsetjmp(here, 0);
    if (why) {
        escape = NULL;
        return why;
    }
    escape = &here;
    *err = work(l, of);
    escape = NULL;
    return 0;
}

gnt_err gnt_lmdb_guard(struct gnt_lmdb *l, gnt_err (*work)(struct gnt_lmdb *l, void *of), void *of)
{
    gnt_err err = GNT_IO;
    if (!atomic_load(&l->stopped) && run(l, work, of, &err)) {
        gnt_lmdb_cursors_left(false);
        atomic_store(&l->stopped, true);
    }
    return err;
}

/* The same for work that only looks: where LMDB says that it cannot go on, nothing has happened to
 * what it holds, and it can be asked for something else. */
static gnt_err guard_reading(struct gnt_lmdb *l, gnt_err (*work)(struct gnt_lmdb *l, void *of),
                             void *of)
{
    gnt_err err = GNT_IO;
    int why = atomic_load(&l->stopped) ? 0 : run(l, work, of, &err);
    if (why == 0)
        return err;
    gnt_lmdb_cursors_left(why == ASSERTED);
    if (why == ASSERTED)
        mdb_txn_reset(l->reader);
    else
        atomic_store(&l->stopped, true);
    return err;
}

/* --- opening --- */

/* Brings a file of an older format to FORMAT, step by step, in one transaction. */
static gnt_err upgrade(struct gnt_lmdb_file *f, MDB_txn *txn, uint32_t from, uint32_t format,
                       const struct gnt_lmdb_options *options)
{
    gnt_err err = GNT_OK;
    for (; from < format && !err; from++) {
        const struct gnt_lmdb_upgrade *way = NULL;
        for (size_t i = 0; i < options->upgrade_count; i++)
            if (options->upgrades[i].from == from)
                way = &options->upgrades[i];
        err = way ? way->step(txn) : GNT_UNSUPPORTED;
    }
    return err ? err : gnt_lmdb_format_put(f, txn, format);
}

/* So that nothing is touched, the format is read in a transaction that cannot write. */
static gnt_err look_at_format(struct gnt_lmdb_file *f, uint32_t *format)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(f->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return gnt_lmdb_err(rc);
    rc = mdb_dbi_open(txn, "meta", 0, &f->db[GNT_LMDB_META]);
    gnt_err err = rc ? GNT_MALFORMED : gnt_lmdb_format_get(f, txn, format);
    mdb_txn_abort(txn);
    return err == GNT_NOTFOUND ? GNT_MALFORMED : err;
}

static gnt_err settle(struct gnt_lmdb *l, uint32_t from, const struct gnt_lmdb_options *options)
{
    MDB_txn *txn;
    uint32_t format = options->format ? options->format : GNT_GROUND_FORMAT;
    int rc = mdb_txn_begin(l->file.env, NULL, 0, &txn);
    if (rc)
        return gnt_lmdb_err(rc);
    gnt_err err = from < format ? upgrade(&l->file, txn, from, format, options) : GNT_OK;
    if (!err)
        err = gnt_lmdb_file_databases(&l->file, txn, 0);
    if (!err)
        err = gnt_lmdb_mark_get(&l->file, txn, &l->mark);
    if (!err)
        return gnt_lmdb_err(mdb_txn_commit(txn));
    mdb_txn_abort(txn);
    return err == GNT_NOTFOUND ? GNT_MALFORMED : err;
}

static gnt_err make_reader(struct gnt_lmdb *l)
{
    gnt_err err = gnt_lmdb_err(mdb_txn_begin(l->file.env, NULL, MDB_RDONLY, &l->reader));
    if (!err)
        mdb_txn_reset(l->reader);
    return err;
}

/* A file that is shorter than its pages say has lost some, unless they are pages that nobody uses
 * and that were never written: LMDB leaves such at the end sometimes. */
static gnt_err check_length(struct gnt_lmdb *l, char why[GNT_LMDB_WHY_MAX])
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat st;
    int fd;
    int rc = mdb_env_info(l->file.env, &info);
    if (!rc)
        rc = mdb_env_stat(l->file.env, &stat);
    if (!rc)
        rc = mdb_env_get_fd(l->file.env, &fd);
    if (rc || fstat(fd, &st) != 0)
        return gnt_lmdb_why(why, GNT_IO, "cannot look at data.mdb in %s", l->path);
    uint64_t size = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    if ((uint64_t)st.st_size >= size)
        return GNT_OK;
    struct gnt_lmdb_report report;
    gnt_err err = gnt_lmdb_check(l->path, &report);
    if (!err && report.damaged == 0 && report.unreadable == 0 && ftruncate(fd, (off_t)size) == 0)
        return GNT_OK;
    return gnt_lmdb_why(why, GNT_MALFORMED, "data.mdb in %s is cut short: %ju of %ju bytes",
                        l->path, (uintmax_t)st.st_size, (uintmax_t)size);
}

static const struct gnt_lmdb_options usual;

static gnt_err open_file(struct gnt_lmdb *l, const struct gnt_lmdb_options *options,
                         char why[GNT_LMDB_WHY_MAX])
{
    uint32_t newest = options->format ? options->format : GNT_GROUND_FORMAT, format = 0;
    gnt_err err = gnt_lmdb_file_open(&l->file, l->path, 0, l->map_size, why);
    if (err)
        return err;
    int dead;
    mdb_reader_check(l->file.env, &dead); /* of processes that were killed while they read */
    mdb_env_set_assert(l->file.env, stop);
    err = check_length(l, why);
    if (err)
        return err;
    err = look_at_format(&l->file, &format);
    if (!err && format > newest)
        return gnt_lmdb_why(why, GNT_UNSUPPORTED,
                            "data.mdb in %s has format %u, this version knows up to %u", l->path,
                            (unsigned)format, (unsigned)newest);
    if (!err)
        err = settle(l, format, options);
    if (!err)
        err = make_reader(l);
    return err ? gnt_lmdb_why(why, err, "cannot read data.mdb in %s (format %u): %s", l->path,
                              (unsigned)format, gnt_err_text(err))
               : GNT_OK;
}

static void close_file(struct gnt_lmdb *l)
{
    if (atomic_load(&l->stopped))
        return; /* what LMDB holds cannot be given back any more */
    mdb_txn_abort(l->reader);
    l->reader = NULL;
    gnt_lmdb_file_close(&l->file);
}

gnt_err gnt_lmdb_reopen(struct gnt_lmdb *l, size_t map_size)
{
    char why[GNT_LMDB_WHY_MAX];
    pthread_mutex_lock(&l->reading);
    close_file(l);
    l->map_size = map_size;
    gnt_err err = open_file(l, &usual, why);
    if (err)
        close_file(l);
    pthread_mutex_unlock(&l->reading);
    return err;
}

/* The file is made aside, so that one which is empty was not left by a crash, but cut. */
static gnt_err make_if_none(const char *path, uint32_t format, char why[GNT_LMDB_WHY_MAX])
{
    struct stat st;
    char *file = gnt_lmdb_file_name(path, "data.mdb");
    char *fresh = gnt_lmdb_file_name(path, "data.mdb.new");
    gnt_err err = file && fresh ? GNT_OK : GNT_NOMEM;
    if (err)
        gnt_lmdb_why(why, err, "%s", gnt_err_text(err));
    else if (stat(file, &st) == 0)
        err = st.st_size ? GNT_OK : gnt_lmdb_why(why, GNT_MALFORMED, "%s is empty", file);
    else if (errno != ENOENT)
        err = gnt_lmdb_why(why, gnt_err_from_errno(errno), "%s: %s", file, strerror(errno));
    else {
        err = gnt_lmdb_file_make(fresh, format, why);
        if (!err && (err = gnt_lmdb_file_rename(path, "data.mdb.new", "data.mdb")))
            gnt_lmdb_why(why, err, "cannot make %s: %s", file, gnt_err_text(err));
    }
    free(file);
    free(fresh);
    return err;
}

/* --- reading --- */

/* Room for what is read, and what is looked for. */
struct query {
    enum gnt_lmdb_database database;
    struct gnt_lmdb_key from;
    struct gnt_slice common; /* what the keys begin with */
    bool behind;             /* FROM itself is not meant */
    uint32_t most;
    struct gnt_record **out;
    uint32_t *count;
};

/* The record at KEY, whose BODY is whole; GNT_MALFORMED: but not what it should be. */
static gnt_err take(struct gnt_lmdb *l, const struct query *q, const MDB_val *key,
                    struct gnt_slice body, struct gnt_record **out)
{
    struct gnt_lmdb_record r;
    struct gnt_message *m = NULL;
    gnt_err err = GNT_OK;
    if (!gnt_lmdb_record_read(body, &r))
        return GNT_MALFORMED;
    if (r.carries == GNT_LMDB_PAYLOAD)
        err = gnt_lmdb_payload_get(&l->file, l->reader, r.payload, &r.message);
    if (!err && r.carries != GNT_LMDB_NOTHING)
        err = gnt_message_decode(r.message, l->time, &m);
    if (err)
        return err == GNT_NOMEM || err == GNT_IO ? err : GNT_MALFORMED;
    uint64_t sequence = 0;
    struct gnt_slice name_and_key = gnt_lmdb_slice(key), k = {NULL, 0};
    if (q->database == GNT_LMDB_TABLES)
        k = gnt_slice_skip(name_and_key, q->from.common);
    else
        gnt_lmdb_key_sequence(name_and_key, &sequence);
    *out = gnt_record_new(k, sequence, r.value, m);
    return *out ? GNT_OK : GNT_NOMEM;
}

static gnt_err collect(struct gnt_lmdb *l, const struct query *q, MDB_cursor *cursor)
{
    struct gnt_lmdb_walk w = gnt_lmdb_walk(l, cursor, q->database, &q->from, q->common);
    w.itself = !q->behind;
    gnt_err err = GNT_OK;
    int rc = 0;
    gnt_lmdb_file_touched(&l->file, TOUCH);
    while (!err && *q->count < q->most && !(rc = gnt_lmdb_walk_next(&w))) {
        if (!w.whole)
            continue;
        err = take(l, q, &w.key, w.body, &q->out[*q->count]);
        w.damaged += err == GNT_MALFORMED;
        *q->count += !err;
        if (err == GNT_MALFORMED)
            err = GNT_OK;
    }
    atomic_fetch_add(&l->damaged, w.damaged + w.strayed);
    return err ? err : rc == MDB_NOTFOUND ? GNT_OK : gnt_lmdb_err(rc);
}

static gnt_err run_query(struct gnt_lmdb *l, void *of)
{
    const struct query *q = of;
    MDB_cursor *cursor;
    int rc = mdb_txn_renew(l->reader);
    if (rc)
        return gnt_lmdb_err(rc);
    rc = gnt_lmdb_cursor_open(l->reader, l->file.db[q->database], &cursor);
    gnt_err err = gnt_lmdb_err(rc);
    if (!rc) {
        err = collect(l, q, cursor);
        gnt_lmdb_cursor_close(cursor);
    }
    mdb_txn_reset(l->reader);
    return err;
}

/* Calls WORK with the file open and nobody else reading. */
static gnt_err reading(struct gnt_lmdb *l, gnt_err (*work)(struct gnt_lmdb *l, void *of), void *of)
{
    pthread_mutex_lock(&l->reading);
    gnt_err err = l->reader ? guard_reading(l, work, of) : GNT_IO;
    pthread_mutex_unlock(&l->reading);
    if (err == GNT_MALFORMED || err == GNT_DENIED)
        err = GNT_IO;
    if (err == GNT_IO)
        atomic_fetch_add(&l->damaged, 1);
    return err;
}

static gnt_err query(struct gnt_lmdb *l, struct query *q)
{
    *q->count = 0;
    gnt_err err = reading(l, run_query, q);
    while (err && *q->count)
        gnt_record_unref(&q->out[--*q->count]);
    return err;
}

static gnt_err lmdb_scan(struct gnt_ground *g, struct gnt_slice table, struct gnt_slice prefix,
                         struct gnt_slice after, uint32_t most, struct gnt_record **out,
                         uint32_t *count)
{
    struct gnt_lmdb_key start = gnt_lmdb_key(table, prefix);
    struct query q = {
        GNT_LMDB_TABLES, start, gnt_slice(start.bytes, start.size), false, most, out, count};
    if (gnt_ordered_compare(after, prefix) >= 0) {
        q.from = gnt_lmdb_key(table, after);
        q.behind = true;
    }
    return query(lmdb_of(g), &q);
}

static gnt_err lmdb_read(struct gnt_ground *g, struct gnt_slice log, uint64_t from, uint32_t most,
                         struct gnt_record **out, uint32_t *count)
{
    struct gnt_lmdb_key at = gnt_lmdb_entry_key(log, from);
    struct query q = {
        GNT_LMDB_ENTRIES, at, gnt_slice(at.bytes, at.common), false, most, out, count};
    return query(lmdb_of(g), &q);
}

struct single {
    struct query query;
    struct gnt_record *found;
};

static gnt_err run_get(struct gnt_lmdb *l, void *of)
{
    struct single *s = of;
    MDB_val key = {s->query.from.size, s->query.from.bytes}, value;
    int rc = mdb_txn_renew(l->reader);
    if (rc)
        return gnt_lmdb_err(rc);
    rc = mdb_get(l->reader, l->file.db[GNT_LMDB_TABLES], &key, &value);
    struct gnt_slice body;
    gnt_err err = rc ? gnt_lmdb_err(rc) : GNT_MALFORMED;
    if (!rc && gnt_lmdb_unseal(&l->file, GNT_LMDB_TABLES, &key, &value, &body))
        err = take(l, &s->query, &key, body, &s->found);
    mdb_txn_reset(l->reader);
    gnt_lmdb_file_touched(&l->file, TOUCH);
    if (err == GNT_MALFORMED)
        atomic_fetch_add(&l->damaged, 1);
    return err == GNT_MALFORMED || err == GNT_NOTFOUND ? GNT_OK : err;
}

static gnt_err lmdb_get(struct gnt_ground *g, struct gnt_slice table, struct gnt_slice key,
                        struct gnt_record **out)
{
    struct single s = {.query = {.database = GNT_LMDB_TABLES, .from = gnt_lmdb_key(table, key)}};
    gnt_err err = reading(lmdb_of(g), run_get, &s);
    *out = s.found;
    return err;
}

/* --- logs --- */

struct log_query {
    struct gnt_slice name;
    struct gnt_ground_log *out;
};

static gnt_err run_log(struct gnt_lmdb *l, void *of)
{
    struct log_query *q = of;
    struct gnt_lmdb_log log = {0};
    int rc = mdb_txn_renew(l->reader);
    if (rc)
        return gnt_lmdb_err(rc);
    gnt_err err = gnt_lmdb_log_find(l, l->reader, q->name, &log);
    mdb_txn_reset(l->reader);
    gnt_lmdb_file_touched(&l->file, TOUCH);
    if (!err)
        *q->out = (struct gnt_ground_log){.last = log.last, .count = log.count};
    return err == GNT_NOTFOUND ? GNT_OK : err;
}

static gnt_err lmdb_log(struct gnt_ground *g, struct gnt_slice name, struct gnt_ground_log *out)
{
    *out = (struct gnt_ground_log){0};
    struct log_query q = {name, out};
    return reading(lmdb_of(g), run_log, &q);
}

/* --- the ground --- */

static void lmdb_mark(struct gnt_ground *g, struct gnt_ground_mark *out)
{
    struct gnt_lmdb *l = lmdb_of(g);
    pthread_mutex_lock(&l->reading);
    *out = l->mark.mark;
    pthread_mutex_unlock(&l->reading);
}

static uint64_t lmdb_damaged(struct gnt_ground *g)
{
    return atomic_load(&lmdb_of(g)->damaged);
}

static void lmdb_close(struct gnt_ground *g)
{
    struct gnt_lmdb *l = lmdb_of(g);
    close_file(l);
    pthread_mutex_destroy(&l->reading);
    gnt_buf_fini(&l->message);
    gnt_buf_fini(&l->value);
    free(l->path);
    free(l);
}

static const struct gnt_ground_ops lmdb_ops = {
    .mark = lmdb_mark,
    .apply = gnt_lmdb_apply,
    .get = lmdb_get,
    .scan = lmdb_scan,
    .read = lmdb_read,
    .log = lmdb_log,
    .damaged = lmdb_damaged,
    .close = lmdb_close,
};

struct opening {
    const struct gnt_lmdb_options *options;
    char *why;
};

/* LMDB has no checksums: a page that has lost its keys looks like one that has none.  Tables are
 * read at every start anyway, and of logs each says how many entries it has. */
static void look_over(struct gnt_lmdb *l)
{
    static const enum gnt_lmdb_database small[] = {GNT_LMDB_TABLES, GNT_LMDB_LOGS};
    if (mdb_txn_renew(l->reader))
        return;
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        uint64_t wrong = 0;
        bool in_order = false;
        if (gnt_lmdb_look_over(l, l->reader, small[i], &wrong, &in_order))
            continue;
        l->doubtful[small[i]] = wrong || !in_order;
        atomic_fetch_add(&l->damaged, wrong + !in_order);
    }
    mdb_txn_reset(l->reader);
}

static gnt_err run_open(struct gnt_lmdb *l, void *of)
{
    struct opening *o = of;
    gnt_err err = open_file(l, o->options, o->why);
    if (!err)
        look_over(l);
    return err;
}

static struct gnt_lmdb *lmdb_new(const char *path, const struct gnt_store_time *time)
{
    struct gnt_lmdb *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    *l = (struct gnt_lmdb){.ground = {&lmdb_ops}, .magic = MAGIC, .time = time};
    l->path = strdup(path);
    if (l->path && pthread_mutex_init(&l->reading, NULL) == 0)
        return l;
    free(l->path);
    free(l);
    return NULL;
}

gnt_err gnt_lmdb_open(const char *path, const struct gnt_store_time *time,
                      const struct gnt_lmdb_options *options, struct gnt_ground **out,
                      char why[GNT_LMDB_WHY_MAX])
{
    const struct gnt_lmdb_options *o = options ? options : &usual;
    why[0] = '\0';
    struct gnt_lmdb *l = lmdb_new(path, time);
    if (!l)
        return gnt_lmdb_why(why, GNT_NOMEM, "%s", gnt_err_text(GNT_NOMEM));
    catch_faults();
    l->map_size = o->map_size ? o->map_size : MAP_SIZE;
    gnt_err err = make_if_none(path, o->format ? o->format : GNT_GROUND_FORMAT, why);
    if (!err)
        err = gnt_lmdb_guard(l, run_open, &(struct opening){o, why});
    if (err && why[0] == '\0')
        gnt_lmdb_why(why, err, "data.mdb in %s is damaged", path);
    if (!err)
        *out = &l->ground;
    else
        lmdb_close(&l->ground);
    return err;
}
