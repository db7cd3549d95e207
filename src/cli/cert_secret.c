/* gnatter cert: where pass-phrases come from. */
#include "cli/cert.h"
#include "cli/password.h"
#include "pki/secret.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

static int ask(const char *what, bool fresh, struct gnt_cert_secret *out)
{
    char prompt[GNT_CERT_HOST_MAX];
    if (fresh)
        return gnt_password_read("cert", out->text, sizeof out->text);
    (void)snprintf(prompt, sizeof prompt, "Pass-phrase of %s: ", what);
    return gnt_password_ask("cert", prompt, out->text, sizeof out->text);
}

static int read_source(const char *source, const char *what, bool fresh,
                       struct gnt_cert_secret *out)
{
    struct gnt_pki_why why;
    if (strcmp(source, "ask") == 0)
        return ask(what, fresh, out);
    gnt_err err = gnt_secret_read(source, out->text, sizeof out->text, &why);
    int code = err ? gnt_cert_failed(err, &why) : EX_OK;
    return err == GNT_INVALID ? EX_USAGE : code;
}

int gnt_cert_secret(const char *source, const char *what, bool fresh, struct gnt_cert_secret *out)
{
    enum { SHORTEST = 4 }; /* what OpenSSL's commands take for a new one */
    *out = (struct gnt_cert_secret){false, ""};
    if (!source)
        return EX_OK;
    int code = read_source(source, what, fresh, out);
    if (!code && fresh && strlen(out->text) < SHORTEST) {
        gnt_say("cert", "a new pass-phrase or password has at least %d bytes", (int)SHORTEST);
        code = EX_DATAERR;
    }
    out->given = code == EX_OK;
    if (code)
        gnt_cert_forget(out);
    return code;
}

bool gnt_cert_secret_needed(gnt_err err, const char *what, struct gnt_cert_secret *secret)
{
    if (err != GNT_REFUSED || secret->given || !isatty(STDIN_FILENO))
        return false;
    secret->given = ask(what, false, secret) == EX_OK;
    return secret->given;
}

const char *gnt_cert_secret_text(const struct gnt_cert_secret *secret)
{
    return secret->given ? secret->text : NULL;
}

void gnt_cert_forget(struct gnt_cert_secret *secret)
{
    OPENSSL_cleanse(secret, sizeof *secret);
}
