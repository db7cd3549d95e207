/* AMQP values as text, for where MQTT has nothing but text (docs/mapping.md). */
#ifndef GNT_MAPPING_TEXT_H
#define GNT_MAPPING_TEXT_H

#include "amqp/codec/value.h"
#include "mapping/arena.h"

/* *out is within the value's bytes or A's.  GNT_UNSUPPORTED: a compound or a described value has no
 * text.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_mapping_text(struct gnt_arena *a, const struct gnt_amqp_value *value,
                                  struct gnt_slice *out);

#endif
