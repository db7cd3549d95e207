/* Outcomes of deliveries [AMQP 3.4], in the words of core/queue.h. */
#ifndef GNT_FRONT_AMQP_DELIVERY_H
#define GNT_FRONT_AMQP_DELIVERY_H

#include "amqp/codec/performative.h"
#include "base/buf.h"
#include "core/queue.h"

/* What STATE, which a receiver has told of its delivery of MESSAGE, with ANNOTATIONS instead of its
 * own if there are any (a section), comes to: outcome and what goes with it, in *settling,
 * borrowing from STATE and SCRATCH, which is used.
 *   GNT_MORE         it is no outcome: null, or one on the way to one
 *   GNT_UNSUPPORTED  of a transaction
 *   GNT_MALFORMED    not a state of AMQP 1.0
 *   GNT_NOMEM, GNT_TOOBIG */
GNT_MUST gnt_err gnt_delivery_outcome(const struct gnt_amqp_value *state,
                                      const struct gnt_message *message,
                                      struct gnt_slice annotations, struct gnt_buf *scratch,
                                      struct gnt_settling *settling);

/* What a receiver that has told STATE, an outcome, is told when it holds: the same, or of a long
 * one, which a single frame may tell of very many deliveries, only which it is. */
struct gnt_slice gnt_delivery_echo(const struct gnt_amqp_value *state);

/* What becomes of what its receiver does not decide about, by the default outcome of a source
 * (null: none, which is `released`).  Annotations of `modified` and the error of `rejected` do not
 * count.
 */
void gnt_delivery_default(const struct gnt_amqp_value *outcome, struct gnt_settling *settling);

#endif
