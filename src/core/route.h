/* From a topic name to the sinks of this home and to the other homes that have some.
 *
 * A message for sinks elsewhere is mailed once to each home, which looks up its own; so a fan-out
 * is shared out among the workers, and mail stays small.  A home remembers what it found for a
 * topic as long as the topic tree's generation stands. */
#ifndef GNT_CORE_ROUTE_H
#define GNT_CORE_ROUTE_H

#include "base/hash.h"
#include "core/tree.h"
#include "model/outcome.h"
#include "model/sub_ids.h"

struct gnt_home;

/* What one sink's matching subscriptions come to: several that overlap are one delivery with the
 * highest QoS and all identifiers [MQTT5 3.3.4]. */
struct gnt_match {
    uint8_t qos;
    bool retain_as_published;
    struct gnt_sub_ids ids; /* lent */
};

struct gnt_routes {
    struct gnt_map by_topic;
    uint64_t generation; /* of the tree, when these were found */
    size_t cost;         /* about how many bytes they take */
};

void gnt_routes_fini(struct gnt_routes *r);

/* Retains MESSAGE if it says so, and hands it to every sink that matches, here and elsewhere.
 * MESSAGE is lent.
 *   GNT_DONE, GNT_DONE_NO_MATCH
 *   GNT_FAILED  out of memory before the message was safe with everyone; it may have reached some
 */
enum gnt_outcome gnt_publish(struct gnt_home *home, struct gnt_message *message);

#endif
