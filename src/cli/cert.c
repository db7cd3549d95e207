/* gnatter cert: certificates for TLS, a table of sub-commands. */
#include "cli/cert.h"
#include "base/utf8.h"
#include "cli/command.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const struct gnt_cert_verb *const verbs[] = {
    &gnt_cert_init, &gnt_cert_ca,     &gnt_cert_server, &gnt_cert_client,
    &gnt_cert_pfx,  &gnt_cert_revoke, &gnt_cert_crl,    &gnt_cert_show,
};
enum { VERBS = sizeof verbs / sizeof verbs[0] };

static const struct gnt_args overview = {
    .usage = "gnatter cert init [OPTION]...\n"
             "gnatter cert ca [OPTION]...\n"
             "gnatter cert server [OPTION]... NAME\n"
             "gnatter cert client [OPTION]... NAME\n"
             "gnatter cert pfx [OPTION]... FILE\n"
             "gnatter cert revoke [OPTION]... FILE|SERIAL|NAME\n"
             "gnatter cert crl [OPTION]...\n"
             "gnatter cert show [OPTION]... FILE",
    .about = "Makes what a broker and its clients need for TLS: a certification authority of one's "
             "own, and certificates that it issues. init makes all of it at once; ca, server and "
             "client each a part of it; pfx packs a certificate and its key into one file for "
             "Windows and .NET, and unpacks such files; revoke and crl take certificates back; "
             "show tells what is in a file, and whether it would be accepted.",
    .footer = "gnatter cert COMMAND --help shows the options of one. docs/certificates.md has\n"
              "the whole story, and the openssl and makecert commands that do the same.\n"
              "\n"
              "Examples:\n"
              "  gnatter cert init --name broker.example.com\n"
              "  gnatter cert client sensor-7\n"
              "  gnatter cert show --ca pki/ca.pem --crl pki/crl.pem pki/sensor-7.pem\n"
              "  gnatter cert revoke sensor-7\n"
              "\n" GNT_CERT_EXITS,
    .table = {.size = sizeof(struct gnt_cert_options)},
    .words_min = 1,
    .words_max = 1,
};

const struct gnt_option_word gnt_cert_digests[] = {
    {"auto", 0}, {"sha256", 256}, {"sha384", 384}, {"sha512", 512}, {NULL, 0}};
const struct gnt_option_word gnt_cert_lengths[] = {{"any", GNT_CERT_ANY_LENGTH}, {NULL, 0}};

static const struct {
    gnt_err err;
    int code;
} exits[] = {
    {GNT_NOTFOUND, EX_NOINPUT}, {GNT_DENIED, EX_NOPERM}, {GNT_REFUSED, EX_NOPERM},
    {GNT_NOMEM, EX_OSERR},      {GNT_IO, EX_IOERR},      {GNT_FULL, EX_IOERR},
    {GNT_INVALID, EX_DATAERR},  {GNT_STATE, EX_DATAERR}, {GNT_MALFORMED, EX_DATAERR},
    {GNT_TOOBIG, EX_DATAERR},
};

int gnt_cert_failed(gnt_err err, const struct gnt_pki_why *why)
{
    gnt_say("cert", "%s", why->text);
    for (size_t i = 0; i < sizeof exits / sizeof exits[0]; i++) {
        if (exits[i].err == err)
            return exits[i].code;
    }
    return EX_OSERR;
}

int gnt_cert_not_written(gnt_err err, const struct gnt_pki_why *why)
{
    gnt_say("cert", "%s%s", why->text, err == GNT_EXISTS ? "; --force replaces it" : "");
    return err == GNT_NOMEM ? EX_OSERR : EX_CANTCREAT;
}

static int run(const struct gnt_cert_verb *verb, int argc, char **argv)
{
    char command[32];
    struct gnt_cert_options options;
    int code;
    (void)snprintf(command, sizeof command, "cert %s", verb->name);
    if (!gnt_say_args(command, verb->arguments, argc, argv, &options, &code))
        return code;
    code = verb->run(&options, verb->arguments->words_max ? argv[0] : NULL);
    gnt_options_fini(&verb->arguments->table, &options);
    return code;
}

static int unknown(const char *word)
{
    char shown[64];
    struct gnt_nearest near =
        gnt_nearest(gnt_utf8_printable(gnt_slice_str(word), shown, sizeof shown));
    for (size_t i = 0; i < VERBS; i++)
        gnt_nearest_offer(&near, verbs[i]->name);
    if (near.word)
        gnt_say("cert", "unknown command '%s', did you mean '%s'?", shown, near.word);
    else
        gnt_say("cert", "unknown command '%s', see gnatter cert --help", shown);
    return EX_USAGE;
}

int gnt_command_cert(int argc, char **argv)
{
    int code;
    for (size_t i = 0; i < VERBS && argc > 0; i++) {
        if (strcmp(argv[0], verbs[i]->name) == 0)
            return run(verbs[i], argc - 1, argv + 1);
    }
    if (argc > 0 && argv[0][0] != '-')
        return unknown(argv[0]);
    struct gnt_cert_options none;
    if (!gnt_say_args("cert", &overview, argc, argv, &none, &code))
        return code;
    return unknown(argv[0]); /* behind "--" */
}
