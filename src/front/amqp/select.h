/* Filters of sources [AMQP 3.5.8], compiled: which messages a consumer of a queue takes.
 *
 *     apache.org:selector-filter:string        a selector, of which filter/field.h has the names
 *     amqp:properties-filter                   [AMQP Filter Expressions 4.2.4]
 *     amqp:application-properties-filter       [AMQP Filter Expressions 4.2.5]
 *     apache.org:no-local-filter:list          nothing that the same connection has sent
 *
 * What is not known here is not in force, and not told as if it were. */
#ifndef GNT_FRONT_AMQP_SELECT_H
#define GNT_FRONT_AMQP_SELECT_H

#include "amqp/codec/performative.h"
#include "base/buf.h"
#include "core/queue.h"

enum { GNT_SELECT_WHY = 160 };

/* Of SET, the map of a source of the connection that publishes as OWN; null: none.  *out: yours,
 * NULL if nothing is in force; IN_FORCE: the map of those that are, appended.  GNT_INVALID: WHY
 * says what is wrong.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_select_new(const struct gnt_amqp_value *set, uint64_t own,
                                struct gnt_buf *in_force, struct gnt_consumer_filter **out,
                                char why[GNT_SELECT_WHY]);

#endif
