/* The ledger: nothing is lost in silence.  For each session, each shared group and the broker as a
 * whole, at all times
 *
 *     received = delivered + expired + dropped (by reason) + queued
 *
 * The unit is a delivery: one message for one session, or for one shared group.  What matches no
 * subscription is nobody's delivery.  Delivered means sent at QoS 0, else acknowledged (PUBACK, or
 * PUBREC).  Queued means waiting, or sent and not acknowledged.
 *
 * A session and a group each have a ledger of their own; what they hold is counted from what is
 * there, so that the sum can be checked (gnt_core_audit).  The broker's is in the counters of the
 * homes: GNT_COUNT_DUE and what follows, and GNT_COUNT_QUEUED.  Each delivery is counted in once,
 * at the home that it first comes to, and out once, at the home where it ends, which for a shared
 * group may be another; so only the sum over all homes means something.  When a group hands a
 * delivery to a member it is in the group's ledger delivered and in the session's received; a
 * delivery that comes back is taken out of both again.
 *
 * Threads  the home's; gnt_core_audit when no home runs. */
#ifndef GNT_CORE_LEDGER_H
#define GNT_CORE_LEDGER_H

#include "core/home.h"
#include "model/message.h"

struct gnt_ledger {
    uint64_t row[GNT_LEDGER_ROWS]; /* by enum gnt_counter, less GNT_LEDGER_FIRST */
};

static inline void gnt_ledger_add(struct gnt_ledger *l, enum gnt_counter row, int64_t n)
{
    l->row[row - GNT_LEDGER_FIRST] += (uint64_t)n;
}

static inline uint64_t gnt_ledger_row(const struct gnt_ledger *l, enum gnt_counter row)
{
    return l->row[row - GNT_LEDGER_FIRST];
}

/* A delivery of MESSAGE begins: it is queued, here or on its way to where it ends. */
static inline void gnt_ledger_in(struct gnt_home *home, struct gnt_ledger *l,
                                 const struct gnt_message *message)
{
    gnt_ledger_add(l, GNT_COUNT_DUE, 1);
    gnt_count(&home->counters, GNT_COUNT_DUE, 1);
    gnt_count(&home->counters, GNT_COUNT_QUEUED, 1);
    gnt_count(&home->counters, GNT_COUNT_QUEUED_BYTES, (int64_t)message->payload.size);
}

/* COUNT of them, of SIZE bytes together, end HOW.  L is NULL where the one that held them is gone.
 */
static inline void gnt_ledger_out_many(struct gnt_home *home, struct gnt_ledger *l,
                                       enum gnt_counter how, uint64_t count, uint64_t size)
{
    if (l)
        gnt_ledger_add(l, how, (int64_t)count);
    gnt_count(&home->counters, how, (int64_t)count);
    gnt_count(&home->counters, GNT_COUNT_QUEUED, -(int64_t)count);
    gnt_count(&home->counters, GNT_COUNT_QUEUED_BYTES, -(int64_t)size);
}

/* One does. */
static inline void gnt_ledger_out_size(struct gnt_home *home, struct gnt_ledger *l,
                                       enum gnt_counter how, uint64_t size)
{
    gnt_ledger_out_many(home, l, how, 1, size);
}

static inline void gnt_ledger_out(struct gnt_home *home, struct gnt_ledger *l, enum gnt_counter how,
                                  const struct gnt_message *message)
{
    gnt_ledger_out_size(home, l, how, message->payload.size);
}

/* COUNT deliveries of an earlier process are there; their bytes are counted when they are read. */
static inline void gnt_ledger_recover(struct gnt_home *home, struct gnt_ledger *l, uint64_t count)
{
    gnt_ledger_add(l, GNT_COUNT_DUE, (int64_t)count);
    gnt_count(&home->counters, GNT_COUNT_DUE, (int64_t)count);
    gnt_count(&home->counters, GNT_COUNT_QUEUED, (int64_t)count);
}

/* Both at once, for what is never kept.  L is NULL for what found no session or group. */
static inline void gnt_ledger_pass(struct gnt_home *home, struct gnt_ledger *l,
                                   enum gnt_counter how)
{
    if (l) {
        gnt_ledger_add(l, GNT_COUNT_DUE, 1);
        gnt_ledger_add(l, how, 1);
    }
    gnt_count(&home->counters, GNT_COUNT_DUE, 1);
    gnt_count(&home->counters, how, 1);
}

/* What came in and has not gone out. */
static inline uint64_t gnt_ledger_queued(const struct gnt_ledger *l)
{
    uint64_t queued = l->row[0];
    for (int i = 1; i < GNT_LEDGER_ROWS; i++)
        queued -= l->row[i];
    return queued;
}

/* One session's, or shared group's, or queue's. */
struct gnt_account {
    struct gnt_slice client_id;      /* of a session; else empty */
    struct gnt_slice queue;          /* the name of a queue; else empty */
    struct gnt_slice group, filter;  /* of "$share/GROUP/FILTER" */
    const struct gnt_ledger *ledger; /* NULL: nothing has ever come for it */
    uint64_t queued;                 /* as it is found */
};

/* The account that follows place *at of HOME, which is 0 at the beginning; it holds until something
 * else happens there.  False: that was the last one. */
bool gnt_account_next(struct gnt_home *home, uint32_t *at, struct gnt_account *out);

struct gnt_audit {
    struct gnt_ledger sum; /* of the homes */
    uint64_t queued;       /* as they have counted it */
    uint64_t kept;         /* as it was found, in all sessions and groups */
    size_t wrong;          /* sessions and groups whose own ledgers do not add up */
};

struct gnt_core;

/* Looks at everything; true if all sums are right.  Only while no home runs and no mail is under
 * way. */
bool gnt_core_audit(const struct gnt_core *core, struct gnt_audit *audit);

#endif
