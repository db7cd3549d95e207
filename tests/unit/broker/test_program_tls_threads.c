/* Clients that are known by their certificates, and a program that has its say in TLS. */
#include <gnatter/broker.h>
#include <gnatter/mqtt.h>

#include "support/own_directory.h"
#include "support/unit.h"

#include "pki/certs.h"
#include "pki/issue.h"
#include "pki/key.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000, DAY = 86400 };

/* ---- A CA and what it has issued, in files of a directory */

static EVP_PKEY *key; /* of all of them */
static X509 *ca;

static X509 *issue(enum gnt_issue_role role, const char *subject, char *name, X509 *issuer)
{
    struct gnt_pki_why why;
    X509 *certificate = NULL;
    int64_t now = (int64_t)time(NULL);
    const struct gnt_issue plan = {.role = role,
                                   .subject = subject,
                                   .names = &name,
                                   .name_count = name != NULL,
                                   .from = now - DAY,
                                   .until = now + (role == GNT_ISSUE_CA ? 10 : 9) * DAY,
                                   .path_length = -1};
    if (gnt_issue(&plan, key, issuer, issuer ? key : NULL, &certificate, &why))
        fail_msg("%s", why.text);
    return certificate;
}

/* With its key. */
static void put(const char *file, const X509 *certificate)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    struct gnt_pki_why why;
    assert_int_equal(gnt_certs_write(certificate, &text), GNT_OK);
    assert_int_equal(gnt_key_write(key, NULL, &text, &why), GNT_OK);
    FILE *f = fopen(in_directory(file), "wb");
    assert_non_null(f);
    struct gnt_slice bytes = gnt_buf_slice(&text);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, f), bytes.size);
    assert_int_equal(fclose(f), 0);
    gnt_buf_fini(&text);
}

static void put_new(const char *file, enum gnt_issue_role role, const char *subject, char *name,
                    X509 *issuer)
{
    X509 *certificate = issue(role, subject, name, issuer);
    put(file, certificate);
    X509_free(certificate);
}

static const char *const files[] = {"ca.pem",   "server.pem",   "special.pem", "one.pem",
                                    "mute.pem", "stranger.pem", "users"};

static char special[] = "special.example";

static int make_pki(void **state)
{
    static char address[] = "127.0.0.1";
    struct gnt_pki_why why;
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/gnatter-program-XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(gnt_key_make("ec:P-256", &key, &why), GNT_OK);
    ca = issue(GNT_ISSUE_CA, "CN=ca", NULL, NULL);
    put("ca.pem", ca);
    put_new("server.pem", GNT_ISSUE_SERVER, "CN=usual server", address, ca);
    put_new("special.pem", GNT_ISSUE_SERVER, "CN=first special", special, ca);
    put_new("one.pem", GNT_ISSUE_CLIENT, "CN=one, O=Small Things", NULL, ca);
    put_new("mute.pem", GNT_ISSUE_CLIENT, "O=Small Things", NULL, ca);
    put_new("stranger.pem", GNT_ISSUE_CLIENT, "CN=stranger", NULL, NULL);
    return 0;
}

static int free_pki(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++)
        (void)unlink(in_directory(files[i]));
    X509_free(ca);
    EVP_PKEY_free(key);
    return rmdir(directory);
}

/* ---- The program */

static struct {
    pthread_mutex_t lock;
    char user[64];    /* of the last client that came */
    char asked[128];  /* about whom: the certificate's subject and name */
    char judged[128]; /* what, and with which verdict */
    enum gnatter_login_answer answer;
    bool accepts; /* the judge */
    atomic_int choices;
} program;

static void set(char *to, size_t size, const char *text)
{
    pthread_mutex_lock(&program.lock);
    (void)snprintf(to, size, "%s", text);
    pthread_mutex_unlock(&program.lock);
}

static void assert_said(const char *what, const char *text)
{
    pthread_mutex_lock(&program.lock);
    assert_string_equal(what, text);
    pthread_mutex_unlock(&program.lock);
}

static void came(void *context, const struct gnatter_guest *guest)
{
    (void)context;
    set(program.user, sizeof program.user, guest->user ? guest->user : "nobody");
}

static enum gnatter_login_answer authenticate(void *context, const struct gnatter_login *login,
                                              char user[GNATTER_USER_SIZE])
{
    char text[128];
    const struct gnatter_certificate *c = login->certificate;
    (void)context;
    (void)snprintf(text, sizeof text, "%s (%s)", c ? c->subject : "nothing",
                   login->certificate_name ? login->certificate_name : "nobody");
    if (c)
        assert_true(c->der_size > 100 && c->from < c->until && c->x509);
    assert_string_equal(user, login->certificate_name ? login->certificate_name : login->user);
    set(program.asked, sizeof program.asked, text);
    return program.answer;
}

static bool judge(void *context, const struct gnatter_tls_shown *shown)
{
    char text[128];
    (void)context;
    assert_null(shown->host);
    (void)snprintf(text, sizeof text, "%s: %s", shown->chain[0].subject, shown->words);
    set(program.judged, sizeof program.judged, text);
    return program.accepts;
}

static void choose(void *context, const struct gnatter_tls_wish *wish,
                   struct gnatter_tls_identity *out)
{
    static _Thread_local char path[128];
    (void)context;
    atomic_fetch_add(&program.choices, 1);
    if (!wish->host || strcmp(wish->host, special) != 0)
        return;
    (void)snprintf(path, sizeof path, "%s/special.pem", directory);
    out->certificate = path;
}

static int make_program(void **state)
{
    (void)state;
    memset(&program, 0, sizeof program);
    pthread_mutex_init(&program.lock, NULL);
    return 0;
}

static int end_program(void **state)
{
    (void)state;
    return pthread_mutex_destroy(&program.lock);
}

/* ---- Both sides */

static void options_of(struct gnatter_broker_options *o)
{
    static const char *const any_port[] = {"mqtts://127.0.0.1:0"};
    gnatter_broker_options_init(o);
    o->listeners = any_port;
    o->listener_count = 1;
    o->workers = 2;
    o->on_client_came = came;
}

static gnatter_broker *start(struct gnatter_broker_options *o, const char *more)
{
    char config[512], problem[512] = "";
    gnatter_broker *broker = NULL;
    (void)snprintf(config, sizeof config, "certificate: %s\n%s\n", in_directory("server.pem"),
                   more);
    o->config_text = config;
    o->problem = problem;
    o->problem_size = sizeof problem;
    if (gnatter_broker_new(o, &broker))
        fail_msg("%s", problem);
    assert_int_equal(gnatter_broker_start(broker), 0);
    return broker;
}

static bool judge_server(void *context, const struct gnatter_tls_shown *shown)
{
    (void)snprintf(context, 64, "%s", shown->chain[0].subject);
    return shown->verdict == 0;
}

/* A client that shows FILE (NULL: nothing) and means HOST; the server's certificate in SERVER.
 * Returns what connecting has come to. */
static int come(const gnatter_broker *broker, const char *file, const char *host, char server[64])
{
    struct gnatter_client_options options;
    gnatter_client *client;
    char ca_file[128], identity[128];
    gnatter_client_options_init(&options);
    (void)snprintf(ca_file, sizeof ca_file, "%s", in_directory("ca.pem"));
    (void)snprintf(identity, sizeof identity, "%s", in_directory(file ? file : ""));
    options.url = gnatter_broker_url(broker, 0);
    options.no_reconnect = true;
    options.mqtt.username = "somebody else";
    options.mqtt.password = (struct gnatter_bytes){"word", 4};
    options.tls.ca_file = ca_file;
    options.tls.identity.certificate = file ? identity : NULL;
    options.tls.server_name = host;
    options.tls.judge = judge_server;
    options.tls.context = server;
    assert_int_equal(gnatter_client_new(&options, &client), 0);
    int err = gnatter_client_connect(client, PATIENCE_MS);
    gnatter_client_free(client);
    return err;
}

static char server[64];

/* ---- By certificate */

static void a_certificate_is_a_login(void **state)
{
    (void)state;
    char config[256];
    struct gnatter_broker_options options;
    options_of(&options);
    (void)snprintf(config, sizeof config, "ca: %s\nallow_anonymous: false", in_directory("ca.pem"));
    gnatter_broker *broker = start(&options, config);
    assert_int_equal(come(broker, "one.pem", NULL, server), 0);
    assert_said(program.user, "one"); /* whatever its CONNECT says */
    assert_int_equal(come(broker, "mute.pem", NULL, server), GNATTER_EREFUSED); /* has no name */
    assert_int_not_equal(come(broker, NULL, NULL, server), 0);
    assert_int_not_equal(come(broker, "stranger.pem", NULL, server), 0);
    gnatter_broker_free(broker);
}

static void it_may_be_left_out_where_it_is_optional(void **state)
{
    (void)state;
    char config[256];
    struct gnatter_broker_options options;
    options_of(&options);
    (void)snprintf(config, sizeof config,
                   "ca: %s\nclient_certificates: optional\nallow_anonymous: true",
                   in_directory("ca.pem"));
    gnatter_broker *broker = start(&options, config);
    assert_int_equal(come(broker, "one.pem", NULL, server), 0);
    assert_said(program.user, "one");
    assert_int_equal(come(broker, NULL, NULL, server), 0);
    assert_said(program.user, "nobody"); /* there are no users: what it says is not looked at */
    assert_int_equal(come(broker, "mute.pem", NULL, server), 0);
    gnatter_broker_free(broker);
}

static void or_no_more_than_a_key_to_the_door(void **state)
{
    (void)state;
    char config[256];
    struct gnatter_broker_options options;
    options_of(&options);
    (void)snprintf(config, sizeof config, "ca: %s\nidentity: none\nallow_anonymous: true",
                   in_directory("ca.pem"));
    gnatter_broker *broker = start(&options, config);
    assert_int_equal(come(broker, "one.pem", NULL, server), 0);
    assert_said(program.user, "nobody");
    assert_int_equal(come(broker, "mute.pem", NULL, server), 0);
    gnatter_broker_free(broker);
}

static void the_program_sees_it(void **state)
{
    (void)state;
    char config[256];
    struct gnatter_broker_options options;
    options_of(&options);
    options.authenticate = authenticate;
    (void)snprintf(config, sizeof config, "ca: %s\nclient_certificates: optional",
                   in_directory("ca.pem"));
    program.answer = GNATTER_LOGIN_ACCEPT;
    gnatter_broker *broker = start(&options, config);
    assert_int_equal(come(broker, "one.pem", NULL, server), 0);
    assert_said(program.asked, "CN=one, O=Small Things (one)");
    assert_said(program.user, "one");
    program.answer = GNATTER_LOGIN_USUAL;
    assert_int_equal(come(broker, "one.pem", NULL, server), 0);
    assert_said(program.user, "one");
    program.answer = GNATTER_LOGIN_REFUSE;
    assert_int_equal(come(broker, "mute.pem", NULL, server), GNATTER_EREFUSED);
    assert_said(program.asked, "O=Small Things (nobody)");
    gnatter_broker_free(broker);
}

/* ---- The program's say in TLS */

static void it_judges(void **state)
{
    (void)state;
    char config[256];
    struct gnatter_broker_options options;
    options_of(&options);
    options.judge = judge;
    (void)snprintf(config, sizeof config, "ca: %s", in_directory("ca.pem"));
    gnatter_broker *broker = start(&options, config);
    assert_int_not_equal(come(broker, "one.pem", NULL, server), 0);
    assert_said(program.judged, "CN=one, O=Small Things: good");
    program.accepts = true;
    assert_int_equal(come(broker, "stranger.pem", NULL, server), 0);
    assert_said(program.judged, "CN=stranger: self-signed");
    assert_said(program.user, "stranger");
    gnatter_broker_free(broker);
}

static void it_chooses(void **state)
{
    (void)state;
    struct gnatter_broker_options options;
    options_of(&options);
    options.choose = choose;
    gnatter_broker *broker = start(&options, "allow_anonymous: true");
    assert_int_equal(come(broker, NULL, NULL, server), 0);
    assert_string_equal(server, "CN=usual server");
    assert_int_equal(come(broker, NULL, special, server), 0);
    assert_string_equal(server, "CN=first special");
    put_new("special.pem", GNT_ISSUE_SERVER, "CN=second special", special, ca);
    assert_int_equal(come(broker, NULL, special, server), 0);
    assert_string_equal(server, "CN=second special");
    assert_int_equal(unlink(in_directory("special.pem")), 0);
    assert_int_not_equal(come(broker, NULL, special, server), 0);
    assert_int_equal(program.choices, 4);
    gnatter_broker_free(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_certificate_is_a_login, make_program, end_program),
        cmocka_unit_test_setup_teardown(it_may_be_left_out_where_it_is_optional, make_program,
                                        end_program),
        cmocka_unit_test_setup_teardown(or_no_more_than_a_key_to_the_door, make_program,
                                        end_program),
        cmocka_unit_test_setup_teardown(the_program_sees_it, make_program, end_program),
        cmocka_unit_test_setup_teardown(it_judges, make_program, end_program),
        cmocka_unit_test_setup_teardown(it_chooses, make_program, end_program),
    };
    return cmocka_run_group_tests(tests, make_pki, free_pki);
}
