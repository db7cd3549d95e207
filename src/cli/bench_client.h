/* One client of a bench: an engine on a stream, in the loop of the load.
 *
 * Over AMQP a subscriber has the broker make a queue for it, and its publisher, which is opened
 * when all subscribers are up, sends to that. */
#ifndef GNT_CLI_BENCH_CLIENT_H
#define GNT_CLI_BENCH_CLIENT_H

#include "cli/bench_load.h"
#include "mqtt/engine/client.h"
#include "net/loop.h"

struct gnt_bench_amqp;
struct gnt_bench_client;
struct gnt_scram_client;

/* What all clients of a load share, and who is told; a part of the load. */
struct gnt_bench_host {
    struct gnt_loop *loop;
    const struct gnt_bench_plan *plan;
    const struct gnt_bench_target *target;
    uint64_t run; /* in every client id and topic, so that runs do not meet */
    uint8_t *read_buffer;
    uint8_t *payload;        /* plan->size bytes */
    struct gnt_list senders; /* clients that may have something to send now */
    char **addresses;        /* AMQP: of the subscribers' queues; NULL: not known yet */

    /* Connected and, where it subscribes, subscribed. */
    void (*up)(struct gnt_bench_client *c);
    /* Closed or refused, for good.  The client is freed by its owner, later. */
    void (*down)(struct gnt_bench_client *c, gnt_err err, uint8_t code);
    void (*message)(struct gnt_bench_client *c, struct gnt_slice payload, uint64_t now);
};

struct gnt_bench_client {
    struct gnt_bench_host *host;
    struct gnt_client *engine;
    struct gnt_bench_amqp *amqp; /* instead of `engine` */
    struct gnt_stream *stream;
    struct gnt_scram_client *scram; /* while it logs in so */
    struct gnt_list sender;         /* in host->senders */
    struct gnt_task task;           /* events and output, at the end of the turn */
    uint32_t index;                 /* among the publishers or the subscribers */
    uint32_t number;                /* of the last message */
    uint32_t unsettled;             /* publications that are not DONE */
    bool publisher, up, closed;
    bool blocked; /* the transport has not taken all output */
};

/* Begins to connect.  C is zeroed memory that stays where it is until _close. */
GNT_MUST gnt_err gnt_bench_client_open(struct gnt_bench_client *c, struct gnt_bench_host *host,
                                       bool publisher, uint32_t index);
void gnt_bench_client_close(struct gnt_bench_client *c); /* a zeroed one may be given too */

/* Says DISCONNECT, so that the broker frees the session at once. */
void gnt_bench_client_leave(struct gnt_bench_client *c);

/* Publishes one message that was due at DUE, to subscriber TO where the shape has one in its
 * topic.  GNT_FULL: the engine's queue is. */
GNT_MUST gnt_err gnt_bench_client_publish(struct gnt_bench_client *c, uint64_t due, uint32_t to);

/* ---- For the two kinds of clients: bench_client.c and bench_amqp.c */

void gnt_bench_client_fail(struct gnt_bench_client *c, gnt_err err, uint8_t code);
void gnt_bench_client_come_up(struct gnt_bench_client *c);
GNT_MUST gnt_err gnt_bench_client_stream(struct gnt_bench_client *c, const char *protocol);

/* What a payload begins with, into host->payload: see bench_load.h. */
void gnt_bench_client_stamp(struct gnt_bench_client *c, uint64_t due);

GNT_MUST gnt_err gnt_bench_amqp_open(struct gnt_bench_client *c);
GNT_MUST gnt_err gnt_bench_amqp_publish(struct gnt_bench_client *c, uint64_t due);
void gnt_bench_amqp_leave(struct gnt_bench_client *c);
void gnt_bench_amqp_close(struct gnt_bench_client *c);

#endif
