#include "support/unit.h"

#include "base/rcu.h"

#include "base/list.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { CHANGES = 2000, READERS = 2, ALIVE = 0x600d };

/* A counted pair that the writer replaces and the readers read; both halves always agree. */
struct pair {
    struct gnt_rcu_head head;
    unsigned alive;
    unsigned a, b;
};

static _Atomic(struct pair *) published;
static atomic_bool stop;
static unsigned reclaimed; /* plain: written on liburcu's thread, read after the barrier */

static struct pair *pair_new(unsigned value)
{
    struct pair *p = malloc(sizeof *p);
    assert_non_null(p);
    p->alive = ALIVE;
    p->a = value;
    p->b = value;
    return p;
}

static void reclaim_pair(struct gnt_rcu_head *head)
{
    struct pair *p = GNT_CONTAINER(head, struct pair, head);
    p->alive = 0;
    free(p);
    reclaimed++;
}

/* Reads with nothing but an acquire load until told to stop; counts what was wrong. */
static void *read_on(void *context)
{
    unsigned long *wrong = context;
    unsigned last = 0;
    gnt_rcu_register();
    for (unsigned turn = 0; !atomic_load(&stop); turn++) {
        for (int i = 0; i < 16; i++) {
            const struct pair *p = atomic_load_explicit(&published, memory_order_acquire);
            *wrong += p->alive != ALIVE || p->a != p->b || p->a < last;
            last = p->a;
        }
        if (turn % 64 == 0) { /* as a worker that goes to sleep */
            gnt_rcu_offline();
            gnt_rcu_online();
        } else {
            gnt_rcu_quiescent();
        }
    }
    gnt_rcu_unregister();
    return NULL;
}

static void test_readers_never_see_what_is_gone(void **state)
{
    (void)state;
    pthread_t readers[READERS];
    unsigned long wrong[READERS] = {0};
    atomic_store(&published, pair_new(0));
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &wrong[i]), 0);
    gnt_rcu_register();
    for (unsigned value = 1; value <= CHANGES; value++) {
        struct pair *old =
            atomic_exchange_explicit(&published, pair_new(value), memory_order_acq_rel);
        gnt_rcu_defer(&old->head, reclaim_pair);
        gnt_rcu_quiescent();
    }
    gnt_rcu_barrier();
    assert_int_equal(reclaimed, CHANGES);
    atomic_store(&stop, true);
    gnt_rcu_offline();
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i], NULL);
        assert_int_equal(wrong[i], 0);
    }
    gnt_rcu_online();
    gnt_rcu_defer(&atomic_load(&published)->head, reclaim_pair);
    gnt_rcu_barrier();
    assert_int_equal(reclaimed, CHANGES + 1);
    gnt_rcu_unregister();
}

struct held {
    struct gnt_rcu_head head;
    atomic_bool gone;
};

struct holder {
    sem_t holds, let_go, quiescent;
};

static void reclaim_held(struct gnt_rcu_head *head)
{
    atomic_store(&GNT_CONTAINER(head, struct held, head)->gone, true);
}

static void *hold(void *context)
{
    struct holder *h = context;
    gnt_rcu_register();
    sem_post(&h->holds);
    sem_wait(&h->let_go);
    gnt_rcu_quiescent();
    sem_post(&h->quiescent);
    gnt_rcu_unregister();
    return NULL;
}

/* One reader that is not quiescent holds back what was deferred after it began. */
static void test_a_reader_holds_reclamation_back(void **state)
{
    (void)state;
    struct holder h;
    struct held thing = {.gone = false};
    pthread_t reader;
    sem_init(&h.holds, 0, 0);
    sem_init(&h.let_go, 0, 0);
    sem_init(&h.quiescent, 0, 0);
    assert_int_equal(pthread_create(&reader, NULL, hold, &h), 0);
    sem_wait(&h.holds);
    gnt_rcu_register();
    gnt_rcu_defer(&thing.head, reclaim_held);
    gnt_rcu_offline();
    struct timespec moment = {0,
                              50 * 1000 * 1000}; /* long enough to see a defer that does not wait */
    nanosleep(&moment, NULL);
    assert_false(atomic_load(&thing.gone));
    sem_post(&h.let_go);
    sem_wait(&h.quiescent);
    gnt_rcu_online();
    gnt_rcu_barrier();
    assert_true(atomic_load(&thing.gone));
    gnt_rcu_unregister();
    pthread_join(reader, NULL);
}

static void test_registration_nests(void **state)
{
    (void)state;
    struct held thing = {.gone = false};
    gnt_rcu_register();
    gnt_rcu_register();
    gnt_rcu_unregister();
    gnt_rcu_defer(&thing.head, reclaim_held); /* still registered */
    gnt_rcu_barrier();
    assert_true(atomic_load(&thing.gone));
    gnt_rcu_unregister();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_never_see_what_is_gone),
        cmocka_unit_test(test_a_reader_holds_reclamation_back),
        cmocka_unit_test(test_registration_nests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
