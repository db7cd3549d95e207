#include "pki/key.h"
#include "base/utf8.h"
#include "pki/legacy.h"
#include "pki/openssl.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Making */

static gnt_err make_rsa(const char *value, EVP_PKEY **out, struct gnt_pki_why *why)
{
    char *end;
    unsigned long bits = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || bits < GNT_KEY_RSA_MIN ||
        bits > GNT_KEY_RSA_MAX)
        return gnt_pki_refuse(why, GNT_INVALID, "expected rsa: and %d to %d bits",
                              (int)GNT_KEY_RSA_MIN, (int)GNT_KEY_RSA_MAX);
    *out = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
    return *out ? GNT_OK : gnt_pki_openssl_refuse(why, GNT_NOMEM, "an RSA key");
}

static gnt_err make_ec(const char *value, EVP_PKEY **out, struct gnt_pki_why *why)
{
    enum { SECURITY_BITS = 112 };
    char shown[64];
    gnt_utf8_printable(gnt_slice_str(value), shown, sizeof shown);
    *out = EVP_EC_gen(value);
    if (!*out)
        return gnt_pki_refuse(why, GNT_INVALID,
                              "'%s' is no curve: expected ec:P-256, ec:P-384, ec:P-521 or the like",
                              shown);
    if (EVP_PKEY_get_security_bits(*out) >= SECURITY_BITS)
        return GNT_OK;
    EVP_PKEY_free(*out);
    *out = NULL;
    return gnt_pki_refuse(why, GNT_INVALID, "the curve %s is too weak", shown);
}

gnt_err gnt_key_make(const char *spec, EVP_PKEY **out, struct gnt_pki_why *why)
{
    char shown[64];
    if (strncmp(spec, "rsa:", 4) == 0)
        return make_rsa(spec + 4, out, why);
    if (strncmp(spec, "ec:", 3) == 0)
        return make_ec(spec + 3, out, why);
    if (strcmp(spec, "ed25519") != 0)
        return gnt_pki_refuse(why, GNT_INVALID,
                              "expected rsa:BITS, ec:CURVE or ed25519 as key, got '%s'",
                              gnt_utf8_printable(gnt_slice_str(spec), shown, sizeof shown));
    *out = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return *out ? GNT_OK : gnt_pki_openssl_refuse(why, GNT_NOMEM, "an Ed25519 key");
}

/* ---- Writing */

static X509_SIG *encrypt(PKCS8_PRIV_KEY_INFO *plain, const char *passphrase)
{
    X509_ALGOR *how =
        PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), GNT_KEY_ITERATIONS, NULL, 0, NULL, NID_hmacWithSHA256);
    X509_SIG *encrypted =
        how ? PKCS8_set0_pbe(passphrase, (int)strlen(passphrase), plain, how) : NULL;
    if (!encrypted)
        X509_ALGOR_free(how);
    return encrypted;
}

gnt_err gnt_key_write(const EVP_PKEY *key, const char *passphrase, struct gnt_buf *out,
                      struct gnt_pki_why *why)
{
    BIO *text = BIO_new(BIO_s_secmem());
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(key);
    X509_SIG *encrypted = passphrase && plain ? encrypt(plain, passphrase) : NULL;
    bool written = false;
    if (text && encrypted)
        written = PEM_write_bio_PKCS8(text, encrypted);
    else if (text && plain && !passphrase)
        written = PEM_write_bio_PKCS8_PRIV_KEY_INFO(text, plain);
    gnt_err err = written && gnt_openssl_take(text, out) == GNT_OK
                      ? GNT_OK
                      : gnt_pki_openssl_refuse(why, GNT_NOMEM, "writing a key");
    X509_SIG_free(encrypted);
    PKCS8_PRIV_KEY_INFO_free(plain);
    BIO_free(text);
    return err;
}

/* ---- Reading */

/* What OpenSSL asks for, and whether it has. */
struct asking {
    const char *passphrase;
    bool asked;
};

static int answer(char *out, int cap, int writing, void *context)
{
    (void)writing;
    struct asking *asking = context;
    asking->asked = true;
    size_t size = asking->passphrase ? strlen(asking->passphrase) : 0;
    if (!asking->passphrase || size > (size_t)cap)
        return -1;
    memcpy(out, asking->passphrase, size);
    return (int)size;
}

/* An encrypted .pvk is so by RC4. */
static EVP_PKEY *read_pvk(BIO *in, struct asking *asking)
{
    struct gnt_legacy legacy = gnt_legacy_begin();
    EVP_PKEY *key = b2i_PVK_bio(in, answer, asking);
    gnt_legacy_end(&legacy);
    return key;
}

static EVP_PKEY *read_der(BIO *in, struct asking *asking)
{
    EVP_PKEY *key = d2i_PKCS8PrivateKey_bio(in, NULL, answer, asking);
    if (key || asking->asked)
        return key;
    (void)BIO_reset(in);
    return d2i_PrivateKey_bio(in, NULL);
}

static bool is_pem(struct gnt_slice bytes)
{
    return memmem(bytes.data, bytes.size, "-----BEGIN ", 11) != NULL;
}

static EVP_PKEY *read_any(struct gnt_slice bytes, struct asking *asking)
{
    static const uint8_t pvk[] = {0x1e, 0xf1, 0xb5, 0xb0};
    BIO *in = BIO_new_mem_buf(bytes.size ? (const void *)bytes.data : "", (int)bytes.size);
    EVP_PKEY *key = NULL;
    if (in && gnt_slice_starts(bytes, gnt_slice(pvk, sizeof pvk)))
        key = read_pvk(in, asking);
    else if (in && is_pem(bytes))
        key = PEM_read_bio_PrivateKey(in, NULL, answer, asking);
    else if (in)
        key = read_der(in, asking);
    BIO_free(in);
    return key;
}

gnt_err gnt_key_load(const char *file, const char *passphrase, EVP_PKEY **out,
                     struct gnt_pki_why *why)
{
    struct gnt_buf bytes = {NULL, 0, 0, 0};
    struct asking asking = {passphrase, false};
    gnt_err err = gnt_files_read(file, &bytes, why);
    if (err) {
        gnt_files_wipe(&bytes);
        return err;
    }
    struct gnt_slice all = gnt_buf_slice(&bytes);
    *out = read_any(all, &asking);
    bool other = is_pem(all) && !memmem(all.data, all.size, "PRIVATE KEY-----", 16);
    gnt_files_wipe(&bytes);
    if (*out) {
        ERR_clear_error(); /* of the ways of reading that were not it */
        return GNT_OK;
    }
    if (asking.asked && !passphrase)
        return gnt_pki_refuse(why, GNT_REFUSED, "%s: the key needs a pass-phrase", file);
    if (asking.asked)
        return gnt_pki_refuse(why, GNT_REFUSED, "%s: wrong pass-phrase", file);
    if (other)
        return gnt_pki_refuse(why, GNT_NOTFOUND, "%s: no private key in it", file);
    return gnt_pki_openssl_refuse(why, GNT_MALFORMED, "%s: not a private key", file);
}

/* ---- Telling */

char *gnt_key_name(EVP_PKEY *key, char out[64])
{
    char group[40];
    size_t size;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
        EVP_PKEY_get_group_name(key, group, sizeof group, &size)) {
        const char *nist = EC_curve_nid2nist(OBJ_sn2nid(group));
        (void)snprintf(out, 64, "EC %s", nist ? nist : group);
    } else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
        (void)snprintf(out, 64, "RSA %d bits", EVP_PKEY_get_bits(key));
    } else {
        const char *type = EVP_PKEY_get0_type_name(key);
        (void)snprintf(out, 64, "%s", type ? type : "unknown");
    }
    return out;
}
