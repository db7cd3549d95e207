#include "net/proxy.h"

#include "base/crc32c.h"
#include "net/tcp.h"
#include "support/unit.h"

#include <stdlib.h>
#include <string.h>

/* The answer to exactly these bytes, so that a read past their end is seen. */
static gnt_err read_exactly(struct gnt_slice in, struct gnt_proxy_header *out)
{
    uint8_t *copy = malloc(in.size ? in.size : 1);
    assert_non_null(copy);
    if (in.size)
        memcpy(copy, in.data, in.size);
    gnt_err err = gnt_proxy_read(gnt_slice(copy, in.size), out);
    free(copy);
    return err;
}

/* CLIENT: NULL for the proxy's own. */
static void assert_good(struct gnt_slice in, size_t size, const char *client)
{
    struct gnt_proxy_header h = {.size = 4711};
    char text[64];
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(read_exactly(gnt_slice(in.data, cut), &h), GNT_MORE);
    assert_int_equal(h.size, 4711);
    for (size_t cut = size; cut <= in.size; cut++) {
        assert_int_equal(read_exactly(gnt_slice(in.data, cut), &h), GNT_OK);
        assert_int_equal(h.size, size);
        gnt_tcp_address_text((const struct sockaddr *)&h.client, text, sizeof text);
        assert_string_equal(text, client ? client : "unknown");
        assert_true(client || h.client.ss_family == AF_UNSPEC);
    }
}

/* Once it is told, it stays so. */
static void assert_bad(struct gnt_slice in, gnt_err expected)
{
    struct gnt_proxy_header h = {.size = 4711};
    gnt_err err = GNT_MORE;
    for (size_t cut = 0; cut <= in.size; cut++) {
        gnt_err now = read_exactly(gnt_slice(in.data, cut), &h);
        assert_true(err == GNT_MORE || now == err);
        err = now;
    }
    assert_int_equal(err, expected);
    assert_int_equal(h.size, 4711);
}

/* ---- Version 1 */

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line, *client;
    } rows[] = {
        {"PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883\r\n", "192.0.2.1:56324"},
        {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0"},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"},
        {"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "[2001:db8::1]:1"},
        {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
        {"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 7 8\r\n", "192.0.2.1:7"},
        {"PROXY UNKNOWN\r\n", NULL},
        {"PROXY UNKNOWN \r\n", NULL},
        {"PROXY UNKNOWN whatever\r stands \0 here\r\n", NULL},
        {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[256];
        const char *end = rows[i].line;
        while (end[0] != '\n')
            end++; /* one of the lines has a zero byte */
        size_t size = (size_t)(end - rows[i].line) + 1;
        memcpy(text, rows[i].line, size);
        memcpy(text + size, "\x10\nmore", 6);
        assert_good(gnt_slice(text, size + 6), size, rows[i].client);
    }
}

static void test_bad_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        gnt_err err;
    } rows[] = {
        {"GET / HTTP/1.1\r\n", GNT_PROTOCOL},
        {"\x10\x0c", GNT_PROTOCOL},
        {"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", GNT_PROTOCOL},
        {"PROXY\tTCP4 192.0.2.1 192.0.2.2 1 2\r\n", GNT_PROTOCOL},
        {"PROXY\r\n", GNT_PROTOCOL},
        {"PROXY \r\n", GNT_MALFORMED},
        {"PROXY \n", GNT_MALFORMED},
        {"PROXY UNKNOWN\n", GNT_MALFORMED},
        {"PROXY UNKNOWN a\nb\r\n", GNT_MALFORMED},
        {"PROXY UNKNOWNS\r\n", GNT_MALFORMED},
        {"PROXY  UNKNOWN\r\n", GNT_MALFORMED},
        {"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", GNT_MALFORMED},
        {"PROXY TCP4\r\n", GNT_MALFORMED},
        {"PROXY TCP4 \r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n", GNT_MALFORMED},
        {"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1 192.0.2.256 1 2\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", GNT_MALFORMED},
        {"PROXY TCP4 ::1 ::2 1 2\r\n", GNT_MALFORMED},
        {"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", GNT_MALFORMED},
        {"PROXY TCP6 ::1%lo ::2 1 2\r\n", GNT_MALFORMED},
        {"PROXY TCP6 1:2:3:4:5:6:7:8:9 ::2 1 2\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 0x2\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 000000002\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1\r192.0.2.2 1 2\r\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", GNT_MALFORMED},
        {"PROXY TCP4 192.0.2.1111111111111111111111111111111111111111111111 1.1.1.1 1 2\r\n",
         GNT_MALFORMED},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_bad(gnt_slice_str(rows[i].line), rows[i].err);
    assert_bad(LITERAL("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n"), GNT_MALFORMED);
    assert_bad(LITERAL("PROXY UNKNOWN\0\r\n"), GNT_MALFORMED);
}

static void test_line_without_an_end(void **state)
{
    (void)state;
    char line[109] = "PROXY UNKNOWN ";
    struct gnt_proxy_header h;
    memset(line + 14, 'x', sizeof line - 14);
    assert_int_equal(gnt_proxy_read(gnt_slice(line, 106), &h), GNT_MORE);
    assert_int_equal(gnt_proxy_read(gnt_slice(line, 107), &h), GNT_TOOBIG);
    memcpy(line + 106, "\r\n", 2);
    assert_bad(gnt_slice(line, 108), GNT_TOOBIG);
    memcpy(line + 105, "\r\n", 2);
    assert_good(gnt_slice(line, 109), 107, NULL);
}

/* ---- Version 2 */

struct header {
    uint8_t bytes[GNT_PROXY_HEADER_MAX + 64];
    size_t size;
};

/* What stands behind the fixed part is REST; its length is put right. */
static struct header v2(uint8_t version_command, uint8_t family, struct gnt_slice rest)
{
    struct header h = {.size = 16 + rest.size};
    memcpy(h.bytes, "\r\n\r\n\0\r\nQUIT\n", 12);
    h.bytes[12] = version_command;
    h.bytes[13] = family;
    h.bytes[14] = (uint8_t)(rest.size >> 8);
    h.bytes[15] = (uint8_t)rest.size;
    if (rest.size)
        memcpy(h.bytes + 16, rest.data, rest.size);
    return h;
}

static struct gnt_slice bytes_of(const struct header *h)
{
    return gnt_slice(h->bytes, h->size);
}

#define V4 "\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x07\x5b"
#define V6                                       \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02"         \
    "\xdc\x04\x07\x5b"
#define V4_6                                       \
    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01" \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02"           \
    "\xdc\x04\x07\x5b"

static void test_binary(void **state)
{
    (void)state;
    uint8_t paths[216] = "/run/client";
    const struct {
        uint8_t command, family;
        struct gnt_slice rest;
        const char *client;
    } rows[] = {
        {0x21, 0x11, LITERAL(V4), "192.0.2.1:56324"},
        {0x21, 0x21, LITERAL(V6), "[2001:db8::1]:56324"},
        {0x21, 0x21, LITERAL(V4_6), "192.0.2.1:56324"},
        {0x21, 0x31, gnt_slice(paths, sizeof paths), "unix"},
        {0x21, 0x11, LITERAL(V4 "\x04\0\0"), "192.0.2.1:56324"},
        {0x21, 0x11,
         LITERAL(V4 "\x02\0\x03"
                    "abc"
                    "\xea\0\x01\0"),
         "192.0.2.1:56324"},
        /* The proxy's own, whatever else it says. */
        {0x20, 0x00, LITERAL(""), NULL},
        {0x20, 0x11, LITERAL(V4), NULL},
        {0x20, 0xff, LITERAL("anything"), NULL},
        /* What is not known, and what is no stream. */
        {0x21, 0x00, LITERAL(""), NULL},
        {0x21, 0x00, LITERAL("anything"), NULL},
        {0x21, 0x10, LITERAL(V4), NULL},
        {0x21, 0x01, LITERAL(V4), NULL},
        {0x21, 0x12, LITERAL(V4), NULL},
        {0x21, 0x22, LITERAL(V6), NULL},
        {0x21, 0x32, gnt_slice(paths, sizeof paths), NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct header h = v2(rows[i].command, rows[i].family, rows[i].rest);
        size_t size = h.size;
        memcpy(h.bytes + h.size, "\x10\x0c more", 7);
        h.size += 7;
        assert_good(bytes_of(&h), size, rows[i].client);
    }
}

static void test_bad_binary(void **state)
{
    (void)state;
    static const uint8_t large[GNT_PROXY_HEADER_MAX];
    const struct {
        uint8_t command, family;
        struct gnt_slice rest;
        gnt_err err;
    } rows[] = {
        {0x11, 0x11, LITERAL(V4), GNT_MALFORMED},
        {0x31, 0x11, LITERAL(V4), GNT_MALFORMED},
        {0x22, 0x11, LITERAL(V4), GNT_MALFORMED},
        {0x2f, 0x11, LITERAL(V4), GNT_MALFORMED},
        {0x21, 0x13, LITERAL(V4), GNT_MALFORMED},
        {0x21, 0x41, LITERAL(V4), GNT_MALFORMED},
        {0x21, 0x11, LITERAL(""), GNT_MALFORMED},
        {0x21, 0x11, gnt_slice(V4, 11), GNT_MALFORMED},
        {0x21, 0x21, gnt_slice(V6, 35), GNT_MALFORMED},
        {0x21, 0x31, gnt_slice(large, 215), GNT_MALFORMED},
        {0x21, 0x11, LITERAL(V4 "\x04"), GNT_MALFORMED},
        {0x21, 0x11, LITERAL(V4 "\x04\0"), GNT_MALFORMED},
        {0x21, 0x11, LITERAL(V4 "\x04\0\x01"), GNT_MALFORMED},
        {0x21, 0x11, LITERAL(V4 "\x04\0\0\x04\xff\xff"), GNT_MALFORMED},
        {0x21, 0x11, LITERAL(V4 "\x03\0\0"), GNT_MALFORMED},
        {0x21, 0x11,
         LITERAL(V4 "\x03\0\x04"
                    "\0\0\0\0"),
         GNT_MALFORMED},
        {0x20, 0x00, gnt_slice(large, GNT_PROXY_HEADER_MAX - 15), GNT_TOOBIG},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct header h = v2(rows[i].command, rows[i].family, rows[i].rest);
        assert_bad(bytes_of(&h), rows[i].err);
    }
    struct header most = v2(0x20, 0, gnt_slice(large, GNT_PROXY_HEADER_MAX - 16));
    struct gnt_proxy_header out;
    assert_int_equal(gnt_proxy_read(bytes_of(&most), &out), GNT_OK);
    assert_int_equal(out.size, GNT_PROXY_HEADER_MAX);
    assert_bad(LITERAL("\r\n\r\n\0\r\nQUIP\n\x21\x11\0\0"), GNT_PROTOCOL);
    assert_bad(LITERAL("\r\n\r\n\x01"), GNT_PROTOCOL);
}

static void test_checksum(void **state)
{
    (void)state;
    struct header h = v2(0x21, 0x11,
                         LITERAL(V4 "\x04\0\x02"
                                    "ab"
                                    "\x03\0\x04"
                                    "\0\0\0\0"
                                    "\x05\0\x01"
                                    "u"));
    size_t at = 16 + 12 + 5 + 3;
    uint32_t sum = gnt_crc32c(0, bytes_of(&h));
    for (int i = 0; i < 4; i++)
        h.bytes[at + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
    assert_good(bytes_of(&h), h.size, "192.0.2.1:56324");
    for (size_t bit = 12 * 8; bit < h.size * 8; bit++) {
        struct gnt_proxy_header out;
        h.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        gnt_err err = gnt_proxy_read(bytes_of(&h), &out);
        h.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        /* It protects neither what makes it another kind of header, nor its own type and length. */
        bool seen = bit / 8 >= 16 && (bit / 8 < 28 || bit / 8 >= at);
        if (seen)
            assert_int_equal(err, GNT_MALFORMED);
    }
}

static void test_texts(void **state)
{
    (void)state;
    static const gnt_err errs[] = {GNT_PROTOCOL, GNT_MALFORMED, GNT_TOOBIG, GNT_CLOSED,
                                   GNT_TIMEOUT};
    for (size_t i = 0; i < COUNT_OF(errs); i++)
        assert_non_null(strstr(gnt_proxy_text(errs[i]), "PROXY header"));
    assert_string_equal(gnt_proxy_text(GNT_NOMEM), gnt_err_text(GNT_NOMEM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_line_without_an_end),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_bad_binary),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
