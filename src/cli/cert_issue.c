/* gnatter cert: what init, ca, server and client make of their options. */
#include "base/utf8.h"
#include "cli/cert.h"
#include "pki/certs.h"
#include "pki/facts.h"
#include "pki/key.h"
#include "pki/name.h"
#include "pki/pfx.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

int64_t gnt_cert_now(void)
{
    return (int64_t)time(NULL);
}

/* ---- Validity */

/* "2026-11-22" or "2026-11-22T10:00:00Z" */
static int read_date(const char *text, int64_t *out)
{
    struct tm tm = {.tm_mday = 1};
    char shown[48];
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (end && *end == 'T')
        end = strptime(end, "T%H:%M:%SZ", &tm);
    if (end && *end == '\0') {
        *out = timegm(&tm);
        return EX_OK;
    }
    gnt_say("cert", "expected a date such as 2026-11-22 or 2026-11-22T10:00:00Z, got '%s'",
            gnt_utf8_printable(gnt_slice_str(text), shown, sizeof shown));
    return EX_USAGE;
}

int gnt_cert_validity(const struct gnt_cert_options *o, int64_t now, const X509 *ca,
                      struct gnt_issue *plan)
{
    int code = EX_OK;
    plan->from = now;
    if (o->from)
        code = read_date(o->from, &plan->from);
    plan->until = plan->from + (int64_t)o->days * 86400;
    if (!code && o->until)
        return read_date(o->until, &plan->until);
    int64_t end = ca ? gnt_facts_seconds(X509_get0_notAfter(ca)) : plan->until;
    if (end < plan->until)
        plan->until = end;
    return code;
}

/* ---- Names */

static bool is_listed(const char *name, char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(list[i], name) == 0)
            return true;
    }
    return false;
}

size_t gnt_cert_names(const struct gnt_strings *given, bool local, char room[GNT_CERT_HOST_MAX],
                      char *out[GNT_CERT_NAMES_MAX])
{
    static char host[] = "localhost", v4[] = "127.0.0.1", v6[] = "::1";
    char *const own[] = {room, host, v4, v6};
    size_t count = 0;
    if (gethostname(room, GNT_CERT_HOST_MAX) < 0)
        room[0] = '\0';
    room[GNT_CERT_HOST_MAX - 1] = '\0';
    for (size_t i = 0; i < given->count && count < GNT_CERT_NAMES_MAX; i++) {
        if (!is_listed(given->items[i], out, count))
            out[count++] = given->items[i];
    }
    for (size_t i = 0; local && i < sizeof own / sizeof own[0] && count < GNT_CERT_NAMES_MAX; i++) {
        if (own[i][0] && !is_listed(own[i], out, count))
            out[count++] = own[i];
    }
    return count;
}

char *gnt_cert_subject(const char *common_name, char out[GNT_CERT_SUBJECT])
{
    enum { COMMON_NAME_MAX = 64 }; /* [RFC 5280 A.1] */
    out[0] = '\0';
    if (strlen(common_name) <= COMMON_NAME_MAX) {
        (void)snprintf(out, GNT_CERT_SUBJECT, "CN=");
        gnt_name_escape(common_name, out + 3, GNT_CERT_SUBJECT - 3);
    }
    return out;
}

/* ---- Keys and certificates */

/* A key made as --key says, or read where it says file:. */
static int take_key(const struct gnt_cert_options *o, const struct gnt_cert_secret *passphrase,
                    struct gnt_cert_made *made)
{
    static const char file[] = "file:";
    struct gnt_pki_why why;
    made->own_key = strncmp(o->key, file, sizeof file - 1) != 0;
    gnt_err err = made->own_key ? gnt_key_make(o->key, &made->key, &why)
                                : gnt_key_load(o->key + sizeof file - 1,
                                               gnt_cert_secret_text(passphrase), &made->key, &why);
    return err ? gnt_cert_failed(err, &why) : EX_OK;
}

const char *gnt_cert_digest(const struct gnt_cert_options *o)
{
    return o->digest == 0     ? NULL
           : o->digest == 256 ? "SHA256"
           : o->digest == 384 ? "SHA384"
                              : "SHA512";
}

int gnt_cert_make(const struct gnt_cert_options *o, const struct gnt_issue *given,
                  const struct gnt_cert_secret *passphrase, struct gnt_authority *ca,
                  struct gnt_cert_made *out)
{
    struct gnt_pki_why why;
    struct gnt_issue plan = *given;
    *out = (struct gnt_cert_made){NULL, NULL, false};
    plan.digest = gnt_cert_digest(o);
    int code = take_key(o, passphrase, out);
    if (code)
        return code;
    gnt_err err = gnt_issue(&plan, out->key, ca ? ca->certificate : NULL, ca ? ca->key : NULL,
                            &out->certificate, &why);
    if (!err)
        return EX_OK;
    gnt_cert_made_fini(out);
    return gnt_cert_failed(err, &why);
}

void gnt_cert_made_fini(struct gnt_cert_made *made)
{
    X509_free(made->certificate);
    EVP_PKEY_free(made->key);
    *made = (struct gnt_cert_made){NULL, NULL, false};
}

/* ---- Files */

static char *path_of(const char *dir, const char *stem, const char *suffix, char out[PATH_MAX])
{
    char name[PATH_MAX];
    (void)snprintf(name, sizeof name, "%s%s", stem, suffix);
    return gnt_authority_path(dir, name, out);
}

gnt_err gnt_cert_chain(struct gnt_authority *ca, STACK_OF(X509) * *out)
{
    bool root = X509_get_extension_flags(ca->certificate) & EXFLAG_SS;
    *out = sk_X509_new_null();
    gnt_err err = *out ? GNT_OK : GNT_NOMEM;
    if (!err && !root)
        err = gnt_certs_add(*out, ca->certificate);
    for (int i = 0; i < sk_X509_num(ca->chain) && !err; i++)
        err = gnt_certs_add(*out, sk_X509_value(ca->chain, i));
    return err;
}

static gnt_err put_certificates(const char *path, const struct gnt_cert_made *made,
                                STACK_OF(X509) * chain, struct gnt_files *files,
                                struct gnt_pki_why *why)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    gnt_err err = gnt_certs_write(made->certificate, &text);
    for (int i = 0; i < sk_X509_num(chain) && !err; i++)
        err = gnt_certs_write(sk_X509_value(chain, i), &text);
    err = err ? gnt_pki_refuse(why, err, "%s: %s", path, gnt_err_text(err))
              : gnt_files_add(files, path, GNT_FILES_PUBLIC, gnt_buf_slice(&text), why);
    gnt_buf_fini(&text);
    return err;
}

int gnt_cert_put(const char *dir, const char *stem, const struct gnt_cert_made *made,
                 STACK_OF(X509) * chain, const struct gnt_cert_secret *passphrase,
                 struct gnt_files *files)
{
    char path[PATH_MAX];
    struct gnt_buf text = {NULL, 0, 0, 0};
    struct gnt_pki_why why;
    gnt_err err = put_certificates(path_of(dir, stem, ".pem", path), made, chain, files, &why);
    if (!err && made->own_key)
        err = gnt_key_write(made->key, gnt_cert_secret_text(passphrase), &text, &why);
    if (!err && made->own_key)
        err = gnt_files_add(files, path_of(dir, stem, ".key", path), GNT_FILES_SECRET,
                            gnt_buf_slice(&text), &why);
    gnt_files_wipe(&text);
    return err ? gnt_cert_not_written(err, &why) : EX_OK;
}

/* What Windows wants to find in the file: all up to the root. */
static gnt_err add_chain(const struct gnt_authority *ca, STACK_OF(X509) * chain)
{
    gnt_err err = chain ? GNT_OK : GNT_NOMEM;
    if (!err && ca)
        err = gnt_certs_add(chain, ca->certificate);
    for (int i = 0; ca && i < sk_X509_num(ca->chain) && !err; i++)
        err = gnt_certs_add(chain, sk_X509_value(ca->chain, i));
    return err;
}

int gnt_cert_put_pfx(const char *dir, const char *stem, const struct gnt_cert_made *made,
                     struct gnt_authority *ca, const char *password, bool legacy,
                     struct gnt_files *files)
{
    char path[PATH_MAX];
    struct gnt_buf bytes = {NULL, 0, 0, 0};
    struct gnt_pki_why why;
    struct gnt_identity identity = {made->certificate, made->key, sk_X509_new_null()};
    gnt_err err = add_chain(ca, identity.chain);
    if (err)
        err = gnt_pki_refuse(&why, err, "%s", gnt_err_text(err));
    if (!err)
        err = gnt_pfx_pack(&identity, stem, password ? password : "", legacy, &bytes, &why);
    if (!err)
        err = gnt_files_add(files, path_of(dir, stem, ".pfx", path), GNT_FILES_SECRET,
                            gnt_buf_slice(&bytes), &why);
    gnt_files_wipe(&bytes);
    sk_X509_pop_free(identity.chain, X509_free);
    return err ? gnt_cert_not_written(err, &why) : EX_OK;
}

int gnt_cert_open(const char *dir, const char *source, struct gnt_authority *out)
{
    char path[PATH_MAX];
    struct gnt_cert_secret secret;
    struct gnt_pki_why why;
    gnt_authority_path(dir, "ca.key", path);
    int code = gnt_cert_secret(source, path, false, &secret);
    if (code)
        return code;
    gnt_err err = gnt_authority_open(dir, gnt_cert_secret_text(&secret), out, &why);
    if (gnt_cert_secret_needed(err, path, &secret))
        err = gnt_authority_open(dir, gnt_cert_secret_text(&secret), out, &why);
    gnt_cert_forget(&secret);
    return err ? gnt_cert_failed(err, &why) : EX_OK;
}

/* ---- Telling */

void gnt_cert_print(const char *dir, const char *file, const char *about, const X509 *certificate)
{
    enum { COLUMN = 24 };
    char path[PATH_MAX], until[GNT_PKI_DATE];
    struct gnt_buf subject = {NULL, 0, 0, 0};
    printf("%-*s %s", COLUMN, gnt_authority_path(dir, file, path), about);
    if (certificate && gnt_name_print(X509_get_subject_name(certificate), &subject) == GNT_OK) {
        struct gnt_slice text = gnt_buf_slice(&subject);
        gnt_pki_date(gnt_facts_seconds(X509_get0_notAfter(certificate)), until);
        printf(": %.*s%suntil %.10s", (int)text.size, (const char *)text.data,
               text.size ? ", " : "", until);
    }
    putchar('\n');
    gnt_buf_fini(&subject);
}
