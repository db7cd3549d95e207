/* Who one is in TLS: a certificate, its key, and the certificates between it and its root; from PEM
 * files or from one PFX (PKCS#12).
 *
 *     struct gnt_identity_source source = {.certificate = "server.pem", .key = "server.key"};
 *     err = gnt_identity_load(&source, &identity, &why);     where it fails, why.text says all
 *     SSL_CTX_use_cert_and_key(ctx, identity.certificate, identity.key, identity.chain, 1);
 *     gnt_identity_fini(&identity);
 *
 * Ownership  what is in it has a count of its own; OpenSSL's up_ref functions share it.
 * Threads    one at a time; loading has no state of its own. */
#ifndef GNT_PKI_IDENTITY_H
#define GNT_PKI_IDENTITY_H

#include "pki/files.h"

#include <openssl/x509.h>

struct gnt_identity {
    X509 *certificate;
    EVP_PKEY *key;          /* fits the certificate */
    STACK_OF(X509) * chain; /* the further certificates in their order; never NULL, may be empty */
};

struct gnt_identity_source {
    const char *certificate; /* PEM, the own one first; or DER */
    const char *key;         /* PEM or DER; NULL: it is in the file of the certificate */
    const char *pfx;         /* instead of both */
    const char *passphrase;  /* of the key or of the PFX; NULL: none */
    int64_t now;             /* seconds since 1970: it has to be valid then; 0: whenever */
};

/* What can be wrong, each told with the file:
 *   GNT_NOTFOUND   no such file, or no certificate or no key in it
 *   GNT_REFUSED    the pass-phrase is wrong, or there is none and one is needed
 *   GNT_INVALID    the key does not fit the certificate
 *   GNT_STATE      expired, or not yet valid
 *   GNT_MALFORMED  something else than PEM, DER or PKCS#12, or broken
 *   GNT_DENIED, GNT_IO, GNT_TOOBIG, GNT_NOMEM */
GNT_MUST gnt_err gnt_identity_load(const struct gnt_identity_source *source,
                                   struct gnt_identity *out, struct gnt_pki_why *why);

/* *to has references of its own to what FROM has.  GNT_NOMEM leaves it zeroed. */
GNT_MUST gnt_err gnt_identity_share(const struct gnt_identity *from, struct gnt_identity *to);

/* Frees what is in it; a zeroed one may be given too. */
void gnt_identity_fini(struct gnt_identity *identity);

/* GNT_STATE: CERTIFICATE is not valid at NOW; WHY says since or until when, for FILE. */
GNT_MUST gnt_err gnt_identity_in_time(const X509 *certificate, int64_t now, const char *file,
                                      struct gnt_pki_why *why);

#endif
