/* Local transactions [AMQP 4]: a coordinator is the target to which a peer sends what it wants of
 * them.
 *
 *   declare     an id; the transaction lasts until it is discharged, its coordinator's link ends,
 *               or its time is over (limits.transaction_timeout)
 *   post        a transfer whose state names it: the message is held, and told to be accepted
 *               within it; if its outcome cannot be told, because it came settled, a message that
 *               is refused keeps the transaction from being committed
 *   retire      a disposition whose state names it: the outcome has its effect with the commit.
 *               After a roll back the delivery is the receiver's as before, but for one that it has
 *               settled, which is released.  If its link ends before the commit there is none
 *   discharge   commits it (core/transaction.h) or rolls it back; what is retired and not settled
 *               by the receiver is settled then
 *
 * Any number of them may be open on any session, and worked with on all sessions of the connection.
 * One that cannot be committed any more stays until it is discharged, holding nothing, so that what
 * is said of it meanwhile is understood.  What links to topics are sent is no part of any, and
 * flows that acquire for one [AMQP 4.4.3] are like others.
 *
 * Bounds   of the transactions that are open on a connection, and of what is in all of them
 *          together: front->limits. */
#ifndef GNT_FRONT_AMQP_COORDINATOR_H
#define GNT_FRONT_AMQP_COORDINATOR_H

#include "core/transaction.h"
#include "front/amqp/link.h"

struct gnt_txn;

/* The target of WANTED, which is a coordinator; answered.  As gnt_incoming_new. */
GNT_MUST gnt_err gnt_coordinator_new(struct gnt_amqp_peer *p, struct gnt_wanted *wanted,
                                     struct gnt_terminus **out);

enum { GNT_TXN_ID_SIZE = 4, GNT_TXN_STATE_SIZE = 32 };

/* Which transaction STATE, of a delivery, names; 0: none, it is another state.  What it says about
 * the outcome is *outcome (may be NULL): null if nothing. */
uint32_t gnt_txn_said(const struct gnt_amqp_value *state, struct gnt_amqp_value *outcome);

/* NULL: P has none of that id. */
struct gnt_txn *gnt_txn_find(const struct gnt_amqp_peer *p, uint32_t id);

/* The state that says: accepted, within transaction ID. */
struct gnt_slice gnt_txn_accepted(uint32_t id, uint8_t bytes[GNT_TXN_STATE_SIZE]);

/* As those of core/transaction.h.  GNT_FULL besides: over the limits; GNT_STATE: it is to be
 * discharged, or cannot be committed any more. */
GNT_MUST gnt_err gnt_txn_post(struct gnt_txn *txn, uint64_t queue, struct gnt_sending *sending);
GNT_MUST gnt_err gnt_txn_publish(struct gnt_txn *txn, struct gnt_message **message);
GNT_MUST gnt_err gnt_txn_retire(struct gnt_txn *txn, const struct gnt_retiring *retiring,
                                struct gnt_part **out);

/* Something of it failed of which the peer is not told: it cannot be committed. */
void gnt_txn_spoil(struct gnt_txn *txn);

/* A post is about to come, or does not: its discharge waits for that, and so does its memory. */
void gnt_txn_await(struct gnt_txn *txn);
void gnt_txn_awaited(struct gnt_txn *txn);
uint32_t gnt_txn_id(const struct gnt_txn *txn);

#endif
