/* Big-endian integers, as keys and records of the ground have them: numbers that compare as bytes.
 */
#ifndef GNT_STORE_BYTES_H
#define GNT_STORE_BYTES_H

#include "base/slice.h"

/* Puts V at AT and returns what is behind it. */
static inline uint8_t *gnt_put_u32(uint8_t *at, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(v >> shift);
    return at;
}

static inline uint8_t *gnt_put_u64(uint8_t *at, uint64_t v)
{
    return gnt_put_u32(gnt_put_u32(at, (uint32_t)(v >> 32)), (uint32_t)v);
}

static inline uint8_t *gnt_put_bytes(uint8_t *at, struct gnt_slice bytes)
{
    if (bytes.size)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static inline uint64_t gnt_read_u64(struct gnt_reader *r)
{
    uint64_t high = gnt_read_u32(r);
    return high << 32 | gnt_read_u32(r);
}

#endif
