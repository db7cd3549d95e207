#include "amqp/engine/inside.h"

#include "base/assert.h"
#include "base/spare.h"

#include <stdlib.h>

bool gnt_amqp_link_usable(const struct gnt_amqp_link *l)
{
    return l->attach_sent && !l->detach_sent && gnt_amqp_session_usable(l->session);
}

/* Links have a name for each role [AMQP 2.6.1]. */
static uint64_t name_hash(struct gnt_slice name, bool sender)
{
    return gnt_hash_mix(gnt_hash(name), sender);
}

static size_t link_bytes(const struct gnt_amqp_link *l)
{
    return sizeof *l + l->name.size;
}

/* On the lowest handle that is free, and that the peer takes. */
static gnt_err link_new(struct gnt_amqp_session *s, struct gnt_slice name, bool sender,
                        struct gnt_amqp_link **out)
{
    struct gnt_amqp_connection *c = s->connection;
    uint32_t handle = gnt_amqp_table_free_place(&s->local);
    if (c->link_count >= c->options->links_max || (s->begin_seen && handle > s->peer_handle_max))
        return GNT_FULL;
    if (gnt_amqp_table_reserve(&s->local, handle))
        return GNT_NOMEM;
    struct gnt_amqp_link *l = gnt_spare_get(sizeof *l + name.size);
    if (!l)
        return GNT_NOMEM;
    *l = (struct gnt_amqp_link){.session = s, .sender = sender, .handle = handle};
    if (name.size)
        memcpy(l->text, name.data, name.size);
    l->name = gnt_slice(l->text, name.size);
    gnt_list_init(&l->deliveries);
    gnt_list_init(&l->in_dirty);
    gnt_list_init(&l->in_waiting);
    if (gnt_map_insert(&s->names, &l->by_name, name_hash(name, sender))) {
        gnt_spare_put(l, link_bytes(l));
        return GNT_NOMEM;
    }
    l->named = true;
    gnt_list_push_back(&s->links, &l->in_session);
    gnt_amqp_table_set(&s->local, handle, l);
    c->link_count++;
    *out = l;
    return GNT_OK;
}

static void free_deliveries(struct gnt_amqp_link *l)
{
    struct gnt_amqp_delivery *partial = l->partial;
    l->partial = NULL;
    if (partial && partial->dropped)
        gnt_amqp_delivery_free(partial);
    while (!gnt_list_empty(&l->deliveries))
        gnt_amqp_delivery_free(
            GNT_CONTAINER(l->deliveries.next, struct gnt_amqp_delivery, in_link));
}

/* No attach means it any more. */
static void lose_name(struct gnt_amqp_link *l)
{
    if (l->named)
        gnt_map_remove(&l->session->names, &l->by_name);
    l->named = false;
}

void gnt_amqp_link_free(struct gnt_amqp_link *l)
{
    struct gnt_amqp_session *s = l->session;
    free_deliveries(l);
    lose_name(l);
    gnt_list_remove(&l->in_dirty);
    gnt_list_remove(&l->in_waiting);
    gnt_list_remove(&l->in_session);
    gnt_amqp_table_clear(&s->local, l->handle);
    if (l->attach_seen && gnt_amqp_link_at(s, l->remote_handle) == l)
        gnt_amqp_table_clear(&s->remote, l->remote_handle);
    s->connection->link_count--;
    gnt_spare_put(l, link_bytes(l));
}

/* The owner will not see it any more. */
static void leave(struct gnt_amqp_link *l)
{
    gnt_list_remove(&l->in_session);
    gnt_list_push_back(&l->session->ghosts, &l->in_session);
    if (l->attach_seen)
        lose_name(l);
}

/* It ends with the event that is being told. */
static void end(struct gnt_amqp_link *l, struct gnt_amqp_event *out)
{
    gnt_amqp_tell(out, GNT_AMQP_EVENT_DETACH, l->session, l);
    leave(l);
    l->session->connection->gone_link = l;
}

/* It is left for the peer's detach to find. */
static void haunt(struct gnt_amqp_link *l)
{
    l->ghost = true;
    leave(l);
}

void gnt_amqp_link_gone(struct gnt_amqp_link *l)
{
    if (l->ghost)
        free_deliveries(l);
    else
        gnt_amqp_link_free(l);
}

/* GHOST: one that only waits for the peer's attach. */
static struct gnt_amqp_link *find(const struct gnt_amqp_session *s, struct gnt_slice name,
                                  bool sender, bool ghost)
{
    struct gnt_map_node *node = gnt_map_first(&s->names, name_hash(name, sender));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_amqp_link *l = GNT_CONTAINER(node, struct gnt_amqp_link, by_name);
        if (l->sender == sender && l->ghost == ghost && gnt_slice_eq(l->name, name))
            return l;
    }
    return NULL;
}

/* ---- Attach */

/* UNSETTLED is told as far as there is room for it in one frame. */
static gnt_err say_attach(struct gnt_amqp_link *l, const struct gnt_amqp_attach *attach,
                          const struct gnt_amqp_unsettled *unsettled, size_t count)
{
    struct gnt_amqp_attach frame = *attach;
    GNT_AMQP_SET(&frame, name, l->name);
    GNT_AMQP_SET(&frame, handle, l->handle);
    GNT_AMQP_SET(&frame, role, l->sender ? GNT_AMQP_SENDER : GNT_AMQP_RECEIVER);
    if (l->sender)
        GNT_AMQP_SET(&frame, initial_delivery_count, l->delivery_count);
    if (!frame.has.properties)
        GNT_AMQP_SET(&frame, properties, gnt_amqp_no_properties());
    frame.has.unsettled = frame.has.incomplete_unsettled = false;
    struct gnt_slice map = {0};
    gnt_err err = GNT_OK;
    if (count) {
        struct gnt_amqp_writer w = gnt_amqp_writer(NULL, 0);
        gnt_amqp_put_attach(&w, &frame);
        err = gnt_amqp_restore(l, unsettled, count, w.size, &map);
        if (!err)
            GNT_AMQP_SET(&frame, unsettled, gnt_amqp_encoded(map));
        if (l->restored < count)
            GNT_AMQP_SET(&frame, incomplete_unsettled, true);
    }
    if (!err)
        err = gnt_amqp_say(l->session->connection, l->session->channel, GNT_AMQP_ATTACH, &frame);
    free((void *)(uintptr_t)map.data);
    if (err) {
        free_deliveries(l);
        l->restored = 0;
        return err;
    }
    if (!l->sender)
        l->incomplete = l->restored < count;
    l->attach_sent = true;
    l->answered = l->attach_seen;
    return GNT_OK;
}

/* Of both sides' settle modes the sender's holds for what is sent settled, and the receiver's for
 * who settles first [AMQP 2.8.2, 2.8.3]; of message sizes, the receiver's. */
static void take_ours(struct gnt_amqp_link *l, const struct gnt_amqp_attach *attach)
{
    if (l->sender) {
        l->snd_settle_mode =
            attach->has.snd_settle_mode ? attach->snd_settle_mode : GNT_AMQP_SENDER_MIXED;
        l->delivery_count = l->limit =
            attach->has.initial_delivery_count ? attach->initial_delivery_count : 0;
    } else {
        l->rcv_settle_mode =
            attach->has.rcv_settle_mode ? attach->rcv_settle_mode : GNT_AMQP_RECEIVER_FIRST;
        l->max_message_size = attach->has.max_message_size ? attach->max_message_size : 0;
    }
}

gnt_err gnt_amqp_link_attach(struct gnt_amqp_session *s, const struct gnt_amqp_attach *attach,
                             const struct gnt_amqp_unsettled *unsettled, size_t count,
                             struct gnt_amqp_link **out)
{
    bool sender = attach->role == GNT_AMQP_SENDER;
    if (!gnt_amqp_session_usable(s))
        return GNT_STATE;
    if (find(s, attach->name, sender, false))
        return GNT_EXISTS;
    struct gnt_amqp_link *l;
    gnt_err err = link_new(s, attach->name, sender, &l);
    if (err)
        return err;
    take_ours(l, attach);
    err = say_attach(l, attach, unsettled, count);
    if (err)
        gnt_amqp_link_free(l);
    else
        *out = l;
    return err;
}

gnt_err gnt_amqp_link_answer(struct gnt_amqp_link *l, const struct gnt_amqp_attach *attach,
                             const struct gnt_amqp_unsettled *unsettled, size_t count)
{
    struct gnt_amqp_connection *c = l->session->connection;
    if (l->attach_sent || !l->attach_seen || !gnt_amqp_session_usable(l->session) ||
        (count && c->rest.link != l))
        return GNT_STATE;
    take_ours(l, attach);
    gnt_err err = say_attach(l, attach, unsettled, count);
    if (!err && !l->sender && l->credit)
        gnt_amqp_link_dirty(l);
    return err;
}

/* Takes over what the peer's attach says. */
static void attached(struct gnt_amqp_link *l, const struct gnt_amqp_attach *attach)
{
    struct gnt_amqp_session *s = l->session;
    l->remote_handle = attach->handle;
    l->attach_seen = true;
    l->answered = l->attach_sent;
    if (l->ghost)
        lose_name(l);
    gnt_amqp_table_set(&s->remote, attach->handle, l);
    if (attach->handle >= s->handles_seen)
        s->handles_seen = attach->handle + 1;
    if (l->sender) {
        l->incomplete = attach->incomplete_unsettled;
        l->rcv_settle_mode = attach->rcv_settle_mode;
        l->max_message_size = attach->max_message_size;
    } else {
        l->snd_settle_mode = attach->snd_settle_mode;
        l->delivery_count = attach->initial_delivery_count;
        l->limit += attach->initial_delivery_count; /* credit may have been given before */
    }
}

/* The peer's unsettled deliveries are looked at once both sides have said theirs. */
static void hold_map(struct gnt_amqp_link *l, const struct gnt_amqp_attach *attach,
                     struct gnt_slice frame)
{
    struct gnt_amqp_connection *c = l->session->connection;
    struct gnt_slice map = attach->unsettled.encoded;
    c->rest.link = l;
    c->rest.compared = false;
    c->rest.incomplete = attach->incomplete_unsettled;
    c->rest.value_at = map.size ? (uint32_t)(map.data - frame.data) : 0;
    c->rest.value_size = (uint32_t)map.size;
    c->hold = GNT_AMQP_HOLD_REST;
}

/* What there is against an attach that can be answered. */
static enum gnt_amqp_condition objection(const struct gnt_amqp_connection *c,
                                         const struct gnt_amqp_attach *attach, const char **why)
{
    if (attach->role == GNT_AMQP_SENDER && !attach->has.initial_delivery_count) {
        *why = "a sender without initial-delivery-count";
        return GNT_AMQP_INVALID_FIELD;
    }
    if (gnt_amqp_over(attach->properties.encoded.size, c->options->properties_max)) {
        *why = "too many bytes of properties";
        return GNT_AMQP_RESOURCE_LIMIT_EXCEEDED;
    }
    return GNT_AMQP_NO_CONDITION;
}

/* A link of ours for an attach of the peer's: one that waits for it, one that nobody waits for any
 * more, or a new one. */
static gnt_err match(struct gnt_amqp_session *s, const struct gnt_amqp_attach *attach,
                     struct gnt_amqp_link **out)
{
    bool sender = attach->role == GNT_AMQP_RECEIVER;
    struct gnt_amqp_link *l = find(s, attach->name, sender, false);
    if (!l)
        l = find(s, attach->name, sender, true);
    *out = l;
    return l ? GNT_OK : link_new(s, attach->name, sender, out);
}

static gnt_err check_attach(struct gnt_amqp_session *s, const struct gnt_amqp_attach *attach,
                            struct gnt_amqp_event *out)
{
    struct gnt_amqp_connection *c = s->connection;
    if (attach->handle >= c->options->links_max)
        return gnt_amqp_fail(c, GNT_PROTOCOL, GNT_AMQP_CONNECTION_FRAMING_ERROR,
                             "a handle above handle-max");
    if (gnt_amqp_link_at(s, attach->handle))
        return gnt_amqp_session_fail(s, GNT_AMQP_SESSION_HANDLE_IN_USE, "a handle that is in use",
                                     out);
    if (gnt_amqp_over(attach->name.size, c->options->link_name_max))
        return gnt_amqp_session_fail(s, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
                                     "a link's name is too long", out);
    return gnt_amqp_table_reserve(&s->remote, attach->handle) ? gnt_amqp_fail_nomem(c) : GNT_MORE;
}

/* An attach that no event can show: it is answered, and that ends it. */
static gnt_err turn_away(struct gnt_amqp_link *l, enum gnt_amqp_condition condition,
                         const char *why)
{
    struct gnt_amqp_error error = gnt_amqp_error_of(condition, why);
    if (gnt_amqp_link_refuse(l, &error))
        return gnt_amqp_fail_nomem(l->session->connection);
    haunt(l);
    return GNT_MORE;
}

gnt_err gnt_amqp_on_attach(struct gnt_amqp_connection *c, const struct gnt_amqp_arrival *in,
                           struct gnt_amqp_event *out)
{
    const struct gnt_amqp_attach *attach = &out->performative.attach;
    struct gnt_amqp_session *s =
        (struct gnt_amqp_session *)gnt_amqp_table_at(&c->remote, in->channel);
    gnt_err err = check_attach(s, attach, out);
    if (err != GNT_MORE)
        return err;
    struct gnt_amqp_link *l;
    err = match(s, attach, &l);
    if (err == GNT_FULL)
        return gnt_amqp_session_fail(s, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
                                     "no handle is left to answer an attach", out);
    if (err)
        return gnt_amqp_fail_nomem(c);
    if (l->attach_seen) { /* there can be only one: the newer [AMQP 2.6.1] */
        c->hold = GNT_AMQP_HOLD_AGAIN;
        return gnt_amqp_link_fail(l, GNT_AMQP_LINK_STOLEN, "the link was attached again", out);
    }
    attached(l, attach);
    const char *why = NULL;
    enum gnt_amqp_condition against = objection(c, attach, &why);
    if (l->detach_sent)
        return GNT_MORE;
    if (against && l->attach_sent)
        return gnt_amqp_link_fail(l, against, why, out);
    if (against)
        return turn_away(l, against, why);
    gnt_amqp_tell(out, GNT_AMQP_EVENT_ATTACH, NULL, l);
    out->session = s;
    if (!l->attach_sent || l->restored)
        hold_map(l, attach, in->whole);
    return GNT_OK;
}

/* ---- Detach */

static gnt_err say_detach(struct gnt_amqp_link *l, bool closed, const struct gnt_amqp_error *error)
{
    struct gnt_amqp_session *s = l->session;
    struct gnt_amqp_composite frame = {.code = GNT_AMQP_DETACH};
    GNT_AMQP_SET(&frame.detach, handle, l->handle);
    if (closed)
        GNT_AMQP_SET(&frame.detach, closed, true);
    gnt_err err = gnt_amqp_say_last(s->connection, s->channel, GNT_AMQP_DETACH, &frame, error);
    if (err)
        return err;
    l->detach_sent = true;
    l->closed = closed;
    l->answered = false;
    gnt_list_remove(&l->in_dirty);
    gnt_list_remove(&l->in_waiting);
    if (s->connection->rest.link == l)
        s->connection->rest.link = NULL;
    return GNT_OK;
}

/* The attach that has neither source nor target, in front of the detach that says why. */
static gnt_err say_refusal(struct gnt_amqp_link *l, bool closed, const struct gnt_amqp_error *error)
{
    gnt_err err = say_attach(l, &(struct gnt_amqp_attach){0}, NULL, 0);
    return err ? err : say_detach(l, closed, error);
}

gnt_err gnt_amqp_link_refuse(struct gnt_amqp_link *l, const struct gnt_amqp_error *error)
{
    if (l->attach_sent || !gnt_amqp_session_usable(l->session))
        return GNT_STATE;
    return say_refusal(l, true, error);
}

gnt_err gnt_amqp_link_detach(struct gnt_amqp_link *l, bool closed,
                             const struct gnt_amqp_error *error)
{
    if (!gnt_amqp_link_usable(l))
        return GNT_STATE;
    gnt_err err = gnt_amqp_session_flush(l->session);
    return err ? err : say_detach(l, closed, error);
}

void gnt_amqp_link_keep(struct gnt_amqp_link *l)
{
    struct gnt_amqp_connection *c = l->session->connection;
    GNT_ASSERT(c->gone_link == l && !l->closed && !l->ghost);
    c->gone_link = NULL;
    l->kept = true;
    if (l->partial)
        gnt_amqp_delivery_free(l->partial);
    gnt_list_remove(&l->in_session);
    gnt_list_push_back(&l->session->links, &l->in_session);
}

void gnt_amqp_link_let_go(struct gnt_amqp_link *l)
{
    struct gnt_amqp_connection *c = l->session->connection;
    GNT_ASSERT(l->kept);
    if (c->gone_delivery && c->gone_delivery->link == l)
        gnt_amqp_delivery_free(c->gone_delivery);
    gnt_amqp_link_free(l);
}

gnt_err gnt_amqp_link_fail(struct gnt_amqp_link *l, enum gnt_amqp_condition condition,
                           const char *why, struct gnt_amqp_event *out)
{
    struct gnt_amqp_error error = gnt_amqp_error_of(condition, why);
    gnt_err err = GNT_OK;
    if (!l->detach_sent) {
        err = l->attach_sent ? gnt_amqp_session_flush(l->session) : GNT_OK;
        if (!err)
            err = l->attach_sent ? say_detach(l, true, &error) : say_refusal(l, true, &error);
    }
    if (err)
        return gnt_amqp_fail_nomem(l->session->connection);
    l->ghost = true;
    end(l, out);
    out->performative.code = 0;
    out->condition = condition;
    out->why = why;
    return GNT_OK;
}

/* The peer has closed what was only detached here; it is told that it is closed here, too, by the
 * only means that there is [AMQP 2.6.6]. */
static gnt_err close_again(struct gnt_amqp_link *l)
{
    struct gnt_amqp_link *again;
    gnt_err err = link_new(l->session, l->name, l->sender, &again);
    if (err)
        return err == GNT_FULL ? GNT_OK : err;
    again->delivery_count = l->delivery_count;
    haunt(again);
    err = say_refusal(again, true, NULL);
    if (err)
        gnt_amqp_link_free(again);
    return err;
}

gnt_err gnt_amqp_on_detach(struct gnt_amqp_connection *c, const struct gnt_amqp_arrival *in,
                           struct gnt_amqp_event *out)
{
    const struct gnt_amqp_detach *detach = &out->performative.detach;
    struct gnt_amqp_session *s =
        (struct gnt_amqp_session *)gnt_amqp_table_at(&c->remote, in->channel);
    struct gnt_amqp_link *l = gnt_amqp_link_at(s, detach->handle);
    if (!l && detach->handle < s->handles_seen)
        return GNT_MORE;
    if (!l)
        return gnt_amqp_session_fail(s, GNT_AMQP_SESSION_UNATTACHED_HANDLE,
                                     "a handle that is not attached", out);
    gnt_amqp_table_clear(&s->remote, detach->handle);
    if (l->ghost) {
        gnt_amqp_link_free(l);
        return GNT_MORE;
    }
    gnt_err err = GNT_OK;
    if (!l->attach_sent)
        err = say_refusal(l, detach->closed, NULL);
    else if (!l->detach_sent)
        err = say_detach(l, detach->closed, NULL);
    else if (detach->closed && !l->closed)
        err = close_again(l);
    if (err)
        return gnt_amqp_fail_nomem(c);
    end(l, out);
    return GNT_OK;
}
