#include "cli/tls.h"

#include "callback/tls.h"
#include "callback/tls_client.h"
#include "cli/password.h"
#include "cli/say.h"
#include "conf/url.h"
#include "pki/secret.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

enum { PORT = 1883, TLS_PORT = 8883 };

const struct gnt_option_word gnt_cli_tls_versions[] = {
    {"auto", GNATTER_TLS_ANY},
    {"tlsv1.3", GNATTER_TLS_1_3},
    {"tlsv1.2", GNATTER_TLS_1_2},
    {"tlsv1.1", GNATTER_TLS_1_1},
    {"tlsv1.0", GNATTER_TLS_1_0},
    {"tlsv1", GNATTER_TLS_1_0},
    {NULL, 0},
};

const struct gnt_option_word gnt_cli_ports[] = {{"auto", 0}, {NULL, 0}};

gnt_err gnt_cli_tls_check_source(const char *text, struct gnt_why *why)
{
    if ((strncmp(text, "file:", 5) == 0 && text[5]) || (strncmp(text, "env:", 4) == 0 && text[4]) ||
        strcmp(text, "ask") == 0)
        return GNT_OK;
    gnt_why_set(why, "expected file:FILE, env:NAME or ask for a pass-phrase");
    return GNT_INVALID;
}

bool gnt_cli_tls_given(const struct gnt_cli_tls *t)
{
    return t->ca_file || t->ca_directory || t->crl_file || t->certificate || t->key || t->pfx ||
           t->passphrase || t->least || t->greatest || t->ciphers || t->suites || t->alpn ||
           t->server_name || t->system_cas || t->any_host;
}

uint16_t gnt_cli_port(uint16_t given, bool tls)
{
    if (given)
        return given;
    return tls ? TLS_PORT : PORT;
}

/* But for the pass-phrase. */
static struct gnatter_tls_options options_of(const struct gnt_cli_tls *t)
{
    return (struct gnatter_tls_options){
        .ca_file = t->ca_file,
        .ca_directory = t->ca_directory,
        .crl_file = t->crl_file,
        .identity = {.certificate = t->certificate, .key = t->key, .pfx = t->pfx},
        .least = (uint16_t)t->least,
        .greatest = (uint16_t)t->greatest,
        .ciphers = t->ciphers,
        .suites = t->suites,
        .alpn = t->alpn,
        .server_name = t->server_name,
        .any_host = t->any_host,
    };
}

const char *gnt_cli_tls_mistake(const struct gnt_cli_tls *t, const char *text)
{
    const struct gnatter_tls_options options = options_of(t);
    struct gnt_url url;
    struct gnt_why why;
    bool given = gnt_cli_tls_given(t);
    if (given && text && !gnt_url_parse(text, &url, &why) && !url.scheme->tls)
        return "options of TLS are given, and a URL without it: take mqtts:// or wss://";
    if (t->system_cas && (t->ca_file || t->ca_directory))
        return "--tls-use-os-certs excludes --cafile and --capath";
    if (t->passphrase && !t->certificate && !t->pfx)
        return "--passphrase needs a certificate (--cert or --pfx)";
    return gnt_tls_client_mistake(&options, true);
}

/* ---- Pass-phrases */

static const char *secret_file(const struct gnt_cli_tls *t)
{
    return t->pfx ? t->pfx : t->key ? t->key : t->certificate;
}

static int ask(const char *command, const char *file, struct gnt_cli_secret *secret)
{
    char prompt[256];
    (void)snprintf(prompt, sizeof prompt, "Pass-phrase of %s: ", file);
    return gnt_password_ask(command, prompt, secret->text, sizeof secret->text);
}

static int read_source(const char *command, const struct gnt_cli_tls *t,
                       struct gnt_cli_secret *secret)
{
    struct gnt_pki_why why;
    if (strcmp(t->passphrase, "ask") == 0)
        return ask(command, secret_file(t), secret);
    gnt_err err = gnt_secret_read(t->passphrase, secret->text, sizeof secret->text, &why);
    if (err)
        gnt_say(command, "%s", why.text);
    return err ? EX_NOINPUT : EX_OK;
}

/* A file that turns out to need one; whatever else is wrong with it the client will say. */
static bool needs_one(const struct gnatter_tls_options *o)
{
    struct gnt_identity_source source;
    struct gnt_identity identity;
    struct gnt_pki_why why;
    if (!gnt_callback_identity(&o->identity, &source))
        return false;
    gnt_err err = gnt_identity_load(&source, &identity, &why);
    if (!err)
        gnt_identity_fini(&identity);
    return err == GNT_REFUSED;
}

int gnt_cli_tls_options(const char *command, const struct gnt_cli_tls *t,
                        struct gnatter_tls_options *out, struct gnt_cli_secret *secret)
{
    int code = EX_OK;
    bool asked = false;
    *out = options_of(t);
    if (t->passphrase) {
        code = read_source(command, t, secret);
    } else if (isatty(STDIN_FILENO) && needs_one(out)) {
        asked = true;
        code = ask(command, secret_file(t), secret);
    }
    if (!code && (t->passphrase || asked))
        out->identity.passphrase = secret->text;
    return code;
}

void gnt_cli_forget(struct gnt_cli_secret *secret)
{
    OPENSSL_cleanse(secret, sizeof *secret);
}
