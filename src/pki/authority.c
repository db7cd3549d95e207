#include "pki/authority.h"
#include "pki/certs.h"
#include "pki/crl.h"
#include "pki/key.h"

#include <stdio.h>
#include <unistd.h>

char *gnt_authority_path(const char *directory, const char *name, char out[PATH_MAX])
{
    size_t size = strlen(directory);
    const char *slash = !size || directory[size - 1] == '/' ? "" : "/";
    if (snprintf(out, PATH_MAX, "%s%s%s", directory, slash, name) >= PATH_MAX)
        out[0] = '\0'; /* names nothing, and is not a part of another name */
    return out;
}

/* ---- Opening */

static gnt_err begin(const char *directory, struct gnt_authority *ca, struct gnt_pki_why *why)
{
    enum { NAMES = 300 }; /* room for those of the files in it */
    *ca = (struct gnt_authority){.lock = -1};
    if (strlen(directory) + NAMES > sizeof ca->directory)
        return gnt_pki_refuse(why, GNT_TOOBIG, "%.80s...: too long a name", directory);
    (void)snprintf(ca->directory, sizeof ca->directory, "%s", directory);
    return gnt_files_lock(directory, &ca->lock, why);
}

static gnt_err load(struct gnt_authority *ca, const char *passphrase, struct gnt_pki_why *why)
{
    char path[PATH_MAX];
    gnt_err err =
        gnt_certs_load(gnt_authority_path(ca->directory, "ca.pem", path), &ca->chain, why);
    if (err)
        return err;
    ca->certificate = sk_X509_shift(ca->chain);
    err =
        gnt_key_load(gnt_authority_path(ca->directory, "ca.key", path), passphrase, &ca->key, why);
    if (err)
        return err;
    if (X509_check_private_key(ca->certificate, ca->key) != 1)
        return gnt_pki_refuse(why, GNT_INVALID, "%s: it does not fit ca.pem", path);
    return gnt_index_load(gnt_authority_path(ca->directory, "index.txt", path), &ca->index, why);
}

gnt_err gnt_authority_open(const char *directory, const char *passphrase, struct gnt_authority *out,
                           struct gnt_pki_why *why)
{
    gnt_err err = begin(directory, out, why);
    if (!err)
        err = load(out, passphrase, why);
    if (err)
        gnt_authority_close(out);
    return err;
}

gnt_err gnt_authority_found(const char *directory, X509 **certificate, EVP_PKEY **key,
                            STACK_OF(X509) * *chain, struct gnt_authority *out,
                            struct gnt_pki_why *why)
{
    gnt_err err = begin(directory, out, why);
    out->certificate = *certificate;
    out->key = *key;
    out->chain = *chain ? *chain : sk_X509_new_null();
    *certificate = NULL;
    *key = NULL;
    *chain = NULL;
    if (!err && !out->chain)
        err = gnt_pki_openssl_refuse(why, GNT_NOMEM, "%s", directory);
    if (!err)
        err =
            gnt_index_load("/dev/null", &out->index, why); /* whatever was there is another CA's */
    if (err)
        gnt_authority_close(out);
    return err;
}

void gnt_authority_close(struct gnt_authority *ca)
{
    X509_free(ca->certificate);
    EVP_PKEY_free(ca->key);
    sk_X509_pop_free(ca->chain, X509_free);
    gnt_index_free(ca->index);
    if (ca->lock >= 0)
        close(ca->lock);
    *ca = (struct gnt_authority){.lock = -1};
}

/* ---- Writing */

static gnt_err update(struct gnt_authority *ca, const char *name, struct gnt_slice text,
                      struct gnt_files *files, struct gnt_pki_why *why)
{
    char path[PATH_MAX];
    return gnt_files_update(files, gnt_authority_path(ca->directory, name, path), GNT_FILES_PUBLIC,
                            text, why);
}

static gnt_err add(struct gnt_authority *ca, const char *name, struct gnt_slice text,
                   struct gnt_files *files, struct gnt_pki_why *why)
{
    char path[PATH_MAX];
    return gnt_files_add(files, gnt_authority_path(ca->directory, name, path), GNT_FILES_PUBLIC,
                         text, why);
}

gnt_err gnt_authority_save(struct gnt_authority *ca, bool founded, struct gnt_files *files,
                           struct gnt_pki_why *why)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    gnt_err err = gnt_index_write(ca->index, &text)
                      ? gnt_pki_refuse(why, GNT_NOMEM, "the index: %s", gnt_err_text(GNT_NOMEM))
                      : GNT_OK;
    if (!err)
        err = (founded ? add : update)(ca, "index.txt", gnt_buf_slice(&text), files, why);
    gnt_buf_fini(&text);
    /* A certificate that is renewed has the subject of the one before. */
    if (!err && founded)
        err = add(ca, "index.txt.attr", gnt_slice_str("unique_subject = no\n"), files, why);
    if (!err && founded)
        err = add(ca, "crlnumber", gnt_slice_str("01\n"), files, why);
    return err;
}

/* The number that the next list has; a CA without the file has made none. */
static gnt_err read_number(struct gnt_authority *ca, char number[64], struct gnt_pki_why *why)
{
    char path[PATH_MAX];
    struct gnt_buf text = {NULL, 0, 0, 0};
    gnt_err err = gnt_files_read(gnt_authority_path(ca->directory, "crlnumber", path), &text, why);
    struct gnt_slice line = gnt_buf_slice(&text);
    const uint8_t *newline = line.size ? memchr(line.data, '\n', line.size) : NULL;
    size_t size = newline ? (size_t)(newline - line.data) : line.size;
    if (err == GNT_NOTFOUND) {
        (void)snprintf(number, 64, "01");
        err = GNT_OK;
    } else if (!err && (size == 0 || size >= 64)) {
        err = gnt_pki_refuse(why, GNT_MALFORMED, "%s: not a number", path);
    } else if (!err) {
        (void)snprintf(number, 64, "%.*s", (int)size, (const char *)line.data);
    }
    gnt_buf_fini(&text);
    return err;
}

gnt_err gnt_authority_crl(struct gnt_authority *ca, uint32_t days, const char *digest, int64_t now,
                          struct gnt_files *files, char number[64], struct gnt_pki_why *why)
{
    char next[64 + 1];
    X509_CRL *crl = NULL;
    struct gnt_buf text = {NULL, 0, 0, 0};
    struct gnt_crl plan = {number, now, now + (int64_t)days * 86400, digest};
    gnt_err err = read_number(ca, number, why);
    if (!err && gnt_crl_next(number, next, sizeof next - 1))
        err = gnt_pki_refuse(why, GNT_MALFORMED, "crlnumber: not a hexadecimal number");
    if (!err)
        err = gnt_crl_make(&plan, ca->index, ca->certificate, ca->key, &crl, why);
    if (!err && gnt_crls_write(crl, &text))
        err = gnt_pki_refuse(why, GNT_NOMEM, "the list: %s", gnt_err_text(GNT_NOMEM));
    /* The number first: a list whose number is used twice would be worse than one left out. */
    if (!err) {
        size_t size = strlen(next);
        next[size] = '\n';
        err = update(ca, "crlnumber", gnt_slice(next, size + 1), files, why);
    }
    if (!err)
        err = update(ca, "crl.pem", gnt_buf_slice(&text), files, why);
    gnt_buf_fini(&text);
    X509_CRL_free(crl);
    return err;
}
