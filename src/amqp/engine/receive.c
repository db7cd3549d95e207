#include "amqp/engine/inside.h"

/* Counts the frame; GNT_MORE: it may come. */
static gnt_err on_window(struct gnt_amqp_session *s, struct gnt_amqp_event *out)
{
    if (s->incoming_window == 0)
        return gnt_amqp_session_fail(s, GNT_AMQP_SESSION_WINDOW_VIOLATION,
                                     "a transfer beyond the incoming-window", out);
    s->incoming_window--;
    s->next_incoming_id++;
    if (s->incoming_window <= s->connection->options->incoming_window / 2 && !s->flow_due) {
        s->flow_due = true;
        gnt_amqp_session_dirty(s);
    }
    return GNT_MORE;
}

/* A delivery that goes on after a link was attached again [AMQP 2.6.13]; NULL: it is not known
 * here. */
static struct gnt_amqp_delivery *find_restored(const struct gnt_amqp_link *l, struct gnt_slice tag)
{
    if (!l->restored)
        return NULL;
    gnt_list_each (node, &l->deliveries) {
        struct gnt_amqp_delivery *d = GNT_CONTAINER(node, struct gnt_amqp_delivery, in_link);
        if (d->resume == GNT_AMQP_RESUME_WAIT && gnt_slice_eq(gnt_amqp_delivery_tag(d), tag))
            return d;
    }
    return NULL;
}

/* What there is against the first frame of a delivery. */
static enum gnt_amqp_condition objection(const struct gnt_amqp_link *l,
                                         const struct gnt_amqp_transfer *t, const char **why)
{
    const int32_t overdraft = (int32_t)l->session->connection->options->overdraft;
    if (gnt_amqp_ahead(l->delivery_count, l->limit) <= -overdraft) {
        *why = "a transfer beyond the link-credit";
        return GNT_AMQP_LINK_TRANSFER_LIMIT_EXCEEDED;
    }
    if (!t->has.delivery_id || !t->has.delivery_tag || t->delivery_tag.size > GNT_AMQP_TAG_MAX) {
        *why = "a delivery without an id, or without a tag of 32 bytes at most";
        return GNT_AMQP_INVALID_FIELD;
    }
    if (l->incomplete && !t->resume) {
        *why = "a new delivery while not all unsettled ones are known";
        return GNT_AMQP_NOT_ALLOWED;
    }
    if (!t->settled && gnt_amqp_link_is_full(l)) {
        *why = "too many unsettled deliveries";
        return GNT_AMQP_RESOURCE_LIMIT_EXCEEDED;
    }
    return GNT_AMQP_NO_CONDITION;
}

/* The first frame: makes l->partial.  GNT_MORE: it may come. */
static gnt_err begin(struct gnt_amqp_link *l, const struct gnt_amqp_transfer *t,
                     struct gnt_amqp_event *out)
{
    struct gnt_amqp_session *s = l->session;
    const char *why = NULL;
    enum gnt_amqp_condition against = objection(l, t, &why);
    if (against)
        return gnt_amqp_link_fail(l, against, why, out);
    if ((s->any_received && gnt_amqp_ahead(s->last_received, t->delivery_id) <= 0) ||
        !gnt_amqp_ids_behind(&s->received, t->delivery_id))
        return gnt_amqp_session_fail(s, GNT_AMQP_INVALID_FIELD,
                                     "a delivery-id that does not follow the one before", out);
    struct gnt_amqp_delivery *d = t->resume ? find_restored(l, t->delivery_tag) : NULL;
    bool unknown = t->resume && !d, kept = !unknown && !t->settled;
    if (kept && gnt_amqp_ids_reserve(&s->received))
        return gnt_amqp_fail_nomem(s->connection);
    if (!d)
        d = gnt_amqp_delivery_new(l, t->delivery_tag);
    if (!d)
        return gnt_amqp_fail_nomem(s->connection);
    d->id = s->last_received = t->delivery_id;
    s->any_received = true;
    d->format = t->message_format;
    d->resume = GNT_AMQP_RESUME_NONE;
    l->partial = d;
    l->delivery_count++;
    if (l->credit)
        l->credit--;
    if (kept)
        gnt_amqp_delivery_know(d);
    if (unknown)
        gnt_amqp_delivery_drop(d);
    return GNT_MORE;
}

/* Whether a frame behind the first is of another delivery [AMQP 2.7.5]. */
static bool differs(const struct gnt_amqp_delivery *d, const struct gnt_amqp_transfer *t)
{
    return (t->has.delivery_id && t->delivery_id != d->id) ||
           (t->has.message_format && t->message_format != d->format) ||
           (t->has.delivery_tag && !gnt_slice_eq(t->delivery_tag, gnt_amqp_delivery_tag(d)));
}

/* Takes the frame into its delivery.  GNT_MORE: it is fine. */
static gnt_err add(struct gnt_amqp_delivery *d, const struct gnt_amqp_transfer *t, size_t size,
                   struct gnt_amqp_event *out)
{
    struct gnt_amqp_link *l = d->link;
    bool last = !t->more || t->aborted;
    uint8_t state = 0;
    if (t->has.state && gnt_amqp_state_code(&t->state, &state))
        return gnt_amqp_fail(l->session->connection, GNT_MALFORMED, GNT_AMQP_DECODE_ERROR,
                             "a delivery state that cannot be decoded");
    d->settled |= t->settled;
    if (t->settled
            ? l->snd_settle_mode == GNT_AMQP_SENDER_UNSETTLED
            : last && !t->aborted && !d->settled && l->snd_settle_mode == GNT_AMQP_SENDER_SETTLED)
        return gnt_amqp_link_fail(l, GNT_AMQP_INVALID_FIELD,
                                  "settled, or not, against the snd-settle-mode", out);
    d->size += size;
    if (l->max_message_size && d->size > l->max_message_size)
        return gnt_amqp_link_fail(l, GNT_AMQP_LINK_MESSAGE_SIZE_EXCEEDED,
                                  "a message above max-message-size", out);
    if (state)
        d->peer_state = state;
    if (d->settled || t->aborted)
        gnt_amqp_delivery_forget(d);
    if (last) {
        l->partial = NULL;
        d->whole = !t->aborted;
        d->aborted = t->aborted;
    }
    return GNT_MORE;
}

gnt_err gnt_amqp_on_transfer(struct gnt_amqp_connection *c, const struct gnt_amqp_arrival *in,
                             struct gnt_amqp_event *out)
{
    const struct gnt_amqp_transfer *t = &out->performative.transfer;
    struct gnt_amqp_session *s =
        (struct gnt_amqp_session *)gnt_amqp_table_at(&c->remote, in->channel);
    gnt_err err = on_window(s, out);
    if (err != GNT_MORE)
        return err;
    struct gnt_amqp_link *l = gnt_amqp_link_at(s, t->handle);
    if (!l)
        return gnt_amqp_session_fail(s, GNT_AMQP_SESSION_UNATTACHED_HANDLE,
                                     "a handle that is not attached", out);
    if (l->detach_sent)
        return GNT_MORE;
    if (l->sender)
        return gnt_amqp_link_fail(l, GNT_AMQP_NOT_ALLOWED, "a transfer to a sender", out);
    bool first = !l->partial;
    if (first)
        err = begin(l, t, out);
    else if (differs(l->partial, t))
        err = gnt_amqp_link_fail(l, GNT_AMQP_INVALID_FIELD,
                                 "a frame of another delivery within one", out);
    if (err != GNT_MORE)
        return err;
    struct gnt_amqp_delivery *d = l->partial;
    err = add(d, t, t->aborted ? 0 : in->payload.size, out);
    if (err != GNT_MORE)
        return err;
    bool over = !l->partial;
    if (d->dropped) {
        if (over)
            gnt_amqp_delivery_free(d);
        return GNT_MORE;
    }
    gnt_amqp_tell(out, GNT_AMQP_EVENT_TRANSFER, s, l);
    out->delivery = d;
    out->payload = t->aborted ? (struct gnt_slice){0} : in->payload;
    out->first = first;
    out->last = over;
    out->aborted = t->aborted;
    out->settled = d->settled;
    out->state = t->state;
    if (over && (d->settled || d->aborted))
        gnt_amqp_delivery_end(d);
    return GNT_OK;
}
