/* PFX files, which is PKCS#12 [RFC 7292]: a certificate, its key and its chain under one password.
 * Any thread; no state. */
#ifndef GNT_PKI_PFX_H
#define GNT_PKI_PFX_H

#include "pki/identity.h"

enum {
    /* How often the password is hashed for each of key, certificates and checksum.  Newer .NET
     * takes at most 300,000 for each and a million for all. */
    GNT_PFX_ITERATIONS = 100 * 1000,
};

/* Appends IDENTITY with NAME, which Windows shows, under PASSWORD ("" is one).  Key and
 * certificates are encrypted by AES-256-CBC under PBES2, and the checksum is by SHA-256; LEGACY: by
 * Triple DES and SHA-1, which is all that Windows before 2019 and .NET before 4.7.2 read. */
GNT_MUST gnt_err gnt_pfx_pack(const struct gnt_identity *identity, const char *name,
                              const char *password, bool legacy, struct gnt_buf *out,
                              struct gnt_pki_why *why);

/* Reads FILE, also what pvk2pfx and old versions of Windows have written.  PASSWORD NULL: it has
 * none, or the empty one.  Errors as gnt_identity_load tells them. */
GNT_MUST gnt_err gnt_pfx_load(const char *file, const char *password, struct gnt_identity *out,
                              struct gnt_pki_why *why);

/* Whether BYTES are a PKCS#12 file, judged by how it begins. */
bool gnt_pfx_is(struct gnt_slice bytes);

#endif
