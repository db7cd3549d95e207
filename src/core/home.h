/* A home: one worker's part of the core.  What lives here is touched only by that worker's thread;
 * another home is sent mail, never a pointer to something of one's own, and its sinks are named by
 * id. */
#ifndef GNT_CORE_HOME_H
#define GNT_CORE_HOME_H

#include "base/counters.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mail.h"
#include "base/timers.h"
#include "core/keep.h"
#include "core/routes.h"
#include "core/slots.h"
#include "core/tree.h"

struct gnt_access;
struct gnt_errands;

enum { GNT_HOMES_MAX = 64 };

/* What happens to a delivery that finds its queue full. */
enum gnt_overflow {
    GNT_OVERFLOW_DROP_NEWEST,
    GNT_OVERFLOW_DROP_OLDEST,
    GNT_OVERFLOW_DISCONNECT, /* the newest is dropped and the receiver's connection closed */
};

struct gnt_core_config {
    unsigned homes; /* 1 to GNT_HOMES_MAX */
    size_t topic_levels;
    size_t sessions_max; /* of all homes together; 0: no limit */
    size_t retained_max; /* messages of clients; 0: no limit */
    size_t subscriptions_per_session;
    uint32_t filter_reach;     /* of one topic name (gnt_tree_limit); 0: no limit */
    size_t queued_per_session; /* deliveries, for a session and for a shared group; 0: no limit */
    size_t queued_bytes_per_session; /* payload bytes; 0: no limit */
    uint64_t queued_max;             /* the same for all together (core/total.h); 0: no limit */
    uint64_t queued_bytes_max;
    uint32_t inflight_per_session; /* unsettled deliveries at most, 1 to 65535 */
    uint32_t session_expiry_max_s; /* UINT32_MAX: no limit */
    enum gnt_overflow overflow;
    size_t queues_max;     /* of all homes together; 0: no limit */
    bool auto_create;      /* the name of a queue that is not there makes one */
    uint32_t queue_window; /* messages of a queue in memory at a time; 0: GNT_QUEUE_WINDOW */
    /* Calendar time (ms since 1970) less that of the homes' clock, where nothing is kept. */
    int64_t calendar_ms;
    uint32_t hold_ms; /* how long a full queue holds its publishers at most; 0: not at all */
    /* Carries mail from the thread of one home to that of another, in order for each pair. */
    gnt_err (*post)(void *context, unsigned from, unsigned to, const struct gnt_mail *mail);
    /* The same for results of the store: by any thread, and it must not fail. */
    void (*report)(void *context, unsigned to, const struct gnt_mail *mail);
    void *post_context;   /* of both */
    uint64_t home_key[2]; /* which client lives where follows from this key */
};

struct gnt_home;

/* Something that must wait until what is going on is over; it lives inside what it concerns. */
struct gnt_work {
    struct gnt_list link; /* in home->work */
    void (*run)(struct gnt_home *home, struct gnt_work *work);
};

/* Mail that must arrive, even if there is no memory for it now; it lives inside its object. */
struct gnt_owed {
    struct gnt_list link; /* in home->owed */
    unsigned to;
    struct gnt_mail mail;
};

/* What waits at the other homes, as this one has seen it in this turn (core/total.h). */
struct gnt_total {
    int64_t count, bytes;
    uint64_t looked_at; /* the turn's time */
    bool holds;         /* publishers may be held because of it (core/pending.c) */
};

/* The access list has changed, and the sessions' rights follow (core/session_rights.c). */
struct gnt_renewing {
    struct gnt_work work;
    bool goes_on;            /* some have not been looked at */
    uint32_t at;             /* so far they have, by place in `slots` */
    bool again;              /* but not all, for want of memory */
    struct gnt_list marking; /* struct gnt_bounds: whose subscriptions are looked at again */
};

/* One worker's part of the core. */
struct gnt_home {
    _Atomic uint32_t full;         /* queues that hold their publishers; other homes may read it */
    struct gnt_tree *tree;         /* the one of all homes */
    struct gnt_home *homes;        /* all of them: to post to, not to look into */
    struct gnt_core_config config; /* its own copy, so that limits can be changed while it runs */
    unsigned index;
    bool recovering;           /* no home runs, and one thread may use all of them */
    bool ending;               /* likewise; nothing is written any more */
    const uint64_t *now;       /* the turn's time, of the worker's loop */
    struct gnt_timers *timers; /* the worker's loop's */
    struct gnt_counters counters;
    struct gnt_slots slots;
    struct gnt_map sessions; /* by client id */
    struct gnt_map groups;   /* by share name and filter */
    struct gnt_map queues;   /* struct gnt_queue, by folded name */
    struct gnt_map ways;     /* to queues, by name (core/enqueue.c) */
    struct gnt_errands *errands;
    struct gnt_routes routes;
    struct gnt_keep keep;
    struct gnt_access *access; /* who may do what; NULL: everybody everything */
    struct gnt_renewing renewing;
    struct gnt_map bounds; /* struct gnt_bounds, by session: of those that have any */
    struct gnt_total total;
    struct gnt_list work;  /* struct gnt_work */
    struct gnt_list owed;  /* struct gnt_owed: nothing else is mailed before it */
    struct gnt_list slips; /* of other homes' publishers, held here (core/receipt.c) */
    struct gnt_list holds; /* publishers held by queues here, by time (core/pending.c) */
    struct gnt_timer holds_due;
    struct gnt_timer work_due;
    struct gnt_timer sweep_due; /* home 0: expired retained messages */
};

/* Home INDEX of HOMES, as calloc made it; _attach must follow before anything is done with it. */
void gnt_home_init(struct gnt_home *home, struct gnt_home *homes, unsigned index,
                   struct gnt_tree *tree, const struct gnt_core_config *config);

/* Its sessions, groups and slips are gone: what waits now are receipts, which are given.  The
 * timers are still there. */
void gnt_home_fini(struct gnt_home *home);

/* Ties a home to its worker: NOW is the time of the worker's turn (monotonic ns, not 0), TIMERS are
 * run by the worker.  Before anything else is done with the home. */
GNT_MUST gnt_err gnt_home_attach(struct gnt_home *home, const uint64_t *now,
                                 struct gnt_timers *timers);

/* Changes the limits and the overflow policy of HOME to those of CONFIG, by its thread.  What is
 * over a new limit stays; receive windows change with the client's next connection. */
void gnt_home_configure(struct gnt_home *home, const struct gnt_core_config *config);

/* From now on ACCESS says who may do what at HOME; NULL: everybody everything, as at first.  A
 * reference is taken (NULL afterwards).  By its thread, before sessions are recovered and at each
 * reload.  The rights of its sessions, connected or not, and what they are given by subscriptions
 * and shared groups, follow soon, some sessions in each turn; what waits for them is looked at when
 * it goes out.  Whoever's rights cannot be found for want of memory may do nothing until they can.
 */
void gnt_home_take_access(struct gnt_home *home, struct gnt_access **access);

/* The home of the session with this client id. */
unsigned gnt_home_of(const struct gnt_home *home, struct gnt_slice client_id);

/* Mail from HOME to the home TO; `run` gets the receiving gnt_home in mail->to.  A failure is lack
 * of memory; nothing has been sent then. */
GNT_MUST gnt_err gnt_home_mail(struct gnt_home *home, unsigned to,
                               void (*run)(const struct gnt_mail *mail), void *object,
                               uint64_t value, uint64_t other);

/* The same for an object that has room for mail inside it, OWED: it is sent now, or as soon as
 * there is memory, and before any later mail. */
void gnt_home_mail_surely(struct gnt_home *home, unsigned to,
                          void (*run)(const struct gnt_mail *mail), void *object,
                          struct gnt_owed *owed);

void gnt_work_init(struct gnt_work *work,
                   void (*run)(struct gnt_home *home, struct gnt_work *work));

/* Has WORK done soon, once however often it is asked for.  _cancel: not any more. */
void gnt_home_later(struct gnt_home *home, struct gnt_work *work);
void gnt_work_cancel(struct gnt_work *work);

#endif
