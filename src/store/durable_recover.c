#include "store/durable_private.h"

#include "base/assert.h"

struct recovery {
    const struct gnt_durable_options *options;
    struct gnt_durable_report *report;
    struct gnt_group_reader reader;
    struct gnt_memtable memtable; /* what one generation has collected */
    uint64_t generation;
    uint64_t applied;            /* what the ground had when this began */
    struct gnt_ground_mark mark; /* of what the memtable has, or else the ground */
};

static gnt_err remove_reserve(const struct gnt_durable_options *o)
{
    gnt_err err = o->disk->ops->remove(o->disk, GNT_DURABLE_RESERVE);
    return err ? err : o->disk->ops->sync_names(o->disk);
}

/* Puts the memtable into the ground, and empties it.  What it has came from the journal: if there
 * is no room for both, the reserve is there for that. */
static gnt_err apply(struct recovery *r)
{
    const struct gnt_durable_options *o = r->options;
    gnt_err err = o->ground->ops->apply(o->ground, &r->memtable, &r->mark);
    if (err == GNT_FULL && remove_reserve(o) == GNT_OK)
        err = o->ground->ops->apply(o->ground, &r->memtable, &r->mark);
    if (err)
        return err;
    r->report->applied++;
    gnt_memtable_fini(&r->memtable);
    gnt_memtable_init(&r->memtable, true);
    if (o->progress)
        o->progress(o->context, r->report);
    return GNT_OK;
}

/* A generation is put into the ground as a whole: if recovery began again in the middle of it, it
 * would miss the messages that are in the records before. */
static gnt_err do_batch(struct recovery *r, uint64_t generation, const struct gnt_batch *batch)
{
    struct gnt_prepared prepared;
    gnt_err err = GNT_OK;
    if (generation != r->generation && r->memtable.bytes > 0)
        err = apply(r);
    r->generation = generation;
    if (!err)
        err = gnt_memtable_prepare(&r->memtable, batch, &prepared);
    if (!err)
        gnt_memtable_done(&r->memtable, &prepared);
    return err;
}

/* The ground takes whole generations.  What is of one that it had, and not in it, had failed and
 * was undone before the ground took the rest: nobody was told of it, and nothing is lost if it
 * comes back without what it needs, which is in the ground now. */
static bool was_undone(const struct recovery *r, const struct gnt_group_head *head)
{
    return head->generation < r->applied;
}

static gnt_err replay(void *context, uint64_t number, struct gnt_slice bytes)
{
    struct recovery *r = context;
    struct gnt_group_head head = {.generation = UINT64_MAX};
    struct gnt_batch batch = {0};
    gnt_err err = gnt_group_read(&r->reader, bytes, r->options->time, &head, &batch);
    if (!err)
        err = do_batch(r, head.generation, &batch);
    gnt_batch_fini(&batch);
    if (err == GNT_MALFORMED) {
        r->report->unreadable += !was_undone(r, &head);
        err = GNT_OK;
    } else if (!err) {
        r->mark.skew_ms = head.skew_ms;
        if (head.at_ms > r->mark.at_ms)
            r->mark.at_ms = head.at_ms;
    }
    if (!err)
        r->mark.applied = number;
    return err;
}

gnt_err gnt_durable_recover(const struct gnt_durable_options *o, struct gnt_durable_report *report,
                            struct gnt_ground_mark *mark)
{
    struct recovery r = {.options = o, .report = report};
    o->ground->ops->mark(o->ground, mark);
    r.mark = *mark;
    r.applied = mark->applied;
    gnt_memtable_init(&r.memtable, true);
    /* Until it is known what time it is, times go from the journal to the ground as they are. */
    *o->time = (struct gnt_store_time){.clock = o->clock, .base_ms = 0};
    gnt_err err = gnt_journal_replay(o->disk, mark->applied, replay, &r, &report->journal);
    if (!err && report->journal.last > r.mark.applied)
        r.mark.applied = report->journal.last;
    if (!err && r.mark.applied > mark->applied)
        err = apply(&r);
    gnt_memtable_fini(&r.memtable);
    gnt_group_reader_fini(&r.reader);
    *mark = r.mark;
    if (!err)
        gnt_store_time_init(o->time, o->clock, mark->skew_ms, mark->at_ms);
    return err;
}
