#include "core/session_private.h"

#include "base/assert.h"
#include "model/topic.h"

#include <stdlib.h>

/* What one filter of this session is; its place names it. */
struct subscription {
    struct gnt_map_node node; /* in session->subscriptions */
    struct gnt_tree_node *place;
    struct walk *walk; /* NULL: it has got its retained messages */
    bool marked;
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

/* W's subscription has been replaced by one with OPTIONS, which did not ask for retained messages:
 * what it still has to get is not lost for that [MQTT-3.8.4-4], and what comes at QoS 1 and 2 from
 * now on has to outlive the process, though at QoS 0 it had not. */
static void walk_goes_on(const struct gnt_session *s, struct walk *w,
                         const struct gnt_sub_options *options)
{
    w->options = *options;
    w->kept |= walk_is_kept(s, w);
}

static void send_retained(struct gnt_session *s, struct gnt_message *m,
                          const struct gnt_sub_options *o)
{
    if (gnt_message_expired(m, *s->home->now) || (o->no_local && m->publisher == s->sink.id))
        return;
    if (gnt_session_looks(s) && !gnt_session_may_receive(s, m->topic))
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

void gnt_session_count_subscriptions(struct gnt_session *s, int n)
{
    s->subscription_count += (uint32_t)n;
    gnt_count(&s->home->counters, GNT_COUNT_SUBSCRIPTIONS, n);
}

static void set_mark(struct gnt_session *s, struct subscription *sub, bool marked)
{
    gnt_session_marked(s, marked - sub->marked);
    sub->marked = marked;
}

/* The filter that stands at PLACE, in the home's scratch memory. */
static gnt_err filter_at(struct gnt_home *home, const struct gnt_tree_node *place,
                         struct gnt_slice *filter)
{
    struct gnt_buf *text = &home->keep.scratch;
    gnt_buf_clear(text);
    gnt_err err = gnt_buf_reserve(text, GNT_TOPIC_MAX);
    if (err)
        return err;
    gnt_buf_wrote(text, gnt_tree_filter(place, (char *)gnt_buf_tail(text), GNT_TOPIC_MAX));
    *filter = gnt_buf_slice(text);
    return GNT_OK;
}

/* What stands at PLACE is not kept any more, for the session NUMBER (0: none). */
static void keep_no_place(struct gnt_home *home, uint64_t number, const struct gnt_tree_node *place)
{
    struct gnt_slice filter;
    if (!number || filter_at(home, place, &filter))
        return; /* for want of memory; it comes back with the next start */
    gnt_session_keep_no_filter(home, number, filter);
}

/* Retained messages that SUB still has to get are not sent after it has ended. */
static void plain_free(struct gnt_session *s, struct subscription *sub)
{
    walk_end(s, sub);
    keep_no_place(s->home, gnt_session_kept_number(s), sub->place);
    gnt_tree_unsubscribe(s->home->tree, sub->place, s->sink.id);
    gnt_map_remove(&s->subscriptions, &sub->node);
    set_mark(s, sub, false);
    free(sub);
    gnt_session_count_subscriptions(s, -1);
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
    gnt_session_count_subscriptions(s, 1);
    *out = sub;
    return GNT_OK;
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
        walk_goes_on(s, sub->walk, options);
    bool retained_due = sub->walk && sub->walk->kept;
    gnt_err err = gnt_session_keep_filter(s, filter, options, retained_due);
    GNT_ASSERT(err == GNT_OK);
}

static enum gnt_outcome subscribe_plain(struct gnt_session *s, struct gnt_slice filter,
                                        const struct gnt_sub_options *options, bool marked,
                                        enum gnt_retain_handling retained)
{
    struct subscription *sub = find_plain(s, filter);
    bool existed = sub != NULL;
    if (!existed && gnt_session_subscriptions_full(s))
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
    if (err) {
        free(walk);
    } else {
        set_mark(s, sub, marked);
        plain_is(s, sub, filter, options, walk);
    }
    if (err == GNT_FULL)
        gnt_count(&s->home->counters, GNT_COUNT_FILTERS_REFUSED, 1);
    return err == GNT_FULL ? GNT_QUOTA : err ? GNT_FAILED : GNT_DONE;
}

bool gnt_session_mark_plain(struct gnt_session *s, size_t *at, size_t count)
{
    struct gnt_map_cursor cursor = {.bucket = *at};
    for (size_t steps = 0; steps < count || cursor.next; steps++) {
        struct gnt_map_node *node = gnt_map_walk(&s->subscriptions, &cursor);
        if (!node)
            return false;
        struct subscription *sub = GNT_CONTAINER(node, struct subscription, node);
        struct gnt_slice filter;
        set_mark(s, sub,
                 gnt_session_rights(s) && (filter_at(s->home, sub->place, &filter) ||
                                           gnt_session_reach(s, filter) != GNT_REACH_ALL));
    }
    *at = cursor.bucket; /* between two buckets; should the table grow, some come again */
    return true;
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
    struct gnt_slice queue;
    bool draws = gnt_topic_queue(share.filter, &queue);
    if (draws && (err == GNT_OK || gnt_topic_has_wildcard(queue))) {
        *outcome = GNT_FILTER_INVALID; /* its consumers share it as it is */
        return true;
    }
    enum gnt_reach reach = gnt_session_reach(s, filter);
    if (reach == GNT_REACH_NONE &&
        !s->home->recovering) { /* there was more to be had when it was made */
        gnt_count(&s->home->counters, GNT_COUNT_SUBSCRIPTIONS_DENIED, 1);
        *outcome = GNT_NOT_ALLOWED;
        return true;
    }
    if (s->kept && gnt_keep_refuses(s->home)) {
        *outcome = GNT_NO_ROOM;
        return true;
    }
    if (draws)
        return gnt_session_consume(s, filter, options, request, outcome);
    bool marked = reach != GNT_REACH_ALL;
    if (err == GNT_OK)
        return gnt_session_share(s, filter, options, marked, request, outcome);
    *outcome = subscribe_plain(s, filter, options, marked, retained);
    return true;
}

enum gnt_outcome gnt_session_unsubscribe(struct gnt_session *s, struct gnt_slice filter)
{
    if (gnt_session_unshare(s, filter) || gnt_session_unconsume(s, filter))
        return GNT_DONE;
    struct subscription *plain = find_plain(s, filter);
    if (!plain)
        return GNT_DONE_NO_MATCH;
    plain_free(s, plain);
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
    gnt_session_unshare_all(s);
    gnt_session_unconsume_all(s);
    if (leave_behind(s))
        return;
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&s->subscriptions, &cursor));)
        plain_free(s, GNT_CONTAINER(node, struct subscription, node));
    gnt_map_fini(&s->subscriptions);
}
