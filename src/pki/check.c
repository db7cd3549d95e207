#include "pki/check.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

/* What people look for; the rest is said by OpenSSL. */
static const struct {
    int verdict;
    const char *words;
} table[] = {
    {X509_V_OK, "good"},
    {X509_V_ERR_CERT_HAS_EXPIRED, "expired"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "not yet valid"},
    {X509_V_ERR_CERT_REVOKED, "revoked"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "self-signed"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "wrong CA"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "wrong CA"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "wrong CA"},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "wrong CA"},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, "wrong CA: its signature is not the CA's"},
    {X509_V_ERR_CERT_UNTRUSTED, "wrong CA"},
    {X509_V_ERR_HOSTNAME_MISMATCH, "wrong host"},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, "wrong host"},
    {X509_V_ERR_INVALID_PURPOSE, "not for this use"},
    {X509_V_ERR_INVALID_CA, "its issuer is no CA"},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED, "its CA may not have a CA below it"},
    {X509_V_ERR_UNABLE_TO_GET_CRL, "its CA's revocation list is missing"},
    {X509_V_ERR_CRL_HAS_EXPIRED, "its CA's revocation list is out of date"},
    {X509_V_ERR_CRL_NOT_YET_VALID, "its CA's revocation list is not yet valid"},
    {X509_V_ERR_CRL_SIGNATURE_FAILURE, "its CA's revocation list is another's"},
    {X509_V_ERR_APPLICATION_VERIFICATION, "refused by this program"},
};

const char *gnt_check_words(int verdict)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].verdict == verdict)
            return table[i].words;
    }
    return X509_verify_cert_error_string(verdict);
}

static bool trust(X509_STORE *store, const struct gnt_check *check)
{
    bool added = !check->itself || X509_STORE_add_cert(store, check->certificate);
    for (int i = 0; i < sk_X509_num(check->cas) && added; i++)
        added = X509_STORE_add_cert(store, sk_X509_value(check->cas, i));
    for (int i = 0; i < sk_X509_CRL_num(check->crls) && added; i++)
        added = X509_STORE_add_crl(store, sk_X509_CRL_value(check->crls, i));
    return added;
}

static bool ask(X509_STORE_CTX *context, const struct gnt_check *check)
{
    X509_VERIFY_PARAM *how = X509_STORE_CTX_get0_param(context);
    bool set = true;
    X509_VERIFY_PARAM_set_time(how, (time_t)check->now);
    if (check->itself)
        set = X509_VERIFY_PARAM_set_flags(how, X509_V_FLAG_PARTIAL_CHAIN);
    if (check->use != GNT_CHECK_ANY)
        set = set && X509_VERIFY_PARAM_set_purpose(how, check->use == GNT_CHECK_SERVER
                                                            ? X509_PURPOSE_SSL_SERVER
                                                            : X509_PURPOSE_SSL_CLIENT);
    if (check->crls)
        set = set &&
              X509_VERIFY_PARAM_set_flags(how, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    if (check->host && !X509_VERIFY_PARAM_set1_ip_asc(how, check->host))
        set = set && X509_VERIFY_PARAM_set1_host(how, check->host, 0);
    return set;
}

gnt_err gnt_check(const struct gnt_check *check, int *verdict, int *depth)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    gnt_err err = GNT_NOMEM;
    if (store && context && trust(store, check) &&
        X509_STORE_CTX_init(context, store, check->certificate, check->chain) &&
        ask(context, check)) {
        err = X509_verify_cert(context) < 0 ? GNT_NOMEM : GNT_OK;
        *verdict = X509_STORE_CTX_get_error(context);
        *depth = X509_STORE_CTX_get_error_depth(context);
    }
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return err;
}
