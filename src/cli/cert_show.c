/* gnatter cert show: what is in a file, and whether it would be accepted. */
#include "cli/cert.h"
#include "pki/certs.h"
#include "pki/check.h"
#include "pki/facts.h"
#include "pki/key.h"
#include "pki/name.h"
#include "pki/pfx.h"

#include <inttypes.h>
#include <jansson.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static const struct gnt_option_word uses[] = {
    {"any", GNT_CHECK_ANY}, {"server", GNT_CHECK_SERVER}, {"client", GNT_CHECK_CLIENT}, {NULL, 0}};

static const struct gnt_option rows[] = {
    {.flag = "ca",
     .kind = GNT_OPTION_STRING,
     GNT_CERT_FIELD(ca),
     .min = 1,
     .metavar = "FILE",
     .help = "Checks the certificate against the CAs in this file; without it, only whether it is "
             "valid at this time."},
    {.flag = "crl",
     .kind = GNT_OPTION_STRING,
     GNT_CERT_FIELD(crl),
     .min = 1,
     .metavar = "FILE",
     .help = "Checks against these revocation lists, too: one of each CA in the chain."},
    {.flag = "for",
     .kind = GNT_OPTION_WORD,
     GNT_CERT_FIELD(use),
     .fallback = "any",
     .words = uses,
     .metavar = "USE",
     .help = "Checks whether it is good for a server or for a client."},
    {.flag = "host",
     .kind = GNT_OPTION_STRING,
     GNT_CERT_FIELD(host),
     .min = 1,
     .max = 255,
     .metavar = "HOST",
     .help = "Checks whether it is for this name or address."},
    {.flag = "json",
     .letter = 'j',
     .kind = GNT_OPTION_BOOL,
     GNT_CERT_FIELD(json),
     .help = "Prints one JSON object."},
    GNT_CERT_PASSWORD_ROW("The password of a PFX file. A terminal is asked where it is needed."),
};

static const struct gnt_args arguments = {
    .usage = "gnatter cert show [OPTION]... FILE",
    .about =
        "Tells what is in FILE, which is PEM, DER or PFX: of each certificate the subject, the "
        "issuer, how long it is valid, the names, usages, key, serial number and fingerprints; "
        "and whether the first one would be accepted.",
    .footer = GNT_CERT_SOURCES
    "\n"
    "Examples:\n"
    "  gnatter cert show pki/server.pem\n"
    "  gnatter cert show --ca pki/ca.pem --for server --host localhost pki/server.pem\n"
    "  gnatter cert show --json --password env:SECRET server.pfx\n"
    "\n"
    "Exit codes: 0 it would be accepted; 1 it would not (expired, not yet valid,\n"
    "wrong CA, revoked, self-signed, ...); else those of sysexits.h: 64 wrong usage,\n"
    "65 the file is something else, 66 there is no such file or no certificate in it,\n"
    "74 it cannot be read, 77 a wrong password, or not permitted.",
    .table = GNT_OPTION_TABLE(struct gnt_cert_options, rows),
    .words_min = 1,
    .words_max = 1,
};

enum { NOT_ACCEPTED = 1 };

/* ---- What is in the files */

struct shown {
    STACK_OF(X509) * certificates; /* the first is the one that is checked */
    STACK_OF(X509) * cas;
    STACK_OF(X509_CRL) * crls;
    int verdict, depth;
};

static int load_pfx(const struct gnt_cert_options *o, const char *file, STACK_OF(X509) * *out)
{
    struct gnt_pki_why why;
    struct gnt_cert_secret password;
    struct gnt_identity identity = {NULL, NULL, NULL};
    int code = gnt_cert_secret(o->password, file, false, &password);
    if (code)
        return code;
    gnt_err err = gnt_pfx_load(file, gnt_cert_secret_text(&password), &identity, &why);
    if (gnt_cert_secret_needed(err, file, &password))
        err = gnt_pfx_load(file, gnt_cert_secret_text(&password), &identity, &why);
    gnt_cert_forget(&password);
    if (err)
        return gnt_cert_failed(err, &why);
    if (sk_X509_unshift(identity.chain, identity.certificate)) {
        *out = identity.chain;
        identity.certificate = NULL;
        identity.chain = NULL;
    }
    gnt_identity_fini(&identity);
    return *out ? EX_OK : EX_OSERR;
}

static int load(const struct gnt_cert_options *o, const char *file, struct shown *s)
{
    struct gnt_pki_why why;
    struct gnt_buf bytes = {NULL, 0, 0, 0};
    gnt_err err = gnt_files_read(file, &bytes, &why);
    bool pfx = !err && gnt_pfx_is(gnt_buf_slice(&bytes));
    gnt_files_wipe(&bytes);
    if (pfx) {
        int code = load_pfx(o, file, &s->certificates);
        if (code)
            return code;
    }
    if (!err && !pfx)
        err = gnt_certs_load(file, &s->certificates, &why);
    if (!err && o->ca)
        err = gnt_certs_load(o->ca, &s->cas, &why);
    if (!err && o->crl)
        err = gnt_crls_load(o->crl, &s->crls, &why);
    return err ? gnt_cert_failed(err, &why) : EX_OK;
}

/* Without CAs there are no chains: only the time and the host count, which OpenSSL looks at where
 * one trusts the certificate itself. */
static int check(const struct gnt_cert_options *o, int64_t now, struct shown *s)
{
    struct gnt_pki_why why;
    X509 *first = sk_X509_value(s->certificates, 0);
    struct gnt_check c = {.certificate = first,
                          .chain = s->certificates,
                          .cas = s->cas,
                          .crls = s->crls,
                          .use = (enum gnt_check_use)o->use,
                          .host = o->host,
                          .now = now,
                          .itself = !s->cas};
    gnt_err err = gnt_check(&c, &s->verdict, &s->depth);
    return err ? gnt_cert_failed(gnt_pki_refuse(&why, err, "%s", gnt_err_text(err)), &why) : EX_OK;
}

static void free_shown(struct shown *s)
{
    sk_X509_pop_free(s->certificates, X509_free);
    sk_X509_pop_free(s->cas, X509_free);
    sk_X509_CRL_pop_free(s->crls, X509_CRL_free);
}

/* ---- One certificate as a JSON object, from which the lines for people are made */

/* TEXT as a value of KEY; the buf is freed. */
static bool set_buf(json_t *object, const char *key, gnt_err err, struct gnt_buf *text)
{
    struct gnt_slice all = gnt_buf_slice(text);
    bool set = !err && json_object_set_new(object, key,
                                           json_stringn((const char *)all.data, all.size)) == 0;
    gnt_buf_fini(text);
    return set;
}

static bool set_name(json_t *object, const char *key, const X509_NAME *name)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    gnt_err err = gnt_name_print(name, &text);
    if (!err)
        err = gnt_buf_reserve(&text, 1); /* an empty name has bytes, too */
    return set_buf(object, key, err, &text);
}

static bool set_fingerprint(json_t *object, const char *key, const X509 *certificate,
                            const char *digest)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    return set_buf(object, key, gnt_facts_fingerprint(certificate, digest, &text), &text);
}

static bool set_time(json_t *object, const char *key, const ASN1_TIME *time)
{
    char text[GNT_PKI_DATE];
    gnt_pki_date(gnt_facts_seconds(time), text);
    text[10] = 'T'; /* as RFC 3339 writes it */
    memcpy(text + 19, "Z", 2);
    return json_object_set_new(object, key, json_string(text)) == 0;
}

static gnt_err append(void *list, const char *text)
{
    return json_array_append_new(list, json_string(text)) == 0 ? GNT_OK : GNT_NOMEM;
}

static bool set_list(json_t *object, const char *key, const X509 *certificate,
                     gnt_err (*walk)(const X509 *, gnt_facts_tell *, void *))
{
    json_t *list = json_array();
    bool filled = list && walk(certificate, append, list) == GNT_OK;
    return json_object_set_new(object, key, list) == 0 && filled;
}

/* NULL: out of memory. */
static json_t *describe(X509 *certificate, int64_t now)
{
    char serial[GNT_FACTS_SERIAL], key[64];
    json_t *o = json_object();
    EVP_PKEY *public = X509_get0_pubkey(certificate);
    uint32_t flags = X509_get_extension_flags(certificate);
    int64_t left = gnt_facts_seconds(X509_get0_notAfter(certificate)) - now;
    gnt_facts_serial(X509_get0_serialNumber(certificate), serial);
    bool complete =
        o && set_name(o, "subject", X509_get_subject_name(certificate)) &&
        set_name(o, "issuer", X509_get_issuer_name(certificate)) &&
        set_time(o, "valid_from", X509_get0_notBefore(certificate)) &&
        set_time(o, "valid_until", X509_get0_notAfter(certificate)) &&
        json_object_set_new(o, "seconds_left", json_integer(left)) == 0 &&
        set_list(o, "names", certificate, gnt_facts_names) &&
        set_list(o, "usages", certificate, gnt_facts_usages) &&
        json_object_set_new(o, "ca", json_boolean(flags & EXFLAG_CA)) == 0 &&
        json_object_set_new(o, "key",
                            json_string(public ? gnt_key_name(public, key) : "unknown")) == 0 &&
        json_object_set_new(o, "serial", json_string(serial)) == 0 &&
        set_fingerprint(o, "sha256", certificate, "SHA256") &&
        set_fingerprint(o, "sha1", certificate, "SHA1");
    if (complete && flags & EXFLAG_CA && X509_get_pathlen(certificate) >= 0)
        complete =
            json_object_set_new(o, "path_length", json_integer(X509_get_pathlen(certificate))) == 0;
    if (complete)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *describe_all(const struct gnt_cert_options *o, const struct shown *s, int64_t now)
{
    json_t *all = json_array();
    bool complete = all;
    for (int i = 0; i < sk_X509_num(s->certificates) && complete; i++)
        complete =
            json_array_append_new(all, describe(sk_X509_value(s->certificates, i), now)) == 0;
    if (!complete) {
        json_decref(all);
        return NULL;
    }
    return json_pack("{s:o, s:{s:b, s:b, s:s, s:i}}", "certificates", all, "check", "accepted",
                     s->verdict == X509_V_OK, "against_ca", o->ca != NULL, "words",
                     gnt_check_words(s->verdict), "depth", s->depth);
}

/* ---- For people */

enum { LABEL_WIDTH = 12 };

static void print_line(const char *label, const char *text)
{
    printf("%-*s %s\n", LABEL_WIDTH, label, text);
}

static void print_list(const char *label, const json_t *list)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) print_line(i ? "" : label, json_string_value(item));
}

/* "2026-11-22T10:00:00Z to 2028-..., 824 days left" */
static void print_validity(const json_t *certificate)
{
    char left[64];
    int64_t seconds = json_integer_value(json_object_get(certificate, "seconds_left"));
    int64_t span = seconds < 0 ? -seconds : seconds;
    const char *unit = span >= 2 * 86400 ? "days" : span >= 2 * 3600 ? "hours" : "minutes";
    span /= span >= 2 * 86400 ? 86400 : span >= 2 * 3600 ? 3600 : 60;
    (void)snprintf(left, sizeof left,
                   seconds < 0 ? "expired %" PRId64 " %s ago" : "%" PRId64 " %s left", span, unit);
    printf("%-*s %s to %s, %s\n", LABEL_WIDTH, "valid",
           json_string_value(json_object_get(certificate, "valid_from")),
           json_string_value(json_object_get(certificate, "valid_until")), left);
}

static void print_one(const json_t *certificate)
{
    static const char *const keys[] = {"key", "serial", "sha256", "sha1"};
    const json_t *length = json_object_get(certificate, "path_length");
    print_line("subject", json_string_value(json_object_get(certificate, "subject")));
    print_line("issuer", json_string_value(json_object_get(certificate, "issuer")));
    print_validity(certificate);
    print_list("names", json_object_get(certificate, "names"));
    print_list("usages", json_object_get(certificate, "usages"));
    if (json_is_true(json_object_get(certificate, "ca")) && !length)
        print_line("CA", "yes");
    else if (length)
        printf("%-*s yes, with %lld further CAs below it at most\n", LABEL_WIDTH, "CA",
               (long long)json_integer_value(length));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        print_line(keys[i], json_string_value(json_object_get(certificate, keys[i])));
}

static void print_all(const json_t *all, const struct gnt_cert_options *o, const struct shown *s)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(all, "certificates"), i, item)
    {
        if (i)
            putchar('\n');
        print_one(item);
    }
    bool good = s->verdict == X509_V_OK;
    printf("\n%-*s %s%s", LABEL_WIDTH, "check",
           good ? "" : "would be refused: ", gnt_check_words(s->verdict));
    if (s->depth > 0 && !good)
        printf(" (certificate %d of the chain)", s->depth + 1);
    puts(o->ca ? "" : good ? " at this time; --ca checks who issued it" : "");
}

/* ---- The command */

static int tell(const struct gnt_cert_options *o, const struct shown *s, int64_t now)
{
    json_t *all = describe_all(o, s, now);
    if (!all) {
        gnt_say("cert", "%s", gnt_err_text(GNT_NOMEM));
        return EX_OSERR;
    }
    if (!o->json)
        print_all(all, o, s);
    else if (json_dumpf(all, stdout, JSON_INDENT(2)) == 0)
        putchar('\n');
    json_decref(all);
    if (fflush(stdout) != 0 || ferror(stdout))
        return EX_IOERR;
    return s->verdict == X509_V_OK ? EX_OK : NOT_ACCEPTED;
}

static int run(const struct gnt_cert_options *o, const char *word)
{
    struct shown s = {NULL, NULL, NULL, X509_V_OK, 0};
    int64_t now = gnt_cert_now();
    if (o->crl && !o->ca) {
        gnt_say("cert", "--crl needs --ca");
        return EX_USAGE;
    }
    int code = load(o, word, &s);
    if (!code)
        code = check(o, now, &s);
    if (!code)
        code = tell(o, &s, now);
    free_shown(&s);
    return code;
}

const struct gnt_cert_verb gnt_cert_show = {"show", &arguments, run};
