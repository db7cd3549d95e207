/* What the program that a broker lives in publishes, on its way to worker 0: bounded, in order.
 * What a full queue holds (core/receipt.h) counts as waiting here, so that the program hears of it.
 *
 * Threads  gnt_inbox_put and _close by any thread, _turn by worker 0's; the rest while no other
 *          thread is there. */
#ifndef GNT_BROKER_INBOX_H
#define GNT_BROKER_INBOX_H

#include "base/list.h"
#include "model/message.h"

#include <pthread.h>
#include <stdbool.h>

struct gnt_worker;

/* How much may wait, topics and bookkeeping included; one message is taken however large it is. */
enum { GNT_INBOX_BYTES_MAX = 64 * 1024 * 1024 };

struct gnt_inbox {
    struct gnt_worker *worker;
    struct gnt_list taken;   /* worker 0's: still to be published */
    _Atomic bool waits;      /* there is something in `letters` */
    _Atomic size_t bytes;    /* of all that has not been published */
    pthread_mutex_t mutex;   /* Guards what follows, for a few instructions; the innermost lock. */
    struct gnt_list letters; /* that have been put in, and not yet been taken */
    bool closed;
};

void gnt_inbox_init(struct gnt_inbox *inbox);

/* What is still held lives, and *inbox must, until the core has ended. */
void gnt_inbox_fini(struct gnt_inbox *inbox);

/* Takes *message, which is NULL afterwards, and wakes the worker.  *message stays the caller's on
 * failure:
 *   GNT_FULL   GNT_INBOX_BYTES_MAX wait already
 *   GNT_STATE  closed
 *   GNT_NOMEM */
GNT_MUST gnt_err gnt_inbox_put(struct gnt_inbox *inbox, struct gnt_message **message);

/* Nothing is put in any more. */
void gnt_inbox_close(struct gnt_inbox *inbox);

/* Publishes some of what waits, between two turns of worker 0; nothing while its mail to other
 * workers is held up.  True: there is more, and the next turn should not wait. */
bool gnt_inbox_turn(struct gnt_inbox *inbox);

#endif
