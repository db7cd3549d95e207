#include "net/http_head.h"

#include "support/alloc_fault.h"
#include "support/unit.h"

#include <stdlib.h>
#include <string.h>

static struct gnt_http_head head;

/* Gives it TEXT, CUT bytes at a time. */
static gnt_err read_head(enum http_parser_type type, const char *text, size_t size, size_t cut)
{
    gnt_err err = GNT_MORE;
    gnt_http_head_init(&head, type);
    for (size_t at = 0; at < size && err == GNT_MORE;) {
        uint8_t *room;
        size_t cap, n = size - at < cut ? size - at : cut;
        err = gnt_http_head_room(&head, &room, &cap);
        if (err)
            return err;
        n = n < cap ? n : cap;
        memcpy(room, text + at, n);
        at += n;
        err = gnt_http_head_took(&head, n);
    }
    return err;
}

static const char upgrade[] = "GET /mqtt?a=b HTTP/1.1\r\n"
                              "Host: broker.example:8080\r\n"
                              "user-agent: \r\n"
                              "upgrade:websocket\r\n"
                              "Connection: keep-alive,  Upgrade\t\r\n"
                              "Sec-WebSocket-Protocol: chat, mqttv3.1\r\n"
                              "Sec-Websocket-protocol: mqtt\r\n"
                              "Sec-WebSocket-Key:   dGhlIHNhbXBsZSBub25jZQ==  \r\n"
                              "\r\n";

static void test_upgrade_cut_anywhere(void **state)
{
    (void)state;
    static const char behind[] = "\x82\x80zzzz";
    char text[512];
    size_t size = sizeof upgrade - 1;
    memcpy(text, upgrade, size);
    memcpy(text + size, behind, sizeof behind - 1);
    for (size_t cut = 1; cut <= size + sizeof behind - 1; cut++) {
        assert_int_equal(read_head(HTTP_REQUEST, text, size + sizeof behind - 1, cut), GNT_OK);
        assert_int_equal(head.size, size);
        size_t rest = gnt_http_head_rest(&head).size;
        assert_memory_equal(gnt_http_head_rest(&head).data, behind, rest);
        assert_true(rest < cut);
        assert_int_equal(head.parser.method, HTTP_GET);
        assert_slice(gnt_http_path(&head), "/mqtt");
        assert_slice(gnt_http_value(&head, GNT_HTTP_HOST), "broker.example:8080");
        assert_slice(gnt_http_value(&head, GNT_HTTP_WS_KEY), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_int_equal(gnt_http_count(&head, GNT_HTTP_WS_PROTOCOL), 2);
        assert_int_equal(gnt_http_count(&head, GNT_HTTP_ORIGIN), 0);
        assert_slice(gnt_http_value(&head, GNT_HTTP_ORIGIN), "");
        assert_true(gnt_http_has(&head, GNT_HTTP_CONNECTION, "upgrade"));
        assert_true(gnt_http_has(&head, GNT_HTTP_UPGRADE, "WebSocket"));
        assert_false(gnt_http_has(&head, GNT_HTTP_CONNECTION, "keep"));
        assert_true(gnt_http_has_exactly(&head, GNT_HTTP_WS_PROTOCOL, "mqtt"));
        assert_true(gnt_http_has_exactly(&head, GNT_HTTP_WS_PROTOCOL, "mqttv3.1"));
        assert_false(gnt_http_has_exactly(&head, GNT_HTTP_WS_PROTOCOL, "MQTT"));
        gnt_http_head_fini(&head);
    }
}

#define GET "GET / HTTP/1.1\r\n"

static void test_what_heads_come_to(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        gnt_err err;
    } rows[] = {
        {"GET / HTTP/1.0\r\n\r\n", GNT_OK},
        {"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", GNT_OK},
        {"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", GNT_OK},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", GNT_OK},
        {GET "Host: a\r\n", GNT_MORE},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", GNT_MALFORMED},
        {"GET / HTTP/2.0\r\n\r\n", GNT_UNSUPPORTED},
        {"GET / HTTP/9.9\r\n\r\n", GNT_UNSUPPORTED},
        {"GET / HTTP/x\r\n\r\n", GNT_UNSUPPORTED},
        {"\x10\x10\x00\x04MQTT", GNT_MALFORMED},
        {"\x16\x03\x01", GNT_MALFORMED},
        {GET "Host : a\r\n\r\n", GNT_MALFORMED},
        {GET "Host: a\r\n folded\r\n\r\n", GNT_MALFORMED},
        {GET "Ho\x01st: a\r\n\r\n", GNT_MALFORMED},
        {"GET /\x01 HTTP/1.1\r\n\r\n", GNT_MALFORMED},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        gnt_err whole = read_head(HTTP_REQUEST, rows[i].text, strlen(rows[i].text), 1000);
        gnt_http_head_fini(&head);
        gnt_err cut = read_head(HTTP_REQUEST, rows[i].text, strlen(rows[i].text), 1);
        gnt_http_head_fini(&head);
        if (whole != rows[i].err || cut != rows[i].err)
            fail_msg("row %zu: %d, cut %d", i, whole, cut);
    }
}

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *text, *path;
    } rows[] = {
        {"GET /a/b?c#d HTTP/1.1\r\n\r\n", "/a/b"},
        {"GET http://host:80/a HTTP/1.1\r\n\r\n", "/a"},
        {"GET http://host HTTP/1.1\r\n\r\n", ""},
        {"OPTIONS * HTTP/1.1\r\n\r\n", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(read_head(HTTP_REQUEST, rows[i].text, strlen(rows[i].text), 1000), GNT_OK);
        struct gnt_slice path = gnt_http_path(&head);
        if (!gnt_slice_eq_str(path, rows[i].path) && strcmp(rows[i].path, "") != 0)
            fail_msg("%s", rows[i].text);
        gnt_http_head_fini(&head);
    }
}

/* However it is divided among lines. */
static void test_size_is_bounded(void **state)
{
    (void)state;
    static char text[3 * GNT_HTTP_HEAD_MAX];
    static const char *const lines[] = {"X-Filler: 0123456789\r\n", "X-Long: ", "Cookie: a\r\n"};
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        size_t size = (size_t)(stpcpy(text, GET) - text);
        while (size + 100 < sizeof text)
            size +=
                (size_t)(stpcpy(text + size, i == 1 ? "yyyyyyyyyyyyyy" : lines[i]) - text) - size;
        if (i == 1)
            memcpy(text + sizeof GET - 1, lines[i], strlen(lines[i]));
        for (size_t cut = 100; cut < 20000; cut *= 3) {
            assert_int_equal(read_head(HTTP_REQUEST, text, size, cut), GNT_TOOBIG);
            assert_true(gnt_buf_size(&head.in) <= GNT_HTTP_HEAD_MAX);
            assert_true(head.in.cap <= 2 * GNT_HTTP_HEAD_MAX);
            gnt_http_head_fini(&head);
        }
    }
}

static void test_lines_are_bounded(void **state)
{
    (void)state;
    char text[2048], *at = stpcpy(text, GET);
    for (int i = 0; i <= GNT_HTTP_LINES; i++)
        at = stpcpy(at, "Connection: close\r\n");
    assert_int_equal(read_head(HTTP_REQUEST, text, (size_t)(at - text), 1000), GNT_TOOBIG);
    gnt_http_head_fini(&head);
}

static void test_answer(void **state)
{
    (void)state;
    static const char text[] =
        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n\x82";
    for (size_t cut = 1; cut < sizeof text; cut++) {
        assert_int_equal(read_head(HTTP_RESPONSE, text, sizeof text - 1, cut), GNT_OK);
        assert_int_equal(head.parser.status_code, 101);
        assert_slice(gnt_http_value(&head, GNT_HTTP_WS_ACCEPT), "x");
        gnt_http_head_fini(&head);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    gnt_alloc_fail_at(0);
    assert_int_equal(read_head(HTTP_REQUEST, upgrade, sizeof upgrade - 1, 1000), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    gnt_http_head_fini(&head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upgrade_cut_anywhere),
        cmocka_unit_test(test_what_heads_come_to),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_size_is_bounded),
        cmocka_unit_test(test_lines_are_bounded),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
