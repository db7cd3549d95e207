/* What the public headers share about TLS: certificates as a program sees them, and who one is.
 * OpenSSL's headers are not needed; whoever has them knows the types that are only named here.
 *
 * What a callback is handed is lent until it returns.  What it hands out is used right after that,
 * and stays the program's.
 * Files are PEM or DER; in PEM, text around what counts does no harm. */
#ifndef GNATTER_TLS_H
#define GNATTER_TLS_H

#include <gnatter/export.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

GNATTER_BEGIN

enum gnatter_tls_version {
    GNATTER_TLS_ANY = 0, /* as the least: 1.2; as the greatest: whatever OpenSSL has */
    GNATTER_TLS_1_0 = 0x0301,
    GNATTER_TLS_1_1 = 0x0302,
    GNATTER_TLS_1_2 = 0x0303,
    GNATTER_TLS_1_3 = 0x0304
};

/* Who one shows to be: the names of files.  All NULL: nobody. */
struct gnatter_tls_identity {
    const char *certificate; /* one's own first, behind it those up to its root */
    const char *key;         /* NULL: it is in the file of the certificate */
    const char *pfx;         /* instead of both: PKCS#12 */
    const char *passphrase;  /* of the key or the PFX file; NULL: none */
};

struct x509_st; /* OpenSSL's X509 */

struct gnatter_certificate {
    const char *subject, *issuer; /* "CN=broker, O=Small Things": the most particular part first */
    int64_t from, until;          /* valid, in seconds since 1970 */
    const void *der;              /* all of it */
    size_t der_size;
    struct x509_st *x509;
};

/* What the peer has shown, and what OpenSSL thinks of it. */
struct gnatter_tls_shown {
    const char *host;                        /* whom the client means; NULL: it is a client */
    const struct gnatter_certificate *chain; /* the peer's own first; its root may be missing */
    size_t count;                            /* at least 1 */
    int verdict;       /* X509_V_OK, which is 0: good; else what is wrong, X509_V_... */
    size_t depth;      /* with which of the chain, 0 being the peer's own */
    const char *words; /* the same: "good", "expired", "wrong host", "wrong CA", ... */
};

/* Has the last word about the peer's certificate, whatever the verdict is: true accepts it.  Called
 * in each handshake but in one that resumes a session, in which all this was looked at. */
typedef bool gnatter_tls_judge(void *context, const struct gnatter_tls_shown *shown);

/* What a peer would like to be shown. */
struct gnatter_tls_wish {
    const char *host;           /* that the client means; NULL: none */
    const char *const *issuers; /* the CAs that a server takes, as subjects; none: any */
    size_t issuer_count;
};

/* Chooses the certificate to show, in each handshake in which the peer asks for one: fills *out,
 * which is zeroed, and whose files are then read.  Left zeroed: none is shown.  A resumed session
 * stays with what was chosen for it. */
typedef void gnatter_tls_choose(void *context, const struct gnatter_tls_wish *wish,
                                struct gnatter_tls_identity *out);

/* ---- What a client agrees to.  The server's certificate is good when it is by a CA that is
 * trusted, valid now, meant for servers, and for the host that is connected to.
 *
 * Files are read when the client first connects, and again when it connects later and one of them
 * has changed, so that a renewed certificate is used.  That takes some milliseconds of the client's
 * own thread, and some hundred where there is a pass-phrase.  Sessions are resumed.
 *
 * The values in brackets are those of zeroed options. */
struct gnatter_tls_options {
    bool on; /* where no URL says so [false] */

    /* Whom to trust: certificates of CAs in a file, and in a directory by OpenSSL's hashes.
     * [both NULL: whom the system trusts] */
    const char *ca_file, *ca_directory;
    const char *crl_file; /* revocation lists, of each CA of a chain one [NULL: not looked at] */

    struct gnatter_tls_identity identity; /* shown where the server asks [nobody] */

    uint16_t least, greatest; /* enum gnatter_tls_version; below 1.2 is not safe [ANY] */
    const char *ciphers;      /* up to TLS 1.2, as OpenSSL writes them [NULL: its choice] */
    const char *suites;       /* of TLS 1.3 [NULL: its choice] */
    const char *alpn;         /* application protocols, best first: "mqtt,http/1.1" [NULL: none] */

    /* The name that is asked for (SNI) and that the certificate has to be for. [NULL: the host] */
    const char *server_name;
    bool any_host; /* whom it is for does not matter: it may be another server of that CA [false] */

    gnatter_tls_judge *judge;   /* [NULL: the verdict is the last word] */
    gnatter_tls_choose *choose; /* instead of `identity` [NULL] */
    void *context;              /* handed to these two */
};

GNATTER_END

#endif
