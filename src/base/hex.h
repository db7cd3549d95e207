/* Bytes as hex digits, for people and for texts that programs read.  No state; any thread. */
#ifndef GNT_BASE_HEX_H
#define GNT_BASE_HEX_H

#include "base/slice.h"

/* Two lower-case digits for each byte and a zero byte: 2 * bytes.size + 1 in OUT.  Returns how many
 * without that. */
size_t gnt_hex_text(struct gnt_slice bytes, char *out);

/* A UUID's usual form, 8-4-4-4-12 digits [RFC 9562 4]; with a zero byte. */
enum { GNT_UUID_BYTES = 16, GNT_UUID_TEXT = 37 };
size_t gnt_uuid_text(const uint8_t uuid[GNT_UUID_BYTES], char out[GNT_UUID_TEXT]);

#endif
