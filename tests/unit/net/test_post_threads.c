/* Loops on threads of their own, sleeping in epoll, with rings far too small for what they send:
 * every mail arrives, in the order of its sender, and nobody oversleeps or spins. */
#include "net/epoll.h"
#include "net/post.h"

#include "support/unit.h"

#include <pthread.h>
#include <stdatomic.h>

enum { WORKERS = 4, RING = 8, MAILS = 25000, OUTSIDE = 2000, BURST = 20 };

struct worker {
    struct gnt_loop loop;
    unsigned address;
    uint64_t sent[WORKERS]; /* to each */
    uint64_t came[WORKERS]; /* from each */
    uint64_t outside;       /* came from the main thread */
    uint64_t turns, backlog_turns;
    bool stop;
};

static struct gnt_post *post;
static struct worker workers[WORKERS];
static _Atomic unsigned finished; /* workers that have got everything */

/* object: the sender's place in `came`. */
static void take(const struct gnt_mail *mail)
{
    uint64_t *count = mail->object;
    assert_int_equal(mail->value, *count);
    (*count)++;
}

static void take_stop(const struct gnt_mail *mail)
{
    ((struct worker *)mail->to)->stop = true;
}

/* Sends on while nothing holds it back; gives how many. */
static unsigned send_burst(struct worker *w)
{
    unsigned n = 0;
    for (unsigned to = 0; to < WORKERS; to++) {
        for (int i = 0; i < BURST && w->sent[to] < MAILS; i++, n++) {
            struct gnt_mail mail = {.run = take,
                                    .object = &workers[to].came[w->address],
                                    .value = w->sent[to]++};
            assert_int_equal(gnt_post_send(post, w->address, to, &mail), GNT_OK);
        }
    }
    return n;
}

static bool has_everything(const struct worker *w)
{
    for (unsigned from = 0; from < WORKERS; from++)
        if (w->came[from] < MAILS)
            return false;
    return w->outside == OUTSIDE;
}

static void *work(void *argument)
{
    struct worker *w = argument;
    bool told = false;
    while (!w->stop) {
        unsigned n = 0;
        if (gnt_post_backlog(post, w->address))
            w->backlog_turns++;
        else
            n = send_burst(w);
        w->turns++;
        /* Whatever should end this wait and does not, hangs the test. */
        gnt_loop_turn(&w->loop, n ? 0 : GNT_NEVER);
        if (!told && has_everything(w)) {
            told = true;
            atomic_fetch_add(&finished, 1);
        }
    }
    return NULL;
}

static void send_from_outside(void)
{
    for (uint64_t i = 0; i < OUTSIDE; i++) {
        for (unsigned to = 0; to < WORKERS; to++) {
            struct gnt_mail mail = {.run = take, .object = &workers[to].outside, .value = i};
            assert_int_equal(gnt_post_send_outside(post, to, &mail), GNT_OK);
        }
    }
}

static void stop_all(void)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        struct gnt_mail mail = {.run = take_stop, .to = &workers[i]};
        assert_int_equal(gnt_post_send_outside(post, i, &mail), GNT_OK);
    }
}

static void test_everything_arrives_in_order(void **state)
{
    (void)state;
    pthread_t threads[WORKERS];
    assert_int_equal(gnt_post_new(WORKERS, RING, &post), GNT_OK);
    for (unsigned i = 0; i < WORKERS; i++) {
        struct gnt_poller *poller;
        assert_int_equal(gnt_epoll_new(&poller), GNT_OK);
        workers[i] = (struct worker){.address = i};
        assert_int_equal(gnt_loop_init(&workers[i].loop, &gnt_clock_system, &poller), GNT_OK);
        gnt_post_attach(post, i, &workers[i].loop);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    send_from_outside();
    while (atomic_load(&finished) < WORKERS)
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    stop_all();
    uint64_t backlog_turns = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(has_everything(&workers[i]));
        assert_false(gnt_post_backlog(post, i));
        backlog_turns += workers[i].backlog_turns;
        /* A turn with a backlog is for something: mail, or room for some of the backlog.  Spinning
         * on a full ring would take many times as many. */
        assert_true(workers[i].turns < 4 * (uint64_t)WORKERS * (MAILS + OUTSIDE));
    }
    assert_true(backlog_turns > 0); /* the rings were too small, as intended */
    gnt_post_free(&post);
    for (unsigned i = 0; i < WORKERS; i++)
        gnt_loop_fini(&workers[i].loop);
}

/* A receiver that does not look for a long time: the sender sleeps on its backlog meanwhile. */
struct slow {
    struct gnt_loop loop;
    _Atomic bool asleep;
    uint64_t turns;
};

static struct slow sender, receiver;
static uint64_t came_slowly;

static void note_sleeping(void *context, bool asleep)
{
    atomic_store(&((struct slow *)context)->asleep, asleep);
}

static void *send_much(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i < 100 * RING; i++) {
        struct gnt_mail mail = {.run = take, .object = &came_slowly, .value = i};
        assert_int_equal(gnt_post_send(post, 0, 1, &mail), GNT_OK);
    }
    do {
        gnt_loop_turn(&sender.loop, GNT_NEVER);
        sender.turns++;
    } while (gnt_post_backlog(post, 0));
    return NULL;
}

static void test_sender_sleeps_until_there_is_room(void **state)
{
    (void)state;
    assert_int_equal(gnt_post_new(2, RING, &post), GNT_OK);
    struct slow *both[] = {&sender, &receiver};
    for (unsigned i = 0; i < 2; i++) {
        struct gnt_poller *poller;
        assert_int_equal(gnt_epoll_new(&poller), GNT_OK);
        assert_int_equal(gnt_loop_init(&both[i]->loop, &gnt_clock_system, &poller), GNT_OK);
        both[i]->loop.sleeping = note_sleeping;
        both[i]->loop.sleeping_context = both[i];
        gnt_post_attach(post, i, &both[i]->loop);
    }
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_much, NULL), 0);
    uint64_t receipts = 0;
    while (came_slowly < 99 * RING) {
        /* It must come to rest, and stay there until mail is taken. */
        while (!atomic_load(&sender.asleep))
            nanosleep(&(struct timespec){.tv_nsec = 10 * 1000}, NULL);
        receipts += gnt_post_receive(post, 1) != 0;
    }
    while (came_slowly < 100 * RING)
        gnt_loop_turn(&receiver.loop, GNT_NEVER);
    assert_int_equal(pthread_join(thread, NULL), 0);
    /* Each receipt made room for one ring: a few turns each (one that was woken, one that flushed),
     * where a sender that spun would have needed thousands. */
    assert_true(sender.turns <= 4 * (receipts + 10));
    gnt_post_free(&post);
    gnt_loop_fini(&sender.loop);
    gnt_loop_fini(&receiver.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_arrives_in_order),
        cmocka_unit_test(test_sender_sleeps_until_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
