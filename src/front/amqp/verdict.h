/* What becomes of a message that the peer has sent, and how it is told. */
#ifndef GNT_FRONT_AMQP_VERDICT_H
#define GNT_FRONT_AMQP_VERDICT_H

#include "core/publish.h"
#include "front/amqp/link.h"

/* Neither accepted nor a condition, for which it is rejected: released, to be sent again. */
struct gnt_verdict {
    bool accepted;
    enum gnt_amqp_condition condition; /* NO_CONDITION: none */
    const char *text;
};

extern const struct gnt_verdict gnt_verdict_no_memory;

/* By what is said of it by its queue, its topic, and gnt_txn_post or gnt_txn_publish. */
const struct gnt_verdict *gnt_verdict_of_queue(enum gnt_queue_result result);
const struct gnt_verdict *gnt_verdict_of_topic(enum gnt_outcome outcome);
const struct gnt_verdict *gnt_verdict_of_post(gnt_err err);

/* The delivery state, encoded; maybe in BYTES. */
struct gnt_slice gnt_verdict_state(const struct gnt_verdict *verdict,
                                   uint8_t bytes[GNT_LINK_STATE_SIZE]);

#endif
