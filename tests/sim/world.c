#include "world.h"

#include "base/rcu.h"
#include "support/alloc_fault.h"

#include <stdio.h>
#include <stdlib.h>

struct sim_worker {
    struct sim_world *world;
    struct gnt_worker *real;
    struct gnt_timer turn;
    struct gnt_task accepting;
    struct gnt_list arrivals; /* struct sim_arrival */
    bool asleep;
};

struct sim_poller {
    struct gnt_poller poller;
    struct sim_world *world;
    unsigned index;
};

/* The door's functions have no context of their own: the world that is being started. */
static struct sim_world *starting;
static unsigned pollers;

/* ---- The door */

static uint64_t clock_now(void *self)
{
    const struct sim_world *w = self;
    return w->now - w->boot;
}

static uint64_t clock_wall(void *self)
{
    return UINT64_C(1800000000000) + ((struct sim_world *)self)->now / GNT_NS_PER_MS;
}

static void poller_wait(struct gnt_poller *p, uint64_t timeout_ns)
{
    struct sim_poller *poller = GNT_CONTAINER(p, struct sim_poller, poller);
    SIM_MUST(poller->world, timeout_ns == 0);
}

static void wake_worker(struct sim_worker *worker)
{
    struct sim_world *w = worker->world;
    uint64_t delay = sim_between(w, w->weather.turn_min, w->weather.turn_max);
    if (sim_one_in(w, w->weather.stall_one_in))
        delay += sim_below(w, w->weather.stall_max);
    sim_world_by(w, &worker->turn, w->now + delay);
}

static void poller_wake(struct gnt_poller *p)
{
    struct sim_poller *poller = GNT_CONTAINER(p, struct sim_poller, poller);
    if (poller->world->worker)
        wake_worker(&poller->world->worker[poller->index]);
}

static void poller_free(struct gnt_poller *p)
{
    free(GNT_CONTAINER(p, struct sim_poller, poller));
}

static gnt_err poller_new(struct gnt_poller **out)
{
    struct sim_poller *p = malloc(sizeof *p);
    if (!p)
        return GNT_NOMEM;
    *p = (struct sim_poller){
        .poller = {.wait = poller_wait, .wake = poller_wake, .free = poller_free},
        .world = starting,
        .index = pollers++};
    *out = &p->poller;
    return GNT_OK;
}

/* ---- Workers */

/* Asleep, or with its next turn planned. */
static void settle_worker(struct sim_worker *worker)
{
    struct gnt_loop *loop = &worker->real->loop;
    bool busy = !gnt_list_empty(&loop->ready) || !gnt_list_empty(&loop->tasks) ||
                gnt_worker_has_more(worker->real);
    if (busy || !gnt_post_may_sleep(loop->post, loop->address)) {
        wake_worker(worker);
        return;
    }
    worker->asleep = true;
    uint64_t next = gnt_timers_next(&loop->timers);
    if (next < GNT_FAR)
        sim_world_by(worker->world, &worker->turn, worker->world->boot + next);
}

static void on_turn(struct gnt_timer *timer, uint64_t now)
{
    struct sim_worker *worker = GNT_CONTAINER(timer, struct sim_worker, turn);
    struct sim_world *w = worker->world;
    (void)now;
    if (worker->asleep)
        gnt_post_woke(worker->real->loop.post, worker->real->loop.address);
    worker->asleep = false;
    if (sim_one_in(w, w->weather.fault_one_in))
        gnt_alloc_fail_at((long)sim_below(w, 12));
    gnt_worker_turn(worker->real, 0);
    gnt_alloc_fail_at(-1);
    settle_worker(worker);
    if (w->after_turn)
        w->after_turn(w->after_context);
}

static void on_accepting(struct gnt_task *task)
{
    struct sim_worker *worker = GNT_CONTAINER(task, struct sim_worker, accepting);
    for (struct gnt_list *link; (link = gnt_list_pop_front(&worker->arrivals));) {
        struct sim_arrival *a = GNT_CONTAINER(link, struct sim_arrival, link);
        a->accept(a, worker->real);
    }
}

void sim_world_arrive(struct sim_world *w, struct sim_arrival *a)
{
    if (!w->worker) {
        a->refuse(a);
        return;
    }
    struct sim_worker *worker = &w->worker[sim_below(w, w->workers->count)];
    gnt_list_init(&a->link);
    gnt_list_push_back(&worker->arrivals, &a->link);
    gnt_loop_at_end(&worker->real->loop, &worker->accepting);
    wake_worker(worker);
}

void sim_world_wake(struct sim_world *w, struct gnt_loop *loop)
{
    for (unsigned i = 0; loop && w->worker && i < w->workers->count; i++)
        if (&w->worker[i].real->loop == loop)
            wake_worker(&w->worker[i]);
}

/* ---- Birth and death */

void sim_world_init(struct sim_world *w, uint64_t seed, bool trace)
{
    *w = (struct sim_world){.seed = seed, .now = 10000 * GNT_NS_PER_S, .trace = trace};
    gnt_seeded_init(&w->chance, seed);
    gnt_seeded_init(&w->broker_chance, ~seed);
    w->clock = (struct gnt_clock){clock_now, clock_wall, w};
    gnt_hash_seed(&w->chance.door);
}

void sim_world_start(struct sim_world *w, const struct gnt_config *config, unsigned workers)
{
    starting = w;
    pollers = 0;
    const struct gnt_door door = {&w->clock, &w->broker_chance.door, poller_new};
    SIM_MUST(w, gnt_workers_new(config, workers, &door, &w->workers) == GNT_OK);
    gnt_workers_take_access(w->workers, w->access);
    struct sim_worker *list = calloc(workers, sizeof *list);
    SIM_MUST(w, list != NULL);
    w->worker = list;
    for (unsigned i = 0; i < workers; i++) {
        list[i] = (struct sim_worker){.world = w, .real = &w->workers->worker[i]};
        list[i].turn.fire = on_turn;
        gnt_task_init(&list[i].accepting, on_accepting);
        gnt_list_init(&list[i].arrivals);
        wake_worker(&list[i]);
    }
}

void sim_world_after_turns(struct sim_world *w, void (*after)(void *context), void *context)
{
    w->after_turn = after;
    w->after_context = context;
}

static void end_turns(struct sim_world *w)
{
    for (unsigned i = 0; i < w->workers->count; i++) {
        struct sim_worker *worker = &w->worker[i];
        gnt_timer_cancel(&w->timers, &worker->turn);
        gnt_task_cancel(&worker->accepting);
        for (struct gnt_list *link; (link = gnt_list_pop_front(&worker->arrivals));) {
            struct sim_arrival *a = GNT_CONTAINER(link, struct sim_arrival, link);
            a->refuse(a);
        }
    }
    free(w->worker);
    w->worker = NULL;
}

void sim_world_stop(struct sim_world *w)
{
    end_turns(w);
    gnt_workers_free(&w->workers);
    gnt_rcu_quiescent();
}

void sim_world_crash(struct sim_world *w)
{
    for (int i = GNT_LEDGER_DROPPED; i <= GNT_LEDGER_LAST; i++)
        w->dropped_before[i] += sim_world_counted(w, (enum gnt_counter)i);
    w->dying = true;
    end_turns(w);
    gnt_workers_abandon(&w->workers);
    gnt_rcu_quiescent();
    w->dying = false;
}

void sim_world_fini(struct sim_world *w)
{
    gnt_timers_fini(&w->timers);
    gnt_rcu_barrier();
}

/* ---- Time */

void sim_world_at(struct sim_world *w, struct gnt_timer *timer, uint64_t when)
{
    SIM_MUST(w, gnt_timer_set(&w->timers, timer, when) == GNT_OK);
}

void sim_world_by(struct sim_world *w, struct gnt_timer *timer, uint64_t when)
{
    if (when <= w->now)
        when = w->now + 1;
    if (!gnt_timer_is_set(timer) || timer->deadline > when)
        sim_world_at(w, timer, when);
}

void sim_world_run(struct sim_world *w, uint64_t until)
{
    for (uint64_t next; (next = gnt_timers_next(&w->timers)) <= until;) {
        if (next > w->now)
            w->now = next;
        gnt_timers_run(&w->timers, w->now);
    }
    w->now = until;
}

uint64_t sim_world_counted(struct sim_world *w, enum gnt_counter which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < w->workers->count; i++)
        sum += gnt_counted(&w->workers->worker[i].home->counters, which);
    SIM_MUST(w, (int64_t)sum >= 0);
    return sum;
}

uint64_t sim_world_counted_ever(struct sim_world *w, enum gnt_counter which)
{
    return w->dropped_before[which] + sim_world_counted(w, which);
}

bool sim_world_refused(const struct sim_world *w, uint64_t when)
{
    return w->refuses || w->refused_at >= when;
}

/* ---- Chance */

uint64_t sim_below(struct sim_world *w, uint64_t n)
{
    return gnt_random_below(&w->chance.door, n);
}

uint64_t sim_between(struct sim_world *w, uint64_t least, uint64_t most)
{
    return least + sim_below(w, most - least + 1);
}

bool sim_one_in(struct sim_world *w, unsigned n)
{
    return n && sim_below(w, n) == 0;
}

/* ---- Telling */

void sim_trace(struct sim_world *w, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    w->digest = gnt_hash_mix(w->digest, w->now);
    for (int i = 0; i < n && i < (int)sizeof line - 1; i++)
        w->digest = w->digest * 31 + (uint8_t)line[i];
    if (w->trace)
        printf("%12.6f %s\n", (double)w->now / 1e9 - 10000, line);
}

void sim_fail(struct sim_world *w, const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fprintf(stderr, "seed %llu, at %.6f s: ", (unsigned long long)w->seed,
            (double)w->now / 1e9 - 10000);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}
