/* Base64 as RFC 4648, chapter 4, has it: with padding, without line breaks.  Pure functions. */
#ifndef GNT_BASE_BASE64_H
#define GNT_BASE_BASE64_H

#include "base/err.h"
#include "base/slice.h"

/* How many characters SIZE bytes become. */
#define GNT_BASE64_SIZE(size) (((size) + 2) / 3 * 4)

/* Writes GNT_BASE64_SIZE(bytes.size) characters, no zero byte, and returns the end. */
uint8_t *gnt_base64_write(uint8_t *at, struct gnt_slice bytes);

/* *size bytes of TEXT into OUT.  One text for each value: padding has to be there, and bits that
 * mean nothing have to be 0.  GNT_MALFORMED: TEXT is not base64, or comes to more than CAP bytes.
 */
GNT_MUST gnt_err gnt_base64_read(struct gnt_slice text, uint8_t *out, size_t cap, size_t *size);

#endif
