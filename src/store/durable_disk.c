#include "store/durable_private.h"

/* What the journal can be told to do, the most urgent first. */
enum job {
    SYNC,    /* what is written and was not synced at once */
    WRITE,   /* the oldest flight */
    RELEASE, /* what the ground has */
    MAKE,    /* a part of what it will need, while nobody waits */
    NOTHING,
};

struct work {
    enum job job;
    struct gnt_flight *flight; /* of WRITE */
    uint64_t release_to;
    gnt_err err;
};

/* The flight that is to be written next: none behind one that has failed. */
static struct gnt_flight *ready_flight(struct gnt_durable *d)
{
    for (unsigned i = 0; i < d->flying; i++) {
        struct gnt_flight *f = gnt_durable_flight(d, i);
        if (f->state == GNT_FLIGHT_READY)
            return f;
        if (f->err)
            return NULL;
    }
    return NULL;
}

/* Nobody waits for the interval's end when the store is closed. */
static bool is_sync_due(const struct gnt_durable *d)
{
    return d->sync_due != GNT_NEVER && (d->closing || gnt_now(d->options.clock) >= d->sync_due);
}

static enum job choose(struct gnt_durable *d)
{
    if (is_sync_due(d))
        return SYNC;
    if (ready_flight(d))
        return WRITE;
    if (d->release_to > d->released)
        return RELEASE;
    return d->closing || d->trouble || d->flying ? NOTHING : MAKE;
}

/* --- without `turn` --- */

static gnt_err write_flight(struct gnt_durable *d, struct gnt_flight *f)
{
    struct gnt_slice bytes = gnt_buf_slice(&f->record);
    if (!f->writes)
        return GNT_OK;
    gnt_err err = gnt_journal_write(d->journal, &bytes, 1, &f->number);
    if (!err && !d->options.sync_interval_ns)
        err = gnt_journal_sync(d->journal);
    return err;
}

static void work(struct gnt_durable *d, struct work *w)
{
    if (w->release_to > d->released)
        gnt_journal_release(d->journal, w->release_to);
    switch (w->job) {
    case SYNC: w->err = gnt_journal_sync(d->journal); break;
    case WRITE: w->err = write_flight(d, w->flight); break;
    case MAKE: w->err = gnt_journal_prepare(d->journal); break;
    case RELEASE:
    case NOTHING: break;
    }
}

/* Whoever sleeps has to compute meanwhile, if there is something. */
static void let_go(struct gnt_durable *d)
{
    bool more = (d->flying && gnt_durable_flight(d, 0)->state == GNT_FLIGHT_WRITTEN) ||
                gnt_durable_can_gather(d);
    pthread_mutex_lock(&d->lock);
    d->looking--;
    if (more || !gnt_list_empty(&d->asked)) {
        d->nudged = true;
        pthread_cond_signal(&d->asked_for);
    }
    pthread_mutex_unlock(&d->lock);
    pthread_mutex_unlock(&d->turn);
}

static void take_back(struct gnt_durable *d)
{
    pthread_mutex_lock(&d->lock);
    d->looking++;
    pthread_mutex_unlock(&d->lock);
    pthread_mutex_lock(&d->turn);
}

/* --- with it --- */

static void note(struct gnt_durable *d, const struct work *w)
{
    d->released = w->release_to;
    d->journal_used = gnt_journal_used(d->journal);
    switch (w->job) {
    case SYNC:
        if (w->err) /* what is ready may build on what is void now */
            gnt_durable_undo(d, w->err);
        else
            gnt_durable_synced(d);
        break;
    case WRITE:
        w->flight->state = GNT_FLIGHT_WRITTEN;
        w->flight->err = w->err;
        break;
    case MAKE:
        if (w->err < 0)
            gnt_durable_in_trouble(d, w->err);
        break;
    case RELEASE:
    case NOTHING: break;
    }
}

static void do_job(struct gnt_durable *d, struct work *w)
{
    if (w->job == WRITE) {
        w->flight = ready_flight(d);
        w->flight->state = GNT_FLIGHT_WRITING;
    }
    w->release_to = d->release_to;
    let_go(d);
    work(d, w);
    take_back(d);
    note(d, w);
}

/* Whatever is done, flights that have become ready meanwhile come right behind it, one behind the
 * other: what the first one brought is done by who sleeps. */
bool gnt_durable_use_disk(struct gnt_durable *d)
{
    struct work w = {.job = d->disk_busy ? NOTHING : choose(d)};
    if (w.job == NOTHING)
        return false;
    d->disk_busy = true;
    do_job(d, &w);
    while (ready_flight(d) && !is_sync_due(d)) {
        w.job = WRITE;
        do_job(d, &w);
    }
    d->disk_busy = false;
    return w.job != MAKE || w.err == GNT_MORE;
}
