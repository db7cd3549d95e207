#include "pki/pfx.h"
#include "pki/legacy.h"
#include "pki/openssl.h"

#include <openssl/err.h>
#include <openssl/pkcs12.h>

gnt_err gnt_pfx_pack(const struct gnt_identity *identity, const char *name, const char *password,
                     bool legacy, struct gnt_buf *out, struct gnt_pki_why *why)
{
    int cipher = legacy ? NID_pbe_WithSHA1And3_Key_TripleDES_CBC : NID_aes_256_cbc;
    BIO *bytes = BIO_new(BIO_s_mem());
    /* The checksum is made by itself: its digest cannot be said here. */
    PKCS12 *pfx = PKCS12_create(password, name, identity->key, identity->certificate,
                                identity->chain, cipher, cipher, GNT_PFX_ITERATIONS, -1, 0);
    bool made = bytes && pfx &&
                PKCS12_set_mac(pfx, password, -1, NULL, 0, GNT_PFX_ITERATIONS,
                               legacy ? EVP_sha1() : EVP_sha256()) &&
                i2d_PKCS12_bio(bytes, pfx);
    gnt_err err = made && gnt_openssl_take(bytes, out) == GNT_OK
                      ? GNT_OK
                      : gnt_pki_openssl_refuse(why, GNT_INVALID, "a PFX of it");
    PKCS12_free(pfx);
    BIO_free(bytes);
    return err;
}

bool gnt_pfx_is(struct gnt_slice bytes)
{
    const uint8_t *at = bytes.data;
    PKCS12 *pfx = bytes.size ? d2i_PKCS12(NULL, &at, (long)bytes.size) : NULL;
    PKCS12_free(pfx);
    ERR_clear_error();
    return pfx != NULL;
}

/* The password that fits, in *password; there are two ways to have none. */
static bool find_password(PKCS12 *pfx, const char **password)
{
    if (!PKCS12_mac_present(pfx))
        return true;
    if (*password && **password)
        return PKCS12_verify_mac(pfx, *password, -1);
    *password = NULL;
    if (PKCS12_verify_mac(pfx, NULL, 0))
        return true;
    *password = "";
    return PKCS12_verify_mac(pfx, "", 0);
}

/* Algorithms of old: only if need be, for that is visible to the whole process. */
static bool parse(PKCS12 *pfx, const char *password, struct gnt_identity *out)
{
    if (PKCS12_parse(pfx, password, &out->key, &out->certificate, &out->chain))
        return true;
    struct gnt_legacy legacy = gnt_legacy_begin();
    bool parsed = PKCS12_parse(pfx, password, &out->key, &out->certificate, &out->chain);
    gnt_legacy_end(&legacy);
    return parsed;
}

static gnt_err judge(const char *file, struct gnt_identity *found, struct gnt_pki_why *why)
{
    if (!found->certificate)
        return gnt_pki_refuse(why, GNT_NOTFOUND, "%s: no certificate with a key in it", file);
    if (!found->key)
        return gnt_pki_refuse(why, GNT_NOTFOUND, "%s: no private key in it", file);
    if (X509_check_private_key(found->certificate, found->key) != 1)
        return gnt_pki_refuse(why, GNT_INVALID, "%s: the key does not fit the certificate", file);
    if (!found->chain && !(found->chain = sk_X509_new_null()))
        return gnt_pki_openssl_refuse(why, GNT_NOMEM, "%s", file);
    return GNT_OK;
}

static gnt_err unpack(const char *file, PKCS12 *pfx, const char *password, struct gnt_identity *out,
                      struct gnt_pki_why *why)
{
    struct gnt_identity found = {NULL, NULL, NULL};
    const char *fits = password;
    if (!find_password(pfx, &fits))
        return password && *password
                   ? gnt_pki_refuse(why, GNT_REFUSED, "%s: wrong password", file)
                   : gnt_pki_refuse(why, GNT_REFUSED, "%s: it needs a password", file);
    ERR_clear_error();
    gnt_err err = parse(pfx, fits, &found)
                      ? judge(file, &found, why)
                      : gnt_pki_openssl_refuse(why, GNT_MALFORMED, "%s: cannot be unpacked", file);
    ERR_clear_error();
    if (err)
        gnt_identity_fini(&found);
    else
        *out = found;
    return err;
}

gnt_err gnt_pfx_load(const char *file, const char *password, struct gnt_identity *out,
                     struct gnt_pki_why *why)
{
    struct gnt_buf bytes = {NULL, 0, 0, 0};
    gnt_err err = gnt_files_read(file, &bytes, why);
    if (err) {
        gnt_files_wipe(&bytes);
        return err;
    }
    const uint8_t *at = gnt_buf_slice(&bytes).data;
    PKCS12 *pfx = at ? d2i_PKCS12(NULL, &at, (long)gnt_buf_size(&bytes)) : NULL;
    gnt_files_wipe(&bytes);
    if (!pfx)
        return gnt_pki_refuse(why, GNT_MALFORMED, "%s: not a PFX (PKCS#12) file", file);
    err = unpack(file, pfx, password, out, why);
    PKCS12_free(pfx);
    return err;
}
