/* The inside of a target that takes messages, for incoming.c and incoming_send.c: what comes on its
 * link, and what becomes of it. */
#ifndef GNT_FRONT_AMQP_INCOMING_H
#define GNT_FRONT_AMQP_INCOMING_H

#include "core/publish.h"
#include "front/amqp/coordinator.h"
#include "front/amqp/link.h"
#include "front/amqp/outcomes.h"

struct gnt_incoming {
    struct gnt_terminus t;
    enum gnt_address_kind kind; /* ENTITY, QUEUE and DYNAMIC are all a queue; TOPIC; ANONYMOUS;
                                   MANAGEMENT */
    uint64_t queue;             /* of a queue, */
    char *name;                 /* and its name in MQTT's words; of a topic, its name */
    struct gnt_buf partial;     /* of a message whose frames are coming */
    uint32_t window, unsettled;
    uint32_t txn;             /* that the message whose frames are coming is posted in; 0: none */
    struct gnt_list coming;   /* struct gnt_coming */
    struct gnt_list outcomes; /* struct gnt_outcome_kept: of a link before this one */
    struct gnt_room room;
    bool full; /* waits for `room` */
};

/* A message on its way. */
struct gnt_coming {
    struct gnt_list link; /* in in->coming */
    struct gnt_incoming *in;
    struct gnt_amqp_delivery *delivery;  /* NULL: nobody waits for its outcome */
    struct gnt_outcome_kept *remembered; /* that somebody may ask for later; NULL: nobody does */
    struct gnt_sending sending;
    /* What goes to the queue of its link has no more than this: coming_size. */
    union {
        struct { /* ANONYMOUS: while its queue is looked for */
            struct gnt_entity_asking asking;
            struct gnt_txn *txn; /* that it is posted in; NULL: none */
        };
        struct { /* to a topic */
            struct gnt_receipt receipt;
            struct gnt_kept kept;
            enum gnt_outcome outcome;
            uint64_t mark; /* of the store before it was published */
        };
    };
};

/* ---- incoming.c */

/* The sender hears of what there is room for now. */
void gnt_incoming_give_credit(struct gnt_incoming *in);

/* Its queue is full: there is no credit until it is not. */
void gnt_incoming_await_room(struct gnt_incoming *in);

/* ---- incoming_send.c */

/* A whole message, ENCODED, has come with DELIVERY: it is on its way, or settled; but if not
 * UNSETTLED nobody is told.  May take in->partial, and end the link. */
void gnt_incoming_take(struct gnt_incoming *in, struct gnt_slice encoded,
                       struct gnt_amqp_delivery *delivery, bool unsettled);

#endif
