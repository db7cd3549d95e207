#include "core/queue_private.h"

/* So many deliveries in a row, and looks at messages that may not be wanted; then others have their
 * turn. */
enum { DELIVERIES_MAX = 2048, LOOKS_MAX = 4096 };

/* It has looked at as many as it may for now. */
static bool is_tired(const struct gnt_queue *q)
{
    return q->looks == 0;
}

static struct gnt_taker *taker_at(struct gnt_list *turn)
{
    return GNT_CONTAINER(turn, struct gnt_taker, turn);
}

/* ---- Cursors of those that look before they take */

static bool is_sated(const struct gnt_taker *t)
{
    return t->sated && gnt_list_linked(&t->turn);
}

/* It has seen all there is. */
static void sate(struct gnt_taker *t)
{
    gnt_list_remove(&t->turn);
    gnt_list_push_back(&t->queue->sated, &t->turn);
    t->sated = true;
}

static struct gnt_entry *behind(const struct gnt_entry *e)
{
    struct gnt_list *next = e->place.next;
    return next == &e->lane->all ? NULL : gnt_entry_at(next);
}

void gnt_queue_woken(struct gnt_queue *q, struct gnt_entry *e)
{
    unsigned lane = e->lane->number;
    gnt_list_each_safe (link, &q->pickers) {
        struct gnt_taker *t = GNT_CONTAINER(link, struct gnt_taker, pick);
        struct gnt_sight *sight = &t->sights[lane];
        if (e->state == GNT_ENTRY_BACK && e->sequence < sight->back)
            sight->back = e->sequence;
        if (e->state != GNT_ENTRY_BACK && (!sight->at || e->sequence < sight->at->sequence))
            sight->at = e;
        if (is_sated(t))
            gnt_taker_place(t);
    }
    gnt_queue_stir(q);
}

void gnt_queue_wake(struct gnt_queue *q)
{
    gnt_list_each_safe (link, &q->sated)
        gnt_taker_place(taker_at(link));
    gnt_queue_stir(q);
}

void gnt_queue_cursors_leave(struct gnt_entry *e)
{
    gnt_list_each (link, &e->queue->pickers) {
        struct gnt_taker *t = GNT_CONTAINER(link, struct gnt_taker, pick);
        struct gnt_sight *sight = &t->sights[e->lane->number];
        if (sight->at == e)
            sight->at = behind(e);
    }
}

/* ---- What comes next for whom */

static bool is_expired(const struct gnt_entry *e)
{
    return e->expires <= *e->queue->home->now;
}

/* For whoever takes all that comes.  While something of a higher priority is on its way from the
 * store, what is lower waits. */
static struct gnt_entry *first_for_all(struct gnt_queue *q)
{
    for (int i = GNT_QUEUE_PRIORITY_MAX; i >= 0; i--) {
        struct gnt_lane *lane = q->lanes[i];
        struct gnt_entry *e = NULL;
        while (lane && (e = gnt_lane_first(lane)) && is_expired(e) && !is_tired(q)) {
            gnt_entry_expire(e);
            q->looks--;
        }
        if (e && !is_expired(e))
            return e;
        if (lane && (e || gnt_lane_comes(lane)))
            break;
    }
    return NULL;
}

bool gnt_taker_may_have(const struct gnt_taker *t, const struct gnt_entry *e)
{
    return !gnt_entry_is_barred(e, t) && (!t->filter || t->filter->matches(t->filter, e->message));
}

/* What is ahead, whoever has found it, is for those who have looked at all that is before it. */
static struct gnt_entry *back_for(struct gnt_taker *t, const struct gnt_lane *lane)
{
    struct gnt_sight *sight = &t->sights[lane->number];
    struct gnt_entry *e = lane->returned.count ? gnt_lane_back_from(lane, sight->back) : NULL;
    for (; e && !is_tired(t->queue) && !gnt_taker_may_have(t, e); t->queue->looks--) {
        sight->back = e->sequence + 1;
        e = gnt_lane_back_from(lane, sight->back);
    }
    return e && gnt_entry_is_ahead(e) && sight->deep <= e->sequence ? NULL : e;
}

static struct gnt_entry *fresh_for(struct gnt_taker *t, const struct gnt_lane *lane)
{
    struct gnt_entry **at = &t->sights[lane->number].at;
    for (; *at && !is_tired(t->queue); t->queue->looks--) {
        if ((*at)->state == GNT_ENTRY_FRESH && gnt_taker_may_have(t, *at))
            break;
        *at = behind(*at);
    }
    return *at;
}

static struct gnt_entry *candidate_in(struct gnt_taker *t, const struct gnt_lane *lane)
{
    struct gnt_entry *back = back_for(t, lane), *fresh = fresh_for(t, lane);
    if (is_tired(t->queue))
        return NULL;
    return back && (!fresh || back->sequence < fresh->sequence) ? back : fresh;
}

/* What has expired goes on the way, and so does what is another's by its group. */
static struct gnt_entry *first_in(struct gnt_taker *t, const struct gnt_lane *lane)
{
    for (struct gnt_entry *e; (e = candidate_in(t, lane));) {
        gnt_err whose = is_expired(e) ? GNT_MORE : gnt_queue_group_asks(e, t);
        if (whose == GNT_OK)
            return e;
        if (whose == GNT_FULL)
            break;
        if (is_expired(e))
            gnt_entry_expire(e);
        t->queue->looks--;
    }
    return NULL;
}

static struct gnt_entry *first_for(struct gnt_taker *t)
{
    struct gnt_entry *parked = gnt_queue_group_first(t), *e = NULL;
    for (int i = GNT_QUEUE_PRIORITY_MAX; !e && i >= 0; i--) {
        const struct gnt_lane *lane = t->queue->lanes[i];
        e = lane ? first_in(t, lane) : NULL;
        if (!e && lane && (is_tired(t->queue) || gnt_taker_comes(t, lane)))
            break;
    }
    if (is_tired(t->queue))
        return NULL;
    bool before = parked && (!e || parked->lane->number > e->lane->number ||
                             (parked->lane == e->lane && parked->sequence < e->sequence));
    return before ? parked : e;
}

/* ---- Handing out */

static gnt_err hold(struct gnt_taker *t, struct gnt_entry *e)
{
    struct gnt_queue_group *group;
    gnt_err err = gnt_queue_group_for(e, &group);
    if (err)
        return err;
    err = gnt_entry_hold(e, t);
    if (err) {
        gnt_queue_group_not(t->queue, group);
        return err;
    }
    gnt_queue_group_join(e, group);
    gnt_taker_put(t, e)->locked_until = gnt_entry_lock(e);
    e->acquired = true;
    return GNT_OK;
}

static gnt_err hand(struct gnt_taker *t, struct gnt_entry *e)
{
    gnt_err err = gnt_taker_load(t);
    if (!err && t->mode == GNT_CONSUME_LOCK)
        err = hold(t, e);
    if (err)
        return err;
    if (t->mode == GNT_CONSUME_TAKE) {
        gnt_taker_put(t, e);
        gnt_entry_end(e, GNT_COUNT_DELIVERED);
    }
    gnt_taker_place(t);
    return GNT_OK;
}

/* One message for whose turn it is.  GNT_MORE: there is nothing for such ones; GNT_NOMEM. */
static gnt_err serve_plain(struct gnt_queue *q)
{
    if (gnt_list_empty(&q->plain))
        return GNT_MORE;
    struct gnt_entry *e = first_for_all(q);
    return e ? hand(taker_at(q->plain.next), e) : GNT_MORE;
}

static gnt_err serve_picky(struct gnt_queue *q)
{
    while (!gnt_list_empty(&q->picky)) {
        struct gnt_taker *t = taker_at(q->picky.next);
        struct gnt_entry *e = first_for(t);
        if (e)
            return hand(t, e);
        if (is_tired(q)) {
            gnt_taker_place(t); /* it goes on behind the others */
            return GNT_MORE;
        }
        sate(t);
    }
    return GNT_MORE;
}

/* Whether T, a browser, waits for what comes of the transaction that E is posted in. */
static bool may_come(const struct gnt_taker *t, const struct gnt_entry *e)
{
    return e->state == GNT_ENTRY_POSTED && !t->drain;
}

/* Whether T is to be shown E here, and not where it is in the store. */
static bool is_to_be_shown(const struct gnt_taker *t, const struct gnt_entry *e)
{
    return e->state != GNT_ENTRY_POSTED && e->sequence >= t->sights[e->lane->number].deep &&
           !is_expired(e) && !gnt_entry_is_ahead(e) && gnt_taker_may_have(t, e);
}

/* A browser is shown all there is, whoever has it.  GNT_MORE: not in this lane, in memory. */
static gnt_err show_in(struct gnt_taker *t, struct gnt_sight *sight)
{
    for (; sight->at && !is_tired(t->queue) && !may_come(t, sight->at) &&
           !is_to_be_shown(t, sight->at);
         t->queue->looks--)
        sight->at = behind(sight->at);
    if (!sight->at || is_tired(t->queue) || may_come(t, sight->at))
        return GNT_MORE;
    gnt_err err = gnt_taker_load(t);
    if (err)
        return err;
    gnt_taker_put(t, sight->at);
    sight->deep = sight->at->sequence + 1;
    sight->at = behind(sight->at);
    gnt_taker_place(t);
    return GNT_OK;
}

static gnt_err show(struct gnt_taker *t)
{
    gnt_err err = GNT_MORE;
    for (int i = GNT_QUEUE_PRIORITY_MAX; err == GNT_MORE && i >= 0; i--)
        err = show_in(t, &t->sights[i]);
    if (err == GNT_MORE && is_tired(t->queue))
        gnt_taker_place(t);
    else if (err == GNT_MORE)
        sate(t);
    return err == GNT_MORE ? GNT_OK : err;
}

static gnt_err serve_browsers(struct gnt_queue *q)
{
    gnt_err err = GNT_OK;
    for (int i = 0; !err && !is_tired(q) && !gnt_list_empty(&q->browsers); i++) {
        if (i == DELIVERIES_MAX) {
            gnt_queue_stir(q);
            break;
        }
        err = show(taker_at(q->browsers.next));
    }
    return err;
}

/* Whether those who look come before those who take what comes. */
static bool picky_first(const struct gnt_queue *q)
{
    return !gnt_list_empty(&q->picky) && !gnt_list_empty(&q->plain) &&
           taker_at(q->picky.next)->priority > taker_at(q->plain.next)->priority;
}

static bool plain_first(const struct gnt_queue *q)
{
    return !gnt_list_empty(&q->picky) && !gnt_list_empty(&q->plain) &&
           taker_at(q->plain.next)->priority > taker_at(q->picky.next)->priority;
}

/* One message to each of the two kinds in turn, so long as there is something. */
static gnt_err serve(struct gnt_queue *q)
{
    gnt_err plain = GNT_OK, picky = GNT_OK;
    for (int i = 0; plain == GNT_OK || picky == GNT_OK; i++) {
        if (i == DELIVERIES_MAX) {
            gnt_queue_stir(q);
            return GNT_OK;
        }
        if (plain == GNT_OK && !(picky == GNT_OK && picky_first(q)))
            plain = serve_plain(q);
        if (picky == GNT_OK && !(plain == GNT_OK && plain_first(q)))
            picky = serve_picky(q);
    }
    return plain == GNT_NOMEM || picky == GNT_NOMEM ? GNT_NOMEM : GNT_OK;
}

/* ---- Drained */

/* Whether some that would be for T may still come out of the store. */
static bool more_comes(const struct gnt_taker *t)
{
    for (unsigned i = 0; i < GNT_QUEUE_LANES; i++) {
        const struct gnt_lane *lane = t->queue->lanes[i];
        if (lane && (gnt_taker_comes(t, lane) || (!t->picky && gnt_lane_comes(lane))))
            return true;
    }
    return t->scan;
}

static bool has_a_turn(const struct gnt_taker *t)
{
    return gnt_list_linked(&t->turn) && !t->sated &&
           (t->picky || t->mode == GNT_CONSUME_BROWSE || first_for_all(t->queue));
}

static gnt_err tell_drained(struct gnt_queue *q)
{
    gnt_err err = GNT_OK;
    gnt_list_each_safe (link, &q->takers) {
        struct gnt_taker *t = GNT_CONTAINER(link, struct gnt_taker, link);
        if (!t->drain || has_a_turn(t) || (gnt_list_linked(&t->turn) && more_comes(t)))
            continue;
        err = gnt_taker_load(t);
        if (err)
            break;
        gnt_taker_drained(t);
    }
    return err;
}

/* ---- All of it */

void gnt_queue_pump(struct gnt_home *home, struct gnt_chore *chore)
{
    struct gnt_queue *q = GNT_CONTAINER(chore, struct gnt_queue, pump);
    (void)home;
    q->looks = LOOKS_MAX;
    gnt_queue_purge_on(q);
    gnt_queue_end_overdue(q);
    if (gnt_queue_drop_over(q) || gnt_queue_states_sweep(q))
        gnt_queue_stir(q);
    gnt_err err = serve(q);
    if (!err)
        err = serve_browsers(q);
    for (int i = GNT_QUEUE_PRIORITY_MAX; i >= 0; i--)
        if (q->lanes[i])
            gnt_lane_fetch(q->lanes[i]);
    gnt_queue_scan(q);
    if (is_tired(q))
        gnt_queue_stir(q);
    else if (!err && q->draining)
        err = tell_drained(q);
    for (struct gnt_list *load = q->loaded.next; load != &q->loaded; load = q->loaded.next)
        gnt_taker_send(GNT_CONTAINER(load, struct gnt_taker, load));
    if (q->shows_full || !gnt_list_empty(&q->rooms))
        gnt_queue_tell_room(q, false);
    if (err)
        gnt_queue_stir(q); /* there was no memory */
}
