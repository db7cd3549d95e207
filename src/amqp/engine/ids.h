/* The unsettled deliveries of a session in one direction by their ids, which only rise.
 *
 * A ring of ids in order; a delivery that is settled leaves its place empty until it is the first,
 * or until the ring is made denser because it is full and half of it is empty.  So an id is found
 * at once where ids follow one another, else in O(log n), and a range costs what is in it, however
 * wide it is [AMQP 2.7.6].  Ids are compared by their distance from the first (RFC 1982). */
#ifndef GNT_AMQP_ENGINE_IDS_H
#define GNT_AMQP_ENGINE_IDS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct gnt_amqp_delivery;

struct gnt_amqp_id {
    struct gnt_amqp_delivery *delivery; /* NULL: it has been settled */
    uint32_t id;
};

struct gnt_amqp_ids {
    struct gnt_amqp_id *ring; /* NULL while it has no place */
    uint32_t head, count;     /* places in use, settled ones in between included */
    uint32_t live;            /* deliveries in them */
    uint32_t mask;            /* places - 1, a power of two less one */
};

void gnt_amqp_ids_fini(struct gnt_amqp_ids *ids);

/* Gives memory back if there is no delivery. */
void gnt_amqp_ids_idle(struct gnt_amqp_ids *ids);

/* Whether ID is behind all that are in it. */
bool gnt_amqp_ids_behind(const struct gnt_amqp_ids *ids, uint32_t id);

/* Makes room for one more. */
GNT_MUST gnt_err gnt_amqp_ids_reserve(struct gnt_amqp_ids *ids);

/* There is room, and ID is behind all others. */
void gnt_amqp_ids_add(struct gnt_amqp_ids *ids, uint32_t id, struct gnt_amqp_delivery *delivery);

/* It must be there. */
void gnt_amqp_ids_remove(struct gnt_amqp_ids *ids, uint32_t id);

/* The first delivery with an id from FIRST to LAST; NULL: none. */
struct gnt_amqp_delivery *gnt_amqp_ids_next(const struct gnt_amqp_ids *ids, uint32_t first,
                                            uint32_t last);

#endif
