#include "store/memory.h"

#include "base/assert.h"
#include "store/found.h"
#include "store/memtable.h"

#include <pthread.h>
#include <stdlib.h>

enum { MAGIC = 0x6d656d73 };

struct memory {
    struct gnt_store store;
    uint32_t magic;
    bool delayed; /* for life */
    /* Guards all below.  Nothing is taken inside; held while one batch is applied or one read
     * collects its at most GNT_STORE_READ_MAX records. */
    pthread_mutex_t lock;
    struct gnt_memtable all;
    struct gnt_list waiting; /* completions, in order, if delayed */
    gnt_err fail_next;
};

static struct memory *memory_of(struct gnt_store *s)
{
    struct memory *m = GNT_CONTAINER(s, struct memory, store);
    GNT_CHECK_MAGIC(m, MAGIC);
    return m;
}

/* All of it or nothing.  Under the lock. */
static gnt_err apply(struct memory *m, const struct gnt_batch *b)
{
    struct gnt_prepared prepared;
    gnt_err err = m->fail_next;
    m->fail_next = GNT_OK;
    if (!err)
        err = gnt_memtable_prepare(&m->all, b, &prepared);
    if (!err)
        gnt_memtable_done(&m->all, &prepared);
    return err;
}

static void deliver(struct gnt_completion *c)
{
    c->deliver(c->context, c);
}

/* Takes the batch; it waits for gnt_store_memory_run(). */
static void commit_later(struct memory *m, struct gnt_batch *batch, struct gnt_completion *c)
{
    struct gnt_batch *held = malloc(sizeof *held);
    if (held)
        *held = *batch;
    else
        gnt_batch_fini(batch);
    *batch = (struct gnt_batch){0};
    c->held = held;
    c->result = held ? GNT_OK : GNT_NOMEM;
    pthread_mutex_lock(&m->lock);
    gnt_list_push_back(&m->waiting, &c->link);
    pthread_mutex_unlock(&m->lock);
}

static void memory_commit(struct gnt_store *s, struct gnt_batch *batch, struct gnt_completion *c)
{
    struct memory *m = memory_of(s);
    if (m->delayed) {
        commit_later(m, batch, c);
        return;
    }
    pthread_mutex_lock(&m->lock);
    c->result = apply(m, batch);
    pthread_mutex_unlock(&m->lock);
    gnt_batch_fini(batch);
    deliver(c);
}

/* Ends a read: unlocks, and completes now or later. */
static void finish(struct memory *m, struct gnt_store_read *r, gnt_err err)
{
    r->completion.result = err;
    if (m->delayed)
        gnt_list_push_back(&m->waiting, &r->completion.link);
    pthread_mutex_unlock(&m->lock);
    if (!m->delayed)
        deliver(&r->completion);
}

static void memory_get(struct gnt_store *s, struct gnt_slice table, struct gnt_slice key,
                       struct gnt_store_read *r)
{
    struct memory *m = memory_of(s);
    pthread_mutex_lock(&m->lock);
    struct gnt_record *record = gnt_memtable_get(&m->all, table, key);
    gnt_err err = record ? gnt_found_begin(r, 1) : GNT_NOTFOUND;
    if (!err)
        gnt_found_add(r, record);
    finish(m, r, err);
}

static void memory_scan(struct gnt_store *s, struct gnt_slice table, struct gnt_slice prefix,
                        struct gnt_slice after, uint32_t most, struct gnt_store_read *r)
{
    struct memory *m = memory_of(s);
    pthread_mutex_lock(&m->lock);
    gnt_err err = gnt_found_begin(r, most);
    struct gnt_record *next = err ? NULL : gnt_memtable_after(&m->all, table, prefix, after);
    while (next && gnt_found_add(r, next))
        next = gnt_memtable_after(&m->all, table, prefix, next->record.key);
    r->more = next != NULL;
    finish(m, r, err);
}

static void memory_read(struct gnt_store *s, struct gnt_slice name, uint64_t from, uint32_t most,
                        struct gnt_store_read *r)
{
    struct memory *m = memory_of(s);
    pthread_mutex_lock(&m->lock);
    gnt_err err = gnt_found_begin(r, most);
    const struct gnt_memtable_log *log = err ? NULL : gnt_memtable_log(&m->all, name);
    if (log) {
        uint32_t at = gnt_memtable_from(log, from), end = log->first + log->count;
        r->log.first = log->count ? log->entries[log->first].sequence : 0;
        r->log.last = log->last;
        r->log.count = log->count;
        while (at < end && gnt_found_add(r, log->entries[at].record))
            at++;
        r->more = at < end;
    }
    finish(m, r, err);
}

static void complete(struct memory *m, struct gnt_list *link)
{
    struct gnt_completion *c = GNT_CONTAINER(link, struct gnt_completion, link);
    struct gnt_batch *batch = c->hand ? NULL : c->held;
    if (batch) {
        pthread_mutex_lock(&m->lock);
        c->result = apply(m, batch);
        pthread_mutex_unlock(&m->lock);
        gnt_batch_fini(batch);
        free(batch);
        c->held = NULL;
    }
    deliver(c);
}

size_t gnt_store_memory_run(struct gnt_store *s)
{
    struct memory *m = memory_of(s);
    struct gnt_list due;
    gnt_list_init(&due);
    pthread_mutex_lock(&m->lock);
    gnt_list_splice_back(&due, &m->waiting);
    pthread_mutex_unlock(&m->lock);
    size_t count = 0;
    for (struct gnt_list *link; (link = gnt_list_pop_front(&due)); count++)
        complete(m, link);
    return count;
}

bool gnt_store_memory_step(struct gnt_store *s)
{
    struct memory *m = memory_of(s);
    pthread_mutex_lock(&m->lock);
    struct gnt_list *first = gnt_list_pop_front(&m->waiting);
    pthread_mutex_unlock(&m->lock);
    if (first)
        complete(m, first);
    return first;
}

void gnt_store_memory_fail_next(struct gnt_store *s, gnt_err err)
{
    struct memory *m = memory_of(s);
    pthread_mutex_lock(&m->lock);
    m->fail_next = err;
    pthread_mutex_unlock(&m->lock);
}

static void memory_close(struct gnt_store *s)
{
    struct memory *m = memory_of(s);
    while (gnt_store_memory_run(s)) {
    }
    gnt_memtable_fini(&m->all);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static const struct gnt_store_engine memory_engine = {
    .commit = memory_commit,
    .get = memory_get,
    .scan = memory_scan,
    .read = memory_read,
    .close = memory_close,
};

gnt_err gnt_store_memory_open(const struct gnt_store_memory_options *options,
                              struct gnt_store **out)
{
    struct memory *m = calloc(1, sizeof *m);
    if (!m)
        return GNT_NOMEM;
    m->store.engine = &memory_engine;
    m->magic = MAGIC;
    m->delayed = options && options->delayed;
    gnt_memtable_init(&m->all, false);
    gnt_list_init(&m->waiting);
    if (pthread_mutex_init(&m->lock, NULL) != 0) {
        free(m);
        return GNT_NOMEM;
    }
    *out = &m->store;
    return GNT_OK;
}
