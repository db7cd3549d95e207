#include "pki/identity.h"
#include "pki/certs.h"
#include "pki/facts.h"
#include "pki/key.h"
#include "pki/pfx.h"

gnt_err gnt_identity_share(const struct gnt_identity *from, struct gnt_identity *to)
{
    *to = (struct gnt_identity){NULL, NULL, X509_chain_up_ref(from->chain)};
    if (!to->chain)
        return GNT_NOMEM;
    X509_up_ref(from->certificate);
    EVP_PKEY_up_ref(from->key);
    to->certificate = from->certificate;
    to->key = from->key;
    return GNT_OK;
}

void gnt_identity_fini(struct gnt_identity *identity)
{
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
    sk_X509_pop_free(identity->chain, X509_free);
    *identity = (struct gnt_identity){NULL, NULL, NULL};
}

gnt_err gnt_identity_in_time(const X509 *certificate, int64_t now, const char *file,
                             struct gnt_pki_why *why)
{
    char date[GNT_PKI_DATE];
    int64_t from = gnt_facts_seconds(X509_get0_notBefore(certificate));
    int64_t until = gnt_facts_seconds(X509_get0_notAfter(certificate));
    if (now > until)
        return gnt_pki_refuse(why, GNT_STATE, "%s: expired on %s", file, gnt_pki_date(until, date));
    if (now < from)
        return gnt_pki_refuse(why, GNT_STATE, "%s: not valid before %s", file,
                              gnt_pki_date(from, date));
    return GNT_OK;
}

static gnt_err load_pem(const struct gnt_identity_source *source, struct gnt_identity *out,
                        struct gnt_pki_why *why)
{
    const char *key = source->key ? source->key : source->certificate;
    gnt_err err = gnt_certs_load(source->certificate, &out->chain, why);
    if (err)
        return err;
    out->certificate = sk_X509_shift(out->chain);
    err = gnt_key_load(key, source->passphrase, &out->key, why);
    if (!err && X509_check_private_key(out->certificate, out->key) != 1)
        err = gnt_pki_refuse(why, GNT_INVALID, "%s: the key does not fit the certificate in %s",
                             key, source->certificate);
    return err;
}

gnt_err gnt_identity_load(const struct gnt_identity_source *source, struct gnt_identity *out,
                          struct gnt_pki_why *why)
{
    struct gnt_identity found = {NULL, NULL, NULL};
    const char *file = source->pfx ? source->pfx : source->certificate;
    gnt_err err = source->pfx ? gnt_pfx_load(source->pfx, source->passphrase, &found, why)
                              : load_pem(source, &found, why);
    if (!err && source->now)
        err = gnt_identity_in_time(found.certificate, source->now, file, why);
    if (!err)
        *out = found;
    else
        gnt_identity_fini(&found);
    return err;
}
