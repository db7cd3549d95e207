#include "core/queue_private.h"

#include "base/spare.h"

#include <stdlib.h>

enum { HELD_MAX = 65536, CRATE_MAX = 32 };

/* Deliveries on their way to one consumer. */
struct gnt_crate {
    struct gnt_errand errand;
    struct gnt_consumer *consumer;
    unsigned count;
    bool drained; /* behind all of them: there is nothing more up to UPTO */
    uint64_t upto;
    struct gnt_note *notes[CRATE_MAX];
    struct gnt_queued item[CRATE_MAX];
};

/* ---- At the queue's home: a consumer's place there */

static bool has_credit(const struct gnt_taker *t)
{
    return t->delivered < t->upto && t->held_count < t->held_max &&
           t->bar_count < GNT_QUEUE_BARS_MAX;
}

/* Behind those that go before it, or with whom it takes turns. */
static void take_turn(struct gnt_list *list, struct gnt_taker *t)
{
    struct gnt_list *behind = list->prev;
    while (behind != list && GNT_CONTAINER(behind, struct gnt_taker, turn)->priority < t->priority)
        behind = behind->prev;
    gnt_list_push_front(behind, &t->turn);
}

void gnt_taker_place(struct gnt_taker *t)
{
    struct gnt_queue *q = t->queue;
    gnt_list_remove(&t->turn);
    t->sated = false;
    if (!has_credit(t))
        return;
    if (t->mode == GNT_CONSUME_BROWSE)
        gnt_list_push_back(&q->browsers, &t->turn);
    else
        take_turn(t->picky ? &q->picky : &q->plain, t);
}

static void want_drained(struct gnt_taker *t, bool drain)
{
    t->queue->draining += drain;
    t->queue->draining -= t->drain;
    t->drain = drain;
}

/* Where it begins to look. */
static struct gnt_entry *first_of(const struct gnt_taker *t, const struct gnt_lane *lane)
{
    if (t->mode != GNT_CONSUME_BROWSE)
        return lane->fresh;
    return gnt_list_empty(&lane->all) ? NULL : gnt_entry_at(lane->all.next);
}

gnt_err gnt_taker_make_picky(struct gnt_taker *t)
{
    if (t->picky)
        return GNT_OK;
    t->sights = calloc(GNT_QUEUE_LANES, sizeof *t->sights);
    if (!t->sights)
        return GNT_NOMEM;
    t->picky = true;
    for (unsigned i = 0; i < GNT_QUEUE_LANES; i++) {
        t->sights[i].at = t->queue->lanes[i] ? first_of(t, t->queue->lanes[i]) : NULL;
        t->sights[i].deep = t->browsed + 1;
    }
    gnt_list_push_back(&t->queue->pickers, &t->pick);
    gnt_taker_place(t);
    return GNT_OK;
}

static enum gnt_queue_result may_join(const struct gnt_queue *q, const struct gnt_consumer *c)
{
    if (c->mode == GNT_CONSUME_BROWSE)
        return GNT_QUEUE_DONE;
    return q->exclusive || (c->exclusive && q->consumers) ? GNT_QUEUE_IN_USE : GNT_QUEUE_DONE;
}

static void count_consumer(const struct gnt_taker *t, int by)
{
    if (t->mode == GNT_CONSUME_BROWSE)
        return;
    t->queue->consumers += (unsigned)by;
    gnt_count(&t->queue->home->counters, GNT_COUNT_CONSUMERS, by);
}

/* What C asks for, and whose T is from now on.  GNT_NOMEM. */
static gnt_err take_over(struct gnt_taker *t, struct gnt_consumer *c, unsigned home)
{
    t->home = home;
    t->mode = c->mode;
    t->priority = c->priority;
    t->endless = c->endless;
    t->held_max = c->held_max ? c->held_max : HELD_MAX;
    t->browsed = c->browse_from ? c->browse_from - 1 : 0;
    bool looks = c->filter || t->queue->options.groups || t->mode == GNT_CONSUME_BROWSE ||
                 !gnt_list_empty(&t->bars);
    if (looks && gnt_taker_make_picky(t))
        return GNT_NOMEM;
    t->consumer = c;
    t->filter = c->filter;
    c->filter = NULL;
    c->taker = t;
    return GNT_OK;
}

static struct gnt_taker *taker_new(struct gnt_queue *q)
{
    struct gnt_taker *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->queue = q;
    t->number = ++q->taker_numbers;
    gnt_list_init(&t->turn);
    gnt_list_init(&t->pick);
    gnt_list_init(&t->held);
    gnt_list_init(&t->bars);
    gnt_list_init(&t->retired);
    gnt_list_init(&t->parked);
    return t;
}

/* The one that was suspended with this number; NULL: it has gone. */
static struct gnt_taker *find_suspended(const struct gnt_queue *q, uint64_t number)
{
    gnt_list_each (link, &q->takers) {
        struct gnt_taker *t = GNT_CONTAINER(link, struct gnt_taker, link);
        if (t->number == number && !t->consumer)
            return t;
    }
    return NULL;
}

/* Without memory it is C's all the same, whose end gives back what it holds. */
static enum gnt_queue_result resume(struct gnt_taker *t, struct gnt_consumer *c, unsigned home)
{
    if (take_over(t, c, home)) {
        t->consumer = c;
        c->taker = t;
        return GNT_QUEUE_NO_MEMORY;
    }
    c->resumed = true;
    gnt_queue_facts_of(t->queue, &c->facts);
    return GNT_QUEUE_DONE;
}

static enum gnt_queue_result join(struct gnt_queue *q, struct gnt_consumer *c, unsigned home)
{
    struct gnt_taker *t = c->suspended ? find_suspended(q, c->suspended) : NULL;
    if (t)
        return resume(t, c, home);
    enum gnt_queue_result result = may_join(q, c);
    if (result)
        return result;
    t = taker_new(q);
    if (!t || take_over(t, c, home)) {
        free(t);
        return GNT_QUEUE_NO_MEMORY;
    }
    gnt_list_push_back(&q->takers, &t->link);
    count_consumer(t, 1);
    q->exclusive = c->exclusive && t->mode != GNT_CONSUME_BROWSE ? t : q->exclusive;
    gnt_queue_used(q);
    gnt_queue_facts_of(q, &c->facts);
    return GNT_QUEUE_DONE;
}

void gnt_taker_return_all(struct gnt_taker *t, uint64_t failed)
{
    /* Each is in front of the one before, which makes their places easy to find. */
    while (!gnt_list_empty(&t->held)) {
        struct gnt_entry *last = GNT_CONTAINER(t->held.prev, struct gnt_entry, link);
        gnt_entry_give_back(last, last->delivery <= failed);
    }
    while (!gnt_list_empty(&t->retired))
        gnt_entry_retire_alone(GNT_CONTAINER(t->retired.next, struct gnt_entry, lock));
}

/* T takes nothing any more. */
static void retire(struct gnt_taker *t)
{
    want_drained(t, false);
    gnt_list_remove(&t->turn);
    gnt_list_remove(&t->pick);
    t->upto = t->delivered; /* so that nothing of what follows gives it a turn */
    if (t->filter)
        t->filter->unref(t->filter);
    t->filter = NULL;
    gnt_scan_drop(t);
    free(t->sights);
    t->sights = NULL;
    t->picky = t->sated = false;
}

/* T has no place at its queue any more; of what it holds the deliveries up to FAILED have failed.
 */
static void part(struct gnt_taker *t, uint64_t failed)
{
    struct gnt_queue *q = t->queue;
    retire(t);
    gnt_list_remove(&t->link);
    gnt_taker_return_all(t, failed);
    while (!gnt_list_empty(&t->bars))
        gnt_bar_free(GNT_CONTAINER(t->bars.next, struct gnt_bar, of_taker));
    count_consumer(t, -1);
    if (q->exclusive == t)
        q->exclusive = NULL;
    t->queue = NULL;
    for (unsigned i = 0; gnt_list_empty(&q->takers) && i < GNT_QUEUE_LANES; i++)
        if (q->lanes[i])
            gnt_lane_unload(q->lanes[i]);
    gnt_queue_used(q);
    gnt_queue_stir(q);
}

static void on_ended(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_taker *t = GNT_CONTAINER(errand, struct gnt_taker, ended);
    struct gnt_consumer *c = t->consumer;
    if (!c->closing)
        c->ops->ended(home, c, t->why);
    if (home->ending && !c->closing) { /* nobody will close it */
        c->taker = NULL;
        free(t);
    }
}

void gnt_taker_end(struct gnt_taker *t, enum gnt_queue_result why)
{
    struct gnt_home *home = t->queue->home;
    gnt_taker_send(t);
    part(t, 0);
    if (!t->consumer) { /* whoever asks for it finds nothing */
        free(t);
        return;
    }
    t->why = why;
    gnt_errand_send(home, t->home, &t->ended, on_ended);
}

/* ---- Opening and closing, there and back */

static void on_opened(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_consumer *c = GNT_CONTAINER(errand, struct gnt_consumer, open);
    if (c->filter)
        c->filter->unref(c->filter);
    c->filter = NULL;
    if (c->closing)
        return;
    if (c->resumed)
        c->seen = UINT64_MAX; /* all that it has taken over, until something new comes */
    c->ops->opened(home, c, c->result);
}

static void on_open(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_consumer *c = GNT_CONTAINER(errand, struct gnt_consumer, open);
    struct gnt_queue *q = gnt_queue_find(home, c->queue);
    c->result = q ? join(q, c, errand->from) : GNT_QUEUE_NOT_FOUND;
    gnt_errand_send(home, errand->from, errand, on_opened);
}

static void on_closed(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_consumer *c = GNT_CONTAINER(errand, struct gnt_consumer, close);
    if (!c->suspended)
        free(c->taker);
    c->taker = NULL;
    c->parted = true;
    if (!c->unanswered)
        c->ops->closed(home, c);
}

void gnt_consumer_answered(struct gnt_consumer *c)
{
    c->unanswered--;
    if (c->parted && !c->unanswered)
        c->ops->closed(c->home, c);
}

/* What is retired does not come back to T: if its transaction fails it is ready again. */
static void leave_retired(struct gnt_taker *t)
{
    for (struct gnt_list *link; (link = t->retired.next) != &t->retired; t->held_count--)
        gnt_entry_retire_alone(GNT_CONTAINER(link, struct gnt_entry, lock));
}

/* What of it was under way is ready again, the rest waits.  What a transaction has given back
 * stands behind what came later.  False: there is nothing. */
static bool suspend(struct gnt_taker *t, uint64_t seen)
{
    retire(t);
    for (struct gnt_list *link = t->held.prev, *before; link != &t->held; link = before) {
        struct gnt_entry *e = GNT_CONTAINER(link, struct gnt_entry, link);
        before = link->prev;
        if (e->delivery > seen)
            gnt_entry_give_back(e, false);
    }
    leave_retired(t);
    if (gnt_list_empty(&t->held))
        return false;
    t->delivered = t->upto = 0;
    t->consumer = NULL;
    gnt_queue_stir(t->queue);
    return true;
}

static void on_close(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_consumer *c = GNT_CONTAINER(errand, struct gnt_consumer, close);
    struct gnt_taker *t = c->taker;
    c->suspended = 0;
    if (t && t->queue) {
        gnt_taker_send(t);
        if (c->suspending && suspend(t, c->seen))
            c->suspended = t->number;
        else
            part(t, c->failed ? c->seen : 0);
    }
    gnt_errand_send(home, errand->from, errand, on_closed);
}

void gnt_consumer_open(struct gnt_home *home, uint64_t queue, struct gnt_consumer *c)
{
    c->home = home;
    c->queue = queue;
    c->taker = NULL;
    c->settlings = NULL;
    c->upto = c->sent_upto = c->seen = 0;
    c->drain = c->sent_drain = c->crediting = c->again = false;
    c->closing = c->failed = c->parted = c->suspending = c->resumed = false;
    c->unanswered = 0;
    gnt_chore_init(&c->flush, gnt_consumer_on_flush);
    gnt_errand_send(home, gnt_sink_home(queue), &c->open, on_open);
}

void gnt_consumer_close(struct gnt_consumer *c, bool failed)
{
    GNT_ASSERT(!c->closing);
    c->closing = true;
    c->failed = failed;
    gnt_consumer_flush(c);
    gnt_errand_send(c->home, gnt_sink_home(c->queue), &c->close, on_close);
}

void gnt_consumer_suspend(struct gnt_consumer *c, uint64_t seen)
{
    GNT_ASSERT(c->mode != GNT_CONSUME_BROWSE);
    c->suspending = true;
    c->seen = seen;
    gnt_consumer_close(c, false);
}

/* ---- Credit */

static void send_credit(struct gnt_consumer *c);

static void on_credited(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_consumer *c = GNT_CONTAINER(errand, struct gnt_consumer, credit);
    (void)home;
    c->crediting = false;
    if (!c->closing && (c->upto != c->sent_upto || c->again))
        send_credit(c);
}

static void on_credit(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_consumer *c = GNT_CONTAINER(errand, struct gnt_consumer, credit);
    struct gnt_taker *t = c->taker;
    if (t && t->queue) {
        t->upto = c->sent_upto > t->delivered ? c->sent_upto : t->delivered;
        gnt_queue_try_again(t->queue);
        want_drained(t, c->sent_drain);
        gnt_taker_place(t);
        gnt_queue_stir(t->queue);
    }
    gnt_errand_send(home, errand->from, errand, on_credited);
}

static void send_credit(struct gnt_consumer *c)
{
    c->crediting = true;
    c->again = false;
    c->sent_upto = c->upto;
    c->sent_drain = c->drain;
    gnt_errand_send(c->home, gnt_sink_home(c->queue), &c->credit, on_credit);
}

void gnt_consumer_credit(struct gnt_consumer *c, uint64_t upto, bool drain)
{
    if (c->closing)
        return;
    c->again = drain || drain != c->drain;
    c->upto = upto;
    c->drain = drain;
    if (!c->crediting)
        send_credit(c);
}

/* ---- Deliveries */

static void on_crate(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_crate *crate = GNT_CONTAINER(errand, struct gnt_crate, errand);
    struct gnt_consumer *c = crate->consumer;
    for (unsigned i = 0; i < crate->count; i++) {
        if (!c->closing) {
            c->seen = crate->item[i].delivery;
            c->ops->deliver(home, c, &crate->item[i]);
        }
        gnt_message_unref(&crate->item[i].message);
        gnt_note_unref(&crate->notes[i]);
    }
    if (crate->drained && !c->closing)
        c->ops->drained(home, c, crate->upto);
    gnt_spare_put(crate, sizeof *crate);
}

void gnt_taker_send(struct gnt_taker *t)
{
    if (!t->crate)
        return;
    gnt_list_remove(&t->load);
    gnt_errand_send(t->queue->home, t->home, &t->crate->errand, on_crate);
    t->crate = NULL;
}

gnt_err gnt_taker_load(struct gnt_taker *t)
{
    if (t->crate && t->crate->count < CRATE_MAX && !t->crate->drained)
        return GNT_OK;
    struct gnt_crate *crate = gnt_spare_get(sizeof *crate);
    if (!crate)
        return GNT_NOMEM;
    gnt_taker_send(t);
    crate->consumer = t->consumer;
    crate->count = 0;
    crate->drained = false;
    t->crate = crate;
    gnt_list_push_back(&t->queue->loaded, &t->load);
    return GNT_OK;
}

struct gnt_queued *gnt_taker_put(struct gnt_taker *t, const struct gnt_entry *e)
{
    static const struct gnt_note nothing;
    struct gnt_crate *crate = t->crate;
    const struct gnt_note *note = e->note ? e->note : &nothing;
    struct gnt_queued *d = &crate->item[crate->count];
    *d = (struct gnt_queued){.message = gnt_message_ref(e->message),
                             .sequence = e->sequence,
                             .delivery = t->mode == GNT_CONSUME_LOCK ? e->delivery : 0,
                             .failed = e->failed,
                             .acquired = e->acquired,
                             .durable = e->durable,
                             .enqueued_ms = e->enqueued_ms,
                             .locked_until = GNT_NEVER,
                             .annotations = note->annotations,
                             .reason = note->reason,
                             .description = note->description,
                             .source = note->source,
                             .source_sequence = note->source_sequence};
    crate->notes[crate->count++] = gnt_note_ref(e->note);
    t->delivered++;
    return d;
}

void gnt_taker_drained(struct gnt_taker *t)
{
    t->crate->drained = true;
    t->crate->upto = t->delivered = t->upto;
    want_drained(t, false);
    gnt_taker_place(t);
}
