#include "pki_files.h"
#include "support/alloc_fault.h"

#include "pki/authority.h"
#include "pki/check.h"
#include "pki/facts.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

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

/* PAIR's CA in the directory. */
static void open_authority(struct gnt_authority *ca)
{
    put_pem("ca.pem", pair.ca, NULL, NULL, NULL);
    put_pem("ca.key", NULL, NULL, pair.ca_key, NULL);
    assert_int_equal(gnt_authority_open(directory, NULL, ca, &why), GNT_OK);
}

static void commit(struct gnt_files *files)
{
    assert_int_equal(gnt_files_commit(files, &why), GNT_OK);
    gnt_files_fini(files);
}

static void remembers_what_it_issued(void **state)
{
    (void)state;
    struct gnt_authority ca;
    struct gnt_files files = {.replace = false};
    char serial[GNT_FACTS_SERIAL];
    size_t at;
    open_authority(&ca);
    assert_int_equal(gnt_index_count(ca.index), 0);
    assert_int_equal(gnt_index_add(ca.index, pair.server, "server.pem"), GNT_OK);
    assert_int_equal(gnt_index_add(ca.index, pair.ca, "unknown"), GNT_OK);
    assert_int_equal(gnt_authority_save(&ca, true, &files, &why), GNT_OK);
    commit(&files);
    gnt_authority_close(&ca);
    gnt_authority_close(&ca);

    open_authority(&ca);
    assert_int_equal(gnt_index_count(ca.index), 2);
    gnt_facts_serial(X509_get0_serialNumber(pair.server), serial);
    assert_int_equal(strlen(serial), 32);
    struct gnt_index_row row = gnt_index_row(ca.index, 0);
    assert_int_equal(row.state, 'V');
    assert_string_equal(row.serial, serial);
    assert_string_equal(row.ends, "280115080000Z");
    assert_string_equal(row.revoked, "");
    assert_string_equal(row.file, "server.pem");
    assert_string_equal(row.subject, "/CN=server");
    assert_true(gnt_index_find_serial(ca.index, serial, &at) && at == 0);
    assert_false(gnt_index_find_serial(ca.index, "", &at));
    assert_false(gnt_index_find_serial(ca.index, "00", &at));
    assert_false(gnt_index_find_serial(ca.index, "server", &at));
    assert_int_equal(gnt_index_find_name(ca.index, "server", &at), 1);
    assert_int_equal(gnt_index_find_name(ca.index, "serve", &at), 0);
    assert_int_equal(gnt_index_find_name(ca.index, "", &at), 0);
    gnt_authority_close(&ca);
}

static void revokes_and_lists(void **state)
{
    (void)state;
    struct gnt_authority ca;
    struct gnt_files files = {.replace = false};
    STACK_OF(X509_CRL) *crls = NULL;
    X509_REVOKED *revoked = NULL;
    char number[64];
    open_authority(&ca);
    assert_int_equal(gnt_index_add(ca.index, pair.server, "server.pem"), GNT_OK);
    for (int round = 0; round < 2; round++) {
        if (round == 1) {
            assert_int_equal(gnt_index_revoke(ca.index, 0, "superseded", NOW), GNT_OK);
            assert_int_equal(gnt_index_revoke(ca.index, 0, "superseded", NOW), GNT_EXISTS);
            assert_string_equal(gnt_index_row(ca.index, 0).revoked, "270115080000Z,superseded");
        }
        assert_int_equal(gnt_authority_crl(&ca, 30, NULL, NOW, &files, number, &why), GNT_OK);
        commit(&files);
        assert_string_equal(number, round ? "02" : "01");
        assert_int_equal(gnt_crls_load(in_directory("crl.pem"), &crls, &why), GNT_OK);
        X509_CRL *crl = sk_X509_CRL_value(crls, 0);
        assert_int_equal(X509_CRL_verify(crl, pair.ca_key), 1);
        assert_int_equal(X509_CRL_get0_by_cert(crl, &revoked, pair.server), round);
        assert_int_equal(gnt_facts_seconds(X509_CRL_get0_nextUpdate(crl)), NOW + 30 * 86400);
        sk_X509_CRL_pop_free(crls, X509_CRL_free);
    }
    gnt_authority_close(&ca);
}

static void refuses_what_is_broken(void **state)
{
    (void)state;
    static const char *const indices[] = {"x\n",
                                          "V\t1\t\t2\tf\t/CN=a\textra\n",
                                          "X\t1\t\t2\tf\t/CN=a\n",
                                          "R\t1\t\t2\tf\t/CN=a\n",
                                          "V\t1\t3\t2\tf\t/CN=a\n",
                                          "V\t1\t\t\tf\t/CN=a\n",
                                          "VV\t1\t\t2\tf\t/CN=a\n"};
    struct gnt_authority ca;
    struct gnt_files files = {.replace = false};
    char number[64];
    open_authority(&ca);
    gnt_authority_close(&ca);
    for (size_t i = 0; i < COUNT_OF(indices); i++) {
        put("index.txt", gnt_slice_str(indices[i]));
        assert_int_equal(gnt_authority_open(directory, NULL, &ca, &why), GNT_MALFORMED);
    }
    static const char *const revocations[] = {"R\t1\tnever,x\t2\tf\t/CN=a\n",
                                              "R\t1\t270115080000Z\tZZ\tf\t/CN=a\n"};
    for (size_t i = 0; i < COUNT_OF(revocations); i++) {
        put("index.txt", gnt_slice_str(revocations[i]));
        assert_int_equal(gnt_authority_open(directory, NULL, &ca, &why), GNT_OK);
        assert_int_equal(gnt_authority_crl(&ca, 1, NULL, NOW, &files, number, &why), GNT_MALFORMED);
        gnt_files_fini(&files);
        gnt_authority_close(&ca);
    }
    put("index.txt", LITERAL("R\t1\t270115080000Z,because\t02\tf\t/CN=a\n"));
    put("crlnumber", LITERAL("ff\n"));
    assert_int_equal(gnt_authority_open(directory, NULL, &ca, &why), GNT_OK);
    assert_int_equal(gnt_authority_crl(&ca, 1, NULL, NOW, &files, number, &why), GNT_OK);
    gnt_files_fini(&files);
    static const char *const numbers[] = {"",    "\n", "x",
                                          "1 2", "-1", "11111111111111111111111111111111111111111"};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        put("crlnumber", gnt_slice_str(numbers[i]));
        assert_int_equal(gnt_authority_crl(&ca, 1, NULL, NOW, &files, number, &why), GNT_MALFORMED);
        gnt_files_fini(&files);
    }
    gnt_authority_close(&ca);
    put_pem("ca.key", NULL, NULL, pair.key, NULL);
    assert_int_equal(gnt_authority_open(directory, NULL, &ca, &why), GNT_INVALID);
    assert_int_equal(ERR_peek_error(), 0);
}

/* ---- What may be issued */

static void issues_only_what_is_its_right(void **state)
{
    (void)state;
    X509 *out = NULL;
    EVP_PKEY *key = new_key();
    static const struct {
        enum gnt_issue_role role;
        int64_t from, until;
        gnt_err err;
    } rows[] = {
        {GNT_ISSUE_CLIENT, NOW, NOW + YEAR, GNT_OK},
        {GNT_ISSUE_CLIENT, NOW, NOW + YEAR + 1, GNT_INVALID},
        {GNT_ISSUE_CLIENT, NOW, NOW, GNT_INVALID},
        {GNT_ISSUE_CLIENT, -1, NOW, GNT_INVALID},
        {GNT_ISSUE_CA, NOW, NOW + 1, GNT_OK},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_issue plan = {.role = rows[i].role,
                                 .subject = "CN=x",
                                 .from = rows[i].from,
                                 .until = rows[i].until,
                                 .path_length = 0};
        assert_int_equal(gnt_issue(&plan, key, pair.ca, pair.ca_key, &out, &why), rows[i].err);
        if (rows[i].err)
            continue;
        if (rows[i].role == GNT_ISSUE_CA) { /* whose path length is 0 */
            X509 *below = NULL;
            assert_int_equal(gnt_issue(&plan, pair.key, out, key, &below, &why), GNT_DENIED);
        }
        X509_free(out);
    }
    struct gnt_issue plan = {
        .role = GNT_ISSUE_CLIENT, .subject = "CN=x", .from = NOW, .until = NOW + 1};
    assert_int_equal(gnt_issue(&plan, key, pair.server, pair.key, &out, &why), GNT_DENIED);
    assert_int_equal(gnt_issue(&plan, key, pair.ca, pair.key, &out, &why), GNT_DENIED);
    plan.subject = "";
    assert_int_equal(gnt_issue(&plan, key, pair.ca, pair.ca_key, &out, &why), GNT_INVALID);
    plan.subject = "nonsense";
    assert_int_equal(gnt_issue(&plan, key, pair.ca, pair.ca_key, &out, &why), GNT_INVALID);
    plan.subject = "CN=x";
    plan.digest = "nonsense";
    assert_int_equal(gnt_issue(&plan, key, pair.ca, pair.ca_key, &out, &why), GNT_INVALID);
    EVP_PKEY_free(key);
}

static gnt_err take_name(void *context, const char *text)
{
    (void)snprintf(context, 300, "%s", text);
    return GNT_OK;
}

static void names_are_what_they_look_like(void **state)
{
    (void)state;
    static const struct {
        const char *given, *told;
    } rows[] = {
        {"host", "DNS:host"},
        {"*.a.example", "DNS:*.a.example"},
        {"dns:A_1-b", "DNS:A_1-b"},
        {"192.0.2.1", "IP:192.0.2.1"},
        {"ip:::1", "IP:::1"},
        {"DNS:1.2.3.4", "DNS:1.2.3.4"},
        {"a@b.example", "email:a@b.example"},
        {"mqtt://h/x", "URI:mqtt://h/x"},
        {"uri:urn:x", "URI:urn:x"},
        {"", NULL},
        {".", NULL},
        {"a.", NULL},
        {"a..b", NULL},
        {"*", NULL},
        {"*.", NULL},
        {"a.*", NULL},
        {"a b", NULL},
        {"IP:", NULL},
        {"IP:1.2.3", NULL},
        {"1.2.3.4.5/8", NULL},
        {"email:a@", NULL},
        {"@b", NULL},
        {"URI:1:", NULL},
        {"://", NULL},
        {"h\xc3\xa9", NULL},
        {"urn:x", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char told[300] = "", name[64];
        char *const names[] = {name};
        X509 *out = NULL;
        struct gnt_issue plan = {.role = GNT_ISSUE_SERVER,
                                 .subject = "CN=x",
                                 .names = names,
                                 .name_count = 1,
                                 .from = NOW,
                                 .until = NOW + 1};
        (void)snprintf(name, sizeof name, "%s", rows[i].given);
        gnt_err err = gnt_issue(&plan, pair.key, pair.ca, pair.ca_key, &out, &why);
        if (err != (rows[i].told ? GNT_OK : GNT_INVALID))
            fail_msg("'%s': %d", rows[i].given, err);
        if (!rows[i].told)
            continue;
        assert_int_equal(gnt_facts_names(out, take_name, told), GNT_OK);
        assert_string_equal(told, rows[i].told);
        X509_free(out);
    }
}

/* ---- What would be accepted */

static int verdict_of(struct gnt_check check)
{
    int verdict = -1, depth = -1;
    assert_int_equal(gnt_check(&check, &verdict, &depth), GNT_OK);
    assert_int_equal(ERR_peek_error(), 0);
    return verdict;
}

static void verdicts_have_words(void **state)
{
    (void)state;
    STACK_OF(X509) *cas = sk_X509_new_null(), *others = sk_X509_new_null();
    EVP_PKEY *key = new_key();
    X509 *other = new_certificate(GNT_ISSUE_CA, "CN=ca", key, NULL, NULL);
    assert_true(sk_X509_push(cas, pair.ca) && sk_X509_push(others, other));
    struct gnt_check good = {.certificate = pair.server, .cas = cas, .now = NOW + 1};
    assert_string_equal(gnt_check_words(verdict_of(good)), "good");
    struct gnt_check c = good;
    c.now = NOW - 1;
    assert_string_equal(gnt_check_words(verdict_of(c)), "not yet valid");
    c.now = NOW + YEAR + 1;
    assert_string_equal(gnt_check_words(verdict_of(c)), "expired");
    c = good;
    c.cas = others; /* of the same name */
    assert_string_equal(gnt_check_words(verdict_of(c)), "wrong CA");
    c = good;
    c.host = "server";
    assert_string_equal(gnt_check_words(verdict_of(c)),
                        "good"); /* the common name, as there are no others */
    c.host = "other";
    assert_string_equal(gnt_check_words(verdict_of(c)), "wrong host");
    c.host = "192.0.2.1";
    assert_string_equal(gnt_check_words(verdict_of(c)), "wrong host");
    c = good;
    c.use = GNT_CHECK_CLIENT;
    assert_string_equal(gnt_check_words(verdict_of(c)), "not for this use");
    c = good;
    c.certificate = other;
    assert_string_equal(gnt_check_words(verdict_of(c)), "self-signed");
    c.cas = NULL;
    c.itself = true;
    assert_string_equal(gnt_check_words(verdict_of(c)), "good");
    c = good;
    c.crls = sk_X509_CRL_new_null();
    assert_string_equal(gnt_check_words(verdict_of(c)), "its CA's revocation list is missing");
    sk_X509_CRL_free(c.crls);
    assert_non_null(gnt_check_words(X509_V_ERR_UNSPECIFIED));
    sk_X509_free(cas);
    sk_X509_free(others);
    X509_free(other);
    EVP_PKEY_free(key);
}

static void survives_any_allocation_failure(void **state)
{
    (void)state;
    struct gnt_authority ca;
    open_authority(&ca);
    gnt_authority_close(&ca);
    put("index.txt", LITERAL("V\t280115080000Z\t\t02\tf\t/CN=a\n"));
    for (long n = 0;; n++) {
        struct gnt_files files = {.replace = true};
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_authority_open(directory, NULL, &ca, &why);
        if (!err)
            err = gnt_authority_save(&ca, false, &files, &why);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        gnt_files_fini(&files);
        gnt_authority_close(&ca);
        assert_int_equal(count_files(), 3);
        if (!failed)
            break;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(remembers_what_it_issued),        TEST(revokes_and_lists),
        TEST(refuses_what_is_broken),          TEST(issues_only_what_is_its_right),
        TEST(names_are_what_they_look_like),   TEST(verdicts_have_words),
        TEST(survives_any_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
