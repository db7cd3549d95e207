#include "net/proxy.h"

#include "base/crc32c.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum {
    LINE_MAX_SIZE = 107, /* [PROXY 2.1] */
    FIXED_SIZE = 16,     /* of version 2, in front of the addresses */
    TYPE_CRC32C = 3,
};

static const uint8_t signature[] = "\r\n\r\n\0\r\nQUIT\n"; /* of version 2 */

static bool is_beginning(struct gnt_slice in, const void *text, size_t size)
{
    return memcmp(in.data, text, in.size < size ? in.size : size) == 0;
}

/* ---- Addresses: version 2 has their bytes, version 1 comes to them */

static void set_v4(const uint8_t bytes[4], uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    memcpy(&v4.sin_addr, bytes, sizeof v4.sin_addr);
    memcpy(out, &v4, sizeof v4);
}

/* Of a proxy that listens for both on one socket, IPv4 clients come as ::ffff:192.0.2.1. */
static void set_v6(const uint8_t bytes[16], uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&v6.sin6_addr, bytes, sizeof v6.sin6_addr);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
        set_v4(bytes + 12, port, out);
    else
        memcpy(out, &v6, sizeof v6);
}

/* ---- Version 1: PROXY TCP4 192.0.2.1 192.0.2.7 51000 1883 */

/* Up to the next space, which goes too; a word that is too long is none. */
static void next_word(struct gnt_slice *line, char *out, size_t cap)
{
    const uint8_t *space = line->size ? memchr(line->data, ' ', line->size) : NULL;
    size_t size = space ? (size_t)(space - line->data) : line->size;
    size_t taken = size < cap && !memchr(line->data, '\0', size) ? size : 0;
    memcpy(out, line->data, taken);
    out[taken] = '\0';
    *line = gnt_slice_skip(*line, size + (space != NULL));
}

static bool parse_port(const char *text, uint16_t *out)
{
    uint32_t port = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] || (digits > 1 && *text == '0'))
        return false;
    for (; *text; text++)
        port = port * 10 + (uint32_t)(*text - '0');
    *out = (uint16_t)port;
    return port <= UINT16_MAX;
}

/* Four words, with one space between them and nothing behind. */
static gnt_err parse_addresses(struct gnt_slice line, int family, struct sockaddr_storage *out)
{
    char source[INET6_ADDRSTRLEN], target[INET6_ADDRSTRLEN], port[8], target_port[8];
    uint8_t bytes[16], ignored[16];
    uint16_t number, ignored_number;
    bool ends = line.size && line.data[line.size - 1] != ' ';
    next_word(&line, source, sizeof source);
    next_word(&line, target, sizeof target);
    next_word(&line, port, sizeof port);
    next_word(&line, target_port, sizeof target_port);
    if (!ends || line.size || inet_pton(family, source, bytes) != 1 ||
        inet_pton(family, target, ignored) != 1 || !parse_port(port, &number) ||
        !parse_port(target_port, &ignored_number))
        return GNT_MALFORMED;
    if (family == AF_INET)
        set_v4(bytes, number, out);
    else
        set_v6(bytes, number, out);
    return GNT_OK;
}

/* Behind the first word, without its end. */
static gnt_err parse_line(struct gnt_slice line, struct sockaddr_storage *out)
{
    char protocol[8];
    bool more = line.size && memchr(line.data, ' ', line.size);
    next_word(&line, protocol, sizeof protocol);
    if (strcmp(protocol, "UNKNOWN") == 0) /* whatever follows */
        return GNT_OK;
    if (more && strcmp(protocol, "TCP4") == 0)
        return parse_addresses(line, AF_INET, out);
    if (more && strcmp(protocol, "TCP6") == 0)
        return parse_addresses(line, AF_INET6, out);
    return GNT_MALFORMED;
}

static gnt_err read_v1(struct gnt_slice in, size_t name_size, struct gnt_proxy_header *out)
{
    size_t seen = in.size < LINE_MAX_SIZE ? in.size : LINE_MAX_SIZE;
    const uint8_t *end = memchr(in.data, '\n', seen);
    if (!end)
        return seen < LINE_MAX_SIZE ? GNT_MORE : GNT_TOOBIG;
    out->size = (size_t)(end - in.data) + 1;
    if (end[-1] != '\r')
        return GNT_MALFORMED;
    return parse_line(gnt_slice(in.data + name_size, out->size - name_size - 2), &out->client);
}

/* ---- Version 2 */

static void read_v4(const uint8_t *at, struct sockaddr_storage *out)
{
    set_v4(at, (uint16_t)(at[8] << 8 | at[9]), out);
}

static void read_v6(const uint8_t *at, struct sockaddr_storage *out)
{
    set_v6(at, (uint16_t)(at[32] << 8 | at[33]), out);
}

/* Which path somebody has on the proxy's machine is nothing to us. */
static void read_unix(const uint8_t *at, struct sockaddr_storage *out)
{
    (void)at;
    out->ss_family = AF_UNIX;
}

/* Those that say whose the connection is; datagrams cannot be, nor what is not specified, and what
 * is there is skipped [PROXY 2.2]. */
static const struct family {
    uint8_t id; /* family and transport */
    uint8_t size;
    void (*read)(const uint8_t *at, struct sockaddr_storage *out);
} families[] = {
    {0x11, 12, read_v4},
    {0x21, 36, read_v6},
    {0x31, 216, read_unix},
};

static const struct family *family_of(uint8_t id)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (families[i].id == id)
            return &families[i];
    return NULL;
}

/* The checksum is that of the header with zeros in its place [PROXY 2.2.3]. */
static bool checksum_right(struct gnt_slice header, struct gnt_slice field)
{
    static const uint8_t zeros[4];
    struct gnt_reader r = gnt_reader(field);
    uint32_t told = gnt_read_u32(&r);
    size_t before = (size_t)(field.data - header.data);
    uint32_t sum = gnt_crc32c(0, gnt_slice(header.data, before));
    sum = gnt_crc32c(sum, gnt_slice(zeros, sizeof zeros));
    return told == gnt_crc32c(sum, gnt_slice_skip(header, before + sizeof zeros));
}

/* What a proxy adds, from AT on: types, lengths, values [PROXY 2.2]. */
static gnt_err check_additions(struct gnt_slice header, size_t at)
{
    struct gnt_reader r = gnt_reader(gnt_slice_skip(header, at));
    while (gnt_read_left(&r)) {
        uint8_t type = gnt_read_u8(&r);
        struct gnt_slice value = gnt_read_str16(&r);
        if (r.bad)
            return GNT_MALFORMED;
        if (type == TYPE_CRC32C && (value.size != 4 || !checksum_right(header, value)))
            return GNT_MALFORMED;
    }
    return GNT_OK;
}

static gnt_err read_v2(struct gnt_slice in, struct gnt_proxy_header *out)
{
    if (in.size < FIXED_SIZE)
        return GNT_MORE;
    uint8_t version = in.data[12] >> 4, command = in.data[12] & 15, id = in.data[13];
    bool local = command == 0;
    if (version != 2 || command > 1 || (!local && (id >> 4 > 3 || (id & 15) > 2)))
        return GNT_MALFORMED;
    out->size = (size_t)FIXED_SIZE + (size_t)(in.data[14] << 8 | in.data[15]);
    if (out->size > GNT_PROXY_HEADER_MAX)
        return GNT_TOOBIG;
    if (in.size < out->size)
        return GNT_MORE;
    const struct family *family = local ? NULL : family_of(id);
    if (!family)
        return GNT_OK;
    if (out->size < (size_t)FIXED_SIZE + family->size)
        return GNT_MALFORMED;
    family->read(in.data + FIXED_SIZE, &out->client);
    return check_additions(gnt_slice(in.data, out->size), (size_t)FIXED_SIZE + family->size);
}

/* ---- Both */

gnt_err gnt_proxy_read(struct gnt_slice in, struct gnt_proxy_header *out)
{
    static const char name[] = "PROXY ";
    struct gnt_proxy_header header = {.size = 0, .client.ss_family = AF_UNSPEC};
    gnt_err err = GNT_PROTOCOL;
    if (in.size == 0)
        return GNT_MORE;
    if (is_beginning(in, signature, sizeof signature - 1))
        err = read_v2(in, &header);
    else if (is_beginning(in, name, sizeof name - 1))
        err = read_v1(in, sizeof name - 1, &header);
    if (!err)
        *out = header;
    return err;
}

const char *gnt_proxy_text(gnt_err err)
{
    static const struct {
        gnt_err err;
        const char *text;
    } texts[] = {
        {GNT_PROTOCOL, "a proxy that sends no PROXY header"},
        {GNT_MALFORMED, "malformed PROXY header"},
        {GNT_TOOBIG, "PROXY header too large"},
        {GNT_CLOSED, "closed before its PROXY header"},
        {GNT_TIMEOUT, "no PROXY header in time"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].err == err)
            return texts[i].text;
    return gnt_err_text(err);
}
