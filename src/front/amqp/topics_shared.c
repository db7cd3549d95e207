/* A shared subscription as a source: the link is a member of the group that MQTT's sessions join
 * by the same "$share/GROUP/FILTER" (core/group.h).  It has no queue.  What it is offered it takes
 * as long as it has credit and not too much to send; what it has not settled when it goes is the
 * group's again.  No retained messages are sent for it, and filters of its own are not in force, as
 * a group asks its members for no more than room. */

#include "base/assert.h"
#include "core/group.h"
#include "core/ledger.h"
#include "front/amqp/outlet.h"

#include <stdlib.h>

enum {
    UNSENT_MAX = 64,
    /* Round trips to the group in which nothing came, until it is sure that nothing will.  In the
     * first one the answers to offers of the round before may still be under way, which holds up
     * the offers of this one. */
    DRY_ENOUGH = 2,
};

/* The question whether the group has more, on its way to the group's home and back.  Mail stays in
 * order: what is offered before the question arrives there comes before the answer. */
struct inquiry {
    struct gnt_owed owed;
    unsigned home; /* the link's */
    bool under_way;
    uint64_t taken; /* s->taken when it was asked */
    unsigned dry;   /* so many brought nothing, one after the other */
};

struct shared {
    struct gnt_outlet o;
    struct gnt_sink sink;
    struct gnt_joining joining;
    struct inquiry inquiry;
    uint64_t group;            /* 0: it is no member yet */
    uint32_t round;            /* the current one (core/group.h) */
    bool turned_down;          /* the group waits to hear that there is room */
    uint64_t taken;            /* so many offers were */
    struct gnt_rights *rights; /* the peer's, as the group knows them */
    struct gnt_work work;      /* sends what was taken */
    struct gnt_ledger ledger;
    struct gnt_slice key; /* "$share/GROUP/FILTER", behind the struct */
    /* Until it is answered: source and target, as they came, and the modes. */
    struct gnt_buf attach;
    size_t source_size;
    uint8_t snd_settle_mode, rcv_settle_mode;
};

struct given {
    struct gnt_going going;
    uint64_t sequence; /* the group's; 0: it is not kept */
};

static struct shared *shared_of(struct gnt_terminus *t)
{
    return GNT_CONTAINER(t, struct shared, o.t);
}

static struct gnt_home *home_of(const struct shared *s)
{
    return s->o.t.front->home;
}

/* ---- What ends */

static void settled(struct shared *s, uint64_t sequence)
{
    if (sequence)
        gnt_group_settled(home_of(s), s->group, sequence);
}

static void given_free(struct given *g)
{
    gnt_going_fini(&g->going);
    free(g);
}

/* It is nobody's any more. */
static void given_end(struct shared *s, struct given *g, enum gnt_counter how)
{
    settled(s, g->sequence);
    gnt_ledger_out(home_of(s), &s->ledger, how, g->going.message);
    given_free(g);
}

/* The group has it again. */
static void give_back(struct shared *s, struct given *g)
{
    struct gnt_message *message = gnt_message_ref(g->going.message);
    if (gnt_group_return(home_of(s), s->group, g->sequence, &message)) {
        gnt_ledger_out(home_of(s), &s->ledger, GNT_COUNT_DROPPED_NO_MEMORY, message);
        gnt_message_unref(&message);
    } else {
        gnt_ledger_add(&s->ledger, GNT_COUNT_DUE, -1);
    }
    given_free(g);
}

/* ---- In */

static bool has_room(const struct shared *s)
{
    return s->o.unsent_count < UNSENT_MAX && gnt_outlet_credit(&s->o);
}

/* It will be told that there is room. */
static enum gnt_offer turn_down(struct shared *s)
{
    s->turned_down = true;
    gnt_home_later(home_of(s), &s->work);
    return GNT_OFFER_BUSY;
}

static enum gnt_offer take(struct shared *s, const struct gnt_offered *offered)
{
    struct gnt_envelope_hop hop = {.failed = 0};
    struct given *g = calloc(1, sizeof *g);
    gnt_err err = g ? gnt_outlet_put(&s->o, &g->going, offered->message, &hop) : GNT_NOMEM;
    if (err)
        free(g);
    if (err && err != GNT_TOOBIG)
        return GNT_OFFER_FAILED;
    gnt_ledger_add(&s->ledger, GNT_COUNT_DUE, 1); /* the group has counted it in */
    s->taken++;
    if (err) {
        settled(s, offered->sequence);
        gnt_ledger_out(home_of(s), &s->ledger, GNT_COUNT_DROPPED_TOO_LARGE, offered->message);
    } else {
        g->sequence = offered->sequence;
        gnt_home_later(home_of(s), &s->work);
    }
    return GNT_OFFER_TAKEN;
}

/* What is taken is sent later in the turn: what comes of that may end the link, and the group must
 * not change while it offers. */
static enum gnt_offer shared_offer(struct gnt_sink *sink, const struct gnt_offered *offered)
{
    struct shared *s = GNT_CONTAINER(sink, struct shared, sink);
    if (offered->group != s->group)
        return GNT_OFFER_GONE;
    if (s->turned_down || offered->round != s->round)
        return GNT_OFFER_BUSY;
    /* The group passes over who may not have a message.  If it comes all the same, the group does
     * not know yet what has changed, and will before it hears that there is room. */
    bool may = gnt_amqp_peer_may_receive(s->o.t.peer, offered->message->topic);
    return may && has_room(s) ? take(s, offered) : turn_down(s);
}

static void shared_account(struct gnt_sink *sink, struct gnt_account *out)
{
    const struct shared *s = GNT_CONTAINER(sink, struct shared, sink);
    *out = (struct gnt_account){.group = gnt_slice_str("amqp"),
                                .filter = s->key,
                                .ledger = &s->ledger};
    gnt_list_each (unsent, &s->o.unsent)
        out->queued++;
    gnt_list_each (sent, &s->o.sent)
        out->queued++;
}

static const struct gnt_sink_ops sink_ops = {.offer = shared_offer, .account = shared_account};

/* ---- What the group has to know */

/* What of RIGHTS the group has to know; NULL: no message needs a look. */
static struct gnt_rights *bounds_of(const struct shared *s, struct gnt_rights *rights)
{
    return gnt_rights_may_subscribe(rights, s->key) == GNT_REACH_ALL ? NULL : rights;
}

static gnt_err tell_rights(struct shared *s)
{
    struct gnt_rights *rights = gnt_amqp_peer_rights(s->o.t.peer), *before = s->rights;
    if (before == rights)
        return GNT_OK;
    gnt_err err = gnt_group_bind(home_of(s), s->group, s->sink.id, bounds_of(s, rights));
    if (err)
        return err;
    s->rights = gnt_rights_ref(rights);
    gnt_rights_unref(&before);
    return GNT_OK;
}

static gnt_err tell_ready(struct shared *s)
{
    if (!s->turned_down || s->o.unsent_count || !gnt_outlet_credit(&s->o))
        return GNT_OK;
    gnt_err err = gnt_group_ready(home_of(s), s->group, s->sink.id, s->round + 1);
    if (err)
        return err;
    s->round++;
    s->turned_down = false;
    return GNT_OK;
}

/* ---- Draining: the credit is gone when the group has no more */

static void on_inquired(const struct gnt_mail *mail);

static void on_inquiry(const struct gnt_mail *mail)
{
    struct inquiry *i = mail->object;
    gnt_home_mail_surely(mail->to, i->home, on_inquired, i, &i->owed);
}

static bool drains(const struct shared *s)
{
    const struct gnt_amqp_link *link = s->o.t.link;
    return link->drain && link->credit && !s->o.unsent_count && !s->turned_down;
}

static void inquire(struct shared *s)
{
    struct inquiry *i = &s->inquiry;
    if (i->under_way || !drains(s))
        return;
    i->under_way = true;
    i->taken = s->taken;
    i->home = home_of(s)->index;
    gnt_terminus_owe(&s->o.t);
    gnt_home_mail_surely(home_of(s), gnt_sink_home(s->group), on_inquiry, i, &i->owed);
}

static void on_inquired(const struct gnt_mail *mail)
{
    struct shared *s = GNT_CONTAINER(mail->object, struct shared, inquiry);
    struct inquiry *i = &s->inquiry;
    i->under_way = false;
    if (s->o.t.peer && drains(s)) {
        i->dry = s->taken == i->taken ? i->dry + 1 : 0;
        if (i->dry == DRY_ENOUGH) {
            gnt_amqp_link_drained(s->o.t.link);
            gnt_amqp_peer_dirty(s->o.t.peer);
            i->dry = 0;
        }
        inquire(s);
    } else {
        i->dry = 0;
    }
    gnt_terminus_paid(&s->o.t);
}

/* ---- Out */

static bool shared_room(struct gnt_outlet *o)
{
    struct shared *s = GNT_CONTAINER(o, struct shared, o);
    if (!s->group)
        return false;
    if (tell_rights(s) || tell_ready(s))
        gnt_home_later(home_of(s), &s->work); /* there was no memory to say it */
    inquire(s);
    return false;
}

static void shared_over(struct gnt_outlet *o, struct gnt_going *g, enum gnt_counter how)
{
    given_end(GNT_CONTAINER(o, struct shared, o), GNT_CONTAINER(g, struct given, going), how);
}

static void shared_sent(struct gnt_outlet *o, struct gnt_going *g, bool settled)
{
    if (settled)
        shared_over(o, g, GNT_COUNT_DELIVERED);
}

static void shared_too_large(struct gnt_outlet *o, struct gnt_going *g)
{
    shared_over(o, g, GNT_COUNT_DROPPED_TOO_LARGE);
}

static void shared_back(struct gnt_outlet *o, struct gnt_going *g,
                        const struct gnt_settling *settling)
{
    (void)settling;
    give_back(GNT_CONTAINER(o, struct shared, o), GNT_CONTAINER(g, struct given, going));
}

static const struct gnt_outlet_ops outlet_ops = {shared_sent, shared_too_large, shared_room,
                                                 shared_back, shared_over};

static void shared_work(struct gnt_home *home, struct gnt_work *work)
{
    (void)home;
    gnt_outlet_flow(&GNT_CONTAINER(work, struct shared, work)->o.t);
}

static void shared_review(struct gnt_terminus *t)
{
    struct shared *s = shared_of(t);
    gnt_home_later(home_of(s), &s->work);
}

/* ---- Its life */

static void give_back_all(struct shared *s, struct gnt_list *list)
{
    gnt_list_each_safe (link, list)
        give_back(s, GNT_CONTAINER(link, struct given, going.link));
}

/* It leaves first, so that it is not offered what it gives back. */
static void shared_leave(struct gnt_terminus *t, bool failed)
{
    struct shared *s = shared_of(t);
    struct gnt_home *home = home_of(s);
    (void)failed;
    gnt_work_cancel(&s->work);
    if (s->group) {
        gnt_group_leave(home, s->group, s->sink.id);
        gnt_count(&home->counters, GNT_COUNT_SUBSCRIPTIONS, -1);
        gnt_count(&home->counters, GNT_COUNT_SHARED_SUBSCRIPTIONS, -1);
    }
    give_back_all(s, &s->o.sent);
    give_back_all(s, &s->o.unsent);
    gnt_slots_remove(&home->slots, &s->sink);
}

static void shared_free(struct gnt_terminus *t)
{
    struct shared *s = shared_of(t);
    gnt_rights_unref(&s->joining.rights);
    gnt_rights_unref(&s->rights);
    gnt_buf_fini(&s->attach);
    free(s);
}

static const struct gnt_terminus_kind shared_kind = {
    .flow = gnt_outlet_flow,
    .disposition = gnt_outlet_disposition,
    .go_on = gnt_outlet_flow,
    .review = shared_review,
    .leave = shared_leave,
    .free = shared_free,
};

/* ---- Joining: a peer that has its answer misses nothing that is published from then on */

static gnt_err tell_answer(const struct shared *s)
{
    struct gnt_slice attach = gnt_buf_slice(&s->attach);
    struct gnt_wanted wanted = {.link = s->o.t.link,
                                .source_bytes = gnt_slice(attach.data, s->source_size),
                                .target_bytes = gnt_slice_skip(attach, s->source_size),
                                .snd_settle_mode = s->snd_settle_mode,
                                .rcv_settle_mode = s->rcv_settle_mode};
    gnt_err err = gnt_amqp_decode_source(wanted.source_bytes, &wanted.source);
    return err ? err : gnt_attach_answer(s->o.t.peer, &wanted, gnt_slice(NULL, 0));
}

static void answer(struct shared *s)
{
    gnt_err err = tell_answer(s);
    gnt_buf_fini(&s->attach);
    if (err)
        gnt_terminus_end(&s->o.t, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, gnt_err_text(err));
    else
        gnt_outlet_flow(&s->o.t);
}

static void joined(struct shared *s, enum gnt_outcome outcome)
{
    struct gnt_home *home = home_of(s);
    struct gnt_terminus *t = &s->o.t;
    if (!t->peer) {
        if (outcome == GNT_DONE)
            gnt_group_leave(home, s->joining.group, s->joining.member);
        return;
    }
    if (outcome != GNT_DONE) {
        gnt_terminus_end(t, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
                         outcome == GNT_QUOTA ? "one topic name would lead to too many filters"
                                              : gnt_err_text(GNT_NOMEM));
        return;
    }
    s->group = s->joining.group;
    gnt_count(&home->counters, GNT_COUNT_SUBSCRIPTIONS, 1);
    gnt_count(&home->counters, GNT_COUNT_SHARED_SUBSCRIPTIONS, 1);
    gnt_amqp_peer_dirty(t->peer);
    answer(s);
}

static void on_joined(struct gnt_joining *joining, enum gnt_outcome outcome)
{
    struct shared *s = GNT_CONTAINER(joining, struct shared, joining);
    joined(s, outcome);
    gnt_terminus_paid(&s->o.t);
}

/* What is wanted outlives the frame that it came in. */
static gnt_err keep_wanted(struct shared *s, const struct gnt_wanted *wanted)
{
    s->source_size = wanted->source_bytes.size;
    s->snd_settle_mode = wanted->snd_settle_mode;
    s->rcv_settle_mode = wanted->rcv_settle_mode;
    gnt_err err = gnt_buf_put(&s->attach, wanted->source_bytes);
    return err ? err : gnt_buf_put(&s->attach, wanted->target_bytes);
}

static struct shared *shared_new(struct gnt_amqp_peer *p, const struct gnt_wanted *wanted)
{
    struct gnt_home *home = gnt_amqp_peer_home(p);
    struct shared *s = calloc(1, sizeof *s + wanted->name.size);
    if (!s)
        return NULL;
    memcpy(s + 1, wanted->name.data, wanted->name.size);
    s->key = gnt_slice(s + 1, wanted->name.size);
    s->sink.ops = &sink_ops;
    s->o.t.front = p->front;
    gnt_outlet_init(&s->o, &outlet_ops, wanted->snd_settle_mode == GNT_AMQP_SENDER_SETTLED,
                    p->front->shared->random);
    gnt_work_init(&s->work, shared_work);
    if (keep_wanted(s, wanted) || gnt_slots_add(&home->slots, home->index, &s->sink)) {
        shared_free(&s->o.t);
        return NULL;
    }
    return s;
}

gnt_err gnt_topics_share(struct gnt_amqp_peer *p, struct gnt_wanted *wanted)
{
    struct shared *s = shared_new(p, wanted);
    struct gnt_share share;
    enum gnt_outcome outcome;
    if (!s)
        return GNT_NOMEM;
    gnt_err err = gnt_topic_share(s->key, &share);
    GNT_ASSERT(err == GNT_OK); /* the caller has looked */
    gnt_terminus_init(&s->o.t, &shared_kind, p, wanted->link);
    s->rights = gnt_rights_ref(gnt_amqp_peer_rights(p));
    s->joining = (struct gnt_joining){.done = on_joined,
                                      .member = s->sink.id,
                                      .options = {.qos = 1},
                                      .rights = gnt_rights_ref(bounds_of(s, s->rights)),
                                      .name = share.group,
                                      .filter = share.filter};
    gnt_terminus_owe(&s->o.t);
    if (gnt_group_join(gnt_amqp_peer_home(p), &s->joining, &outcome))
        on_joined(&s->joining, outcome);
    return GNT_OK;
}
