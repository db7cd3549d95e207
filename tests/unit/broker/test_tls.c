/* What TLS listeners agree to, from files, and again from them. */
#include "broker/tls.h"
#include "support/alloc_fault.h"
#include "unit/pki/pki_files.h"

#include <string.h>
#include <time.h>

static struct gnt_config config;
static struct gnt_listener_tls tls;
static char problem[1024];

static gnt_err load_text(const char *text)
{
    struct gnt_diag diag;
    gnt_diag_init(&diag);
    put("conf", gnt_slice_str(text));
    gnt_err err = gnt_config_load(in_directory("conf"), &config, &diag);
    for (size_t i = 0; i < diag.count; i++)
        print_error("%s\n", diag.lines[i]);
    gnt_diag_fini(&diag);
    return err;
}

/* A configuration where @ stands for the directory. */
static void configure(const char *text)
{
    char whole[4096];
    size_t used = 0;
    for (; *text; text++) {
        const char one[] = {*text, '\0'};
        used += (size_t)snprintf(whole + used, sizeof whole - used, "%s",
                                 *text == '@' ? directory : one);
    }
    assert_int_equal(load_text(whole), GNT_OK);
}

static gnt_err open_it(void)
{
    problem[0] = '\0';
    return gnt_listener_tls_open(&tls, &config, &config.listeners.items[0], problem,
                                 sizeof problem);
}

static const char usual[] = "certificate: @/server.pem\nkey: @/server.key\nca: @/ca.pem\n"
                            "listeners: [{url: 'mqtts://127.0.0.1'}]\n";

static int make_files(void **state)
{
    make_directory(state);
    gnt_log_configure(GNT_LOG_ERROR, GNT_LOG_TEXT);
    struct pair p = new_pair();
    put_pem("server.pem", p.server, NULL, NULL, NULL);
    put_pem("server.key", NULL, NULL, p.key, NULL);
    put_pem("ca.pem", p.ca, NULL, NULL, NULL);
    free_pair(&p);
    assert_int_equal(gnt_config_init(&config), GNT_OK);
    return 0;
}

static int remove_files(void **state)
{
    gnt_listener_tls_close(&tls);
    gnt_config_fini(&config);
    return remove_directory(state);
}

static void test_taken_and_kept(void **state)
{
    (void)state;
    configure(usual);
    assert_int_equal(open_it(), GNT_OK);
    struct gnt_tls_context *first = gnt_listener_tls_take(&tls);
    assert_non_null(first);
    assert_int_equal(gnt_tls_context_name(first), GNT_TLS_NAME_CN);
    gnt_listener_tls_reload(&tls, &config);
    struct gnt_tls_context *second = gnt_listener_tls_take(&tls);
    assert_ptr_not_equal(first, second);
    gnt_tls_context_unref(&first); /* it has lived on for who had it */
    put("server.pem", gnt_slice_str("half"));
    gnt_log_configure(GNT_LOG_ERROR, GNT_LOG_TEXT);
    gnt_listener_tls_reload(&tls, &config);
    first = gnt_listener_tls_take(&tls);
    assert_ptr_equal(first, second);
    gnt_tls_context_unref(&first);
    gnt_tls_context_unref(&second);
}

static void test_what_is_not_its_own(void **state)
{
    (void)state;
    configure("certificate: @/server.pem\nlisteners: [{url: 'mqtt://127.0.0.1'}]\n");
    assert_int_equal(open_it(), GNT_OK);
    assert_null(gnt_listener_tls_take(&tls));
    gnt_listener_tls_reload(&tls, &config);
    gnt_listener_tls_close(&tls);
    configure(usual);
    assert_int_equal(open_it(), GNT_OK);
    struct gnt_tls_context *before = gnt_listener_tls_take(&tls), *after;
    configure(
        "listeners: [{url: 'mqtts://127.0.0.1:1'}]\n"); /* another one, from the next start on */
    gnt_listener_tls_reload(&tls, &config);
    after = gnt_listener_tls_take(&tls);
    assert_ptr_equal(before, after);
    gnt_tls_context_unref(&before);
    gnt_tls_context_unref(&after);
}

/* An amqp listener's own: other ones at a reload, but not none any more. */
static void test_by_header(void **state)
{
    (void)state;
    static const char mine[] = "listeners: [{url: 'amqp://127.0.0.1', certificate: @/server.pem, "
                               "key: @/server.key}]\n";
    configure(mine);
    assert_int_equal(open_it(), GNT_OK);
    assert_true(tls.by_header);
    const struct gnt_tls_context *before = tls.context;
    gnt_listener_tls_reload(&tls, &config);
    assert_ptr_not_equal(tls.context, before);
    before = tls.context;
    gnt_log_divert(NULL, NULL);
    configure("certificate: @/server.pem\nkey: @/server.key\n"
              "listeners: [{url: 'amqp://127.0.0.1'}]\n");
    gnt_listener_tls_reload(&tls, &config);
    assert_ptr_equal(tls.context, before);
    gnt_listener_tls_close(&tls);
    assert_int_equal(open_it(), GNT_OK);
    assert_null(gnt_listener_tls_take(&tls));
    configure(usual);
    assert_int_equal(open_it(), GNT_OK);
    assert_false(tls.by_header);
}

/* Where certificates are all that keeps others out, a reload does not let them in: who may connect
 * without a name was settled when the listener was opened. */
static void test_still_asked(void **state)
{
    (void)state;
    static const char files[] = "certificate: @/server.pem\nkey: @/server.key\nca: @/ca.pem\n";
    static const struct {
        const char *more, *listener;
        bool changes;
    } rows[] = {
        {"", "url: 'mqtts://0.0.0.0'", false},
        {"", "url: 'mqtts://127.0.0.1', proxies: [10.0.0.1]", false},
        {"", "url: 'mqtts://127.0.0.1'", true},
        {"allow_anonymous: true\n", "url: 'mqtts://0.0.0.0'", true},
        {"allow_anonymous: false\n", "url: 'mqtts://0.0.0.0'", true},
        {"users: @/users\n", "url: 'mqtts://0.0.0.0'", true},
    };
    gnt_log_divert(NULL, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[1000];
        for (int optional = 0; optional < 2; optional++) {
            (void)snprintf(text, sizeof text, "%s%s%slisteners: [{%s}]\n", files, rows[i].more,
                           optional ? "client_certificates: optional\n" : "", rows[i].listener);
            configure(text);
            if (!optional)
                assert_int_equal(open_it(), GNT_OK);
        }
        const struct gnt_tls_context *before = tls.context;
        gnt_listener_tls_reload(&tls, &config);
        assert_int_equal(tls.context != before, rows[i].changes);
        gnt_listener_tls_close(&tls);
    }
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"listeners: [{url: 'mqtts://127.0.0.1'}]\n", "TLS needs a certificate"},
        {"listeners: [{url: mqtt://127.0.0.1, ca: x}]\n",
         "are for mqtts, amqps and https listeners"},
        {"listeners: [{url: https://127.0.0.1, key: x}]\ncertificate: y\n",
         "more keys than certificates"},
        {"certificate: @/server.pem\nkey: @/ca.pem\nlisteners: [{url: 'mqtts://127.0.0.1'}]\n",
         "no private key"},
        {"certificate: @/server.pem\nkey: @/server.key\nca: [@/ca.pem, @/no.pem]\n"
         "listeners: [{url: 'mqtts://127.0.0.1'}]\n",
         "/no.pem: "},
        {"certificate: @/server.pem\nkey: @/server.key\nca: @/ca.pem\ncrl: @/ca.pem\n"
         "listeners: [{url: 'mqtts://127.0.0.1'}]\n",
         "ca.pem: no revocation list"},
        {"certificate: @/server.pem\nkey: @/server.key\npassphrase: file:@/none\n"
         "listeners: [{url: 'mqtts://127.0.0.1'}]\n",
         "/none: "},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        configure(rows[i].text);
        assert_int_equal(open_it(), GNT_INVALID);
        if (!strstr(problem, rows[i].words))
            fail_msg("%s: %s", rows[i].words, problem);
        gnt_listener_tls_close(&tls);
    }
}

/* Of its own allocations each may fail, at the first reading and at the next. */
static void test_out_of_memory(void **state)
{
    (void)state;
    configure(usual);
    gnt_err err = GNT_NOMEM;
    for (long at = 0; err; at++) {
        gnt_alloc_fail_at(at);
        err = open_it();
        gnt_alloc_fail_at(-1);
        assert_true(err == GNT_OK || err == GNT_NOMEM || err == GNT_INVALID);
        if (err)
            gnt_listener_tls_close(&tls);
    }
    struct gnt_tls_context *before = gnt_listener_tls_take(&tls), *after = before;
    gnt_log_divert(NULL, NULL);
    for (long at = 0; after == before; at++) {
        gnt_alloc_fail_at(at);
        gnt_listener_tls_reload(&tls, &config);
        gnt_alloc_fail_at(-1);
        after = gnt_listener_tls_take(&tls);
        gnt_tls_context_unref(&after);
        after = tls.context;
    }
    gnt_tls_context_unref(&before);
}

#define T(test) cmocka_unit_test_setup_teardown(test, make_files, remove_files)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_taken_and_kept), T(test_what_is_not_its_own),
                                       T(test_by_header),      T(test_still_asked),
                                       T(test_mistakes),       T(test_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
