#include "base/rcu.h"

#include "base/list.h"

#include <semaphore.h>
#include <stdbool.h>

#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif

/* liburcu is not built with the sanitizer, so its ordering has to be told: what a reader did before
 * it was quiescent, and what the writer did before it deferred, happens before the reclaim. */
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
static char grace_period;
static void happened(void *address)
{
    __tsan_release(address);
}
static void happens_after(void *address)
{
    __tsan_acquire(address);
}
#define GRACE_PERIOD (&grace_period)
#else
static void happened(void *address)
{
    (void)address;
}
static void happens_after(void *address)
{
    (void)address;
}
#define GRACE_PERIOD NULL
#endif

static _Thread_local unsigned registered;

void gnt_rcu_register(void)
{
    if (registered++ == 0)
        urcu_qsbr_register_thread();
}

void gnt_rcu_unregister(void)
{
    if (--registered == 0) {
        happened(GRACE_PERIOD);
        urcu_qsbr_unregister_thread();
    }
}

void gnt_rcu_quiescent(void)
{
    happened(GRACE_PERIOD);
    urcu_qsbr_quiescent_state();
}

void gnt_rcu_offline(void)
{
    happened(GRACE_PERIOD);
    urcu_qsbr_thread_offline();
}

void gnt_rcu_online(void)
{
    urcu_qsbr_thread_online();
}

static void reclaim(struct rcu_head *head)
{
    happens_after(head);
    happens_after(GRACE_PERIOD);
    struct gnt_rcu_head *mine = GNT_CONTAINER(head, struct gnt_rcu_head, head);
    mine->reclaim(mine);
}

void gnt_rcu_defer(struct gnt_rcu_head *head, void (*fn)(struct gnt_rcu_head *head))
{
    head->reclaim = fn;
    happened(&head->head);
    urcu_qsbr_call_rcu(&head->head, reclaim);
}

struct waiter {
    struct gnt_rcu_head head;
    sem_t reclaimed;
};

static void tell(struct gnt_rcu_head *head)
{
    sem_post(&GNT_CONTAINER(head, struct waiter, head)->reclaimed);
}

/* liburcu has one thread that reclaims, in the order of deferral: who defers last is told last.
 * (Its own urcu_qsbr_barrier() hands memory between threads in ways that TSan cannot follow.) */
void gnt_rcu_barrier(void)
{
    struct waiter w;
    sem_init(&w.reclaimed, 0, 0);
    gnt_rcu_register();
    bool online = urcu_qsbr_read_ongoing();
    if (!online)
        gnt_rcu_online();
    gnt_rcu_defer(&w.head, tell);
    gnt_rcu_offline();
    while (sem_wait(&w.reclaimed) != 0)
        ; /* a signal interrupted it */
    if (online)
        gnt_rcu_online();
    gnt_rcu_unregister();
    sem_destroy(&w.reclaimed);
}
