#include "pki/certs.h"
#include "pki/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>

/* The ends of a row of PEM objects: nothing more of the kind, or something broken. */
static bool at_end(void)
{
    return ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_PEM &&
           ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

/* One function for each kind: the types of OpenSSL's stacks do not let it be written once. */

static bool push_certs(BIO *in, bool pem, STACK_OF(X509) * list)
{
    X509 *one = pem ? PEM_read_bio_X509(in, NULL, NULL, NULL) : d2i_X509_bio(in, NULL);
    while (one && sk_X509_push(list, one))
        one = pem ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    bool complete = !one && (pem ? at_end() : sk_X509_num(list) > 0);
    X509_free(one);
    return complete;
}

static bool push_crls(BIO *in, bool pem, STACK_OF(X509_CRL) * list)
{
    X509_CRL *one = pem ? PEM_read_bio_X509_CRL(in, NULL, NULL, NULL) : d2i_X509_CRL_bio(in, NULL);
    while (one && sk_X509_CRL_push(list, one))
        one = pem ? PEM_read_bio_X509_CRL(in, NULL, NULL, NULL) : NULL;
    bool complete = !one && (pem ? at_end() : sk_X509_CRL_num(list) > 0);
    X509_CRL_free(one);
    return complete;
}

/* FILE as a BIO over what is read into *bytes. */
static gnt_err open_file(const char *file, struct gnt_buf *bytes, BIO **in, bool *pem,
                         struct gnt_pki_why *why)
{
    gnt_err err = gnt_files_read(file, bytes, why);
    if (err)
        return err;
    struct gnt_slice all = gnt_buf_slice(bytes);
    *pem = !all.size || all.data[0] != 0x30; /* DER begins with a SEQUENCE */
    *in = BIO_new_mem_buf(all.size ? (const void *)all.data : "", (int)all.size);
    return *in ? GNT_OK : gnt_pki_openssl_refuse(why, GNT_NOMEM, "%s", file);
}

static gnt_err judge(const char *file, const char *what, bool complete, int count,
                     struct gnt_pki_why *why)
{
    if (!complete)
        return gnt_pki_openssl_refuse(why, GNT_MALFORMED, "%s: a broken %s", file, what);
    ERR_clear_error(); /* that there is no further one */
    return count > 0 ? GNT_OK : gnt_pki_refuse(why, GNT_NOTFOUND, "%s: no %s in it", file, what);
}

gnt_err gnt_certs_load(const char *file, STACK_OF(X509) * *out, struct gnt_pki_why *why)
{
    struct gnt_buf bytes = {NULL, 0, 0, 0};
    BIO *in = NULL;
    bool pem = true;
    STACK_OF(X509) *list = sk_X509_new_null();
    gnt_err err = open_file(file, &bytes, &in, &pem, why);
    if (!err && !list)
        err = gnt_pki_openssl_refuse(why, GNT_NOMEM, "%s", file);
    if (!err) {
        bool complete = push_certs(in, pem, list);
        err = judge(file, "certificate", complete, sk_X509_num(list), why);
    }
    BIO_free(in);
    gnt_files_wipe(&bytes); /* there may be a key in it */
    if (err)
        sk_X509_pop_free(list, X509_free);
    else
        *out = list;
    return err;
}

gnt_err gnt_crls_load(const char *file, STACK_OF(X509_CRL) * *out, struct gnt_pki_why *why)
{
    struct gnt_buf bytes = {NULL, 0, 0, 0};
    BIO *in = NULL;
    bool pem = true;
    STACK_OF(X509_CRL) *list = sk_X509_CRL_new_null();
    gnt_err err = open_file(file, &bytes, &in, &pem, why);
    if (!err && !list)
        err = gnt_pki_openssl_refuse(why, GNT_NOMEM, "%s", file);
    if (!err) {
        bool complete = push_crls(in, pem, list);
        err = judge(file, "revocation list", complete, sk_X509_CRL_num(list), why);
    }
    BIO_free(in);
    gnt_buf_fini(&bytes);
    if (err)
        sk_X509_CRL_pop_free(list, X509_CRL_free);
    else
        *out = list;
    return err;
}

gnt_err gnt_certs_write(const X509 *certificate, struct gnt_buf *out)
{
    BIO *text = BIO_new(BIO_s_mem());
    gnt_err err = GNT_NOMEM;
    if (text && PEM_write_bio_X509(text, certificate))
        err = gnt_openssl_take(text, out);
    BIO_free(text);
    return err;
}

gnt_err gnt_crls_write(const X509_CRL *crl, struct gnt_buf *out)
{
    BIO *text = BIO_new(BIO_s_mem());
    gnt_err err = GNT_NOMEM;
    if (text && PEM_write_bio_X509_CRL(text, crl))
        err = gnt_openssl_take(text, out);
    BIO_free(text);
    return err;
}

gnt_err gnt_certs_add(STACK_OF(X509) * list, X509 *certificate)
{
    if (!X509_up_ref(certificate))
        return GNT_NOMEM;
    if (sk_X509_push(list, certificate))
        return GNT_OK;
    X509_free(certificate);
    return GNT_NOMEM;
}
