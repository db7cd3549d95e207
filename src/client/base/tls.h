/* TLS below a client: its options, and what they have become.
 *
 * Ownership  gnt_client_tls_new() to gnt_client_tls_free().
 * Threads    the client's own, without its lock where that is said; _new and _free any. */
#ifndef GNT_CLIENT_BASE_TLS_H
#define GNT_CLIENT_BASE_TLS_H

#include "net/tls.h"

#include <gnatter/tls.h>

struct gnt_client_tls;

/* OPTIONS are copied; HOST is whom the client means, where they do not say it.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_client_tls_new(const struct gnatter_tls_options *options, const char *host,
                                    struct gnt_client_tls **out);
void gnt_client_tls_free(struct gnt_client_tls **tls); /* NULL is fine */

/* Before an attempt, without the lock: reads the files, if that is to be done.  GNT_INVALID: they
 * are not good for it. */
GNT_MUST gnt_err gnt_client_tls_prepare(struct gnt_client_tls *tls);

/* Puts TLS on *stream; on failure (GNT_NOMEM) it is left as it was. */
GNT_MUST gnt_err gnt_client_tls_put_on(struct gnt_client_tls *tls, struct gnt_stream **stream);

/* What has become of an attempt that ended with ERR. */
struct gnt_client_tls_trouble {
    gnt_err err; /* what to call it */
    bool tls;    /* it is the trouble of TLS; then: */
    bool lasting;
    char words[sizeof((struct gnt_pki_why *)0)->text];
};
_Static_assert((int)sizeof(struct gnt_pki_why) >= (int)GNT_TLS_WORDS_MAX, "both fit into `words`");

/* STREAM, of which one is of _put_on, or NULL: there was none yet. */
void gnt_client_tls_trouble(const struct gnt_client_tls *tls, const struct gnt_stream *stream,
                            gnt_err err, struct gnt_client_tls_trouble *out);

#endif
