/* A WebSocket connection [RFC 6455] as a stream: its bytes are the payload of binary messages,
 * however they are cut into frames, as MQTT wants it [MQTT5 6.0].
 *
 * What one writev takes is one message (up to 256 KiB; from a client 16 KiB), whose payload a
 * server hands on as it is and a client masks into a buffer of its own.  Reading unpacks in place.
 * Pings are answered, the latest of those that came together.  _finish sends Close; the peer's
 * Close, and the end of the stream below without one, read as GNT_CLOSED.  What breaks the protocol
 * reads as GNT_PROTOCOL, and the peer is sent Close with the status that says why.
 *
 * Memory   between two frames only what is behind the handshake and not read yet, and what the
 *          peer does not take of the frames that are the connection's own.  No message is
 *          collected; a header and a control frame (125 bytes) are all that is kept of input. */
#ifndef GNT_NET_WEBSOCKET_H
#define GNT_NET_WEBSOCKET_H

#include "base/random.h"
#include "base/slice.h"
#include "net/stream.h"

/* The server's side, over *inner, on which the handshake is over; EARLY has come behind it.  Takes
 * *inner; on failure (GNT_NOMEM) it is left where it was. */
GNT_MUST gnt_err gnt_websocket_serve(struct gnt_stream **inner, struct gnt_slice early,
                                     struct gnt_stream **out);

/* What a client asks for; copied. */
struct gnt_websocket_request {
    const char *host; /* as it stands in the URL, with the port unless that is the scheme's own */
    const char *path; /* "/mqtt" */
    const char *protocol;
    const struct gnt_random *random; /* of key and masks: gnt_random_system but for tests */
};

/* The client's side, over *inner, which may still be connecting.  The stream becomes writable when
 * the server has agreed.  Where it does not, the first read or write says so: GNT_REFUSED and
 * others of connecting, and that if the server refuses in words, too; GNT_PROTOCOL if its
 * answer is not right.  gnt_websocket_words tells.  As for _serve. */
GNT_MUST gnt_err gnt_websocket_connect(struct gnt_stream **inner,
                                       const struct gnt_websocket_request *request,
                                       struct gnt_stream **out);

/* What is wrong with the server's answer, as a phrase: "the server answers 404 Not Found"; ""
 * if nothing is known.  S is of _connect; valid as long as S. */
const char *gnt_websocket_words(const struct gnt_stream *s);

#endif
