/* HTTP's front over pairs of streams: what is answered, handed on, and cut off. */
#include "front/http/front.h"

#include "net/pair.h"
#include "support/alloc_fault.h"
#include "support/unit.h"
#include "unit/net/fake_loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 64 * 1024, TEXT = 2048 };

static struct fake_loop fake;
static struct gnt_counters counters;
static struct gnt_http_front front;
static struct gnt_stream *peer;
static struct gnt_stream *opened; /* what the front has handed on */

static void on_open(void *context, struct gnt_stream *websocket)
{
    assert_ptr_equal(context, &front);
    assert_null(opened);
    opened = websocket;
}

static const char *const protocols[] = {"mqtt", "mqttv3.1", NULL};
static const struct gnt_http_path paths[] = {{"/mqtt", protocols, on_open}, {NULL, NULL, NULL}};
static struct gnt_http_origins any_page = {NULL, 0, true};

static int setup(void **state)
{
    (void)state;
    fake_loop_init(&fake);
    memset(&counters, 0, sizeof counters);
    gnt_http_front_init(&front, &fake.loop, &counters, paths, &front);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gnt_http_front_fini(&front);
    gnt_stream_close(&peer);
    gnt_stream_close(&opened);
    gnt_loop_fini(&fake.loop);
    return 0;
}

static void accept_at(const struct gnt_http_origins *origins)
{
    struct gnt_stream *s;
    gnt_stream_close(&peer);
    gnt_stream_close(&opened);
    assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, ROOM, &peer, &s), GNT_OK);
    gnt_http_front_accept(&front, s, origins);
}

static void say(const char *text, size_t size)
{
    const struct iovec iov = {(void *)(uintptr_t)text, size};
    size_t n;
    if (gnt_stream_writev(peer, &iov, 1, &n) == GNT_OK)
        assert_int_equal(n, size);
    gnt_loop_turn(&fake.loop, 0);
}

/* What has been answered, and how it ended: GNT_MORE, it has not. */
static gnt_err hear(char out[TEXT])
{
    size_t size = 0, n;
    gnt_err err;
    while ((err = gnt_stream_read(peer, out + size, TEXT - 1 - size, &n)) == GNT_OK)
        size += n;
    out[size] = '\0';
    return err;
}

#define UPGRADE                                     \
    "Upgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
#define HOST "Host: 127.0.0.1:8080\r\n"
#define MQTT "Sec-WebSocket-Protocol: mqtt\r\n"

static const struct {
    const char *text;
    const char *status;
    const char *has;
} answers[] = {
    {"GET / HTTP/1.1\r\n" HOST "\r\n", "404 Not Found", "There is nothing here.\n"},
    {"GET / HTTP/1.0\r\n\r\n", "404 Not Found", ""},
    {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "One Host is needed.\n"},
    {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", "400 Bad Request", "One Host is needed.\n"},
    {"GET /mqtt HTTP/2.0\r\n" HOST "\r\n", "505 HTTP Version Not Supported", ""},
    {"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00", "400 Bad Request", "That is not HTTP.\n"},
    {"POST /mqtt HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi", "405 Method Not Allowed",
     "Allow: GET, HEAD, OPTIONS\r\n"},
    {"DELETE /x HTTP/1.1\r\n" HOST "\r\n", "404 Not Found", ""},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "204 No Content", "Allow: GET, HEAD, OPTIONS\r\n"},
    {"HEAD /mqtt HTTP/1.1\r\n" HOST "\r\n", "426 Upgrade Required", "Content-Length: 31\r\n"},
    {"GET /mqtt HTTP/1.1\r\n" HOST "\r\n", "426 Upgrade Required", "Upgrade: websocket\r\n"},
    {"GET /mqtt HTTP/1.1\r\n" HOST MQTT "Upgrade: websocket\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
     "400 Bad Request", ""},
    {"GET /mqtt HTTP/1.0\r\n" HOST MQTT UPGRADE "\r\n", "400 Bad Request", ""},
    {"POST /mqtt HTTP/1.1\r\n" HOST MQTT UPGRADE "\r\n", "405 Method Not Allowed", ""},
    {"GET /mqtt HTTP/1.1\r\n" HOST MQTT "Upgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
     "426 Upgrade Required", "Sec-WebSocket-Version: 13\r\n"},
    {"GET /mqtt HTTP/1.1\r\n" HOST MQTT "Upgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\nSec-WebSocket-Version: 13\r\n\r\n",
     "400 Bad Request", "Sec-WebSocket-Key is not right.\n"},
    {"GET /mqtt HTTP/1.1\r\n" HOST MQTT UPGRADE
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
     "400 Bad Request", "Sec-WebSocket-Key is not right.\n"},
    {"GET /mqtt HTTP/1.1\r\n" HOST UPGRADE "\r\n", "400 Bad Request", "sub-protocols"},
    {"GET /mqtt HTTP/1.1\r\n" HOST UPGRADE "Sec-WebSocket-Protocol: chat, MQTT\r\n\r\n",
     "400 Bad Request", "sub-protocols"},
    {"GET /mqtt HTTP/1.1\r\n" HOST UPGRADE MQTT "Origin: https://evil.example\r\n\r\n",
     "403 Forbidden", "origin"},
};

static void test_answers(void **state)
{
    (void)state;
    char got[TEXT];
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        accept_at(&any_page);
        size_t size = strlen(answers[i].text);
        say(answers[i].text, size ? size : 16);
        assert_int_equal(hear(got), GNT_CLOSED);
        if (strncmp(got, "HTTP/1.1 ", 9) != 0 ||
            strncmp(got + 9, answers[i].status, strlen(answers[i].status)) != 0 ||
            !strstr(got, answers[i].has) || !strstr(got, "Connection: close"))
            fail_msg("row %zu: %s\nsays %s", i, answers[i].text, got);
        const char *length = strstr(got, "Content-Length: ");
        const char *body = strstr(got, "\r\n\r\n") + 4;
        bool head_only = strncmp(answers[i].text, "HEAD", 4) == 0;
        assert_int_equal(strlen(body), length && !head_only ? atoi(length + 16) : 0);
        assert_null(opened);
        assert_false(gnt_http_front_idle(&front)); /* it waits until that has been read */
        gnt_stream_close(&peer);
        gnt_loop_turn(&fake.loop, 0);
        assert_true(gnt_http_front_idle(&front));
    }
    assert_int_equal(gnt_counted(&counters, GNT_COUNT_CONNECTIONS_REFUSED), COUNT_OF(answers));
}

static void check_upgrade(const char *text, size_t cut, const char *protocol)
{
    char got[TEXT], expected[TEXT], byte[4];
    size_t n;
    accept_at(&any_page);
    for (size_t at = 0, size = strlen(text); at < size; at += cut)
        say(text + at, size - at < cut ? size - at : cut);
    assert_int_equal(hear(got), GNT_MORE);
    (void)snprintf(expected, sizeof expected,
                   "HTTP/1.1 101 Switching Protocols\r\n"
                   "Upgrade: websocket\r\n"
                   "Connection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                   "Sec-WebSocket-Protocol: %s\r\n\r\n",
                   protocol);
    assert_string_equal(got, expected);
    assert_non_null(opened);
    assert_true(gnt_http_front_idle(&front));
    assert_int_equal(gnt_stream_read(opened, byte, sizeof byte, &n), GNT_OK);
    assert_int_equal(n, 1);
    assert_int_equal(byte[0], 'x');
}

static void test_upgrade_cut_anywhere(void **state)
{
    (void)state;
    static const char text[] = "GET /mqtt HTTP/1.1\r\n" HOST UPGRADE MQTT "\r\n\x82\x81    X";
    for (size_t cut = 1; cut < sizeof text; cut++)
        check_upgrade(text, cut, "mqtt");
    assert_int_equal(gnt_counted(&counters, GNT_COUNT_CONNECTIONS_REFUSED), 0);
}

static void test_protocol_is_one_that_was_offered(void **state)
{
    (void)state;
    static const struct {
        const char *offered, *selected;
    } rows[] = {
        {"mqtt", "mqtt"},
        {"mqttv3.1", "mqttv3.1"},
        {"mqttv3.1, mqtt", "mqtt"},
        {"chat,mqttv3.1", "mqttv3.1"},
        {"chat\r\nSec-WebSocket-Protocol: mqtt", "mqtt"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[TEXT];
        (void)snprintf(text, sizeof text,
                       "GET /mqtt HTTP/1.1\r\n" HOST UPGRADE
                       "Sec-WebSocket-Protocol: %s\r\n\r\n\x82\x81    X",
                       rows[i].offered);
        check_upgrade(text, sizeof text, rows[i].selected);
    }
}

static void test_origins(void **state)
{
    (void)state;
    static char app[] = "https://app.example", null[] = "null", star[] = "*";
    static char *const listed[] = {app, null}, *const all[] = {star};
    static const struct gnt_http_origins lists[] = {
        {NULL, 0, true}, {NULL, 0, false}, {listed, 2, false}, {all, 1, true}};
    static const struct {
        const char *origin, *host;
        bool permitted[4]; /* by each of those */
    } rows[] = {
        {NULL, "a.example", {true, true, true, true}},
        {"http://127.0.0.1:8080", "127.0.0.1:8080", {true, true, true, true}},
        {"http://localhost:8080", "localhost:8080", {true, true, true, true}},
        {"http://[::1]:8080", "[::1]:8080", {true, true, true, true}},
        {"https://LOCALHOST", "localhost", {true, true, true, true}},
        {"http://localhost:8081", "localhost:8080", {false, false, false, true}},
        {"http://localhost", "127.0.0.1", {false, false, false, true}},
        {"http://a.example", "a.example", {false, true, true, true}}, /* rebound, perhaps */
        {"http://127.0.0.1.a.example", "127.0.0.1.a.example", {false, true, true, true}},
        {"https://app.example", "a.example", {false, false, true, true}},
        {"http://app.example", "a.example", {false, false, false, true}},
        {"https://app.example.evil", "a.example", {false, false, false, true}},
        {"null", "a.example", {false, false, true, true}},
        {"", "a.example", {false, false, false, true}},
        {"ftp://a.example", "a.example", {false, false, false, true}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t k = 0; k < COUNT_OF(lists); k++) {
            char text[TEXT];
            (void)snprintf(text, sizeof text,
                           "GET /mqtt HTTP/1.1\r\nHost: %s\r\n" UPGRADE MQTT "%s%s%s\r\n",
                           rows[i].host, rows[i].origin ? "Origin: " : "",
                           rows[i].origin ? rows[i].origin : "", rows[i].origin ? "\r\n" : "");
            accept_at(&lists[k]);
            say(text, strlen(text));
            char got[TEXT];
            (void)hear(got);
            if (strncmp(got + 9, rows[i].permitted[k] ? "101" : "403", 3) != 0)
                fail_msg("origin %zu, list %zu: %s", i, k, got);
        }
    }
    accept_at(&lists[3]);
    static const char twice[] =
        "GET /mqtt HTTP/1.1\r\n" HOST UPGRADE MQTT "Origin: http://a\r\nOrigin: http://b\r\n\r\n";
    say(twice, sizeof twice - 1);
    char got[TEXT];
    (void)hear(got);
    assert_memory_equal(got + 9, "403", 3);
}

static void test_too_large(void **state)
{
    (void)state;
    static char text[10000];
    char got[TEXT];
    memset(text, 'x', sizeof text);
    memcpy(text, "GET /", 5);
    accept_at(&any_page);
    say(text, sizeof text);
    assert_int_equal(hear(got), GNT_CLOSED);
    assert_memory_equal(got + 9, "431", 3);
}

static void test_slow_ones_are_cut_off(void **state)
{
    (void)state;
    char got[TEXT];
    accept_at(&any_page);
    for (int i = 0; i < 9; i++) {
        fake.now += GNT_NS_PER_S;
        say("G", i == 0);
        assert_int_equal(hear(got), GNT_MORE);
    }
    fake.now += GNT_NS_PER_S;
    gnt_loop_turn(&fake.loop, 0);
    assert_int_equal(hear(got), GNT_CLOSED);
    assert_string_equal(got, "");
    assert_true(gnt_http_front_idle(&front));
    /* One that does not read its answer, or does not go, neither. */
    accept_at(&any_page);
    say("GET / HTTP/1.0\r\n\r\n", 18);
    assert_false(gnt_http_front_idle(&front));
    say("and more", 8);
    fake.now += 10 * GNT_NS_PER_S;
    gnt_loop_turn(&fake.loop, 0);
    assert_true(gnt_http_front_idle(&front));
}

static void test_the_oldest_goes_for_the_next(void **state)
{
    (void)state;
    static struct gnt_stream *peers[1001];
    char byte;
    size_t n;
    for (size_t i = 0; i < COUNT_OF(peers); i++) {
        struct gnt_stream *s;
        assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, 64, &peers[i], &s), GNT_OK);
        gnt_http_front_accept(&front, s, &any_page);
    }
    assert_int_equal(gnt_stream_read(peers[0], &byte, 1, &n), GNT_CLOSED);
    assert_int_equal(gnt_stream_read(peers[1], &byte, 1, &n), GNT_MORE);
    assert_int_equal(gnt_stream_read(peers[1000], &byte, 1, &n), GNT_MORE);
    gnt_http_front_stop(&front);
    assert_true(gnt_http_front_idle(&front));
    for (size_t i = 0; i < COUNT_OF(peers); i++)
        gnt_stream_close(&peers[i]);
    accept_at(&any_page);
    assert_int_equal(gnt_stream_read(peer, &byte, 1, &n), GNT_CLOSED);
}

/* To have been answered is no way to be more. */
static void test_the_answered_are_bounded_too(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.0\r\n\r\n";
    static struct gnt_stream *peers[1001];
    char got[TEXT];
    for (size_t i = 0; i < COUNT_OF(peers); i++) {
        accept_at(&any_page);
        say(text, sizeof text - 1);
        peers[i] = peer;
        peer = NULL;
    }
    fake.now += GNT_NS_PER_S;
    for (size_t i = 0; i < COUNT_OF(peers); i++) {
        struct iovec iov = {got, 1};
        size_t n;
        assert_int_equal(gnt_stream_read(peers[i], got, sizeof got, &n), GNT_OK);
        assert_int_equal(gnt_stream_writev(peers[i], &iov, 1, &n), i ? GNT_OK : GNT_CLOSED);
    }
    for (size_t i = 0; i < COUNT_OF(peers); i++)
        gnt_stream_close(&peers[i]);
    gnt_loop_turn(&fake.loop, 0);
    assert_true(gnt_http_front_idle(&front));
    assert_int_equal(front.answered, 0);
    assert_int_equal(gnt_counted(&counters, GNT_COUNT_CONNECTIONS_REFUSED), COUNT_OF(peers));
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static const char text[] = "GET /mqtt HTTP/1.1\r\n" HOST UPGRADE MQTT "\r\n\x82\x81    X";
    struct gnt_stream *s;
    char got[TEXT];
    bool failed = true;
    for (long n = 0; failed; n++) {
        gnt_stream_close(&peer);
        gnt_stream_close(&opened);
        assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, ROOM, &peer, &s), GNT_OK);
        gnt_alloc_fail_at(n);
        gnt_http_front_accept(&front, s, &any_page);
        say(text, sizeof text - 1);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(hear(got), failed ? GNT_CLOSED : GNT_MORE);
        assert_true(failed == !opened);
        gnt_stream_close(&peer); /* where it was told that there is no memory, it reads that */
        gnt_loop_turn(&fake.loop, 0);
        assert_true(gnt_http_front_idle(&front));
    }
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_answers),
        T(test_upgrade_cut_anywhere),
        T(test_protocol_is_one_that_was_offered),
        T(test_origins),
        T(test_too_large),
        T(test_slow_ones_are_cut_off),
        T(test_the_oldest_goes_for_the_next),
        T(test_the_answered_are_bounded_too),
        T(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
