/* What OpenSSL's reasons mean.  Any thread; no state. */
#ifndef GNT_NET_TLS_WORDS_H
#define GNT_NET_TLS_WORDS_H

#include "net/tls.h"

/* REASON is of ERR_peek_error. */
gnt_err gnt_tls_meaning(unsigned long reason);

/* A connection that has failed for REASON, which is not 0. */
struct gnt_tls_trouble {
    SSL *ssl; /* NULL: gone, which a server may let it when the handshake is over */
    unsigned long reason;
    bool server;   /* it is ours */
    uint8_t first; /* byte that the peer has sent */
    bool open;     /* the handshake was over */
};
void gnt_tls_say(const struct gnt_tls_trouble *trouble, char out[GNT_TLS_WORDS_MAX]);

/* Whether the next attempt would meet the same. */
bool gnt_tls_lasts(const struct gnt_tls_trouble *trouble);

#endif
