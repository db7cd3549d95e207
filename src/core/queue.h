/* Queues: messages that wait for one receiver each, who takes them and settles them.
 *
 * What the fronts see: a sending is a message on its way into a queue; a consumer is a receiver's
 * place at a queue.  Both live inside the front's own objects, at the front's home, while the queue
 * lives at the home of its name.  Between them go errands (core/errand.h), so nothing here calls
 * back from within a call: `done`, `deliver` and the others come from the home's mail or timers,
 * later in the same turn where the queue is at the same home.  They may call what is in this
 * header.
 *
 * ---- A message's states, and who has it
 *
 *   sending   its front's, by gnt_queue_send, until `done`
 *   ready     the queue's: in memory, or in the store only (see Memory)
 *               -> held, expired, dropped, dead-lettered
 *   held      a consumer's, unsettled: locked for options.lock_ms, or as long as the consumer lives
 *               -> ready, at its place; settled; dead-lettered
 *   settled   accepted, or handed over for good (GNT_CONSUME_TAKE): it is no more
 *   (scheduled and deferred have their place beside ready, and are not built yet)
 *
 * A message has a sequence number, given by the queue in the order of arrival, one counter for all
 * priorities.  It names the message in its queue, also after a restart.  A consumer settles by the
 * number of the delivery, so that what it says after its lock has ended is not taken for what it
 * says of the next delivery of the same message.  A message is in one queue: to the dead-letter
 * queue it moves in one batch.
 *
 * ---- Order
 *
 * Higher priorities first (options.priority); within one, by sequence number: what comes back goes
 * to its place.  Consumers with credit take turns, one message each; of a higher priority of
 * consumers first.  A consumer with a filter takes the first that it may have, and does not hold up
 * others.  With options.groups, what has a group id goes to the consumer that holds the group,
 * which is who has unsettled messages of it; until he has credit it waits, and others are served.
 *
 * ---- What is written when
 *
 *   sent         appended to the log of its priority, if the message says that it is durable, or
 *                options.durable says so: `done` comes when that is safe.  Else nothing, and `done`
 *                comes at once; but what finds no place in memory is appended, too.
 *   delivered    nothing: after a crash it is ready again
 *   given back   failed: its new count of deliveries, and its new annotations, into the table
 *                "queued"; else nothing
 *   settled      removed from its log; `settled` comes when that is safe, for who asked
 *   dead letter  appended there and removed here
 * All of it goes into the batch of the turn at the queue's home, in the order in which it happens.
 *
 * ---- Memory
 *
 * Of a queue that is kept the first GNT_QUEUE_WINDOW ready messages of each priority are in memory;
 * of what is behind them only the number is, and they are fetched when they come nearer.  Who looks
 * for something, with a filter, or browses, reads on in the store by himself.  What is
 * held is in memory as well, and bounded by what consumers may hold.  So a queue of any length
 * costs disk, not memory.  Of a queue that is not kept all is in memory.
 *
 * ---- When it is full
 *
 * By options.overflow.  block: `done` says `full`, and the front gives its sender no new credit
 * before gnt_queue_await_room has answered; what was under way is taken in.  MQTT publications
 * that come by way of a bound filter are taken in as well, and hold their receipt (core/receipt.h)
 * until there is room; of QoS 0 they are dropped, counted.  All that has an end, for senders who
 * heed nothing of it: a quarter over the bounds, or GNT_QUEUE_SLACK messages and
 * GNT_QUEUE_SLACK_BYTES if that is more; then all is refused.  drop_oldest: what is in the way is
 * read from the store to be dropped, also if nobody receives.
 *
 * When the whole broker has as much as it may, all queues are full.  No queue drops what it has for
 * that: then those of drop_oldest refuse what comes.  What only moves to a dead-letter queue makes
 * the broker no fuller and is taken in.
 *
 * ---- The ledger (core/ledger.h)
 *
 * A queue is an account, its dead-letter queue another one: received = delivered + expired +
 * dropped (by reason) + dead-lettered + ready + held. */
#ifndef GNT_CORE_QUEUE_H
#define GNT_CORE_QUEUE_H

#include "core/entity.h"

enum {
    GNT_QUEUE_WINDOW = 1024,              /* messages */
    GNT_QUEUE_WINDOW_BYTES = 4 << 20,     /* of their payload */
    GNT_QUEUE_PRIORITY_DEFAULT = 4,       /* [AMQP 3.2.1] */
    GNT_QUEUE_PRIORITY_MAX = 9,           /* higher ones count as this */
    GNT_QUEUE_GROUP_MAX = 1024,           /* bytes of a group id that count */
    GNT_QUEUE_ANNOTATIONS_MAX = 64 << 10, /* bytes that may be left with a message */
    GNT_QUEUE_REASON_MAX = 4096,          /* bytes of why it was rejected */
    GNT_QUEUE_SLACK = 65536,              /* messages over a bound, see When it is full */
    GNT_QUEUE_SLACK_BYTES = 64 << 20,
};

/* ---- Sending */

struct gnt_sending {
    /* At the sender's home.  GNT_QUEUE_DONE: accepted, and safe if that was asked for; FULL and
     * TOO_LARGE: refused; NOT_FOUND, NO_MEMORY, NO_STORE: it is not in the queue.  `message` is
     * gone then in any case. */
    void (*done)(struct gnt_home *home, struct gnt_sending *sending, enum gnt_queue_result result);
    struct gnt_message *message; /* taken */
    /* What its message says, found by who can read it: */
    bool durable;
    uint8_t priority;       /* GNT_QUEUE_PRIORITY_DEFAULT if it says nothing */
    struct gnt_slice group; /* empty: none; within the message's bytes */
    bool unwaited; /* its sender cannot be made to wait: a full queue that blocks says FULL */
    /* The answer: the queue is full by now, or still. */
    bool full;
    uint64_t sequence; /* the message's; 0: it is not in the queue */
    /* private */
    struct gnt_errand errand;
    uint64_t queue;
    enum gnt_queue_result result;
};

/* Sends *sending, which lives until `done`, to QUEUE (gnt_queue_facts.id), whose home that says. */
void gnt_queue_send(struct gnt_home *home, uint64_t queue, struct gnt_sending *sending);

/* Waits until QUEUE has room again.  It lives until `done`, which comes once: GNT_QUEUE_DONE, at
 * once if there is room; NOT_FOUND if the queue ends; CANCELLED. */
struct gnt_room {
    void (*done)(struct gnt_home *home, struct gnt_room *room, enum gnt_queue_result result);
    /* private */
    struct gnt_errand errand, cancel;
    uint64_t queue;
    unsigned from;
    bool waiting;   /* of the queue's home */
    bool cancelled; /* of the front's */
    enum gnt_queue_result result;
};
void gnt_queue_await_room(struct gnt_home *home, uint64_t queue, struct gnt_room *room);

/* It is to come back soon, whatever happens; only before `done`, and once. */
void gnt_queue_await_cancel(struct gnt_home *home, struct gnt_room *room);

/* ---- Receiving */

enum gnt_consume {
    GNT_CONSUME_LOCK,   /* what is delivered is held until it is settled */
    GNT_CONSUME_TAKE,   /* what is delivered is settled with that */
    GNT_CONSUME_BROWSE, /* what is delivered stays where it is, whoever has it; each once */
};

/* What a consumer is willing to take.  Counted, immutable, used by the queue's home. */
struct gnt_consumer_filter {
    bool (*matches)(struct gnt_consumer_filter *filter, const struct gnt_message *message);
    void (*unref)(struct gnt_consumer_filter *filter);
};

/* One message for a consumer; lent until `deliver` returns. */
struct gnt_queued {
    struct gnt_message *message; /* take a reference to keep it */
    uint64_t sequence;
    uint64_t delivery; /* what it is settled by, no other's in this queue; 0: it need not be */
    uint32_t failed;   /* deliveries before this one that failed [AMQP 3.2.1] */
    bool acquired;     /* somebody has had it before, failed or not */
    bool durable;
    uint64_t enqueued_ms;         /* store time: milliseconds since 1970 */
    uint64_t locked_until;        /* monotonic ns; GNT_NEVER: as long as the consumer lives */
    struct gnt_slice annotations; /* as somebody left them with it, instead of the message's */
    /* Of a dead letter: why, in which queue it was before and with which number; else empty. */
    struct gnt_slice reason, description, source;
    uint64_t source_sequence;
};

struct gnt_consumer;

/* At the consumer's home. */
struct gnt_consumer_ops {
    /* The first to be called: GNT_QUEUE_DONE; NOT_FOUND, IN_USE, NO_MEMORY: nothing will come, and
     * all there is to do is to close it. */
    void (*opened)(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result result);
    /* Must find room: give credit only for what can be taken. */
    void (*deliver)(struct gnt_home *home, struct gnt_consumer *c, const struct gnt_queued *d);
    /* There is nothing more for it now: all credit up to UPTO counts as used. */
    void (*drained)(struct gnt_home *home, struct gnt_consumer *c, uint64_t upto);
    /* What gnt_consumer_settle was told for DELIVERY has happened and is safe; where it was asked
     * to `tell`. */
    void (*settled)(struct gnt_home *home, struct gnt_consumer *c, uint64_t delivery,
                    enum gnt_queue_result result);
    /* The queue has let it go: nothing comes any more.  The front closes it; but where that is
     * because the core ends (gnt_core_free) it need not. */
    void (*ended)(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result why);
    /* The last to be called, after gnt_consumer_close: C is the front's again. */
    void (*closed)(struct gnt_home *home, struct gnt_consumer *c);
};

struct gnt_taker;

/* The front's object; it fills in the first part, and keeps it until `closed`. */
struct gnt_consumer {
    const struct gnt_consumer_ops *ops;
    enum gnt_consume mode;
    bool exclusive;       /* nobody else beside it, but for browsers */
    int32_t priority;     /* who has more is served first */
    bool endless;         /* what it holds is not locked: options.lock_ms is for those who decide */
    uint32_t held_max;    /* unsettled at most, whatever the credit; 0: 65536 */
    uint64_t browse_from; /* the first sequence number that a browser is shown */
    struct gnt_consumer_filter *filter; /* NULL: all; taken */
    /* When it is opened: the number of one that was suspended, of the same queue, whose deliveries
     * it takes over; 0: none.  When one that is suspended is `closed`: its number; 0: it held
     * nothing. */
    uint64_t suspended;
    /* Its answer when it is opened. */
    struct gnt_queue_facts facts;
    bool resumed; /* it has them */
    /* private */
    struct gnt_errand open, close, credit;
    struct gnt_home *home;
    struct gnt_taker *taker; /* the queue's part of it, of the queue's home */
    struct gnt_settlings *settlings;
    struct gnt_chore flush;
    uint64_t queue;
    uint64_t upto, sent_upto; /* credit, and what of it the queue has been told */
    enum gnt_queue_result result;
    uint64_t seen;       /* the last delivery that came; of one that is suspended, as it says */
    uint32_t unanswered; /* settlings that are to be told of */
    bool drain, sent_drain, crediting, again, closing, failed, parted, suspending;
};

void gnt_consumer_open(struct gnt_home *home, uint64_t queue, struct gnt_consumer *c);

/* It may be delivered so many in all, from its beginning on.  Less than before takes back what has
 * not been used; what is under way comes all the same, and may be settled as released.  DRAIN: if
 * there are fewer, `drained` is called, also if the queue's store has to be asked first. */
void gnt_consumer_credit(struct gnt_consumer *c, uint64_t upto, bool drain);

enum gnt_settle {
    GNT_SETTLE_ACCEPT,
    GNT_SETTLE_RELEASE, /* ready again, as if it had not been delivered */
    GNT_SETTLE_MODIFY,  /* ready again; see the flags */
    GNT_SETTLE_REJECT,  /* to the dead-letter queue; out of that it is dropped */
    GNT_SETTLE_RENEW,   /* stays held, and its lock begins anew */
};
struct gnt_settling {
    uint64_t delivery;
    enum gnt_settle outcome;
    bool tell;      /* `settled` is to be called */
    bool failed;    /* of MODIFY: the delivery counts as failed */
    bool elsewhere; /* of MODIFY: this consumer is not to get it again (undeliverable-here) */
    /* Of MODIFY: what is to be left with it instead of what was, if `data` is not NULL. */
    struct gnt_slice annotations;
    /* Of REJECT: both cut to GNT_QUEUE_REASON_MAX. */
    struct gnt_slice reason, description;
};

/* Copies what *settling says.  What this consumer does not hold (any more) is told as LOCK_LOST.
 * GNT_NOMEM: nothing has happened. */
GNT_MUST gnt_err gnt_consumer_settle(struct gnt_consumer *c, const struct gnt_settling *settling);

/* What it holds is ready again, at its place; FAILED: the deliveries that came count as failed, and
 * not those that were under way.  `closed` follows, and nothing else meanwhile but `settled`.  Once
 * for each that was opened, at any time, also if that came to nothing or if it was `ended`. */
void gnt_consumer_close(struct gnt_consumer *c, bool failed);

/* The same, but what it holds stays held, as long as its locks last, for another consumer of the
 * queue, at any home, that is opened with its number.  That must come, if only to be closed: until
 * then it counts as one.  SEEN is the last delivery that came; those behind it were under way, are
 * not told any more, and are ready again. */
void gnt_consumer_suspend(struct gnt_consumer *c, uint64_t seen);

#endif
