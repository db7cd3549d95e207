/* What a peer is called by its certificate, and who is asked for it. */
#include "net/websocket.h"
#include "unit/net/tls_world.h"

#include <stdio.h>

#define assert_named(rule, certificate, name)                         \
    do {                                                              \
        struct gnt_buf text_ = {0};                                   \
        gnt_err err_ = gnt_tls_name((rule), (certificate), &text_);   \
        assert_int_equal(err_, *(name) ? GNT_OK : GNT_NOTFOUND);      \
        assert_true(gnt_slice_eq_str(gnt_buf_slice(&text_), (name))); \
        gnt_buf_fini(&text_);                                         \
    } while (0)

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *subject, *name;
        const char *cn, *san, *all;
    } rows[] = {
        {"CN=sensor-7, O=Small Things", "DNS:seven.example", "sensor-7", "seven.example",
         "CN=sensor-7, O=Small Things"},
        {"O=Small Things", "email:me@example.com", "", "me@example.com", "O=Small Things"},
        {"CN=Zo\xc3\xab", "URI:urn:site:7", "Zo\xc3\xab", "urn:site:7", "CN=Zo\xc3\xab"},
        {"CN=10.0.0.1", "IP:10.0.0.1", "10.0.0.1", "", "CN=10.0.0.1"},
        {"CN=a\\,b", NULL, "a,b", "", "CN=a\\,b"},
        {"CN=second, CN=first", NULL, "first", "", "CN=second, CN=first"},
        {"", "DNS:only.example", "", "only.example", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%s", rows[i].name ? rows[i].name : "");
        X509 *c = new_certificate(GNT_ISSUE_CLIENT, rows[i].subject, rows[i].name ? name : NULL, -1,
                                  1, false);
        assert_named(GNT_TLS_NAME_NONE, c, "");
        assert_named(GNT_TLS_NAME_CN, c, rows[i].cn);
        assert_named(GNT_TLS_NAME_SAN, c, rows[i].san);
        assert_named(GNT_TLS_NAME_SUBJECT, c, rows[i].all);
        X509_free(c);
    }
}

/* As a CA could issue it that lets others choose; such a text would not be the same everywhere. */
static void test_names_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int size;
    } rows[] = {{"root\0.example", 13}, {"a\nb", 3}, {"\x7f", 1}, {"", 0}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        X509 *c = X509_new();
        X509_NAME *subject = X509_NAME_new();
        (void)X509_NAME_add_entry_by_txt(subject, "CN", V_ASN1_UTF8STRING,
                                         (const unsigned char *)rows[i].bytes, rows[i].size, -1, 0);
        assert_int_equal(X509_set_subject_name(c, subject), 1);
        assert_named(GNT_TLS_NAME_CN, c, "");
        X509_NAME_free(subject);
        X509_free(c);
    }
}

static void test_peer_name(void **state)
{
    (void)state;
    struct gnt_buf name = {0};
    terms[SERVER].ask = GNT_TLS_OPTIONAL;
    terms[SERVER].name = GNT_TLS_NAME_CN;
    meet(ROOM);
    assert_int_equal(gnt_tls_handshake(ends[SERVER]), GNT_OK);
    assert_int_equal(gnt_tls_peer_name(ends[SERVER], &name), GNT_NOTFOUND);
    terms[CLIENT].identities = &pki.client;
    terms[CLIENT].identity_count = 1;
    agree(CLIENT);
    meet(ROOM);
    assert_int_equal(gnt_tls_peer_name(ends[SERVER], &name), GNT_OK);
    assert_true(gnt_slice_eq_str(gnt_buf_slice(&name), "c"));
    assert_int_equal(gnt_tls_peer_name(ends[CLIENT], &name), GNT_NOTFOUND);
    gnt_buf_fini(&name);
}

/* Through a WebSocket, too; and not where there is no TLS. */
static void test_whom_to_ask(void **state)
{
    (void)state;
    struct gnt_stream *websocket, *plain[2];
    meet(ROOM);
    assert_ptr_equal(gnt_tls_of(ends[SERVER]), ends[SERVER]);
    const struct gnt_stream *tls = ends[SERVER];
    assert_int_equal(gnt_websocket_serve(&ends[SERVER], gnt_slice("", 0), &websocket), GNT_OK);
    assert_ptr_equal(gnt_tls_of(websocket), tls);
    assert_int_equal(put(ends[CLIENT], "\x82"), GNT_OK);
    gnt_stream_close(&websocket);
    assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, ROOM, &plain[0], &plain[1]), GNT_OK);
    assert_null(gnt_tls_of(plain[0]));
    gnt_stream_close(&plain[0]);
    gnt_stream_close(&plain[1]);
    assert_null(gnt_tls_of(NULL));
}

static void test_handshake_that_fails(void **state)
{
    (void)state;
    terms[SERVER].ask = GNT_TLS_REQUIRED;
    agree(CLIENT);
    agree(SERVER);
    dial(ROOM);
    assert_int_equal(gnt_tls_handshake(ends[SERVER]), GNT_MORE);
    turn(10);
    assert_int_equal(gnt_tls_handshake(ends[SERVER]), GNT_DENIED);
    assert_words(ends[SERVER], "missing client certificate");
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_names),       T(test_names_that_are_none),  T(test_peer_name),
        T(test_whom_to_ask), T(test_handshake_that_fails),
    };
    return cmocka_run_group_tests(tests, make_pki, free_pki);
}
