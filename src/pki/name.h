/* X.500 names as text [RFC 4514]: "CN=gnatter, O=Small Things, C=GB", the most particular part
 * first.
 *
 * Read are the attributes that OpenSSL knows, by its names in any case, by Windows' E and S, or by
 * their numbers; blanks around the parts; "+" between the attributes of one part; and a backslash
 * before what has a meaning (, + " \ < > ; = # and blanks at the ends), or before two hexadecimal
 * digits of UTF-8.  Not read: values in #hexadecimal or in quotes.
 *
 * Threads  any; no state. */
#ifndef GNT_PKI_NAME_H
#define GNT_PKI_NAME_H

#include "base/buf.h"
#include "pki/why.h"

#include <openssl/x509.h>

enum { GNT_NAME_TEXT_MAX = 1024 }; /* bytes of one value */

/* GNT_INVALID: WHY tells what is wrong in TEXT; the bounds of X.520 count (a country has two
 * letters).  *out is X509_NAME_free()d by the caller. */
GNT_MUST gnt_err gnt_name_parse(const char *text, X509_NAME **out, struct gnt_pki_why *why);

/* Appends NAME as gnt_name_parse reads it, safe for a terminal. */
GNT_MUST gnt_err gnt_name_print(const X509_NAME *name, struct gnt_buf *out);

/* VALUE as it stands behind "CN=", cut to CAP.  Returns OUT. */
char *gnt_name_escape(const char *value, char *out, size_t cap);

/* The first common name, or "" if there is none, cut to CAP (at least 8), safe for a terminal.
 * Returns OUT. */
char *gnt_name_common(const X509_NAME *name, char *out, size_t cap);

#endif
