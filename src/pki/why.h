/* Why something about a certificate was refused: one line for people.  Callers hand in their own;
 * it has a text only after a call that failed.  File names are in it as they were given.
 *
 * Whatever of this room fails leaves OpenSSL's queue of errors of this thread empty. */
#ifndef GNT_PKI_WHY_H
#define GNT_PKI_WHY_H

#include "base/err.h"

#include <stdint.h>

struct gnt_pki_why {
    char text[640];
};

/* Sets the line, cut off where it does not fit, and returns ERR, so that a refusal is one
 * statement. */
GNT_MUST __attribute__((format(printf, 3, 4))) gnt_err
gnt_pki_refuse(struct gnt_pki_why *why, gnt_err err, const char *format, ...);

/* The same with ": " and what OpenSSL, or where it says nothing `out of memory`, has to say. */
GNT_MUST __attribute__((format(printf, 3, 4))) gnt_err
gnt_pki_openssl_refuse(struct gnt_pki_why *why, gnt_err err, const char *format, ...);

/* The same for errno after a system call about PATH. */
GNT_MUST gnt_err gnt_pki_errno_refuse(struct gnt_pki_why *why, const char *path);

enum { GNT_PKI_DATE = 40 };

/* "2026-11-22 10:00:00 UTC".  Returns OUT. */
char *gnt_pki_date(int64_t seconds, char out[GNT_PKI_DATE]);

#endif
