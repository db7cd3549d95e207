#include "pki/facts.h"
#include "base/utf8.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t gnt_facts_seconds(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) ? timegm(&tm) : INT64_MIN;
}

char *gnt_facts_serial(const ASN1_INTEGER *serial, char out[GNT_FACTS_SERIAL])
{
    BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
    char *text = number ? BN_bn2hex(number) : NULL;
    (void)snprintf(out, GNT_FACTS_SERIAL, "%s", text ? text : "?");
    OPENSSL_free(text);
    BN_free(number);
    return out;
}

gnt_err gnt_facts_fingerprint(const X509 *certificate, const char *digest, struct gnt_buf *out)
{
    uint8_t bytes[EVP_MAX_MD_SIZE];
    char text[3 * EVP_MAX_MD_SIZE + 1];
    unsigned size = 0;
    if (!X509_digest(certificate, EVP_get_digestbyname(digest), bytes, &size))
        return GNT_NOMEM;
    for (unsigned i = 0; i < size; i++)
        (void)snprintf(text + 3 * (size_t)i, 4, "%02X:", (unsigned)bytes[i]);
    return gnt_buf_put(out, gnt_slice(text, size ? 3 * (size_t)size - 1 : 0));
}

/* ---- Names */

static gnt_err tell_text(const char *kind, const ASN1_STRING *text, gnt_facts_tell *tell,
                         void *context)
{
    size_t size = (size_t)ASN1_STRING_length(text), front = strlen(kind),
           cap = front + 4 * size + 8;
    char *line = malloc(cap); /* where each byte is \xNN */
    if (!line)
        return GNT_NOMEM;
    memcpy(line, kind, front);
    gnt_utf8_printable(gnt_slice(ASN1_STRING_get0_data(text), size), line + front, cap - front);
    gnt_err err = tell(context, line);
    free(line);
    return err;
}

static gnt_err tell_address(const ASN1_OCTET_STRING *address, gnt_facts_tell *tell, void *context)
{
    char text[INET6_ADDRSTRLEN], line[INET6_ADDRSTRLEN + 8];
    int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
    if (ASN1_STRING_length(address) != 4 && ASN1_STRING_length(address) != 16)
        return tell(context, "IP:?");
    if (!inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof text))
        return tell(context, "IP:?");
    (void)snprintf(line, sizeof line, "IP:%s", text);
    return tell(context, line);
}

static gnt_err tell_name(const GENERAL_NAME *name, gnt_facts_tell *tell, void *context)
{
    int type;
    const void *value = GENERAL_NAME_get0_value(name, &type);
    if (type == GEN_DNS)
        return tell_text("DNS:", value, tell, context);
    if (type == GEN_EMAIL)
        return tell_text("email:", value, tell, context);
    if (type == GEN_URI)
        return tell_text("URI:", value, tell, context);
    return type == GEN_IPADD ? tell_address(value, tell, context) : tell(context, "another kind");
}

gnt_err gnt_facts_names(const X509 *certificate, gnt_facts_tell *tell, void *context)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    gnt_err err = GNT_OK;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !err; i++)
        err = tell_name(sk_GENERAL_NAME_value(names, i), tell, context);
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
    return err;
}

/* ---- Usages */

/* Key usage as RFC 5280 4.2.1.3 names it. */
static const struct {
    uint32_t bit;
    const char *name;
} key_usages[] = {
    {KU_DIGITAL_SIGNATURE, "digitalSignature"},
    {KU_NON_REPUDIATION, "nonRepudiation"},
    {KU_KEY_ENCIPHERMENT, "keyEncipherment"},
    {KU_DATA_ENCIPHERMENT, "dataEncipherment"},
    {KU_KEY_AGREEMENT, "keyAgreement"},
    {KU_KEY_CERT_SIGN, "keyCertSign"},
    {KU_CRL_SIGN, "cRLSign"},
};

static gnt_err tell_usage(const ASN1_OBJECT *usage, gnt_facts_tell *tell, void *context)
{
    char text[80];
    int nid = OBJ_obj2nid(usage);
    if (nid == NID_server_auth)
        return tell(context, "server");
    if (nid == NID_client_auth)
        return tell(context, "client");
    OBJ_obj2txt(text, sizeof text, usage, 0);
    return tell(context, text);
}

gnt_err gnt_facts_usages(const X509 *certificate, gnt_facts_tell *tell, void *context)
{
    ASN1_BIT_STRING *bits = X509_get_ext_d2i(certificate, NID_key_usage, NULL, NULL);
    EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(certificate, NID_ext_key_usage, NULL, NULL);
    uint32_t set = bits && ASN1_STRING_length(bits) > 0 ? ASN1_STRING_get0_data(bits)[0] : 0;
    gnt_err err = GNT_OK;
    for (int i = 0; i < sk_ASN1_OBJECT_num(usages) && !err; i++)
        err = tell_usage(sk_ASN1_OBJECT_value(usages, i), tell, context);
    for (size_t i = 0; i < sizeof key_usages / sizeof key_usages[0] && !err; i++) {
        if (set & key_usages[i].bit)
            err = tell(context, key_usages[i].name);
    }
    sk_ASN1_OBJECT_pop_free(usages, ASN1_OBJECT_free);
    ASN1_BIT_STRING_free(bits);
    return err;
}
