#include "core/queue_private.h"

#include "core/queue_record.h"

#include <stdlib.h>

/* One read of a lane's log.  A read may pass by what has been written and is not safe yet: if
 * something is missing, it is looked for again when that is safe. */
struct gnt_lane_fetch {
    struct gnt_store_read read;
    struct gnt_kept kept;
    struct gnt_home *home;
    struct gnt_lane *lane; /* NULL: it has gone */
    uint64_t end;          /* what is up to this has been written */
    uint64_t left;         /* lane->stored.left at that time */
    uint64_t batch;        /* it is safe with this batch, 0: it is */
    gnt_err err;           /* no memory for one of them: it, and what follows, stays */
};

uint64_t gnt_queue_window(const struct gnt_queue *q)
{
    uint64_t window =
        q->home->config.queue_window ? q->home->config.queue_window : GNT_QUEUE_WINDOW;
    bool away = gnt_list_empty(&q->takers) && window > GNT_QUEUE_WINDOW_AWAY;
    return away && !gnt_queue_drops(q) ? GNT_QUEUE_WINDOW_AWAY : window;
}

/* Whether anybody asks for what comes first: consumers, or what is to go as it is too much, or too
 * old. */
static bool is_asked_for(const struct gnt_lane *lane)
{
    const struct gnt_queue *q = lane->queue;
    bool mortal = !q->parent && (q->options.ttl_ms || lane->stored.mortal);
    return !gnt_list_empty(&q->takers) || mortal || gnt_queue_drops(q);
}

static uint64_t wants(const struct gnt_lane *lane)
{
    const struct gnt_queue *q = lane->queue;
    uint64_t window = gnt_queue_window(q);
    if (!lane->stored.count || !is_asked_for(lane) || lane->failed || lane->ready > window / 2 ||
        lane->ready_bytes > GNT_QUEUE_WINDOW_BYTES / 2)
        return 0;
    uint64_t room = window - lane->ready;
    return room < GNT_STORE_READ_MAX ? room : GNT_STORE_READ_MAX;
}

void gnt_queue_try_again(struct gnt_queue *q)
{
    for (unsigned i = 0; i < GNT_QUEUE_LANES; i++)
        if (q->lanes[i])
            q->lanes[i]->failed = false;
}

bool gnt_lane_comes(const struct gnt_lane *lane)
{
    return lane->fetch || wants(lane);
}

/* ---- What arrives */

/* What this process sees for the first time was counted without its bytes. */
void gnt_lane_take_stored(struct gnt_lane *lane, uint64_t size)
{
    struct gnt_lane_stored *s = &lane->stored;
    struct gnt_queue *q = lane->queue;
    uint64_t known = s->count == 1 || s->bytes < size ? s->bytes : size;
    gnt_count(&q->home->counters, GNT_COUNT_QUEUED_BYTES, (int64_t)(size - known));
    s->count--;
    s->bytes -= known;
    s->mortal &= s->count != 0;
    q->ready--;
    q->ready_bytes -= known;
}

/* COUNT of them are not there any more. */
static void lost(struct gnt_lane *lane, uint64_t count)
{
    struct gnt_lane_stored *s = &lane->stored;
    struct gnt_queue *q = lane->queue;
    uint64_t size = s->bytes / s->count * count;
    gnt_ledger_out_many(q->home, &q->ledger, GNT_COUNT_DROPPED_DAMAGED, count, size);
    s->count -= count;
    s->bytes -= size;
    q->ready -= count;
    q->ready_bytes -= size;
}

static void damaged(struct gnt_lane *lane, uint64_t sequence)
{
    struct gnt_queue *q = lane->queue;
    struct gnt_record_log log = gnt_queue_log(q->number, lane->number);
    lost(lane, 1);
    lane->stored.next = sequence + 1;
    if (gnt_keep_reserve(q->home, 1, 2 * GNT_STORE_NAME_MAX) == GNT_OK)
        gnt_batch_remove(gnt_keep_batch(q->home), gnt_record_log_slice(&log), sequence);
}

struct gnt_entry *gnt_lane_enter(struct gnt_lane *lane, const struct gnt_store_record *record,
                                 const struct gnt_queued_record *queued, enum gnt_entry_state as)
{
    struct gnt_queue *q = lane->queue;
    struct gnt_queue_state *state = gnt_queue_state_of(q, record->sequence);
    struct gnt_note *note = NULL;
    if (!state && gnt_note_new(&queued->note, &note))
        return NULL;
    struct gnt_arrival a = {.message = record->message,
                            .note = state ? state->note : note,
                            .enqueued_ms = queued->enqueued_ms,
                            .failed = state ? state->failed : queued->failed,
                            .durable = queued->durable,
                            .sequence = record->sequence,
                            .kept = true};
    struct gnt_entry *e = gnt_entry_new(lane, &a, as);
    if (e && state) {
        e->stated = true;
        gnt_queue_state_free(q, state);
    }
    gnt_note_unref(&note);
    return e;
}

static void on_record(struct gnt_store_read *read, const struct gnt_store_record *record)
{
    struct gnt_lane_fetch *f = GNT_CONTAINER(read, struct gnt_lane_fetch, read);
    struct gnt_lane *lane = f->lane;
    struct gnt_queued_record queued;
    if (!lane || f->err || !lane->stored.count || record->sequence < lane->stored.next)
        return;
    if (gnt_lane_beyond(lane, record->sequence)) {
        lane->stored.next = record->sequence + 1;
    } else if (!record->message || !gnt_queued_record_read(record->value, &queued)) {
        damaged(lane, record->sequence);
    } else if (gnt_lane_enter(lane, record, &queued, GNT_ENTRY_FRESH)) {
        gnt_lane_take_stored(lane, record->message->payload.size);
        lane->stored.next = record->sequence + 1;
    } else {
        f->err = GNT_NOMEM;
    }
}

/* ---- Reading */

static void on_fetched(struct gnt_completion *completion, gnt_err result);

static void begin_read(struct gnt_lane_fetch *f)
{
    struct gnt_lane *lane = f->lane;
    struct gnt_record_log log = gnt_queue_log(lane->queue->number, lane->number);
    uint64_t most = wants(lane);
    lane->reads++;
    gnt_keep_completion(f->home, &f->read.completion, on_fetched);
    gnt_store_read(f->home->keep.store, gnt_record_log_slice(&log), lane->stored.next,
                   (uint32_t)(most ? most : 1), &f->read);
}

static void end(struct gnt_lane_fetch *f, gnt_err err)
{
    struct gnt_lane *lane = f->lane;
    lane->fetch = NULL;
    lane->failed = err != GNT_OK;
    if (lane->failed)
        gnt_queue_look_later(lane->queue, GNT_QUEUE_RETRY_MS);
    free(f);
    gnt_queue_stir(lane->queue);
}

static void on_safe(struct gnt_home *home, struct gnt_kept *kept)
{
    struct gnt_lane_fetch *f = GNT_CONTAINER(kept, struct gnt_lane_fetch, kept);
    (void)home;
    f->batch = 0;
    begin_read(f);
}

/* How many of those that had been written are still not there. */
static uint64_t missing(const struct gnt_lane_fetch *f)
{
    const struct gnt_lane_stored *s = &f->lane->stored;
    uint64_t later = s->left - f->left;
    return s->count > later ? s->count - later : 0;
}

static void on_fetched(struct gnt_completion *completion, gnt_err result)
{
    struct gnt_lane_fetch *f = GNT_CONTAINER(completion, struct gnt_lane_fetch, read.completion);
    if (!f->lane) {
        free(f);
        return;
    }
    f->lane->reads--;
    if (!result)
        result = f->err;
    uint64_t gone = result || f->read.more ? 0 : missing(f);
    if (gone && f->batch > f->home->keep.safe) {
        gnt_keep_wait(f->home, &f->kept, f->batch);
    } else if (gone && f->batch) {
        f->batch = 0; /* it has become safe meanwhile */
        begin_read(f);
    } else {
        if (gone) {
            lost(f->lane, gone);
            f->lane->stored.next = f->end + 1;
        }
        end(f, result);
    }
}

void gnt_lane_fetch(struct gnt_lane *lane)
{
    struct gnt_home *home = lane->queue->home;
    gnt_lane_beyond_sweep(lane);
    if (lane->fetch || home->keep.lost || home->ending || !wants(lane))
        return;
    struct gnt_lane_fetch *f = calloc(1, sizeof *f);
    if (!f) {
        gnt_queue_look_later(lane->queue, GNT_QUEUE_RETRY_MS);
        return;
    }
    f->read.record = on_record;
    f->kept.safe = on_safe;
    gnt_list_init(&f->kept.link);
    f->home = home;
    f->lane = lane;
    f->end = lane->stored.last;
    f->left = lane->stored.left;
    f->batch = gnt_keep_pending(home);
    lane->fetch = f;
    begin_read(f);
}

void gnt_lane_fetch_drop(struct gnt_lane *lane)
{
    struct gnt_lane_fetch *f = lane->fetch;
    lane->fetch = NULL;
    if (!f)
        return;
    f->lane = NULL;
    if (!gnt_list_linked(&f->kept.link)) {
        lane->reads--; /* whatever it gives out is not looked at */
        return;
    }
    gnt_keep_cancel(&f->kept);
    free(f);
}

/* ---- And out of memory again */

/* Whether the last one in memory need not be there. */
static bool may_leave(const struct gnt_lane *lane, const struct gnt_entry *e)
{
    return e->state == GNT_ENTRY_FRESH && e->kept && !e->stated &&
           (!lane->stored.count || e->sequence < lane->stored.next);
}

void gnt_entry_leave_to_store(struct gnt_entry *e)
{
    struct gnt_lane_stored *s = &e->lane->stored;
    struct gnt_queue *q = e->queue;
    uint64_t size = e->message->payload.size;
    if (!s->count || e->sequence < s->next)
        s->next = e->sequence;
    if (!s->count || e->sequence > s->last)
        s->last = e->sequence;
    s->count++;
    s->left++;
    s->bytes += size;
    s->mortal |= e->expires != GNT_NEVER;
    gnt_entry_free(e);
    q->ready++;
    q->ready_bytes += size;
}

void gnt_lane_unload(struct gnt_lane *lane)
{
    struct gnt_queue *q = lane->queue;
    if (lane->fetch || q->purge_upto)
        return;
    for (struct gnt_list *place = lane->all.prev, *before; lane->ready > gnt_queue_window(q);
         place = before) {
        struct gnt_entry *e = gnt_entry_at(place);
        before = place->prev;
        if (e->beyond)
            continue;
        if (!may_leave(lane, e))
            return;
        gnt_entry_leave_to_store(e);
    }
}
