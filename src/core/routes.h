/* From a topic name to the sinks of one home, and to the other homes that have some.
 *
 * A home remembers what it found for a topic as long as the topic tree's generation stands, within
 * bounds.  A topic that comes for the first time in a while is not remembered yet: where every
 * message has a topic of its own, remembering costs more than looking up.  Where there are so many
 * topics that most are looked up all the same, it does not even try for a while.  One thread. */
#ifndef GNT_CORE_ROUTES_H
#define GNT_CORE_ROUTES_H

#include "base/hash.h"
#include "core/tree.h"
#include "model/sub_ids.h"

/* What one sink's matching subscriptions come to: several that overlap are one delivery with the
 * highest QoS and all identifiers [MQTT5 3.3.4]. */
struct gnt_match {
    uint8_t qos;
    bool retain_as_published;
    struct gnt_sub_ids ids; /* the route's */
};

/* One sink of the home. */
struct gnt_target {
    uint64_t sink;
    struct gnt_match match;  /* of all its subscriptions */
    struct gnt_match others; /* of those without "no local": for a message of the sink's own */
    bool echoes;             /* whether there is any without "no local" */
};

/* The sinks at other homes, which look them up again; but where there is only one subscription, its
 * home can be told which. */
struct gnt_elsewhere {
    uint64_t homes;                 /* a bit for each that has some */
    uint64_t sink;                  /* whose subscription it is; 0: there are several, or none */
    struct gnt_sub_options options; /* of that subscription */
};

struct gnt_route {
    struct gnt_map_node node;
    struct gnt_elsewhere elsewhere;
    uint64_t keeps; /* a bit for each home, this one too, with a sink that is kept */
    size_t count;
    struct gnt_target *targets;
    struct gnt_slice topic; /* behind the struct */
};

enum {
    GNT_ROUTES_SEEN = 4096,
    GNT_ROUTES_TRIAL = 1 << 16, /* look-ups after which a home asks whether remembering pays */
    GNT_ROUTES_REST = 1 << 20,  /* look-ups for which it does without, if it does not */
};

struct gnt_found;
struct gnt_ahead;

struct gnt_routes {
    struct gnt_map by_topic;
    uint64_t generation; /* of the tree, when these were found */
    size_t cost;         /* about how many bytes they take */
    uint64_t spared;     /* look-ups, since it was last asked whether remembering pays */
    uint32_t looked_up;
    uint32_t resting; /* look-ups until it tries again; nothing is remembered meanwhile */

    uint32_t seen[GNT_ROUTES_SEEN]; /* of topics that came lately: a part of the hash, by another */
    struct gnt_route once;          /* of a topic that is not remembered */
    size_t once_cap;                /* targets that it has room for */
    struct gnt_found *found;        /* scratch memory of a look-up */
    size_t found_cap;
    bool cold; /* the tree is large, and topics that are looked up are new: look ahead */
    struct gnt_ahead *ahead; /* NULL until something is */
};

void gnt_routes_fini(struct gnt_routes *r);

/* A sink with one subscription. */
struct gnt_target gnt_target_one(uint64_t sink, const struct gnt_sub_options *options);

/* The route of TOPIC for HOME, valid until the next call.  *owned: it could not be remembered, and
 * the caller frees it.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_routes_find(struct gnt_routes *routes, const struct gnt_tree *tree,
                                 unsigned home, struct gnt_slice topic, struct gnt_route **out,
                                 bool *owned);
void gnt_route_free(struct gnt_route *r);

/* Looks up those of up to GNT_TREE_MANY topics that are not remembered, together, which in a large
 * tree is faster (gnt_tree_match_many), and keeps what it found for _find, which has to ask in this
 * order: as long as the tree's generation stands, or until the next call.  It only saves time, so
 * it may leave out any of them: what is long, matched by many or came lately, or all for want of
 * memory.  Of use only while ->cold. */
void gnt_routes_ahead(struct gnt_routes *routes, const struct gnt_tree *tree, unsigned home,
                      const struct gnt_slice *topics, unsigned count);

#endif
