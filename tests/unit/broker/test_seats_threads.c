/* Loops that change hands between threads while clients talk. */
#include "base/clock.h"
#include "base/rcu.h"
#include "broker/seats.h"
#include "support/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000, WORKERS = 4 };

static struct gnt_config config;
static struct gnt_listeners listeners;
static struct gnt_workers *workers;
static struct gnt_inbox inbox;
static struct gnt_seats *seats;
static struct sockaddr_in address;

static void open_seats(const struct gnt_seats_rule *rule)
{
    char problem[256], host[32];
    unsigned port;
    assert_int_equal(gnt_config_init(&config), GNT_OK);
    free(config.listeners.items[0].url);
    config.listeners.items[0].url = strdup("mqtt://127.0.0.1:0");
    config.sys_interval_ms = 1000;
    gnt_log_configure(GNT_LOG_ERROR, GNT_LOG_TEXT);
    gnt_inbox_init(&inbox);
    assert_int_equal(gnt_listeners_open(&listeners, &config, problem, sizeof problem), GNT_OK);
    gnt_rcu_register();
    assert_int_equal(gnt_workers_new(&config, WORKERS, &gnt_door_system, &workers), GNT_OK);
    inbox.worker = &workers->worker[0];
    assert_int_equal(gnt_seats_new(workers, &listeners, &inbox, rule, &seats), GNT_OK);
    gnt_rcu_unregister();
    assert_int_equal(sscanf(listeners.item[0].url, "mqtt://%31[0-9.]:%u", host, &port), 2);
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    assert_int_equal(gnt_seats_start(seats), GNT_OK);
}

static void close_seats(void)
{
    gnt_inbox_close(&inbox);
    assert_true(gnt_seats_stop(seats));
    assert_false(gnt_seats_stop(seats)); /* there are none any more */
    gnt_rcu_register();
    gnt_seats_free(&seats);
    gnt_inbox_fini(&inbox);
    gnt_workers_free(&workers);
    gnt_rcu_unregister();
    gnt_rcu_barrier();
    gnt_listeners_close(&listeners);
    gnt_config_fini(&config);
}

/* ---- Which thread has a worker's loop */

struct asking {
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    pthread_t thread[2];
    unsigned answers;
};

static void on_asked(const struct gnt_mail *mail)
{
    struct asking *a = mail->to;
    pthread_mutex_lock(&a->mutex);
    a->thread[mail->value] = pthread_self();
    a->answers++;
    pthread_cond_signal(&a->answered);
    pthread_mutex_unlock(&a->mutex);
}

/* Whether the first worker and worker INDEX run on one thread. */
static bool together(unsigned index)
{
    struct asking a = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, {0}, 0};
    for (unsigned i = 0; i < 2; i++) {
        const struct gnt_mail mail = {.run = on_asked, .to = &a, .value = i};
        assert_int_equal(gnt_post_send_outside(workers->post, i ? index : 0, &mail), GNT_OK);
    }
    pthread_mutex_lock(&a.mutex);
    while (a.answers < 2)
        pthread_cond_wait(&a.answered, &a.mutex);
    pthread_mutex_unlock(&a.mutex);
    return pthread_equal(a.thread[0], a.thread[1]);
}

static void wait_until(bool wanted)
{
    uint64_t end = gnt_now(&gnt_clock_system) + PATIENCE_MS * GNT_NS_PER_MS;
    for (unsigned i = 1; i < WORKERS; i++)
        while (together(i) != wanted)
            assert_true(gnt_now(&gnt_clock_system) < end);
}

/* ---- Clients that talk in pairs: each hears what the other says, in order */

enum { TALKERS = 8, ROUNDS = 400 };

static _Atomic bool enough; /* they need not talk longer than they have to */

static bool put(int fd, const void *bytes, size_t size)
{
    return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static bool get(int fd, uint8_t *to, size_t size)
{
    while (size) {
        struct pollfd p = {fd, POLLIN, 0};
        ssize_t n = poll(&p, 1, PATIENCE_MS) == 1 ? recv(fd, to, size, 0) : 0;
        if (n <= 0)
            return false;
        to += n;
        size -= (size_t)n;
    }
    return true;
}

struct talker {
    unsigned number;
    pthread_t thread;
    bool fine;
};

static int enter(unsigned number, uint8_t topic)
{
    const uint8_t c = (uint8_t)('a' + number);
    const uint8_t hello[] = {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 1, c};
    const uint8_t subscribe[] = {0x82, 6, 0, 1, 0, 1, topic, 1};
    uint8_t got[9];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        put(fd, hello, sizeof hello) && get(fd, got, 4) && put(fd, subscribe, sizeof subscribe) &&
        get(fd, got, 5))
        return fd;
    close(fd);
    return -1;
}

/* Publishes to its own topic, QoS 1, and waits for PUBACK and delivery, in either order. */
static bool talk(int fd, uint8_t topic)
{
    for (unsigned i = 1; i <= ROUNDS || !atomic_load(&enough); i++) {
        const uint8_t high = (uint8_t)(i >> 8), low = (uint8_t)i;
        const uint8_t publish[] = {0x32, 7, 0, 1, topic, high, low, high, low};
        uint8_t got[4 + sizeof publish];
        if (!put(fd, publish, sizeof publish) || !get(fd, got, sizeof got))
            return false;
        const uint8_t *ack = got[0] == 0x40 ? got : got + sizeof publish;
        const uint8_t *delivery = got[0] == 0x40 ? got + 4 : got;
        if (ack[0] != 0x40 || ack[2] != high || ack[3] != low || delivery[0] != 0x32)
            return false;
        if (delivery[7] != high || delivery[8] != low)
            return false;
        const uint8_t puback[] = {0x40, 2, delivery[5], delivery[6]};
        if (!put(fd, puback, sizeof puback))
            return false;
    }
    return true;
}

static void *talker_run(void *context)
{
    struct talker *t = context;
    uint8_t topic = (uint8_t)('A' + t->number);
    int fd = enter(t->number, topic);
    t->fine = fd >= 0 && talk(fd, topic);
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void start_talking(struct talker *talkers)
{
    atomic_store(&enough, false);
    for (unsigned i = 0; i < TALKERS; i++) {
        talkers[i] = (struct talker){.number = i};
        assert_int_equal(pthread_create(&talkers[i].thread, NULL, talker_run, &talkers[i]), 0);
    }
}

static void finish_talking(struct talker *talkers)
{
    atomic_store(&enough, true);
    for (unsigned i = 0; i < TALKERS; i++)
        pthread_join(talkers[i].thread, NULL);
    for (unsigned i = 0; i < TALKERS; i++)
        assert_true(talkers[i].fine);
}

/* ---- Tests */

enum { NEVER_BUSY = 1000, ALWAYS_CALM = 100 * 1000 };

static void calm_workers_share_a_thread(void **state)
{
    (void)state;
    static const struct gnt_seats_rule rule = {NEVER_BUSY, 1, ALWAYS_CALM, 1};
    struct talker talkers[TALKERS];
    open_seats(&rule);
    start_talking(talkers);
    wait_until(true);
    finish_talking(talkers);
    wait_until(true);
    close_seats();
}

static void busy_workers_do_not(void **state)
{
    (void)state;
    static const struct gnt_seats_rule rule = {NEVER_BUSY, 1, 0, 1};
    struct talker talkers[TALKERS];
    open_seats(&rule);
    wait_until(false);
    start_talking(talkers);
    finish_talking(talkers);
    wait_until(false);
    close_seats();
}

/* By this rule all are always calm, and the chief always busy: the loops are for ever on their way
 * to one or the other. */
static void loops_change_hands_while_clients_talk(void **state)
{
    (void)state;
    static const struct gnt_seats_rule rule = {0, 1, ALWAYS_CALM, 1};
    for (int i = 0; i < 3; i++) {
        struct talker talkers[TALKERS];
        open_seats(&rule);
        start_talking(talkers);
        wait_until(true);
        wait_until(false);
        finish_talking(talkers);
        close_seats();
    }
}

static void a_stop_finds_loops_on_their_way(void **state)
{
    (void)state;
    static const struct gnt_seats_rule rules[] = {{0, 0, ALWAYS_CALM, 0},
                                                  {NEVER_BUSY, 1, ALWAYS_CALM, 0}};
    for (unsigned i = 0; i < 40; i++) {
        open_seats(&rules[i % 2]);
        int fd = enter(i % TALKERS, 't');
        assert_true(fd >= 0);
        close(fd); /* else the stop would wait for its good-bye */
        close_seats();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calm_workers_share_a_thread),
        cmocka_unit_test(busy_workers_do_not),
        cmocka_unit_test(loops_change_hands_while_clients_talk),
        cmocka_unit_test(a_stop_finds_loops_on_their_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
