#include "pki/crl.h"
#include "pki/issue.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

/* 20 bytes at most, as for serial numbers [RFC 5280 5.2.3]. */
static ASN1_INTEGER *number_of(const char *hex)
{
    enum { DIGITS_MAX = 40 };
    BIGNUM *number = NULL;
    size_t size = strlen(hex);
    bool sound = size > 0 && size <= DIGITS_MAX && strspn(hex, "0123456789abcdefABCDEF") == size;
    ASN1_INTEGER *out = sound && BN_hex2bn(&number, hex) ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
    BN_free(number);
    return out;
}

gnt_err gnt_crl_next(const char *number, char *out, size_t cap)
{
    ASN1_INTEGER *now = number_of(number);
    BIGNUM *next = now ? ASN1_INTEGER_to_BN(now, NULL) : NULL;
    char *text = next && BN_add_word(next, 1) ? BN_bn2hex(next) : NULL;
    bool fits = text && strlen(text) < cap;
    if (fits)
        (void)snprintf(out, cap, "%s", text);
    OPENSSL_free(text);
    BN_free(next);
    ASN1_INTEGER_free(now);
    ERR_clear_error();
    return fits ? GNT_OK : GNT_INVALID;
}

/* The reason behind the comma; "unspecified" is said by saying nothing [RFC 5280 5.3.1]. */
static bool set_reason(X509_REVOKED *revoked, const char *word)
{
    for (int i = 1; gnt_index_reasons[i]; i++) {
        if (strcasecmp(gnt_index_reasons[i], word) != 0)
            continue;
        ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
        bool set = reason && ASN1_ENUMERATED_set(reason, i) &&
                   X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, reason, 0, 0);
        ASN1_ENUMERATED_free(reason);
        return set;
    }
    return true;
}

static bool add_revoked(X509_CRL *crl, const struct gnt_index_row *row)
{
    char date[32];
    size_t size = strcspn(row->revoked, ",");
    const char *reason = row->revoked[size] ? row->revoked + size + 1 : "";
    (void)snprintf(date, sizeof date, "%.*s", (int)size, row->revoked);
    ASN1_INTEGER *serial = number_of(row->serial);
    ASN1_TIME *when = ASN1_TIME_new();
    X509_REVOKED *revoked = X509_REVOKED_new();
    bool added = serial && when && revoked && ASN1_TIME_set_string(when, date) &&
                 X509_REVOKED_set_serialNumber(revoked, serial) &&
                 X509_REVOKED_set_revocationDate(revoked, when) && set_reason(revoked, reason) &&
                 X509_CRL_add0_revoked(crl, revoked);
    if (!added)
        X509_REVOKED_free(revoked);
    ASN1_TIME_free(when);
    ASN1_INTEGER_free(serial);
    return added;
}

static bool add_extensions(X509_CRL *crl, X509 *issuer, const ASN1_INTEGER *number)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, NULL, NULL, crl, 0);
    bool added = X509_CRL_add1_ext_i2d(crl, NID_crl_number, (void *)(uintptr_t)number, 0, 0) == 1;
    if (!added || X509_get_ext_by_NID(issuer, NID_subject_key_identifier, -1) < 0)
        return added;
    X509_EXTENSION *by =
        X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid:always");
    added = by && X509_CRL_add_ext(crl, by, -1);
    X509_EXTENSION_free(by);
    return added;
}

static bool fill(const struct gnt_crl *plan, X509 *issuer, X509_CRL *crl)
{
    ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)plan->from);
    ASN1_TIME *until = ASN1_TIME_set(NULL, (time_t)plan->until);
    ASN1_INTEGER *number = number_of(plan->number);
    bool filled = from && until && number && X509_CRL_set_version(crl, X509_CRL_VERSION_2) &&
                  X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) &&
                  X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, until) &&
                  add_extensions(crl, issuer, number);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    ASN1_INTEGER_free(number);
    return filled;
}

static gnt_err add_all(const struct gnt_index *index, X509_CRL *crl, struct gnt_pki_why *why)
{
    for (size_t i = 0; i < gnt_index_count(index); i++) {
        struct gnt_index_row row = gnt_index_row(index, i);
        if (row.state == 'R' && !add_revoked(crl, &row))
            return gnt_pki_openssl_refuse(why, GNT_MALFORMED,
                                          "the index, line %zu: '%.80s' of serial number %.80s",
                                          i + 1, row.revoked, row.serial);
    }
    return X509_CRL_sort(crl) ? GNT_OK : gnt_pki_openssl_refuse(why, GNT_NOMEM, "a list");
}

gnt_err gnt_crl_make(const struct gnt_crl *plan, const struct gnt_index *index, X509 *issuer,
                     EVP_PKEY *key, X509_CRL **out, struct gnt_pki_why *why)
{
    const EVP_MD *digest;
    if (X509_check_ca(issuer) != 1 || !(X509_get_key_usage(issuer) & KU_CRL_SIGN))
        return gnt_pki_refuse(why, GNT_DENIED, "the issuer's certificate is not that of a CA");
    if (X509_check_private_key(issuer, key) != 1)
        return gnt_pki_refuse(why, GNT_DENIED, "the CA's key does not fit its certificate");
    gnt_err err = gnt_issue_digest(key, plan->digest, &digest, why);
    if (err)
        return err;
    X509_CRL *crl = X509_CRL_new();
    if (!crl || !fill(plan, issuer, crl))
        err = gnt_pki_openssl_refuse(why, GNT_INVALID, "a revocation list with number %.64s",
                                     plan->number);
    if (!err)
        err = add_all(index, crl, why);
    if (!err && !X509_CRL_sign(crl, key, digest))
        err = gnt_pki_openssl_refuse(why, GNT_INVALID, "signing");
    if (!err)
        *out = crl;
    else
        X509_CRL_free(crl);
    return err;
}
