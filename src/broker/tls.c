#include "broker/tls.h"

#include "base/log.h"
#include "pki/certs.h"
#include "pki/facts.h"
#include "pki/key.h"
#include "pki/secret.h"

#include <openssl/crypto.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PROBLEM_MAX = 1024 };

/* What has been read until now. */
struct files {
    struct gnt_identity *identities;
    size_t identity_count;
    STACK_OF(X509) * cas;
    STACK_OF(X509_CRL) * crls;
    char secret[GNT_KEY_PASSPHRASE_MAX + 1];
    const char *passphrase; /* NULL: none, else in `secret` */
};

static void files_fini(struct files *f)
{
    for (size_t i = 0; i < f->identity_count; i++)
        gnt_identity_fini(&f->identities[i]);
    free(f->identities);
    sk_X509_pop_free(f->cas, X509_free);
    sk_X509_CRL_pop_free(f->crls, X509_CRL_free);
    OPENSSL_cleanse(f->secret, sizeof f->secret);
}

static gnt_err no_memory(struct gnt_pki_why *why)
{
    return gnt_pki_refuse(why, GNT_NOMEM, "%s", gnt_err_text(GNT_NOMEM));
}

static gnt_err load_passphrase(struct files *f, const char *source, struct gnt_pki_why *why)
{
    if (!source)
        return GNT_OK;
    f->passphrase = f->secret;
    return gnt_secret_read(source, f->secret, sizeof f->secret, why);
}

static gnt_err load_identity(struct files *f, const struct gnt_identity_source *source,
                             struct gnt_pki_why *why)
{
    struct gnt_identity *identity = &f->identities[f->identity_count];
    gnt_err err = gnt_identity_load(source, identity, why);
    if (err)
        return err;
    f->identity_count++;
    const char *file = source->pfx ? source->pfx : source->certificate;
    struct gnt_pki_why odd;
    if (X509_check_purpose(identity->certificate, X509_PURPOSE_SSL_SERVER, 0) == 0) {
        (void)!gnt_pki_refuse(&odd, GNT_STATE, "%s: it is not for servers: clients will refuse it",
                              file);
        gnt_log(GNT_LOG_WARNING, NULL, "certificate", GNT_F_STR("problem", odd.text));
    }
    if (gnt_identity_in_time(identity->certificate, (int64_t)time(NULL), file, &odd))
        gnt_log(GNT_LOG_WARNING, NULL, "certificate", GNT_F_STR("problem", odd.text));
    return GNT_OK;
}

static gnt_err load_identities(struct files *f, const struct gnt_config_tls *c,
                               struct gnt_pki_why *why)
{
    f->identities = calloc(c->certificates.count + c->pfxs.count, sizeof *f->identities);
    gnt_err err = f->identities ? GNT_OK : no_memory(why);
    for (size_t i = 0; i < c->certificates.count && !err; i++) {
        const struct gnt_identity_source source = {
            .certificate = c->certificates.items[i],
            .key = i < c->keys.count ? c->keys.items[i] : NULL,
            .passphrase = f->passphrase,
        };
        err = load_identity(f, &source, why);
    }
    for (size_t i = 0; i < c->pfxs.count && !err; i++) {
        const struct gnt_identity_source source = {.pfx = c->pfxs.items[i],
                                                   .passphrase = f->passphrase};
        err = load_identity(f, &source, why);
    }
    return err;
}

static gnt_err load_cas(struct files *f, const struct gnt_strings *names, struct gnt_pki_why *why)
{
    gnt_err err = GNT_OK;
    f->cas = names->count ? sk_X509_new_null() : NULL;
    if (names->count && !f->cas)
        return no_memory(why);
    for (size_t i = 0; i < names->count && !err; i++) {
        STACK_OF(X509) *list = NULL;
        err = gnt_certs_load(names->items[i], &list, why);
        for (int at = 0; at < sk_X509_num(list) && !err; at++)
            if (gnt_certs_add(f->cas, sk_X509_value(list, at)))
                err = no_memory(why);
        sk_X509_pop_free(list, X509_free);
    }
    return err;
}

static void look_at_date(const X509_CRL *crl, const char *file)
{
    char date[GNT_PKI_DATE];
    struct gnt_pki_why late;
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
    int64_t until = next ? gnt_facts_seconds(next) : INT64_MAX;
    if (until >= (int64_t)time(NULL))
        return;
    (void)!gnt_pki_refuse(&late, GNT_STATE,
                          "%s: out of date since %s: clients of its CA are refused", file,
                          gnt_pki_date(until, date));
    gnt_log(GNT_LOG_WARNING, NULL, "revocation-list", GNT_F_STR("problem", late.text));
}

static gnt_err load_crls(struct files *f, const struct gnt_strings *names, struct gnt_pki_why *why)
{
    gnt_err err = GNT_OK;
    f->crls = names->count ? sk_X509_CRL_new_null() : NULL;
    if (names->count && !f->crls)
        return no_memory(why);
    for (size_t i = 0; i < names->count && !err; i++) {
        STACK_OF(X509_CRL) *list = NULL;
        err = gnt_crls_load(names->items[i], &list, why);
        while (sk_X509_CRL_num(list) > 0 && !err) {
            look_at_date(sk_X509_CRL_value(list, 0), names->items[i]);
            if (sk_X509_CRL_push(f->crls, sk_X509_CRL_value(list, 0)) > 0)
                (void)sk_X509_CRL_shift(list);
            else
                err = no_memory(why);
        }
        sk_X509_CRL_pop_free(list, X509_CRL_free);
    }
    return err;
}

static bool judge(void *program, X509 *certificate, STACK_OF(X509) * chain, int verdict, int depth)
{
    return gnt_callback_judge(program, NULL, certificate, chain, verdict, depth);
}

static gnt_err choose(void *choices, const char *host, const STACK_OF(X509_NAME) * issuers,
                      struct gnt_identity *out)
{
    (void)issuers;
    return gnt_tls_choices_make(choices, host, out);
}

static gnt_err agree(const struct files *f, const struct gnt_config_tls *c,
                     const struct gnt_listener_tls *tls, struct gnt_tls_context **out,
                     struct gnt_pki_why *why)
{
    static const enum gnt_tls_ask asks[] = {
        [GNT_CONFIG_ASK_NONE] = GNT_TLS_NOT_ASKED,
        [GNT_CONFIG_ASK_OPTIONAL] = GNT_TLS_OPTIONAL,
        [GNT_CONFIG_ASK_REQUIRED] = GNT_TLS_REQUIRED,
    };
    static const enum gnt_tls_name names[] = {
        [GNT_CONFIG_IDENTITY_CN] = GNT_TLS_NAME_CN,
        [GNT_CONFIG_IDENTITY_SAN] = GNT_TLS_NAME_SAN,
        [GNT_CONFIG_IDENTITY_SUBJECT] = GNT_TLS_NAME_SUBJECT,
        [GNT_CONFIG_IDENTITY_NONE] = GNT_TLS_NAME_NONE,
    };
    static const char *const protocols[] = {
        [GNT_URL_MQTT] = "mqtt", [GNT_URL_HTTP] = "http/1.1", [GNT_URL_AMQP] = "amqp"};
    const char *const protocol = protocols[tls->kind];
    const struct gnt_callback_tls *program = tls->program;
    const struct gnt_tls_terms terms = {
        .server = true,
        .least = (enum gnt_tls_version)c->least,
        .greatest = (enum gnt_tls_version)c->greatest,
        .ciphers = c->ciphers,
        .suites = c->suites,
        .identities = f->identities,
        .identity_count = f->identity_count,
        .choose = tls->choices ? choose : NULL,
        .choose_context = tls->choices,
        .judge = program && program->judge ? judge : NULL,
        .judge_context = (void *)(uintptr_t)program,
        .cas = f->cas,
        .crls = f->crls,
        .ask = asks[c->ask],
        .name = names[c->identity],
        .protocols = &protocol,
        .protocol_count = 1,
        .before = tls->context,
    };
    return gnt_tls_context_new(&terms, out, why);
}

static gnt_err load(const struct gnt_config_tls *config, const struct gnt_listener_tls *tls,
                    struct gnt_tls_context **out, struct gnt_pki_why *why)
{
    struct files f = {0};
    gnt_err err = load_passphrase(&f, config->passphrase, why);
    if (!err)
        err = load_identities(&f, config, why);
    if (!err)
        err = load_cas(&f, &config->cas, why);
    if (!err)
        err = load_crls(&f, &config->crls, why);
    if (!err)
        err = agree(&f, config, tls, out, why);
    files_fini(&f);
    return err;
}

/* ---- Of a listener */

static void log_loaded(const char *url, const struct gnt_config_tls *config)
{
    static const char *const words[] = {[GNT_CONFIG_ASK_NONE] = "none",
                                        [GNT_CONFIG_ASK_OPTIONAL] = "optional",
                                        [GNT_CONFIG_ASK_REQUIRED] = "required"};
    const struct gnt_strings *files =
        config->certificates.count ? &config->certificates : &config->pfxs;
    gnt_log(GNT_LOG_INFO, NULL, "tls", GNT_F_STR("listener", url),
            GNT_F_STR("certificate", files->items[0]),
            GNT_F_NUM("certificates", config->certificates.count + config->pfxs.count),
            GNT_F_STR("client_certificates", words[config->ask]));
}

static gnt_err renew(struct gnt_listener_tls *tls, const struct gnt_config_tls *config,
                     char *problem, size_t cap)
{
    struct gnt_pki_why why;
    struct gnt_tls_context *context, *before = tls->context;
    gnt_err err = load(config, tls, &context, &why);
    if (err) {
        (void)snprintf(problem, cap, "%s: %s", tls->url, why.text);
        return err == GNT_NOMEM ? err : GNT_INVALID;
    }
    pthread_mutex_lock(&tls->lock);
    tls->context = context;
    pthread_mutex_unlock(&tls->lock);
    gnt_tls_context_unref(&before);
    log_loaded(tls->url, config);
    return GNT_OK;
}

gnt_err gnt_listener_tls_open(struct gnt_listener_tls *tls, const struct gnt_config *config,
                              const struct gnt_config_listener *listener, char *problem, size_t cap)
{
    struct gnt_config_tls said;
    struct gnt_why why;
    struct gnt_url url;
    if (gnt_config_tls(config, listener, &said, &why) || gnt_url_parse(listener->url, &url, &why)) {
        (void)snprintf(problem, cap, "%s", why.text);
        return GNT_INVALID;
    }
    if (!gnt_config_takes_tls(listener))
        return GNT_OK;
    tls->url = strdup(listener->url);
    if (!tls->url)
        return GNT_NOMEM;
    pthread_mutex_init(&tls->lock, NULL);
    tls->kind = url.scheme->kind;
    tls->by_header = !url.scheme->tls;
    tls->needed = gnt_config_needs_certificates(config, listener);
    if (tls->program && tls->program->choose && gnt_tls_choices_new(tls->program, &tls->choices))
        return GNT_NOMEM;
    return renew(tls, &said, problem, cap);
}

static const struct gnt_config_listener *find(const struct gnt_config *config, const char *url)
{
    for (size_t i = 0; i < config->listeners.count; i++)
        if (strcmp(config->listeners.items[i].url, url) == 0)
            return &config->listeners.items[i];
    return NULL;
}

void gnt_listener_tls_reload(struct gnt_listener_tls *tls, const struct gnt_config *config)
{
    char problem[PROBLEM_MAX];
    struct gnt_config_tls said;
    struct gnt_why why;
    const struct gnt_config_listener *listener = tls->url ? find(config, tls->url) : NULL;
    if (!listener) /* it is without TLS, or goes with the next start */
        return;
    gnt_err err = gnt_config_tls(config, listener, &said, &why);
    if (!err && !gnt_config_takes_tls(listener)) {
        gnt_why_set(&why, "%s: it goes without TLS at a restart only", tls->url);
        err = GNT_INVALID;
    }
    if (!err && tls->needed && said.ask != GNT_CONFIG_ASK_REQUIRED) {
        gnt_why_set(&why, "%s: other machines could connect without a certificate or a password",
                    tls->url);
        err = GNT_DENIED;
    }
    if (err)
        (void)snprintf(problem, sizeof problem, "%s", why.text);
    else
        err = renew(tls, &said, problem, sizeof problem);
    if (err)
        gnt_log(GNT_LOG_ERROR, NULL, "reload-failed", GNT_F_STR("problem", problem),
                GNT_F_STR("certificates", "as before"));
}

struct gnt_tls_context *gnt_listener_tls_take(struct gnt_listener_tls *tls)
{
    if (!tls->url)
        return NULL;
    pthread_mutex_lock(&tls->lock);
    struct gnt_tls_context *context = gnt_tls_context_ref(tls->context);
    pthread_mutex_unlock(&tls->lock);
    return context;
}

void gnt_listener_tls_close(struct gnt_listener_tls *tls)
{
    if (!tls->url)
        return;
    gnt_tls_context_unref(&tls->context);
    gnt_tls_choices_free(&tls->choices);
    pthread_mutex_destroy(&tls->lock);
    free(tls->url);
    *tls = (struct gnt_listener_tls){0};
}
