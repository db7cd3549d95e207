#include "core/queue_private.h"

#include "core/receipt.h"
#include "core/total.h"

#include <stdlib.h>

/* A publisher of MQTT that waits for room. */
struct hold {
    struct gnt_list link; /* in queue->holds */
    struct gnt_receipt *receipt;
};

/* ---- Bounds */

static bool exceeds(uint64_t limit, uint64_t have)
{
    return limit && have > limit;
}

/* Whether it has more than it may, with MORE messages of SIZE bytes together.  A single message may
 * have any size. */
static bool is_over(const struct gnt_queue *q, uint64_t more, uint64_t size)
{
    const struct gnt_queue_options *o = &q->options;
    uint64_t count = gnt_queue_count(q) + more;
    return exceeds(o->max_messages, count) ||
           (count > 1 && exceeds(o->max_bytes, gnt_queue_bytes(q) + size));
}

bool gnt_queue_is_full(const struct gnt_queue *q, size_t size)
{
    return is_over(q, q->posted + 1, q->posted_bytes + size) || gnt_total_exceeds(q->home, 1, size);
}

/* Whether those who still send when it is full have sent more than can have been under way. */
static bool is_overrun(const struct gnt_queue *q)
{
    const struct gnt_queue_options *o = &q->options;
    uint64_t slack = gnt_slack(o->max_messages, GNT_QUEUE_SLACK);
    uint64_t slack_bytes = gnt_slack(o->max_bytes, GNT_QUEUE_SLACK_BYTES);
    if (q->home->recovering)
        return false;
    return (o->max_messages && gnt_queue_count(q) >= o->max_messages + slack) ||
           (o->max_bytes && gnt_queue_bytes(q) >= o->max_bytes + slack_bytes);
}

/* A little below its bounds, so that not each message that goes wakes all senders. */
static bool is_below(const struct gnt_queue *q)
{
    const struct gnt_queue_options *o = &q->options;
    return !exceeds(o->max_messages - o->max_messages / 8, gnt_queue_count(q) + 1) &&
           !exceeds(o->max_bytes - o->max_bytes / 8, gnt_queue_bytes(q));
}

static bool has_room(const struct gnt_queue *q)
{
    return is_below(q) && !gnt_total_exceeds(q->home, 1, 0);
}

bool gnt_queue_drops(const struct gnt_queue *q)
{
    return q->options.overflow == GNT_QUEUE_DROP_OLDEST && !is_below(q);
}

/* Other homes read this when they decide whether to acknowledge. */
static void show_full(struct gnt_queue *q, bool full)
{
    if (q->shows_full == full)
        return;
    q->shows_full = full;
    uint32_t old = atomic_load_explicit(&q->home->full, memory_order_relaxed);
    atomic_store_explicit(&q->home->full, full ? old + 1 : old - 1, memory_order_relaxed);
}

/* The first of the lowest priority that has any in memory. */
static struct gnt_entry *oldest(const struct gnt_queue *q)
{
    struct gnt_entry *e = NULL;
    for (unsigned i = 0; !e && i < GNT_QUEUE_LANES; i++)
        e = q->lanes[i] ? gnt_lane_first(q->lanes[i]) : NULL;
    return e;
}

/* Until there is room for MORE messages of SIZE bytes together.  What is in the store only stays
 * until it has been fetched, and what is much is dropped in several turns: for so long there may be
 * more than there should be.  True: it is not done. */
static bool drop_oldest(struct gnt_queue *q, uint64_t more, size_t size)
{
    enum { DROPS_MAX = 1024 };
    struct gnt_entry *e = NULL;
    for (int i = 0; i < DROPS_MAX && is_over(q, more, size) && (e = oldest(q)); i++)
        gnt_entry_end(e, GNT_COUNT_DROPPED_QUEUE_FULL);
    return e && is_over(q, more, size);
}

bool gnt_queue_drop_over(struct gnt_queue *q)
{
    return q->options.overflow == GNT_QUEUE_DROP_OLDEST && is_over(q, 0, 0) && drop_oldest(q, 0, 0);
}

/* ---- Into the queue */

bool gnt_lane_leaves_memory(const struct gnt_lane *lane, size_t size)
{
    return lane->stored.count || lane->ready >= gnt_queue_window(lane->queue) ||
           (lane->ready && lane->ready_bytes + size > GNT_QUEUE_WINDOW_BYTES);
}

bool gnt_queue_is_to_keep(const struct gnt_queue *q, const struct gnt_arrival *a)
{
    return q->number && (a->durable || q->options.durable == GNT_QUEUE_ALWAYS);
}

static void leave_to_store(struct gnt_lane *lane, const struct gnt_arrival *a)
{
    struct gnt_lane_stored *s = &lane->stored;
    uint64_t size = a->message->payload.size;
    if (!s->count)
        s->next = a->sequence;
    s->last = a->sequence;
    s->count++;
    s->left++;
    s->bytes += size;
    s->mortal |= a->message->expires != GNT_NEVER;
    lane->queue->ready++;
    lane->queue->ready_bytes += size;
}

gnt_err gnt_queue_append(struct gnt_queue *q, struct gnt_arrival *a)
{
    struct gnt_lane *lane = gnt_queue_lane(q, a->priority);
    if (!lane)
        return GNT_NOMEM;
    bool leaves = q->number && gnt_lane_leaves_memory(lane, a->message->payload.size);
    a->kept = leaves || gnt_queue_is_to_keep(q, a);
    a->sequence = q->last + 1;
    struct gnt_entry *e = leaves ? NULL : gnt_entry_new(lane, a, GNT_ENTRY_FRESH);
    if (!leaves && !e)
        return GNT_NOMEM;
    gnt_err err = a->kept ? gnt_queue_keep_arrival(lane, a) : GNT_OK;
    if (err) {
        if (e)
            gnt_entry_free(e);
        return err;
    }
    q->last = a->sequence;
    gnt_ledger_in(q->home, &q->ledger, a->message);
    if (leaves)
        leave_to_store(lane, a);
    gnt_queue_used(q);
    gnt_queue_stir(q);
    return GNT_OK;
}

/* What is to be safe is not taken while nothing can be made safe. */
static enum gnt_queue_result admit(struct gnt_queue *q, const struct gnt_arrival *a)
{
    size_t size = a->message->payload.size;
    const struct gnt_lane *lane = q->lanes[gnt_queue_lane_number(q, a->priority)];
    bool written =
        gnt_queue_is_to_keep(q, a) || (q->number && lane && gnt_lane_leaves_memory(lane, size));
    if (written && gnt_keep_refuses(q->home))
        return GNT_QUEUE_NO_STORE;
    bool total = !a->moves && gnt_total_exceeds(q->home, 1, size);
    if (!is_over(q, 1, size) && !total)
        return GNT_QUEUE_DONE;
    switch ((enum gnt_queue_overflow)q->options.overflow) {
    case GNT_QUEUE_BLOCK: total = gnt_total_overruns(q->home, 1, size); break;
    case GNT_QUEUE_REJECT: return GNT_QUEUE_FULL;
    case GNT_QUEUE_DROP_OLDEST:
        if (!total)
            (void)drop_oldest(q, 1, size);
        break;
    }
    return total || is_overrun(q) ? GNT_QUEUE_FULL : GNT_QUEUE_DONE;
}

enum gnt_queue_result gnt_queue_take_in(struct gnt_queue *q, struct gnt_arrival *a)
{
    enum gnt_queue_result result = admit(q, a);
    if (!result && gnt_queue_append(q, a))
        result = GNT_QUEUE_NO_MEMORY;
    return result;
}

/* ---- From a front */

static void on_sent(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_sending *s = GNT_CONTAINER(errand, struct gnt_sending, errand);
    s->done(home, s, errand->lost ? GNT_QUEUE_NO_STORE : s->result);
}

/* Dead letters come from their queue alone. */
static enum gnt_queue_result receive(struct gnt_queue *q, struct gnt_sending *s, bool *kept)
{
    if (q->parent)
        return GNT_QUEUE_READ_ONLY;
    const struct gnt_note note = {.group = s->group};
    struct gnt_arrival a = {.message = s->message,
                            .enqueued_ms = gnt_queue_time_ms(q->home),
                            .priority = s->priority,
                            .durable = s->durable};
    if (s->unwaited && q->options.overflow == GNT_QUEUE_BLOCK &&
        gnt_queue_is_full(q, a.message->payload.size))
        return GNT_QUEUE_FULL;
    if (q->options.groups && s->group.size && gnt_note_new(&note, &a.note))
        return GNT_QUEUE_NO_MEMORY;
    enum gnt_queue_result result = gnt_queue_take_in(q, &a);
    gnt_note_unref(&a.note);
    gnt_count(&q->home->counters, GNT_COUNT_QUEUE_REFUSED, result == GNT_QUEUE_FULL);
    *kept = a.kept && (s->durable || q->options.durable == GNT_QUEUE_ALWAYS);
    s->sequence = result ? 0 : a.sequence;
    s->full = q->options.overflow == GNT_QUEUE_BLOCK && gnt_queue_is_full(q, 0);
    return result;
}

/* At the queue's home. */
static void on_sending(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_sending *s = GNT_CONTAINER(errand, struct gnt_sending, errand);
    struct gnt_queue *q = gnt_queue_find(home, s->queue);
    bool kept = false;
    s->result = q ? receive(q, s, &kept) : GNT_QUEUE_NOT_FOUND;
    gnt_message_unref(&s->message);
    if (s->result == GNT_QUEUE_DONE && kept)
        gnt_errand_send_safe(home, errand->from, errand, on_sent);
    else
        gnt_errand_send(home, errand->from, errand, on_sent);
}

void gnt_queue_send(struct gnt_home *home, uint64_t queue, struct gnt_sending *s)
{
    s->queue = queue;
    s->sequence = 0;
    s->full = false;
    if (s->group.size > GNT_QUEUE_GROUP_MAX)
        s->group.size = GNT_QUEUE_GROUP_MAX;
    gnt_errand_send(home, gnt_sink_home(queue), &s->errand, on_sending);
}

/* ---- From MQTT, by way of the topic tree */

static gnt_err hold(struct gnt_queue *q, struct gnt_receipt *receipt)
{
    struct hold *h = malloc(sizeof *h);
    if (!h)
        return GNT_NOMEM;
    h->receipt = receipt;
    gnt_list_push_back(&q->holds, &h->link);
    gnt_receipt_hold(receipt);
    show_full(q, true);
    return GNT_OK;
}

/* What comes over the bound of a queue that blocks: whoever can wait does, and what was
 * acknowledged elsewhere is taken in; what nobody waits for is dropped. */
static enum gnt_queue_result waits(struct gnt_queue *q, const struct gnt_message *message,
                                   struct gnt_receipt *receipt)
{
    show_full(q, true);
    if (!message->qos || is_overrun(q) || gnt_total_overruns(q->home, 1, message->payload.size))
        return GNT_QUEUE_FULL;
    if (!receipt || receipt->given)
        return GNT_QUEUE_DONE;
    return hold(q, receipt) ? GNT_QUEUE_NO_MEMORY : GNT_QUEUE_DONE;
}

void gnt_queue_take(struct gnt_sink *sink, struct gnt_message *message,
                    const struct gnt_match *match, struct gnt_receipt *receipt)
{
    (void)match;
    struct gnt_queue *q = gnt_queue_of(sink);
    struct gnt_arrival a = {.message = message,
                            .enqueued_ms = gnt_queue_time_ms(q->home),
                            .priority = GNT_QUEUE_PRIORITY_DEFAULT,
                            .durable = message->qos > 0};
    bool full = !q->home->recovering && gnt_queue_is_full(q, message->payload.size);
    enum gnt_queue_result result = GNT_QUEUE_DONE;
    if (full && q->options.overflow == GNT_QUEUE_BLOCK)
        result = waits(q, message, receipt);
    if (!result)
        result = gnt_queue_take_in(q, &a);
    if (result == GNT_QUEUE_FULL) {
        gnt_receipt_refuse(receipt);
        gnt_ledger_pass(q->home, &q->ledger, GNT_COUNT_DROPPED_QUEUE_FULL);
    } else if (result) {
        gnt_receipt_fail(receipt);
        gnt_ledger_pass(q->home, &q->ledger, GNT_COUNT_DROPPED_NO_MEMORY);
    }
}

/* ---- Who waits for room */

static void on_room_over(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_room *r = GNT_CONTAINER(errand, struct gnt_room, errand);
    if (!r->cancelled)
        r->done(home, r, r->result);
}

static void answer_room(struct gnt_home *home, struct gnt_room *r, enum gnt_queue_result result)
{
    r->waiting = false;
    r->result = result;
    gnt_errand_send(home, r->from, &r->errand, on_room_over);
}

/* At the queue's home. */
static void on_room(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_room *r = GNT_CONTAINER(errand, struct gnt_room, errand);
    struct gnt_queue *q = gnt_queue_find(home, r->queue);
    r->from = errand->from;
    if (!q || !gnt_queue_is_full(q, 0)) {
        answer_room(home, r, q ? GNT_QUEUE_DONE : GNT_QUEUE_NOT_FOUND);
        return;
    }
    r->waiting = true;
    gnt_list_push_back(&q->rooms, &errand->kept.link);
    gnt_queue_stir(q); /* it may have become as empty as it has to be */
}

void gnt_queue_await_room(struct gnt_home *home, uint64_t queue, struct gnt_room *r)
{
    r->queue = queue;
    r->waiting = r->cancelled = false;
    gnt_errand_send(home, gnt_sink_home(queue), &r->errand, on_room);
}

/* Behind the answer, if there was one: now nothing of it is under way. */
static void on_cancelled(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_room *r = GNT_CONTAINER(errand, struct gnt_room, cancel);
    r->done(home, r, GNT_QUEUE_CANCELLED);
}

static void on_cancel(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_room *r = GNT_CONTAINER(errand, struct gnt_room, cancel);
    if (r->waiting) {
        gnt_list_remove(&r->errand.kept.link);
        answer_room(home, r, GNT_QUEUE_CANCELLED);
    }
    gnt_errand_send(home, errand->from, errand, on_cancelled);
}

void gnt_queue_await_cancel(struct gnt_home *home, struct gnt_room *r)
{
    r->cancelled = true;
    gnt_errand_send(home, gnt_sink_home(r->queue), &r->cancel, on_cancel);
}

void gnt_queue_tell_room(struct gnt_queue *q, bool end)
{
    if (!end && !has_room(q)) {
        if (gnt_total_exceeds(q->home, 1, 0))
            gnt_queue_look_later(q, GNT_QUEUE_LOOK_MS);
        return;
    }
    for (struct gnt_list *link; (link = gnt_list_pop_front(&q->rooms));) {
        struct gnt_kept *kept = GNT_CONTAINER(link, struct gnt_kept, link);
        struct gnt_errand *errand = GNT_CONTAINER(kept, struct gnt_errand, kept);
        answer_room(q->home, GNT_CONTAINER(errand, struct gnt_room, errand),
                    end ? GNT_QUEUE_NOT_FOUND : GNT_QUEUE_DONE);
    }
    for (struct gnt_list *link; (link = gnt_list_pop_front(&q->holds));) {
        struct hold *h = GNT_CONTAINER(link, struct hold, link);
        gnt_receipt_release(q->home, h->receipt);
        free(h);
    }
    show_full(q, false);
}
