#include "amqp/engine/inside.h"

#include <stdlib.h>

/* What a state says for this: nothing or `received` nothing yet, a part, an outcome. */
enum view { ABSENT, UNDECIDED, OUTCOME };

/* ---- Our map */

static size_t entry_size(const struct gnt_amqp_unsettled *u)
{
    return 2 + u->tag.size + (u->state.size ? u->state.size : 1);
}

/* How many of LIST fit into ROOM. */
static size_t fitting(const struct gnt_amqp_unsettled *list, size_t count, size_t room,
                      size_t *size)
{
    *size = 0;
    for (size_t i = 0; i < count; i++) {
        if (entry_size(&list[i]) > room - *size)
            return i;
        *size += entry_size(&list[i]);
    }
    return count;
}

static gnt_err restore_one(struct gnt_amqp_link *l, const struct gnt_amqp_unsettled *u)
{
    if (u->tag.size > GNT_AMQP_TAG_MAX)
        return GNT_INVALID;
    struct gnt_amqp_delivery *d = gnt_amqp_delivery_new(l, u->tag);
    if (!d)
        return GNT_NOMEM;
    d->context = u->context;
    d->resume = GNT_AMQP_RESUME_WAIT;
    struct gnt_amqp_value state = {.encoded = u->state};
    if (u->state.size && gnt_amqp_state_code(&state, &d->local_state))
        return GNT_INVALID;
    struct gnt_amqp_received received;
    if (d->local_state == GNT_AMQP_RECEIVED && !gnt_amqp_decode_received(u->state, &received)) {
        d->section = received.section_number;
        d->offset = received.section_offset;
    }
    return GNT_OK;
}

gnt_err gnt_amqp_restore(struct gnt_amqp_link *l, const struct gnt_amqp_unsettled *list,
                         size_t count, size_t used, struct gnt_slice *map)
{
    enum { HEADS = 32 }; /* of the frame, of the map, and what the attach's list grows by */
    size_t max = l->session->connection->peer_max_frame_size, size;
    if (used + HEADS > max)
        return GNT_TOOBIG;
    size_t told = fitting(list, count, max - used - HEADS, &size);
    uint8_t *bytes = malloc(size + HEADS);
    if (!bytes)
        return GNT_NOMEM;
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, size + HEADS);
    size_t mark = gnt_amqp_begin_map(&w);
    gnt_err err = GNT_OK;
    for (size_t i = 0; i < told && !err; i++) {
        err = restore_one(l, &list[i]);
        gnt_amqp_put_binary(&w, list[i].tag);
        if (list[i].state.size)
            gnt_amqp_put_raw(&w, list[i].state);
        else
            gnt_amqp_put_null(&w);
    }
    gnt_amqp_end_map(&w, mark, (uint32_t)told * 2);
    if (err || !gnt_amqp_fits(&w)) {
        free(bytes);
        return err ? err : GNT_TOOBIG;
    }
    l->restored = (uint32_t)told;
    *map = gnt_amqp_written(&w);
    return GNT_OK;
}

/* ---- The peer's map against ours */

static struct gnt_amqp_delivery *delivery_at(struct gnt_list *node)
{
    return GNT_CONTAINER(node, struct gnt_amqp_delivery, in_link);
}

/* Both maps are, as a rule, in the same order: the search goes on where the last one ended. */
static struct gnt_amqp_delivery *find(struct gnt_amqp_link *l, struct gnt_list **from,
                                      struct gnt_slice tag)
{
    struct gnt_list *node = *from;
    do {
        if (node != &l->deliveries && gnt_slice_eq(gnt_amqp_delivery_tag(delivery_at(node)), tag)) {
            *from = node->next;
            return delivery_at(node);
        }
        node = node->next;
    } while (node != *from);
    return NULL;
}

/* Where the peer's state of each of ours is in its attach. */
static void compare(struct gnt_amqp_link *l, struct gnt_slice frame)
{
    const struct gnt_amqp_connection *c = l->session->connection;
    if (c->rest.value_at == 0)
        return;
    struct gnt_amqp_value map =
        gnt_amqp_encoded(gnt_slice(frame.data + c->rest.value_at, c->rest.value_size));
    struct gnt_amqp_items items = gnt_amqp_items(&map);
    struct gnt_amqp_value tag, state;
    struct gnt_list *from = l->deliveries.next;
    while (gnt_amqp_items_pair(&items, &tag, &state)) {
        struct gnt_amqp_delivery *d =
            tag.type == GNT_AMQP_BINARY ? find(l, &from, tag.bytes) : NULL;
        if (d) {
            d->state_at = (uint32_t)(state.encoded.data - frame.data);
            d->state_size = (uint32_t)state.encoded.size;
        }
    }
}

/* What the peer says of D. */
struct theirs {
    enum view view;
    uint8_t code;
    struct gnt_amqp_value state;
    uint32_t section;
    uint64_t offset;
};

static struct theirs read_theirs(const struct gnt_amqp_delivery *d, struct gnt_slice frame)
{
    struct theirs t = {.view = ABSENT};
    if (d->state_at == 0)
        return t;
    t.state = gnt_amqp_encoded(gnt_slice(frame.data + d->state_at, d->state_size));
    if (t.state.type == GNT_AMQP_NULL || gnt_amqp_state_code(&t.state, &t.code))
        t.code = 0;
    t.view = gnt_amqp_state_terminal(t.code) ? OUTCOME : UNDECIDED;
    struct gnt_amqp_received received;
    if (t.code == GNT_AMQP_RECEIVED && !gnt_amqp_decode_received(t.state.encoded, &received)) {
        t.section = received.section_number;
        t.offset = received.section_offset;
    }
    return t;
}

/* The examples of [AMQP 2.6.13] are its rows. */
static enum gnt_amqp_resume decide(const struct gnt_amqp_delivery *d, const struct theirs *t,
                                   bool incomplete)
{
    bool decided = gnt_amqp_state_terminal(d->local_state);
    if (t->view == ABSENT && incomplete)
        return GNT_AMQP_RESUME_WAIT;
    if (!d->link->sender)
        return t->view == ABSENT ? GNT_AMQP_RESUME_FORGET : GNT_AMQP_RESUME_WAIT;
    switch (t->view) {
    case ABSENT: return decided ? GNT_AMQP_RESUME_FORGET : GNT_AMQP_RESUME_AGAIN;
    case OUTCOME:
        return decided && t->code != d->local_state ? GNT_AMQP_RESUME_RESTATE
                                                    : GNT_AMQP_RESUME_SETTLE;
    case UNDECIDED: break;
    }
    bool further = d->section > t->section || (d->section == t->section && d->offset > t->offset);
    return decided || further ? GNT_AMQP_RESUME_ABORT : GNT_AMQP_RESUME_CONTINUE;
}

gnt_err gnt_amqp_rest_of_attach(struct gnt_amqp_connection *c, struct gnt_slice frame,
                                struct gnt_amqp_event *out)
{
    struct gnt_amqp_link *l = c->rest.link;
    if (!c->rest.compared && l->answered && l->restored) {
        compare(l, frame);
        c->rest.delivery = l->deliveries.next;
        c->rest.compared = true;
    }
    if (!c->rest.compared || c->rest.delivery == &l->deliveries) {
        c->rest.link = NULL;
        return GNT_MORE;
    }
    struct gnt_amqp_delivery *d = delivery_at(c->rest.delivery);
    c->rest.delivery = d->in_link.next;
    struct theirs t = read_theirs(d, frame);
    d->resume = (uint8_t)decide(d, &t, c->rest.incomplete);
    d->peer_state = t.code;
    gnt_amqp_tell(out, GNT_AMQP_EVENT_RESUME, l->session, l);
    out->performative.code = 0;
    out->delivery = d;
    out->resume = d->resume;
    out->state = t.state;
    if (d->resume == GNT_AMQP_RESUME_FORGET)
        gnt_amqp_delivery_end(d);
    return GNT_OK;
}
