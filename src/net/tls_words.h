/* What OpenSSL's reasons mean.  Any thread; no state. */
#ifndef GNT_NET_TLS_WORDS_H
#define GNT_NET_TLS_WORDS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* REASON is of ERR_peek_error. */
gnt_err gnt_tls_meaning(unsigned long reason);

/* VERDICT is about the certificate of the peer, which is the client if SERVER. */
void gnt_tls_say(unsigned long reason, long verdict, bool server, char *out, size_t cap);

#endif
