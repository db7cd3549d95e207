#include "support/unit.h"

#include "auth/verifier.h"

#include <stdio.h>

static struct gnt_seeded seeded;

#define HASH64                                         \
    "PoKo6AkwIjqY1yxFKJd2BPfBJ0oNDjCKn8Xr4jKEVhpIxci6" \
    "uTmO+ajiskZcQ5x9lrqXENzA/KJHqHSTMOXNHQ=="
#define KEY "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="

/* RFC 7914's vectors, and lines as mosquitto_passwd 2.0.11 has written them. */
static void knows_what_others_write(void **state)
{
    (void)state;
    static const struct {
        enum gnt_verifier_kind kind;
        const char *password, *text;
    } rows[] = {
        {GNT_VERIFIER_SCRYPT, "pleaseletmein",
         "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/"
         "2o+7qQT44+qbVD9lRdofLVQylV"
         "YT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw"},
        {GNT_VERIFIER_SCRYPT, "password",
         "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/"
         "xCSedmDDaxyevuUqD7m2DYMvfoswGQA"},
        {GNT_VERIFIER_PBKDF2, "secret",
         "$7$101$EiLFpl49F980wqGg$"
         "IvO6LVovP3ts1g8SICT6mUvQlvksqXdgaCUHLkVbS4T06dytwVRQSagx69ld6uueCG"
         "kjsenSmuHJcv5+JY9ISw=="},
        {GNT_VERIFIER_PBKDF2, "secret",
         "$7$5000$C+GYMzcnm/"
         "BHocjJ$8g9eLlj6Cl0FlOhEjUl1kJGKZ7f2iGiIp4Nl65jVJ4eQHBSquLMuyJklg6hRszF1r"
         "UfHlXf4U2C4FiYHmmTMPg=="},
        {GNT_VERIFIER_SHA512, "secret", "$6$5Djkz7nTeSxiZZxt$" HASH64},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_verifier v;
        const char *why;
        assert_int_equal(gnt_verifier_read(gnt_slice_str(rows[i].text), &v, &why), GNT_OK);
        assert_int_equal(v.kind, rows[i].kind);
        struct gnt_slice right = gnt_slice_str(rows[i].password);
        assert_int_equal(gnt_verifier_check(&v, right), GNT_OK);
        right.size--;
        assert_int_equal(gnt_verifier_check(&v, right), GNT_DENIED);
        assert_int_equal(gnt_verifier_check(&v, LITERAL("")), GNT_DENIED);
        v.hash.hash[v.hash.size - 1] ^= 1;
        right.size++;
        assert_int_equal(gnt_verifier_check(&v, right), GNT_DENIED);
    }
}

static void reads_its_own(void **state)
{
    (void)state;
    char text[GNT_VERIFIER_TEXT], other[GNT_VERIFIER_TEXT];
    struct gnt_verifier v;
    const char *why;
    assert_int_equal(gnt_verifier_make(LITERAL("secret"), 10, &seeded.door, text), GNT_OK);
    assert_int_equal(gnt_verifier_make(LITERAL("secret"), 10, &seeded.door, other), GNT_OK);
    assert_string_not_equal(text, other);
    assert_true(gnt_verifier_looks(gnt_slice_str(text)));
    assert_int_equal(strncmp(text, "$scrypt$ln=10,r=8,p=1$", 22), 0);
    assert_int_equal(gnt_verifier_read(gnt_slice_str(text), &v, &why), GNT_OK);
    assert_int_equal(v.hash.salt_size, 16);
    assert_int_equal(v.hash.size, 32);
    assert_int_equal(gnt_verifier_check(&v, LITERAL("secret")), GNT_OK);
    assert_int_equal(gnt_verifier_check(&v, LITERAL("Secret")), GNT_DENIED);
    assert_int_equal(gnt_verifier_make(LITERAL("secret"), 9, &seeded.door, text), GNT_INVALID);
    assert_int_equal(gnt_verifier_make(LITERAL("secret"), 18, &seeded.door, text), GNT_INVALID);
}

static void reads_scram(void **state)
{
    (void)state;
    char text[GNT_VERIFIER_TEXT], *parts[GNT_SCRAM_HASHES];
    struct gnt_verifier v;
    const char *why;
    assert_int_equal(gnt_verifier_make_scram(LITERAL("secret"), 4096, &seeded.door, text), GNT_OK);
    assert_int_equal(gnt_verifier_make_scram(LITERAL("secret"), 4095, &seeded.door, text),
                     GNT_INVALID);
    assert_int_equal(gnt_verifier_make_scram(LITERAL("secret"), 4096, &seeded.door, text), GNT_OK);
    assert_int_equal(gnt_verifier_read(gnt_slice_str(text), &v, &why), GNT_OK);
    assert_int_equal(v.kind, GNT_VERIFIER_SCRAM);
    assert_int_equal(gnt_verifier_check(&v, LITERAL("secret")), GNT_OK);
    assert_int_equal(gnt_verifier_check(&v, LITERAL("secrets")), GNT_DENIED);
    assert_memory_not_equal(v.scram[GNT_SCRAM_SHA_256].salt, v.scram[GNT_SCRAM_SHA_512].salt, 16);

    parts[0] = text;
    parts[1] = strchr(text, ',') + 1;
    parts[1][-1] = '\0';
    for (unsigned hash = 0; hash < GNT_SCRAM_HASHES; hash++) { /* each by itself */
        struct gnt_scram_verifier same = v.scram[hash];
        struct gnt_verifier one;
        assert_int_equal(gnt_verifier_read(gnt_slice_str(parts[hash]), &one, &why), GNT_OK);
        for (unsigned k = 0; k < GNT_SCRAM_HASHES; k++)
            assert_int_equal(gnt_verifier_scram(&one, (enum gnt_scram_hash)k) != NULL, k == hash);
        assert_memory_equal(gnt_verifier_scram(&one, (enum gnt_scram_hash)hash), &same,
                            sizeof same);
        assert_int_equal(gnt_verifier_check(&one, LITERAL("secret")), GNT_OK);
        assert_int_equal(gnt_verifier_check(&one, LITERAL("secrets")), GNT_DENIED);
    }
    char turned[2 * GNT_VERIFIER_TEXT];
    snprintf(turned, sizeof turned, "%s,%s", parts[1], parts[0]);
    struct gnt_verifier again;
    assert_int_equal(gnt_verifier_read(gnt_slice_str(turned), &again, &why), GNT_OK);
    assert_memory_equal(&again, &v, sizeof v);
}

#define SCRYPT \
    "scrypt takes ln from 10 to 20, at most 128 MiB and 16 times the work of ln=15,r=8,p=1"
#define FORM  "expected $scrypt$ln=N,r=N,p=N$SALT$HASH"
#define BARE  "the salt has to be base64 of 1 to 64 bytes, without padding"
#define SHORT "the hash has to be base64 of 16 to 64 bytes, without padding"
#define S256  "SCRAM-SHA-256$4096:AAAA$" KEY ":" KEY
#define S512  "SCRAM-SHA-512$5000:AAAA$" HASH64 ":" HASH64
#define SALT  "the salt has to be base64 of 1 to 64 bytes"
#define LONG  "the hash has to be base64 of 64 bytes"
#define TEN   "AAAAAAAAAAAAAAAAAAAAAA"

static void says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "expected $scrypt$, SCRAM-SHA-256$, SCRAM-SHA-512$, $7$ or $6$ behind the name"},
        {"secret", "expected $scrypt$, SCRAM-SHA-256$, SCRAM-SHA-512$, $7$ or $6$ behind the name"},
        {"$5$AAAA$AAAA",
         "expected $scrypt$, SCRAM-SHA-256$, SCRAM-SHA-512$, $7$ or $6$ behind the name"},
        {"$scrypt$", FORM},
        {"$scrypt$ln=15,r=8$AAAA$" TEN, FORM},
        {"$scrypt$ln=15,r=8,p=1$AAAA", FORM},
        {"$scrypt$ln=15,r=8,p=1$AAAA$" TEN, NULL},
        {"$scrypt$ln=9,r=8,p=1$AAAA$" TEN, SCRYPT},
        {"$scrypt$ln=21,r=1,p=1$AAAA$" TEN, SCRYPT},
        {"$scrypt$ln=20,r=1,p=1$AAAA$" TEN, NULL},
        {"$scrypt$ln=17,r=8,p=1$AAAA$" TEN, NULL}, /* 128 MiB */
        {"$scrypt$ln=17,r=9,p=1$AAAA$" TEN, SCRYPT},
        {"$scrypt$ln=15,r=8,p=16$AAAA$" TEN, NULL},
        {"$scrypt$ln=15,r=8,p=17$AAAA$" TEN, SCRYPT},
        {"$scrypt$ln=10,r=1024,p=4$AAAA$" TEN, NULL},
        {"$scrypt$ln=10,r=1025,p=1$AAAA$" TEN, SCRYPT},
        {"$scrypt$ln=10,r=1,p=1025$AAAA$" TEN, SCRYPT},
        {"$scrypt$ln=15,r=0,p=1$AAAA$" TEN, SCRYPT},
        {"$scrypt$ln=15,r=8,p=4294967297$AAAA$" TEN, SCRYPT},
        {"$scrypt$ln=15,r=-8,p=1$AAAA$" TEN, SCRYPT},
        {"$scrypt$ln=015,r=8,p=1$AAAA$" TEN, SCRYPT},
        {"$scrypt$ln=15,p=8,r=1$AAAA$" TEN, SCRYPT},
        {"$scrypt$ln15,r=8,p=1$AAAA$" TEN, SCRYPT},
        {"$scrypt$ln=15,r=8,p=1$$" TEN, BARE},
        {"$scrypt$ln=15,r=8,p=1$A*AA$" TEN, BARE},
        {"$scrypt$ln=15,r=8,p=1$AA==$" TEN, BARE},
        {"$scrypt$ln=15,r=8,p=1$A$" TEN, BARE},
        {"$scrypt$ln=15,r=8,p=1$AAAA$", SHORT},
        {"$scrypt$ln=15,r=8,p=1$AAAA$AAAA", SHORT},
        {"$scrypt$ln=15,r=8,p=1$AAAA$" TEN "==", SHORT},
        {"$scrypt$ln=15,r=8,p=1$AAAA$" TEN "$", SHORT},
        {"$7$", "expected $7$ITERATIONS$SALT$HASH"},
        {"$7$0$AAAA$" HASH64, "the iteration count has to be from 1 to 10000000"},
        {"$7$x$AAAA$" HASH64, "the iteration count has to be from 1 to 10000000"},
        {"$7$10000001$AAAA$" HASH64, "the iteration count has to be from 1 to 10000000"},
        {"$7$10000000$AAAA$" HASH64, NULL},
        {"$7$1$AAAA", "expected SALT$HASH at the end"},
        {"$7$1$AA$" HASH64, SALT},
        {"$7$1$AAAA$AAAA", LONG},
        {"$6$", "expected SALT$HASH at the end"},
        {"$6$$" HASH64, SALT},
        {"$6$AAAA$" HASH64, NULL},
        {"$6$AAAA$" HASH64 "$", LONG},
        {"SCRAM-SHA-256$4096", "expected ITERATIONS:SALT$STOREDKEY:SERVERKEY"},
        {S256, NULL},
        {S512, NULL},
        {S256 "," S512, NULL},
        {S256 ",", "expected SCRAM-SHA-256$ or SCRAM-SHA-512$"},
        {"SCRAM-SHA-1$4096:AAAA$AAAA:AAAA", "expected SCRAM-SHA-256$ or SCRAM-SHA-512$"},
        {S256 "," S256, "expected one verifier for each method of SCRAM"},
        {S512 "," S256 "," S512, "expected one verifier for each method of SCRAM"},
        {"SCRAM-SHA-512$4096:AAAA$" KEY ":" KEY,
         "a key has to be base64 of 32 bytes, for SHA-512 of 64"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_verifier v;
        const char *why;
        gnt_err err = gnt_verifier_read(gnt_slice_str(rows[i].text), &v, &why);
        if (!rows[i].why)
            assert_null(why);
        else
            assert_string_equal(why ? why : rows[i].text, rows[i].why);
        assert_int_equal(err, rows[i].why ? GNT_MALFORMED : GNT_OK);
    }
}

/* Whatever is cut off, it is no verifier of another password. */
static void cut_anywhere(void **state)
{
    (void)state;
    static const char whole[] = "$scrypt$ln=10,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
                                "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY";
    for (size_t n = 0; n + 23 < sizeof whole; n++) {
        struct gnt_verifier v;
        const char *why;
        assert_int_equal(gnt_verifier_read(gnt_slice(whole, n), &v, &why), GNT_MALFORMED);
        assert_non_null(why);
    }
}

static void a_blank_one_costs_the_same(void **state)
{
    (void)state;
    static const char *const texts[] = {"$scrypt$ln=10,r=7,p=3$AAAA$" TEN, "$7$77$AAAA$" HASH64,
                                        "$6$AAAA$" HASH64, S256 "," S512};
    uint8_t bytes[GNT_VERIFIER_BLANK];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct gnt_verifier v, before;
        const char *why;
        assert_int_equal(gnt_verifier_read(gnt_slice_str(texts[i]), &v, &why), GNT_OK);
        before = v;
        gnt_verifier_blank(&v, bytes);
        assert_int_equal(v.kind, before.kind);
        if (v.kind == GNT_VERIFIER_SCRAM) {
            for (unsigned hash = 0; hash < GNT_SCRAM_HASHES; hash++) {
                assert_int_equal(v.scram[hash].iterations, before.scram[hash].iterations);
                assert_int_equal(v.scram[hash].salt_size, GNT_SCRAM_SALT_SIZE);
                assert_int_equal(v.scram[hash].salt[0], hash * GNT_SCRAM_SALT_SIZE);
                assert_memory_equal(v.scram[hash].server_key, bytes, sizeof bytes);
            }
            continue;
        }
        assert_memory_equal(&v.hash, &before.hash, offsetof(struct gnt_verifier_hash, salt));
        assert_memory_equal(v.hash.salt, bytes, v.hash.salt_size);
        assert_memory_equal(v.hash.hash, bytes, v.hash.size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_what_others_write),
        cmocka_unit_test(reads_its_own),
        cmocka_unit_test(reads_scram),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(a_blank_one_costs_the_same),
    };
    gnt_seeded_init(&seeded, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
