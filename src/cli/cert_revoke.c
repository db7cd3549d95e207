/* gnatter cert revoke and gnatter cert crl: certificates taken back. */
#include "base/utf8.h"
#include "cli/cert.h"
#include "pki/certs.h"
#include "pki/facts.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* The values are the places in gnt_index_reasons. */
static const struct gnt_option_word reasons[] = {{"unspecified", 0},
                                                 {"keyCompromise", 1},
                                                 {"CACompromise", 2},
                                                 {"affiliationChanged", 3},
                                                 {"superseded", 4},
                                                 {"cessationOfOperation", 5},
                                                 {NULL, 0}};

#define DAYS_ROW                                                                                \
    {                                                                                           \
        .flag = "days", .kind = GNT_OPTION_INTEGER, GNT_CERT_FIELD(days), .fallback = "30",     \
        .min = 1, .max = 36500, .metavar = "N",                                                 \
        .help = "How long the list is valid. Who checks by a list that is out of date refuses " \
                "everybody: make the next one in time, by gnatter cert crl."                    \
    }

static const struct gnt_option revoke_rows[] = {
    GNT_CERT_DIR_ROW(GNT_CERT_OF_CA),
    {.flag = "reason",
     .letter = 'r',
     .kind = GNT_OPTION_WORD,
     GNT_CERT_FIELD(reason),
     .fallback = "unspecified",
     .words = reasons,
     .metavar = "REASON",
     .help = "unspecified, keyCompromise, CACompromise, affiliationChanged, superseded or "
             "cessationOfOperation."},
    DAYS_ROW,
    GNT_CERT_CA_PASSPHRASE_ROW(GNT_CERT_CA_PASSPHRASE),
};

static const struct gnt_option crl_rows[] = {
    GNT_CERT_DIR_ROW(GNT_CERT_OF_CA),
    DAYS_ROW,
    GNT_CERT_DIGEST_ROW,
    GNT_CERT_CA_PASSPHRASE_ROW(GNT_CERT_CA_PASSPHRASE),
};

static const struct gnt_args revoke_arguments = {
    .usage = "gnatter cert revoke [OPTION]... FILE|SERIAL|NAME",
    .about = "Takes back a certificate that the CA has issued: the one in FILE, or the one with "
             "that serial number or common name; and makes a new revocation list, DIR/crl.pem.",
    .footer = GNT_CERT_SOURCES "\n"
                               "Examples:\n"
                               "  gnatter cert revoke sensor-7\n"
                               "  gnatter cert revoke --reason keyCompromise pki/laptop.pem\n"
                               "\n" GNT_CERT_EXITS,
    .table = GNT_OPTION_TABLE(struct gnt_cert_options, revoke_rows),
    .words_min = 1,
    .words_max = 1,
};

static const struct gnt_args crl_arguments = {
    .usage = "gnatter cert crl [OPTION]...",
    .about = "Makes a new revocation list, DIR/crl.pem, of all that the CA has revoked.",
    .footer = GNT_CERT_SOURCES "\n"
                               "Examples:\n"
                               "  gnatter cert crl --days 7\n"
                               "\n" GNT_CERT_EXITS,
    .table = GNT_OPTION_TABLE(struct gnt_cert_options, crl_rows),
};

/* ---- Which one */

static int find_file(const struct gnt_authority *ca, const char *file, size_t *at)
{
    char serial[GNT_FACTS_SERIAL];
    struct gnt_pki_why why;
    STACK_OF(X509) *certificates = NULL;
    gnt_err err = gnt_certs_load(file, &certificates, &why);
    if (err)
        return gnt_cert_failed(err, &why);
    X509 *certificate = sk_X509_value(certificates, 0);
    gnt_facts_serial(X509_get0_serialNumber(certificate), serial);
    bool own = X509_check_issued(ca->certificate, certificate) == X509_V_OK &&
               gnt_index_find_serial(ca->index, serial, at);
    sk_X509_pop_free(certificates, X509_free);
    if (own)
        return EX_OK;
    gnt_say("cert", "%s: this CA has not issued it, serial number %s", file, serial);
    return EX_DATAERR;
}

static void list_all(const struct gnt_authority *ca)
{
    for (size_t i = 0; i < gnt_index_count(ca->index); i++) {
        struct gnt_index_row row = gnt_index_row(ca->index, i);
        if (row.state == 'V')
            gnt_say("cert", "  %s  %s", row.serial, row.subject);
    }
}

static int find(const struct gnt_authority *ca, const char *word, size_t *at)
{
    char shown[80];
    if (access(word, F_OK) == 0)
        return find_file(ca, word, at);
    if (gnt_index_find_serial(ca->index, word, at))
        return EX_OK;
    size_t count = gnt_index_find_name(ca->index, word, at);
    if (count == 1)
        return EX_OK;
    gnt_utf8_printable(gnt_slice_str(word), shown, sizeof shown);
    if (count == 0) {
        gnt_say("cert",
                "'%s' is no file, and no serial number or common name of a certificate that "
                "is valid; those are:",
                shown);
    } else {
        gnt_say("cert",
                "%zu certificates have the common name '%s'; say which by its file or its "
                "serial number:",
                count, shown);
    }
    list_all(ca);
    return EX_DATAERR;
}

/* ---- The list */

static int make_list(const struct gnt_cert_options *o, struct gnt_authority *ca, bool changed)
{
    char number[64], path[PATH_MAX], until[GNT_PKI_DATE];
    struct gnt_files files = {.replace = true};
    struct gnt_pki_why why;
    int64_t now = gnt_cert_now();
    gnt_err err = changed ? gnt_authority_save(ca, false, &files, &why) : GNT_OK;
    if (!err)
        err = gnt_authority_crl(ca, o->days, gnt_cert_digest(o), now, &files, number, &why);
    if (!err)
        err = gnt_files_commit(&files, &why);
    gnt_files_fini(&files);
    if (err)
        return gnt_cert_not_written(err, &why);
    gnt_pki_date(now + (int64_t)o->days * 86400, until);
    printf("%-24s the revocation list, number %s, until %.10s\n",
           gnt_authority_path(o->dir, "crl.pem", path), number, until);
    return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

static int take_back(const struct gnt_cert_options *o, struct gnt_authority *ca, const char *word)
{
    size_t at = 0;
    int code = find(ca, word, &at);
    if (code)
        return code;
    struct gnt_index_row row = gnt_index_row(ca->index, at);
    gnt_err err = gnt_index_revoke(ca->index, at, gnt_index_reasons[o->reason], gnt_cert_now());
    if (err == GNT_EXISTS) {
        gnt_say("cert", "%s %s is revoked already, since %s", row.serial, row.subject, row.revoked);
        return EX_DATAERR;
    }
    if (err) {
        gnt_say("cert", "%s", gnt_err_text(err));
        return EX_OSERR;
    }
    row = gnt_index_row(ca->index, at);
    code = make_list(o, ca, true);
    if (!code)
        printf("revoked: %s %s\n", row.serial, row.subject);
    return code;
}

static int run_revoke(const struct gnt_cert_options *o, const char *word)
{
    struct gnt_authority ca = {.lock = -1};
    int code = gnt_cert_open(o->dir, o->ca_passphrase, &ca);
    if (!code)
        code = take_back(o, &ca, word);
    gnt_authority_close(&ca);
    return code == EX_OK && fflush(stdout) != 0 ? EX_IOERR : code;
}

static int run_crl(const struct gnt_cert_options *o, const char *word)
{
    (void)word;
    struct gnt_authority ca = {.lock = -1};
    int code = gnt_cert_open(o->dir, o->ca_passphrase, &ca);
    if (!code)
        code = make_list(o, &ca, false);
    gnt_authority_close(&ca);
    return code;
}

const struct gnt_cert_verb gnt_cert_revoke = {"revoke", &revoke_arguments, run_revoke};
const struct gnt_cert_verb gnt_cert_crl = {"crl", &crl_arguments, run_crl};
