/* The sinks of one home, by slot: an id from another thread or from an old route finds its sink, or
 * finds that it is gone.  One thread. */
#ifndef GNT_CORE_SLOTS_H
#define GNT_CORE_SLOTS_H

#include "core/tree.h"

struct gnt_account;
struct gnt_match;
struct gnt_receipt;
struct gnt_sink;

/* A member's answer to the offer of a shared group (core/group.h). */
enum gnt_offer {
    GNT_OFFER_TAKEN,
    GNT_OFFER_BUSY,   /* connected, but its window or output is full */
    GNT_OFFER_AWAY,   /* not connected */
    GNT_OFFER_GONE,   /* no such member any more */
    GNT_OFFER_FAILED, /* no memory to ask */
};

struct gnt_offered {
    struct gnt_message *message; /* lent */
    uint64_t group;
    uint64_t log, sequence; /* where the group keeps it (core/keep.h); 0: it does not */
    uint32_t round;
    struct gnt_sub_options options; /* the member's */
};

/* Whatever a message can be delivered into: a session, a shared group, later queues and hubs. */
struct gnt_sink_ops {
    /* MESSAGE, which is lent, has matched subscriptions of this sink.  RECEIPT (core/receipt.h) may
     * be held; NULL: nobody would wait.  Must not publish. */
    void (*take)(struct gnt_sink *sink, struct gnt_message *message, const struct gnt_match *match,
                 struct gnt_receipt *receipt);
    /* A group offers a message; who turns it down says gnt_group_ready() later, and turns down
     * until then what still comes from this round or an earlier one.  NULL for sinks that cannot be
     * members.  Must not publish. */
    enum gnt_offer (*offer)(struct gnt_sink *sink, const struct gnt_offered *offered);
    /* Fills in its account (core/ledger.h), which borrows from it. */
    void (*account)(struct gnt_sink *sink, struct gnt_account *out);
};

struct gnt_sink {
    const struct gnt_sink_ops *ops;
    uint64_t id; /* 0 while it has no slot */
};

struct gnt_slots {
    struct gnt_slot *slot;
    uint32_t count, cap;
    uint32_t free; /* 1 + the first free slot, 0: none */
};

void gnt_slots_fini(struct gnt_slots *s);

/* Gives SINK an id at home HOME. */
GNT_MUST gnt_err gnt_slots_add(struct gnt_slots *s, unsigned home, struct gnt_sink *sink);
void gnt_slots_remove(struct gnt_slots *s, struct gnt_sink *sink);

/* NULL if the sink with this id (of this home) is gone. */
struct gnt_sink *gnt_slots_find(const struct gnt_slots *s, uint64_t id);

/* The next sink from place *at on, which is moved behind it; NULL at the end.  Whatever is added or
 * removed between the calls, each sink that stays is met once. */
struct gnt_sink *gnt_slots_next(const struct gnt_slots *s, uint32_t *at);

#endif
