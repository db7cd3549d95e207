/* Big-endian integers, as keys and values in the store have them: numbers that compare as bytes. */
#ifndef GNT_STORE_BYTES_H
#define GNT_STORE_BYTES_H

#include "base/buf.h"

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

/* The same at the back of TO, where room has been reserved; V in SIZE bytes. */
static inline void gnt_bytes_number(struct gnt_buf *to, uint64_t v, unsigned size)
{
    uint8_t *at = gnt_buf_tail(to);
    for (unsigned i = size; i-- > 0; v >>= 8)
        at[i] = (uint8_t)v;
    gnt_buf_wrote(to, size);
}

static inline void gnt_bytes_slice(struct gnt_buf *to, struct gnt_slice bytes)
{
    gnt_put_bytes(gnt_buf_tail(to), bytes);
    gnt_buf_wrote(to, bytes.size);
}

static inline uint64_t gnt_read_u64(struct gnt_reader *r)
{
    uint64_t high = gnt_read_u32(r);
    return high << 32 | gnt_read_u32(r);
}

#endif
