#include "net/tls_context.h"

#include "base/list.h"
#include "net/tls_secrets.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    HOSTS_MAX = 16,      /* of which a client keeps the last session */
    PROTOCOLS_MAX = 256, /* bytes of ALPN names with their lengths */
    TICKET_KEYS = 128,   /* bytes, at least as many as OpenSSL has */
    TICKETS = 1,         /* that a client gets: it keeps no more */
};

/* The last session with a host. */
struct known {
    struct gnt_list link; /* in context->known, the newest last */
    SSL_SESSION *session;
    char host[];
};

struct gnt_tls_context {
    atomic_uint count;
    SSL_CTX *ssl;
    bool server;
    bool any_host;
    enum gnt_tls_name name;
    gnt_tls_judge *judge;
    void *judge_context;
    gnt_tls_choose *choose;
    void *choose_context;
    struct gnt_identity *others; /* by SNI; the first identity is OpenSSL's own */
    size_t other_count;
    uint8_t protocols[PROTOCOLS_MAX]; /* as on the wire */
    unsigned protocols_size;
    pthread_mutex_t lock; /* guards `known`, taken last, held for a search in a short list */
    struct gnt_list known;
    unsigned known_count;
};

/* ---- Sessions of clients */

static struct known *find(struct gnt_tls_context *c, const char *host)
{
    gnt_list_each (link, &c->known) {
        struct known *k = GNT_CONTAINER(link, struct known, link);
        if (strcmp(k->host, host) == 0)
            return k;
    }
    return NULL;
}

static void forget(struct gnt_tls_context *c, struct known *k)
{
    gnt_list_remove(&k->link);
    c->known_count--;
    SSL_SESSION_free(k->session);
    free(k);
}

static struct known *add(struct gnt_tls_context *c, const char *host)
{
    size_t size = strlen(host) + 1;
    struct known *k = malloc(sizeof *k + size);
    if (!k)
        return NULL;
    if (c->known_count == HOSTS_MAX)
        forget(c, GNT_CONTAINER(c->known.next, struct known, link));
    k->session = NULL;
    memcpy(k->host, host, size);
    gnt_list_init(&k->link);
    gnt_list_push_back(&c->known, &k->link);
    c->known_count++;
    return k;
}

/* 1: SESSION is ours.  What cannot be kept is only not resumed. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct gnt_tls_context *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const char *host = SSL_get_app_data(ssl);
    if (!host)
        return 0;
    pthread_mutex_lock(&c->lock);
    struct known *k = find(c, host);
    if (!k)
        k = add(c, host);
    if (k) {
        SSL_SESSION_free(k->session);
        k->session = session;
    }
    pthread_mutex_unlock(&c->lock);
    return k != NULL;
}

static bool resume(struct gnt_tls_context *c, SSL *ssl, const char *host)
{
    pthread_mutex_lock(&c->lock);
    struct known *k = find(c, host);
    bool done = !k || SSL_set_session(ssl, k->session);
    pthread_mutex_unlock(&c->lock);
    return done;
}

/* ---- What OpenSSL asks */

static int on_verify(X509_STORE_CTX *store, void *context)
{
    const struct gnt_tls_context *c = context;
    bool good = X509_verify_cert(store) > 0;
    int verdict = X509_STORE_CTX_get_error(store);
    if (!c->judge || (!good && verdict == X509_V_OK)) /* the latter: out of memory */
        return good;
    bool accepted =
        c->judge(c->judge_context, X509_STORE_CTX_get0_cert(store),
                 X509_STORE_CTX_get0_chain(store), verdict, X509_STORE_CTX_get_error_depth(store));
    if (accepted)
        X509_STORE_CTX_set_error(store, X509_V_OK);
    else if (good)
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return accepted;
}

/* The former certificate may be for another kind of key, and would stay. */
static int show(SSL *ssl, const struct gnt_identity *own)
{
    SSL_certs_clear(ssl);
    return SSL_use_cert_and_key(ssl, own->certificate, own->key, own->chain, 1);
}

/* The server's certificate by the host that the client asks for. */
static int show_for(const struct gnt_tls_context *c, SSL *ssl, const char *host)
{
    if (!host || X509_check_host(SSL_CTX_get0_certificate(c->ssl), host, 0, 0, NULL) == 1)
        return 1;
    for (size_t i = 0; i < c->other_count; i++) {
        if (X509_check_host(c->others[i].certificate, host, 0, 0, NULL) == 1)
            return show(ssl, &c->others[i]);
    }
    return 1;
}

/* Of a client it is asked for when the server wants a certificate. */
static int on_certificate(SSL *ssl, void *context)
{
    const struct gnt_tls_context *c = context;
    struct gnt_identity chosen = {NULL, NULL, NULL};
    const char *host =
        c->server ? SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) : SSL_get_app_data(ssl);
    gnt_err err = GNT_NOTFOUND;
    if (c->choose)
        err = c->choose(c->choose_context, host, c->server ? NULL : SSL_get0_peer_CA_list(ssl),
                        &chosen);
    if (err == GNT_NOTFOUND)
        return c->server ? show_for(c, ssl, host) : 1;
    int shown = !err && show(ssl, &chosen);
    gnt_identity_fini(&chosen);
    return shown;
}

/* Whoever offers protocols and not one of ours is refused [RFC 7301 3.2]. */
static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *size,
                        const unsigned char *offered, unsigned offered_size, void *context)
{
    const struct gnt_tls_context *c = context;
    unsigned char *chosen;
    (void)ssl;
    int found = SSL_select_next_proto(&chosen, size, c->protocols, c->protocols_size, offered,
                                      offered_size);
    *out = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- Made of its terms */

static gnt_err set_versions(SSL_CTX *ssl, const struct gnt_tls_terms *terms,
                            struct gnt_pki_why *why)
{
    enum gnt_tls_version least = terms->least ? terms->least : GNT_TLS_1_2;
    if (terms->greatest && terms->greatest < least)
        return gnt_pki_refuse(why, GNT_INVALID, "the greatest TLS version is below the least");
    if (!SSL_CTX_set_min_proto_version(ssl, (int)least) ||
        !SSL_CTX_set_max_proto_version(ssl, (int)terms->greatest))
        return gnt_pki_openssl_refuse(why, GNT_INVALID, "TLS version");
    if (least < GNT_TLS_1_2)
        SSL_CTX_set_security_level(ssl, 0);
    return GNT_OK;
}

static gnt_err set_ciphers(SSL_CTX *ssl, const struct gnt_tls_terms *terms, struct gnt_pki_why *why)
{
    if (terms->ciphers && !SSL_CTX_set_cipher_list(ssl, terms->ciphers))
        return gnt_pki_openssl_refuse(why, GNT_INVALID, "ciphers %s", terms->ciphers);
    if (terms->suites && !SSL_CTX_set_ciphersuites(ssl, terms->suites))
        return gnt_pki_openssl_refuse(why, GNT_INVALID, "cipher suites %s", terms->suites);
    return GNT_OK;
}

static gnt_err set_identities(struct gnt_tls_context *c, const struct gnt_tls_terms *terms,
                              struct gnt_pki_why *why)
{
    const struct gnt_identity *first = terms->identities;
    if (terms->choose || (terms->server && terms->identity_count > 1))
        SSL_CTX_set_cert_cb(c->ssl, on_certificate, c);
    if (!terms->identity_count)
        return terms->server ? gnt_pki_refuse(why, GNT_INVALID, "a server needs a certificate")
                             : GNT_OK;
    if (!SSL_CTX_use_cert_and_key(c->ssl, first->certificate, first->key, first->chain, 1))
        return gnt_pki_openssl_refuse(why, GNT_INVALID, "certificate");
    if (!terms->server || terms->identity_count == 1)
        return GNT_OK;
    c->others = calloc(terms->identity_count - 1, sizeof *c->others);
    if (!c->others)
        return GNT_NOMEM;
    for (size_t i = 1; i < terms->identity_count; i++) {
        gnt_err err = gnt_identity_share(&terms->identities[i], &c->others[c->other_count]);
        if (err)
            return err;
        c->other_count++;
    }
    return GNT_OK;
}

static gnt_err set_trust(SSL_CTX *ssl, const struct gnt_tls_terms *terms)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    bool own = terms->cas || terms->ca_dir || terms->server;
    bool added = own || SSL_CTX_set_default_verify_paths(ssl);
    if (terms->ca_dir && added)
        added = X509_STORE_load_path(store, terms->ca_dir);
    for (int i = 0; i < sk_X509_num(terms->cas) && added; i++) {
        X509 *ca = sk_X509_value(terms->cas, i);
        added =
            X509_STORE_add_cert(store, ca) && (!terms->server || SSL_CTX_add_client_CA(ssl, ca));
    }
    for (int i = 0; i < sk_X509_CRL_num(terms->crls) && added; i++)
        added = X509_STORE_add_crl(store, sk_X509_CRL_value(terms->crls, i));
    if (terms->crls && added)
        added = X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return added ? GNT_OK : GNT_NOMEM;
}

static int verify_mode(const struct gnt_tls_terms *terms)
{
    static const int of_server[] = {
        [GNT_TLS_NOT_ASKED] = SSL_VERIFY_NONE,
        [GNT_TLS_OPTIONAL] = SSL_VERIFY_PEER,
        [GNT_TLS_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    return terms->server ? of_server[terms->ask] : SSL_VERIFY_PEER;
}

static bool digest_trust(EVP_MD_CTX *digest, const struct gnt_tls_terms *terms)
{
    uint8_t one[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    uint8_t ask = (uint8_t)terms->ask;
    bool done = EVP_DigestInit_ex(digest, EVP_sha256(), NULL) && EVP_DigestUpdate(digest, &ask, 1);
    for (int i = 0; i < sk_X509_num(terms->cas) && done; i++)
        done = X509_digest(sk_X509_value(terms->cas, i), EVP_sha256(), one, &size) &&
               EVP_DigestUpdate(digest, one, size);
    for (int i = 0; i < sk_X509_CRL_num(terms->crls) && done; i++)
        done = X509_CRL_digest(sk_X509_CRL_value(terms->crls, i), EVP_sha256(), one, &size) &&
               EVP_DigestUpdate(digest, one, size);
    return done;
}

/* Who resumes a session is not verified again, so a session counts only under the same trust: a
 * client that has been revoked since is asked for everything anew. */
static gnt_err bind_sessions(SSL_CTX *ssl, const struct gnt_tls_terms *terms)
{
    uint8_t trust[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool done = digest && digest_trust(digest, terms) && EVP_DigestFinal_ex(digest, trust, &size) &&
                SSL_CTX_set_session_id_context(ssl, trust, size);
    EVP_MD_CTX_free(digest);
    return done ? GNT_OK : GNT_NOMEM;
}

/* Tickets open under the keys that they were closed with. */
static gnt_err inherit_tickets(SSL_CTX *ssl, const struct gnt_tls_context *before)
{
    uint8_t keys[TICKET_KEYS];
    long size = SSL_CTX_get_tlsext_ticket_keys(ssl, NULL, 0);
    bool done = size > 0 && size <= TICKET_KEYS &&
                SSL_CTX_get_tlsext_ticket_keys(before->ssl, keys, size) == 1 &&
                SSL_CTX_set_tlsext_ticket_keys(ssl, keys, size) == 1;
    OPENSSL_cleanse(keys, sizeof keys);
    return done ? GNT_OK : GNT_NOMEM;
}

static int on_new_ticket(SSL *ssl, void *context)
{
    (void)ssl;
    (void)context;
    return 1;
}

/* Nor does a certificate outlive its time in a session, which is as young as its last ticket. */
static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                   size_t name_size, SSL_TICKET_STATUS status, void *context)
{
    (void)ssl;
    (void)name;
    (void)name_size;
    (void)context;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    const X509 *peer = SSL_SESSION_get0_peer(session);
    if (peer && X509_cmp_current_time(X509_get0_notAfter(peer)) <= 0)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static gnt_err set_sessions(struct gnt_tls_context *c, const struct gnt_tls_terms *terms)
{
    if (!terms->server) {
        SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(c->ssl, on_session);
        return GNT_OK;
    }
    SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF); /* tickets: the client keeps it */
    if (!SSL_CTX_set_num_tickets(c->ssl, TICKETS) ||
        !SSL_CTX_set_session_ticket_cb(c->ssl, on_new_ticket, on_ticket, NULL))
        return GNT_NOMEM;
    gnt_tls_secrets_watch(c->ssl);
    gnt_err err = bind_sessions(c->ssl, terms);
    return err || !terms->before ? err : inherit_tickets(c->ssl, terms->before);
}

static gnt_err set_protocols(struct gnt_tls_context *c, const struct gnt_tls_terms *terms,
                             struct gnt_pki_why *why)
{
    for (size_t i = 0; i < terms->protocol_count; i++) {
        size_t size = strlen(terms->protocols[i]);
        if (!size || size > UINT8_MAX || c->protocols_size + 1 + size > PROTOCOLS_MAX)
            return gnt_pki_refuse(why, GNT_INVALID, "ALPN: names empty or too long");
        c->protocols[c->protocols_size++] = (uint8_t)size;
        memcpy(c->protocols + c->protocols_size, terms->protocols[i], size);
        c->protocols_size += (unsigned)size;
    }
    if (!c->protocols_size)
        return GNT_OK;
    if (terms->server)
        SSL_CTX_set_alpn_select_cb(c->ssl, on_protocols, c);
    else if (SSL_CTX_set_alpn_protos(c->ssl, c->protocols, c->protocols_size))
        return GNT_NOMEM;
    return GNT_OK;
}

/* Input is read as much as there is, not a header and then a record; a connection that has nothing
 * to say has no buffers; and what there is no use for is off. */
static void set_manners(struct gnt_tls_context *c, const struct gnt_tls_terms *terms)
{
    SSL_CTX_set_app_data(c->ssl, c);
    SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(c->ssl, 1);
    SSL_CTX_set_options(c->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF | /* net/tls.c knows it */
                                    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_verify(c->ssl, verify_mode(terms), NULL);
    SSL_CTX_set_cert_verify_callback(c->ssl, on_verify, c);
}

static gnt_err fill(struct gnt_tls_context *c, const struct gnt_tls_terms *terms,
                    struct gnt_pki_why *why)
{
    set_manners(c, terms);
    gnt_err err = set_versions(c->ssl, terms, why);
    if (!err)
        err = set_ciphers(c->ssl, terms, why);
    if (!err)
        err = set_identities(c, terms, why);
    if (!err)
        err = set_trust(c->ssl, terms);
    if (!err)
        err = set_sessions(c, terms);
    return err ? err : set_protocols(c, terms, why);
}

static void context_free(struct gnt_tls_context *c)
{
    while (!gnt_list_empty(&c->known))
        forget(c, GNT_CONTAINER(c->known.next, struct known, link));
    for (size_t i = 0; i < c->other_count; i++)
        gnt_identity_fini(&c->others[i]);
    free(c->others);
    SSL_CTX_free(c->ssl);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

gnt_err gnt_tls_context_new(const struct gnt_tls_terms *terms, struct gnt_tls_context **out,
                            struct gnt_pki_why *why)
{
    struct gnt_tls_context *c = calloc(1, sizeof *c);
    if (!c)
        return gnt_pki_refuse(why, GNT_NOMEM, "%s", gnt_err_text(GNT_NOMEM));
    atomic_init(&c->count, 1);
    gnt_list_init(&c->known);
    pthread_mutex_init(&c->lock, NULL);
    c->server = terms->server;
    c->name = terms->name;
    c->judge = terms->judge;
    c->judge_context = terms->judge_context;
    c->any_host = terms->any_host;
    c->choose = terms->choose;
    c->choose_context = terms->choose_context;
    c->ssl = SSL_CTX_new(terms->server ? TLS_server_method() : TLS_client_method());
    gnt_err err = c->ssl ? fill(c, terms, why) : GNT_NOMEM;
    ERR_clear_error();
    if (err) {
        context_free(c);
        return err == GNT_NOMEM ? gnt_pki_refuse(why, err, "%s", gnt_err_text(err)) : err;
    }
    *out = c;
    return GNT_OK;
}

struct gnt_tls_context *gnt_tls_context_ref(struct gnt_tls_context *c)
{
    atomic_fetch_add_explicit(&c->count, 1, memory_order_relaxed);
    return c;
}

void gnt_tls_context_unref(struct gnt_tls_context **c)
{
    struct gnt_tls_context *context = *c;
    *c = NULL;
    if (context && atomic_fetch_sub_explicit(&context->count, 1, memory_order_acq_rel) == 1)
        context_free(context);
}

/* ---- Connections */

/* Names are asked for and checked, addresses only checked [RFC 6066 3]. */
static bool mean(const struct gnt_tls_context *c, SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *how = SSL_get0_param(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(how, host))
        return !c->any_host || X509_VERIFY_PARAM_set1_ip(how, NULL, 0);
    return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    (void *)(uintptr_t)host) &&
           (c->any_host || X509_VERIFY_PARAM_set1_host(how, host, 0));
}

gnt_err gnt_tls_context_begin(struct gnt_tls_context *c, const char *host, SSL **out)
{
    SSL *ssl = SSL_new(c->ssl);
    bool ready = ssl != NULL;
    if (ready && c->server)
        SSL_set_accept_state(ssl);
    else if (ready)
        SSL_set_connect_state(ssl);
    if (ready && host)
        ready = SSL_set_app_data(ssl, (void *)(uintptr_t)host) && mean(c, ssl, host) &&
                resume(c, ssl, host);
    ERR_clear_error();
    if (!ready) {
        SSL_free(ssl);
        return GNT_NOMEM;
    }
    *out = ssl;
    return GNT_OK;
}

bool gnt_tls_context_is_server(const struct gnt_tls_context *c)
{
    return c->server;
}

enum gnt_tls_name gnt_tls_context_name(const struct gnt_tls_context *c)
{
    return c->name;
}

bool gnt_tls_context_demands_name(const struct gnt_tls_context *c)
{
    int mode = SSL_CTX_get_verify_mode(c->ssl);
    return c->server && c->name != GNT_TLS_NAME_NONE && mode & SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}
