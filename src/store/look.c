#include "store/look.h"

#include "base/assert.h"
#include "store/durable_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAGIC = 0x6c6f6f6b };

/* The layers of a durable store, without what writes to them. */
struct look {
    struct gnt_store store;
    uint32_t magic;
    struct gnt_store_time time; /* times stay what they are on disk */
    struct gnt_durable layers;  /* memtables, active and ground: all that reading needs */
    struct gnt_group_reader reader;
    struct gnt_look_report *report; /* while it is opened */
};

static struct look *look_of(struct gnt_store *s)
{
    struct look *l = GNT_CONTAINER(s, struct look, store);
    GNT_CHECK_MAGIC(l, MAGIC);
    return l;
}

static void complete(struct gnt_completion *c)
{
    c->deliver(c->context, c);
}

static void look_commit(struct gnt_store *s, struct gnt_batch *batch, struct gnt_completion *c)
{
    (void)s;
    gnt_batch_fini(batch);
    c->result = GNT_UNSUPPORTED;
    complete(c);
}

static void look_get(struct gnt_store *s, struct gnt_slice table, struct gnt_slice key,
                     struct gnt_store_read *r)
{
    struct gnt_request q = {.name = table, .key = key};
    gnt_durable_get(&look_of(s)->layers, &q, r);
    complete(&r->completion);
}

static void look_scan(struct gnt_store *s, struct gnt_slice table, struct gnt_slice prefix,
                      struct gnt_slice after, uint32_t most, struct gnt_store_read *r)
{
    struct gnt_request q = {.name = table, .key = prefix, .after = after, .most = most};
    gnt_durable_scan(&look_of(s)->layers, &q, r);
    complete(&r->completion);
}

static void look_read(struct gnt_store *s, struct gnt_slice log, uint64_t from, uint32_t most,
                      struct gnt_store_read *r)
{
    struct gnt_request q = {.name = log, .from = from, .most = most};
    gnt_durable_read(&look_of(s)->layers, &q, r);
    complete(&r->completion);
}

static void look_close(struct gnt_store *s)
{
    struct look *l = look_of(s);
    gnt_memtable_fini(l->layers.active);
    gnt_group_reader_fini(&l->reader);
    if (l->layers.ground)
        l->layers.ground->ops->close(l->layers.ground);
    free(l);
}

static const struct gnt_store_engine look_engine = {
    .commit = look_commit,
    .get = look_get,
    .scan = look_scan,
    .read = look_read,
    .close = look_close,
};

/* What recovery would put into the ground goes on top of it. */
static gnt_err take(void *context, uint64_t number, struct gnt_slice bytes)
{
    struct look *l = context;
    struct gnt_group_head head;
    struct gnt_batch batch = {0};
    struct gnt_prepared prepared;
    (void)number;
    gnt_err err = gnt_group_read(&l->reader, bytes, &l->time, &head, &batch);
    if (!err)
        err = gnt_memtable_prepare(l->layers.active, &batch, &prepared);
    if (!err)
        gnt_memtable_done(l->layers.active, &prepared);
    gnt_batch_fini(&batch);
    if (err != GNT_MALFORMED)
        return err;
    l->report->recovery.unreadable++;
    return GNT_OK;
}

static gnt_err look_at_journal(struct look *l, const char *path)
{
    struct gnt_look_report *report = l->report;
    struct gnt_disk *disk;
    gnt_err err = gnt_disk_open(path, &disk);
    if (!err) {
        err = gnt_journal_replay(disk, report->mark.applied, take, l, &report->recovery.journal);
        disk->ops->free(disk);
    }
    if (err)
        snprintf(report->why, sizeof report->why, "cannot read the journal in %s: %s", path,
                 err == GNT_UNSUPPORTED ? "a newer version has written it" : gnt_err_text(err));
    return err;
}

/* Opening the ground would make one. */
static gnt_err is_there(const char *path, char *why)
{
    char *file = NULL;
    struct stat st;
    if (asprintf(&file, "%s/data.mdb", path) < 0)
        return GNT_NOMEM;
    gnt_err err = stat(file, &st) == 0 ? GNT_OK : gnt_err_from_errno(errno);
    if (err == GNT_NOTFOUND)
        snprintf(why, GNT_LMDB_WHY_MAX, "there is no store in %s", path);
    else if (err)
        snprintf(why, GNT_LMDB_WHY_MAX, "cannot look at %s: %s", file, gnt_err_text(err));
    free(file);
    return err;
}

gnt_err gnt_look_open(const char *path, struct gnt_look_report *report, struct gnt_store **out)
{
    *report = (struct gnt_look_report){0};
    gnt_err err = is_there(path, report->why);
    struct look *l = err ? NULL : calloc(1, sizeof *l);
    if (!l)
        return err ? err : GNT_NOMEM;
    *l = (struct look){.store.engine = &look_engine, .magic = MAGIC, .report = report};
    l->time.clock = &gnt_clock_system;
    l->layers.active = &l->layers.memtables[0];
    gnt_memtable_init(l->layers.active, true);
    struct gnt_store *store = &l->store;
    err = gnt_lmdb_open(path, &l->time, NULL, &l->layers.ground, report->why);
    if (!err) {
        l->layers.ground->ops->mark(l->layers.ground, &report->mark);
        err = look_at_journal(l, path);
    }
    if (err)
        gnt_store_close(&store);
    else
        *out = store;
    return err;
}
