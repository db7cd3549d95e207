/* Messages from the peer: put together from their frames, as many as there is credit for.
 *
 * Credit   a window, less what has come and is not settled yet.  A full queue withholds it.
 * Bounds   of a peer's messages that have come in part no more is held than one may have. */

#include "front/amqp/incoming.h"

#include "mapping/mapping.h"

#include <stdlib.h>

enum { WINDOW = 1000, REQUESTS = 8 };

static struct gnt_incoming *incoming_of(struct gnt_terminus *t)
{
    return GNT_CONTAINER(t, struct gnt_incoming, t);
}

/* ---- Credit */

void gnt_incoming_give_credit(struct gnt_incoming *in)
{
    if (!in->t.link || in->t.resting || in->full)
        return;
    uint32_t room = in->unsettled < in->window ? in->window - in->unsettled : 0;
    uint32_t credit = in->t.link->credit;
    if (room <= credit || room - credit < (in->window + 3) / 4)
        return;
    gnt_amqp_link_credit(in->t.link, room, false);
    gnt_amqp_peer_dirty(in->t.peer);
}

static void on_room(struct gnt_home *home, struct gnt_room *room, enum gnt_queue_result result)
{
    struct gnt_incoming *in = GNT_CONTAINER(room, struct gnt_incoming, room);
    (void)home;
    in->full = false;
    if (in->t.peer && result == GNT_QUEUE_NOT_FOUND)
        gnt_terminus_end(&in->t, GNT_AMQP_RESOURCE_DELETED, "the queue has been deleted");
    else
        gnt_incoming_give_credit(in);
    gnt_terminus_paid(&in->t);
}

void gnt_incoming_await_room(struct gnt_incoming *in)
{
    if (in->full || !in->t.peer)
        return;
    in->full = true;
    in->room = (struct gnt_room){.done = on_room};
    gnt_terminus_owe(&in->t);
    gnt_queue_await_room(in->t.front->home, in->queue, &in->room);
}

/* ---- Frames */

static void forget_partial(struct gnt_incoming *in)
{
    if (in->t.peer)
        in->t.peer->assembled -= gnt_buf_size(&in->partial);
    gnt_buf_fini(&in->partial);
}

/* What was taken off by the message that was made of it, too. */
static void end_partial(struct gnt_incoming *in, size_t size)
{
    if (in->t.peer)
        in->t.peer->assembled -= size;
    gnt_buf_fini(&in->partial);
}

static bool fits(const struct gnt_incoming *in, size_t more)
{
    return in->t.peer->assembled + more <= in->t.front->limits.message_max;
}

static void add(struct gnt_incoming *in, struct gnt_slice payload)
{
    struct gnt_amqp_peer *p = in->t.peer;
    bool alone = p->assembled == gnt_buf_size(&in->partial);
    if (!fits(in, payload.size)) {
        gnt_terminus_end(&in->t,
                         alone ? GNT_AMQP_LINK_MESSAGE_SIZE_EXCEEDED
                               : GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
                         alone ? "the message is over limits.packet"
                               : "messages that have come in part are over limits.packet");
        return;
    }
    if (gnt_buf_put(&in->partial, payload)) {
        gnt_terminus_end(&in->t, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, gnt_err_text(GNT_NOMEM));
        return;
    }
    p->assembled += payload.size;
}

/* A delivery whose outcome was kept: whatever comes of it again, that is what it is. */
static void go_on(struct gnt_incoming *in, const struct gnt_amqp_event *event)
{
    struct gnt_outcome_kept *o = event->delivery->context;
    gnt_err err = GNT_OK;
    if (!event->last)
        return;
    if (event->settled || event->aborted)
        gnt_outcome_free(o);
    else
        err = gnt_outcome_tell(o, event->delivery);
    if (err)
        gnt_amqp_peer_broke(in->t.peer, err);
    else
        gnt_incoming_give_credit(in);
}

static void incoming_transfer(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    struct gnt_incoming *in = incoming_of(t);
    struct gnt_slice whole = event->payload;
    if (event->delivery->context) {
        go_on(in, event);
        return;
    }
    if (event->first || event->state.type != GNT_AMQP_NULL)
        in->txn = gnt_txn_said(&event->state, NULL);
    if (event->aborted) {
        forget_partial(in);
        gnt_incoming_give_credit(in);
        return;
    }
    if (!event->first || !event->last || !fits(in, event->payload.size)) {
        gnt_terminus_owe(t); /* it may end meanwhile */
        add(in, event->payload);
        bool over = !t->peer;
        gnt_terminus_paid(t);
        if (over || !event->last)
            return;
        whole = gnt_buf_slice(&in->partial);
    }
    size_t assembled = gnt_buf_size(&in->partial);
    bool unsettled = !event->delivery->settled && !event->settled;
    gnt_terminus_owe(t);
    gnt_incoming_take(in, whole, event->delivery, unsettled);
    end_partial(in, assembled);
    gnt_incoming_give_credit(in);
    gnt_terminus_paid(t);
}

/* The sender does not wait for the outcome any more. */
static void incoming_disposition(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    struct gnt_coming *c = event->delivery->context;
    (void)t;
    if (c && event->settled && event->delivery->whole) /* else it is one whose outcome was kept */
        c->delivery = NULL;
}

/* ---- Its life */

static void incoming_leave(struct gnt_terminus *t, bool failed)
{
    struct gnt_incoming *in = incoming_of(t);
    (void)failed;
    forget_partial(in);
    gnt_list_each (link, &in->coming)
        GNT_CONTAINER(link, struct gnt_coming, link)->delivery = NULL;
    gnt_outcomes_free(&in->outcomes);
    if (in->full)
        gnt_queue_await_cancel(t->front->home, &in->room);
}

/* ---- Its life after that
 *
 * What came and is not settled here when the link is detached, or breaks: its outcome is kept. What
 * has been settled is forgotten, as rcv-settle-mode first has it: of that the sender has heard, or
 * sends it again. */

static uint32_t incoming_keeps(const struct gnt_terminus *t)
{
    const struct gnt_incoming *in = GNT_CONTAINER((uintptr_t)t, struct gnt_incoming, t);
    uint32_t count = 0;
    if (!in->queue)
        return 0;
    gnt_list_each (link, &in->coming)
        count += GNT_CONTAINER(link, struct gnt_coming, link)->delivery != NULL;
    gnt_list_each (link, &in->outcomes)
        count++;
    return count;
}

static void incoming_rest(struct gnt_terminus *t)
{
    forget_partial(incoming_of(t));
}

static void incoming_suspend(struct gnt_terminus *t, bool failed)
{
    struct gnt_incoming *in = incoming_of(t);
    (void)failed;
    forget_partial(in);
    gnt_list_each (link, &in->coming) {
        struct gnt_coming *c = GNT_CONTAINER(link, struct gnt_coming, link);
        if (c->delivery)
            c->remembered = gnt_outcome_new(c->delivery); /* else it may be sent again */
        c->delivery = NULL;
    }
    if (in->full)
        gnt_queue_await_cancel(t->front->home, &in->room);
}

static gnt_err incoming_wake(struct gnt_terminus *t, struct gnt_wanted *wanted,
                             struct gnt_waking *waking)
{
    (void)wanted;
    waking->done(t->front->home, waking);
    return GNT_OK;
}

static void incoming_resumed(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    (void)t;
    if (event->resume == GNT_AMQP_RESUME_FORGET)
        gnt_outcome_free(event->delivery->context);
}

static void incoming_expire(struct gnt_terminus *t)
{
    gnt_outcomes_free(&incoming_of(t)->outcomes);
}

static void incoming_free(struct gnt_terminus *t)
{
    struct gnt_incoming *in = incoming_of(t);
    gnt_buf_fini(&in->partial);
    gnt_outcomes_free(&in->outcomes);
    free(in->name);
    free(in);
}

static const struct gnt_terminus_kind incoming_kind = {
    .transfer = incoming_transfer,
    .disposition = incoming_disposition,
    .leave = incoming_leave,
    .keeps = incoming_keeps,
    .rest = incoming_rest,
    .suspend = incoming_suspend,
    .wake = incoming_wake,
    .resumed = incoming_resumed,
    .expire = incoming_expire,
    .free = incoming_free,
};

static char *name_of(struct gnt_slice name, bool queue)
{
    const char *front = queue ? GNT_MAPPING_QUEUE : "";
    size_t size = strlen(front);
    char *text = malloc(size + name.size + 1);
    if (!text)
        return NULL;
    memcpy(text, front, size);
    if (name.size)
        memcpy(text + size, name.data, name.size);
    text[size + name.size] = '\0';
    return text;
}

static struct gnt_incoming *incoming_new(const struct gnt_amqp_peer *p,
                                         const struct gnt_wanted *wanted,
                                         enum gnt_address_kind kind)
{
    struct gnt_incoming *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    gnt_list_init(&in->coming);
    gnt_list_init(&in->outcomes);
    in->kind = kind;
    uint32_t most = kind == GNT_ADDRESS_MANAGEMENT ? REQUESTS : WINDOW;
    in->window = p->front->limits.unsettled < most ? p->front->limits.unsettled : most;
    in->name = name_of(wanted->facts ? wanted->queue : wanted->name, wanted->facts != NULL);
    in->t.front = p->front;
    if (!in->name) {
        incoming_free(&in->t);
        return NULL;
    }
    if (wanted->facts)
        in->t.node = gnt_slice_skip(gnt_slice_str(in->name), sizeof GNT_MAPPING_QUEUE - 1);
    return in;
}

gnt_err gnt_incoming_new(struct gnt_amqp_peer *p, struct gnt_wanted *wanted,
                         enum gnt_address_kind kind, struct gnt_terminus **out)
{
    const struct gnt_amqp_target *target = &wanted->target;
    struct gnt_incoming *in =
        wanted->resumed ? incoming_of(wanted->resumed) : incoming_new(p, wanted, kind);
    if (!in)
        return GNT_NOMEM;
    wanted->life =
        gnt_life_of(target->expiry_policy, target->timeout, p->front->limits.suspended_s);
    gnt_err err = gnt_outcomes_answer(&in->outcomes, p, wanted);
    if (err) {
        if (!wanted->resumed)
            incoming_free(&in->t);
        return err;
    }
    gnt_terminus_init(&in->t, &incoming_kind, p, wanted->link);
    if (wanted->resumed) {
        gnt_suspended_over(&in->t);
        gnt_count(gnt_amqp_peer_counters(p), GNT_COUNT_AMQP_RESUMED, 1);
    }
    in->t.life = wanted->life;
    in->queue = wanted->facts ? wanted->facts->id : 0;
    if (wanted->facts && wanted->facts->full && wanted->facts->options.overflow == GNT_QUEUE_BLOCK)
        gnt_incoming_await_room(in);
    gnt_incoming_give_credit(in);
    *out = &in->t;
    return GNT_OK;
}
