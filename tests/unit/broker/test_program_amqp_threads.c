/* What a program that has the broker inside has its say in about clients of AMQP, with our own. */
#include <gnatter/amqp.h>
#include <gnatter/broker.h>

#include "support/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { PATIENCE_MS = 30000, LOG_SIZE = 2048 };

/* What it was asked and told; under the lock. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char log[LOG_SIZE];
} program = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void note(const char *text)
{
    pthread_mutex_lock(&program.lock);
    size_t used = strlen(program.log);
    (void)snprintf(program.log + used, LOG_SIZE - used, "%s; ", text);
    pthread_cond_broadcast(&program.changed);
    pthread_mutex_unlock(&program.lock);
}

/* Waits until it has been noted. */
static void await(const char *text)
{
    struct timespec until;
    int failed = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&program.lock);
    while (!failed && !strstr(program.log, text))
        failed = pthread_cond_timedwait(&program.changed, &program.lock, &until);
    pthread_mutex_unlock(&program.lock);
    if (failed)
        fail_msg("expected %s in: %s", text, program.log);
}

static enum gnatter_login_answer authenticate(void *context, const struct gnatter_login *login,
                                              char user[GNATTER_USER_SIZE])
{
    assert_ptr_equal(context, &program);
    assert_string_equal(login->protocol, "amqp");
    assert_string_equal(user, login->user ? login->user : "");
    if (!login->user)
        return strcmp(login->client_id, "known") == 0 ? GNATTER_LOGIN_ACCEPT : GNATTER_LOGIN_REFUSE;
    if (strcmp(login->user, "guest") == 0)
        (void)snprintf(user, GNATTER_USER_SIZE, "somebody");
    return login->password_size == 4 && memcmp(login->password, "word", 4) == 0
               ? GNATTER_LOGIN_ACCEPT
               : GNATTER_LOGIN_REFUSE;
}

/* Everybody may send to "orders" and below "open/" everything. */
static bool authorize(void *context, const struct gnatter_wanted *wanted)
{
    assert_ptr_equal(context, &program);
    if (strncmp(wanted->topic, "open/", 5) == 0)
        return true;
    return wanted->action == GNATTER_ACTION_SEND && strcmp(wanted->topic, "orders") == 0;
}

static void came(void *context, const struct gnatter_guest *guest)
{
    char text[256];
    assert_ptr_equal(context, &program);
    (void)snprintf(text, sizeof text, "%s %s came as %s", guest->protocol, guest->client_id,
                   guest->user ? guest->user : "nobody");
    note(text);
}

static void went(void *context, const struct gnatter_guest *guest, const char *why)
{
    char text[256];
    assert_ptr_equal(context, &program);
    (void)snprintf(text, sizeof text, "%s %s went: %s", guest->protocol, guest->client_id, why);
    note(text);
}

static gnatter_broker *start(void)
{
    static const char *const any_port[] = {"amqp://127.0.0.1:0"};
    struct gnatter_broker_options options;
    gnatter_broker *broker = NULL;
    char problem[512] = "";
    gnatter_broker_options_init(&options);
    options.listeners = any_port;
    options.listener_count = 1;
    options.workers = 2;
    options.problem = problem;
    options.problem_size = sizeof problem;
    options.authenticate = authenticate;
    options.authorize = authorize;
    options.on_client_came = came;
    options.on_client_went = went;
    options.context = &program;
    program.log[0] = '\0';
    if (gnatter_broker_new(&options, &broker))
        fail_msg("%s", problem);
    assert_int_equal(gnatter_broker_start(broker), 0);
    return broker;
}

/* A client that has tried to connect; *error is what came of it. */
static gnatter_amqp *come(const gnatter_broker *broker, const char *container, const char *user,
                          const char *password, const char *mechanism, int *error)
{
    struct gnatter_amqp_options options;
    gnatter_amqp *amqp = NULL;
    gnatter_amqp_options_init(&options);
    options.url = gnatter_broker_url(broker, 0);
    options.container_id = container;
    options.user = user;
    options.password = password;
    options.mechanism = mechanism;
    options.no_reconnect = true;
    assert_int_equal(gnatter_amqp_new(&options, &amqp), 0);
    *error = gnatter_amqp_connect(amqp, PATIENCE_MS);
    return amqp;
}

static void who_may_come(void **state)
{
    (void)state;
    static const struct {
        const char *container, *user, *password, *mechanism;
        const char *told; /* NULL: it is refused */
    } rows[] = {
        {"c1", "ann", "word", NULL, "amqp c1 came as ann; "},
        {"c2", "guest", "word", NULL, "amqp c2 came as somebody; "},
        {"c3", "ann", "another", NULL, NULL},
        {"c4", NULL, NULL, NULL, NULL}, /* by SASL its id is not known when it is asked about */
        {"known", NULL, NULL, "none", "amqp known came as nobody; "},
        {"c5", NULL, NULL, "none", NULL},
    };
    gnatter_broker *broker = start();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int error;
        char text[64];
        gnatter_amqp *amqp = come(broker, rows[i].container, rows[i].user, rows[i].password,
                                  rows[i].mechanism, &error);
        print_message("%s: %s\n", rows[i].container, gnatter_error_text(error));
        if (rows[i].told)
            await(rows[i].told);
        assert_int_equal(!error, rows[i].told != NULL);
        gnatter_amqp_free(amqp);
        (void)snprintf(text, sizeof text, "amqp %s went: ", rows[i].container);
        if (rows[i].told)
            await(text);
    }
    gnatter_broker_free(broker);
    assert_null(strstr(program.log, "c3"));
    assert_null(strstr(program.log, "c4"));
    assert_null(strstr(program.log, "c5"));
}

static void what_they_may_do(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool may_send, may_listen;
    } rows[] = {
        {"orders", true, false}, {"ORDERS", true, false},     {"others", false, false},
        {"open/q", true, true},  {"topic://a", false, false}, {"topic://open/a", true, true},
    };
    gnatter_broker *broker = start();
    int error;
    gnatter_amqp *amqp = come(broker, "c1", "ann", "word", NULL, &error);
    assert_int_equal(error, 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct gnatter_amqp_link link = {.address = rows[i].address};
        gnatter_amqp_sender *sender;
        gnatter_amqp_receiver *receiver;
        print_message("%s\n", rows[i].address);
        assert_int_equal(gnatter_amqp_sender_new(amqp, &link, &sender), 0);
        assert_int_equal(gnatter_amqp_sender_ready(sender, PATIENCE_MS),
                         rows[i].may_send ? 0 : GNATTER_EREFUSED);
        gnatter_amqp_sender_free(sender);
        assert_int_equal(gnatter_amqp_receiver_new(amqp, &link, &receiver), 0);
        assert_int_equal(gnatter_amqp_receiver_ready(receiver, PATIENCE_MS),
                         rows[i].may_listen ? 0 : GNATTER_EREFUSED);
        gnatter_amqp_receiver_free(receiver);
    }
    gnatter_amqp_free(amqp);
    gnatter_broker_free(broker);
}

/* Whoever is still there when the broker ends has gone, too. */
static void the_end(void **state)
{
    (void)state;
    gnatter_broker *broker = start();
    int error;
    gnatter_amqp *amqp = come(broker, "c1", "ann", "word", NULL, &error);
    assert_int_equal(error, 0);
    await("came as ann");
    gnatter_broker_free(broker);
    await("amqp c1 went: ");
    gnatter_amqp_free(amqp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_come),
        cmocka_unit_test(what_they_may_do),
        cmocka_unit_test(the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
