/* $SYS/broker/ledger/session, /group and /queue: the ledger of each session, shared group and
 * queue, which each worker publishes for those that live with it.
 *
 *     $SYS/broker/ledger/session/CLIENT     {"received":7,"delivered":4,"queued":1,
 *     $SYS/broker/ledger/group/NAME/FILTER   "dropped":{"queue_full":2}}
 *     $SYS/broker/ledger/queue/NAME
 *
 * Rows that are 0 are left out, and so is who never got anything.  In names '/', '+', '#' and '%'
 * stand as %2F and so on, so that each is one level.  The messages are retained and expire, so that
 * those of sessions that have gone do so too. */
#ifndef GNT_BROKER_ACCOUNTS_H
#define GNT_BROKER_ACCOUNTS_H

#include "base/err.h"

#include <stdint.h>

struct gnt_worker;
struct gnt_accounts;

/* Published each INTERVAL_MS; 0: never. */
GNT_MUST gnt_err gnt_accounts_new(struct gnt_worker *worker, uint64_t interval_ms,
                                  struct gnt_accounts **out);
void gnt_accounts_free(struct gnt_accounts **accounts);

/* On the worker's thread. */
void gnt_accounts_set_interval(struct gnt_accounts *accounts, uint64_t interval_ms);

#endif
