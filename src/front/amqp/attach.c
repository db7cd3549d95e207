/* ATTACH: what a link is wanted to, whether there is such a thing, and whether the peer may. */

#include "auth/rights.h"
#include "front/amqp/coordinator.h"
#include "front/amqp/link.h"
#include "model/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { DYNAMIC_NAME_MAX = 48 };

/* While the directory is asked. */
struct attaching {
    struct gnt_terminus t;
    struct gnt_entity_asking asking;
    struct gnt_suspended_claim claim; /* of one that may be there under its name */
    struct gnt_waking waking;         /* of what was found */
    bool awaited;                     /* the peer is not read meanwhile */
    uint32_t round;                   /* of front->review, in which the peer's rights were asked */
    enum gnt_address_kind kind;
    uint8_t snd_settle_mode, rcv_settle_mode;
    bool sender;           /* we are to send: it is a source */
    struct gnt_buf attach; /* source and target, as they came */
    struct gnt_slice source, target;
    char name[GNT_ENTITY_NAME_MAX + sizeof("/" GNT_DEAD_LETTERS)];
};

/* ---- No */

static const enum gnt_amqp_condition conditions[] = {
    [GNT_QUEUE_NOT_FOUND] = GNT_AMQP_NOT_FOUND,
    [GNT_QUEUE_BAD_NAME] = GNT_AMQP_INVALID_FIELD,
    [GNT_QUEUE_LIMIT] = GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
    [GNT_QUEUE_IN_USE] = GNT_AMQP_RESOURCE_LOCKED,
    [GNT_QUEUE_FULL] = GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
    [GNT_QUEUE_TOO_LARGE] = GNT_AMQP_LINK_MESSAGE_SIZE_EXCEEDED,
    [GNT_QUEUE_NO_MEMORY] = GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
    [GNT_QUEUE_NO_STORE] = GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
    [GNT_QUEUE_READ_ONLY] = GNT_AMQP_NOT_ALLOWED,
};

enum gnt_amqp_condition gnt_attach_condition(enum gnt_queue_result result)
{
    bool has = result < sizeof conditions / sizeof conditions[0] && conditions[result];
    return has ? conditions[result] : GNT_AMQP_INTERNAL_ERROR;
}

void gnt_attach_refuse(struct gnt_amqp_peer *p, struct gnt_amqp_link *link,
                       enum gnt_amqp_condition condition, const char *text)
{
    const struct gnt_amqp_error error = gnt_link_error(condition, text);
    gnt_err err = gnt_amqp_link_refuse(link, &error);
    if (err && err != GNT_STATE)
        gnt_amqp_peer_broke(p, err);
    gnt_amqp_peer_dirty(p);
}

/* ---- Queues that are made for a link, and go with it */

struct removal {
    struct gnt_entity_asking asking;
    char name[];
};

static void on_removed(struct gnt_home *home, struct gnt_entity_asking *asking,
                       enum gnt_queue_result result)
{
    (void)home, (void)result;
    free(GNT_CONTAINER(asking, struct removal, asking));
}

void gnt_attach_remove(struct gnt_home *home, const char *name)
{
    size_t size = strlen(name);
    struct removal *r = calloc(1, sizeof *r + size + 1);
    if (!r)
        return; /* it goes with the process, as it is not kept */
    memcpy(r->name, name, size);
    r->asking.done = on_removed;
    r->asking.verb = GNT_ENTITY_DELETE;
    r->asking.name = gnt_slice(r->name, size);
    gnt_entity_ask(home, &r->asking);
}

static void name_dynamic(const struct gnt_amqp_peer *p, char *out)
{
    const struct gnt_random *random = p->front->shared->random;
    snprintf(out, DYNAMIC_NAME_MAX, "dynamic-%016" PRIx64 "%016" PRIx64, gnt_random_u64(random),
             gnt_random_u64(random));
}

/* ---- Yes */

/* NAME: the queue's, which the terminus takes; *name is NULL then. */
static void settle(struct gnt_amqp_peer *p, struct gnt_wanted *w, enum gnt_address_kind kind,
                   char **name)
{
    bool dynamic = kind == GNT_ADDRESS_DYNAMIC;
    struct gnt_terminus *t;
    gnt_err err;
    if (!w->link->sender)
        err = gnt_incoming_new(p, w, kind, &t);
    else if (kind == GNT_ADDRESS_TOPIC)
        err = gnt_topics_new(p, w, &t);
    else
        err = gnt_outgoing_new(p, w, &t);
    gnt_amqp_peer_dirty(p);
    if (err == GNT_OK) {
        char **to = dynamic ? &t->dynamic : &t->asked;
        free(*to);
        *to = *name;
        *name = NULL;
    } else if (err == GNT_INVALID) {
        gnt_attach_refuse(p, w->link, GNT_AMQP_INVALID_FIELD, w->why);
    } else if (err != GNT_STATE) {
        gnt_attach_refuse(p, w->link, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, gnt_err_text(err));
    }
}

/* What stands in its bytes; false: it is nothing of AMQP 1.0. */
static bool decode(struct gnt_wanted *w)
{
    bool good = true;
    if (w->source_bytes.size)
        good = !gnt_amqp_decode_source(w->source_bytes, &w->source);
    if (w->target_bytes.size)
        good = good && !gnt_amqp_decode_target(w->target_bytes, &w->target);
    return good;
}

/* ---- Asking */

static void attaching_free(struct gnt_terminus *t)
{
    struct attaching *a = GNT_CONTAINER(t, struct attaching, t);
    gnt_buf_fini(&a->attach);
    free(a);
}

static const struct gnt_terminus_kind attaching_kind = {.free = attaching_free};

/* The link is not the terminus' any more, which is gone after that. */
static void hand_over(struct attaching *a)
{
    a->t.link->context = NULL;
    gnt_list_remove(&a->t.in_peer);
    a->t.peer->terminus_count--;
    a->t.peer = NULL;
    a->t.link = NULL;
}

static enum gnt_verb verb_of(const struct gnt_amqp_link *link)
{
    return link->sender ? GNT_VERB_LISTEN : GNT_VERB_SEND;
}

/* There may be another access list by now. */
static bool may_still(struct gnt_amqp_peer *p, const struct attaching *a)
{
    return a->kind == GNT_ADDRESS_DYNAMIC || a->round == p->front->review_round ||
           gnt_amqp_peer_may(p, verb_of(a->t.link), a->asking.name);
}

/* What the core says against it, in words. */
static const char *words_of(const struct attaching *a, enum gnt_queue_result result)
{
    const char *problem =
        result == GNT_QUEUE_BAD_NAME ? gnt_entity_name_problem(a->asking.name) : NULL;
    return problem ? problem : gnt_queue_result_text(result);
}

static struct gnt_wanted wanted_of(const struct attaching *a)
{
    return (struct gnt_wanted){.link = a->t.link,
                               .source_bytes = a->source,
                               .target_bytes = a->target,
                               .snd_settle_mode = a->snd_settle_mode,
                               .rcv_settle_mode = a->rcv_settle_mode,
                               .facts = &a->asking.facts,
                               .queue = a->asking.name,
                               .resumed = a->claim.found};
}

/* What was to be known is known: the peer gets its answer, if it is still there, and goes on. */
static void conclude(struct attaching *a, enum gnt_queue_result result)
{
    struct gnt_amqp_peer *p = a->t.peer;
    struct gnt_wanted w = wanted_of(a);
    struct gnt_terminus *found = a->claim.found;
    bool dynamic = a->kind == GNT_ADDRESS_DYNAMIC, may = p && may_still(p, a);
    char *name = result == GNT_QUEUE_DONE ? strdup(a->name) : NULL;
    if (found)
        gnt_terminus_owe(found);
    if (p) {
        hand_over(a);
        if (!may)
            gnt_attach_refuse(p, w.link, GNT_AMQP_UNAUTHORIZED_ACCESS, "not permitted");
        else if (result != GNT_QUEUE_DONE)
            gnt_attach_refuse(p, w.link, gnt_attach_condition(result), words_of(a, result));
        else if (!name || !decode(&w))
            gnt_attach_refuse(p, w.link, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, gnt_err_text(GNT_NOMEM));
        else
            settle(p, &w, a->kind, &name);
        if (a->awaited)
            gnt_amqp_peer_go_on(p);
    }
    if (found && found->away)
        gnt_terminus_put_back(found);
    if (found)
        gnt_terminus_paid(found);
    if (name && dynamic)
        gnt_attach_remove(a->t.front->home, name);
    free(name);
    gnt_terminus_paid(&a->t);
}

static void on_woken(struct gnt_home *home, struct gnt_waking *waking)
{
    (void)home;
    conclude(GNT_CONTAINER(waking, struct attaching, waking), GNT_QUEUE_DONE);
}

/* What was suspended under its name, or nothing. */
static void on_claimed(struct gnt_home *home, struct gnt_suspended_claim *claim)
{
    struct attaching *a = GNT_CONTAINER(claim, struct attaching, claim);
    struct gnt_wanted w = wanted_of(a);
    struct gnt_terminus *found = claim->found;
    (void)home;
    w.own = a->t.peer ? gnt_amqp_peer_publisher(a->t.peer) : 0;
    a->waking.done = on_woken;
    if (found && a->t.peer && decode(&w) && !found->kind->wake(found, &w, &a->waking))
        return;
    if (found)
        gnt_terminus_put_back(found);
    claim->found = NULL;
    conclude(a, GNT_QUEUE_DONE);
}

static void on_asked(struct gnt_home *home, struct gnt_entity_asking *asking,
                     enum gnt_queue_result result)
{
    struct attaching *a = GNT_CONTAINER(asking, struct attaching, asking);
    (void)home;
    if (result != GNT_QUEUE_DONE || !a->t.peer || !a->awaited) {
        conclude(a, result);
        return;
    }
    const struct gnt_suspended_key key = gnt_terminus_key(a->t.peer, a->t.link, asking->name);
    a->claim.done = on_claimed;
    gnt_suspended_ask(a->t.front, &key, &a->claim);
}

static gnt_err keep_attach(struct attaching *a, const struct gnt_amqp_attach *attach)
{
    struct gnt_slice source = attach->source.encoded, target = attach->target.encoded;
    gnt_err err = gnt_buf_put(&a->attach, source);
    if (!err)
        err = gnt_buf_put(&a->attach, target);
    struct gnt_slice both = gnt_buf_slice(&a->attach);
    a->source = gnt_slice(both.data, source.size);
    a->target = gnt_slice(both.data ? both.data + source.size : NULL, target.size);
    return err;
}

/* What of *address is the queue's name, with its sub-queue's: into a->name. */
static bool name_queue(struct attaching *a, const struct gnt_amqp_peer *p,
                       const struct gnt_address *address)
{
    if (address->kind == GNT_ADDRESS_DYNAMIC) {
        name_dynamic(p, a->name);
        return true;
    }
    if (address->entity.size > GNT_ENTITY_NAME_MAX ||
        memchr(address->entity.data, '\0', address->entity.size))
        return false;
    memcpy(a->name, address->entity.data, address->entity.size);
    if (address->dead_letter)
        memcpy(a->name + address->entity.size, "/" GNT_DEAD_LETTERS, sizeof("/" GNT_DEAD_LETTERS));
    return true;
}

static void ask(struct gnt_amqp_peer *p, const struct gnt_amqp_event *event,
                const struct gnt_address *address)
{
    const struct gnt_amqp_attach *attach = &event->performative.attach;
    bool dynamic = address->kind == GNT_ADDRESS_DYNAMIC;
    struct attaching *a = calloc(1, sizeof *a);
    if (!a || keep_attach(a, attach)) {
        if (a)
            attaching_free(&a->t);
        gnt_attach_refuse(p, event->link, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
                          gnt_err_text(GNT_NOMEM));
        return;
    }
    bool named = name_queue(a, p, address);
    if (!named ||
        (!dynamic && !gnt_amqp_peer_may(p, verb_of(event->link), gnt_slice_str(a->name)))) {
        attaching_free(&a->t);
        gnt_attach_refuse(p, event->link, named ? GNT_AMQP_UNAUTHORIZED_ACCESS : GNT_AMQP_NOT_FOUND,
                          named ? "not permitted" : "not a name of a queue");
        return;
    }
    a->kind = address->kind;
    a->snd_settle_mode = attach->snd_settle_mode;
    a->rcv_settle_mode = attach->rcv_settle_mode;
    a->asking.done = on_asked;
    a->asking.name = gnt_slice_str(a->name);
    a->asking.temporary = dynamic;
    a->asking.verb = dynamic ? GNT_ENTITY_CREATE : gnt_entity_verb_for(gnt_amqp_peer_home(p));
    a->round = p->front->review_round;
    gnt_terminus_init(&a->t, &attaching_kind, p, event->link);
    gnt_terminus_owe(&a->t);
    a->awaited = gnt_suspended_any(&p->front->shared->suspended);
    p->awaits += a->awaited;
    gnt_entity_ask(gnt_amqp_peer_home(p), &a->asking);
}

/* ---- What is wanted */

/* Whether NAME is "$share/GROUP/FILTER", or begins so. */
static bool is_share(struct gnt_slice name)
{
    struct gnt_share share;
    return gnt_topic_share(name, &share) != GNT_NOTFOUND;
}

/* Queues are shared as they are. */
static bool filter_valid(struct gnt_slice name, size_t levels)
{
    struct gnt_share share = {.filter = name};
    struct gnt_slice queue;
    gnt_err err = gnt_topic_share(name, &share);
    return err != GNT_INVALID && gnt_topic_filter_valid(share.filter, levels) &&
           (err == GNT_NOTFOUND || !gnt_topic_queue(share.filter, &queue));
}

static void attach_shared(struct gnt_amqp_peer *p, struct gnt_wanted *w)
{
    gnt_err err = gnt_topics_share(p, w);
    if (err)
        gnt_attach_refuse(p, w->link, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, gnt_err_text(err));
}

static void attach_topic(struct gnt_amqp_peer *p, const struct gnt_amqp_event *event,
                         struct gnt_wanted *w)
{
    char *none = NULL;
    size_t levels = gnt_amqp_peer_home(p)->config.topic_levels;
    bool sender = event->link->sender;
    bool valid = sender ? filter_valid(w->name, levels) : gnt_topic_name_valid(w->name, levels);
    if (!valid)
        gnt_attach_refuse(p, w->link, GNT_AMQP_INVALID_FIELD,
                          sender ? "not a topic filter" : "not a topic name");
    else if (!gnt_amqp_peer_may(p, sender ? GNT_VERB_SUBSCRIBE : GNT_VERB_PUBLISH, w->name))
        gnt_attach_refuse(p, w->link, GNT_AMQP_UNAUTHORIZED_ACCESS, "not permitted");
    else if (sender && is_share(w->name))
        attach_shared(p, w);
    else
        settle(p, w, GNT_ADDRESS_TOPIC, &none);
}

/* Where the link is to go, by the terminus that is ours: the source if we are to send. */
static gnt_err find_address(const struct gnt_wanted *w, bool sender, struct gnt_address *out)
{
    bool dynamic = sender ? w->source.dynamic : w->target.dynamic;
    struct gnt_slice text = sender ? w->source.address : w->target.address;
    if (dynamic || (!sender && !text.size)) {
        *out = (struct gnt_address){.kind = dynamic ? GNT_ADDRESS_DYNAMIC : GNT_ADDRESS_ANONYMOUS};
        return GNT_OK;
    }
    return gnt_address_parse(text, out);
}

static void attach_to(struct gnt_amqp_peer *p, const struct gnt_amqp_event *event,
                      struct gnt_wanted *w, const struct gnt_address *address)
{
    char *none = NULL;
    switch (address->kind) {
    case GNT_ADDRESS_ENTITY:
    case GNT_ADDRESS_QUEUE:
    case GNT_ADDRESS_DYNAMIC:
        if (address->dead_letter && !w->link->sender)
            gnt_attach_refuse(p, w->link, gnt_attach_condition(GNT_QUEUE_READ_ONLY),
                              gnt_queue_result_text(GNT_QUEUE_READ_ONLY));
        else
            ask(p, event, address);
        break;
    case GNT_ADDRESS_TOPIC:
        w->name = address->entity;
        attach_topic(p, event, w);
        break;
    case GNT_ADDRESS_ANONYMOUS: settle(p, w, GNT_ADDRESS_ANONYMOUS, &none); break;
    case GNT_ADDRESS_MANAGEMENT:
        if (!address->entity.size && !w->link->sender)
            settle(p, w, GNT_ADDRESS_MANAGEMENT, &none);
        else
            gnt_attach_refuse(p, w->link, GNT_AMQP_NOT_FOUND,
                              "requests go to the broker's $management, answers to their reply-to");
        break;
    case GNT_ADDRESS_CBS:
    case GNT_ADDRESS_PARTITION:
    case GNT_ADDRESS_PUBLISHER:
    case GNT_ADDRESS_SUBSCRIPTION:
        gnt_attach_refuse(p, w->link, GNT_AMQP_NOT_FOUND, "there is no such node");
    }
}

static void attach_coordinator(struct gnt_amqp_peer *p, struct gnt_wanted *w)
{
    struct gnt_amqp_coordinator said;
    struct gnt_terminus *t;
    gnt_err err = GNT_INVALID;
    if (!w->link->sender && !gnt_amqp_decode_coordinator(w->target_bytes, &said))
        err = gnt_coordinator_new(p, w, &t);
    gnt_amqp_peer_dirty(p);
    if (err && err != GNT_STATE)
        gnt_attach_refuse(p, w->link,
                          err == GNT_INVALID ? GNT_AMQP_INVALID_FIELD
                                             : GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
                          err == GNT_INVALID ? "a coordinator is sent to" : gnt_err_text(err));
}

void gnt_attach(struct gnt_amqp_peer *p, const struct gnt_amqp_event *event)
{
    const struct gnt_amqp_attach *attach = &event->performative.attach;
    struct gnt_wanted w = {.link = event->link,
                           .source_bytes = attach->source.encoded,
                           .target_bytes = attach->target.encoded,
                           .snd_settle_mode = attach->snd_settle_mode,
                           .rcv_settle_mode = attach->rcv_settle_mode};
    struct gnt_address address;
    gnt_links_yield(p, w.link->name, w.link->sender);
    if (p->terminus_count >= p->front->limits.links) {
        gnt_attach_refuse(p, w.link, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, "limits.amqp_links");
    } else if (attach->has.target && gnt_amqp_code_of(w.target_bytes) == GNT_AMQP_COORDINATOR) {
        attach_coordinator(p, &w);
    } else if (!decode(&w)) {
        gnt_attach_refuse(p, w.link, GNT_AMQP_INVALID_FIELD, "no source or target of AMQP 1.0");
    } else if (find_address(&w, w.link->sender, &address)) {
        gnt_attach_refuse(p, w.link, GNT_AMQP_NOT_FOUND, "the address names nothing");
    } else {
        attach_to(p, event, &w, &address);
    }
}
