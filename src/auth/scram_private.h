/* What both sides of SCRAM and its verifiers share: keys, and how messages are read. */
#ifndef GNT_AUTH_SCRAM_PRIVATE_H
#define GNT_AUTH_SCRAM_PRIVATE_H

#include "auth/scram.h"

/* Bytes of a hash, and so of every key, proof and signature with it. */
size_t gnt_scram_size(enum gnt_scram_hash hash);

/* HMAC of TEXT under a key, and the hash of a key; both are gnt_scram_size() long.  GNT_NOMEM if
 * OpenSSL fails. */
GNT_MUST gnt_err gnt_scram_hmac(enum gnt_scram_hash hash, const uint8_t key[GNT_SCRAM_KEY_MAX],
                                struct gnt_slice text, uint8_t out[GNT_SCRAM_KEY_MAX]);
GNT_MUST gnt_err gnt_scram_hash_key(enum gnt_scram_hash hash, const uint8_t key[GNT_SCRAM_KEY_MAX],
                                    uint8_t out[GNT_SCRAM_KEY_MAX]);

/* SaltedPassword, ClientKey, StoredKey, ServerKey [RFC 5802 3]; to be wiped. */
struct gnt_scram_keys {
    uint8_t salted[GNT_SCRAM_KEY_MAX], client[GNT_SCRAM_KEY_MAX];
    uint8_t stored[GNT_SCRAM_KEY_MAX], server[GNT_SCRAM_KEY_MAX];
};
GNT_MUST gnt_err gnt_scram_keys(enum gnt_scram_hash hash, struct gnt_slice password,
                                struct gnt_slice salt, uint32_t iterations,
                                struct gnt_scram_keys *out);

bool gnt_scram_equal(enum gnt_scram_hash hash, const uint8_t a[GNT_SCRAM_KEY_MAX],
                     const uint8_t b[GNT_SCRAM_KEY_MAX]);

/* A key as base64; false: TEXT is something else. */
bool gnt_scram_read_key(enum gnt_scram_hash hash, struct gnt_slice text,
                        uint8_t key[GNT_SCRAM_KEY_MAX]);

/* Attributes "r=value", one behind the other with commas between; the error sticks. */
struct gnt_scram_reader {
    struct gnt_slice rest;
    bool end; /* nothing is left */
    bool bad;
};
struct gnt_scram_reader gnt_scram_reader(struct gnt_slice message);

/* The next attribute's letter, its value in *value; 0 when there is none. */
uint8_t gnt_scram_read(struct gnt_scram_reader *r, struct gnt_slice *value);

/* The value of the next attribute, which has to be LETTER. */
struct gnt_slice gnt_scram_expect(struct gnt_scram_reader *r, uint8_t letter);

/* What is left has to be well-formed, and is passed over. */
void gnt_scram_pass_extensions(struct gnt_scram_reader *r);

/* Printable ASCII without commas, 1 to GNT_SCRAM_NONCE_MAX of it. */
bool gnt_scram_nonce_valid(struct gnt_slice nonce);

/* An iteration count within bounds, 0 for what is none. */
uint32_t gnt_scram_iterations(struct gnt_slice text);

/* _put gives GNT_NOMEM and leaves OUT as it was. */
GNT_MUST gnt_err gnt_scram_put_str(struct gnt_buf *out, const char *text);
GNT_MUST gnt_err gnt_scram_put_base64(struct gnt_buf *out, struct gnt_slice bytes);

/* A nonce of GNT_SCRAM_NONCE_SIZE characters, 144 random bits. */
enum { GNT_SCRAM_NONCE_BYTES = 18, GNT_SCRAM_NONCE_SIZE = 24 };
GNT_MUST gnt_err gnt_scram_put_nonce(struct gnt_buf *out, const struct gnt_random *random);

#endif
