/* AMQP values to bytes, each in its smallest form.
 *
 * A writer puts bytes into memory of the caller's and counts what it puts.  What does not fit is
 * counted and not written, so the same calls over no memory at all say how much is needed:
 *
 *     struct gnt_amqp_writer w = gnt_amqp_writer(NULL, 0);
 *     put(&w);                                     -> w.size is what it takes
 *
 * Ask gnt_amqp_fits() once, after the last call; what fits not is not to be used in any part.  A
 * value that AMQP cannot express (text of 4 GiB and more) makes w.size SIZE_MAX, which never fits.
 */
#ifndef GNT_AMQP_CODEC_PUT_H
#define GNT_AMQP_CODEC_PUT_H

#include "amqp/codec/value.h"

struct gnt_amqp_writer {
    uint8_t *data;
    size_t capacity;
    size_t size; /* of all that was put; may be over capacity */
};

static inline struct gnt_amqp_writer gnt_amqp_writer(void *data, size_t capacity)
{
    return (struct gnt_amqp_writer){.data = (uint8_t *)data, .capacity = capacity};
}

static inline bool gnt_amqp_fits(const struct gnt_amqp_writer *w)
{
    return w->size <= w->capacity;
}

/* All that was put, which fits. */
static inline struct gnt_slice gnt_amqp_written(const struct gnt_amqp_writer *w)
{
    return gnt_slice(w->data, w->size);
}

/* ---- Primitive values */

void gnt_amqp_put_null(struct gnt_amqp_writer *w);
void gnt_amqp_put_boolean(struct gnt_amqp_writer *w, bool truth);
void gnt_amqp_put_ubyte(struct gnt_amqp_writer *w, uint8_t number);
void gnt_amqp_put_ushort(struct gnt_amqp_writer *w, uint16_t number);
void gnt_amqp_put_uint(struct gnt_amqp_writer *w, uint32_t number);
void gnt_amqp_put_ulong(struct gnt_amqp_writer *w, uint64_t number);
void gnt_amqp_put_int(struct gnt_amqp_writer *w, int32_t number);
void gnt_amqp_put_long(struct gnt_amqp_writer *w, int64_t number);
void gnt_amqp_put_timestamp(struct gnt_amqp_writer *w, int64_t unix_ms);
void gnt_amqp_put_uuid(struct gnt_amqp_writer *w, const uint8_t uuid[16]);
void gnt_amqp_put_binary(struct gnt_amqp_writer *w, struct gnt_slice bytes);
void gnt_amqp_put_string(struct gnt_amqp_writer *w, struct gnt_slice utf8);
void gnt_amqp_put_symbol(struct gnt_amqp_writer *w, struct gnt_slice ascii);

/* Any value: as it is encoded, bit for bit, or else in the smallest form of what its members say.
 * The types without a function of their own are written with this one. */
void gnt_amqp_put_value(struct gnt_amqp_writer *w, const struct gnt_amqp_value *value);

/* Bytes as they are: encoded values, a payload. */
void gnt_amqp_put_raw(struct gnt_amqp_writer *w, struct gnt_slice bytes);

/* What stands in front of a described value: 00, and CODE as a ulong.  The value is put next. */
void gnt_amqp_put_descriptor(struct gnt_amqp_writer *w, uint64_t code);

/* What stands in front of SIZE bytes of binary that the caller puts or sends behind them. */
void gnt_amqp_put_binary_head(struct gnt_amqp_writer *w, size_t size);

/* ---- Lists, maps and arrays
 *
 * _begin gives the mark that _end wants; in between the items are put, and other compounds begun
 * and ended.  COUNT is how many they were: keys and values of a map count each.  The head is chosen
 * at the end (an empty list is one byte, under 256 bytes of inside the short form) and what was put
 * is moved up for it if need be. */
size_t gnt_amqp_begin_list(struct gnt_amqp_writer *w);
void gnt_amqp_end_list(struct gnt_amqp_writer *w, size_t mark, uint32_t count);
size_t gnt_amqp_begin_map(struct gnt_amqp_writer *w);
void gnt_amqp_end_map(struct gnt_amqp_writer *w, size_t mark, uint32_t count);

/* The constructor that takes all values of TYPE, for elements of an array; none for DESCRIBED. */
enum gnt_amqp_form gnt_amqp_widest_form(enum gnt_amqp_type type);

/* All elements of an array have one form; each is put by gnt_amqp_put_element with the same FORM,
 * and must be of its type and within its width: the numbers of SMALLUINT are under 256.  For an
 * array of described values, DESCRIPTOR is as struct gnt_amqp_items has it; else it is empty. */
size_t gnt_amqp_begin_array(struct gnt_amqp_writer *w, struct gnt_slice descriptor,
                            enum gnt_amqp_form form);
void gnt_amqp_put_element(struct gnt_amqp_writer *w, enum gnt_amqp_form form,
                          const struct gnt_amqp_value *element);
void gnt_amqp_end_array(struct gnt_amqp_writer *w, size_t mark, uint32_t count);

/* An array of symbols, as "multiple" fields have it; of one, too, since some peers take no less. */
void gnt_amqp_put_symbols(struct gnt_amqp_writer *w, const struct gnt_slice *symbols,
                          uint32_t count);

#endif
