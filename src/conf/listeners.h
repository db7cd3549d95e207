/* The rows of one listener of the configuration, for the files of this room only. */
#ifndef GNT_CONF_LISTENERS_H
#define GNT_CONF_LISTENERS_H

#include "conf/option.h"

/* Of struct gnt_config_listener. */
extern const struct gnt_option_table gnt_listener_table;

extern const struct gnt_option_word gnt_tls_ask_words[], gnt_tls_identity_words[],
    gnt_tls_version_words[];

gnt_err gnt_tls_check_passphrase(const char *text, struct gnt_why *why);

/* The rows of TLS stand twice: for all listeners, and for one that has some of its own.
 * X(path, flag, kind, field of struct gnt_config_tls, words, check, fallback, metavar, help) */
#define GNT_TLS_ROWS(X)                                                                            \
    X("certificate", "certificate", STRINGS, certificates, NULL, NULL, NULL, "FILE",               \
      "The certificate that mqtts, amqps and https listeners show, in PEM or DER, with those of "  \
      "the CAs "                                                                                   \
      "between it and the root behind it; `gnatter cert init` makes one. Of several each client "  \
      "gets the one for the host name that it asks for (SNI), and the first where none is. An "    \
      "amqp listener's own is for clients that ask for TLS by AMQP's header for it.")              \
    X("key", "key", STRINGS, keys, NULL, NULL, NULL, "FILE",                                       \
      "The key of the certificate, or the keys of several in their order; without it the key is "  \
      "in the file of its certificate.")                                                           \
    X("pfx", "pfx", STRINGS, pfxs, NULL, NULL, NULL, "FILE",                                       \
      "A PFX (PKCS#12) file with certificate, CAs and key, instead of certificate and key.")       \
    X("passphrase", "passphrase", STRING, passphrase, NULL, gnt_tls_check_passphrase, "none",      \
      "SOURCE",                                                                                    \
      "Where the pass-phrase of the keys, or the password of the PFX files, is: file:FILE (its "   \
      "first line), env:NAME, or none.")                                                           \
    X("ca", "ca", STRINGS, cas, NULL, NULL, NULL, "FILE",                                          \
      "The certificates of the CAs whose clients are let in, in PEM. With it a client has to "     \
      "show "                                                                                      \
      "a certificate, unless client_certificates says otherwise.")                                 \
    X("crl", "crl", STRINGS, crls, NULL, NULL, NULL, "FILE",                                       \
      "Revocation lists, in PEM or DER: one of each CA between a client and its root. A client "   \
      "whose certificate is in one is refused; and so is everybody when one is out of date.")      \
    X("client_certificates", "client-certificates", WORD, ask, gnt_tls_ask_words, NULL, "auto",    \
      "WHETHER",                                                                                   \
      "Whether clients are asked for a certificate: none, optional, or required, which lets "      \
      "nobody "                                                                                    \
      "in without a good one; such a listener may be open to other machines without users. auto: " \
      "required where there is a ca, else none.")                                                  \
    X("identity", "identity", WORD, identity, gnt_tls_identity_words, NULL, "auto", "WHAT",        \
      "Which name in a client's certificate is its user name, instead of what its CONNECT says: "  \
      "cn, the common name; san, the first alternative name that is an e-mail address, a host "    \
      "name "                                                                                      \
      "or a URI; subject, all of the subject; none: the certificate lets it in, and no more. "     \
      "auto: cn.")                                                                                 \
    X("tls_min", "tls-min", WORD, least, gnt_tls_version_words, NULL, "auto", "VERSION",           \
      "The oldest version of TLS: 1.2 (as auto is), 1.3, or, for devices that have nothing "       \
      "better, "                                                                                   \
      "1.0 or 1.1, which also allows their weak ciphers.")                                         \
    X("tls_max", "tls-max", WORD, greatest, gnt_tls_version_words, NULL, "auto", "VERSION",        \
      "The newest version of TLS; auto is the newest that there is.")                              \
    X("ciphers", "ciphers", STRING, ciphers, NULL, NULL, "auto", "LIST",                           \
      "Ciphers up to TLS 1.2, as OpenSSL writes them, such as ECDHE+AESGCM; auto is OpenSSL's "    \
      "choice.")                                                                                   \
    X("suites", "suites", STRING, suites, NULL, NULL, "auto", "LIST",                              \
      "Cipher suites of TLS 1.3, such as TLS_AES_128_GCM_SHA256; auto is OpenSSL's choice.")

#endif
