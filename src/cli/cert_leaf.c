/* gnatter cert server and gnatter cert client: certificates that a CA issues. */
#include "base/utf8.h"
#include "cli/cert.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define NAMES_ROW(text)                                                                   \
    {                                                                                     \
        .flag = "name", .letter = 'n', .kind = GNT_OPTION_STRINGS, GNT_CERT_FIELD(names), \
        .metavar = "NAME", .help = text                                                   \
    }
#define USAGE_ROW(text)                                                                     \
    {                                                                                       \
        .flag = "usage", .letter = 'u', .kind = GNT_OPTION_STRINGS, GNT_CERT_FIELD(usages), \
        .metavar = "USAGE", .help = text                                                    \
    }
#define SELF_SIGNED_ROW                                                \
    {                                                                  \
        .flag = "self-signed", .letter = 'r', .kind = GNT_OPTION_BOOL, \
        GNT_CERT_FIELD(self_signed),                                   \
        .help = "Signs it with its own key: there is no CA, and who "  \
                "is to trust it has to be given this certificate."     \
    }
#define PFX_ROW                                                             \
    {                                                                       \
        .flag = "pfx", .kind = GNT_OPTION_BOOL, GNT_CERT_FIELD(pfx),        \
        .help = "Makes NAME.pfx, too: certificate, key and CA in one file." \
    }
#define SECRET_ROWS                                                                              \
    GNT_CERT_PASSPHRASE_ROW("Encrypts the new key with this pass-phrase; with --key file:FILE, " \
                            "that of FILE."),                                                    \
        GNT_CERT_CA_PASSPHRASE_ROW(GNT_CERT_CA_PASSPHRASE),                                      \
        GNT_CERT_PASSWORD_ROW("The password of NAME.pfx; without it, it has the empty one.")

static const struct gnt_option server_rows[] = {
    GNT_CERT_DIR_ROW(GNT_CERT_OF_CA),
    NAMES_ROW(
        "A host name (*.example.com, too) or an address under which clients reach the server; "
        "also URI:..., email:.... May be repeated. Without any: this machine's name, "
        "localhost, 127.0.0.1 and ::1."),
    GNT_CERT_SUBJECT_ROW("The subject; without it, CN= and the first name."),
    GNT_CERT_KEY_ROW(GNT_CERT_ANY_KEY),
    GNT_CERT_DIGEST_ROW,
    GNT_CERT_VALID_ROWS("825"),
    USAGE_ROW(
        "What it is good for: server, client or an object identifier; without it, server. May "
        "be repeated: a broker that is another's client is both."),
    SELF_SIGNED_ROW,
    PFX_ROW,
    GNT_CERT_LEGACY_ROW,
    GNT_CERT_FORCE_ROW,
    SECRET_ROWS,
};

static const struct gnt_option client_rows[] = {
    GNT_CERT_DIR_ROW(GNT_CERT_OF_CA),
    NAMES_ROW("A further name of the client: a host name, an address, URI:... or email:.... May be "
              "repeated."),
    GNT_CERT_SUBJECT_ROW("The subject; without it, CN=NAME."),
    GNT_CERT_KEY_ROW(GNT_CERT_ANY_KEY),
    GNT_CERT_DIGEST_ROW,
    GNT_CERT_VALID_ROWS("825"),
    USAGE_ROW("What it is good for; without it, client. May be repeated."),
    SELF_SIGNED_ROW,
    PFX_ROW,
    GNT_CERT_LEGACY_ROW,
    GNT_CERT_FORCE_ROW,
    SECRET_ROWS,
};

static const struct gnt_args server_arguments = {
    .usage = "gnatter cert server [OPTION]... NAME",
    .about = "Makes DIR/NAME.pem, a server's certificate with the chain of its CA, and "
             "DIR/NAME.key. With --key file:FILE and --force it renews one.",
    .footer =
        GNT_CERT_SOURCES "\n"
                         "Examples:\n"
                         "  gnatter cert server --name broker.example.com --name 192.0.2.7 broker\n"
                         "  gnatter cert server --force --key file:pki/server.key server\n"
                         "\n" GNT_CERT_EXITS,
    .table = GNT_OPTION_TABLE(struct gnt_cert_options, server_rows),
    .words_min = 1,
    .words_max = 1,
};

static const struct gnt_args client_arguments = {
    .usage = "gnatter cert client [OPTION]... NAME",
    .about = "Makes DIR/NAME.pem, a client's certificate with the chain of its CA, and "
             "DIR/NAME.key. A broker that takes the identity from the common name calls the client "
             "NAME.",
    .footer = GNT_CERT_SOURCES "\n"
                               "Examples:\n"
                               "  gnatter cert client sensor-7\n"
                               "  gnatter cert client --pfx --password ask laptop\n"
                               "  gnatter cert client --name URI:urn:site:7 --days 30 guest\n"
                               "\n" GNT_CERT_EXITS,
    .table = GNT_OPTION_TABLE(struct gnt_cert_options, client_rows),
    .words_min = 1,
    .words_max = 1,
};

/* Whether STEM can be the beginning of file names here that are not the CA's own. */
static bool check_stem(const char *stem)
{
    enum { STEM_MAX = 200 };
    static const char *const taken[] = {"ca", "crl"};
    bool good = stem[0] && stem[0] != '.' && !strchr(stem, '/') && strlen(stem) <= STEM_MAX &&
                gnt_utf8_valid(gnt_slice_str(stem));
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        good = good && strcmp(stem, taken[i]) != 0;
    for (const char *at = stem; good && *at; at++)
        good = (unsigned char)*at >= ' ' && *at != 0x7f;
    if (!good)
        gnt_say("cert", "NAME begins the names of files: no slash, no dot in front, not ca and not "
                        "crl");
    return good;
}

struct secrets {
    struct gnt_cert_secret key, pfx;
};

/* All in memory, and beside its place. */
static int prepare(const struct gnt_cert_options *o, const char *stem, const struct gnt_issue *plan,
                   const struct secrets *s, struct gnt_authority *ca, struct gnt_files *files,
                   struct gnt_cert_made *made)
{
    char file[PATH_MAX];
    struct gnt_pki_why why;
    STACK_OF(X509) *chain = NULL;
    int code = gnt_cert_make(o, plan, &s->key, ca, made);
    if (code)
        return code;
    (void)snprintf(file, sizeof file, "%s.pem", stem);
    gnt_err err = ca ? gnt_cert_chain(ca, &chain) : GNT_OK;
    if (!err && ca)
        err = gnt_index_add(ca->index, made->certificate, file);
    if (err)
        err = gnt_pki_refuse(&why, err, "%s", gnt_err_text(err));
    if (!err && ca)
        err = gnt_authority_save(ca, false, files, &why);
    code = err ? gnt_cert_not_written(err, &why) : EX_OK;
    if (!code)
        code = gnt_cert_put(o->dir, stem, made, chain, &s->key, files);
    if (!code && o->pfx)
        code = gnt_cert_put_pfx(o->dir, stem, made, ca, gnt_cert_secret_text(&s->pfx), o->legacy,
                                files);
    sk_X509_pop_free(chain, X509_free);
    return code;
}

static int issue(const struct gnt_cert_options *o, const char *stem, struct gnt_issue *plan,
                 const struct secrets *s, struct gnt_authority *ca)
{
    char file[PATH_MAX];
    struct gnt_files files = {.replace = o->force};
    struct gnt_cert_made made = {NULL, NULL, false};
    struct gnt_pki_why why;
    int code = gnt_cert_validity(o, gnt_cert_now(), ca ? ca->certificate : NULL, plan);
    if (!code)
        code = prepare(o, stem, plan, s, ca, &files, &made);
    gnt_err err = code ? GNT_OK : gnt_files_commit(&files, &why);
    if (err)
        code = gnt_cert_not_written(err, &why);
    if (!code) {
        (void)snprintf(file, sizeof file, "%s.pem", stem);
        gnt_cert_print(o->dir, file, "the certificate", made.certificate);
        (void)snprintf(file, sizeof file, "%s.key", stem);
        if (made.own_key)
            gnt_cert_print(o->dir, file, "its key", NULL);
        (void)snprintf(file, sizeof file, "%s.pfx", stem);
        if (o->pfx)
            gnt_cert_print(o->dir, file, "both in one file", NULL);
    }
    gnt_files_fini(&files);
    gnt_cert_made_fini(&made);
    return code;
}

/* With the CA open, or none for what signs itself. */
static int open_and_issue(const struct gnt_cert_options *o, const char *stem,
                          struct gnt_issue *plan, const struct secrets *s)
{
    struct gnt_authority ca = {.lock = -1};
    struct gnt_pki_why why;
    int code;
    if (o->self_signed) {
        gnt_err err = gnt_files_directory(o->dir, &why);
        return err ? gnt_cert_not_written(err, &why) : issue(o, stem, plan, s, NULL);
    }
    code = gnt_cert_open(o->dir, o->ca_passphrase, &ca);
    if (!code)
        code = issue(o, stem, plan, s, &ca);
    gnt_authority_close(&ca);
    return code;
}

static int run(const struct gnt_cert_options *o, const char *stem, struct gnt_issue *plan)
{
    struct secrets s;
    if (!check_stem(stem))
        return EX_USAGE;
    if ((o->password || o->legacy) && !o->pfx) {
        gnt_say("cert", "--password and --legacy are about a PFX file: --pfx makes one");
        return EX_USAGE;
    }
    plan->usages = o->usages.items;
    plan->usage_count = o->usages.count;
    int code = gnt_cert_secret(o->passphrase, o->key, strncmp(o->key, "file:", 5) != 0, &s.key);
    if (!code)
        code = gnt_cert_secret(o->password, "the PFX", true, &s.pfx);
    if (!code)
        code = open_and_issue(o, stem, plan, &s);
    gnt_cert_forget(&s.key);
    gnt_cert_forget(&s.pfx);
    return code == EX_OK && fflush(stdout) != 0 ? EX_IOERR : code;
}

static int run_server(const struct gnt_cert_options *o, const char *word)
{
    char *names[GNT_CERT_NAMES_MAX], host[GNT_CERT_HOST_MAX], subject[GNT_CERT_SUBJECT];
    size_t count = gnt_cert_names(&o->names, o->names.count == 0, host, names);
    struct gnt_issue plan = {.role = GNT_ISSUE_SERVER,
                             .subject =
                                 o->subject ? o->subject : gnt_cert_subject(names[0], subject),
                             .names = names,
                             .name_count = count,
                             .path_length = -1};
    return run(o, word, &plan);
}

static int run_client(const struct gnt_cert_options *o, const char *word)
{
    char subject[GNT_CERT_SUBJECT];
    struct gnt_issue plan = {.role = GNT_ISSUE_CLIENT,
                             .subject = o->subject ? o->subject : gnt_cert_subject(word, subject),
                             .names = o->names.items,
                             .name_count = o->names.count,
                             .path_length = -1};
    if (plan.subject[0] || plan.name_count)
        return run(o, word, &plan);
    gnt_say("cert", "NAME is longer than a common name can be: --subject or --name says another");
    return EX_USAGE;
}

const struct gnt_cert_verb gnt_cert_server = {"server", &server_arguments, run_server};
const struct gnt_cert_verb gnt_cert_client = {"client", &client_arguments, run_client};
