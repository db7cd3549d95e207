#include "amqp/engine/inside.h"

/* What lies together up to here is copied behind the performative; more than that is linked. */
enum { COPY_MAX = 4096 };

/* No performative of a transfer takes more, its tag and its state left out. */
enum { HEAD_MAX = 64 };

/* What is left of a payload. */
struct cursor {
    const struct gnt_amqp_piece *piece;
    size_t count; /* pieces */
    size_t at;    /* in the first of them */
    size_t left;  /* bytes in all */
};

static struct cursor begin_cursor(const struct gnt_amqp_piece *pieces, size_t count)
{
    struct cursor c = {.piece = pieces, .count = count};
    for (size_t i = 0; i < count; i++)
        c.left += pieces[i].bytes.size;
    return c;
}

/* At most MAX bytes that lie together, taken off the front; empty at the end. */
static struct gnt_slice take(struct cursor *c, size_t max)
{
    while (c->count && c->at == c->piece->bytes.size) {
        c->piece++;
        c->count--;
        c->at = 0;
    }
    if (c->count == 0)
        return (struct gnt_slice){0};
    size_t size = c->piece->bytes.size - c->at;
    struct gnt_slice bytes = gnt_slice(c->piece->bytes.data + c->at, size < max ? size : max);
    c->at += bytes.size;
    c->left -= bytes.size;
    return bytes;
}

/* How the payload of one frame is made: bytes that are copied, and behind them one run that is
 * linked, so that the frame is in the queue as a whole or not at all. */
struct plan {
    size_t copied;
    struct gnt_slice linked;
    const struct gnt_amqp_piece *owner; /* of `linked` */
};

static struct plan make_plan(struct cursor c, size_t room)
{
    struct plan p = {0};
    while (p.copied < room) {
        struct gnt_slice bytes = take(&c, room - p.copied);
        if (bytes.size == 0)
            break;
        if (c.piece->keep && bytes.size > COPY_MAX) {
            p.linked = bytes;
            p.owner = c.piece;
            break;
        }
        p.copied += bytes.size;
    }
    return p;
}

static void fill_head(struct gnt_amqp_transfer *t, const struct gnt_amqp_delivery *d,
                      const struct gnt_amqp_sending *sending, bool first, bool more)
{
    GNT_AMQP_SET(t, handle, d->link->handle);
    if (first) {
        GNT_AMQP_SET(t, delivery_id, d->id);
        GNT_AMQP_SET(t, delivery_tag, gnt_amqp_delivery_tag(d));
        GNT_AMQP_SET(t, message_format, d->format);
        if (sending->state.size)
            GNT_AMQP_SET(t, state, gnt_amqp_encoded(sending->state));
        if (sending->batchable)
            GNT_AMQP_SET(t, batchable, true);
        if (d->resume > GNT_AMQP_RESUME_AGAIN)
            GNT_AMQP_SET(t, resume, true);
    }
    if (d->settled)
        GNT_AMQP_SET(t, settled, true);
    if (d->aborted)
        GNT_AMQP_SET(t, aborted, true);
    if (more)
        GNT_AMQP_SET(t, more, true);
}

/* One frame with as much of the payload as fits into it. */
static gnt_err put_frame(struct gnt_amqp_delivery *d, const struct gnt_amqp_sending *sending,
                         struct cursor *payload, bool first)
{
    struct gnt_amqp_session *s = d->link->session;
    struct gnt_amqp_connection *c = s->connection;
    uint32_t ours = c->options->max_frame_size, peers = c->peer_max_frame_size;
    size_t max = ours < peers ? ours : peers;
    size_t head = HEAD_MAX + (first ? d->tag_size + sending->state.size : 0);
    if (head >= max)
        return GNT_TOOBIG;
    struct plan plan = make_plan(*payload, max - head);
    size_t total = plan.copied + plan.linked.size;
    uint8_t *at;
    gnt_err err = gnt_outq_reserve(c->out, head + plan.copied, &at);
    if (err)
        return err;
    struct gnt_amqp_transfer t = {0};
    fill_head(&t, d, sending, first, sending->more || total < payload->left);
    struct gnt_amqp_writer w = gnt_amqp_writer(at, head + plan.copied);
    size_t mark = gnt_amqp_begin_frame(&w, GNT_AMQP_FRAME_AMQP, s->channel);
    gnt_amqp_put_transfer(&w, &t);
    struct cursor copy = *payload;
    for (size_t left = plan.copied; left;) {
        struct gnt_slice bytes = take(&copy, left);
        gnt_amqp_put_raw(&w, bytes);
        left -= bytes.size;
    }
    gnt_amqp_end_frame(&w, mark, plan.linked.size);
    if (plan.linked.size) {
        err = gnt_outq_wrote_ref(c->out, w.size, plan.linked, plan.owner->release,
                                 plan.owner->context);
        if (err) {
            gnt_outq_wrote(c->out, 0);
            return err;
        }
        plan.owner->keep(plan.owner->context);
        take(&copy, plan.linked.size);
    } else {
        gnt_outq_wrote(c->out, w.size);
    }
    *payload = copy;
    c->wrote = true;
    s->next_outgoing_id++;
    s->outgoing_window--;
    d->size += total;
    return GNT_OK;
}

/* ---- The owner's call */

/* Why no delivery can begin. */
static gnt_err refusal(const struct gnt_amqp_link *l, const struct gnt_amqp_sending *sending,
                       size_t size)
{
    uint8_t mode = l->snd_settle_mode;
    if (sending->tag.size > GNT_AMQP_TAG_MAX ||
        (mode != GNT_AMQP_SENDER_MIXED && (mode == GNT_AMQP_SENDER_SETTLED) != sending->settled))
        return GNT_INVALID;
    if (l->max_message_size && size > l->max_message_size)
        return GNT_TOOBIG;
    if (l->incomplete)
        return GNT_STATE;
    if (!sending->settled && gnt_amqp_link_is_full(l))
        return GNT_FULL;
    return GNT_OK;
}

/* What the first frame says of a delivery that is new, or restored; `again` is its enum. */
static void begin(struct gnt_amqp_delivery *d, const struct gnt_amqp_sending *sending,
                  enum gnt_amqp_resume again)
{
    d->id = d->link->session->next_delivery_id;
    d->format = sending->format;
    d->settled = again == GNT_AMQP_RESUME_SETTLE || again == GNT_AMQP_RESUME_ABORT ||
                 (again <= GNT_AMQP_RESUME_AGAIN && sending->settled);
    d->aborted = again == GNT_AMQP_RESUME_ABORT;
}

/* The first frame has gone. */
static void begun(struct gnt_amqp_delivery *d)
{
    struct gnt_amqp_link *l = d->link;
    struct gnt_amqp_session *s = l->session;
    s->next_delivery_id++;
    l->delivery_count++;
    l->credit--;
    l->partial = d;
    d->resume = GNT_AMQP_RESUME_NONE;
    if (!d->settled)
        gnt_amqp_delivery_know(d);
}

/* The frames behind the first, as far as the window is open. */
static gnt_err go_on(struct gnt_amqp_delivery *d, const struct gnt_amqp_sending *sending,
                     struct cursor *payload)
{
    struct gnt_amqp_session *s = d->link->session;
    while (payload->left) {
        if (s->outgoing_window == 0) {
            gnt_amqp_link_block(d->link);
            return GNT_MORE;
        }
        gnt_err err = put_frame(d, sending, payload, false);
        if (err)
            return err;
    }
    return GNT_OK;
}

/* Begins D, or a new delivery if that is NULL; *out is it. */
static gnt_err first_frame(struct gnt_amqp_link *l, struct gnt_amqp_delivery *d,
                           const struct gnt_amqp_sending *sending, struct cursor *payload,
                           struct gnt_amqp_delivery **out)
{
    struct gnt_amqp_session *s = l->session;
    if (l->credit == 0)
        return GNT_MORE;
    if (s->outgoing_window == 0) {
        gnt_amqp_link_block(l);
        return GNT_MORE;
    }
    if (gnt_amqp_ids_reserve(&s->sent))
        return GNT_NOMEM;
    struct gnt_amqp_delivery *fresh = NULL;
    if (!d)
        d = fresh = gnt_amqp_delivery_new(l, sending->tag);
    if (!d)
        return GNT_NOMEM;
    begin(d, sending, (enum gnt_amqp_resume)d->resume);
    gnt_err err = put_frame(d, sending, payload, true);
    if (!err)
        begun(d);
    else if (fresh)
        gnt_amqp_delivery_free(fresh);
    if (!err)
        *out = d;
    return err;
}

/* The last frame has gone. */
static void finish(struct gnt_amqp_delivery **delivery)
{
    struct gnt_amqp_delivery *d = *delivery;
    d->link->partial = NULL;
    d->whole = true;
    if (!d->settled)
        return;
    gnt_amqp_delivery_free(d);
    *delivery = NULL;
}

gnt_err gnt_amqp_link_send(struct gnt_amqp_link *l, const struct gnt_amqp_sending *sending,
                           const struct gnt_amqp_piece *pieces, size_t count, size_t *taken,
                           struct gnt_amqp_delivery **delivery)
{
    struct gnt_amqp_delivery *d = *delivery;
    struct cursor payload = begin_cursor(pieces, count);
    size_t all = payload.left;
    *taken = 0;
    if (!l->sender || !l->answered || !gnt_amqp_link_usable(l) ||
        (d && d->resume == GNT_AMQP_RESUME_WAIT))
        return GNT_STATE;
    gnt_err err = GNT_OK;
    if (d && l->partial == d) {
        if (!payload.left && !sending->more) /* nothing but the word that it was all */
            err = l->session->outgoing_window ? put_frame(d, sending, &payload, false) : GNT_MORE;
        if (err == GNT_MORE)
            gnt_amqp_link_block(l);
    } else {
        if (gnt_amqp_link_aborts(l)) /* which waits for the window, as L does */
            return GNT_MORE;
        if (l->partial || (d && d->resume == GNT_AMQP_RESUME_NONE))
            return GNT_INVALID;
        err = d ? GNT_OK : refusal(l, sending, all);
        if (!err)
            err = first_frame(l, d, sending, &payload, delivery);
    }
    if (!err)
        err = go_on(*delivery, sending, &payload);
    *taken = all - payload.left;
    if (!err && !sending->more)
        finish(delivery);
    return err;
}

/* ---- Giving up */

gnt_err gnt_amqp_send_abort(struct gnt_amqp_link *l)
{
    struct gnt_amqp_delivery *d = l->partial;
    const struct gnt_amqp_sending nothing = {0};
    struct cursor payload = {0};
    d->aborted = true;
    gnt_err err = put_frame(d, &nothing, &payload, false);
    if (!err)
        gnt_amqp_delivery_free(d);
    return err;
}

gnt_err gnt_amqp_delivery_abort(struct gnt_amqp_delivery *d)
{
    struct gnt_amqp_link *l = d->link;
    if (!l->sender || l->partial != d || !gnt_amqp_link_usable(l))
        return GNT_STATE;
    if (l->session->outgoing_window)
        return gnt_amqp_send_abort(l);
    gnt_amqp_delivery_drop(d);
    gnt_amqp_link_block(l);
    return GNT_OK;
}
