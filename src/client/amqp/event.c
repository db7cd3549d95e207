/* What the engine says about sessions, links and deliveries, to those who hold them. */
#include "client/amqp/container.h"

#include <stdlib.h>

static struct gnt_slice error_of(const struct gnt_amqp_event *event)
{
    const struct gnt_amqp_composite *p = &event->performative;
    if (event->type == GNT_AMQP_EVENT_DETACH && p->code == GNT_AMQP_DETACH && p->detach.has.error)
        return p->detach.error.encoded;
    if (event->type == GNT_AMQP_EVENT_END && p->code == GNT_AMQP_END && p->end.has.error)
        return p->end.error.encoded;
    return (struct gnt_slice){0};
}

/* The engine has ended it, because of what the peer did. */
static void keep_ours(const struct gnt_amqp_event *event, struct gnatter_amqp_error *why)
{
    if (event->performative.code || !event->condition)
        return;
    gnt_amqp_client_keep_text(gnt_amqp_condition_symbol(event->condition), why->condition,
                              sizeof why->condition);
    gnt_amqp_client_keep_text(gnt_slice_str(event->why), why->description, sizeof why->description);
}

/* ---- Attach and detach */

static gnt_err keep_address(struct gnt_end *e, const struct gnt_amqp_attach *attach)
{
    struct gnt_amqp_target target;
    struct gnt_amqp_source source;
    struct gnt_slice address = {0};
    if (e->coordinates)
        return GNT_OK;
    if (e->sender && !gnt_amqp_decode_target(attach->target.encoded, &target))
        address = target.has.address ? target.address : address;
    else if (!e->sender && !gnt_amqp_decode_source(attach->source.encoded, &source))
        address = source.has.address ? source.address : address;
    char *text = malloc(address.size + 1);
    if (!text)
        return GNT_NOMEM;
    gnt_amqp_client_keep_text(address, text, address.size + 1);
    free(e->address);
    e->address = text;
    return GNT_OK;
}

/* An attach without the terminus that was asked for says no, and a detach behind it why
 * [AMQP 2.6.3]. */
static void on_attach(struct gnt_end *e, const struct gnt_amqp_event *event)
{
    const struct gnt_amqp_attach *attach = &event->performative.attach;
    if (e->sender ? !attach->has.target : !attach->has.source) {
        e->refused = true;
        return;
    }
    if (keep_address(e, attach)) {
        gnt_end_ended(e, (struct gnt_slice){0});
        return;
    }
    e->state = GNT_END_ATTACHED;
    gnt_amqp_client_news(e->amqp, &e->attached_news, GNT_NEWS_ATTACHED);
}

static void on_detach(struct gnt_end *e, const struct gnt_amqp_event *event)
{
    keep_ours(event, &e->why);
    gnt_end_ended(e, error_of(event)); /* first: what was on its way has failed for this reason */
    gnt_end_detached(e);
}

static void on_end(gnatter_amqp_session *s, const struct gnt_amqp_event *event)
{
    s->engine = NULL;
    s->error = GNT_REFUSED;
    gnt_amqp_client_keep_error(error_of(event), &s->why);
    keep_ours(event, &s->why);
    gnt_list_each (node, &s->ends) {
        struct gnt_end *e = GNT_CONTAINER(node, struct gnt_end, in_session);
        keep_ours(event, &e->why);
        gnt_end_ended(e, error_of(event));
        gnt_end_detached(e);
    }
    gnt_transactions_lost(s);
}

/* ---- Deliveries */

/* Of a delivery that was received: the peer has settled it.  It has ended there. */
static void on_settled(gnatter_amqp_delivery *d)
{
    d->engine->context = NULL;
    d->engine = NULL;
}

static void on_disposition(struct gnt_end *e, const struct gnt_amqp_event *event)
{
    void *context = event->delivery->context;
    if (!context)
        return;
    if (e->sender)
        gnt_sender_outcome(context, event);
    else if (event->settled)
        on_settled(context);
}

/* The peer attaches a link of its own: nobody is here for it. */
static void refuse(const struct gnt_amqp_event *event)
{
    struct gnt_amqp_error error = {0};
    GNT_AMQP_SET(&error, condition, gnt_amqp_condition_symbol(GNT_AMQP_NOT_FOUND));
    (void)!gnt_amqp_link_refuse(event->link, &error);
}

/* What it has changed the next turn looks at; who is asked for messages is told. */
static void on_flow(struct gnt_end *e)
{
    if (e->node && e->sender && (e->engine->credit || e->engine->drain))
        gnt_amqp_client_news(e->amqp, &gnt_sender_of(e)->wanted_news, GNT_NEWS_WANTED);
}

static void on_link(struct gnt_end *e, const struct gnt_amqp_event *event)
{
    switch ((int)event->type) {
    case GNT_AMQP_EVENT_ATTACH: on_attach(e, event); break;
    case GNT_AMQP_EVENT_DETACH: on_detach(e, event); break;
    case GNT_AMQP_EVENT_DISPOSITION: on_disposition(e, event); break;
    case GNT_AMQP_EVENT_TRANSFER: gnt_receiver_transfer(gnt_receiver_of(e), event); break;
    case GNT_AMQP_EVENT_FLOW: on_flow(e); break;
    default: break;
    }
}

void gnt_amqp_client_event(gnatter_amqp *c, const struct gnt_amqp_event *event)
{
    struct gnt_end *e = event->link ? event->link->context : NULL;
    gnatter_amqp_session *s = event->session->context;
    if (event->type == GNT_AMQP_EVENT_END && s)
        on_end(s, event);
    else if (e)
        on_link(e, event);
    else if (c->guest)
        gnt_guest_event(c->guest, event);
    else if (event->type == GNT_AMQP_EVENT_ATTACH && !event->link->attach_sent)
        refuse(event);
}

/* ---- The end of a connection */

void gnt_amqp_client_detach_all(gnatter_amqp *c)
{
    gnt_list_each (node, &c->sessions) {
        gnatter_amqp_session *s = GNT_CONTAINER(node, struct gnatter_amqp_session, in_amqp);
        if (s->engine)
            s->engine->context = NULL;
        s->engine = NULL;
        gnt_list_each (end, &s->ends)
            gnt_end_detached(GNT_CONTAINER(end, struct gnt_end, in_session));
        gnt_transactions_lost(s);
    }
}
