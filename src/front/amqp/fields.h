/* The fields of a message as filters ask for them (filter/field.h): a gnt_filter_lookup. */
#ifndef GNT_FRONT_AMQP_FIELDS_H
#define GNT_FRONT_AMQP_FIELDS_H

#include "amqp/codec/message.h"
#include "filter/value.h"
#include "model/message.h"

/* One message while it is asked; what it finds borrows from that. */
struct gnt_fields {
    const struct gnt_message *message; /* NULL: it has no fields */
    struct gnt_amqp_message sections;
    struct gnt_amqp_header header;
    struct gnt_amqp_properties properties;
    bool header_read, properties_read;
};

/* MESSAGE in AMQP's words, made if need be and kept with it; what has none has no fields. */
void gnt_fields_init(struct gnt_fields *f, const struct gnt_message *message);

/* gnt_filter_lookup; CONTEXT is a struct gnt_fields. */
bool gnt_fields_find(void *context, const struct gnt_filter_name *name,
                     struct gnt_filter_value *out);

/* As filters see an AMQP value. */
struct gnt_filter_value gnt_fields_value(const struct gnt_amqp_value *value);

#endif
