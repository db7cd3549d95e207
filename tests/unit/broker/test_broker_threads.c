/* The whole broker in threads of its own, by real sockets. */
#include "base/clock.h"
#include "broker/broker.h"
#include "support/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, PROBLEM_MAX = 512 };

static void set(struct gnt_config *config, const char *path, const char *value)
{
    const struct gnt_option *row = gnt_option_find(&gnt_config_table, path);
    struct gnt_why why;
    assert_non_null(row);
    assert_int_equal(gnt_option_set(row, config, gnt_slice_str(value), &why), GNT_OK);
}

/* A configuration that listens at URL. */
static void config_init(struct gnt_config *config, unsigned workers, const char *url)
{
    char text[16];
    assert_int_equal(gnt_config_init(config), GNT_OK);
    free(config->listeners.items[0].url);
    config->listeners.items[0].url = strdup(url);
    snprintf(text, sizeof text, "%u", workers);
    set(config, "workers", text);
    set(config, "sys_interval", "1s");
    gnt_log_configure(GNT_LOG_ERROR, GNT_LOG_TEXT);
}

struct running {
    struct gnt_broker *broker;
    struct sockaddr_in address;
};

static void run(struct running *r, unsigned workers)
{
    struct gnt_config config;
    char problem[PROBLEM_MAX], host[32];
    unsigned port;
    config_init(&config, workers, "mqtt://127.0.0.1:0");
    gnt_err err = gnt_broker_new(&config, NULL, &r->broker, problem, sizeof problem);
    if (err)
        print_error("%s\n", problem);
    assert_int_equal(err, GNT_OK);
    gnt_config_fini(&config);
    const char *url = gnt_broker_listener(r->broker, 0);
    assert_int_equal(sscanf(url, "mqtt://%31[0-9.]:%u", host, &port), 2);
    assert_null(gnt_broker_listener(r->broker, 1));
    assert_int_equal(gnt_broker_workers(r->broker), workers);
    r->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, host, &r->address.sin_addr);
}

/* ---- A client: -1 and false where the broker has gone */

static int dial(const struct running *r)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&r->address, sizeof r->address) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool put(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

/* Exactly SIZE bytes; false at the end. */
static bool get(int fd, void *to, size_t size)
{
    char *at = to;
    while (size) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, PATIENCE_MS) != 1)
            return false;
        ssize_t n = recv(fd, at, size, 0);
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static bool expect(int fd, const void *bytes, size_t size)
{
    char got[64];
    return get(fd, got, size) && memcmp(got, bytes, size) == 0;
}

/* Connects with an id of exactly eight characters. */
static bool connect_as(int fd, unsigned version, const char *id)
{
    char packet[64] = {
        0x10, (char)(20 + (version == 5)), 0, 4, 'M', 'Q', 'T', 'T', (char)version, 2, 0, 0};
    size_t at = 12 + (version == 5);
    memcpy(packet + at, "\0\10", 2);
    memcpy(packet + at + 2, id, 8);
    if (!put(fd, packet, at + 10))
        return false;
    return version == 5 ? expect(fd, "\x20\x06\0\0\x03\x22\0\x0a", 8)
                        : expect(fd, "\x20\x02\0\0", 4);
}

/* ---- Many clients at once; each talks to the next one's topic */

enum { TALKERS = 24, ROUNDS = 20 };

struct talker {
    const struct running *broker;
    unsigned number;
    pthread_t thread;
    bool fine;
};

static bool talk(const struct talker *t, int fd)
{
    char id[16], subscribe[] = {(char)0x82, 7, 0, 1, 0, 2, 't', 0, 1},
                 publish[] = {0x32, 7, 0, 2, 't', 0, 0, 1, 'x'};
    snprintf(id, sizeof id, "cl%06u", t->number);
    if (!connect_as(fd, 4, id))
        return false;
    subscribe[7] = publish[5] = (char)('0' + t->number);
    if (!put(fd, subscribe, sizeof subscribe) || !expect(fd, "\x90\x03\0\1\1", 5))
        return false;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char puback[4] = {0x40, 2, 0, 0}, got[4 + sizeof publish];
        if (!put(fd, publish, sizeof publish) || !get(fd, got, sizeof got))
            return false;
        const char *delivery = got[0] == 0x40 ? got + 4 : got; /* in either order */
        if (delivery[0] != 0x32)
            return false;
        memcpy(puback + 2, delivery + 6, 2);
        if (!put(fd, puback, sizeof puback))
            return false;
    }
    return put(fd, "\xe0\0", 2) && recv(fd, id, 1, 0) == 0;
}

static void *talker_run(void *context)
{
    struct talker *t = context;
    int fd = dial(t->broker);
    t->fine = fd >= 0 && talk(t, fd);
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void many_clients_at_once(void **state)
{
    (void)state;
    static const unsigned workers[] = {1, 2, 8};
    for (size_t w = 0; w < COUNT_OF(workers); w++) {
        struct running r;
        struct talker talkers[TALKERS];
        run(&r, workers[w]);
        assert_int_equal(gnt_broker_start(r.broker), GNT_OK);
        for (unsigned i = 0; i < TALKERS; i++) {
            talkers[i] = (struct talker){.broker = &r, .number = i};
            assert_int_equal(pthread_create(&talkers[i].thread, NULL, talker_run, &talkers[i]), 0);
        }
        for (unsigned i = 0; i < TALKERS; i++)
            pthread_join(talkers[i].thread, NULL);
        for (unsigned i = 0; i < TALKERS; i++)
            assert_true(talkers[i].fine);
        gnt_broker_free(&r.broker);
        assert_null(r.broker);
    }
}

/* ---- Start and stop */

static void start_and_stop_again_and_again(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        struct running r;
        run(&r, 1u << (i % 4));
        if (i % 3) {
            assert_int_equal(gnt_broker_start(r.broker), GNT_OK);
            assert_int_equal(gnt_broker_start(r.broker), GNT_OK); /* it runs already */
        }
        if (i % 2) {
            gnt_broker_stop(r.broker);
            gnt_broker_stop(r.broker);
            if (i % 3)
                assert_int_equal(gnt_broker_start(r.broker), GNT_STATE);
        }
        gnt_broker_free(&r.broker);
    }
    struct gnt_broker *none = NULL;
    gnt_broker_free(&none);
}

static void clients_hear_of_the_end(void **state)
{
    (void)state;
    struct running r;
    char rest[64];
    run(&r, 2);
    assert_int_equal(gnt_broker_start(r.broker), GNT_OK);
    int five = dial(&r), four = dial(&r), nobody = dial(&r);
    assert_true(connect_as(five, 5, "five0000"));
    assert_true(connect_as(four, 4, "four0000"));
    uint64_t before = gnt_now(&gnt_clock_system);
    gnt_broker_stop(r.broker); /* these clients do not go, so it waits as long as it ever does */
    uint64_t took = gnt_now(&gnt_clock_system) - before;
    assert_true(took < 10 * GNT_NS_PER_S);
    static const char good_bye[] = "\xe0\x19\x8b\x17\x1f\0\x14"
                                   "server shutting down";
    assert_true(expect(five, good_bye, sizeof good_bye - 1));
    assert_int_equal(recv(four, rest, sizeof rest, 0), 0);
    assert_int_equal(recv(nobody, rest, sizeof rest, 0), 0);
    assert_int_equal(dial(&r), -1);
    assert_non_null(gnt_broker_listener(r.broker, 0));
    close(five);
    close(four);
    close(nobody);
    gnt_broker_free(&r.broker);
}

/* ---- Stop under load */

struct flood {
    const struct running *broker;
    unsigned number;
    pthread_t thread;
};

static void *flood_run(void *context)
{
    struct flood *f = context;
    char id[16], sink[4096], many[128 * 6];
    for (size_t i = 0; i < sizeof many; i += 6)
        memcpy(many + i, "\x30\4\0\1tx", 6);
    snprintf(id, sizeof id, "fl%06u", f->number);
    for (unsigned round = 0;; round++) { /* until nobody listens any more */
        int fd = dial(f->broker);
        if (fd < 0)
            return NULL;
        bool fine = connect_as(fd, 4, id) && put(fd, "\x82\6\0\1\0\1#\0", 8);
        for (unsigned i = 0; fine && i < 50; i++) {
            fine = put(fd, many, sizeof many);
            while (recv(fd, sink, sizeof sink, MSG_DONTWAIT) > 0)
                ;
        }
        close(fd);
    }
}

static void stop_under_load(void **state)
{
    (void)state;
    enum { FLOODS = 6 };
    for (unsigned workers = 1; workers <= 8; workers *= 2) {
        struct running r;
        struct flood floods[FLOODS];
        run(&r, workers);
        assert_int_equal(gnt_broker_start(r.broker), GNT_OK);
        for (unsigned i = 0; i < FLOODS; i++) {
            floods[i] = (struct flood){.broker = &r, .number = i};
            assert_int_equal(pthread_create(&floods[i].thread, NULL, flood_run, &floods[i]), 0);
        }
        int fd = dial(&r); /* the load is on once this client has seen some of it */
        char seen[6 * 200];
        assert_true(connect_as(fd, 4, "watch000"));
        assert_true(put(fd, "\x82\6\0\1\0\1t\0", 8));
        assert_true(get(fd, seen, sizeof seen));
        struct gnt_config config;
        config_init(&config, workers, "mqtt://127.0.0.1:0");
        set(&config, "limits.queued_per_session", "10");
        assert_int_equal(gnt_broker_reload(r.broker, &config), GNT_OK);
        assert_true(get(fd, seen, sizeof seen));
        assert_int_equal(gnt_broker_reload(r.broker, &config), GNT_OK);
        close(fd);
        gnt_broker_free(&r.broker);
        gnt_config_fini(&config);
        for (unsigned i = 0; i < FLOODS; i++)
            pthread_join(floods[i].thread, NULL);
    }
}

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Clients of all workers are under an access list that is another one again and again. */
static void access_lists_change_under_load(void **state)
{
    (void)state;
    static const char *const lists[] = {
        "topic readwrite #\n",
        "topic readwrite t\npattern readwrite own/%c\n",
        "topic read #\ntopic write +\npattern deny own/%c\n",
    };
    enum { FLOODS = 6, RELOADS = 30 };
    struct running r;
    struct flood floods[FLOODS];
    struct gnt_config config;
    char path[] = "/tmp/gnatter-acl-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    run(&r, 4);
    config_init(&config, 4, "mqtt://127.0.0.1:0");
    assert_int_equal(gnt_broker_start(r.broker), GNT_OK);
    for (unsigned i = 0; i < FLOODS; i++) {
        floods[i] = (struct flood){.broker = &r, .number = i};
        assert_int_equal(pthread_create(&floods[i].thread, NULL, flood_run, &floods[i]), 0);
    }
    fd = dial(&r);
    char seen[6];
    assert_true(connect_as(fd, 4, "watch000"));
    assert_true(put(fd, "\x82\6\0\1\0\1+\0", 8) && expect(fd, "\x90\3\0\1\0", 5));
    for (unsigned i = 0; i < RELOADS; i++) {
        size_t which = i % (COUNT_OF(lists) + 1); /* behind the last one there is none */
        bool listed = which < COUNT_OF(lists);
        if (listed)
            put_file(path, lists[which]);
        set(&config, "access_file", listed ? path : "none");
        assert_int_equal(gnt_broker_reload(r.broker, &config), GNT_OK);
        assert_true(get(fd, seen, sizeof seen)); /* all of them permit it */
    }
    close(fd);
    gnt_broker_free(&r.broker);
    gnt_config_fini(&config);
    for (unsigned i = 0; i < FLOODS; i++)
        pthread_join(floods[i].thread, NULL);
    unlink(path);
}

/* ---- What cannot be */

static gnt_err try_url(const char *url, const char *anonymous, char *problem)
{
    struct gnt_config config;
    struct gnt_broker *b = NULL;
    config_init(&config, 1, url);
    if (anonymous)
        set(&config, "allow_anonymous", anonymous);
    gnt_err err = gnt_broker_new(&config, NULL, &b, problem, PROBLEM_MAX);
    assert_true((b == NULL) == (err != GNT_OK));
    gnt_broker_free(&b);
    gnt_config_fini(&config);
    return err;
}

static void a_port_that_is_taken(void **state)
{
    (void)state;
    struct running r;
    char problem[PROBLEM_MAX];
    run(&r, 1);
    assert_int_equal(try_url(gnt_broker_listener(r.broker, 0), NULL, problem), GNT_BUSY);
    assert_non_null(strstr(problem, "cannot listen on 127.0.0.1:"));
    assert_non_null(strstr(problem, "another broker"));
    gnt_broker_free(&r.broker);
}

static void listeners_that_others_could_reach(void **state)
{
    (void)state;
    static const struct {
        const char *url, *anonymous;
        gnt_err err;
    } rows[] = {
        {"mqtt://0.0.0.0:0", NULL, GNT_DENIED},
        {"mqtt://:0", NULL, GNT_DENIED},
        {"mqtt://0.0.0.0:0", "true", GNT_OK},
        {"mqtt://0.0.0.0:0", "false", GNT_OK},
        {"mqtt://:0", "true", GNT_OK},
        {"mqtt://127.0.0.1:0", NULL, GNT_OK},
        {"mqtt://localhost:0", NULL, GNT_OK}, /* with IPv6 or without */
        {"mqtt://192.0.2.1:0", "true", GNT_NOTFOUND},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char problem[PROBLEM_MAX];
        gnt_err err = try_url(rows[i].url, rows[i].anonymous, problem);
        if (rows[i].err == GNT_NOTFOUND)
            assert_true(err < 0); /* no address of this machine; what the kernel calls it varies */
        else
            assert_int_equal(err, rows[i].err);
        assert_true((err == GNT_OK) == (problem[0] == '\0'));
        if (err == GNT_DENIED)
            assert_non_null(strstr(problem, "allow_anonymous"));
    }
}

/* One broker at a time has a data directory; it finds there what the one before left. */
static void a_data_directory(void **state)
{
    (void)state;
    struct gnt_config config;
    struct gnt_broker *b, *second;
    char problem[PROBLEM_MAX], base[] = "/tmp/gnatter-broker-XXXXXX", path[64], command[96];
    assert_non_null(mkdtemp(base));
    snprintf(path, sizeof path, "%s/data", base);
    config_init(&config, 2, "mqtt://127.0.0.1:0");
    set(&config, "data", path);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(gnt_broker_new(&config, NULL, &b, problem, sizeof problem), GNT_OK);
        assert_int_equal(gnt_broker_start(b), GNT_OK);
        assert_int_equal(gnt_broker_new(&config, NULL, &second, problem, sizeof problem), GNT_BUSY);
        assert_non_null(strstr(problem, "another process"));
        gnt_broker_stop(b);
        gnt_broker_free(&b);
    }
    set(&config, "data", "/nowhere/at/all");
    assert_int_equal(gnt_broker_new(&config, NULL, &b, problem, sizeof problem), GNT_NOTFOUND);
    assert_non_null(strstr(problem, "data: cannot make /nowhere/at/all"));
    gnt_config_fini(&config);
    snprintf(command, sizeof command, "rm -r %s", base);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_clients_at_once),
        cmocka_unit_test(start_and_stop_again_and_again),
        cmocka_unit_test(clients_hear_of_the_end),
        cmocka_unit_test(stop_under_load),
        cmocka_unit_test(access_lists_change_under_load),
        cmocka_unit_test(a_port_that_is_taken),
        cmocka_unit_test(listeners_that_others_could_reach),
        cmocka_unit_test(a_data_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
