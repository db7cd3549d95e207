/* The threads of a broker's workers.
 *
 * Each worker has a thread of its own, its seat.  Threads that share little work cost more than one
 * that does it all: each message wakes two of them, and its bytes travel between two caches.  So as
 * long as the work of all workers is little enough for one thread, the first worker's thread, the
 * chief, carries the loops of the others (net/loop.h), and their threads sleep; when it gets busy
 * each gets its own back.  At any time one thread has a loop, and it is handed over by an atomic
 * state or a semaphore, so what a worker owns needs no lock.
 *
 * Threads  one thread calls these, the one that has the broker. */
#ifndef GNT_BROKER_SEATS_H
#define GNT_BROKER_SEATS_H

#include "broker/inbox.h"
#include "broker/listener.h"
#include "broker/workers.h"

struct gnt_seats;

/* When loops change hands, in percent of the time of one thread. */
struct gnt_seats_rule {
    uint64_t busy_percent, busy_ms; /* looking so long, a chief that was busy for more than this
                                       gives the loops back */
    uint64_t calm_percent, calm_ms; /* a chief that was busy for less than this, when the threads
                                       needed less than this all together, asks for them */
};

/* The gap between the two figures, and looking longer before joining, keep loops from going to and
 * fro. */
extern const struct gnt_seats_rule gnt_seats_usual;

/* What is handed in must stay until _free; the INBOX is worker 0's.  Nobody is served yet. */
GNT_MUST gnt_err gnt_seats_new(struct gnt_workers *workers, const struct gnt_listeners *listeners,
                               struct gnt_inbox *inbox, const struct gnt_seats_rule *rule,
                               struct gnt_seats **out);

/* GNT_NOMEM, or no right to a thread: those that have been started are to be stopped. */
GNT_MUST gnt_err gnt_seats_start(struct gnt_seats *s);

/* Has the workers say good-bye, and their threads end; false: there were none. */
bool gnt_seats_stop(struct gnt_seats *s);

/* After _stop; NULL is fine. */
void gnt_seats_free(struct gnt_seats **s);

#endif
