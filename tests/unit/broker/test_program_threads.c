/* What a program that has the broker inside has its say in: who comes, what they may do, who comes
 * and goes. */
#include <gnatter/broker.h>

#include "support/alloc_fault.h"
#include "support/script_client.h"
#include "support/unit.h"

#include "auth/verifier.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 30, EVENTS_MAX = 64, EVENT_SIZE = 128 };

#define CONNACK4 "20 02 00 00"
#define CONNACK5 "20 | 00 00 (22 000a)"

/* ---- The program */

static struct {
    pthread_mutex_t lock;
    char event[EVENTS_MAX][EVENT_SIZE];
    int count, seen;
    sem_t happened, asked, may_answer;
    atomic_bool slow; /* `authenticate` waits for may_answer */
    atomic_int questions;
    gnatter_broker *broker; /* to publish there after its end; NULL: not */
} program;

static void note(const char *text)
{
    pthread_mutex_lock(&program.lock);
    assert_true(program.count < EVENTS_MAX);
    (void)snprintf(program.event[program.count++], EVENT_SIZE, "%s", text);
    pthread_mutex_unlock(&program.lock);
    sem_post(&program.happened);
}

static void wait_for(sem_t *event)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    int failed;
    while ((failed = sem_timedwait(event, &until)) && errno == EINTR)
        ;
    assert_int_equal(failed, 0);
}

static void assert_happened(const char *text)
{
    wait_for(&program.happened);
    pthread_mutex_lock(&program.lock);
    assert_string_equal(program.event[program.seen++], text);
    pthread_mutex_unlock(&program.lock);
}

/* Who knows the word comes in; a "guest" as somebody else; "usual" is up to the broker. */
static enum gnatter_login_answer authenticate(void *context, const struct gnatter_login *login,
                                              char user[GNATTER_USER_SIZE])
{
    assert_ptr_equal(context, &program);
    atomic_fetch_add(&program.questions, 1);
    if (program.slow) {
        sem_post(&program.asked);
        wait_for(&program.may_answer);
    }
    if (program.broker)
        assert_int_equal(gnatter_broker_publish(program.broker, "t", "x", 1, 0, false),
                         GNATTER_ESTATE);
    assert_int_equal(strncmp(login->address, "127.0.0.1:", 10), 0);
    assert_null(login->certificate);
    assert_null(login->certificate_name);
    assert_string_equal(user, login->user ? login->user : "");
    if (!login->user)
        return strcmp(login->client_id, "nobody") == 0 ? GNATTER_LOGIN_REFUSE
                                                       : GNATTER_LOGIN_ACCEPT;
    if (strcmp(login->user, "usual") == 0)
        return GNATTER_LOGIN_USUAL;
    if (strcmp(login->user, "guest") == 0)
        strcpy(user, "somebody");
    if (strcmp(login->user, "shadow") == 0)
        user[0] = '\0';
    return login->password && login->password_size == 4 && memcmp(login->password, "w\0rd", 4) == 0
               ? GNATTER_LOGIN_ACCEPT
               : GNATTER_LOGIN_REFUSE;
}

/* Below "for/USER" everything, and of the rest no secrets. */
static bool authorize(void *context, const struct gnatter_wanted *wanted)
{
    char own[64];
    assert_ptr_equal(context, &program);
    (void)snprintf(own, sizeof own, "for/%s/", wanted->user ? wanted->user : "nobody");
    if (strncmp(wanted->topic, own, strlen(own)) == 0)
        return true;
    if (wanted->action == GNATTER_ACTION_SUBSCRIBE)
        return strncmp(wanted->topic, "secret", 6) != 0;
    return strncmp(wanted->topic, "for/", 4) != 0 && strncmp(wanted->topic, "secret", 6) != 0;
}

static void came(void *context, const struct gnatter_guest *guest)
{
    char text[EVENT_SIZE];
    assert_ptr_equal(context, &program);
    assert_int_equal(strncmp(guest->address, "127.0.0.1:", 10), 0);
    (void)snprintf(text, sizeof text, "%s as %s", guest->client_id,
                   guest->user ? guest->user : "nobody");
    note(text);
}

static void went(void *context, const struct gnatter_guest *guest, const char *why)
{
    char text[EVENT_SIZE];
    assert_ptr_equal(context, &program);
    (void)snprintf(text, sizeof text, "%s gone: %s", guest->client_id, why);
    note(text);
}

/* ---- The broker, and its clients as bytes */

static gnatter_broker *start(const char *config)
{
    static const char *const any_port[] = {"mqtt://127.0.0.1:0"};
    struct gnatter_broker_options options;
    gnatter_broker *broker = NULL;
    char problem[512] = "";
    gnatter_broker_options_init(&options);
    options.listeners = any_port;
    options.listener_count = 1;
    options.workers = 2;
    options.config_text = config;
    options.problem = problem;
    options.problem_size = sizeof problem;
    options.authenticate = authenticate;
    options.authorize = authorize;
    options.on_client_came = came;
    options.on_client_went = went;
    options.context = &program;
    if (gnatter_broker_new(&options, &broker))
        fail_msg("%s", problem);
    assert_int_equal(gnatter_broker_start(broker), 0);
    return broker;
}

static int dial(const gnatter_broker *broker)
{
    unsigned port = 0;
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    assert_int_equal(sscanf(gnatter_broker_url(broker, 0), "mqtt://127.0.0.1:%u", &port), 1);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void say(int fd, const char *notation)
{
    struct gnt_slice bytes = script_bytes(notation);
    assert_int_equal(send(fd, bytes.data, bytes.size, MSG_NOSIGNAL), bytes.size);
    free((void *)(uintptr_t)bytes.data);
}

static void hear(int fd, const char *notation)
{
    struct gnt_slice wanted = script_bytes(notation);
    uint8_t got[1024];
    assert_true(wanted.size <= sizeof got);
    assert_int_equal(recv(fd, got, wanted.size, MSG_WAITALL), wanted.size);
    assert_memory_equal(got, wanted.data, wanted.size);
    free((void *)(uintptr_t)wanted.data);
}

static void hear_end(int fd)
{
    uint8_t byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

static int come(const gnatter_broker *broker, const char *connect, const char *connack)
{
    int fd = dial(broker);
    say(fd, connect);
    hear(fd, connack);
    return fd;
}

static int make_program(void **state)
{
    (void)state;
    memset(&program, 0, sizeof program);
    pthread_mutex_init(&program.lock, NULL);
    sem_init(&program.happened, 0, 0);
    sem_init(&program.asked, 0, 0);
    sem_init(&program.may_answer, 0, 0);
    return 0;
}

static int end_program(void **state)
{
    (void)state;
    int unseen = program.count - program.seen;
    for (int i = program.seen; i < program.count; i++)
        print_error("nobody expected \"%s\"\n", program.event[i]);
    sem_destroy(&program.happened);
    sem_destroy(&program.asked);
    sem_destroy(&program.may_answer);
    pthread_mutex_destroy(&program.lock);
    return unseen;
}

/* ---- Who comes */

static void it_says_who_comes(void **state)
{
    (void)state;
    static const struct {
        const char *connect, *connack, *event;
    } rows[] = {
        {"10 | ['MQTT'] 04 c2 0000 ['a'] ['ann'] [77 00 7264]", CONNACK4, "a as ann"},
        {"10 | ['MQTT'] 05 c2 0000 () ['a'] ['ann'] [77 00 7264]", CONNACK5, "a as ann"},
        {"10 | ['MQTT'] 05 c2 0000 () ['a'] ['guest'] [77 00 7264]", CONNACK5, "a as somebody"},
        {"10 | ['MQTT'] 05 c2 0000 () ['a'] ['shadow'] [77 00 7264]", CONNACK5, "a as nobody"},
        {"10 | ['MQTT'] 05 02 0000 () ['a']", CONNACK5, "a as nobody"},
        {"10 | ['MQTT'] 05 02 0000 () ['nobody']", "20 | 00 87 (1f ['not authorized'])", NULL},
        {"10 | ['MQTT'] 04 02 0000 ['nobody']", "20 02 00 05", NULL},
        {"10 | ['MQTT'] 04 c2 0000 ['a'] ['ann'] ['word']", "20 02 00 04", NULL},
        {"10 | ['MQTT'] 05 c2 0000 () ['a'] ['ann'] ['word']",
         "20 | 00 86 (1f ['bad user name or password'])", NULL},
        {"10 | ['MQTT'] 05 82 0000 () ['a'] ['ann']", "20 | 00 87 (1f ['not authorized'])", NULL},
        {"10 | ['MQTT'] 05 c2 0000 () ['a'] ['usual'] ['x']", CONNACK5, "a as nobody"},
        {"10 | ['MQTT'] 05 02 0000 (15 ['SCRAM-SHA-256'] 16 ['n,,n=ann,r=abc']) ['a']",
         "20 | 00 8c (1f ['bad authentication method'])", NULL},
    };
    gnatter_broker *broker = start(NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int fd = come(broker, rows[i].connect, rows[i].connack);
        if (!rows[i].event) {
            hear_end(fd);
            continue;
        }
        assert_happened(rows[i].event);
        say(fd, "e0 00");
        hear_end(fd);
        assert_happened("a gone: by the client");
    }
    assert_int_equal(program.questions, COUNT_OF(rows) - 1);
    gnatter_broker_free(broker);
}

/* What it leaves to the broker is as if nobody had been asked, but for a setting that is not there.
 */
static void what_it_leaves_to_the_broker(void **state)
{
    (void)state;
    gnatter_broker *broker = start("allow_anonymous: false");
    hear_end(come(broker, "10 | ['MQTT'] 04 c2 0000 ['a'] ['usual'] ['x']", "20 02 00 04"));
    gnatter_broker_free(broker);

    static const char *const open[] = {"mqtt://0.0.0.0:0"};
    struct gnatter_broker_options options;
    gnatter_broker_options_init(&options);
    options.listeners = open;
    options.listener_count = 1;
    options.workers = 1;
    options.authenticate = authenticate; /* it is not open to everybody */
    options.context = &program;
    assert_int_equal(gnatter_broker_new(&options, &broker), 0);
    gnatter_broker_free(broker);
    options.authenticate = NULL;
    assert_int_equal(gnatter_broker_new(&options, &broker), GNATTER_EDENIED);
}

/* Then the users' file decides, on the same thread, behind the program. */
static void and_to_its_users(void **state)
{
    (void)state;
    char path[64], config[128], text[GNT_VERIFIER_TEXT];
    struct gnt_seeded seeded;
    (void)snprintf(path, sizeof path, "/tmp/gnatter-program-%ld", (long)getpid());
    (void)snprintf(config, sizeof config, "users: %s", path);
    gnt_seeded_init(&seeded, 1);
    assert_int_equal(gnt_verifier_make_scram(gnt_slice_str("secret"), 4096, &seeded.door, text),
                     GNT_OK);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "usual:%s\n", text);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0600), 0);
    gnatter_broker *broker = start(config);
    int fd = come(broker, "10 | ['MQTT'] 04 c2 0000 ['a'] ['usual'] ['secret']", CONNACK4);
    assert_happened("a as usual");
    close(fd);
    assert_happened("a gone: connection closed");
    hear_end(come(broker, "10 | ['MQTT'] 04 c2 0000 ['a'] ['usual'] ['x']", "20 02 00 04"));
    assert_int_equal(program.questions, 2);
    gnatter_broker_free(broker);
    assert_int_equal(unlink(path), 0);
}

/* More than `users` would take, and what stands behind the CONNECT waits. */
static void it_takes_its_time(void **state)
{
    (void)state;
    program.slow = true;
    gnatter_broker *broker = start(NULL);
    int fd = dial(broker), other;
    say(fd, "10 | ['MQTT'] 05 c2 0000 () ['a'] ['ann'] [77 00 7264]");
    say(fd, "c000");
    wait_for(&program.asked);
    other = dial(broker); /* behind it */
    say(other, "10 | ['MQTT'] 05 02 0000 () ['b']");
    sem_post(&program.may_answer);
    hear(fd, CONNACK5 "; d000");
    wait_for(&program.asked);
    sem_post(&program.may_answer);
    hear(other, CONNACK5);
    assert_happened("a as ann");
    assert_happened("b as nobody");
    close(fd);
    close(other);
    gnatter_broker_free(broker);
    wait_for(&program.happened); /* in any order, and for whatever reason */
    wait_for(&program.happened);
    program.seen += 2;
}

static void a_client_goes_while_it_thinks(void **state)
{
    (void)state;
    program.slow = true;
    gnatter_broker *broker = start("limits: {connect_timeout: 200ms}");
    int fd = dial(broker), next = dial(broker);
    say(fd, "10 | ['MQTT'] 05 c2 0000 () ['a'] ['ann'] [77 00 7264]");
    wait_for(&program.asked);
    say(next, "10 | ['MQTT'] 05 c2 0000 () ['b'] ['ann'] [77 00 7264]");
    hear_end(fd);   /* it has waited for long enough, */
    hear_end(next); /* and so has who was to be asked about next, */
    program.slow = false;
    sem_post(&program.may_answer);
    close(come(broker, "10 | ['MQTT'] 05 02 0000 () ['c']", CONNACK5));
    assert_happened("c as nobody");
    assert_int_equal(program.questions, 2); /* which nobody did. */
    gnatter_broker_free(broker);
    wait_for(&program.happened);
    program.seen++;
}

static void *answer_soon(void *context)
{
    enum { SOON_US = 50000 };
    (void)context;
    usleep(SOON_US); /* the other thread is in gnatter_broker_free by then, or comes to it */
    sem_post(&program.may_answer);
    return NULL;
}

static void the_broker_ends_while_it_thinks(void **state)
{
    (void)state;
    for (int stop = 0; stop < 2; stop++) {
        pthread_t thread;
        program.slow = true;
        program.questions = 0;
        gnatter_broker *broker = start(NULL);
        int fd = dial(broker), next = dial(broker);
        say(fd, "10 | ['MQTT'] 05 c2 0000 () ['a'] ['ann'] [77 00 7264]");
        wait_for(&program.asked);
        say(next, "10 | ['MQTT'] 05 c2 0000 () ['b'] ['ann'] [77 00 7264]");
        close(fd);
        close(next);
        if (stop) {
            gnatter_broker_stop(broker);
            program.broker = broker;
        }
        assert_int_equal(pthread_create(&thread, NULL, answer_soon, NULL), 0);
        gnatter_broker_free(broker);
        pthread_join(thread, NULL);
        assert_int_equal(program.questions, 1);
    }
}

/* ---- What they may do */

static void it_says_what_they_may_do(void **state)
{
    (void)state;
    gnatter_broker *broker = start(NULL);
    int ann = come(broker, "10 | ['MQTT'] 05 c2 0000 () ['a'] ['ann'] [77 00 7264]", CONNACK5);
    int all = come(broker, "10 | ['MQTT'] 05 02 0000 () ['all']", CONNACK5);
    assert_happened("a as ann");
    assert_happened("all as nobody");
    say(all, "82 | 0001 () ['#'] 00 ['secret/#'] 00 ['$share/g/secret'] 00 ['for/nobody/x'] 00");
    hear(all, "90 | 0001 () 00 87 87 00");
    say(ann, "32 | ['for/bob/x'] 0001 () 'no'");
    hear(ann, "40 | 0001 87");
    say(ann, "32 | ['for/ann/x'] 0002 () 'hers'"); /* and nobody else's to see */
    hear(ann, "40 | 0002");
    say(ann, "30 | ['secret'] () 'no'");
    say(ann, "32 | ['news'] 0003 () 'yes'");
    hear(ann, "40 | 0003");
    assert_int_equal(gnatter_broker_publish(broker, "secret", "x", 1, 0, false), 0);
    assert_int_equal(gnatter_broker_publish(broker, "old news", "x", 1, 0, false), 0);
    hear(all, "30 | ['news'] () 'yes'");
    hear(all, "30 | ['old news'] () 'x'");
    hear_end(come(broker, "10 | ['MQTT'] 05 06 0000 () ['w'] () ['for/bob/x'] ['will']",
                  "20 | 00 87 (1f ['not authorized'])"));
    gnatter_broker_stop(broker);
    hear(all, "e0 | 8b (1f ['server shutting down'])");
    close(all);
    close(ann);
    gnatter_broker_free(broker);
    wait_for(&program.happened);
    wait_for(&program.happened);
    program.seen += 2;
}

static void one_of_them_says_what_they_may_do(void **state)
{
    (void)state;
    struct gnatter_broker_options options;
    gnatter_broker *broker = NULL;
    char problem[256] = "";
    gnatter_broker_options_init(&options);
    options.config_text =
        "listeners: [{url: mqtt://127.0.0.1:0}]\naccess: [{may: [publish], on: a}]";
    options.problem = problem;
    options.problem_size = sizeof problem;
    options.authorize = authorize;
    assert_int_equal(gnatter_broker_new(&options, &broker), GNATTER_EINVALID);
    if (!strstr(problem, "one of them"))
        fail_msg("%s", problem);
}

/* ---- Who comes and goes */

static void it_hears_who_comes_and_goes(void **state)
{
    (void)state;
    gnatter_broker *broker = start(NULL);
    int first = come(broker, "10 | ['MQTT'] 05 02 0000 () ['a']", CONNACK5);
    assert_happened("a as nobody");
    int second = come(broker, "10 | ['MQTT'] 05 02 0000 () ['a']", CONNACK5);
    hear(first, "e0 | 8e (1f ['session taken over'])");
    hear_end(first);
    assert_happened("a gone: session taken over");
    assert_happened("a as nobody");
    close(second);
    assert_happened("a gone: connection closed");

    int silent = come(broker, "10 | ['MQTT'] 05 02 0001 () ['s']", CONNACK5);
    assert_happened("s as nobody");
    hear(silent, "e0 | 8d (1f ['keep alive timeout'])");
    hear_end(silent);
    assert_happened("s gone: keep alive timeout");

    int given = dial(broker); /* its id is made up */
    say(given, "10 | ['MQTT'] 05 02 0000 () []");
    wait_for(&program.happened);
    assert_int_equal(strncmp(program.event[program.seen++], "auto-", 5), 0);
    close(given);
    wait_for(&program.happened);
    program.seen++;

    int last = come(broker, "10 | ['MQTT'] 04 02 0000 ['l']", CONNACK4);
    assert_happened("l as nobody");
    gnatter_broker_stop(broker);
    assert_happened("l gone: server shutting down");
    hear_end(last);
    gnatter_broker_free(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_says_who_comes, make_program, end_program),
        cmocka_unit_test_setup_teardown(what_it_leaves_to_the_broker, make_program, end_program),
        cmocka_unit_test_setup_teardown(and_to_its_users, make_program, end_program),
        cmocka_unit_test_setup_teardown(it_takes_its_time, make_program, end_program),
        cmocka_unit_test_setup_teardown(a_client_goes_while_it_thinks, make_program, end_program),
        cmocka_unit_test_setup_teardown(the_broker_ends_while_it_thinks, make_program, end_program),
        cmocka_unit_test_setup_teardown(it_says_what_they_may_do, make_program, end_program),
        cmocka_unit_test_setup_teardown(one_of_them_says_what_they_may_do, make_program,
                                        end_program),
        cmocka_unit_test_setup_teardown(it_hears_who_comes_and_goes, make_program, end_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
