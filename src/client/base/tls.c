#include "client/base/tls.h"

#include "base/file.h"
#include "callback/tls.h"
#include "callback/tls_client.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The texts among the options, and whether they name a file whose changes count. */
#define TEXT(member) offsetof(struct gnatter_tls_options, member)
static const struct {
    size_t offset;
    bool file;
} texts[] = {
    {TEXT(ca_file), true},       {TEXT(crl_file), true},     {TEXT(identity.certificate), true},
    {TEXT(identity.key), true},  {TEXT(identity.pfx), true}, {TEXT(identity.passphrase), false},
    {TEXT(ca_directory), false}, {TEXT(ciphers), false},     {TEXT(suites), false},
    {TEXT(alpn), false},         {TEXT(server_name), false},
};
enum { TEXTS = sizeof texts / sizeof texts[0] };

struct gnt_client_tls {
    struct gnatter_tls_options options; /* its texts are owned */
    struct gnt_callback_tls callbacks;
    char *host;                          /* as the certificate has to name it */
    struct gnt_tls_context *context;     /* NULL: not made yet */
    struct gnt_file_stamp stamps[TEXTS]; /* of the files that it was made of */
    struct gnt_pki_why why;              /* why files could not be used, in this attempt; or "" */
};

/* ---- Birth and end */

static const char **text_at(struct gnatter_tls_options *o, size_t i)
{
    return (const char **)((char *)o + texts[i].offset);
}

static bool copy_texts(struct gnatter_tls_options *o)
{
    bool copied = true;
    for (size_t i = 0; i < TEXTS; i++) {
        const char **text = text_at(o, i);
        const char *from = *text;
        *text = from && copied ? strdup(from) : NULL;
        copied = copied && !from == !*text;
    }
    return copied;
}

gnt_err gnt_client_tls_new(const struct gnatter_tls_options *options, const char *host,
                           struct gnt_client_tls **out)
{
    struct gnt_client_tls *t = calloc(1, sizeof *t);
    if (!t)
        return GNT_NOMEM;
    t->options = *options;
    t->callbacks = (struct gnt_callback_tls){.judge = options->judge,
                                             .choose = options->choose,
                                             .context = options->context};
    bool copied = copy_texts(&t->options);
    t->host = strdup(options->server_name ? options->server_name : host);
    if (!copied || !t->host) {
        gnt_client_tls_free(&t);
        return GNT_NOMEM;
    }
    *out = t;
    return GNT_OK;
}

void gnt_client_tls_free(struct gnt_client_tls **tls)
{
    struct gnt_client_tls *t = *tls;
    *tls = NULL;
    if (!t)
        return;
    char *secret = (char *)(uintptr_t)t->options.identity.passphrase;
    if (secret)
        OPENSSL_cleanse(secret, strlen(secret));
    for (size_t i = 0; i < TEXTS; i++)
        free((void *)(uintptr_t)*text_at(&t->options, i));
    gnt_tls_context_unref(&t->context);
    free(t->host);
    free(t);
}

/* ---- Callbacks: by OpenSSL, in the handshake */

static bool judge(void *context, X509 *certificate, STACK_OF(X509) * chain, int verdict, int depth)
{
    const struct gnt_client_tls *t = context;
    return gnt_callback_judge(&t->callbacks, t->host, certificate, chain, verdict, depth);
}

static gnt_err choose(void *context, const char *host, const STACK_OF(X509_NAME) * issuers,
                      struct gnt_identity *out)
{
    struct gnt_client_tls *t = context;
    gnt_err err = gnt_callback_choose(&t->callbacks, host, issuers, out, &t->why);
    if (!err || err == GNT_NOTFOUND)
        t->why.text[0] = '\0';
    return err;
}

/* ---- Files */

/* A file that is not there has a stamp, too. */
static void look_at_files(struct gnt_client_tls *t, struct gnt_file_stamp out[TEXTS])
{
    for (size_t i = 0; i < TEXTS; i++)
        gnt_file_stamp(texts[i].file ? *text_at(&t->options, i) : NULL, &out[i]);
}

/* They are looked at first: what changes while they are read is read again the next time. */
gnt_err gnt_client_tls_prepare(struct gnt_client_tls *t)
{
    struct gnt_file_stamp stamps[TEXTS];
    struct gnt_tls_context *fresh;
    t->why.text[0] = '\0';
    look_at_files(t, stamps);
    if (t->context && memcmp(stamps, t->stamps, sizeof stamps) == 0)
        return GNT_OK;
    gnt_err err = gnt_tls_client_context(&t->options, judge, choose, t, &fresh, &t->why);
    if (err)
        return err == GNT_NOMEM ? err : GNT_INVALID;
    t->why.text[0] = '\0';
    gnt_tls_context_unref(&t->context);
    t->context = fresh;
    memcpy(t->stamps, stamps, sizeof stamps);
    return GNT_OK;
}

gnt_err gnt_client_tls_put_on(struct gnt_client_tls *t, struct gnt_stream **stream)
{
    return gnt_tls_new(stream, t->context, t->host, stream);
}

/* ---- Trouble */

/* Where the files were good once, they may be just being renewed. */
static void tell_files(const struct gnt_client_tls *t, struct gnt_client_tls_trouble *out)
{
    out->err = out->err == GNT_NOMEM ? GNT_NOMEM : GNT_INVALID;
    out->tls = true;
    out->lasting = !t->context;
    (void)snprintf(out->words, sizeof out->words, "%s", t->why.text);
}

/* Its end without close_notify is no worse than that of TCP: the
 * protocols know where their packets and frames end. */
static void tell_stream(const struct gnt_stream *s, struct gnt_client_tls_trouble *out)
{
    char words[GNT_TLS_WORDS_MAX];
    gnt_tls_words(s, words);
    if (!words[0])
        return;
    out->tls = out->err != GNT_IO || gnt_tls_handshake(s) != GNT_OK;
    if (out->err == GNT_IO)
        out->err = GNT_CLOSED;
    out->lasting = gnt_tls_lasting(s);
    if (out->tls)
        (void)snprintf(out->words, sizeof out->words, "%s", words);
}

void gnt_client_tls_trouble(const struct gnt_client_tls *t, const struct gnt_stream *stream,
                            gnt_err err, struct gnt_client_tls_trouble *out)
{
    const struct gnt_stream *s = gnt_tls_of(stream);
    *out = (struct gnt_client_tls_trouble){.err = err};
    if (t->why.text[0])
        tell_files(t, out);
    else if (s)
        tell_stream(s, out);
}
