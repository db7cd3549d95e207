#include "auth/verifier.h"

#include "base/base64.h"
#include "auth/field.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <stdio.h>

enum { SHA512_SIZE = 64, SCRYPT_LOG_N_MAX = 20 };

/* ---- Reading */

static bool read_base64(struct gnt_slice text, uint8_t out[GNT_VERIFIER_SALT_MAX], uint32_t *size)
{
    size_t n = 0;
    bool good = gnt_base64_read(text, out, GNT_VERIFIER_SALT_MAX, &n) == GNT_OK && n > 0;
    *size = (uint32_t)n;
    return good;
}

/* The same without padding. */
static bool read_bare(struct gnt_slice text, uint8_t out[GNT_VERIFIER_SALT_MAX], uint32_t *size)
{
    char padded[GNT_BASE64_SIZE(GNT_VERIFIER_SALT_MAX) + 4];
    if (text.size == 0 || text.size > GNT_BASE64_SIZE(GNT_VERIFIER_SALT_MAX) ||
        text.data[text.size - 1] == '=')
        return false;
    memcpy(padded, text.data, text.size);
    size_t n = text.size;
    while (n % 4)
        padded[n++] = '=';
    return read_base64(gnt_slice(padded, n), out, size);
}

static const char bad_salt[] = "the salt has to be base64 of 1 to 64 bytes";
static const char bad_hash[] = "the hash has to be base64 of 64 bytes";

static const char *read_scram(struct gnt_slice text, struct gnt_verifier *v)
{
    struct gnt_scram_verifier one = {.hash = GNT_SCRAM_HASHES};
    struct gnt_slice part;
    const char *why = NULL;
    for (bool more = true; more && !why;) {
        more = gnt_field_until(&text, ',', &part);
        if (gnt_scram_verifier_read(more ? part : text, &one, &why))
            break;
        if (v->scram[one.hash].iterations)
            why = "expected one verifier for each method of SCRAM";
        v->scram[one.hash] = one;
    }
    gnt_scram_wipe(&one, sizeof one);
    return why;
}

/* "ln=15" is 15 for the name "ln". */
static uint32_t parameter(struct gnt_slice text, const char *name, uint32_t min, uint32_t max)
{
    struct gnt_slice start = gnt_slice_str(name);
    if (!gnt_slice_starts(text, start) || text.size == start.size || text.data[start.size] != '=')
        return 0;
    return gnt_field_number(gnt_slice_skip(text, start.size + 1), min, max);
}

static bool scrypt_bounded(const struct gnt_verifier_hash *h)
{
    uint64_t work = ((uint64_t)h->r * h->p) << h->log_n;
    uint64_t memory = ((uint64_t)128 * h->r) << h->log_n;
    return work <= (uint64_t)GNT_SCRYPT_WORK_MAX && memory <= (uint64_t)GNT_SCRYPT_MEMORY_MAX;
}

static const char *read_scrypt(struct gnt_slice text, struct gnt_verifier *v)
{
    enum { FACTOR_MAX = 1024 };
    struct gnt_verifier_hash *h = &v->hash;
    struct gnt_slice empty, method, log_n, r, p, salt;
    if (!gnt_field_until(&text, '$', &empty) || !gnt_field_until(&text, '$', &method) ||
        !gnt_field_until(&text, ',', &log_n) || !gnt_field_until(&text, ',', &r) ||
        !gnt_field_until(&text, '$', &p) || !gnt_field_until(&text, '$', &salt))
        return "expected $scrypt$ln=N,r=N,p=N$SALT$HASH";
    h->log_n = parameter(log_n, "ln", GNT_SCRYPT_LOG_N_MIN, SCRYPT_LOG_N_MAX);
    h->r = parameter(r, "r", 1, FACTOR_MAX);
    h->p = parameter(p, "p", 1, FACTOR_MAX);
    if (!h->log_n || !h->r || !h->p || !scrypt_bounded(h))
        return "scrypt takes ln from 10 to 20, at most 128 MiB and 16 times the work of "
               "ln=15,r=8,p=1";
    if (!read_bare(salt, h->salt, &h->salt_size))
        return "the salt has to be base64 of 1 to 64 bytes, without padding";
    if (!read_bare(text, h->hash, &h->size) || h->size < 16)
        return "the hash has to be base64 of 16 to 64 bytes, without padding";
    return NULL;
}

static const char *read_salt_and_hash(struct gnt_slice text, struct gnt_verifier_hash *h)
{
    struct gnt_slice salt;
    if (!gnt_field_until(&text, '$', &salt))
        return "expected SALT$HASH at the end";
    if (!read_base64(salt, h->salt, &h->salt_size))
        return bad_salt;
    return read_base64(text, h->hash, &h->size) && h->size == SHA512_SIZE ? NULL : bad_hash;
}

static const char *read_pbkdf2(struct gnt_slice text, struct gnt_verifier *v)
{
    struct gnt_slice iterations;
    text = gnt_slice_skip(text, strlen("$7$"));
    if (!gnt_field_until(&text, '$', &iterations))
        return "expected $7$ITERATIONS$SALT$HASH";
    v->hash.iterations = gnt_field_number(iterations, 1, GNT_VERIFIER_ITERATIONS_MAX);
    if (!v->hash.iterations)
        return "the iteration count has to be from 1 to 10000000";
    return read_salt_and_hash(text, &v->hash);
}

static const char *read_sha512(struct gnt_slice text, struct gnt_verifier *v)
{
    return read_salt_and_hash(gnt_slice_skip(text, strlen("$6$")), &v->hash);
}

/* ---- Deriving */

static gnt_err derive_scrypt(const struct gnt_verifier_hash *h, struct gnt_slice password,
                             uint8_t out[GNT_VERIFIER_HASH_MAX])
{
    /* OpenSSL counts a little more than the 128 * N * r of the table. */
    enum { MEMORY_MAX = 2 * GNT_SCRYPT_MEMORY_MAX };
    return EVP_PBE_scrypt((const char *)password.data, password.size, h->salt, h->salt_size,
                          UINT64_C(1) << h->log_n, h->r, h->p, MEMORY_MAX, out, h->size) == 1
               ? GNT_OK
               : GNT_NOMEM;
}

static gnt_err derive_pbkdf2(const struct gnt_verifier_hash *h, struct gnt_slice password,
                             uint8_t out[GNT_VERIFIER_HASH_MAX])
{
    return PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.size, h->salt,
                             (int)h->salt_size, (int)h->iterations, EVP_sha512(), SHA512_SIZE,
                             out) == 1
               ? GNT_OK
               : GNT_NOMEM;
}

static gnt_err derive_sha512(const struct gnt_verifier_hash *h, struct gnt_slice password,
                             uint8_t out[GNT_VERIFIER_HASH_MAX])
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool done = digest && EVP_DigestInit_ex(digest, EVP_sha512(), NULL) == 1 &&
                EVP_DigestUpdate(digest, password.data, password.size) == 1 &&
                EVP_DigestUpdate(digest, h->salt, h->salt_size) == 1 &&
                EVP_DigestFinal_ex(digest, out, NULL) == 1;
    EVP_MD_CTX_free(digest); /* which wipes it */
    return done ? GNT_OK : GNT_NOMEM;
}

/* ---- The kinds */

static const struct kind {
    const char *prefix;
    const char *(*read)(struct gnt_slice text, struct gnt_verifier *v); /* NULL, or what is wrong */
    gnt_err (*derive)(const struct gnt_verifier_hash *h, struct gnt_slice password,
                      uint8_t out[GNT_VERIFIER_HASH_MAX]); /* NULL: SCRAM's own way */
} kinds[GNT_VERIFIER_KINDS] = {
    [GNT_VERIFIER_SCRAM] = {"SCRAM-SHA-", read_scram, NULL},
    [GNT_VERIFIER_SCRYPT] = {"$scrypt$", read_scrypt, derive_scrypt},
    [GNT_VERIFIER_PBKDF2] = {"$7$", read_pbkdf2, derive_pbkdf2},
    [GNT_VERIFIER_SHA512] = {"$6$", read_sha512, derive_sha512},
};

static enum gnt_verifier_kind kind_of(struct gnt_slice text)
{
    unsigned kind = 0;
    while (kind < GNT_VERIFIER_KINDS && !gnt_slice_starts(text, gnt_slice_str(kinds[kind].prefix)))
        kind++;
    return (enum gnt_verifier_kind)kind;
}

bool gnt_verifier_looks(struct gnt_slice text)
{
    return kind_of(text) != GNT_VERIFIER_KINDS;
}

gnt_err gnt_verifier_read(struct gnt_slice text, struct gnt_verifier *out, const char **why)
{
    struct gnt_verifier v;
    memset(&v, 0, sizeof v);
    v.kind = kind_of(text);
    *why = v.kind == GNT_VERIFIER_KINDS
               ? "expected $scrypt$, SCRAM-SHA-256$, SCRAM-SHA-512$, $7$ or $6$ behind the name"
               : kinds[v.kind].read(text, &v);
    if (!*why)
        *out = v;
    gnt_scram_wipe(&v, sizeof v);
    return *why ? GNT_MALFORMED : GNT_OK;
}

const struct gnt_scram_verifier *gnt_verifier_scram(const struct gnt_verifier *v,
                                                    enum gnt_scram_hash hash)
{
    bool there = v->kind == GNT_VERIFIER_SCRAM && v->scram[hash].iterations;
    return there ? &v->scram[hash] : NULL;
}

gnt_err gnt_verifier_check(const struct gnt_verifier *v, struct gnt_slice password)
{
    uint8_t derived[GNT_VERIFIER_HASH_MAX];
    if (!kinds[v->kind].derive) {
        const struct gnt_scram_verifier *scram = gnt_verifier_scram(v, GNT_SCRAM_SHA_256);
        return gnt_scram_verifier_check(scram ? scram : &v->scram[GNT_SCRAM_SHA_512], password);
    }
    gnt_err err = kinds[v->kind].derive(&v->hash, password, derived);
    if (!err && CRYPTO_memcmp(derived, v->hash.hash, v->hash.size) != 0)
        err = GNT_DENIED;
    gnt_scram_wipe(derived, sizeof derived);
    return err;
}

void gnt_verifier_blank(struct gnt_verifier *v, const uint8_t bytes[GNT_VERIFIER_BLANK])
{
    _Static_assert((int)GNT_VERIFIER_BLANK == (int)GNT_VERIFIER_SALT_MAX &&
                       (int)GNT_VERIFIER_BLANK == (int)GNT_VERIFIER_HASH_MAX &&
                       (int)GNT_VERIFIER_BLANK == (int)GNT_SCRAM_KEY_MAX &&
                       (int)GNT_VERIFIER_BLANK >= GNT_SCRAM_HASHES * (int)GNT_SCRAM_SALT_SIZE,
                   "enough for each of them");
    if (v->kind == GNT_VERIFIER_SCRAM) {
        for (unsigned hash = 0; hash < GNT_SCRAM_HASHES; hash++) {
            struct gnt_scram_verifier *scram = &v->scram[hash];
            scram->salt_size = GNT_SCRAM_SALT_SIZE; /* each has one of its own, as a user's have */
            memcpy(scram->salt, bytes + hash * GNT_SCRAM_SALT_SIZE, GNT_SCRAM_SALT_SIZE);
            memcpy(scram->stored_key, bytes, GNT_SCRAM_KEY_MAX);
            memcpy(scram->server_key, bytes, GNT_SCRAM_KEY_MAX);
        }
    } else {
        memcpy(v->hash.salt, bytes, GNT_VERIFIER_SALT_MAX);
        memcpy(v->hash.hash, bytes, GNT_VERIFIER_HASH_MAX);
    }
}

/* ---- Making */

static char *put_bare(char *at, struct gnt_slice bytes)
{
    char *end = (char *)gnt_base64_write((uint8_t *)at, bytes);
    while (end > at && end[-1] == '=')
        end--;
    return end;
}

struct gnt_verifier gnt_verifier_costs(enum gnt_verifier_kind kind)
{
    struct gnt_verifier v;
    memset(&v, 0, sizeof v);
    v.kind = kind;
    for (unsigned hash = 0; kind == GNT_VERIFIER_SCRAM && hash < GNT_SCRAM_HASHES; hash++)
        v.scram[hash] = (struct gnt_scram_verifier){.hash = (enum gnt_scram_hash)hash,
                                                    .iterations = GNT_SCRAM_ITERATIONS,
                                                    .salt_size = GNT_SCRAM_SALT_SIZE};
    if (kind != GNT_VERIFIER_SCRAM)
        v.hash = (struct gnt_verifier_hash){
            .log_n = GNT_SCRYPT_LOG_N, .r = 8, .p = 1, .salt_size = 16, .size = 32};
    return v;
}

gnt_err gnt_verifier_make(struct gnt_slice password, uint32_t log_n,
                          const struct gnt_random *random, char text[GNT_VERIFIER_TEXT])
{
    struct gnt_verifier_hash h = gnt_verifier_costs(GNT_VERIFIER_SCRYPT).hash;
    h.log_n = log_n;
    if (log_n < GNT_SCRYPT_LOG_N_MIN || log_n > SCRYPT_LOG_N_MAX || !scrypt_bounded(&h))
        return GNT_INVALID;
    random->fill(random->self, h.salt, h.salt_size);
    gnt_err err = derive_scrypt(&h, password, h.hash);
    if (!err) {
        int n = snprintf(text, GNT_VERIFIER_TEXT, "$scrypt$ln=%u,r=%u,p=%u$", h.log_n, h.r, h.p);
        char *at = put_bare(text + n, gnt_slice(h.salt, h.salt_size));
        *at++ = '$';
        *put_bare(at, gnt_slice(h.hash, h.size)) = '\0';
    }
    gnt_scram_wipe(&h, sizeof h);
    return err;
}

gnt_err gnt_verifier_make_scram(struct gnt_slice password, uint32_t iterations,
                                const struct gnt_random *random, char text[GNT_VERIFIER_TEXT])
{
    char *at = text;
    for (unsigned hash = 0; hash < GNT_SCRAM_HASHES; hash++) {
        struct gnt_scram_verifier v;
        gnt_err err =
            gnt_scram_verifier_make((enum gnt_scram_hash)hash, password, iterations, random, &v);
        if (err)
            return err;
        if (hash)
            *at++ = ',';
        gnt_scram_verifier_write(&v, at);
        at += strlen(at);
        gnt_scram_wipe(&v, sizeof v);
    }
    return GNT_OK;
}
