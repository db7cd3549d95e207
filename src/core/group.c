#include "core/group.h"

#include "base/assert.h"
#include "core/queue.h"

#include <stdlib.h>

enum member_state {
    MEMBER_READY,    /* may have room */
    MEMBER_BUSY,     /* turned an offer down and says when it has room */
    MEMBER_AWAY,     /* the same, because its client is not connected */
    MEMBER_RESUMING, /* has room again; READY when the last round's offers are answered */
};

/* So many offers to a member at another home may be unanswered: enough to keep it busy, few enough
 * to come back cheaply when it has no room. */
enum { OFFERS_MAX = 32 };

struct member {
    uint64_t id;
    struct gnt_sub_options options;
    enum member_state state;
    uint32_t joined, round; /* its first round and the current one */
    unsigned unanswered;    /* offers, all of one round */
};

struct group {
    struct gnt_sink sink;
    struct gnt_map_node by_name; /* in home->groups */
    struct gnt_home *home;
    struct gnt_tree_node *place;
    struct member *members;
    size_t count, cap;
    size_t turn;           /* who is asked next */
    struct gnt_work again; /* there was no memory to ask a member */
    /* What goes out first: what members did not settle, then what they turned down on its way to
     * them, then the rest of what came back in these ways before the last one was taken.  So the
     * order stays if there is only one member. */
    struct gnt_backlog returned;
    size_t unsettled, turned_down; /* how many of the first and of the second kind */
    struct gnt_queue waiting;
    struct gnt_ledger ledger;
    size_t under_way;              /* offers to other homes that are not answered */
    struct gnt_slice name, filter; /* behind the struct */
};

/* An offer to a member at another home; comes back with the answer. */
struct offer {
    struct gnt_message *message; /* NULL when it comes back taken */
    uint64_t group, member;
    uint32_t round;
    struct gnt_sub_options options;
    unsigned home; /* the group's */
    enum gnt_offer answer;
    struct gnt_owed owed;
};

static struct group *group_of(struct gnt_sink *sink)
{
    return GNT_CONTAINER(sink, struct group, sink);
}

static struct group *find_group(struct gnt_home *home, uint64_t id)
{
    struct gnt_sink *sink = gnt_slots_find(&home->slots, id);
    return sink ? group_of(sink) : NULL;
}

static struct member *find_member(struct group *g, uint64_t id)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->members[i].id == id)
            return &g->members[i];
    return NULL;
}

/* Whether round A began after round B; they go round themselves. */
static bool later(uint32_t a, uint32_t b)
{
    return a - b - 1 < UINT32_MAX / 2;
}

/* What has been counted in ends as WHY, here. */
static void drop(struct group *g, struct gnt_message **message, enum gnt_counter why)
{
    gnt_ledger_out(g->home, &g->ledger, why, *message);
    gnt_message_unref(message);
}

/* The group it was to come back to has gone. */
static void drop_orphan(struct gnt_home *home, struct gnt_message **message)
{
    gnt_ledger_out(home, NULL, GNT_COUNT_DROPPED_SESSION_END, *message);
    gnt_message_unref(message);
}

/* A member has it. */
static void handed_over(struct group *g)
{
    gnt_ledger_add(&g->ledger, GNT_COUNT_DELIVERED, 1);
}

/* ---- What waits */

/* Takes the first of what came back. */
static void returned_pop(struct group *g, struct gnt_waiting *out)
{
    gnt_backlog_pop(&g->returned, out);
    if (g->unsettled)
        g->unsettled--;
    else if (g->turned_down)
        g->turned_down--;
}

/* *message is consumed; false if it was dropped. */
static bool returned_insert(struct group *g, size_t at, struct gnt_message **message)
{
    struct gnt_waiting w = {.message = *message};
    if (gnt_backlog_insert(&g->returned, at, &w)) {
        drop(g, message, GNT_COUNT_DROPPED_NO_MEMORY);
        return false;
    }
    *message = NULL;
    return true;
}

static void returned_drop(struct group *g)
{
    while (g->returned.count) {
        struct gnt_waiting w;
        returned_pop(g, &w);
        drop(g, &w.message, GNT_COUNT_DROPPED_SESSION_END);
    }
}

/* ---- Birth and death */

static uint64_t name_hash(struct gnt_slice name, struct gnt_slice filter)
{
    return gnt_hash_mix(gnt_hash(name), gnt_hash(filter));
}

static void group_free(struct group *g)
{
    gnt_tree_unsubscribe(g->home->tree, g->place, g->sink.id);
    returned_drop(g);
    gnt_queue_fini(&g->waiting, GNT_COUNT_DROPPED_SESSION_END);
    gnt_work_cancel(&g->again);
    gnt_slots_remove(&g->home->slots, &g->sink);
    gnt_map_remove(&g->home->groups, &g->by_name);
    free(g->members);
    free(g);
}

void gnt_groups_free(struct gnt_home *home)
{
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&home->groups, &cursor));)
        group_free(GNT_CONTAINER(node, struct group, by_name));
    gnt_map_fini(&home->groups);
}

static void group_account(struct gnt_sink *sink, struct gnt_account *out)
{
    const struct group *g = group_of(sink);
    out->group = g->name;
    out->filter = g->filter;
    out->ledger = &g->ledger;
    out->queued = g->waiting.backlog.count + g->returned.count + g->under_way;
}

static void group_take(struct gnt_sink *sink, struct gnt_message *message,
                       const struct gnt_match *match, struct gnt_receipt *receipt);

static const struct gnt_sink_ops group_sink_ops = {.take = group_take, .account = group_account};

static gnt_err group_place(struct group *g, uint64_t hash)
{
    struct gnt_home *home = g->home;
    gnt_err err = gnt_slots_add(&home->slots, home->index, &g->sink);
    if (err)
        return err;
    /* What each member asked for is applied when it gets an offer. */
    const struct gnt_sub_options all = {.qos = 2, .retain_as_published = true};
    bool existed;
    err = gnt_tree_subscribe(home->tree, g->filter, g->sink.id, &all, &existed, &g->place);
    if (!err) {
        err = gnt_map_insert(&home->groups, &g->by_name, hash);
        if (err)
            gnt_tree_unsubscribe(home->tree, g->place, g->sink.id);
    }
    if (err)
        gnt_slots_remove(&home->slots, &g->sink);
    return err;
}

static void dispatch(struct group *g);

static void on_again(struct gnt_home *home, struct gnt_work *work)
{
    (void)home;
    dispatch(GNT_CONTAINER(work, struct group, again));
}

/* GNT_FULL: its filter may lead a name to too many others (limits.filter_reach). */
static gnt_err group_new(struct gnt_home *home, const struct gnt_joining *j, uint64_t hash,
                         struct group **out)
{
    struct group *g = calloc(1, sizeof *g + j->name.size + j->filter.size);
    if (!g)
        return GNT_NOMEM;
    uint8_t *text = (uint8_t *)(g + 1);
    memcpy(text, j->name.data, j->name.size);
    memcpy(text + j->name.size, j->filter.data, j->filter.size);
    g->name = gnt_slice(text, j->name.size);
    g->filter = gnt_slice(text + j->name.size, j->filter.size);
    g->home = home;
    g->sink.ops = &group_sink_ops;
    static const struct gnt_queue_ops queue_ops = {.disconnect = NULL};
    gnt_queue_init(&g->waiting, home, &g->ledger, &queue_ops);
    gnt_work_init(&g->again, on_again);
    gnt_err err = group_place(g, hash);
    if (err)
        free(g);
    else
        *out = g;
    return err;
}

static struct group *group_named(struct gnt_home *home, const struct gnt_joining *j, uint64_t hash)
{
    struct gnt_map_node *node = gnt_map_first(&home->groups, hash);
    for (; node; node = gnt_map_next(node)) {
        struct group *g = GNT_CONTAINER(node, struct group, by_name);
        if (gnt_slice_eq(g->name, j->name) && gnt_slice_eq(g->filter, j->filter))
            return g;
    }
    return NULL;
}

/* ---- Offering */

static void member_remove(struct group *g, struct member *m)
{
    *m = g->members[--g->count];
    if (g->count == 0)
        group_free(g);
}

static void on_answer(const struct gnt_mail *mail);

/* At the member's home. */
static void on_offer(const struct gnt_mail *mail)
{
    struct gnt_home *home = mail->to;
    struct offer *o = mail->object;
    struct gnt_sink *sink = gnt_slots_find(&home->slots, o->member);
    o->answer =
        sink ? sink->ops->offer(sink, o->group, o->round, o->message, &o->options) : GNT_OFFER_GONE;
    if (o->answer == GNT_OFFER_TAKEN)
        gnt_message_unref(&o->message);
    gnt_home_mail_surely(home, o->home, on_answer, o, &o->owed);
}

/* TAKEN by a member elsewhere means that the offer is on its way. */
static enum gnt_offer offer_to(struct group *g, struct member *m, struct gnt_message *message)
{
    unsigned home = gnt_sink_home(m->id);
    if (home == g->home->index) {
        struct gnt_sink *sink = gnt_slots_find(&g->home->slots, m->id);
        enum gnt_offer answer =
            sink ? sink->ops->offer(sink, g->sink.id, m->round, message, &m->options)
                 : GNT_OFFER_GONE;
        if (answer == GNT_OFFER_TAKEN)
            handed_over(g);
        return answer;
    }
    struct offer *o = malloc(sizeof *o);
    if (!o)
        return GNT_OFFER_FAILED;
    *o = (struct offer){.message = gnt_message_ref(message),
                        .group = g->sink.id,
                        .member = m->id,
                        .round = m->round,
                        .options = m->options,
                        .home = g->home->index};
    if (gnt_home_mail(g->home, home, on_offer, o, 0, 0) == GNT_OK) {
        m->unanswered++;
        g->under_way++;
        return GNT_OFFER_TAKEN;
    }
    gnt_message_unref(&o->message);
    free(o);
    return GNT_OFFER_FAILED;
}

static void note_answer(struct member *m, enum gnt_offer answer)
{
    if (answer != GNT_OFFER_TAKEN && answer != GNT_OFFER_FAILED)
        m->state = answer == GNT_OFFER_BUSY ? MEMBER_BUSY : MEMBER_AWAY;
}

/* Asks one member after the other, beginning with whose turn it is; true if one has taken it. */
static bool offer_round(struct group *g, struct gnt_message *message)
{
    for (size_t asked = 0; asked < g->count; asked++) {
        struct member *m = &g->members[g->turn++ % g->count];
        if (m->state != MEMBER_READY || m->unanswered == OFFERS_MAX)
            continue;
        enum gnt_offer answer = offer_to(g, m, message);
        note_answer(m, answer);
        if (answer == GNT_OFFER_TAKEN)
            return true;
        if (answer == GNT_OFFER_FAILED)
            gnt_home_later(g->home, &g->again); /* it is not waiting for anything else */
    }
    return false;
}

static bool somebody_connected(const struct group *g)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->members[i].state != MEMBER_AWAY)
            return true;
    return false;
}

static void group_take(struct gnt_sink *sink, struct gnt_message *message,
                       const struct gnt_match *match, struct gnt_receipt *receipt)
{
    struct group *g = group_of(sink);
    (void)match;
    gnt_ledger_in(g->home, &g->ledger, message);
    if (g->returned.count == 0 && gnt_queue_empty(&g->waiting) && offer_round(g, message))
        return; /* nothing is in `returned`, so there is nothing to reset */
    struct gnt_waiting w = {.message = gnt_message_ref(message)};
    bool connected = somebody_connected(g);
    if (message->qos == 0 && !connected)
        drop(g, &w.message, GNT_COUNT_DROPPED_AWAY);
    else if (gnt_queue_admits(&g->waiting, &w, connected, receipt))
        gnt_queue_put(&g->waiting, &w, connected);
}

/* The first that waits, of what came back or of what is new; what has expired is dropped. */
static struct gnt_waiting *first_waiting(struct group *g)
{
    struct gnt_waiting *first;
    while ((first = gnt_backlog_first(&g->returned))) {
        if (!gnt_message_expired(first->message, *g->home->now))
            return first;
        struct gnt_waiting expired;
        returned_pop(g, &expired);
        drop(g, &expired.message, GNT_COUNT_EXPIRED);
    }
    return gnt_queue_first(&g->waiting);
}

/* Offers what waits as long as somebody takes it. */
static void dispatch(struct group *g)
{
    for (struct gnt_waiting *first; (first = first_waiting(g));) {
        if (!offer_round(g, first->message)) {
            if (!somebody_connected(g))
                gnt_queue_away(&g->waiting);
            return;
        }
        struct gnt_waiting taken;
        if (g->returned.count)
            returned_pop(g, &taken);
        else
            gnt_queue_pop(&g->waiting, &taken);
        gnt_waiting_fini(&taken);
        g->unsettled = g->turned_down = 0;
    }
}

static void answered(struct member *m, uint32_t round, enum gnt_offer answer)
{
    GNT_ASSERT(m->unanswered > 0);
    m->unanswered--;
    if (round == m->round)
        note_answer(m, answer);
    if (m->unanswered == 0 && m->state == MEMBER_RESUMING)
        m->state = MEMBER_READY;
}

/* At the group's home: a member has answered. */
static void on_answer(const struct gnt_mail *mail)
{
    struct gnt_home *home = mail->to;
    struct offer *o = mail->object;
    struct group *g = find_group(home, o->group);
    struct member *m = g ? find_member(g, o->member) : NULL;
    if (m && later(m->joined, o->round))
        m = NULL; /* it has left and joined again meanwhile */
    if (g)
        g->under_way--;
    if (g && o->answer == GNT_OFFER_TAKEN)
        handed_over(g);
    if (m)
        answered(m, o->round, o->answer);
    if (m && o->answer == GNT_OFFER_GONE) {
        member_remove(g, m);
        g = find_group(home, o->group); /* it ends with its last member */
    }
    if (g && o->message)
        g->turned_down += returned_insert(g, g->unsettled + g->turned_down, &o->message);
    if (g)
        dispatch(g);
    if (o->message)
        drop_orphan(home, &o->message);
    free(o);
}

/* ---- Joining */

static struct member *member_new(struct group *g)
{
    if (g->count == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 4;
        struct member *members = realloc(g->members, cap * sizeof *members);
        if (!members)
            return NULL;
        g->members = members;
        g->cap = cap;
    }
    struct member *m = &g->members[g->count++];
    *m = (struct member){0};
    return m;
}

static enum gnt_outcome join_here(struct gnt_home *home, struct gnt_joining *j)
{
    uint64_t hash = name_hash(j->name, j->filter);
    struct group *g = group_named(home, j, hash);
    gnt_err err = g ? GNT_OK : group_new(home, j, hash, &g);
    if (err == GNT_FULL)
        gnt_count(&home->counters, GNT_COUNT_FILTERS_REFUSED, 1);
    if (err)
        return err == GNT_FULL ? GNT_QUOTA : GNT_FAILED;
    struct member *m = find_member(g, j->member);
    if (!m && !(m = member_new(g))) {
        if (g->count == 0)
            group_free(g);
        return GNT_FAILED;
    }
    if (m->id != j->member || m->joined != j->round) /* it is new, or new again */
        *m = (struct member){.id = j->member, .joined = j->round, .round = j->round};
    m->options = j->options;
    j->group = g->sink.id;
    return GNT_DONE;
}

static void on_join_answer(const struct gnt_mail *mail)
{
    struct gnt_joining *j = mail->object;
    j->done(j, j->outcome);
}

static void on_join(const struct gnt_mail *mail)
{
    struct gnt_home *home = mail->to;
    struct gnt_joining *j = mail->object;
    j->outcome = join_here(home, j);
    uint64_t group = j->outcome == GNT_DONE ? j->group : 0; /* *j is the member's once mailed */
    gnt_home_mail_surely(home, j->home, on_join_answer, j, &j->answer);
    struct group *g = group ? find_group(home, group) : NULL;
    if (g)
        dispatch(g); /* behind the answer, so that the member knows the group by then */
}

bool gnt_group_join(struct gnt_home *home, struct gnt_joining *joining, enum gnt_outcome *outcome)
{
    unsigned at = (unsigned)(name_hash(joining->name, joining->filter) % home->config.homes);
    if (at == home->index) {
        *outcome = join_here(home, joining);
        struct group *g = *outcome == GNT_DONE ? find_group(home, joining->group) : NULL;
        if (g)
            gnt_home_later(home, &g->again); /* once the member knows the group */
        return true;
    }
    joining->home = home->index;
    if (gnt_home_mail(home, at, on_join, joining, 0, 0) == GNT_OK)
        return false;
    *outcome = GNT_FAILED;
    return true;
}

/* ---- Members' news; at the group's home, by a call or by mail (value: member, other: group) */

static void leave_here(struct gnt_home *home, uint64_t group, uint64_t member)
{
    struct group *g = find_group(home, group);
    struct member *m = g ? find_member(g, member) : NULL;
    if (m)
        member_remove(g, m);
}

static void ready_here(struct gnt_home *home, uint64_t group, uint64_t member, uint32_t round)
{
    struct group *g = find_group(home, group);
    struct member *m = g ? find_member(g, member) : NULL;
    if (!m)
        return;
    m->round = round;
    m->state = m->unanswered ? MEMBER_RESUMING : MEMBER_READY;
    dispatch(g);
}

static void away_here(struct gnt_home *home, uint64_t group, uint64_t member)
{
    struct group *g = find_group(home, group);
    struct member *m = g ? find_member(g, member) : NULL;
    if (!m)
        return;
    m->state = MEMBER_AWAY;
    dispatch(g);
}

static void return_here(struct gnt_home *home, uint64_t group, uint64_t member,
                        struct gnt_message *message)
{
    struct group *g = find_group(home, group);
    if (!g) {
        drop_orphan(home, &message);
        return;
    }
    gnt_ledger_add(&g->ledger, GNT_COUNT_DELIVERED, -1);
    struct member *m = find_member(g, member);
    if (m)
        m->state = MEMBER_AWAY;
    g->unsettled += returned_insert(g, g->unsettled, &message);
    dispatch(g);
}

static void on_leave(const struct gnt_mail *mail)
{
    leave_here(mail->to, mail->other, mail->value);
}

static void on_ready(const struct gnt_mail *mail)
{
    ready_here(mail->to, mail->other, mail->value, (uint32_t)(uintptr_t)mail->object);
}

static void on_away(const struct gnt_mail *mail)
{
    away_here(mail->to, mail->other, mail->value);
}

static void on_return(const struct gnt_mail *mail)
{
    return_here(mail->to, mail->other, mail->value, mail->object);
}

void gnt_group_leave(struct gnt_home *home, uint64_t group, uint64_t member)
{
    unsigned at = gnt_sink_home(group);
    if (at == home->index)
        leave_here(home, group, member);
    else if (gnt_home_mail(home, at, on_leave, NULL, member, group))
        return; /* out of memory: the group finds out when it makes the next offer */
}

gnt_err gnt_group_ready(struct gnt_home *home, uint64_t group, uint64_t member, uint32_t round)
{
    return gnt_home_mail(home, gnt_sink_home(group), on_ready, (void *)(uintptr_t)round, member,
                         group);
}

void gnt_group_away(struct gnt_home *home, uint64_t group, uint64_t member)
{
    if (gnt_home_mail(home, gnt_sink_home(group), on_away, NULL, member, group))
        return; /* out of memory: the next offer says it */
}

gnt_err gnt_group_return(struct gnt_home *home, uint64_t group, uint64_t member,
                         struct gnt_message **message)
{
    gnt_err err = gnt_home_mail(home, gnt_sink_home(group), on_return, *message, member, group);
    if (!err)
        *message = NULL;
    return err;
}
