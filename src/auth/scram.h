/* SCRAM [RFC 5802] with SHA-256 [RFC 7677] or SHA-512, without I/O: both sides of one exchange, and
 * the verifier that a server keeps instead of a password.
 *
 *     client                                      server
 *     gnt_scram_client_begin   --- first -------> gnt_scram_server_begin, then the owner looks the
 *                                                 user up, then
 *     gnt_scram_client_answer  <-- challenge ---- gnt_scram_server_challenge
 *                              --- answer ------> gnt_scram_server_finish
 *     gnt_scram_client_verify  <-- proof or e= --
 *
 * Without channel binding: "n" and "y" are taken, "p=" is refused.  A mandatory extension ("m=") is
 * refused, others are passed over [RFC 5802 5.1].  Nonces, salts and iteration counts are bounded.
 *
 * Text is prepared as far as that goes without tables: user names and passwords of printable ASCII
 * are what SASLprep [RFC 4013] leaves as it is, control characters it forbids and so do we; of
 * other text the bytes count as they come (UTF-8), so that "é" written in two ways is two
 * passwords.
 *
 * Ownership  each side is its owner's memory, zeroed before _begin; _fini wipes and frees.
 * Threads    one at a time.
 * Secrets    keys are wiped when they have been used; comparisons take constant time. */
#ifndef GNT_AUTH_SCRAM_H
#define GNT_AUTH_SCRAM_H

#include "base/buf.h"
#include "base/random.h"

/* Which hash function is in it; gnt_scram_name() says the method's name. */
enum gnt_scram_hash {
    GNT_SCRAM_SHA_256,
    GNT_SCRAM_SHA_512,
    GNT_SCRAM_HASHES,
};

enum {
    GNT_SCRAM_KEY_MAX = 64, /* bytes of the longest hash */
    GNT_SCRAM_SALT_MAX = 64,
    GNT_SCRAM_SALT_SIZE = 16,                    /* of new verifiers */
    GNT_SCRAM_ITERATIONS_MIN = 4096,             /* [RFC 7677 4] */
    GNT_SCRAM_ITERATIONS_MAX = 10 * 1000 * 1000, /* seconds of work; a peer cannot ask for more */
    GNT_SCRAM_ITERATIONS = 100 * 1000,           /* of new verifiers */
    GNT_SCRAM_NAME_MAX = 255,
    GNT_SCRAM_PASSWORD_MAX = 1024,
    GNT_SCRAM_NONCE_MAX = 256,
    GNT_SCRAM_MESSAGE_MAX = 4096,
};

/* "SCRAM-SHA-256", as MQTT's authentication method and SASL's mechanism. */
const char *gnt_scram_name(enum gnt_scram_hash hash);

/* GNT_SCRAM_HASHES: NAME is none of ours. */
enum gnt_scram_hash gnt_scram_by_name(struct gnt_slice name);

/* What a server knows of a user's password, for one of the hashes; the keys are as long as that. */
struct gnt_scram_verifier {
    enum gnt_scram_hash hash;
    uint32_t iterations;
    uint32_t salt_size;
    uint8_t salt[GNT_SCRAM_SALT_MAX];
    uint8_t stored_key[GNT_SCRAM_KEY_MAX], server_key[GNT_SCRAM_KEY_MAX];
};

/* Whether TEXT can be a user name or a password: UTF-8, not empty, no control characters, at most
 * MAX bytes. */
bool gnt_scram_text_valid(struct gnt_slice text, size_t max);

/* A verifier for PASSWORD with a new salt.  GNT_INVALID: iterations out of bounds; GNT_NOMEM: the
 * library of keys failed.  Takes as long as ITERATIONS asks: not on an event loop. */
GNT_MUST gnt_err gnt_scram_verifier_make(enum gnt_scram_hash hash, struct gnt_slice password,
                                         uint32_t iterations, const struct gnt_random *random,
                                         struct gnt_scram_verifier *out);

/* Whether PASSWORD is the one of V: GNT_OK, GNT_DENIED, GNT_NOMEM.  As slow as _make. */
GNT_MUST gnt_err gnt_scram_verifier_check(const struct gnt_scram_verifier *v,
                                          struct gnt_slice password);

/* PostgreSQL's form, "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>", and the same with
 * the other method's name.  _read: GNT_MALFORMED, and *why says what is wrong, without quoting. */
enum { GNT_SCRAM_VERIFIER_TEXT = 320 };
void gnt_scram_verifier_write(const struct gnt_scram_verifier *v,
                              char text[GNT_SCRAM_VERIFIER_TEXT]);
GNT_MUST gnt_err gnt_scram_verifier_read(struct gnt_slice text, struct gnt_scram_verifier *out,
                                         const char **why);

void gnt_scram_wipe(void *secret, size_t size);

/* ---- The server's side */

struct gnt_scram_server {
    struct gnt_buf exchanged;    /* "client-first-bare,server-first": what both sign */
    struct gnt_buf header;       /* the client's gs2-header, which it has to repeat in base64 */
    size_t nonce_at, nonce_size; /* in `exchanged`: the client's, once challenged that of both */
    struct gnt_scram_verifier verifier; /* which says the hash, too */
    bool known;                         /* there is such a user: else no proof is right */
    char name[GNT_SCRAM_NAME_MAX + 1];  /* with a zero byte */
};

/* Whatever fails with GNT_DENIED or GNT_MALFORMED has appended the "e=..." to OUT that RFC 5802, 7
 * has for it; with GNT_NOMEM nothing.  The exchange is over then.
 *
 * The client's first message; s->name is who it says it is. */
GNT_MUST gnt_err gnt_scram_server_begin(struct gnt_scram_server *s, struct gnt_slice first,
                                        struct gnt_buf *out);

/* Appends the challenge.  KNOWN false: V was made up (gnt_users_find), and _finish will fail as for
 * a wrong password.  V is copied. */
GNT_MUST gnt_err gnt_scram_server_challenge(struct gnt_scram_server *s,
                                            const struct gnt_scram_verifier *v, bool known,
                                            const struct gnt_random *random, struct gnt_buf *out);

/* The client's answer.  GNT_OK: it knows the password, and the server's proof has been appended. */
GNT_MUST gnt_err gnt_scram_server_finish(struct gnt_scram_server *s, struct gnt_slice answer,
                                         struct gnt_buf *out);

void gnt_scram_server_fini(struct gnt_scram_server *s);

/* ---- The client's side */

struct gnt_scram_client {
    enum gnt_scram_hash hash;
    struct gnt_buf exchanged; /* "client-first-bare", then as the server's */
    size_t nonce_at;
    bool answered;
    uint8_t server_signature[GNT_SCRAM_KEY_MAX];
};

/* Appends the first message.  GNT_INVALID: the name cannot be one. */
GNT_MUST gnt_err gnt_scram_client_begin(struct gnt_scram_client *c, enum gnt_scram_hash hash,
                                        struct gnt_slice name, const struct gnt_random *random,
                                        struct gnt_buf *out);

/* The server's challenge: appends the answer.  As slow as the server's iteration count asks.
 * GNT_MALFORMED; GNT_DENIED: not our nonce, too few or too many iterations. */
GNT_MUST gnt_err gnt_scram_client_answer(struct gnt_scram_client *c, struct gnt_slice challenge,
                                         struct gnt_slice password, struct gnt_buf *out);

/* The server's last message.  GNT_OK: it knows the verifier, and is who we think it is. GNT_DENIED:
 * it does not, or it says e=.  GNT_MALFORMED. */
GNT_MUST gnt_err gnt_scram_client_verify(struct gnt_scram_client *c, struct gnt_slice last);

void gnt_scram_client_fini(struct gnt_scram_client *c);

#endif
