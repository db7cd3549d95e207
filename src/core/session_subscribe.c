#include "core/session_private.h"

#include "base/assert.h"
#include "core/group.h"
#include "model/topic.h"

#include <stdlib.h>

/* ---- Retained messages for a new subscription */

/* A walk goes on only while few deliveries are queued, so that retained messages never push
 * anything out of a queue, however many there are. */
enum { WALK_SLICE = 64, WALK_QUEUED_MAX = 64 };

struct walk {
    struct gnt_list link; /* in session->walks */
    struct gnt_tree_cursor cursor;
    struct gnt_sub_options options;
    struct gnt_slice filter; /* behind the struct */
};

static void walk_free(struct gnt_session *s, struct walk *w)
{
    gnt_tree_cursor_fini(s->home->core->tree, &w->cursor);
    gnt_list_remove(&w->link);
    free(w);
}

static gnt_err walk_start(struct gnt_session *s, struct gnt_slice filter,
                          const struct gnt_sub_options *options)
{
    struct walk *w = malloc(sizeof *w + filter.size);
    if (!w)
        return GNT_NOMEM;
    memcpy(w + 1, filter.data, filter.size);
    *w = (struct walk){.options = *options, .filter = gnt_slice(w + 1, filter.size)};
    gnt_list_init(&w->link);
    gnt_list_push_back(&s->walks, &w->link);
    gnt_session_work_later(s);
    return GNT_OK;
}

static void send_retained(struct gnt_session *s, struct gnt_message *m,
                          const struct gnt_sub_options *o)
{
    if (gnt_message_expired(m, *s->home->now) || (o->no_local && m->publisher == s->sink.id))
        return;
    struct gnt_sub_ids ids = {.count = o->id != 0, .one = o->id};
    gnt_session_send(s, m, m->qos < o->qos ? m->qos : o->qos, true, &ids);
}

static bool room_for_walk(const struct gnt_session *s)
{
    size_t limit = s->home->core->config.queued_per_session, most = WALK_QUEUED_MAX;
    if (limit && limit / 2 < most)
        most = limit / 2;
    return s->backlog.count <= most && !s->held;
}

bool gnt_session_walk(struct gnt_session *s)
{
    if (gnt_list_empty(&s->walks) || !room_for_walk(s))
        return false; /* goes on when the queue has been pumped */
    struct walk *w = GNT_CONTAINER(s->walks.next, struct walk, link);
    struct gnt_message *found[WALK_SLICE];
    size_t count = 0;
    gnt_err err =
        gnt_tree_retained(s->home->core->tree, w->filter, &w->cursor, WALK_SLICE, found, &count);
    for (size_t i = 0; i < count; i++) {
        send_retained(s, found[i], &w->options);
        gnt_message_unref(&found[i]);
    }
    if (count == 0 && err != GNT_MORE)
        walk_free(s, w);
    return !gnt_list_empty(&s->walks);
}

/* ---- Plain subscriptions */

struct subscription {
    struct gnt_map_node node; /* in session->subscriptions */
    struct gnt_tree_node *place;
};

static uint64_t place_hash(const struct gnt_tree_node *place)
{
    return gnt_hash_mix(0, (uint64_t)(uintptr_t)place);
}

static struct subscription *find_plain(const struct gnt_session *s,
                                       const struct gnt_tree_node *place)
{
    struct gnt_map_node *node = gnt_map_first(&s->subscriptions, place_hash(place));
    for (; node; node = gnt_map_next(node)) {
        struct subscription *sub = GNT_CONTAINER(node, struct subscription, node);
        if (sub->place == place)
            return sub;
    }
    return NULL;
}

static void count_subscriptions(struct gnt_session *s, int n, bool shared)
{
    s->subscription_count += (size_t)n;
    gnt_count(&s->home->counters, GNT_COUNT_SUBSCRIPTIONS, n);
    if (shared)
        gnt_count(&s->home->counters, GNT_COUNT_SHARED_SUBSCRIPTIONS, n);
}

static void plain_free(struct gnt_session *s, struct subscription *sub)
{
    gnt_tree_unsubscribe(s->home->core->tree, sub->place, s->sink.id);
    gnt_map_remove(&s->subscriptions, &sub->node);
    free(sub);
    count_subscriptions(s, -1, false);
}

static gnt_err plain_new(struct gnt_session *s, struct gnt_slice filter,
                         const struct gnt_sub_options *options)
{
    struct gnt_tree *tree = s->home->core->tree;
    struct subscription *sub = malloc(sizeof *sub);
    if (!sub)
        return GNT_NOMEM;
    bool existed;
    gnt_err err = gnt_tree_subscribe(tree, filter, s->sink.id, options, &existed, &sub->place);
    if (err) {
        free(sub);
        return err;
    }
    err = gnt_map_insert(&s->subscriptions, &sub->node, place_hash(sub->place));
    if (err) {
        gnt_tree_unsubscribe(tree, sub->place, s->sink.id);
        free(sub);
        return err;
    }
    count_subscriptions(s, 1, false);
    return GNT_OK;
}

static bool full(const struct gnt_session *s)
{
    return s->subscription_count >= s->home->core->config.subscriptions_per_session;
}

static enum gnt_outcome subscribe_plain(struct gnt_session *s, struct gnt_slice filter,
                                        const struct gnt_sub_options *options,
                                        enum gnt_retain_handling retained)
{
    struct gnt_tree *tree = s->home->core->tree;
    struct gnt_tree_node *place = gnt_tree_find(tree, filter);
    bool existed = place && find_plain(s, place);
    if (!existed && full(s))
        return GNT_QUOTA;
    gnt_err err = existed ? gnt_tree_subscribe(tree, filter, s->sink.id, options, &existed, NULL)
                          : plain_new(s, filter, options);
    if (!err && (retained == GNT_RETAIN_SEND || (retained == GNT_RETAIN_SEND_IF_NEW && !existed)))
        err = walk_start(s, filter, options);
    return err ? GNT_FAILED : GNT_DONE;
}

/* ---- Shared subscriptions */

struct shared {
    struct gnt_list link; /* in session->shared */
    uint64_t group;       /* 0 while the group has not answered yet */
    bool turned_down;     /* the group waits to hear that there is room */
    struct gnt_slice key; /* "$share/GROUP/FILTER", behind the struct */
};

/* A wish to join on its way to the group, which may live at another home.  Meanwhile the connection
 * may break (no answer is wanted any more), the client unsubscribe, or the session end: so it names
 * the session by id and its subscription by key. */
struct request {
    struct gnt_joining joining;
    struct gnt_list link; /* in session->requests, while that lives */
    struct gnt_home *home;
    struct gnt_subscribing *answer;
    struct gnt_slice key; /* behind the struct */
};

static struct shared *find_shared(const struct gnt_session *s, struct gnt_slice key)
{
    gnt_list_each (link, &s->shared) {
        struct shared *sub = GNT_CONTAINER(link, struct shared, link);
        if (gnt_slice_eq(sub->key, key))
            return sub;
    }
    return NULL;
}

static void shared_remove(struct gnt_session *s, struct shared *sub)
{
    if (sub->group)
        gnt_group_leave(s->home, sub->group, s->sink.id);
    gnt_list_remove(&sub->link);
    free(sub);
    count_subscriptions(s, -1, true);
}

static struct shared *shared_new(struct gnt_session *s, struct gnt_slice key)
{
    struct shared *sub = malloc(sizeof *sub + key.size);
    if (!sub)
        return NULL;
    memcpy(sub + 1, key.data, key.size);
    *sub = (struct shared){.key = gnt_slice(sub + 1, key.size)};
    gnt_list_init(&sub->link);
    gnt_list_push_back(&s->shared, &sub->link);
    count_subscriptions(s, 1, true);
    return sub;
}

/* The group has answered. */
static enum gnt_outcome joined(struct gnt_home *home, struct request *r, enum gnt_outcome outcome)
{
    struct gnt_sink *sink = gnt_slots_find(&home->slots, r->joining.member);
    struct gnt_session *s = sink ? gnt_session_of(sink) : NULL;
    struct shared *sub = s ? find_shared(s, r->key) : NULL;
    if (outcome == GNT_DONE && sub)
        sub->group = r->joining.group;
    else if (outcome == GNT_DONE)
        gnt_group_leave(home, r->joining.group, r->joining.member);
    else if (sub && !sub->group)
        shared_remove(s, sub);
    return outcome;
}

static void on_joined(struct gnt_joining *joining, enum gnt_outcome outcome)
{
    struct request *r = GNT_CONTAINER(joining, struct request, joining);
    outcome = joined(r->home, r, outcome);
    if (r->answer)
        r->answer->done(r->answer, outcome);
    gnt_list_remove(&r->link);
    free(r);
}

static struct request *request_new(struct gnt_session *s, struct gnt_slice key,
                                   const struct gnt_sub_options *options,
                                   struct gnt_subscribing *answer)
{
    struct request *r = malloc(sizeof *r + key.size);
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
                                      .name = share.group,
                                      .filter = share.filter};
    gnt_list_init(&r->link);
    gnt_list_push_back(&s->requests, &r->link);
    return r;
}

/* No retained messages are sent for a shared subscription [MQTT5 4.8.2]. */
static bool subscribe_shared(struct gnt_session *s, struct gnt_slice key,
                             const struct gnt_sub_options *options, struct gnt_subscribing *answer,
                             enum gnt_outcome *outcome)
{
    struct shared *sub = find_shared(s, key);
    if (!sub && full(s)) {
        *outcome = GNT_QUOTA;
        return true;
    }
    struct request *r = request_new(s, key, options, answer);
    if (!r || (!sub && !shared_new(s, key))) {
        if (r)
            gnt_list_remove(&r->link);
        free(r);
        *outcome = GNT_FAILED;
        return true;
    }
    if (!gnt_group_join(s->home, &r->joining, outcome))
        return false;
    *outcome = joined(s->home, r, *outcome);
    gnt_list_remove(&r->link);
    free(r);
    return true;
}

void gnt_session_shared_stop(struct gnt_session *s)
{
    gnt_list_each (link, &s->requests)
        GNT_CONTAINER(link, struct request, link)->answer = NULL;
    gnt_list_each (link, &s->shared)
        GNT_CONTAINER(link, struct shared, link)->turned_down = true;
}

void gnt_session_turned_down(struct gnt_session *s, uint64_t group)
{
    gnt_list_each (link, &s->shared) {
        struct shared *sub = GNT_CONTAINER(link, struct shared, link);
        if (sub->group == group)
            sub->turned_down = true;
    }
}

void gnt_session_tell_groups(struct gnt_session *s)
{
    gnt_list_each (link, &s->shared) {
        struct shared *sub = GNT_CONTAINER(link, struct shared, link);
        if (!sub->turned_down)
            continue;
        sub->turned_down = false;
        gnt_group_ready(s->home, sub->group, s->sink.id);
    }
}

/* ---- Both */

bool gnt_session_subscribe(struct gnt_session *s, struct gnt_slice filter,
                           const struct gnt_sub_options *options, enum gnt_retain_handling retained,
                           struct gnt_subscribing *request, enum gnt_outcome *outcome)
{
    struct gnt_share share = {.filter = filter};
    gnt_err err = gnt_topic_share(filter, &share);
    if (err == GNT_INVALID ||
        !gnt_topic_filter_valid(share.filter, s->home->core->config.topic_levels)) {
        *outcome = GNT_FILTER_INVALID;
        return true;
    }
    if (err == GNT_OK)
        return subscribe_shared(s, filter, options, request, outcome);
    *outcome = subscribe_plain(s, filter, options, retained);
    return true;
}

/* Retained messages that a subscription still has to get are not sent after it has ended. */
static void walks_end(struct gnt_session *s, struct gnt_slice filter)
{
    gnt_list_each_safe (link, &s->walks) {
        struct walk *w = GNT_CONTAINER(link, struct walk, link);
        if (gnt_slice_eq(w->filter, filter))
            walk_free(s, w);
    }
}

enum gnt_outcome gnt_session_unsubscribe(struct gnt_session *s, struct gnt_slice filter)
{
    struct shared *shared = find_shared(s, filter);
    if (shared) {
        shared_remove(s, shared);
        return GNT_DONE;
    }
    struct gnt_tree_node *place = gnt_tree_find(s->home->core->tree, filter);
    struct subscription *sub = place ? find_plain(s, place) : NULL;
    if (!sub)
        return GNT_DONE_NO_MATCH;
    walks_end(s, filter);
    plain_free(s, sub);
    return GNT_DONE;
}

void gnt_session_unsubscribe_all(struct gnt_session *s)
{
    gnt_list_each_safe (link, &s->walks)
        walk_free(s, GNT_CONTAINER(link, struct walk, link));
    gnt_list_each_safe (link, &s->shared)
        shared_remove(s, GNT_CONTAINER(link, struct shared, link));
    gnt_session_shared_stop(s);
    gnt_list_each_safe (link, &s->requests)
        gnt_list_remove(link); /* they free themselves */
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&s->subscriptions, &cursor));)
        plain_free(s, GNT_CONTAINER(node, struct subscription, node));
    gnt_map_fini(&s->subscriptions);
}
