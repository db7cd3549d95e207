/* The tables of performative.h as data, for the decoder, the encoder and the printer. */
#ifndef GNT_AMQP_CODEC_COMPOSITE_H
#define GNT_AMQP_CODEC_COMPOSITE_H

#include "amqp/codec/performative.h"

enum gnt_amqp_kind {
#define GNT_AMQP_KIND_ENUM(KIND, in_c, type, choices) GNT_AMQP_KIND_##KIND,
    GNT_AMQP_KINDS(GNT_AMQP_KIND_ENUM)
#undef GNT_AMQP_KIND_ENUM
        GNT_AMQP_KIND_COUNT
};

struct gnt_amqp_field {
    const char *name; /* with _ where the standard has - */
    uint32_t absent;  /* the number of an absent field */
    uint16_t offset;  /* in the struct, at whose front is `has` as an array of bool */
    uint8_t kind;     /* enum gnt_amqp_kind */
    bool must;
};

/* What the standard has under one descriptor: a composite with `fields`, or one without, or a
 * section of a message; `symbol` is NULL where it has nothing. */
struct gnt_amqp_row {
    const char *symbol;
    const struct gnt_amqp_field *fields;
    uint16_t size; /* of the struct */
    uint8_t count; /* of the fields */
    bool section;  /* no list of fields is behind the descriptor */
};

/* The row of CODE, NULL if the standard has none. */
const struct gnt_amqp_row *gnt_amqp_row(uint64_t code);

/* Takes a descriptor, with the 00 in front of it, off the front: the ulong, or the code that
 * belongs to the symbol; 0 for another symbol.  Sets in->bad if there is neither. */
uint64_t gnt_amqp_read_descriptor(struct gnt_reader *in);

/* The type that a field of KIND has on the wire, GNT_AMQP_NULL if there are several. */
enum gnt_amqp_type gnt_amqp_kind_type(enum gnt_amqp_kind kind);

#endif
