/* What the sub-commands of gnatter cert share.  The main thread. */
#ifndef GNT_CLI_CERT_H
#define GNT_CLI_CERT_H

#include "cli/say.h"
#include "conf/option.h"
#include "pki/authority.h"
#include "pki/issue.h"

/* The values of all the options that there are; each sub-command's table has rows for some. */
struct gnt_cert_options {
    char *dir, *issuer;
    char *subject, *client, *key, *out, *host, *name;
    char *certificate, *ca, *crl;
    char *from, *until;
    char *passphrase, *ca_passphrase, *password; /* where they come from */
    struct gnt_strings names, usages;
    uint32_t days, path_length, digest, use, reason;
    bool self_signed, pfx, legacy, unpack, json, force;
};

enum { GNT_CERT_ANY_LENGTH = INT32_MAX };

extern const struct gnt_option_word gnt_cert_digests[], gnt_cert_lengths[];

/* Rows of the tables. */
#define GNT_CERT_FIELD(member) GNT_OPTION_FIELD(struct gnt_cert_options, member)
/* clang-format off */
#define GNT_CERT_DIR_ROW(text) \
    {.flag = "dir", .letter = 'd', .kind = GNT_OPTION_STRING, GNT_CERT_FIELD(dir), \
     .fallback = "pki", .min = 1, .metavar = "DIR", .help = text}
#define GNT_CERT_FORCE_ROW \
    {.flag = "force", .letter = 'f', .kind = GNT_OPTION_BOOL, GNT_CERT_FIELD(force), \
     .help = "Replaces what is there already."}
#define GNT_CERT_KEY_ROW(text) \
    {.flag = "key", .letter = 'k', .kind = GNT_OPTION_STRING, GNT_CERT_FIELD(key), \
     .fallback = "ec:P-256", .metavar = "KEY", .help = text}
#define GNT_CERT_DIGEST_ROW \
    {.flag = "digest", .letter = 'a', .kind = GNT_OPTION_WORD, GNT_CERT_FIELD(digest), \
     .fallback = "auto", .words = gnt_cert_digests, .metavar = "DIGEST", \
     .help = "What is signed: sha256, sha384 or sha512; auto is sha256, or what belongs to the key."}
#define GNT_CERT_SUBJECT_ROW(text) \
    {.flag = "subject", .letter = 's', .kind = GNT_OPTION_STRING, GNT_CERT_FIELD(subject), \
     .min = 1, .metavar = "NAME", .help = text}
#define GNT_CERT_VALID_ROWS(standard) \
    {.flag = "days", .kind = GNT_OPTION_INTEGER, GNT_CERT_FIELD(days), .fallback = standard, \
     .min = 1, .max = 36500, .metavar = "N", \
     .help = "How long it is valid; no longer than its CA in any case."}, \
    {.flag = "from", .kind = GNT_OPTION_STRING, GNT_CERT_FIELD(from), .metavar = "DATE", \
     .help = "Since when it is valid: 2026-11-22 or 2026-11-22T10:00:00Z; without it, since now."}, \
    {.flag = "until", .kind = GNT_OPTION_STRING, GNT_CERT_FIELD(until), .metavar = "DATE", \
     .help = "Until when, instead of --days."}
#define GNT_CERT_PASSPHRASE_ROW(text) \
    {.flag = "passphrase", .letter = 'p', .kind = GNT_OPTION_STRING, GNT_CERT_FIELD(passphrase), \
     .group = "Secrets", .min = 1, .metavar = "SOURCE", .help = text}
#define GNT_CERT_CA_PASSPHRASE_ROW(text) \
    {.flag = "ca-passphrase", .kind = GNT_OPTION_STRING, GNT_CERT_FIELD(ca_passphrase), \
     .group = "Secrets", .min = 1, .metavar = "SOURCE", .help = text}
#define GNT_CERT_PASSWORD_ROW(text) \
    {.flag = "password", .letter = 'P', .kind = GNT_OPTION_STRING, GNT_CERT_FIELD(password), \
     .group = "Secrets", .min = 1, .metavar = "SOURCE", .help = text}
#define GNT_CERT_LEGACY_ROW \
    {.flag = "legacy", .kind = GNT_OPTION_BOOL, GNT_CERT_FIELD(legacy), \
     .help = "PFX by Triple DES and SHA-1, for Windows before 2019 and .NET before 4.7.2."}
/* clang-format on */

/* What several sub-commands say of the same option. */
#define GNT_CERT_OF_CA "The directory of the CA."
#define GNT_CERT_CA_PASSPHRASE \
    "The pass-phrase of the CA's key. A terminal is asked where it is needed."
#define GNT_CERT_ANY_KEY \
    "The key to make: rsa:BITS, ec:CURVE or ed25519; or file:FILE for one that is there."

#define GNT_CERT_SOURCES                                                                \
    "SOURCE is file:FILE (its first line), env:NAME, ask (a terminal, else a line of\n" \
    "standard input) or pass:TEXT, which whoever looks at the list of processes\n"      \
    "meanwhile can see.\n"

#define GNT_CERT_EXITS                                                                  \
    "Exit codes: 0 done; else those of sysexits.h: 64 wrong usage, 65 something that\n" \
    "is given or read is not as it should be, 66 a file is not there, or not in it\n"   \
    "what it should have, 71 the system refused something, 73 a file cannot be\n"       \
    "written, or is there already, 74 one cannot be read, 77 a wrong pass-phrase, or\n" \
    "not permitted."

/* The sub-commands behind their options; WORD is what stands there without one, NULL where none
 * does.  They return the exit code; what went wrong has been said. */
typedef int gnt_cert_run(const struct gnt_cert_options *o, const char *word);

/* One row of cert.c's table. */
struct gnt_cert_verb {
    const char *name;
    const struct gnt_args *arguments;
    gnt_cert_run *run;
};
extern const struct gnt_cert_verb gnt_cert_init, gnt_cert_ca, gnt_cert_server, gnt_cert_client,
    gnt_cert_pfx, gnt_cert_revoke, gnt_cert_crl, gnt_cert_show;

/* Says why, and returns the exit code for ERR. */
int gnt_cert_failed(gnt_err err, const struct gnt_pki_why *why);

/* The same where it was about writing: but for what is there already, which --force would replace.
 */
int gnt_cert_not_written(gnt_err err, const struct gnt_pki_why *why);

/* ---- Pass-phrases (cert_secret.c) */

struct gnt_cert_secret {
    bool given;
    char text[1024];
};

/* The pass-phrase from SOURCE (NULL: none); FRESH: a terminal is asked twice.  Wiped by the caller
 * with gnt_cert_forget.  Returns an exit code; what went wrong has been said. */
int gnt_cert_secret(const char *source, const char *what, bool fresh, struct gnt_cert_secret *out);

/* The same for a pass-phrase that a file turned out to need: a terminal is asked; where there is
 * none, or one was given, false. */
bool gnt_cert_secret_needed(gnt_err err, const char *what, struct gnt_cert_secret *secret);

/* NULL: there is none. */
const char *gnt_cert_secret_text(const struct gnt_cert_secret *secret);
void gnt_cert_forget(struct gnt_cert_secret *secret);

/* ---- Making (cert_issue.c) */

/* What is being made: a certificate, its key, and who issues it. */
struct gnt_cert_made {
    X509 *certificate;
    EVP_PKEY *key;
    bool own_key; /* made here, and to be written */
};

int64_t gnt_cert_now(void);

/* PLAN's validity by the options; of a certificate that CA (NULL: itself) issues. */
int gnt_cert_validity(const struct gnt_cert_options *o, int64_t now, const X509 *ca,
                      struct gnt_issue *plan);

/* What --digest says, as gnt_issue takes it. */
const char *gnt_cert_digest(const struct gnt_cert_options *o);

/* Makes or loads the key, and issues. */
int gnt_cert_make(const struct gnt_cert_options *o, const struct gnt_issue *plan,
                  const struct gnt_cert_secret *passphrase, struct gnt_authority *ca,
                  struct gnt_cert_made *out);
void gnt_cert_made_fini(struct gnt_cert_made *made);

/* Adds DIR/STEM.pem, with CHAIN behind the certificate, and DIR/STEM.key to FILES. */
int gnt_cert_put(const char *dir, const char *stem, const struct gnt_cert_made *made,
                 STACK_OF(X509) * chain, const struct gnt_cert_secret *passphrase,
                 struct gnt_files *files);

/* Adds DIR/STEM.pfx, with the certificate of its CA (NULL: none) in it, too. */
int gnt_cert_put_pfx(const char *dir, const char *stem, const struct gnt_cert_made *made,
                     struct gnt_authority *ca, const char *password, bool legacy,
                     struct gnt_files *files);

/* Opens the CA, asking a terminal for its pass-phrase where it needs one that was not given. */
int gnt_cert_open(const char *dir, const char *source, struct gnt_authority *out);

/* What follows a certificate of CA in its file: the CA's own, unless it is a root, and those above
 * it. GNT_NOMEM; *out is to be freed in any case. */
GNT_MUST gnt_err gnt_cert_chain(struct gnt_authority *ca, STACK_OF(X509) * *out);

/* "DIR/FILE  about: SUBJECT, until DATE" on stdout; a NULL certificate: without the rest. */
void gnt_cert_print(const char *dir, const char *file, const char *about, const X509 *certificate);

/* The names of a server without --name: the machine's, localhost and the loopback addresses, after
 * GIVEN; each once.  ROOM holds the machine's. */
enum { GNT_CERT_NAMES_MAX = 4096 + 8, GNT_CERT_HOST_MAX = 256 }; /* an option has 4096 at most */
size_t gnt_cert_names(const struct gnt_strings *given, bool local, char room[GNT_CERT_HOST_MAX],
                      char *out[GNT_CERT_NAMES_MAX]);

/* "CN=..." for a server of that name, "" where it is too long for one.  Returns OUT. */
enum { GNT_CERT_SUBJECT = 256 };
char *gnt_cert_subject(const char *common_name, char out[GNT_CERT_SUBJECT]);

#endif
