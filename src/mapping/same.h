/* Whether two AMQP values say the same, however they are encoded. */
#ifndef GNT_MAPPING_SAME_H
#define GNT_MAPPING_SAME_H

#include "amqp/codec/message.h"

/* Both are good down to their leaves (gnt_amqp_valid), which bounds the nesting.  Floats are the
 * same if their bits are; maps, if their pairs are, in their order. */
bool gnt_mapping_same(const struct gnt_amqp_value *a, const struct gnt_amqp_value *b);

/* The same of two sections of a message; one that is not there is an empty map or list. */
bool gnt_mapping_same_section(struct gnt_slice a, struct gnt_slice b);

#endif
