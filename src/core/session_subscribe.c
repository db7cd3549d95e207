#include "core/session_private.h"

#include "base/assert.h"
#include "core/group.h"
#include "model/topic.h"

#include <stdlib.h>

/* What one filter of this session is; its place names it. */
struct subscription {
    struct gnt_map_node node; /* in session->subscriptions */
    struct gnt_tree_node *place;
    struct walk *walk; /* NULL: it has got its retained messages */
};

/* ---- Retained messages for a new subscription
 *
 * They are sent as there is room for them, which may take long.  That they are not all sent yet is
 * kept with the subscription, so that after a restart the rest comes, too.  How far it has come is
 * not: the walk begins anew, for where the tree has what does not outlive the process. */

enum { WALK_SLICE = 64 };

struct walk {
    struct gnt_list link; /* in session->walks */
    struct subscription *subscription;
    struct gnt_tree_cursor cursor;
    struct gnt_sub_options options; /* of the subscription, as it is now */
    bool kept;                      /* the store knows of it */
    struct gnt_slice filter;        /* behind the struct */
};

static struct walk *walk_new(struct gnt_slice filter, const struct gnt_sub_options *options)
{
    struct walk *w = malloc(sizeof *w + filter.size);
    if (!w)
        return NULL;
    memcpy(w + 1, filter.data, filter.size);
    *w = (struct walk){.options = *options, .filter = gnt_slice(w + 1, filter.size)};
    return w;
}

/* The walk of SUB, if there is one, is over. */
static void walk_end(struct gnt_session *s, struct subscription *sub)
{
    struct walk *w = sub->walk;
    if (!w)
        return;
    gnt_tree_cursor_fini(s->home->tree, &w->cursor);
    gnt_ring_remove(&s->walks, &w->link);
    free(w);
    sub->walk = NULL;
}

/* All has been sent.  If there is no memory to say so, all comes again after a restart. */
static void walk_done(struct gnt_session *s, struct walk *w)
{
    if (w->kept && gnt_session_keep_filter(s, w->filter, &w->options, false))
        gnt_count(&s->home->counters, GNT_COUNT_KEEP_FAILURES, 1);
    walk_end(s, w->subscription);
}

/* Whether something is retained for FILTER, or may be, far away. */
static bool has_retained(struct gnt_tree *tree, struct gnt_slice filter)
{
    struct gnt_tree_cursor cursor = {0};
    struct gnt_message *found;
    size_t count;
    gnt_err err = gnt_tree_retained(tree, filter, &cursor, 1, &found, &count);
    gnt_tree_cursor_fini(tree, &cursor);
    if (count)
        gnt_message_unref(&found);
    return count || err == GNT_MORE;
}

/* Whether W, which begins, has to outlive the process.  Mostly there is nothing to be sent, and
 * nothing has to be written twice; who comes back knows only that there was something. */
static bool walk_is_kept(const struct gnt_session *s, const struct walk *w)
{
    if (s->home->recovering)
        return true;
    return s->kept && w->options.qos && has_retained(s->home->tree, w->filter);
}

/* One that is still going on for the same filter has no use any more: this one sees all. */
static void walk_start(struct gnt_session *s, struct subscription *sub, struct walk *w)
{
    walk_end(s, sub);
    sub->walk = w;
    w->subscription = sub;
    w->kept = walk_is_kept(s, w);
    gnt_ring_push_back(&s->walks, &w->link);
    gnt_session_work_later(s);
}

static void send_retained(struct gnt_session *s, struct gnt_message *m,
                          const struct gnt_sub_options *o)
{
    if (gnt_message_expired(m, *s->home->now) || (o->no_local && m->publisher == s->sink.id))
        return;
    struct gnt_sub_ids ids = {.count = o->id != 0, .one = o->id};
    gnt_session_send(s, m, m->qos < o->qos ? m->qos : o->qos, true, &ids, NULL);
}

/* A walk goes on only while nothing is queued, so that retained messages never push anything out of
 * a queue, however many and large they are. */
static bool room_for_walk(const struct gnt_session *s)
{
    return s->receiver && !s->held && !s->closing && !s->queue;
}

bool gnt_session_walk(struct gnt_session *s)
{
    for (int steps = 0; s->walks.first; steps++) {
        if (!room_for_walk(s))
            return false; /* goes on when the queue has been pumped */
        if (steps == WALK_SLICE)
            return true;
        struct walk *w = GNT_CONTAINER(s->walks.first, struct walk, link);
        struct gnt_message *found;
        size_t count = 0;
        gnt_err err = gnt_tree_retained(s->home->tree, w->filter, &w->cursor, 1, &found, &count);
        if (count) {
            send_retained(s, found, &w->options);
            gnt_message_unref(&found);
        } else if (err != GNT_MORE) {
            walk_done(s, w);
        }
    }
    return false;
}

/* ---- Plain subscriptions */

static uint64_t place_hash(const struct gnt_tree_node *place)
{
    return gnt_hash_mix(0, (uint64_t)(uintptr_t)place);
}

static struct subscription *find_plain(const struct gnt_session *s, struct gnt_slice filter)
{
    const struct gnt_tree_node *place = gnt_tree_find(s->home->tree, filter);
    struct gnt_map_node *node = place ? gnt_map_first(&s->subscriptions, place_hash(place)) : NULL;
    for (; node; node = gnt_map_next(node)) {
        struct subscription *sub = GNT_CONTAINER(node, struct subscription, node);
        if (sub->place == place)
            return sub;
    }
    return NULL;
}

static void count_subscriptions(struct gnt_session *s, int n, bool shared)
{
    s->subscription_count += (uint32_t)n;
    gnt_count(&s->home->counters, GNT_COUNT_SUBSCRIPTIONS, n);
    if (shared)
        gnt_count(&s->home->counters, GNT_COUNT_SHARED_SUBSCRIPTIONS, n);
}

/* What stands at PLACE is not kept any more, for the session NUMBER (0: none). */
static void keep_no_place(struct gnt_home *home, uint64_t number, const struct gnt_tree_node *place)
{
    struct gnt_buf *text = &home->keep.scratch;
    gnt_buf_clear(text);
    if (!number || gnt_buf_reserve(text, GNT_TOPIC_MAX))
        return; /* for want of memory; it comes back with the next start */
    gnt_buf_wrote(text, gnt_tree_filter(place, (char *)gnt_buf_tail(text), GNT_TOPIC_MAX));
    gnt_session_keep_no_filter(home, number, gnt_buf_slice(text));
}

/* Retained messages that SUB still has to get are not sent after it has ended. */
static void plain_free(struct gnt_session *s, struct subscription *sub)
{
    walk_end(s, sub);
    keep_no_place(s->home, gnt_session_kept_number(s), sub->place);
    gnt_tree_unsubscribe(s->home->tree, sub->place, s->sink.id);
    gnt_map_remove(&s->subscriptions, &sub->node);
    free(sub);
    count_subscriptions(s, -1, false);
}

static gnt_err plain_new(struct gnt_session *s, struct gnt_slice filter,
                         const struct gnt_sub_options *options, struct subscription **out)
{
    struct gnt_tree *tree = s->home->tree;
    struct subscription *sub = calloc(1, sizeof *sub);
    if (!sub)
        return GNT_NOMEM;
    bool existed;
    gnt_err err = gnt_tree_subscribe(tree, filter, s->sink.id, options, &existed, &sub->place);
    if (!err) {
        err = gnt_map_insert(&s->subscriptions, &sub->node, place_hash(sub->place));
        if (err)
            gnt_tree_unsubscribe(tree, sub->place, s->sink.id);
    }
    if (err) {
        free(sub);
        return err;
    }
    count_subscriptions(s, 1, false);
    *out = sub;
    return GNT_OK;
}

static bool full(const struct gnt_session *s)
{
    return s->subscription_count >= s->home->config.subscriptions_per_session;
}

/* SUB has OPTIONS from now on, and gets its retained messages by WALK, if it is not NULL; those
 * that it still has to get from before come with the new options.  There is room to write it, and
 * it is written last: then it is known what is retained. */
static void plain_is(struct gnt_session *s, struct subscription *sub, struct gnt_slice filter,
                     const struct gnt_sub_options *options, struct walk *walk)
{
    if (walk)
        walk_start(s, sub, walk);
    else if (sub->walk)
        sub->walk->options = *options;
    bool retained_due = sub->walk && sub->walk->kept;
    gnt_err err = gnt_session_keep_filter(s, filter, options, retained_due);
    GNT_ASSERT(err == GNT_OK);
}

static enum gnt_outcome subscribe_plain(struct gnt_session *s, struct gnt_slice filter,
                                        const struct gnt_sub_options *options,
                                        enum gnt_retain_handling retained)
{
    struct subscription *sub = find_plain(s, filter);
    bool existed = sub != NULL;
    if (!existed && full(s))
        return GNT_QUOTA;
    struct walk *walk = NULL;
    if (retained == GNT_RETAIN_SEND || (retained == GNT_RETAIN_SEND_IF_NEW && !existed)) {
        walk = walk_new(filter, options);
        if (!walk)
            return GNT_FAILED;
    }
    gnt_err err = gnt_session_keep_filter_room(s, filter);
    if (!err)
        err = existed
                  ? gnt_tree_subscribe(s->home->tree, filter, s->sink.id, options, &existed, NULL)
                  : plain_new(s, filter, options, &sub);
    if (err)
        free(walk);
    else
        plain_is(s, sub, filter, options, walk);
    if (err == GNT_FULL)
        gnt_count(&s->home->counters, GNT_COUNT_FILTERS_REFUSED, 1);
    return err == GNT_FULL ? GNT_QUOTA : err ? GNT_FAILED : GNT_DONE;
}

/* ---- Shared subscriptions */

/* What only sessions with shared subscriptions have: made with the first one, freed with the
 * session. */
struct gnt_shares {
    struct gnt_map by_key;       /* struct shared, by "$share/GROUP/FILTER" */
    struct gnt_map joined;       /* the same, by group, if that has answered */
    struct gnt_list turned_down; /* the same, if the group waits to hear that there is room */
    struct gnt_list requests;    /* struct request: not answered yet */
    uint32_t rounds;             /* the last one that any of them began (core/group.h) */
};

struct shared {
    struct gnt_map_node by_key;   /* in shares->by_key */
    struct gnt_map_node by_group; /* in shares->joined, if group is not 0 */
    struct gnt_list turned_down;  /* in shares->turned_down */
    uint64_t group;               /* 0 while the group has not answered yet */
    uint32_t joined, round;       /* the first round and the current one (core/group.h) */
    struct gnt_slice key;         /* "$share/GROUP/FILTER", behind the struct */
};

/* A wish to join on its way to the group, which may live at another home.  Meanwhile the connection
 * may break (no answer is wanted any more), the client unsubscribe, or the session end: so it names
 * the session by id and its subscription by key. */
struct request {
    struct gnt_joining joining;
    struct gnt_list link; /* in shares->requests, while those live */
    struct gnt_home *home;
    struct gnt_subscribing *answer;
    struct gnt_slice key; /* behind the struct */
};

/* NULL: no memory. */
static struct gnt_shares *shares_of(struct gnt_session *s)
{
    if (!s->shares) {
        s->shares = calloc(1, sizeof *s->shares);
        if (!s->shares)
            return NULL;
        gnt_list_init(&s->shares->turned_down);
        gnt_list_init(&s->shares->requests);
    }
    return s->shares;
}

static struct shared *find_shared(const struct gnt_session *s, struct gnt_slice key)
{
    struct gnt_map_node *node = s->shares ? gnt_map_first(&s->shares->by_key, gnt_hash(key)) : NULL;
    for (; node; node = gnt_map_next(node)) {
        struct shared *sub = GNT_CONTAINER(node, struct shared, by_key);
        if (gnt_slice_eq(sub->key, key))
            return sub;
    }
    return NULL;
}

static struct shared *find_joined(const struct gnt_session *s, uint64_t group)
{
    struct gnt_map_node *node =
        s->shares ? gnt_map_first(&s->shares->joined, gnt_hash_mix(0, group)) : NULL;
    for (; node; node = gnt_map_next(node)) {
        struct shared *sub = GNT_CONTAINER(node, struct shared, by_group);
        if (sub->group == group)
            return sub;
    }
    return NULL;
}

static gnt_err set_group(struct gnt_session *s, struct shared *sub, uint64_t group)
{
    if (sub->group == group)
        return GNT_OK;
    if (sub->group)
        gnt_map_remove(&s->shares->joined, &sub->by_group);
    sub->group = 0;
    gnt_err err = gnt_map_insert(&s->shares->joined, &sub->by_group, gnt_hash_mix(0, group));
    if (!err)
        sub->group = group;
    return err;
}

static void shared_remove(struct gnt_session *s, struct shared *sub)
{
    if (sub->group) {
        gnt_map_remove(&s->shares->joined, &sub->by_group);
        gnt_group_leave(s->home, sub->group, s->sink.id);
    }
    gnt_list_remove(&sub->turned_down);
    gnt_map_remove(&s->shares->by_key, &sub->by_key);
    gnt_session_keep_no_filter(s->home, gnt_session_kept_number(s), sub->key);
    free(sub);
    count_subscriptions(s, -1, true);
}

static struct shared *shared_new(struct gnt_session *s, struct gnt_slice key)
{
    struct shared *sub = gnt_session_have_ledger(s) ? malloc(sizeof *sub + key.size) : NULL;
    if (!sub)
        return NULL;
    memcpy(sub + 1, key.data, key.size);
    *sub = (struct shared){.key = gnt_slice(sub + 1, key.size)};
    if (gnt_map_insert(&s->shares->by_key, &sub->by_key, gnt_hash(key))) {
        free(sub);
        return NULL;
    }
    sub->joined = sub->round = ++s->shares->rounds;
    gnt_list_init(&sub->turned_down);
    if (!s->receiver) /* it comes back from the store */
        gnt_session_turn_down(s, sub);
    count_subscriptions(s, 1, true);
    return sub;
}

/* The group has answered. */
static enum gnt_outcome joined(struct gnt_home *home, struct request *r, enum gnt_outcome outcome)
{
    struct gnt_sink *sink = gnt_slots_find(&home->slots, r->joining.member);
    struct gnt_session *s = sink ? gnt_session_of(sink) : NULL;
    struct shared *sub = s ? find_shared(s, r->key) : NULL;
    if (sub && sub->joined != r->joining.round)
        return outcome; /* it has ended, and its successor takes its place in the group */
    bool member = outcome == GNT_DONE;
    if (sub && member && set_group(s, sub, r->joining.group))
        outcome = GNT_FAILED;
    if (sub && !sub->group) {
        shared_remove(s, sub);
        sub = NULL;
    }
    if (sub && gnt_list_linked(&sub->turned_down))
        gnt_session_work_later(s);
    if (member && !sub)
        gnt_group_leave(home, r->joining.group, r->joining.member);
    return outcome;
}

static void request_free(struct request *r)
{
    gnt_list_remove(&r->link);
    free(r);
}

static void on_joined(struct gnt_joining *joining, enum gnt_outcome outcome)
{
    struct request *r = GNT_CONTAINER(joining, struct request, joining);
    outcome = joined(r->home, r, outcome);
    if (r->answer)
        r->answer->done(r->answer, outcome);
    request_free(r);
}

static struct request *request_new(struct gnt_session *s, struct gnt_slice key,
                                   const struct gnt_sub_options *options,
                                   struct gnt_subscribing *answer)
{
    struct gnt_shares *shares = shares_of(s);
    struct request *r = shares ? malloc(sizeof *r + key.size) : NULL;
    if (!r)
        return NULL;
    memcpy(r + 1, key.data, key.size);
    *r = (struct request){.home = s->home, .answer = answer, .key = gnt_slice(r + 1, key.size)};
    struct gnt_share share;
    gnt_err err = gnt_topic_share(r->key, &share);
    GNT_ASSERT(err == GNT_OK); /* the caller has looked */
    r->joining = (struct gnt_joining){.done = on_joined,
                                      .member = s->sink.id,
                                      .options = *options,
                                      .away = !s->receiver,
                                      .name = share.group,
                                      .filter = share.filter};
    gnt_list_init(&r->link);
    gnt_list_push_back(&shares->requests, &r->link);
    return r;
}

/* No retained messages are sent for a shared subscription [MQTT5 4.8.2]. */
static bool subscribe_shared(struct gnt_session *s, struct gnt_slice key,
                             const struct gnt_sub_options *options, struct gnt_subscribing *answer,
                             enum gnt_outcome *outcome)
{
    struct shared *sub = find_shared(s, key);
    *outcome = GNT_QUOTA;
    if (!sub && full(s))
        return true;
    *outcome = GNT_FAILED;
    struct request *r = request_new(s, key, options, answer);
    if (!r)
        return true;
    if (!sub)
        sub = shared_new(s, key);
    if (!sub || gnt_session_keep_filter(s, key, options, false)) {
        request_free(r);
        if (sub && !sub->group)
            shared_remove(s, sub);
        return true;
    }
    r->joining.round = sub->joined;
    if (!gnt_group_join(s->home, &r->joining, outcome))
        return false;
    *outcome = joined(s->home, r, *outcome);
    request_free(r);
    return true;
}

void gnt_session_shared_away(struct gnt_session *s)
{
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node;
         s->shares && (node = gnt_map_walk(&s->shares->by_key, &cursor));) {
        const struct shared *sub = GNT_CONTAINER(node, struct shared, by_key);
        if (sub->group)
            gnt_group_away(s->home, sub->group, s->sink.id);
    }
}

void gnt_session_shared_stop(struct gnt_session *s)
{
    if (!s->shares)
        return;
    gnt_list_each (link, &s->shares->requests)
        GNT_CONTAINER(link, struct request, link)->answer = NULL;
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&s->shares->by_key, &cursor));)
        gnt_session_turn_down(s, GNT_CONTAINER(node, struct shared, by_key));
}

bool gnt_session_is_member(const struct gnt_session *s, uint64_t group)
{
    return find_joined(s, group) != NULL;
}

enum gnt_offer gnt_session_consider(struct gnt_session *s, uint64_t group, uint32_t round,
                                    struct shared **sub)
{
    *sub = find_joined(s, group);
    if (!*sub)
        return GNT_OFFER_GONE; /* unsubscribed: no new messages [MQTT-3.10.4-2] */
    if (!s->receiver)
        return GNT_OFFER_AWAY;
    bool waits = gnt_list_linked(&(*sub)->turned_down);
    return waits || (*sub)->round != round ? GNT_OFFER_BUSY : GNT_OFFER_TAKEN;
}

void gnt_session_turn_down(struct gnt_session *s, struct shared *sub)
{
    if (!gnt_list_linked(&sub->turned_down))
        gnt_list_push_back(&s->shares->turned_down, &sub->turned_down);
}

bool gnt_session_tell_groups(struct gnt_session *s)
{
    struct gnt_shares *shares = s->shares;
    if (!shares || gnt_list_empty(&shares->turned_down) || !gnt_session_has_room(s))
        return true;
    gnt_list_each_safe (link, &shares->turned_down) {
        struct shared *sub = GNT_CONTAINER(link, struct shared, turned_down);
        if (!sub->group)
            continue; /* once it has answered */
        if (gnt_group_ready(s->home, sub->group, s->sink.id, shares->rounds + 1))
            return false;
        sub->round = ++shares->rounds;
        gnt_list_remove(link);
    }
    return true;
}

static void shares_free(struct gnt_session *s)
{
    gnt_session_shared_stop(s);
    struct gnt_shares *shares = s->shares;
    if (!shares)
        return;
    gnt_list_each_safe (link, &shares->requests)
        gnt_list_remove(link); /* they free themselves */
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&shares->by_key, &cursor));)
        shared_remove(s, GNT_CONTAINER(node, struct shared, by_key));
    gnt_map_fini(&shares->by_key);
    gnt_map_fini(&shares->joined);
    s->shares = NULL;
    free(shares);
}

/* ---- Both */

bool gnt_session_subscribe(struct gnt_session *s, struct gnt_slice filter,
                           const struct gnt_sub_options *options, enum gnt_retain_handling retained,
                           struct gnt_subscribing *request, enum gnt_outcome *outcome)
{
    struct gnt_share share = {.filter = filter};
    gnt_err err = gnt_topic_share(filter, &share);
    if (err == GNT_INVALID || !gnt_topic_filter_valid(share.filter, s->home->config.topic_levels)) {
        *outcome = GNT_FILTER_INVALID;
        return true;
    }
    if (s->kept && gnt_keep_refuses(s->home)) {
        *outcome = GNT_NO_ROOM;
        return true;
    }
    if (err == GNT_OK)
        return subscribe_shared(s, filter, options, request, outcome);
    *outcome = subscribe_plain(s, filter, options, retained);
    return true;
}

enum gnt_outcome gnt_session_unsubscribe(struct gnt_session *s, struct gnt_slice filter)
{
    struct shared *shared = find_shared(s, filter);
    struct subscription *plain = shared ? NULL : find_plain(s, filter);
    if (shared) {
        gnt_session_own(s, shared->group);
        shared_remove(s, shared);
    } else if (plain) {
        plain_free(s, plain);
    } else {
        return GNT_DONE_NO_MATCH;
    }
    return GNT_DONE;
}

/* ---- The end */

enum { CLEARING_SLICE = 256 };

/* What a session leaves in the tree when it ends with more than a few subscriptions: cleared away
 * in slices, so that nobody waits for it.  Until then its sink is found there, and names nobody. */
struct remains {
    struct gnt_work work;
    uint64_t sink, number;
    struct gnt_map subscriptions;
    struct gnt_map_cursor cursor;
};

static void clear_some(struct gnt_home *home, struct gnt_work *work)
{
    struct remains *r = GNT_CONTAINER(work, struct remains, work);
    for (int i = 0; i < CLEARING_SLICE; i++) {
        struct gnt_map_node *node = gnt_map_walk(&r->subscriptions, &r->cursor);
        if (!node) {
            gnt_map_fini(&r->subscriptions);
            free(r);
            return;
        }
        struct subscription *sub = GNT_CONTAINER(node, struct subscription, node);
        keep_no_place(home, r->number, sub->place);
        gnt_tree_unsubscribe(home->tree, sub->place, r->sink);
        gnt_map_remove(&r->subscriptions, node);
        free(sub);
        gnt_count(&home->counters, GNT_COUNT_SUBSCRIPTIONS, -1);
    }
    gnt_home_later(home, work);
}

/* False: there are few, or there is no memory to put it off. */
static bool leave_behind(struct gnt_session *s)
{
    struct remains *r = s->subscriptions.count > CLEARING_SLICE ? malloc(sizeof *r) : NULL;
    if (!r)
        return false;
    while (s->walks.first)
        walk_end(s, GNT_CONTAINER(s->walks.first, struct walk, link)->subscription);
    *r = (struct remains){.sink = s->sink.id,
                          .number = gnt_session_kept_number(s),
                          .subscriptions = s->subscriptions};
    s->subscriptions = (struct gnt_map){0};
    gnt_work_init(&r->work, clear_some);
    gnt_home_later(s->home, &r->work);
    return true;
}

void gnt_session_unsubscribe_all(struct gnt_session *s)
{
    shares_free(s);
    if (leave_behind(s))
        return;
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&s->subscriptions, &cursor));)
        plain_free(s, GNT_CONTAINER(node, struct subscription, node));
    gnt_map_fini(&s->subscriptions);
}
