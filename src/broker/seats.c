#include "broker/seats.h"

#include "base/assert.h"
#include "base/rcu.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { STOP_PATIENCE_S = 3 };

const struct gnt_seats_rule gnt_seats_usual = {
    .busy_percent = 90, .busy_ms = 50, .calm_percent = 60, .calm_ms = 250};

/*   whose a worker's loop is                                        next, and who moves it */
enum whose {
    OWN,     /* its own thread's                                     ASKED: the chief */
    ASKED,   /* still, but the chief would have it     GIVEN: its thread, OWN: the chief */
    GIVEN,   /* nobody's, its thread sleeps          CARRIED, OWN: the chief */
    CARRIED, /* the chief's, its thread sleeps           OWN: the chief */
};

/* Where connections come in, of one seat and one listener. */
struct entrance {
    struct seat *seat;
    const struct gnt_listener *listener;
    struct gnt_acceptor *acceptor;
};

struct seat {
    struct gnt_seats *all;
    struct gnt_worker *worker;
    struct entrance *entrances; /* of each listener */
    uint64_t stop_by;           /* 0 while it serves; set by mail: whoever has the loop */
    pthread_t thread;
    _Atomic clockid_t cpu; /* of the thread's time; 0: it does not run yet */
    _Atomic uint8_t whose; /* enum whose */
    sem_t back;            /* posted when the loop is its thread's again */
};

struct gnt_seats {
    struct gnt_workers *workers;
    const struct gnt_listeners *listeners;
    struct gnt_inbox *inbox;
    const struct gnt_seats_rule *rule;
    struct seat *seat;
    unsigned running; /* threads that have been started and not joined */
    _Atomic bool stopping;
    /* The chief's: */
    bool together;   /* the others have been asked for their loops */
    uint64_t since;  /* when it began to look how busy they are, */
    uint64_t slept;  /* how long its loop had slept by then, */
    uint64_t needed; /* and how much time the threads had needed */
};

/* ---- The chief */

static uint64_t time_needed(const struct gnt_seats *s)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->workers->count; i++) {
        struct timespec t;
        clockid_t clock = atomic_load(&s->seat[i].cpu);
        if (clock && clock_gettime(clock, &t) == 0)
            sum += (uint64_t)t.tv_sec * GNT_NS_PER_S + (uint64_t)t.tv_nsec;
    }
    return sum;
}

static void look_anew(struct gnt_seats *s)
{
    const struct gnt_loop *loop = &s->seat[0].worker->loop;
    s->since = loop->now;
    s->slept = loop->slept_ns;
    s->needed = s->together ? 0 : time_needed(s);
}

static void ask(struct gnt_seats *s)
{
    for (unsigned i = 1; i < s->workers->count; i++) {
        struct seat *seat = &s->seat[i];
        struct gnt_poller *poller = seat->worker->loop.poller;
        atomic_store(&seat->whose, ASKED); /* one that has not started yet gives it when it has */
        poller->wake(poller);
    }
    s->together = true;
}

static void give_back(struct seat *seat)
{
    atomic_store(&seat->whose, OWN);
    sem_post(&seat->back);
}

static void carry_given(struct gnt_seats *s)
{
    for (unsigned i = 1; i < s->workers->count; i++) {
        struct seat *seat = &s->seat[i];
        if (atomic_load(&seat->whose) != GIVEN)
            continue;
        if (gnt_loop_carry(&s->seat[0].worker->loop, &seat->worker->loop))
            give_back(seat);
        else
            atomic_store(&seat->whose, CARRIED);
    }
}

static void part(struct gnt_seats *s)
{
    for (unsigned i = 1; i < s->workers->count; i++) {
        struct seat *seat = &s->seat[i];
        uint8_t asked = ASKED;
        if (atomic_compare_exchange_strong(&seat->whose, &asked, OWN) || asked == OWN)
            continue;
        if (asked == CARRIED)
            gnt_loop_part(&seat->worker->loop);
        give_back(seat);
    }
    s->together = false;
}

/* Between two turns of the chief. */
static void consider(struct gnt_seats *s)
{
    const struct gnt_loop *loop = &s->seat[0].worker->loop;
    if (s->workers->count == 1)
        return;
    if (atomic_load(&s->stopping)) { /* each says good-bye by itself */
        if (s->together)
            part(s);
        return;
    }
    if (s->together)
        carry_given(s);
    const struct gnt_seats_rule *rule = s->rule;
    uint64_t span = loop->now - s->since;
    if (span < (s->together ? rule->busy_ms : rule->calm_ms) * GNT_NS_PER_MS)
        return;
    /* Time that it waited for a processor counts as busy: it is no time to take on more. */
    uint64_t busy = span - (loop->slept_ns - s->slept), calm = span / 100 * rule->calm_percent;
    if (s->together && busy > span / 100 * rule->busy_percent)
        part(s);
    else if (!s->together && busy < calm && time_needed(s) - s->needed < calm)
        ask(s);
    look_anew(s);
}

/* ---- A thread */

/* The chief asks for the loop. */
static void give(struct seat *seat)
{
    struct gnt_poller *chief = seat->all->seat[0].worker->loop.poller;
    uint8_t asked = ASKED;
    if (!atomic_compare_exchange_strong(&seat->whose, &asked, GIVEN))
        return;
    chief->wake(chief);
    gnt_rcu_offline();
    while (sem_wait(&seat->back) != 0)
        ; /* a signal interrupted it */
    gnt_rcu_online();
}

static bool serves(const struct seat *seat)
{
    if (!seat->stop_by)
        return true;
    return !gnt_worker_idle(seat->worker) && seat->worker->loop.now < seat->stop_by;
}

static void run_chief(struct seat *seat)
{
    struct gnt_seats *s = seat->all;
    look_anew(s);
    while (serves(seat)) {
        bool more = gnt_inbox_turn(s->inbox);
        uint64_t patience = seat->stop_by ? GNT_NS_PER_S / 10 : GNT_NEVER;
        gnt_worker_turn(seat->worker, more ? 0 : patience);
        consider(s);
    }
    part(s);
}

static void run_other(struct seat *seat)
{
    while (serves(seat)) {
        gnt_worker_turn(seat->worker, seat->stop_by ? GNT_NS_PER_S / 10 : GNT_NEVER);
        if (atomic_load_explicit(&seat->whose, memory_order_relaxed) == ASKED)
            give(seat);
    }
}

static void *run(void *context)
{
    struct seat *seat = context;
    clockid_t cpu;
    gnt_rcu_register();
    if (pthread_getcpuclockid(pthread_self(), &cpu) == 0)
        atomic_store(&seat->cpu, cpu);
    if (seat->worker->index == 0)
        run_chief(seat);
    else
        run_other(seat);
    gnt_rcu_unregister();
    return NULL;
}

/* ---- Accepting */

static void go_in(void *context, struct gnt_stream *stream)
{
    const struct entrance *e = context;
    struct gnt_worker *worker = e->seat->worker;
    if (e->listener->kind == GNT_URL_HTTP)
        gnt_worker_accept_http(worker, stream, &e->listener->origins);
    else if (e->listener->kind == GNT_URL_AMQP)
        gnt_worker_accept_amqp(worker, stream);
    else
        gnt_worker_accept(worker, stream);
}

static void on_accept(void *context, struct gnt_stream *stream)
{
    const struct entrance *e = context;
    if (gnt_worker_turns_away(e->seat->worker, &stream)) /* before any work is done for it */
        return;
    struct gnt_tls_context *tls = gnt_listener_tls_take(&e->listener->terms->tls);
    if (tls && e->listener->terms->tls.by_header)
        gnt_worker_offer_tls(e->seat->worker, stream, &tls);
    else if (tls)
        gnt_porch_accept(&e->seat->worker->porch, stream, &tls, e->listener->url, go_in, context);
    else
        go_in(context, stream);
}

static gnt_err open_seat(struct seat *seat)
{
    const struct gnt_listeners *listeners = seat->all->listeners;
    seat->entrances = calloc(listeners->count, sizeof *seat->entrances);
    if (!seat->entrances)
        return GNT_NOMEM;
    for (size_t i = 0; i < listeners->count; i++) {
        struct entrance *e = &seat->entrances[i];
        *e = (struct entrance){.seat = seat, .listener = &listeners->item[i]};
        gnt_err err =
            gnt_acceptor_new(&seat->worker->loop, e->listener->fd, on_accept, e, &e->acceptor);
        if (err)
            return err;
        const struct gnt_proxies proxies = {
            .from = &e->listener->terms->proxies,
            .timeout_ms = &seat->worker->mqtt->limits.engine.connect_timeout_ms,
            .counters = &seat->worker->home->counters};
        gnt_acceptor_expect(e->acceptor, &proxies);
    }
    return GNT_OK;
}

static void close_seat(struct seat *seat)
{
    for (size_t i = 0; seat->entrances && i < seat->all->listeners->count; i++)
        gnt_acceptor_free(&seat->entrances[i].acceptor);
}

static void on_stop(const struct gnt_mail *mail)
{
    struct seat *seat = mail->to;
    close_seat(seat);
    gnt_worker_stop(seat->worker);
    seat->stop_by = seat->worker->loop.now + STOP_PATIENCE_S * GNT_NS_PER_S;
}

/* ---- All of them */

gnt_err gnt_seats_new(struct gnt_workers *workers, const struct gnt_listeners *listeners,
                      struct gnt_inbox *inbox, const struct gnt_seats_rule *rule,
                      struct gnt_seats **out)
{
    struct gnt_seats *s = calloc(1, sizeof *s);
    if (!s)
        return GNT_NOMEM;
    *s = (struct gnt_seats){
        .workers = workers, .listeners = listeners, .inbox = inbox, .rule = rule};
    s->seat = calloc(workers->count, sizeof *s->seat);
    gnt_err err = s->seat ? GNT_OK : GNT_NOMEM;
    for (unsigned i = 0; s->seat && i < workers->count; i++) {
        s->seat[i].all = s;
        s->seat[i].worker = &workers->worker[i];
        sem_init(&s->seat[i].back, 0, 0);
        err = err ? err : open_seat(&s->seat[i]);
    }
    if (err)
        gnt_seats_free(&s);
    else
        *out = s;
    return err;
}

gnt_err gnt_seats_start(struct gnt_seats *s)
{
    /* Signals are for the thread that embeds the broker. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    while (s->running < s->workers->count && !failed) {
        struct seat *seat = &s->seat[s->running];
        failed = pthread_create(&seat->thread, NULL, run, seat);
        s->running += !failed;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? GNT_NOMEM : GNT_OK;
}

bool gnt_seats_stop(struct gnt_seats *s)
{
    unsigned running = s->running;
    atomic_store(&s->stopping, true);
    for (unsigned i = 0; i < running; i++) {
        const struct gnt_mail mail = {.run = on_stop, .to = &s->seat[i]};
        while (gnt_post_send_outside(s->workers->post, i, &mail))
            usleep(1000); /* out of memory; a moment may help, and it has to be told */
    }
    for (unsigned i = 0; i < running; i++)
        pthread_join(s->seat[i].thread, NULL);
    s->running = 0;
    return running != 0;
}

void gnt_seats_free(struct gnt_seats **seats)
{
    struct gnt_seats *s = *seats;
    *seats = NULL;
    if (!s)
        return;
    for (unsigned i = 0; s->seat && i < s->workers->count; i++) {
        if (!s->seat[i].all)
            continue;
        close_seat(&s->seat[i]);
        free(s->seat[i].entrances);
        sem_destroy(&s->seat[i].back);
    }
    free(s->seat);
    free(s);
}
