/* The inside of a source that is a queue, for outgoing*.c: its life on a link, what the peer
 * decides about its messages, and its life from one link to the next. */
#ifndef GNT_FRONT_AMQP_OUTGOING_H
#define GNT_FRONT_AMQP_OUTGOING_H

#include "front/amqp/delivery.h"
#include "front/amqp/outlet.h"

struct gnt_outgoing {
    struct gnt_outlet o;
    struct gnt_consumer consumer;
    struct gnt_map deciding; /* messages of o.sent, by delivery: their outcome is made safe, or it
                                is asked whether they are still held */
    struct gnt_list retired; /* struct gnt_held, that the peer has settled within a transaction */
    uint64_t used, upto;     /* of the consumer's credit: deliveries, and what it was told */
    uint64_t seen;           /* the last delivery that has come */
    struct gnt_settling by_default; /* what becomes of what the peer does not decide about */
    bool consuming;                 /* the consumer is not closed yet, */
    bool opened;                    /* or is at its queue */
    bool draining;                  /* the consumer was told */
    bool dry;                       /* and has nothing left */
    bool failed;                    /* suspended: because something broke */
    /* While it is woken: */
    struct gnt_waking *waking;
    struct gnt_buf in_force;        /* filters */
    enum gnt_queue_result reopened; /* what the queue has said */
    uint32_t renewing;              /* deliveries that are asked for */
    char name[];                    /* of the queue */
};

struct gnt_held {
    struct gnt_going going;
    struct gnt_map_node node; /* in out->deciding, if it is */
    uint64_t number;          /* of the delivery, at the queue */
    bool deciding;
    bool alone;                 /* in out->retired: its delivery has gone */
    uint32_t txn;               /* in which it is retired, or was; 0: in none */
    struct gnt_part *part;      /* of the transaction that it is retired in; NULL: none */
    bool decided;               /* its outcome is safe, and the peer is to be told in a transfer */
    struct gnt_buf annotations; /* what it has instead of the message's own; empty: these */
    struct gnt_buf state;       /* what the peer is told when its outcome is safe */
};

static inline struct gnt_outgoing *gnt_outgoing_of(struct gnt_terminus *t)
{
    return GNT_CONTAINER(t, struct gnt_outgoing, o.t);
}

static inline struct gnt_outgoing *gnt_outgoing_of_outlet(struct gnt_outlet *o)
{
    return GNT_CONTAINER(o, struct gnt_outgoing, o);
}

static inline struct gnt_held *gnt_held_of(struct gnt_going *g)
{
    return GNT_CONTAINER(g, struct gnt_held, going);
}

/* ---- outgoing.c */

void gnt_held_free(struct gnt_held *h);
void gnt_outgoing_settle(struct gnt_outgoing *out, const struct gnt_settling *settling);

/* From here on the core owes it that the consumer is closed. */
void gnt_outgoing_open(struct gnt_outgoing *out, uint64_t queue);

/* ---- outgoing_decide.c */

/* Of its kind (link.h). */
void gnt_outgoing_disposition(struct gnt_terminus *t, const struct gnt_amqp_event *event);

/* H is in out->deciding, and STATE what the peer is told then.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_outgoing_await(struct gnt_outgoing *out, struct gnt_held *h,
                                    struct gnt_slice state);

/* The outcome that EVENT says of H, or what comes of none.  GNT_MORE: there is nothing to do. */
GNT_MUST gnt_err gnt_outgoing_outcome(struct gnt_outgoing *out, const struct gnt_held *h,
                                      const struct gnt_amqp_event *event,
                                      struct gnt_settling *settling);

/* STATE holds: the peer is told, and H is over. */
void gnt_outgoing_tell(struct gnt_outgoing *out, struct gnt_held *h, struct gnt_slice state);

/* Its link is over.  Nobody is told any more what comes of what is retired; and where the commit
 * has not begun, there is none. */
void gnt_outgoing_untie(struct gnt_outgoing *out);

/* ---- outgoing_resume.c: of its kind (link.h) */

uint32_t gnt_outgoing_keeps(const struct gnt_terminus *t);
void gnt_outgoing_rest(struct gnt_terminus *t);
void gnt_outgoing_suspend(struct gnt_terminus *t, bool failed);
GNT_MUST gnt_err gnt_outgoing_wake(struct gnt_terminus *t, struct gnt_wanted *wanted,
                                   struct gnt_waking *waking);
void gnt_outgoing_resumed(struct gnt_terminus *t, const struct gnt_amqp_event *event);
void gnt_outgoing_expire(struct gnt_terminus *t);

/* What has not been begun has not failed, and is not kept. */
void gnt_outgoing_release_unsent(struct gnt_outgoing *out);

/* Its queue has said whether it has what was kept; RESULT of one of the deliveries, H. */
void gnt_outgoing_reopened(struct gnt_outgoing *out, enum gnt_queue_result result);
void gnt_outgoing_renewed(struct gnt_outgoing *out, struct gnt_held *h,
                          enum gnt_queue_result result);

/* The outcome of H, which was restored, is safe: the peer hears that in a transfer [AMQP 2.6.13].
 */
void gnt_outgoing_say(struct gnt_outgoing *out, struct gnt_held *h);

/* The answer to the attach of one that was woken. */
GNT_MUST gnt_err gnt_outgoing_answer_again(struct gnt_outgoing *out, struct gnt_amqp_peer *p,
                                           struct gnt_wanted *wanted);

#endif
