#include "amqp/engine/inside.h"

bool gnt_amqp_state_terminal(uint8_t code)
{
    return code == GNT_AMQP_ACCEPTED || code == GNT_AMQP_REJECTED || code == GNT_AMQP_RELEASED ||
           code == GNT_AMQP_MODIFIED;
}

gnt_err gnt_amqp_state_code(const struct gnt_amqp_value *state, uint8_t *code)
{
    static const uint8_t accepted[] = {GNT_AMQP_FORM_DESCRIBED, GNT_AMQP_FORM_SMALLULONG,
                                       GNT_AMQP_ACCEPTED, GNT_AMQP_FORM_LIST0};
    if (gnt_slice_eq(state->encoded, gnt_slice(accepted, sizeof accepted))) { /* most are */
        *code = GNT_AMQP_ACCEPTED;
        return GNT_OK;
    }
    struct gnt_amqp_composite composite;
    gnt_err err = gnt_amqp_decode(state->encoded, &composite);
    if (err && err != GNT_UNSUPPORTED) /* others may be between the owners */
        return GNT_MALFORMED;
    *code = composite.code <= UINT8_MAX ? (uint8_t)composite.code : 0;
    return GNT_OK;
}

/* ---- Out */

static gnt_err say_disposition(struct gnt_amqp_session *s, enum gnt_amqp_role role, uint32_t first,
                               uint32_t last, bool settled, struct gnt_slice state)
{
    struct gnt_amqp_disposition frame = {0};
    GNT_AMQP_SET(&frame, role, role);
    GNT_AMQP_SET(&frame, first, first);
    if (last != first)
        GNT_AMQP_SET(&frame, last, last);
    if (settled)
        GNT_AMQP_SET(&frame, settled, true);
    if (state.size)
        GNT_AMQP_SET(&frame, state, gnt_amqp_encoded(state));
    return gnt_amqp_say(s->connection, s->channel, GNT_AMQP_DISPOSITION, &frame);
}

static gnt_err put_range(struct gnt_amqp_session *s, enum gnt_amqp_role role)
{
    struct gnt_amqp_range *r = &s->ranges[role];
    if (!r->pending)
        return GNT_OK;
    gnt_err err =
        say_disposition(s, role, r->first, r->last, r->settled, gnt_slice(r->state, r->state_size));
    r->pending = err != GNT_OK;
    return err;
}

gnt_err gnt_amqp_put_ranges(struct gnt_amqp_session *s)
{
    gnt_err err = put_range(s, GNT_AMQP_SENDER);
    return err ? err : put_range(s, GNT_AMQP_RECEIVER);
}

static bool joins(struct gnt_amqp_range *r, uint32_t id, struct gnt_slice state, bool settled)
{
    if (!r->pending || r->settled != settled ||
        !gnt_slice_eq(state, gnt_slice(r->state, r->state_size)))
        return false;
    if (id == r->last + 1)
        r->last = id;
    else if (id == r->first - 1)
        r->first = id;
    else
        return false;
    return true;
}

/* As part of a range, if it can be one. */
static gnt_err put_disposition(struct gnt_amqp_session *s, enum gnt_amqp_role role, uint32_t id,
                               struct gnt_slice state, bool settled)
{
    struct gnt_amqp_range *r = &s->ranges[role];
    if (joins(r, id, state, settled))
        return GNT_OK;
    gnt_err err = put_range(s, role);
    if (err || state.size > sizeof r->state)
        return err ? err : say_disposition(s, role, id, id, settled, state);
    r->pending = true;
    r->settled = settled;
    r->first = r->last = id;
    r->state_size = (uint8_t)state.size;
    if (state.size)
        memcpy(r->state, state.data, state.size);
    gnt_amqp_session_dirty(s);
    return GNT_OK;
}

gnt_err gnt_amqp_delivery_settle(struct gnt_amqp_delivery *d, struct gnt_slice state, bool settled)
{
    struct gnt_amqp_link *l = d->link;
    if (d->settled)
        return GNT_OK;
    if (!gnt_amqp_link_settles(l) || !d->known || (l->sender && !d->whole))
        return GNT_STATE;
    enum gnt_amqp_role role = l->sender ? GNT_AMQP_SENDER : GNT_AMQP_RECEIVER;
    gnt_err err = put_disposition(l->session, role, d->id, state, settled);
    if (err || !settled)
        return err;
    if (d->whole)
        gnt_amqp_delivery_free(d);
    else
        gnt_amqp_delivery_drop(d);
    return GNT_OK;
}

/* ---- In */

/* What a disposition says of D, as far as that is new: an outcome stays what it is. */
static bool changes(struct gnt_amqp_delivery *d, uint8_t state, bool settled)
{
    if (state == 0 || gnt_amqp_state_terminal(d->peer_state))
        return settled;
    bool progress = state == GNT_AMQP_RECEIVED || state == GNT_AMQP_TRANSACTIONAL_STATE;
    bool changed = progress || state != d->peer_state;
    d->peer_state = state;
    return changed || settled;
}

/* Deliveries that are looked at in one go. */
enum { LOOK_MAX = 64 };

/* The next delivery that the disposition changes; NULL: it is finished, or goes on later. */
static struct gnt_amqp_delivery *next_changed(struct gnt_amqp_connection *c)
{
    for (int i = 0; i < LOOK_MAX && c->rest.session; i++) {
        struct gnt_amqp_session *s = c->rest.session;
        struct gnt_amqp_delivery *d = gnt_amqp_ids_next(c->rest.receiver ? &s->sent : &s->received,
                                                        c->rest.first, c->rest.last);
        if (!d || d->id == c->rest.last)
            c->rest.session = NULL;
        else
            c->rest.first = d->id + 1;
        if (d && (!d->link->detach_sent || d->link->kept) &&
            changes(d, c->rest.state, c->rest.settled))
            return d;
    }
    return NULL;
}

gnt_err gnt_amqp_rest_of_disposition(struct gnt_amqp_connection *c, struct gnt_slice frame,
                                     struct gnt_amqp_event *out)
{
    struct gnt_amqp_delivery *d = next_changed(c);
    if (!d && !c->rest.session)
        return GNT_MORE;
    if (!d) {
        gnt_amqp_tell(out, GNT_AMQP_EVENT_NOTHING, c->rest.session, NULL);
        return GNT_OK;
    }
    gnt_amqp_tell(out, GNT_AMQP_EVENT_DISPOSITION, d->link->session, d->link);
    out->performative.code = GNT_AMQP_DISPOSITION;
    out->delivery = d;
    if (c->rest.value_at) { /* which has been seen to be a state, as it was for each before */
        const struct gnt_slice state = gnt_slice(frame.data + c->rest.value_at, c->rest.value_size);
        out->state = (struct gnt_amqp_value){.type = GNT_AMQP_DESCRIBED,
                                             .bytes = gnt_slice_skip(state, 1),
                                             .encoded = state};
    }
    out->settled = c->rest.settled;
    d->settled |= out->settled;
    if (d->settled && d->whole)
        gnt_amqp_delivery_end(d);
    else if (d->settled)
        gnt_amqp_delivery_forget(d);
    return GNT_OK;
}

gnt_err gnt_amqp_on_disposition(struct gnt_amqp_connection *c, const struct gnt_amqp_arrival *in,
                                struct gnt_amqp_event *out)
{
    const struct gnt_amqp_disposition *frame = &out->performative.disposition;
    struct gnt_amqp_session *s =
        (struct gnt_amqp_session *)gnt_amqp_table_at(&c->remote, in->channel);
    struct gnt_slice state = frame->state.encoded;
    c->rest.state = 0;
    if (state.size && gnt_amqp_state_code(&frame->state, &c->rest.state))
        return gnt_amqp_fail(c, GNT_MALFORMED, GNT_AMQP_DECODE_ERROR,
                             "a delivery state that cannot be decoded");
    c->rest.first = frame->first;
    c->rest.last = frame->has.last ? frame->last : frame->first;
    if (gnt_amqp_ahead(c->rest.first, c->rest.last) < 0)
        return gnt_amqp_session_fail(s, GNT_AMQP_INVALID_FIELD,
                                     "a disposition of a range that ends before it begins", out);
    c->rest.session = s;
    c->rest.receiver = frame->role == GNT_AMQP_RECEIVER;
    c->rest.settled = frame->settled;
    c->rest.value_at = state.size ? (uint32_t)(state.data - in->whole.data) : 0;
    c->rest.value_size = (uint32_t)state.size;
    gnt_err err = gnt_amqp_rest_of_disposition(c, in->whole, out);
    c->hold = c->rest.session ? GNT_AMQP_HOLD_REST : GNT_AMQP_HOLD_NOT;
    return err;
}
