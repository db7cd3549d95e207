/* The threaded client against a real broker (mosquitto), against transports of our own, and against
 * nobody at all.  Everything waits for events, with a bound that only a failure reaches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gnatter/mqtt.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SOON_MS = 20000 }; /* nothing takes so long that succeeds */

#define MOSQUITTO "/usr/sbin/mosquitto"

/* ---- The broker */

struct broker {
    char directory[64], config[96];
    uint16_t port;
    pid_t pid;
};

/* A port that is ours: BACKLOG 0 is one on which nobody listens, and nobody else can. */
static int bind_somewhere(int backlog, uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    if (backlog)
        assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Whether it listens; not if somebody else has taken the port meanwhile. */
static bool broker_start(struct broker *b)
{
    b->pid = fork();
    assert_true(b->pid >= 0);
    if (b->pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execl(MOSQUITTO, MOSQUITTO, "-c", b->config, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < SOON_MS / 10; i++) {
        int fd = connect_to(b->port);
        if (fd >= 0)
            close(fd);
        if (waitpid(b->pid, NULL, WNOHANG) != 0)
            return false;
        if (fd >= 0)
            return true;
        nanosleep(&(struct timespec){0, 10 * 1000 * 1000}, NULL);
    }
    fail_msg("%s does not listen", MOSQUITTO);
    return false;
}

static void broker_kill(struct broker *b)
{
    if (b->pid <= 0)
        return;
    kill(b->pid, SIGKILL);
    waitpid(b->pid, NULL, 0);
    b->pid = 0;
}

static struct broker broker_new(const char *access)
{
    struct broker b = {.directory = "/tmp/gnatter-client-XXXXXX"};
    assert_non_null(mkdtemp(b.directory));
    chmod(b.directory, 0755);
    snprintf(b.config, sizeof b.config, "%s/mosquitto.conf", b.directory);
    for (int attempt = 0; attempt < 5; attempt++) {
        close(bind_somewhere(0, &b.port));
        FILE *f = fopen(b.config, "w");
        assert_non_null(f);
        fprintf(f, "listener %d 127.0.0.1\n%s\nmax_queued_messages 0\n", b.port, access);
        fclose(f);
        if (broker_start(&b))
            return b;
    }
    fail_msg("%s does not start", MOSQUITTO);
    return b;
}

static void broker_free(struct broker *b)
{
    broker_kill(b);
    unlink(b->config);
    rmdir(b->directory);
}

#define OPEN_TO_ALL "allow_anonymous true"

static struct broker shared; /* for the tests that do not hurt it */

static int start_shared(void **state)
{
    (void)state;
    if (access(MOSQUITTO, X_OK) == 0)
        shared = broker_new(OPEN_TO_ALL);
    return 0;
}

static int stop_shared(void **state)
{
    (void)state;
    if (shared.port)
        broker_free(&shared);
    return 0;
}

static void needs_mosquitto(void)
{
    if (!shared.port)
        skip();
}

/* ---- What callbacks see */

struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int connected, disconnected, messages, done, failed;
    struct gnatter_disconnected last_end;
    char topic[128], text[256];
    size_t payload_size;
    uint8_t qos;
    bool retain;
    uint64_t ack;
    int callback_errors[4];
};

#define SEEN_INIT                                                              \
    {                                                                          \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER \
    }

static void changed(struct seen *s, int *count)
{
    ++*count;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void on_connected(gnatter_client *c, const struct gnatter_connected *e, void *context)
{
    struct seen *s = context;
    (void)c;
    (void)e;
    pthread_mutex_lock(&s->lock);
    changed(s, &s->connected);
}

static void on_disconnected(gnatter_client *c, const struct gnatter_disconnected *e, void *context)
{
    struct seen *s = context;
    (void)c;
    pthread_mutex_lock(&s->lock);
    s->last_end = *e;
    changed(s, &s->disconnected);
}

static void on_message(gnatter_client *c, const struct gnatter_received *m, void *context)
{
    struct seen *s = context;
    struct gnatter_properties rest = m->properties;
    struct gnatter_property p;
    (void)c;
    pthread_mutex_lock(&s->lock);
    assert_int_equal(strlen(m->topic), m->topic_size);
    snprintf(s->topic, sizeof s->topic, "%s", m->topic);
    s->text[0] = '\0';
    while (gnatter_properties_next(&rest, &p)) {
        size_t used = strlen(s->text);
        snprintf(s->text + used, sizeof s->text - used, "%02x %u %.*s %.*s|", p.id, p.number,
                 (int)p.text.size, p.text.size ? (const char *)p.text.data : "", (int)p.value.size,
                 p.value.size ? (const char *)p.value.data : "");
    }
    s->payload_size = m->payload_size;
    s->qos = m->qos;
    s->retain = m->retain;
    s->ack = m->ack;
    changed(s, &s->messages);
}

static void on_done(gnatter_client *c, const struct gnatter_result *r, void *context)
{
    struct seen *s = context;
    (void)c;
    pthread_mutex_lock(&s->lock);
    s->failed += r->error != 0;
    changed(s, &s->done);
}

/* Waits until *count, guarded by s->lock, is at least WANTED. */
static void wait_until(struct seen *s, const int *count, int wanted)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SOON_MS / 1000;
    pthread_mutex_lock(&s->lock);
    while (*count < wanted)
        if (pthread_cond_timedwait(&s->changed, &s->lock, &until) == ETIMEDOUT)
            break;
    bool there = *count >= wanted;
    pthread_mutex_unlock(&s->lock);
    assert_true(there);
}

static struct gnatter_client_options options_for(uint16_t port, struct seen *s)
{
    struct gnatter_client_options o;
    gnatter_client_options_init(&o);
    o.host = "127.0.0.1";
    o.port = port;
    o.reconnect_min_ms = 20;
    o.reconnect_max_ms = 100;
    o.on_connected = on_connected;
    o.on_disconnected = on_disconnected;
    o.on_message = on_message;
    o.on_done = on_done;
    o.context = s;
    return o;
}

static gnatter_client *client_new(const struct gnatter_client_options *o)
{
    gnatter_client *c = NULL;
    assert_int_equal(gnatter_client_new(o, &c), GNATTER_OK);
    return c;
}

static struct gnatter_message message(const char *topic, const char *text, uint8_t qos)
{
    return (struct gnatter_message){
        .topic = topic, .payload = text, .payload_size = strlen(text), .qos = qos};
}

static void subscribe(gnatter_client *c, const char *filter, uint8_t qos)
{
    const struct gnatter_subscription sub = {.filter = filter, .qos = qos};
    uint8_t granted = 0xff;
    assert_int_equal(gnatter_client_subscribe_wait(c, &sub, 1, NULL, SOON_MS, &granted),
                     GNATTER_OK);
    assert_int_equal(granted, qos);
}

/* ---- Against mosquitto */

static void every_version_and_qos(void **state)
{
    (void)state;
    static const uint8_t versions[] = {GNATTER_MQTT_3_1, GNATTER_MQTT_3_1_1, GNATTER_MQTT_5};
    const size_t large = 1 << 20;
    needs_mosquitto();
    char *payload = calloc(1, large);
    assert_non_null(payload);
    for (size_t v = 0; v < 3; v++) {
        struct seen s = SEEN_INIT;
        struct gnatter_client_options o = options_for(shared.port, &s);
        o.mqtt.version = versions[v];
        gnatter_client *c = client_new(&o);
        assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_OK);
        assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_OK);
        subscribe(c, "every/+", 2);
        for (uint8_t qos = 0; qos <= 2; qos++) {
            struct gnatter_message m = message("every/one", "hello", qos);
            assert_int_equal(gnatter_client_publish_wait(c, &m, SOON_MS, NULL), GNATTER_OK);
            wait_until(&s, &s.messages, qos * 2 + 1);
            assert_string_equal(s.topic, "every/one");
            assert_int_equal(s.payload_size, 5);
            assert_int_equal(s.qos, qos);
            m.payload = payload;
            m.payload_size = large;
            assert_int_equal(gnatter_client_publish_wait(c, &m, SOON_MS, NULL), GNATTER_OK);
            wait_until(&s, &s.messages, qos * 2 + 2);
            assert_int_equal(s.payload_size, large);
        }
        const char *filter = "every/+";
        uint8_t code = 0xff;
        assert_int_equal(gnatter_client_unsubscribe_wait(c, &filter, 1, NULL, SOON_MS, &code),
                         GNATTER_OK);
        assert_int_equal(code, 0);
        assert_int_equal(gnatter_client_disconnect(c, NULL, SOON_MS), GNATTER_OK);
        struct gnatter_client_info info;
        gnatter_client_get_info(c, &info);
        assert_false(info.connected);
        assert_int_equal(info.connections, 1);
        assert_int_equal(info.outstanding, 0);
        assert_true(info.client_id[0]);
        gnatter_client_free(c);
        assert_int_equal(s.disconnected, 1);
        assert_int_equal(s.last_end.error, GNATTER_OK);
    }
    free(payload);
}

static void properties_both_ways(void **state)
{
    (void)state;
    needs_mosquitto();
    struct seen s = SEEN_INIT;
    struct gnatter_client_options o = options_for(shared.port, &s);
    o.mqtt.outbound_aliases = 4;
    gnatter_client *c = client_new(&o);
    const struct gnatter_property id = gnatter_property_number(GNATTER_SUBSCRIPTION_ID, 77);
    const struct gnatter_property_list ids = {&id, 1};
    const struct gnatter_subscription sub = {.filter = "props", .qos = 1};
    assert_int_equal(gnatter_client_subscribe_wait(c, &sub, 1, &ids, SOON_MS, NULL), GNATTER_OK);
    const struct gnatter_property props[] = {
        gnatter_property_text(GNATTER_CONTENT_TYPE, "text/plain"),
        gnatter_property_text(GNATTER_RESPONSE_TOPIC, "answers"),
        gnatter_property_bytes(GNATTER_CORRELATION_DATA, "\x01\x02", 2),
        gnatter_property_user("b", "1"),
        gnatter_property_user("a", "2"),
        gnatter_property_user("b", "1"),
    };
    struct gnatter_message m = message("props", "x", 1);
    m.properties = (struct gnatter_property_list){props, 6};
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(gnatter_client_publish_wait(c, &m, SOON_MS, NULL), GNATTER_OK);
        wait_until(&s, &s.messages, i);
        assert_non_null(strstr(s.text, "03 0 text/plain |"));
        assert_non_null(strstr(s.text, "08 0 answers |"));
        assert_non_null(strstr(s.text, "26 0 b 1|26 0 a 2|26 0 b 1|"));
        assert_non_null(strstr(s.text, "0b 77  |"));
    }
    const struct gnatter_property wrong = gnatter_property_number(0x7e, 1);
    m.properties = (struct gnatter_property_list){&wrong, 1};
    assert_int_equal(gnatter_client_publish(c, &m, NULL, NULL, NULL), GNATTER_EINVALID);
    gnatter_client_free(c);
}

static void reconnects_when_the_server_is_back(void **state)
{
    (void)state;
    needs_mosquitto();
    struct broker b = broker_new(OPEN_TO_ALL);
    struct seen s = SEEN_INIT;
    struct gnatter_client_options o = options_for(b.port, &s);
    gnatter_client *c = client_new(&o);
    subscribe(c, "again", 1);
    broker_kill(&b);
    wait_until(&s, &s.disconnected, 1);
    assert_true(s.last_end.was_connected && s.last_end.will_reconnect);
    const struct gnatter_message m = message("again", "offline", 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(gnatter_client_publish(c, &m, NULL, NULL, NULL), GNATTER_OK);
    wait_until(&s, &s.disconnected, 3); /* it keeps trying */
    assert_false(s.last_end.was_connected);
    assert_true(broker_start(&b));
    /* A new server knows nothing: subscriptions are made again before what waits is published. */
    wait_until(&s, &s.messages, 10);
    struct gnatter_client_info info;
    gnatter_client_get_info(c, &info);
    assert_true(info.connected);
    assert_int_equal(info.connections, 2);
    assert_int_equal(gnatter_client_flush(c, SOON_MS), GNATTER_OK);
    assert_int_equal(gnatter_client_disconnect(c, NULL, SOON_MS), GNATTER_OK);
    gnatter_client_free(c);
    broker_free(&b);
    assert_int_equal(s.done, 11); /* and the subscribing by itself */
    assert_int_equal(s.failed, 0);
}

static void draining_takes_everything_along(void **state)
{
    (void)state;
    needs_mosquitto();
    struct seen s = SEEN_INIT;
    struct gnatter_client_options o = options_for(shared.port, &s);
    gnatter_client *c = client_new(&o);
    for (int i = 0; i < 600; i++) {
        const struct gnatter_message m = message("drain", "x", (uint8_t)(i % 3));
        assert_int_equal(gnatter_client_publish(c, &m, NULL, NULL, NULL), GNATTER_OK);
    }
    assert_int_equal(gnatter_client_disconnect(c, NULL, SOON_MS), GNATTER_OK);
    assert_int_equal(s.done, 600);
    assert_int_equal(s.failed, 0);
    /* Stopped it stays: a request waits, and one that would wait for an answer says so. */
    const struct gnatter_message m = message("drain", "x", 1);
    assert_int_equal(gnatter_client_publish_wait(c, &m, SOON_MS, NULL), GNATTER_ECLOSED);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_OK);
    assert_int_equal(gnatter_client_flush(c, SOON_MS), GNATTER_OK);
    gnatter_client_free(c);
}

static void *publish_many(void *context)
{
    gnatter_client *c = context;
    for (int i = 0; i < 100; i++) {
        const struct gnatter_message m = message("many", "x", (uint8_t)(i % 3));
        if (i % 10 == 0) {
            assert_int_equal(gnatter_client_publish_wait(c, &m, SOON_MS, NULL), GNATTER_OK);
        } else {
            assert_int_equal(gnatter_client_publish(c, &m, NULL, NULL, NULL), GNATTER_OK);
        }
        struct gnatter_client_info info;
        gnatter_client_get_info(c, &info);
    }
    return NULL;
}

static void many_threads_and_many_clients(void **state)
{
    (void)state;
    enum { CLIENTS = 4, THREADS = 3 };
    needs_mosquitto();
    struct seen s = SEEN_INIT, seen[CLIENTS] = {SEEN_INIT, SEEN_INIT, SEEN_INIT, SEEN_INIT};
    gnatter_client *clients[CLIENTS];
    pthread_t threads[CLIENTS * THREADS];
    struct gnatter_client_options o = options_for(shared.port, &s);
    gnatter_client *watcher = client_new(&o);
    subscribe(watcher, "many", 2);
    for (int i = 0; i < CLIENTS; i++) {
        o = options_for(shared.port, &seen[i]);
        o.mqtt.version = i % 2 ? GNATTER_MQTT_5 : GNATTER_MQTT_3_1_1;
        clients[i] = client_new(&o);
        for (int t = 0; t < THREADS; t++)
            assert_int_equal(
                pthread_create(&threads[i * THREADS + t], NULL, publish_many, clients[i]), 0);
    }
    for (int i = 0; i < CLIENTS * THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(gnatter_client_disconnect(clients[i], NULL, SOON_MS), GNATTER_OK);
        gnatter_client_free(clients[i]);
        assert_int_equal(seen[i].failed, 0);
    }
    wait_until(&s, &s.messages, CLIENTS * THREADS * 100);
    gnatter_client_free(watcher);
}

static void answer_in_callback(gnatter_client *c, const struct gnatter_received *m, void *context)
{
    struct seen *s = context;
    const struct gnatter_message answer = message("answer", "yes", 1);
    (void)m;
    pthread_mutex_lock(&s->lock);
    if (s->messages == 0) {
        s->callback_errors[0] = gnatter_client_publish_wait(c, &answer, SOON_MS, NULL);
        s->callback_errors[1] = gnatter_client_connect(c, SOON_MS);
        s->callback_errors[2] = gnatter_client_disconnect(c, NULL, SOON_MS);
        s->callback_errors[3] = gnatter_client_flush(c, SOON_MS);
        pthread_mutex_unlock(&s->lock);
        assert_int_equal(gnatter_client_publish(c, &answer, NULL, NULL, NULL), GNATTER_OK);
        pthread_mutex_lock(&s->lock);
    }
    changed(s, &s->messages);
}

static void callbacks_may_ask_but_not_wait(void **state)
{
    (void)state;
    needs_mosquitto();
    struct seen s = SEEN_INIT;
    struct gnatter_client_options o = options_for(shared.port, &s);
    o.on_message = answer_in_callback;
    gnatter_client *c = client_new(&o);
    subscribe(c, "question", 1);
    subscribe(c, "answer", 1);
    const struct gnatter_message m = message("question", "?", 1);
    assert_int_equal(gnatter_client_publish(c, &m, NULL, NULL, NULL), GNATTER_OK);
    wait_until(&s, &s.messages, 2);
    for (int i = 0; i < 4; i++)
        assert_int_equal(s.callback_errors[i], GNATTER_ESTATE);
    gnatter_client_free(c);
}

static void will_is_left_behind(void **state)
{
    (void)state;
    needs_mosquitto();
    struct seen s = SEEN_INIT, other = SEEN_INIT;
    struct gnatter_client_options o = options_for(shared.port, &s);
    gnatter_client *watcher = client_new(&o);
    subscribe(watcher, "will/#", 1);
    const struct gnatter_message will = message("will/mine", "gone", 1);
    const struct gnatter_disconnect with_will = {.reason = 4};
    for (int v = GNATTER_MQTT_3_1_1; v <= GNATTER_MQTT_5; v++) {
        o = options_for(shared.port, &other);
        o.mqtt.version = (uint8_t)v;
        o.mqtt.will = &will;
        gnatter_client *c = client_new(&o);
        assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_OK);
        assert_int_equal(gnatter_client_disconnect(c, NULL, SOON_MS), GNATTER_OK);
        assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_OK);
        assert_int_equal(gnatter_client_disconnect(c, &with_will, SOON_MS), GNATTER_OK);
        gnatter_client_free(c);
        wait_until(&s, &s.messages, v - GNATTER_MQTT_3_1_1 + 1);
    }
    const struct gnatter_message end = message("will/end", "x", 1);
    assert_int_equal(gnatter_client_publish(watcher, &end, NULL, NULL, NULL), GNATTER_OK);
    wait_until(&s, &s.messages, 3); /* two wills and this, not four */
    assert_string_equal(s.topic, "will/end");
    gnatter_client_free(watcher);
}

static void not_authorised_is_final(void **state)
{
    (void)state;
    needs_mosquitto();
    struct broker b = broker_new("allow_anonymous false");
    for (int v = GNATTER_MQTT_3_1; v <= GNATTER_MQTT_5; v++) {
        struct seen s = SEEN_INIT;
        struct gnatter_client_options o = options_for(b.port, &s);
        o.mqtt.version = (uint8_t)v;
        gnatter_client *c = client_new(&o);
        const struct gnatter_message m = message("x", "x", 1);
        assert_int_equal(gnatter_client_publish_wait(c, &m, SOON_MS, NULL), GNATTER_EREFUSED);
        wait_until(&s, &s.disconnected, 1);
        assert_int_equal(s.last_end.reason, 0x87);
        assert_false(s.last_end.will_reconnect || s.last_end.was_connected);
        assert_string_equal(gnatter_reason_text(s.last_end.reason), "not authorized");
        gnatter_client_free(c);
        assert_int_equal(s.disconnected, 1);
        assert_int_equal(s.done, 0); /* the waiting form has no callback */
    }
    broker_free(&b);
}

static void a_session_lives_on_in_another_client(void **state)
{
    (void)state;
    needs_mosquitto();
    uint8_t bytes[1024];
    size_t size = 0;
    struct seen s = SEEN_INIT, watching = SEEN_INIT;
    struct gnatter_client_options o = options_for(shared.port, &watching);
    gnatter_client *watcher = client_new(&o);
    subscribe(watcher, "saved", 2);
    o = options_for(shared.port, &s);
    o.mqtt.client_id = "saved-one";
    o.mqtt.session_expiry_s = 600;
    gnatter_client *c = client_new(&o);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_OK);
    assert_int_equal(gnatter_client_disconnect(c, NULL, SOON_MS), GNATTER_OK);
    const struct gnatter_message m = message("saved", "x", 2);
    assert_int_equal(gnatter_client_publish(c, &m, NULL, NULL, NULL), GNATTER_OK);
    assert_int_equal(gnatter_client_save(c, bytes, sizeof bytes, &size), GNATTER_OK);
    gnatter_client_free(c);
    assert_int_equal(s.failed, 1); /* in that life it was not delivered */

    c = client_new(&o);
    assert_int_equal(gnatter_client_restore(c, bytes, size - 1), GNATTER_EMALFORMED);
    assert_int_equal(gnatter_client_restore(c, bytes, size), GNATTER_OK);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_OK);
    wait_until(&watching, &watching.messages, 1);
    struct gnatter_client_info info;
    gnatter_client_get_info(c, &info);
    assert_true(info.session_present);
    gnatter_client_free(c);
    gnatter_client_free(watcher);
}

static void acknowledges_by_hand(void **state)
{
    (void)state;
    needs_mosquitto();
    struct seen s = SEEN_INIT;
    struct gnatter_client_options o = options_for(shared.port, &s);
    o.mqtt.manual_ack = true;
    o.mqtt.receive_maximum = 1;
    gnatter_client *c = client_new(&o);
    subscribe(c, "by-hand", 1);
    const struct gnatter_message m = message("by-hand", "x", 1);
    assert_int_equal(gnatter_client_publish_wait(c, &m, SOON_MS, NULL), GNATTER_OK);
    assert_int_equal(gnatter_client_publish_wait(c, &m, SOON_MS, NULL), GNATTER_OK);
    wait_until(&s, &s.messages, 1);
    assert_int_equal(s.messages, 1); /* the second has to wait for the first's acknowledgement */
    assert_int_equal(gnatter_client_ack(c, s.ack, 0), GNATTER_OK);
    wait_until(&s, &s.messages, 2);
    gnatter_client_free(c);
}

/* ---- A transport of our own over a file descriptor */

struct socket_transport {
    int fd;
    int opened, closed;
};

static int socket_open(void *self, const char *host, uint16_t port, gnatter_ready *ready,
                       void *ready_context)
{
    struct socket_transport *t = self;
    (void)host;
    (void)ready;
    (void)ready_context;
    t->fd = connect_to(port);
    if (t->fd < 0)
        return GNATTER_EREFUSED;
    fcntl(t->fd, F_SETFL, O_NONBLOCK);
    t->opened++;
    return 0;
}

static int socket_result(ssize_t got, size_t *n)
{
    if (got < 0)
        return errno == EAGAIN ? GNATTER_MORE : GNATTER_EIO;
    *n = (size_t)got;
    return got ? 0 : GNATTER_ECLOSED;
}

static int socket_read(void *self, void *to, size_t cap, size_t *n)
{
    return socket_result(recv(((struct socket_transport *)self)->fd, to, cap, 0), n);
}

static int socket_write(void *self, const void *from, size_t size, size_t *n)
{
    size = size > 1000 ? 1000 : size; /* in small pieces */
    return socket_result(send(((struct socket_transport *)self)->fd, from, size, MSG_NOSIGNAL), n);
}

static void socket_close(void *self)
{
    struct socket_transport *t = self;
    close(t->fd);
    t->closed++;
}

static int socket_fd(void *self)
{
    return ((struct socket_transport *)self)->fd;
}

static void runs_over_a_socket_of_ours(void **state)
{
    (void)state;
    needs_mosquitto();
    struct seen s = SEEN_INIT;
    struct socket_transport t = {.fd = -1};
    static char payload[100000];
    struct gnatter_client_options o = options_for(shared.port, &s);
    o.transport = (struct gnatter_transport){socket_open,  socket_read, socket_write,
                                             socket_close, socket_fd,   &t};
    gnatter_client *c = client_new(&o);
    subscribe(c, "ours", 2);
    const struct gnatter_message m = {
        .topic = "ours", .payload = payload, .payload_size = sizeof payload, .qos = 2};
    assert_int_equal(gnatter_client_publish_wait(c, &m, SOON_MS, NULL), GNATTER_OK);
    wait_until(&s, &s.messages, 1);
    assert_int_equal(s.payload_size, sizeof payload);
    gnatter_client_free(c);
    assert_int_equal(t.opened, 1);
    assert_int_equal(t.closed, 1);
}

/* ---- A transport of our own that calls back, with a server behind it that knows two answers */

struct memory_transport {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    uint8_t to_client[64], from_client[256];
    size_t down, up;
    bool open, quit;
    int opened, closed;
    gnatter_ready *ready;
    void *ready_context;
};

static int memory_open(void *self, const char *host, uint16_t port, gnatter_ready *ready,
                       void *ready_context)
{
    struct memory_transport *t = self;
    (void)port;
    assert_string_equal(host, "the-other-side");
    pthread_mutex_lock(&t->lock);
    t->ready = ready;
    t->ready_context = ready_context;
    t->up = t->down = 0;
    t->open = true;
    t->opened++;
    pthread_mutex_unlock(&t->lock);
    return 0;
}

static int memory_read(void *self, void *to, size_t cap, size_t *n)
{
    struct memory_transport *t = self;
    pthread_mutex_lock(&t->lock);
    *n = t->down < cap ? t->down : cap;
    memcpy(to, t->to_client, *n);
    memmove(t->to_client, t->to_client + *n, t->down - *n);
    t->down -= *n;
    pthread_mutex_unlock(&t->lock);
    return *n ? 0 : GNATTER_MORE;
}

static int memory_write(void *self, const void *from, size_t size, size_t *n)
{
    struct memory_transport *t = self;
    pthread_mutex_lock(&t->lock);
    size_t room = sizeof t->from_client - t->up;
    *n = size < room ? size : room;
    memcpy(t->from_client + t->up, from, *n);
    t->up += *n;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return *n ? 0 : GNATTER_MORE;
}

static void memory_close(void *self)
{
    struct memory_transport *t = self;
    pthread_mutex_lock(&t->lock);
    t->open = false;
    t->closed++;
    pthread_mutex_unlock(&t->lock);
}

/* CONNACK for a CONNECT, PUBACK for a PUBLISH of QoS 1 to a topic of one letter. */
static void *memory_server(void *context)
{
    struct memory_transport *t = context;
    pthread_mutex_lock(&t->lock);
    while (!t->quit) {
        size_t size = t->up >= 2 ? (size_t)t->from_client[1] + 2 : SIZE_MAX;
        if (t->up < size) {
            pthread_cond_wait(&t->changed, &t->lock);
            continue;
        }
        const uint8_t *p = t->from_client;
        uint8_t answer[4] = {0x20, 2, 0, 0};
        if (p[0] == 0x32)
            memcpy(answer, (uint8_t[]){0x40, 2, p[5], p[6]}, 4);
        if (p[0] == 0x10 || p[0] == 0x32) {
            memcpy(t->to_client + t->down, answer, 4);
            t->down += 4;
        }
        memmove(t->from_client, t->from_client + size, t->up - size);
        t->up -= size;
        if (t->open)
            t->ready(t->ready_context);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void runs_over_memory(void **state)
{
    (void)state;
    struct seen s = SEEN_INIT;
    struct memory_transport t = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                 .changed = PTHREAD_COND_INITIALIZER};
    struct gnatter_client_options o = options_for(1, &s);
    o.host = "the-other-side";
    o.mqtt.version = GNATTER_MQTT_3_1_1;
    o.transport =
        (struct gnatter_transport){memory_open, memory_read, memory_write, memory_close, NULL, &t};
    assert_int_equal(pthread_create(&t.thread, NULL, memory_server, &t), 0);
    gnatter_client *c = client_new(&o);
    for (int i = 0; i < 50; i++) {
        const struct gnatter_message m = message("t", "x", 1);
        assert_int_equal(gnatter_client_publish_wait(c, &m, SOON_MS, NULL), GNATTER_OK);
    }
    assert_int_equal(gnatter_client_disconnect(c, NULL, SOON_MS), GNATTER_OK);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_OK);
    gnatter_client_free(c);
    assert_int_equal(t.opened, 2);
    assert_int_equal(t.closed, 2);
    pthread_mutex_lock(&t.lock);
    t.quit = true;
    pthread_cond_signal(&t.changed);
    pthread_mutex_unlock(&t.lock);
    pthread_join(t.thread, NULL);
}

/* 403 for whatever request comes. */
static void *memory_refuser(void *context)
{
    static const char answer[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    struct memory_transport *t = context;
    pthread_mutex_lock(&t->lock);
    while (t->up < 4 || memcmp(t->from_client + t->up - 4, "\r\n\r\n", 4) != 0)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    usleep(10000); /* so that the client has most likely looked for it in vain */
    pthread_mutex_lock(&t->lock);
    memcpy(t->to_client, answer, sizeof answer - 1);
    t->down = sizeof answer - 1;
    if (t->open)
        t->ready(t->ready_context);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* A WebSocket is opened by what is below it, which has to hear that it is ready. */
static void websocket_over_memory(void **state)
{
    (void)state;
    struct seen s = SEEN_INIT;
    struct memory_transport t = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                 .changed = PTHREAD_COND_INITIALIZER};
    struct gnatter_client_options o = options_for(1, &s);
    o.url = "ws://the-other-side/mqtt";
    o.no_reconnect = true;
    o.transport =
        (struct gnatter_transport){memory_open, memory_read, memory_write, memory_close, NULL, &t};
    assert_int_equal(pthread_create(&t.thread, NULL, memory_refuser, &t), 0);
    gnatter_client *c = client_new(&o);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_EREFUSED);
    gnatter_client_free(c);
    assert_int_equal(t.opened, t.closed);
    pthread_join(t.thread, NULL);
}

/* ---- Without anybody */

static void nobody_listens(void **state)
{
    (void)state;
    uint16_t port;
    int held = bind_somewhere(0, &port);
    struct seen s = SEEN_INIT;
    struct gnatter_client_options o = options_for(port, &s);
    gnatter_client *c = client_new(&o);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_EREFUSED);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_EREFUSED);
    wait_until(&s, &s.disconnected, 2);
    assert_int_equal(s.last_end.error, GNATTER_EREFUSED);
    assert_false(s.last_end.will_reconnect);
    assert_int_equal(gnatter_client_start(c), GNATTER_OK); /* this one does not give up */
    wait_until(&s, &s.disconnected, 5);
    assert_true(s.last_end.will_reconnect);
    assert_in_range(s.last_end.retry_in_ms, 10, 100);
    assert_int_equal(gnatter_client_stop(c, NULL), GNATTER_OK);
    gnatter_client_free(c);
    close(held);
}

static void no_such_name(void **state)
{
    (void)state;
    struct seen s = SEEN_INIT;
    struct gnatter_client_options o = options_for(1883, &s);
    o.host = "no such name";
    gnatter_client *c = client_new(&o);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_ERESOLVE);
    gnatter_client_free(c);
}

static void the_offline_queue_is_bounded(void **state)
{
    (void)state;
    uint16_t port;
    int held = bind_somewhere(0, &port);
    struct seen s = SEEN_INIT;
    struct gnatter_client_info info;
    struct gnatter_client_options o = options_for(port, &s);
    o.mqtt.queue_messages = 5;
    const struct gnatter_message m = message("t", "x", 1);
    gnatter_client *c = client_new(&o);
    for (int i = 0; i < 5; i++)
        assert_int_equal(gnatter_client_publish(c, &m, NULL, NULL, NULL), GNATTER_OK);
    assert_int_equal(gnatter_client_publish(c, &m, NULL, NULL, NULL), GNATTER_EFULL);
    gnatter_client_get_info(c, &info);
    assert_int_equal(info.queued_messages, 5);
    assert_int_equal(info.refused, 1);
    gnatter_client_free(c);
    assert_int_equal(s.done, 5); /* every request ends in exactly one call */
    assert_int_equal(s.failed, 5);

    s = (struct seen)SEEN_INIT;
    o.mqtt.drop_oldest = true;
    c = client_new(&o);
    for (int i = 0; i < 8; i++)
        assert_int_equal(gnatter_client_publish(c, &m, NULL, NULL, NULL), GNATTER_OK);
    wait_until(&s, &s.done, 3);
    gnatter_client_get_info(c, &info);
    assert_int_equal(info.queued_messages, 5);
    assert_int_equal(info.dropped, 3);
    assert_int_equal(gnatter_client_disconnect(c, NULL, 10), GNATTER_ETIMEOUT);
    gnatter_client_free(c);
    assert_int_equal(s.done, 8);
    close(held);
}

/* A server that answers the first bytes of each connection with the same words. */
struct canned {
    int fd;
    uint16_t port;
    pthread_t thread;
    const char *words;
    size_t size;
    int accepted; /* read after the thread has ended */
};

static void *canned_server(void *context)
{
    struct canned *server = context;
    char bytes[1024];
    for (int fd; (fd = accept(server->fd, NULL, NULL)) >= 0; close(fd)) {
        server->accepted++;
        if (recv(fd, bytes, sizeof bytes, 0) <= 0)
            continue;
        assert_true(send(fd, server->words, server->size, MSG_NOSIGNAL) > 0);
        while (recv(fd, bytes, sizeof bytes, 0) > 0)
            ;
    }
    return NULL;
}

static void canned_start(struct canned *server, const char *words, size_t size)
{
    *server = (struct canned){.words = words, .size = size};
    server->fd = bind_somewhere(16, &server->port);
    assert_int_equal(pthread_create(&server->thread, NULL, canned_server, server), 0);
}

static void canned_stop(struct canned *server)
{
    shutdown(server->fd, SHUT_RD); /* ends the accept */
    pthread_join(server->thread, NULL);
    close(server->fd);
}

/* Two clients of one id would throw each other out for ever: who is told so stays away. */
static void takeover_is_not_answered_by_takeover(void **state)
{
    (void)state;
    static const char words[] = "\x20\x03\x00\x00\x00\xe0\x0d\x8e\x0b\x1f\x00\x08that's I";
    struct canned server;
    struct seen s = SEEN_INIT;
    struct gnatter_client_info info;
    canned_start(&server, words, sizeof words - 1);
    struct gnatter_client_options o = options_for(server.port, &s);
    gnatter_client *c = client_new(&o);
    assert_int_equal(gnatter_client_start(c), GNATTER_OK);
    wait_until(&s, &s.disconnected, 1);
    assert_int_equal(s.last_end.error, GNATTER_ECLOSED);
    assert_int_equal(s.last_end.reason, 0x8e);
    assert_true(s.last_end.was_connected);
    assert_false(s.last_end.will_reconnect);
    gnatter_client_get_info(c, &info);
    assert_string_equal(info.reason_string, "that's I");
    const struct gnatter_message m = message("x", "x", 1);
    assert_int_equal(gnatter_client_publish_wait(c, &m, SOON_MS, NULL), GNATTER_ECLOSED);
    gnatter_client_free(c);
    canned_stop(&server);
    assert_int_equal(server.accepted, 1);
}

/* What a server over WebSocket has to say instead of opening one is in words. */
static void a_refused_websocket_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        int error;
        const char *words;
    } rows[] = {
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", GNATTER_EREFUSED,
         "the server answers 403 Forbidden"},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
         GNATTER_EPROTOCOL, "the server's Sec-WebSocket-Accept is not right"},
        {"\x20\x02\x00\x00", GNATTER_EPROTOCOL, "the server's answer is not HTTP"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct canned server;
        struct seen s = SEEN_INIT;
        struct gnatter_client_info info;
        char url[64];
        canned_start(&server, rows[i].answer, strlen(rows[i].answer));
        struct gnatter_client_options o = options_for(server.port, &s);
        (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/mqtt", server.port);
        o.url = url;
        o.no_reconnect = true;
        gnatter_client *c = client_new(&o);
        assert_int_equal(gnatter_client_start(c), GNATTER_OK);
        wait_until(&s, &s.disconnected, 1);
        assert_int_equal(s.last_end.error, rows[i].error);
        assert_int_equal(s.last_end.reason, 0);
        gnatter_client_get_info(c, &info);
        assert_string_equal(info.reason_string, rows[i].words);
        gnatter_client_free(c);
        canned_stop(&server);
    }
}

static void urls_that_no_client_can_go_to(void **state)
{
    (void)state;
    static const char *const rows[] = {"http://localhost", "ws://", "localhost", "mqtt://h/x", ""};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gnatter_client_options o;
        gnatter_client *c = NULL;
        gnatter_client_options_init(&o);
        o.url = rows[i];
        assert_int_equal(gnatter_client_new(&o, &c), GNATTER_EINVALID);
        assert_null(c);
    }
}

/* Where a server sends its client is told, and left to the program [MQTT5 4.11]. */
static void another_server_is_told_and_not_followed(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        size_t size;
        int error;
        uint8_t reason;
        const char *reference;
    } rows[] = {
#define ROW(words, ...) {words, sizeof words - 1, __VA_ARGS__}
        ROW("\x20\x0e\x00\x9c\x0b\x1c\x00\x08"
            "b.x:1883",
            GNATTER_EREFUSED, 0x9c, "b.x:1883"),
        ROW("\x20\x03\x00\x00\x00"
            "\xe0\x0d\x9d\x0b\x1c\x00\x08"
            "b.x:1883",
            GNATTER_ECLOSED, 0x9d, "b.x:1883"),
        ROW("\x20\x03\x00\x9c\x00", GNATTER_EREFUSED, 0x9c, ""),
#undef ROW
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct canned server;
        struct seen s = SEEN_INIT;
        struct gnatter_client_info info;
        canned_start(&server, rows[i].words, rows[i].size);
        struct gnatter_client_options o = options_for(server.port, &s);
        gnatter_client *c = client_new(&o);
        assert_int_equal(gnatter_client_start(c), GNATTER_OK);
        wait_until(&s, &s.disconnected, 1);
        assert_int_equal(s.last_end.error, rows[i].error);
        assert_int_equal(s.last_end.reason, rows[i].reason);
        assert_false(s.last_end.will_reconnect);
        gnatter_client_get_info(c, &info);
        assert_string_equal(info.server_reference, rows[i].reference);
        gnatter_client_free(c);
        canned_stop(&server);
        assert_int_equal(server.accepted, 1);
    }
}

/* Connections that end as soon as they have begun are failures to the back-off. */
static void short_connections_back_off(void **state)
{
    (void)state;
    static const char words[] = "\x20\x03\x00\x00\x00\xe0\x02\x8b\x00";
    struct canned server;
    struct seen s = SEEN_INIT;
    canned_start(&server, words, sizeof words - 1);
    struct gnatter_client_options o = options_for(server.port, &s);
    o.reconnect_min_ms = 1;
    o.reconnect_max_ms = 64;
    gnatter_client *c = client_new(&o);
    assert_int_equal(gnatter_client_start(c), GNATTER_OK);
    wait_until(&s, &s.disconnected, 7);
    pthread_mutex_lock(&s.lock);
    assert_true(s.last_end.will_reconnect);
    assert_in_range(s.last_end.retry_in_ms, 32, 64);
    pthread_mutex_unlock(&s.lock);
    gnatter_client_free(c);
    canned_stop(&server);
}

/* The server breaks the protocol: it is told so, and it is not the end. */
static void broken_servers_are_left(void **state)
{
    (void)state;
    static const char words[] = "\x20\x03\x00\x00\x00\x00";
    struct canned server;
    struct seen s = SEEN_INIT;
    canned_start(&server, words, sizeof words - 1);
    struct gnatter_client_options o = options_for(server.port, &s);
    gnatter_client *c = client_new(&o);
    assert_int_equal(gnatter_client_start(c), GNATTER_OK);
    wait_until(&s, &s.disconnected, 2);
    assert_int_equal(s.last_end.error, GNATTER_EMALFORMED);
    assert_true(s.last_end.will_reconnect);
    gnatter_client_free(c);
    canned_stop(&server);
}

/* A server that accepts and says nothing. */
static void silence_times_out(void **state)
{
    (void)state;
    uint16_t port;
    int fd = bind_somewhere(16, &port);
    struct seen s = SEEN_INIT;
    struct gnatter_client_options o = options_for(port, &s);
    gnatter_client *c = client_new(&o);
    assert_int_equal(gnatter_client_connect(c, 30), GNATTER_ETIMEOUT);
    const struct gnatter_message m = message("t", "x", 1);
    assert_int_equal(gnatter_client_start(c), GNATTER_OK);
    assert_int_equal(gnatter_client_publish_wait(c, &m, 30, NULL), GNATTER_ETIMEOUT);
    gnatter_client_free(c);

    struct seen again = SEEN_INIT;
    o = options_for(port, &again);
    o.mqtt.connect_timeout_ms = 30;
    c = client_new(&o);
    assert_int_equal(gnatter_client_connect(c, SOON_MS), GNATTER_ETIMEOUT);
    gnatter_client_free(c);
    assert_int_equal(again.disconnected, 1);
    close(fd);
}

static void options_are_checked(void **state)
{
    (void)state;
    struct seen s = SEEN_INIT;
    gnatter_client *c = NULL;
    struct gnatter_client_options o = options_for(1, &s);
    o.host = "";
    assert_int_equal(gnatter_client_new(&o, &c), GNATTER_EINVALID);
    o = options_for(1, &s);
    o.mqtt.version = 7;
    assert_int_equal(gnatter_client_new(&o, &c), GNATTER_EINVALID);
    o = options_for(1, &s);
    o.transport.open = memory_open;
    assert_int_equal(gnatter_client_new(&o, &c), GNATTER_EINVALID);
    o = options_for(1, &s);
    o.reconnect_max_ms = 1;
    assert_int_equal(gnatter_client_new(&o, &c), GNATTER_EINVALID);
    assert_null(c);
    gnatter_client_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_and_qos),
        cmocka_unit_test(properties_both_ways),
        cmocka_unit_test(reconnects_when_the_server_is_back),
        cmocka_unit_test(draining_takes_everything_along),
        cmocka_unit_test(many_threads_and_many_clients),
        cmocka_unit_test(callbacks_may_ask_but_not_wait),
        cmocka_unit_test(will_is_left_behind),
        cmocka_unit_test(not_authorised_is_final),
        cmocka_unit_test(a_session_lives_on_in_another_client),
        cmocka_unit_test(acknowledges_by_hand),
        cmocka_unit_test(runs_over_a_socket_of_ours),
        cmocka_unit_test(runs_over_memory),
        cmocka_unit_test(websocket_over_memory),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(no_such_name),
        cmocka_unit_test(the_offline_queue_is_bounded),
        cmocka_unit_test(takeover_is_not_answered_by_takeover),
        cmocka_unit_test(a_refused_websocket_is_told),
        cmocka_unit_test(urls_that_no_client_can_go_to),
        cmocka_unit_test(another_server_is_told_and_not_followed),
        cmocka_unit_test(short_connections_back_off),
        cmocka_unit_test(broken_servers_are_left),
        cmocka_unit_test(silence_times_out),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, start_shared, stop_shared);
}
