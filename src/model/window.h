/* What has been sent and is not settled: packet ids, states, and the order of sending.
 *
 * Both ends of MQTT that send need exactly this: a broker's session towards its client, and the
 * client library towards its broker.  Ids are given out in turn (1..65535, round), so that what is
 * in flight is a stretch of that circle: an id is found by subtraction, the order is the circle's,
 * and what was settled out of order leaves a hole until the front catches up.  A window with
 * nothing in flight holds no memory.  One thread. */
#ifndef GNT_MODEL_WINDOW_H
#define GNT_MODEL_WINDOW_H

#include "model/message.h"
#include "model/sub_ids.h"

/*   state      what it waits for                                       next states            */
enum gnt_flight_state {
    GNT_FLIGHT_NONE,      /* a hole                                     PUBLISHED, REQUESTED,
                                                                 RELEASED only when restored  */
    GNT_FLIGHT_PUBLISHED, /* PUBACK (QoS 1), PUBREC (QoS 2)             RELEASED, NONE         */
    GNT_FLIGHT_RELEASED,  /* PUBCOMP; the message itself is let go      NONE                   */
    GNT_FLIGHT_REQUESTED, /* SUBACK or UNSUBACK: clients only           NONE                   */
};

struct gnt_flight {
    struct gnt_message *message; /* a reference, NULL in RELEASED and REQUESTED */
    void *owner;                 /* whatever the user of the window wants to find again */
    uint64_t cookie, number;     /* likewise */
    struct gnt_sub_ids ids;
    uint16_t id;
    uint8_t state; /* enum gnt_flight_state */
    uint8_t qos;
    bool retain;
    bool drawn; /* from a queue, by a consumer (core/session_puller.c) */
};

struct gnt_window {
    struct gnt_flight *ring; /* by the low bits of the id; NULL while nothing is in flight */
    uint16_t mask;           /* slots - 1, a power of two less one; meaningless without a ring */
    uint16_t count;          /* in flight, without holes */
    uint16_t first;          /* the oldest in flight; meaningless without a ring */
    uint16_t last;           /* the id that was given last, 0: none yet */
};

void gnt_window_init(struct gnt_window *w);

/* Lets go of all messages and ids in it. */
void gnt_window_fini(struct gnt_window *w);

/* Takes *flight's message reference and ids (its message is NULL afterwards), gives it the next id
 * and the state STATE.  *out is valid until the next _add or _remove.
 * GNT_FULL: all 65,535 ids are between the oldest one in flight and the next; nothing is taken. */
GNT_MUST gnt_err gnt_window_add(struct gnt_window *w, struct gnt_flight *flight,
                                enum gnt_flight_state state, struct gnt_flight **out);

/* As _add, with flight->id, which is not that of one in flight, nor between two of them: for who
 * gives out ids by another rule, and for restoring a session, in the order of sending. */
GNT_MUST gnt_err gnt_window_restore(struct gnt_window *w, struct gnt_flight *flight,
                                    enum gnt_flight_state state);

/* Whether _restore would take ID (GNT_INVALID else). */
bool gnt_window_takes(const struct gnt_window *w, uint16_t id);

/* Whether _add would say GNT_FULL. */
bool gnt_window_full(const struct gnt_window *w);

/* NULL if ID is not in flight. */
struct gnt_flight *gnt_window_find(struct gnt_window *w, uint16_t id);

/* PUBREC came: FLIGHT, which must be PUBLISHED (peers repeat themselves: look at its state first),
 * becomes RELEASED and the message is let go. */
void gnt_window_release(struct gnt_window *w, struct gnt_flight *flight);

/* Settled: the message is let go, the id is free; FLIGHT itself is gone if it was the only one. */
void gnt_window_remove(struct gnt_window *w, struct gnt_flight *flight);

/* The first in flight after AFTER in the order of sending (NULL: the first of all); NULL at the
 * end. AFTER may have been removed just now, if nothing was added since. */
struct gnt_flight *gnt_window_next(struct gnt_window *w, const struct gnt_flight *after);

#endif
