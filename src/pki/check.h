/* Whether a certificate would be accepted, and if not, in words why.  Any thread; no state. */
#ifndef GNT_PKI_CHECK_H
#define GNT_PKI_CHECK_H

#include "pki/why.h"

#include <openssl/x509.h>
#include <stdbool.h>

enum gnt_check_use { GNT_CHECK_ANY, GNT_CHECK_SERVER, GNT_CHECK_CLIENT };

struct gnt_check {
    X509 *certificate;
    STACK_OF(X509) * chain;    /* what comes along with it; NULL: nothing */
    STACK_OF(X509) * cas;      /* whom one trusts */
    STACK_OF(X509_CRL) * crls; /* NULL: revocation is not looked at; else the list of each CA is
                                * needed */
    enum gnt_check_use use;
    const char *host; /* that it has to be for: a name or an address; NULL: any */
    int64_t now;      /* seconds since 1970 */
    bool itself;      /* there is nobody to trust: only time, use and host are looked at */
};

/* *verdict is X509_V_OK or another of OpenSSL's X509_V_ values, about the certificate at DEPTH, 0
 * being the one itself.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_check(const struct gnt_check *check, int *verdict, int *depth);

/* The verdict in a few words: "expired", "wrong CA", "revoked", "self-signed", ... */
const char *gnt_check_words(int verdict);

#endif
