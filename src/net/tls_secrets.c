#include "net/tls_secrets.h"

#include <pthread.h>

static int place = -1; /* of a gnt_tls_secrets in an SSL; < 0: none, or there was no memory */

static void make_place(void)
{
    place = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

gnt_err gnt_tls_secrets_attach(SSL *ssl, struct gnt_tls_secrets *to)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_place);
    return place >= 0 && SSL_set_ex_data(ssl, place, to) ? GNT_OK : GNT_NOMEM;
}

void gnt_tls_secrets_detach(SSL *ssl)
{
    (void)SSL_set_ex_data(ssl, place, NULL);
}

static struct gnt_tls_secrets *secrets_of(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, place);
}

/* A line is a label, the client's random number and the secret, both in hexadecimal. */
static void read_secret(const char *line, const char *label, struct gnt_tls_secret *to)
{
    size_t n = strlen(label), size;
    if (strncmp(line, label, n) != 0 || line[n] != ' ')
        return;
    const char *digits = strchr(line + n + 1, ' ');
    if (digits && OPENSSL_hexstr2buf_ex(to->bytes, sizeof to->bytes, &size, digits + 1, '\0'))
        to->size = (uint8_t)size;
}

/* Called with each secret when its key comes into use. */
static void on_secret(const SSL *ssl, const char *line)
{
    struct gnt_tls_secrets *s = secrets_of(ssl);
    if (!s)
        return;
    read_secret(line, "CLIENT_TRAFFIC_SECRET_0", &s->in);
    read_secret(line, "SERVER_TRAFFIC_SECRET_0", &s->out);
}

static void on_message(int written, int version, int type, const void *bytes, size_t size, SSL *ssl,
                       void *context)
{
    (void)version;
    (void)bytes;
    (void)size;
    (void)context;
    struct gnt_tls_secrets *s = secrets_of(ssl);
    if (s && written && type == SSL3_RT_HEADER && s->out.size)
        s->out.records++;
}

void gnt_tls_secrets_watch(SSL_CTX *context)
{
    SSL_CTX_set_keylog_callback(context, on_secret);
    SSL_CTX_set_msg_callback(context, on_message);
}
