/* What one side of a connection has sent, as text for people: a line for each frame of AMQP or
 * packet of MQTT, and one more for each message of AMQP, however many frames it came in.
 *
 * Ownership  _init to _fini.
 * Bounds     a frame or packet of GNT_DECODER_FRAME_MAX bytes at most; messages that come in parts,
 *            of so many bytes together: what is more is not shown.
 * Threads    one. */
#ifndef GNT_CLI_DECODER_H
#define GNT_CLI_DECODER_H

#include "base/buf.h"
#include "base/list.h"
#include "mqtt/codec/packet.h"

enum { GNT_DECODER_FRAME_MAX = 256 << 20 };

enum gnt_decoder_protocol { GNT_DECODER_AMQP, GNT_DECODER_MQTT };

struct gnt_decoder {
    /* Set by the owner after _init. */
    void (*line)(void *context, struct gnt_slice text); /* without a line break */
    void *context;
    size_t max;                     /* bytes of a line */
    enum gnt_mqtt_version *version; /* of both sides; a CONNECT sets it */
    /* To be read: where the first byte that has not been taken stands, and after a failure why. */
    uint64_t offset;
    char why[128];
    /* private */
    enum gnt_decoder_protocol protocol;
    struct gnt_buf in, text;
    struct gnt_list parts; /* struct part: messages that have come in part */
    size_t held;           /* bytes of them */
};

void gnt_decoder_init(struct gnt_decoder *d, enum gnt_decoder_protocol protocol);
void gnt_decoder_fini(struct gnt_decoder *d);

/* Shows what is whole of all that has been fed.  GNT_MALFORMED, GNT_TOOBIG: `why` says what is
 * wrong at `offset`, and nothing more can be shown.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_decoder_feed(struct gnt_decoder *d, struct gnt_slice bytes);

/* So many bytes at the end are no whole frame or packet. */
static inline size_t gnt_decoder_left(const struct gnt_decoder *d)
{
    return gnt_buf_size(&d->in);
}

#endif
