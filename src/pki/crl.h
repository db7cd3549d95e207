/* Revocation lists [RFC 5280 5].  Any thread; no state. */
#ifndef GNT_PKI_CRL_H
#define GNT_PKI_CRL_H

#include "pki/index.h"

struct gnt_crl {
    const char *number;  /* hexadecimal; of each list of a CA a greater one */
    int64_t from, until; /* seconds since 1970: it says so itself, and is followed by then */
    const char *digest;  /* as in gnt_issue */
};

/* The list of all that INDEX has as revoked, signed by the CA.  A reason that the index has and RFC
 * 5280 does not know is left out.
 *   GNT_DENIED     ISSUER may not sign lists, or KEY is another's
 *   GNT_MALFORMED  the index has a date or a serial number that is none
 *   GNT_INVALID    the number or the digest is none */
GNT_MUST gnt_err gnt_crl_make(const struct gnt_crl *plan, const struct gnt_index *index,
                              X509 *issuer, EVP_PKEY *key, X509_CRL **out, struct gnt_pki_why *why);

/* NUMBER, hexadecimal, plus one, as `openssl ca` keeps it in its file.  GNT_INVALID: it is none. */
GNT_MUST gnt_err gnt_crl_next(const char *number, char *out, size_t cap);

#endif
