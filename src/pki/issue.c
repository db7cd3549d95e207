#include "pki/issue.h"
#include "base/utf8.h"
#include "pki/facts.h"
#include "pki/name.h"

#include <ctype.h>
#include <openssl/bn.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

enum { SERIAL_BITS = 128 };

/* ---- Alternative names */

static bool is_printable_ascii(const char *text)
{
    for (; *text; text++) {
        if (*text <= ' ' || *text > '~')
            return false;
    }
    return true;
}

/* Letters, digits, "-" and "_" between dots, "*." in front at most [RFC 6125 6.4.3]. */
static bool is_host(const char *text)
{
    enum { HOST_MAX = 253, LABEL_MAX = 63 };
    size_t size = strlen(text), label = 0;
    if (size == 0 || size > HOST_MAX)
        return false;
    if (strncmp(text, "*.", 2) == 0)
        text += 2;
    for (; *text; text++) {
        bool dot = *text == '.';
        if ((dot && label == 0) || (!dot && !isalnum((unsigned char)*text) && !strchr("-_", *text)))
            return false;
        label = dot ? 0 : label + 1;
        if (label > LABEL_MAX)
            return false;
    }
    return label > 0;
}

static bool is_address(const char *text)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text);
    ASN1_OCTET_STRING_free(address);
    return address != NULL;
}

static bool is_email(const char *text)
{
    const char *at = strchr(text, '@');
    return at && at > text && is_host(at + 1) && is_printable_ascii(text);
}

static bool is_uri(const char *text)
{
    const char *colon = strchr(text, ':');
    return colon && colon > text && isalpha((unsigned char)text[0]) && is_printable_ascii(text);
}

/* In the order in which a name without a word in front is tried. */
static const struct kind {
    const char *word;
    int type;
    bool (*is)(const char *text);
} kinds[] = {
    {"IP:", GEN_IPADD, is_address},
    {"DNS:", GEN_DNS, is_host},
    {"email:", GEN_EMAIL, is_email},
    {"URI:", GEN_URI, is_uri},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* The kind of *text, which skips the word in front of it. */
static const struct kind *kind_of(const char **text)
{
    for (size_t i = 0; i < KINDS; i++) {
        size_t size = strlen(kinds[i].word);
        if (strncasecmp(*text, kinds[i].word, size) == 0) {
            *text += size;
            return kinds[i].is(*text) ? &kinds[i] : NULL;
        }
    }
    for (size_t i = 0; i < KINDS; i++) {
        if (kinds[i].is(*text) && (kinds[i].type != GEN_URI || strstr(*text, "://")))
            return &kinds[i];
    }
    return NULL;
}

static gnt_err add_name(GENERAL_NAMES *names, const char *given, struct gnt_pki_why *why)
{
    char shown[80];
    const char *text = given;
    const struct kind *kind = kind_of(&text);
    if (!kind)
        return gnt_pki_refuse(why, GNT_INVALID,
                              "'%s' is no host name, address, e-mail address or URI%s",
                              gnt_utf8_printable(gnt_slice_str(given), shown, sizeof shown),
                              is_printable_ascii(given) ? ""
                                                        : " (a host name is written in ASCII)");
    GENERAL_NAME *name = a2i_GENERAL_NAME(NULL, NULL, NULL, kind->type, text, 0);
    if (name && sk_GENERAL_NAME_push(names, name))
        return GNT_OK;
    GENERAL_NAME_free(name);
    return gnt_pki_openssl_refuse(why, GNT_NOMEM, "the name %s", shown);
}

static gnt_err add_names(const struct gnt_issue *plan, X509 *certificate, struct gnt_pki_why *why)
{
    GENERAL_NAMES *names = plan->name_count ? sk_GENERAL_NAME_new_null() : NULL;
    gnt_err err = GNT_OK;
    if (!plan->name_count)
        return GNT_OK;
    for (size_t i = 0; names && i < plan->name_count && !err; i++)
        err = add_name(names, plan->names[i], why);
    /* Without a subject they are all there is [RFC 5280 4.2.1.6]. */
    int critical = X509_NAME_entry_count(X509_get_subject_name(certificate)) == 0;
    if (!err && (!names || !X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, critical,
                                              X509V3_ADD_DEFAULT)))
        err = gnt_pki_openssl_refuse(why, GNT_NOMEM, "alternative names");
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
    return err;
}

/* ---- Usages and the other extensions */

static gnt_err add_usages(const struct gnt_issue *plan, X509 *certificate, struct gnt_pki_why *why)
{
    static char server[] = "server", client[] = "client";
    char *const own[] = {plan->role == GNT_ISSUE_SERVER ? server : client};
    char *const *usages = plan->usage_count ? plan->usages : own;
    size_t count = plan->usage_count ? plan->usage_count : plan->role != GNT_ISSUE_CA;
    EXTENDED_KEY_USAGE *list = sk_ASN1_OBJECT_new_null();
    gnt_err err = list ? GNT_OK : gnt_pki_openssl_refuse(why, GNT_NOMEM, "usages");
    for (size_t i = 0; i < count && !err; i++) {
        const char *word = usages[i];
        char shown[64];
        word = strcmp(word, server) == 0 ? SN_server_auth : word;
        word = strcmp(word, client) == 0 ? SN_client_auth : word;
        ASN1_OBJECT *usage = OBJ_txt2obj(word, 0);
        if (!usage)
            err =
                gnt_pki_refuse(why, GNT_INVALID,
                               "expected server, client or an object identifier as usage, got '%s'",
                               gnt_utf8_printable(gnt_slice_str(word), shown, sizeof shown));
        else if (!sk_ASN1_OBJECT_push(list, usage))
            err = gnt_pki_openssl_refuse(why, GNT_NOMEM, "usages");
        if (err)
            ASN1_OBJECT_free(usage);
    }
    if (!err && count &&
        !X509_add1_ext_i2d(certificate, NID_ext_key_usage, list, 0, X509V3_ADD_DEFAULT))
        err = gnt_pki_openssl_refuse(why, GNT_NOMEM, "usages");
    sk_ASN1_OBJECT_pop_free(list, ASN1_OBJECT_free);
    return err;
}

static bool add_extension(X509 *certificate, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);
    bool added = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added;
}

static gnt_err add_extensions(const struct gnt_issue *plan, X509 *certificate, X509 *issuer,
                              struct gnt_pki_why *why)
{
    char constraints[64] = "critical,CA:FALSE";
    const char *usage = "critical,digitalSignature";
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    if (plan->role == GNT_ISSUE_CA) {
        usage = "critical,keyCertSign,cRLSign";
        if (plan->path_length < 0)
            (void)snprintf(constraints, sizeof constraints, "critical,CA:TRUE");
        else
            (void)snprintf(constraints, sizeof constraints, "critical,CA:TRUE,pathlen:%d",
                           plan->path_length);
    } else if (EVP_PKEY_get_base_id(X509_get0_pubkey(certificate)) == EVP_PKEY_RSA) {
        usage = "critical,digitalSignature,keyEncipherment"; /* TLS 1.2 without Diffie-Hellman */
    }
    bool added = add_extension(certificate, &context, NID_basic_constraints, constraints) &&
                 add_extension(certificate, &context, NID_key_usage, usage) &&
                 add_extension(certificate, &context, NID_subject_key_identifier, "hash");
    /* The authority's identifier is the issuer's own, where it has one; issuer may be itself. */
    if (added && X509_get_ext_by_NID(issuer, NID_subject_key_identifier, -1) >= 0)
        added = add_extension(certificate, &context, NID_authority_key_identifier, "keyid:always");
    if (!added)
        return gnt_pki_openssl_refuse(why, GNT_NOMEM, "extensions");
    gnt_err err = add_usages(plan, certificate, why);
    return err ? err : add_names(plan, certificate, why);
}

/* ---- The certificate */

gnt_err gnt_issue_digest(EVP_PKEY *key, const char *name, const EVP_MD **out,
                         struct gnt_pki_why *why)
{
    enum { MANDATORY = 2 };
    char own[32] = "";
    bool mandatory = EVP_PKEY_get_default_digest_name(key, own, sizeof own) == MANDATORY &&
                     strcmp(own, "UNDEF") == 0; /* it signs what it is given, as Ed25519 does */
    *out = NULL;
    if (mandatory && name)
        return gnt_pki_refuse(why, GNT_INVALID, "a key of this kind signs without another digest");
    if (mandatory)
        return GNT_OK;
    *out = EVP_get_digestbyname(name ? name : "SHA256");
    return *out ? GNT_OK : gnt_pki_refuse(why, GNT_INVALID, "unknown digest %s", name);
}

static gnt_err check_issuer(const struct gnt_issue *plan, X509 *issuer, EVP_PKEY *issuer_key,
                            struct gnt_pki_why *why)
{
    char until[GNT_PKI_DATE], end[GNT_PKI_DATE];
    int64_t last = gnt_facts_seconds(X509_get0_notAfter(issuer));
    if (X509_check_ca(issuer) != 1 || !(X509_get_key_usage(issuer) & KU_KEY_CERT_SIGN))
        return gnt_pki_refuse(why, GNT_DENIED, "the issuer's certificate is not that of a CA");
    if (X509_check_private_key(issuer, issuer_key) != 1)
        return gnt_pki_refuse(why, GNT_DENIED, "the CA's key does not fit its certificate");
    if (plan->role == GNT_ISSUE_CA && X509_get_pathlen(issuer) == 0)
        return gnt_pki_refuse(why, GNT_DENIED, "the CA's path length allows no CA below it");
    if (last < plan->until)
        return gnt_pki_refuse(why, GNT_INVALID, "valid until %s, it would outlive its CA (%s)",
                              gnt_pki_date(plan->until, until), gnt_pki_date(last, end));
    return GNT_OK;
}

static gnt_err check_plan(const struct gnt_issue *plan, struct gnt_pki_why *why)
{
    static const int64_t last = INT64_C(253402300799); /* the end of 9999 */
    if (plan->from >= plan->until || plan->from < 0 || plan->until > last)
        return gnt_pki_refuse(why, GNT_INVALID, "it would never be valid");
    if (!plan->subject[0] && !plan->name_count)
        return gnt_pki_refuse(why, GNT_INVALID, "it has neither a subject nor a name");
    return GNT_OK;
}

static bool set_serial(X509 *certificate)
{
    BIGNUM *number = BN_new();
    bool set = number && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
               BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return set;
}

static gnt_err set_subject(const struct gnt_issue *plan, X509 *certificate, struct gnt_pki_why *why)
{
    X509_NAME *name = NULL;
    if (!plan->subject[0])
        return GNT_OK;
    gnt_err err = gnt_name_parse(plan->subject, &name, why);
    if (!err && !X509_set_subject_name(certificate, name))
        err = gnt_pki_openssl_refuse(why, GNT_NOMEM, "the subject");
    X509_NAME_free(name);
    return err;
}

static gnt_err fill(const struct gnt_issue *plan, EVP_PKEY *key, X509 *issuer, X509 *certificate,
                    struct gnt_pki_why *why)
{
    gnt_err err = set_subject(plan, certificate, why);
    if (err)
        return err;
    const X509_NAME *by = X509_get_subject_name(issuer ? issuer : certificate);
    if (!X509_set_version(certificate, X509_VERSION_3) || !set_serial(certificate) ||
        !X509_set_issuer_name(certificate, by) || !X509_set_pubkey(certificate, key) ||
        !ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)plan->from) ||
        !ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)plan->until))
        return gnt_pki_openssl_refuse(why, GNT_NOMEM, "a certificate");
    return add_extensions(plan, certificate, issuer ? issuer : certificate, why);
}

gnt_err gnt_issue(const struct gnt_issue *plan, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
                  X509 **out, struct gnt_pki_why *why)
{
    EVP_PKEY *signer = issuer ? issuer_key : key;
    const EVP_MD *digest;
    X509 *certificate = NULL;
    gnt_err err = check_plan(plan, why);
    if (!err && issuer)
        err = check_issuer(plan, issuer, issuer_key, why);
    if (!err)
        err = gnt_issue_digest(signer, plan->digest, &digest, why);
    if (!err && !(certificate = X509_new()))
        err = gnt_pki_openssl_refuse(why, GNT_NOMEM, "a certificate");
    if (!err)
        err = fill(plan, key, issuer, certificate, why);
    if (!err && !X509_sign(certificate, signer, digest))
        err = gnt_pki_openssl_refuse(why, GNT_INVALID, "signing");
    if (!err)
        *out = certificate;
    else
        X509_free(certificate);
    return err;
}
