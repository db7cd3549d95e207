#include "amqp/engine/inside.h"

#include "base/spare.h"

struct gnt_amqp_delivery *gnt_amqp_delivery_new(struct gnt_amqp_link *l, struct gnt_slice tag)
{
    struct gnt_amqp_delivery *d = gnt_spare_get(sizeof *d);
    if (!d)
        return NULL;
    memset(d, 0, sizeof *d);
    d->link = l;
    d->tag_size = (uint8_t)tag.size;
    if (tag.size)
        memcpy(d->tag, tag.data, tag.size);
    gnt_list_push_back(&l->deliveries, &d->in_link);
    return d;
}

void gnt_amqp_delivery_know(struct gnt_amqp_delivery *d)
{
    gnt_amqp_ids_add(gnt_amqp_link_ids(d->link), d->id, d);
    ++*gnt_amqp_link_unsettled(d->link);
    d->known = true;
}

void gnt_amqp_delivery_forget(struct gnt_amqp_delivery *d)
{
    if (!d->known)
        return;
    gnt_amqp_ids_remove(gnt_amqp_link_ids(d->link), d->id);
    --*gnt_amqp_link_unsettled(d->link);
    d->known = false;
}

/* An attach that is not told to its end goes on with the next one. */
static void leave_list(struct gnt_amqp_delivery *d)
{
    struct gnt_amqp_connection *c = d->link->session->connection;
    if (c->rest.link == d->link && c->rest.delivery == &d->in_link)
        c->rest.delivery = d->in_link.next;
    gnt_list_remove(&d->in_link);
}

void gnt_amqp_delivery_end(struct gnt_amqp_delivery *d)
{
    gnt_amqp_delivery_forget(d);
    leave_list(d);
    d->link->session->connection->gone_delivery = d;
}

void gnt_amqp_delivery_drop(struct gnt_amqp_delivery *d)
{
    gnt_amqp_delivery_forget(d);
    leave_list(d);
    d->dropped = true;
}

void gnt_amqp_delivery_free(struct gnt_amqp_delivery *d)
{
    struct gnt_amqp_connection *c = d->link->session->connection;
    gnt_amqp_delivery_forget(d);
    leave_list(d);
    if (d->link->partial == d)
        d->link->partial = NULL;
    if (c->gone_delivery == d)
        c->gone_delivery = NULL;
    gnt_spare_put(d, sizeof *d);
}
