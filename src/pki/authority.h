/* A CA in its directory:
 *
 *   ca.pem      its certificate, and behind it those of the CAs above it but the root
 *   ca.key      its key
 *   index.txt   what it has issued (pki/index.h), with index.txt.attr, which `openssl ca` wants
 *   crlnumber   the number of its next revocation list
 *   crl.pem     the last one, once there is one
 *
 * Ownership  gnt_authority_open() or _found() to _close(); the directory is locked meanwhile.
 * Threads    one at a time.
 *
 * Changes are in memory until gnt_authority_save, and in place with the commit of the files that it
 * was given: so a certificate is in the index from before it is in its file. */
#ifndef GNT_PKI_AUTHORITY_H
#define GNT_PKI_AUTHORITY_H

#include "pki/index.h"

#include <limits.h>

struct gnt_authority {
    char directory[PATH_MAX];
    int lock;
    X509 *certificate;
    STACK_OF(X509) * chain; /* above it, without the root */
    EVP_PKEY *key;
    struct gnt_index *index;
};

/* The name of NAME in DIRECTORY ("": here).  Returns OUT. */
char *gnt_authority_path(const char *directory, const char *name, char out[PATH_MAX]);

/* Opens the CA in DIRECTORY.  Errors as of gnt_key_load and gnt_index_load; GNT_INVALID: its key
 * does not fit. */
GNT_MUST gnt_err gnt_authority_open(const char *directory, const char *passphrase,
                                    struct gnt_authority *out, struct gnt_pki_why *why);

/* A new CA in DIRECTORY, which is there, of *CERTIFICATE, *KEY and *CHAIN (may be NULL), which it
 * takes over, failing or not.  Nothing is written yet but by gnt_authority_save and by whoever
 * writes ca.pem and ca.key. */
GNT_MUST gnt_err gnt_authority_found(const char *directory, X509 **certificate, EVP_PKEY **key,
                                     STACK_OF(X509) * *chain, struct gnt_authority *out,
                                     struct gnt_pki_why *why);

/* A zeroed one may be given too. */
void gnt_authority_close(struct gnt_authority *ca);

/* Adds the index to FILES; of a new CA also the files beside it. */
GNT_MUST gnt_err gnt_authority_save(struct gnt_authority *ca, bool founded, struct gnt_files *files,
                                    struct gnt_pki_why *why);

/* Adds a new revocation list and its number to FILES, valid from NOW for DAYS days.  NUMBER: the
 * list's own; errors as of gnt_crl_make. */
GNT_MUST gnt_err gnt_authority_crl(struct gnt_authority *ca, uint32_t days, const char *digest,
                                   int64_t now, struct gnt_files *files, char number[64],
                                   struct gnt_pki_why *why);

#endif
