#include "front/amqp/link.h"

#include "base/assert.h"

#include <stdlib.h>

/* ---- Termini */

void gnt_terminus_init(struct gnt_terminus *t, const struct gnt_terminus_kind *kind,
                       struct gnt_amqp_peer *p, struct gnt_amqp_link *link)
{
    t->kind = kind;
    t->front = p->front;
    t->peer = p;
    t->link = link;
    t->reviewed = p->front->review_round;
    link->context = t;
    gnt_list_init(&t->waiting);
    gnt_list_push_back(&p->termini, &t->in_peer);
    p->terminus_count++;
}

void gnt_terminus_wait(struct gnt_terminus *t)
{
    if (!gnt_list_linked(&t->waiting))
        gnt_list_push_back(&t->peer->waiting, &t->waiting);
}

static void free_if_nobodys(struct gnt_terminus *t)
{
    if (t->peer || t->owed)
        return;
    if (t->away)
        gnt_suspended_ready(t);
    else
        t->kind->free(t);
}

void gnt_terminus_owe(struct gnt_terminus *t)
{
    t->owed++;
}

void gnt_terminus_paid(struct gnt_terminus *t)
{
    GNT_ASSERT(t->owed > 0);
    t->owed--;
    free_if_nobodys(t);
}

static void remove_dynamic(struct gnt_terminus *t)
{
    if (t->dynamic)
        gnt_attach_remove(t->front->home, t->dynamic);
    free(t->dynamic);
    free(t->asked);
    t->dynamic = t->asked = NULL;
}

/* It has no link any more. */
static void part(struct gnt_terminus *t)
{
    if (t->resting) {
        gnt_amqp_link_let_go(t->link);
        t->peer->resting--;
    }
    t->resting = false;
    t->peer = NULL;
    t->link = NULL;
}

static void leave_lists(struct gnt_terminus *t)
{
    gnt_list_remove(&t->in_peer);
    gnt_list_remove(&t->waiting);
    t->peer->terminus_count--;
    t->link->context = NULL;
}

static void leave(struct gnt_terminus *t, bool failed)
{
    leave_lists(t);
    t->owed++; /* until it has left */
    if (t->kind->leave)
        t->kind->leave(t, failed);
    part(t);
    remove_dynamic(t);
    gnt_terminus_paid(t);
}

struct gnt_suspended_key gnt_terminus_key(const struct gnt_amqp_peer *p,
                                          const struct gnt_amqp_link *link, struct gnt_slice node)
{
    return (struct gnt_suspended_key){.user = gnt_slice_str(p->user ? p->user : ""),
                                      .container = gnt_slice_str(p->container),
                                      .name = link->name,
                                      .node = node,
                                      .sender = link->sender};
}

/* What it keeps lives on, bound to BOUND, if there is room for it; else it leaves. */
static void suspend(struct gnt_terminus *t, bool failed, const struct gnt_amqp_peer *bound)
{
    const struct gnt_suspended_key key = gnt_terminus_key(t->peer, t->link, t->node);
    uint32_t deliveries = t->kind->keeps ? t->kind->keeps(t) : 0;
    if (!deliveries || t->front->stopping || gnt_suspended_put(t, &key, deliveries, bound)) {
        leave(t, failed);
        return;
    }
    leave_lists(t);
    t->owed++;
    t->kind->suspend(t, failed);
    part(t);
    gnt_terminus_paid(t);
}

/* Its session ends, or its connection. */
static void outlive(struct gnt_terminus *t, bool failed, const struct gnt_amqp_peer *rest)
{
    bool bound = rest && t->life.expiry == GNT_EXPIRES_WITH_CONNECTION;
    if (bound || (t->life.timeout_s && t->life.expiry != GNT_EXPIRES_WITH_LINK))
        suspend(t, failed, bound ? rest : NULL);
    else
        leave(t, failed);
}

void gnt_terminus_expire(struct gnt_terminus *t)
{
    t->owed++;
    t->kind->expire(t);
    remove_dynamic(t);
    gnt_terminus_paid(t);
}

void gnt_terminus_forget(struct gnt_terminus *t)
{
    gnt_suspended_over(t);
    free(t->dynamic);
    free(t->asked);
    t->dynamic = t->asked = NULL;
}

void gnt_terminus_put_back(struct gnt_terminus *t)
{
    t->owed++;
    if (t->front->stopping)
        gnt_terminus_forget(t);
    else
        gnt_suspended_put_back(t);
    t->kind->suspend(t, false);
    gnt_terminus_paid(t);
}

struct gnt_amqp_error gnt_link_error(enum gnt_amqp_condition condition, const char *text)
{
    struct gnt_amqp_error error = {.condition = gnt_slice(NULL, 0)};
    GNT_AMQP_SET(&error, condition, gnt_amqp_condition_symbol(condition));
    GNT_AMQP_SET(&error, description, gnt_slice_str(text));
    return error;
}

struct gnt_slice gnt_link_rejected(enum gnt_amqp_condition condition, const char *text,
                                   uint8_t bytes[GNT_LINK_STATE_SIZE])
{
    uint8_t inside[GNT_LINK_STATE_SIZE - 16];
    const struct gnt_amqp_error error = gnt_link_error(condition, text);
    struct gnt_amqp_rejected rejected = {.error = {.type = GNT_AMQP_NULL}};
    struct gnt_amqp_writer w = gnt_amqp_writer(inside, sizeof inside);
    gnt_amqp_put_error(&w, &error);
    GNT_ASSERT(gnt_amqp_fits(&w)); /* our own words are short */
    GNT_AMQP_SET(&rejected, error, gnt_amqp_encoded(gnt_amqp_written(&w)));
    w = gnt_amqp_writer(bytes, GNT_LINK_STATE_SIZE);
    gnt_amqp_put_rejected(&w, &rejected);
    GNT_ASSERT(gnt_amqp_fits(&w));
    return gnt_amqp_written(&w);
}

void gnt_terminus_end(struct gnt_terminus *t, enum gnt_amqp_condition condition, const char *text)
{
    struct gnt_amqp_peer *p = t->peer;
    struct gnt_amqp_link *link = t->link;
    const struct gnt_amqp_error error = gnt_link_error(condition, text);
    bool resting = t->resting;
    leave(t, false);
    if (resting)
        return; /* the peer has let go of it, and has heard that */
    gnt_err err = gnt_amqp_link_detach(link, true, &error);
    if (err && err != GNT_STATE) /* it is about to end anyway */
        gnt_amqp_peer_broke(p, err);
    gnt_amqp_peer_dirty(p);
}

/* ---- Of a peer */

void gnt_links_drop(struct gnt_amqp_peer *p, bool failed)
{
    gnt_list_each_safe (at, &p->termini)
        outlive(GNT_CONTAINER(at, struct gnt_terminus, in_peer), failed, NULL);
    gnt_suspended_unbind(p->front, p);
}

void gnt_links_yield(struct gnt_amqp_peer *p, struct gnt_slice name, bool sender)
{
    if (!p->resting)
        return;
    gnt_list_each_safe (at, &p->termini) {
        struct gnt_terminus *t = GNT_CONTAINER(at, struct gnt_terminus, in_peer);
        if (t->resting && t->link->sender == sender && gnt_slice_eq(t->link->name, name))
            suspend(t, false, p);
    }
}

void gnt_links_go_on(struct gnt_amqp_peer *p)
{
    struct gnt_list waiting;
    gnt_list_init(&waiting);
    gnt_list_splice_back(&waiting, &p->waiting);
    for (struct gnt_list *at; (at = gnt_list_pop_front(&waiting));) {
        struct gnt_terminus *t = GNT_CONTAINER(at, struct gnt_terminus, waiting);
        t->kind->go_on(t);
    }
}

/* ---- Events */

/* A session ends with its links. */
static void on_end(const struct gnt_amqp_event *event)
{
    bool failed = event->condition != GNT_AMQP_NO_CONDITION;
    gnt_list_each_safe (at, &event->session->links) {
        struct gnt_amqp_link *link = GNT_CONTAINER(at, struct gnt_amqp_link, in_session);
        struct gnt_terminus *t = link->context;
        if (t)
            outlive(t, failed, t->peer);
    }
}

/* What it keeps stays where its session is, if anything does. */
static void on_detach(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    bool failed = event->condition != GNT_AMQP_NO_CONDITION;
    bool closed = failed || event->performative.detach.closed;
    if (closed || t->life.expiry == GNT_EXPIRES_WITH_LINK || !t->kind->keeps ||
        !t->kind->keeps(t)) {
        leave(t, failed);
        return;
    }
    gnt_list_remove(&t->waiting);
    gnt_terminus_owe(t); /* it may end for want of memory */
    t->kind->rest(t);
    if (t->peer) {
        gnt_amqp_link_keep(t->link);
        t->resting = true;
        t->peer->resting++;
    }
    gnt_terminus_paid(t);
}

/* When all that has rested is settled there is nothing more to live for. */
static void on_disposition(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    gnt_terminus_owe(t);
    t->kind->disposition(t, event);
    if (t->peer && t->resting && !t->kind->keeps(t))
        leave(t, false);
    gnt_terminus_paid(t);
}

static void on_link(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    if (event->type == GNT_AMQP_EVENT_FLOW && t->kind->flow)
        t->kind->flow(t);
    else if (event->type == GNT_AMQP_EVENT_TRANSFER && t->kind->transfer)
        t->kind->transfer(t, event);
    else if (event->type == GNT_AMQP_EVENT_DISPOSITION && t->kind->disposition)
        on_disposition(t, event);
    else if (event->type == GNT_AMQP_EVENT_RESUME && t->kind->resumed)
        t->kind->resumed(t, event);
    else if (event->type == GNT_AMQP_EVENT_DETACH)
        on_detach(t, event);
}

void gnt_link_on_event(struct gnt_amqp_peer *p, const struct gnt_amqp_event *event)
{
    if (event->type == GNT_AMQP_EVENT_ATTACH)
        gnt_attach(p, event);
    else if (event->type == GNT_AMQP_EVENT_END)
        on_end(event);
    else if (event->link && event->link->context)
        on_link(event->link->context, event);
}
