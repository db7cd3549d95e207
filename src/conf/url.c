#include "conf/url.h"
#include "base/utf8.h"
#include "conf/scalar.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <strings.h>
#include <sys/un.h>

static const struct gnt_url_scheme schemes[] = {
    {"mqtt", 1883, .kind = GNT_URL_MQTT},
    {"unix", 0, .path = true, .file = true, .kind = GNT_URL_MQTT},
    {"amqp", 5672, .kind = GNT_URL_AMQP},
    {"amqp+unix", 0, .path = true, .file = true, .kind = GNT_URL_AMQP},
    {"http", 80, .kind = GNT_URL_HTTP},
    {"ws", 80, .path = true, .kind = GNT_URL_WEBSOCKET},
    {"mqtts", 8883, .tls = true, .kind = GNT_URL_MQTT},
    {"amqps", 5671, .tls = true, .kind = GNT_URL_AMQP},
    {"https", 443, .tls = true, .kind = GNT_URL_HTTP},
    {"wss", 443, .path = true, .tls = true, .kind = GNT_URL_WEBSOCKET},
};

enum { SCHEMES = sizeof schemes / sizeof schemes[0] };

static const char *quoted(struct gnt_slice text, char out[64])
{
    return gnt_utf8_printable(text, out, 64);
}

static gnt_err parse_scheme(struct gnt_slice name, struct gnt_url *url, struct gnt_why *why)
{
    char shown[64];
    struct gnt_nearest near = gnt_nearest(quoted(name, shown));
    for (size_t i = 0; i < SCHEMES; i++) {
        if (name.size == strlen(schemes[i].name) &&
            strncasecmp((const char *)name.data, schemes[i].name, name.size) == 0) {
            url->scheme = &schemes[i];
            return GNT_OK;
        }
        gnt_nearest_offer(&near, schemes[i].name);
    }
    if (near.word)
        gnt_why_set(why, "unknown scheme '%s', did you mean '%s'?", shown, near.word);
    else
        gnt_why_set(why,
                    "unknown scheme '%s', expected mqtt, amqp or http (ws for clients), with TLS "
                    "mqtts, amqps or https (wss), or unix",
                    shown);
    return GNT_INVALID;
}

/* Letters, digits, '-', '.' and '_': host names and IPv4 addresses.  What is all digits and dots
 * has to be an address: the resolver would read 1.2.3 in ways that nobody expects. */
static bool is_name(const char *host)
{
    bool numeric = true;
    for (const char *c = host; *c; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("-._", *c))
            return false;
        numeric = numeric && (isdigit((unsigned char)*c) || *c == '.');
    }
    struct in_addr address;
    return !numeric || *host == '\0' || inet_pton(AF_INET, host, &address) == 1;
}

/* An IPv6 address, link-local ones with a zone: fe80::1%eth0. */
static bool is_ipv6(const char *host)
{
    char address[INET6_ADDRSTRLEN];
    size_t size = strcspn(host, "%");
    if (size >= sizeof address || (host[size] == '%' && host[size + 1] == '\0'))
        return false;
    memcpy(address, host, size);
    address[size] = '\0';
    for (const char *c = host + size; *c; c++) {
        if (!isgraph((unsigned char)*c))
            return false;
    }
    struct in6_addr bytes;
    return inet_pton(AF_INET6, address, &bytes) == 1;
}

static gnt_err parse_host(struct gnt_slice host, struct gnt_url *url, struct gnt_why *why)
{
    char shown[64];
    bool brackets = host.size > 0 && host.data[0] == '[';
    if (brackets)
        host = gnt_slice(host.data + 1, host.size - 2); /* the caller saw the "]" */
    if (host.size >= sizeof url->host || memchr(host.data, '\0', host.size)) {
        gnt_why_set(why, "the host name is longer than %zu bytes", sizeof url->host - 1);
        return GNT_INVALID;
    }
    memcpy(url->host, host.data, host.size);
    url->host[host.size] = '\0';
    url->ipv6 = brackets;
    if (brackets ? is_ipv6(url->host) : is_name(url->host))
        return GNT_OK;
    gnt_why_set(why, "'%s' is not %s", quoted(host, shown),
                brackets ? "an IPv6 address" : "a host name or an IPv4 address");
    return GNT_INVALID;
}

static gnt_err parse_port(struct gnt_slice text, struct gnt_url *url, struct gnt_why *why)
{
    char shown[64];
    uint64_t port;
    if (gnt_scalar_number(text, gnt_units_none, &port) || port > UINT16_MAX) {
        gnt_why_set(why, "expected a port from 0 to 65535, got '%s'", quoted(text, shown));
        return GNT_INVALID;
    }
    url->port = (uint16_t)port;
    return GNT_OK;
}

/* HOST, HOST:PORT, :PORT, [IPV6] or [IPV6]:PORT. */
static gnt_err parse_authority(struct gnt_slice text, struct gnt_url *url, struct gnt_why *why)
{
    size_t host_size = 0;
    if (text.size && memchr(text.data, '@', text.size)) {
        gnt_why_set(why,
                    "a user name and a password are no part of it: they have options of their own");
        return GNT_INVALID;
    }
    if (text.size > 0 && text.data[0] == '[') {
        const uint8_t *close = memchr(text.data, ']', text.size);
        if (!close) {
            gnt_why_set(why, "'[' without ']' in the host");
            return GNT_INVALID;
        }
        host_size = (size_t)(close - text.data) + 1;
    } else {
        const uint8_t *colon = text.size ? memchr(text.data, ':', text.size) : NULL;
        host_size = colon ? (size_t)(colon - text.data) : text.size;
    }

    struct gnt_slice rest = gnt_slice_skip(text, host_size);
    if (rest.size > 0 && rest.data[0] != ':') {
        gnt_why_set(why, "expected ':' and a port after ']'");
        return GNT_INVALID;
    }
    if (rest.size > 0 && memchr(rest.data + 1, ':', rest.size - 1)) {
        gnt_why_set(why, "an IPv6 address needs brackets: [::1]");
        return GNT_INVALID;
    }
    gnt_err err = parse_host(gnt_slice(text.data, host_size), url, why);
    if (err || rest.size == 0)
        return err;
    return parse_port(gnt_slice_skip(rest, 1), url, why);
}

/* What may stand in the first line of a request. */
static gnt_err check_path(const char *path, struct gnt_why *why)
{
    char shown[64];
    bool good = *path == '/' || *path == '\0';
    for (const char *c = path; *c; c++)
        good = good && *c > ' ' && *c <= '~' && *c != '#';
    if (!good)
        gnt_why_set(why, "'%s' is not a path such as /mqtt", quoted(gnt_slice_str(path), shown));
    return good ? GNT_OK : GNT_INVALID;
}

/* Any file name will do that somebody could type. */
static gnt_err parse_file(const char *path, struct gnt_url *url, struct gnt_why *why)
{
    enum { MOST = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 };
    char shown[64];
    size_t size = strlen(path);
    bool good = size > 1 && path[0] == '/' && path[size - 1] != '/';
    for (const char *c = path; *c; c++)
        good = good && !iscntrl((unsigned char)*c);
    if (!good) {
        gnt_why_set(why,
                    "expected the whole path of a Unix socket, as in "
                    "unix:///run/gnatter/mqtt.sock, got '%s'",
                    quoted(gnt_slice_str(path), shown));
        return GNT_INVALID;
    }
    if (size > MOST) {
        gnt_why_set(why, "the path of a Unix socket has %d bytes at most, this one has %zu",
                    (int)MOST, size);
        return GNT_INVALID;
    }
    url->path = path;
    return GNT_OK;
}

/* What stands behind "://". */
static gnt_err parse_place(const char *authority, struct gnt_url *url, struct gnt_why *why)
{
    char shown[64];
    size_t size = strcspn(authority, "/?#");
    url->port = url->scheme->port;
    url->path = authority + size;
    gnt_err err = parse_authority(gnt_slice(authority, size), url, why);
    if (err)
        return err;
    if (url->scheme->path)
        return check_path(url->path, why);
    if (!*url->path || strcmp(url->path, "/") == 0)
        return GNT_OK;
    gnt_why_set(why, "the scheme %s takes no path, got '%s'", url->scheme->name,
                quoted(gnt_slice_str(url->path), shown));
    return GNT_INVALID;
}

gnt_err gnt_url_parse(const char *text, struct gnt_url *url, struct gnt_why *why)
{
    char shown[64];
    struct gnt_url out = {.path = ""};
    const char *colon = strstr(text, "://");
    if (!colon || colon == text) {
        gnt_why_set(why, "expected a URL such as mqtt://127.0.0.1:1883, got '%s'",
                    quoted(gnt_slice_str(text), shown));
        return GNT_INVALID;
    }
    gnt_err err = parse_scheme(gnt_slice(text, (size_t)(colon - text)), &out, why);
    if (!err)
        err =
            out.scheme->file ? parse_file(colon + 3, &out, why) : parse_place(colon + 3, &out, why);
    if (!err)
        *url = out;
    return err;
}

void gnt_url_host_text(const struct gnt_url *url, char out[GNT_URL_HOST_MAX])
{
    int n = snprintf(out, GNT_URL_HOST_MAX, url->ipv6 ? "[%s]" : "%s", url->host);
    if (url->port != url->scheme->port)
        (void)snprintf(out + n, GNT_URL_HOST_MAX - (size_t)n, ":%u", url->port);
}

const char *gnt_url_websocket_path(const struct gnt_url *url)
{
    return *url->path ? url->path : "/mqtt";
}

bool gnt_url_is_peer(const struct gnt_url *url, enum gnt_url_kind kind)
{
    const struct gnt_url_scheme *scheme = url->scheme;
    if (scheme->file) /* what stands there as "unix" may be anybody's */
        return scheme->kind == kind || scheme->kind == GNT_URL_MQTT;
    return (scheme->kind == kind || scheme->kind == GNT_URL_WEBSOCKET) && *url->host;
}

bool gnt_url_is_loopback(const struct gnt_url *url)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (url->scheme->file)
        return true;
    if (url->ipv6)
        return inet_pton(AF_INET6, url->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    if (inet_pton(AF_INET, url->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcasecmp(url->host, "localhost") == 0;
}
