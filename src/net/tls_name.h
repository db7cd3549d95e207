/* What somebody is called by a certificate.  Any thread; no state. */
#ifndef GNT_NET_TLS_NAME_H
#define GNT_NET_TLS_NAME_H

#include "base/buf.h"

#include <openssl/x509.h>

enum gnt_tls_name {
    GNT_TLS_NAME_NONE,
    GNT_TLS_NAME_CN,      /* the subject's first common name */
    GNT_TLS_NAME_SAN,     /* the first alternative name that is an e-mail address, a DNS name or a
                             URI, without its kind */
    GNT_TLS_NAME_SUBJECT, /* all of the subject: "CN=sensor-7, O=Small Things" */
};

enum { GNT_TLS_NAME_MAX = 1024 }; /* bytes */

/* Appends it, as UTF-8 without control characters.  GNT_NOTFOUND: there is none in CERTIFICATE,
 * none was asked for, or what stands there is empty, too long or not such a text. */
GNT_MUST gnt_err gnt_tls_name(enum gnt_tls_name rule, const X509 *certificate, struct gnt_buf *out);

#endif
