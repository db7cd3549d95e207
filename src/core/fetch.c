#include "core/fetch.h"

#include <stdlib.h>

/* One read of the log.  A read may pass by what has been written and is not safe yet: if something
 * is missing, it is looked for again when that is safe. */
struct gnt_fetch {
    struct gnt_store_read read;
    struct gnt_kept kept;
    struct gnt_fetch_for whom;
    struct gnt_fetch **slot; /* NULL: the owner has gone */
    uint64_t from;           /* the first that this read asked for */
    uint64_t end;            /* what is below has been written */
    uint64_t batch;          /* and is safe with this batch, 0: it is */
    gnt_err err;             /* no memory for one of them: it, and what follows, stays */
};

void gnt_fetch_drop(struct gnt_fetch **slot)
{
    struct gnt_fetch *fetch = *slot;
    *slot = NULL;
    if (!fetch)
        return;
    fetch->slot = NULL;
    if (!gnt_list_linked(&fetch->kept.link))
        return;
    gnt_keep_cancel(&fetch->kept);
    free(fetch);
}

/* NULL: there is none any more, or it has put back what it had before that. */
static struct gnt_pending *queue_of(const struct gnt_fetch *fetch)
{
    struct gnt_pending *q = fetch->slot ? fetch->whom.queue(fetch->whom.owner) : NULL;
    return q && q->stored.first >= fetch->from ? q : NULL;
}

/* Those before it that are not there are lost. */
static bool skip_to(struct gnt_pending *q, uint64_t sequence)
{
    while (q->stored.count && q->stored.first < sequence)
        gnt_pending_lost(q);
    return q->stored.count && q->stored.first == sequence;
}

static void on_record(struct gnt_store_read *read, const struct gnt_store_record *record)
{
    struct gnt_fetch *fetch = GNT_CONTAINER(read, struct gnt_fetch, read);
    struct gnt_pending *q = queue_of(fetch);
    struct gnt_entry_record entry;
    if (!q || fetch->err || !skip_to(q, record->sequence))
        return;
    gnt_err err = record->message ? gnt_entry_record_read(record->value, &entry) : GNT_MALFORMED;
    if (err == GNT_MALFORMED) {
        gnt_pending_lost(q);
        return;
    }
    fetch->err = err;
    if (err)
        return;
    struct gnt_waiting w = {.message = gnt_message_ref(record->message),
                            .ids = entry.ids,
                            .sequence = record->sequence,
                            .qos = entry.qos,
                            .retain = entry.retain};
    fetch->err = gnt_pending_fetched(q, &w);
    gnt_waiting_fini(&w);
}

static void end(struct gnt_fetch *fetch, gnt_err err)
{
    struct gnt_fetch_for whom = fetch->whom;
    *fetch->slot = NULL;
    free(fetch);
    whom.fetched(whom.owner, err);
}

static void on_fetched(struct gnt_completion *completion, gnt_err result);

static void begin_read(struct gnt_fetch *fetch)
{
    struct gnt_home *home = fetch->whom.home;
    const struct gnt_pending *q = queue_of(fetch);
    uint64_t wanted = q ? gnt_pending_wants(q) : 0;
    if (wanted == 0 || home->keep.lost) {
        end(fetch, home->keep.lost ? GNT_IO : GNT_OK);
        return;
    }
    fetch->from = q->stored.first;
    gnt_keep_completion(home, &fetch->read.completion, on_fetched);
    gnt_store_read(home->keep.store, gnt_record_log_slice(&fetch->whom.log), q->stored.first,
                   (uint32_t)wanted, &fetch->read);
}

static void on_written(struct gnt_home *home, struct gnt_kept *kept)
{
    struct gnt_fetch *fetch = GNT_CONTAINER(kept, struct gnt_fetch, kept);
    (void)home;
    fetch->batch = 0;
    begin_read(fetch);
}

/* What has been written and is not there is lost. */
static void on_fetched(struct gnt_completion *completion, gnt_err result)
{
    struct gnt_fetch *fetch = GNT_CONTAINER(completion, struct gnt_fetch, read.completion);
    if (!fetch->slot) {
        free(fetch);
        return;
    }
    struct gnt_home *home = fetch->whom.home;
    struct gnt_pending *q = queue_of(fetch);
    bool missing = q && q->stored.count && q->stored.first < fetch->end;
    if (!result)
        result = fetch->err;
    bool all = result == GNT_OK && !fetch->read.more;
    if (all && missing && fetch->batch > home->keep.safe) {
        gnt_keep_wait(home, &fetch->kept, fetch->batch);
    } else if (all && missing && fetch->batch) {
        fetch->batch = 0; /* it has become safe meanwhile */
        begin_read(fetch);
    } else {
        if (all && missing)
            skip_to(q, fetch->end);
        end(fetch, result);
    }
}

gnt_err gnt_fetch_begin(struct gnt_fetch **slot, const struct gnt_fetch_for *whom)
{
    struct gnt_fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch)
        return GNT_NOMEM;
    fetch->read.record = on_record;
    fetch->kept.safe = on_written;
    gnt_list_init(&fetch->kept.link);
    fetch->whom = *whom;
    fetch->slot = slot;
    const struct gnt_stored *stored = &queue_of(fetch)->stored;
    fetch->end = stored->first + stored->count;
    fetch->batch = gnt_keep_pending(whom->home);
    *slot = fetch;
    begin_read(fetch);
    return GNT_OK;
}
