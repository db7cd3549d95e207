#include "net/tls_words.h"

#include "pki/check.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

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

void gnt_tls_say(unsigned long reason, long verdict, bool server, char *out, size_t cap)
{
    int alert = alert_of(reason);
    if (alert >= 0)
        (void)snprintf(out, cap, "the peer says: %s", alert_words(alert));
    else if (ERR_GET_REASON(reason) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        (void)snprintf(out, cap, "the %s's certificate: %s", server ? "client" : "server",
                       gnt_check_words((int)verdict));
    else
        (void)snprintf(out, cap, "%s", words_of(reason));
}
