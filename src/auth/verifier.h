/* What a server keeps instead of a password: text behind a user's name, of several kinds.
 *
 *     $scrypt$ln=15,r=8,p=1$SALT$HASH
 *         scrypt [RFC 7914], as the PHC string format has it: what `gnatter passwd` writes
 *     SCRAM-SHA-256$ITERATIONS:SALT$KEY:KEY,SCRAM-SHA-512$ITERATIONS:SALT$KEY:KEY
 *         PostgreSQL's form: for clients that log in by SCRAM, too (scram.h).  It may stand there
 *         for one of the hashes alone; then SCRAM is possible with that one only.  A password is
 *         checked by SHA-256's, if it is there
 *     $7$ITERATIONS$SALT$HASH
 *         mosquitto_passwd's: PBKDF2-HMAC-SHA512 [RFC 8018]
 *     $6$SALT$HASH
 *         mosquitto_passwd's of old: SHA-512 of the password and the salt; not crypt(3)'s $6$, and
 *         soon guessed
 *
 * SALT, HASH and KEY are base64, in scrypt's line without padding.  What a line may ask for is
 * bounded, so that a file cannot make one login take minutes or gigabytes.
 *
 * Ownership  a value, the caller's; to be wiped by gnt_scram_wipe.
 * Threads    pure functions; any.
 * Secrets    comparisons take constant time, what is derived is wiped. */
#ifndef GNT_AUTH_VERIFIER_H
#define GNT_AUTH_VERIFIER_H

#include "auth/scram.h"

enum gnt_verifier_kind {
    GNT_VERIFIER_SCRAM,
    GNT_VERIFIER_SCRYPT,
    GNT_VERIFIER_PBKDF2,
    GNT_VERIFIER_SHA512,
    GNT_VERIFIER_KINDS,
};

enum {
    GNT_VERIFIER_SALT_MAX = 64,
    GNT_VERIFIER_HASH_MAX = 64,
    GNT_VERIFIER_ITERATIONS_MAX = 10 * 1000 * 1000,
    GNT_SCRYPT_LOG_N = 15, /* of new verifiers, with r = 8 and p = 1: 32 MiB */
    GNT_SCRYPT_LOG_N_MIN = 10,
    GNT_SCRYPT_MEMORY_MAX = 128 * 1024 * 1024, /* bytes: 128 * N * r */
    GNT_SCRYPT_WORK_MAX = 1 << 22,             /* N * r * p; seconds */
};

/* A hash of a password with a salt; which numbers count depends on the kind. */
struct gnt_verifier_hash {
    uint32_t iterations;  /* PBKDF2 */
    uint32_t log_n, r, p; /* scrypt: N is 2 to log_n */
    uint32_t salt_size, size;
    uint8_t salt[GNT_VERIFIER_SALT_MAX], hash[GNT_VERIFIER_HASH_MAX];
};

struct gnt_verifier {
    enum gnt_verifier_kind kind;
    union {
        struct gnt_scram_verifier scram[GNT_SCRAM_HASHES]; /* 0 iterations: there is none */
        struct gnt_verifier_hash hash;                     /* of every other kind */
    };
};

/* The text of a new verifier, which ends with a zero byte, is never longer. */
enum { GNT_VERIFIER_TEXT = (int)GNT_SCRAM_HASHES * (int)GNT_SCRAM_VERIFIER_TEXT };

/* GNT_MALFORMED: *why says what is wrong, without quoting. */
GNT_MUST gnt_err gnt_verifier_read(struct gnt_slice text, struct gnt_verifier *out,
                                   const char **why);

/* V's part for SCRAM with HASH; NULL: it has none. */
const struct gnt_scram_verifier *gnt_verifier_scram(const struct gnt_verifier *v,
                                                    enum gnt_scram_hash hash);

/* Whether TEXT begins like one of the kinds, whatever follows. */
bool gnt_verifier_looks(struct gnt_slice text);

/* Whether PASSWORD is the one of V: GNT_OK, GNT_DENIED, GNT_NOMEM.  Takes as long as V asks, tens
 * of milliseconds, and scrypt as much memory: not on an event loop (hasher.h). */
GNT_MUST gnt_err gnt_verifier_check(const struct gnt_verifier *v, struct gnt_slice password);

/* A scrypt verifier for PASSWORD with a new salt, as text.  GNT_INVALID: LOG_N is out of bounds. As
 * slow as _check. */
GNT_MUST gnt_err gnt_verifier_make(struct gnt_slice password, uint32_t log_n,
                                   const struct gnt_random *random, char text[GNT_VERIFIER_TEXT]);

/* The same for SCRAM, with each of the hashes.  GNT_INVALID: ITERATIONS is out of bounds.  Unless
 * it is GNT_OK, TEXT means nothing. */
GNT_MUST gnt_err gnt_verifier_make_scram(struct gnt_slice password, uint32_t iterations,
                                         const struct gnt_random *random,
                                         char text[GNT_VERIFIER_TEXT]);

/* What a new verifier of KIND (SCRAM or SCRYPT) asks for, without a password. */
struct gnt_verifier gnt_verifier_costs(enum gnt_verifier_kind kind);

/* Replaces what is V's own, salt and keys, by what is made of BYTES, so that it is nobody's: it
 * takes as long to check as before. */
enum { GNT_VERIFIER_BLANK = 64 };
void gnt_verifier_blank(struct gnt_verifier *v, const uint8_t bytes[GNT_VERIFIER_BLANK]);

#endif
