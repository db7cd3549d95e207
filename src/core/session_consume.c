#include "core/session_puller.h"

#include "base/assert.h"
#include "core/enqueue.h"
#include "model/topic.h"

#include <stdlib.h>

/* Each is opened when the client connects. */
enum { QUEUES_MAX = 1024 };

/* A subscription: it stays as long as others do. */
struct gnt_queue_sub {
    struct gnt_map_node by_key; /* in consuming->subs */
    struct gnt_sub_options options;
    struct gnt_puller *puller; /* NULL: its client is away, may not have it, or it is not there */
    bool granted;              /* the client has been told, and it is kept */
    struct gnt_slice key;      /* "$queue/NAME", as the client wrote it; behind the struct */
};

/* For "no local". */
struct others {
    struct gnt_consumer_filter filter;
    uint64_t session; /* its sink */
};

/* ---- Subscriptions */

static struct gnt_queue_sub *find(const struct gnt_session *s, struct gnt_slice key)
{
    struct gnt_map_node *node =
        s->consuming ? gnt_map_first(&s->consuming->subs, gnt_hash(key)) : NULL;
    for (; node; node = gnt_map_next(node)) {
        struct gnt_queue_sub *sub = GNT_CONTAINER(node, struct gnt_queue_sub, by_key);
        if (gnt_slice_eq(sub->key, key))
            return sub;
    }
    return NULL;
}

static struct gnt_consuming *consuming_of(struct gnt_session *s)
{
    if (!s->consuming) {
        s->consuming = calloc(1, sizeof *s->consuming);
        if (!s->consuming)
            return NULL;
        gnt_list_init(&s->consuming->pullers);
        gnt_list_init(&s->consuming->loaded);
    }
    return s->consuming;
}

static struct gnt_queue_sub *sub_new(struct gnt_session *s, struct gnt_slice key)
{
    struct gnt_consuming *all = consuming_of(s);
    struct gnt_queue_sub *sub = all ? malloc(sizeof *sub + key.size) : NULL;
    if (!sub)
        return NULL;
    memcpy(sub + 1, key.data, key.size);
    *sub = (struct gnt_queue_sub){.key = gnt_slice(sub + 1, key.size)};
    if (gnt_map_insert(&all->subs, &sub->by_key, gnt_hash(key))) {
        free(sub);
        return NULL;
    }
    gnt_session_count_subscriptions(s, 1);
    return sub;
}

/* P goes on without a subscription until it has nothing of the queue any more. */
static void leave(struct gnt_puller *p)
{
    p->sub = NULL;
    if (p->state != GNT_PULLER_OPEN && p->state != GNT_PULLER_OVER)
        return; /* it is looked at when it is */
    gnt_puller_give_back_surely(p);
    if (p->state == GNT_PULLER_OPEN)
        gnt_consumer_credit(&p->consumer, p->came, false);
    gnt_puller_go_on(p);
}

static void sub_end(struct gnt_session *s, struct gnt_queue_sub *sub)
{
    if (sub->puller)
        leave(sub->puller);
    if (sub->granted)
        gnt_session_keep_no_filter(s->home, gnt_session_kept_number(s), sub->key);
    gnt_map_remove(&s->consuming->subs, &sub->by_key);
    free(sub);
    gnt_session_count_subscriptions(s, -1);
}

static gnt_err grant(struct gnt_session *s, struct gnt_queue_sub *sub)
{
    gnt_err err = gnt_session_keep_filter(s, sub->key, &sub->options, false);
    sub->granted = sub->granted || !err;
    return err;
}

/* ---- Pullers */

static void puller_free(struct gnt_puller *p)
{
    GNT_ASSERT(gnt_list_empty(&p->arrived));
    gnt_list_remove(&p->link);
    gnt_list_remove(&p->loaded);
    free(p);
}

static void tell(struct gnt_puller *p, enum gnt_outcome outcome)
{
    struct gnt_subscribing *answer = p->answer;
    p->answer = NULL;
    if (answer)
        answer->done(answer, outcome);
}

/* Who has asked is told; who comes back has to be content with a subscription that gives nothing.
 */
static void fail(struct gnt_puller *p, enum gnt_outcome outcome)
{
    struct gnt_queue_sub *sub = p->sub;
    p->sub = NULL;
    if (sub)
        sub->puller = NULL;
    if (sub && p->answer)
        sub_end(p->session, sub);
    tell(p, outcome == GNT_TOPIC_INVALID ? GNT_FILTER_INVALID : outcome);
}

static void on_opened(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result result)
{
    struct gnt_puller *p = gnt_puller_of(c);
    (void)home;
    p->state = result ? GNT_PULLER_OVER : GNT_PULLER_OPEN;
    if (result) {
        fail(p, gnt_enqueue_outcome(result));
    } else if (p->sub && grant(p->session, p->sub)) {
        fail(p, GNT_FAILED);
    } else {
        tell(p, GNT_DONE);
    }
    gnt_puller_go_on(p);
}

/* MQTT has no word for it: the client is to come again, and to see what there is. */
static void on_ended(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result why)
{
    struct gnt_puller *p = gnt_puller_of(c);
    (void)home, (void)why;
    p->state = GNT_PULLER_OVER;
    if (p->sub)
        gnt_session_close_later(p->session, GNT_CLOSE_ADMINISTRATIVE);
    else
        gnt_puller_go_on(p);
}

static void on_closed(struct gnt_home *home, struct gnt_consumer *c)
{
    (void)home;
    puller_free(gnt_puller_of(c));
}

static bool is_of_others(struct gnt_consumer_filter *filter, const struct gnt_message *message)
{
    return message->publisher != GNT_CONTAINER(filter, struct others, filter)->session;
}

static void others_free(struct gnt_consumer_filter *filter)
{
    free(GNT_CONTAINER(filter, struct others, filter));
}

static gnt_err open_puller(struct gnt_puller *p)
{
    static const struct gnt_consumer_ops ops = {
        .opened = on_opened, .deliver = gnt_puller_deliver, .ended = on_ended, .closed = on_closed};
    struct gnt_session *s = p->session;
    p->consumer.ops = &ops;
    p->consumer.mode = GNT_CONSUME_LOCK;
    p->consumer.endless = p->options.qos == 0; /* nobody decides about it */
    if (p->options.no_local) {
        struct others *o = malloc(sizeof *o);
        if (!o)
            return GNT_NOMEM;
        *o = (struct others){{is_of_others, others_free}, s->sink.id};
        p->consumer.filter = &o->filter;
    }
    p->state = GNT_PULLER_OPENS;
    gnt_consumer_open(s->home, p->asking.facts.id, &p->consumer);
    return GNT_OK;
}

static void on_found(struct gnt_home *home, struct gnt_entity_asking *asking,
                     enum gnt_queue_result result)
{
    struct gnt_puller *p = GNT_CONTAINER(asking, struct gnt_puller, asking);
    (void)home;
    if (p->session && !result && open_puller(p))
        result = GNT_QUEUE_NO_MEMORY;
    if (p->session && result)
        fail(p, gnt_enqueue_outcome(result));
    if (!p->session || result)
        puller_free(p);
}

/* GNT_NOMEM: SUB has none. */
static gnt_err puller_new(struct gnt_session *s, struct gnt_queue_sub *sub,
                          struct gnt_subscribing *answer)
{
    struct gnt_slice name;
    struct gnt_puller *p = calloc(1, sizeof *p + sub->key.size);
    if (!p)
        return GNT_NOMEM;
    memcpy(p + 1, sub->key.data, sub->key.size);
    p->key = gnt_slice(p + 1, sub->key.size);
    p->session = s;
    p->sub = sub;
    p->answer = answer;
    p->options = sub->options;
    gnt_list_init(&p->loaded);
    gnt_list_init(&p->arrived);
    gnt_list_push_back(&s->consuming->pullers, &p->link);
    sub->puller = p;
    bool named = gnt_topic_queue(p->key, &name);
    GNT_ASSERT(named);
    p->asking = (struct gnt_entity_asking){.done = on_found,
                                           .verb = gnt_entity_verb_for(s->home),
                                           .name = name};
    gnt_entity_ask(s->home, &p->asking);
    return GNT_OK;
}

/* ---- The client's wishes */

/* Whether the consumer that SUB has does for OPTIONS, too. */
static bool does(const struct gnt_queue_sub *sub, const struct gnt_sub_options *options)
{
    const struct gnt_puller *p = sub->puller;
    return p && p->state == GNT_PULLER_OPEN && p->options.qos == options->qos &&
           p->options.no_local == options->no_local;
}

/* One that is there is replaced; what its client has of the queue it may settle all the same. */
static bool pull_anew(struct gnt_session *s, struct gnt_queue_sub *sub,
                      struct gnt_subscribing *answer)
{
    struct gnt_puller *before = sub->puller;
    if (puller_new(s, sub, answer)) {
        if (!sub->granted && !before)
            sub_end(s, sub);
        return false;
    }
    if (before)
        leave(before);
    return true;
}

bool gnt_session_consume(struct gnt_session *s, struct gnt_slice key,
                         const struct gnt_sub_options *options, struct gnt_subscribing *answer,
                         enum gnt_outcome *outcome)
{
    struct gnt_queue_sub *sub = find(s, key);
    *outcome = GNT_QUOTA;
    if (!sub && (gnt_session_subscriptions_full(s) ||
                 (s->consuming && s->consuming->subs.count >= QUEUES_MAX)))
        return true;
    if (!sub)
        sub = sub_new(s, key);
    *outcome = GNT_FAILED;
    if (!sub)
        return true;
    bool stays = !s->receiver || does(sub, options);
    sub->options = *options;
    if (!stays)
        return !pull_anew(s, sub, answer);
    if (sub->puller)
        sub->puller->options = *options;
    if (grant(s, sub) == GNT_OK)
        *outcome = GNT_DONE;
    else if (!sub->granted)
        sub_end(s, sub);
    return true;
}

bool gnt_session_unconsume(struct gnt_session *s, struct gnt_slice key)
{
    struct gnt_queue_sub *sub = find(s, key);
    if (sub)
        sub_end(s, sub);
    return sub;
}

void gnt_session_unconsume_all(struct gnt_session *s)
{
    struct gnt_map_cursor cursor = {0};
    if (!s->consuming)
        return;
    for (struct gnt_map_node *node; (node = gnt_map_walk(&s->consuming->subs, &cursor));)
        sub_end(s, GNT_CONTAINER(node, struct gnt_queue_sub, by_key));
    GNT_ASSERT(gnt_list_empty(&s->consuming->pullers));
    gnt_map_fini(&s->consuming->subs);
    free(s->consuming);
    s->consuming = NULL;
}

/* ---- Its client comes and goes, and what it may changes */

void gnt_session_consume_review(struct gnt_session *s)
{
    struct gnt_map_cursor cursor = {0};
    if (!s->consuming || !s->receiver)
        return;
    for (struct gnt_map_node *node; (node = gnt_map_walk(&s->consuming->subs, &cursor));) {
        struct gnt_queue_sub *sub = GNT_CONTAINER(node, struct gnt_queue_sub, by_key);
        struct gnt_puller *p = sub->puller;
        bool may = gnt_session_reach(s, sub->key) != GNT_REACH_NONE;
        if (p && !may) {
            sub->puller = NULL;
            leave(p);
        } else if (!p && may && puller_new(s, sub, NULL)) {
            gnt_session_close_later(s, GNT_CLOSE_NO_MEMORY);
        }
    }
}

static void let_go(struct gnt_puller *p, bool failed)
{
    struct gnt_session *s = p->session;
    struct gnt_queue_sub *sub = p->sub;
    p->answer = NULL;
    (void)!gnt_puller_give_back(p);
    if (sub)
        sub->puller = NULL;
    p->sub = NULL;
    if (sub && !sub->granted)
        sub_end(s, sub);
    gnt_puller_close(p, failed);
}

void gnt_session_consume_stop(struct gnt_session *s, bool failed)
{
    struct gnt_flight *next = NULL;
    if (!s->consuming)
        return;
    for (struct gnt_flight *f = gnt_window_next(&s->window, NULL); f; f = next) {
        next = gnt_window_next(&s->window, f);
        if (f->drawn)
            gnt_window_remove(&s->window, f);
    }
    gnt_list_each_safe (link, &s->consuming->pullers)
        let_go(GNT_CONTAINER(link, struct gnt_puller, link), failed);
}
