#include <gnatter/broker.h>
#include <gnatter/mqtt.h>

#include "support/alloc_fault.h"
#include "support/unit.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };

static const char *const any_port[] = {"mqtt://127.0.0.1:0"};

static gnatter_broker *broker_with(const char *config)
{
    struct gnatter_broker_options options;
    gnatter_broker *broker = NULL;
    gnatter_broker_options_init(&options);
    options.listeners = any_port;
    options.listener_count = 1;
    options.workers = 3;
    options.config_text = config;
    assert_int_equal(gnatter_broker_new(&options, &broker), 0);
    return broker;
}

static gnatter_broker *started(void)
{
    gnatter_broker *broker = broker_with(NULL);
    assert_int_equal(gnatter_broker_start(broker), 0);
    return broker;
}

static uint16_t port_of(const gnatter_broker *broker)
{
    unsigned port = 0;
    assert_int_equal(sscanf(gnatter_broker_url(broker, 0), "mqtt://127.0.0.1:%u", &port), 1);
    assert_in_range(port, 1, 65535);
    return (uint16_t)port;
}

static void wait_for(sem_t *event)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    int failed;
    while ((failed = sem_timedwait(event, &until)) && errno == EINTR)
        ;
    assert_int_equal(failed, 0);
}

/* ---- A subscriber that knows what it has heard last */

struct ear {
    gnatter_client *client;
    sem_t heard, lost;
    atomic_uint count, disorders;
    unsigned qos;
    bool retain;
    uint8_t reason;
    char text[64]; /* topic=payload */
};

static void on_message(gnatter_client *c, const struct gnatter_received *m, void *context)
{
    (void)c;
    struct ear *ear = context;
    snprintf(ear->text, sizeof ear->text, "%s=%.*s", m->topic, (int)m->payload_size,
             (const char *)m->payload);
    ear->qos = m->qos;
    ear->retain = m->retain;
    unsigned number = atomic_fetch_add(&ear->count, 1);
    if (strtoul(strchr(ear->text, '=') + 1, NULL, 10) != number)
        atomic_fetch_add(&ear->disorders, 1);
    sem_post(&ear->heard);
}

static void on_disconnected(gnatter_client *c, const struct gnatter_disconnected *d, void *context)
{
    (void)c;
    struct ear *ear = context;
    ear->reason = d->reason;
    sem_post(&ear->lost);
}

/* URL: where to; NULL: the broker's first listener. */
static void listen_at(struct ear *ear, const gnatter_broker *broker, const char *url,
                      const char *filter)
{
    struct gnatter_client_options options;
    *ear = (struct ear){.client = NULL};
    sem_init(&ear->heard, 0, 0);
    sem_init(&ear->lost, 0, 0);
    gnatter_client_options_init(&options);
    options.host = "127.0.0.1";
    options.port = port_of(broker);
    options.url = url;
    options.no_reconnect = true;
    options.on_message = on_message;
    options.on_disconnected = on_disconnected;
    options.context = ear;
    const struct gnatter_subscription all = {.filter = filter, .qos = 2};
    assert_int_equal(gnatter_client_new(&options, &ear->client), 0);
    assert_int_equal(gnatter_client_subscribe_wait(ear->client, &all, 1, NULL, PATIENCE_MS, NULL),
                     0);
}

static void listen_to(struct ear *ear, const gnatter_broker *broker, const char *filter)
{
    listen_at(ear, broker, NULL, filter);
}

static void assert_hears(struct ear *ear, const char *text)
{
    wait_for(&ear->heard);
    assert_string_equal(ear->text, text);
}

static void leave(struct ear *ear)
{
    gnatter_client_free(ear->client);
    sem_destroy(&ear->heard);
    sem_destroy(&ear->lost);
}

static int publish(gnatter_broker *broker, const char *topic, const char *text, unsigned qos,
                   bool retain)
{
    return gnatter_broker_publish(broker, topic, text, strlen(text), qos, retain);
}

/* ---- Life */

static void test_two_in_one_process(void **state)
{
    (void)state;
    gnatter_broker *brokers[2] = {started(), NULL};
    struct ear ears[2];
    listen_to(&ears[0], brokers[0], "a");
    brokers[1] = started(); /* beside one that runs and knows names */
    listen_to(&ears[1], brokers[1], "#");
    assert_int_not_equal(port_of(brokers[0]), port_of(brokers[1]));

    for (int i = 0; i < 2; i++) {
        const struct gnatter_message hello = {
            .topic = i ? "b" : "a", .payload = "hello", .payload_size = 5, .qos = 2};
        assert_int_equal(gnatter_client_publish_wait(ears[i].client, &hello, PATIENCE_MS, NULL), 0);
    }
    assert_hears(&ears[0], "a=hello");
    assert_hears(&ears[1], "b=hello");

    gnatter_broker_free(brokers[0]);
    wait_for(&ears[0].lost);
    assert_int_equal(ears[0].reason, 0x8b);

    assert_int_equal(publish(brokers[1], "b", "still there", 0, false), 0);
    assert_hears(&ears[1], "b=still there");
    assert_int_equal(ears[0].count + ears[1].count, 3);
    leave(&ears[0]);
    leave(&ears[1]);
    gnatter_broker_free(brokers[1]);
}

static void test_states(void **state)
{
    (void)state;
    gnatter_broker_free(NULL);
    gnatter_broker *broker = broker_with(NULL);
    assert_null(gnatter_broker_url(broker, 1));
    assert_int_equal(gnatter_broker_start(broker), 0);
    assert_int_equal(gnatter_broker_start(broker), GNATTER_ESTATE);
    gnatter_broker_stop(broker);
    assert_int_equal(gnatter_broker_start(broker), GNATTER_ESTATE);
    assert_int_equal(publish(broker, "t", "x", 0, false), GNATTER_ESTATE);
    gnatter_broker_stop(broker);
    gnatter_broker_free(broker);

    broker = broker_with(NULL); /* never started */
    assert_int_equal(publish(broker, "t", "x", 0, false), 0);
    gnatter_broker_free(broker);
}

/* Counts the threads of this process that do not block SIG. */
static int open_to_signal(int sig)
{
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        char path[300], line[128];
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *status = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        unsigned long long blocked;
        while (status && fgets(line, sizeof line, status))
            if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
                count += !(blocked >> (sig - 1) & 1);
        if (status)
            fclose(status);
    }
    closedir(tasks);
    return count;
}

/* Signals reach the program's own thread only.  The memory that a subscription's end gives back is
 * freed on a thread that the broker has, too. */
static void test_signals_are_the_programs(void **state)
{
    (void)state;
    int before = open_to_signal(SIGTERM);
    gnatter_broker *broker = started();
    gnatter_broker_free(broker);
    broker = started();
    assert_int_equal(open_to_signal(SIGTERM), before);
    assert_int_equal(open_to_signal(SIGINT), before);
    gnatter_broker_free(broker);
}

/* ---- Over WebSocket */

/* Clients whose sessions live at different workers, messages of any size, and the good-bye. */
static void test_websocket(void **state)
{
    (void)state;
    enum { EARS = 6, SIZE = 3000000 };
    static const char *const urls[] = {"mqtt://127.0.0.1:0", "http://127.0.0.1:0"};
    static char large[SIZE];
    struct gnatter_broker_options options;
    gnatter_broker *broker;
    struct ear ears[EARS];
    char url[64];
    unsigned port;
    gnatter_broker_options_init(&options);
    options.listeners = urls;
    options.listener_count = 2;
    options.workers = 3;
    assert_int_equal(gnatter_broker_new(&options, &broker), 0);
    assert_int_equal(gnatter_broker_start(broker), 0);
    assert_int_equal(sscanf(gnatter_broker_url(broker, 1), "http://127.0.0.1:%u", &port), 1);
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/mqtt", port);
    for (int i = 0; i < EARS; i++)
        listen_at(&ears[i], broker, i ? url : NULL, "from/#");
    memset(large, '0', sizeof large);
    for (int i = 0; i < EARS; i++) {
        const struct gnatter_message m = {
            .topic = "from/one", .payload = large, .payload_size = SIZE, .qos = 2};
        large[SIZE - 1] = (char)('0' + i); /* all of it is one number */
        assert_int_equal(gnatter_client_publish_wait(ears[i].client, &m, PATIENCE_MS, NULL), 0);
    }
    for (int i = 0; i < EARS; i++)
        for (int k = 0; k < EARS; k++)
            wait_for(&ears[i].heard);
    gnatter_broker_stop(broker);
    for (int i = 0; i < EARS; i++) {
        wait_for(&ears[i].lost);
        assert_int_equal(ears[i].count, EARS);
        assert_int_equal(ears[i].reason, 0x8b);
        gnatter_client_free(ears[i].client);
    }
    gnatter_broker_free(broker);
}

/* ---- What cannot be */

static void assert_refused(const struct gnatter_broker_options *options, int error,
                           const char *words)
{
    gnatter_broker *broker = NULL;
    int err = gnatter_broker_new(options, &broker);
    if (err != error || !strstr(options->problem, words))
        print_error("%d, %s\n", err, options->problem);
    assert_int_equal(err, error);
    assert_non_null(strstr(options->problem, words));
    assert_null(broker);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *listener, *file, *text;
        uint32_t workers;
        int error;
        const char *words;
    } rows[] = {
        {"mqtt//x", NULL, NULL, 0, GNATTER_EINVALID, "listeners: "},
        {"ftp://127.0.0.1:0", NULL, NULL, 0, GNATTER_EINVALID, "ftp"},
        {"mqtt://no such name:0", NULL, NULL, 0, GNATTER_EINVALID, ""},
        {"mqtt://0.0.0.0:0", NULL, NULL, 0, GNATTER_EDENIED, "allow_anonymous"},
        {NULL, NULL, NULL, 65, GNATTER_EINVALID, "workers: expected"},
        {NULL, NULL, "listenrs: []\nworkers: many", 0, GNATTER_EINVALID,
         "config_text:1:1: unknown option 'listenrs', did you mean 'listeners'?\n"
         "config_text:2:10: workers: expected"},
        {NULL, NULL, "{", 0, GNATTER_EINVALID, "config_text:"},
        {NULL, NULL, "data: /nowhere/at/all", 0, GNATTER_ENOTFOUND, "data: cannot make"},
        {NULL, "/nowhere/gnatter.yaml", NULL, 0, GNATTER_EINVALID, "/nowhere/gnatter.yaml"},
        {NULL, "a.yaml", "workers: 1", 0, GNATTER_EINVALID, "one of them"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char problem[512] = "";
        struct gnatter_broker_options options;
        gnatter_broker_options_init(&options);
        options.listeners = &rows[i].listener;
        options.listener_count = rows[i].listener != NULL;
        options.config_file = rows[i].file;
        options.config_text = rows[i].text;
        options.workers = rows[i].workers;
        options.problem = problem;
        options.problem_size = sizeof problem;
        assert_refused(&options, rows[i].error, rows[i].words);
    }
}

static void test_busy_port(void **state)
{
    (void)state;
    gnatter_broker *first = started();
    const char *taken = gnatter_broker_url(first, 0);
    char problem[512];
    struct gnatter_broker_options options;
    gnatter_broker_options_init(&options);
    options.listeners = &taken;
    options.listener_count = 1;
    options.problem = problem;
    options.problem_size = sizeof problem;
    assert_refused(&options, GNATTER_EBUSY, "another broker");

    options.problem_size = 10;
    assert_refused(&options, GNATTER_EBUSY, "cannot li");
    gnatter_broker *broker = NULL;
    options.problem = NULL;
    assert_int_equal(gnatter_broker_new(&options, &broker), GNATTER_EBUSY);
    gnatter_broker_free(first);
}

/* A program that was built with a header that had less, and one with more. */
static void test_sizes(void **state)
{
    (void)state;
    struct {
        struct gnatter_broker_options known;
        int more;
    } options;
    gnatter_broker *broker = NULL;
    char problem[64];
    gnatter_broker_options_init_size(&options.known, sizeof options);
    options.known.problem = problem;
    options.known.problem_size = sizeof problem;
    assert_refused(&options.known, GNATTER_EUNSUPPORTED, "not supported");
    options.known.size = 0; /* gnatter_broker_options_init was forgotten */
    assert_int_equal(gnatter_broker_new(&options.known, &broker), GNATTER_EINVALID);

    gnatter_broker_options_init_size(&options.known,
                                     offsetof(struct gnatter_broker_options, config_file));
    options.known.listeners = any_port;
    options.known.listener_count = 1;
    options.known.config_file = "not looked at";
    options.known.workers = 1000;
    assert_int_equal(gnatter_broker_new(&options.known, &broker), 0);
    gnatter_broker_free(broker);
}

static void test_out_of_memory_in_new(void **state)
{
    (void)state;
    char problem[256];
    struct gnatter_broker_options options;
    gnatter_broker_options_init(&options);
    options.listeners = any_port;
    options.listener_count = 1;
    options.workers = 2;
    options.config_text = "limits: {packet: 1MiB}";
    options.problem = problem;
    options.problem_size = sizeof problem;
    gnatter_broker *broker = NULL;
    int failures = 0;
    for (long n = 0;; n++) {
        gnt_alloc_fail_at(n);
        int err = gnatter_broker_new(&options, &broker);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        if (!err)
            gnatter_broker_free(broker);
        else
            assert_string_not_equal(problem, "");
        if (!failed)
            break;
        failures += err != 0;
    }
    assert_true(failures > 20);
}

/* ---- Configuration */

static void test_options_over_configuration(void **state)
{
    (void)state;
    char path[] = "/tmp/gnatter-embed-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "listeners: [{url: mqtt://192.0.2.1:1}]\nlimits: {packet: 2KiB}\n";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);

    static const char *const two[] = {"mqtt://0.0.0.0:0", "mqtt://127.0.0.1:0"};
    struct gnatter_broker_options options;
    gnatter_broker *broker = NULL;
    gnatter_broker_options_init(&options);
    char problem[256];
    options.config_file = path;
    options.problem = problem;
    options.problem_size = sizeof problem;
    options.listeners = two;
    options.listener_count = 2;
    options.allow_anonymous = true;
    assert_int_equal(gnatter_broker_new(&options, &broker), 0);
    assert_string_equal(problem, "");
    unlink(path);
    assert_non_null(strstr(gnatter_broker_url(broker, 0), "mqtt://0.0.0.0:"));
    assert_non_null(strstr(gnatter_broker_url(broker, 1), "mqtt://127.0.0.1:"));
    assert_null(gnatter_broker_url(broker, 2));
    char payload[2048] = "";
    assert_int_equal(gnatter_broker_publish(broker, "t", payload, sizeof payload, 0, false),
                     GNATTER_ETOOBIG);
    gnatter_broker_free(broker);
}

/* ---- Publishing */

static void test_publish(void **state)
{
    (void)state;
    gnatter_broker *broker = broker_with(NULL);
    assert_int_equal(publish(broker, "state", "on", 1, true), 0); /* waits for the start */
    assert_int_equal(publish(broker, "gone", "x", 1, true), 0);
    assert_int_equal(gnatter_broker_publish(broker, "gone", NULL, 0, 1, true), 0);
    assert_int_equal(gnatter_broker_start(broker), 0);

    /* What was put in before a message that has arrived has been published, too. */
    struct ear ear, later;
    listen_to(&ear, broker, "mark");
    assert_int_equal(publish(broker, "mark", "x", 0, false), 0);
    assert_hears(&ear, "mark=x");
    assert_false(ear.retain);

    listen_to(&later, broker, "#");
    assert_hears(&later, "state=on");
    assert_true(later.retain);
    assert_int_equal(later.qos, 1);
    assert_int_equal(publish(broker, "news", "y", 2, false), 0);
    assert_hears(&later, "news=y");
    assert_int_equal(later.qos, 2);
    leave(&later);
    leave(&ear);
    gnatter_broker_free(broker);
}

enum { EARS = 4, MESSAGES = 4000 };

struct mouth {
    gnatter_broker *broker;
    const char *topic;
    pthread_t thread;
};

static void *count_aloud(void *context)
{
    const struct mouth *mouth = context;
    int failures = 0;
    for (int i = 0; i < MESSAGES; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        failures += publish(mouth->broker, mouth->topic, number, 1, false) != 0;
    }
    return (void *)(intptr_t)failures;
}

/* Two threads publish at a time; what one of them says keeps its order. */
static void test_order(void **state)
{
    (void)state;
    gnatter_broker *broker =
        broker_with("limits: {queued_per_session: 100000, output_per_connection: 64MiB}");
    assert_int_equal(gnatter_broker_start(broker), 0);
    struct mouth mouths[2] = {{.broker = broker, .topic = "one"},
                              {.broker = broker, .topic = "two"}};
    struct ear ears[EARS];
    for (int i = 0; i < EARS; i++)
        listen_to(&ears[i], broker, mouths[i % 2].topic);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&mouths[i].thread, NULL, count_aloud, &mouths[i]), 0);
    for (int i = 0; i < 2; i++) {
        void *failures;
        pthread_join(mouths[i].thread, &failures);
        assert_null(failures);
    }
    for (int i = 0; i < EARS; i++) {
        for (int n = 0; n < MESSAGES; n++)
            wait_for(&ears[i].heard);
        assert_int_equal(ears[i].disorders, 0);
        leave(&ears[i]);
    }
    gnatter_broker_free(broker);
}

static void test_publish_refusals(void **state)
{
    (void)state;
    gnatter_broker *broker = broker_with("limits: {topic_levels: 3, packet: 1KiB}");
    static const struct {
        const char *topic;
        size_t size;
        unsigned qos;
        int error;
    } rows[] = {
        {"", 0, 0, GNATTER_EINVALID},
        {"a/+", 0, 0, GNATTER_EINVALID},
        {"\xff", 0, 0, GNATTER_EINVALID},
        {"a/b/c/d", 0, 0, GNATTER_EINVALID},
        {"a/b/c", 0, 0, 0},
        {"a", 0, 3, GNATTER_EINVALID},
        {"a", 0, 256, GNATTER_EINVALID},
        {"$SYS", 0, 0, GNATTER_EDENIED},
        {"$SYS/broker/version", 0, 0, GNATTER_EDENIED},
        {"a", 1024 - 11, 0, 0},
        {"a", 1024 - 10, 0, GNATTER_ETOOBIG},
    };
    static const char payload[2048];
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(gnatter_broker_publish(broker, rows[i].topic, payload, rows[i].size,
                                                rows[i].qos, false),
                         rows[i].error);
    for (long n = 0; n < 2; n++) {
        gnt_alloc_fail_at(n);
        int err = gnatter_broker_publish(broker, "a", payload, 10, 0, false);
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, GNATTER_ENOMEM);
    }
    gnatter_broker_free(broker);
}

/* Nothing is taken that cannot be handed on; once it can, there is room again. */
static void test_back_pressure(void **state)
{
    (void)state;
    enum { SIZE = 4 * 1024 * 1024 };
    gnatter_broker *broker = broker_with(NULL);
    char *payload = calloc(1, SIZE);
    int taken = 0, err;
    while (!(err = gnatter_broker_publish(broker, "t", payload, SIZE, 0, false)))
        taken++;
    assert_int_equal(err, GNATTER_EFULL);
    assert_int_equal(taken, 15);
    assert_int_equal(gnatter_broker_start(broker), 0);
    struct ear ear;
    listen_to(&ear, broker, "mark");
    assert_int_equal(publish(broker, "mark", "x", 0, false), 0); /* there is room for little */
    assert_hears(&ear, "mark=x");
    assert_int_equal(gnatter_broker_publish(broker, "t", payload, SIZE, 0, false), 0);
    free(payload);
    leave(&ear);
    gnatter_broker_free(broker);
}

/* ---- Log */

static void keep_line(void *context, enum gnatter_log_level level, const char *line, size_t size)
{
    assert_int_equal(line[size], '\0');
    if (level == GNATTER_LOG_INFO && strstr(line, "\"event\":\"connect\""))
        sem_post(context);
}

static void test_log(void **state)
{
    (void)state;
    sem_t connects;
    sem_init(&connects, 0, 0);
    gnatter_log(GNATTER_LOG_INFO, GNATTER_LOG_JSON, keep_line, &connects);
    gnatter_broker *broker = broker_with("log: {level: error, format: text}"); /* not used */
    assert_int_equal(gnatter_broker_start(broker), 0);
    struct ear ear;
    listen_to(&ear, broker, "#");
    wait_for(&connects);
    leave(&ear);
    gnatter_broker_free(broker);
    gnatter_log(GNATTER_LOG_WARNING, GNATTER_LOG_TEXT, NULL, NULL);
    sem_destroy(&connects);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals_are_the_programs),
        cmocka_unit_test(test_two_in_one_process),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_websocket),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_busy_port),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_out_of_memory_in_new),
        cmocka_unit_test(test_options_over_configuration),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_publish_refusals),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
