/* Logging in by SCRAM: the threaded client against a broker of ours, and against a server
 * that only pretends to know the user. */
#include "support/alloc_fault.h"
#include "support/unit.h"

#include "auth/verifier.h"

#include <gnatter/broker.h>
#include <gnatter/mqtt.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SOON_MS = 20000 };

static char path[64];

static void put_users(void)
{
    char text[GNT_VERIFIER_TEXT];
    snprintf(path, sizeof path, "/tmp/gnatter-client-login-%ld", (long)getpid());
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_int_equal(gnt_verifier_make_scram(LITERAL("secret"), 4096, &gnt_random_system, text),
                     GNT_OK);
    fprintf(f, "ann:%s\n", text);
    assert_int_equal(fclose(f), 0);
}

static gnatter_broker *broker_start(uint16_t *port)
{
    struct gnatter_broker_options o;
    gnatter_broker *broker;
    char text[256], problem[256];
    put_users();
    gnatter_broker_options_init(&o);
    snprintf(text, sizeof text,
             "listeners: [{url: 'mqtt://127.0.0.1:0'}]\nusers: %s\nallow_anonymous: false\n", path);
    o.config_text = text;
    o.problem = problem;
    o.problem_size = sizeof problem;
    int err = gnatter_broker_new(&o, &broker);
    if (err)
        fail_msg("%s", problem);
    assert_int_equal(gnatter_broker_start(broker), 0);
    const char *url = gnatter_broker_url(broker, 0);
    *port = (uint16_t)atoi(strrchr(url, ':') + 1);
    return broker;
}

struct seen {
    sem_t auth, message, end;
    int error;
    uint8_t reason;
};

static void on_auth(gnatter_client *c, uint8_t reason, struct gnatter_properties p, void *context)
{
    (void)c, (void)p;
    struct seen *s = context;
    assert_int_equal(reason, 0);
    sem_post(&s->auth);
}

static void on_message(gnatter_client *c, const struct gnatter_received *m, void *context)
{
    (void)c, (void)m;
    sem_post(&((struct seen *)context)->message);
}

static void on_disconnected(gnatter_client *c, const struct gnatter_disconnected *d, void *context)
{
    (void)c;
    struct seen *s = context;
    s->error = d->error;
    s->reason = d->reason;
    if (d->error)
        assert_false(d->will_reconnect);
    sem_post(&s->end);
}

static void await(sem_t *s)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SOON_MS / 1000;
    assert_int_equal(sem_timedwait(s, &until), 0);
}

static struct gnatter_client_options options_of(uint16_t port, struct seen *seen)
{
    struct gnatter_client_options o;
    *seen = (struct seen){.error = 0};
    sem_init(&seen->auth, 0, 0);
    sem_init(&seen->message, 0, 0);
    sem_init(&seen->end, 0, 0);
    gnatter_client_options_init(&o);
    o.host = "127.0.0.1";
    o.port = port;
    o.auth_method = "SCRAM-SHA-256";
    o.mqtt.username = "ann";
    o.mqtt.password = (struct gnatter_bytes){"secret", 6};
    o.on_auth = on_auth;
    o.on_message = on_message;
    o.on_disconnected = on_disconnected;
    o.context = seen;
    return o;
}

static void log_in_and_again(const char *method)
{
    uint16_t port;
    struct seen seen;
    gnatter_client *c;
    gnatter_broker *broker = broker_start(&port);
    struct gnatter_client_options o = options_of(port, &seen);
    o.auth_method = method;
    const struct gnatter_property user = {.id = GNATTER_USER_PROPERTY,
                                          .text = {"a", 1},
                                          .value = {"b", 1}};
    o.mqtt.properties = (struct gnatter_property_list){&user, 1};
    assert_int_equal(gnatter_client_new(&o, &c), 0);
    assert_int_equal(gnatter_client_reauthenticate(c), GNATTER_ESTATE);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), 0);
    const struct gnatter_subscription sub = {.filter = "t", .qos = 1};
    const struct gnatter_message m = {.topic = "t", .payload = "x", .payload_size = 1, .qos = 1};
    assert_int_equal(gnatter_client_subscribe_wait(c, &sub, 1, NULL, SOON_MS, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(gnatter_client_reauthenticate(c), 0);
        assert_int_equal(gnatter_client_publish_wait(c, &m, SOON_MS, NULL), 0);
        await(&seen.auth);
        await(&seen.message);
    }
    assert_int_equal(gnatter_client_auth(c, 0x19, NULL), GNATTER_EINVALID);
    assert_int_equal(gnatter_client_disconnect(c, NULL, SOON_MS), 0);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), 0); /* a new exchange */
    gnatter_client_free(c);
    gnatter_broker_free(broker);
}

static void logs_in_and_again(void **state)
{
    (void)state;
    log_in_and_again("SCRAM-SHA-256");
    log_in_and_again("SCRAM-SHA-512");
}

static void a_wrong_password_is_refused(void **state)
{
    (void)state;
    uint16_t port;
    struct seen seen;
    gnatter_client *c;
    gnatter_broker *broker = broker_start(&port);
    struct gnatter_client_options o = options_of(port, &seen);
    o.mqtt.password = (struct gnatter_bytes){"guess", 5};
    assert_int_equal(gnatter_client_new(&o, &c), 0);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_EREFUSED);
    await(&seen.end);
    assert_int_equal(seen.reason, 0x87);
    gnatter_client_free(c);
    gnatter_broker_free(broker);
}

static void options_that_cannot_be(void **state)
{
    (void)state;
    struct seen seen;
    gnatter_client *c;
    struct gnatter_client_options o = options_of(1, &seen);
    o.auth_method = "SCRAM-SHA-1";
    assert_int_equal(gnatter_client_new(&o, &c), GNATTER_EUNSUPPORTED);
    o = options_of(1, &seen);
    o.mqtt.version = GNATTER_MQTT_3_1_1;
    assert_int_equal(gnatter_client_new(&o, &c), GNATTER_EINVALID);
    o = options_of(1, &seen);
    o.mqtt.username = NULL;
    assert_int_equal(gnatter_client_new(&o, &c), GNATTER_EINVALID);
    o.mqtt.username = "a\nb";
    assert_int_equal(gnatter_client_new(&o, &c), GNATTER_EINVALID);
    o = options_of(1, &seen);
    o.mqtt.password = (struct gnatter_bytes){NULL, 0};
    assert_int_equal(gnatter_client_new(&o, &c), GNATTER_EINVALID);
    o = options_of(1, &seen);
    o.auth_method = NULL;
    assert_int_equal(gnatter_client_new(&o, &c), 0);
    assert_int_equal(gnatter_client_reauthenticate(c), GNATTER_EINVALID);
    gnatter_client_free(c);
}

static void bears_a_lack_of_memory(void **state)
{
    (void)state;
    struct seen seen;
    struct gnatter_client_options o = options_of(1, &seen);
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

/* ---- A server that pretends to know the user */

struct pretender {
    int fd;
    uint16_t port;
    pthread_t thread;
    const char *challenge; /* behind the client's nonce; NULL: CONNACK at once */
    const char *proof;     /* in CONNACK */
};

static size_t put(uint8_t *to, uint8_t type, const uint8_t *head, size_t head_size,
                  const char *data)
{
    static const char method[] = "SCRAM-SHA-256";
    size_t size = strlen(data), props = 3 + sizeof method - 1 + 3 + size, n = 0;
    to[n++] = type;
    size_t rest = head_size + 1 + props;
    assert_true(props < 128);
    if (rest >= 128)
        to[n++] = (uint8_t)(rest | 128), to[n++] = (uint8_t)(rest >> 7);
    else
        to[n++] = (uint8_t)rest;
    memcpy(to + n, head, head_size);
    n += head_size;
    to[n++] = (uint8_t)props;
    to[n++] = 0x15, to[n++] = 0, to[n++] = sizeof method - 1;
    memcpy(to + n, method, sizeof method - 1);
    n += sizeof method - 1;
    to[n++] = 0x16, to[n++] = 0, to[n++] = (uint8_t)size;
    memcpy(to + n, data, size);
    return n + size;
}

static void *pretend(void *context)
{
    struct pretender *p = context;
    static const uint8_t more[] = {0x18}, welcome[] = {0, 0};
    uint8_t in[1024], out[512];
    char text[256], nonce[64] = "";
    int fd = accept(p->fd, NULL, NULL);
    ssize_t n = read(fd, in, sizeof in);
    const uint8_t *r = n > 0 ? memmem(in, (size_t)n, ",r=", 3) : NULL;
    if (r)
        snprintf(nonce, sizeof nonce, "%.24s", (const char *)r + 3);
    if (p->challenge) {
        snprintf(text, sizeof text, "r=%s%s", nonce, p->challenge);
        size_t size = put(out, 0xf0, more, 1, text);
        n = write(fd, out, size);
        n = n > 0 ? read(fd, in, sizeof in) : 0;
    }
    if (n > 0) {
        size_t size = put(out, 0x20, welcome, 2, p->proof);
        n = write(fd, out, size);
    }
    while (n > 0)
        n = read(fd, in, sizeof in);
    close(fd);
    return NULL;
}

static void pretender_start(struct pretender *p)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(p->fd, 1), 0);
    assert_int_equal(getsockname(p->fd, (struct sockaddr *)&a, &size), 0);
    p->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&p->thread, NULL, pretend, p), 0);
}

static void a_server_that_only_pretends_is_left(void **state)
{
    (void)state;
    static const struct {
        const char *challenge, *proof;
        int error;
    } rows[] = {
        {"xyz,s=QSXCR+Q6sek8bf92,i=4096",
         "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", GNATTER_EDENIED},
        {"xyz,s=QSXCR+Q6sek8bf92,i=4096", "nonsense", GNATTER_EDENIED},
        {NULL, "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", GNATTER_EDENIED},
        {"xyz,s=QSXCR+Q6sek8bf92,i=1", "", GNATTER_EDENIED},
        {",s=QSXCR+Q6sek8bf92,i=4096", "", GNATTER_EDENIED},
        {"nonsense", "", GNATTER_EPROTOCOL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct seen seen;
        gnatter_client *c;
        struct pretender p = {.challenge = rows[i].challenge, .proof = rows[i].proof};
        pretender_start(&p);
        struct gnatter_client_options o = options_of(p.port, &seen);
        assert_int_equal(gnatter_client_new(&o, &c), 0);
        assert_int_equal(gnatter_client_connect(c, SOON_MS), rows[i].error);
        gnatter_client_free(c);
        pthread_join(p.thread, NULL);
        close(p.fd);
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
        cmocka_unit_test(logs_in_and_again),
        cmocka_unit_test(a_wrong_password_is_refused),
        cmocka_unit_test(options_that_cannot_be),
        cmocka_unit_test(bears_a_lack_of_memory),
        cmocka_unit_test(a_server_that_only_pretends_is_left),
    };
    gnatter_log(GNATTER_LOG_ERROR, GNATTER_LOG_TEXT, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, remove_file);
}
