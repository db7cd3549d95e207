/* TLS [RFC 8446, RFC 5246] as a stream on a stream, by OpenSSL.
 *
 * The handshake goes on by itself, without the owner, who bounds its time; the stream becomes
 * writable when it is over.  Where it fails, the first read or write says so, and gnt_tls_words in
 * words; the peer is sent an alert.
 *   GNT_DENIED    the peer's certificate is missing or not good enough
 *   GNT_REFUSED   the peer has said no, or the connection below was refused
 *   GNT_PROTOCOL  no version or cipher in common, or what comes is no TLS
 *
 * The end      _finish sends close_notify and then ends the stream below; the peer's close_notify
 *              reads as GNT_CLOSED, and writing may go on.  An end below without one reads as
 *              GNT_IO: it may not be where the peer wanted it.
 * Writing      what one writev takes is gathered into records of 16 KiB, so that small pieces share
 *              one record and one write below.  What has been encrypted counts as written; at most
 *              a record of it waits for the stream below.
 * Memory       OpenSSL's buffers are there while something is in them.  A server's connection of
 * TLS 1.3 has nothing of OpenSSL any more once it is open: half a KiB, and the peer's certificate
 * if it has shown one. */
#ifndef GNT_NET_TLS_H
#define GNT_NET_TLS_H

#include "base/slice.h"
#include "net/stream.h"
#include "net/tls_context.h"

/* The side that CONTEXT says, over *inner, which may still be connecting.  HOST as of
 * gnt_tls_context_begin, copied.  Takes *inner; on failure (GNT_NOMEM) it is left where it was. */
GNT_MUST gnt_err gnt_tls_new(struct gnt_stream **inner, struct gnt_tls_context *context,
                             const char *host, struct gnt_stream **out);

/* Before S, of _new, has seen anything: what its peer has sent already, and was read of the stream
 * below.  Takes what is in EARLY. */
void gnt_tls_came(struct gnt_stream *s, struct gnt_buf *early);

/* The TLS stream that S is, or stands on (as a WebSocket may); NULL: none. */
const struct gnt_stream *gnt_tls_of(const struct gnt_stream *s);

/* S is of _new in all of these. */

/* GNT_OK: the handshake is over.  GNT_MORE: not yet.  Else it has failed, as above. */
GNT_MUST gnt_err gnt_tls_handshake(const struct gnt_stream *s);

enum { GNT_TLS_WORDS_MAX = 512 };

/* Why it has failed, as a phrase: "the server's certificate: expired", "the peer says: unknown CA";
 * "" if nothing is known.  Returns OUT. */
char *gnt_tls_words(const struct gnt_stream *s, char out[GNT_TLS_WORDS_MAX]);

/* Whether the next attempt would meet the same: a certificate is not good enough for one side, or
 * there is nothing in common.  False, too, for one that is not valid yet. */
bool gnt_tls_lasting(const struct gnt_stream *s);

/* Of the peer, and found good; NULL: it has shown none, or the handshake is not over.  Valid as
 * long as S. */
X509 *gnt_tls_peer_certificate(const struct gnt_stream *s);

/* Appends the peer's name by that certificate, as the context's terms have it (net/tls_name.h).
 * GNT_NOTFOUND: no certificate, or no such name in it. */
GNT_MUST gnt_err gnt_tls_peer_name(const struct gnt_stream *s, struct gnt_buf *out);

/* Whether a client that has no such name is nobody, by those terms. */
bool gnt_tls_peer_has_to_be_named(const struct gnt_stream *s);

/* Valid as long as S, once the handshake is over. */
struct gnt_tls_facts {
    const char *version;       /* "TLSv1.3" */
    const char *cipher;        /* OpenSSL's name */
    const char *host;          /* that the client has asked for; NULL: none */
    struct gnt_slice protocol; /* ALPN; empty: none */
    bool resumed;
};
struct gnt_tls_facts gnt_tls_facts(const struct gnt_stream *s);

#endif
