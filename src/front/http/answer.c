#include "front/http/answer.h"

#include "net/ws_opening.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

enum { MOST_FIELDS = 512 };

/* ---- Origins */

/* HOST:PORT or HOST without the port; an IPv6 address keeps its brackets. */
static struct gnt_slice without_port(struct gnt_slice host)
{
    bool brackets = host.size && host.data[0] == '[';
    const uint8_t *end = memchr(host.data, brackets ? ']' : ':', host.size);
    if (end)
        host.size = (size_t)(end - host.data) + brackets;
    return host;
}

/* Whether a name server has no say in where HOST is. */
static bool is_fixed(struct gnt_slice host)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    host = without_port(host);
    if (host.size && host.data[0] == '[')
        return true;
    if (gnt_http_same(host, "localhost"))
        return true;
    if (host.size >= sizeof text)
        return false;
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    return inet_pton(AF_INET, text, &address) == 1;
}

/* The same host and port; the scheme is the proxy's affair, where there is one before us.  A name
 * that somebody else points to this machine does not make his page one of ours. */
static bool is_same(struct gnt_slice origin, struct gnt_slice host, bool loopback)
{
    static const char *const schemes[] = {"http://", "https://"};
    if (!host.size || (loopback && !is_fixed(host)))
        return false;
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]);
        if (origin.size == n + host.size && !strncasecmp((const char *)origin.data, schemes[i], n))
            return !strncasecmp((const char *)origin.data + n, (const char *)host.data, host.size);
    }
    return false;
}

static bool is_permitted(const struct gnt_http_head *h, const struct gnt_http_origins *origins)
{
    struct gnt_slice origin = gnt_http_value(h, GNT_HTTP_ORIGIN);
    unsigned count = gnt_http_count(h, GNT_HTTP_ORIGIN);
    for (size_t i = 0; i < origins->count; i++)
        if (strcmp(origins->items[i], "*") == 0 || gnt_http_same(origin, origins->items[i]))
            return count <= 1;
    return count == 0 ||
           (count == 1 && is_same(origin, gnt_http_value(h, GNT_HTTP_HOST), origins->loopback));
}

/* ---- Deciding */

static const struct gnt_http_path *find_path(const struct gnt_http_head *h,
                                             const struct gnt_http_path *paths)
{
    struct gnt_slice path = gnt_http_path(h);
    for (; paths->path; paths++)
        if (gnt_slice_eq_str(path, paths->path))
            return paths;
    return NULL;
}

/* The one that is best to us of those that the client offers. */
static const char *select_protocol(const struct gnt_http_head *h, const char *const *protocols)
{
    for (; *protocols; protocols++)
        if (gnt_http_has_exactly(h, GNT_HTTP_WS_PROTOCOL, *protocols))
            return *protocols;
    return NULL;
}

static struct gnt_http_answer answer(unsigned status, const char *text)
{
    return (struct gnt_http_answer){.status = status, .text = text};
}

/* A GET of PATH [RFC 6455 4.2.1]. */
static struct gnt_http_answer decide_upgrade(const struct gnt_http_head *h,
                                             const struct gnt_http_path *path,
                                             const struct gnt_http_origins *origins)
{
    if (!gnt_http_has(h, GNT_HTTP_UPGRADE, "websocket"))
        return answer(HTTP_STATUS_UPGRADE_REQUIRED, "Only WebSocket is spoken here.\n");
    if (!gnt_http_has(h, GNT_HTTP_CONNECTION, "upgrade") || h->parser.http_minor < 1)
        return answer(HTTP_STATUS_BAD_REQUEST,
                      "WebSocket needs HTTP/1.1 and Connection: Upgrade.\n");
    if (gnt_http_count(h, GNT_HTTP_WS_VERSION) != 1 ||
        !gnt_slice_eq_str(gnt_http_value(h, GNT_HTTP_WS_VERSION), "13"))
        return answer(HTTP_STATUS_UPGRADE_REQUIRED,
                      "Only version 13 of WebSocket is spoken here.\n");
    if (gnt_http_count(h, GNT_HTTP_WS_KEY) != 1 ||
        !gnt_ws_key_valid(gnt_http_value(h, GNT_HTTP_WS_KEY)))
        return answer(HTTP_STATUS_BAD_REQUEST, "Sec-WebSocket-Key is not right.\n");
    if (!is_permitted(h, origins))
        return answer(HTTP_STATUS_FORBIDDEN, "Pages of that origin are not permitted here: see the "
                                             "listener's option origins.\n");
    struct gnt_http_answer out = answer(HTTP_STATUS_SWITCHING_PROTOCOLS, "");
    out.path = path;
    out.protocol = select_protocol(h, path->protocols);
    if (!out.protocol)
        out = answer(HTTP_STATUS_BAD_REQUEST, "None of the sub-protocols is spoken here; those "
                                              "that are have the names of their paths.\n");
    return out;
}

static struct gnt_http_answer decide(const struct gnt_http_head *h,
                                     const struct gnt_http_path *paths,
                                     const struct gnt_http_origins *origins)
{
    unsigned hosts = gnt_http_count(h, GNT_HTTP_HOST), method = h->parser.method;
    if (hosts > 1 || (hosts == 0 && h->parser.http_minor > 0))
        return answer(HTTP_STATUS_BAD_REQUEST, "One Host is needed.\n");
    if (method == HTTP_OPTIONS)
        return answer(HTTP_STATUS_NO_CONTENT, "");
    const struct gnt_http_path *path = find_path(h, paths);
    if (!path)
        return answer(HTTP_STATUS_NOT_FOUND, "There is nothing here.\n");
    if (method != HTTP_GET && method != HTTP_HEAD)
        return answer(HTTP_STATUS_METHOD_NOT_ALLOWED, "That cannot be done here.\n");
    if (method == HTTP_HEAD)
        return answer(HTTP_STATUS_UPGRADE_REQUIRED, "Only WebSocket is spoken here.\n");
    return decide_upgrade(h, path, origins);
}

void gnt_http_decide(const struct gnt_http_head *head, gnt_err read,
                     const struct gnt_http_path *paths, const struct gnt_http_origins *origins,
                     struct gnt_http_answer *out)
{
    switch (read) {
    case GNT_OK: *out = decide(head, paths, origins); break;
    case GNT_UNSUPPORTED:
        *out = answer(HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 is spoken here.\n");
        break;
    case GNT_TOOBIG:
        *out = answer(HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE, "The head is too large.\n");
        break;
    case GNT_NOMEM: *out = answer(HTTP_STATUS_SERVICE_UNAVAILABLE, "Out of memory.\n"); break;
    default: *out = answer(HTTP_STATUS_BAD_REQUEST, "That is not HTTP.\n");
    }
}

/* ---- As it is sent */

/* The fields that a status comes with. */
static const struct {
    unsigned status;
    const char *fields;
} fields[] = {
    {HTTP_STATUS_NO_CONTENT, "Allow: GET, HEAD, OPTIONS\r\n"},
    {HTTP_STATUS_METHOD_NOT_ALLOWED, "Allow: GET, HEAD, OPTIONS\r\n"},
    {HTTP_STATUS_UPGRADE_REQUIRED, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
};

static const char *fields_of(unsigned status)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (fields[i].status == status)
            return fields[i].fields;
    return "";
}

static const char *reason_of(unsigned status)
{
    return http_status_str((enum http_status)status);
}

static int print_upgrade(char *to, size_t size, const struct gnt_http_answer *a, const char *accept)
{
    return snprintf(to, size,
                    "HTTP/1.1 %u %s\r\n"
                    "Upgrade: websocket\r\n"
                    "Connection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: %s\r\n"
                    "Sec-WebSocket-Protocol: %s\r\n"
                    "\r\n",
                    a->status, reason_of(a->status), accept, a->protocol);
}

/* With 204 there is no body, and so no length of one [RFC 9110 8.6]. */
static int print_plain(char *to, size_t size, const struct gnt_http_answer *a, bool body)
{
    char length[96] = "";
    if (*a->text)
        (void)snprintf(length, sizeof length,
                       "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n",
                       strlen(a->text));
    return snprintf(to, size,
                    "HTTP/1.1 %u %s\r\n"
                    "%s%s"
                    "X-Content-Type-Options: nosniff\r\n"
                    "Connection: close%s\r\n"
                    "\r\n"
                    "%s",
                    a->status, reason_of(a->status), length, fields_of(a->status),
                    a->status == HTTP_STATUS_UPGRADE_REQUIRED ? ", Upgrade" : "",
                    body ? a->text : "");
}

gnt_err gnt_http_put_answer(struct gnt_buf *out, const struct gnt_http_answer *a,
                            const struct gnt_http_head *head)
{
    char accept[GNT_WS_ACCEPT_SIZE + 1];
    size_t most = MOST_FIELDS + strlen(a->text);
    gnt_err err = gnt_buf_reserve(out, most);
    if (!err && a->path)
        err = gnt_ws_accept(gnt_http_value(head, GNT_HTTP_WS_KEY), accept);
    if (err)
        return err;
    char *to = (char *)gnt_buf_tail(out);
    int n = a->path ? print_upgrade(to, most, a, accept)
                    : print_plain(to, most, a, head->parser.method != HTTP_HEAD);
    gnt_buf_wrote(out, (size_t)n);
    return GNT_OK;
}
