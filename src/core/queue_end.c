#include "core/queue_private.h"

#include <stdlib.h>

/* So many messages leave memory, or the store one by one, in a row; then others have their turn. */
enum { SLICE = 2048 };

static void forget_stored(struct gnt_lane *lane)
{
    struct gnt_lane_stored *s = &lane->stored;
    gnt_lane_fetch_drop(lane);
    lane->queue->ready -= s->count;
    lane->queue->ready_bytes -= s->bytes;
    *s = (struct gnt_lane_stored){.left = s->left};
}

/* ---- Purging
 *
 * All that waits when it begins: what is in the store only counts as gone at once, and is removed
 * from there like what is in memory, some of it in each turn; what comes meanwhile stays.  Requests
 * wait for each other. */

static struct gnt_entity_asking *first_asking(const struct gnt_queue *q)
{
    struct gnt_kept *kept = GNT_CONTAINER(q->purges.next, struct gnt_kept, link);
    struct gnt_errand *errand = GNT_CONTAINER(kept, struct gnt_errand, kept);
    return GNT_CONTAINER(errand, struct gnt_entity_asking, errand);
}

/* Where LANE has nothing in memory, all of its log may go; else number by number, but for those
 * that somebody has taken out of the middle. */
static bool is_whole(const struct gnt_lane *lane)
{
    return gnt_list_empty(&lane->all);
}

/* Numbers that would have to be looked at in vain for most of the time. */
static bool is_sparse(const struct gnt_lane *lane)
{
    enum { NUMBERS_MIN = 65536, SPARSE = 16 };
    const struct gnt_lane_stored *s = &lane->stored;
    uint64_t numbers = s->count ? s->last - s->next + 1 : 0;
    return !is_whole(lane) && numbers > NUMBERS_MIN && numbers / SPARSE > s->count;
}

static enum gnt_queue_result may_purge(const struct gnt_queue *q)
{
    uint32_t lanes = 0;
    for (unsigned i = 0; i < GNT_QUEUE_LANES; i++) {
        if (q->lanes[i] && is_sparse(q->lanes[i]))
            return GNT_QUEUE_IN_USE;
        lanes += q->lanes[i] && q->lanes[i]->stored.count;
    }
    return lanes && gnt_keep_reserve(q->home, lanes, lanes * (size_t)GNT_STORE_NAME_MAX)
               ? GNT_QUEUE_NO_MEMORY
               : GNT_QUEUE_DONE;
}

static void purge_stored(struct gnt_lane *lane)
{
    struct gnt_queue *q = lane->queue;
    const struct gnt_lane_stored *s = &lane->stored;
    if (!s->count)
        return;
    if (is_whole(lane))
        gnt_queue_keep_trim(lane, s->last);
    else
        lane->purge = (struct gnt_numbers){s->next, s->last};
    q->purged += s->count;
    gnt_ledger_out_many(q->home, &q->ledger, GNT_COUNT_DROPPED_DELETED, s->count, s->bytes);
    forget_stored(lane);
}

static void purge_one(struct gnt_entry *e)
{
    e->queue->purged++;
    gnt_entry_end(e, GNT_COUNT_DROPPED_DELETED);
}

/* The first that waits in memory and was there when it began, whoever may have it. */
static struct gnt_entry *waiting_in(const struct gnt_lane *lane)
{
    uint64_t upto = lane->queue->purge_upto;
    struct gnt_entry *e = lane->fresh;
    if (e && e->sequence < upto)
        return e;
    e = lane->returned.count ? gnt_lane_back_from(lane, 0) : NULL;
    return e && e->sequence < upto ? e : NULL;
}

/* There are few of them. */
static void purge_parked(struct gnt_queue *q)
{
    if (!q->parked)
        return;
    gnt_list_each (taker, &q->takers) {
        gnt_list_each_safe (link, &GNT_CONTAINER(taker, struct gnt_taker, link)->parked) {
            struct gnt_entry *e = GNT_CONTAINER(link, struct gnt_entry, link);
            if (e->sequence < q->purge_upto)
                purge_one(e);
        }
    }
}

/* False: SLICE is over, or there is no memory. */
static bool purge_lane(struct gnt_lane *lane, int *left)
{
    struct gnt_numbers *n = &lane->purge;
    for (struct gnt_entry *e; *left && (e = waiting_in(lane)); --*left)
        purge_one(e);
    for (; *left && n->next && n->next <= n->last; n->next++, --*left)
        if (!gnt_lane_beyond(lane, n->next) && gnt_queue_keep_removed(lane, n->next))
            return false;
    if (!*left)
        return false;
    *n = (struct gnt_numbers){0};
    return true;
}

static bool purge_slice(struct gnt_queue *q)
{
    int left = SLICE;
    purge_parked(q);
    for (; left && !gnt_list_empty(&q->overdue); left--)
        purge_one(GNT_CONTAINER(q->overdue.next, struct gnt_entry, link));
    for (unsigned i = 0; i < GNT_QUEUE_LANES; i++)
        if (q->lanes[i] && !purge_lane(q->lanes[i], &left))
            return false;
    return left > 0;
}

static void answer(struct gnt_queue *q, enum gnt_queue_result result)
{
    struct gnt_entity_asking *a = first_asking(q);
    gnt_list_remove(&a->errand.kept.link);
    a->purged = result ? 0 : q->purged;
    q->purge_upto = 0;
    gnt_queue_facts_of(q, &a->facts);
    gnt_entity_answer(q->home, a, result);
}

static void begin(struct gnt_queue *q)
{
    enum gnt_queue_result result = may_purge(q);
    if (result) {
        answer(q, result);
        return;
    }
    q->purged = 0;
    q->purge_upto = q->last + 1;
    for (unsigned i = 0; i < GNT_QUEUE_LANES; i++)
        if (q->lanes[i])
            purge_stored(q->lanes[i]);
}

void gnt_queue_purge_on(struct gnt_queue *q)
{
    if (gnt_list_empty(&q->purges))
        return;
    if (!q->purge_upto)
        begin(q);
    if (q->purge_upto && purge_slice(q))
        answer(q, GNT_QUEUE_DONE);
    gnt_queue_stir(q);
}

void gnt_queue_purge(struct gnt_queue *q, struct gnt_entity_asking *a)
{
    gnt_list_push_back(&q->purges, &a->errand.kept.link);
    if (first_asking(q) == a)
        gnt_queue_purge_on(q);
}

/* ---- The end of a queue
 *
 * It is out of reach, counted out, and out of the store at once; its messages leave memory some in
 * each turn. */

static bool free_lane(struct gnt_lane *lane, int *left)
{
    struct gnt_queue *q = lane->queue;
    for (; *left && !gnt_list_empty(&lane->all); --*left) {
        struct gnt_entry *e = gnt_entry_at(lane->all.next);
        if (e->stated)
            gnt_queue_keep_no_state(q, e->sequence);
        gnt_entry_free(e);
    }
    if (!*left)
        return false;
    gnt_lane_beyond_free(lane);
    q->lanes[lane->number] = NULL;
    free(lane);
    return true;
}

static void on_free(struct gnt_home *home, struct gnt_chore *chore)
{
    struct gnt_queue *q = GNT_CONTAINER(chore, struct gnt_queue, pump);
    int left = SLICE;
    bool goes_on = gnt_queue_states_sweep(q);
    for (unsigned i = 0; i < GNT_QUEUE_LANES; i++)
        goes_on |= q->lanes[i] && !free_lane(q->lanes[i], &left);
    if (goes_on) {
        gnt_errand_chore(home, chore);
        return;
    }
    gnt_map_fini(&q->held);
    gnt_map_fini(&q->states);
    gnt_queue_groups_free(q);
    gnt_chore_cancel(chore);
    free(q);
}

static void let_go(struct gnt_queue *q)
{
    while (!gnt_list_empty(&q->takers))
        gnt_taker_end(GNT_CONTAINER(q->takers.next, struct gnt_taker, link), GNT_QUEUE_NOT_FOUND);
    while (!gnt_list_empty(&q->purges))
        answer(q, GNT_QUEUE_NOT_FOUND);
    gnt_queue_tell_room(q, true);
    gnt_queue_unbind(q);
}

/* Without the store, which may keep it. */
static void end(struct gnt_queue *q, enum gnt_counter why)
{
    struct gnt_home *home = q->home;
    let_go(q);
    gnt_ledger_out_many(home, &q->ledger, why, gnt_queue_count(q), gnt_queue_bytes(q));
    for (unsigned i = 0; i < GNT_QUEUE_LANES; i++)
        if (q->lanes[i])
            forget_stored(q->lanes[i]);
    gnt_timer_cancel(home->timers, &q->lock_due);
    gnt_timer_cancel(home->timers, &q->idle_due);
    gnt_count(&home->counters, GNT_COUNT_QUEUES, -!q->parent);
    if (!q->parent)
        gnt_map_remove(&home->queues, &q->by_name);
    gnt_slots_remove(&home->slots, &q->sink);
    gnt_chore_cancel(&q->pump);
    gnt_chore_init(&q->pump, on_free);
    q->ended = true;
    on_free(home, &q->pump);
}

void gnt_queue_end(struct gnt_queue *q, enum gnt_counter why)
{
    if (q->dead)
        gnt_queue_end(q->dead, why);
    q->dead = NULL;
    gnt_queue_keep_end(q);
    end(q, why);
}

void gnt_queues_leave_store(struct gnt_home *home)
{
    struct gnt_map_cursor cursor = {0};
    home->ending = true;
    for (struct gnt_map_node *node; (node = gnt_map_walk(&home->queues, &cursor));) {
        struct gnt_queue *q = GNT_CONTAINER(node, struct gnt_queue, by_name);
        q->number = 0;
        if (q->dead)
            q->dead->number = 0;
    }
}

void gnt_queues_free(struct gnt_home *home)
{
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&home->queues, &cursor));) {
        struct gnt_queue *q = GNT_CONTAINER(node, struct gnt_queue, by_name);
        if (q->dead)
            end(q->dead, GNT_COUNT_DROPPED_SESSION_END);
        q->dead = NULL;
        end(q, GNT_COUNT_DROPPED_SESSION_END);
    }
    gnt_map_fini(&home->queues);
}
