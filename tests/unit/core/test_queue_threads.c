/* Homes with a thread each, that send to each other's queues, receive and settle. */
#include "support/unit.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/rcu.h"
#include "core/core.h"
#include "core/ledger.h"
#include "core/queue.h"
#include "core/recover.h"
#include "store/memory.h"
#include "store/store_time.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { HOMES = 3, QUEUES = 2, MESSAGES = 4000, OUTSTANDING = 50, CREDIT = 40 };

struct letter {
    struct gnt_list link;
    struct gnt_mail mail;
};

/* A home's thread, with a sender and a receiver of its own for each queue. */
struct place {
    struct gnt_home *home;
    struct gnt_timers timers;
    uint64_t now;
    pthread_t thread;
    pthread_mutex_t lock; /* guards `mail` */
    struct gnt_list mail;
    struct gnt_sending sending[QUEUES][OUTSTANDING];
    struct gnt_consumer consumer[QUEUES];
    struct gnt_entity_asking asking[QUEUES];
    uint64_t queue[QUEUES], credit[QUEUES];
    unsigned sent, done, wrong, asked, closed;
    unsigned idle[QUEUES]; /* first free of `sending` */
    bool closing;
};

static struct place places[HOMES];
static struct gnt_core *core;
static struct gnt_store *store;
static atomic_uint accepted, closed;

static struct place *place_of(const struct gnt_home *home)
{
    return &places[home->index];
}

/* ---- Mail */

static void put_mail(unsigned to, struct letter *l, const struct gnt_mail *mail)
{
    l->mail = *mail;
    pthread_mutex_lock(&places[to].lock);
    gnt_list_push_back(&places[to].mail, &l->link);
    pthread_mutex_unlock(&places[to].lock);
}

static gnt_err post(void *context, unsigned from, unsigned to, const struct gnt_mail *mail)
{
    (void)context, (void)from;
    struct letter *l = malloc(sizeof *l);
    if (!l)
        return GNT_NOMEM;
    put_mail(to, l, mail);
    return GNT_OK;
}

static void report(void *context, unsigned to, const struct gnt_mail *mail)
{
    if (post(context, 0, to, mail))
        abort();
}

static bool take_mail(struct place *p)
{
    struct gnt_list mail;
    gnt_list_init(&mail);
    pthread_mutex_lock(&p->lock);
    gnt_list_splice_back(&mail, &p->mail);
    pthread_mutex_unlock(&p->lock);
    bool any = !gnt_list_empty(&mail);
    for (struct gnt_list *link; (link = gnt_list_pop_front(&mail));) {
        struct letter *l = GNT_CONTAINER(link, struct letter, link);
        l->mail.run(&l->mail);
        free(l);
    }
    return any;
}

/* ---- What fronts are told; what is wrong is counted, as only the main thread may fail the test */

static void on_sent(struct gnt_home *home, struct gnt_sending *s, enum gnt_queue_result result)
{
    struct place *p = place_of(home);
    p->done++;
    p->wrong += result != GNT_QUEUE_DONE;
    s->queue = 0; /* free again */
}

static unsigned number_of(struct place *p, const struct gnt_consumer *c)
{
    return (unsigned)(c - p->consumer);
}

static void on_opened(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result result)
{
    struct place *p = place_of(home);
    p->wrong += result != GNT_QUEUE_DONE;
    p->credit[number_of(p, c)] = CREDIT;
    gnt_consumer_credit(c, CREDIT, false);
}

static void on_deliver(struct gnt_home *home, struct gnt_consumer *c, const struct gnt_queued *d)
{
    struct place *p = place_of(home);
    struct gnt_settling s = {.delivery = d->delivery, .tell = true};
    if (d->failed == 0 && d->sequence % 7 == 0)
        s = (struct gnt_settling){.delivery = d->delivery,
                                  .outcome = GNT_SETTLE_MODIFY,
                                  .failed = true,
                                  .annotations = gnt_slice_str("again")};
    p->wrong += (d->failed != 0) != (d->annotations.size != 0);
    p->wrong += gnt_consumer_settle(c, &s) != GNT_OK;
    gnt_consumer_credit(c, ++p->credit[number_of(p, c)], false);
}

static void on_settled(struct gnt_home *home, struct gnt_consumer *c, uint64_t delivery,
                       enum gnt_queue_result result)
{
    (void)c, (void)delivery;
    place_of(home)->wrong += result != GNT_QUEUE_DONE;
    atomic_fetch_add(&accepted, 1);
}

static void on_drained(struct gnt_home *home, struct gnt_consumer *c, uint64_t upto)
{
    (void)c, (void)upto;
    place_of(home)->wrong++;
}

static void on_ended(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result why)
{
    (void)c, (void)why;
    place_of(home)->wrong++;
}

static void on_closed(struct gnt_home *home, struct gnt_consumer *c)
{
    (void)home, (void)c;
    atomic_fetch_add(&closed, 1);
}

static void on_answer(struct gnt_home *home, struct gnt_entity_asking *a,
                      enum gnt_queue_result result)
{
    static const struct gnt_consumer_ops ops = {on_opened,  on_deliver, on_drained,
                                                on_settled, on_ended,   on_closed};
    struct place *p = place_of(home);
    unsigned i = (unsigned)(a - p->asking);
    p->wrong += result != GNT_QUEUE_DONE;
    p->queue[i] = a->facts.id;
    p->consumer[i].ops = &ops;
    gnt_consumer_open(home, p->queue[i], &p->consumer[i]);
    p->asked++;
}

/* ---- A thread */

static void send_some(struct place *p)
{
    for (unsigned q = 0; q < QUEUES; q++) {
        for (unsigned i = 0; i < OUTSTANDING && p->sent < MESSAGES; i++) {
            struct gnt_sending *s = &p->sending[q][i];
            struct gnt_message_init init = {.topic = gnt_slice_str("q"),
                                            .payload = gnt_slice_str("payload"),
                                            .format = GNT_EXTRAS_AMQP,
                                            .expires = GNT_NEVER};
            if (s->queue)
                continue;
            *s = (struct gnt_sending){.done = on_sent, .durable = i % 2, .priority = 4};
            if (gnt_message_new(&init, &s->message))
                abort();
            gnt_queue_send(p->home, p->queue[q], s);
            p->sent++;
        }
    }
}

static void *live(void *context)
{
    struct place *p = context;
    static const char *const names[QUEUES] = {"one", "two"};
    gnt_rcu_register();
    for (unsigned i = 0; i < QUEUES; i++) {
        p->asking[i] = (struct gnt_entity_asking){.done = on_answer,
                                                  .verb = GNT_ENTITY_FIND_OR_CREATE,
                                                  .name = gnt_slice_str(names[i])};
        gnt_entity_ask(p->home, &p->asking[i]);
    }
    while (atomic_load(&closed) < HOMES * QUEUES) {
        p->now = gnt_now(&gnt_clock_system);
        bool any = take_mail(p);
        any |= gnt_timers_run(&p->timers, p->now) > 0;
        gnt_keep_commit(p->home);
        if (p->asked == QUEUES)
            send_some(p);
        if (atomic_load(&accepted) == HOMES * MESSAGES && !p->closing) {
            p->closing = true;
            for (unsigned i = 0; i < QUEUES; i++)
                gnt_consumer_close(&p->consumer[i], false);
        }
        gnt_rcu_quiescent();
        if (!any)
            sched_yield();
    }
    gnt_rcu_unregister();
    return NULL;
}

/* ---- The test */

static uint64_t now_ns(void *self)
{
    (void)self;
    return gnt_now(&gnt_clock_system);
}

static uint64_t wall_ms(void *self)
{
    return now_ns(self) / GNT_NS_PER_MS;
}

static void homes_and_threads(void **state)
{
    (void)state;
    static const struct gnt_clock clock = {now_ns, wall_ms, NULL};
    struct gnt_store_time time;
    struct gnt_seeded lot;
    struct gnt_recovered recovered;
    struct gnt_audit audit;
    const struct gnt_core_config config = {
        .homes = HOMES, .topic_levels = 8, .post = post, .report = report};
    gnt_rcu_register();
    gnt_store_time_init(&time, &clock, 0, 0);
    gnt_seeded_init(&lot, 1);
    assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
    assert_int_equal(gnt_core_new(&config, &core), GNT_OK);
    for (unsigned i = 0; i < HOMES; i++) {
        struct place *p = &places[i];
        p->home = &core->homes[i];
        p->now = now_ns(NULL);
        pthread_mutex_init(&p->lock, NULL);
        gnt_list_init(&p->mail);
        assert_int_equal(gnt_home_attach(p->home, &p->now, &p->timers), GNT_OK);
    }
    const struct gnt_recovery how = {.store = store, .time = &time, .random = &lot.door};
    assert_int_equal(gnt_core_recover(core, &how, &recovered), GNT_OK);
    gnt_rcu_offline();
    for (unsigned i = 0; i < HOMES; i++)
        assert_int_equal(pthread_create(&places[i].thread, NULL, live, &places[i]), 0);
    for (unsigned i = 0; i < HOMES; i++)
        pthread_join(places[i].thread, NULL);
    gnt_rcu_online();
    for (bool any = true; any;) {
        any = false;
        for (unsigned i = 0; i < HOMES; i++) {
            gnt_keep_commit(places[i].home);
            any |= take_mail(&places[i]);
        }
    }
    unsigned done = 0;
    for (unsigned i = 0; i < HOMES; i++) {
        assert_int_equal(places[i].wrong, 0);
        done += places[i].done;
    }
    assert_int_equal(done, HOMES * MESSAGES);
    assert_true(gnt_core_audit(core, &audit));
    assert_int_equal(audit.queued, 0);
    gnt_core_free(&core);
    for (unsigned i = 0; i < HOMES; i++)
        gnt_timers_fini(&places[i].timers);
    gnt_store_close(&store);
    gnt_rcu_unregister();
    gnt_rcu_barrier();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(homes_and_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
