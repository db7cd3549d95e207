#include "store/durable_private.h"

#include "base/assert.h"

/* A group ends with the batch that makes its record so large, or its writes so many. */
enum { GROUP_BYTES = 4 << 20, GROUP_WRITES = 1 << 15, RECORD_KEPT = GROUP_BYTES + (1 << 20) };

static struct gnt_request *request_of(struct gnt_list *link)
{
    return GNT_CONTAINER(link, struct gnt_request, link);
}

/* Whether somebody may wait for it: see "Patience" in durable.h. */
static bool is_urgent(const struct gnt_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        if (gnt_batch_write(batch, i).verb != GNT_STORE_REMOVE)
            return true;
    return batch->count == 0;
}

void gnt_durable_queue(struct gnt_durable *d, struct gnt_request *q)
{
    uint64_t patience = d->options.patience_ns, due = 0;
    if (patience && !is_urgent(&q->batch))
        due = gnt_deadline(gnt_now(d->options.clock), patience);
    if (due < d->commit_due)
        d->commit_due = due;
    gnt_list_push_back(&d->waiting, &q->link);
}

static bool can_wait(const struct gnt_durable *d)
{
    return d->commit_due && !d->closing && gnt_now(d->options.clock) < d->commit_due;
}

/* Commits wait while the ground works, or fails, and there is no more room for them in memory. */
static bool must_wait(const struct gnt_durable *d)
{
    bool full = d->active->bytes >= d->options.memory_max;
    return d->frozen && (d->voided || d->rescuing || full);
}

/* After a failure the journal is left alone for a moment. */
static bool rests(const struct gnt_durable *d)
{
    return d->trouble && gnt_now(d->options.clock) < d->retry_at;
}

/* Makes the request part of the record. */
static gnt_err add(struct gnt_durable *d, struct gnt_request *q)
{
    gnt_err err = gnt_memtable_prepare(d->active, &q->batch, &q->prepared);
    if (err)
        return err;
    err = gnt_group_add(&d->record, &q->prepared, d->options.time);
    if (err)
        gnt_memtable_drop(d->active, &q->prepared);
    return err;
}

static gnt_err begin(struct gnt_durable *d)
{
    return gnt_group_begin(&d->record, &(struct gnt_group_head){
                                           .generation = d->generation,
                                           .at_ms = gnt_store_time_ms(d->options.time),
                                           .skew_ms = gnt_store_time_skew(d->options.time),
                                       });
}

/* Begins a group of what waits.  What finds no memory waits on, and so does all behind it. */
static gnt_err gather(struct gnt_durable *d, struct gnt_list *group)
{
    gnt_err err = begin(d);
    uint32_t writes = 0;
    while (!err && !gnt_list_empty(&d->waiting) && gnt_buf_size(&d->record) < GROUP_BYTES &&
           writes < GROUP_WRITES) {
        struct gnt_request *q = request_of(d->waiting.next);
        err = add(d, q);
        if (err == GNT_NOMEM)
            break;
        q->completion->result = err; /* GNT_TOOBIG: it can never be written */
        err = GNT_OK;
        writes += q->batch.count;
        gnt_list_remove(&q->link);
        gnt_list_push_back(group, &q->link);
    }
    return gnt_list_empty(group) ? err : GNT_OK;
}

static bool has_writes(const struct gnt_list *group)
{
    gnt_list_each (link, group)
        if (request_of(link)->prepared.count)
            return true;
    return false;
}

/* Nothing of the group has happened: it waits again, before all others. */
static void undo(struct gnt_durable *d, struct gnt_list *group)
{
    gnt_list_each (link, group) {
        struct gnt_request *q = request_of(link);
        if (q->prepared.count == 0)
            continue;
        gnt_group_void(&q->prepared);
        gnt_memtable_drop(d->active, &q->prepared);
    }
    gnt_list_splice_back(group, &d->waiting);
    gnt_list_splice_back(&d->waiting, group);
}

/* Makes the group's record safe. */
static gnt_err write_record(struct gnt_durable *d)
{
    struct gnt_slice bytes = gnt_buf_slice(&d->record);
    gnt_err err = gnt_journal_write(d->journal, &bytes, 1, &d->written);
    if (err) {
        gnt_durable_failed(d, err);
        return err;
    }
    d->status.commits++;
    d->status.bytes += bytes.size;
    if (d->sync_due == GNT_NEVER)
        d->sync_due = gnt_deadline(gnt_now(d->options.clock), d->options.sync_interval_ns);
    return d->options.sync_interval_ns ? GNT_OK : gnt_durable_sync(d);
}

static void finish(struct gnt_durable *d, struct gnt_list *group)
{
    gnt_list_each (link, group) {
        struct gnt_request *q = request_of(link);
        d->status.batches += !q->completion->result;
        gnt_memtable_done(d->active, &q->prepared);
    }
    for (struct gnt_list *link; (link = gnt_list_pop_front(group));)
        gnt_durable_complete(request_of(link));
}

/* Whoever closes the store in the middle of trouble does not wait for its end. */
static void give_up(struct gnt_durable *d, gnt_err why)
{
    for (struct gnt_list *link; (link = gnt_list_pop_front(&d->waiting));) {
        request_of(link)->completion->result = why;
        gnt_durable_complete(request_of(link));
    }
}

/* GNT_MORE: not now. */
static gnt_err commit_group(struct gnt_durable *d)
{
    struct gnt_list group;
    gnt_list_init(&group);
    if (must_wait(d) || rests(d))
        return GNT_MORE;
    gnt_err err = gather(d, &group);
    if (err)
        gnt_durable_in_trouble(d, err);
    else if (has_writes(&group))
        err = write_record(d);
    if (err)
        undo(d, &group);
    else
        finish(d, &group);
    return err;
}

bool gnt_durable_commit_group(struct gnt_durable *d)
{
    d->patient = can_wait(d);
    if (gnt_list_empty(&d->waiting) || d->patient)
        return false;
    gnt_err err = commit_group(d), trouble = d->trouble ? d->trouble : d->apply_trouble;
    if (err < 0)
        d->status.failures++;
    if (err && trouble && d->closing)
        give_up(d, trouble);
    d->commit_due = gnt_list_empty(&d->waiting) ? GNT_NEVER : 0;
    if (d->record.cap > RECORD_KEPT)
        gnt_buf_fini(&d->record);
    return err != GNT_MORE && !rests(d);
}
