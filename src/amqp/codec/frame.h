/* The two things that AMQP sends outside of values: the protocol header [AMQP 2.2] and frames
 * [AMQP 2.3]. */
#ifndef GNT_AMQP_CODEC_FRAME_H
#define GNT_AMQP_CODEC_FRAME_H

#include "amqp/codec/put.h"

/* ---- Protocol header: "AMQP" id 1 0 0 */

enum gnt_amqp_protocol_id {
    GNT_AMQP_PROTOCOL_AMQP = 0,
    GNT_AMQP_PROTOCOL_TLS = 2,  /* [AMQP 5.2.1] */
    GNT_AMQP_PROTOCOL_SASL = 3, /* [AMQP 5.3.1] */
};

enum { GNT_AMQP_PROTOCOL_SIZE = 8 };

struct gnt_amqp_protocol {
    uint8_t id; /* enum gnt_amqp_protocol_id, or what else the peer says */
    uint8_t major, minor, revision;
};

/* Looks at the front of IN for a protocol header.
 *   GNT_OK         *out filled; the caller drops GNT_AMQP_PROTOCOL_SIZE bytes.  Whether the version
 * is one to speak is the caller's to say [AMQP 2.2]. GNT_MORE       only the front of one is there.
 *   GNT_MALFORMED  it does not begin with "AMQP"; told by the first byte that shows it. */
GNT_MUST gnt_err gnt_amqp_protocol(struct gnt_slice in, struct gnt_amqp_protocol *out);

/* Version 1.0.0. */
void gnt_amqp_put_protocol(struct gnt_amqp_writer *w, enum gnt_amqp_protocol_id id);

/* ---- Frames */

enum gnt_amqp_frame_type { GNT_AMQP_FRAME_AMQP = 0, GNT_AMQP_FRAME_SASL = 1 };

enum {
    GNT_AMQP_FRAME_HEAD = 8,      /* bytes of the fixed header */
    GNT_AMQP_FRAME_MAX_MIN = 512, /* no max-frame-size is less [AMQP 2.4.1] */
};

struct gnt_amqp_frame {
    uint8_t type;     /* enum gnt_amqp_frame_type */
    uint16_t channel; /* of an AMQP frame; a SASL frame has nothing to say here */
    size_t size;      /* of the whole frame */

    /* The performative and, of a transfer, its payload behind it; an empty body only shows that the
     * peer lives [AMQP 2.4.5].  An extended header has been skipped [AMQP 2.3.1]. */
    struct gnt_slice body;
};

/* Looks at the front of IN for one whole frame.
 *   GNT_OK         *out filled; the caller drops out->size bytes and calls again.
 *   GNT_MORE       IN holds only a part; nothing consumed, call again with more.  out->size is the
 *                  whole frame's if that has come, else 0.
 *   GNT_TOOBIG     the frame would be over MAX bytes; told as soon as the size has come.
 *   GNT_MALFORMED  a size or a data offset that cannot be, a type that AMQP 1.0 does not have.
 * Same bytes, same answer, however the stream is cut.  out->body borrows from IN. */
GNT_MUST gnt_err gnt_amqp_frame(struct gnt_slice in, size_t max, struct gnt_amqp_frame *out);

/* Puts a frame's header; the body is put next, then _end writes the frame's size into it: MARK is
 * what _begin gave, and BEHIND the bytes of a payload that the caller sends right behind the
 * writer's. */
size_t gnt_amqp_begin_frame(struct gnt_amqp_writer *w, enum gnt_amqp_frame_type type,
                            uint16_t channel);
void gnt_amqp_end_frame(struct gnt_amqp_writer *w, size_t mark, size_t behind);

#endif
