#include "net/http_head.h"

#include <strings.h>

enum { FIRST_ROOM = 1024 };

static const char *const names[] = {
#define NAME(name, text) [GNT_HTTP_##name] = text,
    GNT_HTTP_FIELDS(NAME)
#undef NAME
};

static struct gnt_slice span_of(const struct gnt_http_head *h, struct gnt_http_span s)
{
    return s.size ? gnt_slice(h->in.data + s.at, s.size) : gnt_slice(NULL, 0);
}

bool gnt_http_same(struct gnt_slice a, const char *b)
{
    return a.size == strlen(b) && (a.size == 0 || !strncasecmp((const char *)a.data, b, a.size));
}

/* ---- What http-parser calls: with parts that lie one behind the other in the buffer. */

static struct gnt_http_head *head_of(http_parser *parser)
{
    return parser->data;
}

/* False: they do not, because the line was folded, which nobody does any more [RFC 9112 5.2]. */
static bool extend(const struct gnt_http_head *h, struct gnt_http_span *s, const char *at, size_t n)
{
    size_t begin = (size_t)((const uint8_t *)at - h->in.data);
    if (!s->size)
        s->at = (uint16_t)begin;
    if (s->size && (size_t)s->at + s->size != begin)
        return false;
    s->size = (uint16_t)(s->size + n);
    return true;
}

static int on_target(http_parser *parser, const char *at, size_t n)
{
    struct gnt_http_head *h = head_of(parser);
    return !extend(h, &h->target, at, n);
}

static int on_name(http_parser *parser, const char *at, size_t n)
{
    struct gnt_http_head *h = head_of(parser);
    if (h->in_value)
        h->name = (struct gnt_http_span){0, 0};
    h->in_value = false;
    return !extend(h, &h->name, at, n);
}

static enum gnt_http_field field_of(struct gnt_slice name)
{
    for (unsigned i = 0; i < GNT_HTTP_OTHER; i++)
        if (gnt_http_same(name, names[i]))
            return (enum gnt_http_field)i;
    return GNT_HTTP_OTHER;
}

static int on_value(http_parser *parser, const char *at, size_t n)
{
    struct gnt_http_head *h = head_of(parser);
    if (!h->in_value) {
        h->in_value = true;
        struct gnt_slice name = span_of(h, h->name);
        if (memchr(name.data, ' ', name.size)) /* which is not for us to mend [RFC 9112 5.1] */
            return 1;
        h->line = (uint8_t)field_of(name);
        if (h->line != GNT_HTTP_OTHER && h->count == GNT_HTTP_LINES)
            return 1;
        if (h->line != GNT_HTTP_OTHER)
            h->field[h->count++] = h->line;
    }
    return h->line != GNT_HTTP_OTHER && !extend(h, &h->value[h->count - 1], at, n);
}

/* 2: what follows is no body, and not looked at. */
static int on_head(http_parser *parser)
{
    (void)parser;
    return 2;
}

static int on_whole(http_parser *parser)
{
    head_of(parser)->whole = true;
    return 0;
}

/* ---- Reading */

void gnt_http_head_init(struct gnt_http_head *h, enum http_parser_type type)
{
    *h = (struct gnt_http_head){.size = 0};
    http_parser_init(&h->parser, type);
    h->parser.data = h;
}

void gnt_http_head_fini(struct gnt_http_head *h)
{
    gnt_buf_fini(&h->in);
}

gnt_err gnt_http_head_room(struct gnt_http_head *h, uint8_t **at, size_t *cap)
{
    size_t have = gnt_buf_size(&h->in), room = have < FIRST_ROOM ? FIRST_ROOM : have;
    if (have >= GNT_HTTP_HEAD_MAX)
        return GNT_TOOBIG;
    if (room > GNT_HTTP_HEAD_MAX - have)
        room = GNT_HTTP_HEAD_MAX - have;
    gnt_err err = gnt_buf_reserve(&h->in, room);
    if (err)
        return err;
    *at = gnt_buf_tail(&h->in);
    *cap = room;
    return GNT_OK;
}

static gnt_err error_of(const struct gnt_http_head *h)
{
    switch (HTTP_PARSER_ERRNO(&h->parser)) {
    case HPE_OK: return GNT_MORE;
    case HPE_INVALID_VERSION: return GNT_UNSUPPORTED;
    case HPE_CB_header_value: return h->count == GNT_HTTP_LINES ? GNT_TOOBIG : GNT_MALFORMED;
    default: return GNT_MALFORMED;
    }
}

gnt_err gnt_http_head_took(struct gnt_http_head *h, size_t n)
{
    static const http_parser_settings settings = {
        .on_url = on_target,
        .on_header_field = on_name,
        .on_header_value = on_value,
        .on_headers_complete = on_head,
        .on_message_complete = on_whole,
    };
    size_t before = gnt_buf_size(&h->in);
    const char *fresh = (const char *)gnt_buf_tail(&h->in);
    gnt_buf_wrote(&h->in, n);
    size_t parsed = http_parser_execute(&h->parser, &settings, fresh, n);
    if (!h->whole)
        return error_of(h);
    h->size = before + parsed;
    return h->parser.http_major == 1 ? GNT_OK : GNT_UNSUPPORTED;
}

/* ---- What is in it */

struct gnt_slice gnt_http_head_rest(const struct gnt_http_head *h)
{
    return gnt_slice_skip(gnt_buf_slice(&h->in), h->size);
}

struct gnt_slice gnt_http_path(const struct gnt_http_head *h)
{
    struct gnt_slice target = span_of(h, h->target);
    struct http_parser_url url;
    http_parser_url_init(&url);
    if (!target.size || http_parser_parse_url((const char *)target.data, target.size, 0, &url) ||
        !(url.field_set & 1 << UF_PATH))
        return gnt_slice(NULL, 0);
    return gnt_slice(target.data + url.field_data[UF_PATH].off, url.field_data[UF_PATH].len);
}

unsigned gnt_http_count(const struct gnt_http_head *h, enum gnt_http_field field)
{
    unsigned count = 0;
    for (unsigned i = 0; i < h->count; i++)
        count += h->field[i] == field;
    return count;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct gnt_slice trimmed(struct gnt_slice s)
{
    while (s.size && is_space(s.data[0]))
        s = gnt_slice_skip(s, 1);
    while (s.size && is_space(s.data[s.size - 1]))
        s.size--;
    return s;
}

struct gnt_slice gnt_http_value(const struct gnt_http_head *h, enum gnt_http_field field)
{
    for (unsigned i = 0; i < h->count; i++)
        if (h->field[i] == field)
            return trimmed(span_of(h, h->value[i]));
    return gnt_slice(NULL, 0);
}

static bool list_has(struct gnt_slice list, const char *word,
                     bool (*equal)(struct gnt_slice item, const char *word))
{
    while (list.size) {
        const uint8_t *comma = memchr(list.data, ',', list.size);
        size_t size = comma ? (size_t)(comma - list.data) : list.size;
        if (equal(trimmed(gnt_slice(list.data, size)), word))
            return true;
        list = gnt_slice_skip(list, comma ? size + 1 : size);
    }
    return false;
}

static bool any_has(const struct gnt_http_head *h, enum gnt_http_field field, const char *word,
                    bool (*equal)(struct gnt_slice item, const char *word))
{
    for (unsigned i = 0; i < h->count; i++)
        if (h->field[i] == field && list_has(span_of(h, h->value[i]), word, equal))
            return true;
    return false;
}

bool gnt_http_has(const struct gnt_http_head *h, enum gnt_http_field field, const char *word)
{
    return any_has(h, field, word, gnt_http_same);
}

bool gnt_http_has_exactly(const struct gnt_http_head *h, enum gnt_http_field field,
                          const char *word)
{
    return any_has(h, field, word, gnt_slice_eq_str);
}
