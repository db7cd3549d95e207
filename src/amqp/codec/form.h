/* Constructors as data, and numbers off bytes, for the readers of this room. */
#ifndef GNT_AMQP_CODEC_FORM_H
#define GNT_AMQP_CODEC_FORM_H

#include "amqp/codec/value.h"

/* The bit that a constructor with a size of four bytes has, and the one of the same type with a
 * size of one byte has not [AMQP 1.2]. */
enum { GNT_AMQP_WIDE = 0x10 };

/* The type of each constructor plus one, 0 where there is none. */
extern const uint8_t gnt_amqp_type_of_form[256];

/* The bytes that a value takes behind its constructor, by the constructor's high digit; of those
 * with a size, the fewest. */
extern const uint8_t gnt_amqp_width_of_form[16];

static inline uint32_t gnt_amqp_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* A number of 0, 1, 2, 4 or 8 bytes. */
static inline uint64_t gnt_amqp_unsigned(const uint8_t *at, unsigned width)
{
    switch (width) {
    case 0: return 0;
    case 1: return *at;
    case 2: return (uint64_t)at[0] << 8 | at[1];
    case 4: return gnt_amqp_u32(at);
    default: return (uint64_t)gnt_amqp_u32(at) << 32 | gnt_amqp_u32(at + 4);
    }
}

/* The size in front of text or items, of one or four bytes as the constructor FORM says. */
static inline size_t gnt_amqp_size_at(const uint8_t *at, uint8_t form)
{
    return form & GNT_AMQP_WIDE ? gnt_amqp_u32(at) : *at;
}

static inline size_t gnt_amqp_size_bytes(uint8_t form)
{
    return form & GNT_AMQP_WIDE ? 4 : 1;
}

#endif
