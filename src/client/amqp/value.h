/* gnatter/amqp_types.h's values as those of amqp/codec, and back.  Any thread; no state. */
#ifndef GNT_CLIENT_AMQP_VALUE_H
#define GNT_CLIENT_AMQP_VALUE_H

#include "amqp/codec/performative.h"
#include "base/buf.h"

#include <gnatter/amqp_types.h>

static inline struct gnt_slice gnt_slice_of(struct gnatter_bytes bytes)
{
    return gnt_slice(bytes.data, bytes.size);
}

static inline struct gnatter_bytes gnt_bytes_of(struct gnt_slice slice)
{
    return (struct gnatter_bytes){slice.data, slice.size};
}

/* Borrows from V.  GNT_INVALID: a number that is over its type's range. */
GNT_MUST gnt_err gnt_value_in(const struct gnatter_amqp_value *v, struct gnt_amqp_value *out);

/* Borrows from V. */
struct gnatter_amqp_value gnt_value_out(const struct gnt_amqp_value *v);

/* Appends V as it is on the wire.  GNT_INVALID: it is none, as gnt_amqp_valid has it; GNT_NOMEM. In
 * both cases OUT is as it was. */
GNT_MUST gnt_err gnt_value_encode(const struct gnatter_amqp_value *v, struct gnt_buf *out);

/* Appends what PUT puts, which is called twice: to count and to write.  GNT_NOMEM, GNT_TOOBIG. */
GNT_MUST gnt_err gnt_put_into(struct gnt_buf *out,
                              void (*put)(struct gnt_amqp_writer *w, const void *context),
                              const void *context);

#endif
