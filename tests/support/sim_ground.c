#include "support/sim_ground.h"

#include "base/assert.h"
#include "base/list.h"
#include "store/message_codec.h"

#include <pthread.h>
#include <stdlib.h>

/* A record or an entry.  Its place, which is its key in the map: kind, size of the name, name, then
 * key or number. */
struct sown {
    struct gnt_ordered_node node;
    uint32_t place_size, value_size, message_size; /* message_size 0: there is none */
    uint8_t bytes[];                               /* place, value, message */
};

struct furrow { /* a log */
    struct gnt_ordered_node node;
    uint64_t last, count;
    uint8_t name[];
};

struct sim_soil {
    /* Guards all below.  Nothing is taken inside; held for one call, but not while `during` runs.
     */
    pthread_mutex_t lock;
    struct gnt_ordered sown, logs;
    struct gnt_ground_mark mark;
    uint64_t crashes, applied;
    long fail_at, crash_at;
    gnt_err fail_with;
    bool fail_all, kept;
    void (*during)(void *context);
    void *context;
};

struct sim_ground {
    struct gnt_ground ground;
    struct sim_soil *soil;
    const struct gnt_store_time *time;
    uint64_t crashes; /* of the soil, when this was opened */
};

struct place {
    uint8_t bytes[2 + GNT_STORE_NAME_MAX + GNT_STORE_KEY_MAX];
    size_t common, size;
};

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

static struct place entry_place(struct gnt_slice log, uint64_t sequence)
{
    uint8_t number[8];
    for (size_t i = 0; i < 8; i++)
        number[i] = (uint8_t)(sequence >> (56 - 8 * i));
    return place_of('l', log, gnt_slice(number, sizeof number));
}

static struct gnt_slice place_slice(const struct place *p)
{
    return gnt_slice(p->bytes, p->size);
}

static struct gnt_slice common_slice(const struct place *p)
{
    return gnt_slice(p->bytes, p->common);
}

static struct sown *sown_of(struct gnt_ordered_node *node)
{
    return node ? GNT_CONTAINER(node, struct sown, node) : NULL;
}

static uint64_t sequence_of(const struct sown *s)
{
    uint64_t sequence = 0;
    for (uint32_t i = s->place_size - 8; i < s->place_size; i++)
        sequence = sequence << 8 | s->bytes[i];
    return sequence;
}

static struct furrow *furrow_find(struct sim_soil *s, struct gnt_slice name)
{
    struct gnt_ordered_node *node = gnt_ordered_find(&s->logs, name);
    return node ? GNT_CONTAINER(node, struct furrow, node) : NULL;
}

/* --- applying: first everything that needs memory, then the rest, which cannot fail --- */

struct seeds {
    struct sown **sown;
    struct furrow **furrows; /* one for each log of the table */
    size_t sown_count, furrow_count;
};

static void seeds_fini(struct seeds *seeds)
{
    for (size_t i = 0; i < seeds->sown_count; i++)
        free(seeds->sown[i]);
    for (size_t i = 0; i < seeds->furrow_count; i++)
        free(seeds->furrows[i]);
    free(seeds->sown);
    free(seeds->furrows);
}

static gnt_err sow(struct sim_ground *g, struct seeds *seeds, const struct place *place,
                   const struct gnt_record *r)
{
    struct gnt_buf message = {0};
    gnt_err err = GNT_OK;
    if (r->record.message)
        err = gnt_message_encode(r->record.message, g->time, &message);
    size_t size = place->size + r->record.value.size + gnt_buf_size(&message);
    struct sown *s = err ? NULL : malloc(sizeof *s + size);
    if (s) {
        *s = (struct sown){.place_size = (uint32_t)place->size,
                           .value_size = (uint32_t)r->record.value.size,
                           .message_size = (uint32_t)gnt_buf_size(&message)};
        uint8_t *at = s->bytes;
        memcpy(at, place->bytes, place->size);
        at += place->size;
        if (s->value_size)
            memcpy(at, r->record.value.data, s->value_size);
        if (s->message_size)
            memcpy(at + s->value_size, gnt_buf_slice(&message).data, s->message_size);
        s->node.key = gnt_slice(s->bytes, place->size);
        seeds->sown[seeds->sown_count++] = s;
    }
    gnt_buf_fini(&message);
    return err ? err : s ? GNT_OK : GNT_NOMEM;
}

static gnt_err sow_table(struct sim_ground *g, struct seeds *seeds,
                         const struct gnt_memtable_table *t)
{
    struct gnt_slice name = gnt_slice(t->name, t->name_size), none = {NULL, 0};
    gnt_err err = GNT_OK;
    struct gnt_ordered_node *node = gnt_ordered_from(&t->records, none);
    for (; node && !err; node = gnt_ordered_after(&t->records, node->key)) {
        struct place place = place_of('t', name, node->key);
        const struct gnt_record *r = GNT_CONTAINER(node, struct gnt_record, node);
        if (!r->mark)
            err = sow(g, seeds, &place, r);
    }
    return err;
}

static gnt_err sow_log(struct sim_ground *g, struct seeds *seeds,
                       const struct gnt_memtable_log *log)
{
    struct gnt_slice name = gnt_slice(log->name, log->name_size);
    struct furrow *f = calloc(1, sizeof *f + name.size);
    if (!f)
        return GNT_NOMEM;
    memcpy(f->name, name.data, name.size);
    f->node.key = gnt_slice(f->name, name.size);
    seeds->furrows[seeds->furrow_count++] = f;
    gnt_err err = GNT_OK;
    for (uint32_t i = 0; i < log->count && !err; i++) {
        const struct gnt_record *r = log->entries[log->first + i].record;
        struct place place = entry_place(name, r->record.sequence);
        if (!r->mark)
            err = sow(g, seeds, &place, r);
    }
    return err;
}

#define EACH_TABLE(table, memtable)                                                   \
    for (struct gnt_map_cursor cursor_ = {0}, *once_ = &cursor_; once_; once_ = NULL) \
        for (struct gnt_memtable_table * table;                                       \
             (table = table_of(gnt_map_walk(&(memtable)->tables, &cursor_)));)
#define EACH_LOG(log, memtable)                                                       \
    for (struct gnt_map_cursor cursor_ = {0}, *once_ = &cursor_; once_; once_ = NULL) \
        for (struct gnt_memtable_log * log;                                           \
             (log = log_of(gnt_map_walk(&(memtable)->logs, &cursor_)));)

static struct gnt_memtable_table *table_of(struct gnt_map_node *node)
{
    return node ? GNT_CONTAINER(node, struct gnt_memtable_table, by_name) : NULL;
}

static struct gnt_memtable_log *log_of(struct gnt_map_node *node)
{
    return node ? GNT_CONTAINER(node, struct gnt_memtable_log, by_name) : NULL;
}

static gnt_err prepare(struct sim_ground *g, const struct gnt_memtable *t, struct seeds *seeds)
{
    size_t count = 1;
    EACH_TABLE(table, t)
    count += table->records.count;
    EACH_LOG(log, t)
    count += log->count;
    seeds->sown = calloc(count, sizeof(struct sown *));
    seeds->furrows = calloc((size_t)t->logs.count + 1, sizeof(struct furrow *));
    if (!seeds->sown || !seeds->furrows)
        return GNT_NOMEM;
    gnt_err err = GNT_OK;
    EACH_TABLE(table, t)
    err = err ? err : sow_table(g, seeds, table);
    EACH_LOG(log, t)
    err = err ? err : sow_log(g, seeds, log);
    return err;
}

static bool uproot(struct sim_soil *s, const struct place *place)
{
    struct sown *gone = sown_of(gnt_ordered_find(&s->sown, place_slice(place)));
    if (!gone)
        return false;
    gnt_ordered_remove(&s->sown, &gone->node);
    free(gone);
    return true;
}

/* What the table says is not there any more. */
static void weed_table(struct sim_soil *s, const struct gnt_memtable_table *t)
{
    struct gnt_slice none = {NULL, 0};
    struct gnt_ordered_node *node = gnt_ordered_from(&t->records, none);
    for (; node; node = gnt_ordered_after(&t->records, node->key)) {
        struct place place = place_of('t', gnt_slice(t->name, t->name_size), node->key);
        if (GNT_CONTAINER(node, struct gnt_record, node)->mark)
            uproot(s, &place);
    }
}

static void trim(struct sim_soil *s, struct furrow *f, uint64_t up_to)
{
    struct place start = entry_place(f->node.key, 0);
    while (f->count) {
        struct sown *first = sown_of(gnt_ordered_from(&s->sown, place_slice(&start)));
        if (sequence_of(first) > up_to)
            return;
        gnt_ordered_remove(&s->sown, &first->node);
        free(first);
        f->count--;
    }
}

static void weed_log(struct sim_soil *s, const struct gnt_memtable_log *log, struct furrow *f)
{
    trim(s, f, log->dropped ? UINT64_MAX : log->trimmed);
    if (log->dropped)
        f->last = 0;
    if (log->last > f->last)
        f->last = log->last;
    for (uint32_t i = 0; i < log->count; i++) {
        const struct gnt_record *r = log->entries[log->first + i].record;
        struct place place = entry_place(f->node.key, r->record.sequence);
        if (r->mark && uproot(s, &place))
            f->count--;
    }
}

static void do_apply(struct sim_soil *s, const struct gnt_memtable *t, struct seeds *seeds)
{
    for (size_t i = 0; i < seeds->furrow_count; i++) {
        struct furrow *f = seeds->furrows[i];
        if (furrow_find(s, f->node.key))
            free(f);
        else
            gnt_ordered_insert(&s->logs, &f->node);
    }
    EACH_TABLE(table, t)
    weed_table(s, table);
    EACH_LOG(log, t)
    weed_log(s, log, furrow_find(s, gnt_slice(log->name, log->name_size)));
    for (size_t i = 0; i < seeds->sown_count; i++) {
        struct sown *fresh = seeds->sown[i];
        struct sown *old = sown_of(gnt_ordered_insert(&s->sown, &fresh->node));
        if (fresh->bytes[0] == 'l' && !old)
            furrow_find(s, gnt_slice(fresh->bytes + 2, fresh->bytes[1]))->count++;
        free(old);
    }
    EACH_LOG(log, t)
    {
        struct furrow *f = furrow_find(s, gnt_slice(log->name, log->name_size));
        if (f->last == 0 && f->count == 0) { /* dropped */
            gnt_ordered_remove(&s->logs, &f->node);
            free(f);
        }
    }
    seeds->sown_count = seeds->furrow_count = 0;
}

static struct sim_ground *sim_of(struct gnt_ground *g)
{
    return GNT_CONTAINER(g, struct sim_ground, ground);
}

/* Begins a call; what it returns is its result, if not GNT_OK.  Locks. */
static gnt_err begin(struct sim_ground *g)
{
    struct sim_soil *s = g->soil;
    pthread_mutex_lock(&s->lock);
    if (s->crashes != g->crashes)
        return GNT_IO;
    if (s->fail_at < 0 || s->fail_at-- > 0)
        return GNT_OK;
    if (s->fail_all)
        s->fail_at = 0;
    return s->fail_with;
}

/* Runs what the test wants to have run; unlocked meanwhile. */
static void interrupt(struct sim_soil *s)
{
    if (!s->during)
        return;
    pthread_mutex_unlock(&s->lock);
    s->during(s->context);
    pthread_mutex_lock(&s->lock);
}

static gnt_err sim_apply(struct gnt_ground *ground, const struct gnt_memtable *table,
                         const struct gnt_ground_mark *mark)
{
    struct sim_ground *g = sim_of(ground);
    struct sim_soil *s = g->soil;
    struct seeds seeds = {0};
    gnt_err err = begin(g);
    if (!err)
        err = prepare(g, table, &seeds);
    if (!err)
        interrupt(s);
    if (!err && s->crashes != g->crashes)
        err = GNT_IO;
    bool crash = !err && s->crash_at >= 0 && s->crash_at-- == 0;
    if (!err && (!crash || s->kept)) {
        do_apply(s, table, &seeds);
        s->mark = *mark;
        s->applied++;
    }
    if (crash) {
        s->crashes++;
        err = GNT_IO;
    }
    pthread_mutex_unlock(&s->lock);
    seeds_fini(&seeds);
    return err;
}

/* --- reading --- */

static gnt_err reap(struct sim_ground *g, const struct sown *s, struct gnt_record **out)
{
    struct gnt_message *m = NULL;
    const uint8_t *value = s->bytes + s->place_size;
    gnt_err err = GNT_OK;
    if (s->message_size)
        err = gnt_message_decode(gnt_slice(value + s->value_size, s->message_size), g->time, &m);
    if (err)
        return err;
    bool table = s->bytes[0] == 't';
    size_t common = 2 + (size_t)s->bytes[1];
    struct gnt_slice key = gnt_slice(s->bytes + common, table ? s->place_size - common : 0);
    *out = gnt_record_new(key, table ? 0 : sequence_of(s), gnt_slice(value, s->value_size), m);
    return *out ? GNT_OK : GNT_NOMEM;
}

static gnt_err collect(struct sim_ground *g, struct gnt_ordered_node *node, struct gnt_slice common,
                       uint32_t most, struct gnt_record **out, uint32_t *count)
{
    gnt_err err = GNT_OK;
    *count = 0;
    while (!err && node && *count < most && gnt_slice_starts(node->key, common)) {
        err = reap(g, sown_of(node), &out[*count]);
        if (!err)
            ++*count;
        node = gnt_ordered_after(&g->soil->sown, node->key);
    }
    while (err && *count)
        gnt_record_unref(&out[--*count]);
    return err;
}

static gnt_err sim_get(struct gnt_ground *ground, struct gnt_slice table, struct gnt_slice key,
                       struct gnt_record **out)
{
    struct sim_ground *g = sim_of(ground);
    struct place place = place_of('t', table, key);
    *out = NULL;
    gnt_err err = begin(g);
    struct sown *s = sown_of(gnt_ordered_find(&g->soil->sown, place_slice(&place)));
    if (!err && s)
        err = reap(g, s, out);
    pthread_mutex_unlock(&g->soil->lock);
    return err;
}

static gnt_err sim_scan(struct gnt_ground *ground, struct gnt_slice table, struct gnt_slice prefix,
                        struct gnt_slice after, uint32_t most, struct gnt_record **out,
                        uint32_t *count)
{
    struct sim_ground *g = sim_of(ground);
    struct gnt_ordered *sown = &g->soil->sown;
    struct place start = place_of('t', table, prefix), behind = place_of('t', table, after);
    *count = 0;
    gnt_err err = begin(g);
    struct gnt_ordered_node *first = gnt_ordered_compare(after, prefix) < 0
                                         ? gnt_ordered_from(sown, place_slice(&start))
                                         : gnt_ordered_after(sown, place_slice(&behind));
    if (!err)
        err = collect(g, first, place_slice(&start), most, out, count);
    pthread_mutex_unlock(&g->soil->lock);
    return err;
}

static gnt_err sim_read(struct gnt_ground *ground, struct gnt_slice log, uint64_t from,
                        uint32_t most, struct gnt_record **out, uint32_t *count)
{
    struct sim_ground *g = sim_of(ground);
    struct place at = entry_place(log, from);
    *count = 0;
    gnt_err err = begin(g);
    struct gnt_ordered_node *first = gnt_ordered_from(&g->soil->sown, place_slice(&at));
    if (!err)
        err = collect(g, first, common_slice(&at), most, out, count);
    pthread_mutex_unlock(&g->soil->lock);
    return err;
}

static gnt_err sim_log(struct gnt_ground *ground, struct gnt_slice log, struct gnt_ground_log *out)
{
    struct sim_ground *g = sim_of(ground);
    *out = (struct gnt_ground_log){0};
    gnt_err err = begin(g);
    struct furrow *f = err ? NULL : furrow_find(g->soil, log);
    if (f)
        *out = (struct gnt_ground_log){.last = f->last, .count = f->count};
    pthread_mutex_unlock(&g->soil->lock);
    return err;
}

static void sim_mark(struct gnt_ground *ground, struct gnt_ground_mark *out)
{
    struct sim_soil *s = sim_of(ground)->soil;
    pthread_mutex_lock(&s->lock);
    *out = s->mark;
    pthread_mutex_unlock(&s->lock);
}

static uint64_t sim_damaged(struct gnt_ground *ground)
{
    (void)ground;
    return 0;
}

static void sim_close(struct gnt_ground *ground)
{
    free(sim_of(ground));
}

static const struct gnt_ground_ops sim_ops = {
    .mark = sim_mark,
    .apply = sim_apply,
    .get = sim_get,
    .scan = sim_scan,
    .read = sim_read,
    .log = sim_log,
    .damaged = sim_damaged,
    .close = sim_close,
};

gnt_err sim_ground_open(struct sim_soil *s, const struct gnt_store_time *time,
                        struct gnt_ground **out)
{
    struct sim_ground *g = calloc(1, sizeof *g);
    if (!g)
        return GNT_NOMEM;
    g->ground.ops = &sim_ops;
    g->soil = s;
    g->time = time;
    pthread_mutex_lock(&s->lock);
    g->crashes = s->crashes;
    pthread_mutex_unlock(&s->lock);
    *out = &g->ground;
    return GNT_OK;
}

/* --- the soil --- */

struct sim_soil *sim_soil_new(void)
{
    struct sim_soil *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->fail_at = s->crash_at = -1;
    if (pthread_mutex_init(&s->lock, NULL) == 0)
        return s;
    free(s);
    return NULL;
}

void sim_soil_free(struct sim_soil *s)
{
    if (!s)
        return;
    while (s->sown.root) {
        struct sown *gone = sown_of(s->sown.root);
        gnt_ordered_remove(&s->sown, &gone->node);
        free(gone);
    }
    while (s->logs.root) {
        struct furrow *gone = GNT_CONTAINER(s->logs.root, struct furrow, node);
        gnt_ordered_remove(&s->logs, &gone->node);
        free(gone);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void sim_ground_fail_at(struct sim_soil *s, long k, gnt_err err, bool all)
{
    pthread_mutex_lock(&s->lock);
    s->fail_at = k;
    s->fail_with = err;
    s->fail_all = all;
    pthread_mutex_unlock(&s->lock);
}

void sim_ground_crash(struct sim_soil *s)
{
    pthread_mutex_lock(&s->lock);
    s->crashes++;
    pthread_mutex_unlock(&s->lock);
}

void sim_ground_crash_at(struct sim_soil *s, long k, bool kept)
{
    pthread_mutex_lock(&s->lock);
    s->crash_at = k;
    s->kept = kept;
    pthread_mutex_unlock(&s->lock);
}

void sim_ground_during(struct sim_soil *s, void (*during)(void *context), void *context)
{
    pthread_mutex_lock(&s->lock);
    s->during = during;
    s->context = context;
    pthread_mutex_unlock(&s->lock);
}

uint64_t sim_ground_applied(struct sim_soil *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t applied = s->applied;
    pthread_mutex_unlock(&s->lock);
    return applied;
}

uint64_t sim_ground_crashes(struct sim_soil *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t crashes = s->crashes;
    pthread_mutex_unlock(&s->lock);
    return crashes;
}

void sim_ground_each(struct sim_soil *s,
                     void (*one)(void *context, struct gnt_slice name, struct gnt_slice key),
                     void *context)
{
    pthread_mutex_lock(&s->lock);
    struct gnt_ordered_node *node = gnt_ordered_from(&s->sown, gnt_slice(NULL, 0));
    for (; node; node = gnt_ordered_after(&s->sown, node->key)) {
        size_t name = node->key.data[1];
        one(context, gnt_slice(node->key.data + 2, name),
            gnt_slice(node->key.data + 2 + name, node->key.size - 2 - name));
    }
    pthread_mutex_unlock(&s->lock);
}

size_t sim_ground_count(struct sim_soil *s)
{
    pthread_mutex_lock(&s->lock);
    size_t count = s->sown.count;
    pthread_mutex_unlock(&s->lock);
    return count;
}
