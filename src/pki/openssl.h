/* How bytes come out of OpenSSL.  Any thread. */
#ifndef GNT_PKI_OPENSSL_H
#define GNT_PKI_OPENSSL_H

#include "base/buf.h"

#include <openssl/bio.h>

/* Appends what was written to BIO, a memory one.  GNT_NOMEM leaves OUT as it was. */
GNT_MUST static inline gnt_err gnt_openssl_take(BIO *bio, struct gnt_buf *out)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    return size < 0 ? GNT_NOMEM : gnt_buf_put(out, gnt_slice(data, (size_t)size));
}

#endif
