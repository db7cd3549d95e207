#include "store/durable_private.h"

#include "base/assert.h"
#include "base/log.h"

#include <stdlib.h>
#include <time.h>

enum { MAGIC = 0x64757261, SPARE_SEGMENTS = 1 };

static const struct gnt_store_engine durable_engine;

static struct gnt_durable *durable_of(struct gnt_store *s)
{
    struct gnt_durable *d = GNT_CONTAINER(s, struct gnt_durable, store);
    GNT_CHECK_MAGIC(d, MAGIC);
    return d;
}

/* --- asking --- */

static struct gnt_slice copy(uint8_t **to, struct gnt_slice from)
{
    struct gnt_slice copied = gnt_slice(*to, from.size);
    if (from.size)
        memcpy(*to, from.data, from.size);
    *to += from.size;
    return copied;
}

/* A request for C; NAME, KEY and AFTER are copied.  NULL: no memory, and C is on its way. */
static struct gnt_request *request_new(struct gnt_completion *c, struct gnt_slice name,
                                       struct gnt_slice key, struct gnt_slice after)
{
    struct gnt_request *q = malloc(sizeof *q + name.size + key.size + after.size);
    if (!q) {
        c->result = GNT_NOMEM;
        c->deliver(c->context, c);
        return NULL;
    }
    *q = (struct gnt_request){.completion = c};
    uint8_t *at = q->bytes;
    q->name = copy(&at, name);
    q->key = copy(&at, key);
    q->after = copy(&at, after);
    return q;
}

static void ask(struct gnt_durable *d, struct gnt_request *q)
{
    pthread_mutex_lock(&d->lock);
    gnt_list_push_back(&d->asked, &q->link);
    bool wake = !d->looking && !d->nudged;
    if (wake)
        d->nudged = true;
    pthread_mutex_unlock(&d->lock);
    if (wake)
        pthread_cond_signal(&d->asked_for);
}

/* --- telling --- */

void gnt_durable_complete(struct gnt_durable *d, struct gnt_request *q)
{
    gnt_list_push_back(&d->completed, &q->link);
}

static void tell(struct gnt_request *q)
{
    struct gnt_completion *c = q->completion;
    gnt_batch_fini(&q->batch);
    free(q);
    c->deliver(c->context, c);
}

void gnt_durable_tell(struct gnt_durable *d)
{
    while (!d->telling && !gnt_list_empty(&d->completed)) {
        struct gnt_list told;
        gnt_list_init(&told);
        gnt_list_splice_back(&told, &d->completed);
        d->telling = true;
        pthread_mutex_unlock(&d->turn);
        for (struct gnt_list *link; (link = gnt_list_pop_front(&told));)
            tell(GNT_CONTAINER(link, struct gnt_request, link));
        pthread_mutex_lock(&d->turn);
        d->telling = false;
    }
}

static const struct gnt_slice none = {NULL, 0};

/* In the batch's own room, if it has some: so that what was reserved is committed, whatever the
 * state of memory. */
static void durable_commit(struct gnt_store *s, struct gnt_batch *batch, struct gnt_completion *c)
{
    struct gnt_request *q = batch->room ? batch->room : request_new(c, none, none, none);
    struct gnt_batch taken = *batch;
    *batch = (struct gnt_batch){0};
    if (!q) {
        gnt_batch_fini(&taken);
        return;
    }
    *q = (struct gnt_request){.completion = c, .batch = taken};
    q->batch.room = NULL;
    ask(durable_of(s), q);
}

static void durable_get(struct gnt_store *s, struct gnt_slice table, struct gnt_slice key,
                        struct gnt_store_read *r)
{
    struct gnt_request *q = request_new(&r->completion, table, key, none);
    if (!q)
        return;
    q->read = gnt_durable_get;
    ask(durable_of(s), q);
}

static void durable_scan(struct gnt_store *s, struct gnt_slice table, struct gnt_slice prefix,
                         struct gnt_slice after, uint32_t most, struct gnt_store_read *r)
{
    struct gnt_request *q = request_new(&r->completion, table, prefix, after);
    if (!q)
        return;
    q->read = gnt_durable_scan;
    q->most = most;
    ask(durable_of(s), q);
}

static void durable_read(struct gnt_store *s, struct gnt_slice log, uint64_t from, uint32_t most,
                         struct gnt_store_read *r)
{
    struct gnt_request *q = request_new(&r->completion, log, none, none);
    if (!q)
        return;
    q->read = gnt_durable_read;
    q->from = from;
    q->most = most;
    ask(durable_of(s), q);
}

const struct gnt_store_time *gnt_durable_time(const struct gnt_store *s)
{
    return durable_of((struct gnt_store *)(uintptr_t)s)->options.time;
}

/* --- working --- */

const char *gnt_durable_state(gnt_err state)
{
    static const struct {
        gnt_err state;
        const char *words;
    } rows[] = {{GNT_OK, "ok"}, {GNT_FULL, "no space"}, {GNT_NOMEM, "no memory"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].state == state)
            return rows[i].words;
    return "input/output error";
}

/* Once for each change: whoever reads the log sees when it began and when it was over. */
static void log_change(gnt_err before, gnt_err now)
{
    if (now)
        gnt_log(GNT_LOG_ERROR, NULL, "store", GNT_F_STR("state", gnt_durable_state(now)),
                GNT_F_STR("meanwhile", "nothing new is kept or acknowledged"));
    else
        gnt_log(GNT_LOG_NOTICE, NULL, "store", GNT_F_STR("state", gnt_durable_state(now)),
                GNT_F_STR("before", gnt_durable_state(before)));
}

/* Only the first time: clients can have the same place read again and again. */
static void look_for_damage(struct gnt_durable *d)
{
    uint64_t damaged = d->ground->ops->damaged(d->ground);
    if (damaged && !d->status.damaged)
        gnt_log(GNT_LOG_ERROR, NULL, "data damaged", GNT_F_STR("where", "data.mdb"),
                GNT_F_STR("lost", "what cannot be read"), GNT_F_STR("see", "gnatter store check"));
    d->status.damaged = damaged;
}

static void publish_status(struct gnt_durable *d)
{
    gnt_err before = d->status.state;
    d->status.state = d->trouble ? d->trouble : d->apply_trouble;
    if (d->status.state != before)
        log_change(before, d->status.state);
    atomic_store_explicit(&d->store.trouble, d->status.state, memory_order_relaxed);
    d->status.journal_used = d->journal_used;
    d->status.memory = d->memtables[0].bytes + d->memtables[1].bytes;
    look_for_damage(d);
    pthread_mutex_lock(&d->lock);
    d->shown = d->status;
    pthread_mutex_unlock(&d->lock);
}

static void serve(struct gnt_durable *d, struct gnt_request *q)
{
    struct gnt_store_read *r = GNT_CONTAINER(q->completion, struct gnt_store_read, completion);
    q->read(d, q, r);
    gnt_durable_complete(d, q);
}

/* Reads at once, and puts commits where they wait. */
static void take_asked(struct gnt_durable *d)
{
    struct gnt_list asked;
    gnt_list_init(&asked);
    pthread_mutex_lock(&d->lock);
    gnt_list_splice_back(&asked, &d->asked);
    d->closing = d->stop;
    pthread_mutex_unlock(&d->lock);
    for (struct gnt_list *link; (link = gnt_list_pop_front(&asked));) {
        struct gnt_request *q = GNT_CONTAINER(link, struct gnt_request, link);
        if (q->read)
            serve(d, q);
        else
            gnt_durable_queue(d, q);
    }
}

/* Stepped, a turn may be asked for while one computes (a disk that is simulated calls back); then
 * it would have to wait for that one. */
static bool take_turn(struct gnt_durable *d)
{
    if (d->options.stepped)
        return pthread_mutex_trylock(&d->turn) == 0;
    pthread_mutex_lock(&d->turn);
    return true;
}

/* What the disk has brought is done by whoever comes first: who wrote it, or who was woken. */
bool gnt_durable_turn(struct gnt_store *s)
{
    struct gnt_durable *d = durable_of(s);
    if (!take_turn(d))
        return false;
    gnt_durable_finish(d);
    gnt_durable_applied(d);
    take_asked(d);
    gnt_durable_upkeep(d);
    bool worked = gnt_durable_gather(d);
    gnt_durable_tell(d);
    worked |= gnt_durable_use_disk(d);
    gnt_durable_finish(d);
    gnt_durable_upkeep(d);
    gnt_durable_tell(d);
    publish_status(d);
    pthread_mutex_unlock(&d->turn);
    return worked;
}

bool gnt_durable_apply(struct gnt_store *s)
{
    struct gnt_durable *d = durable_of(s);
    pthread_mutex_lock(&d->lock);
    bool wanted = d->frozen_is == GNT_FROZEN_WANTED;
    pthread_mutex_unlock(&d->lock);
    if (!wanted)
        return false;
    gnt_err err = d->ground->ops->apply(d->ground, d->frozen, &d->frozen_mark);
    pthread_mutex_lock(&d->lock);
    d->frozen_is = GNT_FROZEN_DONE;
    d->apply_result = err;
    pthread_cond_signal(&d->asked_for);
    pthread_mutex_unlock(&d->lock);
    return true;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t gnt_durable_due(struct gnt_store *s)
{
    struct gnt_durable *d = durable_of(s);
    pthread_mutex_lock(&d->turn);
    uint64_t due = sooner(gnt_durable_gather_at(d), d->apply_at);
    if (!d->disk_busy) /* else whoever has it looks after the rest */
        due = sooner(due, sooner(sooner(d->sync_due, d->mend_at), d->mark_at));
    pthread_mutex_unlock(&d->turn);
    return due;
}

bool gnt_durable_status(struct gnt_store *s, struct gnt_durable_status *out)
{
    if (s->engine != &durable_engine)
        return false;
    struct gnt_durable *d = durable_of(s);
    pthread_mutex_lock(&d->lock);
    *out = d->shown;
    pthread_mutex_unlock(&d->lock);
    return true;
}

/* --- threads --- */

/* DUE on the clock of the condition variables, which are for real threads. */
static struct timespec real_time(const struct gnt_durable *d, uint64_t due)
{
    struct timespec t;
    uint64_t now = gnt_now(d->options.clock);
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t ns = (uint64_t)t.tv_nsec + (due > now ? due - now : 0);
    t.tv_sec += (time_t)(ns / GNT_NS_PER_S);
    t.tv_nsec = (long)(ns % GNT_NS_PER_S);
    return t;
}

/* What a thread that has nothing to do waits for. */
struct rest {
    uint64_t due;
    bool done; /* nothing: the store is closed, and all that was asked for is done */
};

static struct rest rest_of(struct gnt_durable *d)
{
    struct rest rest = {.due = gnt_durable_due(&d->store)};
    pthread_mutex_lock(&d->turn);
    rest.done = d->closing && gnt_list_empty(&d->waiting) && !d->flying && !gnt_durable_owes(d);
    pthread_mutex_unlock(&d->turn);
    return rest;
}

/* Whether nothing has come since a turn looked.  Under the lock. */
static bool nothing_new(const struct gnt_durable *d)
{
    return !d->nudged && gnt_list_empty(&d->asked) && d->frozen_is != GNT_FROZEN_DONE;
}

/* Until there is something to do; false: there never will be. */
static bool wait_for_work(struct gnt_durable *d, const struct rest *rest)
{
    bool timed = rest->due != GNT_NEVER;
    struct timespec until = timed ? real_time(d, rest->due) : (struct timespec){0};
    int late = 0;
    pthread_mutex_lock(&d->lock);
    d->looking--;
    while (nothing_new(d) && !rest->done && !late)
        late = timed ? pthread_cond_timedwait(&d->asked_for, &d->lock, &until)
                     : pthread_cond_wait(&d->asked_for, &d->lock);
    bool leave = rest->done && nothing_new(d);
    d->looking += !leave;
    d->nudged = leave; /* the other one is to leave, too */
    if (leave)
        pthread_cond_signal(&d->asked_for);
    pthread_mutex_unlock(&d->lock);
    return !leave;
}

static void *store_main(void *arg)
{
    struct gnt_durable *d = arg;
    struct rest rest;
    do {
        while (gnt_durable_turn(&d->store)) {
        }
        rest = rest_of(d);
    } while (wait_for_work(d, &rest));
    return NULL;
}

static void *applier_main(void *arg)
{
    struct gnt_durable *d = arg;
    pthread_mutex_lock(&d->lock);
    while (!d->stop_applier) {
        pthread_mutex_unlock(&d->lock);
        gnt_durable_apply(&d->store);
        pthread_mutex_lock(&d->lock);
        while (!d->stop_applier && d->frozen_is != GNT_FROZEN_WANTED)
            pthread_cond_wait(&d->apply_wanted, &d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

static void stop_applier(struct gnt_durable *d)
{
    pthread_mutex_lock(&d->lock);
    d->stop_applier = true;
    pthread_cond_signal(&d->apply_wanted);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->applier, NULL);
}

static void stop_store_threads(struct gnt_durable *d, unsigned count)
{
    pthread_mutex_lock(&d->lock);
    d->stop = d->nudged = true;
    pthread_cond_broadcast(&d->asked_for);
    pthread_mutex_unlock(&d->lock);
    for (unsigned i = 0; i < count; i++)
        pthread_join(d->store_threads[i], NULL);
}

static gnt_err start_threads(struct gnt_durable *d)
{
    unsigned i = 0;
    if (pthread_create(&d->applier, NULL, applier_main, d) != 0)
        return GNT_NOMEM;
    while (i < GNT_STORE_THREADS && pthread_create(&d->store_threads[i], NULL, store_main, d) == 0)
        i++;
    if (i == GNT_STORE_THREADS)
        return GNT_OK;
    stop_store_threads(d, i);
    stop_applier(d);
    return GNT_NOMEM;
}

static void stop_threads(struct gnt_durable *d)
{
    stop_store_threads(d, GNT_STORE_THREADS);
    stop_applier(d);
}

/* --- closing and opening --- */

static void durable_free(struct gnt_durable *d)
{
    gnt_journal_close(&d->journal);
    for (size_t i = 0; i < 2; i++)
        gnt_memtable_fini(&d->memtables[i]);
    for (size_t i = 0; i < GNT_FLIGHTS; i++)
        gnt_buf_fini(&d->flights[i].record);
    pthread_cond_destroy(&d->asked_for);
    pthread_cond_destroy(&d->apply_wanted);
    pthread_mutex_destroy(&d->lock);
    pthread_mutex_destroy(&d->turn);
    free(d);
}

/* What is asked for while it closes, by completions, is done as well. */
static void finish_stepped(struct gnt_durable *d)
{
    d->stop = true;
    while (gnt_durable_turn(&d->store) || gnt_durable_apply(&d->store) ||
           !gnt_list_empty(&d->asked) || !gnt_list_empty(&d->waiting) || d->flying) {
    }
}

static void durable_close(struct gnt_store *s)
{
    struct gnt_durable *d = durable_of(s);
    if (d->options.stepped)
        finish_stepped(d);
    else
        stop_threads(d);
    gnt_journal_mark(d->journal);
    const struct gnt_durable_options options = d->options;
    d->ground->ops->close(d->ground);
    durable_free(d);
    options.disk->ops->free(options.disk);
    if (options.closed)
        options.closed(options.closed_context);
}

static const struct gnt_store_engine durable_engine = {
    .commit = durable_commit,
    .get = durable_get,
    .scan = durable_scan,
    .read = durable_read,
    .close = durable_close,
};

static gnt_err init_locks(struct gnt_durable *d)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return GNT_NOMEM;
    int failed = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (!failed)
        failed = pthread_cond_init(&d->asked_for, &attr);
    pthread_condattr_destroy(&attr);
    if (failed)
        return GNT_NOMEM;
    pthread_cond_init(&d->apply_wanted, NULL); /* these cannot fail */
    pthread_mutex_init(&d->lock, NULL);
    pthread_mutex_init(&d->turn, NULL);
    return GNT_OK;
}

static gnt_err durable_new(const struct gnt_durable_options *options, struct gnt_durable **out)
{
    struct gnt_durable *d = calloc(1, sizeof *d);
    if (!d)
        return GNT_NOMEM;
    d->store.engine = &durable_engine;
    d->magic = MAGIC;
    d->options = *options;
    d->ground = options->ground;
    gnt_list_init(&d->asked);
    gnt_list_init(&d->waiting);
    gnt_list_init(&d->completed);
    for (size_t i = 0; i < GNT_FLIGHTS; i++)
        gnt_list_init(&d->flights[i].requests);
    d->looking = GNT_STORE_THREADS;
    for (size_t i = 0; i < 2; i++)
        gnt_memtable_init(&d->memtables[i], true);
    d->active = &d->memtables[0];
    d->sync_due = d->apply_at = d->mend_at = d->commit_due = d->mark_at = GNT_NEVER;
    gnt_err err = init_locks(d);
    if (err)
        free(d);
    else
        *out = d;
    return err;
}

static struct gnt_durable_options with_defaults(const struct gnt_durable_options *given)
{
    struct gnt_durable_options o = *given;
    if (!o.memory_max)
        o.memory_max = GNT_DURABLE_MEMORY_MAX;
    if (!o.journal_max)
        o.journal_max = GNT_DURABLE_JOURNAL_MAX;
    if (!o.segment_size)
        o.segment_size = GNT_DURABLE_SEGMENT_SIZE;
    if (!o.reserve_size)
        o.reserve_size = GNT_DURABLE_RESERVE_SIZE;
    return o;
}

/* A new journal behind what has been recovered. */
static gnt_err begin_journal(struct gnt_durable *d, uint64_t last)
{
    const struct gnt_journal_options options = {
        .disk = d->options.disk,
        .segment_size = d->options.segment_size,
        .spare = SPARE_SEGMENTS,
        .keep = (unsigned)(d->options.journal_max / d->options.segment_size),
        .random = d->options.random,
    };
    d->written = d->synced = d->generation = d->released = d->release_to = last;
    return gnt_journal_open(&options, last + 1, &d->journal);
}

gnt_err gnt_durable_open(const struct gnt_durable_options *given, struct gnt_durable_report *report,
                         struct gnt_store **out)
{
    const struct gnt_durable_options options = with_defaults(given);
    struct gnt_durable *d = NULL;
    struct gnt_ground_mark mark;
    *report = (struct gnt_durable_report){0};
    gnt_err err = gnt_durable_recover(&options, report, &mark);
    if (!err)
        err = durable_new(&options, &d);
    if (err)
        return err;
    err = begin_journal(d, mark.applied);
    if (!err)
        gnt_durable_mend(d);
    if (!err && !options.stepped)
        err = start_threads(d);
    if (err) {
        durable_free(d);
        return err;
    }
    *out = &d->store;
    return GNT_OK;
}
