/* One message on its way to one receiver, with what is particular to that receiver. */
#ifndef GNT_MODEL_DELIVERY_H
#define GNT_MODEL_DELIVERY_H

#include "model/message.h"
#include "model/sub_ids.h"

struct gnt_delivery {
    struct gnt_message *message; /* lent: keep it by taking a reference */
    struct gnt_sub_ids ids;      /* lent, too */
    uint16_t id;                 /* packet id, 0 at QoS 0 */
    uint8_t qos;                 /* the lower of the message's and the subscription's */
    bool retain, dup;
};

#endif
