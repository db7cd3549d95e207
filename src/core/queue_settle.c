#include "core/queue_private.h"

#include "base/spare.h"

#include <stdlib.h>

enum { SETTLINGS_MAX = 32 };

struct settling {
    uint64_t delivery;
    struct gnt_note *note; /* annotations, or reason and description; NULL: none */
    enum gnt_settle outcome;
    enum gnt_queue_result result;
    bool tell, failed, elsewhere;
};

/* What a consumer says of what it holds, on the way to the queue; and the answers back. */
struct gnt_settlings {
    struct gnt_errand errand;
    struct gnt_consumer *consumer;
    unsigned count;
    bool tell; /* some of them */
    struct settling item[SETTLINGS_MAX];
};

/* ---- Who is not to get it again */

bool gnt_entry_is_barred(const struct gnt_entry *e, const struct gnt_taker *t)
{
    gnt_list_each (link, &e->bars)
        if (GNT_CONTAINER(link, struct gnt_bar, of_entry)->taker == t)
            return true;
    return false;
}

static gnt_err bar(struct gnt_entry *e, struct gnt_taker *t)
{
    gnt_err err = gnt_taker_make_picky(t);
    struct gnt_bar *bar = err ? NULL : malloc(sizeof *bar);
    if (!bar)
        return GNT_NOMEM;
    bar->taker = t;
    gnt_list_push_back(&e->bars, &bar->of_entry);
    gnt_list_push_back(&t->bars, &bar->of_taker);
    if (++t->bar_count == GNT_QUEUE_BARS_MAX)
        gnt_taker_place(t);
    return GNT_OK;
}

void gnt_bar_free(struct gnt_bar *bar)
{
    struct gnt_taker *t = bar->taker;
    gnt_list_remove(&bar->of_entry);
    gnt_list_remove(&bar->of_taker);
    free(bar);
    if (t->bar_count-- == GNT_QUEUE_BARS_MAX) {
        gnt_taker_place(t); /* it may have others now */
        gnt_queue_stir(t->queue);
    }
}

/* ---- Dead letters */

static gnt_err reserve_move(struct gnt_entry *e)
{
    enum { WRITES = 4 }; /* the append, a record of its queue, the removal, and that of its state */
    return e->kept ? gnt_keep_reserve(e->queue->home, WRITES, WRITES * 2 * GNT_STORE_NAME_MAX)
                   : GNT_OK;
}

gnt_err gnt_entry_dead_arrival(const struct gnt_entry *e, struct gnt_slice reason,
                               struct gnt_slice description, struct gnt_arrival *out)
{
    struct gnt_note like = {.source_sequence = 0};
    if (e->note)
        like = *e->note;
    like.reason = reason;
    like.description = description;
    like.source = e->queue->name;
    like.source_sequence = e->sequence;
    *out = (struct gnt_arrival){.message = e->message,
                                .enqueued_ms = e->enqueued_ms,
                                .failed = e->failed,
                                .priority = GNT_QUEUE_PRIORITY_DEFAULT,
                                .durable = e->kept && e->durable,
                                .moves = true};
    return gnt_note_new(&like, &out->note);
}

gnt_err gnt_entry_dead_letter(struct gnt_entry *e, struct gnt_slice reason,
                              struct gnt_slice description)
{
    struct gnt_queue *dead;
    struct gnt_arrival a = {.note = NULL};
    GNT_ASSERT(!e->queue->parent);
    gnt_err err = gnt_queue_dead(e->queue, &dead);
    if (!err)
        err = gnt_entry_dead_arrival(e, reason, description, &a);
    if (!err)
        err = reserve_move(e);
    if (!err && gnt_queue_take_in(dead, &a) != GNT_QUEUE_DONE)
        err = GNT_NOMEM;
    gnt_note_unref(&a.note);
    if (!err)
        gnt_entry_end(e, GNT_COUNT_DEAD_LETTERED);
    return err;
}

/* ---- Ready again */

static void ready_again(struct gnt_entry *e)
{
    if (e->group)
        gnt_queue_group_leave(e);
    gnt_entry_move(e, GNT_ENTRY_BACK);
    gnt_queue_woken(e->queue, e);
}

void gnt_entry_give_back(struct gnt_entry *e, bool failed)
{
    uint64_t most = e->queue->options.max_deliveries;
    if (failed && e->failed < UINT32_MAX)
        e->failed++;
    if (failed && most && e->failed >= most &&
        gnt_entry_dead_letter(
            e, gnt_slice_str("MaxDeliveryCountExceeded"),
            gnt_slice_str("As many deliveries have failed as max_deliveries says.")) == GNT_OK)
        return;
    if (failed)
        gnt_queue_keep_state(e);
    ready_again(e);
}

void gnt_entry_expire(struct gnt_entry *e)
{
    if (e->group)
        gnt_queue_group_leave(e);
    gnt_entry_move(e, GNT_ENTRY_OVERDUE);
    gnt_queue_stir(e->queue);
}

static gnt_err end_overdue(struct gnt_entry *e)
{
    if (e->queue->options.dead_letter_on_expiry)
        return gnt_entry_dead_letter(e, gnt_slice_str("TTLExpiredException"),
                                     gnt_slice_str("Its time to live has passed."));
    gnt_entry_end(e, GNT_COUNT_EXPIRED);
    return GNT_OK;
}

/* What cannot be done for one cannot be done for the next. */
void gnt_queue_end_overdue(struct gnt_queue *q)
{
    enum { SLICE = 2048 };
    for (int i = 0; i < SLICE && !gnt_list_empty(&q->overdue); i++) {
        if (end_overdue(GNT_CONTAINER(q->overdue.next, struct gnt_entry, link))) {
            gnt_count(&q->home->counters, GNT_COUNT_QUEUE_OVERDUE, 1);
            gnt_queue_look_later(q, GNT_QUEUE_RETRY_MS);
            return;
        }
    }
    if (!gnt_list_empty(&q->overdue))
        gnt_queue_stir(q);
}

void gnt_queue_on_expiry(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_entry *e = GNT_CONTAINER(timer, struct gnt_entry, expiry);
    (void)now;
    if (!e->queue->ended)
        gnt_entry_expire(e);
}

/* ---- Locks */

static struct gnt_entry *first_locked(const struct gnt_queue *q)
{
    return gnt_list_empty(&q->locked) ? NULL
                                      : GNT_CONTAINER(q->locked.next, struct gnt_entry, lock);
}

/* The timer is always set, so that moving it needs no memory. */
static void set_lock_timer(struct gnt_queue *q)
{
    const struct gnt_entry *first = first_locked(q);
    gnt_err err =
        gnt_timer_set(q->home->timers, &q->lock_due, first ? first->locked_until : GNT_FAR);
    GNT_ASSERT(err == GNT_OK);
}

uint64_t gnt_entry_lock(struct gnt_entry *e)
{
    struct gnt_queue *q = e->queue;
    gnt_list_remove(&e->lock);
    e->locked_until = GNT_NEVER;
    if (!q->options.lock_ms || e->taker->endless)
        return GNT_NEVER;
    e->locked_until = gnt_deadline(*q->home->now, q->options.lock_ms * GNT_NS_PER_MS);
    bool first = gnt_list_empty(&q->locked);
    gnt_list_push_back(&q->locked, &e->lock);
    if (first)
        set_lock_timer(q);
    return e->locked_until;
}

/* `locked` stays in order, as what is locked from now on is locked for as long. */
void gnt_queue_cut_locks(struct gnt_queue *q)
{
    if (!q->options.lock_ms)
        return;
    uint64_t most = gnt_deadline(*q->home->now, q->options.lock_ms * GNT_NS_PER_MS);
    for (struct gnt_list *link = q->locked.prev; link != &q->locked; link = link->prev) {
        struct gnt_entry *e = GNT_CONTAINER(link, struct gnt_entry, lock);
        if (e->locked_until <= most)
            break;
        e->locked_until = most;
    }
    set_lock_timer(q);
}

void gnt_queue_on_locks(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_queue *q = GNT_CONTAINER(timer, struct gnt_queue, lock_due);
    for (struct gnt_entry *e; (e = first_locked(q)) && e->locked_until <= now;) {
        struct gnt_taker *t = e->taker;
        gnt_count(&q->home->counters, GNT_COUNT_LOCKS_EXPIRED, 1);
        gnt_entry_give_back(e, true);
        gnt_taker_place(t);
    }
    gnt_queue_stir(q); /* who could hold no more can, whatever became of what he held */
    set_lock_timer(q);
}

/* ---- What a consumer says, at the queue */

/* What was left with it instead of what it had. */
static gnt_err annotate(struct gnt_entry *e, const struct gnt_note *with)
{
    struct gnt_note like = {.source_sequence = 0}, *note;
    if (e->note)
        like = *e->note;
    like.annotations = with->annotations;
    gnt_err err = gnt_note_new(&like, &note);
    if (err)
        return err;
    gnt_note_unref(&e->note);
    e->note = note;
    gnt_queue_keep_state(e);
    return GNT_OK;
}

enum gnt_queue_result gnt_entry_modify(struct gnt_taker *t, struct gnt_entry *e,
                                       const struct gnt_note *note, bool failed, bool elsewhere)
{
    gnt_err err = note ? annotate(e, note) : GNT_OK;
    if (!err && elsewhere && t)
        err = bar(e, t);
    gnt_entry_give_back(e, failed);
    return err ? GNT_QUEUE_NO_MEMORY : GNT_QUEUE_DONE;
}

/* For want of memory it is ready again: nothing is lost, and it is told. */
static enum gnt_queue_result reject(struct gnt_entry *e, const struct settling *s)
{
    static const struct gnt_note nothing;
    const struct gnt_note *why = s->note ? s->note : &nothing;
    if (e->queue->parent) {
        gnt_entry_end(e, GNT_COUNT_DROPPED_REFUSED);
    } else if (gnt_entry_dead_letter(e, why->reason, why->description)) {
        ready_again(e);
        return GNT_QUEUE_NO_MEMORY;
    }
    return GNT_QUEUE_DONE;
}

static enum gnt_queue_result settle(struct gnt_taker *t, const struct settling *s)
{
    struct gnt_entry *e = t && t->queue ? gnt_queue_held(t->queue, s->delivery) : NULL;
    if (!e || e->taker != t || e->state != GNT_ENTRY_HELD)
        return GNT_QUEUE_LOCK_LOST;
    switch (s->outcome) {
    case GNT_SETTLE_ACCEPT: gnt_entry_end(e, GNT_COUNT_DELIVERED); break;
    case GNT_SETTLE_RELEASE: gnt_entry_give_back(e, false); break;
    case GNT_SETTLE_MODIFY: return gnt_entry_modify(t, e, s->note, s->failed, s->elsewhere);
    case GNT_SETTLE_REJECT: return reject(e, s);
    case GNT_SETTLE_RENEW: gnt_entry_lock(e); break;
    }
    return GNT_QUEUE_DONE;
}

/* ---- There and back */

static void settlings_free(struct gnt_settlings *s)
{
    for (unsigned i = 0; i < s->count; i++)
        gnt_note_unref(&s->item[i].note);
    gnt_spare_put(s, sizeof *s);
}

static void on_settled(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_settlings *s = GNT_CONTAINER(errand, struct gnt_settlings, errand);
    struct gnt_consumer *c = s->consumer;
    for (unsigned i = 0; i < s->count; i++)
        if (s->item[i].tell)
            c->ops->settled(home, c, s->item[i].delivery,
                            errand->lost ? GNT_QUEUE_NO_STORE : s->item[i].result);
    gnt_consumer_answered(c);
    settlings_free(s);
}

static void on_settlings(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_settlings *s = GNT_CONTAINER(errand, struct gnt_settlings, errand);
    struct gnt_taker *t = s->consumer->taker;
    for (unsigned i = 0; i < s->count; i++)
        s->item[i].result = settle(t, &s->item[i]);
    if (t && t->queue && !gnt_list_linked(&t->turn)) {
        gnt_taker_place(t); /* it may have held as much as it may */
        gnt_queue_stir(t->queue);
    }
    if (s->tell)
        gnt_errand_send_safe(home, errand->from, errand, on_settled);
    else
        settlings_free(s);
}

void gnt_consumer_flush(struct gnt_consumer *c)
{
    gnt_chore_cancel(&c->flush);
    struct gnt_settlings *s = c->settlings;
    c->settlings = NULL;
    if (!s)
        return;
    c->unanswered += s->tell;
    gnt_errand_send(c->home, gnt_sink_home(c->queue), &s->errand, on_settlings);
}

void gnt_consumer_on_flush(struct gnt_home *home, struct gnt_chore *chore)
{
    (void)home;
    gnt_consumer_flush(GNT_CONTAINER(chore, struct gnt_consumer, flush));
}

static struct gnt_slice cut(struct gnt_slice s, size_t most)
{
    return s.size > most ? gnt_slice(s.data, most) : s;
}

gnt_err gnt_settling_note(const struct gnt_settling *said, struct gnt_note **out)
{
    struct gnt_note like = {.source_sequence = 0};
    *out = NULL;
    if (said->outcome == GNT_SETTLE_MODIFY)
        like.annotations = said->annotations;
    if (said->outcome == GNT_SETTLE_REJECT) {
        like.reason = cut(said->reason, GNT_QUEUE_REASON_MAX);
        like.description = cut(said->description, GNT_QUEUE_REASON_MAX);
    }
    if (like.annotations.size > GNT_QUEUE_ANNOTATIONS_MAX)
        return GNT_TOOBIG;
    return gnt_note_new(&like, out);
}

gnt_err gnt_consumer_settle(struct gnt_consumer *c, const struct gnt_settling *said)
{
    struct gnt_note *note;
    if (c->closing)
        return GNT_OK; /* it is given back in any case */
    gnt_err err = gnt_settling_note(said, &note);
    if (err)
        return err;
    if (!c->settlings && !(c->settlings = gnt_spare_get(sizeof *c->settlings))) {
        gnt_note_unref(&note);
        return GNT_NOMEM;
    }
    struct gnt_settlings *s = c->settlings;
    if (!gnt_list_linked(&c->flush.link)) {
        s->consumer = c;
        s->count = 0;
        s->tell = false;
        gnt_errand_chore(c->home, &c->flush);
    }
    s->item[s->count++] = (struct settling){.delivery = said->delivery,
                                            .note = note,
                                            .outcome = said->outcome,
                                            .tell = said->tell,
                                            .failed = said->failed,
                                            .elsewhere = said->elsewhere};
    s->tell |= said->tell;
    if (s->count == SETTLINGS_MAX)
        gnt_consumer_flush(c);
    return GNT_OK;
}
