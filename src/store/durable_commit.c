#include "store/durable_private.h"

#include "base/assert.h"

/* A group ends with the batch that makes its record so large, or its writes so many. */
enum { GROUP_BYTES = 4 << 20, GROUP_WRITES = 1 << 15, RECORD_KEPT = GROUP_BYTES + (1 << 20) };

static struct gnt_request *request_of(struct gnt_list *link)
{
    return GNT_CONTAINER(link, struct gnt_request, link);
}

/* Whether it only takes away, and so makes room. */
static bool only_takes(const struct gnt_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct gnt_store_write w = gnt_batch_write(batch, i);
        if (w.verb == GNT_STORE_PUT || w.verb == GNT_STORE_APPEND)
            return false;
    }
    return true;
}

/* What takes away may go on for a while when the ground takes nothing: it leaves marks. */
static bool active_is_full(const struct gnt_durable *d, bool takes)
{
    size_t most = d->options.memory_max;
    return d->active->bytes >= (takes ? 2 * most : most);
}

/* Commits wait while the ground works.  If it fails, they fail. */
static bool must_wait(const struct gnt_durable *d)
{
    return d->frozen && !d->apply_trouble && (d->voided || d->rescuing || active_is_full(d, false));
}

/* Whether the batch may be tried, see "Trouble" in durable.h. */
static gnt_err admit(const struct gnt_durable *d, const struct gnt_batch *batch)
{
    if (batch->count == 0)
        return GNT_OK;
    bool takes = only_takes(batch);
    if (d->voided || d->rescuing)
        return d->apply_trouble ? d->apply_trouble : d->trouble;
    if (d->apply_trouble && active_is_full(d, takes))
        return d->apply_trouble;
    if (d->trouble == GNT_FULL)
        return takes ? GNT_OK : GNT_FULL;
    bool tried_lately = gnt_now(d->options.clock) < d->retry_at;
    return tried_lately ? d->trouble : GNT_OK;
}

/* Makes the request part of the record. */
static void add(struct gnt_durable *d, struct gnt_request *q)
{
    gnt_err err = admit(d, &q->batch);
    if (!err)
        err = gnt_memtable_prepare(d->active, &q->batch, &q->prepared);
    if (!err) {
        err = gnt_group_add(&d->record, &q->prepared, d->options.time);
        if (err)
            gnt_memtable_drop(d->active, &q->prepared);
    }
    q->completion->result = err;
}

static gnt_err begin(struct gnt_durable *d)
{
    return gnt_group_begin(&d->record, &(struct gnt_group_head){
                                           .generation = d->generation,
                                           .at_ms = gnt_store_time_ms(d->options.time),
                                           .skew_ms = gnt_store_time_skew(d->options.time),
                                       });
}

/* Begins a group of what waits. */
static void gather(struct gnt_durable *d, struct gnt_list *group)
{
    gnt_err err = begin(d);
    uint32_t writes = 0;
    while (!gnt_list_empty(&d->waiting) && gnt_buf_size(&d->record) < GROUP_BYTES &&
           writes < GROUP_WRITES) {
        struct gnt_request *q = request_of(gnt_list_pop_front(&d->waiting));
        writes += q->batch.count;
        gnt_list_push_back(group, &q->link);
        q->completion->result = err;
        if (!err)
            add(d, q);
    }
}

static bool has_writes(const struct gnt_list *group)
{
    gnt_list_each (link, group)
        if (request_of(link)->prepared.count)
            return true;
    return false;
}

/* Nothing of the group happens; what has been part of its record has RESULT. */
static void undo(struct gnt_durable *d, struct gnt_list *group, gnt_err result)
{
    gnt_list_each (link, group) {
        struct gnt_request *q = request_of(link);
        if (q->prepared.count == 0)
            continue;
        gnt_group_void(&q->prepared);
        gnt_memtable_drop(d->active, &q->prepared);
        q->completion->result = result;
    }
}

/* Makes the group's record safe. */
static gnt_err write_record(struct gnt_durable *d)
{
    struct gnt_slice bytes = gnt_buf_slice(&d->record);
    gnt_err err = gnt_journal_write(d->journal, &bytes, 1, &d->written);
    if (err && err != GNT_TOOBIG)
        gnt_durable_failed(d, err);
    if (err)
        return err;
    d->status.commits++;
    d->status.bytes += bytes.size;
    if (d->sync_due == GNT_NEVER)
        d->sync_due = gnt_deadline(gnt_now(d->options.clock), d->options.sync_interval_ns);
    return d->options.sync_interval_ns ? GNT_OK : gnt_durable_sync(d);
}

/* As much of the group as can be: when there is no room, what makes some is tried once more, since
 * the reserve has gone. */
static void write_group(struct gnt_durable *d, struct gnt_list *group)
{
    if (!has_writes(group))
        return;
    gnt_err err = write_record(d);
    if (!err)
        return;
    undo(d, group, err);
    if (err != GNT_FULL || d->voided || begin(d))
        return;
    gnt_list_each (link, group) {
        struct gnt_request *q = request_of(link);
        if (q->completion->result == GNT_FULL)
            add(d, q);
    }
    if (!has_writes(group))
        return;
    err = write_record(d);
    if (err)
        undo(d, group, err);
}

static void finish(struct gnt_durable *d, struct gnt_list *group)
{
    gnt_list_each (link, group) {
        struct gnt_request *q = request_of(link);
        if (q->completion->result)
            d->status.failures++;
        else
            d->status.batches++;
        gnt_memtable_done(d->active, &q->prepared);
    }
    for (struct gnt_list *link; (link = gnt_list_pop_front(group));)
        gnt_durable_complete(request_of(link));
}

bool gnt_durable_commit_group(struct gnt_durable *d)
{
    if (gnt_list_empty(&d->waiting) || must_wait(d))
        return false;
    struct gnt_list group;
    gnt_list_init(&group);
    gather(d, &group);
    write_group(d, &group);
    finish(d, &group);
    if (d->record.cap > RECORD_KEPT)
        gnt_buf_fini(&d->record);
    return true;
}
