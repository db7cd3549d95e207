/* TLS of the commands that connect to a broker: the options that they share, as mosquitto's
 * commands have them where they do.  The main thread. */
#ifndef GNT_CLI_TLS_H
#define GNT_CLI_TLS_H

#include "conf/option.h"

#include <gnatter/tls.h>

/* The values of GNT_CLI_TLS_ROWS. */
struct gnt_cli_tls {
    char *ca_file, *ca_directory, *crl_file;
    char *certificate, *key, *pfx;
    char *passphrase; /* where it comes from */
    uint32_t least, greatest;
    char *ciphers, *suites, *alpn, *server_name;
    bool system_cas, any_host;
};

extern const struct gnt_option_word gnt_cli_tls_versions[], gnt_cli_ports[];

/* Where a pass-phrase is that nobody reads in the list of processes. */
GNT_MUST gnt_err gnt_cli_tls_check_source(const char *text, struct gnt_why *why);

/* The rows of an option table whose struct TYPE has a struct gnt_cli_tls named TLS.  Ports that go
 * with it are 0 until gnt_cli_port has its say. */
/* clang-format off */
#define GNT_CLI_TLS_ROW(type, name, what, field) \
    .flag = name, .kind = GNT_OPTION_##what, .group = "TLS (any of these turns it on)", \
    GNT_OPTION_FIELD(type, field)
#define GNT_CLI_TLS_ROWS(type, tls) \
    {GNT_CLI_TLS_ROW(type, "cafile", STRING, tls.ca_file), .metavar = "FILE", .min = 1, \
     .help = "The CAs to trust: the broker's certificate has to be by one of them. Without this and " \
             "--capath: those that the system trusts."}, \
    {GNT_CLI_TLS_ROW(type, "capath", STRING, tls.ca_directory), .metavar = "DIR", .min = 1, \
     .help = "The same as a directory, prepared by `openssl rehash DIR`."}, \
    {GNT_CLI_TLS_ROW(type, "tls-use-os-certs", BOOL, tls.system_cas), \
     .help = "TLS with the CAs that the system trusts."}, \
    {GNT_CLI_TLS_ROW(type, "crl", STRING, tls.crl_file), .metavar = "FILE", .min = 1, \
     .help = "Revocation lists, of each CA one."}, \
    {GNT_CLI_TLS_ROW(type, "cert", STRING, tls.certificate), .metavar = "FILE", .min = 1, \
     .help = "A client certificate, for a broker that wants one."}, \
    {GNT_CLI_TLS_ROW(type, "key", STRING, tls.key), .metavar = "FILE", .min = 1, \
     .help = "Its key; without this it is in the file of the certificate."}, \
    {GNT_CLI_TLS_ROW(type, "pfx", STRING, tls.pfx), .metavar = "FILE", .min = 1, \
     .help = "Certificate and key in one PFX (PKCS#12) file."}, \
    {GNT_CLI_TLS_ROW(type, "passphrase", STRING, tls.passphrase), .metavar = "SOURCE", \
     .check = gnt_cli_tls_check_source, \
     .help = "The pass-phrase of the key or the PFX: file:FILE (its first line), env:NAME, or ask. " \
             "Without this a terminal is asked where one is needed."}, \
    {GNT_CLI_TLS_ROW(type, "tls-version", WORD, tls.least), .metavar = "VERSION", .fallback = "auto", \
     .words = gnt_cli_tls_versions, \
     .help = "The least version: tlsv1.2 (which auto is), tlsv1.3; tlsv1.1 and tlsv1.0 are not safe."}, \
    {GNT_CLI_TLS_ROW(type, "tls-max-version", WORD, tls.greatest), .metavar = "VERSION", \
     .fallback = "auto", .words = gnt_cli_tls_versions, \
     .help = "The greatest version."}, \
    {GNT_CLI_TLS_ROW(type, "ciphers", STRING, tls.ciphers), .metavar = "LIST", .min = 1, \
     .help = "The ciphers of TLS 1.2, as OpenSSL writes them."}, \
    {GNT_CLI_TLS_ROW(type, "tls13-ciphers", STRING, tls.suites), .metavar = "LIST", .min = 1, \
     .help = "The same for TLS 1.3."}, \
    {GNT_CLI_TLS_ROW(type, "tls-alpn", STRING, tls.alpn), .metavar = "NAMES", .min = 1, \
     .help = "Application protocols to offer, with commas between, such as mqtt."}, \
    {GNT_CLI_TLS_ROW(type, "tls-server-name", STRING, tls.server_name), .metavar = "NAME", .min = 1, \
     .max = 255, \
     .help = "The name that is asked for, and that the certificate has to be for, instead of the " \
             "host's."}, \
    {GNT_CLI_TLS_ROW(type, "insecure", BOOL, tls.any_host), \
     .help = "Does not look whether the certificate is for this host. Whoever has any certificate " \
             "of that CA can be the broker then."}
/* clang-format on */

/* Whether any of them was given. */
bool gnt_cli_tls_given(const struct gnt_cli_tls *tls);

/* GIVEN, or the usual one of MQTT where that is 0. */
uint16_t gnt_cli_port(uint16_t given, bool tls);

/* What does not go together, in words; NULL: nothing.  URL may be NULL. */
const char *gnt_cli_tls_mistake(const struct gnt_cli_tls *tls, const char *url);

/* TLS for the library.  OUT borrows from it and from SECRET, which gets the pass-phrase, and which
 * the caller wipes.  Returns an exit code; what went wrong has been said. */
struct gnt_cli_secret {
    char text[1024];
};
int gnt_cli_tls_options(const char *command, const struct gnt_cli_tls *tls,
                        struct gnatter_tls_options *out, struct gnt_cli_secret *secret);
void gnt_cli_forget(struct gnt_cli_secret *secret);

#endif
