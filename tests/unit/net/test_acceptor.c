/* Connections that a proxy passes on, over real loopback sockets and epoll.  That it accepts at all
 * is in test_tcp.c. */
#include "net/acceptor.h"

#include "base/log.h"
#include "net/epoll.h"
#include "net/proxy.h"
#include "net/tcp.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char line[] = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883\r\n";
static const char v2_local[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

static uint64_t now; /* only the test lets time go by */
static struct gnt_clock still;
static struct gnt_loop loop;
static int listener = -1;
static struct sockaddr_in bound;
static struct gnt_acceptor *acceptor;
static struct gnt_counters counters;
static uint32_t timeout_ms;
static struct gnt_network from;
static struct gnt_networks networks;
static struct gnt_stream *accepted;
static int clients[8], client_count;
static char logged[4096];
static bool free_it; /* the acceptor, from on_accept */

static uint64_t read_now(void *self)
{
    return *(uint64_t *)self;
}

static void on_accept(void *context, struct gnt_stream *s)
{
    assert_null(accepted);
    assert_ptr_equal(context, &loop);
    accepted = s;
    if (free_it)
        gnt_acceptor_free(&acceptor);
}

static void on_log(void *context, enum gnt_log_level level, const char *text, size_t size)
{
    (void)context;
    (void)level;
    size_t used = strlen(logged);
    size = size < sizeof logged - used - 1 ? size : sizeof logged - used - 1;
    memcpy(logged + used, text, size);
    logged[used + size] = '\0';
}

static void expect(const char *proxies)
{
    const char *problem;
    const struct gnt_proxies rule = {&networks, &timeout_ms, &counters};
    networks = (struct gnt_networks){&from, 1};
    assert_int_equal(gnt_network_parse(proxies, &from, &problem), GNT_OK);
    gnt_acceptor_expect(acceptor, &rule);
}

static int setup(void **state)
{
    (void)state;
    struct gnt_poller *poller;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage address;
    now = GNT_NS_PER_S;
    still = (struct gnt_clock){.now_ns = read_now, .wall_ms = read_now, .self = &now};
    assert_int_equal(gnt_epoll_new(&poller), GNT_OK);
    assert_int_equal(gnt_loop_init(&loop, &still, &poller), GNT_OK);
    assert_int_equal(gnt_tcp_listen((struct sockaddr *)&any, sizeof any, 64, &listener, &address),
                     GNT_OK);
    memcpy(&bound, &address, sizeof bound);
    assert_int_equal(gnt_acceptor_new(&loop, listener, on_accept, &loop, &acceptor), GNT_OK);
    counters = (struct gnt_counters){0};
    timeout_ms = 500;
    accepted = NULL;
    client_count = 0;
    logged[0] = '\0';
    free_it = false;
    gnt_log_configure(GNT_LOG_INFO, GNT_LOG_TEXT);
    gnt_log_divert(on_log, NULL);
    expect("127.0.0.0/8");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gnt_log_divert(NULL, NULL);
    gnt_stream_close(&accepted);
    gnt_acceptor_free(&acceptor);
    while (client_count)
        close(clients[--client_count]);
    gnt_loop_fini(&loop);
    close(listener);
    return 0;
}

/* A blocking client, whose connection is in the listener's queue; returns its socket. */
static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&bound, sizeof bound), 0);
    clients[client_count++] = fd;
    return fd;
}

static void hang_up(void)
{
    gnt_stream_close(&accepted);
    close(clients[--client_count]);
}

static void say(int fd, const void *bytes, size_t size)
{
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* Turns until CONDITION; what never comes ends with the test's own time-out. */
#define TURN_UNTIL(condition) \
    while (!(condition))      \
    gnt_loop_turn(&loop, GNT_NS_PER_MS)

static uint64_t counted(enum gnt_counter which)
{
    return gnt_counted(&counters, which);
}

static void assert_peer(const char *expected)
{
    struct sockaddr_storage address;
    char text[64];
    gnt_stream_peer(accepted, text, sizeof text);
    assert_string_equal(text, expected);
    gnt_stream_address(accepted, &address);
    gnt_tcp_address_text((struct sockaddr *)&address, text, sizeof text);
    assert_string_equal(text, expected);
}

/* Nothing of the header is left, and all that stood behind it. */
static void assert_next(const char *expected)
{
    char got[64];
    size_t n, size = 0;
    while (size < strlen(expected)) {
        gnt_err err = gnt_stream_read(accepted, got + size, sizeof got - size, &n);
        if (err == GNT_MORE) {
            TURN_UNTIL(accepted->events & GNT_READABLE);
            continue;
        }
        assert_int_equal(err, GNT_OK);
        size += n;
    }
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(got, expected, size);
}

static void test_at_once(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, line, strlen(line));
    say(fd, "hello", 5);
    TURN_UNTIL(accepted);
    assert_peer("192.0.2.1:56324");
    assert_next("hello");
    say(fd, "more", 4);
    assert_next("more");
    assert_int_equal(counted(GNT_COUNT_CONNECTIONS_REFUSED), 0);
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= strlen(line); cut++) {
        int fd = dial();
        say(fd, line, cut);
        for (int i = 0; i < 3; i++)
            gnt_loop_turn(&loop, 0);
        assert_true(!accepted == (cut < strlen(line)));
        say(fd, line + cut, strlen(line) - cut);
        say(fd, "hello", 5);
        TURN_UNTIL(accepted);
        assert_peer("192.0.2.1:56324");
        assert_next("hello");
        hang_up();
    }
    assert_string_equal(logged, "");
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    int fd = dial();
    for (size_t i = 0; i < strlen(line); i++) {
        assert_null(accepted);
        say(fd, line + i, 1);
        gnt_loop_turn(&loop, 10 * GNT_NS_PER_MS);
        gnt_loop_turn(&loop, 0);
    }
    TURN_UNTIL(accepted);
    assert_peer("192.0.2.1:56324");
    say(fd, "x", 1);
    assert_next("x");
}

static void test_largest_header(void **state)
{
    (void)state;
    static char header[GNT_PROXY_HEADER_MAX];
    int fd = dial();
    memcpy(header, v2_local, 16);
    header[14] = (char)((GNT_PROXY_HEADER_MAX - 16) >> 8);
    header[15] = (char)((GNT_PROXY_HEADER_MAX - 16) & 0xff);
    say(fd, header, 2000);
    gnt_loop_turn(&loop, 0);
    say(fd, header + 2000, sizeof header - 2000);
    say(fd, "behind", 6);
    TURN_UNTIL(accepted);
    assert_next("behind");
}

static void test_own_address_where_none_is_told(void **state)
{
    (void)state;
    struct sockaddr_in own;
    char text[64];
    int fd = dial();
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &(socklen_t){sizeof own}), 0);
    gnt_tcp_address_text((struct sockaddr *)&own, text, sizeof text);
    say(fd, v2_local, 16);
    TURN_UNTIL(accepted);
    assert_peer(text);
}

static void test_others_are_not_asked(void **state)
{
    (void)state;
    expect("192.0.2.0/24");
    int fd = dial();
    say(fd, line, strlen(line));
    TURN_UNTIL(accepted);
    char text[64];
    gnt_stream_peer(accepted, text, sizeof text);
    assert_memory_equal(text, "127.0.0.1:", 10);
    assert_next(line);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *words;
    } rows[] = {
        {"\x10\x0c", "a proxy that sends no PROXY header"},
        {"PROXY TCP4 no\r\n", "malformed PROXY header"},
        {"PROXY UNKNOWN "
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxxxxxx",
         "PROXY header too large"},
    };
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        /* As it comes in, and while it is waited for. */
        for (unsigned late = 0; late < 2; late++) {
            unsigned before = 2 * i + late;
            char byte;
            int fd = dial();
            logged[0] = '\0';
            say(fd, rows[i].bytes, late ? 1 : strlen(rows[i].bytes));
            gnt_loop_turn(&loop, GNT_NS_PER_MS);
            if (late)
                (void)send(fd, rows[i].bytes + 1, strlen(rows[i].bytes) - 1, MSG_NOSIGNAL);
            TURN_UNTIL(counted(GNT_COUNT_CONNECTIONS_REFUSED) == before + 1);
            assert_int_equal(counted(GNT_COUNT_CONNECTIONS_ACCEPTED), before + 1);
            assert_int_equal(counted(GNT_COUNT_PROTOCOL_ERRORS), before + 1);
            assert_non_null(strstr(logged, rows[i].words));
            assert_non_null(strstr(logged, "from=127.0.0.1:"));
            assert_null(accepted);
            assert_true(recv(fd, &byte, 1, 0) <= 0);
            close(clients[--client_count]);
        }
    }
}

static void test_gone_before_its_header(void **state)
{
    (void)state;
    for (unsigned size = 0; size < 3; size++) {
        int fd = dial();
        say(fd, line, size);
        gnt_loop_turn(&loop, GNT_NS_PER_MS);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        TURN_UNTIL(counted(GNT_COUNT_CONNECTIONS_REFUSED) == size + 1);
        close(clients[--client_count]);
    }
    assert_int_equal(counted(GNT_COUNT_PROTOCOL_ERRORS), 0);
    assert_non_null(strstr(logged, "closed before its PROXY header"));
}

static void test_time_is_bounded(void **state)
{
    (void)state;
    int fd = dial();
    say(fd, line, 10);
    for (int i = 0; i < 3; i++)
        gnt_loop_turn(&loop, 10 * GNT_NS_PER_MS);
    now += (uint64_t)timeout_ms * GNT_NS_PER_MS - 1;
    say(fd, line + 10, 10); /* which does not make it longer */
    for (int i = 0; i < 3; i++)
        gnt_loop_turn(&loop, 0);
    assert_int_equal(counted(GNT_COUNT_CONNECTIONS_REFUSED), 0);
    now += 2 * GNT_NS_PER_MS;
    gnt_loop_turn(&loop, 0);
    assert_int_equal(counted(GNT_COUNT_CONNECTIONS_REFUSED), 1);
    assert_int_equal(counted(GNT_COUNT_PROTOCOL_ERRORS), 0);
    assert_non_null(strstr(logged, "no PROXY header in time"));
    assert_null(accepted);
}

static void test_a_slow_one_holds_nobody_up(void **state)
{
    (void)state;
    int slow = dial();
    say(slow, line, 1);
    gnt_loop_turn(&loop, GNT_NS_PER_MS);
    int quick = dial();
    say(quick, line, strlen(line));
    TURN_UNTIL(accepted);
    say(quick, "quick", 5);
    assert_next("quick");
    gnt_stream_close(&accepted);
    say(slow, line + 1, strlen(line) - 1);
    say(slow, "slow", 4);
    TURN_UNTIL(accepted);
    assert_next("slow");
}

/* Of very many the first has to go, without a word being lost of the others. */
static void test_number_is_bounded(void **state)
{
    (void)state;
    enum { MOST = 1000, SPARE = 100 };
    static int waiting[MOST + 1];
    struct rlimit files;
    char byte;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_max < 2 * MOST + SPARE)
        skip();
    struct rlimit more = {2 * MOST + SPARE, files.rlim_max};
    if (files.rlim_cur < more.rlim_cur)
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &more), 0);
    for (int i = 0; i <= MOST; i++) {
        assert_int_equal(counted(GNT_COUNT_CONNECTIONS_REFUSED), 0);
        waiting[i] = dial();
        client_count--;
        say(waiting[i], line, 1);
        gnt_loop_turn(&loop, GNT_NS_PER_MS);
    }
    TURN_UNTIL(counted(GNT_COUNT_CONNECTIONS_REFUSED) == 1);
    assert_true(recv(waiting[0], &byte, 1, 0) <= 0);
    say(waiting[1], line + 1, strlen(line) - 1);
    TURN_UNTIL(accepted);
    assert_int_equal(counted(GNT_COUNT_CONNECTIONS_REFUSED), 1);
    for (int i = 0; i <= MOST; i++)
        close(waiting[i]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
}

static void test_freed_while_some_wait(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        say(dial(), line, (size_t)i * 5);
    gnt_loop_turn(&loop, GNT_NS_PER_MS);
    gnt_loop_turn(&loop, GNT_NS_PER_MS);
    gnt_acceptor_free(&acceptor);
    for (int i = 0; i < 3; i++) {
        char byte;
        assert_true(recv(clients[i], &byte, 1, 0) <= 0);
    }
}

/* By who gets the first of two whose headers are complete in the same turn. */
static void test_freed_by_who_gets_one(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        int a = dial(), b = dial();
        if (late)
            for (int i = 0; i < 3; i++)
                gnt_loop_turn(&loop, GNT_NS_PER_MS);
        say(a, line, strlen(line));
        say(b, line, strlen(line));
        free_it = true;
        TURN_UNTIL(accepted);
        assert_null(acceptor);
        gnt_loop_turn(&loop, 0);
        hang_up();
        close(clients[--client_count]);
        free_it = false;
        assert_int_equal(gnt_acceptor_new(&loop, listener, on_accept, &loop, &acceptor), GNT_OK);
        expect("127.0.0.1");
        for (int i = 0; i < 3; i++) /* the other one, where it was left in the queue */
            gnt_loop_turn(&loop, GNT_NS_PER_MS);
        gnt_stream_close(&accepted);
    }
}

/* It pauses, as without a proxy, and the next one is served. */
static void test_out_of_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        int fd = dial();
        say(fd, line, 4);
        gnt_alloc_fail_at(n);
        gnt_loop_turn(&loop, GNT_NS_PER_MS);
        failed = gnt_alloc_failed();
        (void)send(fd, line + 4, strlen(line) - 4, MSG_NOSIGNAL);
        for (int i = 0; i < 4 && !accepted; i++)
            gnt_loop_turn(&loop, GNT_NS_PER_MS);
        failed = failed || gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_true(!accepted == failed);
        hang_up();
        now += GNT_NS_PER_S;
        gnt_loop_turn(&loop, 0);
    }
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_at_once),
        T(test_cut_anywhere),
        T(test_byte_by_byte),
        T(test_largest_header),
        T(test_own_address_where_none_is_told),
        T(test_others_are_not_asked),
        T(test_refused),
        T(test_gone_before_its_header),
        T(test_time_is_bounded),
        T(test_a_slow_one_holds_nobody_up),
        T(test_number_is_bounded),
        T(test_freed_while_some_wait),
        T(test_freed_by_who_gets_one),
        T(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
