/* The sending end of a link: messages that wait until the link, the session and the peer's output
 * have room for them, in order, and those that the peer has not settled.
 *
 * Tags are 16 bytes, as peers of Service Bus want it, and no two of a broker the same. */
#ifndef GNT_FRONT_AMQP_OUTLET_H
#define GNT_FRONT_AMQP_OUTLET_H

#include "front/amqp/envelope.h"
#include "front/amqp/link.h"

struct gnt_outlet;

/* One message on its way, or with the peer; lives in whatever its owner has for it. */
struct gnt_going {
    struct gnt_list link; /* in `unsent` or `sent` */
    struct gnt_outlet *outlet;
    struct gnt_message *message, *said; /* counted; and in AMQP's words: lent by it */
    struct gnt_amqp_delivery *delivery; /* NULL: nothing has been sent of it */
    uint64_t tag[2];                    /* of the delivery, once there is one */
    /* What comes before `rest`: a header that is short, or also what else is not the message's own.
     */
    uint8_t near[GNT_ENVELOPE_HEADER_MAX];
    uint8_t near_size;
    bool over; /* the peer has settled it already: it ends when it is whole */
    struct gnt_buf far;
    struct gnt_slice rest; /* which is the message's own */
    size_t done;           /* bytes of both that have been sent */
};

/* None of these ends the link. */
struct gnt_outlet_ops {
    /* G is whole; it is the owner's to free if SETTLED, and waits for the peer else. */
    void (*sent)(struct gnt_outlet *o, struct gnt_going *g, bool settled);
    /* It is larger than the peer takes, and the owner's to free. */
    void (*too_large)(struct gnt_outlet *o, struct gnt_going *g);
    /* Some have been sent, or there was nothing to send: there may be room for more.  True: more
     * has been put, where nothing was left. */
    bool (*room)(struct gnt_outlet *o);

    /* For gnt_outlet_disposition: the message of a topic is whole and the peer has decided; G is
     * the owner's to free.  It is to be delivered again as SETTLING says, or it is over and HOW is
     * what it counts as. */
    void (*back)(struct gnt_outlet *o, struct gnt_going *g, const struct gnt_settling *settling);
    void (*over)(struct gnt_outlet *o, struct gnt_going *g, enum gnt_counter how);
};

struct gnt_outlet {
    struct gnt_terminus t;
    const struct gnt_outlet_ops *ops;
    struct gnt_list unsent;       /* the first may have been sent in part */
    struct gnt_list sent;         /* and are unsettled */
    uint32_t unsent_count, begun; /* of `unsent`, how many have been begun: one or none */
    uint64_t tag[2];              /* of the link, and of its last delivery */
    bool presettled;
};

/* O, but for its terminus. */
void gnt_outlet_init(struct gnt_outlet *o, const struct gnt_outlet_ops *ops, bool presettled,
                     const struct gnt_random *random);

/* G, zeroed, is the last to be sent, after those that wait.  GNT_NOMEM: it is not; GNT_TOOBIG: it
 * cannot be said over AMQP. */
GNT_MUST gnt_err gnt_outlet_put(struct gnt_outlet *o, struct gnt_going *g,
                                struct gnt_message *message, struct gnt_envelope_hop *hop);

/* What comes before `rest`, and how much both are. */
struct gnt_slice gnt_going_head(const struct gnt_going *g);
size_t gnt_going_size(const struct gnt_going *g);

/* G, of `sent`, whose delivery was restored, is sent again from byte FROM on, before all that is
 * new; from its size on that is only the word that it goes on, or is over. */
void gnt_outlet_resume(struct gnt_outlet *o, struct gnt_going *g, size_t from);

/* Sends what there is room for. */
void gnt_outlet_go_on(struct gnt_outlet *o);

/* The same for T, which is an outlet's and may end meanwhile: its `flow` and `go_on`. */
void gnt_outlet_flow(struct gnt_terminus *t);

/* How many deliveries the link has credit for that do not wait already. */
uint32_t gnt_outlet_credit(const struct gnt_outlet *o);

/* What the peer says about a message of a topic: the `disposition` of T, which is an outlet's with
 * `back` and `over`. */
void gnt_outlet_disposition(struct gnt_terminus *t, const struct gnt_amqp_event *event);

/* What of G is the outlet's; it is in no list any more. */
void gnt_going_fini(struct gnt_going *g);

#endif
