#include "support/alloc_fault.h"
#include "support/unit.h"

#include "auth/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY      "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define VERIFIER "SCRAM-SHA-256$4096:AAAA$" KEY ":" KEY

static struct gnt_seeded seeded;
static char path[64];

static void put_file(const char *text)
{
    snprintf(path, sizeof path, "/tmp/gnatter-users-%ld", (long)getpid());
    (void)unlink(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* What was told: "LINE WHY\n" each. */
static char told[4096];

static void report(void *context, const char *file, unsigned line, const char *why)
{
    (void)context;
    assert_string_equal(file, path);
    size_t used = strlen(told);
    snprintf(told + used, sizeof told - used, "%u %s\n", line, why);
}

static gnt_err load(const struct gnt_users *before, struct gnt_users **out)
{
    told[0] = '\0';
    return gnt_users_load(path, before, &seeded.door, report, NULL, out);
}

static void finds_who_is_there(void **state)
{
    (void)state;
    struct gnt_users *users;
    struct gnt_verifier v;
    put_file("# who may come\n\nann:" VERIFIER "\r\nzo\xc3\xab b:SCRAM-SHA-256$5000:AAAA$" KEY
             ":" KEY "\n#bob:" VERIFIER "\nlast:" VERIFIER);
    assert_int_equal(load(NULL, &users), GNT_OK);
    assert_string_equal(told, "");
    assert_int_equal(gnt_users_count(users), 3);
    assert_true(gnt_users_find(users, LITERAL("ann"), &v));
    assert_int_equal(v.scram[GNT_SCRAM_SHA_256].iterations, 4096);
    assert_int_equal(v.scram[GNT_SCRAM_SHA_256].salt_size, 3);
    assert_true(gnt_users_find(users, LITERAL("zo\xc3\xab b"), &v));
    assert_int_equal(v.scram[GNT_SCRAM_SHA_256].iterations, 5000);
    assert_true(gnt_users_find(users, LITERAL("last"), &v));
    assert_false(gnt_users_find(users, LITERAL("bob"), &v));
    assert_false(gnt_users_find(users, LITERAL("Ann"), &v));
    assert_false(gnt_users_find(users, LITERAL("an"), &v));
    assert_false(gnt_users_find(users, LITERAL(""), &v));
    gnt_users_unref(&users);
}

static void many_users(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static char text[MANY * 160];
    struct gnt_users *users;
    struct gnt_verifier v;
    size_t n = 0;
    for (int i = 0; i < MANY; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "user%d:" VERIFIER "\n", i);
    put_file(text);
    assert_int_equal(load(NULL, &users), GNT_OK);
    assert_int_equal(gnt_users_count(users), MANY);
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "user%d", i);
        assert_true(gnt_users_find(users, gnt_slice_str(name), &v));
    }
    gnt_users_unref(&users);
}

static void nobody_is_not_told_from_somebody(void **state)
{
    (void)state;
    struct gnt_users *users, *again, *other;
    struct gnt_scram_verifier a, b;
    put_file("ann:SCRAM-SHA-256$5000:AAAA$" KEY ":" KEY "\n");
    assert_int_equal(load(NULL, &users), GNT_OK);
    assert_false(gnt_users_find_scram(users, LITERAL("bob"), GNT_SCRAM_SHA_256, &a));
    assert_int_equal(a.salt_size, GNT_SCRAM_SALT_SIZE);
    assert_int_equal(a.iterations, 5000);
    assert_false(gnt_users_find_scram(users, LITERAL("bob"), GNT_SCRAM_SHA_256, &b));
    assert_memory_equal(&a, &b, sizeof a);
    assert_false(gnt_users_find_scram(users, LITERAL("bobby"), GNT_SCRAM_SHA_256, &b));
    assert_memory_not_equal(a.salt, b.salt, a.salt_size);

    assert_int_equal(load(users, &again), GNT_OK); /* a reload changes nothing for bob */
    assert_false(gnt_users_find_scram(again, LITERAL("bob"), GNT_SCRAM_SHA_256, &b));
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(load(NULL, &other), GNT_OK); /* another process would */
    assert_false(gnt_users_find_scram(other, LITERAL("bob"), GNT_SCRAM_SHA_256, &b));
    assert_memory_not_equal(a.salt, b.salt, a.salt_size);
    gnt_users_unref(&users);
    gnt_users_unref(&again);
    gnt_users_unref(&other);
}

#define SCRYPT "$scrypt$ln=11,r=8,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA"
#define SHA512                                                                              \
    "$6$AAAA$PoKo6AkwIjqY1yxFKJd2BPfBJ0oNDjCKn8Xr4jKEVhpIxci6uTmO+ajiskZcQ5x9lrqXENzA/KJHq" \
    "HSTMOXNHQ=="

/* A name that is nobody's is as costly as that of a user of the kind that most have. */
static void nobody_costs_what_most_cost(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum gnt_verifier_kind kind;
    } rows[] = {
        {"a:" SCRYPT "\nb:" SHA512 "\nc:" SCRYPT "\nd:" VERIFIER "\n", GNT_VERIFIER_SCRYPT},
        {"a:" SHA512 "\nb:" SHA512 "\nc:" SCRYPT "\n", GNT_VERIFIER_SHA512},
        {"a:" VERIFIER "\nb:" VERIFIER "\nc:" SCRYPT "\n", GNT_VERIFIER_SCRAM},
        {"# nobody\n", GNT_VERIFIER_SCRYPT},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_users *users;
        struct gnt_verifier v, again;
        put_file(rows[i].text);
        assert_int_equal(load(NULL, &users), GNT_OK);
        assert_string_equal(told, "");
        for (char name[] = "n0"; name[1] <= '9'; name[1]++) {
            assert_false(gnt_users_find(users, gnt_slice_str(name), &v));
            assert_int_equal(v.kind, rows[i].kind);
            if (v.kind == GNT_VERIFIER_SCRYPT && i == 0)
                assert_int_equal(v.hash.log_n, 11);
        }
        if (i < 3) /* the last one takes its time */
            assert_int_equal(gnt_verifier_check(&v, LITERAL("secret")), GNT_DENIED);
        assert_false(gnt_users_find(users, LITERAL("nobody"), &v));
        assert_false(gnt_users_find(users, LITERAL("nobody"), &again));
        assert_memory_equal(&v, &again, sizeof v);
        gnt_users_unref(&users);
    }
}

#define KEY512                                         \
    "6AAub3065EYRmyFpM2RNwqK+eGnrkYuEWbXn19LsEmBqzu8Q" \
    "aCXNc1FwpnX9NhH2hK/60dzj9DoO5DvVkOHbvg=="
#define WITH256(count) "SCRAM-SHA-256$" count ":AAAA$" KEY ":" KEY
#define WITH512(count) "SCRAM-SHA-512$" count ":BBBB$" KEY512 ":" KEY512

/* By which hash whom is known, and what nobody is asked for then. */
static void scram_by_each_hash(void **state)
{
    (void)state;
    struct gnt_users *users;
    struct gnt_scram_verifier v, other;
    put_file("both:" WITH256("5000") "," WITH512(
        "6000") "\n"
                "short:" WITH256("7000") "\n"
                                         "long:" WITH512("6000") "\n"
                                                                 "none:" SCRYPT "\n");
    assert_int_equal(load(NULL, &users), GNT_OK);
    assert_string_equal(told, "");
    static const struct {
        const char *name;
        bool known[GNT_SCRAM_HASHES];
    } rows[] = {{"both", {true, true}},
                {"short", {true, false}},
                {"long", {false, true}},
                {"none", {false, false}},
                {"nobody", {false, false}}};
    for (size_t i = 0; i < COUNT_OF(rows) * GNT_SCRAM_HASHES; i++) {
        enum gnt_scram_hash hash = (enum gnt_scram_hash)(i % GNT_SCRAM_HASHES);
        const char *name = rows[i / GNT_SCRAM_HASHES].name;
        bool known = rows[i / GNT_SCRAM_HASHES].known[hash];
        assert_int_equal(gnt_users_find_scram(users, gnt_slice_str(name), hash, &v), known);
        assert_int_equal(v.hash, hash);
        assert_int_equal(v.salt_size, known ? 3 : GNT_SCRAM_SALT_SIZE);
        /* Nobody is asked for as much as somebody who has that hash. */
        assert_true(hash == GNT_SCRAM_SHA_512 ? v.iterations == 6000
                                              : v.iterations == 5000 || v.iterations == 7000);
    }
    assert_false(gnt_users_find_scram(users, LITERAL("nobody"), GNT_SCRAM_SHA_256, &v));
    assert_false(gnt_users_find_scram(users, LITERAL("nobody"), GNT_SCRAM_SHA_512, &other));
    assert_memory_not_equal(v.salt, other.salt, GNT_SCRAM_SALT_SIZE); /* as users have it */
    gnt_users_unref(&users);
}

static void offers_what_all_can_use(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool offered[GNT_SCRAM_HASHES];
    } rows[] = {
        {"# nobody\n", {false, false}},
        {"a:" SCRYPT "\n", {false, false}},
        {"a:" WITH256("5000") "\n", {true, false}},
        {"a:" WITH512("5000") "\nb:" SCRYPT "\n", {false, true}},
        {"a:" WITH256("5000") "," WITH512("5000") "\n", {true, true}},
        {"a:" WITH256("5000") "," WITH512("5000") "\nb:" WITH256("5000") "\n", {true, false}},
        {"a:" WITH512("5000") "\nb:" WITH256("5000") "\n", {false, false}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_users *users;
        put_file(rows[i].text);
        assert_int_equal(load(NULL, &users), GNT_OK);
        for (unsigned hash = 0; hash < GNT_SCRAM_HASHES; hash++)
            assert_int_equal(gnt_users_offer_scram(users, (enum gnt_scram_hash)hash),
                             rows[i].offered[hash]);
        gnt_users_unref(&users);
    }
}

/* Who has another kind of verifier is, to SCRAM, nobody. */
static void scram_knows_its_own_only(void **state)
{
    (void)state;
    struct gnt_users *users;
    struct gnt_scram_verifier v;
    put_file("ann:" SCRYPT "\nbob:SCRAM-SHA-256$5000:AAAA$" KEY ":" KEY "\n");
    assert_int_equal(load(NULL, &users), GNT_OK);
    assert_false(gnt_users_find_scram(users, LITERAL("ann"), GNT_SCRAM_SHA_256, &v));
    assert_int_equal(v.iterations, 5000);
    assert_int_equal(v.salt_size, GNT_SCRAM_SALT_SIZE);
    assert_true(gnt_users_find_scram(users, LITERAL("bob"), GNT_SCRAM_SHA_256, &v));
    assert_int_equal(v.salt_size, 3);
    gnt_users_unref(&users);
}

static void tells_and_skips_bad_lines(void **state)
{
    (void)state;
    static char text[8192];
    struct gnt_users *users;
    struct gnt_verifier v;
    size_t n = (size_t)snprintf(text, sizeof text,
                                "ann:" VERIFIER "\n"
                                "secret\n"
                                "bob:secret\n"
                                "bob:SCRAM-SHA-256$secret:AAAA$" KEY ":" KEY "\n"
                                ":" VERIFIER "\n"
                                "b\x01:" VERIFIER "\n"
                                "b\xff:" VERIFIER "\n"
                                "ann:" VERIFIER "\n"
                                "long:");
    memset(text + n, 'x', 2000);
    snprintf(text + n + 2000, sizeof text - n - 2000, "\nzoe:" VERIFIER "\n");
    put_file(text);
    assert_int_equal(load(NULL, &users), GNT_OK);
    assert_string_equal(
        told, "2 expected NAME:VERIFIER\n"
              "3 expected $scrypt$, SCRAM-SHA-256$, SCRAM-SHA-512$, $7$ or $6$ behind the name\n"
              "4 the iteration count has to be from 4096 to 10000000\n"
              "5 a name has 1 to 255 bytes of UTF-8 without control characters\n"
              "6 a name has 1 to 255 bytes of UTF-8 without control characters\n"
              "7 a name has 1 to 255 bytes of UTF-8 without control characters\n"
              "8 this user has a line already, which holds\n"
              "9 too long a line\n");
    assert_null(strstr(told, "secret"));
    assert_int_equal(gnt_users_count(users), 2);
    assert_true(gnt_users_find(users, LITERAL("zoe"), &v));
    gnt_users_unref(&users);
}

static void a_file_that_is_none(void **state)
{
    (void)state;
    struct gnt_users *users = NULL;
    put_file("this is\nsomething else\n");
    assert_int_equal(load(NULL, &users), GNT_MALFORMED);
    put_file("# nobody yet\n");
    assert_int_equal(load(NULL, &users), GNT_OK);
    assert_int_equal(gnt_users_count(users), 0);
    struct gnt_verifier v;
    assert_false(gnt_users_find(users, LITERAL("ann"), &v));
    assert_int_equal(v.hash.log_n, GNT_SCRYPT_LOG_N);
    gnt_users_unref(&users);
    (void)unlink(path);
    assert_int_equal(load(NULL, &users), GNT_NOTFOUND);
    assert_int_equal(errno, ENOENT);
    snprintf(path, sizeof path, "/");
    assert_int_equal(load(NULL, &users), GNT_IO);
    assert_null(users);
}

static void warns_of_a_file_that_all_can_read(void **state)
{
    (void)state;
    struct gnt_users *users;
    put_file("ann:" VERIFIER "\n");
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(load(NULL, &users), GNT_OK);
    assert_string_equal(told,
                        "0 every user of this machine can read it: chmod o= would end that\n");
    gnt_users_unref(&users);
}

static void is_counted(void **state)
{
    (void)state;
    struct gnt_users *users, *same;
    struct gnt_verifier v;
    put_file("ann:" VERIFIER "\n");
    assert_int_equal(load(NULL, &users), GNT_OK);
    same = gnt_users_ref(users);
    gnt_users_unref(&users);
    assert_null(users);
    assert_true(gnt_users_find(same, LITERAL("ann"), &v));
    gnt_users_unref(&same);
    gnt_users_unref(&same);
}

static void bears_a_lack_of_memory(void **state)
{
    (void)state;
    put_file("ann:" VERIFIER "\nbob:" VERIFIER "\n");
    for (long n = 0;; n++) {
        struct gnt_users *users = NULL;
        gnt_alloc_fail_at(n);
        gnt_err err = load(NULL, &users);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        gnt_users_unref(&users);
        if (!failed)
            break;
        assert_int_equal(err, GNT_NOMEM);
    }
}

static int remove_file(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(finds_who_is_there, remove_file),
        cmocka_unit_test_teardown(many_users, remove_file),
        cmocka_unit_test_teardown(nobody_is_not_told_from_somebody, remove_file),
        cmocka_unit_test_teardown(nobody_costs_what_most_cost, remove_file),
        cmocka_unit_test_teardown(scram_knows_its_own_only, remove_file),
        cmocka_unit_test_teardown(scram_by_each_hash, remove_file),
        cmocka_unit_test_teardown(offers_what_all_can_use, remove_file),
        cmocka_unit_test_teardown(tells_and_skips_bad_lines, remove_file),
        cmocka_unit_test(a_file_that_is_none),
        cmocka_unit_test_teardown(warns_of_a_file_that_all_can_read, remove_file),
        cmocka_unit_test_teardown(is_counted, remove_file),
        cmocka_unit_test_teardown(bears_a_lack_of_memory, remove_file),
    };
    gnt_seeded_init(&seeded, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
