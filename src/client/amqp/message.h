/* gnatter/amqp_types.h's messages: the sections of [AMQP 3.2], each encoded. */
#ifndef GNT_CLIENT_AMQP_MESSAGE_H
#define GNT_CLIENT_AMQP_MESSAGE_H

#include "amqp/codec/message.h"
#include "client/amqp/value.h"

/* The size of M on the wire; and all of it to OUT.  What M remembers: its first failure. */
size_t gnt_client_message_size(const gnatter_amqp_message *m);
void gnt_client_message_write(const gnatter_amqp_message *m, uint8_t *out);
gnt_err gnt_client_message_failure(const gnatter_amqp_message *m);

/* A message of BYTES, which it takes: from malloc, and NULL afterwards.  GNT_MALFORMED: it is none
 * down to its leaves; GNT_NOMEM.  In both cases *bytes is the caller's still. */
GNT_MUST gnt_err gnt_client_message_received(uint8_t **bytes, size_t size, uint32_t format,
                                             gnatter_amqp_message **out);

#endif
