/* What one side of TLS agrees to: a listener's terms, or a client's.
 *
 * Never changes once it is made, and is counted: a reload makes a new one for the connections to
 * come, while those that there are live on with theirs.
 *
 * Ownership  gnt_tls_context_new() is the first reference; each stream has one of its own.
 * Threads    any: streams of several loops share one. */
#ifndef GNT_NET_TLS_CONTEXT_H
#define GNT_NET_TLS_CONTEXT_H

#include "net/tls_name.h"
#include "pki/identity.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

struct gnt_tls_context;

/* As they stand on the wire. */
enum gnt_tls_version {
    GNT_TLS_ANY = 0, /* as the least: 1.2; as the greatest: whatever OpenSSL has */
    GNT_TLS_1_0 = 0x0301,
    GNT_TLS_1_1 = 0x0302,
    GNT_TLS_1_2 = 0x0303,
    GNT_TLS_1_3 = 0x0304,
};

/* Whether a server asks its clients for a certificate. */
enum gnt_tls_ask { GNT_TLS_NOT_ASKED, GNT_TLS_OPTIONAL, GNT_TLS_REQUIRED };

/* Has the last word about the peer's CERTIFICATE: VERDICT is OpenSSL's, X509_V_OK or what is wrong,
 * about the one at DEPTH, and CHAIN what it has built so far, the certificate first.  All is lent.
 * Called once for each handshake that is not a resumption, on the stream's thread. */
typedef bool gnt_tls_judge(void *context, X509 *certificate, STACK_OF(X509) * chain, int verdict,
                           int depth);

/* Chooses the certificate to show, on the stream's thread: of a server for the HOST that the client
 * asks for (NULL: for none), ISSUERS being NULL; of a client for the HOST that it means, when the
 * server asks for one, ISSUERS being the CAs that it takes (NULL or none: any).  Not asked for a
 * resumption.
 *   GNT_OK        *out is shown, and taken
 *   GNT_NOTFOUND  what is shown is up to `identities`
 *   others        the handshake fails */
typedef gnt_err gnt_tls_choose(void *context, const char *host, const STACK_OF(X509_NAME) * issuers,
                               struct gnt_identity *out);

struct gnt_tls_terms {
    bool server;
    /* Below 1.2 only where this says so; OpenSSL's security level is 0 then, because nothing that
     * is left of those versions reaches 1. */
    enum gnt_tls_version least, greatest;
    const char *ciphers; /* up to TLS 1.2, as OpenSSL writes them; NULL: its choice */
    const char *suites;  /* of TLS 1.3; NULL: its choice */

    /* A server needs one at least.  It shows the first that is for the host that the client asks
     * for (SNI), and the very first where none is.  A client shows the first. */
    const struct gnt_identity *identities;
    size_t identity_count;
    gnt_tls_choose *choose; /* NULL: nobody */
    void *choose_context;

    STACK_OF(X509) * cas;      /* whom to trust; NULL: a client trusts whom the system trusts */
    const char *ca_dir;        /* of a client: further CAs by OpenSSL's hashes, read when needed */
    STACK_OF(X509_CRL) * crls; /* NULL: revocation is not looked at; else of each CA is needed */
    enum gnt_tls_ask ask;      /* of a server */
    enum gnt_tls_name name;    /* what a peer is called by its certificate */
    gnt_tls_judge *judge;      /* NULL: OpenSSL's verdict is the last word */
    void *judge_context;
    bool any_host; /* of a client: whom the server's certificate is for does not matter */

    const char *const
        *protocols; /* ALPN, the best first; a server refuses who wants none of them */
    size_t protocol_count;

    /* Of a server, the context that this one replaces: who has a session of it resumes it here, as
     * long as CAs, revocation lists and `ask` are the same; NULL: none. */
    const struct gnt_tls_context *before;
};

/* All of TERMS is copied or counted.
 *   GNT_INVALID  WHY says what: ciphers, versions, a key that does not fit, protocol names
 *   GNT_NOMEM */
GNT_MUST gnt_err gnt_tls_context_new(const struct gnt_tls_terms *terms,
                                     struct gnt_tls_context **out, struct gnt_pki_why *why);

struct gnt_tls_context *gnt_tls_context_ref(struct gnt_tls_context *c); /* returns C */
void gnt_tls_context_unref(struct gnt_tls_context **c);                 /* NULL is fine */

/* ---- For net/tls.c */

/* A connection on these terms.  HOST: whom a client means, a name or an address, which is checked
 * unless `any_host` says otherwise; the last session with it is resumed.  It has to live as long as
 * *out.  NULL: anybody. */
GNT_MUST gnt_err gnt_tls_context_begin(struct gnt_tls_context *c, const char *host, SSL **out);

bool gnt_tls_context_is_server(const struct gnt_tls_context *c);
enum gnt_tls_name gnt_tls_context_name(const struct gnt_tls_context *c);

/* Whether a client has to show a certificate, and is called by it. */
bool gnt_tls_context_demands_name(const struct gnt_tls_context *c);

#endif
