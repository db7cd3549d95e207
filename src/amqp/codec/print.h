/* What is on the wire as text for people: what `gnatter decode amqp` and `--trace` show.
 *
 * One line without a line break at its end.  Numbers are written with their type where a field's
 * table does not say it, strings in "", symbols in '', binary as b"" with \xNN, and nothing in them
 * can move a terminal.  Whatever the bytes are, it is bounded: at most MAX bytes are appended to
 * OUT, and what does not fit ends in "...".  What is malformed is shown as far as it goes, and then
 * said to be so. All return GNT_OK, or GNT_NOMEM with OUT as it was. */
#ifndef GNT_AMQP_CODEC_PRINT_H
#define GNT_AMQP_CODEC_PRINT_H

#include "amqp/codec/frame.h"
#include "base/buf.h"

/* One value, composites by the names of their fields:  {'x-opt-sequence-number': long 5} */
GNT_MUST gnt_err gnt_amqp_print_value(struct gnt_buf *out, size_t max, struct gnt_slice encoded);

/* A frame: channel, performative, and the size of the payload behind it:
 *   0 transfer handle=0 delivery-id=0 delivery-tag=b"\x00" message-format=0 (payload 113 bytes) */
GNT_MUST gnt_err gnt_amqp_print_frame(struct gnt_buf *out, size_t max,
                                      const struct gnt_amqp_frame *frame);

/* A message, section by section, each with its name:
 *   header durable=true; properties message-id="1" to="q"; data b"hello" */
GNT_MUST gnt_err gnt_amqp_print_message(struct gnt_buf *out, size_t max, struct gnt_slice message);

/* A protocol header:  AMQP 1.0.0, SASL 1.0.0, TLS 1.0.0, or AMQP protocol 7 version 0.9.1 */
GNT_MUST gnt_err gnt_amqp_print_protocol(struct gnt_buf *out, size_t max,
                                         const struct gnt_amqp_protocol *protocol);

#endif
