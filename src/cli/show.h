/* A message of AMQP as gnatter receive and gnatter peek print it.  Any thread; no state. */
#ifndef GNT_CLI_SHOW_H
#define GNT_CLI_SHOW_H

#include "base/buf.h"

#include <gnatter/amqp_types.h>

/* VALUE as JSON: numbers as numbers (NaN and the infinities as text), timestamps as dates, text,
 * symbols and uuids as strings, binary as gnt_json_put_bytes has it, lists and arrays as arrays,
 * maps as objects whose keys are text, described values as the value alone. */
GNT_MUST gnt_err gnt_show_value(struct gnt_buf *out, const struct gnatter_amqp_value *value);

/* All sections in one JSON object. */
GNT_MUST gnt_err gnt_show_json(struct gnt_buf *out, const gnatter_amqp_message *m);

/* The body alone: data and text as they are, what else it may be as JSON. */
GNT_MUST gnt_err gnt_show_body(struct gnt_buf *out, const gnatter_amqp_message *m);

/* A line "name: value" for each field and each entry of a map, as heads of mails have them; without
 * the body. */
GNT_MUST gnt_err gnt_show_head(struct gnt_buf *out, const gnatter_amqp_message *m);

#endif
