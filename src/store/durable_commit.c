#include "store/durable_private.h"

/* A group ends with the batch that makes its record so large, or its writes so many. */
enum { GROUP_BYTES = 2 << 20, GROUP_WRITES = 1 << 15, RECORD_KEPT = GROUP_BYTES + (1 << 20) };

static struct gnt_request *request_of(struct gnt_list *link)
{
    return GNT_CONTAINER(link, struct gnt_request, link);
}

void gnt_durable_queue(struct gnt_durable *d, struct gnt_request *q)
{
    uint64_t patience = d->options.patience_ns, due = 0;
    if (patience && q->batch.lazy)
        due = gnt_deadline(gnt_now(d->options.clock), patience);
    if (due < d->commit_due)
        d->commit_due = due;
    gnt_list_push_back(&d->waiting, &q->link);
}

/* --- what has to wait --- */

static bool can_wait(const struct gnt_durable *d)
{
    return d->commit_due && !d->closing && gnt_now(d->options.clock) < d->commit_due;
}

/* Commits wait while the ground works, or fails, and there is no more room for them in memory; and
 * until a memtable that has to be frozen is, with nothing flying. */
static bool must_wait(const struct gnt_durable *d)
{
    bool full = d->active->bytes >= d->options.memory_max;
    return gnt_durable_should_freeze(d) || (d->frozen && (d->voided || d->rescuing || full));
}

/* After a failure the journal is left alone for a moment. */
static bool rests(const struct gnt_durable *d)
{
    return d->trouble && gnt_now(d->options.clock) < d->retry_at;
}

/* --- a flight begins --- */

static bool is_full(const struct gnt_flight *f)
{
    return gnt_buf_size(&f->record) >= GROUP_BYTES || f->writes >= GROUP_WRITES;
}

/* Which flight takes what waits, as a number behind the oldest; GNT_FLIGHTS: none can. */
static unsigned open_flight(const struct gnt_durable *d)
{
    if (d->flying == 0)
        return 0;
    const struct gnt_flight *newest = &d->flights[(d->oldest + d->flying - 1) % GNT_FLIGHTS];
    if (newest->state != GNT_FLIGHT_READY)
        return d->flying;
    return is_full(newest) ? GNT_FLIGHTS : d->flying - 1;
}

static gnt_err begin(struct gnt_durable *d, struct gnt_flight *f)
{
    f->state = GNT_FLIGHT_READY;
    f->writes = 0;
    return gnt_group_begin(&f->record, &(struct gnt_group_head){
                                           .generation = d->generation,
                                           .at_ms = gnt_store_time_ms(d->options.time),
                                           .skew_ms = gnt_store_time_skew(d->options.time),
                                       });
}

/* Makes the request part of the record. */
static gnt_err add(struct gnt_durable *d, struct gnt_flight *f, struct gnt_request *q)
{
    gnt_err err = gnt_memtable_prepare(d->active, &q->batch, &q->prepared);
    if (err)
        return err;
    err = gnt_group_add(&f->record, &q->prepared, d->options.time);
    if (err)
        gnt_memtable_drop(d->active, &q->prepared);
    f->writes += q->prepared.count;
    return err;
}

/* Puts what waits into F.  What finds no memory waits on, and so does all behind it. */
static gnt_err fill(struct gnt_durable *d, struct gnt_flight *f)
{
    gnt_err err = gnt_list_empty(&f->requests) ? begin(d, f) : GNT_OK;
    while (!err && !gnt_list_empty(&d->waiting) && !is_full(f)) {
        struct gnt_request *q = request_of(d->waiting.next);
        err = add(d, f, q);
        if (err == GNT_NOMEM)
            break;
        q->completion->result = err; /* GNT_TOOBIG: it can never be written */
        err = GNT_OK;
        gnt_list_remove(&q->link);
        gnt_list_push_back(&f->requests, &q->link);
    }
    return gnt_list_empty(&f->requests) ? err : GNT_OK;
}

/* Whoever closes the store in the middle of trouble does not wait for its end. */
static void give_up(struct gnt_durable *d)
{
    gnt_err why = d->trouble ? d->trouble : d->apply_trouble;
    if (!why || !d->closing || d->flying)
        return;
    for (struct gnt_list *link; (link = gnt_list_pop_front(&d->waiting));) {
        request_of(link)->completion->result = why;
        gnt_durable_complete(d, request_of(link));
    }
}

/* Whether a flight may take more, had it not more time to wait. */
static bool may_gather(const struct gnt_durable *d)
{
    return !must_wait(d) && !rests(d) && open_flight(d) < GNT_FLIGHTS;
}

bool gnt_durable_can_gather(const struct gnt_durable *d)
{
    return !gnt_list_empty(&d->waiting) && !can_wait(d) && may_gather(d);
}

/* Of those who rest, whoever has the disk or the applier wakes one when that was in the way. */
uint64_t gnt_durable_gather_at(const struct gnt_durable *d)
{
    if (gnt_list_empty(&d->waiting) || must_wait(d) || open_flight(d) == GNT_FLIGHTS)
        return GNT_NEVER;
    if (d->patient)
        return d->commit_due;
    return d->trouble ? d->retry_at : GNT_NEVER;
}

bool gnt_durable_gather(struct gnt_durable *d)
{
    gnt_err err = GNT_MORE;
    d->patient = can_wait(d);
    if (gnt_list_empty(&d->waiting) || d->patient)
        return false;
    if (may_gather(d)) {
        unsigned i = open_flight(d);
        err = fill(d, gnt_durable_flight(d, i));
        if (!err)
            d->flying = i + 1;
    }
    if (err < 0) {
        d->status.failures++;
        gnt_durable_in_trouble(d, err);
    }
    if (err)
        give_up(d);
    d->commit_due = gnt_list_empty(&d->waiting) ? GNT_NEVER : 0;
    return err != GNT_MORE && !rests(d);
}

/* --- a flight ends --- */

void gnt_durable_undo(struct gnt_durable *d, gnt_err err)
{
    struct gnt_list undone;
    gnt_durable_failed(d, err);
    gnt_list_init(&undone);
    for (unsigned i = 0; i < d->flying; i++) {
        struct gnt_flight *f = gnt_durable_flight(d, i);
        gnt_list_each (link, &f->requests) {
            gnt_group_void(&request_of(link)->prepared);
            gnt_memtable_drop(d->active, &request_of(link)->prepared);
        }
        gnt_list_splice_back(&undone, &f->requests);
    }
    d->flying = 0;
    gnt_list_splice_back(&undone, &d->waiting);
    gnt_list_splice_back(&d->waiting, &undone);
    d->commit_due = 0;
    give_up(d);
}

static void land(struct gnt_durable *d, struct gnt_flight *f)
{
    if (f->writes) {
        d->status.commits++;
        d->status.bytes += gnt_buf_size(&f->record);
        d->written = f->number;
        if (!d->options.sync_interval_ns)
            gnt_durable_synced(d);
        else if (d->sync_due == GNT_NEVER)
            d->sync_due = gnt_deadline(gnt_now(d->options.clock), d->options.sync_interval_ns);
    }
    for (struct gnt_list *link; (link = gnt_list_pop_front(&f->requests));) {
        struct gnt_request *q = request_of(link);
        d->status.batches += !q->completion->result;
        gnt_memtable_done(d->active, &q->prepared);
        gnt_durable_complete(d, q);
    }
    if (f->record.cap > RECORD_KEPT)
        gnt_buf_fini(&f->record);
}

void gnt_durable_finish(struct gnt_durable *d)
{
    while (d->flying) {
        struct gnt_flight *f = gnt_durable_flight(d, 0);
        if (f->state != GNT_FLIGHT_WRITTEN)
            return;
        if (f->err) {
            d->status.failures++;
            gnt_durable_undo(d, f->err);
            return;
        }
        land(d, f);
        d->oldest = (d->oldest + 1) % GNT_FLIGHTS;
        d->flying--;
    }
}
