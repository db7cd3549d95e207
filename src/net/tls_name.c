#include "net/tls_name.h"

#include "base/utf8.h"
#include "pki/name.h"

#include <openssl/x509v3.h>

/* A name is what rights are given to, so nothing is cut off or escaped in it, and two certificates
 * never come to one name by that. */
static gnt_err put(struct gnt_slice text, struct gnt_buf *out)
{
    char safe[4 * GNT_TLS_NAME_MAX + 8]; /* where each byte is \xNN */
    if (!text.size || text.size > GNT_TLS_NAME_MAX ||
        !gnt_slice_eq_str(text, gnt_utf8_printable(text, safe, sizeof safe)))
        return GNT_NOTFOUND;
    return gnt_buf_put(out, text);
}

static gnt_err put_string(const ASN1_STRING *string, struct gnt_buf *out)
{
    unsigned char *text = NULL;
    int size = ASN1_STRING_to_UTF8(&text, string);
    gnt_err err = size < 0 ? GNT_NOTFOUND : put(gnt_slice(text, (size_t)size), out);
    OPENSSL_free(text);
    return err;
}

static gnt_err put_nothing(const X509 *certificate, struct gnt_buf *out)
{
    (void)certificate;
    (void)out;
    return GNT_NOTFOUND;
}

static gnt_err put_common(const X509 *certificate, struct gnt_buf *out)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    return at < 0 ? GNT_NOTFOUND
                  : put_string(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), out);
}

static gnt_err put_alternative(const X509 *certificate, struct gnt_buf *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    gnt_err err = GNT_NOTFOUND;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const void *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type != GEN_EMAIL && type != GEN_DNS && type != GEN_URI)
            continue;
        err = put_string(value, out);
        break;
    }
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
    return err;
}

static gnt_err put_subject(const X509 *certificate, struct gnt_buf *out)
{
    struct gnt_buf text = {0};
    gnt_err err = gnt_name_print(X509_get_subject_name(certificate), &text);
    if (!err)
        err = put(gnt_buf_slice(&text), out);
    gnt_buf_fini(&text);
    return err;
}

gnt_err gnt_tls_name(enum gnt_tls_name rule, const X509 *certificate, struct gnt_buf *out)
{
    static gnt_err (*const puts[])(const X509 *, struct gnt_buf *) = {
        [GNT_TLS_NAME_NONE] = put_nothing,
        [GNT_TLS_NAME_CN] = put_common,
        [GNT_TLS_NAME_SAN] = put_alternative,
        [GNT_TLS_NAME_SUBJECT] = put_subject,
    };
    return puts[rule](certificate, out);
}
