/* AMQP 1.0 over any stream: one engine and one stream for each connection, on one side; queues and
 * routing of the core on the other.  A front belongs to one worker and its thread.
 *
 * A connection stays at the worker that accepted it.  What its links are to is elsewhere as often
 * as not, and reached through the core. */
#ifndef GNT_FRONT_AMQP_FRONT_H
#define GNT_FRONT_AMQP_FRONT_H

#include "base/buf.h"
#include "base/random.h"
#include "core/core.h"
#include "front/amqp/suspended.h"
#include "net/loop.h"

/* What the configuration allows peers. */
struct gnt_amqp_limits {
    uint32_t frame_max;   /* bytes of a frame that is received */
    uint32_t message_max; /* of a message */
    uint32_t sessions;    /* of a connection, */
    uint32_t links;       /* of all of them together, */
    uint32_t unsettled;   /* and their unsettled deliveries, in each direction */
    uint32_t suspended;   /* links of the broker that no connection has; 0: none are kept */
    uint32_t suspended_s; /* how long at most */
    uint32_t idle_ms;     /* of silence; 0: no limit */
    /* Of a connection: transactions that are open, what is in all of them together, and how long
     * one may last; 0: no limit. */
    uint32_t transactions, transaction_parts;
    size_t transaction_bytes;
    uint32_t transaction_timeout_ms;
    uint32_t connections_max;
    uint32_t connect_rate;       /* clients a second, whatever they speak; 0: no limit */
    uint32_t connect_timeout_ms; /* to `open` */
    uint32_t write_timeout_ms;   /* for a peer that takes nothing; 0: no limit */
    size_t output_max; /* bytes that may wait for one peer before it gets no more messages */
};

struct gnt_lobby;
struct gnt_tls_context;
struct gnt_users;

/* What all fronts of a broker share; constant while they live, but for the counters. */
struct gnt_amqp_shared {
    struct gnt_amqp_limits limits; /* that the fronts begin with */
    const struct gnt_random *random;
    struct gnt_lobby *lobby;            /* of the broker (front/base/lobby.h) */
    struct gnt_suspended_all suspended; /* with its own lock */
};

struct gnt_amqp_terms;

struct gnt_amqp_front {
    struct gnt_amqp_shared *shared;
    struct gnt_loop *loop;
    struct gnt_home *home;
    struct gnt_amqp_limits limits; /* its own copy: see gnt_amqp_front_configure */
    struct gnt_amqp_terms *terms;  /* of peers to come: NULL if the next one has to make them, else
                                      lent by the peers that have them */
    struct gnt_users *users;       /* counted; NULL: nobody can log in */
    struct gnt_list peers;
    struct gnt_list dirty; /* that are written at the end of the turn, by `flush` */
    struct gnt_task flush;
    struct gnt_list paused; /* that have something to say, and wait for their turn, */
    struct gnt_list held;   /* or until the store has caught up */
    struct gnt_kept held_until;
    struct gnt_work review; /* of what links may stay: see gnt_amqp_front_review */
    uint32_t review_round;
    struct gnt_timer suspended_due; /* always set */
    size_t read_left;               /* bytes, of this turn */
    bool stopping;
    uint32_t transactions;  /* the id of the last one */
    struct gnt_buf scratch; /* for one message */
    uint8_t *read_buffer;   /* what has come for the peer that is being read */
};

GNT_MUST gnt_err gnt_amqp_front_init(struct gnt_amqp_front *front, struct gnt_amqp_shared *shared,
                                     struct gnt_loop *loop, struct gnt_home *home);

/* Closes what is still open, without a word.  One that was never initialised has nothing. */
void gnt_amqp_front_fini(struct gnt_amqp_front *front);

/* A stream, in the front's loop, that was accepted; the front owns it.  Takes the reference to TLS:
 * what a peer has that asks for it by AMQP's header; *TLS NULL: it has not. */
void gnt_amqp_front_accept(struct gnt_amqp_front *front, struct gnt_stream *stream,
                           struct gnt_tls_context **tls);

/* Once a turn, at its beginning; true if it has more to do, and the turn must not wait. */
bool gnt_amqp_front_turn(struct gnt_amqp_front *front);

/* Between turns: whether something is left for the next one, which its loop does not know of. */
bool gnt_amqp_front_has_more(const struct gnt_amqp_front *front);

/* New limits, on this front's thread.  What peers have been told stays theirs. */
void gnt_amqp_front_configure(struct gnt_amqp_front *front, const struct gnt_amqp_limits *limits);

/* From now on these are the users, on this front's thread: takes the reference.  Who has logged in
 * stays. */
void gnt_amqp_front_take_users(struct gnt_amqp_front *front, struct gnt_users **users);

/* The home has another access list: links to queues that their peers may not have any more are
 * ended, some in each turn. */
void gnt_amqp_front_review(struct gnt_amqp_front *front);

/* Says good-bye to every peer; connections that are accepted later are closed at once.  Done when
 * gnt_amqp_front_idle is true, some turns later. */
void gnt_amqp_front_stop(struct gnt_amqp_front *front);
bool gnt_amqp_front_idle(const struct gnt_amqp_front *front);

#endif
