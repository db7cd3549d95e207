/* Lists of certificates and of revocation lists in files: PEM, any number of them, or one in DER.
 * Lists are OpenSSL's: sk_X509_pop_free(certs, X509_free), sk_X509_CRL_pop_free(crls,
 * X509_CRL_free).  Any thread. */
#ifndef GNT_PKI_CERTS_H
#define GNT_PKI_CERTS_H

#include "pki/files.h"

#include <openssl/x509.h>

/* All certificates of FILE in their order, at least one; keys between them are passed over.
 * GNT_NOTFOUND: no such file, or no certificate in it; GNT_MALFORMED: a broken one. */
GNT_MUST gnt_err gnt_certs_load(const char *file, STACK_OF(X509) * *out, struct gnt_pki_why *why);

/* The same for revocation lists. */
GNT_MUST gnt_err gnt_crls_load(const char *file, STACK_OF(X509_CRL) * *out,
                               struct gnt_pki_why *why);

/* Append one in PEM.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_certs_write(const X509 *certificate, struct gnt_buf *out);
GNT_MUST gnt_err gnt_crls_write(const X509_CRL *crl, struct gnt_buf *out);

/* Adds CERTIFICATE to LIST, counted once more. */
GNT_MUST gnt_err gnt_certs_add(STACK_OF(X509) * list, X509 *certificate);

#endif
