/* CRC-32C (Castagnoli, RFC 3720): checksums of what is on disk.
 *
 * Uses the processor's instruction where there is one (SSE 4.2, ARMv8), else tables.  Finds every
 * error of up to 32 bits in a row, and is no protection against whoever wants to deceive.  Any
 * thread. */
#ifndef GNT_BASE_CRC32C_H
#define GNT_BASE_CRC32C_H

#include "base/slice.h"

/* The checksum of what has the checksum BEFORE (0: nothing), followed by BYTES. */
uint32_t gnt_crc32c(uint32_t before, struct gnt_slice bytes);

/* The same by tables on every processor: what the other is tested against. */
uint32_t gnt_crc32c_portable(uint32_t before, struct gnt_slice bytes);

#endif
