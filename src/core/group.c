#include "core/group_private.h"

#include "core/total.h"

#include <stdlib.h>

struct gnt_group *gnt_group_find(struct gnt_home *home, uint64_t id)
{
    struct gnt_sink *sink = gnt_slots_find(&home->slots, id);
    return sink ? gnt_group_of(sink) : NULL;
}

struct gnt_member *gnt_group_member(struct gnt_group *g, uint64_t id)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->members[i].id == id)
            return &g->members[i];
    return NULL;
}

/* What has been counted in ends as WHY, here. */
static void drop(struct gnt_group *g, struct gnt_waiting *w, enum gnt_counter why)
{
    gnt_group_keep_no_message(g, w->sequence);
    gnt_ledger_out(g->home, &g->ledger, why, w->message);
    gnt_waiting_fini(w);
}

void gnt_group_drop_orphan(struct gnt_home *home, struct gnt_message **message)
{
    gnt_ledger_out(home, NULL, GNT_COUNT_DROPPED_SESSION_END, *message);
    gnt_message_unref(message);
}

/* ---- What waits */

/* Takes the first of what came back. */
static void returned_pop(struct gnt_group *g, struct gnt_waiting *out)
{
    gnt_backlog_pop(&g->returned, out);
    if (g->unsettled)
        g->unsettled--;
    else if (g->turned_down)
        g->turned_down--;
}

bool gnt_group_returned(struct gnt_group *g, size_t at, uint64_t sequence,
                        struct gnt_message **message)
{
    struct gnt_waiting w = {.message = *message, .sequence = sequence};
    *message = NULL;
    if (gnt_backlog_insert(&g->returned, at, &w) == GNT_OK)
        return true;
    drop(g, &w, GNT_COUNT_DROPPED_NO_MEMORY);
    return false;
}

static void aside_drop(struct gnt_group *g)
{
    while (g->aside.count) {
        struct gnt_waiting w;
        gnt_backlog_pop(&g->aside, &w);
        drop(g, &w, GNT_COUNT_DROPPED_SESSION_END);
    }
}

static void returned_drop(struct gnt_group *g)
{
    while (g->returned.count) {
        struct gnt_waiting w;
        returned_pop(g, &w);
        drop(g, &w, GNT_COUNT_DROPPED_SESSION_END);
    }
}

/* ---- Birth and death */

uint64_t gnt_group_hash(const uint64_t home_key[2], struct gnt_slice name, struct gnt_slice filter)
{
    return gnt_hash_mix(gnt_hash_with(home_key, name), gnt_hash_with(home_key, filter));
}

static uint64_t name_hash(struct gnt_slice name, struct gnt_slice filter)
{
    return gnt_hash_mix(gnt_hash(name), gnt_hash(filter));
}

void gnt_group_free(struct gnt_group *g)
{
    gnt_tree_unsubscribe(g->home->tree, g->place, g->placed);
    gnt_group_keep_end(g);
    aside_drop(g);
    returned_drop(g);
    gnt_pending_fini(&g->waiting, GNT_COUNT_DROPPED_SESSION_END);
    gnt_work_cancel(&g->again);
    gnt_slots_remove(&g->home->slots, &g->sink);
    gnt_map_remove(&g->home->groups, &g->by_name);
    for (size_t i = 0; i < g->count; i++)
        gnt_rights_unref(&g->members[i].rights);
    free(g->members);
    free(g);
}

void gnt_groups_free(struct gnt_home *home)
{
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&home->groups, &cursor));)
        gnt_group_free(GNT_CONTAINER(node, struct gnt_group, by_name));
    gnt_map_fini(&home->groups);
}

static void group_account(struct gnt_sink *sink, struct gnt_account *out)
{
    const struct gnt_group *g = gnt_group_of(sink);
    out->group = g->name;
    out->filter = g->filter;
    out->ledger = &g->ledger;
    out->queued =
        gnt_pending_count(&g->waiting) + g->returned.count + g->aside.count + g->under_way;
}

static void group_take(struct gnt_sink *sink, struct gnt_message *message,
                       const struct gnt_match *match, struct gnt_receipt *receipt);
static void looking_take(struct gnt_sink *sink, struct gnt_message *message,
                         const struct gnt_match *match, struct gnt_receipt *receipt);

static const struct gnt_sink_ops group_sink_ops = {.take = group_take, .account = group_account},
                                 looking_ops = {.take = looking_take, .account = group_account};

static gnt_err group_place(struct gnt_group *g, uint64_t hash)
{
    struct gnt_home *home = g->home;
    gnt_err err = gnt_slots_add(&home->slots, home->index, &g->sink);
    if (err)
        return err;
    /* What each member asked for is applied when it gets an offer. */
    const struct gnt_sub_options all = {.qos = 2, .retain_as_published = true};
    bool existed;
    g->placed = g->sink.id;
    err = gnt_tree_subscribe(home->tree, g->filter, g->placed, &all, &existed, &g->place);
    if (!err) {
        err = gnt_map_insert(&home->groups, &g->by_name, hash);
        if (err)
            gnt_tree_unsubscribe(home->tree, g->place, g->placed);
    }
    if (err)
        gnt_slots_remove(&home->slots, &g->sink);
    return err;
}

static void on_again(struct gnt_home *home, struct gnt_work *work)
{
    struct gnt_group *g = GNT_CONTAINER(work, struct gnt_group, again);
    (void)home;
    g->look_aside = true;
    gnt_group_dispatch(g);
}

static void forget(struct gnt_pending *queue, uint64_t sequence)
{
    gnt_group_keep_no_message(GNT_CONTAINER(queue, struct gnt_group, waiting), sequence);
}

gnt_err gnt_group_new(struct gnt_home *home, struct gnt_slice name, struct gnt_slice filter,
                      struct gnt_group **out)
{
    struct gnt_group *g = calloc(1, sizeof *g + name.size + filter.size);
    if (!g)
        return GNT_NOMEM;
    uint8_t *text = (uint8_t *)(g + 1);
    memcpy(text, name.data, name.size);
    memcpy(text + name.size, filter.data, filter.size);
    g->name = gnt_slice(text, name.size);
    g->filter = gnt_slice(text + name.size, filter.size);
    g->home = home;
    g->sink.ops = &group_sink_ops;
    static const struct gnt_pending_ops queue_ops = {.forget = forget};
    gnt_pending_init(&g->waiting, home, &g->ledger, &queue_ops);
    gnt_work_init(&g->again, on_again);
    gnt_err err = group_place(g, name_hash(name, filter));
    if (err)
        free(g);
    else
        *out = g;
    return err;
}

struct gnt_group *gnt_group_named(struct gnt_home *home, struct gnt_slice name,
                                  struct gnt_slice filter)
{
    struct gnt_map_node *node = gnt_map_first(&home->groups, name_hash(name, filter));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_group *g = GNT_CONTAINER(node, struct gnt_group, by_name);
        if (gnt_slice_eq(g->name, name) && gnt_slice_eq(g->filter, filter))
            return g;
    }
    return NULL;
}

/* ---- Offering */

void gnt_group_set_rights(struct gnt_group *g, struct gnt_member *m, struct gnt_rights *rights)
{
    struct gnt_rights *before = m->rights;
    g->bound += rights != NULL;
    g->bound -= before != NULL;
    m->rights = gnt_rights_ref(rights);
    m->aside_seen = 0;
    g->sink.ops = g->bound ? &looking_ops : &group_sink_ops;
    gnt_rights_unref(&before);
}

void gnt_group_remove_member(struct gnt_group *g, struct gnt_member *m)
{
    gnt_group_set_rights(g, m, NULL);
    *m = g->members[--g->count];
    if (g->count == 0)
        gnt_group_free(g);
    else if (g->aside.count)
        gnt_home_later(g->home, &g->again); /* some of it may have been for this one only */
}

static bool may_have(const struct gnt_member *m, const struct gnt_message *message)
{
    return !m->rights || gnt_rights_may(m->rights, GNT_VERB_RECEIVE, message->topic);
}

/* Whether no member may be given MESSAGE, whenever it has room. */
static bool nobody_may(const struct gnt_group *g, const struct gnt_message *message)
{
    if (g->bound == 0 || g->bound < g->count)
        return false;
    for (size_t i = 0; i < g->count; i++)
        if (may_have(&g->members[i], message))
            return false;
    return true;
}

/* Asks one member after the other, beginning with whose turn it is; true if one has taken it. */
static bool offer_round(struct gnt_group *g, const struct gnt_waiting *w)
{
    for (size_t asked = 0; asked < g->count; asked++) {
        struct gnt_member *m = &g->members[g->turn++ % g->count];
        if (!gnt_member_has_room(m) || !may_have(m, w->message))
            continue;
        enum gnt_offer answer = gnt_member_offer(g, m, w);
        if (answer == GNT_OFFER_TAKEN)
            return true;
        if (answer == GNT_OFFER_FAILED)
            gnt_home_later(g->home, &g->again); /* it is not waiting for anything else */
    }
    return false;
}

static bool somebody_connected(const struct gnt_group *g)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->members[i].state != GNT_MEMBER_AWAY)
            return true;
    return false;
}

/* *w could not be written: its publisher is not to be told that it is safe. */
static void not_kept(struct gnt_group *g, struct gnt_waiting *w, struct gnt_receipt *receipt)
{
    gnt_receipt_fail(receipt);
    drop(g, w, GNT_COUNT_DROPPED_NO_MEMORY);
}

/* *w is consumed. */
static void enqueue(struct gnt_group *g, struct gnt_waiting *w, struct gnt_receipt *receipt)
{
    bool connected = somebody_connected(g);
    if (w->message->qos == 0 && !connected) {
        drop(g, w, GNT_COUNT_DROPPED_AWAY);
        return;
    }
    if (!gnt_pending_admits(&g->waiting, w, connected, receipt))
        return;
    if (!w->sequence && gnt_group_keep_message(g, w))
        not_kept(g, w, receipt);
    else
        gnt_pending_put(&g->waiting, w, connected);
    if (connected)
        gnt_group_fetch(g);
}

/* ---- What waits for some members only */

/* Whether MESSAGE, which nobody takes now, would hold up a member that has room and may not have
 * it. */
static bool holds_up(const struct gnt_group *g, const struct gnt_message *message)
{
    bool room = false;
    for (size_t i = 0; g->bound && i < g->count; i++) {
        if (!gnt_member_has_room(&g->members[i]))
            continue;
        if (may_have(&g->members[i], message))
            return false; /* there was no memory to ask it */
        room = true;
    }
    return room;
}

static bool connected_may(const struct gnt_group *g, const struct gnt_message *message)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->members[i].state != GNT_MEMBER_AWAY && may_have(&g->members[i], message))
            return true;
    return false;
}

static bool aside_is_full(const struct gnt_group *g, size_t size)
{
    const struct gnt_core_config *c = &g->home->config;
    return g->aside.count >= GNT_GROUP_ASIDE_MAX ||
           (c->queued_per_session && g->aside.count >= c->queued_per_session) ||
           (c->queued_bytes_per_session && g->aside.count &&
            g->aside.bytes + size > c->queued_bytes_per_session);
}

/* What was put aside until SEEN is nothing for those who still have room. */
static void note_seen(struct gnt_group *g, uint64_t seen)
{
    for (size_t i = 0; i < g->count; i++)
        if (gnt_member_has_room(&g->members[i]) && g->members[i].aside_seen >= seen)
            g->members[i].aside_seen = g->aside_put;
}

static void drop_expired_aside(struct gnt_group *g)
{
    const struct gnt_waiting *first;
    while ((first = gnt_backlog_first(&g->aside)) &&
           gnt_message_expired(first->message, *g->home->now)) {
        struct gnt_waiting gone;
        gnt_backlog_pop(&g->aside, &gone);
        drop(g, &gone, GNT_COUNT_EXPIRED);
    }
}

/* *w is consumed. */
static void put_aside(struct gnt_group *g, struct gnt_waiting *w)
{
    drop_expired_aside(g);
    if (w->message->qos == 0 && !connected_may(g, w->message))
        drop(g, w, GNT_COUNT_DROPPED_AWAY);
    else if (aside_is_full(g, w->message->payload.size))
        drop(g, w, GNT_COUNT_DROPPED_QUEUE_FULL);
    else if (gnt_total_exceeds(g->home, 0, 0))
        drop(g, w, GNT_COUNT_DROPPED_BROKER_FULL);
    else if (gnt_backlog_push(&g->aside, w))
        drop(g, w, GNT_COUNT_DROPPED_NO_MEMORY);
    else
        note_seen(g, g->aside_put++); /* who has room may not have it */
}

static void offer_aside(struct gnt_group *g)
{
    g->look_aside = false;
    for (size_t i = 0; i < g->aside.count;) {
        const struct gnt_waiting *w = gnt_backlog_at(&g->aside, i);
        bool expired = gnt_message_expired(w->message, *g->home->now);
        bool ends = expired || nobody_may(g, w->message);
        if (!ends && !offer_round(g, w)) {
            i++;
            continue;
        }
        struct gnt_waiting taken;
        gnt_backlog_take(&g->aside, i, &taken);
        if (ends)
            drop(g, &taken, expired ? GNT_COUNT_EXPIRED : GNT_COUNT_DROPPED_DENIED);
        else
            gnt_waiting_fini(&taken);
    }
    note_seen(g, 0);
}

/* ---- Taking, and giving out what waits */

static void group_take(struct gnt_sink *sink, struct gnt_message *message,
                       const struct gnt_match *match, struct gnt_receipt *receipt)
{
    struct gnt_group *g = gnt_group_of(sink);
    struct gnt_waiting w = {.message = gnt_message_ref(message)};
    (void)match;
    gnt_ledger_in(g->home, &g->ledger, message);
    if (g->returned.count || !gnt_pending_empty(&g->waiting))
        enqueue(g, &w, receipt);
    else if (gnt_group_keep_message(g, &w))
        not_kept(g, &w, receipt);
    else if (offer_round(g, &w))
        gnt_waiting_fini(&w); /* nothing is in `returned`, so there is nothing to reset */
    else if (holds_up(g, message))
        put_aside(g, &w);
    else
        enqueue(g, &w, receipt);
}

/* The same where some members may not be given everything. */
static void looking_take(struct gnt_sink *sink, struct gnt_message *message,
                         const struct gnt_match *match, struct gnt_receipt *receipt)
{
    struct gnt_group *g = gnt_group_of(sink);
    if (nobody_may(g, message))
        gnt_ledger_pass(g->home, &g->ledger, GNT_COUNT_DROPPED_DENIED);
    else
        group_take(sink, message, match, receipt);
}

/* The first that waits, of what came back or of what is new; what has expired, or is nobody's any
 * more, is dropped. */
static struct gnt_waiting *first_waiting(struct gnt_group *g)
{
    struct gnt_waiting *first;
    while ((first = gnt_backlog_first(&g->returned))) {
        bool expired = gnt_message_expired(first->message, *g->home->now);
        if (!expired && !nobody_may(g, first->message))
            return first;
        struct gnt_waiting gone;
        returned_pop(g, &gone);
        drop(g, &gone, expired ? GNT_COUNT_EXPIRED : GNT_COUNT_DROPPED_DENIED);
    }
    while ((first = gnt_pending_first(&g->waiting)) && nobody_may(g, first->message))
        gnt_pending_drop_first(&g->waiting, GNT_COUNT_DROPPED_DENIED);
    return first;
}

/* The first one is taken, or put aside; false: it waits. */
static bool dispatch_one(struct gnt_group *g, const struct gnt_waiting *first)
{
    bool taken = offer_round(g, first);
    if (!taken && !holds_up(g, first->message))
        return false;
    struct gnt_waiting w;
    if (g->returned.count)
        returned_pop(g, &w);
    else
        gnt_pending_pop(&g->waiting, &w);
    if (taken) {
        gnt_waiting_fini(&w);
        g->unsettled = g->turned_down = 0;
    } else {
        put_aside(g, &w);
    }
    return true;
}

void gnt_group_dispatch(struct gnt_group *g)
{
    if (g->look_aside)
        offer_aside(g);
    for (struct gnt_waiting *first; (first = first_waiting(g)) && dispatch_one(g, first);)
        ;
    if (gnt_pending_empty(&g->waiting))
        return;
    if (somebody_connected(g))
        gnt_group_fetch(g);
    else
        gnt_pending_away(&g->waiting);
}
