/* gnatter cert init and gnatter cert ca: a new certification authority. */
#include "cli/cert.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { CA_DAYS = 3650 };

/* ---- Options */

static const struct gnt_option init_rows[] = {
    GNT_CERT_DIR_ROW("The directory, made 0700 if it is not there."),
    {.flag = "name",
     .letter = 'n',
     .kind = GNT_OPTION_STRINGS,
     GNT_CERT_FIELD(names),
     .metavar = "HOST",
     .help = "A name or an address under which clients reach the broker, besides this machine's "
             "name, localhost, 127.0.0.1 and ::1. May be repeated."},
    {.flag = "client",
     .letter = 'c',
     .kind = GNT_OPTION_STRING,
     GNT_CERT_FIELD(client),
     .fallback = "client",
     .min = 1,
     .max = 64,
     .metavar = "NAME",
     .help = "The client's common name."},
    GNT_CERT_SUBJECT_ROW("The CA's name; without it, CN=gnatter CA and this machine's name."),
    GNT_CERT_KEY_ROW("The keys to make: rsa:BITS, ec:CURVE or ed25519."),
    GNT_CERT_DIGEST_ROW,
    {.flag = "days",
     .kind = GNT_OPTION_INTEGER,
     GNT_CERT_FIELD(days),
     .fallback = "825",
     .min = 1,
     .max = 36500,
     .metavar = "N",
     .help = "How long the certificates of server and client are valid; the CA's is for ten years, "
             "or as long."},
    GNT_CERT_LEGACY_ROW,
    GNT_CERT_FORCE_ROW,
    GNT_CERT_CA_PASSPHRASE_ROW("Encrypts ca.key with this pass-phrase."),
    GNT_CERT_PASSPHRASE_ROW("Encrypts server.key and client.key with this one."),
    GNT_CERT_PASSWORD_ROW("The password of the PFX files; without it, they have the empty one."),
};

static const struct gnt_args init_arguments = {
    .usage = "gnatter cert init [OPTION]...",
    .about = "TLS in one command: makes a CA, a certificate for the broker and one for a client, "
             "and says how to use them.",
    .footer = GNT_CERT_SOURCES "\n"
                               "Examples:\n"
                               "  gnatter cert init\n"
                               "  gnatter cert init --name broker.example.com --name 192.0.2.7\n"
                               "  gnatter cert init --dir /etc/gnatter/pki --key rsa:3072\n"
                               "\n" GNT_CERT_EXITS,
    .table = GNT_OPTION_TABLE(struct gnt_cert_options, init_rows),
};

static const struct gnt_option ca_rows[] = {
    GNT_CERT_DIR_ROW("The directory of the new CA, made 0700 if it is not there."),
    GNT_CERT_SUBJECT_ROW("The CA's name, such as 'CN=Home CA, O=Home, C=GB'; without it, "
                         "CN=gnatter CA and this machine's name."),
    GNT_CERT_KEY_ROW(GNT_CERT_ANY_KEY),
    GNT_CERT_DIGEST_ROW,
    GNT_CERT_VALID_ROWS("3650"),
    {.flag = "path-length",
     .letter = 'l',
     .kind = GNT_OPTION_INTEGER,
     GNT_CERT_FIELD(path_length),
     .fallback = "any",
     .max = 100,
     .words = gnt_cert_lengths,
     .metavar = "N",
     .help = "How many CAs may stand between it and a server or client; 0: none."},
    {.flag = "issuer",
     .kind = GNT_OPTION_STRING,
     GNT_CERT_FIELD(issuer),
     .min = 1,
     .metavar = "DIR",
     .help = "The directory of the CA that issues this one; without it, it is a root."},
    GNT_CERT_FORCE_ROW,
    GNT_CERT_PASSPHRASE_ROW("Encrypts the new key with this pass-phrase."),
    GNT_CERT_CA_PASSPHRASE_ROW("The pass-phrase of the issuer's key."),
};

static const struct gnt_args ca_arguments = {
    .usage = "gnatter cert ca [OPTION]...",
    .about = "Makes a CA: DIR/ca.pem and DIR/ca.key, and the index of what it issues.",
    .footer = GNT_CERT_SOURCES "\n"
                               "Examples:\n"
                               "  gnatter cert ca --subject 'CN=Home CA, O=Home' --passphrase ask\n"
                               "  gnatter cert ca --dir site --issuer pki --path-length 0\n"
                               "\n" GNT_CERT_EXITS,
    .table = GNT_OPTION_TABLE(struct gnt_cert_options, ca_rows),
};

/* ---- A CA */

/* The CA as it comes into being. */
struct founding {
    const struct gnt_cert_options *o;
    const char *dir;
    struct gnt_authority ca;
    struct gnt_files files;
};

static int begin(struct founding *f, const struct gnt_cert_options *o)
{
    struct gnt_pki_why why;
    *f = (struct founding){.o = o, .dir = o->dir, .ca.lock = -1, .files.replace = o->force};
    gnt_err err = gnt_files_directory(o->dir, &why);
    return err ? gnt_cert_not_written(err, &why) : EX_OK;
}

static int found(struct founding *f, const struct gnt_issue *plan,
                 const struct gnt_cert_secret *passphrase, struct gnt_authority *issuer)
{
    struct gnt_cert_made made;
    struct gnt_pki_why why;
    STACK_OF(X509) *chain = NULL;
    int code = gnt_cert_make(f->o, plan, passphrase, issuer, &made);
    if (code)
        return code;
    gnt_err err = issuer ? gnt_cert_chain(issuer, &chain) : GNT_OK;
    if (err)
        code = gnt_cert_failed(gnt_pki_refuse(&why, err, "%s", gnt_err_text(err)), &why);
    if (!code)
        code = gnt_cert_put(f->dir, "ca", &made, chain, passphrase, &f->files);
    if (!code) {
        err = gnt_authority_found(f->dir, &made.certificate, &made.key, &chain, &f->ca, &why);
        code = err ? gnt_cert_failed(err, &why) : EX_OK;
    }
    gnt_cert_made_fini(&made);
    sk_X509_pop_free(chain, X509_free);
    return code;
}

/* The name of a CA that was given none: its machine's is in it, so that two can be told apart. */
static const char *subject_of(const struct gnt_cert_options *o, char room[GNT_CERT_SUBJECT])
{
    const struct gnt_strings none = {NULL, 0};
    char *names[GNT_CERT_NAMES_MAX], host[GNT_CERT_HOST_MAX], name[64 + 1];
    if (o->subject)
        return o->subject;
    (void)gnt_cert_names(&none, true, host, names);
    (void)snprintf(name, sizeof name, "gnatter CA %.50s", names[0]);
    return gnt_cert_subject(name, room);
}

static int commit(struct founding *f)
{
    char crl[PATH_MAX];
    struct gnt_pki_why why;
    gnt_err err = gnt_authority_save(&f->ca, true, &f->files, &why);
    if (!err)
        err = gnt_files_commit(&f->files, &why);
    if (err)
        return gnt_cert_not_written(err, &why);
    gnt_authority_path(f->dir, "crl.pem", crl);
    if (unlink(crl) < 0 && errno != ENOENT) /* that of the CA which was there before */
        gnt_say("cert", "%s: %s", crl, strerror(errno));
    return EX_OK;
}

static void end(struct founding *f)
{
    gnt_files_fini(&f->files);
    gnt_authority_close(&f->ca);
}

/* ---- gnatter cert ca */

static int make_ca(struct founding *f, struct gnt_authority *issuer)
{
    char subject[GNT_CERT_SUBJECT];
    struct gnt_cert_secret passphrase;
    const struct gnt_cert_options *o = f->o;
    uint32_t length = o->path_length;
    struct gnt_issue plan = {.role = GNT_ISSUE_CA,
                             .subject = subject_of(o, subject),
                             .path_length = length == GNT_CERT_ANY_LENGTH ? -1 : (int)length};
    int code = gnt_cert_validity(o, gnt_cert_now(), issuer ? issuer->certificate : NULL, &plan);
    if (!code)
        code =
            gnt_cert_secret(o->passphrase, o->key, strncmp(o->key, "file:", 5) != 0, &passphrase);
    if (code)
        return code;
    code = found(f, &plan, &passphrase, issuer);
    gnt_cert_forget(&passphrase);
    return code;
}

/* The issuer's index, where the new CA is listed before it is written. */
static int record(struct founding *f, struct gnt_authority *issuer)
{
    char path[PATH_MAX];
    struct gnt_pki_why why;
    gnt_err err =
        gnt_index_add(issuer->index, f->ca.certificate, gnt_authority_path(f->dir, "ca.pem", path));
    if (err)
        err = gnt_pki_refuse(&why, err, "%s", gnt_err_text(err));
    if (!err)
        err = gnt_authority_save(issuer, false, &f->files, &why);
    return err ? gnt_cert_not_written(err, &why) : EX_OK;
}

static int run_ca(const struct gnt_cert_options *o, const char *word)
{
    (void)word;
    struct founding f;
    struct gnt_authority issuer = {.lock = -1};
    int code = begin(&f, o);
    if (!code && o->issuer)
        code = gnt_cert_open(o->issuer, o->ca_passphrase, &issuer);
    if (!code)
        code = make_ca(&f, o->issuer ? &issuer : NULL);
    if (!code && o->issuer)
        code = record(&f, &issuer);
    if (!code)
        code = commit(&f);
    if (!code) {
        gnt_cert_print(o->dir, "ca.pem", "the CA's certificate", f.ca.certificate);
        if (strncmp(o->key, "file:", 5) != 0)
            gnt_cert_print(o->dir, "ca.key", "its key", NULL);
    }
    end(&f);
    gnt_authority_close(&issuer);
    return code;
}

/* ---- gnatter cert init */

struct secrets {
    struct gnt_cert_secret ca, keys, pfx;
};

static int read_secrets(const struct gnt_cert_options *o, struct secrets *s)
{
    int code = gnt_cert_secret(o->ca_passphrase, "ca.key", true, &s->ca);
    if (!code)
        code = gnt_cert_secret(o->passphrase, "server.key", true, &s->keys);
    return code ? code : gnt_cert_secret(o->password, "server.pfx", true, &s->pfx);
}

static void forget_secrets(struct secrets *s)
{
    gnt_cert_forget(&s->ca);
    gnt_cert_forget(&s->keys);
    gnt_cert_forget(&s->pfx);
}

/* Issues what PLAN says, adds STEM.pem, STEM.key and STEM.pfx, and lists it. */
static int add_one(struct founding *f, const struct secrets *s, const char *stem,
                   struct gnt_issue *plan)
{
    char file[64];
    struct gnt_cert_made made;
    int code = gnt_cert_validity(f->o, gnt_cert_now(), f->ca.certificate, plan);
    if (!code)
        code = gnt_cert_make(f->o, plan, NULL, &f->ca, &made);
    if (code)
        return code;
    (void)snprintf(file, sizeof file, "%s.pem", stem);
    if (gnt_index_add(f->ca.index, made.certificate, file)) {
        gnt_say("cert", "%s", gnt_err_text(GNT_NOMEM));
        code = EX_OSERR;
    }
    if (!code)
        code = gnt_cert_put(f->dir, stem, &made, NULL, &s->keys, &f->files);
    if (!code)
        code = gnt_cert_put_pfx(f->dir, stem, &made, &f->ca, gnt_cert_secret_text(&s->pfx),
                                f->o->legacy, &f->files);
    gnt_cert_made_fini(&made);
    return code;
}

static int make_all(struct founding *f, const struct secrets *s, char *const *names, size_t count)
{
    char ca_subject[GNT_CERT_SUBJECT], server[GNT_CERT_SUBJECT], client[GNT_CERT_SUBJECT];
    int64_t now = gnt_cert_now();
    uint32_t days = f->o->days > CA_DAYS ? f->o->days : CA_DAYS;
    struct gnt_issue ca = {.role = GNT_ISSUE_CA,
                           .subject = subject_of(f->o, ca_subject),
                           .from = now,
                           .until = now + (int64_t)days * 86400,
                           .path_length = -1};
    struct gnt_issue for_server = {.role = GNT_ISSUE_SERVER,
                                   .subject = gnt_cert_subject(names[0], server),
                                   .names = names,
                                   .name_count = count};
    struct gnt_issue for_client = {.role = GNT_ISSUE_CLIENT,
                                   .subject = gnt_cert_subject(f->o->client, client)};
    int code = found(f, &ca, &s->ca, NULL);
    if (!code)
        code = add_one(f, s, "server", &for_server);
    if (!code)
        code = add_one(f, s, "client", &for_client);
    return code ? code : commit(f);
}

static void explain(const struct founding *f, const char *host)
{
    const char *dir = f->dir;
    size_t size = strlen(dir);
    char shown[PATH_MAX];
    (void)snprintf(shown, sizeof shown, "%s%s", dir, size && dir[size - 1] == '/' ? "" : "/");
    gnt_cert_print(dir, "ca.pem", "the CA's certificate, for everybody", f->ca.certificate);
    gnt_cert_print(dir, "ca.key", "its key: who has it can issue certificates", NULL);
    gnt_cert_print(dir, "server.pem", "the broker's certificate; server.key: its key", NULL);
    gnt_cert_print(dir, "server.pfx", "both in one file", NULL);
    gnt_cert_print(dir, "client.pem", "a client's certificate; client.key: its key", NULL);
    gnt_cert_print(dir, "client.pfx", "both in one file", NULL);
    printf("\nThe broker, for clients that show a certificate of this CA:\n"
           "  gnatter broker --listen mqtts://:8883 --certificate %sserver.pem \\\n"
           "      --key %sserver.key --ca %sca.pem\n"
           "\nClients:\n",
           shown, shown, shown);
    static const char *const clients[] = {"gnatter sub", "mosquitto_sub"};
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++)
        printf("  %s -h %s -p 8883 --cafile %sca.pem \\\n"
               "      --cert %sclient.pem --key %sclient.key -t '#' -v\n",
               clients[i], host, shown, shown, shown);
    printf("\nFurther clients: gnatter cert client --dir %s NAME\n", dir);
}

static int run_init(const struct gnt_cert_options *o, const char *word)
{
    (void)word;
    struct founding f;
    struct secrets secrets;
    char *names[GNT_CERT_NAMES_MAX], host[GNT_CERT_HOST_MAX];
    size_t count = gnt_cert_names(&o->names, true, host, names);
    if (strncmp(o->key, "file:", 5) == 0) {
        gnt_say("cert", "init makes its keys; ca, server and client take one that is there");
        return EX_USAGE;
    }
    int code = read_secrets(o, &secrets);
    if (!code) {
        code = begin(&f, o);
        if (!code)
            code = make_all(&f, &secrets, names, count);
        if (!code)
            explain(&f, names[0]);
        end(&f);
    }
    forget_secrets(&secrets);
    return code == EX_OK && fflush(stdout) != 0 ? EX_IOERR : code;
}

const struct gnt_cert_verb gnt_cert_init = {"init", &init_arguments, run_init};
const struct gnt_cert_verb gnt_cert_ca = {"ca", &ca_arguments, run_ca};
