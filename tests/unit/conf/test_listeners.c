/* What holds for a listener: of its own, of all, and what follows. */
#include "conf/config.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct gnt_config config;
static struct gnt_config_tls tls;
static struct gnt_why why;

static void read_text(struct gnt_config *c, const char *text)
{
    char path[] = "/tmp/gnatter-test-XXXXXX";
    struct gnt_diag diag;
    gnt_diag_init(&diag);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    gnt_err err = gnt_config_load(path, c, &diag);
    unlink(path);
    for (size_t i = 0; i < diag.count; i++)
        print_error("%s\n", diag.lines[i]);
    assert_int_equal(err, GNT_OK);
    gnt_diag_fini(&diag);
}

static gnt_err tls_of(size_t i)
{
    why.text[0] = '\0';
    return gnt_config_tls(&config, &config.listeners.items[i], &tls, &why);
}

static int forget(void **state)
{
    (void)state;
    gnt_config_fini(&config);
    return 0;
}

static void test_own_before_all(void **state)
{
    (void)state;
    read_text(&config, "certificate: [a.pem, b.pem]\nkey: a.key\nca: ca.pem\ncrl: crl.pem\n"
                       "passphrase: env:A\nciphers: X\ntls_min: 1.3\nidentity: san\n"
                       "listeners:\n"
                       "  - {url: 'mqtts://:1'}\n"
                       "  - {url: 'https://:2', pfx: c.pfx, ca: other.pem, tls_min: 1.0,"
                       " client_certificates: optional, identity: subject, suites: Y}\n"
                       "  - {url: 'mqtts://:3', client_certificates: none}\n"
                       "  - {url: 'mqtt://:4'}\n");
    assert_int_equal(tls_of(0), GNT_OK);
    assert_int_equal(tls.certificates.count, 2);
    assert_int_equal(tls.keys.count, 1);
    assert_string_equal(tls.passphrase, "env:A");
    assert_string_equal(tls.cas.items[0], "ca.pem");
    assert_int_equal(tls.ask, GNT_CONFIG_ASK_REQUIRED); /* as there is a CA */
    assert_int_equal(tls.identity, GNT_CONFIG_IDENTITY_SAN);
    assert_int_equal(tls.least, 0x0304);
    assert_int_equal(tls.greatest, 0);
    assert_string_equal(tls.ciphers, "X");
    assert_null(tls.suites);
    assert_int_equal(tls_of(1), GNT_OK);
    assert_int_equal(tls.certificates.count, 0);
    assert_int_equal(tls.keys.count, 0);
    assert_string_equal(tls.pfxs.items[0], "c.pfx");
    assert_string_equal(tls.cas.items[0], "other.pem");
    assert_int_equal(tls.ask, GNT_CONFIG_ASK_OPTIONAL);
    assert_int_equal(tls.identity, GNT_CONFIG_IDENTITY_SUBJECT);
    assert_int_equal(tls.least, 0x0301);
    assert_string_equal(tls.suites, "Y");
    assert_int_equal(tls_of(2), GNT_OK);
    assert_int_equal(tls.ask, GNT_CONFIG_ASK_NONE);
    assert_int_equal(tls.cas.count + tls.crls.count, 0); /* nobody is asked */
    assert_int_equal(tls_of(3), GNT_OK);
    assert_int_equal(tls.certificates.count, 0);
}

static void test_who_gets_through(void **state)
{
    (void)state;
    read_text(&config, "certificate: a.pem\nlisteners: [{url: 'mqtts://:1', ca: b.pem}]\n");
    assert_true(gnt_config_is_authenticated(&config, &config.listeners.items[0]));
    assert_false(gnt_config_is_open(&config));
    assert_false(gnt_config_on_loopback(&config));
    read_text(&config, "certificate: a.pem\nca: b.pem\n"
                       "listeners: [{url: 'mqtts://:1', client_certificates: optional}]\n");
    assert_false(gnt_config_is_authenticated(&config, &config.listeners.items[0]));
    assert_true(gnt_config_is_open(&config));
    read_text(&config, "listeners: [{url: 'mqtt://127.0.0.1'}]\n");
    assert_false(gnt_config_is_authenticated(&config, &config.listeners.items[0]));
    assert_false(gnt_config_is_open(&config));
}

/* By AMQP's header: where the listener itself has a certificate, and others come in without. */
static void test_tls_by_header(void **state)
{
    (void)state;
    read_text(&config, "certificate: a.pem\nca: ca.pem\ntls_min: 1.3\nlisteners:\n"
                       "  - {url: 'amqp://:1'}\n"
                       "  - {url: 'amqp://:2', certificate: b.pem}\n"
                       "  - {url: 'amqp://:3', pfx: c.pfx, client_certificates: none}\n"
                       "  - {url: 'mqtt://:4', certificate: b.pem}\n"
                       "  - {url: 'amqp+unix:///x', certificate: b.pem}\n"
                       "  - {url: 'amqp://:5', ca: b.pem}\n");
    static const bool takes[] = {false, true, true, false, false, false};
    static const gnt_err says[] = {GNT_OK, GNT_OK, GNT_OK, GNT_INVALID, GNT_INVALID, GNT_INVALID};
    for (size_t i = 0; i < COUNT_OF(takes); i++) {
        const struct gnt_config_listener *one = &config.listeners.items[i];
        assert_int_equal(gnt_config_takes_tls(one), takes[i]);
        assert_false(gnt_config_is_tls(one));
        assert_false(gnt_config_is_authenticated(&config, one));
        assert_int_equal(tls_of(i), says[i]);
    }
    assert_int_equal(tls_of(1), GNT_OK);
    assert_string_equal(tls.certificates.items[0], "b.pem");
    assert_string_equal(tls.cas.items[0], "ca.pem");
    assert_int_equal(tls.ask, GNT_CONFIG_ASK_REQUIRED); /* of those who ask for TLS */
    assert_int_equal(tls.least, 0x0304);
}

/* What a listener has of TLS is taken over at a reload, where it listens is not. */
static void test_what_needs_a_restart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool restart;
    } rows[] = {
        {"{url: 'mqtts://:1', origins: '*', ca: b.pem}", false},
        {"{url: 'mqtts://:1', origins: '*', tls_min: 1.3}", false},
        {"{url: 'mqtts://:2', origins: '*', ca: a.pem}", true},
        {"{url: 'mqtts://:1', ca: a.pem}", true},
        {"{url: 'mqtts://:1', origins: '*', ca: a.pem}, {url: 'mqtts://:2'}", true},
    };
    const struct gnt_option *row = gnt_option_find(&gnt_config_table, "listeners");
    read_text(&config, "listeners: [{url: 'mqtts://:1', origins: '*', ca: a.pem}]\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_config now = {.file = NULL};
        char text[200];
        (void)snprintf(text, sizeof text, "listeners: [%s]\n", rows[i].text);
        read_text(&now, text);
        assert_int_equal(gnt_option_needs_restart(row, &config, &now), rows[i].restart);
        gnt_config_fini(&now);
    }
    assert_true(
        gnt_option_needs_restart(gnt_option_find(&gnt_config_table, "workers"), &config, &config));
    assert_false(
        gnt_option_needs_restart(gnt_option_find(&gnt_config_table, "ca"), &config, &config));
}

#define T(test) cmocka_unit_test_teardown(test, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_own_before_all), T(test_who_gets_through),
                                       T(test_tls_by_header), T(test_what_needs_a_restart)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
