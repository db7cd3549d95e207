/* The inside of subscriptions to queues: pullers, which are a session's consumers, for
 *   session_consume.c  subscriptions, and which pullers there are
 *   session_puller.c   what a puller has of its queue: credit, sending, settling
 * and nobody else.  The thread of their session's home. */
#ifndef GNT_CORE_SESSION_PULLER_H
#define GNT_CORE_SESSION_PULLER_H

#include "core/queue.h"
#include "core/session_private.h"

struct gnt_queue_sub; /* of session_consume.c */

struct gnt_consuming {
    struct gnt_map subs;     /* struct gnt_queue_sub, by key */
    struct gnt_list pullers; /* struct gnt_puller */
    struct gnt_list loaded;  /* the same, if something waits there that is to be sent */
    bool hungry;             /* some were not given credit, because the session had a queue */
};

/*   state    what goes on                              next states */
enum gnt_puller_state {
    GNT_PULLER_ASKS,   /* the directory: where the queue is  OPENS, freed */
    GNT_PULLER_OPENS,  /* the queue is asked for a place     OPEN, CLOSES */
    GNT_PULLER_OPEN,   /*                                    OVER, CLOSES */
    GNT_PULLER_OVER,   /* the queue is no more               CLOSES */
    GNT_PULLER_CLOSES, /*                                    freed */
};

/* A consumer: as long as the client is connected, or what it has of the queue is unsettled. */
struct gnt_puller {
    struct gnt_consumer consumer;
    struct gnt_entity_asking asking;
    struct gnt_list link;           /* in consuming->pullers */
    struct gnt_list loaded;         /* in consuming->loaded */
    struct gnt_session *session;    /* NULL: it goes as soon as the core owes it nothing */
    struct gnt_queue_sub *sub;      /* NULL: it ends with the last that it has */
    struct gnt_subscribing *answer; /* NULL: nobody waits for one */
    struct gnt_list arrived;        /* struct arrived */
    struct gnt_sub_options options;
    enum gnt_puller_state state;
    uint32_t held;        /* arrived, or with the client, and not settled */
    uint64_t came, upto;  /* deliveries, and credit */
    struct gnt_slice key; /* behind the struct */
};

static inline struct gnt_puller *gnt_puller_of(struct gnt_consumer *c)
{
    return GNT_CONTAINER(c, struct gnt_puller, consumer);
}

/* gnt_consumer_ops.deliver. */
void gnt_puller_deliver(struct gnt_home *home, struct gnt_consumer *c, const struct gnt_queued *q);

/* P may have less than before: more may come, or it has done what it was there for. */
void gnt_puller_go_on(struct gnt_puller *p);

/* What waits is ready again at once.  GNT_NOMEM: some of it only when P is closed.  _surely: which
 * it is soon, then, as the session's connection is. */
GNT_MUST gnt_err gnt_puller_give_back(struct gnt_puller *p);
void gnt_puller_give_back_surely(struct gnt_puller *p);

/* The session has nothing of P any more, which is freed when the core owes it nothing; the
 * deliveries that came and are not settled have FAILED or not. */
void gnt_puller_close(struct gnt_puller *p, bool failed);

#endif
