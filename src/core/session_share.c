#include "core/session_private.h"

#include "base/assert.h"
#include "core/group.h"
#include "model/topic.h"

#include <stdlib.h>

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
    bool marked;
    struct gnt_rights *told; /* what the group knows: by these it passes this member over */
    struct gnt_slice key;    /* "$share/GROUP/FILTER", behind the struct */
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

static void count_shared(struct gnt_session *s, int n)
{
    s->subscription_count += (uint32_t)n;
    gnt_count(&s->home->counters, GNT_COUNT_SUBSCRIPTIONS, n);
    gnt_count(&s->home->counters, GNT_COUNT_SHARED_SUBSCRIPTIONS, n);
}

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

/* ---- What the groups know of rights */

static void set_mark(struct gnt_session *s, struct shared *sub, bool marked)
{
    gnt_session_marked(s, marked - sub->marked);
    sub->marked = marked;
}

/* What the group of SUB should know; NULL: no message needs a look. */
static struct gnt_rights *rights_for(const struct gnt_session *s, const struct shared *sub)
{
    return sub->marked ? gnt_session_rights(s) : NULL;
}

static void set_told(struct shared *sub, struct gnt_rights *rights)
{
    struct gnt_rights *before = sub->told;
    sub->told = gnt_rights_ref(rights);
    gnt_rights_unref(&before);
}

/* A group that has not answered yet is told when it has. */
static gnt_err tell_rights(struct gnt_session *s, struct shared *sub)
{
    struct gnt_rights *rights = rights_for(s, sub);
    if (!sub->group || sub->told == rights)
        return GNT_OK;
    gnt_err err = gnt_group_bind(s->home, sub->group, s->sink.id, rights);
    if (!err)
        set_told(sub, rights);
    return err;
}

gnt_err gnt_session_mark_shared(struct gnt_session *s, size_t *at, size_t count, bool *more)
{
    struct gnt_map_cursor cursor = {.bucket = *at};
    *more = false;
    for (size_t steps = 0; s->shares && (steps < count || cursor.next); steps++) {
        struct gnt_map_node *node = gnt_map_walk(&s->shares->by_key, &cursor);
        if (!node)
            return GNT_OK;
        struct shared *sub = GNT_CONTAINER(node, struct shared, by_key);
        set_mark(s, sub, gnt_session_reach(s, sub->key) != GNT_REACH_ALL);
        gnt_err err = tell_rights(s, sub);
        if (err)
            return err;
    }
    *at = cursor.bucket;
    *more = s->shares != NULL;
    return GNT_OK;
}

/* ---- One of them */

static void shared_remove(struct gnt_session *s, struct shared *sub)
{
    if (sub->group) {
        gnt_map_remove(&s->shares->joined, &sub->by_group);
        gnt_group_leave(s->home, sub->group, s->sink.id);
    }
    gnt_list_remove(&sub->turned_down);
    gnt_map_remove(&s->shares->by_key, &sub->by_key);
    gnt_session_keep_no_filter(s->home, gnt_session_kept_number(s), sub->key);
    set_mark(s, sub, false);
    gnt_rights_unref(&sub->told);
    free(sub);
    count_shared(s, -1);
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
    count_shared(s, 1);
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
    if (sub && member)
        set_told(sub, r->joining.rights);
    if (sub && sub->told != rights_for(s, sub))
        gnt_session_mark_shared_again(s);
    if (sub && gnt_list_linked(&sub->turned_down))
        gnt_session_work_later(s);
    if (member && !sub)
        gnt_group_leave(home, r->joining.group, r->joining.member);
    return outcome;
}

static void request_free(struct request *r)
{
    gnt_list_remove(&r->link);
    gnt_rights_unref(&r->joining.rights);
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
bool gnt_session_share(struct gnt_session *s, struct gnt_slice key,
                       const struct gnt_sub_options *options, bool marked,
                       struct gnt_subscribing *answer, enum gnt_outcome *outcome)
{
    struct shared *sub = find_shared(s, key);
    *outcome = GNT_QUOTA;
    if (!sub && gnt_session_subscriptions_full(s))
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
    set_mark(s, sub, marked);
    r->joining.rights = gnt_rights_ref(rights_for(s, sub));
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

/* Not inlined, because mostly there is nobody to tell. */
__attribute__((noinline)) static bool tell_ready(struct gnt_session *s, struct gnt_shares *shares)
{
    if (gnt_session_marking(s))
        return true; /* first they are to know what it may; it comes here again then */
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

bool gnt_session_tell_groups(struct gnt_session *s)
{
    struct gnt_shares *shares = s->shares;
    if (!shares || gnt_list_empty(&shares->turned_down) || !gnt_session_has_room(s))
        return true;
    return tell_ready(s, shares);
}

void gnt_session_unshare_all(struct gnt_session *s)
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

bool gnt_session_unshare(struct gnt_session *s, struct gnt_slice key)
{
    struct shared *sub = find_shared(s, key);
    if (!sub)
        return false;
    gnt_session_own(s, sub->group);
    shared_remove(s, sub);
    return true;
}
