/* Old algorithms (RC2, RC4) for reading what old Windows tools have written.  They are there
 * between begin and end, for the whole process; nothing of TLS asks for them.  Where the system's
 * OpenSSL has none of them, begin does nothing. */
#ifndef GNT_PKI_LEGACY_H
#define GNT_PKI_LEGACY_H

#include <openssl/provider.h>

struct gnt_legacy {
    OSSL_PROVIDER *provider;
};

static inline struct gnt_legacy gnt_legacy_begin(void)
{
    return (struct gnt_legacy){OSSL_PROVIDER_try_load(NULL, "legacy", 1)};
}

static inline void gnt_legacy_end(struct gnt_legacy *legacy)
{
    if (legacy->provider)
        (void)OSSL_PROVIDER_unload(legacy->provider);
    legacy->provider = NULL;
}

#endif
