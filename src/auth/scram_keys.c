/* Keys and verifiers: the part of SCRAM that needs OpenSSL. */

#include "base/base64.h"
#include "auth/field.h"
#include "auth/scram_private.h"
#include "base/utf8.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdio.h>

static const struct row {
    const char *name;
    const EVP_MD *(*digest)(void);
    size_t size;
} rows[GNT_SCRAM_HASHES] = {
    [GNT_SCRAM_SHA_256] = {"SCRAM-SHA-256", EVP_sha256, 32},
    [GNT_SCRAM_SHA_512] = {"SCRAM-SHA-512", EVP_sha512, 64},
};

const char *gnt_scram_name(enum gnt_scram_hash hash)
{
    return rows[hash].name;
}

enum gnt_scram_hash gnt_scram_by_name(struct gnt_slice name)
{
    unsigned hash = 0;
    while (hash < GNT_SCRAM_HASHES && !gnt_slice_eq_str(name, rows[hash].name))
        hash++;
    return (enum gnt_scram_hash)hash;
}

size_t gnt_scram_size(enum gnt_scram_hash hash)
{
    return rows[hash].size;
}

void gnt_scram_wipe(void *secret, size_t size)
{
    OPENSSL_cleanse(secret, size);
}

bool gnt_scram_equal(enum gnt_scram_hash hash, const uint8_t a[GNT_SCRAM_KEY_MAX],
                     const uint8_t b[GNT_SCRAM_KEY_MAX])
{
    return CRYPTO_memcmp(a, b, rows[hash].size) == 0;
}

gnt_err gnt_scram_hmac(enum gnt_scram_hash hash, const uint8_t key[GNT_SCRAM_KEY_MAX],
                       struct gnt_slice text, uint8_t out[GNT_SCRAM_KEY_MAX])
{
    const struct row *row = &rows[hash];
    const uint8_t *done = HMAC(row->digest(), key, (int)row->size, text.data, text.size, out, NULL);
    return done ? GNT_OK : GNT_NOMEM;
}

gnt_err gnt_scram_hash_key(enum gnt_scram_hash hash, const uint8_t key[GNT_SCRAM_KEY_MAX],
                           uint8_t out[GNT_SCRAM_KEY_MAX])
{
    const struct row *row = &rows[hash];
    return EVP_Digest(key, row->size, out, NULL, row->digest(), NULL) == 1 ? GNT_OK : GNT_NOMEM;
}

gnt_err gnt_scram_keys(enum gnt_scram_hash hash, struct gnt_slice password, struct gnt_slice salt,
                       uint32_t iterations, struct gnt_scram_keys *out)
{
    const struct row *row = &rows[hash];
    int done = PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.size, salt.data,
                                 (int)salt.size, (int)iterations, row->digest(), (int)row->size,
                                 out->salted);
    gnt_err err = done == 1 ? GNT_OK : GNT_NOMEM;
    if (!err)
        err = gnt_scram_hmac(hash, out->salted, gnt_slice_str("Client Key"), out->client);
    if (!err)
        err = gnt_scram_hash_key(hash, out->client, out->stored);
    return err ? err : gnt_scram_hmac(hash, out->salted, gnt_slice_str("Server Key"), out->server);
}

bool gnt_scram_text_valid(struct gnt_slice text, size_t max)
{
    if (text.size == 0 || text.size > max || !gnt_utf8_valid(text))
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < ' ' || text.data[i] == 0x7f) /* [RFC 3454 C.2.1] */
            return false;
    return true;
}

/* ---- Verifiers */

gnt_err gnt_scram_verifier_make(enum gnt_scram_hash hash, struct gnt_slice password,
                                uint32_t iterations, const struct gnt_random *random,
                                struct gnt_scram_verifier *out)
{
    struct gnt_scram_verifier v = {.hash = hash,
                                   .iterations = iterations,
                                   .salt_size = GNT_SCRAM_SALT_SIZE};
    struct gnt_scram_keys keys = {.salted = {0}};
    if (iterations < GNT_SCRAM_ITERATIONS_MIN || iterations > GNT_SCRAM_ITERATIONS_MAX)
        return GNT_INVALID;
    random->fill(random->self, v.salt, v.salt_size);
    gnt_err err = gnt_scram_keys(hash, password, gnt_slice(v.salt, v.salt_size), iterations, &keys);
    memcpy(v.stored_key, keys.stored, rows[hash].size);
    memcpy(v.server_key, keys.server, rows[hash].size);
    gnt_scram_wipe(&keys, sizeof keys);
    if (!err)
        *out = v;
    gnt_scram_wipe(&v, sizeof v);
    return err;
}

gnt_err gnt_scram_verifier_check(const struct gnt_scram_verifier *v, struct gnt_slice password)
{
    struct gnt_scram_keys keys = {.salted = {0}};
    gnt_err err =
        gnt_scram_keys(v->hash, password, gnt_slice(v->salt, v->salt_size), v->iterations, &keys);
    if (!err && !gnt_scram_equal(v->hash, keys.stored, v->stored_key))
        err = GNT_DENIED;
    gnt_scram_wipe(&keys, sizeof keys);
    return err;
}

void gnt_scram_verifier_write(const struct gnt_scram_verifier *v,
                              char text[GNT_SCRAM_VERIFIER_TEXT])
{
    const struct row *row = &rows[v->hash];
    int n = snprintf(text, GNT_SCRAM_VERIFIER_TEXT, "%s$%u:", row->name, v->iterations);
    uint8_t *at = gnt_base64_write((uint8_t *)text + n, gnt_slice(v->salt, v->salt_size));
    *at++ = '$';
    at = gnt_base64_write(at, gnt_slice(v->stored_key, row->size));
    *at++ = ':';
    at = gnt_base64_write(at, gnt_slice(v->server_key, row->size));
    *at = '\0';
}

bool gnt_scram_read_key(enum gnt_scram_hash hash, struct gnt_slice text,
                        uint8_t key[GNT_SCRAM_KEY_MAX])
{
    size_t size;
    return gnt_base64_read(text, key, GNT_SCRAM_KEY_MAX, &size) == GNT_OK &&
           size == rows[hash].size;
}

gnt_err gnt_scram_verifier_read(struct gnt_slice text, struct gnt_scram_verifier *out,
                                const char **why)
{
    struct gnt_scram_verifier v = {0};
    struct gnt_slice method, iterations, salt, stored;
    size_t salt_size = 0;
    *why = NULL;
    if (!gnt_field_until(&text, '$', &method) ||
        (v.hash = gnt_scram_by_name(method)) == GNT_SCRAM_HASHES)
        *why = "expected SCRAM-SHA-256$ or SCRAM-SHA-512$";
    else if (!gnt_field_until(&text, ':', &iterations) || !gnt_field_until(&text, '$', &salt) ||
             !gnt_field_until(&text, ':', &stored))
        *why = "expected ITERATIONS:SALT$STOREDKEY:SERVERKEY";
    else if ((v.iterations = gnt_scram_iterations(iterations)) == 0)
        *why = "the iteration count has to be from 4096 to 10000000";
    else if (gnt_base64_read(salt, v.salt, sizeof v.salt, &salt_size) || salt_size == 0)
        *why = "the salt has to be base64 of 1 to 64 bytes";
    else if (!gnt_scram_read_key(v.hash, stored, v.stored_key) ||
             !gnt_scram_read_key(v.hash, text, v.server_key))
        *why = "a key has to be base64 of 32 bytes, for SHA-512 of 64";
    v.salt_size = (uint32_t)salt_size;
    if (!*why)
        *out = v;
    gnt_scram_wipe(&v, sizeof v);
    return *why ? GNT_MALFORMED : GNT_OK;
}
