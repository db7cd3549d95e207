/* The opening handshake of WebSocket [RFC 6455 4]: what both sides compute, and the client's part
 * of it over a stream.  The server's is front/http's. */
#ifndef GNT_NET_WS_OPENING_H
#define GNT_NET_WS_OPENING_H

#include "net/http_head.h"
#include "net/stream.h"
#include "net/websocket.h"

enum { GNT_WS_KEY_SIZE = 24, GNT_WS_ACCEPT_SIZE = 28, GNT_WS_WORDS_MAX = 160 };

/* Whether KEY is what a client may send: 16 bytes in base64. */
bool gnt_ws_key_valid(struct gnt_slice key);

/* What a server answers to KEY; OUT gets a zero byte, too. */
GNT_MUST gnt_err gnt_ws_accept(struct gnt_slice key, char out[GNT_WS_ACCEPT_SIZE + 1]);

struct gnt_ws_opening {
    struct gnt_buf request; /* what is still to be written */
    struct gnt_http_head answer;
    char accept[GNT_WS_ACCEPT_SIZE + 1]; /* that the server has to answer */
    char protocol[32];
    char words[GNT_WS_WORDS_MAX];
};

GNT_MUST gnt_err gnt_ws_opening_new(const struct gnt_websocket_request *request,
                                    struct gnt_ws_opening **out);
void gnt_ws_opening_free(struct gnt_ws_opening **o);

/* Goes on over STREAM.  GNT_MORE: *want says what has to become possible first.  GNT_OK: it is
 * open, and what has come behind the answer is gnt_http_head_rest(&o->answer).  Else it has failed:
 * see gnt_websocket_connect. */
GNT_MUST gnt_err gnt_ws_opening_step(struct gnt_ws_opening *o, struct gnt_stream *stream,
                                     uint8_t *want);

#endif
