/* The sections of a message [AMQP 3.2].
 *
 * Splitting a message looks at the frame of each section and at nothing inside; all slices borrow
 * from the message.  A section's slice is all of it, descriptor and value, so that it can be passed
 * on as it is: the header and the properties decode by performative.h, the others by
 * gnt_amqp_section. */
#ifndef GNT_AMQP_CODEC_MESSAGE_H
#define GNT_AMQP_CODEC_MESSAGE_H

#include "amqp/codec/performative.h"

struct gnt_amqp_message {
    struct gnt_slice header; /* each empty if it is not there */
    struct gnt_slice delivery_annotations;
    struct gnt_slice message_annotations;
    struct gnt_slice properties;
    struct gnt_slice application_properties;
    struct gnt_slice body; /* one section or several of the same kind */
    enum gnt_amqp_descriptor
        body_kind; /* GNT_AMQP_DATA, _SEQUENCE, _VALUE; 0 if there is no body */
    uint32_t body_sections;
    struct gnt_slice footer;

    /* What a node passes on unchanged [AMQP 3.2]: from the message annotations to the footer; and
     * of it the bare message, from the properties to the end of the body. */
    struct gnt_slice lasting, bare;
};

/* Splits ENCODED.  GNT_MALFORMED for anything but sections in their order, each at most once (data
 * and sequence: any number of one of them), each a value of its section's type.  A message without
 * a body passes: some clients send it. */
GNT_MUST gnt_err gnt_amqp_message_split(struct gnt_slice encoded, struct gnt_amqp_message *out);

/* Whether all sections of M are good down to their leaves: gnt_amqp_valid, header and properties by
 * their tables, annotations with symbols or ulongs as keys [AMQP 3.2.10], application properties
 * with strings as keys and without compounds [AMQP 3.2.5].  Costs O(bytes). */
bool gnt_amqp_message_valid(const struct gnt_amqp_message *m);

/* The value in the first section of SECTION; false and null if that is empty or no section. */
bool gnt_amqp_section(struct gnt_slice section, struct gnt_amqp_value *out);

/* Takes the next section off *body; false, and null, at the end or before one whose inside is
 * broken. */
bool gnt_amqp_next_section(struct gnt_slice *body, struct gnt_amqp_value *out);

/* The value under NAME in a section that is a map; false and null if there is none. */
bool gnt_amqp_lookup(struct gnt_slice section, const char *name, struct gnt_amqp_value *out);

/* ---- Building: sections are put one after the other in their order.  Header and properties are
 * put by gnt_amqp_put_header and gnt_amqp_put_properties.
 *
 *     size_t mark = gnt_amqp_begin_section(&w, GNT_AMQP_MESSAGE_ANNOTATIONS);
 *     gnt_amqp_put_symbol(&w, key), gnt_amqp_put_long(&w, 1);
 *     gnt_amqp_end_map(&w, mark, 2);
 */

/* Begins a section that is a map; ended by gnt_amqp_end_map. */
size_t gnt_amqp_begin_section(struct gnt_amqp_writer *w, enum gnt_amqp_descriptor section);

/* A data section; _head is what stands in front of SIZE bytes that follow. */
void gnt_amqp_put_data(struct gnt_amqp_writer *w, struct gnt_slice data);
void gnt_amqp_put_data_head(struct gnt_amqp_writer *w, size_t size);

#endif
