/* A connection of the simulation: to the broker's end a gnt_stream, to the client's a few
 * functions.
 *
 * Each direction holds a bounded number of bytes, which arrive after some time and in pieces,
 * always in order.  A wire ends as a TCP connection does: in order, by a reset, or cut, which
 * neither end need notice. */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include "base/buf.h"
#include "net/stream.h"
#include "world.h"

struct sim_wire;

/* One direction. */
struct sim_pipe {
    struct sim_wire *wire;
    struct gnt_buf flying, arrived; /* with room for all that fits: a fault is the broker's only */
    struct gnt_timer arrival;
    bool finished; /* no more is written */
    bool ended;    /* no more arrives */
};

struct sim_wire {
    struct gnt_stream stream; /* the broker's end */
    struct sim_world *world;
    struct sim_arrival arriving;
    void (*accept)(struct gnt_worker *worker, struct gnt_stream *stream); /* as what: MQTT */
    struct sim_pipe up, down; /* to the broker, to the client */
    struct gnt_timer begin, broker_told, client_told;
    bool accepted, broker_open, client_open;
    bool cut;                        /* nothing arrives any more */
    bool died;                       /* the broker's machine did, before the broker ended it */
    bool broker_reset, client_reset; /* this end has been told */
    uint64_t written, read;          /* bytes of the client's, by it and by the broker */
    uint64_t read_by_end;            /* of them, when the broker ended the connection */
    void (*changed)(void *owner);    /* for the client: something can be read or written */
    void *owner;
};

/* A wire from a client to some worker of the broker. */
struct sim_wire *sim_wire_open(struct sim_world *w, void (*changed)(void *owner), void *owner);

/* How many bytes were taken. */
size_t sim_wire_write(struct sim_wire *wire, struct gnt_slice bytes);

/* GNT_MORE: nothing there; GNT_CLOSED: the broker has ended; GNT_IO: broken. */
GNT_MUST gnt_err sim_wire_read(struct sim_wire *wire, void *to, size_t cap, size_t *n);

/* In order: what was written still arrives.  The client must not use it any more. */
void sim_wire_close(struct sim_wire **wire);

/* Nothing gets through any more, and what is under way is lost.  Each end is told after its time,
 * or never (GNT_NEVER). */
void sim_wire_cut(struct sim_wire *wire, uint64_t broker_ns, uint64_t client_ns);

#endif
