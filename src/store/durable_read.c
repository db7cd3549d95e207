#include "store/durable_private.h"

enum {
    BYTES_MAX = 4 << 20, /* a read ends when it has found so much */
    CHUNK = 64,          /* records from the ground at once */
};

enum { ACTIVE, FROZEN, UPPER }; /* the memtables, from the top */

/* --- merging: three layers become one --- */

/* Of what has the same key or number the uppermost counts, and if that is a mark, nothing does. */
struct merge {
    struct gnt_durable *d;
    struct gnt_slice name;          /* of the table or log */
    struct gnt_slice prefix, after; /* of a table's keys */
    bool of_log;
    const struct gnt_memtable *tables[UPPER];   /* NULL: has nothing to say */
    const struct gnt_memtable_log *logs[UPPER]; /* of a log, likewise */
    uint32_t place[UPPER];                      /* in them */
    struct gnt_record *upper[UPPER];            /* what comes next from each, lent */
    /* What the ground has handed over, references.  The last one before `at` is kept, as it may be
     * what merge_next has lent, and says where the next chunk begins. */
    struct gnt_record *chunk[CHUNK], *last;
    uint32_t at, count, most;
    bool exhausted; /* the ground has nothing behind the chunk */
    uint64_t from;  /* of a log: where the ground's next chunk begins */
    gnt_err err;    /* sticks */
};

static int compare(const struct merge *m, const struct gnt_record *a, const struct gnt_record *b)
{
    if (!m->of_log)
        return gnt_ordered_compare(a->record.key, b->record.key);
    return (a->record.sequence > b->record.sequence) - (a->record.sequence < b->record.sequence);
}

static void fetch_chunk(struct merge *m)
{
    struct gnt_ground *g = m->d->ground;
    struct gnt_slice after = m->last ? m->last->record.key : m->after;
    m->at = m->count = 0;
    m->err = m->of_log ? g->ops->read(g, m->name, m->from, m->most, m->chunk, &m->count)
                       : g->ops->scan(g, m->name, m->prefix, after, m->most, m->chunk, &m->count);
    m->exhausted = m->err || m->count < m->most;
    if (m->count == 0 || !m->of_log)
        return;
    uint64_t end = m->chunk[m->count - 1]->record.sequence;
    m->from = end + 1;
    m->exhausted = m->exhausted || end == UINT64_MAX;
}

/* What comes next from the ground, lent. */
static struct gnt_record *ground_peek(struct merge *m)
{
    if (m->at == m->count && !m->exhausted)
        fetch_chunk(m);
    return m->at < m->count ? m->chunk[m->at] : NULL;
}

static void ground_advance(struct merge *m)
{
    gnt_record_unref(&m->last);
    m->last = m->chunk[m->at++];
}

static void upper_advance(struct merge *m, unsigned i)
{
    const struct gnt_memtable_log *log = m->logs[i];
    if (m->of_log) {
        m->place[i]++;
        m->upper[i] =
            m->place[i] < log->first + log->count ? log->entries[m->place[i]].record : NULL;
    } else {
        m->upper[i] = gnt_memtable_after(m->tables[i], m->name, m->prefix, m->upper[i]->record.key);
    }
}

/* The next record, lent until the next call; NULL: there is none, or an error. */
static struct gnt_record *merge_next(struct merge *m)
{
    for (;;) {
        struct gnt_record *ground = ground_peek(m), *next = ground;
        if (m->err)
            return NULL;
        for (unsigned i = UPPER; i-- > 0;)
            if (m->upper[i] && (!next || compare(m, m->upper[i], next) <= 0))
                next = m->upper[i];
        if (!next)
            return NULL;
        for (unsigned i = 0; i < UPPER; i++)
            if (m->upper[i] && compare(m, m->upper[i], next) == 0)
                upper_advance(m, i);
        if (ground && compare(m, ground, next) == 0)
            ground_advance(m);
        if (!next->mark)
            return next;
    }
}

static void merge_fini(struct merge *m)
{
    gnt_record_unref(&m->last);
    while (m->at < m->count)
        gnt_record_unref(&m->chunk[m->at++]);
}

/* Hands R at most MOST records of what is merged. */
static gnt_err merge_into(struct merge *m, uint32_t most, struct gnt_store_read *r)
{
    gnt_err err = gnt_found_begin(r, most);
    size_t bytes = 0;
    struct gnt_record *next = NULL;
    while (!err && (next = merge_next(m)) && bytes < BYTES_MAX && gnt_found_add(r, next)) {
        const struct gnt_message *message = next->record.message;
        bytes += next->record.value.size + (message ? message->payload.size : 0);
    }
    r->more = next != NULL;
    merge_fini(m);
    if (!err && m->err)
        gnt_found_drop(r);
    return err ? err : m->err;
}

static struct merge merge_of(struct gnt_durable *d, struct gnt_slice name, uint32_t most)
{
    return (struct merge){
        .d = d,
        .name = name,
        .tables = {d->active, d->frozen},
        .most = most < CHUNK ? most + 1 : CHUNK,
    };
}

/* --- tables --- */

void gnt_durable_get(struct gnt_durable *d, struct gnt_request *q, struct gnt_store_read *r)
{
    struct gnt_record *record = gnt_memtable_get(d->active, q->name, q->key), *below = NULL;
    gnt_err err = GNT_OK;
    if (!record && d->frozen)
        record = gnt_memtable_get(d->frozen, q->name, q->key);
    if (!record) {
        err = d->ground->ops->get(d->ground, q->name, q->key, &below);
        record = below;
    }
    if (!err && (!record || record->mark))
        err = GNT_NOTFOUND;
    if (!err)
        err = gnt_found_begin(r, 1);
    if (!err)
        gnt_found_add(r, record);
    if (below)
        gnt_record_unref(&below);
    r->completion.result = err;
}

void gnt_durable_scan(struct gnt_durable *d, struct gnt_request *q, struct gnt_store_read *r)
{
    struct merge m = merge_of(d, q->name, q->most);
    m.prefix = q->key;
    for (unsigned i = 0; i < UPPER; i++)
        if (m.tables[i])
            m.upper[i] = gnt_memtable_after(m.tables[i], q->name, q->key, q->after);
    m.after = q->after;
    r->completion.result = merge_into(&m, q->most, r);
}

/* --- logs --- */

/* The part of a log that lies in one memtable or the ground, as those above let it through. */
struct cover {
    bool dropped;     /* they say that there is nothing */
    uint64_t trimmed; /* nothing up to here */
    bool marks;       /* some of them are marks */
};

static void cover_add(struct cover *c, const struct gnt_memtable_log *log)
{
    c->dropped |= log->dropped;
    c->marks |= log->live < log->count;
    if (log->trimmed > c->trimmed)
        c->trimmed = log->trimmed;
}

static bool covers_all(const struct cover *c)
{
    return c->dropped || c->trimmed == UINT64_MAX;
}

/* What the memtables say about the log; *c: about what the ground has of it. */
static void look_up(struct merge *m, struct cover *c)
{
    *c = (struct cover){0};
    m->of_log = true;
    m->logs[FROZEN] = NULL;
    for (unsigned i = 0; i < UPPER && !c->dropped; i++) {
        m->logs[i] = m->tables[i] ? gnt_memtable_log(m->tables[i], m->name) : NULL;
        if (m->logs[i])
            cover_add(c, m->logs[i]);
    }
}

/* Goes to the first entry numbered FROM or higher. */
static void go_to(struct merge *m, uint64_t from)
{
    struct cover c = {0};
    for (unsigned i = 0; i < UPPER; i++) {
        const struct gnt_memtable_log *log = m->logs[i];
        if (!log)
            continue;
        m->place[i] = covers_all(&c) ? log->first + log->count : gnt_memtable_from(log, from);
        m->upper[i] =
            m->place[i] < log->first + log->count ? log->entries[m->place[i]].record : NULL;
        cover_add(&c, log);
        if (from <= c.trimmed && c.trimmed < UINT64_MAX)
            from = c.trimmed + 1;
    }
    m->exhausted = covers_all(&c);
    m->from = from;
}

static bool is_marked(const struct gnt_memtable_log *log, uint64_t sequence)
{
    uint32_t at = log ? gnt_memtable_from(log, sequence) : 0;
    return log && at < log->first + log->count && log->entries[at].sequence == sequence &&
           log->entries[at].record->mark;
}

/* Entries of the frozen memtable that the active one lets through. */
static uint32_t count_frozen(const struct merge *m)
{
    const struct gnt_memtable_log *log = m->logs[FROZEN];
    struct cover c = {0};
    uint32_t count = 0;
    if (!log)
        return 0;
    if (m->logs[ACTIVE])
        cover_add(&c, m->logs[ACTIVE]);
    for (uint32_t i = log->first; i < log->first + log->count; i++) {
        uint64_t sequence = log->entries[i].sequence;
        count += !log->entries[i].record->mark && sequence > c.trimmed &&
                 !is_marked(m->logs[ACTIVE], sequence);
    }
    return count;
}

/* The highest number of a mark. */
static uint64_t last_mark(const struct merge *m)
{
    uint64_t last = 0;
    for (unsigned i = 0; i < UPPER; i++) {
        const struct gnt_memtable_log *log = m->logs[i];
        if (!log)
            continue;
        uint32_t at = log->first + log->count;
        while (at > log->first && !log->entries[at - 1].record->mark)
            at--;
        if (at > log->first && log->entries[at - 1].sequence > last)
            last = log->entries[at - 1].sequence;
    }
    return last;
}

/* Entries of the ground that C lets through, of ALL. */
static gnt_err count_ground(const struct merge *m, const struct cover *c, uint64_t all,
                            uint64_t *count)
{
    struct merge g = *m;
    uint64_t mark = c->marks ? last_mark(m) : 0, end = mark > c->trimmed ? mark : c->trimmed;
    *count = covers_all(c) ? 0 : all;
    g.most = CHUNK;
    for (struct gnt_record *r; *count && end && (r = ground_peek(&g));) {
        uint64_t sequence = r->record.sequence;
        if (sequence > end)
            break;
        *count -= sequence <= c->trimmed || is_marked(m->logs[ACTIVE], sequence) ||
                  is_marked(m->logs[FROZEN], sequence);
        ground_advance(&g);
    }
    merge_fini(&g);
    return g.err;
}

static gnt_err find_first(const struct merge *m, uint64_t *out)
{
    struct merge all = *m;
    go_to(&all, 0);
    const struct gnt_record *first = merge_next(&all);
    *out = first ? first->record.sequence : 0;
    merge_fini(&all);
    return all.err;
}

/* Fills in r->log: `last`, and if no entries are asked for the others too. */
static gnt_err describe(const struct merge *m, const struct cover *c, bool all,
                        struct gnt_store_read *r)
{
    struct gnt_ground_log ground = {0};
    gnt_err err = m->d->ground->ops->log(m->d->ground, m->name, &ground);
    r->log.last = c->dropped ? 0 : ground.last;
    for (unsigned i = 0; i < UPPER; i++)
        if (m->logs[i] && m->logs[i]->last > r->log.last)
            r->log.last = m->logs[i]->last;
    if (!err && all)
        err = find_first(m, &r->log.first);
    if (!err && all)
        err = count_ground(m, c, ground.count, &r->log.count);
    if (!err && all)
        r->log.count += (m->logs[ACTIVE] ? m->logs[ACTIVE]->live : 0) + count_frozen(m);
    return err;
}

static bool same_mark(const struct gnt_ground_mark *a, const struct gnt_ground_mark *b)
{
    return a->applied == b->applied && a->at_ms == b->at_ms && a->skew_ms == b->skew_ms;
}

/* The ground may take the frozen memtable meanwhile.  That does not matter for entries, which are
 * the same then; but they are not to be counted twice. */
static gnt_err describe_at_rest(struct merge *m, struct cover *c, bool all,
                                struct gnt_store_read *r)
{
    struct gnt_ground *g = m->d->ground;
    struct gnt_ground_mark before, after;
    gnt_err err;
    do {
        g->ops->mark(g, &before);
        if (m->d->frozen && same_mark(&before, &m->d->frozen_mark))
            m->tables[FROZEN] = NULL;
        look_up(m, c);
        err = describe(m, c, all, r);
        g->ops->mark(g, &after);
    } while (!err && !same_mark(&before, &after));
    return err;
}

void gnt_durable_read(struct gnt_durable *d, struct gnt_request *q, struct gnt_store_read *r)
{
    struct merge m = merge_of(d, q->name, q->most);
    struct cover c;
    gnt_err err = describe_at_rest(&m, &c, q->most == 0, r);
    if (!err) {
        go_to(&m, q->from);
        err = merge_into(&m, q->most, r);
    }
    r->completion.result = err;
}
