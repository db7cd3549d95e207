/* One message on its way to one receiver, with what is particular to that receiver. */
#ifndef GNT_MODEL_DELIVERY_H
#define GNT_MODEL_DELIVERY_H

#include "model/message.h"
#include "model/sub_ids.h"

/* What there is to say about a message that comes from a queue; lent. */
struct gnt_drawn {
    struct gnt_slice topic; /* "$queue/NAME", as who receives it has called the queue */
    uint32_t failed;        /* deliveries before this one */
    /* Of a dead letter: why, and from which queue it came; else empty. */
    struct gnt_slice reason, description, source;
};

struct gnt_delivery {
    struct gnt_message *message; /* lent: keep it by taking a reference */
    struct gnt_sub_ids ids;      /* lent, too */
    uint16_t id;                 /* packet id, 0 at QoS 0 */
    uint8_t qos;                 /* the lower of the message's and the subscription's */
    bool retain, dup;
    const struct gnt_drawn *drawn; /* NULL: it comes by way of its topic */
};

#endif
