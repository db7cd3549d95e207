/* Certificates made: a CA of one's own, and those that it issues for servers and clients
 * [RFC 5280].
 *
 * Each has a random serial number of 128 bits, the key identifiers, basic constraints and key
 * usages that its role asks for, and the subject's alternative names.
 *
 * Threads  any; no state. */
#ifndef GNT_PKI_ISSUE_H
#define GNT_PKI_ISSUE_H

#include "pki/why.h"

#include <openssl/x509.h>
#include <stddef.h>

enum gnt_issue_role { GNT_ISSUE_CA, GNT_ISSUE_SERVER, GNT_ISSUE_CLIENT };

struct gnt_issue {
    enum gnt_issue_role role;
    const char *subject; /* as gnt_name_parse reads it; "" only with names */

    /* Alternative names: a host name, which may begin with "*.", or an address; user@host; a URI
     * such as mqtts://host.  In front may stand what it is: DNS:, IP:, email:, URI:. */
    char *const *names;
    size_t name_count;

    /* Extended key usages: server, client, or OpenSSL's names and object identifiers in numbers;
     * none: that of the role. */
    char *const *usages;
    size_t usage_count;

    int64_t from, until; /* seconds since 1970; both are within the validity */
    int path_length;     /* of a CA: how many CAs may follow below it; -1: any number */
    const char *digest;  /* "SHA-384"; NULL: SHA-256, or the own one of a key such as Ed25519 */
};

/* Issues a certificate for the public half of KEY, by ISSUER with ISSUER_KEY; or, where both are
 * NULL, one that KEY signs itself.
 *   GNT_INVALID  something in PLAN is wrong, or it would outlive ISSUER
 *   GNT_DENIED   ISSUER may not: it is no CA, or its path length allows no CA below it; or
 *                ISSUER_KEY is another's */
GNT_MUST gnt_err gnt_issue(const struct gnt_issue *plan, EVP_PKEY *key, X509 *issuer,
                           EVP_PKEY *issuer_key, X509 **out, struct gnt_pki_why *why);

/* The digest for what KEY signs.  NULL in *out: KEY brings its own.  GNT_INVALID: NAME is none. */
GNT_MUST gnt_err gnt_issue_digest(EVP_PKEY *key, const char *name, const EVP_MD **out,
                                  struct gnt_pki_why *why);

#endif
