/* gnatter cert pfx: PKCS#12 packed and unpacked. */
#include "cli/cert.h"
#include "pki/certs.h"
#include "pki/key.h"
#include "pki/pfx.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const struct gnt_option rows[] = {
    {.flag = "certificate",
     .letter = 'c',
     .kind = GNT_OPTION_STRING,
     GNT_CERT_FIELD(certificate),
     .min = 1,
     .metavar = "FILE",
     .help = "Packs this certificate, and what stands behind it in the file."},
    {.flag = "key",
     .letter = 'k',
     .kind = GNT_OPTION_STRING,
     GNT_CERT_FIELD(key),
     .min = 1,
     .metavar = "FILE",
     .help = "Its key: PEM, DER or .pvk; without it, it is in the file of the certificate."},
    {.flag = "ca",
     .kind = GNT_OPTION_STRING,
     GNT_CERT_FIELD(ca),
     .min = 1,
     .metavar = "FILE",
     .help = "Packs the certificates of this file, too."},
    {.flag = "name",
     .letter = 'n',
     .kind = GNT_OPTION_STRING,
     GNT_CERT_FIELD(name),
     .min = 1,
     .max = 255,
     .metavar = "NAME",
     .help = "The friendly name that Windows shows."},
    GNT_CERT_LEGACY_ROW,
    {.flag = "unpack",
     .letter = 'x',
     .kind = GNT_OPTION_BOOL,
     GNT_CERT_FIELD(unpack),
     .help = "Unpacks FILE."},
    {.flag = "out",
     .letter = 'o',
     .kind = GNT_OPTION_STRING,
     GNT_CERT_FIELD(out),
     .min = 1,
     .metavar = "STEM",
     .help = "Unpacks into STEM.pem and STEM.key; without it, STEM is FILE without .pfx or .p12."},
    GNT_CERT_FORCE_ROW,
    GNT_CERT_PASSWORD_ROW("The password of FILE; without it, it has none. A terminal is asked for "
                          "that of a FILE to unpack."),
    GNT_CERT_PASSPHRASE_ROW("The pass-phrase of the key that is packed; or the one to encrypt "
                            "STEM.key with."),
};

static const struct gnt_args arguments = {
    .usage = "gnatter cert pfx [OPTION]... --certificate FILE [--key FILE] FILE\n"
             "gnatter cert pfx --unpack [OPTION]... FILE",
    .about = "Packs a certificate, its key and its chain into the PFX (PKCS#12) file FILE, as "
             "Windows, .NET and Java have them; or unpacks one.",
    .footer = GNT_CERT_SOURCES
    "\n"
    "Examples:\n"
    "  gnatter cert pfx -c pki/server.pem -k pki/server.key --ca pki/ca.pem \\\n"
    "      --password ask pki/server.pfx\n"
    "  gnatter cert pfx --unpack --password file:secret.txt old.pfx\n"
    "\n" GNT_CERT_EXITS,
    .table = GNT_OPTION_TABLE(struct gnt_cert_options, rows),
    .words_min = 1,
    .words_max = 1,
};

struct secrets {
    struct gnt_cert_secret key, pfx;
};

/* ---- Packing */

static int load(const struct gnt_cert_options *o, struct secrets *s, struct gnt_identity *out)
{
    struct gnt_pki_why why;
    struct gnt_identity_source source = {.certificate = o->certificate,
                                         .key = o->key,
                                         .passphrase = gnt_cert_secret_text(&s->key)};
    gnt_err err = gnt_identity_load(&source, out, &why);
    if (gnt_cert_secret_needed(err, o->key ? o->key : o->certificate, &s->key)) {
        source.passphrase = gnt_cert_secret_text(&s->key);
        err = gnt_identity_load(&source, out, &why);
    }
    return err ? gnt_cert_failed(err, &why) : EX_OK;
}

static int add_ca(const char *file, STACK_OF(X509) * chain)
{
    struct gnt_pki_why why;
    STACK_OF(X509) *more = NULL;
    gnt_err err = gnt_certs_load(file, &more, &why);
    if (!err) {
        for (int i = 0; i < sk_X509_num(more) && !err; i++)
            err = gnt_certs_add(chain, sk_X509_value(more, i));
        if (err)
            err = gnt_pki_refuse(&why, err, "%s: %s", file, gnt_err_text(err));
        sk_X509_pop_free(more, X509_free);
    }
    return err ? gnt_cert_failed(err, &why) : EX_OK;
}

static int write_pfx(const struct gnt_cert_options *o, const struct gnt_identity *identity,
                     const struct secrets *s, const char *file)
{
    const char *password = s->pfx.given ? s->pfx.text : "";
    struct gnt_files files = {.replace = o->force};
    struct gnt_buf bytes = {NULL, 0, 0, 0};
    struct gnt_pki_why why;
    gnt_err err = gnt_pfx_pack(identity, o->name, password, o->legacy, &bytes, &why);
    if (!err)
        err = gnt_files_add(&files, file, GNT_FILES_SECRET, gnt_buf_slice(&bytes), &why);
    if (!err)
        err = gnt_files_commit(&files, &why);
    gnt_files_fini(&files);
    gnt_files_wipe(&bytes);
    if (err)
        return gnt_cert_not_written(err, &why);
    gnt_cert_print("", file, "certificate and key in one file", identity->certificate);
    return EX_OK;
}

static int pack(const struct gnt_cert_options *o, const char *file)
{
    struct secrets s;
    struct gnt_identity identity = {NULL, NULL, NULL};
    int code = gnt_cert_secret(o->passphrase, "the key", false, &s.key);
    if (!code)
        code = gnt_cert_secret(o->password, file, true, &s.pfx);
    if (!code)
        code = load(o, &s, &identity);
    if (!code && o->ca)
        code = add_ca(o->ca, identity.chain);
    if (!code)
        code = write_pfx(o, &identity, &s, file);
    gnt_identity_fini(&identity);
    gnt_cert_forget(&s.key);
    gnt_cert_forget(&s.pfx);
    return code;
}

/* ---- Unpacking */

/* FILE without its suffix, where it has one of these. */
static void stem_of(const char *file, char out[PATH_MAX])
{
    size_t size = strlen(file);
    if (size > 4 &&
        (strcasecmp(file + size - 4, ".pfx") == 0 || strcasecmp(file + size - 4, ".p12") == 0))
        size -= 4;
    (void)snprintf(out, PATH_MAX, "%.*s", (int)size, file);
}

static int write_parts(const struct gnt_cert_options *o, const struct gnt_identity *identity,
                       const struct secrets *s, const char *file)
{
    char stem[PATH_MAX], path[PATH_MAX + 8];
    struct gnt_pki_why why;
    struct gnt_files files = {.replace = o->force};
    struct gnt_cert_made made = {identity->certificate, identity->key, true};
    stem_of(file, stem);
    if (o->out)
        (void)snprintf(stem, sizeof stem, "%s", o->out);
    int code = gnt_cert_put("", stem, &made, identity->chain, &s->key, &files);
    gnt_err err = code ? GNT_OK : gnt_files_commit(&files, &why);
    gnt_files_fini(&files);
    if (err)
        code = gnt_cert_not_written(err, &why);
    if (code)
        return code;
    (void)snprintf(path, sizeof path, "%s.pem", stem);
    gnt_cert_print("", path, "the certificate", identity->certificate);
    (void)snprintf(path, sizeof path, "%s.key", stem);
    gnt_cert_print("", path, "its key", NULL);
    return EX_OK;
}

static int unpack(const struct gnt_cert_options *o, const char *file)
{
    struct secrets s;
    struct gnt_pki_why why;
    struct gnt_identity identity = {NULL, NULL, NULL};
    int code = gnt_cert_secret(o->password, file, false, &s.pfx);
    if (!code)
        code = gnt_cert_secret(o->passphrase, "the key", true, &s.key);
    if (!code) {
        gnt_err err = gnt_pfx_load(file, gnt_cert_secret_text(&s.pfx), &identity, &why);
        if (gnt_cert_secret_needed(err, file, &s.pfx))
            err = gnt_pfx_load(file, gnt_cert_secret_text(&s.pfx), &identity, &why);
        code = err ? gnt_cert_failed(err, &why) : write_parts(o, &identity, &s, file);
    }
    gnt_identity_fini(&identity);
    gnt_cert_forget(&s.key);
    gnt_cert_forget(&s.pfx);
    return code;
}

static int run(const struct gnt_cert_options *o, const char *word)
{
    bool packing = o->certificate || o->key || o->ca || o->name || o->legacy;
    if (o->unpack ? packing : !o->certificate || o->out) {
        gnt_say("cert", o->unpack ? "--unpack goes with --out, --force and the secrets only"
                                  : "expected --certificate FILE to pack, or --unpack");
        return EX_USAGE;
    }
    int code = o->unpack ? unpack(o, word) : pack(o, word);
    return code == EX_OK && fflush(stdout) != 0 ? EX_IOERR : code;
}

const struct gnt_cert_verb gnt_cert_pfx = {"pfx", &arguments, run};
