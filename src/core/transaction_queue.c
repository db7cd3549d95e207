#include "core/transaction_private.h"

#include "core/queue_private.h"
#include "core/queue_record.h"

/* What there is in LIST; NULL: its queue has ended, or there never was any. */
static struct gnt_entry *first(struct gnt_list *list)
{
    if (gnt_list_empty(list))
        return NULL;
    struct gnt_entry *e = GNT_CONTAINER(list->next, struct gnt_entry, link);
    if (!e->queue->ended)
        return e;
    gnt_list_remove(&e->link);
    return NULL;
}

/* ---- Preparing */

static enum gnt_queue_result post(struct gnt_queue *q, struct gnt_arrival *a, struct gnt_part *part,
                                  struct gnt_batch *batch)
{
    enum gnt_queue_result result = gnt_queue_post(q, a, batch, &part->posted);
    if (result)
        return result;
    part->posts = true;
    part->kept = a->kept;
    part->log = gnt_queue_log(q->number, gnt_queue_lane_number(q, a->priority));
    return GNT_QUEUE_DONE;
}

static enum gnt_queue_result prepare_post(struct gnt_home *home, struct gnt_part *part,
                                          struct gnt_batch *batch)
{
    struct gnt_queue *q = gnt_queue_find(home, part->queue);
    const struct gnt_note note = {.group = part->group};
    struct gnt_arrival a = {.message = part->message,
                            .enqueued_ms = gnt_queue_time_ms(home),
                            .priority = part->priority,
                            .durable = part->durable};
    if (!q || q->parent)
        return q ? GNT_QUEUE_READ_ONLY : GNT_QUEUE_NOT_FOUND;
    if (q->options.groups && part->group.size && gnt_note_new(&note, &a.note))
        return GNT_QUEUE_NO_MEMORY;
    enum gnt_queue_result result = post(q, &a, part, batch);
    gnt_note_unref(&a.note);
    return result;
}

/* What is rejected is posted to the dead-letter queue. */
static enum gnt_queue_result post_dead(struct gnt_entry *e, struct gnt_part *part,
                                       struct gnt_batch *batch)
{
    static const struct gnt_note nothing;
    const struct gnt_note *why = part->note ? part->note : &nothing;
    struct gnt_arrival a;
    struct gnt_queue *dead;
    if (gnt_queue_dead(e->queue, &dead) ||
        gnt_entry_dead_arrival(e, why->reason, why->description, &a))
        return GNT_QUEUE_NO_MEMORY;
    enum gnt_queue_result result = post(dead, &a, part, batch);
    gnt_note_unref(&a.note);
    return result;
}

static enum gnt_queue_result prepare_retire(struct gnt_part *part, struct gnt_batch *batch)
{
    const struct gnt_settling *said = &part->retiring.settling;
    const struct gnt_consumer *c = part->retiring.consumer;
    struct gnt_taker *t = c->taker;
    struct gnt_entry *e = t && t->queue ? gnt_queue_held(t->queue, said->delivery) : NULL;
    enum gnt_queue_result result = GNT_QUEUE_DONE;
    if (!e || e->taker != t || e->state != GNT_ENTRY_HELD)
        return GNT_QUEUE_LOCK_LOST;
    part->dead = e->queue->parent != NULL;
    if (said->outcome == GNT_SETTLE_REJECT && !part->dead)
        result = post_dead(e, part, batch);
    bool goes = said->outcome == GNT_SETTLE_ACCEPT || said->outcome == GNT_SETTLE_REJECT;
    if (!result && gnt_entry_retire(e, goes, batch, &part->retired))
        result = GNT_QUEUE_NO_MEMORY;
    return result;
}

enum gnt_queue_result gnt_share_prepare(struct gnt_home *home, struct gnt_share *share)
{
    enum gnt_queue_result result = GNT_QUEUE_DONE;
    for (struct gnt_list *at = share->parts.next; !result && at != &share->parts; at = at->next) {
        struct gnt_part *part = GNT_CONTAINER(at, struct gnt_part, link);
        result = part->message ? prepare_post(home, part, &share->batch)
                               : prepare_retire(part, &share->batch);
    }
    if (!result && share->batch.err)
        result = GNT_QUEUE_NO_MEMORY;
    if (result)
        gnt_share_cancel(share);
    return result;
}

void gnt_share_cancel(struct gnt_share *share)
{
    gnt_batch_fini(&share->batch);
    gnt_list_each (at, &share->parts) {
        struct gnt_part *part = GNT_CONTAINER(at, struct gnt_part, link);
        struct gnt_entry *posted = first(&part->posted), *retired = first(&part->retired);
        if (posted)
            gnt_queue_post_not(posted);
        if (retired)
            gnt_entry_retire_not(retired);
    }
}

/* ---- It happens */

/* Its queue has ended meanwhile, and what has been written since goes after it. */
static void post_nowhere(struct gnt_home *home, const struct gnt_part *part)
{
    gnt_ledger_pass(home, NULL, GNT_COUNT_DROPPED_DELETED);
    if (!part->kept || home->ending)
        return;
    if (gnt_keep_reserve(home, 1, GNT_STORE_NAME_MAX) == GNT_OK)
        gnt_batch_drop(gnt_keep_batch(home), gnt_record_log_slice(&part->log));
    else
        gnt_count(&home->counters, GNT_COUNT_KEEP_FAILURES, 1);
}

static void apply_retired(struct gnt_entry *e, const struct gnt_part *part)
{
    const struct gnt_settling *said = &part->retiring.settling;
    struct gnt_taker *t = e->taker;
    struct gnt_queue *q = e->queue;
    bool goes = said->outcome == GNT_SETTLE_ACCEPT || said->outcome == GNT_SETTLE_REJECT;
    e->kept = e->kept && !goes; /* it is out of the store */
    switch (said->outcome) {
    case GNT_SETTLE_ACCEPT: gnt_entry_end(e, GNT_COUNT_DELIVERED); break;
    case GNT_SETTLE_REJECT:
        gnt_entry_end(e, part->dead ? GNT_COUNT_DROPPED_REFUSED : GNT_COUNT_DEAD_LETTERED);
        break;
    case GNT_SETTLE_RELEASE:
    case GNT_SETTLE_RENEW: gnt_entry_give_back(e, false); break;
    case GNT_SETTLE_MODIFY:
        (void)gnt_entry_modify(t, e, part->note, said->failed, said->elsewhere);
        break;
    }
    if (t && !gnt_list_linked(&t->turn)) {
        gnt_taker_place(t); /* it may have held as much as it may */
        gnt_queue_stir(q);
    }
}

void gnt_share_apply(struct gnt_home *home, struct gnt_share *share)
{
    gnt_list_each (at, &share->parts) {
        struct gnt_part *part = GNT_CONTAINER(at, struct gnt_part, link);
        struct gnt_entry *posted = first(&part->posted), *retired = first(&part->retired);
        if (posted)
            gnt_queue_post_admit(posted);
        else if (part->posts)
            post_nowhere(home, part);
        if (retired)
            apply_retired(retired, part);
    }
}
