#include "mapping/mapping.h"

static gnt_err twin_of(struct gnt_message *m,
                       gnt_err (*convert)(const struct gnt_message *m, struct gnt_message **out),
                       struct gnt_message **out)
{
    *out = gnt_message_twin(m);
    if (*out)
        return GNT_OK;
    struct gnt_message *made;
    gnt_err err = convert(m, &made);
    if (!err)
        *out = gnt_message_keep_twin(m, &made);
    return err;
}

gnt_err gnt_mapping_as_amqp(struct gnt_message *message, struct gnt_message **out)
{
    *out = message;
    return message->format == GNT_EXTRAS_AMQP ? GNT_OK : twin_of(message, gnt_mapping_to_amqp, out);
}

gnt_err gnt_mapping_as_mqtt(struct gnt_message *message, struct gnt_message **out)
{
    *out = message;
    return message->format != GNT_EXTRAS_AMQP ? GNT_OK : twin_of(message, gnt_mapping_to_mqtt, out);
}
