#include "pki/secret.h"

#include "base/utf8.h"

#include <stdlib.h>

static gnt_err take(struct gnt_slice secret, const char *from, char *out, size_t cap,
                    struct gnt_pki_why *why)
{
    if (secret.size >= cap)
        return gnt_pki_refuse(why, GNT_TOOBIG, "%s: a pass-phrase is longer than %zu bytes", from,
                              cap - 1);
    if (secret.size)
        memcpy(out, secret.data, secret.size);
    out[secret.size] = '\0';
    return GNT_OK;
}

static gnt_err from_file(const char *file, char *out, size_t cap, struct gnt_pki_why *why)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    gnt_err err = gnt_files_read(file, &text, why);
    struct gnt_slice line = gnt_buf_slice(&text);
    const uint8_t *newline = line.size ? memchr(line.data, '\n', line.size) : NULL;
    if (newline)
        line.size = (size_t)(newline - line.data);
    line.size -= line.size && line.data[line.size - 1] == '\r';
    if (!err)
        err = take(line, file, out, cap, why);
    gnt_files_wipe(&text);
    return err;
}

static gnt_err from_environment(const char *name, char *out, size_t cap, struct gnt_pki_why *why)
{
    const char *text = getenv(name);
    if (!text)
        return gnt_pki_refuse(why, GNT_INVALID, "there is no environment variable %.80s", name);
    return take(gnt_slice_str(text), name, out, cap, why);
}

static gnt_err from_text(const char *text, char *out, size_t cap, struct gnt_pki_why *why)
{
    return take(gnt_slice_str(text), "pass", out, cap, why);
}

static const struct {
    const char *word;
    gnt_err (*read)(const char *rest, char *out, size_t cap, struct gnt_pki_why *why);
} sources[] = {{"file:", from_file}, {"env:", from_environment}, {"pass:", from_text}};

gnt_err gnt_secret_read(const char *source, char *out, size_t cap, struct gnt_pki_why *why)
{
    char shown[16];
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        size_t size = strlen(sources[i].word);
        if (strncmp(source, sources[i].word, size) == 0)
            return sources[i].read(source + size, out, cap, why);
    }
    return gnt_pki_refuse(why, GNT_INVALID,
                          "expected file:FILE, env:NAME or pass:TEXT for a pass-phrase, got '%s'",
                          gnt_utf8_printable(gnt_slice_str(source), shown, sizeof shown));
}
