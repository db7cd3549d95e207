/* gnatter/tls.h's callbacks as those of net/tls_context.h.  Any thread; no state. */
#ifndef GNT_CALLBACK_TLS_H
#define GNT_CALLBACK_TLS_H

#include "net/tls_context.h"

#include <gnatter/tls.h>

struct gnt_callback_tls {
    gnatter_tls_judge *judge;
    gnatter_tls_choose *choose;
    void *context; /* of both */
};

/* CERTIFICATE as a program sees it: lent until it is forgotten.  False: no memory, and *out is
 * nothing. */
bool gnt_callback_certificate(X509 *certificate, struct gnatter_certificate *out);
void gnt_callback_certificate_forget(struct gnatter_certificate *c);

/* Asks the judge about what gnt_tls_judge gets; HOST is whom the client means, NULL: it is one.
 * False, too, where there is no memory for asking. */
bool gnt_callback_judge(const struct gnt_callback_tls *to, const char *host, X509 *certificate,
                        STACK_OF(X509) * chain, int verdict, int depth);

/* Asks for what gnt_tls_choose has to give, and loads it.  GNT_NOTFOUND: nothing was chosen; else
 * the errors of gnt_identity_load but for that, with WHY. */
GNT_MUST gnt_err gnt_callback_choose(const struct gnt_callback_tls *to, const char *host,
                                     const STACK_OF(X509_NAME) * issuers, struct gnt_identity *out,
                                     struct gnt_pki_why *why);

/* FROM as what gnt_identity_load takes, whenever it is valid; false: it is nobody. */
bool gnt_callback_identity(const struct gnatter_tls_identity *from, struct gnt_identity_source *to);

#endif
