#include "pki_files.h"
#include "support/alloc_fault.h"

#include "pki/pfx.h"

#include <openssl/err.h>

static struct gnt_pki_why why;
static struct pair pair;

static int set_up(void **state)
{
    pair = new_pair();
    return make_directory(state);
}

static int tear_down(void **state)
{
    free_pair(&pair);
    return remove_directory(state);
}

static gnt_err load(const char *certificate, const char *key, const char *passphrase, int64_t now,
                    struct gnt_identity *out)
{
    char first[PATH_MAX], second[PATH_MAX];
    struct gnt_identity_source source = {.certificate = first,
                                         .passphrase = passphrase,
                                         .now = now};
    (void)snprintf(first, sizeof first, "%s", in_directory(certificate));
    if (key) {
        (void)snprintf(second, sizeof second, "%s", in_directory(key));
        source.key = second;
    }
    memset(&why, 0, sizeof why);
    return gnt_identity_load(&source, out, &why);
}

static void is_loaded_from_pem(void **state)
{
    (void)state;
    struct gnt_identity identity;
    put_pem("cert", pair.server, pair.ca, NULL, NULL);
    put_pem("key", NULL, NULL, pair.key, NULL);
    put_pem("both", pair.server, NULL, pair.key, NULL);
    assert_int_equal(load("cert", "key", NULL, NOW + 1, &identity), GNT_OK);
    assert_int_equal(X509_cmp(identity.certificate, pair.server), 0);
    assert_int_equal(EVP_PKEY_eq(identity.key, pair.key), 1);
    assert_int_equal(sk_X509_num(identity.chain), 1);
    assert_int_equal(X509_cmp(sk_X509_value(identity.chain, 0), pair.ca), 0);
    gnt_identity_fini(&identity);
    gnt_identity_fini(&identity); /* a zeroed one */
    assert_int_equal(load("both", NULL, "needless", 0, &identity), GNT_OK);
    assert_int_equal(sk_X509_num(identity.chain), 0);
    gnt_identity_fini(&identity);
}

static void has_a_pass_phrase(void **state)
{
    (void)state;
    struct gnt_identity identity;
    char longest[GNT_KEY_PASSPHRASE_MAX + 1] = "";
    memset(longest, 'x', sizeof longest - 1);
    put_pem("cert", pair.server, NULL, NULL, NULL);
    put_pem("key", NULL, NULL, pair.key, longest);
    assert_int_equal(load("cert", "key", longest, 0, &identity), GNT_OK);
    gnt_identity_fini(&identity);
    assert_int_equal(load("cert", "key", "wrong", 0, &identity), GNT_REFUSED);
    assert_non_null(strstr(why.text, "/key: wrong pass-phrase"));
    assert_int_equal(load("cert", "key", "", 0, &identity), GNT_REFUSED);
    assert_int_equal(load("cert", "key", NULL, 0, &identity), GNT_REFUSED);
    assert_non_null(strstr(why.text, "/key: the key needs a pass-phrase"));
    assert_int_equal(ERR_peek_error(), 0);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    struct gnt_identity identity;
    put_pem("cert", pair.server, NULL, NULL, NULL);
    put_pem("key", NULL, NULL, pair.key, NULL);
    put_pem("other", NULL, NULL, pair.ca_key, NULL);
    put("empty", LITERAL(""));
    put("garbage", LITERAL("\x01\x02garbage"));
    put("torn", LITERAL("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"));
    put("tornkey", LITERAL("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"));
    static const struct {
        const char *certificate, *key;
        int64_t now;
        gnt_err err;
        const char *words;
    } rows[] = {
        {"none", "key", 0, GNT_NOTFOUND, "/none: No such file"},
        {"cert", "none", 0, GNT_NOTFOUND, "/none: No such file"},
        {"key", "key", 0, GNT_NOTFOUND, "/key: no certificate in it"},
        {"cert", NULL, 0, GNT_NOTFOUND, "/cert: no private key in it"},
        {"empty", "key", 0, GNT_NOTFOUND, "/empty: no certificate in it"},
        {"cert", "empty", 0, GNT_MALFORMED, "/empty: not a private key"},
        {"garbage", "key", 0, GNT_NOTFOUND, "/garbage: no certificate in it"},
        {"torn", "key", 0, GNT_MALFORMED, "/torn: a broken certificate"},
        {"cert", "garbage", 0, GNT_MALFORMED, "/garbage: not a private key"},
        {"cert", "tornkey", 0, GNT_MALFORMED, "/tornkey: not a private key"},
        {"cert", "other", 0, GNT_INVALID, "/other: the key does not fit the certificate in "},
        {"cert", "key", NOW - 1, GNT_STATE, "/cert: not valid before 2027-01-15 08:00:00 UTC"},
        {"cert", "key", NOW + YEAR + 1, GNT_STATE, "/cert: expired on 2028-01-15 08:00:00 UTC"},
        {"cert", "key", NOW, GNT_OK, ""},
        {"cert", "key", NOW + YEAR, GNT_OK, ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_identity untouched = {NULL, NULL, (void *)&untouched};
        identity = untouched;
        assert_int_equal(load(rows[i].certificate, rows[i].key, NULL, rows[i].now, &identity),
                         rows[i].err);
        if (!strstr(why.text, rows[i].words))
            fail_msg("'%s' instead of '%s'", why.text, rows[i].words);
        assert_int_equal(ERR_peek_error(), 0);
        if (!rows[i].err)
            gnt_identity_fini(&identity);
        else
            assert_memory_equal(&identity, &untouched, sizeof identity);
    }
}

/* PAIR as a PFX in the file "pfx". */
static void put_pfx(const char *password, bool legacy)
{
    struct gnt_buf bytes = {NULL, 0, 0, 0};
    struct gnt_identity identity = {pair.server, pair.key, sk_X509_new_null()};
    assert_int_equal(gnt_certs_add(identity.chain, pair.ca), GNT_OK);
    assert_int_equal(gnt_pfx_pack(&identity, "name", password, legacy, &bytes, &why), GNT_OK);
    assert_true(gnt_pfx_is(gnt_buf_slice(&bytes)));
    put("pfx", gnt_buf_slice(&bytes));
    gnt_buf_fini(&bytes);
    sk_X509_pop_free(identity.chain, X509_free);
}

static gnt_err load_pfx(const char *password, struct gnt_identity *out)
{
    char path[PATH_MAX];
    struct gnt_identity_source source = {.pfx = path, .passphrase = password, .now = NOW};
    (void)snprintf(path, sizeof path, "%s", in_directory("pfx"));
    return gnt_identity_load(&source, out, &why);
}

static void is_loaded_from_a_pfx(void **state)
{
    (void)state;
    static const char *const passwords[] = {"word", "", "caf\xc3\xa9"};
    struct gnt_identity identity;
    for (size_t i = 0; i < 2 * COUNT_OF(passwords); i++) {
        const char *password = passwords[i / 2];
        put_pfx(password, i % 2);
        assert_int_equal(load_pfx(password, &identity), GNT_OK);
        assert_int_equal(X509_cmp(identity.certificate, pair.server), 0);
        assert_int_equal(EVP_PKEY_eq(identity.key, pair.key), 1);
        assert_int_equal(sk_X509_num(identity.chain), 1);
        gnt_identity_fini(&identity);
        assert_int_equal(load_pfx("wrong", &identity), GNT_REFUSED);
        assert_non_null(strstr(why.text, "/pfx: wrong password"));
        assert_int_equal(load_pfx(NULL, &identity), password[0] ? GNT_REFUSED : GNT_OK);
        if (!password[0])
            gnt_identity_fini(&identity);
    }
    put("pfx", LITERAL("0garbage"));
    assert_int_equal(load_pfx(NULL, &identity), GNT_MALFORMED);
    assert_false(gnt_pfx_is(LITERAL("0garbage")));
    assert_false(gnt_pfx_is(LITERAL("")));
    assert_int_equal(ERR_peek_error(), 0);
}

static void survives_any_allocation_failure(void **state)
{
    (void)state;
    put_pem("both", pair.server, NULL, pair.key, NULL);
    for (long n = 0;; n++) {
        struct gnt_identity identity = {NULL, NULL, NULL};
        gnt_alloc_fail_at(n);
        gnt_err err = load("both", NULL, NULL, 0, &identity);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        gnt_identity_fini(&identity);
        if (!failed)
            break;
    }
}

static void keys_are_what_was_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *name;
    } rows[] = {{"rsa:2048", "RSA 2048 bits"},
                {"ec:P-384", "EC P-384"},
                {"ec:secp256k1", "EC secp256k1"},
                {"ed25519", "ED25519"}};
    static const char *const wrong[] = {"",         "rsa",       "rsa:1",       "rsa:2047",
                                        "rsa:8193", "rsa: 2048", "ec:x",        "ec:",
                                        "x:1",      "ed25519 ",  "ec:secp112r1"};
    char name[64];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EVP_PKEY *key = NULL;
        assert_int_equal(gnt_key_make(rows[i].spec, &key, &why), GNT_OK);
        assert_string_equal(gnt_key_name(key, name), rows[i].name);
        EVP_PKEY_free(key);
    }
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        EVP_PKEY *key = NULL;
        assert_int_equal(gnt_key_make(wrong[i], &key, &why), GNT_INVALID);
        assert_null(key);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_loaded_from_pem),
        TEST(has_a_pass_phrase),
        TEST(says_what_is_wrong),
        TEST(is_loaded_from_a_pfx),
        TEST(survives_any_allocation_failure),
        cmocka_unit_test(keys_are_what_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
