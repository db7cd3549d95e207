#include "core/session_private.h"

#include "base/assert.h"
#include "core/enqueue.h"
#include "core/queue.h"
#include "model/topic.h"

#include <stdlib.h>

/* A client that says nothing of how much it takes has so many at most, so that others have some,
 * too; and so many queues, each of which is opened when it connects. */
enum { HELD_MAX = 128, QUEUES_MAX = 1024 };

struct gnt_consuming {
    struct gnt_map subs;     /* struct queue_sub, by key */
    struct gnt_list pullers; /* struct puller */
    struct gnt_list loaded;  /* the same, if something waits there that is to be sent */
    bool hungry;             /* some were not given credit, because the session had a queue */
};

/* A subscription: it stays as long as others do. */
struct queue_sub {
    struct gnt_map_node by_key; /* in consuming->subs */
    struct gnt_sub_options options;
    struct puller *puller; /* NULL: its client is away, may not have it, or it is not there */
    bool granted;          /* the client has been told, and it is kept */
    struct gnt_slice key;  /* "$queue/NAME", as the client wrote it; behind the struct */
};

/*   state    what goes on                              next states */
enum puller_state {
    PULLER_ASKS,   /* the directory: where the queue is  OPENS, freed */
    PULLER_OPENS,  /* the queue is asked for a place     OPEN, CLOSES */
    PULLER_OPEN,   /*                                    OVER, CLOSES */
    PULLER_OVER,   /* the queue is no more               CLOSES */
    PULLER_CLOSES, /*                                    freed */
};

/* A consumer: as long as the client is connected, or what it has of the queue is unsettled. */
struct puller {
    struct gnt_consumer consumer;
    struct gnt_entity_asking asking;
    struct gnt_list link;           /* in consuming->pullers */
    struct gnt_list loaded;         /* in consuming->loaded */
    struct gnt_session *session;    /* NULL: it goes as soon as the core owes it nothing */
    struct queue_sub *sub;          /* NULL: it ends with the last that it has */
    struct gnt_subscribing *answer; /* NULL: nobody waits for one */
    struct gnt_list arrived;        /* struct arrived */
    struct gnt_sub_options options;
    enum puller_state state;
    uint32_t held;        /* arrived, or with the client, and not settled */
    uint64_t came, upto;  /* deliveries, and credit */
    struct gnt_slice key; /* behind the struct */
};

/* What could not be sent at once. */
struct arrived {
    struct gnt_list link; /* in puller->arrived */
    struct gnt_queued queued;
};

/* For "no local". */
struct others {
    struct gnt_consumer_filter filter;
    uint64_t session; /* its sink */
};

static struct puller *puller_of(struct gnt_consumer *c)
{
    return GNT_CONTAINER(c, struct puller, consumer);
}

/* ---- What it has of the queue */

static void close_puller(struct puller *p, bool failed);

static uint32_t most_held(const struct gnt_session *s)
{
    return s->receive_max < HELD_MAX ? s->receive_max : HELD_MAX;
}

/* In large steps, but while nothing is left at once. */
static void give_credit(struct puller *p)
{
    struct gnt_session *s = p->session;
    if (p->state != PULLER_OPEN || !p->sub)
        return;
    if (s->queue) { /* its own goes first, and what comes now would wait */
        s->consuming->hungry = true;
        return;
    }
    uint32_t most = most_held(s);
    uint64_t upto = p->came + (p->held < most ? most - p->held : 0);
    bool enough = p->upto > p->came && (upto < p->upto || upto - p->upto <= most / 2);
    if (enough || upto <= p->upto)
        return;
    p->upto = upto;
    gnt_consumer_credit(&p->consumer, upto, false);
}

/* GNT_NOMEM: nothing has happened. */
static gnt_err settle(struct puller *p, const struct gnt_settling *settling)
{
    gnt_err err = p->state == PULLER_OPEN ? gnt_consumer_settle(&p->consumer, settling) : GNT_OK;
    if (!err)
        p->held--;
    return err;
}

/* P may have less than before: more may come, or it has done what it was there for. */
static void go_on(struct puller *p)
{
    if (!p->session)
        return;
    if (!p->sub && !p->held && p->state >= PULLER_OPEN)
        close_puller(p, false);
    else
        give_credit(p);
}

static void settle_surely(struct puller *p, const struct gnt_settling *settling)
{
    if (settle(p, settling))
        gnt_session_close_later(p->session, GNT_CLOSE_NO_MEMORY); /* and it goes back with that */
    else
        go_on(p);
}

static void release(struct puller *p, uint64_t delivery)
{
    const struct gnt_settling back = {.delivery = delivery, .outcome = GNT_SETTLE_RELEASE};
    settle_surely(p, &back);
}

/* ---- Sending */

/* What could not be sent to this client ever is for others. */
static void not_sent(struct puller *p, uint64_t delivery, gnt_err err)
{
    const struct gnt_settling elsewhere = {
        .delivery = delivery, .outcome = GNT_SETTLE_MODIFY, .failed = true, .elsewhere = true};
    if (err == GNT_TOOBIG) {
        settle_surely(p, &elsewhere);
        return;
    }
    gnt_session_close_later(p->session, GNT_CLOSE_NO_MEMORY);
    release(p, delivery);
}

/* At most once: it is the client's with that. */
static void send_once(struct puller *p, uint64_t delivery, const struct gnt_delivery *d)
{
    const struct gnt_settling accept = {.delivery = delivery, .outcome = GNT_SETTLE_ACCEPT};
    gnt_err err = p->session->receiver->ops->deliver(p->session->receiver, d);
    if (err)
        not_sent(p, delivery, err);
    else
        settle_surely(p, &accept);
}

static void send_flight(struct puller *p, uint64_t delivery, struct gnt_delivery *d)
{
    struct gnt_session *s = p->session;
    struct gnt_flight like = {.message = gnt_message_ref(d->message),
                              .ids = d->ids,
                              .cookie = (uint64_t)(uintptr_t)p,
                              .number = delivery,
                              .qos = d->qos,
                              .drawn = true};
    struct gnt_flight *flight;
    gnt_err err = gnt_session_place_unkept(s, &like, &flight);
    if (err) {
        gnt_message_unref(&like.message);
        not_sent(p, delivery, GNT_NOMEM);
        return;
    }
    d->id = flight->id;
    err = s->receiver->ops->deliver(s->receiver, d);
    if (err) {
        gnt_window_remove(&s->window, flight);
        not_sent(p, delivery, err);
        return;
    }
    flight->owner = s;
    s->unsettled++;
}

static void send(struct puller *p, const struct gnt_queued *q)
{
    const struct gnt_drawn drawn = {.topic = p->key,
                                    .failed = q->failed,
                                    .reason = q->reason,
                                    .description = q->description,
                                    .source = q->source};
    struct gnt_delivery d = {.message = q->message,
                             .ids = {.count = p->options.id != 0, .one = p->options.id},
                             .qos = p->options.qos,
                             .drawn = &drawn};
    uint64_t now = *p->session->home->now;
    if (q->locked_until <= now || gnt_message_expired(q->message, now))
        release(p, q->delivery); /* the queue knows what becomes of it */
    else if (d.qos == 0)
        send_once(p, q->delivery, &d);
    else
        send_flight(p, q->delivery, &d);
}

static struct gnt_slice copy(uint8_t **at, struct gnt_slice text)
{
    struct gnt_slice out = gnt_slice(*at, text.size);
    if (text.size)
        memcpy(*at, text.data, text.size);
    *at += text.size;
    return out;
}

static gnt_err keep_arrived(struct puller *p, const struct gnt_queued *q)
{
    struct arrived *a = malloc(sizeof *a + q->reason.size + q->description.size + q->source.size);
    if (!a)
        return GNT_NOMEM;
    uint8_t *at = (uint8_t *)(a + 1);
    a->queued = *q;
    a->queued.message = gnt_message_ref(q->message);
    a->queued.reason = copy(&at, q->reason);
    a->queued.description = copy(&at, q->description);
    a->queued.source = copy(&at, q->source);
    gnt_list_push_back(&p->arrived, &a->link);
    if (!gnt_list_linked(&p->loaded))
        gnt_list_push_back(&p->session->consuming->loaded, &p->loaded);
    return GNT_OK;
}

/* The first that P has waiting, which is yours; then it is the others' turn. */
static struct arrived *take_arrived(struct puller *p)
{
    struct gnt_list *link = gnt_list_pop_front(&p->arrived);
    gnt_list_remove(&p->loaded);
    if (!gnt_list_empty(&p->arrived))
        gnt_list_push_back(&p->session->consuming->loaded, &p->loaded);
    return GNT_CONTAINER(link, struct arrived, link);
}

static void arrived_free(struct arrived *a)
{
    gnt_message_unref(&a->queued.message);
    free(a);
}

/* What waits is ready again at once.  GNT_NOMEM: some of it only when P is closed. */
static gnt_err give_back(struct puller *p)
{
    gnt_err err = GNT_OK;
    while (!gnt_list_empty(&p->arrived)) {
        struct arrived *a = take_arrived(p);
        const struct gnt_settling back = {.delivery = a->queued.delivery,
                                          .outcome = GNT_SETTLE_RELEASE};
        gnt_err one = settle(p, &back);
        err = err ? err : one;
        arrived_free(a);
    }
    return err;
}

static void give_back_surely(struct puller *p)
{
    if (give_back(p))
        gnt_session_close_later(p->session, GNT_CLOSE_NO_MEMORY);
}

static struct puller *first_loaded(const struct gnt_consuming *all)
{
    return gnt_list_empty(&all->loaded) ? NULL
                                        : GNT_CONTAINER(all->loaded.next, struct puller, loaded);
}

void gnt_session_consume_on(struct gnt_session *s)
{
    struct gnt_consuming *all = s->consuming;
    if (!all)
        return;
    for (struct puller *p; s->queue && (p = first_loaded(all));) {
        give_back_surely(p);
        give_credit(p); /* when the queue of S has gone */
    }
    if (all->hungry && !s->queue) {
        all->hungry = false;
        gnt_list_each (link, &all->pullers)
            give_credit(GNT_CONTAINER(link, struct puller, link));
    }
    for (struct puller *p; (p = first_loaded(all)) && gnt_session_can_send(s, p->options.qos);) {
        struct arrived *a = take_arrived(p);
        send(p, &a->queued);
        arrived_free(a);
    }
}

/* ---- What the client says */

gnt_err gnt_session_consumed(const struct gnt_flight *flight, const struct gnt_refusal *refusal)
{
    struct puller *p = (struct puller *)(uintptr_t)flight->cookie;
    struct gnt_settling settling = {.delivery = flight->number, .outcome = GNT_SETTLE_ACCEPT};
    if (refusal && refusal->again) {
        settling.outcome = GNT_SETTLE_MODIFY;
        settling.failed = true;
    } else if (refusal) {
        settling.outcome = GNT_SETTLE_REJECT;
        settling.reason = refusal->reason;
        settling.description = refusal->description;
    }
    gnt_err err = settle(p, &settling);
    if (!err)
        go_on(p);
    return err;
}

/* ---- Subscriptions */

static struct queue_sub *find(const struct gnt_session *s, struct gnt_slice key)
{
    struct gnt_map_node *node =
        s->consuming ? gnt_map_first(&s->consuming->subs, gnt_hash(key)) : NULL;
    for (; node; node = gnt_map_next(node)) {
        struct queue_sub *sub = GNT_CONTAINER(node, struct queue_sub, by_key);
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

static struct queue_sub *sub_new(struct gnt_session *s, struct gnt_slice key)
{
    struct gnt_consuming *all = consuming_of(s);
    struct queue_sub *sub = all ? malloc(sizeof *sub + key.size) : NULL;
    if (!sub)
        return NULL;
    memcpy(sub + 1, key.data, key.size);
    *sub = (struct queue_sub){.key = gnt_slice(sub + 1, key.size)};
    if (gnt_map_insert(&all->subs, &sub->by_key, gnt_hash(key))) {
        free(sub);
        return NULL;
    }
    gnt_session_count_subscriptions(s, 1);
    return sub;
}

/* P goes on without a subscription until it has nothing of the queue any more. */
static void leave(struct puller *p)
{
    p->sub = NULL;
    if (p->state != PULLER_OPEN && p->state != PULLER_OVER)
        return; /* it is looked at when it is */
    give_back_surely(p);
    if (p->state == PULLER_OPEN)
        gnt_consumer_credit(&p->consumer, p->came, false);
    go_on(p);
}

static void sub_end(struct gnt_session *s, struct queue_sub *sub)
{
    if (sub->puller)
        leave(sub->puller);
    if (sub->granted)
        gnt_session_keep_no_filter(s->home, gnt_session_kept_number(s), sub->key);
    gnt_map_remove(&s->consuming->subs, &sub->by_key);
    free(sub);
    gnt_session_count_subscriptions(s, -1);
}

static gnt_err grant(struct gnt_session *s, struct queue_sub *sub)
{
    gnt_err err = gnt_session_keep_filter(s, sub->key, &sub->options, false);
    sub->granted = sub->granted || !err;
    return err;
}

/* ---- Pullers */

static void puller_free(struct puller *p)
{
    GNT_ASSERT(gnt_list_empty(&p->arrived));
    gnt_list_remove(&p->link);
    gnt_list_remove(&p->loaded);
    free(p);
}

/* The session has nothing of it any more. */
static void close_puller(struct puller *p, bool failed)
{
    gnt_list_remove(&p->link);
    p->session = NULL;
    p->sub = NULL;
    if (p->state == PULLER_ASKS)
        return; /* it is freed when the directory has answered */
    p->state = PULLER_CLOSES;
    gnt_consumer_close(&p->consumer, failed);
}

static void tell(struct puller *p, enum gnt_outcome outcome)
{
    struct gnt_subscribing *answer = p->answer;
    p->answer = NULL;
    if (answer)
        answer->done(answer, outcome);
}

/* Who has asked is told; who comes back has to be content with a subscription that gives nothing.
 */
static void fail(struct puller *p, enum gnt_outcome outcome)
{
    struct queue_sub *sub = p->sub;
    p->sub = NULL;
    if (sub)
        sub->puller = NULL;
    if (sub && p->answer)
        sub_end(p->session, sub);
    tell(p, outcome == GNT_TOPIC_INVALID ? GNT_FILTER_INVALID : outcome);
}

static void on_opened(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result result)
{
    struct puller *p = puller_of(c);
    (void)home;
    p->state = result ? PULLER_OVER : PULLER_OPEN;
    if (result) {
        fail(p, gnt_enqueue_outcome(result));
    } else if (p->sub && grant(p->session, p->sub)) {
        fail(p, GNT_FAILED);
    } else {
        tell(p, GNT_DONE);
    }
    go_on(p);
}

static void on_deliver(struct gnt_home *home, struct gnt_consumer *c, const struct gnt_queued *q)
{
    struct puller *p = puller_of(c);
    struct gnt_session *s = p->session;
    (void)home;
    p->came++;
    p->held++;
    if (!p->sub || s->queue)
        release(p, q->delivery);
    else if (gnt_list_empty(&s->consuming->loaded) && gnt_session_can_send(s, p->options.qos))
        send(p, q);
    else if (keep_arrived(p, q))
        not_sent(p, q->delivery, GNT_NOMEM);
    if (p->came == p->upto) /* what was settled meanwhile was too little for another step */
        give_credit(p);
}

/* MQTT has no word for it: the client is to come again, and to see what there is. */
static void on_ended(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result why)
{
    struct puller *p = puller_of(c);
    (void)home, (void)why;
    p->state = PULLER_OVER;
    if (p->sub)
        gnt_session_close_later(p->session, GNT_CLOSE_ADMINISTRATIVE);
    else
        go_on(p);
}

static void on_closed(struct gnt_home *home, struct gnt_consumer *c)
{
    (void)home;
    puller_free(puller_of(c));
}

static bool is_of_others(struct gnt_consumer_filter *filter, const struct gnt_message *message)
{
    return message->publisher != GNT_CONTAINER(filter, struct others, filter)->session;
}

static void others_free(struct gnt_consumer_filter *filter)
{
    free(GNT_CONTAINER(filter, struct others, filter));
}

static gnt_err open_puller(struct puller *p)
{
    static const struct gnt_consumer_ops ops = {
        .opened = on_opened, .deliver = on_deliver, .ended = on_ended, .closed = on_closed};
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
    p->state = PULLER_OPENS;
    gnt_consumer_open(s->home, p->asking.facts.id, &p->consumer);
    return GNT_OK;
}

static void on_found(struct gnt_home *home, struct gnt_entity_asking *asking,
                     enum gnt_queue_result result)
{
    struct puller *p = GNT_CONTAINER(asking, struct puller, asking);
    (void)home;
    if (p->session && !result && open_puller(p))
        result = GNT_QUEUE_NO_MEMORY;
    if (p->session && result)
        fail(p, gnt_enqueue_outcome(result));
    if (!p->session || result)
        puller_free(p);
}

/* GNT_NOMEM: SUB has none. */
static gnt_err puller_new(struct gnt_session *s, struct queue_sub *sub,
                          struct gnt_subscribing *answer)
{
    struct gnt_slice name;
    struct puller *p = calloc(1, sizeof *p + sub->key.size);
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
static bool does(const struct queue_sub *sub, const struct gnt_sub_options *options)
{
    const struct puller *p = sub->puller;
    return p && p->state == PULLER_OPEN && p->options.qos == options->qos &&
           p->options.no_local == options->no_local;
}

/* One that is there is replaced; what its client has of the queue it may settle all the same. */
static bool pull_anew(struct gnt_session *s, struct queue_sub *sub, struct gnt_subscribing *answer)
{
    struct puller *before = sub->puller;
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
    struct queue_sub *sub = find(s, key);
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
    struct queue_sub *sub = find(s, key);
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
        sub_end(s, GNT_CONTAINER(node, struct queue_sub, by_key));
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
        struct queue_sub *sub = GNT_CONTAINER(node, struct queue_sub, by_key);
        struct puller *p = sub->puller;
        bool may = gnt_session_reach(s, sub->key) != GNT_REACH_NONE;
        if (p && !may) {
            sub->puller = NULL;
            leave(p);
        } else if (!p && may && puller_new(s, sub, NULL)) {
            gnt_session_close_later(s, GNT_CLOSE_NO_MEMORY);
        }
    }
}

static void let_go(struct puller *p, bool failed)
{
    struct gnt_session *s = p->session;
    struct queue_sub *sub = p->sub;
    p->answer = NULL;
    (void)!give_back(p);
    if (sub)
        sub->puller = NULL;
    p->sub = NULL;
    if (sub && !sub->granted)
        sub_end(s, sub);
    close_puller(p, failed);
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
        let_go(GNT_CONTAINER(link, struct puller, link), failed);
}
