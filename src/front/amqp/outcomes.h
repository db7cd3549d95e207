/* What became of deliveries whose sender has not heard it, because its connection had gone: kept by
 * their target while that is suspended, so that who asks for them is not told to send them again
 * [AMQP 2.6.13]. */
#ifndef GNT_FRONT_AMQP_OUTCOMES_H
#define GNT_FRONT_AMQP_OUTCOMES_H

#include "front/amqp/link.h"

struct gnt_outcome_kept {
    struct gnt_list link;
    uint8_t tag_size, tag[GNT_AMQP_TAG_MAX];
    uint16_t state_size;
    uint8_t state[GNT_LINK_STATE_SIZE];
};

/* That of D, which is not known yet; NULL: no memory. */
struct gnt_outcome_kept *gnt_outcome_new(const struct gnt_amqp_delivery *d);

/* It is STATE, of at most GNT_LINK_STATE_SIZE bytes, and LIST's. */
void gnt_outcome_decide(struct gnt_outcome_kept *o, struct gnt_slice state, struct gnt_list *list);

void gnt_outcome_free(struct gnt_outcome_kept *o);
void gnt_outcomes_free(struct gnt_list *list);

/* The answer of P to WANTED, with those of LIST; each is its delivery's context afterwards, and
 * what the peer could not be told of is gone.  As gnt_attach_answer. */
GNT_MUST gnt_err gnt_outcomes_answer(struct gnt_list *list, struct gnt_amqp_peer *p,
                                     struct gnt_wanted *wanted);

/* The sender sends D again, whose outcome O is: it is told. */
GNT_MUST gnt_err gnt_outcome_tell(struct gnt_outcome_kept *o, struct gnt_amqp_delivery *d);

#endif
