#include "core/pending.h"

#include "base/assert.h"
#include "core/clearing.h"
#include "core/total.h"

#include <stdlib.h>

/* A publisher that waits for a queue. */
struct hold {
    struct gnt_list link;    /* in queue->holds */
    struct gnt_list by_time; /* in home->holds */
    struct gnt_pending *queue;
    struct gnt_receipt *receipt;
    uint64_t number; /* of its delivery, as queue->taken counts */
    uint64_t end;    /* of its payload, as queue->taken_bytes counts */
    uint64_t since;
};

/* How often it is looked whether there is room again in the whole broker, while somebody waits for
 * that; a home that is idle sees nothing of what others do. */
enum { LOOK_MS = 10 };

/* Of what is kept so much is in memory at once, for a receiver that is connected. */
enum { MEMORY_COUNT = 256, MEMORY_BYTES = 1024 * 1024 };

void gnt_pending_init(struct gnt_pending *q, struct gnt_home *home, struct gnt_ledger *ledger,
                      const struct gnt_pending_ops *ops)
{
    *q = (struct gnt_pending){.home = home, .ledger = ledger, .ops = ops};
    gnt_list_init(&q->holds);
}

/* ---- Limits */

static uint64_t bytes(const struct gnt_pending *q)
{
    return q->backlog.bytes + q->stored.bytes;
}

/* An empty queue takes a message of any size. */
static bool no_room(const struct gnt_pending *q, size_t size)
{
    const struct gnt_core_config *c = &q->home->config;
    return (c->queued_per_session && gnt_pending_count(q) >= c->queued_per_session) ||
           (c->queued_bytes_per_session && gnt_pending_count(q) &&
            bytes(q) + size > c->queued_bytes_per_session);
}

/* Of which one has been counted in just now. */
static bool broker_full(const struct gnt_pending *q)
{
    return gnt_total_exceeds(q->home, 0, 0);
}

static bool is_full(const struct gnt_pending *q, size_t size)
{
    return no_room(q, size) || broker_full(q);
}

static bool over_limit(const struct gnt_pending *q)
{
    const struct gnt_core_config *c = &q->home->config;
    return (c->queued_per_session && gnt_pending_count(q) > c->queued_per_session) ||
           (c->queued_bytes_per_session && gnt_pending_count(q) > 1 &&
            bytes(q) > c->queued_bytes_per_session);
}

/* Whether the delivery of H, if it is still here, is not over the limit. */
static bool within_limit(const struct hold *h)
{
    const struct gnt_pending *q = h->queue;
    const struct gnt_core_config *c = &q->home->config;
    bool by_count = !c->queued_per_session || h->number < q->taken + c->queued_per_session;
    bool by_size = !c->queued_bytes_per_session || h->number <= q->taken ||
                   h->end <= q->taken_bytes + c->queued_bytes_per_session;
    return by_count && by_size && (h->number < q->taken || !broker_full(q));
}

static bool half_empty(const struct gnt_pending *q)
{
    const struct gnt_core_config *c = &q->home->config;
    return (!c->queued_per_session || gnt_pending_count(q) <= c->queued_per_session / 2) &&
           (!c->queued_bytes_per_session || bytes(q) <= c->queued_bytes_per_session / 2) &&
           (gnt_pending_empty(q) || !broker_full(q));
}

/* Other homes read this when they decide whether to acknowledge. */
static void set_full(struct gnt_pending *q, bool full)
{
    if (q->full == full)
        return;
    q->full = full;
    uint32_t old = atomic_load_explicit(&q->home->full, memory_order_relaxed);
    atomic_store_explicit(&q->home->full, full ? old + 1 : old - 1, memory_order_relaxed);
}

/* ---- Who waits */

static void hold_end(struct hold *h)
{
    gnt_list_remove(&h->link);
    gnt_list_remove(&h->by_time);
    gnt_receipt_release(h->queue->home, h->receipt);
    free(h);
}

static struct hold *first_hold(struct gnt_pending *q)
{
    return gnt_list_empty(&q->holds) ? NULL : GNT_CONTAINER(q->holds.next, struct hold, link);
}

static void end_holds(struct gnt_pending *q, bool refused)
{
    for (struct hold *h; (h = first_hold(q));) {
        if (refused)
            gnt_receipt_refuse(h->receipt);
        hold_end(h);
    }
}

static void set_timer(struct gnt_home *home)
{
    uint64_t due = GNT_FAR;
    if (!gnt_list_empty(&home->holds)) {
        const struct hold *h = GNT_CONTAINER(home->holds.next, struct hold, by_time);
        due = gnt_deadline(h->since, home->config.hold_ms * GNT_NS_PER_MS);
        uint64_t look = *home->now + LOOK_MS * GNT_NS_PER_MS;
        if (home->total.holds && look < due)
            due = look;
    }
    gnt_err err = gnt_timer_set(home->timers, &home->holds_due, due);
    GNT_ASSERT(err == GNT_OK); /* it is always set, so that moving it needs no memory */
}

/* The delivery that comes next, of SIZE bytes, is held. */
static gnt_err hold(struct gnt_pending *q, size_t size, struct gnt_receipt *receipt)
{
    struct hold *h = malloc(sizeof *h);
    if (!h)
        return GNT_NOMEM;
    struct gnt_home *home = q->home;
    *h = (struct hold){.queue = q,
                       .receipt = receipt,
                       .number = q->taken + gnt_pending_count(q),
                       .end = q->taken_bytes + bytes(q) + size,
                       .since = *home->now};
    bool first = gnt_list_empty(&home->holds) || (!home->total.holds && broker_full(q));
    home->total.holds |= broker_full(q);
    gnt_list_push_back(&q->holds, &h->link);
    gnt_list_push_back(&home->holds, &h->by_time);
    gnt_receipt_hold(receipt);
    if (first)
        set_timer(home);
    return GNT_OK;
}

/* ---- Out */

static void take_first(struct gnt_pending *q, struct gnt_waiting *out)
{
    gnt_backlog_pop(&q->backlog, out);
    q->taken++;
    q->taken_bytes += out->message->payload.size;
}

static void drop(struct gnt_pending *q, struct gnt_waiting *w, enum gnt_counter why)
{
    if (w->sequence)
        q->ops->forget(q, w->sequence);
    gnt_ledger_out(q->home, q->ledger, why, w->message);
    gnt_waiting_fini(w);
}

/* Something has been taken: whose delivery has come within the limit waits no longer. */
static void gone_down(struct gnt_pending *q)
{
    if (q->given_up && half_empty(q))
        q->given_up = false;
    if (gnt_pending_empty(q) || !is_full(q, 0))
        set_full(q, false);
    for (struct hold *h; (h = first_hold(q)) && within_limit(h);)
        hold_end(h);
}

static void drop_first(struct gnt_pending *q, enum gnt_counter why)
{
    struct gnt_waiting w;
    take_first(q, &w);
    drop(q, &w, why);
    gone_down(q);
}

/* The first of those in the store goes uncounted; its size, which may be unknown. */
static uint64_t take_stored(struct gnt_pending *q)
{
    struct gnt_stored *s = &q->stored;
    uint64_t size = s->bytes / s->count;
    s->first++;
    s->count--;
    s->bytes -= size;
    if (s->again)
        s->again--;
    return size;
}

static void drop_stored(struct gnt_pending *q, enum gnt_counter why)
{
    q->ops->forget(q, q->stored.first);
    uint64_t size = take_stored(q);
    q->taken++;
    q->taken_bytes += size;
    gnt_ledger_out_size(q->home, q->ledger, why, size);
    gone_down(q);
}

static void drop_oldest(struct gnt_pending *q, enum gnt_counter why)
{
    if (q->backlog.count)
        drop_first(q, why);
    else
        drop_stored(q, why);
}

static bool first_expired(const struct gnt_pending *q)
{
    const struct gnt_waiting *first = gnt_backlog_first(&q->backlog);
    return first && gnt_message_expired(first->message, *q->home->now);
}

struct gnt_waiting *gnt_pending_first(struct gnt_pending *q)
{
    while (first_expired(q))
        drop_first(q, GNT_COUNT_EXPIRED);
    return gnt_backlog_first(&q->backlog);
}

void gnt_pending_drop_first(struct gnt_pending *q, enum gnt_counter why)
{
    drop_first(q, why);
}

void gnt_pending_pop(struct gnt_pending *q, struct gnt_waiting *out)
{
    take_first(q, out);
    gone_down(q);
}

gnt_err gnt_pending_return(struct gnt_pending *q, struct gnt_waiting *w)
{
    size_t size = w->message->payload.size;
    gnt_err err = gnt_backlog_insert(&q->backlog, 0, w);
    if (err)
        return err;
    q->taken--;
    q->taken_bytes -= size;
    return GNT_OK;
}

/* ---- In */

/* Why what comes, or has waited longest, is dropped. */
static enum gnt_counter reason(const struct gnt_pending *q, size_t size)
{
    return no_room(q, size) ? GNT_COUNT_DROPPED_QUEUE_FULL : GNT_COUNT_DROPPED_BROKER_FULL;
}

/* While there is hope for the receiver, what was acknowledged does not make room. */
static bool may_drop_oldest(const struct gnt_pending *q, bool hope)
{
    const struct gnt_waiting *first = gnt_backlog_first(&q->backlog);
    return !gnt_pending_empty(q) && (!hope || (first && first->message->qos == 0));
}

/* False: there is none, and the newest is to be dropped. */
static bool drop_oldest_for(struct gnt_pending *q, size_t size, bool hope)
{
    uint64_t taken = q->taken, bytes = q->taken_bytes;
    while (is_full(q, size)) {
        bool paid = q->taken > taken && q->taken_bytes - bytes >= size;
        if (paid && !no_room(q, size))
            break; /* more would make room for others */
        if (!may_drop_oldest(q, hope))
            return false;
        drop_oldest(q, reason(q, size));
    }
    return true;
}

/* Makes room for SIZE bytes by the policy; false if the newest is to be dropped. */
static bool make_room(struct gnt_pending *q, size_t size, bool hope)
{
    switch (q->home->config.overflow) {
    case GNT_OVERFLOW_DROP_OLDEST: return drop_oldest_for(q, size, hope);
    case GNT_OVERFLOW_DISCONNECT:
        if (q->ops->disconnect)
            q->ops->disconnect(q);
        break;
    case GNT_OVERFLOW_DROP_NEWEST: break;
    }
    return false;
}

/* Whether a delivery of SIZE bytes is taken in; if the queue is full, and it is taken in all the
 * same, its publisher waits, or did not have to. */
static bool admit(struct gnt_pending *q, size_t size, bool connected, struct gnt_receipt *receipt)
{
    while (is_full(q, size) && first_expired(q))
        drop_first(q, GNT_COUNT_EXPIRED);
    if (!is_full(q, size))
        return true;
    bool hope = connected && !q->given_up && q->home->config.hold_ms;
    if (!hope || !receipt)
        return make_room(q, size, hope);
    set_full(q, true);
    return receipt->given || hold(q, size, receipt) == GNT_OK;
}

bool gnt_pending_admits(struct gnt_pending *q, struct gnt_waiting *w, bool connected,
                        struct gnt_receipt *receipt)
{
    size_t size = w->message->payload.size;
    if (admit(q, size, connected, receipt))
        return true;
    enum gnt_counter why = reason(q, size);
    if (why == GNT_COUNT_DROPPED_BROKER_FULL)
        gnt_receipt_refuse(receipt);
    drop(q, w, why);
    return false;
}

static bool fits_memory(const struct gnt_pending *q, const struct gnt_waiting *w)
{
    return q->backlog.count < MEMORY_COUNT &&
           q->backlog.bytes + w->message->payload.size <= MEMORY_BYTES;
}

/* The last delivery, which is kept, is left to the store. */
static void leave(struct gnt_pending *q, struct gnt_waiting *w)
{
    struct gnt_stored *s = &q->stored;
    if (s->count == 0)
        s->first = w->sequence;
    GNT_ASSERT(w->sequence == s->first + s->count);
    s->count++;
    s->bytes += w->message->payload.size;
    gnt_waiting_fini(w);
}

void gnt_pending_put(struct gnt_pending *q, struct gnt_waiting *w, bool connected)
{
    if (w->sequence && (q->stored.count || !connected || !fits_memory(q, w)))
        leave(q, w);
    else if (gnt_backlog_push(&q->backlog, w) == GNT_OK)
        return;
    else if (w->sequence)
        leave(q, w);
    else
        drop(q, w, GNT_COUNT_DROPPED_NO_MEMORY);
}

/* ---- What is in the store only */

uint64_t gnt_pending_wants(const struct gnt_pending *q)
{
    if (q->backlog.count > MEMORY_COUNT / 2 || q->backlog.bytes > MEMORY_BYTES / 2)
        return 0;
    uint64_t room = MEMORY_COUNT - q->backlog.count;
    return q->stored.count < room ? q->stored.count : room;
}

gnt_err gnt_pending_fetched(struct gnt_pending *q, struct gnt_waiting *w)
{
    struct gnt_stored *s = &q->stored;
    GNT_ASSERT(s->count && w->sequence == s->first);
    uint64_t size = w->message->payload.size;
    w->again = s->again > 0;
    gnt_err err = gnt_backlog_push(&q->backlog, w);
    if (err)
        return err;
    /* What this process sees for the first time was counted without its bytes; where some were
     * dropped unseen, the last one makes up for the difference. */
    uint64_t known = s->count == 1 || s->bytes < size ? s->bytes : size;
    gnt_count(&q->home->counters, GNT_COUNT_QUEUED_BYTES, (int64_t)(size - known));
    s->first++;
    s->count--;
    s->again -= s->again > 0;
    s->bytes -= known;
    return GNT_OK;
}

void gnt_pending_lost(struct gnt_pending *q)
{
    drop_stored(q, GNT_COUNT_DROPPED_DAMAGED);
}

/* Nobody is there to take it: what the store has need not be in memory as well. */
static void unload(struct gnt_pending *q)
{
    struct gnt_stored *s = &q->stored;
    while (q->backlog.count) {
        const struct gnt_waiting *last = gnt_backlog_last(&q->backlog);
        if (!last->sequence || (s->count && last->sequence != s->first - 1))
            return;
        struct gnt_waiting w;
        gnt_backlog_pop_last(&q->backlog, &w);
        s->first = w.sequence;
        s->count++;
        s->bytes += w.message->payload.size;
        s->again += w.again;
        gnt_waiting_fini(&w);
    }
}

/* ---- At the bound */

static void drop_last(struct gnt_pending *q, enum gnt_counter why)
{
    struct gnt_waiting w;
    gnt_backlog_pop_last(&q->backlog, &w);
    drop(q, &w, why);
}

/* Whether the last one is kept: what a client may have been told is safe is not taken back, but for
 * one that comes later and finds no room. */
static bool last_is_kept(const struct gnt_pending *q)
{
    return q->stored.count || gnt_backlog_last(&q->backlog)->sequence;
}

/* How many deliveries have come since the first that is held for the whole broker's sake. */
static uint64_t held_for_all(struct gnt_pending *q)
{
    const struct hold *h = first_hold(q);
    uint64_t end = q->taken + gnt_pending_count(q);
    return h && h->number < end && broker_full(q) ? end - h->number : 0;
}

/* Nobody waits any more, so what is over the limit goes; of what is too much for the whole broker
 * this queue's share is what was held. */
static void shrink(struct gnt_pending *q)
{
    uint64_t held = held_for_all(q);
    bool oldest = q->home->config.overflow == GNT_OVERFLOW_DROP_OLDEST;
    set_full(q, false);
    end_holds(q, held && !oldest && !last_is_kept(q));
    for (; over_limit(q) || (held && broker_full(q)); held -= held > 0) {
        enum gnt_counter why =
            over_limit(q) ? GNT_COUNT_DROPPED_QUEUE_FULL : GNT_COUNT_DROPPED_BROKER_FULL;
        if (first_expired(q))
            drop_first(q, GNT_COUNT_EXPIRED);
        else if (oldest)
            drop_oldest(q, why);
        else if (last_is_kept(q))
            return;
        else
            drop_last(q, why);
    }
}

void gnt_pending_away(struct gnt_pending *q)
{
    q->given_up = false;
    shrink(q);
    unload(q);
}

static void give_up(struct gnt_pending *q)
{
    shrink(q);
    q->given_up = true;
    if (q->home->config.overflow == GNT_OVERFLOW_DISCONNECT && q->ops->disconnect)
        q->ops->disconnect(q);
}

static void review(struct gnt_home *home)
{
    home->total.holds = gnt_total_exceeds(home, 0, 0);
    gnt_list_each_safe (link, &home->holds) {
        struct hold *h = GNT_CONTAINER(link, struct hold, by_time);
        if (!is_full(h->queue, 0))
            set_full(h->queue, false);
        if (within_limit(h))
            hold_end(h);
    }
}

void gnt_pending_give_up(struct gnt_home *home, uint64_t now)
{
    uint64_t wait = home->config.hold_ms * GNT_NS_PER_MS;
    if (home->total.holds && !gnt_total_exceeds(home, 0, 0))
        review(home);
    while (!gnt_list_empty(&home->holds)) {
        const struct hold *h = GNT_CONTAINER(home->holds.next, struct hold, by_time);
        if (gnt_deadline(h->since, wait) > now)
            break;
        give_up(h->queue);
    }
    set_timer(home);
}

void gnt_pending_review(struct gnt_home *home, uint64_t now)
{
    review(home);
    gnt_pending_give_up(home, now);
}

void gnt_pending_fini(struct gnt_pending *q, enum gnt_counter why)
{
    set_full(q, false);
    end_holds(q, false);
    if (!gnt_pending_empty(q)) /* else there may be no ledger any more */
        gnt_ledger_out_many(q->home, q->ledger, why, gnt_pending_count(q), bytes(q));
    q->stored = (struct gnt_stored){0};
    gnt_clearing_backlog(q->home, &q->backlog);
}
