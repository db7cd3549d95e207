#include "net/resolve.h"

#include "net/tcp.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>

static void assert_first(const struct addrinfo *list, const char *expected)
{
    assert_non_null(list);
    assert_int_equal(list->ai_socktype, SOCK_STREAM);
    char text[64];
    gnt_tcp_address_text(list->ai_addr, text, sizeof text);
    assert_string_equal(text, expected);
}

static void test_numeric(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        uint16_t port;
        const char *text;
    } rows[] = {
        {"127.0.0.1", 1883, "127.0.0.1:1883"},
        {"192.0.2.1", 65535, "192.0.2.1:65535"},
        {"::1", 1, "[::1]:1"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct addrinfo *list;
        assert_int_equal(gnt_resolve(rows[i].host, rows[i].port, false, &list), GNT_OK);
        assert_first(list, rows[i].text);
        assert_null(list->ai_next);
        freeaddrinfo(list);
    }
}

static void test_passive(void **state)
{
    (void)state;
    static const char *const hosts[] = {NULL, ""};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct addrinfo *list;
        assert_int_equal(gnt_resolve(hosts[i], 1883, true, &list), GNT_OK);
        bool any = false;
        for (struct addrinfo *a = list; a; a = a->ai_next) {
            char text[64];
            gnt_tcp_address_text(a->ai_addr, text, sizeof text);
            any |= !strcmp(text, "0.0.0.0:1883");
        }
        assert_true(any);
        freeaddrinfo(list);
    }
}

static void test_no_such_name(void **state)
{
    (void)state;
    /* Not a name at all, so that no server is asked. */
    struct addrinfo *list;
    assert_int_equal(gnt_resolve("no such name", 1883, false, &list), GNT_RESOLVE);
    assert_null(list);
}

struct answer {
    sem_t came;
    gnt_err err;
    struct addrinfo *list;
    pthread_t thread;
    bool signals_blocked;
};

static void keep(void *context, gnt_err err, struct addrinfo *list)
{
    struct answer *a = context;
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    a->signals_blocked = sigismember(&blocked, SIGTERM) == 1;
    a->err = err;
    a->list = list;
    a->thread = pthread_self();
    sem_post(&a->came);
}

static void ask(struct answer *a, const char *host, uint16_t port)
{
    assert_int_equal(sem_init(&a->came, 0, 0), 0);
    char copy[32];
    strcpy(copy, host);
    assert_int_equal(gnt_resolve_start(copy, port, keep, a), GNT_OK);
    memset(copy, 'x', sizeof copy - 1); /* it has been copied */
    while (sem_wait(&a->came))
        ;
    sem_destroy(&a->came);
}

static void test_on_a_thread_of_its_own(void **state)
{
    (void)state;
    struct answer a = {0};
    ask(&a, "127.0.0.1", 1883);
    assert_int_equal(a.err, GNT_OK);
    assert_first(a.list, "127.0.0.1:1883");
    assert_false(pthread_equal(a.thread, pthread_self()));
    assert_true(a.signals_blocked);
    freeaddrinfo(a.list);

    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    assert_int_equal(sigismember(&blocked, SIGTERM), 0); /* as before here */

    ask(&a, "no such name", 1883);
    assert_int_equal(a.err, GNT_RESOLVE);
    assert_null(a.list);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_resolve_start("127.0.0.1", 1883, keep, NULL), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numeric),       cmocka_unit_test(test_passive),
        cmocka_unit_test(test_no_such_name),  cmocka_unit_test(test_on_a_thread_of_its_own),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
