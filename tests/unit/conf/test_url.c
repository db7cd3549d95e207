#include "conf/url.h"

#include <strings.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void good(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        bool ipv6;
        uint16_t port;
        const char *path;
        bool loopback;
    } rows[] = {
        {"mqtt://127.0.0.1:1883", "127.0.0.1", false, 1883, "", true},
        {"mqtt://127.1.2.3", "127.1.2.3", false, 1883, "", true},
        {"MQTT://localhost", "localhost", false, 1883, "", true},
        {"mqtt://[::1]:1884", "::1", true, 1884, "", true},
        {"mqtt://[::1]", "::1", true, 1883, "", true},
        {"mqtt://[::]:0", "::", true, 0, "", false},
        {"mqtt://[fe80::1%eth0]", "fe80::1%eth0", true, 1883, "", false},
        {"mqtt://:65535", "", false, 65535, "", false},
        {"mqtt://", "", false, 1883, "", false},
        {"mqtt://0.0.0.0/", "0.0.0.0", false, 1883, "/", false},
        {"mqtt://gate-way_1.example.org:1", "gate-way_1.example.org", false, 1, "", false},
        {"http://127.0.0.1:8080", "127.0.0.1", false, 8080, "", true},
        {"http://:0/", "", false, 0, "/", false},
        {"ws://localhost", "localhost", false, 80, "", true},
        {"mqtts://:0", "", false, 0, "", false},
        {"mqtts://b.example", "b.example", false, 8883, "", false},
        {"https://[::1]", "::1", true, 443, "", true},
        {"wss://b.example/mqtt", "b.example", false, 443, "/mqtt", false},
        {"WS://[::1]:8080/mqtt?a=b", "::1", true, 8080, "/mqtt?a=b", true},
        {"unix:///run/gnatter/mqtt.sock", "", false, 0, "/run/gnatter/mqtt.sock", true},
        {"unix:///a b?c#d:[e]%20", "", false, 0, "/a b?c#d:[e]%20", true},
        {"amqp+unix:///run/s", "", false, 0, "/run/s", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gnt_url url;
        struct gnt_why why = {""};
        gnt_err err = gnt_url_parse(rows[i].text, &url, &why);
        assert_string_equal(why.text, "");
        assert_int_equal(err, GNT_OK);
        assert_int_equal(strncasecmp(url.scheme->name, rows[i].text, strlen(url.scheme->name)), 0);
        assert_string_equal(url.host, rows[i].host);
        const char *name = url.scheme->name;
        assert_int_equal(url.scheme->tls, name[strlen(name) - 1] == 's' && strcmp(name, "ws") != 0);
        assert_int_equal(url.ipv6, rows[i].ipv6);
        assert_int_equal(url.port, rows[i].port);
        assert_string_equal(url.path, rows[i].path);
        assert_int_equal(gnt_url_is_loopback(&url), rows[i].loopback);
    }
}

static void bad(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "expected a URL such as mqtt://127.0.0.1:1883, got ''"},
        {"1883", "expected a URL such as mqtt://127.0.0.1:1883, got '1883'"},
        {"://x", "expected a URL such as mqtt://127.0.0.1:1883, got '://x'"},
        {"mqt://x", "unknown scheme 'mqt', did you mean 'mqtt'?"},
        {"gopher://x",
         "unknown scheme 'gopher', expected mqtt, amqp or http (ws for clients), with "
         "TLS mqtts, amqps or https (wss), or unix"},
        {"mqtt://h:", "expected a port from 0 to 65535, got ''"},
        {"mqtt://h:65536", "expected a port from 0 to 65535, got '65536'"},
        {"mqtt://h:-1", "expected a port from 0 to 65535, got '-1'"},
        {"mqtt://::1", "an IPv6 address needs brackets: [::1]"},
        {"mqtt://[::1", "'[' without ']' in the host"},
        {"mqtt://[::1]1883", "expected ':' and a port after ']'"},
        {"mqtt://[]", "'' is not an IPv6 address"},
        {"mqtt://[127.0.0.1]", "'127.0.0.1' is not an IPv6 address"},
        {"mqtt://[fe80::1%]", "'fe80::1%' is not an IPv6 address"},
        {"mqtt://a b", "'a b' is not a host name or an IPv4 address"},
        {"mqtt://me@host",
         "a user name and a password are no part of it: they have options of their own"},
        {"amqp://me:secret@host:5672",
         "a user name and a password are no part of it: they have options of their own"},
        {"mqtt://1.2.3", "'1.2.3' is not a host name or an IPv4 address"},
        {"mqtt://256.0.0.1", "'256.0.0.1' is not a host name or an IPv4 address"},
        {"mqtt://h/topic", "the scheme mqtt takes no path, got '/topic'"},
        {"mqtt://h?x", "the scheme mqtt takes no path, got '?x'"},
        {"http://h/mqtt", "the scheme http takes no path, got '/mqtt'"},
        {"ws://h?x", "'?x' is not a path such as /mqtt"},
        {"ws://h/a b", "'/a b' is not a path such as /mqtt"},
        {"ws://h/a\r\nb", "'/a\\x0d\\x0ab' is not a path such as /mqtt"},
        {"ws://h/a#b", "'/a#b' is not a path such as /mqtt"},
        {"unix://", "expected the whole path of a Unix socket, as in "
                    "unix:///run/gnatter/mqtt.sock, got ''"},
        {"unix:///", "expected the whole path of a Unix socket, as in "
                     "unix:///run/gnatter/mqtt.sock, got '/'"},
        {"unix://run/x", "expected the whole path of a Unix socket, as in "
                         "unix:///run/gnatter/mqtt.sock, got 'run/x'"},
        {"unix:///run/", "expected the whole path of a Unix socket, as in "
                         "unix:///run/gnatter/mqtt.sock, got '/run/'"},
        {"unix:///a\nb", "expected the whole path of a Unix socket, as in "
                         "unix:///run/gnatter/mqtt.sock, got '/a\\x0ab'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gnt_url url = {.port = 4711};
        struct gnt_why why = {""};
        assert_int_equal(gnt_url_parse(rows[i].text, &url, &why), GNT_INVALID);
        assert_string_equal(why.text, rows[i].why);
        assert_int_equal(url.port, 4711);
    }
}

static void length_of_a_file(void **state)
{
    (void)state;
    struct gnt_url url;
    struct gnt_why why = {""};
    char text[7 + 108 + 1] = "unix:///";
    memset(text + 8, 'x', 106);
    assert_int_equal(gnt_url_parse(text, &url, &why), GNT_OK);
    assert_int_equal(strlen(url.path), 107);
    text[8 + 106] = 'x';
    assert_int_equal(gnt_url_parse(text, &url, &why), GNT_INVALID);
    assert_string_equal(why.text, "the path of a Unix socket has 107 bytes at most, this one has "
                                  "108");
}

static void peers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool mqtt, amqp;
    } rows[] = {
        {"mqtt://h", true, false},  {"amqps://h", false, true}, {"wss://h", true, true},
        {"unix:///s", true, true},  {"mqtt://", false, false},  {"amqp://", false, false},
        {"http://h", false, false}, {"ws://:80", false, false}, {"amqp+unix:///s", false, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gnt_url url;
        struct gnt_why why;
        assert_int_equal(gnt_url_parse(rows[i].text, &url, &why), GNT_OK);
        assert_int_equal(gnt_url_is_peer(&url, GNT_URL_MQTT), rows[i].mqtt);
        assert_int_equal(gnt_url_is_peer(&url, GNT_URL_AMQP), rows[i].amqp);
    }
}

static void requests(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *path;
    } rows[] = {
        {"ws://h", "h", "/mqtt"},
        {"ws://h:80/", "h", "/"},
        {"ws://h:8080/a?b", "h:8080", "/a?b"},
        {"ws://[::1]:81/mqtt", "[::1]:81", "/mqtt"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gnt_url url;
        struct gnt_why why;
        char host[GNT_URL_HOST_MAX];
        assert_int_equal(gnt_url_parse(rows[i].text, &url, &why), GNT_OK);
        gnt_url_host_text(&url, host);
        assert_string_equal(host, rows[i].host);
        assert_string_equal(gnt_url_websocket_path(&url), rows[i].path);
    }
}

static void long_hosts_are_refused(void **state)
{
    (void)state;
    char text[400] = "mqtt://";
    struct gnt_url url;
    struct gnt_why why;
    memset(text + 7, 'a', 255);
    text[7 + 255] = '\0';
    assert_int_equal(gnt_url_parse(text, &url, &why), GNT_OK);
    memset(text + 7, 'a', 256);
    text[7 + 256] = '\0';
    assert_int_equal(gnt_url_parse(text, &url, &why), GNT_INVALID);
    assert_string_equal(why.text, "the host name is longer than 255 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(bad),
        cmocka_unit_test(requests),
        cmocka_unit_test(long_hosts_are_refused),
        cmocka_unit_test(length_of_a_file),
        cmocka_unit_test(peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
