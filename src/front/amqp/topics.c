/* Topics as a source: what is published there, over whichever protocol, as messages of AMQP.  The
 * link is a sink of its own in the topic tree, like a session that ends with its client: what is
 * retained comes first, and what waits is bounded as a session's queue is (core/pending.h), so that
 * publishers who can wait do while it is full. */

#include "core/pending.h"
#include "front/amqp/outlet.h"

#include <stdlib.h>

enum { RETAINED_AT_ONCE = 32, PUT_AT_ONCE = 64 };

struct topics {
    struct gnt_outlet o;
    struct gnt_sink sink;
    struct gnt_tree_node *place;
    struct gnt_slice filter; /* behind the struct */
    struct gnt_consumer_filter *select;
    struct gnt_pending waiting; /* `ids.one`: deliveries that have failed */
    struct gnt_ledger ledger;
    struct gnt_tree_cursor cursor;
    struct gnt_work walk; /* over what is retained */
    bool walking;
    bool overflowed; /* and the policy is to disconnect */
};

struct given {
    struct gnt_going going;
    uint32_t failed;
};

static struct topics *topics_of(struct gnt_terminus *t)
{
    return GNT_CONTAINER(t, struct topics, o.t);
}

static struct topics *of_outlet(struct gnt_outlet *o)
{
    return GNT_CONTAINER(o, struct topics, o);
}

static struct gnt_home *home_of(const struct topics *s)
{
    return s->o.t.front->home;
}

static void count_out(struct topics *s, enum gnt_counter how, const struct gnt_message *message)
{
    gnt_ledger_out(home_of(s), &s->ledger, how, message);
}

static void given_free(struct topics *s, struct given *g, enum gnt_counter how)
{
    count_out(s, how, g->going.message);
    gnt_going_fini(&g->going);
    free(g);
}

/* ---- In */

static void disconnect(struct gnt_pending *queue)
{
    struct topics *s = GNT_CONTAINER(queue, struct topics, waiting);
    s->overflowed = true;
    gnt_home_later(home_of(s), &s->walk);
}

static const struct gnt_pending_ops pending_ops = {.disconnect = disconnect};

/* What finds no room is dropped. */
static void queue(struct topics *s, struct gnt_message *message, struct gnt_receipt *receipt)
{
    struct gnt_waiting w = {.message = gnt_message_ref(message)};
    gnt_ledger_in(home_of(s), &s->ledger, message);
    if (gnt_pending_admits(&s->waiting, &w, true, receipt))
        gnt_pending_put(&s->waiting, &w, true);
}

static bool wants(struct topics *s, const struct gnt_message *message)
{
    if (gnt_message_expired(message, *home_of(s)->now))
        return false;
    return !s->select || s->select->matches(s->select, message);
}

/* It is sent later in the turn: what comes of that may end the link, and the tree must not change
 * while the message is handed out. */
static void topics_take(struct gnt_sink *sink, struct gnt_message *message,
                        const struct gnt_match *match, struct gnt_receipt *receipt)
{
    struct topics *s = GNT_CONTAINER(sink, struct topics, sink);
    (void)match;
    if (!wants(s, message))
        return;
    if (!gnt_amqp_peer_may_receive(s->o.t.peer, message->topic)) {
        gnt_ledger_pass(home_of(s), &s->ledger, GNT_COUNT_DROPPED_DENIED);
        return;
    }
    queue(s, message, receipt);
    gnt_home_later(home_of(s), &s->walk);
}

static void topics_account(struct gnt_sink *sink, struct gnt_account *out)
{
    const struct topics *s = GNT_CONTAINER(sink, struct topics, sink);
    uint64_t queued = gnt_pending_count(&s->waiting);
    gnt_list_each (unsent, &s->o.unsent)
        queued++;
    gnt_list_each (sent, &s->o.sent)
        queued++;
    *out = (struct gnt_account){.group = gnt_slice_str("amqp"),
                                .filter = s->filter,
                                .ledger = &s->ledger,
                                .queued = queued};
}

static const struct gnt_sink_ops sink_ops = {.take = topics_take, .account = topics_account};

/* ---- Out */

/* The first that waits goes to the outlet; false: there is no memory. */
static bool put_first(struct topics *s)
{
    const struct gnt_waiting *w = gnt_backlog_first(&s->waiting.backlog);
    struct gnt_envelope_hop hop = {.failed = w->ids.one, .acquired = w->again};
    struct given *g = calloc(1, sizeof *g);
    gnt_err err = g ? gnt_outlet_put(&s->o, &g->going, w->message, &hop) : GNT_NOMEM;
    if (err)
        free(g);
    if (err == GNT_TOOBIG)
        gnt_pending_drop_first(&s->waiting, GNT_COUNT_DROPPED_TOO_LARGE);
    if (err)
        return err == GNT_TOOBIG;
    struct gnt_waiting gone;
    g->failed = w->ids.one;
    gnt_pending_pop(&s->waiting, &gone);
    gnt_waiting_fini(&gone);
    return true;
}

static bool topics_room(struct gnt_outlet *o)
{
    struct topics *s = of_outlet(o);
    unsigned count = 0;
    if (o->unsent_count)
        return false;
    while (gnt_outlet_credit(o) && count < PUT_AT_ONCE && gnt_pending_first(&s->waiting)) {
        if (!put_first(s)) {
            gnt_amqp_peer_broke(o->t.peer, GNT_NOMEM);
            return false;
        }
        count++;
    }
    if (s->walking && gnt_pending_count(&s->waiting) < PUT_AT_ONCE)
        gnt_home_later(home_of(s), &s->walk);
    if (o->t.link->drain && o->t.link->credit && !count && gnt_pending_empty(&s->waiting) &&
        !s->walking) {
        gnt_amqp_link_drained(o->t.link);
        gnt_amqp_peer_dirty(o->t.peer);
    }
    return count > 0;
}

static void topics_over(struct gnt_outlet *o, struct gnt_going *g, enum gnt_counter how)
{
    given_free(of_outlet(o), GNT_CONTAINER(g, struct given, going), how);
}

static void topics_sent(struct gnt_outlet *o, struct gnt_going *g, bool settled)
{
    if (settled)
        topics_over(o, g, GNT_COUNT_DELIVERED);
}

static void topics_too_large(struct gnt_outlet *o, struct gnt_going *g)
{
    topics_over(o, g, GNT_COUNT_DROPPED_TOO_LARGE);
}

/* It is to be delivered again, before the others. */
static void topics_back(struct gnt_outlet *o, struct gnt_going *going,
                        const struct gnt_settling *settling)
{
    struct given *g = GNT_CONTAINER(going, struct given, going);
    struct gnt_waiting w = {.message = gnt_message_ref(going->message),
                            .ids.one = g->failed + (settling->failed ? 1 : 0),
                            .again = true};
    if (gnt_pending_return(&of_outlet(o)->waiting, &w)) {
        gnt_message_unref(&w.message);
        topics_over(o, going, GNT_COUNT_DROPPED_NO_MEMORY);
    } else {
        gnt_going_fini(going);
        free(g);
    }
}

static const struct gnt_outlet_ops outlet_ops = {topics_sent, topics_too_large, topics_room,
                                                 topics_back, topics_over};

/* ---- What is retained, some at a time, as there is room */

static void walk_on(struct topics *s)
{
    struct gnt_message *found[RETAINED_AT_ONCE];
    size_t count = 0;
    gnt_err err =
        gnt_tree_retained(home_of(s)->tree, s->filter, &s->cursor, RETAINED_AT_ONCE, found, &count);
    for (size_t i = 0; i < count; i++) {
        if (wants(s, found[i]) && gnt_amqp_peer_may_receive(s->o.t.peer, found[i]->topic))
            queue(s, found[i], NULL);
        gnt_message_unref(&found[i]);
    }
    if (count || err == GNT_MORE)
        gnt_home_later(home_of(s), &s->walk);
    else
        s->walking = false;
}

static void topics_work(struct gnt_home *home, struct gnt_work *work)
{
    struct topics *s = GNT_CONTAINER(work, struct topics, walk);
    (void)home;
    if (s->overflowed) {
        gnt_terminus_end(&s->o.t, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, "too much waits for the link");
        return;
    }
    if (s->walking && gnt_pending_count(&s->waiting) < PUT_AT_ONCE)
        walk_on(s);
    gnt_outlet_flow(&s->o.t);
}

/* ---- Its life */

static void give_up(struct topics *s, struct gnt_list *list)
{
    gnt_list_each_safe (link, list)
        given_free(s, GNT_CONTAINER(link, struct given, going.link), GNT_COUNT_DROPPED_SESSION_END);
}

static void topics_leave(struct gnt_terminus *t, bool failed)
{
    struct topics *s = topics_of(t);
    struct gnt_home *home = home_of(s);
    (void)failed;
    gnt_tree_unsubscribe(home->tree, s->place, s->sink.id);
    gnt_slots_remove(&home->slots, &s->sink);
    gnt_count(&home->counters, GNT_COUNT_SUBSCRIPTIONS, -1);
    gnt_work_cancel(&s->walk);
    gnt_tree_cursor_fini(home->tree, &s->cursor);
    give_up(s, &s->o.unsent);
    give_up(s, &s->o.sent);
    gnt_pending_fini(&s->waiting, GNT_COUNT_DROPPED_SESSION_END);
}

static void topics_free(struct gnt_terminus *t)
{
    struct topics *s = topics_of(t);
    if (s->select)
        s->select->unref(s->select);
    free(s);
}

static const struct gnt_terminus_kind topics_kind = {
    .flow = gnt_outlet_flow,
    .disposition = gnt_outlet_disposition,
    .go_on = gnt_outlet_flow,
    .leave = topics_leave,
    .free = topics_free,
};

/* One that could not be subscribed. */
static const struct gnt_terminus_kind unsubscribed_kind = {.free = topics_free};

static gnt_err subscribe(struct topics *s, struct gnt_home *home)
{
    const struct gnt_sub_options options = {.qos = 1};
    bool existed;
    gnt_err err = gnt_slots_add(&home->slots, home->index, &s->sink);
    if (err)
        return err;
    err = gnt_tree_subscribe(home->tree, s->filter, s->sink.id, &options, &existed, &s->place);
    if (err)
        gnt_slots_remove(&home->slots, &s->sink);
    else
        gnt_count(&home->counters, GNT_COUNT_SUBSCRIPTIONS, 1);
    return err;
}

static gnt_err answer(struct topics *s, struct gnt_amqp_peer *p, struct gnt_wanted *wanted)
{
    struct gnt_buf in_force = {0};
    gnt_err err = gnt_select_new(&wanted->source.filter, gnt_amqp_peer_publisher(p), &in_force,
                                 &s->select, wanted->why);
    if (!err)
        err = gnt_attach_answer(p, wanted, gnt_buf_slice(&in_force));
    gnt_buf_fini(&in_force);
    return err;
}

gnt_err gnt_topics_new(struct gnt_amqp_peer *p, struct gnt_wanted *wanted,
                       struct gnt_terminus **out)
{
    struct gnt_home *home = gnt_amqp_peer_home(p);
    struct topics *s = calloc(1, sizeof *s + wanted->name.size);
    if (!s)
        return GNT_NOMEM;
    memcpy(s + 1, wanted->name.data, wanted->name.size);
    s->filter = gnt_slice(s + 1, wanted->name.size);
    s->sink.ops = &sink_ops;
    s->o.t.front = p->front;
    gnt_outlet_init(&s->o, &outlet_ops, wanted->snd_settle_mode == GNT_AMQP_SENDER_SETTLED,
                    p->front->shared->random);
    gnt_work_init(&s->walk, topics_work);
    gnt_pending_init(&s->waiting, home, &s->ledger, &pending_ops);
    gnt_err err = answer(s, p, wanted);
    if (err) {
        topics_free(&s->o.t);
        return err;
    }
    gnt_terminus_init(&s->o.t, &topics_kind, p, wanted->link);
    err = subscribe(s, home);
    if (err) {
        s->o.t.kind = &unsubscribed_kind;
        gnt_terminus_end(&s->o.t, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
                         err == GNT_FULL ? "one topic name would lead to too many filters"
                                         : gnt_err_text(err));
        return GNT_STATE;
    }
    s->walking = true;
    gnt_home_later(home, &s->walk);
    *out = &s->o.t;
    return GNT_OK;
}
