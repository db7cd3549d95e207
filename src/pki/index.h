/* What a CA has issued and revoked: a text file in the form of `openssl ca`, which that command and
 * `openssl ocsp` read and write too.  A line for each certificate, with tabs between
 *
 *     V or R or E   the end of its validity   when revoked,why   serial   file   /CN=.../O=...
 *
 * (valid, revoked, expired; times as in ASN.1, reasons as in RFC 5280 5.3.1).
 *
 * Ownership  gnt_index_load() to gnt_index_free(); rows borrow from it until it changes.
 * Threads    one at a time.  Processes: whoever changes the file has its directory locked
 *            (pki/files.h) from before reading until after writing. */
#ifndef GNT_PKI_INDEX_H
#define GNT_PKI_INDEX_H

#include "pki/files.h"

#include <openssl/x509.h>

struct gnt_index;

struct gnt_index_row {
    char state;          /* V, R, E */
    const char *ends;    /* "271122100000Z" */
    const char *revoked; /* "261122100000Z,keyCompromise"; "" */
    const char *serial;  /* hexadecimal, in capitals */
    const char *file;    /* where it was written to, or "unknown" */
    const char *subject; /* as OpenSSL writes it on one line */
};

/* A file that is not there is an empty index.  GNT_MALFORMED, GNT_IO, GNT_DENIED, GNT_NOMEM. */
GNT_MUST gnt_err gnt_index_load(const char *file, struct gnt_index **out, struct gnt_pki_why *why);
void gnt_index_free(struct gnt_index *index); /* NULL is fine */

/* Appends the file's text.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_index_write(const struct gnt_index *index, struct gnt_buf *out);

size_t gnt_index_count(const struct gnt_index *index);
struct gnt_index_row gnt_index_row(const struct gnt_index *index, size_t at);

/* Adds a valid certificate that was written to FILE.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_index_add(struct gnt_index *index, const X509 *certificate, const char *file);

/* The certificate with that serial number, in hexadecimal of either case, also with colons and with
 * zeros in front.  False: there is none. */
bool gnt_index_find_serial(const struct gnt_index *index, const char *serial, size_t *at);

/* How many certificates that are valid have the common name NAME; *at is the last of them. */
size_t gnt_index_find_name(const struct gnt_index *index, const char *name, size_t *at);

/* Marks it as revoked at NOW for REASON (one of gnt_index_reasons).  GNT_EXISTS: it is already;
 * GNT_NOMEM. */
GNT_MUST gnt_err gnt_index_revoke(struct gnt_index *index, size_t at, const char *reason,
                                  int64_t now);

/* The reasons of RFC 5280 5.3.1 that a CA gives here: the place is the wire's number, ends with
 * NULL. */
extern const char *const gnt_index_reasons[];

#endif
