/* Private keys: made, written, read.
 *
 * Ownership  keys are OpenSSL's, EVP_PKEY_free().
 * Threads    any; no state. */
#ifndef GNT_PKI_KEY_H
#define GNT_PKI_KEY_H

#include "pki/files.h"

#include <openssl/evp.h>

enum {
    GNT_KEY_RSA_MIN = 2048,        /* bits: 112 bits of security, what TLS libraries still take */
    GNT_KEY_RSA_MAX = 8192,        /* beyond it a handshake takes seconds on a small machine */
    GNT_KEY_PASSPHRASE_MAX = 1023, /* bytes: OpenSSL's buffer for one */
    GNT_KEY_ITERATIONS = 300 * 1000,
};

/* Makes a key as SPEC says: "rsa:3072", "ec:P-256" or another curve that OpenSSL has under its own
 * or NIST's name, "ed25519".  GNT_INVALID: no such thing, or weaker than 112 bits.  A long RSA key
 * takes seconds. */
GNT_MUST gnt_err gnt_key_make(const char *spec, EVP_PKEY **out, struct gnt_pki_why *why);

/* Appends KEY as PKCS#8 in PEM.  With a PASSPHRASE (NULL: none) encrypted by PBES2: AES-256-CBC,
 * its key by PBKDF2 with HMAC-SHA-256, which OpenSSL, .NET, Java, Go and mbedTLS read. */
GNT_MUST gnt_err gnt_key_write(const EVP_PKEY *key, const char *passphrase, struct gnt_buf *out,
                               struct gnt_pki_why *why);

/* Reads the private key in FILE: PEM (the first one there, whatever stands around it), DER, or
 * makecert's .pvk.  A PASSPHRASE (NULL: none) for a key that has none does no harm.
 *   GNT_REFUSED    PASSPHRASE is wrong, or NULL and one is needed
 *   GNT_NOTFOUND   no such file, or no private key in it
 *   GNT_MALFORMED, GNT_DENIED, GNT_IO, GNT_NOMEM, GNT_TOOBIG */
GNT_MUST gnt_err gnt_key_load(const char *file, const char *passphrase, EVP_PKEY **out,
                              struct gnt_pki_why *why);

/* "RSA 3072 bits", "EC P-256", "ED25519".  Returns OUT. */
char *gnt_key_name(EVP_PKEY *key, char out[64]);

#endif
