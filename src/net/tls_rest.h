/* What is left of a connection of TLS 1.3 when its server has shaken hands: two keys, and a little
 * to remember.  OpenSSL's connection, 14 KiB of which 7.5 lie in one piece, can go then. */
#ifndef GNT_NET_TLS_REST_H
#define GNT_NET_TLS_REST_H

#include "base/buf.h"
#include "net/tls.h"
#include "net/tls_records.h"
#include "net/tls_secrets.h"

struct gnt_tls_rest {
    struct gnt_tls_records *records;
    struct gnt_buf in; /* `opened` bytes that are data already, and more records */
    uint32_t opened;
    uint16_t most; /* data in one record, as the client wants it [RFC 6066 4] */
    X509 *peer;    /* its certificate; NULL: none */
    struct gnt_tls_facts facts;
    char text[]; /* of the facts */
};

/* Of SSL, whose handshake is over and has come to SECRETS.
 *   GNT_UNSUPPORTED, GNT_NOMEM  OpenSSL has to go on by itself */
GNT_MUST gnt_err gnt_tls_rest_new(SSL *ssl, const struct gnt_tls_secrets *secrets,
                                  struct gnt_tls_rest **rest);
void gnt_tls_rest_free(struct gnt_tls_rest **rest); /* NULL is fine */

/* Fills TO with what comes by INNER, of which it reads once at most.
 *   GNT_MORE    and there is nothing more now; or much has brought nothing, and the next records
 *               wait in `in` until others have had their turn
 *   GNT_CLOSED  the peer's close_notify, behind *n bytes
 *   else        the connection is lost; *alert is what the peer is to be told, 0: nothing, and
 *               *reason OpenSSL's code, 0: none */
GNT_MUST gnt_err gnt_tls_rest_read(struct gnt_tls_rest *r, struct gnt_stream *inner, uint8_t *to,
                                   size_t cap, size_t *n, unsigned long *reason, uint8_t *alert);

struct gnt_tls_facts gnt_tls_facts_of(SSL *ssl);

#endif
