#include "amqp/engine/inside.h"

/* ---- Out */

void gnt_amqp_link_dirty(struct gnt_amqp_link *l)
{
    if (!gnt_list_linked(&l->in_dirty))
        gnt_list_push_back(&l->session->dirty, &l->in_dirty);
    gnt_amqp_session_dirty(l->session);
}

void gnt_amqp_link_credit(struct gnt_amqp_link *l, uint32_t credit, bool drain)
{
    if (l->sender)
        return;
    l->credit = credit < INT32_MAX ? credit : INT32_MAX; /* further than counts can be told apart */
    l->drain = drain;
    if (gnt_amqp_link_usable(l))
        gnt_amqp_link_dirty(l);
}

void gnt_amqp_link_drained(struct gnt_amqp_link *l)
{
    if (!l->sender || !l->drain || !gnt_amqp_link_usable(l))
        return;
    l->delivery_count += l->credit;
    l->credit = 0;
    gnt_amqp_link_dirty(l);
}

void gnt_amqp_link_available(struct gnt_amqp_link *l, uint32_t available)
{
    if (l->sender)
        l->available = available;
}

/* The state of the session, and of L unless that is NULL. */
static gnt_err say_flow(struct gnt_amqp_session *s, struct gnt_amqp_link *l)
{
    uint32_t window = s->connection->options->incoming_window;
    struct gnt_amqp_flow frame = {0};
    if (s->begin_seen)
        GNT_AMQP_SET(&frame, next_incoming_id, s->next_incoming_id);
    GNT_AMQP_SET(&frame, incoming_window, window);
    GNT_AMQP_SET(&frame, next_outgoing_id, s->next_outgoing_id);
    GNT_AMQP_SET(&frame, outgoing_window, GNT_AMQP_OUTGOING_WINDOW);
    if (l) {
        GNT_AMQP_SET(&frame, handle, l->handle);
        if (l->sender || l->attach_seen)
            GNT_AMQP_SET(&frame, delivery_count, l->delivery_count);
        GNT_AMQP_SET(&frame, link_credit, l->credit);
        if (l->sender)
            GNT_AMQP_SET(&frame, available, l->available);
        if (l->drain)
            GNT_AMQP_SET(&frame, drain, true);
    }
    if (s->ask_due)
        GNT_AMQP_SET(&frame, echo, true);
    gnt_err err = gnt_amqp_say(s->connection, s->channel, GNT_AMQP_FLOW, &frame);
    if (err)
        return err;
    s->incoming_window = window;
    s->flow_due = s->ask_due = false;
    if (l && !l->sender && gnt_amqp_ahead(l->limit, l->delivery_count + l->credit) > 0)
        l->limit = l->delivery_count + l->credit;
    return GNT_OK;
}

gnt_err gnt_amqp_session_flush(struct gnt_amqp_session *s)
{
    gnt_err err = gnt_amqp_put_ranges(s);
    while (!err && !gnt_list_empty(&s->dirty)) {
        struct gnt_amqp_link *l = GNT_CONTAINER(s->dirty.next, struct gnt_amqp_link, in_dirty);
        err = say_flow(s, l);
        if (!err)
            gnt_list_remove(&l->in_dirty);
    }
    if (!err && s->flow_due)
        err = say_flow(s, NULL);
    if (!err) {
        gnt_amqp_ids_idle(&s->sent);
        gnt_amqp_ids_idle(&s->received);
    }
    return err;
}

/* ---- Links that wait */

/* A peer whose window is used up is asked for it, once: some look at theirs only when a flow comes,
 * or a delivery is whole, and this one may be larger than the window. */
static void ask_for_window(struct gnt_amqp_session *s)
{
    if (s->outgoing_window || s->asked)
        return;
    s->asked = s->ask_due = s->flow_due = true;
    gnt_amqp_session_dirty(s);
}

void gnt_amqp_link_block(struct gnt_amqp_link *l)
{
    if (!gnt_list_linked(&l->in_waiting))
        gnt_list_push_back(&l->session->blocked, &l->in_waiting);
    ask_for_window(l->session);
}

static struct gnt_amqp_link *first_writable(const struct gnt_amqp_connection *c)
{
    return gnt_list_empty(&c->writable)
               ? NULL
               : GNT_CONTAINER(c->writable.next, struct gnt_amqp_link, in_waiting);
}

/* The window has been used up before these were told: they are the next to be, before those that
 * have used it. */
static void block_again(struct gnt_amqp_session *s)
{
    struct gnt_list untold;
    struct gnt_amqp_link *l;
    gnt_list_init(&untold);
    while ((l = first_writable(s->connection)) != NULL && l->session == s) {
        gnt_list_remove(&l->in_waiting);
        gnt_list_push_back(&untold, &l->in_waiting);
    }
    gnt_list_splice_back(&untold, &s->blocked);
    gnt_list_splice_back(&s->blocked, &untold);
}

bool gnt_amqp_next_writable(struct gnt_amqp_connection *c, struct gnt_amqp_event *out)
{
    struct gnt_amqp_link *l;
    while ((l = first_writable(c)) != NULL) {
        if (l->session->outgoing_window == 0) {
            block_again(l->session);
            continue;
        }
        gnt_list_remove(&l->in_waiting);
        gnt_amqp_tell(out, GNT_AMQP_EVENT_FLOW, l->session, l);
        out->performative.code = 0;
        return true;
    }
    return false;
}

/* ---- In */

/* The window that the peer has open, less what is on its way to it [AMQP 2.5.6]. */
static gnt_err on_window(struct gnt_amqp_session *s, const struct gnt_amqp_flow *flow,
                         struct gnt_amqp_event *out)
{
    uint32_t seen = flow->has.next_incoming_id ? flow->next_incoming_id : 0;
    if (gnt_amqp_ahead(s->next_outgoing_id, seen) > 0)
        return gnt_amqp_session_fail(s, GNT_AMQP_INVALID_FIELD,
                                     "a next-incoming-id of frames that were not sent", out);
    uint32_t flying = s->next_outgoing_id - seen;
    s->outgoing_window = flow->incoming_window > flying ? flow->incoming_window - flying : 0;
    if (s->outgoing_window)
        s->asked = false;
    s->next_incoming_id = flow->next_outgoing_id;
    return GNT_MORE;
}

/* To a sender: how many more deliveries the receiver takes [AMQP 2.6.7]. */
static void on_credit(struct gnt_amqp_link *l, const struct gnt_amqp_flow *flow)
{
    l->drain = flow->drain;
    if (!flow->has.link_credit)
        return;
    uint32_t seen = flow->has.delivery_count ? flow->delivery_count : l->limit;
    int32_t flying = gnt_amqp_ahead(seen, l->delivery_count);
    uint32_t used = flying > 0 ? (uint32_t)flying : 0;
    l->credit = flow->link_credit > used ? flow->link_credit - used : 0;
}

/* To a receiver: what the sender has, and what it has let go of its credit.  A count beyond all the
 * credit that it was ever given is none: it would come round and be new credit. */
static void on_sender(struct gnt_amqp_link *l, const struct gnt_amqp_flow *flow)
{
    if (flow->has.available)
        l->available = flow->available;
    int32_t gone =
        flow->has.delivery_count ? gnt_amqp_ahead(l->delivery_count, flow->delivery_count) : 0;
    if (gone <= 0 || gone > gnt_amqp_ahead(l->delivery_count, l->limit))
        return;
    l->delivery_count = flow->delivery_count;
    l->credit = (uint32_t)gone < l->credit ? l->credit - (uint32_t)gone : 0;
}

/* The links that wait for the window may be told one after the other; what their owner does not
 * wait for is done first. */
static gnt_err unblock(struct gnt_amqp_session *s)
{
    gnt_list_each (node, &s->blocked) {
        struct gnt_amqp_link *l = GNT_CONTAINER(node, struct gnt_amqp_link, in_waiting);
        if (s->outgoing_window && gnt_amqp_link_aborts(l) && gnt_amqp_send_abort(l))
            return gnt_amqp_fail_nomem(s->connection);
    }
    if (s->outgoing_window)
        gnt_list_splice_back(&s->connection->writable, &s->blocked);
    return GNT_MORE;
}

static gnt_err on_link(struct gnt_amqp_session *s, const struct gnt_amqp_flow *flow,
                       struct gnt_amqp_event *out)
{
    struct gnt_amqp_link *l = gnt_amqp_link_at(s, flow->handle);
    if (!l && flow->handle >= s->handles_seen)
        return gnt_amqp_session_fail(s, GNT_AMQP_SESSION_UNATTACHED_HANDLE,
                                     "a handle that is not attached", out);
    if (!l || l->detach_sent)
        return GNT_MORE;
    if (l->sender)
        on_credit(l, flow);
    else
        on_sender(l, flow);
    if (flow->echo && l->attach_sent)
        gnt_amqp_link_dirty(l);
    if (s->outgoing_window) /* it is told now */
        gnt_list_remove(&l->in_waiting);
    gnt_amqp_tell(out, GNT_AMQP_EVENT_FLOW, s, l);
    return GNT_OK;
}

gnt_err gnt_amqp_on_flow(struct gnt_amqp_connection *c, const struct gnt_amqp_arrival *in,
                         struct gnt_amqp_event *out)
{
    const struct gnt_amqp_flow *flow = &out->performative.flow;
    struct gnt_amqp_session *s =
        (struct gnt_amqp_session *)gnt_amqp_table_at(&c->remote, in->channel);
    gnt_err err = on_window(s, flow, out);
    if (err == GNT_MORE)
        err = unblock(s);
    if (err != GNT_MORE)
        return err;
    if (flow->has.handle)
        return on_link(s, flow, out);
    if (flow->echo) {
        s->flow_due = true;
        gnt_amqp_session_dirty(s);
    }
    return GNT_MORE;
}
