#include "callback/tls.h"

#include "pki/check.h"
#include "pki/facts.h"
#include "pki/name.h"

#include <openssl/err.h>
#include <stdlib.h>

_Static_assert((int)GNATTER_TLS_ANY == (int)GNT_TLS_ANY &&
                   (int)GNATTER_TLS_1_0 == (int)GNT_TLS_1_0 &&
                   (int)GNATTER_TLS_1_1 == (int)GNT_TLS_1_1 &&
                   (int)GNATTER_TLS_1_2 == (int)GNT_TLS_1_2 &&
                   (int)GNATTER_TLS_1_3 == (int)GNT_TLS_1_3,
               "versions go through unchanged");

enum { CHAIN_MAX = 16, ISSUERS_MAX = 64 }; /* what is over is not shown */

/* NAME as text with a zero byte, which is the caller's to free; NULL: no memory. */
static char *text_of(const X509_NAME *name)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    gnt_err err = gnt_name_print(name, &text);
    if (!err)
        err = gnt_buf_put(&text, gnt_slice("", 1));
    char *out = err ? NULL : strdup((const char *)gnt_buf_slice(&text).data);
    gnt_buf_fini(&text);
    return out;
}

/* ---- What was shown */

struct shown {
    struct gnatter_certificate chain[CHAIN_MAX];
    size_t count;
};

bool gnt_callback_certificate(X509 *certificate, struct gnatter_certificate *out)
{
    unsigned char *der = NULL;
    int size = i2d_X509(certificate, &der);
    *out = (struct gnatter_certificate){
        .subject = text_of(X509_get_subject_name(certificate)),
        .issuer = text_of(X509_get_issuer_name(certificate)),
        .from = gnt_facts_seconds(X509_get0_notBefore(certificate)),
        .until = gnt_facts_seconds(X509_get0_notAfter(certificate)),
        .der = der,
        .der_size = size > 0 ? (size_t)size : 0,
        .x509 = certificate,
    };
    if (out->subject && out->issuer && size > 0)
        return true;
    gnt_callback_certificate_forget(out);
    return false;
}

void gnt_callback_certificate_forget(struct gnatter_certificate *c)
{
    free((void *)(uintptr_t)c->subject);
    free((void *)(uintptr_t)c->issuer);
    OPENSSL_free((void *)(uintptr_t)c->der);
    *c = (struct gnatter_certificate){NULL, NULL, 0, 0, NULL, 0, NULL};
    ERR_clear_error();
}

static bool add(struct shown *shown, X509 *certificate)
{
    bool added = gnt_callback_certificate(certificate, &shown->chain[shown->count]);
    shown->count += added;
    return added;
}

/* OpenSSL's chain has the certificate in front once it has begun to build. */
static bool add_all(struct shown *shown, X509 *certificate, STACK_OF(X509) * chain)
{
    int count = sk_X509_num(chain);
    bool added = count > 0 || add(shown, certificate);
    for (int i = 0; i < count && i < CHAIN_MAX && added; i++)
        added = add(shown, sk_X509_value(chain, i));
    return added;
}

static void forget(struct shown *shown)
{
    for (size_t i = 0; i < shown->count; i++)
        gnt_callback_certificate_forget(&shown->chain[i]);
    free(shown);
}

bool gnt_callback_judge(const struct gnt_callback_tls *to, const char *host, X509 *certificate,
                        STACK_OF(X509) * chain, int verdict, int depth)
{
    struct shown *shown = calloc(1, sizeof *shown);
    if (!shown)
        return false;
    bool accepted = add_all(shown, certificate, chain);
    const struct gnatter_tls_shown told = {.host = host,
                                           .chain = shown->chain,
                                           .count = shown->count,
                                           .verdict = verdict,
                                           .depth = depth > 0 ? (size_t)depth : 0,
                                           .words = gnt_check_words(verdict)};
    if (accepted)
        accepted = to->judge(to->context, &told);
    forget(shown);
    return accepted;
}

/* ---- What is to be shown */

bool gnt_callback_identity(const struct gnatter_tls_identity *from, struct gnt_identity_source *to)
{
    *to = (struct gnt_identity_source){.certificate = from->certificate,
                                       .key = from->key,
                                       .pfx = from->pfx,
                                       .passphrase = from->passphrase};
    return from->certificate || from->pfx;
}

gnt_err gnt_callback_choose(const struct gnt_callback_tls *to, const char *host,
                            const STACK_OF(X509_NAME) * issuers, struct gnt_identity *out,
                            struct gnt_pki_why *why)
{
    char *names[ISSUERS_MAX];
    struct gnatter_tls_identity chosen = {NULL, NULL, NULL, NULL};
    struct gnt_identity_source source;
    struct gnatter_tls_wish wish = {.host = host, .issuers = (const char *const *)names};
    bool told = true;
    for (int i = 0; i < sk_X509_NAME_num(issuers) && i < ISSUERS_MAX && told; i++) {
        names[wish.issuer_count] = text_of(sk_X509_NAME_value(issuers, i));
        told = names[wish.issuer_count] != NULL;
        wish.issuer_count += told;
    }
    if (told)
        to->choose(to->context, &wish, &chosen);
    for (size_t i = 0; i < wish.issuer_count; i++)
        free(names[i]);
    if (!told)
        return gnt_pki_refuse(why, GNT_NOMEM, "%s", gnt_err_text(GNT_NOMEM));
    if (!gnt_callback_identity(&chosen, &source))
        return GNT_NOTFOUND;
    gnt_err err = gnt_identity_load(&source, out, why);
    return err == GNT_NOTFOUND ? GNT_INVALID : err;
}
