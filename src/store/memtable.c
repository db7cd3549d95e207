#include "store/memtable.h"

#include "base/assert.h"

#include <stdlib.h>

enum { ENTRIES_FIRST = 4, ENTRIES_KEPT = 64 };

void gnt_memtable_init(struct gnt_memtable *t, bool layered)
{
    *t = (struct gnt_memtable){.layered = layered, .next_payload = 1};
}

/* --- what it costs, about: malloc's own share is left out --- */

static size_t record_cost(const struct gnt_record *r)
{
    return sizeof *r + r->record.key.size + r->record.value.size;
}

static size_t payload_cost(const struct gnt_payload *p)
{
    const struct gnt_message *m = p->message;
    return sizeof *p + sizeof *m + m->topic.size + m->payload.size + m->extras.size;
}

/* --- payloads --- */

static uint64_t message_hash(const struct gnt_message *m)
{
    return gnt_hash_mix(0, (uintptr_t)m);
}

static struct gnt_payload *payload_find(const struct gnt_memtable *t, const struct gnt_message *m)
{
    struct gnt_map_node *node = gnt_map_first(&t->payloads, message_hash(m));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_payload *p = GNT_CONTAINER(node, struct gnt_payload, by_message);
        if (p->message == m)
            return p;
    }
    return NULL;
}

/* The payload of M, with one more reference; NULL: no memory. */
static struct gnt_payload *payload_get(struct gnt_memtable *t, struct gnt_message *m)
{
    struct gnt_payload *p = payload_find(t, m);
    if (p) {
        p->refs++;
        return p;
    }
    p = malloc(sizeof *p);
    if (!p)
        return NULL;
    if (gnt_map_insert(&t->payloads, &p->by_message, message_hash(m))) {
        free(p);
        return NULL;
    }
    p->message = gnt_message_ref(m);
    p->number = t->next_payload++;
    p->refs = 1;
    p->written = false;
    t->bytes += payload_cost(p);
    return p;
}

static void payload_put(struct gnt_memtable *t, struct gnt_payload *p)
{
    if (!p || --p->refs > 0)
        return;
    t->bytes -= payload_cost(p);
    gnt_map_remove(&t->payloads, &p->by_message);
    gnt_message_unref(&p->message);
    free(p);
}

/* --- records: what goes in and out of a table or a log --- */

static struct gnt_record *record_of(struct gnt_ordered_node *node)
{
    return node ? GNT_CONTAINER(node, struct gnt_record, node) : NULL;
}

static void record_enter(struct gnt_memtable *t, struct gnt_record *r, struct gnt_payload *p)
{
    r->payload = p;
    t->bytes += record_cost(r);
}

static void record_leave(struct gnt_memtable *t, struct gnt_record *r)
{
    if (!r)
        return;
    t->bytes -= record_cost(r);
    payload_put(t, r->payload);
    r->payload = NULL;
    gnt_record_unref(&r);
}

/* --- tables --- */

static struct gnt_memtable_table *table_find(const struct gnt_memtable *t, struct gnt_slice name)
{
    struct gnt_map_node *node = gnt_map_first(&t->tables, gnt_hash(name));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_memtable_table *table = GNT_CONTAINER(node, struct gnt_memtable_table, by_name);
        if (gnt_slice_eq(gnt_slice(table->name, table->name_size), name))
            return table;
    }
    return NULL;
}

static struct gnt_memtable_table *table_make(struct gnt_memtable *t, struct gnt_slice name)
{
    struct gnt_memtable_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    if (gnt_map_insert(&t->tables, &table->by_name, gnt_hash(name))) {
        free(table);
        return NULL;
    }
    table->name_size = (uint8_t)name.size;
    memcpy(table->name, name.data, name.size);
    t->bytes += sizeof *table;
    return table;
}

static void table_free(struct gnt_memtable *t, struct gnt_memtable_table *table)
{
    while (table->records.root) {
        struct gnt_record *r = record_of(table->records.root);
        gnt_ordered_remove(&table->records, &r->node);
        record_leave(t, r);
    }
    t->bytes -= sizeof *table;
    gnt_map_remove(&t->tables, &table->by_name);
    free(table);
}

static void table_settle(struct gnt_memtable *t, struct gnt_memtable_table *table)
{
    if (--table->pending == 0 && table->records.count == 0)
        table_free(t, table);
}

static void table_delete(struct gnt_memtable *t, struct gnt_memtable_table *table,
                         struct gnt_slice key)
{
    struct gnt_record *r = record_of(gnt_ordered_find(&table->records, key));
    if (!r)
        return;
    gnt_ordered_remove(&table->records, &r->node);
    record_leave(t, r);
}

/* --- logs --- */

static struct gnt_memtable_log *log_find(const struct gnt_memtable *t, struct gnt_slice name)
{
    struct gnt_map_node *node = gnt_map_first(&t->logs, gnt_hash(name));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_memtable_log *log = GNT_CONTAINER(node, struct gnt_memtable_log, by_name);
        if (gnt_slice_eq(gnt_slice(log->name, log->name_size), name))
            return log;
    }
    return NULL;
}

static struct gnt_memtable_log *log_make(struct gnt_memtable *t, struct gnt_slice name)
{
    struct gnt_memtable_log *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    if (gnt_map_insert(&t->logs, &log->by_name, gnt_hash(name))) {
        free(log);
        return NULL;
    }
    log->name_size = (uint8_t)name.size;
    memcpy(log->name, name.data, name.size);
    t->bytes += sizeof *log;
    return log;
}

uint32_t gnt_memtable_from(const struct gnt_memtable_log *log, uint64_t from)
{
    uint32_t low = log->first, high = log->first + log->count;
    /* appending at the end, and looking at the front, are what is done most */
    if (low == high || log->entries[low].sequence >= from)
        return low;
    if (log->entries[high - 1].sequence < from)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (log->entries[middle].sequence < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The entry SEQUENCE at its place *AT, or NULL, and where it would be. */
static struct gnt_record *entry_find(const struct gnt_memtable_log *log, uint64_t sequence,
                                     uint32_t *at)
{
    *at = gnt_memtable_from(log, sequence);
    if (*at == log->first + log->count || log->entries[*at].sequence != sequence)
        return NULL;
    return log->entries[*at].record;
}

/* Moves COUNT entries from FROM to TO. */
static void shift(struct gnt_memtable_log *log, uint32_t to, uint32_t from, uint32_t count)
{
    if (count)
        memmove(log->entries + to, log->entries + from, count * sizeof *log->entries);
}

static gnt_err log_resize(struct gnt_memtable *t, struct gnt_memtable_log *log, uint32_t cap)
{
    struct gnt_memtable_entry *entries = realloc(log->entries, cap * sizeof *entries);
    if (!entries)
        return GNT_NOMEM;
    t->bytes += cap * sizeof *log->entries;
    t->bytes -= log->cap * sizeof *log->entries;
    log->entries = entries;
    log->cap = cap;
    return GNT_OK;
}

static void log_to_front(struct gnt_memtable_log *log)
{
    shift(log, 0, log->first, log->count);
    log->first = 0;
}

/* Makes room behind the last entry for one more than is pending.  What was taken from the front is
 * used again when it is at least half, so that an entry is moved once on average. */
static gnt_err log_reserve(struct gnt_memtable *t, struct gnt_memtable_log *log)
{
    if (log->cap - log->first - log->count > log->pending)
        return GNT_OK;
    if (log->first > log->cap / 2)
        log_to_front(log);
    if (log->cap - log->first - log->count > log->pending)
        return GNT_OK;
    if (log->cap > UINT32_MAX / 2)
        return GNT_NOMEM;
    return log_resize(t, log, log->cap ? log->cap * 2 : ENTRIES_FIRST);
}

/* Gives memory back when most of it is not needed; if that fails, it stays. */
static void log_shrink(struct gnt_memtable *t, struct gnt_memtable_log *log)
{
    if (log->cap <= ENTRIES_KEPT || log->count + log->pending > log->cap / 8)
        return;
    log_to_front(log);
    (void)log_resize(t, log, log->cap / 4);
}

/* There is room for it. */
static void log_insert(struct gnt_memtable *t, struct gnt_memtable_log *log, struct gnt_record *r,
                       struct gnt_payload *payload)
{
    uint32_t at;
    const struct gnt_memtable_entry entry = {r->record.sequence, r};
    struct gnt_record *old = entry_find(log, entry.sequence, &at);
    if (old) {
        log->live -= !old->mark;
        log->entries[at] = entry;
        record_leave(t, old);
    } else if (log->first > 0 && at - log->first < log->count / 2) {
        shift(log, log->first - 1, log->first, at - log->first);
        log->first--;
        log->count++;
        log->entries[at - 1] = entry;
    } else {
        shift(log, at + 1, at, log->first + log->count - at);
        log->count++;
        log->entries[at] = entry;
    }
    log->live += !r->mark;
    record_enter(t, r, payload);
}

static void log_take(struct gnt_memtable *t, struct gnt_memtable_log *log, uint32_t at)
{
    struct gnt_record *r = log->entries[at].record;
    if (at - log->first < log->count / 2) {
        shift(log, log->first + 1, log->first, at - log->first);
        log->first++;
    } else {
        shift(log, at, at + 1, log->first + log->count - at - 1);
    }
    if (--log->count == 0)
        log->first = 0;
    log->live -= !r->mark;
    record_leave(t, r);
}

/* MARK, or NULL, is used if something below has to be hidden, else released. */
static void log_remove(struct gnt_memtable *t, struct gnt_memtable_log *log, uint64_t sequence,
                       struct gnt_record *mark)
{
    uint32_t at;
    struct gnt_record *r = entry_find(log, sequence, &at);
    if (r && !r->mark)
        log_take(t, log, at); /* appended here, so it is nowhere else */
    else if (!r && mark && !log->dropped && sequence > log->trimmed)
        log_insert(t, log, gnt_record_ref(mark), NULL);
    gnt_record_unref(&mark);
}

static void log_trim(struct gnt_memtable *t, struct gnt_memtable_log *log, uint64_t up_to)
{
    while (log->count && log->entries[log->first].sequence <= up_to)
        log_take(t, log, log->first);
    if (t->layered && !log->dropped && up_to > log->trimmed)
        log->trimmed = up_to;
}

static void log_drop(struct gnt_memtable *t, struct gnt_memtable_log *log)
{
    log_trim(t, log, UINT64_MAX);
    log->last = 0;
    log->trimmed = 0;
    log->dropped = t->layered;
}

static void log_free(struct gnt_memtable *t, struct gnt_memtable_log *log)
{
    while (log->count)
        log_take(t, log, log->first);
    t->bytes -= sizeof *log + log->cap * sizeof *log->entries;
    gnt_map_remove(&t->logs, &log->by_name);
    free(log->entries);
    free(log);
}

static void log_settle(struct gnt_memtable *t, struct gnt_memtable_log *log)
{
    bool known = log->count || log->last || log->trimmed || log->dropped;
    if (--log->pending == 0 && !known)
        log_free(t, log);
    else
        log_shrink(t, log);
}

/* --- batches --- */

static bool of_table(const struct gnt_store_write *w)
{
    return w->verb == GNT_STORE_PUT || w->verb == GNT_STORE_DELETE;
}

/* Whether the write brings a record, not only takes away. */
static bool brings(const struct gnt_store_write *w)
{
    return w->verb == GNT_STORE_PUT || w->verb == GNT_STORE_APPEND;
}

/* Whether the write may leave a mark: the only layer needs none, nor does an entry that is here,
 * because then it is nowhere else. */
static bool may_mark(const struct gnt_memtable *t, const struct gnt_store_write *w,
                     const struct gnt_prepared_write *p)
{
    uint32_t at;
    if (!t->layered)
        return false;
    if (w->verb == GNT_STORE_DELETE)
        return true;
    return w->verb == GNT_STORE_REMOVE && !entry_find(p->log, w->sequence, &at);
}

/* The log NAME.  What stands in a batch side by side is often about the same one. */
static struct gnt_memtable_log *log_near(const struct gnt_memtable *t, struct gnt_slice name,
                                         struct gnt_memtable_log *before)
{
    if (before && gnt_slice_eq(gnt_slice(before->name, before->name_size), name))
        return before;
    return log_find(t, name);
}

/* The table or log that a write is about.  One that is not there is made, unless there is nothing
 * to do then. */
static gnt_err prepare_place(struct gnt_memtable *t, const struct gnt_store_write *w,
                             struct gnt_memtable_log *before, struct gnt_prepared_write *p)
{
    bool make = t->layered || brings(w);
    if (of_table(w)) {
        p->table = table_find(t, w->name);
        if (!p->table && make && !(p->table = table_make(t, w->name)))
            return GNT_NOMEM;
        if (p->table)
            p->table->pending++;
        return GNT_OK;
    }
    struct gnt_memtable_log *log = log_near(t, w->name, before);
    if (!log && make && !(log = log_make(t, w->name)))
        return GNT_NOMEM;
    if (!log)
        return GNT_OK;
    gnt_err err = log_reserve(t, log);
    log->pending++;
    p->log = log;
    return err;
}

static gnt_err prepare_record(struct gnt_memtable *t, const struct gnt_store_write *w,
                              struct gnt_prepared_write *p)
{
    struct gnt_message *m = w->message;
    if (!brings(w) && !may_mark(t, w, p))
        return GNT_OK;
    if (m && !(p->payload = payload_get(t, m)))
        return GNT_NOMEM;
    p->record = gnt_record_new(w->key, w->sequence, w->value, m ? gnt_message_ref(m) : NULL);
    if (!p->record)
        return GNT_NOMEM;
    p->record->mark = !brings(w);
    return GNT_OK;
}

/* Messages come from another thread, so that each is a wait for its cache: the next one's is had
 * while this one is worked on. */
static void expect(const struct gnt_batch *batch, uint32_t i)
{
    enum { AHEAD = 4 };
    const char *m =
        i + AHEAD < batch->count ? (void *)gnt_batch_write(batch, i + AHEAD).message : NULL;
    for (size_t line = 0; m && line < 4; line++)
        __builtin_prefetch(m + line * 64);
}

gnt_err gnt_memtable_prepare(struct gnt_memtable *t, const struct gnt_batch *batch,
                             struct gnt_prepared *out)
{
    *out = (struct gnt_prepared){.batch = batch};
    if (batch->count == 0)
        return GNT_OK;
    out->writes = malloc(batch->count * sizeof *out->writes);
    if (!out->writes)
        return GNT_NOMEM;
    struct gnt_memtable_log *before = NULL;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct gnt_prepared_write *p = &out->writes[out->count++];
        const struct gnt_store_write w = gnt_batch_write(batch, i);
        *p = (struct gnt_prepared_write){0};
        expect(batch, i);
        gnt_err err = prepare_place(t, &w, before, p);
        if (!err)
            err = prepare_record(t, &w, p);
        if (err) {
            gnt_memtable_drop(t, out);
            return err;
        }
        before = p->log;
    }
    return GNT_OK;
}

static void settle(struct gnt_memtable *t, const struct gnt_prepared_write *p)
{
    if (p->table)
        table_settle(t, p->table);
    if (p->log)
        log_settle(t, p->log);
}

static void do_write(struct gnt_memtable *t, const struct gnt_store_write *w,
                     struct gnt_prepared_write *p)
{
    if (!p->table && !p->log)
        return;
    switch (w->verb) {
    case GNT_STORE_PUT:
    case GNT_STORE_DELETE:
        if (p->record) {
            record_enter(t, p->record, p->payload);
            record_leave(t, record_of(gnt_ordered_insert(&p->table->records, &p->record->node)));
        } else {
            table_delete(t, p->table, w->key);
        }
        break;
    case GNT_STORE_APPEND:
        log_insert(t, p->log, p->record, p->payload);
        if (w->sequence > p->log->last)
            p->log->last = w->sequence;
        break;
    case GNT_STORE_REMOVE: log_remove(t, p->log, w->sequence, p->record); break;
    case GNT_STORE_TRIM: log_trim(t, p->log, w->sequence); break;
    case GNT_STORE_DROP: log_drop(t, p->log); break;
    }
}

void gnt_memtable_done(struct gnt_memtable *t, struct gnt_prepared *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const struct gnt_store_write w = gnt_batch_write(p->batch, i);
        do_write(t, &w, &p->writes[i]);
        settle(t, &p->writes[i]);
    }
    free(p->writes);
    *p = (struct gnt_prepared){0};
}

void gnt_memtable_drop(struct gnt_memtable *t, struct gnt_prepared *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        gnt_record_unref(&p->writes[i].record);
        payload_put(t, p->writes[i].payload);
        settle(t, &p->writes[i]);
    }
    free(p->writes);
    *p = (struct gnt_prepared){0};
}

/* --- reading --- */

struct gnt_record *gnt_memtable_get(const struct gnt_memtable *t, struct gnt_slice table,
                                    struct gnt_slice key)
{
    const struct gnt_memtable_table *found = table_find(t, table);
    return found ? record_of(gnt_ordered_find(&found->records, key)) : NULL;
}

struct gnt_record *gnt_memtable_after(const struct gnt_memtable *t, struct gnt_slice table,
                                      struct gnt_slice prefix, struct gnt_slice after)
{
    const struct gnt_memtable_table *found = table_find(t, table);
    if (!found)
        return NULL;
    struct gnt_ordered_node *node = gnt_ordered_compare(after, prefix) < 0
                                        ? gnt_ordered_from(&found->records, prefix)
                                        : gnt_ordered_after(&found->records, after);
    return node && gnt_slice_starts(node->key, prefix) ? record_of(node) : NULL;
}

const struct gnt_memtable_log *gnt_memtable_log(const struct gnt_memtable *t, struct gnt_slice name)
{
    return log_find(t, name);
}

void gnt_memtable_fini(struct gnt_memtable *t)
{
    struct gnt_map_cursor tables = {0}, logs = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&t->tables, &tables));)
        table_free(t, GNT_CONTAINER(node, struct gnt_memtable_table, by_name));
    for (struct gnt_map_node *node; (node = gnt_map_walk(&t->logs, &logs));)
        log_free(t, GNT_CONTAINER(node, struct gnt_memtable_log, by_name));
    GNT_ASSERT(t->payloads.count == 0 && t->bytes == 0);
    gnt_map_fini(&t->tables);
    gnt_map_fini(&t->logs);
    gnt_map_fini(&t->payloads);
}
