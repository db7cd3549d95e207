/* The threaded client by TLS, at a server that has whatever certificate a test wants. */
#include "support/alloc_fault.h"
#include "support/own_directory.h"
#include "support/unit.h"

#include "pki/certs.h"
#include "pki/issue.h"
#include "pki/key.h"

#include <gnatter/mqtt.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SOON_MS = 20000, DAY = 86400 };

/* ---- A CA and what it has issued, in files of a directory */

static int64_t now;
static EVP_PKEY *key; /* of all of them */
static X509 *ca, *server, *future, *stray;

static X509 *issue(enum gnt_issue_role role, const char *subject, char *name, int from,
                   X509 *issuer)
{
    struct gnt_pki_why why;
    X509 *certificate = NULL;
    const struct gnt_issue plan = {.role = role,
                                   .subject = subject,
                                   .names = &name,
                                   .name_count = name != NULL,
                                   .from = now + from * DAY,
                                   .until = now + 9 * DAY,
                                   .path_length = -1};
    if (gnt_issue(&plan, key, issuer, issuer ? key : NULL, &certificate, &why))
        fail_msg("%s", why.text);
    return certificate;
}

static void put_bytes(const char *name, struct gnt_slice bytes)
{
    FILE *file = fopen(in_directory(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    assert_int_equal(fclose(file), 0);
}

/* CERTIFICATE and, if there is one, its key. */
static void put(const char *name, const X509 *certificate, const EVP_PKEY *with)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    struct gnt_pki_why why;
    assert_int_equal(gnt_certs_write(certificate, &text), GNT_OK);
    if (with)
        assert_int_equal(gnt_key_write(with, NULL, &text, &why), GNT_OK);
    put_bytes(name, gnt_buf_slice(&text));
    gnt_buf_fini(&text);
}

static void put_client(const char *name, const char *subject)
{
    X509 *certificate = issue(GNT_ISSUE_CLIENT, subject, NULL, -1, ca);
    put(name, certificate, key);
    X509_free(certificate);
}

static int make_pki(void **state)
{
    static char address[] = "127.0.0.1", other[] = "other.example";
    struct gnt_pki_why why;
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/gnatter-client-tls-XXXXXX");
    assert_non_null(mkdtemp(directory));
    now = (int64_t)time(NULL);
    assert_int_equal(gnt_key_make("ec:P-256", &key, &why), GNT_OK);
    ca = issue(GNT_ISSUE_CA, "CN=ca", NULL, -9, NULL);
    server = issue(GNT_ISSUE_SERVER, "CN=server", address, -1, ca);
    future = issue(GNT_ISSUE_SERVER, "CN=server", address, 1, ca);
    stray = issue(GNT_ISSUE_SERVER, "CN=stray", other, -1, ca);
    put("ca.pem", ca, NULL);
    put("stray.pem", server, NULL); /* no CA of anybody's */
    put_client("client.pem", "CN=one");
    return 0;
}

static int free_pki(void **state)
{
    static const char *const files[] = {"ca.pem", "stray.pem", "client.pem"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++)
        (void)unlink(in_directory(files[i]));
    X509_free(ca);
    X509_free(server);
    X509_free(future);
    X509_free(stray);
    EVP_PKEY_free(key);
    return rmdir(directory);
}

/* ---- The server: answers CONNECT, and ends the connection when it is told to */

static struct {
    int listener;
    uint16_t port;
    SSL_CTX *context;
    pthread_t thread;
    atomic_bool quit, drop; /* right after CONNACK and without close_notify, once */
    atomic_int connections, resumed;
    char client[64]; /* the common name of the last one; behind `connected` */
    sem_t connected;
} peer;

static void answer(SSL *ssl)
{
    static const uint8_t connack[] = {0x20, 2, 0, 0};
    uint8_t in[512];
    if (SSL_accept(ssl) != 1 || SSL_read(ssl, in, sizeof in) <= 0)
        return;
    X509 *shown = SSL_get1_peer_certificate(ssl);
    peer.client[0] = '\0';
    if (shown)
        X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, peer.client,
                                  sizeof peer.client);
    X509_free(shown);
    atomic_fetch_add(&peer.connections, 1);
    atomic_fetch_add(&peer.resumed, SSL_session_reused(ssl));
    (void)!SSL_write(ssl, connack, sizeof connack);
    sem_post(&peer.connected);
    if (atomic_exchange(&peer.drop, false))
        return;
    while (SSL_read(ssl, in, sizeof in) > 0)
        ;
    SSL_shutdown(ssl);
}

static void *serve(void *unused)
{
    (void)unused;
    for (;;) {
        int fd = accept(peer.listener, NULL, NULL);
        if (fd < 0 || atomic_load(&peer.quit)) {
            close(fd);
            return NULL;
        }
        SSL *ssl = SSL_new(peer.context);
        SSL_set_fd(ssl, fd);
        answer(ssl);
        SSL_free(ssl);
        shutdown(fd, SHUT_WR);
        uint8_t rest[256]; /* so that what was said last is not lost */
        while (read(fd, rest, sizeof rest) > 0)
            ;
        close(fd);
    }
}

static void start(X509 *certificate, bool asks)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    signal(SIGPIPE, SIG_IGN);
    memset(peer.client, 0, sizeof peer.client);
    atomic_store(&peer.quit, false);
    atomic_store(&peer.drop, false);
    atomic_store(&peer.connections, 0);
    atomic_store(&peer.resumed, 0);
    sem_init(&peer.connected, 0, 0);
    peer.context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_cert_and_key(peer.context, certificate, key, NULL, 1), 1);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(peer.context), ca);
    SSL_CTX_add_client_CA(peer.context, ca);
    SSL_CTX_set_session_id_context(peer.context, (const uint8_t *)"x", 1);
    if (asks)
        SSL_CTX_set_verify(peer.context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    peer.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(peer.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(peer.listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(listen(peer.listener, 8), 0);
    peer.port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&peer.thread, NULL, serve, NULL), 0);
}

static void stop(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(peer.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    atomic_store(&peer.quit, true);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)connect(fd, (struct sockaddr *)&address, sizeof address);
    close(fd);
    assert_int_equal(pthread_join(peer.thread, NULL), 0);
    close(peer.listener);
    SSL_CTX_free(peer.context);
    sem_destroy(&peer.connected);
}

static void await(sem_t *s)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SOON_MS / 1000;
    assert_int_equal(sem_timedwait(s, &until), 0);
}

/* ---- The client */

static struct {
    atomic_bool looks; /* the first end of a client is what counts */
    sem_t ended;
    struct gnatter_disconnected last; /* behind `ended` */
    char words[256];
} seen;

static void on_disconnected(gnatter_client *c, const struct gnatter_disconnected *d, void *context)
{
    struct gnatter_property p;
    (void)c, (void)context;
    if (!d->error || !atomic_exchange(&seen.looks, false))
        return;
    seen.last = *d;
    seen.words[0] = '\0';
    if (gnatter_properties_find(d->properties, GNATTER_REASON_STRING, &p))
        (void)snprintf(seen.words, sizeof seen.words, "%.*s", (int)p.text.size,
                       (const char *)p.text.data);
    sem_post(&seen.ended);
}

static struct gnatter_client_options options_of(const char *ca_file)
{
    struct gnatter_client_options o;
    sem_init(&seen.ended, 0, 0);
    atomic_store(&seen.looks, true);
    gnatter_client_options_init(&o);
    o.mqtt.version = GNATTER_MQTT_3_1_1;
    o.host = "127.0.0.1";
    o.port = peer.port;
    o.reconnect_min_ms = o.reconnect_max_ms = 1;
    o.on_disconnected = on_disconnected;
    o.tls.on = true;
    o.tls.ca_file = in_directory(ca_file);
    return o;
}

static gnatter_client *client_of(const struct gnatter_client_options *o)
{
    gnatter_client *c;
    assert_int_equal(gnatter_client_new(o, &c), 0);
    return c;
}

static void a_connection_again_resumes_the_session(void **state)
{
    (void)state;
    start(server, false);
    struct gnatter_client_options o = options_of("ca.pem");
    char url[64];
    o.host = NULL;
    o.port = 0;
    o.tls.on = false; /* the URL says it */
    o.url = url;
    (void)snprintf(url, sizeof url, "mqtts://127.0.0.1:%u", peer.port);
    atomic_store(&peer.drop, true);
    gnatter_client *c = client_of(&o);
    assert_int_equal(gnatter_client_start(c), 0);
    await(&peer.connected);
    await(&seen.ended);
    assert_int_equal(seen.last.error, GNATTER_ECLOSED);
    assert_false(seen.last.tls);
    assert_true(seen.last.will_reconnect);
    await(&peer.connected);
    assert_int_equal(atomic_load(&peer.resumed), 1);
    assert_int_equal(gnatter_client_disconnect(c, NULL, SOON_MS), 0);
    gnatter_client_free(c);
    stop();
}

static void a_renewed_certificate_is_shown(void **state)
{
    (void)state;
    start(server, true);
    struct gnatter_client_options o = options_of("ca.pem");
    o.tls.identity.certificate = in_directory("client.pem");
    gnatter_client *c = client_of(&o);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), 0);
    await(&peer.connected);
    assert_string_equal(peer.client, "one");
    assert_int_equal(gnatter_client_disconnect(c, NULL, SOON_MS), 0);

    put_bytes("client.pem", LITERAL("half of a certifica"));
    assert_int_equal(gnatter_client_start(c), 0);
    await(&seen.ended);
    assert_int_equal(seen.last.error, GNATTER_EINVALID);
    assert_true(seen.last.tls);
    assert_true(seen.last.will_reconnect); /* it was good once */
    assert_non_null(strstr(seen.words, "client.pem: "));
    put_client("client.pem", "CN=two");
    await(&peer.connected);
    assert_string_equal(peer.client, "two");
    gnatter_client_free(c);
    stop();
    put_client("client.pem", "CN=one");
}

static void files_that_never_were_good_end_it(void **state)
{
    (void)state;
    static const struct {
        const char *ca, *certificate, *key, *alpn, *words;
    } rows[] = {
        {"nothing.pem", NULL, NULL, NULL, "/nothing.pem: No such file or directory"},
        {"ca.pem", "ca.pem", NULL, NULL, "/ca.pem: "},
        {"ca.pem", "client.pem", "nothing.key", NULL, "/nothing.key: No such file or directory"},
        {"ca.pem", NULL, NULL, "a,,b", "ALPN: names empty or too long"},
        {"ca.pem", NULL, NULL, "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "ALPN: too many names"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        peer.port = 1;
        struct gnatter_client_options o = options_of(rows[i].ca);
        o.tls.identity.certificate = rows[i].certificate ? in_directory(rows[i].certificate) : NULL;
        o.tls.identity.key = rows[i].key ? in_directory(rows[i].key) : NULL;
        o.tls.alpn = rows[i].alpn;
        gnatter_client *c = client_of(&o);
        assert_int_equal(gnatter_client_start(c), 0);
        await(&seen.ended);
        assert_int_equal(seen.last.error, GNATTER_EINVALID);
        assert_true(seen.last.tls);
        assert_false(seen.last.will_reconnect);
        assert_non_null(strstr(seen.words, rows[i].words));
        struct gnatter_client_info info;
        gnatter_client_get_info(c, &info);
        assert_string_equal(info.reason_string, seen.words);
        gnatter_client_free(c);
    }
}

/* What the next attempt would only meet again ends the attempts, unless it is not to. */
static void refusals(void **state)
{
    (void)state;
    const struct {
        X509 *server;
        const char *ca;
        bool asks, stubborn;
        int error;
        bool again;
        const char *words;
    } rows[] = {
        {server, "stray.pem", false, false, GNATTER_EDENIED, false,
         "the server's certificate: wrong CA"},
        {server, "stray.pem", false, true, GNATTER_EDENIED, true,
         "the server's certificate: wrong CA"},
        {stray, "ca.pem", false, false, GNATTER_EDENIED, false,
         "the server's certificate: wrong host: it is for other.example, not 127.0.0.1"},
        {future, "ca.pem", false, false, GNATTER_EDENIED, true,
         "the server's certificate: not yet valid"},
        {server, "ca.pem", true, false, GNATTER_EREFUSED, false,
         "the server wants a client certificate"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        start(rows[i].server, rows[i].asks);
        struct gnatter_client_options o = options_of(rows[i].ca);
        o.reconnect_on_refusal = rows[i].stubborn;
        gnatter_client *c = client_of(&o);
        assert_int_equal(gnatter_client_start(c), 0);
        await(&seen.ended);
        assert_string_equal(seen.words, rows[i].words);
        assert_int_equal(seen.last.error, rows[i].error);
        assert_true(seen.last.tls);
        assert_int_equal(seen.last.reason, 0);
        assert_int_equal(seen.last.will_reconnect, rows[i].again);
        gnatter_client_free(c);
        stop();
    }
}

/* ---- Callbacks */

static struct {
    bool accepts;
    int verdict;
    size_t issuers;
    char host[64];
    const char *certificate;
} asked;

static bool judge(void *context, const struct gnatter_tls_shown *shown)
{
    assert_ptr_equal(context, &asked);
    asked.verdict = shown->verdict;
    assert_string_equal(shown->chain[0].subject, "CN=stray");
    (void)snprintf(asked.host, sizeof asked.host, "%s", shown->host);
    return asked.accepts;
}

static void a_judge_has_the_last_word(void **state)
{
    (void)state;
    start(stray, false);
    for (int i = 0; i < 2; i++) {
        struct gnatter_client_options o = options_of("ca.pem");
        asked.accepts = i == 0;
        o.tls.judge = judge;
        o.tls.context = &asked;
        if (!asked.accepts)
            o.tls.server_name = "other.example";
        gnatter_client *c = client_of(&o);
        int err = gnatter_client_connect(c, SOON_MS);
        assert_int_equal(err, asked.accepts ? 0 : GNATTER_EDENIED);
        assert_string_equal(asked.host, asked.accepts ? "127.0.0.1" : "other.example");
        assert_int_equal(asked.verdict, asked.accepts ? X509_V_ERR_IP_ADDRESS_MISMATCH : X509_V_OK);
        gnatter_client_free(c);
    }
    assert_string_equal(seen.words, "the server's certificate: refused by this program");
    stop();
}

static void choose(void *context, const struct gnatter_tls_wish *wish,
                   struct gnatter_tls_identity *out)
{
    assert_ptr_equal(context, &asked);
    assert_string_equal(wish->host, "127.0.0.1");
    asked.issuers = wish->issuer_count;
    if (wish->issuer_count)
        assert_string_equal(wish->issuers[0], "CN=ca");
    out->certificate = asked.certificate;
}

static void a_certificate_is_chosen(void **state)
{
    (void)state;
    start(server, true);
    static const struct {
        const char *certificate;
        int error;
        const char *words;
    } rows[] = {{"client.pem", 0, NULL},
                {NULL, GNATTER_EREFUSED, "the server wants a client certificate"},
                {"nothing.pem", GNATTER_EINVALID, "/nothing.pem: No such file or directory"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnatter_client_options o = options_of("ca.pem");
        asked.certificate = rows[i].certificate ? in_directory(rows[i].certificate) : NULL;
        o.tls.choose = choose;
        o.tls.context = &asked;
        gnatter_client *c = client_of(&o);
        assert_int_equal(gnatter_client_connect(c, SOON_MS), rows[i].error);
        assert_int_equal(asked.issuers, 1);
        if (rows[i].error) {
            await(&seen.ended);
            assert_non_null(strstr(seen.words, rows[i].words));
            assert_true(seen.last.tls);
        } else {
            await(&peer.connected);
            assert_string_equal(peer.client, "one");
        }
        gnatter_client_free(c);
    }
    stop();
}

/* ---- On a transport of the program's own */

static int own_fd = -1;

static int own_open(void *self, const char *host, uint16_t port, gnatter_ready *ready,
                    void *ready_context)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)self, (void)host, (void)ready, (void)ready_context;
    own_fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(own_fd, (struct sockaddr *)&address, sizeof address) < 0)
        return GNATTER_EREFUSED;
    (void)fcntl(own_fd, F_SETFL, O_NONBLOCK);
    return 0;
}

static int own_read(void *self, void *to, size_t cap, size_t *n)
{
    (void)self;
    ssize_t got = read(own_fd, to, cap);
    *n = got > 0 ? (size_t)got : 0;
    return got > 0 ? 0 : got < 0 ? GNATTER_MORE : GNATTER_ECLOSED;
}

static int own_write(void *self, const void *from, size_t size, size_t *n)
{
    (void)self;
    ssize_t put_out = write(own_fd, from, size);
    *n = put_out > 0 ? (size_t)put_out : 0;
    return put_out > 0 ? 0 : GNATTER_MORE;
}

static void own_close(void *self)
{
    (void)self;
    close(own_fd);
}

static int own_poll_fd(void *self)
{
    (void)self;
    return own_fd;
}

static void tls_stands_on_any_transport(void **state)
{
    (void)state;
    start(server, true);
    struct gnatter_client_options o = options_of("ca.pem");
    o.transport = (struct gnatter_transport){.open = own_open,
                                             .read = own_read,
                                             .write = own_write,
                                             .close = own_close,
                                             .fd = own_poll_fd};
    o.tls.identity.certificate = in_directory("client.pem");
    gnatter_client *c = client_of(&o);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), 0);
    await(&peer.connected);
    assert_string_equal(peer.client, "one");
    assert_int_equal(gnatter_client_disconnect(c, NULL, SOON_MS), 0);
    gnatter_client_free(c);
    stop();
}

/* ---- Options */

static void options_that_cannot_be(void **state)
{
    (void)state;
    const struct {
        const char *url;
        struct gnatter_tls_options tls;
    } rows[] = {
        {NULL, {.ca_file = "ca.pem"}}, /* and it is not on */
        {NULL, {.any_host = true}},
        {"mqtt://127.0.0.1", {.on = true}},
        {"ws://127.0.0.1", {.ca_file = "ca.pem"}},
        {"https://127.0.0.1", {.on = true}},
        {NULL, {.on = true, .identity = {.key = "client.key"}}},
        {NULL, {.on = true, .identity = {.certificate = "client.pem", .pfx = "client.pfx"}}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        gnatter_client *c;
        struct gnatter_client_options o = options_of("ca.pem");
        o.url = rows[i].url;
        o.tls = rows[i].tls;
        assert_int_equal(gnatter_client_new(&o, &c), GNATTER_EINVALID);
    }
}

static void bears_a_lack_of_memory(void **state)
{
    (void)state;
    struct gnatter_client_options o = options_of("ca.pem");
    o.tls.identity =
        (struct gnatter_tls_identity){.certificate = "c", .key = "k", .passphrase = "p"};
    o.tls.server_name = "s";
    bool failed = true;
    for (long n = 0; failed; n++) {
        gnatter_client *c = NULL;
        gnt_alloc_fail_at(n);
        int err = gnatter_client_new(&o, &c);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNATTER_ENOMEM : 0);
        gnatter_client_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_again_resumes_the_session),
        cmocka_unit_test(a_renewed_certificate_is_shown),
        cmocka_unit_test(files_that_never_were_good_end_it),
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_judge_has_the_last_word),
        cmocka_unit_test(a_certificate_is_chosen),
        cmocka_unit_test(tls_stands_on_any_transport),
        cmocka_unit_test(options_that_cannot_be),
        cmocka_unit_test(bears_a_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, make_pki, free_pki);
}
