#include "store/durable_private.h"

#include "base/assert.h"

#define RETRY_AFTER (100 * GNT_NS_PER_MS)
#define MEND_AFTER  GNT_NS_PER_S
#define MARK_AFTER  GNT_NS_PER_S

/* --- the reserve --- */

static gnt_err write_reserve(struct gnt_disk_file *file, uint64_t size)
{
    static const uint8_t nothing[64 << 10];
    uint64_t at = 0;
    gnt_err err = file->ops->size(file, &at);
    if (!err && at >= size)
        return GNT_OK;
    for (; !err && at < size; at += sizeof nothing) {
        uint64_t left = size - at;
        struct gnt_slice part = gnt_slice(nothing, left < sizeof nothing ? left : sizeof nothing);
        err = file->ops->write(file, at, &part, 1);
    }
    return err ? err : file->ops->sync(file);
}

static void give_reserve(struct gnt_durable *d)
{
    struct gnt_disk *disk = d->options.disk;
    gnt_err err = disk->ops->remove(disk, GNT_DURABLE_RESERVE);
    if (!err || err == GNT_NOTFOUND)
        err = disk->ops->sync_names(disk);
    d->reserved = err != GNT_OK; /* else it is asked to go again the next time */
}

static gnt_err make_reserve(struct gnt_durable *d)
{
    struct gnt_disk *disk = d->options.disk;
    struct gnt_disk_file *file;
    if (d->reserved)
        return GNT_OK;
    gnt_err err = disk->ops->open(disk, GNT_DURABLE_RESERVE, true, &file);
    if (err)
        return err;
    err = write_reserve(file, d->options.reserve_size);
    file->ops->close(file);
    if (!err)
        err = disk->ops->sync_names(disk);
    if (err)
        give_reserve(d);
    d->reserved = !err;
    return err;
}

/* --- trouble --- */

/* Whether that has made some room, for what has been asked for already. */
static bool no_room(struct gnt_durable *d)
{
    bool had = d->reserved;
    d->trouble = GNT_FULL;
    d->mend_at = gnt_deadline(gnt_now(d->options.clock), MEND_AFTER);
    if (had)
        give_reserve(d);
    return had && !d->reserved;
}

void gnt_durable_in_trouble(struct gnt_durable *d, gnt_err err)
{
    uint64_t now = gnt_now(d->options.clock);
    d->trouble = err;
    d->mend_at = gnt_deadline(now, MEND_AFTER);
    bool at_once = err == GNT_FULL && no_room(d);
    d->retry_at = at_once ? now : gnt_deadline(now, RETRY_AFTER);
}

void gnt_durable_failed(struct gnt_durable *d, gnt_err err)
{
    if (d->sync_due != GNT_NEVER && d->options.sync_interval_ns)
        d->voided = true; /* of commits that are completed */
    d->sync_due = GNT_NEVER;
    d->written = d->synced;
    gnt_durable_in_trouble(d, err);
}

bool gnt_durable_owes(const struct gnt_durable *d)
{
    bool saving = (d->voided || d->rescuing) && !d->apply_trouble;
    return d->sync_due != GNT_NEVER || saving;
}

void gnt_durable_synced(struct gnt_durable *d)
{
    d->status.syncs++;
    d->synced = d->written;
    d->sync_due = GNT_NEVER;
    d->mark_at = gnt_deadline(gnt_now(d->options.clock), MARK_AFTER);
    if (d->trouble != GNT_FULL)
        d->trouble = GNT_OK;
}

/* GNT_MORE is none. */
static gnt_err failure(gnt_err err)
{
    return err < 0 ? err : GNT_OK;
}

/* There is room again when there is room for the reserve. */
void gnt_durable_mend(struct gnt_durable *d)
{
    gnt_err err = make_reserve(d);
    if (err == GNT_FULL)
        d->trouble = err;
    else if (d->trouble)
        d->trouble = failure(gnt_journal_prepare(d->journal));
    bool well = d->reserved && !d->trouble;
    d->mend_at = well ? GNT_NEVER : gnt_deadline(gnt_now(d->options.clock), MEND_AFTER);
}

/* --- freezing --- */

/* A journal is worn when it is an eighth full, of which a sixteenth is in the memtable still. */
enum { WORN_PART = 8, WORN_LIVE = 16 };

/* Nearly all that the journal has is no more: to apply the rest costs next to nothing, and what has
 * been written so far can be written again while it is still in the system's memory. */
static bool is_worn(const struct gnt_durable *d)
{
    bool released = d->release_to == d->released; /* else `journal_used` has what is applied, too */
    return released && d->journal_used >= d->options.journal_max / WORN_PART &&
           d->journal_used / WORN_LIVE >= d->active->bytes;
}

bool gnt_durable_should_freeze(const struct gnt_durable *d)
{
    if (d->frozen)
        return false;
    return d->voided || d->active->bytes >= d->options.memory_max ||
           d->journal_used >= d->options.journal_max || is_worn(d);
}

static void want_apply(struct gnt_durable *d)
{
    pthread_mutex_lock(&d->lock);
    d->frozen_is = GNT_FROZEN_WANTED;
    pthread_cond_signal(&d->apply_wanted);
    pthread_mutex_unlock(&d->lock);
}

static void sync_now(struct gnt_durable *d)
{
    gnt_err err = gnt_journal_sync(d->journal);
    if (err)
        gnt_durable_failed(d, err);
    else
        gnt_durable_synced(d);
}

/* The ground may have nothing that the journal could still lose, or what came before it would be
 * lost and it not.  If the journal fails then, the ground is where all of it is made safe; and what
 * is void is not to be done once more if it comes back. */
static void freeze(struct gnt_durable *d)
{
    if (d->flying || d->disk_busy)
        return;
    if (d->sync_due != GNT_NEVER)
        sync_now(d);
    d->frozen = d->active;
    d->active = &d->memtables[d->frozen == &d->memtables[0]];
    d->frozen_mark = (struct gnt_ground_mark){
        .applied = d->voided ? gnt_journal_reach(d->journal) : d->synced,
        .skew_ms = gnt_store_time_skew(d->options.time),
        .at_ms = gnt_store_time_ms(d->options.time),
    };
    d->generation = d->frozen_mark.applied;
    d->rescuing = d->voided;
    d->voided = false;
    want_apply(d);
}

void gnt_durable_applied(struct gnt_durable *d)
{
    pthread_mutex_lock(&d->lock);
    enum gnt_frozen is = d->frozen_is;
    gnt_err err = d->apply_result;
    if (is == GNT_FROZEN_DONE)
        d->frozen_is = err ? GNT_FROZEN_RESTING : GNT_FROZEN_NONE;
    pthread_mutex_unlock(&d->lock);
    if (is != GNT_FROZEN_DONE)
        return;
    d->apply_trouble = err;
    if (err == GNT_FULL)
        no_room(d);
    if (err) {
        d->apply_at = gnt_deadline(gnt_now(d->options.clock), MEND_AFTER);
        return;
    }
    d->release_to = d->frozen_mark.applied;
    gnt_memtable_fini(d->frozen);
    gnt_memtable_init(d->frozen, true);
    d->frozen = NULL;
    if (d->rescuing)
        d->written = d->synced = d->frozen_mark.applied;
    d->rescuing = false;
    d->apply_at = GNT_NEVER;
    d->status.applied++;
}

void gnt_durable_upkeep(struct gnt_durable *d)
{
    uint64_t now = gnt_now(d->options.clock);
    if (gnt_durable_should_freeze(d))
        freeze(d);
    if (now >= d->apply_at) {
        d->apply_at = GNT_NEVER;
        want_apply(d);
    }
    if (now >= d->mend_at && !d->disk_busy)
        gnt_durable_mend(d);
    if (now >= d->mark_at && !d->disk_busy) {
        d->mark_at = GNT_NEVER;
        gnt_journal_mark(d->journal);
    }
}
