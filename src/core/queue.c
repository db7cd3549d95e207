#include "core/queue_private.h"

#include "base/spare.h"
#include "store/bytes.h"
#include "store/store_time.h"

#include <stdlib.h>

uint64_t gnt_queue_time_ms(const struct gnt_home *home)
{
    if (home->keep.time)
        return gnt_store_time_from(home->keep.time, *home->now);
    return (uint64_t)((int64_t)(*home->now / GNT_NS_PER_MS) + home->config.calendar_ms);
}

/* ---- Messages in memory */

/* What is fresh stands behind what is not, but for what somebody has picked out of the middle. */
static struct gnt_entry *next_fresh(const struct gnt_lane *lane, struct gnt_list *place)
{
    for (; place != &lane->all; place = place->next)
        if (gnt_entry_at(place)->state == GNT_ENTRY_FRESH)
            return gnt_entry_at(place);
    return NULL;
}

static void set_expiry(struct gnt_entry *e)
{
    /* For want of memory it expires when its turn comes. */
    if (e->expires != GNT_NEVER &&
        gnt_timer_set(e->queue->home->timers, &e->expiry, e->expires) != GNT_OK)
        e->expiry.deadline = e->expires;
}

static void leave(struct gnt_entry *e)
{
    struct gnt_lane *lane = e->lane;
    struct gnt_queue *q = e->queue;
    uint64_t size = e->message->payload.size;
    switch ((enum gnt_entry_state)e->state) {
    case GNT_ENTRY_FRESH:
        lane->ready--;
        lane->ready_bytes -= size;
        if (lane->fresh == e)
            lane->fresh = next_fresh(lane, e->place.next);
        break;
    case GNT_ENTRY_BACK: gnt_ordered_remove(&lane->returned, &e->returned); break;
    case GNT_ENTRY_PARKED:
        gnt_list_remove(&e->link);
        if (q->parked-- == GNT_QUEUE_PARKED_MAX)
            gnt_queue_wake(q);
        break;
    case GNT_ENTRY_OVERDUE: gnt_list_remove(&e->link); break;
    case GNT_ENTRY_HELD:
    case GNT_ENTRY_RETIRED:
        gnt_list_remove(&e->link);
        gnt_list_remove(&e->lock);
        gnt_map_remove(&q->held, &e->by_delivery);
        if (e->taker)
            e->taker->held_count--;
        e->taker = NULL;
        q->held_bytes -= size;
        return;
    case GNT_ENTRY_POSTED:
        gnt_list_remove(&e->link);
        q->posted--;
        q->posted_bytes -= size;
        return;
    }
    gnt_timer_cancel(q->home->timers, &e->expiry);
    q->ready--;
    q->ready_bytes -= size;
}

static void enter(struct gnt_entry *e)
{
    struct gnt_lane *lane = e->lane;
    struct gnt_queue *q = e->queue;
    uint64_t size = e->message->payload.size;
    switch ((enum gnt_entry_state)e->state) {
    case GNT_ENTRY_FRESH:
        lane->ready++;
        lane->ready_bytes += size;
        if (!lane->fresh || e->sequence < lane->fresh->sequence)
            lane->fresh = e;
        break;
    case GNT_ENTRY_BACK: gnt_ordered_insert(&lane->returned, &e->returned); break;
    case GNT_ENTRY_PARKED: q->parked++; break; /* the group has linked it */
    case GNT_ENTRY_OVERDUE: gnt_list_push_back(&q->overdue, &e->link); break;
    case GNT_ENTRY_HELD:
        gnt_list_push_back(&e->taker->held, &e->link);
        e->taker->held_count++;
        q->held_bytes += size;
        return;
    case GNT_ENTRY_RETIRED: return; /* gnt_entry_retire has moved it */
    case GNT_ENTRY_POSTED:
        q->posted++;
        q->posted_bytes += size;
        return;
    }
    if (e->state != GNT_ENTRY_OVERDUE)
        set_expiry(e);
    q->ready++;
    q->ready_bytes += size;
}

void gnt_entry_move(struct gnt_entry *e, enum gnt_entry_state state)
{
    leave(e);
    e->state = (uint8_t)state;
    enter(e);
}

gnt_err gnt_entry_hold(struct gnt_entry *e, struct gnt_taker *t)
{
    struct gnt_queue *q = e->queue;
    uint64_t delivery = q->deliveries + 1;
    gnt_err err = gnt_map_insert(&q->held, &e->by_delivery, gnt_hash_mix(0, delivery));
    if (err)
        return err;
    leave(e);
    e->delivery = q->deliveries = delivery;
    e->taker = t;
    e->state = GNT_ENTRY_HELD;
    enter(e);
    return GNT_OK;
}

struct gnt_entry *gnt_queue_held(const struct gnt_queue *q, uint64_t delivery)
{
    struct gnt_map_node *node = gnt_map_first(&q->held, gnt_hash_mix(0, delivery));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_entry *e = GNT_CONTAINER(node, struct gnt_entry, by_delivery);
        if (e->delivery == delivery)
            return e;
    }
    return NULL;
}

uint64_t gnt_queue_expiry(const struct gnt_queue *q, const struct gnt_message *message,
                          uint64_t enqueued_ms)
{
    uint64_t ttl = q->options.ttl_ms;
    if (q->parent)
        return GNT_NEVER; /* a dead letter waits for somebody to look at it */
    if (!ttl)
        return message->expires;
    uint64_t now_ms = gnt_queue_time_ms(q->home), now = *q->home->now;
    uint64_t end_ms = enqueued_ms + ttl;
    uint64_t ends = end_ms > now_ms ? gnt_deadline(now, (end_ms - now_ms) * GNT_NS_PER_MS) : now;
    return ends < message->expires ? ends : message->expires;
}

struct gnt_entry *gnt_entry_new(struct gnt_lane *lane, const struct gnt_arrival *a,
                                enum gnt_entry_state state)
{
    struct gnt_entry *e = gnt_spare_get(sizeof *e);
    if (!e)
        return NULL;
    *e = (struct gnt_entry){.queue = lane->queue,
                            .lane = lane,
                            .message = gnt_message_ref(a->message),
                            .note = gnt_note_ref(a->note),
                            .sequence = a->sequence,
                            .enqueued_ms = a->enqueued_ms,
                            .expires = gnt_queue_expiry(lane->queue, a->message, a->enqueued_ms),
                            .failed = a->failed,
                            .state = (uint8_t)state,
                            .kept = a->kept,
                            .durable = a->durable,
                            .acquired = a->failed > 0};
    gnt_put_u64(e->key, e->sequence);
    e->returned.key = gnt_slice(e->key, sizeof e->key);
    e->expiry.fire = gnt_queue_on_expiry;
    gnt_list_init(&e->link);
    gnt_list_init(&e->lock);
    gnt_list_init(&e->bars);
    gnt_list_push_back(&lane->all, &e->place);
    enter(e);
    gnt_queue_woken(lane->queue, e);
    return e;
}

void gnt_entry_free(struct gnt_entry *e)
{
    gnt_queue_cursors_leave(e);
    if (e->group)
        gnt_queue_group_leave(e);
    if (e->beyond)
        gnt_lane_beyond_leave(e);
    leave(e);
    gnt_list_remove(&e->place);
    gnt_message_unref(&e->message);
    gnt_note_unref(&e->note);
    while (!gnt_list_empty(&e->bars))
        gnt_bar_free(GNT_CONTAINER(e->bars.next, struct gnt_bar, of_entry));
    gnt_spare_put(e, sizeof *e);
}

void gnt_entry_end(struct gnt_entry *e, enum gnt_counter why)
{
    struct gnt_queue *q = e->queue;
    const struct gnt_lane *lane = e->lane;
    gnt_queue_keep_settled(e);
    gnt_ledger_out(q->home, &q->ledger, why, e->message);
    gnt_entry_free(e);
    if (q->shows_full || !gnt_list_empty(&q->rooms) || lane->stored.count)
        gnt_queue_stir(q); /* there may be room, for who waits or for what is in the store */
}

/* ---- Lanes */

unsigned gnt_queue_lane_number(const struct gnt_queue *q, uint8_t priority)
{
    if (!q->options.priority)
        return GNT_QUEUE_PRIORITY_DEFAULT;
    return priority < GNT_QUEUE_PRIORITY_MAX ? priority : GNT_QUEUE_PRIORITY_MAX;
}

struct gnt_lane *gnt_queue_lane_at(struct gnt_queue *q, unsigned number)
{
    struct gnt_lane *lane = q->lanes[number];
    if (lane)
        return lane;
    lane = calloc(1, sizeof *lane);
    if (!lane)
        return NULL;
    gnt_list_init(&lane->all);
    gnt_list_init(&lane->removed);
    lane->queue = q;
    lane->number = (uint8_t)number;
    q->lanes[number] = lane;
    return lane;
}

struct gnt_lane *gnt_queue_lane(struct gnt_queue *q, uint8_t priority)
{
    return gnt_queue_lane_at(q, gnt_queue_lane_number(q, priority));
}

struct gnt_entry *gnt_lane_back_from(const struct gnt_lane *lane, uint64_t sequence)
{
    uint8_t key[8];
    gnt_put_u64(key, sequence);
    struct gnt_ordered_node *node = gnt_ordered_from(&lane->returned, gnt_slice(key, sizeof key));
    return node ? GNT_CONTAINER(node, struct gnt_entry, returned) : NULL;
}

bool gnt_entry_is_ahead(const struct gnt_entry *e)
{
    const struct gnt_lane_stored *s = &e->lane->stored;
    return e->beyond && s->count && e->sequence >= s->next;
}

struct gnt_entry *gnt_lane_first(const struct gnt_lane *lane)
{
    struct gnt_entry *fresh = lane->fresh;
    struct gnt_entry *back = lane->returned.count ? gnt_lane_back_from(lane, 0) : NULL;
    if (back && gnt_entry_is_ahead(back))
        return fresh;
    return back && (!fresh || back->sequence < fresh->sequence) ? back : fresh;
}

/* ---- Queues */

static void queue_account(struct gnt_sink *sink, struct gnt_account *out)
{
    const struct gnt_queue *q = gnt_queue_of(sink);
    out->queue = q->name;
    out->ledger = &q->ledger;
    out->queued = gnt_queue_count(q);
}

static const struct gnt_sink_ops queue_sink_ops = {.take = gnt_queue_take,
                                                   .account = queue_account};

bool gnt_queue_is(const struct gnt_sink *sink)
{
    return sink->ops == &queue_sink_ops;
}

struct gnt_queue *gnt_queue_find(struct gnt_home *home, uint64_t id)
{
    struct gnt_sink *sink = gnt_slots_find(&home->slots, id);
    return sink && gnt_queue_is(sink) ? gnt_queue_of(sink) : NULL;
}

static struct gnt_queue *allocate(struct gnt_home *home, struct gnt_slice name)
{
    struct gnt_queue *q = calloc(1, sizeof *q + name.size);
    if (!q)
        return NULL;
    memcpy(q + 1, name.data, name.size);
    q->name = gnt_slice(q + 1, name.size);
    q->sink.ops = &queue_sink_ops;
    q->home = home;
    q->used = *home->now;
    q->lock_due.fire = gnt_queue_on_locks;
    q->idle_due.fire = gnt_queue_on_idle;
    gnt_chore_init(&q->pump, gnt_queue_pump);
    struct gnt_list *lists[] = {&q->locked, &q->takers,   &q->pickers, &q->plain,
                                &q->picky,  &q->sated,    &q->loaded,  &q->rooms,
                                &q->holds,  &q->browsers, &q->overdue, &q->purges};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        gnt_list_init(lists[i]);
    return q;
}

/* Set once, a timer can be moved without memory. */
static gnt_err place(struct gnt_queue *q)
{
    struct gnt_home *home = q->home;
    gnt_err err = gnt_slots_add(&home->slots, home->index, &q->sink);
    if (err)
        return err;
    err = gnt_timer_set(home->timers, &q->lock_due, GNT_FAR);
    if (!err)
        err = gnt_timer_set(home->timers, &q->idle_due, GNT_FAR);
    if (!err && !q->parent)
        err = gnt_map_insert(&home->queues, &q->by_name, gnt_entity_hash(q->name));
    if (err) {
        gnt_timer_cancel(home->timers, &q->lock_due);
        gnt_timer_cancel(home->timers, &q->idle_due);
        gnt_slots_remove(&home->slots, &q->sink);
    }
    return err;
}

gnt_err gnt_queue_new(struct gnt_home *home, struct gnt_slice name,
                      const struct gnt_queue_options *options, struct gnt_queue *parent,
                      struct gnt_queue **out)
{
    struct gnt_queue *q = allocate(home, name);
    if (!q)
        return GNT_NOMEM;
    q->options = *options;
    q->parent = parent;
    gnt_err err = place(q);
    if (err) {
        free(q);
        return err;
    }
    gnt_count(&home->counters, GNT_COUNT_QUEUES, !parent);
    gnt_queue_used(q);
    *out = q;
    return GNT_OK;
}

/* What is dead has no further place to go to; its bounds are its queue's,
 * so that nobody can fill a machine by rejecting. */
struct gnt_queue_options gnt_queue_dead_options(const struct gnt_queue_options *of)
{
    struct gnt_queue_options options = *of;
    options.max_deliveries = 0;
    options.ttl_ms = 0;
    options.dead_letter_on_expiry = 0;
    options.overflow = GNT_QUEUE_DROP_OLDEST;
    options.priority = 0;
    options.groups = 0;
    options.auto_delete_ms = 0;
    return options;
}

gnt_err gnt_queue_dead(struct gnt_queue *q, struct gnt_queue **out)
{
    static const char suffix[] = "/" GNT_DEAD_LETTERS;
    char name[GNT_ENTITY_NAME_MAX + sizeof suffix];
    if (!q->dead) {
        struct gnt_queue_options options = gnt_queue_dead_options(&q->options);
        memcpy(name, q->name.data, q->name.size);
        memcpy(name + q->name.size, suffix, sizeof suffix - 1);
        struct gnt_slice whole = gnt_slice(name, q->name.size + sizeof suffix - 1);
        gnt_err err = gnt_queue_new(q->home, whole, &options, q, &q->dead);
        if (!err && q->number && (err = gnt_queue_keep(q->dead))) {
            gnt_queue_end(q->dead, GNT_COUNT_DROPPED_DELETED);
            q->dead = NULL;
        }
        if (err)
            return err;
    }
    *out = q->dead;
    return GNT_OK;
}

/* With groups everybody looks before he takes; for want of memory some do not, until they come
 * again. */
static void look_from_now_on(struct gnt_queue *q)
{
    gnt_list_each (link, &q->takers) {
        if (gnt_taker_make_picky(GNT_CONTAINER(link, struct gnt_taker, link)))
            return;
    }
}

void gnt_queue_set_options(struct gnt_queue *q, const struct gnt_queue_options *options)
{
    q->options = *options;
    if (options->groups)
        look_from_now_on(q);
    if (q->dead)
        q->dead->options = gnt_queue_dead_options(options);
    gnt_queue_cut_locks(q);
    gnt_queue_used(q);
    gnt_queue_stir(q);
}

/* ---- What there is to know */

void gnt_queue_facts_of(const struct gnt_queue *q, struct gnt_queue_facts *out)
{
    *out = (struct gnt_queue_facts){
        .id = q->sink.id,
        .options = q->options,
        .ready = q->ready,
        .held = q->held.count,
        .bytes = gnt_queue_bytes(q),
        .dead_letters = q->dead ? gnt_queue_count(q->dead) : 0,
        .last_sequence = q->last,
        .consumers = q->consumers,
        .full = gnt_queue_is_full(q, 0),
        .temporary = q->temporary,
    };
}

/* ---- Use */

/* Set once, the timer can be moved without memory. */
static void set_idle(struct gnt_queue *q, uint64_t when)
{
    gnt_err err = gnt_timer_set(q->home->timers, &q->idle_due, when);
    GNT_ASSERT(err == GNT_OK);
}

void gnt_queue_used(struct gnt_queue *q)
{
    q->used = *q->home->now;
    if (q->options.auto_delete_ms && q->idle_due.deadline == GNT_FAR)
        set_idle(q, gnt_deadline(q->used, q->options.auto_delete_ms * GNT_NS_PER_MS));
}

/* The timer stays where it was set while the queue is used, and looks again then. */
void gnt_queue_on_idle(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_queue *q = GNT_CONTAINER(timer, struct gnt_queue, idle_due);
    uint64_t ttl = q->options.auto_delete_ms * GNT_NS_PER_MS;
    if (!gnt_list_empty(&q->takers))
        q->used = now;
    uint64_t due = ttl ? gnt_deadline(q->used, ttl) : GNT_FAR;
    set_idle(q, due);
    if (due <= now) {
        gnt_queue_end(q, GNT_COUNT_DROPPED_DELETED);
        return;
    }
    gnt_queue_try_again(q);
    gnt_queue_stir(q);
}

void gnt_queue_look_later(struct gnt_queue *q, unsigned ms)
{
    uint64_t then = *q->home->now + ms * GNT_NS_PER_MS;
    if (then < q->idle_due.deadline)
        set_idle(q, then);
}
