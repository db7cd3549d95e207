#include "cli/format.h"
#include "cli/json.h"
#include "cli/property.h"

#include <stdio.h>

enum { WIDTH_MAX = 10000, TIME_MAX = 256 };

struct code;

/* One %-sequence: %[-0][WIDTH][.MOST]LETTER */
struct sequence {
    const struct code *code;
    bool left, zero;
    size_t width, most; /* SIZE_MAX: all of it */
};

struct code {
    char letter;
    enum gnt_mqtt_prop_row row; /* for those that show a property */
    gnt_err (*put)(const struct sequence *q, const struct gnt_format_message *m,
                   struct gnt_buf *out);
};

/* ---- fields */

static gnt_err put_fill(struct gnt_buf *out, char fill, size_t count)
{
    gnt_err err = gnt_buf_reserve(out, count);
    if (!err && count > 0) {
        memset(gnt_buf_tail(out), fill, count);
        gnt_buf_wrote(out, count);
    }
    return err;
}

/* TEXT in its field; zeros go in front of what may have them. */
static gnt_err put_field(const struct sequence *q, bool zeros, struct gnt_slice text,
                         struct gnt_buf *out)
{
    size_t fill = q->width > text.size ? q->width - text.size : 0;
    gnt_err err = GNT_OK;
    if (!q->left)
        err = put_fill(out, zeros && q->zero ? '0' : ' ', fill);
    if (!err)
        err = gnt_buf_put(out, text);
    return err || !q->left ? err : put_fill(out, ' ', fill);
}

static gnt_err put_number(const struct sequence *q, uint64_t number, struct gnt_buf *out)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return put_field(q, true, gnt_slice_str(text), out);
}

static gnt_err put_text(const struct sequence *q, struct gnt_slice text, struct gnt_buf *out)
{
    if (text.size > q->most)
        text.size = q->most;
    return put_field(q, false, text, out);
}

static const struct gnt_mqtt_prop *find(const struct gnt_format_message *m,
                                        enum gnt_mqtt_prop_row row)
{
    for (size_t i = 0; i < m->prop_count; i++) {
        if (m->props[i].row == row)
            return &m->props[i];
    }
    return NULL;
}

static gnt_err put_number_prop(const struct sequence *q, const struct gnt_format_message *m,
                               struct gnt_buf *out)
{
    const struct gnt_mqtt_prop *prop = find(m, q->code->row);
    return prop ? put_number(q, prop->number, out) : put_field(q, true, gnt_slice(NULL, 0), out);
}

static gnt_err put_text_prop(const struct sequence *q, const struct gnt_format_message *m,
                             struct gnt_buf *out)
{
    const struct gnt_mqtt_prop *prop = find(m, q->code->row);
    return put_text(q, prop ? prop->text : gnt_slice(NULL, 0), out);
}

static gnt_err put_raw_prop(const struct sequence *q, const struct gnt_format_message *m,
                            struct gnt_buf *out)
{
    const struct gnt_mqtt_prop *prop = find(m, q->code->row);
    return prop ? gnt_buf_put(out, prop->text) : GNT_OK;
}

static gnt_err put_pair(struct gnt_buf *out, const char *before, const struct gnt_mqtt_prop *pair)
{
    gnt_err err = gnt_buf_put(out, gnt_slice_str(before));
    if (!err)
        err = gnt_buf_put(out, pair->text);
    if (!err)
        err = gnt_buf_put(out, gnt_slice_str(":"));
    return err ? err : gnt_buf_put(out, pair->value);
}

static gnt_err put_user_props(const struct sequence *q, const struct gnt_format_message *m,
                              struct gnt_buf *out)
{
    const char *before = "";
    gnt_err err = GNT_OK;
    for (size_t i = 0; !err && i < m->prop_count; i++) {
        if (m->props[i].row != q->code->row)
            continue;
        err = put_pair(out, before, &m->props[i]);
        before = " ";
    }
    return err;
}

static gnt_err put_percent(const struct sequence *q, const struct gnt_format_message *m,
                           struct gnt_buf *out)
{
    (void)q, (void)m;
    return gnt_buf_put(out, gnt_slice_str("%"));
}

static gnt_err put_length(const struct sequence *q, const struct gnt_format_message *m,
                          struct gnt_buf *out)
{
    return put_number(q, m->payload.size, out);
}

static gnt_err put_id(const struct sequence *q, const struct gnt_format_message *m,
                      struct gnt_buf *out)
{
    return put_number(q, m->id, out);
}

static gnt_err put_qos(const struct sequence *q, const struct gnt_format_message *m,
                       struct gnt_buf *out)
{
    (void)q;
    return gnt_text_put(out, "%u", m->qos);
}

static gnt_err put_retain(const struct sequence *q, const struct gnt_format_message *m,
                          struct gnt_buf *out)
{
    (void)q;
    return gnt_text_put(out, "%d", m->retain);
}

static gnt_err put_topic(const struct sequence *q, const struct gnt_format_message *m,
                         struct gnt_buf *out)
{
    return put_text(q, m->topic, out);
}

static gnt_err put_payload(const struct sequence *q, const struct gnt_format_message *m,
                           struct gnt_buf *out)
{
    return put_field(q, true, m->payload, out);
}

static gnt_err put_hex(const struct sequence *q, const struct gnt_format_message *m,
                       struct gnt_buf *out)
{
    const char *digits = q->code->letter == 'x' ? "0123456789abcdef" : "0123456789ABCDEF";
    size_t size = m->payload.size * 2;
    size_t fill = q->width > size ? q->width - size : 0;
    gnt_err err = q->left ? GNT_OK : put_fill(out, q->zero ? '0' : ' ', fill);
    if (!err)
        err = gnt_buf_reserve(out, size);
    for (size_t i = 0; !err && i < m->payload.size; i++) {
        uint8_t *at = gnt_buf_tail(out);
        at[0] = (uint8_t)digits[m->payload.data[i] >> 4];
        at[1] = (uint8_t)digits[m->payload.data[i] & 0xf];
        gnt_buf_wrote(out, 2);
    }
    return err || !q->left ? err : put_fill(out, ' ', fill);
}

/* ---- times */

/* strftime's idea of FORMAT at the message's time; empty where that is too long. */
static struct gnt_slice time_text(const struct gnt_format_message *m, const char *format,
                                  char text[TIME_MAX])
{
    struct tm local;
    if (!localtime_r(&m->time.tv_sec, &local))
        return gnt_slice(NULL, 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the user's own letter, or ours */
    return gnt_slice(text, strftime(text, TIME_MAX, format, &local));
#pragma GCC diagnostic pop
}

static gnt_err put_iso(const struct sequence *q, const struct gnt_format_message *m,
                       struct gnt_buf *out)
{
    char text[TIME_MAX];
    return put_text(q, time_text(m, "%FT%T%z", text), out);
}

static gnt_err put_unix(const struct sequence *q, const struct gnt_format_message *m,
                        struct gnt_buf *out)
{
    (void)q;
    return gnt_text_put(out, "%lld.%09ld", (long long)m->time.tv_sec, m->time.tv_nsec);
}

/* "@X": strftime's %X, and @N the nanoseconds. */
static gnt_err put_time(char letter, const struct gnt_format_message *m, struct gnt_buf *out)
{
    const char format[] = {'%', letter, '\0'};
    char text[TIME_MAX];
    if (letter == '@')
        return gnt_buf_put(out, gnt_slice_str("@"));
    if (letter == 'N')
        return gnt_text_put(out, "%09ld", m->time.tv_nsec);
    return gnt_buf_put(out, time_text(m, format, text));
}

/* ---- JSON */

static gnt_err put_json_head(const struct gnt_format_message *m, struct gnt_buf *out)
{
    char day[TIME_MAX], zone[TIME_MAX];
    struct gnt_slice d = time_text(m, "%FT%T", day), z = time_text(m, "%z", zone);
    gnt_err err = gnt_text_put(out, "{\"tst\":\"%.*s.%06ld%.*s\",\"topic\":", (int)d.size, day,
                               m->time.tv_nsec / 1000, (int)z.size, zone);
    if (!err)
        err = gnt_json_put_bytes(out, m->topic);
    if (!err)
        err = gnt_text_put(out, ",\"qos\":%u,\"retain\":%d,\"payloadlen\":%zu", m->qos, m->retain,
                           m->payload.size);
    if (!err && m->qos > 0)
        err = gnt_text_put(out, ",\"mid\":%u", m->id);
    return err;
}

static gnt_err put_json_user_props(const struct gnt_format_message *m, struct gnt_buf *out)
{
    const char *before = "\"user-properties\":{";
    gnt_err err = GNT_OK;
    for (size_t i = 0; !err && i < m->prop_count; i++) {
        if (m->props[i].row != GNT_PROP_USER_PROPERTY)
            continue;
        err = gnt_buf_put(out, gnt_slice_str(before));
        if (!err)
            err = gnt_json_put_bytes(out, m->props[i].text);
        if (!err)
            err = gnt_buf_put(out, gnt_slice_str(":"));
        if (!err)
            err = gnt_json_put_bytes(out, m->props[i].value);
        before = ",";
    }
    return err ? err : gnt_buf_put(out, gnt_slice_str("}"));
}

static gnt_err put_json_prop(const struct gnt_mqtt_prop *prop, struct gnt_buf *out)
{
    gnt_err err = gnt_text_put(out, "\"%s\":", gnt_property_name(prop->row));
    if (err)
        return err;
    enum gnt_mqtt_wire wire = gnt_mqtt_prop_wire(prop->row);
    if (wire == GNT_WIRE_STR || wire == GNT_WIRE_BIN)
        return gnt_json_put_bytes(out, prop->text);
    return gnt_text_put(out, "%u", prop->number);
}

/* All of them in their order; the user's together, where the first of them stands. */
static gnt_err put_json_props(const struct gnt_format_message *m, struct gnt_buf *out)
{
    bool user_done = false;
    const char *before = ",\"properties\":{";
    gnt_err err = GNT_OK;
    for (size_t i = 0; !err && i < m->prop_count; i++) {
        bool user = m->props[i].row == GNT_PROP_USER_PROPERTY;
        if (user && user_done)
            continue;
        err = gnt_buf_put(out, gnt_slice_str(before));
        if (!err)
            err = user ? put_json_user_props(m, out) : put_json_prop(&m->props[i], out);
        user_done = user_done || user;
        before = ",";
    }
    return err || m->prop_count == 0 ? err : gnt_buf_put(out, gnt_slice_str("}"));
}

static gnt_err put_json(const struct sequence *q, const struct gnt_format_message *m,
                        struct gnt_buf *out)
{
    gnt_err err = put_json_head(m, out);
    if (!err)
        err = put_json_props(m, out);
    if (!err)
        err = gnt_buf_put(out, gnt_slice_str(",\"payload\":"));
    if (!err && m->payload.size == 0)
        err = gnt_buf_put(out, gnt_slice_str("null"));
    else if (!err)
        err = q->code->letter == 'j' ? gnt_json_put_bytes(out, m->payload)
                                     : gnt_json_put_value(out, m->payload);
    return err ? err : gnt_buf_put(out, gnt_slice_str("}"));
}

/* ---- sequences */

static const struct code codes[] = {
    {'%', GNT_PROP_ROWS, put_percent},
    {'A', GNT_PROP_TOPIC_ALIAS, put_number_prop},
    {'C', GNT_PROP_CONTENT_TYPE, put_text_prop},
    {'D', GNT_PROP_CORRELATION_DATA, put_raw_prop},
    {'E', GNT_PROP_MESSAGE_EXPIRY, put_number_prop},
    {'F', GNT_PROP_PAYLOAD_FORMAT, put_number_prop},
    {'I', GNT_PROP_ROWS, put_iso},
    {'J', GNT_PROP_ROWS, put_json},
    {'P', GNT_PROP_USER_PROPERTY, put_user_props},
    {'R', GNT_PROP_RESPONSE_TOPIC, put_text_prop},
    {'S', GNT_PROP_SUBSCRIPTION_ID, put_number_prop},
    {'U', GNT_PROP_ROWS, put_unix},
    {'X', GNT_PROP_ROWS, put_hex},
    {'j', GNT_PROP_ROWS, put_json},
    {'l', GNT_PROP_ROWS, put_length},
    {'m', GNT_PROP_ROWS, put_id},
    {'p', GNT_PROP_ROWS, put_payload},
    {'q', GNT_PROP_ROWS, put_qos},
    {'r', GNT_PROP_ROWS, put_retain},
    {'t', GNT_PROP_ROWS, put_topic},
    {'x', GNT_PROP_ROWS, put_hex},
};

static const struct code *find_code(char letter)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].letter == letter)
            return &codes[i];
    }
    return NULL;
}

static const char *read_digits(const char *at, size_t *value)
{
    *value = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (*value <= WIDTH_MAX)
            *value = *value * 10 + (size_t)(*at - '0');
    }
    return at;
}

/* Reads what stands behind the '%'; q->code is NULL if that is no sequence. */
static const char *read_sequence(const char *at, struct sequence *q)
{
    *q = (struct sequence){.most = SIZE_MAX};
    for (; *at == '-' || *at == '0'; at++) {
        q->left = q->left || *at == '-';
        q->zero = q->zero || *at == '0';
    }
    at = read_digits(at, &q->width);
    if (*at == '.')
        at = read_digits(at + 1, &q->most);
    if (*at && q->width <= WIDTH_MAX)
        q->code = find_code(*at);
    return *at ? at + 1 : at;
}

/* "\n" and the like; what stands behind the backslash, and what it makes. */
static const struct {
    char letter, byte;
} escapes[] = {
    {'\\', '\\'}, {'0', '\0'}, {'a', '\a'}, {'e', 0x1b},
    {'n', '\n'},  {'r', '\r'}, {'t', '\t'}, {'v', '\v'},
};

static const char *find_escape(char letter)
{
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        if (escapes[i].letter == letter)
            return &escapes[i].byte;
    }
    return NULL;
}

gnt_err gnt_format_check(const char *format, struct gnt_why *why)
{
    for (const char *at = format; *at;) {
        struct sequence q;
        const char *start = at++;
        bool good = true;
        if (*start == '%') {
            at = read_sequence(at, &q);
            good = q.code != NULL;
        } else if (*start == '@' || *start == '\\') {
            good = *start == '@' ? *at != '\0' : find_escape(*at) != NULL;
            at += *at ? 1 : 0;
        }
        if (!good) {
            gnt_why_set(why,
                        "'%.*s' is no sequence of a format; expected %%%% or one of %%[-0][WIDTH]"
                        "[.MOST] with A C D E F I J P R S U X j l m p q r t x, @ and a letter of "
                        "strftime, or one of \\\\ \\0 \\a \\e \\n \\r \\t \\v",
                        (int)(at - start), start);
            return GNT_INVALID;
        }
    }
    return GNT_OK;
}

/* The next piece of FORMAT, plain text or one sequence. */
static gnt_err put_piece(const char **format, const struct gnt_format_message *m,
                         struct gnt_buf *out)
{
    struct sequence q;
    const char *at = *format;
    size_t plain = strcspn(at, "%@\\");
    *format = at + (plain ? plain : 2);
    if (plain)
        return gnt_buf_put(out, gnt_slice(at, plain));
    if (*at == '@')
        return put_time(at[1], m, out);
    if (*at == '\\')
        return gnt_buf_put(out, gnt_slice(find_escape(at[1]), 1));
    *format = read_sequence(at + 1, &q);
    return q.code->put(&q, m, out);
}

gnt_err gnt_format_put(const char *format, const struct gnt_format_message *message,
                       struct gnt_buf *out)
{
    size_t before = gnt_buf_size(out);
    gnt_err err = GNT_OK;
    while (!err && *format)
        err = put_piece(&format, message, out);
    if (err)
        gnt_buf_cut(out, before);
    return err;
}
