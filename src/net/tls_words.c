#include "net/tls_words.h"

#include "base/slice.h"
#include "pki/check.h"
#include "pki/facts.h"
#include "pki/name.h"

#include <openssl/err.h>
#include <stdio.h>

enum { MQTT_CONNECT = 0x10 }; /* its first byte */

/* What people meet; the rest is said by OpenSSL, and breaks the protocol. */
static const struct {
    int reason;
    gnt_err err;
    const char *words;
} table[] = {
    {ERR_R_MALLOC_FAILURE, GNT_NOMEM, "out of memory"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, GNT_DENIED, "missing client certificate"},
    {SSL_R_UNSUPPORTED_PROTOCOL, GNT_PROTOCOL, "no TLS version in common"},
    {SSL_R_WRONG_SSL_VERSION, GNT_PROTOCOL, "no TLS version in common"},
    {SSL_R_VERSION_TOO_LOW, GNT_PROTOCOL, "no TLS version in common"},
    {SSL_R_NO_SHARED_CIPHER, GNT_PROTOCOL, "no shared cipher"},
    {SSL_R_NO_APPLICATION_PROTOCOL, GNT_PROTOCOL, "no application protocol (ALPN) in common"},
    {SSL_R_WRONG_VERSION_NUMBER, GNT_PROTOCOL, "the peer does not speak TLS"},
    {SSL_R_HTTP_REQUEST, GNT_PROTOCOL, "the peer speaks HTTP without TLS"},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, GNT_IO, "the connection has ended without close_notify"},
};

/* The description of the peer's alert that REASON is, or -1. */
static int alert_of(unsigned long reason)
{
    int r = ERR_GET_REASON(reason);
    bool alert = ERR_GET_LIB(reason) == ERR_LIB_SSL && r >= SSL_AD_REASON_OFFSET &&
                 r <= SSL_AD_REASON_OFFSET + UINT8_MAX;
    return alert ? r - SSL_AD_REASON_OFFSET : -1;
}

gnt_err gnt_tls_meaning(unsigned long reason)
{
    if (alert_of(reason) >= 0)
        return GNT_REFUSED;
    if (ERR_GET_REASON(reason) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return GNT_DENIED;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].reason == ERR_GET_REASON(reason))
            return table[i].err;
    return GNT_PROTOCOL;
}

static const char *words_of(unsigned long reason)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].reason == ERR_GET_REASON(reason))
            return table[i].words;
    const char *words = ERR_reason_error_string(reason);
    return words ? words : "";
}

/* The one that OpenSSL 3.0 has no words for. */
static const char *alert_words(int alert)
{
    return alert == SSL_AD_CERTIFICATE_REQUIRED ? "certificate required"
                                                : SSL_alert_desc_string_long(alert);
}

/* ---- Another host */

struct names {
    char text[160]; /* "localhost, 127.0.0.1" */
    size_t used;
};

/* Those that a host is looked for among; where they are too many, dots stand for the rest. */
static gnt_err add_name(void *context, const char *name)
{
    static const char *const kinds[] = {"DNS:", "IP:"};
    enum { DOTS = sizeof ", ..." };
    struct names *n = context;
    size_t left = sizeof n->text - n->used;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t kind = strlen(kinds[i]), size = strlen(name) - kind;
        if (strncmp(name, kinds[i], kind) != 0)
            continue;
        bool fits = size + 2 + DOTS <= left;
        int put = snprintf(n->text + n->used, left, "%s%s", n->used ? ", " : "",
                           fits ? name + kind : "...");
        n->used += put > 0 ? (size_t)put : 0;
        return fits ? GNT_OK : GNT_FULL;
    }
    return GNT_OK;
}

/* ": it is for localhost, 127.0.0.1, not broker.example", as far as that is known. */
static void say_host(const struct gnt_tls_trouble *trouble, char *out, size_t cap)
{
    struct names names = {"", 0};
    const char *host = SSL_get_app_data(trouble->ssl);
    const X509 *certificate = sk_X509_value(SSL_get_peer_cert_chain(trouble->ssl), 0);
    out[0] = '\0';
    if (!certificate || !host)
        return;
    gnt_err err = gnt_facts_names(certificate, add_name, &names);
    if (!err && !names.used)
        (void)gnt_name_common(X509_get_subject_name(certificate), names.text, sizeof names.text);
    if (names.text[0])
        (void)snprintf(out, cap, ": it is for %s, not %s", names.text, host);
}

/* ---- All of it */

/* A client that had nothing to show to a server that asked. */
static bool is_certificate_missing(const struct gnt_tls_trouble *trouble, int alert)
{
    const unsigned char *kinds; /* which TLS 1.2 asks for, and has no alert for having got none */
    if (trouble->server || alert == SSL_AD_CERTIFICATE_REQUIRED)
        return !trouble->server;
    bool asked = SSL_get0_certificate_types(trouble->ssl, &kinds) > 0;
    return (alert == SSL_AD_HANDSHAKE_FAILURE || alert == SSL_AD_BAD_CERTIFICATE) && asked &&
           !SSL_get_certificate(trouble->ssl);
}

static void say_verdict(const struct gnt_tls_trouble *trouble, char *out, size_t cap)
{
    char host[GNT_TLS_WORDS_MAX];
    int verdict = (int)SSL_get_verify_result(trouble->ssl);
    host[0] = '\0';
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
        say_host(trouble, host, sizeof host);
    (void)snprintf(out, cap, "the %s's certificate: %s%s", trouble->server ? "client" : "server",
                   gnt_check_words(verdict), host);
}

void gnt_tls_say(const struct gnt_tls_trouble *trouble, char out[GNT_TLS_WORDS_MAX])
{
    int alert = alert_of(trouble->reason), reason = ERR_GET_REASON(trouble->reason);
    if (alert >= 0 && is_certificate_missing(trouble, alert))
        (void)snprintf(out, GNT_TLS_WORDS_MAX, "the server wants a client certificate");
    else if (alert >= 0)
        (void)snprintf(out, GNT_TLS_WORDS_MAX, "the peer says: %s", alert_words(alert));
    else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        say_verdict(trouble, out, GNT_TLS_WORDS_MAX);
    else if (reason == SSL_R_WRONG_VERSION_NUMBER && trouble->server &&
             trouble->first == MQTT_CONNECT)
        (void)snprintf(out, GNT_TLS_WORDS_MAX, "the peer speaks MQTT without TLS");
    else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING && !trouble->open)
        (void)snprintf(out, GNT_TLS_WORDS_MAX, "the peer has ended the connection instead");
    else
        (void)snprintf(out, GNT_TLS_WORDS_MAX, "%s", words_of(trouble->reason));
}

/* Alerts about what will be the same the next time. */
bool gnt_tls_lasts(const struct gnt_tls_trouble *trouble)
{
    static const unsigned char alerts[] = {SSL_AD_HANDSHAKE_FAILURE,
                                           SSL_AD_BAD_CERTIFICATE,
                                           SSL_AD_UNSUPPORTED_CERTIFICATE,
                                           SSL_AD_CERTIFICATE_REVOKED,
                                           SSL_AD_CERTIFICATE_EXPIRED,
                                           SSL_AD_CERTIFICATE_UNKNOWN,
                                           SSL_AD_UNKNOWN_CA,
                                           SSL_AD_ACCESS_DENIED,
                                           SSL_AD_PROTOCOL_VERSION,
                                           SSL_AD_UNRECOGNIZED_NAME,
                                           SSL_AD_INSUFFICIENT_SECURITY,
                                           SSL_AD_CERTIFICATE_REQUIRED,
                                           SSL_AD_NO_APPLICATION_PROTOCOL};
    int alert = alert_of(trouble->reason);
    if (alert >= 0)
        return memchr(alerts, alert, sizeof alerts) != NULL;
    if (ERR_GET_REASON(trouble->reason) != SSL_R_CERTIFICATE_VERIFY_FAILED)
        return false;
    long verdict = SSL_get_verify_result(trouble->ssl);
    return verdict != X509_V_ERR_CERT_NOT_YET_VALID && verdict != X509_V_ERR_CRL_NOT_YET_VALID;
}
