/* The head of an HTTP/1 request or answer [RFC 9112], by http-parser: read as it comes, within
 * bounds, and then asked for what is in it.
 *
 * Threads  one at a time.
 * Memory   what has come of the head, 8 KiB at most, and what came with it. */
#ifndef GNT_NET_HTTP_HEAD_H
#define GNT_NET_HTTP_HEAD_H

#include "base/buf.h"

#include <http_parser.h>
#include <stdbool.h>

enum { GNT_HTTP_HEAD_MAX = 8192, GNT_HTTP_LINES = 24 };

/* The fields that somebody asks for; others are read over. */
#define GNT_HTTP_FIELDS(X)                       \
    X(CONNECTION, "Connection")                  \
    X(HOST, "Host")                              \
    X(ORIGIN, "Origin")                          \
    X(UPGRADE, "Upgrade")                        \
    X(WS_ACCEPT, "Sec-WebSocket-Accept")         \
    X(WS_EXTENSIONS, "Sec-WebSocket-Extensions") \
    X(WS_KEY, "Sec-WebSocket-Key")               \
    X(WS_PROTOCOL, "Sec-WebSocket-Protocol")     \
    X(WS_VERSION, "Sec-WebSocket-Version")

enum gnt_http_field {
#define GNT_HTTP_FIELD_ENUM(name, text) GNT_HTTP_##name,
    GNT_HTTP_FIELDS(GNT_HTTP_FIELD_ENUM)
#undef GNT_HTTP_FIELD_ENUM
        GNT_HTTP_OTHER
};

struct gnt_http_span {
    uint16_t at, size;
};

struct gnt_http_head {
    http_parser parser;
    struct gnt_buf in;
    size_t size; /* of the head, once it is whole */
    struct gnt_http_span target;
    struct gnt_http_span name; /* of the line that comes, */
    uint8_t line;              /* enum gnt_http_field, what it is about, */
    bool in_value;             /* once its value has begun */
    bool whole;
    uint8_t count;
    uint8_t field[GNT_HTTP_LINES]; /* enum gnt_http_field, of the lines that matter */
    struct gnt_http_span value[GNT_HTTP_LINES];
};

void gnt_http_head_init(struct gnt_http_head *h, enum http_parser_type type);
void gnt_http_head_fini(struct gnt_http_head *h);

/* *at: room for the next *cap > 0 bytes.  GNT_NOMEM, or GNT_TOOBIG: the head is over the bound. */
GNT_MUST gnt_err gnt_http_head_room(struct gnt_http_head *h, uint8_t **at, size_t *cap);

/* N bytes have come there.
 *   GNT_OK           the head is whole
 *   GNT_MORE         it is not
 *   GNT_UNSUPPORTED  another version than HTTP/1.0 or 1.1
 *   GNT_TOOBIG       more lines that matter than anybody needs
 *   GNT_MALFORMED    it is not HTTP */
GNT_MUST gnt_err gnt_http_head_took(struct gnt_http_head *h, size_t n);

/* Of a whole head, valid until _fini: */

/* What has come behind it. */
struct gnt_slice gnt_http_head_rest(const struct gnt_http_head *h);

/* The path of a request, without query; empty if there is none ("OPTIONS *"). */
struct gnt_slice gnt_http_path(const struct gnt_http_head *h);

/* How many lines FIELD has, and the value of the first one: empty if there is none. */
unsigned gnt_http_count(const struct gnt_http_head *h, enum gnt_http_field field);
struct gnt_slice gnt_http_value(const struct gnt_http_head *h, enum gnt_http_field field);

/* Whether one of FIELD's lines, which are lists, has WORD: in whatever case, or as it is. */
bool gnt_http_has(const struct gnt_http_head *h, enum gnt_http_field field, const char *word);
bool gnt_http_has_exactly(const struct gnt_http_head *h, enum gnt_http_field field,
                          const char *word);

bool gnt_http_same(struct gnt_slice a, const char *b); /* in whatever case */

#endif
