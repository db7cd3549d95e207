/* The topic tree: who is subscribed to what, and what is retained where.
 *
 * One tree for the whole broker.  Subscribers are sink ids, never pointers across threads.
 * Threads    _match, _generation and _retained_count by any registered RCU reader (base/rcu.h)
 * without a lock, all else under the tree's own mutex, held for one change or one slice of a walk.
 * Memory     a level that nothing uses any more is freed after a grace period. */
#ifndef GNT_CORE_TREE_H
#define GNT_CORE_TREE_H

#include "base/err.h"
#include "model/message.h"

struct gnt_tree;

/* A sink's name across threads: the home it lives at, its slot there, and the slot's generation, so
 * that a late message for one that is gone does not reach its successor; and whether what it takes
 * at QoS 1 and 2 is kept (core/keep.h).  0 is no sink. */
#define GNT_SINK_KEPT (UINT64_C(1) << 63)

static inline uint64_t gnt_sink_id(unsigned home, uint32_t slot, uint32_t generation)
{
    return (uint64_t)(home & 0x7f) << 56 | (uint64_t)(slot & 0xfffffff) << 28 |
           (generation & 0xfffffff);
}

static inline unsigned gnt_sink_home(uint64_t id)
{
    return (unsigned)(id >> 56) & 0x7f;
}

static inline uint32_t gnt_sink_slot(uint64_t id)
{
    return (uint32_t)(id >> 28) & 0xfffffff;
}

static inline uint32_t gnt_sink_generation(uint64_t id)
{
    return (uint32_t)id & 0xfffffff;
}

/* What a subscription asks for; fits into one word, so that a change is one atomic store. */
struct gnt_sub_options {
    uint32_t id; /* subscription identifier, 0: none; at most 0xfffffff */
    uint8_t qos; /* 0 to 2: the most it wants */
    bool no_local;
    bool retain_as_published;
};

uint32_t gnt_tree_options_pack(const struct gnt_sub_options *options);
struct gnt_sub_options gnt_tree_options_unpack(uint32_t word);

GNT_MUST gnt_err gnt_tree_new(struct gnt_tree **out);
void gnt_tree_free(struct gnt_tree **tree); /* no readers are left */

/* A subscription's place in the tree; stays valid until it is unsubscribed. */
struct gnt_tree_node;

/* How much one topic name may find to do.  Filters of many levels that have `+` here and a name
 * there multiply each other: all of {a,+}/{a,+}/... of N levels are 2^N nodes, and a name may lead
 * to all of them without matching any.  So the most that one name can lead to is kept at hand, and
 * a filter that would make it more than REACH_MAX is refused.  Not concerned are filters without
 * `+`, and those of up to GNT_TREE_SHORT levels: they cannot do harm.  0, the default: no limit. */
enum { GNT_TREE_SHORT = 8 };
void gnt_tree_limit(struct gnt_tree *tree, uint32_t reach_max);

/* Subscribes SINK to FILTER (valid, "$share/..." taken off), or changes the options of the
 * subscription that it has.  *existed says which; *node (may be NULL) is the place.  GNT_NOMEM;
 * GNT_FULL: over the limit. */
GNT_MUST gnt_err gnt_tree_subscribe(struct gnt_tree *tree, struct gnt_slice filter, uint64_t sink,
                                    const struct gnt_sub_options *options, bool *existed,
                                    struct gnt_tree_node **node);

/* Ends SINK's subscription at NODE, which it must have; never fails.  NODE may be gone afterwards.
 * A match that runs meanwhile may still tell of it. */
void gnt_tree_unsubscribe(struct gnt_tree *tree, struct gnt_tree_node *node, uint64_t sink);

/* The node of FILTER, NULL if nobody is subscribed to it.  Of use to one of its subscribers only:
 * without a subscription the node may go at any moment. */
struct gnt_tree_node *gnt_tree_find(struct gnt_tree *tree, struct gnt_slice filter);

/* Writes NODE's filter into OUT (GNT_TOPIC_MAX bytes always do) and returns its size; 0 if it does
 * not fit.  By whoever is subscribed there; takes no lock. */
size_t gnt_tree_filter(const struct gnt_tree_node *node, char *out, size_t cap);

/* Rises with every change of any subscription.  What _match found stands as long as the generation
 * that was read before it: a change that the match did not see whole is counted after it. */
uint64_t gnt_tree_generation(const struct gnt_tree *tree);

/* Calls FOUND for each subscription that matches the topic name (a sink once for each of its
 * matching filters, in any order). FOUND must not change the tree.  Cost: with the number of
 * filters that match and of wildcard levels that exist, not with the number of subscriptions;
 * bounded by gnt_tree_limit.  Needs no memory, however many levels. */
void gnt_tree_match(const struct gnt_tree *tree, struct gnt_slice topic,
                    void (*found)(void *context, uint64_t sink,
                                  const struct gnt_sub_options *options),
                    void *context);

/* The same for up to GNT_TREE_MANY names at once; FOUND is told which one.  In a large tree most of
 * a match is waiting for memory: here the others go on meanwhile. */
enum { GNT_TREE_MANY = 8 };
void gnt_tree_match_many(const struct gnt_tree *tree, const struct gnt_slice *names, unsigned count,
                         void (*found)(void *context, unsigned name, uint64_t sink,
                                       const struct gnt_sub_options *options),
                         void *context);

/* Whether the tree is so large that this makes a difference. */
bool gnt_tree_large(const struct gnt_tree *tree);

/* ---- Retained messages [MQTT5 3.3.1.3] */

/* MESSAGE (its topic says where; a reference is taken) replaces what was retained; an empty payload
 * removes it.  *change: +1, 0 or -1 retained messages.  GNT_FULL: it would be one more than MAX (0:
 * no limit) of those that have a publisher, which is to say a client. */
GNT_MUST gnt_err gnt_tree_retain(struct gnt_tree *tree, struct gnt_message *message, uint64_t max,
                                 int *change);

/* What is retained for exactly this topic: a reference, or NULL. */
struct gnt_message *gnt_tree_retained_at(struct gnt_tree *tree, struct gnt_slice topic);

uint64_t gnt_tree_retained_count(const struct gnt_tree *tree);

/* A walk over the retained messages that match a filter, in slices, so that nobody waits for a
 * large one.  A zeroed cursor starts; it must be given to _cursor_fini if a walk is left before its
 * end. */
struct gnt_tree_cursor {
    struct gnt_tree_node *at; /* pinned */
    bool started;
};

/* Up to MAX (at least 1) matches, each a reference that is the caller's now.
 *   GNT_OK    *count is over 0: call again; *count is 0: the walk is over.
 *   GNT_MORE  *count is 0, but a call visits a bounded number of levels: call again.
 * Always with the same FILTER.  Messages that change meanwhile are seen in their old or new state;
 * none that stays is missed.  Expired ones are among them until they are swept. */
GNT_MUST gnt_err gnt_tree_retained(struct gnt_tree *tree, struct gnt_slice filter,
                                   struct gnt_tree_cursor *cursor, size_t max,
                                   struct gnt_message **out, size_t *count);
void gnt_tree_cursor_fini(struct gnt_tree *tree, struct gnt_tree_cursor *cursor);

/* Looks at a bounded number of retained messages, going round, and drops those that have expired,
 * at most MAX: they are in OUT, each a reference that is the caller's now.  Returns how many.  To
 * be called now and then. */
size_t gnt_tree_sweep(struct gnt_tree *tree, uint64_t now, struct gnt_message **out, size_t max);

#endif
