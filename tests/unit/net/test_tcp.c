/* Over real loopback sockets and epoll. */
#include "net/tcp.h"

#include "base/log.h"
#include "net/acceptor.h"
#include "net/epoll.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { A, B, LOOPS };

static struct gnt_loop loops[LOOPS];
static int listener = -1;
static struct sockaddr_storage bound;
static struct gnt_acceptor *acceptors[LOOPS];
static struct gnt_stream *accepted[64];
static int accepted_count;
static struct gnt_stream *client;

static void on_accept(void *context, struct gnt_stream *s)
{
    assert_ptr_equal(s->loop, context);
    assert_true(accepted_count < 64);
    accepted[accepted_count++] = s;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < LOOPS; i++) {
        struct gnt_poller *poller;
        assert_int_equal(gnt_epoll_new(&poller), GNT_OK);
        assert_int_equal(gnt_loop_init(&loops[i], &gnt_clock_system, &poller), GNT_OK);
    }
    struct sockaddr_in address = loopback(0);
    assert_int_equal(
        gnt_tcp_listen((struct sockaddr *)&address, sizeof address, 64, &listener, &bound), GNT_OK);
    accepted_count = 0;
    return gnt_acceptor_new(&loops[A], listener, on_accept, &loops[A], &acceptors[A]);
}

static int teardown(void **state)
{
    (void)state;
    gnt_stream_close(&client);
    for (int i = 0; i < accepted_count; i++)
        gnt_stream_close(&accepted[i]);
    for (int i = 0; i < LOOPS; i++) {
        gnt_acceptor_free(&acceptors[i]);
        gnt_loop_fini(&loops[i]);
    }
    close(listener);
    return 0;
}

/* Turns both loops until CONDITION; what never comes ends with the test's own time-out. */
#define TURN_UNTIL(condition)                    \
    while (!(condition)) {                       \
        gnt_loop_turn(&loops[A], GNT_NS_PER_MS); \
        if (!(condition))                        \
            gnt_loop_turn(&loops[B], 0);         \
    }

static struct gnt_stream *connect_to(const void *address, socklen_t size, struct gnt_loop *loop)
{
    struct gnt_stream *s;
    assert_int_equal(gnt_tcp_connect(loop, address, size, &s), GNT_OK);
    return s;
}

/* client in loop A, and accepted[0]. */
static void connect_client(void)
{
    client = connect_to(&bound, sizeof(struct sockaddr_in), &loops[A]);
    TURN_UNTIL((client->events & GNT_WRITABLE) && accepted_count == 1);
}

static gnt_err write_bytes(struct gnt_stream *s, const char *text, size_t size, size_t *n)
{
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    gnt_err err = gnt_stream_writev(s, &(struct iovec){copy, size}, 1, n);
    free(copy);
    return err;
}

static void assert_written(struct gnt_stream *s, const char *text)
{
    size_t n;
    assert_int_equal(write_bytes(s, text, strlen(text), &n), GNT_OK);
    assert_int_equal(n, strlen(text));
}

/* The next thing that a read says, once there is something. */
static gnt_err read_next(struct gnt_stream *s, char *to, size_t cap, size_t *n)
{
    gnt_err err;
    while ((err = gnt_stream_read(s, to, cap, n)) == GNT_MORE)
        TURN_UNTIL(s->events & GNT_READABLE);
    return err;
}

static void assert_read(struct gnt_stream *s, const char *expected)
{
    char got[64];
    size_t n, left = strlen(expected);
    for (; left; left -= n, expected += n) {
        assert_int_equal(read_next(s, got, left, &n), GNT_OK);
        assert_memory_equal(got, expected, n);
    }
}

static void assert_end(struct gnt_stream *s, gnt_err expected)
{
    char got[64];
    size_t n;
    assert_int_equal(read_next(s, got, sizeof got, &n), expected);
}

static void test_both_ways(void **state)
{
    (void)state;
    connect_client();
    assert_written(client, "hello");
    assert_read(accepted[0], "hello");
    assert_written(accepted[0], "world");
    assert_read(client, "world");
    char peer[64], expected[64];
    gnt_tcp_address_text((struct sockaddr *)&bound, expected, sizeof expected);
    gnt_stream_peer(client, peer, sizeof peer);
    assert_string_equal(peer, expected);
    assert_memory_equal(peer, "127.0.0.1:", 10);
    gnt_stream_peer(accepted[0], peer, sizeof peer);
    assert_memory_equal(peer, "127.0.0.1:", 10);
    assert_string_not_equal(peer, expected);
    struct sockaddr_storage address;
    gnt_stream_address(client, &address);
    assert_memory_equal(&address, &bound, sizeof(struct sockaddr_in));
    gnt_stream_address(accepted[0], &address);
    gnt_tcp_address_text((struct sockaddr *)&address, expected, sizeof expected);
    assert_string_equal(peer, expected);
}

static void test_short_read_saves_the_next(void **state)
{
    (void)state;
    connect_client();
    assert_written(client, "0123456789");
    TURN_UNTIL(accepted[0]->events & GNT_READABLE);
    char got[64];
    size_t n;
    assert_int_equal(gnt_stream_read(accepted[0], got, 4, &n), GNT_OK);
    assert_true(accepted[0]->events & GNT_READABLE);
    assert_int_equal(gnt_stream_read(accepted[0], got, sizeof got, &n), GNT_OK);
    assert_int_equal(n, 6);
    assert_false(accepted[0]->events & GNT_READABLE);
    assert_written(client, "more"); /* is a new edge */
    TURN_UNTIL(accepted[0]->events & GNT_READABLE);
    assert_read(accepted[0], "more");
}

/* A port that nobody listens on: one that was free a moment ago. */
static uint16_t closed_port(void)
{
    struct sockaddr_in address = loopback(0);
    struct sockaddr_storage got;
    int fd;
    assert_int_equal(gnt_tcp_listen((struct sockaddr *)&address, sizeof address, 1, &fd, &got),
                     GNT_OK);
    close(fd);
    return ntohs(((struct sockaddr_in *)&got)->sin_port);
}

static void test_refused(void **state)
{
    (void)state;
    struct sockaddr_in address = loopback(closed_port());
    client = connect_to(&address, sizeof address, &loops[A]);
    TURN_UNTIL(client->events & GNT_WRITABLE);
    size_t n;
    assert_int_equal(write_bytes(client, "x", 1, &n), GNT_REFUSED);
    assert_end(client, GNT_REFUSED); /* it stays so */
    assert_int_equal(write_bytes(client, "x", 1, &n), GNT_REFUSED);
    gnt_stream_close(&client);
    client = connect_to(&address, sizeof address, &loops[A]);
    TURN_UNTIL(client->events & GNT_READABLE);
    assert_end(client, GNT_REFUSED);
}

static void test_nothing_works_before_it_is_connected(void **state)
{
    (void)state;
    client = connect_to(&bound, sizeof(struct sockaddr_in), &loops[A]);
    assert_int_equal(client->events, 0); /* the loop has not turned yet */
    char got[4];
    size_t n;
    assert_int_equal(gnt_stream_read(client, got, sizeof got, &n), GNT_MORE);
    assert_int_equal(write_bytes(client, "x", 1, &n), GNT_MORE);
    TURN_UNTIL(client->events & GNT_WRITABLE);
    assert_written(client, "x");
}

enum { LARGE = 8 << 20 };

static char pattern(size_t i)
{
    return (char)(i * 31 + (i >> 13));
}

static char *large;
static size_t large_sent;

static void send_large(struct gnt_stream *s)
{
    struct iovec iov[GNT_STREAM_IOV_MAX];
    size_t at = large_sent, n;
    int count = 0;
    for (; count < GNT_STREAM_IOV_MAX && at < LARGE; count++, at += 10000)
        iov[count] = (struct iovec){large + at, LARGE - at < 10000 ? LARGE - at : 10000};
    gnt_err err = gnt_stream_writev(s, iov, count, &n);
    assert_true(err == GNT_OK || err == GNT_MORE);
    large_sent += n;
    if (large_sent < LARGE)
        return;
    gnt_stream_want(s, 0);
    gnt_stream_finish(s);
}

static void test_large_transfer_to_a_slow_reader(void **state)
{
    (void)state;
    connect_client();
    large = malloc(LARGE);
    assert_non_null(large);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = pattern(i);
    large_sent = 0;
    client->on_ready = send_large;
    gnt_stream_want(client, GNT_WRITABLE);
    /* The writer is stopped by a reader that does not read, and hears when it goes on. */
    TURN_UNTIL(!(client->events & GNT_WRITABLE));
    assert_true(large_sent > 0 && large_sent < LARGE);
    static char got[100000];
    size_t n, received = 0;
    gnt_err err;
    while ((err = read_next(accepted[0], got, sizeof got, &n)) == GNT_OK) {
        for (size_t i = 0; i < n; i++)
            if (got[i] != pattern(received + i))
                fail_msg("byte %zu is wrong", received + i);
        received += n;
    }
    assert_int_equal(err, GNT_CLOSED);
    assert_int_equal(received, LARGE);
    free(large);
}

static void test_finish_is_seen_after_the_data(void **state)
{
    (void)state;
    connect_client();
    assert_written(client, "goodbye");
    gnt_stream_finish(client);
    TURN_UNTIL(accepted[0]->events & GNT_READABLE);
    /* A read that is cut short by what there is must not hide the end, which is told only once. */
    char got[64];
    size_t n;
    assert_int_equal(read_next(accepted[0], got, sizeof got, &n), GNT_OK);
    assert_int_equal(n, 7);
    assert_true(accepted[0]->events & GNT_READABLE);
    assert_end(accepted[0], GNT_CLOSED);
    assert_written(accepted[0], "the other direction is open");
    assert_read(client, "the other direction is open");
    gnt_stream_close(&accepted[0]);
    assert_end(client, GNT_CLOSED);
    assert_int_equal(write_bytes(client, "x", 1, &n), GNT_CLOSED); /* and no SIGPIPE */
}

static void test_finish_before_the_reader_turns(void **state)
{
    (void)state;
    connect_client();
    gnt_loop_turn(&loops[A], 0);
    assert_written(client, "data and end in one edge");
    gnt_stream_finish(client);
    TURN_UNTIL(accepted[0]->events & GNT_READABLE);
    assert_read(accepted[0], "data and end in one edge");
    assert_end(accepted[0], GNT_CLOSED);
    assert_end(accepted[0], GNT_CLOSED);
}

static void test_end_between_wait_and_read(void **state)
{
    (void)state;
    connect_client();
    assert_written(client, "data");
    TURN_UNTIL(accepted[0]->events & GNT_READABLE);
    gnt_stream_finish(client); /* not notified yet: it is an edge of its own */
    char got[64];
    size_t n;
    assert_int_equal(gnt_stream_read(accepted[0], got, sizeof got, &n), GNT_OK);
    assert_end(accepted[0], GNT_CLOSED);
}

static int raw_client(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&bound, sizeof(struct sockaddr_in)), 0);
    return fd;
}

static void test_reset(void **state)
{
    (void)state;
    int fd = raw_client();
    TURN_UNTIL(accepted_count == 1);
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(fd);
    TURN_UNTIL(accepted[0]->events & GNT_READABLE);
    assert_end(accepted[0], GNT_CLOSED);
    char peer[64];
    gnt_stream_peer(accepted[0], peer, sizeof peer);
    assert_memory_equal(peer, "127.0.0.1:", 10); /* still known */
}

static void test_close_with_unread_input_loses_no_output(void **state)
{
    (void)state;
    int fd = raw_client();
    static char much[1000];
    assert_int_equal(send(fd, much, sizeof much, 0), sizeof much);
    TURN_UNTIL(accepted_count == 1 && (accepted[0]->events & GNT_READABLE));
    assert_written(accepted[0], "refused, and why");
    gnt_stream_close(&accepted[0]);
    char got[64];
    assert_int_equal(recv(fd, got, sizeof got, 0), 16);
    assert_memory_equal(got, "refused, and why", 16);
    assert_int_equal(recv(fd, got, sizeof got, 0), 0);
    int number;
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &(socklen_t){sizeof number}), 0);
    assert_int_equal(number, 0); /* an end, not a reset */
    close(fd);
}

static void test_move_with_unread_data(void **state)
{
    (void)state;
    connect_client();
    assert_written(client, "before");
    TURN_UNTIL(accepted[0]->events & GNT_READABLE);
    assert_int_equal(gnt_stream_move(accepted[0], NULL), GNT_OK);
    assert_null(accepted[0]->loop);
    assert_written(client, " between");
    gnt_loop_turn(&loops[A], 0);
    assert_int_equal(gnt_stream_move(accepted[0], &loops[B]), GNT_OK);
    accepted[0]->events = 0; /* the new loop's poller tells it all again */
    TURN_UNTIL(accepted[0]->events == (GNT_READABLE | GNT_WRITABLE));
    assert_read(accepted[0], "before between");
    assert_written(client, " after");
    assert_read(accepted[0], " after");
    assert_int_equal(gnt_stream_move(accepted[0], NULL), GNT_OK);
    assert_written(client, "last");
    gnt_stream_close(&client); /* while it is in no loop */
    assert_int_equal(gnt_stream_move(accepted[0], &loops[A]), GNT_OK);
    assert_read(accepted[0], "last");
    assert_end(accepted[0], GNT_CLOSED);
    assert_int_equal(gnt_stream_move(accepted[0], NULL), GNT_OK); /* and closed in no loop */
}

static void test_accept_from_two_loops(void **state)
{
    (void)state;
    assert_int_equal(gnt_acceptor_new(&loops[B], listener, on_accept, &loops[B], &acceptors[B]),
                     GNT_OK);
    int fds[16];
    for (int i = 0; i < 16; i++) {
        fds[i] = raw_client();
        /* Whichever of the two turns, takes it. */
        gnt_loop_turn(&loops[i % 2], GNT_NS_PER_S);
        assert_int_equal(accepted_count, i + 1);
        assert_ptr_equal(accepted[i]->loop, &loops[i % 2]);
    }
    gnt_acceptor_free(&acceptors[A]);
    int last = raw_client();
    TURN_UNTIL(accepted_count == 17);
    assert_ptr_equal(accepted[16]->loop, &loops[B]);
    for (int i = 0; i < 16; i++)
        close(fds[i]);
    close(last);
}

static void free_and_close(void *context, struct gnt_stream *s)
{
    (void)context;
    gnt_acceptor_free(&acceptors[A]);
    gnt_stream_close(&s);
    accepted_count++;
}

static void test_acceptor_freed_by_its_callback(void **state)
{
    (void)state;
    gnt_acceptor_free(&acceptors[A]);
    assert_int_equal(gnt_acceptor_new(&loops[A], listener, free_and_close, NULL, &acceptors[A]),
                     GNT_OK);
    int one = raw_client(), other = raw_client();
    gnt_loop_turn(&loops[A], GNT_NS_PER_S);
    assert_int_equal(accepted_count, 1);
    gnt_loop_turn(&loops[A], 0);
    assert_int_equal(accepted_count, 1);
    accepted_count = 0;
    close(one);
    close(other);
}

static unsigned log_lines;

static void count_line(void *context, enum gnt_log_level level, const char *line, size_t size)
{
    (void)context;
    assert_int_equal(level, GNT_LOG_WARNING);
    assert_non_null(memmem(line, size, "accept_paused", 13));
    log_lines++;
}

static void test_out_of_descriptors(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int fd = raw_client();
    /* The lowest free number is what the next descriptor would get. */
    int next = dup(fd);
    close(next);
    struct rlimit none = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    log_lines = 0;
    gnt_log_divert(count_line, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    gnt_loop_turn(&loops[A], GNT_NS_PER_S);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    gnt_log_divert(NULL, NULL);
    assert_int_equal(accepted_count, 0);
    assert_int_equal(log_lines, 1);
    uint64_t paused = loops[A].now;
    gnt_loop_turn(&loops[A], 0); /* the connection waits, and does not keep the loop busy */
    assert_int_equal(accepted_count, 0);
    TURN_UNTIL(accepted_count == 1);
    assert_true(loops[A].now - paused >= 100 * GNT_NS_PER_MS);
    close(fd);
}

static void test_acceptor_freed_while_it_pauses(void **state)
{
    (void)state;
    gnt_log_divert(count_line, NULL);
    int fd = raw_client();
    gnt_alloc_fail_at(0); /* of the stream */
    gnt_loop_turn(&loops[A], GNT_NS_PER_S);
    assert_true(gnt_alloc_failed());
    gnt_alloc_fail_at(-1);
    gnt_log_divert(NULL, NULL);
    assert_int_equal(accepted_count, 0);
    char got;
    assert_int_equal(recv(fd, &got, 1, 0), 0); /* that one is closed */
    gnt_acceptor_free(&acceptors[A]);
    assert_int_equal(gnt_timers_next(&loops[A].timers), GNT_NEVER);
    close(fd);
}

static void test_listen(void **state)
{
    (void)state;
    int fd = -1;
    errno = 0;
    assert_int_equal(gnt_tcp_listen((struct sockaddr *)&bound, sizeof(struct sockaddr_in), 1, &fd,
                                    NULL),
                     GNT_BUSY);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(fd, -1);
    assert_true(fcntl(listener, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
    /* The same port for IPv6 is another one. */
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_port = ((struct sockaddr_in *)&bound)->sin_port};
    gnt_err err = gnt_tcp_listen((struct sockaddr *)&v6, sizeof v6, 1, &fd, NULL);
    if (err == GNT_IO)
        skip(); /* a machine without IPv6 */
    assert_int_equal(err, GNT_OK);
    close(fd);
}

static const struct sockaddr nobody = {.sa_family = AF_UNIX};

static void test_socket_that_is_connected_already(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(gnt_tcp_stream(&loops[A], fds[0], &nobody, &client), GNT_OK);
    assert_int_equal(write(fds[1], "pipes work, too", 15), 15);
    assert_read(client, "pipes work, too");
    char peer[16];
    gnt_stream_peer(client, peer, sizeof peer);
    assert_string_equal(peer, "unix");
    struct sockaddr_storage address;
    gnt_stream_address(client, &address);
    assert_int_equal(address.ss_family, AF_UNIX);
    close(fds[1]);
    assert_end(client, GNT_CLOSED);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_tcp_stream(&loops[A], fds[0], &nobody, &client), GNT_NOMEM);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1); /* taken on failure, too */
    close(fds[1]);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_tcp_connect(&loops[A], (struct sockaddr *)&bound,
                                     sizeof(struct sockaddr_in), &client),
                     GNT_NOMEM);
    assert_null(client);
    gnt_alloc_fail_at(0);
    struct gnt_acceptor *a;
    assert_int_equal(gnt_acceptor_new(&loops[A], listener, on_accept, NULL, &a), GNT_NOMEM);
    gnt_alloc_fail_at(0);
    struct gnt_poller *poller;
    assert_int_equal(gnt_epoll_new(&poller), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        int family;
        const char *host;
        uint16_t port;
        const char *text;
        bool loopback;
    } rows[] = {
        {AF_INET, "127.0.0.1", 1883, "127.0.0.1:1883", true},
        {AF_INET, "127.255.0.2", 1, "127.255.0.2:1", true},
        {AF_INET, "128.0.0.1", 1, "128.0.0.1:1", false},
        {AF_INET, "255.255.255.255", 65535, "255.255.255.255:65535", false},
        {AF_INET6, "::1", 1883, "[::1]:1883", true},
        {AF_INET6, "2001:db8::42", 0, "[2001:db8::42]:0", false},
        {AF_UNIX, NULL, 0, "unix", false},
        {AF_UNSPEC, NULL, 0, "unknown", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(rows[i].port)};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(rows[i].port)};
        struct sockaddr other = {.sa_family = (sa_family_t)rows[i].family};
        struct sockaddr *address = &other;
        if (rows[i].family == AF_INET) {
            assert_int_equal(inet_pton(AF_INET, rows[i].host, &v4.sin_addr), 1);
            address = (struct sockaddr *)&v4;
        } else if (rows[i].family == AF_INET6) {
            assert_int_equal(inet_pton(AF_INET6, rows[i].host, &v6.sin6_addr), 1);
            address = (struct sockaddr *)&v6;
        }
        char text[64];
        gnt_tcp_address_text(address, text, sizeof text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(gnt_tcp_is_loopback(address), rows[i].loopback);
    }
}

static void test_wake_ends_a_wait(void **state)
{
    (void)state;
    /* Twice, because a wake is an edge that is never read away. */
    for (int i = 0; i < 2; i++) {
        loops[A].poller->wake(loops[A].poller);
        gnt_loop_turn(&loops[A], GNT_NEVER);
    }
}

static void note_time(struct gnt_timer *timer, uint64_t now)
{
    timer->deadline = now;
}

static void test_a_timer_is_not_spun_on(void **state)
{
    (void)state;
    struct gnt_timer timer = {.fire = note_time};
    uint64_t due = gnt_now(&gnt_clock_system) + 3 * GNT_NS_PER_MS + 1;
    assert_int_equal(gnt_loop_set_timer(&loops[A], &timer, due), GNT_OK);
    unsigned turns = 0;
    for (; gnt_timer_is_set(&timer); turns++)
        gnt_loop_turn(&loops[A], GNT_NEVER);
    assert_true(timer.deadline >= due);
    assert_int_equal(turns, 1);
}

#define WITH_LOOPS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOPS(test_both_ways),
        WITH_LOOPS(test_short_read_saves_the_next),
        WITH_LOOPS(test_refused),
        WITH_LOOPS(test_nothing_works_before_it_is_connected),
        WITH_LOOPS(test_large_transfer_to_a_slow_reader),
        WITH_LOOPS(test_finish_is_seen_after_the_data),
        WITH_LOOPS(test_finish_before_the_reader_turns),
        WITH_LOOPS(test_end_between_wait_and_read),
        WITH_LOOPS(test_reset),
        WITH_LOOPS(test_close_with_unread_input_loses_no_output),
        WITH_LOOPS(test_move_with_unread_data),
        WITH_LOOPS(test_accept_from_two_loops),
        WITH_LOOPS(test_acceptor_freed_by_its_callback),
        WITH_LOOPS(test_out_of_descriptors),
        WITH_LOOPS(test_acceptor_freed_while_it_pauses),
        WITH_LOOPS(test_listen),
        WITH_LOOPS(test_socket_that_is_connected_already),
        WITH_LOOPS(test_out_of_memory),
        WITH_LOOPS(test_wake_ends_a_wait),
        WITH_LOOPS(test_a_timer_is_not_spun_on),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
