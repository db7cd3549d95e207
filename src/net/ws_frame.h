/* WebSocket's frames [RFC 6455 5], cut out of bytes and put around them, by wslay.
 *
 * wslay wants 4 KiB for what it is in the middle of.  Between two frames there is nothing to
 * remember, so it has them from the thread then, and a connection only within a frame.
 *
 * Threads  one at a time; what is within a frame may go to another thread. */
#ifndef GNT_NET_WS_FRAME_H
#define GNT_NET_WS_FRAME_H

#include "base/buf.h"
#include "base/random.h"

#include <sys/uio.h>

enum gnt_ws_opcode {
    GNT_WS_CONTINUATION = 0,
    GNT_WS_TEXT = 1,
    GNT_WS_BINARY = 2,
    GNT_WS_CLOSE = 8,
    GNT_WS_PING = 9,
    GNT_WS_PONG = 10,
};

/* Why a connection is closed [RFC 6455 7.4.1]. */
enum gnt_ws_status {
    GNT_WS_NO_STATUS = 0, /* none is sent */
    GNT_WS_NORMAL = 1000,
    GNT_WS_GOING_AWAY = 1001,
    GNT_WS_PROTOCOL_ERROR = 1002,
    GNT_WS_UNSUPPORTED_DATA = 1003,
    GNT_WS_INVALID_PAYLOAD = 1007,
};

enum {
    GNT_WS_CONTROL_MAX = 125, /* of a control frame's payload */
    GNT_WS_HEAD_MAX = 10,     /* of a header without a mask */
    GNT_WS_MASKED_MAX = 14,   /* and with one */
};

struct gnt_ws_framer;

/* What is to be remembered from one read to the next; zeroed, with `masked` set. */
struct gnt_ws_reader {
    struct gnt_ws_framer *framer; /* NULL between two frames */
    bool masked;                  /* the peer is a client */
    bool message;                 /* a message has begun whose last frame has not come */
};

/* Payload, valid until the next call. */
struct gnt_ws_piece {
    uint8_t opcode; /* BINARY: some of a message; CLOSE, PING, PONG: all of one */
    struct gnt_slice bytes;
};

/* Makes sure that the next read does not run out of memory. */
GNT_MUST gnt_err gnt_ws_reader_ready(struct gnt_ws_reader *r);

/* Takes bytes off the front of *in, which need not stay, up to the next piece.
 *   GNT_OK        *piece filled, call again; a piece may be empty
 *   GNT_MORE      there is none in what was left of *in, which has been taken
 *   GNT_PROTOCOL  the connection is to be closed with *status; not to be called again
 *   GNT_NOMEM     nothing taken */
GNT_MUST gnt_err gnt_ws_read(struct gnt_ws_reader *r, struct gnt_slice *in,
                             struct gnt_ws_piece *piece, enum gnt_ws_status *status);

void gnt_ws_reader_fini(struct gnt_ws_reader *r);

/* The header of a whole message of SIZE bytes from a server, GNT_WS_HEAD_MAX at most: *n. */
GNT_MUST gnt_err gnt_ws_head(enum gnt_ws_opcode opcode, size_t size, uint8_t *out, size_t *n);

/* Appends a whole message, whose payload are the first SIZE bytes of IOV; masked if MASKS, from
 * which the masks come, is not NULL.  GNT_NOMEM: nothing has changed. */
GNT_MUST gnt_err gnt_ws_put(struct gnt_buf *to, const struct gnt_random *masks,
                            enum gnt_ws_opcode opcode, const struct iovec *iov, size_t size);

#endif
