#include "client/base/thread.h"

#include "base/random.h"
#include "net/epoll.h"

#include <signal.h>

enum { DOUBLINGS_MAX = 20 }; /* more would be over any maximum */

gnt_err gnt_thread_init(struct gnt_thread *t)
{
    struct gnt_poller *poller;
    pthread_condattr_t attributes;
    *t = (struct gnt_thread){.asked = false};
    gnt_err err = gnt_epoll_new(&poller);
    if (!err)
        err = gnt_loop_init(&t->loop, &gnt_clock_system, &poller);
    if (err)
        return err;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&t->lock, NULL);
    return GNT_OK;
}

void gnt_thread_fini(struct gnt_thread *t)
{
    gnt_loop_fini(&t->loop);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
}

gnt_err gnt_thread_start(struct gnt_thread *t, void *(*run)(void *client), void *client)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&t->id, NULL, run, client);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? gnt_err_from_errno(failed) : GNT_OK;
}

/* Which client's thread this is: it runs nothing else. */
static _Thread_local const struct gnt_thread *running;

void gnt_thread_enter(const struct gnt_thread *t)
{
    running = t;
}

bool gnt_thread_in_callback(const struct gnt_thread *t)
{
    return running == t;
}

void gnt_thread_turn(struct gnt_thread *t, uint64_t wait_ns)
{
    t->asleep = wait_ns > 0;
    pthread_mutex_unlock(&t->lock);
    gnt_loop_turn(&t->loop, wait_ns);
    pthread_mutex_lock(&t->lock);
    t->asleep = false;
}

void gnt_thread_wake(struct gnt_thread *t)
{
    t->asked = true;
    if (!t->asleep)
        return;
    t->asleep = false; /* once is enough */
    t->loop.poller->wake(t->loop.poller);
}

bool gnt_thread_wait(struct gnt_thread *t, uint64_t deadline)
{
    const struct timespec until = {
        .tv_sec = (time_t)(deadline / GNT_NS_PER_S),
        .tv_nsec = (long)(deadline % GNT_NS_PER_S),
    };
    return pthread_cond_timedwait(&t->changed, &t->lock, &until) == 0;
}

uint64_t gnt_thread_wait_deadline(uint32_t timeout_ms)
{
    return gnt_deadline(gnt_now(&gnt_clock_system), timeout_ms * GNT_NS_PER_MS);
}

uint32_t gnt_back_off_ms(uint32_t min_ms, uint32_t max_ms, uint32_t failures)
{
    uint64_t ms = (uint64_t)min_ms << (failures < DOUBLINGS_MAX ? failures : DOUBLINGS_MAX);
    if (ms > max_ms)
        ms = max_ms;
    return (uint32_t)(ms - gnt_random_below(&gnt_random_system, ms / 2 + 1));
}
