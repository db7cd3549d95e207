/* gnatter cert: where pass-phrases come from. */
#include "base/assert.h"
#include "base/utf8.h"
#include "cli/cert.h"
#include "cli/password.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

static int from_file(const char *file, struct gnt_cert_secret *out)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    struct gnt_pki_why why;
    gnt_err err = gnt_files_read(file, &text, &why);
    struct gnt_slice line = gnt_buf_slice(&text);
    const uint8_t *newline = line.size ? memchr(line.data, '\n', line.size) : NULL;
    size_t size = newline ? (size_t)(newline - line.data) : line.size;
    size -= size && line.data[size - 1] == '\r';
    if (!err && size >= sizeof out->text)
        err = gnt_pki_refuse(&why, GNT_TOOBIG, "%s: its first line is no pass-phrase", file);
    if (!err && size)
        memcpy(out->text, line.data, size);
    out->text[err ? 0 : size] = '\0';
    gnt_files_wipe(&text);
    return err ? gnt_cert_failed(err, &why) : EX_OK;
}

static int from_text(const char *text, struct gnt_cert_secret *out)
{
    if (strlen(text) < sizeof out->text) {
        (void)snprintf(out->text, sizeof out->text, "%s", text);
        return EX_OK;
    }
    gnt_say("cert", "a pass-phrase is longer than %zu bytes", sizeof out->text - 1);
    return EX_DATAERR;
}

static int from_environment(const char *name, struct gnt_cert_secret *out)
{
    const char *text = getenv(name);
    if (text)
        return from_text(text, out);
    gnt_say("cert", "there is no environment variable %.80s", name);
    return EX_USAGE;
}

static int ask(const char *what, bool fresh, struct gnt_cert_secret *out)
{
    char prompt[GNT_CERT_HOST_MAX];
    if (fresh)
        return gnt_password_read("cert", out->text, sizeof out->text);
    (void)snprintf(prompt, sizeof prompt, "Pass-phrase of %s: ", what);
    return gnt_password_ask("cert", prompt, out->text, sizeof out->text);
}

static const struct {
    const char *word;
    int (*read)(const char *rest, struct gnt_cert_secret *out);
} sources[] = {{"file:", from_file}, {"env:", from_environment}, {"pass:", from_text}};

static int read_source(const char *source, const char *what, bool fresh,
                       struct gnt_cert_secret *out)
{
    char shown[16];
    if (strcmp(source, "ask") == 0)
        return ask(what, fresh, out);
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        size_t size = strlen(sources[i].word);
        if (strncmp(source, sources[i].word, size) == 0)
            return sources[i].read(source + size, out);
    }
    gnt_say("cert", "expected file:FILE, env:NAME, pass:TEXT or ask for a pass-phrase, got '%s'",
            gnt_utf8_printable(gnt_slice_str(source), shown, sizeof shown));
    return EX_USAGE;
}

int gnt_cert_secret(const char *source, const char *what, bool fresh, struct gnt_cert_secret *out)
{
    enum { SHORTEST = 4 }; /* what OpenSSL's commands take for a new one */
    *out = (struct gnt_cert_secret){false, ""};
    if (!source)
        return EX_OK;
    int code = read_source(source, what, fresh, out);
    if (!code && fresh && strlen(out->text) < SHORTEST) {
        gnt_say("cert", "a new pass-phrase has at least %d bytes", (int)SHORTEST);
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
