/* What a server's handshake of TLS 1.3 comes to: the secrets of both directions, as OpenSSL tells
 * them, for who goes on without it (net/tls_records.h).
 *
 * A connection of OpenSSL's holds 14 KiB for as long as it lives, 7.5 of them in one piece; what
 * there is to do after the handshake takes a few hundred bytes. */
#ifndef GNT_NET_TLS_SECRETS_H
#define GNT_NET_TLS_SECRETS_H

#include "net/tls_records.h"

#include <openssl/ssl.h>

/* Filled while the handshake goes on, complete when it is over; then `out` counts the records that
 * have been written under its key already, which are session tickets. */
struct gnt_tls_secrets {
    struct gnt_tls_secret in, out;
};

/* Of the connections of CONTEXT those that are attached are watched. */
void gnt_tls_secrets_watch(SSL_CTX *context);

/* TO is filled, until it is detached; it is wiped by whoever owns it. */
GNT_MUST gnt_err gnt_tls_secrets_attach(SSL *ssl, struct gnt_tls_secrets *to);
void gnt_tls_secrets_detach(SSL *ssl);

#endif
