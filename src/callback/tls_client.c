#include "callback/tls_client.h"

#include "callback/tls.h"
#include "pki/certs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PROTOCOLS_MAX = 16,
    PROTOCOLS_SIZE = 256,
};

const char *gnt_tls_client_mistake(const struct gnatter_tls_options *o, bool on)
{
    const struct gnatter_tls_identity *own = &o->identity;
    bool said = o->on || o->ca_file || o->ca_directory || o->crl_file || own->certificate ||
                own->key || own->pfx || own->passphrase || o->least || o->greatest || o->ciphers ||
                o->suites || o->alpn || o->server_name || o->any_host || o->judge || o->choose;
    if (said && !on)
        return "TLS is not on";
    if (own->pfx && (own->certificate || own->key))
        return "a PFX file is given, and a certificate or a key besides";
    if (own->key && !own->certificate)
        return "a key is given, and no certificate";
    return NULL;
}

/* ---- Application protocols */

struct protocols {
    char text[PROTOCOLS_SIZE];
    const char *names[PROTOCOLS_MAX];
    size_t count;
};

/* "mqtt,http/1.1" */
static gnt_err cut(const char *list, struct protocols *out, struct gnt_pki_why *why)
{
    char *rest = out->text;
    size_t size = strlen(list);
    if (size < sizeof out->text)
        memcpy(out->text, list, size + 1);
    while (size < sizeof out->text && rest && out->count < PROTOCOLS_MAX)
        out->names[out->count++] = strsep(&rest, ",");
    return rest ? gnt_pki_refuse(why, GNT_INVALID, "ALPN: too many names") : GNT_OK;
}

/* ---- Everything that lives until the context has counted it */

struct made {
    STACK_OF(X509) * cas;
    STACK_OF(X509_CRL) * crls;
    struct gnt_identity identity;
    struct protocols protocols;
};

static void made_fini(struct made *m)
{
    sk_X509_pop_free(m->cas, X509_free);
    sk_X509_CRL_pop_free(m->crls, X509_CRL_free);
    gnt_identity_fini(&m->identity);
}

/* OpenSSL looks for files in it when it needs one, and finds none where there is no such place. */
static gnt_err check_directory(const char *name, struct gnt_pki_why *why)
{
    struct stat status;
    if (stat(name, &status))
        return gnt_pki_refuse(why, gnt_err_from_errno(errno), "%s: %s", name, strerror(errno));
    return S_ISDIR(status.st_mode)
               ? GNT_OK
               : gnt_pki_refuse(why, GNT_INVALID, "%s: %s", name, strerror(ENOTDIR));
}

static gnt_err load(const struct gnatter_tls_options *o, struct made *m, struct gnt_pki_why *why)
{
    struct gnt_identity_source source;
    gnt_err err = GNT_OK;
    if (o->ca_file)
        err = gnt_certs_load(o->ca_file, &m->cas, why);
    if (!err && o->ca_directory)
        err = check_directory(o->ca_directory, why);
    if (!err && o->crl_file)
        err = gnt_crls_load(o->crl_file, &m->crls, why);
    if (!err && !o->choose && gnt_callback_identity(&o->identity, &source))
        err = gnt_identity_load(&source, &m->identity, why);
    if (!err && o->alpn)
        err = cut(o->alpn, &m->protocols, why);
    return err;
}

/* What both sides say; borrows from O and M. */
static struct gnt_tls_terms terms_of(const struct gnatter_tls_options *o, const struct made *m,
                                     gnt_tls_judge *judge, void *context)
{
    return (struct gnt_tls_terms){
        .least = (enum gnt_tls_version)o->least,
        .greatest = (enum gnt_tls_version)o->greatest,
        .ciphers = o->ciphers,
        .suites = o->suites,
        .identities = &m->identity,
        .identity_count = m->identity.certificate != NULL,
        .cas = m->cas,
        .crls = m->crls,
        .judge = o->judge ? judge : NULL,
        .judge_context = context,
    };
}

gnt_err gnt_tls_client_context(const struct gnatter_tls_options *o, gnt_tls_judge *judge,
                               gnt_tls_choose *choose, void *context, struct gnt_tls_context **out,
                               struct gnt_pki_why *why)
{
    struct made m = {.cas = NULL};
    gnt_err err = load(o, &m, why);
    struct gnt_tls_terms terms = terms_of(o, &m, judge, context);
    terms.ca_dir = o->ca_directory;
    terms.choose = o->choose ? choose : NULL;
    terms.choose_context = context;
    terms.any_host = o->any_host;
    terms.protocols = m.protocols.names;
    terms.protocol_count = m.protocols.count;
    if (!err)
        err = gnt_tls_context_new(&terms, out, why);
    made_fini(&m);
    return err;
}

gnt_err gnt_tls_server_context(const struct gnatter_tls_options *o, gnt_tls_judge *judge,
                               void *context, struct gnt_tls_context **out, struct gnt_pki_why *why)
{
    static const char *const protocols[] = {"amqp"};
    struct made m = {.cas = NULL};
    gnt_err err = load(o, &m, why);
    struct gnt_tls_terms terms = terms_of(o, &m, judge, context);
    terms.server = true;
    terms.ask = o->ca_file ? GNT_TLS_REQUIRED : GNT_TLS_NOT_ASKED;
    terms.name = GNT_TLS_NAME_CN;
    terms.protocols = protocols;
    terms.protocol_count = 1;
    if (!err)
        err = gnt_tls_context_new(&terms, out, why);
    made_fini(&m);
    return err;
}
