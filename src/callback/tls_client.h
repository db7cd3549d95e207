/* TLS by struct gnatter_tls_options: a client's side, and a container's. */
#ifndef GNT_CALLBACK_TLS_CLIENT_H
#define GNT_CALLBACK_TLS_CLIENT_H

#include "net/tls_context.h"

#include <gnatter/tls.h>

/* What does not go together in O, for people; NULL: nothing.  Where ON is false, TLS is not wanted,
 * and so nothing may be said about it. */
const char *gnt_tls_client_mistake(const struct gnatter_tls_options *o, bool on);

/* Reads the files, and makes a context of it all.  JUDGE and CHOOSE stand for O's, and get CONTEXT;
 * NULL where O has none.  Errors as of gnt_identity_load and gnt_tls_context_new. */
GNT_MUST gnt_err gnt_tls_client_context(const struct gnatter_tls_options *o, gnt_tls_judge *judge,
                                        gnt_tls_choose *choose, void *context,
                                        struct gnt_tls_context **out, struct gnt_pki_why *why);

/* The same for a server, ASK being said of it where there is a `ca_file`: of O the identity, CAs,
 * revocation lists, versions, ciphers, suites and `judge` are used. */
GNT_MUST gnt_err gnt_tls_server_context(const struct gnatter_tls_options *o, gnt_tls_judge *judge,
                                        void *context, struct gnt_tls_context **out,
                                        struct gnt_pki_why *why);

#endif
