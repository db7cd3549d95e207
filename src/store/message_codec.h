/* A message as bytes and back, as the journal and the ground keep it.
 *
 *   version    u8, GNT_MESSAGE_CODEC_VERSION
 *   flags      u8: QoS in bits 0 and 1, retain in bit 2, "it expires" in bit 3, the others 0
 *   format     u8, enum gnt_extras_format
 *   expires    u64, store time in ms; only if it expires
 *   topic size, extras size   u32 each
 *   topic, extras, payload    to the end of the bytes
 *
 * All integers are big-endian.  What means something to one process only, the publisher, is not
 * kept and comes back as 0.  Whoever keeps the bytes knows how many they are, and checks that they
 * are what was written: there is no checksum here. */
#ifndef GNT_STORE_MESSAGE_CODEC_H
#define GNT_STORE_MESSAGE_CODEC_H

#include "base/buf.h"
#include "model/message.h"
#include "store/store_time.h"

enum { GNT_MESSAGE_CODEC_VERSION = 1 };

/* So many bytes _encode puts. */
size_t gnt_message_encoded_size(const struct gnt_message *m);

/* Appends M to TO.  GNT_TOOBIG: topic or extras do not fit in a size; GNT_NOMEM.  On failure TO
 * holds what it held. */
GNT_MUST gnt_err gnt_message_encode(const struct gnt_message *m, const struct gnt_store_time *time,
                                    struct gnt_buf *to);

/* The message that all of BYTES are; *out has one reference, and copies.  GNT_UNSUPPORTED: written
 * by a newer version; GNT_MALFORMED: no message; GNT_NOMEM.  Takes no more memory than BYTES. */
GNT_MUST gnt_err gnt_message_decode(struct gnt_slice bytes, const struct gnt_store_time *time,
                                    struct gnt_message **out);

#endif
