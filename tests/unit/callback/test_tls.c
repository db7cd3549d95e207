/* What the callbacks of gnatter/tls.h are handed, and what becomes of their answers. */
#include "callback/tls.h"
#include "support/alloc_fault.h"
#include "unit/pki/pki_files.h"

#include <openssl/x509_vfy.h>

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

/* ---- The judge */

static struct {
    bool accepts;
    unsigned calls;
    size_t count; /* of certificates that have to be there */
} judged;

static bool judge(void *context, const struct gnatter_tls_shown *shown)
{
    assert_ptr_equal(context, &judged);
    judged.calls++;
    assert_string_equal(shown->host, "broker");
    assert_int_equal(shown->verdict, X509_V_ERR_CERT_HAS_EXPIRED);
    assert_int_equal(shown->depth, 0);
    assert_string_equal(shown->words, "expired");
    assert_int_equal(shown->count, judged.count);
    const struct gnatter_certificate *own = &shown->chain[0];
    assert_string_equal(own->subject, "CN=server");
    assert_string_equal(own->issuer, "CN=ca");
    assert_int_equal(own->from, NOW);
    assert_int_equal(own->until, NOW + YEAR);
    assert_ptr_equal(own->x509, pair.server);
    const unsigned char *der = own->der;
    X509 *same = d2i_X509(NULL, &der, (long)own->der_size);
    assert_int_equal(X509_cmp(same, pair.server), 0);
    X509_free(same);
    if (shown->count > 1)
        assert_string_equal(shown->chain[1].subject, "CN=ca");
    return judged.accepts;
}

static const struct gnt_callback_tls to_judge = {.judge = judge, .context = &judged};

static bool ask_judge(STACK_OF(X509) * chain)
{
    return gnt_callback_judge(&to_judge, "broker", pair.server, chain, X509_V_ERR_CERT_HAS_EXPIRED,
                              0);
}

static void a_judge_sees_the_chain(void **state)
{
    (void)state;
    STACK_OF(X509) *chain = sk_X509_new_null();
    judged.calls = 0;
    judged.count = 1;
    judged.accepts = true;
    assert_true(ask_judge(NULL)); /* nothing could be built of it */
    assert_true(ask_judge(chain));
    judged.count = 2;
    sk_X509_push(chain, pair.server);
    sk_X509_push(chain, pair.ca);
    assert_true(ask_judge(chain));
    judged.accepts = false;
    assert_false(ask_judge(chain));
    assert_int_equal(judged.calls, 4);
    judged.accepts = true;
    for (long n = 0;; n++) {
        judged.calls = 0;
        gnt_alloc_fail_at(n);
        bool accepted = ask_judge(chain);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(accepted, !failed);
        assert_int_equal(judged.calls, !failed);
        if (!failed)
            break;
    }
    sk_X509_free(chain);
}

static void a_long_chain_is_cut(void **state)
{
    (void)state;
    STACK_OF(X509) *chain = sk_X509_new_null();
    for (int i = 0; i < 40; i++)
        sk_X509_push(chain, i ? pair.ca : pair.server);
    judged.count = 16;
    judged.accepts = true;
    assert_true(ask_judge(chain));
    sk_X509_free(chain);
}

/* ---- The choice */

static struct {
    struct gnatter_tls_identity answer;
    size_t issuers;
} chosen;

static void choose(void *context, const struct gnatter_tls_wish *wish,
                   struct gnatter_tls_identity *out)
{
    assert_ptr_equal(context, &chosen);
    assert_string_equal(wish->host, "broker");
    assert_null(out->certificate);
    assert_null(out->pfx);
    chosen.issuers = wish->issuer_count;
    if (wish->issuer_count)
        assert_string_equal(wish->issuers[0], "CN=ca");
    *out = chosen.answer;
}

static const struct gnt_callback_tls to_choose = {.choose = choose, .context = &chosen};

static void a_choice_is_loaded(void **state)
{
    (void)state;
    struct gnt_pki_why why = {""};
    struct gnt_identity identity;
    put_pem("own.pem", pair.server, NULL, NULL, NULL);
    put_pem("own.key", NULL, NULL, pair.key, "secret");
    chosen.answer = (struct gnatter_tls_identity){.certificate = in_directory("own.pem"),
                                                  .key = in_directory("own.key"),
                                                  .passphrase = "secret"};
    STACK_OF(X509_NAME) *issuers = sk_X509_NAME_new_null();
    sk_X509_NAME_push(issuers, X509_get_subject_name(pair.ca));
    assert_int_equal(gnt_callback_choose(&to_choose, "broker", issuers, &identity, &why), GNT_OK);
    assert_int_equal(chosen.issuers, 1);
    assert_int_equal(X509_cmp(identity.certificate, pair.server), 0);
    gnt_identity_fini(&identity);

    chosen.answer.passphrase = "wrong";
    assert_int_equal(gnt_callback_choose(&to_choose, "broker", NULL, &identity, &why), GNT_REFUSED);
    assert_int_equal(chosen.issuers, 0);
    chosen.answer.key = "/nonexistent/key";
    assert_int_equal(gnt_callback_choose(&to_choose, "broker", issuers, &identity, &why),
                     GNT_INVALID);
    assert_string_equal(why.text, "/nonexistent/key: No such file or directory");
    chosen.answer = (struct gnatter_tls_identity){NULL, NULL, NULL, NULL};
    assert_int_equal(gnt_callback_choose(&to_choose, "broker", issuers, &identity, &why),
                     GNT_NOTFOUND);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_callback_choose(&to_choose, "broker", issuers, &identity, &why),
                     GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    sk_X509_NAME_free(issuers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_judge_sees_the_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_chain_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_choice_is_loaded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
