/* What is in a certificate, one fact at a time, as text that is safe for a terminal.  Any thread;
 * no state. */
#ifndef GNT_PKI_FACTS_H
#define GNT_PKI_FACTS_H

#include "base/buf.h"
#include "pki/why.h"

#include <openssl/x509.h>

/* Seconds since 1970; INT64_MIN: no time at all. */
int64_t gnt_facts_seconds(const ASN1_TIME *time);

/* The serial number in hexadecimal, as in the CA's index.  OUT has GNT_FACTS_SERIAL bytes.  Returns
 * OUT. */
enum { GNT_FACTS_SERIAL = 64 };
char *gnt_facts_serial(const ASN1_INTEGER *serial, char out[GNT_FACTS_SERIAL]);

/* "3A:1F:...": the certificate's digest by that name.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_facts_fingerprint(const X509 *certificate, const char *digest,
                                       struct gnt_buf *out);

/* Calls TELL once for each: "DNS:localhost", "IP:127.0.0.1", "email:..", "URI:.."; "server",
 * "client" or OpenSSL's name or the numbers of a usage.  Stops at its first failure, and returns
 * it.
 */
typedef gnt_err gnt_facts_tell(void *context, const char *text);
GNT_MUST gnt_err gnt_facts_names(const X509 *certificate, gnt_facts_tell *tell, void *context);
GNT_MUST gnt_err gnt_facts_usages(const X509 *certificate, gnt_facts_tell *tell, void *context);

#endif
