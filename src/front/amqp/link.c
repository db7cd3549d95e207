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
    if (!t->peer && !t->owed)
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

static void leave(struct gnt_terminus *t, bool failed)
{
    gnt_list_remove(&t->in_peer);
    gnt_list_remove(&t->waiting);
    t->peer->terminus_count--;
    t->link->context = NULL;
    t->owed++; /* until it has left */
    if (t->kind->leave)
        t->kind->leave(t, failed);
    t->peer = NULL;
    t->link = NULL;
    if (t->dynamic)
        gnt_attach_remove(t->front->home, t->dynamic);
    free(t->dynamic);
    free(t->asked);
    t->dynamic = t->asked = NULL;
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
    leave(t, false);
    gnt_err err = gnt_amqp_link_detach(link, true, &error);
    if (err && err != GNT_STATE) /* it is about to end anyway */
        gnt_amqp_peer_broke(p, err);
    gnt_amqp_peer_dirty(p);
}

/* ---- Of a peer */

void gnt_links_drop(struct gnt_amqp_peer *p, bool failed)
{
    gnt_list_each_safe (at, &p->termini)
        leave(GNT_CONTAINER(at, struct gnt_terminus, in_peer), failed);
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
        if (link->context)
            leave(link->context, failed);
    }
}

static void on_link(struct gnt_terminus *t, const struct gnt_amqp_event *event)
{
    if (event->type == GNT_AMQP_EVENT_FLOW && t->kind->flow)
        t->kind->flow(t);
    else if (event->type == GNT_AMQP_EVENT_TRANSFER && t->kind->transfer)
        t->kind->transfer(t, event);
    else if (event->type == GNT_AMQP_EVENT_DISPOSITION && t->kind->disposition)
        t->kind->disposition(t, event);
    else if (event->type == GNT_AMQP_EVENT_DETACH)
        leave(t, event->condition != GNT_AMQP_NO_CONDITION);
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
