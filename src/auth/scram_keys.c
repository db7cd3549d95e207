/* Keys and verifiers: the part of SCRAM that needs OpenSSL. */

#include "base/base64.h"
#include "auth/field.h"
#include "auth/scram_private.h"
#include "base/utf8.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <stdio.h>

void gnt_scram_wipe(void *secret, size_t size)
{
    OPENSSL_cleanse(secret, size);
}

bool gnt_scram_equal(const uint8_t a[GNT_SCRAM_KEY_SIZE], const uint8_t b[GNT_SCRAM_KEY_SIZE])
{
    return CRYPTO_memcmp(a, b, GNT_SCRAM_KEY_SIZE) == 0;
}

gnt_err gnt_scram_hmac(const uint8_t key[GNT_SCRAM_KEY_SIZE], struct gnt_slice text,
                       uint8_t out[GNT_SCRAM_KEY_SIZE])
{
    unsigned size = GNT_SCRAM_KEY_SIZE;
    const uint8_t *done =
        HMAC(EVP_sha256(), key, GNT_SCRAM_KEY_SIZE, text.data, text.size, out, &size);
    return done ? GNT_OK : GNT_NOMEM;
}

gnt_err gnt_scram_hash(const uint8_t key[GNT_SCRAM_KEY_SIZE], uint8_t out[GNT_SCRAM_KEY_SIZE])
{
    return SHA256(key, GNT_SCRAM_KEY_SIZE, out) ? GNT_OK : GNT_NOMEM;
}

gnt_err gnt_scram_keys(struct gnt_slice password, struct gnt_slice salt, uint32_t iterations,
                       struct gnt_scram_keys *out)
{
    int done = PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.size, salt.data,
                                 (int)salt.size, (int)iterations, EVP_sha256(), GNT_SCRAM_KEY_SIZE,
                                 out->salted);
    gnt_err err = done == 1 ? GNT_OK : GNT_NOMEM;
    if (!err)
        err = gnt_scram_hmac(out->salted, gnt_slice_str("Client Key"), out->client);
    if (!err)
        err = gnt_scram_hash(out->client, out->stored);
    return err ? err : gnt_scram_hmac(out->salted, gnt_slice_str("Server Key"), out->server);
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

gnt_err gnt_scram_verifier_make(struct gnt_slice password, uint32_t iterations,
                                const struct gnt_random *random, struct gnt_scram_verifier *out)
{
    struct gnt_scram_verifier v = {.iterations = iterations, .salt_size = GNT_SCRAM_SALT_SIZE};
    struct gnt_scram_keys keys = {.salted = {0}};
    if (iterations < GNT_SCRAM_ITERATIONS_MIN || iterations > GNT_SCRAM_ITERATIONS_MAX)
        return GNT_INVALID;
    random->fill(random->self, v.salt, v.salt_size);
    gnt_err err = gnt_scram_keys(password, gnt_slice(v.salt, v.salt_size), iterations, &keys);
    memcpy(v.stored_key, keys.stored, sizeof v.stored_key);
    memcpy(v.server_key, keys.server, sizeof v.server_key);
    gnt_scram_wipe(&keys, sizeof keys);
    if (!err)
        *out = v;
    gnt_scram_wipe(&v, sizeof v);
    return err;
}

gnt_err gnt_scram_verifier_check(const struct gnt_scram_verifier *v, struct gnt_slice password)
{
    struct gnt_scram_keys keys = {.salted = {0}};
    gnt_err err = gnt_scram_keys(password, gnt_slice(v->salt, v->salt_size), v->iterations, &keys);
    if (!err && !gnt_scram_equal(keys.stored, v->stored_key))
        err = GNT_DENIED;
    gnt_scram_wipe(&keys, sizeof keys);
    return err;
}

static void put_key(char *at, const uint8_t key[GNT_SCRAM_KEY_SIZE], char behind)
{
    uint8_t *end = gnt_base64_write((uint8_t *)at, gnt_slice(key, GNT_SCRAM_KEY_SIZE));
    *end = (uint8_t)behind;
}

void gnt_scram_verifier_write(const struct gnt_scram_verifier *v,
                              char text[GNT_SCRAM_VERIFIER_TEXT])
{
    int n = snprintf(text, GNT_SCRAM_VERIFIER_TEXT, GNT_SCRAM_METHOD "$%u:", v->iterations);
    char *at = (char *)gnt_base64_write((uint8_t *)text + n, gnt_slice(v->salt, v->salt_size));
    *at++ = '$';
    put_key(at, v->stored_key, ':');
    put_key(at + GNT_BASE64_SIZE(GNT_SCRAM_KEY_SIZE) + 1, v->server_key, '\0');
}

static bool read_key(struct gnt_slice text, uint8_t key[GNT_SCRAM_KEY_SIZE])
{
    size_t size;
    return gnt_base64_read(text, key, GNT_SCRAM_KEY_SIZE, &size) == GNT_OK &&
           size == GNT_SCRAM_KEY_SIZE;
}

gnt_err gnt_scram_verifier_read(struct gnt_slice text, struct gnt_scram_verifier *out,
                                const char **why)
{
    struct gnt_scram_verifier v = {0};
    struct gnt_slice method, iterations, salt, stored;
    size_t salt_size = 0;
    *why = NULL;
    if (!gnt_field_until(&text, '$', &method) || !gnt_slice_eq_str(method, GNT_SCRAM_METHOD))
        *why = "expected SCRAM-SHA-256$ behind the name";
    else if (!gnt_field_until(&text, ':', &iterations) || !gnt_field_until(&text, '$', &salt) ||
             !gnt_field_until(&text, ':', &stored))
        *why = "expected ITERATIONS:SALT$STOREDKEY:SERVERKEY";
    else if ((v.iterations = gnt_scram_iterations(iterations)) == 0)
        *why = "the iteration count has to be from 4096 to 10000000";
    else if (gnt_base64_read(salt, v.salt, sizeof v.salt, &salt_size) || salt_size == 0)
        *why = "the salt has to be base64 of 1 to 64 bytes";
    else if (!read_key(stored, v.stored_key) || !read_key(text, v.server_key))
        *why = "a key has to be base64 of 32 bytes";
    v.salt_size = (uint32_t)salt_size;
    if (!*why)
        *out = v;
    gnt_scram_wipe(&v, sizeof v);
    return *why ? GNT_MALFORMED : GNT_OK;
}
