/* A client's thread, and how others wait for what it does.
 *
 * The lock guards all of the client that has no other note.  It is held for moments only: never
 * while waiting and never while a callback runs. */
#ifndef GNT_CLIENT_BASE_THREAD_H
#define GNT_CLIENT_BASE_THREAD_H

#include "net/loop.h"

#include <pthread.h>

struct gnt_thread {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* broadcast when something settles; CLOCK_MONOTONIC */
    pthread_t id;
    bool asked;           /* something, since the thread has begun to look at it all */
    bool asleep;          /* the thread waits, or is about to */
    struct gnt_loop loop; /* the thread's own */
};

/* Makes all but the thread, which _start does. */
GNT_MUST gnt_err gnt_thread_init(struct gnt_thread *t);
void gnt_thread_fini(struct gnt_thread *t); /* the thread has ended, or never was */

/* The program's signals are the program's affair: this thread gets none. */
GNT_MUST gnt_err gnt_thread_start(struct gnt_thread *t, void *(*run)(void *client), void *client);

/* By the thread: first of all; and one turn of the loop that lasts WAIT_NS at most, without the
 * lock. */
void gnt_thread_enter(const struct gnt_thread *t);
void gnt_thread_turn(struct gnt_thread *t, uint64_t wait_ns);

/* Whether this is T itself, which runs nothing of the program's but callbacks. */
bool gnt_thread_in_callback(const struct gnt_thread *t);

/* With the lock: something was asked. */
void gnt_thread_wake(struct gnt_thread *t);

/* With the lock: waits for `changed` until DEADLINE; false when that has passed. */
bool gnt_thread_wait(struct gnt_thread *t, uint64_t deadline);
uint64_t gnt_thread_wait_deadline(uint32_t timeout_ms);

/* How long to wait after so many FAILURES in a row: MIN_MS, doubled with each up to MAX_MS, less up
 * to half of it, so that clients that lost their server together do not come back together. */
uint32_t gnt_back_off_ms(uint32_t min_ms, uint32_t max_ms, uint32_t failures);

#endif
