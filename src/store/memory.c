#include "store/memory.h"

#include "base/assert.h"
#include "store/ordered.h"

#include <pthread.h>
#include <stdlib.h>

enum { MAGIC = 0x6d656d73 };

/* Immutable once it is in the map; a read holds it beyond the lock by a reference. */
struct record {
    struct gnt_ordered_node node;
    struct gnt_store_record record; /* key and value lie in bytes */
    _Atomic uint32_t refs;
    uint8_t bytes[]; /* the map's key, the value */
};

/* What is known of a log beside its entries.  One that has no last number is none. */
struct log {
    struct gnt_ordered_node node;
    uint64_t last, count;
    uint64_t pending; /* `last` as it will be when the batch at hand has been applied */
    uint8_t name[];
};

struct memory {
    struct gnt_store store;
    uint32_t magic;
    bool delayed; /* for life */
    /* Guards all below.  Nothing is taken inside; held while one batch is applied or one read
     * collects its at most GNT_STORE_READ_MAX records. */
    pthread_mutex_t lock;
    struct gnt_ordered records; /* by place, see place_of() */
    struct gnt_ordered logs;    /* by name */
    struct gnt_list waiting;    /* completions, in order, if delayed */
    gnt_err fail_next;
};

static struct memory *memory_of(struct gnt_store *s)
{
    struct memory *m = GNT_CONTAINER(s, struct memory, store);
    GNT_CHECK_MAGIC(m, MAGIC);
    return m;
}

/* Tables and logs share one map.  A place begins with the kind, the name's size and the name, which
 * is what all places of one table or log have in common; then comes the key, or the sequence number
 * in an order that compares as bytes. */
struct place {
    uint8_t bytes[2 + GNT_STORE_NAME_MAX + GNT_STORE_KEY_MAX];
    size_t common, size;
};

static struct gnt_slice place_slice(const struct place *p)
{
    return gnt_slice(p->bytes, p->size);
}

static struct gnt_slice place_common(const struct place *p)
{
    return gnt_slice(p->bytes, p->common);
}

static struct place place_of(char kind, struct gnt_slice name, struct gnt_slice key)
{
    struct place p;
    GNT_ASSERT(name.size <= GNT_STORE_NAME_MAX && key.size <= GNT_STORE_KEY_MAX);
    p.bytes[0] = (uint8_t)kind;
    p.bytes[1] = (uint8_t)name.size;
    memcpy(p.bytes + 2, name.data, name.size);
    p.common = p.size = 2 + name.size;
    if (key.size)
        memcpy(p.bytes + p.common, key.data, key.size);
    p.size += key.size;
    return p;
}

static struct place table_place(struct gnt_slice table, struct gnt_slice key)
{
    return place_of('t', table, key);
}

static struct place log_place(struct gnt_slice log, uint64_t sequence)
{
    uint8_t number[8];
    for (size_t i = 0; i < 8; i++)
        number[i] = (uint8_t)(sequence >> (56 - 8 * i));
    return place_of('l', log, gnt_slice(number, sizeof number));
}

static struct record *record_of(struct gnt_ordered_node *node)
{
    return node ? GNT_CONTAINER(node, struct record, node) : NULL;
}

static struct log *log_of(struct gnt_ordered_node *node)
{
    return node ? GNT_CONTAINER(node, struct log, node) : NULL;
}

static struct record *record_new(const struct place *place, const struct gnt_store_write *w)
{
    struct record *r = malloc(sizeof *r + place->size + w->value.size);
    if (!r)
        return NULL;
    memcpy(r->bytes, place->bytes, place->size);
    if (w->value.size)
        memcpy(r->bytes + place->size, w->value.data, w->value.size);
    r->node = (struct gnt_ordered_node){.key = gnt_slice(r->bytes, place->size)};
    r->record = (struct gnt_store_record){
        .sequence = w->sequence,
        .value = gnt_slice(r->bytes + place->size, w->value.size),
        .message = w->message ? gnt_message_ref(w->message) : NULL,
    };
    if (w->verb == GNT_STORE_PUT)
        r->record.key = gnt_slice_skip(r->node.key, place->common);
    atomic_init(&r->refs, 1);
    return r;
}

static void record_unref(struct record *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) > 1)
        return;
    gnt_message_unref(&r->record.message);
    free(r);
}

static void record_remove(struct memory *m, struct record *r)
{
    gnt_ordered_remove(&m->records, &r->node);
    record_unref(r);
}

static struct log *log_find(struct memory *m, struct gnt_slice name)
{
    return log_of(gnt_ordered_find(&m->logs, name));
}

static struct log *log_make(struct memory *m, struct gnt_slice name)
{
    struct log *log = calloc(1, sizeof *log + name.size);
    if (!log)
        return NULL;
    memcpy(log->name, name.data, name.size);
    log->node.key = gnt_slice(log->name, name.size);
    gnt_ordered_insert(&m->logs, &log->node);
    return log;
}

/* Makes the record that a write needs, and checks its number: all that can fail. */
static gnt_err prepare(struct memory *m, const struct gnt_store_write *w, struct record **out)
{
    struct place place;
    struct log *log;
    switch (w->verb) {
    case GNT_STORE_PUT: place = table_place(w->name, w->key); break;
    case GNT_STORE_APPEND:
        log = log_find(m, w->name);
        if (!log)
            log = log_make(m, w->name);
        if (!log)
            return GNT_NOMEM;
        if (w->sequence <= log->pending)
            return GNT_EXISTS;
        log->pending = w->sequence;
        place = log_place(w->name, w->sequence);
        break;
    case GNT_STORE_DROP:
        log = log_find(m, w->name);
        if (log)
            log->pending = 0;
        return GNT_OK;
    case GNT_STORE_DELETE:
    case GNT_STORE_REMOVE:
    case GNT_STORE_TRIM: return GNT_OK;
    }
    *out = record_new(&place, w);
    return *out ? GNT_OK : GNT_NOMEM;
}

/* Removes the entries of LOG up to UP_TO. */
static void trim(struct memory *m, struct log *log, struct gnt_slice name, uint64_t up_to)
{
    struct place start = log_place(name, 0);
    while (log->count) {
        struct record *r = record_of(gnt_ordered_from(&m->records, place_slice(&start)));
        if (r->record.sequence > up_to)
            return;
        record_remove(m, r);
        log->count--;
    }
}

static void remove_key(struct memory *m, const struct gnt_store_write *w)
{
    struct place place = table_place(w->name, w->key);
    struct record *r = record_of(gnt_ordered_find(&m->records, place_slice(&place)));
    if (r)
        record_remove(m, r);
}

static void remove_entry(struct memory *m, struct log *log, const struct gnt_store_write *w)
{
    struct place place = log_place(w->name, w->sequence);
    struct record *r = record_of(gnt_ordered_find(&m->records, place_slice(&place)));
    if (!r)
        return;
    record_remove(m, r);
    log->count--;
}

static bool of_log(const struct gnt_store_write *w)
{
    return w->verb != GNT_STORE_PUT && w->verb != GNT_STORE_DELETE;
}

/* Does a write that has been prepared; takes FRESH. */
static void apply(struct memory *m, const struct gnt_store_write *w, struct record *fresh)
{
    struct log *log = of_log(w) ? log_find(m, w->name) : NULL;
    switch (w->verb) {
    case GNT_STORE_PUT:
        record_unref(record_of(gnt_ordered_insert(&m->records, &fresh->node)));
        break;
    case GNT_STORE_APPEND:
        GNT_ASSERT(log && log->last < w->sequence);
        gnt_ordered_insert(&m->records, &fresh->node);
        log->last = w->sequence;
        log->count++;
        break;
    case GNT_STORE_DELETE: remove_key(m, w); break;
    case GNT_STORE_REMOVE:
        if (log)
            remove_entry(m, log, w);
        break;
    case GNT_STORE_TRIM:
        if (log)
            trim(m, log, w->name, w->sequence);
        break;
    case GNT_STORE_DROP:
        if (log) {
            trim(m, log, w->name, UINT64_MAX);
            log->last = 0;
        }
        break;
    }
}

/* After a batch, done or failed: what is pending is what is, and a log without a last number, which
 * was dropped or made for nothing, goes. */
static void tidy_logs(struct memory *m, const struct gnt_batch *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct gnt_store_write w = gnt_batch_write(b, i);
        struct log *log = of_log(&w) ? log_find(m, w.name) : NULL;
        if (!log)
            continue;
        log->pending = log->last;
        if (log->last)
            continue;
        gnt_ordered_remove(&m->logs, &log->node);
        free(log);
    }
}

/* All of it or nothing.  Under the lock. */
static gnt_err apply_all(struct memory *m, const struct gnt_batch *b)
{
    gnt_err err = m->fail_next;
    m->fail_next = GNT_OK;
    if (err || b->count == 0)
        return err;
    struct record **fresh = calloc(b->count, sizeof *fresh);
    if (!fresh)
        return GNT_NOMEM;
    uint32_t prepared = 0;
    while (!err && prepared < b->count) {
        struct gnt_store_write w = gnt_batch_write(b, prepared);
        err = prepare(m, &w, &fresh[prepared++]);
    }
    for (uint32_t i = 0; i < prepared; i++) {
        struct gnt_store_write w = gnt_batch_write(b, i);
        if (err)
            record_unref(fresh[i]);
        else
            apply(m, &w, fresh[i]);
    }
    tidy_logs(m, b, prepared);
    free(fresh);
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
    c->result = apply_all(m, batch);
    pthread_mutex_unlock(&m->lock);
    gnt_batch_fini(batch);
    deliver(c);
}

/* The records of one read, each with a reference. */
struct found {
    uint32_t count;
    struct record *records[];
};

static void hand(struct gnt_completion *c)
{
    struct gnt_store_read *r = GNT_CONTAINER(c, struct gnt_store_read, completion);
    struct found *found = c->held;
    c->held = NULL;
    for (uint32_t i = 0; found && i < found->count; i++) {
        r->record(r, &found->records[i]->record);
        record_unref(found->records[i]);
    }
    free(found);
}

/* Collects at most MOST records from FIRST on whose places begin with COMMON.  Under the lock. */
static gnt_err collect(struct memory *m, struct record *first, struct gnt_slice common,
                       uint32_t most, struct gnt_store_read *r)
{
    struct record *next = first;
    struct found *found = malloc(sizeof *found + most * sizeof *found->records);
    if (!found)
        return GNT_NOMEM;
    found->count = 0;
    while (next && gnt_slice_starts(next->node.key, common)) {
        if (found->count == most) {
            r->more = true;
            break;
        }
        atomic_fetch_add_explicit(&next->refs, 1, memory_order_relaxed);
        found->records[found->count++] = next;
        next = record_of(gnt_ordered_after(&m->records, next->node.key));
    }
    r->completion.held = found;
    r->completion.hand = hand;
    return GNT_OK;
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
    struct place place = table_place(table, key);
    pthread_mutex_lock(&m->lock);
    struct record *found = record_of(gnt_ordered_find(&m->records, place_slice(&place)));
    gnt_err err = found ? collect(m, found, place_slice(&place), 1, r) : GNT_NOTFOUND;
    r->more = false; /* what begins with KEY is something else */
    finish(m, r, err);
}

static void memory_scan(struct gnt_store *s, struct gnt_slice table, struct gnt_slice prefix,
                        struct gnt_slice after, uint32_t most, struct gnt_store_read *r)
{
    struct memory *m = memory_of(s);
    struct place start = table_place(table, prefix), behind = table_place(table, after);
    pthread_mutex_lock(&m->lock);
    struct gnt_ordered_node *first = gnt_ordered_compare(after, prefix) < 0
                                         ? gnt_ordered_from(&m->records, place_slice(&start))
                                         : gnt_ordered_after(&m->records, place_slice(&behind));
    finish(m, r, collect(m, record_of(first), place_slice(&start), most, r));
}

static void memory_read(struct gnt_store *s, struct gnt_slice name, uint64_t from, uint32_t most,
                        struct gnt_store_read *r)
{
    struct memory *m = memory_of(s);
    struct place start = log_place(name, 0), at = log_place(name, from);
    pthread_mutex_lock(&m->lock);
    struct log *log = log_find(m, name);
    if (log) {
        r->log.last = log->last;
        r->log.count = log->count;
    }
    if (log && log->count)
        r->log.first =
            record_of(gnt_ordered_from(&m->records, place_slice(&start)))->record.sequence;
    struct record *first = record_of(gnt_ordered_from(&m->records, place_slice(&at)));
    finish(m, r, collect(m, first, place_common(&at), most, r));
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
    for (struct gnt_list *link; (link = gnt_list_pop_front(&due)); count++) {
        struct gnt_completion *c = GNT_CONTAINER(link, struct gnt_completion, link);
        struct gnt_batch *batch = c->hand ? NULL : c->held;
        if (batch) {
            pthread_mutex_lock(&m->lock);
            c->result = apply_all(m, batch);
            pthread_mutex_unlock(&m->lock);
            gnt_batch_fini(batch);
            free(batch);
            c->held = NULL;
        }
        deliver(c);
    }
    return count;
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
    while (m->records.root)
        record_remove(m, record_of(m->records.root));
    while (m->logs.root) {
        struct log *log = log_of(m->logs.root);
        gnt_ordered_remove(&m->logs, &log->node);
        free(log);
    }
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
    gnt_list_init(&m->waiting);
    if (pthread_mutex_init(&m->lock, NULL) != 0) {
        free(m);
        return GNT_NOMEM;
    }
    *out = &m->store;
    return GNT_OK;
}
