/* SASL [RFC 4422] without I/O: both sides of one exchange, for protocols that carry it, as AMQP
 * does in its SASL frames [AMQP 5.3].
 *
 *     client                                      server
 *                              <-- mechanisms --- gnt_sasl_offer
 *     gnt_sasl_client_begin    --- init --------> gnt_sasl_server_begin
 *     gnt_sasl_client_answer   <-- challenge ---- if it is ASKS, and then
 *                              --- response ----> gnt_sasl_server_step; it may be CHECKS in between
 *     gnt_sasl_client_confirm  <-- outcome ------ whatever else it is
 *
 * EXTERNAL [RFC 4422 A], SCRAM (scram.h), PLAIN [RFC 4616] and ANONYMOUS [RFC 4505].  Nobody acts
 * for somebody else: where a client names whom it acts for, that has to be itself.
 *
 * Ownership  each side is its owner's memory, zeroed before _begin; _fini wipes and frees.  What is
 *            passed in is borrowed for the call, but for the password of a server in CHECKS.
 * Threads    one at a time.
 * Secrets    no side keeps a password.  What PLAIN says has one in it: to be wiped by who has it.
 * Guessing   how often somebody may fail is the owner's (guess.h). */
#ifndef GNT_AUTH_SASL_H
#define GNT_AUTH_SASL_H

#include "auth/scram.h"

struct gnt_users;

/* From the worst to the best: a client takes the last that it can. */
enum gnt_sasl_mechanism {
    GNT_SASL_ANONYMOUS,
    GNT_SASL_PLAIN,
    GNT_SASL_SCRAM_SHA_256,
    GNT_SASL_SCRAM_SHA_512,
    GNT_SASL_EXTERNAL,
    GNT_SASL_MECHANISMS,
};

/* Sets of mechanisms. */
#define GNT_SASL_BIT(mechanism) (1u << (mechanism))
#define GNT_SASL_SCRAM          (GNT_SASL_BIT(GNT_SASL_SCRAM_SHA_256) | GNT_SASL_BIT(GNT_SASL_SCRAM_SHA_512))
#define GNT_SASL_ALL            (GNT_SASL_BIT(GNT_SASL_MECHANISMS) - 1)

/* As it is written in a list of mechanisms. */
const char *gnt_sasl_name(enum gnt_sasl_mechanism mechanism);

/* GNT_SASL_MECHANISMS: NAME is none of ours. */
enum gnt_sasl_mechanism gnt_sasl_by_name(struct gnt_slice name);

/* ---- The server's side */

/* Bytes of a name that the transport shows; others are shorter. */
enum { GNT_SASL_USER_MAX = 1024 };

/* Where an exchange stands: what comes next, or how it has ended and which code AMQP has for that
 * [AMQP 5.3.3.6]. */
enum gnt_sasl_state {
    GNT_SASL_ASKS,       /* OUT is the challenge: _step with the response.     any of these */
    GNT_SASL_CHECKS,     /* user and password have to be looked at: _checked.  no more questions */
    GNT_SASL_ACCEPTED,   /* it is s->user; OUT goes with the outcome.          ok */
    GNT_SASL_REFUSED,    /* it has not shown who it is, whatever was wrong.    auth */
    GNT_SASL_UNOFFERED,  /* it wants a mechanism that it was not offered.      auth */
    GNT_SASL_UNAVAILABLE /* without memory, or time, nothing was found out.    sys-temp */
};

/* What holds for a client. */
struct gnt_sasl_terms {
    uint32_t offered;              /* the set that it was told */
    struct gnt_slice external;     /* EXTERNAL: whom its certificate or its socket names */
    const struct gnt_users *users; /* SCRAM: those who can log in by it */
    const struct gnt_random *random;
};

/* What of ALLOWED a client can be offered: EXTERNAL needs a name of at most GNT_SASL_USER_MAX
 * bytes, SCRAM USERS (may be NULL) who can log in by it (gnt_users_offer_scram).  Clients take the
 * best that they are offered, whoever their user is.  So where not all users can log in by SCRAM,
 * and what goes over the transport is SECRET, SCRAM is not offered: PLAIN is as good there, and for
 * everybody.  Where it is not secret, those who can are not to lose it for the others. */
uint32_t gnt_sasl_offer(uint32_t allowed, struct gnt_slice external, const struct gnt_users *users,
                        bool secret);

struct gnt_sasl_server {
    enum gnt_sasl_state state;
    enum gnt_sasl_mechanism mechanism; /* which the client has chosen */
    bool begun;                        /* its first message has come */
    struct gnt_scram_server scram;
    /* Whom the client says it is, and once ACCEPTED whom it is; "" is anonymous, or nobody yet.
     * UTF-8 without control characters, but where the transport has shown it. */
    char user[GNT_SASL_USER_MAX + 1];
    /* In CHECKS: what it says is the user's; a part of the response, and there as long as that. */
    struct gnt_slice password;
};

/* The client's choice, and what it says with that (empty: nothing).  PLAIN and SCRAM ask a client
 * that has said nothing, by an empty challenge; for ANONYMOUS and EXTERNAL nothing is enough, as
 * there are clients that do not expect to be asked. */
enum gnt_sasl_state gnt_sasl_server_begin(struct gnt_sasl_server *s,
                                          const struct gnt_sasl_terms *terms,
                                          struct gnt_slice mechanism, struct gnt_slice initial,
                                          struct gnt_buf *out);

/* The client's response to a challenge; REFUSED where it has not been asked. */
enum gnt_sasl_state gnt_sasl_server_step(struct gnt_sasl_server *s,
                                         const struct gnt_sasl_terms *terms,
                                         struct gnt_slice response, struct gnt_buf *out);

/* What has come of s->user and s->password (hasher.h): GNT_OK, GNT_DENIED, or why it could not be
 * found out.  Where the exchange has ended meanwhile, that stands. */
enum gnt_sasl_state gnt_sasl_server_checked(struct gnt_sasl_server *s, gnt_err result);

void gnt_sasl_server_fini(struct gnt_sasl_server *s);

/* ---- The client's side */

/* Who a client is, and how it may show that. */
struct gnt_sasl_credentials {
    /* The mechanisms that may be used.  With PLAIN among them the password may go out as it is;
     * with EXTERNAL the transport shows who the client is.  ANONYMOUS is only for who is nobody. */
    uint32_t allowed;
    struct gnt_slice user; /* empty: nobody */
    struct gnt_slice password;
};

struct gnt_sasl_client {
    enum gnt_sasl_mechanism mechanism;
    struct gnt_scram_client scram;
    bool proved; /* SCRAM: the server has shown already that it knows the user */
};

/* Chooses the best of what is OFFERED, c->mechanism, and appends what is said with that.
 *   GNT_UNSUPPORTED  nothing that is offered is allowed and possible
 *   GNT_INVALID      user or password cannot be one
 *   GNT_NOMEM */
GNT_MUST gnt_err gnt_sasl_client_begin(struct gnt_sasl_client *c,
                                       const struct gnt_sasl_credentials *who, uint32_t offered,
                                       const struct gnt_random *random, struct gnt_buf *out);

/* The server's challenge: appends the response.  In SCRAM the first one takes as long as its
 * iteration count asks.  After a failure the exchange is over: GNT_MALFORMED, GNT_PROTOCOL (there
 * was nothing to ask), GNT_DENIED (the server asks for what is not safe, or is not who it should
 * be). */
GNT_MUST gnt_err gnt_sasl_client_answer(struct gnt_sasl_client *c,
                                        const struct gnt_sasl_credentials *who,
                                        struct gnt_slice challenge, struct gnt_buf *out);

/* The server says that all is well, and ADDITIONAL with it.  GNT_DENIED: in SCRAM, but it has not
 * proved, with that or with a challenge before, that it knows the user: it is somebody else. */
GNT_MUST gnt_err gnt_sasl_client_confirm(struct gnt_sasl_client *c, struct gnt_slice additional);

void gnt_sasl_client_fini(struct gnt_sasl_client *c);

#endif
