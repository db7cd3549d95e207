#include "core/queue_private.h"

#include "core/queue_record.h"

#include <stdlib.h>

/* So many messages are read at a time. */
enum { SLICE = 256 };

/* One read behind what is in memory, for one that looks: a browser is shown what it finds, for
 * another one it comes into memory, ahead of its turn. */
struct gnt_scan {
    struct gnt_store_read read;
    struct gnt_kept kept;
    struct gnt_home *home;
    struct gnt_taker *taker; /* NULL: it has gone */
    struct gnt_lane *lane;   /* lives as long as the taker has a place */
    uint64_t end;            /* what is up to this has been written */
    uint64_t batch;          /* it is safe with this batch, 0: it is */
    bool full;               /* it has got what it may */
    gnt_err err;
};

/* ---- What was taken out of the middle: it is not to come again with the rest */

static uint64_t hash(uint64_t sequence)
{
    return gnt_hash_mix(0, sequence);
}

struct gnt_beyond *gnt_lane_beyond(const struct gnt_lane *lane, uint64_t sequence)
{
    struct gnt_map_node *node = gnt_map_first(&lane->beyond, hash(sequence));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_beyond *b = GNT_CONTAINER(node, struct gnt_beyond, by_sequence);
        if (b->sequence == sequence)
            return b;
    }
    return NULL;
}

static void beyond_free(struct gnt_lane *lane, struct gnt_beyond *b)
{
    gnt_map_remove(&lane->beyond, &b->by_sequence);
    gnt_list_remove(&b->link);
    free(b);
}

/* A read that begins now does not give out what has been removed and is safe. */
void gnt_lane_beyond_sweep(struct gnt_lane *lane)
{
    while (!lane->reads && !gnt_list_empty(&lane->removed)) {
        struct gnt_beyond *b = GNT_CONTAINER(lane->removed.next, struct gnt_beyond, link);
        if (b->batch > lane->queue->home->keep.safe)
            return;
        beyond_free(lane, b);
    }
}

void gnt_lane_beyond_leave(struct gnt_entry *e)
{
    struct gnt_beyond *b = e->beyond;
    e->beyond = NULL;
    b->entry = NULL;
    b->batch = gnt_keep_pending(e->queue->home);
    gnt_list_push_back(&e->lane->removed, &b->link);
    gnt_lane_beyond_sweep(e->lane);
}

void gnt_lane_beyond_free(struct gnt_lane *lane)
{
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&lane->beyond, &cursor));)
        beyond_free(lane, GNT_CONTAINER(node, struct gnt_beyond, by_sequence));
    gnt_map_fini(&lane->beyond);
}

static struct gnt_beyond *beyond_new(struct gnt_lane *lane, uint64_t sequence)
{
    struct gnt_beyond *b = calloc(1, sizeof *b);
    if (!b || gnt_map_insert(&lane->beyond, &b->by_sequence, hash(sequence))) {
        free(b);
        return NULL;
    }
    b->sequence = sequence;
    gnt_list_init(&b->link);
    return b;
}

gnt_err gnt_lane_beyond_join(struct gnt_entry *e)
{
    e->beyond = beyond_new(e->lane, e->sequence);
    if (!e->beyond)
        return GNT_NOMEM;
    e->beyond->entry = e;
    return GNT_OK;
}

/* ---- What is found */

/* The number up to which there may be something. */
static uint64_t last_of(const struct gnt_lane *lane)
{
    return lane->stored.last > lane->admitted ? lane->stored.last : lane->admitted;
}

/* From which number on T has not seen what is in the store only, or between that; 0: there is
 * nothing. */
static uint64_t from(const struct gnt_taker *t, const struct gnt_lane *lane)
{
    const struct gnt_lane_stored *s = &lane->stored;
    uint64_t deep = t->sights[lane->number].deep;
    uint64_t at = deep > s->next ? deep : s->next;
    return s->count && at <= last_of(lane) ? at : 0;
}

bool gnt_taker_comes(const struct gnt_taker *t, const struct gnt_lane *lane)
{
    return t->picky && !lane->failed && from(t, lane) != 0;
}

/* A message that is looked at where it is. */
static gnt_err show(struct gnt_scan *scan, const struct gnt_store_record *record,
                    const struct gnt_queued_record *queued)
{
    const struct gnt_queue_state *state = gnt_queue_state_of(scan->lane->queue, record->sequence);
    struct gnt_entry e = {.lane = scan->lane,
                          .message = record->message,
                          .note = state ? gnt_note_ref(state->note) : NULL,
                          .sequence = record->sequence,
                          .enqueued_ms = queued->enqueued_ms,
                          .failed = state ? state->failed : queued->failed,
                          .durable = queued->durable};
    e.acquired = e.failed > 0;
    gnt_err err = state ? GNT_OK : gnt_note_new(&queued->note, &e.note);
    if (!err)
        err = gnt_taker_load(scan->taker);
    if (!err)
        gnt_taker_put(scan->taker, &e);
    gnt_note_unref(&e.note);
    return err;
}

static gnt_err pull(struct gnt_scan *scan, const struct gnt_store_record *record,
                    const struct gnt_queued_record *queued)
{
    struct gnt_lane *lane = scan->lane;
    struct gnt_beyond *b = beyond_new(lane, record->sequence);
    struct gnt_entry *e = b ? gnt_lane_enter(lane, record, queued, GNT_ENTRY_BACK) : NULL;
    if (!e) {
        if (b)
            beyond_free(lane, b);
        return GNT_NOMEM;
    }
    e->beyond = b;
    b->entry = e;
    gnt_lane_take_stored(lane, record->message->payload.size);
    scan->full = ++scan->taker->pulled >= SLICE;
    gnt_queue_woken(lane->queue, e);
    return GNT_OK;
}

/* A message that is in memory, and ahead there, is shown at its place. */
static gnt_err show_beyond(struct gnt_scan *scan, const struct gnt_beyond *b)
{
    struct gnt_taker *t = scan->taker;
    const struct gnt_entry *e = b->entry;
    if (t->mode != GNT_CONSUME_BROWSE || !e || e->state == GNT_ENTRY_POSTED ||
        e->expires <= *scan->home->now || !gnt_taker_may_have(t, e))
        return GNT_OK;
    gnt_err err = gnt_taker_load(t);
    if (!err)
        gnt_taker_put(t, e);
    return err;
}

/* What is not readable is counted when its turn comes. */
static gnt_err look_at(struct gnt_scan *scan, const struct gnt_store_record *record)
{
    struct gnt_taker *t = scan->taker;
    struct gnt_queued_record queued;
    const struct gnt_beyond *beyond = gnt_lane_beyond(scan->lane, record->sequence);
    if (beyond)
        return show_beyond(scan, beyond);
    if (!record->message || !gnt_queued_record_read(record->value, &queued) ||
        gnt_message_expired(record->message, *scan->home->now) ||
        (t->filter && !t->filter->matches(t->filter, record->message)))
        return GNT_OK;
    if (t->mode != GNT_CONSUME_BROWSE)
        return pull(scan, record, &queued);
    return show(scan, record, &queued);
}

static void on_record(struct gnt_store_read *read, const struct gnt_store_record *record)
{
    struct gnt_scan *scan = GNT_CONTAINER(read, struct gnt_scan, read);
    struct gnt_taker *t = scan->taker;
    if (!t || scan->err)
        return;
    scan->full |= t->mode == GNT_CONSUME_BROWSE && t->delivered >= t->upto;
    if (scan->full)
        return;
    uint64_t next = from(t, scan->lane);
    if (!next || record->sequence < next)
        return; /* it has come into memory meanwhile */
    scan->err = look_at(scan, record);
    if (!scan->err)
        t->sights[scan->lane->number].deep = record->sequence + 1;
}

/* ---- Reading */

static void on_scanned(struct gnt_completion *completion, gnt_err result);

static void end(struct gnt_scan *scan, gnt_err err)
{
    struct gnt_taker *t = scan->taker;
    t->scan = NULL;
    scan->lane->failed |= err != GNT_OK;
    if (err)
        gnt_queue_look_later(t->queue, GNT_QUEUE_RETRY_MS);
    free(scan);
    gnt_taker_place(t); /* it may have got something, or have seen all there is */
    gnt_queue_stir(t->queue);
}

static void begin_read(struct gnt_scan *scan)
{
    struct gnt_lane *lane = scan->lane;
    uint64_t at = from(scan->taker, lane);
    if (!at) {
        end(scan, GNT_OK);
        return;
    }
    lane->reads++;
    struct gnt_record_log log = gnt_queue_log(lane->queue->number, lane->number);
    gnt_keep_completion(scan->home, &scan->read.completion, on_scanned);
    gnt_store_read(scan->home->keep.store, gnt_record_log_slice(&log), at, SLICE, &scan->read);
}

static void on_safe(struct gnt_home *home, struct gnt_kept *kept)
{
    struct gnt_scan *scan = GNT_CONTAINER(kept, struct gnt_scan, kept);
    (void)home;
    scan->batch = 0;
    begin_read(scan);
}

/* A read may pass by what has been written and is not safe yet: then it is looked for again. */
static void on_scanned(struct gnt_completion *completion, gnt_err result)
{
    struct gnt_scan *scan = GNT_CONTAINER(completion, struct gnt_scan, read.completion);
    struct gnt_taker *t = scan->taker;
    if (!t) {
        free(scan);
        return;
    }
    scan->lane->reads--;
    if (!result)
        result = scan->err;
    bool over = !result && !scan->full && !scan->read.more && from(t, scan->lane);
    if (over && scan->batch > scan->home->keep.safe) {
        gnt_keep_wait(scan->home, &scan->kept, scan->batch);
        return;
    }
    uint64_t *deep = &t->sights[scan->lane->number].deep;
    if (over && *deep <= scan->end)
        *deep = scan->end + 1; /* there is nothing more up to there */
    end(scan, result);
}

static void begin(struct gnt_taker *t, struct gnt_lane *lane)
{
    struct gnt_home *home = t->queue->home;
    struct gnt_scan *scan = calloc(1, sizeof *scan);
    if (!scan) {
        gnt_queue_look_later(t->queue, GNT_QUEUE_RETRY_MS);
        return;
    }
    gnt_lane_beyond_sweep(lane);
    scan->read.record = on_record;
    scan->kept.safe = on_safe;
    gnt_list_init(&scan->kept.link);
    scan->home = home;
    scan->taker = t;
    scan->lane = lane;
    scan->end = last_of(lane);
    scan->batch = gnt_keep_pending(home);
    t->pulled = 0;
    t->scan = scan;
    begin_read(scan);
}

void gnt_queue_scan(struct gnt_queue *q)
{
    struct gnt_home *home = q->home;
    if (home->keep.lost || home->ending)
        return;
    gnt_list_each_safe (link, &q->sated) {
        struct gnt_taker *t = GNT_CONTAINER(link, struct gnt_taker, turn);
        for (int i = GNT_QUEUE_PRIORITY_MAX; !t->scan && i >= 0; i--)
            if (q->lanes[i] && gnt_taker_comes(t, q->lanes[i]))
                begin(t, q->lanes[i]);
    }
}

void gnt_scan_drop(struct gnt_taker *t)
{
    struct gnt_scan *scan = t->scan;
    t->scan = NULL;
    if (!scan)
        return;
    scan->taker = NULL;
    if (!gnt_list_linked(&scan->kept.link)) {
        scan->lane->reads--; /* whatever it gives out is not looked at */
        return;
    }
    gnt_keep_cancel(&scan->kept);
    free(scan);
}
