/* Records of TLS 1.3 [RFC 8446 5] under the keys that a handshake has agreed on, for who goes on
 * without what made the handshake.  What is left to do then is small: data, the end (close_notify),
 * new keys (KeyUpdate).  Whatever else comes is wrong.
 *
 * The ciphers themselves are OpenSSL's.  Each thread has one context of each, which is given the
 * keys anew for every record; a connection has its keys and nothing else.
 *
 * Ownership  gnt_tls_records_new to gnt_tls_records_free, which wipes the keys.
 * Threads    one at a time, and any: nothing of it belongs to a thread. */
#ifndef GNT_NET_TLS_RECORDS_H
#define GNT_NET_TLS_RECORDS_H

#include "base/err.h"
#include "base/slice.h"

enum {
    GNT_TLS_SECRET_MAX = 48, /* bytes */
    GNT_TLS_PLAIN_MAX = 1 << 14,
    GNT_TLS_RECORD_MAX = 5 + GNT_TLS_PLAIN_MAX + 256,                     /* that may come */
    GNT_TLS_SEALED_MAX = 5 + GNT_TLS_PLAIN_MAX + 1 + 16 + 5 + 5 + 1 + 16, /* that _seal makes */
};

enum gnt_tls_content { GNT_TLS_ALERT = 21, GNT_TLS_HANDSHAKE = 22, GNT_TLS_DATA = 23 };

struct gnt_tls_records;

/* Where one direction stands. */
struct gnt_tls_secret {
    uint8_t size; /* 0: there is none yet */
    uint8_t bytes[GNT_TLS_SECRET_MAX];
    uint64_t records; /* under its key so far */
};

/* SUITE as on the wire.
 *   GNT_UNSUPPORTED  it is none of AES-GCM and ChaCha20-Poly1305, or the secrets do not fit it
 *   GNT_NOMEM */
GNT_MUST gnt_err gnt_tls_records_new(uint16_t suite, const struct gnt_tls_secret *in,
                                     const struct gnt_tls_secret *out,
                                     struct gnt_tls_records **records);
void gnt_tls_records_free(struct gnt_tls_records **r); /* NULL is fine */

/* Whether a whole record is at the front of IN, or so much of a bad one that _open will say so. */
bool gnt_tls_records_whole(struct gnt_slice in);

/* Takes one record off the front of BYTES, which it overwrites: *used bytes of them are done with,
 * and *data, which lies in them, is what the peer has said; nothing up to 32 times in a row.
 *   GNT_MORE    not a whole one
 *   GNT_CLOSED  the peer's close_notify
 *   else        the connection is lost: gnt_tls_records_why; GNT_NOMEM: the same without a reason
 */
GNT_MUST gnt_err gnt_tls_records_open(struct gnt_tls_records *r, uint8_t *bytes, size_t size,
                                      size_t *used, struct gnt_slice *data);

/* OpenSSL's code for what was wrong; ALERT: what the peer is to be told, 0: nothing. */
unsigned long gnt_tls_records_why(const struct gnt_tls_records *r, uint8_t *alert);

/* CONTENT, 1 to GNT_TLS_PLAIN_MAX bytes, as a record into TO, which has room for
 * GNT_TLS_SEALED_MAX; in front of data a KeyUpdate where one is due.  Returns how much that is, 0:
 * no memory. */
GNT_MUST size_t gnt_tls_records_seal(struct gnt_tls_records *r, enum gnt_tls_content type,
                                     struct gnt_slice content, uint8_t *to);

#endif
