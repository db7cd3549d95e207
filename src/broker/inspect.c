#include "broker/inspect.h"

#include "base/utf8.h"
#include "core/queue_record.h"
#include "store/bytes.h"
#include "store/look.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_SHOWN = 160, TEXT_MAX = 512 };

static gnt_err fail(char *why, const char *path, gnt_err err)
{
    snprintf(why, GNT_DIRECTORY_WHY_MAX, "cannot look at %s: %s", path, gnt_err_text(err));
    return err;
}

/* ---- The directory */

static gnt_err hold(const char *path, struct gnt_inspect_holder *holder, int *fd, char *why)
{
    gnt_err err = gnt_directory_lock(path, fd, why);
    if (err != GNT_BUSY)
        return err;
    const char *number = strpbrk(why, "0123456789");
    holder->held = true;
    holder->pid = number ? (pid_t)strtol(number, NULL, 10) : 0;
    return GNT_OK;
}

static void look_at_file(int dir, const char *name, struct gnt_inspect_files *files)
{
    struct stat st;
    bool journal = strncmp(name, "journal-", 8) == 0;
    bool data = strcmp(name, "data.mdb") == 0;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return;
    if (data)
        files->data = (uint64_t)st.st_size;
    if (strcmp(name, "reserve") == 0)
        files->reserve = (uint64_t)st.st_size;
    if (journal) {
        files->journal += (uint64_t)st.st_size;
        files->journal_files++;
    }
    if ((data || journal) && st.st_mtime > files->written_s)
        files->written_s = st.st_mtime;
}

static gnt_err look_at_files(const char *path, struct gnt_inspect_files *files, char *why)
{
    DIR *dir = opendir(path);
    if (!dir && errno == ENOTDIR) {
        snprintf(why, GNT_DIRECTORY_WHY_MAX, "%s is no directory", path);
        return GNT_NOTFOUND;
    }
    if (!dir)
        return fail(why, path, gnt_err_from_errno(errno));
    for (struct dirent *entry; (entry = readdir(dir));)
        look_at_file(dirfd(dir), entry->d_name, files);
    closedir(dir);
    if (files->data)
        return GNT_OK;
    snprintf(why, GNT_DIRECTORY_WHY_MAX, "there is no store in %s", path);
    return GNT_NOTFOUND;
}

/* ---- What is in it */

struct reading {
    struct gnt_store_read read;
    void (*record)(void *to, const struct gnt_store_record *record);
    void *to;
    struct gnt_record_key last;
    gnt_err result;
};

static void on_record(struct gnt_store_read *read, const struct gnt_store_record *record)
{
    struct reading *r = GNT_CONTAINER(read, struct reading, read);
    r->last.size = record->key.size;
    memcpy(r->last.bytes, record->key.data, record->key.size);
    r->record(r->to, record);
}

static void on_done(struct gnt_completion *c, gnt_err result)
{
    GNT_CONTAINER(c, struct reading, read.completion)->result = result;
}

static struct reading reading_of(void (*record)(void *to, const struct gnt_store_record *record),
                                 void *to)
{
    return (struct reading){
        .read = {.completion = {.done = on_done, .deliver = gnt_store_deliver_here},
                 .record = on_record},
        .record = record,
        .to = to,
    };
}

static gnt_err each(struct gnt_store *store, const char *table,
                    void (*record)(void *to, const struct gnt_store_record *record), void *to)
{
    static const struct gnt_slice all;
    struct reading r = reading_of(record, to);
    do {
        struct gnt_record_key after = r.last;
        gnt_store_scan(store, gnt_slice_str(table), all, gnt_record_key_slice(&after),
                       GNT_STORE_READ_MAX, &r.read);
    } while (!r.result && r.read.more);
    return r.result;
}

struct counting {
    struct gnt_store *store;
    struct gnt_inspect_contents *contents;
    gnt_err err;
};

static void nothing(void *to, const struct gnt_store_record *record)
{
    (void)to;
    (void)record;
}

/* Adds what waits in LOG. */
static void count_log(struct counting *c, struct gnt_record_log log)
{
    struct reading r = reading_of(nothing, NULL);
    gnt_store_read(c->store, gnt_record_log_slice(&log), 0, 0, &r.read);
    c->contents->messages += r.read.log.count;
    c->err = c->err ? c->err : r.result;
}

static void on_session(void *to, const struct gnt_store_record *record)
{
    struct counting *c = to;
    struct gnt_session_record session;
    if (!gnt_session_record_read(record->value, &session))
        return;
    c->contents->sessions++;
    c->contents->connected += session.parted_ms == UINT64_MAX;
    count_log(c, gnt_record_log('s', session.number));
}

static void on_group(void *to, const struct gnt_store_record *record)
{
    struct counting *c = to;
    struct gnt_group_record group;
    if (!gnt_group_record_read(record->value, &group))
        return;
    c->contents->groups++;
    count_log(c, gnt_record_log('g', group.number));
}

static void on_queue(void *to, const struct gnt_store_record *record)
{
    struct counting *c = to;
    struct gnt_queue_record queue;
    if (!gnt_queue_record_read(record->value, &queue))
        return;
    c->contents->queues += queue.parent == 0;
    for (unsigned lane = 0; queue.lanes >> lane; lane++)
        if (queue.lanes >> lane & 1)
            count_log(c, gnt_queue_log(queue.number, lane));
}

static void count_one(void *to, const struct gnt_store_record *record)
{
    (void)record;
    ++*(uint64_t *)to;
}

static gnt_err count(struct gnt_store *store, struct gnt_inspect_contents *contents)
{
    struct counting c = {.store = store, .contents = contents};
    gnt_err err = each(store, "session", on_session, &c);
    if (!err)
        err = each(store, "group", on_group, &c);
    if (!err)
        err = each(store, "queue", on_queue, &c);
    if (!err)
        err = c.err;
    if (!err)
        err = each(store, "sub", count_one, &contents->subscriptions);
    return err ? err : each(store, "retained", count_one, &contents->retained);
}

static gnt_err look_inside(const char *path, struct gnt_inspect_contents *contents, char *why)
{
    struct gnt_look_report report;
    struct gnt_store *store;
    gnt_err err = gnt_look_open(path, &report, &store);
    contents->recovery = report.recovery;
    if (err) {
        snprintf(why, GNT_DIRECTORY_WHY_MAX, "%s", report.why);
        return err;
    }
    err = count(store, contents);
    gnt_store_close(&store);
    return err ? fail(why, path, err) : GNT_OK;
}

gnt_err gnt_inspect(const char *path, struct gnt_inspection *out, char *why)
{
    struct gnt_lmdb_report report;
    int fd = -1;
    *out = (struct gnt_inspection){0};
    gnt_err err = look_at_files(path, &out->files, why);
    if (!err)
        err = hold(path, &out->holder, &fd, why);
    if (!err) {
        err = gnt_lmdb_measure(path, &report);
        out->spare = report.spare;
        if (err)
            snprintf(why, GNT_DIRECTORY_WHY_MAX, "%s", report.where);
    }
    if (!err && !out->holder.held)
        err = look_inside(path, &out->contents, why);
    if (fd >= 0)
        close(fd);
    return err;
}

/* ---- What is wrong with it */

struct session_name {
    char text[NAME_MAX_SHOWN];
};

static void on_session_name(void *to, const struct gnt_store_record *record)
{
    struct session_name *name = to;
    struct gnt_session_record session;
    if (gnt_session_record_read(record->value, &session))
        gnt_utf8_printable(session.client_id, name->text, sizeof name->text);
}

/* "session 'thermometer'", or "session number 7" where nobody knows its client any more. */
static struct session_name name_session(struct gnt_store *store, uint64_t number)
{
    struct session_name id = {""}, name;
    struct gnt_record_key key = gnt_record_key_number(number);
    struct reading r = reading_of(on_session_name, &id);
    if (store)
        gnt_store_get(store, gnt_slice_str("session"), gnt_record_key_slice(&key), &r.read);
    if (id.text[0])
        snprintf(name.text, sizeof name.text, "session '%.*s'", NAME_MAX_SHOWN - 16, id.text);
    else
        snprintf(name.text, sizeof name.text, "session number %" PRIu64, number);
    return name;
}

static uint64_t leading_number(struct gnt_slice key)
{
    struct gnt_reader r = gnt_reader(key);
    uint64_t number = gnt_read_u64(&r);
    return r.bad ? 0 : number;
}

/* Records of which tables are what to people.  The key begins with the session's number, or goes on
 * with text behind it. */
static const struct {
    const char *table, *what;
    bool of_session, with_text;
} tables[] = {
    {"session", "the record", true, false},
    {"sub", "the subscription", true, true},
    {"received", "the state of an exactly-once message from its client", true, false},
    {"released", "the state of an exactly-once message to its client", true, false},
    {"group", "the record of a shared group", false, false},
    {"queue", "the record of a queue", false, false},
    {"queued", "how often a message of a queue has failed", false, false},
    {"retained", "the retained message", false, true},
    {"meta", "how sessions are spread over workers", false, false},
};

enum { TEXT_AT = 9 }; /* behind the number, and whether the text is a digest */

static void describe_record(struct gnt_store *store, const struct gnt_lmdb_damage *d, char *out)
{
    struct gnt_slice table = gnt_slice(d->name, d->name_size), key = gnt_slice(d->key, d->key_size);
    size_t i = 0, count = sizeof tables / sizeof tables[0];
    while (i < count && !gnt_slice_eq_str(table, tables[i].table))
        i++;
    if (i == count) {
        snprintf(out, TEXT_MAX, "a record");
        return;
    }
    char text[NAME_MAX_SHOWN] = "";
    struct session_name session = {""};
    if (tables[i].with_text && key.size > TEXT_AT && key.data[TEXT_AT - 1] == 0)
        gnt_utf8_printable(gnt_slice_skip(key, TEXT_AT), text, sizeof text);
    if (tables[i].of_session)
        session = name_session(store, leading_number(key));
    const char *quote = text[0] ? "'" : "", *space = text[0] ? " " : "";
    snprintf(out, TEXT_MAX, "%s%s%s%s%s%s%s", tables[i].what, space, quote, text, quote,
             session.text[0] ? " of " : "", session.text);
}

/* Of a log's name: 's' and a session's number, 'g' and a shared group's, 'q' and a queue's, or 'h'
 * and two workers'. */
static struct session_name name_log(struct gnt_store *store, const struct gnt_lmdb_damage *d)
{
    struct gnt_slice name = gnt_slice(d->name, d->name_size);
    struct session_name group = {"a shared group"}, queue = {"a queue"};
    struct session_name worker = {"another worker"};
    if (name.size == TEXT_AT && name.data[0] == 's')
        return name_session(store, leading_number(gnt_slice_skip(name, 1)));
    if (name.size == TEXT_AT && name.data[0] == 'q')
        return queue;
    return name.size == TEXT_AT && name.data[0] == 'g' ? group : worker;
}

static void describe(struct gnt_store *store, const struct gnt_lmdb_damage *d, char *out)
{
    switch (d->kind) {
    case GNT_LMDB_OF_TABLE: describe_record(store, d, out); break;
    case GNT_LMDB_OF_LOG:
        snprintf(out, TEXT_MAX, "message %" PRIu64 " of those that wait for %s", d->sequence,
                 name_log(store, d).text);
        break;
    case GNT_LMDB_OF_NUMBERS:
        snprintf(out, TEXT_MAX, "how many messages wait for %s", name_log(store, d).text);
        break;
    case GNT_LMDB_OF_PAYLOAD: snprintf(out, TEXT_MAX, "a message that several wait for"); break;
    }
}

static const char *kind_name(enum gnt_lmdb_kind kind)
{
    static const char *const names[] = {
        [GNT_LMDB_OF_TABLE] = "tables",
        [GNT_LMDB_OF_LOG] = "entries",
        [GNT_LMDB_OF_NUMBERS] = "logs",
        [GNT_LMDB_OF_PAYLOAD] = "payloads",
    };
    return names[kind];
}

static void tell_data(const struct gnt_inspect_check *c, struct gnt_store *store)
{
    char what[TEXT_MAX], line[TEXT_MAX + 64];
    for (size_t i = 0; i < c->data.named_count; i++) {
        const struct gnt_lmdb_damage *d = &c->data.named[i];
        describe(store, d, what);
        snprintf(line, sizeof line, "data.mdb, %s, record %" PRIu64 ": %s", kind_name(d->kind),
                 d->place, what);
        c->tell(c->context, line);
    }
    uint64_t rest = c->data.damaged - c->data.named_count;
    if (rest) {
        snprintf(line, sizeof line, "data.mdb: %" PRIu64 " more", rest);
        c->tell(c->context, line);
    }
    if (c->data.misplaced) {
        snprintf(line, sizeof line,
                 "data.mdb: %" PRIu64 " good records are not in their places, and may be missed",
                 c->data.misplaced);
        c->tell(c->context, line);
    }
    if (c->data.unreadable) {
        snprintf(line, sizeof line, "data.mdb: %" PRIu64 " records cannot be reached",
                 c->data.unreadable);
        c->tell(c->context, line);
    }
}

static void tell_journal(const struct gnt_inspect_check *c)
{
    const struct gnt_journal_report *j = &c->journal.journal;
    char line[TEXT_MAX];
    if (j->damaged) {
        snprintf(line, sizeof line,
                 "%s: damaged; missing from there on: %" PRIu64
                 " commits, and what they said of whatever session",
                 j->where, j->damaged);
        c->tell(c->context, line);
    }
    if (j->cut) {
        snprintf(line, sizeof line, "%s: the file ends there, and was longer when it was made",
                 j->where);
        c->tell(c->context, line);
    }
    if (c->journal.unreadable) {
        snprintf(line, sizeof line, "journal: %" PRIu64 " commits that say nothing or too little",
                 c->journal.unreadable);
        c->tell(c->context, line);
    }
    if (!c->journal_read)
        c->tell(c->context, "journal: not checked, as data.mdb does not say where it goes on");
}

uint64_t gnt_inspect_damages(const struct gnt_inspect_check *c)
{
    return c->data.damaged + c->data.misplaced + c->data.unreadable + c->journal.journal.damaged +
           c->journal.journal.cut + c->journal.unreadable;
}

/* The file as such is not what it should be. */
static void broken(struct gnt_inspect_check *c, const char *what)
{
    c->data.unreadable += c->data.unreadable == 0;
    c->tell(c->context, what);
}

static gnt_err check_journal(const char *path, struct gnt_inspect_check *c, char *why)
{
    struct gnt_look_report report;
    struct gnt_store *store = NULL;
    gnt_err err = gnt_look_open(path, &report, &store);
    c->journal = report.recovery;
    c->journal_read = !err;
    tell_data(c, store);
    if (err == GNT_MALFORMED)
        broken(c, report.why);
    tell_journal(c);
    gnt_store_close(&store);
    if (!err || err == GNT_MALFORMED)
        return GNT_OK;
    snprintf(why, GNT_DIRECTORY_WHY_MAX, "%s", report.why);
    return err;
}

static gnt_err check_all(const char *path, struct gnt_inspect_check *c, char *why)
{
    gnt_err err = gnt_lmdb_check(path, &c->data);
    if (!err)
        return check_journal(path, c, why);
    if (err == GNT_MALFORMED) {
        broken(c, c->data.where);
        tell_journal(c);
        return GNT_OK;
    }
    snprintf(why, GNT_DIRECTORY_WHY_MAX, "%s", c->data.where);
    return err;
}

gnt_err gnt_inspect_check(const char *path, struct gnt_inspect_check *check, char *why)
{
    struct gnt_inspect_files files = {0};
    int fd;
    gnt_err err = look_at_files(path, &files, why);
    if (!err)
        err = gnt_directory_lock(path, &fd, why);
    if (err)
        return err;
    err = check_all(path, check, why);
    close(fd);
    return err;
}

gnt_err gnt_inspect_compact(const char *path, struct gnt_lmdb_report *report, uint64_t *size,
                            char *why)
{
    struct gnt_inspect_files files = {0}, after = {0};
    int fd;
    gnt_err err = look_at_files(path, &files, why);
    if (!err)
        err = gnt_directory_lock(path, &fd, why);
    if (err)
        return err;
    err = gnt_lmdb_compact(path, report);
    if (err)
        snprintf(why, GNT_DIRECTORY_WHY_MAX, "cannot compact %s: %s", path,
                 report->where[0] ? report->where : gnt_err_text(err));
    else
        err = look_at_files(path, &after, why);
    *size = after.data;
    close(fd);
    return err;
}
