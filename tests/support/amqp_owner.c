#include "support/amqp_owner.h"

#include "amqp/codec/message.h"
#include "base/assert.h"
#include "base/hash.h"

enum { CREDIT = 10, SENT_MAX = 24 };

static gnt_err start(struct amqp_owner *o)
{
    static const struct gnt_amqp_open nothing = {0};
    struct gnt_amqp_session *s;
    struct gnt_amqp_link *l;
    gnt_err err = gnt_amqp_connection_open(o->c, &nothing);
    if (!err)
        err = gnt_amqp_session_begin(o->c, &s);
    for (int sender = 0; sender < 2 && !err; sender++) {
        struct gnt_amqp_attach a = {0};
        a.name = gnt_slice_str("link");
        a.role = sender ? GNT_AMQP_SENDER : GNT_AMQP_RECEIVER;
        err = gnt_amqp_link_attach(s, &a, NULL, 0, &l);
        if (!err && !sender)
            gnt_amqp_link_credit(l, CREDIT, false);
    }
    return err;
}

static gnt_err start_sasl(struct amqp_owner *o)
{
    struct gnt_amqp_sasl_init init = {0};
    GNT_AMQP_SET(&init, mechanism, gnt_slice_str("ANONYMOUS"));
    gnt_err err = gnt_amqp_connection_sasl_start(o->c);
    return err ? err : gnt_amqp_connection_sasl_init(o->c, &init);
}

gnt_err amqp_owner_init(struct amqp_owner *o, struct gnt_amqp_connection *c, unsigned how)
{
    static struct gnt_slice mechanisms[2];
    mechanisms[0] = gnt_slice_str("ANONYMOUS");
    mechanisms[1] = gnt_slice_str("CHALLENGE");
    *o = (struct amqp_owner){.c = c};
    c->context = o;
    gnt_err err = how & OWNER_TLS ? gnt_amqp_connection_tls(c) : GNT_OK;
    if (how & OWNER_CLIENT && !(how & OWNER_TLS) && !err)
        err = how & OWNER_SASL ? start_sasl(o) : start(o);
    if (!(how & OWNER_CLIENT) && how & OWNER_SASL)
        gnt_amqp_connection_sasl_offer(c, mechanisms, 2, how & OWNER_REQUIRED);
    return err ? err : gnt_amqp_connection_flush(c, 1);
}

static gnt_err answer(struct gnt_amqp_event *e)
{
    struct gnt_amqp_link *l = e->link;
    if (l->attach_sent)
        return GNT_OK;
    struct gnt_amqp_attach a = {0};
    a.has.source = e->performative.attach.has.source;
    a.source = e->performative.attach.source;
    a.has.target = e->performative.attach.has.target;
    a.target = e->performative.attach.target;
    gnt_err err = gnt_amqp_link_answer(l, &a, NULL, 0);
    if (err == GNT_TOOBIG) {
        a = (struct gnt_amqp_attach){0};
        err = gnt_amqp_link_answer(l, &a, NULL, 0);
    }
    if (!err && !l->sender)
        gnt_amqp_link_credit(l, CREDIT, false);
    return err;
}

static gnt_err send_all(struct amqp_owner *o, struct gnt_amqp_link *l)
{
    static const uint8_t bytes[600];
    gnt_err err = GNT_OK;
    while (!err && l->credit && l->answered && !l->partial && o->sent < SENT_MAX) {
        size_t taken;
        uint8_t tag = (uint8_t)o->sent;
        struct gnt_amqp_delivery *d = NULL;
        uint8_t head[16];
        size_t size = tag % 8 == 3 ? sizeof bytes : tag;
        struct gnt_amqp_writer w = gnt_amqp_writer(head, sizeof head);
        gnt_amqp_put_data_head(&w, size);
        const struct gnt_amqp_piece pieces[] = {{.bytes = gnt_amqp_written(&w)},
                                                {.bytes = gnt_slice(bytes, size)}};
        const struct gnt_amqp_sending sending = {.tag = gnt_slice(&tag, 1),
                                                 .settled = l->snd_settle_mode == 1};
        err = gnt_amqp_link_send(l, &sending, pieces, 2, &taken, &d);
        o->sent += !err || d;
        if (d && !d->context) {
            d->context = o;
            o->unsettled++;
        }
        if (d && l->partial == d) { /* the window is used up in the midst of it */
            gnt_err given_up = gnt_amqp_delivery_abort(d);
            GNT_ASSERT(given_up == GNT_OK || given_up == GNT_NOMEM);
            o->unsettled -= !given_up;
        }
    }
    if (l->drain)
        gnt_amqp_link_drained(l);
    return err == GNT_NOMEM ? err : GNT_OK;
}

static gnt_err transferred(struct amqp_owner *o, struct gnt_amqp_event *e)
{
    struct gnt_amqp_delivery *d = e->delivery;
    if (!d->context) {
        GNT_ASSERT(e->first);
        d->context = o;
        o->unsettled++;
    }
    if (!e->last)
        return GNT_OK;
    if (e->link->credit == 0)
        gnt_amqp_link_credit(e->link, CREDIT, false);
    if (e->settled || e->aborted) {
        o->unsettled--;
        return GNT_OK;
    }
    bool settled = e->link->rcv_settle_mode == GNT_AMQP_RECEIVER_FIRST;
    gnt_err err =
        gnt_amqp_delivery_settle(d, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded, settled);
    o->unsettled -= !err && settled;
    return err;
}

static gnt_err disposed(struct amqp_owner *o, struct gnt_amqp_event *e)
{
    struct gnt_amqp_delivery *d = e->delivery;
    GNT_ASSERT(d->context == o);
    if (e->settled) {
        o->unsettled -= d->whole;
        return GNT_OK;
    }
    if (!e->link->sender || !d->whole)
        return GNT_OK;
    gnt_err err = gnt_amqp_delivery_settle(d, e->state.encoded, true);
    o->unsettled -= !err;
    return err == GNT_TOOBIG ? GNT_OK : err;
}

static void forget_link(struct amqp_owner *o, struct gnt_amqp_link *l)
{
    gnt_list_each (node, &l->deliveries) {
        GNT_ASSERT(GNT_CONTAINER(node, struct gnt_amqp_delivery, in_link)->link == l);
        o->unsettled--;
    }
}

static void forget_session(struct amqp_owner *o, struct gnt_amqp_session *s)
{
    gnt_list_each (node, &s->links)
        forget_link(o, GNT_CONTAINER(node, struct gnt_amqp_link, in_session));
}

void amqp_owner_fini(struct amqp_owner *o)
{
    gnt_list_each (node, &o->c->sessions)
        forget_session(o, GNT_CONTAINER(node, struct gnt_amqp_session, in_connection));
}

static gnt_err act(struct amqp_owner *o, struct gnt_amqp_event *e)
{
    static const struct gnt_amqp_open open = {0};
    struct gnt_slice none = {0};
    bool client = o->c->side == GNT_AMQP_CLIENT;
    switch (e->type) {
    case GNT_AMQP_EVENT_TLS: gnt_amqp_connection_secured(o->c); return client ? start(o) : GNT_OK;
    case GNT_AMQP_EVENT_SASL_MECHANISMS: return GNT_OK;
    case GNT_AMQP_EVENT_SASL_INIT:
        if (gnt_slice_eq_str(e->performative.sasl_init.mechanism, "CHALLENGE"))
            return gnt_amqp_connection_sasl_challenge(o->c, gnt_slice_str("?"));
        return gnt_amqp_connection_sasl_outcome(o->c, 0, none);
    case GNT_AMQP_EVENT_SASL_RESPONSE: return gnt_amqp_connection_sasl_outcome(o->c, 0, none);
    case GNT_AMQP_EVENT_SASL_CHALLENGE:
        return gnt_amqp_connection_sasl_respond(o->c, gnt_slice_str("!"));
    case GNT_AMQP_EVENT_SASL_OUTCOME:
        return e->performative.sasl_outcome.code == 0 ? start(o) : GNT_OK;
    case GNT_AMQP_EVENT_OPEN: return client ? GNT_OK : gnt_amqp_connection_open(o->c, &open);
    case GNT_AMQP_EVENT_ATTACH: return answer(e);
    case GNT_AMQP_EVENT_FLOW: return e->link->sender ? send_all(o, e->link) : GNT_OK;
    case GNT_AMQP_EVENT_TRANSFER: return transferred(o, e);
    case GNT_AMQP_EVENT_DISPOSITION: return disposed(o, e);
    case GNT_AMQP_EVENT_DETACH: forget_link(o, e->link); return GNT_OK;
    case GNT_AMQP_EVENT_END: forget_session(o, e->session); return GNT_OK;
    case GNT_AMQP_EVENT_BEGIN:
    case GNT_AMQP_EVENT_CLOSE:
    case GNT_AMQP_EVENT_NOTHING:
    case GNT_AMQP_EVENT_RESUME: return GNT_OK;
    }
    return GNT_OK;
}

static void add_up(struct amqp_owner *o, const struct gnt_amqp_event *e)
{
    const uint64_t facts[] = {e->type,
                              e->session ? e->session->channel : UINT64_MAX,
                              e->link ? e->link->handle : UINT64_MAX,
                              e->link ? e->link->credit : 0,
                              e->delivery ? e->delivery->id : UINT64_MAX,
                              gnt_hash(e->payload),
                              gnt_hash(e->state.encoded),
                              e->condition,
                              (uint64_t)e->first << 3 | (uint64_t)e->last << 2 |
                                  (uint64_t)e->aborted << 1 | (uint64_t)e->settled};
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
        o->told = gnt_hash_mix(o->told, facts[i]);
    o->events++;
}

gnt_err amqp_owner_take(struct amqp_owner *o, struct gnt_slice *in, uint64_t now)
{
    struct gnt_amqp_event e;
    gnt_err err;
    while ((err = gnt_amqp_connection_next(o->c, in, now, &e, NULL)) == GNT_OK) {
        add_up(o, &e);
        err = act(o, &e);
        GNT_ASSERT(err == GNT_OK || err == GNT_NOMEM || err == GNT_STATE || err == GNT_TOOBIG);
        if (err != GNT_NOMEM)
            err = gnt_amqp_connection_flush(o->c, now);
        if (err == GNT_NOMEM)
            return err;
    }
    gnt_err flushed = gnt_amqp_connection_flush(o->c, now);
    return err < 0 || !flushed ? err : flushed;
}
