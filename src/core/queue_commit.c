/* Messages that a transaction is about to add to a queue, or to settle.
 *
 * What is posted has its number before it is there, and while it waits others may come behind it,
 * be delivered, or be left to the store.  So it is in memory, at its place in its lane, and nobody
 * sees it; where what is before it is in the store only it is marked as taken out of the middle of
 * that, so that a read that finds its record already, or still, passes it by.  It stays in memory
 * afterwards, until it is delivered. */
#include "core/queue_private.h"

/* ---- Posted */

static enum gnt_queue_result may_post(struct gnt_queue *q, const struct gnt_arrival *a)
{
    if (a->kept && gnt_keep_refuses(q->home))
        return GNT_QUEUE_NO_STORE;
    bool full = q->options.overflow != GNT_QUEUE_DROP_OLDEST &&
                gnt_queue_is_full(q, a->message->payload.size);
    return full ? GNT_QUEUE_FULL : GNT_QUEUE_DONE;
}

static gnt_err write_arrival(struct gnt_lane *lane, const struct gnt_arrival *a,
                             struct gnt_batch *batch)
{
    struct gnt_home *home = lane->queue->home;
    gnt_err err = gnt_queue_keep_lane(lane); /* whatever comes of the transaction */
    if (err)
        return err;
    gnt_keep_aside(home, batch);
    err = gnt_queue_keep_arrival(lane, a);
    gnt_keep_aside(home, NULL);
    return err;
}

static gnt_err post(struct gnt_lane *lane, const struct gnt_arrival *a, bool leaves,
                    struct gnt_batch *batch, struct gnt_list *posted)
{
    struct gnt_entry *e = gnt_entry_new(lane, a, GNT_ENTRY_POSTED);
    if (!e)
        return GNT_NOMEM;
    gnt_err err = leaves ? gnt_lane_beyond_join(e) : GNT_OK;
    if (!err && a->kept)
        err = write_arrival(lane, a, batch);
    if (err)
        gnt_entry_free(e);
    else
        gnt_list_push_back(posted, &e->link);
    return err;
}

enum gnt_queue_result gnt_queue_post(struct gnt_queue *q, struct gnt_arrival *a,
                                     struct gnt_batch *batch, struct gnt_list *posted)
{
    struct gnt_lane *lane = gnt_queue_lane(q, a->priority);
    if (!lane)
        return GNT_QUEUE_NO_MEMORY;
    bool leaves = q->number && gnt_lane_leaves_memory(lane, a->message->payload.size);
    a->kept = leaves || gnt_queue_is_to_keep(q, a);
    a->sequence = q->last + 1;
    enum gnt_queue_result result = may_post(q, a);
    if (!result && post(lane, a, leaves, batch, posted))
        result = GNT_QUEUE_NO_MEMORY;
    if (result)
        return result;
    q->last = a->sequence;
    gnt_queue_used(q);
    return GNT_QUEUE_DONE;
}

/* E, which is to be seen, is ready at its place; where what is before it was in the store only, it
 * is like one that was taken out of the middle of that. */
static void settle_in(struct gnt_entry *e)
{
    if (e->beyond && e->sequence > e->lane->admitted)
        e->lane->admitted = e->sequence;
    gnt_entry_move(e, e->beyond ? GNT_ENTRY_BACK : GNT_ENTRY_FRESH);
    gnt_queue_woken(e->queue, e);
}

void gnt_queue_post_admit(struct gnt_entry *e)
{
    struct gnt_queue *q = e->queue;
    gnt_ledger_in(q->home, &q->ledger, e->message);
    settle_in(e);
    gnt_queue_wake(q);
}

void gnt_queue_post_not(struct gnt_entry *e)
{
    struct gnt_queue *q = e->queue;
    gnt_entry_free(e);
    gnt_queue_wake(q);
}

/* ---- Retired */

gnt_err gnt_entry_retire(struct gnt_entry *e, bool goes, struct gnt_batch *batch,
                         struct gnt_list *retired)
{
    struct gnt_home *home = e->queue->home;
    GNT_ASSERT(e->state == GNT_ENTRY_HELD);
    if (goes) {
        gnt_keep_aside(home, batch);
        gnt_err err = gnt_queue_keep_removal(e);
        gnt_keep_aside(home, NULL);
        if (err)
            return err;
    }
    gnt_list_remove(&e->link);
    gnt_list_remove(&e->lock);
    e->state = GNT_ENTRY_RETIRED;
    gnt_list_push_back(retired, &e->link);
    gnt_list_push_back(&e->taker->retired, &e->lock);
    return GNT_OK;
}

void gnt_entry_retire_not(struct gnt_entry *e)
{
    if (!e->taker) {
        gnt_entry_give_back(e, false);
        return;
    }
    gnt_list_remove(&e->link);
    e->state = GNT_ENTRY_HELD;
    gnt_list_push_back(&e->taker->held, &e->link);
    gnt_entry_lock(e);
}

void gnt_entry_retire_alone(struct gnt_entry *e)
{
    if (e->group)
        gnt_queue_group_leave(e);
    gnt_list_remove(&e->lock);
    e->taker = NULL;
}
