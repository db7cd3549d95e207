/* An event loop: one thread, stepped turn by turn.  The broker's workers and the client library
 * stand on it.  What waits for the kernel hides behind a poller and a clock, so that a simulation
 * can step the same loop without either.
 *
 * A turn: wait (not at all if something is ready); take the mail; call each ready stream once; fire
 * timers; send the mail; run the tasks that this turn has put off to its end (flushing output), and
 * send what they have mailed.
 *
 * A loop may carry others as its guests: they share its waits, and its turn is theirs as well, step
 * by step, so that all of them wait for the kernel once.  It is how one thread does the work of
 * several as long as there is little of it. */
#ifndef GNT_NET_LOOP_H
#define GNT_NET_LOOP_H

#include "base/clock.h"
#include "base/list.h"
#include "base/timers.h"
#include "net/stream.h"

struct gnt_post;

/* Where readiness comes from.  The real one is epoll (net/epoll.h); the simulation's does nothing.
 */
struct gnt_poller {
    /* Waits at most TIMEOUT_NS (0: does not wait; GNT_NEVER: as long as it takes) for something and
     * notifies the streams; may end early. */
    void (*wait)(struct gnt_poller *p, uint64_t timeout_ns);
    void (*wake)(struct gnt_poller *p); /* any thread: ends a wait, or lets the next one not wait */
    void (*free)(struct gnt_poller *p);
    /* From now on what P waits for ends the waits of HOST too, and P's own waits are short: 0 ns,
     * and free of cost when there is nothing.  HOST NULL: not any more.  May be NULL. */
    gnt_err (*join)(struct gnt_poller *p, struct gnt_poller *host);
};

/* Something to do at the end of the turn; lives inside what it is about. */
struct gnt_task {
    struct gnt_list link;
    void (*run)(struct gnt_task *task);
};

struct gnt_loop {
    uint64_t now;  /* of this turn: the clock is read once, after the wait */
    uint64_t turn; /* how many there have been */
    const struct gnt_clock *clock;
    struct gnt_poller *poller; /* owned */
    struct gnt_timers timers;
    struct gnt_list ready; /* streams */
    struct gnt_list tasks;
    /* How much has been done until now, of what may follow from mail in large amounts, in units of
       less than a microsecond; NULL: mail is never much work.  See gnt_post_receive. */
    uint64_t (*work)(const void *context);
    const void *work_context;
    struct gnt_post *post; /* NULL: no mail */
    unsigned address;      /* in `post` */
    struct gnt_list guests;
    struct gnt_list guest; /* in another's guests */
    uint64_t slept_ns;     /* in waits that were not for 0 ns, all together */
    /* Called before mail that was sent in a turn becomes visible; may be NULL. */
    void (*before_mail)(void *context);
    void *mail_context;
    /* Called around a wait that may sleep; may be NULL. */
    void (*sleeping)(void *context, bool asleep);
    void *sleeping_context;
};

/* Takes the poller, on failure too. */
GNT_MUST gnt_err gnt_loop_init(struct gnt_loop *loop, const struct gnt_clock *clock,
                               struct gnt_poller **poller);

/* All streams have been closed or moved before, and nobody sends mail here any more.  Timers and
 * tasks that wait are dropped. */
void gnt_loop_fini(struct gnt_loop *loop);

/* One turn, its guests' included, waiting at most MAX_WAIT_NS. */
void gnt_loop_turn(struct gnt_loop *loop, uint64_t max_wait_ns);

/* HOST carries GUEST from now on, and its thread is GUEST's thread: no other touches it until
 * _part.  Between turns of both, by the thread of HOST; GUEST carries nobody.  On failure nothing
 * has changed. */
GNT_MUST gnt_err gnt_loop_carry(struct gnt_loop *host, struct gnt_loop *guest);
void gnt_loop_part(struct gnt_loop *guest);

/* TASK runs at the end of this turn; putting it off twice is once.  A task that is put off by a
 * task runs in the same turn, so a task must not put itself off. */
void gnt_loop_at_end(struct gnt_loop *loop, struct gnt_task *task);
void gnt_task_init(struct gnt_task *task, void (*run)(struct gnt_task *task));
void gnt_task_cancel(struct gnt_task *task);

/* By the loop's thread; as gnt_timer_set.  Cancel with gnt_timer_cancel(&loop->timers, timer). */
GNT_MUST gnt_err gnt_loop_set_timer(struct gnt_loop *loop, struct gnt_timer *timer,
                                    uint64_t deadline);

#endif
